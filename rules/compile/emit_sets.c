/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The sets that groups' rules look things up in: who is meant, which addresses, who serves a named
 * port. Sets of workloads exist in both families even where one is empty: the first address of a
 * container then is an element, not a new rule.
 */
#include "internal.h"

void bh_kset_name(const struct bh_kset *s, uint8_t family, struct bh_buf *ret)
{
	ret->len = 0;
	if (s->kind == BH_KSET_PORTS)
		bh_buf_str(ret, s->slug);
	else
		bh_buf_printf(ret, "%s%u-%s", s->kind == BH_KSET_WORKLOADS ? "pods" : "block",
			family, s->slug);
}

void bh_named_name(const struct bh_port_name *s, uint16_t port, uint8_t family, struct bh_buf *ret)
{
	char number[4];
	ret->len = 0;
	bh_buf_printf(
		ret, "port%u-%s-%s-%u", family, s->name, bh_proto_name(s->proto, number), port);
}

/* Counting sort, so that a set costs its members and not all workloads. */
static void sort_by_class(struct bh_emit_use *u)
{
	const struct bh_engine *e = u->e;
	if (u->from)
		return;
	u->from = bh_xcalloc(e->n_classes + 2, sizeof(*u->from));
	u->of_class = bh_xcalloc(e->inv->n, sizeof(*u->of_class));
	for (size_t i = 0; i < e->inv->n; i++)
		u->from[e->place[i].class + 2]++;
	for (size_t c = 2; c < e->n_classes + 2; c++)
		u->from[c] += u->from[c - 1];
	for (size_t i = 0; i < e->inv->n; i++)
		u->of_class[u->from[e->place[i].class + 1]++] = (uint32_t)i;
}

void bh_emit_use_finish(struct bh_emit_use *u)
{
	bh_intern_finish(&u->seen);
	free(u->of_class);
	free(u->from);
}

static bool is_new(struct bh_emit_use *u, const struct bh_buf *name)
{
	bool ret;
	bh_intern(&u->seen, name->s, name->len, &ret);
	return ret;
}

static void emit_workloads(
	struct bh_emit_use *u, const struct bh_kset *s, uint8_t family, const char *name)
{
	struct bh_set *set = bh_ruleset_add_set(u->rs, name, BH_SET_ADDR, family, s->text);
	sort_by_class(u);
	for (size_t c = 0; c < u->e->n_classes; c++) {
		if (!bh_kset_has(s, u->e->class[c]))
			continue;
		for (uint32_t i = u->from[c]; i < u->from[c + 1]; i++)
			bh_emit_addresses(u->e, u->of_class[i], set, NULL);
	}
}

static void emit_ports(struct bh_emit_use *u, const struct bh_kset *s, const char *name)
{
	static const uint8_t part[] = {BH_PART_SERVICE};
	struct bh_set *set =
		bh_ruleset_add_concat_set(u->rs, name, BH_TABLE_INET, 0, part, 1, NULL);
	for (size_t i = 0; i < s->n_ports; i++) {
		struct bh_value v = bh_value_u16(s->port[i]);
		bh_set_add_parts(set, &v, NULL);
	}
}

void bh_emit_kset(struct bh_emit_use *u, const struct bh_kset *s, uint8_t family)
{
	bh_autobuf struct bh_buf name = {0};
	bh_kset_name(s, family, &name);
	if (s->plain || (u->known && s->index < u->known->n_ksets && u->known->kset_uses[s->index]))
		return;
	if (!is_new(u, &name))
		return;
	if (s->kind == BH_KSET_WORKLOADS) {
		emit_workloads(u, s, family, name.s);
		return;
	}
	if (s->kind == BH_KSET_PORTS) {
		emit_ports(u, s, name.s);
		return;
	}
	struct bh_set *set = bh_ruleset_add_set(u->rs, name.s, BH_SET_INTERVAL, family, s->text);
	for (size_t i = 0; i < s->ranges.n; i++)
		bh_set_add(set, &s->ranges.item[i].first, &s->ranges.item[i].last, NULL, NULL);
}

struct bh_set *bh_emit_named_set(
	struct bh_ruleset *rs, const struct bh_port_name *n, uint16_t port, uint8_t family)
{
	bh_autobuf struct bh_buf name = {0}, comment = {0};
	bh_named_name(n, port, family, &name);
	bh_buf_printf(&comment, "who serves port %s as %u", n->name, port);
	return bh_ruleset_add_set(rs, name.s, BH_SET_ADDR, family, comment.s);
}

static void emit_named(struct bh_emit_use *u, size_t name, uint16_t port, uint8_t family)
{
	const struct bh_port_name *n = &u->e->plan->port_name[name];
	bh_autobuf struct bh_buf id = {0};
	bh_named_name(n, port, family, &id);
	if ((u->known && u->known->name_uses[name]) || !is_new(u, &id))
		return;
	struct bh_set *s = bh_emit_named_set(u->rs, n, port, family);
	for (size_t i = 0; i < u->e->inv->n; i++)
		if (bh_serves(u->e->inv->workload[i], n, port))
			bh_emit_addresses(u->e, i, s, NULL);
}

/* In both families, although a rule may ask one only: uses are counted by name, and a change must
 * find the sets there or not by that count. */
void bh_emit_named(struct bh_emit_use *u, size_t name, uint16_t port)
{
	emit_named(u, name, port, BH_IPV4);
	emit_named(u, name, port, BH_IPV6);
}
