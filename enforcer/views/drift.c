/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * GET /v1/drift: what deviates from the policies in force, container by container. It is read off
 * the flow table: flows that no rule allows, denied or only watched, with the stay of who sent
 * them; and how others of the same image behave, which tells a new release from a break-in.
 */
#include "answer/answer.h"
#include "answer/clock.h"
#include "core/core.h"
#include "core/state.h"
#include "flows/flows.h"
#include "history/history.h"
#include "store/store.h"

#define ROWS_MAX 5000 /* deviating rows that are looked at */
#define DRIFT_MAX 1000

struct drift {
	const struct bh_flow_row *first; /* its first deviating flow */
	const struct bh_stay *who; /* borrowed; NULL: an outside address or the node */
	char *peer; /* owned: its role, address or "host" */
	uint64_t count;
	int64_t first_seen, last_seen;
	bool denied;
	size_t siblings, alike; /* others of the same image now, and of those who do the same */
};

struct known_stay {
	struct bh_stay stay;
	char *role; /* owned; NULL: nothing is recorded of it */
	uint64_t number;
};

struct scan {
	struct bh_core *c;
	int64_t since;
	struct bh_flow_row *row;
	size_t n_rows;
	struct known_stay **stay;
	size_t n_stays, cap_stays;
	struct drift *drift;
	size_t n, cap;
	uint64_t unlisted;
};

static void keep(const struct bh_flow_row *r, void *arg)
{
	struct scan *s = arg;
	if (r->last_seen < s->since)
		return;
	struct bh_flow_row *x = &s->row[s->n_rows++];
	*x = *r;
	x->src = bh_xstrdup(r->src);
	x->dst = bh_xstrdup(r->dst);
	x->src_addr = bh_xstrdup(r->src_addr);
	x->dst_addr = bh_xstrdup(r->dst_addr);
	x->verdict = bh_xstrdup(r->verdict);
	x->mode = bh_xstrdup(r->mode);
	x->src_id = x->dst_id = x->reason = x->rule = NULL;
}

static const struct known_stay *stay_of(struct scan *s, uint64_t number)
{
	if (!number)
		return NULL;
	for (size_t i = 0; i < s->n_stays; i++)
		if (s->stay[i]->number == number)
			return s->stay[i]->role ? s->stay[i] : NULL;
	struct known_stay *x = bh_xcalloc(1, sizeof(*x));
	x->number = number;
	BH_GROW(s->stay, s->n_stays, s->cap_stays);
	s->stay[s->n_stays++] = x;
	if (bh_store_get_stay(s->c->store, number, &x->stay) < 0)
		return NULL;
	struct bh_workload w = {
		.name = x->stay.name, .namespace = x->stay.namespace, .labels = x->stay.labels};
	struct bh_end e = {.kind = BH_END_ROLE, .namespace = x->stay.namespace};
	struct bh_buf b = {0};
	bh_role_of(&w, &e.selector);
	bh_end_format(&e, &b);
	bh_labels_finish(&e.selector);
	x->role = bh_buf_take(&b);
	return x;
}

static void add_row(struct scan *s, const struct bh_flow_row *r)
{
	const struct known_stay *src = stay_of(s, r->src_stay), *dst = stay_of(s, r->dst_stay);
	const char *peer = dst ? dst->role : r->dst;
	const struct bh_stay *who = src ? &src->stay : NULL;
	struct drift *d = NULL;

	for (size_t i = 0; i < s->n && !d; i++)
		if (s->drift[i].who == who && s->drift[i].first->port == r->port &&
			s->drift[i].first->proto == r->proto && bh_streq(s->drift[i].peer, peer) &&
			(who || bh_streq(s->drift[i].first->src, r->src)))
			d = &s->drift[i];
	if (!d && s->n == DRIFT_MAX) {
		s->unlisted++;
		return;
	}
	if (!d) {
		BH_GROW(s->drift, s->n, s->cap);
		d = &s->drift[s->n++];
		*d = (struct drift){.first = r,
			.who = who,
			.peer = bh_xstrdup(peer),
			.first_seen = r->first_seen};
	}
	if (r->first_seen < d->first_seen) {
		d->first_seen = r->first_seen;
		d->first = r;
	}
	if (r->last_seen > d->last_seen)
		d->last_seen = r->last_seen;
	d->count += r->count;
	d->denied |= !bh_streq(r->verdict, "would-deny");
}

static bool does_the_same(const struct scan *s, const struct drift *d, uint64_t stay)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->drift[i].who && s->drift[i].who->number == stay &&
			s->drift[i].first->port == d->first->port &&
			s->drift[i].first->proto == d->first->proto &&
			bh_streq(s->drift[i].peer, d->peer))
			return true;
	return false;
}

