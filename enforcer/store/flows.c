/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Flows, aggregated. `seq` is the row id and moves with every change, so that the cursor of a
 * reader and "the oldest" are both a walk along the primary key. Not to be confused with the audit
 * log: the table is a bounded summary, rows are put together when it is full (flow_fold.c).
 */
#include "store/internal.h"

#include <errno.h>

void bh_flow_row_finish(struct bh_flow_row *r)
{
	free(r->src);
	free(r->dst);
	free(r->src_addr);
	free(r->dst_addr);
	free(r->src_id);
	free(r->dst_id);
	free(r->verdict);
	free(r->reason);
	free(r->mode);
	free(r->rule);
	*r = (struct bh_flow_row){0};
}

void bh_flow_row_copy(struct bh_flow_row *to, const struct bh_flow_row *from)
{
	*to = *from;
	to->src = bh_xstrdup(from->src);
	to->dst = bh_xstrdup(from->dst);
	to->src_addr = bh_xstrdup(from->src_addr);
	to->dst_addr = bh_xstrdup(from->dst_addr);
	to->src_id = bh_xstrdup(from->src_id);
	to->dst_id = bh_xstrdup(from->dst_id);
	to->verdict = bh_xstrdup(from->verdict);
	to->reason = bh_xstrdup(from->reason);
	to->mode = bh_xstrdup(from->mode);
	to->rule = bh_xstrdup(from->rule);
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

size_t bh_store_addr_key(const struct bh_addr *a, uint8_t key[static BH_STORE_KEY_MAX])
{
	key[0] = a->family;
	memcpy(key + 1, a->b, bh_addr_size(a));
	return 1 + bh_addr_size(a);
}

void bh_store_bind_range(
	sqlite3_stmt *st, int at, const struct bh_range *r, struct bh_store_range_key *key)
{
	sqlite3_bind_blob(
		st, at, key->first, (int)bh_store_addr_key(&r->first, key->first), SQLITE_STATIC);
	sqlite3_bind_blob(
		st, at + 1, key->last, (int)bh_store_addr_key(&r->last, key->last), SQLITE_STATIC);
}

/* The key of a row, at parameters 1 to 11. No rule is the empty text, because
 * NULLs are all different to UNIQUE. */
static void bind_key(sqlite3_stmt *st, const struct bh_flow_row *r)
{
	bh_store_bind_text(st, 1, or_empty(r->src));
	bh_store_bind_text(st, 2, or_empty(r->dst));
	sqlite3_bind_int(st, 3, r->proto);
	sqlite3_bind_int(st, 4, r->port);
	bh_store_bind_text(st, 5, or_empty(r->verdict));
	bh_store_bind_text(st, 6, or_empty(r->reason));
	bh_store_bind_text(st, 7, or_empty(r->rule));
	bh_store_bind_text(st, 8, or_empty(r->src_addr));
	bh_store_bind_text(st, 9, or_empty(r->dst_addr));
	bh_store_bind_u64(st, 10, r->src_stay);
	bh_store_bind_u64(st, 11, r->dst_stay);
}

static void bind_rest(sqlite3_stmt *st, const struct bh_flow_row *r, uint64_t seq)
{
	bh_store_bind_u64(st, 12, seq);
	bh_store_bind_text(st, 13, or_empty(r->mode));
	bh_store_bind_text(st, 14, r->src_id);
	bh_store_bind_text(st, 15, r->dst_id);
	sqlite3_bind_int64(st, 16, r->first_seen);
	sqlite3_bind_int64(st, 17, r->last_seen);
	bh_store_bind_u64(st, 18, r->count);
	bh_store_bind_volume(st, 19, &r->volume);
}

/* One statement for both, which looks for the row once: most of what a flow costs is spent here. */
static int put(struct bh_store *s, const struct bh_flow_row *r, bool *ret_new)
{
	sqlite3_stmt *st;
	int err = bh_store_statement(s, BH_STMT_PUT_FLOW,
		"INSERT INTO flow (src, dst, proto, port, verdict, reason, rule, src_addr,"
		" dst_addr, src_stay, dst_stay, seq, mode, src_id, dst_id, first_seen, last_seen,"
		" count, " BH_STORE_VOLUME_COLUMNS ", src_key, dst_key) VALUES (?1,?2,?3,?4,?5,"
		"?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?22,?23,?24,"
		"bh_addr_key(?8),bh_addr_key(?9))"
		" ON CONFLICT (src, dst, proto, port, verdict, reason, rule, src_addr, dst_addr,"
		" src_stay, dst_stay) DO UPDATE SET seq = ?12, mode = ?13, src_id = ?14,"
		" dst_id = ?15, first_seen = min(first_seen, ?16), last_seen = max(last_seen, ?17),"
		" count = count + ?18, ended = ended + ?19, packets_out = packets_out + ?20,"
		" packets_back = packets_back + ?21, bytes_out = bytes_out + ?22,"
		" bytes_back = bytes_back + ?23, duration = duration + ?24",
		&st);
	if (err < 0)
		return err;
	bind_key(st, r);
	bind_rest(st, r, s->seq + 1);
	sqlite3_set_last_insert_rowid(s->db, 0); /* an update leaves it */
	err = bh_store_run(s, st);
	*ret_new = err == 0 && sqlite3_last_insert_rowid(s->db) != 0;
	return err;
}

int bh_store_add_flow(struct bh_store *s, const struct bh_flow_row *r, uint64_t max_rows)
{
	bool is_new;
	int err = bh_store_begin(s);
	if (err == 0)
		err = put(s, r, &is_new);
	if (err < 0)
		return err;
	s->seq++;
	s->flow_rows += is_new;
	return bh_store_trim_flows(s, max_rows);
}

static char *column_dup(sqlite3_stmt *st, int at)
{
	return bh_xstrdup((const char *)sqlite3_column_text(st, at));
}

static void read_row(sqlite3_stmt *st, struct bh_flow_row *ret)
{
	*ret = (struct bh_flow_row){
		.src = column_dup(st, 0),
		.dst = column_dup(st, 1),
		.proto = (uint8_t)sqlite3_column_int(st, 2),
		.port = (uint16_t)sqlite3_column_int(st, 3),
		.verdict = column_dup(st, 4),
		.reason = column_dup(st, 5),
		.rule = column_dup(st, 6),
		.seq = (uint64_t)sqlite3_column_int64(st, 7),
		.mode = column_dup(st, 8),
		.src_addr = column_dup(st, 9),
		.dst_addr = column_dup(st, 10),
		.src_id = column_dup(st, 11),
		.dst_id = column_dup(st, 12),
		.first_seen = sqlite3_column_int64(st, 13),
		.last_seen = sqlite3_column_int64(st, 14),
		.count = (uint64_t)sqlite3_column_int64(st, 15),
		.src_stay = (uint64_t)sqlite3_column_int64(st, 16),
		.dst_stay = (uint64_t)sqlite3_column_int64(st, 17),
	};
	bh_store_read_volume(st, 18, &ret->volume);
	if (ret->rule && !*ret->rule) {
		free(ret->rule);
		ret->rule = NULL;
	}
}

#define COLUMNS                                                                                    \
	"src, dst, proto, port, verdict, reason, rule, seq, mode, src_addr, dst_addr, src_id,"     \
	" dst_id, first_seen, last_seen, count, src_stay, dst_stay, " BH_STORE_VOLUME_COLUMNS

static int read_rows(struct bh_store *s, sqlite3_stmt *st,
	void (*fn)(const struct bh_flow_row *, void *), void *arg)
{
	int rc;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct bh_flow_row row;
		read_row(st, &row);
		fn(&row, arg);
		bh_flow_row_finish(&row);
	}
	return bh_store_finish_read(s, st, rc);
}

