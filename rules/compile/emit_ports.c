/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What each veth may send, in the sets that the chains of emit_guard.c ask: of all workloads, or of
 * those alone that changed.
 */
#include "internal.h"

/* What is looked up as the target of an advertisement needs a set of its own: nft knows the field
 * as raw bytes only. */
static struct bh_set *nd_set(struct bh_ruleset *rs, const char *name, const char *comment)
{
	static const uint8_t part[] = {BH_PART_ND_TARGET};
	return bh_ruleset_add_concat_set(rs, name, BH_TABLE_BRIDGE, 0, part, 1, comment);
}

static void put_target(struct bh_set *s, const struct bh_addr *a, const char *comment)
{
	struct bh_value v = bh_value_addr(a);
	bh_set_add_parts(s, &v, comment);
}

void bh_emit_node_sets(struct bh_ruleset *rs, const struct bh_engine *e)
{
	static const char comment[] = "the node's own addresses";
	struct bh_set *s;
	for (int v6 = 0; v6 < 2; v6++) {
		s = bh_ruleset_add_set(
			rs, v6 ? "node6" : "node4", BH_SET_ADDR, v6 ? BH_IPV6 : BH_IPV4, comment);
		s->table = BH_TABLE_BRIDGE;
		for (size_t i = 0; i < e->inv->n_hosts; i++)
			if ((e->inv->host[i].family == BH_IPV6) == v6)
				bh_set_add(s, &e->inv->host[i], NULL, NULL, NULL);
	}
	s = nd_set(rs, "node-nd", comment);
	for (size_t i = 0; i < e->inv->n_hosts; i++)
		if (e->inv->host[i].family == BH_IPV6)
			put_target(s, &e->inv->host[i], NULL);
}

/* --- what each veth may send --- */

enum {
	GUARDED,
	STRICT,
	QUARANTINED,
	ROUTED,
	ROUTED_STRICT,
	MAC,
	IP4,
	IP6,
	ND,
	ROUTED_IP4,
	ROUTED_IP6,
	VETHS,
	PORT_SETS
};

static void make_sets(struct bh_ruleset *rs)
{
	static const uint8_t port[] = {BH_PART_IFNAME}, mac[] = {BH_PART_IFNAME, BH_PART_ETHER},
			     addr[] = {BH_PART_IFNAME, BH_PART_ETHER, BH_PART_ADDR},
			     nd[] = {BH_PART_IFNAME, BH_PART_ETHER, BH_PART_ND_TARGET},
			     routed[] = {BH_PART_IFNAME, BH_PART_ADDR};
	static const struct {
		const char *name;
		enum bh_table table;
		uint8_t family;
		const uint8_t *part;
		size_t n;
		const char *comment;
	} set[PORT_SETS] = {
		[GUARDED] = {"guarded", BH_TABLE_BRIDGE, 0, port, 1, "bridged veths"},
		[STRICT] = {"strict", BH_TABLE_BRIDGE, 0, port, 1, "of enforcing workloads"},
		[QUARANTINED] = {"quarantined", BH_TABLE_BRIDGE, 0, port, 1, "cut off from all"},
		[ROUTED] = {"routed", BH_TABLE_INET, 0, port, 1, "routed veths"},
		[ROUTED_STRICT] = {"routed-strict", BH_TABLE_INET, 0, port, 1,
			"of enforcing workloads"},
		[MAC] = {"guard-mac", BH_TABLE_BRIDGE, 0, mac, 2, "own MAC"},
		[IP4] = {"guard-ip4", BH_TABLE_BRIDGE, BH_IPV4, addr, 3, "own addresses"},
		[IP6] = {"guard-ip6", BH_TABLE_BRIDGE, BH_IPV6, addr, 3, "own addresses"},
		[ND] = {"guard-nd", BH_TABLE_BRIDGE, 0, nd, 3, "own addresses"},
		[ROUTED_IP4] = {"routed-ip4", BH_TABLE_INET, BH_IPV4, routed, 2, "own addresses"},
		[ROUTED_IP6] = {"routed-ip6", BH_TABLE_INET, BH_IPV6, routed, 2, "own addresses"},
		[VETHS] = {"veths", BH_TABLE_INET, 0, port, 1, "all veths"},
	};
	for (size_t i = 0; i < PORT_SETS; i++)
		bh_ruleset_add_concat_set(rs, set[i].name, set[i].table, set[i].family, set[i].part,
			set[i].n, set[i].comment);
}

