/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Repetitions. A container that retries a denied connection a thousand times a second must neither
 * fill the disk nor hide anything else: the first event of a tuple is written, further ones are
 * counted, and the count is written when the window is over. A tuple that goes on gets one record
 * a window. The table is bounded; what finds it full is counted by action.
 */
#include "audit/private.h"

#define BUCKETS (2 * BH_AUDIT_REPEATS) /* a power of two */
#define NONE 0 /* memory that was never touched is empty */
#define BACKWARDS 1000000 /* µs the clock may step back before a window is closed */

struct bh_audit_repeat {
	uint32_t next; /* in its bucket or the free list; NONE ends */
	uint64_t hash;
	char *key;
	size_t key_len;
	int64_t start; /* of the window */
	int64_t first, last; /* of what is counted */
	uint64_t count; /* since the last record */
	uint16_t sport;
	bool ports_differ;
	struct bh_audit_text
		record; /* of the first repetition; what is to be written is made of it */
};

void bh_audit_repeats_init(struct bh_audit_repeats *t, uint64_t seed)
{
	*t = (struct bh_audit_repeats){
		.entry = bh_xcalloc(BH_AUDIT_REPEATS + 1, sizeof(struct bh_audit_repeat)),
		.bucket = bh_xcalloc(BUCKETS, sizeof(uint32_t)),
		.used = 1,
		.seed = BH_HASH_SEED ^ seed,
	};
}

void bh_audit_repeats_finish(struct bh_audit_repeats *t)
{
	for (uint32_t i = 1; i < t->used; i++) {
		free(t->entry[i].key);
		bh_buf_finish(&t->entry[i].record.b);
	}
	free(t->entry);
	free(t->bucket);
	*t = (struct bh_audit_repeats){0};
}

static void make_key(const struct bh_audit_flow *f, struct bh_buf *b)
{
	const struct bh_flow *w = f->flow;
	uint8_t fixed[] = {w->proto, w->dport >> 8, w->dport & 0xff, w->icmp_type, w->icmp_code,
		(uint8_t)f->verdict, (uint8_t)f->reason};

	bh_buf_add(b, f->action, strlen(f->action) + 1);
	bh_buf_add(b, &w->src, sizeof(w->src));
	bh_buf_add(b, &w->dst, sizeof(w->dst));
	bh_buf_add(b, fixed, sizeof(fixed));
	if (f->src)
		bh_buf_str(b, f->src->id);
	bh_buf_add(b, "", 1);
	if (f->dst)
		bh_buf_str(b, f->dst->id);
}

static bool over(const struct bh_audit_repeat *e, int64_t now)
{
	return now - e->start >= BH_AUDIT_WINDOW || now < e->start - BACKWARDS;
}

/* Writes what was counted and begins a new window. */
static void report(struct bh_audit_repeat *e, bh_audit_repeat_fn fn, void *arg)
{
	struct bh_audit_text rec = {0};

	if (e->count > 0) {
		bh_audit_record_repeat(
			&e->record, e->count, e->first, e->last, e->ports_differ, &rec);
		fn(&rec, e->count, e->last, arg);
		bh_buf_finish(&rec.b);
	}
	bh_buf_finish(&e->record.b);
	e->count = 0;
	e->ports_differ = false;
}

static void release(struct bh_audit_repeats *t, uint32_t i)
{
	struct bh_audit_repeat *e = &t->entry[i];
	uint32_t *link = &t->bucket[e->hash & (BUCKETS - 1)];

	while (*link != i)
		link = &t->entry[*link].next;
	*link = e->next;
	free(e->key);
	bh_buf_finish(&e->record.b);
	*e = (struct bh_audit_repeat){.next = t->free};
	t->free = i;
	t->n--;
}

static uint32_t find(const struct bh_audit_repeats *t, const struct bh_buf *key, uint64_t hash)
{
	for (uint32_t i = t->bucket[hash & (BUCKETS - 1)]; i != NONE; i = t->entry[i].next) {
		const struct bh_audit_repeat *e = &t->entry[i];
		if (e->hash == hash && e->key_len == key->len &&
			memcmp(e->key, key->s, key->len) == 0)
			return i;
	}
	return NONE;
}

static void overflow(struct bh_audit_repeats *t, const char *action, uint64_t times, int64_t when)
{
	size_t i;
	for (i = 0; i < t->n_overflow; i++)
		if (strncmp(t->overflow[i].action, action, sizeof(t->overflow[i].action) - 1) == 0)
			break;
	if (i == BH_AUDIT_OVERFLOW_ACTIONS)
		i--; /* more actions than there are: joins the last */
	if (i == t->n_overflow) {
		struct bh_audit_overflow *o = &t->overflow[t->n_overflow++];
		*o = (struct bh_audit_overflow){.first = when};
		snprintf(o->action, sizeof(o->action), "%s", action);
	}
	t->overflow[i].count += times;
	t->overflow[i].last = when;
}

static void again(
	struct bh_audit_repeat *e, const struct bh_audit_ident *id, const struct bh_audit_flow *f)
{
	if (e->count == 0) {
		bh_audit_record_flow(id, f, &e->record);
		e->first = f->when;
		e->sport = f->flow->sport;
	}
	if (e->sport != f->flow->sport)
		e->ports_differ = true;
	e->count += f->times;
	e->last = f->when;
}

enum bh_audit_seen bh_audit_repeats_note(struct bh_audit_repeats *t,
	const struct bh_audit_ident *id, const struct bh_audit_flow *f, bh_audit_repeat_fn fn,
	void *arg)
{
	struct bh_buf bh_autobuf key = {0};
	make_key(f, &key);
	uint64_t hash = bh_hash(key.s, key.len, t->seed);
	uint32_t i = find(t, &key, hash);

	if (i != NONE && over(&t->entry[i], f->when)) {
		report(&t->entry[i], fn, arg);
		t->entry[i].start = f->when;
		return BH_AUDIT_FIRST;
	}
	if (i != NONE) {
		again(&t->entry[i], id, f);
		return BH_AUDIT_AGAIN;
	}
	if (t->n == BH_AUDIT_REPEATS) {
		overflow(t, f->action, f->times, f->when);
		return BH_AUDIT_FULL;
	}
	i = t->free != NONE ? t->free : t->used++;
	struct bh_audit_repeat *e = &t->entry[i];
	if (i == t->free)
		t->free = e->next;
	t->n++;
	size_t len = key.len; /* before the take, which empties it */
	*e = (struct bh_audit_repeat){
		.next = t->bucket[hash & (BUCKETS - 1)],
		.hash = hash,
		.key_len = len,
		.key = bh_buf_take(&key),
		.start = f->when,
	};
	t->bucket[hash & (BUCKETS - 1)] = i;
	return BH_AUDIT_FIRST;
}

void bh_audit_repeats_expire(
	struct bh_audit_repeats *t, int64_t now, bool all, bh_audit_repeat_fn fn, void *arg)
{
	for (uint32_t i = 1; t->n > 0 && i < t->used; i++) {
		struct bh_audit_repeat *e = &t->entry[i];
		if (!e->key || (!all && !over(e, now)))
			continue;
		if (e->count > 0 && !all) {
			report(e, fn, arg);
			e->start = now;
			continue;
		}
		if (e->count > 0)
			report(e, fn, arg);
		release(t, i);
	}
}
