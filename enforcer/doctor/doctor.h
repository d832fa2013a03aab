/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Is this node really protected? Looks at what the kernel and the disk hold, in the network
 * namespace that the handles are of, and says of each thing what was seen. Reads only. The daemon
 * asks it of itself; without a daemon `bulkheadd --doctor` does.
 *
 * A check is here because it was seen to fail (tests/system/test_doctor.py). What looks like a hole
 * and is none, is not looked at: an `accept` in somebody else's base chain ends that chain alone,
 * whatever its priority, and ours is asked all the same; conntrack's helpers and nf_conntrack_tcp_
 * loose change nothing of what rules decide, as what helpers expect needs a rule like any other and
 * a stream that is not known is refused where one of its ends enforces.
 */
#pragma once

#include <bulkhead/ruleset.h>
#include <bulkhead/workload.h>

#include "doctor/findings.h"

struct bh_config;
struct bh_link;
struct bh_nft;

struct bh_doctor {
	struct bh_nft *nft;
	struct bh_link *link;
	const struct bh_config *conf;
	const char *conf_file; /* NULL: none */
	/* NULL: nobody knows who lives here; every veth that leads elsewhere is taken for a
	 * workload's. */
	const struct bh_inventory *inv;
	/* What the tables are to hold. whole: to the rule; else only the base chains, which are the
	 * same for everybody, are compared. */
	const struct bh_ruleset *rules;
	bool whole;
	bool daemon; /* it is the daemon that asks: queues and tables are to be its own */
};

/* Everything below. Each takes some milliseconds, with tens of thousands of rules some ten. */
void bh_doctor_node(const struct bh_doctor *d, json_t *checks);

/* Ends of workloads in our namespace. */
struct bh_doctor_port {
	unsigned ifindex, bridge; /* bridge 0: routed */
	char *name, *whose; /* "shop/web"; NULL: not known */
};
struct bh_doctor_ports {
	struct bh_doctor_port *item;
	size_t n, cap;
};
