/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Copies of DNS questions and answers for the daemon, which names outside addresses by them. The
 * copies are made before established flows are accepted, because most answers are established; a
 * port is all that other packets pay. Nothing here gives a verdict: the chain only copies, and
 * whether anybody reads the copies is nothing to the packet.
 *
 * What one pair of addresses and all together may have copied is bounded. Beyond that names are
 * missed.
 */
#include "internal.h"

#define DNS_PORT 53
#define PAIR_RATE 200
#define PAIR_BURST 400
#define RATE 4000
#define BURST 2000
#define PACED_SIZE 16384
#define PACED_TIMEOUT_S 10
/* UDP answers of more than 1,232 bytes are rare (DNS flag day 2020), TCP segments about 1,460. */
#define SNAP_LEN 2048

static void jump(struct bh_chain *c, enum bh_match_kind kind)
{
	struct bh_rule *r = bh_chain_add(c, NULL);
	struct bh_match *m = bh_rule_match(r, kind);
	m->port = bh_xcalloc(1, sizeof(*m->port));
	m->port[0] = (struct bh_port_range){DNS_PORT, DNS_PORT};
	m->n_ports = 1;
	if (kind == BH_MATCH_TH_SPORT) { /* what comes unasked is no answer */
		bh_rule_match(r, BH_MATCH_CT_ESTABLISHED);
		bh_rule_match(r, BH_MATCH_CT_REPLY);
	}
	bh_emit_go(r, BH_ACT_JUMP, "names");
}

void bh_emit_names_jump(const struct bh_emit *m, struct bh_chain *c)
{
	if (!m->opts->names)
		return;
	jump(c, BH_MATCH_TH_DPORT);
	jump(c, BH_MATCH_TH_SPORT);
}

static void pace(const struct bh_emit *m, struct bh_chain *c, bool v6)
{
	static const uint8_t part[] = {BH_PART_ADDR, BH_PART_ADDR};
	static const uint8_t read[] = {BH_READ_SADDR, BH_READ_DADDR};
	uint8_t family = v6 ? BH_IPV6 : BH_IPV4;
	const char *name = v6 ? "names-paced6" : "names-paced4";
	struct bh_set *s = bh_ruleset_add_concat_set(m->rs, name, BH_TABLE_INET, family, part,
		BH_ARRAY_SIZE(part), "how much each pair says of names");
	s->volatile_ = BH_VOLATILE_DYNAMIC;
	s->timeout_s = PACED_TIMEOUT_S;
	s->size = PACED_SIZE;
	struct bh_rule *r = bh_chain_add(c, NULL);
	struct bh_match *u =
		bh_rule_match_parts(r, BH_MATCH_UPDATE, family, name, read, BH_ARRAY_SIZE(read));
	u->rate = PAIR_RATE;
	u->burst = PAIR_BURST;
	r->action = BH_ACT_RETURN;
}

void bh_emit_names(const struct bh_emit *m)
{
	if (!m->opts->names)
		return;
	struct bh_chain *c =
		bh_ruleset_add_chain(m->rs, "names", BH_HOOK_NONE, 0, "DNS: copied for the daemon");
	for (int out = 0; out < 2; out++) {
		struct bh_rule *r = bh_chain_add(c, NULL);
		bh_rule_match(r, out ? BH_MATCH_OIF_LO : BH_MATCH_IIF_LO);
		r->action = BH_ACT_RETURN;
	}
	pace(m, c, false);
	pace(m, c, true);
	struct bh_rule *r = bh_chain_add(c, NULL);
	struct bh_match *limit = bh_rule_match(r, BH_MATCH_LIMIT);
	limit->rate = RATE;
	limit->burst = BURST;
	r->action = BH_ACT_LOG;
	r->queue_num = m->opts->names_group;
	r->snap_len = SNAP_LEN;
}
