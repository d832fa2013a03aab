/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A ruleset with one of everything that can be said, and what nft is to list for it. */
#pragma once

#include "fixture.h"

static inline void add_sets(struct bh_ruleset *rs)
{
	struct bh_set *s =
		bh_ruleset_add_set(rs, "peer_4", BH_SET_ADDR, BH_IPV4, "shop/web, port 80");
	add_elem(s, "10.0.0.1", NULL, NULL, "web-1");
	add_elem(s, "10.0.0.2", NULL, NULL, NULL);
	s = bh_ruleset_add_set(rs, "peer_6", BH_SET_ADDR, BH_IPV6, NULL);
	add_elem(s, "2001:db8::1", NULL, NULL, "web-1");
	s = bh_ruleset_add_set(rs, "block_4", BH_SET_INTERVAL, BH_IPV4, NULL);
	add_elem(s, "0.0.0.0", "0.255.255.255", NULL, NULL);
	add_elem(s, "10.1.0.0", "10.1.255.255", NULL, "ten");
	add_elem(s, "192.0.2.3", "192.0.2.3", NULL, NULL);
	add_elem(s, "198.51.100.7", "198.51.100.12", NULL, NULL);
	add_elem(s, "240.0.0.0", "255.255.255.255", NULL, "top");
	s = bh_ruleset_add_set(rs, "block_6", BH_SET_INTERVAL, BH_IPV6, NULL);
	add_elem(s, "2001:db8::", "2001:db8:0:ffff:ffff:ffff:ffff:ffff", NULL, NULL);
	add_elem(s, "ffff::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, NULL);
	s = bh_ruleset_add_set(rs, "pass_4", BH_SET_PAIR, BH_IPV4, NULL);
	add_elem(s, "10.0.0.1", "10.0.0.2", NULL, "both");
	s = bh_ruleset_add_set(rs, "pass_6", BH_SET_PAIR, BH_IPV6, NULL);
	add_elem(s, "2001:db8::1", "2001:db8::2", NULL, NULL);
	s = bh_ruleset_add_set(rs, "to_4", BH_MAP_VERDICT, BH_IPV4, "destinations");
	add_elem(s, "10.0.0.2", NULL, "g_web", "web-2");
	s = bh_ruleset_add_set(rs, "to_6", BH_MAP_VERDICT, BH_IPV6, NULL);
	add_elem(s, "2001:db8::1", NULL, "g_web", NULL);
}

static inline void add_group(struct bh_ruleset *rs)
{
	static const struct bh_port_range one[] = {{80, 80}}, two[] = {{80, 80}, {443, 443}},
					  run_[] = {{8000, 8010}}, dns[] = {{53, 53}},
					  mixed[] = {{1, 1}, {1000, 2000}, {60000, 65535}},
					  low[] = {{0, 5}, {9, 9}};
	struct bh_chain *c =
		bh_ruleset_add_chain(rs, "g_web", BH_HOOK_NONE, 0, "NetworkPolicy shop/web");
	struct bh_rule *r = rule(c, BH_ACT_ACCEPT, "shop/web ingress[0]");
	match_set(r, BH_MATCH_SADDR_SET, BH_IPV4, "peer_4");
	match_ports(r, BH_MATCH_DPORT, 6, 2, two);
	r->counter = true;
	r = rule(c, BH_ACT_ACCEPT, NULL);
	match_set(r, BH_MATCH_SADDR_SET, BH_IPV6, "peer_6");
	match_ports(r, BH_MATCH_DPORT, 6, 1, one);
	r = rule(c, BH_ACT_ACCEPT, NULL);
	match_prefix(r, BH_MATCH_SADDR_PREFIX, "10.0.0.0/8");
	match_set(r, BH_MATCH_DADDR_SET, BH_IPV4, "block_4");
	match_ports(r, BH_MATCH_DPORT, 6, 1, run_);
	match_ports(rule(c, BH_ACT_ACCEPT, NULL), BH_MATCH_DPORT, 17, 1, dns);
	match_ports(rule(c, BH_ACT_ACCEPT, NULL), BH_MATCH_SPORT, 17, 3, mixed);
	match_ports(rule(c, BH_ACT_ACCEPT, NULL), BH_MATCH_DPORT, 132, 2, low);
	match(rule(c, BH_ACT_ACCEPT, NULL), BH_MATCH_L4PROTO)->proto = 1;
	match(rule(c, BH_ACT_RETURN, NULL), BH_MATCH_NFPROTO)->family = BH_IPV6;
}

static inline void add_forward(struct bh_ruleset *rs)
{
	static const struct bh_port_range nd[] = {{133, 133}, {135, 135}}, one[] = {{136, 136}};
	struct bh_chain *c =
		bh_ruleset_add_chain(rs, "forward", BH_HOOK_FORWARD, PRIO_FORWARD, NULL);
	struct bh_rule *r = rule(c, BH_ACT_ACCEPT, "established");
	match(r, BH_MATCH_CT_ESTABLISHED);
	r->counter = true;
	r = rule(c, BH_ACT_DROP, "mid-stream");
	match(r, BH_MATCH_CT_UNKNOWN);
	match(r, BH_MATCH_TCP_NOT_SYN);
	match(rule(c, BH_ACT_DROP, "first of its flow"), BH_MATCH_CT_UNCONFIRMED);
	match_ports(rule(c, BH_ACT_ACCEPT, NULL), BH_MATCH_ICMPV6_TYPES, 58, 2, nd);
	match_ports(rule(c, BH_ACT_ACCEPT, NULL), BH_MATCH_ICMPV6_TYPES, 58, 1, one);
	match_set(rule(c, BH_ACT_DROP, NULL), BH_MATCH_PAIR_SET, BH_IPV4, "pass_4");
	match_set(rule(c, BH_ACT_DROP, NULL), BH_MATCH_PAIR_SET, BH_IPV6, "pass_6");
	r = rule(c, BH_ACT_DROP, NULL);
	match_set(r, BH_MATCH_DADDR_SET, BH_IPV6, "block_6");
	r->match[0].neg = true;
	match_prefix(rule(c, BH_ACT_DROP, NULL), BH_MATCH_SADDR_PREFIX, "fe80::/10");
	match_prefix(rule(c, BH_ACT_DROP, NULL), BH_MATCH_DADDR_PREFIX, "10.0.0.1/32");
	match_prefix(rule(c, BH_ACT_NONE, NULL), BH_MATCH_DADDR_PREFIX, "0.0.0.0/0");
	c->rule[c->n - 1].counter = true;
	add_vmap(c, BH_ACT_VMAP_DADDR, BH_IPV4, "to_4");
	add_vmap(c, BH_ACT_VMAP_SADDR, BH_IPV6, "to_6");
	jump(c, BH_ACT_GOTO, "refuse");
}

static inline void add_refuse(struct bh_ruleset *rs)
{
	struct bh_chain *c = bh_ruleset_add_chain(rs, "refuse", BH_HOOK_NONE, 0, NULL);
	struct bh_rule *r = rule(c, BH_ACT_DROP, "pace");
	match(r, BH_MATCH_LIMIT)->rate = 10;
	r->match[0].burst = 20;
	r = rule(c, BH_ACT_DROP, NULL);
	match(r, BH_MATCH_MARK)->mark = BH_MARK_REFUSE;
	r->match[0].mask = BH_MARK_REFUSE;
	match(rule(c, BH_ACT_ACCEPT, NULL), BH_MATCH_IIF_LO);
	match(rule(c, BH_ACT_ACCEPT, NULL), BH_MATCH_OIF_LO);
	match(rule(c, BH_ACT_ACCEPT, NULL), BH_MATCH_IIF_BRIDGE);
	r = rule(c, BH_ACT_REJECT_TCP_RESET, NULL);
	match(r, BH_MATCH_L4PROTO)->proto = 6;
	rule(c, BH_ACT_REJECT_ADMIN, NULL);
}

static inline struct bh_ruleset *sample(void)
{
	struct bh_ruleset *rs = bh_ruleset_new();
	add_sets(rs);
	add_group(rs);
	add_forward(rs);
	add_refuse(rs);
	jump(bh_ruleset_add_chain(rs, "input", BH_HOOK_INPUT, 0, "to the node"), BH_ACT_JUMP,
		"g_web");
	bh_ruleset_seal(rs);
	return rs;
}

/* Word for word what nft 1.0.6 lists; kept apart from bh_ruleset_print on purpose. */
static const char sample_text[] =
	"table inet bulkhead {\n"
	"\tset block_4 {\n\t\ttype ipv4_addr\n\t\tflags interval\n"
	"\t\telements = { 0.0.0.0/8, 10.1.0.0/16 comment \"ten\",\n"
	"\t\t\t     192.0.2.3, 198.51.100.7-198.51.100.12,\n"
	"\t\t\t     240.0.0.0/4 comment \"top\" }\n\t}\n\n"
	"\tset block_6 {\n\t\ttype ipv6_addr\n\t\tflags interval\n"
	"\t\telements = { 2001:db8::/48,\n\t\t\t     ffff::/16 }\n\t}\n\n"
	"\tset pass_4 {\n\t\ttype ipv4_addr . ipv4_addr\n"
	"\t\telements = { 10.0.0.1 . 10.0.0.2 comment \"both\" }\n\t}\n\n"
	"\tset pass_6 {\n\t\ttype ipv6_addr . ipv6_addr\n"
	"\t\telements = { 2001:db8::1 . 2001:db8::2 }\n\t}\n\n"
	"\tset peer_4 {\n\t\ttype ipv4_addr\n\t\tcomment \"shop/web, port 80\"\n"
	"\t\telements = { 10.0.0.1 comment \"web-1\", 10.0.0.2 }\n\t}\n\n"
	"\tset peer_6 {\n\t\ttype ipv6_addr\n"
	"\t\telements = { 2001:db8::1 comment \"web-1\" }\n\t}\n\n"
	"\tmap to_4 {\n\t\ttype ipv4_addr : verdict\n\t\tcomment \"destinations\"\n"
	"\t\telements = { 10.0.0.2 comment \"web-2\" : jump g_web }\n\t}\n\n"
	"\tmap to_6 {\n\t\ttype ipv6_addr : verdict\n"
	"\t\telements = { 2001:db8::1 : jump g_web }\n\t}\n\n"
	"\tchain forward {\n"
	"\t\ttype filter hook forward priority filter - 10; policy accept;\n"
	"\t\tct state established counter accept comment \"established\"\n"
	"\t\tct state invalid,new tcp flags != syn / fin,syn,rst,ack drop comment \"mid-stream\"\n"
	"\t\tct status ! confirmed drop comment \"first of its flow\"\n"
	"\t\ticmpv6 type { nd-router-solicit, nd-neighbor-solicit } accept\n"
	"\t\ticmpv6 type nd-neighbor-advert accept\n"
	"\t\tip saddr . ip daddr @pass_4 drop\n"
	"\t\tip6 saddr . ip6 daddr @pass_6 drop\n"
	"\t\tip6 daddr != @block_6 drop\n"
	"\t\tip6 saddr fe80::/10 drop\n"
	"\t\tip daddr 10.0.0.1 drop\n"
	"\t\tip daddr 0.0.0.0/0 counter\n"
	"\t\tip daddr vmap @to_4\n"
	"\t\tip6 saddr vmap @to_6\n"
	"\t\tgoto refuse\n\t}\n\n"
	"\tchain g_web {\n\t\tcomment \"NetworkPolicy shop/web\"\n"
	"\t\tip saddr @peer_4 tcp dport { 80, 443 } counter accept"
	" comment \"shop/web ingress[0]\"\n"
	"\t\tip6 saddr @peer_6 tcp dport 80 accept\n"
	"\t\tip saddr 10.0.0.0/8 ip daddr @block_4 tcp dport 8000-8010 accept\n"
	"\t\tudp dport 53 accept\n"
	"\t\tudp sport { 1, 1000-2000, 60000-65535 } accept\n"
	"\t\tsctp dport { 0-5, 9 } accept\n"
	"\t\tmeta l4proto icmp accept\n"
	"\t\tmeta nfproto ipv6 return\n\t}\n\n"
	"\tchain input {\n\t\tcomment \"to the node\"\n"
	"\t\ttype filter hook input priority filter; policy accept;\n"
	"\t\tjump g_web\n\t}\n\n"
	"\tchain refuse {\n"
	"\t\tlimit rate 10/second burst 20 packets drop comment \"pace\"\n"
	"\t\tmeta mark & 0x40000000 == 0x40000000 drop\n"
	"\t\tiifname \"lo\" accept\n"
	"\t\toifname \"lo\" accept\n"
	"\t\tmeta iifkind \"bridge\" accept\n"
	"\t\tmeta l4proto tcp reject with tcp reset\n"
	"\t\treject with icmpx admin-prohibited\n\t}\n"
	"}\n";
