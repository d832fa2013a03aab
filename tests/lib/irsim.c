/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See irsim.h. Looks sets up by linear search: it must not share the engine's ideas of order. */
#include "lib/irsim.h"

#define MAX_DEPTH 16 /* NFT_JUMP_STACK_SIZE */

struct sim {
	const struct bh_ruleset *rs;
	const struct irsim_packet *p;
	struct irsim_result result;
	bool done;
};

static const struct bh_set *find_set(struct sim *s, const char *name, uint8_t family)
{
	for (size_t i = 0; i < s->rs->n_sets; i++)
		if (strcmp(s->rs->set[i].name, name) == 0 && s->rs->set[i].family == family)
			return &s->rs->set[i];
	s->result.verdict = IRSIM_BROKEN;
	s->done = true;
	return NULL;
}

static const struct bh_set_elem *find_elem(
	const struct bh_set *set, const struct bh_addr *a, const struct bh_addr *b)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct bh_set_elem *e = &set->elem[i];
		bool hit = bh_addr_eq(&e->key, a);
		if (set->kind == BH_SET_INTERVAL)
			hit = bh_addr_cmp(&e->key, a) <= 0 && bh_addr_cmp(a, &e->key2) <= 0;
		else if (set->kind == BH_SET_PAIR)
			hit = hit && bh_addr_eq(&e->key2, b);
		if (hit)
			return e;
	}
	return NULL;
}

static bool in_set(struct sim *s, const struct bh_match *m, const struct bh_addr *a)
{
	if (s->p->flow.src.family != m->family)
		return false;
	const struct bh_set *set = find_set(s, m->set, m->family);
	return set && (find_elem(set, a, &s->p->flow.dst) != NULL) != m->neg;
}

/* What the packet has there; false for what this model's packets don't have: devices, frames. */
static bool read_part(const struct sim *s, enum bh_read from, struct bh_value *ret)
{
	const struct bh_flow *f = &s->p->flow;
	bool ports = f->proto == BH_TCP || f->proto == BH_UDP || f->proto == BH_SCTP;
	switch (from) {
	case BH_READ_SADDR:
		*ret = bh_value_addr(&f->src);
		return true;
	case BH_READ_DADDR:
		*ret = bh_value_addr(&f->dst);
		return true;
	case BH_READ_CT_ORIGINAL_DADDR:
		*ret = bh_value_addr(&s->p->original);
		return s->p->original.family == f->src.family;
	case BH_READ_SADDR_24:
	case BH_READ_SADDR_16:
	case BH_READ_DADDR_24:
	case BH_READ_DADDR_16:
		*ret = bh_value_addr(
			from == BH_READ_SADDR_24 || from == BH_READ_SADDR_16 ? &f->src : &f->dst);
		ret->b[3] = 0;
		if (from == BH_READ_SADDR_16 || from == BH_READ_DADDR_16)
			ret->b[2] = 0;
		return true;
	case BH_READ_L4PROTO:
		*ret = bh_value_u8(f->proto);
		return true;
	case BH_READ_SPORT:
		*ret = bh_value_u16(f->sport);
		return ports;
	case BH_READ_DPORT:
		*ret = bh_value_u16(f->dport);
		return ports;
	default:
		return false;
	}
}

static bool in_concat(struct sim *s, const struct bh_match *m)
{
	struct bh_value v[BH_PARTS_MAX];
	if (m->family && s->p->flow.src.family != m->family)
		return false;
	const struct bh_set *set = find_set(s, m->set, m->family);
	if (!set)
		return false;
	if (set->kind != BH_SET_CONCAT) { /* of one address */
		if (!read_part(s, m->read[0], &v[0]))
			return false;
		struct bh_addr a = bh_addr_from_bytes(m->family, v[0].b);
		return (find_elem(set, &a, NULL) != NULL) != m->neg;
	}
	for (size_t i = 0; i < m->n_reads; i++)
		if (!read_part(s, m->read[i], &v[i]))
			return false;
	for (size_t i = 0; i < set->n; i++)
		if (memcmp(set->elem[i].value, v, m->n_reads * sizeof(*v)) == 0)
			return !m->neg;
	return m->neg;
}

static bool in_ports(const struct bh_match *m, unsigned n)
{
	for (size_t i = 0; i < m->n_ports; i++)
		if (n >= m->port[i].first && n <= m->port[i].last)
			return true;
	return false;
}

static bool in_prefix(const struct bh_match *m, const struct bh_addr *a)
{
	return a->family == m->family && bh_prefix_contains(&m->prefix, a) != m->neg;
}

