/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See fake_links.h: the world, and what becomes of it. Ids of namespaces, inodes and ifindexes are
 * handed out again as soon as they are free: the smallest first, as the kernel does or worse. */
#include "lib/fake_links_private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>

struct fake_kernel fake_kernel;

unsigned fake_pick(unsigned n)
{
	fake_kernel.random = fake_kernel.random * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(fake_kernel.random >> 33) % n;
}

/* --- ids --- */

static bool nsid_taken(int32_t nsid)
{
	for (unsigned i = 0; i < N_NS; i++)
		if (fake_kernel.ns[i].alive && fake_kernel.ns[i].nsid == nsid)
			return true;
	return false;
}

int32_t fake_nsid_assign(unsigned ns)
{
	int32_t nsid = 0;

	if (fake_kernel.ns[ns].nsid != BH_NSID_NONE)
		return fake_kernel.ns[ns].nsid;
	while (nsid_taken(nsid))
		nsid++;
	return fake_kernel.ns[ns].nsid = nsid;
}

static bool inode_taken(uint64_t inode)
{
	for (unsigned i = 0; i < N_NS; i++)
		if (fake_kernel.ns[i].alive && fake_kernel.ns[i].inode == inode)
			return true;
	return false;
}

static bool ifindex_taken(unsigned ns, unsigned ifindex)
{
	for (unsigned i = 0; i < N_LINKS; i++)
		if (fake_kernel.link[i].alive && fake_kernel.link[i].ns == ns &&
			fake_kernel.link[i].ifindex == ifindex)
			return true;
	return false;
}

static unsigned free_ifindex(unsigned ns, unsigned wish)
{
	while (wish == 0 || ifindex_taken(ns, wish))
		wish = wish ? wish + 1 : 2;
	return wish;
}

static int ns_alive(void)
{
	unsigned at = fake_pick(N_NS);

	return fake_kernel.ns[at].alive ? (int)at : FAKE_NODE;
}

/* --- notices --- */

/* As the kernel does it: once one is lost, so are all until those that are held were read. */
static void queue(const struct bh_link_notice *n)
{
	fake_kernel.lost |= fake_kernel.n_queue == N_QUEUE;
	if (fake_kernel.lost)
		return;
	fake_kernel.queue[fake_kernel.n_queue++] = *n;
	if (write(fake_kernel.pipe[1], "x", 1) != 1)
		assert(errno == EAGAIN);
}

/* False: nobody hears what is told in a namespace that has no id. */
static bool audible(unsigned ns)
{
	return ns == FAKE_NODE || fake_kernel.ns[ns].nsid != BH_NSID_NONE;
}

struct bh_link_info fake_link_info(const struct fake_link *l)
{
	struct bh_link_info i = {
		.ifindex = l->ifindex,
		.lower_nsid = BH_NSID_NONE,
		.target_nsid = BH_NSID_NONE,
		.master = l->master ? l->master->ifindex : 0,
	};

	strcpy(i.name, l->name);
	strcpy(i.kind, l->kind);
	memcpy(i.mac, l->mac, sizeof(i.mac));
	if (l->peer) {
		i.lower = l->peer->ifindex;
		i.lower_nsid = l->peer->ns == l->ns ? BH_NSID_NONE : fake_nsid_assign(l->peer->ns);
	}
	return i;
}

static void tell(const struct fake_link *l, bool gone)
{
	struct bh_link_notice n = {
		.nsid = fake_kernel.ns[l->ns].nsid, .gone = gone, .what = BH_NOTICE_LINK};

	if (!audible(l->ns))
		return;
	n.link = fake_link_info(l);
	if (l->ns != FAKE_NODE && n.link.lower_nsid != BH_NSID_NONE)
		n.link.lower_nsid = (int32_t)fake_pick(4); /* an id of theirs, not of ours */
	if (gone && fake_pick(2)) { /* the other end is gone already */
		n.link.lower = 0;
		n.link.lower_nsid = BH_NSID_NONE;
	}
	queue(&n);
}

static void tell_addr(const struct fake_addr *a, bool gone)
{
	struct bh_link_notice n = {
		.nsid = fake_kernel.ns[a->link->ns].nsid, .gone = gone, .what = BH_NOTICE_ADDR};

	n.addr = a->info;
	n.addr.ifindex = a->link->ifindex;
	if (audible(a->link->ns))
		queue(&n);
}

