/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The fast path, in the kernel: what conntrack knows as an established flow between two workloads
 * of one bridge goes from one veth into the other's container, past the bridge, its hooks and all
 * rules. Runs at each workload's veth for each frame that comes out of the container, before
 * everything else (tc, clsact, ingress), and can do two things only: hand the frame over, or not
 * touch it, so that it goes the usual way.
 *
 * It decides nothing about who may talk to whom. A flow is in conntrack's table only if its first
 * packet passed the rules; the daemon cuts one by deleting the entry, and from then on nothing of
 * it is handed over. What it must see to is
 *   - that nobody speaks in another's name: MAC and address of the source are at home at the veth
 *     that the frame came out of, as the rules of `table bridge bulkhead` say of all else;
 *   - that the frame is one that a hook would see as that flow's: no tag, no fragment, no options
 * or further headers, no DNS (of which the daemon takes copies), an open and answered flow without
 *     translation;
 *   - that it would have gone there: both veths are ports of one bridge, the destination's MAC is
 *     the one it is sent to, its interface is there, and lets through frames of that size;
 *   - that conntrack keeps entries of flows that it does not see any more, and forgets those that
 *     end.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "program.h"

#define DNS 53
#define USUAL_WAY TC_ACT_UNSPEC /* the next filter, then the bridge */
#define PACKET_HOST 0 /* linux/if_packet.h */

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

/* net/netfilter/nf_conntrack_bpf.c */
extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple,
	__u32 tuple_size, struct ct_opts *opts, __u32 opts_size) __ksym;
extern void bpf_ct_release(struct nf_conn *ct) __ksym;
extern int bpf_ct_change_timeout(struct nf_conn *ct, __u32 ms) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BH_FAST_HOMES_MAX);
	__type(key, __u32);
	__type(value, struct bh_fast_home);
} homes4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, BH_FAST_HOMES_MAX);
	__type(key, struct in6_addr);
	__type(value, struct bh_fast_home);
} homes6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bh_fast_settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bh_fast_counts);
} counts SEC(".maps");

/* A TCP flow as its first packet had it, whatever the family. */
struct flow {
	__u32 saddr[4], daddr[4];
	__be16 sport, dport;
};

/* Flows whose end was seen here. Of more than there is room for the oldest are forgotten: then the
 * last segment of one that ends makes its entry an open one's again, which times out as such. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, BH_FAST_ENDING_MAX);
	__type(key, struct flow);
	__type(value, __u8);
} ending SEC(".maps");

struct packet {
	struct bpf_sock_tuple tuple;
	__u8 proto;
	bool v6, syn, fin, rst;
};

static __always_inline bool same_mac(const __u8 *a, const __u8 *b)
{
	const __u16 *x = (const __u16 *)a, *y = (const __u16 *)b;
	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

/* Its ports, and that it begins a flow or is in the middle of one, as far as it can say so itself.
 */
static __always_inline bool transport(
	const void *l4, const void *end, struct packet *p, __be16 *ports)
{
	if (p->proto == IPPROTO_TCP) {
		const struct tcphdr *t = l4;
		if ((const void *)(t + 1) > end || t->doff < 5 ||
			(t->syn ? t->ack || t->rst : !t->ack && !t->rst))
			return false;
		p->syn = t->syn;
		p->fin = t->fin;
		p->rst = t->rst;
		ports[0] = t->source;
		ports[1] = t->dest;
	} else if (p->proto == IPPROTO_UDP) {
		const struct udphdr *u = l4;
		if ((const void *)(u + 1) > end)
			return false;
		ports[0] = u->source;
		ports[1] = u->dest;
	} else {
		return false;
	}
	return ports[0] != bpf_htons(DNS) && ports[1] != bpf_htons(DNS);
}

static __always_inline bool parse4(const struct iphdr *ip, const void *end, struct packet *p)
{
	__be16 ports[2] = {};
	/* Version 4, no options; neither a fragment nor the first of several. */
	if ((const void *)(ip + 1) > end || *(const __u8 *)ip != 0x45 ||
		(ip->frag_off & bpf_htons(0x3fff)))
		return false;
	p->proto = ip->protocol;
	if (!transport(ip + 1, end, p, ports))
		return false;
	p->tuple.ipv4.saddr = ip->saddr;
	p->tuple.ipv4.daddr = ip->daddr;
	p->tuple.ipv4.sport = ports[0];
	p->tuple.ipv4.dport = ports[1];
	return true;
}

static __always_inline bool parse6(const struct ipv6hdr *ip, const void *end, struct packet *p)
{
	__be16 ports[2] = {};
	if ((const void *)(ip + 1) > end || ip->version != 6)
		return false;
	p->proto = ip->nexthdr; /* any further header is another protocol's number */
	if (!transport(ip + 1, end, p, ports))
		return false;
	__builtin_memcpy(p->tuple.ipv6.saddr, &ip->saddr, sizeof(p->tuple.ipv6.saddr));
	__builtin_memcpy(p->tuple.ipv6.daddr, &ip->daddr, sizeof(p->tuple.ipv6.daddr));
	p->tuple.ipv6.sport = ports[0];
	p->tuple.ipv6.dport = ports[1];
	p->v6 = true;
	return true;
}