static bool matches(struct sim *s, const struct bh_match *m)
{
	const struct bh_flow *f = &s->p->flow;
	switch (m->kind) {
	case BH_MATCH_NFPROTO:
		return f->src.family == m->family;
	case BH_MATCH_CT_ESTABLISHED:
		return s->p->established;
	case BH_MATCH_CT_RELATED:
	case BH_MATCH_IP_OPTION:
	case BH_MATCH_CT_REPLY:
	case BH_MATCH_CT_CONFIRMED: /* every packet is the first of its flow */
		return false;
	case BH_MATCH_CT_UNCONFIRMED:
	case BH_MATCH_CT_UNKNOWN:
		return !s->p->established;
	case BH_MATCH_CT_DNAT:
		return s->p->original.family != 0;
	case BH_MATCH_SADDR_SET:
	case BH_MATCH_PAIR_SET:
		return in_set(s, m, &f->src);
	case BH_MATCH_DADDR_SET:
		return in_set(s, m, &f->dst);
	case BH_MATCH_SADDR_PREFIX:
		return in_prefix(m, &f->src);
	case BH_MATCH_DADDR_PREFIX:
		return in_prefix(m, &f->dst);
	case BH_MATCH_L4PROTO:
		return f->proto == m->proto;
	case BH_MATCH_DPORT:
		return f->proto == m->proto && in_ports(m, f->dport);
	case BH_MATCH_SPORT:
		return f->proto == m->proto && in_ports(m, f->sport);
	case BH_MATCH_TH_DPORT:
		return in_ports(m, f->dport);
	case BH_MATCH_TH_SPORT:
		return in_ports(m, f->sport);
	case BH_MATCH_TCP_NOT_SYN:
		return f->proto == BH_TCP && s->p->mid_stream;
	case BH_MATCH_ICMPV6_TYPES:
		return f->proto == 58 && f->src.family == BH_IPV6 && in_ports(m, f->icmp_type);
	case BH_MATCH_IP6_HOPS: /* 0: not known, as it has to be */
		return f->src.family == BH_IPV6 && (!f->hops || f->hops == m->proto);
	case BH_MATCH_IP6_FRAGMENT:
		return false;
	case BH_MATCH_IIF_LO:
	case BH_MATCH_OIF_LO:
		return s->p->lo;
	case BH_MATCH_IIF_BRIDGE: /* for base chains that the daemon's packets don't run through */
		return false;
	case BH_MATCH_LIMIT:
		return true;
	case BH_MATCH_MARK:
		return (s->p->mark & m->mask) == m->mark;
	case BH_MATCH_CONCAT_SET:
		return in_concat(s, m);
	case BH_MATCH_UPDATE: /* nobody is over a rate here */
		return !m->rate && (!m->family || f->src.family == m->family);
	case BH_MATCH_ETHER_TYPE:
	case BH_MATCH_VLAN_ZERO:
		return false;
	}
	return false;
}

static void finish(struct sim *s, enum irsim_verdict v, const char *chain, const struct bh_rule *r)
{
	s->result = (struct irsim_result){v, chain, r};
	s->done = true;
}

static void run_chain(struct sim *s, const char *name, int depth);

static void look_up(struct sim *s, const struct bh_rule *r, const struct bh_addr *a, int depth)
{
	if (s->p->flow.src.family != r->family)
		return;
	const struct bh_set *map = find_set(s, r->target, r->family);
	const struct bh_set_elem *e = map ? find_elem(map, a, NULL) : NULL;
	if (e)
		run_chain(s, e->chain, depth + 1);
}

/* True when the rest of the chain is not to be looked at. */
static bool act(struct sim *s, const struct bh_chain *c, const struct bh_rule *r, int depth)
{
	switch (r->action) {
	case BH_ACT_NONE:
	case BH_ACT_LOG:
		return false;
	case BH_ACT_RETURN:
		return true;
	case BH_ACT_JUMP:
		run_chain(s, r->target, depth + 1);
		return s->done;
	case BH_ACT_GOTO:
		run_chain(s, r->target, depth + 1);
		return true;
	case BH_ACT_VMAP_SADDR:
		look_up(s, r, &s->p->flow.src, depth);
		return s->done;
	case BH_ACT_VMAP_DADDR:
		look_up(s, r, &s->p->flow.dst, depth);
		return s->done;
	case BH_ACT_ACCEPT:
		finish(s, IRSIM_ACCEPT, c->name, r);
		return true;
	case BH_ACT_DROP:
		finish(s, IRSIM_DROP, c->name, r);
		return true;
	case BH_ACT_QUEUE:
		finish(s, r->bypass ? IRSIM_QUEUE_BYPASS : IRSIM_QUEUE, c->name, r);
		return true;
	case BH_ACT_REJECT_TCP_RESET:
	case BH_ACT_REJECT_ADMIN:
		finish(s, IRSIM_REJECT, c->name, r);
		return true;
	}
	return false;
}

static void run_chain(struct sim *s, const char *name, int depth)
{
	const struct bh_chain *c = NULL;
	for (size_t i = 0; i < s->rs->n_chains; i++)
		if (strcmp(s->rs->chain[i].name, name) == 0)
			c = &s->rs->chain[i];
	if (!c || depth >= MAX_DEPTH) {
		finish(s, IRSIM_BROKEN, name, NULL);
		return;
	}
	for (size_t i = 0; i < c->n && !s->done; i++) {
		const struct bh_rule *r = &c->rule[i];
		bool hit = true;
		for (size_t k = 0; k < r->n && hit; k++)
			hit = matches(s, &r->match[k]);
		if (s->done || (hit && act(s, c, r, depth)))
			return;
	}
}

struct irsim_result irsim_run(
	const struct bh_ruleset *rs, const char *base, const struct irsim_packet *p)
{
	struct sim s = {.rs = rs, .p = p};
	run_chain(&s, base, 0);
	if (!s.done)
		finish(&s, IRSIM_ACCEPT, base, NULL);
	return s.result;
}
