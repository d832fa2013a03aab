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
#include "emit_link.h"

#include <netinet/in.h>

#define BEFORE_CONNTRACK (-310) /* before raw (-300) */
#define DROPPED_SIZE 4096
#define DROPPED_TIMEOUT_S 300

static const uint8_t read_port[] = {BH_READ_IIFNAME};
static const uint8_t read_mac[] = {BH_READ_IIFNAME, BH_READ_ETHER_SADDR};
static const uint8_t read_addr[] = {BH_READ_IIFNAME, BH_READ_ETHER_SADDR, BH_READ_SADDR};
static const uint8_t read_arp[] = {BH_READ_IIFNAME, BH_READ_ARP_SADDR_ETHER, BH_READ_ARP_SADDR_IP};
static const uint8_t read_arp_mac[] = {BH_READ_IIFNAME, BH_READ_ARP_SADDR_ETHER};
static const uint8_t read_target[] = {BH_READ_IIFNAME, BH_READ_ETHER_SADDR, BH_READ_ND_TARGET};
static const uint8_t read_routed[] = {BH_READ_IIFNAME, BH_READ_SADDR};
static const uint8_t read_dropped[] = {BH_READ_IIFNAME, BH_READ_ETHER_SADDR, BH_READ_ETHER_TYPE};
static const uint8_t read_arp_ip[] = {BH_READ_ARP_SADDR_IP};
static const uint8_t read_nd[] = {BH_READ_ND_TARGET};

struct bh_rule *bh_emit_in_set(
	struct bh_rule *r, uint8_t family, const char *set, const uint8_t *read, size_t n, bool neg)
{
	bh_rule_match_parts(r, BH_MATCH_CONCAT_SET, family, set, read, n)->neg = neg;
	return r;
}

struct bh_rule *bh_emit_end(struct bh_rule *r, enum bh_action action)
{
	r->action = action;
	r->counter = action == BH_ACT_DROP;
	return r;
}

void bh_emit_icmpv6_types(struct bh_rule *r, const uint16_t *type, size_t n)
{
	struct bh_match *m = bh_rule_match(r, BH_MATCH_ICMPV6_TYPES);
	m->port = bh_xcalloc(n, sizeof(*m->port));
	m->n_ports = n;
	for (size_t i = 0; i < n; i++)
		m->port[i] = (struct bh_port_range){type[i], type[i]};
}

static void icmpv6(struct bh_rule *r, uint16_t type)
{
	bh_emit_icmpv6_types(r, &type, 1);
}

static void source(struct bh_rule *r, enum bh_family family, const char *prefix)
{
	struct bh_match *m = bh_rule_match(r, BH_MATCH_SADDR_PREFIX);
	m->family = (uint8_t)family;
	bh_prefix_parse(prefix, &m->prefix);
}

static void source6(struct bh_rule *r, const char *prefix)
{
	source(r, BH_IPV6, prefix);
}

void bh_emit_udp_port(struct bh_rule *r, enum bh_match_kind kind, uint16_t port)
{
	struct bh_match *m = bh_rule_match(r, kind);
	m->proto = IPPROTO_UDP;
	m->port = bh_xcalloc(1, sizeof(*m->port));
	m->port[0] = (struct bh_port_range){port, port};
	m->n_ports = 1;
}

/* To the chain that counts who sent what, for the daemon to report, and drops it. */
static struct bh_rule *forged(struct bh_rule *r)
{
	bh_emit_go(r, BH_ACT_GOTO, "forged");
	return r;
}

static struct bh_rule *misplaced(struct bh_rule *r)
{
	bh_emit_go(r, BH_ACT_GOTO, "misplaced");
	return r;
}

static void drop_strict(struct bh_chain *c)
{
	struct bh_rule *r = bh_chain_add(c, "spoofed, tagged or of another protocol");
	forged(bh_emit_in_set(r, 0, "strict", read_port, 1, false));
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
				bh_emit_in_set(r, (uint8_t)check[i].family, check[i].set[k],
					read_arp_ip, 1, false);
			else
				bh_emit_set_match(
					r, BH_MATCH_SADDR_SET, check[i].family, check[i].set[k]);
			forged(r);
		}
}

