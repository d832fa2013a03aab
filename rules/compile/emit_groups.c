/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The chains of the groups and the peer sets that they use. A policy rule becomes one kernel rule
 * per peer, address family and protocol: "this set, these ports: return". What several policy
 * rules say alike is one kernel rule that names them all.
 *
 * Sets of selectors exist in both families even where one is empty: the first address of a
 * container then is an element, not a new rule.
 */
#include "internal.h"

#include <netinet/in.h>

/* One kernel rule, before it is written. */
struct spec {
	int32_t peer; /* peer set; -1 = any */
	uint8_t family; /* 0 = both */
	int32_t named; /* only towards who serves this named port under port[0]; -1 = no matter */
	uint8_t proto; /* 0 = any */
	struct bh_port_range *port; /* sorted, disjoint; none = every port of proto */
	size_t n_ports;
	struct bh_buf comment;
	const struct bh_erule *last; /* whose reference the comment has already */
};

struct chain_build {
	const struct bh_engine *e;
	const struct bh_group *g;
	struct spec *spec;
	size_t n, cap;
	struct bh_intern seen;
	bool *peer_used, *named_used; /* shared by all chains */
};

static void spec_key(const struct spec *s, struct bh_buf *key)
{
	bh_buf_printf(key, "%d %u %d %u", s->peer, s->family, s->named, s->proto);
	for (size_t i = 0; i < s->n_ports; i++)
		bh_buf_printf(key, " %u-%u", s->port[i].first, s->port[i].last);
}

/* Takes s->port. */
static void add_spec(struct chain_build *b, struct spec *s, const struct bh_erule *r)
{
	bh_autobuf struct bh_buf key = {0};
	bool is_new;
	spec_key(s, &key);
	uint32_t at = bh_intern(&b->seen, key.s, key.len, &is_new);
	if (is_new) {
		BH_GROW(b->spec, b->n, b->cap);
		b->spec[b->n++] = *s;
	} else {
		free(s->port);
	}
	struct spec *known = &b->spec[at];
	if (known->last == r)
		return;
	known->last = r;
	/* Comments are cut at BH_COMMENT_MAX anyway. */
	if (known->comment.len <= BH_COMMENT_MAX)
		bh_buf_printf(&known->comment, "%s%s/%s %s rule %u", is_new ? "" : "; ",
			r->policy->namespace, r->policy->name, bh_direction_name(b->g->direction),
			r->rule);
}

static int compare_ranges(const void *a, const void *b)
{
	return (int)((const struct bh_port_range *)a)->first -
	       (int)((const struct bh_port_range *)b)->first;
}

static size_t merge_ranges(struct bh_port_range *p, size_t n)
{
	size_t out = 0;
	qsort(p, n, sizeof(*p), compare_ranges);
	for (size_t i = 0; i < n; i++) {
		if (out && (unsigned)p[i].first <= (unsigned)p[out - 1].last + 1) {
			if (p[i].last > p[out - 1].last)
				p[out - 1].last = p[i].last;
		} else {
			p[out++] = p[i];
		}
	}
	return out;
}

/* The numeric ports of one protocol as one rule. */
static void spec_numeric(
	struct chain_build *b, struct spec s, const struct bh_erule *r, uint8_t proto)
{
	s.port = bh_xcalloc(r->n_ports, sizeof(*s.port));
	for (size_t i = 0; i < r->n_ports; i++)
		if (r->port[i].proto == proto && r->port[i].named < 0)
			s.port[s.n_ports++] =
				(struct bh_port_range){r->port[i].first, r->port[i].last};
	if (!s.n_ports) {
		free(s.port);
		return;
	}
	s.n_ports = merge_ranges(s.port, s.n_ports);
	s.proto = proto;
	if (s.port[0].first == 0 && s.port[0].last == UINT16_MAX)
		s.n_ports = 0;
	add_spec(b, &s, r);
}

/* A named port of an egress rule: one rule for each number under which somebody serves it. */
static void spec_named(
	struct chain_build *b, struct spec s, const struct bh_erule *r, int32_t named)
{
	const struct bh_named_set *set = &b->e->named[named];
	b->named_used[named] = true;
	s.named = named;
	s.proto = set->proto;
	s.n_ports = 1;
	for (size_t i = 0; i < set->n; i++) {
		if (i && set->target[i].port == set->target[i - 1].port)
			continue;
		for (uint8_t family = BH_IPV4; family <= BH_IPV6; family += 2) {
			struct spec one = s;
			if (s.family && s.family != family)
				continue;
			one.family = family;
			one.port = bh_xcalloc(1, sizeof(*one.port));
			one.port[0].first = one.port[0].last = set->target[i].port;
			add_spec(b, &one, r);
		}
	}
}

