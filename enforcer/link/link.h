/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Links and addresses from rtnetlink: a container's interfaces without entering its network
 * namespace, the host side of its veths, bridges, the node's own addresses, and notice of changes.
 * Single-threaded.
 */
#pragma once

#include <bulkhead/workload.h>

struct bh_link;
int bh_link_open(struct bh_link **ret); /* in the current network namespace */
void bh_link_close(struct bh_link *l);

uint64_t bh_link_own_netns(const struct bh_link *l); /* inode */
/* Inode of the network namespace behind a path (/run/netns/web, /proc/PID/ns/net). 0 or −errno. */
int bh_link_netns_inode(const char *path, uint64_t *ret);

/*
 * Fills w->iface (cleared first) and w->netns from the namespace at `path`. Loopback is left out;
 * link-local IPv6 addresses are kept. Recipe: RTM_GETNSID/NEWNSID, then RTM_GETLINK and RTM_GETADDR
 * with a target nsid and NETLINK_GET_STRICT_CHK, the echoed id verified; where the kernel refuses,
 * −EOPNOTSUPP. Sets w->unenforceable when it is our own namespace ("shares the host's network") or
 * an interface is no veth ("interface eth0 is macvlan: its traffic does not pass this node's
 * forward hook"). −ENOENT when the namespace is gone.
 */
int bh_link_inspect(struct bh_link *l, const char *path, struct bh_workload *w);

/* Adds the node's own addresses and the subnets (and their broadcast addresses) of every bridge
 * that is master of a host veth in inv, and of every routed host veth that has an address. */
int bh_link_host(struct bh_link *l, struct bh_inventory *inv);

/* Change notices of links and addresses, of our own and of all peer namespaces
 * (NETLINK_LISTEN_ALL_NSID): poll fd, then drain; returns 1 if something relevant changed, 0 if
 * not, −ENOBUFS if some were lost (treat as changed). */
int bh_link_watch_fd(struct bh_link *l);
int bh_link_watch_drain(struct bh_link *l);

/* net.bridge.bridge-nf-call-iptables and -ip6tables in our namespace: loads nothing, sets both
 * to 1. 1 = changed, 0 = were on already, −ENOENT = br_netfilter is not loaded, −errno. */
int bh_link_enable_bridge_nf(void);
