/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One pair of parties: every atom of the one to every atom of the other, every span of ports, both
 * engines. What changes between two atoms for the same reason is one change: a reason and a list of
 * services, kept by number, so that atoms that change alike can be put together.
 */
#include "private.h"

#include <netinet/in.h>

#define NONE UINT32_MAX
#define SOURCE_PORT 40000 /* neither DHCP's nor DHCPv6's; no policy looks at it */
#define OTHER_PROTOCOL 253 /* RFC 3692: nobody's */

static bool same_workload(const struct bh_delta_atom *a, const struct bh_delta_atom *b)
{
	return a->workload[0] >= 0 && a->workload[0] == b->workload[0];
}

bool bh_delta_possible(const struct bh_delta_atom *a, const struct bh_delta_atom *b)
{
	return a->family == b->family && (!same_workload(a, b) || a->two || b->two);
}

static void make_flow(
	const struct bh_delta_atom *a, const struct bh_delta_atom *b, struct bh_flow *ret)
{
	bool other = same_workload(a, b);
	*ret = (struct bh_flow){
		.src = a->example[other && !b->two], .dst = b->example[other && b->two]};
}

static void set_service(const struct bh_delta_span *s, struct bh_flow *f)
{
	bool v6 = f->src.family == BH_IPV6;
	f->proto = s->proto;
	f->sport = f->dport = 0;
	f->icmp_type = 0;
	if (s->proto == BH_DELTA_OTHER) {
		f->proto = OTHER_PROTOCOL;
	} else if (s->proto == BH_DELTA_ICMP) {
		f->proto = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
		f->icmp_type = v6 ? 128 : 8; /* echo request */
	} else {
		f->sport = SOURCE_PORT;
		f->dport = s->first;
	}
}

/* Number of the reason for which the span's flows change, or NONE. */
static uint32_t ask(struct bh_delta_pair *p, const struct bh_delta_span *s, struct bh_flow *f)
{
	struct bh_decision dec[2];
	struct bh_delta_reason reason;
	set_service(s, f);
	for (int e = 0; e < 2; e++)
		bh_engine_evaluate(p->w->engine[e], f, &dec[e]);
	if (!bh_delta_find_reason(p->w, dec, &reason))
		return NONE;
	return bh_delta_intern(&p->reasons, &reason, sizeof(reason));
}

/* Appends the services that change for reason r: neighbouring spans of a protocol as one. */
static void put_services(
	const struct bh_delta_spans *spans, const uint32_t *reason, uint32_t r, struct bh_buf *out)
{
	struct bh_delta_service x = {0};
	bool open = false;
	for (size_t i = 0; i < spans->n; i++) {
		const struct bh_delta_span *s = &spans->item[i];
		bool goes_on = open && reason[i] == r && s->proto == x.proto;
		if (open && !goes_on)
			bh_buf_add(out, &x, sizeof(x));
		open = reason[i] == r;
		if (goes_on) {
			x.last = s->last;
		} else if (open) {
			memset(&x, 0, sizeof(x));
			x.proto = s->proto;
			x.first = s->first;
			x.last = s->last;
		}
	}
	if (open)
		bh_buf_add(out, &x, sizeof(x));
}

static void add_cell(struct bh_delta_pair *p, size_t a, size_t b, const void *change, size_t len)
{
	BH_GROW(p->cell, p->n, p->cap);
	p->cell[p->n++] = (struct bh_delta_cell){
		bh_delta_intern(&p->changes, change, len), (uint32_t)a, (uint32_t)b};
}

/* Each reason once, at the span where it comes first. */
static void add_changes(struct bh_delta_pair *p, size_t a, size_t b, const uint32_t *reason)
{
	bh_autobuf struct bh_buf change = {0};
	for (size_t i = 0; i < p->spans.n; i++) {
		bool seen = reason[i] == NONE;
		for (size_t k = 0; k < i && !seen; k++)
			seen = reason[k] == reason[i];
		if (seen)
			continue;
		change.len = 0;
		bh_buf_add(&change, &reason[i], sizeof(reason[i]));
		put_services(&p->spans, reason, reason[i], &change);
		add_cell(p, a, b, change.s, change.len);
	}
}

