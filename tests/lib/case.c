/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * See lib/case.h. Everything a case gets wrong is a diagnostic, never a guess: a probe that was
 * silently skipped or aimed at the wrong address would look like a passing test.
 */
#include "lib/case_private.h"

#include <errno.h>

static const char *const section_keys[] = {"name", "source", "kind", "tags", "note", "namespaces",
	"external", "nodes", "workloads", "policies", "expect", "then", NULL};
static const char *const then_keys[] = {"state", "note", "namespaces", "external", "nodes",
	"workloads", "policies", "expect", NULL};

static struct bh_policy_set *read_policies(struct bh_case_loader *l, const struct bh_node *seq)
{
	struct bh_policy_set *set = NULL;
	if (bh_node_is_null(seq))
		return bh_policy_set_new_empty();
	if (bh_read_seq(&l->r, seq, "policies") < 0)
		return NULL;
	struct bh_policy_source *src = bh_xcalloc(seq->n, sizeof(*src));
	bool good = true;
	for (size_t i = 0; i < seq->n; i++) {
		src[i].file = l->file;
		src[i].len = seq->child[i]->len;
		good &= bh_read_string(&l->r, seq->child[i], "policies[]", &src[i].text) == 0;
	}
	const struct bh_policy_parse_opts opts = {.default_ns = "default"};
	if (good)
		bh_policy_set_parse(src, seq->n, &opts, l->r.diags, &set);
	free(src);
	return set;
}

struct addr_pick {
	uint8_t family; /* wanted, 0 = any */
	struct bh_addr addr; /* first that fits; family 0 = none yet */
};

static void pick_addr(void *arg, const struct bh_addr *a)
{
	struct addr_pick *p = arg;
	if (p->addr.family == 0 && (p->family == 0 || p->family == a->family))
		p->addr = *a;
}

static bool has_prefix(const char *s, const char *prefix, const char **ret_rest)
{
	size_t n = strlen(prefix);
	if (strncmp(s, prefix, n) != 0)
		return false;
	*ret_rest = s + n;
	return true;
}

/* The first address of an end in the wanted family. -ENOENT: no such end, or none in it. */
static int resolve_end(struct bh_case_loader *l, const struct bh_case_sections *s,
	const struct bh_inventory *inv, const char *end, uint8_t family, struct bh_addr *ret)
{
	struct addr_pick p = {.family = family};
	const char *name;
	if (has_prefix(end, "external:", &name)) {
		const struct bh_node *n = s->external ? bh_node_get(s->external, name) : NULL;
		if (n)
			bh_case_read_addrs(l, n, "external", pick_addr, &p);
	} else if (has_prefix(end, "node:", &name)) {
		const struct bh_node *n = s->nodes ? bh_node_get(s->nodes, name) : NULL;
		if (n)
			bh_case_read_addrs(l, bh_node_get(n, "ips"), "nodes.ips", pick_addr, &p);
	} else {
		for (size_t i = 0; i < inv->n; i++) {
			const struct bh_workload *w = inv->workload[i];
			size_t ns = strlen(w->namespace);
			if (strncmp(end, w->namespace, ns) != 0 || end[ns] != '/' ||
				!bh_streq(end + ns + 1, w->name))
				continue;
			for (size_t k = 0; w->n_ifaces && k < w->iface[0].n_addrs; k++)
				pick_addr(&p, &w->iface[0].addr[k]);
		}
	}
	if (p.addr.family == 0)
		return -ENOENT;
	*ret = p.addr;
	return 0;
}

static int resolve_probe(struct bh_case_loader *l, const struct bh_case_sections *s,
	const struct bh_inventory *inv, uint8_t family, struct bh_case_probe *p)
{
	static const uint8_t order[] = {BH_IPV4, BH_IPV6};
	for (size_t i = 0; i < BH_ARRAY_SIZE(order); i++) {
		if (family != 0 && family != order[i])
			continue;
		if (resolve_end(l, s, inv, p->from, order[i], &p->flow.src) == 0 &&
			resolve_end(l, s, inv, p->to, order[i], &p->flow.dst) == 0)
			return 0;
	}
	return -ENOENT;
}

static int read_family(struct bh_case_loader *l, const struct bh_node *n, uint8_t *ret)
{
	const char *text;
	if (!n)
		return 0;
	if (bh_read_string(&l->r, n, "expect[].family", &text) < 0)
		return -EINVAL;
	if (bh_streq(text, "ipv4"))
		*ret = BH_IPV4;
	else if (bh_streq(text, "ipv6"))
		*ret = BH_IPV6;
	else {
		bh_read_error(&l->r, n, "expect[].family", "ipv4 or ipv6", "unknown family");
		return -EINVAL;
	}
	return 0;
}

