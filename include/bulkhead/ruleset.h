/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ruleset IR: what table inet bulkhead is to hold. Made by the compiler, compared by diff,
 * printed as nft syntax by print, carried to the kernel by enforcer/nft. It says what is wanted,
 * in nftables' own terms, with no netlink in it. Implemented in
 * rules/compile/{ruleset,diff,print}.c.
 */
#pragma once

#include <bulkhead/addr.h>

#define BH_TABLE "bulkhead"
#define BH_NAME_MAX 127 /* chain and set names, bytes; letters, digits, / _ . - ; letter first */
#define BH_COMMENT_MAX 127 /* bytes; nft's limit is 128 with the NUL */

enum bh_set_kind {
	BH_SET_ADDR, /* ipv4_addr or ipv6_addr, hash */
	BH_SET_INTERVAL, /* the same, flags interval; elements are disjoint ranges */
	BH_SET_PAIR, /* ADDR . ADDR (source . destination), hash */
	BH_MAP_VERDICT, /* ADDR : verdict (jump CHAIN) */
};

struct bh_set_elem {
	struct bh_addr key; /* INTERVAL: first */
	struct bh_addr key2; /* INTERVAL: last; PAIR: destination; else zero */
	char *chain; /* MAP_VERDICT: jump target */
	char *comment; /* may be NULL */
};

struct bh_set {
	char *name;
	enum bh_set_kind kind;
	uint8_t family; /* enum bh_family */
	char *comment; /* may be NULL */
	struct bh_set_elem *elem; /* sorted by key, key2; keys unique, intervals disjoint */
	size_t n, cap;
};

struct bh_port_range {
	uint16_t first, last; /* 0..65535, host order */
};

/* One match of a rule. `neg` turns set membership round where it is given. */
enum bh_match_kind {
	BH_MATCH_NFPROTO, /* meta nfproto ipv4|ipv6 (family) */
	BH_MATCH_CT_ESTABLISHED, /* ct state established,related */
	BH_MATCH_CT_NEW, /* ct state new */
	BH_MATCH_SADDR_SET, /* ip|ip6 saddr [!=] @name */
	BH_MATCH_DADDR_SET, /* ip|ip6 daddr [!=] @name */
	BH_MATCH_PAIR_SET, /* ip|ip6 saddr . daddr @name */
	BH_MATCH_SADDR_PREFIX, /* ip|ip6 saddr PREFIX */
	BH_MATCH_DADDR_PREFIX, /* ip|ip6 daddr PREFIX */
	BH_MATCH_L4PROTO, /* meta l4proto PROTO */
	BH_MATCH_DPORT, /* tcp|udp|sctp dport PORT | A-B | { … } (proto, ports) */
	BH_MATCH_SPORT, /* the same for the source port */
	BH_MATCH_TCP_NOT_SYN, /* tcp flags & (fin|syn|rst|ack) != syn */
	BH_MATCH_ICMPV6_TYPES, /* icmpv6 type { … } (ports: first = type) */
	BH_MATCH_IIF_LO, /* iif "lo" by name: iifname "lo" */
	BH_MATCH_OIF_LO,
	BH_MATCH_LIMIT, /* limit rate N/second burst M packets */
	BH_MATCH_MARK, /* meta mark & MASK == MARK */
};

/* `deny: reject` cannot be said in a verdict on a queued packet: the daemon answers NF_REPEAT with
 * this bit set in the packet's mark, and the base chains send such packets to chain "refuse". */
#define BH_MARK_REFUSE 0x40000000u

struct bh_match {
	enum bh_match_kind kind;
	bool neg;
	uint8_t family; /* for address matches */
	uint8_t proto; /* L4PROTO, DPORT, SPORT */
	char *set; /* *_SET */
	struct bh_prefix prefix;
	struct bh_port_range *port; /* sorted, disjoint, non-adjacent */
	size_t n_ports;
	uint32_t rate, burst; /* LIMIT: packets per second, packets */
	uint32_t mark, mask; /* MARK */
};

enum bh_action {
	BH_ACT_NONE, /* continue (a counter only) */
	BH_ACT_ACCEPT,
	BH_ACT_DROP,
	BH_ACT_RETURN,
	BH_ACT_JUMP, /* target */
	BH_ACT_GOTO, /* target */
	BH_ACT_QUEUE, /* queue_num, bypass */
	BH_ACT_VMAP_SADDR, /* ip|ip6 saddr vmap @target (family) */
	BH_ACT_VMAP_DADDR,
	BH_ACT_REJECT_TCP_RESET,
	BH_ACT_REJECT_ADMIN, /* icmpx admin-prohibited */
};

