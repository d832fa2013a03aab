/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Threat feeds: their sets, and the chains that look addresses up in them. A workload's own address
 * is never on one (see enforcer/threats/protect.c), so that one look-up in a small set spares it
 * those in the large ones.
 */
#include "internal.h"

#include <netinet/in.h>

/* --- the sets --- */

static const struct {
	const char *prefix, *suffix, *comment;
	enum bh_family family;
	enum bh_set_kind set;
} feed_kind[] = {
	[BH_FEED_HOSTS4] = {"feeds4", "", "threat feeds: addresses", BH_IPV4, BH_SET_ADDR},
	[BH_FEED_HOSTS6] = {"feeds6", "", "threat feeds: addresses", BH_IPV6, BH_SET_ADDR},
	[BH_FEED_NEAR4] = {"feeds4", "-near", "threat feeds: where networks are", BH_IPV4,
		BH_SET_ADDR},
	[BH_FEED_NETS4] = {"feeds4", "-net", "threat feeds: networks", BH_IPV4, BH_SET_INTERVAL},
	[BH_FEED_NETS6] = {"feeds6", "-net", "threat feeds: networks", BH_IPV6, BH_SET_INTERVAL},
};

void bh_feed_set_name(enum bh_feed_direction d, enum bh_feed_kind kind, uint32_t size,
	char ret[static BH_FEED_SET_NAME_MAX])
{
	static const char *const of[] = {"", "-in", "-out"};
	int n = snprintf(ret, BH_FEED_SET_NAME_MAX, "%s%s%s", feed_kind[kind].prefix, of[d],
		feed_kind[kind].suffix);
	if (kind < BH_FEED_SIZED && size != BH_FEED_SET_MIN)
		snprintf(ret + n, (size_t)(BH_FEED_SET_NAME_MAX - n), ".%uk", size / 1024);
}

static struct bh_set *add_feed_set(
	const struct bh_emit *m, enum bh_feed_direction d, enum bh_feed_kind kind, uint32_t size)
{
	char name[BH_FEED_SET_NAME_MAX];
	bh_feed_set_name(d, kind, size, name);
	return bh_ruleset_add_set(m->rs, name, feed_kind[kind].set, (uint8_t)feed_kind[kind].family,
		feed_kind[kind].comment);
}

static void add_bulk_set(
	const struct bh_emit *m, enum bh_feed_direction d, enum bh_feed_kind kind, uint32_t size)
{
	struct bh_set *s = add_feed_set(m, d, kind, size);
	s->volatile_ = BH_VOLATILE_BULK;
	s->size = size;
}

static void emit_feed_sets(const struct bh_emit *m, const struct bh_emit_feeds *f)
{
	for (int d = 0; d < (f->directed ? BH_FEED_SETS : 1); d++)
		for (int k = 0; k < BH_FEED_KINDS; k++) {
			bool sized = k < BH_FEED_SIZED;
			add_bulk_set(m, (enum bh_feed_direction)d, (enum bh_feed_kind)k,
				sized ? f->size[d][k] : 0);
			if (sized && f->filling[d][k])
				add_bulk_set(m, (enum bh_feed_direction)d, (enum bh_feed_kind)k,
					f->filling[d][k]);
		}
}

static void add_near(struct bh_set *s, const struct bh_range *x)
{
	uint32_t be[2], step;
	memcpy(&be[0], x->first.b, 4);
	memcpy(&be[1], x->last.b, 4);
	uint64_t last = ntohl(be[1]), key = bh_feed_near_first(ntohl(be[0]), ntohl(be[1]), &step);
	for (; key <= last; key += step) {
		be[0] = htonl((uint32_t)key);
		struct bh_addr a = bh_addr_from_bytes(BH_IPV4, be);
		bool there = false;
		for (size_t i = 0; i < s->n && !there; i++)
			there = bh_addr_eq(&s->elem[i].key, &a);
		if (!there)
			bh_set_add(s, &a, NULL, NULL, NULL);
	}
}

