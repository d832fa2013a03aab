/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `policies`: texts inside of the text. Whatever is said about a policy has to name a place in the
 * scenario's own file. Where a text is a literal block (every line stands in the file as it is,
 * only indented), lines and columns are shifted; elsewhere the place is where the text begins.
 */
#include <errno.h>

#include "private.h"

/* What stands for the file while the policies are parsed: "FILE#policies[N]". */
#define LABEL "#policies["

struct origin {
	const struct bh_node *n;
	char *label;
	bool exact; /* line and column can be shifted */
	int indent;
};

static void index_lines(struct loader *l)
{
	size_t cap = 0;
	if (l->line)
		return;
	for (size_t at = 0; at < l->len;) {
		BH_GROW(l->line, l->n_lines, cap);
		l->line[l->n_lines++] = at;
		const char *end = memchr(l->text + at, '\n', l->len - at);
		at = end ? (size_t)(end - l->text) + 1 : l->len;
	}
}

/* The file's line (1-based) without its end. */
static const char *file_line(const struct loader *l, size_t number, size_t *ret_len)
{
	if (number == 0 || number > l->n_lines)
		return NULL;
	const char *s = l->text + l->line[number - 1];
	const char *end = memchr(s, '\n', l->len - l->line[number - 1]);
	size_t n = end ? (size_t)(end - s) : l->len - l->line[number - 1];
	*ret_len = n && s[n - 1] == '\r' ? n - 1 : n;
	return s;
}

/* Do the lines below the node's own say the text, each indented alike? */
static void locate(struct loader *l, struct origin *o)
{
	const char *s = o->n->str, *end = s + o->n->len;
	o->indent = -1;
	for (size_t i = 1; s < end; i++) {
		const char *stop = memchr(s, '\n', (size_t)(end - s));
		size_t len = (size_t)((stop ? stop : end) - s), n;
		const char *line = file_line(l, (size_t)o->n->line + i, &n);
		if (len > 0 && (!line || n < len))
			return;
		if (len > 0 && o->indent < 0)
			o->indent = (int)(n - len);
		if (len > 0 &&
			(n != (size_t)o->indent + len || memcmp(line + o->indent, s, len) != 0))
			return;
		s += len + 1;
	}
	o->exact = o->indent >= 0;
}

static const struct origin *find_origin(
	const struct loader *l, const struct origin *o, size_t n, const char *label)
{
	size_t skip = strlen(l->r.file) + strlen(LABEL);
	if (!label || strlen(label) < skip)
		return NULL;
	size_t i = strtoul(label + skip, NULL, 10);
	return i < n && bh_streq(o[i].label, label) ? &o[i] : NULL;
}

static void shift(const struct origin *o, int *line, int *column)
{
	if (o->exact && *line > 0) {
		*line += o->n->line;
		*column += *column > 0 ? o->indent : 0;
	} else {
		*line = o->n->line;
		*column = o->n->column;
	}
}

static void replace(char **s, char *by)
{
	free(*s);
	*s = by;
}

/* Another document's place inside of a message: "FILE#policies[3]:1:1". */
static void place_mention(const struct loader *l, const struct origin *o, size_t n, char **what)
{
	bh_autofree char *any = bh_xasprintf("%s" LABEL, l->r.file);
	char *at = strstr(*what, any), *end;
	if (!at)
		return;
	size_t i = strtoul(at + strlen(any), NULL, 10);
	if (i >= n || strncmp(at, o[i].label, strlen(o[i].label)) != 0)
		return;
	int line = 0, column = 0, used = 0;
	end = at + strlen(o[i].label);
	if (sscanf(end, ":%9d:%9d%n", &line, &column, &used) != 2)
		return;
	shift(&o[i], &line, &column);
	replace(what, bh_xasprintf("%.*s%s:%d:%d%s", (int)(at - *what), *what, l->r.file, line,
			      column, end + used));
}

static void place_diag(const struct loader *l, const struct origin *o, size_t n, struct bh_diag *d)
{
	const struct origin *at = find_origin(l, o, n, d->file);
	if (!at)
		return;
	if (!at->exact && d->line > 0)
		replace(&d->what, bh_xasprintf("%s (line %d of the text)", d->what, d->line));
	bool deeper = d->path && *d->path;
	replace(&d->path, bh_xasprintf("policies[%zu]%s%s", (size_t)(at - o), deeper ? "." : "",
				  deeper ? d->path : ""));
	place_mention(l, o, n, &d->what);
	shift(at, &d->line, &d->column);
	replace(&d->file, bh_xstrdup(l->r.file));
}

static void place_rule(const struct origin *o, struct bh_policy_rule *r)
{
	shift(o, &r->line, &r->column);
	for (size_t i = 0; i < r->n_peers; i++)
		shift(o, &r->peer[i].line, &r->peer[i].column);
}

/* The set is ours alone until it is given away. */
static void place_policy(
	const struct loader *l, const struct origin *o, size_t n, struct bh_policy *p)
{
	const struct origin *at = find_origin(l, o, n, p->file);
	if (!at)
		return;
	shift(at, &p->line, &p->column);
	for (int d = 0; d < 2; d++)
		for (size_t i = 0; i < p->n_rules[d]; i++)
			place_rule(at, &p->rule[d][i]);
	replace(&p->file, bh_xstrdup(l->r.file));
}

static struct bh_policy_set *parse(struct loader *l, const struct origin *o,
	const struct bh_policy_source *src, size_t n, const struct bh_policy_parse_opts *opts)
{
	struct bh_diags diags = {0};
	struct bh_policy_set *set = NULL;
	int r = bh_policy_set_parse(src, n, opts, &diags, &set);
	for (size_t i = 0; i < diags.n; i++)
		place_diag(l, o, n, &diags.item[i]);
	bh_diags_move(l->r.diags, &diags);
	if (r < 0)
		return NULL;
	for (size_t i = 0; i < set->n; i++)
		place_policy(l, o, n, set->policy[i]);
	return set;
}

struct bh_policy_set *scenario_read_policies(
	struct loader *l, const struct bh_node *seq, const struct bh_policy_parse_opts *opts)
{
	if (bh_node_is_null(seq))
		return bh_policy_set_new_empty();
	if (bh_read_seq(&l->r, seq, "policies") < 0)
		return NULL;
	struct bh_policy_source *src = bh_xcalloc(seq->n, sizeof(*src));
	struct origin *o = bh_xcalloc(seq->n, sizeof(*o));
	struct bh_policy_set *set = NULL;
	bool good = true;
	index_lines(l);
	for (size_t i = 0; i < seq->n; i++) {
		o[i].n = seq->child[i];
		o[i].label = bh_xasprintf("%s" LABEL "%zu]", l->r.file, i);
		src[i].file = o[i].label;
		src[i].len = o[i].n->len;
		if (bh_read_string(&l->r, o[i].n, "policies[]", &src[i].text) < 0)
			good = false;
		else
			locate(l, &o[i]);
	}
	if (good)
		set = parse(l, o, src, seq->n, opts);
	for (size_t i = 0; i < seq->n; i++)
		free(o[i].label);
	free(o);
	free(src);
	return set;
}