static __always_inline void name_flow(const struct packet *p, bool reply, struct flow *ret)
{
	__builtin_memset(ret, 0, sizeof(*ret));
	if (p->v6) {
		__builtin_memcpy(reply ? ret->daddr : ret->saddr, p->tuple.ipv6.saddr, 16);
		__builtin_memcpy(reply ? ret->saddr : ret->daddr, p->tuple.ipv6.daddr, 16);
		ret->sport = reply ? p->tuple.ipv6.dport : p->tuple.ipv6.sport;
		ret->dport = reply ? p->tuple.ipv6.sport : p->tuple.ipv6.dport;
	} else {
		ret->saddr[0] = reply ? p->tuple.ipv4.daddr : p->tuple.ipv4.saddr;
		ret->daddr[0] = reply ? p->tuple.ipv4.saddr : p->tuple.ipv4.daddr;
		ret->sport = reply ? p->tuple.ipv4.dport : p->tuple.ipv4.sport;
		ret->dport = reply ? p->tuple.ipv4.sport : p->tuple.ipv4.dport;
	}
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
	if (p->proto == IPPROTO_TCP && left <= (__s32)(s->closing * s->hz)) {
		name_flow(p, reply, &f);
		if (bpf_map_lookup_elem(&ending, &f))
			full = s->closing;
	}
	if (left < (__s32)((full - 1) * s->hz)) /* once a second */
		bpf_ct_change_timeout(ct, full * 1000);
}

/* A SYN begins a flow anew, by the same name perhaps. Conntrack can't know that the one before has
 * ended: its entry is out of date, and the rules are to see a new flow. `ct` may be NULL. */
static __always_inline void begin(struct nf_conn *ct, const struct packet *p, bool reply)
{
	struct flow f;

	name_flow(p, reply, &f);
	if (bpf_map_delete_elem(&ending, &f) == 0 && ct)
		bpf_ct_change_timeout(ct, 0);
}

/* Is it of a flow that the rules let through, that both ends know of, and that nothing has to be
 * done to? */
static __always_inline bool is_established(const struct nf_conn *ct, const struct packet *p)
{
	const unsigned long never = IPS_NAT_MASK | IPS_SEQ_ADJUST | IPS_HELPER | IPS_TEMPLATE |
				    IPS_UNTRACKED | IPS_EXPECTED | IPS_DYING | IPS_OFFLOAD;
	const unsigned long always = IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED;

	return (ct->status & (always | never)) == always &&
	       (p->proto != IPPROTO_TCP || ct->proto.tcp.state == TCP_CONNTRACK_ESTABLISHED);
}

/* Asks conntrack. */
static __always_inline bool is_known(struct __sk_buff *skb, struct packet *p)
{
	struct ct_opts opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = p->proto};
	const __u32 zero = 0;
	const struct bh_fast_settings *s = bpf_map_lookup_elem(&settings, &zero);
	struct nf_conn *ct;

	if (!s || !s->tcp)
		return false;
	if (p->v6) /* two calls, each with a size that the kernel's verifier knows */
		ct = bpf_skb_ct_lookup(skb, &p->tuple, sizeof(p->tuple.ipv6), &opts, sizeof(opts));
	else
		ct = bpf_skb_ct_lookup(skb, &p->tuple, sizeof(p->tuple.ipv4), &opts, sizeof(opts));
	if (!ct) {
		if (p->syn)
			begin(NULL, p, false);
		return false;
	}
	bool reply = opts.dir != 0, yes = is_established(ct, p) && !p->syn;
	if (yes)
		keep(ct, p, s, reply);
	else if (p->syn)
		begin(ct, p, reply);
	bpf_ct_release(ct);
	return yes;
}

static __always_inline void count(const struct __sk_buff *skb)
{
	const __u32 zero = 0;
	struct bh_fast_counts *c = bpf_map_lookup_elem(&counts, &zero);
	if (c) {
		c->packets++;
		c->bytes += skb->len;
	}
}

SEC("tc")
int bulkhead_fast(struct __sk_buff *skb)
{
	const void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	const struct ethhdr *eth = data;
	const struct bh_fast_home *from = NULL, *to = NULL;
	struct packet p = {};
	__u32 mtu = 0;

	if ((const void *)(eth + 1) > end || skb->vlan_present)
		return USUAL_WAY;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		if (!parse4((const void *)(eth + 1), end, &p))
			return USUAL_WAY;
		from = bpf_map_lookup_elem(&homes4, &p.tuple.ipv4.saddr);
		to = from ? bpf_map_lookup_elem(&homes4, &p.tuple.ipv4.daddr) : NULL;
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		if (!parse6((const void *)(eth + 1), end, &p))
			return USUAL_WAY;
		from = bpf_map_lookup_elem(&homes6, &p.tuple.ipv6.saddr);
		to = from ? bpf_map_lookup_elem(&homes6, &p.tuple.ipv6.daddr) : NULL;
	}
	if (!from || !to || from->port != skb->ifindex || !same_mac(from->mac, eth->h_source) ||
		to->port == from->port || to->bridge != from->bridge ||
		!same_mac(to->mac, eth->h_dest))
		return USUAL_WAY;
	/* Also: is it still there? The daemon may be gone, and the container since. */
	if (bpf_check_mtu(skb, to->port, &mtu, 0, 0) != 0 || !is_known(skb, &p) ||
		bpf_skb_change_type(skb, PACKET_HOST) != 0)
		return USUAL_WAY;
	count(skb);
	return bpf_redirect_peer(to->port, 0);
}

char LICENSE[] SEC("license") = "GPL";
