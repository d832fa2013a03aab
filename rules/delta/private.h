/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Between the files of rules/delta. The flows of a world are cut into classes:
 *
 *   party    what a person sees as one end: a role, the host, a node, all that is outside
 *   atom     addresses of a party that neither policy set can tell apart, whoever asks
 *   span     ports of a protocol that the policies of one pair of parties cannot tell apart
 *
 * One representative of each (atom, atom, span) is put to both engines; what differs is merged.
 */
#pragma once

#include <bulkhead/delta.h>

enum { BH_DELTA_BEFORE, BH_DELTA_AFTER }; /* index of the pair of engines */

/* An address that somebody here owns. */
struct bh_delta_point {
	uint32_t party;
	int32_t workload; /* -1: of the host or a node */
	struct bh_addr addr;
	uint32_t class[2]; /* of the workload, of the address: see points.c */
};

struct bh_delta_atom {
	uint8_t family;
	/* Representatives: two of different workloads, if it has two. */
	struct bh_addr example[2];
	int32_t workload[2]; /* theirs; -1: none */
	bool two;
	bool changed[2]; /* other policies select it after than before; by direction */
	uint32_t weight[2]; /* what one evaluation of its side costs */
	const struct bh_delta_point *point; /* borrowed; NULL of the outside */
	size_t n_points;
	struct bh_range range; /* of the outside */
};

struct bh_delta_named {
	const char *name;
	uint8_t proto; /* 0 in what policies say: any */
	uint16_t port; /* 0 in what policies say */
};
struct bh_delta_names {
	struct bh_delta_named *item;
	size_t n, cap;
};

/* Ports at which a span begins, by protocol: TCP, UDP, SCTP. */
#define BH_DELTA_PROTOS 3
extern const uint8_t bh_delta_proto[BH_DELTA_PROTOS];
struct bh_delta_starts {
	bool mentioned[BH_DELTA_PROTOS]; /* if not, as any other protocol */
	uint16_t *at[BH_DELTA_PROTOS];
	size_t n[BH_DELTA_PROTOS], cap[BH_DELTA_PROTOS];
};
void bh_delta_starts_add(struct bh_delta_starts *s, uint8_t proto, uint16_t first, uint16_t last);
void bh_delta_starts_sort(struct bh_delta_starts *s); /* and drops repetitions */
void bh_delta_starts_finish(struct bh_delta_starts *s);

struct bh_delta_party {
	enum bh_delta_end_kind kind;
	char *namespace, *name;
	struct bh_labels selector;
	size_t total; /* workloads with an address */
	struct bh_delta_atom *atom;
	size_t n_atoms, cap_atoms;
	bool changed[2]; /* any atom is */
	/* What the policies of its atoms, before and after, look at. */
	struct bh_delta_starts starts[2]; /* of direction */
	struct bh_delta_names asks; /* by name, in egress rules */
	struct bh_delta_names serves; /* the named ports of its workloads */
	struct bh_prefix *block;
	size_t n_blocks, cap_blocks;
};

struct bh_delta_world {
	const struct bh_engine *engine[2];
	const struct bh_inventory *inv;
	bool no_pruning;
	size_t max_edges;
	uint64_t max_evaluations;
	uint32_t *role; /* of a workload: index of its party */
	struct bh_delta_party *party; /* roles, then the host, then nodes */
	size_t n_parties, cap_parties, n_roles;
	struct bh_delta_point *point; /* sorted by atom */
	size_t n_points, cap_points;
	struct bh_ranges outside; /* what nobody here owns */
	struct bh_delta *out;
	size_t cap_edges;
};

/* parties.c */
void bh_delta_find_parties(struct bh_delta_world *w);
void bh_delta_party_finish(struct bh_delta_party *p);
/* Dense ranks, from 0, of n strings in order; equal strings, equal ranks. Returns their number. */
size_t bh_delta_rank(const struct bh_buf *key, size_t n, uint32_t *ret_rank);

/* points.c: fills point, the atoms of every party and outside. */
void bh_delta_find_atoms(struct bh_delta_world *w);
/* address.c: sets class[1] of all points: equal if no block or node of any policy differs. */
void bh_delta_class_addresses(struct bh_delta_world *w);
void bh_delta_find_outside(struct bh_delta_world *w);

