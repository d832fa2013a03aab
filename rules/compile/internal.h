/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of this folder share: the compiled artefact.
 *
 * A plan is what comes from the policies alone, and the pool of everything that was made for them
 * so far: classes, selections, groups, kernel sets. Engines are views of a plan for one inventory
 * each. The pool only grows, by the thread that compiles; packet threads read the pool through the
 * pointer arrays of their own engine, never through the plan's, which move.
 *
 * Invariants, once an engine has been returned: nothing in it changes but its reference count;
 * every index is in range; everything borrowed is borrowed from its plan or its inventory, on
 * which it holds references.
 */
#pragma once

#include <bulkhead/engine.h>

/* --- interning: byte strings → dense indexes, in order of first appearance --- */
struct bh_intern_key {
	size_t off, len;
	uint64_t hash;
};
struct bh_intern {
	uint32_t *slot; /* index + 1; 0 = empty */
	size_t mask;
	struct bh_intern_key *key;
	size_t n, cap;
	struct bh_buf bytes;
};
uint32_t bh_intern(struct bh_intern *t, const void *key, size_t len, bool *ret_new);
void bh_intern_finish(struct bh_intern *t);

/* Pointers that live as long as the pool. */
struct bh_pointers {
	void **item;
	size_t n, cap;
	struct bh_intern key; /* index of a key here = index in item */
};

/* --- peers --- */

/* Whom one peer of a rule means; shared by every rule, of whatever policy, that says the same. */
struct bh_peer {
	const struct bh_policy_peer *said; /* by the first one that said it */
	const char *namespace; /* podSelector alone: the policy's own namespace; else NULL */
	bool addresses; /* ipBlock, networks, nodes: `ranges`; else workloads, by class */
	struct bh_ranges ranges; /* normalised, of either family */
	char *text; /* for people: "app=web in shop", "203.0.113.0/24 except …" */
};

/* The peers of a rule, by index in the plan; in the rule's own order. */
struct bh_plan_rule {
	uint32_t *peer;
};
struct bh_plan_policy {
	struct bh_plan_rule *rule[2];
};

/* A port's name in an egress rule: whoever serves it, under whatever number. */
struct bh_port_name {
	const char *name;
	uint8_t proto;
};

/* --- what the pool holds --- */

/* Policies with something to say in one direction: Admin tier, NetworkPolicies, Baseline tier, each
 * in the order in which they are asked. */
struct bh_selection {
	const struct bh_policy **policy;
	uint32_t *index; /* the same ones in the policy set */
	size_t n, n_admin, n_np;
};

/* The policies and the peers whose namespace or namespace selector means a namespace. */
struct bh_view {
	char *namespace;
	struct bh_labels labels;
	uint32_t *policy, *peer;
	size_t n_policies, n_peers;
};

/* Workloads of one namespace that no selector of any policy can tell apart. */
struct bh_class {
	uint64_t *peer; /* bit per peer of the plan: is it meant? */
	uint64_t *policy; /* bit per policy of the set: is it selected? */
	uint32_t selection[2];
};

/* The rules of a group in the order in which they decide. */
struct bh_order {
	const struct bh_policy *policy;
	uint32_t rule;
	enum bh_rule_action action;
};

/*
 * A set in the kernel: the workloads that a peer means (one nft set for each family), the addresses
 * that some peers mean (of one family), or ports. Workloads of several peers are not put together:
 * that makes five times as many elements, and every start touches them all.
 */
struct bh_kset {
	uint32_t index; /* in the pool */
	enum { BH_KSET_WORKLOADS, BH_KSET_ADDRESSES, BH_KSET_PORTS } kind;
	uint8_t family; /* of addresses */
	uint32_t *peer; /* sorted; WORKLOADS has one */
	size_t n_peers;
	uint16_t *port; /* PORTS: sorted */
	size_t n_ports;
	struct bh_ranges ranges; /* addresses */
	bool plain; /* addresses: exactly one prefix, for which no set is needed */
	struct bh_prefix prefix;
	char *slug; /* name of the nft set behind "pods4-", "block6-" …; the name of ports */
	char *text;
};

struct bh_hit {
	struct bh_kset *pods; /* NULL: the peer means addresses */
	uint32_t peer; /* in the plan */
	uint32_t order; /* the first rule of the row that names it */
	int32_t index; /* in that rule */
};

