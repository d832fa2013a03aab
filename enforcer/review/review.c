/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GET /v1/learn/edges, POST /v1/learn/review and /v1/learn/reset: a person looks at the baseline.
 */
#include "answer/actor.h"
#include "answer/answer.h"
#include "audit/audit.h"
#include "core/core.h"
#include "core/state.h"
#include "history/names.h"
#include "learn/learn.h"
#include "review/pick.h"
#include "store/store.h"

#define EDGES_DEFAULT 1000
#define IDS_MAX 1000
#define SHOWN_MAX 200 /* edges in the answer to a review */

static bool read_state(const char *text, struct bh_tuple_pick *p, struct bh_answer *ret_error)
{
	if (!text)
		return true;
	for (int i = BH_REVIEW_NONE; i <= BH_REVIEW_REJECTED; i++)
		if (bh_streq(text, bh_review_name((enum bh_review)i))) {
			p->has_review = true;
			p->review = (enum bh_review)i;
			return true;
		}
	*ret_error = bh_answer_error(400, NULL, "review must be none, accepted or rejected");
	return false;
}

struct bh_answer bh_core_learn_edges(
	struct bh_core *c, const char *ns, const char *role, const char *review, size_t limit)
{
	struct bh_tuple_pick pick;
	struct bh_answer error;
	json_t *edges = json_array();
	size_t n, matched = 0;

	if (!bh_core_pick_read(ns, role, NULL, &pick, &error) ||
		!read_state(review, &pick, &error)) {
		json_decref(edges);
		return error;
	}
	struct bh_tuple bh_autofree *t = bh_learn_tuples(c->learn, &n);
	for (size_t i = 0; i < n; i++)
		if (bh_core_pick_matches(&t[i], &pick) &&
			matched++ < (limit ? limit : EDGES_DEFAULT))
			json_array_append_new(edges, bh_core_tuple_json(c, &t[i]));
	bh_core_pick_finish(&pick);
	return bh_answer_json(
		200, json_pack("{s:o, s:I, s:b}", "edges", edges, "matched", (json_int_t)matched,
			     "truncated", matched > (limit ? limit : EDGES_DEFAULT)));
}

/* --- a review --- */

struct review {
	const char *action;
	bool has_review;
	enum bh_review review;
	bool has_widened;
	struct bh_prefix widened;
};

static bool read_action(const json_t *body, struct review *r, struct bh_answer *ret_error)
{
	static const struct {
		const char *name;
		enum bh_review review;
	} action[] = {{"accept", BH_REVIEW_ACCEPTED}, {"reject", BH_REVIEW_REJECTED},
		{"undo", BH_REVIEW_NONE}, {"widen", BH_REVIEW_ACCEPTED}};
	const char *cidr = json_string_value(json_object_get(body, "cidr"));
	r->action = json_string_value(json_object_get(body, "action"));
	for (size_t i = 0; i < BH_ARRAY_SIZE(action); i++)
		if (bh_streq(r->action, action[i].name)) {
			r->has_review = true;
			r->review = action[i].review;
		}
	bool widen = bh_streq(r->action, "widen");
	if (!r->has_review)
		*ret_error =
			bh_answer_error(400, NULL, "action must be accept, reject, undo or widen");
	else if (widen != (cidr != NULL))
		*ret_error = bh_answer_error(400, NULL,
			widen ? "cidr is missing: to what block?" : "only widen takes a cidr");
	else if (widen && bh_prefix_parse(cidr, &r->widened) != 0)
		*ret_error = bh_answer_error(400, NULL,
			"cidr must be a block such as 203.0.113.0/24, without bits after the "
			"prefix");
	else {
		r->has_widened = widen || bh_streq(r->action, "undo");
		return true;
	}
	return false;
}

