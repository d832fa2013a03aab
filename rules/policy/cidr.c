/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Address ranges, of an ipBlock or of networks. */
#include "private.h"

/*
 * As API servers with strict validation have it (IsValidCIDR). Bits beyond the prefix length leave
 * open whether the address or the range is meant, and a policy that may be wider than its author
 * thinks is not put in force. An IPv4 range in IPv6 dress is refused as well: implementations
 * disagree on which packets it is about.
 */
bool bh_policy_read_cidr(struct bh_policy_ctx *c, const struct bh_node *n, struct bh_prefix *ret)
{
	static const char remedy[] = "ADDRESS/LENGTH, like 10.0.0.0/8 or 2001:db8::/32";
	char text[BH_PREFIX_STRLEN], fix[BH_PREFIX_STRLEN + 16];
	const char *cidr;
	if (bh_read_string(&c->r, n, c->path.s, &cidr) < 0)
		return false;
	int r = bh_prefix_parse(cidr, ret);
	if (r < 0) {
		bh_autofree char *quoted = bh_diag_quote(n->str, n->len);
		bh_policy_error(c, n, remedy, "\"%s\" is not a CIDR", quoted);
		return false;
	}
	snprintf(fix, sizeof(fix), "write %s", bh_prefix_format(ret, text));
	if (ret->addr.family == BH_IPV4 && strchr(cidr, ':')) {
		bh_policy_error(c, n, fix, "IPv4 range written as IPv6");
		return false;
	}
	if (r > 0)
		bh_policy_error(c, n, fix, "bits are set beyond the prefix length");
	return r == 0;
}
