/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * abuse.ch's JSON: lists of objects whose `ioc` is ip:port (ThreatFox: a list under "data", or one
 * under each number), or whose `ip_address` is an address (Feodo Tracker). The whole address is
 * listed, whatever the port.
 */
#include "reader.h"

struct ioc {
	char value[128], type[32], confidence[24];
	bool found;
	uint32_t line;
};

/* "192.0.2.1:443", "[2001:db8::1]:443", or without a port. */
void bh_reader_socket(struct bh_reader *r, const char *s, int64_t expires)
{
	const char *close = *s == '[' ? strchr(s, ']') : NULL, *colon = strchr(s, ':');
	if (close)
		bh_reader_item(r, s + 1, (size_t)(close - s - 1), expires);
	else if (colon && !strchr(colon + 1, ':') &&
		 bh_text_number(colon + 1, strlen(colon + 1)) >= 0)
		bh_reader_item(r, s, (size_t)(colon - s), expires);
	else
		bh_reader_item(r, s, strlen(s), expires);
}

static bool read_field(struct bh_json *j, struct ioc *x)
{
	static const char *const value[] = {"ioc", "ioc_value", "ip_address", "dst_ip"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(value); i++)
		if (bh_json_is(j, value[i])) {
			x->found = true;
			x->line = j->line;
			return bh_json_text(j, x->value, sizeof(x->value)) != BH_JSON_ERROR;
		}
	if (bh_json_is(j, "ioc_type"))
		return bh_json_text(j, x->type, sizeof(x->type)) != BH_JSON_ERROR;
	if (bh_json_is(j, "confidence_level"))
		return bh_json_text(j, x->confidence, sizeof(x->confidence)) != BH_JSON_ERROR;
	return bh_json_skip_value(j);
}

static void take(struct bh_reader *r, const struct ioc *x)
{
	int64_t confidence = bh_text_number(x->confidence, strlen(x->confidence));
	r->line = x->line;
	if (x->type[0] && strncmp(x->type, "ip", 2) != 0)
		bh_reader_other(r, "of a type that is no address");
	else if (confidence >= 0 && confidence < r->opts->min_confidence)
		bh_reader_other(r, "its confidence is too low");
	else
		bh_reader_socket(r, x->value, 0);
}

static bool read_lists(struct bh_reader *r, struct bh_json *j);

/* An object is an entry if it has an address; what it holds else may be lists of entries. */
static bool read_object(struct bh_reader *r, struct bh_json *j)
{
	struct ioc x = {0};
	while (bh_json_next(j) == BH_JSON_KEY) {
		struct bh_json peek = *j;
		enum bh_json_kind k = bh_json_next(&peek);
		bool list = k == BH_JSON_ARRAY || k == BH_JSON_OBJECT;
		if (list ? bh_json_next(j) == BH_JSON_ERROR || !read_lists(r, j)
			 : !read_field(j, &x))
			return false;
	}
	if (j->kind != BH_JSON_OBJECT_END)
		return false;
	if (x.found)
		take(r, &x);
	return true;
}

/* The token read last opened an object or an array. The depth is the parser's. */
static bool read_lists(struct bh_reader *r, struct bh_json *j)
{
	if (j->kind == BH_JSON_OBJECT)
		return read_object(r, j);
	while (!r->refusal) {
		switch (bh_json_next(j)) {
		case BH_JSON_ARRAY_END:
			return true;
		case BH_JSON_ERROR:
			return false;
		case BH_JSON_OBJECT:
		case BH_JSON_ARRAY:
			if (!read_lists(r, j))
				return false;
			break;
		default: /* tags and other words */
			break;
		}
	}
	return true;
}

int bh_format_threatfox(struct bh_reader *r)
{
	struct bh_json j;
	bh_json_init(&j, r->text, (size_t)(r->end - r->text), 1);
	while (!r->refusal && bh_json_next(&j) != BH_JSON_END) {
		if (j.kind != BH_JSON_OBJECT && j.kind != BH_JSON_ARRAY)
			return bh_reader_refuse_json(r, &j);
		if (!read_lists(r, &j))
			return bh_reader_refuse_json(r, &j);
	}
	return r->refusal ? bh_reader_refuse(r, r->refusal) : 0;
}
