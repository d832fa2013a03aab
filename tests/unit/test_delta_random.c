/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The semantic diff against brute force: in random worlds every pair of addresses that matter is
 * put to both engines, service by service, and compared with what the edges claim. Complete (each
 * change is claimed), sound (each claim is a change), and once (no two edges claim the same).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>

#include <bulkhead/delta.h>

#include "lib/random_world.h"

#define SEEDS 150
#define SERVICES 10 /* tried for every pair of addresses, of those that matter */

struct setting {
	struct random_world world, other; /* other: the policies after */
	struct bh_inventory *inv;
	struct bh_engine *engine[2];
	struct bh_delta delta;
	struct bh_addr *addr; /* that matter: everybody's, and the bounds of all blocks */
	size_t n_addrs, cap_addrs;
	uint16_t *port;
	size_t n_ports, cap_ports;
	size_t opened, closed;
};

/* --- what matters --- */

static void add_addr(struct setting *s, const struct bh_addr *a)
{
	for (size_t i = 0; i < s->n_addrs; i++)
		if (bh_addr_eq(&s->addr[i], a))
			return;
	BH_GROW(s->addr, s->n_addrs, s->cap_addrs);
	s->addr[s->n_addrs++] = *a;
}

static void add_bounds(struct setting *s, const struct bh_prefix *p)
{
	struct bh_range r = bh_prefix_range(p);
	add_addr(s, &r.first);
	add_addr(s, &r.last);
	if (bh_addr_prev(&r.first))
		add_addr(s, &r.first);
	if (bh_addr_next(&r.last))
		add_addr(s, &r.last);
}

static void add_port(struct setting *s, unsigned port)
{
	for (size_t i = 0; i < s->n_ports; i++)
		if (s->port[i] == port)
			return;
	BH_GROW(s->port, s->n_ports, s->cap_ports);
	s->port[s->n_ports++] = (uint16_t)port;
}

static void add_rule(struct setting *s, const struct bh_policy_rule *r)
{
	for (size_t i = 0; i < r->n_peers; i++) {
		const struct bh_policy_peer *p = &r->peer[i];
		if (p->block)
			add_bounds(s, &p->block->cidr);
		for (size_t k = 0; p->block && k < p->block->n_except; k++)
			add_bounds(s, &p->block->except[k]);
		for (size_t k = 0; k < p->n_networks; k++)
			add_bounds(s, &p->network[k]);
	}
	for (size_t i = 0; i < r->n_ports; i++)
		if (r->port[i].first) {
			add_port(s, r->port[i].first);
			add_port(s, r->port[i].first - 1u);
			add_port(s, r->port[i].last);
			add_port(s, (r->port[i].last + 1u) % 65536);
		}
}

static void add_policies(struct setting *s, const struct bh_policy_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		for (int d = 0; d < 2; d++)
			for (size_t k = 0; k < set->policy[i]->n_rules[d]; k++)
				add_rule(s, &set->policy[i]->rule[d][k]);
}

static void add_people(struct setting *s)
{
	const struct bh_inventory *inv = s->inv;
	for (size_t i = 0; i < inv->n; i++) {
		const struct bh_workload *w = inv->workload[i];
		for (size_t f = 0; f < w->n_ifaces; f++)
			for (size_t k = 0; k < w->iface[f].n_addrs && k < 4; k++)
				add_addr(s, &w->iface[f].addr[k]);
		for (size_t k = 0; k < w->n_ports; k++)
			add_port(s, w->port[k].port);
	}
	for (size_t i = 0; i < inv->n_hosts; i++)
		add_addr(s, &inv->host[i]);
	for (size_t i = 0; i < inv->n_nodes; i++)
		for (size_t k = 0; k < inv->node[i].n_addrs; k++)
			add_addr(s, &inv->node[i].addr[k]);
	add_port(s, 0);
	add_port(s, 65535);
}

/* --- what edges claim --- */

static bool is_node(const struct bh_inventory *inv, const char *name, const struct bh_addr *a)
{
	for (size_t i = 0; i < inv->n_nodes; i++)
		for (size_t k = 0; k < inv->node[i].n_addrs; k++)
			if ((!name || bh_streq(name, inv->node[i].name)) &&
				bh_addr_eq(&inv->node[i].addr[k], a))
				return true;
	return false;
}

