/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For program.bpf.c: what conntrack knows of a frame's flow, and is told of what it does not see.
 * The kernel's own structures and functions, of net/netfilter/nf_conntrack_bpf.c.
 */
#pragma once

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>

#include <bpf/bpf_core_read.h>

#include "packet.bpf.h"
#include "program.h"

/* Of the kernel's own structures, what is looked at; where it is in them is found out when the
 * program is loaded. */
struct ip_ct_tcp {
	__u8 state; /* TCP_CONNTRACK_* */
} __attribute__((preserve_access_index));

union nf_conntrack_proto {
	struct ip_ct_tcp tcp;
} __attribute__((preserve_access_index));

struct nf_conn {
	__u32 timeout; /* in jiffies */
	unsigned long status; /* IPS_* */
	union nf_conntrack_proto proto;
} __attribute__((preserve_access_index));

struct ct_opts { /* struct bpf_ct_opts as of Linux 5.18 */
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u8 reserved[2];
};

struct nf_conn___init { /* one that is not in the table yet */
	__u32 timeout;
} __attribute__((preserve_access_index));

extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple,
	__u32 tuple_size, struct ct_opts *opts, __u32 opts_size) __ksym;
extern void bpf_ct_release(struct nf_conn *ct) __ksym;
extern int bpf_ct_change_timeout(struct nf_conn *ct, __u32 ms) __ksym;
extern int bpf_ct_change_status(struct nf_conn *ct, __u32 status) __ksym;
extern struct nf_conn___init *bpf_skb_ct_alloc(struct __sk_buff *skb, struct bpf_sock_tuple *tuple,
	__u32 tuple_size, struct ct_opts *opts, __u32 opts_size) __ksym;
extern void bpf_ct_set_timeout(struct nf_conn___init *ct, __u32 ms) __ksym;
extern struct nf_conn *bpf_ct_insert_entry(struct nf_conn___init *ct) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bh_fast_settings);
} settings SEC(".maps");

/* Flows whose end was seen here. Of more than there is room for the oldest are forgotten: then the
 * last segment of one that ends makes its entry an open one's again, which times out as such. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, BH_FAST_ENDING_MAX);
	__type(key, struct flow);
	__type(value, __u8);
} ending SEC(".maps");

/* Flows whose ends do not both send to each other's MAC: by a router of the same link, the node as
 * a rule. Were the other way handed over, conntrack would see one half of them, and take that for
 * invalid. Of more than there is room for that happens to the oldest. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, BH_FAST_APART_MAX);
	__type(key, struct flow);
	__type(value, __u8);
} apart SEC(".maps");

/* 1: there were such. Elsewhere nobody has to look for his flow. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} any_apart SEC(".maps");

static __always_inline __u32 *some_apart(void)
{
	const __u32 zero = 0;
	return bpf_map_lookup_elem(&any_apart, &zero);
}

/* Both of a flow's first segments show it before there is anything else of it. */
static __always_inline void note_apart(const struct packet *p)
{
	const __u8 one = 1;
	__u32 *some = some_apart();
	struct flow f;

	if (!some || !(p->syn || p->synack))
		return;
	name_flow(p, p->synack, &f);
	if (bpf_map_update_elem(&apart, &f, &one, BPF_ANY) == 0)
		*some = 1;
}

static __always_inline bool is_apart(const struct packet *p, bool reply)
{
	__u32 *some = some_apart();
	struct flow f;

	if (p->proto != IPPROTO_TCP || !some || !*some)
		return false;
	name_flow(p, reply, &f);
	return bpf_map_lookup_elem(&apart, &f);
}

/* Its name is another flow's now. */
static __always_inline void forget_apart(const struct packet *p)
{
	__u32 *some = some_apart();
	struct flow f;

	if (!some || !*some)
		return;
	name_flow(p, false, &f);
	bpf_map_delete_elem(&apart, &f);
}

/* Two calls each, of a size that the kernel's verifier knows. NULL: there is none. */
static __always_inline struct nf_conn *find(
	struct __sk_buff *skb, struct packet *p, bool *ret_reply)
{
	struct ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = p->proto};
	struct nf_conn *ct;

	if (p->v6)
		ct = bpf_skb_ct_lookup(skb, &p->tuple, sizeof(p->tuple.ipv6), &opts, sizeof(opts));
	else
		ct = bpf_skb_ct_lookup(skb, &p->tuple, sizeof(p->tuple.ipv4), &opts, sizeof(opts));
	*ret_reply = opts.dir != 0;
	return ct;
}

static __always_inline struct nf_conn___init *make(struct __sk_buff *skb, struct packet *p)
{
	struct ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = p->proto};

	return p->v6 ? bpf_skb_ct_alloc(skb, &p->tuple, sizeof(p->tuple.ipv6), &opts, sizeof(opts))
		     : bpf_skb_ct_alloc(skb, &p->tuple, sizeof(p->tuple.ipv4), &opts, sizeof(opts));
}

