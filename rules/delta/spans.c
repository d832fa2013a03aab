/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ports, cut where a policy of either end begins or ends to mean them. */
#include "private.h"

const uint8_t bh_delta_proto[BH_DELTA_PROTOS] = {BH_TCP, BH_UDP, BH_SCTP};

static void add_start(struct bh_delta_starts *s, size_t i, uint16_t port)
{
	BH_GROW(s->at[i], s->n[i], s->cap[i]);
	s->at[i][s->n[i]++] = port;
}

void bh_delta_starts_add(struct bh_delta_starts *s, uint8_t proto, uint16_t first, uint16_t last)
{
	size_t i = 0;
	while (i < BH_DELTA_PROTOS && bh_delta_proto[i] != proto)
		i++;
	if (i == BH_DELTA_PROTOS)
		return; /* no policy can ask for ports of any other */
	s->mentioned[i] = true;
	if (first > 0)
		add_start(s, i, first);
	if (last < UINT16_MAX)
		add_start(s, i, (uint16_t)(last + 1));
}

static int compare_ports(const void *a, const void *b)
{
	return (int)*(const uint16_t *)a - (int)*(const uint16_t *)b;
}

void bh_delta_starts_sort(struct bh_delta_starts *s)
{
	for (size_t i = 0; i < BH_DELTA_PROTOS; i++) {
		size_t n = 0;
		if (s->n[i])
			qsort(s->at[i], s->n[i], sizeof(*s->at[i]), compare_ports);
		for (size_t k = 0; k < s->n[i]; k++)
			if (n == 0 || s->at[i][k] != s->at[i][n - 1])
				s->at[i][n++] = s->at[i][k];
		s->n[i] = n;
	}
}

void bh_delta_starts_finish(struct bh_delta_starts *s)
{
	for (size_t i = 0; i < BH_DELTA_PROTOS; i++)
		free(s->at[i]);
	*s = (struct bh_delta_starts){0};
}

/* What the destination serves under the names that the source's policies ask for. Both lists are
 * sorted by name. */
static void add_named(const struct bh_delta_names *asks, const struct bh_delta_names *serves,
	struct bh_delta_starts *to)
{
	size_t from = 0;
	for (size_t i = 0; i < asks->n; i++) {
		const struct bh_delta_named *a = &asks->item[i];
		while (from < serves->n && strcmp(serves->item[from].name, a->name) < 0)
			from++;
		for (size_t k = from; k < serves->n; k++) {
			const struct bh_delta_named *s = &serves->item[k];
			if (strcmp(s->name, a->name) != 0)
				break;
			if (!a->proto || a->proto == s->proto)
				bh_delta_starts_add(to, s->proto, s->port, s->port);
		}
	}
}

static void add_all(struct bh_delta_starts *to, const struct bh_delta_starts *from, size_t i)
{
	to->mentioned[i] |= from->mentioned[i];
	for (size_t k = 0; k < from->n[i]; k++)
		add_start(to, i, from->at[i][k]);
}

static void add_span(struct bh_delta_spans *s, struct bh_delta_span x)
{
	BH_GROW(s->item, s->n, s->cap);
	s->item[s->n++] = x;
}

/* Starts are sorted; 0 is never among them. */
static void cut(const struct bh_delta_starts *s, size_t i, struct bh_delta_spans *ret)
{
	struct bh_delta_span x = {.proto = bh_delta_proto[i], .alias = !s->mentioned[i]};
	for (size_t k = 0; k < s->n[i]; k++) {
		x.last = (uint16_t)(s->at[i][k] - 1);
		add_span(ret, x);
		x.first = s->at[i][k];
	}
	x.last = UINT16_MAX;
	add_span(ret, x);
}

void bh_delta_find_spans(const struct bh_delta_party *src, const struct bh_delta_party *dst,
	struct bh_delta_spans *ret)
{
	struct bh_delta_starts all = {0};
	ret->n = 0;
	add_named(&src->asks, &dst->serves, &all);
	for (size_t i = 0; i < BH_DELTA_PROTOS; i++) {
		add_all(&all, &src->starts[BH_EGRESS], i);
		add_all(&all, &dst->starts[BH_INGRESS], i);
	}
	bh_delta_starts_sort(&all);
	for (size_t i = 0; i < BH_DELTA_PROTOS; i++)
		cut(&all, i, ret);
	add_span(ret, (struct bh_delta_span){.proto = BH_DELTA_ICMP});
	add_span(ret, (struct bh_delta_span){.proto = BH_DELTA_OTHER});
	bh_delta_starts_finish(&all);
}
