/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Documents with one part left out, for the shrinker; and tidily written, for people. */
#include "agree.h"

#include <ctype.h>
#include <strings.h>

#include <bulkhead/doc.h>

struct prune {
	struct bh_buf out;
	size_t left; /* parts until the one that goes */
	bool done;
};

static bool goes(struct prune *p)
{
	if (p->done || p->left-- != 0)
		return false;
	p->done = true;
	return true;
}

static bool is_word(const char *s)
{
	static const char *const words[] = {
		"y", "n", "yes", "no", "on", "off", "true", "false", "null"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(words); i++)
		if (strcasecmp(s, words[i]) == 0)
			return true;
	return false;
}

/* Plain where nobody could take it for anything else. */
static void scalar(struct prune *p, const struct bh_node *n)
{
	bool plain = n->type == BH_SCALAR_STRING && isalpha((unsigned char)n->str[0]) &&
		     !is_word(n->str);
	for (size_t i = 0; i < n->len; i++)
		plain = plain && (isalnum((unsigned char)n->str[i]) || strchr("/.-_", n->str[i]));
	if (n->type == BH_SCALAR_STRING && !plain)
		bh_buf_printf(&p->out, "\"%s\"", n->str);
	else
		bh_buf_str(&p->out, n->str);
}

static void flow(struct prune *p, const struct bh_node *n)
{
	bool first = true;
	if (n->kind == BH_NODE_SCALAR) {
		scalar(p, n);
		return;
	}
	bh_buf_str(&p->out, n->kind == BH_NODE_MAP ? "{" : "[");
	for (size_t i = 0; i < n->n; i++) {
		if (goes(p))
			continue;
		bh_buf_str(&p->out, first ? "" : ", ");
		first = false;
		if (n->kind == BH_NODE_MAP)
			bh_buf_printf(&p->out, "%s: ", n->key[i]->str);
		flow(p, n->child[i]);
	}
	bh_buf_str(&p->out, n->kind == BH_NODE_MAP ? "}" : "]");
}

/* The rules each on a line of their own. */
static void block(struct prune *p, const struct bh_node *n, unsigned indent)
{
	bool kept = false;
	for (size_t i = 0; i < n->n; i++) {
		const struct bh_node *c = n->child[i];
		if (goes(p))
			continue;
		kept = true;
		bh_buf_printf(&p->out, "%*s", (int)indent, "");
		if (n->kind == BH_NODE_MAP)
			bh_buf_printf(&p->out, "%s:", n->key[i]->str);
		else
			bh_buf_str(&p->out, "-");
		bool deep = n->kind == BH_NODE_MAP && c->n && indent <= 2 &&
			    (bh_streq(n->key[i]->str, "spec") || c->kind == BH_NODE_SEQ);
		if (!deep) {
			bh_buf_str(&p->out, " ");
			flow(p, c);
			bh_buf_str(&p->out, "\n");
			continue;
		}
		bh_buf_str(&p->out, "\n");
		block(p, c, indent + 2);
	}
	if (!kept)
		bh_buf_printf(
			&p->out, "%*s%s\n", (int)indent, "", n->kind == BH_NODE_MAP ? "{}" : "[]");
}

char *prune(const char *text, size_t k)
{
	struct bh_docs *docs = NULL;
	struct bh_diags diags = {0};
	struct prune p = {.left = k};
	if (bh_docs_parse("policy", text, strlen(text), &bh_doc_default_limits, &diags, &docs) < 0)
		abort();
	bh_diags_finish(&diags);
	block(&p, docs->root[0], 0);
	bh_docs_free(docs);
	if (!p.done && k != SIZE_MAX) {
		bh_buf_finish(&p.out);
		return NULL;
	}
	return bh_buf_take(&p.out);
}
