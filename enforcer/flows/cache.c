/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel's verdict cache, from this side: final decisions go into its sets, a few milliseconds
 * of them at a time, and its counters come back as flows, repeated denials and learned connections.
 *
 * A cached verdict is that of the state in force, or none: only decisions of the snapshot in force
 * are put in, whatever waits is forgotten when another takes its place, and every transaction that
 * changes the rules empties the sets.
 */
#include "flows/cache.h"

#include "answer/clock.h"
#include "core/fast_permits.h"
#include "core/state.h"
#include "flows/events.h"
#include "verdict/packet.h"
#include "verdict/shared.h"

#define SEND_MS 10
#define SEND_MAX 1000 /* tuples of a set in a transaction */
#define READ_MS 2000
#define READ_SOON_MS 250
#define READ_EARLY_MS 40 /* before an element's end: its count goes with it */
#define READ_BEFORE_COMMIT 1024 /* elements; more would keep the change waiting */
#define UNHEARD_US 200000 /* queued so long after it was put in: the kernel has it no more */

static const char *set_name(bool deny, bool v6)
{
	static const char *const name[2][2] = {
		{"cache-allow4", "cache-allow6"}, {"cache-deny4", "cache-deny6"}};
	return name[deny][v6];
}

static const struct bh_set *find_set(const struct bh_core *c, bool deny, bool v6)
{
	return c->installed ? bh_ruleset_find_set(c->installed, set_name(deny, v6)) : NULL;
}

/* Do the rules refuse what they find denied in the cache? Then `deny: reject` may be cached. */
static bool refuses(const struct bh_core *c)
{
	const struct bh_chain *chain =
		c->installed ? bh_ruleset_find_chain(c->installed, "forward") : NULL;
	for (size_t i = 0; chain && i < chain->n; i++) {
		const struct bh_rule *r = &chain->rule[i];
		if (r->n == 1 && bh_streq(r->match[0].set, set_name(true, false)))
			return r->action == BH_ACT_GOTO && bh_streq(r->target, "refuse");
	}
	return false;
}

static bool quarantined(const struct bh_inventory *inv, const struct bh_side *s)
{
	return s->workload >= 0 && inv->workload[s->workload]->quarantine;
}

/* Final, and the same for every packet of the tuple. A stream that is picked up in the middle says
 * nothing of who connects to whom. */
static bool cacheable(const struct bh_core *c, const struct bh_event *e)
{
	const struct bh_decision *d = &e->decision;
	const struct bh_inventory *inv = bh_engine_inventory(e->snap->engine);
	const struct bh_flow *f = &e->flow;

	if (e->kind != BH_EVENT_DECISION || e->snap != c->snap ||
		d->reason == BH_REASON_UNKNOWN_WORKLOAD || e->dropped != (d->verdict != BH_ALLOW))
		return false;
	if (f->proto != BH_TCP && f->proto != BH_UDP && f->proto != BH_SCTP)
		return false;
	if (quarantined(inv, &d->side[BH_EGRESS]) || quarantined(inv, &d->side[BH_INGRESS]))
		return false;
	if (f->proto == BH_TCP && !e->dropped && (e->tcp_flags & 0x17) != 0x02)
		return false;
	return d->verdict != BH_REJECT || refuses(c);
}

struct bh_cached *bh_core_cached(const struct bh_core *c, const struct bh_flow *f)
{
	return bh_mirror_find(&c->cache.mirror, f);
}

static void send_cb(uv_timer_t *t);
static void read_cb(uv_timer_t *t);

static void want(struct bh_core *c, size_t index)
{
	struct bh_verdict_cache *k = &c->cache;
	if (!k->wanted)
		k->wanted = bh_xcalloc(BH_MIRROR_MAX, sizeof(*k->wanted));
	k->wanted[k->n_wanted++] = (uint32_t)index; /* each entry is wanted once at a time */
	if (!uv_is_active((uv_handle_t *)&k->send_timer))
		uv_timer_start(&k->send_timer, send_cb, SEND_MS, 0);
}

