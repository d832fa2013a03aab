/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Room in the kernel's connection tracking: without it new flows of everybody are dropped. */
#include "conntrack/conntrack.h"

#include "private.h"

static void close_ct(struct bh_ct **ct)
{
	bh_ct_close(*ct);
}

void bh_doctor_conntrack(const struct bh_doctor_look *k)
{
	__attribute__((cleanup(close_ct))) struct bh_ct *ct = NULL;
	struct bh_ct_fill f;
	int r = bh_ct_open(&ct);
	if (r == 0)
		r = bh_ct_fill(ct, &f);
	if (r < 0) {
		bh_finding(k->checks, "conntrack", BH_HEALTH_FAIL, "modprobe nf_conntrack_netlink",
			"connection tracking can't be asked: %s: cut flows are not ended",
			strerror(-r));
		return;
	}
	enum bh_health h = bh_doctor_fill(f.entries, f.max);
	char bh_autofree *more =
		bh_xasprintf("sysctl -w net.netfilter.nf_conntrack_max=%llu (in the host's own "
			     "namespace); `bulkhead status` names who opened the most",
			2ull * f.max);
	bh_finding(k->checks, "conntrack", h, h == BH_HEALTH_OK ? NULL : more,
		f.max ? "%u of at most %u flows are tracked%s" : "%u flows are tracked%.0u%s",
		f.entries, f.max,
		h == BH_HEALTH_FAIL   ? ": new flows of everybody are dropped"
		: h == BH_HEALTH_WARN ? ": when it is full, new flows of everybody are dropped"
				      : "");
}
