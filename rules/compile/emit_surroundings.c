/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sets that come from feeds and from what the inventory has besides workloads.
 */
#include "internal.h"

void bh_feed_set_name(enum bh_feed_direction d, enum bh_family family, uint32_t size,
	char ret[static BH_FEED_SET_NAME_MAX])
{
	static const char *const of[] = {"", "-in", "-out"};
	const char *v = family == BH_IPV4 ? "4" : "6";
	if (size == 0)
		snprintf(ret, BH_FEED_SET_NAME_MAX, "feeds%s%s-net", v, of[d]);
	else if (size == BH_FEED_SET_MIN)
		snprintf(ret, BH_FEED_SET_NAME_MAX, "feeds%s%s", v, of[d]);
	else
		snprintf(ret, BH_FEED_SET_NAME_MAX, "feeds%s%s.%uk", v, of[d], size / 1024);
}

static struct bh_set *add_feed_set(
	const struct bh_emit *m, enum bh_feed_direction d, enum bh_family family, uint32_t size)
{
	char name[BH_FEED_SET_NAME_MAX];
	bh_feed_set_name(d, family, size, name);
	return bh_ruleset_add_set(m->rs, name, size ? BH_SET_ADDR : BH_SET_INTERVAL, family,
		size ? "threat feeds: addresses" : "threat feeds: networks");
}

static void add_bulk_set(
	const struct bh_emit *m, enum bh_feed_direction d, enum bh_family family, uint32_t size)
{
	struct bh_set *s = add_feed_set(m, d, family, size);
	s->volatile_ = BH_VOLATILE_BULK;
	s->size = size;
}

static void emit_feed_sets(
	const struct bh_emit *m, const struct bh_emit_feeds *f, enum bh_family family)
{
	int v6 = family == BH_IPV6;
	for (int d = 0; d < (f->directed ? BH_FEED_SETS : 1); d++) {
		add_bulk_set(m, (enum bh_feed_direction)d, family, f->size[d][v6]);
		if (f->filling[d][v6])
			add_bulk_set(m, (enum bh_feed_direction)d, family, f->filling[d][v6]);
		add_bulk_set(m, (enum bh_feed_direction)d, family, 0);
	}
}

static void emit_feeds(const struct bh_emit *m, enum bh_family family)
{
	const struct bh_ranges *feeds = m->opts->feeds;
	if (m->opts->feed_sets) {
		emit_feed_sets(m, m->opts->feed_sets, family);
		return;
	}
	for (int net = 0; net < 2; net++) {
		struct bh_set *s =
			add_feed_set(m, BH_FEED_SET_BOTH, family, net ? 0 : BH_FEED_SET_MIN);
		for (size_t i = 0; feeds && i < feeds->n; i++) {
			const struct bh_range *x = &feeds->item[i];
			if (x->first.family == family && bh_addr_eq(&x->first, &x->last) == !net)
				bh_set_add(s, &x->first, net ? &x->last : NULL, NULL, NULL);
		}
	}
}

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
	for (int family = BH_IPV4; family <= BH_IPV6; family += 2) {
		emit_feeds(m, (enum bh_family)family);
		emit_networks(m, (enum bh_family)family);
	}
}
