/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as a document stream: bounds hold, places lie inside the text, keys are unique, the
 * typed readers survive every node, and the configuration survives every document. */
#include <bulkhead/doc.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct bh_doc_limits limits = {
	.max_bytes = 1 << 16, .max_nodes = 2000, .max_depth = 16, .max_documents = 10};

struct walk {
	struct bh_reader r;
	int lines;
	size_t nodes;
};

static void must(bool b)
{
	if (!b)
		abort();
}

static void read_all_types(struct walk *w, const struct bh_node *n)
{
	static const char *const known[] = {"apiVersion", "spec", "a", NULL};
	const char *s;
	int64_t i;
	bool b;
	if (bh_read_string(&w->r, n, "p", &s) == 0)
		must(strlen(s) == n->len);
	if (bh_read_int(&w->r, n, "p", -100, 100, &i) == 0)
		must(i >= -100 && i <= 100);
	bh_read_bool(&w->r, n, "p", &b);
	bh_read_seq(&w->r, n, "p");
	if (bh_read_map(&w->r, n, "p") == 0)
		bh_read_known_keys(&w->r, n, "p", known);
}

static void visit(struct walk *w, const struct bh_node *n, size_t depth)
{
	must(++w->nodes <= limits.max_nodes);
	/* an absent value at the very end stands behind the last line */
	must(n->line >= 1 && n->line <= w->lines + 1 && n->column >= 1);
	must(depth <= limits.max_depth);
	read_all_types(w, n);
	if (n->kind == BH_NODE_SCALAR) {
		must(n->str[n->len] == '\0');
		return;
	}
	for (size_t i = 0; i < n->n; i++) {
		if (n->kind == BH_NODE_MAP) {
			must(n->key[i]->kind == BH_NODE_SCALAR);
			visit(w, n->key[i], depth + 1);
			if (strlen(n->key[i]->str) == n->key[i]->len)
				must(bh_node_get(n, n->key[i]->str) == n->child[i]);
		}
		visit(w, n->child[i], depth + 1);
	}
}

static void try_config(const char *text, size_t size)
{
	struct bh_diags d = {0};
	struct bh_config *c = NULL, *again = NULL;
	struct bh_buf once = {0}, twice = {0};
	if (bh_config_parse("f", text, size, &d, &c) == 0) {
		bh_config_print(c, &once);
		must(bh_config_parse("f", once.s, once.len, &d, &again) == 0);
		bh_config_print(again, &twice);
		must(strcmp(once.s, twice.s) == 0);
	}
	bh_config_free(c);
	bh_config_free(again);
	bh_buf_finish(&once);
	bh_buf_finish(&twice);
	bh_diags_finish(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bh_diags d = {0};
	struct bh_docs *docs = NULL;
	struct bh_buf out = {0};
	struct walk w = {.r = {"f", &d}, .lines = 1};
	for (size_t i = 0; i < size; i++)
		w.lines += data[i] == '\n' || data[i] == '\r';

	int r = bh_docs_parse("f", (const char *)data, size, &limits, &d, &docs);
	must((r == 0) == (d.n_errors == 0) && (r == 0) == (docs != NULL));
	for (size_t i = 0; r < 0 && i < d.n; i++)
		must(d.item[i].line >= 1 && d.item[i].line <= w.lines + 1);
	for (size_t i = 0; docs && i < docs->n; i++)
		if (docs->root[i])
			visit(&w, docs->root[i], 0);
	bh_diags_sort(&d);
	bh_diags_format(&d, &out);
	for (size_t i = 0; i < out.len; i++)
		must((uint8_t)out.s[i] >= 0x20 || out.s[i] == '\n');
	bh_buf_finish(&out);
	bh_docs_free(docs);
	bh_diags_finish(&d);
	try_config((const char *)data, size);
	return 0;
}
