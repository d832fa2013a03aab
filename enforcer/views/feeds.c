/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The feeds, one of them in full, and what they say of an address. */
#include "feeds/feeds.h"
#include "answer/answer.h"
#include "answer/clock.h"
#include "core/core.h"
#include "core/state.h"
#include "threats/edit.h"
#include "threats/lookback.h"

#define FEEDS_MAX 256
#define HITS_MAX 64

static json_t *seconds_json(int64_t s)
{
	return bh_clock_json(s * 1000000);
}

static json_t *feed_json(const struct bh_feed_status *s)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:b, s:s}", "name",
		s->name, "url", s->url, "action", s->action, "direction", s->direction, "format",
		s->format, "stale", s->stale, "entries", (json_int_t)s->entries, "rejected",
		(json_int_t)s->rejected, "subtracted", (json_int_t)s->subtracted, "ok", s->ok,
		"message", s->message);
	json_object_set_new(o, "loaded_at", seconds_json(s->loaded_at));
	json_object_set_new(o, "checked_at", seconds_json(s->checked_at));
	return o;
}

struct bh_answer bh_core_feeds(struct bh_core *c)
{
	struct bh_feed_status st[FEEDS_MAX];
	json_t *list = json_array();
	size_t n = bh_feeds_status(c->feeds, st, FEEDS_MAX);
	for (size_t i = 0; i < n && i < FEEDS_MAX; i++)
		json_array_append_new(list, feed_json(&st[i]));
	return bh_answer_json(200, json_pack("{s:o}", "feeds", list));
}

static json_t *cuts_json(const struct bh_feed_status *s)
{
	json_t *list = json_array();
	for (size_t i = 0; i < s->n_cuts; i++) {
		char text[BH_INDICATOR_STRLEN];
		json_array_append_new(list, json_pack("{s:s, s:I}", "indicator",
						    bh_indicator_format(&s->cuts[i].range, text),
						    "line", (json_int_t)s->cuts[i].line));
	}
	return list;
}

static json_t *status_json(struct bh_core *c, const struct bh_feed_status *s)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?, s:s?, s:s, s:I, s:I, s:I, s:b, s:b, "
			      "s:s, s:b}",
		"name", s->name, "url", s->url, "action", s->action, "direction", s->direction,
		"format", s->format, "credit", s->credit, "dated", s->dated, "sha256", s->sha256,
		"entries", (json_int_t)s->entries, "rejected", (json_int_t)s->rejected,
		"subtracted", (json_int_t)s->subtracted, "ok", s->ok, "stale", s->stale, "message",
		s->message, "added", bh_core_feed_is_added(c, s->name));
	json_object_set_new(o, "loaded_at", seconds_json(s->loaded_at));
	json_object_set_new(o, "checked_at", seconds_json(s->checked_at));
	json_object_set_new(o, "success_at", seconds_json(s->success_at));
	json_object_set_new(o, "cut", cuts_json(s));
	json_object_set_new(o, "seen_before", bh_core_lookback_json(c, s->name));
	return o;
}

struct bh_answer bh_core_feed_show(struct bh_core *c, const char *name)
{
	struct bh_feed_status st[FEEDS_MAX];
	size_t n = bh_feeds_status(c->feeds, st, FEEDS_MAX);
	for (size_t i = 0; i < n; i++)
		if (bh_streq(st[i].name, name))
			return bh_answer_json(200, status_json(c, &st[i]));
	return bh_answer_error(
		404, NULL, "no feed is named %s; `bulkhead feed list` shows them", name);
}

static json_t *directions_json(unsigned mask)
{
	json_t *list = json_array();
	if (mask & BH_FEED_IN)
		json_array_append_new(list, json_string("in"));
	if (mask & BH_FEED_OUT)
		json_array_append_new(list, json_string("out"));
	return list;
}

struct bh_answer bh_core_feed_test(struct bh_core *c, const char *address)
{
	struct bh_feed_hit hit[HITS_MAX];
	struct bh_addr a;
	char text[BH_ADDR_STRLEN];
	if (bh_addr_parse(address, &a) < 0)
		return bh_answer_error(
			400, NULL, "\"%s\" is neither an IPv4 nor an IPv6 address", address);
	if (!c->snap)
		return bh_answer_error(503, NULL, "nothing is in force yet");
	const struct bh_feed_index *x = c->snap->feeds;
	size_t n = bh_feed_index_lookup(x, &a, hit, HITS_MAX);
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:s, s:o}", "feed", hit[i].feed, "indicator",
				hit[i].indicator, "action", hit[i].alert_only ? "alert" : "block",
				"directions", directions_json(hit[i].directions)));
	return bh_answer_json(200,
		json_pack("{s:s, s:o, s:o, s:b}", "address", bh_addr_format(&a, text), "listed",
			list, "blocked", directions_json(bh_feed_index_blocked(x, &a)), "protected",
			bh_feeds_protects(c->feeds, &a)));
}
