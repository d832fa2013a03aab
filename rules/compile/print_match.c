/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The matches of a rule in the wording of `nft list table` 1.0.6. */
#include <bulkhead/flow.h>
#include <bulkhead/ruleset.h>

#include <linux/if_ether.h>

#include "ruleset_private.h"

static const char *ip(uint8_t family)
{
	return family == BH_IPV4 ? "ip" : "ip6";
}

static const char *icmpv6_type(unsigned type, char buf[static 8])
{
	static const struct {
		unsigned type;
		const char *name;
	} names[] = {
		{130, "mld-listener-query"},
		{131, "mld-listener-report"},
		{132, "mld-listener-done"},
		{133, "nd-router-solicit"},
		{134, "nd-router-advert"},
		{135, "nd-neighbor-solicit"},
		{136, "nd-neighbor-advert"},
		{137, "nd-redirect"},
		{143, "mld2-listener-report"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(names); i++)
		if (names[i].type == type)
			return names[i].name;
	snprintf(buf, 8, "%u", type & 0xffff);
	return buf;
}

static void print_ports(const struct bh_match *m, struct bh_buf *out)
{
	char buf[8];
	for (size_t i = 0; i < m->n_ports; i++) {
		const struct bh_port_range *p = &m->port[i];
		if (i)
			bh_buf_str(out, ", ");
		if (m->kind == BH_MATCH_ETHER_TYPE)
			bh_print_ether_type(p->first, out);
		else if (m->kind == BH_MATCH_ICMPV6_TYPES && p->first == p->last)
			bh_buf_str(out, icmpv6_type(p->first, buf));
		else if (p->first == p->last)
			bh_buf_printf(out, "%u", p->first);
		else
			bh_buf_printf(out, "%u-%u", p->first, p->last);
	}
}

static void print_port_set(const char *what, const struct bh_match *m, struct bh_buf *out)
{
	bool braces = m->n_ports > 1;
	bh_buf_printf(out, "%s %s%s", what, m->kind == BH_MATCH_ETHER_TYPE && m->neg ? "!= " : "",
		braces ? "{ " : "");
	print_ports(m, out);
	bh_buf_str(out, braces ? " }" : "");
}

static void print_vlan(const struct bh_match *m, struct bh_buf *out)
{
	if (m->port[0].first != ETH_P_8021Q) {
		bh_buf_str(out, "ether type ");
		bh_print_ether_type(m->port[0].first, out);
		bh_buf_str(out, " ");
	}
	bh_buf_str(out, "vlan id 0");
	if (m->n_ports > 1) {
		bh_buf_str(out, " vlan type ");
		bh_print_ether_type(m->port[1].first, out);
	}
}

static void print_l4_match(const struct bh_match *m, struct bh_buf *out)
{
	char number[4], what[24];
	const char *proto = bh_proto_name(m->proto, number);
	switch (m->kind) {
	case BH_MATCH_L4PROTO:
		/* nft takes "icmpv6" too, but lists /etc/protocols' name */
		bh_buf_printf(out, "meta l4proto %s", m->proto == 58 ? "ipv6-icmp" : proto);
		break;
	case BH_MATCH_DPORT:
	case BH_MATCH_SPORT:
		snprintf(what, sizeof(what), "%s %s", proto,
			m->kind == BH_MATCH_DPORT ? "dport" : "sport");
		print_port_set(what, m, out);
		break;
	case BH_MATCH_TCP_NOT_SYN:
		bh_buf_str(out, "tcp flags != syn / fin,syn,rst,ack");
		break;
	case BH_MATCH_ETHER_TYPE:
		print_port_set("ether type", m, out);
		break;
	default:
		print_port_set("icmpv6 type", m, out);
		break;
	}
}

static void print_reads(const struct bh_match *m, struct bh_buf *out)
{
	static const char *const text[] = {
		[BH_READ_IIFNAME] = "iifname",
		[BH_READ_OIFNAME] = "oifname",
		[BH_READ_ETHER_SADDR] = "ether saddr",
		[BH_READ_ETHER_DADDR] = "ether daddr",
		[BH_READ_ETHER_TYPE] = "ether type",
		[BH_READ_SADDR] = "saddr",
		[BH_READ_DADDR] = "daddr",
		[BH_READ_ARP_SADDR_ETHER] = "arp saddr ether",
		[BH_READ_ARP_SADDR_IP] = "arp saddr ip",
		[BH_READ_ND_TARGET] = "@th,64,128",
		[BH_READ_L4PROTO] = "meta l4proto",
		[BH_READ_SPORT] = "th sport",
		[BH_READ_DPORT] = "th dport",
		[BH_READ_CT_ORIGINAL_SADDR] = "saddr",
		[BH_READ_CT_REPLY_SADDR] = "saddr",
		[BH_READ_CT_ORIGINAL_DADDR] = "daddr",
		[BH_READ_SADDR_24] = "ip saddr & 255.255.255.0",
		[BH_READ_SADDR_16] = "ip saddr & 255.255.0.0",
		[BH_READ_DADDR_24] = "ip daddr & 255.255.255.0",
		[BH_READ_DADDR_16] = "ip daddr & 255.255.0.0",
	};
	static const char *const before[] = {[BH_READ_CT_ORIGINAL_SADDR] = "ct original ",
		[BH_READ_CT_REPLY_SADDR] = "ct reply ",
		[BH_READ_CT_ORIGINAL_DADDR] = "ct original "};
	for (size_t i = 0; i < m->n_reads; i++) {
		const char *ct = m->read[i] < BH_ARRAY_SIZE(before) ? before[m->read[i]] : NULL;
		bool addr = m->read[i] == BH_READ_SADDR || m->read[i] == BH_READ_DADDR || ct;
		bh_buf_printf(out, "%s%s%s%s%s", i ? " . " : "", ct ? ct : "",
			addr ? ip(m->family) : "", addr ? " " : "", text[m->read[i]]);
	}
}

static void print_concat(const struct bh_match *m, struct bh_buf *out)
{
	if (m->kind == BH_MATCH_UPDATE)
		bh_buf_printf(out, "update @%s { ", m->set);
	print_reads(m, out);
	if (m->kind == BH_MATCH_CONCAT_SET) {
		/* nft itself leaves the operator out unless it would be taken for part of the mask.
		 */
		bool masked = m->read[0] >= BH_READ_SADDR_24;
		bh_buf_printf(out, " %s@%s", m->neg ? "!= " : masked ? "== " : "", m->set);
		return;
	}
	if (m->rate)
		bh_buf_printf(
			out, " limit rate over %u/second burst %u packets", m->rate, m->burst);
	bh_buf_str(out, m->counter ? " counter }" : " }");
}

static void print_prefix(const struct bh_prefix *p, struct bh_buf *out)
{
	char addr[BH_ADDR_STRLEN], text[BH_PREFIX_STRLEN];
	bool whole = p->len == bh_addr_bits(&p->addr);
	bh_buf_str(out, whole ? bh_addr_format(&p->addr, addr) : bh_prefix_format(p, text));
}

/* What says the same each time. */
static const char *const word[] = {
	[BH_MATCH_CT_ESTABLISHED] = "ct state established",
	[BH_MATCH_CT_RELATED] = "ct state related",
	[BH_MATCH_CT_UNKNOWN] = "ct state invalid,new",
	[BH_MATCH_CT_DNAT] = "ct status dnat",
	[BH_MATCH_CT_CONFIRMED] = "ct status confirmed",
	[BH_MATCH_CT_UNCONFIRMED] = "ct status ! confirmed",
	[BH_MATCH_CT_REPLY] = "ct direction reply",
	[BH_MATCH_IP6_FRAGMENT] = "exthdr frag exists",
	[BH_MATCH_IIF_LO] = "iifname \"lo\"",
	[BH_MATCH_OIF_LO] = "oifname \"lo\"",
	[BH_MATCH_IIF_BRIDGE] = "meta iifkind \"bridge\"",
};

void bh_print_match(const struct bh_match *m, uint8_t table, struct bh_buf *out)
{
	const char *a = ip(m->family), *neg = m->neg ? "!= " : "";
	switch (m->kind) {
	case BH_MATCH_NFPROTO:
		if (table == BH_TABLE_BRIDGE)
			bh_buf_printf(out, "ether type %s", a);
		else
			bh_buf_printf(out, "meta nfproto ipv%s", m->family == BH_IPV4 ? "4" : "6");
		break;
	case BH_MATCH_IP_OPTION:
		bh_buf_printf(out, "ip option %s exists", m->proto == 131 ? "lsrr" : "ssrr");
		break;
	case BH_MATCH_TH_DPORT:
	case BH_MATCH_TH_SPORT:
		print_port_set(m->kind == BH_MATCH_TH_DPORT ? "th dport" : "th sport", m, out);
		break;
	case BH_MATCH_SADDR_SET:
		bh_buf_printf(out, "%s saddr %s@%s", a, neg, m->set);
		break;
	case BH_MATCH_DADDR_SET:
		bh_buf_printf(out, "%s daddr %s@%s", a, neg, m->set);
		break;
	case BH_MATCH_PAIR_SET:
		bh_buf_printf(out, "%s saddr . %s daddr %s@%s", a, a, neg, m->set);
		break;
	case BH_MATCH_SADDR_PREFIX:
	case BH_MATCH_DADDR_PREFIX:
		bh_buf_printf(out, "%s %s %s", a,
			m->kind == BH_MATCH_SADDR_PREFIX ? "saddr" : "daddr", neg);
		print_prefix(&m->prefix, out);
		break;
	case BH_MATCH_IP6_HOPS:
		bh_buf_printf(out, "ip6 hoplimit %u", m->proto);
		break;
	case BH_MATCH_LIMIT:
		bh_buf_printf(out, "limit rate %u/second burst %u packets", m->rate, m->burst);
		break;
	case BH_MATCH_MARK:
		bh_buf_printf(out, "meta mark & 0x%08x == 0x%08x", m->mask, m->mark);
		break;
	case BH_MATCH_L4PROTO:
	case BH_MATCH_DPORT:
	case BH_MATCH_SPORT:
	case BH_MATCH_TCP_NOT_SYN:
	case BH_MATCH_ICMPV6_TYPES:
	case BH_MATCH_ETHER_TYPE:
		print_l4_match(m, out);
		break;
	case BH_MATCH_VLAN_ZERO:
		print_vlan(m, out);
		break;
	case BH_MATCH_CONCAT_SET:
	case BH_MATCH_UPDATE:
		print_concat(m, out);
		break;
	default:
		bh_buf_str(out, word[m->kind]);
		break;
	}
	bh_buf_str(out, " ");
}
