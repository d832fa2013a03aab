/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Workloads and the sealed inventory: who owns an address, an interface, a name. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bulkhead/workload.h>

static struct bh_addr addr(const char *s)
{
	struct bh_addr a;
	assert_int_equal(bh_addr_parse(s, &a), 0);
	return a;
}

static struct bh_prefix prefix(const char *s)
{
	struct bh_prefix p;
	assert_true(bh_prefix_parse(s, &p) >= 0);
	return p;
}

static struct bh_workload *workload(
	const char *ns, const char *name, const char *id, unsigned host_ifindex, const char *addrs)
{
	struct bh_workload *w = bh_workload_new();
	w->namespace = bh_xstrdup(ns);
	w->name = bh_xstrdup(name);
	w->id = bh_xstrdup(id);
	struct bh_interface *i = bh_workload_add_interface(w);
	i->name = bh_xstrdup("eth0");
	i->host_ifindex = host_ifindex;
	char *copy = bh_xstrdup(addrs), *save = NULL;
	for (char *t = strtok_r(copy, " ", &save); t; t = strtok_r(NULL, " ", &save)) {
		struct bh_addr a = addr(t);
		bh_interface_add_addr(i, &a);
	}
	free(copy);
	return w;
}

static int owner(const struct bh_inventory *inv, const char *s)
{
	struct bh_addr a = addr(s);
	return bh_inventory_owner(inv, &a);
}

static struct bh_inventory *sample(void)
{
	struct bh_inventory *inv = bh_inventory_new();
	struct bh_addr host = addr("10.0.0.1"), lo = addr("127.0.0.1"), six = addr("fe80::1");
	struct bh_prefix net = prefix("10.0.0.0/24"), net6 = prefix("fd00::/64");
	struct bh_labels l = {0};

	bh_inventory_add(
		inv, workload("shop", "web", "cccc1111", 7, "10.0.0.3 127.0.0.1 fe80::2 10.0.0.3"));
	bh_inventory_add(inv, workload("shop", "db", "aaaa2222", 8, "10.0.0.2 fe80::2 ::1"));
	bh_inventory_add(inv, workload("blog", "web", "aaaa3333", 9, "10.0.0.2 10.0.0.1"));
	struct bh_workload *w = workload("shop", "zz", "dddd", 0, "10.0.0.1 10.0.0.9");
	w->unenforceable = bh_xstrdup("shares the host's network");
	bh_inventory_add(inv, w);
	bh_inventory_add_host(inv, &host);
	bh_inventory_add_host(inv, &lo);
	bh_inventory_add_host(inv, &six);
	bh_inventory_add_network(inv, &net6);
	bh_inventory_add_network(inv, &net);
	bh_inventory_add_network(inv, &net);
	bh_labels_set(&l, "env", "prod");
	bh_labels_set(&l, "kubernetes.io/metadata.name", "kube-system");
	bh_inventory_add_namespace(inv, "shop", &l);
	bh_labels_finish(&l);
	bh_inventory_seal(inv);
	return inv;
}

/* Order: blog/web 0, shop/db 1, shop/web 2, shop/zz 3. */
static void test_inventory_owner(void **state BH_UNUSED)
{
	struct bh_inventory *inv = sample();
	assert_string_equal(inv->workload[0]->id, "aaaa3333");
	assert_string_equal(inv->workload[2]->id, "cccc1111");
	assert_int_equal(owner(inv, "10.0.0.1"), BH_OWNER_HOST);
	assert_int_equal(owner(inv, "10.0.0.2"), 0);
	assert_int_equal(owner(inv, "10.0.0.3"), 2);
	assert_int_equal(owner(inv, "10.0.0.9"), 3);
	assert_int_equal(owner(inv, "10.0.0.4"), BH_OWNER_NONE);
	assert_int_equal(owner(inv, "127.0.0.1"), BH_OWNER_NONE);
	assert_int_equal(owner(inv, "::1"), BH_OWNER_NONE);
	assert_int_equal(owner(inv, "fe80::1"), BH_OWNER_HOST);
	assert_int_equal(owner(inv, "fe80::2"), 1);
	assert_int_equal(inv->n_conflicts, 1); /* 10.0.0.2; not fe80::2, not what is the host's */
	assert_int_equal(bh_inventory_by_ifindex(inv, 7), 2);
	assert_int_equal(bh_inventory_by_ifindex(inv, 9), 0);
	assert_int_equal(bh_inventory_by_ifindex(inv, 0), BH_OWNER_NONE);
	assert_int_equal(bh_inventory_by_ifindex(inv, 10), BH_OWNER_NONE);
	bh_inventory_unref(inv);
}

