/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the inventory has nobody for: subjects, peers, named ports, nodes. What follows from
 * something that was told already (a namespace that is not there, a contradiction) is not told
 * again.
 */
#include "private.h"

static struct bh_lint_meant subject_of(const struct bh_policy *p)
{
	struct bh_lint_meant m = {.pods = &p->pods};
	if (p->tier == BH_TIER_NETWORK_POLICY)
		m.namespace = p->namespace;
	else
		m.namespaces = &p->namespaces;
	return m;
}

static struct bh_lint_meant meant_by(const struct bh_policy *p, const struct bh_policy_peer *peer)
{
	struct bh_lint_meant m = {.pods = peer->has_pods ? &peer->pods : NULL};
	if (peer->has_namespaces)
		m.namespaces = &peer->namespaces;
	else
		m.namespace = p->namespace;
	return m;
}

static bool contradicts(const struct bh_selector *a, const struct bh_selector *b)
{
	return bh_selector_contradiction(a) || bh_selector_contradiction(b);
}

static char *quoted_selector(const struct bh_selector *s)
{
	bh_autobuf struct bh_buf b = {0};
	bh_selector_format(s, &b);
	return bh_diag_quote(b.s, b.len);
}

/* "no workload in shop matches app=web", "no workload in the namespaces env=prod" */
static char *nobody(
	const char *namespace, const struct bh_selector *namespaces, const struct bh_selector *pods)
{
	struct bh_buf b = {0};
	bh_autofree char *ns = namespaces ? quoted_selector(namespaces) : NULL;
	bh_autofree char *who = quoted_selector(pods);
	bh_buf_printf(&b, pods->n ? "no workload" : "there is no workload");
	if (!namespaces)
		bh_buf_printf(&b, " in %s", namespace);
	else if (namespaces->n)
		bh_buf_printf(&b, " in the namespaces %s", ns);
	if (pods->n)
		bh_buf_printf(&b, " matches %s", who);
	return bh_buf_take(&b);
}

/* Returns whether the policy has anybody to be about. */
static bool check_subject(struct bh_lint *l)
{
	const struct bh_policy *p = l->policy;
	bool np = p->tier == BH_TIER_NETWORK_POLICY;
	struct bh_lint_at at = {.field = np ? ".podSelector" : ".subject"};
	const struct bh_lint_meant m = subject_of(p);

	if (contradicts(&p->pods, &p->namespaces))
		return false;
	enum bh_lint_who who = bh_lint_who(l, &m);
	if (who == BH_LINT_SOMEBODY)
		return true;
	if (who == BH_LINT_NOBODY) {
		bh_autofree char *text = nobody(p->namespace, np ? NULL : &p->namespaces, &p->pods);
		bh_lint_warn(
			l, &at, "correct the selector", "%s, so the policy selects nobody", text);
		return false;
	}
	bh_autofree char *ns = quoted_selector(&p->namespaces);
	at.field = np ? NULL : at.field; /* the selector is not to blame */
	if (np)
		bh_lint_warn(l, &at, "correct metadata.namespace",
			"there is no namespace %s, so the policy selects nobody", p->namespace);
	else
		bh_lint_warn(l, &at, "correct the selector of namespaces",
			"no namespace matches %s, so the policy selects nobody", ns);
	return false;
}

static void say_nobody(struct bh_lint *l, struct bh_lint_at at, enum bh_lint_who who)
{
	const struct bh_policy *p = l->policy;
	const struct bh_policy_peer *peer = at.peer;
	bool np = p->tier == BH_TIER_NETWORK_POLICY;
	const struct bh_selector *namespaces = peer->has_namespaces ? &peer->namespaces : NULL;
	if (who == BH_LINT_NO_NAMESPACE) {
		bh_autofree char *ns = quoted_selector(namespaces);
		at.field = np               ? ".namespaceSelector"
			   : peer->has_pods ? ".pods.namespaceSelector"
					    : ".namespaces";
		bh_lint_warn(l, &at, "correct the selector",
			"no namespace matches %s, so the peer means nobody", ns);
		return;
	}
	bh_autofree char *text = nobody(p->namespace, namespaces, &peer->pods);
	at.field = !peer->has_pods ? NULL : np ? ".podSelector" : ".pods.podSelector";
	bh_lint_warn(l, &at,
		namespaces ? "correct the selector"
			   : "correct it, or add a namespaceSelector if they live elsewhere",
		"%s, so the peer means nobody", text);
}

