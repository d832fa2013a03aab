/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The CRI source against a runtime played by the test: with events and without, and broken. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <errno.h>

#include "inventory/cri.h"
#include "lib/fake_grpc.h"
#include "lib/pb.h"
#include "unit/source_world.h"

#define RUNTIME "/runtime.v1.RuntimeService/"
#define VERSION RUNTIME "Version"
#define PODS RUNTIME "ListPodSandbox"
#define CONTAINERS RUNTIME "ListContainers"
#define STATUS RUNTIME "PodSandboxStatus"
#define EVENTS RUNTIME "GetContainerEvents"
#define IMAGE "/runtime.v1.ImageService/ImageStatus"

#define HEX "000000000000000000000000000000000000000000000000000000000000000"
#define RUNNING 1
#define EXITED 2

struct world {
	struct source_world s;
	struct fakegrpc *fake;
	struct bh_buf pods, containers;
};

static const struct bh_cri_timing timing = {
	.connect = 500,
	.answer = 300,
	.retry = 10,
	.retry_max = 80,
	.poll = 20,
	.busy = 20,
	.refresh = 60000,
	.gap = 5,
	.absent = 50,
};

static void route(struct world *w, const char *method, struct bh_buf *message)
{
	fakegrpc_route(w->fake, method, GRPC_ANSWER, 0, message->s, message->len);
	bh_buf_finish(message);
}

static void greeting(struct world *w)
{
	struct bh_buf b = {0};
	pb_text(&b, 1, "0.1.0");
	pb_text(&b, 2, "containerd");
	pb_text(&b, 3, "1.6.20");
	route(w, VERSION, &b);
}

static void serve_lists(struct world *w)
{
	fakegrpc_route(w->fake, PODS, GRPC_ANSWER, 0, w->pods.s, w->pods.len);
	fakegrpc_route(w->fake, CONTAINERS, GRPC_ANSWER, 0, w->containers.s, w->containers.len);
}

static void list_pod(struct world *w, const char *id, int state)
{
	struct bh_buf b = {0};
	pb_text(&b, 1, id);
	if (state)
		pb_int(&b, 3, (uint64_t)state);
	pb_message(&w->pods, 1, &b);
}

static void list_named(
	struct world *w, const char *pod, const char *name, char image, int state, int64_t made)
{
	struct bh_buf b = {0}, spec = {0};
	bh_autofree char *ref = bh_xasprintf("sha256:" HEX "%c", image);
	pb_text(&b, 1, "container");
	pb_text(&b, 2, pod);
	pb_text(&spec, 1, name ? name : ref);
	pb_message(&b, 4, &spec);
	pb_text(&b, 5, ref);
	pb_int(&b, 6, (uint64_t)state);
	pb_int(&b, 7, (uint64_t)made);
	pb_entry(&b, 9, "io.kubernetes.container.ports",
		"[{\"name\":\"http\",\"containerPort\":8080,\"protocol\":\"TCP\"}]");
	pb_message(&w->containers, 1, &b);
}

static void list_container(struct world *w, const char *pod, char image, int state, int64_t made)
{
	list_named(w, pod, NULL, image, state, made);
}

static void empty_lists(struct world *w)
{
	bh_buf_finish(&w->pods);
	bh_buf_finish(&w->containers);
}

static void status_of(struct bh_buf *b, const char *id, int state)
{
	struct bh_buf s = {0}, m = {0}, n = {0};
	bh_autofree char *name = bh_xasprintf("name-%s", id);
	bh_autofree char *info = bh_xasprintf(
		"{\"pid\":77,\"runtimeSpec\":{\"linux\":{\"namespaces\":[{\"type\":\"pid\"},"
		"{\"type\":\"network\",\"path\":\"/run/netns/%s\"}]}}}",
		id);
	pb_text(&s, 1, id);
	pb_text(&m, 1, name);
	pb_text(&m, 3, "shop");
	pb_message(&s, 2, &m);
	pb_int(&s, 3, (uint64_t)state);
	pb_text(&n, 1, "10.9.0.7");
	pb_message(&s, 5, &n);
	pb_entry(&s, 7, "app", id);
	pb_message(b, 1, &s);
	pb_entry(b, 2, "info", info);
}