/* What rules of one run (neighbours with the same action, whose order does not matter) say of the
 * same ports: one or two rules for the kernel. */
struct bh_row {
	uint32_t run;
	enum bh_rule_action action;
	uint8_t proto; /* 0: every protocol, ports or not */
	struct bh_port_range *port; /* sorted, disjoint; none: every port of proto */
	size_t n_ports;
	int32_t named; /* index of a bh_port_name instead of ports; −1 = none */
	int64_t any; /* order of the first rule that means any peer; −1 = none */
	struct bh_hit *hit; /* sorted by peer */
	size_t n_hits, cap_hits;
	struct bh_kset *block[2]; /* by family: IPv4, IPv6; NULL = nobody */
	struct bh_kset *ports; /* the single ones of `port`, if there are several; else NULL */
	uint32_t first; /* order of its first rule */
	struct bh_buf comment;
	const struct bh_policy *noted; /* whose rule the comment named last, */
	uint32_t noted_rule; /* and which */
};

/* What one rule says of somebody: for the ports of a row. */
struct bh_talk {
	uint32_t order;
	uint32_t row;
	int32_t index; /* of the peer in the rule; −1: the rule means any, BH_TALK_PEER: the row
			  knows */
};
#define BH_TALK_PEER (-2)
#define BH_COLUMN_SHORT 4 /* talks that are asked one by one just as fast */

enum { BH_SEG_TCP, BH_SEG_UDP, BH_SEG_SCTP, BH_SEG_OTHER, BH_SEGS };

/*
 * All that the rules of a tier say of somebody. First the talks about ports by number (or any
 * port), then those about ports by name, each in the order in which they decide. A long column also
 * has the ports cut into pieces, each with the talk that decides there.
 */
struct bh_column {
	uint32_t talk, n, n_named; /* talk[talk .. talk + n + n_named) */
	uint32_t piece[BH_SEGS +
		       1]; /* by protocol: first[piece[s] .. piece[s + 1]); none: all equal */
};

/* Bits of peers, and how many peers come before them. */
struct bh_word {
	uint32_t at; /* in bh_class.peer */
	uint32_t rank;
	uint64_t bits;
};

struct bh_key {
	uint64_t hi, lo; /* an address as a number; of IPv4 only lo */
};

/* Addresses of one family, cut where some peer's range begins or ends. */
struct bh_cuts {
	struct bh_key *edge; /* sorted: where a piece begins; the last one is behind all of them */
	size_t n; /* pieces; 0: no rule of the tier lists addresses */
	uint32_t *start; /* n + 1: slices of `column` */
	uint32_t *column;
};

/* From who the other end is to the rules that mean it, and from there by the port to the one that
 * decides: a thousand rules cost as little as one. See index.c. */
struct bh_index {
	struct bh_talk *talk;
	size_t n_talks, cap_talks;
	struct bh_column *column;
	size_t n_columns, cap_columns;
	uint16_t *first; /* pieces of ports: the first of each … */
	uint32_t *winner; /* … and the talk that decides there; BH_NO_TALK */
	size_t n_pieces, cap_first, cap_winner;
	struct bh_word *word; /* the peers that mean workloads */
	size_t n_words;
	uint32_t *column_of; /* by rank of the peer */
	int64_t any; /* column of the rules that mean any peer; −1 = none */
	struct bh_cuts cuts[2]; /* IPv4, IPv6 */
};
#define BH_NO_TALK UINT32_MAX

struct bh_tier_rows {
	struct bh_row *row;
	size_t n, cap;
	struct bh_index index;
};

struct bh_group {
	enum bh_direction direction;
	enum bh_mode mode;
	const struct bh_selection *selection;
	bool quarantine; /* the tier of NetworkPolicy holds what it still allows */
	struct bh_order *order;
	size_t n_orders;
	struct bh_tier_rows tier[3]; /* by enum bh_tier */
	char *chain, *comment;
};

/* All that a packet thread asks of a workload, side by side. */
struct bh_place {
	uint32_t class;
	int32_t group[2]; /* by direction: index or BH_GROUP_* */
	uint8_t mode; /* enum bh_mode */
	bool quarantined;
	bool isolated[2]; /* by direction: a NetworkPolicy selects it */
};

enum { BH_GROUP_NONE = -1, BH_GROUP_UNGOVERNED = -2 };

