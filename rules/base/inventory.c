/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The sealed inventory and its indexes. Invariants after sealing: workloads are sorted by
 * namespace, name and id; every workload's namespace is in ns; an address has one owner: the node
 * if it is one of the node's own, else the first workload in order that claims it. Loopback
 * addresses have no owner, because every network namespace has them.
 */
#include <bulkhead/workload.h>

#include <errno.h>

#define ID_PREFIX_MIN 4

struct bh_inventory *bh_inventory_new(void)
{
	struct bh_inventory *inv = bh_xcalloc(1, sizeof(*inv));
	inv->refs = 1;
	return inv;
}

/* Arrays whose capacity is not kept in the struct grow at powers of two. */
static void *grow(void *p, size_t n, size_t size)
{
	return (n & (n - 1)) == 0 ? bh_xrealloc(p, n ? n * 2 : 1, size) : p;
}

void bh_inventory_add(struct bh_inventory *inv, struct bh_workload *w)
{
	inv->workload = grow(inv->workload, inv->n, sizeof(struct bh_workload *));
	inv->workload[inv->n++] = w;
}

static size_t namespace_index(const struct bh_inventory *inv, const char *name, bool *found)
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

void bh_inventory_add_namespace(
	struct bh_inventory *inv, const char *name, const struct bh_labels *labels)
{
	bool found;
	size_t i = namespace_index(inv, name, &found);
	if (!found) {
		inv->ns = grow(inv->ns, inv->n_ns, sizeof(*inv->ns));
		memmove(&inv->ns[i + 1], &inv->ns[i], (inv->n_ns - i) * sizeof(*inv->ns));
		inv->ns[i] = (struct bh_namespace){.name = bh_xstrdup(name)};
		inv->n_ns++;
	}
	for (size_t k = 0; labels && k < labels->n; k++)
		bh_labels_set(&inv->ns[i].labels, labels->item[k].key, labels->item[k].value);
	/* Last, so that nobody can make a namespace pass for another one. */
	bh_labels_set(&inv->ns[i].labels, "kubernetes.io/metadata.name", name);
}

static void node_finish(struct bh_node_info *n)
{
	free(n->name);
	bh_labels_finish(&n->labels);
	free(n->addr);
}

void bh_inventory_add_host(struct bh_inventory *inv, const struct bh_addr *a)
{
	inv->host = grow(inv->host, inv->n_hosts, sizeof(*inv->host));
	inv->host[inv->n_hosts++] = *a;
}

