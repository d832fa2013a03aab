/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Starting: nothing in the kernel changes until everything that can fail has succeeded. */
#include <sys/utsname.h>

#include "answer/digest.h"
#include "audit/audit.h"
#include "config/config.h"
#include "core/fast_path.h"
#include "core/guard.h"
#include "core/lifecycle.h"
#include "core/open.h"
#include "core/queues.h"
#include "core/reconcile.h"
#include "core/sinks.h"
#include "core/sources.h"
#include "core/state.h"
#include "core/tick.h"
#include "core/watches.h"
#include "feeds/feeds.h"
#include "flows/answered.h"
#include "flows/cache.h"
#include "flows/ends.h"
#include "flows/events.h"
#include "flows/gap.h"
#include "flows/pace.h"
#include "flows/passed.h"
#include "http/http.h"
#include "inventory/inventory.h"
#include "modes/modes.h"
#include "nft/nft.h"
#include "policies/confirm.h"
#include "policies/policies.h"
#include "revoke/revoke.h"
#include "threats/edit.h"
#include "threats/load.h"
#include "threats/lookback.h"
#include "verdict/shared.h"

#define TICK_MS 1000

static void on_inventory(void *arg)
{
	struct bh_core *c = arg;
	bh_core_schedule(c);
}

static void on_feeds(void *arg)
{
	bh_core_feeds_changed(arg);
}

static void on_feed_event(void *arg, const struct bh_feed_status *st, bool updated)
{
	struct bh_core *c = arg;
	bh_audit_event(c->audit, updated ? "feed.update" : "feed.refused",
		updated ? "success" : "failure", st->message[0] ? st->message : NULL, NULL,
		json_pack("{s:s, s:s, s:I, s:I, s:I}", "feed", st->name, "url", st->url, "entries",
			(json_int_t)st->entries, "rejected", (json_int_t)st->rejected, "subtracted",
			(json_int_t)st->subtracted));
}

static int start_sources(struct bh_core *c, char **why)
{
	struct bh_feeds_callbacks cb = {c, on_feeds, on_feed_event};
	int r = bh_http_open(c->loop, &c->http);
	if (r == 0)
		r = bh_feeds_new(c->loop, c->http, c->conf->state, &cb, &c->feeds);
	if (r == 0)
		r = bh_inventory_mgr_new(c->loop, c->link, on_inventory, c, &c->inventory);
	if (r < 0) {
		*why = bh_xasprintf("starting feeds and sources: %s", strerror(-r));
		return r;
	}
	bh_core_feeds_load_added(c);
	bh_core_feeds_configure(c);
	bh_core_confirm_resume(c);
	bh_core_policies_load(c, "start");
	bh_core_sources_start(c);
	return 0;
}

static void start_handles(struct bh_core *c)
{
	uv_timer_init(c->loop, &c->reconcile_timer);
	uv_timer_init(c->loop, &c->tick);
	uv_timer_init(c->loop, &c->retry_timer);
	bh_core_feeds_init(c);
	bh_core_lookback_init(c);
	uv_timer_init(c->loop, &c->confirm_timer);
	uv_timer_init(c->loop, &c->replay_timer);
	c->replay_timer.data = c;
	uv_timer_init(c->loop, &c->report_timer);
	c->report_timer.data = c;
	bh_core_events_init(c);
	bh_core_cache_init(c);
	bh_core_echo_init(c);
	bh_core_passed_init(c);
	bh_core_fast_path_init(c);
	bh_core_answers_init(c);
	bh_core_ends_init(c);
	bh_core_pace_init(c);
	bh_core_revoke_init(c);
	bh_core_crowding_init(c);
	uv_poll_init(c->loop, &c->nft_poll, bh_nft_watch_fd(c->nft));
	c->reconcile_timer.data = c->tick.data = c->retry_timer.data = c;
	c->confirm_timer.data = c;
	c->nft_poll.data = c;
	c->handles = true;
	uv_timer_start(&c->tick, bh_core_tick_cb, TICK_MS, TICK_MS);
	uv_poll_start(&c->nft_poll, UV_READABLE, bh_core_nft_cb);
}

static json_t *sha256_json(const struct bh_config *conf)
{
	struct bh_buf bh_autobuf text = {0};
	char hex[65];
	bh_config_print(conf, &text);
	bh_digest_sha256(text.s, text.len, hex);
	return json_string(hex);
}

/* What passed while nobody was there is on no record: say since when. */
static void record_start(struct bh_core *c)
{
	char bh_autofree *key = bh_audit_public_key(c->audit);
	int64_t before = bh_audit_ended(c->audit);
	struct utsname u = {0};

	uname(&u);
	if (before)
		bh_core_gap(c, "not-running", -1, before,
			"the daemon did not run: what learn and audit let pass is not recorded, "
			"nor what ended");
	bh_audit_event(c->audit, "start", "success", NULL, NULL,
		json_pack("{s:s, s:s, s:s?, s:o, s:s, s:i, s:I, s:s, s:s}", "version", BH_VERSION,
			"mode", bh_mode_name(bh_core_node_mode(c)), "config", c->conf_file,
			"config_sha256", sha256_json(c->conf), "kernel", u.release, "pid",
			(int)getpid(), "generation", (json_int_t)c->generation, "policy_sha256",
			c->sha256, "key", key));
}

int bh_core_new(
	uv_loop_t *loop, const struct bh_core_start *start, struct bh_core **ret, char **ret_why)
{
	struct bh_core *c = bh_xcalloc(1, sizeof(*c));
	c->loop = loop;
	c->conf = start->config;
	c->conf_file = bh_xstrdup(start->config_file);
	c->lock_fd = -1;
	c->starting = true;
	bh_core_identify(c);
	int r = bh_shared_init(&c->shared);
	if (r < 0)
		*ret_why = bh_xasprintf("eventfd: %s", strerror(-r));
	if (r == 0)
		r = bh_core_take_state(c, ret_why);
	if (r == 0)
		r = bh_core_open_kernel(c, ret_why);
	if (r == 0)
		r = bh_core_open_records(c, ret_why);
	if (r == 0) {
		start_handles(c);
		r = bh_core_queues_start(c, ret_why);
	}
	if (r == 0) {
		r = bh_core_sinks_start(c, ret_why);
	}
	if (r == 0) {
		record_start(c);
		r = start_sources(c, ret_why);
	}
	if (r < 0) {
		/* The caller runs the loop empty and frees. */
		bh_core_stop(c);
		*ret = c;
		return r;
	}
	bh_core_bridge_nf(c);
	bh_core_watches_start(c);
	c->starting = false;
	bh_core_schedule(c);
	*ret = c;
	return 0;
}

const char *bh_core_socket(const struct bh_core *c)
{
	return c->conf->socket;
}