/* The few of a text form, for which no bulk is put beside the rules. */
static void emit_feed_ranges(const struct bh_emit *m)
{
	const struct bh_ranges *feeds = m->opts->feeds;
	for (int k = 0; k < BH_FEED_KINDS; k++) {
		bool single = feed_kind[k].set == BH_SET_ADDR && k != BH_FEED_NEAR4;
		struct bh_set *s =
			add_feed_set(m, BH_FEED_SET_BOTH, (enum bh_feed_kind)k, BH_FEED_SET_MIN);
		for (size_t i = 0; feeds && i < feeds->n; i++) {
			const struct bh_range *x = &feeds->item[i];
			if (x->first.family != (uint8_t)feed_kind[k].family ||
				bh_addr_eq(&x->first, &x->last) != single)
				continue;
			if (k == BH_FEED_NEAR4)
				add_near(s, x);
			else
				bh_set_add(s, &x->first, single ? NULL : &x->last, NULL, NULL);
		}
	}
}

static void emit_sets(const struct bh_emit *m)
{
	if (m->opts->feed_sets)
		emit_feed_sets(m, m->opts->feed_sets);
	else
		emit_feed_ranges(m);
}

/* --- an address of the packet --- */

static bool is_directed(const struct bh_emit *m)
{
	return m->opts->feed_sets && m->opts->feed_sets->directed;
}

static const char *set_name(const struct bh_emit *m, enum bh_feed_direction d,
	enum bh_feed_kind kind, char buf[static BH_FEED_SET_NAME_MAX])
{
	const struct bh_emit_feeds *f = m->opts->feed_sets;
	bh_feed_set_name(
		d, kind, f && kind < BH_FEED_SIZED ? f->size[d][kind] : BH_FEED_SET_MIN, buf);
	return buf;
}

static void add_look(const struct bh_emit *m, struct bh_chain *c, enum bh_match_kind kind,
	enum bh_feed_direction d, enum bh_feed_kind of, uint8_t near)
{
	char name[BH_FEED_SET_NAME_MAX];
	struct bh_rule *r = bh_chain_add(c, NULL);
	if (near) /* first: it spares most packets the other */
		bh_rule_match_parts(r, BH_MATCH_CONCAT_SET, BH_IPV4,
			set_name(m, d, BH_FEED_NEAR4, name), &near, 1);
	bh_emit_set_match(r, kind, feed_kind[of].family, set_name(m, d, of, name));
	bh_emit_go(r, BH_ACT_GOTO, "threat");
}

static void add_looks(const struct bh_emit *m, struct bh_chain *c, enum bh_match_kind kind,
	enum bh_feed_direction d, enum bh_family family)
{
	bool src = kind == BH_MATCH_SADDR_SET;
	if (family == BH_IPV6) {
		add_look(m, c, kind, d, BH_FEED_HOSTS6, 0);
		add_look(m, c, kind, d, BH_FEED_NETS6, 0);
		return;
	}
	add_look(m, c, kind, d, BH_FEED_HOSTS4, 0);
	add_look(m, c, kind, d, BH_FEED_NETS4, src ? BH_READ_SADDR_24 : BH_READ_DADDR_24);
	add_look(m, c, kind, d, BH_FEED_NETS4, src ? BH_READ_SADDR_16 : BH_READ_DADDR_16);
}

static const char *chain_name(enum bh_match_kind kind, enum bh_family family)
{
	static const char *const name[2][2] = {
		{"listed-in4", "listed-in6"}, {"listed-out4", "listed-out6"}};
	return name[kind == BH_MATCH_DADDR_SET][family == BH_IPV6];
}

void bh_emit_threat(struct bh_chain *c, enum bh_match_kind kind)
{
	for (int family = BH_IPV4; family <= BH_IPV6; family += 2) {
		struct bh_rule *r = bh_chain_add(c, NULL);
		bh_emit_set_match(r, kind, (enum bh_family)family,
			family == BH_IPV4 ? "inhabited4" : "inhabited6");
		r->match[0].neg = true;
		bh_emit_go(r, BH_ACT_JUMP, chain_name(kind, (enum bh_family)family));
	}
}

