/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Random policies as text. Small vocabularies, so that things match often enough to matter. */
#include "lib/random_private.h"

static const char *const protos[] = {"TCP", "UDP", "SCTP"};

static void selector(struct random_world *w, struct bh_buf *out)
{
	static const char *const ops[] = {"In", "NotIn", "Exists", "DoesNotExist"};
	unsigned kind = random_below(w, 4);
	bh_buf_str(out, "{");
	if (kind & 1)
		bh_buf_printf(out, "matchLabels: {%s: \"%s\"}", PICK(w, random_keys),
			PICK(w, random_values));
	if (kind == 3)
		bh_buf_str(out, ", ");
	if (kind & 2) {
		unsigned op = random_below(w, 4);
		bh_buf_printf(out, "matchExpressions: [{key: %s, operator: %s",
			PICK(w, random_keys), ops[op]);
		if (op < 2)
			bh_buf_printf(out, ", values: [\"%s\", \"%s\"]", PICK(w, random_values),
				PICK(w, random_values));
		bh_buf_str(out, "}]");
	}
	bh_buf_str(out, "}");
}

/* `n` to `n` + 2 items in brackets. */
static void list(struct random_world *w, struct bh_buf *out, unsigned n,
	void (*item)(struct random_world *, struct bh_buf *))
{
	n += random_below(w, 4 - n);
	bh_buf_str(out, "[");
	for (unsigned i = 0; i < n; i++) {
		bh_buf_str(out, i ? ", " : "");
		item(w, out);
	}
	bh_buf_str(out, "]");
}

/* --- NetworkPolicy --- */

static void peer(struct random_world *w, struct bh_buf *out)
{
	static const char *const blocks[] = {
		"cidr: 0.0.0.0/0",
		"cidr: \"::/0\"",
		"cidr: 10.1.0.0/16, except: [10.1.1.0/24]",
		"cidr: 10.1.0.0/16, except: [10.1.0.0/17, 10.1.128.0/17]",
		"cidr: 192.0.2.0/24, except: [192.0.2.11/32, 192.0.2.64/26]",
		"cidr: 198.51.100.7/32",
		"cidr: 0.0.0.0/0, except: [192.0.2.0/24, 10.0.0.0/8]",
		"cidr: \"fd00:1::/64\", except: [\"fd00:1::1:0/112\"]",
		"cidr: \"2001:db8::/32\"",
		"cidr: 10.1.0.1/32",
	};
	unsigned kind = random_below(w, 10);
	if (kind < 3) {
		bh_buf_printf(out, "{ipBlock: {%s}}", PICK(w, blocks));
		return;
	}
	bh_buf_str(out, "{");
	if (kind < 8) {
		bh_buf_str(out, "podSelector: ");
		selector(w, out);
	}
	if (kind > 5) {
		bh_buf_str(out, kind < 8 ? ", namespaceSelector: " : "namespaceSelector: ");
		selector(w, out);
	}
	bh_buf_str(out, "}");
}

static void policy_port(struct random_world *w, struct bh_buf *out)
{
	unsigned kind = random_below(w, 10);
	bh_buf_printf(out, "{protocol: %s", PICK(w, protos));
	if (kind < 5)
		bh_buf_printf(out, ", port: %u", PICK(w, random_ports));
	else if (kind < 7)
		bh_buf_printf(out, ", port: %s", PICK(w, random_port_names));
	else if (kind < 9)
		bh_buf_printf(out, ", port: %u, endPort: %u", 50 + random_below(w, 31),
			81 + random_below(w, 400));
	bh_buf_str(out, "}");
}

static void rules(struct random_world *w, struct bh_buf *out, bool egress)
{
	unsigned n = random_below(w, 4);
	bh_buf_printf(out, "  %s: [", egress ? "egress" : "ingress");
	for (unsigned i = 0; i < n; i++) {
		bh_buf_printf(out, "%s{%s: ", i ? ",\n    " : "", egress ? "to" : "from");
		list(w, out, 0, peer);
		bh_buf_str(out, ", ports: ");
		list(w, out, 0, policy_port);
		bh_buf_str(out, "}");
	}
	bh_buf_str(out, "]\n");
}

static void network_policy(struct random_world *w, unsigned n, struct bh_buf *out)
{
	static const char *const types[] = {"", "  policyTypes: [Ingress]\n",
		"  policyTypes: [Egress]\n", "  policyTypes: [Ingress, Egress]\n"};
	bh_buf_printf(out,
		"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
		"metadata: {name: p%u, namespace: %s}\nspec:\n  podSelector: ",
		n, PICK(w, random_namespaces));
	selector(w, out);
	bh_buf_str(out, "\n");
	bh_buf_str(out, PICK(w, types));
	if (random_chance(w, 70))
		rules(w, out, false);
	if (random_chance(w, 70))
		rules(w, out, true);
}

