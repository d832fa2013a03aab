/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of this module share. A transaction is built message by message into one buffer
 * (batch.c, with the objects of object.c and rule.c), sent at once, and its answers are traced back
 * to what each message was about.
 */
#pragma once

#include "nft.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

struct nftnl_chain;
struct nftnl_rule;
struct nftnl_set;
struct nftnl_expr;

#define BH_NFT_ELEMS_PER_MSG 1000
/* No message of ours grows beyond: libnftnl writes without asking for room, and a nested attribute
 * ends at 64 KiB. */
#define BH_NFT_MSG_ROOM (128 * 1024)

struct bh_nft {
	struct mnl_socket *nl; /* requests, dumps and transactions */
	uint32_t portid;
	uint32_t seq;
	struct bh_nft_caps caps;
	bool own; /* the tables are to be ours, if caps.owner */
	char *rx; /* BH_NFT_MSG_ROOM bytes */

	struct mnl_socket *watch; /* NULL until asked for */
	uint32_t commits; /* transactions of ours that were committed */
	uint32_t known_gen; /* every change up to this generation was seen by the watch */
	uint32_t known_commits; /* and this many of ours were among them */
};

/* What a message is about, for bh_nft_error. The strings are borrowed until the batch is done. */
enum bh_nft_what {
	BH_NFT_TABLE,
	BH_NFT_CHAIN,
	BH_NFT_SET,
	BH_NFT_ELEMS,
	BH_NFT_FLUSH, /* all elements of a set */
	BH_NFT_RULE,
	BH_NFT_RULES,
	BH_NFT_PORTS, /* the anonymous set of a rule */
	BH_NFT_PROBE,
};

struct bh_nft_msg {
	size_t offset; /* in the batch's buffer */
	enum bh_nft_what what;
	uint8_t table; /* enum bh_table */
	const char *name;
	size_t index; /* of a rule in its chain */
};

struct bh_nft_batch {
	uint8_t *buf;
	size_t len, cap;
	struct bh_nft_msg *msg;
	size_t n, cap_msgs;
	uint32_t seq; /* of BATCH_BEGIN, from transact on; message i has seq + 1 + i */
	uint32_t set_id; /* last one given out */
};

/* Zero-initialised is empty. */
void bh_nft_batch_finish(struct bh_nft_batch *b);
#define bh_autobatch __attribute__((cleanup(bh_nft_batch_finish)))

/* One message: add gives BH_NFT_MSG_ROOM bytes, valid until the next add. */
struct nlmsghdr *bh_nft_batch_add(struct bh_nft_batch *b, uint8_t table, uint16_t type,
	uint16_t flags, enum bh_nft_what what, const char *name, size_t index);
void bh_nft_batch_done(struct bh_nft_batch *b, const struct nlmsghdr *nlh);

/* Sends and waits for the verdict. gen: refuse with −ERESTART unless this is the current generation
 * (0: whatever it is). fn, may be NULL, is told of every refused message (index −1: the transaction
 * itself). 0 only if the kernel said that it was committed. */
int bh_nft_transact(struct bh_nft *n, struct bh_nft_batch *b, uint32_t gen,
	void (*fn)(ssize_t index, int err, void *arg), void *arg, struct bh_nft_error *ret_error);

/* Puts message i, and the element at offset `at` of it (0: none), into words. error.c */
void bh_nft_describe(const struct bh_nft_batch *b, ssize_t i, size_t at, char *buf, size_t size);

/* Requests without a transaction. fn gets every answer; a dump that was changed under way gives
 * −EINTR, and fn no more answers from there on. table, may be NULL: attribute 1; object: 2. */
int bh_nft_request(struct bh_nft *n, uint16_t type, uint16_t flags, uint8_t family,
	const char *table, const char *object, void (*fn)(const struct nlmsghdr *, void *),
	void *arg);
static inline uint8_t bh_nft_family(uint8_t table)
{
	return table == BH_TABLE_BRIDGE ? NFPROTO_BRIDGE : NFPROTO_INET;
}
int bh_nft_generation(struct bh_nft *n, uint32_t *ret);

/* object.c. err: −EINVAL for names and comments that the kernel or nft would not take. */
bool bh_nft_name_ok(const char *name);
bool bh_nft_comment_ok(const char *comment);
/* table_flags: NFT_TABLE_F_*; 0 wakes a dormant one. */
void bh_nft_put_table(struct bh_nft_batch *b, uint8_t table, uint16_t flags, const char *name,
	uint32_t table_flags);
void bh_nft_put_table_del(struct bh_nft_batch *b, uint8_t table);
int bh_nft_put_chain(struct bh_nft_batch *b, const struct bh_chain *c, uint16_t flags);
void bh_nft_put_chain_del(struct bh_nft_batch *b, uint8_t table, const char *name);

/* set.c */
int bh_nft_put_set(struct bh_nft_batch *b, const struct bh_set *s, uint16_t flags);
void bh_nft_put_set_del(struct bh_nft_batch *b, uint8_t table, const char *name);
void bh_nft_put_set_flush(struct bh_nft_batch *b, const struct bh_set *s);
/* An anonymous set of ports for one rule; returns its id. */
enum bh_nft_ports_type { BH_NFT_PORT, BH_NFT_ICMPV6_TYPE, BH_NFT_ETHER_TYPE };
uint32_t bh_nft_put_ports(struct bh_nft_batch *b, uint8_t table, const struct bh_port_range *port,
	size_t n, enum bh_nft_ports_type type, const char *chain, size_t index);
