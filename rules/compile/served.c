/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Port names in egress rules: under which numbers they are served now, because the kernel needs one
 * rule for each number.
 */
#include "internal.h"

bool bh_serves(const struct bh_workload *w, const struct bh_port_name *name, uint16_t port)
{
	for (size_t i = 0; i < w->n_ports; i++)
		if (w->port[i].port == port && w->port[i].proto == name->proto &&
			bh_streq(w->port[i].name, name->name))
			return true;
	return false;
}

static void count(struct bh_served_name *s, uint16_t port, int sign)
{
	size_t i = 0;
	while (i < s->n && s->item[i].port < port)
		i++;
	if (i == s->n || s->item[i].port != port) {
		BH_GROW(s->item, s->n, s->cap);
		memmove(s->item + i + 1, s->item + i, (s->n++ - i) * sizeof(*s->item));
		s->item[i] = (struct bh_served){.port = port};
	}
	s->item[i].workloads += (uint32_t)sign;
	if (s->item[i].workloads == 0)
		memmove(s->item + i, s->item + i + 1, (--s->n - i) * sizeof(*s->item));
}

void bh_served_add(struct bh_engine *e, const struct bh_workload *w, int sign)
{
	const struct bh_plan *p = e->plan;
	for (size_t i = 0; w->n_ports && i < p->n_port_names; i++) {
		size_t n;
		bh_autofree struct bh_port_range *own =
			bh_own_ports(w, p->port_name[i].name, p->port_name[i].proto, &n);
		for (size_t k = 0; k < n; k++) /* neighbouring numbers come as one range */
			for (unsigned port = own[k].first; port <= own[k].last; port++)
				count(&e->served[i], (uint16_t)port, sign);
	}
}

void bh_served_copy(struct bh_engine *to, const struct bh_engine *from)
{
	for (size_t i = 0; i < to->plan->n_port_names; i++) {
		const struct bh_served_name *s = &from->served[i];
		to->served[i].item = bh_xmemdup(s->item, s->n * sizeof(*s->item));
		to->served[i].n = to->served[i].cap = s->n;
	}
}

bool bh_served_same(const struct bh_engine *a, const struct bh_engine *b)
{
	for (size_t i = 0; i < a->plan->n_port_names; i++) {
		if (a->served[i].n != b->served[i].n)
			return false;
		for (size_t k = 0; k < a->served[i].n; k++)
			if (a->served[i].item[k].port != b->served[i].item[k].port)
				return false;
	}
	return true;
}

void bh_served_finish(struct bh_engine *e)
{
	for (size_t i = 0; i < e->plan->n_port_names; i++)
		free(e->served[i].item);
	free(e->served);
}