static __always_inline bool is_usable(const struct nf_conn *ct)
{
	const unsigned long never = IPS_NAT_MASK | IPS_SEQ_ADJUST | IPS_HELPER | IPS_TEMPLATE |
				    IPS_UNTRACKED | IPS_EXPECTED | IPS_DYING | IPS_OFFLOAD;
	return (ct->status & (never | IPS_CONFIRMED)) == IPS_CONFIRMED;
}

static __always_inline bool began_here(const struct nf_conn *ct, const struct packet *p)
{
	return p->proto == IPPROTO_TCP && ct->proto.tcp.state == TCP_CONNTRACK_NONE;
}

/* As if conntrack had seen it. An entry of an open flow has all of its time again, whatever was
 * left of it; one of a flow that ends has `closing`. */
static __always_inline void keep(
	struct nf_conn *ct, const struct packet *p, const struct bh_fast_settings *s, bool reply)
{
	__s32 left = (__s32)(ct->timeout - (__u32)bpf_jiffies64());
	__u32 full = p->proto == IPPROTO_UDP ? s->udp : s->tcp;
	const __u8 one = 1;
	struct flow f;

	if (p->fin || p->rst) {
		name_flow(p, reply, &f);
		bpf_map_update_elem(&ending, &f, &one, BPF_ANY);
		bpf_ct_change_timeout(ct, (p->rst ? s->reset : s->closing) * 1000);
		return;
	}
	if (began_here(ct, p) && !(ct->status & IPS_ASSURED))
		full = s->opening;
	else if (p->proto == IPPROTO_TCP && left <= (__s32)(s->closing * s->hz)) {
		name_flow(p, reply, &f);
		if (bpf_map_lookup_elem(&ending, &f))
			full = s->closing;
	}
	if (left < (__s32)((full - 1) * s->hz)) /* once a second */
		bpf_ct_change_timeout(ct, full * 1000);
}

/* That its end was seen is forgotten: was it? */
static __always_inline bool forget_end(const struct packet *p, bool reply)
{
	struct flow f;
	name_flow(p, reply, &f);
	return bpf_map_delete_elem(&ending, &f) == 0;
}

/* A SYN begins a flow anew, by the same name perhaps. Conntrack can't know that the one before has
 * ended: its entry is out of date, and is put away. One that was open has so little time left only
 * if it has ended, be it forgotten since, or in an earlier run; where open ones have more. */
static __always_inline bool has_ended(const struct nf_conn *ct, const struct packet *p,
	const struct bh_fast_settings *s, bool reply)
{
	if (forget_end(p, reply))
		return true;
	return !reply && s->tcp > s->closing && is_usable(ct) && (ct->status & IPS_ASSURED) &&
	       (began_here(ct, p) || ct->proto.tcp.state == TCP_CONNTRACK_ESTABLISHED) &&
	       (__s32)(ct->timeout - (__u32)bpf_jiffies64()) <= (__s32)(s->closing * s->hz);
}

/* Of one that began here. If it is open, for all that is known, its server says whether it is. */
static __always_inline bool is_sent_again(
	struct nf_conn *ct, const struct packet *p, const struct bh_fast_settings *s, bool reply)
{
	if (reply || !is_usable(ct) || !began_here(ct, p))
		return false;
	if (!(ct->status & IPS_ASSURED))
		bpf_ct_change_timeout(ct, s->opening * 1000);
	return true;
}

/* Of a flow that began here it is known how far it is only as conntrack's marks say: answered, and
 * (with the first segment after that) assured. Is this segment one that may come now? A server that
 * has another of that name yet says so by an ACK, and the client resets that one. */
static __always_inline bool advance(struct nf_conn *ct, const struct packet *p, bool reply)
{
	bool answered = ct->status & IPS_SEEN_REPLY;

	if (p->synack ? !reply : !answered && !reply && !p->rst)
		return false;
	if (p->synack && !answered)
		bpf_ct_change_status(ct, ct->status | IPS_SEEN_REPLY);
	else if (!p->rst && !reply && !(ct->status & IPS_ASSURED))
		bpf_ct_change_status(ct, ct->status | IPS_ASSURED);
	return true;
}

/* Is it of a flow that the rules let through, that both ends know of, and that nothing has to be
 * done to? */
static __always_inline bool is_established(const struct nf_conn *ct, const struct packet *p)
{
	const unsigned long always = IPS_SEEN_REPLY | IPS_ASSURED;

	return !p->synack && (ct->status & always) == always &&
	       (p->proto != IPPROTO_TCP || ct->proto.tcp.state == TCP_CONNTRACK_ESTABLISHED);
}