static bool has_workload(const struct bh_delta_end *e, int owner)
{
	for (size_t i = 0; i < e->n_workloads; i++)
		if ((int)e->workload[i] == owner)
			return true;
	return false;
}

static bool means(
	const struct bh_inventory *inv, const struct bh_delta_end *e, const struct bh_addr *a)
{
	int owner = bh_inventory_owner(inv, a);
	bool in = e->whole || bh_ranges_contain(&e->range, a);
	switch (e->kind) {
	case BH_DELTA_ROLE:
		return owner >= 0 && has_workload(e, owner) && in;
	case BH_DELTA_HOST:
		return owner == BH_OWNER_HOST && in;
	case BH_DELTA_NODE:
		return owner == BH_OWNER_NONE && is_node(inv, e->name, a) && in;
	case BH_DELTA_OUTSIDE:
		return owner == BH_OWNER_NONE && !is_node(inv, NULL, a) &&
		       bh_ranges_contain(&e->range, a);
	}
	return false;
}

static bool serves(const struct bh_delta_edge *e, const struct bh_flow *f)
{
	uint8_t proto = f->proto == IPPROTO_ICMPV6 || f->proto == IPPROTO_ICMP ? BH_DELTA_ICMP
			: f->proto == BH_TCP || f->proto == BH_UDP || f->proto == BH_SCTP
				? f->proto
				: BH_DELTA_OTHER;
	for (size_t i = 0; i < e->n_services; i++)
		if (e->service[i].proto == proto && f->dport >= e->service[i].first &&
			f->dport <= e->service[i].last)
			return true;
	return false;
}

/* The edge that claims it; NULL if none. */
static const struct bh_delta_edge *claim(const struct setting *s, const struct bh_flow *f)
{
	const struct bh_delta_edge *found = NULL;
	for (size_t i = 0; i < s->delta.n; i++) {
		const struct bh_delta_edge *e = &s->delta.edge[i];
		if (!serves(e, f) || !means(s->inv, &e->src, &f->src) ||
			!means(s->inv, &e->dst, &f->dst))
			continue;
		if (found && e->src.kind != BH_DELTA_NODE && e->dst.kind != BH_DELTA_NODE)
			fail_msg("two edges claim the same flow");
		found = e;
	}
	return found;
}

/* --- the comparison --- */

static void complain(const struct setting *s, uint64_t seed, const struct bh_flow *f,
	const struct bh_decision d[2], const struct bh_delta_edge *e)
{
	char src[BH_ADDR_STRLEN], dst[BH_ADDR_STRLEN];
	struct bh_buf b = {0};
	bh_delta_format(&s->delta, &b);
	fail_msg("seed %llu: %s -> %s protocol %u port %u: %s then %s, but %s is claimed\n"
		 "before:\n%s\nafter:\n%s\n%s",
		(unsigned long long)seed, bh_addr_format(&f->src, src),
		bh_addr_format(&f->dst, dst), f->proto, f->dport, bh_verdict_name(d[0].verdict),
		bh_verdict_name(d[1].verdict),
		!e         ? "nothing"
		: e->opens ? "+"
			   : "-",
		s->world.policy_text, s->other.policy_text, b.s ? b.s : "");
}

static bool why_fits(const struct bh_delta_edge *e, const struct bh_decision d[2])
{
	for (int i = 0; i < 2; i++) {
		bool denied[2] = {d[0].side[i].verdict == BH_SIDE_DENIED,
			d[1].side[i].verdict == BH_SIDE_DENIED};
		if (e->why[i].decides != (denied[0] != denied[1]))
			return false;
		for (int k = 0; k < 2 && e->why[i].decides; k++) {
			const struct bh_policy *p = d[k].side[i].rule.policy;
			if (p && !strstr(k ? e->why[i].after : e->why[i].before, p->ref))
				return false;
		}
	}
	return true;
}