struct bh_rule {
	struct bh_match *match;
	size_t n, cap;
	bool counter;
	enum bh_action action;
	uint8_t family; /* VMAP */
	char *target;
	uint16_t queue_num;
	bool bypass;
	char *comment; /* may be NULL */
};

enum bh_hook { BH_HOOK_NONE = -1, BH_HOOK_INPUT = 1, BH_HOOK_FORWARD = 2, BH_HOOK_OUTPUT = 3 };

struct bh_chain {
	char *name;
	enum bh_hook hook; /* NONE: a regular chain; else a base chain, policy accept */
	int priority; /* base chains */
	char *comment; /* may be NULL */
	struct bh_rule *rule;
	size_t n, cap;
};

/* Immutable after sealing. Sets and chains sorted by name. */
struct bh_ruleset {
	struct bh_set *set;
	size_t n_sets, cap_sets;
	struct bh_chain *chain;
	size_t n_chains, cap_chains;
};

struct bh_ruleset *bh_ruleset_new(void);
void bh_ruleset_free(struct bh_ruleset *rs); /* NULL is fine */
/* Builders copy their strings. Returned pointers are borrowed until the next add of the same kind.
 */
struct bh_set *bh_ruleset_add_set(struct bh_ruleset *rs, const char *name, enum bh_set_kind kind,
	uint8_t family, const char *comment);
struct bh_set_elem *bh_set_add(struct bh_set *s, const struct bh_addr *key,
	const struct bh_addr *key2, const char *chain, const char *comment);
struct bh_chain *bh_ruleset_add_chain(struct bh_ruleset *rs, const char *name, enum bh_hook hook,
	int priority, const char *comment);
struct bh_rule *bh_chain_add(struct bh_chain *c, const char *comment);
struct bh_match *bh_rule_match(struct bh_rule *r, enum bh_match_kind kind);
void bh_ruleset_seal(struct bh_ruleset *rs);
const struct bh_set *bh_ruleset_find_set(const struct bh_ruleset *rs, const char *name);
const struct bh_chain *bh_ruleset_find_chain(const struct bh_ruleset *rs, const char *name);
bool bh_rule_equal(const struct bh_rule *a, const struct bh_rule *b);

/*
 * Text as `nft -f` accepts it: "table inet bulkhead { … }", in the order and wording in which
 * `nft list ruleset` (1.0.6) prints it, counters without their values.
 */
void bh_ruleset_print(const struct bh_ruleset *rs, struct bh_buf *out);

/*
 * What has to be sent to turn `from` into `to`, in the order in which it is to be sent: chains,
 * then sets, are added; rules that go are flushed; elements are deleted and added; rules are added;
 * sets, then chains, are deleted. That order works inside one nf_tables transaction.
 */
enum bh_change_kind {
	BH_CHANGE_ADD_SET, /* set: to's; with all its elements */
	BH_CHANGE_ADD_CHAIN, /* chain: to's; without rules, so that maps and jumps can name it */
	BH_CHANGE_FLUSH_CHAIN, /* chain: from's; remove its rules */
	BH_CHANGE_ADD_RULES, /* chain: to's; all its rules */
	BH_CHANGE_DEL_ELEMS, /* set: from's; elem[] */
	BH_CHANGE_ADD_ELEMS, /* set: to's; elem[] */
	BH_CHANGE_DEL_CHAIN, /* chain: from's; empty by then, nothing refers to it */
	BH_CHANGE_DEL_SET, /* set: from's; nothing refers to it */
};

struct bh_change {
	enum bh_change_kind kind;
	const struct bh_set *set; /* borrowed from `from` or `to` */
	const struct bh_chain *chain; /* likewise */
	const struct bh_set_elem **elem;
	size_t n_elems;
};

struct bh_diff {
	struct bh_change *change;
	size_t n, cap;
};

/* `from` may be NULL (nothing installed). Both must outlive the diff. Base chains are never
 * deleted or re-made: a change of hook or priority is a programming error. A set whose kind or
 * family changes under the same name cannot happen: names carry them. */
void bh_ruleset_diff(
	const struct bh_ruleset *from, const struct bh_ruleset *to, struct bh_diff *ret);
void bh_diff_finish(struct bh_diff *d);
/* Carries a difference out on `rs`, which holds what the difference starts from: what was changed
 * in the kernel is changed in our picture of it. Copies what it needs. */
void bh_ruleset_patch(struct bh_ruleset *rs, const struct bh_diff *diff);