/* What only the node says to its workloads: addresses and routes for everybody who asks. */
static void drop_servers(struct bh_chain *c)
{
	struct bh_rule *r = bh_chain_add(c, "DHCP server");
	bh_emit_udp_port(r, BH_MATCH_SPORT, DHCP_SERVER);
	bh_emit_udp_port(r, BH_MATCH_DPORT, DHCP_CLIENT);
	forged(bh_emit_in_set(r, 0, "strict", read_port, 1, false));
	r = bh_chain_add(c, "DHCPv6 server");
	bh_emit_udp_port(r, BH_MATCH_DPORT, DHCP6_CLIENT);
	forged(bh_emit_in_set(r, 0, "strict", read_port, 1, false));
	for (int k = 0; k < 2; k++) {
		r = bh_chain_add(c, k ? "redirect" : "router advertisement");
		icmpv6(r, k ? ND_REDIRECT : ND_ROUTER_ADVERT);
		forged(bh_emit_in_set(r, 0, "strict", read_port, 1, false));
	}
}

/* Both speak of their target, not of their source: an advertisement, and the question whether
 * anybody has an address already. `type` of the two; `unspecified`: only from ::. */
static void targets(
	struct bh_chain *c, uint16_t type, bool unspecified, bool own, const char *comment)
{
	for (int k = own ? -1 : 0; k < 2; k++) {
		struct bh_rule *r = bh_chain_add(c, comment);
		icmpv6(r, type);
		if (unspecified)
			source6(r, "::/128");
		if (k < 0)
			bh_emit_end(bh_emit_in_set(r, 0, "guard-nd", read_target,
					    BH_ARRAY_SIZE(read_target), false),
				BH_ACT_ACCEPT);
		else
			forged(bh_emit_in_set(
				r, 0, k ? "node-nd" : "identity-nd", read_nd, 1, false));
	}
}

static struct bh_rule *own_mac(struct bh_rule *r)
{
	return bh_emit_in_set(r, 0, "guard-mac", read_mac, BH_ARRAY_SIZE(read_mac), false);
}

/*
 * What a host says before it has an address, or before the inventory knows of it: DHCP, neighbour
 * discovery and MLD, and nothing else. Rules go by address: whoever could speak from one that is
 * nobody's, the unspecified one or some link-local one, would be governed by nobody's rules, a
 * quarantine's included. `mac`: at a port of a bridge.
 */
static void accept_unaddressed(struct bh_chain *c, bool mac)
{
	static const uint16_t of_the_link[] = {BH_ND_OF_THE_LINK};
	static const uint16_t unspecified[] = {
		MLD_REPORT, MLD_REPORT + 1, ND_ROUTER_SOLICIT, ND_NEIGHBOUR_SOLICIT, MLD2_REPORT};
	for (int k = 0; k < 3; k++) {
		struct bh_rule *r = bh_chain_add(c, k == 2 ? "link-local" : "no address yet");
		if (k == 0) {
			source(r, BH_IPV4, "0.0.0.0/32");
			bh_emit_udp_port(r, BH_MATCH_SPORT, DHCP_CLIENT);
			bh_emit_udp_port(r, BH_MATCH_DPORT, DHCP_SERVER);
		} else {
			bh_emit_icmpv6_types(r, k == 2 ? of_the_link : unspecified,
				k == 2 ? BH_ARRAY_SIZE(of_the_link) : BH_ARRAY_SIZE(unspecified));
			source6(r, k == 2 ? "fe80::/10" : "::/128");
		}
		bh_emit_end(mac ? own_mac(r) : r, BH_ACT_ACCEPT);
	}
}

/* In pieces, none says what the whole does, and they are put together behind this hook. Nobody may
 * send discovery so (RFC 6980). */
static void drop_pieces(struct bh_chain *c)
{
	static const uint16_t types[] = {ND_ROUTER_SOLICIT, ND_ROUTER_ADVERT, ND_NEIGHBOUR_SOLICIT,
		ND_NEIGHBOUR_ADVERT, ND_REDIRECT};
	struct bh_rule *r = bh_chain_add(c, "discovery in fragments");
	bh_emit_icmpv6_types(r, types, BH_ARRAY_SIZE(types));
	bh_rule_match(r, BH_MATCH_IP6_FRAGMENT);
	forged(r);
}

