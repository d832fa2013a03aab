/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How well roles were seen. A row that cannot be read is left out: it is learned again. */
#include "store/internal.h"

#include <errno.h>

int bh_store_put_role(struct bh_store *s, const struct bh_role_row *r)
{
	struct bh_buf bh_autobuf end = {0};
	sqlite3_stmt *st;
	int e = bh_store_change(s, BH_STMT_PUT_ROLE,
		"INSERT OR REPLACE INTO role (end, since, last, learned, starts, hours,"
		" instances) VALUES (?,?,?,?,?,?,?)",
		&st);
	if (e < 0)
		return e;
	bh_store_format_end(&r->end, &end);
	bh_store_bind_text(st, 1, end.s);
	sqlite3_bind_int64(st, 2, r->since);
	sqlite3_bind_int64(st, 3, r->last);
	bh_store_bind_u64(st, 4, r->learned_s);
	bh_store_bind_u64(st, 5, r->starts);
	sqlite3_bind_blob(st, 6, r->hours, sizeof(r->hours), SQLITE_STATIC);
	sqlite3_bind_blob(
		st, 7, r->instance, (int)(r->n_instances * sizeof(r->instance[0])), SQLITE_STATIC);
	return bh_store_run(s, st);
}

int bh_store_drop_role(struct bh_store *s, const struct bh_end *end)
{
	struct bh_buf bh_autobuf text = {0};
	sqlite3_stmt *st;
	int e = bh_store_change(s, BH_STMT_DROP_ROLE, "DELETE FROM role WHERE end = ?", &st);
	if (e < 0)
		return e;
	bh_store_format_end(end, &text);
	bh_store_bind_text(st, 1, text.s);
	return bh_store_run(s, st);
}

static bool read_role(sqlite3_stmt *st, struct bh_role_row *ret)
{
	struct bh_role_row r = {
		.since = sqlite3_column_int64(st, 1),
		.last = sqlite3_column_int64(st, 2),
		.learned_s = (uint64_t)sqlite3_column_int64(st, 3),
		.starts = (uint64_t)sqlite3_column_int64(st, 4),
	};
	const void *hours = sqlite3_column_blob(st, 5), *instances = sqlite3_column_blob(st, 6);
	size_t bytes = (size_t)sqlite3_column_bytes(st, 6);
	if (!hours || sqlite3_column_bytes(st, 5) != BH_HOURS_BYTES ||
		bytes % sizeof(r.instance[0]) || bytes > sizeof(r.instance) ||
		bh_store_parse_end((const char *)sqlite3_column_text(st, 0), &r.end) < 0)
		return false;
	memcpy(r.hours, hours, sizeof(r.hours));
	if (bytes)
		memcpy(r.instance, instances, bytes);
	r.n_instances = bytes / sizeof(r.instance[0]);
	*ret = r;
	return true;
}

int bh_store_load_roles(
	struct bh_store *s, void (*fn)(const struct bh_role_row *, void *), void *arg)
{
	sqlite3_stmt *st;
	size_t bad = 0;
	int rc, e = bh_store_statement(s, BH_STMT_LOAD_ROLES,
			"SELECT end, since, last, learned, starts, hours, instances FROM role"
			" ORDER BY end",
			&st);
	if (e < 0)
		return e;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct bh_role_row r;
		if (!read_role(st, &r)) {
			bad++;
			continue;
		}
		fn(&r, arg);
		bh_end_finish(&r.end);
	}
	e = bh_store_finish_read(s, st, rc);
	if (e == 0 && bad)
		bh_store_set_message(s, "%zu rows of table role cannot be read: left out", bad);
	return e;
}
