/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One indicator as text. It comes from strangers, who may be wrong or hostile, and what is read
 * here is dropped everywhere: what is not exactly understood is reported and left out, never
 * guessed at.
 */
#include "reader.h"

#include <errno.h>

#define REPORTED_MAX 20 /* lines reported of each kind */
#define TOKEN_MAX 127 /* the longest range is 91 bytes */

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

static const char *check_width(const struct bh_reader *r, const struct bh_range *x)
{
	bh_u128 span = bh_addr_number(&x->last) - bh_addr_number(&x->first);
	bool v4 = x->first.family == BH_IPV4;
	unsigned bits = bh_addr_bits(&x->first), widest = v4 ? r->opts->widest4 : r->opts->widest6;
	if (widest == 0 || !(span >> (bits - widest)))
		return NULL;
	return v4 ? "is wider than `widest_ipv4` allows" : "is wider than `widest_ipv6` allows";
}

static const char *read_range(const char *s, const char *dash, struct bh_range *ret)
{
	char first[TOKEN_MAX + 1], last[TOKEN_MAX + 1];
	const char *a = s, *b = dash + 1;
	size_t na = (size_t)(dash - s), nb = strlen(b);
	bh_reader_trim(&a, &na);
	bh_reader_trim(&b, &nb);
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
static const char *read_item(
	const struct bh_reader *r, const char *s, struct bh_range *ret, bool *ret_host_bits)
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
	return why ? why : check_width(r, ret);
}

/* By far the most lines are one IPv4 address and nothing else. */
static bool read_plain4(const char *s, size_t n, struct bh_range *ret)
{
	struct bh_addr a = {.family = BH_IPV4};
	size_t i = 0;
	for (int part = 0; part < 4; part++) {
		unsigned v = 0, digits = 0;
		for (; i < n && s[i] >= '0' && s[i] <= '9' && digits < 4; i++, digits++)
			v = v * 10 + (unsigned)(s[i] - '0');
		if (digits == 0 || digits > 3 || v > 255 || (digits > 1 && s[i - digits] == '0'))
			return false;
		a.b[part] = (uint8_t)v;
		if (part < 3 && (i == n || s[i++] != '.'))
			return false;
	}
	if (i != n)
		return false;
	ret->first = ret->last = a;
	return true;
}

static void report(
	struct bh_reader *r, const char *s, size_t n, const char *what, const char *remedy)
{
	if (!r->diags)
		return;
	char bh_autofree *quoted = bh_diag_quote(s, n);
	bh_diag_add(r->diags, BH_WARNING, r->opts->name, (int)r->line, 0, NULL, remedy, "%s %s",
		quoted, what);
}

void bh_reader_reject(struct bh_reader *r, const char *s, size_t n, const char *why)
{
	r->out->ind.lines++;
	if (r->out->ind.rejected++ < REPORTED_MAX)
		report(r, s, n, why, "left out");
}

void bh_reader_other(struct bh_reader *r, const char *what)
{
	if (!r->other++)
		r->other_example = what;
}

int bh_reader_refuse(struct bh_reader *r, const char *why)
{
	r->refusal = why;
	return -EINVAL;
}

static void add(struct bh_reader *r, struct bh_indicators *to, const struct bh_range *range,
	int64_t expires)
{
	if (bh_indicators_count(to) == BH_FEED_MAX_INDICATORS)
		r->refusal = "holds more indicators than a feed may";
	else
		bh_indicators_add(to, range, r->line, expires > UINT32_MAX ? 0 : (uint32_t)expires);
}

static void take(
	struct bh_reader *r, struct bh_indicators *to, const char *s, size_t n, int64_t expires)
{
	char token[TOKEN_MAX + 1];
	struct bh_range range;
	bool host_bits = false;
	const char *why = NULL;

	if (!read_plain4(s, n, &range)) {
		why = "is too long";
		if (n <= TOKEN_MAX) {
			memcpy(token, s, n);
			token[n] = '\0';
			why = memchr(s, '\0', n) ? "is not an address, a CIDR or a range"
						 : read_item(r, token, &range, &host_bits);
		}
	}
	if (why) {
		bh_reader_reject(r, s, n, why);
		return;
	}
	if (host_bits && r->corrected++ < REPORTED_MAX)
		report(r, s, n, "has host bits set", "its network is loaded");
	r->out->ind.lines += to == &r->out->ind;
	if (expires && expires <= r->opts->now)
		bh_reader_other(r, "expired");
	else
		add(r, to, &range, expires);
}

void bh_reader_item(struct bh_reader *r, const char *s, size_t n, int64_t expires)
{
	take(r, &r->out->ind, s, n, expires);
}

void bh_reader_remove(struct bh_reader *r, const char *s, size_t n)
{
	take(r, &r->out->removed, s, n, 0);
}

void bh_reader_range(
	struct bh_reader *r, const char *s, size_t n, const struct bh_range *range, int64_t expires)
{
	const char *why = check_width(r, range);
	if (why) {
		bh_reader_reject(r, s, n, why);
		return;
	}
	r->out->ind.lines++;
	add(r, &r->out->ind, range, expires);
}

static void say(struct bh_reader *r, size_t n, const char *what)
{
	if (n && r->diags)
		bh_diag_add(
			r->diags, BH_WARNING, r->opts->name, 0, 0, NULL, NULL, "%zu %s", n, what);
}

void bh_reader_report_rest(struct bh_reader *r)
{
	size_t rejected = r->out->ind.rejected;
	say(r, rejected > REPORTED_MAX ? rejected - REPORTED_MAX : 0, "more lines are left out");
	say(r, r->corrected > REPORTED_MAX ? r->corrected - REPORTED_MAX : 0,
		"more lines have host bits set");
	if (r->other && r->diags)
		bh_diag_add(r->diags, BH_WARNING, r->opts->name, 0, 0, NULL, NULL,
			"%zu entries are not for us (the first: %s)", r->other, r->other_example);
}
