/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "audit/json.h"

#include <bulkhead/utf8.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define CUT "\xe2\x80\xa6" /* … */
#define DAY INT64_C(86400)

/* --- members --- */

/* A string always ends with a quote, so an open brace at the end is one of an empty object. */
static void key(struct bh_buf *b, const char *name)
{
	if (b->len && b->s[b->len - 1] != '{')
		bh_buf_add(b, ",", 1);
	bh_buf_add(b, "\"", 1);
	bh_buf_str(b, name);
	bh_buf_add(b, "\":", 2);
}

void bh_audit_put_open(struct bh_buf *b, const char *name)
{
	if (name)
		key(b, name);
	bh_buf_add(b, "{", 1);
}

void bh_audit_put_close(struct bh_buf *b)
{
	bh_buf_add(b, "}", 1);
}

void bh_audit_put_word(struct bh_buf *b, const char *name, const char *word)
{
	if (!word)
		return;
	key(b, name);
	bh_buf_add(b, "\"", 1);
	bh_buf_str(b, word);
	bh_buf_add(b, "\"", 1);
}

/* The decimal digits of v at the end of text; where they begin. */
static char *digits(uint64_t v, char text[static 20])
{
	char *at = text + 20;
	do
		*--at = (char)('0' + v % 10);
	while (v /= 10);
	return at;
}

void bh_audit_put_u64(struct bh_buf *b, const char *name, uint64_t v)
{
	char text[20], *at = digits(v, text);
	key(b, name);
	bh_buf_add(b, at, (size_t)(text + 20 - at));
}

void bh_audit_put_u64_text(struct bh_buf *b, const char *name, uint64_t v)
{
	char text[20], *at = digits(v, text);
	key(b, name);
	bh_buf_add(b, "\"", 1);
	bh_buf_add(b, at, (size_t)(text + 20 - at));
	bh_buf_add(b, "\"", 1);
}

void bh_audit_put_null(struct bh_buf *b, const char *name)
{
	key(b, name);
	bh_buf_add(b, "null", 4);
}

void bh_audit_put_raw(struct bh_buf *b, const char *name, const char *json, size_t len)
{
	key(b, name);
	bh_buf_add(b, json, len);
}

/* --- text --- */

#define EACH UINT64_C(0x0101010101010101)
#define TOP UINT64_C(0x8080808080808080)

static bool is_plain(uint8_t c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/*
 * The bytes at the beginning that go out as they are: ASCII, but for controls, quote and backslash.
 * Eight at a time: of bytes below 0x80 a subtraction leaves a top bit set just where one is smaller
 * than what is taken from it, or a borrow comes from such a one.
 */
static size_t plain(const char *s, size_t len)
{
	size_t i = 0;
	for (; i + 8 <= len; i += 8) {
		uint64_t w;
		memcpy(&w, s + i, 8);
		if ((w | (w - EACH * 0x20) | ((w ^ EACH * '"') - EACH) |
			    ((w ^ EACH * '\\') - EACH)) &
			TOP)
			break;
	}
	while (i < len && is_plain((uint8_t)s[i]))
		i++;
	return i;
}

static void escape(struct bh_buf *b, uint8_t c)
{
	static const char hex[] = "0123456789abcdef", letters[] = "btnvfr"; /* from 8 on */
	char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

	if (c == '"' || c == '\\')
		text[1] = (char)c;
	else if (c >= 8 && c <= 13 && c != 11)
		text[1] = letters[c - 8];
	bh_buf_add(b, text, text[1] == 'u' ? 6 : 2);
}

/* One character of s[0, len), which is not plain. How many bytes it has, and its value in JSON. */
static size_t character(struct bh_buf *b, const char *s, size_t len, size_t room, size_t *ret_used)
{
	uint32_t c;
	size_t n = bh_utf8_decode(s, len, &c);

	*ret_used = n ? n : strlen(REPLACEMENT);
	if (*ret_used > room)
		return 0;
	if (n == 1)
		escape(b, (uint8_t)c);
	else if (n)
		bh_buf_add(b, s, n);
	else
		bh_buf_str(b, REPLACEMENT);
	return n ? n : 1;
}

/* A character that strnlen cut in two would not have had room either: no byte counts less than one.
 */
void bh_audit_put_string(struct bh_buf *b, const char *s, size_t max)
{
	size_t len = strnlen(s, max + 1), used = 0;

	bh_buf_add(b, "\"", 1);
	for (size_t i = 0; i < len;) {
		size_t n = plain(s + i, len - i), more = 0;
		n = n > max - used ? max - used : n;
		bh_buf_add(b, s + i, n);
		i += n;
		used += n;
		if (i == len)
			break;
		n = used < max ? character(b, s + i, len - i, max - used, &more) : 0;
		if (n == 0) {
			bh_buf_str(b, CUT);
			break;
		}
		i += n;
		used += more;
	}
	bh_buf_add(b, "\"", 1);
}

void bh_audit_put_text(struct bh_buf *b, const char *name, const char *s, size_t max)
{
	if (!s) {
		bh_audit_put_null(b, name);
		return;
	}
	key(b, name);
	bh_audit_put_string(b, s, max);
}

void bh_audit_put_member_of(
	struct bh_buf *b, const char *name, size_t max_key, const char *s, size_t max)
{
	if (b->len && b->s[b->len - 1] != '{')
		bh_buf_add(b, ",", 1);
	bh_audit_put_string(b, name, max_key);
	bh_buf_add(b, ":", 1);
	if (s)
		bh_audit_put_string(b, s, max);
	else
		bh_buf_add(b, "null", 4);
}

/* --- time --- */

/* Days since 1970-01-01 as a date of the proleptic Gregorian calendar, in eras of 400 years that
 * begin in March (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
 */
static void date_of(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day)
{
	days += 719468; /* since 0000-03-01 */
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	unsigned day = (unsigned)(days - era * 146097);
	unsigned year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	unsigned of_year = day - (365 * year + year / 4 - year / 100);
	unsigned m = (5 * of_year + 2) / 153;

	*ret_day = of_year - (153 * m + 2) / 5 + 1;
	*ret_month = m < 10 ? m + 3 : m - 9;
	*ret_year = (int64_t)year + era * 400 + (*ret_month <= 2);
}

static void put(char *at, unsigned width, unsigned v)
{
	for (; width > 0; v /= 10)
		at[--width] = (char)('0' + v % 10);
}

void bh_audit_put_time(struct bh_buf *b, const char *name, int64_t us)
{
	char text[] = "\"0000-00-00T00:00:00.000000Z\"";
	int64_t s = us / 1000000 - (us % 1000000 < 0), days = s / DAY - (s % DAY < 0), year;
	unsigned frac = (unsigned)((us % 1000000 + 1000000) % 1000000);
	unsigned of_day = (unsigned)(s - days * DAY);
	unsigned month, day;

	date_of(days, &year, &month, &day);
	if (year < 0 || year > 9999) {
		bh_audit_put_null(b, name);
		return;
	}
	put(text + 1, 4, (unsigned)year);
	put(text + 6, 2, month);
	put(text + 9, 2, day);
	put(text + 12, 2, of_day / 3600);
	put(text + 15, 2, of_day / 60 % 60);
	put(text + 18, 2, of_day % 60);
	put(text + 21, 6, frac);
	bh_audit_put_raw(b, name, text, sizeof(text) - 1);
}