/* The atoms of what is outside, as far as p's policies can tell addresses apart. */
void bh_delta_outside_of(
	const struct bh_delta_world *w, const struct bh_delta_party *p, struct bh_delta_party *ret);

/* says.c: what policies say of every party: changed, weight, starts, names, blocks. */
void bh_delta_find_policies(struct bh_delta_world *w);

/* A run of ports of one protocol. */
struct bh_delta_span {
	uint8_t proto; /* as in bh_delta_service */
	uint16_t first, last;
	bool alias; /* no policy mentions the protocol: as BH_DELTA_OTHER */
};
struct bh_delta_spans { /* in the order of services; the last is BH_DELTA_OTHER */
	struct bh_delta_span *item;
	size_t n, cap;
};
/* spans.c; what ret held is replaced, its memory used again. */
void bh_delta_find_spans(const struct bh_delta_party *src, const struct bh_delta_party *dst,
	struct bh_delta_spans *ret);

/* Why a verdict is what it is; zeroed first, for it is compared as bytes. */
struct bh_delta_fact {
	const struct bh_policy *policy;
	int32_t rule;
	uint8_t verdict; /* enum bh_side_verdict */
	bool held; /* DENIED: isolated; OPEN: selected, though not isolated */
};
struct bh_delta_reason {
	bool opens;
	bool decides[2];
	struct bh_delta_fact fact[2][2]; /* direction, before and after; zero unless decides */
};
/* reason.c. False if both decisions let the flow pass, or neither does. */
bool bh_delta_find_reason(const struct bh_delta_world *w, const struct bh_decision dec[2],
	struct bh_delta_reason *ret);
void bh_delta_put_reason(const struct bh_delta_reason *r, struct bh_delta_edge *e);

/* Byte strings by number, in the order in which they came. */
struct bh_delta_intern {
	struct bh_buf bytes;
	struct bh_delta_interned {
		size_t at, len;
		uint64_t hash;
	} * item;
	size_t n, cap;
	uint32_t *slot; /* index + 1; 0: free */
	size_t n_slots; /* power of two */
};
uint32_t bh_delta_intern(struct bh_delta_intern *t, const void *p, size_t len);
const void *bh_delta_interned(const struct bh_delta_intern *t, uint32_t i); /* unaligned */
void bh_delta_intern_finish(struct bh_delta_intern *t);

/* A change of the services `change` (see pair.c) from one atom to another. */
struct bh_delta_cell {
	uint32_t change, a, b;
};
struct bh_delta_pair {
	struct bh_delta_world *w;
	const struct bh_delta_party *src, *dst;
	struct bh_delta_spans spans;
	struct bh_delta_intern reasons, changes;
	struct bh_delta_cell *cell;
	size_t n, cap;
};
/* Is there a flow at all? */
bool bh_delta_possible(const struct bh_delta_atom *a, const struct bh_delta_atom *b);
/* pair.c: asks about all atoms and spans. False if a limit was reached: the pair is left out. */
bool bh_delta_compare(struct bh_delta_world *w, const struct bh_delta_party *src,
	const struct bh_delta_party *dst);
/* The parts of a change. */
void bh_delta_put_change(const struct bh_delta_pair *p, uint32_t change, struct bh_delta_edge *e);

/* product.c: cells (sorted) into edges, few and whole. False if there are too many. */
bool bh_delta_put_edges(struct bh_delta_pair *p);

/* edge.c */
void bh_delta_put_end(
	const struct bh_delta_party *p, const uint64_t *atoms, struct bh_delta_end *ret);
void bh_delta_edge_finish(struct bh_delta_edge *e);
void bh_delta_sort_edges(struct bh_delta_edge *e, size_t n);

static inline bool bh_delta_bit(const uint64_t *set, size_t i)
{
	return set[i / 64] >> (i % 64) & 1;
}
static inline void bh_delta_set_bit(uint64_t *set, size_t i)
{
	set[i / 64] |= UINT64_C(1) << (i % 64);
}
