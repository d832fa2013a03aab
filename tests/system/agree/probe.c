/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which flows to try. Ports are taken from the edges of what the policies and workloads name. */
#include "agree.h"

struct end {
	struct bh_addr addr;
	int slot;
};

struct ends {
	struct end *item;
	size_t n, cap;
};

struct ports {
	uint16_t *item;
	size_t n, cap;
};

struct pair {
	const struct end *from, *to;
};

struct pairs {
	struct pair *item;
	size_t n, cap;
};

static void add_end(struct ends *e, const struct bh_inventory *inv, const struct bh_addr *a)
{
	int slot = lab_holder(inv, a);
	if (slot < 0)
		return;
	BH_GROW(e->item, e->n, e->cap);
	e->item[e->n++] = (struct end){*a, slot};
}

static void collect_ends(struct ends *e, const struct bh_inventory *inv)
{
	struct bh_addr a;
	for (size_t i = 0; i < inv->n; i++) {
		const struct bh_workload *w = inv->workload[i];
		for (size_t k = 0; k < w->n_ifaces; k++)
			for (size_t n = 0; n < w->iface[k].n_addrs; n++)
				/* Of one with very many, the first and the last will do. */
				if ((n < 3 || n + 1 == w->iface[k].n_addrs) &&
					bh_inventory_owner(inv, &w->iface[k].addr[n]) == (int)i)
					add_end(e, inv, &w->iface[k].addr[n]);
	}
	for (size_t i = 0; i < inv->n_hosts; i++)
		add_end(e, inv, &inv->host[i]);
	for (size_t i = 0; i < lab_n_externals; i++)
		if (bh_addr_parse(lab_externals[i], &a) == 0 && bh_inventory_owner(inv, &a) < 0)
			add_end(e, inv, &a);
}

static void add_port(struct ports *p, unsigned port)
{
	for (unsigned at = port ? port - 1 : 0; at <= port + 1; at++) {
		if (at < 1 || at > UINT16_MAX)
			continue;
		BH_GROW(p->item, p->n, p->cap);
		p->item[p->n++] = (uint16_t)at;
	}
}

static void collect_rule_ports(struct ports *p, const struct bh_policy_rule *r)
{
	for (size_t i = 0; i < r->n_ports; i++) {
		if (r->port[i].any || r->port[i].name)
			continue;
		add_port(p, r->port[i].first);
		add_port(p, r->port[i].last);
	}
}

static void collect_ports(struct ports *p, const struct random_world *w)
{
	for (size_t i = 0; i < w->policies->n; i++)
		for (int d = 0; d < 2; d++)
			for (size_t k = 0; k < w->policies->policy[i]->n_rules[d]; k++)
				collect_rule_ports(p, &w->policies->policy[i]->rule[d][k]);
	for (size_t i = 0; i < w->n_workloads; i++)
		for (size_t k = 0; k < w->workload[i]->n_ports; k++)
			add_port(p, w->workload[i]->port[k].port);
	add_port(p, 1000);
}

static bool is_workload(int slot)
{
	return slot < WORKLOAD_SLOTS;
}

static void collect_pairs(struct pairs *p, const struct ends *e)
{
	for (size_t i = 0; i < e->n; i++)
		for (size_t k = 0; k < e->n; k++) {
			const struct end *a = &e->item[i], *b = &e->item[k];
			if (a->addr.family != b->addr.family ||
				(!is_workload(a->slot) && !is_workload(b->slot)))
				continue;
			BH_GROW(p->item, p->n, p->cap);
			p->item[p->n++] = (struct pair){a, b};
		}
}

static void shuffle(struct random_world *w, struct pairs *p)
{
	for (size_t i = p->n; i > 1; i--) {
		size_t k = random_below(w, (unsigned)i);
		struct pair x = p->item[i - 1];
		p->item[i - 1] = p->item[k];
		p->item[k] = x;
	}
}

static void pick_dhcp(struct random_world *w, struct probe *p)
{
	uint16_t first = p->flow.src.family == BH_IPV4 ? 67 : 546;
	p->special = true;
	p->flow.proto = BH_UDP;
	p->flow.sport = (uint16_t)(first + random_below(w, 2));
	p->flow.dport = (uint16_t)(first + random_below(w, 2));
}

static void pick_service(struct random_world *w, const struct ports *ports, struct probe *p)
{
	static const uint8_t protos[] = {BH_TCP, BH_TCP, BH_TCP, BH_TCP, BH_UDP, BH_UDP, BH_UDP,
		BH_SCTP, BH_SCTP, BH_SCTP, 1, 1, PROTO_OTHER};
	static const uint8_t icmp6[] = {128, 128, 128, 128, 129, 1, 135, 137};
	bool v4 = p->flow.src.family == BH_IPV4;
	/* Where the source port is not ours to choose, an answer can't be told from another first
	 * packet: then only one of the two directions is tried in a state. */
	bool alone = (bh_addr_cmp(&p->flow.src, &p->flow.dst) < 0) == (w->n_policies % 2);
	if (alone && random_chance(w, 4)) {
		pick_dhcp(w, p);
		return;
	}
	p->flow.proto = protos[random_below(w, BH_ARRAY_SIZE(protos))];
	if (p->flow.proto == PROTO_OTHER && !alone)
		p->flow.proto = BH_TCP;
	if (p->flow.proto == IPPROTO_ICMP) {
		p->flow.proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
		p->flow.icmp_type = v4 ? 8 : icmp6[random_below(w, BH_ARRAY_SIZE(icmp6))];
		p->flow.hops = v4 ? 0 : 64; /* what raw sockets send with */
	} else if (p->flow.proto != PROTO_OTHER) {
		p->flow.dport = random_chance(w, 90)
					? ports->item[random_below(w, (unsigned)ports->n)]
					: (uint16_t)(1 + random_below(w, 19000));
	}
}

static bool on_bridge(int slot)
{
	return slot == SLOT_STRANGER || (is_workload(slot) && slot % 5 != 4);
}

void probes_make(struct probes *p, struct random_world *w, size_t max)
{
	struct ends ends = {0};
	struct ports ports = {0};
	struct pairs pairs = {0};
	collect_ends(&ends, w->inv);
	collect_ports(&ports, w);
	collect_pairs(&pairs, &ends);
	shuffle(w, &pairs);
	for (size_t i = 0; pairs.n && i < max; i++) {
		const struct pair *x = &pairs.item[i % pairs.n];
		struct probe one = {.from = x->from->slot, .to = x->to->slot};
		one.flow.src = x->from->addr;
		one.flow.dst = x->to->addr;
		one.direct = one.from != one.to && on_bridge(one.from) && on_bridge(one.to) &&
			     random_chance(w, 70);
		pick_service(w, &ports, &one);
		BH_GROW(p->item, p->n, p->cap);
		p->item[p->n++] = one;
	}
	free(ends.item);
	free(ports.item);
	free(pairs.item);
}
