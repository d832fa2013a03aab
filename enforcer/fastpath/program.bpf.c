/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The fast path, in the kernel: what conntrack knows as an established flow between two workloads
 * of one bridge goes from one veth into the other's container, past the bridge, its hooks and all
 * rules. Runs at each workload's veth for each frame that comes out of the container, before
 * everything else (tc, clsact, ingress), and can do two things only: hand the frame over, or not
 * touch it, so that it goes the usual way.
 *
 * It decides nothing about who may talk to whom. A flow is in conntrack's table only if its first
 * packet passed the rules, or was a further connection of a pair for which the daemon has just said
 * that they let it pass (open_flow). The daemon cuts one by deleting the entry, and from then on
 * nothing of it is handed over. What it must see to is
 *   - that nobody speaks in another's name: MAC and address of the source are at home at the veth
 *     that the frame came out of, as the rules of `table bridge bulkhead` say of all else;
 *   - that the frame is one that a hook would see as that flow's: no tag, no fragment, no options,
 *     no further headers, no DNS (of which the daemon takes copies), a flow without translation
 *     that is open and answered, or comes to be so here;
 *   - that it would have gone there: both veths are ports of one bridge, the destination's MAC is
 *     the one it is sent to, by both ends, its interface is there, and lets through frames of that
 *     size;
 *   - that conntrack keeps entries of flows that it does not see any more, and forgets those that
 *     end.
 */
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include "conntrack.bpf.h"
#include "packet.bpf.h"
#include "permits.bpf.h"
#include "program.h"

#define USUAL_WAY TC_ACT_UNSPEC /* the next filter, then the bridge */
#define PACKET_HOST 0 /* linux/if_packet.h */

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
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bh_fast_counts);
} counts SEC(".maps");

static __always_inline bool same_mac(const __u8 *a, const __u8 *b)
{
	const __u16 *x = (const __u16 *)a, *y = (const __u16 *)b;
	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2];
}

static __always_inline bool may_go(
	struct nf_conn *ct, const struct packet *p, const struct bh_fast_settings *s, bool reply)
{
	if (!is_usable(ct))
		return false;
	if (p->synack && reply)
		note_passed(ct, p);
	if (is_apart(p, reply) ||
		(began_here(ct, p) ? !advance(ct, p, reply) : !is_established(ct, p)))
		return false;
	keep(ct, p, s, reply);
	return true;
}

/* Of a flow that conntrack knows, or (*ret_unknown) does not, or no longer. */
static __always_inline bool ask(struct __sk_buff *skb, struct packet *p,
	const struct bh_fast_settings *s, bool *ret_unknown)
{
	bool reply = false, yes = false, ended;
	struct nf_conn *ct = find(skb, p, &reply);

	if (p->syn)
		forget_apart(p);

	*ret_unknown = !ct;
	if (!ct) { /* apart: Linux 6.1 loses sight of a reference that may be none */
		if (p->syn)
			forget_end(p, false);
		return false;
	}
	ended = p->syn && has_ended(ct, p, s, reply);
	if (ended)
		bpf_ct_change_timeout(ct, 0);
	else
		yes = p->syn ? is_sent_again(ct, p, s, reply) : may_go(ct, p, s, reply);
	bpf_ct_release(ct);
	if (ended) { /* asked for once more, it is gone */
		ct = find(skb, p, &reply);
		*ret_unknown = !ct;
		if (ct)
			bpf_ct_release(ct);
	}
	return yes;
}

static __always_inline bool is_known(struct __sk_buff *skb, struct packet *p)
{
	const __u32 zero = 0;
	const struct bh_fast_settings *s = bpf_map_lookup_elem(&settings, &zero);
	bool unknown;

	if (!s || !s->tcp)
		return false;
	return ask(skb, p, s, &unknown) || (unknown && p->syn && open_flow(skb, p, s));
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
		to->port == from->port || to->bridge != from->bridge)
		return USUAL_WAY;
	if (!same_mac(to->mac, eth->h_dest)) {
		note_apart(&p);
		return USUAL_WAY;
	}
	/* Also: is it still there? The daemon may be gone, and the container since. */
	if (bpf_check_mtu(skb, to->port, &mtu, 0, 0) != 0 || !is_known(skb, &p) ||
		bpf_skb_change_type(skb, PACKET_HOST) != 0)
		return USUAL_WAY;
	count(skb);
	return bpf_redirect_peer(to->port, 0);
}

char LICENSE[] SEC("license") = "GPL";