static void in_service(
	struct bh_inventory *inv, const char *ns, const char *name, const char *service)
{
	struct bh_workload *w = workload(ns, name, name, 0, "");
	bh_labels_set(&w->labels, "com.docker.compose.service", service);
	bh_inventory_add(inv, w);
}

/* What compose files call a container; never before what it is called itself. */
static void test_resolve_service(void **state BH_UNUSED)
{
	struct bh_inventory *inv = bh_inventory_new();
	uint32_t match[2];
	size_t n;
	in_service(inv, "blog", "blog-web-1", "web");
	in_service(inv, "shop", "db", "web");
	in_service(inv, "shop", "shop-api-1", "api");
	in_service(inv, "shop", "shop-api-2", "api");
	in_service(inv, "shop", "shop-front-1", "front");
	in_service(inv, "shop", "shop-odd-1", "db");
	in_service(inv, "shop", "shop-none-1", "");
	bh_inventory_seal(inv);
	int front = bh_inventory_resolve(inv, "shop/shop-front-1", NULL, 0, NULL);
	assert_true(front >= 0);
	assert_int_equal(bh_inventory_resolve(inv, "shop/front", match, 2, &n), front);
	assert_int_equal(bh_inventory_resolve(inv, "front", match, 2, &n), front);
	assert_int_equal(bh_inventory_resolve(inv, "blog/front", match, 2, &n), -ENOENT);
	assert_int_equal(bh_inventory_resolve(inv, "shop/api", match, 2, &n), -ENOTUNIQ);
	assert_int_equal(n, 2);
	assert_int_equal(bh_inventory_resolve(inv, "web", match, 2, &n), -ENOTUNIQ);
	assert_int_equal(bh_inventory_resolve(inv, "blog/web", match, 2, &n), 0);
	assert_int_equal(bh_inventory_resolve(inv, "db", match, 2, &n), 1);
	assert_int_equal(bh_inventory_resolve(inv, "shop/db", match, 2, &n), 1);
	assert_int_equal(bh_inventory_resolve(inv, "shop/", match, 2, &n), -ENOENT);
	assert_int_equal(bh_inventory_resolve(inv, "", match, 2, &n), -ENOENT);
	bh_inventory_unref(inv);
}

static void test_inventory_namespaces(void **state BH_UNUSED)
{
	struct bh_inventory *inv = bh_inventory_ref(sample());
	bh_inventory_unref(inv);
	const struct bh_namespace *ns = bh_inventory_namespace(inv, "shop");
	assert_int_equal(inv->n_ns, 2);
	assert_string_equal(bh_labels_get(&ns->labels, "env"), "prod");
	assert_string_equal(bh_labels_get(&ns->labels, "kubernetes.io/metadata.name"), "shop");
	ns = bh_inventory_namespace(inv, "blog");
	assert_string_equal(bh_labels_get(&ns->labels, "kubernetes.io/metadata.name"), "blog");
	assert_null(bh_inventory_namespace(inv, "nowhere"));

	struct bh_addr a = addr("10.0.0.200"), b = addr("10.0.1.0"), c = addr("fd00::5");
	assert_true(bh_inventory_in_network(inv, &a) && bh_inventory_in_network(inv, &c));
	assert_false(bh_inventory_in_network(inv, &b));
	struct bh_addr broadcast = addr("10.0.0.255");
	assert_int_equal(inv->n_networks, 2);
	assert_int_equal(inv->n_broadcast, 1);
	assert_true(bh_addr_eq(&inv->broadcast[0], &broadcast));
	bh_inventory_unref(inv);
	bh_inventory_unref(NULL);
}