/* --- ClusterNetworkPolicy --- */

/* A subject, or a peer that means workloads. */
static void cluster_workloads(struct random_world *w, struct bh_buf *out)
{
	if (random_chance(w, 50)) {
		bh_buf_str(out, "{namespaces: ");
		selector(w, out);
		bh_buf_str(out, "}");
		return;
	}
	bh_buf_str(out, "{pods: {namespaceSelector: ");
	selector(w, out);
	bh_buf_str(out, ", podSelector: ");
	selector(w, out);
	bh_buf_str(out, "}}");
}

static void networks(struct random_world *w, struct bh_buf *out)
{
	static const char *const nets[] = {"0.0.0.0/0", "\"::/0\"", "10.1.0.0/16",
		"\"fd00:1::/64\"", "192.0.2.0/24", "\"2001:db8::/32\"", "10.1.1.0/24",
		"198.51.100.7/32", "\"fd00:1::1:0/112\""};
	unsigned n = 1 + random_below(w, 3), at = random_below(w, BH_ARRAY_SIZE(nets));
	bh_buf_str(out, "{networks: [");
	for (unsigned i = 0; i < n; i++) /* none twice */
		bh_buf_printf(out, "%s%s", i ? ", " : "", nets[(at + i) % BH_ARRAY_SIZE(nets)]);
	bh_buf_str(out, "]}");
}

static void cluster_egress_peer(struct random_world *w, struct bh_buf *out)
{
	unsigned kind = random_below(w, 10);
	if (kind < 3) {
		networks(w, out);
	} else if (kind < 5) {
		bh_buf_str(out, "{nodes: ");
		selector(w, out);
		bh_buf_str(out, "}");
	} else {
		cluster_workloads(w, out);
	}
}

static void cluster_number(struct random_world *w, struct bh_buf *out)
{
	static const char *const lower[] = {"tcp", "udp", "sctp"};
	bh_buf_printf(out, "{%s: {destinationPort: {", PICK(w, lower));
	if (random_chance(w, 65))
		bh_buf_printf(out, "number: %u}}}", PICK(w, random_ports));
	else
		bh_buf_printf(out, "range: {start: %u, end: %u}}}}", 50 + random_below(w, 31),
			81 + random_below(w, 400));
}

static void cluster_protocol(struct random_world *w, struct bh_buf *out)
{
	if (random_chance(w, 30))
		bh_buf_printf(out, "{destinationNamedPort: %s}", PICK(w, random_port_names));
	else
		cluster_number(w, out);
}

static void cluster_rules(struct random_world *w, struct bh_buf *out, bool egress)
{
	static const char *const actions[] = {"Accept", "Deny", "Pass"};
	unsigned n = 1 + random_below(w, 4);
	bh_buf_printf(out, "  %s:\n", egress ? "egress" : "ingress");
	for (unsigned i = 0; i < n; i++) {
		/* A named port means nothing beside networks, and is refused there. */
		bool pods = !egress || random_chance(w, 50);
		bh_buf_printf(
			out, "  - {action: %s, %s: ", PICK(w, actions), egress ? "to" : "from");
		list(w, out, 1, pods ? cluster_workloads : cluster_egress_peer);
		if (random_chance(w, 60)) {
			bh_buf_str(out, ", protocols: ");
			list(w, out, 1, pods ? cluster_protocol : cluster_number);
		}
		bh_buf_str(out, "}\n");
	}
}

static void cluster_policy(struct random_world *w, unsigned n, struct bh_buf *out)
{
	static const unsigned priorities[] = {0, 7, 7, 8, 1000}; /* ties too: the name decides */
	unsigned parts = 1 + random_below(w, 3);
	bh_buf_printf(out,
		"apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\n"
		"metadata: {name: p%u}\nspec:\n  tier: %s\n  priority: %u\n  subject: ",
		n, random_chance(w, 50) ? "Admin" : "Baseline", PICK(w, priorities));
	cluster_workloads(w, out);
	bh_buf_str(out, "\n");
	if (parts & 1)
		cluster_rules(w, out, false);
	if (parts & 2)
		cluster_rules(w, out, true);
}

char *random_policy(struct random_world *w, unsigned n)
{
	struct bh_buf out = {0};
	if ((w->features & RANDOM_CLUSTER) && random_chance(w, 45))
		cluster_policy(w, n, &out);
	else
		network_policy(w, n, &out);
	return bh_buf_take(&out);
}