struct port {
	struct bh_set *set; /* the PORT_SETS in their order */
	const struct bh_interface *iface;
	char *comment;
};

static void put(const struct port *p, int set, const struct bh_addr *a)
{
	struct bh_value v[3] = {bh_value_ifname(p->iface->host_name)};
	size_t n = 1;
	if (set == MAC || set == IP4 || set == IP6 || set == ND)
		v[n++] = bh_value_ether(p->iface->mac);
	if (a)
		v[n++] = bh_value_addr(a);
	bh_set_add_parts(&p->set[set], v, p->comment);
}

static void put_addr(const struct port *p, const struct bh_addr *a)
{
	bool v6 = a->family == BH_IPV6;
	if (p->iface->bridge && v6)
		put(p, ND, a);
	if (p->iface->bridge)
		put(p, v6 ? IP6 : IP4, a);
	else
		put(p, v6 ? ROUTED_IP6 : ROUTED_IP4, a);
}

/* Neighbour discovery of the link-local address that its MAC gives (RFC 4291, appendix A), which a
 * host has before the inventory hears of it. */
static void put_implied(const struct port *p)
{
	const uint8_t *mac = p->iface->mac;
	const uint8_t local[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff,
		0xfe, mac[3], mac[4], mac[5]};
	struct bh_addr a = bh_addr_from_bytes(BH_IPV6, local);
	if (p->iface->bridge)
		put(p, ND, &a);
}

static void put_port(const struct bh_engine *e, size_t workload, const struct port *p)
{
	const struct bh_workload *w = e->inv->workload[workload];
	bool strict = w->mode == BH_MODE_ENFORCE || w->quarantine;
	put(p, p->iface->bridge ? GUARDED : ROUTED, NULL);
	put(p, VETHS, NULL);
	if (strict)
		put(p, p->iface->bridge ? STRICT : ROUTED_STRICT, NULL);
	if (p->iface->bridge)
		put(p, MAC, NULL);
	if (p->iface->bridge && w->quarantine)
		put(p, QUARANTINED, NULL);
	put_implied(p);
	/* Any of the workload's addresses on any of its veths, as hosts answer. */
	for (size_t i = 0; i < w->n_ifaces; i++)
		for (size_t k = 0; k < w->iface[i].n_addrs; k++) {
			const struct bh_addr *a = &w->iface[i].addr[k];
			bool own = bh_inventory_owner(e->inv, a) == (int)workload;
			/* The same link-local address can be honest on two links. */
			if (own || (!p->iface->bridge && a->family == BH_IPV6 &&
					   bh_addr_is_link_local(a)))
				put_addr(p, a);
		}
}

static void put_targets(const struct bh_engine *e, size_t workload, struct bh_set *s)
{
	const struct bh_workload *w = e->inv->workload[workload];
	bh_autofree char *comment = bh_xasprintf("%s/%s", w->namespace, w->name);
	for (size_t i = 0; bh_emit_is_homed(w) && i < w->n_ifaces; i++)
		for (size_t k = 0; k < w->iface[i].n_addrs; k++) {
			const struct bh_addr *a = &w->iface[i].addr[k];
			if (a->family == BH_IPV6 && bh_inventory_owner(e->inv, a) == (int)workload)
				put_target(s, a, comment);
		}
}

void bh_emit_ports(
	struct bh_ruleset *rs, const struct bh_engine *e, const uint32_t *which, size_t n)
{
	struct bh_set *others = nd_set(rs, "identity-nd", "all workloads");
	for (size_t i = 0; i < n; i++)
		put_targets(e, which ? which[i] : i, others);
	size_t first = rs->n_sets;
	make_sets(rs);
	for (size_t i = 0; i < n; i++) {
		size_t at = which ? which[i] : i;
		const struct bh_workload *w = e->inv->workload[at];
		if (e->place[at].group[0] == BH_GROUP_UNGOVERNED)
			continue;
		bh_autofree char *comment = bh_xasprintf("%s/%s", w->namespace, w->name);
		for (size_t k = 0; k < w->n_ifaces; k++) {
			const struct port p = {&rs->set[first], &w->iface[k], comment};
			if (p.iface->host_name)
				put_port(e, at, &p);
		}
	}
}
