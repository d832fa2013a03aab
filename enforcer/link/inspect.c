/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A container's interfaces, seen from outside: which there are, which of them come out on this node
 * as the other end of a veth, and whether all that leaves the container passes our hooks.
 *
 * The container may be hostile and own its namespace. So its number of interfaces and addresses is
 * bounded, its interface names are not repeated byte for byte, a claim about the host side counts
 * only if the host side says the same, and nothing that it can make in its own namespace turns it
 * into a workload that is not governed.
 */
#include <errno.h>
#include <time.h>

#include "link/netns.h"
#include "link/private.h"

#define MAX_IFACES 64 /* without a host side; those with one are the node's to bound */
#define MAX_ADDRS_PER_IFACE 256

/* The namespace as the kernel told it. */
struct view {
	int32_t nsid; /* its id in ours */
	int32_t own; /* our own id in ours; BH_NSID_NONE = has none, so nothing points at us */
	struct bh_known *known;
	struct bh_link_infos hosts; /* links of the node that were looked at */
	struct bh_link_infos links;
	struct bh_addr_infos addrs;
};

/* The host side of a link, if it has one. */
struct host_side {
	struct bh_link_info veth; /* ifindex 0 = none */
	struct bh_link_info master;
};

static void view_finish(struct view *v)
{
	bh_link_infos_finish(&v->hosts);
	bh_link_infos_finish(&v->links);
	bh_addr_infos_finish(&v->addrs);
}

static int view_read(struct bh_link *l, int fd, uint64_t inode, struct view *v)
{
	if (!l->strict)
		return -EOPNOTSUPP;
	int r = bh_link_assign_nsid(l, fd, &v->nsid);
	/* First, so that no change from now on is missed. */
	if (r == 0)
		v->known = bh_known_begin(l, inode, v->nsid);
	if (r == 0)
		r = bh_link_dump_links(l, v->nsid, &v->links);
	if (r == 0)
		r = bh_link_dump_addrs(l, v->nsid, &v->addrs);
	/* Last: telling where a link leads gives our namespace an id if it had none. */
	if (r == 0 && l->own_nsid == BH_NSID_NONE)
		r = bh_link_get_nsid(l, l->own_fd, &l->own_nsid);
	v->own = l->own_nsid;
	return r;
}

static bool leads_here(const struct view *v, const struct bh_link_info *i)
{
	return i->lower != 0 && v->own != BH_NSID_NONE && i->lower_nsid == v->own;
}

/* −ENODEV when it is not there; then, too, the answer relies on it. */
static int get_host(struct bh_link *l, struct view *v, unsigned ifindex, struct bh_link_info *ret)
{
	int r = bh_link_get(l, ifindex, ret);

	BH_GROW(v->hosts.item, v->hosts.n, v->hosts.cap);
	v->hosts.item[v->hosts.n++] = r == 0 ? *ret : (struct bh_link_info){.ifindex = ifindex};
	return r;
}

/* Each end of a veth names the other's ifindex and namespace: both must agree. What vanishes while
 * we look is simply not there. */
static int find_host_side(
	struct bh_link *l, struct view *v, const struct bh_link_info *i, struct host_side *ret)
{
	*ret = (struct host_side){};
	if (!bh_streq(i->kind, "veth") || !leads_here(v, i))
		return 0;
	int r = get_host(l, v, i->lower, &ret->veth);
	if (r == 0 && (!bh_streq(ret->veth.kind, "veth") || ret->veth.lower != i->ifindex ||
			      ret->veth.lower_nsid != v->nsid))
		r = -ENODEV;
	if (r == 0 && ret->veth.master != 0)
		r = get_host(l, v, ret->veth.master, &ret->master);
	if (r == 0)
		return 0;
	*ret = (struct host_side){};
	return r == -ENODEV ? 0 : r;
}

static bool has_addr(const struct view *v, unsigned ifindex)
{
	for (size_t k = 0; k < v->addrs.n; k++)
		if (v->addrs.item[k].ifindex == ifindex &&
			!bh_addr_is_link_local(&v->addrs.item[k].local))
			return true;
	return false;
}

/* A way out of the container that nothing inside it can have made: a device, or something that sits
 * on a device of this node. Returns what to call it, else NULL. */
static const char *bypass(const struct view *v, const struct bh_link_info *i)
{
	if (i->kind[0] == '\0')
		return "a physical device";
	return leads_here(v, i) && !bh_streq(i->kind, "veth") ? i->kind : NULL;
}

