/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by the parts of the configuration's reader only. */
#pragma once

#include <bulkhead/doc.h>

#include "config/config.h"

struct conf_ctx {
	struct bh_reader r;
	struct bh_config *c;
};

/*
 * Value of `key` in map, or NULL if it is absent; *ret_path (owned by the caller) is its path. A
 * list or mapping whose content was commented out is null in YAML; that counts as absent where
 * `collection` says so, because it can only mean "none".
 */
const struct bh_node *conf_field(const struct bh_node *map, const char *path, const char *key,
	bool collection, char **ret_path);

/* Index of the node's text in the NULL-terminated list of names, or −EINVAL and a diagnostic. */
int conf_choice(
	struct conf_ctx *x, const struct bh_node *n, const char *path, const char *const *names);
/* An owned path, made relative to the working directory if it was to the configuration file. */
int conf_path(struct conf_ctx *x, const struct bh_node *n, const char *path, char **ret);
/* The same for a socket: unix:// is taken off, and it has to fit into a sockaddr_un. */
int conf_socket(struct conf_ctx *x, const struct bh_node *n, const char *path, char **ret);
/* The name of a namespace; borrowed. */
int conf_namespace(struct conf_ctx *x, const struct bh_node *n, const char *path, const char **ret);
/* Owned: `file` itself or beside the configuration file. */
char *conf_anchor(const struct conf_ctx *x, const char *file);

/* "90s", "30m", "1h", "1d" in seconds, from 1s to max_days. */
void conf_duration(struct conf_ctx *x, const struct bh_node *n, const char *path, unsigned max_days,
	uint64_t *ret);

/* Each reads one key of the document into x->c. n is neither absent nor null. */
void conf_read_drift(struct conf_ctx *x, const struct bh_node *n, const char *path);
void conf_read_modes(struct conf_ctx *x, const struct bh_node *n, const char *path);
void conf_read_namespaces(struct conf_ctx *x, const struct bh_node *n, const char *path);
void conf_read_nodes(struct conf_ctx *x, const struct bh_node *n, const char *path);
void conf_read_namespace_labels(struct conf_ctx *x, const struct bh_node *n, const char *path);
void conf_read_sources(struct conf_ctx *x, const struct bh_node *n, const char *path);
void conf_read_audit(struct conf_ctx *x, const struct bh_node *n, const char *path);
void conf_read_sinks(struct conf_ctx *x, const struct bh_node *n, const char *path);
void conf_read_feeds(struct conf_ctx *x, const struct bh_node *n, const char *path);
void conf_read_feed_allow(struct conf_ctx *x, const struct bh_node *n, const char *path);
void conf_read_feed_exceptions(struct conf_ctx *x, const struct bh_node *n, const char *path);
void conf_read_selector(
	struct conf_ctx *x, const struct bh_node *n, const char *path, struct bh_selector *ret);
/* A set of labels with the syntax of Kubernetes; used for matchLabels too. fn gets good ones. */
void conf_read_labels(struct conf_ctx *x, const struct bh_node *n, const char *path,
	void (*fn)(void *arg, const char *key, const char *value), void *arg);
