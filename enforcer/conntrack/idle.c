/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * When a flow's last packet passed. Conntrack says when it forgot the flow, which is long after:
 * two minutes for a TCP connection that was closed. How long it waits is known by the protocol and
 * its last state (net/netfilter/nf_conntrack_proto_tcp.c, _udp.c); what was left of that when
 * somebody removed the flow is in the message. What does not fit (a timeout of another kind, one
 * that was set for the flow alone) is left as the kernel says it.
 */
#include "private.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>

#define SYSCTL "/proc/sys/net/netfilter/nf_conntrack_"

static uint32_t read_seconds(const char *name)
{
	bh_autofree char *path = bh_xasprintf(SYSCTL "%s", name);
	unsigned v = 0;
	FILE *f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%u", &v) != 1)
		v = 0;
	fclose(f);
	return v;
}

void bh_ct_read_timeouts(struct bh_ct_timeouts *t)
{
	static const char *const tcp[BH_CT_TCP_STATES] = {
		[TCP_CONNTRACK_SYN_SENT] = "tcp_timeout_syn_sent",
		[TCP_CONNTRACK_SYN_RECV] = "tcp_timeout_syn_recv",
		[TCP_CONNTRACK_ESTABLISHED] = "tcp_timeout_established",
		[TCP_CONNTRACK_FIN_WAIT] = "tcp_timeout_fin_wait",
		[TCP_CONNTRACK_CLOSE_WAIT] = "tcp_timeout_close_wait",
		[TCP_CONNTRACK_LAST_ACK] = "tcp_timeout_last_ack",
		[TCP_CONNTRACK_TIME_WAIT] = "tcp_timeout_time_wait",
		[TCP_CONNTRACK_CLOSE] = "tcp_timeout_close",
		[TCP_CONNTRACK_SYN_SENT2] = "tcp_timeout_syn_sent",
	};
	for (size_t i = 0; i < BH_CT_TCP_STATES; i++)
		t->tcp[i] = tcp[i] ? read_seconds(tcp[i]) : 0;
	t->udp = read_seconds("udp_timeout");
	t->udp_stream = read_seconds("udp_timeout_stream");
	t->icmp = read_seconds("icmp_timeout");
	t->icmpv6 = read_seconds("icmpv6_timeout");
}

static uint32_t timeout_of(const struct bh_ct_timeouts *t, const struct bh_ct_entry *e)
{
	switch (e->flow.proto) {
	case IPPROTO_TCP:
		return e->tcp_state < BH_CT_TCP_STATES ? t->tcp[e->tcp_state] : 0;
	case IPPROTO_UDP:
		return e->status & IPS_ASSURED ? t->udp_stream : t->udp;
	case IPPROTO_ICMP:
		return t->icmp;
	case IPPROTO_ICMPV6:
		return t->icmpv6;
	default:
		return 0;
	}
}

int64_t bh_ct_last(const struct bh_ct_timeouts *t, const struct bh_ct_entry *e, uint32_t left)
{
	uint32_t timeout = timeout_of(t, e);
	if (left > timeout)
		return e->stop;
	int64_t last = e->stop - (int64_t)(timeout - left) * 1000000;
	if (last >= e->start)
		return last;
	/* `left` is cut to the second, and the kernel's ticks are not its clock's. */
	return last + 1000000 > e->start ? e->start : e->stop;
}
