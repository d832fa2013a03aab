/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A ruleset in both tables: concatenations, sets that fill at run time, link-layer matches. */
#pragma once

#include "fixture.h"

#include <linux/if_ether.h>

#define PARTS(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static const uint8_t mac_1[6] = {0x02, 0, 0, 0, 0, 1}, mac_2[6] = {0x02, 0, 0, 0, 0, 2};

static inline struct bh_value v_addr(const char *text)
{
	struct bh_addr a = addr(text);
	return bh_value_addr(&a);
}

static inline void match_parts(struct bh_rule *r, enum bh_match_kind kind, uint8_t family,
	const char *set, const uint8_t *read, size_t n)
{
	bh_rule_match_parts(r, kind, family, set, read, n);
}

static inline struct bh_match *match_ether(struct bh_rule *r, bool neg, size_t n, const uint16_t *t)
{
	struct bh_match *m = match(r, BH_MATCH_ETHER_TYPE);
	m->neg = neg;
	m->n_ports = n;
	m->port = bh_xcalloc(n, sizeof(*m->port));
	for (size_t i = 0; i < n; i++)
		m->port[i] = (struct bh_port_range){t[i], t[i]};
	return m;
}

static inline void match_tag(struct bh_rule *r, uint16_t type, uint16_t inner)
{
	struct bh_match *m = match(r, BH_MATCH_VLAN_ZERO);
	m->n_ports = inner ? 2 : 1;
	m->port = bh_xcalloc(2, sizeof(*m->port));
	m->port[0] = (struct bh_port_range){type, type};
	m->port[1] = (struct bh_port_range){inner, inner};
}

static inline struct bh_set *add_run_time_set(struct bh_ruleset *rs, const char *name,
	enum bh_table table, uint8_t family, enum bh_volatile v, const uint8_t *part, size_t n)
{
	struct bh_set *s = bh_ruleset_add_concat_set(rs, name, table, family, part, n, NULL);
	s->volatile_ = (uint8_t)v;
	s->timeout_s = 60;
	s->size = 1024;
	s->counter = v == BH_VOLATILE_CACHE;
	return s;
}

static inline void add_run_time_sets(struct bh_ruleset *rs)
{
	for (int v6 = 0; v6 < 2; v6++) {
		uint8_t family = v6 ? BH_IPV6 : BH_IPV4;
		add_run_time_set(rs, v6 ? "cache-6" : "cache-4", BH_TABLE_INET, family,
			BH_VOLATILE_CACHE,
			PARTS(BH_PART_ADDR, BH_PART_ADDR, BH_PART_PROTO, BH_PART_SERVICE));
		add_run_time_set(rs, v6 ? "paced-6" : "paced-4", BH_TABLE_INET, family,
			BH_VOLATILE_DYNAMIC, PARTS(BH_PART_ADDR))
			->timeout_s = 5405;
	}
	add_run_time_set(rs, "kept-4", BH_TABLE_INET, BH_IPV4, BH_VOLATILE_KEPT,
		PARTS(BH_PART_ADDR, BH_PART_ADDR, BH_PART_PROTO, BH_PART_SERVICE));
	struct bh_set *s = add_run_time_set(rs, "dropped", BH_TABLE_BRIDGE, 0, BH_VOLATILE_DYNAMIC,
		PARTS(BH_PART_IFNAME, BH_PART_ETHER, BH_PART_ETHERTYPE));
	free(s->comment);
	s->comment = bh_xstrdup("who sends what");
}

