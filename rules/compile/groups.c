/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Groups: workloads that the same policies isolate in one direction, in the same mode, with the
 * same meaning of the ports those policies name. A group is one list of rules for the evaluator
 * and one chain in the kernel.
 *
 * A group's identity (and so the name of its chain) is made of names, never of indexes: editing a
 * policy refills a chain, a new container joins one.
 */
#include "internal.h"

static int compare_port(const void *a, const void *b)
{
	return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

/* The numbers under which `w` itself serves a named port; sorted, unique. Owned, may be NULL. */
static uint16_t *own_ports(const struct bh_workload *w, const char *name, uint8_t proto, size_t *n)
{
	uint16_t *port = NULL;
	size_t cap = 0, unique = 0;
	*n = 0;
	for (size_t i = 0; i < w->n_ports; i++) {
		if (w->port[i].proto != proto || !bh_streq(w->port[i].name, name))
			continue;
		BH_GROW(port, *n, cap);
		port[(*n)++] = w->port[i].port;
	}
	if (*n)
		qsort(port, *n, sizeof(*port), compare_port);
	for (size_t i = 0; i < *n; i++)
		if (!unique || port[i] != port[unique - 1])
			port[unique++] = port[i];
	*n = unique;
	return port;
}

static void named_ports_key(
	const struct bh_workload *w, const struct bh_policy *p, struct bh_buf *key)
{
	for (size_t r = 0; r < p->n_rules[BH_INGRESS]; r++) {
		const struct bh_policy_rule *rule = &p->rule[BH_INGRESS][r];
		for (size_t i = 0; i < rule->n_ports; i++) {
			size_t n = 0;
			if (!rule->port[i].name)
				continue;
			bh_autofree uint16_t *port =
				own_ports(w, rule->port[i].name, rule->port[i].proto, &n);
			bh_buf_printf(key, "%s/%u=", rule->port[i].name, rule->port[i].proto);
			for (size_t k = 0; k < n; k++)
				bh_buf_printf(key, "%u,", port[k]);
			bh_buf_add(key, "", 1);
		}
	}
}

static void group_key(const struct bh_workload *w, enum bh_direction d,
	const struct bh_selection *s, struct bh_buf *key)
{
	key->len = 0;
	bh_buf_printf(key, "%s %s:", bh_direction_name(d), bh_mode_name(w->mode));
	for (size_t i = 0; i < s->n; i++) {
		const struct bh_policy *p = s->policy[i];
		bh_buf_add(key, p->namespace, strlen(p->namespace) + 1);
		bh_buf_add(key, p->name, strlen(p->name) + 1);
		if (d == BH_INGRESS)
			named_ports_key(w, p, key);
	}
}

static void add_port(struct bh_erule *r, size_t *cap, struct bh_eport port)
{
	BH_GROW(r->port, r->n_ports, *cap);
	r->port[r->n_ports++] = port;
}

static void compile_ports(struct bh_engine *e, const struct bh_workload *w, enum bh_direction d,
	const struct bh_policy_rule *from, struct bh_erule *r)
{
	size_t cap = 0;
	for (size_t i = 0; i < from->n_ports; i++) {
		const struct bh_policy_port *p = &from->port[i];
		struct bh_eport port = {.proto = p->proto, .named = -1};
		if (p->any) {
			port.last = UINT16_MAX;
			add_port(r, &cap, port);
		} else if (!p->name) {
			port.first = p->first;
			port.last = p->last;
			add_port(r, &cap, port);
		} else if (d == BH_EGRESS) {
			port.named = (int32_t)bh_compile_named(e, p->name, p->proto);
			add_port(r, &cap, port);
		} else {
			size_t n = 0;
			bh_autofree uint16_t *own = own_ports(w, p->name, p->proto, &n);
			for (size_t k = 0; k < n; k++) {
				port.first = port.last = own[k];
				add_port(r, &cap, port);
			}
		}
	}
}

static void compile_rules(struct bh_engine *e, const struct bh_workload *w, struct bh_group *g)
{
	enum bh_direction d = g->direction;
	size_t n = 0;
	for (size_t i = 0; i < g->selection->n; i++)
		n += g->selection->policy[i]->n_rules[d];
	g->rule = bh_xcalloc(n, sizeof(*g->rule));
	for (size_t i = 0; i < g->selection->n; i++) {
		const struct bh_policy *p = g->selection->policy[i];
		for (size_t k = 0; k < p->n_rules[d]; k++) {
			const struct bh_policy_rule *from = &p->rule[d][k];
			struct bh_erule *r = &g->rule[g->n_rules];
			*r = (struct bh_erule){.policy = p, .rule = (uint32_t)k};
			r->any_port = from->n_ports == 0;
			compile_ports(e, w, d, from, r);
			if (!r->any_port && !r->n_ports)
				continue; /* names a port that this workload does not serve */
			r->peer = bh_xcalloc(from->n_peers, sizeof(*r->peer));
			r->n_peers = from->n_peers;
			for (size_t j = 0; j < from->n_peers; j++)
				r->peer[j] = bh_compile_peer(e, p, &from->peer[j]);
			g->n_rules++;
		}
	}
}

static void name_group(struct bh_engine *e, struct bh_group *g, const struct bh_buf *identity)
{
	bh_autobuf struct bh_buf slug = {0}, comment = {0}, prefix = {0};
	const struct bh_selection *s = g->selection;
	bh_buf_printf(
		&prefix, "%s-%s-", g->direction == BH_EGRESS ? "out" : "in", bh_mode_name(g->mode));
	bh_buf_printf(&comment, "%s %s: ", bh_mode_name(g->mode), bh_direction_name(g->direction));
	if (!s->n) {
		bh_buf_str(&slug, "unselected");
		bh_buf_str(&comment, "no policy selects");
	} else {
		bh_buf_str(&slug, s->policy[0]->namespace);
	}
	for (size_t i = 0; i < s->n; i++) {
		bh_buf_printf(&slug, "-%s", s->policy[i]->name);
		bh_buf_printf(&comment, "%s%s/%s", i ? ", " : "", s->policy[i]->namespace,
			s->policy[i]->name);
	}
	g->chain = bh_compile_name(e, prefix.s, slug.s, identity->s, identity->len);
	g->comment = bh_buf_take(&comment);
}

static void join_group(struct bh_engine *e, size_t index, enum bh_direction d,
	struct bh_intern *groups, struct bh_buf *key)
{
	const struct bh_workload *w = e->inv->workload[index];
	const struct bh_selection *s = e->selection[e->class[e->class_of[index]].selection[d]];
	bool is_new;
	if (!bh_workload_governable(w)) {
		e->group_of[d][index] = BH_GROUP_UNGOVERNED;
		return;
	}
	if (w->mode != BH_MODE_LEARN && !s->n && !e->opts.unselected_deny) {
		e->group_of[d][index] = BH_GROUP_NONE;
		return;
	}
	group_key(w, d, s, key);
	uint32_t at = bh_intern(groups, key->s, key->len, &is_new);
	if (is_new) {
		struct bh_group *g = bh_xcalloc(1, sizeof(*g));
		*g = (struct bh_group){.direction = d, .mode = w->mode, .selection = s};
		BH_GROW(e->group, e->n_groups, e->cap_groups);
		e->group[e->n_groups++] = g;
		compile_rules(e, w, g);
		name_group(e, g, key);
	}
	e->group[at]->n_members++;
	e->group_of[d][index] = (int32_t)at;
}

void bh_compile_groups(struct bh_engine *e)
{
	struct bh_intern groups = {0};
	bh_autobuf struct bh_buf key = {0};
	for (int d = 0; d < 2; d++)
		e->group_of[d] = bh_xcalloc(e->inv->n, sizeof(*e->group_of[d]));
	for (size_t i = 0; i < e->inv->n; i++)
		for (int d = 0; d < 2; d++)
			join_group(e, i, (enum bh_direction)d, &groups, &key);
	bh_intern_finish(&groups);
}

void bh_groups_finish(struct bh_engine *e)
{
	for (size_t i = 0; i < e->n_groups; i++) {
		struct bh_group *g = e->group[i];
		for (size_t r = 0; r < g->n_rules; r++) {
			free(g->rule[r].port);
			free(g->rule[r].peer);
		}
		free(g->rule);
		free(g->chain);
		free(g->comment);
		free(g);
	}
	free(e->group);
	for (int d = 0; d < 2; d++)
		free(e->group_of[d]);
}
