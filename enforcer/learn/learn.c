/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From flows that were let through to tuples that may become rules. A flow that the queue reported
 * waits, bounded in number and time, until conntrack says that it was answered.
 *
 * A scan must neither push out what is known nor stop the learning of what is not. Hence
 * unanswered tuples get at most half of the table, and where it is full, fold.c makes room. Where
 * there is none, a new tuple lives only as long as its flow waits, takes a place when it is
 * answered, and is put together with others like it when it was not.
 */
#include "learn/internal.h"

#include <errno.h>
#include <sys/random.h>

/* Longer than conntrack waits for the answer to a SYN (nf_conntrack_tcp_timeout_syn_sent, 120 s) */
#define PENDING_US (300 * 1000000LL)
#define LAST_NEW "learn_last_new"

/* It was begun while others were loaded, because fewer are kept now than then. */
static void load_more(
	struct bh_learn *l, struct bh_learn_entry *have, const struct bh_learn_entry *e)
{
	bh_tuple_absorb(&have->t, &e->t);
	have->t.review = e->t.review;
	have->t.is_widened = e->t.is_widened;
	have->t.widened = e->t.widened;
	l->table.folded += e->t.folded;
}

static void load_one(const struct bh_tuple *t, void *arg)
{
	struct bh_learn *l = arg;
	struct bh_learn_entry *e = bh_learn_entry_new(t, bh_tuple_key(t));
	e->stored = true;
	if (t->first_seen && (!l->started || t->first_seen < l->started))
		l->started = t->first_seen;
	if (l->table.n >= l->max && !bh_learn_make_room(l, false, 0)) {
		l->tuples_refused++;
		bh_learn_gone(l, e);
		return;
	}
	struct bh_learn_entry *have = bh_learn_table_find(&l->table, e->key);
	if (!have) {
		bh_learn_table_add(&l->table, e);
		return;
	}
	load_more(l, have, e);
	bh_learn_entry_free(e);
}

static void load_role(const struct bh_role_row *r, void *arg)
{
	struct bh_learn *l = arg;
	bh_learn_roles_load(&l->roles, r);
}

