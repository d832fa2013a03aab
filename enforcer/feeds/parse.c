/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A plain list of addresses. Pure: text in, indicators out. The text comes from strangers, who may
 * be wrong or hostile, and what is read here is dropped everywhere: a line that is not exactly
 * understood is reported and skipped, never guessed at, and a text that does not look like a list
 * is refused as a whole.
 */
#include "feeds/internal.h"

#include <errno.h>

#define REPORTED_MAX 20 /* lines reported of each kind */
#define TOKEN_MAX 127 /* the longest range is 91 bytes */
#define JUDGED_FROM 10 /* lines; fewer are too few to call it "not a list" */
#define WIDEST_V4 8
#define WIDEST_V6 19

struct parser {
	const char *name;
	struct bh_diags *diags;
	struct bh_indicators out;
	uint32_t line;
	size_t corrected;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static void trim(const char **s, size_t *n)
{
	while (*n && is_blank(**s)) {
		(*s)++;
		(*n)--;
	}
	while (*n && is_blank((*s)[*n - 1]))
		(*n)--;
}

/* Length without the comment. "//" opens one only where a word can begin: "192.0.2.1//24" is a
 * mistake, not an address with a comment. */
static size_t without_comment(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '#' || s[i] == ';')
			return i;
		if (s[i] == '/' && i + 1 < n && s[i + 1] == '/' && (i == 0 || is_blank(s[i - 1])))
			return i;
	}
	return n;
}

/* 010.1.2.3 is 8.1.2.3 to some programs and 10.1.2.3 to others. */
static bool has_leading_zero(const char *s)
{
	bool start = true;
	if (strchr(s, ':') || !strchr(s, '.'))
		return false;
	for (; *s; s++) {
		if (start && s[0] == '0' && s[1] >= '0' && s[1] <= '9')
			return true;
		start = *s < '0' || *s > '9';
	}
	return false;
}

static const char *not_an_address(const char *s)
{
	if (has_leading_zero(s))
		return "has a number with a leading zero, which some read as octal";
	return "is not an address, a CIDR or a range";
}

static const char *check_width(const struct bh_range *r)
{
	bh_u128 span = bh_addr_number(&r->last) - bh_addr_number(&r->first);
	if (r->first.family == BH_IPV4)
		return span >> (32 - WIDEST_V4) ? "is wider than /8: refused" : NULL;
	return span >> (128 - WIDEST_V6) ? "is wider than /19: refused" : NULL;
}

static const char *read_range(const char *s, const char *dash, struct bh_range *ret)
{
	char first[TOKEN_MAX + 1], last[TOKEN_MAX + 1];
	const char *a = s, *b = dash + 1;
	size_t na = (size_t)(dash - s), nb = strlen(b);
	trim(&a, &na);
	trim(&b, &nb);
	snprintf(first, sizeof(first), "%.*s", (int)na, a);
	snprintf(last, sizeof(last), "%.*s", (int)nb, b);
	if (bh_addr_parse(first, &ret->first) < 0)
		return not_an_address(first);
	if (bh_addr_parse(last, &ret->last) < 0)
		return not_an_address(last);
	if (ret->first.family != ret->last.family)
		return "mixes IPv4 and IPv6";
	if (bh_addr_cmp(&ret->first, &ret->last) > 0)
		return "runs backwards";
	return NULL;
}

/* The length of a dotted mask (255.255.255.0), or −1. */
static int mask_length(const char *s)
{
	struct bh_addr m;
	if (strchr(s, ':') || bh_addr_parse(s, &m) < 0)
		return -1;
	uint32_t v = (uint32_t)bh_addr_number(&m), inverse = ~v;
	if (inverse & (inverse + 1))
		return -1;
	return __builtin_popcount(v);
}

/* 0, or 1 if host bits were set, in *ret_host_bits. */
static const char *read_prefix(
	const char *s, const char *slash, struct bh_range *ret, bool *ret_host_bits)
{
	char text[TOKEN_MAX + 8], addr[TOKEN_MAX + 1];
	struct bh_prefix p;
	struct bh_addr a;
	snprintf(addr, sizeof(addr), "%.*s", (int)(slash - s), s);
	if (bh_addr_parse(addr, &a) < 0)
		return not_an_address(addr);
	if (strchr(slash, '.')) {
		int len = mask_length(slash + 1);
		if (len < 0 || strchr(addr, ':'))
			return "has no valid mask behind the slash";
		snprintf(text, sizeof(text), "%s/%d", addr, len);
	} else {
		snprintf(text, sizeof(text), "%s", s);
	}
	int r = bh_prefix_parse(text, &p);
	if (r < 0)
		return "has no valid prefix length behind the slash";
	if (p.addr.family != a.family)
		return "reaches beyond the IPv4-mapped addresses";
	*ret = bh_prefix_range(&p);
	*ret_host_bits = r == 1;
	return NULL;
}