void bh_core_cache_offer(struct bh_core *c, const struct bh_event *e)
{
	struct bh_verdict_cache *k = &c->cache;
	if (c->stopping || !cacheable(c, e) ||
		!find_set(c, e->dropped, e->flow.src.family == BH_IPV6))
		return;
	struct bh_cached *x = bh_mirror_find(&k->mirror, &e->flow);
	if (x) {
		if (!x->sent || bh_clock_steady() - x->sent_at < UNHEARD_US)
			return;
		x->sent = false;
	} else {
		x = bh_mirror_add(&k->mirror, &e->flow);
		if (!x) {
			k->full++;
			return;
		}
		x->decision = e->decision;
		x->deny = e->dropped;
	}
	want(c, (size_t)(x - k->mirror.item));
}

static void write_tuple(const struct bh_flow *f, struct bh_value v[static 4])
{
	v[0] = bh_value_addr(&f->src);
	v[1] = bh_value_addr(&f->dst);
	v[2] = bh_value_u8(f->proto);
	v[3] = bh_value_u16(f->dport);
}

/* One set's share of the first n that wait. */
static void send_set(struct bh_core *c, bool deny, bool v6, size_t n)
{
	struct bh_verdict_cache *k = &c->cache;
	const struct bh_set *set = find_set(c, deny, v6);
	struct bh_nft_error err = {0};
	size_t count = 0;

	if (!k->value)
		k->value = bh_xcalloc(SEND_MAX * 4, sizeof(*k->value));
	for (size_t i = 0; i < n; i++) {
		struct bh_cached *x = &k->mirror.item[k->wanted[i]];
		if (x->deny != deny || (x->flow.src.family == BH_IPV6) != v6)
			continue;
		write_tuple(&x->flow, &k->value[4 * count++]);
		x->sent = true;
		x->sent_at = bh_clock_steady();
		x->expires_ms = uv_now(c->loop) + (set ? set->timeout_s * 1000 : 0);
	}
	if (count == 0 || !set)
		return;
	int r = bh_nft_cache_add(c->nft, set, k->value, count, 0, &err);
	if (r < 0)
		k->errors++; /* what is not in is queued, and tried again */
	else
		k->added += (uint64_t)r;
}

static void send_some(struct bh_core *c)
{
	struct bh_verdict_cache *k = &c->cache;
	size_t n = k->n_wanted < SEND_MAX ? k->n_wanted : SEND_MAX;

	uv_update_time(c->loop);
	for (int set = 0; set < 4; set++)
		send_set(c, set & 1, set & 2, n);
	memmove(k->wanted, k->wanted + n, (k->n_wanted - n) * sizeof(*k->wanted));
	k->n_wanted -= n;
}

static void send_cb(uv_timer_t *t)
{
	struct bh_core *c = t->data;
	struct bh_verdict_cache *k = &c->cache;

	send_some(c);
	if (k->n_wanted)
		uv_timer_start(t, send_cb, SEND_MS, 0);
	if (!uv_is_active((uv_handle_t *)&k->read_timer))
		uv_timer_start(&k->read_timer, read_cb, READ_MS, 0);
}

struct reading {
	struct bh_core *c;
	bool deny;
	uint8_t family;
};

static void on_element(const struct bh_nft_elem *el, void *arg)
{
	const struct reading *r = arg;
	struct bh_core *c = r->c;
	const struct bh_flow f = {
		.src = bh_addr_from_bytes(r->family, el->value[0].b),
		.dst = bh_addr_from_bytes(r->family, el->value[1].b),
		.proto = el->value[2].b[0],
		.dport = (uint16_t)(el->value[3].b[0] << 8 | el->value[3].b[1]),
	};
	struct bh_cached *x = bh_mirror_find(&c->cache.mirror, &f);
	if (!x || !x->sent || x->deny != r->deny)
		return;
	uint64_t more = bh_cached_advance(x, el->packets);
	if (more == 0)
		return;
	c->cache.hits += more;
	struct bh_event e = {
		.kind = BH_EVENT_DECISION,
		.snap = c->snap,
		.flow = x->flow,
		.decision = x->decision,
		.dropped = x->deny,
		.when = bh_clock_now(),
		.cached = more,
	};
	if (!e.dropped)
		bh_verdict_match_alerts(&e); /* listed since it was put in */
	bh_core_event(c, &e);
	bh_core_fast_permit(c, &e);
}

