/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What of a frame that was let in at its port (emit_guard.c) is not let out at another: chain
 * deliver, as bridges forward.
 */
#include "emit_link.h"

#include <linux/if_ether.h>
#include <netinet/in.h>

static const uint8_t read_port[] = {BH_READ_IIFNAME}, read_out[] = {BH_READ_OIFNAME};

static struct bh_match *ether_types(struct bh_rule *r, const uint16_t *type, size_t n)
{
	struct bh_match *m = bh_rule_match(r, BH_MATCH_ETHER_TYPE);
	m->n_ports = n;
	m->port = bh_xcalloc(n, sizeof(*m->port));
	for (size_t i = 0; i < n; i++)
		m->port[i] = (struct bh_port_range){type[i], type[i]};
	return m;
}

/* Addresses and routes from an observed workload, for one that enforces. From ports of no workload
 * they are a router's. */
static void undelivered(struct bh_chain *c)
{
	static const uint16_t types[] = {ND_ROUTER_ADVERT, ND_REDIRECT};
	for (int k = 0; k < 3; k++) {
		struct bh_rule *r = bh_chain_add(c, "addresses and routes from a neighbour");
		if (k == 0) {
			bh_emit_icmpv6_types(r, types, BH_ARRAY_SIZE(types));
		} else {
			if (k == 1)
				bh_emit_udp_port(r, BH_MATCH_SPORT, DHCP_SERVER);
			bh_emit_udp_port(r, BH_MATCH_DPORT, k == 1 ? DHCP_CLIENT : DHCP6_CLIENT);
		}
		bh_emit_in_set(r, 0, "strict", read_out, 1, false);
		bh_emit_end(bh_emit_in_set(r, 0, "guarded", read_port, 1, false), BH_ACT_DROP);
	}
}

/*
 * Broadcast and multicast, which no rule decides, for who is in quarantine: whatever is not to a
 * workload's address, since a broadcast can come in a frame to him alone. It is asked here because
 * the inet hooks do not see the port that a bridge floods to. Discovery and a router's DHCP go on.
 */
static void emit_cut_off(struct bh_ruleset *rs)
{
	static const uint16_t of_the_link[] = {BH_ND_OF_THE_LINK};
	struct bh_chain *c = bh_ruleset_add_chain(
		rs, "cut-off", BH_HOOK_NONE, 0, "to who is in quarantine: nothing that is to all");
	c->table = BH_TABLE_BRIDGE;
	struct bh_rule *r = bh_chain_add(c, "DHCP");
	bh_emit_udp_port(r, BH_MATCH_SPORT, DHCP_SERVER);
	bh_emit_udp_port(r, BH_MATCH_DPORT, DHCP_CLIENT);
	bh_emit_end(r, BH_ACT_RETURN);
	r = bh_chain_add(c, "discovery");
	bh_emit_icmpv6_types(r, of_the_link, BH_ARRAY_SIZE(of_the_link));
	bh_emit_end(r, BH_ACT_RETURN);
	for (int v6 = 0; v6 < 2; v6++) {
		r = bh_chain_add(c, NULL);
		bh_emit_set_match(r, BH_MATCH_DADDR_SET, v6 ? BH_IPV6 : BH_IPV4,
			v6 ? "identity6" : "identity4");
		r->match[0].neg = true;
		bh_emit_end(r, BH_ACT_DROP);
	}
}

void bh_emit_deliver(struct bh_ruleset *rs)
{
	static const uint16_t governed[] = {ETH_P_IP, ETH_P_ARP, ETH_P_IPV6};
	/* What an observed workload may still send, tags and all, reaches nobody who enforces. None
	 * of it is TCP over IPv4, most of all frames, which pays for the first rule only; the type
	 * is asked because the kernel sees the protocol through a tag. */
	struct bh_chain *c =
		bh_ruleset_add_chain(rs, "deliver", BH_HOOK_FORWARD, BH_GUARD_FIRST, NULL);
	c->table = BH_TABLE_BRIDGE;
	struct bh_rule *r = bh_chain_add(c, NULL);
	ether_types(r, governed, 1);
	bh_rule_match(r, BH_MATCH_L4PROTO)->proto = IPPROTO_TCP;
	bh_emit_end(r, BH_ACT_ACCEPT);
	undelivered(c);
	bh_emit_go(bh_emit_in_set(bh_chain_add(c, NULL), 0, "quarantined", read_out, 1, false),
		BH_ACT_JUMP, "cut-off");
	r = bh_chain_add(c, "tagged or of another protocol");
	ether_types(r, governed, BH_ARRAY_SIZE(governed))->neg = true;
	bh_emit_end(bh_emit_in_set(r, 0, "strict", read_out, 1, false), BH_ACT_DROP);
	emit_cut_off(rs);
}
