/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the words of a policy mean: selectors, blocks, peers, ports; see reference.h. Sentences in
 * quotes are from k8s.io/api/networking/v1/types.go.
 */
#include "lib/reference_private.h"

bool reference_same(const struct bh_addr *a, const struct bh_addr *b)
{
	return a->family == b->family && memcmp(a->b, b->b, a->family == BH_IPV4 ? 4 : 16) == 0;
}

static bool has_addr(const struct bh_workload *w, const struct bh_addr *a)
{
	for (size_t i = 0; i < w->n_ifaces; i++)
		for (size_t k = 0; k < w->iface[i].n_addrs; k++)
			if (reference_same(&w->iface[i].addr[k], a))
				return true;
	return false;
}

int reference_owner(const struct bh_inventory *inv, const struct bh_addr *a)
{
	for (size_t i = 0; i < inv->n_hosts; i++)
		if (reference_same(&inv->host[i], a))
			return BH_OWNER_HOST;
	for (size_t i = 0; i < inv->n; i++)
		if (has_addr(inv->workload[i], a))
			return (int)i;
	return BH_OWNER_NONE;
}

static const char *label(const struct bh_labels *l, const char *key)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->item[i].key, key) == 0)
			return l->item[i].value;
	return NULL;
}

static bool requirement_holds(const struct bh_requirement *r, const struct bh_labels *l)
{
	const char *value = label(l, r->key);
	bool in = false;
	for (size_t i = 0; value && i < r->n_values; i++)
		in = in || strcmp(r->value[i], value) == 0;
	switch (r->op) {
	case BH_SEL_IN:
		return in;
	case BH_SEL_NOT_IN:
		return !in; /* an absent key is in no list */
	case BH_SEL_EXISTS:
		return value != NULL;
	case BH_SEL_NOT_EXISTS:
		return value == NULL;
	}
	return false;
}

bool reference_selects(const struct bh_selector *s, const struct bh_labels *l)
{
	for (size_t i = 0; i < s->n; i++)
		if (!requirement_holds(&s->req[i], l))
			return false;
	return true;
}

bool reference_inside(const struct bh_prefix *p, const struct bh_addr *a)
{
	if (p->addr.family != a->family)
		return false;
	for (unsigned bit = 0; bit < p->len; bit++) {
		uint8_t mask = (uint8_t)(0x80 >> bit % 8);
		if ((p->addr.b[bit / 8] ^ a->b[bit / 8]) & mask)
			return false;
	}
	return true;
}

const struct bh_labels *reference_namespace_labels(const struct bh_inventory *inv, const char *name)
{
	static const struct bh_labels none = {0};
	for (size_t i = 0; i < inv->n_ns; i++)
		if (strcmp(inv->ns[i].name, name) == 0)
			return &inv->ns[i].labels;
	return &none;
}

static bool node_is(
	const struct world *x, const struct bh_policy_peer *peer, const struct bh_addr *addr)
{
	for (size_t i = 0; i < x->inv->n_nodes; i++) {
		const struct bh_node_info *n = &x->inv->node[i];
		for (size_t k = 0; k < n->n_addrs; k++)
			if (reference_same(&n->addr[k], addr) &&
				reference_selects(&peer->nodes, &n->labels))
				return true;
	}
	return false;
}

static bool peer_is(const struct world *x, const struct bh_policy *p,
	const struct bh_policy_peer *peer, const struct bh_addr *addr, int other)
{
	if (peer->has_nodes)
		return node_is(x, peer, addr);
	if (peer->n_networks) {
		for (size_t i = 0; i < peer->n_networks; i++)
			if (reference_inside(&peer->network[i], addr))
				return true;
		return false;
	}
	if (peer->block) {
		if (!reference_inside(&peer->block->cidr, addr))
			return false;
		for (size_t i = 0; i < peer->block->n_except; i++)
			if (reference_inside(&peer->block->except[i], addr))
				return false;
		return true;
	}
	if (other < 0)
		return false; /* selectors mean pods */
	const struct bh_workload *w = x->inv->workload[other];
	if (peer->has_namespaces) {
		if (!reference_selects(
			    &peer->namespaces, reference_namespace_labels(x->inv, w->namespace)))
			return false;
	} else if (strcmp(w->namespace, p->namespace) != 0) {
		return false; /* "selects the pods ... in the policy's own namespace" */
	}
	return !peer->has_pods || reference_selects(&peer->pods, &w->labels);
}

/* "This field ... can either be a numerical or named port on a pod": of the destination. */
static bool port_is(const struct world *x, const struct bh_policy_port *p, int dst)
{
	bool any_proto = p->proto == 0 && p->name; /* destinationNamedPort says no protocol */
	if (!any_proto && p->proto != x->f->proto)
		return false;
	if (p->any)
		return true;
	if (!p->name)
		return x->f->dport >= p->first && x->f->dport <= p->last;
	if (dst < 0)
		return false;
	const struct bh_workload *w = x->inv->workload[dst];
	for (size_t i = 0; i < w->n_ports; i++)
		if (w->port[i].name && strcmp(w->port[i].name, p->name) == 0 &&
			w->port[i].proto == x->f->proto && w->port[i].port == x->f->dport)
			return true;
	return false;
}

bool reference_rule_matches(const struct world *x, const struct bh_policy *p,
	const struct bh_policy_rule *r, const struct bh_addr *addr, int other, int dst,
	int *ret_peer)
{
	bool port = r->n_ports == 0;
	for (size_t i = 0; i < r->n_ports; i++)
		port = port || port_is(x, &r->port[i], dst);
	*ret_peer = -1;
	if (!port || !r->n_peers)
		return port;
	for (size_t i = 0; i < r->n_peers; i++) {
		if (peer_is(x, p, &r->peer[i], addr, other)) {
			*ret_peer = (int)i;
			return true;
		}
	}
	return false;
}
