/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Links and addresses from rtnetlink: a container's interfaces without entering its network
 * namespace, the host side of its veths, bridges, the node's own addresses, and notice of changes.
 * Single-threaded.
 */
#pragma once

#include <bulkhead/workload.h>

struct bh_link;
/* In the current network namespace, where it stays whatever the thread does later. −EPERM without
 * CAP_NET_ADMIN and CAP_NET_BROADCAST (notices from other namespaces). */
int bh_link_open(struct bh_link **ret);
void bh_link_close(struct bh_link *l); /* NULL is fine */

uint64_t bh_link_own_netns(const struct bh_link *l); /* inode */
/* Inode of the network namespace behind a path (/run/netns/web, /proc/PID/ns/net). 0; −ENOENT when
 * there is none (any more: also a plain file that a namespace was mounted on); −errno. */
int bh_link_netns_inode(const char *path, uint64_t *ret);

/*
 * Fills w->iface, w->netns and w->unenforceable anew from the namespace at `path`; on failure they
 * are untouched. Loopback is left out; link-local and tentative IPv6 addresses are kept, as are
 * interfaces that are down or have no address. An address's `since` is when the kernel made it, in
 * hundredths of a second since boot, and one more: the same for whoever asks, and whenever. Bytes
 * of interface names that are not printable ASCII become '?', as they are the container's to
 * choose; those of host_name are left alone. Recipe: RTM_GETNSID/NEWNSID, then RTM_GETLINK and
 * RTM_GETADDR with a target nsid and NETLINK_GET_STRICT_CHK, the echoed id verified; where the
 * kernel refuses, −EOPNOTSUPP.
 *
 * w->unenforceable is set when it is our own namespace ("shares the host's network"), when an
 * interface sits on a device of this node without being a veth, or is a device itself ("interface
 * eth0 is macvlan: its traffic does not pass this node's forward hook"), or when no interface leads
 * here at all and one with addresses leads elsewhere. What a container can make inside its own
 * namespace (tun, dummy, macvlan on its veth, further namespaces) never sets it: it would be a way
 * out of being governed. −ENOENT when the namespace is gone; −EOVERFLOW when it holds more
 * interfaces or addresses than anybody needs (65,536).
 */
int bh_link_inspect(struct bh_link *l, const char *path, struct bh_workload *w);

/* The namespace with this inode is of no interest any more (until it is inspected again). */
void bh_link_forget(struct bh_link *l, uint64_t netns);

/* Adds the node's own addresses (all but loopback's 127/8 and ::1) and the subnets of every bridge
 * that is master of a host veth in inv, and of every routed host veth that has one; sealing makes
 * their broadcast addresses. fe80::/64 is everywhere and therefore never a subnet. The addresses
 * are those that notices told of since the kernel was last asked; `anew`: it is asked. 0 or −errno.
 */
int bh_link_host(struct bh_link *l, struct bh_inventory *inv, bool anew);

/* The subnets of one interface of the node, of its addresses as bh_link_host knows them. Owned
 * (free); their number, or −errno. */
int bh_link_networks(struct bh_link *l, unsigned ifindex, struct bh_prefix **ret);

/* Whom change notices concern. Zero-initialised is nobody; _finish empties it. */
struct bh_link_news {
	bool all; /* some were lost: whatever was inspected may be different now */
	bool host; /* the node's own addresses */
	uint64_t *netns; /* inodes of namespaces that may be different than inspected, each once */
	size_t n, cap;
};
void bh_link_news_finish(struct bh_link_news *news);

/*
 * Change notices of links and addresses, of our own namespace and of all peer namespaces that have
 * an id in ours, as those that were inspected have (NETLINK_LISTEN_ALL_NSID): poll fd, then drain.
 * What concerns no namespace that was inspected, and none of the node's addresses, is left out. A
 * drain reads a bounded number of notices; if there are more, the fd stays readable.
 *
 * A namespace is told of for as long as it is not forgotten, whatever became of it; whether it
 * really is another now is for the next inspection to say.
 */
int bh_link_watch_fd(struct bh_link *l);
void bh_link_watch_drain(struct bh_link *l, struct bh_link_news *news); /* adds to news */

/* net.bridge.bridge-nf-call-iptables and -ip6tables in our namespace: loads nothing, sets both
 * to 1. 1 = changed, 0 = were on already, −ENOENT = br_netfilter is not loaded, −errno. */
int bh_link_enable_bridge_nf(void);

/*
 * Tells the bridges that workloads hang on to learn nothing from frames to the groups reserved for
 * bridges, which no rule sees (the option no_linklocal_learn), and where a bridge speaks the
 * spanning tree protocol, that no workload becomes its root (root_block of their ports). 0, or
 * −errno of one that could not be told; *ret: how many were changed.
 */
struct bh_link_guarded {
	int bridges, ports;
};
int bh_link_guard_bridges(
	struct bh_link *l, const struct bh_inventory *inv, struct bh_link_guarded *ret);

/*
 * Tells the bridges behind which port each workload's MAC is, so that they neither forget it nor
 * believe who else sends with it: what they were told before is left out, unless `anew`. What can't
 * be told stays as it was.
 */
void bh_link_place(struct bh_link *l, const struct bh_inventory *inv, bool anew);

/*
 * The interfaces of our namespace, for `doctor`: what of them decides whether frames meet the
 * rules, and what others have put at them that may take frames elsewhere.
 */
struct bh_link_seen {
	unsigned ifindex, master;
	char name[16];
	char kind[32]; /* "veth", "bridge"; "" = a device, or loopback */
	bool elsewhere; /* a veth whose other end is in another namespace */
	bool xdp; /* a program gets each frame before anything else does */
	bool classifies; /* has a qdisc that filters hang on: clsact or ingress */
	bool nf4, nf6; /* a bridge that hands frames to netfilter whatever the namespace's switch
			  says */
	bool vlans; /* a bridge that keeps VLANs apart */
	unsigned vlan; /* of a port: a VLAN whose frames leave by it with their tag on; 0: none */
};
struct bh_link_survey {
	struct bh_link_seen *item; /* by ifindex */
	size_t n, cap;
};
/* 0 or −errno; −EINTR if they would not hold still. */
int bh_link_survey(struct bh_link *l, struct bh_link_survey *ret);
void bh_link_survey_finish(struct bh_link_survey *s);
const struct bh_link_seen *bh_link_seen(const struct bh_link_survey *s, unsigned ifindex);

/* What filters hang on one interface, both ways, but for programs of the name `except`. */
#define BH_LINK_MAX_REDIRECTS 16
struct bh_link_filters {
	size_t n;
	char kind[32]; /* of the first: "bpf", "u32" */
	size_t sending; /* those of them that send frames on to another device */
	unsigned to[BH_LINK_MAX_REDIRECTS]; /* which: ifindexes, no two alike */
	size_t n_to; /* further ones are not remembered */
	const char *except;
	bool excepted; /* there is one of that name */
};
int bh_link_filters(
	struct bh_link *l, unsigned ifindex, const char *except, struct bh_link_filters *ret);