static void spec_ports(struct chain_build *b, struct spec s, const struct bh_erule *r)
{
	static const uint8_t protos[] = {BH_TCP, BH_UDP, BH_SCTP};
	if (r->any_port) {
		add_spec(b, &s, r);
		return;
	}
	for (size_t i = 0; i < BH_ARRAY_SIZE(protos); i++)
		spec_numeric(b, s, r, protos[i]);
	for (size_t i = 0; i < r->n_ports; i++)
		if (r->port[i].named >= 0)
			spec_named(b, s, r, r->port[i].named);
}

static void spec_rule(struct chain_build *b, const struct bh_erule *r)
{
	struct spec s = {.peer = -1, .named = -1};
	if (!r->n_peers)
		spec_ports(b, s, r);
	for (size_t i = 0; i < r->n_peers; i++) {
		const struct bh_peer_set *p = &b->e->peer[r->peer[i]];
		s.peer = (int32_t)r->peer[i];
		b->peer_used[s.peer] = true;
		if (p->peer->block) {
			s.family = p->peer->block->cidr.addr.family;
			spec_ports(b, s, r);
			continue;
		}
		for (s.family = BH_IPV4; s.family <= BH_IPV6; s.family += 2)
			spec_ports(b, s, r);
	}
}

static const char *peer_name(const struct bh_peer_set *p, uint8_t family, struct bh_buf *buf)
{
	buf->len = 0;
	bh_buf_printf(buf, "%s%u-%s", p->peer->block ? "block" : "pods", family, p->slug);
	return buf->s;
}

static const char *named_name(
	const struct bh_named_set *s, uint16_t port, uint8_t family, struct bh_buf *buf)
{
	char number[4];
	buf->len = 0;
	bh_buf_printf(
		buf, "port%u-%s-%s-%u", family, s->name, bh_proto_name(s->proto, number), port);
	return buf->s;
}

/* A block without exceptions is a plain prefix: cheaper than a set, and it reads better. */
static bool is_prefix(const struct bh_peer_set *p)
{
	return p->peer->block && !p->peer->block->n_except;
}

static void write_peer(const struct chain_build *b, const struct spec *s, struct bh_rule *r)
{
	const struct bh_peer_set *p = &b->e->peer[s->peer];
	bool out = b->g->direction == BH_EGRESS;
	bh_autobuf struct bh_buf name = {0};
	struct bh_match *m;
	if (is_prefix(p) && p->peer->block->cidr.len == 0) {
		if (s->named >= 0)
			return; /* the look-up of who serves the port implies the family */
		m = bh_rule_match(r, BH_MATCH_NFPROTO);
	} else if (is_prefix(p)) {
		m = bh_rule_match(r, out ? BH_MATCH_DADDR_PREFIX : BH_MATCH_SADDR_PREFIX);
		m->prefix = p->peer->block->cidr;
	} else {
		m = bh_rule_match(r, out ? BH_MATCH_DADDR_SET : BH_MATCH_SADDR_SET);
		m->set = bh_xstrdup(peer_name(p, s->family, &name));
	}
	m->family = s->family;
}

static void write_rule(const struct chain_build *b, const struct spec *s, struct bh_chain *c)
{
	struct bh_rule *r = bh_chain_add(c, s->comment.s);
	bh_autobuf struct bh_buf name = {0};
	struct bh_match *m;
	if (s->peer >= 0)
		write_peer(b, s, r);
	if (s->named >= 0) {
		m = bh_rule_match(r, BH_MATCH_DADDR_SET);
		m->family = s->family;
		m->set = bh_xstrdup(
			named_name(&b->e->named[s->named], s->port[0].first, s->family, &name));
	}
	if (s->proto) {
		m = bh_rule_match(r, s->n_ports ? BH_MATCH_DPORT : BH_MATCH_L4PROTO);
		m->proto = s->proto;
		m->port = bh_xmemdup(s->port, s->n_ports * sizeof(*s->port));
		m->n_ports = s->n_ports;
	}
	r->counter = true;
	r->action = BH_ACT_RETURN;
}

