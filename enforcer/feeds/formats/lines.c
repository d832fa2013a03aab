/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines, fields and the comments that say something about a list. */
#include "reader.h"

#include <strings.h>

bool bh_reader_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

void bh_reader_trim(const char **s, size_t *n)
{
	while (*n && bh_reader_blank(**s)) {
		(*s)++;
		(*n)--;
	}
	while (*n && bh_reader_blank((*s)[*n - 1]))
		(*n)--;
}

bool bh_reader_line(struct bh_reader *r, const char **ret_s, size_t *ret_n)
{
	if (r->text >= r->end)
		return false;
	const char *eol = memchr(r->text, '\n', (size_t)(r->end - r->text));
	if (!eol)
		eol = r->end;
	*ret_s = r->text;
	*ret_n = (size_t)(eol - r->text);
	r->text = eol < r->end ? eol + 1 : eol;
	r->line++;
	bh_reader_trim(ret_s, ret_n);
	return true;
}

bool bh_reader_field(const char **s, size_t *n, char sep, const char **ret_f, size_t *ret_n)
{
	if (!*s)
		return false;
	const char *at = memchr(*s, sep, *n);
	*ret_f = *s;
	*ret_n = at ? (size_t)(at - *s) : *n;
	*n = at ? *n - *ret_n - 1 : 0;
	*s = at ? at + 1 : NULL;
	bh_reader_trim(ret_f, ret_n);
	if (*ret_n >= 2 && (*ret_f)[0] == '"' && (*ret_f)[*ret_n - 1] == '"') {
		++*ret_f;
		*ret_n -= 2;
	}
	return true;
}

/* "//" opens one only where a word can begin: "192.0.2.1//24" is a mistake, not an address with a
 * comment. */
size_t bh_reader_uncomment(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '#' || s[i] == ';')
			return i;
		if (s[i] == '/' && i + 1 < n && s[i + 1] == '/' &&
			(i == 0 || bh_reader_blank(s[i - 1])))
			return i;
	}
	return n;
}

bool bh_text_is(const char *s, size_t n, const char *word)
{
	return strlen(word) == n && strncasecmp(s, word, n) == 0;
}

int64_t bh_text_number(const char *s, size_t n)
{
	int64_t v = 0;
	if (n == 0 || n > 18)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		v = v * 10 + (s[i] - '0');
	}
	return v;
}

/* "1,464 unique IPs" begins with 1464. */
static int64_t leading_number(const char *s, size_t n)
{
	char digit[20];
	size_t out = 0;
	for (size_t i = 0; i < n && ((s[i] >= '0' && s[i] <= '9') || s[i] == ','); i++)
		if (s[i] != ',' && out < sizeof(digit))
			digit[out++] = s[i];
	return bh_text_number(digit, out);
}

static char *printable(const char *s, size_t n)
{
	char *copy = bh_xstrndup(s, n < 200 ? n : 200);
	for (char *c = copy; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return copy;
}

/* "END 5 entries" (abuse.ch), "(c) 2026 The Spamhaus Project". */
static void header_words(struct bh_reader *r, const char *s, size_t n)
{
	if (n > 4 && strncasecmp(s, "END ", 4) == 0) {
		int64_t v = leading_number(s + 4, n - 4);
		r->out->declared = v >= 0 ? v : r->out->declared;
	}
	bool credit = n > 3 && (strncasecmp(s, "(c)", 3) == 0 ||
				       (n > 10 && strncasecmp(s, "copyright", 9) == 0));
	if (credit && !r->out->credit)
		r->out->credit = printable(s, n);
}

void bh_reader_header(struct bh_reader *r, const char *s, size_t n)
{
	static const char *const date[] = {"This File Date", "Last updated", "Last-Modified",
		"Updated", "Generated", "Source File Date"};
	while (n && (*s == '#' || *s == ';' || *s == '/' || bh_reader_blank(*s))) {
		s++;
		n--;
	}
	const char *colon = n ? memchr(s, ':', n) : NULL;
	header_words(r, s, n);
	if (!colon)
		return;
	const char *key = s, *value = colon + 1;
	size_t nk = (size_t)(colon - s), nv = n - nk - 1;
	bh_reader_trim(&key, &nk);
	bh_reader_trim(&value, &nv);
	if (bh_text_is(key, nk, "Entries")) {
		int64_t v = leading_number(value, nv);
		r->out->declared = v >= 0 ? v : r->out->declared;
	}
	for (size_t i = 0; i < BH_ARRAY_SIZE(date); i++)
		if (bh_text_is(key, nk, date[i]) && nv && !r->out->dated)
			r->out->dated = printable(value, nv);
	if (bh_text_is(key, nk, "Maintainer") && nv && !r->out->credit)
		r->out->credit = printable(value, nv);
}
