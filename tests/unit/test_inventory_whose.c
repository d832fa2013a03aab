/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manager: whose an address and a MAC are. */
#include "lib/inventory_world.h"

static void ns(unsigned i, const char *path, const char *addr, unsigned bridge)
{
	kernel.ns[i].path = path;
	kernel.ns[i].inode = 10 + i;
	kernel.ns[i].addr = addr;
	kernel.ns[i].bridge = bridge;
	kernel.ns[i].port = 20 + i;
	kernel.ns[i].since = 1000 + i;
}

static void changed(struct world *w, unsigned i)
{
	notice(i);
	settle(w);
}

/* As they are now: "one: 10.0.0.1 10.0.0.9! ~5; …" – ! is refused, = declared, ~ the MAC (0: none
 * that counts), * owned by another. */
static void is_now(struct world *w, const char *const *name, const char *expected)
{
	bh_autobuf struct bh_buf b = {0};
	char text[BH_ADDR_STRLEN];
	struct bh_inventory *inv = build(w);
	for (; *name; name++) {
		const struct bh_workload *x = named(inv, *name);
		const struct bh_interface *f = &x->iface[0];
		bh_buf_printf(&b, "%s%s:", b.len ? "; " : "", *name + strlen("name-"));
		for (size_t k = 0; k < f->n_addrs; k++) {
			int owner = bh_inventory_owner(inv, &f->addr[k]);
			bh_buf_printf(&b, " %s%s%s", bh_addr_format(&f->addr[k], text),
				bh_interface_since(f, k) ? "" : "=",
				inv->workload[owner] == x ? "" : "*");
		}
		for (size_t k = 0; k < f->n_refused; k++)
			bh_buf_printf(&b, " %s!", bh_addr_format(&f->refused[k], text));
		bh_buf_printf(&b, " ~%u", f->mac[5]);
		assert_int_equal(f->mac_refused, f->refused_mac[5] != 0);
	}
	bh_inventory_unref(inv);
	assert_string_equal(b.s, expected);
}

static const char *const both[] = {"name-one", "name-two", NULL};

static void declare(struct bh_container *c, const char *text)
{
	struct bh_addr a;
	bh_addr_parse(text, &a);
	bh_container_declare(c, &a);
}

/* "one" comes before "two" by its name, which is no reason. */
static void test_first_holder(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	ns(0, "/n/1", "10.0.0.1", 0);
	ns(1, "/n/2", "10.0.0.2", 0);
	upsert(w->a, container("one", "/n/1", NULL));
	upsert(w->a, container("two", "/n/2", NULL));
	is_now(w, both, "one: 10.0.0.1 ~0; two: 10.0.0.2 ~0");
	kernel.ns[0].more = "10.0.0.2"; /* later */
	changed(w, 0);
	is_now(w, both, "one: 10.0.0.1 10.0.0.2* ~0; two: 10.0.0.2 ~0");
	kernel.ns[1].since = 5000; /* made again meanwhile */
	changed(w, 1);
	is_now(w, both, "one: 10.0.0.1 10.0.0.2 ~0; two: 10.0.0.2* ~0");
	struct bh_container *c = container("two", "/n/2", NULL);
	declare(c, "10.0.0.2");
	upsert(w->a, c);
	is_now(w, both, "one: 10.0.0.1 10.0.0.2* ~0; two: 10.0.0.2= ~0");
}

static void test_own_network(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	ns(0, "/n/1", "10.0.0.1", 3);
	ns(1, "/n/2", "10.0.0.2", 0); /* routed: nothing is known */
	kernel.ns[0].more = kernel.ns[1].more = "198.51.100.7";
	kernel.subnet[3] = "10.0.0.0/24";
	upsert(w->a, container("one", "/n/1", NULL));
	upsert(w->a, container("two", "/n/2", NULL));
	is_now(w, both, "one: 10.0.0.1 198.51.100.7! ~0; two: 10.0.0.2 198.51.100.7 ~0");
	assert_string_equal(
		w->claims, "name-one claims 198.51.100.7, which is not on its network\n");
	for (unsigned i = 0; i < 3; i++) { /* told of once */
		kernel.ns[0].more = i % 2 ? "198.51.100.7" : NULL;
		changed(w, 0);
		bh_inventory_unref(build(w));
	}
	kernel.ns[0].more = "fe80::7"; /* everywhere */
	changed(w, 0);
	is_now(w, both, "one: 10.0.0.1 fe80::7 ~0; two: 10.0.0.2 198.51.100.7 ~0");
	kernel.ns[0].more = "169.254.169.254"; /* is somebody's */
	changed(w, 0);
	is_now(w, both, "one: 10.0.0.1 169.254.169.254! ~0; two: 10.0.0.2 198.51.100.7 ~0");
	kernel.ns[0].more = "198.51.100.7";
	kernel.subnet[3] = "198.51.100.0/24";
	notice_host();
	changed(w, 0);
	is_now(w, both, "one: 198.51.100.7 10.0.0.1! ~0; two: 10.0.0.2 198.51.100.7* ~0");
	kernel.subnet[3] = NULL; /* nothing is known, and nobody but the node told of it */
	notice_host();
	settle(w);
	is_now(w, both, "one: 10.0.0.1 198.51.100.7 ~0; two: 10.0.0.2 198.51.100.7* ~0");
	kernel.subnet[3] = "10.0.0.0/24";
	struct bh_container *c = container("one", "/n/1", NULL);
	declare(c, "198.51.100.7");
	upsert(w->a, c);
	notice_host();
	settle(w);
	is_now(w, both, "one: 10.0.0.1 198.51.100.7= ~0; two: 10.0.0.2 198.51.100.7* ~0");
	assert_string_equal(w->claims,
		"name-one claims 198.51.100.7, which is not on its network\n"
		"name-one claims 169.254.169.254, which is not on its network\n"
		"name-one claims 10.0.0.1, which is not on its network\n");
}

