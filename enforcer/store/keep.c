/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What people decided by command, a second time: modes and quarantines, in DIR/bulkhead.keep. The
 * database is large and written all the time; when it is damaged or gone, what was learned and
 * recorded can be collected again, but a node in mode enforce must not come up in another mode, nor
 * let a quarantined workload out. The copy is attached, and written when the database's transaction
 * is on disk, in one of its own: SQLite commits files one by one where one has a write-ahead log,
 * so that of a transaction over both one half could stay, although whoever asked was refused.
 */
#include "store/internal.h"

#include <errno.h>

static int run(sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static int attach(sqlite3 *db, const char *path)
{
	int r = bh_store_make_file(path);
	if (r < 0)
		return r;
	char *sql = sqlite3_mprintf("ATTACH %Q AS keep; PRAGMA keep.synchronous=FULL;", path);
	int rc = sql ? run(db, sql) : SQLITE_NOMEM;
	sqlite3_free(sql);
	if (rc == SQLITE_OK)
		rc = bh_store_check(db, "PRAGMA keep.quick_check(1)");
	return bh_store_errno(db, rc);
}

/* Whatever stands in its place, the copy must not keep the daemon from starting. */
static int attach_anyhow(sqlite3 *db, const char *path)
{
	char bh_autofree *journal = bh_xasprintf("%s-journal", path);
	int r = attach(db, path);
	if (r != -EUCLEAN)
		return r;
	run(db, "DETACH keep");
	unlink(journal);
	return unlink(path) < 0 ? -errno : attach(db, path);
}

/* All or nothing of a transaction: an SQLite result code. */
static int run_whole(sqlite3 *db, const char *sql)
{
	int rc = run(db, sql);
	if (rc != SQLITE_OK && !sqlite3_get_autocommit(db))
		run(db, "ROLLBACK");
	return rc;
}

/* One number; −1: there is no such table, or the disk says no. */
static int64_t ask(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int64_t n = -1;
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK &&
		sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

/* Who has the later number is right: the database may be an older one by itself, without its
 * write-ahead log, as the copy is where it could not be written. */
static int compare(sqlite3 *db, bool *ret_had)
{
	int64_t copy = ask(db, "SELECT coalesce(max(value), 0) FROM keep.value");
	int64_t own =
		ask(db, "SELECT coalesce(max(value), 0) FROM main.value WHERE name = 'decision'");
	*ret_had = copy >= 0;
	return copy > own ? 1 : copy < own ? -1 : 0;
}

static int take(sqlite3 *db)
{
	return run_whole(db, "BEGIN IMMEDIATE;"
			     "DELETE FROM main.mode; DELETE FROM main.quarantine;"
			     "INSERT INTO main.mode SELECT * FROM keep.mode;"
			     "INSERT INTO main.quarantine SELECT * FROM keep.quarantine;"
			     "INSERT OR REPLACE INTO main.value SELECT * FROM keep.value;"
			     "COMMIT;");
}

int bh_store_keep_save(sqlite3 *db)
{
	int rc = run_whole(db, "BEGIN; DROP TABLE IF EXISTS keep.mode;"
			       "DROP TABLE IF EXISTS keep.quarantine;"
			       "DROP TABLE IF EXISTS keep.value;"
			       "CREATE TABLE keep.mode AS SELECT * FROM main.mode;"
			       "CREATE TABLE keep.quarantine AS SELECT * FROM main.quarantine;"
			       "CREATE TABLE keep.value AS SELECT * FROM main.value"
			       " WHERE name = 'decision';"
			       "COMMIT;");
	return bh_store_errno(db, rc);
}

int bh_store_keep_count(sqlite3 *db)
{
	return run(db, "INSERT OR REPLACE INTO main.value (name, value) SELECT 'decision', 1 +"
		       " (SELECT coalesce(max(value), 0) FROM main.value WHERE name = 'decision')");
}

int bh_store_keep_open(sqlite3 *db, const char *dir, struct bh_keep *ret)
{
	char bh_autofree *path = bh_xasprintf("%s/bulkhead.keep", dir);
	struct bh_keep k = {.error = attach_anyhow(db, path)};
	int which = k.error < 0 ? 0 : compare(db, &k.had);

	k.attached = k.error == 0;
	if (which > 0) {
		int rc = take(db);
		/* One of another version may have other columns: that is as if there were none. But
		 * where the disk is the matter, what was decided must be forgotten for no reason.
		 */
		if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_ERROR)
			return bh_store_errno(db, rc);
		k.had = k.taken = rc == SQLITE_OK;
	}
	if (k.attached && (which < 0 || !k.had))
		k.error = bh_store_keep_save(db);
	if (!k.attached)
		run(db, "DETACH keep");
	*ret = k;
	return 0;
}
