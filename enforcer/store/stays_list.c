/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Asking for stays. Every question is a walk along one index with a LIMIT, so that its cost is that
 * of what it may read, however long the history is. A row that somebody edited is shown as far as
 * it can be read.
 */
#include "store/internal.h"

#include <errno.h>

#define COLUMNS                                                                                    \
	"number, id, runtime, name, namespace, image, digest, labels, mark, started, early,"       \
	" stopped, unseen"
#define ADDRS_MAX 4096 /* of one stay */

static char *text_of(sqlite3_stmt *st, int at)
{
	return bh_xstrdup((const char *)sqlite3_column_text(st, at));
}

static char *some_text_of(sqlite3_stmt *st, int at)
{
	char *s = text_of(st, at);
	return s ? s : bh_xstrdup("");
}

static void read_row(sqlite3_stmt *st, struct bh_stay *ret)
{
	*ret = (struct bh_stay){
		.number = (uint64_t)sqlite3_column_int64(st, 0),
		.id = some_text_of(st, 1),
		.runtime = some_text_of(st, 2),
		.name = some_text_of(st, 3),
		.namespace = some_text_of(st, 4),
		.image = text_of(st, 5),
		.digest = text_of(st, 6),
		.mark = some_text_of(st, 8),
		.started = sqlite3_column_int64(st, 9),
		.early = sqlite3_column_int(st, 10) != 0,
		.stopped = sqlite3_column_int64(st, 11),
		.unseen = sqlite3_column_int(st, 12) != 0,
	};
	char bh_autofree *labels = some_text_of(st, 7);
	bh_store_parse_labels(labels, &ret->labels);
}

static bool read_addr(sqlite3_stmt *st, struct bh_stay_addr *ret)
{
	const uint8_t *key = sqlite3_column_blob(st, 0);
	int len = sqlite3_column_bytes(st, 0);
	if (!(len == 5 && key[0] == BH_IPV4) && !(len == 17 && key[0] == BH_IPV6))
		return false;
	*ret = (struct bh_stay_addr){
		.addr = bh_addr_from_bytes((enum bh_family)key[0], key + 1),
		.since = sqlite3_column_int64(st, 1),
		.until = sqlite3_column_int64(st, 2),
	};
	return true;
}

static int load_addrs(struct bh_store *s, struct bh_stay *y)
{
	size_t cap = 0;
	sqlite3_stmt *st;
	int rc, r = bh_store_statement(s, BH_STMT_LOAD_STAY_ADDRS,
			"SELECT addr, since, until FROM stay_addr WHERE stay = ? ORDER BY addr, "
			"since"
			" LIMIT ?",
			&st);
	if (r < 0)
		return r;
	bh_store_bind_u64(st, 1, y->number);
	sqlite3_bind_int(st, 2, ADDRS_MAX);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct bh_stay_addr a;
		if (!read_addr(st, &a))
			continue;
		BH_GROW(y->addr, y->n_addrs, cap);
		y->addr[y->n_addrs++] = a;
	}
	return bh_store_finish_read(s, st, rc);
}

static int load_images(struct bh_store *s, struct bh_stay *y)
{
	sqlite3_stmt *st;
	const struct bh_run_image first = {y->image, y->digest};
	int rc, r = bh_store_statement(s, BH_STMT_LOAD_STAY_IMAGES,
			"SELECT image, digest FROM stay_other WHERE stay = ? ORDER BY position"
			" LIMIT ?",
			&st);
	if (r < 0)
		return r;
	bh_store_bind_u64(st, 1, y->number);
	sqlite3_bind_int(st, 2, BH_IMAGES_MAX);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		const struct bh_run_image i = {
			(char *)sqlite3_column_text(st, 0), (char *)sqlite3_column_text(st, 1)};
		bh_images_add(&y->others, &first, &i);
	}
	return bh_store_finish_read(s, st, rc);
}

static int load_rest(struct bh_store *s, struct bh_stay *y)
{
	int r = load_images(s, y);
	return r < 0 ? r : load_addrs(s, y);
}

static int each(struct bh_store *s, sqlite3_stmt *st, bh_stay_fn fn, void *arg)
{
	int rc, r = 0;
	bool more = true;
	while (more && r == 0 && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct bh_stay y;
		read_row(st, &y);
		r = load_rest(s, &y);
		if (r == 0)
			more = fn(&y, arg);
		bh_stay_finish(&y);
	}
	int done = bh_store_finish_read(s, st, more && r == 0 ? rc : SQLITE_DONE);
	return r < 0 ? r : done;
}

/* The texts that begin with `text`: up to but without `text` with its last byte one higher. NULL:
 * there is no such bound. */
static char *end_of_prefix(const char *text)
{
	size_t len = strlen(text);
	char *end = bh_xstrdup(text);
	while (len > 0 && (unsigned char)end[len - 1] == 0xff)
		end[--len] = '\0';
	if (len == 0) {
		free(end);
		return NULL;
	}
	end[len - 1] = (char)((unsigned char)end[len - 1] + 1);
	return end;
}

