/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A step of a replay: rows of the flow table, their ends as they were recorded (stays), an
 * inventory of those ends, the candidate compiled over it, every row decided. An address that
 * changed hands within the rows divides them: each part has an inventory of its own.
 */
#include "analysis/replay.h"
#include "analysis/seen_rows.h"
#include "core/state.h"
#include "store/store.h"

#define ROWS_PER_STEP 500

struct person { /* a stay, as a workload */
	struct bh_stay stay;
	bool known;
	struct bh_workload *w; /* of the part that is being collected; NULL: not in it */
};

struct part {
	struct bh_core *c;
	struct bh_replay *r;
	struct bh_flow_row *row; /* owned */
	size_t n_rows;
	struct person *person;
	size_t n_persons, cap_persons;
	size_t first; /* row of the part */
};

static void keep_row(const struct bh_flow_row *row, void *arg)
{
	struct part *p = arg;
	struct bh_flow_row *to = &p->row[p->n_rows++];
	*to = *row;
	to->src = bh_xstrdup(row->src);
	to->dst = bh_xstrdup(row->dst);
	to->src_addr = bh_xstrdup(row->src_addr);
	to->dst_addr = bh_xstrdup(row->dst_addr);
	to->src_id = bh_xstrdup(row->src_id);
	to->dst_id = bh_xstrdup(row->dst_id);
	to->verdict = bh_xstrdup(row->verdict);
	to->reason = bh_xstrdup(row->reason);
	to->mode = bh_xstrdup(row->mode);
	to->rule = bh_xstrdup(row->rule);
}

static struct person *person_of(struct part *p, uint64_t stay)
{
	for (size_t i = 0; i < p->n_persons; i++)
		if (p->person[i].stay.number == stay)
			return &p->person[i];
	BH_GROW(p->person, p->n_persons, p->cap_persons);
	struct person *x = &p->person[p->n_persons++];
	*x = (struct person){0};
	x->known = bh_store_get_stay(p->c->store, stay, &x->stay) == 0;
	x->stay.number = stay;
	return x;
}

/* Who is still there has named ports. */
static void add_ports(const struct bh_core *c, struct bh_workload *w)
{
	const struct bh_inventory *inv = c->snap ? bh_engine_inventory(c->snap->engine) : NULL;
	int at = inv ? bh_inventory_find(inv, w) : -1;
	if (at < 0)
		return;
	const struct bh_workload *now = inv->workload[at];
	w->port = bh_xcalloc(now->n_ports, sizeof(*w->port));
	for (w->n_ports = 0; w->n_ports < now->n_ports; w->n_ports++) {
		w->port[w->n_ports] = now->port[w->n_ports];
		w->port[w->n_ports].name = bh_xstrdup(now->port[w->n_ports].name);
	}
}

static void make_workload(struct part *p, struct person *x)
{
	if (x->w)
		return;
	struct bh_workload *w = bh_workload_new();
	w->id = bh_xstrdup(x->stay.id);
	w->runtime = bh_xstrdup(x->stay.runtime);
	w->name = bh_xstrdup(x->stay.name);
	w->namespace = bh_xstrdup(x->stay.namespace);
	w->image = bh_xstrdup(x->stay.image);
	bh_images_copy(&w->others, &x->stay.others);
	w->mode = BH_MODE_ENFORCE;
	bh_labels_copy(&w->labels, &x->stay.labels);
	struct bh_interface *i = bh_workload_add_interface(w);
	i->name = bh_xstrdup("eth0");
	i->host_name = bh_xstrdup("replayed");
	add_ports(p->c, w);
	x->w = w;
}

static bool has_addr(const struct bh_workload *w, const struct bh_addr *a)
{
	for (size_t i = 0; w && i < w->iface[0].n_addrs; i++)
		if (bh_addr_eq(&w->iface[0].addr[i], a))
			return true;
	return false;
}

/* Puts the end into the part; false: somebody else in it has the address. */
static bool add_end(struct part *p, uint64_t stay, const struct bh_addr *a)
{
	if (!stay)
		return true;
	for (size_t i = 0; i < p->n_persons; i++)
		if (p->person[i].stay.number != stay && has_addr(p->person[i].w, a))
			return false;
	struct person *x = person_of(p, stay);
	if (!x->known)
		return true;
	make_workload(p, x);
	if (!has_addr(x->w, a))
		bh_interface_add_addr(&x->w->iface[0], a);
	return true;
}