static void emit_looks(const struct bh_emit *m, enum bh_match_kind kind, enum bh_family family)
{
	struct bh_chain *c = bh_ruleset_add_chain(m->rs, chain_name(kind, family), BH_HOOK_NONE, 0,
		kind == BH_MATCH_SADDR_SET ? "is the source on a threat feed?"
					   : "is the destination on a threat feed?");
	add_looks(m, c, kind, BH_FEED_SET_BOTH, family);
	if (is_directed(m))
		add_looks(m, c, kind, kind == BH_MATCH_SADDR_SET ? BH_FEED_SET_IN : BH_FEED_SET_OUT,
			family);
}

/* --- the destination before DNAT --- */

static void add_diverted(const struct bh_emit *m, struct bh_chain *c, enum bh_feed_direction d)
{
	static const enum bh_feed_kind kind[] = {
		BH_FEED_HOSTS4, BH_FEED_NETS4, BH_FEED_HOSTS6, BH_FEED_NETS6};
	static const uint8_t read[] = {BH_READ_CT_ORIGINAL_DADDR};
	for (size_t i = 0; i < BH_ARRAY_SIZE(kind); i++) {
		char name[BH_FEED_SET_NAME_MAX];
		struct bh_rule *r = bh_chain_add(c, NULL);
		bh_rule_match_parts(r, BH_MATCH_CONCAT_SET, (uint8_t)feed_kind[kind[i]].family,
			set_name(m, d, kind[i], name), read, 1);
		bh_emit_go(r, BH_ACT_GOTO, "threat-diverted");
	}
}

/* The daemon is not asked: it would see where the packet goes now, and conntrack does not tell of
 * flows that are not confirmed. It reads who was dropped from the sets. */
static void emit_diverted_end(const struct bh_emit *m)
{
	static const uint8_t part[] = {BH_PART_ADDR, BH_PART_ADDR, BH_PART_PROTO};
	static const uint8_t read[] = {BH_READ_CT_ORIGINAL_DADDR, BH_READ_SADDR, BH_READ_L4PROTO};
	struct bh_chain *c = bh_ruleset_add_chain(m->rs, "threat-diverted", BH_HOOK_NONE, 0,
		"was on its way to an address on a threat feed");
	for (int v6 = 0; v6 < 2; v6++) {
		uint8_t family = v6 ? BH_IPV6 : BH_IPV4;
		const char *name = v6 ? "diverted6" : "diverted4";
		struct bh_set *s = bh_ruleset_add_concat_set(m->rs, name, BH_TABLE_INET, family,
			part, BH_ARRAY_SIZE(part), "who was dropped for where it was meant to go");
		s->volatile_ = BH_VOLATILE_DYNAMIC;
		s->timeout_s = 600;
		s->size = 4096;
		struct bh_rule *r = bh_chain_add(c, NULL);
		bh_rule_match_parts(r, BH_MATCH_UPDATE, family, name, read, BH_ARRAY_SIZE(read))
			->counter = true;
	}
	struct bh_rule *r = bh_chain_add(c, "threat feed hit");
	r->counter = true;
	r->action = BH_ACT_DROP;
}

static void emit_diverted(const struct bh_emit *m)
{
	struct bh_chain *c = bh_ruleset_add_chain(
		m->rs, "diverted", BH_HOOK_NONE, 0, "by the destination before DNAT");
	add_diverted(m, c, BH_FEED_SET_BOTH);
	if (is_directed(m))
		add_diverted(m, c, BH_FEED_SET_OUT);
	emit_diverted_end(m);
}

void bh_emit_threats(const struct bh_emit *m)
{
	emit_sets(m);
	for (int family = BH_IPV4; family <= BH_IPV6; family += 2) {
		emit_looks(m, BH_MATCH_SADDR_SET, (enum bh_family)family);
		emit_looks(m, BH_MATCH_DADDR_SET, (enum bh_family)family);
	}
	emit_diverted(m);
}
