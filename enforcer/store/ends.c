/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ends of a tuple as text that a person can read with the sqlite3 shell:
 *   host | addr 203.0.113.9 | role shop app=web,tier=db
 * Names and labels come from container engines and may hold anything: every byte outside a small
 * safe set is written as %XX, so that the separators stay unambiguous and parsing is exact.
 */
#include "store/internal.h"

#include <errno.h>

#define LABELS_MAX 256 /* of one end, when reading a file that somebody may have edited */

static bool is_safe(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("._/:@-", c));
}

static void add_escaped(struct bh_buf *out, const char *s)
{
	for (; *s; s++)
		if (is_safe((unsigned char)*s))
			bh_buf_add(out, s, 1);
		else
			bh_buf_printf(out, "%%%02x", (unsigned char)*s);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* s[0..len) unescaped, owned; NULL if it holds anything that add_escaped() does not write. */
static char *unescape(const char *s, size_t len)
{
	struct bh_buf bh_autobuf out = {0};
	for (size_t i = 0; i < len; i++) {
		char c = s[i];
		if (c == '%') {
			int hi = len - i > 2 ? hex_digit(s[i + 1]) : -1;
			int lo = hi >= 0 ? hex_digit(s[i + 2]) : -1;
			if (hi < 0 || lo < 0 || (hi == 0 && lo == 0))
				return NULL;
			c = (char)(hi << 4 | lo);
			i += 2;
		} else if (!is_safe((unsigned char)c)) {
			return NULL;
		}
		bh_buf_add(&out, &c, 1);
	}
	return bh_buf_take(&out);
}

void bh_store_format_labels(const struct bh_labels *l, struct bh_buf *out)
{
	for (size_t i = 0; i < l->n; i++) {
		bh_buf_str(out, i ? "," : "");
		add_escaped(out, l->item[i].key);
		bh_buf_str(out, "=");
		add_escaped(out, l->item[i].value);
	}
}

void bh_store_format_end(const struct bh_end *e, struct bh_buf *out)
{
	char text[BH_ADDR_STRLEN];
	switch (e->kind) {
	case BH_END_HOST:
		bh_buf_str(out, "host");
		return;
	case BH_END_ADDR:
		bh_buf_printf(out, "addr %s", bh_addr_format(&e->addr, text));
		return;
	case BH_END_OTHERS:
		bh_buf_str(out, e->addr.family == BH_IPV4 ? "others 4" : "others 6");
		return;
	case BH_END_ROLE:
		break;
	}
	bh_buf_str(out, "role ");
	add_escaped(out, e->namespace ? e->namespace : "");
	bh_buf_str(out, " ");
	bh_store_format_labels(&e->selector, out);
}

int bh_store_parse_labels(const char *text, struct bh_labels *ret)
{
	size_t n = 0;
	while (*text) {
		size_t len = strcspn(text, ",");
		const char *eq = memchr(text, '=', len);
		if (!eq || eq == text || ++n > LABELS_MAX)
			return -EINVAL;
		char bh_autofree *key = unescape(text, (size_t)(eq - text));
		char bh_autofree *value = unescape(eq + 1, len - (size_t)(eq + 1 - text));
		if (!key || !value)
			return -EINVAL;
		bh_labels_set(ret, key, value);
		text += len;
		if (*text == ',' && !*++text)
			return -EINVAL;
	}
	return 0;
}

static int parse_role(const char *text, struct bh_end *ret)
{
	const char *space = strchr(text, ' ');
	struct bh_labels labels = {0};
	if (!space)
		return -EINVAL;
	char bh_autofree *ns = unescape(text, (size_t)(space - text));
	if (!ns || bh_store_parse_labels(space + 1, &labels) < 0) {
		bh_labels_finish(&labels);
		return -EINVAL;
	}
	*ret = (struct bh_end){
		.kind = BH_END_ROLE, .namespace = BH_TAKE_PTR(ns), .selector = labels};
	return 0;
}

int bh_store_parse_end(const char *text, struct bh_end *ret)
{
	struct bh_end e = {.kind = BH_END_ADDR};
	if (!text)
		return -EINVAL;
	if (strncmp(text, "role ", 5) == 0)
		return parse_role(text + 5, ret);
	if (bh_streq(text, "host"))
		e.kind = BH_END_HOST;
	else if (bh_streq(text, "others 4") || bh_streq(text, "others 6"))
		e = (struct bh_end){
			.kind = BH_END_OTHERS, .addr.family = text[7] == '4' ? BH_IPV4 : BH_IPV6};
	else if (strncmp(text, "addr ", 5) != 0 || bh_addr_parse(text + 5, &e.addr) < 0)
		return -EINVAL;
	*ret = e;
	return 0;
}

void bh_store_format_words(char *const *word, size_t n, struct bh_buf *out)
{
	for (size_t i = 0; i < n; i++) {
		bh_buf_str(out, i ? " " : "");
		add_escaped(out, word[i]);
	}
}

int bh_store_parse_words(const char *text, size_t max, char ***ret, size_t *ret_n)
{
	char **word = NULL;
	size_t n = 0, cap = 0;
	while (text && *text && n < max) {
		size_t len = strcspn(text, " ");
		char *w = unescape(text, len);
		if (!w)
			goto bad;
		BH_GROW(word, n, cap);
		word[n++] = w;
		text += len + (text[len] == ' ');
	}
	*ret = word;
	*ret_n = n;
	return 0;
bad:
	for (size_t i = 0; i < n; i++)
		free(word[i]);
	free(word);
	return -EINVAL;
}
