/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The fast path: a program in the kernel (program.bpf.c) that hands frames of flows between two
 * workloads of one bridge from veth to veth. Here it is loaded, told where addresses
 * live, and asked what it did; who hangs it on interfaces is link/attach.h. What the kernel holds
 * goes on when the daemon ends, as rules do. One thread.
 */
#pragma once

#include <bulkhead/flow.h>
#include <bulkhead/workload.h>

#include "fastpath/program.h"

/* Addresses with where they live, by ascending address. Zero-initialised is empty. */
struct bh_fast_homes {
	struct bh_fast_at {
		struct bh_addr addr;
		struct bh_fast_home home;
	} * item;
	size_t n, cap;
};
/*
 * The addresses that may take it, of a sealed inventory: on bridged veths with a MAC that counts,
 * of the workload that an address counts for; no link-local and no multicast ones. `want` leaves
 * workloads out. Of more than BH_FAST_HOMES_MAX of a family the first ones.
 */
void bh_fast_find_homes(const struct bh_inventory *inv,
	bool (*want)(const struct bh_workload *, void *), void *arg, struct bh_fast_homes *ret);
/* Does the address live there, by this sealed inventory? */
bool bh_fast_lives_there(const struct bh_inventory *inv, const struct bh_fast_at *at);
const struct bh_fast_home *bh_fast_home(const struct bh_fast_homes *h, const struct bh_addr *a);
void bh_fast_homes_finish(struct bh_fast_homes *h);

struct bh_fast;
/* Starts bulkhead-fastpath, which loads the program: some tenths of a second, 10 s at most. 0, or
 * −errno and *ret_why, owned: −EOPNOTSUPP when this build has none. */
int bh_fast_open(struct bh_fast **ret, char **ret_why);
void bh_fast_close(struct bh_fast *f); /* what hangs on interfaces goes on; NULL is fine */
int bh_fast_program(const struct bh_fast *f); /* a descriptor, borrowed */

/* Addresses that do not live there any more are taken out: how many, or −errno: some are in still.
 */
int bh_fast_leave(struct bh_fast *f, const struct bh_inventory *inv);
/* From now on exactly these addresses take it: those that go, or move, are taken out first. 0: the
 * list is the handle's, and *h the one before; −errno: it is some of the old ones, none that are
 * new, and to be called again. */
int bh_fast_set_homes(struct bh_fast *f, struct bh_fast_homes *h);
const struct bh_fast_homes *bh_fast_in_force(const struct bh_fast *f);
/* conntrack's timeouts of this network namespace, as they are now. 0 or −errno. */
int bh_fast_set_timeouts(struct bh_fast *f);
/* What was handed over since the program was loaded. 0 or −errno. */
int bh_fast_read_counts(const struct bh_fast *f, struct bh_fast_counts *ret);

/*
 * --- permits.c: connections that begin there ---
 * A permit lets the program open TCP connections of one pair (source, destination, its port) by
 * itself, as long as the gate is open. It is shut before anything changes that says who may talk
 * to whom; that ends all permits. It is open for BH_FAST_GATE_MS after it was held open last.
 */
#define BH_FAST_GATE_MS 3000
void bh_fast_gate_hold(struct bh_fast *f);
void bh_fast_gate_shut(struct bh_fast *f);
/* IPPROTO_TCP; the source port does not matter. For the time until the gate is shut next. 0 or
 * −errno (-E2BIG: there are BH_FAST_PERMITS_MAX). One that is there already begins to count anew.
 */
int bh_fast_permit(struct bh_fast *f, const struct bh_flow *flow);
/* How many connections were begun with it since it was given; −errno: -ENOENT, it is not there.
 * _take ends it as well. */
int64_t bh_fast_permit_read(const struct bh_fast *f, const struct bh_flow *flow);
int64_t bh_fast_permit_take(struct bh_fast *f, const struct bh_flow *flow);
