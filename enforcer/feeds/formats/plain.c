/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lists with one indicator at the beginning of a line: plain ones, FireHOL's netset and ipset,
 * Spamhaus's older text form, Feodo's and most others' txt; and AlienVault's reputation.data, where
 * '#' separates fields.
 */
#include "reader.h"

int bh_format_plain(struct bh_reader *r)
{
	const char *s;
	size_t n;
	while (!r->refusal && bh_reader_line(r, &s, &n)) {
		size_t len = bh_reader_uncomment(s, n);
		if (len == 0 && n)
			bh_reader_header(r, s, n);
		n = len;
		bh_reader_trim(&s, &n);
		if (n)
			bh_reader_item(r, s, n, 0);
	}
	return r->refusal ? bh_reader_refuse(r, r->refusal) : 0;
}

int bh_format_alienvault(struct bh_reader *r)
{
	const char *s, *f;
	size_t n, len;
	while (!r->refusal && bh_reader_line(r, &s, &n)) {
		if (n == 0 || *s == '#')
			continue;
		bh_reader_field(&s, &n, '#', &f, &len);
		bh_reader_item(r, f, len, 0);
	}
	return r->refusal ? bh_reader_refuse(r, r->refusal) : 0;
}

int bh_format_kept(struct bh_reader *r)
{
	const char *s, *f, *e;
	size_t n, len, elen;
	while (!r->refusal && bh_reader_line(r, &s, &n)) {
		if (n == 0 || *s == '#')
			continue;
		bh_reader_field(&s, &n, ' ', &f, &len);
		int64_t expires = 0;
		if (bh_reader_field(&s, &n, ' ', &e, &elen))
			expires = bh_text_number(e, elen);
		if (expires < 0)
			bh_reader_reject(r, f, len, "has no valid expiry");
		else
			bh_reader_item(r, f, len, expires);
	}
	return r->refusal ? bh_reader_refuse(r, r->refusal) : 0;
}