/* Parts of a key lie behind each other, each rounded up to 4 bytes. */
#define BH_NFT_KEY_MAX 64 /* the kernel's */
size_t bh_nft_key_len(const struct bh_set *s);
void bh_nft_key(const struct bh_set *s, const struct bh_value *value, uint8_t *ret);
static inline size_t bh_nft_pad(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

/* elem.c. elem: n pointers; or NULL for the first n of the set itself. */
int bh_nft_put_elems(struct bh_nft_batch *b, const struct bh_set *s,
	const struct bh_set_elem *const *elem, size_t n, uint16_t type, uint16_t flags);
void bh_nft_put_port_elems(struct bh_nft_batch *b, uint8_t table, const char *set, uint32_t set_id,
	const struct bh_port_range *port, size_t n, unsigned size, bool interval, const char *chain,
	size_t index);
void bh_nft_put_keys(struct bh_nft_batch *b, const struct bh_nft_keys *k); /* no NLM_F_EXCL */

/* bulk.c */
void bh_nft_put_bulk(struct bh_nft_batch *b, const struct bh_nft_bulk *bulk);

/* rule.c */
void bh_nft_put_rules_del(
	struct bh_nft_batch *b, uint8_t table, const char *chain); /* NULL: of all chains */
int bh_nft_put_rules(
	struct bh_nft_batch *b, const struct bh_nft_caps *caps, const struct bh_chain *c);
/* expr.c, concat.c, action.c: a match or an action as expressions. */
struct bh_nft_known { /* what the rule made sure of; 0: nothing yet */
	uint16_t ether; /* the network protocol, by ether type */
	uint8_t tag; /* bytes of a tag before that type */
	uint8_t l4proto;
};
struct bh_nft_place { /* where an anonymous set would go, and what to call it */
	struct bh_nft_batch *b;
	uint8_t table;
	const char *chain;
	size_t index;
};
int bh_nft_add_match(struct nftnl_rule *r, const struct bh_match *m, struct bh_nft_known *known,
	const struct bh_nft_place *place);
int bh_nft_add_concat(
	struct nftnl_rule *r, const struct bh_match *m, struct bh_nft_known *known, uint8_t table);
void bh_nft_add_vmap(struct nftnl_rule *r, uint8_t family, bool source, const char *map,
	struct bh_nft_known *known, uint8_t table);
/* ether: ETH_P_*. In family inet it can only be one of the two IP. */
void bh_nft_need_ether(
	struct nftnl_rule *r, uint16_t ether, struct bh_nft_known *known, uint8_t table);
void bh_nft_need_l4proto(struct nftnl_rule *r, uint8_t proto, struct bh_nft_known *known);
uint16_t bh_nft_ether_of(uint8_t family); /* enum bh_family */
struct nftnl_expr *bh_nft_add_expr(struct nftnl_rule *r, const char *name);
void bh_nft_add_meta(struct nftnl_rule *r, uint32_t key, uint32_t reg);
void bh_nft_add_payload(
	struct nftnl_rule *r, uint32_t base, uint32_t offset, uint32_t len, uint32_t reg);
void bh_nft_add_mask(struct nftnl_rule *r, const void *mask, uint32_t len, uint32_t reg);
struct nftnl_expr *bh_nft_add_lookup(struct nftnl_rule *r, const char *set, bool neg);
struct nftnl_expr *bh_nft_limit(uint32_t rate, uint32_t burst, bool over);
uint32_t bh_nft_addr_offset(uint8_t family, bool source);
uint32_t bh_nft_addr_len(uint8_t family);
int bh_nft_add_action(struct nftnl_rule *r, const struct bh_rule *rule, struct bh_nft_known *known,
	const struct bh_nft_caps *caps, uint8_t table);
void bh_nft_add_log(struct nftnl_rule *r, uint16_t group, uint32_t snap_len);
void bh_nft_add_queue(struct nftnl_rule *r, bool native, uint16_t num, bool bypass);
void bh_nft_add_reject(struct nftnl_rule *r, uint32_t type, uint8_t code);

/* watch.c: around a transaction of ours of so many bytes. True: resume when it is over. */
bool bh_nft_watch_pause(struct bh_nft *n, size_t len);
void bh_nft_watch_resume(struct bh_nft *n);

/* probe.c */
int bh_nft_probe(struct bh_nft *n);

/* From 6.9 on; also in headers before that. */
#define BH_NFT_OWNED (NFT_TABLE_F_OWNER | 4u) /* and NFT_TABLE_F_PERSIST */

/* apply.c: bh_nft_rebuild and bh_nft_apply. cache.c: bh_nft_cache_add and bh_nft_elems_read. */

/* dump.c: what a table holds now. */
struct bh_nft_found_chain {
	char *name;
	int hook; /* −1: a regular chain */
	int priority;
	bool plain; /* type filter on no device: a base chain such as ours */
};
struct bh_nft_found {
	bool table;
	uint32_t flags; /* NFT_TABLE_F_* */
	uint8_t family;
	bool alien; /* flow tables or stateful objects, which we never make */
	struct bh_nft_found_chain *chain;
	size_t n_chains, cap_chains;
	char **set; /* named ones */
	size_t n_sets, cap_sets;
};
int bh_nft_find(
	struct bh_nft *n, uint8_t table, struct bh_nft_found *ret); /* −EINTR: changed meanwhile */
void bh_nft_found_finish(struct bh_nft_found *f);
#define bh_autofound __attribute__((cleanup(bh_nft_found_finish)))

/* libmnl and libnftnl return NULL when memory is short; see bulkhead/util.h. */
static inline void *bh_nft_must(void *p)
{
	if (!p)
		abort();
	return p;
}

/* order.c: indexes of rs->set, those that the kernel is asked for most first. Owned. */
size_t *bh_nft_set_order(const struct bh_ruleset *rs);
