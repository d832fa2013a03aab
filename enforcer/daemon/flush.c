/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkheadd --flush: what was put into the kernel is taken out of it. */
#include "daemon/flush.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/in.h>

#include "conntrack/conntrack.h"
#include "fastpath/program.h"
#include "link/attach.h"
#include "nft/nft.h"

static bool may_have_taken_it(const struct bh_ct_entry *e, void *arg BH_UNUSED)
{
	return e->flow.proto == IPPROTO_TCP && e->answered && !(e->status & IPS_NAT_MASK);
}

/* Others' rules may drop what conntrack takes for nobody's. */
static void hand_back(void)
{
	struct bh_ct *ct = NULL;
	struct bh_ct_found *found = NULL;
	int r = bh_ct_open(&ct);

	if (r == 0)
		r = bh_ct_find(ct, may_have_taken_it, NULL, NULL, &found);
	if (r == 0)
		r = bh_ct_relax(ct, found);
	if (r < 0)
		fprintf(stderr, "bulkheadd: connections may stall: conntrack: %s\n", strerror(-r));
	bh_ct_found_free(found);
	bh_ct_close(ct);
}

/* The programs of the fast path. */
static int take_programs(void)
{
	struct bh_link *l = NULL;
	unsigned bh_autofree *at = NULL;
	bool unseen = false;
	int r = bh_link_open(&l), n = 0, err = 0;

	if (r == 0)
		r = n = bh_link_attached(l, BH_FAST_NAME, &at, &unseen);
	if (n > 0)
		hand_back();
	for (int i = 0; i < n; i++) {
		r = bh_link_detach(l, at[i], BH_FAST_NAME);
		err = r < 0 ? r : err;
	}
	if (n > 0)
		hand_back(); /* those that came to be established meanwhile */
	bh_link_close(l);
	return r < 0 ? r : unseen ? -EPERM : err;
}

int bh_flush(void)
{
	struct bh_nft *n = NULL;
	const char *what = "tables " BH_TABLE;
	int r = bh_nft_open(&n);

	if (r == 0)
		r = bh_nft_taken(n) > 0 ? -EBUSY : bh_nft_flush(n);
	bh_nft_close(n);
	if (r == 0) {
		what = "programs of the fast path";
		r = take_programs();
	}
	if (r < 0)
		fprintf(stderr, "bulkheadd: %s: %s%s\n", what, strerror(-r),
			r == -EPERM   ? ": root is needed, with all its capabilities"
			: r == -EBUSY ? ": another process owns it: stop bulkheadd first"
				      : "");
	return r;
}
