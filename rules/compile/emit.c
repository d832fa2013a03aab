/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel's form of the artefact: table inet bulkhead.
 *
 * The base chains and the names of their sets depend on the options alone, never on policies or
 * inventory, so that a container that starts or a policy that changes touches set elements and
 * group chains only (removing a base chain would flush every queued packet; verified on 6.18).
 *
 * Enforcing groups are asked before observing ones, in both directions: the queue of the observed
 * has bypass, and a bypassed packet skips the rest of its chain. The other order would let a
 * learning source into an enforcing destination whenever the daemon is down.
 */
#include "internal.h"

#include <netinet/in.h>

#define PRIORITY (-10) /* filter - 10: before Docker's own chains, whose drops still count */

struct emit {
	const struct bh_engine *e;
	const struct bh_emit_opts *opts;
	struct bh_ruleset *rs;
};

static void set_match(
	struct bh_rule *r, enum bh_match_kind kind, enum bh_family family, const char *set)
{
	struct bh_match *m = bh_rule_match(r, kind);
	m->family = family;
	m->set = bh_xstrdup(set);
}

static void go(struct bh_rule *r, enum bh_action action, const char *target)
{
	r->action = action;
	r->target = bh_xstrdup(target);
}

static void range_match(
	struct bh_rule *r, enum bh_match_kind kind, uint8_t proto, uint16_t first, uint16_t last)
{
	struct bh_match *m = bh_rule_match(r, kind);
	m->proto = proto;
	m->port = bh_xcalloc(1, sizeof(*m->port));
	m->port[0] = (struct bh_port_range){first, last};
	m->n_ports = 1;
}

static void emit_icmpv6(struct bh_chain *c)
{
	static const struct bh_port_range types[] = {{130, 130}, {131, 131}, {132, 132}, {133, 133},
		{134, 134}, {135, 135}, {136, 136}, {137, 137}, {143, 143}};
	struct bh_rule *r = bh_chain_add(c, "neighbour discovery, MLD");
	struct bh_match *m = bh_rule_match(r, BH_MATCH_ICMPV6_TYPES);
	m->port = bh_xmemdup(types, sizeof(types));
	m->n_ports = BH_ARRAY_SIZE(types);
	r->action = BH_ACT_ACCEPT;
}

static void emit_dhcp(struct bh_chain *c, enum bh_family family, uint16_t first, bool node)
{
	struct bh_rule *r = bh_chain_add(c, "DHCP");
	if (node) {
		bh_rule_match(r, BH_MATCH_NFPROTO)->family = family;
	} else {
		struct bh_match *m = bh_rule_match(r, BH_MATCH_DADDR_PREFIX);
		m->family = family;
		bh_prefix_parse("fe80::/10", &m->prefix);
	}
	range_match(r, BH_MATCH_SPORT, IPPROTO_UDP, first, first + 1);
	range_match(r, BH_MATCH_DPORT, IPPROTO_UDP, first, first + 1);
	r->action = BH_ACT_ACCEPT;
}

static void emit_multicast(struct bh_chain *c, enum bh_family family)
{
	static const char *const text[] = {[BH_IPV4] = "224.0.0.0/4", [BH_IPV6] = "ff00::/8"};
	struct bh_rule *r = bh_chain_add(c, NULL);
	struct bh_match *m = bh_rule_match(r, BH_MATCH_DADDR_PREFIX);
	m->family = family;
	bh_prefix_parse(text[family], &m->prefix);
	r->action = BH_ACT_ACCEPT;
}

/* Without these a host has no network at all; is_plumbing says the same to the evaluator. `node`:
 * the chain sees only the node's own traffic. */
static void emit_plumbing(struct bh_chain *c, bool node)
{
	emit_icmpv6(c);
	if (node)
		emit_dhcp(c, BH_IPV4, 67, node);
	emit_dhcp(c, BH_IPV6, 546, node);
}

/* is_flooded in the evaluator. */
static void emit_flooded(struct bh_chain *c)
{
	emit_multicast(c, BH_IPV4);
	emit_multicast(c, BH_IPV6);
	struct bh_rule *r = bh_chain_add(c, NULL);
	set_match(r, BH_MATCH_DADDR_SET, BH_IPV4, "broadcast4");
	r->action = BH_ACT_ACCEPT;
}

