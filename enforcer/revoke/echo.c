/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What comes back of a flow that was cut. Datagrams have no beginning: the next one that the server
 * pushes to the client's port looks like a new flow of the server's own, which may well be allowed,
 * and the client's denied ones would be answers to it; and to conntrack a HEARTBEAT of SCTP is the
 * beginning of an association. TCP's streams in the middle are refused by the rules; of these only
 * we know which flow they belonged to. So the way back, with both its ports, is denied as well, in
 * the kernel, for as long as the cut flow stays denied and a day at most.
 *
 * The kernel's sets are never empty in between: they stay as they are when the rules change, what
 * is over is taken out afterwards, and a rebuild puts all of it in again within its transaction.
 * So they outlive the daemon too: the next run reads them before it touches anything.
 *
 * Not where both ends use the same port (gossip protocols do), or there are no ports (GRE, ESP):
 * the server's flow is one in its own right then.
 */
#include "revoke/echo.h"

#include <errno.h>

#include <bulkhead/engine.h>

#include "audit/audit.h"
#include "core/state.h"
#include "nft/nft.h"
#include "verdict/snapshot.h"

#define KEEP_MS (BH_ECHO_S * 1000ull)
#define LEFT_MIN_MS 1000 /* less is none to a kernel with slow ticks, and none is for ever */
#define PARTS 5
#define HOLDERS 4096

static const char *const set_name[2] = {"echo4", "echo6"};

static struct bh_flow turned(const struct bh_flow *f)
{
	return (struct bh_flow){.src = f->dst,
		.dst = f->src,
		.proto = f->proto,
		.sport = f->dport,
		.dport = f->sport};
}

/* --- what is held --- */

/*
 * By whom: the workload that began the flow; where it was somebody outside, who has as many
 * addresses as he likes, the one he began it to. Counted by a hash that nobody can foresee, so that
 * two may share a count, which costs them room and nothing else.
 */
static uint16_t *held_by(struct bh_core *c, const struct bh_flow *cut)
{
	struct bh_echo *e = &c->echo;
	const struct bh_inventory *inv = bh_engine_inventory(c->snap->engine);
	const struct bh_addr *a = bh_inventory_owner(inv, &cut->src) >= 0 ? &cut->src : &cut->dst;
	if (!e->held)
		e->held = bh_xcalloc(HOLDERS, sizeof(*e->held));
	return &e->held[bh_hash(a, sizeof(*a), e->mirror.seed) % HOLDERS];
}

static void count(struct bh_core *c)
{
	struct bh_echo *e = &c->echo;
	if (e->held)
		memset(e->held, 0, HOLDERS * sizeof(*e->held));
	for (size_t i = 0; i < e->mirror.n; i++) {
		const struct bh_flow cut = turned(&e->mirror.item[i].flow);
		++*held_by(c, &cut);
	}
}

static bool may_be(const struct bh_flow *f)
{
	return (f->proto == BH_UDP || f->proto == BH_SCTP) && f->dport != f->sport;
}

/* --- for the thread that walks conntrack --- */

#define FILTER_BITS (16 * BH_MIRROR_MAX) /* when all is held it takes one in sixteen others */

struct bh_echo_filter {
	uint64_t seed;
	uint64_t bit[FILTER_BITS / 64];
};

static uint64_t *bit_of(struct bh_echo_filter *x, const struct bh_flow *f, uint64_t *ret_mask)
{
	uint64_t h = bh_mirror_hash(f, true, x->seed) % FILTER_BITS;
	*ret_mask = 1ull << h % 64;
	return &x->bit[h / 64];
}

struct bh_echo_filter *bh_core_echo_filter(const struct bh_core *c)
{
	const struct bh_mirror *m = &c->echo.mirror;
	uint64_t mask;
	if (m->n == 0)
		return NULL;
	struct bh_echo_filter *x = bh_xcalloc(1, sizeof(*x));
	x->seed = m->seed;
	for (size_t i = 0; i < m->n; i++) {
		uint64_t *word = bit_of(x, &m->item[i].flow, &mask);
		*word |= mask;
	}
	return x;
}

bool bh_echo_filter_takes(const struct bh_echo_filter *x, const struct bh_flow *f)
{
	uint64_t mask;
	const uint64_t *word = bit_of((struct bh_echo_filter *)x, f, &mask);
	return may_be(f) && *word & mask;
}

