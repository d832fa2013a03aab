/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a source says of one container, and the rule that gives it a namespace. */
#include "inventory/inventory.h"

#define NAMESPACE_MAX 63 /* RFC 1123 label */

struct bh_container *bh_container_new(void)
{
	return bh_xcalloc(1, sizeof(struct bh_container));
}

struct bh_container *bh_container_copy(const struct bh_container *c)
{
	struct bh_container *n = bh_container_new();
	n->id = bh_xstrdup(c->id);
	n->runtime = bh_xstrdup(c->runtime);
	n->name = bh_xstrdup(c->name);
	n->image = bh_xstrdup(c->image);
	n->digest = bh_xstrdup(c->digest);
	bh_images_copy(&n->others, &c->others);
	n->namespace = bh_xstrdup(c->namespace);
	bh_labels_copy(&n->labels, &c->labels);
	n->pid = c->pid;
	n->netns_path = bh_xstrdup(c->netns_path);
	n->joined = c->joined;
	n->port = bh_xcalloc(c->n_ports, sizeof(*n->port));
	for (size_t i = 0; i < c->n_ports; i++) {
		n->port[i] = c->port[i];
		n->port[i].name = bh_xstrdup(c->port[i].name);
	}
	n->n_ports = c->n_ports;
	for (size_t i = 0; i < c->n_addrs; i++)
		bh_container_declare(n, &c->addr[i]);
	for (size_t i = 0; i < c->n_macs; i++)
		bh_container_declare_mac(n, c->mac[i].b);
	return n;
}

void bh_container_free(struct bh_container *c)
{
	if (!c)
		return;
	free(c->id);
	free(c->runtime);
	free(c->name);
	free(c->image);
	free(c->digest);
	bh_images_finish(&c->others);
	free(c->namespace);
	bh_labels_finish(&c->labels);
	free(c->netns_path);
	for (size_t i = 0; i < c->n_ports; i++)
		free(c->port[i].name);
	free(c->port);
	free(c->addr);
	free(c->mac);
	free(c);
}

void bh_container_declare(struct bh_container *c, const struct bh_addr *a)
{
	for (size_t i = 0; i < c->n_addrs; i++)
		if (bh_addr_eq(&c->addr[i], a))
			return;
	c->addr = bh_xrealloc(c->addr, c->n_addrs + 1, sizeof(*c->addr));
	c->addr[c->n_addrs++] = *a;
}

void bh_container_declare_mac(struct bh_container *c, const uint8_t mac[static 6])
{
	c->mac = bh_xrealloc(c->mac, c->n_macs + 1, sizeof(*c->mac));
	memcpy(c->mac[c->n_macs++].b, mac, 6);
}

static bool ports_equal(const struct bh_container *a, const struct bh_container *b)
{
	if (a->n_ports != b->n_ports)
		return false;
	for (size_t i = 0; i < a->n_ports; i++) {
		if (a->port[i].proto != b->port[i].proto || a->port[i].port != b->port[i].port ||
			!bh_streq(a->port[i].name, b->port[i].name))
			return false;
	}
	return true;
}

static bool declare_the_same(const struct bh_container *a, const struct bh_container *b)
{
	if (a->n_addrs != b->n_addrs || a->n_macs != b->n_macs)
		return false;
	for (size_t i = 0; i < a->n_addrs; i++)
		if (!bh_addr_eq(&a->addr[i], &b->addr[i]))
			return false;
	return a->n_macs == 0 || memcmp(a->mac, b->mac, a->n_macs * sizeof(*a->mac)) == 0;
}

bool bh_container_equal(const struct bh_container *a, const struct bh_container *b)
{
	return bh_streq(a->id, b->id) && bh_streq(a->runtime, b->runtime) &&
	       bh_streq(a->name, b->name) && bh_streq(a->image, b->image) &&
	       bh_streq(a->digest, b->digest) && bh_streq(a->namespace, b->namespace) &&
	       bh_images_equal(&a->others, &b->others) && bh_labels_equal(&a->labels, &b->labels) &&
	       a->pid == b->pid && bh_streq(a->netns_path, b->netns_path) &&
	       a->joined == b->joined && ports_equal(a, b) && declare_the_same(a, b);
}

/* Bytewise on purpose: the locale must not decide who belongs to which namespace. */
static char dns_char(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-';
}

/* NULL when nothing is left. Owned. */
static char *dns_label(const char *s)
{
	char out[NAMESPACE_MAX + 1];
	size_t n = 0;
	for (; s && *s && n < NAMESPACE_MAX; s++) {
		char c = dns_char(*s);
		if (c != '-' || n > 0)
			out[n++] = c;
	}
	while (n > 0 && out[n - 1] == '-')
		n--;
	return n ? bh_xstrndup(out, n) : NULL;
}

const char *const bh_namespace_labels[] = {
	"com.docker.compose.project", "io.podman.compose.project", "bulkhead.io/namespace", NULL};

char *bh_container_namespace(const struct bh_container *c, const char *const *label)
{
	char *ns = dns_label(c->namespace);
	if (!label)
		label = bh_namespace_labels;
	for (; !ns && *label; label++)
		ns = dns_label(bh_labels_get(&c->labels, *label));
	return ns;
}
