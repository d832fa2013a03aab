/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The sources Docker and Podman against an engine played by the test: in order, out of order, and
 * broken. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <errno.h>

#include "inventory/docker.h"
#include "lib/fake_engine.h"
#include "unit/source_world.h"

struct world {
	struct source_world s;
	struct fake *fake;
};

static const struct bh_docker_timing timing = {
	.connect = 500,
	.answer = 1500, /* a sanitizer's build has to read 16 MiB in it, on a busy machine */
	.opened = 200,
	.retry = 10,
	.retry_max = 80,
	.refresh = 60000,
};

static int setup_engine(void **state, const struct bh_docker_engine *engine)
{
	struct world *w = bh_xcalloc(1, sizeof(*w));
	source_world_open(&w->s, "docker");
	w->fake = fake_new(&w->s.loop, w->s.path);
	source_world_listen(&w->s,
		bh_source_docker_new_timed(&w->s.loop, w->s.http, engine, w->s.path, &timing));
	fake_route(w->fake, "/events", FAKE_STREAM, 200, NULL);
	fake_route(w->fake, "/containers/json", FAKE_ANSWER, 200, "[]");
	*state = w;
	return 0;
}

static int setup(void **state)
{
	return setup_engine(state, &bh_docker_engine);
}

static int setup_podman(void **state)
{
	return setup_engine(state, &bh_podman_engine);
}

static int teardown(void **state)
{
	struct world *w = *state;
	w->s.source->ops->free(w->s.source);
	bh_http_close(w->s.http);
	if (w->fake)
		fake_free(w->fake);
	source_world_close(&w->s);
	free(w);
	return 0;
}

/* 64 hex digits from a small number. */
static const char *id(unsigned n)
{
	static bh_docker_id buf[8];
	static unsigned at;
	char *s = buf[at++ % 8];
	snprintf(s, sizeof(bh_docker_id), "%064x", n + 0xabc000);
	return s;
}

static char *inspect_json(unsigned n, const char *extra)
{
	return bh_xasprintf("{\"Id\":\"%s\",\"Name\":\"/"
			    "c%u\",\"Image\":\"sha256:%064x\",\"State\":{\"Running\":"
			    "true,\"Pid\":%u},\"HostConfig\":{\"NetworkMode\":\"bridge\",\"x\":"
			    "18446744073709551615},\"Config\":{\"Image\":\"web:%u\",\"Labels\":{"
			    "\"app\":\"a%u\"%s"
			    "}}}",
		id(n), n, n % 3, 1000 + n, n, n, extra);
}

static void serve(struct world *w, unsigned n)
{
	bh_autofree char *path = bh_xasprintf("/containers/%s/json", id(n));
	bh_autofree char *body = inspect_json(n, "");
	fake_route(w->fake, path, FAKE_ANSWER, 200, body);
}

static void serve_as(struct world *w, unsigned n, enum fake_kind kind, int status, const char *body)
{
	bh_autofree char *path = bh_xasprintf("/containers/%s/json", id(n));
	fake_route(w->fake, path, kind, status, body);
}

static void serve_list(struct world *w, unsigned first, unsigned n)
{
	bh_autobuf struct bh_buf b = {0};
	bh_buf_str(&b, "[");
	for (unsigned i = 0; i < n; i++)
		bh_buf_printf(
			&b, "%s{\"Id\":\"%s\",\"Names\":[\"/x\"]}", i ? "," : "", id(first + i));
	bh_buf_str(&b, "]");
	fake_route(w->fake, "/containers/json", FAKE_ANSWER, 200, b.s);
}

static void push_event(struct world *w, const char *action, unsigned n)
{
	bh_autofree char *e = bh_xasprintf("{\"Type\":\"container\",\"Action\":\"%s\",\"Actor\":{"
					   "\"ID\":\"%s\",\"Attributes\":{}},\"time\":1}\n",
		action, id(n));
	fake_push(w->fake, e);
}

static void begin(struct world *w)
{
	w->s.source->ops->start(w->s.source);
}

