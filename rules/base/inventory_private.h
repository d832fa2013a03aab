/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inventory's inside: inventory.c builds and seals, inventory_derive.c and inventory_merge.c
 * make one of another,
 * inventory_addrs.c knows who owns an address, inventory_holds.c keeps the workloads alive,
 * inventory_frame.c has what is not workloads, inventory_lookup.c answers.
 */
#pragma once

#include <bulkhead/workload.h>

#define BH_PLACE_NONE UINT32_MAX
#define BH_SINCE_UNKNOWN UINT64_MAX

struct bh_if_owner {
	unsigned ifindex;
	uint32_t place;
};

int bh_workload_order(const struct bh_workload *a, const struct bh_workload *b);
/* Arrays whose capacity is not kept grow at powers of two. */
void *bh_inventory_grow(void *p, size_t n, size_t size);
/* First index in the sorted workloads that is not before `w`. */
size_t bh_inventory_lower_bound(const struct bh_inventory *inv, const struct bh_workload *w);
int bh_if_owner_cmp(const void *a, const void *b);

/* --- inventory_addrs.c: address → who owns it --- */

/*
 * One address. The node owns it if it is its own, else the workload that claims it since the
 * smallest number, of those the first in order. Claims are counted, so that those that do not
 * decide can be taken back.
 */
struct bh_addr_claim {
	struct bh_addr addr; /* family 0 = empty */
	int32_t owner; /* place, or BH_OWNER_HOST */
	uint32_t n_own, n_others; /* claims by the owner and by others */
	uint32_t n_first; /* of n_own those since `since`; maybe some more that nobody counts */
	uint64_t since; /* smallest of the owner's */
	uint64_t next; /* the next of the owner's; BH_SINCE_UNKNOWN = none, or not known */
};
/* The addresses of one residue of the hash: open addressing, power of two, at most half full. */
struct bh_addr_page {
	int refs;
	uint32_t n, mask;
	struct bh_addr_claim claim[];
};
struct bh_addr_table {
	uint64_t seed;
	struct bh_addr_page **page; /* NULL = empty; shared until one writes to it */
	size_t mask, n; /* of pages; addresses */
	size_t n_conflicts;
};

struct bh_addr_table *bh_addrs_new(uint64_t seed, size_t n_expected);
struct bh_addr_table *bh_addrs_share(const struct bh_addr_table *t);
void bh_addrs_free(struct bh_addr_table *t);
int32_t bh_addrs_owner(const struct bh_addr_table *t, const struct bh_addr *a); /* place, HOST… */
/*
 * `index` orders places; one that is going is BH_PLACE_NONE. 0, or −EAGAIN if it takes a look at
 * all workloads to tell who owns the address now, or how many claim it. *ret_loser: the place that
 * owned it before, or BH_OWNER_NONE.
 */
int bh_addrs_claim(struct bh_addr_table *t, const struct bh_addr *a, uint64_t since, int32_t owner,
	const uint32_t *index, int32_t *ret_loser);
int bh_addrs_release(struct bh_addr_table *t, const struct bh_addr *a, uint64_t since,
	int32_t owner); /* or EAGAIN */
/* The owners stay, and all claims are counted anew: nobody shares the table. */
void bh_addrs_uncount(struct bh_addr_table *t);
void bh_addrs_count(
	struct bh_addr_table *t, const struct bh_addr *a, uint64_t since, int32_t owner);

/* --- inventory_frame.c --- */
enum { BH_PART_NS, BH_PART_NETWORK, BH_PART_BROADCAST, BH_PART_HOST, BH_PART_NODE };

void bh_part_share(struct bh_inventory *to, const struct bh_inventory *from, unsigned part);
void bh_frame_seal(struct bh_inventory *inv); /* what is there becomes shareable */
void bh_frame_drop(struct bh_inventory *inv);
/* Index of the first namespace not before `name`. */
size_t bh_namespace_index(const struct bh_inventory *inv, const char *name, bool *found);
void bh_namespace_imply(struct bh_inventory *inv, const char *name); /* if it is not there */
void bh_namespaces_imply(struct bh_inventory *inv); /* those of its sorted workloads */
/* The namespaces of `from` that keep() wants, as unsealed ones of `to`. */
void bh_namespaces_copy(struct bh_inventory *to, const struct bh_inventory *from,
	bool (*keep)(const struct bh_namespace *ns, const void *arg), const void *arg);

/* --- inventory.c --- */
/* The two halves of sealing. In between, the array still has the references on its workloads, and
 * equal ones may take their places. */
void bh_inventory_index(struct bh_inventory *inv);
void bh_inventory_settle(struct bh_inventory *inv);
/* --- inventory_holds.c --- */
/* Takes references on all workloads of the array, those of `old` (NULL = none) where it can. */
void bh_holds_make(struct bh_inventory *inv, const struct bh_inventory *old);
void bh_holds_drop(struct bh_inventory *inv);

/* --- inventory_derive.c, inventory_merge.c: one inventory made of another --- */
struct bh_derive_gone {
	uint32_t index; /* in old */
	struct bh_workload *by; /* the one of `added` that takes its place, or NULL */
};

struct bh_derive {
	const struct bh_inventory *old;
	struct bh_inventory *inv;
	struct bh_derive_gone *gone; /* sorted by index */
	size_t n_gone;
	struct bh_workload **come; /* sorted; those that replace one of `gone` as well */
	uint32_t *come_at; /* their indexes in inv */
	size_t n_come;
	struct bh_workload **copy; /* of those that lost an address; a reference each */
	size_t n_copies, cap_copies;
};
/* Fills workload, place, index and n_places, and come_at. */
void bh_derive_workloads(struct bh_derive *d);
void bh_derive_interfaces(struct bh_derive *d); /* afterwards */
