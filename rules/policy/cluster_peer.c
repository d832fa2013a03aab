/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Peers of a ClusterNetworkPolicy's rules: exactly one member each. What a node cannot honour is
 * refused at load, whatever the rule's action: a Deny that is not in force is as bad as an Accept
 * that reaches too far.
 */
#include "private.h"

#define CIDR_MAX 43 /* characters, by the CRD */

void bh_policy_read_namespaced_pods(struct bh_policy_ctx *c, const struct bh_node *n,
	struct bh_selector *ret_namespaces, struct bh_selector *ret_pods)
{
	static const char *const keys[] = {"namespaceSelector", "podSelector", NULL};
	if (!bh_policy_is_map(c, n, keys))
		return;
	const struct bh_node *ns = bh_policy_field(n, "namespaceSelector");
	const struct bh_node *pods =
		bh_policy_required(c, n, "podSelector", "{} selects every workload");
	if (ns) {
		size_t at = bh_policy_push(c, "namespaceSelector");
		bh_policy_read_selector(c, ns, ret_namespaces);
		bh_policy_pop(c, at);
	}
	if (pods) {
		size_t at = bh_policy_push(c, "podSelector");
		bh_policy_read_selector(c, pods, ret_pods);
		bh_policy_pop(c, at);
	}
}

struct list {
	const struct bh_node *seq;
	size_t i; /* of the item at hand: null ones are not counted here but refused */
	struct bh_policy_peer *peer;
};

/* The CRD's lists are sets, by their text. */
static bool is_repeated(struct bh_policy_ctx *c, const struct bh_node *n, const struct list *l)
{
	for (size_t i = 0; i < l->seq->n && l->seq->child[i] != n && i < BH_CLUSTER_MAX_ITEMS;
		i++) {
		const struct bh_node *o = l->seq->child[i];
		if (o->kind != BH_NODE_SCALAR || o->len != n->len ||
			memcmp(o->str, n->str, n->len) != 0)
			continue;
		bh_autofree char *quoted = bh_diag_quote(n->str, n->len);
		bh_policy_error(c, n, "remove one of the two", "\"%s\" stands twice", quoted);
		return true;
	}
	return false;
}

/* One range in two spellings is a set to the API, and one range to us. */
static void add_network(struct bh_policy_ctx *c, const struct bh_node *n, struct bh_policy_peer *p,
	const struct bh_prefix *x)
{
	char text[BH_PREFIX_STRLEN];
	for (size_t i = 0; i < p->n_networks; i++)
		if (p->network[i].len == x->len && bh_addr_eq(&p->network[i].addr, &x->addr)) {
			bh_policy_warning(c, n, "remove one of the two",
				"the same as %s, which is listed already",
				bh_prefix_format(x, text));
			return;
		}
	p->network = bh_xrealloc(p->network, p->n_networks + 1, sizeof(*p->network));
	p->network[p->n_networks++] = *x;
}

static void read_network(struct bh_policy_ctx *c, const struct bh_node *n, void *arg)
{
	struct list *l = arg;
	struct bh_prefix x;
	if (l->i++ >= BH_CLUSTER_MAX_ITEMS || !bh_policy_read_cidr(c, n, &x) ||
		is_repeated(c, n, l))
		return;
	if (n->len > CIDR_MAX)
		bh_policy_error(c, n, "shorten it with ::", "longer than %d characters", CIDR_MAX);
	else
		add_network(c, n, l->peer, &x);
}

static bool is_domain_char(char x)
{
	return (x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') || (x >= '0' && x <= '9');
}

/* The CRD's pattern: [*.] two labels or more [.] */
static bool is_domain(const char *s)
{
	size_t n = strlen(s), labels = 0, start = 0;
	if (strncmp(s, "*.", 2) == 0) {
		s += 2;
		n -= 2;
	}
	if (n && s[n - 1] == '.')
		n--;
	for (size_t i = 0; i <= n; i++) {
		if (i < n && s[i] != '.') {
			if (!is_domain_char(s[i]) && s[i] != '-' && s[i] != '_')
				return false;
			continue;
		}
		if (i == start || !is_domain_char(s[start]) || !is_domain_char(s[i - 1]))
			return false;
		labels++;
		start = i + 1;
	}
	return labels >= 2;
}

static void check_domain(struct bh_policy_ctx *c, const struct bh_node *n, void *arg)
{
	struct list *l = arg;
	const char *text;
	if (l->i++ >= BH_CLUSTER_MAX_ITEMS || bh_read_string(&c->r, n, c->path.s, &text) < 0)
		return;
	if (!is_domain(text)) {
		bh_autofree char *quoted = bh_diag_quote(n->str, n->len);
		bh_policy_error(
			c, n, "NAME.NAME or *.NAME.NAME", "\"%s\" is not a domain name", quoted);
		return;
	}
	is_repeated(c, n, l);
}

/* Its syntax first: what is not even a domain name has its error at the item. */
static void refuse_domains(
	struct bh_policy_ctx *c, const struct bh_node *peer, const struct bh_node *names)
{
	struct list l = {.seq = names};
	size_t errors = c->r.diags->n_errors;
	bh_policy_check_count(c, peer, "domainNames", 1, BH_CLUSTER_MAX_ITEMS);
	bh_policy_each(c, peer, "domainNames", check_domain, &l);
	if (c->r.diags->n_errors != errors)
		return;
	size_t at = bh_policy_push(c, "domainNames");
	bh_policy_error(c, bh_node_get_key(peer, "domainNames"), "give the addresses in networks",
		"domainNames are not supported yet");
	bh_policy_pop(c, at);
}

static void read_nodes(struct bh_policy_ctx *c, const struct bh_node *n, struct bh_policy_peer *ret)
{
	ret->has_nodes = true;
	bh_policy_read_selector(c, n, &ret->nodes);
	if (c->opts->nodes == BH_NODES_UNKNOWN)
		bh_policy_error(c, n, "give their addresses in networks",
			"the nodes of the cluster are not known here");
	else if (c->opts->nodes == BH_NODES_UNSURE)
		bh_policy_warning(c, n, "give their addresses in networks",
			"refused by a daemon that does not know the nodes");
}

void bh_policy_read_cluster_peer(struct bh_policy_ctx *c, const struct bh_node *n,
	enum bh_direction d, struct bh_policy_peer *ret)
{
	static const char *const from[] = {"namespaces", "pods", NULL};
	static const char *const to[] = {
		"namespaces", "pods", "nodes", "networks", "domainNames", NULL};
	ret->line = n->line;
	ret->column = n->column;
	const char *key = bh_policy_one_of(c, n, d == BH_INGRESS ? from : to, "make it two items");
	if (!key)
		return;
	const struct bh_node *member = bh_policy_field(n, key);
	if (bh_streq(key, "domainNames")) {
		refuse_domains(c, n, member);
		return;
	}
	if (bh_streq(key, "networks")) {
		struct list l = {.seq = member, .peer = ret};
		bh_policy_check_count(c, n, key, 1, BH_CLUSTER_MAX_ITEMS);
		bh_policy_each(c, n, key, read_network, &l);
		return;
	}
	size_t at = bh_policy_push(c, key);
	if (bh_streq(key, "nodes")) {
		read_nodes(c, member, ret);
	} else {
		ret->has_namespaces = true;
		ret->has_pods = bh_streq(key, "pods");
		if (ret->has_pods)
			bh_policy_read_namespaced_pods(c, member, &ret->namespaces, &ret->pods);
		else
			bh_policy_read_selector(c, member, &ret->namespaces);
	}
	bh_policy_pop(c, at);
}