/* All pods get the answer of one: the tests that use several serve one after the other. */
static void serve_status(struct world *w, const char *id)
{
	struct bh_buf b = {0};
	status_of(&b, id, 0);
	route(w, STATUS, &b);
}

static void serve_image(struct world *w, const char *tag)
{
	struct bh_buf b = {0}, i = {0};
	pb_text(&i, 1, "sha256:" HEX "1");
	pb_text(&i, 2, tag);
	pb_text(&i, 3, "example/web@sha256:" HEX "d");
	pb_message(&b, 1, &i);
	route(w, IMAGE, &b);
}

static int setup(void **state)
{
	struct world *w = bh_xcalloc(1, sizeof(*w));
	source_world_open(&w->s, "cri");
	w->fake = fakegrpc_new(&w->s.loop, w->s.path);
	source_world_listen(
		&w->s, bh_source_cri_new_timed(&w->s.loop, w->s.http, w->s.path, false, &timing));
	greeting(w);
	serve_lists(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	w->s.source->ops->free(w->s.source);
	bh_http_close(w->s.http);
	if (w->fake)
		fakegrpc_free(w->fake);
	source_world_close(&w->s);
	empty_lists(w);
	free(w);
	return 0;
}

static void begin(struct world *w)
{
	w->s.source->ops->start(w->s.source);
}

static const struct bh_container *get(struct world *w, const char *id)
{
	return bh_idmap_get(&w->s.seen, id);
}

/* One pod, one container, followed. */
static void begin_with(struct world *w, const char *id)
{
	list_pod(w, id, 0);
	list_container(w, id, '1', RUNNING, 1);
	serve_lists(w);
	serve_status(w, id);
	serve_image(w, "example/web:1");
	begin(w);
	UNTIL(&w->s, w->s.syncs == 1);
	assert_non_null(get(w, id));
	assert_true(w->s.ok);
}

static void test_sync(void **state)
{
	struct world *w = *state;
	list_pod(w, "gone", 1); /* the filter was ignored */
	begin_with(w, "one");
	assert_int_equal(w->s.seen.n, 1);
	assert_true(w->s.told && w->s.ok);
	const struct bh_container *c = get(w, "one");
	assert_string_equal(c->name, "name-one");
	assert_string_equal(c->runtime, "containerd");
	assert_string_equal(c->namespace, "shop");
	assert_string_equal(c->image, "example/web:1");
	assert_string_equal(c->digest, "sha256:" HEX "d");
	assert_int_equal(c->pid, 77);
	assert_string_equal(c->netns_path, "/run/netns/one");
	assert_int_equal(c->n_addrs, 1);
	assert_int_equal(c->labels.n, 1);
	assert_string_equal(bh_labels_get(&c->labels, "app"), "one");
	assert_int_equal(c->n_ports, 1);
	assert_string_equal(c->port[0].name, "http");
	assert_int_equal(c->port[0].port, 8080);
	assert_false(c->joined);
	/* ready ones, and verbosely */
	const struct bh_buf *r = fakegrpc_request(w->fake, PODS);
	assert_memory_equal(r->s + 5, "\x0a\x02\x12\x00", 4);
	r = fakegrpc_request(w->fake, STATUS);
	assert_memory_equal(r->s + 5, "\x0a\x03one\x10\x01", 7);
}

static void test_empty(void **state)
{
	struct world *w = *state;
	begin(w);
	UNTIL(&w->s, w->s.syncs == 1);
	assert_int_equal(w->s.seen.n, 0);
	assert_true(w->s.ok);
}

/* A pod is told of as soon as its sandbox is there, and again when it has containers; the first
 * that was made stands for the image, one that ended only when there is no other. Others that run
 * add theirs, each once. */
static void test_life(void **state)
{
	struct world *w = *state;
	begin(w);
	UNTIL(&w->s, w->s.syncs == 1);
	list_pod(w, "one", 0);
	serve_lists(w);
	serve_status(w, "one");
	serve_image(w, "example/web:1");
	UNTIL(&w->s, w->s.upserts == 1);
	assert_null(get(w, "one")->image);
	assert_int_equal(get(w, "one")->n_ports, 0);
	list_container(w, "one", '1', EXITED, 1);
	list_named(w, "one", "example/proxy:2", '2', RUNNING, 5);
	list_container(w, "one", '3', RUNNING, 4);
	list_named(w, "one", "example/proxy:2", '2', RUNNING, 6);
	serve_lists(w);
	UNTIL(&w->s, get(w, "one")->image);
	UNTIL(&w->s, fakegrpc_hits(w->fake, IMAGE) == 2 && get(w, "one")->others.n);
	const struct bh_buf *r = fakegrpc_request(w->fake, IMAGE);
	assert_int_equal(r->s[r->len - 1], '2');
	assert_string_equal(get(w, "one")->image, "example/web:1");
	assert_int_equal(get(w, "one")->others.n, 1);
	assert_string_equal(get(w, "one")->others.item[0].image, "example/proxy:2");
	assert_int_equal(get(w, "one")->n_ports, 1);
	empty_lists(w);
	list_pod(w, "one", 0);
	list_container(w, "one", '1', EXITED, 1);
	serve_lists(w);
	UNTIL(&w->s, fakegrpc_hits(w->fake, IMAGE) == 3 && !get(w, "one")->others.n);
	empty_lists(w);
	list_pod(w, "one", 1);
	serve_lists(w);
	UNTIL(&w->s, w->s.removes == 1);
	assert_null(get(w, "one"));
	assert_int_equal(w->s.syncs, 1);
	assert_true(w->s.ok);
}

/* The poll is cheap: what is known is not asked about again, and nothing is told. */
static void test_quiet(void **state)
{
	struct world *w = *state;
	begin_with(w, "one");
	UNTIL(&w->s, fakegrpc_hits(w->fake, PODS) >= 6);
	assert_int_equal(fakegrpc_hits(w->fake, STATUS), 1);
	assert_int_equal(fakegrpc_hits(w->fake, IMAGE), 1);
	assert_int_equal(fakegrpc_hits(w->fake, EVENTS), 1); /* not offered: asked once */
	assert_int_equal(w->s.upserts, 0);
	w->s.source->ops->reload(w->s.source);
	UNTIL(&w->s, fakegrpc_hits(w->fake, STATUS) == 2);
	assert_int_equal(w->s.syncs, 1);
}

/* While pods come and go they are looked for more often. */
static void test_busy(void **state)
{
	struct world *w = *state;
	struct bh_cri_timing slow = timing;
	slow.poll = 60000;
	slow.busy = 10;
	slow.busy_for = 150;
	w->s.source->ops->free(w->s.source);
	source_world_listen(
		&w->s, bh_source_cri_new_timed(&w->s.loop, w->s.http, w->s.path, false, &slow));
	begin_with(w, "one");
	size_t lists = fakegrpc_hits(w->fake, PODS);
	UNTIL(&w->s, fakegrpc_hits(w->fake, PODS) >= lists + 3);
	/* and then no more: the poll is far away */
	run_for(&w->s, 300);
	lists = fakegrpc_hits(w->fake, PODS);
	run_for(&w->s, 200);
	assert_int_equal(fakegrpc_hits(w->fake, PODS), lists);
}

static void push_event(struct world *w)
{
	struct bh_buf e = {0}, b = {0};
	uint8_t head[5] = {0};
	pb_text(&e, 1, "whoever");
	pb_int(&e, 2, 1);
	head[4] = (uint8_t)e.len;
	bh_buf_add(&b, head, 5);
	bh_buf_add(&b, e.s, e.len);
	fakegrpc_push(w->fake, EVENTS, b.s, b.len);
	bh_buf_finish(&b);
	bh_buf_finish(&e);
}

/* An event causes a list; once one has come, lists without cause are rare. */
static void test_events(void **state)
{
	struct world *w = *state;
	fakegrpc_route(w->fake, EVENTS, GRPC_STREAM, 0, NULL, 0);
	begin(w);
	UNTIL(&w->s, w->s.syncs == 1 && fakegrpc_streams(w->fake, EVENTS) == 1);
	push_event(w);
	run_for(&w->s, 60);
	size_t lists = fakegrpc_hits(w->fake, PODS);
	run_for(&w->s, 100);
	assert_int_equal(fakegrpc_hits(w->fake, PODS), lists);
	list_pod(w, "one", 0);
	serve_lists(w);
	serve_status(w, "one");
	push_event(w);
	UNTIL(&w->s, w->s.upserts == 1);
	/* many at once are few lists */
	run_for(&w->s, 60);
	lists = fakegrpc_hits(w->fake, PODS);
	for (unsigned i = 0; i < 200; i++)
		push_event(w);
	UNTIL(&w->s, fakegrpc_hits(w->fake, PODS) > lists);
	run_for(&w->s, 60);
	assert_true(fakegrpc_hits(w->fake, PODS) - lists < 40);
	/* without the stream they are frequent again */
	fakegrpc_end(w->fake, EVENTS);
	lists = fakegrpc_hits(w->fake, PODS);
	UNTIL(&w->s, fakegrpc_hits(w->fake, PODS) >= lists + 5);
	assert_true(w->s.ok);
	assert_int_equal(w->s.syncs, 1);
}

static void test_bad_event(void **state)
{
	struct world *w = *state;
	fakegrpc_route(w->fake, EVENTS, GRPC_STREAM, 0, NULL, 0);
	begin_with(w, "one");
	UNTIL(&w->s, fakegrpc_streams(w->fake, EVENTS) == 1);
	fakegrpc_push(w->fake, EVENTS, "\0\0\0\0\2\x0a\x7f", 7);
	UNTIL(&w->s, !w->s.ok);
	assert_non_null(strstr(w->s.message, "event stream: not a valid protobuf"));
	assert_non_null(get(w, "one"));
	UNTIL(&w->s, w->s.syncs == 2 && w->s.ok);
}

static void test_bad_lists(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *method;
		enum fakegrpc_kind kind;
		int status;
		const char *body;
		size_t len;
		const char *says;
	} bad[] = {
		{PODS, GRPC_ANSWER, 0, "\x0a\x7f", 2, "not a valid protobuf"},
		{PODS, GRPC_ANSWER, 0, "\x0a\x02\x0a\x00", 4, "not a pod's id"},
		{PODS, GRPC_ANSWER, 0, "\x0a\x03\x0a\x01/", 5, "not a pod's id"},
		{CONTAINERS, GRPC_ANSWER, 0, "\xff\xff\xff", 3, "not a valid protobuf"},
		{CONTAINERS, GRPC_ANSWER, 0, "\x0a\x00", 2, "not a pod's id"},
		{PODS, GRPC_CUT, 0, "", 0, "without a status"},
		{PODS, GRPC_HUGE, 0, NULL, 0, "larger than allowed"},
		{CONTAINERS, GRPC_WEB, 0, NULL, 0, "no gRPC there"},
		{CONTAINERS, GRPC_CLOSE, 0, NULL, 0, ""},
		{PODS, GRPC_SILENT, 0, NULL, 0, "imed out"},
		{PODS, GRPC_ERROR, 14, "disk%20on%20fire", 16,
			"the runtime says: disk on fire (14)"},
	};
	begin_with(w, "one");
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		fakegrpc_route(w->fake, bad[i].method, bad[i].kind, bad[i].status, bad[i].body,
			bad[i].len);
		UNTIL(&w->s, !w->s.ok);
		if (!strstr(w->s.message, bad[i].says))
			fail_msg("%zu: %s, not: %s", i, w->s.message, bad[i].says);
		/* which source, and what happens next */
		assert_int_equal(strncmp(w->s.message, "cri /tmp/bh-test-cri", 20), 0);
		assert_non_null(strstr(w->s.message, "; retrying in "));
		assert_non_null(get(w, "one")); /* the last good */
		serve_lists(w);
		UNTIL(&w->s, w->s.ok);
		assert_non_null(get(w, "one"));
	}
	assert_int_equal(w->s.removes, 0);
	assert_int_equal(w->s.syncs, 1 + BH_ARRAY_SIZE(bad));
}

