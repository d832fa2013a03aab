/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sets that come from what the inventory has besides workloads. */
#include "internal.h"

static void emit_broadcast(const struct bh_emit *m)
{
	struct bh_set *s = bh_ruleset_add_set(
		m->rs, "broadcast4", BH_SET_ADDR, BH_IPV4, "broadcast addresses: never governed");
	struct bh_addr limited;
	bh_addr_parse("255.255.255.255", &limited);
	bh_set_add(s, &limited, NULL, NULL, NULL);
	for (size_t i = 0; i < m->e->inv->n_broadcast; i++)
		if (m->e->inv->broadcast[i].family == BH_IPV4)
			bh_set_add(s, &m->e->inv->broadcast[i], NULL, NULL, NULL);
}

static void emit_networks(const struct bh_emit *m, enum bh_family family)
{
	struct bh_ranges r = {0};
	struct bh_set *s = bh_ruleset_add_set(m->rs, family == BH_IPV4 ? "networks4" : "networks6",
		BH_SET_INTERVAL, family, "where workloads live");
	for (size_t i = 0; i < m->e->inv->n_networks; i++)
		if (m->e->inv->network[i].addr.family == family)
			bh_ranges_add(&r, bh_prefix_range(&m->e->inv->network[i]));
	bh_ranges_normalise(&r);
	for (size_t i = 0; i < r.n; i++)
		bh_set_add(s, &r.item[i].first, &r.item[i].last, NULL, NULL);
	bh_ranges_finish(&r);
}

void bh_emit_surroundings(const struct bh_emit *m)
{
	emit_broadcast(m);
	bh_emit_node_sets(m->rs, m->e);
	for (int family = BH_IPV4; family <= BH_IPV6; family += 2)
		emit_networks(m, (enum bh_family)family);
}