static bool read_ids(const json_t *list, struct bh_tuple_pick *p, struct bh_answer *ret_error)
{
	const json_t *x;
	size_t i;
	if (!list || json_is_null(list))
		return true;
	if (!json_is_array(list) || json_array_size(list) > IDS_MAX) {
		*ret_error = bh_answer_error(
			400, NULL, "edges must be a list of at most %d ids", IDS_MAX);
		return false;
	}
	p->id = bh_xcalloc(json_array_size(list) + 1, sizeof(*p->id));
	json_array_foreach(list, i, x)
	{
		const char *id = json_string_value(x);
		if (!id || strlen(id) < 4 || strspn(id, "0123456789abcdef") != strlen(id)) {
			*ret_error = bh_answer_error(400, NULL,
				"an edge is named by its id, or at least its first four digits; "
				"`bulkhead learn show` lists them");
			return false;
		}
		p->id[p->n_ids++] = id;
	}
	return true;
}

/* Each id must mean exactly one edge. */
static bool check_ids(struct bh_core *c, const struct bh_tuple_pick *p, struct bh_answer *ret_error)
{
	size_t n;
	char id[BH_TUPLE_ID_STRLEN];
	if (p->n_ids == 0)
		return true;
	size_t bh_autofree *hits = bh_xcalloc(p->n_ids, sizeof(*hits));
	struct bh_tuple bh_autofree *t = bh_learn_tuples(c->learn, &n);
	for (size_t i = 0; i < n; i++) {
		bh_tuple_id(&t[i], id);
		for (size_t k = 0; k < p->n_ids; k++)
			hits[k] += strncmp(id, p->id[k], strlen(p->id[k])) == 0;
	}
	for (size_t k = 0; k < p->n_ids; k++)
		if (hits[k] != 1) {
			*ret_error = bh_answer_error(hits[k] ? 409 : 404, NULL,
				hits[k] ? "%s means %zu edges: give more digits"
					: "there is no edge %s",
				p->id[k], hits[k]);
			return false;
		}
	return true;
}

static bool read_pick(
	struct bh_core *c, const json_t *body, struct bh_tuple_pick *p, struct bh_answer *ret_error)
{
	const char *ns = json_string_value(json_object_get(body, "namespace"));
	const char *role = json_string_value(json_object_get(body, "role"));
	const char *selector = json_string_value(json_object_get(body, "selector"));
	*p = (struct bh_tuple_pick){0};
	if (!bh_core_pick_read(ns, role, selector, p, ret_error))
		return false;
	if (!read_ids(json_object_get(body, "edges"), p, ret_error) || !check_ids(c, p, ret_error))
		return false;
	if (p->n_ids || ns || role || selector)
		return true;
	*ret_error = bh_answer_error(
		400, NULL, "which edges? name them by id, or by namespace, role or selector");
	return false;
}

/* A block in which workloads live lets in every workload that is there, by its address. */
static json_t *warnings_of(const struct bh_core *c, const struct bh_prefix *p)
{
	const struct bh_inventory *inv = c->snap ? bh_engine_inventory(c->snap->engine) : NULL;
	json_t *list = json_array();
	char text[BH_PREFIX_STRLEN], breadth[24];
	bh_prefix_format(p, text);
	for (size_t i = 0; inv && i < inv->n_networks; i++)
		if (bh_prefix_covers(p, &inv->network[i])) {
			json_array_append_new(list,
				json_sprintf("%s holds a network of containers: the rule would "
					     "mean all of them too",
					text));
			break;
		}
	if (p->len < bh_addr_bits(&p->addr) / 4)
		json_array_append_new(list,
			json_sprintf("%s is %s addresses", text, bh_breadth_format(p, breadth)));
	return list;
}

static json_t *changed_json(struct bh_core *c, struct bh_tuple_pick *p)
{
	size_t n, shown = 0;
	json_t *edges = json_array();
	struct bh_tuple bh_autofree *t = bh_learn_tuples(c->learn, &n);
	for (size_t i = 0; i < n && shown < SHOWN_MAX; i++)
		if (bh_core_pick_matches(&t[i], p)) {
			json_array_append_new(edges, bh_core_tuple_json(c, &t[i]));
			shown++;
		}
	return edges;
}

