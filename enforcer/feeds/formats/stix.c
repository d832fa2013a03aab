/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * STIX 2.1 bundles: indicators whose pattern says which addresses, [ipv4-addr:value = '…'], also
 * several with OR, and ISSUBSET for networks. A pattern that needs more than that to be true (AND,
 * FOLLOWEDBY, NOT, other objects) is reported and left out: to block on half of it would be wrong.
 */
#include "reader.h"

#define PATTERN_MAX 4096

struct indicator {
	char type[32], pattern_type[32], valid_until[48], valid_from[48], revoked[8],
		confidence[24];
	char pattern[PATTERN_MAX];
	bool cut; /* the pattern is longer than that */
	uint32_t line;
};

static bool read_pattern(struct bh_json *j, struct indicator *x)
{
	x->line = j->line;
	enum bh_json_kind k = bh_json_text(j, x->pattern, sizeof(x->pattern));
	x->cut = j->n >= BH_JSON_TEXT_MAX && j->s == j->buf;
	x->cut |= strlen(x->pattern) == sizeof(x->pattern) - 1;
	return k != BH_JSON_ERROR;
}

static bool read_member(struct bh_json *j, struct indicator *x)
{
	const struct {
		const char *key;
		char *to;
		size_t size;
	} field[] = {
		{"type", x->type, sizeof(x->type)},
		{"pattern_type", x->pattern_type, sizeof(x->pattern_type)},
		{"valid_until", x->valid_until, sizeof(x->valid_until)},
		{"valid_from", x->valid_from, sizeof(x->valid_from)},
		{"revoked", x->revoked, sizeof(x->revoked)},
		{"confidence", x->confidence, sizeof(x->confidence)},
	};
	if (bh_json_is(j, "pattern"))
		return read_pattern(j, x);
	for (size_t i = 0; i < BH_ARRAY_SIZE(field); i++)
		if (bh_json_is(j, field[i].key))
			return bh_json_text(j, field[i].to, field[i].size) != BH_JSON_ERROR;
	return bh_json_skip_value(j);
}

/* --- patterns --- */

static void blanks(const char **s)
{
	while (**s == ' ' || **s == '\t' || **s == '\n' || **s == '\r')
		++*s;
}

static bool word(const char **s, const char *w)
{
	size_t n = strlen(w);
	blanks(s);
	if (strncmp(*s, w, n) != 0)
		return false;
	*s += n;
	return true;
}

/* One "ipv4-addr:value = '192.0.2.1'"; where its value is. */
static bool comparison(const char **s, const char **ret, size_t *ret_n)
{
	static const char *const object[] = {"ipv4-addr:value", "ipv6-addr:value",
		"network-traffic:dst_ref.value", "network-traffic:src_ref.value"};
	bool known = false;
	for (size_t i = 0; i < BH_ARRAY_SIZE(object) && !known; i++)
		known = word(s, object[i]);
	if (!known || (!word(s, "=") && !word(s, "ISSUBSET")) || !word(s, "'"))
		return false;
	const char *end = strchr(*s, '\'');
	if (!end)
		return false;
	*ret = *s;
	*ret_n = (size_t)(end - *s);
	*s = end + 1;
	return true;
}

/* The whole pattern, with each address given to fn; false: it says something else too. */
static bool read_alternatives(const char *s,
	void (*fn)(struct bh_reader *, const char *, size_t, int64_t), struct bh_reader *r,
	int64_t expires)
{
	const char *v;
	size_t n;
	do {
		bool open = word(&s, "[");
		do {
			if (!open || !comparison(&s, &v, &n))
				return false;
			if (fn)
				fn(r, v, n, expires);
		} while (word(&s, "OR"));
		if (!word(&s, "]"))
			return false;
	} while (word(&s, "OR"));
	blanks(&s);
	return *s == '\0';
}

static bool names_addresses(const char *pattern)
{
	return strstr(pattern, "ipv4-addr:") || strstr(pattern, "ipv6-addr:");
}

static const char *not_for_us(const struct bh_reader *r, const struct indicator *x)
{
	int64_t confidence = bh_text_number(x->confidence, strlen(x->confidence)), from = 0;
	if (!bh_streq(x->type, "indicator"))
		return "no indicator";
	if (x->pattern_type[0] && !bh_streq(x->pattern_type, "stix"))
		return "its pattern is of another language";
	if (!names_addresses(x->pattern))
		return "its pattern is about no address";
	if (bh_streq(x->revoked, "true"))
		return "revoked";
	if (confidence >= 0 && confidence < r->opts->min_confidence)
		return "its confidence is too low";
	if (r->opts->now && bh_text_time(x->valid_from, strlen(x->valid_from), &from) == 0 &&
		from > r->opts->now)
		return "not valid yet";
	return NULL;
}

static void take(struct bh_reader *r, const struct indicator *x)
{
	const char *other = not_for_us(r, x);
	int64_t until = 0;
	r->line = x->line;
	if (other) {
		bh_reader_other(r, other);
	} else if (x->valid_until[0] &&
		   bh_text_time(x->valid_until, strlen(x->valid_until), &until) < 0) {
		bh_reader_reject(r, x->valid_until, strlen(x->valid_until), "is no valid_until");
	} else if (x->cut || !read_alternatives(x->pattern, NULL, r, 0)) {
		bh_reader_reject(r, x->pattern, strlen(x->pattern),
			"is a pattern that names more than addresses");
	} else {
		/* The end of time is no expiry. */
		read_alternatives(
			x->pattern, bh_reader_item, r, until == 0 && x->valid_until[0] ? 1 : until);
	}
}

static bool read_objects(struct bh_reader *r, struct bh_json *j)
{
	if (bh_json_next(j) != BH_JSON_ARRAY)
		return bh_json_skip(j);
	while (bh_json_next(j) == BH_JSON_OBJECT) {
		struct indicator x;
		x.cut = false;
		x.line = j->line;
		x.type[0] = x.pattern_type[0] = x.valid_until[0] = x.valid_from[0] = '\0';
		x.revoked[0] = x.confidence[0] = x.pattern[0] = '\0';
		while (bh_json_next(j) == BH_JSON_KEY)
			if (!read_member(j, &x))
				return false;
		if (j->kind != BH_JSON_OBJECT_END)
			return false;
		take(r, &x);
		if (r->refusal)
			return true;
	}
	return j->kind == BH_JSON_ARRAY_END;
}

static bool read_bundle(struct bh_reader *r, struct bh_json *j)
{
	while (bh_json_next(j) == BH_JSON_KEY) {
		bool ok = bh_json_is(j, "objects") ? read_objects(r, j) : bh_json_skip_value(j);
		if (!ok || r->refusal)
			return ok;
	}
	return j->kind == BH_JSON_OBJECT_END;
}

int bh_format_stix(struct bh_reader *r)
{
	struct bh_json j;
	bh_json_init(&j, r->text, (size_t)(r->end - r->text), 1);
	while (!r->refusal && bh_json_next(&j) != BH_JSON_END)
		if (j.kind != BH_JSON_OBJECT || !read_bundle(r, &j))
			return bh_reader_refuse_json(r, &j);
	return r->refusal ? bh_reader_refuse(r, r->refusal) : 0;
}
