/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What comes back of a flow that was cut. Datagrams have no beginning: the next one that the server
 * pushes to the client's port looks like a new flow of the server's own, which may well be allowed,
 * and the client's denied ones would be answers to it; and to conntrack a HEARTBEAT of SCTP is the
 * beginning of an association. TCP's streams in the middle are refused by the rules; of these only
 * we know which flow they belonged to. So the way back, with both its ports, is denied as well, in
 * the kernel, for as long as the cut flow stays denied and a day at most.
 *
 * Not where both ends use the same port (gossip protocols do), or there are no ports (GRE, ESP):
 * the server's flow is one in its own right then.
 */
#include "revoke/echo.h"

#include <errno.h>

#include <bulkhead/engine.h>

#include "audit/audit.h"
#include "core/state.h"
#include "flows/mirror.h"
#include "nft/nft.h"
#include "verdict/snapshot.h"

#define KEEP_MS (BH_ECHO_S * 1000ull)
#define SEND_MAX 1000
#define PARTS 5

static struct bh_flow turned(const struct bh_flow *f)
{
	return (struct bh_flow){.src = f->dst,
		.dst = f->src,
		.proto = f->proto,
		.sport = f->dport,
		.dport = f->sport};
}

bool bh_core_echo_may_be(const struct bh_flow *f)
{
	return (f->proto == BH_UDP || f->proto == BH_SCTP) && f->dport != f->sport;
}

void bh_core_echo_cut(struct bh_core *c, const struct bh_flow *cut)
{
	const struct bh_flow back = turned(cut);
	if (!bh_core_echo_may_be(&back) || bh_mirror_find(&c->echo, &back))
		return;
	struct bh_cached *x = bh_mirror_add(&c->echo, &back);
	if (x) /* full: what is beyond is cut this once */
		x->expires_ms = uv_now(c->loop) + KEEP_MS;
}

bool bh_core_echo_is(const struct bh_core *c, const struct bh_flow *f)
{
	return bh_mirror_find(&c->echo, f) != NULL;
}

static void write_flow(const struct bh_flow *f, struct bh_value v[static PARTS])
{
	v[0] = bh_value_addr(&f->src);
	v[1] = bh_value_addr(&f->dst);
	v[2] = bh_value_u8(f->proto);
	v[3] = bh_value_u16(f->sport);
	v[4] = bh_value_u16(f->dport);
}

static int send_family(struct bh_core *c, uint8_t family)
{
	static struct bh_value value[PARTS * SEND_MAX]; /* the loop's thread only */
	const struct bh_set *set = c->installed ? bh_ruleset_find_set(c->installed,
							  family == BH_IPV4 ? "echo4" : "echo6")
						: NULL;
	struct bh_nft_error err = {0};
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; set && i < c->echo.n && r >= 0; i++) {
		struct bh_cached *x = &c->echo.item[i];
		if (x->flow.src.family == family && !x->sent) {
			write_flow(&x->flow, &value[PARTS * n++]);
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
