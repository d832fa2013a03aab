/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Three workloads, their policies, and the daemon's part in it: rules loaded, queued packets
 * decided, flows cut. All by the modules that do it on a node. */
#include <errno.h>

#include "conntrack/conntrack.h"
#include "link/link.h"
#include "nft/nft.h"
#include "prove/private.h"
#include "queue/queue.h"

#define QUEUE 1
#define QUEUE_LENGTH 1024

static const char always[] = "apiVersion: networking.k8s.io/v1\n"
			     "kind: NetworkPolicy\n"
			     "metadata: {name: b, namespace: proof}\n"
			     "spec:\n"
			     "  podSelector: {matchLabels: {app: b}}\n"
			     "  policyTypes: [Ingress]\n"
			     "  ingress:\n"
			     "  - from: [{podSelector: {matchLabels: {app: c}}}]\n"
			     "    ports: [{protocol: UDP, port: 53}]\n"
			     "  - from: [{podSelector: {matchLabels: {app: a}}}]\n"
			     "    ports: [{protocol: UDP, port: 54}]\n";
static const char port_80[] = "  - from: [{podSelector: {matchLabels: {app: a}}}]\n"
			      "    ports: [{port: 80}]\n";

/* On the queue's thread. */
static enum bh_packet_verdict on_packet(const struct bh_packet *p, void *arg)
{
	struct prove_world *w = arg;
	struct bh_decision d;
	atomic_fetch_add(&w->asked, 1);
	if (p->fault != BH_PACKET_OK)
		return BH_PACKET_DROP;
	bh_engine_evaluate(atomic_load(&w->engine), &p->flow, &d);
	return d.verdict == BH_ALLOW  ? BH_PACKET_ACCEPT
	       : d.verdict == BH_DROP ? BH_PACKET_DROP
				      : BH_PACKET_REJECT;
}

bool prove_has_queue(const struct prove_world *w)
{
	const struct bh_nft_caps *caps = bh_nft_get_caps(w->nft);
	return caps->native_queue || caps->compat_queue;
}

int prove_world_open(struct prove_world *w, const char **ret_what)
{
	*ret_what = "nftables";
	int r = bh_nft_open(&w->nft);
	if (r == 0) {
		*ret_what = "rtnetlink";
		r = bh_link_open(&w->link);
	}
	if (r == 0) {
		*ret_what = "connection tracking";
		r = bh_ct_open(&w->ct);
	}
	return r;
}

void prove_world_close(struct prove_world *w)
{
	bh_queue_stop(w->queue); /* nobody asks the engines any more */
	for (size_t i = 0; i < w->n_old; i++)
		bh_engine_unref(w->old[i]);
	bh_ct_close(w->ct);
	bh_link_close(w->link);
	bh_nft_close(w->nft);
}

static struct bh_workload *workload(const char *name)
{
	struct bh_workload *w = bh_workload_new();
	w->id = bh_xasprintf("proof-%s", name);
	w->runtime = bh_xstrdup("static");
	w->name = bh_xstrdup(name);
	w->namespace = bh_xstrdup("proof");
	w->mode = BH_MODE_ENFORCE;
	bh_labels_set(&w->labels, "app", name);
	return w;
}

/* What the kernel says of the three, as on a node. */
static int inventory(struct prove_world *w, const struct prove_net *n, struct bh_inventory **ret)
{
	static const char *const name[] = {[AT_A] = "a", [AT_B] = "b", [AT_C] = "c"};
	struct bh_inventory *inv = bh_inventory_new();
	int r = 0;
	for (int i = AT_A; i < PLACES && r == 0; i++) {
		char path[64];
		struct bh_workload *x = workload(name[i]);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", n->ns[i]);
		r = bh_link_inspect(w->link, path, x);
		bh_inventory_add(inv, x);
	}
	if (r == 0)
		r = bh_link_host(w->link, inv, true);
	bh_inventory_seal(inv);
	if (r < 0)
		bh_inventory_unref(inv);
	else
		*ret = inv;
	return r;
}

static struct bh_policy_set *policies(bool open)
{
	char bh_autofree *text = bh_xasprintf("%s%s", always, open ? port_80 : "");
	const struct bh_policy_source src = {"proof", text, strlen(text)};
	const struct bh_policy_parse_opts opts = {.default_ns = "default"};
	struct bh_diags bh_autodiags d = {0};
	struct bh_policy_set *set = NULL;
	return bh_policy_set_parse(&src, 1, &opts, &d, &set) < 0 ? NULL : set;
}

static int start_queue(struct prove_world *w)
{
	const struct bh_queue_opts o = {.num = QUEUE, .maxlen = QUEUE_LENGTH};
	return w->queue || !prove_has_queue(w) ? 0 : bh_queue_start(&o, on_packet, w, &w->queue);
}

int prove_load(struct prove_world *w, const struct prove_net *n, bool open, bool reject,
	const char **ret_what)
{
	const struct bh_engine_opts opts = {.host_policy = true, .reject = reject};
	const struct bh_emit_opts emit = {.queue_unmatched = QUEUE,
		.queue_observed = QUEUE + 1,
		.queue_hold = QUEUE + 2,
		.hold_closed = true,
		.have_nfqueue = prove_has_queue(w)};
	struct bh_nft_error error = {0};
	struct bh_inventory *inv;

	*ret_what = "the containers' links";
	int r = inventory(w, n, &inv);
	if (r < 0)
		return r;
	struct bh_policy_set *set = policies(open);
	struct bh_engine *e = bh_engine_compile(set, inv, &opts);
	bh_policy_set_unref(set);
	bh_inventory_unref(inv);
	w->old[w->n_old++] = e;
	atomic_store(&w->engine, e);
	struct bh_ruleset *rs = bh_engine_emit(e, &emit);
	if (w->opts->spoil)
		w->opts->spoil(rs, w->loads, w->opts->arg);
	w->loads++;
	*ret_what = "an NFQUEUE";
	r = start_queue(w);
	if (r == 0) {
		*ret_what = "the rules";
		r = bh_nft_rebuild(w->nft, rs, &error);
	}
	bh_ruleset_free(rs);
	return r;
}

static bool denied_now(const struct bh_ct_entry *e, void *arg)
{
	struct bh_decision d;
	bh_engine_evaluate(arg, &e->flow, &d);
	return d.verdict != BH_ALLOW;
}

int prove_cut(struct prove_world *w)
{
	return bh_ct_sweep(w->ct, denied_now, atomic_load(&w->engine), NULL);
}
