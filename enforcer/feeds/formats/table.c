/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tables: abuse.ch's CSV (Feodo Tracker, ThreatFox), DShield's tab separated block list, Suricata's
 * IP reputation.
 */
#include "reader.h"

#define COLUMNS_MAX 32

struct row {
	const char *field[COLUMNS_MAX];
	size_t len[COLUMNS_MAX];
	size_t n;
};

/* Fields beyond the last one that anybody looks at are not kept. */
static void split(const char *s, size_t n, char sep, struct row *ret)
{
	const char *f;
	size_t len;
	ret->n = 0;
	while (ret->n < COLUMNS_MAX && bh_reader_field(&s, &n, sep, &f, &len)) {
		ret->field[ret->n] = f;
		ret->len[ret->n++] = len;
	}
}

/* --- abuse.ch --- */

/* The column that holds the address, if this is the header; −1. */
static int address_column(const struct row *w)
{
	static const char *const name[] = {"dst_ip", "ip_address", "ip", "ioc_value", "ioc"};
	bool header = false;
	for (size_t i = 0; i < w->n; i++)
		header |= bh_text_is(w->field[i], w->len[i], "first_seen_utc") ||
			  bh_text_is(w->field[i], w->len[i], "first_seen");
	for (size_t k = 0; header && k < BH_ARRAY_SIZE(name); k++)
		for (size_t i = 0; i < w->n; i++)
			if (bh_text_is(w->field[i], w->len[i], name[k]))
				return (int)i;
	return -1;
}

/* The header stands at the top, as a comment in some. */
static bool is_header(const char *s, size_t n, int *ret_column)
{
	struct row w;
	while (n && (*s == '#' || bh_reader_blank(*s))) {
		s++;
		n--;
	}
	split(s, n, ',', &w);
	int column = w.n > 1 ? address_column(&w) : -1;
	if (column >= 0)
		*ret_column = column;
	return column >= 0;
}

static void csv_row(struct bh_reader *r, const char *s, size_t n, int column)
{
	struct row w;
	split(s, n, ',', &w);
	if (column < 0 && w.n == 1)
		column = 0; /* its txt form */
	if (column < 0)
		bh_reader_reject(r, s, n, "stands before the header that names the columns");
	else if ((size_t)column >= w.n)
		bh_reader_reject(r, s, n, "has too few columns");
	else
		bh_reader_item(r, w.field[column], w.len[column], 0);
}

static int feodo_csv(struct bh_reader *r)
{
	int column = -1;
	const char *s;
	size_t n;
	while (!r->refusal && bh_reader_line(r, &s, &n)) {
		if (n == 0 || is_header(s, n, &column))
			continue;
		if (*s == '#')
			bh_reader_header(r, s, n);
		else
			csv_row(r, s, n, column);
	}
	return r->refusal ? bh_reader_refuse(r, r->refusal) : 0;
}

int bh_format_feodo(struct bh_reader *r)
{
	const char *s = r->text;
	while (s < r->end && (bh_reader_blank(*s) || *s == '\n'))
		s++;
	/* Its JSON is a list of objects, as ThreatFox's is. */
	return s < r->end && (*s == '[' || *s == '{') ? bh_format_threatfox(r) : feodo_csv(r);
}

/* --- DShield: start, end, prefix length or dotted mask, attacks, … --- */

static const char *check_block(struct bh_reader *r, const struct row *w, struct bh_range *ret)
{
	char first[64], last[64], both[192];
	if (w->n < 3 || w->len[0] >= sizeof(first) || w->len[1] >= sizeof(last) || w->len[2] > 39)
		return "is not start, end and prefix length, separated by tabs";
	snprintf(first, sizeof(first), "%.*s", (int)w->len[0], w->field[0]);
	snprintf(last, sizeof(last), "%.*s", (int)w->len[1], w->field[1]);
	snprintf(both, sizeof(both), "%s/%.*s", first, (int)w->len[2], w->field[2]);
	struct bh_feed_text probe = {0};
	struct bh_feed_read_opts opts = *r->opts;
	struct bh_reader inner = {.opts = &opts, .out = &probe};
	opts.widest4 = opts.widest6 = 0; /* judged by the caller */
	bh_reader_item(&inner, both, strlen(both), 0);
	bool good = bh_indicators_count(&probe.ind) == 1;
	if (good)
		*ret = bh_indicators_range(&probe.ind, 0);
	bh_indicators_finish(&probe.ind);
	struct bh_addr a, b;
	if (!good || bh_addr_parse(first, &a) < 0 || bh_addr_parse(last, &b) < 0)
		return "is not start, end and prefix length, separated by tabs";
	if (!bh_addr_eq(&a, &ret->first) || !bh_addr_eq(&b, &ret->last))
		return "has a start and an end that are not those of its prefix";
	return NULL;
}

int bh_format_dshield(struct bh_reader *r)
{
	const char *s;
	size_t n;
	while (!r->refusal && bh_reader_line(r, &s, &n)) {
		struct row w;
		struct bh_range range;
		if (n == 0 || *s == '#') {
			bh_reader_header(r, s, n);
			continue;
		}
		split(s, n, '\t', &w);
		if (bh_text_is(w.field[0], w.len[0], "Start"))
			continue;
		const char *why = check_block(r, &w, &range);
		if (why)
			bh_reader_reject(r, s, n, why);
		else
			bh_reader_range(r, s, n, &range, 0);
	}
	return r->refusal ? bh_reader_refuse(r, r->refusal) : 0;
}

/* --- Suricata: ip, category, score (0: no reputation … 127) --- */

int bh_format_iprep(struct bh_reader *r)
{
	const char *s;
	size_t n;
	while (!r->refusal && bh_reader_line(r, &s, &n)) {
		struct row w;
		n = bh_reader_uncomment(s, n);
		bh_reader_trim(&s, &n);
		if (n == 0)
			continue;
		split(s, n, ',', &w);
		int64_t category = w.n == 3 ? bh_text_number(w.field[1], w.len[1]) : -1;
		int64_t score = w.n == 3 ? bh_text_number(w.field[2], w.len[2]) : -1;
		if (category < 0 || score < 0 || score > 127)
			bh_reader_reject(r, s, n, "is not ip,category,score");
		else if (score == 0 || score < r->opts->min_confidence)
			bh_reader_other(r, "its score is too low");
		else
			bh_reader_item(r, w.field[0], w.len[0], 0);
	}
	return r->refusal ? bh_reader_refuse(r, r->refusal) : 0;
}
