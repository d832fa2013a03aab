/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An item of `protocols`: one of tcp, udp, sctp with a destination port, or a port's name. The CRD
 * wants at least one field in each, so `tcp: {}` for "all of TCP" is invalid.
 */
#include "private.h"

static const char *const members[] = {"tcp", "udp", "sctp", "destinationNamedPort", NULL};
static const uint8_t proto_of[] = {BH_TCP, BH_UDP, BH_SCTP};

static bool read_end(
	struct bh_policy_ctx *c, const struct bh_node *range, const char *key, uint16_t *ret)
{
	const struct bh_node *n = bh_policy_required(c, range, key, "{start: FIRST, end: LAST}");
	if (!n)
		return false;
	size_t at = bh_policy_push(c, key);
	bool good = bh_policy_read_port_number(c, n, ret);
	bh_policy_pop(c, at);
	return good;
}

static void read_range(struct bh_policy_ctx *c, const struct bh_node *n, struct bh_policy_port *ret)
{
	static const char *const keys[] = {"start", "end", NULL};
	if (!bh_policy_is_map(c, n, keys))
		return;
	bool first = read_end(c, n, "start", &ret->first);
	bool last = read_end(c, n, "end", &ret->last);
	if (first && last && ret->first >= ret->last)
		bh_policy_error(c, bh_policy_field(n, "end"),
			ret->first == ret->last ? "number: PORT means a single port" : NULL,
			"end %u must be above start %u", ret->last, ret->first);
}

static void read_destination(
	struct bh_policy_ctx *c, const struct bh_node *n, struct bh_policy_port *ret)
{
	static const char *const keys[] = {"number", "range", NULL};
	const char *key = bh_policy_one_of(c, n, keys, "make it two items of protocols");
	if (!key)
		return;
	size_t at = bh_policy_push(c, key);
	if (bh_streq(key, "range"))
		read_range(c, bh_policy_field(n, key), ret);
	else if (bh_policy_read_port_number(c, bh_policy_field(n, key), &ret->first))
		ret->last = ret->first;
	bh_policy_pop(c, at);
}

void bh_policy_read_cluster_port(
	struct bh_policy_ctx *c, const struct bh_node *n, struct bh_policy_port *ret)
{
	static const char *const keys[] = {"destinationPort", NULL};
	const char *key = bh_policy_one_of(c, n, members, "make it two items");
	if (!key)
		return;
	const struct bh_node *member = bh_policy_field(n, key);
	size_t at = bh_policy_push(c, key);
	for (size_t i = 0; i < BH_ARRAY_SIZE(proto_of); i++)
		if (bh_streq(key, members[i]))
			ret->proto = proto_of[i];
	if (ret->proto == 0) {
		bh_policy_read_port_name(c, member, &ret->name);
	} else if (bh_policy_one_of(c, member, keys, NULL)) {
		size_t inner = bh_policy_push(c, keys[0]);
		read_destination(c, bh_policy_field(member, keys[0]), ret);
		bh_policy_pop(c, inner);
	}
	bh_policy_pop(c, at);
}
