/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See sieve.h: one state, and a stack of what is open of what is kept. */
#include "http/sieve.h"

#include <errno.h>

void bh_sieve_init(struct bh_sieve *s, const struct bh_sieve_path *wanted, size_t max)
{
	*s = (struct bh_sieve){.max = max, .root = {.below = wanted}};
	s->match = &s->root;
}

static int put(struct bh_sieve *s, const char *p, size_t n)
{
	if (n > s->max - s->out.len)
		return -EFBIG;
	bh_buf_add(&s->out, p, n);
	return 0;
}

static const struct bh_sieve_path *find(
	const struct bh_sieve_path *list, const char *key, size_t len, bool array)
{
	for (; list && list->key; list++) {
		bool any = !array && strcmp(list->key, "*") == 0;
		bool element = strcmp(list->key, "[]") == 0;
		if (any || (array && element) ||
			(!array && !element && strlen(list->key) == len &&
				memcmp(list->key, key, len) == 0))
			return list;
	}
	return NULL;
}

/* A comma where something of the same object or array was kept before. */
static int put_next(struct bh_sieve *s)
{
	struct bh_sieve_open *o = &s->open[s->depth - 1];
	bool before = o->any;
	o->any = true;
	return before ? put(s, ",", 1) : 0;
}

static void done(struct bh_sieve *s)
{
	s->at = s->depth ? BH_SIEVE_AFTER : BH_SIEVE_END;
}

/* --- strings --- */

static void begin_string(struct bh_sieve *s, enum bh_sieve_at at)
{
	s->at = at;
	s->len = s->rest = s->hex = 0;
	s->escape = s->high = s->cut = false;
}

/* As it is spelt: its escapes are escaped once more, so that whatever it says it can be read. */
static int put_key(struct bh_sieve *s)
{
	int r = put(s, "\"", 1);
	for (size_t i = 0; i < s->len && !r; i++) {
		bool special = s->key[i] == '\\' || s->key[i] == '"';
		r = special ? put(s, "\\", 1) : 0;
		if (!r)
			r = put(s, &s->key[i], 1);
	}
	return r ? r : put(s, "\":", 2);
}

static int end_key(struct bh_sieve *s)
{
	s->at = BH_SIEVE_COLON;
	s->match = s->cut ? NULL : find(s->open[s->depth - 1].below, s->key, s->len, false);
	if (!s->match)
		return 0;
	int r = put_next(s);
	return r ? r : put_key(s);
}

static int end_string(struct bh_sieve *s)
{
	if (s->at == BH_SIEVE_IN_KEY)
		return end_key(s);
	done(s);
	return s->match ? put(s, "\"", 1) : 0;
}

static int hex_digit(struct bh_sieve *s, char c)
{
	const char *digits = "0123456789abcdefABCDEF", *at = c ? strchr(digits, c) : NULL;
	if (!at)
		return -EBADMSG;
	uint32_t v = (uint32_t)(at - digits);
	s->code = s->code << 4 | (v < 16 ? v : v - 6);
	if (--s->hex == 0)
		s->high = !s->high && (s->code & 0xfc00) == 0xd800; /* halves make no chain */
	return 0;
}

/* Between two characters, where it may be cut. */
static void begin_character(struct bh_sieve *s, unsigned char c)
{
	const size_t longest = 12; /* a pair of escapes */
	size_t max = s->at == BH_SIEVE_IN_KEY ? BH_SIEVE_MAX_KEY : BH_SIEVE_MAX_STRING;
	if (!s->high && s->len + longest > max)
		s->cut = true;
	s->high &= c == '\\';
	s->escape = c == '\\';
	s->rest = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
}

static int in_string(struct bh_sieve *s, char c)
{
	if (s->escape) {
		s->escape = false;
		s->hex = c == 'u' ? 4 : 0;
		s->code = 0;
		s->high &= c == 'u';
	} else if (s->hex) {
		int r = hex_digit(s, c);
		if (r)
			return r;
	} else if (s->rest) {
		s->rest--;
	} else if (c == '"') {
		return end_string(s);
	} else {
		begin_character(s, (unsigned char)c);
	}
	if (s->cut)
		return 0;
	if (s->at == BH_SIEVE_IN_KEY)
		s->key[s->len] = c;
	s->len++;
	return s->at == BH_SIEVE_IN_STRING && s->match ? put(s, &c, 1) : 0;
}

/* --- values --- */

static bool is_token(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' ||
	       c == '.' || c == 'E';
}

static int in_token(struct bh_sieve *s, char c)
{
	if (++s->len > BH_SIEVE_MAX_TOKEN)
		return -EBADMSG;
	return s->match ? put(s, &c, 1) : 0;
}

