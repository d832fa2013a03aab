/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * CrowdSec's local API, GET /v1/decisions/stream: {"new": […] | null, "deleted": […] | null}. New
 * decisions have a duration from now on; those of scope Ip and Range and of type ban are ours.
 * Nothing is known of a decision but its value: the server says that a value is deleted only when
 * no other decision holds it.
 */
#include "reader.h"

struct decision {
	char value[128], scope[24], type[24], duration[48], simulated[8];
	uint32_t line;
};

static bool read_decision(struct bh_json *j, struct decision *d)
{
	const struct {
		const char *key;
		char *to;
		size_t size;
	} field[] = {
		{"value", d->value, sizeof(d->value)},
		{"scope", d->scope, sizeof(d->scope)},
		{"type", d->type, sizeof(d->type)},
		{"duration", d->duration, sizeof(d->duration)},
		{"simulated", d->simulated, sizeof(d->simulated)},
	};
	d->line = j->line;
	while (bh_json_next(j) == BH_JSON_KEY) {
		size_t i = 0;
		while (i < BH_ARRAY_SIZE(field) && !bh_json_is(j, field[i].key))
			i++;
		if (i == BH_ARRAY_SIZE(field)
				? !bh_json_skip_value(j)
				: bh_json_text(j, field[i].to, field[i].size) == BH_JSON_ERROR)
			return false;
	}
	return j->kind == BH_JSON_OBJECT_END;
}

static void take_new(struct bh_reader *r, const struct decision *d)
{
	int64_t seconds;
	if (bh_text_duration(d->duration, strlen(d->duration), &seconds) < 0)
		bh_reader_reject(r, d->value, strlen(d->value), "has no valid duration");
	else if (seconds <= 0)
		bh_reader_other(r, "expired");
	else
		bh_reader_item(
			r, d->value, strlen(d->value), r->opts->now ? r->opts->now + seconds : 0);
}

static void take(struct bh_reader *r, const struct decision *d, bool deleted)
{
	size_t n = strlen(d->scope);
	r->line = d->line;
	if (!bh_text_is(d->scope, n, "ip") && !bh_text_is(d->scope, n, "range"))
		bh_reader_other(r, "of another scope than Ip and Range");
	else if (!bh_text_is(d->type, strlen(d->type), "ban") || bh_streq(d->simulated, "true"))
		bh_reader_other(r, "no ban, or a simulated one");
	else if (deleted)
		bh_reader_remove(r, d->value, strlen(d->value));
	else
		take_new(r, d);
}

static bool read_list(struct bh_reader *r, struct bh_json *j, bool deleted)
{
	enum bh_json_kind k = bh_json_next(j);
	if (k != BH_JSON_ARRAY) {
		if (k != BH_JSON_NULL && k != BH_JSON_ERROR)
			j->error = "has a list of decisions that is none";
		return k == BH_JSON_NULL;
	}
	while (bh_json_next(j) == BH_JSON_OBJECT && !r->refusal) {
		struct decision d = {.value = ""};
		if (!read_decision(j, &d))
			return false;
		take(r, &d, deleted);
	}
	return j->kind == BH_JSON_ARRAY_END || r->refusal;
}

int bh_format_crowdsec(struct bh_reader *r)
{
	struct bh_json j;
	bool seen = false;
	bh_json_init(&j, r->text, (size_t)(r->end - r->text), 1);
	if (bh_json_next(&j) != BH_JSON_OBJECT)
		return bh_reader_refuse_json(r, &j);
	while (bh_json_next(&j) == BH_JSON_KEY) {
		bool deleted = bh_json_is(&j, "deleted"), mine = deleted || bh_json_is(&j, "new");
		seen |= mine;
		if (mine ? !read_list(r, &j, deleted) : !bh_json_skip_value(&j))
			return bh_reader_refuse_json(r, &j);
		if (r->refusal)
			return bh_reader_refuse(r, r->refusal);
	}
	if (j.kind != BH_JSON_OBJECT_END || bh_json_next(&j) != BH_JSON_END)
		return bh_reader_refuse_json(r, &j);
	return seen ? 0 : bh_reader_refuse(r, "holds neither new nor deleted decisions");
}
