/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The static inventory file. An operator's mistakes are all collected; a file with any is refused
 * as a whole, since half an inventory would leave workloads ungoverned without a word.
 */
#include <bulkhead/doc.h>

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>

#include "inventory/idmap.h"
#include "inventory/inventory.h"

#define MAX_WORKLOADS 16384
#define MAX_PORTS 64
#define MAX_LABELS 256
#define MAX_ADDRESSES 256

struct parse {
	struct bh_reader r;
	struct bh_container **c;
	size_t n, cap;
	struct bh_idmap ids;
};

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool good_name(const char *s)
{
	if (!is_alnum(*s) || strlen(s) > 253)
		return false;
	for (; *s; s++) {
		if (!is_alnum(*s) && !strchr("_.-", *s))
			return false;
	}
	return true;
}

static bool good_dns_label(const char *s)
{
	size_t n = strlen(s);
	if (n == 0 || n > 63 || s[0] == '-' || s[n - 1] == '-')
		return false;
	for (; *s; s++) {
		if (*s != '-' && (!is_alnum(*s) || (*s >= 'A' && *s <= 'Z')))
			return false;
	}
	return true;
}

/* IANA_SVC_NAME (RFC 6335): a letter somewhere, no two hyphens in a row, none at the ends. */
static bool good_port_name(const char *s)
{
	bool letter = false;
	if (strlen(s) > 15 || !good_dns_label(s) || strstr(s, "--"))
		return false;
	for (; *s; s++)
		letter |= *s >= 'a' && *s <= 'z';
	return letter;
}

static void read_name(struct parse *p, const struct bh_node *w, const char *at, char **ret)
{
	const char *s;
	const struct bh_node *n = bh_node_get(w, "name");
	bh_autofree char *path = bh_xasprintf("%s.name", at);
	if (!n)
		bh_read_error(&p->r, w, path, "give the workload a name", "is missing");
	else if (bh_read_string(&p->r, n, path, &s) == 0) {
		if (!good_name(s))
			bh_read_error(&p->r, n, path,
				"use letters, digits, '_', '.' and '-', starting with a letter or "
				"digit, at most 253",
				"is not a good name");
		else
			*ret = bh_xstrdup(s);
	}
}

static void read_namespace(struct parse *p, const struct bh_node *w, const char *at, char **ret)
{
	const char *s;
	const struct bh_node *n = bh_node_get(w, "namespace");
	bh_autofree char *path = bh_xasprintf("%s.namespace", at);
	if (!n || bh_read_string(&p->r, n, path, &s) < 0)
		return;
	if (!good_dns_label(s))
		bh_read_error(&p->r, n, path,
			"use lower-case letters, digits and '-' (not at the ends), at most 63",
			"is not a namespace's name");
	else
		*ret = bh_xstrdup(s);
}

static void read_image(struct parse *p, const struct bh_node *w, const char *at, char **ret)
{
	const char *s;
	const struct bh_node *n = bh_node_get(w, "image");
	bh_autofree char *path = bh_xasprintf("%s.image", at);
	if (!n || bh_read_string(&p->r, n, path, &s) < 0)
		return;
	if (!*s || strlen(s) > 512 || s[strcspn(s, " \t\r\n")])
		bh_read_error(&p->r, n, path, "write it as registry/name:tag",
			"is not an image reference");
	else
		*ret = bh_xstrdup(s);
}

static void read_netns(struct parse *p, const struct bh_node *w, const char *at, char **ret)
{
	const char *s;
	const struct bh_node *n = bh_node_get(w, "netns");
	bh_autofree char *path = bh_xasprintf("%s.netns", at);
	if (!n)
		bh_read_error(&p->r, w, path, "name the network namespace, such as /run/netns/web",
			"is missing");
	else if (bh_read_string(&p->r, n, path, &s) == 0) {
		if (s[0] != '/' || strlen(s) >= PATH_MAX)
			bh_read_error(&p->r, n, path, "write it from the root: /run/netns/web",
				"must be an absolute path");
		else
			*ret = bh_xstrdup(s);
	}
}

