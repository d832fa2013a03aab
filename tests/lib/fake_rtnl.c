/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See fake_links.h: what enforcer/link asks the kernel, and is told by it. */
#include "lib/fake_links_private.h"

#include <assert.h>
#include <errno.h>

/* --- what enforcer/link asks --- */

static int ns_of_path(const char *path)
{
	unsigned p;

	if (sscanf(path, "/n/%u", &p) != 1 || p >= FAKE_PATHS || fake_kernel.path[p] < 0)
		return -ENOENT;
	return fake_kernel.path[p];
}

int bh_netns_open(const char *path, int *ret_fd, uint64_t *ret_inode);

/* A descriptor that is none: −2 − the namespace. */
int bh_netns_open(const char *path, int *ret_fd, uint64_t *ret_inode)
{
	int ns = ns_of_path(path);

	if (ns < 0)
		return ns;
	*ret_fd = -2 - ns;
	*ret_inode = fake_kernel.ns[ns].inode;
	return 0;
}

int bh_link_netns_inode(const char *path, uint64_t *ret)
{
	int fd;

	return bh_netns_open(path, &fd, ret);
}

uint64_t bh_link_own_netns(const struct bh_link *l)
{
	return l->own_netns;
}

int bh_link_get_nsid(struct bh_link *l BH_UNUSED, int fd, int32_t *ret)
{
	*ret = fake_kernel.ns[-2 - fd].nsid;
	return 0;
}

int bh_link_assign_nsid(struct bh_link *l BH_UNUSED, int fd, int32_t *ret)
{
	*ret = fake_nsid_assign((unsigned)(-2 - fd));
	return 0;
}

static int ns_of_nsid(int32_t nsid)
{
	for (int i = 0; i < N_NS; i++)
		if (fake_kernel.ns[i].alive && fake_kernel.ns[i].nsid == nsid)
			return i;
	return nsid == BH_NSID_NONE ? FAKE_NODE : -EINVAL;
}

int bh_link_dump_links(struct bh_link *l BH_UNUSED, int32_t nsid, struct bh_link_infos *ret)
{
	int ns = ns_of_nsid(nsid);

	for (unsigned i = 0; i < N_LINKS; i++) {
		if (!fake_kernel.link[i].alive || (int)fake_kernel.link[i].ns != ns)
			continue;
		BH_GROW(ret->item, ret->n, ret->cap);
		ret->item[ret->n] = fake_link_info(&fake_kernel.link[i]);
		ret->item[ret->n++].target_nsid = nsid;
	}
	return ns < 0 ? ns : 0;
}

int bh_link_dump_addrs(struct bh_link *l BH_UNUSED, int32_t nsid, struct bh_addr_infos *ret)
{
	int ns = nsid == BH_NSID_NONE ? FAKE_NODE : ns_of_nsid(nsid);

	for (unsigned i = 0; i < N_ADDRS; i++) {
		const struct fake_addr *a = &fake_kernel.addr[i];
		if (!a->link || (int)a->link->ns != ns)
			continue;
		BH_GROW(ret->item, ret->n, ret->cap);
		ret->item[ret->n] = a->info;
		ret->item[ret->n].ifindex = a->link->ifindex;
		ret->item[ret->n++].target_nsid = nsid;
	}
	return ns < 0 ? ns : 0;
}

int bh_link_get(struct bh_link *l BH_UNUSED, unsigned ifindex, struct bh_link_info *ret)
{
	for (unsigned i = 0; i < N_LINKS; i++)
		if (fake_kernel.link[i].alive && fake_kernel.link[i].ns == FAKE_NODE &&
			fake_kernel.link[i].ifindex == ifindex) {
			*ret = fake_link_info(&fake_kernel.link[i]);
			return 0;
		}
	return -ENODEV;
}

void bh_link_infos_finish(struct bh_link_infos *i)
{
	free(i->item);
	*i = (struct bh_link_infos){};
}

void bh_addr_infos_finish(struct bh_addr_infos *i)
{
	free(i->item);
	*i = (struct bh_addr_infos){};
}

/* --- listening --- */

int bh_link_watch_fd(struct bh_link *l)
{
	return l == fake_kernel.listener ? fake_kernel.pipe[0] : fake_kernel.silent[0];
}

void bh_link_watch_drain(struct bh_link *l, struct bh_link_news *news)
{
	char c[256];
	size_t n = 1 + fake_pick(5);

	if (l != fake_kernel.listener)
		return;
	while (read(fake_kernel.pipe[0], c, sizeof(c)) > 0)
		continue;
	if (n > fake_kernel.n_queue)
		n = fake_kernel.n_queue;
	for (size_t i = 0; i < n; i++)
		bh_known_hear(l, &fake_kernel.queue[i], news);
	memmove(fake_kernel.queue, &fake_kernel.queue[n],
		(fake_kernel.n_queue - n) * sizeof(*fake_kernel.queue));
	fake_kernel.n_queue -= n;
	if (fake_kernel.n_queue > 0 && write(fake_kernel.pipe[1], "x", 1) != 1)
		assert(errno == EAGAIN);
	l->lost |= fake_kernel.lost && !fake_kernel.said;
	fake_kernel.lost &= fake_kernel.n_queue > 0;
	fake_kernel.said = fake_kernel.lost;
	bh_known_tell(l, news, fake_kernel.n_queue == 0);
}

void bh_link_news_finish(struct bh_link_news *news)
{
	free(news->netns);
	*news = (struct bh_link_news){};
}

void fake_links_listen(const struct bh_link *l)
{
	fake_kernel.listener = l;
}

bool fake_links_quiet(void)
{
	return fake_kernel.n_queue == 0 && !fake_kernel.lost;
}

struct bh_link *fake_link_open(void)
{
	struct bh_link *l = bh_xcalloc(1, sizeof(*l));

	l->own_netns = FAKE_NODE_INODE;
	l->own_fd = -2 - FAKE_NODE;
	l->own_nsid = fake_nsid_assign(FAKE_NODE);
	l->strict = true;
	return l;
}

void fake_link_close(struct bh_link *l)
{
	bh_known_finish(l);
	free(l->addr);
	free(l);
}
