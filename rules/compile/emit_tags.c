/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tags that say a priority and no network (VLAN 0). A host takes them off, two of them as well, and
 * reads what is behind; the checks of frames without a tag (emit_guard.c) do not see that.
 */
#include "emit_link.h"

#include <linux/if_ether.h>

static const uint8_t read_arp_ip[] = {BH_READ_ARP_SADDR_IP}, read_nd[] = {BH_READ_ND_TARGET};

struct bh_rule *bh_emit_tagged(struct bh_chain *c, int ad, uint16_t inner, const char *comment)
{
	const uint16_t type = ad ? ETH_P_8021AD : ETH_P_8021Q;
	struct bh_rule *r = bh_chain_add(c, comment);
	struct bh_match *m = bh_rule_match(r, BH_MATCH_VLAN_ZERO);
	m->n_ports = inner ? 2 : 1;
	m->port = bh_xcalloc(2, sizeof(*m->port));
	m->port[0] = (struct bh_port_range){type, type};
	m->port[1] = (struct bh_port_range){inner, inner};
	return r;
}

/* From ports of nobody, which may be an uplink with tags of its own. */
void bh_emit_tags(struct bh_ruleset *rs)
{
	static const uint16_t advert = ND_NEIGHBOUR_ADVERT;
	struct bh_chain *c = bh_ruleset_add_chain(
		rs, "tagged", BH_HOOK_NONE, 0, "behind a tag that hosts take off");
	c->table = BH_TABLE_BRIDGE;
	for (int ad = 0; ad < 2; ad++) {
		bh_emit_go(bh_emit_tagged(c, ad, ETH_P_8021Q, "two tags"), BH_ACT_GOTO, "forged");
		bh_emit_go(bh_emit_tagged(c, ad, ETH_P_8021AD, "two tags"), BH_ACT_GOTO, "forged");
		for (int k = 0; k < 3; k++) {
			struct bh_rule *r = bh_emit_tagged(c, ad, 0, "a workload's address");
			if (k == 1)
				bh_emit_in_set(r, BH_IPV4, "bound4", read_arp_ip, 1, false);
			else
				bh_emit_set_match(r, BH_MATCH_SADDR_SET, k ? BH_IPV6 : BH_IPV4,
					k ? "bound6" : "bound4");
			bh_emit_go(r, BH_ACT_GOTO, "forged");
		}
		struct bh_rule *r = bh_emit_tagged(c, ad, 0, "a workload's address");
		bh_emit_icmpv6_types(r, &advert, 1);
		bh_emit_go(bh_emit_in_set(r, 0, "identity-nd", read_nd, 1, false), BH_ACT_GOTO,
			"forged");
	}
}
