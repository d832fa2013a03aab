/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Removing all flows of an address. From Linux 6.11 on the kernel does it by itself: it heeds
 * CTA_FILTER in IPCTNL_MSG_CT_DELETE, goes past empty buckets, and does nothing at all where the
 * namespace has no entry. A walk of ours has it take the lock of each bucket, 9 ms for 262,144 of
 * them, and tell of each entry.
 *
 * A filter is an AND, so each address needs three, and with very many entries or addresses one walk
 * is quicker: after each address the better way is taken for the rest. Older kernels refuse:
 * −EOPNOTSUPP, or −EINVAL where they take the message for one about a single entry, since it names
 * no protocol. None deletes less or more than it was asked to.
 */
#include "private.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <time.h>

#define FILTERS 3
#define FILTER_ROOM 128
/* Bits of CTA_FILTER_ORIG_FLAGS and _REPLY_FLAGS: what is compared of the tuple. The kernel's
 * header for programs does not have them. */
#define COMPARE_SRC 1
#define COMPARE_DST 2

static const struct filter {
	uint16_t tuple, flags, v4, v6;
	uint32_t compare;
} filters[FILTERS] = {
	{CTA_TUPLE_ORIG, CTA_FILTER_ORIG_FLAGS, CTA_IP_V4_SRC, CTA_IP_V6_SRC, COMPARE_SRC},
	/* before DNAT */
	{CTA_TUPLE_ORIG, CTA_FILTER_ORIG_FLAGS, CTA_IP_V4_DST, CTA_IP_V6_DST, COMPARE_DST},
	/* after DNAT */
	{CTA_TUPLE_REPLY, CTA_FILTER_REPLY_FLAGS, CTA_IP_V4_SRC, CTA_IP_V6_SRC, COMPARE_SRC},
};

static size_t put(char *buf, const struct filter *f, const struct bh_addr *a, uint32_t seq)
{
	bool v4 = a->family == BH_IPV4;
	struct nlmsghdr *nlh =
		bh_ct_message(buf, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, v4 ? AF_INET : AF_INET6, seq);
	struct nlattr *tuple = mnl_attr_nest_start(nlh, f->tuple);
	struct nlattr *ip = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);
	mnl_attr_put(nlh, v4 ? f->v4 : f->v6, bh_addr_size(a), a->b);
	mnl_attr_nest_end(nlh, ip);
	mnl_attr_nest_end(nlh, tuple);
	struct nlattr *filter = mnl_attr_nest_start(nlh, CTA_FILTER);
	mnl_attr_put_u32(nlh, f->flags, f->compare);
	mnl_attr_nest_end(nlh, filter);
	return MNL_ALIGN(nlh->nlmsg_len);
}

static int on_answer(const struct nlmsghdr *nlh, uint32_t question, void *arg BH_UNUSED)
{
	const struct nlmsgerr *e = bh_ct_error(nlh);
	if (!e)
		return 0;
	return e->error ? e->error : question + 1 == FILTERS;
}

static int by_filter(struct bh_ct *ct, const struct bh_addr *a)
{
	_Alignas(struct nlmsghdr) char buf[FILTERS * FILTER_ROOM];
	size_t len = 0;
	uint32_t first = ct->seq + 1;
	for (size_t i = 0; i < FILTERS; i++)
		len += put(buf + len, &filters[i], a, ++ct->seq);
	return bh_ct_request(ct, buf, len, first, on_answer, NULL);
}

static int64_t now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* How many of the addresses are done; for the others a walk is better, or needed. */
static size_t filter_some(struct bh_ct *ct, const struct bh_addr *addr, size_t n)
{
	int64_t began = now_us();
	size_t done = 0;
	while (done < n && !ct->no_filters) {
		int r = by_filter(ct, &addr[done]);
		if (r == -EINVAL || r == -EOPNOTSUPP)
			ct->no_filters = true;
		if (r < 0)
			break;
		done++;
		if ((now_us() - began) / (int64_t)done * (int64_t)(n - done) > ct->walk_us)
			break;
	}
	return done;
}

struct wanted {
	const struct bh_addr *addr;
	size_t n;
};

static int by_addr(const void *a, const void *b)
{
	return bh_addr_cmp(a, b);
}

static bool is_one(const struct wanted *w, const struct bh_addr *a)
{
	return bsearch(a, w->addr, w->n, sizeof(*a), by_addr) != NULL;
}

static bool is_theirs(const struct bh_ct_entry *e, void *arg)
{
	const struct wanted *w = arg;
	return is_one(w, &e->flow.src) || is_one(w, &e->flow.dst) || is_one(w, &e->orig_dst);
}

static int by_walk(struct bh_ct *ct, const struct bh_addr *addr, size_t n)
{
	struct wanted w = {addr, n};
	int64_t began = now_us();
	int r = bh_ct_sweep(ct, is_theirs, &w, NULL);
	ct->walk_us = now_us() - began;
	return r;
}

int bh_ct_forget(struct bh_ct *ct, const struct bh_addr *addr, size_t n)
{
	struct bh_ct_fill before = {0}, after = {0};
	int walked = 0;
	if (bh_ct_fill(ct, &before) == 0 && before.max && before.entries == 0)
		return 0; /* the namespace has none, nor one that is not in the table yet */
	size_t done = filter_some(ct, addr, n);
	if (done > 0 && bh_ct_fill(ct, &after) < 0)
		after = before;
	if (done < n)
		walked = by_walk(ct, addr + done, n - done);
	if (walked < 0)
		return walked;
	return walked + (done > 0 && after.entries < before.entries
					? (int)(before.entries - after.entries)
					: 0);
}
