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
	const struct bh_inventory_settings settings = {mode_of, add_frame, NULL, NULL, NULL};
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
	SH("ip link set lo up; ip link add br0 up type bridge; ip addr add 10.9.0.1/16 dev br0");
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
	bh_sh("for l in bhi0 bhi1 bhi2 bhi9 br0 br1 br2; do ip link del $l 2>/dev/null; done; "
	      "umount %s/ns "
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

/* All that a workload is known by: its addresses, MAC, and where it is attached. */
static void until(struct world *w, bool (*holds)(struct world *w), const char *what)
{
	uint64_t end = uv_hrtime() + 3000 * 1000000ULL;
	while (!w->inv || !holds(w)) {
		if (uv_hrtime() > end)
			fail_msg("not within 3 s: %s", what);
		uv_run(&w->loop, UV_RUN_ONCE);
	}
}

static const struct bh_interface *eth0(struct world *w)
{
	const struct bh_workload *x = find(w, "web");
	return x->n_ifaces ? &x->iface[0] : NULL;
}

static bool on_br1(struct world *w)
{
	return eth0(w) && bh_streq(eth0(w)->bridge, "br1");
}

static bool on_br2(struct world *w)
{
	return eth0(w) && bh_streq(eth0(w)->bridge, "br2");
}

static bool routed(struct world *w)
{
	return eth0(w) && eth0(w)->host_name && !eth0(w)->bridge;
}

static bool other_mac(struct world *w)
{
	return eth0(w) && memcmp(eth0(w)->mac, "\x02\0\0\0\0\x63", 6) == 0;
}

static bool renamed(struct world *w)
{
	return eth0(w) && bh_streq(eth0(w)->host_name, "bhi9");
}

static bool cut_off(struct world *w)
{
	return !eth0(w);
}

static void list_web(struct world *w, unsigned others)
{
	bh_autofree char *text =
		bh_xasprintf("workloads:\n- {name: web, netns: /proc/%d/ns/net}\n", w->ns[0]);
	for (unsigned i = 1; i <= others; i++) {
		char *more = bh_xasprintf(
			"%s- {name: o%u, netns: /proc/%d/ns/net}\n", text, i, w->ns[i]);
		free(text);
		text = more;
	}
	put(w, text);
	bh_inventory_mgr_add(w->m, bh_source_static_new(&w->loop, w->file));
	until_owner(w, "10.9.0.10", "web", 3000);
}

/* Every change is noticed, long before anybody would look unasked. */
static void change_all(struct world *w)
{
	SH("ip link add br1 up type bridge; ip link set bhi0 master br1");
	until(w, on_br1, "moved to another bridge");
	/* Down, as older kernels want it. */
	SH("ip link set br1 down; ip link set br1 name br2 && ip link set br2 up");
	until(w, on_br2, "bridge renamed");
	SH("ip link set bhi0 nomaster");
	until(w, routed, "taken off the bridge");
	SH("nsenter -t %d -n ip link set eth0 address 02:00:00:00:00:63", w->ns[0]);
	until(w, other_mac, "MAC changed");
	SH("ip link set bhi0 down; ip link set bhi0 name bhi9 && ip link set bhi9 up");
	until(w, renamed, "host side renamed");
	SH("nsenter -t %d -n ip addr add 10.9.0.99/24 dev eth0", w->ns[0]);
	until_owner(w, "10.9.0.99", "web", 3000);
	SH("nsenter -t %d -n ip addr del 10.9.0.10/24 dev eth0", w->ns[0]);
	until_owner(w, "10.9.0.10", "", 3000);
	SH("ip addr add 10.9.0.77/24 dev br0");
	until_owner(w, "10.9.0.77", "host", 3000);
	SH("ip link del bhi9; ip link del br2");
	until(w, cut_off, "its veth deleted");
}

static void test_changes(void **state)
{
	struct world *w = *state;
	connect_ns(w, 0);
	list_web(w, 0);
	change_all(w);
}

/* With room for one or two notices at a time: what is lost is made up for. */
static void test_notices_lost(void **state)
{
	struct world *w = *state;
	int tiny = 1, fd = bh_link_watch_fd(w->link);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &tiny, sizeof(tiny)), 0);
	for (unsigned i = 0; i < 3; i++)
		connect_ns(w, i);
	list_web(w, 2);
	change_all(w);
	SH("for i in $(seq 50); do echo addr add 10.9.7.$i/24 dev eth0; done |"
	   " nsenter -t %d -n ip -batch -;"
	   "for i in $(seq 50); do echo addr add 10.9.8.$i/24 dev eth0; done |"
	   " nsenter -t %d -n ip -batch -",
		w->ns[1], w->ns[2]);
	until_owner(w, "10.9.7.50", "o1", 3000);
	until_owner(w, "10.9.8.50", "o2", 3000);
}

/* Another namespace at the same path, with the first one's inode as like as not. */
static void test_replaced(void **state)
{
	struct world *w = *state;
	bh_autofree char *text = bh_xasprintf("workloads: [{name: web, netns: %s/ns}]\n", w->dir);
	connect_ns(w, 0);
	SH("touch %s/ns && mount --bind /proc/%d/ns/net %s/ns", w->dir, w->ns[0], w->dir);
	put(w, text);
	bh_inventory_mgr_add(w->m, bh_source_static_new(&w->loop, w->file));
	until_owner(w, "10.9.0.10", "web", 3000);
	for (unsigned i = 1; i < 3; i++) {
		char addr[20];
		SH("umount %s/ns", w->dir);
		bh_ns_kill(w->ns[i - 1]);
		SH("for i in $(seq 100); do [ -e /sys/class/net/bhi%u ] || exit 0; sleep 0.05; "
		   "done; exit 1",
			i - 1);
		bh_ns_kill(w->ns[i]);
		w->ns[i - 1] = 0;
		w->ns[i] = bh_ns_new();
		connect_ns(w, i);
		SH("mount --bind /proc/%d/ns/net %s/ns", w->ns[i], w->dir);
		snprintf(addr, sizeof(addr), "10.9.0.%u", 10 + i);
		until_owner(w, addr, "web", 3000);
		snprintf(addr, sizeof(addr), "10.9.0.%u", 9 + i);
		assert_string_equal(owner(w, addr), "");
	}
	SH("umount %s/ns", w->dir);
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
		cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_notices_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replaced, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
