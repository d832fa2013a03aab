/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * "Is all that this means also meant by that?", always answered so that yes is proven. A selector
 * and a range of addresses never cover each other: which addresses workloads have is not known.
 */
#include "private.h"

static const char name_label[] = "kubernetes.io/metadata.name";

/* Values, and the longest run of requirements on one key: what comparing costs depends on both. */
static void measure(const struct bh_selector *s, size_t *ret_values, size_t *ret_run)
{
	size_t run = 0;
	*ret_values = s->n;
	*ret_run = 0;
	for (size_t i = 0; i < s->n; i++) {
		*ret_values += s->req[i].n_values;
		run = i && bh_streq(s->req[i - 1].key, s->req[i].key) ? run + 1 : 1;
		*ret_run = run > *ret_run ? run : *ret_run;
	}
}

bool bh_lint_selector_covers(
	struct bh_lint *l, const struct bh_selector *outer, const struct bh_selector *inner)
{
	size_t values[2], run[2];
	if (!outer->n)
		return true;
	measure(outer, &values[0], &run[0]);
	measure(inner, &values[1], &run[1]);
	return bh_lint_spend(l, values[0] * run[1] + values[1] * run[0] + 1) &&
	       bh_selector_implies(inner, outer);
}

static bool intersect(const struct bh_prefix *a, const struct bh_prefix *b)
{
	return bh_prefix_covers(a, b) || bh_prefix_covers(b, a);
}

/* Whatever outer leaves out of inner's range, inner leaves out as well. */
bool bh_lint_block_covers(
	struct bh_lint *l, const struct bh_ip_block *outer, const struct bh_ip_block *inner)
{
	if (!bh_prefix_covers(&outer->cidr, &inner->cidr) ||
		!bh_lint_spend(l, outer->n_except * (inner->n_except + 1) + 1))
		return false;
	for (size_t i = 0; i < outer->n_except; i++) {
		bool out = !intersect(&outer->except[i], &inner->cidr);
		for (size_t k = 0; !out && k < inner->n_except; k++)
			out = bh_prefix_covers(&inner->except[k], &outer->except[i]);
		if (!out)
			return false;
	}
	return true;
}

static bool networks_cover(
	struct bh_lint *l, const struct bh_policy_peer *outer, const struct bh_policy_peer *inner)
{
	if (!bh_lint_spend(l, outer->n_networks * inner->n_networks))
		return false;
	for (size_t i = 0; i < inner->n_networks; i++) {
		size_t k = 0;
		while (k < outer->n_networks &&
			!bh_prefix_covers(&outer->network[k], &inner->network[i]))
			k++;
		if (k == outer->n_networks)
			return false;
	}
	return true;
}

static bool is_workloads(const struct bh_policy_peer *p)
{
	return p->has_pods || p->has_namespaces;
}

/* "The namespace called that" as the selector it amounts to. Freed by bh_selector_finish. */
static struct bh_selector selector_of(const char *namespace)
{
	struct bh_selector s = {0};
	bh_selector_add(&s, name_label, BH_SEL_IN, &namespace, 1);
	return s;
}

static bool namespaces_cover(struct bh_lint *l, const struct bh_policy *outer_of,
	const struct bh_policy_peer *outer, const struct bh_policy *inner_of,
	const struct bh_policy_peer *inner)
{
	struct bh_selector own;
	bool r;
	if (outer->has_namespaces && inner->has_namespaces)
		return bh_lint_selector_covers(l, &outer->namespaces, &inner->namespaces);
	if (!outer->has_namespaces && !inner->has_namespaces)
		return bh_streq(outer_of->namespace, inner_of->namespace);
	if (outer->has_namespaces) {
		own = selector_of(inner_of->namespace);
		r = bh_lint_selector_covers(l, &outer->namespaces, &own);
	} else {
		own = selector_of(outer_of->namespace);
		r = bh_lint_selector_covers(l, &own, &inner->namespaces);
	}
	bh_selector_finish(&own);
	return r;
}

bool bh_lint_peer_covers(struct bh_lint *l, const struct bh_policy *outer_of,
	const struct bh_policy_peer *outer, const struct bh_policy *inner_of,
	const struct bh_policy_peer *inner)
{
	static const struct bh_selector all = {0};
	if (!bh_lint_spend(l, 1))
		return false;
	if (outer->block && inner->block)
		return bh_lint_block_covers(l, outer->block, inner->block);
	if (outer->n_networks && inner->n_networks)
		return networks_cover(l, outer, inner);
	if (outer->has_nodes && inner->has_nodes)
		return bh_lint_selector_covers(l, &outer->nodes, &inner->nodes);
	return is_workloads(outer) && is_workloads(inner) &&
	       bh_lint_selector_covers(l, outer->has_pods ? &outer->pods : &all,
		       inner->has_pods ? &inner->pods : &all) &&
	       namespaces_cover(l, outer_of, outer, inner_of, inner);
}

/* A named port is some port of its protocol; proto 0 is whatever protocol serves the name. */
bool bh_lint_port_covers(const struct bh_policy_port *outer, const struct bh_policy_port *inner)
{
	if (outer->name)
		return inner->name && bh_streq(outer->name, inner->name) &&
		       (outer->proto == inner->proto || !outer->proto);
	if (outer->proto != inner->proto)
		return false;
	return outer->any ||
	       (inner->first && outer->first <= inner->first && inner->last <= outer->last);
}

static bool ports_cover(
	struct bh_lint *l, const struct bh_policy_rule *outer, const struct bh_policy_rule *inner)
{
	if (!outer->n_ports || !inner->n_ports)
		return !outer->n_ports;
	if (!bh_lint_spend(l, outer->n_ports * inner->n_ports))
		return false;
	for (size_t i = 0; i < inner->n_ports; i++) {
		size_t k = 0;
		while (k < outer->n_ports && !bh_lint_port_covers(&outer->port[k], &inner->port[i]))
			k++;
		if (k == outer->n_ports)
			return false;
	}
	return true;
}

bool bh_lint_rule_covers(struct bh_lint *l, const struct bh_policy *outer_of,
	const struct bh_policy_rule *outer, const struct bh_policy *inner_of,
	const struct bh_policy_rule *inner)
{
	if (!bh_lint_spend(l, 1) || !ports_cover(l, outer, inner))
		return false;
	if (!outer->n_peers || !inner->n_peers)
		return !outer->n_peers;
	for (size_t i = 0; i < inner->n_peers; i++) {
		size_t k = 0;
		while (k < outer->n_peers && !l->exhausted &&
			!bh_lint_peer_covers(
				l, outer_of, &outer->peer[k], inner_of, &inner->peer[i]))
			k++;
		if (k == outer->n_peers || l->exhausted)
			return false;
	}
	return true;
}

bool bh_lint_subject_covers(
	struct bh_lint *l, const struct bh_policy *outer, const struct bh_policy *inner)
{
	return bh_streq(outer->namespace, inner->namespace) &&
	       bh_lint_selector_covers(l, &outer->pods, &inner->pods) &&
	       bh_lint_selector_covers(l, &outer->namespaces, &inner->namespaces);
}
