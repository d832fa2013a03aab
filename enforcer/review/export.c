/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /v1/learn/export: the baseline as policies, and for which roles there can be none yet. */
#include "answer/answer.h"
#include "answer/clock.h"
#include "core/core.h"
#include "core/state.h"
#include "flows/observe.h"
#include "history/names.h"
#include "learn/learn.h"
#include "learn/names.h"
#include "review/roles.h"

struct wanted {
	const char *ns, *role;
	bool force;
};

/* Roles that were observed while they learned and have no edge: silence is worth a policy without
 * rules only if it was listened to for long enough. */
struct silent {
	struct bh_end *empty, *hardly; /* borrowed contents */
	size_t n_empty, n_hardly;
	const struct bh_role_view *example; /* of the hardly seen, as asked for */
};

static void find_silent(
	const struct bh_role_views *v, const struct wanted *w, int64_t now, struct silent *ret)
{
	*ret = (struct silent){
		.empty = bh_xcalloc(v->n + 1, sizeof(*ret->empty)),
		.hardly = bh_xcalloc(v->n + 1, sizeof(*ret->hardly)),
	};
	for (size_t i = 0; i < v->n; i++) {
		const struct bh_role_view *x = &v->item[i];
		struct bh_ready ready;
		if (!x->seen || x->edges_in + x->edges_out || !bh_core_role_is(x, w->ns, w->role))
			continue;
		bh_core_role_ready(x, now, &ready);
		if (ready.level == BH_READY_HARDLY_SEEN && !w->force) {
			ret->hardly[ret->n_hardly++] = x->end;
			ret->example = x;
		} else if (x->seen->learned_s || w->force) {
			ret->empty[ret->n_empty++] = x->end;
		}
	}
}

static struct bh_answer nothing(const struct wanted *w)
{
	return bh_answer_error(404, NULL,
		"nothing was learned%s%s%s%s yet: no answered flow of such a workload was seen in "
		"learn mode; see `bulkhead learn status`",
		w->ns ? " in namespace " : "", w->ns ? w->ns : "", w->role ? " for role " : "",
		w->role ? w->role : "");
}

static struct bh_answer hardly_seen(const struct bh_role_view *x, int64_t now)
{
	struct bh_ready ready;
	struct bh_buf bh_autobuf why = {0};
	bh_core_role_ready(x, now, &ready);
	for (size_t i = 0; i < ready.n; i++)
		if (!ready.reason[i].met)
			bh_buf_printf(&why, "%s%s", why.len ? "; " : "", ready.reason[i].text);
	return bh_answer_error(409, NULL,
		"%s/%s was hardly seen (%s): a policy without rules would cut it off from "
		"everything; go on learning, or say --force",
		x->end.namespace, x->name, why.s ? why.s : "");
}

static size_t names_of(const struct bh_end *role, const struct bh_addr *a,
	const char *ret[static BH_EXPORT_NAMES], void *core)
{
	_Static_assert(BH_EXPORT_NAMES == BH_NAMES_PER_ADDR, "as many as are kept");
	return bh_core_names_of(core, role, a, ret);
}

static struct bh_answer export(struct bh_core *c, const struct wanted *w, bool evidence,
	const struct bh_tuple *t, size_t n, const struct bh_role_views *v, int64_t now)
{
	struct bh_inventory *inv =
		c->snap ? bh_inventory_ref(
				  (struct bh_inventory *)bh_engine_inventory(c->snap->engine))
			: NULL;
	struct bh_buf out = {0};
	struct silent s;
	find_silent(v, w, now, &s);
	struct bh_export_opts opts = {
		.namespace = w->ns,
		.role = w->role,
		.host_policy = c->conf->host_policy,
		.host = inv ? inv->host : NULL,
		.n_hosts = inv ? inv->n_hosts : 0,
		.evidence = evidence,
		.names = names_of,
		.names_arg = c,
		.empty = s.empty,
		.n_empty = s.n_empty,
		.hardly_seen = s.hardly,
		.n_hardly_seen = s.n_hardly,
	};
	size_t written = bh_baseline_export(t, n, inv, &opts, &out);
	bh_inventory_unref(inv);
	free(s.empty);
	free(s.hardly);
	if (written)
		return bh_answer_text(200, "text/yaml", bh_buf_take(&out));
	bh_buf_finish(&out);
	return s.example && w->role ? hardly_seen(s.example, now) : nothing(w);
}

struct bh_answer bh_core_learn_export(
	struct bh_core *c, const char *ns, const char *role, bool evidence, bool force)
{
	struct wanted w = {.ns = ns, .role = role, .force = force};
	struct bh_role_views v;
	int64_t now = bh_clock_now();
	size_t n;

	bh_core_observe(c, 1000000);
	struct bh_tuple bh_autofree *t = bh_learn_tuples(c->learn, &n);
	bh_core_role_views(c, t, n, now, &v);
	struct bh_answer a = export(c, &w, evidence, t, n, &v, now);
	bh_core_role_views_finish(&v);
	return a;
}