static void test_inventory_resolve(void **state BH_UNUSED)
{
	struct bh_inventory *inv = sample();
	uint32_t match[2];
	size_t n;
	assert_int_equal(bh_inventory_resolve(inv, "shop/web", match, 2, &n), 2);
	assert_int_equal(bh_inventory_resolve(inv, "db", match, 2, &n), 1);
	assert_int_equal(n, 1);
	assert_int_equal(bh_inventory_resolve(inv, "web", match, 2, &n), -ENOTUNIQ);
	assert_int_equal(n, 2);
	assert_true(match[0] == 0 && match[1] == 2);
	assert_int_equal(bh_inventory_resolve(inv, "web", match, 1, &n), -ENOTUNIQ);
	assert_int_equal(n, 2);
	assert_int_equal(bh_inventory_resolve(inv, "cccc1111", match, 2, &n), 2);
	assert_int_equal(bh_inventory_resolve(inv, "cccc", match, 2, &n), 2);
	assert_int_equal(bh_inventory_resolve(inv, "ccc", match, 2, &n), -ENOENT);
	assert_int_equal(n, 0);
	assert_int_equal(bh_inventory_resolve(inv, "aaaa", match, 2, &n), -ENOTUNIQ);
	assert_int_equal(bh_inventory_resolve(inv, "aaaa2", NULL, 0, NULL), 1);
	assert_int_equal(bh_inventory_resolve(inv, "dddd", match, 2, &n), 3);
	assert_int_equal(bh_inventory_resolve(inv, "", match, 2, &n), -ENOENT);
	assert_int_equal(bh_inventory_resolve(inv, "shop/", match, 2, &n), -ENOENT);
	assert_int_equal(bh_inventory_resolve(inv, "op/web", match, 2, &n), -ENOENT);
	bh_inventory_unref(inv);
}

static void test_inventory_empty_and_large(void **state BH_UNUSED)
{
	struct bh_inventory *inv = bh_inventory_new();
	bh_inventory_seal(inv);
	assert_int_equal(owner(inv, "10.0.0.1"), BH_OWNER_NONE);
	assert_int_equal(bh_inventory_by_ifindex(inv, 1), BH_OWNER_NONE);
	bh_inventory_unref(inv);

	inv = bh_inventory_new();
	for (unsigned i = 0; i < 5000; i++) {
		char name[16], text[32];
		snprintf(name, sizeof(name), "w%05u", i);
		snprintf(text, sizeof(text), "10.1.%u.%u", i >> 8, i & 255);
		bh_inventory_add(inv, workload("n", name, name, i + 1, text));
	}
	bh_inventory_seal(inv);
	for (unsigned i = 0; i < 5000; i++) {
		char text[32];
		snprintf(text, sizeof(text), "10.1.%u.%u", i >> 8, i & 255);
		assert_int_equal(owner(inv, text), i);
		assert_int_equal(bh_inventory_by_ifindex(inv, i + 1), i);
	}
	assert_int_equal(inv->n_conflicts, 0);
	bh_inventory_unref(inv);
}

static void test_workload_copy(void **state BH_UNUSED)
{
	struct bh_workload *w = workload("n", "a", "id", 3, "10.0.0.1 fe80::1"), *c;
	bh_labels_set(&w->labels, "app", "a");
	w->n_ports = 1;
	w->port = bh_xcalloc(1, sizeof(*w->port));
	w->port[0] = (struct bh_named_port){bh_xstrdup("http"), 6, 80};
	c = bh_workload_copy(w);
	assert_true(bh_workload_equal(w, c));
	c->port[0].port = 81;
	assert_false(bh_workload_equal(w, c));
	c->port[0].port = 80;
	c->iface[0].addr[1].b[15] = 9;
	assert_false(bh_workload_equal(w, c));
	c->iface[0].addr[1].b[15] = 1;
	assert_true(bh_workload_equal(w, c));
	c->mode = BH_MODE_ENFORCE;
	assert_false(bh_workload_equal(w, c));
	bh_workload_clear_interfaces(c);
	assert_int_equal(c->n_ifaces, 0);
	bh_workload_free(c);
	bh_workload_free(w);
	bh_workload_free(NULL);
}