/* NULL if s was read, else what is wrong with it. */
static const char *read_item(const char *s, struct bh_range *ret, bool *ret_host_bits)
{
	const char *dash = strchr(s, '-'), *slash = strchr(s, '/'), *why = NULL;
	*ret_host_bits = false;
	if (dash) {
		why = read_range(s, dash, ret);
	} else if (slash) {
		why = read_prefix(s, slash, ret, ret_host_bits);
	} else {
		if (bh_addr_parse(s, &ret->first) < 0)
			return not_an_address(s);
		ret->last = ret->first;
	}
	return why ? why : check_width(ret);
}

static void report(struct parser *p, const char *s, size_t n, const char *what, const char *remedy)
{
	if (!p->diags)
		return;
	char bh_autofree *quoted = bh_diag_quote(s, n);
	bh_diag_add(p->diags, BH_WARNING, p->name, (int)p->line, 0, NULL, remedy, "%s %s", quoted,
		what);
}

static void reject(struct parser *p, const char *s, size_t n, const char *why)
{
	if (p->out.rejected++ < REPORTED_MAX)
		report(p, s, n, why, "the line is left out");
}

/* An error, and −EINVAL. */
static int refuse(struct parser *p, const char *why)
{
	if (p->diags)
		bh_diag_add(p->diags, BH_ERROR, p->name, 0, 0, NULL,
			"check that the address leads to a plain list of addresses", "%s", why);
	bh_indicators_finish(&p->out);
	return -EINVAL;
}

static int add(struct parser *p, const struct bh_range *r)
{
	if (p->out.n == BH_FEED_MAX_INDICATORS)
		return -E2BIG;
	BH_GROW(p->out.item, p->out.n, p->out.cap);
	p->out.item[p->out.n++] = (struct bh_indicator){.range = *r, .line = p->line};
	return 0;
}

static int read_line(struct parser *p, const char *s, size_t n)
{
	char token[TOKEN_MAX + 1];
	struct bh_range r;
	bool host_bits = false;

	n = without_comment(s, n);
	trim(&s, &n);
	if (n == 0)
		return 0;
	p->out.lines++;
	const char *why = "is too long";
	if (n <= TOKEN_MAX) {
		memcpy(token, s, n);
		token[n] = '\0';
		why = read_item(token, &r, &host_bits);
	}
	if (why) {
		reject(p, s, n, why);
		return 0;
	}
	if (host_bits && p->corrected++ < REPORTED_MAX)
		report(p, s, n, "has host bits set", "its network is loaded");
	return add(p, &r);
}

static void report_rest(struct parser *p)
{
	p->line = 0;
	if (!p->diags)
		return;
	if (p->out.rejected > REPORTED_MAX)
		bh_diag_add(p->diags, BH_WARNING, p->name, 0, 0, NULL, NULL,
			"%zu more lines are left out", p->out.rejected - REPORTED_MAX);
	if (p->corrected > REPORTED_MAX)
		bh_diag_add(p->diags, BH_WARNING, p->name, 0, 0, NULL, NULL,
			"%zu more lines have host bits set", p->corrected - REPORTED_MAX);
}

static bool is_markup(const char *text, size_t len)
{
	while (len && (is_blank(*text) || *text == '\n')) {
		text++;
		len--;
	}
	return len && *text == '<';
}

int bh_feed_parse(const char *name, const char *text, size_t len, struct bh_diags *diags,
	struct bh_indicators *ret)
{
	struct parser p = {.name = name, .diags = diags};

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		len -= 3;
	}
	if (len > BH_FEED_MAX_BYTES)
		return refuse(&p, "is larger than a feed may be");
	if (is_markup(text, len))
		return refuse(&p, "is an HTML or XML page, not a list");
	if (len && memchr(text, '\0', len))
		return refuse(&p, "holds NUL bytes: not a text");
	for (const char *end = text + len; text < end; text++) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		if (!eol)
			eol = end;
		p.line++;
		if (read_line(&p, text, (size_t)(eol - text)) < 0)
			return refuse(&p, "holds more indicators than a feed may");
		text = eol;
	}
	report_rest(&p);
	if (p.out.lines >= JUDGED_FROM && p.out.rejected > p.out.lines / 2)
		return refuse(&p, "more than half of its lines cannot be read: not a list");
	*ret = p.out;
	return 0;
}

void bh_indicators_finish(struct bh_indicators *i)
{
	free(i->item);
	*i = (struct bh_indicators){0};
}
