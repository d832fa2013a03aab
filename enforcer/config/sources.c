/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sources: auto, or a list of `KIND: where it is`, of `KIND: off` for what auto is not to look for,
 * and of `auto` itself, which then looks for all the rest. namespace_labels: which labels say the
 * namespace of what the sources tell of.
 */
#include <errno.h>

#include "config/private.h"

#define LABELS_MAX 64
#define EXAMPLE "{docker: /run/docker.sock}"

const char *const bh_source_kind_names[BH_SOURCE_KINDS + 1] = {
	[BH_SOURCE_DOCKER] = "docker",
	[BH_SOURCE_PODMAN] = "podman",
	[BH_SOURCE_CRI] = "cri",
	[BH_SOURCE_STATIC] = "static",
};

static bool is_word(const struct bh_node *n, const char *word)
{
	return n->kind == BH_NODE_SCALAR && bh_streq(n->str, word);
}

static void read_source(
	struct conf_ctx *x, const struct bh_node *map, const char *path, struct bh_source_conf *ret)
{
	if (map->kind == BH_NODE_SCALAR) {
		bh_read_error(
			&x->r, map, path, "auto, or " EXAMPLE, "must be a mapping, not a word");
		return;
	}
	if (bh_read_map(&x->r, map, path) < 0)
		return;
	if (bh_read_known_keys(&x->r, map, path, bh_source_kind_names) == 0 && map->n != 1)
		bh_read_error(&x->r, map, path,
			"docker: SOCKET, podman: SOCKET, cri: SOCKET or static: FILE",
			"must have exactly one key");
	for (int i = 0; i < BH_SOURCE_KINDS; i++) {
		bh_autofree char *key = NULL;
		const struct bh_node *n =
			conf_field(map, path, bh_source_kind_names[i], false, &key);
		if (!n)
			continue;
		ret->kind = (enum bh_source_kind)i;
		if (i == BH_SOURCE_STATIC)
			conf_path(x, n, key, &ret->path);
		else if (!is_word(n, "off"))
			conf_socket(x, n, key, &ret->path);
	}
}

/* Two sources of one file would fight over the same workloads. */
static void check_source_twice(
	struct conf_ctx *x, const struct bh_node *n, const char *path, size_t i)
{
	const struct bh_source_conf *s = x->c->sources;
	for (size_t k = 0; k < i; k++)
		if (s[k].path && s[i].path && strcmp(s[k].path, s[i].path) == 0) {
			bh_read_error(&x->r, n, path, "remove one of the two",
				"the same source stands twice");
			return;
		}
}

void conf_read_sources(struct conf_ctx *x, const struct bh_node *n, const char *path)
{
	if (n->kind == BH_NODE_SCALAR) {
		const char *s;
		if (bh_read_string(&x->r, n, path, &s) < 0 || bh_streq(s, "auto"))
			return;
		bh_autofree char *quoted = bh_diag_quote(s, strlen(s));
		bh_read_error(&x->r, n, path, "auto, or a list: [" EXAMPLE "]",
			"unknown value \"%s\"", quoted);
		return;
	}
	if (bh_read_seq(&x->r, n, path) < 0)
		return;
	if (n->n > BH_SOURCES_MAX) {
		bh_read_error(&x->r, n, path, NULL, "more than %d sources", BH_SOURCES_MAX);
		return;
	}
	x->c->sources_auto = false;
	x->c->sources = bh_xcalloc(n->n, sizeof(*x->c->sources));
	for (size_t i = 0; i < n->n; i++) {
		bh_autofree char *item = bh_xasprintf("%s[%zu]", path, i);
		if (is_word(n->child[i], "auto")) {
			x->c->sources_auto = true;
			continue;
		}
		size_t at = x->c->n_sources++;
		read_source(x, n->child[i], item, &x->c->sources[at]);
		check_source_twice(x, n->child[i], item, at);
	}
}

static int read_label(
	struct conf_ctx *x, const struct bh_node *n, const char *path, const char **ret)
{
	if (bh_read_string(&x->r, n, path, ret) < 0)
		return -EINVAL;
	const char *wrong = bh_label_key_check(*ret);
	if (!wrong)
		return 0;
	bh_autofree char *quoted = bh_diag_quote(*ret, strlen(*ret));
	bh_read_error(&x->r, n, path, "a label as in com.docker.compose.project",
		"\"%s\" is not the key of a label: %s", quoted, wrong);
	return -EINVAL;
}

void conf_read_namespace_labels(struct conf_ctx *x, const struct bh_node *n, const char *path)
{
	const char *label;
	size_t kept = 0;
	if (bh_read_seq(&x->r, n, path) < 0)
		return;
	if (n->n > LABELS_MAX) {
		bh_read_error(&x->r, n, path, NULL, "more than %d labels", LABELS_MAX);
		return;
	}
	x->c->namespace_labels = bh_xcalloc(n->n + 1, sizeof(*x->c->namespace_labels));
	for (size_t i = 0; i < n->n; i++) {
		bh_autofree char *item = bh_xasprintf("%s[%zu]", path, i);
		if (read_label(x, n->child[i], item, &label) == 0)
			x->c->namespace_labels[kept++] = bh_xstrdup(label);
	}
}
