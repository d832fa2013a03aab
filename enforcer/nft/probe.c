/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the kernel can do, found by building it: one transaction makes a table of another name with
 * a rule for each question, and two more tables, and ends with a chain in a table that is not
 * there. The kernel goes on after a refused message and reports each, and that last one makes sure
 * that nothing is ever committed. Modules are loaded by the kernel as for any rule.
 */
#include "private.h"

#include <errno.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>

#define PROBE_TABLE "bulkhead_probe"
#define PROBE_CHAIN "probe"

enum question { NATIVE_QUEUE, COMPAT_QUEUE, LOG, REJECT, BRIDGE, OWNER, N_QUESTIONS };

struct asked {
	size_t message[N_QUESTIONS]; /* which asks it */
	bool no[N_QUESTIONS];
	size_t last; /* the one that has to fail */
	int err; /* anything else that was refused */
	bool stopped; /* the last one was refused, as it should */
};

static void heard(ssize_t i, int err, void *arg)
{
	struct asked *a = arg;
	if (i < 0) /* the result of the transaction says it too */
		return;
	if ((size_t)i == a->last) {
		a->stopped = true;
		return;
	}
	for (size_t q = 0; q < N_QUESTIONS; q++) {
		if (a->message[q] == (size_t)i) {
			a->no[q] = true;
			return;
		}
	}
	if (!a->err)
		a->err = err;
}

static void put_chain(struct bh_nft_batch *b, const char *table)
{
	struct nlmsghdr *nlh = bh_nft_batch_add(
		b, BH_TABLE_INET, NFT_MSG_NEWCHAIN, NLM_F_CREATE, BH_NFT_PROBE, table, 0);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_TABLE, table);
	mnl_attr_put_strz(nlh, NFTA_CHAIN_NAME, PROBE_CHAIN);
	bh_nft_batch_done(b, nlh);
}

static void ask_rule(struct bh_nft_batch *b, struct asked *a, enum question q)
{
	static const char *const name[] = {"queue", "NFQUEUE", "log", "reject"};
	struct nftnl_rule *r = bh_nft_must(nftnl_rule_alloc());
	nftnl_rule_set_str(r, NFTNL_RULE_TABLE, PROBE_TABLE);
	nftnl_rule_set_str(r, NFTNL_RULE_CHAIN, PROBE_CHAIN);
	if (q == REJECT)
		bh_nft_add_reject(r, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
	else if (q == LOG)
		bh_nft_add_log(r, 0, 64);
	else
		bh_nft_add_queue(r, q == NATIVE_QUEUE, 0, true);
	a->message[q] = b->n;
	struct nlmsghdr *nlh = bh_nft_batch_add(b, BH_TABLE_INET, NFT_MSG_NEWRULE,
		NLM_F_CREATE | NLM_F_APPEND, BH_NFT_PROBE, name[q], 0);
	nftnl_rule_nlmsg_build_payload(nlh, r);
	bh_nft_batch_done(b, nlh);
	nftnl_rule_free(r);
}

static void ask_table(struct bh_nft_batch *b, struct asked *a, enum question q)
{
	a->message[q] = b->n;
	if (q == BRIDGE)
		bh_nft_put_table(b, BH_TABLE_BRIDGE, NLM_F_CREATE, PROBE_TABLE, 0);
	else
		bh_nft_put_table(
			b, BH_TABLE_INET, NLM_F_CREATE, PROBE_TABLE "_owned", BH_NFT_OWNED);
}

int bh_nft_probe(struct bh_nft *n)
{
	bh_autobatch struct bh_nft_batch b = {0};
	struct asked a = {0};
	bh_nft_put_table(&b, BH_TABLE_INET, NLM_F_CREATE, PROBE_TABLE, 0);
	put_chain(&b, PROBE_TABLE);
	for (enum question q = NATIVE_QUEUE; q <= REJECT; q++)
		ask_rule(&b, &a, q);
	ask_table(&b, &a, BRIDGE);
	ask_table(&b, &a, OWNER);
	a.last = b.n;
	put_chain(&b, PROBE_TABLE "_absent");
	int rc = bh_nft_transact(n, &b, 0, heard, &a, NULL);
	if (rc == 0)
		return -EIO; /* cannot be: the last message is always refused */
	if (a.err || !a.stopped)
		return a.err ? a.err : rc;
	n->caps = (struct bh_nft_caps){
		.native_queue = !a.no[NATIVE_QUEUE],
		.compat_queue = !a.no[COMPAT_QUEUE],
		.log = !a.no[LOG],
		.reject = !a.no[REJECT],
		.bridge = !a.no[BRIDGE],
		.owner = !a.no[OWNER],
	};
	return 0;
}
