/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Links and addresses against a real kernel: this process' own namespace plays the node, others
 * play the containers. They are never entered by the code under test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <net/if.h>
#include <poll.h>
#include <sys/stat.h>

#include "link/link.h"
#include "system/netns.h"

struct fixture {
	struct bh_link *l;
	pid_t ns[3];
	size_t n;
	struct bh_workload *w;
};

static int setup(void **state)
{
	struct fixture *f = bh_xcalloc(1, sizeof(*f));

	assert_int_equal(bh_link_open(&f->l), 0);
	f->w = bh_workload_new();
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < f->n; i++)
		bh_ns_kill(f->ns[i]);
	bh_workload_free(f->w);
	bh_link_close(f->l);
	free(f);
	return bh_sh("for l in v1 v2 v3 br0 br1 dev0 mv0; do ip link del $l 2>/dev/null; done; "
		     "true");
}

static pid_t container(struct fixture *f)
{
	pid_t pid = bh_ns_new();

	assert_true(pid > 0);
	f->ns[f->n++] = pid;
	return pid;
}

static int inspect(struct fixture *f, pid_t pid, struct bh_workload *w)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	return bh_link_inspect(f->l, path, w);
}

#define SH(...) assert_int_equal(bh_sh(__VA_ARGS__), 0)

static void assert_addr(const struct bh_addr *a, const char *expected)
{
	char s[BH_ADDR_STRLEN];

	assert_string_equal(bh_addr_format(a, s), expected);
}

static bool has(const struct bh_addr *a, size_t n, const char *addr)
{
	char s[BH_ADDR_STRLEN];

	for (size_t i = 0; i < n; i++)
		if (strcmp(bh_addr_format(&a[i], s), addr) == 0)
			return true;
	return false;
}

static bool has_network(const struct bh_inventory *inv, const char *prefix)
{
	char s[BH_PREFIX_STRLEN];

	for (size_t i = 0; i < inv->n_networks; i++)
		if (strcmp(bh_prefix_format(&inv->network[i], s), prefix) == 0)
			return true;
	return false;
}

static const struct bh_interface *iface(const struct bh_workload *w, const char *name)
{
	for (size_t i = 0; i < w->n_ifaces; i++)
		if (strcmp(w->iface[i].name, name) == 0)
			return &w->iface[i];
	fail_msg("no interface %s", name);
	return NULL;
}

static void bridged(pid_t pid, const char *veth, const char *bridge, const char *addr)
{
	SH("ip link show %s >/dev/null 2>&1 || ip link add %s up type bridge", bridge, bridge);
	SH("ip link add %s type veth peer name eth0 netns %d && ip link set %s master %s up", veth,
		pid, veth, bridge);
	SH("nsenter -t %d -n ip addr add %s dev eth0 && nsenter -t %d -n ip link set eth0 up", pid,
		addr, pid);
}

static void test_bridge_dual_stack(void **state)
{
	struct fixture *f = *state;
	pid_t pid = container(f);
	uint64_t inode = 0;
	char path[64];
	struct stat st;

	bridged(pid, "v1", "br0", "10.1.0.2/24");
	SH("nsenter -t %d -n ip link set eth0 address 02:00:00:00:00:07", pid);
	SH("nsenter -t %d -n ip addr add 2001:db8:1::2/64 dev eth0", pid); /* tentative */
	assert_int_equal(inspect(f, pid, f->w), 0);
	assert_null(f->w->unenforceable);
	assert_int_equal(f->w->n_ifaces, 1); /* no loopback */
	const struct bh_interface *i = &f->w->iface[0];
	assert_string_equal(i->name, "eth0");
	assert_string_equal(i->host_name, "v1");
	assert_int_equal(i->host_ifindex, if_nametoindex("v1"));
	assert_string_equal(i->bridge, "br0");
	assert_int_equal(i->bridge_ifindex, if_nametoindex("br0"));
	assert_memory_equal(i->mac, "\x02\0\0\0\0\x07", 6);
	assert_true(i->ifindex > 1);
	assert_true(has(i->addr, i->n_addrs, "10.1.0.2"));
	assert_true(has(i->addr, i->n_addrs, "2001:db8:1::2"));
	assert_true(i->n_addrs >= 3); /* and link-local ones */
	for (size_t k = 0; k < i->n_addrs; k++)
		assert_false(bh_addr_is_loopback(&i->addr[k]));

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(bh_link_netns_inode(path, &inode), 0);
	assert_true(inode == st.st_ino);
	assert_true(f->w->netns == inode);
	assert_true(inode != bh_link_own_netns(f->l));

	/* Anew, not in addition. */
	SH("nsenter -t %d -n ip addr del 10.1.0.2/24 dev eth0", pid);
	assert_int_equal(inspect(f, pid, f->w), 0);
	assert_int_equal(f->w->n_ifaces, 1);
	assert_false(has(f->w->iface[0].addr, f->w->iface[0].n_addrs, "10.1.0.2"));
}