static const struct bh_container *get(struct world *w, unsigned n)
{
	return bh_idmap_get(&w->s.seen, id(n));
}

static void test_sync(void **state)
{
	struct world *w = *state;
	serve_list(w, 1, 3);
	for (unsigned i = 1; i <= 3; i++)
		serve(w, i);
	bh_autofree char *image = bh_xasprintf(
		"{\"RepoDigests\":[\"z@sha256:%064x\",\"a/b@sha256:%064x\",7,\"junk\"]}", 1, 2);
	bh_autofree char *path = bh_xasprintf("/images/%064x/json", 1);
	fake_route(w->fake, path, FAKE_ANSWER, 200, image);
	begin(w);
	UNTIL(&w->s, w->s.syncs == 1);
	assert_int_equal(w->s.seen.n, 3);
	assert_true(w->s.told && w->s.ok);
	const struct bh_container *c = get(w, 1);
	assert_non_null(c);
	assert_string_equal(c->name, "c1");
	assert_string_equal(c->runtime, "docker");
	assert_string_equal(c->image, "web:1");
	assert_int_equal(c->pid, 1001);
	assert_string_equal(c->netns_path, "/proc/1001/ns/net");
	assert_string_equal(bh_labels_get(&c->labels, "app"), "a1");
	assert_null(c->namespace);
	assert_false(c->joined);
	/* the digest of the registry, first by name; without one the image's own id */
	assert_int_equal(strncmp(c->digest, "sha256:", 7), 0);
	assert_string_equal(c->digest + 7 + 63, "2");
	assert_string_equal(get(w, 2)->digest + 7 + 63, "2");
	assert_string_equal(get(w, 3)->digest + 7 + 63, "0");
	/* the stream before the list, and with since */
	assert_int_equal(strncmp(fake_request(w->fake, 0), "/events?since=1", 15), 0);
	assert_non_null(strstr(fake_request(w->fake, 0), "&filters=%7B%22type%22"));
	assert_string_equal(fake_request(w->fake, 1), "/containers/json");
}

static void test_empty(void **state)
{
	struct world *w = *state;
	begin(w);
	UNTIL(&w->s, w->s.syncs == 1);
	assert_int_equal(w->s.seen.n, 0);
	assert_true(w->s.ok);
	w->s.source->ops->reload(w->s.source);
	run_for(&w->s, 30);
	assert_int_equal(w->s.syncs, 1);
}

static void test_events(void **state)
{
	struct world *w = *state;
	begin(w);
	UNTIL(&w->s, w->s.syncs == 1);
	serve(w, 7);
	push_event(w, "exec_start: sh", 7);
	push_event(w, "pause", 7);
	push_event(w, "kill", 7);
	run_for(&w->s, 60);
	assert_int_equal(fake_hits(w->fake, "/containers/0"), 0);
	push_event(w, "start", 7);
	UNTIL(&w->s, w->s.upserts == 1);
	assert_non_null(get(w, 7));
	/* a stale die: the container runs again by now, so it stays */
	push_event(w, "die", 7);
	UNTIL(&w->s, w->s.upserts == 2);
	assert_non_null(get(w, 7));
	bh_autofree char *e =
		bh_xasprintf("{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{"
			     "\"ID\":\"%064x\",\"Attributes\":{\"container\":\"%s\"}}}\r\n",
			99, id(7));
	fake_push(w->fake, e);
	UNTIL(&w->s, w->s.upserts == 3);
	bh_autofree char *stopped =
		bh_xasprintf("{\"Id\":\"%s\",\"State\":{\"Running\":false,\"Pid\":0}}", id(7));
	serve_as(w, 7, FAKE_ANSWER, 200, stopped);
	push_event(w, "die", 7);
	UNTIL(&w->s, w->s.removes == 1);
	assert_null(get(w, 7));
	serve(w, 7);
	push_event(w, "start", 7);
	UNTIL(&w->s, get(w, 7));
	serve_as(w, 7, FAKE_ANSWER, 404, "{\"message\":\"No such container\"}");
	push_event(w, "destroy", 7);
	UNTIL(&w->s, w->s.removes == 2);
	assert_int_equal(w->s.syncs, 1);
	assert_true(w->s.ok);
}

