/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where packets end up that the groups leave to the daemon, and what spares it: the cache of its
 * verdicts, and the pace that a single source is held to before the queues.
 */
#include "internal.h"

#include <netinet/in.h>

#define CACHE_SIZE 65536
#define PACED_SIZE 65536
#define PACED_TIMEOUT_S 60

static const char *of(enum bh_family family, const char *v4, const char *v6)
{
	return family == BH_IPV4 ? v4 : v6;
}

/* --- the cache --- */

static const uint8_t tuple_read[] = {BH_READ_SADDR, BH_READ_DADDR, BH_READ_L4PROTO, BH_READ_DPORT},
		     echo_read[] = {BH_READ_SADDR, BH_READ_DADDR, BH_READ_L4PROTO, BH_READ_SPORT,
			     BH_READ_DPORT};

static struct bh_rule *cached(
	struct bh_chain *c, const char *set, enum bh_family family, const uint8_t *read, size_t n)
{
	struct bh_rule *r = bh_chain_add(c, NULL);
	bh_rule_match_parts(r, BH_MATCH_CONCAT_SET, (uint8_t)family, set, read, n);
	r->counter = true;
	return r;
}

static void deny(const struct bh_emit *m, struct bh_rule *r)
{
	if (m->e->plan->opts.reject)
		bh_emit_go(r, BH_ACT_GOTO, "refuse");
	else
		r->action = BH_ACT_DROP;
}

/* Verdicts on tuples that the daemon has given lately. Both directions were evaluated for them, so
 * they may stand before the groups; threats and quarantine stand before them. First the ways back
 * of flows that were cut, of which no verdict knows. */
void bh_emit_cache(const struct bh_emit *m, struct bh_chain *c)
{
	for (int family = BH_IPV4; family <= BH_IPV6; family += 2) {
		enum bh_family f = (enum bh_family)family;
		deny(m, cached(c, of(f, "echo4", "echo6"), f, echo_read, BH_ARRAY_SIZE(echo_read)));
		deny(m, cached(c, of(f, "cache-deny4", "cache-deny6"), f, tuple_read,
				BH_ARRAY_SIZE(tuple_read)));
		cached(c, of(f, "cache-allow4", "cache-allow6"), f, tuple_read,
			BH_ARRAY_SIZE(tuple_read))
			->action = BH_ACT_ACCEPT;
	}
}

void bh_emit_cache_sets(struct bh_ruleset *rs)
{
	static const uint8_t part[] = {
		BH_PART_ADDR, BH_PART_ADDR, BH_PART_PROTO, BH_PART_SERVICE, BH_PART_SERVICE};
	static const struct {
		const char *name[2], *comment;
		uint32_t timeout_s;
		size_t n;
		uint8_t is;
	} set[] = {{{"echo4", "echo6"}, "ways back of flows that were cut", BH_ECHO_S,
			   BH_ARRAY_SIZE(echo_read), BH_VOLATILE_KEPT},
		{{"cache-deny4", "cache-deny6"}, "flows denied lately", BH_CACHE_DENY_S,
			BH_ARRAY_SIZE(tuple_read), BH_VOLATILE_CACHE},
		{{"cache-allow4", "cache-allow6"}, "flows allowed lately", BH_CACHE_ALLOW_S,
			BH_ARRAY_SIZE(tuple_read), BH_VOLATILE_CACHE}};
	for (size_t i = 0; i < BH_ARRAY_SIZE(set); i++)
		for (int v6 = 0; v6 < 2; v6++) {
			struct bh_set *s =
				bh_ruleset_add_concat_set(rs, set[i].name[v6], BH_TABLE_INET,
					v6 ? BH_IPV6 : BH_IPV4, part, set[i].n, set[i].comment);
			s->volatile_ = set[i].is;
			s->counter = true;
			s->timeout_s = set[i].timeout_s;
			s->size = CACHE_SIZE;
		}
}

/* --- the pace --- */

