/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changes of the policies' directory: what a power cut leaves of one that was taken back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bulkhead/util.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "core/files.h"
#include "policies/edits.h"

static char dir[64];
static bool can_exchange;
static char *on_disk; /* the directory as it was when it was last synced */

static char *path_of(const char *name)
{
	return bh_xasprintf("%s/%s", dir, name);
}

/* "a=text b=text" of what readers of the directory see. */
static char *picture(void)
{
	struct bh_file_set s = {0};
	struct bh_buf b = {0};
	char bh_autofree *where = NULL;
	assert_int_equal(bh_file_set_read(dir, &s, &where), 0);
	for (size_t i = 0; i < s.n; i++)
		bh_buf_printf(&b, "%s=%s ", strrchr(s.src[i].file, '/') + 1, s.src[i].text);
	bh_file_set_finish(&s);
	return bh_buf_take(&b);
}

/* In the place of the C library's. */
int fsync(int fd)
{
	struct stat st;
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		free(on_disk);
		on_disk = picture();
	}
	return (int)syscall(SYS_fsync, fd);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	if (!can_exchange && flags) {
		errno = EINVAL; /* NFS, FUSE and others */
		return -1;
	}
	return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

static void put_file(const char *name, const char *text)
{
	char bh_autofree *path = path_of(name);
	assert_int_equal(bh_file_write_atomic(path, text, strlen(text), 0644), 0);
}

static void put_edit(struct bh_edits *e, struct bh_file_set *s, const char *name, const char *text)
{
	char bh_autofree *path = path_of(name);
	bh_edits_put(e, s, path, text, text ? strlen(text) : 0);
}

static int setup(void **state BH_UNUSED)
{
	strcpy(dir, "/tmp/bh-edits-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	put_file("a.yaml", "old");
	put_file("c.yaml", "there");
	return 0;
}

static int teardown(void **state BH_UNUSED)
{
	char command[100];
	free(BH_TAKE_PTR(on_disk));
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

static void read_set(struct bh_file_set *s)
{
	char bh_autofree *where = NULL;
	assert_int_equal(bh_file_set_read(dir, s, &where), 0);
}

static void expect_on_disk(const char *want)
{
	char bh_autofree *is = picture();
	assert_string_equal(is, want);
	assert_string_equal(on_disk, want);
}

/* The kernel refuses the rules of a version whose files are written: then the directory is what it
 * was, on disk as well, before anything says that there is no such version. */
static void test_undone_for_good(void **state BH_UNUSED)
{
	for (int i = 0; i < 2; i++) {
		struct bh_edits e = {0};
		struct bh_file_set s = {0};
		const char *where;

		can_exchange = i == 0;
		read_set(&s);
		put_edit(&e, &s, "a.yaml", "new");
		put_edit(&e, &s, "b.yaml", "made");
		put_edit(&e, &s, "c.yaml", NULL);
		assert_int_equal(bh_edits_prepare(&e, &where), 0);
		assert_int_equal(bh_edits_carry_out(&e, &where), 0);
		expect_on_disk("a.yaml=new b.yaml=made ");
		bh_edits_undo(&e);
		expect_on_disk("a.yaml=old c.yaml=there ");
		bh_edits_finish(&e);
		bh_file_set_finish(&s);
	}
}

/* Somebody else removes it first; what a run that was killed had left does not take its place. */
static void test_removed_already(void **state BH_UNUSED)
{
	struct bh_edits e = {0};
	struct bh_file_set s = {0};
	const char *where;
	char bh_autofree *c = path_of("c.yaml");

	can_exchange = true;
	put_file(".c.yaml.tmp", "of long ago");
	read_set(&s);
	put_edit(&e, &s, "a.yaml", "new");
	put_edit(&e, &s, "c.yaml", NULL);
	assert_int_equal(bh_edits_prepare(&e, &where), 0);
	assert_int_equal(unlink(c), 0);
	assert_int_equal(bh_edits_carry_out(&e, &where), 0);
	bh_edits_undo(&e);
	expect_on_disk("a.yaml=old ");
	bh_edits_finish(&e);
	bh_file_set_finish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_undone_for_good, setup, teardown),
		cmocka_unit_test_setup_teardown(test_removed_already, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