/* Two events in one chunk, one event in two. */
static void test_event_chunks(void **state)
{
	struct world *w = *state;
	begin(w);
	UNTIL(&w->s, w->s.syncs == 1);
	serve(w, 1);
	serve(w, 2);
	bh_autofree char *e =
		bh_xasprintf("{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{"
			     "\"ID\":\"%s\"}}\n{\"Type\":\"container\",\"Action\":\"start\",",
			id(1));
	fake_push(w->fake, e);
	UNTIL(&w->s, get(w, 1));
	bh_autofree char *rest = bh_xasprintf("\"Actor\":{\"ID\":\"%s\"}}\n\n", id(2));
	fake_push(w->fake, rest);
	UNTIL(&w->s, get(w, 2));
	assert_int_equal(w->s.syncs, 1);
}

static void test_bounded(void **state)
{
	struct world *w = *state;
	serve_list(w, 1, 50);
	for (unsigned i = 1; i <= 50; i++) {
		bh_autofree char *path = bh_xasprintf("/containers/%s/json", id(i));
		serve(w, i);
		fake_delay(w->fake, path, 5);
	}
	begin(w);
	UNTIL(&w->s, w->s.syncs == 1);
	assert_int_equal(w->s.seen.n, 50);
	assert_int_equal(fake_most_waiting(w->fake), BH_DOCKER_IN_FLIGHT);
}

/* An event that comes while the list is being made is neither lost nor undone by the list. */
static void test_event_during_list(void **state)
{
	struct world *w = *state;
	serve_list(w, 1, 2);
	fake_delay(w->fake, "/containers/json", 100);
	serve(w, 1);
	serve(w, 3); /* 2 is listed, but gone by now: 404 */
	begin(w);
	UNTIL(&w->s, fake_hits(w->fake, "/containers/json") == 1);
	push_event(w, "start", 3);
	push_event(w, "destroy", 2);
	UNTIL(&w->s, w->s.syncs == 1);
	assert_int_equal(w->s.seen.n, 2);
	assert_non_null(get(w, 1));
	assert_non_null(get(w, 3));
	assert_true(w->s.ok);
}

/* One that comes while its container is being asked about: it is asked about again. */
static void test_event_during_inspect(void **state)
{
	struct world *w = *state;
	begin(w);
	UNTIL(&w->s, w->s.syncs == 1);
	bh_autofree char *path = bh_xasprintf("/containers/%s/json", id(1));
	serve(w, 1);
	push_event(w, "start", 1);
	UNTIL(&w->s, w->s.upserts == 1);
	fake_delay(w->fake, path, 60);
	push_event(w, "update", 1);
	UNTIL(&w->s, fake_hits(w->fake, path) == 2);
	push_event(w, "die", 1);
	push_event(w, "destroy", 1);
	run_for(&w->s, 20);
	assert_int_equal(fake_hits(w->fake, path), 2);
	UNTIL(&w->s, fake_hits(w->fake, path) == 3);
	UNTIL(&w->s, w->s.upserts == 3);
}