static void accept_own(struct bh_chain *c)
{
	struct bh_rule *r = bh_chain_add(c, NULL);
	bh_emit_in_set(r, BH_IPV4, "guard-ip4", read_arp, BH_ARRAY_SIZE(read_arp), false);
	bh_emit_end(own_mac(r), BH_ACT_ACCEPT);
	r = bh_chain_add(c, "does anybody have it?"); /* RFC 5227 */
	bh_emit_in_set(r, BH_IPV4, "unspecified4", read_arp_ip, 1, false);
	bh_emit_in_set(r, 0, "guard-mac", read_arp_mac, BH_ARRAY_SIZE(read_arp_mac), false);
	bh_emit_end(own_mac(r), BH_ACT_ACCEPT);
	drop_pieces(c);
	drop_servers(c);
	r = bh_chain_add(c, NULL);
	bh_emit_end(
		bh_emit_in_set(r, BH_IPV4, "guard-ip4", read_addr, BH_ARRAY_SIZE(read_addr), false),
		BH_ACT_ACCEPT);
	targets(c, ND_NEIGHBOUR_ADVERT, false, true, "neighbour advertisement");
	targets(c, ND_NEIGHBOUR_SOLICIT, true, true, "duplicate address detection");
	r = bh_chain_add(c, NULL);
	bh_emit_end(
		bh_emit_in_set(r, BH_IPV6, "guard-ip6", read_addr, BH_ARRAY_SIZE(read_addr), false),
		BH_ACT_ACCEPT);
	/* Before the inventory knows it; but never one that it knows as somebody else's. */
	for (int k = 0; k < 2; k++) {
		r = bh_chain_add(c, "somebody else's address");
		bh_emit_set_match(r, BH_MATCH_SADDR_SET, BH_IPV6, k ? "node6" : "identity6");
		forged(r);
	}
	accept_unaddressed(c, true);
}

/* Most of all packets: none of the checks before accept_own's concerns TCP, so that of a workload's
 * own address one look-up is all it pays. */
static void accept_tcp(struct bh_chain *c)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct bh_rule *r = bh_chain_add(c, NULL);
		bh_rule_match(r, BH_MATCH_L4PROTO)->proto = IPPROTO_TCP;
		bh_emit_end(
			bh_emit_in_set(r, v6 ? BH_IPV6 : BH_IPV4, v6 ? "guard-ip6" : "guard-ip4",
				read_addr, BH_ARRAY_SIZE(read_addr), false),
			BH_ACT_ACCEPT);
	}
}

/* Ports of nobody that we know: an uplink, a veth that was made this moment. They may speak for
 * whom they like, but for no workload. */
static void emit_stranger(struct bh_ruleset *rs)
{
	struct bh_chain *c =
		bh_ruleset_add_chain(rs, "stranger", BH_HOOK_NONE, 0, "ports of no workload");
	c->table = BH_TABLE_BRIDGE;
	for (int k = 0; k < 3; k++) {
		struct bh_rule *r = bh_chain_add(c, "a workload's address");
		if (k == 1)
			bh_emit_in_set(r, BH_IPV4, "bound4", read_arp_ip, 1, false);
		else
			bh_emit_set_match(r, BH_MATCH_SADDR_SET, k ? BH_IPV6 : BH_IPV4,
				k ? "bound6" : "bound4");
		forged(r);
	}
	drop_pieces(c);
	for (int ad = 0; ad < 2; ad++)
		bh_emit_go(bh_emit_tagged(c, ad, 0, NULL), BH_ACT_JUMP, "tagged");
	struct bh_rule *r = bh_chain_add(c, "a workload's address");
	icmpv6(r, ND_NEIGHBOUR_ADVERT);
	forged(bh_emit_in_set(r, 0, "identity-nd", read_nd, 1, false));
	bh_emit_end(bh_chain_add(c, NULL), BH_ACT_ACCEPT);
}

static void emit_bridge(struct bh_ruleset *rs)
{
	struct bh_chain *c =
		bh_ruleset_add_chain(rs, "guard", BH_HOOK_PREROUTING, BH_GUARD_FIRST, NULL);
	c->table = BH_TABLE_BRIDGE;
	struct bh_set *s = bh_ruleset_add_set(
		rs, "unspecified4", BH_SET_ADDR, BH_IPV4, "of who has no address yet");
	s->table = BH_TABLE_BRIDGE;
	struct bh_addr any = {.family = BH_IPV4};
	bh_set_add(s, &any, NULL, NULL, NULL);
	accept_tcp(c);
	bh_emit_go(bh_emit_in_set(bh_chain_add(c, NULL), 0, "guarded", read_port, 1, true),
		BH_ACT_GOTO, "stranger");
	accept_own(c);
	drop_strict(c);
	for (int ad = 0; ad < 2; ad++)
		forged(bh_emit_tagged(c, ad, 0, "a tag that hosts take off"));
	drop_foreign(c);
}

/*
 * A workload's address is believed from a bridge, where the guard has looked at it by port, or from
 * its routed veth. Frames to the groups that are reserved for bridges (01:80:c2:00:00:0X) do not
 * enter the bridge: they come from the bridged veth itself, past the guard. Link-local addresses
 * mean something on their own link only.
 */