static void read_probe(struct bh_case_loader *l, const struct bh_case_sections *s,
	const struct bh_node *n, struct bh_case_state *st)
{
	static const char *const keys[] = {
		"from", "to", "protocol", "port", "family", "verdict", NULL};
	const char *path = "expect[]", *from, *to, *verdict;
	struct bh_case_probe p = {.line = n->line};
	uint8_t family = 0;
	int64_t port;
	if (bh_read_map(&l->r, n, path) < 0)
		return;
	if (bh_read_known_keys(&l->r, n, path, keys) > 0 ||
		bh_read_string(&l->r, bh_node_get(n, "from"), path, &from) < 0 ||
		bh_read_string(&l->r, bh_node_get(n, "to"), path, &to) < 0 ||
		bh_case_read_proto(l, bh_node_get(n, "protocol"), path, &p.flow.proto) < 0 ||
		bh_read_int(&l->r, bh_node_get(n, "port"), path, 1, 65535, &port) < 0 ||
		read_family(l, bh_node_get(n, "family"), &family) < 0 ||
		bh_read_string(&l->r, bh_node_get(n, "verdict"), path, &verdict) < 0)
		return;
	p.allow = bh_streq(verdict, "allow");
	if (!p.allow && !bh_streq(verdict, "deny")) {
		bh_read_error(&l->r, n, path, "allow or deny", "unknown verdict");
		return;
	}
	p.flow.sport = 40000;
	p.flow.dport = (uint16_t)port;
	p.from = bh_xstrdup(from);
	p.to = bh_xstrdup(to);
	if (resolve_probe(l, s, st->inv, family, &p) < 0)
		bh_read_error(
			&l->r, n, path, NULL, "the ends do not exist or share no address family");
	st->probe[st->n_probes++] = p;
}

static void read_state(
	struct bh_case_loader *l, const struct bh_case_sections *s, struct bh_case_state *st)
{
	st->inv = bh_case_read_inventory(l, s);
	st->policies = read_policies(l, s->policies);
	if (!s->expect || bh_read_seq(&l->r, s->expect, "expect") < 0)
		return;
	st->probe = bh_xcalloc(s->expect->n, sizeof(*st->probe));
	for (size_t i = 0; i < s->expect->n; i++)
		read_probe(l, s, s->expect->child[i], st);
}

static void update_sections(struct bh_case_sections *s, const struct bh_node *map)
{
	const struct {
		const char *key;
		const struct bh_node **to;
	} part[] = {{"namespaces", &s->namespaces}, {"external", &s->external},
		{"nodes", &s->nodes}, {"workloads", &s->workloads}, {"policies", &s->policies}};
	for (size_t i = 0; i < BH_ARRAY_SIZE(part); i++)
		if (bh_node_get(map, part[i].key))
			*part[i].to = bh_node_get(map, part[i].key);
	s->expect = bh_node_get(map, "expect"); /* probes never carry over */
}

static void read_case(struct bh_case_loader *l, const struct bh_node *root, struct bh_case *c)
{
	struct bh_case_sections s = {0};
	const char *text;
	if (bh_read_map(&l->r, root, NULL) < 0)
		return;
	bh_read_known_keys(&l->r, root, NULL, section_keys);
	if (bh_read_string(&l->r, bh_node_get(root, "name"), "name", &text) == 0)
		c->name = bh_xstrdup(text);
	if (bh_read_string(&l->r, bh_node_get(root, "kind"), "kind", &text) == 0)
		c->kind = bh_xstrdup(text);
	const struct bh_node *then = bh_node_get(root, "then");
	size_t later = 0;
	if (!bh_node_is_null(then) && bh_read_seq(&l->r, then, "then") == 0)
		later = then->n;
	c->state = bh_xcalloc(1 + later, sizeof(*c->state));
	update_sections(&s, root);
	read_state(l, &s, &c->state[c->n_states++]);
	for (size_t i = 0; i < later; i++) {
		struct bh_case_state *st = &c->state[c->n_states++];
		if (bh_read_map(&l->r, then->child[i], "then[]") < 0)
			continue;
		bh_read_known_keys(&l->r, then->child[i], "then[]", then_keys);
		if (bh_read_string(&l->r, bh_node_get(then->child[i], "state"), "then[].state",
			    &text) == 0)
			st->name = bh_xstrdup(text);
		update_sections(&s, then->child[i]);
		read_state(l, &s, st);
	}
}

int bh_case_load(const char *path, struct bh_diags *diags, struct bh_case **ret)
{
	size_t len, errors = diags->n_errors;
	bh_autofree char *text = bh_case_read_file(path, &len);
	if (!text)
		return -errno;
	struct bh_docs *docs = NULL;
	int r = bh_docs_parse(path, text, len, &bh_doc_default_limits, diags, &docs);
	if (r < 0)
		return r;
	struct bh_case_loader l = {.r = {.file = path, .diags = diags}, .file = path};
	struct bh_case *c = bh_xcalloc(1, sizeof(*c));
	c->file = bh_xstrdup(path);
	if (docs->n == 1)
		read_case(&l, docs->root[0], c);
	else
		bh_diag_add(diags, BH_ERROR, path, 0, 0, NULL, NULL,
			"a case is one document, this file has %zu", docs->n);
	bh_docs_free(docs);
	if (diags->n_errors != errors) {
		bh_case_free(c);
		return -EINVAL;
	}
	*ret = c;
	return 0;
}

void bh_case_free(struct bh_case *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_states; i++) {
		struct bh_case_state *s = &c->state[i];
		for (size_t k = 0; k < s->n_probes; k++) {
			free(s->probe[k].from);
			free(s->probe[k].to);
		}
		free(s->probe);
		free(s->name);
		bh_inventory_unref(s->inv);
		bh_policy_set_unref(s->policies);
	}
	free(c->state);
	free(c->file);
	free(c->name);
	free(c->kind);
	free(c);
}
