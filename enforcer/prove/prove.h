/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Does this kernel do what the rules say? In network namespaces of its own, which have no name and
 * end with the process, whatever way that ends: three containers on a bridge, the ruleset that the
 * compiler makes of their policies, and real packets. Each protection is shown beside what happens
 * without it, so that a packet that would be lost anyway proves nothing. Takes about two seconds.
 *
 * The calling thread is in the namespace that it was in again when this returns; nothing is sent or
 * loaded there. Needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_RAW). A thread reads the queue
 * meanwhile.
 */
#pragma once

#include <bulkhead/ruleset.h>
#include <jansson.h>

struct bh_prove_opts {
	/* For tests, which prove that this can fail: takes something out of the ruleset before it
	 * is loaded. load: 0 for the first, 1 and so on for later ones. May be NULL. */
	void (*spoil)(struct bh_ruleset *rs, int load, void *arg);
	bool without_bridge_nf; /* likewise: br_netfilter stays off */
	void *arg;
};

/* Adds findings (doctor/findings.h), one for each step, with what was sent and what came. opts may
 * be NULL. 0, or −errno when it could not begin: −EPERM, or with a finding that says why. */
int bh_prove(const struct bh_prove_opts *opts, json_t *checks);
