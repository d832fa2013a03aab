/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ruleset in the kernel, without queues: the kernel decides alone. */
#include "agree.h"

#include "lib/reference.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sys/socket.h>

static const struct bh_emit_opts emit_opts = {0};

/* What one world has seen must not be established in the next. */
static void flush_conntrack(void)
{
	struct {
		struct nlmsghdr h;
		struct nfgenmsg g;
	} m = {
		.h.nlmsg_len = sizeof(m),
		.h.nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE,
		.h.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
	};
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
	} answer;
	bh_autoclose int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (fd < 0 || send(fd, &m, sizeof(m), 0) < 0 ||
		recv(fd, &answer, sizeof(answer), 0) < (ssize_t)sizeof(answer) || answer.e.error) {
		fprintf(stderr, "agree: conntrack could not be flushed\n");
		exit(2);
	}
}

/* --- what a broken compiler would do --- */

static void spoil_rule(enum sabotage how, struct bh_rule *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct bh_match *m = &r->match[i];
		bool set = m->kind == BH_MATCH_SADDR_SET || m->kind == BH_MATCH_DADDR_SET;
		if (how == SABOTAGE_PORTS && m->kind == BH_MATCH_DPORT && m->proto == BH_UDP) {
			m->n_ports = 1;
			m->port[0] = (struct bh_port_range){9, 9};
		} else if (how == SABOTAGE_PEERS && set) {
			m->neg = !m->neg;
		}
	}
}

static void spoil(enum sabotage how, struct bh_ruleset *rs)
{
	for (size_t i = 0; i < rs->n_chains; i++)
		for (size_t k = 0; rs->chain[i].hook == BH_HOOK_NONE && k < rs->chain[i].n; k++)
			spoil_rule(how, &rs->chain[i].rule[k]);
	for (size_t i = 0; how == SABOTAGE_MAPS && i < rs->n_sets; i++) {
		struct bh_set *s = &rs->set[i];
		if (s->kind != BH_MAP_VERDICT || !s->n)
			continue;
		s->n--;
		free(s->elem[s->n].chain);
		free(s->elem[s->n].comment);
	}
}

/* --- loading --- */

void kernel_open(struct kernel *k)
{
	int r = bh_nft_open(&k->nft);
	if (r < 0) {
		fprintf(stderr, "agree: nftables: %s\n", strerror(-r));
		exit(2);
	}
}

void kernel_forget(struct kernel *k)
{
	bh_ruleset_free(k->have);
	k->have = NULL;
}

void kernel_close(struct kernel *k)
{
	kernel_forget(k);
	bh_engine_unref(k->engine);
	bh_nft_close(k->nft);
}

/* Who of `a` is not in `b`, or is there with other contents. Indexes in a; returns how many. */
static size_t differing(
	const struct bh_inventory *a, const struct bh_inventory *b, uint32_t *ret_index)
{
	size_t n = 0;
	for (size_t i = 0; i < a->n; i++) {
		int at = bh_inventory_find(b, a->workload[i]);
		if (at < 0 || !bh_workload_equal(a->workload[i], b->workload[at]))
			ret_index[n++] = (uint32_t)i;
	}
	return n;
}

static struct bh_inventory *derive_inventory(
	const struct bh_inventory *old, const struct bh_inventory *want)
{
	bh_autofree uint32_t *gone = bh_xcalloc(old->n + 1, sizeof(*gone));
	bh_autofree uint32_t *come = bh_xcalloc(want->n + 1, sizeof(*come));
	bh_autofree struct bh_workload **copy = bh_xcalloc(want->n + 1, sizeof(*copy));
	size_t n_gone = differing(old, want, gone), n_come = differing(want, old, come);
	for (size_t i = 0; i < n_come; i++)
		copy[i] = bh_workload_copy(want->workload[come[i]]);
	struct bh_inventory *inv = bh_inventory_derive(old, NULL, gone, n_gone, copy, n_come);
	for (size_t i = 0; i < n_come; i++)
		bh_workload_unref(copy[i]);
	return inv;
}

