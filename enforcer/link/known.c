/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whom a notice concerns. An inspection's answer relies on everything in the container's namespace
 * and on some links of the node: the host sides of its veths and their masters. A notice from the
 * namespace itself says so by the id that ours has for it; one of the node's links is found by its
 * ifindex, and by the namespace that its other end is in.
 *
 * Ids are handed out again when a namespace is gone, and so are inodes. But no two namespaces that
 * live have the same id, and a namespace keeps its id while it lives: each inspection binds the id
 * that it used to the namespace that it looked at, before it looks. At worst a notice is taken for
 * one about a namespace that it does not concern, and that one is inspected in vain. That a
 * namespace is gone is told of as well: its path may lead to one that has its inode by now.
 *
 * All that a container start does to a bridge, and the bridge tells of, is of no concern to the
 * others on it: of a master only its kind and name count.
 */
#include "link/private.h"

struct bh_known {
	uint64_t inode;
	int32_t nsid;
	bool told; /* is in l->told */
	struct bh_known_link **link;
	size_t n, cap;
};

/* A link of the node that namespaces rely on. */
struct bh_known_link {
	struct bh_link_info seen;
	struct bh_known **user;
	size_t n, cap;
};

static void tell(struct bh_link *l, struct bh_known *k)
{
	if (k->told)
		return;
	k->told = true;
	BH_GROW(l->told, l->n_told, l->cap_told);
	l->told[l->n_told++] = k;
}

static void tell_users(struct bh_link *l, const struct bh_known_link *h)
{
	for (size_t i = 0; i < h->n; i++)
		tell(l, h->user[i]);
}

/*
 * A socket that has overrun takes no more until all that it holds has been read, and says so only
 * once. So what is looked at before that may change without a notice, and what is still read is
 * older than what was lost.
 */
static void tell_lost(struct bh_link *l, struct bh_link_news *news)
{
	l->lost = l->addrs_known = false;
	news->all = news->host = true;
}

void bh_known_tell(struct bh_link *l, struct bh_link_news *news, bool silence)
{
	if (silence && l->lost)
		tell_lost(l, news);
	for (size_t i = 0; i < l->n_told; i++) {
		BH_GROW(news->netns, news->n, news->cap);
		news->netns[news->n++] = l->told[i]->inode;
		l->told[i]->told = false;
	}
	l->n_told = 0;
}

/* --- what inspections rely on --- */

static void free_link(struct bh_known_link *h)
{
	free(h->user);
	free(h);
}

static void free_known(struct bh_known *k)
{
	free(k->link);
	free(k);
}

/* The place of the user, or h->n. */
static size_t user_of(const struct bh_known_link *h, const struct bh_known *k)
{
	size_t i = 0;

	while (i < h->n && h->user[i] != k)
		i++;
	return i;
}

static void drop_link(struct bh_link *l, struct bh_known *k, size_t at)
{
	struct bh_known_link *h = k->link[at];

	k->link[at] = k->link[--k->n];
	h->user[user_of(h, k)] = h->user[h->n - 1];
	if (--h->n == 0) {
		bh_link_table_remove(&l->hosts, h->seen.ifindex);
		free_link(h);
	}
}

static void unbind(struct bh_link *l, struct bh_known *k)
{
	if (bh_link_table_get(&l->by_nsid, (uint32_t)k->nsid) == k)
		bh_link_table_remove(&l->by_nsid, (uint32_t)k->nsid);
}

struct bh_known *bh_known_begin(struct bh_link *l, uint64_t inode, int32_t nsid)
{
	struct bh_known *k = bh_link_table_get(&l->by_inode, inode);
	struct bh_known *other = bh_link_table_get(&l->by_nsid, (uint32_t)nsid);

	if (!k) {
		k = bh_xcalloc(1, sizeof(*k));
		k->inode = inode;
		k->nsid = nsid;
		bh_link_table_set(&l->by_inode, inode, k);
	}
	if (other && other != k)
		tell(l, other); /* has lost it, so it is gone */
	if (k->nsid != nsid)
		unbind(l, k);
	k->nsid = nsid;
	bh_link_table_set(&l->by_nsid, (uint32_t)nsid, k);
	return k;
}

