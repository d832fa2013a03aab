/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * YAML events into trees that remember their places.
 *
 * libyaml's own document API loses the marks we need and expands aliases without a bound, so the
 * tree is built here from its events. An alias shares the node it names: the tree is a graph
 * without cycles in memory, but is counted, in nodes, in scalar bytes and in depth, as the tree
 * that a reader walks. Everything lives in one arena and is freed at once.
 *
 * Errors that leave the structure intact (duplicate keys, tags) are collected; those that don't
 * (syntax, limits, cycles) end the parse.
 */
#include "doc_private.h"

#include <errno.h>
#include <yaml.h>

/* Per document. Far above what a person writes, far below what makes a bomb. */
#define ALIASES_MAX 500
#define ANCHORS_MAX 1000

const struct bh_doc_limits bh_doc_default_limits = {
	.max_bytes = 4 << 20, .max_nodes = 400000, .max_depth = 64, .max_documents = 10000};

/* A node and what it counts for where it is used again. */
struct node {
	struct bh_node pub;
	bool open; /* its end has not been read: an alias to it would be a cycle */
	uint32_t size, height;
	size_t bytes;
};

struct frame { /* an open collection */
	struct node *node;
	size_t base; /* of its children in `pending`; those of a map alternate with its keys */
	size_t merge; /* behind the merge key, counted from base; 0: there is none */
};

struct anchor {
	const char *name;
	struct node *node;
};

struct builder {
	const char *file;
	const struct bh_doc_limits *limits;
	struct bh_diags *diags;
	struct doc_text text;
	struct bh_docs *docs;
	size_t cap_docs;
	struct frame *frame;
	size_t n_frames, cap_frames;
	struct bh_node **pending;
	size_t n_pending, cap_pending;
	struct anchor *anchor;
	size_t n_anchors, cap_anchors, n_aliases;
	size_t n_nodes, n_bytes; /* expanded, of the stream */
	bool faulty; /* an error was reported, parsing goes on */
};

static int fault(struct builder *b, const yaml_mark_t *m, const char *remedy, const char *what)
{
	b->faulty = true;
	bh_diag_add(b->diags, BH_ERROR, b->file, (int)m->line + 1,
		doc_text_column(&b->text, m->line, m->column), NULL, remedy, "%s", what);
	return -EINVAL;
}

static int fault_quoted(
	struct builder *b, const yaml_mark_t *m, const char *remedy, const char *fmt, const char *s)
{
	bh_autofree char *quoted = bh_diag_quote(s, strlen(s));
	bh_autofree char *what = bh_xasprintf("%s \"%s\"", fmt, quoted);
	return fault(b, m, remedy, what);
}

/* Counts a subtree that hangs below the open frames. */
static int charge(struct builder *b, const struct node *n, const yaml_mark_t *m, bool alias)
{
	const char *blame = alias ? "aliases expand the document to" : "the file has";
	bh_autofree char *what = NULL;
	b->n_nodes += n->size;
	b->n_bytes += n->bytes;
	if (b->n_nodes > b->limits->max_nodes)
		what = bh_xasprintf("%s more than %zu nodes", blame, b->limits->max_nodes);
	else if (b->n_bytes > b->limits->max_bytes)
		what = bh_xasprintf("%s more than %zu bytes of text", blame, b->limits->max_bytes);
	else if (b->n_frames + n->height > b->limits->max_depth)
		what = bh_xasprintf("nested deeper than %zu levels", b->limits->max_depth);
	return what ? fault(b, m, NULL, what) : 0;
}

static bool wants_key(const struct builder *b)
{
	const struct frame *f = b->n_frames ? &b->frame[b->n_frames - 1] : NULL;
	return f && f->node->pub.kind == BH_NODE_MAP && (b->n_pending - f->base) % 2 == 0;
}

