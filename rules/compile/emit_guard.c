/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Identity is bound to the veth: a workload sends with its own MAC and addresses, whatever the root
 * in it does. Bridged veths are checked as frames enter their bridge, before everything else, which
 * also stops what would slip past the inet hooks: VLAN tags, even tag 0, and every other protocol.
 * Routed veths are checked before connection tracking.
 *
 * Of a workload in mode enforce ("strict") nothing else passes. In learn and audit, which break
 * nothing, only an address that is somebody else's does not: else a workload that is still observed
 * could speak in the name of one that an enforcing neighbour trusts.
 */
#include "internal.h"

#include <linux/if_ether.h>
#include <netinet/in.h>

#define FIRST (-500) /* before everything on bridges; NF_BR_PRI_FIRST is INT_MIN */
#define BEFORE_CONNTRACK (-310) /* before raw (-300) */
#define DROPPED_SIZE 4096
#define DROPPED_TIMEOUT_S 300
#define ND_ROUTER_ADVERT 134
#define ND_NEIGHBOUR_ADVERT 136

static const uint8_t read_port[] = {BH_READ_IIFNAME};
static const uint8_t read_out[] = {BH_READ_OIFNAME};
static const uint8_t read_mac[] = {BH_READ_IIFNAME, BH_READ_ETHER_SADDR};
static const uint8_t read_addr[] = {BH_READ_IIFNAME, BH_READ_ETHER_SADDR, BH_READ_SADDR};
static const uint8_t read_arp[] = {BH_READ_IIFNAME, BH_READ_ARP_SADDR_ETHER, BH_READ_ARP_SADDR_IP};
static const uint8_t read_target[] = {BH_READ_IIFNAME, BH_READ_ETHER_SADDR, BH_READ_ND_TARGET};
static const uint8_t read_routed[] = {BH_READ_IIFNAME, BH_READ_SADDR};
static const uint8_t read_dropped[] = {BH_READ_IIFNAME, BH_READ_ETHER_SADDR, BH_READ_ETHER_TYPE};
static const uint8_t read_arp_ip[] = {BH_READ_ARP_SADDR_IP};
static const uint8_t read_nd[] = {BH_READ_ND_TARGET};

static struct bh_rule *in_set(
	struct bh_rule *r, uint8_t family, const char *set, const uint8_t *read, size_t n, bool neg)
{
	bh_rule_match_parts(r, BH_MATCH_CONCAT_SET, family, set, read, n)->neg = neg;
	return r;
}

static struct bh_rule *end(struct bh_rule *r, enum bh_action action)
{
	r->action = action;
	r->counter = action == BH_ACT_DROP;
	return r;
}

static void icmpv6(struct bh_rule *r, uint16_t type)
{
	struct bh_match *m = bh_rule_match(r, BH_MATCH_ICMPV6_TYPES);
	m->port = bh_xcalloc(1, sizeof(*m->port));
	m->port[0] = (struct bh_port_range){type, type};
	m->n_ports = 1;
}

static void link_local_source(struct bh_rule *r)
{
	struct bh_match *m = bh_rule_match(r, BH_MATCH_SADDR_PREFIX);
	m->family = BH_IPV6;
	bh_prefix_parse("fe80::/10", &m->prefix);
}

/* Counts who sent what, for the daemon to report, and drops it. */
static void drop_strict(struct bh_chain *c)
{
	struct bh_rule *r = bh_chain_add(c, NULL);
	in_set(r, 0, "strict", read_port, 1, false);
	struct bh_match *u = bh_rule_match_parts(
		r, BH_MATCH_UPDATE, 0, "guard-dropped", read_dropped, BH_ARRAY_SIZE(read_dropped));
	u->counter = true;
	end(r, BH_ACT_NONE);
	r = bh_chain_add(c, "spoofed, tagged or of another protocol");
	end(in_set(r, 0, "strict", read_port, 1, false), BH_ACT_DROP);
}

/* Somebody else's address: the workloads' and the node's own. */
static void drop_foreign(struct bh_chain *c)
{
	static const struct {
		const char *set[2];
		enum bh_family family;
		bool arp;
	} check[] = {
		{{"identity4", "node4"}, BH_IPV4, false},
		{{"identity4", "node4"}, BH_IPV4, true},
		{{"identity6", "node6"}, BH_IPV6, false},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(check); i++)
		for (int k = 0; k < 2; k++) {
			struct bh_rule *r = bh_chain_add(c, "somebody else's address");
			if (check[i].arp)
				in_set(r, (uint8_t)check[i].family, check[i].set[k], read_arp_ip, 1,
					false);
			else
				bh_emit_set_match(
					r, BH_MATCH_SADDR_SET, check[i].family, check[i].set[k]);
			end(r, BH_ACT_DROP);
		}
}

