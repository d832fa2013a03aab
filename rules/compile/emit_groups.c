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

/* One kernel rule: kset NULL = any peer; family 0 = both. */
static void write_rule(const struct build *b, const struct bh_row *row, const struct bh_kset *s,
	uint8_t family, uint16_t served, const char *next)
{
	struct bh_rule *r = bh_chain_add(b->c, row->comment.s);
	bh_autobuf struct bh_buf name = {0};
	struct bh_match *m;
	if (s && s->family)
		write_addresses(b, s, row->named >= 0, r);
	else if (s)
		write_workloads(b, s, family, r);
	if (row->named >= 0) {
		bh_emit_named(b->use, (size_t)row->named, served);
		m = bh_rule_match(r, BH_MATCH_DADDR_SET);
		m->family = family;
		bh_named_name(&b->use->e->plan->port_name[row->named], served, family, &name);
		m->set = bh_xstrdup(name.s);
	}
	if (row->proto) {
		struct bh_port_range one = {served, served};
		bool ports = row->named >= 0 || row->n_ports;
		m = bh_rule_match(r, ports ? BH_MATCH_DPORT : BH_MATCH_L4PROTO);
		m->proto = row->proto;
		m->n_ports = row->named >= 0 ? 1 : row->n_ports;
		m->port = bh_xmemdup(
			row->named >= 0 ? &one : row->port, m->n_ports * sizeof(*m->port));
	}
	r->counter = true;
	go_to(r, target_of(b, row, next));
}

static void write_peers(
	const struct build *b, const struct bh_row *row, uint16_t served, const char *next)
{
	for (uint8_t family = BH_IPV4; family <= BH_IPV6; family += 2) {
		const struct bh_kset *block = row->block[family == BH_IPV6];
		if (row->any >= 0) {
			/* A look-up of who serves the port is of one family. */
			if (row->named >= 0 || family == BH_IPV4)
				write_rule(
					b, row, NULL, row->named >= 0 ? family : 0, served, next);
			continue;
		}
		if (row->pods)
			write_rule(b, row, row->pods, family, served, next);
		if (block && block->ranges.n)
			write_rule(b, row, block, family, served, next);
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
