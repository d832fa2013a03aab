/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The canonical form of a ClusterNetworkPolicy. Rules' names are free text and the only strings
 * that need escapes; control characters were refused when they were read.
 */
#include "private.h"

static void put_string(const char *s, struct bh_buf *out)
{
	bh_buf_str(out, "\"");
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			bh_buf_str(out, "\\");
		bh_buf_add(out, s, 1);
	}
	bh_buf_str(out, "\"");
}

static void put_pods(
	const struct bh_selector *namespaces, const struct bh_selector *pods, struct bh_buf *out)
{
	bh_buf_str(out, "\"pods\":{\"namespaceSelector\":");
	bh_policy_canonical_selector(namespaces, out);
	bh_buf_str(out, ",\"podSelector\":");
	bh_policy_canonical_selector(pods, out);
	bh_buf_str(out, "}");
}

static void put_networks(const struct bh_policy_peer *p, struct bh_buf *out)
{
	char text[BH_PREFIX_STRLEN];
	bh_buf_str(out, "\"networks\":[");
	for (size_t i = 0; i < p->n_networks; i++)
		bh_buf_printf(
			out, "%s\"%s\"", i ? "," : "", bh_prefix_format(&p->network[i], text));
	bh_buf_str(out, "]");
}

static void put_peer(const struct bh_policy_peer *p, struct bh_buf *out)
{
	bh_buf_str(out, "{");
	if (p->n_networks) {
		put_networks(p, out);
	} else if (p->has_nodes) {
		bh_buf_str(out, "\"nodes\":");
		bh_policy_canonical_selector(&p->nodes, out);
	} else if (p->has_pods) {
		put_pods(&p->namespaces, &p->pods, out);
	} else {
		bh_buf_str(out, "\"namespaces\":");
		bh_policy_canonical_selector(&p->namespaces, out);
	}
	bh_buf_str(out, "}");
}

static void put_port(const struct bh_policy_port *p, struct bh_buf *out)
{
	const char *proto = p->proto == BH_UDP ? "udp" : p->proto == BH_SCTP ? "sctp" : "tcp";
	if (p->name)
		bh_buf_printf(out, "{\"destinationNamedPort\":\"%s\"}", p->name);
	else if (p->first == p->last)
		bh_buf_printf(
			out, "{\"%s\":{\"destinationPort\":{\"number\":%u}}}", proto, p->first);
	else
		bh_buf_printf(out,
			"{\"%s\":{\"destinationPort\":{\"range\":{\"start\":%u,\"end\":%u}}}}",
			proto, p->first, p->last);
}

static void put_rule(const struct bh_policy_rule *r, const char *peers, struct bh_buf *out)
{
	bh_buf_str(out, "{");
	if (r->name) {
		bh_buf_str(out, "\"name\":");
		put_string(r->name, out);
		bh_buf_str(out, ",");
	}
	bh_buf_printf(out, "\"action\":\"%s\",\"%s\":[", bh_rule_action_name(r->action), peers);
	for (size_t i = 0; i < r->n_peers; i++) {
		bh_buf_str(out, i ? "," : "");
		put_peer(&r->peer[i], out);
	}
	bh_buf_str(out, "]");
	for (size_t i = 0; i < r->n_ports; i++) {
		bh_buf_str(out, i ? "," : ",\"protocols\":[");
		put_port(&r->port[i], out);
	}
	bh_buf_str(out, r->n_ports ? "]}" : "}");
}

static void put_rules(const struct bh_policy *p, enum bh_direction d, const char *field,
	const char *peers, struct bh_buf *out)
{
	for (size_t i = 0; i < p->n_rules[d]; i++) {
		if (i)
			bh_buf_str(out, ",");
		else
			bh_buf_printf(out, ",\"%s\":[", field);
		put_rule(&p->rule[d][i], peers, out);
	}
	if (p->n_rules[d])
		bh_buf_str(out, "]");
}

void bh_policy_canonical_cluster(const struct bh_policy *p, struct bh_buf *out)
{
	bh_buf_printf(out,
		"{\"apiVersion\":\"policy.networking.k8s.io/v1alpha2\","
		"\"kind\":\"ClusterNetworkPolicy\",\"metadata\":{\"name\":\"%s\"},"
		"\"spec\":{\"tier\":\"%s\",\"priority\":%u,\"subject\":{",
		p->name, bh_tier_name(p->tier), p->priority);
	if (p->pods.n) {
		put_pods(&p->namespaces, &p->pods, out);
	} else {
		bh_buf_str(out, "\"namespaces\":");
		bh_policy_canonical_selector(&p->namespaces, out);
	}
	bh_buf_str(out, "}");
	put_rules(p, BH_INGRESS, "ingress", "from", out);
	put_rules(p, BH_EGRESS, "egress", "to", out);
	bh_buf_str(out, "}}\n");
}
