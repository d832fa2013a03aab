/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the files of rules/baseline. */
#pragma once

#include <bulkhead/baseline.h>

/* One role that gets a policy or is a peer in one. */
struct bh_export_role {
	const struct bh_end *end; /* borrowed from a tuple */
	struct bh_selector selector; /* selects the role and nothing else that is known */
	char *name; /* of its policy; unique in the namespace */
	char *overlap; /* a workload that even the narrowed selector selects, else NULL */
	const char *unsayable; /* why no NetworkPolicy can name it (static text), else NULL */
	bool governed; /* a side of it was learning: gets a policy */
	uint64_t tuples, connections; /* evidence */
	struct bh_volume volume; /* of it; [0] is what the role sent */
	int64_t first_seen, last_seen;
};

/* Sorted by namespace and selector. */
struct bh_export_roles {
	struct bh_export_role *role;
	size_t n;
};

/* roles.c */
void bh_export_roles_init(struct bh_export_roles *r, const struct bh_tuple *tuple, size_t n_tuples,
	const struct bh_export_opts *opts);
void bh_export_roles_finish(struct bh_export_roles *r);
/* Index of a ROLE end of an answered tuple. */
size_t bh_export_roles_find(const struct bh_export_roles *r, const struct bh_end *end);
/* names.c */
void bh_export_roles_name(struct bh_export_roles *r);
/* narrow.c; inv may be NULL. */
void bh_export_roles_narrow(struct bh_export_roles *r, const struct bh_inventory *inv);

/* One learned permission of a governed role. */
struct bh_export_edge {
	size_t role; /* whose policy */
	enum bh_direction direction;
	const char *unsayable; /* why it can only be a comment (static text), else NULL */
	enum bh_end_kind peer; /* HOST only where nothing better can be said */
	size_t peer_role; /* ROLE */
	struct bh_prefix block; /* ADDR; OTHERS: which has them all */
	uint64_t folded; /* so many tuples */
	uint8_t proto;
	uint16_t port;
	uint8_t icmp_type;
};

struct bh_export_edges {
	struct bh_export_edge *edge; /* sorted, unique */
	size_t n, cap;
};

/* edges.c */
void bh_export_edges_init(struct bh_export_edges *e, const struct bh_export_roles *roles,
	const struct bh_tuple *tuple, size_t n_tuples, const struct bh_export_opts *opts);
void bh_export_edges_finish(struct bh_export_edges *e);
bool bh_export_edge_same_peer(const struct bh_export_edge *a, const struct bh_export_edge *b);

/* rules.c: "  ingress:" or "  egress:" and its rules, from edges[0..n) of one role. */
void bh_export_put_rules(const struct bh_export_roles *roles, const struct bh_export_edge *edge,
	size_t n, enum bh_direction d, const struct bh_export_opts *opts, struct bh_buf *out);

/* yaml.c */
void bh_yaml_quoted(const char *s, struct bh_buf *out);
/* What follows "podSelector:": " {}", or matchLabels and matchExpressions at `indent` columns. */
void bh_yaml_selector(const struct bh_selector *s, int indent, struct bh_buf *out);
