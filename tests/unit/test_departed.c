/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whose flows are removed: those of addresses that are no longer where they were. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "revoke/departed.h"

struct world {
	struct bh_inventory *from, *to;
	struct bh_departed d;
};

static int setup(void **state)
{
	struct world *w = bh_xcalloc(1, sizeof(*w));
	w->from = bh_inventory_new();
	w->to = bh_inventory_new();
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	bh_inventory_unref(w->from);
	bh_inventory_unref(w->to);
	free(w->d.addr);
	free(w);
	return 0;
}

static struct bh_workload *workload(
	const char *name, uint64_t generation, unsigned ifindex, const char *addr)
{
	struct bh_workload *w = bh_workload_new();
	struct bh_addr a;
	w->namespace = bh_xstrdup("shop");
	w->name = bh_xstrdup(name);
	w->id = bh_xasprintf("id-%s", name);
	w->generation = generation;
	struct bh_interface *f = bh_workload_add_interface(w);
	f->name = bh_xstrdup("eth0");
	f->host_ifindex = ifindex;
	assert_int_equal(bh_addr_parse(addr, &a), 0);
	bh_interface_add_addr(f, &a);
	return w;
}

static void also(struct bh_workload *w, const char *addr, uint64_t since)
{
	struct bh_addr a;
	assert_int_equal(bh_addr_parse(addr, &a), 0);
	bh_interface_add_addr_since(&w->iface[0], &a, since);
}

static void both(struct world *w, struct bh_workload *x)
{
	bh_inventory_add(w->from, bh_workload_ref(x));
	bh_inventory_add(w->to, x);
}

/* Exactly these, in order; "" is none. */
static void expect(struct world *w, const char *addrs)
{
	bh_autobuf struct bh_buf got = {0};
	char text[BH_ADDR_STRLEN];
	bh_inventory_seal(w->from);
	bh_inventory_seal(w->to);
	bh_departed_collect(&w->d, w->from, w->to);
	for (size_t i = 0; i < w->d.n; i++)
		bh_buf_printf(&got, "%s%s", i ? " " : "", bh_addr_format(&w->d.addr[i], text));
	assert_string_equal(got.s ? got.s : "", addrs);
}

static void test_nothing(void **state)
{
	struct world *w = *state;
	both(w, workload("a", 1, 11, "10.0.0.2"));
	both(w, workload("b", 2, 12, "10.0.0.3"));
	expect(w, "");
}

static void test_gone(void **state)
{
	struct world *w = *state;
	both(w, workload("a", 1, 11, "10.0.0.2"));
	struct bh_workload *b = workload("b", 2, 12, "10.0.0.3");
	also(b, "fd00::3", 0);
	also(b, "fe80::3", 0); /* means something on its own link only */
	bh_inventory_add(w->from, b);
	both(w, workload("c", 3, 13, "10.0.0.4"));
	/* and one that came in between, by its name */
	bh_inventory_add(w->to, workload("aa", 4, 14, "10.0.0.5"));
	expect(w, "10.0.0.3 fd00::3");
}

static void test_next_owner(void **state)
{
	struct world *w = *state;
	bh_inventory_add(w->from, workload("old", 1, 11, "10.0.0.2"));
	bh_inventory_add(w->to, workload("new", 2, 12, "10.0.0.2"));
	expect(w, "10.0.0.2");
}

/* The same name, the same id, even the same number of its network namespace: not the same
 * interface. */
static void test_made_again(void **state)
{
	struct world *w = *state;
	bh_inventory_add(w->from, workload("a", 1, 11, "10.0.0.2"));
	bh_inventory_add(w->to, workload("a", 1, 12, "10.0.0.2"));
	expect(w, "10.0.0.2");
}

static void test_another_generation(void **state)
{
	struct world *w = *state;
	bh_inventory_add(w->from, workload("a", 1, 11, "10.0.0.2"));
	bh_inventory_add(w->to, workload("a", 2, 11, "10.0.0.2"));
	expect(w, "10.0.0.2");
}

/* Renamed, relabelled, named by another source: it is where it was. */
static void test_other_name(void **state)
{
	struct world *w = *state;
	bh_inventory_add(w->from, workload("a", 1, 11, "10.0.0.2"));
	struct bh_workload *z = workload("z", 1, 11, "10.0.0.2");
	bh_labels_set(&z->labels, "new", "yes");
	also(z, "10.0.0.9", 0); /* more is nobody's loss */
	bh_inventory_add(w->to, z);
	expect(w, "");
}

static void test_address_given_up(void **state)
{
	struct world *w = *state;
	struct bh_workload *a = workload("a", 1, 11, "10.0.0.2");
	also(a, "10.0.0.9", 0);
	bh_inventory_add(w->from, a);
	bh_inventory_add(w->to, workload("a", 1, 11, "10.0.0.2"));
	expect(w, "10.0.0.9");
}

/* A container that claims another's address, and lets it go again, cuts nobody off. */
static void test_claimed_in_vain(void **state)
{
	struct world *w = *state;
	both(w, workload("victim", 1, 11, "10.0.0.2"));
	struct bh_workload *thief = workload("a-thief", 2, 12, "10.0.0.3");
	also(thief, "10.0.0.2", 100);
	bh_inventory_add(w->from, thief);
	bh_inventory_add(w->to, workload("a-thief", 2, 12, "10.0.0.3"));
	expect(w, "");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_nothing),
		T(test_gone),
		T(test_next_owner),
		T(test_made_again),
		T(test_another_generation),
		T(test_other_name),
		T(test_address_given_up),
		T(test_claimed_in_vain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
