/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What no feed may block. The special-purpose ranges of RFC 6890 and its registry (IANA, "IPv4" and
 * "IPv6 Special-Purpose Address Registry") and multicast: a list that names them is a list of
 * bogons, right at a border router and fatal on a container host. The documentation ranges are
 * special too, but nothing real lives there, so that they serve to try a feed out.
 */
#include "feeds/internal.h"

static const char *const special[] = {
	"0.0.0.0/8", /* this network */
	"10.0.0.0/8", /* private use */
	"100.64.0.0/10", /* shared address space, RFC 6598 */
	"127.0.0.0/8", /* loopback */
	"169.254.0.0/16", /* link local */
	"172.16.0.0/12", /* private use */
	"192.0.0.0/24", /* IETF protocol assignments */
	"192.88.99.0/24", /* 6to4 relay anycast */
	"192.168.0.0/16", /* private use */
	"198.18.0.0/15", /* benchmarking */
	"224.0.0.0/4", /* multicast */
	"240.0.0.0/4", /* reserved, limited broadcast */
	"::/128", /* unspecified */
	"::1/128", /* loopback */
	"::ffff:0:0/96", /* IPv4-mapped; see below */
	"64:ff9b::/96", /* IPv4-IPv6 translation */
	"64:ff9b:1::/48", /* the same, local use, RFC 8215 */
	"100::/64", /* discard only */
	"2001::/23", /* IETF protocol assignments: Teredo, ORCHID, benchmarking */
	"2002::/16", /* 6to4 */
	"fc00::/7", /* unique local */
	"fe80::/10", /* link local */
	"ff00::/8", /* multicast */
};

void bh_feeds_add_ranges(struct bh_ranges *to, const struct bh_ranges *from)
{
	for (size_t i = 0; i < from->n; i++)
		bh_ranges_add(to, from->item[i]);
}

bool bh_feeds_same_ranges(const struct bh_ranges *a, const struct bh_ranges *b)
{
	return a->n == b->n &&
	       (a->n == 0 || memcmp(a->item, b->item, a->n * sizeof(*a->item)) == 0);
}

void bh_feeds_protected_ranges(const struct bh_ranges *extra, struct bh_ranges *ret)
{
	struct bh_ranges out = {0};
	for (size_t i = 0; i < BH_ARRAY_SIZE(special); i++) {
		struct bh_prefix p;
		/* bh_prefix_parse() gives ::ffff:0:0/96 back as 0.0.0.0/0, which would protect all
		 * of IPv4. Mapped addresses never reach the index as IPv6, but a range may cover
		 * them. */
		if (bh_streq(special[i], "::ffff:0:0/96")) {
			struct bh_addr a = {.family = BH_IPV6};
			a.b[10] = a.b[11] = 0xff;
			p = (struct bh_prefix){a, 96};
		} else if (bh_prefix_parse(special[i], &p) != 0) {
			continue; /* cannot happen: the table is tested */
		}
		bh_ranges_add(&out, bh_prefix_range(&p));
	}
	if (extra)
		bh_feeds_add_ranges(&out, extra);
	bh_ranges_normalise(&out);
	*ret = out;
}
