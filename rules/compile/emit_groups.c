/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The chains of a group. A row becomes at most one kernel rule for the workloads it means and one
 * for the addresses, in each family: "this set, these ports: return", where the set holds all that
 * any rule of the row means and the comment names those rules.
 *
 * The tiers stand one after the other. Accept returns to the base chain (where the other direction
 * is asked next), Deny goes to the end where unmatched flows go, and Pass goes on in a chain of its
 * own that holds the tiers after Admin: nothing can be skipped inside an nftables chain.
 */
#include "internal.h"

#include <netinet/in.h>

struct build {
	struct bh_emit_use *use;
	const struct bh_group *g;
	struct bh_chain *c;
};

static const char *denied_target(const struct bh_group *g)
{
	return g->mode == BH_MODE_ENFORCE ? "unmatched" : "observed";
}

/* Where flows go that nobody has anything to say of; NULL: they are open. */
static const char *default_target(const struct build *b)
{
	if (b->g->mode != BH_MODE_LEARN && !b->use->e->plan->opts.unselected_deny)
		return NULL;
	return denied_target(b->g);
}

static void go_to(struct bh_rule *r, const char *target)
{
	r->action = target ? BH_ACT_GOTO : BH_ACT_RETURN;
	r->target = bh_xstrdup(target);
}

static void write_workloads(
	const struct build *b, const struct bh_kset *s, uint8_t family, struct bh_rule *r)
{
	bool out = b->g->direction == BH_EGRESS;
	bh_autobuf struct bh_buf name = {0};
	bh_emit_kset(b->use, s, family);
	struct bh_match *m = bh_rule_match(r, out ? BH_MATCH_DADDR_SET : BH_MATCH_SADDR_SET);
	m->family = family;
	bh_kset_name(s, family, &name);
	m->set = bh_xstrdup(name.s);
}

/* A plain prefix is cheaper than a set, and reads better. */
static void write_addresses(
	const struct build *b, const struct bh_kset *s, bool named, struct bh_rule *r)
{
	bool out = b->g->direction == BH_EGRESS;
	struct bh_match *m;
	if (!s->plain) {
		write_workloads(b, s, s->family, r);
		return;
	}
	if (s->prefix.len == 0) {
		if (named)
			return; /* the look-up of who serves the port implies the family */
		m = bh_rule_match(r, BH_MATCH_NFPROTO);
	} else {
		m = bh_rule_match(r, out ? BH_MATCH_DADDR_PREFIX : BH_MATCH_SADDR_PREFIX);
		m->prefix = s->prefix;
	}
	m->family = s->family;
}

/* Where a row's flows go on. `next`: the chain of the tiers after this one, or NULL. */
static const char *target_of(const struct build *b, const struct bh_row *row, const char *next)
{
	if (row->action == BH_RULE_DENY)
		return denied_target(b->g);
	if (row->action == BH_RULE_PASS)
		return next ? next : default_target(b);
	return NULL;
}

/* One kernel rule in the making. */
struct one {
	const struct bh_row *row;
	const struct bh_kset *peers; /* NULL = any */
	uint8_t family; /* 0 = both */
	uint16_t served; /* named ports: the number */
	const char *next, *comment;
};

/* Ports before peers: a comparison is cheaper than a look-up. `port` NULL: the set of single ones,
 * or every port. */
static void write_ports(const struct build *b, const struct one *o,
	const struct bh_port_range *port, struct bh_rule *r)
{
	static const uint8_t read[] = {BH_READ_DPORT};
	if (!o->row->proto)
		return;
	struct bh_match *m = bh_rule_match(r, port ? BH_MATCH_DPORT : BH_MATCH_L4PROTO);
	m->proto = o->row->proto;
	if (port) {
		m->port = bh_xmemdup(port, sizeof(*port));
		m->n_ports = 1;
	} else if (o->row->ports) {
		bh_autobuf struct bh_buf name = {0};
		bh_emit_kset(b->use, o->row->ports, 0);
		bh_kset_name(o->row->ports, 0, &name);
		bh_rule_match_parts(r, BH_MATCH_CONCAT_SET, 0, name.s, read, 1);
	}
}

static void write_rule(const struct build *b, const struct one *o, const struct bh_port_range *port)
{
	struct bh_rule *r = bh_chain_add(b->c, o->comment);
	bool named = o->row->named >= 0;
	write_ports(b, o, port, r);
	if (o->peers && o->peers->kind == BH_KSET_ADDRESSES)
		write_addresses(b, o->peers, named, r);
	else if (o->peers)
		write_workloads(b, o->peers, o->family, r);
	if (named) {
		const struct bh_port_name *n = &b->use->e->plan->port_name[o->row->named];
		bh_autobuf struct bh_buf name = {0};
		bh_emit_named(b->use, (size_t)o->row->named, o->served);
		bh_named_name(n, o->served, o->family, &name);
		bh_emit_set_match(r, BH_MATCH_DADDR_SET, (enum bh_family)o->family, name.s);
	}
	r->counter = true;
	go_to(r, target_of(b, o->row, o->next));
}

