/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which workload a word means, for every command that takes one: an id, "namespace/name", a name,
 * either with the compose service for the name, or the beginning of an id; the first of these
 * readings that means anything decides. Where it means several they are listed, where it means none
 * the nearest names are.
 */
#include "history/resolve.h"

#include <errno.h>

#include "answer/answer.h"
#include "answer/clock.h"
#include "core/state.h"
#include "history/history.h"
#include "store/store.h"

#define CANDIDATES_MAX 8 /* listed when a word is ambiguous */
#define NEAREST_MAX 3 /* and when it is unknown */
#define GONE_MAX 256 /* stays that are looked at */

static void put_id(const char *id, struct bh_buf *out)
{
	bool hex = *id && strspn(id, "0123456789abcdef") == strlen(id);
	bh_buf_printf(out, hex ? "%.12s" : "%s", id);
}

static void put_candidate(const char *ns, const char *name, const char *id, struct bh_buf *out)
{
	bh_buf_printf(out, "%s%s/%s (", out->len ? ", " : "", ns, name);
	put_id(id, out);
	bh_buf_str(out, ")");
}

static struct bh_answer ambiguous(
	const struct bh_inventory *inv, const char *what, const uint32_t *match, size_t n)
{
	struct bh_buf bh_autobuf names = {0};
	for (size_t i = 0; i < n && i < CANDIDATES_MAX; i++) {
		const struct bh_workload *w = inv->workload[match[i]];
		put_candidate(w->namespace, w->name, w->id, &names);
	}
	if (n > CANDIDATES_MAX)
		bh_buf_printf(&names, " and %zu more", n - CANDIDATES_MAX);
	return bh_answer_error(409, NULL,
		"%s means several workloads: %s; say namespace/name or the beginning of the id",
		what, names.s);
}

/* --- what may have been meant --- */

struct near {
	const struct bh_workload *w[NEAREST_MAX];
	unsigned distance[NEAREST_MAX];
	size_t n;
};

static void consider(struct near *k, const struct bh_workload *w, unsigned d)
{
	size_t at = k->n;
	while (at > 0 && k->distance[at - 1] > d)
		at--;
	if (at == NEAREST_MAX)
		return;
	size_t moved = (k->n < NEAREST_MAX ? k->n : NEAREST_MAX - 1) - at;
	memmove(&k->w[at + 1], &k->w[at], moved * sizeof(k->w[0]));
	memmove(&k->distance[at + 1], &k->distance[at], moved * sizeof(k->distance[0]));
	k->w[at] = w;
	k->distance[at] = d;
	k->n += k->n < NEAREST_MAX;
}

/* Two slips at most, and fewer than half of the letters; a part of the name counts as one slip. */
static unsigned distance(const char *what, const char *name)
{
	size_t n = strlen(what), m = strlen(name);
	unsigned part = n >= 3 && strstr(name, what) ? 2 : UINT32_MAX;
	if (n > m + 2 || m > n + 2)
		return part;
	unsigned d = bh_text_distance(what, n, name, m);
	if (d > 2 || d * 2 >= m)
		return part;
	return d < part ? d : part;
}

/* Of the names that it goes by: with and without namespace, and what its role is called, which is
 * the service of compose, where containers are called shop-web-1. */
static unsigned distance_of(const char *what, const struct bh_workload *w)
{
	struct bh_labels selector;
	bh_role_of(w, &selector);
	char bh_autofree *role = bh_role_name(&selector);
	const char *const name[] = {w->name, role};
	unsigned best = UINT32_MAX;

	bh_labels_finish(&selector);
	for (size_t i = 0; i < BH_ARRAY_SIZE(name); i++) {
		char bh_autofree *full = bh_xasprintf("%s/%s", w->namespace, name[i]);
		unsigned d = distance(what, full), alone = distance(what, name[i]);
		d = alone < d ? alone : d;
		best = d < best ? d : best;
	}
	return best;
}

static void nearest(const struct bh_inventory *inv, const char *what, struct bh_buf *out)
{
	struct near k = {.n = 0};
	for (size_t i = 0; i < inv->n; i++) {
		const struct bh_workload *w = inv->workload[i];
		unsigned d = distance_of(what, w);
		if (d != UINT32_MAX)
			consider(&k, w, d);
	}
	for (size_t i = 0; i < k.n; i++)
		bh_buf_printf(out, "%s%s/%s",
			i == 0        ? "; did you mean "
			: i + 1 < k.n ? ", "
				      : " or ",
			k.w[i]->namespace, k.w[i]->name);
	if (k.n)
		bh_buf_str(out, "?");
}

/* --- those that are there --- */

static const struct bh_inventory *inventory(const struct bh_core *c, struct bh_answer *ret_error)
{
	if (c->snap)
		return bh_engine_inventory(c->snap->engine);
	*ret_error = bh_answer_error(503, NULL, "nothing is in force yet: see `bulkhead status`");
	return NULL;
}