static void test_reconnect(void **state)
{
	struct world *w = *state;
	serve_list(w, 1, 2);
	serve(w, 1);
	serve(w, 2);
	begin(w);
	UNTIL(&w->s, w->s.syncs == 1);
	serve_list(w, 2, 2);
	serve(w, 3);
	serve_as(w, 1, FAKE_ANSWER, 404, "{}");
	fake_route(w->fake, "/events", FAKE_ANSWER, 503, "{\"message\":\"starting \\u001b[31m\"}");
	fake_end_streams(w->fake);
	UNTIL(&w->s, !w->s.ok);
	assert_non_null(strstr(w->s.message, w->s.path));
	assert_non_null(strstr(w->s.message, "retrying in "));
	UNTIL(&w->s, fake_hits(w->fake, "/events") >= 4);
	assert_non_null(strstr(w->s.message, "503: starting ?[31m"));
	assert_int_equal(w->s.seen.n, 2); /* the last good ones */
	assert_non_null(get(w, 1));
	assert_int_equal(w->s.removes, 0);
	fake_route(w->fake, "/events", FAKE_STREAM, 200, NULL);
	UNTIL(&w->s, w->s.syncs == 2);
	assert_true(w->s.ok);
	assert_int_equal(w->s.seen.n, 2);
	assert_null(get(w, 1));
	assert_non_null(get(w, 3));
	fake_break_streams(w->fake);
	UNTIL(&w->s, w->s.syncs == 3);
	assert_true(w->s.ok);
}

static void test_absent(void **state)
{
	struct world *w = *state;
	fake_free(w->fake);
	w->fake = NULL;
	run_for(&w->s, 20);
	unlink(w->s.path);
	begin(w);
	UNTIL(&w->s, w->s.told);
	assert_false(w->s.ok);
	assert_non_null(strstr(w->s.message, "No such file or directory"));
	assert_non_null(strstr(w->s.message, "`sources`"));
	run_for(&w->s, 200);
	assert_int_equal(w->s.syncs, 0);
	w->fake = fake_new(&w->s.loop, w->s.path);
	fake_route(w->fake, "/events", FAKE_STREAM, 200, NULL);
	fake_route(w->fake, "/containers/json", FAKE_ANSWER, 200, "[]");
	UNTIL(&w->s, w->s.syncs == 1);
	assert_true(w->s.ok);
}

static void test_broken_container(void **state)
{
	struct world *w = *state;
	static const struct {
		enum fake_kind kind;
		int status;
		const char *body;
	} broken[] = {
		{FAKE_ANSWER, 200, "{\"Id\":"},
		{FAKE_ANSWER, 200, "<html>proxy</html>"},
		{FAKE_ANSWER, 500, "{\"message\":\"boom\"}"},
		{FAKE_ANSWER, 200, "[]"},
		{FAKE_HUGE, 200, ""},
		{FAKE_SILENT, 0, NULL},
		{FAKE_CLOSE, 0, NULL},
	};
	serve_list(w, 1, 3);
	serve(w, 1);
	serve(w, 3);
	serve_as(w, 2, FAKE_ANSWER, 200, "nonsense");
	begin(w);
	UNTIL(&w->s, w->s.syncs == 1);
	assert_int_equal(w->s.seen.n, 2); /* the others are not held up */
	for (size_t i = 0; i < BH_ARRAY_SIZE(broken); i++) {
		bh_autofree char *path = bh_xasprintf("/containers/%s/json", id(2));
		serve_as(w, 2, broken[i].kind, broken[i].status, broken[i].body);
		size_t hits = fake_hits(w->fake, path);
		push_event(w, "update", 2);
		UNTIL(&w->s, !w->s.ok && fake_hits(w->fake, path) >= hits + 2); /* it is retried */
		bh_autofree char *name = bh_xasprintf("container %.12s: ", id(2));
		assert_non_null(strstr(w->s.message, name));
		assert_int_equal(get(w, 2) != NULL, i > 0); /* the last good answer holds */
		serve(w, 2);
		UNTIL(&w->s, w->s.ok);
		assert_non_null(get(w, 2));
		assert_int_equal(w->s.syncs, 1);
		assert_int_equal(w->s.removes, 0);
	}
	assert_non_null(strstr(w->s.all, "500: boom"));
	assert_non_null(strstr(w->s.all, "larger than allowed"));
}

