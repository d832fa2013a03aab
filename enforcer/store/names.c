/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names that DNS answers gave to addresses. A row that cannot be read is left out: a name is a
 * label, and comes again. */
#include "store/internal.h"

#include <errno.h>

/* What enforcer/dns lets through: whoever edits the database does not write to our terminals. */
static bool is_host_name(const char *s)
{
	size_t n = s ? strlen(s) : 0;
	return n > 0 && n <= BH_STORE_NAME_MAX &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == n;
}

static void bind_key(sqlite3_stmt *st, const struct bh_name_row *r, struct bh_buf *end)
{
	char addr[BH_ADDR_STRLEN];
	bh_store_format_end(&r->end, end);
	bh_store_bind_text(st, 1, end->s);
	sqlite3_bind_text(st, 2, bh_addr_format(&r->addr, addr), -1, SQLITE_TRANSIENT);
	bh_store_bind_text(st, 3, r->name);
}

int bh_store_put_name(struct bh_store *s, const struct bh_name_row *r)
{
	struct bh_buf bh_autobuf end = {0};
	sqlite3_stmt *st;
	int e = bh_store_change(s, BH_STMT_PUT_NAME,
		"INSERT OR REPLACE INTO name (end, addr, name, first_seen, last_seen)"
		" VALUES (?,?,?,?,?)",
		&st);
	if (e < 0)
		return e;
	bind_key(st, r, &end);
	sqlite3_bind_int64(st, 4, r->first_seen);
	sqlite3_bind_int64(st, 5, r->last_seen);
	return bh_store_run(s, st);
}

int bh_store_drop_name(struct bh_store *s, const struct bh_name_row *r)
{
	struct bh_buf bh_autobuf end = {0};
	sqlite3_stmt *st;
	int e = bh_store_change(s, BH_STMT_DROP_NAME,
		"DELETE FROM name WHERE end = ? AND addr = ? AND name = ?", &st);
	if (e < 0)
		return e;
	bind_key(st, r, &end);
	return bh_store_run(s, st);
}

int bh_store_load_names(
	struct bh_store *s, void (*fn)(const struct bh_name_row *, void *), void *arg)
{
	sqlite3_stmt *st;
	size_t bad = 0;
	int rc, e = bh_store_statement(s, BH_STMT_LOAD_NAMES,
			"SELECT end, addr, name, first_seen, last_seen FROM name"
			" ORDER BY last_seen",
			&st);
	if (e < 0)
		return e;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		const char *addr = (const char *)sqlite3_column_text(st, 1);
		struct bh_name_row r = {.name = (char *)sqlite3_column_text(st, 2),
			.first_seen = sqlite3_column_int64(st, 3),
			.last_seen = sqlite3_column_int64(st, 4)};
		if (!addr || bh_addr_parse(addr, &r.addr) < 0 || !is_host_name(r.name) ||
			bh_store_parse_end((const char *)sqlite3_column_text(st, 0), &r.end) < 0) {
			bad++;
			continue;
		}
		fn(&r, arg);
		bh_end_finish(&r.end);
	}
	e = bh_store_finish_read(s, st, rc);
	if (e == 0 && bad)
		bh_store_set_message(s, "%zu rows of table name cannot be read: left out", bad);
	return e;
}