/* What concerns one pod leaves the others alone. */
static void test_bad_pod(void **state)
{
	struct world *w = *state;
	begin_with(w, "one");
	list_pod(w, "two", 0); /* the answer is about "one" */
	serve_lists(w);
	UNTIL(&w->s, !w->s.ok);
	assert_non_null(
		strstr(w->s.message, "pod two: the answer is not about this pod; retrying"));
	fakegrpc_route(w->fake, STATUS, GRPC_ANSWER, 0, "\x0a\x7f", 2);
	size_t asked = fakegrpc_hits(w->fake, STATUS);
	UNTIL(&w->s, fakegrpc_hits(w->fake, STATUS) >= asked + 3);
	assert_non_null(strstr(w->s.all, "pod two: not a valid protobuf"));
	assert_null(get(w, "two"));
	assert_non_null(get(w, "one"));
	serve_status(w, "two");
	UNTIL(&w->s, get(w, "two"));
	assert_true(w->s.ok);
	assert_int_equal(w->s.syncs, 1);
	/* gone between the list and the question */
	fakegrpc_route(w->fake, STATUS, GRPC_ERROR, 5, "not found", 9);
	list_pod(w, "three", 0);
	serve_lists(w);
	asked = fakegrpc_hits(w->fake, STATUS);
	UNTIL(&w->s, fakegrpc_hits(w->fake, STATUS) > asked);
	run_for(&w->s, 30);
	assert_true(w->s.ok);
	assert_int_equal(w->s.seen.n, 2);
}

