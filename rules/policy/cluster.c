/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The spec of a ClusterNetworkPolicy: tier, priority, subject and rules, checked as its CRD does
 * (both channels'). As there, a null member of an object is the same as a missing one.
 */
#include <bulkhead/utf8.h>

#include "private.h"

#define PRIORITY_MAX 1000
#define NAME_MAX_CHARACTERS 100

static const char *const field_of[2] = {[BH_EGRESS] = "egress", [BH_INGRESS] = "ingress"};
static const char *const peers_of[2] = {[BH_EGRESS] = "to", [BH_INGRESS] = "from"};

struct rules {
	struct bh_policy *policy;
	enum bh_direction direction;
	size_t cap;
};

struct rule {
	struct bh_policy_rule *rule;
	enum bh_direction direction;
	size_t peer_cap, port_cap;
	const struct bh_node *named_port; /* the first one */
	bool portless; /* has peers without named ports: networks, nodes, domainNames */
};

/* Names end up in terminals and in comments of rules, so only what can be shown is one. */
static void read_rule_name(struct bh_policy_ctx *c, const struct bh_node *n, char **ret)
{
	const char *text;
	size_t characters = 0;
	if (bh_read_string(&c->r, n, c->path.s, &text) < 0 || n->len == 0)
		return;
	for (size_t i = 0; i < n->len; characters++) {
		uint32_t x;
		size_t len = bh_utf8_decode(text + i, n->len - i, &x);
		if (len == 0 || bh_utf8_unsafe(x) || x == 0xfffe || x == 0xffff) {
			bh_policy_error(c, n, NULL, "a name must not hold control characters");
			return;
		}
		i += len;
	}
	if (characters > NAME_MAX_CHARACTERS)
		bh_policy_error(c, n, NULL, "%zu characters, at most %d are allowed", characters,
			NAME_MAX_CHARACTERS);
	else
		*ret = bh_xstrdup(text);
}

static void read_action(
	struct bh_policy_ctx *c, const struct bh_node *rule, enum bh_rule_action *ret)
{
	static const char remedy[] = "Accept, Deny or Pass";
	static const char *const words[] = {[BH_RULE_ACCEPT] = "Accept",
		[BH_RULE_DENY] = "Deny",
		[BH_RULE_PASS] = "Pass",
		NULL};
	size_t word;
	const struct bh_node *n = bh_policy_required(c, rule, "action", remedy);
	if (!n)
		return;
	size_t at = bh_policy_push(c, "action");
	if (bh_policy_read_word(c, n, words, remedy, &word))
		*ret = (enum bh_rule_action)word;
	bh_policy_pop(c, at);
}

static void read_peer(struct bh_policy_ctx *c, const struct bh_node *n, void *arg)
{
	struct rule *x = arg;
	if (x->rule->n_peers == BH_CLUSTER_MAX_ITEMS)
		return; /* reported */
	BH_GROW(x->rule->peer, x->rule->n_peers, x->peer_cap);
	struct bh_policy_peer *p = &x->rule->peer[x->rule->n_peers++];
	*p = (struct bh_policy_peer){0};
	bh_policy_read_cluster_peer(c, n, x->direction, p);
	if (bh_policy_field(n, "networks") || bh_policy_field(n, "nodes") ||
		bh_policy_field(n, "domainNames"))
		x->portless = true;
}

static void read_port(struct bh_policy_ctx *c, const struct bh_node *n, void *arg)
{
	struct rule *x = arg;
	if (x->rule->n_ports == BH_CLUSTER_MAX_ITEMS)
		return; /* reported */
	BH_GROW(x->rule->port, x->rule->n_ports, x->port_cap);
	struct bh_policy_port *p = &x->rule->port[x->rule->n_ports++];
	*p = (struct bh_policy_port){0};
	bh_policy_read_cluster_port(c, n, p);
	if (!x->named_port)
		x->named_port = bh_policy_field(n, "destinationNamedPort");
}

static void read_rule(struct bh_policy_ctx *c, const struct bh_node *n, void *arg)
{
	struct rules *x = arg;
	struct bh_policy *p = x->policy;
	enum bh_direction d = x->direction;
	const char *const keys[] = {"name", "action", peers_of[d], "protocols", NULL};

	if (p->n_rules[d] == BH_CLUSTER_MAX_ITEMS)
		return; /* reported */
	BH_GROW(p->rule[d], p->n_rules[d], x->cap);
	struct bh_policy_rule *rule = &p->rule[d][p->n_rules[d]++];
	*rule = (struct bh_policy_rule){.line = n->line, .column = n->column};
	if (!bh_policy_is_map(c, n, keys))
		return;
	struct rule y = {.rule = rule, .direction = d};
	const struct bh_node *name = bh_policy_field(n, "name");
	if (name) {
		size_t at = bh_policy_push(c, "name");
		read_rule_name(c, name, &rule->name);
		bh_policy_pop(c, at);
	}
	read_action(c, n, &rule->action);
	bh_policy_required(c, n, peers_of[d], "[{namespaces: {}}] means every workload");
	bh_policy_check_count(c, n, peers_of[d], 1, BH_CLUSTER_MAX_ITEMS);
	bh_policy_each(c, n, peers_of[d], read_peer, &y);
	bh_policy_check_count(c, n, "protocols", 1, BH_CLUSTER_MAX_ITEMS);
	bh_policy_each(c, n, "protocols", read_port, &y);
	if (y.named_port && y.portless)
		bh_policy_error(c, y.named_port, "make it two rules",
			"networks, nodes and domains have no named ports");
}

static void read_tier(struct bh_policy_ctx *c, const struct bh_node *spec, struct bh_policy *p)
{
	static const char *const words[] = {"Admin", "Baseline", NULL};
	size_t word;
	const struct bh_node *n = bh_policy_required(c, spec, "tier", "Admin or Baseline");
	if (!n)
		return;
	size_t at = bh_policy_push(c, "tier");
	if (bh_policy_read_word(c, n, words, "Admin or Baseline", &word))
		p->tier = word == 0 ? BH_TIER_ADMIN : BH_TIER_BASELINE;
	bh_policy_pop(c, at);
}

static void read_priority(struct bh_policy_ctx *c, const struct bh_node *spec, struct bh_policy *p)
{
	int64_t v;
	const struct bh_node *n =
		bh_policy_required(c, spec, "priority", "from 0, asked first, to 1000");
	if (!n)
		return;
	size_t at = bh_policy_push(c, "priority");
	if (bh_read_int(&c->r, n, c->path.s, 0, PRIORITY_MAX, &v) == 0)
		p->priority = (uint16_t)v;
	bh_policy_pop(c, at);
}

static void read_subject(struct bh_policy_ctx *c, const struct bh_node *spec, struct bh_policy *p)
{
	static const char *const keys[] = {"namespaces", "pods", NULL};
	const struct bh_node *n =
		bh_policy_required(c, spec, "subject", "{namespaces: {}} selects every workload");
	if (!n)
		return;
	p->subject_line = n->line;
	p->subject_column = n->column;
	size_t at = bh_policy_push(c, "subject");
	const char *key = bh_policy_one_of(c, n, keys, "make it two policies");
	if (key) {
		bh_policy_push(c, key);
		if (bh_streq(key, "pods"))
			bh_policy_read_namespaced_pods(
				c, bh_policy_field(n, key), &p->namespaces, &p->pods);
		else
			bh_policy_read_selector(c, bh_policy_field(n, key), &p->namespaces);
	}
	bh_policy_pop(c, at);
}

void bh_policy_read_cluster_spec(
	struct bh_policy_ctx *c, const struct bh_node *spec, struct bh_policy *p)
{
	static const char *const keys[] = {
		"tier", "priority", "subject", "ingress", "egress", NULL};
	if (!bh_policy_is_map(c, spec, keys))
		return;
	read_tier(c, spec, p);
	read_priority(c, spec, p);
	read_subject(c, spec, p);
	for (int d = 0; d < 2; d++) {
		struct rules x = {.policy = p, .direction = (enum bh_direction)d};
		bh_policy_check_count(c, spec, field_of[d], 0, BH_CLUSTER_MAX_ITEMS);
		bh_policy_each(c, spec, field_of[d], read_rule, &x);
	}
}
