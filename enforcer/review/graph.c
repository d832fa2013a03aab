/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /v1/graph: who talks to whom, between roles and outside peers: what was learned, and the
 * newest recorded flows with their verdicts. */
#include "answer/answer.h"
#include "answer/clock.h"
#include "core/core.h"
#include "core/state.h"
#include "flows/flows.h"
#include "history/names.h"
#include "learn/learn.h"
#include "learn/names.h"
#include "review/roles.h"
#include "store/store.h"

#define FLOWS_MAX 2000 /* newest rows of the flow table */
#define EDGES_MAX 5000
#define NAMES_MAX 8 /* of one address */

struct edge {
	char *src, *dst; /* owned; as bh_end_format has them */
	uint8_t proto;
	uint16_t port;
	bool learned;
	uint64_t allowed, would_deny, denied;
	struct bh_volume volume;
	int64_t last;
};

struct graph {
	struct bh_core *c;
	struct edge *edge;
	size_t n, cap;
	json_t *names; /* owned; of outside addresses: {"203.0.113.9": {"api.example.com": true}} */
};

static char *end_text(const struct bh_end *e)
{
	struct bh_buf b = {0};
	bh_end_format(e, &b);
	return bh_buf_take(&b);
}

static struct edge *add(struct graph *g, char *src, char *dst, uint8_t proto, uint16_t port)
{
	BH_GROW(g->edge, g->n, g->cap);
	g->edge[g->n] = (struct edge){.src = src, .dst = dst, .proto = proto, .port = port};
	return &g->edge[g->n++];
}

/* What `end` was told of an outside address; several may have been told different names. */
static void label(struct graph *g, const struct bh_end *end, const struct bh_addr *addr)
{
	char text[BH_ADDR_STRLEN];
	const char *name[BH_NAMES_PER_ADDR];
	size_t n = end && addr ? bh_core_names_of(g->c, end, addr, name) : 0;
	json_t *list = n ? json_object_get(g->names, bh_addr_format(addr, text)) : NULL;
	if (n && !list) {
		list = json_object();
		json_object_set_new(g->names, text, list);
	}
	for (size_t i = 0; i < n && json_object_size(list) < NAMES_MAX; i++)
		json_object_set_new(list, name[i], json_true());
}

static void add_tuples(struct graph *g)
{
	size_t n;
	struct bh_tuple bh_autofree *t = bh_learn_tuples(g->c->learn, &n);
	for (size_t i = 0; i < n && g->n < EDGES_MAX; i++) {
		if (!t[i].answered)
			continue;
		struct edge *e =
			add(g, end_text(&t[i].src), end_text(&t[i].dst), t[i].proto, t[i].port);
		e->learned = true;
		e->allowed = t[i].connections;
		e->volume = t[i].volume;
		e->last = t[i].last_seen;
		label(g, t[i].src.kind == BH_END_ROLE ? &t[i].src : &t[i].dst,
			bh_tuple_outside(&t[i]));
	}
}

/* The role of whoever it was; what the row calls it where nothing more is known. */
static char *name_of(struct graph *g, uint64_t stay, const char *name)
{
	const struct bh_end *e = bh_core_stay_end(g->c, stay);
	return e ? end_text(e) : bh_xstrdup(name);
}

static void label_row(struct graph *g, const struct bh_flow_row *r)
{
	struct bh_addr a;
	if (r->src_stay && !r->dst_stay && bh_addr_parse(r->dst_addr, &a) == 0)
		label(g, bh_core_stay_end(g->c, r->src_stay), &a);
	else if (r->dst_stay && !r->src_stay && bh_addr_parse(r->src_addr, &a) == 0)
		label(g, bh_core_stay_end(g->c, r->dst_stay), &a);
}

struct rows {
	struct bh_flow_row *row;
	size_t n;
};

/* The store is asked about stays after the walk, not in it. */
static void keep(const struct bh_flow_row *r, void *arg)
{
	struct rows *to = arg;
	struct bh_flow_row *x = &to->row[to->n++];
	*x = (struct bh_flow_row){.src = bh_xstrdup(r->src),
		.dst = bh_xstrdup(r->dst),
		.src_addr = bh_xstrdup(r->src_addr),
		.dst_addr = bh_xstrdup(r->dst_addr),
		.verdict = bh_xstrdup(r->verdict),
		.src_stay = r->src_stay,
		.dst_stay = r->dst_stay,
		.proto = r->proto,
		.port = r->port,
		.count = r->count,
		.volume = r->volume,
		.last_seen = r->last_seen};
}

static int add_flows(struct graph *g)
{
	struct rows rows = {.row = bh_xcalloc(FLOWS_MAX, sizeof(*rows.row))};
	bh_core_flows_save(g->c);
	int r = bh_store_list_flows(g->c->store, 0, FLOWS_MAX, keep, &rows);
	for (size_t i = 0; i < rows.n; i++) {
		struct bh_flow_row *x = &rows.row[i];
		struct edge *e = add(g, name_of(g, x->src_stay, x->src),
			name_of(g, x->dst_stay, x->dst), x->proto, x->port);
		if (bh_streq(x->verdict, "allow"))
			e->allowed = x->count;
		else if (bh_streq(x->verdict, "would-deny"))
			e->would_deny = x->count;
		else
			e->denied = x->count;
		e->volume = x->volume;
		e->last = x->last_seen;
		label_row(g, x);
		bh_flow_row_finish(x);
	}
	free(rows.row);
	return r;
}

