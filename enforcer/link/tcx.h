/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Programs at an interface's way in by tcx (Linux 6.6 on, linux/bpf.h), which needs no qdisc:
 * putting one there makes an interface drop what is on its way for some milliseconds. By bpf(2), in
 * the network namespace that the process is in. Where the kernel has none, none is found.
 */
#pragma once

#include <bulkhead/util.h>

struct bh_tcx {
	bool ours; /* one of the name */
	size_t others;
	bool unseen; /* there may be more: no right to ask (CAP_SYS_ADMIN, bpf) */
	size_t nameless; /* of them; their names may not be asked for (CAP_SYS_ADMIN) */
};
/* Both ways; nothing is seen without CAP_BPF and CAP_NET_ADMIN. 0 or −errno (−ENODEV). */
int bh_tcx_look(unsigned ifindex, const char *name, struct bh_tcx *ret);
/* First of all, or in the place of the one of that name. 0, −EOPNOTSUPP, −errno. */
int bh_tcx_attach(unsigned ifindex, int program, const char *name);
/* How many were taken away, or −errno. */
int bh_tcx_detach(unsigned ifindex, const char *name);
