/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What inventories have besides workloads: building, sharing and comparing it. Each part is shared
 * on its own, because the node's own addresses come and go with every veth.
 */
#include "inventory_private.h"

struct bh_inventory_part {
	int refs;
	void *item;
	size_t n;
};

/* --- building --- */

size_t bh_namespace_index(const struct bh_inventory *inv, const char *name, bool *found)
{
	size_t lo = 0, hi = inv->n_ns;
	*found = false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(inv->ns[mid].name, name);
		if (c == 0) {
			*found = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct bh_namespace *add_namespace(struct bh_inventory *inv, const char *name)
{
	bool found;
	size_t i = bh_namespace_index(inv, name, &found);
	if (found)
		return &inv->ns[i];
	inv->ns = bh_inventory_grow(inv->ns, inv->n_ns, sizeof(*inv->ns));
	memmove(&inv->ns[i + 1], &inv->ns[i], (inv->n_ns - i) * sizeof(*inv->ns));
	inv->ns[i] = (struct bh_namespace){.name = bh_xstrdup(name)};
	inv->n_ns++;
	bh_labels_set(&inv->ns[i].labels, "kubernetes.io/metadata.name", name);
	return &inv->ns[i];
}

void bh_namespace_imply(struct bh_inventory *inv, const char *name)
{
	add_namespace(inv, name);
}

void bh_namespaces_imply(struct bh_inventory *inv)
{
	for (size_t i = 0; i < inv->n; i++)
		if (i == 0 ||
			!bh_streq(inv->workload[i]->namespace, inv->workload[i - 1]->namespace))
			bh_namespace_imply(inv, inv->workload[i]->namespace);
}

void bh_inventory_add_namespace(
	struct bh_inventory *inv, const char *name, const struct bh_labels *labels)
{
	struct bh_namespace *ns = add_namespace(inv, name);
	ns->declared = true;
	for (size_t k = 0; labels && k < labels->n; k++)
		bh_labels_set(&ns->labels, labels->item[k].key, labels->item[k].value);
	/* Last, so that nobody can make a namespace pass for another one. */
	bh_labels_set(&ns->labels, "kubernetes.io/metadata.name", name);
}

void bh_namespaces_copy(struct bh_inventory *to, const struct bh_inventory *from,
	bool (*keep)(const struct bh_namespace *ns, const void *arg), const void *arg)
{
	for (size_t i = 0; i < from->n_ns; i++) {
		if (!keep(&from->ns[i], arg))
			continue;
		struct bh_namespace ns = from->ns[i];
		ns.name = bh_xstrdup(ns.name);
		bh_labels_copy(&ns.labels, &from->ns[i].labels);
		to->ns = bh_inventory_grow(to->ns, to->n_ns, sizeof(*to->ns));
		to->ns[to->n_ns++] = ns;
	}
}

static void node_finish(struct bh_node_info *n)
{
	free(n->name);
	bh_labels_finish(&n->labels);
	free(n->addr);
}

void bh_inventory_add_host(struct bh_inventory *inv, const struct bh_addr *a)
{
	inv->host = bh_inventory_grow(inv->host, inv->n_hosts, sizeof(*inv->host));
	inv->host[inv->n_hosts++] = *a;
}

void bh_inventory_add_node(struct bh_inventory *inv, const char *name,
	const struct bh_labels *labels, const struct bh_addr *addr, size_t n_addrs)
{
	size_t i = 0;
	while (i < inv->n_nodes && strcmp(inv->node[i].name, name) < 0)
		i++;
	if (i == inv->n_nodes || !bh_streq(inv->node[i].name, name)) {
		inv->node = bh_inventory_grow(inv->node, inv->n_nodes, sizeof(*inv->node));
		memmove(&inv->node[i + 1], &inv->node[i],
			(inv->n_nodes++ - i) * sizeof(*inv->node));
	} else {
		node_finish(&inv->node[i]);
	}
	inv->node[i] = (struct bh_node_info){.name = bh_xstrdup(name), .n_addrs = n_addrs};
	if (labels)
		bh_labels_copy(&inv->node[i].labels, labels);
	inv->node[i].addr = bh_xmemdup(addr, n_addrs * sizeof(*addr));
}

void bh_inventory_add_network(struct bh_inventory *inv, const struct bh_prefix *p)
{
	inv->network = bh_inventory_grow(inv->network, inv->n_networks, sizeof(*inv->network));
	inv->network[inv->n_networks++] = *p;
}

/* --- sealing and sharing --- */

static int prefix_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct bh_prefix));
}

