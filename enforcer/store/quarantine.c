/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Quarantined workloads: a row each, what it may still do as the texts of bh_quarantine_allow. */
#include "store/internal.h"

static void bind_row(sqlite3_stmt *st, const struct bh_quarantine_row *q, const char *allow)
{
	bh_store_bind_text(st, 1, q->namespace);
	bh_store_bind_text(st, 2, q->name);
	bh_store_bind_text(st, 3, q->id ? q->id : "");
	bh_store_bind_text(st, 4, allow ? allow : "");
	bh_store_bind_text(st, 5, q->reason ? q->reason : "");
	sqlite3_bind_int64(st, 6, q->at);
	sqlite3_bind_int64(st, 7, q->uid);
	sqlite3_bind_int64(st, 8, q->pid);
}

int bh_store_put_quarantine(struct bh_store *s, const struct bh_quarantine_row *q)
{
	struct bh_buf bh_autobuf allow = {0};
	sqlite3_stmt *st;
	int r = bh_store_change(s, BH_STMT_PUT_QUARANTINE,
		"INSERT OR REPLACE INTO quarantine"
		" (namespace, name, id, allow, reason, at, uid, pid) VALUES "
		"(?,?,?,?,?,?,?,?)",
		&st);
	if (r < 0)
		return r;
	for (size_t i = 0; q->allow && i < q->allow->n; i++) {
		bh_buf_str(&allow, i ? " " : "");
		bh_quarantine_format(&q->allow->allow[i], &allow);
	}
	bind_row(st, q, allow.s);
	s->decided = true;
	return bh_store_run(s, st);
}

int bh_store_drop_quarantine(struct bh_store *s, const char *namespace, const char *name)
{
	sqlite3_stmt *st;
	int r = bh_store_change(s, BH_STMT_DROP_QUARANTINE,
		"DELETE FROM quarantine WHERE namespace = ? AND name = ?", &st);
	if (r < 0)
		return r;
	bh_store_bind_text(st, 1, namespace);
	bh_store_bind_text(st, 2, name);
	s->decided = true;
	return bh_store_run(s, st);
}

/* An entry that cannot be read allows nothing: the workload stays cut off. */
static size_t read_allow(char *text, struct bh_quarantine *q)
{
	size_t bad = 0;
	char *rest = NULL;
	const char *why;
	for (char *w = strtok_r(text, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
		bad += bh_quarantine_allow(q, w, &why) < 0;
	return bad;
}

static char *column(sqlite3_stmt *st, int at)
{
	const char *text = (const char *)sqlite3_column_text(st, at);
	return bh_xstrdup(text ? text : "");
}

static size_t load_one(
	sqlite3_stmt *st, void (*fn)(const struct bh_quarantine_row *, void *), void *arg)
{
	char bh_autofree *ns = column(st, 0), bh_autofree *name = column(st, 1);
	char bh_autofree *id = column(st, 2), bh_autofree *allow = column(st, 3);
	char bh_autofree *reason = column(st, 4);
	struct bh_quarantine_row q = {
		.namespace = ns,
		.name = name,
		.id = id,
		.allow = bh_quarantine_new(),
		.reason = reason,
		.at = sqlite3_column_int64(st, 5),
		.uid = (uint32_t)sqlite3_column_int64(st, 6),
		.pid = (int32_t)sqlite3_column_int64(st, 7),
	};
	size_t bad = read_allow(allow, q.allow);
	fn(&q, arg);
	bh_quarantine_unref(q.allow);
	return bad;
}

int bh_store_load_quarantine(
	struct bh_store *s, void (*fn)(const struct bh_quarantine_row *, void *), void *arg)
{
	sqlite3_stmt *st;
	size_t bad = 0;
	int rc, r = bh_store_statement(s, BH_STMT_LOAD_QUARANTINE,
			"SELECT namespace, name, id, allow, reason, at, uid, pid FROM quarantine"
			" ORDER BY namespace, name",
			&st);
	if (r < 0)
		return r;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		bad += load_one(st, fn, arg);
	r = bh_store_finish_read(s, st, rc);
	if (r == 0 && bad)
		bh_store_set_message(s,
			"%zu entries of table quarantine cannot be read: they allow nothing", bad);
	return r;
}