void bh_echo_filter_free(struct bh_echo_filter *x)
{
	free(x);
}

/* --- what is cut --- */

static struct bh_cached *find(const struct bh_core *c, const struct bh_flow *f)
{
	struct bh_cached *x = bh_mirror_find(&c->echo.mirror, f);
	return x && x->expires_ms > uv_now(c->loop) ? x : NULL;
}

/* Nobody is given more than half of what is left: whoever has opened very many flows before they
 * are cut takes a third of the room, and not that of the others. */
void bh_core_echo_cut(struct bh_core *c, const struct bh_flow *cut)
{
	struct bh_echo *e = &c->echo;
	const struct bh_flow back = turned(cut);
	if (!may_be(&back) || find(c, &back))
		return;
	struct bh_cached *x = bh_mirror_find(&e->mirror, &back); /* over, and cut anew */
	uint16_t *held = held_by(c, cut);
	if (!x && *held < (BH_MIRROR_MAX - e->mirror.n) / 2) {
		x = bh_mirror_add(&e->mirror, &back);
		*held += x != NULL;
	}
	if (!x) { /* it is cut this once */
		e->beyond++;
		return;
	}
	x->sent = false;
	x->expires_ms = uv_now(c->loop) + KEEP_MS;
}

bool bh_core_echo_is(const struct bh_core *c, const struct bh_flow *f)
{
	return find(c, f) != NULL;
}

/* --- as the kernel is told --- */

struct bh_echo_keys {
	struct bh_nft_keys set[2];
	size_t n;
	struct bh_value *value;
	uint64_t *each_ms;
};

static void write_flow(const struct bh_flow *f, struct bh_value v[static PARTS])
{
	v[0] = bh_value_addr(&f->src);
	v[1] = bh_value_addr(&f->dst);
	v[2] = bh_value_u8(f->proto);
	v[3] = bh_value_u16(f->sport);
	v[4] = bh_value_u16(f->dport);
}

/* unsent: only those. */
static struct bh_echo_keys *write_keys(
	const struct bh_core *c, const struct bh_ruleset *rs, bool unsent)
{
	const struct bh_mirror *m = &c->echo.mirror;
	struct bh_echo_keys *k = bh_xcalloc(1, sizeof(*k));
	uint64_t now = uv_now(c->loop);
	size_t n = 0;
	k->value = bh_xcalloc(m->n + 1, PARTS * sizeof(*k->value));
	k->each_ms = bh_xcalloc(m->n + 1, sizeof(*k->each_ms));
	for (int v6 = 0; v6 < 2; v6++) {
		struct bh_nft_keys *s = &k->set[k->n];
		*s = (struct bh_nft_keys){.set = bh_ruleset_find_set(rs, set_name[v6]),
			.value = &k->value[PARTS * n],
			.each_ms = &k->each_ms[n]};
		for (size_t i = 0; s->set && i < m->n; i++) {
			const struct bh_cached *x = &m->item[i];
			if ((x->flow.src.family == BH_IPV6) != v6 || x->expires_ms <= now ||
				(unsent && x->sent))
				continue;
			write_flow(&x->flow, &k->value[PARTS * n]);
			uint64_t left = x->expires_ms - now;
			k->each_ms[n++] = left < LEFT_MIN_MS ? LEFT_MIN_MS : left;
			s->n++;
		}
		k->n += s->set != NULL;
	}
	return k;
}

static void free_keys(struct bh_echo_keys *k)
{
	free(k->value);
	free(k->each_ms);
	free(k);
}

static void all_sent(struct bh_core *c)
{
	struct bh_mirror *m = &c->echo.mirror;
	for (size_t i = 0; i < m->n; i++)
		m->item[i].sent = true;
	c->echo.stale = c->echo.due = false;
}

static void told(struct bh_core *c, int r)
{
	if (r < 0) {
		c->echo.due = true;
		bh_audit_event(c->audit, "revoke", "failure", strerror(-r), NULL, NULL);
	} else {
		all_sent(c);
	}
}

