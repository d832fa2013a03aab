/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the program in the kernel (program.bpf.c) and the daemon say to each other: the layout of
 * the maps. Numbers in the host's byte order, addresses in the network's. Plain types, as both a
 * compiler for the kernel's machine and one for the processor read this.
 */
#pragma once

#include <linux/types.h>

#define BH_FAST_HOMES_MAX 16384 /* addresses of one family */
#define BH_FAST_ENDING_MAX 16384 /* TCP flows that end */
#define BH_FAST_APART_MAX 16384 /* TCP flows of which one way is another */
#define BH_FAST_PERMITS_MAX 4096
/* Also the filter's name at the interfaces, by which a later daemon knows it. */
#define BH_FAST_NAME "bulkhead_fast"

/* Where an address lives. The key is the address (4 or 16 bytes). */
struct bh_fast_home {
	__u32 port; /* ifindex of its veth on the node */
	__u32 bridge; /* ifindex of the bridge that the veth is a port of */
	__u8 mac[6];
	__u16 unused; /* 0: homes are compared as bytes */
};

/* How long conntrack keeps a flow that is quiet, seconds. tcp 0: nothing takes the fast path. */
struct bh_fast_settings {
	__u32 tcp; /* open: net.netfilter.nf_conntrack_tcp_timeout_established */
	__u32 closing; /* one end sent FIN, or something came after a RST */
	__u32 reset; /* after RST */
	__u32 hz; /* jiffies a second */
	__u32 udp; /* answered, and older than two seconds: nf_conntrack_udp_timeout_stream */
	__u32 opening; /* nf_conntrack_tcp_timeout_syn_sent */
};

/*
 * Who may open TCP connections to what, without asking the rules (permits.bpf.h): the key and the
 * value.
 */
struct bh_fast_pair {
	__u32 saddr[4], daddr[4]; /* IPv4: the first of each, the others 0 */
	__be16 dport;
	__u16 family; /* 4, 6: enum bh_family */
};
struct bh_fast_permit {
	__u64 epoch;
	__u64 passed; /* when the last one began of those that all rules let through; ns, as the
			 gate's */
	__u64 tried; /* when one was sent their way to see whether they do… */
	__u64 begun; /* how many were opened with it */
	__be16 port; /* …and from which */
	__u16 unused[3];
};
#define BH_FAST_PASSED_NS 1000000000ull
/* So long an answer to it is waited for, before another one is tried. */
#define BH_FAST_TRIED_NS 20000000ull

/* The only element of its map, written by the daemon through shared memory, each in one piece. */
struct bh_fast_gate {
	__u64 epoch; /* whose permits are good; 0: nobody's */
	__u64 until; /* ns of CLOCK_MONOTONIC: a daemon that is gone, or stuck, permits nothing */
};

/* Sums of all CPUs at 0 of the map of counts; each CPU has its own. */
struct bh_fast_counts {
	__u64 packets, bytes;
};

/* What bulkhead-fastpath hands over, in this order. */
enum bh_fast_fd {
	BH_FAST_PROGRAM,
	BH_FAST_HOMES4,
	BH_FAST_HOMES6,
	BH_FAST_SETTINGS,
	BH_FAST_COUNTS,
	BH_FAST_PERMITS,
	BH_FAST_GATE,
	BH_FAST_FDS
};