static void test_two_interfaces(void **state)
{
	struct fixture *f = *state;
	pid_t pid = container(f);

	bridged(pid, "v1", "br0", "10.1.0.2/24");
	SH("ip link add br1 up type bridge");
	SH("ip link add v2 type veth peer name eth1 netns %d && ip link set v2 master br1 up", pid);
	SH("ip link add v3 type veth peer name eth2 netns %d", pid); /* down, no address */
	SH("nsenter -t %d -n ip addr add 10.2.0.2/24 dev eth1", pid);
	assert_int_equal(inspect(f, pid, f->w), 0);
	assert_int_equal(f->w->n_ifaces, 3);
	assert_string_equal(iface(f->w, "eth0")->bridge, "br0");
	assert_string_equal(iface(f->w, "eth1")->bridge, "br1");
	assert_string_equal(iface(f->w, "eth1")->host_name, "v2");
	assert_int_equal(iface(f->w, "eth1")->n_addrs, 1);
	assert_addr(&iface(f->w, "eth1")->addr[0], "10.2.0.2");
	assert_string_equal(iface(f->w, "eth2")->host_name, "v3");
	assert_null(iface(f->w, "eth2")->bridge);
	assert_int_equal(iface(f->w, "eth2")->n_addrs, 0);
	assert_null(f->w->unenforceable);
}

/* Two containers whose interfaces have the same index: each gets its own host side. */
static void test_same_ifindex(void **state)
{
	struct fixture *f = *state;
	struct bh_workload *second = bh_workload_new();
	pid_t a = container(f), b = container(f);

	bridged(a, "v1", "br0", "10.1.0.2/24");
	bridged(b, "v2", "br0", "10.1.0.3/24");
	assert_int_equal(inspect(f, a, f->w), 0);
	assert_int_equal(inspect(f, b, second), 0);
	assert_int_equal(f->w->iface[0].ifindex, second->iface[0].ifindex);
	assert_string_equal(f->w->iface[0].host_name, "v1");
	assert_string_equal(second->iface[0].host_name, "v2");
	assert_true(f->w->netns != second->netns);
	bh_workload_free(second);
}

static void test_host(void **state)
{
	struct fixture *f = *state;
	struct bh_inventory *inv = bh_inventory_new();
	struct bh_workload *routed = bh_workload_new();
	pid_t a = container(f), b = container(f);

	bridged(a, "v1", "br0", "10.1.0.2/24");
	SH("ip addr add 10.1.0.1/24 dev br0 && ip addr add 2001:db8:1::1/64 dev br0 nodad");
	SH("ip link add v2 up type veth peer name eth0 netns %d", b);
	SH("ip addr add 10.3.0.1/30 dev v2; ip addr add 10.4.0.1 peer 10.4.0.2/32 dev v2;"
	   " ip addr add 169.254.1.1/32 dev v2");
	SH("ip link add dev0 up type bridge && ip addr add 192.0.2.1/24 dev dev0");
	SH("ip link add br1 up type bridge && ip addr add 10.9.0.1/16 dev br1");
	assert_int_equal(inspect(f, a, f->w), 0);
	assert_int_equal(inspect(f, b, routed), 0);
	assert_null(routed->unenforceable);
	assert_string_equal(routed->iface[0].host_name, "v2");
	assert_null(routed->iface[0].bridge);
	f->w->id = bh_xstrdup("a");
	f->w->name = bh_xstrdup("a");
	f->w->namespace = bh_xstrdup("default");
	routed->id = bh_xstrdup("b");
	routed->name = bh_xstrdup("b");
	routed->namespace = bh_xstrdup("default");
	bh_inventory_add(inv, f->w);
	bh_inventory_add(inv, routed);
	f->w = NULL;
	assert_int_equal(bh_link_host(f->l, inv, true), 0);
	bh_inventory_seal(inv);

	assert_true(has(inv->host, inv->n_hosts, "10.1.0.1"));
	assert_true(has(inv->host, inv->n_hosts, "2001:db8:1::1"));
	assert_true(has(inv->host, inv->n_hosts, "192.0.2.1"));
	assert_true(has(inv->host, inv->n_hosts, "10.9.0.1"));
	assert_true(has(inv->host, inv->n_hosts, "169.254.1.1"));
	assert_false(has(inv->host, inv->n_hosts, "127.0.0.1"));
	assert_false(has(inv->host, inv->n_hosts, "::1"));
	assert_false(has(inv->host, inv->n_hosts, "10.1.0.2"));
	assert_true(has_network(inv, "10.1.0.0/24"));
	assert_true(has_network(inv, "2001:db8:1::/64"));
	assert_true(has_network(inv, "10.3.0.0/30"));
	assert_true(has_network(inv, "10.4.0.2/32")); /* the peer's */
	assert_false(has_network(inv, "192.0.2.0/24")); /* no workload there */
	assert_false(has_network(inv, "10.9.0.0/16"));
	assert_false(has_network(inv, "fe80::/64"));
	assert_false(has_network(inv, "169.254.1.1/32"));
	assert_true(has(inv->broadcast, inv->n_broadcast, "10.1.0.255"));
	bh_inventory_unref(inv);
}

