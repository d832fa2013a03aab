/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rules of a group as rows. Within a run of rules whose order does not matter (neighbours with
 * the same action; all of NetworkPolicy's), what is said of the same ports is one row: its peers
 * are asked together. A row knows which rule named each peer first, so that nothing is lost of who
 * decided.
 */
#include "internal.h"

struct build {
	struct bh_plan *plan;
	const struct bh_workload *example; /* of the group: its own ports count for ingress */
	struct bh_group *g;
	size_t cap_orders;
	uint32_t run;
	struct bh_intern rows[3]; /* by tier: ports → row */
};

/* The rule at hand. */
struct at {
	const struct bh_policy *policy;
	const struct bh_policy_rule *rule;
	const uint32_t *peer;
	uint32_t order, number;
};

static int compare_ranges(const void *a, const void *b)
{
	return (int)((const struct bh_port_range *)a)->first -
	       (int)((const struct bh_port_range *)b)->first;
}

static size_t merge_ranges(struct bh_port_range *p, size_t n)
{
	size_t out = 0;
	if (n)
		qsort(p, n, sizeof(*p), compare_ranges);
	for (size_t i = 0; i < n; i++) {
		if (out && (unsigned)p[i].first <= (unsigned)p[out - 1].last + 1) {
			if (p[i].last > p[out - 1].last)
				p[out - 1].last = p[i].last;
		} else {
			p[out++] = p[i];
		}
	}
	return out;
}

struct bh_port_range *bh_own_ports(
	const struct bh_workload *w, const char *name, uint8_t proto, size_t *ret_n)
{
	struct bh_port_range *port = NULL;
	size_t cap = 0, n = 0;
	for (size_t i = 0; i < w->n_ports; i++) {
		if (w->port[i].proto != proto || !bh_streq(w->port[i].name, name))
			continue;
		BH_GROW(port, n, cap);
		port[n++] = (struct bh_port_range){w->port[i].port, w->port[i].port};
	}
	*ret_n = merge_ranges(port, n);
	return port;
}

/* "shop/db ingress rule 0", "cnp:guard egress rule 2 Deny". Cut at BH_COMMENT_MAX later anyway. */
static void note_rule(struct build *b, const struct at *x, struct bh_row *row)
{
	if (row->noted == x->policy && row->noted_rule == x->number)
		return;
	row->noted = x->policy;
	row->noted_rule = x->number;
	if (row->comment.len > BH_COMMENT_MAX)
		return;
	bh_buf_printf(&row->comment, "%s%s %s rule %u", row->comment.len ? "; " : "",
		x->policy->ref, bh_direction_name(b->g->direction), x->number);
	if (x->policy->tier != BH_TIER_NETWORK_POLICY)
		bh_buf_printf(&row->comment, " %s", bh_rule_action_name(x->rule->action));
}

static void add_peers(struct build *b, const struct at *x, struct bh_row *row)
{
	note_rule(b, x, row);
	if (!x->rule->n_peers && row->any < 0)
		row->any = x->order;
	for (size_t i = 0; i < x->rule->n_peers; i++) {
		BH_GROW(row->hit, row->n_hits, row->cap_hits);
		row->hit[row->n_hits++] = (struct bh_hit){NULL, x->peer[i], x->order, (int32_t)i};
	}
}

/* Takes like->port. */
static void add_row(struct build *b, const struct at *x, struct bh_row like)
{
	enum bh_tier tier = x->policy->tier;
	struct bh_tier_rows *t = &b->g->tier[tier];
	bh_autobuf struct bh_buf key = {0};
	bool is_new;
	const uint32_t head[] = {b->run, like.proto, (uint32_t)like.named};
	bh_buf_add(&key, head, sizeof(head));
	bh_buf_add(&key, like.port, like.n_ports * sizeof(*like.port));
	uint32_t at = bh_intern(&b->rows[tier], key.s, key.len, &is_new);
	if (is_new) {
		BH_GROW(t->row, t->n, t->cap);
		like.run = b->run;
		like.action = x->rule->action;
		like.any = -1;
		like.first = x->order;
		t->row[t->n++] = like;
	} else {
		free(like.port);
	}
	add_peers(b, x, &t->row[at]);
}

static bool wants(const struct bh_policy_port *p, uint8_t proto)
{
	return p->proto == proto || (p->name && !p->proto);
}

/* All numeric ports of one protocol; for ingress also the named ones, which the group has in
 * common. */
static void add_numeric(struct build *b, const struct at *x, uint8_t proto)
{
	struct bh_row row = {.proto = proto, .named = -1};
	size_t cap = 0, n = 0;
	for (size_t i = 0; i < x->rule->n_ports; i++) {
		const struct bh_policy_port *p = &x->rule->port[i];
		if (!wants(p, proto) || (p->name && b->g->direction == BH_EGRESS))
			continue;
		bh_autofree struct bh_port_range *own = NULL;
		struct bh_port_range one = {p->first, p->any ? UINT16_MAX : p->last};
		size_t n_own = 1;
		if (p->name)
			own = bh_own_ports(b->example, p->name, proto, &n_own);
		for (size_t k = 0; k < n_own; k++) {
			BH_GROW(row.port, n, cap);
			row.port[n++] = own ? own[k] : one;
		}
	}
	if (!n)
		return;
	row.n_ports = merge_ranges(row.port, n);
	if (row.port[0].first == 0 && row.port[0].last == UINT16_MAX) {
		free(row.port);
		row.port = NULL;
		row.n_ports = 0;
	}
	add_row(b, x, row);
}

static void add_named(struct build *b, const struct at *x, uint8_t proto)
{
	for (size_t i = 0; b->g->direction == BH_EGRESS && i < x->rule->n_ports; i++) {
		const struct bh_policy_port *p = &x->rule->port[i];
		bool is_new;
		if (!p->name || !wants(p, proto))
			continue;
		struct bh_row row = {.proto = proto};
		row.named = (int32_t)bh_plan_port_name(b->plan, p->name, proto, &is_new);
		add_row(b, x, row);
	}
}

static void add_rule(struct build *b, const struct at *x)
{
	static const uint8_t protos[] = {BH_TCP, BH_UDP, BH_SCTP};
	if (!x->rule->n_ports)
		add_row(b, x, (struct bh_row){.named = -1});
	for (size_t i = 0; i < BH_ARRAY_SIZE(protos); i++) {
		add_numeric(b, x, protos[i]);
		add_named(b, x, protos[i]);
	}
}

static int compare_hits(const void *a, const void *b)
{
	const struct bh_hit *x = a, *y = b;
	if (x->peer != y->peer)
		return x->peer < y->peer ? -1 : 1;
	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

static void add_ksets(struct bh_plan *p, struct bh_row *row)
{
	bh_autofree uint32_t *block = bh_xcalloc(row->n_hits, sizeof(*block));
	size_t n_blocks = 0;
	for (size_t i = 0; i < row->n_hits; i++) {
		struct bh_hit *h = &row->hit[i];
		if (p->peer[h->peer].addresses)
			block[n_blocks++] = h->peer;
		else
			h->pods = bh_kset_workloads(p, h->peer);
	}
	for (int f = 0; f < 2 && n_blocks; f++)
		row->block[f] = bh_kset_addresses(p, block, n_blocks, f ? BH_IPV6 : BH_IPV4);
	row->ports = bh_kset_ports(p, row->port, row->n_ports);
}

static void finish_row(struct bh_plan *p, struct bh_row *row)
{
	size_t n = 0;
	if (row->n_hits)
		qsort(row->hit, row->n_hits, sizeof(*row->hit), compare_hits);
	for (size_t i = 0; i < row->n_hits; i++) /* the first rule that names a peer decides */
		if (!n || row->hit[i].peer != row->hit[n - 1].peer)
			row->hit[n++] = row->hit[i];
	row->n_hits = n;
	add_ksets(p, row);
}

/* A new run begins where the order starts to matter. */
static void next_run(struct build *b, const struct bh_policy *p, const struct bh_policy_rule *r)
{
	const struct bh_order *last = b->g->n_orders ? &b->g->order[b->g->n_orders - 1] : NULL;
	if (last && (last->policy->tier != p->tier || last->action != r->action))
		b->run++;
}

static void add_policy(struct build *b, const struct bh_policy *p, const struct bh_plan_policy *pp)
{
	enum bh_direction d = b->g->direction;
	for (size_t i = 0; i < p->n_rules[d]; i++) {
		struct at x = {p, &p->rule[d][i], pp->rule[d][i].peer, 0, (uint32_t)i};
		next_run(b, p, x.rule);
		BH_GROW(b->g->order, b->g->n_orders, b->cap_orders);
		x.order = (uint32_t)b->g->n_orders;
		b->g->order[b->g->n_orders++] = (struct bh_order){p, (uint32_t)i, x.rule->action};
		add_rule(b, &x);
	}
}

void bh_compile_rows(struct bh_plan *p, const struct bh_workload *example, struct bh_group *g)
{
	struct build b = {.plan = p, .example = example, .g = g};
	const struct bh_selection *s = g->selection;
	for (size_t i = 0; i < s->n; i++)
		add_policy(&b, s->policy[i], &p->policy[s->index[i]]);
	for (int t = 0; t < 3; t++) {
		for (size_t i = 0; i < g->tier[t].n; i++)
			finish_row(p, &g->tier[t].row[i]);
		bh_compile_index(p, &g->tier[t], NULL, 0);
		bh_intern_finish(&b.rows[t]);
	}
}

/* What a quarantined workload may still do: the tier of NetworkPolicy, of a policy that isn't one.
 */
void bh_compile_quarantine(struct bh_plan *p, const struct bh_quarantine *q, struct bh_group *g)
{
	struct bh_tier_rows *t = &g->tier[BH_TIER_NETWORK_POLICY];
	g->order = bh_xcalloc(1, sizeof(*g->order));
	g->n_orders = 1;
	bh_autofree struct bh_block *part = bh_xcalloc(q->n, sizeof(*part));
	for (size_t i = 0; i < q->n; i++) {
		const struct bh_quarantine_allow *a = &q->allow[i];
		struct bh_port_range port = {a->port, a->port};
		BH_GROW(t->row, t->n, t->cap);
		struct bh_row *row = &t->row[t->n++];
		*row = (struct bh_row){.proto = a->proto, .named = -1, .any = -1, .n_ports = 1};
		row->port = bh_xmemdup(&port, sizeof(port));
		row->block[a->cidr.addr.family == BH_IPV6] = bh_kset_prefix(p, &a->cidr);
		part[i].range = bh_prefix_range(&a->cidr);
		part[i].talk = (struct bh_talk){.row = (uint32_t)i, .index = -1};
		bh_buf_str(&row->comment, "quarantine allows ");
		bh_quarantine_format(a, &row->comment);
	}
	bh_compile_index(p, t, part, q->n);
}

void bh_rows_finish(struct bh_tier_rows *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->row[i].port);
		free(t->row[i].hit);
		bh_buf_finish(&t->row[i].comment);
	}
	free(t->row);
	bh_index_finish(&t->index);
}