static void read_labels(
	struct parse *p, const struct bh_node *w, const char *at, struct bh_labels *ret)
{
	const struct bh_node *n = bh_node_get(w, "labels");
	bh_autofree char *path = bh_xasprintf("%s.labels", at);
	if (bh_node_is_null(n) || bh_read_map(&p->r, n, path) < 0)
		return;
	if (n->n > MAX_LABELS) {
		bh_read_error(&p->r, n, path, NULL, "at most %d labels", MAX_LABELS);
		return;
	}
	for (size_t i = 0; i < n->n; i++) {
		const struct bh_node *k = n->key[i];
		const char *value, *wrong = bh_label_key_check(k->str);
		bh_autofree char *shown = bh_diag_quote(k->str, k->len);
		bh_autofree char *where = bh_xasprintf("%s[%s]", path, shown);
		if (k->len != strlen(k->str))
			wrong = "a label's key must not hold a NUL character";
		if (wrong) {
			bh_read_error(&p->r, k, where, NULL, "%s", wrong);
			continue;
		}
		if (bh_read_string(&p->r, n->child[i], where, &value) < 0)
			continue;
		wrong = bh_label_value_check(value);
		if (wrong)
			bh_read_error(&p->r, n->child[i], where, NULL, "%s", wrong);
		else
			bh_labels_set(ret, k->str, value);
	}
}

static void read_protocol(struct parse *p, const struct bh_node *n, const char *path, uint8_t *ret)
{
	const char *s;
	*ret = IPPROTO_TCP;
	if (bh_node_is_null(n) || bh_read_string(&p->r, n, path, &s) < 0)
		return;
	if (strcmp(s, "UDP") == 0)
		*ret = IPPROTO_UDP;
	else if (strcmp(s, "SCTP") == 0)
		*ret = IPPROTO_SCTP;
	else if (strcmp(s, "TCP") != 0)
		bh_read_error(&p->r, n, path, "write TCP, UDP or SCTP", "is not a protocol");
}

static bool port_name_taken(const struct bh_container *c, const char *name)
{
	for (size_t i = 0; i < c->n_ports; i++) {
		if (bh_streq(c->port[i].name, name))
			return true;
	}
	return false;
}

static void read_port(
	struct parse *p, const struct bh_node *n, const char *at, struct bh_container *c)
{
	static const char *const known[] = {"name", "port", "protocol", NULL};
	struct bh_named_port port = {0};
	const char *name = NULL;
	int64_t number = 0;
	if (bh_read_map(&p->r, n, at) < 0)
		return;
	bh_read_known_keys(&p->r, n, at, known);
	const struct bh_node *v = bh_node_get(n, "name");
	bh_autofree char *name_path = bh_xasprintf("%s.name", at);
	if (v && bh_read_string(&p->r, v, name_path, &name) == 0) {
		if (!good_port_name(name))
			bh_read_error(&p->r, v, name_path,
				"use lower-case letters, digits and single '-', at most 15, with a "
				"letter",
				"is not a port's name");
		else if (port_name_taken(c, name))
			bh_read_error(&p->r, v, name_path, NULL, "another port has this name");
	}
	v = bh_node_get(n, "port");
	bh_autofree char *port_path = bh_xasprintf("%s.port", at);
	if (!v)
		bh_read_error(&p->r, n, port_path, "give its number", "is missing");
	else
		bh_read_int(&p->r, v, port_path, 1, 65535, &number);
	bh_autofree char *proto_path = bh_xasprintf("%s.protocol", at);
	read_protocol(p, bh_node_get(n, "protocol"), proto_path, &port.proto);
	port.name = bh_xstrdup(name);
	port.port = (uint16_t)number;
	c->port[c->n_ports++] = port;
}

static void read_ports(
	struct parse *p, const struct bh_node *w, const char *at, struct bh_container *c)
{
	const struct bh_node *n = bh_node_get(w, "ports");
	bh_autofree char *path = bh_xasprintf("%s.ports", at);
	if (bh_node_is_null(n) || bh_read_seq(&p->r, n, path) < 0)
		return;
	if (n->n > MAX_PORTS) {
		bh_read_error(&p->r, n, path, NULL, "at most %d ports", MAX_PORTS);
		return;
	}
	c->port = bh_xcalloc(n->n, sizeof(*c->port));
	for (size_t i = 0; i < n->n; i++) {
		bh_autofree char *item = bh_xasprintf("%s[%zu]", path, i);
		read_port(p, n->child[i], item, c);
	}
}

