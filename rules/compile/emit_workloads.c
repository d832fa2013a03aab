/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The sets and maps that workloads fill: of all of them, or of those alone that changed.
 */
#include "internal.h"

const char *bh_emit_map_name(
	enum bh_map map, enum bh_direction d, enum bh_family family, char buf[static 24])
{
	static const char *const name[] = {[BH_MAP_OBSERVE] = "observe",
		[BH_MAP_ENFORCE] = "enforce",
		[BH_MAP_QUARANTINE] = "quarantine"};
	snprintf(buf, 24, "%s-%s%d", name[map], d == BH_EGRESS ? "out" : "in", (int)family);
	return buf;
}

/* Calls add for every address of `family` that belongs to the workload and to nobody before it. */
static void each_address(const struct bh_engine *e, size_t workload, uint8_t family,
	void (*add)(const struct bh_addr *a, const struct bh_workload *w, void *arg), void *arg)
{
	const struct bh_workload *w = e->inv->workload[workload];
	for (size_t i = 0; i < w->n_ifaces; i++)
		for (size_t k = 0; k < w->iface[i].n_addrs; k++) {
			const struct bh_addr *a = &w->iface[i].addr[k];
			if (a->family == family && bh_inventory_owner(e->inv, a) == (int)workload)
				add(a, w, arg);
		}
}

struct target {
	struct bh_set *set;
	const char *chain;
	struct bh_buf comment;
	const struct bh_addr *src; /* pairs */
};

static void add_address(const struct bh_addr *a, const struct bh_workload *w, void *arg)
{
	struct target *t = arg;
	t->comment.len = 0;
	bh_buf_printf(&t->comment, "%s/%s", w->namespace, w->name);
	bh_set_add(t->set, t->src ? t->src : a, t->src ? a : NULL, t->chain, t->comment.s);
}

void bh_emit_addresses(
	const struct bh_engine *e, size_t workload, struct bh_set *set, const char *chain)
{
	struct target t = {.set = set, .chain = chain};
	each_address(e, workload, set->family, add_address, &t);
	bh_buf_finish(&t.comment);
}

struct pairs {
	const struct bh_engine *e;
	struct bh_set *set;
	size_t workload;
};

static void add_pairs(const struct bh_addr *a, const struct bh_workload *w, void *arg)
{
	const struct pairs *p = arg;
	struct target t = {.set = p->set, .src = a};
	if (bh_self_by_pair(w, a->family))
		each_address(p->e, p->workload, a->family, add_address, &t);
	else
		add_address(a, w, &t);
	bh_buf_finish(&t.comment);
}

/* --- which workload belongs into which set --- */

struct fill {
	const struct bh_engine *e;
	struct bh_ruleset *rs;
	const uint32_t *which; /* NULL: all */
	size_t n;
};
typedef void put_fn(const struct bh_engine *e, size_t workload, struct bh_set *s);

static void fill(const struct fill *f, struct bh_set *s, put_fn *put)
{
	for (size_t i = 0; i < f->n; i++)
		put(f->e, f->which ? f->which[i] : i, s);
}

static bool governed(const struct bh_engine *e, size_t workload)
{
	return e->place[workload].group[0] != BH_GROUP_UNGOVERNED;
}

static void put_known(const struct bh_engine *e, size_t workload, struct bh_set *s)
{
	if (governed(e, workload))
		bh_emit_addresses(e, workload, s, NULL);
}

static void put_inhabited(const struct bh_engine *e, size_t workload, struct bh_set *s)
{
	bh_emit_addresses(e, workload, s, NULL);
}

static void put_enforcing(const struct bh_engine *e, size_t workload, struct bh_set *s)
{
	bool enforces = false;
	for (int d = 0; d < 2; d++) {
		int32_t at = e->place[workload].group[d];
		enforces |= at >= 0 && e->group[at]->mode == BH_MODE_ENFORCE;
	}
	if (enforces)
		bh_emit_addresses(e, workload, s, NULL);
}

/* Those of which it is known by which interface they come. */
bool bh_emit_is_homed(const struct bh_workload *w)
{
	bool homed = false;
	for (size_t i = 0; i < w->n_ifaces; i++)
		homed |= w->iface[i].host_name != NULL;
	return homed;
}