/* More addresses of one family than this, and only an address reaching itself counts as SELF. */
#define BH_SELF_MAX 16

/* The groups, by direction, of workloads that agree in class, mode and named ports. */
struct bh_seat {
	int32_t group[2];
};

struct bh_plan {
	int refs;
	struct bh_policy_set *policies;
	struct bh_engine_opts opts;
	struct bh_peer *peer;
	size_t n_peers, cap_peers;
	struct bh_intern peer_key;
	struct bh_plan_policy *policy; /* by index in the set */
	uint32_t *asked; /* indexes of the set in the order of asking: by tier, priority, name */
	const char **label_key; /* of workloads, that some selector asks for; sorted, unique */
	size_t n_label_keys;
	struct bh_port_name *port_name;
	size_t n_port_names, cap_port_names;
	struct bh_intern port_name_key;

	struct bh_pointers view, class, selection, group, kset;
	struct bh_intern seat_key;
	struct bh_seat *seat; /* by key */
	size_t cap_seats;
	struct bh_intern name, identity; /* of chains and sets; see names.c */
	uint32_t *name_owner; /* by name: identity */
	size_t cap_names;
};

/* Numbers under which a port name of the plan is served. */
struct bh_served {
	uint16_t port;
	uint32_t workloads; /* that serve it */
};
struct bh_served_name {
	struct bh_served *item; /* sorted by port */
	size_t n, cap;
};

struct bh_engine {
	int refs;
	struct bh_plan *plan;
	struct bh_inventory *inv;
	/* The pool as it was when this engine was made. */
	struct bh_class **class;
	struct bh_selection **selection;
	struct bh_group **group;
	size_t n_classes, n_selections, n_groups;

	struct bh_place *place; /* by workload */
	uint32_t *members; /* by group */
	struct bh_kset **kset;
	size_t n_ksets;
	uint32_t *kset_uses, *name_uses; /* by groups with members: kernel sets, port names */
	struct bh_served_name *served; /* by port name of the plan */
	struct bh_ranges ungoverned; /* broadcast addresses */
};

/* plan.c */
struct bh_plan *bh_plan_new(struct bh_policy_set *policies, const struct bh_inventory *inv,
	const struct bh_engine_opts *opts);
struct bh_plan *bh_plan_ref(struct bh_plan *p);
void bh_plan_unref(struct bh_plan *p);

/* peers.c: interns every peer and every port name of egress rules. */
void bh_plan_peers(struct bh_plan *p, const struct bh_inventory *inv);
void bh_peers_finish(struct bh_plan *p);
uint32_t bh_plan_port_name(struct bh_plan *p, const char *name, uint8_t proto, bool *ret_new);

/* classes.c */
uint32_t bh_class_of(
	struct bh_plan *p, const struct bh_inventory *inv, const struct bh_workload *w);
void bh_view_free(struct bh_view *v);
void bh_class_free(struct bh_class *c);
void bh_selection_free(struct bh_selection *s);
static inline bool bh_bit(const uint64_t *set, size_t i)
{
	return set[i / 64] >> (i % 64) & 1;
}

/* engine.c: the pieces of making one */
struct bh_engine *bh_engine_new(struct bh_plan *plan, struct bh_inventory *inv); /* takes plan */
void bh_engine_place(struct bh_engine *e, size_t workload);
void bh_engine_take_pool(struct bh_engine *e); /* when every workload has its place */

/* uses.c: which sets groups need in the kernel */
bool bh_row_in_kernel(const struct bh_engine *e, const struct bh_row *r);
void bh_group_uses(const struct bh_engine *e, const struct bh_group *g, uint32_t *kset_uses,
	uint32_t *name_uses);

/* groups.c */
void bh_groups_of(
	struct bh_plan *p, const struct bh_workload *w, uint32_t class, int32_t ret[static 2]);
void bh_group_free(struct bh_group *g);

/* rows.c */
void bh_compile_rows(struct bh_plan *p, const struct bh_workload *example, struct bh_group *g);
void bh_compile_quarantine(struct bh_plan *p, const struct bh_quarantine *q, struct bh_group *g);
void bh_rows_finish(struct bh_tier_rows *t);
/* The numbers under which `w` serves a named port (proto 0: of any protocol), as ranges of one
 * port; sorted, unique. Owned, may be NULL. */