static void test_broken_list(void **state)
{
	struct world *w = *state;
	static const struct {
		enum fake_kind kind;
		int status;
		const char *body, *says;
	} broken[] = {
		{FAKE_ANSWER, 200, "[{\"Id\":\"ab", "not JSON"},
		{FAKE_ANSWER, 200, "<html>", "not JSON"},
		{FAKE_ANSWER, 200, "{}", "not an array"},
		{FAKE_ANSWER, 200, "[{\"Id\":\"../../etc\"}]", "[0].Id"},
		{FAKE_ANSWER, 500, "{\"message\":\"boom\"}", "500: boom"},
		{FAKE_HUGE, 200, "", "larger than allowed"},
		{FAKE_HUGE_CHUNKED, 200, "", "not JSON"},
		{FAKE_SILENT, 0, NULL, "timed out"},
		{FAKE_CLOSE, 0, NULL, "retrying in"},
	};
	serve_list(w, 1, 1);
	serve(w, 1);
	begin(w);
	UNTIL(&w->s, w->s.syncs == 1);
	for (size_t i = 0; i < BH_ARRAY_SIZE(broken); i++) {
		unsigned syncs = w->s.syncs;
		fake_route(w->fake, "/containers/json", broken[i].kind, broken[i].status,
			broken[i].body);
		w->s.all[0] = '\0';
		fake_end_streams(w->fake);
		UNTIL(&w->s, strstr(w->s.all, broken[i].says));
		assert_int_equal(w->s.syncs, syncs);
		assert_non_null(get(w, 1));
		serve_list(w, 1, 1);
		UNTIL(&w->s, w->s.syncs == syncs + 1);
		assert_true(w->s.ok);
	}
	assert_int_equal(w->s.removes, 0);
}

/* Accepts, and never says a word to anything. */
static void test_silence(void **state)
{
	struct world *w = *state;
	fake_route(w->fake, "/", FAKE_SILENT, 0, NULL);
	fake_route(w->fake, "/events", FAKE_SILENT, 0, NULL);
	fake_route(w->fake, "/containers/json", FAKE_SILENT, 0, NULL);
	begin(w);
	UNTIL(&w->s, w->s.told);
	assert_false(w->s.ok);
	assert_non_null(strstr(w->s.message, "timed out"));
	UNTIL(&w->s, fake_hits(w->fake, "/containers/json") == 2);
}

static void test_bad_events(void **state)
{
	struct world *w = *state;
	serve_list(w, 1, 1);
	serve(w, 1);
	begin(w);
	UNTIL(&w->s, w->s.syncs == 1);
	fake_push(w->fake, "{\"Type\":\"container\"\n");
	UNTIL(&w->s, w->s.syncs == 2);
	assert_non_null(strstr(w->s.all, "event stream: not JSON"));
	/* as long as an image's labels make it: no less an event */
	w->s.all[0] = '\0';
	serve(w, 2);
	fake_push(w->fake,
		"{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"Attributes\":{\"l\":\"");
	bh_autobuf struct bh_buf big = {0};
	for (unsigned i = 0; i < 1024; i++)
		bh_buf_printf(&big, "%01024u", i);
	for (unsigned i = 0; i < 20; i++)
		fake_push(w->fake, big.s);
	bh_autofree char *rest = bh_xasprintf("\"},\"ID\":\"%s\"}}\n", id(2));
	fake_push(w->fake, rest);
	UNTIL(&w->s, get(w, 2));
	assert_int_equal(w->s.syncs, 2);
	assert_string_equal(w->s.all, "");
	/* nor is what never ends anything but bounded */
	fake_push(w->fake, "{\"Type\":");
	for (unsigned i = 0; i < 3; i++)
		fake_push(w->fake, big.s);
	UNTIL(&w->s, w->s.syncs == 3);
	assert_non_null(strstr(w->s.all, "event stream: not JSON"));
}

/* A lost event is made good by the list that reload, or time, asks for. */
static void test_refresh(void **state)
{
	struct world *w = *state;
	serve_list(w, 1, 2);
	serve(w, 1);
	serve(w, 2);
	begin(w);
	UNTIL(&w->s, w->s.syncs == 1);
	serve_list(w, 2, 2);
	serve(w, 3);
	serve_as(w, 1, FAKE_ANSWER, 404, "{}");
	w->s.source->ops->reload(w->s.source);
	UNTIL(&w->s, get(w, 3) && !get(w, 1));
	assert_int_equal(w->s.removes, 1);
	assert_int_equal(w->s.syncs, 1);
}

