/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The policy model: networking.k8s.io/v1 NetworkPolicy, parsed and validated. Parsing lives in
 * rules/policy; the source of the semantics is the API's own documentation
 * (k8s.io/api/networking/v1/types.go) and pkg/apis/networking/validation.
 */
#pragma once

#include <bulkhead/addr.h>
#include <bulkhead/doc.h>
#include <bulkhead/labels.h>

enum bh_proto { BH_TCP = 6, BH_UDP = 17, BH_SCTP = 132 }; /* IANA protocol numbers */

enum bh_direction { BH_EGRESS = 0, BH_INGRESS = 1 }; /* index of per-direction arrays */

struct bh_policy_port {
	uint8_t proto; /* enum bh_proto; TCP when the document is silent */
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

struct bh_policy_peer {
	bool has_pods; /* podSelector present */
	bool has_namespaces; /* namespaceSelector present */
	struct bh_selector pods, namespaces;
	struct bh_ip_block *block; /* NULL unless ipBlock; then neither selector */
	int line, column; /* in policy->file */
};

struct bh_policy_rule {
	struct bh_policy_peer *peer;
	size_t n_peers; /* 0 = any peer */
	struct bh_policy_port *port;
	size_t n_ports; /* 0 = any port and any protocol, ICMP included */
	int line, column;
};

struct bh_policy {
	char *name, *namespace;
	char *file; /* where it stands */
	int line, column;
	struct bh_selector pods; /* subject */
	bool isolates[2]; /* by enum bh_direction, from policyTypes */
	/* Rules of a direction that policyTypes leaves out mean nothing: they are checked, warned
	 * about and dropped, so n_rules is 0 wherever isolates is false. */
	struct bh_policy_rule *rule[2];
	size_t n_rules[2];
	/* The document's own text, for show and versions; of a list's item, JSON of the same
	 * meaning. Never NULL once parsed. Does not say default_ns where the document is silent. */
	char *text;
};

/* Immutable once built, reference counted (atomic): snapshots share it between threads. */
struct bh_policy_set {
	struct bh_policy **policy; /* sorted by namespace, then name; no two alike */
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
 * Parses and validates every document of every source (NetworkPolicy, and v1 List of them). All
 * problems of all sources are collected; with any error -EINVAL is returned and ret is untouched.
 * Two policies with the same namespace and name are an error naming both places. `default_ns` is
 * used where metadata.namespace is absent. An empty file is an error only if strict_empty.
 */
struct bh_policy_parse_opts {
	const char *default_ns; /* "default" */
	bool strict_empty; /* policy check of a named file: nothing in it is an error */
};
int bh_policy_set_parse(const struct bh_policy_source *src, size_t n,
	const struct bh_policy_parse_opts *opts, struct bh_diags *diags,
	struct bh_policy_set **ret);
struct bh_policy_set *bh_policy_set_new_empty(void);
struct bh_policy_set *bh_policy_set_ref(struct bh_policy_set *s);
void bh_policy_set_unref(struct bh_policy_set *s); /* NULL is fine */
const struct bh_policy *bh_policy_set_find(
	const struct bh_policy_set *s, const char *namespace, const char *name);
