/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Evaluator and kernel agree: random worlds (tests/lib/random_world.h), whose rulesets are loaded
 * in a network namespace of this program's own, and real packets from every end to every other.
 * What arrives must be what the evaluator allows.
 *
 *   main     worlds and their changes
 *   account  what was tried
 *   lab      the namespaces, links and sockets
 *   packet   frames and their tokens
 *   probe    which flows to try
 *   send     sending them, what arrived
 *   kernel   the ruleset in the kernel; sabotage, to show that the test can fail
 *   shrink   the smallest world in which a disagreement stays
 *   edit     what can be taken away from a world
 *   show     a world as a conformance case
 *   prune    policies without one of their parts
 */
#pragma once

#include <netinet/in.h>

#include "lib/random_world.h"
#include "nft/nft.h"

/* --- lab --- */

/* Slots 0 … 13 are the workloads w0 … w13 (some on the bridge, some on routed veths); then
 * somebody on the bridge whom nobody knows, and everything beyond the node's uplink. */
enum {
	WORKLOAD_SLOTS = RANDOM_WORKLOADS_MAX,
	SLOT_STRANGER = WORKLOAD_SLOTS,
	SLOT_OUTSIDE,
	SLOTS,
	SLOT_NODE = SLOTS
};

struct slot {
	pid_t holder; /* of the namespace at the other end */
	int fd; /* AF_PACKET there, not blocking */
	uint8_t mac[6]; /* there */
	uint8_t gateway[6]; /* the node's, as seen from there */
	bool bridged;
	char dev[8]; /* the node's side */
};

#define NODE_PROTOS 5

struct lab {
	struct slot slot[SLOTS];
	int node_rx[2][NODE_PROTOS]; /* raw, IPv4 and IPv6: what passed the input hook */
	int node_tx[2];
	struct bh_buf plan; /* commands that take back the present world's routes */
};

void lab_open(struct lab *l); /* exits with BH_TEST_SKIP where namespaces can't be made */
void lab_close(struct lab *l);
/* Routes and neighbours for the world's addresses. */
void lab_address(struct lab *l, const struct bh_inventory *inv);
/* Who holds an address in this world: a slot or SLOT_NODE; −1: nobody. */
int lab_holder(const struct bh_inventory *inv, const struct bh_addr *a);
extern const char *const lab_externals[];
extern const size_t lab_n_externals;

/* --- packet --- */

enum { PROTO_OTHER = 253 }; /* RFC 3692: for experiments */

/* An IP packet (no Ethernet header), checksums right. Returns its length, at most 128. */
size_t packet_build(const struct bh_flow *f, uint32_t token, uint8_t ret[static 128]);
/* The flow and token of a packet as packet_build makes them; false: something else. */
bool packet_parse(const uint8_t *p, size_t len, struct bh_flow *ret, uint32_t *ret_token);
/* The same from the transport header on; flow's addresses and protocol are given. */
bool packet_parse_payload(const uint8_t *p, size_t len, struct bh_flow *f, uint32_t *ret_token);

/* --- probe --- */

struct probe {
	struct bh_flow flow;
	int from, to; /* slots */
	bool direct; /* over the bridge; else by the node's routing */
	bool special; /* the source port is part of the question */
	bool arrived;
	uint32_t token;
};

struct probes {
	struct probe *item;
	size_t n, cap;
};

/* Up to `max` probes of every pair of ends, aimed at the ports that the policies speak of. */
void probes_make(struct probes *p, struct random_world *w, size_t max);
/* Sends them all, each with a source port and token of its own, and waits until the path is dry.
 */
void probes_run(struct lab *l, struct probe *p, size_t n);

/* --- kernel --- */

enum sabotage { SABOTAGE_NONE, SABOTAGE_PORTS, SABOTAGE_PEERS, SABOTAGE_MAPS };

struct kernel {
	struct bh_nft *nft;
	struct bh_ruleset *have; /* our picture of what is loaded; NULL: load all anew */
	struct bh_engine *engine; /* of what is loaded */
	enum sabotage sabotage;
	size_t rebuilds, diffs, derived; /* how it was loaded */
	char why[512]; /* kernel_load failed */
};

void kernel_open(struct kernel *k);
void kernel_close(struct kernel *k);
/* The world's ruleset: by the difference to what is loaded if there is something, and where only
 * workloads changed by an engine derived from the one before. False (see `why`): the kernel
 * refused it, or what is loaded is not what was meant. */
bool kernel_load(struct kernel *k, const struct random_world *w);
void kernel_forget(struct kernel *k); /* the next load starts anew */

/* --- account --- */

/* What was tried, so that agreement says something. */
struct account {
	size_t worlds, states, probes;
	size_t verdict[5][2][2]; /* TCP, UDP, SCTP, ICMP, other; IPv4, IPv6; denied, allowed */
	size_t path[4][2]; /* bridged, routed, to the node, from it; denied, allowed */
	size_t rule[3][2]; /* by enum bh_tier: a rule of it denied, allowed on some side */
	size_t unmatched; /* denied because isolated */
	size_t would_deny; /* allowed for the mode's sake */
};

void account_count(struct account *a, const struct probe *p, const struct bh_decision *d);
/* Has everything happened often enough for a run of some thousand probes? */
bool account_balanced(const struct account *a);
void account_print(const struct account *a);

/* --- a disagreement --- */

struct trouble {
	struct random_world state[2]; /* the last is the one in which it was seen */
	size_t n_states;
	struct probe probe;
	uint64_t seed;
	bool arrived, evaluator, reference; /* true: allow */
	char why[512]; /* no packet: kernel_load fails */
};

/* What the evaluator says of a probe, and whether the reference allows it. */
void judge(const struct kernel *k, const struct random_world *w, const struct probe *p,
	struct bh_decision *ret_evaluator, bool *ret_reference);
/* Tries it again alone, in worlds loaded anew. True: it is still there. */
bool trouble_again(struct lab *l, struct kernel *k, struct trouble *t);
/* Takes away whatever it doesn't need. Returns how often it was tried. */
size_t trouble_shrink(struct lab *l, struct kernel *k, struct trouble *t);
void trouble_show(const struct trouble *t, struct bh_buf *out);
void trouble_finish(struct trouble *t);

/* What became of an attempt to take the at-th thing away from a world. */
enum edit { EDITED, NOTHING_TO_EDIT, NO_MORE };
enum edit edit_world(struct random_world *w, size_t at);
/* Does to `other` what turned `before` into `after`, where it applies; false: nowhere. */
bool mirror(const struct random_world *before, const struct random_world *after,
	struct random_world *other);

/* The document without its k-th part (a list's item or a map's entry); NULL: it has no k-th. An
 * empty result is possible. k = SIZE_MAX: the whole, tidily written. Owned. */
char *prune(const char *text, size_t k);
