/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See lookback.h. */
#include "threats/lookback.h"

#include "answer/clock.h"
#include "audit/audit.h"
#include "core/state.h"
#include "flows/flows.h"
#include "store/store.h"

#define ROWS_A_PIECE 1000
#define PAUSE_MS 10
#define TOLD_MAX 100 /* records of one look; the rest is a number in the last */

void bh_core_lookback_init(struct bh_core *c)
{
	uv_timer_init(c->loop, &c->lookback.timer);
	c->lookback.timer.data = c;
}

static void finish_finding(struct bh_finding *f)
{
	free(f->feed);
	free(f->indicator);
	free(f->workload);
	free(f->address);
}

void bh_core_lookback_finish(struct bh_core *c)
{
	struct bh_lookback *l = &c->lookback;
	bh_feed_index_unref(l->old);
	bh_feed_index_unref(l->new);
	for (size_t i = 0; i < l->n; i++)
		finish_finding(&l->item[i]);
	free(l->item);
	*l = (struct bh_lookback){.timer = l->timer};
}

static void keep(struct bh_lookback *l, struct bh_finding f)
{
	if (!l->item)
		l->item = bh_xcalloc(BH_FINDINGS_MAX, sizeof(*l->item));
	if (l->n == BH_FINDINGS_MAX)
		finish_finding(&l->item[l->next]);
	else
		l->n++;
	l->item[l->next] = f;
	l->next = (l->next + 1) % BH_FINDINGS_MAX;
}

static void tell(struct bh_core *c, const struct bh_finding *f)
{
	if (c->lookback.told++ >= TOLD_MAX)
		return;
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "feed", f->feed, "indicator",
		f->indicator, "workload", f->workload, "address", f->address, "direction",
		f->to ? "out" : "in", "connections", (json_int_t)f->count);
	json_object_set_new(o, "first_seen", bh_clock_json(f->first));
	json_object_set_new(o, "last_seen", bh_clock_json(f->last));
	bh_audit_event(c->audit, "threat-seen-before", NULL,
		"an address that is listed now was talked to before", NULL, o);
}

/* Newly listed in this direction? */
static bool is_new(
	const struct bh_lookback *l, const struct bh_addr *a, unsigned as, struct bh_feed_hit *ret)
{
	struct bh_feed_hit before[8], now[8];
	size_t n_before = bh_feed_index_lookup(l->old, a, before, BH_ARRAY_SIZE(before));
	size_t n = bh_feed_index_lookup(l->new, a, now, BH_ARRAY_SIZE(now));
	for (size_t i = 0; i < n; i++) {
		bool known = !(now[i].directions & as);
		for (size_t k = 0; k < n_before && !known; k++)
			known = bh_streq(before[k].feed, now[i].feed);
		if (known)
			continue;
		*ret = now[i];
		return true;
	}
	return false;
}

static void check_end(struct bh_core *c, const struct bh_flow_row *r, const char *address,
	const char *other, bool to)
{
	struct bh_feed_hit hit;
	struct bh_addr a;
	if (!address || bh_addr_parse(address, &a) < 0 ||
		!is_new(&c->lookback, &a, to ? BH_FEED_OUT : BH_FEED_IN, &hit))
		return;
	struct bh_finding f = {.feed = bh_xstrdup(hit.feed),
		.indicator = bh_xstrdup(hit.indicator),
		.workload = bh_xstrdup(other ? other : "?"),
		.address = bh_xstrdup(address),
		.to = to,
		.first = r->first_seen,
		.last = r->last_seen,
		.at = bh_clock_now(),
		.count = r->count};
	bh_core_volume_add(&f.volume, &r->volume, to);
	tell(c, &f);
	keep(&c->lookback, f);
}

struct piece {
	struct bh_core *c;
	size_t n;
};

static void on_row(const struct bh_flow_row *r, void *arg)
{
	struct piece *p = arg;
	p->n++;
	p->c->lookback.seq = r->seq;
	if (!bh_streq(r->verdict, "allow"))
		return; /* it did not come about */
	check_end(p->c, r, r->dst_addr, r->src, true);
	check_end(p->c, r, r->src_addr, r->dst, false);
}

static void end(struct bh_core *c)
{
	struct bh_lookback *l = &c->lookback;
	if (l->told > TOLD_MAX)
		bh_audit_event(c->audit, "threat-seen-before", NULL,
			"more addresses that are listed now were talked to before; `bulkhead feed "
			"show` has the last of them",
			NULL, json_pack("{s:I}", "more", (json_int_t)(l->told - TOLD_MAX)));
	bh_feed_index_unref(BH_TAKE_PTR(l->old));
	bh_feed_index_unref(BH_TAKE_PTR(l->new));
}

static void on_timer(uv_timer_t *t)
{
	struct bh_core *c = t->data;
	struct bh_lookback *l = &c->lookback;
	struct piece p = {.c = c};
	if (!l->old || c->stopping)
		return;
	int r = bh_store_list_flows(c->store, l->seq, ROWS_A_PIECE, on_row, &p);
	if (r < 0 || p.n < ROWS_A_PIECE)
		end(c);
	else
		uv_timer_start(t, on_timer, PAUSE_MS, 0);
}

void bh_core_lookback_start(struct bh_core *c, struct bh_feed_index *old)
{
	struct bh_lookback *l = &c->lookback;
	if (!l->old) { /* else what was new before is still to be looked for as well */
		l->old = bh_feed_index_ref(old);
		l->told = 0;
	}
	bh_feed_index_unref(l->new);
	l->new = bh_feed_index_ref(c->feed_load.in_force);
	l->seq = BH_FLOWS_OLDEST;
	bh_core_flows_save(c);
	uv_timer_start(&l->timer, on_timer, PAUSE_MS, 0);
}

json_t *bh_core_lookback_json(const struct bh_core *c, const char *feed)
{
	const struct bh_lookback *l = &c->lookback;
	json_t *list = json_array();
	for (size_t i = 0; i < l->n; i++) {
		const struct bh_finding *f = &l->item[(l->next + l->n - 1 - i) % l->n];
		if (!bh_streq(f->feed, feed))
			continue;
		json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:I}", "indicator", f->indicator,
			"workload", f->workload, "address", f->address, "direction",
			f->to ? "out" : "in", "connections", (json_int_t)f->count);
		json_object_set_new(o, "volume", bh_core_volume_json(&f->volume));
		json_object_set_new(o, "first_seen", bh_clock_json(f->first));
		json_object_set_new(o, "last_seen", bh_clock_json(f->last));
		json_array_append_new(list, o);
	}
	return list;
}