static void put_homed(const struct bh_engine *e, size_t workload, struct bh_set *s)
{
	if (bh_emit_is_homed(e->inv->workload[workload]) && governed(e, workload))
		bh_emit_addresses(e, workload, s, NULL);
}

static void put_self(const struct bh_engine *e, size_t workload, struct bh_set *s)
{
	struct pairs p = {e, s, workload};
	if (governed(e, workload))
		each_address(e, workload, s->family, add_pairs, &p);
}

static const struct address_set {
	const char *name[2]; /* IPv4, IPv6 */
	enum bh_set_kind kind;
	enum bh_table table;
	const char *comment;
	put_fn *put;
} address_set[] = {
	{{"known4", "known6"}, BH_SET_ADDR, BH_TABLE_INET, "governed workloads", put_known},
	{{"inhabited4", "inhabited6"}, BH_SET_ADDR, BH_TABLE_INET, "all workloads", put_inhabited},
	{{"identity4", "identity6"}, BH_SET_ADDR, BH_TABLE_BRIDGE, "all workloads", put_inhabited},
	{{"enforcing4", "enforcing6"}, BH_SET_ADDR, BH_TABLE_INET,
		"workloads with an enforcing group", put_enforcing},
	{{"homed4", "homed6"}, BH_SET_ADDR, BH_TABLE_INET, "workloads whose veths are known",
		put_homed},
	{{"bound4", "bound6"}, BH_SET_ADDR, BH_TABLE_BRIDGE, "workloads whose veths are known",
		put_homed},
	{{"self4", "self6"}, BH_SET_PAIR, BH_TABLE_INET, "a workload and itself", put_self},
};

static void emit_address_sets(const struct fill *f, int v6)
{
	for (size_t i = 0; i < BH_ARRAY_SIZE(address_set); i++) {
		const struct address_set *a = &address_set[i];
		struct bh_set *s = bh_ruleset_add_set(
			f->rs, a->name[v6], a->kind, v6 ? BH_IPV6 : BH_IPV4, a->comment);
		s->table = (uint8_t)a->table;
		fill(f, s, a->put);
	}
}

static enum bh_map map_of(const struct bh_group *g)
{
	if (g->quarantine)
		return BH_MAP_QUARANTINE;
	return g->mode == BH_MODE_ENFORCE ? BH_MAP_ENFORCE : BH_MAP_OBSERVE;
}

static void emit_map(
	const struct fill *f, enum bh_map map, enum bh_direction d, enum bh_family family)
{
	static const char *const what[] = {[BH_MAP_OBSERVE] = "observing groups",
		[BH_MAP_ENFORCE] = "enforcing groups",
		[BH_MAP_QUARANTINE] = "quarantined workloads"};
	bh_autobuf struct bh_buf comment = {0};
	char name[24];
	bh_buf_printf(&comment, "%s by %s", what[map], d == BH_EGRESS ? "source" : "destination");
	struct bh_set *s = bh_ruleset_add_set(f->rs, bh_emit_map_name(map, d, family, name),
		BH_MAP_VERDICT, (uint8_t)family, comment.s);
	for (size_t i = 0; i < f->n; i++) {
		size_t w = f->which ? f->which[i] : i;
		int32_t at = f->e->place[w].group[d];
		if (at >= 0 && map_of(f->e->group[at]) == map)
			bh_emit_addresses(f->e, w, s, f->e->group[at]->chain);
	}
}

void bh_emit_workloads(
	struct bh_ruleset *rs, const struct bh_engine *e, const uint32_t *which, size_t n)
{
	const struct fill f = {e, rs, which, n};
	for (int v6 = 0; v6 < 2; v6++) {
		emit_address_sets(&f, v6);
		for (int map = 0; map < BH_MAPS; map++)
			for (int d = 0; d < 2; d++)
				emit_map(&f, (enum bh_map)map, (enum bh_direction)d,
					v6 ? BH_IPV6 : BH_IPV4);
	}
	bh_emit_ports(rs, e, which, n);
}