/* That a subnet is another is found only when all workloads have been made. */
static void test_subnet_found_late(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	ns(0, "/n/1", "10.0.0.1", 3);
	ns(1, "/n/2", "10.0.0.2", 4);
	kernel.subnet[3] = "198.51.100.0/24";
	upsert(w->a, container("one", "/n/1", NULL));
	settle(w);
	is_now(w, (const char *const[]){"name-one", NULL}, "one: 10.0.0.1! ~0");
	settle(w);
	kernel.subnet[3] = "10.0.0.0/24"; /* no notice of it */
	upsert(w->a, container("two", "/n/2", NULL)); /* on another bridge: the node is looked at */
	settle(w);
	bh_inventory_unref(build(w));
	unsigned told = w->told;
	settle(w);
	assert_true(w->told > told);
	is_now(w, both, "one: 10.0.0.1 ~0; two: 10.0.0.2 ~0");
}

/* A container that claims without end is told of so many times. */
static void test_claims_bounded(void **state)
{
	struct world *w = *state;
	char addr[32];
	unsigned lines = 0;
	w->a = add_source(w, "a");
	ns(0, "/n/1", "10.0.0.1", 3);
	kernel.subnet[3] = "10.0.0.0/24";
	upsert(w->a, container("one", "/n/1", NULL));
	for (unsigned i = 0; i < 2 * BH_CLAIMS_TOLD; i++) {
		snprintf(addr, sizeof(addr), "198.51.100.%u", i);
		kernel.ns[0].more = addr;
		changed(w, 0);
		bh_inventory_unref(build(w));
	}
	for (const char *c = w->claims; *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, BH_CLAIMS_TOLD);
}

static void test_macs(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	ns(0, "/n/1", "10.0.0.1", 3);
	ns(1, "/n/2", "10.0.0.2", 3);
	kernel.ns[0].mac = 1;
	kernel.ns[1].mac = 2;
	upsert(w->a, container("one", "/n/1", NULL));
	upsert(w->a, container("two", "/n/2", NULL));
	is_now(w, both, "one: 10.0.0.1 ~1; two: 10.0.0.2 ~2");
	kernel.ns[0].mac = 2; /* the earlier name, and port */
	changed(w, 0);
	is_now(w, both, "one: 10.0.0.1 ~0; two: 10.0.0.2 ~2");
	assert_string_equal(w->claims, "name-one claims the MAC 00:00:00:00:00:02, which another "
				       "port of its bridge has\n");
	kernel.ns[0].bridge = 4; /* another bridge is another world */
	changed(w, 0);
	is_now(w, both, "one: 10.0.0.1 ~2; two: 10.0.0.2 ~2");
	kernel.ns[0].bridge = 3;
	changed(w, 0);
	is_now(w, both, "one: 10.0.0.1 ~0; two: 10.0.0.2 ~2");
	kernel.ns[1].mac = 7; /* given up */
	changed(w, 1);
	is_now(w, both, "one: 10.0.0.1 ~2; two: 10.0.0.2 ~7");
	kernel.ns[1].mac = 2;
	changed(w, 1);
	is_now(w, both, "one: 10.0.0.1 ~2; two: 10.0.0.2 ~0");
	struct bh_container *c = container("two", "/n/2", NULL);
	bh_container_declare_mac(c, (const uint8_t[6]){0, 0, 0, 0, 0, 2});
	upsert(w->a, c);
	is_now(w, both, "one: 10.0.0.1 ~0; two: 10.0.0.2 ~2");
	w->a->sink.remove(w->a->sink.arg, "two");
	is_now(w, (const char *const[]){"name-one", NULL}, "one: 10.0.0.1 ~2");
}

/* Both are new, as at the start: the port that was made first has it, whatever the names. */
static void test_macs_at_start(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	ns(0, "/n/1", "10.0.0.1", 3);
	ns(1, "/n/2", "10.0.0.2", 3);
	kernel.ns[0].mac = kernel.ns[1].mac = 5;
	kernel.ns[1].port = 19;
	upsert(w->a, container("one", "/n/1", NULL));
	upsert(w->a, container("two", "/n/2", NULL));
	is_now(w, both, "one: 10.0.0.1 ~0; two: 10.0.0.2 ~5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_first_holder),
		T(test_own_network),
		T(test_subnet_found_late),
		T(test_claims_bounded),
		T(test_macs),
		T(test_macs_at_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
