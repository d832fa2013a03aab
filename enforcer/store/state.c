/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What decides how the daemon starts: modes set at run time, and small named values. */
#include "store/internal.h"

#include <errno.h>

int bh_store_put_mode(struct bh_store *s, const struct bh_mode_row *m)
{
	sqlite3_stmt *st;
	int r = bh_store_change(s, BH_STMT_PUT_MODE,
		"INSERT OR REPLACE INTO mode (scope, mode, set_at, uid, until, back)"
		" VALUES (?,?,?,?,?,?)",
		&st);
	if (r < 0)
		return r;
	bh_store_bind_text(st, 1, m->scope ? m->scope : "");
	bh_store_bind_text(st, 2, bh_mode_name(m->mode));
	sqlite3_bind_int64(st, 3, m->set_at);
	sqlite3_bind_int64(st, 4, m->uid);
	sqlite3_bind_int64(st, 5, m->until);
	bh_store_bind_text(st, 6, m->has_back ? bh_mode_name(m->back) : "");
	s->decided = true;
	return bh_store_run(s, st);
}

int bh_store_drop_mode(struct bh_store *s, const char *scope)
{
	sqlite3_stmt *st;
	int r = bh_store_change(s, BH_STMT_DROP_MODE, "DELETE FROM mode WHERE scope = ?", &st);
	if (r < 0)
		return r;
	bh_store_bind_text(st, 1, scope);
	s->decided = true;
	return bh_store_run(s, st);
}

int bh_store_shift_modes(struct bh_store *s, int64_t by)
{
	sqlite3_stmt *st;
	int r = bh_store_change(s, BH_STMT_SHIFT_MODES,
		"UPDATE mode SET set_at = set_at + ?1,"
		" until = CASE WHEN until > 0 THEN until + ?1 ELSE 0 END",
		&st);
	if (r < 0)
		return r;
	sqlite3_bind_int64(st, 1, by);
	s->decided = true;
	return bh_store_run(s, st);
}

int bh_store_rebase_modes(struct bh_store *s, int64_t now)
{
	sqlite3_stmt *st;
	int r = bh_store_change(s, BH_STMT_REBASE_MODES,
		"UPDATE mode SET set_at = set_at - late.by,"
		" until = CASE WHEN until > 0 THEN until - late.by ELSE 0 END"
		" FROM (SELECT max(set_at) - ?1 AS by FROM mode) AS late WHERE set_at > ?1",
		&st);
	if (r < 0)
		return r;
	sqlite3_bind_int64(st, 1, now);
	s->decided = true;
	return bh_store_run(s, st);
}

static bool read_mode(sqlite3_stmt *st, struct bh_mode_row *m)
{
	const char *mode = (const char *)sqlite3_column_text(st, 1);
	const char *back = (const char *)sqlite3_column_text(st, 5);
	m->set_at = sqlite3_column_int64(st, 2);
	m->uid = (uint32_t)sqlite3_column_int64(st, 3);
	m->until = sqlite3_column_int64(st, 4);
	m->has_back = back && *back;
	return m->scope && mode && bh_mode_parse(mode, &m->mode) == 0 &&
	       (!m->has_back || bh_mode_parse(back, &m->back) == 0);
}

int bh_store_load_modes(
	struct bh_store *s, void (*fn)(const struct bh_mode_row *, void *), void *arg)
{
	sqlite3_stmt *st;
	size_t bad = 0;
	int rc, r = bh_store_statement(s, BH_STMT_LOAD_MODES,
			"SELECT scope, mode, set_at, uid, until, back FROM mode ORDER BY scope",
			&st);
	if (r < 0)
		return r;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		char bh_autofree *scope = bh_xstrdup((const char *)sqlite3_column_text(st, 0));
		struct bh_mode_row m = {.scope = scope};
		if (read_mode(st, &m))
			fn(&m, arg);
		else
			bad++;
	}
	r = bh_store_finish_read(s, st, rc);
	if (r == 0 && bad)
		bh_store_set_message(s, "%zu rows of table mode cannot be read: left out", bad);
	return r;
}

int bh_store_put_u64(struct bh_store *s, const char *name, uint64_t v)
{
	sqlite3_stmt *st;
	int r = bh_store_change(s, BH_STMT_PUT_VALUE,
		"INSERT OR REPLACE INTO value (name, value) VALUES (?,?)", &st);
	if (r < 0)
		return r;
	bh_store_bind_text(st, 1, name);
	bh_store_bind_u64(st, 2, v);
	return bh_store_run(s, st);
}

int bh_store_get_u64(struct bh_store *s, const char *name, uint64_t *ret)
{
	sqlite3_stmt *st;
	uint64_t v = 0;
	int r = bh_store_statement(
		s, BH_STMT_GET_VALUE, "SELECT value FROM value WHERE name = ?", &st);
	if (r < 0)
		return r;
	bh_store_bind_text(st, 1, name);
	int rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		v = (uint64_t)sqlite3_column_int64(st, 0);
	r = bh_store_finish_read(s, st, rc);
	if (r < 0)
		return r;
	if (rc == SQLITE_DONE)
		return -ENOENT;
	*ret = v;
	return 0;
}