static void bind_limit(sqlite3_stmt *st, int at, uint64_t limit)
{
	bh_store_bind_u64(st, at, limit > INT64_MAX ? INT64_MAX : limit);
}

int bh_store_flows_after(struct bh_store *s, uint64_t since, size_t limit,
	void (*fn)(const struct bh_flow_row *, void *), void *arg)
{
	sqlite3_stmt *st;
	int r = bh_store_statement(s, BH_STMT_FLOWS_SINCE,
		"SELECT " COLUMNS " FROM flow WHERE seq > ?2 ORDER BY seq LIMIT ?1", &st);
	if (r < 0)
		return r;
	bind_limit(st, 1, limit);
	bind_limit(st, 2, since);
	return read_rows(s, st, fn, arg);
}

int bh_store_list_unmatched(
	struct bh_store *s, size_t limit, void (*fn)(const struct bh_flow_row *, void *), void *arg)
{
	sqlite3_stmt *st;
	int r = bh_store_statement(s, BH_STMT_FLOWS_UNMATCHED,
		"SELECT * FROM (SELECT " COLUMNS " FROM flow ORDER BY seq DESC LIMIT 20000)"
		" WHERE verdict IN ('drop', 'reject', 'would-deny')"
		" AND reason IN ('unmatched', 'unselected') ORDER BY seq DESC LIMIT ?1",
		&st);
	if (r < 0)
		return r;
	bind_limit(st, 1, limit);
	return read_rows(s, st, fn, arg);
}

