/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ruleset IR: what the tables inet bulkhead and bridge bulkhead are to hold. Made by the
 * compiler, compared by diff, printed as nft syntax by print, carried to the kernel by
 * enforcer/nft. It says what is wanted, in nftables' own terms, with no netlink in it. Implemented
 * in rules/compile/{ruleset,concat,diff,patch,print,print_match}.c.
 */
#pragma once

#include <bulkhead/addr.h>

#define BH_TABLE "bulkhead"
#define BH_NAME_MAX 127 /* chain and set names, bytes; letters, digits, / _ . - ; letter first */
#define BH_COMMENT_MAX 127 /* bytes; nft's limit is 128 with the NUL */

/* Both tables have the same name and change in the same transactions. Names of chains and sets are
 * unique over both. A rule can only refer to what is in its own table. */
enum bh_table {
	BH_TABLE_INET,
	BH_TABLE_BRIDGE, /* frames that enter a bridge: link-layer checks */
};

enum bh_set_kind {
	BH_SET_ADDR, /* ipv4_addr or ipv6_addr, hash */
	BH_SET_INTERVAL, /* the same, flags interval; elements are disjoint ranges */
	BH_SET_PAIR, /* ADDR . ADDR (source . destination), hash */
	BH_MAP_VERDICT, /* ADDR : verdict (jump CHAIN) */
	BH_SET_CONCAT, /* one to BH_PARTS_MAX parts, hash */
};

/* What one part of a concatenation is. */
#define BH_PARTS_MAX 5
enum bh_part {
	BH_PART_ADDR, /* ipv4_addr or ipv6_addr: the set's family */
	BH_PART_IFNAME, /* ifname */
	BH_PART_ETHER, /* ether_addr */
	BH_PART_ETHERTYPE, /* ether_type */
	BH_PART_PROTO, /* inet_proto */
	BH_PART_SERVICE, /* inet_service */
	BH_PART_ND_TARGET, /* an IPv6 address that is read as BH_READ_ND_TARGET */
};

/* One part of an element: big endian, left-aligned, the rest zero. Ether types and ports are 2
 * bytes, protocols 1. */
struct bh_value {
	uint8_t b[16];
};

/* Sets whose elements are nobody's wish: the IR does not have them (elem stays empty), diff, patch
 * and print do not look at them, a rebuild empties them but for what it is given. */
enum bh_volatile {
	BH_VOLATILE_NO,
	BH_VOLATILE_CACHE, /* elements are put in at run time; see BH_CHANGE_FLUSH_SET */
	BH_VOLATILE_DYNAMIC, /* elements are put in by packets (BH_MATCH_UPDATE): flags dynamic */
	BH_VOLATILE_BULK, /* ADDR, INTERVAL: too many to be copied here; put in beside the IR, and
			     again by a rebuild */
	BH_VOLATILE_KEPT, /* CONCAT: put in at run time, stay when the rules change, and are given
			     to a rebuild */
};

struct bh_set_elem {
	struct bh_addr key; /* INTERVAL: first */
	struct bh_addr key2; /* INTERVAL: last; PAIR: destination; else zero */
	char *chain; /* MAP_VERDICT: jump target */
	char *comment; /* may be NULL */
	struct bh_value *value; /* CONCAT: one for each part of the set; else NULL */
	uint8_t n_values;
};

struct bh_set {
	char *name;
	enum bh_set_kind kind;
	uint8_t family; /* enum bh_family; CONCAT without addresses: 0 */
	uint8_t table; /* enum bh_table */
	uint8_t part[BH_PARTS_MAX]; /* CONCAT: enum bh_part */
	uint8_t n_parts;
	uint8_t volatile_; /* enum bh_volatile; BULK for ADDR and INTERVAL, the others for CONCAT */
	bool counter; /* each element counts its look-ups that hit (not for DYNAMIC: the update says
			 what an element has) */
	uint32_t timeout_s; /* default lifetime of an element; 0: none, elements stay */
	uint32_t size; /* at most so many elements; 0: no limit */
	char *comment; /* may be NULL */
	struct bh_set_elem *elem; /* sorted by key, key2, value; keys unique, intervals disjoint */
	size_t n, cap;
};

