/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pods of a runtime that speaks the Kubernetes Container Runtime Interface (containerd, CRI-O) over
 * its unix socket.
 *
 * The lists of pods and containers are the truth. They are asked for every second, and more often
 * while pods come and go, which is cheap: only what they show to be new is asked about. Where the
 * runtime offers its stream of events (containerd 1.7, CRI-O 1.26), an event causes a list at once,
 * and once one has come, lists without cause become rare. So a lost event costs time, never a pod.
 * When anything goes wrong with a list, all is asked anew after a back-off; what was last known
 * stays in force.
 */
#include "inventory/cri.h"

#include <errno.h>

#define SERVICE "/runtime.v1.RuntimeService/"

const struct bh_cri_timing bh_cri_default_timing = {
	.connect = 5000,
	.answer = 10000,
	.retry = 250,
	.retry_max = 8000,
	.poll = 1000,
	.busy = 100,
	.busy_for = 3000,
	.refresh = 10000,
	.gap = 20,
	.absent = 60000,
};

static void greet(struct bh_cri *d);
static void ask_lists(struct bh_cri *d);

struct bh_grpc_opts bh_cri_opts(const struct bh_cri *d, const char *method, size_t max_bytes)
{
	return (struct bh_grpc_opts){
		.socket = d->socket,
		.method = method,
		.max_bytes = max_bytes,
		.timeout_ms = d->timing.answer,
		.connect_timeout_ms = d->timing.connect,
	};
}

int bh_cri_check(const struct bh_grpc_result *r, struct bh_fault *fault)
{
	switch (r->err) {
	case 0:
		return 0;
	case -ENOENT:
	case -ECONNREFUSED:
	case -EACCES:
	case -EPERM:
		return bh_faulty(fault, r->err, "cannot connect: %s", strerror(-r->err));
	case -EREMOTEIO:
		if (r->status == BH_GRPC_UNIMPLEMENTED)
			return bh_faulty(fault, -EOPNOTSUPP,
				"it has no CRI v1 (containerd 1.6, CRI-O 1.23 or later have)");
		return bh_faulty(fault, r->err, "the runtime says: %s (%d)", r->message, r->status);
	default:
		return bh_faulty(fault, r->err, "%s", r->message);
	}
}

static const char *remedy(int err)
{
	switch (err) {
	case -ENOENT:
		return "is the runtime installed and running? else change `sources` in the "
		       "configuration";
	case -ECONNREFUSED:
		return "start the runtime (systemctl start containerd, or crio)";
	case -EACCES:
	case -EPERM:
		return "run bulkheadd as root, or give it access to the socket";
	case -EOPNOTSUPP:
		return "is \"cri\" among disabled_plugins in /etc/containerd/config.toml?";
	case -EINVAL:
	case -EPROTO:
	case -EFBIG:
		return "is this the socket of containerd or CRI-O?";
	default:
		return "look at the runtime's log (journalctl -u containerd, or crio)";
	}
}

static void drop_connection(struct bh_cri *d)
{
	bh_grpc_cancel(BH_TAKE_PTR(d->greeting));
	bh_grpc_cancel(BH_TAKE_PTR(d->events));
	bh_grpc_cancel(BH_TAKE_PTR(d->list_pods));
	bh_grpc_cancel(BH_TAKE_PTR(d->list_containers));
	bh_cri_forget_list(d);
	bh_cri_stop_asking(d);
	uv_timer_stop(&d->wait);
	d->heard = d->list_again = false;
	d->ask_all = true;
}

static void on_wait(uv_timer_t *t)
{
	struct bh_cri *d = t->data;
	if (d->phase == BH_CRI_WAITING)
		greet(d);
	else
		ask_lists(d);
}

static void lost(struct bh_cri *d, int err, const char *why)
{
	drop_connection(d);
	/* A connection that lasted starts the back-off afresh; one that breaks each time does not.
	 */
	if (d->phase == BH_CRI_LIVE && uv_now(d->loop) - d->live_since > d->timing.retry_max)
		d->failures = 0;
	d->phase = BH_CRI_WAITING;
	uint64_t ms = bh_reply_backoff(d->timing.retry, d->timing.retry_max, ++d->failures);
	uv_timer_start(&d->wait, on_wait, ms, 0);
	bh_source_say(
		&d->base, false, "%s; %s; retrying in %.1f s", why, remedy(err), (double)ms / 1e3);
}

