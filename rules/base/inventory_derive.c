/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One inventory made of another: arrays are copied in runs, tables shared and patched. What cannot
 * be patched (an address whose owner goes while others claim it) or would not pay is built anew;
 * the result is the same.
 */
#include "inventory_private.h"

#define ANEW_SHARE 4 /* a change of more than this part of all workloads does not pay */
#define ANEW_LEAST 64

static int come_cmp(const void *pa, const void *pb)
{
	return bh_workload_order(
		*(struct bh_workload *const *)pa, *(struct bh_workload *const *)pb);
}

static int gone_cmp(const void *pa, const void *pb)
{
	const struct bh_derive_gone *a = pa, *b = pb;
	return (a->index > b->index) - (a->index < b->index);
}

static void prepare(struct bh_derive *d, const uint32_t *removed, struct bh_workload *const *added)
{
	d->gone = bh_xcalloc(d->n_gone, sizeof(*d->gone));
	d->come = bh_xcalloc(d->n_come, sizeof(struct bh_workload *));
	d->come_at = bh_xcalloc(d->n_come, sizeof(*d->come_at));
	for (size_t i = 0; i < d->n_gone; i++)
		d->gone[i].index = removed[i];
	for (size_t i = 0; i < d->n_come; i++)
		d->come[i] = added[i];
	if (d->n_gone > 1)
		qsort(d->gone, d->n_gone, sizeof(*d->gone), gone_cmp);
	if (d->n_come > 1)
		qsort(d->come, d->n_come, sizeof(*d->come), come_cmp);
	for (size_t i = 0, k = 0; i < d->n_gone; i++) {
		const struct bh_workload *w = d->old->workload[d->gone[i].index];
		while (k < d->n_come && bh_workload_order(d->come[k], w) < 0)
			k++;
		if (k < d->n_come && bh_workload_order(d->come[k], w) == 0)
			d->gone[i].by = d->come[k++];
	}
}

static void finish(struct bh_derive *d)
{
	free(d->gone);
	free(d->come);
	free(d->come_at);
	for (size_t i = 0; i < d->n_copies; i++)
		bh_workload_unref(d->copy[i]);
	free(d->copy);
}

/* --- the frame --- */

static bool is_declared(const struct bh_namespace *ns, const void *arg BH_UNUSED)
{
	return ns->declared;
}

static bool declares_the_same(const struct bh_inventory *old, const struct bh_inventory *frame)
{
	size_t k = 0;
	for (size_t i = 0; i < old->n_ns; i++) {
		if (!old->ns[i].declared)
			continue;
		if (k == frame->n_ns || !bh_streq(old->ns[i].name, frame->ns[k].name) ||
			!bh_labels_equal(&old->ns[i].labels, &frame->ns[k].labels))
			return false;
		k++;
	}
	return k == frame->n_ns;
}

/* Whether a workload is in it. */
static bool inhabited(const struct bh_inventory *inv, const char *name)
{
	struct bh_workload first = {.namespace = (char *)name};
	size_t i = bh_inventory_lower_bound(inv, &first);
	return i < inv->n && bh_streq(inv->workload[i]->namespace, name);
}

static bool is_wanted(const struct bh_namespace *ns, const void *inv)
{
	return ns->declared || inhabited(inv, ns->name);
}

/* Those of old, without what only workloads that are gone named, and with what new ones name. */
static void patch_namespaces(struct bh_derive *d)
{
	bool same = true, found;
	for (size_t i = 0; i < d->n_gone && same; i++) {
		const char *name = d->old->workload[d->gone[i].index]->namespace;
		size_t k = bh_namespace_index(d->old, name, &found);
		same = is_wanted(&d->old->ns[k], d->inv);
	}
	for (size_t i = 0; i < d->n_come && same; i++)
		bh_namespace_index(d->old, d->come[i]->namespace, &same);
	if (same) {
		bh_part_share(d->inv, d->old, BH_PART_NS);
		return;
	}
	bh_namespaces_copy(d->inv, d->old, is_wanted, d->inv);
	for (size_t i = 0; i < d->n_come; i++)
		bh_namespace_imply(d->inv, d->come[i]->namespace);
}

