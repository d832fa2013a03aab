/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A policy as JSON without choice: same meaning, same rule order, same bytes. Hashes of policy sets
 * are over it, and it is the text of policies that came out of a list. Nothing is escaped: every
 * string in a parsed NetworkPolicy has passed a syntax check that leaves no quotes or control
 * characters.
 */
#include "private.h"

static const char *proto_name(uint8_t proto)
{
	return proto == BH_UDP ? "UDP" : proto == BH_SCTP ? "SCTP" : "TCP";
}

void bh_policy_canonical_selector(const struct bh_selector *s, struct bh_buf *out)
{
	static const char *const op[] = {
		[BH_SEL_IN] = "In",
		[BH_SEL_NOT_IN] = "NotIn",
		[BH_SEL_EXISTS] = "Exists",
		[BH_SEL_NOT_EXISTS] = "DoesNotExist",
	};
	bh_buf_str(out, "{");
	for (size_t i = 0; i < s->n; i++) {
		const struct bh_requirement *r = &s->req[i];
		bh_buf_printf(out, "%s{\"key\":\"%s\",\"operator\":\"%s\"",
			i ? "," : "\"matchExpressions\":[", r->key, op[r->op]);
		for (size_t k = 0; k < r->n_values; k++)
			bh_buf_printf(out, "%s\"%s\"", k ? "," : ",\"values\":[", r->value[k]);
		bh_buf_str(out, r->n_values ? "]}" : "}");
	}
	bh_buf_str(out, s->n ? "]}" : "}");
}

static void put_block(const struct bh_ip_block *b, struct bh_buf *out)
{
	char text[BH_PREFIX_STRLEN];
	bh_buf_printf(out, "\"ipBlock\":{\"cidr\":\"%s\"", bh_prefix_format(&b->cidr, text));
	for (size_t i = 0; i < b->n_except; i++)
		bh_buf_printf(out, "%s\"%s\"", i ? "," : ",\"except\":[",
			bh_prefix_format(&b->except[i], text));
	bh_buf_str(out, b->n_except ? "]}" : "}");
}

static void put_peer(const struct bh_policy_peer *p, struct bh_buf *out)
{
	bh_buf_str(out, "{");
	if (p->block)
		put_block(p->block, out);
	if (p->has_namespaces) {
		bh_buf_str(out, "\"namespaceSelector\":");
		bh_policy_canonical_selector(&p->namespaces, out);
	}
	if (p->has_pods) {
		bh_buf_str(out, p->has_namespaces ? ",\"podSelector\":" : "\"podSelector\":");
		bh_policy_canonical_selector(&p->pods, out);
	}
	bh_buf_str(out, "}");
}

static void put_port(const struct bh_policy_port *p, struct bh_buf *out)
{
	bh_buf_printf(out, "{\"protocol\":\"%s\"", proto_name(p->proto));
	if (p->name)
		bh_buf_printf(out, ",\"port\":\"%s\"", p->name);
	else if (!p->any)
		bh_buf_printf(out, ",\"port\":%u", p->first);
	if (!p->any && !p->name && p->last != p->first)
		bh_buf_printf(out, ",\"endPort\":%u", p->last);
	bh_buf_str(out, "}");
}

static void put_rule(const struct bh_policy_rule *r, const char *peers, struct bh_buf *out)
{
	bh_buf_str(out, "{");
	for (size_t i = 0; i < r->n_peers; i++) {
		if (i)
			bh_buf_str(out, ",");
		else
			bh_buf_printf(out, "\"%s\":[", peers);
		put_peer(&r->peer[i], out);
	}
	if (r->n_peers)
		bh_buf_str(out, r->n_ports ? "]," : "]");
	for (size_t i = 0; i < r->n_ports; i++) {
		bh_buf_str(out, i ? "," : "\"ports\":[");
		put_port(&r->port[i], out);
	}
	bh_buf_str(out, r->n_ports ? "]}" : "}");
}

static void put_rules(const struct bh_policy *p, enum bh_direction d, const char *field,
	const char *peers, struct bh_buf *out)
{
	if (!p->isolates[d])
		return;
	bh_buf_printf(out, ",\"%s\":[", field);
	for (size_t i = 0; i < p->n_rules[d]; i++) {
		if (i)
			bh_buf_str(out, ",");
		put_rule(&p->rule[d][i], peers, out);
	}
	bh_buf_str(out, "]");
}

void bh_policy_canonical(const struct bh_policy *p, struct bh_buf *out)
{
	if (p->tier != BH_TIER_NETWORK_POLICY) {
		bh_policy_canonical_cluster(p, out);
		return;
	}
	bool in = p->isolates[BH_INGRESS], eg = p->isolates[BH_EGRESS];
	bh_buf_printf(out,
		"{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\","
		"\"metadata\":{\"name\":\"%s\",\"namespace\":\"%s\"},\"spec\":{\"podSelector\":",
		p->name, p->namespace);
	bh_policy_canonical_selector(&p->pods, out);
	bh_buf_printf(out, ",\"policyTypes\":[%s%s%s]", in ? "\"Ingress\"" : "",
		in && eg ? "," : "", eg ? "\"Egress\"" : "");
	put_rules(p, BH_INGRESS, "ingress", "from", out);
	put_rules(p, BH_EGRESS, "egress", "to", out);
	bh_buf_str(out, "}}\n");
}

bool bh_policy_equal(const struct bh_policy *a, const struct bh_policy *b)
{
	bh_autobuf struct bh_buf x = {0}, y = {0};
	bh_policy_canonical(a, &x);
	bh_policy_canonical(b, &y);
	return x.len == y.len && memcmp(x.s, y.s, x.len) == 0;
}
