/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A scenario's frame: its keys and its states. Whatever is wrong is a diagnostic, never a guess. A
 * later state shares what it does not change with the one before.
 */
#include <errno.h>

#include "private.h"

#define MAX_STATES 1000
#define BUDGET 200000

/* Room for what `bulkhead state` prints of a node with ten thousand workloads. */
static const struct bh_doc_limits limits = {
	.max_bytes = 8 << 20, .max_nodes = 1000000, .max_depth = 64, .max_documents = 2};

static const char *const top_keys[] = {"name", "source", "kind", "tags", "note", "namespaces",
	"external", "nodes", "workloads", "policies", "networks", "hostAddresses", "mode",
	"options", "expect", "then", NULL};
static const char *const then_keys[] = {"state", "note", "namespaces", "external", "nodes",
	"workloads", "policies", "networks", "hostAddresses", "mode", "options", "expect", NULL};

static void update(struct sections *s, const struct bh_node *map)
{
	const struct {
		const char *key;
		const struct bh_node **to;
	} part[] = {{"namespaces", &s->namespaces}, {"external", &s->external},
		{"nodes", &s->nodes}, {"workloads", &s->workloads}, {"policies", &s->policies},
		{"networks", &s->networks}, {"hostAddresses", &s->host}, {"mode", &s->mode},
		{"options", &s->options}};
	for (size_t i = 0; i < BH_ARRAY_SIZE(part); i++)
		if (bh_node_get(map, part[i].key))
			*part[i].to = bh_node_get(map, part[i].key);
	s->expect = bh_node_get(map, "expect"); /* never carried over */
}

/* One of two words. */
static void read_choice(struct loader *l, const struct bh_node *map, const char *key,
	const char *path, const char *no, const char *yes, bool *ret)
{
	const struct bh_node *n = bh_node_get(map, key);
	const char *text;
	if (!n || bh_read_string(&l->r, n, path, &text) < 0)
		return;
	*ret = bh_streq(text, yes);
	if (*ret || bh_streq(text, no))
		return;
	bh_autofree char *remedy = bh_xasprintf("%s or %s", no, yes);
	bh_read_error(&l->r, n, path, remedy, "unknown value");
}

static void read_options(struct loader *l, const struct bh_node *map, struct bh_engine_opts *ret)
{
	static const char *const known[] = {"unselected", "host", "deny", NULL};
	if (bh_node_is_null(map) || bh_read_map(&l->r, map, "options") < 0)
		return;
	bh_read_known_keys(&l->r, map, "options", known);
	read_choice(
		l, map, "unselected", "options.unselected", "allow", "deny", &ret->unselected_deny);
	read_choice(l, map, "host", "options.host", "allow", "policy", &ret->host_policy);
	read_choice(l, map, "deny", "options.deny", "drop", "reject", &ret->reject);
}

static bool same_world(const struct sections *a, const struct sections *b)
{
	return a->namespaces == b->namespaces && a->external == b->external &&
	       a->nodes == b->nodes && a->workloads == b->workloads && a->networks == b->networks &&
	       a->host == b->host && a->mode == b->mode;
}

static void share_world(struct loader *l, const struct bh_node *n,
	const struct bh_scenario_state *from, struct bh_scenario_state *st)
{
	st->inv = bh_inventory_ref(from->inv);
	for (size_t i = 0; i < from->n_ends && scenario_spend(l, n, 1 + from->end[i].n_addrs); i++)
		scenario_add_end(st, bh_xstrdup(from->end[i].name),
			bh_xmemdup(from->end[i].addr,
				from->end[i].n_addrs * sizeof(*from->end[i].addr)),
			from->end[i].n_addrs);
}

/* `before` and `old` are the state before, NULL for the first. */
static void read_state(struct loader *l, const struct bh_node *n, const struct sections *s,
	const struct sections *old, const struct bh_scenario_state *before,
	struct bh_scenario_state *st)
{
	size_t errors = l->r.diags->n_errors;
	st->line = n->line;
	read_options(l, s->options, &st->opts);
	if (before && same_world(s, old))
		share_world(l, n, before, st);
	else
		scenario_read_world(l, s, st);
	l->faulty =
		l->r.diags->n_errors > errors || (l->faulty && before && st->inv == before->inv);
	const struct bh_policy_parse_opts opts = bh_scenario_policy_opts(st);
	if (before && before->policies && s->policies == old->policies &&
		opts.nodes == bh_scenario_policy_opts(before).nodes)
		st->policies = bh_policy_set_ref(before->policies);
	else
		st->policies = scenario_read_policies(l, s->policies, &opts);
	scenario_read_probes(l, s->expect, st);
}

/* A name that is there twice only makes the later state unreachable for --in. */
static void check_state_name(
	struct loader *l, const struct bh_node *n, const char *name, const struct bh_scenario *sc)
{
	if (!*name)
		bh_read_error(&l->r, n, "then[].state", NULL, "empty");
	else if (bh_scenario_find(sc, name))
		bh_diag_add(l->r.diags, BH_WARNING, l->r.file, n->line, n->column, "then[].state",
			NULL, "another state has this name");
}

static void read_then(
	struct loader *l, const struct bh_node *n, struct sections *s, struct bh_scenario *sc)
{
	const struct bh_scenario_state *before = &sc->state[sc->n_states - 1];
	const struct sections old = *s;
	const char *name = NULL;
	if (bh_read_map(&l->r, n, "then[]") < 0)
		return;
	bh_read_known_keys(&l->r, n, "then[]", then_keys);
	if (!bh_node_get(n, "state"))
		bh_read_error(&l->r, n, "then[].state", "a name for this state", "missing");
	else if (bh_read_string(&l->r, bh_node_get(n, "state"), "then[].state", &name) == 0)
		check_state_name(l, bh_node_get(n, "state"), name, sc);
	struct bh_scenario_state *st = &sc->state[sc->n_states++];
	st->name = bh_xstrdup(name);
	update(s, n);
	read_state(l, n, s, &old, before, st);
}

