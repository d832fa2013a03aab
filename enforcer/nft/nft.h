/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Carries a ruleset IR to the kernel: tables inet bulkhead and bridge bulkhead, in the network
 * namespace the process is in. The only module that includes libnftnl. Every call is one netlink
 * transaction: all or nothing (see nfnetlink_rcv_batch in the kernel's net/netfilter/nfnetlink.c).
 * Single-threaded use.
 *
 * Where the kernel has it (6.9) the tables can belong to this handle: nobody else can change or
 * flush them while it is open. They stay when it is closed or the process dies, then belong to
 * nobody, and the next handle takes them over as they are.
 */
#pragma once

#include <bulkhead/ruleset.h>

struct bh_nft;

struct bh_nft_caps {
	bool native_queue; /* expression "queue" exists (nft_queue) */
	bool compat_queue; /* xt NFQUEUE through nft_compat exists */
	bool log; /* expression "log" to a group of NFLOG (nft_log, nfnetlink_log) */
	bool reject; /* expression "reject" in family inet */
	bool bridge; /* tables of family bridge; what rulesets say of it is left out elsewhere */
	bool owner; /* tables that belong to a socket and outlive it (flags owner, persist) */
};

/* What went wrong in a refused transaction, for people. */
struct bh_nft_error {
	int err; /* −errno of the first message that was refused */
	char object[192]; /* "rule 3 of chain forward", "element 10.0.0.2 of set …" */
	char kernel[192]; /* the kernel's extended ack message, or "" */
};

/* Opens the sockets and probes what the kernel has (by asking it, in a transaction that is never
 * committed and in no table of ours). 0; −EPERM without CAP_NET_ADMIN; −errno. */
int bh_nft_open(struct bh_nft **ret);
void bh_nft_close(struct bh_nft *n); /* leaves everything in the kernel; NULL is fine */
const struct bh_nft_caps *bh_nft_get_caps(const struct bh_nft *n);

/* From the next rebuild on the tables are to belong to this handle, if caps say owner; else, and in
 * the beginning, to nobody. A rebuild that has to change it replaces the tables as a whole. */
void bh_nft_set_owner(struct bh_nft *n, bool owner);

/* Do our tables belong to another process now? 1, 0 or −errno. */
int bh_nft_taken(struct bh_nft *n);

/* Is our table inet there (left by an earlier run)? 1, 0 or −errno. */
int bh_nft_exists(struct bh_nft *n);

/*
 * Makes the tables hold exactly `to`, whatever they held before, in one transaction and without
 * ever deleting a base chain that stays (its removal would make the kernel drop all queued
 * packets): flush all rules, delete unknown chains and sets, add the rest. Only a table of another
 * layout (a base chain of ours elsewhere, objects that are never ours, another ownership) is
 * replaced as a whole. Tried again while others change the ruleset meanwhile. For the start of the
 * daemon and for repair. −EPERM: a table belongs to another process.
 */
int bh_nft_rebuild(struct bh_nft *n, const struct bh_ruleset *to, struct bh_nft_error *ret_error);

/* Elements of a BH_VOLATILE_BULK set, or a part of them: numbers in host order, sorted. */
enum bh_nft_bulk_kind {
	BH_NFT_HOST4, /* uint32_t[n] */
	BH_NFT_NET4, /* uint32_t[2 * n]: first and last */
	BH_NFT_HOST6, /* unsigned __int128[n] */
	BH_NFT_NET6, /* unsigned __int128[2 * n] */
};
struct bh_nft_bulk {
	const char *set; /* in table inet */
	enum bh_nft_bulk_kind kind;
	bool del; /* take them out instead */
	const void *elem;
	size_t n;
};
/* Elements of a set of BH_VOLATILE_CACHE or KEPT. */
struct bh_nft_keys {
	const struct bh_set *set;
	const struct bh_value *value; /* n × set->n_parts */
	size_t n;
	uint64_t timeout_ms; /* their lifetime; 0: the set's */
	const uint64_t *each_ms; /* instead, one for each; or NULL */
};
struct bh_nft_beside { /* what sets are to hold that the IR does not have */
	const struct bh_nft_bulk *bulk;
	size_t n_bulk;
	const struct bh_nft_keys *keys;
	size_t n_keys;
};
/* All in one transaction. An element of bulk that is there already (or not, for del) refuses it. */
int bh_nft_rebuild_with(struct bh_nft *n, const struct bh_ruleset *to,
	const struct bh_nft_beside *beside, struct bh_nft_error *ret_error);
int bh_nft_bulk_apply(struct bh_nft *n, const struct bh_nft_bulk *bulk, size_t n_bulk,
	struct bh_nft_error *ret_error);

/* Applies a diff in one transaction. An empty diff sends nothing. −ENOENT, −EEXIST and −EBUSY mean
 * that somebody else changed the table: rebuild. Counts go to the optional out-parameters. */
int bh_nft_apply(struct bh_nft *n, const struct bh_diff *diff, struct bh_nft_error *ret_error);

/* Deletes the tables. 0 also when they were not there; −EPERM if one belongs to another process. */
int bh_nft_flush(struct bh_nft *n);

/*
 * Puts elements into a set of BH_VOLATILE_CACHE or KEPT: value has n × set->n_parts. timeout_ms:
 * their lifetime; 0: the set's. One that is there already is no error, and keeps its lifetime (the
 * kernel refreshes it from 6.12 on). Returns how many are in, which is less than n when the set is
 * full, or −errno; then none is.
 */
int bh_nft_cache_add(struct bh_nft *n, const struct bh_set *set, const struct bh_value *value,
	size_t count, uint64_t timeout_ms, struct bh_nft_error *ret_error);

/* Likewise into several sets, all in one transaction or none; such a set must not get full. */
int bh_nft_keys_add(struct bh_nft *n, const struct bh_nft_keys *keys, size_t n_keys,
	struct bh_nft_error *ret_error);

/* Makes each of the sets hold these and no others, all in one transaction. */
int bh_nft_keys_replace(struct bh_nft *n, const struct bh_nft_keys *keys, size_t n_keys,
	struct bh_nft_error *ret_error);

/* An element of a set as the kernel has it. */
struct bh_nft_elem {
	const struct bh_value *value; /* one for each part of the set; borrowed for the call */
	uint64_t packets, bytes; /* of its counter; 0 without one */
	uint64_t expires_ms; /* 0: never */
};

/* Calls fn, which must not use n, for every element of a set of kind CONCAT. When the ruleset or
 * the size of the kernel's table changes under way, some are told again: counts only grow, the last
 * one told is right. −EINTR if the ruleset would not hold still; −ENOENT. */
int bh_nft_elems_read(struct bh_nft *n, const struct bh_set *set,
	void (*fn)(const struct bh_nft_elem *, void *), void *arg);

/* Calls fn for every rule of the tables that has a counter. */
struct bh_nft_counter {
	const char *chain, *comment; /* comment may be NULL; borrowed for the call */
	uint64_t packets, bytes;
};
int bh_nft_counters(struct bh_nft *n, void (*fn)(const struct bh_nft_counter *, void *), void *arg);

/*
 * Change notifications (NFNLGRP_NFTABLES) on a socket of their own, for "who touched our table":
 * poll fd for reading, then call drain, which returns the number of messages that concerned our
 * tables and were not caused by this bh_nft's own sockets (by port id of the transaction), or
 * −errno (−ENOBUFS: some were lost, treat as changed).
 */
int bh_nft_watch_fd(struct bh_nft *n);
int bh_nft_watch_drain(struct bh_nft *n);

/*
 * What nf_tables hold in this network namespace, of everybody, for `doctor`: all tables, chains and
 * flow tables, how many rules each chain has, and of other people's rules those that take packets
 * past ours. Reads only. Families are NFPROTO_*.
 */
enum bh_nft_odd {
	BH_NFT_NOTRACK, /* a rule by which packets are not tracked (notrack, CT --notrack) */
	BH_NFT_FWD, /* a rule by which frames leave by another device at once (netdev) */
	BH_NFT_OFFLOAD, /* a rule that puts flows into a flow table */
};
struct bh_nft_survey {
	struct bh_nft_seen_table {
		char *name;
		uint8_t family;
		uint32_t flags; /* NFT_TABLE_F_* */
		uint32_t owner; /* port id of a netlink socket; 0: nobody's */
	} * table;
	size_t n_tables, cap_tables;
	struct bh_nft_seen_chain {
		char *table, *name;
		uint8_t family;
		bool base;
		bool accept; /* its policy */
		int hook, priority;
		char *device; /* of a base chain of family netdev, all of them after commas; or NULL
			       */
		size_t rules;
	} * chain; /* sorted */
	size_t n_chains, cap_chains;
	struct bh_nft_seen_odd {
		enum bh_nft_odd what;
		char *table, *chain;
		uint8_t family;
	} * odd;
	size_t n_odd, cap_odd;
	bool cut; /* more rules than are looked at (262,144) */
};
/* 0 or −errno; −EINTR if the ruleset would not hold still. */
int bh_nft_survey(struct bh_nft *n, struct bh_nft_survey *ret);
void bh_nft_survey_finish(struct bh_nft_survey *s);
const struct bh_nft_seen_chain *bh_nft_seen_chain(const struct bh_nft_survey *s, uint8_t family,
	const char *table, const char *name); /* NULL if absent */
bool bh_nft_seen_ours(const char *table, uint8_t family);
const char *bh_nft_family_name(uint8_t family); /* "inet", "bridge" … */