static void test_host_without_workloads(void **state)
{
	struct fixture *f = *state;
	struct bh_inventory *inv = bh_inventory_new();

	SH("ip link add br0 up type bridge && ip addr add 10.1.0.1/24 dev br0");
	assert_int_equal(bh_link_host(f->l, inv, true), 0);
	assert_int_equal(inv->n_networks, 0);
	assert_true(has(inv->host, inv->n_hosts, "10.1.0.1"));
	bh_inventory_unref(inv);
}

static void test_macvlan(void **state)
{
	struct fixture *f = *state;
	pid_t pid = container(f);

	SH("ip link add dev0 up type bridge");
	SH("ip link add mv0 link dev0 type macvlan mode bridge");
	SH("ip link set mv0 netns %d name eth0", pid);
	SH("nsenter -t %d -n ip addr add 192.0.2.7/24 dev eth0", pid);
	assert_int_equal(inspect(f, pid, f->w), 0);
	assert_string_equal(f->w->unenforceable,
		"interface eth0 is macvlan: its traffic does not pass this node's forward hook");
	assert_int_equal(f->w->n_ifaces, 1);
	assert_null(f->w->iface[0].host_name);
	assert_int_equal(f->w->iface[0].host_ifindex, 0); /* dev0 is no peer */
	assert_addr(&f->w->iface[0].addr[0], "192.0.2.7");
}

/* What a container with CAP_NET_ADMIN makes inside must not get it out of being governed. */
static void test_made_inside(void **state)
{
	struct fixture *f = *state;
	pid_t pid = container(f), nested = container(f);

	bridged(pid, "v1", "br0", "10.1.0.2/24");
	SH("nsenter -t %d -n ip link add d0 up type bridge", pid);
	SH("nsenter -t %d -n ip addr add 10.8.0.1/24 dev d0", pid);
	SH("nsenter -t %d -n ip link add m0 link eth0 type macvlan", pid);
	SH("nsenter -t %d -n ip tuntap add t0 mode tun", pid);
	SH("nsenter -t %d -n ip link add in0 type veth peer name in1", pid);
	SH("nsenter -t %d -n ip link add out0 type veth peer name eth0 netns %d", pid, nested);
	SH("nsenter -t %d -n ip link add d1 type bridge", pid);
	SH("nsenter -t %d -n ip link set d1 name \"$(printf 'a\\033[31mb')\"", pid);
	assert_int_equal(inspect(f, pid, f->w), 0);
	assert_null(f->w->unenforceable);
	assert_string_equal(iface(f->w, "eth0")->host_name, "v1");
	assert_null(iface(f->w, "d0")->host_name);
	assert_null(iface(f->w, "m0")->host_name);
	assert_null(iface(f->w, "in0")->host_name);
	assert_null(iface(f->w, "out0")->host_name);
	assert_non_null(iface(f->w, "a?[31mb")); /* safe to print */

	/* The nested one is no neighbour of ours: its traffic goes by its parent. */
	SH("nsenter -t %d -n ip addr add 10.8.1.2/24 dev eth0", nested);
	struct bh_workload *w = bh_workload_new();
	assert_int_equal(inspect(f, nested, w), 0);
	assert_null(w->iface[0].host_name);
	assert_string_equal(w->unenforceable,
		"interface eth0 is a veth of another namespace: its traffic does not pass this "
		"node's forward hook");
	bh_workload_free(w);
}