static void check(struct setting *s, uint64_t seed, const struct bh_flow *f)
{
	struct bh_decision d[2];
	for (int i = 0; i < 2; i++)
		bh_engine_evaluate(s->engine[i], f, &d[i]);
	bool before = d[0].verdict == BH_ALLOW, after = d[1].verdict == BH_ALLOW;
	const struct bh_delta_edge *e = claim(s, f);
	if (before == after ? e != NULL : !e || e->opens != after || !why_fits(e, d))
		complain(s, seed, f, d, e);
	s->opened += !before && after;
	s->closed += before && !after;
}

static bool is_ignored(const struct bh_inventory *inv, const struct bh_addr *a)
{
	for (size_t i = 0; i < inv->n_broadcast; i++)
		if (bh_addr_eq(a, &inv->broadcast[i]))
			return true;
	return bh_addr_is_multicast(a) || bh_addr_is_loopback(a);
}

static void check_pair(
	struct setting *s, uint64_t seed, const struct bh_addr *a, const struct bh_addr *b)
{
	static const uint8_t protos[] = {BH_TCP, BH_TCP, BH_UDP, BH_SCTP};
	struct bh_flow f = {.src = *a, .dst = *b};
	int x = bh_inventory_owner(s->inv, a), y = bh_inventory_owner(s->inv, b);
	if (a->family != b->family || is_ignored(s->inv, a) || is_ignored(s->inv, b))
		return;
	if (x >= 0 && x == y)
		return; /* itself */
	for (unsigned i = 0; i < SERVICES; i++) {
		f.proto = protos[random_below(&s->world, 4)];
		f.sport = (uint16_t)(1024 + random_below(&s->world, 60000));
		f.dport = s->port[random_below(&s->world, (unsigned)s->n_ports)];
		check(s, seed, &f);
	}
	f.sport = f.dport = 0;
	f.proto = a->family == BH_IPV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	f.icmp_type = a->family == BH_IPV4 ? 8 : 128;
	check(s, seed, &f);
	f.proto = IPPROTO_GRE;
	f.icmp_type = 0;
	check(s, seed, &f);
}

/* --- worlds --- */

/* Like the original in most, but not in all. */
static void vary(struct random_world *w, struct bh_workload *r)
{
	static const char *const tier[] = {"a", "b", "c"};
	if (random_chance(w, 40))
		bh_labels_set(&r->labels, "tier", tier[random_below(w, 3)]);
	if (random_chance(w, 20))
		r->mode = (enum bh_mode)random_below(w, 3);
	if (random_chance(w, 15) && !r->unenforceable)
		r->unenforceable = bh_xstrdup("test");
	if (random_chance(w, 20) && r->n_ifaces && r->iface[0].n_addrs > 1)
		r->iface[0].n_addrs--;
}

/* Roles of several workloads, between which some policies can tell and others cannot. */
static void add_replicas(struct random_world *w)
{
	for (size_t i = 0, n = w->n_workloads; i < n; i++) {
		struct bh_workload *r = bh_workload_copy(w->workload[i]);
		free(r->name);
		free(r->id);
		r->name = bh_xasprintf("%s-%zu", w->workload[i]->name, n + i);
		r->id = bh_xasprintf("static:%s/%s", r->namespace, r->name);
		vary(w, r);
		for (size_t f = 0; f < r->n_ifaces; f++)
			for (size_t k = 0; k < r->iface[f].n_addrs; k++) {
				struct bh_addr *a = &r->iface[f].addr[k];
				a->b[a->family == BH_IPV4 ? 3 : 15] += 100;
				if (a->family == BH_IPV4 && a->b[1] == 1)
					a->b[2] = (uint8_t)random_below(w, 3);
			}
		BH_GROW(w->workload, w->n_workloads, w->cap_workloads);
		w->workload[w->n_workloads++] = r;
	}
}

