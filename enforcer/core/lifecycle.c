/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Starting, reloading and stopping. Starting changes nothing in the kernel until everything that
 * can fail has succeeded; stopping leaves the rules where they are.
 */
#include "core/lifecycle.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/utsname.h>

#include "core/notify.h"
#include "core/private.h"
#include "policies/policies.h"

#define TICK_MS 1000

static int fail(char **why, int err, const char *fmt, ...) BH_PRINTF(3, 4);
static int fail(char **why, int err, const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	*why = text;
	return err;
}

static char *read_line(const char *path)
{
	char *text = NULL;
	size_t len;
	if (bh_file_read(path, 4096, &text, &len) < 0)
		return bh_xstrdup("");
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static void identify(struct bh_core *c)
{
	char name[256] = "localhost";
	gethostname(name, sizeof(name) - 1);
	c->node = bh_xstrdup(name);
	c->machine_id = read_line("/etc/machine-id");
	c->boot_id = read_line("/proc/sys/kernel/random/boot_id");
	c->started = c->queues_ticked = c->pulse.ticked = bh_core_now();
}

static int take_state(struct bh_core *c, char **why)
{
	int r = bh_file_mkdirs(c->conf->state, 0700);
	if (r < 0)
		return fail(why, r, "state directory %s: %s%s", c->conf->state, strerror(-r),
			r == -EACCES ? ": bulkheadd needs root" : "");
	char bh_autofree *path = bh_xasprintf("%s/lock", c->conf->state);
	c->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (c->lock_fd < 0)
		return fail(why, -errno, "%s: %s%s", path, strerror(errno),
			errno == EACCES ? ": bulkheadd needs root" : "");
	if (flock(c->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return fail(why, -EBUSY,
			"another bulkheadd is running with the state directory %s: stop it first, "
			"or give "
			"this one its own `state:` and `socket:`",
			c->conf->state);
	return 0;
}

static int open_kernel(struct bh_core *c, char **why)
{
	int r = bh_nft_open(&c->nft);
	if (r == -EPERM || r == -EACCES)
		return fail(
			why, r, "nftables: %s: bulkheadd needs root (CAP_NET_ADMIN)", strerror(-r));
	if (r < 0)
		return fail(why, r, "nftables: %s: does this kernel have nf_tables?", strerror(-r));
	bh_nft_set_owner(c->nft, !c->conf->table_owner_never);
	c->earlier = bh_nft_exists(c->nft) != 0;
	if (bh_nft_taken(c->nft) > 0)
		return fail(why, -EBUSY,
			"the tables of nftables belong to another process (another bulkheadd?): "
			"stop "
			"it");
	if ((r = bh_link_open(&c->link)) < 0)
		return fail(why, r, "rtnetlink: %s", strerror(-r));
	if ((r = bh_ct_open(&c->ct)) < 0)
		return fail(why, r, "conntrack: %s: does this kernel have nf_conntrack_netlink?",
			strerror(-r));
	return 0;
}

static int open_records(struct bh_core *c, char **why)
{
	int r = bh_store_open(c->conf->state, &c->store);
	if (r < 0)
		return fail(why, r, "%s/bulkhead.db: %s", c->conf->state, strerror(-r));
	char bh_autofree *key = bh_xasprintf("%s/audit.key", c->conf->state);
	struct bh_audit_opts opts = {
		.path = c->conf->audit_path,
		.key = key,
		.node = c->node,
		.machine_id = c->machine_id,
		.boot_id = c->boot_id,
		.version = BH_VERSION,
		.rotate_size = c->conf->audit_rotate_size,
		.rotate_s = c->conf->audit_rotate_s,
		.keep = c->conf->audit_keep,
		.key_s = c->conf->audit_key_s,
	};
	int opened = r;
	if ((r = bh_audit_open(&opts, &c->audit)) < 0)
		return fail(why, r, "audit log %s: %s", c->conf->audit_path,
			r == -EBUSY ? "another process writes it: stop that one, or give this one "
				      "its own `audit.path`"
				    : strerror(-r));
	c->store_reset = opened == 1;
	if (c->store_reset)
		bh_core_gap(c, "store", -1, 0,
			bh_store_restored(c->store)
				? "the state database was unreadable or gone, and a new one was "
				  "made; modes set by command and quarantines are in force again, "
				  "from their copy"
				: "the state database was unreadable or gone, and a new one was "
				  "made: modes set by command and quarantines are forgotten");
	if ((r = bh_learn_new(c->store, c->conf->learn_edges, bh_core_learned, c, &c->learn)) < 0)
		return fail(
			why, r, "%s/bulkhead.db: %s", c->conf->state, bh_store_message(c->store));
	if ((r = bh_core_names_start(c)) < 0)
		return fail(
			why, r, "%s/bulkhead.db: %s", c->conf->state, bh_store_message(c->store));
	bh_core_versions_load(c);
	bh_core_modes_load(c);
	if ((r = bh_core_history_load(c)) < 0)
		return fail(
			why, r, "%s/bulkhead.db: %s", c->conf->state, bh_store_message(c->store));
	/* Without the list the first commit would set the quarantined free. */
	if ((r = bh_core_quarantine_load(c)) < 0)
		return fail(
			why, r, "%s/bulkhead.db: %s", c->conf->state, bh_store_message(c->store));
	return 0;
}

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
	if (r < 0)
		return fail(why, r, "starting feeds and sources: %s", strerror(-r));
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
	uv_timer_init(c->loop, &c->sweep_timer);
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
	bh_core_passed_init(c);
	bh_core_answers_init(c);
	bh_core_ends_init(c);
	bh_core_pace_init(c);
	uv_poll_init(c->loop, &c->nft_poll, bh_nft_watch_fd(c->nft));
	c->reconcile_timer.data = c->sweep_timer.data = c->tick.data = c->retry_timer.data = c;
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
	bh_core_sha256_hex(text.s, text.len, hex);
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
	identify(c);
	int r = bh_shared_init(&c->shared);
	if (r < 0)
		*ret_why = bh_xasprintf("eventfd: %s", strerror(-r));
	if (r == 0)
		r = take_state(c, ret_why);
	if (r == 0)
		r = open_kernel(c, ret_why);
	if (r == 0)
		r = open_records(c, ret_why);
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

void bh_core_ready(struct bh_core *c)
{
	c->told = true;
	bh_notify("READY=1\nSTATUS=rules are in force");
}

const char *bh_core_socket(const struct bh_core *c)
{
	return c->conf->socket;
}

static void close_handle(uv_handle_t *h)
{
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

static void drain_ring(struct bh_core *c)
{
	struct bh_event e;
	uint64_t lost[2];
	while (bh_shared_take(&c->shared, &e, 1, lost) == 1)
		bh_snapshot_unref(e.snap);
}

void bh_core_stop(struct bh_core *c)
{
	if (c->stopping)
		return;
	c->stopping = true;
	if (c->handles && c->audit)
		bh_core_queues_tick(c);
	bh_core_queues_stop(c);
	bh_core_names_stop(c);
	if (c->handles) {
		if (c->audit) {
			while (bh_core_events_take(c))
				;
			bh_core_pace_stop(c);
			bh_core_cache_read(c);
			bh_core_passed_read(c);
			if (c->ct)
				bh_core_ends_stop(c);
		}
		if (c->store) {
			bh_core_history_stop(c);
			bh_core_flows_save(c);
		}
		uv_handle_t *all[] = {(uv_handle_t *)&c->reconcile_timer,
			(uv_handle_t *)&c->sweep_timer, (uv_handle_t *)&c->tick,
			(uv_handle_t *)&c->retry_timer, (uv_handle_t *)&c->feed_load.timer,
			(uv_handle_t *)&c->lookback.timer, (uv_handle_t *)&c->confirm_timer,
			(uv_handle_t *)&c->wake, (uv_handle_t *)&c->events_timer,
			(uv_handle_t *)&c->nft_poll, (uv_handle_t *)&c->cache.send_timer,
			(uv_handle_t *)&c->cache.read_timer, (uv_handle_t *)&c->passed.timer,
			(uv_handle_t *)&c->answers.timer, (uv_handle_t *)&c->ends.timer,
			(uv_handle_t *)&c->pace.timer, (uv_handle_t *)&c->replay_timer,
			(uv_handle_t *)&c->report_timer};
		for (size_t i = 0; i < BH_ARRAY_SIZE(all); i++)
			close_handle(all[i]);
	}
	drain_ring(c);
	bh_core_watches_stop(c);
	if (c->inventory)
		bh_inventory_mgr_free(c->inventory);
	if (c->feeds)
		bh_feeds_free(c->feeds);
	if (c->http)
		bh_http_close(c->http);
	if (c->learn) {
		bh_core_observe(c, 0);
		bh_learn_save(c->learn);
	}
	if (c->audit)
		bh_audit_event(c->audit, "stop", "success",
			"the rules stay in the kernel: allowed flows pass, denied ones are dropped",
			NULL,
			json_pack("{s:s, s:I}", "cause",
				c->failed ? "the audit log can't be written" : "asked to", "uptime",
				(json_int_t)((bh_core_now() - c->started) / 1000000)));
}

void bh_core_free(struct bh_core *c)
{
	if (!c)
		return;
	bh_core_feeds_finish(c);
	bh_core_lookback_finish(c);
	bh_config_free(c->added);
	bh_core_names_finish(c);
	bh_learn_free(c->learn);
	bh_store_close(c->store);
	bh_core_sinks_stop(c); /* the last records go when it starts again */
	bh_audit_close(c->audit);
	bh_shared_finish(&c->shared);
	bh_snapshot_unref(c->snap);
	bh_ruleset_free(c->installed);
	bh_policy_set_unref(c->policies);
	bh_ct_close(c->ct);
	if (c->link)
		bh_link_close(c->link);
	bh_nft_close(c->nft);
	bh_core_modes_finish(c);
	bh_core_replay_finish(c);
	bh_core_report_finish(c);
	bh_core_drift_finish(c);
	bh_core_quarantine_finish(c);
	bh_core_history_finish(c);
	bh_core_cache_finish(c);
	bh_core_passed_finish(c);
	bh_core_ends_finish(c);
	bh_core_pace_finish(c);
	bh_core_forged_finish(c);
	free(c->departed.addr);
	free(c->flows.row);
	free(c->flows.slot);
	free(c->policies_stale);
	free(c->commit_error);
	free(c->config_error);
	free(c->store_error);
	free(c->bridge_nf_error);
	free(c->conf_file);
	free(c->node);
	free(c->machine_id);
	free(c->boot_id);
	bh_config_free(c->conf);
	if (c->lock_fd >= 0)
		close(c->lock_fd);
	free(c);
}