struct bh_port_range {
	uint16_t first, last; /* 0..65535, host order */
};

/* One match of a rule. `neg` turns set membership round where it is given. */
enum bh_match_kind {
	BH_MATCH_NFPROTO, /* meta nfproto ipv4|ipv6 (family) */
	BH_MATCH_CT_ESTABLISHED, /* ct state established */
	BH_MATCH_CT_RELATED, /* ct state related */
	BH_MATCH_CT_UNKNOWN, /* ct state invalid,new: no packet of a flow that is known */
	BH_MATCH_CT_DNAT, /* ct status dnat: its destination was rewritten */
	BH_MATCH_CT_CONFIRMED, /* ct status confirmed: not the first packet of its flow */
	BH_MATCH_CT_UNCONFIRMED, /* ct status ! confirmed: the first packet, and conntrack knows it
				  */
	BH_MATCH_CT_REPLY, /* ct direction reply */
	BH_MATCH_SADDR_SET, /* ip|ip6 saddr [!=] @name */
	BH_MATCH_DADDR_SET, /* ip|ip6 daddr [!=] @name */
	BH_MATCH_PAIR_SET, /* ip|ip6 saddr . daddr @name */
	BH_MATCH_SADDR_PREFIX, /* ip|ip6 saddr PREFIX */
	BH_MATCH_DADDR_PREFIX, /* ip|ip6 daddr PREFIX */
	BH_MATCH_L4PROTO, /* meta l4proto PROTO */
	BH_MATCH_DPORT, /* tcp|udp|sctp dport PORT | A-B | { … } (proto, ports) */
	BH_MATCH_SPORT, /* the same for the source port */
	BH_MATCH_TH_DPORT, /* th dport PORT: any transport protocol that has it there (ports: one)
			    */
	BH_MATCH_TH_SPORT, /* th sport PORT */
	BH_MATCH_TCP_NOT_SYN, /* tcp flags & (fin|syn|rst|ack) != syn */
	BH_MATCH_ICMPV6_TYPES, /* icmpv6 type { … } (ports: first = type) */
	BH_MATCH_IP6_HOPS, /* ip6 hoplimit N (proto: 1..255) */
	BH_MATCH_IP6_FRAGMENT, /* exthdr frag exists: a fragment, or one in itself */
	BH_MATCH_IIF_LO, /* iif "lo" by name: iifname "lo" */
	BH_MATCH_OIF_LO,
	BH_MATCH_IIF_BRIDGE, /* meta iifkind "bridge": in an inet chain, came in by a bridge */
	BH_MATCH_LIMIT, /* limit rate N/second burst M packets */
	BH_MATCH_MARK, /* meta mark & MASK == MARK */
	BH_MATCH_IP_OPTION, /* ip option lsrr|ssrr exists (proto: the option's number, RFC 791) */
	/* ether type [!=] TYPE | { … } (ports: first = last = type). Bridge table only. Not needed
	 * before a match of the rule that implies the same type, as all do that read an address,
	 * ARP or ICMPv6; nft would not list it then. Types come from the frame: a tagged one is
	 * 0x8100 or 0x88a8 also when its tag was taken off already. */
	BH_MATCH_ETHER_TYPE,
	/* vlan id 0: a tag of type 0x8100 or 0x88a8 that says no more than a priority, which a host
	 * takes off (ports: first = last = its type; then, if given, the type behind it: vlan
	 * type). Bridge table only. An address that the rule reads then is the one behind the tag.
	 */
	BH_MATCH_VLAN_ZERO,
	BH_MATCH_CONCAT_SET, /* READ . READ … [!=] @set (read, n_reads, family) */
	/*
	 * update @set { READ . READ … [limit rate over RATE/second burst BURST packets] [counter] }
	 * on a DYNAMIC set: makes or refreshes the packet's element. Without limit (rate 0) it
	 * always matches. With limit it matches when the packet is over the element's rate, and
	 * only those packets are counted. Never matches when the set is full.
	 */
	BH_MATCH_UPDATE,
};