static struct bh_answer review(struct bh_core *c, const struct review *r, struct bh_tuple_pick *p,
	const json_t *body, const struct bh_core_actor *who)
{
	char breadth[24];
	if (bh_streq(r->action, "widen")) {
		p->has_block = true;
		p->block = r->widened;
	}
	size_t n = bh_learn_review(
		c->learn, bh_core_pick_matches, p, &r->review, r->has_widened ? &r->widened : NULL);
	if (n == 0)
		return bh_answer_error(404, NULL,
			p->has_block
				? "no such edge has an outside address in that block"
				: "no edge is meant by that; `bulkhead learn show` lists them");
	int e = bh_learn_save(c->learn);
	struct bh_audit_actor actor = bh_core_audit_actor(who);
	json_t *details = json_deep_copy(body);
	json_object_set_new(details, "changed", json_integer((json_int_t)n));
	bh_audit_event(c->audit, "learn.review", e < 0 ? "failure" : "success",
		e < 0 ? bh_store_message(c->store) : NULL, &actor, details);
	if (e < 0)
		return bh_answer_error(507, NULL,
			"the review could not be written yet (%s/bulkhead.db: %s); it is tried "
			"again every second",
			c->conf->state, bh_store_message(c->store));
	json_t *o = json_pack("{s:I, s:o}", "changed", (json_int_t)n, "edges", changed_json(c, p));
	if (p->has_block) {
		json_object_set_new(
			o, "breadth", json_string(bh_breadth_format(&r->widened, breadth)));
		json_object_set_new(o, "warnings", warnings_of(c, &r->widened));
	}
	return bh_answer_json(200, o);
}

struct bh_answer bh_core_learn_review(
	struct bh_core *c, const json_t *body, const struct bh_core_actor *who)
{
	struct review r = {0};
	struct bh_tuple_pick pick;
	struct bh_answer a;

	if (!read_action(body, &r, &a))
		return a;
	if (read_pick(c, body, &pick, &a))
		a = review(c, &r, &pick, body, who);
	bh_core_pick_finish(&pick);
	return a;
}

/* --- reset --- */

static int forget_roles(struct bh_core *c, const struct bh_tuple_pick *p)
{
	int e = 0;
	for (size_t i = bh_learn_n_roles(c->learn); e == 0 && i-- > 0;) {
		const struct bh_role_row *row = bh_learn_role_at(c->learn, i);
		char bh_autofree *name = bh_role_name(&row->end.selector);
		struct bh_end end;
		if ((p->ns && !bh_streq(p->ns, row->end.namespace)) ||
			(p->role && !bh_streq(p->role, name)))
			continue;
		bh_end_copy(&end, &row->end);
		e = bh_learn_forget_role(c->learn, &end);
		bh_core_names_forget(c, &end);
		bh_end_finish(&end);
	}
	return e;
}

struct bh_answer bh_core_learn_reset(
	struct bh_core *c, const json_t *body, const struct bh_core_actor *who)
{
	struct bh_tuple_pick p = {
		.ns = json_string_value(json_object_get(body, "namespace")),
		.role = json_string_value(json_object_get(body, "role")),
	};
	if (!p.ns && !p.role && !json_is_true(json_object_get(body, "all")))
		return bh_answer_error(
			400, NULL, "what is to be forgotten? a namespace, a role, or all");
	int64_t n = bh_learn_forget(c->learn, bh_core_pick_matches, &p);
	int e = n < 0 ? (int)n : forget_roles(c, &p);
	int done = bh_store_commit(c->store);
	if (e == 0)
		e = done;
	if (e == 0)
		e = bh_core_names_save(c);
	c->observed = 0;
	struct bh_audit_actor actor = bh_core_audit_actor(who);
	bh_audit_event(c->audit, "learn.reset", e < 0 ? "failure" : "success",
		e < 0 ? bh_store_message(c->store) : NULL, &actor,
		json_pack("{s:s?, s:s?, s:I}", "namespace", p.ns, "role", p.role, "forgotten",
			(json_int_t)(n < 0 ? 0 : n)));
	if (e < 0)
		return bh_answer_error(507, NULL, "%s: %s/bulkhead.db: %s",
			n < 0 ? "nothing was forgotten" : "not all could be forgotten",
			c->conf->state, bh_store_message(c->store));
	return bh_answer_json(200, json_pack("{s:I}", "forgotten", (json_int_t)n));
}
