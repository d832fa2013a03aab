/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rules about frames and discovery: what emit_guard.c and emit_deliver.c share. */
#pragma once

#include "internal.h"

#define BH_GUARD_FIRST (-500) /* before everything on bridges; NF_BR_PRI_FIRST is INT_MIN */

/* ICMPv6 types (RFC 4861, RFC 2710, RFC 3810) and ports. */
#define MLD_QUERY 130
#define MLD_REPORT 131
#define ND_ROUTER_SOLICIT 133
#define ND_ROUTER_ADVERT 134
#define ND_NEIGHBOUR_SOLICIT 135
#define ND_NEIGHBOUR_ADVERT 136
#define ND_REDIRECT 137
#define MLD2_REPORT 143
#define DHCP_SERVER 67
#define DHCP_CLIENT 68
#define DHCP6_CLIENT 546

/* What is said on a link about the link. */
#define BH_ND_OF_THE_LINK                                                                          \
	MLD_QUERY, MLD_REPORT, MLD_REPORT + 1, ND_ROUTER_SOLICIT, ND_ROUTER_ADVERT,                \
		ND_NEIGHBOUR_SOLICIT, ND_NEIGHBOUR_ADVERT, ND_REDIRECT, MLD2_REPORT

/* They return their rule. End counts what it drops. */
struct bh_rule *bh_emit_in_set(struct bh_rule *r, uint8_t family, const char *set,
	const uint8_t *read, size_t n, bool neg);
struct bh_rule *bh_emit_end(struct bh_rule *r, enum bh_action action);

void bh_emit_icmpv6_types(struct bh_rule *r, const uint16_t *type, size_t n);
void bh_emit_udp_port(struct bh_rule *r, enum bh_match_kind kind, uint16_t port);

/* A rule about frames whose first tag, 802.1Q or 802.1ad (`ad`), is VLAN 0; `inner`: the type
 * behind it, 0: whatever. */
struct bh_rule *bh_emit_tagged(struct bh_chain *c, int ad, uint16_t inner, const char *comment);
void bh_emit_tags(struct bh_ruleset *rs); /* chain tagged */
void bh_emit_deliver(struct bh_ruleset *rs); /* emit_deliver.c */