/* Where a part of a concatenation is read from, in the packet. Addresses are the match's family. */
enum bh_read {
	BH_READ_IIFNAME,
	BH_READ_OIFNAME,
	BH_READ_ETHER_SADDR, /* bridge table only, as all of ether and arp */
	BH_READ_ETHER_DADDR,
	BH_READ_ETHER_TYPE,
	BH_READ_SADDR, /* ip|ip6 saddr */
	BH_READ_DADDR,
	BH_READ_ARP_SADDR_ETHER, /* ARP over Ethernet for IPv4: sender's */
	BH_READ_ARP_SADDR_IP,
	/* The target address of a neighbour solicitation or advertisement. After
	 * BH_MATCH_ICMPV6_TYPES, which says that it is one. */
	BH_READ_ND_TARGET,
	BH_READ_L4PROTO, /* meta l4proto */
	BH_READ_SPORT, /* th sport: any transport protocol with ports */
	BH_READ_DPORT,
	/* ct original|reply ip|ip6 saddr: of an ICMP error that is related, the flow it is about.
	 */
	BH_READ_CT_ORIGINAL_SADDR,
	BH_READ_CT_REPLY_SADDR,
	BH_READ_CT_ORIGINAL_DADDR, /* where it was meant to go, before any DNAT */
	BH_READ_SADDR_24, /* ip saddr & 255.255.255.0: IPv4 only, as the three below */
	BH_READ_SADDR_16, /* ip saddr & 255.255.0.0 */
	BH_READ_DADDR_24,
	BH_READ_DADDR_16,
};

/* `deny: reject` cannot be said in a verdict on a queued packet: the daemon answers NF_REPEAT with
 * this bit set in the packet's mark, and the base chains send such packets to chain "refuse". */
#define BH_MARK_REFUSE 0x40000000u

struct bh_match {
	enum bh_match_kind kind;
	bool neg;
	uint8_t family; /* for address matches */
	uint8_t proto; /* L4PROTO, DPORT, SPORT */
	char *set; /* *_SET, UPDATE */
	struct bh_prefix prefix;
	struct bh_port_range *port; /* sorted, disjoint, non-adjacent */
	size_t n_ports;
	uint32_t rate, burst; /* LIMIT, UPDATE: packets per second, packets */
	uint32_t mark, mask; /* MARK */
	uint8_t read[BH_PARTS_MAX]; /* CONCAT_SET, UPDATE: enum bh_read, as many as the set's parts
				     */
	uint8_t n_reads;
	bool counter; /* UPDATE */
};

enum bh_action {
	BH_ACT_NONE, /* continue (a counter only) */
	BH_ACT_ACCEPT,
	BH_ACT_DROP,
	BH_ACT_RETURN,
	BH_ACT_JUMP, /* target */
	BH_ACT_GOTO, /* target */
	BH_ACT_QUEUE, /* queue_num, bypass */
	BH_ACT_LOG, /* a copy to NFLOG's group queue_num, at most snap_len bytes; goes on */
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
	uint16_t snap_len; /* LOG */
	char *comment; /* may be NULL */
};

/* The same numbers in both families. */
enum bh_hook {
	BH_HOOK_NONE = -1,
	BH_HOOK_PREROUTING = 0,
	BH_HOOK_INPUT = 1,
	BH_HOOK_FORWARD = 2,
	BH_HOOK_OUTPUT = 3
};