/* Without its image a pod is told of all the same. */
static void test_bad_image(void **state)
{
	struct world *w = *state;
	list_pod(w, "one", 0);
	list_container(w, "one", '1', RUNNING, 1);
	serve_lists(w);
	serve_status(w, "one");
	fakegrpc_route(w->fake, IMAGE, GRPC_ANSWER, 0, "\x0a\x7f", 2);
	begin(w);
	UNTIL(&w->s, w->s.syncs == 1);
	assert_string_equal(get(w, "one")->digest, "sha256:" HEX "1");
	assert_null(get(w, "one")->image);
	UNTIL(&w->s, !w->s.ok);
	assert_non_null(strstr(w->s.message, "image sha256:" HEX "1: not a valid protobuf"));
	serve_image(w, "example/web:1");
	UNTIL(&w->s, w->s.ok);
	assert_string_equal(get(w, "one")->digest, "sha256:" HEX "d");
	/* and once no pod uses a bad one, it is nobody's trouble */
	fakegrpc_route(w->fake, IMAGE, GRPC_ANSWER, 0, "\x0a\x7f", 2);
	empty_lists(w);
	list_pod(w, "one", 0);
	list_container(w, "one", '2', RUNNING, 1);
	serve_lists(w);
	UNTIL(&w->s, !w->s.ok);
	empty_lists(w);
	list_pod(w, "one", 0);
	serve_lists(w);
	UNTIL(&w->s, w->s.ok);
}