static int check_key(struct builder *b, const struct bh_node *n, const yaml_event_t *e)
{
	struct frame *f = &b->frame[b->n_frames - 1];
	if (n->kind != BH_NODE_SCALAR)
		return fault(b, &e->start_mark, NULL, "a key must be a scalar");
	if (e->type != YAML_SCALAR_EVENT || e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE ||
		n->len != 2 || memcmp(n->str, "<<", 2) != 0)
		return 0;
	if (f->merge)
		return fault(
			b, &e->start_mark, "<<: [*ONE, *OTHER]", "the merge key (<<) stands twice");
	f->merge = b->n_pending - f->base + 1;
	return 0;
}

static void push_root(struct builder *b, struct bh_node *n)
{
	BH_GROW(b->docs->root, b->docs->n, b->cap_docs);
	b->docs->root[b->docs->n++] = n;
}

/* Hangs a node, new or aliased, into the innermost open collection. */
static int attach(struct builder *b, struct node *n, const yaml_event_t *e)
{
	int r = charge(b, n, &e->start_mark, e->type == YAML_ALIAS_EVENT);
	if (r < 0)
		return r;
	if (wants_key(b)) {
		r = check_key(b, &n->pub, e);
		if (r < 0)
			return r;
	}
	if (b->n_frames == 0) {
		bool empty = n->pub.kind == BH_NODE_SCALAR && n->pub.type == BH_SCALAR_NULL &&
			     n->pub.len == 0;
		push_root(b, empty ? NULL : &n->pub);
		return 0;
	}
	BH_GROW(b->pending, b->n_pending, b->cap_pending);
	b->pending[b->n_pending++] = &n->pub;
	return 0;
}

static int set_anchor(
	struct builder *b, struct node *n, const yaml_char_t *name, const yaml_mark_t *m)
{
	size_t len;
	char *copy;
	if (!name)
		return 0;
	if (b->n_anchors >= ANCHORS_MAX)
		return fault(b, m, NULL, "too many anchors in one document");
	len = strlen((const char *)name);
	copy = doc_alloc(b->docs, len + 1);
	memcpy(copy, name, len);
	BH_GROW(b->anchor, b->n_anchors, b->cap_anchors);
	b->anchor[b->n_anchors++] = (struct anchor){copy, n};
	return 0;
}

static int on_alias(struct builder *b, const yaml_event_t *e)
{
	const char *name = (const char *)e->data.alias.anchor;
	struct node *n = NULL;
	for (size_t i = b->n_anchors;
		i-- > 0 && !n;) /* a name may be used again: the last counts */
		if (strcmp(b->anchor[i].name, name) == 0)
			n = b->anchor[i].node;
	if (!n)
		return fault_quoted(b, &e->start_mark, NULL, "alias of an unknown anchor", name);
	if (n->open)
		return fault_quoted(
			b, &e->start_mark, NULL, "alias of a node that contains it:", name);
	if (++b->n_aliases > ALIASES_MAX)
		return fault(b, &e->start_mark, NULL, "too many aliases in one document");
	return attach(b, n, e);
}

static struct node *new_node(struct builder *b, enum bh_node_kind kind, const yaml_mark_t *m)
{
	struct node *n = doc_alloc(b->docs, sizeof(*n));
	n->pub.kind = kind;
	n->pub.line = (int)m->line + 1;
	n->pub.column = doc_text_column(&b->text, m->line, m->column);
	n->size = 1;
	return n;
}

/* Core tags are shown as people write them. Parsing goes on, until nobody would see the errors. */
static int fault_tag(struct builder *b, const yaml_mark_t *m, const char *fmt, const char *tag)
{
	bool core = strncmp(tag, DOC_CORE_TAG, strlen(DOC_CORE_TAG)) == 0;
	bh_autofree char *shown =
		core ? bh_xasprintf("!!%s", tag + strlen(DOC_CORE_TAG)) : bh_xstrdup(tag);
	int r = fault_quoted(b, m, "remove the tag", fmt, shown);
	return b->diags->n < BH_DIAGS_MAX ? 0 : r;
}

