/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store: what a full disk does to it. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
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

/* --- what is decided by command, and its copy --- */

static void fill_up(size_t leave)
{
	static const char page[4096] = "";
	char bh_autofree *ballast = path_of("ballast");
	int fd = open(ballast, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	struct stat st;

	while (write(fd, page, sizeof(page)) == sizeof(page))
		;
	if (fstat(fd, &st) < 0 || st.st_size < (off_t)leave ||
		ftruncate(fd, st.st_size - (off_t)leave) < 0)
		_exit(99);
	close(fd);
}

static void find_mode(const struct bh_mode_row *m, void *arg)
{
	*(int64_t *)arg = m->set_at;
}

static int64_t decided(struct bh_store *s)
{
	int64_t at = -1;
	bh_store_load_modes(s, find_mode, &at);
	return at;
}

/* Decides with so little room, and dies. Exit status: 1 = it was refused. */
static int decide_and_die(int64_t which, size_t leave)
{
	pid_t pid = fork();
	int status;
	if (pid == 0) {
		const struct bh_mode_row m = {.scope = (char *)"", .set_at = which};
		struct bh_store *s;
		if (bh_store_open(dir, &s) != 0)
			_exit(2);
		fill_up(leave);
		int r = bh_store_put_mode(s, &m);
		int c = bh_store_commit(s);
		_exit(r < 0 || c < 0);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}

/* However much room there is: what was refused is not in force later, nor is what was said undone.
 */
static int decide_with_every_room(void)
{
	char bh_autofree *ballast = path_of("ballast");
	int64_t is = -1;
	int refused = 0;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("bh-test", dir, "tmpfs", 0, "size=1m") < 0)
		return 77;
	for (int64_t i = 0; i < 48; i++) {
		struct bh_store *s;
		int r = decide_and_die(i, (size_t)(i / 2) * 4096);
		if (r > 1)
			return 10 + r;
		is = r == 0 ? i : is;
		refused += r;
		for (int full = 1; full >= 0;
			full--) { /* nor is there any need of room to see it */
			if (!full)
				unlink(ballast);
			if (bh_store_open(dir, &s) != 0)
				return full ? 1 : 2;
			if (decided(s) != is)
				return 3;
			if (!full && (bh_store_commit(s) != 0 || bh_store_kept(s) != 0))
				return 4;
			bh_store_close(s);
		}
	}
	return refused > 0 && refused < 48 ? 0 : 5;
}

static void test_refused_is_refused(void **state BH_UNUSED)
{
	int r = in_child(decide_with_every_room);
	if (r == 77)
		skip();
	assert_int_equal(r, 0);
}

/* The database is gone, and the disk is full: that is no reason to forget. */
static int nothing_is_forgotten(void)
{
	char bh_autofree *db = path_of("bulkhead.db"), bh_autofree *ballast = path_of("ballast");
	struct bh_store *s;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("bh-test", dir, "tmpfs", 0, "size=1m") < 0)
		return 77;
	for (size_t leave = 50; leave < 90; leave++) { /* pages; a new database takes some 60 */
		if (bh_store_open(dir, &s) < 0 || (leave > 50 && decided(s) != 42))
			return 1;
		const struct bh_mode_row m = {.scope = (char *)"", .set_at = 42};
		if (bh_store_put_mode(s, &m) < 0 || bh_store_commit(s) < 0)
			return 2;
		bh_store_close(s);
		unlink(db);
		fill_up(leave * 4096);
		if (bh_store_open(dir, &s) >= 0) {
			if (decided(s) != 42)
				return 3;
			bh_store_close(s);
		}
		unlink(ballast);
		if (leave % 2)
			unlink(db);
	}
	return 0;
}

static void test_nothing_is_forgotten(void **state BH_UNUSED)
{
	int r = in_child(nothing_is_forgotten);
	if (r == 77)
		skip();
	assert_int_equal(r, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_full_disk),
		TEST(test_file_size_limit),
		TEST(test_lost_transaction_is_reported),
		TEST(test_refused_is_refused),
		TEST(test_nothing_is_forgotten),
	};
	return cmocka_run_group_tests_name("store_full", tests, NULL, NULL);
}
