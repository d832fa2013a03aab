/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * JSON (RFC 8259) as a stream of tokens, read in place. Nothing is allocated and the depth is
 * bounded, so that a hostile document costs its length and no more; the line of every token is
 * known, for people.
 */
#include "reader.h"

#include <errno.h>

enum state { FIRST, NEXT, VALUE, DONE }; /* of an object or array: what may come */
#define IS_OBJECT 0x80

void bh_json_init(struct bh_json *j, const char *text, size_t len, uint32_t line)
{
	*j = (struct bh_json){.p = text, .end = text + len, .line = line, .kind = BH_JSON_END};
}

static enum bh_json_kind fail(struct bh_json *j, const char *why)
{
	j->error = why;
	j->n = 0;
	return j->kind = BH_JSON_ERROR;
}

static void skip_blank(struct bh_json *j)
{
	for (; j->p < j->end; j->p++) {
		if (*j->p == '\n')
			j->line++;
		else if (*j->p != ' ' && *j->p != '\t' && *j->p != '\r')
			return;
	}
}

static int hex4(const char *p, const char *end)
{
	int v = 0;
	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		int d = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
			: c >= 'A' && c <= 'F' ? c - 'A' + 10
					       : -1;
		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

static void put(struct bh_json *j, char c)
{
	if (j->n < sizeof(j->buf))
		j->buf[j->n++] = c;
}

/* One escape behind the backslash. What is not ASCII can be no part of an address or a keyword:
 * '?' stands for it. */
static bool unescape(struct bh_json *j)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	if (j->p == j->end)
		return false;
	char c = *j->p++;
	const char *at = c ? strchr(from, c) : NULL;
	if (at) {
		put(j, to[at - from]);
		return true;
	}
	int v = c == 'u' ? hex4(j->p, j->end) : -1;
	if (v < 0)
		return false;
	j->p += 4;
	put(j, v > 0 && v < 0x80 ? (char)v : '?');
	return true;
}

/* Behind the opening quotation mark. */
static bool read_string(struct bh_json *j)
{
	const char *from = j->p;
	while (j->p < j->end && *j->p != '"' && *j->p != '\\' && (unsigned char)*j->p >= ' ')
		j->p++;
	j->s = from;
	j->n = (size_t)(j->p - from);
	if (j->p < j->end && *j->p == '"') {
		j->p++;
		return true;
	}
	size_t plain = j->n;
	j->n = 0;
	for (size_t i = 0; i < plain && i < sizeof(j->buf); i++)
		put(j, from[i]);
	j->s = j->buf;
	while (j->p < j->end && (unsigned char)*j->p >= ' ') {
		char c = *j->p++;
		if (c == '"')
			return true;
		if (c != '\\')
			put(j, c);
		else if (!unescape(j))
			return false;
	}
	return false;
}

static void digits(struct bh_json *j, size_t *ret_n)
{
	for (*ret_n = 0; j->p < j->end && *j->p >= '0' && *j->p <= '9'; j->p++)
		++*ret_n;
}

static bool read_number(struct bh_json *j)
{
	size_t n;
	j->s = j->p;
	if (*j->p == '-')
		j->p++;
	const char *whole = j->p;
	digits(j, &n);
	if (n == 0 || (n > 1 && *whole == '0'))
		return false;
	if (j->p < j->end && *j->p == '.') {
		j->p++;
		digits(j, &n);
		if (n == 0)
			return false;
	}
	if (j->p < j->end && (*j->p == 'e' || *j->p == 'E')) {
		j->p++;
		if (j->p < j->end && (*j->p == '+' || *j->p == '-'))
			j->p++;
		digits(j, &n);
		if (n == 0)
			return false;
	}
	j->n = (size_t)(j->p - j->s);
	return true;
}

static bool read_word(struct bh_json *j, const char *word)
{
	size_t n = strlen(word);
	if ((size_t)(j->end - j->p) < n || memcmp(j->p, word, n) != 0)
		return false;
	j->s = j->p;
	j->n = n;
	j->p += n;
	return true;
}

static enum bh_json_kind open_container(struct bh_json *j, bool object)
{
	if (j->depth == BH_JSON_DEPTH)
		return fail(j, "is nested too deeply");
	j->p++;
	j->state[++j->depth] = FIRST | (object ? IS_OBJECT : 0);
	return j->kind = object ? BH_JSON_OBJECT : BH_JSON_ARRAY;
}

