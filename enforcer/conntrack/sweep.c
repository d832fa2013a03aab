/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Walk and delete. The entries to be deleted are remembered during the walk and deleted after it:
 * deleting under a dump would make it skip others of the same hash chain. By then an entry may be
 * gone, or another of the same tuple be there, so the id goes with it; −ENOENT is no error.
 */
#include "private.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#define PER_SEND 128 /* 128 × 300 bytes stay below the default send buffer */
#define ROOM (BH_CT_TUPLE_MAX + 96)

struct sweep {
	bool (*fn)(const struct bh_ct_entry *, void *);
	void *arg;
	const bool *stop; /* may be NULL */
	size_t seen;
	struct bh_ct_found *found;
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
	struct bh_ct_found *f = s->found;
	BH_GROW(f->item, f->n, f->cap);
	f->item[f->n++] = (struct bh_ct_found_one){name, e.flow};
}

static int step(const struct nlmsghdr *nlh, uint32_t question BH_UNUSED, void *arg)
{
	const struct nlmsgerr *e = bh_ct_error(nlh);
	if (nlh->nlmsg_type == NLMSG_DONE)
		return 1;
	if (nlh->nlmsg_type == NLMSG_ERROR)
		return e ? e->error : -EBADMSG;
	struct sweep *s = arg;
	visit(s, nlh);
	return s->stop && *s->stop;
}

static int walk(struct bh_ct *ct, struct sweep *s)
{
	_Alignas(struct nlmsghdr) char buf[64];
	uint32_t seq = ++ct->seq;
	struct nlmsghdr *nlh = bh_ct_message(buf, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC, seq);
	return bh_ct_request(ct, buf, nlh->nlmsg_len, seq, step, s);
}

size_t bh_ct_put_name(char *buf, uint16_t what, const struct bh_ct_name *name, uint32_t seq,
	struct nlmsghdr **ret)
{
	struct nlmsghdr *nlh = bh_ct_message(buf, what, NLM_F_ACK, name->family, seq);
	mnl_attr_put(nlh, CTA_TUPLE_ORIG | NLA_F_NESTED, name->len, name->tuple);
	mnl_attr_put_u32(nlh, CTA_ID, name->id);
	if (name->has_zone)
		mnl_attr_put_u16(nlh, CTA_ZONE, name->zone);
	*ret = nlh;
	return MNL_ALIGN(nlh->nlmsg_len);
}

static size_t put_delete(char *buf, const struct bh_ct_name *name, uint32_t seq)
{
	struct nlmsghdr *nlh;
	return bh_ct_put_name(buf, IPCTNL_MSG_CT_DELETE, name, seq, &nlh);
}

struct sent {
	uint32_t n;
	size_t done; /* those that did something */
};

/* They are answered in their order. */
static int on_answer(const struct nlmsghdr *nlh, uint32_t question, void *arg)
{
	struct sent *s = arg;
	const struct nlmsgerr *e = bh_ct_error(nlh);
	if (!e)
		return 0;
	if (e->error && e->error != -ENOENT)
		return e->error;
	s->done += e->error == 0;
	return question + 1 == s->n;
}

static int send_some(struct bh_ct *ct, const struct bh_ct_found_one *item, size_t n,
	size_t (*put)(char *, const struct bh_ct_name *, uint32_t), size_t *done)
{
	_Alignas(struct nlmsghdr) char buf[PER_SEND * ROOM];
	size_t len = 0;
	uint32_t first = ct->seq + 1;
	for (size_t i = 0; i < n; i++)
		len += put(buf + len, &item[i].name, ++ct->seq);
	struct sent s = {.n = (uint32_t)n};
	int r = bh_ct_request(ct, buf, len, first, on_answer, &s);
	*done += s.done;
	return r;
}

int bh_ct_send_found(struct bh_ct *ct, const struct bh_ct_found *f,
	size_t (*put)(char *, const struct bh_ct_name *, uint32_t))
{
	size_t done = 0;
	int rc = 0;
	for (size_t i = 0; i < f->n && rc == 0; i += PER_SEND) {
		size_t left = f->n - i;
		rc = send_some(ct, &f->item[i], left < PER_SEND ? left : PER_SEND, put, &done);
	}
	return rc < 0 ? rc : (int)done;
}

void bh_ct_found_free(struct bh_ct_found *f)
{
	if (!f)
		return;
	free(f->item);
	free(f);
}

int bh_ct_find_until(struct bh_ct *ct, bool (*fn)(const struct bh_ct_entry *, void *), void *arg,
	const bool *stop, size_t *ret_seen, struct bh_ct_found **ret)
{
	struct sweep s = {
		.fn = fn, .arg = arg, .stop = stop, .found = bh_xcalloc(1, sizeof(*s.found))};
	int rc = walk(ct, &s);
	if (rc < 0) {
		bh_ct_found_free(s.found);
		return rc;
	}
	if (ret_seen)
		*ret_seen = s.seen;
	*ret = s.found;
	return 0;
}

int bh_ct_find(struct bh_ct *ct, bool (*fn)(const struct bh_ct_entry *, void *), void *arg,
	size_t *ret_seen, struct bh_ct_found **ret)
{
	return bh_ct_find_until(ct, fn, arg, NULL, ret_seen, ret);
}

void bh_ct_found_keep(struct bh_ct_found *f, bool (*fn)(const struct bh_flow *, void *), void *arg)
{
	size_t kept = 0;
	for (size_t i = 0; i < f->n; i++)
		if (fn(&f->item[i].flow, arg))
			f->item[kept++] = f->item[i];
	f->n = kept;
}

int bh_ct_delete(struct bh_ct *ct, const struct bh_ct_found *f)
{
	return bh_ct_send_found(ct, f, put_delete);
}

int bh_ct_sweep(struct bh_ct *ct, bool (*fn)(const struct bh_ct_entry *, void *), void *arg,
	size_t *ret_seen)
{
	struct bh_ct_found *f = NULL;
	int rc = bh_ct_find(ct, fn, arg, ret_seen, &f);
	if (rc == 0)
		rc = bh_ct_delete(ct, f);
	bh_ct_found_free(f);
	return rc;
}
