/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Conformance cases: a small world of namespaces, workloads, nodes and outside addresses, the
 * policies in force, and for each probe the verdict that a new connection must get. One YAML
 * document per file:
 *
 *   name, source, kind, tags, note?
 *   namespaces: {NAME: {label: value}}   complete: kubernetes.io/metadata.name only where listed
 *   external:   {NAME: [ip, ...]}          addresses outside the node
 *   nodes:      {NAME: {labels, ips, local?}}   local = the node that the workloads run on
 *   workloads:  [{name, namespace, labels, ips, ports: [{port, protocol, name?}]}]
 *   policies:   [text, ...]                documents or streams of them
 *   expect:     [{from, to, protocol, port, family?, verdict}]
 *   then:       [{state, <any of the above>, expect}]   a key present replaces the previous value
 *
 * Ends are "NAMESPACE/NAME", "external:NAME" or "node:NAME". An engine that wants to run a case
 * takes each state's inventory and policies and asks for the verdict of each probe's flow.
 */
#pragma once

#include <bulkhead/flow.h>

struct bh_case_probe {
	char *from, *to; /* as written */
	struct bh_flow flow; /* resolved; family as asked for, else one that both ends have */
	bool allow; /* expected verdict */
	int line; /* in the case's file */
};

struct bh_case_state {
	char *name; /* NULL for the first */
	struct bh_inventory *inv; /* sealed */
	struct bh_policy_set *policies;
	struct bh_case_probe *probe;
	size_t n_probes;
};

struct bh_case {
	char *file, *name, *kind;
	struct bh_case_state *state;
	size_t n_states; /* at least 1 */
};

/* Reads and checks a case. 0; -EINVAL with diagnostics (policies that don't parse included); or
 * -errno if the file can't be read. ret is untouched on failure. */
int bh_case_load(const char *path, struct bh_diags *diags, struct bh_case **ret);
void bh_case_free(struct bh_case *c); /* NULL is fine */

/* The whole file, NUL-terminated, owned; NULL and errno. At most 16 MiB. */
char *bh_case_read_file(const char *path, size_t *ret_len);
/* Paths DIR/NAME of the regular files whose name starts with `prefix` and ends in ".yaml",
 * sorted; NULL-terminated, owned (each string and the array); n may be NULL. */
char **bh_case_list(const char *dir, const char *prefix, size_t *ret_n);
void bh_case_list_free(char **list);