static int addr_cmp(const void *a, const void *b)
{
	return bh_addr_cmp(a, b);
}

/* Drops repetitions from a sorted array of plain structs; returns how many are left. */
static size_t unique(void *base, size_t n, size_t size)
{
	char *p = base;
	size_t out = 0;
	for (size_t i = 0; i < n; i++)
		if (out == 0 || memcmp(p + (out - 1) * size, p + i * size, size) != 0)
			memmove(p + out++ * size, p + i * size, size);
	return out;
}

/* The last address of an IPv4 subnet; /31 and /32 have none (RFC 3021). */
static void seal_networks(struct bh_inventory *inv)
{
	if (inv->n_networks == 0)
		return;
	qsort(inv->network, inv->n_networks, sizeof(*inv->network), prefix_cmp);
	inv->n_networks = unique(inv->network, inv->n_networks, sizeof(*inv->network));
	inv->broadcast = bh_xcalloc(inv->n_networks, sizeof(*inv->broadcast));
	for (size_t i = 0; i < inv->n_networks; i++) {
		const struct bh_prefix *p = &inv->network[i];
		if (p->addr.family == BH_IPV4 && p->len <= 30)
			inv->broadcast[inv->n_broadcast++] = bh_prefix_range(p).last;
	}
	if (inv->n_broadcast > 1)
		qsort(inv->broadcast, inv->n_broadcast, sizeof(*inv->broadcast), addr_cmp);
	inv->n_broadcast = unique(inv->broadcast, inv->n_broadcast, sizeof(*inv->broadcast));
}

static struct bh_inventory_part get(const struct bh_inventory *inv, unsigned part)
{
	switch (part) {
	case BH_PART_NS:
		return (struct bh_inventory_part){1, inv->ns, inv->n_ns};
	case BH_PART_NETWORK:
		return (struct bh_inventory_part){1, inv->network, inv->n_networks};
	case BH_PART_BROADCAST:
		return (struct bh_inventory_part){1, inv->broadcast, inv->n_broadcast};
	case BH_PART_HOST:
		return (struct bh_inventory_part){1, inv->host, inv->n_hosts};
	default:
		return (struct bh_inventory_part){1, inv->node, inv->n_nodes};
	}
}

static void put(struct bh_inventory *inv, unsigned part, void *item, size_t n)
{
	switch (part) {
	case BH_PART_NS:
		inv->ns = item;
		inv->n_ns = n;
		break;
	case BH_PART_NETWORK:
		inv->network = item;
		inv->n_networks = n;
		break;
	case BH_PART_BROADCAST:
		inv->broadcast = item;
		inv->n_broadcast = n;
		break;
	case BH_PART_HOST:
		inv->host = item;
		inv->n_hosts = n;
		break;
	default:
		inv->node = item;
		inv->n_nodes = n;
	}
}

void bh_part_share(struct bh_inventory *to, const struct bh_inventory *from, unsigned part)
{
	__atomic_add_fetch(&from->part[part]->refs, 1, __ATOMIC_RELAXED);
	to->part[part] = from->part[part];
	put(to, part, to->part[part]->item, to->part[part]->n);
}

void bh_frame_seal(struct bh_inventory *inv)
{
	if (!inv->part[BH_PART_NETWORK])
		seal_networks(inv);
	for (unsigned i = 0; i < BH_INVENTORY_PARTS; i++) {
		struct bh_inventory_part p = get(inv, i);
		if (!inv->part[i])
			inv->part[i] = bh_xmemdup(&p, sizeof(p));
	}
}