static int find(const struct bh_inventory *inv, const char *what, struct bh_answer *ret_error)
{
	uint32_t match[CANDIDATES_MAX];
	size_t n = 0;
	int w = bh_inventory_resolve(inv, what, match, BH_ARRAY_SIZE(match), &n);
	if (w == -ENOTUNIQ)
		*ret_error = ambiguous(inv, what, match, n);
	return w;
}

/* What is asked of it is not recorded, but it helps to know that there was one. */
static void say_gone(struct bh_core *c, const char *what, struct bh_buf *out)
{
	struct bh_answer ignored = {0};
	struct bh_stay y;
	char when[32];
	if (bh_core_resolve_gone(c, what, &y, &ignored) < 0) {
		json_decref(ignored.json);
		return;
	}
	bh_clock_text(y.stopped, when);
	bh_buf_printf(out,
		"; %s/%s is gone since %.19sZ: `bulkhead workload show` and `bulkhead ps --all` "
		"know "
		"it",
		y.namespace, y.name, when);
	bh_stay_finish(&y);
}

int bh_core_resolve(
	struct bh_core *c, const char *what, bool or_address, struct bh_answer *ret_error)
{
	struct bh_buf bh_autobuf hint = {0};
	const struct bh_inventory *inv = inventory(c, ret_error);
	if (!inv)
		return -EAGAIN;
	int w = find(inv, what, ret_error);
	if (w != -ENOENT)
		return w;
	nearest(inv, what, &hint);
	say_gone(c, what, &hint);
	bool asks = hint.len && hint.s[hint.len - 1] == '?';
	bh_buf_str(&hint, asks ? " `bulkhead ps` lists them" : "; `bulkhead ps` lists them");
	*ret_error =
		or_address
			? bh_answer_error(404, NULL,
				  "%s is no address, and no workload is called so%s", what, hint.s)
			: bh_answer_error(404, NULL, "no workload is called %s%s", what, hint.s);
	return -ENOENT;
}

/* --- those that are gone --- */

struct gone {
	const char *what, *name; /* name: the part behind the slash */
	size_t ns_len; /* of `what`; 0: any namespace */
	bool by_id, ambiguous;
	struct bh_stay best;
	struct bh_buf names;
};

static bool same_one(const struct bh_stay *a, const struct bh_stay *b, bool by_id)
{
	return by_id ? bh_streq(a->id, b->id) : bh_streq(a->namespace, b->namespace);
}

/* The last stay, as long as all are of one workload. */
static bool look_at(const struct bh_stay *y, void *arg)
{
	struct gone *g = arg;
	if (!y->stopped)
		return true;
	if (g->ns_len && (strlen(y->namespace) != g->ns_len ||
				 strncmp(y->namespace, g->what, g->ns_len) != 0))
		return true;
	if (g->best.number && !same_one(y, &g->best, g->by_id)) {
		if (!g->ambiguous)
			put_candidate(g->best.namespace, g->best.name, g->best.id, &g->names);
		g->ambiguous = true;
		if (g->names.len < 1000)
			put_candidate(y->namespace, y->name, y->id, &g->names);
		return true;
	}
	if (y->number > g->best.number) {
		bh_stay_finish(&g->best);
		bh_stay_copy(&g->best, y);
	}
	return true;
}

static int ask_store(const struct bh_core *c, struct gone *g, enum bh_stay_by by, const char *text,
	struct bh_answer *ret_error)
{
	g->by_id = by == BH_STAY_ID;
	int r = bh_store_list_stays(c->store, by, text, GONE_MAX, look_at, g);
	if (r < 0)
		*ret_error = bh_answer_error(500, NULL, "%s/bulkhead.db: %s", c->conf->state,
			bh_store_message(c->store));
	return r;
}

int bh_core_resolve_gone(
	struct bh_core *c, const char *what, struct bh_stay *ret, struct bh_answer *ret_error)
{
	const char *slash = strchr(what, '/');
	struct gone g = {.what = what,
		.name = slash ? slash + 1 : what,
		.ns_len = slash ? (size_t)(slash - what) : 0};
	bh_core_history_save(c);
	int r = ask_store(c, &g, BH_STAY_NAME, g.name, ret_error);
	if (r == 0 && !g.best.number && strlen(what) >= 4) {
		g.ns_len = 0;
		r = ask_store(c, &g, BH_STAY_ID, what, ret_error);
	}
	if (r == 0 && g.ambiguous) {
		*ret_error = bh_answer_error(
			409, NULL, "%s means several that are gone: %s", what, g.names.s);
		r = -ENOTUNIQ;
	}
	if (r == 0 && !g.best.number)
		r = -ENOENT;
	if (r == 0)
		*ret = g.best;
	else
		bh_stay_finish(&g.best);
	bh_buf_finish(&g.names);
	return r;
}
