/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The diff for people. */
#include "private.h"

#include <inttypes.h>

#define NAMED 3 /* workloads of a part of a role, addresses of a part of a workload */
#define LISTED 4 /* ranges outside */

static void add_workloads(
	const struct bh_delta *d, const struct bh_delta_end *e, struct bh_buf *out)
{
	bh_buf_printf(out, " (%zu of %zu: ", e->n_workloads, e->total);
	for (size_t i = 0; i < e->n_workloads && i < NAMED; i++)
		bh_buf_printf(out, "%s%s", i ? ", " : "", d->inv->workload[e->workload[i]]->name);
	bh_buf_str(out, e->n_workloads > NAMED ? ", …)" : ")");
}

static void count_prefix(const struct bh_prefix *p BH_UNUSED, void *arg)
{
	(*(size_t *)arg)++;
}

static void add_prefix(const struct bh_prefix *p, void *arg)
{
	struct bh_buf *out = arg;
	char text[BH_PREFIX_STRLEN];
	if (p->len == bh_addr_bits(&p->addr))
		bh_buf_printf(out, " %s", bh_addr_format(&p->addr, text));
	else
		bh_buf_printf(out, " %s", bh_prefix_format(p, text));
}

/* One or two prefixes, or FIRST-LAST. */
static void add_range(struct bh_range r, struct bh_buf *out)
{
	char first[BH_ADDR_STRLEN], last[BH_ADDR_STRLEN];
	size_t n = 0;
	bh_range_prefixes(r, count_prefix, &n);
	if (n <= 2)
		bh_range_prefixes(r, add_prefix, out);
	else
		bh_buf_printf(out, " %s-%s", bh_addr_format(&r.first, first),
			bh_addr_format(&r.last, last));
}

static void add_ranges(const struct bh_ranges *r, size_t max, struct bh_buf *out)
{
	for (size_t i = 0; i < r->n && i < max; i++)
		add_range(r->item[i], out);
	if (r->n > max)
		bh_buf_printf(out, " and %zu more", r->n - max);
}

static void add_all(struct bh_ranges *r, enum bh_family family)
{
	struct bh_prefix all = {{.family = (uint8_t)family}, 0};
	bh_ranges_add(r, bh_prefix_range(&all));
}

/* "IPv4 except 10.0.0.0/8", or the ranges, whichever is shorter. */
static void add_outside_family(const struct bh_ranges *r, enum bh_family family, struct bh_buf *out)
{
	struct bh_ranges own = {0}, rest = {0};
	for (size_t i = 0; i < r->n; i++)
		if (r->item[i].first.family == family)
			bh_ranges_add(&own, r->item[i]);
	add_all(&rest, family);
	bh_ranges_subtract(&rest, r);
	if (own.n && rest.n < own.n) {
		bh_buf_str(out, family == BH_IPV4 ? " IPv4" : " IPv6");
		if (rest.n)
			bh_buf_str(out, " except");
		add_ranges(&rest, LISTED, out);
	} else {
		add_ranges(&own, LISTED, out);
	}
	bh_ranges_finish(&own);
	bh_ranges_finish(&rest);
}

static void add_outside(const struct bh_ranges *r, struct bh_buf *out)
{
	struct bh_ranges rest = {0};
	add_all(&rest, BH_IPV4);
	add_all(&rest, BH_IPV6);
	bh_ranges_subtract(&rest, r);
	if (rest.n < r->n) {
		bh_buf_str(out, " except");
		add_ranges(&rest, LISTED, out);
	} else {
		add_outside_family(r, BH_IPV4, out);
		add_outside_family(r, BH_IPV6, out);
	}
	bh_ranges_finish(&rest);
}

/* Is the part that is meant all addresses of one family? */
static bool is_family(const struct bh_delta *d, const struct bh_delta_end *e, enum bh_family family)
{
	for (size_t i = 0; i < e->n_workloads; i++) {
		const struct bh_workload *w = d->inv->workload[e->workload[i]];
		for (size_t f = 0; f < w->n_ifaces; f++)
			for (size_t k = 0; k < w->iface[f].n_addrs; k++) {
				const struct bh_addr *a = &w->iface[f].addr[k];
				if (bh_inventory_owner(d->inv, a) == (int)e->workload[i] &&
					(a->family == family) != bh_ranges_contain(&e->range, a))
					return false;
			}
	}
	return e->n_workloads > 0;
}