static bool has_image(const struct bh_images *l, const char *first, const char *image)
{
	bool yes = bh_streq(first, image);
	for (size_t i = 0; !yes && i < l->n; i++)
		yes = bh_streq(l->item[i].image, image);
	return yes;
}

static bool has_all(const struct bh_images *l, const char *first, const struct bh_images *of,
	const char *first_of)
{
	bool yes = has_image(l, first, first_of);
	for (size_t i = 0; yes && i < of->n; i++)
		yes = has_image(l, first, of->item[i].image);
	return yes;
}

/* Of pods: all the same ones. Which of them is the first is a matter of who started first. */
static bool same_images(const struct bh_workload *w, const struct bh_stay *y)
{
	return has_all(&w->others, w->image, &y->others, y->image) &&
	       has_all(&y->others, y->image, &w->others, w->image);
}

static void count_siblings(struct scan *s, struct drift *d)
{
	const struct bh_inventory *inv =
		s->c->snap ? bh_engine_inventory(s->c->snap->engine) : NULL;
	for (size_t i = 0; d->who && d->who->image && inv && i < inv->n; i++) {
		const struct bh_workload *w = inv->workload[i];
		uint64_t stay = bh_core_stay_of(s->c, w);
		if (!same_images(w, d->who) || stay == d->who->number)
			continue;
		d->siblings++;
		d->alike += does_the_same(s, d, stay);
	}
}

static json_t *drift_json(const struct drift *d)
{
	const struct bh_flow_row *r = d->first;
	char proto[4];
	char bh_autofree *name = d->who ? bh_xasprintf("%s/%s", d->who->namespace, d->who->name)
					: bh_xstrdup(r->src);
	json_t *o = json_pack("{s:s, s:s?, s:s?, s:s, s:s, s:i, s:s, s:I, s:I, s:I, s:b}",
		"workload", name, "id", d->who ? d->who->id : NULL, "image",
		d->who ? d->who->image : NULL, "peer", d->peer, "protocol",
		bh_proto_name(r->proto, proto), "port", r->port, "verdict",
		d->denied ? "deny" : "would-deny", "count", (json_int_t)d->count, "siblings",
		(json_int_t)d->siblings, "siblings_alike", (json_int_t)d->alike, "running",
		d->who && !d->who->stopped);
	json_object_set_new(o, "first_seen", bh_clock_json(d->first_seen));
	json_object_set_new(o, "last_seen", bh_clock_json(d->last_seen));
	json_object_set_new(o, "first_flow",
		json_pack("{s:s, s:s, s:s, s:s, s:s}", "src_addr", r->src_addr, "dst", r->dst,
			"dst_addr", r->dst_addr, "mode", r->mode, "verdict", r->verdict));
	return o;
}

static void finish(struct scan *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->drift[i].peer);
	for (size_t i = 0; i < s->n_rows; i++)
		bh_flow_row_finish(&s->row[i]);
	for (size_t i = 0; i < s->n_stays; i++) {
		if (s->stay[i]->role)
			bh_stay_finish(&s->stay[i]->stay);
		free(s->stay[i]->role);
		free(s->stay[i]);
	}
	free(s->stay);
	free(s->drift);
	free(s->row);
}

struct bh_answer bh_core_drift(struct bh_core *c, uint64_t since_s)
{
	struct scan s = {.c = c,
		.since = since_s ? bh_clock_now() - (int64_t)since_s * 1000000 : 0,
		.row = bh_xcalloc(ROWS_MAX, sizeof(*s.row))};
	json_t *list = json_array();

	bh_core_flows_save(c);
	int r = bh_store_list_unmatched(c->store, ROWS_MAX, keep, &s);
	for (size_t i = 0; i < s.n_rows; i++)
		add_row(&s, &s.row[i]);
	for (size_t i = 0; i < s.n; i++) {
		count_siblings(&s, &s.drift[i]);
		json_array_append_new(list, drift_json(&s.drift[i]));
	}
	struct bh_answer a = bh_answer_json(
		200, json_pack("{s:o, s:b, s:I}", "drift", list, "truncated", s.n_rows == ROWS_MAX,
			     "unlisted", (json_int_t)s.unlisted));
	finish(&s);
	if (r == 0)
		return a;
	json_decref(a.json);
	return bh_answer_error(
		500, NULL, "%s/bulkhead.db: %s", c->conf->state, bh_store_message(c->store));
}
