/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The node is the namespace that this program lives in; every other end is a namespace of its own
 * behind a veth. The ends have no addresses: their frames are written and read as they are, so that
 * one set of links serves every world. The node has routes and fixed neighbours for them.
 *
 * Everything runs on one CPU: then what was sent first arrives first, and a last frame that has
 * arrived says that all before it have arrived or never will.
 */
#include "agree.h"

#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "../netns.h"

const char *const lab_externals[] = {"192.0.2.10", "192.0.2.11", "198.51.100.7", "203.0.113.255",
	"10.99.0.1", "2001:db8:aaaa::10", "2001:db8:bbbb::7", "10.1.200.200", "fd00:1::dead"};
const size_t lab_n_externals = BH_ARRAY_SIZE(lab_externals);

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "agree: %s: %s\n", what, strerror(errno));
	exit(2);
}

static bool is_routed(int slot)
{
	return slot == SLOT_OUTSIDE || (slot < WORKLOAD_SLOTS && slot % 5 == 4);
}

static void commands(const char *program, const char *text)
{
	FILE *f = popen(program, "w");
	if (!f || fputs(text, f) < 0 || pclose(f) != 0) {
		fprintf(stderr, "agree: %s failed\n", program);
		exit(2);
	}
}

static void slot_up(const struct slot *s)
{
	struct ifreq r = {0};
	bh_autoclose int fd = bh_ns_socket(s->holder, AF_INET, SOCK_DGRAM, 0);
	strcpy(r.ifr_name, "eth0");
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &r) < 0)
		die("eth0");
	r.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &r) < 0)
		die("eth0 up");
}

