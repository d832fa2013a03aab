/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Addresses, prefixes and sets of ranges. Every struct bh_addr made here keeps its unused bytes
 * zero, so that memcmp and hashing of whole structs are right. Arithmetic never wraps: the last
 * address has no successor, and the first none before it.
 */
#include <bulkhead/addr.h>

#include <arpa/inet.h>
#include <errno.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* inet_pton is as strict as we need: glibc and musl refuse leading zeros, zones and spaces. */
static int parse_raw(const char *s, struct bh_addr *ret)
{
	struct bh_addr a = {0};
	if (inet_pton(AF_INET, s, a.b) == 1)
		a.family = BH_IPV4;
	else if (inet_pton(AF_INET6, s, a.b) == 1)
		a.family = BH_IPV6;
	else
		return -EINVAL;
	*ret = a;
	return 0;
}

static bool is_mapped(const struct bh_addr *a)
{
	return a->family == BH_IPV6 && memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

int bh_addr_parse(const char *s, struct bh_addr *ret)
{
	struct bh_addr a;
	int r = parse_raw(s, &a);
	if (r < 0)
		return r;
	*ret = is_mapped(&a) ? bh_addr_from_bytes(BH_IPV4, a.b + 12) : a;
	return 0;
}

const char *bh_addr_format(const struct bh_addr *a, char buf[static BH_ADDR_STRLEN])
{
	if (!inet_ntop(a->family == BH_IPV4 ? AF_INET : AF_INET6, a->b, buf, BH_ADDR_STRLEN))
		buf[0] = '\0';
	return buf;
}

int bh_addr_cmp(const struct bh_addr *a, const struct bh_addr *b)
{
	return memcmp(a, b, sizeof(*a));
}

struct bh_addr bh_addr_from_bytes(enum bh_family family, const void *bytes)
{
	struct bh_addr a = {.family = (uint8_t)family};
	memcpy(a.b, bytes, bh_addr_size(&a));
	return a;
}

bool bh_addr_is_multicast(const struct bh_addr *a)
{
	static const uint8_t limited_broadcast[4] = {255, 255, 255, 255};
	if (a->family == BH_IPV6)
		return a->b[0] == 0xff;
	return (a->b[0] & 0xf0) == 0xe0 || memcmp(a->b, limited_broadcast, 4) == 0;
}

bool bh_addr_is_link_local(const struct bh_addr *a)
{
	if (a->family == BH_IPV6)
		return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
	return a->b[0] == 169 && a->b[1] == 254;
}

bool bh_addr_is_loopback(const struct bh_addr *a)
{
	static const uint8_t one[16] = {[15] = 1};
	if (a->family == BH_IPV6)
		return memcmp(a->b, one, 16) == 0;
	return a->b[0] == 127;
}

bool bh_addr_next(struct bh_addr *a)
{
	struct bh_addr t = *a;
	for (size_t i = bh_addr_size(a); i-- > 0;)
		if (++t.b[i] != 0) {
			*a = t;
			return true;
		}
	return false;
}

bool bh_addr_prev(struct bh_addr *a)
{
	struct bh_addr t = *a;
	for (size_t i = bh_addr_size(a); i-- > 0;)
		if (t.b[i]-- != 0) {
			*a = t;
			return true;
		}
	return false;
}

/* Sets (or clears) every bit behind the first `len` ones. */
static struct bh_addr fill_host_bits(struct bh_addr a, unsigned len, bool ones)
{
	size_t size = bh_addr_size(&a);
	for (size_t i = 0; i < size; i++) {
		unsigned before = (unsigned)i * 8;
		unsigned kept = len <= before ? 0 : len - before >= 8 ? 8 : len - before;
		uint8_t host = (uint8_t)(0xff >> kept);
		a.b[i] = ones ? a.b[i] | host : a.b[i] & (uint8_t)~host;
	}
	return a;
}

/* A mapped address with 96 or more bits of prefix is an IPv4 prefix in IPv6 spelling; a shorter
 * one reaches beyond the mapped range and stays IPv6. */
int bh_prefix_parse(const char *s, struct bh_prefix *ret)
{
	const char *slash = strchr(s, '/');
	char text[BH_ADDR_STRLEN];
	struct bh_addr a;
	uint64_t len;

	if (!slash || (size_t)(slash - s) >= sizeof(text))
		return -EINVAL;
	memcpy(text, s, (size_t)(slash - s));
	text[slash - s] = '\0';
	if (parse_raw(text, &a) < 0 || bh_parse_u64(slash + 1, bh_addr_bits(&a), &len) < 0)
		return -EINVAL;
	if (is_mapped(&a) && len >= 96) {
		a = bh_addr_from_bytes(BH_IPV4, a.b + 12);
		len -= 96;
	}
	ret->addr = fill_host_bits(a, (unsigned)len, false);
	ret->len = (uint8_t)len;
	return bh_addr_eq(&ret->addr, &a) ? 0 : 1;
}

const char *bh_prefix_format(const struct bh_prefix *p, char buf[static BH_PREFIX_STRLEN])
{
	char addr[BH_ADDR_STRLEN];
	snprintf(buf, BH_PREFIX_STRLEN, "%s/%u", bh_addr_format(&p->addr, addr), p->len);
	return buf;
}

bool bh_prefix_contains(const struct bh_prefix *p, const struct bh_addr *a)
{
	unsigned whole = p->len / 8, rest = p->len % 8;
	if (p->addr.family != a->family || memcmp(p->addr.b, a->b, whole) != 0)
		return false;
	return rest == 0 || ((p->addr.b[whole] ^ a->b[whole]) & (0xff << (8 - rest)) & 0xff) == 0;
}

bool bh_prefix_covers(const struct bh_prefix *outer, const struct bh_prefix *inner)
{
	return outer->len <= inner->len && bh_prefix_contains(outer, &inner->addr);
}

struct bh_range bh_prefix_range(const struct bh_prefix *p)
{
	return (struct bh_range){p->addr, fill_host_bits(p->addr, p->len, true)};
}

/* An inverted range, or one across families, is empty: it adds nothing. */
void bh_ranges_add(struct bh_ranges *r, struct bh_range x)
{
	if (x.first.family != x.last.family || bh_addr_cmp(&x.first, &x.last) > 0)
		return;
	BH_GROW(r->item, r->n, r->cap);
	r->item[r->n++] = x;
}

static int range_cmp(const void *pa, const void *pb)
{
	const struct bh_range *a = pa, *b = pb;
	int c = bh_addr_cmp(&a->first, &b->first);
	return c ? c : bh_addr_cmp(&a->last, &b->last);
}

/* Does b, which does not start before a, overlap a or follow it without a gap? */
static bool joins(const struct bh_range *a, const struct bh_range *b)
{
	struct bh_addr after = a->last;
	if (a->last.family != b->first.family)
		return false;
	if (!bh_addr_next(&after))
		return true;
	return bh_addr_cmp(&b->first, &after) <= 0;
}

void bh_ranges_normalise(struct bh_ranges *r)
{
	size_t out = 0;
	if (r->n == 0)
		return;
	qsort(r->item, r->n, sizeof(*r->item), range_cmp);
	for (size_t i = 1; i < r->n; i++) {
		struct bh_range *top = &r->item[out];
		if (!joins(top, &r->item[i]))
			r->item[++out] = r->item[i];
		else if (bh_addr_cmp(&r->item[i].last, &top->last) > 0)
			top->last = r->item[i].last;
	}
	r->n = out + 1;
}

/* Cuts out of `x` what `minus`, from index *at on, takes away; the pieces go to `out`. *at only
 * moves forward, past what lies wholly before x, so that the whole subtraction is linear. */
static void subtract_one(
	struct bh_ranges *out, struct bh_range x, const struct bh_ranges *minus, size_t *at)
{
	while (*at < minus->n && bh_addr_cmp(&minus->item[*at].last, &x.first) < 0)
		(*at)++;
	for (size_t i = *at; i < minus->n; i++) {
		const struct bh_range *m = &minus->item[i];
		struct bh_addr before = m->first;
		if (bh_addr_cmp(&m->first, &x.last) > 0)
			break;
		if (bh_addr_cmp(&m->first, &x.first) > 0 && bh_addr_prev(&before))
			bh_ranges_add(out, (struct bh_range){x.first, before});
		if (bh_addr_cmp(&m->last, &x.last) >= 0)
			return;
		x.first = m->last;
		bh_addr_next(&x.first); /* cannot wrap: x.last lies behind */
	}
	bh_ranges_add(out, x);
}

void bh_ranges_subtract(struct bh_ranges *r, const struct bh_ranges *minus)
{
	struct bh_ranges out = {0};
	size_t at = 0;
	for (size_t i = 0; i < r->n; i++)
		subtract_one(&out, r->item[i], minus, &at);
	bh_ranges_finish(r);
	*r = out;
}

bool bh_ranges_contain(const struct bh_ranges *r, const struct bh_addr *a)
{
	size_t lo = 0, hi = r->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (bh_addr_cmp(&r->item[mid].last, a) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < r->n && bh_addr_cmp(&r->item[lo].first, a) <= 0;
}

void bh_ranges_finish(struct bh_ranges *r)
{
	free(r->item);
	*r = (struct bh_ranges){0};
}

/* Greedy from the left: the widest aligned block that starts at `first` and ends in the range. */
void bh_range_prefixes(struct bh_range x, void (*fn)(const struct bh_prefix *, void *), void *arg)
{
	if (x.first.family != x.last.family || bh_addr_cmp(&x.first, &x.last) > 0)
		return;
	for (;;) {
		struct bh_prefix p = {x.first, (uint8_t)bh_addr_bits(&x.first)};
		struct bh_addr end = x.first;
		while (p.len > 0) {
			unsigned len = p.len - 1u;
			struct bh_addr base = fill_host_bits(x.first, len, false);
			struct bh_addr last = fill_host_bits(x.first, len, true);
			if (!bh_addr_eq(&base, &x.first) || bh_addr_cmp(&last, &x.last) > 0)
				break;
			p.len = (uint8_t)len;
			end = last;
		}
		fn(&p, arg);
		if (bh_addr_cmp(&end, &x.last) >= 0)
			return;
		x.first = end;
		bh_addr_next(&x.first);
	}
}