static void set_up(struct setting *s, uint64_t seed)
{
	*s = (struct setting){0};
	assert_true(random_world_make(&s->world, seed,
		(seed % 2 ? RANDOM_CLUSTER : 0) | (seed % 3 ? RANDOM_ENFORCE : 0)));
	for (unsigned i = 0; i < seed % 3; i++) {
		add_replicas(&s->world);
		assert_true(random_world_build(&s->world, NULL));
	}
	random_world_copy(&s->other, &s->world);
	assert_true(random_world_build(&s->other, NULL));
	for (unsigned i = 0; i < 1 + seed % 3; i++)
		assert_true(random_world_change(&s->other));
	/* Half of the worlds as `policy plan` sees them, half as they are. */
	s->inv = seed % 4 < 2 ? bh_delta_inventory(s->world.inv) : bh_inventory_ref(s->world.inv);
	s->engine[0] = bh_engine_compile(s->world.policies, s->inv, &s->world.opts);
	s->engine[1] = bh_engine_compile(s->other.policies, s->inv, &s->world.opts);
}

static void tear_down(struct setting *s)
{
	bh_delta_finish(&s->delta);
	bh_engine_unref(s->engine[0]);
	bh_engine_unref(s->engine[1]);
	bh_inventory_unref(s->inv);
	random_world_finish(&s->world);
	random_world_finish(&s->other);
	free(s->addr);
	free(s->port);
}

static void test_brute_force(void **state BH_UNUSED)
{
	size_t opened = 0, closed = 0;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct setting s;
		set_up(&s, seed);
		assert_int_equal(bh_delta_compute(s.engine[0], s.engine[1], NULL, &s.delta), 0);
		assert_false(s.delta.truncated);
		add_people(&s);
		add_policies(&s, s.world.policies);
		add_policies(&s, s.other.policies);
		for (size_t a = 0; a < s.n_addrs; a++)
			for (size_t b = 0; b < s.n_addrs; b++)
				check_pair(&s, seed, &s.addr[a], &s.addr[b]);
		opened += s.opened;
		closed += s.closed;
		tear_down(&s);
	}
	/* Agreement says nothing where nothing changes. */
	assert_true(opened > 10000);
	assert_true(closed > 10000);
}

static char *text_of(const struct bh_delta *d)
{
	struct bh_buf b = {0};
	bh_delta_format(d, &b);
	return bh_buf_take(&b);
}

/* What is left out because no policy of either end has changed would not have changed. */
static void test_pruning(void **state BH_UNUSED)
{
	uint64_t pruned = 0, whole = 0;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		const struct bh_delta_opts all = {.no_pruning = true};
		struct setting s;
		struct bh_delta slow;
		set_up(&s, seed);
		assert_int_equal(bh_delta_compute(s.engine[0], s.engine[1], NULL, &s.delta), 0);
		assert_int_equal(bh_delta_compute(s.engine[0], s.engine[1], &all, &slow), 0);
		bh_autofree char *a = text_of(&s.delta), *b = text_of(&slow);
		assert_string_equal(a, b);
		pruned += s.delta.evaluations;
		whole += slow.evaluations;
		bh_delta_finish(&slow);
		tear_down(&s);
	}
	assert_true(pruned < whole * 3 / 4);
}

static void reverse(void **list, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		void *x = list[i];
		list[i] = list[n - 1 - i];
		list[n - 1 - i] = x;
	}
}

/* The same worlds, told backwards. */
static void test_order(void **state BH_UNUSED)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct setting s;
		struct bh_delta back;
		set_up(&s, seed);
		assert_int_equal(bh_delta_policies(s.world.policies, s.other.policies, s.world.inv,
					 &s.world.opts, true, NULL, &s.delta),
			0);
		reverse((void **)s.world.workload, s.world.n_workloads);
		reverse((void **)s.world.policy, s.world.n_policies);
		reverse((void **)s.other.policy, s.other.n_policies);
		assert_true(random_world_build(&s.world, NULL));
		assert_true(random_world_build(&s.other, NULL));
		assert_int_equal(bh_delta_policies(s.world.policies, s.other.policies, s.world.inv,
					 &s.world.opts, true, NULL, &back),
			0);
		bh_autofree char *a = text_of(&s.delta), *b = text_of(&back);
		assert_string_equal(a, b);
		bh_delta_finish(&back);
		tear_down(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_brute_force),
		cmocka_unit_test(test_pruning),
		cmocka_unit_test(test_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