static void add_part(const struct bh_delta *d, const struct bh_delta_end *e, struct bh_buf *out)
{
	if (is_family(d, e, BH_IPV4))
		bh_buf_str(out, " IPv4");
	else if (is_family(d, e, BH_IPV6))
		bh_buf_str(out, " IPv6");
	else
		add_ranges(&e->range, NAMED, out);
}

void bh_delta_end_format(const struct bh_delta *d, const struct bh_delta_end *e, struct bh_buf *out)
{
	switch (e->kind) {
	case BH_DELTA_ROLE:
		bh_buf_printf(out, "%s/%s", e->namespace, e->name);
		if (e->n_workloads < e->total)
			add_workloads(d, e, out);
		break;
	case BH_DELTA_HOST:
		bh_buf_str(out, "host");
		break;
	case BH_DELTA_NODE:
		bh_buf_printf(out, "node %s", e->name);
		break;
	case BH_DELTA_OUTSIDE:
		bh_buf_str(out, "outside");
		if (!e->whole)
			add_outside(&e->range, out);
		return;
	}
	if (!e->whole)
		add_part(d, e, out);
}

static const char *service_name(uint8_t proto)
{
	switch (proto) {
	case BH_TCP:
		return "tcp";
	case BH_UDP:
		return "udp";
	case BH_SCTP:
		return "sctp";
	case BH_DELTA_ICMP:
		return "icmp";
	default:
		return "other protocols";
	}
}

static bool is_all_ports(const struct bh_delta_service *s)
{
	return (s->first == 0 && s->last == UINT16_MAX) || s->proto == BH_DELTA_ICMP ||
	       s->proto == BH_DELTA_OTHER;
}

void bh_delta_services_format(const struct bh_delta_edge *e, struct bh_buf *out)
{
	if (e->everything) {
		bh_buf_str(out, "everything");
		return;
	}
	for (size_t i = 0; i < e->n_services; i++) {
		const struct bh_delta_service *s = &e->service[i];
		if (i && s->proto == e->service[i - 1].proto)
			bh_buf_str(out, ",");
		else
			bh_buf_printf(out, "%s%s%s", i ? ", " : "", service_name(s->proto),
				is_all_ports(s) ? "" : "/");
		if (is_all_ports(s))
			continue;
		bh_buf_printf(out, "%u", s->first);
		if (s->last != s->first)
			bh_buf_printf(out, "-%u", s->last);
	}
}

void bh_delta_why_format(const struct bh_delta_edge *e, struct bh_buf *out)
{
	bool any = false;
	for (int d = 0; d < 2; d++) {
		const struct bh_delta_why *w = &e->why[d];
		if (!w->decides)
			continue;
		bh_buf_printf(out, "%s%s: %s (before: %s)", any ? "; " : "",
			bh_direction_name((enum bh_direction)d), w->after, w->before);
		any = true;
	}
}

static void format_edge(const struct bh_delta *d, const struct bh_delta_edge *e, struct bh_buf *out)
{
	bh_buf_str(out, e->opens ? "+ " : "- ");
	bh_delta_end_format(d, &e->src, out);
	bh_buf_str(out, " → ");
	bh_delta_end_format(d, &e->dst, out);
	bh_buf_str(out, "  ");
	bh_delta_services_format(e, out);
	bh_buf_str(out, "  ");
	bh_delta_why_format(e, out);
	bh_buf_str(out, "\n");
}

void bh_delta_format(const struct bh_delta *d, struct bh_buf *out)
{
	for (size_t i = 0; i < d->n; i++)
		format_edge(d, &d->edge[i], out);
	if (d->truncated)
		bh_buf_printf(out,
			"truncated: a limit was reached; %" PRIu64
			" pairs of ends may hold more changes\n",
			d->skipped);
}
