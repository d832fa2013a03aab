/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The baseline as NetworkPolicy YAML. Applied and enforced, it allows what was learned and answered
 * and nothing else; that is why
 *  - a role gets a policy as soon as one of its sides was learning, and the policy isolates both
 *    directions: a pure server gets "egress: []", for it was never seen to need any. Leaving the
 *    other direction open would allow what nobody has ever observed;
 *  - a side that was not learning (governed by other policies already) adds no rule;
 *  - outside peers stay single addresses: only the operator may widen them, and what he rejected
 *    adds no rule;
 *  - selectors that would catch other workloads are narrowed (narrow.c).
 * What NetworkPolicy cannot say stands in comments, so that nothing learned vanishes in silence.
 */
#include <time.h>

#include "private.h"

#define MAX_COMMENTS 50 /* per policy */
#define MAX_IMAGES 20 /* in an annotation */

struct image {
	size_t role;
	const char *name;
};

struct images {
	struct image *item; /* sorted, unique */
	size_t n, cap;
};

static int compare_images(const void *a, const void *b)
{
	const struct image *x = a, *y = b;
	return x->role != y->role ? (x->role < y->role ? -1 : 1) : strcmp(x->name, y->name);
}

/* A tuple's images are those of its source, or of its destination where that is the only role. */
static void find_images(struct images *im, const struct bh_export_roles *roles,
	const struct bh_tuple *tuple, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct bh_tuple *t = &tuple[i];
		const struct bh_end *e = t->src.kind == BH_END_ROLE ? &t->src : &t->dst;
		if (!t->answered || t->review == BH_REVIEW_REJECTED || e->kind != BH_END_ROLE ||
			t->n_images == 0)
			continue;
		size_t role = bh_export_roles_find(roles, e);
		for (size_t k = 0; k < t->n_images; k++) {
			BH_GROW(im->item, im->n, im->cap);
			im->item[im->n++] = (struct image){role, t->image[k]};
		}
	}
	size_t kept = 0;
	if (im->n)
		qsort(im->item, im->n, sizeof(*im->item), compare_images);
	for (size_t i = 0; i < im->n; i++)
		if (kept == 0 || compare_images(&im->item[kept - 1], &im->item[i]) != 0)
			im->item[kept++] = im->item[i];
	im->n = kept;
}

static void put_annotation(const char *key, const char *value, struct bh_buf *out)
{
	bh_buf_printf(out, "    bulkhead.io/%s: ", key);
	bh_yaml_quoted(value, out);
	bh_buf_str(out, "\n");
}

static void put_time(const char *key, int64_t us, struct bh_buf *out)
{
	struct tm tm;
	char text[40];
	time_t t = (time_t)(us / 1000000);
	if (us > 0 && gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		put_annotation(key, text, out);
}

static void put_images(size_t role, const struct images *im, struct bh_buf *out)
{
	struct bh_buf text = {0};
	size_t lo = 0, hi = im->n, n = 0;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (im->item[mid].role < role)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < im->n && im->item[lo].role == role; lo++)
		if (n++ < MAX_IMAGES)
			bh_buf_printf(&text, "%s%s", n > 1 ? ", " : "", im->item[lo].name);
	if (n > MAX_IMAGES)
		bh_buf_printf(&text, " and %zu more", n - MAX_IMAGES);
	if (n)
		put_annotation("images", text.s, out);
	bh_buf_finish(&text);
}

static void put_evidence(const struct bh_export_roles *roles, size_t role, const struct images *im,
	struct bh_buf *out)
{
	const struct bh_export_role *r = &roles->role[role];
	char text[64];
	bh_buf_str(out, "  annotations:\n");
	snprintf(text, sizeof(text), "%llu tuple%s", (unsigned long long)r->tuples,
		bh_plural(r->tuples));
	put_annotation("learned-from", text, out);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)r->connections);
	put_annotation("connections", text, out);
	if (r->volume.flows) {
		snprintf(text, sizeof(text), "%llu sent, %llu received",
			(unsigned long long)r->volume.bytes[0],
			(unsigned long long)r->volume.bytes[1]);
		put_annotation("bytes", text, out);
	}
	put_time("first-seen", r->first_seen, out);
	put_time("last-seen", r->last_seen, out);
	put_images(role, im, out);
}

/* "shop/web", free of anything that could end a comment. */
static char *printable_end(const struct bh_end *e)
{
	bh_autobuf struct bh_buf text = {0};
	bh_end_format(e, &text);
	return bh_diag_quote(text.s, text.len);
}

