/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Baseline tuples. The key is the canonical one of the tuple, so that replacing is one statement;
 * when reading, a row whose ends do not parse or do not give its key (edited by hand) is left out,
 * because a tuple becomes a rule that lets traffic through.
 */
#include "store/internal.h"

#include <errno.h>

#define IMAGES_MAX 64 /* of one tuple, when reading */

int bh_store_put_tuple(struct bh_store *s, const struct bh_tuple *t)
{
	struct bh_buf bh_autobuf src = {0}, dst = {0}, images = {0};
	char widened[BH_PREFIX_STRLEN], span[BH_PREFIX_STRLEN];
	sqlite3_stmt *st;
	int r = bh_store_change(s, BH_STMT_PUT_TUPLE,
		"INSERT OR REPLACE INTO tuple (key, src, dst, proto, port, icmp_type, "
		"egress,"
		" ingress, answered, first_seen, last_seen, connections, images,"
		" answered_at, review, widened, " BH_STORE_VOLUME_COLUMNS ", folded, span) VALUES"
		" (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		&st);
	if (r < 0)
		return r;
	char bh_autofree *key = bh_tuple_key(t);
	bh_store_format_end(&t->src, &src);
	bh_store_format_end(&t->dst, &dst);
	bh_store_format_words(t->image, t->n_images, &images);
	bh_store_bind_text(st, 1, key);
	bh_store_bind_text(st, 2, src.s);
	bh_store_bind_text(st, 3, dst.s);
	sqlite3_bind_int(st, 4, t->proto);
	sqlite3_bind_int(st, 5, t->port);
	sqlite3_bind_int(st, 6, t->icmp_type);
	sqlite3_bind_int(st, 7, t->egress);
	sqlite3_bind_int(st, 8, t->ingress);
	sqlite3_bind_int(st, 9, t->answered);
	sqlite3_bind_int64(st, 10, t->first_seen);
	sqlite3_bind_int64(st, 11, t->last_seen);
	bh_store_bind_u64(st, 12, t->connections);
	bh_store_bind_text(st, 13, images.s ? images.s : "");
	sqlite3_bind_int64(st, 14, t->answered_at);
	sqlite3_bind_int(st, 15, (int)t->review);
	bh_store_bind_text(st, 16, t->is_widened ? bh_prefix_format(&t->widened, widened) : "");
	bh_store_bind_volume(st, 17, &t->volume);
	bh_store_bind_u64(st, 23, t->folded);
	bh_store_bind_text(st, 24, t->span.addr.family ? bh_prefix_format(&t->span, span) : "");
	return bh_store_run(s, st);
}

int bh_store_clear_tuples(struct bh_store *s)
{
	sqlite3_stmt *st;
	int r = bh_store_change(s, BH_STMT_CLEAR_TUPLES, "DELETE FROM tuple", &st);
	return r < 0 ? r : bh_store_run(s, st);
}

int bh_store_drop_tuple(struct bh_store *s, const char *key)
{
	sqlite3_stmt *st;
	int r = bh_store_change(s, BH_STMT_DROP_TUPLE, "DELETE FROM tuple WHERE key = ?", &st);
	if (r < 0)
		return r;
	bh_store_bind_text(st, 1, key);
	return bh_store_run(s, st);
}

/* An integer column in 0..max; false if it is out of range. */
static bool column_in(sqlite3_stmt *st, int at, int64_t max, int64_t *ret)
{
	*ret = sqlite3_column_int64(st, at);
	return *ret >= 0 && *ret <= max;
}

static bool read_numbers(sqlite3_stmt *st, struct bh_tuple *t)
{
	int64_t proto, port, icmp;
	if (!column_in(st, 3, UINT8_MAX, &proto) || !column_in(st, 4, UINT16_MAX, &port) ||
		!column_in(st, 5, UINT8_MAX, &icmp))
		return false;
	t->proto = (uint8_t)proto;
	t->port = (uint16_t)port;
	t->icmp_type = (uint8_t)icmp;
	t->egress = sqlite3_column_int(st, 6) != 0;
	t->ingress = sqlite3_column_int(st, 7) != 0;
	t->answered = sqlite3_column_int(st, 8) != 0;
	t->first_seen = sqlite3_column_int64(st, 9);
	t->last_seen = sqlite3_column_int64(st, 10);
	t->connections = (uint64_t)sqlite3_column_int64(st, 11);
	t->answered_at = sqlite3_column_int64(st, 13);
	bh_store_read_volume(st, 16, &t->volume);
	return true;
}

static bool read_fold(sqlite3_stmt *st, struct bh_tuple *t)
{
	const char *span = (const char *)sqlite3_column_text(st, 23);
	bool others = t->src.kind == BH_END_OTHERS || t->dst.kind == BH_END_OTHERS;
	t->folded = (uint64_t)sqlite3_column_int64(st, 22);
	if (!others)
		return !span || !*span;
	return t->folded && span && bh_prefix_parse(span, &t->span) == 0;
}

/* A block that has not the address would let in what nobody has seen; of those that were put
 * together more may have come since a person said so. */
static bool read_review(sqlite3_stmt *st, struct bh_tuple *t)
{
	const char *widened = (const char *)sqlite3_column_text(st, 15);
	int64_t review;
	if (!column_in(st, 14, BH_REVIEW_REJECTED, &review))
		return false;
	t->review = (enum bh_review)review;
	if (!widened || !*widened)
		return true;
	const struct bh_addr *a = bh_tuple_outside(t);
	t->is_widened = bh_prefix_parse(widened, &t->widened) == 0 &&
			(a ? bh_prefix_contains(&t->widened, a) : t->span.addr.family != 0);
	return t->is_widened;
}

static bool read_tuple(sqlite3_stmt *st, struct bh_tuple *ret)
{
	const char *key = (const char *)sqlite3_column_text(st, 0);
	struct bh_tuple t = {0};
	bool good = bh_store_parse_end((const char *)sqlite3_column_text(st, 1), &t.src) == 0 &&
		    bh_store_parse_end((const char *)sqlite3_column_text(st, 2), &t.dst) == 0 &&
		    read_numbers(st, &t) && read_fold(st, &t) && read_review(st, &t) &&
		    bh_store_parse_words((const char *)sqlite3_column_text(st, 12), IMAGES_MAX,
			    &t.image, &t.n_images) == 0;
	if (good) {
		char bh_autofree *own = bh_tuple_key(&t);
		good = bh_streq(own, key);
	}
	if (good)
		*ret = t;
	else
		bh_tuple_finish(&t);
	return good;
}

int bh_store_load_tuples(struct bh_store *s, void (*fn)(const struct bh_tuple *, void *), void *arg)
{
	sqlite3_stmt *st;
	size_t bad = 0;
	int rc, r = bh_store_statement(s, BH_STMT_LOAD_TUPLES,
			"SELECT key, src, dst, proto, port, icmp_type, egress, ingress, answered,"
			" first_seen, last_seen, connections, images, answered_at,"
			" review, widened, " BH_STORE_VOLUME_COLUMNS ", folded, span FROM tuple"
			" ORDER BY key",
			&st);
	if (r < 0)
		return r;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct bh_tuple t;
		if (!read_tuple(st, &t)) {
			bad++;
			continue;
		}
		fn(&t, arg);
		bh_tuple_finish(&t);
	}
	r = bh_store_finish_read(s, st, rc);
	if (r == 0 && bad)
		bh_store_set_message(s, "%zu rows of table tuple cannot be read: left out", bad);
	return r;
}