/* What a source sends beyond its pace does not reach the queue; the daemon reads the counts. */
static void emit_pace(const struct bh_emit *m, struct bh_chain *c, enum bh_action action)
{
	static const uint8_t read[] = {BH_READ_SADDR};
	if (!m->opts->have_nfqueue || !m->opts->pace_rate)
		return;
	for (int family = BH_IPV4; family <= BH_IPV6; family += 2) {
		struct bh_rule *r = bh_chain_add(c, "faster than its pace");
		struct bh_match *u = bh_rule_match_parts(r, BH_MATCH_UPDATE, (uint8_t)family,
			of((enum bh_family)family, "paced4", "paced6"), read, 1);
		u->rate = m->opts->pace_rate;
		u->burst = m->opts->pace_burst;
		u->counter = true;
		r->counter = true;
		r->action = action;
	}
}

static void emit_paced_sets(struct bh_ruleset *rs)
{
	static const uint8_t part[] = {BH_PART_ADDR};
	for (int v6 = 0; v6 < 2; v6++) {
		struct bh_set *s = bh_ruleset_add_concat_set(rs, v6 ? "paced6" : "paced4",
			BH_TABLE_INET, v6 ? BH_IPV6 : BH_IPV4, part, 1,
			"how fast each source needs the daemon");
		s->volatile_ = BH_VOLATILE_DYNAMIC;
		s->timeout_s = PACED_TIMEOUT_S;
		s->size = PACED_SIZE;
	}
}

/* --- the unknown --- */

/* An address where workloads live, of nobody we know: it may have started just now. */
void bh_emit_unknown(struct bh_chain *c, enum bh_match_kind kind)
{
	for (int family = BH_IPV4; family <= BH_IPV6; family += 2) {
		enum bh_family f = (enum bh_family)family;
		struct bh_rule *r = bh_chain_add(c, NULL);
		/* First: it spares most packets the other, which is a search in a tree. */
		bh_emit_set_match(r, kind, f, of(f, "inhabited4", "inhabited6"));
		r->match[0].neg = true;
		bh_emit_set_match(r, kind, f, of(f, "networks4", "networks6"));
		bh_emit_go(r, BH_ACT_GOTO, "hold");
	}
}

/* Only of flows that begin in mid-stream; see emit_mid_stream. */
static void emit_mid_stream_chain(const struct bh_emit *m)
{
	struct bh_chain *c = bh_ruleset_add_chain(
		m->rs, "mid-stream", BH_HOOK_NONE, 0, "streams that are not known");
	for (int family = BH_IPV4; family <= BH_IPV6; family += 2)
		for (int k = 0; k < 2; k++) {
			enum bh_family f = (enum bh_family)family;
			struct bh_rule *r = bh_chain_add(c, NULL);
			bh_emit_set_match(r, k ? BH_MATCH_DADDR_SET : BH_MATCH_SADDR_SET, f,
				of(f, "enforcing4", "enforcing6"));
			r->counter = true;
			r->action = BH_ACT_DROP;
		}
}

/*
 * Errors about a flow. Routers send errors about the flows of others, workloads do not: what a
 * workload says of a flow that it has no part in is decided like anything new.
 */
static void emit_related(const struct bh_emit *m)
{
	static const uint8_t reads[2][2] = {{BH_READ_CT_ORIGINAL_SADDR, BH_READ_SADDR},
		{BH_READ_CT_REPLY_SADDR, BH_READ_SADDR}};
	struct bh_chain *c =
		bh_ruleset_add_chain(m->rs, "related", BH_HOOK_NONE, 0, "to a flow that is known");
	for (int family = BH_IPV4; family <= BH_IPV6; family += 2) {
		enum bh_family f = (enum bh_family)family;
		struct bh_rule *r = bh_chain_add(c, NULL);
		bh_emit_set_match(r, BH_MATCH_SADDR_SET, f, of(f, "known4", "known6"));
		r->match[0].neg = true;
		r->action = BH_ACT_ACCEPT;
		for (int k = 0; k < 2; k++) {
			r = bh_chain_add(c, NULL);
			bh_rule_match_parts(r, BH_MATCH_CONCAT_SET, (uint8_t)family,
				of(f, "self4", "self6"), reads[k], 2);
			r->action = BH_ACT_ACCEPT;
		}
	}
}

