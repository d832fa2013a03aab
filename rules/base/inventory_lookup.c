/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a sealed inventory answers. */
#include <errno.h>

#include "inventory_private.h"

#define ID_PREFIX_MIN 4

int bh_inventory_owner(const struct bh_inventory *inv, const struct bh_addr *a)
{
	int32_t place = bh_addrs_owner(inv->by_addr, a);
	return place >= 0 ? (int)inv->index[place] : place;
}

/* Were an interface two workloads', the earlier in order would have it. */
int bh_inventory_by_ifindex(const struct bh_inventory *inv, unsigned host_ifindex)
{
	size_t lo = 0, hi = inv->n_by_ifindex;
	uint32_t first = UINT32_MAX;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (inv->by_ifindex[mid].ifindex < host_ifindex)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < inv->n_by_ifindex && inv->by_ifindex[lo].ifindex == host_ifindex; lo++)
		if (inv->index[inv->by_ifindex[lo].place] < first)
			first = inv->index[inv->by_ifindex[lo].place];
	return first == UINT32_MAX ? BH_OWNER_NONE : (int)first;
}

int bh_inventory_find(const struct bh_inventory *inv, const struct bh_workload *w)
{
	size_t i = bh_inventory_lower_bound(inv, w);
	return i < inv->n && bh_workload_order(inv->workload[i], w) == 0 ? (int)i : BH_OWNER_NONE;
}

const struct bh_namespace *bh_inventory_namespace(const struct bh_inventory *inv, const char *name)
{
	bool found;
	size_t i = bh_namespace_index(inv, name, &found);
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

/* Who writes compose files thinks of services; their containers are called shop-web-1. */
static const char *service_of(const struct bh_workload *w)
{
	return bh_labels_get(&w->labels, "com.docker.compose.service");
}

static bool is_full_service(const struct bh_workload *w, const char *what)
{
	const char *service = service_of(w);
	size_t n = w->namespace ? strlen(w->namespace) : 0;
	return service && *service && n && strncmp(w->namespace, what, n) == 0 && what[n] == '/' &&
	       strcmp(service, what + n + 1) == 0;
}

static bool is_service(const struct bh_workload *w, const char *what)
{
	const char *service = service_of(w);
	return service && *service && strcmp(service, what) == 0;
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
		is_id, is_full_name, is_name, is_full_service, is_service, is_id_prefix};
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
