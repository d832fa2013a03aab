/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was tried: agreement on nothing but open ways would say nothing. */
#include "agree.h"

enum { OFTEN_ENOUGH = 10 };

static int proto_column(uint8_t proto)
{
	switch (proto) {
	case BH_TCP:
		return 0;
	case BH_UDP:
		return 1;
	case BH_SCTP:
		return 2;
	case PROTO_OTHER:
		return 4;
	default:
		return 3;
	}
}

void account_count(struct account *a, const struct probe *p, const struct bh_decision *d)
{
	int path = p->to == SLOT_NODE ? 2 : p->from == SLOT_NODE ? 3 : p->direct ? 0 : 1;
	a->verdict[proto_column(p->flow.proto)][p->flow.src.family == BH_IPV6][p->arrived]++;
	a->path[path][p->arrived]++;
	for (int i = 0; i < 2; i++)
		if (d->side[i].rule.policy)
			a->rule[d->side[i].rule.policy->tier]
			       [d->side[i].verdict == BH_SIDE_ALLOWED]++;
	a->unmatched += d->verdict != BH_ALLOW && d->reason == BH_REASON_UNMATCHED;
	a->would_deny += d->would_deny;
	a->probes++;
}

static bool often(const size_t *n, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (n[i] < OFTEN_ENOUGH)
			return false;
	return true;
}

bool account_balanced(const struct account *a)
{
	/* A NetworkPolicy has no rules that deny. */
	return often(&a->verdict[0][0][0], sizeof(a->verdict) / sizeof(size_t)) &&
	       often(&a->path[0][0], sizeof(a->path) / sizeof(size_t)) &&
	       often(a->rule[BH_TIER_ADMIN], 2) && often(a->rule[BH_TIER_BASELINE], 2) &&
	       often(&a->rule[BH_TIER_NETWORK_POLICY][1], 1) && often(&a->unmatched, 1);
}

void account_print(const struct account *a)
{
	static const char *const proto[] = {"tcp", "udp", "sctp", "icmp", "other"};
	static const char *const path[] = {"bridged", "routed", "to node", "from node"};
	for (int i = 0; i < 5; i++)
		printf("# %-13s ipv4 %zu allowed %zu denied, ipv6 %zu allowed %zu denied\n",
			proto[i], a->verdict[i][0][1], a->verdict[i][0][0], a->verdict[i][1][1],
			a->verdict[i][1][0]);
	for (int i = 0; i < 4; i++)
		printf("# %-13s %zu allowed %zu denied\n", path[i], a->path[i][1], a->path[i][0]);
	for (int i = 0; i < 3; i++)
		printf("# %-13s rules allowed %zu, denied %zu\n", bh_tier_name((enum bh_tier)i),
			a->rule[i][1], a->rule[i][0]);
	printf("# isolated      %zu denied\n# would deny   %zu allowed\n", a->unmatched,
		a->would_deny);
}