/* After a revocation a packet in mid-stream must not make the flow new again from the other side:
 * conntrack picks up streams (nf_conntrack_tcp_loose), so we refuse them. */
static void write_no_pickup(struct bh_chain *c)
{
	struct bh_rule *r = bh_chain_add(c, "no mid-stream pick-up");
	bh_rule_match(r, BH_MATCH_CT_NEW);
	bh_rule_match(r, BH_MATCH_TCP_NOT_SYN)->proto = IPPROTO_TCP;
	r->counter = true;
	r->action = BH_ACT_DROP;
}

static void emit_chain(struct chain_build *b, struct bh_ruleset *rs)
{
	bool enforce = b->g->mode == BH_MODE_ENFORCE;
	struct bh_chain *c = bh_ruleset_add_chain(rs, b->g->chain, BH_HOOK_NONE, 0, b->g->comment);
	for (size_t i = 0; i < b->g->n_rules; i++)
		spec_rule(b, &b->g->rule[i]);
	if (enforce)
		write_no_pickup(c);
	for (size_t i = 0; i < b->n; i++)
		write_rule(b, &b->spec[i], c);
	struct bh_rule *last = bh_chain_add(c, NULL);
	last->action = BH_ACT_GOTO;
	last->target = bh_xstrdup(enforce ? "unmatched" : "observed");
	for (size_t i = 0; i < b->n; i++) {
		free(b->spec[i].port);
		bh_buf_finish(&b->spec[i].comment);
	}
	free(b->spec);
	bh_intern_finish(&b->seen);
}

static void emit_selector(
	const struct bh_engine *e, const struct bh_peer_set *p, struct bh_ruleset *rs)
{
	bh_autobuf struct bh_buf name = {0};
	for (uint8_t family = BH_IPV4; family <= BH_IPV6; family += 2) {
		struct bh_set *s = bh_ruleset_add_set(
			rs, peer_name(p, family, &name), BH_SET_ADDR, family, p->text);
		for (size_t i = 0; i < e->inv->n; i++)
			if (p->member[i / 64] >> (i % 64) & 1)
				bh_emit_addresses(e, i, s, NULL);
	}
}

static void emit_block(const struct bh_peer_set *p, struct bh_ruleset *rs)
{
	bh_autobuf struct bh_buf name = {0};
	uint8_t family = p->peer->block->cidr.addr.family;
	if (is_prefix(p))
		return;
	struct bh_set *s = bh_ruleset_add_set(
		rs, peer_name(p, family, &name), BH_SET_INTERVAL, family, p->text);
	for (size_t i = 0; i < p->ranges.n; i++)
		bh_set_add(s, &p->ranges.item[i].first, &p->ranges.item[i].last, NULL, NULL);
}

static void emit_named(
	const struct bh_engine *e, const struct bh_named_set *named, struct bh_ruleset *rs)
{
	bh_autobuf struct bh_buf name = {0}, comment = {0};
	for (uint8_t family = BH_IPV4; family <= BH_IPV6; family += 2) {
		struct bh_set *s = NULL;
		for (size_t i = 0; i < named->n; i++) {
			uint16_t port = named->target[i].port;
			if (!s || port != named->target[i - 1].port) {
				comment.len = 0;
				bh_buf_printf(
					&comment, "who serves port %s as %u", named->name, port);
				s = bh_ruleset_add_set(rs, named_name(named, port, family, &name),
					BH_SET_ADDR, family, comment.s);
			}
			bh_emit_addresses(e, named->target[i].workload, s, NULL);
		}
	}
}

void bh_emit_groups(const struct bh_engine *e, struct bh_ruleset *rs)
{
	bh_autofree bool *peer_used = bh_xcalloc(e->n_peers, sizeof(*peer_used));
	bh_autofree bool *named_used = bh_xcalloc(e->n_named, sizeof(*named_used));
	for (size_t i = 0; i < e->n_groups; i++) {
		struct chain_build b = {.e = e, .g = e->group[i]};
		b.peer_used = peer_used;
		b.named_used = named_used;
		emit_chain(&b, rs);
	}
	for (size_t i = 0; i < e->n_peers; i++) {
		if (!peer_used[i])
			continue;
		if (e->peer[i].peer->block)
			emit_block(&e->peer[i], rs);
		else
			emit_selector(e, &e->peer[i], rs);
	}
	for (size_t i = 0; i < e->n_named; i++)
		if (named_used[i])
			emit_named(e, &e->named[i], rs);
}