static enum bh_json_kind read_value(struct bh_json *j)
{
	if (j->depth)
		j->state[j->depth] = (uint8_t)((j->state[j->depth] & IS_OBJECT) | DONE);
	switch (*j->p) {
	case '{':
	case '[':
		return open_container(j, *j->p == '{');
	case '"':
		j->p++;
		return read_string(j) ? (j->kind = BH_JSON_STRING) : fail(j, "has a bad string");
	case 't':
		return read_word(j, "true") ? (j->kind = BH_JSON_TRUE) : fail(j, "has a bad word");
	case 'f':
		return read_word(j, "false") ? (j->kind = BH_JSON_FALSE)
					     : fail(j, "has a bad word");
	case 'n':
		return read_word(j, "null") ? (j->kind = BH_JSON_NULL) : fail(j, "has a bad word");
	default:
		return read_number(j) ? (j->kind = BH_JSON_NUMBER) : fail(j, "has a bad value");
	}
}

static enum bh_json_kind read_key(struct bh_json *j)
{
	if (*j->p != '"')
		return fail(j, "lacks a key");
	j->p++;
	if (!read_string(j))
		return fail(j, "has a bad key");
	skip_blank(j);
	if (j->p == j->end || *j->p != ':')
		return fail(j, "lacks a colon");
	j->p++;
	j->state[j->depth] = IS_OBJECT | VALUE;
	return j->kind = BH_JSON_KEY;
}

static enum bh_json_kind close_container(struct bh_json *j, bool object)
{
	j->p++;
	j->depth--;
	return j->kind = object ? BH_JSON_OBJECT_END : BH_JSON_ARRAY_END;
}

enum bh_json_kind bh_json_next(struct bh_json *j)
{
	if (j->kind == BH_JSON_ERROR)
		return BH_JSON_ERROR;
	j->s = "";
	j->n = 0;
	skip_blank(j);
	if (j->p == j->end)
		return j->depth ? fail(j, "ends in the middle") : (j->kind = BH_JSON_END);
	if (!j->depth)
		return read_value(j);
	bool object = j->state[j->depth] & IS_OBJECT;
	enum state st = (enum state)(j->state[j->depth] & ~IS_OBJECT);
	char close = object ? '}' : ']';
	if (*j->p == close && (st == FIRST || st == DONE))
		return close_container(j, object);
	if (st == DONE) {
		if (*j->p != ',')
			return fail(j, "lacks a comma");
		j->p++;
		j->state[j->depth] = (uint8_t)(NEXT | (object ? IS_OBJECT : 0));
		return bh_json_next(j);
	}
	return object && st != VALUE ? read_key(j) : read_value(j);
}

bool bh_json_skip(struct bh_json *j)
{
	unsigned depth = j->depth;
	if (j->kind != BH_JSON_OBJECT && j->kind != BH_JSON_ARRAY)
		return j->kind != BH_JSON_ERROR;
	while (j->depth >= depth)
		if (bh_json_next(j) == BH_JSON_ERROR)
			return false;
	return true;
}

bool bh_json_skip_value(struct bh_json *j)
{
	return bh_json_next(j) != BH_JSON_ERROR && bh_json_skip(j);
}

bool bh_json_is(const struct bh_json *j, const char *text)
{
	size_t n = strlen(text);
	return j->n == n && memcmp(j->s, text, n) == 0;
}

enum bh_json_kind bh_json_text(struct bh_json *j, char *buf, size_t size)
{
	enum bh_json_kind k = bh_json_next(j);
	size_t n = 0;
	if (k != BH_JSON_NULL && k != BH_JSON_OBJECT && k != BH_JSON_ARRAY && k != BH_JSON_ERROR)
		n = j->n < size - 1 ? j->n : size - 1;
	for (size_t i = 0; i < n; i++)
		buf[i] = j->s[i] ? j->s[i] : '?';
	buf[n] = '\0';
	return bh_json_skip(j) ? k : BH_JSON_ERROR;
}

int bh_reader_refuse_json(struct bh_reader *r, const struct bh_json *j)
{
	r->line = j->line;
	return bh_reader_refuse(r, j->error ? j->error : "is not the JSON that its format has");
}