/* As a daemon does when only workloads have come, gone or changed. NULL: it has to compile. */
static struct bh_engine *derive(const struct kernel *k, const struct random_world *w)
{
	if (!k->have || k->sabotage ||
		!bh_engine_same_options(bh_engine_options(k->engine), &w->opts) ||
		!bh_inventory_same_frame(bh_engine_inventory(k->engine), w->inv) ||
		memcmp(bh_engine_policies(k->engine)->sha256, w->policies->sha256, 32) != 0)
		return NULL;
	struct bh_inventory *inv = derive_inventory(bh_engine_inventory(k->engine), w->inv);
	struct bh_engine *e = bh_engine_derive(k->engine, inv);
	bh_inventory_unref(inv);
	return e;
}

/* Of an engine that was derived only what differs is emitted, and done to our picture as well. */
static int apply_change(struct kernel *k, const struct bh_engine *next, struct bh_nft_error *e)
{
	struct bh_ruleset *from, *to;
	struct bh_diff d;
	bh_engine_emit_change(k->engine, next, &from, &to);
	bh_ruleset_diff(from, to, &d);
	int r = bh_nft_apply(k->nft, &d, e);
	if (r == 0)
		bh_ruleset_patch(k->have, &d);
	bh_diff_finish(&d);
	bh_ruleset_free(from);
	bh_ruleset_free(to);
	k->derived++;
	return r;
}

static int apply_whole(struct kernel *k, const struct bh_ruleset *to, struct bh_nft_error *e)
{
	struct bh_diff d;
	if (!k->have) {
		k->rebuilds++;
		return bh_nft_rebuild(k->nft, to, e);
	}
	k->diffs++;
	bh_ruleset_diff(k->have, to, &d);
	int r = bh_nft_apply(k->nft, &d, e);
	bh_diff_finish(&d);
	return r;
}

/* Does the kernel hold what the engine says, no more and no less? */
static bool is_whole(struct kernel *k, const struct bh_ruleset *want)
{
	bh_autobuf struct bh_buf a = {0}, b = {0};
	size_t i = 0, line = 0;
	bh_ruleset_print(k->have, &a);
	bh_ruleset_print(want, &b);
	if (bh_streq(a.s, b.s))
		return true;
	for (; a.s[i] == b.s[i]; i++)
		line = a.s[i] == '\n' ? i + 1 : line;
	snprintf(k->why, sizeof(k->why), "after the change there is: %.*s; there should be: %.*s",
		(int)strcspn(a.s + line, "\n"), a.s + line, (int)strcspn(b.s + line, "\n"),
		b.s + line);
	return false;
}

bool kernel_load(struct kernel *k, const struct random_world *w)
{
	struct bh_nft_error e = {0};
	struct bh_engine *next = derive(k, w);
	bool derived = next != NULL;
	if (!derived)
		next = bh_engine_compile(w->policies, w->inv, &w->opts);
	struct bh_ruleset *rs = bh_engine_emit(next, &emit_opts);
	if (k->sabotage)
		spoil(k->sabotage, rs);
	int r = derived ? apply_change(k, next, &e) : apply_whole(k, rs, &e);
	if (r < 0)
		snprintf(k->why, sizeof(k->why), "the kernel refuses: %s: %s %s", e.object,
			strerror(-r), e.kernel);
	bool good = r == 0 && (!derived || is_whole(k, rs));
	if (!derived) {
		kernel_forget(k);
		k->have = BH_TAKE_PTR(rs);
	}
	bh_engine_unref(k->engine);
	k->engine = next;
	bh_ruleset_free(rs);
	flush_conntrack();
	return good;
}

void judge(const struct kernel *k, const struct random_world *w, const struct probe *p,
	struct bh_decision *ret_evaluator, bool *ret_reference)
{
	struct bh_decision d;
	bh_engine_evaluate(k->engine, &p->flow, ret_evaluator);
	reference_evaluate(w->policies, w->inv, &w->opts, &p->flow, &d);
	*ret_reference = d.verdict == BH_ALLOW;
}