int bh_store_list_stays(struct bh_store *s, enum bh_stay_by by, const char *text, size_t limit,
	bh_stay_fn fn, void *arg)
{
	static const char *const where[] = {
		[BH_STAY_OPEN] = "stopped = 0 ORDER BY number",
		[BH_STAY_GONE] = "stopped > 0 ORDER BY stopped DESC",
		[BH_STAY_ID] = "id >= ?2 AND (?3 IS NULL OR id < ?3) ORDER BY id",
		[BH_STAY_NAME] = "name = ?2 ORDER BY number DESC",
		[BH_STAY_IMAGE] = "image = ?2 ORDER BY number DESC",
		[BH_STAY_DIGEST] = "digest >= ?2 AND (?3 IS NULL OR digest < ?3) ORDER BY digest",
		[BH_STAY_OTHER_IMAGE] = "number IN (SELECT stay FROM stay_other WHERE image = ?2"
					" ORDER BY stay DESC LIMIT ?1)",
		[BH_STAY_OTHER_DIGEST] = "number IN (SELECT stay FROM stay_other WHERE digest >= ?2"
					 " AND (?3 IS NULL OR digest < ?3) ORDER BY digest"
					 " LIMIT ?1)",
	};
	bool prefix = by == BH_STAY_ID || by == BH_STAY_DIGEST || by == BH_STAY_OTHER_DIGEST;
	char bh_autofree *end = prefix ? end_of_prefix(text) : NULL;
	char bh_autofree *sql =
		bh_xasprintf("SELECT " COLUMNS " FROM stay WHERE %s LIMIT ?1", where[by]);
	sqlite3_stmt *st;
	int r = bh_store_statement(s, BH_STMT_STAYS + (int)by, sql, &st);
	if (r < 0)
		return r;
	bh_store_bind_u64(st, 1, limit > INT64_MAX ? INT64_MAX : limit);
	if (by >= BH_STAY_ID)
		bh_store_bind_text(st, 2, text);
	if (prefix)
		bh_store_bind_text(st, 3, end);
	return each(s, st, fn, arg);
}

int bh_store_get_stay(struct bh_store *s, uint64_t number, struct bh_stay *ret)
{
	struct bh_stay y;
	sqlite3_stmt *st;
	int r = bh_store_statement(
		s, BH_STMT_GET_STAY, "SELECT " COLUMNS " FROM stay WHERE number = ?", &st);
	if (r < 0)
		return r;
	bh_store_bind_u64(st, 1, number);
	int rc = sqlite3_step(st);
	bool found = rc == SQLITE_ROW;
	if (found)
		read_row(st, &y);
	r = bh_store_finish_read(s, st, rc);
	if (r == 0 && found)
		r = load_rest(s, &y);
	if (r == 0 && found)
		*ret = y;
	else if (found)
		bh_stay_finish(&y);
	return r < 0 ? r : found ? 0 : -ENOENT;
}

int bh_store_stays_of_range(
	struct bh_store *s, const struct bh_range *range, size_t limit, bh_stay_fn fn, void *arg)
{
	struct bh_store_range_key key;
	sqlite3_stmt *st;
	int r = bh_store_statement(s, BH_STMT_STAYS_RANGE,
		"SELECT " COLUMNS " FROM stay WHERE number IN (SELECT stay FROM stay_addr"
		" WHERE addr BETWEEN ?1 AND ?2 LIMIT ?3)",
		&st);
	if (r < 0)
		return r;
	bh_store_bind_range(st, 1, range, &key);
	bh_store_bind_u64(st, 3, limit > INT64_MAX ? INT64_MAX : limit);
	return each(s, st, fn, arg);
}

/* From one reference to the next: what all the stays of one have in common is passed over. */
int bh_store_list_images(
	struct bh_store *s, size_t limit, void (*fn)(const char *image, void *arg), void *arg)
{
	char bh_autofree *last = bh_xstrdup("");
	for (size_t i = 0; i < limit; i++) {
		sqlite3_stmt *st;
		int r = bh_store_statement(s, BH_STMT_NEXT_IMAGE,
			"SELECT min(image) FROM (SELECT * FROM (SELECT image FROM stay"
			" WHERE image > ?1 ORDER BY image LIMIT 1) UNION ALL SELECT * FROM"
			" (SELECT image FROM stay_other WHERE image > ?1 ORDER BY image LIMIT 1))",
			&st);
		if (r < 0)
			return r;
		bh_store_bind_text(st, 1, last);
		int rc = sqlite3_step(st);
		char *next = rc == SQLITE_ROW ? text_of(st, 0) : NULL;
		r = bh_store_finish_read(s, st, rc);
		free(last);
		last = next;
		if (r < 0 || !next)
			return r;
		fn(next, arg);
	}
	return 0;
}