struct bh_port_range *bh_own_ports(
	const struct bh_workload *w, const char *name, uint8_t proto, size_t *ret_n);

/* Addresses that a row means. */
struct bh_block {
	struct bh_range range;
	struct bh_talk talk;
};

/* index.c: when the rows of a tier are complete. `part`: addresses that no peer says, or NULL. */
void bh_compile_index(
	const struct bh_plan *p, struct bh_tier_rows *t, const struct bh_block *part, size_t n);
void bh_index_finish(struct bh_index *x);
static inline int bh_segment_of(uint8_t proto)
{
	return proto == BH_TCP    ? BH_SEG_TCP
	       : proto == BH_UDP  ? BH_SEG_UDP
	       : proto == BH_SCTP ? BH_SEG_SCTP
				  : BH_SEG_OTHER;
}
/* How many of first[0..n) are not above `port`, minus one: n ≥ 1 and first[0] = 0. Without a branch
 * that depends on the numbers: half of them would be mispredicted. */
static inline size_t bh_piece_of(const uint16_t *first, size_t n, uint16_t port)
{
	size_t at = 0;
	while (n > 1) {
		size_t half = n / 2;
		at += half & -(size_t)(first[at + half] <= port);
		n -= half;
	}
	return at;
}

/* columns.c. talk[0..n) in any order; returns the column's number. `seen` tells equal ones. */
uint32_t bh_column_of(
	struct bh_tier_rows *t, struct bh_intern *seen, struct bh_talk *talk, size_t n);

/* cuts.c: part[0..n), n > 0, all of one family. */
void bh_compile_cuts(struct bh_tier_rows *t, struct bh_intern *seen, const struct bh_block *part,
	size_t n, struct bh_cuts *ret);
/* The columns that apply to an address. */
size_t bh_cuts_find(const struct bh_cuts *c, const struct bh_addr *a, const uint32_t **ret);

/* ksets.c */
struct bh_kset *bh_kset_workloads(struct bh_plan *p, uint32_t peer);
struct bh_kset *bh_kset_addresses(
	struct bh_plan *p, const uint32_t *peer, size_t n, uint8_t family);
struct bh_kset *bh_kset_ports(struct bh_plan *p, const struct bh_port_range *port, size_t n);
struct bh_kset *bh_kset_prefix(struct bh_plan *p, const struct bh_prefix *prefix); /* no peers */
bool bh_kset_has(const struct bh_kset *s, const struct bh_class *c);
void bh_kset_free(struct bh_kset *s);

/* served.c */
void bh_served_add(struct bh_engine *e, const struct bh_workload *w, int sign);
void bh_served_copy(struct bh_engine *to, const struct bh_engine *from);
bool bh_served_same(const struct bh_engine *a, const struct bh_engine *b); /* the numbers */
void bh_served_finish(struct bh_engine *e);
bool bh_serves(const struct bh_workload *w, const struct bh_port_name *name, uint16_t port);

/* names.c: a readable part of `text` behind `prefix`, and a hash of `identity`: always the same
 * name for the same identity, and no name for two. */
char *bh_compile_name(
	struct bh_plan *p, const char *prefix, const char *text, const void *identity, size_t len);

/* evaluate.c */
bool bh_engine_is_self(const struct bh_engine *e, const struct bh_flow *f, int src, int dst);
bool bh_self_by_pair(const struct bh_workload *w, uint8_t family);
enum bh_outcome {
	BH_OUT_ACCEPT, /* a rule */
	BH_OUT_DENY, /* a rule */
	BH_OUT_UNMATCHED, /* isolated, and no rule allows it */
	BH_OUT_DEFAULT, /* nobody has anything to say */
};
struct bh_step {
	bool asked, matched;
	struct bh_rule_ref rule;
	enum bh_rule_action action;
};
/* What the tiers of a group say, one after the other; step[] by enum bh_tier. */
enum bh_outcome bh_group_decide(const struct bh_engine *e, const struct bh_group *g,
	const struct bh_flow *f, const int owner[2], struct bh_step step[static 3]);

/* emit_groups.c: the chains of groups, and the sets that they use. */
struct bh_emit_use {
	const struct bh_engine *e;
	struct bh_ruleset *rs;
	struct bh_intern seen; /* sets in rs already, by name */
	uint32_t *of_class, *from; /* workloads by class: of_class[from[c]..from[c + 1]) */
	const struct bh_engine *known; /* its sets are there already: only chains name them */
};
void bh_emit_group(struct bh_emit_use *u, const struct bh_group *g);
void bh_emit_use_finish(struct bh_emit_use *u);