int bh_learn_new(
	struct bh_store *store, size_t max, bh_learned_fn fn, void *arg, struct bh_learn **ret)
{
	uint64_t seed = BH_HASH_SEED, last_new;
	struct bh_learn *l = bh_xcalloc(1, sizeof(*l));

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed ^= (uintptr_t)l; /* early boot: the address layout will have to do */
	*l = (struct bh_learn){.store = store, .fn = fn, .arg = arg, .max = max};
	bh_learn_table_init(&l->table, seed);
	bh_waitings_init(&l->pending, BH_LEARN_PENDING, seed);
	int r = bh_store_load_tuples(store, load_one, l);
	if (r == 0)
		r = bh_store_load_roles(store, load_role, l);
	if (r == 0) {
		r = bh_store_get_u64(store, LAST_NEW, &last_new);
		l->last_new = r == 0 ? (int64_t)last_new : 0;
	}
	if (r < 0 && r != -ENOENT) {
		bh_learn_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

/* Takes a flow off the waiting list. A tuple that had no place in the table goes with it. */
static void forget(struct bh_learn *l, uint32_t i)
{
	struct bh_learn_entry *e = bh_waitings_remove(&l->pending, i);
	if (e->listed)
		return;
	l->tuples_refused += !bh_learn_absorb(l, &e->t);
	bh_learn_entry_free(e);
}

void bh_learn_free(struct bh_learn *l)
{
	if (!l)
		return;
	while (l->pending.n)
		forget(l, bh_waitings_oldest(&l->pending));
	bh_waitings_finish(&l->pending);
	bh_learn_table_finish(&l->table);
	bh_learn_roles_finish(&l->roles);
	bh_learn_clear_gone(l);
	free(l->gone);
	free(l->dirty);
	free(l);
}

static void expire(struct bh_learn *l, int64_t now)
{
	uint32_t i;
	while ((i = bh_waitings_oldest(&l->pending)) != BH_WAITING_NONE &&
		l->pending.slot[i].at < now - PENDING_US)
		forget(l, i);
}

void bh_learn_mark_dirty(struct bh_learn *l, struct bh_learn_entry *e)
{
	if (e->dirty || !e->listed)
		return;
	e->dirty = true;
	BH_GROW(l->dirty, l->n_dirty, l->cap_dirty);
	l->dirty[l->n_dirty++] = e;
}

static void put_in_table(struct bh_learn *l, struct bh_learn_entry *e)
{
	bh_learn_table_add(&l->table, e);
	if (!l->started || e->t.first_seen < l->started)
		l->started = e->t.first_seen;
	bh_learn_mark_dirty(l, e);
}

static void note_seen(struct bh_learn *l, struct bh_learn_entry *e, const struct bh_learn_flow *f,
	bool connection)
{
	struct bh_tuple *t = &e->t;
	if (f->now > t->last_seen)
		t->last_seen = f->now;
	t->connections += connection;
	t->egress |= f->egress;
	t->ingress |= f->ingress;
	bh_learn_entry_add_image(e, f->src->kind == BH_END_ROLE ? f->src_image : f->dst_image);
	bh_learn_mark_dirty(l, e);
}

/* The place of a waiting tuple in the table, now that it is answered: its own, that of an equal one
 * which got there first, or none. */
static struct bh_learn_entry *settle(struct bh_learn *l, struct bh_learn_entry *e, int64_t now)
{
	if (e->listed)
		return e;
	struct bh_learn_entry *other = bh_learn_table_find(&l->table, e->key);
	if (!other && (l->table.n < l->max || bh_learn_make_room(l, false, now))) {
		put_in_table(l, e);
		return e;
	}
	if (other) {
		other->t.connections += e->t.connections;
		bh_volume_add(&other->t.volume, &e->t.volume);
		other->t.egress |= e->t.egress;
		other->t.ingress |= e->t.ingress;
		if (e->t.last_seen > other->t.last_seen)
			other->t.last_seen = e->t.last_seen;
		bh_learn_mark_dirty(l, other);
	} else {
		e->t.answered = true;
		e->t.answered_at = now;
		l->tuples_refused += !bh_learn_absorb(l, &e->t);
	}
	bh_learn_entry_free(e);
	return other;
}

static void answer(
	struct bh_learn *l, struct bh_learn_entry *e, const struct bh_flow *f, int64_t now)
{
	e = settle(l, e, now);
	if (!e)
		return;
	if (now > e->t.last_seen)
		e->t.last_seen = now;
	bh_learn_mark_dirty(l, e);
	if (e->t.answered)
		return;
	e->t.answered = true;
	e->t.answered_at = now;
	l->table.answered++;
	l->last_new = now;
	l->last_new_dirty = true;
	if (l->fn)
		l->fn(&e->t, f, l->arg);
}

/* The same packet again (a SYN repeated before its answer): no second connection. True if so. */
static bool seen_again(struct bh_learn *l, const struct bh_learn_flow *f, const char *key)
{
	uint32_t i = bh_waitings_find(&l->pending, f->flow);
	if (i == BH_WAITING_NONE)
		return false;
	if (bh_streq(l->pending.slot[i].entry->key, key)) {
		note_seen(l, l->pending.slot[i].entry, f, false);
		return true;
	}
	forget(l, i); /* the addresses have changed hands since */
	return false;
}

static void wait_for_answer(
	struct bh_learn *l, struct bh_learn_entry *e, const struct bh_flow *f, int64_t now)
{
	if (l->pending.n == BH_LEARN_PENDING) {
		forget(l, bh_waitings_oldest(&l->pending));
		l->pending_evicted++;
	}
	bh_waitings_add(&l->pending, f, e, now);
}

static struct bh_tuple tuple_of(const struct bh_learn_flow *f)
{
	const struct bh_flow *flow = f->flow;
	bool ports = flow->proto == BH_TCP || flow->proto == BH_UDP || flow->proto == BH_SCTP;
	return (struct bh_tuple){
		.src = *f->src, /* borrowed: the copy is made with the entry */
		.dst = *f->dst,
		.proto = flow->proto,
		.port = ports ? flow->dport : 0,
		.icmp_type = ports ? 0 : flow->icmp_type,
		.first_seen = f->now,
		.last_seen = f->now,
	};
}

static bool has_place(struct bh_learn *l, int64_t now)
{
	bool crowded = l->table.n - l->table.answered >= l->max / 2;
	if (l->table.n < l->max && !crowded)
		return true;
	return bh_learn_make_room(l, crowded, now) && l->table.n < l->max &&
	       l->table.n - l->table.answered < l->max / 2;
}

void bh_learn_seen(struct bh_learn *l, const struct bh_learn_flow *f)
{
	struct bh_tuple t = tuple_of(f);
	char bh_autofree *key = bh_tuple_key(&t);

	expire(l, f->now);
	struct bh_learn_entry *e = bh_learn_table_find(&l->table, key);
	if (e && e->t.answered) {
		note_seen(l, e, f, !f->counted);
		return;
	}
	if (seen_again(l, f, key))
		return;
	if (!e) {
		e = bh_learn_entry_new(&t, BH_TAKE_PTR(key));
		if (has_place(l, f->now))
			put_in_table(l, e);
	}
	note_seen(l, e, f, !f->counted);
	wait_for_answer(l, e, f->flow, f->now);
}

bool bh_learn_more(struct bh_learn *l, const struct bh_learn_flow *f, uint64_t n)
{
	struct bh_tuple t = tuple_of(f);
	char bh_autofree *key = bh_tuple_key(&t);
	struct bh_learn_entry *e = bh_learn_table_find(&l->table, key);

	if (!e)
		return false;
	e->t.connections += n;
	if (f->now > e->t.last_seen)
		e->t.last_seen = f->now;
	bh_learn_mark_dirty(l, e);
	return e->t.answered;
}

void bh_learn_ended(
	struct bh_learn *l, const struct bh_learn_flow *f, const struct bh_volume *volume)
{
	struct bh_tuple t = tuple_of(f);
	char bh_autofree *key = bh_tuple_key(&t);
	struct bh_learn_entry *e = bh_learn_table_find(&l->table, key);

	if (!e)
		return;
	bh_volume_add(&e->t.volume, volume);
	bh_learn_mark_dirty(l, e);
}

size_t bh_learn_due(struct bh_learn *l, int64_t now, struct bh_learn_due *ret, size_t max)
{
	size_t n = 0;
	expire(l, now);
	for (uint32_t i; n < max && (i = bh_waitings_due(&l->pending, now)) != BH_WAITING_NONE;) {
		const struct bh_waiting *s = &l->pending.slot[i];
		ret[n++] = (struct bh_learn_due){s->flow, s->stage};
		bh_waitings_advance(&l->pending, i, now);
	}
	return n;
}

void bh_learn_answered(struct bh_learn *l, const struct bh_flow *f, int64_t now)
{
	expire(l, now);
	uint32_t i = bh_waitings_find(&l->pending, f);
	if (i == BH_WAITING_NONE)
		return;
	struct bh_flow flow = l->pending.slot[i].flow; /* as the queue saw it */
	answer(l, bh_waitings_remove(&l->pending, i), &flow, now);
}

/* Nothing counts as saved before the commit: a full disk rolls back, and all is put again. */
int bh_learn_save(struct bh_learn *l)
{
	int r = bh_learn_put_gone(l); /* first: it may have come again */
	for (size_t i = 0; r == 0 && i < l->n_dirty; i++)
		r = bh_store_put_tuple(l->store, &l->dirty[i]->t);
	if (r == 0 && l->last_new_dirty)
		r = bh_store_put_u64(l->store, LAST_NEW, (uint64_t)l->last_new);
	if (r == 0)
		r = bh_learn_roles_put(&l->roles, l->store);
	int committed = bh_store_commit(l->store); /* also ends a failed transaction */
	if (r == 0)
		r = committed;
	if (r < 0)
		return r;
	for (size_t i = 0; i < l->n_dirty; i++) {
		l->dirty[i]->dirty = false;
		l->dirty[i]->stored = true;
	}
	l->n_dirty = 0;
	l->rewrite = false;
	bh_learn_clear_gone(l);
	l->last_new_dirty = false;
	bh_learn_roles_saved(&l->roles);
	return 0;
}

void bh_learn_observe(struct bh_learn *l, const struct bh_learn_instance *in, size_t n, int64_t now)
{
	bh_learn_roles_observe(&l->roles, l->store, in, n, now);
}

const struct bh_role_row *bh_learn_role(const struct bh_learn *l, const struct bh_end *end)
{
	return bh_learn_roles_find(&l->roles, end);
}

size_t bh_learn_n_roles(const struct bh_learn *l)
{
	return l->roles.n;
}

const struct bh_role_row *bh_learn_role_at(const struct bh_learn *l, size_t i)
{
	return &l->roles.item[i].row;
}

void bh_learn_get_stats(const struct bh_learn *l, struct bh_learn_stats *ret)
{
	*ret = (struct bh_learn_stats){
		.tuples = l->table.n,
		.answered = l->table.answered,
		.pending = l->pending.n,
		.pending_evicted = l->pending_evicted,
		.tuples_refused = l->tuples_refused,
		.max = l->max,
		.folded_rows = l->table.n_folded,
		.folded = l->table.folded,
		.started = l->started,
		.last_new = l->last_new,
	};
}

static int by_key(const void *pa, const void *pb)
{
	const struct bh_learn_entry *const *a = pa, *const *b = pb;
	return strcmp((*a)->key, (*b)->key);
}

struct bh_tuple *bh_learn_tuples(const struct bh_learn *l, size_t *ret_n)
{
	size_t n = l->table.n;
	struct bh_learn_entry **order bh_autofree = bh_xcalloc(n, sizeof(struct bh_learn_entry *));
	struct bh_tuple *t = bh_xcalloc(n, sizeof(*t));
	if (n)
		memcpy(order, l->table.item, n * sizeof(struct bh_learn_entry *));
	qsort(order, n, sizeof(struct bh_learn_entry *), by_key);
	for (size_t i = 0; i < n; i++)
		t[i] = order[i]->t;
	*ret_n = n;
	return t;
}