/* "dir/shop.yaml" is shop. */
static char *name_of_file(const char *file)
{
	const char *base = strrchr(file, '/');
	base = base ? base + 1 : file;
	const char *dot = strrchr(base, '.');
	return bh_xstrndup(base, dot && dot != base ? (size_t)(dot - base) : strlen(base));
}

static void read_name(struct loader *l, const struct bh_node *root, struct bh_scenario *sc)
{
	const struct bh_node *n = bh_node_get(root, "name");
	const char *text;
	if (n && bh_read_string(&l->r, n, "name", &text) == 0)
		sc->name = bh_xstrdup(text);
	else
		sc->name = name_of_file(l->r.file);
}

static void check_use(struct loader *l, const struct bh_node *root, enum bh_scenario_use use,
	const struct bh_scenario *sc)
{
	if (use != BH_SCENARIO_TEST || l->r.diags->n_errors)
		return;
	for (size_t i = 0; i < sc->n_states; i++)
		if (sc->state[i].n_probes)
			return;
	bh_read_error(&l->r, root, "expect", "expect: [{from, to, protocol, port, verdict}]",
		"missing: nothing is expected, so nothing is tested");
}

static void read_root(struct loader *l, const struct bh_node *root, enum bh_scenario_use use,
	struct bh_scenario *sc)
{
	struct sections s = {0};
	if (bh_read_map(&l->r, root, NULL) < 0)
		return;
	if (bh_node_get(root, "apiVersion")) {
		bh_read_error(&l->r, bh_node_get_key(root, "apiVersion"), NULL,
			"`bulkhead policy check` checks policies; a scenario holds them as texts, "
			"in `policies`",
			"this is a policy, not a scenario");
		return;
	}
	bh_read_known_keys(&l->r, root, NULL, top_keys);
	read_name(l, root, sc);
	const struct bh_node *then = bh_node_get(root, "then");
	size_t later = 0;
	if (!bh_node_is_null(then) && bh_read_seq(&l->r, then, "then") == 0)
		later = then->n;
	if (later > MAX_STATES) {
		bh_read_error(&l->r, then, "then", NULL, "more than %d states", MAX_STATES);
		later = 0;
	}
	sc->state = bh_xcalloc(1 + later, sizeof(*sc->state));
	sc->n_states = 1;
	update(&s, root);
	read_state(l, root, &s, NULL, NULL, &sc->state[0]);
	for (size_t i = 0; i < later; i++)
		read_then(l, then->child[i], &s, sc);
	check_use(l, root, use, sc);
}

static bool same_diag(const struct bh_diag *a, const struct bh_diag *b)
{
	return a->line == b->line && a->column == b->column && bh_streq(a->file, b->file) &&
	       bh_streq(a->path, b->path) && bh_streq(a->what, b->what);
}

/* What several states carry is read for each, and complained about once. */
static void merge_diags(struct bh_diags *to, struct bh_diags *from)
{
	bh_diags_sort(from);
	for (size_t i = 0; i < from->n; i++) {
		const struct bh_diag *d = &from->item[i];
		if (i == 0 || !same_diag(d - 1, d))
			bh_diag_add(to, d->severity, d->file, d->line, d->column, d->path,
				d->remedy, "%s", d->what);
	}
	if (from->n_suppressed) {
		to->n_suppressed += from->n_suppressed;
		to->n_errors += from->n_suppressed;
	}
	bh_diags_finish(from);
}

int bh_scenario_parse(const char *file, const char *text, size_t len, enum bh_scenario_use use,
	struct bh_diags *diags, struct bh_scenario **ret)
{
	struct bh_docs *docs = NULL;
	struct bh_diags own = {0};
	int r = bh_docs_parse(file, text, len, &limits, diags, &docs);
	if (r < 0)
		return r;
	struct loader l = {.r = {file, &own}, .text = text, .len = len, .budget = BUDGET};
	struct bh_scenario *sc = bh_xcalloc(1, sizeof(*sc));
	sc->file = bh_xstrdup(file);
	if (docs->n == 1 && docs->root[0])
		read_root(&l, docs->root[0], use, sc);
	else
		bh_diag_add(&own, BH_ERROR, file, 1, 1, NULL, NULL,
			docs->n > 1 ? "a scenario is one document, this file has more"
				    : "the file is empty");
	bh_docs_free(docs);
	free(l.line);
	r = own.n_errors ? -EINVAL : 0;
	merge_diags(diags, &own);
	if (r == 0)
		*ret = BH_TAKE_PTR(sc);
	bh_scenario_free(sc);
	return r;
}

static void state_finish(struct bh_scenario_state *s)
{
	for (size_t i = 0; i < s->n_probes; i++) {
		free(s->probe[i].from);
		free(s->probe[i].to);
	}
	for (size_t i = 0; i < s->n_ends; i++) {
		free(s->end[i].name);
		free(s->end[i].addr);
	}
	free(s->probe);
	free(s->end);
	free(s->name);
	bh_inventory_unref(s->inv);
	bh_policy_set_unref(s->policies);
}

void bh_scenario_free(struct bh_scenario *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_states; i++)
		state_finish(&s->state[i]);
	free(s->state);
	free(s->file);
	free(s->name);
	free(s);
}
