/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Peers: who is meant by a selector, which addresses by an ipBlock, networks or nodes. Equal ones
 * are one peer of the plan, whichever policies they stand in.
 */
#include "internal.h"

/* Unambiguous, whatever the strings hold: every one ends with its NUL. */
static void selector_key(const struct bh_selector *s, struct bh_buf *key)
{
	bh_buf_printf(key, "%zu:", s->n);
	for (size_t i = 0; i < s->n; i++) {
		const struct bh_requirement *r = &s->req[i];
		bh_buf_add(key, r->key, strlen(r->key) + 1);
		bh_buf_printf(key, "%d,%zu:", (int)r->op, r->n_values);
		for (size_t k = 0; k < r->n_values; k++)
			bh_buf_add(key, r->value[k], strlen(r->value[k]) + 1);
	}
}

static int compare_prefix(const void *a, const void *b)
{
	const struct bh_prefix *x = a, *y = b;
	int c = bh_addr_cmp(&x->addr, &y->addr);
	return c ? c : (int)x->len - (int)y->len;
}

static void block_text(const struct bh_ip_block *block, struct bh_buf *out)
{
	char text[BH_PREFIX_STRLEN];
	bh_buf_str(out, bh_prefix_format(&block->cidr, text));
	if (!block->n_except)
		return;
	bh_autofree struct bh_prefix *except =
		bh_xmemdup(block->except, block->n_except * sizeof(*except));
	qsort(except, block->n_except, sizeof(*except), compare_prefix);
	for (size_t i = 0; i < block->n_except; i++) {
		bh_buf_str(out, i ? ", " : " except ");
		bh_buf_str(out, bh_prefix_format(&except[i], text));
	}
}

static void selectors_text(
	const struct bh_policy_peer *peer, const char *namespace, struct bh_buf *out)
{
	if (peer->has_pods)
		bh_selector_format(&peer->pods, out);
	else
		bh_buf_str(out, "<all>");
	if (namespace) {
		bh_buf_printf(out, " in %s", namespace);
		return;
	}
	bh_buf_str(out, " in namespaces ");
	bh_selector_format(&peer->namespaces, out);
}

static void networks_text(const struct bh_policy_peer *peer, struct bh_buf *out)
{
	char text[BH_PREFIX_STRLEN];
	for (size_t i = 0; i < peer->n_networks; i++)
		bh_buf_printf(
			out, "%s%s", i ? ", " : "", bh_prefix_format(&peer->network[i], text));
}

static void peer_key(const struct bh_policy_peer *peer, const char *namespace, struct bh_buf *key)
{
	static const struct bh_selector all = {0};
	if (peer->block) {
		bh_buf_str(key, "block:");
		block_text(peer->block, key);
	} else if (peer->n_networks) {
		bh_buf_str(key, "networks:");
		networks_text(peer, key);
	} else if (peer->has_nodes) {
		bh_buf_str(key, "nodes:");
		selector_key(&peer->nodes, key);
	} else {
		if (namespace) {
			bh_buf_str(key, "own:");
			bh_buf_add(key, namespace, strlen(namespace) + 1);
		} else {
			bh_buf_str(key, "any:");
			selector_key(&peer->namespaces, key);
		}
		selector_key(peer->has_pods ? &peer->pods : &all, key);
	}
}

static void block_ranges(const struct bh_ip_block *block, struct bh_ranges *ret)
{
	struct bh_ranges minus = {0};
	bh_ranges_add(ret, bh_prefix_range(&block->cidr));
	for (size_t i = 0; i < block->n_except; i++)
		bh_ranges_add(&minus, bh_prefix_range(&block->except[i]));
	bh_ranges_normalise(&minus);
	bh_ranges_subtract(ret, &minus);
	bh_ranges_finish(&minus);
}

static void node_ranges(
	const struct bh_inventory *inv, const struct bh_selector *nodes, struct bh_ranges *ret)
{
	for (size_t i = 0; i < inv->n_nodes; i++) {
		const struct bh_node_info *n = &inv->node[i];
		if (!bh_selector_matches(nodes, &n->labels))
			continue;
		for (size_t k = 0; k < n->n_addrs; k++)
			bh_ranges_add(ret, (struct bh_range){n->addr[k], n->addr[k]});
	}
	bh_ranges_normalise(ret);
}