int bh_store_list_flows(struct bh_store *s, uint64_t since, size_t limit,
	void (*fn)(const struct bh_flow_row *, void *), void *arg)
{
	sqlite3_stmt *st;
	if (since)
		return bh_store_flows_after(
			s, since == BH_FLOWS_OLDEST ? 0 : since, limit, fn, arg);
	int r = bh_store_statement(s, BH_STMT_FLOWS_NEWEST,
		"SELECT * FROM (SELECT " COLUMNS
		" FROM flow ORDER BY seq DESC LIMIT ?1) ORDER BY seq",
		&st);
	if (r < 0)
		return r;
	bind_limit(st, 1, limit);
	return read_rows(s, st, fn, arg);
}

/* seq is the row id, by which rows of one stay are sorted in the index already. */
int bh_store_flows_of_stay(struct bh_store *s, enum bh_flow_end end, uint64_t stay, size_t limit,
	void (*fn)(const struct bh_flow_row *, void *), void *arg)
{
	static const char *const sql[] = {
		"SELECT " COLUMNS " FROM flow WHERE src_stay = ? ORDER BY seq DESC LIMIT ?",
		"SELECT " COLUMNS " FROM flow WHERE dst_stay = ? ORDER BY seq DESC LIMIT ?",
	};
	sqlite3_stmt *st;
	int r = bh_store_statement(s, BH_STMT_FLOWS_SRC_STAY + (int)end, sql[end], &st);
	if (r < 0)
		return r;
	bh_store_bind_u64(st, 1, stay);
	bind_limit(st, 2, limit);
	return read_rows(s, st, fn, arg);
}

/* False: empty, of an end that is no address. */
static bool key_addr(const uint8_t *key, size_t len, struct bh_addr *ret)
{
	bool v4 = len == 5 && key[0] == BH_IPV4, v6 = len == 17 && key[0] == BH_IPV6;
	if (v4 || v6)
		*ret = bh_addr_from_bytes(v4 ? BH_IPV4 : BH_IPV6, key + 1);
	return v4 || v6;
}

int bh_store_list_flow_addrs(struct bh_store *s, enum bh_flow_end end,
	void (*fn)(const struct bh_addr *a, void *arg), void *arg)
{
	static const char *const sql[] = {
		"SELECT DISTINCT src_key FROM flow ORDER BY src_key",
		"SELECT DISTINCT dst_key FROM flow ORDER BY dst_key",
	};
	sqlite3_stmt *st;
	int rc, r = bh_store_statement(s, BH_STMT_FLOW_SRC_ADDRS + (int)end, sql[end], &st);
	if (r < 0)
		return r;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		const void *key = sqlite3_column_blob(st, 0);
		struct bh_addr a;
		if (key_addr(key, (size_t)sqlite3_column_bytes(st, 0), &a))
			fn(&a, arg);
	}
	return bh_store_finish_read(s, st, rc);
}

int bh_store_flows_of_range(struct bh_store *s, enum bh_flow_end end, const struct bh_range *range,
	size_t limit, void (*fn)(const struct bh_flow_row *, void *), void *arg)
{
	static const char *const sql[] = {
		"SELECT " COLUMNS " FROM flow WHERE src_key BETWEEN ? AND ? LIMIT ?",
		"SELECT " COLUMNS " FROM flow WHERE dst_key BETWEEN ? AND ? LIMIT ?",
	};
	struct bh_store_range_key key;
	sqlite3_stmt *st;
	int r = bh_store_statement(s, BH_STMT_FLOWS_SRC_RANGE + (int)end, sql[end], &st);
	if (r < 0)
		return r;
	bh_store_bind_range(st, 1, range, &key);
	bind_limit(st, 3, limit);
	return read_rows(s, st, fn, arg);
}
