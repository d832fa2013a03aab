/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Containers of a Docker engine, or of Podman's compatible service, over its unix socket.
 *
 * No hole: the event stream is opened first, with `since` the moment before (the engine replays
 * what it has from then on, so that the time between its headers and its subscription is covered),
 * then the list is asked for, then every container. An event is never believed, it only causes its
 * container to be asked about; events that come late or twice do no harm, and what an answer says
 * holds whatever the order. When anything goes wrong with the stream or the list, all is asked
 * anew after a back-off; what was last known stays in force.
 */
#include "inventory/docker.h"

#include <errno.h>
#include <time.h>

/* {"type":["container","network"]}. Actions are sorted out here, as engines differ in names. */
#define FILTERS "%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%7D"

const struct bh_docker_timing bh_docker_default_timing = {
	.connect = 5000,
	.answer = 20000,
	.opened = 2000,
	.retry = 250,
	.retry_max = 8000,
	.refresh = 60000,
};

static void connect_engine(struct bh_docker *d);
static void ask_list(struct bh_docker *d);

static struct bh_http_opts options(const struct bh_docker *d, const char *url)
{
	return (struct bh_http_opts){
		.url = url,
		.unix_socket = d->socket,
		.max_bytes = BH_DOCKER_MAX_BODY,
		.connect_timeout_ms = d->timing.connect,
		.timeout_ms = d->timing.answer,
	};
}

int bh_docker_get(struct bh_docker *d, const char *path, const struct bh_sieve_path *wanted,
	void (*done)(const struct bh_http_result *r, void *arg), void *arg,
	struct bh_http_request **ret)
{
	bh_autofree char *url = bh_xasprintf("http://docker%s", path);
	struct bh_http_opts o = options(d, url);
	o.wanted = wanted;
	return bh_http_get(d->http, &o, NULL, done, arg, ret);
}

uint64_t bh_docker_backoff(const struct bh_docker *d, unsigned failures)
{
	return bh_reply_backoff(d->timing.retry, d->timing.retry_max, failures);
}

int bh_docker_check(const struct bh_http_result *r, struct bh_fault *fault)
{
	struct bh_fault said;
	switch (r->err) {
	case 0:
		break;
	case -ENOENT:
	case -ECONNREFUSED:
	case -EACCES:
	case -EPERM:
		return bh_faulty(fault, r->err, "cannot connect: %s", strerror(-r->err));
	default:
		return bh_faulty(fault, r->err, "%s", r->message);
	}
	if (r->status == 200)
		return 0;
	bh_docker_parse_error(r->body, r->len, &said);
	return bh_faulty(fault, -EREMOTEIO, "the engine answered with status %ld%s%.150s",
		r->status, said.text[0] ? ": " : "", said.text);
}

/* Owned. */
static char *remedy(const struct bh_docker *d, int err)
{
	switch (err) {
	case -ENOENT:
		return bh_xasprintf("is %s installed and running (%s)? else change `sources` in "
				    "the configuration",
			d->engine->name, d->engine->start);
	case -ECONNREFUSED:
		return bh_xasprintf(
			"start the engine (%s), or leave it out (`%s: off` in `sources`)",
			d->engine->start, d->engine->kind);
	case -EACCES:
	case -EPERM:
		return bh_xstrdup("run bulkheadd as root, or give it access to the socket");
	case -EINVAL:
	case -EPROTO:
	case -EFBIG:
		return bh_xasprintf("is this the socket of %s?", d->engine->name);
	default:
		return bh_xasprintf("look at the engine's log (%s)", d->engine->log);
	}
}

static void next_line(struct bh_docker *d)
{
	bh_sieve_finish(&d->event);
	bh_sieve_init(&d->event, bh_docker_event_wanted, BH_DOCKER_MAX_EVENT);
}

static void drop_connection(struct bh_docker *d)
{
	bh_http_cancel(BH_TAKE_PTR(d->stream));
	bh_http_cancel(BH_TAKE_PTR(d->list));
	bh_docker_stop_asking(d);
	uv_timer_stop(&d->wait);
	uv_timer_stop(&d->refresh);
	next_line(d);
	d->list_again = false;
}

static void on_wait(uv_timer_t *t)
{
	struct bh_docker *d = t->data;
	if (d->phase == BH_DOCKER_WAITING)
		connect_engine(d);
	else if (d->phase == BH_DOCKER_OPENING)
		ask_list(d);
}