static int compare(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;
	int r = strcmp(x->src, y->src);
	if (r == 0)
		r = strcmp(x->dst, y->dst);
	if (r == 0)
		r = x->proto - y->proto;
	return r ? r : x->port - y->port;
}

/* Of the same ends and service what was recorded comes first, and what was learned meets the sum.
 */
static int compare_all(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;
	int r = compare(a, b);
	return r ? r : x->learned - y->learned;
}

/* What was learned and what was recorded are two accounts of the same connections. */
static void merge_into(struct edge *to, struct edge *from)
{
	if (to->learned != from->learned) {
		to->allowed = to->allowed > from->allowed ? to->allowed : from->allowed;
		if (to->volume.flows < from->volume.flows)
			to->volume = from->volume;
	} else {
		to->allowed += from->allowed;
		bh_volume_add(&to->volume, &from->volume);
	}
	to->learned |= from->learned;
	to->would_deny += from->would_deny;
	to->denied += from->denied;
	if (from->last > to->last)
		to->last = from->last;
	free(from->src);
	free(from->dst);
}

static void merge(struct graph *g)
{
	size_t kept = 0;
	if (g->n)
		qsort(g->edge, g->n, sizeof(*g->edge), compare_all);
	for (size_t i = 0; i < g->n; i++) {
		if (kept && compare(&g->edge[kept - 1], &g->edge[i]) == 0)
			merge_into(&g->edge[kept - 1], &g->edge[i]);
		else
			g->edge[kept++] = g->edge[i];
	}
	g->n = kept;
}

/* Some of what was tried passed and some did not: no one word of the three would be true. */
static const char *verdict_of(const struct edge *e)
{
	if (e->denied)
		return e->allowed || e->would_deny ? "mixed" : "deny";
	return e->would_deny ? "would-deny" : "allow";
}

static json_t *edge_json(const struct edge *e)
{
	char proto[4];
	json_t *o = json_pack("{s:s, s:s, s:s, s:i, s:b, s:I, s:I, s:I, s:s}", "src", e->src, "dst",
		e->dst, "protocol", bh_proto_name(e->proto, proto), "port", e->port, "learned",
		e->learned, "allowed", (json_int_t)e->allowed, "would_deny",
		(json_int_t)e->would_deny, "denied", (json_int_t)e->denied, "verdict",
		verdict_of(e));
	json_object_set_new(o, "volume", bh_core_volume_json(&e->volume));
	json_object_set_new(o, "last_seen", bh_clock_json(e->last));
	return o;
}

static json_t *names_of(const json_t *names, const char *addr)
{
	json_t *list = json_array(), *x;
	const char *name;
	json_object_foreach(json_object_get(names, addr), name, x)
		json_array_append_new(list, json_string(name));
	return list;
}

static json_t *nodes_json(struct bh_core *c, json_t *names, const json_t *labels)
{
	struct bh_role_views v;
	json_t *list = json_array(), *x;
	const char *name;
	bh_core_role_views(c, NULL, 0, bh_clock_now(), &v);
	for (size_t i = 0; i < v.n; i++) {
		char bh_autofree *text = end_text(&v.item[i].end);
		if (!json_object_get(names, text) && v.item[i].workloads == 0)
			continue;
		json_object_del(names, text);
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:I, s:s?}", "name", text, "kind", "role",
				      "namespace", v.item[i].end.namespace, "workloads",
				      (json_int_t)v.item[i].workloads, "mode",
				      v.item[i].mixed       ? "mixed"
				      : v.item[i].workloads ? bh_mode_name(v.item[i].mode)
							    : NULL));
	}
	bh_core_role_views_finish(&v);
	json_object_foreach(names, name, x)
	{
		struct bh_addr a;
		bool outside = bh_addr_parse(name, &a) == 0 || strncmp(name, "others-", 7) == 0;
		const char *kind = outside ? "outside" : bh_streq(name, "host") ? "host" : "role";
		json_array_append_new(list, json_pack("{s:s, s:s, s:n, s:i, s:n, s:o}", "name",
						    name, "kind", kind, "namespace", "workloads", 0,
						    "mode", "names", names_of(labels, name)));
	}
	return list;
}

struct bh_answer bh_core_graph(struct bh_core *c)
{
	struct graph g = {.c = c, .names = json_object()};
	json_t *edges = json_array(), *names = json_object();
	add_tuples(&g);
	bool truncated = g.n == EDGES_MAX;
	int r = add_flows(&g);
	merge(&g);
	for (size_t i = 0; i < g.n; i++) {
		json_object_set_new(names, g.edge[i].src, json_true());
		json_object_set_new(names, g.edge[i].dst, json_true());
		json_array_append_new(edges, edge_json(&g.edge[i]));
		free(g.edge[i].src);
		free(g.edge[i].dst);
	}
	free(g.edge);
	json_t *nodes = nodes_json(c, names, g.names);
	json_decref(names);
	json_decref(g.names);
	if (r < 0) {
		json_decref(nodes);
		json_decref(edges);
		return bh_answer_error(500, NULL, "%s/bulkhead.db: %s", c->conf->state,
			bh_store_message(c->store));
	}
	return bh_answer_json(200, json_pack("{s:s, s:o, s:o, s:b}", "node", c->node, "nodes",
					   nodes, "edges", edges, "truncated", truncated));
}
