/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Policies that select nobody, told to who applies them and who asks how things are. */
#include "policies/nobody.h"

#include <bulkhead/engine.h>

#include "core/state.h"

#define WARNINGS_MAX 8

static bool is_meant(
	const struct bh_inventory *inv, const struct bh_policy *q, const struct bh_workload *w)
{
	if (q->tier == BH_TIER_NETWORK_POLICY)
		return bh_streq(w->namespace, q->namespace) &&
		       bh_selector_matches(&q->pods, &w->labels);
	const struct bh_namespace *ns = bh_inventory_namespace(inv, w->namespace);
	return ns && bh_selector_matches(&q->namespaces, &ns->labels) &&
	       bh_selector_matches(&q->pods, &w->labels);
}

/* Why the policy means nobody of those that are there; owned, NULL: it means somebody. */
static char *means_nobody(const struct bh_inventory *inv, const struct bh_policy *q)
{
	struct bh_buf bh_autobuf labels = {0};
	bool inhabited = false;
	for (size_t i = 0; i < inv->n; i++) {
		if (is_meant(inv, q, inv->workload[i]))
			return NULL;
		inhabited |= bh_streq(inv->workload[i]->namespace, q->namespace);
	}
	if (q->tier != BH_TIER_NETWORK_POLICY)
		return bh_xasprintf("%s selects nobody who is there now", q->ref);
	if (!inhabited)
		return bh_xasprintf("%s selects nobody who is there now: no workload is in "
				    "namespace %s%s",
			q->ref, q->namespace,
			bh_streq(q->namespace, "default") ? ", which is what a policy without "
							    "metadata.namespace is about"
							  : "");
	bh_selector_format(&q->pods, &labels);
	return bh_xasprintf("%s selects nobody who is there now: no workload in %s matches %s",
		q->ref, q->namespace, labels.s ? labels.s : "");
}

static void say_more(json_t *list, size_t more)
{
	char bh_autofree *text = more ? bh_xasprintf("so do %zu more", more) : NULL;
	if (text)
		json_array_append_new(list, json_string(text));
}

json_t *bh_core_policies_of_nobody(const struct bh_core *c, const struct bh_policy_set *set)
{
	json_t *list = json_array();
	size_t more = 0;
	for (size_t i = 0; c->snap && i < set->n; i++) {
		char bh_autofree *why =
			means_nobody(bh_engine_inventory(c->snap->engine), set->policy[i]);
		if (why && json_array_size(list) < WARNINGS_MAX)
			json_array_append_new(list, json_string(why));
		else if (why)
			more++;
	}
	say_more(list, more);
	return list;
}

json_t *bh_core_idle_policies(const struct bh_core *c)
{
	json_t *list = json_array();
	size_t n = 0, i = 0;
	if (!c->snap)
		return list;
	const struct bh_engine *e = c->snap->engine;
	size_t bh_autofree *idle = bh_engine_idle_policies(e, &n);
	for (; i < n && i < WARNINGS_MAX; i++) {
		char bh_autofree *why = means_nobody(
			bh_engine_inventory(e), bh_engine_policies(e)->policy[idle[i]]);
		json_array_append_new(list, json_string(why ?: ""));
	}
	say_more(list, n - i);
	return list;
}