static struct bh_inventory *make_inventory(struct part *p)
{
	const struct bh_inventory *now =
		p->c->snap ? bh_engine_inventory(p->c->snap->engine) : NULL;
	struct bh_inventory *inv = bh_inventory_new();
	for (size_t i = 0; now && i < now->n_ns; i++)
		bh_inventory_add_namespace(inv, now->ns[i].name, &now->ns[i].labels);
	for (size_t i = 0; now && i < now->n_hosts; i++)
		bh_inventory_add_host(inv, &now->host[i]);
	for (size_t i = 0; now && i < now->n_nodes; i++)
		bh_inventory_add_node(inv, now->node[i].name, &now->node[i].labels,
			now->node[i].addr, now->node[i].n_addrs);
	for (size_t i = 0; i < p->n_persons; i++)
		if (p->person[i].w)
			bh_inventory_add(inv, BH_TAKE_PTR(p->person[i].w));
	bh_inventory_seal(inv);
	return inv;
}

/* --- what is denied --- */

static void put_end(
	const struct bh_inventory *inv, int32_t owner, const struct bh_addr *a, struct bh_buf *out)
{
	struct bh_end e = {.kind = owner == BH_OWNER_HOST ? BH_END_HOST : BH_END_ADDR, .addr = *a};
	if (owner >= 0) {
		e.kind = BH_END_ROLE;
		e.namespace = inv->workload[owner]->namespace;
		bh_role_of(inv->workload[owner], &e.selector);
	}
	bh_end_format(&e, out);
	bh_labels_finish(&e.selector);
}

static void add_name(char **list, size_t *n, const char *name)
{
	for (size_t i = 0; i < *n; i++)
		if (bh_streq(list[i], name))
			return;
	if (name && *name && *n < BH_REPLAY_NAMES)
		list[(*n)++] = bh_xstrdup(name);
}

static struct bh_replay_finding *finding_of(
	struct bh_replay *r, const char *src, const char *dst, const struct bh_flow_row *row)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->item[i].port == row->port && r->item[i].proto == row->proto &&
			bh_streq(r->item[i].src, src) && bh_streq(r->item[i].dst, dst))
			return &r->item[i];
	if (r->n == BH_REPLAY_FINDINGS)
		return NULL;
	BH_GROW(r->item, r->n, r->cap);
	struct bh_replay_finding *f = &r->item[r->n++];
	*f = (struct bh_replay_finding){.src = bh_xstrdup(src),
		.dst = bh_xstrdup(dst),
		.proto = row->proto,
		.port = row->port};
	return f;
}

static char *why_denied(const struct bh_inventory *inv, const struct bh_decision *d)
{
	struct bh_buf b = {0};
	for (int side = BH_EGRESS; side <= BH_INGRESS; side++) {
		const struct bh_side *s = &d->side[side];
		if (s->verdict != BH_SIDE_DENIED)
			continue;
		char bh_autofree *rule = bh_side_rule_name(s, (enum bh_direction)side);
		bh_buf_printf(&b, "%s%s of %s/%s: %s", b.len ? "; " : "",
			bh_direction_name((enum bh_direction)side),
			inv->workload[s->workload]->namespace, inv->workload[s->workload]->name,
			rule ? rule : "no rule allows it");
	}
	return bh_buf_take(&b);
}

static void denied(struct bh_replay *r, const struct bh_inventory *inv, const struct bh_flow *f,
	const struct bh_decision *d, const struct bh_flow_row *row)
{
	struct bh_buf bh_autobuf src = {0}, bh_autobuf dst = {0};
	put_end(inv, d->side[BH_EGRESS].workload, &f->src, &src);
	put_end(inv, d->side[BH_INGRESS].workload, &f->dst, &dst);
	r->denied_flows++;
	r->denied_connections += row->count;
	struct bh_replay_finding *x = finding_of(r, src.s, dst.s, row);
	if (!x) {
		r->unlisted++;
		return;
	}
	if (!x->why)
		x->why = why_denied(inv, d);
	x->flows++;
	x->connections += row->count;
	if (row->last_seen > x->last)
		x->last = row->last_seen;
	for (int side = BH_EGRESS; side <= BH_INGRESS; side++) {
		int32_t w = d->side[side].workload;
		if (w < 0)
			continue;
		char bh_autofree *name =
			bh_xasprintf("%s/%s", inv->workload[w]->namespace, inv->workload[w]->name);
		add_name(x->workload, &x->n_workloads, name);
		const struct bh_workload *who = inv->workload[w];
		add_name(x->image, &x->n_images, who->image);
		for (size_t i = 0; i < who->others.n; i++)
			add_name(x->image, &x->n_images, who->others.item[i].image);
	}
}