/* --- changes --- */

static struct fake_link *new_link(unsigned ns, const char *kind)
{
	for (unsigned i = 0; i < N_LINKS; i++) {
		struct fake_link *l = &fake_kernel.link[i];
		if (l->alive)
			continue;
		*l = (struct fake_link){.ns = ns, .kind = kind, .ifindex = free_ifindex(ns, 0)};
		l->alive = true;
		snprintf(l->name, sizeof(l->name), "n%u", fake_pick(6));
		l->mac[5] = (uint8_t)fake_pick(4);
		return l;
	}
	return NULL;
}

static void drop_addrs(const struct fake_link *l)
{
	for (unsigned i = 0; i < N_ADDRS; i++)
		if (fake_kernel.addr[i].link == l) {
			tell_addr(&fake_kernel.addr[i], true);
			fake_kernel.addr[i].link = NULL;
		}
}

static void release_ports(const struct fake_link *bridge)
{
	for (unsigned i = 0; i < N_LINKS; i++)
		if (fake_kernel.link[i].alive && fake_kernel.link[i].master == bridge) {
			fake_kernel.link[i].master = NULL;
			tell(&fake_kernel.link[i], false);
		}
}

static void delete_link(struct fake_link *l)
{
	struct fake_link *peer = l->peer;

	drop_addrs(l);
	release_ports(l);
	tell(l, true);
	l->alive = false;
	if (peer) {
		peer->peer = NULL;
		l->peer = NULL;
		delete_link(peer);
	}
}

static void move_link(struct fake_link *l, unsigned ns)
{
	if (l->ns == ns)
		return;
	drop_addrs(l);
	release_ports(l);
	tell(l, true);
	l->master = NULL;
	l->ifindex = free_ifindex(ns, l->ifindex);
	l->ns = ns;
	tell(l, false);
}

static void new_veth(unsigned a, unsigned b)
{
	struct fake_link *x = new_link(a, "veth"), *y = new_link(b, "veth");

	if (x && y) {
		x->peer = y;
		y->peer = x;
		tell(y, false);
		tell(x, false);
	} else if (x) {
		x->alive = false;
	}
}

static struct fake_link *some_link(const char *kind)
{
	for (unsigned try = 0; try < 20; try++) {
		struct fake_link *l = &fake_kernel.link[fake_pick(N_LINKS)];
		if (l->alive && (!kind || strcmp(l->kind, kind) == 0))
			return l;
	}
	return NULL;
}

static void set_master(struct fake_link *l)
{
	struct fake_link *bridge = fake_pick(5) ? some_link("bridge") : NULL;

	if (bridge && bridge->ns != l->ns)
		return;
	l->master = bridge;
	tell(l, false);
	if (bridge)
		tell(bridge, false);
}

static void add_addr(struct fake_link *l)
{
	struct fake_addr *a = &fake_kernel.addr[fake_pick(N_ADDRS)];
	uint8_t b[4] = {10, 0, (uint8_t)fake_pick(2), (uint8_t)(1 + fake_pick(20))};

	if (a->link) {
		tell_addr(a, true);
		a->link = NULL;
	}
	for (unsigned i = 0; i < N_ADDRS; i++)
		if (fake_kernel.addr[i].link == l &&
			memcmp(fake_kernel.addr[i].info.local.b, b, 4) == 0)
			return;
	a->link = l;
	a->info = (struct bh_addr_info){.target_nsid = BH_NSID_NONE};
	a->info.local = bh_addr_from_bytes(BH_IPV4, b);
	b[3] = 0;
	a->info.subnet = (struct bh_prefix){bh_addr_from_bytes(BH_IPV4, b), 24};
	tell_addr(a, false);
}

