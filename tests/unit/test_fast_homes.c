/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which addresses may take the fast path, and where they live. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fastpath/fastpath.h"

static struct bh_addr addr(const char *s)
{
	struct bh_addr a;
	assert_int_equal(bh_addr_parse(s, &a), 0);
	return a;
}

static struct bh_workload *workload(const char *name, unsigned port, unsigned bridge, uint8_t mac0,
	uint8_t mac5, const char *const *addrs, uint64_t since)
{
	struct bh_workload *w = bh_workload_new();
	w->namespace = bh_xstrdup("shop");
	w->name = bh_xstrdup(name);
	w->id = bh_xstrdup(name);
	struct bh_interface *i = bh_workload_add_interface(w);
	i->name = bh_xstrdup("eth0");
	i->host_ifindex = port;
	i->bridge_ifindex = bridge;
	i->mac[0] = mac0;
	i->mac[5] = mac5;
	for (; *addrs; addrs++) {
		struct bh_addr a = addr(*addrs);
		bh_interface_add_addr_since(i, &a, since);
	}
	return w;
}

static bool wanted(const struct bh_workload *w, void *arg)
{
	assert_ptr_equal(arg, "x");
	return !bh_streq(w->name, "counted");
}

#define ADDRS(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct bh_inventory *sample(void)
{
	struct bh_inventory *inv = bh_inventory_new();
	struct bh_addr host = addr("10.0.0.1");
	struct bh_workload *two = workload("two", 15, 3, 2, 15, ADDRS("10.0.0.15", "10.0.0.16"), 1);
	struct bh_interface *again = bh_workload_add_interface(two);
	struct bh_addr both = addr("10.0.0.16");

	again->name = bh_xstrdup("eth1");
	again->host_ifindex = 16;
	again->bridge_ifindex = 3;
	again->mac[0] = 2;
	bh_interface_add_addr_since(again, &both, 1);
	bh_inventory_add_host(inv, &host);
	bh_inventory_add(inv, two);
	bh_inventory_add(
		inv, workload("web", 7, 3, 2, 7, ADDRS("10.0.0.3", "fd00::3", "fe80::3"), 1));
	bh_inventory_add(inv, workload("db", 8, 3, 2, 8, ADDRS("10.0.0.2"), 1));
	bh_inventory_add(
		inv, workload("a-thief", 9, 3, 2, 9, ADDRS("10.0.0.3", "10.0.0.1", "10.0.0.9"), 2));
	bh_inventory_add(inv, workload("routed", 10, 0, 2, 10, ADDRS("10.0.0.10"), 1));
	bh_inventory_add(inv, workload("hostless", 0, 3, 2, 11, ADDRS("10.0.0.11"), 1));
	bh_inventory_add(inv, workload("macless", 12, 3, 0, 0, ADDRS("10.0.0.12"), 1));
	bh_inventory_add(inv, workload("group", 13, 3, 1, 13, ADDRS("10.0.0.13"), 1));
	bh_inventory_add(inv, workload("counted", 14, 3, 2, 14, ADDRS("10.0.0.14"), 1));
	bh_inventory_seal(inv);
	return inv;
}

static void test_homes(void **state BH_UNUSED)
{
	static const struct {
		const char *addr;
		unsigned port;
	} want[] = {{"10.0.0.2", 8}, {"10.0.0.3", 7}, {"10.0.0.9", 9}, {"10.0.0.15", 15},
		{"fd00::3", 7}};
	static const char *const none[] = {"10.0.0.1", "10.0.0.10", "10.0.0.11", "10.0.0.12",
		"10.0.0.13", "10.0.0.14", "10.0.0.16", "fe80::3", "::1", "10.0.0.99"};
	struct bh_inventory *inv = sample();
	struct bh_fast_homes h;

	bh_fast_find_homes(inv, wanted, (void *)"x", &h);
	assert_int_equal(h.n, BH_ARRAY_SIZE(want));
	for (size_t i = 0; i < h.n; i++) {
		struct bh_addr a = addr(want[i].addr);
		const struct bh_fast_home *home = bh_fast_home(&h, &a);
		assert_true(bh_addr_eq(&h.item[i].addr, &a)); /* in their order */
		assert_ptr_equal(home, &h.item[i].home);
		assert_int_equal(home->port, want[i].port);
		assert_int_equal(home->bridge, 3);
		assert_int_equal(home->mac[0], 2);
		assert_int_equal(home->mac[5], want[i].port);
		assert_int_equal(home->unused, 0);
	}
	for (size_t i = 0; i < BH_ARRAY_SIZE(none); i++) {
		struct bh_addr a = addr(none[i]);
		assert_null(bh_fast_home(&h, &a));
	}
	bh_fast_homes_finish(&h);
	assert_null(bh_fast_home(&h, &(struct bh_addr){.family = BH_IPV4}));
	bh_inventory_unref(inv);
}

/* Whoever moves leaves: by interface, bridge, MAC, owner, or for good. */
static void test_lives_there(void **state BH_UNUSED)
{
	static const struct {
		const char *addr;
		unsigned port, bridge;
		uint8_t mac5;
		bool there;
	} c[] = {{"10.0.0.3", 7, 3, 7, true}, {"fd00::3", 7, 3, 7, true},
		{"10.0.0.15", 15, 3, 15, true}, {"10.0.0.3", 9, 3, 9, false}, /* the thief */
		{"10.0.0.3", 8, 3, 7, false}, {"10.0.0.3", 7, 4, 7, false},
		{"10.0.0.3", 7, 3, 8, false}, {"10.0.0.15", 16, 3, 0, false},
		{"10.0.0.1", 9, 3, 9, false}, {"10.0.0.99", 7, 3, 7, false}};
	struct bh_inventory *inv = sample();

	for (size_t i = 0; i < BH_ARRAY_SIZE(c); i++) {
		struct bh_fast_at at = {.addr = addr(c[i].addr),
			.home = {.port = c[i].port,
				.bridge = c[i].bridge,
				.mac = {2, 0, 0, 0, 0, c[i].mac5}}};
		assert_int_equal(bh_fast_lives_there(inv, &at), c[i].there);
	}
	bh_inventory_unref(inv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_homes), cmocka_unit_test(test_lives_there)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