/* What happened meanwhile is known after the connection is back, the known is asked anew. */
static void test_resync(void **state)
{
	struct world *w = *state;
	begin_with(w, "one");
	fakegrpc_free(w->fake);
	w->fake = NULL;
	unlink(w->s.path);
	UNTIL(&w->s, !w->s.ok);
	assert_non_null(strstr(w->s.message, "cannot connect: No such file"));
	assert_non_null(strstr(w->s.message, "is the runtime installed"));
	assert_non_null(get(w, "one"));
	w->fake = fakegrpc_new(&w->s.loop, w->s.path);
	greeting(w);
	empty_lists(w);
	list_pod(w, "two", 0);
	serve_lists(w);
	serve_status(w, "two");
	UNTIL(&w->s, w->s.ok);
	assert_null(get(w, "one"));
	assert_non_null(get(w, "two"));
	assert_int_equal(w->s.syncs, 2);
	assert_int_equal(w->s.removes, 0); /* the list says it all */
}

/* A sync does not wait for a pod that cannot be read; before it, nothing is told. */
static void test_bad_sync(void **state)
{
	struct world *w = *state;
	list_pod(w, "one", 0);
	list_pod(w, "two", 0);
	serve_lists(w);
	serve_status(w, "two");
	fakegrpc_mute(w->fake, true);
	begin(w);
	UNTIL(&w->s, w->s.told && !w->s.ok);
	assert_non_null(strstr(w->s.message, "imed out"));
	assert_int_equal(w->s.syncs, 0);
	fakegrpc_mute(w->fake, false);
	UNTIL(&w->s, w->s.syncs == 1);
	assert_int_equal(w->s.seen.n, 1);
	assert_non_null(get(w, "two"));
	assert_false(w->s.ok);
}