/* Returns whether the peer can have ports: it means somebody, or addresses. */
static bool check_peer(struct bh_lint *l, struct bh_lint_at at)
{
	const struct bh_policy *p = l->policy;
	const struct bh_policy_peer *peer = at.peer;
	if (peer->has_nodes) {
		if (bh_selector_contradiction(&peer->nodes) || bh_lint_node_exists(l, &peer->nodes))
			return true;
		bh_autofree char *nodes = quoted_selector(&peer->nodes);
		at.field = ".nodes";
		bh_lint_warn(l, &at, "correct the selector, or describe the nodes",
			"no known node matches %s, so the peer means nobody", nodes);
		return true;
	}
	if (!peer->has_pods && !peer->has_namespaces)
		return true;
	if (contradicts(&peer->pods, &peer->namespaces))
		return false;
	const struct bh_lint_meant m = meant_by(p, peer);
	if (m.namespace && !bh_inventory_namespace(bh_lint_inventory(l), m.namespace))
		return false;
	enum bh_lint_who who = bh_lint_who(l, &m);
	if (who == BH_LINT_SOMEBODY)
		return true;
	say_nobody(l, at, who);
	return false;
}

static bool block_means(const struct bh_ip_block *b, const struct bh_addr *a)
{
	if (!bh_prefix_contains(&b->cidr, a))
		return false;
	for (size_t i = 0; i < b->n_except; i++)
		if (bh_prefix_contains(&b->except[i], a))
			return false;
	return true;
}

static bool block_means_workload(
	struct bh_lint *l, const struct bh_ip_block *b, const struct bh_workload *w)
{
	for (size_t i = 0; i < w->n_ifaces; i++)
		for (size_t k = 0; k < w->iface[i].n_addrs; k++)
			if (!bh_lint_spend(l, 1 + b->n_except) ||
				block_means(b, &w->iface[i].addr[k]))
				return true;
	return false;
}

/* Who serves the port of an egress rule: its peers. A peer of networks or nodes leaves it open. */
static bool is_peer(struct bh_lint *l, const struct bh_workload *w, const void *arg)
{
	const struct bh_policy_rule *r = arg;
	for (size_t i = 0; i < r->n_peers; i++) {
		const struct bh_policy_peer *p = &r->peer[i];
		if (!bh_lint_spend(l, 1 + p->pods.n + p->namespaces.n))
			return true;
		if (p->block ? block_means_workload(l, p->block, w)
			     : !p->has_pods && !p->has_namespaces)
			return true;
		const struct bh_lint_meant m = meant_by(l->policy, p);
		if (!p->block && bh_lint_means(l, &m, w))
			return true;
	}
	return r->n_peers == 0;
}

/* Who serves the port of an ingress rule: the workloads that the policy selects. */
static bool is_subject(struct bh_lint *l, const struct bh_workload *w, const void *arg BH_UNUSED)
{
	const struct bh_lint_meant m = subject_of(l->policy);
	return !bh_lint_spend(l, 1 + m.pods->n) || bh_lint_means(l, &m, w);
}

static void check_port(struct bh_lint *l, struct bh_lint_at at)
{
	bool out = at.direction == BH_EGRESS;
	if (!at.port->name || bh_lint_is_served(l, at.port, out ? is_peer : is_subject, at.rule))
		return;
	bh_lint_warn(l, &at, "correct the name, or give the number",
		"no workload that %s has a %sport called %s",
		out ? "the rule's peers mean" : "the policy selects",
		at.port->proto == BH_TCP    ? "TCP "
		: at.port->proto == BH_UDP  ? "UDP "
		: at.port->proto == BH_SCTP ? "SCTP "
					    : "",
		at.port->name);
}

void bh_lint_meant(struct bh_lint *l)
{
	const struct bh_policy *p = l->policy;
	bool has_subject = check_subject(l);
	for (int d = 0; d < 2; d++)
		for (size_t i = 0; i < p->n_rules[d]; i++) {
			const struct bh_policy_rule *r = &p->rule[d][i];
			struct bh_lint_at at = {.direction = (enum bh_direction)d, .rule = r};
			bool served = r->n_peers == 0;
			for (size_t k = 0; k < r->n_peers; k++) {
				at.peer = &r->peer[k];
				served |= check_peer(l, at);
			}
			at.peer = NULL;
			for (size_t k = 0; k < r->n_ports; k++) {
				at.port = &r->port[k];
				if (d == BH_EGRESS ? served : has_subject)
					check_port(l, at);
			}
		}
}
