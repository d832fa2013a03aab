/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A program of ours at the way in of an interface of our namespace (tc, clsact, direct action): it
 * gets each frame that comes from the other end of the veth, before nftables and the bridge. It
 * stays when its process ends, and goes with the interface. Every one is known by its name alone.
 */
#pragma once

#include "link/link.h"

/* Is a veth such that a frame which a bridge would send out by it may be put into the container
 * without the bridge? */
enum bh_link_plain {
	BH_LINK_PLAIN,
	BH_LINK_NOT_A_PORT, /* of that bridge, or no veth into another namespace */
	BH_LINK_APART, /* the bridge keeps VLANs apart, or the port isolated, or lets nothing pass
			*/
	BH_LINK_SHAPED, /* it has a queue of its own: traffic is shaped there */
	BH_LINK_FILTERED, /* somebody else's filters or programs are at it */
};
const char *bh_link_plain_name(enum bh_link_plain p); /* "its traffic is shaped", …; NULL: plain */
/* An enum bh_link_plain, or −errno (−ENODEV: it is not there). A filter of this name is no
 * objection; *ret_attached: there is one. */
int bh_link_is_plain(
	struct bh_link *l, unsigned ifindex, unsigned bridge, const char *name, bool *ret_attached);

/* Puts a program there, or in the place of the one of that name, in one step. 0 or −errno. */
int bh_link_attach(struct bh_link *l, unsigned ifindex, int program, const char *name);
/* Takes that of this name away, and the qdisc for it if nothing else is at it. 1; 0: there was
 * none; −errno. */
int bh_link_detach(struct bh_link *l, unsigned ifindex, const char *name);
/* The interfaces that have one of this name: owned (free), ascending; their number or −errno.
 * *ret_unseen: there may be more, which this process has no right to see (bpf). */
int bh_link_attached(struct bh_link *l, const char *name, unsigned **ret, bool *ret_unseen);
