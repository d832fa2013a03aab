/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Stays: who was on this node, when, and with which addresses. Bounded by age and by number; what
 * is asked of them is one walk along an index each, in stays_list.c.
 */
#include "store/internal.h"

#include <errno.h>

#define TRIM_MAX 1000 /* in a call: what is more waits for the next */

void bh_stay_finish(struct bh_stay *y)
{
	free(y->id);
	free(y->runtime);
	free(y->name);
	free(y->namespace);
	free(y->image);
	free(y->digest);
	bh_images_finish(&y->others);
	free(y->mark);
	free(y->addr);
	bh_labels_finish(&y->labels);
	*y = (struct bh_stay){0};
}

void bh_stay_copy(struct bh_stay *to, const struct bh_stay *from)
{
	*to = *from;
	to->id = bh_xstrdup(from->id);
	to->runtime = bh_xstrdup(from->runtime);
	to->name = bh_xstrdup(from->name);
	to->namespace = bh_xstrdup(from->namespace);
	to->image = bh_xstrdup(from->image);
	to->digest = bh_xstrdup(from->digest);
	bh_images_copy(&to->others, &from->others);
	to->mark = bh_xstrdup(from->mark);
	to->addr = from->n_addrs ? bh_xcalloc(from->n_addrs, sizeof(*to->addr)) : NULL;
	if (from->n_addrs)
		memcpy(to->addr, from->addr, from->n_addrs * sizeof(*to->addr));
	bh_labels_copy(&to->labels, &from->labels);
}

uint64_t bh_store_new_stay(struct bh_store *s)
{
	return ++s->stay;
}

