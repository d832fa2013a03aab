/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store: what a damaged, foreign or missing file and a crash do to it, and what is kept twice.
 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/store_dir.h"

static void test_permissions(void **state BH_UNUSED)
{
	struct stat st;
	struct bh_store *s;
	char bh_autofree *deep = path_of("a/b");
	assert_int_equal(bh_store_open(deep, &s), 0);
	assert_int_equal(bh_store_put_u64(s, "x", 1), 0);
	assert_int_equal(bh_store_commit(s), 0);
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	static const char *const name[] = {
		"a/b/bulkhead.db", "a/b/bulkhead.db-wal", "a/b/bulkhead.db-shm"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(name); i++) {
		char bh_autofree *path = path_of(name[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	bh_store_close(s);
}

static void write_file(const char *name, const char *text, size_t len)
{
	char bh_autofree *path = path_of(name);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

static void test_symlink_is_refused(void **state BH_UNUSED)
{
	struct bh_store *s = NULL;
	char bh_autofree *path = path_of("bulkhead.db"), bh_autofree *target = path_of("target");
	write_file("target", "", 0);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(bh_store_open(dir, &s), -ELOOP);
	assert_null(s);
}

static void test_no_database(void **state BH_UNUSED)
{
	struct stat st;
	char bh_autofree *aside = path_of("bulkhead.db.corrupt-1");
	char bh_autofree *second = path_of("bulkhead.db.corrupt-2");
	for (int i = 0; i < 2; i++) {
		write_file(
			"bulkhead.db", "this is not a database, but long enough to be one\n", 50);
		struct bh_store *s = open_store(1);
		assert_int_equal(bh_store_put_u64(s, "x", 1), 0);
		assert_int_equal(bh_store_commit(s), 0);
		bh_store_close(s);
	}
	assert_int_equal(stat(aside, &st), 0);
	assert_int_equal(st.st_size, 50);
	assert_int_equal(stat(second, &st), 0);
	bh_store_close(open_store(0));
}

/* What was decided by command survives the database, whatever happens to that; else not. */
static void decide(struct bh_store *s, const char *scope)
{
	const struct bh_mode_row m = {.scope = (char *)scope, .mode = BH_MODE_ENFORCE, .uid = 7};
	struct bh_quarantine_row q = {
		.namespace = (char *)"shop", .name = (char *)"web", .id = (char *)"i"};
	assert_int_equal(bh_store_put_mode(s, &m), 0);
	assert_int_equal(bh_store_put_quarantine(s, &q), 0);
	assert_int_equal(bh_store_commit(s), 0);
}

static void count_mode(const struct bh_mode_row *m, void *arg)
{
	assert_int_equal(m->mode, BH_MODE_ENFORCE);
	++*(int *)arg;
}

static void count_quarantine(const struct bh_quarantine_row *q, void *arg)
{
	assert_string_equal(q->name, "web");
	++*(int *)arg;
}

static void assert_decided(struct bh_store *s, int modes, int quarantines)
{
	int n[2] = {0, 0};
	assert_int_equal(bh_store_kept(s), 0);
	assert_int_equal(bh_store_load_modes(s, count_mode, &n[0]), 0);
	assert_int_equal(bh_store_load_quarantine(s, count_quarantine, &n[1]), 0);
	assert_int_equal(n[0], modes);
	assert_int_equal(n[1], quarantines);
}

static void test_decisions_are_kept_twice(void **state BH_UNUSED)
{
	char bh_autofree *db = path_of("bulkhead.db"),
			 bh_autofree *wal = path_of("bulkhead.db-wal");
	char bh_autofree *keep = path_of("bulkhead.keep");
	struct bh_store *s = open_store(0);
	struct stat st;
	assert_int_equal(stat(keep, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	decide(s, "");
	decide(s, "namespace shop");
	bh_store_close(s);
	for (int how = 0; how < 3; how++) {
		unlink(wal);
		if (how == 0)
			write_file("bulkhead.db", "garbage garbage", 15);
		else if (how == 1)
			write_file("bulkhead.db", "", 0);
		else
			assert_int_equal(unlink(db), 0);
		s = open_store(1);
		assert_true(bh_store_restored(s));
		assert_decided(s, 2, 1);
		bh_store_close(s);
	}
	/* An older one, as without its write-ahead log. */
	char bh_autofree *copy = bh_xasprintf("cp '%s' '%s.old'", db, db);
	char bh_autofree *back = bh_xasprintf("mv '%s.old' '%s'", db, db);
	assert_int_equal(system(copy), 0);
	s = open_store(0);
	decide(s, "namespace late");
	bh_store_close(s);
	assert_int_equal(system(back), 0);
	s = open_store(1);
	assert_true(bh_store_restored(s));
	assert_decided(s, 3, 1);
	assert_int_equal(bh_store_drop_mode(s, "namespace late"), 0);
	bh_store_close(s);
	/* What was taken back does not come again; what was not committed was never decided. */
	s = open_store(0);
	assert_false(bh_store_restored(s));
	assert_int_equal(bh_store_drop_mode(s, ""), 0);
	assert_int_equal(bh_store_drop_quarantine(s, "shop", "web"), 0);
	assert_int_equal(bh_store_commit(s), 0);
	bh_store_close(s);
	write_file("bulkhead.db", "garbage garbage", 15);
	s = open_store(1);
	assert_decided(s, 1, 0);
	bh_store_close(s);
	/* A copy that is none is made anew from the database. */
	write_file("bulkhead.keep", "garbage garbage", 15);
	s = open_store(0);
	assert_decided(s, 1, 0);
	bh_store_close(s);
	/* Both gone: the daemon starts all the same. */
	write_file("bulkhead.db", "garbage garbage", 15);
	write_file("bulkhead.keep", "garbage garbage", 15);
	s = open_store(1);
	assert_false(bh_store_restored(s));
	assert_decided(s, 0, 0);
	bh_store_close(s);
	/* A link is not followed, and no reason not to start. */
	assert_int_equal(unlink(keep), 0);
	assert_int_equal(symlink("/nonexistent/x", keep), 0);
	s = open_store(0);
	assert_int_equal(bh_store_kept(s), -ELOOP);
	decide(s, "");
	bh_store_close(s);
}

static void test_set_aside_is_bounded(void **state BH_UNUSED)
{
	for (int i = 0; i < 12; i++) {
		write_file("bulkhead.db", "garbage garbage", 15);
		bh_store_close(open_store(1));
	}
	struct stat st;
	char bh_autofree *last = path_of("bulkhead.db.corrupt-9");
	char bh_autofree *beyond = path_of("bulkhead.db.corrupt-10");
	assert_int_equal(stat(last, &st), 0);
	assert_int_equal(stat(beyond, &st), -1);
}

/* Pages in the middle overwritten: the header is fine, the content is not. */
static void test_damaged_pages(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	for (uint16_t port = 1; port <= 2000; port++) {
		struct bh_tuple t = sample_tuple(port);
		assert_int_equal(bh_store_put_tuple(s, &t), 0);
		bh_tuple_finish(&t);
	}
	bh_store_close(s);
	char bh_autofree *path = path_of("bulkhead.db");
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	char junk[4096];
	memset(junk, 0x5a, sizeof(junk));
	for (off_t at = 4096 * 10; at < 4096 * 40; at += 4096)
		assert_int_equal(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
	close(fd);
	s = open_store(1);
	assert_int_equal(count_tuples(s), 0);
	bh_store_close(s);
}

static void test_foreign_and_newer(void **state BH_UNUSED)
{
	struct bh_store *s = NULL;
	bh_store_close(open_store(0));
	run_sql("PRAGMA user_version = 99");
	assert_int_equal(bh_store_open(dir, &s), -EPROTONOSUPPORT);
	assert_null(s);
	run_sql("PRAGMA user_version = 1; DROP TABLE mode");
	bh_store_close(open_store(1)); /* claims our schema and has not got it */
	run_sql("PRAGMA user_version = 0");
	bh_store_close(open_store(1)); /* tables there, version gone */
	bh_store_close(open_store(0));
}

static void test_crash_keeps_commits(void **state BH_UNUSED)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct bh_store *s;
		if (bh_store_open(dir, &s) == 0 && bh_store_put_u64(s, "kept", 1) == 0 &&
			bh_store_commit(s) == 0 && bh_store_put_u64(s, "lost", 1) == 0)
			raise(SIGKILL);
		_exit(1);
	}
	int status;
	uint64_t v;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	struct bh_store *s = open_store(0);
	assert_int_equal(bh_store_get_u64(s, "kept", &v), 0);
	assert_int_equal(bh_store_get_u64(s, "lost", &v), -ENOENT);
	bh_store_close(s);
}

static void test_reader_does_not_block(void **state BH_UNUSED)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	struct bh_store *s = open_store(0);
	char bh_autofree *path = path_of("bulkhead.db");
	assert_int_equal(bh_store_put_u64(s, "x", 1), 0);
	assert_int_equal(bh_store_commit(s), 0);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT * FROM value", -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_int_equal(bh_store_put_u64(s, "x", 2), 0);
	assert_int_equal(bh_store_commit(s), 0);
	sqlite3_finalize(st);
	/* A writer does: the put fails, nothing is half done, and later it works. */
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_null(bh_store_trouble(s));
	assert_int_equal(bh_store_put_u64(s, "x", 3), -EBUSY);
	assert_non_null(bh_store_trouble(s)); /* somebody who keeps it so is to be noticed */
	assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(bh_store_put_u64(s, "x", 4), 0);
	assert_int_equal(bh_store_commit(s), 0);
	assert_null(bh_store_trouble(s));
	sqlite3_close(db);
	bh_store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_permissions),
		TEST(test_symlink_is_refused),
		TEST(test_no_database),
		TEST(test_decisions_are_kept_twice),
		TEST(test_set_aside_is_bounded),
		TEST(test_damaged_pages),
		TEST(test_foreign_and_newer),
		TEST(test_crash_keeps_commits),
		TEST(test_reader_does_not_block),
	};
	return cmocka_run_group_tests_name("store_damage", tests, NULL, NULL);
}
