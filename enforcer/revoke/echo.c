/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What comes back of a flow that was cut. Datagrams have no beginning: the next one that the server
 * pushes to the client's port looks like a new flow of the server's own, which may well be allowed,
 * and the client's denied ones would be answers to it. TCP's streams in the middle are refused by
 * the rules; of datagrams only we know which flow they belonged to. So the way back is denied as
 * well, in the kernel's cache, for as long as the cut flow stays denied and ten minutes at most.
 *
 * Only ways back to ephemeral ports: to a port that offers a service (both ends of a gossip
 * protocol use the same one) the server's flow is one in its own right.
 */
#include "revoke/echo.h"

#include <errno.h>

#include "audit/audit.h"
#include "core/state.h"
#include "flows/cache.h"
#include "flows/mirror.h"
#include "nft/nft.h"
#include "verdict/snapshot.h"

#define KEEP_MS 600000
#define EPHEMERAL 32768 /* net.ipv4.ip_local_port_range begins here by default */
#define SEND_MAX 1000

static struct bh_flow turned(const struct bh_flow *f)
{
	return (struct bh_flow){.src = f->dst,
		.dst = f->src,
		.proto = f->proto,
		.sport = f->dport,
		.dport = f->sport};
}

void bh_core_echo_cut(struct bh_core *c, const struct bh_flow *cut)
{
	const struct bh_flow back = turned(cut);
	if (cut->proto != BH_UDP || cut->sport < EPHEMERAL || cut->dport == cut->sport ||
		bh_mirror_find(&c->echo, &back))
		return;
	struct bh_cached *x = bh_mirror_add(&c->echo, &back);
	if (x) /* full: what is beyond is cut this once */
		x->expires_ms = uv_now(c->loop) + KEEP_MS;
}

bool bh_core_echo_may_be(const struct bh_flow *f)
{
	return f->proto == BH_UDP && f->dport >= EPHEMERAL;
}

bool bh_core_echo_is(const struct bh_core *c, const struct bh_flow *f)
{
	return bh_mirror_find(&c->echo, f) != NULL;
}

static int send_family(struct bh_core *c, uint8_t family)
{
	static struct bh_value value[4 * SEND_MAX]; /* the loop's thread only */
	const struct bh_set *set =
		c->installed ? bh_ruleset_find_set(c->installed,
				       family == BH_IPV4 ? "cache-deny4" : "cache-deny6")
			     : NULL;
	struct bh_nft_error err = {0};
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; set && i < c->echo.n && r >= 0; i++) {
		struct bh_cached *x = &c->echo.item[i];
		if (x->flow.src.family == family && !x->sent) {
			bh_core_write_tuple(&x->flow, &value[4 * n++]);
			x->sent = true;
		}
		if (n == SEND_MAX || (n && i + 1 == c->echo.n)) {
			r = bh_nft_cache_add(c->nft, set, value, n, KEEP_MS, &err);
			n = 0;
		}
	}
	return r;
}

void bh_core_echo_send(struct bh_core *c)
{
	int r = send_family(c, BH_IPV4);
	if (r >= 0)
		r = send_family(c, BH_IPV6);
	if (r < 0)
		bh_audit_event(c->audit, "revoke", "failure", strerror(-r), NULL, NULL);
}

void bh_core_echo_refresh(struct bh_core *c)
{
	if (c->echo.n == 0 || !c->snap)
		return;
	for (size_t i = 0; i < c->echo.n; i++) {
		struct bh_cached *x = &c->echo.item[i];
		const struct bh_flow cut = turned(&x->flow);
		x->sent = true;
		if (!bh_snapshot_denies(c->snap, &cut))
			x->expires_ms = 0;
	}
	bh_mirror_expire(&c->echo, uv_now(c->loop));
	for (size_t i = 0; i < c->echo.n; i++)
		c->echo.item[i].sent = false;
	bh_core_echo_send(c);
}