static void accept_own(struct bh_chain *c)
{
	struct bh_rule *r = bh_chain_add(c, NULL);
	in_set(r, BH_IPV4, "guard-ip4", read_arp, BH_ARRAY_SIZE(read_arp), false);
	end(in_set(r, 0, "guard-mac", read_mac, BH_ARRAY_SIZE(read_mac), false), BH_ACT_ACCEPT);
	r = bh_chain_add(c, NULL);
	end(in_set(r, BH_IPV4, "guard-ip4", read_addr, BH_ARRAY_SIZE(read_addr), false),
		BH_ACT_ACCEPT);
	/* An advertisement speaks of its target, not of its source. */
	r = bh_chain_add(c, "neighbour advertisement for itself");
	icmpv6(r, ND_NEIGHBOUR_ADVERT);
	end(in_set(r, 0, "guard-nd", read_target, BH_ARRAY_SIZE(read_target), false),
		BH_ACT_ACCEPT);
	for (int k = 0; k < 2; k++) {
		r = bh_chain_add(c, "neighbour advertisement for somebody else");
		icmpv6(r, ND_NEIGHBOUR_ADVERT);
		end(in_set(r, 0, k ? "node-nd" : "identity-nd", read_nd, 1, false), BH_ACT_DROP);
	}
	r = bh_chain_add(c, "router advertisement from a workload");
	icmpv6(r, ND_ROUTER_ADVERT);
	end(in_set(r, 0, "strict", read_port, 1, false), BH_ACT_DROP);
	r = bh_chain_add(c, NULL);
	end(in_set(r, BH_IPV6, "guard-ip6", read_addr, BH_ARRAY_SIZE(read_addr), false),
		BH_ACT_ACCEPT);
	r = bh_chain_add(c, "link-local");
	link_local_source(r);
	end(in_set(r, 0, "guard-mac", read_mac, BH_ARRAY_SIZE(read_mac), false), BH_ACT_ACCEPT);
}

static void emit_bridge(struct bh_ruleset *rs)
{
	static const uint16_t governed[] = {ETH_P_IP, ETH_P_ARP, ETH_P_IPV6};
	struct bh_chain *c = bh_ruleset_add_chain(rs, "guard", BH_HOOK_PREROUTING, FIRST, NULL);
	c->table = BH_TABLE_BRIDGE;
	end(in_set(bh_chain_add(c, NULL), 0, "guarded", read_port, 1, true), BH_ACT_ACCEPT);
	accept_own(c);
	drop_strict(c);
	drop_foreign(c);

	/* What an observed workload may still send, tags and all, reaches nobody who enforces. */
	c = bh_ruleset_add_chain(rs, "deliver", BH_HOOK_FORWARD, FIRST, NULL);
	c->table = BH_TABLE_BRIDGE;
	struct bh_rule *r = bh_chain_add(c, "tagged or of another protocol");
	in_set(r, 0, "strict", read_out, 1, false);
	struct bh_match *m = bh_rule_match(r, BH_MATCH_ETHER_TYPE);
	m->neg = true;
	m->n_ports = BH_ARRAY_SIZE(governed);
	m->port = bh_xcalloc(m->n_ports, sizeof(*m->port));
	for (size_t i = 0; i < m->n_ports; i++)
		m->port[i] = (struct bh_port_range){governed[i], governed[i]};
	end(r, BH_ACT_DROP);
}

static void emit_routed(struct bh_ruleset *rs)
{
	struct bh_chain *c =
		bh_ruleset_add_chain(rs, "source", BH_HOOK_PREROUTING, BEFORE_CONNTRACK, NULL);
	struct bh_rule *r = bh_chain_add(c, NULL);
	end(in_set(r, 0, "routed", read_port, 1, true), BH_ACT_ACCEPT);
	for (int v6 = 0; v6 < 2; v6++) {
		r = bh_chain_add(c, NULL);
		end(in_set(r, v6 ? BH_IPV6 : BH_IPV4, v6 ? "routed-ip6" : "routed-ip4", read_routed,
			    BH_ARRAY_SIZE(read_routed), false),
			BH_ACT_ACCEPT);
	}
	r = bh_chain_add(c, "link-local");
	link_local_source(r);
	end(r, BH_ACT_ACCEPT);
	r = bh_chain_add(c, "not its own address");
	end(in_set(r, 0, "routed-strict", read_port, 1, false), BH_ACT_DROP);
	for (int v6 = 0; v6 < 2; v6++) {
		r = bh_chain_add(c, "somebody else's address");
		bh_emit_set_match(r, BH_MATCH_SADDR_SET, v6 ? BH_IPV6 : BH_IPV4,
			v6 ? "inhabited6" : "inhabited4");
		end(r, BH_ACT_DROP);
	}
}

