/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `expect`: what must become of new connections. A probe that cannot be made is an error, never
 * left out: it would look like one that passed. */
#include <errno.h>
#include <netinet/in.h>

#include "private.h"

#define SOURCE_PORT 40000 /* any that means nothing in particular */

static const char *const keys[] = {"from", "to", "protocol", "port", "family", "verdict", NULL};

static int read_family(struct loader *l, const struct bh_node *n, uint8_t *ret)
{
	const char *text;
	*ret = 0;
	if (bh_node_is_null(n))
		return 0;
	if (bh_read_string(&l->r, n, "expect[].family", &text) < 0)
		return -EINVAL;
	if (bh_streq(text, "ipv4") || bh_streq(text, "ipv6")) {
		*ret = text[3] == '4' ? BH_IPV4 : BH_IPV6;
		return 0;
	}
	bh_read_error(&l->r, n, "expect[].family", "ipv4 or ipv6", "unknown family");
	return -EINVAL;
}

static int read_verdict(struct loader *l, const struct bh_node *n, bool *ret)
{
	const char *text;
	if (bh_read_string(&l->r, n, "expect[].verdict", &text) < 0)
		return -EINVAL;
	*ret = bh_streq(text, "allow");
	if (*ret || bh_streq(text, "deny"))
		return 0;
	bh_read_error(&l->r, n, "expect[].verdict", "allow or deny", "unknown verdict");
	return -EINVAL;
}

static bool has_ports(uint8_t proto)
{
	return proto == BH_TCP || proto == BH_UDP || proto == BH_SCTP;
}

static int read_service(struct loader *l, const struct bh_node *probe, struct bh_flow *f)
{
	const struct bh_node *proto = bh_node_get(probe, "protocol");
	const struct bh_node *number = bh_node_get(probe, "port");
	const char *text;
	int64_t port;
	f->proto = BH_TCP;
	if (proto && bh_read_string(&l->r, proto, "expect[].protocol", &text) < 0)
		return -EINVAL;
	if (proto && (bh_proto_parse(text, &f->proto) < 0 ||
			     (!has_ports(f->proto) && f->proto != IPPROTO_ICMP &&
				     f->proto != IPPROTO_ICMPV6))) {
		bh_read_error(&l->r, proto, "expect[].protocol", "TCP, UDP, SCTP or ICMP",
			"unknown protocol");
		return -EINVAL;
	}
	if (!has_ports(f->proto)) {
		if (!number)
			return 0;
		bh_read_error(&l->r, number, "expect[].port", "leave it out", "ICMP has no ports");
		return -EINVAL;
	}
	if (!number) {
		bh_read_error(&l->r, probe, "expect[].port", "a number from 1 to 65535", "missing");
		return -EINVAL;
	}
	if (bh_read_int(&l->r, number, "expect[].port", 1, 65535, &port) < 0)
		return -EINVAL;
	f->sport = SOURCE_PORT;
	f->dport = (uint16_t)port;
	return 0;
}

/* An echo request, whichever of the two names was written. */
static void complete_icmp(struct bh_flow *f)
{
	if (has_ports(f->proto))
		return;
	f->proto = f->src.family == BH_IPV6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	f->icmp_type = f->src.family == BH_IPV6 ? 128 : 8;
}

static int explain_end(struct loader *l, const struct bh_node *n, const char *path,
	const struct bh_scenario_state *st, const char *name, uint8_t family)
{
	struct bh_addr a;
	int r = bh_scenario_resolve(st, name, family, &a);
	bh_autofree char *quoted = bh_diag_quote(name, strlen(name));
	if (r == -ENOENT)
		bh_read_error(&l->r, n, path,
			"NAMESPACE/NAME, external:NAME, node:NAME or an "
			"address",
			"there is no \"%s\" in this state", quoted);
	else if (r < 0)
		bh_read_error(&l->r, n, path, NULL, "\"%s\" has no %saddress", quoted,
			family == BH_IPV4   ? "IPv4 "
			: family == BH_IPV6 ? "IPv6 "
					    : "");
	return r;
}

static int resolve(struct loader *l, const struct bh_node *n, const struct bh_scenario_state *st,
	uint8_t family, const char *from, const char *to, struct bh_flow *f)
{
	int e = bh_scenario_resolve_pair(st, from, to, family, &f->src, &f->dst);
	if (e == 0 || l->faulty)
		return e;
	int a = explain_end(l, bh_node_get(n, "from"), "expect[].from", st, from, family);
	int b = explain_end(l, bh_node_get(n, "to"), "expect[].to", st, to, family);
	if (a == 0 && b == 0)
		bh_read_error(&l->r, n, "expect[]", NULL,
			"the two ends have no address family in common");
	return e;
}

static int read_text(struct loader *l, const struct bh_node *probe, const char *key,
	const char *path, const char **ret)
{
	const struct bh_node *n = bh_node_get(probe, key);
	if (n)
		return bh_read_string(&l->r, n, path, ret);
	bh_read_error(&l->r, probe, path, NULL, "missing");
	return -EINVAL;
}

static void read_probe(struct loader *l, const struct bh_node *n, struct bh_scenario_state *st)
{
	struct bh_scenario_probe p = {.line = n->line, .column = n->column};
	const char *from, *to, *verdict;
	uint8_t family;
	if (bh_read_map(&l->r, n, "expect[]") < 0 ||
		bh_read_known_keys(&l->r, n, "expect[]", keys) > 0 ||
		read_text(l, n, "from", "expect[].from", &from) < 0 ||
		read_text(l, n, "to", "expect[].to", &to) < 0 || read_service(l, n, &p.flow) < 0 ||
		read_family(l, bh_node_get(n, "family"), &family) < 0 ||
		read_text(l, n, "verdict", "expect[].verdict", &verdict) < 0 ||
		read_verdict(l, bh_node_get(n, "verdict"), &p.allow) < 0 ||
		resolve(l, n, st, family, from, to, &p.flow) < 0)
		return;
	complete_icmp(&p.flow);
	p.from = bh_xstrdup(from);
	p.to = bh_xstrdup(to);
	st->probe[st->n_probes++] = p;
}

void scenario_read_probes(struct loader *l, const struct bh_node *seq, struct bh_scenario_state *st)
{
	if (bh_node_is_null(seq) || bh_read_seq(&l->r, seq, "expect") < 0)
		return;
	st->probe = bh_xcalloc(seq->n, sizeof(*st->probe));
	for (size_t i = 0; i < seq->n; i++)
		read_probe(l, seq->child[i], st);
}