void bh_inventory_add_node(struct bh_inventory *inv, const char *name,
	const struct bh_labels *labels, const struct bh_addr *addr, size_t n_addrs)
{
	size_t i = 0;
	while (i < inv->n_nodes && strcmp(inv->node[i].name, name) < 0)
		i++;
	if (i == inv->n_nodes || !bh_streq(inv->node[i].name, name)) {
		inv->node = grow(inv->node, inv->n_nodes, sizeof(*inv->node));
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
	inv->network = grow(inv->network, inv->n_networks, sizeof(*inv->network));
	inv->network[inv->n_networks++] = *p;
}

static int workload_cmp(const void *pa, const void *pb)
{
	const struct bh_workload *a = *(struct bh_workload *const *)pa;
	const struct bh_workload *b = *(struct bh_workload *const *)pb;
	int c = bh_strcmp0(a->namespace, b->namespace);
	if (c == 0)
		c = bh_strcmp0(a->name, b->name);
	return c ? c : bh_strcmp0(a->id, b->id);
}

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

static struct bh_addr_owner *slot(const struct bh_inventory *inv, const struct bh_addr *a)
{
	size_t i = bh_hash(a, sizeof(*a), BH_HASH_SEED) & inv->by_addr_mask;
	while (inv->by_addr[i].addr.family && !bh_addr_eq(&inv->by_addr[i].addr, a))
		i = (i + 1) & inv->by_addr_mask;
	return &inv->by_addr[i];
}

static void own(struct bh_inventory *inv, const struct bh_addr *a, int32_t owner)
{
	struct bh_addr_owner *s;
	if (bh_addr_is_loopback(a))
		return;
	s = slot(inv, a);
	if (!s->addr.family)
		*s = (struct bh_addr_owner){*a, owner};
	else if (s->workload >= 0 && s->workload != owner && !bh_addr_is_link_local(a))
		inv->n_conflicts++;
}

/* At most half full, so that a probe always ends. */
static void seal_addresses(struct bh_inventory *inv)
{
	size_t total = inv->n_hosts, size = 16;
	for (size_t w = 0; w < inv->n; w++)
		for (size_t i = 0; i < inv->workload[w]->n_ifaces; i++)
			total += inv->workload[w]->iface[i].n_addrs;
	while (size < total * 2)
		size *= 2;
	inv->by_addr = bh_xcalloc(size, sizeof(*inv->by_addr));
	inv->by_addr_mask = size - 1;
	for (size_t i = 0; i < inv->n_hosts; i++)
		own(inv, &inv->host[i], BH_OWNER_HOST);
	for (size_t w = 0; w < inv->n; w++)
		for (size_t i = 0; i < inv->workload[w]->n_ifaces; i++) {
			const struct bh_interface *f = &inv->workload[w]->iface[i];
			for (size_t k = 0; k < f->n_addrs; k++)
				own(inv, &f->addr[k], (int32_t)w);
		}
}

static int if_owner_cmp(const void *pa, const void *pb)
{
	const struct bh_if_owner *a = pa, *b = pb;
	if (a->ifindex != b->ifindex)
		return a->ifindex < b->ifindex ? -1 : 1;
	return (a->workload > b->workload) - (a->workload < b->workload);
}

static void seal_interfaces(struct bh_inventory *inv)
{
	size_t n = 0, out = 0;
	for (size_t w = 0; w < inv->n; w++)
		n += inv->workload[w]->n_ifaces;
	struct bh_if_owner *o = inv->by_ifindex = bh_xcalloc(n, sizeof(*o));
	n = 0;
	for (size_t w = 0; w < inv->n; w++)
		for (size_t i = 0; i < inv->workload[w]->n_ifaces; i++)
			if (inv->workload[w]->iface[i].host_ifindex)
				o[n++] = (struct bh_if_owner){
					inv->workload[w]->iface[i].host_ifindex, (uint32_t)w};
	qsort(o, n, sizeof(*o), if_owner_cmp);
	for (size_t i = 0; i < n; i++)
		if (out == 0 || o[out - 1].ifindex != o[i].ifindex)
			o[out++] = o[i];
	inv->n_by_ifindex = out;
}

void bh_inventory_seal(struct bh_inventory *inv)
{
	if (inv->n)
		qsort(inv->workload, inv->n, sizeof(*inv->workload), workload_cmp);
	for (size_t i = 0; i < inv->n; i++)
		bh_inventory_add_namespace(inv, inv->workload[i]->namespace, NULL);
	seal_networks(inv);
	seal_addresses(inv);
	seal_interfaces(inv);
}

struct bh_inventory *bh_inventory_ref(struct bh_inventory *inv)
{
	__atomic_add_fetch(&inv->refs, 1, __ATOMIC_RELAXED);
	return inv;
}

void bh_inventory_unref(struct bh_inventory *inv)
{
	if (!inv || __atomic_sub_fetch(&inv->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (size_t i = 0; i < inv->n; i++)
		bh_workload_unref(inv->workload[i]);
	for (size_t i = 0; i < inv->n_ns; i++) {
		free(inv->ns[i].name);
		bh_labels_finish(&inv->ns[i].labels);
	}
	for (size_t i = 0; i < inv->n_nodes; i++)
		node_finish(&inv->node[i]);
	free(inv->workload);
	free(inv->ns);
	free(inv->node);
	free(inv->network);
	free(inv->broadcast);
	free(inv->host);
	free(inv->by_addr);
	free(inv->by_ifindex);
	free(inv);
}

int bh_inventory_owner(const struct bh_inventory *inv, const struct bh_addr *a)
{
	const struct bh_addr_owner *s = slot(inv, a);
	return s->addr.family ? s->workload : BH_OWNER_NONE;
}

int bh_inventory_by_ifindex(const struct bh_inventory *inv, unsigned host_ifindex)
{
	size_t lo = 0, hi = inv->n_by_ifindex;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (inv->by_ifindex[mid].ifindex < host_ifindex)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < inv->n_by_ifindex && inv->by_ifindex[lo].ifindex == host_ifindex)
		return (int)inv->by_ifindex[lo].workload;
	return BH_OWNER_NONE;
}

const struct bh_namespace *bh_inventory_namespace(const struct bh_inventory *inv, const char *name)
{
	bool found;
	size_t i = namespace_index(inv, name, &found);
	return found ? &inv->ns[i] : NULL;
}

bool bh_inventory_in_network(const struct bh_inventory *inv, const struct bh_addr *a)
{
	for (size_t i = 0; i < inv->n_networks; i++)
		if (bh_prefix_contains(&inv->network[i], a))
			return true;
	return false;
}

static bool is_id(const struct bh_workload *w, const char *what)
{
	return bh_streq(w->id, what);
}

static bool is_full_name(const struct bh_workload *w, const char *what)
{
	size_t n = w->namespace ? strlen(w->namespace) : 0;
	return w->name && n && strncmp(w->namespace, what, n) == 0 && what[n] == '/' &&
	       strcmp(w->name, what + n + 1) == 0;
}

static bool is_name(const struct bh_workload *w, const char *what)
{
	return bh_streq(w->name, what);
}

static bool is_id_prefix(const struct bh_workload *w, const char *what)
{
	size_t n = strlen(what);
	return n >= ID_PREFIX_MIN && w->id && strncmp(w->id, what, n) == 0;
}

/* The most exact reading that matches anything decides, so that a name never becomes ambiguous
 * because some container's id happens to start like it. */
int bh_inventory_resolve(const struct bh_inventory *inv, const char *what, uint32_t *match,
	size_t max, size_t *n_match)
{
	static bool (*const readings[])(const struct bh_workload *, const char *) = {
		is_id, is_full_name, is_name, is_id_prefix};
	for (size_t r = 0; r < BH_ARRAY_SIZE(readings); r++) {
		size_t n = 0, first = 0;
		for (size_t i = 0; i < inv->n; i++) {
			if (!readings[r](inv->workload[i], what))
				continue;
			if (n == 0)
				first = i;
			if (n < max)
				match[n] = (uint32_t)i;
			n++;
		}
		if (n == 0)
			continue;
		if (n_match)
			*n_match = n;
		return n == 1 ? (int)first : -ENOTUNIQ;
	}
	if (n_match)
		*n_match = 0;
	return -ENOENT;
}