/* Rootless engines lead packets out by a process of the user, which reads them from a tap. */
static void test_rootless(void **state)
{
	struct fixture *f = *state;
	pid_t pid = container(f);

	SH("nsenter -t %d -n ip tuntap add tap0 mode tap", pid);
	SH("nsenter -t %d -n ip addr add 10.0.2.100/24 dev tap0", pid);
	assert_int_equal(inspect(f, pid, f->w), 0);
	assert_string_equal(f->w->unenforceable,
		"interface tap0 is tun: its traffic does not pass this node's forward hook");
}

static void test_many_interfaces(void **state)
{
	struct fixture *f = *state;
	pid_t pid = container(f);

	SH("nsenter -t %d -n sh -c 'for i in $(seq 300); do echo link add x$i type bridge; done |"
	   " ip -batch -'",
		pid);
	SH("nsenter -t %d -n sh -c 'for i in $(seq 1 250); do for j in 1 2; do"
	   " echo addr add 10.5.$j.$i/32 dev x9; done; done | ip -batch -'",
		pid);
	bridged(pid, "v1", "br0", "10.1.0.2/24"); /* the last of them */
	assert_int_equal(inspect(f, pid, f->w), 0);
	assert_null(f->w->unenforceable);
	assert_true(f->w->n_ifaces < 100); /* bounded, but what leads here is among them */
	assert_string_equal(iface(f->w, "eth0")->host_name, "v1");
	assert_int_equal(iface(f->w, "x9")->n_addrs, 256);
}

static void test_only_loopback(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(inspect(f, container(f), f->w), 0);
	assert_int_equal(f->w->n_ifaces, 0);
	assert_null(f->w->unenforceable);
	assert_true(f->w->netns != 0);
}

static void test_own_namespace(void **state)
{
	struct fixture *f = *state;
	struct bh_interface *stale = bh_workload_add_interface(f->w);

	stale->name = bh_xstrdup("stale");
	assert_int_equal(bh_link_inspect(f->l, "/proc/self/ns/net", f->w), 0);
	assert_string_equal(f->w->unenforceable, "shares the host's network");
	assert_int_equal(f->w->n_ifaces, 0);
	assert_true(f->w->netns == bh_link_own_netns(f->l));
	assert_int_equal(inspect(f, container(f), f->w), 0); /* no reason lingers */
	assert_null(f->w->unenforceable);
}

static void test_gone(void **state)
{
	struct fixture *f = *state;
	pid_t pid = container(f);
	uint64_t inode = 42;
	char file[] = "/tmp/bulkhead-test-XXXXXX";
	int fd = mkstemp(file);

	bridged(pid, "v1", "br0", "10.1.0.2/24");
	assert_int_equal(inspect(f, pid, f->w), 0);
	bh_ns_kill(pid);
	f->ns[--f->n] = 0;
	assert_int_equal(inspect(f, pid, f->w), -ENOENT);
	assert_int_equal(f->w->n_ifaces, 1); /* untouched */
	assert_int_equal(bh_link_inspect(f->l, "/run/netns/bulkhead-no-such", f->w), -ENOENT);
	assert_int_equal(bh_link_inspect(f->l, file, f->w), -ENOENT);
	assert_int_equal(bh_link_inspect(f->l, "/proc/self/ns/uts", f->w), -ENOENT);
	assert_int_equal(bh_link_netns_inode(file, &inode), -ENOENT);
	assert_int_equal(inode, 42);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(mkfifo(file, 0600), 0);
	assert_int_equal(bh_link_netns_inode(file, &inode), -ENOENT); /* and does not wait */
	unlink(file);
	close(fd);
}

