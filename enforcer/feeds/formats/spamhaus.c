/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Spamhaus DROP: a JSON object a line, {"cidr","sblid","rir"}, the last one {"type":"metadata",
 * "timestamp","size","records","copyright","terms"}; or the older text form, "CIDR ; SBL123". Its
 * terms ask that credit and date stay with the data.
 */
#include "reader.h"

#include <time.h>

struct drop_line {
	char cidr[128], type[32], credit[200], text[64];
	bool has_cidr;
	int64_t records, timestamp;
};

static bool read_drop(struct bh_json *j, struct drop_line *l)
{
	l->records = l->timestamp = -1;
	if (bh_json_next(j) != BH_JSON_OBJECT)
		return false;
	while (bh_json_next(j) == BH_JSON_KEY) {
		bool ok;
		if (bh_json_is(j, "cidr") || bh_json_is(j, "prefix")) {
			ok = bh_json_text(j, l->cidr, sizeof(l->cidr)) == BH_JSON_STRING;
			l->has_cidr = true;
		} else if (bh_json_is(j, "type")) {
			ok = bh_json_text(j, l->type, sizeof(l->type)) != BH_JSON_ERROR;
		} else if (bh_json_is(j, "copyright")) {
			ok = bh_json_text(j, l->credit, sizeof(l->credit)) != BH_JSON_ERROR;
		} else if (bh_json_is(j, "records")) {
			ok = bh_json_text(j, l->text, sizeof(l->text)) != BH_JSON_ERROR;
			l->records = bh_text_number(l->text, strlen(l->text));
		} else if (bh_json_is(j, "timestamp")) {
			ok = bh_json_text(j, l->text, sizeof(l->text)) != BH_JSON_ERROR;
			l->timestamp = bh_text_number(l->text, strlen(l->text));
		} else {
			ok = bh_json_skip_value(j);
		}
		if (!ok)
			return false;
	}
	return j->kind == BH_JSON_OBJECT_END && bh_json_next(j) == BH_JSON_END;
}

static void take_metadata(struct bh_reader *r, const struct drop_line *l)
{
	if (l->records >= 0)
		r->out->declared = l->records;
	if (l->credit[0] && !r->out->credit)
		r->out->credit = bh_xstrdup(l->credit);
	time_t at = (time_t)l->timestamp;
	struct tm tm;
	char text[32];
	if (l->timestamp >= 0 && !r->out->dated && gmtime_r(&at, &tm) &&
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		r->out->dated = bh_xstrdup(text);
}

static void drop_line(struct bh_reader *r, const char *s, size_t n)
{
	struct bh_json j;
	struct drop_line l = {0};
	bh_json_init(&j, s, n, r->line);
	if (!read_drop(&j, &l))
		bh_reader_reject(r, s, n, j.error ? j.error : "is not an entry of DROP");
	else if (l.has_cidr)
		bh_reader_item(r, l.cidr, strlen(l.cidr), 0);
	else if (bh_text_is(l.type, strlen(l.type), "metadata"))
		take_metadata(r, &l);
	else
		bh_reader_reject(r, s, n, "has no cidr");
}

int bh_format_spamhaus(struct bh_reader *r)
{
	const char *s = r->text;
	size_t n;
	while (s < r->end && (bh_reader_blank(*s) || *s == '\n'))
		s++;
	if (s == r->end || *s != '{')
		return bh_format_plain(r);
	while (!r->refusal && bh_reader_line(r, &s, &n))
		if (n)
			drop_line(r, s, n);
	return r->refusal ? bh_reader_refuse(r, r->refusal) : 0;
}