/* Each range is a rule of its own, and so is a single port; several single ones are a set. */
static void write_each_port(const struct build *b, const struct one *o)
{
	const struct bh_row *row = o->row;
	struct bh_port_range served = {o->served, o->served};
	if (row->named >= 0)
		write_rule(b, o, &served);
	else if (!row->n_ports || row->ports)
		write_rule(b, o, NULL);
	for (size_t i = 0; i < row->n_ports; i++)
		if (!row->ports || row->port[i].first != row->port[i].last)
			write_rule(b, o, &row->port[i]);
}

/* Several rules may name a peer: the first one is said. */
static char *hit_comment(const struct build *b, const struct bh_hit *h)
{
	const struct bh_order *o = &b->g->order[h->order];
	bool ordered = o->policy->tier != BH_TIER_NETWORK_POLICY;
	return bh_xasprintf("%s %s rule %u%s%s", o->policy->ref, bh_direction_name(b->g->direction),
		o->rule, ordered ? " " : "", ordered ? bh_rule_action_name(o->action) : "");
}

static void write_pods(const struct build *b, struct one o)
{
	for (size_t i = 0; i < o.row->n_hits; i++) {
		const struct bh_hit *h = &o.row->hit[i];
		if (!h->pods)
			continue;
		bh_autofree char *comment = hit_comment(b, h);
		o.peers = h->pods;
		o.comment = comment;
		for (o.family = BH_IPV4; o.family <= BH_IPV6; o.family += 2)
			write_each_port(b, &o);
	}
}

static void write_peers(
	const struct build *b, const struct bh_row *row, uint16_t served, const char *next)
{
	struct one o = {row, NULL, 0, served, next, row->comment.s};
	if (row->any >= 0 && row->named < 0) {
		write_each_port(b, &o);
		return;
	}
	if (row->any < 0)
		write_pods(b, o);
	for (uint8_t family = BH_IPV4; family <= BH_IPV6; family += 2) {
		o.family = family;
		o.peers = row->any < 0 ? row->block[family == BH_IPV6] : NULL;
		/* A look-up of who serves the port is of one family. */
		if (row->any >= 0 || (o.peers && o.peers->ranges.n))
			write_each_port(b, &o);
	}
}

static void write_tier(const struct build *b, enum bh_tier tier, const char *next)
{
	const struct bh_tier_rows *t = &b->g->tier[tier];
	for (size_t i = 0; i < t->n; i++) {
		const struct bh_row *row = &t->row[i];
		if (row->named < 0) {
			write_peers(b, row, 0, next);
			continue;
		}
		const struct bh_served_name *s = &b->use->e->served[row->named];
		for (size_t k = 0; k < s->n; k++)
			write_peers(b, row, s->item[k].port, next);
	}
}

/* The tiers after Admin, and what becomes of the rest. */
static void write_rest(const struct build *b)
{
	write_tier(b, BH_TIER_NETWORK_POLICY, NULL);
	bool final = b->g->selection->n_np || b->g->quarantine;
	if (!final)
		write_tier(b, BH_TIER_BASELINE, NULL);
	const char *rest = final ? denied_target(b->g) : default_target(b);
	if (rest)
		go_to(bh_chain_add(b->c, NULL), rest);
}

static bool passes(const struct bh_group *g)
{
	const struct bh_tier_rows *t = &g->tier[BH_TIER_ADMIN];
	for (size_t i = 0; i < t->n; i++)
		if (t->row[i].action == BH_RULE_PASS)
			return true;
	return false;
}

void bh_emit_group(struct bh_emit_use *u, const struct bh_group *g)
{
	struct build b = {.use = u, .g = g};
	bh_autobuf struct bh_buf next = {0};
	bool split = passes(g);
	if (split) /* hashes end all other names, so this one is free */
		bh_buf_printf(&next, "%s-next", g->chain);
	b.c = bh_ruleset_add_chain(u->rs, g->chain, BH_HOOK_NONE, 0, g->comment);
	write_tier(&b, BH_TIER_ADMIN, next.s);
	if (split) {
		go_to(bh_chain_add(b.c, NULL), next.s);
		b.c = bh_ruleset_add_chain(
			u->rs, next.s, BH_HOOK_NONE, 0, "what the Admin tier passes on");
	}
	write_rest(&b);
}
