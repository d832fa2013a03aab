/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who holds too much of connection tracking opens no more, or slowly. Who that is the daemon counts
 * while the table fills; all of this is in the kernel only then. It stands before everything that
 * accepts, discovery and DHCP as well, since each can make entries by the thousand. What has its
 * entry goes on: established flows are accepted before, others are confirmed. What conntrack does
 * not follow (neighbour discovery) is no matter here, and has no status that could match.
 */
#include "internal.h"

#define PACED_SIZE 4096 /* addresses; only those that are listed come so far */
#define PACED_TIMEOUT_S 60

static const char *of(int family, const char *v4, const char *v6)
{
	return family == BH_IPV4 ? v4 : v6;
}

static bool crowded(const struct bh_emit *m)
{
	return m->opts->crowding && m->opts->crowding->n > 0;
}

void bh_emit_crowding_jump(const struct bh_emit *m, struct bh_chain *c)
{
	if (!crowded(m))
		return;
	for (int family = BH_IPV4; family <= BH_IPV6; family += 2) {
		struct bh_rule *r = bh_chain_add(c, NULL);
		bh_emit_set_match(r, BH_MATCH_SADDR_SET, (enum bh_family)family,
			of(family, "crowding4", "crowding6"));
		bh_emit_go(r, BH_ACT_JUMP, "crowding");
	}
}

static void emit_set(const struct bh_emit *m, int family)
{
	struct bh_set *s = bh_ruleset_add_set(m->rs, of(family, "crowding4", "crowding6"),
		BH_SET_ADDR, (uint8_t)family, "workloads that hold too much of conntrack");
	for (size_t i = 0; i < m->opts->crowding->n; i++) {
		const struct bh_crowding_addr *a = &m->opts->crowding->item[i];
		if (a->addr.family == family)
			bh_set_add(s, &a->addr, NULL, NULL, a->who);
	}
}

static void emit_paced(const struct bh_emit *m, struct bh_chain *c, int family)
{
	static const uint8_t part[] = {BH_PART_ADDR}, read[] = {BH_READ_SADDR};
	const char *name = of(family, "crowding-paced4", "crowding-paced6");
	struct bh_set *s = bh_ruleset_add_concat_set(m->rs, name, BH_TABLE_INET, (uint8_t)family,
		part, 1, "how fast each of them opens more");
	s->volatile_ = BH_VOLATILE_DYNAMIC;
	s->timeout_s = PACED_TIMEOUT_S;
	s->size = PACED_SIZE;
	struct bh_rule *r = bh_chain_add(c, NULL);
	bh_rule_match(r, BH_MATCH_CT_UNCONFIRMED);
	struct bh_match *u =
		bh_rule_match_parts(r, BH_MATCH_UPDATE, (uint8_t)family, name, read, 1);
	u->rate = u->burst = m->opts->crowding->rate;
	r->counter = true;
	r->action = BH_ACT_DROP;
}

void bh_emit_crowding(const struct bh_emit *m)
{
	if (!crowded(m))
		return;
	struct bh_chain *c = bh_ruleset_add_chain(
		m->rs, "crowding", BH_HOOK_NONE, 0, "of who holds too much of conntrack: no more");
	for (int family = BH_IPV4; family <= BH_IPV6; family += 2) {
		emit_set(m, family);
		if (m->opts->crowding->rate)
			emit_paced(m, c, family);
	}
	if (m->opts->crowding->rate)
		return;
	struct bh_rule *r = bh_chain_add(c, NULL);
	bh_rule_match(r, BH_MATCH_CT_UNCONFIRMED);
	r->counter = true;
	r->action = BH_ACT_DROP;
}