static int on_scalar(struct builder *b, const yaml_event_t *e)
{
	struct node *n = new_node(b, BH_NODE_SCALAR, &e->start_mark);
	size_t len = e->data.scalar.length;
	n->pub.str = doc_alloc(b->docs, len + 1);
	memcpy(n->pub.str, e->data.scalar.value, len);
	n->pub.len = n->bytes = len;
	if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		n->pub.type = doc_scalar_type(n->pub.str, len);
	const char *tag = (const char *)e->data.scalar.tag;
	int r = tag ? doc_scalar_tagged(tag, n->pub.str, len, &n->pub.type) : 0;
	if (r < 0)
		r = fault_tag(b, &e->start_mark,
			r == -ENOENT ? "unsupported tag" : "the value does not fit its tag", tag);
	if (r == 0)
		r = set_anchor(b, n, e->data.scalar.anchor, &e->start_mark);
	return r < 0 ? r : attach(b, n, e);
}

static int open_collection(struct builder *b, const yaml_event_t *e, enum bh_node_kind kind,
	const yaml_char_t *anchor, const yaml_char_t *tag)
{
	struct node *n = new_node(b, kind, &e->start_mark);
	const char *own = kind == BH_NODE_MAP ? DOC_CORE_TAG "map" : DOC_CORE_TAG "seq";
	int r = 0;
	if (tag && strcmp((const char *)tag, "!") != 0 && strcmp((const char *)tag, own) != 0)
		r = fault_tag(b, &e->start_mark, "unsupported tag", (const char *)tag);
	n->open = true;
	n->height = 1;
	if (r == 0)
		r = set_anchor(b, n, anchor, &e->start_mark);
	if (r == 0)
		r = attach(b, n, e);
	if (r < 0)
		return r;
	BH_GROW(b->frame, b->n_frames, b->cap_frames);
	b->frame[b->n_frames++] = (struct frame){.node = n, .base = b->n_pending};
	return 0;
}

static int close_collection(struct builder *b)
{
	struct frame f = b->frame[--b->n_frames];
	struct bh_node *n = &f.node->pub;
	size_t step = n->kind == BH_NODE_MAP ? 2 : 1, total = b->n_pending - f.base;
	struct bh_node **p = total ? b->pending + f.base : NULL; /* there may be no array yet */
	bh_autofree struct bh_node **merged = NULL;

	if (f.merge) {
		int r = doc_merge(b->file, p, total, f.merge - 1, b->diags, &merged, &total);
		if (r < 0)
			return r;
		p = merged;
	}
	n->n = total / step;
	n->child = doc_alloc(b->docs, n->n * sizeof(*n->child));
	if (step == 2)
		n->key = doc_alloc(b->docs, n->n * sizeof(*n->key));
	for (size_t i = 0; i < total; i++) {
		const struct node *c = (const struct node *)p[i];
		if (step == 2 && i % 2 == 0)
			n->key[i / 2] = p[i];
		else
			n->child[i / step] = p[i];
		f.node->size += c->size;
		f.node->bytes += c->bytes;
		if (f.node->height < c->height + 1)
			f.node->height = c->height + 1;
	}
	b->n_pending = f.base;
	f.node->open = false;
	if (step == 2 && doc_check_keys(b->file, n, b->diags) < 0)
		b->faulty = true;
	return 0;
}

static int on_document(struct builder *b, const yaml_event_t *e)
{
	b->n_anchors = b->n_aliases = 0;
	if (b->docs->n >= b->limits->max_documents) {
		bh_autofree char *what =
			bh_xasprintf("more than %zu documents", b->limits->max_documents);
		return fault(b, &e->start_mark, NULL, what);
	}
	return 0;
}