/* Ids of namespaces are handed out again when one is gone: never mistaken. */
static void test_recycled_ids(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++) {
		pid_t pid = bh_ns_new();
		char addr[32];
		snprintf(addr, sizeof(addr), "10.1.0.%d/24", 10 + i);
		bridged(pid, "v1", "br0", addr);
		assert_int_equal(inspect(f, pid, f->w), 0);
		*strchr(addr, '/') = '\0';
		assert_true(has(f->w->iface[0].addr, f->w->iface[0].n_addrs, addr));
		assert_string_equal(f->w->iface[0].host_name, "v1");
		bh_ns_kill(pid);
		bh_sh("ip link del v1 2>/dev/null || true");
	}
}

/* --- notices --- */

/* All that is heard until there is silence. */
static struct bh_link_news heard(struct fixture *f, int quiet_ms)
{
	struct pollfd p = {bh_link_watch_fd(f->l), POLLIN, 0};
	struct bh_link_news news = {};

	while (poll(&p, 1, quiet_ms) > 0)
		bh_link_watch_drain(f->l, &news);
	return news;
}

static void settle(struct fixture *f)
{
	struct bh_link_news news = heard(f, 2500); /* addresses are tentative for so long */

	bh_link_news_finish(&news);
}

static bool is_about(const struct bh_link_news *news, const struct bh_workload *w)
{
	for (size_t i = 0; i < news->n; i++)
		if (news->netns[i] == w->netns)
			return true;
	return false;
}

/* That what was done since concerns these, and nobody else. */
static void assert_about(struct fixture *f, const struct bh_workload *a,
	const struct bh_workload *b, bool host, const char *what)
{
	struct bh_link_news news = heard(f, 500);

	if (news.all || news.host != host || (a && !is_about(&news, a)) ||
		(b && !is_about(&news, b)))
		fail_msg("%s: all %d, host %d, %zu namespaces", what, news.all, news.host, news.n);
	for (size_t i = 0; i < news.n; i++)
		if (!(a && news.netns[i] == a->netns) && !(b && news.netns[i] == b->netns))
			fail_msg("%s: of no concern to %llu", what,
				(unsigned long long)news.netns[i]);
	bh_link_news_finish(&news);
}

