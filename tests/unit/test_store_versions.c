/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store: versions of the policies, and databases of earlier programs. */
#include "store/store.h"

#include <errno.h>
#include <sqlite3.h>

#include "lib/store_dir.h"

static void keep_policy(const struct bh_policy_source *p, void *arg)
{
	struct bh_buf *b = arg;
	assert_int_equal(strlen(p->text), p->len);
	bh_buf_printf(b, "%s:%s ", p->file, p->text);
}

static char *files_of(struct bh_store *s, uint64_t number)
{
	struct bh_buf b = {0};
	assert_int_equal(bh_store_load_version_files(s, number, keep_policy, &b), 0);
	return bh_buf_take(&b);
}

static void expect_files(struct bh_store *s, uint64_t number, const char *want)
{
	char bh_autofree *got = files_of(s, number);
	assert_string_equal(got, want);
}

static int64_t count_rows(const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	char bh_autofree *path = path_of("bulkhead.db");
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	int64_t n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static void test_versions(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	struct bh_policy_source p[] = {{"z.yaml", "one", 3}, {"a.yaml", "two!", 3}, {"b", "", 0}};
	struct bh_version v = {.number = 1,
				  .sha256 = (char *)"aa",
				  .at = 5,
				  .cause = (char *)"start",
				  .user = (char *)"directory",
				  .comment = (char *)""},
			  got = {0};

	assert_int_equal(bh_store_get_version(s, 1, &got), -ENOENT);
	assert_int_equal(bh_store_put_version(s, &v, p, 3), 0);
	v = (struct bh_version){.number = 2,
		.sha256 = (char *)"bb",
		.at = 6,
		.cause = (char *)"apply",
		.user = (char *)"root",
		.by_user = true,
		.uid = UINT32_MAX,
		.pid = 77,
		.comment = (char *)"why; 'quoted'",
		.policies = 4};
	assert_int_equal(bh_store_put_version(s, &v, p, 1), 0);
	assert_int_equal(bh_store_put_version(s, &v, p, 2), 0); /* replaces */
	bh_store_close(s);
	s = open_store(0);
	assert_int_equal(bh_store_get_version(s, 1, &got), 0);
	assert_false(got.by_user);
	assert_string_equal(got.user, "directory");
	bh_version_finish(&got);
	assert_int_equal(bh_store_get_version(s, 2, &got), 0);
	assert_true(got.number == 2 && got.at == 6 && got.by_user && got.policies == 4);
	assert_true(got.uid == UINT32_MAX && got.pid == 77);
	assert_string_equal(got.sha256, "bb");
	assert_string_equal(got.cause, "apply");
	assert_string_equal(got.comment, "why; 'quoted'");
	bh_version_finish(&got);
	expect_files(s, 1, "z.yaml:one a.yaml:two b: ");
	expect_files(s, 2, "z.yaml:one a.yaml:two ");
	expect_files(s, 3, "");
	bh_store_close(s);
	assert_int_equal(count_rows("SELECT count(*) FROM policy_text"), 3); /* shared */
}

static void on_version(const struct bh_version *v, void *arg)
{
	bh_buf_printf(arg, "%llu ", (unsigned long long)v->number);
}

static void test_versions_change(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	struct bh_policy_source p[] = {{"a", "one", 3}, {"b", "two", 3}, {"c", "three", 5}};
	struct bh_version v = {.number = 1}, got = {0};
	struct bh_buf bh_autobuf list = {0};

	assert_int_equal(bh_store_put_version(s, &v, p, 2), 0);
	v.number = 2;
	assert_int_equal(bh_store_put_version(s, &v, p, 1), 0);
	assert_int_equal(bh_store_put_version_files(s, 2, &p[2], 1), 0);
	expect_files(s, 2, "c:three ");
	assert_int_equal(bh_store_list_versions(s, on_version, &list), 0);
	assert_string_equal(list.s, "2 1 ");
	assert_int_equal(bh_store_drop_version(s, 1), 0);
	assert_int_equal(bh_store_get_version(s, 1, &got), -ENOENT);
	expect_files(s, 2, "c:three ");
	bh_store_close(s);
	/* what nobody has any more is gone */
	assert_int_equal(count_rows("SELECT count(*) FROM policy_text"), 1);
	assert_int_equal(count_rows("SELECT count(*) FROM version_file"), 1);
}

static void test_versions_are_bounded(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	struct bh_version got = {0};
	char text[32];

	for (unsigned i = 1; i <= BH_VERSIONS_KEPT + 5; i++) {
		struct bh_policy_source p = {"f", text, 0};
		struct bh_version v = {.number = i};
		p.len = (size_t)snprintf(text, sizeof(text), "text %u", i);
		assert_int_equal(bh_store_put_version(s, &v, &p, 1), 0);
	}
	assert_int_equal(bh_store_get_version(s, 5, &got), -ENOENT);
	expect_files(s, 5, "");
	assert_int_equal(bh_store_get_version(s, 6, &got), 0);
	bh_version_finish(&got);
	expect_files(s, 6, "f:text 6 ");
	expect_files(s, BH_VERSIONS_KEPT + 5, "f:text 205 ");
	bh_store_close(s);
	assert_int_equal(count_rows("SELECT count(*) FROM version"), BH_VERSIONS_KEPT);
	assert_int_equal(count_rows("SELECT count(*) FROM policy_text"), BH_VERSIONS_KEPT);
}

/* A database of before versions were kept: what was in force last is the first of them. Its flows
 * stay, and can be found by their addresses. */
static void test_older_schema(void **state BH_UNUSED)
{
	struct bh_version got = {0};
	struct bh_buf bh_autobuf modes = {0};
	bh_store_close(open_store(0));
	run_sql("DROP TABLE version; DROP TABLE version_file; DROP TABLE policy_text;"
		"DROP TABLE quarantine; DROP TABLE role; DROP TABLE mode; DROP TABLE name;"
		"DROP TABLE flow_fold; ALTER TABLE tuple DROP COLUMN folded;"
		"ALTER TABLE tuple DROP COLUMN span;"
		"ALTER TABLE tuple DROP COLUMN answered_at;"
		"ALTER TABLE tuple DROP COLUMN review; ALTER TABLE tuple DROP COLUMN widened;"
		"ALTER TABLE tuple DROP COLUMN ended; ALTER TABLE tuple DROP COLUMN packets_out;"
		"ALTER TABLE tuple DROP COLUMN packets_back; ALTER TABLE tuple DROP COLUMN "
		"bytes_out;"
		"ALTER TABLE tuple DROP COLUMN bytes_back; ALTER TABLE tuple DROP COLUMN duration;"
		"INSERT INTO tuple VALUES ('host>host>6/22/0', 'host', 'host', 6, 22, 0, 1, 1, 1,"
		" 3, 9, 2, ''), ('host>host>6/23/0', 'host', 'host', 6, 23, 0, 1, 1, 0, 3, 9, 2,"
		" '');"
		"CREATE TABLE mode (scope TEXT PRIMARY KEY, mode TEXT NOT NULL,"
		" set_at INTEGER NOT NULL, uid INTEGER NOT NULL);"
		"INSERT INTO mode VALUES ('shop', 'audit', 4, 1000);"
		"DROP TABLE stay; DROP TABLE stay_addr; DROP TABLE stay_other; DROP TABLE flow;"
		"CREATE TABLE flow (seq INTEGER PRIMARY KEY, src TEXT NOT NULL, dst TEXT NOT NULL,"
		" proto INTEGER NOT NULL, port INTEGER NOT NULL, verdict TEXT NOT NULL,"
		" reason TEXT NOT NULL, rule TEXT NOT NULL, mode TEXT NOT NULL,"
		" src_addr TEXT NOT NULL, dst_addr TEXT NOT NULL, src_id TEXT, dst_id TEXT,"
		" first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, count INTEGER NOT NULL,"
		" UNIQUE (src, dst, proto, port, verdict, reason, rule));"
		"INSERT INTO flow VALUES (7, 'shop/web', '203.0.113.9', 6, 443, 'allow', 'policy',"
		" '', 'enforce', '10.0.0.2', '203.0.113.9', 'abc', NULL, 100, 200, 42);"
		"CREATE TABLE policy (position INTEGER PRIMARY KEY, file TEXT NOT NULL,"
		" text BLOB NOT NULL);"
		"CREATE TABLE policy_hash (one INTEGER PRIMARY KEY CHECK (one = 1),"
		" sha256 TEXT NOT NULL);"
		"INSERT INTO policy VALUES (0, '/etc/a.yaml', 'one'), (1, '/etc/b.yaml', 'two');"
		"INSERT INTO policy_hash VALUES (1, 'abc');"
		"INSERT INTO value VALUES ('policy_generation', 7);"
		"PRAGMA user_version = 1");
	struct bh_store *s = open_store(0);
	assert_int_equal(bh_store_get_version(s, 7, &got), 0);
	assert_string_equal(got.sha256, "abc");
	assert_true(got.policies == 2 && got.at == 0);
	bh_version_finish(&got);
	expect_files(s, 7, "/etc/a.yaml:one /etc/b.yaml:two ");
	assert_int_equal(bh_store_load_modes(s, keep_mode, &modes), 0);
	assert_string_equal(modes.s, "[shop]=audit@4/1000 ");
	assert_int_equal(count_rows("SELECT count(*) FROM tuple WHERE answered_at = 3"), 1);
	assert_int_equal(count_rows("SELECT count(*) FROM tuple WHERE answered_at = 0"), 1);
	/* and nothing of it is in the way of the next */
	struct bh_policy_source p[] = {{"a", "one", 3}, {"c", "new", 3}};
	struct bh_version v = {.number = 8};
	assert_int_equal(bh_store_put_version(s, &v, p, 2), 0);
	expect_files(s, 8, "a:one c:new ");
	expect_files(s, 7, "/etc/a.yaml:one /etc/b.yaml:two ");
	struct bh_prefix net;
	struct rows x = {0};
	assert_int_equal(bh_prefix_parse("203.0.113.0/24", &net), 0);
	const struct bh_range r = bh_prefix_range(&net);
	assert_int_equal(bh_store_flows_of_range(s, BH_FLOW_DST, &r, 10, keep_row, &x), 0);
	assert_int_equal(x.n, 1);
	assert_true(x.seq[0] == 7 && x.count[0] == 42 && x.port[0] == 443);
	bh_store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_versions),
		TEST(test_versions_change),
		TEST(test_versions_are_bounded),
		TEST(test_older_schema),
	};
	return cmocka_run_group_tests_name("store_versions", tests, NULL, NULL);
}
