/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The manager and the static source with real network namespaces: this process' own plays the
 * node. What a container or an operator does to them is in the next inventory, unasked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "inventory/inventory.h"
#include "system/netns.h"

struct world {
	uv_loop_t loop;
	uv_timer_t beat;
	struct bh_link *link;
	struct bh_inventory_mgr *m;
	struct bh_inventory *inv; /* the latest */
	unsigned told;
	char dir[40], file[60];
	pid_t ns[3];
};

#define SH(...) assert_int_equal(bh_sh(__VA_ARGS__), 0)

static enum bh_mode mode_of(const struct bh_workload *x BH_UNUSED, void *arg BH_UNUSED)
{
	return BH_MODE_ENFORCE;
}

static void add_frame(struct bh_inventory *frame BH_UNUSED, void *arg BH_UNUSED)
{
}

static void on_changed(void *arg)
{
	struct world *w = arg;
	bh_inventory_unref(w->inv);
	const struct bh_inventory_settings settings = {mode_of, add_frame, NULL, NULL};
	w->inv = bh_inventory_mgr_build(w->m, &settings);
	w->told++;
}

static void on_beat(uv_timer_t *t)
{
	(void)t;
}

static int setup(void **state)
{
	struct world *w = bh_xcalloc(1, sizeof(*w));
	uv_loop_init(&w->loop);
	uv_timer_init(&w->loop, &w->beat);
	uv_timer_start(&w->beat, on_beat, 2, 2);
	assert_int_equal(bh_link_open(&w->link), 0);
	assert_int_equal(bh_inventory_mgr_new(&w->loop, w->link, on_changed, w, &w->m), 0);
	strcpy(w->dir, "/tmp/bh-test-inventory-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->file, sizeof(w->file), "%s/w.yaml", w->dir);
	SH("ip link set lo up; ip link add br0 up type bridge; ip addr add 10.9.0.1/24 dev br0");
	for (unsigned i = 0; i < 3; i++) {
		w->ns[i] = bh_ns_new();
		assert_true(w->ns[i] > 0);
	}
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	bh_inventory_mgr_free(w->m);
	uv_close((uv_handle_t *)&w->beat, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	bh_inventory_unref(w->inv);
	bh_link_close(w->link);
	for (unsigned i = 0; i < 3; i++)
		bh_ns_kill(w->ns[i]);
	bh_sh("for l in bhi0 bhi1 bhi2 br0; do ip link del $l 2>/dev/null; done; umount %s/ns "
	      "2>/dev/null; rm -r %s; true",
		w->dir, w->dir);
	free(w);
	return 0;
}

static void connect_ns(struct world *w, unsigned i)
{
	SH("ip link add bhi%u type veth peer name eth0 netns %d && ip link set bhi%u master br0 up",
		i, w->ns[i], i);
	SH("nsenter -t %d -n ip addr add 10.9.0.%u/24 dev eth0 && nsenter -t %d -n ip link set "
	   "eth0 "
	   "up",
		w->ns[i], i + 10, w->ns[i]);
}

/* The name of the workload that has the address; "" = none, "host" = the node. */
static const char *owner(struct world *w, const char *addr)
{
	struct bh_addr a;
	assert_int_equal(bh_addr_parse(addr, &a), 0);
	int i = w->inv ? bh_inventory_owner(w->inv, &a) : BH_OWNER_NONE;
	return i >= 0 ? w->inv->workload[i]->name : i == BH_OWNER_HOST ? "host" : "";
}

static void until_owner(struct world *w, const char *addr, const char *name, unsigned ms)
{
	uint64_t end = uv_hrtime() + ms * 1000000ULL;
	while (strcmp(owner(w, addr), name) != 0) {
		if (uv_hrtime() > end)
			fail_msg("%s belongs to '%s', not to '%s'", addr, owner(w, addr), name);
		uv_run(&w->loop, UV_RUN_ONCE);
	}
}

static void run_for(struct world *w, unsigned ms)
{
	uint64_t end = uv_hrtime() + ms * 1000000ULL;
	while (uv_hrtime() < end)
		uv_run(&w->loop, UV_RUN_ONCE);
}

static void put(struct world *w, const char *text)
{
	char tmp[80];
	snprintf(tmp, sizeof(tmp), "%s.new", w->file);
	bh_autofclose FILE *f = fopen(tmp, "w");
	assert_non_null(f);
	fputs(text, f);
	fflush(f);
	assert_int_equal(rename(tmp, w->file), 0);
}

static const struct bh_workload *find(struct world *w, const char *name)
{
	for (size_t i = 0; i < w->inv->n; i++) {
		if (strcmp(w->inv->workload[i]->name, name) == 0)
			return w->inv->workload[i];
	}
	fail_msg("no workload %s", name);
	return NULL;
}

static void test_static(void **state)
{
	struct world *w = *state;
	connect_ns(w, 0);
	connect_ns(w, 1);
	bh_autofree char *text = bh_xasprintf("workloads:\n"
					      "- {name: web, netns: /proc/%d/ns/net}\n"
					      "- {name: again, netns: /proc/%d/ns/net}\n"
					      "- {name: node, netns: /proc/%d/ns/net}\n",
		w->ns[0], w->ns[0], getpid());
	put(w, text);
	bh_inventory_mgr_add(w->m, bh_source_static_new(&w->loop, w->file));
	until_owner(w, "10.9.0.10", "again", 1000); /* ids in order: again before web */
	assert_string_equal(owner(w, "10.9.0.1"), "host");
	assert_string_equal(owner(w, "10.9.0.11"), "");
	assert_int_equal(w->inv->n, 2);
	const struct bh_workload *x = find(w, "again");
	assert_string_equal(x->iface[0].host_name, "bhi0");
	assert_string_equal(x->iface[0].bridge, "br0");
	assert_null(x->unenforceable);
	assert_non_null(strstr(find(w, "node")->unenforceable, "host"));
	assert_int_equal(find(w, "node")->n_ifaces, 0);
	struct bh_addr a;
	bh_addr_parse("10.9.0.77", &a);
	assert_true(bh_inventory_in_network(w->inv, &a));
	text = (free(text),
		bh_xasprintf("workloads: [{name: db, netns: /proc/%d/ns/net}]\n", w->ns[1]));
	put(w, text);
	until_owner(w, "10.9.0.11", "db", 1000);
	assert_string_equal(owner(w, "10.9.0.10"), "");
}

/* What changes inside a namespace is noticed, and at what rate it likes to change does not matter.
 */
static void test_addresses_change(void **state)
{
	struct world *w = *state;
	bh_autofree char *text =
		bh_xasprintf("workloads: [{name: web, netns: /proc/%d/ns/net}]\n", w->ns[0]);
	put(w, text);
	bh_inventory_mgr_add(w->m, bh_source_static_new(&w->loop, w->file));
	run_for(w, 100);
	assert_int_equal(find(w, "web")->n_ifaces, 0);
	uint64_t generation = find(w, "web")->generation;
	connect_ns(w, 0); /* as an engine does after the process has started */
	until_owner(w, "10.9.0.10", "web", 1000);
	SH("nsenter -t %d -n ip addr add 10.9.0.99/24 dev eth0", w->ns[0]);
	until_owner(w, "10.9.0.99", "web", 1000);
	SH("nsenter -t %d -n ip addr del 10.9.0.99/24 dev eth0", w->ns[0]);
	until_owner(w, "10.9.0.99", "", 1000);
	SH("ip link del bhi0");
	until_owner(w, "10.9.0.10", "", 1000);
	assert_int_equal(find(w, "web")->generation, generation);
	unsigned told = w->told;
	run_for(w, 300);
	assert_true(w->told - told <= 2); /* and then there is silence */
}

/* A namespace that is listed before it exists, and one that goes. */
static void test_namespace_comes_and_goes(void **state)
{
	struct world *w = *state;
	connect_ns(w, 2);
	bh_autofree char *text = bh_xasprintf("workloads: [{name: late, netns: %s/ns}]\n", w->dir);
	put(w, text);
	bh_inventory_mgr_add(w->m, bh_source_static_new(&w->loop, w->file));
	run_for(w, 100);
	assert_int_equal(find(w, "late")->netns, 0);
	assert_non_null(find(w, "late")->unenforceable);
	SH("touch %s/ns && mount --bind /proc/%d/ns/net %s/ns", w->dir, w->ns[2], w->dir);
	until_owner(w, "10.9.0.12", "late", 2500);
	assert_null(find(w, "late")->unenforceable);
	uint64_t inode = 0;
	bh_autofree char *path = bh_xasprintf("%s/ns", w->dir);
	assert_int_equal(bh_link_netns_inode(path, &inode), 0);
	assert_true(find(w, "late")->netns == inode);
	assert_true(find(w, "late")->generation > 0);
	SH("umount %s/ns", w->dir);
	SH("ip link del bhi2");
	until_owner(w, "10.9.0.12", "", 2500);
	assert_non_null(find(w, "late")->unenforceable);
}

int main(void)
{
	bh_ns_leave();
	if (unshare(CLONE_NEWNS) < 0 || bh_sh("mount --make-rprivate /") != 0)
		return BH_TEST_SKIP; /* the mounts made here are to stay here */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_static, setup, teardown),
		cmocka_unit_test_setup_teardown(test_addresses_change, setup, teardown),
		cmocka_unit_test_setup_teardown(test_namespace_comes_and_goes, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