/* Freed in the middle of everything: the sanitizers see to the rest. */
static void test_free_early(void **state)
{
	struct world *w = *state;
	serve_list(w, 1, 20);
	for (unsigned i = 1; i <= 20; i++) {
		bh_autofree char *path = bh_xasprintf("/containers/%s/json", id(i));
		serve(w, i);
		fake_delay(w->fake, path, 50);
	}
	begin(w);
	UNTIL(&w->s, fake_hits(w->fake, "/containers/0") >= 8);
}

/* --- Podman --- */

#define LIBPOD "/v4.0.0/libpod"
#define DIGEST "sha256:68dfb74dbc8aac279d5f4c87df8408d36823d66589c9e9a709f528a7275f70fc"

/* As Podman 4.3 says it; `pod` 0: in none. */
static void serve_podman(struct world *w, unsigned n, unsigned pod, bool infra)
{
	bh_autofree char *path = bh_xasprintf(LIBPOD "/containers/%s/json", id(n));
	bh_autofree char *body = bh_xasprintf(
		"{\"Id\":\"%s\",\"Name\":\"p%u\",\"Image\":\"%064x\",\"ImageName\":"
		"\"localhost/shop:1\",\"ImageDigest\":\"" DIGEST "\",\"Pod\":\"%s\","
		"\"IsInfra\":%s,\"Namespace\":\"\",\"State\":{\"Running\":true,\"Pid\":%u},"
		"\"HostConfig\":{\"NetworkMode\":\"%s%s\"},\"Config\":{\"Image\":"
		"\"localhost/shop:1\",\"Labels\":{\"app\":\"a%u\"}},\"NetworkSettings\":{"
		"\"Networks\":{\"shop\":{\"IPAddress\":\"172.28.0.%u\",\"MacAddress\":"
		"\"02:00:00:00:00:%02x\"}}}}",
		id(n), n, n, pod ? id(pod) : "", infra ? "true" : "false", 1000 + n,
		pod && !infra ? "container:" : "bridge", pod && !infra ? id(pod + 1) : "", n, n, n);
	fake_route(w->fake, path, FAKE_ANSWER, 200, body);
}

static void serve_pod(struct world *w, unsigned n, enum fake_kind kind, const char *body)
{
	bh_autofree char *path = bh_xasprintf(LIBPOD "/pods/%s/json", id(n));
	fake_route(w->fake, path, kind, 200, body);
}

static char *pod_json(unsigned n, const char *name)
{
	return bh_xasprintf("{\"Id\":\"%s\",\"Name\":\"%s\",\"State\":\"Running\","
			    "\"Labels\":{\"tier\":\"front\",\"app\":\"web\"}}",
		id(n), name);
}

