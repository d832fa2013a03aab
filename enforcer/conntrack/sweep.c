/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Walk and delete. The entries to be deleted are remembered during the walk and deleted after it:
 * deleting under a dump would make it skip others of the same hash chain. By then an entry may be
 * gone, or another of the same tuple be there, so the id goes with it; −ENOENT is no error.
 */
#include "private.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#define DELETES_PER_SEND 128 /* 128 × 300 bytes stay below the default send buffer */
#define DELETE_ROOM (BH_CT_TUPLE_MAX + 64)

struct sweep {
	bool (*fn)(const struct bh_ct_entry *, void *);
	void *arg;
	size_t seen;
	struct bh_ct_name *doomed;
	size_t n, cap;
};

static void visit(struct sweep *s, const struct nlmsghdr *nlh)
{
	struct bh_ct_entry e;
	struct bh_ct_name name;
	if (!bh_ct_parse(nlh, &e, &name))
		return;
	s->seen++;
	if (!s->fn(&e, s->arg))
		return;
	BH_GROW(s->doomed, s->n, s->cap);
	s->doomed[s->n++] = name;
}

/* 1: the walk is over, 0: it goes on, −errno. */
static int step(struct bh_ct *ct, struct sweep *s, const struct nlmsghdr *nlh)
{
	if (nlh->nlmsg_seq != ct->seq)
		return 0;
	if (nlh->nlmsg_type == NLMSG_DONE)
		return 1;
	if (nlh->nlmsg_type == NLMSG_ERROR) {
		if (nlh->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
			return -EBADMSG;
		return ((const struct nlmsgerr *)mnl_nlmsg_get_payload(nlh))->error;
	}
	visit(s, nlh);
	return 0;
}

static int walk(struct bh_ct *ct, struct sweep *s)
{
	_Alignas(struct nlmsghdr) char buf[64];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = ++ct->seq;
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	*nfg = (struct nfgenmsg){.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0};
	if (mnl_socket_sendto(ct->nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		ssize_t got = bh_ct_recv(ct->nl, ct->rx, BH_CT_RX);
		if (got < 0)
			return got == -EAGAIN ? -ETIMEDOUT : (int)got;
		int left = (int)got;
		for (nlh = (void *)ct->rx; mnl_nlmsg_ok(nlh, left);
			nlh = mnl_nlmsg_next(nlh, &left)) {
			int rc = step(ct, s, nlh);
			if (rc != 0)
				return rc < 0 ? rc : 0;
		}
	}
}

static size_t put_delete(char *buf, const struct bh_ct_name *name, uint32_t seq)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = seq;
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	*nfg = (struct nfgenmsg){.nfgen_family = name->family, .version = NFNETLINK_V0};
	mnl_attr_put(nlh, CTA_TUPLE_ORIG | NLA_F_NESTED, name->len, name->tuple);
	mnl_attr_put_u32(nlh, CTA_ID, name->id);
	if (name->has_zone)
		mnl_attr_put_u16(nlh, CTA_ZONE, name->zone);
	return MNL_ALIGN(nlh->nlmsg_len);
}

/* The answers to deletes first..ct->seq, in their order. Counts those that deleted something. */
static int answers(struct bh_ct *ct, uint32_t first, size_t *deleted)
{
	for (;;) {
		ssize_t got = bh_ct_recv(ct->nl, ct->rx, BH_CT_RX);
		if (got < 0)
			return got == -EAGAIN ? -ETIMEDOUT : (int)got;
		int left = (int)got;
		for (const struct nlmsghdr *nlh = (void *)ct->rx; mnl_nlmsg_ok(nlh, left);
			nlh = mnl_nlmsg_next(nlh, &left)) {
			if (nlh->nlmsg_seq - first > ct->seq - first ||
				nlh->nlmsg_type != NLMSG_ERROR ||
				nlh->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
				continue;
			int err = ((const struct nlmsgerr *)mnl_nlmsg_get_payload(nlh))->error;
			if (err && err != -ENOENT)
				return err;
			*deleted += err == 0;
			if (nlh->nlmsg_seq == ct->seq)
				return 0;
		}
	}
}

static int delete_some(struct bh_ct *ct, const struct bh_ct_name *name, size_t n, size_t *deleted)
{
	_Alignas(struct nlmsghdr) char buf[DELETES_PER_SEND * DELETE_ROOM];
	size_t len = 0;
	uint32_t first = ct->seq + 1;
	for (size_t i = 0; i < n; i++)
		len += put_delete(buf + len, &name[i], ++ct->seq);
	if (mnl_socket_sendto(ct->nl, buf, len) < 0)
		return -errno;
	return answers(ct, first, deleted);
}

int bh_ct_sweep(struct bh_ct *ct, bool (*fn)(const struct bh_ct_entry *, void *), void *arg,
	size_t *ret_seen)
{
	struct sweep s = {.fn = fn, .arg = arg};
	size_t deleted = 0;
	int rc = walk(ct, &s);
	for (size_t i = 0; i < s.n && rc == 0; i += DELETES_PER_SEND) {
		size_t left = s.n - i;
		rc = delete_some(ct, &s.doomed[i],
			left < DELETES_PER_SEND ? left : DELETES_PER_SEND, &deleted);
	}
	free(s.doomed);
	if (rc < 0)
		return rc;
	if (ret_seen)
		*ret_seen = s.seen;
	return (int)deleted;
}