static bool flow_of(const struct bh_flow_row *row, struct bh_flow *f)
{
	*f = (struct bh_flow){.proto = row->proto, .dport = row->port};
	bool ports = f->proto == BH_TCP || f->proto == BH_UDP || f->proto == BH_SCTP;
	f->sport = ports ? 40000 : 0;
	return bh_addr_parse(row->src_addr, &f->src) == 0 &&
	       bh_addr_parse(row->dst_addr, &f->dst) == 0;
}

/* Did the packets pass, by policy or for want of one? Those are what enforcement could break. */
static bool did_pass(const struct bh_flow_row *row)
{
	return (bh_streq(row->verdict, "allow") || bh_streq(row->verdict, "would-deny")) &&
	       !bh_streq(row->reason, "threat");
}

static bool is_wanted(struct part *p, const struct bh_flow_row *row)
{
	return row->last_seen >= p->r->since && did_pass(row);
}

static bool end_known(struct part *p, uint64_t stay, const char *id)
{
	return stay ? person_of(p, stay)->known : !id;
}

/* Rows [first, end) are decided, and the workloads of the part are gone. */
static void decide(struct part *p, size_t end)
{
	struct bh_engine_opts opts = {.unselected_deny = p->c->conf->unselected_deny,
		.host_policy = p->c->conf->host_policy};
	struct bh_inventory *inv = make_inventory(p);
	struct bh_engine *e = bh_engine_compile(p->r->set, inv, &opts);
	for (size_t i = p->first; i < end; i++) {
		const struct bh_flow_row *row = &p->row[i];
		struct bh_decision d;
		struct bh_flow f;
		if (!is_wanted(p, row) || !flow_of(row, &f) || !bh_seen_rows_add(&p->r->seen, row))
			continue;
		if (!end_known(p, row->src_stay, row->src_id) ||
			!end_known(p, row->dst_stay, row->dst_id)) {
			p->r->unknown++;
			continue;
		}
		bh_engine_evaluate(e, &f, &d);
		p->r->flows++;
		p->r->connections += row->count;
		bh_core_replay_use(p->r, &d);
		if (d.verdict != BH_ALLOW)
			denied(p->r, inv, &f, &d, row);
	}
	bh_engine_unref(e);
	bh_inventory_unref(inv);
	p->first = end;
}

static void decide_all(struct part *p)
{
	for (size_t i = 0; i < p->n_rows; i++) {
		const struct bh_flow_row *row = &p->row[i];
		struct bh_flow f;
		if (!is_wanted(p, row) || !flow_of(row, &f))
			continue;
		if (add_end(p, row->src_stay, &f.src) && add_end(p, row->dst_stay, &f.dst))
			continue;
		decide(p, i); /* an address changed hands: a part ends */
		add_end(p, row->src_stay, &f.src);
		add_end(p, row->dst_stay, &f.dst);
	}
	decide(p, p->n_rows);
}

void bh_core_replay_step(struct bh_core *c, struct bh_replay *r)
{
	struct part p = {.c = c, .r = r, .row = bh_xcalloc(ROWS_PER_STEP, sizeof(*p.row))};
	int e = bh_store_flows_after(c->store, r->cursor, ROWS_PER_STEP, keep_row, &p);
	if (e < 0) {
		r->error = bh_xstrdup(bh_store_message(c->store));
		r->done = true;
	} else if (p.n_rows == 0) {
		r->done = true;
	} else {
		r->cursor = p.row[p.n_rows - 1].seq;
		decide_all(&p);
	}
	for (size_t i = 0; i < p.n_rows; i++)
		bh_flow_row_finish(&p.row[i]);
	for (size_t i = 0; i < p.n_persons; i++) {
		bh_workload_unref(p.person[i].w);
		if (p.person[i].known)
			bh_stay_finish(&p.person[i].stay);
	}
	free(p.person);
	free(p.row);
}