/* Found, not configured, and no CRI: nobody's fault. Docker's own containerd is such a one. */
static void absent(struct bh_cri *d)
{
	drop_connection(d);
	d->phase = BH_CRI_WAITING;
	d->failures = 0;
	uv_timer_start(&d->wait, on_wait, d->timing.absent, 0);
	d->base.sink.sync(d->base.sink.arg, NULL, 0);
	bh_source_say(&d->base, true, "%s", "");
}

/* --- events --- */

void bh_cri_had_news(struct bh_cri *d)
{
	d->busy_until = uv_now(d->loop) + d->timing.busy_for;
}

/* A list now and then must not become all that is done. */
static void list_within(struct bh_cri *d, uint64_t ms)
{
	uint64_t now = uv_now(d->loop), least = 4 * d->list_took;
	if (least > d->timing.refresh)
		least = d->timing.refresh;
	if (ms < least)
		ms = least;
	uint64_t due = d->listed_at + ms;
	uv_timer_start(&d->wait, on_wait, due > now ? due - now : 0, 0);
}

static void list_soon(struct bh_cri *d)
{
	if (d->list_pods || d->list_containers || d->phase == BH_CRI_GREETING) {
		d->list_again = true;
		return;
	}
	list_within(d, d->timing.gap);
}

static void list_later(struct bh_cri *d)
{
	bool busy = uv_now(d->loop) < d->busy_until;
	list_within(d, d->heard ? d->timing.refresh : busy ? d->timing.busy : d->timing.poll);
}

static int on_event(const uint8_t *p, size_t n, void *arg)
{
	struct bh_cri *d = arg;
	struct bh_fault fault;
	int err = bh_cri_parse_event(p, n, &fault);
	if (err) {
		bh_autofree char *why = bh_xasprintf("event stream: %s", fault.text);
		lost(d, err, why);
		return 1;
	}
	d->heard = true;
	/* One is due anyway, and maybe sooner than this would have it. */
	if (!d->list_again)
		list_soon(d);
	return 0;
}

/* Not offered, switched off (CRI-O's default) or broken: then there are the lists. A runtime that
 * is gone shows there as well. */
static void on_events_end(const struct bh_grpc_result *r, void *arg)
{
	struct bh_cri *d = arg;
	(void)r;
	d->events = NULL;
	if (d->heard && d->phase >= BH_CRI_LISTING)
		list_soon(d);
	d->heard = false;
}

static void follow_events(struct bh_cri *d)
{
	struct bh_grpc_opts o = bh_cri_opts(d, SERVICE "GetContainerEvents", BH_CRI_MAX_EVENT);
	o.timeout_ms = 0;
	bh_grpc_stream(d->http, &o, on_event, on_events_end, d, &d->events);
}

/* --- lists --- */

static void on_lists(struct bh_cri *d)
{
	uint64_t now = uv_now(d->loop);
	d->list_took = now - d->listed_at;
	d->listed_at = now;
	if (d->phase == BH_CRI_LISTING)
		d->phase = BH_CRI_SYNCING;
	bh_cri_apply_list(d);
	if (d->list_again) {
		d->list_again = false;
		list_soon(d);
	} else {
		list_later(d);
	}
	bh_cri_pump(d);
}

static void on_pods(const struct bh_grpc_result *r, void *arg)
{
	struct bh_cri *d = arg;
	struct bh_fault fault;
	d->list_pods = NULL;
	int err = bh_cri_check(r, &fault);
	if (!err)
		err = bh_cri_parse_pods(r->answer, r->len, &d->pod, &d->n_pods, &fault);
	if (err)
		lost(d, err, fault.text);
	else if (!d->list_containers)
		on_lists(d);
}

static void on_containers(const struct bh_grpc_result *r, void *arg)
{
	struct bh_cri *d = arg;
	struct bh_fault fault;
	d->list_containers = NULL;
	int err = bh_cri_check(r, &fault);
	if (!err)
		err = bh_cri_parse_containers(
			r->answer, r->len, &d->container, &d->n_containers, &fault);
	if (err)
		lost(d, err, fault.text);
	else if (!d->list_pods)
		on_lists(d);
}