/* What its links tell is not heard any more, only what their other ends do. */
static void kill_ns(unsigned ns)
{
	struct bh_link_notice n = {
		.nsid = fake_kernel.ns[FAKE_NODE].nsid, .what = BH_NOTICE_ID_FREED};

	n.id = fake_kernel.ns[ns].nsid;
	if (n.id != BH_NSID_NONE)
		queue(&n);
	fake_kernel.ns[ns].nsid = BH_NSID_NONE;
	for (unsigned i = 0; i < N_LINKS; i++)
		if (fake_kernel.link[i].alive && fake_kernel.link[i].ns == ns)
			delete_link(&fake_kernel.link[i]);
	fake_kernel.ns[ns] = (struct fake_ns){.nsid = BH_NSID_NONE};
}

static void new_ns(unsigned ns)
{
	uint64_t inode = 100 + fake_pick(N_NS + 2);

	while (inode_taken(inode))
		inode = 100 + fake_pick(N_NS + 2);
	fake_kernel.ns[ns] = (struct fake_ns){.alive = true, .inode = inode, .nsid = BH_NSID_NONE};
	new_veth(FAKE_NODE, ns);
}

static bool used(unsigned ns)
{
	for (unsigned i = 0; i < FAKE_PATHS; i++)
		if (fake_kernel.path[i] == (int)ns)
			return true;
	return ns == FAKE_NODE;
}

/* A namespace that no path leads to any more dies, sooner or later. */
static void kill_unused(void)
{
	for (unsigned i = 0; i < N_NS; i++)
		if (fake_kernel.ns[i].alive && !used(i) && fake_pick(2))
			kill_ns(i);
}

/* A path comes, goes or leads elsewhere. */
static void change_path(void)
{
	unsigned p = fake_pick(FAKE_PATHS), ns = fake_pick(N_NS);

	fake_kernel.path[p] = -1;
	kill_unused();
	if (fake_pick(4)) {
		if (!fake_kernel.ns[ns].alive)
			new_ns(ns);
		fake_kernel.path[p] = (int)ns;
	}
}

static void change_link(struct fake_link *l)
{
	switch (fake_pick(9)) {
	case 0:
		delete_link(l);
		break;
	case 1:
		move_link(l, (unsigned)ns_alive());
		break;
	case 2:
		snprintf(l->name, sizeof(l->name), "n%u", fake_pick(6));
		tell(l, false);
		break;
	case 3:
		l->mac[5] = (uint8_t)fake_pick(4);
		tell(l, false);
		break;
	case 4:
		tell(l, false); /* something that is of no interest */
		break;
	case 5:
	case 6:
		add_addr(l);
		break;
	default:
		set_master(l);
	}
}

bool fake_links_change(void)
{
	struct fake_link *l = some_link(fake_pick(4) ? NULL : "bridge");

	switch (fake_pick(30)) {
	case 0:
		change_path();
		return true;
	case 1:
	case 2:
		new_veth((unsigned)ns_alive(), (unsigned)ns_alive());
		return false;
	case 3:
		if ((l = new_link(fake_pick(2) ? FAKE_NODE : (unsigned)ns_alive(), "bridge")))
			tell(l, false);
		return false;
	default:
		if (l)
			change_link(l);
		return false;
	}
}

/* --- the world --- */

void fake_links_reset(unsigned seed)
{
	memset(&fake_kernel, 0, sizeof(fake_kernel));
	fake_kernel.random = seed;
	fake_kernel.ns[FAKE_NODE] = (struct fake_ns){true, FAKE_NODE_INODE, BH_NSID_NONE};
	for (unsigned i = 1; i < N_NS; i++)
		fake_kernel.ns[i].nsid = BH_NSID_NONE;
	assert(pipe2(fake_kernel.pipe, O_NONBLOCK | O_CLOEXEC) == 0);
	assert(pipe2(fake_kernel.silent, O_NONBLOCK | O_CLOEXEC) == 0);
	new_link(FAKE_NODE, "bridge");
	new_link(FAKE_NODE, "bridge");
	for (unsigned i = 0; i < FAKE_PATHS; i++) {
		fake_kernel.path[i] = (int)(i % (FAKE_PATHS - 1)) + 1; /* two lead to the same */
		if (!fake_kernel.ns[fake_kernel.path[i]].alive)
			new_ns((unsigned)fake_kernel.path[i]);
	}
}

void fake_links_finish(void)
{
	for (unsigned i = 0; i < 2; i++) {
		close(fake_kernel.pipe[i]);
		close(fake_kernel.silent[i]);
	}
}