static inline void add_link_sets(struct bh_ruleset *rs)
{
	struct bh_value one = bh_value_ifname("veth1"), two = bh_value_ifname("veth2"),
			m1 = bh_value_ether(mac_1), m2 = bh_value_ether(mac_2);
	struct bh_set *s = bh_ruleset_add_concat_set(
		rs, "routed", BH_TABLE_INET, 0, PARTS(BH_PART_IFNAME), NULL);
	bh_set_add_parts(s, &two, "shop/web");
	bh_set_add_parts(s, &one, NULL);
	s = bh_ruleset_add_concat_set(
		rs, "routed-6", BH_TABLE_INET, BH_IPV6, PARTS(BH_PART_IFNAME, BH_PART_ADDR), NULL);
	bh_set_add_parts(s, (struct bh_value[]){one, v_addr("2001:db8::1")}, NULL);
	s = bh_ruleset_add_concat_set(
		rs, "guarded", BH_TABLE_BRIDGE, 0, PARTS(BH_PART_IFNAME), "ports of workloads");
	bh_set_add_parts(s, &one, NULL);
	s = bh_ruleset_add_concat_set(
		rs, "guard-mac", BH_TABLE_BRIDGE, 0, PARTS(BH_PART_IFNAME, BH_PART_ETHER), NULL);
	bh_set_add_parts(s, (struct bh_value[]){one, m1}, NULL);
	s = bh_ruleset_add_concat_set(rs, "guard-arp", BH_TABLE_BRIDGE, BH_IPV4,
		PARTS(BH_PART_IFNAME, BH_PART_ETHER, BH_PART_ETHER, BH_PART_ADDR), NULL);
	bh_set_add_parts(s, (struct bh_value[]){one, m1, m1, v_addr("10.0.0.1")}, "shop/web");
	s = bh_ruleset_add_concat_set(rs, "guard-4", BH_TABLE_BRIDGE, BH_IPV4,
		PARTS(BH_PART_IFNAME, BH_PART_ETHER, BH_PART_ADDR), NULL);
	bh_set_add_parts(s, (struct bh_value[]){one, m1, v_addr("10.0.0.1")}, "shop/web");
	bh_set_add_parts(s, (struct bh_value[]){two, m2, v_addr("10.0.0.2")}, NULL);
	s = bh_ruleset_add_concat_set(rs, "guard-6", BH_TABLE_BRIDGE, BH_IPV6,
		PARTS(BH_PART_IFNAME, BH_PART_ETHER, BH_PART_ADDR), NULL);
	bh_set_add_parts(s, (struct bh_value[]){one, m1, v_addr("2001:db8::1")}, NULL);
	s = bh_ruleset_add_concat_set(rs, "guard-nd", BH_TABLE_BRIDGE, BH_IPV6,
		PARTS(BH_PART_IFNAME, BH_PART_ETHER, BH_PART_ND_TARGET), "who is who");
	bh_set_add_parts(s, (struct bh_value[]){one, m1, v_addr("2001:db8::1")}, NULL);
}

static inline void add_inet_chains(struct bh_ruleset *rs)
{
	struct bh_chain *c =
		bh_ruleset_add_chain(rs, "source", BH_HOOK_PREROUTING, -310, "own addresses only");
	struct bh_rule *r = rule(c, BH_ACT_ACCEPT, NULL);
	match_parts(r, BH_MATCH_CONCAT_SET, 0, "routed", PARTS(BH_READ_IIFNAME));
	r->match[0].neg = true;
	match_parts(rule(c, BH_ACT_ACCEPT, NULL), BH_MATCH_CONCAT_SET, BH_IPV6, "routed-6",
		PARTS(BH_READ_IIFNAME, BH_READ_SADDR));
	r = rule(c, BH_ACT_DROP, "spoofed");
	match_parts(r, BH_MATCH_CONCAT_SET, 0, "routed", PARTS(BH_READ_IIFNAME));
	r->counter = true;
	c = bh_ruleset_add_chain(rs, "forward", BH_HOOK_FORWARD, PRIO_FORWARD, NULL);
	for (int v6 = 0; v6 < 2; v6++) {
		uint8_t family = v6 ? BH_IPV6 : BH_IPV4;
		match_parts(rule(c, BH_ACT_ACCEPT, NULL), BH_MATCH_CONCAT_SET, family,
			v6 ? "cache-6" : "cache-4",
			PARTS(BH_READ_SADDR, BH_READ_DADDR, BH_READ_L4PROTO, BH_READ_DPORT));
		r = rule(c, BH_ACT_DROP, NULL);
		match_parts(r, BH_MATCH_UPDATE, family, v6 ? "paced-6" : "paced-4",
			PARTS(BH_READ_SADDR));
		r->match[0].rate = 1000;
		r->match[0].burst = 2000;
		r->match[0].counter = v6;
		r->counter = true;
	}
}