static void slot_listen(struct slot *s)
{
	int yes = 1, size = 4 << 20;
	struct ifreq r = {0};
	s->fd = bh_ns_socket(s->holder, AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
	strcpy(r.ifr_name, "eth0");
	if (s->fd < 0 || ioctl(s->fd, SIOCGIFINDEX, &r) < 0)
		die("packet socket");
	struct sockaddr_ll a = {.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = r.ifr_ifindex};
	if (setsockopt(s->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes)) < 0 ||
		setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 ||
		bind(s->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		die("packet socket");
}

static const uint8_t bridge_mac[6] = {2, 0, 0, 0, 1, 0xff};

static void slot_open(struct slot *s, int n)
{
	static const char mac[] = "%02x:%02x:%02x:%02x:%02x:%02x";
	bh_autobuf struct bh_buf b = {0};
	char here[18], there[18];
	const uint8_t own[6] = {2, 0, 0, 0, 1, (uint8_t)n};
	memcpy(s->mac, (uint8_t[]){2, 0, 0, 0, 0, (uint8_t)n}, 6);
	s->bridged = !is_routed(n);
	memcpy(s->gateway, s->bridged ? bridge_mac : own, 6);
	snprintf(s->dev, sizeof(s->dev), "v%d", n);
	s->holder = bh_ns_new();
	if (s->holder < 0)
		die("network namespace");
	snprintf(here, sizeof(here), mac, own[0], own[1], own[2], own[3], own[4], own[5]);
	snprintf(there, sizeof(there), mac, s->mac[0], s->mac[1], s->mac[2], s->mac[3], s->mac[4],
		s->mac[5]);
	bh_buf_printf(&b,
		"link add %s address %s type veth peer name eth0 address %s netns %d\n"
		"link set %s addrgenmode none\n",
		s->dev, here, there, (int)s->holder, s->dev);
	if (s->bridged)
		bh_buf_printf(&b, "link set %s master br0\n", s->dev);
	bh_buf_printf(&b, "link set %s up\n", s->dev);
	commands("ip -batch -", b.s);
	if (s->bridged) {
		b.len = 0;
		bh_buf_printf(&b, "fdb replace %s dev %s master static\n", there, s->dev);
		commands("bridge -batch -", b.s);
	}
	slot_up(s);
	slot_listen(s);
}

static const char node_setup[] =
	"set -e\n"
	"cd /proc/sys/net\n"
	"echo 1 >ipv4/ip_forward; echo 1 >ipv6/conf/all/forwarding\n"
	"for i in all default; do echo 0 >ipv4/conf/$i/rp_filter; echo 0 "
	">ipv4/conf/$i/send_redirects\n"
	"done\n"
	"echo 1 >bridge/bridge-nf-call-iptables; echo 1 >bridge/bridge-nf-call-ip6tables\n"
	"ip link set lo up\n"
	"ip link add br0 address 02:00:00:00:01:ff type bridge stp_state 0 mcast_snooping 0\n"
	"ip link set br0 addrgenmode none; ip link set br0 up\n";

static void node_addresses(void)
{
	bh_autobuf struct bh_buf b = {0};
	bh_buf_printf(&b,
		"addr add 10.1.0.1/16 dev br0\naddr add fd00:1::1/64 dev br0 nodad\n"
		"addr add 192.0.2.1/32 dev v%d\n"
		"neigh replace 192.0.2.254 lladdr 02:00:00:00:00:%02x dev v%d nud permanent\n"
		"neigh replace fe80::fe lladdr 02:00:00:00:00:%02x dev v%d nud permanent\n"
		"route add default via 192.0.2.254 dev v%d onlink\n"
		"route add ::/0 via fe80::fe dev v%d onlink\n"
		"neigh replace 10.1.200.200 lladdr 02:00:00:00:00:%02x dev br0 nud permanent\n"
		"neigh replace fd00:1::dead lladdr 02:00:00:00:00:%02x dev br0 nud permanent\n",
		SLOT_OUTSIDE, SLOT_OUTSIDE, SLOT_OUTSIDE, SLOT_OUTSIDE, SLOT_OUTSIDE, SLOT_OUTSIDE,
		SLOT_OUTSIDE, SLOT_STRANGER, SLOT_STRANGER);
	commands("ip -batch -", b.s);
}

static void node_sockets(struct lab *l)
{
	static const int family[2] = {AF_INET, AF_INET6};
	int yes = 1, size = 1 << 20;
	for (int v = 0; v < 2; v++) {
		const int proto[NODE_PROTOS] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP,
			v ? IPPROTO_ICMPV6 : IPPROTO_ICMP, PROTO_OTHER};
		l->node_tx[v] = socket(family[v], SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
		if (l->node_tx[v] < 0)
			die("raw socket");
		for (int i = 0; i < NODE_PROTOS; i++) {
			int fd = socket(
				family[v], SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, proto[i]);
			if (fd < 0)
				die("raw socket");
			setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
			if (v)
				setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &yes, sizeof(yes));
			l->node_rx[v][i] = fd;
		}
	}
}

void lab_open(struct lab *l)
{
	cpu_set_t one;
	bh_ns_leave();
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	commands("sh", node_setup);
	for (int i = 0; i < SLOTS; i++)
		slot_open(&l->slot[i], i);
	node_addresses();
	node_sockets(l);
}

void lab_close(struct lab *l)
{
	for (int i = 0; i < SLOTS; i++) {
		close(l->slot[i].fd);
		bh_ns_kill(l->slot[i].holder);
	}
	for (int v = 0; v < 2; v++) {
		close(l->node_tx[v]);
		for (int i = 0; i < NODE_PROTOS; i++)
			close(l->node_rx[v][i]);
	}
	bh_buf_finish(&l->plan);
}

static int workload_slot(const struct bh_workload *w)
{
	return atoi(w->name + 1); /* w0 … w13, whatever was taken away */
}

int lab_holder(const struct bh_inventory *inv, const struct bh_addr *a)
{
	int owner = bh_inventory_owner(inv, a);
	struct bh_addr e;
	if (owner == BH_OWNER_HOST)
		return SLOT_NODE;
	if (owner >= 0)
		return workload_slot(inv->workload[owner]);
	for (size_t i = 0; i < lab_n_externals; i++)
		if (bh_addr_parse(lab_externals[i], &e) == 0 && bh_addr_eq(&e, a))
			return bh_inventory_in_network(inv, a) ? SLOT_STRANGER : SLOT_OUTSIDE;
	return -1;
}

static void plan_address(struct lab *l, struct bh_buf *add, const struct bh_addr *a, int slot)
{
	char text[BH_ADDR_STRLEN], known[BH_ADDR_STRLEN + 16];
	const char *dev = l->slot[slot].bridged ? "br0" : l->slot[slot].dev;
	snprintf(known, sizeof(known), "route del %s dev ", bh_addr_format(a, text));
	if (l->plan.len && strstr(l->plan.s, known))
		return; /* claimed twice by the same workload */
	bh_buf_printf(add,
		"route replace %s dev %s\n"
		"neigh replace %s lladdr 02:00:00:00:00:%02x dev %s nud permanent\n",
		text, dev, text, slot, dev);
	bh_buf_printf(&l->plan, "route del %s dev %s\nneigh del %s dev %s\n", text, dev, text, dev);
}

void lab_address(struct lab *l, const struct bh_inventory *inv)
{
	bh_autobuf struct bh_buf add = {0};
	if (l->plan.len)
		bh_buf_add(&add, l->plan.s, l->plan.len);
	bh_buf_finish(&l->plan);
	for (size_t i = 0; i < inv->n; i++) {
		const struct bh_workload *w = inv->workload[i];
		for (size_t k = 0; k < w->n_ifaces; k++)
			for (size_t n = 0; n < w->iface[k].n_addrs; n++)
				if (bh_inventory_owner(inv, &w->iface[k].addr[n]) == (int)i)
					plan_address(
						l, &add, &w->iface[k].addr[n], workload_slot(w));
	}
	if (add.len)
		commands("ip -batch -", add.s);
}
