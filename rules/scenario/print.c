/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A world as a scenario. Everything that is not ours is quoted, so that no label or name can change
 * the structure; policies are literal blocks where a block can hold them, for people's eyes.
 */
#include <bulkhead/utf8.h>

#include "private.h"

static void put_quoted(struct bh_buf *out, const char *s)
{
	size_t len = strlen(s);
	bh_buf_str(out, "\"");
	for (size_t i = 0; i < len;) {
		uint32_t c;
		size_t n = bh_utf8_decode(s + i, len - i, &c);
		if (n == 0)
			bh_buf_str(out, "\\ufffd"); /* no YAML file can hold the byte */
		else if (c == '"' || c == '\\')
			bh_buf_printf(out, "\\%c", (int)c);
		else if (bh_utf8_unsafe(c) || c == 0xfffe || c == 0xffff)
			bh_buf_printf(out, "\\u%04x", c);
		else
			bh_buf_add(out, s + i, n);
		i += n ? n : 1;
	}
	bh_buf_str(out, "\"");
}

static void put_labels(struct bh_buf *out, const struct bh_labels *l)
{
	bh_buf_str(out, "{");
	for (size_t i = 0; i < l->n; i++) {
		bh_buf_str(out, i ? ", " : "");
		put_quoted(out, l->item[i].key);
		bh_buf_str(out, ": ");
		put_quoted(out, l->item[i].value);
	}
	bh_buf_str(out, "}");
}

/* Can a literal block hold it, to the byte? It has no escapes, and tells its indentation from the
 * first line unless that is said. */
static bool fits_block(const char *s)
{
	size_t len = strlen(s);
	if (len == 0 || s[len - 1] != '\n' || (len > 1 && s[len - 2] == '\n'))
		return false;
	for (size_t i = 0; i < len;) {
		uint32_t c;
		size_t n = bh_utf8_decode(s + i, len - i, &c);
		if (n == 0 || c == 0xfffe || c == 0xffff ||
			(bh_utf8_unsafe(c) && c != '\n' && c != '\t'))
			return false;
		i += n;
	}
	return true;
}

static void put_block(struct bh_buf *out, const char *s)
{
	bh_buf_str(out, *s == ' ' || *s == '\n' || *s == '\t' ? "|2\n" : "|\n");
	while (*s) {
		size_t n = strcspn(s, "\n") + 1;
		bh_buf_str(out, n > 1 ? "  " : "");
		bh_buf_add(out, s, n);
		s += n;
	}
}

/* A text that ends in anything but one newline gets one: it means the same. */
static void put_policy(struct bh_buf *out, const char *text)
{
	size_t len = strlen(text);
	while (len && text[len - 1] == '\n')
		len--;
	bh_autofree char *trimmed = bh_xasprintf("%.*s\n", (int)len, text);
	bh_buf_str(out, "- ");
	if (fits_block(trimmed)) {
		put_block(out, trimmed);
	} else {
		put_quoted(out, text);
		bh_buf_str(out, "\n");
	}
}

static void put_addrs(struct bh_buf *out, const struct bh_addr *a, size_t n)
{
	char text[BH_ADDR_STRLEN];
	bh_buf_str(out, "[");
	for (size_t i = 0; i < n; i++)
		bh_buf_printf(out, "%s\"%s\"", i ? ", " : "", bh_addr_format(&a[i], text));
	bh_buf_str(out, "]");
}

/* Only addresses that are really its own: of two that claim one, the inventory knows the owner. */
static size_t own_addrs(const struct bh_inventory *inv, size_t w, const struct bh_interface *i,
	struct bh_addr **ret)
{
	size_t n = 0;
	*ret = bh_xcalloc(i->n_addrs, sizeof(**ret));
	for (size_t k = 0; k < i->n_addrs; k++)
		if (bh_addr_is_link_local(&i->addr[k]) ||
			bh_inventory_owner(inv, &i->addr[k]) == (int)w)
			(*ret)[n++] = i->addr[k];
	return n;
}

static bool simple(const struct bh_workload *w)
{
	size_t v4 = 0;
	if (w->n_ifaces != 1 || w->iface[0].n_addrs > 2 || w->iface[0].host_name)
		return false;
	for (size_t i = 0; i < w->iface[0].n_addrs; i++)
		v4 += w->iface[0].addr[i].family == BH_IPV4;
	return v4 <= 1 && w->iface[0].n_addrs - v4 <= 1;
}

static void put_interface(
	struct bh_buf *out, const struct bh_inventory *inv, size_t w, const struct bh_interface *i)
{
	struct bh_addr *a;
	size_t n = own_addrs(inv, w, i, &a);
	put_addrs(out, a, n);
	free(a);
}

static void put_veth(struct bh_buf *out, const struct bh_interface *i)
{
	const uint8_t *m = i->mac;
	if (!i->host_name)
		return;
	bh_buf_str(out, ", host: ");
	put_quoted(out, i->host_name);
	if (i->bridge) {
		bh_buf_str(out, ", bridge: ");
		put_quoted(out, i->bridge);
	}
	bh_buf_printf(out, ", mac: \"%02x:%02x:%02x:%02x:%02x:%02x\"", m[0], m[1], m[2], m[3], m[4],
		m[5]);
}

