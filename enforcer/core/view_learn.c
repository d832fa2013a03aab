/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /v1/learn and /v1/learn/export */
#include "core/private.h"

struct role {
	char *namespace, *name;
	struct bh_labels selector;
	size_t workloads, edges_in, edges_out, unanswered;
	int64_t last_new;
	enum bh_mode mode;
};

struct roles {
	struct role *item;
	size_t n, cap;
};

static struct role *find_role(struct roles *r, const char *ns, const struct bh_labels *selector)
{
	for (size_t i = 0; i < r->n; i++)
		if (bh_streq(r->item[i].namespace, ns) &&
			bh_labels_equal(&r->item[i].selector, selector))
			return &r->item[i];
	BH_GROW(r->item, r->n, r->cap);
	struct role *x = &r->item[r->n++];
	*x = (struct role){.namespace = bh_xstrdup(ns), .name = bh_role_name(selector)};
	bh_labels_copy(&x->selector, selector);
	return x;
}

static void count_workloads(const struct bh_core *c, struct roles *r)
{
	const struct bh_inventory *inv = bh_engine_inventory(c->snap->engine);
	for (size_t i = 0; i < inv->n; i++) {
		struct bh_labels selector = {0};
		bh_role_of(inv->workload[i], &selector);
		struct role *x = find_role(r, inv->workload[i]->namespace, &selector);
		x->workloads++;
		x->mode = inv->workload[i]->mode;
		bh_labels_finish(&selector);
	}
}

static void count_end(struct roles *r, const struct bh_tuple *t, const struct bh_end *e, bool out)
{
	if (e->kind != BH_END_ROLE)
		return;
	struct role *x = find_role(r, e->namespace, &e->selector);
	if (!t->answered)
		x->unanswered++;
	else if (out)
		x->edges_out++;
	else
		x->edges_in++;
	if (t->answered && t->first_seen > x->last_new)
		x->last_new = t->first_seen;
}

static json_t *role_json(const struct role *x)
{
	json_t *selector = json_object();
	for (size_t i = 0; i < x->selector.n; i++)
		json_object_set_new(
			selector, x->selector.item[i].key, json_string(x->selector.item[i].value));
	return json_pack("{s:s, s:s, s:o, s:I, s:s?, s:I, s:I, s:I, s:o}", "namespace",
		x->namespace, "role", x->name, "selector", selector, "workloads",
		(json_int_t)x->workloads, "mode", x->workloads ? bh_mode_name(x->mode) : NULL,
		"edges_in", (json_int_t)x->edges_in, "edges_out", (json_int_t)x->edges_out,
		"unanswered", (json_int_t)x->unanswered, "last_new",
		bh_core_time_json(x->last_new));
}

static json_t *edge_json(const struct bh_tuple *t)
{
	struct bh_buf bh_autobuf src = {0}, bh_autobuf dst = {0};
	char proto[4];
	json_t *images = json_array();
	bh_end_format(&t->src, &src);
	bh_end_format(&t->dst, &dst);
	for (size_t i = 0; i < t->n_images; i++)
		json_array_append_new(images, json_string(t->image[i]));
	json_t *o = json_pack("{s:s, s:s, s:s, s:i, s:b, s:I, s:b, s:b, s:o}", "src", src.s, "dst",
		dst.s, "protocol", bh_proto_name(t->proto, proto), "port", t->port, "answered",
		t->answered, "connections", (json_int_t)t->connections, "egress", t->egress,
		"ingress", t->ingress, "images", images);
	json_object_set_new(o, "first_seen", bh_core_time_json(t->first_seen));
	json_object_set_new(o, "last_seen", bh_core_time_json(t->last_seen));
	return o;
}

struct bh_answer bh_core_learn_status(struct bh_core *c)
{
	size_t n;
	struct roles r = {0};
	struct bh_learn_stats st;
	json_t *roles = json_array(), *edges = json_array();
	struct bh_tuple bh_autofree *t = bh_learn_tuples(c->learn, &n);

	if (c->snap)
		count_workloads(c, &r);
	for (size_t i = 0; i < n; i++) {
		count_end(&r, &t[i], &t[i].src, true);
		count_end(&r, &t[i], &t[i].dst, false);
		json_array_append_new(edges, edge_json(&t[i]));
	}
	for (size_t i = 0; i < r.n; i++) {
		json_array_append_new(roles, role_json(&r.item[i]));
		free(r.item[i].namespace);
		free(r.item[i].name);
		bh_labels_finish(&r.item[i].selector);
	}
	free(r.item);
	bh_learn_get_stats(c->learn, &st);
	json_t *o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "tuples",
		(json_int_t)st.tuples, "answered", (json_int_t)st.answered, "unanswered",
		(json_int_t)(st.tuples - st.answered), "pending", (json_int_t)st.pending, "refused",
		(json_int_t)st.tuples_refused, "roles", roles, "edges", edges);
	json_object_set_new(o, "since", bh_core_time_json(st.started));
	json_object_set_new(o, "last_new", bh_core_time_json(st.last_new));
	return bh_answer_json(200, o);
}

struct bh_answer bh_core_learn_export(
	struct bh_core *c, const char *ns, const char *role, bool evidence)
{
	size_t n;
	struct bh_buf out = {0};
	struct bh_tuple bh_autofree *t = bh_learn_tuples(c->learn, &n);
	struct bh_inventory *inv =
		c->snap ? bh_inventory_ref(
				  (struct bh_inventory *)bh_engine_inventory(c->snap->engine))
			: NULL;
	struct bh_export_opts opts = {
		.namespace = ns,
		.role = role,
		.host_policy = c->conf->host_policy,
		.host = inv ? inv->host : NULL,
		.n_hosts = inv ? inv->n_hosts : 0,
		.evidence = evidence,
	};
	size_t written = bh_baseline_export(t, n, inv, &opts, &out);
	bh_inventory_unref(inv);
	if (written == 0) {
		bh_buf_finish(&out);
		return bh_answer_error(404, NULL,
			"nothing was learned%s%s%s%s yet: no answered flow of such a workload was "
			"seen "
			"in learn mode; see `bulkhead learn status`",
			ns ? " in namespace " : "", ns ? ns : "", role ? " for role " : "",
			role ? role : "");
	}
	return bh_answer_text(200, "text/yaml", bh_buf_take(&out));
}
