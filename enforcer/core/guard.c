/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What enforcement rests on besides our own rules: that bridged traffic meets them at all, and that
 * nobody else takes them away.
 */
#include "core/guard.h"

#include <errno.h>
#include <spawn.h>
#include <sys/wait.h>

#include "answer/clock.h"
#include "audit/audit.h"
#include "core/reconcile.h"
#include "core/state.h"
#include "link/link.h"
#include "nft/nft.h"

#define TAMPER_PAUSE_US 1000000
#define PLACE_EVERY 15 /* ticks: others may empty a bridge's table */

/* Same-bridge traffic meets the rules only with br_netfilter. Loading the module is the one thing
 * asked of another program; where that fails, status says what to do. */
static void load_br_netfilter(void)
{
	char *argv[] = {"modprobe", "-q", "br_netfilter", NULL},
	     *env[] = {"PATH=/usr/sbin:/sbin", NULL};
	pid_t pid;
	int status;
	if (posix_spawnp(&pid, "modprobe", NULL, NULL, argv, env) == 0)
		waitpid(pid, &status, 0);
}

void bh_core_bridge_nf(struct bh_core *c)
{
	int r = bh_link_enable_bridge_nf();
	if (r == -ENOENT && !c->bridge_nf_error) { /* once a run */
		load_br_netfilter();
		r = bh_link_enable_bridge_nf();
	}
	if (r == 1)
		bh_audit_event(c->audit, "sysctl", "success",
			"net.bridge.bridge-nf-call-iptables and -ip6tables were switched on", NULL,
			NULL);
	c->bridge_nf = r >= 0;
	free(c->bridge_nf_error);
	c->bridge_nf_error =
		r < 0 ? bh_xasprintf("net.bridge.bridge-nf-call-iptables: %s",
				r == -ENOENT ? "br_netfilter is not loaded" : strerror(-r))
		      : NULL;
}

void bh_core_bridges(struct bh_core *c)
{
	if (!c->snap)
		return;
	const struct bh_inventory *inv = bh_engine_inventory(c->snap->engine);
	bh_link_place(c->link, inv, c->bridge_ticks++ % PLACE_EVERY == 0);
	struct bh_link_guarded done;
	bh_link_guard_bridges(c->link, inv, &done);
	if (done.bridges)
		bh_audit_event(c->audit, "sysctl", "success",
			"bridges learn nothing any more from frames that no rule sees", NULL,
			json_pack("{s:i}", "bridges", done.bridges));
	if (done.ports)
		bh_audit_event(c->audit, "sysctl", "success",
			"no workload becomes the root of a bridge's spanning tree", NULL,
			json_pack("{s:i}", "ports", done.ports));
}

/* Somebody else changed or flushed our table: put it back, on record. */
void bh_core_nft_cb(uv_poll_t *p, int status, int events BH_UNUSED)
{
	struct bh_core *c = p->data;
	int n = bh_nft_watch_drain(c->nft);
	int64_t now = bh_clock_steady();

	if (status < 0) /* lost notices are an error of the socket, which stops the polling */
		uv_poll_start(p, UV_READABLE, bh_core_nft_cb);
	if (n == 0 || !c->installed)
		return;
	int r = bh_core_rebuild(c);
	if (n > 0 && (!c->last_tamper || now - c->last_tamper > TAMPER_PAUSE_US))
		bh_audit_event(c->audit, "tamper", r < 0 ? "failure" : "success",
			"table inet " BH_TABLE " was changed by another program and was put back",
			NULL, json_pack("{s:i}", "messages", n));
	c->last_tamper = now;
}
