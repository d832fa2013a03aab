/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /v1/workloads: those that are there, and if asked those that were. */
#include "answer/answer.h"
#include "core/core.h"
#include "core/state.h"
#include "history/history.h"
#include "inventory/inventory.h"
#include "modes/quarantine.h"
#include "store/store.h"
#include "views/filter.h"
#include "views/json.h"

#define GONE_READ 5000 /* stays that a question looks at, the last to stop first… */
#define GONE_SHOWN 500 /* …and that it answers with */

json_t *bh_core_labels_json(const struct bh_labels *l)
{
	json_t *o = json_object();
	for (size_t i = 0; i < l->n; i++)
		json_object_set_new(o, l->item[i].key, json_string(l->item[i].value));
	return o;
}

static json_t *interface_json(const struct bh_interface *f)
{
	char mac[18], text[BH_ADDR_STRLEN];
	json_t *addrs = json_array();
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", f->mac[0], f->mac[1], f->mac[2],
		f->mac[3], f->mac[4], f->mac[5]);
	for (size_t i = 0; i < f->n_addrs; i++)
		json_array_append_new(addrs, json_string(bh_addr_format(&f->addr[i], text)));
	return json_pack("{s:s?, s:s?, s:I, s:s?, s:s, s:o}", "name", f->name, "host_name",
		f->host_name, "host_ifindex", (json_int_t)f->host_ifindex, "bridge", f->bridge,
		"mac", mac, "addresses", addrs);
}

static json_t *policies_json(const struct bh_engine *e, size_t w)
{
	json_t *list = json_array();
	for (int d = BH_EGRESS; d <= BH_INGRESS; d++) {
		const struct bh_policy *const *p;
		size_t n = bh_engine_policies_of(e, w, d, &p);
		for (size_t i = 0; i < n; i++) {
			json_t *name = json_string(p[i]->ref);
			bool there = false;
			for (size_t k = 0; k < json_array_size(list); k++)
				there |= json_equal(json_array_get(list, k), name);
			if (there)
				json_decref(name);
			else
				json_array_append_new(list, name);
		}
	}
	return list;
}

static void add_claim(const char *what, void *list)
{
	json_array_append_new(list, json_string(what));
}

static json_t *claims_json(const struct bh_workload *w)
{
	json_t *list = json_array();
	bh_workload_claims(w, add_claim, list);
	return list;
}

json_t *bh_core_workload_json(const struct bh_core *c, size_t i)
{
	const struct bh_engine *e = c->snap->engine;
	const struct bh_workload *w = bh_engine_inventory(e)->workload[i];
	struct bh_labels selector = {0};
	json_t *ifaces = json_array();

	for (size_t k = 0; k < w->n_ifaces; k++)
		json_array_append_new(ifaces, interface_json(&w->iface[k]));
	bh_role_of(w, &selector);
	char bh_autofree *role = bh_role_name(&selector);
	bh_labels_finish(&selector);
	json_t *o = json_pack("{s:s, s:s?, s:s, s:s, s:o, s:s?, s:s?, s:i, s:I, s:s}", "id", w->id,
		"runtime", w->runtime, "name", w->name, "namespace", w->namespace, "labels",
		bh_core_labels_json(&w->labels), "image", w->image, "digest", w->digest, "pid",
		w->pid, "netns", (json_int_t)w->netns, "mode", bh_mode_name(w->mode));
	json_object_set_new(o, "images", bh_core_images_json(w->image, w->digest, &w->others));
	json_object_set_new(o, "role", json_string(role));
	json_object_set_new(
		o, "unenforceable", w->unenforceable ? json_string(w->unenforceable) : json_null());
	json_object_set_new(o, "quarantine",
		w->quarantine ? json_pack("{s:o}", "allow", bh_core_allow_json(w->quarantine))
			      : json_null());
	json_object_set_new(o, "isolated",
		json_pack("{s:b, s:b}", "ingress", bh_engine_isolated(e, i, BH_INGRESS), "egress",
			bh_engine_isolated(e, i, BH_EGRESS)));
	json_object_set_new(o, "policies", policies_json(e, i));
	json_object_set_new(o, "interfaces", ifaces);
	json_object_set_new(o, "refused", claims_json(w));
	bh_core_started_json(c, w, o);
	return o;
}

struct listing {
	const struct bh_filter *filter;
	json_t *list;
	size_t shown, read;
};

static bool add_gone(const struct bh_stay *y, void *arg)
{
	struct listing *l = arg;
	l->read++;
	if (!bh_filter_takes_stay(l->filter, y))
		return true;
	if (l->shown == GONE_SHOWN)
		return false;
	json_array_append_new(l->list, bh_core_stay_json(y));
	l->shown++;
	return true;
}

/* *ret_truncated: there are more, or may be. */
static int list_gone(
	struct bh_core *c, const struct bh_filter *f, json_t *list, bool *ret_truncated)
{
	struct listing l = {.filter = f, .list = list};
	bh_core_history_save(c);
	int r = bh_store_list_stays(c->store, BH_STAY_GONE, NULL, GONE_READ, add_gone, &l);
	*ret_truncated = l.read == GONE_READ || l.shown == GONE_SHOWN;
	return r;
}

struct bh_answer bh_core_workloads(struct bh_core *c, const struct bh_workloads_query *q)
{
	struct bh_filter bh_autofilter f = {.has_mode = false};
	struct bh_answer error;
	json_t *list = json_array();
	bool truncated = false;
	if (bh_filter_read(q, &f, &error) < 0) {
		json_decref(list);
		return error;
	}
	const struct bh_inventory *inv = c->snap ? bh_engine_inventory(c->snap->engine) : NULL;
	for (size_t i = 0; inv && i < inv->n; i++)
		if (bh_filter_takes_workload(&f, inv->workload[i]))
			json_array_append_new(list, bh_core_workload_json(c, i));
	if (q->all && list_gone(c, &f, list, &truncated) < 0) {
		json_decref(list);
		return bh_answer_error(500, NULL, "%s/bulkhead.db: %s", c->conf->state,
			bh_store_message(c->store));
	}
	return bh_answer_json(
		200, json_pack("{s:o, s:b}", "workloads", list, "truncated", truncated));
}
