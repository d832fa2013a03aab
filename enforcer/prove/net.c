/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Namespaces that are held by their descriptors alone, and what is in them: rtnetlink
 * (linux/rtnetlink.h, linux/if_link.h, linux/veth.h), a request at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>

#include "prove/private.h"

#define BRIDGE_NF "/proc/sys/net/bridge/bridge-nf-call-"

struct in_addr prove_addr4(int place)
{
	return (struct in_addr){htonl(0xc0000201u + (unsigned)place)};
}

struct in6_addr prove_addr6(int place)
{
	struct in6_addr a = {{{0x20, 0x01, 0x0d, 0xb8}}};
	a.s6_addr[15] = (uint8_t)(place + 1);
	return a;
}

/* Sends one request and waits for its acknowledgement. */
static int ask(struct nlmsghdr *nlh)
{
	_Alignas(struct nlmsghdr) char answer[4096];
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int r = -errno;
	if (!s)
		return r;
	nlh->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ||
		mnl_socket_sendto(s, nlh, nlh->nlmsg_len) < 0) {
		r = -errno;
	} else {
		ssize_t n = mnl_socket_recvfrom(s, answer, sizeof(answer));
		const struct nlmsghdr *a = (const void *)answer;
		r = n < 0 ? -errno : -EBADMSG;
		if (n >= (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) &&
			a->nlmsg_type == NLMSG_ERROR)
			r = ((const struct nlmsgerr *)mnl_nlmsg_get_payload(a))->error;
	}
	mnl_socket_close(s);
	return r;
}

static struct nlmsghdr *new_link(char *buf, const char *name, const uint8_t *mac)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = RTM_NEWLINK;
	nlh->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	if (mac)
		mnl_attr_put(nlh, IFLA_ADDRESS, 6, mac);
	return nlh;
}

static int add_bridge(const uint8_t *mac)
{
	char buf[1024];
	struct nlmsghdr *nlh = new_link(buf, "br0", mac);
	struct nlattr *info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "bridge");
	mnl_attr_nest_end(nlh, info);
	return ask(nlh);
}

/* A veth of the node's on the bridge, whose other end is eth0 over there. */
static int add_veth(const char *name, const uint8_t *there, int ns)
{
	char buf[1024];
	struct nlmsghdr *nlh = new_link(buf, name, NULL);
	mnl_attr_put_u32(nlh, IFLA_MASTER, if_nametoindex("br0"));
	struct nlattr *info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	struct nlattr *data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	struct nlattr *peer = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	*ifi = (struct ifinfomsg){0};
	mnl_attr_put_strz(nlh, IFLA_IFNAME, "eth0");
	mnl_attr_put(nlh, IFLA_ADDRESS, 6, there);
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)ns);
	mnl_attr_nest_end(nlh, peer);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	return ask(nlh);
}

static int link_up(const char *name)
{
	char buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = RTM_NEWLINK;
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_index = (int)if_nametoindex(name);
	ifi->ifi_flags = ifi->ifi_change = IFF_UP;
	return ask(nlh);
}

static int add_addr(const char *name, uint8_t family, const void *addr, size_t len, uint8_t bits)
{
	char buf[256];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = RTM_NEWADDR;
	nlh->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = family;
	ifa->ifa_prefixlen = bits;
	ifa->ifa_flags = IFA_F_NODAD; /* nobody waits for duplicates to be looked for */
	ifa->ifa_index = if_nametoindex(name);
	mnl_attr_put(nlh, IFA_LOCAL, len, addr);
	mnl_attr_put(nlh, IFA_ADDRESS, len, addr);
	return ask(nlh);
}

static int own_addresses(const char *name, int place)
{
	struct in_addr v4 = prove_addr4(place);
	struct in6_addr v6 = prove_addr6(place);
	int r = add_addr(name, AF_INET, &v4, sizeof(v4), 24);
	/* A host without IPv6 proves IPv4. */
	if (r == 0 && access("/proc/net/if_inet6", F_OK) == 0)
		r = add_addr(name, AF_INET6, &v6, sizeof(v6), 64);
	return r;
}

int prove_at(const struct prove_net *n, int place)
{
	return setns(n->ns[place], CLONE_NEWNET) < 0 ? -errno : 0;
}

/* New ones, one after the other; the node's last, so that we are in it. */
static int make_namespaces(struct prove_net *n)
{
	for (int i = PLACES - 1; i >= 0; i--) {
		if (unshare(CLONE_NEWNET) < 0)
			return -errno;
		n->left = true;
		n->ns[i] = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
		if (n->ns[i] < 0)
			return -errno;
	}
	return 0;
}

static int furnish(struct prove_net *n)
{
	static const char *const veth[] = {[AT_A] = "veth-a", [AT_B] = "veth-b", [AT_C] = "veth-c"};
	int r = add_bridge(n->mac[AT_NODE]);
	if (r == 0)
		r = own_addresses("br0", AT_NODE);
	for (int i = AT_A; i < PLACES && r == 0; i++)
		r = add_veth(veth[i], n->mac[i], n->ns[i]);
	for (int i = AT_A; i < PLACES && r == 0; i++) {
		r = prove_at(n, i);
		if (r == 0)
			r = link_up("lo");
		if (r == 0)
			r = link_up("eth0");
		if (r == 0)
			r = own_addresses("eth0", i);
	}
	return r < 0 ? r : prove_at(n, AT_NODE);
}

int prove_net_open(struct prove_net *n, const char **ret_what)
{
	*n = (struct prove_net){.home = -1, .ns = {-1, -1, -1, -1}};
	for (int i = 0; i < PLACES; i++)
		memcpy(n->mac[i], (uint8_t[]){2, 0, 0, 0, 0x50, (uint8_t)(i + 1)}, 6);
	n->home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	*ret_what = "a network namespace";
	int r = n->home < 0 ? -errno : make_namespaces(n);
	if (r == 0) {
		*ret_what = "a bridge and veths";
		r = furnish(n);
	}
	return r;
}

void prove_net_close(struct prove_net *n)
{
	if (n->left && setns(n->home, CLONE_NEWNET) < 0)
		abort(); /* anywhere else we could do harm */
	for (int i = 0; i < PLACES; i++)
		if (n->ns[i] >= 0)
			close(n->ns[i]);
	if (n->home >= 0)
		close(n->home);
}

int prove_bridge_nf(bool on)
{
	static const char *const file[] = {BRIDGE_NF "iptables", BRIDGE_NF "ip6tables"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(file); i++) {
		bh_autoclose int fd = open(file[i], O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, on ? "1" : "0", 1) != 1)
			return -errno;
	}
	return 0;
}
