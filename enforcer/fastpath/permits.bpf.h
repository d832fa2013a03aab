/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For program.bpf.c: TCP connections that begin on the fast path. Of a pair that the daemon has
 * given a permit, which is good for nothing but in the epoch in which it was given, and for a
 * second after everybody's rules let one such connection through: the daemon says what ours are, of
 * the others' the kernel alone knows.
 */
#pragma once

#include "conntrack.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BH_FAST_PERMITS_MAX);
	__type(key, struct bh_fast_pair);
	__type(value, struct bh_fast_permit);
} permits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bh_fast_gate);
} gate SEC(".maps");

static __always_inline void name_pair(const struct packet *p, bool reply, struct bh_fast_pair *ret)
{
	struct flow f;
	name_flow(p, reply, &f);
	__builtin_memcpy(ret->saddr, f.saddr, sizeof(ret->saddr));
	__builtin_memcpy(ret->daddr, f.daddr, sizeof(ret->daddr));
	ret->dport = f.dport;
	ret->family = p->v6 ? 6 : 4;
}

static __always_inline __u64 epoch_now(void)
{
	const __u32 zero = 0;
	const volatile struct bh_fast_gate *g = bpf_map_lookup_elem(&gate, &zero);
	return g && bpf_ktime_get_coarse_ns() < g->until ? g->epoch : 0;
}

/* The permit that the segment's pair has in this epoch, or NULL. */
static __always_inline struct bh_fast_permit *find_permit(
	const struct packet *p, bool reply, __u64 epoch)
{
	struct bh_fast_pair pair;
	name_pair(p, reply, &pair);
	struct bh_fast_permit *v = bpf_map_lookup_elem(&permits, &pair);
	return v && epoch && v->epoch == epoch ? v : NULL;
}

/* Did everybody's rules let one through lately? Else this one, of which conntrack knows nothing, is
 * to show it: nobody but them can make an entry for it. */
static __always_inline bool passes(struct bh_fast_permit *v, const struct packet *p)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct flow f;

	if (now - v->passed < BH_FAST_PASSED_NS)
		return true;
	if (now - v->tried >= BH_FAST_TRIED_NS) {
		name_flow(p, false, &f);
		*(volatile __be16 *)&v->port = f.sport;
		*(volatile __u64 *)&v->tried = now;
	}
	return false;
}

/* It has such an entry, and is answered. */
static __always_inline void note_passed(const struct nf_conn *ct, const struct packet *p)
{
	struct bh_fast_permit *v;
	struct flow f;

	if (ct->proto.tcp.state != TCP_CONNTRACK_SYN_SENT || (ct->status & IPS_SEEN_REPLY))
		return;
	name_flow(p, true, &f);
	v = find_permit(p, true, epoch_now());
	if (!v)
		return;
	__u64 tried = *(volatile __u64 *)&v->tried; /* before the port, which is written first */
	if (*(volatile __be16 *)&v->port == f.sport)
		v->passed = tried;
}

/* The gate may have been shut since it was looked at, and the permit's place be another's. Whoever
 * shuts it looks through the table afterwards: one of the two sees the other, for a count whose
 * result is wanted is a full barrier. */
static __always_inline bool begun(struct bh_fast_permit *v, struct nf_conn *ct, __u64 epoch)
{
	__u64 count = __sync_fetch_and_add(&v->begun, 1);
	asm volatile("" : : "r"(count));
	if (epoch == epoch_now())
		return true;
	__sync_fetch_and_add(&v->begun, -1);
	bpf_ct_change_timeout(ct, 0);
	return false;
}

/* A SYN of a flow that conntrack does not know, or no longer. With a permit it is entered there as
 * the rules' way would have, but that its state is NONE: conntrack itself sees nothing of it. */
static __always_inline bool open_flow(
	struct __sk_buff *skb, struct packet *p, const struct bh_fast_settings *s)
{
	__u64 epoch = epoch_now();
	struct bh_fast_permit *v = find_permit(p, false, epoch);
	struct nf_conn___init *new;
	struct nf_conn *ct;

	if (!v || !passes(v, p))
		return false;
	if (!(new = make(skb, p))) /* there is no room; the usual way says so */
		return false;
	bpf_ct_set_timeout(new, s->opening * 1000);
	if (!(ct = bpf_ct_insert_entry(new)))
		return false;
	bool yes = begun(v, ct, epoch);
	bpf_ct_release(ct);
	return yes;
}
