/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The policy model: networking.k8s.io/v1 NetworkPolicy and policy.networking.k8s.io/v1alpha2
 * ClusterNetworkPolicy, parsed and validated. Parsing lives in rules/policy; the sources of the
 * semantics are the APIs' own documentation (k8s.io/api/networking/v1/types.go,
 * sigs.k8s.io/network-policy-api apis/v1alpha2/clusternetworkpolicy_types.go) and
 * pkg/apis/networking/validation.
 */
#pragma once

#include <bulkhead/addr.h>
#include <bulkhead/doc.h>
#include <bulkhead/labels.h>

enum bh_proto { BH_TCP = 6, BH_UDP = 17, BH_SCTP = 132 }; /* IANA protocol numbers */

enum bh_direction { BH_EGRESS = 0, BH_INGRESS = 1 }; /* index of per-direction arrays */

/* In the order in which they are asked. The first tier that decides is the last that is asked. */
enum bh_tier { BH_TIER_ADMIN, BH_TIER_NETWORK_POLICY, BH_TIER_BASELINE };
const char *bh_tier_name(enum bh_tier t); /* "Admin" | "NetworkPolicy" | "Baseline" */

/* What a rule does with the flows that it matches. PASS: ask the next tier. NetworkPolicy has only
 * ACCEPT. */
enum bh_rule_action { BH_RULE_ACCEPT, BH_RULE_DENY, BH_RULE_PASS };
const char *bh_rule_action_name(enum bh_rule_action a); /* "Accept" | "Deny" | "Pass" */

struct bh_policy_port {
	/* enum bh_proto; TCP when a NetworkPolicy is silent; 0: whatever protocol serves `name`
	 * (ClusterNetworkPolicy's destinationNamedPort) */
	uint8_t proto;
	bool any; /* no port given: every port of proto */
	uint16_t first; /* numeric: first..last, 1..65535; first 0 = named */
	uint16_t last;
	char *name; /* named port, else NULL */
};

struct bh_ip_block {
	struct bh_prefix cidr;
	struct bh_prefix *except;
	size_t n_except;
};

/*
 * Whom a rule means: exactly one of workloads (has_pods, has_namespaces or both), an ipBlock,
 * networks, nodes. Without has_namespaces the workloads are those of the policy's own namespace; a
 * ClusterNetworkPolicy's workload peers always have has_namespaces.
 */
struct bh_policy_peer {
	bool has_pods; /* podSelector present */
	bool has_namespaces; /* namespaceSelector present */
	struct bh_selector pods, namespaces;
	struct bh_ip_block *block; /* NULL unless ipBlock */
	struct bh_prefix
		*network; /* ClusterNetworkPolicy, egress: any of these, of either family */
	size_t n_networks;
	bool has_nodes; /* ClusterNetworkPolicy, egress: addresses of these nodes */
	struct bh_selector nodes;
	int line, column; /* in policy->file */
};

struct bh_policy_rule {
	enum bh_rule_action action;
	char *name; /* ClusterNetworkPolicy: may be NULL */
	struct bh_policy_peer *peer;
	size_t n_peers; /* 0 = any peer (NetworkPolicy only) */
	struct bh_policy_port *port;
	size_t n_ports; /* 0 = any port and any protocol, ICMP included */
	int line, column;
};

struct bh_policy {
	enum bh_tier tier;
	uint16_t priority; /* ClusterNetworkPolicy: 0..1000, lower is asked first; else 0 */
	char *name;
	char *namespace; /* "" for a ClusterNetworkPolicy */
	char *ref; /* for people: "NAMESPACE/NAME", or "cnp:NAME" for a ClusterNetworkPolicy */
	char *file; /* where it stands */
	int line, column;
	/* Subject: `pods` in its own namespace (NetworkPolicy), or in those that `namespaces`
	 * selects (ClusterNetworkPolicy). */
	struct bh_selector pods, namespaces;
	int subject_line, subject_column; /* where that stands; 0: it is an error not to */
	/* By enum bh_direction, from policyTypes: selecting isolates. Never of a
	 * ClusterNetworkPolicy, which says nothing about flows that its rules do not match. */
	bool isolates[2];
	/* Of a NetworkPolicy, rules of a direction that policyTypes leaves out mean nothing: they
	 * are checked, warned about and dropped, so n_rules is 0 wherever isolates is false. */
	struct bh_policy_rule *rule[2];
	size_t n_rules[2];
	/* The document's own text, for show and versions; of a list's item, JSON of the same
	 * meaning. Never NULL once parsed. Does not say default_ns where the document is silent. */
	char *text;
};

/* Immutable once built, reference counted (atomic): snapshots share it between threads. */
struct bh_policy_set {
	/* Sorted by namespace, then name, so ClusterNetworkPolicies come first; no two alike. */
	struct bh_policy **policy;
	size_t n;
	uint8_t sha256[32]; /* of a canonical rendering; zero for the empty set */
	int refs;
};

/* One input text: a file's name and content. */
struct bh_policy_source {
	const char *file;
	const char *text;
	size_t len;
};

/*
 * Parses and validates every document of every source (NetworkPolicy, ClusterNetworkPolicy, and
 * lists of them). All problems of all sources are collected; with any error -EINVAL is returned and
 * ret is untouched. Two policies with the same namespace and name are an error naming both places.
 * `default_ns` is used where metadata.namespace is absent. An empty file is an error only if
 * strict_empty.
 */
struct bh_policy_parse_opts {
	const char *default_ns; /* "default" */
	bool strict_empty; /* policy check of a named file: nothing in it is an error */
	/* What to say of a rule whose peers are nodes: an error where the nodes are not known (a
	 * daemon without `nodes` in its configuration), a warning where nobody can tell yet. */
	enum { BH_NODES_KNOWN, BH_NODES_UNSURE, BH_NODES_UNKNOWN } nodes;
};
int bh_policy_set_parse(const struct bh_policy_source *src, size_t n,
	const struct bh_policy_parse_opts *opts, struct bh_diags *diags,
	struct bh_policy_set **ret);
struct bh_policy_set *bh_policy_set_new_empty(void);
struct bh_policy_set *bh_policy_set_ref(struct bh_policy_set *s);
void bh_policy_set_unref(struct bh_policy_set *s); /* NULL is fine */
/* namespace "" finds a ClusterNetworkPolicy. */
const struct bh_policy *bh_policy_set_find(
	const struct bh_policy_set *s, const char *namespace, const char *name);
/* Do they mean the same? Their names count, files and comments don't. */
bool bh_policy_equal(const struct bh_policy *a, const struct bh_policy *b);
/* A reference as people write it ("shop/web", "cnp:name"), or NULL. */
const struct bh_policy *bh_policy_set_find_ref(const struct bh_policy_set *s, const char *ref);