static void compare_cell(struct bh_delta_pair *p, size_t a, size_t b, uint32_t *reason)
{
	const struct bh_delta_atom *x = &p->src->atom[a], *y = &p->dst->atom[b];
	struct bh_flow f;
	uint32_t other = NONE;
	bool any = false;
	make_flow(x, y, &f);
	for (size_t i = p->spans.n; i-- > 0;) {
		const struct bh_delta_span *s = &p->spans.item[i];
		reason[i] = s->alias ? other : ask(p, s, &f);
		if (i == p->spans.n - 1)
			other = reason[i];
		any |= reason[i] != NONE;
		if (!s->alias)
			p->w->out->evaluations +=
				2 * (1 + (uint64_t)x->weight[BH_EGRESS] + y->weight[BH_INGRESS]);
	}
	if (any)
		add_changes(p, a, b, reason);
}

static bool compare_all(struct bh_delta_pair *p)
{
	bh_autofree uint32_t *reason = bh_xcalloc(p->spans.n, sizeof(*reason));
	for (size_t a = 0; a < p->src->n_atoms; a++)
		for (size_t b = 0; b < p->dst->n_atoms; b++) {
			const struct bh_delta_atom *x = &p->src->atom[a], *y = &p->dst->atom[b];
			if (!bh_delta_possible(x, y))
				continue;
			if (!x->changed[BH_EGRESS] && !y->changed[BH_INGRESS])
				continue;
			if (p->w->out->evaluations >= p->w->max_evaluations)
				return false;
			compare_cell(p, a, b, reason);
		}
	return true;
}

static int compare_cells(const void *a, const void *b)
{
	const struct bh_delta_cell *x = a, *y = b;
	if (x->change != y->change)
		return x->change < y->change ? -1 : 1;
	if (x->a != y->a)
		return x->a < y->a ? -1 : 1;
	return (x->b > y->b) - (x->b < y->b);
}

bool bh_delta_compare(struct bh_delta_world *w, const struct bh_delta_party *src,
	const struct bh_delta_party *dst)
{
	struct bh_delta_pair p = {.w = w, .src = src, .dst = dst};
	bh_delta_find_spans(src, dst, &p.spans);
	bool whole = compare_all(&p);
	if (p.n)
		qsort(p.cell, p.n, sizeof(*p.cell), compare_cells);
	whole = whole && bh_delta_put_edges(&p);
	free(p.spans.item);
	free(p.cell);
	bh_delta_intern_finish(&p.reasons);
	bh_delta_intern_finish(&p.changes);
	return whole;
}

static bool is_everything(const struct bh_delta_service *s, size_t n)
{
	for (size_t i = 0; i < n && i < BH_DELTA_PROTOS; i++)
		if (s[i].first != 0 || s[i].last != UINT16_MAX)
			return false;
	return n == BH_DELTA_PROTOS + 2; /* and ICMP, and the others */
}

void bh_delta_put_change(const struct bh_delta_pair *p, uint32_t change, struct bh_delta_edge *e)
{
	const char *bytes = bh_delta_interned(&p->changes, change);
	size_t len = p->changes.item[change].len;
	struct bh_delta_reason reason;
	uint32_t r;
	memcpy(&r, bytes, sizeof(r));
	memcpy(&reason, bh_delta_interned(&p->reasons, r), sizeof(reason));
	bh_delta_put_reason(&reason, e);
	e->n_services = (len - sizeof(r)) / sizeof(*e->service);
	e->service = bh_xcalloc(e->n_services, sizeof(*e->service));
	memcpy(e->service, bytes + sizeof(r), e->n_services * sizeof(*e->service));
	e->everything = is_everything(e->service, e->n_services);
}