static void test_podman(void **state)
{
	struct world *w = *state;
	bh_autofree char *pod = pod_json(20, "shop-pod");
	serve_list(w, 1, 1);
	serve_podman(w, 1, 0, false);
	serve_podman(w, 21, 20, true); /* holds pod 20 */
	serve_podman(w, 22, 20, false);
	serve_pod(w, 20, FAKE_ANSWER, pod);
	begin(w);
	UNTIL(&w->s, w->s.syncs == 1);
	const struct bh_container *c = get(w, 1);
	assert_string_equal(c->runtime, "podman");
	assert_string_equal(c->name, "p1");
	assert_string_equal(c->image, "localhost/shop:1");
	assert_string_equal(c->digest, DIGEST);
	assert_false(c->joined);
	assert_int_equal(c->n_addrs, 1);
	assert_int_equal(c->n_macs, 1);
	assert_int_equal(fake_hits(w->fake, "/images"), 0); /* nothing more to be asked */
	push_event(w, "start", 21);
	push_event(w, "start", 22);
	UNTIL(&w->s, w->s.upserts == 2);
	c = get(w, 21);
	assert_string_equal(c->name, "shop-pod");
	assert_null(c->image); /* that of those who live in it counts */
	assert_null(c->digest);
	assert_int_equal(c->labels.n, 2);
	assert_string_equal(bh_labels_get(&c->labels, "app"), "web");
	assert_false(c->joined);
	assert_true(get(w, 22)->joined);
	assert_string_equal(get(w, 22)->image, "localhost/shop:1");
	/* A network event of Podman is about the container. */
	bh_autofree char *e = bh_xasprintf("{\"Type\":\"network\",\"Action\":\"disconnect\","
					   "\"Actor\":{\"ID\":\"%s\",\"Attributes\":{\"name\":"
					   "\"p1\",\"podId\":\"\"}}}\n",
		id(1));
	fake_push(w->fake, e);
	UNTIL(&w->s, w->s.upserts == 3);
	push_event(w, "remove", 9); /* never heard of, and not there */
	run_for(&w->s, 30);
	assert_true(w->s.ok);
}

/* A pod whose answer is no good is not let in under its holder's name, and is asked about again. */
static void test_podman_broken_pod(void **state)
{
	struct world *w = *state;
	bh_autofree char *good = pod_json(20, "shop-pod"), *other = pod_json(30, "other");
	const struct {
		enum fake_kind kind;
		const char *body, *says;
	} broken[] = {
		{FAKE_ANSWER, "{\"Id\":", "not JSON"},
		{FAKE_ANSWER, other, "not about this pod"},
		{FAKE_ANSWER, "[]", "not about this pod"},
		{FAKE_HUGE, "", "larger than allowed"},
		{FAKE_SILENT, NULL, "timed out"},
		{FAKE_CLOSE, NULL, "retrying in"},
	};
	serve_list(w, 21, 1);
	serve_podman(w, 21, 20, true);
	for (size_t i = 0; i < BH_ARRAY_SIZE(broken); i++) {
		w->s.all[0] = '\0';
		serve_pod(w, 20, broken[i].kind, broken[i].body);
		if (i == 0)
			begin(w);
		else
			push_event(w, "update", 21);
		UNTIL(&w->s, strstr(w->s.all, broken[i].says));
		UNTIL(&w->s, w->s.syncs == 1);
		assert_int_equal(get(w, 21) != NULL, i > 0);
		serve_pod(w, 20, FAKE_ANSWER, good);
		UNTIL(&w->s, w->s.ok);
		assert_string_equal(get(w, 21)->name, "shop-pod");
		assert_int_equal(w->s.removes, 0);
	}
	serve_pod(w, 20, FAKE_ANSWER, "{\"Id\":\"\",\"Labels\":7}");
	push_event(w, "update", 21);
	UNTIL(&w->s, !w->s.ok);
	assert_string_equal(get(w, 21)->name, "shop-pod");
}

static void test_podman_remedy(void **state)
{
	struct world *w = *state;
	fake_free(w->fake);
	w->fake = NULL;
	run_for(&w->s, 20);
	unlink(w->s.path);
	begin(w);
	UNTIL(&w->s, w->s.told);
	assert_int_equal(strncmp(w->s.message, "podman /tmp/", 12), 0);
	assert_non_null(strstr(w->s.message, "systemctl start podman.socket"));
	w->fake = fake_new(&w->s.loop, w->s.path);
}

#define P(name) cmocka_unit_test_setup_teardown(name, setup_podman, teardown)
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_sync),
		T(test_empty),
		T(test_events),
		T(test_event_chunks),
		T(test_bounded),
		T(test_event_during_list),
		T(test_event_during_inspect),
		T(test_reconnect),
		T(test_absent),
		T(test_broken_container),
		T(test_broken_list),
		T(test_silence),
		T(test_bad_events),
		T(test_refresh),
		T(test_free_early),
		P(test_podman),
		P(test_podman_broken_pod),
		P(test_podman_remedy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