void bh_emit_guard(const struct bh_emit *m)
{
	static const uint8_t part[] = {BH_PART_IFNAME, BH_PART_ETHER, BH_PART_ETHERTYPE};
	emit_bridge(m->rs);
	emit_routed(m->rs);
	struct bh_set *s = bh_ruleset_add_concat_set(m->rs, "guard-dropped", BH_TABLE_BRIDGE, 0,
		part, BH_ARRAY_SIZE(part), "who sent what is dropped");
	s->volatile_ = BH_VOLATILE_DYNAMIC;
	s->timeout_s = DROPPED_TIMEOUT_S;
	s->size = DROPPED_SIZE;
}

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
	ROUTED,
	ROUTED_STRICT,
	MAC,
	IP4,
	IP6,
	ND,
	ROUTED_IP4,
	ROUTED_IP6,
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
		[ROUTED] = {"routed", BH_TABLE_INET, 0, port, 1, "routed veths"},
		[ROUTED_STRICT] = {"routed-strict", BH_TABLE_INET, 0, port, 1,
			"of enforcing workloads"},
		[MAC] = {"guard-mac", BH_TABLE_BRIDGE, 0, mac, 2, "own MAC"},
		[IP4] = {"guard-ip4", BH_TABLE_BRIDGE, BH_IPV4, addr, 3, "own addresses"},
		[IP6] = {"guard-ip6", BH_TABLE_BRIDGE, BH_IPV6, addr, 3, "own addresses"},
		[ND] = {"guard-nd", BH_TABLE_BRIDGE, 0, nd, 3, "own addresses"},
		[ROUTED_IP4] = {"routed-ip4", BH_TABLE_INET, BH_IPV4, routed, 2, "own addresses"},
		[ROUTED_IP6] = {"routed-ip6", BH_TABLE_INET, BH_IPV6, routed, 2, "own addresses"},
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

/* What every host sends before and beside its addresses: the unspecified one (DHCP, duplicate
 * address detection), and the link-local one that its MAC gives (RFC 4291, appendix A). */
static void put_implied(const struct port *p)
{
	const uint8_t *mac = p->iface->mac;
	const uint8_t local[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, mac[0] ^ 2, mac[1], mac[2], 0xff,
		0xfe, mac[3], mac[4], mac[5]};
	const uint8_t zero[16] = {0};
	struct bh_addr a = bh_addr_from_bytes(BH_IPV4, zero);
	put_addr(p, &a);
	a = bh_addr_from_bytes(BH_IPV6, zero);
	put_addr(p, &a);
	a = bh_addr_from_bytes(BH_IPV6, local);
	put_addr(p, &a);
}

static void put_port(const struct bh_engine *e, size_t workload, const struct port *p)
{
	const struct bh_workload *w = e->inv->workload[workload];
	bool strict = w->mode == BH_MODE_ENFORCE || w->quarantine;
	put(p, p->iface->bridge ? GUARDED : ROUTED, NULL);
	if (strict)
		put(p, p->iface->bridge ? STRICT : ROUTED_STRICT, NULL);
	if (p->iface->bridge)
		put(p, MAC, NULL);
	put_implied(p);
	/* Any of the workload's addresses on any of its veths, as hosts answer. */
	for (size_t i = 0; i < w->n_ifaces; i++)
		for (size_t k = 0; k < w->iface[i].n_addrs; k++)
			if (bh_inventory_owner(e->inv, &w->iface[i].addr[k]) == (int)workload)
				put_addr(p, &w->iface[i].addr[k]);
}

static void put_targets(const struct bh_engine *e, size_t workload, struct bh_set *s)
{
	const struct bh_workload *w = e->inv->workload[workload];
	bh_autofree char *comment = bh_xasprintf("%s/%s", w->namespace, w->name);
	for (size_t i = 0; i < w->n_ifaces; i++)
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
		if (e->group_of[0][at] == BH_GROUP_UNGOVERNED)
			continue;
		bh_autofree char *comment = bh_xasprintf("%s/%s", w->namespace, w->name);
		for (size_t k = 0; k < w->n_ifaces; k++) {
			const struct port p = {&rs->set[first], &w->iface[k], comment};
			if (p.iface->host_name)
				put_port(e, at, &p);
		}
	}
}
