/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The spec of a NetworkPolicy: subject, policy types and rules (ValidateNetworkPolicySpec of the
 * API server's networking validation, and its defaulting of policyTypes).
 */
#include "private.h"

static const char *const field_of[2] = {[BH_EGRESS] = "egress", [BH_INGRESS] = "ingress"};
static const char *const peers_of[2] = {[BH_EGRESS] = "to", [BH_INGRESS] = "from"};
static const char *const type_of[2] = {[BH_EGRESS] = "Egress", [BH_INGRESS] = "Ingress"};

struct rules {
	struct bh_policy *policy;
	enum bh_direction direction;
	size_t cap;
};

struct rule {
	struct bh_policy_rule *rule;
	size_t peer_cap, port_cap;
};

static void read_peer(struct bh_policy_ctx *c, const struct bh_node *n, void *arg)
{
	struct rule *x = arg;
	struct bh_policy_peer p = {0};
	bh_policy_read_peer(c, n, &p);
	if (bh_policy_has_failed(c)) {
		bh_policy_free_peer(&p);
		return;
	}
	BH_GROW(x->rule->peer, x->rule->n_peers, x->peer_cap);
	x->rule->peer[x->rule->n_peers++] = p;
}

static void read_port(struct bh_policy_ctx *c, const struct bh_node *n, void *arg)
{
	struct rule *x = arg;
	struct bh_policy_port p = {0};
	bh_policy_read_port(c, n, &p);
	if (bh_policy_has_failed(c)) {
		free(p.name);
		return;
	}
	BH_GROW(x->rule->port, x->rule->n_ports, x->port_cap);
	x->rule->port[x->rule->n_ports++] = p;
}

static void read_rule(struct bh_policy_ctx *c, const struct bh_node *n, void *arg)
{
	struct rules *x = arg;
	struct bh_policy *p = x->policy;
	enum bh_direction d = x->direction;
	const char *const keys[] = {peers_of[d], "ports", NULL};

	struct bh_policy_rule rule = {.line = n->line, .column = n->column};
	struct rule y = {.rule = &rule};
	if (bh_policy_is_map(c, n, keys)) {
		bh_policy_each(c, n, peers_of[d], read_peer, &y);
		bh_policy_each(c, n, "ports", read_port, &y);
	}
	if (bh_policy_has_failed(c)) {
		bh_policy_free_rule(&rule);
		return;
	}
	BH_GROW(p->rule[d], p->n_rules[d], x->cap);
	p->rule[d][p->n_rules[d]++] = rule;
}

static void read_type(struct bh_policy_ctx *c, const struct bh_node *n, void *arg)
{
	struct bh_policy *p = arg;
	const char *text;
	if (bh_read_word(&c->r, n, c->path.s, "Ingress or Egress", &text) < 0)
		return;
	for (int d = 0; d < 2; d++)
		if (bh_streq(text, type_of[d])) {
			p->isolates[d] = true;
			return;
		}
	bh_autofree char *quoted = bh_diag_quote(n->str, n->len);
	bh_policy_error(c, n, "Ingress or Egress", "unknown policy type \"%s\"", quoted);
}

/*
 * An empty policyTypes is the same as none: Ingress always, Egress if there are egress rules.
 */
static void read_types(struct bh_policy_ctx *c, const struct bh_node *spec, struct bh_policy *p)
{
	const struct bh_node *types = bh_policy_field(spec, "policyTypes");
	bh_policy_each(c, spec, "policyTypes", read_type, p);
	if (types && types->kind == BH_NODE_SEQ && types->n > 2) {
		size_t at = bh_policy_push(c, "policyTypes");
		bh_policy_error(c, types->child[2], "Ingress, Egress or both",
			"more than two policy types");
		bh_policy_pop(c, at);
	}
	if (!types || types->n == 0) {
		p->isolates[BH_INGRESS] = true;
		p->isolates[BH_EGRESS] = p->n_rules[BH_EGRESS] > 0;
	}
}

/*
 * Rules of a direction that policyTypes leaves out mean nothing upstream. They are checked like the
 * others and then dropped, so that nothing later can take them for rules in force.
 */
static void drop_idle_rules(
	struct bh_policy_ctx *c, const struct bh_node *spec, struct bh_policy *p)
{
	for (int d = 0; d < 2; d++) {
		if (p->isolates[d] || p->n_rules[d] == 0)
			continue;
		size_t at = bh_policy_push(c, field_of[d]);
		bh_autofree char *fix = bh_xasprintf("add %s to policyTypes", type_of[d]);
		bh_policy_warning(c, bh_node_get_key(spec, field_of[d]), fix,
			"these rules have no effect: policyTypes does not list %s", type_of[d]);
		bh_policy_pop(c, at);
		bh_policy_free_rules(p, (enum bh_direction)d);
	}
}

void bh_policy_read_spec(struct bh_policy_ctx *c, const struct bh_node *spec, struct bh_policy *p)
{
	static const char *const keys[] = {"podSelector", "policyTypes", "ingress", "egress", NULL};
	if (!bh_policy_is_map(c, spec, keys))
		return;
	const struct bh_node *pods =
		bh_policy_required(c, spec, "podSelector", "{} selects every workload");
	if (pods) {
		size_t at = bh_policy_push(c, "podSelector");
		p->subject_line = pods->line;
		p->subject_column = pods->column;
		bh_policy_read_selector(c, pods, &p->pods);
		bh_policy_pop(c, at);
	}
	for (int d = 0; d < 2; d++) {
		struct rules x = {.policy = p, .direction = (enum bh_direction)d};
		bh_policy_each(c, spec, field_of[d], read_rule, &x);
	}
	read_types(c, spec, p);
	drop_idle_rules(c, spec, p);
}
