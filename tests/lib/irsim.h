/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Walks a ruleset IR as nf_tables would: rules in order, jump and goto, sets and verdict maps. So
 * that tests can ask what the kernel would do with a packet, without a kernel.
 */
#pragma once

#include <bulkhead/flow.h>
#include <bulkhead/ruleset.h>

enum irsim_verdict {
	IRSIM_ACCEPT,
	IRSIM_DROP,
	IRSIM_QUEUE, /* no bypass */
	IRSIM_QUEUE_BYPASS,
	IRSIM_REJECT,
	IRSIM_BROKEN, /* refers to what is not there, or jumps too deep */
};

struct irsim_packet {
	struct bh_flow flow;
	bool established; /* else new */
	bool mid_stream; /* TCP: anything but a lone SYN */
	bool lo; /* came in or goes out by lo */
	uint32_t mark;
	struct bh_addr original; /* destination before DNAT; family 0: there was none */
};

struct irsim_result {
	enum irsim_verdict verdict;
	const char *chain; /* that gave the verdict; the base chain for its policy */
	const struct bh_rule *rule; /* NULL: the base chain's policy */
};

struct irsim_result irsim_run(
	const struct bh_ruleset *rs, const char *base, const struct irsim_packet *p);