static void differs(
	const struct bh_workload *w, void (*change)(struct bh_interface *, const struct bh_addr *))
{
	struct bh_addr a = addr("198.51.100.7");
	struct bh_workload *c = bh_workload_copy(w), *again;
	assert_true(bh_workload_equal(w, c));
	change(&c->iface[0], &a);
	assert_false(bh_workload_equal(w, c));
	assert_false(bh_workload_equal(c, w));
	again = bh_workload_copy(c);
	assert_true(bh_workload_equal(again, c));
	bh_workload_free(again);
	bh_workload_free(c);
}

static void later(struct bh_interface *f, const struct bh_addr *a BH_UNUSED)
{
	f->since[2]++;
}

static void refuse_mac(struct bh_interface *f, const struct bh_addr *a BH_UNUSED)
{
	f->mac_refused = true;
}

static void refuse_other_mac(struct bh_interface *f, const struct bh_addr *a BH_UNUSED)
{
	f->refused_mac[5] = 1;
}

/* Since when it has its addresses, and what it was refused, are part of what it is. */
static void test_workload_claims(void **state BH_UNUSED)
{
	struct bh_workload *w = workload("n", "a", "id", 3, "10.0.0.1 fe80::1");
	struct bh_addr a = addr("10.0.0.3"), b = addr("10.0.0.4");
	bh_interface_add_addr_since(&w->iface[0], &a, 77);
	bh_interface_add_addr(&w->iface[0], &b);
	assert_int_equal(bh_interface_since(&w->iface[0], 0), 0);
	assert_int_equal(bh_interface_since(&w->iface[0], 2), 77);
	assert_int_equal(bh_interface_since(&w->iface[0], 3), 0);
	differs(w, bh_interface_refuse);
	differs(w, refuse_mac);
	differs(w, refuse_other_mac);
	differs(w, later);
	bh_workload_free(w);
}

/* Further images: none twice, none that is the first, not more than so many. */
static void test_images(void **state BH_UNUSED)
{
	struct bh_images l = {0}, copy;
	const struct bh_run_image first = {(char *)"web:1", (char *)"sha256:aa"}, none = {0},
				  same = {(char *)"web:1", NULL},
				  other = {(char *)"web:1", (char *)"sha256:bb"},
				  bare = {NULL, (char *)"sha256:cc"};
	bh_images_add(&l, &first, &first);
	bh_images_add(&l, &first, &same); /* its digest is not known */
	bh_images_add(&l, &first, &none);
	assert_int_equal(l.n, 0);
	for (int i = 0; i < 2; i++) {
		bh_images_add(&l, &first, &other);
		bh_images_add(&l, &none, &bare);
	}
	assert_int_equal(l.n, 2);
	bh_images_copy(&copy, &l);
	assert_true(bh_images_equal(&copy, &l));
	for (int i = 0; i < 100; i++) {
		bh_autofree char *name = bh_xasprintf("many:%d", i);
		bh_images_add(&l, &first, &(struct bh_run_image){name, NULL});
	}
	assert_int_equal(l.n, BH_IMAGES_MAX);
	assert_false(bh_images_equal(&copy, &l));
	bh_images_finish(&l);
	bh_images_finish(&copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inventory_owner),
		cmocka_unit_test(test_inventory_namespaces),
		cmocka_unit_test(test_inventory_resolve),
		cmocka_unit_test(test_resolve_service),
		cmocka_unit_test(test_inventory_empty_and_large),
		cmocka_unit_test(test_workload_copy),
		cmocka_unit_test(test_workload_claims),
		cmocka_unit_test(test_images),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
