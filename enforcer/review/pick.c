/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which learned tuples a request means, and how they are shown. */
#include "review/pick.h"

#include "answer/answer.h"
#include "answer/clock.h"
#include "flows/flows.h"
#include "history/names.h"

bool bh_core_pick_read(const char *ns, const char *role, const char *selector,
	struct bh_tuple_pick *ret, struct bh_answer *ret_error)
{
	const char *why;
	*ret = (struct bh_tuple_pick){.ns = ns, .role = role};
	if (!selector)
		return true;
	if (bh_selector_parse(selector, &ret->selector, &why) < 0) {
		*ret_error = bh_answer_error(
			400, NULL, "selector: %s; write it as \"app=web,tier in (db,cache)\"", why);
		return false;
	}
	ret->has_selector = true;
	return true;
}

void bh_core_pick_finish(struct bh_tuple_pick *p)
{
	bh_selector_finish(&p->selector);
	free(p->id);
	*p = (struct bh_tuple_pick){0};
}

static bool end_matches(const struct bh_tuple_pick *p, const struct bh_end *e)
{
	if (e->kind != BH_END_ROLE || (p->ns && !bh_streq(p->ns, e->namespace)) ||
		(p->has_selector && !bh_selector_matches(&p->selector, &e->selector)))
		return false;
	if (!p->role)
		return true;
	char bh_autofree *name = bh_role_name(&e->selector);
	return bh_streq(name, p->role);
}

static bool id_matches(const struct bh_tuple_pick *p, const struct bh_tuple *t)
{
	char id[BH_TUPLE_ID_STRLEN];
	if (p->n_ids == 0)
		return true;
	bh_tuple_id(t, id);
	for (size_t i = 0; i < p->n_ids; i++)
		if (strncmp(id, p->id[i], strlen(p->id[i])) == 0)
			return true;
	return false;
}

bool bh_core_pick_matches(const struct bh_tuple *t, void *pick)
{
	const struct bh_tuple_pick *p = pick;
	if (p->answered && !t->answered)
		return false;
	if (p->has_review && t->review != p->review)
		return false;
	if (p->has_block && !bh_tuple_in_block(t, &p->block))
		return false;
	if ((p->ns || p->role || p->has_selector) && !end_matches(p, &t->src) &&
		!end_matches(p, &t->dst))
		return false;
	return id_matches(p, t);
}

/* Only one end can be outside, and only the other one was told its name. */
static void add_names(struct bh_core *c, const struct bh_tuple *t, json_t *o)
{
	bool out = t->dst.kind == BH_END_ADDR, in = t->src.kind == BH_END_ADDR;
	json_object_set_new(o, "src_names",
		bh_core_names_json(c, in ? &t->dst : NULL, in ? &t->src.addr : NULL));
	json_object_set_new(o, "dst_names",
		bh_core_names_json(c, out ? &t->src : NULL, out ? &t->dst.addr : NULL));
}

json_t *bh_core_tuple_json(struct bh_core *c, const struct bh_tuple *t)
{
	struct bh_buf bh_autobuf src = {0}, bh_autobuf dst = {0};
	char proto[4], id[BH_TUPLE_ID_STRLEN], block[BH_PREFIX_STRLEN], breadth[24];
	json_t *images = json_array();
	bh_end_format(&t->src, &src);
	bh_end_format(&t->dst, &dst);
	for (size_t i = 0; i < t->n_images; i++)
		json_array_append_new(images, json_string(t->image[i]));
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:i, s:b, s:I, s:b, s:b, s:o, s:s}", "id",
		bh_tuple_id(t, id), "src", src.s, "dst", dst.s, "protocol",
		bh_proto_name(t->proto, proto), "port", t->port, "answered", t->answered,
		"connections", (json_int_t)t->connections, "egress", t->egress, "ingress",
		t->ingress, "images", images, "review", bh_review_name(t->review));
	json_object_set_new(o, "volume", bh_core_volume_json(&t->volume));
	add_names(c, t, o);
	json_object_set_new(o, "folded", json_integer((json_int_t)t->folded));
	json_object_set_new(o, "span",
		t->span.addr.family ? json_string(bh_prefix_format(&t->span, block)) : json_null());
	json_object_set_new(o, "first_seen", bh_clock_json(t->first_seen));
	json_object_set_new(o, "last_seen", bh_clock_json(t->last_seen));
	json_object_set_new(o, "answered_at", bh_clock_json(t->answered_at));
	json_object_set_new(o, "widened",
		t->is_widened ? json_string(bh_prefix_format(&t->widened, block)) : json_null());
	json_object_set_new(o, "breadth",
		t->is_widened ? json_string(bh_breadth_format(&t->widened, breadth)) : json_null());
	return o;
}
