/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A disagreement as a conformance case; what the format can't say stands in its note. */
#include "agree.h"

static void show_labels(const struct bh_labels *l, struct bh_buf *out)
{
	bh_buf_str(out, "{");
	for (size_t i = 0; i < l->n; i++)
		bh_buf_printf(out, "%s%s: \"%s\"", i ? ", " : "", l->item[i].key, l->item[i].value);
	bh_buf_str(out, "}");
}

static void show_addr(const struct bh_addr *a, bool *first, struct bh_buf *out)
{
	char text[BH_ADDR_STRLEN];
	bh_buf_printf(out, "%s\"%s\"", *first ? "" : ", ", bh_addr_format(a, text));
	*first = false;
}

static void show_port(const struct bh_named_port *p, struct bh_buf *out)
{
	static const char *const name[] = {[BH_TCP] = "TCP", [BH_UDP] = "UDP", [BH_SCTP] = "SCTP"};
	bh_buf_printf(out, "{port: %u, protocol: %s", p->port, name[p->proto]);
	if (p->name)
		bh_buf_printf(out, ", name: %s", p->name);
	bh_buf_str(out, "}");
}

static void show_workload(const struct bh_workload *w, struct bh_buf *out)
{
	bool first = true;
	bh_buf_printf(out, "- {name: %s, namespace: %s, labels: ", w->name, w->namespace);
	show_labels(&w->labels, out);
	bh_buf_str(out, ", ips: [");
	for (size_t i = 0; i < w->n_ifaces; i++)
		for (size_t k = 0; k < w->iface[i].n_addrs; k++)
			show_addr(&w->iface[i].addr[k], &first, out);
	bh_buf_str(out, "], ports: [");
	for (size_t i = 0; i < w->n_ports; i++) {
		bh_buf_str(out, i ? ", " : "");
		show_port(&w->port[i], out);
	}
	bh_buf_str(out, "]}\n");
}

static bool inhabited(const struct random_world *w, const char *ns)
{
	for (size_t i = 0; i < w->n_workloads; i++)
		if (bh_streq(w->workload[i]->namespace, ns))
			return true;
	return false;
}

static void show_namespaces(const struct random_world *w, const char *indent, struct bh_buf *out)
{
	bh_buf_printf(out, "%snamespaces:\n", indent);
	for (size_t i = 0; i < w->inv->n_ns; i++) {
		if (!inhabited(w, w->inv->ns[i].name))
			continue;
		bh_buf_printf(out, "%s  %s: ", indent, w->inv->ns[i].name);
		show_labels(&w->inv->ns[i].labels, out);
		bh_buf_str(out, "\n");
	}
}

static void show_nodes(const struct random_world *w, const char *indent, struct bh_buf *out)
{
	bh_buf_printf(out, "%snodes:\n", indent);
	for (size_t i = 0; i < w->n_nodes; i++) {
		const struct bh_node_info *n = &w->node[i];
		bool first = true;
		bh_buf_printf(out, "%s  %s: {labels: ", indent, n->name);
		show_labels(&n->labels, out);
		bh_buf_str(out, ", ips: [");
		for (size_t k = 0; k < n->n_addrs; k++)
			show_addr(&n->addr[k], &first, out);
		bh_buf_printf(out, "]%s}\n", i ? "" : ", local: true");
	}
}

static void show_policy(const char *text, const char *indent, struct bh_buf *out)
{
	bh_autofree char *tidy = prune(text, SIZE_MAX);
	bh_buf_printf(out, "%s- |\n", indent);
	for (char *line = strtok(tidy, "\n"); line; line = strtok(NULL, "\n"))
		bh_buf_printf(out, "%s  %s\n", indent, line);
}

static void show_state(const struct random_world *w, const char *indent, struct bh_buf *out)
{
	show_namespaces(w, indent, out);
	show_nodes(w, indent, out);
	bh_buf_printf(out, "%sworkloads:%s\n", indent, w->n_workloads ? "" : " []");
	for (size_t i = 0; i < w->n_workloads; i++) {
		bh_buf_str(out, indent);
		show_workload(w->workload[i], out);
	}
	bh_buf_printf(out, "%spolicies:%s\n", indent, w->n_policies ? "" : " []");
	for (size_t i = 0; i < w->n_policies; i++)
		show_policy(w->policy[i], indent, out);
}