void bh_core_cache_read(struct bh_core *c)
{
	size_t n[4] = {0};
	const struct bh_mirror *m = &c->cache.mirror;
	for (size_t i = 0; i < m->n; i++)
		n[m->item[i].deny | (m->item[i].flow.src.family == BH_IPV6) << 1] +=
			m->item[i].sent;
	for (int i = 0; i < 4; i++) {
		struct reading r = {c, i & 1, i & 2 ? BH_IPV6 : BH_IPV4};
		const struct bh_set *set = find_set(c, i & 1, i & 2);
		if (n[i] && set && bh_nft_elems_read(c->nft, set, on_element, &r) < 0)
			c->cache.errors++; /* counters only grow: the next reading has it all */
	}
}

static void read_cb(uv_timer_t *t)
{
	struct bh_core *c = t->data;
	struct bh_verdict_cache *k = &c->cache;

	bh_core_cache_read(c);
	while (k->n_wanted) /* their indexes are about to change */
		send_some(c);
	uv_update_time(c->loop);
	uint64_t now = uv_now(c->loop), next = bh_mirror_expire(&k->mirror, now);
	if (next == UINT64_MAX)
		return; /* empty */
	uint64_t wait = next > now + READ_EARLY_MS ? next - now - READ_EARLY_MS : 0;
	wait = wait < READ_SOON_MS ? READ_SOON_MS : wait > READ_MS ? READ_MS : wait;
	uv_timer_start(t, read_cb, wait, 0);
}

void bh_core_cache_before_commit(struct bh_core *c)
{
	if (c->cache.mirror.n && c->cache.mirror.n <= READ_BEFORE_COMMIT)
		bh_core_cache_read(c);
}

void bh_core_cache_forget(struct bh_core *c)
{
	bh_mirror_clear(&c->cache.mirror);
	c->cache.n_wanted = 0;
	uv_timer_stop(&c->cache.send_timer);
	uv_timer_stop(&c->cache.read_timer);
}

/* Another state whose rules are the same: nothing was sent that would have emptied the sets. */
int bh_core_cache_flush(struct bh_core *c, struct bh_nft_error *err)
{
	static const char *const name[] = {
		"cache-allow4", "cache-allow6", "cache-deny4", "cache-deny6"};
	struct bh_change change[BH_ARRAY_SIZE(name)];
	struct bh_diff diff = {.change = change};
	if (c->cache.mirror.n == c->cache.n_wanted)
		return 0; /* nothing is in */
	for (size_t i = 0; c->installed && i < BH_ARRAY_SIZE(name); i++) {
		const struct bh_set *set = bh_ruleset_find_set(c->installed, name[i]);
		if (set)
			change[diff.n++] =
				(struct bh_change){.kind = BH_CHANGE_FLUSH_SET, .set = set};
	}
	return diff.n ? bh_nft_apply(c->nft, &diff, err) : 0;
}

json_t *bh_core_cache_json(const struct bh_core *c)
{
	const struct bh_verdict_cache *k = &c->cache;
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "entries", (json_int_t)k->mirror.n, "added",
		(json_int_t)k->added, "hits", (json_int_t)k->hits, "full", (json_int_t)k->full,
		"errors", (json_int_t)k->errors);
}

void bh_core_cache_init(struct bh_core *c)
{
	bh_mirror_init(&c->cache.mirror, false);
	uv_timer_init(c->loop, &c->cache.send_timer);
	uv_timer_init(c->loop, &c->cache.read_timer);
	c->cache.send_timer.data = c->cache.read_timer.data = c;
}

void bh_core_cache_finish(struct bh_core *c)
{
	bh_mirror_finish(&c->cache.mirror);
	free(c->cache.wanted);
	free(c->cache.value);
}
