/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Groups: workloads to which the same policies apply in one direction, in the same mode, with the
 * same meaning of the ports those policies name. A group is one list of rows for the evaluator and
 * one or two chains in the kernel.
 *
 * A group's identity (and so the name of its chain) is made of names, never of indexes: editing a
 * policy refills a chain, a new container joins one.
 */
#include "internal.h"

static void named_port_key(
	const struct bh_workload *w, const struct bh_policy_port *p, struct bh_buf *key)
{
	static const uint8_t protos[] = {BH_TCP, BH_UDP, BH_SCTP};
	for (size_t i = 0; i < BH_ARRAY_SIZE(protos); i++) {
		size_t n = 0;
		if (p->proto && p->proto != protos[i])
			continue;
		bh_autofree struct bh_port_range *port = bh_own_ports(w, p->name, protos[i], &n);
		bh_buf_printf(key, "%s/%u=", p->name, protos[i]);
		for (size_t k = 0; k < n; k++)
			bh_buf_printf(key, "%u-%u,", port[k].first, port[k].last);
		bh_buf_add(key, "", 1);
	}
}

static void named_ports_key(
	const struct bh_workload *w, const struct bh_policy *p, struct bh_buf *key)
{
	for (size_t r = 0; r < p->n_rules[BH_INGRESS]; r++) {
		const struct bh_policy_rule *rule = &p->rule[BH_INGRESS][r];
		for (size_t i = 0; i < rule->n_ports; i++)
			if (rule->port[i].name)
				named_port_key(w, &rule->port[i], key);
	}
}

static void group_key(const struct bh_workload *w, enum bh_direction d,
	const struct bh_selection *s, struct bh_buf *key)
{
	bh_buf_printf(key, "%s %s:", bh_direction_name(d), bh_mode_name(w->mode));
	for (size_t i = 0; i < s->n; i++) {
		const struct bh_policy *p = s->policy[i];
		bh_buf_add(key, p->namespace, strlen(p->namespace) + 1);
		bh_buf_add(key, p->name, strlen(p->name) + 1);
		if (d == BH_INGRESS)
			named_ports_key(w, p, key);
	}
}

static int32_t quarantine_group(
	struct bh_plan *p, const struct bh_quarantine *q, enum bh_direction d)
{
	static const struct bh_selection nobody = {0};
	bh_autobuf struct bh_buf key = {0}, prefix = {0};
	bool is_new;
	bh_buf_printf(&key, "quarantine %s:", bh_direction_name(d));
	for (size_t i = 0; i < q->n; i++) {
		bh_quarantine_format(&q->allow[i], &key);
		bh_buf_str(&key, " ");
	}
	uint32_t at = bh_intern(&p->group.key, key.s, key.len, &is_new);
	if (!is_new)
		return (int32_t)at;
	struct bh_group *g = bh_xcalloc(1, sizeof(*g));
	*g = (struct bh_group){
		.direction = d, .mode = BH_MODE_ENFORCE, .selection = &nobody, .quarantine = true};
	BH_GROW(p->group.item, p->group.n, p->group.cap);
	p->group.item[p->group.n++] = g;
	bh_compile_quarantine(p, q, g);
	bh_buf_printf(&prefix, "%s-", d == BH_EGRESS ? "out" : "in");
	g->chain = bh_compile_name(p, prefix.s, "quarantine", key.s, key.len);
	g->comment = bh_xasprintf("quarantine %s", bh_direction_name(d));
	return (int32_t)at;
}