/* Docker's containerd has no CRI: found by chance it is nobody's fault, configured it is one. */
static void test_absent(void **state)
{
	struct world *w = *state;
	fakegrpc_route(w->fake, VERSION, GRPC_ERROR, 12, "unknown service", 15);
	begin(w);
	UNTIL(&w->s, w->s.told && !w->s.ok);
	assert_non_null(strstr(w->s.message, "no CRI v1"));
	assert_non_null(strstr(w->s.message, "disabled_plugins"));
	assert_int_equal(w->s.syncs, 0);
	w->s.source->ops->free(w->s.source);
	source_world_listen(
		&w->s, bh_source_cri_new_timed(&w->s.loop, w->s.http, w->s.path, true, &timing));
	w->s.all[0] = '\0';
	begin(w);
	UNTIL(&w->s, w->s.ok && w->s.syncs == 1);
	size_t asked = fakegrpc_hits(w->fake, VERSION);
	UNTIL(&w->s, fakegrpc_hits(w->fake, VERSION) == asked + 2); /* again, and again */
	assert_string_equal(w->s.all, "");
	/* one day it has it */
	list_pod(w, "one", 0);
	serve_lists(w);
	serve_status(w, "one");
	greeting(w);
	UNTIL(&w->s, get(w, "one"));
	/* from then on its absence is a fault, and takes nobody away */
	fakegrpc_route(w->fake, VERSION, GRPC_ERROR, 12, "unknown service", 15);
	fakegrpc_route(w->fake, PODS, GRPC_ERROR, 12, "unknown service", 15);
	UNTIL(&w->s, !w->s.ok);
	run_for(&w->s, 60);
	assert_false(w->s.ok);
	assert_non_null(get(w, "one"));
}

static void test_free_early(void **state)
{
	struct world *w = *state;
	list_pod(w, "one", 0);
	serve_lists(w);
	fakegrpc_route(w->fake, STATUS, GRPC_SILENT, 0, NULL, 0);
	fakegrpc_route(w->fake, EVENTS, GRPC_STREAM, 0, NULL, 0);
	begin(w);
	UNTIL(&w->s, fakegrpc_hits(w->fake, STATUS) == 1);
	assert_int_equal(w->s.syncs, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sync, setup, teardown),
		cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_life, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quiet, setup, teardown),
		cmocka_unit_test_setup_teardown(test_busy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_event, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_pod, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_image, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resync, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_sync, setup, teardown),
		cmocka_unit_test_setup_teardown(test_absent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_free_early, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