static void emit_threat(struct bh_chain *c, enum bh_match_kind kind)
{
	static const struct {
		enum bh_family family;
		const char *set;
	} feeds[] = {
		{BH_IPV4, "feeds4"},
		{BH_IPV4, "feeds4-net"},
		{BH_IPV6, "feeds6"},
		{BH_IPV6, "feeds6-net"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(feeds); i++) {
		struct bh_rule *r = bh_chain_add(c, NULL);
		set_match(r, kind, feeds[i].family, feeds[i].set);
		go(r, BH_ACT_GOTO, "threat");
	}
}

static const char *map_name(
	enum bh_map map, enum bh_direction d, enum bh_family family, char buf[static 24])
{
	static const char *const name[] = {[BH_MAP_OBSERVE] = "observe",
		[BH_MAP_ENFORCE] = "enforce",
		[BH_MAP_QUARANTINE] = "quarantine"};
	snprintf(buf, 24, "%s-%s%d", name[map], d == BH_EGRESS ? "out" : "in", (int)family);
	return buf;
}

static void emit_vmaps(struct bh_chain *c, enum bh_map map, enum bh_direction d)
{
	char name[24];
	for (int family = BH_IPV4; family <= BH_IPV6; family += 2) {
		struct bh_rule *r = bh_chain_add(c, NULL);
		r->family = (uint8_t)family;
		go(r, d == BH_EGRESS ? BH_ACT_VMAP_SADDR : BH_ACT_VMAP_DADDR,
			map_name(map, d, (enum bh_family)family, name));
	}
}

static void emit_self(struct bh_chain *c)
{
	for (int family = BH_IPV4; family <= BH_IPV6; family += 2) {
		struct bh_rule *r = bh_chain_add(c, NULL);
		set_match(r, BH_MATCH_PAIR_SET, (enum bh_family)family,
			family == BH_IPV4 ? "self4" : "self6");
		r->action = BH_ACT_ACCEPT;
	}
}

static struct bh_chain *base_chain(struct emit *m, const char *name, enum bh_hook hook)
{
	struct bh_chain *c = bh_ruleset_add_chain(m->rs, name, hook, PRIORITY, NULL);
	struct bh_rule *r = bh_chain_add(c, NULL);
	bh_rule_match(r, BH_MATCH_CT_ESTABLISHED);
	r->action = BH_ACT_ACCEPT;
	if (m->e->plan->opts.reject) {
		struct bh_match *mark;
		r = bh_chain_add(c, "denied by the daemon");
		mark = bh_rule_match(r, BH_MATCH_MARK);
		mark->mark = mark->mask = BH_MARK_REFUSE;
		go(r, BH_ACT_GOTO, "refuse");
	}
	return c;
}

static void emit_forward(struct emit *m)
{
	struct bh_chain *c = base_chain(m, "forward", BH_HOOK_FORWARD);
	emit_plumbing(c, false);
	emit_vmaps(c, BH_MAP_QUARANTINE, BH_EGRESS);
	emit_vmaps(c, BH_MAP_QUARANTINE, BH_INGRESS);
	emit_flooded(c);
	emit_threat(c, BH_MATCH_SADDR_SET);
	emit_threat(c, BH_MATCH_DADDR_SET);
	emit_self(c);
	emit_vmaps(c, BH_MAP_ENFORCE, BH_EGRESS);
	emit_vmaps(c, BH_MAP_ENFORCE, BH_INGRESS);
	emit_vmaps(c, BH_MAP_OBSERVE, BH_EGRESS);
	emit_vmaps(c, BH_MAP_OBSERVE, BH_INGRESS);
}

/* Container → host (input) is the container's egress, host → container (output) its ingress. */
static void emit_host(struct emit *m, const char *name, enum bh_hook hook)
{
	bool in = hook == BH_HOOK_INPUT;
	enum bh_match_kind kind = in ? BH_MATCH_SADDR_SET : BH_MATCH_DADDR_SET;
	enum bh_direction d = in ? BH_EGRESS : BH_INGRESS;
	struct bh_chain *c = base_chain(m, name, hook);
	struct bh_rule *r = bh_chain_add(c, NULL);
	bh_rule_match(r, in ? BH_MATCH_IIF_LO : BH_MATCH_OIF_LO);
	r->action = BH_ACT_ACCEPT;
	emit_plumbing(c, true);
	emit_vmaps(c, BH_MAP_QUARANTINE, d);
	emit_flooded(c);
	emit_threat(c, kind);
	if (m->e->plan->opts.host_policy) {
		emit_vmaps(c, BH_MAP_ENFORCE, d);
		emit_vmaps(c, BH_MAP_OBSERVE, d);
		return;
	}
	for (int family = BH_IPV4; family <= BH_IPV6; family += 2) {
		r = bh_chain_add(c, NULL);
		set_match(r, kind, (enum bh_family)family, family == BH_IPV4 ? "known4" : "known6");
		go(r, BH_ACT_GOTO, "host");
	}
}

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

static struct bh_chain *plain_chain(struct emit *m, const char *name, const char *comment)
{
	return bh_ruleset_add_chain(m->rs, name, BH_HOOK_NONE, 0, comment);
}

/* Where packets end up. Without a queue the kernel decides alone: it knows what is denied. */
static void emit_ends(struct emit *m)
{
	const struct bh_emit_opts *o = m->opts;
	struct bh_chain *c =
		plain_chain(m, "unmatched", "denied by a rule, or isolated and no rule allows it");
	if (o->have_nfqueue) {
		queued(c, o->queue_unmatched, false, "new flow denied");
	} else if (m->e->plan->opts.reject) {
		counted(c, BH_ACT_GOTO, "new flow denied");
		c->rule[c->n - 1].target = bh_xstrdup("refuse");
	} else {
		counted(c, BH_ACT_DROP, "new flow denied");
	}
	c = plain_chain(m, "threat", "on a threat feed, whatever policy says");
	if (o->have_nfqueue)
		queued(c, o->queue_unmatched, false, "threat feed hit");
	else
		counted(c, BH_ACT_DROP, "threat feed hit");
	c = plain_chain(m, "observed", "learn and audit: passes, is recorded");
	if (o->have_nfqueue)
		queued(c, o->queue_observed, true, "new flow observed");
	else
		counted(c, BH_ACT_ACCEPT, "new flow observed");
	if (!m->e->plan->opts.host_policy) {
		c = plain_chain(m, "host", "a workload and its own node: passes, is recorded");
		if (o->have_nfqueue)
			queued(c, o->queue_observed, true, "host flow");
		else
			counted(c, BH_ACT_ACCEPT, "host flow");
	}
	if (m->e->plan->opts.reject) {
		c = plain_chain(m, "refuse", "deny: reject");
		counted(c, BH_ACT_REJECT_TCP_RESET, NULL);
		bh_rule_match(&c->rule[0], BH_MATCH_L4PROTO)->proto = IPPROTO_TCP;
		counted(c, BH_ACT_REJECT_ADMIN, NULL);
	}
}

static void emit_feeds(struct emit *m, enum bh_family family)
{
	bool v4 = family == BH_IPV4;
	const struct bh_ranges *feeds = m->opts->feeds;
	for (int net = 0; net < 2; net++) {
		struct bh_set *s = bh_ruleset_add_set(m->rs,
			net ? (v4 ? "feeds4-net" : "feeds6-net") : (v4 ? "feeds4" : "feeds6"),
			net ? BH_SET_INTERVAL : BH_SET_ADDR, family,
			net ? "threat feeds: networks" : "threat feeds: addresses");
		for (size_t i = 0; feeds && i < feeds->n; i++) {
			const struct bh_range *x = &feeds->item[i];
			if (x->first.family == family && bh_addr_eq(&x->first, &x->last) == !net)
				bh_set_add(s, &x->first, net ? &x->last : NULL, NULL, NULL);
		}
	}
}

/* Calls add for every address of `family` that belongs to the workload and to nobody before it. */
static void each_address(const struct bh_engine *e, size_t workload, uint8_t family,
	void (*add)(const struct bh_addr *a, const struct bh_workload *w, void *arg), void *arg)
{
	const struct bh_workload *w = e->inv->workload[workload];
	for (size_t i = 0; i < w->n_ifaces; i++)
		for (size_t k = 0; k < w->iface[i].n_addrs; k++) {
			const struct bh_addr *a = &w->iface[i].addr[k];
			if (a->family == family && bh_inventory_owner(e->inv, a) == (int)workload)
				add(a, w, arg);
		}
}

struct target {
	struct bh_set *set;
	const char *chain;
	struct bh_buf comment;
	const struct bh_addr *src; /* pairs */
};

static void add_address(const struct bh_addr *a, const struct bh_workload *w, void *arg)
{
	struct target *t = arg;
	t->comment.len = 0;
	bh_buf_printf(&t->comment, "%s/%s", w->namespace, w->name);
	bh_set_add(t->set, t->src ? t->src : a, t->src ? a : NULL, t->chain, t->comment.s);
}

void bh_emit_addresses(
	const struct bh_engine *e, size_t workload, struct bh_set *set, const char *chain)
{
	struct target t = {.set = set, .chain = chain};
	each_address(e, workload, set->family, add_address, &t);
	bh_buf_finish(&t.comment);
}

struct pairs {
	const struct bh_engine *e;
	struct bh_set *set;
	size_t workload;
};

static void add_pairs(const struct bh_addr *a, const struct bh_workload *w, void *arg)
{
	const struct pairs *p = arg;
	struct target t = {.set = p->set, .src = a};
	if (bh_self_by_pair(w, a->family))
		each_address(p->e, p->workload, a->family, add_address, &t);
	else
		add_address(a, w, &t);
	bh_buf_finish(&t.comment);
}

struct bh_set *bh_emit_known_set(struct bh_ruleset *rs, enum bh_family family)
{
	return bh_ruleset_add_set(rs, family == BH_IPV4 ? "known4" : "known6", BH_SET_ADDR, family,
		"governed workloads");
}

void bh_emit_into_known(const struct bh_engine *e, size_t workload, struct bh_set *s)
{
	if (e->group_of[0][workload] != BH_GROUP_UNGOVERNED)
		bh_emit_addresses(e, workload, s, NULL);
}

struct bh_set *bh_emit_self_set(struct bh_ruleset *rs, enum bh_family family)
{
	return bh_ruleset_add_set(rs, family == BH_IPV4 ? "self4" : "self6", BH_SET_PAIR, family,
		"a workload and itself");
}

void bh_emit_into_self(const struct bh_engine *e, size_t workload, struct bh_set *s)
{
	struct pairs p = {e, s, workload};
	if (e->group_of[0][workload] != BH_GROUP_UNGOVERNED)
		each_address(e, workload, s->family, add_pairs, &p);
}

struct bh_set *bh_emit_map(
	struct bh_ruleset *rs, enum bh_map map, enum bh_direction d, enum bh_family family)
{
	static const char *const what[] = {[BH_MAP_OBSERVE] = "observing groups",
		[BH_MAP_ENFORCE] = "enforcing groups",
		[BH_MAP_QUARANTINE] = "quarantined workloads"};
	bh_autobuf struct bh_buf comment = {0};
	char name[24];
	bh_buf_printf(&comment, "%s by %s", what[map], d == BH_EGRESS ? "source" : "destination");
	return bh_ruleset_add_set(
		rs, map_name(map, d, family, name), BH_MAP_VERDICT, (uint8_t)family, comment.s);
}

static enum bh_map map_of(const struct bh_group *g)
{
	if (g->quarantine)
		return BH_MAP_QUARANTINE;
	return g->mode == BH_MODE_ENFORCE ? BH_MAP_ENFORCE : BH_MAP_OBSERVE;
}

void bh_emit_into_map(const struct bh_engine *e, size_t workload, enum bh_map map,
	enum bh_direction d, struct bh_set *s)
{
	int32_t at = e->group_of[d][workload];
	if (at >= 0 && map_of(e->group[at]) == map)
		bh_emit_addresses(e, workload, s, e->group[at]->chain);
}

static void emit_workloads(struct emit *m, enum bh_family family)
{
	const struct bh_engine *e = m->e;
	struct bh_set *s = bh_emit_known_set(m->rs, family);
	for (size_t i = 0; i < e->inv->n; i++)
		bh_emit_into_known(e, i, s);
	s = bh_emit_self_set(m->rs, family);
	for (size_t i = 0; i < e->inv->n; i++)
		bh_emit_into_self(e, i, s);
	for (int map = 0; map < BH_MAPS; map++)
		for (int d = 0; d < 2; d++) {
			s = bh_emit_map(m->rs, (enum bh_map)map, (enum bh_direction)d, family);
			for (size_t i = 0; i < e->inv->n; i++)
				bh_emit_into_map(e, i, (enum bh_map)map, (enum bh_direction)d, s);
		}
}

static void emit_broadcast(struct emit *m)
{
	struct bh_set *s = bh_ruleset_add_set(
		m->rs, "broadcast4", BH_SET_ADDR, BH_IPV4, "broadcast addresses: never governed");
	struct bh_addr limited;
	bh_addr_parse("255.255.255.255", &limited);
	bh_set_add(s, &limited, NULL, NULL, NULL);
	for (size_t i = 0; i < m->e->inv->n_broadcast; i++)
		if (m->e->inv->broadcast[i].family == BH_IPV4)
			bh_set_add(s, &m->e->inv->broadcast[i], NULL, NULL, NULL);
}

struct bh_ruleset *bh_engine_emit(const struct bh_engine *e, const struct bh_emit_opts *opts)
{
	struct emit m = {e, opts, bh_ruleset_new()};
	emit_forward(&m);
	emit_host(&m, "input", BH_HOOK_INPUT);
	emit_host(&m, "output", BH_HOOK_OUTPUT);
	emit_ends(&m);
	emit_broadcast(&m);
	for (int family = BH_IPV4; family <= BH_IPV6; family += 2) {
		emit_feeds(&m, (enum bh_family)family);
		emit_workloads(&m, (enum bh_family)family);
	}
	struct bh_emit_use use = {.e = e, .rs = m.rs};
	for (size_t i = 0; i < e->n_groups; i++)
		if (e->members[i])
			bh_emit_group(&use, e->group[i]);
	bh_emit_use_finish(&use);
	bh_ruleset_seal(m.rs);
	return m.rs;
}