static void read_addresses(
	struct parse *p, const struct bh_node *w, const char *at, struct bh_container *c)
{
	const struct bh_node *n = bh_node_get(w, "addresses");
	bh_autofree char *path = bh_xasprintf("%s.addresses", at);
	if (bh_node_is_null(n) || bh_read_seq(&p->r, n, path) < 0)
		return;
	if (n->n > MAX_ADDRESSES) {
		bh_read_error(&p->r, n, path, NULL, "at most %d addresses", MAX_ADDRESSES);
		return;
	}
	for (size_t i = 0; i < n->n; i++) {
		struct bh_addr a;
		const char *s;
		bh_autofree char *item = bh_xasprintf("%s[%zu]", path, i);
		if (bh_read_string(&p->r, n->child[i], item, &s) < 0)
			continue;
		if (bh_addr_parse(s, &a) < 0)
			bh_read_error(&p->r, n->child[i], item,
				"write it without a prefix length: 10.0.0.2", "is not an address");
		else
			bh_container_declare(c, &a);
	}
}

/* Two entries for one name would be one workload with two accounts of it. */
static void identify(
	struct parse *p, const struct bh_node *w, const char *at, struct bh_container *c)
{
	if (!c->name)
		return;
	bh_autofree char *said = bh_container_namespace(c, NULL);
	const char *ns = said ? said : BH_NAMESPACE_DEFAULT;
	c->id = bh_xasprintf("static:%s/%s", ns, c->name);
	if (bh_idmap_set(&p->ids, c->id, c))
		bh_read_error(&p->r, w, at, "name each workload once in its namespace",
			"workload %s/%s is listed twice", ns, c->name);
}

static void read_workload(struct parse *p, const struct bh_node *w, size_t index)
{
	static const char *const known[] = {
		"name", "namespace", "labels", "image", "netns", "addresses", "ports", NULL};
	bh_autofree char *at = bh_xasprintf("workloads[%zu]", index);
	if (bh_read_map(&p->r, w, at) < 0)
		return;
	bh_read_known_keys(&p->r, w, at, known);
	struct bh_container *c = bh_container_new();
	c->runtime = bh_xstrdup("static");
	read_name(p, w, at, &c->name);
	read_namespace(p, w, at, &c->namespace);
	read_labels(p, w, at, &c->labels);
	read_image(p, w, at, &c->image);
	read_netns(p, w, at, &c->netns_path);
	read_addresses(p, w, at, c);
	read_ports(p, w, at, c);
	identify(p, w, at, c);
	BH_GROW(p->c, p->n, p->cap);
	p->c[p->n++] = c;
}

static void read_document(struct parse *p, const struct bh_docs *docs)
{
	static const char *const known[] = {"workloads", NULL};
	static const char none[] = "write `workloads: []` if there are none";
	if (docs->n == 0 || (docs->n == 1 && bh_node_is_null(docs->root[0]))) {
		bh_diag_add(p->r.diags, BH_ERROR, p->r.file, 0, 0, NULL, none, "the file is empty");
		return;
	}
	if (docs->n > 1) {
		bh_diag_add(p->r.diags, BH_ERROR, p->r.file, 0, 0, NULL,
			"put all workloads into one list", "the file holds %zu documents", docs->n);
		return;
	}
	const struct bh_node *root = docs->root[0];
	if (bh_read_map(&p->r, root, "") < 0)
		return;
	bh_read_known_keys(&p->r, root, "", known);
	const struct bh_node *list = bh_node_get(root, "workloads");
	if (!list) {
		bh_read_error(&p->r, root, "workloads", none, "is missing");
		return;
	}
	if (bh_read_seq(&p->r, list, "workloads") < 0)
		return;
	if (list->n > MAX_WORKLOADS) {
		bh_read_error(
			&p->r, list, "workloads", NULL, "at most %d are handled", MAX_WORKLOADS);
		return;
	}
	for (size_t i = 0; i < list->n; i++)
		read_workload(p, list->child[i], i);
}

int bh_static_parse(const char *file, const char *text, size_t len, struct bh_diags *diags,
	struct bh_container ***ret, size_t *ret_n)
{
	struct parse p = {.r = {.file = file, .diags = diags}};
	struct bh_docs *docs = NULL;
	size_t before = diags->n_errors;
	int err = bh_docs_parse(file, text, len, &bh_doc_default_limits, diags, &docs);
	if (err)
		return err;
	read_document(&p, docs);
	bh_docs_free(docs);
	bh_idmap_finish(&p.ids, NULL);
	if (diags->n_errors == before) {
		*ret = p.c;
		*ret_n = p.n;
		return 0;
	}
	for (size_t i = 0; i < p.n; i++)
		bh_container_free(p.c[i]);
	free(p.c);
	return -EINVAL;
}
