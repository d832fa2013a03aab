/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The semantic diff of two policy sets: which flows between which roles open or close. Two engines
 * compiled over one inventory are asked about one representative of every class of flows that
 * neither policy set can tell apart, so every verdict here is bh_engine_evaluate's. Pure.
 * Implemented in rules/delta.
 *
 * What an edge claims, for every two addresses of its ends (of one family, not both of one
 * workload) and every service in its list: a new flow is denied before and passes after (opens), or
 * the other way round (closes). What no edge claims does not change, unless `truncated` says so.
 *
 * Not looked at: a workload reaching itself; flows that policies never decide (multicast,
 * broadcast, neighbour discovery, DHCP with the node), loopback addresses.
 */
#pragma once

#include <bulkhead/engine.h>

enum bh_delta_end_kind {
	BH_DELTA_ROLE, /* workloads of one role */
	BH_DELTA_HOST, /* this node */
	BH_DELTA_NODE, /* another node that the inventory knows */
	BH_DELTA_OUTSIDE, /* every other address */
};

struct bh_delta_end {
	enum bh_delta_end_kind kind;
	char *namespace; /* ROLE, else NULL */
	char *name; /* ROLE: short name, unique in the namespace; NODE: its name; else NULL */
	struct bh_labels selector; /* ROLE: the labels that make the role */
	/* ROLE: which of its workloads; indexes in the engines' inventory, ascending. `total` is
	 * how many the role has that own an address at all. */
	uint32_t *workload;
	size_t n_workloads, total;
	/* Every address of those workloads, of the host, of the node, or everything outside. */
	bool whole;
	/* The addresses meant. OUTSIDE: always filled; addresses of workloads, host and nodes
	 * that lie within are not meant. Otherwise empty if `whole`. */
	struct bh_ranges range;
};

#define BH_DELTA_ICMP 1 /* ICMP in IPv4, ICMPv6 in IPv6 (echo; not neighbour discovery) */
#define BH_DELTA_OTHER 0 /* every protocol but TCP, UDP, SCTP and ICMP */

struct bh_delta_service {
	uint8_t proto; /* enum bh_proto, BH_DELTA_ICMP or BH_DELTA_OTHER */
	uint16_t first, last; /* destination ports, 0..65535; 0..0 where there are none */
};

/* What one side of the flow (by enum bh_direction) says before and after. */
struct bh_delta_why {
	bool decides; /* this side denies before or after, and not both times */
	/* "shop/db ingress rule 0", "cnp:deny-all egress rule 2 denies", "no rule", "open: no
	 * policy selects it" …; NULL unless it decides */
	char *before, *after;
};

struct bh_delta_edge {
	bool opens; /* else closes */
	struct bh_delta_end src, dst;
	/* Sorted: TCP, UDP, SCTP, ICMP, other; then by port. Disjoint and merged. */
	struct bh_delta_service *service;
	size_t n_services;
	bool everything; /* all of them: every protocol and port */
	struct bh_delta_why why[2]; /* by enum bh_direction: [BH_EGRESS] is the source's */
};

struct bh_delta_opts {
	size_t max_edges; /* 0: BH_DELTA_MAX_EDGES */
	/* 0: BH_DELTA_MAX_EVALUATIONS. One that has to go through many peers counts as several. */
	uint64_t max_evaluations;
	/* Look also where no changed policy can matter. Gives the same answer, slowly. */
	bool no_pruning;
};
#define BH_DELTA_MAX_EDGES 10000
#define BH_DELTA_MAX_EVALUATIONS UINT64_C(20000000) /* a few seconds */

struct bh_delta {
	/* Sorted by source, destination (roles by namespace and name, host, nodes, outside); then
	 * what closes before what opens, then by service. The same for the same inventory and
	 * policies, whatever order they were given in. */
	struct bh_delta_edge *edge;
	size_t n;
	size_t n_opens, n_closes; /* edges */
	/* A limit was reached: `skipped` pairs of roles (or other ends) that may hold changes were
	 * not looked at, or not to their end. What is there is right. */
	bool truncated;
	uint64_t skipped;
	uint64_t evaluations; /* how many it took */
	struct bh_inventory *inv; /* reference: whose workloads the edges speak of */
};

/*
 * Both engines must be compiled over the same inventory (else -EINVAL, ret untouched). Modes are
 * taken as they are: a workload in learn or audit mode denies nothing, so nothing opens or closes
 * there. To see what the policies say, compile over bh_delta_inventory(). opts may be NULL.
 */
int bh_delta_compute(const struct bh_engine *before, const struct bh_engine *after,
	const struct bh_delta_opts *opts, struct bh_delta *ret);
void bh_delta_finish(struct bh_delta *d); /* empties; a zeroed one is fine */

/* A sealed copy in which every workload is in enforce mode. Owned. Indexes are the same. */
struct bh_inventory *bh_delta_inventory(const struct bh_inventory *inv);

/*
 * Compiles both sets over `inv` and compares. `as_enforced` (what `policy plan` wants): as if every
 * workload were in enforce mode. The sets and `inv` are referenced, not kept but by ret->inv.
 */
int bh_delta_policies(struct bh_policy_set *before, struct bh_policy_set *after,
	struct bh_inventory *inv, const struct bh_engine_opts *engine_opts, bool as_enforced,
	const struct bh_delta_opts *opts, struct bh_delta *ret);

/* One line per edge ("+ " opens, "- " closes), and a last line if it was truncated. Nothing when
 * nothing changes. */
void bh_delta_format(const struct bh_delta *d, struct bh_buf *out);
/* The parts of a line: "shop/web (2 of 5: web-1, web-2)", "outside 203.0.113.0/24". */
void bh_delta_end_format(
	const struct bh_delta *d, const struct bh_delta_end *end, struct bh_buf *out);
/* "tcp/5432", "tcp/80,443, udp/53, icmp", "everything". */
void bh_delta_services_format(const struct bh_delta_edge *e, struct bh_buf *out);
/* "allowed by shop/db ingress rule 0 (before: no rule)". */
void bh_delta_why_format(const struct bh_delta_edge *e, struct bh_buf *out);