#define DO(a, b, host, ...)                                                                        \
	do {                                                                                       \
		SH(__VA_ARGS__);                                                                   \
		assert_about(f, a, b, host, #__VA_ARGS__);                                         \
	} while (0)

/* Inspects. That it looks different tells it of itself once more, as others may know it as it was.
 */
static void look(struct fixture *f, pid_t pid, struct bh_workload *w)
{
	struct bh_link_news news = {};

	assert_int_equal(inspect(f, pid, w), 0);
	bh_link_watch_drain(f->l, &news);
	assert_true(news.n <= 1 && !news.all && !news.host);
	bh_link_news_finish(&news);
}

/* Three containers: two on one bridge, and one that nobody has inspected. */
static void test_watch(void **state)
{
	struct fixture *f = *state;
	pid_t pa = container(f), pb = container(f), pc = container(f);
	struct bh_workload *a = f->w, *b = bh_workload_new();
	struct bh_link_news nothing = {};

	bridged(pa, "v1", "br0", "10.1.0.2/24");
	bridged(pb, "v2", "br0", "10.1.0.3/24");
	SH("ip link add br1 type bridge");
	settle(f); /* a slow machine is still telling of what was made */
	look(f, pa, a);
	look(f, pb, b);
	settle(f);
	bh_link_watch_drain(f->l, &nothing); /* nothing, and does not wait */
	assert_true(nothing.n == 0 && !nothing.all && !nothing.host);
	struct bh_inventory *inv = bh_inventory_new();
	assert_int_equal(bh_link_host(f->l, inv, true), 0);

	DO(NULL, NULL, true, "ip addr add 10.1.0.1/24 dev br0");
	DO(NULL, NULL, true, "ip addr del 10.1.0.1/24 dev br0");
	DO(a, NULL, false, "nsenter -t %d -n ip addr add 10.1.0.77/24 dev eth0", pa);
	DO(b, NULL, false, "nsenter -t %d -n ip addr add 2001:db8::7/64 dev eth0 nodad", pb);
	DO(a, NULL, false, "nsenter -t %d -n ip link set eth0 address 02:00:00:00:00:09", pa);
	DO(a, NULL, false, "nsenter -t %d -n ip link add d0 type bridge", pa);
	DO(b, NULL, false, "ip link set v2 master br1");
	look(f, pb, b);
	assert_string_equal(b->iface[0].bridge, "br1");
	DO(b, NULL, false, "ip link set br1 name br7"); /* down, as older kernels want it */
	look(f, pb, b);
	DO(NULL, NULL, false, "ip link set br7 address 02:00:00:00:00:17");
	DO(b, NULL, false, "ip link set v2 nomaster");
	DO(b, NULL, false, "ip link set br7 name br1"); /* on which it was when it was inspected */
	look(f, pb, b);
	DO(b, NULL, false, "ip link set v2 master br0");
	look(f, pb, b);
	DO(a, b, true, "ip link del br0"); /* which had a link-local address */
	bh_link_forget(f->l, a->netns);
	DO(NULL, NULL, false, "nsenter -t %d -n ip addr add 10.1.0.78/24 dev eth0", pa);
	DO(NULL, NULL, false, "nsenter -t %d -n ip link add d0 type bridge", pc);
	look(f, pa, a);
	DO(a, NULL, true, "ip link set v1 down"); /* and its link-local address goes */
	DO(a, NULL, false, "ip link set v1 name v3"); /* down, as older kernels want it */
	DO(a, NULL, false, "ip link del v3");
	bh_workload_free(b);
	bh_inventory_unref(inv);
}

/* A container that starts is of no concern to the others on the bridge. */
static void test_watch_start(void **state)
{
	struct fixture *f = *state;
	pid_t pa = container(f), pb = container(f);
	struct bh_workload *b = bh_workload_new();

	bridged(pa, "v1", "br0", "10.1.0.2/24");
	assert_int_equal(inspect(f, pa, f->w), 0);
	settle(f);
	bridged(pb, "v2", "br0", "10.1.0.3/24");
	struct bh_link_news news = heard(f, 2500);
	assert_true(news.host && !news.all); /* the host side's link-local address */
	assert_int_equal(news.n, 0);
	bh_link_news_finish(&news);
	assert_int_equal(inspect(f, pb, b), 0);
	DO(b, NULL, false, "nsenter -t %d -n ip addr add 10.1.0.77/24 dev eth0", pb);
	bh_workload_free(b);
}

/* An id that is handed out again is not mistaken for who had it. */
static void test_watch_recycled(void **state)
{
	struct fixture *f = *state;
	pid_t pa = container(f), pb;
	struct bh_workload *b = bh_workload_new();

	bridged(pa, "v1", "br0", "10.1.0.2/24");
	assert_int_equal(inspect(f, pa, f->w), 0);
	bh_ns_kill(pa);
	f->ns[--f->n] = 0;
	SH("for i in $(seq 100); do [ -e /sys/class/net/v1 ] || exit 0; sleep 0.05; done; exit 1");
	settle(f);
	pb = container(f);
	bridged(pb, "v1", "br0", "10.1.0.3/24");
	settle(f);
	look(f, pb, b); /* and perhaps that the first is gone */
	DO(b, NULL, false, "nsenter -t %d -n ip addr add 10.1.0.77/24 dev eth0", pb);
	bh_workload_free(b);
}

/* Its inode may be another's at once, so that it is gone is told of even if nothing led to it. */
static void test_watch_gone(void **state)
{
	struct fixture *f = *state;
	pid_t pid = container(f);

	assert_int_equal(inspect(f, pid, f->w), 0);
	settle(f);
	bh_ns_kill(pid);
	f->ns[--f->n] = 0;
	assert_about(f, f->w, NULL, false, "gone");
}

/* What notices tell of the node's addresses is what the kernel says. */
static void test_watch_host(void **state)
{
	struct fixture *f = *state;
	static const char *const change[] = {
		"ip addr add 10.1.0.1/24 dev br0",
		"ip addr add 10.1.0.1/16 dev br0",
		"ip addr add 10.1.0.9/24 dev br0",
		"ip addr add 10.4.0.1 peer 10.4.0.2/32 dev br0",
		"ip addr add 2001:db8:1::1/64 dev br0",
		"ip addr add 2001:db8:1::2/64 dev br0 nodad",
		"ip addr replace 2001:db8:1::2/64 dev br0 preferred_lft 100 valid_lft 200",
		"ip addr del 10.1.0.1/16 dev br0",
		"ip addr add 10.1.0.9/24 dev br1",
		"ip addr del 2001:db8:1::1/64 dev br0",
		"ip link add v1 type veth peer name v2; ip link set v1 up; ip link set v2 up",
		"ip addr flush dev br0",
		"ip link del v1",
		"ip link del br1",
	};

	SH("ip link add br0 up type bridge; ip link add br1 up type bridge");
	settle(f);
	for (size_t i = 0; i < BH_ARRAY_SIZE(change); i++) {
		struct bh_inventory *told = bh_inventory_new(), *asked = bh_inventory_new();
		SH("%s", change[i]);
		struct bh_link_news news = heard(f, i == 10 ? 2500 : 200);
		if (i > 0) {
			if (!news.host && i != 6)
				fail_msg("nothing heard of: %s", change[i]);
			assert_int_equal(bh_link_host(f->l, told, false), 0);
		}
		assert_int_equal(bh_link_host(f->l, asked, true), 0);
		for (size_t k = 0; i > 0 && k < asked->n_hosts; k++)
			assert_true(bh_addr_eq(&told->host[k], &asked->host[k]));
		assert_true(i == 0 || told->n_hosts == asked->n_hosts);
		bh_inventory_unref(told);
		bh_inventory_unref(asked);
		bh_link_news_finish(&news);
	}
}

static void test_watch_overrun(void **state)
{
	struct fixture *f = *state;
	struct pollfd p = {bh_link_watch_fd(f->l), POLLIN, 0};
	struct bh_link_news news = {};
	struct bh_inventory *inv = bh_inventory_new();
	int rounds = 0, tiny = 1;

	SH("ip link add dev0 up type bridge");
	settle(f);
	assert_int_equal(bh_link_host(f->l, inv, true), 0);
	SH("for i in $(seq 1 10); do for j in $(seq 1 200); do echo addr add 10.$i.$j.1/32 dev "
	   "dev0; done; done | ip -batch -");
	for (; poll(&p, 1, 0) > 0; rounds++)
		bh_link_watch_drain(f->l, &news);
	assert_true(news.host);
	assert_true(rounds > 5 || news.all); /* bounded at a time */
	bh_link_news_finish(&news);
	assert_int_equal(setsockopt(p.fd, SOL_SOCKET, SO_RCVBUFFORCE, &tiny, sizeof(tiny)), 0);
	SH("for i in $(seq 20 30); do echo addr add 10.$i.0.1/32 dev dev0; done | ip -batch -");
	news = heard(f, 300);
	assert_true(news.all && news.host);
	bh_link_news_finish(&news);
	assert_int_equal(bh_link_host(f->l, inv, false), 0);
	bh_inventory_seal(inv);
	assert_true(has(inv->host, inv->n_hosts, "10.10.200.1"));
	assert_true(has(inv->host, inv->n_hosts, "10.30.0.1")); /* asked for again by itself */
	bh_inventory_unref(inv);
}

static void test_bridge_nf(void **state BH_UNUSED)
{
	if (access("/proc/sys/net/bridge/bridge-nf-call-iptables", F_OK) < 0) {
		assert_int_equal(bh_link_enable_bridge_nf(), -ENOENT);
		return;
	}
	SH("echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables");
	assert_int_equal(bh_link_enable_bridge_nf(), 1);
	assert_int_equal(bh_link_enable_bridge_nf(), 0);
	SH("echo 0 > /proc/sys/net/bridge/bridge-nf-call-ip6tables");
	assert_int_equal(bh_link_enable_bridge_nf(), 1);
	SH("grep -q 1 /proc/sys/net/bridge/bridge-nf-call-ip6tables");
	SH("grep -q 1 /proc/sys/net/bridge/bridge-nf-call-iptables");
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_bridge_dual_stack),
		T(test_two_interfaces),
		T(test_same_ifindex),
		T(test_host),
		T(test_host_without_workloads),
		T(test_macvlan),
		T(test_made_inside),
		T(test_rootless),
		T(test_many_interfaces),
		T(test_only_loopback),
		T(test_own_namespace),
		T(test_gone),
		T(test_recycled_ids),
		T(test_watch),
		T(test_watch_start),
		T(test_watch_recycled),
		T(test_watch_gone),
		T(test_watch_host),
		T(test_watch_overrun),
		T(test_bridge_nf),
	};

	bh_ns_leave();
	if (bh_sh("ip link set lo up") != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