static void put_comment(
	const struct bh_export_roles *roles, const struct bh_export_edge *e, struct bh_buf *out)
{
	char number[4], block[BH_PREFIX_STRLEN];
	struct bh_end other = {.kind = e->peer, .addr = e->block.addr};
	bh_autofree char *peer =
		printable_end(e->peer == BH_END_ROLE ? roles->role[e->peer_role].end : &other);
	bh_buf_printf(out, "# learned, but cannot be said: %s %s, %s",
		e->direction == BH_EGRESS ? "egress to" : "ingress from", peer,
		bh_proto_name(e->proto, number));
	if (e->port)
		bh_buf_printf(out, "/%u", e->port);
	else if (e->proto == 1 || e->proto == 58)
		bh_buf_printf(out, " type %u", e->icmp_type);
	if (e->peer == BH_END_OTHERS)
		bh_buf_printf(out, " in %s", bh_prefix_format(&e->block, block));
	bh_buf_printf(out, " (");
	if (e->folded)
		bh_buf_printf(
			out, "%llu edge%s: ", (unsigned long long)e->folded, bh_plural(e->folded));
	bh_buf_printf(out, "%s)\n", e->unsayable);
}

static void put_comments(const struct bh_export_roles *roles, size_t role,
	const struct bh_export_edge *edge, size_t n, struct bh_buf *out)
{
	size_t count = 0;
	for (size_t i = 0; i < n; i++)
		if (edge[i].unsayable && count++ < MAX_COMMENTS)
			put_comment(roles, &edge[i], out);
	if (count > MAX_COMMENTS)
		bh_buf_printf(out, "# … and %zu more of these\n", count - MAX_COMMENTS);
	const char *overlap = roles->role[role].overlap;
	if (overlap) {
		bh_autofree char *text = bh_diag_quote(overlap, strlen(overlap));
		bh_buf_printf(out, "# note: no label tells %s apart, it is selected too\n", text);
	}
}

/* Returns whether it is a policy and not just an explanation. */
static bool put_policy(const struct bh_export_roles *roles, size_t role,
	const struct bh_export_edge *edge, size_t n, const struct images *images,
	const struct bh_export_opts *opts, struct bh_buf *out)
{
	const struct bh_export_role *r = &roles->role[role];
	if (r->unsayable) {
		bh_autofree char *name = printable_end(r->end);
		bh_buf_printf(out, "# %s has no policy: %s\n", name, r->unsayable);
		return false;
	}
	put_comments(roles, role, edge, n, out);
	bh_buf_printf(
		out, "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: ");
	bh_yaml_scalar(r->name, out);
	bh_buf_str(out, "\n  namespace: ");
	bh_yaml_scalar(r->end->namespace, out);
	bh_buf_str(out, "\n");
	if (images)
		put_evidence(roles, role, images, out);
	bh_buf_str(out, "spec:\n  podSelector:");
	bh_yaml_selector(&r->selector, 4, out);
	bh_buf_str(out, "  policyTypes:\n  - Ingress\n  - Egress\n");
	bh_export_put_rules(roles, edge, n, BH_INGRESS, opts, out);
	bh_export_put_rules(roles, edge, n, BH_EGRESS, opts, out);
	return true;
}

static bool is_wanted(const struct bh_export_role *r, const struct bh_export_opts *opts)
{
	if (!r->governed || (opts->namespace && !bh_streq(opts->namespace, r->end->namespace)))
		return false;
	if (!opts->role)
		return true;
	bh_autofree char *name = bh_role_name(&r->end->selector);
	return bh_streq(name, opts->role);
}

/* Without numbers: twice the same bytes. */
static void put_hardly_seen(const struct bh_export_opts *opts, struct bh_buf *out)
{
	for (size_t i = 0; i < opts->n_hardly_seen; i++) {
		const struct bh_end *e = &opts->hardly_seen[i];
		bh_autofree char *name = bh_role_name(&e->selector);
		if ((opts->namespace && !bh_streq(opts->namespace, e->namespace)) ||
			(opts->role && !bh_streq(opts->role, name)))
			continue;
		bh_autofree char *shown = printable_end(e);
		bh_buf_printf(out,
			"# %s has no policy: it was hardly seen, and nothing of it was learned "
			"(`learn export --force` writes one without rules)\n",
			shown);
	}
}

size_t bh_baseline_export(const struct bh_tuple *tuple, size_t n, const struct bh_inventory *inv,
	const struct bh_export_opts *opts, struct bh_buf *out)
{
	struct bh_export_roles roles;
	struct bh_export_edges edges;
	struct images images = {0};
	size_t written = 0, lo = 0;
	bool separate = false;

	bh_export_roles_init(&roles, tuple, n, opts);
	bh_export_roles_name(&roles);
	bh_export_roles_narrow(&roles, inv);
	bh_export_edges_init(&edges, &roles, tuple, n, opts);
	if (opts->evidence)
		find_images(&images, &roles, tuple, n);
	for (size_t i = 0; i < roles.n; i++) {
		size_t hi = lo;
		while (hi < edges.n && edges.edge[hi].role == i)
			hi++;
		if (is_wanted(&roles.role[i], opts)) {
			if (separate)
				bh_buf_str(out, "---\n");
			separate = put_policy(&roles, i, edges.edge + lo, hi - lo,
				opts->evidence ? &images : NULL, opts, out);
			written += separate;
		}
		lo = hi;
	}
	put_hardly_seen(opts, out);
	free(images.item);
	bh_export_edges_finish(&edges);
	bh_export_roles_finish(&roles);
	return written;
}
