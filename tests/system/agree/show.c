/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A disagreement as a case for `bulkhead policy test`; what a case can't say stands in its note. */
#include "agree.h"

#include <bulkhead/scenario.h>

/* The one that a workload's name stands for. */
static const struct bh_addr *first_addr(const struct bh_workload *w, uint8_t family)
{
	for (size_t i = 0; i < w->n_ifaces; i++)
		for (size_t k = 0; k < w->iface[i].n_addrs; k++)
			if (w->iface[i].addr[k].family == family)
				return &w->iface[i].addr[k];
	return NULL;
}

static char *end_name(const struct random_world *w, const struct bh_addr *a)
{
	char text[BH_ADDR_STRLEN];
	int owner = bh_inventory_owner(w->inv, a);
	if (owner >= 0) {
		const struct bh_workload *wl = w->inv->workload[owner];
		const struct bh_addr *first = first_addr(wl, a->family);
		if (first && bh_addr_eq(first, a))
			return bh_xasprintf("%s/%s", wl->namespace, wl->name);
	}
	return bh_xstrdup(bh_addr_format(a, text));
}

static const char *word(bool allow)
{
	return allow ? "allow" : "deny";
}

static void show_expect(const struct trouble *t, struct bh_buf *out)
{
	const struct random_world *w = &t->state[t->n_states - 1];
	const struct bh_flow *f = &t->probe.flow;
	char number[4];
	bh_autofree char *from = end_name(w, &f->src), *to = end_name(w, &f->dst);
	bh_buf_printf(out, "expect:\n- {from: \"%s\", to: \"%s\", protocol: %s", from, to,
		bh_proto_name(f->proto, number));
	if (f->dport)
		bh_buf_printf(out, ", port: %u", f->dport);
	bh_buf_printf(out, ", family: ipv%u, verdict: %s}\n", f->src.family, word(t->reference));
}

static void show_why(const char *why, struct bh_buf *out)
{
	bh_buf_str(out, "note: \"");
	for (; *why; why++)
		bh_buf_printf(out, "%c",
			*why == '"'                 ? '\''
			: (unsigned char)*why < ' ' ? ' '
						    : *why);
}

static void show_note(const struct trouble *t, struct bh_buf *out)
{
	const struct random_world *w = &t->state[t->n_states - 1];
	const struct bh_flow *f = &t->probe.flow;
	if (t->why[0])
		show_why(t->why, out);
	else
		bh_buf_printf(out, "note: \"kernel %s, evaluator %s, reference %s; %s",
			word(t->arrived), word(t->evaluator), word(t->reference),
			t->probe.direct ? "over the bridge" : "routed");
	if (t->probe.special)
		bh_buf_printf(out, "; source port %u", f->sport);
	if (f->icmp_type)
		bh_buf_printf(out, "; ICMP type %u", f->icmp_type);
	for (size_t i = 0; i < w->n_workloads; i++)
		if (w->workload[i]->unenforceable)
			bh_buf_printf(out, "; %s: unenforceable", w->workload[i]->name);
	bh_buf_str(out, "\"\n");
}

static void show_before(const struct random_world *w, struct bh_buf *out)
{
	bh_autobuf struct bh_buf before = {0};
	bh_scenario_print("before", w->inv, w->policies, &w->opts, &before);
	bh_buf_str(out, "# only as a difference to what was loaded before:\n");
	for (char *line = strtok(before.s, "\n"); line; line = strtok(NULL, "\n"))
		bh_buf_printf(out, "# %s\n", line);
}

void trouble_show(const struct trouble *t, struct bh_buf *out)
{
	const struct random_world *w = &t->state[t->n_states - 1];
	bh_autofree char *name = bh_xasprintf("agree-%llu", (unsigned long long)t->seed);
	if (t->n_states > 1)
		show_before(&t->state[0], out);
	bh_scenario_print(name, w->inv, w->policies, &w->opts, out);
	show_note(t, out);
	if (!t->why[0])
		show_expect(t, out);
}