/* The parts of the frame but the namespaces: old's if they are the same. */
static void take_parts(
	struct bh_inventory *inv, const struct bh_inventory *old, const struct bh_inventory *frame)
{
	unsigned changes = frame ? bh_inventory_frame_changes(old, frame) : 0;
	const struct bh_inventory *networks = changes & BH_FRAME_NETWORKS ? frame : old;
	bh_part_share(inv, changes & BH_FRAME_HOSTS ? frame : old, BH_PART_HOST);
	bh_part_share(inv, changes & BH_FRAME_NODES ? frame : old, BH_PART_NODE);
	bh_part_share(inv, networks, BH_PART_NETWORK);
	bh_part_share(inv, networks, BH_PART_BROADCAST);
}

static void take_namespaces(struct bh_derive *d, const struct bh_inventory *frame)
{
	struct bh_inventory *inv = d->inv;
	if (!frame || declares_the_same(d->old, frame)) {
		patch_namespaces(d);
		return;
	}
	bh_namespaces_copy(inv, frame, is_declared, NULL);
	bh_namespaces_imply(inv);
}

/* --- everything anew --- */

static bool same_owner(const struct bh_inventory *a, size_t i, const struct bh_inventory *b,
	size_t j, const struct bh_addr *addr)
{
	return (bh_inventory_owner(a, addr) == (int)i) == (bh_inventory_owner(b, addr) == (int)j);
}

static bool owns_the_same(
	const struct bh_inventory *a, size_t i, const struct bh_inventory *b, size_t j)
{
	const struct bh_workload *w = a->workload[i];
	for (size_t k = 0; k < w->n_ifaces; k++)
		for (size_t n = 0; n < w->iface[k].n_addrs; n++)
			if (!same_owner(a, i, b, j, &w->iface[k].addr[n]))
				return false;
	return true;
}

/* Which object a workload is must say whether anything about it changed. */
static void copy_where_owners_differ(struct bh_inventory *inv, const struct bh_inventory *old)
{
	for (size_t i = 0, j = 0; i < inv->n && j < old->n;) {
		int c = inv->workload[i] == old->workload[j]
				? 0
				: bh_workload_order(inv->workload[i], old->workload[j]);
		if (c == 0 && inv->workload[i] == old->workload[j] &&
			!owns_the_same(inv, i, old, j)) {
			inv->workload[i] = bh_workload_copy(old->workload[j]);
			bh_workload_unref(old->workload[j]); /* the new array's reference */
		}
		i += c <= 0;
		j += c >= 0;
	}
}

static struct bh_inventory *anew(const struct bh_derive *d, const struct bh_inventory *frame)
{
	struct bh_inventory *inv = bh_inventory_new();
	inv->seed = d->old->seed;
	take_parts(inv, d->old, frame);
	bh_namespaces_copy(inv, frame ? frame : d->old, is_declared, NULL);
	for (size_t i = 0, k = 0; i < d->old->n; i++) {
		if (k < d->n_gone && d->gone[k].index == i)
			k++;
		else
			bh_inventory_add(inv, bh_workload_ref(d->old->workload[i]));
	}
	for (size_t i = 0; i < d->n_come; i++)
		bh_inventory_add(inv, bh_workload_ref(d->come[i]));
	bh_inventory_index(inv);
	copy_where_owners_differ(inv, d->old);
	bh_inventory_settle(inv);
	return inv;
}

/* --- the addresses --- */

/* Somebody who stays lost an address: he is another object from now on. */
static void replace_loser(struct bh_derive *d, int32_t place)
{
	const struct bh_inventory *old = d->old;
	if (place < 0 || (size_t)place >= old->n_places || old->index[place] == BH_PLACE_NONE)
		return;
	uint32_t at = d->inv->index[place];
	struct bh_workload *w = old->workload[old->index[place]];
	if (at == BH_PLACE_NONE || d->inv->workload[at] != w)
		return; /* is going, or another object already */
	BH_GROW(d->copy, d->n_copies, d->cap_copies);
	d->inv->workload[at] = d->copy[d->n_copies++] = bh_workload_copy(w);
}