static void ask_lists(struct bh_cri *d)
{
	bh_autobuf struct bh_buf b = {0};
	if (d->list_pods || d->list_containers)
		return;
	d->listed_at = uv_now(d->loop);
	struct bh_grpc_opts o = bh_cri_opts(d, SERVICE "ListContainers", BH_CRI_MAX_LIST);
	int err = bh_grpc_call(d->http, &o, on_containers, d, &d->list_containers);
	if (!err) {
		bh_cri_write_pods(&b);
		o = bh_cri_opts(d, SERVICE "ListPodSandbox", BH_CRI_MAX_LIST);
		o.message = b.s;
		o.len = b.len;
		err = bh_grpc_call(d->http, &o, on_pods, d, &d->list_pods);
	}
	if (err)
		lost(d, err, strerror(-err));
}

/* --- the connection --- */

static void on_version(const struct bh_grpc_result *r, void *arg)
{
	struct bh_cri *d = arg;
	struct bh_fault fault;
	char *runtime = NULL;
	d->greeting = NULL;
	int err = bh_cri_check(r, &fault);
	if (!err)
		err = bh_cri_parse_version(r->answer, r->len, &runtime, &fault);
	if (err == -EOPNOTSUPP && d->found && !d->synced) {
		absent(d);
		return;
	}
	if (err) {
		lost(d, err, fault.text);
		return;
	}
	free(d->runtime);
	d->runtime = runtime;
	d->phase = BH_CRI_LISTING;
	follow_events(d);
	ask_lists(d);
}

static void greet(struct bh_cri *d)
{
	struct bh_grpc_opts o = bh_cri_opts(d, SERVICE "Version", BH_CRI_MAX_STATUS);
	d->phase = BH_CRI_GREETING;
	int err = bh_grpc_call(d->http, &o, on_version, d, &d->greeting);
	if (err)
		lost(d, err, strerror(-err));
}

void bh_cri_live(struct bh_cri *d)
{
	d->phase = BH_CRI_LIVE;
	d->synced = true;
	d->live_since = uv_now(d->loop);
	if (d->failing == 0)
		bh_source_say(&d->base, true, "%s", "");
}

/* --- the source --- */

static void source_start(struct bh_source *s)
{
	greet((struct bh_cri *)s);
}

/* Without a connection: try at once. With one: look at everything again. */
static void source_reload(struct bh_source *s)
{
	struct bh_cri *d = (struct bh_cri *)s;
	if (d->phase == BH_CRI_WAITING) {
		d->failures = 0;
		uv_timer_stop(&d->wait);
		greet(d);
	} else if (d->phase >= BH_CRI_SYNCING) {
		d->ask_all = true;
		list_soon(d);
	}
}

static void on_closed(uv_handle_t *h)
{
	struct bh_cri *d = h->data;
	if (--d->handles == 0)
		free(d);
}

static void source_free(struct bh_source *s)
{
	struct bh_cri *d = (struct bh_cri *)s;
	drop_connection(d);
	bh_idmap_finish(&d->pods, bh_cri_item_free);
	bh_idmap_finish(&d->images, bh_cri_item_free);
	free(d->runtime);
	free(d->socket);
	free(d->base.name);
	uv_close((uv_handle_t *)&d->wait, on_closed);
	uv_close((uv_handle_t *)&d->retry, on_closed);
}

static const struct bh_source_ops cri_ops = {
	.kind = "cri",
	.rank = BH_RANK_PODS,
	.start = source_start,
	.reload = source_reload,
	.free = source_free,
};

struct bh_source *bh_source_cri_new_timed(uv_loop_t *loop, struct bh_http *http,
	const char *socket_path, bool found, const struct bh_cri_timing *timing)
{
	struct bh_cri *d = bh_xcalloc(1, sizeof(*d));
	d->base.ops = &cri_ops;
	d->base.name = bh_xasprintf("cri %s", socket_path);
	d->loop = loop;
	d->http = http;
	d->socket = bh_xstrdup(socket_path);
	d->found = found;
	d->timing = *timing;
	uv_timer_init(loop, &d->wait);
	uv_timer_init(loop, &d->retry);
	d->wait.data = d->retry.data = d;
	d->handles = 2;
	return &d->base;
}

struct bh_source *bh_source_cri_new(
	uv_loop_t *loop, struct bh_http *http, const char *socket_path, bool found)
{
	return bh_source_cri_new_timed(loop, http, socket_path, found, &bh_cri_default_timing);
}