static int begin_nested(struct bh_sieve *s, char c)
{
	bool array = c == '[';
	if (!s->match || !s->match->below) {
		s->at = BH_SIEVE_IN_SKIPPED;
		s->skipped = 1;
		s->in_string = s->escape = false;
		return s->match ? put(s, array ? "[]" : "{}", 2) : 0;
	}
	if (s->depth == BH_SIEVE_DEPTH)
		return -EBADMSG;
	s->open[s->depth++] = (struct bh_sieve_open){.below = s->match->below, .array = array};
	s->at = array ? BH_SIEVE_FIRST_VALUE : BH_SIEVE_FIRST_KEY;
	return put(s, &c, 1);
}

static int begin_value(struct bh_sieve *s, char c)
{
	int r = 0;
	if (s->depth && s->open[s->depth - 1].array) {
		s->match = find(s->open[s->depth - 1].below, NULL, 0, true);
		if (s->match)
			r = put_next(s);
	}
	if (r)
		return r;
	if (c == '{' || c == '[')
		return begin_nested(s, c);
	if (c == '"') {
		begin_string(s, BH_SIEVE_IN_STRING);
		return s->match ? put(s, "\"", 1) : 0;
	}
	s->at = BH_SIEVE_IN_TOKEN;
	s->len = 0;
	return is_token(c) ? in_token(s, c) : -EBADMSG;
}

static int end_nested(struct bh_sieve *s, char c)
{
	if (s->depth == 0 || c != (s->open[s->depth - 1].array ? ']' : '}'))
		return -EBADMSG;
	s->depth--;
	done(s);
	return put(s, &c, 1);
}

static int in_skipped(struct bh_sieve *s, char c)
{
	if (s->in_string) {
		if (!s->escape && c == '"')
			s->in_string = false;
		s->escape = !s->escape && c == '\\';
	} else if (c == '"') {
		s->in_string = true;
	} else if (c == '{' || c == '[') {
		if (++s->skipped > BH_SIEVE_MAX_SKIPPED)
			return -EBADMSG;
	} else if ((c == '}' || c == ']') && --s->skipped == 0) {
		done(s);
	}
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int between(struct bh_sieve *s, char c)
{
	switch (s->at) {
	case BH_SIEVE_FIRST_KEY:
	case BH_SIEVE_KEY:
		if (s->at == BH_SIEVE_FIRST_KEY && c == '}')
			return end_nested(s, c);
		begin_string(s, BH_SIEVE_IN_KEY);
		return c == '"' ? 0 : -EBADMSG;
	case BH_SIEVE_COLON:
		s->at = BH_SIEVE_VALUE;
		return c == ':' ? 0 : -EBADMSG;
	case BH_SIEVE_FIRST_VALUE:
	case BH_SIEVE_VALUE:
		if (s->at == BH_SIEVE_FIRST_VALUE && c == ']')
			return end_nested(s, c);
		return begin_value(s, c);
	case BH_SIEVE_AFTER:
		if (c != ',')
			return end_nested(s, c);
		s->at = s->open[s->depth - 1].array ? BH_SIEVE_VALUE : BH_SIEVE_KEY;
		return 0;
	default:
		return -EBADMSG;
	}
}

static int step(struct bh_sieve *s, char c)
{
	switch (s->at) {
	case BH_SIEVE_IN_KEY:
	case BH_SIEVE_IN_STRING:
		return in_string(s, c);
	case BH_SIEVE_IN_SKIPPED:
		return in_skipped(s, c);
	case BH_SIEVE_IN_TOKEN:
		if (is_token(c))
			return in_token(s, c);
		done(s);
		break;
	default:
		break;
	}
	return is_blank(c) ? 0 : between(s, c);
}

int bh_sieve_feed(struct bh_sieve *s, const char *p, size_t n)
{
	for (const char *end = p + n; p < end; p++) {
		/* most of what is long */
		if (s->at == BH_SIEVE_IN_SKIPPED && s->in_string && !s->escape)
			while (p < end - 1 && *p != '"' && *p != '\\')
				p++;
		int r = step(s, *p);
		if (r)
			return r;
	}
	return 0;
}

bool bh_sieve_untouched(const struct bh_sieve *s)
{
	return s->at == BH_SIEVE_VALUE && s->depth == 0;
}

int bh_sieve_end(const struct bh_sieve *s)
{
	bool token = s->at == BH_SIEVE_IN_TOKEN && s->depth == 0;
	return s->at == BH_SIEVE_END || token ? 0 : -EBADMSG;
}

void bh_sieve_finish(struct bh_sieve *s)
{
	bh_buf_finish(&s->out);
}
