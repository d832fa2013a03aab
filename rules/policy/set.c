/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The policy set: all documents of all sources, parsed, checked and put in order. It is built
 * completely or not at all, so that a bad file never changes what is enforced.
 */
#include <errno.h>
#include <nettle/sha2.h>

#include "private.h"

/* Some 10,000 policies; what is refused in the end must not cost more than 64 MiB until then. */
static const struct bh_doc_limits limits = {
	.max_bytes = 4 << 20, .max_nodes = 300000, .max_depth = 64, .max_documents = 10000};

struct builder {
	struct bh_policy **policy; /* in the order of the text */
	size_t n, cap;
};

static void found(struct bh_policy *p, void *arg)
{
	struct builder *b = arg;
	BH_GROW(b->policy, b->n, b->cap);
	b->policy[b->n++] = p;
}

static void builder_finish(struct builder *b)
{
	for (size_t i = 0; i < b->n; i++)
		bh_policy_free(b->policy[i]);
	free(b->policy);
}

static void parse_documents(struct bh_policy_ctx *c, const struct bh_docs *docs,
	const struct bh_policy_source *src, struct builder *b)
{
	struct bh_policy_slicer slicer;
	bh_policy_slicer_init(&slicer, src->text, src->len);
	for (size_t i = 0; i < docs->n; i++) {
		if (bh_node_is_null(docs->root[i]))
			continue;
		bh_autofree char *text = bh_policy_slice(&slicer, docs->root[i]->line);
		bh_policy_read_document(c, docs->root[i], text, found, b);
	}
}

static bool has_document(const struct bh_docs *docs)
{
	for (size_t i = 0; i < docs->n; i++)
		if (!bh_node_is_null(docs->root[i]))
			return true;
	return false;
}

static void parse_source(const struct bh_policy_source *src,
	const struct bh_policy_parse_opts *opts, struct bh_diags *diags, struct builder *b)
{
	struct bh_docs *docs = NULL;
	struct bh_policy_ctx c;
	if (bh_docs_parse(src->file, src->text, src->len, &limits, diags, &docs) < 0)
		return;
	bh_policy_ctx_init(&c, src->file, opts, diags);
	parse_documents(&c, docs, src, b);
	if (opts && opts->strict_empty && !has_document(docs))
		bh_diag_add(diags, BH_ERROR, src->file, 1, 1, NULL, "add a NetworkPolicy",
			"the file holds no policy");
	bh_policy_ctx_finish(&c);
	bh_docs_free(docs);
}

static int compare_names(const struct bh_policy *a, const struct bh_policy *b)
{
	int r = strcmp(a->namespace, b->namespace);
	return r ? r : strcmp(a->name, b->name);
}

/* Stable by the order of the text, so that of two alike the later one is the culprit. */
struct ordered {
	struct bh_policy *policy;
	size_t order;
};

static int compare_ordered(const void *a, const void *b)
{
	const struct ordered *x = a, *y = b;
	int r = compare_names(x->policy, y->policy);
	return r ? r : (x->order > y->order) - (x->order < y->order);
}

static void sort_policies(struct builder *b)
{
	struct ordered *o = bh_xcalloc(b->n, sizeof(*o));
	for (size_t i = 0; i < b->n; i++)
		o[i] = (struct ordered){b->policy[i], i};
	qsort(o, b->n, sizeof(*o), compare_ordered);
	for (size_t i = 0; i < b->n; i++)
		b->policy[i] = o[i].policy;
	free(o);
}

static void refuse_duplicates(const struct builder *b, struct bh_diags *diags)
{
	size_t first = 0;
	for (size_t i = 1; i < b->n; i++) {
		const struct bh_policy *p = b->policy[i], *same = b->policy[first];
		if (compare_names(p, same) != 0) {
			first = i;
			continue;
		}
		bh_diag_add(diags, BH_ERROR, p->file, p->line, p->column, "metadata.name",
			"rename or remove one of them", "policy %s is already defined at %s:%d:%d",
			p->ref, same->file, same->line, same->column);
	}
}

/* Drops what has no name: its error has been reported. */
static void drop_nameless(struct builder *b)
{
	size_t kept = 0;
	for (size_t i = 0; i < b->n; i++)
		if (b->policy[i]->name)
			b->policy[kept++] = b->policy[i];
		else
			bh_policy_free(b->policy[i]);
	b->n = kept;
}

static void hash_set(struct bh_policy_set *s)
{
	struct sha256_ctx md;
	sha256_init(&md);
	for (size_t i = 0; i < s->n; i++) {
		struct bh_buf text = {0};
		bh_policy_canonical(s->policy[i], &text);
		sha256_update(&md, text.len, (const uint8_t *)text.s);
		if (!s->policy[i]->text)
			s->policy[i]->text = bh_buf_take(&text);
		bh_buf_finish(&text);
	}
	sha256_digest(&md, SHA256_DIGEST_SIZE, s->sha256);
}

int bh_policy_set_parse(const struct bh_policy_source *src, size_t n,
	const struct bh_policy_parse_opts *opts, struct bh_diags *diags, struct bh_policy_set **ret)
{
	struct builder b = {0};
	size_t errors = diags->n_errors;
	for (size_t i = 0; i < n; i++)
		parse_source(&src[i], opts, diags, &b);
	drop_nameless(&b);
	sort_policies(&b);
	refuse_duplicates(&b, diags);
	bh_policy_warn_equal_priorities(b.policy, b.n, diags);
	if (diags->n_errors != errors) {
		builder_finish(&b);
		return -EINVAL;
	}
	struct bh_policy_set *s = bh_policy_set_new_empty();
	s->policy = b.policy;
	s->n = b.n;
	if (s->n)
		hash_set(s);
	*ret = s;
	return 0;
}

struct bh_policy_set *bh_policy_set_new_empty(void)
{
	struct bh_policy_set *s = bh_xcalloc(1, sizeof(*s));
	s->refs = 1;
	return s;
}

struct bh_policy_set *bh_policy_set_ref(struct bh_policy_set *s)
{
	__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void bh_policy_set_unref(struct bh_policy_set *s)
{
	if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (size_t i = 0; i < s->n; i++)
		bh_policy_free(s->policy[i]);
	free(s->policy);
	free(s);
}

const struct bh_policy *bh_policy_set_find(
	const struct bh_policy_set *s, const char *namespace, const char *name)
{
	const struct bh_policy key = {.namespace = (char *)namespace, .name = (char *)name};
	size_t lo = 0, hi = s->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int r = compare_names(s->policy[mid], &key);
		if (r == 0)
			return s->policy[mid];
		if (r < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

const struct bh_policy *bh_policy_set_find_ref(const struct bh_policy_set *s, const char *ref)
{
	static const char cluster[] = "cnp:";
	if (strncmp(ref, cluster, strlen(cluster)) == 0)
		return bh_policy_set_find(s, "", ref + strlen(cluster));
	const char *slash = strchr(ref, '/');
	if (!slash || slash == ref)
		return NULL;
	bh_autofree char *ns = bh_xstrndup(ref, (size_t)(slash - ref));
	return bh_policy_set_find(s, ns, slash + 1);
}