static char *printable(const char *s)
{
	char *copy = bh_xstrdup(s);

	for (char *p = copy; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	return copy;
}

static char *reason(const struct bh_link_info *i, const char *what)
{
	bh_autofree char *name = printable(i->name);

	return bh_xasprintf(
		"interface %s is %s: its traffic does not pass this node's forward hook", name,
		what);
}

/* Why this interface puts the workload out of reach. Owned; NULL if it does not. */
static char *out_of_reach(
	const struct view *v, const struct bh_link_info *i, const struct host_side *host)
{
	const char *what = bypass(v, i);

	if (what)
		return reason(i, what);
	/* Open vSwitch forwards on its own, without netfilter's bridge or inet hooks. */
	if (bh_streq(host->master.kind, "openvswitch"))
		return reason(i, "a port of Open vSwitch");
	return NULL;
}

/* Without wrapping (after 497 days), and never 0. The clock may be a little behind the kernel's. */
static uint64_t made_at(uint32_t made)
{
	const uint64_t ahead = 10ull * 24 * 3600 * 100;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	uint64_t t = (uint64_t)now.tv_sec * 100 + (uint64_t)now.tv_nsec / 10000000 + ahead;
	return 1 + t - (uint32_t)(t - made);
}

static void add_interface(struct bh_workload *to, const struct view *v,
	const struct bh_link_info *i, const struct host_side *host)
{
	struct bh_interface *f = bh_workload_add_interface(to);
	size_t n = 0;

	f->name = printable(i->name);
	f->ifindex = i->ifindex;
	memcpy(f->mac, i->mac, sizeof(f->mac));
	if (host->veth.ifindex != 0) {
		f->host_name = bh_xstrdup(host->veth.name);
		f->host_ifindex = host->veth.ifindex;
	}
	if (bh_streq(host->master.kind, "bridge")) {
		f->bridge = bh_xstrdup(host->master.name);
		f->bridge_ifindex = host->master.ifindex;
	}
	for (size_t k = 0; k < v->addrs.n && n < MAX_ADDRS_PER_IFACE; k++)
		if (v->addrs.item[k].ifindex == i->ifindex) {
			bh_interface_add_addr_since(
				f, &v->addrs.item[k].local, made_at(v->addrs.item[k].made));
			n++;
		}
}

/* No interface leads here: one with addresses that leads elsewhere does so past this node. */
static char *leads_elsewhere(const struct view *v)
{
	for (size_t k = 0; k < v->links.n; k++) {
		const struct bh_link_info *i = &v->links.item[k];
		if (!(i->flags & IFF_LOOPBACK) && has_addr(v, i->ifindex))
			return reason(i, bh_streq(i->kind, "veth") ? "a veth of another namespace"
								   : i->kind);
	}
	return NULL;
}

/* Fills `to`, a scratch workload. */
static int fill(struct bh_link *l, struct view *v, struct bh_workload *to)
{
	size_t inner = 0;
	bool reachable = false;

	for (size_t k = 0; k < v->links.n; k++) {
		const struct bh_link_info *i = &v->links.item[k];
		struct host_side host;
		if (i->flags & IFF_LOOPBACK)
			continue;
		int r = find_host_side(l, v, i, &host);
		if (r < 0)
			return r;
		if (!to->unenforceable)
			to->unenforceable = out_of_reach(v, i, &host);
		reachable |= host.veth.ifindex != 0;
		if (host.veth.ifindex != 0 || inner++ < MAX_IFACES)
			add_interface(to, v, i, &host);
	}
	if (!reachable && !to->unenforceable)
		to->unenforceable = leads_elsewhere(v);
	return 0;
}

static int inspect_other(struct bh_link *l, int fd, uint64_t inode, struct bh_workload *to)
{
	struct view v = {.own = BH_NSID_NONE};
	int r = view_read(l, fd, inode, &v);

	if (r == 0)
		r = fill(l, &v, to);
	if (r == 0)
		bh_known_relies(l, v.known, v.hosts.item, v.hosts.n);
	view_finish(&v);
	/* What kernels say that don't know the target namespace, or its id. */
	return r == -EINVAL ? -EOPNOTSUPP : r;
}

/* Hands the scratch's interfaces over. */
static void replace(struct bh_workload *w, struct bh_workload *scratch, uint64_t netns)
{
	bh_workload_clear_interfaces(w);
	w->iface = BH_TAKE_PTR(scratch->iface);
	w->n_ifaces = scratch->n_ifaces;
	scratch->n_ifaces = 0;
	free(w->unenforceable);
	w->unenforceable = BH_TAKE_PTR(scratch->unenforceable);
	w->netns = netns;
}

int bh_link_inspect(struct bh_link *l, const char *path, struct bh_workload *w)
{
	bh_autoclose int fd = -1;
	uint64_t inode = 0;
	int r = bh_netns_open(path, &fd, &inode);

	if (r < 0)
		return r;
	struct bh_workload *scratch = bh_workload_new();
	if (inode == l->own_netns)
		scratch->unenforceable = bh_xstrdup("shares the host's network");
	else
		r = inspect_other(l, fd, inode, scratch);
	if (r == 0)
		replace(w, scratch, inode);
	bh_workload_free(scratch);
	return r;
}