static void tell_beyond(struct bh_core *c)
{
	if (c->echo.beyond)
		bh_audit_event(c->audit, "revoke", "failure",
			"more flows were cut than can be kept from coming back", NULL,
			json_pack("{s:I}", "connections", (json_int_t)c->echo.beyond));
	c->echo.beyond = 0;
}

static bool any_unsent(const struct bh_mirror *m)
{
	for (size_t i = 0; i < m->n; i++)
		if (!m->item[i].sent)
			return true;
	return false;
}

void bh_core_echo_send(struct bh_core *c)
{
	struct bh_nft_error err = {0};
	tell_beyond(c);
	if (!c->installed || !(c->echo.stale || any_unsent(&c->echo.mirror)))
		return;
	struct bh_echo_keys *k = write_keys(c, c->installed, !c->echo.stale);
	told(c, c->echo.stale ? bh_nft_keys_replace(c->nft, k->set, k->n, &err)
			      : bh_nft_keys_add(c->nft, k->set, k->n, &err));
	free_keys(k);
}

void bh_core_echo_tick(struct bh_core *c)
{
	if (c->echo.due)
		bh_core_echo_send(c);
}

/* --- another state --- */

void bh_core_echo_refresh(struct bh_core *c)
{
	struct bh_mirror *m = &c->echo.mirror;
	size_t n = m->n;
	if (n == 0 || !c->snap)
		return;
	uint64_t now = uv_now(c->loop);
	for (size_t i = 0; i < n; i++) {
		struct bh_cached *x = &m->item[i];
		const struct bh_flow cut = turned(&x->flow);
		if (x->expires_ms <= now || bh_snapshot_denies(c->snap, &cut))
			continue;
		c->echo.stale |= x->sent; /* what is over by its age the kernel knows itself */
		x->sent = true;
		x->expires_ms = 0;
	}
	bh_mirror_expire(m, now);
	count(c); /* who is who may have changed as well */
	bh_core_echo_send(c);
}

struct recalling {
	struct bh_core *c;
	uint8_t family;
};

static uint16_t port(const struct bh_value *v)
{
	return (uint16_t)(v->b[0] << 8 | v->b[1]);
}

static void on_element(const struct bh_nft_elem *el, void *arg)
{
	const struct recalling *r = arg;
	struct bh_core *c = r->c;
	const struct bh_flow back = {.src = bh_addr_from_bytes(r->family, el->value[0].b),
		.dst = bh_addr_from_bytes(r->family, el->value[1].b),
		.proto = el->value[2].b[0],
		.sport = port(&el->value[3]),
		.dport = port(&el->value[4])};
	if (!may_be(&back) || bh_mirror_find(&c->echo.mirror, &back))
		return;
	struct bh_cached *x = bh_mirror_add(&c->echo.mirror, &back);
	if (!x)
		return; /* more than a run ever puts in */
	x->sent = true;
	x->expires_ms = uv_now(c->loop) +
			(el->expires_ms && el->expires_ms < KEEP_MS ? el->expires_ms : KEEP_MS);
}

/* What the state in force allows again is left out by the refresh after the commit. */
void bh_core_echo_recall(struct bh_core *c, const struct bh_ruleset *rs)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct recalling r = {c, v6 ? BH_IPV6 : BH_IPV4};
		const struct bh_set *set = bh_ruleset_find_set(rs, set_name[v6]);
		int e = set ? bh_nft_elems_read(c->nft, set, on_element, &r) : 0;
		if (e < 0 && e != -ENOENT) /* no run before */
			bh_audit_event(c->audit, "revoke", "failure", strerror(-e), NULL, NULL);
	}
}

struct bh_echo_keys *bh_core_echo_keys(
	const struct bh_core *c, const struct bh_ruleset *rs, struct bh_nft_beside *beside)
{
	struct bh_echo_keys *k = write_keys(c, rs, false);
	beside->keys = k->set;
	beside->n_keys = k->n;
	return k;
}

void bh_core_echo_rebuilt(struct bh_core *c, struct bh_echo_keys *k, bool done)
{
	if (done)
		all_sent(c);
	free_keys(k);
}

void bh_core_echo_init(struct bh_core *c)
{
	bh_mirror_init(&c->echo.mirror, true);
}

void bh_core_echo_finish(struct bh_core *c)
{
	bh_mirror_finish(&c->echo.mirror);
	free(c->echo.held);
}