uint64_t bh_store_count_stays(const struct bh_store *s)
{
	return s->stay_rows;
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static int bind_row(sqlite3_stmt *st, const struct bh_stay *y, struct bh_buf *labels)
{
	bh_store_format_labels(&y->labels, labels);
	bh_store_bind_u64(st, 1, y->number);
	bh_store_bind_text(st, 2, or_empty(y->id));
	bh_store_bind_text(st, 3, or_empty(y->runtime));
	bh_store_bind_text(st, 4, or_empty(y->name));
	bh_store_bind_text(st, 5, or_empty(y->namespace));
	bh_store_bind_text(st, 6, y->image);
	bh_store_bind_text(st, 7, y->digest);
	bh_store_bind_text(st, 8, or_empty(labels->s));
	bh_store_bind_text(st, 9, or_empty(y->mark));
	sqlite3_bind_int64(st, 10, y->started);
	sqlite3_bind_int(st, 11, y->early);
	sqlite3_bind_int64(st, 12, y->stopped);
	return sqlite3_bind_int(st, 13, y->unseen);
}

static int put_row(
	struct bh_store *s, const struct bh_stay *y, enum bh_store_stmt which, const char *sql)
{
	struct bh_buf bh_autobuf labels = {0};
	sqlite3_stmt *st;
	int r = bh_store_statement(s, which, sql, &st);
	if (r < 0)
		return r;
	bind_row(st, y, &labels);
	r = bh_store_run(s, st);
	return r < 0 ? r : sqlite3_changes(s->db);
}

static int put_addrs(struct bh_store *s, const struct bh_stay *y)
{
	uint8_t key[BH_STORE_KEY_MAX];
	sqlite3_stmt *st;
	int r = bh_store_statement(
		s, BH_STMT_CLEAR_STAY_ADDRS, "DELETE FROM stay_addr WHERE stay = ?", &st);
	if (r < 0)
		return r;
	bh_store_bind_u64(st, 1, y->number);
	r = bh_store_run(s, st);
	for (size_t i = 0; i < y->n_addrs && r == 0; i++) {
		r = bh_store_statement(s, BH_STMT_PUT_STAY_ADDR,
			"INSERT OR REPLACE INTO stay_addr (stay, addr, since, until)"
			" VALUES (?,?,?,?)",
			&st);
		if (r < 0)
			break;
		bh_store_bind_u64(st, 1, y->number);
		sqlite3_bind_blob(
			st, 2, key, (int)bh_store_addr_key(&y->addr[i].addr, key), SQLITE_STATIC);
		sqlite3_bind_int64(st, 3, y->addr[i].since);
		sqlite3_bind_int64(st, 4, y->addr[i].until);
		r = bh_store_run(s, st);
	}
	return r;
}

static int put_images(struct bh_store *s, const struct bh_stay *y)
{
	sqlite3_stmt *st;
	int r = bh_store_statement(
		s, BH_STMT_CLEAR_STAY_IMAGES, "DELETE FROM stay_other WHERE stay = ?", &st);
	if (r < 0)
		return r;
	bh_store_bind_u64(st, 1, y->number);
	r = bh_store_run(s, st);
	for (size_t i = 0; i < y->others.n && r == 0; i++) {
		r = bh_store_statement(s, BH_STMT_PUT_STAY_IMAGE,
			"INSERT INTO stay_other (stay, position, image, digest) VALUES (?,?,?,?)",
			&st);
		if (r < 0)
			break;
		bh_store_bind_u64(st, 1, y->number);
		sqlite3_bind_int64(st, 2, (int64_t)i);
		bh_store_bind_text(st, 3, y->others.item[i].image);
		bh_store_bind_text(st, 4, y->others.item[i].digest);
		r = bh_store_run(s, st);
	}
	return r;
}

int bh_store_put_stay(struct bh_store *s, const struct bh_stay *y)
{
	int r = bh_store_begin(s);
	if (r < 0)
		return r;
	r = put_row(s, y, BH_STMT_UPDATE_STAY,
		"UPDATE stay SET id = ?2, runtime = ?3, name = ?4, namespace = ?5, image = ?6,"
		" digest = ?7, labels = ?8, mark = ?9, started = ?10, early = ?11, stopped = ?12,"
		" unseen = ?13 WHERE number = ?1");
	if (r == 0) {
		r = put_row(s, y, BH_STMT_INSERT_STAY,
			"INSERT INTO stay (number, id, runtime, name, namespace, image, digest,"
			" labels, mark, started, early, stopped, unseen)"
			" VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)");
		s->stay_rows += r > 0;
	}
	if (r >= 0)
		r = put_images(s, y);
	return r < 0 ? r : put_addrs(s, y);
}

/* --- forgetting --- */

/* The one that stopped last of the `n` that stopped first. 0: there are none. */
static int64_t nth_stop(struct bh_store *s, uint64_t n, int *ret_err)
{
	sqlite3_stmt *st;
	int64_t at = 0;
	*ret_err = bh_store_statement(s, BH_STMT_NTH_STOP,
		"SELECT max(stopped) FROM (SELECT stopped FROM stay WHERE stopped > 0"
		" ORDER BY stopped LIMIT ?)",
		&st);
	if (*ret_err < 0)
		return 0;
	bh_store_bind_u64(st, 1, n);
	int rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		at = sqlite3_column_int64(st, 0);
	*ret_err = bh_store_finish_read(s, st, rc);
	return at;
}

static int forget(struct bh_store *s, enum bh_store_stmt which, const char *sql, int64_t before)
{
	sqlite3_stmt *st;
	int r = bh_store_statement(s, which, sql, &st);
	if (r < 0)
		return r;
	sqlite3_bind_int64(st, 1, before);
	sqlite3_bind_int(st, 2, TRIM_MAX);
	r = bh_store_run(s, st);
	return r < 0 ? r : sqlite3_changes(s->db);
}

#define OLDEST                                                                                     \
	"SELECT number FROM stay WHERE stopped > 0 AND stopped < ?1 ORDER BY stopped, number "     \
	"LIMIT ?2"

int bh_store_trim_stays(struct bh_store *s, int64_t before, uint64_t max)
{
	int r = 0;
	if (s->stay_rows > max) {
		uint64_t surplus = s->stay_rows - max;
		int64_t at = nth_stop(s, surplus < TRIM_MAX ? surplus : TRIM_MAX, &r);
		if (r < 0)
			return r;
		before = at >= before ? at + 1 : before;
	}
	int64_t oldest = nth_stop(s, 1, &r);
	if (r < 0 || oldest == 0 || oldest >= before)
		return r; /* nothing to write */
	r = bh_store_begin(s);
	if (r == 0)
		r = forget(s, BH_STMT_TRIM_STAY_IMAGES,
			"DELETE FROM stay_other WHERE stay IN (" OLDEST ")", before);
	if (r >= 0)
		r = forget(s, BH_STMT_TRIM_STAY_ADDRS,
			"DELETE FROM stay_addr WHERE stay IN (" OLDEST ")", before);
	if (r >= 0)
		r = forget(s, BH_STMT_TRIM_STAYS, "DELETE FROM stay WHERE number IN (" OLDEST ")",
			before);
	if (r > 0)
		s->stay_rows -= (uint64_t)r;
	return r < 0 ? r : 0;
}
