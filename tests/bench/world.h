/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Worlds to measure in. The same numbers and seed give the same world on every machine.
 *
 * Workloads: 20 namespaces for up to 100 workloads, 50 for up to 1,000, 100 beyond, each with its
 * own bridge network (IPv4 /22, IPv6 /64) and the labels team (10 of them) and env (prod, staging,
 * dev). About five replicas make an app; app names recur between namespaces. Labels: app, tier (one
 * of five, by app), version (two in flight), pod-template-hash, bulkhead.io/name. Every workload
 * has an IPv4 address, four of five an IPv6 address too. Named ports http, grpc and metrics, of
 * which http has another number in one app of eight. All in enforce mode.
 *
 * Policies: namespaces take turns. They select an app (75 %), a tier, an app and a version, or the
 * whole namespace; ingress (60 %), egress or both are isolated; one to four rules, each with none
 * to three peers (podSelector 55 %, namespaceSelector, both, or ipBlock with exceptions, 15 % each)
 * and none to three ports (numbers 60 %, ranges, names; TCP, UDP, SCTP). `cnp` per cent of them are
 * ClusterNetworkPolicies of both tiers instead, with two to four rules each.
 */
#pragma once

#include <bulkhead/flow.h>
#include <bulkhead/policy.h>
#include <bulkhead/workload.h>

struct bench_rng {
	uint64_t state;
};
unsigned bench_below(struct bench_rng *r, unsigned n); /* 0..n-1 */
static inline bool bench_chance(struct bench_rng *r, unsigned percent)
{
	return bench_below(r, 100) < percent;
}

struct bench_world {
	size_t policies, workloads, namespaces, apps; /* apps: names in use per namespace */
	unsigned cnp; /* per cent */
	uint64_t seed;
};
struct bench_world bench_world_size(size_t policies, size_t workloads, unsigned cnp, uint64_t seed);

/* Workload i of the world, any i up to 2^20: those beyond `workloads` are the ones that start
 * later. Returns owned. */
struct bh_workload *bench_world_workload(const struct bench_world *w, size_t i);
/* Namespaces with their labels, networks and the node's addresses; not sealed. */
void bench_world_surroundings(const struct bench_world *w, struct bh_inventory *inv);
struct bh_inventory *bench_world_inventory(const struct bench_world *w); /* whole, sealed */

/* The documents, and the set that the parser makes of them (exits with its diagnostics if it
 * refuses). */
void bench_world_policies(const struct bench_world *w, struct bh_buf *out);
struct bh_policy_set *bench_parse(const struct bh_buf *text);

/* For building by hand. */
struct bh_workload *bench_workload(const char *ns, const char *name);
void bench_add_addr(struct bh_workload *w, const char *text);
struct bh_addr bench_addr(const char *text);
