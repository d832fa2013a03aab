/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Flow rows that are too many: the oldest are put together by who, to whom, what and with which
 * verdict; outside addresses become "outside". Where even those are too many, ports are given up
 * (0), and then, of those that were seen longest ago, the names ("*").
 */
#include "store/internal.h"

#define FOLDS_MAX 10000 /* rows of table flow_fold */
#define BATCH_PART 64 /* of the rows that are kept: so many more go at a time */

#define INTO                                                                                       \
	"INSERT INTO flow_fold (src, dst, proto, port, verdict, first_seen, last_seen, count, "    \
	"rows)"
#define ADD                                                                                        \
	" ON CONFLICT (src, dst, proto, port, verdict) DO UPDATE SET"                              \
	" first_seen = min(first_seen, excluded.first_seen),"                                      \
	" last_seen = max(last_seen, excluded.last_seen),"                                         \
	" count = count + excluded.count, rows = rows + excluded.rows"

/* The oldest ?1 rows. (WHERE true: else SQLite takes ON CONFLICT for a join's.) */
static const char fold_sql[] = INTO
	" SELECT CASE WHEN src = src_addr THEN 'outside' ELSE src END,"
	" CASE WHEN dst = dst_addr THEN 'outside' ELSE dst END, proto, port, verdict,"
	" min(first_seen), max(last_seen), sum(count), count(*)"
	" FROM (SELECT * FROM flow ORDER BY seq LIMIT ?1) WHERE true GROUP BY 1, 2, 3, 4, 5" ADD;
static const char ports_sql[] =
	INTO " SELECT src, dst, proto, 0, verdict, min(first_seen), max(last_seen), sum(count), "
	     "sum(rows)"
	     " FROM flow_fold WHERE port <> 0 GROUP BY src, dst, proto, verdict" ADD;
/* What was seen last before the ?1 latest. */
static const char names_sql[] = INTO
	" SELECT '*', '*', 0, 0, verdict, min(first_seen), max(last_seen), sum(count), sum(rows)"
	" FROM (SELECT * FROM flow_fold WHERE src <> '*' ORDER BY last_seen DESC LIMIT -1 OFFSET "
	"?1)"
	" WHERE true GROUP BY verdict" ADD;

static int run(struct bh_store *s, enum bh_store_stmt which, const char *sql, uint64_t arg)
{
	sqlite3_stmt *st;
	int r = bh_store_statement(s, which, sql, &st);
	if (r < 0)
		return r;
	if (sqlite3_bind_parameter_count(st))
		bh_store_bind_u64(st, 1, arg);
	return bh_store_run(s, st);
}

static int64_t count_folds(struct bh_store *s)
{
	sqlite3_stmt *st;
	int64_t n = 0;
	int r = bh_store_statement(s, BH_STMT_COUNT_FOLDS, "SELECT count(*) FROM flow_fold", &st);
	if (r < 0)
		return r;
	int rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	r = bh_store_finish_read(s, st, rc == SQLITE_ROW ? SQLITE_DONE : rc);
	return r < 0 ? r : n;
}

static int bound_folds(struct bh_store *s)
{
	int64_t n = count_folds(s);
	if (n <= FOLDS_MAX)
		return n < 0 ? (int)n : 0;
	int r = run(s, BH_STMT_FOLD_PORTS, ports_sql, 0);
	if (r == 0)
		r = run(s, BH_STMT_FOLD_PORTS_DROP, "DELETE FROM flow_fold WHERE port <> 0", 0);
	n = r == 0 ? count_folds(s) : r;
	if (n <= FOLDS_MAX)
		return n < 0 ? (int)n : 0;
	r = run(s, BH_STMT_FOLD_NAMES, names_sql, FOLDS_MAX / 2);
	if (r == 0)
		r = run(s, BH_STMT_FOLD_NAMES_DROP,
			"DELETE FROM flow_fold WHERE (src, dst, proto, port, verdict) IN (SELECT"
			" src, dst, proto, port, verdict FROM flow_fold WHERE src <> '*'"
			" ORDER BY last_seen DESC LIMIT -1 OFFSET ?1)",
			FOLDS_MAX / 2);
	return r;
}

int bh_store_trim_flows(struct bh_store *s, uint64_t max_rows)
{
	if (s->flow_rows <= max_rows)
		return 0;
	uint64_t surplus = s->flow_rows - max_rows + max_rows / BATCH_PART;
	int r = run(s, BH_STMT_FOLD_FLOWS, fold_sql, surplus);
	if (r == 0)
		r = run(s, BH_STMT_TRIM_FLOWS,
			"DELETE FROM flow WHERE seq IN (SELECT seq FROM flow ORDER BY seq LIMIT ?)",
			surplus);
	if (r < 0)
		return r;
	s->flow_rows -= (uint64_t)sqlite3_changes(s->db);
	return bound_folds(s);
}

int bh_store_list_flow_folds(struct bh_store *s, size_t limit,
	void (*fn)(const struct bh_flow_fold *, void *), void *arg)
{
	sqlite3_stmt *st;
	int rc, r = bh_store_statement(s, BH_STMT_LIST_FOLDS,
			"SELECT src, dst, proto, port, verdict, first_seen, last_seen, count, rows"
			" FROM flow_fold ORDER BY count DESC, src, dst, proto, port, verdict"
			" LIMIT ?",
			&st);
	if (r < 0)
		return r;
	bh_store_bind_u64(st, 1, limit);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct bh_flow_fold f = {
			.src = (const char *)sqlite3_column_text(st, 0),
			.dst = (const char *)sqlite3_column_text(st, 1),
			.proto = (uint8_t)sqlite3_column_int(st, 2),
			.port = (uint16_t)sqlite3_column_int(st, 3),
			.verdict = (const char *)sqlite3_column_text(st, 4),
			.first_seen = sqlite3_column_int64(st, 5),
			.last_seen = sqlite3_column_int64(st, 6),
			.count = (uint64_t)sqlite3_column_int64(st, 7),
			.rows = (uint64_t)sqlite3_column_int64(st, 8),
		};
		fn(&f, arg);
	}
	return bh_store_finish_read(s, st, rc);
}

int bh_store_sum_flow_folds(struct bh_store *s, struct bh_flow_fold *ret)
{
	sqlite3_stmt *st;
	struct bh_flow_fold f = {0};
	int r = bh_store_statement(s, BH_STMT_SUM_FOLDS,
		"SELECT min(first_seen), max(last_seen), sum(count), sum(rows) FROM flow_fold",
		&st);
	if (r < 0)
		return r;
	int rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		f.first_seen = sqlite3_column_int64(st, 0);
		f.last_seen = sqlite3_column_int64(st, 1);
		f.count = (uint64_t)sqlite3_column_int64(st, 2);
		f.rows = (uint64_t)sqlite3_column_int64(st, 3);
	}
	r = bh_store_finish_read(s, st, rc == SQLITE_ROW ? SQLITE_DONE : rc);
	if (r == 0)
		*ret = f;
	return r;
}
