/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What has to hold before YAML is looked at. libyaml would refuse most of this too, but without a
 * line; and it would let pass what makes a file read differently to a person than to a machine:
 * NEL, LS and PS, which YAML 1.1 takes for line breaks and no editor shows as such.
 */
#include "doc_private.h"

#include <errno.h>

#include <bulkhead/utf8.h>

/* libyaml looks through all %TAG directives for each new one. */
#define TAG_DIRECTIVES_MAX 16

struct scan {
	struct doc_text *t;
	const char *file;
	struct bh_diags *diags;
	size_t i;
	size_t n_tag_directives;
};

static int refuse(struct scan *s, const char *remedy, const char *what)
{
	size_t start = s->t->line_start[s->t->n_lines - 1];
	bh_diag_add(s->diags, BH_ERROR, s->file, (int)s->t->n_lines, (int)(s->i - start) + 1, NULL,
		remedy, "%s", what);
	return -EINVAL;
}

static int refuse_byte(struct scan *s)
{
	bh_autofree char *what =
		bh_xasprintf("not UTF-8: byte 0x%02x", (unsigned)(uint8_t)s->t->s[s->i]);
	return refuse(s, "save the file as UTF-8 text", what);
}

static int refuse_character(struct scan *s, uint32_t c)
{
	bh_autofree char *what = c == 0        ? bh_xstrdup("NUL byte")
				 : c == 0xfeff ? bh_xstrdup("byte order mark inside the text")
					       : bh_xasprintf("control character U+%04X", c);
	return refuse(s, "remove it, or write it as an escape in double quotes", what);
}

/* YAML's c-printable without the line breaks of YAML 1.1 that are none in YAML 1.2. */
static bool is_allowed(uint32_t c)
{
	if (c < 0xa0)
		return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c < 0x7f);
	return c != 0x2028 && c != 0x2029 && c != 0xfeff && c != 0xfffe && c != 0xffff;
}

static int begin_line(struct scan *s)
{
	struct doc_text *t = s->t;
	BH_GROW(t->line_start, t->n_lines, t->cap_lines);
	t->line_start[t->n_lines++] = s->i;
	if (t->len - s->i < 4 || memcmp(t->s + s->i, "%TAG", 4) != 0)
		return 0;
	if (++s->n_tag_directives <= TAG_DIRECTIVES_MAX)
		return 0;
	return refuse(s, NULL, "too many %TAG directives");
}

static int scan_text(struct scan *s)
{
	struct doc_text *t = s->t;
	int r = begin_line(s);
	while (r == 0 && s->i < t->len) {
		uint32_t c;
		size_t n = bh_utf8_decode(t->s + s->i, t->len - s->i, &c);
		if (n == 0)
			return refuse_byte(s);
		if (!is_allowed(c))
			return refuse_character(s, c);
		t->ascii = t->ascii && n == 1;
		s->i += n;
		if (c == '\n' || (c == '\r' && (s->i == t->len || t->s[s->i] != '\n')))
			r = begin_line(s);
	}
	return r;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void make_copy(struct doc_text *t)
{
	if (t->copy)
		return;
	t->copy = bh_xmemdup(t->s, t->len);
	t->s = t->copy;
}

/*
 * JSON allows tabs wherever it allows blanks. libyaml (0.2.5) takes them inside of flow collections
 * but not before or after the outermost one, so those become blanks.
 */
static void blank_json_tabs(struct doc_text *t, size_t first)
{
	size_t last = t->len;
	while (is_space(t->s[last - 1]))
		last--;
	if (!memchr(t->s, '\t', first) && !memchr(t->s + last, '\t', t->len - last))
		return;
	make_copy(t);
	for (size_t i = 0; i < t->len; i++)
		if ((i < first || i >= last) && t->copy[i] == '\t')
			t->copy[i] = ' ';
}

/* The code unit of a \uXXXX at s. */
static bool code_unit(const char *s, size_t n, unsigned *ret)
{
	char hex[5] = {0}, *end;
	if (n < 6 || s[0] != '\\' || s[1] != 'u')
		return false;
	memcpy(hex, s + 2, 4);
	*ret = (unsigned)strtoul(hex, &end, 16);
	return end == hex + 4 && strspn(hex, "0123456789abcdefABCDEF") == 4;
}

/* Writes c, which is above U+FFFF, as \UXXXXXXXX. */
static void put_escape(char out[static 10], unsigned c)
{
	static const char hex[] = "0123456789abcdef";
	out[0] = '\\';
	out[1] = 'U';
	for (int i = 0; i < 8; i++)
		out[2 + i] = hex[c >> (28 - 4 * i) & 0xf];
}

/*
 * JSON writes characters above U+FFFF as two escapes, a surrogate pair, which YAML does not have.
 * They become YAML's escape, two bytes shorter: columns behind one in the same line are off.
 */
static void join_json_surrogates(struct doc_text *t)
{
	size_t out = 0;
	for (size_t i = 0; i < t->len;) {
		const char *s = t->s + i;
		unsigned high, low;
		if (*s != '\\') {
			i++;
			if (t->copy)
				t->copy[out] = *s;
			out++;
			continue;
		}
		if (code_unit(s, t->len - i, &high) && high >= 0xd800 && high < 0xdc00 &&
			code_unit(s + 6, t->len - i - 6, &low) && low >= 0xdc00 && low < 0xe000) {
			make_copy(t);
			put_escape(t->copy + out, 0x10000 + ((high - 0xd800) << 10) + low - 0xdc00);
			i += 12;
			out += 10;
			continue;
		}
		for (int k = 0; k < 2 && i < t->len; k++, i++, out++) /* the escape, whole */
			if (t->copy)
				t->copy[out] = t->s[i];
	}
	t->len = out;
}

static void adapt_json(struct doc_text *t)
{
	size_t first = 0;
	while (first < t->len && is_space(t->s[first]))
		first++;
	if (first == t->len || (t->s[first] != '{' && t->s[first] != '['))
		return;
	blank_json_tabs(t, first);
	join_json_surrogates(t);
}

int doc_text_init(
	struct doc_text *t, const char *file, const char *s, size_t len, struct bh_diags *diags)
{
	struct scan scan = {.t = t, .file = file, .diags = diags};
	size_t mark = len >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	*t = (struct doc_text){.s = s + mark, .len = len - mark, .ascii = true};
	adapt_json(t);
	return scan_text(&scan);
}

void doc_text_finish(struct doc_text *t)
{
	free(t->copy);
	free(t->line_start);
	*t = (struct doc_text){0};
}

static size_t byte_column(struct doc_text *t, size_t line, size_t column)
{
	size_t chars = 0, i = 0;
	if (t->ascii || line >= t->n_lines)
		return column;
	if (t->last.line == line && t->last.chars <= column) {
		chars = t->last.chars;
		i = t->last.bytes;
	}
	for (; chars < column && t->line_start[line] + i < t->len; chars++) {
		size_t at = t->line_start[line] + i;
		uint32_t c;
		i += bh_utf8_decode(t->s + at, t->len - at, &c);
	}
	t->last.line = line;
	t->last.chars = chars;
	t->last.bytes = i;
	return i;
}

int doc_text_column(struct doc_text *t, size_t line, size_t column)
{
	return (int)byte_column(t, line, column) + 1;
}

char doc_text_byte(struct doc_text *t, size_t line, size_t column)
{
	size_t at = line < t->n_lines ? t->line_start[line] + byte_column(t, line, column) : t->len;
	return at < t->len ? t->s[at] : '\0';
}