struct bh_chain {
	char *name;
	uint8_t table; /* enum bh_table */
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
 * Everything is in table inet unless `table` is set in what is returned. */
struct bh_set *bh_ruleset_add_set(struct bh_ruleset *rs, const char *name, enum bh_set_kind kind,
	uint8_t family, const char *comment);
/* A set of concatenations: n_parts 1..BH_PARTS_MAX of enum bh_part. family is what ADDR means, 0
 * without any. The rest (volatile_, timeout_s, size, counter) is set in what is returned. */
struct bh_set *bh_ruleset_add_concat_set(struct bh_ruleset *rs, const char *name,
	enum bh_table table, uint8_t family, const uint8_t *part, size_t n_parts,
	const char *comment);
struct bh_set_elem *bh_set_add(struct bh_set *s, const struct bh_addr *key,
	const struct bh_addr *key2, const char *chain, const char *comment);
/* value: as many as the set has parts; copied. */
struct bh_set_elem *bh_set_add_parts(
	struct bh_set *s, const struct bh_value *value, const char *comment);
struct bh_value bh_value_addr(const struct bh_addr *a); /* ADDR, ND_TARGET */
struct bh_value bh_value_ifname(const char *name); /* at most 15 bytes count */
struct bh_value bh_value_ether(const uint8_t mac[static 6]);
struct bh_value bh_value_u16(uint16_t n); /* ETHERTYPE, SERVICE; host order */
struct bh_value bh_value_u8(uint8_t n); /* PROTO */
size_t bh_part_len(enum bh_part part, uint8_t family); /* bytes that count in a value: 1..16 */
struct bh_chain *bh_ruleset_add_chain(struct bh_ruleset *rs, const char *name, enum bh_hook hook,
	int priority, const char *comment);
struct bh_rule *bh_chain_add(struct bh_chain *c, const char *comment);
struct bh_match *bh_rule_match(struct bh_rule *r, enum bh_match_kind kind);
/* CONCAT_SET and UPDATE: what the set is asked for. read: n of enum bh_read. */
struct bh_match *bh_rule_match_parts(struct bh_rule *r, enum bh_match_kind kind, uint8_t family,
	const char *set, const uint8_t *read, size_t n);
void bh_ruleset_seal(struct bh_ruleset *rs);
const struct bh_set *bh_ruleset_find_set(const struct bh_ruleset *rs, const char *name);
const struct bh_chain *bh_ruleset_find_chain(const struct bh_ruleset *rs, const char *name);
bool bh_rule_equal(const struct bh_rule *a, const struct bh_rule *b);

/*
 * Text as `nft -f` accepts it: "table inet bulkhead { … }", and "table bridge bulkhead { … }" if
 * there is anything in it, in the order and wording in which `nft list ruleset` (1.0.6) prints it,
 * counters without their values.
 */
void bh_ruleset_print(const struct bh_ruleset *rs, struct bh_buf *out);

/*
 * What has to be sent to turn `from` into `to`, in the order in which it is to be sent: chains,
 * then sets, are added; rules that go are flushed; elements are deleted and added; rules are added;
 * sets, then chains, are deleted. That order works inside one nf_tables transaction.
 *
 * Sets of BH_VOLATILE_CACHE that are in both are flushed if there is any other change, so that no
 * cached verdict outlives the policy that gave it. Whoever compares parts of rulesets has to put
 * those sets into both parts.
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
	BH_CHANGE_FLUSH_SET, /* set: to's; whatever elements it has */
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
 * deleted or re-made: a change of hook or priority is a programming error, and so is a change of
 * a chain's table, or of anything but comment and elements of a set under the same name. */
void bh_ruleset_diff(
	const struct bh_ruleset *from, const struct bh_ruleset *to, struct bh_diff *ret);
void bh_diff_finish(struct bh_diff *d);
/* Carries a difference out on `rs`, which holds what the difference starts from, but is not what it
 * borrows from: what was changed in the kernel is changed in our picture of it. Copies what it
 * needs. */
void bh_ruleset_patch(struct bh_ruleset *rs, const struct bh_diff *diff);
