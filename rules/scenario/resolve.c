/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From the names of ends to addresses. Everything is sorted, so that many probes stay cheap. */
#include <errno.h>

#include "private.h"

static int pick(const struct bh_addr *a, size_t n, uint8_t family, struct bh_addr *ret)
{
	for (size_t i = 0; i < n; i++)
		if (family == 0 || a[i].family == family) {
			*ret = a[i];
			return 0;
		}
	return -EAFNOSUPPORT;
}

static int end_cmp(const void *key, const void *item)
{
	return strcmp(key, ((const struct bh_scenario_end *)item)->name);
}

static int node_cmp(const void *key, const void *item)
{
	return strcmp(key, ((const struct bh_node_info *)item)->name);
}

struct workload_key {
	const char *name, *namespace; /* namespace: up to the slash */
	size_t len;
};

static int workload_cmp(const void *key, const void *item)
{
	const struct workload_key *k = key;
	const struct bh_workload *w = *(struct bh_workload *const *)item;
	int c = strncmp(k->namespace, w->namespace, k->len);
	if (c == 0 && w->namespace[k->len])
		c = -1; /* ours is the beginning of the other */
	return c ? c : strcmp(k->name, w->name);
}

static int resolve_workload(
	const struct bh_inventory *inv, const char *what, uint8_t family, struct bh_addr *ret)
{
	const char *slash = strchr(what, '/');
	if (!slash || inv->n == 0)
		return -ENOENT;
	const struct workload_key key = {slash + 1, what, (size_t)(slash - what)};
	struct bh_workload *const *w =
		bsearch(&key, inv->workload, inv->n, sizeof(struct bh_workload *), workload_cmp);
	if (!w)
		return -ENOENT;
	for (size_t i = 0; i < (*w)->n_ifaces; i++)
		if (pick((*w)->iface[i].addr, (*w)->iface[i].n_addrs, family, ret) == 0)
			return 0;
	return -EAFNOSUPPORT;
}

int bh_scenario_resolve(
	const struct bh_scenario_state *st, const char *what, uint8_t family, struct bh_addr *ret)
{
	struct bh_addr a;
	if (bh_addr_parse(what, &a) == 0)
		return pick(&a, 1, family, ret);
	const struct bh_scenario_end *end =
		st->n_ends ? bsearch(what, st->end, st->n_ends, sizeof(*end), end_cmp) : NULL;
	if (end)
		return pick(end->addr, end->n_addrs, family, ret);
	if (strncmp(what, "node:", 5) == 0 && st->inv->n_nodes) {
		const struct bh_node_info *n =
			bsearch(what + 5, st->inv->node, st->inv->n_nodes, sizeof(*n), node_cmp);
		if (n)
			return pick(n->addr, n->n_addrs, family, ret);
	}
	return resolve_workload(st->inv, what, family, ret);
}

int bh_scenario_resolve_pair(const struct bh_scenario_state *st, const char *from, const char *to,
	uint8_t family, struct bh_addr *ret_from, struct bh_addr *ret_to)
{
	static const uint8_t order[] = {BH_IPV4, BH_IPV6};
	int r = -EAFNOSUPPORT;
	for (size_t i = 0; i < BH_ARRAY_SIZE(order); i++) {
		struct bh_addr a, b;
		if (family != 0 && family != order[i])
			continue;
		r = bh_scenario_resolve(st, from, order[i], &a);
		if (r == 0)
			r = bh_scenario_resolve(st, to, order[i], &b);
		if (r == 0) {
			*ret_from = a;
			*ret_to = b;
			return 0;
		}
	}
	return r;
}

struct bh_policy_parse_opts bh_scenario_policy_opts(const struct bh_scenario_state *st)
{
	return (struct bh_policy_parse_opts){
		.default_ns = "default",
		.nodes = st->inv->n_nodes ? BH_NODES_KNOWN : BH_NODES_UNKNOWN,
	};
}

const struct bh_scenario_state *bh_scenario_find(const struct bh_scenario *s, const char *name)
{
	if (!name || !*name)
		return &s->state[0];
	for (size_t i = 0; i < s->n_states; i++)
		if (bh_streq(s->state[i].name, name))
			return &s->state[i];
	return NULL;
}
