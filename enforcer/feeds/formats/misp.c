/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * MISP events, one document after the other: Event.Attribute[] and Event.Object[].Attribute[], of
 * types ip-dst, ip-src and the same with |port, that are meant for detection (to_ids). A feed of
 * events has a manifest beside them, which names them and holds no indicator itself.
 */
#include "reader.h"

struct attribute {
	char type[32], value[160], to_ids[8], deleted[8];
	uint32_t line;
	bool any;
};

static bool read_attribute(struct bh_json *j, struct attribute *a)
{
	*a = (struct attribute){0};
	while (bh_json_next(j) == BH_JSON_KEY) {
		bool ok;
		if (bh_json_is(j, "type"))
			ok = bh_json_text(j, a->type, sizeof(a->type)) != BH_JSON_ERROR;
		else if (bh_json_is(j, "value"))
			ok = bh_json_text(j, a->value, sizeof(a->value)) != BH_JSON_ERROR;
		else if (bh_json_is(j, "to_ids"))
			ok = bh_json_text(j, a->to_ids, sizeof(a->to_ids)) != BH_JSON_ERROR;
		else if (bh_json_is(j, "deleted"))
			ok = bh_json_text(j, a->deleted, sizeof(a->deleted)) != BH_JSON_ERROR;
		else
			ok = bh_json_skip_value(j);
		if (!ok)
			return false;
		a->line = j->line;
	}
	return j->kind == BH_JSON_OBJECT_END;
}

static bool is_true(const char *s)
{
	return bh_streq(s, "true") || bh_streq(s, "1");
}

static void take(struct bh_reader *r, const struct attribute *a)
{
	bool address = bh_streq(a->type, "ip-dst") || bh_streq(a->type, "ip-src");
	bool with_port = bh_streq(a->type, "ip-dst|port") || bh_streq(a->type, "ip-src|port");
	const char *bar = with_port ? strrchr(a->value, '|') : NULL;
	r->line = a->line;
	if (!address && !with_port)
		bh_reader_other(r, "of a type that is no address");
	else if (!is_true(a->to_ids) || is_true(a->deleted))
		bh_reader_other(r, "not meant for detection, or deleted");
	else
		bh_reader_item(r, a->value, bar ? (size_t)(bar - a->value) : strlen(a->value), 0);
}

static bool read_attributes(struct bh_reader *r, struct bh_json *j)
{
	struct attribute a;
	if (bh_json_next(j) != BH_JSON_ARRAY)
		return bh_json_skip(j);
	while (bh_json_next(j) == BH_JSON_OBJECT && !r->refusal) {
		if (!read_attribute(j, &a))
			return false;
		take(r, &a);
	}
	return j->kind == BH_JSON_ARRAY_END || r->refusal;
}

static bool read_objects(struct bh_reader *r, struct bh_json *j)
{
	if (bh_json_next(j) != BH_JSON_ARRAY)
		return bh_json_skip(j);
	while (bh_json_next(j) == BH_JSON_OBJECT) {
		while (bh_json_next(j) == BH_JSON_KEY)
			if (bh_json_is(j, "Attribute") ? !read_attributes(r, j)
						       : !bh_json_skip_value(j))
				return false;
		if (j->kind != BH_JSON_OBJECT_END)
			return false;
	}
	return j->kind == BH_JSON_ARRAY_END;
}

static bool read_event(struct bh_reader *r, struct bh_json *j)
{
	if (bh_json_next(j) != BH_JSON_OBJECT)
		return bh_json_skip(j);
	while (bh_json_next(j) == BH_JSON_KEY) {
		bool ok = bh_json_is(j, "Attribute") ? read_attributes(r, j)
			  : bh_json_is(j, "Object")  ? read_objects(r, j)
						     : bh_json_skip_value(j);
		if (!ok || r->refusal)
			return ok;
	}
	return j->kind == BH_JSON_OBJECT_END;
}

/* {"Event": …}, [{"Event": …}, …] or {"response": [{"Event": …}, …]}, as MISP's own export. */
static bool read_document(struct bh_reader *r, struct bh_json *j)
{
	if (j->kind == BH_JSON_ARRAY) {
		while (bh_json_next(j) == BH_JSON_OBJECT && !r->refusal)
			if (!read_document(r, j))
				return false;
		return j->kind == BH_JSON_ARRAY_END || r->refusal;
	}
	while (bh_json_next(j) == BH_JSON_KEY) {
		bool ok;
		if (bh_json_is(j, "Event"))
			ok = read_event(r, j);
		else if (bh_json_is(j, "response"))
			ok = bh_json_next(j) == BH_JSON_ARRAY ? read_document(r, j)
							      : bh_json_skip(j);
		else
			ok = bh_json_skip_value(j);
		if (!ok || r->refusal)
			return ok;
	}
	return j->kind == BH_JSON_OBJECT_END;
}

int bh_format_misp(struct bh_reader *r)
{
	struct bh_json j;
	bh_json_init(&j, r->text, (size_t)(r->end - r->text), 1);
	while (!r->refusal && bh_json_next(&j) != BH_JSON_END) {
		if (j.kind != BH_JSON_OBJECT && j.kind != BH_JSON_ARRAY)
			return bh_reader_refuse_json(r, &j);
		if (!read_document(r, &j))
			return bh_reader_refuse_json(r, &j);
	}
	return r->refusal ? bh_reader_refuse(r, r->refusal) : 0;
}