static char *end_name(const struct random_world *w, const struct bh_addr *a)
{
	char text[BH_ADDR_STRLEN];
	int owner = bh_inventory_owner(w->inv, a);
	if (owner >= 0)
		return bh_xasprintf(
			"%s/%s", w->inv->workload[owner]->namespace, w->inv->workload[owner]->name);
	if (owner == BH_OWNER_HOST)
		return bh_xasprintf("node:%s", w->node[0].name);
	return bh_xasprintf("external:%s", bh_addr_format(a, text));
}

static void show_expect(const struct trouble *t, const char *indent, struct bh_buf *out)
{
	const struct random_world *w = &t->state[t->n_states - 1];
	const struct bh_flow *f = &t->probe.flow;
	char number[4];
	if (t->refused) {
		bh_buf_printf(out, "%sexpect: []\n", indent);
		return;
	}
	bh_autofree char *from = end_name(w, &f->src), *to = end_name(w, &f->dst);
	bh_buf_printf(out,
		"%sexpect:\n%s- {from: \"%s\", to: \"%s\", protocol: %s, port: %u, "
		"family: ipv%u, verdict: %s}\n",
		indent, indent, from, to, bh_proto_name(f->proto, number), f->dport ? f->dport : 1,
		f->src.family, t->reference ? "allow" : "deny");
}

static void show_external(const struct trouble *t, struct bh_buf *out)
{
	const struct bh_inventory *inv = t->state[t->n_states - 1].inv;
	const struct bh_addr *end[] = {&t->probe.flow.src, &t->probe.flow.dst};
	char text[BH_ADDR_STRLEN];
	bool first = true;
	for (size_t i = 0; !t->refused && i < 2; i++) {
		if (bh_inventory_owner(inv, end[i]) != BH_OWNER_NONE)
			continue;
		bh_addr_format(end[i], text);
		bh_buf_printf(out, "%s\"%s\": [\"%s\"]", first ? "external: {" : ", ", text, text);
		first = false;
	}
	bh_buf_str(out, first ? "" : "}\n");
}

static const char *word(bool allow)
{
	return allow ? "allow" : "deny";
}

static void show_note(const struct trouble *t, struct bh_buf *out)
{
	const struct random_world *w = &t->state[t->n_states - 1];
	const struct bh_flow *f = &t->probe.flow;
	if (t->refused)
		bh_buf_str(out, "note: \"the kernel refuses the ruleset");
	else
		bh_buf_printf(out, "note: \"kernel %s, evaluator %s, reference %s; %s",
			word(t->arrived), word(t->evaluator), word(t->reference),
			t->probe.direct ? "over the bridge" : "routed");
	if (f->sport && t->probe.special)
		bh_buf_printf(out, "; source port %u", f->sport);
	if (f->icmp_type)
		bh_buf_printf(out, "; ICMP type %u", f->icmp_type);
	bh_buf_str(out, w->opts.unselected_deny ? "; unselected: deny" : "");
	bh_buf_str(out, w->opts.host_policy ? "; host: policy" : "");
	bh_buf_str(out, w->opts.reject ? "; deny: reject" : "");
	for (size_t i = 0; i < w->n_workloads; i++) {
		const struct bh_workload *wl = w->workload[i];
		if (wl->mode != BH_MODE_ENFORCE)
			bh_buf_printf(out, "; %s: mode %s", wl->name, bh_mode_name(wl->mode));
		if (wl->unenforceable)
			bh_buf_printf(out, "; %s: unenforceable", wl->name);
	}
	bh_buf_str(out, "\"\n");
}

void trouble_show(const struct trouble *t, struct bh_buf *out)
{
	bool cluster = false;
	for (size_t i = 0; i < t->n_states; i++)
		for (size_t k = 0; k < t->state[i].n_policies; k++)
			cluster |= strstr(t->state[i].policy[k], "ClusterNetworkPolicy") != NULL;
	bh_buf_printf(out, "name: agree-%llu\nsource: \"tests/system/agree --seed %llu\"\n",
		(unsigned long long)t->seed, (unsigned long long)t->seed);
	bh_buf_printf(out, "kind: %snetworkpolicy\ntags: [agree]\n", cluster ? "cluster" : "");
	show_note(t, out);
	show_external(t, out);
	show_state(&t->state[0], "", out);
	if (t->n_states == 1) {
		show_expect(t, "", out);
		return;
	}
	bh_buf_str(out, "expect: []\nthen:\n- state: changed\n");
	show_state(&t->state[1], "  ", out);
	show_expect(t, "  ", out);
}