static int on_event(struct builder *b, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		return on_document(b, e);
	case YAML_ALIAS_EVENT:
		return on_alias(b, e);
	case YAML_SCALAR_EVENT:
		return on_scalar(b, e);
	case YAML_SEQUENCE_START_EVENT:
		return open_collection(b, e, BH_NODE_SEQ, e->data.sequence_start.anchor,
			e->data.sequence_start.tag);
	case YAML_MAPPING_START_EVENT:
		return open_collection(
			b, e, BH_NODE_MAP, e->data.mapping_start.anchor, e->data.mapping_start.tag);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return close_collection(b);
	default:
		return 0;
	}
}

/*
 * Where the mistake is. libyaml points to where it gave up; that is too late for a key without a
 * colon, which it has read on from, and for what is still open at the end of the text.
 */
static const yaml_mark_t *mistake(struct builder *b, const yaml_parser_t *p)
{
	const yaml_mark_t *m = p->problem ? &p->problem_mark : &p->mark;
	bool at_end = doc_text_byte(&b->text, m->line, m->column) == '\0';
	bool key = p->context && strcmp(p->context, "while scanning a simple key") == 0;
	return p->context && (key || at_end) ? &p->context_mark : m;
}

/* libyaml's own words; plus the usual cause where it is a tab. */
static int syntax_error(struct builder *b, const yaml_parser_t *p)
{
	const char *remedy = NULL;
	struct bh_buf what = {0};
	if (p->error == YAML_MEMORY_ERROR)
		return fault(b, &p->mark, NULL, "out of memory");
	const yaml_mark_t *m = mistake(b, p);
	bh_buf_printf(&what, "%s", p->problem ? p->problem : "not YAML");
	if (p->context)
		bh_buf_printf(&what, " %s", p->context);
	if (p->context && p->context_mark.line < m->line)
		bh_buf_printf(&what, " that starts in line %zu", p->context_mark.line + 1);
	if (doc_text_byte(&b->text, m->line, m->column) == '\t')
		remedy = "indent with blanks, YAML takes no tabs there";
	else if (bh_streq(p->problem, "mapping values are not allowed in this context"))
		remedy = "indent it as the keys beside it, or quote a text with \": \" in it";
	bh_autofree char *s = bh_buf_take(&what);
	return fault(b, m, remedy, s);
}

static int parse_events(struct builder *b)
{
	yaml_parser_t p;
	bool end = false;
	int r = 0;
	if (!yaml_parser_initialize(&p))
		return -ENOMEM;
	yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p, (const unsigned char *)b->text.s, b->text.len);
	while (r == 0 && !end) {
		yaml_event_t e;
		if (!yaml_parser_parse(&p, &e)) {
			r = syntax_error(b, &p);
			break;
		}
		end = e.type == YAML_STREAM_END_EVENT;
		r = on_event(b, &e);
		yaml_event_delete(&e);
	}
	yaml_parser_delete(&p);
	return r;
}

int bh_docs_parse(const char *file, const char *text, size_t len,
	const struct bh_doc_limits *limits, struct bh_diags *diags, struct bh_docs **ret)
{
	struct builder b = {
		.file = file, .limits = limits ? limits : &bh_doc_default_limits, .diags = diags};
	int r;

	if (len > b.limits->max_bytes) {
		bh_diag_add(diags, BH_ERROR, file, 1, 1, NULL, NULL,
			"the file has more than %zu bytes", b.limits->max_bytes);
		return -EINVAL;
	}
	b.docs = bh_xcalloc(1, sizeof(*b.docs));
	b.docs->file = bh_xstrdup(file);
	r = doc_text_init(&b.text, file, text, len, diags);
	if (r == 0)
		r = parse_events(&b);
	if (r == 0 && b.faulty)
		r = -EINVAL;
	if (r == 0)
		*ret = BH_TAKE_PTR(b.docs);
	bh_docs_free(b.docs);
	doc_text_finish(&b.text);
	free(b.frame);
	free(b.pending);
	free(b.anchor);
	return r;
}