static bool same_link(const struct bh_link_info *a, const struct bh_link_info *b)
{
	return a->ifindex == b->ifindex && bh_streq(a->name, b->name) && bh_streq(a->kind, b->kind);
}

/* What was relied on before is another by now: whoever did is to look again. The notice of it may
 * come later, and would then be found to bring nothing new. */
static void see(struct bh_link *l, struct bh_known *k, const struct bh_link_info *i)
{
	struct bh_known_link *h = bh_link_table_get(&l->hosts, i->ifindex);

	if (!h) {
		h = bh_xcalloc(1, sizeof(*h));
		bh_link_table_set(&l->hosts, i->ifindex, h);
	} else if (!same_link(&h->seen, i)) {
		tell_users(l, h);
	}
	h->seen = *i;
	if (user_of(h, k) < h->n)
		return;
	BH_GROW(h->user, h->n, h->cap);
	h->user[h->n++] = k;
	BH_GROW(k->link, k->n, k->cap);
	k->link[k->n++] = h;
}

static bool is_among(const struct bh_known_link *h, const struct bh_link_info *link, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (link[i].ifindex == h->seen.ifindex)
			return true;
	return false;
}

void bh_known_relies(
	struct bh_link *l, struct bh_known *k, const struct bh_link_info *link, size_t n)
{
	for (size_t i = 0; i < n; i++)
		see(l, k, &link[i]);
	for (size_t i = k->n; i-- > 0;) {
		if (is_among(k->link[i], link, n))
			continue;
		/* Somebody else may have inspected it when it did rely on that. */
		tell(l, k);
		drop_link(l, k, i);
	}
}

static void untell(struct bh_link *l, const struct bh_known *k)
{
	for (size_t i = 0; k->told && i < l->n_told; i++)
		if (l->told[i] == k) {
			l->told[i] = l->told[--l->n_told];
			return;
		}
}

void bh_link_forget(struct bh_link *l, uint64_t netns)
{
	struct bh_known *k = bh_link_table_get(&l->by_inode, netns);

	if (!k)
		return;
	while (k->n > 0)
		drop_link(l, k, k->n - 1);
	untell(l, k);
	unbind(l, k);
	bh_link_table_remove(&l->by_inode, netns);
	free_known(k);
}

void bh_known_finish(struct bh_link *l)
{
	for (size_t i = 0; i < l->by_inode.n; i++)
		free_known(l->by_inode.item[i].value);
	for (size_t i = 0; i < l->hosts.n; i++)
		free_link(l->hosts.item[i].value);
	free(l->by_inode.item);
	free(l->by_nsid.item);
	free(l->hosts.item);
	free(l->told);
}

/* --- notices --- */

static void hear_of(struct bh_link *l, int32_t nsid)
{
	struct bh_known *k = bh_link_table_get(&l->by_nsid, (uint32_t)nsid);

	if (nsid != BH_NSID_NONE && k)
		tell(l, k);
}

static void hear_own_link(struct bh_link *l, const struct bh_link_notice *n)
{
	const struct bh_known_link *h = bh_link_table_get(&l->hosts, n->link.ifindex);

	hear_of(l, n->link.lower_nsid);
	/* Where the other end of a veth is does not always say. */
	if (h && (n->gone || bh_streq(n->link.kind, "veth") || !same_link(&h->seen, &n->link)))
		tell_users(l, h);
}

void bh_known_hear(struct bh_link *l, const struct bh_link_notice *n, struct bh_link_news *news)
{
	if (n->nsid != BH_NSID_NONE && n->nsid != l->own_nsid)
		hear_of(l, n->nsid);
	else if (n->what == BH_NOTICE_LINK)
		hear_own_link(l, n);
	else if (n->what == BH_NOTICE_ID_FREED)
		hear_of(l, n->id);
	else
		news->host |= bh_own_addrs_hear(l, &n->addr, n->gone);
}