static void lost(struct bh_docker *d, int err, const char *why)
{
	drop_connection(d);
	/* A connection that lasted starts the back-off afresh; one that breaks each time does not.
	 */
	if (d->phase == BH_DOCKER_LIVE && uv_now(d->loop) - d->live_since > d->timing.retry_max)
		d->failures = 0;
	d->phase = BH_DOCKER_WAITING;
	bh_autofree char *help = remedy(d, err);
	uint64_t ms = bh_docker_backoff(d, ++d->failures);
	uv_timer_start(&d->wait, on_wait, ms, 0);
	bh_source_say(&d->base, false, "%s; %s; retrying in %.1f s", why, help, (double)ms / 1e3);
}

/* Inspected at once: what was never known, and what is known but no longer listed. Everything, when
 * the list belongs to a sync. */
static void apply_list(struct bh_docker *d, bh_docker_id *id, size_t n, bool all)
{
	bh_autofree void *list = bh_idmap_values(&d->entries);
	struct bh_docker_entry **known = list;
	size_t n_known = d->entries.n;
	for (size_t i = 0; i < n_known; i++)
		known[i]->listed = false;
	for (size_t i = 0; i < n; i++) {
		struct bh_docker_entry *e = bh_idmap_get(&d->entries, id[i]);
		if (e)
			e->listed = true;
		else
			bh_docker_ask_entry(bh_docker_ask(d, id[i]), all);
	}
	for (size_t i = 0; i < n_known; i++) {
		if (all || !known[i]->listed)
			bh_docker_ask_entry(known[i], all);
	}
}

static void on_refresh(uv_timer_t *t)
{
	ask_list(t->data);
}

static void on_list(const struct bh_http_result *r, void *arg)
{
	struct bh_docker *d = arg;
	struct bh_fault fault;
	bh_docker_id *id = NULL;
	size_t n = 0;
	d->list = NULL;
	int err = bh_docker_check(r, &fault);
	if (!err)
		err = bh_docker_parse_list(r->body, r->len, &id, &n, &fault);
	if (err) {
		lost(d, err, fault.text);
		return;
	}
	bool all = d->phase == BH_DOCKER_LISTING || d->list_again;
	d->list_again = false;
	if (d->phase == BH_DOCKER_LISTING)
		d->phase = BH_DOCKER_SYNCING;
	apply_list(d, id, n, all);
	free(id);
	uv_timer_start(&d->refresh, on_refresh, d->timing.refresh, 0);
	bh_docker_pump(d);
}

static void ask_list(struct bh_docker *d)
{
	if (d->list)
		return;
	if (d->phase == BH_DOCKER_OPENING) {
		uv_timer_stop(&d->wait);
		d->phase = BH_DOCKER_LISTING;
	}
	int err = bh_docker_get(d, "/containers/json", bh_docker_list_wanted, on_list, d, &d->list);
	if (err)
		lost(d, err, strerror(-err));
}

static void on_opened(void *arg)
{
	struct bh_docker *d = arg;
	if (d->phase == BH_DOCKER_OPENING)
		ask_list(d);
}

/* All of a line has come. 0, −errno: it is no event. */
static int take_event(struct bh_docker *d, struct bh_fault *fault)
{
	bh_docker_id id;
	if (bh_sieve_untouched(&d->event))
		return 0;
	if (bh_sieve_end(&d->event) < 0)
		return bh_faulty(fault, -EINVAL, "not JSON");
	int r = bh_docker_parse_event(d->event.out.s, d->event.out.len, id, fault);
	if (r > 0 && (d->entries.n < 2 * BH_DOCKER_MAX_CONTAINERS || bh_idmap_get(&d->entries, id)))
		bh_docker_ask(d, id);
	return r < 0 ? r : 0;
}

static int take_part(struct bh_docker *d, const char *p, size_t n, struct bh_fault *fault)
{
	return bh_sieve_feed(&d->event, p, n) < 0 ? bh_faulty(fault, -EINVAL, "not JSON") : 0;
}