static void finish(const struct bh_inventory_part *p, unsigned part)
{
	struct bh_namespace *ns = part == BH_PART_NS ? p->item : NULL;
	struct bh_node_info *node = part == BH_PART_NODE ? p->item : NULL;
	for (size_t i = 0; ns && i < p->n; i++) {
		free(ns[i].name);
		bh_labels_finish(&ns[i].labels);
	}
	for (size_t i = 0; node && i < p->n; i++)
		node_finish(&node[i]);
	free(p->item);
}

void bh_frame_drop(struct bh_inventory *inv)
{
	for (unsigned i = 0; i < BH_INVENTORY_PARTS; i++) {
		struct bh_inventory_part own = get(inv, i), *p = inv->part[i];
		if (!p) {
			finish(&own, i); /* never sealed */
		} else if (__atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) == 0) {
			finish(p, i);
			free(p);
		}
	}
}

/* --- comparing --- */

static unsigned namespace_changes(const struct bh_inventory *a, const struct bh_inventory *b)
{
	size_t i = 0, j = 0;
	unsigned r = 0;
	while (i < a->n_ns || j < b->n_ns) {
		int c = i == a->n_ns ? 1 : j == b->n_ns ? -1 : strcmp(a->ns[i].name, b->ns[j].name);
		if (c == 0 && !bh_labels_equal(&a->ns[i].labels, &b->ns[j].labels))
			r |= BH_FRAME_NS_LABELS;
		else if (c != 0)
			r |= c < 0 ? BH_FRAME_NS_REMOVED : BH_FRAME_NS_ADDED;
		i += c <= 0;
		j += c >= 0;
	}
	return r;
}

static bool same_bytes(const void *a, size_t n_a, const void *b, size_t n_b, size_t size)
{
	return n_a == n_b && (a == b || n_a == 0 || memcmp(a, b, n_a * size) == 0);
}

static bool same_nodes(const struct bh_inventory *a, const struct bh_inventory *b)
{
	if (a->n_nodes != b->n_nodes)
		return false;
	for (size_t i = 0; i < a->n_nodes && a->node != b->node; i++) {
		const struct bh_node_info *x = &a->node[i], *y = &b->node[i];
		if (!bh_streq(x->name, y->name) || !bh_labels_equal(&x->labels, &y->labels) ||
			!same_bytes(x->addr, x->n_addrs, y->addr, y->n_addrs, sizeof(*x->addr)))
			return false;
	}
	return true;
}

unsigned bh_inventory_frame_changes(const struct bh_inventory *a, const struct bh_inventory *b)
{
	unsigned r = a->ns == b->ns ? 0 : namespace_changes(a, b);
	if (!same_bytes(a->host, a->n_hosts, b->host, b->n_hosts, sizeof(*a->host)))
		r |= BH_FRAME_HOSTS;
	if (!same_bytes(a->network, a->n_networks, b->network, b->n_networks, sizeof(*a->network)))
		r |= BH_FRAME_NETWORKS; /* the broadcast addresses follow from them */
	if (!same_nodes(a, b))
		r |= BH_FRAME_NODES;
	return r;
}

bool bh_inventory_same_frame(const struct bh_inventory *a, const struct bh_inventory *b)
{
	return bh_inventory_frame_changes(a, b) == 0;
}

void bh_inventory_map_namespaces(
	const struct bh_inventory *from, const struct bh_inventory *to, uint32_t *map)
{
	for (size_t i = 0, j = 0; i < from->n_ns; i++) {
		while (j < to->n_ns && strcmp(to->ns[j].name, from->ns[i].name) < 0)
			j++;
		bool there = j < to->n_ns && bh_streq(to->ns[j].name, from->ns[i].name);
		map[i] = there ? (uint32_t)j : UINT32_MAX;
	}
}