/* since: NULL = 0 for all. */
static int claim(struct bh_derive *d, const struct bh_addr *a, const uint64_t *since, size_t n,
	int32_t owner)
{
	int r = 0;
	for (size_t i = 0; i < n && r == 0; i++) {
		int32_t loser;
		r = bh_addrs_claim(
			d->inv->by_addr, &a[i], since ? since[i] : 0, owner, d->inv->index, &loser);
		replace_loser(d, loser);
	}
	return r;
}

static int release(struct bh_derive *d, const struct bh_addr *a, const uint64_t *since, size_t n,
	int32_t owner)
{
	int r = 0;
	for (size_t i = 0; i < n && r == 0; i++)
		r = bh_addrs_release(d->inv->by_addr, &a[i], since ? since[i] : 0, owner);
	return r;
}

/* `change` for each address of a workload. */
static int each_address(struct bh_derive *d, const struct bh_workload *w, uint32_t place,
	int (*change)(
		struct bh_derive *, const struct bh_addr *, const uint64_t *, size_t, int32_t))
{
	int r = 0;
	for (size_t i = 0; i < w->n_ifaces && r == 0; i++)
		r = change(d, w->iface[i].addr, w->iface[i].since, w->iface[i].n_addrs,
			(int32_t)place);
	return r;
}

/* The node's own: mostly one came or went, somewhere in a long list. */
static int patch_hosts(struct bh_derive *d)
{
	const struct bh_addr *a = d->old->host, *b = d->inv->host;
	size_t n_a = d->old->n_hosts, n_b = d->inv->n_hosts, same = 0;
	while (n_a > 0 && n_b > 0 && bh_addr_eq(&a[n_a - 1], &b[n_b - 1])) {
		n_a--;
		n_b--;
	}
	while (same < n_a && same < n_b && bh_addr_eq(&a[same], &b[same]))
		same++;
	int r = n_b > same ? claim(d, b + same, NULL, n_b - same, BH_OWNER_HOST) : 0;
	if (r == 0 && n_a > same)
		r = release(d, a + same, NULL, n_a - same, BH_OWNER_HOST);
	return r;
}

/* Claims go first, so that what is the same before and after never changes its owner. */
static int patch_addresses(struct bh_derive *d)
{
	int r = 0;
	d->inv->by_addr = bh_addrs_share(d->old->by_addr);
	for (size_t i = 0; i < d->n_come && r == 0; i++)
		r = each_address(d, d->come[i], d->inv->place[d->come_at[i]], claim);
	if (r == 0 && d->inv->host != d->old->host)
		r = patch_hosts(d);
	for (size_t i = 0; i < d->n_gone && r == 0; i++) {
		uint32_t at = d->gone[i].index;
		r = each_address(d, d->old->workload[at], d->old->place[at], release);
	}
	d->inv->n_conflicts = d->inv->by_addr->n_conflicts;
	return r;
}

static struct bh_inventory *patched(struct bh_derive *d, const struct bh_inventory *frame)
{
	struct bh_inventory *inv = d->inv = bh_inventory_new();
	inv->seed = d->old->seed;
	take_parts(inv, d->old, frame);
	bh_derive_workloads(d);
	if (patch_addresses(d) < 0) {
		bh_inventory_unref(inv);
		return NULL;
	}
	take_namespaces(d, frame);
	bh_frame_seal(inv);
	bh_derive_interfaces(d);
	bh_holds_make(inv, d->old);
	return inv;
}

struct bh_inventory *bh_inventory_derive(const struct bh_inventory *old, struct bh_inventory *frame,
	const uint32_t *removed, size_t n_removed, struct bh_workload *const *added, size_t n_added)
{
	struct bh_derive d = {.old = old, .n_gone = n_removed, .n_come = n_added};
	struct bh_inventory *inv = NULL;
	prepare(&d, removed, added);
	if (frame)
		bh_frame_seal(frame);
	if (n_removed + n_added <= ANEW_LEAST + old->n / ANEW_SHARE)
		inv = patched(&d, frame);
	if (!inv)
		inv = anew(&d, frame);
	finish(&d);
	bh_inventory_unref(frame);
	return inv;
}