static void put_addresses(struct bh_buf *out, const struct bh_inventory *inv, size_t index)
{
	const struct bh_workload *w = inv->workload[index];
	if (!w->n_ifaces)
		return;
	if (simple(w)) {
		bh_buf_str(out, ", ips: ");
		put_interface(out, inv, index, &w->iface[0]);
		return;
	}
	bh_buf_str(out, ", interfaces: [");
	for (size_t i = 0; i < w->n_ifaces; i++) {
		bh_buf_str(out, i ? ", {name: " : "{name: ");
		put_quoted(out, w->iface[i].name ? w->iface[i].name : "");
		bh_buf_str(out, ", ips: ");
		put_interface(out, inv, index, &w->iface[i]);
		put_veth(out, &w->iface[i]);
		bh_buf_str(out, "}");
	}
	bh_buf_str(out, "]");
}

static void put_ports(struct bh_buf *out, const struct bh_workload *w)
{
	char number[4];
	if (!w->n_ports)
		return;
	bh_buf_str(out, ", ports: [");
	for (size_t i = 0; i < w->n_ports; i++) {
		bh_buf_printf(out, "%s{port: %u, protocol: \"%s\"", i ? ", " : "", w->port[i].port,
			bh_proto_name(w->port[i].proto, number));
		if (w->port[i].name) {
			bh_buf_str(out, ", name: ");
			put_quoted(out, w->port[i].name);
		}
		bh_buf_str(out, "}");
	}
	bh_buf_str(out, "]");
}

/* Two runtimes may have the same names; a scenario can't. Which of them it is matters to nobody's
 * rules, those see labels. */
static void put_name(struct bh_buf *out, const struct bh_inventory *inv, size_t index)
{
	const struct bh_workload *w = inv->workload[index];
	size_t before = 0;
	while (before < index &&
		bh_streq(inv->workload[index - before - 1]->namespace, w->namespace) &&
		bh_streq(inv->workload[index - before - 1]->name, w->name))
		before++;
	if (before) {
		bh_autofree char *other = bh_xasprintf("%s~%zu", w->name, before + 1);
		put_quoted(out, other);
	} else {
		put_quoted(out, w->name);
	}
}

static void put_workload(struct bh_buf *out, const struct bh_inventory *inv, size_t index)
{
	const struct bh_workload *w = inv->workload[index];
	bh_buf_str(out, "- {name: ");
	put_name(out, inv, index);
	bh_buf_str(out, ", namespace: ");
	put_quoted(out, w->namespace);
	if (w->mode != BH_MODE_ENFORCE)
		bh_buf_printf(out, ", mode: %s", bh_mode_name(w->mode));
	bh_buf_str(out, ", labels: ");
	put_labels(out, &w->labels);
	put_addresses(out, inv, index);
	put_ports(out, w);
	if (!bh_workload_governable(w)) {
		bh_buf_str(out, w->n_ifaces ? ", unenforceable: "
					    : ", hostNetwork: true, "
					      "unenforceable: ");
		put_quoted(out, w->unenforceable);
	}
	bh_buf_str(out, "}\n");
}

static void put_nodes(struct bh_buf *out, const struct bh_inventory *inv)
{
	if (inv->n_nodes)
		bh_buf_str(out, "nodes:\n");
	for (size_t i = 0; i < inv->n_nodes; i++) {
		bh_buf_str(out, "  ");
		put_quoted(out, inv->node[i].name);
		bh_buf_str(out, ": {labels: ");
		put_labels(out, &inv->node[i].labels);
		bh_buf_str(out, ", ips: ");
		put_addrs(out, inv->node[i].addr, inv->node[i].n_addrs);
		bh_buf_str(out, "}\n");
	}
	if (inv->n_hosts) {
		bh_buf_str(out, "hostAddresses: ");
		put_addrs(out, inv->host, inv->n_hosts);
		bh_buf_str(out, "\n");
	}
}

static void put_networks(struct bh_buf *out, const struct bh_inventory *inv)
{
	char text[BH_PREFIX_STRLEN];
	if (!inv->n_networks)
		return;
	bh_buf_str(out, "networks: [");
	for (size_t i = 0; i < inv->n_networks; i++)
		bh_buf_printf(
			out, "%s\"%s\"", i ? ", " : "", bh_prefix_format(&inv->network[i], text));
	bh_buf_str(out, "]\n");
}

void bh_scenario_print(const char *name, const struct bh_inventory *inv,
	const struct bh_policy_set *policies, const struct bh_engine_opts *opts, struct bh_buf *out)
{
	bh_buf_str(out, "name: ");
	put_quoted(out, name);
	bh_buf_printf(out, "\noptions: {unselected: %s, host: %s, deny: %s}\n",
		opts->unselected_deny ? "deny" : "allow", opts->host_policy ? "policy" : "allow",
		opts->reject ? "reject" : "drop");
	bh_buf_str(out, inv->n_ns ? "namespaces:\n" : "namespaces: {}\n");
	for (size_t i = 0; i < inv->n_ns; i++) {
		bh_buf_str(out, "  ");
		put_quoted(out, inv->ns[i].name);
		bh_buf_str(out, ": ");
		put_labels(out, &inv->ns[i].labels);
		bh_buf_str(out, "\n");
	}
	put_nodes(out, inv);
	put_networks(out, inv);
	bh_buf_str(out, inv->n ? "workloads:\n" : "workloads: []\n");
	for (size_t i = 0; i < inv->n; i++)
		put_workload(out, inv, i);
	bh_buf_str(out, policies->n ? "policies:\n" : "policies: []\n");
	for (size_t i = 0; i < policies->n; i++)
		put_policy(out, policies->policy[i]->text);
}