static int on_chunk(const char *p, size_t n, void *arg)
{
	struct bh_docker *d = arg;
	struct bh_fault fault;
	while (n > 0) {
		const char *nl = memchr(p, '\n', n);
		size_t part = nl ? (size_t)(nl - p) : n;
		int err = take_part(d, p, part, &fault);
		if (!err && nl)
			err = take_event(d, &fault);
		if (err) {
			bh_autofree char *why = bh_xasprintf("event stream: %s", fault.text);
			lost(d, err, why);
			return 1;
		}
		if (!nl)
			break;
		next_line(d);
		p += part + 1;
		n -= part + 1;
	}
	bh_docker_pump(d);
	return 0;
}

static void on_stream_end(const struct bh_http_result *r, void *arg)
{
	struct bh_docker *d = arg;
	struct bh_fault fault;
	d->stream = NULL;
	int err = bh_docker_check(r, &fault);
	if (!err)
		err = bh_faulty(&fault, -ECONNRESET, "the engine closed the event stream");
	lost(d, err, fault.text);
}

static void connect_engine(struct bh_docker *d)
{
	bh_autofree char *url = bh_xasprintf(
		"http://docker/events?since=%lld&filters=%s", (long long)time(NULL), FILTERS);
	struct bh_http_opts o = options(d, url);
	o.timeout_ms = 0;
	o.opened = on_opened;
	d->phase = BH_DOCKER_OPENING;
	bh_idmap_finish(&d->images, bh_docker_image_drop);
	int err = bh_http_get(d->http, &o, on_chunk, on_stream_end, d, &d->stream);
	if (err)
		lost(d, err, strerror(-err));
	else
		uv_timer_start(&d->wait, on_wait, d->timing.opened, 0);
}

void bh_docker_start(struct bh_source *s)
{
	connect_engine((struct bh_docker *)s);
}

/* Without a connection: try at once. With one: look at everything again. */
void bh_docker_reload(struct bh_source *s)
{
	struct bh_docker *d = (struct bh_docker *)s;
	if (d->phase == BH_DOCKER_WAITING) {
		d->failures = 0;
		uv_timer_stop(&d->wait);
		connect_engine(d);
	} else if (d->phase >= BH_DOCKER_SYNCING) {
		d->list_again = true;
		ask_list(d);
	}
}

static void on_closed(uv_handle_t *h)
{
	struct bh_docker *d = h->data;
	if (--d->handles == 0)
		free(d);
}

void bh_docker_free(struct bh_source *s)
{
	struct bh_docker *d = (struct bh_docker *)s;
	drop_connection(d);
	bh_idmap_finish(&d->entries, bh_docker_entry_free);
	bh_idmap_finish(&d->images, bh_docker_image_drop);
	free(d->socket);
	free(d->base.name);
	uv_close((uv_handle_t *)&d->wait, on_closed);
	uv_close((uv_handle_t *)&d->retry, on_closed);
	uv_close((uv_handle_t *)&d->refresh, on_closed);
}

static const struct bh_source_ops docker_ops = {
	.kind = "docker",
	.rank = BH_RANK_DOCKER,
	.start = bh_docker_start,
	.reload = bh_docker_reload,
	.free = bh_docker_free,
};

const struct bh_docker_engine bh_docker_engine = {
	.kind = "docker",
	.name = "Docker",
	.containers = "",
	.start = "systemctl start docker",
	.log = "journalctl -u docker",
	.ops = &docker_ops,
};

struct bh_source *bh_source_docker_new_timed(uv_loop_t *loop, struct bh_http *http,
	const struct bh_docker_engine *engine, const char *socket_path,
	const struct bh_docker_timing *timing)
{
	struct bh_docker *d = bh_xcalloc(1, sizeof(*d));
	d->engine = engine;
	d->base.ops = engine->ops;
	d->base.name = bh_xasprintf("%s %s", engine->kind, socket_path);
	d->loop = loop;
	d->http = http;
	d->socket = bh_xstrdup(socket_path);
	d->timing = *timing;
	next_line(d);
	uv_timer_init(loop, &d->wait);
	uv_timer_init(loop, &d->retry);
	uv_timer_init(loop, &d->refresh);
	d->wait.data = d->retry.data = d->refresh.data = d;
	d->handles = 3;
	return &d->base;
}

void bh_source_ignore_image_labels(struct bh_source *s)
{
	((struct bh_docker *)s)->ignore_image_labels = true;
}

struct bh_source *bh_source_docker_new(
	uv_loop_t *loop, struct bh_http *http, const char *socket_path)
{
	return bh_source_docker_new_timed(
		loop, http, &bh_docker_engine, socket_path, &bh_docker_default_timing);
}
