/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store: what a full disk does to it. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "lib/store_dir.h"

/* Puts big texts until there is no room. Each is committed: what commit acknowledged counts. */
static int fill(struct bh_store *s, unsigned *ret_acknowledged)
{
	static char text[64][32768];
	int r = 0;
	for (unsigned i = 0; i < 1000 && r == 0; i++) {
		struct bh_policy_source src[64];
		size_t n = i % 64 + 1;
		for (size_t k = 0; k < n; k++) { /* no two alike: those would be kept once */
			memset(text[k], 'x', sizeof(text[k]));
			snprintf(text[k], sizeof(text[k]), "%u.%zu", i, k);
			src[k] = (struct bh_policy_source){"f", text[k], sizeof(text[k])};
		}
		r = bh_store_put_u64(s, "round", i);
		if (r == 0)
			r = bh_store_put_version(s, &(struct bh_version){.number = 1}, src, n);
		int c = bh_store_commit(s);
		if (r == 0)
			r = c;
		if (r == 0)
			*ret_acknowledged = i;
	}
	return r;
}

static int check_full(unsigned acknowledged, struct bh_store *s, int r)
{
	uint64_t v = 0;
	if (r != -ENOSPC)
		return 10;
	if (!strstr(bh_store_message(s), "the disk is full"))
		return 11;
	if (bh_store_get_u64(s, "round", &v) != 0 || v != acknowledged)
		return 12;
	return 0;
}

/* On a tmpfs of one megabyte, in a mount namespace of its own. Exit status: 0, 77 = cannot. */
static int full_tmpfs(void)
{
	struct bh_store *s;
	unsigned acknowledged = 0;
	uint64_t v = 0;
	char bh_autofree *ballast = path_of("ballast");
	char junk[200000] = "";

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("bh-test", dir, "tmpfs", 0, "size=1m") < 0)
		return 77;
	int fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, junk, sizeof(junk)) != sizeof(junk) || close(fd) < 0)
		return 1;
	if (bh_store_open(dir, &s) != 0)
		return 2;
	int r = fill(s, &acknowledged);
	r = check_full(acknowledged, s, r);
	if (r)
		return r;
	/* Still full: small things may or may not fit, but never lie. */
	unlink(ballast);
	if (bh_store_put_u64(s, "later", 42) != 0 || bh_store_commit(s) != 0)
		return 3;
	bh_store_close(s);
	if (bh_store_open(dir, &s) != 0)
		return 4;
	if (bh_store_get_u64(s, "later", &v) != 0 || v != 42)
		return 5;
	if (bh_store_get_u64(s, "round", &v) != 0 || v != acknowledged)
		return 6;
	bh_store_close(s);
	return 0;
}

static int full_by_limit(void)
{
	struct rlimit limit = {600000, 600000};
	struct bh_store *s;
	unsigned acknowledged = 0;
	signal(SIGXFSZ, SIG_IGN);
	if (bh_store_open(dir, &s) != 0 || setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return 1;
	int r = fill(s, &acknowledged);
	return check_full(acknowledged, s, r);
}

static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_full_disk(void **state BH_UNUSED)
{
	int r = in_child(full_tmpfs);
	if (r == 77)
		skip();
	assert_int_equal(r, 0);
}

static void test_file_size_limit(void **state BH_UNUSED)
{
	assert_int_equal(in_child(full_by_limit), 0);
	uint64_t v;
	struct bh_store *s = open_store(0); /* and without the limit all is well again */
	assert_int_equal(bh_store_get_u64(s, "round", &v), 0);
	assert_int_equal(bh_store_put_u64(s, "round", 1), 0);
	assert_int_equal(bh_store_commit(s), 0);
	bh_store_close(s);
}

/* A put that was told "fine" and then went with its transaction: commit must say so, once, and
 * until then nothing else may pass for a whole transaction. */
static int sticky_failure(void)
{
	struct rlimit limit = {400000, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
	struct bh_store *s;
	uint64_t v;
	char *text = bh_xcalloc(1, 8000000);
	memset(text, 'x', 7999999);
	struct bh_policy_source big = {"f", text, 7999999};
	signal(SIGXFSZ, SIG_IGN);
	if (bh_store_open(dir, &s) != 0 || setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return 1;
	if (bh_store_put_u64(s, "early", 1) != 0 || bh_store_trouble(s))
		return 2;
	/* spills out of the page cache */
	int r = bh_store_put_version(s, &(struct bh_version){.number = 1}, &big, 1);
	if (r != -ENOSPC)
		return 3;
	if (setrlimit(RLIMIT_FSIZE, &none) < 0)
		return 4;
	if (bh_store_put_u64(s, "late", 1) != -ENOSPC)
		return 5;
	if (!strstr(bh_store_message(s), "not kept"))
		return 6;
	if (bh_store_commit(s) != -ENOSPC || bh_store_commit(s) != 0)
		return 7;
	if (bh_store_get_u64(s, "early", &v) != -ENOENT)
		return 8;
	/* Trouble until something was committed: that nothing had to be is no sign. */
	if (!bh_store_trouble(s) || !strstr(bh_store_trouble(s), "the disk is full"))
		return 10;
	if (bh_store_put_u64(s, "late", 1) != 0 || !bh_store_trouble(s) || bh_store_commit(s) != 0)
		return 9;
	if (bh_store_trouble(s))
		return 11;
	bh_store_close(s);
	free(text);
	return 0;
}

static void test_lost_transaction_is_reported(void **state BH_UNUSED)
{
	assert_int_equal(in_child(sticky_failure), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_full_disk),
		TEST(test_file_size_limit),
		TEST(test_lost_transaction_is_reported),
	};
	return cmocka_run_group_tests_name("store_full", tests, NULL, NULL);
}