/* emit.c */
struct bh_emit {
	const struct bh_engine *e;
	const struct bh_emit_opts *opts;
	struct bh_ruleset *rs;
};
void bh_emit_set_match(
	struct bh_rule *r, enum bh_match_kind kind, enum bh_family family, const char *set);
void bh_emit_go(struct bh_rule *r, enum bh_action action, const char *target);

/* emit_ends.c: the chains that end a packet's way, the cache and the pace */
void bh_emit_ends(const struct bh_emit *m);
void bh_emit_cache(const struct bh_emit *m, struct bh_chain *c);
void bh_emit_cache_sets(struct bh_ruleset *rs);
void bh_emit_unknown(struct bh_chain *c, enum bh_match_kind kind);

/* emit_passed.c */
/* emit_names.c: the jump stands before everything else. Nothing without opts->names. */
void bh_emit_names_jump(const struct bh_emit *m, struct bh_chain *c);
void bh_emit_names(const struct bh_emit *m);
void bh_emit_passed(struct bh_chain *c, enum bh_match_kind kind);
void bh_emit_passed_chain(struct bh_ruleset *rs);

/* emit_guard.c: identity is bound to the veth */
void bh_emit_guard(const struct bh_emit *m);
/* emit_ports.c. _node_sets: the node's own addresses; _ports: what each veth may send, of the
 * workloads `which` (NULL: all, n of them) */
void bh_emit_node_sets(struct bh_ruleset *rs, const struct bh_engine *e);
void bh_emit_ports(
	struct bh_ruleset *rs, const struct bh_engine *e, const uint32_t *which, size_t n);

/* emit_crowding.c. _jump: for the source of what is not established. Nothing without crowding. */
void bh_emit_crowding_jump(const struct bh_emit *m, struct bh_chain *c);
void bh_emit_crowding(const struct bh_emit *m);

/* emit_feeds.c. _threat: looks at one address of the packets of a base chain */
void bh_emit_threat(struct bh_chain *c, enum bh_match_kind kind);
void bh_emit_threats(const struct bh_emit *m);

/* emit_surroundings.c */
void bh_emit_surroundings(const struct bh_emit *m);

/* emit_workloads.c: the sets that workloads fill, from all (which NULL) or some of them */
bool bh_emit_is_homed(const struct bh_workload *w);
enum bh_map { BH_MAP_OBSERVE, BH_MAP_ENFORCE, BH_MAP_QUARANTINE, BH_MAPS };
const char *bh_emit_map_name(
	enum bh_map map, enum bh_direction d, enum bh_family family, char buf[static 24]);
void bh_emit_workloads(
	struct bh_ruleset *rs, const struct bh_engine *e, const uint32_t *which, size_t n);

/* emit_sets.c: adds a set that is not there yet, with its elements. */
void bh_emit_kset(struct bh_emit_use *u, const struct bh_kset *s, uint8_t family);
void bh_emit_named(struct bh_emit_use *u, size_t name, uint16_t port);
void bh_kset_name(const struct bh_kset *s, uint8_t family, struct bh_buf *ret);
void bh_named_name(const struct bh_port_name *s, uint16_t port, uint8_t family, struct bh_buf *ret);
struct bh_set *bh_emit_named_set(
	struct bh_ruleset *rs, const struct bh_port_name *n, uint16_t port, uint8_t family);
/* Adds the workload's addresses of the set's family that are its own (not claimed by an earlier
 * workload or the node) to a set or, with `chain`, to a verdict map. */
void bh_emit_addresses(
	const struct bh_engine *e, size_t workload, struct bh_set *set, const char *chain);

/* explain.c, explain_considered.c, explain_suggest.c */
struct bh_explain {
	const struct bh_engine *e;
	const struct bh_flow *f;
	struct bh_decision d;
	struct bh_buf *out;
};
const struct bh_addr *bh_explain_addr(const struct bh_explain *x, enum bh_direction d);
void bh_explain_considered(const struct bh_explain *x, enum bh_direction d);
bool bh_explain_quarantined(const struct bh_explain *x, enum bh_direction d); /* and it decides */
void bh_explain_suggest(const struct bh_explain *x);
