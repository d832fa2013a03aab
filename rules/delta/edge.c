/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Edges: their ends, their order, their end. */
#include "private.h"

static int compare_indexes(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* Which workloads the addresses belong to; sorted, unique. */
static void put_workloads(
	const struct bh_delta_party *p, const uint64_t *atoms, struct bh_delta_end *ret)
{
	size_t cap = 0, n = 0;
	for (size_t i = 0; i < p->n_atoms; i++) {
		const struct bh_delta_atom *a = &p->atom[i];
		if (!bh_delta_bit(atoms, i))
			continue;
		for (size_t k = 0; k < a->n_points; k++) {
			BH_GROW(ret->workload, n, cap);
			ret->workload[n++] = (uint32_t)a->point[k].workload;
		}
	}
	qsort(ret->workload, n, sizeof(*ret->workload), compare_indexes);
	for (size_t i = 0; i < n; i++)
		if (ret->n_workloads == 0 ||
			ret->workload[i] != ret->workload[ret->n_workloads - 1])
			ret->workload[ret->n_workloads++] = ret->workload[i];
}

static bool is_meant(const struct bh_delta_end *e, int32_t workload)
{
	uint32_t key = (uint32_t)workload;
	return e->kind != BH_DELTA_ROLE ||
	       bsearch(&key, e->workload, e->n_workloads, sizeof(key), compare_indexes);
}

/* Is no address of those workloads (host, node) left out? */
static bool is_whole(
	const struct bh_delta_party *p, const uint64_t *atoms, const struct bh_delta_end *e)
{
	for (size_t i = 0; i < p->n_atoms; i++)
		for (size_t k = 0; k < p->atom[i].n_points && !bh_delta_bit(atoms, i); k++)
			if (is_meant(e, p->atom[i].point[k].workload))
				return false;
	return true;
}

static bool has_all(const struct bh_delta_party *p, const uint64_t *atoms)
{
	for (size_t i = 0; i < p->n_atoms; i++)
		if (!bh_delta_bit(atoms, i))
			return false;
	return true;
}

static void put_ranges(const struct bh_delta_party *p, const uint64_t *atoms, struct bh_ranges *ret)
{
	for (size_t i = 0; i < p->n_atoms; i++) {
		const struct bh_delta_atom *a = &p->atom[i];
		if (!bh_delta_bit(atoms, i))
			continue;
		if (p->kind == BH_DELTA_OUTSIDE)
			bh_ranges_add(ret, a->range);
		for (size_t k = 0; k < a->n_points; k++)
			bh_ranges_add(ret, (struct bh_range){a->point[k].addr, a->point[k].addr});
	}
	bh_ranges_normalise(ret);
}

void bh_delta_put_end(
	const struct bh_delta_party *p, const uint64_t *atoms, struct bh_delta_end *ret)
{
	*ret = (struct bh_delta_end){.kind = p->kind, .total = p->total};
	ret->namespace = bh_xstrdup(p->namespace);
	ret->name = bh_xstrdup(p->name);
	bh_labels_copy(&ret->selector, &p->selector);
	if (p->kind == BH_DELTA_ROLE)
		put_workloads(p, atoms, ret);
	ret->whole = p->kind == BH_DELTA_OUTSIDE ? has_all(p, atoms) : is_whole(p, atoms, ret);
	if (p->kind == BH_DELTA_OUTSIDE || !ret->whole)
		put_ranges(p, atoms, &ret->range);
}

static void end_finish(struct bh_delta_end *e)
{
	free(e->namespace);
	free(e->name);
	bh_labels_finish(&e->selector);
	free(e->workload);
	bh_ranges_finish(&e->range);
}

void bh_delta_edge_finish(struct bh_delta_edge *e)
{
	end_finish(&e->src);
	end_finish(&e->dst);
	free(e->service);
	for (int d = 0; d < 2; d++) {
		free(e->why[d].before);
		free(e->why[d].after);
	}
}

#define COMPARE(a, b)                                                                              \
	do {                                                                                       \
		if ((a) != (b))                                                                    \
			return (a) < (b) ? -1 : 1;                                                 \
	} while (0)
#define COMPARE_BY(call)                                                                           \
	do {                                                                                       \
		int r_ = (call);                                                                   \
		if (r_)                                                                            \
			return r_;                                                                 \
	} while (0)

static int compare_parties(const struct bh_delta_end *a, const struct bh_delta_end *b)
{
	COMPARE(a->kind, b->kind);
	COMPARE_BY(bh_strcmp0(a->namespace, b->namespace));
	return bh_strcmp0(a->name, b->name);
}

static int compare_members(const struct bh_delta_end *a, const struct bh_delta_end *b)
{
	for (size_t i = 0; i < a->n_workloads && i < b->n_workloads; i++)
		COMPARE(a->workload[i], b->workload[i]);
	COMPARE(b->n_workloads, a->n_workloads); /* the whole before its part */
	for (size_t i = 0; i < a->range.n && i < b->range.n; i++) {
		COMPARE_BY(bh_addr_cmp(&a->range.item[i].first, &b->range.item[i].first));
		COMPARE_BY(bh_addr_cmp(&a->range.item[i].last, &b->range.item[i].last));
	}
	COMPARE(a->range.n, b->range.n);
	return 0;
}

/* TCP, UDP and SCTP have grown like that; ICMP and the others come last. */
static unsigned proto_order(uint8_t proto)
{
	return proto == BH_DELTA_ICMP ? 256 : proto == BH_DELTA_OTHER ? 257 : proto;
}

static int compare_services(const struct bh_delta_edge *a, const struct bh_delta_edge *b)
{
	for (size_t i = 0; i < a->n_services && i < b->n_services; i++) {
		const struct bh_delta_service *x = &a->service[i], *y = &b->service[i];
		COMPARE(proto_order(x->proto), proto_order(y->proto));
		COMPARE(x->first, y->first);
		COMPARE(x->last, y->last);
	}
	COMPARE(a->n_services, b->n_services);
	return 0;
}

static int compare_edges(const void *pa, const void *pb)
{
	const struct bh_delta_edge *a = pa, *b = pb;
	COMPARE_BY(compare_parties(&a->src, &b->src));
	COMPARE_BY(compare_parties(&a->dst, &b->dst));
	COMPARE(a->opens, b->opens);
	COMPARE_BY(compare_services(a, b));
	COMPARE_BY(compare_members(&a->src, &b->src));
	COMPARE_BY(compare_members(&a->dst, &b->dst));
	for (int d = 0; d < 2; d++) {
		COMPARE_BY(bh_strcmp0(a->why[d].before, b->why[d].before));
		COMPARE_BY(bh_strcmp0(a->why[d].after, b->why[d].after));
	}
	return 0;
}

void bh_delta_sort_edges(struct bh_delta_edge *e, size_t n)
{
	if (n)
		qsort(e, n, sizeof(*e), compare_edges);
}