static inline void add_guard(struct bh_ruleset *rs)
{
	static const struct bh_port_range nd[] = {{135, 135}, {136, 136}}, advert[] = {{136, 136}},
					  boot_c[] = {{68, 68}}, boot_s[] = {{67, 67}};
	struct bh_chain *c = bh_ruleset_add_chain(rs, "guard", BH_HOOK_PREROUTING, -500, NULL);
	c->table = BH_TABLE_BRIDGE;
	struct bh_rule *r = rule(c, BH_ACT_ACCEPT, NULL);
	match_parts(r, BH_MATCH_CONCAT_SET, 0, "guarded", PARTS(BH_READ_IIFNAME));
	r->match[0].neg = true;
	r = rule(c, BH_ACT_GOTO, "tagged and other frames");
	r->target = bh_xstrdup("not-own");
	match_ether(r, true, 3, (const uint16_t[]){ETH_P_IP, ETH_P_ARP, ETH_P_IPV6});
	match_parts(rule(c, BH_ACT_ACCEPT, NULL), BH_MATCH_CONCAT_SET, BH_IPV4, "guard-arp",
		PARTS(BH_READ_IIFNAME, BH_READ_ETHER_SADDR, BH_READ_ARP_SADDR_ETHER,
			BH_READ_ARP_SADDR_IP));
	match_parts(rule(c, BH_ACT_ACCEPT, NULL), BH_MATCH_CONCAT_SET, BH_IPV4, "guard-4",
		PARTS(BH_READ_IIFNAME, BH_READ_ETHER_SADDR, BH_READ_SADDR));
	match_tag(rule(c, BH_ACT_DROP, NULL), ETH_P_8021Q, ETH_P_8021AD);
	r = rule(c, BH_ACT_DROP, NULL);
	match_tag(r, ETH_P_8021AD, 0);
	match_parts(r, BH_MATCH_CONCAT_SET, BH_IPV4, "guard-4",
		PARTS(BH_READ_IIFNAME, BH_READ_ETHER_SADDR, BH_READ_SADDR));
	r = rule(c, BH_ACT_ACCEPT, "DHCP");
	match_prefix(r, BH_MATCH_SADDR_PREFIX, "0.0.0.0/32");
	match_ports(r, BH_MATCH_SPORT, 17, 1, boot_c);
	match_ports(r, BH_MATCH_DPORT, 17, 1, boot_s);
	match_parts(r, BH_MATCH_CONCAT_SET, 0, "guard-mac",
		PARTS(BH_READ_IIFNAME, BH_READ_ETHER_SADDR));
	r = rule(c, BH_ACT_RETURN, NULL);
	match_ports(r, BH_MATCH_ICMPV6_TYPES, 58, 1, advert);
	match_parts(r, BH_MATCH_CONCAT_SET, BH_IPV6, "guard-nd",
		PARTS(BH_READ_IIFNAME, BH_READ_ETHER_SADDR, BH_READ_ND_TARGET));
	match_ports(rule(c, BH_ACT_NONE, NULL), BH_MATCH_ICMPV6_TYPES, 58, 2, nd);
	r = rule(c, BH_ACT_ACCEPT, NULL);
	match_prefix(r, BH_MATCH_SADDR_PREFIX, "fe80::/10");
	match_parts(r, BH_MATCH_CONCAT_SET, 0, "guard-mac",
		PARTS(BH_READ_IIFNAME, BH_READ_ETHER_SADDR));
	match_parts(rule(c, BH_ACT_ACCEPT, NULL), BH_MATCH_CONCAT_SET, BH_IPV6, "guard-6",
		PARTS(BH_READ_IIFNAME, BH_READ_ETHER_SADDR, BH_READ_SADDR));
	jump(c, BH_ACT_GOTO, "not-own");
}

static inline void add_not_own(struct bh_ruleset *rs)
{
	struct bh_chain *c = bh_ruleset_add_chain(rs, "not-own", BH_HOOK_NONE, 0, NULL);
	c->table = BH_TABLE_BRIDGE;
	match(rule(c, BH_ACT_NONE, NULL), BH_MATCH_NFPROTO)->family = BH_IPV6;
	match_ether(rule(c, BH_ACT_NONE, NULL), false, 1, (const uint16_t[]){ETH_P_8021Q});
	match_ether(rule(c, BH_ACT_NONE, NULL), true, 1, (const uint16_t[]){0x1234});
	struct bh_rule *r = rule(c, BH_ACT_NONE, NULL);
	match_parts(r, BH_MATCH_UPDATE, 0, "dropped",
		PARTS(BH_READ_IIFNAME, BH_READ_ETHER_SADDR, BH_READ_ETHER_TYPE));
	r->match[0].counter = true;
	rule(c, BH_ACT_DROP, "spoofed, tagged or other frame")->counter = true;
}

static inline struct bh_ruleset *sample_link(void)
{
	struct bh_ruleset *rs = bh_ruleset_new();
	add_run_time_sets(rs);
	add_link_sets(rs);
	add_inet_chains(rs);
	add_guard(rs);
	add_not_own(rs);
	bh_ruleset_seal(rs);
	return rs;
}

static inline void assert_both_listed(const struct bh_ruleset *rs)
{
	bh_autobuf struct bh_buf want = {0};
	bh_autofree char *inet = list(), *bridge = list_bridge();
	bh_ruleset_print(rs, &want);
	char *second = strstr(want.s, "table bridge");
	assert_non_null(second);
	bh_autofree char *first = bh_xstrndup(want.s, (size_t)(second - want.s));
	bh_autofree char *a = sorted(inet), *b = sorted(first), *c = sorted(bridge),
			 *d = sorted(second);
	assert_text(a, b);
	assert_text(c, d);
}