static void drop_elsewhere(struct bh_chain *c)
{
	/* Whatever bridge: its ports have been asked for a workload's address, the ports of nobody
	 * as well. Most packets of workloads pay for this rule only, which asks no set. */
	struct bh_rule *r = bh_chain_add(c, "looked at by its port");
	bh_rule_match(r, BH_MATCH_IIF_BRIDGE);
	bh_emit_end(r, BH_ACT_ACCEPT);
	for (int v6 = 0; v6 < 2; v6++)
		bh_emit_end(bh_emit_in_set(bh_chain_add(c, NULL), v6 ? BH_IPV6 : BH_IPV4,
				    v6 ? "routed-ip6" : "routed-ip4", read_routed,
				    BH_ARRAY_SIZE(read_routed), false),
			BH_ACT_ACCEPT);
	/* The node's own packets, and what it refuses to itself in a workload's name. */
	r = bh_chain_add(c, NULL);
	bh_rule_match(r, BH_MATCH_IIF_LO);
	bh_emit_end(r, BH_ACT_ACCEPT);
	r = bh_chain_add(c, NULL);
	source6(r, "fe80::/10");
	bh_emit_end(bh_emit_in_set(r, 0, "veths", read_port, 1, true), BH_ACT_ACCEPT);
	for (int v6 = 0; v6 < 2; v6++) {
		r = bh_chain_add(c, "a workload's address from elsewhere");
		bh_emit_set_match(
			r, BH_MATCH_SADDR_SET, v6 ? BH_IPV6 : BH_IPV4, v6 ? "homed6" : "homed4");
		misplaced(r);
	}
	bh_emit_end(bh_emit_in_set(bh_chain_add(c, NULL), 0, "veths", read_port, 1, true),
		BH_ACT_ACCEPT);
	r = bh_chain_add(c, "past its bridge");
	misplaced(bh_emit_in_set(r, 0, "routed", read_port, 1, true));
}

static void emit_routed(struct bh_ruleset *rs)
{
	struct bh_chain *c =
		bh_ruleset_add_chain(rs, "source", BH_HOOK_PREROUTING, BEFORE_CONNTRACK, NULL);
	struct bh_rule *r;
	drop_elsewhere(c);
	accept_unaddressed(c, false);
	r = bh_chain_add(c, "not its own address");
	misplaced(bh_emit_in_set(r, 0, "routed-strict", read_port, 1, false));
	for (int v6 = 0; v6 < 2; v6++) {
		r = bh_chain_add(c, "somebody else's address");
		bh_emit_set_match(r, BH_MATCH_SADDR_SET, v6 ? BH_IPV6 : BH_IPV4,
			v6 ? "inhabited6" : "inhabited4");
		misplaced(r);
	}
}

static void emit_counter(struct bh_ruleset *rs, struct bh_chain *c, const char *set, uint8_t family,
	const uint8_t *part, const uint8_t *read, size_t n)
{
	struct bh_set *s = bh_ruleset_add_concat_set(
		rs, set, (enum bh_table)c->table, family, part, n, "who sent what is dropped");
	s->volatile_ = BH_VOLATILE_DYNAMIC;
	s->timeout_s = DROPPED_TIMEOUT_S;
	s->size = DROPPED_SIZE;
	struct bh_rule *r = bh_chain_add(c, NULL);
	bh_rule_match_parts(r, BH_MATCH_UPDATE, family, set, read, n)->counter = true;
	bh_emit_end(r, BH_ACT_NONE);
}

/* Counted by veth, and what it claimed: a MAC and protocol on a bridge, else an address. */
static void emit_counters(struct bh_ruleset *rs)
{
	static const uint8_t frame[] = {BH_PART_IFNAME, BH_PART_ETHER, BH_PART_ETHERTYPE};
	static const uint8_t packet[] = {BH_PART_IFNAME, BH_PART_ADDR};
	struct bh_chain *c =
		bh_ruleset_add_chain(rs, "forged", BH_HOOK_NONE, 0, "counted and dropped");
	c->table = BH_TABLE_BRIDGE;
	emit_counter(rs, c, "forged-frames", 0, frame, read_dropped, BH_ARRAY_SIZE(frame));
	bh_emit_end(bh_chain_add(c, NULL), BH_ACT_DROP);
	c = bh_ruleset_add_chain(rs, "misplaced", BH_HOOK_NONE, 0, "counted and dropped");
	emit_counter(rs, c, "misplaced4", BH_IPV4, packet, read_routed, BH_ARRAY_SIZE(packet));
	emit_counter(rs, c, "misplaced6", BH_IPV6, packet, read_routed, BH_ARRAY_SIZE(packet));
	bh_emit_end(bh_chain_add(c, NULL), BH_ACT_DROP);
}

void bh_emit_guard(const struct bh_emit *m)
{
	emit_bridge(m->rs);
	emit_stranger(m->rs);
	bh_emit_tags(m->rs);
	bh_emit_deliver(m->rs);
	emit_routed(m->rs);
	emit_counters(m->rs);
}