static void fill_peer(struct bh_peer *p, const struct bh_inventory *inv)
{
	const struct bh_policy_peer *said = p->said;
	bh_autobuf struct bh_buf text = {0};
	p->addresses = said->block || said->n_networks || said->has_nodes;
	if (said->block) {
		block_ranges(said->block, &p->ranges);
		block_text(said->block, &text);
	} else if (said->n_networks) {
		for (size_t i = 0; i < said->n_networks; i++)
			bh_ranges_add(&p->ranges, bh_prefix_range(&said->network[i]));
		bh_ranges_normalise(&p->ranges);
		networks_text(said, &text);
	} else if (said->has_nodes) {
		node_ranges(inv, &said->nodes, &p->ranges);
		bh_buf_str(&text, "nodes ");
		bh_selector_format(&said->nodes, &text);
	} else {
		selectors_text(said, p->namespace, &text);
	}
	p->text = bh_buf_take(&text);
}

static uint32_t intern_peer(struct bh_plan *plan, const struct bh_policy *policy,
	const struct bh_policy_peer *peer, const struct bh_inventory *inv)
{
	bh_autobuf struct bh_buf key = {0};
	bool is_new;
	bool own = peer->has_pods && !peer->has_namespaces;
	const char *namespace = own ? policy->namespace : NULL;
	peer_key(peer, namespace, &key);
	uint32_t index = bh_intern(&plan->peer_key, key.s, key.len, &is_new);
	if (is_new) {
		BH_GROW(plan->peer, plan->n_peers, plan->cap_peers);
		struct bh_peer *p = &plan->peer[plan->n_peers++];
		*p = (struct bh_peer){.said = peer, .namespace = namespace};
		fill_peer(p, inv);
	}
	return index;
}

static void intern_port_name(struct bh_plan *plan, const struct bh_policy_port *port)
{
	static const uint8_t protos[] = {BH_TCP, BH_UDP, BH_SCTP};
	for (size_t i = 0; port->name && i < BH_ARRAY_SIZE(protos); i++) {
		bool is_new;
		if (port->proto && port->proto != protos[i])
			continue;
		bh_plan_port_name(plan, port->name, protos[i], &is_new);
		if (!is_new)
			continue;
		BH_GROW(plan->port_name, plan->n_port_names, plan->cap_port_names);
		plan->port_name[plan->n_port_names++] =
			(struct bh_port_name){.name = port->name, .proto = protos[i]};
	}
}

uint32_t bh_plan_port_name(struct bh_plan *p, const char *name, uint8_t proto, bool *ret_new)
{
	bh_autobuf struct bh_buf key = {0};
	bh_buf_printf(&key, "%u/%s", proto, name);
	return bh_intern(&p->port_name_key, key.s, key.len, ret_new);
}

static void plan_policy(struct bh_plan *plan, size_t index, const struct bh_inventory *inv)
{
	const struct bh_policy *p = plan->policies->policy[index];
	struct bh_plan_policy *pp = &plan->policy[index];
	for (int d = 0; d < 2; d++) {
		pp->rule[d] = bh_xcalloc(p->n_rules[d], sizeof(*pp->rule[d]));
		for (size_t r = 0; r < p->n_rules[d]; r++) {
			const struct bh_policy_rule *rule = &p->rule[d][r];
			uint32_t *peer = bh_xcalloc(rule->n_peers, sizeof(*peer));
			for (size_t k = 0; k < rule->n_peers; k++)
				peer[k] = intern_peer(plan, p, &rule->peer[k], inv);
			pp->rule[d][r].peer = peer;
			for (size_t k = 0; d == BH_EGRESS && k < rule->n_ports; k++)
				intern_port_name(plan, &rule->port[k]);
		}
	}
}

void bh_plan_peers(struct bh_plan *p, const struct bh_inventory *inv)
{
	p->policy = bh_xcalloc(p->policies->n, sizeof(*p->policy));
	for (size_t i = 0; i < p->policies->n; i++)
		plan_policy(p, i, inv);
}

void bh_peers_finish(struct bh_plan *p)
{
	for (size_t i = 0; i < p->n_peers; i++) {
		free(p->peer[i].text);
		bh_ranges_finish(&p->peer[i].ranges);
	}
	free(p->peer);
	for (size_t i = 0; i < p->policies->n; i++)
		for (int d = 0; d < 2; d++) {
			for (size_t r = 0; r < p->policies->policy[i]->n_rules[d]; r++)
				free(p->policy[i].rule[d][r].peer);
			free(p->policy[i].rule[d]);
		}
	free(p->policy);
	free(p->port_name);
	bh_intern_finish(&p->peer_key);
	bh_intern_finish(&p->port_name_key);
}