/* --- the ends --- */

static void counted(struct bh_chain *c, enum bh_action action, const char *comment)
{
	struct bh_rule *r = bh_chain_add(c, comment);
	r->counter = true;
	r->action = action;
}

static void queued(struct bh_chain *c, uint16_t num, bool bypass, const char *comment)
{
	counted(c, BH_ACT_QUEUE, comment);
	c->rule[c->n - 1].queue_num = num;
	c->rule[c->n - 1].bypass = bypass;
}

static struct bh_chain *plain_chain(const struct bh_emit *m, const char *name, const char *comment)
{
	return bh_ruleset_add_chain(m->rs, name, BH_HOOK_NONE, 0, comment);
}

/* Without a queue the kernel decides alone: it knows what is denied. */
static void emit_denied(const struct bh_emit *m)
{
	const struct bh_emit_opts *o = m->opts;
	struct bh_chain *c =
		plain_chain(m, "unmatched", "denied by a rule, or isolated and no rule allows it");
	emit_pace(m, c, BH_ACT_DROP);
	if (o->have_nfqueue) {
		queued(c, o->queue_unmatched, false, "new flow denied");
	} else if (m->e->plan->opts.reject) {
		counted(c, BH_ACT_GOTO, "new flow denied");
		c->rule[c->n - 1].target = bh_xstrdup("refuse");
	} else {
		counted(c, BH_ACT_DROP, "new flow denied");
	}
	c = plain_chain(m, "threat", "on a threat feed, whatever policy says");
	emit_pace(m, c, BH_ACT_DROP);
	if (o->have_nfqueue)
		queued(c, o->queue_unmatched, false, "threat feed hit");
	else
		counted(c, BH_ACT_DROP, "threat feed hit");
}

static void emit_observed(
	const struct bh_emit *m, const char *name, const char *comment, const char *what)
{
	struct bh_chain *c = plain_chain(m, name, comment);
	emit_pace(m, c, BH_ACT_ACCEPT);
	if (m->opts->have_nfqueue)
		queued(c, m->opts->queue_observed, true, what);
	else
		counted(c, BH_ACT_ACCEPT, what);
}

static void emit_hold(const struct bh_emit *m)
{
	const struct bh_emit_opts *o = m->opts;
	bool open = !o->hold_closed;
	struct bh_chain *c =
		plain_chain(m, "hold", "where workloads live, of nobody we know: held until we do");
	emit_pace(m, c, open ? BH_ACT_ACCEPT : BH_ACT_DROP);
	if (o->have_nfqueue)
		queued(c, o->queue_hold, open, "of an unknown workload");
	else
		counted(c, open ? BH_ACT_ACCEPT : BH_ACT_DROP, "of an unknown workload");
}

void bh_emit_ends(const struct bh_emit *m)
{
	emit_mid_stream_chain(m);
	emit_related(m);
	emit_denied(m);
	emit_observed(m, "observed", "learn and audit: passes, is recorded", "new flow observed");
	if (!m->e->plan->opts.host_policy)
		emit_observed(
			m, "host", "a workload and its own node: passes, is recorded", "host flow");
	emit_hold(m);
	if (m->e->plan->opts.reject) {
		struct bh_chain *c = plain_chain(m, "refuse", "deny: reject");
		counted(c, BH_ACT_REJECT_TCP_RESET, NULL);
		bh_rule_match(&c->rule[0], BH_MATCH_L4PROTO)->proto = IPPROTO_TCP;
		counted(c, BH_ACT_REJECT_ADMIN, NULL);
	}
	bh_emit_cache_sets(m->rs);
	bh_emit_passed_chain(m->rs);
	emit_paced_sets(m->rs);
}