static void name_group(struct bh_plan *plan, struct bh_group *g, const struct bh_buf *identity)
{
	bh_autobuf struct bh_buf slug = {0}, comment = {0}, prefix = {0};
	const struct bh_selection *s = g->selection;
	bh_buf_printf(
		&prefix, "%s-%s-", g->direction == BH_EGRESS ? "out" : "in", bh_mode_name(g->mode));
	bh_buf_printf(&comment, "%s %s: ", bh_mode_name(g->mode), bh_direction_name(g->direction));
	if (!s->n) {
		bh_buf_str(&slug, "unselected");
		bh_buf_str(&comment, "no policy selects");
	}
	for (size_t i = 0; i < s->n && comment.len <= BH_COMMENT_MAX; i++) {
		const struct bh_policy *p = s->policy[i];
		if (p->tier != BH_TIER_NETWORK_POLICY)
			bh_buf_printf(&slug, "%scnp-%s", i ? "-" : "", p->name);
		else if (!i || !bh_streq(s->policy[i - 1]->namespace, p->namespace))
			bh_buf_printf(&slug, "%s%s-%s", i ? "-" : "", p->namespace, p->name);
		else
			bh_buf_printf(&slug, "-%s", p->name);
		bh_buf_printf(&comment, "%s%s", i ? ", " : "", p->ref);
	}
	g->chain = bh_compile_name(plan, prefix.s, slug.s, identity->s, identity->len);
	g->comment = bh_buf_take(&comment);
}

static int32_t find_group(
	struct bh_plan *p, const struct bh_workload *w, uint32_t class, enum bh_direction d)
{
	const struct bh_class *c = p->class.item[class];
	const struct bh_selection *s = p->selection.item[c->selection[d]];
	bh_autobuf struct bh_buf key = {0};
	bool is_new;
	if (!bh_workload_governable(w))
		return BH_GROUP_UNGOVERNED;
	if (w->quarantine)
		return quarantine_group(p, w->quarantine, d);
	if (w->mode != BH_MODE_LEARN && !s->n && !p->opts.unselected_deny)
		return BH_GROUP_NONE;
	group_key(w, d, s, &key);
	uint32_t at = bh_intern(&p->group.key, key.s, key.len, &is_new);
	if (is_new) {
		struct bh_group *g = bh_xcalloc(1, sizeof(*g));
		*g = (struct bh_group){.direction = d, .mode = w->mode, .selection = s};
		BH_GROW(p->group.item, p->group.n, p->group.cap);
		p->group.item[p->group.n++] = g;
		bh_compile_rows(p, w, g);
		name_group(p, g, &key);
	}
	return (int32_t)at;
}

/* What decides the groups, at less cost than the groups' own keys: replicas are many. */
static void seat_key(const struct bh_workload *w, uint32_t class, struct bh_buf *key)
{
	bool governable = bh_workload_governable(w);
	bh_buf_add(key, &class, sizeof(class));
	bh_buf_add(key, &w->mode, sizeof(w->mode));
	bh_buf_add(key, &governable, sizeof(governable));
	for (size_t i = 0; i < w->n_ports; i++) {
		const struct bh_named_port *p = &w->port[i];
		if (!p->name)
			continue;
		bh_buf_add(key, p->name, strlen(p->name) + 1);
		bh_buf_add(key, &p->proto, sizeof(p->proto));
		bh_buf_add(key, &p->port, sizeof(p->port));
	}
}

void bh_groups_of(
	struct bh_plan *p, const struct bh_workload *w, uint32_t class, int32_t ret[static 2])
{
	bh_autobuf struct bh_buf key = {0};
	bool is_new = true;
	uint32_t at = 0;
	if (!w->quarantine) {
		seat_key(w, class, &key);
		at = bh_intern(&p->seat_key, key.s, key.len, &is_new);
	}
	for (int d = 0; d < 2 && is_new; d++)
		ret[d] = find_group(p, w, class, (enum bh_direction)d);
	if (w->quarantine)
		return;
	if (is_new) {
		size_t n = at;
		BH_GROW(p->seat, n, p->cap_seats);
		p->seat[at] = (struct bh_seat){{ret[0], ret[1]}};
	} else {
		ret[0] = p->seat[at].group[0];
		ret[1] = p->seat[at].group[1];
	}
}

void bh_group_free(struct bh_group *g)
{
	for (int t = 0; t < 3; t++)
		bh_rows_finish(&g->tier[t]);
	free(g->order);
	free(g->chain);
	free(g->comment);
	free(g);
}
