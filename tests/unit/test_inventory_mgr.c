/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The manager, with a kernel played by the test (the bh_link functions below stand in for
 * enforcer/link) and sources that say what the test makes them say; and the static source's file.
 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "inventory/manager.h"

#define OWN 4026531840

/* --- the kernel --- */
static struct {
	struct {
		const char *path;
		uint64_t inode;
		const char *addr;
		unsigned bridge, port;
		uint8_t mac; /* its last byte */
		uint64_t since;
		const char *more; /* a second address */
		int err; /* of inspecting */
	} ns[8];
	unsigned inspections;
	int pipe[2];
	bool told[16]; /* what the next drain says: namespaces by their index, or … */
	bool lost, told_host;
	uint64_t forgotten;
	int host_err;
	unsigned host_looks;
	const char *host_addr; /* one more of the node's own */
	const char *subnet[8]; /* of interfaces of the node */
} kernel;

static void kernel_ns(size_t i, const char *path, uint64_t inode, const char *addr)
{
	kernel.ns[i].path = path;
	kernel.ns[i].inode = inode;
	kernel.ns[i].addr = addr;
}

uint64_t bh_link_own_netns(const struct bh_link *l)
{
	(void)l;
	return OWN;
}

static int find_ns(const char *path)
{
	for (int i = 0; i < (int)BH_ARRAY_SIZE(kernel.ns); i++) {
		if (kernel.ns[i].path && strcmp(kernel.ns[i].path, path) == 0)
			return i;
	}
	return -ENOENT;
}

int bh_link_netns_inode(const char *path, uint64_t *ret)
{
	int i = find_ns(path);
	if (i >= 0)
		*ret = kernel.ns[i].inode;
	return i < 0 ? i : 0;
}

int bh_link_inspect(struct bh_link *l, const char *path, struct bh_workload *w)
{
	int i = find_ns(path);
	struct bh_addr a;
	(void)l;
	kernel.inspections++;
	if (i < 0)
		return i;
	if (kernel.ns[i].err)
		return kernel.ns[i].err;
	struct bh_interface *f = bh_workload_add_interface(w);
	f->name = bh_xstrdup("eth0");
	f->host_name = bh_xstrdup("veth0");
	f->bridge_ifindex = kernel.ns[i].bridge;
	f->host_ifindex = kernel.ns[i].port;
	f->mac[5] = kernel.ns[i].mac;
	bh_addr_parse(kernel.ns[i].addr, &a);
	bh_interface_add_addr_since(f, &a, kernel.ns[i].since);
	if (kernel.ns[i].more) {
		bh_addr_parse(kernel.ns[i].more, &a);
		bh_interface_add_addr_since(f, &a, 100 + kernel.ns[i].since);
	}
	w->netns = kernel.ns[i].inode;
	return 0;
}

void bh_link_forget(struct bh_link *l BH_UNUSED, uint64_t netns)
{
	kernel.forgotten = netns;
}

int bh_link_host(struct bh_link *l, struct bh_inventory *inv, bool anew BH_UNUSED)
{
	struct bh_addr a;
	struct bh_prefix p;
	(void)l;
	kernel.host_looks++;
	if (kernel.host_err)
		return kernel.host_err;
	if (kernel.host_addr) {
		bh_addr_parse(kernel.host_addr, &a);
		bh_inventory_add_host(inv, &a);
	}
	bh_addr_parse("192.0.2.1", &a);
	bh_prefix_parse("192.0.2.0/24", &p);
	bh_inventory_add_host(inv, &a);
	bh_inventory_add_network(inv, &p);
	return 0;
}

int bh_link_networks(struct bh_link *l BH_UNUSED, unsigned ifindex, struct bh_prefix **ret)
{
	const char *subnet = kernel.subnet[ifindex];
	if (!subnet)
		return 0;
	*ret = bh_xcalloc(1, sizeof(**ret));
	bh_prefix_parse(subnet, *ret);
	return 1;
}

int bh_link_watch_fd(struct bh_link *l)
{
	(void)l;
	return kernel.pipe[0];
}

void bh_link_watch_drain(struct bh_link *l BH_UNUSED, struct bh_link_news *news)
{
	char c[64];
	while (read(kernel.pipe[0], c, sizeof(c)) > 0)
		continue;
	news->all |= kernel.lost;
	news->host |= kernel.told_host || kernel.lost;
	for (size_t i = 0; i < BH_ARRAY_SIZE(kernel.ns); i++) {
		if (!kernel.told[i])
			continue;
		BH_GROW(news->netns, news->n, news->cap);
		news->netns[news->n++] = kernel.ns[i].inode;
		kernel.told[i] = false;
	}
	kernel.lost = kernel.told_host = false;
}

void bh_link_news_finish(struct bh_link_news *news)
{
	free(news->netns);
}

static void ring(void)
{
	assert_int_equal(write(kernel.pipe[1], "x", 1), 1);
}

static void notice(unsigned i)
{
	kernel.told[i] = true;
	ring();
}

static void notice_host(void)
{
	kernel.told_host = true;
	ring();
}

static void notices_lost(void)
{
	kernel.lost = true;
	ring();
}

/* --- a source --- */
static void nothing(struct bh_source *s)
{
	(void)s;
}
static void drop_source(struct bh_source *s)
{
	free(s->name);
	free(s);
}
static const struct bh_source_ops ops = {.kind = "test",
	.rank = BH_RANK_DOCKER,
	.start = nothing,
	.reload = nothing,
	.free = drop_source};
static const struct bh_source_ops richer = {.kind = "richer",
	.rank = BH_RANK_PODMAN,
	.start = nothing,
	.reload = nothing,
	.free = drop_source};

struct world {
	uv_loop_t loop;
	uv_timer_t stop, beat;
	struct bh_inventory_mgr *m;
	struct bh_source *a, *b;
	unsigned told;
	const char *enforced, *declared; /* namespaces */
	struct bh_quarantine *quarantine; /* of "name-one" */
	char claims[4000]; /* what was told of, a line each */
};

static void on_changed(void *arg)
{
	((struct world *)arg)->told++;
}

static struct bh_source *add_source_of(
	struct world *w, const char *name, const struct bh_source_ops *of)
{
	struct bh_source *s = bh_xcalloc(1, sizeof(*s));
	s->ops = of;
	s->name = bh_xstrdup(name);
	bh_inventory_mgr_add(w->m, s);
	return s;
}

static struct bh_source *add_source(struct world *w, const char *name)
{
	return add_source_of(w, name, &ops);
}

static void on_beat(uv_timer_t *t)
{
	(void)t;
}

static void on_stop(uv_timer_t *t)
{
	*(bool *)t->data = true;
}

static void run_for(struct world *w, unsigned ms)
{
	bool over = false;
	w->stop.data = &over;
	uv_timer_start(&w->stop, on_stop, ms, 0);
	while (!over)
		uv_run(&w->loop, UV_RUN_ONCE);
}

static int setup(void **state)
{
	struct world *w = bh_xcalloc(1, sizeof(*w));
	memset(&kernel, 0, sizeof(kernel));
	assert_int_equal(pipe2(kernel.pipe, O_NONBLOCK | O_CLOEXEC), 0);
	uv_loop_init(&w->loop);
	uv_timer_init(&w->loop, &w->stop);
	uv_timer_init(&w->loop, &w->beat);
	uv_timer_start(&w->beat, on_beat, 2, 2);
	assert_int_equal(bh_inventory_mgr_new(&w->loop, NULL, on_changed, w, &w->m), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	bh_inventory_mgr_free(w->m);
	uv_close((uv_handle_t *)&w->stop, NULL);
	uv_close((uv_handle_t *)&w->beat, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	close(kernel.pipe[0]);
	close(kernel.pipe[1]);
	free(w);
	return 0;
}

static struct bh_container *container(const char *id, const char *path, const char *label)
{
	struct bh_container *c = bh_container_new();
	c->id = bh_xstrdup(id);
	c->runtime = bh_xstrdup("docker");
	c->name = bh_xasprintf("name-%s", id);
	c->netns_path = bh_xstrdup(path);
	if (label)
		bh_labels_set(&c->labels, label, id);
	return c;
}

static void upsert(struct bh_source *s, struct bh_container *c)
{
	s->sink.upsert(s->sink.arg, c);
}

static enum bh_mode mode_of(const struct bh_workload *x, void *arg)
{
	const struct world *w = arg;
	return bh_streq(x->namespace, w->enforced) ? BH_MODE_ENFORCE : BH_MODE_LEARN;
}

static void add_frame(struct bh_inventory *frame, void *arg)
{
	const struct world *w = arg;
	if (w->declared)
		bh_inventory_add_namespace(frame, w->declared, NULL);
}

static struct bh_quarantine *quarantine_of(const struct bh_workload *x, void *arg)
{
	const struct world *w = arg;
	return bh_streq(x->name, "name-one") ? w->quarantine : NULL;
}

static void on_claim(const struct bh_workload *x, const char *what, void *arg)
{
	struct world *w = arg;
	size_t n = strlen(w->claims);
	snprintf(w->claims + n, sizeof(w->claims) - n, "%s %s\n", x->name, what);
}

static struct bh_inventory *build(struct world *w)
{
	const struct bh_inventory_settings settings = {
		mode_of, add_frame, w, quarantine_of, on_claim};
	return bh_inventory_mgr_build(w->m, &settings);
}

static void test_merge(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	w->b = add_source(w, "b");
	kernel.ns[0].path = "/n/1";
	kernel.ns[0].inode = 11;
	kernel.ns[0].addr = "192.0.2.11";
	kernel.ns[1].path = "/n/1-again"; /* another name for the same */
	kernel.ns[1].inode = 11;
	kernel.ns[1].addr = "192.0.2.11";
	kernel.ns[2].path = "/n/host";
	kernel.ns[2].inode = OWN;
	kernel.ns[2].addr = "192.0.2.1";
	struct bh_container *sidecar = container("aaa", "/n/1", "side");
	bh_labels_set(&sidecar->labels, "shared", "side's");
	sidecar->joined = true;
	struct bh_container *owner = container("bbb", "/n/1", "own");
	bh_labels_set(&owner->labels, "shared", "owner's");
	bh_labels_set(&owner->labels, "bulkhead.io/name", "somebody-else");
	bh_labels_set(&owner->labels, "com.docker.compose.project", "Shop");
	upsert(w->a, sidecar);
	upsert(w->a, owner);
	upsert(w->a, container("h1", "/n/host", NULL));
	upsert(w->a, container("a-name-that-is-longer-than-the-value-of-a-label-may-be-in-any-"
			       "policy",
			     "/n/host", NULL));
	upsert(w->b, container("bbb", "/n/1-again", NULL));
	upsert(w->b, container("ccc", "/n/1-again", "other"));
	struct bh_inventory *inv = build(w);
	assert_int_equal(inv->n, 3);
	struct bh_addr a;
	bh_addr_parse("192.0.2.11", &a);
	int i = bh_inventory_owner(inv, &a);
	assert_true(i >= 0);
	const struct bh_workload *x = inv->workload[i];
	assert_string_equal(x->id, "bbb"); /* not the sidecar, though it comes first */
	assert_string_equal(x->namespace, "shop");
	assert_string_equal(bh_labels_get(&x->labels, "bulkhead.io/name"), "name-bbb");
	for (size_t k = 0; k < inv->n; k++) /* whatever it is called, a policy can name it */
		assert_null(bh_label_value_check(
			bh_labels_get(&inv->workload[k]->labels, "bulkhead.io/name")));
	assert_string_equal(bh_labels_get(&x->labels, "shared"), "owner's");
	assert_string_equal(bh_labels_get(&x->labels, "side"), "aaa");
	assert_string_equal(bh_labels_get(&x->labels, "other"), "ccc");
	assert_int_equal(x->netns, 11);
	assert_null(x->unenforceable);
	assert_int_equal(x->n_ifaces, 1);
	bh_addr_parse("192.0.2.1", &a);
	assert_int_equal(bh_inventory_owner(inv, &a), BH_OWNER_HOST);
	for (size_t j = 0; j < inv->n; j++) {
		if (inv->workload[j] == x)
			continue;
		assert_string_equal(inv->workload[j]->unenforceable, "shares the host's network");
		assert_int_equal(inv->workload[j]->n_ifaces, 0);
	}
	bh_inventory_unref(inv);
}

/* One namespace, by other ids and other paths: the source that knows most names the workload,
 * wherever it stands; what it leaves open the others say. */
static void test_richer(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	w->b = add_source_of(w, "b", &richer);
	struct bh_source *file = bh_source_static_new(&w->loop, "/nonexistent/workloads.yaml");
	bh_inventory_mgr_add(w->m, file);
	kernel_ns(0, "/n/1", 11, "192.0.2.11");
	kernel_ns(1, "/n/1-again", 11, "192.0.2.11");
	struct bh_container *written = container("static:lab/x", "/n/1", "written");
	written->namespace = bh_xstrdup("lab");
	written->image = bh_xstrdup("written:1");
	file->sink.upsert(file->sink.arg, written);
	struct bh_inventory *inv = build(w);
	assert_string_equal(inv->workload[0]->id, "static:lab/x");
	uint64_t generation = inv->workload[0]->generation;
	bh_inventory_unref(inv);
	struct bh_container *docker = container("aaa", "/n/1-again", "docker");
	docker->image = bh_xstrdup("docker:1");
	docker->digest = bh_xstrdup("sha256:1");
	upsert(w->a, docker);
	inv = build(w);
	assert_int_equal(inv->n, 1);
	assert_string_equal(inv->workload[0]->id, "aaa");
	assert_string_equal(inv->workload[0]->image, "docker:1");
	assert_string_equal(inv->workload[0]->namespace, "lab"); /* nobody else says one */
	assert_int_equal(inv->workload[0]->generation, generation); /* nobody else came */
	bh_inventory_unref(inv);
	upsert(w->b, container("zzz", "/n/1", "podman")); /* later, and by its id the last */
	inv = build(w);
	assert_int_equal(inv->n, 1);
	const struct bh_workload *x = inv->workload[0];
	assert_string_equal(x->id, "zzz");
	assert_string_equal(x->image, "docker:1"); /* it says none */
	assert_string_equal(x->digest, "sha256:1");
	assert_string_equal(bh_labels_get(&x->labels, "docker"), "aaa");
	assert_string_equal(bh_labels_get(&x->labels, "written"), "static:lab/x");
	bh_inventory_unref(inv);
	/* The same id in two sources is one container: only the richer account of it counts. */
	upsert(w->b, container("aaa", "/n/1", "also"));
	inv = build(w);
	assert_int_equal(inv->n, 1);
	assert_string_equal(inv->workload[0]->id, "aaa");
	assert_null(bh_labels_get(&inv->workload[0]->labels, "docker"));
	bh_inventory_unref(inv);
	/* And when it is gone from there, the other's again. */
	w->b->sink.remove(w->b->sink.arg, "aaa");
	w->b->sink.remove(w->b->sink.arg, "zzz");
	inv = build(w);
	assert_string_equal(inv->workload[0]->id, "aaa");
	assert_string_equal(bh_labels_get(&inv->workload[0]->labels, "docker"), "aaa");
	bh_inventory_unref(inv);
	w->a->sink.remove(w->a->sink.arg, "aaa");
	inv = build(w);
	assert_string_equal(inv->workload[0]->id, "static:lab/x");
	bh_inventory_unref(inv);
}

static const char *namespace_now(struct world *w)
{
	static char buf[64];
	struct bh_inventory *inv = build(w);
	assert_int_equal(inv->n, 1);
	snprintf(buf, sizeof(buf), "%s", inv->workload[0]->namespace);
	bh_inventory_unref(inv);
	return buf;
}

/* What holds a pod's namespaces leaves open, those who live in it say; who joins a container does
 * not move it. */
static void test_namespace(void **state)
{
	static const char *const own[] = {"team", NULL}, *const none[] = {NULL};
	struct world *w = *state;
	w->a = add_source(w, "a");
	kernel_ns(0, "/n/1", 11, "192.0.2.11");
	struct bh_container *owner = container("one", "/n/1", NULL);
	owner->image = bh_xstrdup("web:1");
	upsert(w->a, owner);
	struct bh_container *joined = container("two", "/n/1", NULL);
	bh_labels_set(&joined->labels, "io.podman.compose.project", "Shop");
	bh_labels_set(&joined->labels, "team", "a");
	joined->joined = true;
	upsert(w->a, joined);
	assert_string_equal(namespace_now(w), "default");
	upsert(w->a, container("one", "/n/1", NULL)); /* without an image: a pod's */
	assert_string_equal(namespace_now(w), "shop");
	bh_inventory_mgr_set_namespace_labels(w->m, own);
	assert_string_equal(namespace_now(w), "a");
	bh_inventory_mgr_set_namespace_labels(w->m, none);
	assert_string_equal(namespace_now(w), "default");
	bh_inventory_mgr_set_namespace_labels(w->m, NULL);
	assert_string_equal(namespace_now(w), "shop");
	run_for(w, 5);
	w->told = 0;
	bh_inventory_mgr_set_namespace_labels(w->m, NULL); /* nothing new */
	run_for(w, 5);
	assert_int_equal(w->told, 0);
}

/* The image of one that joined another is the workload's too; what a second source says of the same
 * container, and what is the same image again, is not another. */
static void test_joined_images(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	w->b = add_source(w, "b");
	kernel_ns(0, "/n/1", 11, "192.0.2.11");
	static const char *const image[] = {"web:1", "proxy:2", "proxy:2", "web:1"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(image); i++) {
		bh_autofree char *id = bh_xasprintf("c%zu", i);
		struct bh_container *c = container(id, "/n/1", NULL);
		c->image = bh_xstrdup(image[i]);
		c->joined = i > 0;
		upsert(w->a, c);
	}
	struct bh_container *again = container("c0", "/n/1", NULL);
	again->image = bh_xstrdup("docker.io/library/web:1");
	upsert(w->b, again);
	struct bh_inventory *inv = build(w);
	assert_int_equal(inv->n, 1);
	assert_string_equal(inv->workload[0]->image, "web:1");
	assert_int_equal(inv->workload[0]->others.n, 1);
	assert_string_equal(inv->workload[0]->others.item[0].image, "proxy:2");
	bh_inventory_unref(inv);
	w->a->sink.remove(w->a->sink.arg, "c1");
	w->a->sink.remove(w->a->sink.arg, "c2");
	inv = build(w);
	assert_int_equal(inv->workload[0]->others.n, 0);
	bh_inventory_unref(inv);
}

static void test_generation(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	kernel.ns[0].path = "/n/1";
	kernel.ns[0].inode = 11;
	kernel.ns[0].addr = "192.0.2.11";
	upsert(w->a, container("one", "/n/1", NULL));
	struct bh_inventory *inv = build(w);
	uint64_t first = inv->workload[0]->generation;
	assert_true(first > 0);
	bh_inventory_unref(inv);
	upsert(w->a, container("one", "/n/1", "new-label"));
	inv = build(w);
	assert_int_equal(inv->workload[0]->generation, first); /* the same container */
	bh_inventory_unref(inv);
	w->a->sink.remove(w->a->sink.arg, "one");
	upsert(w->a, container("two", "/n/1", NULL)); /* the inode is recycled */
	inv = build(w);
	uint64_t second = inv->workload[0]->generation;
	assert_true(second > first);
	bh_inventory_unref(inv);
	w->a->sink.remove(w->a->sink.arg, "two");
	bh_inventory_unref(build(w));
	upsert(w->a, container("two", "/n/1", NULL));
	inv = build(w);
	assert_true(inv->workload[0]->generation > second);
	bh_inventory_unref(inv);
}

static void test_told(void **state)
{
	struct world *w = *state;
	assert_true(bh_inventory_mgr_synced(w->m)); /* no sources at all */
	run_for(w, 60);
	assert_int_equal(w->told, 1); /* the node itself */
	w->a = add_source(w, "a");
	assert_false(bh_inventory_mgr_synced(w->m));
	struct bh_source_status st[2];
	assert_int_equal(bh_inventory_mgr_sources(w->m, st, 2), 1);
	assert_false(st[0].ok);
	assert_true(strlen(st[0].message) > 0);
	w->a->sink.state(w->a->sink.arg, false, "broken");
	w->a->sink.sync(w->a->sink.arg, NULL, 0);
	assert_true(bh_inventory_mgr_synced(w->m));
	for (unsigned i = 0; i < 100; i++) {
		char id[8];
		snprintf(id, sizeof(id), "c%u", i);
		upsert(w->a, container(id, "/none", NULL));
	}
	run_for(w, 60);
	assert_int_equal(w->told, 2); /* once for all of them */
	assert_int_equal(bh_inventory_mgr_sources(w->m, st, 2), 1);
	assert_string_equal(st[0].name, "a");
	assert_string_equal(st[0].message, "broken");
	assert_int_equal(st[0].n_containers, 100);
	/* changes without a pause: told all the same, within the bound */
	uint64_t start = uv_hrtime();
	while (w->told < 4 && uv_hrtime() - start < 1000000000) {
		upsert(w->a, container("c1", "/none", NULL));
		uv_run(&w->loop, UV_RUN_ONCE);
	}
	assert_int_equal(w->told, 4);
}

static void expect(struct world *w, const char *name, const char *addr)
{
	struct bh_inventory *inv = build(w);
	struct bh_addr a;
	bh_addr_parse(addr, &a);
	int i = bh_inventory_owner(inv, &a);
	if (name)
		assert_string_equal(i < 0 ? "nobody" : inv->workload[i]->name, name);
	else
		assert_true(i < 0);
	bh_inventory_unref(inv);
}

static void put_ns(unsigned i, const char *path, const char *addr)
{
	kernel.ns[i].path = path;
	kernel.ns[i].inode = 11 + i;
	kernel.ns[i].addr = addr;
}

/* Only whom a notice is about is looked at, and only what is new is told of. */
static void test_notices(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	put_ns(0, "/n/1", "192.0.2.11");
	put_ns(1, "/n/2", "192.0.2.12");
	upsert(w->a, container("one", "/n/1", NULL));
	upsert(w->a, container("also", "/n/1", NULL));
	upsert(w->a, container("two", "/n/2", NULL));
	run_for(w, 60);
	bh_inventory_unref(build(w));
	unsigned told = w->told, inspections = kernel.inspections, looks = kernel.host_looks;
	bh_inventory_unref(build(w));
	ring();
	run_for(w, 60);
	assert_int_equal(kernel.inspections, inspections); /* cached */
	assert_int_equal(w->told, told); /* of no interest */
	notice(1);
	run_for(w, 60);
	assert_int_equal(kernel.inspections, inspections + 1);
	assert_int_equal(w->told, told); /* is what it was */
	kernel.ns[0].addr = "192.0.2.13";
	notice(0);
	run_for(w, 60);
	assert_int_equal(kernel.inspections, inspections + 3); /* both in that namespace */
	assert_int_equal(kernel.host_looks, looks);
	assert_int_equal(w->told, ++told);
	expect(w, "name-also", "192.0.2.13");
	notice_host();
	run_for(w, 60);
	assert_int_equal(w->told, told);
	assert_int_equal(kernel.host_looks, looks + 1);
	kernel.host_addr = "192.0.2.12";
	notice_host();
	run_for(w, 60);
	assert_int_equal(w->told, ++told);
	expect(w, NULL, "192.0.2.12");
	assert_int_equal(kernel.inspections, inspections + 3);
	w->a->sink.remove(w->a->sink.arg, "two");
	bh_inventory_unref(build(w));
	assert_int_equal(kernel.forgotten, 12);
}

static void test_lost(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	put_ns(0, "/n/1", "192.0.2.11");
	put_ns(1, "/n/2", "192.0.2.12");
	upsert(w->a, container("one", "/n/1", NULL));
	upsert(w->a, container("two", "/n/2", NULL));
	run_for(w, 60);
	bh_inventory_unref(build(w));
	unsigned told = w->told;
	kernel.ns[0].addr = "192.0.2.13";
	kernel.ns[1].addr = "192.0.2.14";
	kernel.host_addr = "192.0.2.15";
	notices_lost();
	run_for(w, 60);
	assert_true(w->told > told);
	expect(w, "name-one", "192.0.2.13");
	expect(w, "name-two", "192.0.2.14");
	struct bh_inventory *inv = build(w);
	assert_int_equal(inv->n_hosts, 2);
	bh_inventory_unref(inv);
}

/* The first notice after a time of quiet is looked at when the loop comes round, those after it
 * together; what a source says does not wait for them. */
static void test_at_once(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	put_ns(0, "/n/1", "192.0.2.11");
	upsert(w->a, container("one", "/n/1", NULL));
	run_for(w, 60);
	bh_inventory_unref(build(w));
	unsigned told = w->told, inspections = kernel.inspections;
	w->m->look_us = 250000; /* the next look but one waits for half a second */
	w->m->looked_at = 0;
	uv_update_time(&w->loop);
	uv_timer_stop(&w->beat); /* nothing else makes the loop go on */
	w->m->looked_at = uv_now(&w->loop) - BH_MGR_DELAY_MAX_MS;
	kernel.ns[0].addr = "192.0.2.13";
	notice(0);
	for (unsigned i = 0; i < 3; i++)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_int_equal(w->told, ++told);
	assert_int_equal(kernel.inspections, ++inspections);
	w->m->look_us = 250000;
	kernel.ns[0].addr = "192.0.2.14";
	for (unsigned i = 0; i < 5; i++) {
		notice(0);
		for (unsigned k = 0; k < 3; k++)
			uv_run(&w->loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(w->told, told);
	assert_int_equal(kernel.inspections, inspections);
	upsert(w->a, container("two", "/none", NULL));
	uv_run(&w->loop, UV_RUN_NOWAIT);
	uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_int_equal(w->told, told + 1);
	uv_timer_start(&w->beat, on_beat, 2, 2);
	run_for(w, 700);
	expect(w, "name-one", "192.0.2.14");
}

/* A notice that comes between a namespace's inspection and the inventory that has it. */
static void test_notice_between(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	put_ns(0, "/n/1", "192.0.2.11");
	upsert(w->a, container("one", "/n/1", NULL));
	run_for(w, 60);
	bh_inventory_unref(build(w));
	kernel.told[0] = true; /* is about the namespace it was … */
	kernel.ns[0].addr = "192.0.2.12";
	ring();
	uv_run(&w->loop, UV_RUN_NOWAIT);
	kernel.ns[0].inode = 99; /* … but it is another one when it is looked at */
	run_for(w, 60);
	kernel.ns[0].addr = "192.0.2.13";
	notice(0);
	run_for(w, 60);
	expect(w, "name-one", "192.0.2.13");
}

/* Without any notice: in its turn. */
static void test_walk(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	put_ns(0, "/n/1", "192.0.2.11");
	put_ns(1, "/n/2", "192.0.2.12");
	upsert(w->a, container("one", "/n/1", NULL));
	upsert(w->a, container("two", "/n/2", NULL));
	run_for(w, 60);
	bh_inventory_unref(build(w));
	unsigned inspections = kernel.inspections, told = w->told;
	kernel.ns[0].inode = 21; /* its path leads elsewhere */
	kernel.ns[0].addr = "192.0.2.21";
	for (unsigned i = 0; i < 2 * BH_MGR_ROUNDS; i++) {
		w->m->walk.timer_cb(&w->m->walk);
		assert_true(kernel.inspections <= inspections + 1); /* one after the other */
		inspections = kernel.inspections;
		if (i == 1)
			expect(w, "name-one", "192.0.2.21");
		if (i == 1)
			kernel.ns[1].addr = "192.0.2.22"; /* and of this nothing tells at all */
	}
	expect(w, "name-two", "192.0.2.22");
	assert_int_equal(w->told, told + 2);
}

/* A list that says what was known already costs no inspection. */
static void test_same_list(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	put_ns(0, "/n/1", "192.0.2.11");
	put_ns(1, "/n/2", "192.0.2.12");
	struct bh_container *list[] = {container("one", "/n/1", NULL),
		container("two", "/n/2", NULL), container("gone", "/n/1", NULL)};
	w->a->sink.sync(w->a->sink.arg, list, 3);
	struct bh_inventory *a = build(w);
	unsigned inspections = kernel.inspections;
	struct bh_container *again[] = {container("one", "/n/1", NULL),
		container("two", "/n/2", NULL), container("one", "/n/1", NULL)};
	w->a->sink.sync(w->a->sink.arg, again, 2);
	bh_container_free(again[2]);
	struct bh_inventory *b = build(w);
	assert_int_equal(kernel.inspections, inspections);
	assert_ptr_not_equal(a, b); /* "gone" named the workload */
	kernel.ns[1].inode = 22;
	struct bh_container *more[] = {container("one", "/n/1", "label"),
		container("two", "/n/2", NULL), container("two", "/n/2", NULL)};
	w->a->sink.sync(w->a->sink.arg, more, 3); /* one of them twice */
	struct bh_inventory *c = build(w);
	assert_int_equal(kernel.inspections, inspections + 2); /* it says otherwise; it moved */
	assert_int_equal(c->n, 2);
	bh_inventory_unref(a);
	bh_inventory_unref(b);
	bh_inventory_unref(c);
}

static void test_dead(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	upsert(w->a, container("one", "/n/1", NULL));
	struct bh_inventory *inv = build(w);
	assert_int_equal(inv->n, 0); /* it may have died a moment ago */
	bh_inventory_unref(inv);
	run_for(w, 60);
	unsigned told = w->told;
	run_for(w, BH_MGR_PERSISTS_MS + 1500);
	assert_int_equal(w->told, told + 1);
	inv = build(w);
	assert_int_equal(inv->n, 1);
	assert_non_null(strstr(inv->workload[0]->unenforceable, "/n/1"));
	assert_int_equal(inv->workload[0]->netns, 0);
	bh_inventory_unref(inv);
	kernel.ns[0].path = "/n/1";
	kernel.ns[0].inode = 11;
	kernel.ns[0].addr = "192.0.2.11";
	run_for(w, 1200);
	assert_int_equal(w->told, told + 2);
	inv = build(w);
	assert_null(inv->workload[0]->unenforceable);
	assert_int_equal(inv->workload[0]->n_ifaces, 1);
	bh_inventory_unref(inv);
}

/* A fault that is not the namespace's end does not take a workload away. */
static void test_passing_fault(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	kernel.ns[0].path = "/n/1";
	kernel.ns[0].inode = 11;
	kernel.ns[0].addr = "192.0.2.11";
	upsert(w->a, container("one", "/n/1", NULL));
	bh_inventory_unref(build(w));
	kernel.ns[0].err = -EINTR;
	kernel.host_err = -EINTR;
	notice_host();
	notice(0);
	run_for(w, 60);
	struct bh_inventory *inv = build(w);
	assert_int_equal(inv->n, 1);
	assert_int_equal(inv->workload[0]->n_ifaces, 1);
	assert_int_equal(inv->n_hosts, 1);
	assert_int_equal(inv->n_networks, 1);
	bh_inventory_unref(inv);
	/* unless it is about another namespace by now */
	notice(0);
	uv_run(&w->loop, UV_RUN_NOWAIT);
	kernel.ns[0].inode = 12;
	run_for(w, 60);
	inv = build(w);
	assert_int_equal(inv->n, 0);
	bh_inventory_unref(inv);
	unsigned told = w->told;
	kernel.ns[0].err = kernel.host_err = 0;
	run_for(w, 1200);
	assert_true(w->told > told); /* tried again without being asked */
	inv = build(w);
	assert_int_equal(inv->workload[0]->netns, 12);
	bh_inventory_unref(inv);
}

/* A recycled pid does not lend a container the namespace of a stranger. */
static void test_pid(void **state)
{
	struct world *w = *state;
	char path[40];
	w->a = add_source(w, "a");
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)getpid());
	kernel.ns[0].path = path;
	kernel.ns[0].inode = 11;
	kernel.ns[0].addr = "192.0.2.11";
	struct bh_container *c = container("one", NULL, NULL);
	c->pid = getpid();
	upsert(w->a, c);
	struct bh_inventory *inv = build(w);
	assert_int_equal(inv->n, 1);
	bh_inventory_unref(inv);
	struct bh_record *r = bh_idmap_get(&w->m->source[0]->records, "one");
	assert_true(r->start_time > 0);
	r->start_time--; /* as if the pid had belonged to an earlier process */
	notice(0);
	run_for(w, 60);
	inv = build(w);
	assert_int_equal(inv->n, 0);
	bh_inventory_unref(inv);
}

static const struct bh_workload *named(const struct bh_inventory *inv, const char *name)
{
	int i = bh_inventory_resolve(inv, name, NULL, 0, NULL);
	assert_true(i >= 0);
	return inv->workload[i];
}

/* A workload that did not change is the same object in the next inventory. */
static void test_same_objects(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	kernel.ns[0].path = "/n/1";
	kernel.ns[0].inode = 11;
	kernel.ns[0].addr = "192.0.2.11";
	kernel.ns[1].path = "/n/2";
	kernel.ns[1].inode = 12;
	kernel.ns[1].addr = "192.0.2.12";
	upsert(w->a, container("one", "/n/1", NULL));
	upsert(w->a, container("two", "/n/2", NULL));
	struct bh_inventory *a = build(w), *b = build(w), *c, *d, *e;
	assert_ptr_equal(a, b); /* nothing new at all */
	upsert(w->a, container("one", "/n/1", NULL)); /* told again, the same */
	upsert(w->a, container("two", "/n/2", "label"));
	c = build(w);
	assert_ptr_equal(named(a, "name-one"), named(c, "name-one"));
	assert_ptr_not_equal(named(a, "name-two"), named(c, "name-two"));
	assert_true(bh_inventory_same_frame(a, c));
	kernel.ns[0].addr = "192.0.2.13";
	w->declared = "kube-system";
	notice(0);
	run_for(w, 60);
	d = build(w);
	assert_ptr_not_equal(named(c, "name-one"), named(d, "name-one"));
	assert_ptr_equal(named(c, "name-two"), named(d, "name-two"));
	bh_inventory_mgr_settings_changed(w->m);
	e = build(w);
	assert_ptr_equal(named(d, "name-one"), named(e, "name-one"));
	assert_non_null(bh_inventory_namespace(e, "kube-system"));
	bh_inventory_unref(a);
	bh_inventory_unref(b);
	bh_inventory_unref(c);
	bh_inventory_unref(d);
	bh_inventory_unref(e);
}

static void add_one_and_two(struct world *w)
{
	w->a = add_source(w, "a");
	struct bh_container *one = container("one", "/n/1", NULL);
	one->namespace = bh_xstrdup("shop");
	free(one->runtime);
	one->runtime = bh_xstrdup("static"); /* shown without a namespace */
	upsert(w->a, one);
	struct bh_container *two = bh_container_copy(one);
	free(two->id);
	free(two->name);
	free(two->namespace);
	two->id = bh_xstrdup("two");
	two->name = bh_xstrdup("name-two");
	two->namespace = bh_xstrdup("blog");
	upsert(w->a, two);
}

/* A container that comes while it is meant is in quarantine from the first inventory on; another
 * list is another workload, an equal one is not. */
static void test_quarantine(void **state)
{
	struct world *w = *state;
	struct bh_quarantine *first = bh_quarantine_new(), *equal = bh_quarantine_new();
	w->quarantine = first;
	add_one_and_two(w);
	struct bh_inventory *a = build(w), *b, *c;
	assert_ptr_equal(named(a, "name-one")->quarantine, first);
	assert_null(named(a, "name-two")->quarantine);
	w->quarantine = equal;
	bh_inventory_mgr_settings_changed(w->m);
	b = build(w);
	assert_ptr_equal(named(a, "name-one"), named(b, "name-one"));
	w->quarantine = NULL;
	bh_inventory_mgr_settings_changed(w->m);
	c = build(w);
	assert_null(named(c, "name-one")->quarantine);
	assert_non_null(named(a, "name-one")->quarantine);
	assert_ptr_equal(named(a, "name-two"), named(c, "name-two"));
	bh_inventory_unref(a);
	bh_inventory_unref(b);
	bh_inventory_unref(c);
	assert_int_equal(equal->refs, 1);
	bh_quarantine_unref(first);
	bh_quarantine_unref(equal);
}

static void test_modes(void **state)
{
	struct world *w = *state;
	add_one_and_two(w);
	struct bh_inventory *a = build(w), *b, *c;
	assert_int_equal(named(a, "name-one")->mode, BH_MODE_LEARN);
	w->enforced = "shop";
	b = build(w);
	assert_ptr_equal(a, b); /* nobody said so */
	bh_inventory_mgr_settings_changed(w->m);
	c = build(w);
	assert_int_equal(named(a, "name-one")->mode, BH_MODE_LEARN);
	assert_int_equal(named(c, "name-one")->mode, BH_MODE_ENFORCE);
	assert_ptr_equal(named(a, "name-two"), named(c, "name-two"));
	bh_inventory_unref(a);
	bh_inventory_unref(b);
	bh_inventory_unref(c);
}

static int owner(const struct bh_inventory *inv, const char *text)
{
	struct bh_addr a;
	bh_addr_parse(text, &a);
	return bh_inventory_owner(inv, &a);
}

/* The node's own addresses and subnets: again after a notice, and when workloads are behind an
 * interface behind which none was; not for each workload. */
static void test_host(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	for (unsigned i = 0; i < 3; i++) {
		static const char *const path[] = {"/n/1", "/n/2", "/n/3"};
		kernel.ns[i].path = path[i];
		kernel.ns[i].inode = 11 + i;
		kernel.ns[i].addr = "192.0.2.11";
		kernel.ns[i].bridge = i < 2 ? 5 : 6;
	}
	upsert(w->a, container("one", "/n/1", NULL));
	bh_inventory_unref(build(w));
	unsigned looks = kernel.host_looks;
	upsert(w->a, container("two", "/n/2", NULL));
	bh_inventory_unref(build(w));
	assert_int_equal(kernel.host_looks, looks);
	upsert(w->a, container("three", "/n/3", NULL));
	bh_inventory_unref(build(w));
	assert_int_equal(kernel.host_looks, looks + 1);
	w->a->sink.remove(w->a->sink.arg, "one");
	bh_inventory_unref(build(w));
	assert_int_equal(kernel.host_looks, looks + 1);
	w->a->sink.remove(w->a->sink.arg, "three");
	bh_inventory_unref(build(w));
	assert_int_equal(kernel.host_looks, looks + 2);
	kernel.host_addr = "192.0.2.11"; /* from now on it is not the workload's */
	notice_host();
	run_for(w, 60);
	struct bh_inventory *inv = build(w);
	assert_int_equal(owner(inv, "192.0.2.11"), BH_OWNER_HOST);
	bh_inventory_unref(inv);
	kernel.host_addr = NULL;
	notice_host();
	run_for(w, 60);
	inv = build(w);
	assert_int_equal(owner(inv, "192.0.2.11"), 0);
	bh_inventory_unref(inv);
}

/* --- through long histories, what is built is what a manager that knows nothing yet builds --- */
static unsigned pick(unsigned n)
{
	static uint64_t seed = 7;
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(seed >> 33) % n;
}

static const char *const paths[] = {"/n/0", "/n/1", "/n/2", "/n/3", "/n/4", "/n/5", "/n/6", "/n/7"};

static struct bh_container *some_container(void)
{
	static const char *const labels[] = {"x", "y", NULL};
	char id[8];
	snprintf(id, sizeof(id), "id%u", pick(9));
	struct bh_container *c = container(id, paths[pick(8)], labels[pick(3)]);
	c->namespace = bh_xasprintf("ns%u", pick(3));
	c->joined = pick(3) == 0;
	if (pick(2)) {
		free(c->runtime);
		c->runtime = bh_xstrdup("static");
	}
	return c;
}

/* One more namespace is another, and mostly a notice says so. A path that comes or goes, or leads
 * elsewhere, gives none. */
static void change_kernel(struct world *w)
{
	static const char *const addrs[] = {"192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.1"};
	static const char *const subnets[] = {NULL, "192.0.2.0/29", "192.0.2.8/30"};
	unsigned i = pick(8);
	if (pick(3) == 0) {
		kernel.ns[i].path = pick(5) ? paths[i] : NULL;
		kernel.ns[i].inode = pick(8) ? 10 + pick(6) : OWN;
		bh_inventory_mgr_reload(w->m);
	}
	const char *addr = addrs[pick(4)], *more = pick(2) ? addrs[pick(4)] : NULL;
	unsigned bridge = pick(3);
	uint64_t since = pick(4);
	for (unsigned k = 0; k < 8; k++) { /* it may have several names */
		if (kernel.ns[k].inode != kernel.ns[i].inode)
			continue;
		kernel.ns[k].addr = addr;
		kernel.ns[k].more = more;
		kernel.ns[k].since = since;
		kernel.ns[k].bridge = bridge;
	}
	if (pick(4) == 0) {
		kernel.subnet[1 + pick(2)] = subnets[pick(3)];
		notice_host();
	}
	if (pick(4))
		notice(i);
	else
		notices_lost();
	if (pick(3) == 0)
		uv_run(&w->loop, UV_RUN_NOWAIT); /* heard, perhaps looked at */
}

/* Until all that was heard has been looked at, without waiting for it. */
static void settle(struct world *w)
{
	uv_timer_t *const t[] = {&w->m->look, &w->m->walk};
	do {
		uv_run(&w->loop, UV_RUN_NOWAIT);
		for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
			if (i == 0 ? uv_is_active((uv_handle_t *)t[i]) : w->m->hurry > 0) {
				uv_timer_stop(t[i]);
				t[i]->timer_cb(t[i]);
			}
		}
	} while (kernel.lost || kernel.told_host || w->m->heard_id.n > 0 || w->m->hurry > 0 ||
		 uv_is_active((uv_handle_t *)&w->m->look));
}

static struct bh_inventory *build_anew(struct world *w)
{
	struct world fresh = {.enforced = w->enforced, .declared = w->declared};
	uv_loop_init(&fresh.loop);
	assert_int_equal(bh_inventory_mgr_new(&fresh.loop, NULL, on_changed, &fresh, &fresh.m), 0);
	for (size_t i = 0; i < 2; i++) {
		struct bh_source *s = add_source(&fresh, "again");
		struct bh_idmap *records = &w->m->source[i]->records;
		bh_autofree void *list = bh_idmap_values(records);
		for (size_t k = 0; k < records->n; k++)
			upsert(s, bh_container_copy(((struct bh_record **)list)[k]->container));
	}
	struct bh_inventory *inv = build(&fresh);
	bh_inventory_mgr_free(fresh.m);
	uv_run(&fresh.loop, UV_RUN_DEFAULT);
	uv_loop_close(&fresh.loop);
	return inv;
}

static void same(const struct bh_inventory *a, const struct bh_inventory *b)
{
	assert_int_equal(a->n, b->n);
	assert_int_equal(a->n_conflicts, b->n_conflicts);
	assert_true(bh_inventory_same_frame(a, b));
	for (size_t i = 0; i < a->n; i++) {
		struct bh_workload *x = bh_workload_copy(a->workload[i]);
		assert_int_equal(x->generation == 0, b->workload[i]->generation == 0);
		x->generation = b->workload[i]->generation; /* counts what this manager saw */
		assert_true(bh_workload_equal(x, b->workload[i]));
		for (size_t k = 0; k < x->n_ifaces; k++)
			for (size_t n = 0; n < x->iface[k].n_addrs; n++)
				assert_int_equal(bh_inventory_owner(a, &x->iface[k].addr[n]),
					bh_inventory_owner(b, &x->iface[k].addr[n]));
		bh_workload_unref(x);
	}
}

/* One change of what sources say, of the kernel or of the settings. */
static void some_change(struct world *w)
{
	static const char *const names[] = {NULL, "ns0", "ns1", "elsewhere"};
	struct bh_source *s = pick(2) ? w->a : w->b;
	switch (pick(6)) {
	case 0:
		change_kernel(w);
		break;
	case 1: {
		struct bh_container *list[4];
		size_t n = pick(4);
		for (size_t i = 0; i < n; i++)
			list[i] = some_container();
		if (pick(8) == 0)
			s->sink.sync(s->sink.arg, list, n);
		else
			for (size_t i = 0; i < n; i++)
				upsert(s, list[i]);
		break;
	}
	case 2: {
		char id[8];
		snprintf(id, sizeof(id), "id%u", pick(9));
		s->sink.remove(s->sink.arg, id);
		break;
	}
	case 3:
		w->enforced = names[pick(4)];
		w->declared = names[pick(4)];
		bh_inventory_mgr_settings_changed(w->m);
		break;
	default:
		upsert(s, some_container());
	}
}

static void test_history(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	w->b = add_source(w, "b");
	size_t most = 0;
	for (unsigned i = 0; i < 3000; i++) {
		for (unsigned k = pick(4); k > 0; k--)
			some_change(w);
		if (pick(4) == 0)
			bh_inventory_unref(build(w)); /* before all is heard */
		settle(w);
		struct bh_inventory *inv = build(w), *anew = build_anew(w);
		same(inv, anew);
		most = inv->n > most ? inv->n : most;
		bh_inventory_unref(anew);
		bh_inventory_unref(inv);
	}
	assert_true(most >= 5);
}

/* --- what is whose --- */

static void ns(unsigned i, const char *path, const char *addr, unsigned bridge)
{
	kernel.ns[i].path = path;
	kernel.ns[i].inode = 10 + i;
	kernel.ns[i].addr = addr;
	kernel.ns[i].bridge = bridge;
	kernel.ns[i].port = 20 + i;
	kernel.ns[i].since = 1000 + i;
}

static void changed(struct world *w, unsigned i)
{
	notice(i);
	settle(w);
}

/* As they are now: "one: 10.0.0.1 10.0.0.9! ~5; …" – ! is refused, = declared, ~ the MAC (0: none
 * that counts), * owned by another. */
static void is_now(struct world *w, const char *const *name, const char *expected)
{
	bh_autobuf struct bh_buf b = {0};
	char text[BH_ADDR_STRLEN];
	struct bh_inventory *inv = build(w);
	for (; *name; name++) {
		const struct bh_workload *x = named(inv, *name);
		const struct bh_interface *f = &x->iface[0];
		bh_buf_printf(&b, "%s%s:", b.len ? "; " : "", *name + strlen("name-"));
		for (size_t k = 0; k < f->n_addrs; k++) {
			int owner = bh_inventory_owner(inv, &f->addr[k]);
			bh_buf_printf(&b, " %s%s%s", bh_addr_format(&f->addr[k], text),
				bh_interface_since(f, k) ? "" : "=",
				inv->workload[owner] == x ? "" : "*");
		}
		for (size_t k = 0; k < f->n_refused; k++)
			bh_buf_printf(&b, " %s!", bh_addr_format(&f->refused[k], text));
		bh_buf_printf(&b, " ~%u", f->mac[5]);
		assert_int_equal(f->mac_refused, f->refused_mac[5] != 0);
	}
	bh_inventory_unref(inv);
	assert_string_equal(b.s, expected);
}

static const char *const both[] = {"name-one", "name-two", NULL};

static void declare(struct bh_container *c, const char *text)
{
	struct bh_addr a;
	bh_addr_parse(text, &a);
	bh_container_declare(c, &a);
}

/* "one" comes before "two" by its name, which is no reason. */
static void test_first_holder(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	ns(0, "/n/1", "10.0.0.1", 0);
	ns(1, "/n/2", "10.0.0.2", 0);
	upsert(w->a, container("one", "/n/1", NULL));
	upsert(w->a, container("two", "/n/2", NULL));
	is_now(w, both, "one: 10.0.0.1 ~0; two: 10.0.0.2 ~0");
	kernel.ns[0].more = "10.0.0.2"; /* later */
	changed(w, 0);
	is_now(w, both, "one: 10.0.0.1 10.0.0.2* ~0; two: 10.0.0.2 ~0");
	kernel.ns[1].since = 5000; /* made again meanwhile */
	changed(w, 1);
	is_now(w, both, "one: 10.0.0.1 10.0.0.2 ~0; two: 10.0.0.2* ~0");
	struct bh_container *c = container("two", "/n/2", NULL);
	declare(c, "10.0.0.2");
	upsert(w->a, c);
	is_now(w, both, "one: 10.0.0.1 10.0.0.2* ~0; two: 10.0.0.2= ~0");
}

static void test_own_network(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	ns(0, "/n/1", "10.0.0.1", 3);
	ns(1, "/n/2", "10.0.0.2", 0); /* routed: nothing is known */
	kernel.ns[0].more = kernel.ns[1].more = "198.51.100.7";
	kernel.subnet[3] = "10.0.0.0/24";
	upsert(w->a, container("one", "/n/1", NULL));
	upsert(w->a, container("two", "/n/2", NULL));
	is_now(w, both, "one: 10.0.0.1 198.51.100.7! ~0; two: 10.0.0.2 198.51.100.7 ~0");
	assert_string_equal(
		w->claims, "name-one claims 198.51.100.7, which is not on its network\n");
	for (unsigned i = 0; i < 3; i++) { /* told of once */
		kernel.ns[0].more = i % 2 ? "198.51.100.7" : NULL;
		changed(w, 0);
		bh_inventory_unref(build(w));
	}
	kernel.ns[0].more = "fe80::7"; /* everywhere */
	changed(w, 0);
	is_now(w, both, "one: 10.0.0.1 fe80::7 ~0; two: 10.0.0.2 198.51.100.7 ~0");
	kernel.ns[0].more = "169.254.169.254"; /* is somebody's */
	changed(w, 0);
	is_now(w, both, "one: 10.0.0.1 169.254.169.254! ~0; two: 10.0.0.2 198.51.100.7 ~0");
	kernel.ns[0].more = "198.51.100.7";
	kernel.subnet[3] = "198.51.100.0/24";
	notice_host();
	changed(w, 0);
	is_now(w, both, "one: 198.51.100.7 10.0.0.1! ~0; two: 10.0.0.2 198.51.100.7* ~0");
	kernel.subnet[3] = NULL; /* nothing is known, and nobody but the node told of it */
	notice_host();
	settle(w);
	is_now(w, both, "one: 10.0.0.1 198.51.100.7 ~0; two: 10.0.0.2 198.51.100.7* ~0");
	kernel.subnet[3] = "10.0.0.0/24";
	struct bh_container *c = container("one", "/n/1", NULL);
	declare(c, "198.51.100.7");
	upsert(w->a, c);
	notice_host();
	settle(w);
	is_now(w, both, "one: 10.0.0.1 198.51.100.7= ~0; two: 10.0.0.2 198.51.100.7* ~0");
	assert_string_equal(w->claims,
		"name-one claims 198.51.100.7, which is not on its network\n"
		"name-one claims 169.254.169.254, which is not on its network\n"
		"name-one claims 10.0.0.1, which is not on its network\n");
}

/* That a subnet is another is found only when all workloads have been made. */
static void test_subnet_found_late(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	ns(0, "/n/1", "10.0.0.1", 3);
	ns(1, "/n/2", "10.0.0.2", 4);
	kernel.subnet[3] = "198.51.100.0/24";
	upsert(w->a, container("one", "/n/1", NULL));
	settle(w);
	is_now(w, (const char *const[]){"name-one", NULL}, "one: 10.0.0.1! ~0");
	settle(w);
	kernel.subnet[3] = "10.0.0.0/24"; /* no notice of it */
	upsert(w->a, container("two", "/n/2", NULL)); /* on another bridge: the node is looked at */
	settle(w);
	bh_inventory_unref(build(w));
	unsigned told = w->told;
	settle(w);
	assert_true(w->told > told);
	is_now(w, both, "one: 10.0.0.1 ~0; two: 10.0.0.2 ~0");
}

/* A container that claims without end is told of so many times. */
static void test_claims_bounded(void **state)
{
	struct world *w = *state;
	char addr[32];
	unsigned lines = 0;
	w->a = add_source(w, "a");
	ns(0, "/n/1", "10.0.0.1", 3);
	kernel.subnet[3] = "10.0.0.0/24";
	upsert(w->a, container("one", "/n/1", NULL));
	for (unsigned i = 0; i < 2 * BH_CLAIMS_TOLD; i++) {
		snprintf(addr, sizeof(addr), "198.51.100.%u", i);
		kernel.ns[0].more = addr;
		changed(w, 0);
		bh_inventory_unref(build(w));
	}
	for (const char *c = w->claims; *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, BH_CLAIMS_TOLD);
}

static void test_macs(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	ns(0, "/n/1", "10.0.0.1", 3);
	ns(1, "/n/2", "10.0.0.2", 3);
	kernel.ns[0].mac = 1;
	kernel.ns[1].mac = 2;
	upsert(w->a, container("one", "/n/1", NULL));
	upsert(w->a, container("two", "/n/2", NULL));
	is_now(w, both, "one: 10.0.0.1 ~1; two: 10.0.0.2 ~2");
	kernel.ns[0].mac = 2; /* the earlier name, and port */
	changed(w, 0);
	is_now(w, both, "one: 10.0.0.1 ~0; two: 10.0.0.2 ~2");
	assert_string_equal(w->claims, "name-one claims the MAC 00:00:00:00:00:02, which another "
				       "port of its bridge has\n");
	kernel.ns[0].bridge = 4; /* another bridge is another world */
	changed(w, 0);
	is_now(w, both, "one: 10.0.0.1 ~2; two: 10.0.0.2 ~2");
	kernel.ns[0].bridge = 3;
	changed(w, 0);
	is_now(w, both, "one: 10.0.0.1 ~0; two: 10.0.0.2 ~2");
	kernel.ns[1].mac = 7; /* given up */
	changed(w, 1);
	is_now(w, both, "one: 10.0.0.1 ~2; two: 10.0.0.2 ~7");
	kernel.ns[1].mac = 2;
	changed(w, 1);
	is_now(w, both, "one: 10.0.0.1 ~2; two: 10.0.0.2 ~0");
	struct bh_container *c = container("two", "/n/2", NULL);
	bh_container_declare_mac(c, (const uint8_t[6]){0, 0, 0, 0, 0, 2});
	upsert(w->a, c);
	is_now(w, both, "one: 10.0.0.1 ~0; two: 10.0.0.2 ~2");
	w->a->sink.remove(w->a->sink.arg, "two");
	is_now(w, (const char *const[]){"name-one", NULL}, "one: 10.0.0.1 ~2");
}

/* Both are new, as at the start: the port that was made first has it, whatever the names. */
static void test_macs_at_start(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	ns(0, "/n/1", "10.0.0.1", 3);
	ns(1, "/n/2", "10.0.0.2", 3);
	kernel.ns[0].mac = kernel.ns[1].mac = 5;
	kernel.ns[1].port = 19;
	upsert(w->a, container("one", "/n/1", NULL));
	upsert(w->a, container("two", "/n/2", NULL));
	is_now(w, both, "one: 10.0.0.1 ~0; two: 10.0.0.2 ~5");
}

static void put_file(const char *path, const char *text)
{
	bh_autofree char *tmp = bh_xasprintf("%s.new", path);
	bh_autofclose FILE *f = fopen(tmp, "w");
	assert_non_null(f);
	fputs(text, f);
	fflush(f);
	assert_int_equal(rename(tmp, path), 0);
}

static size_t count(struct world *w, struct bh_source_status *st)
{
	assert_int_equal(bh_inventory_mgr_sources(w->m, st, 1), 1);
	return st->n_containers;
}

static void test_static_file(void **state)
{
	struct world *w = *state;
	char dir[] = "/tmp/bh-test-static-XXXXXX";
	struct bh_source_status st;
	assert_non_null(mkdtemp(dir));
	bh_autofree char *sub = bh_xasprintf("%s/etc", dir);
	bh_autofree char *path = bh_xasprintf("%s/w.yaml", sub);
	bh_inventory_mgr_add(w->m, bh_source_static_new(&w->loop, path));
	assert_false(bh_inventory_mgr_synced(w->m));
	count(w, &st);
	assert_non_null(strstr(st.message, "No such file"));
	assert_int_equal(mkdir(sub, 0700), 0); /* the directory comes later */
	put_file(path, "workloads: [{name: a, netns: /n/a}]\n");
	run_for(w, 2300);
	assert_int_equal(count(w, &st), 1);
	assert_true(st.ok && bh_inventory_mgr_synced(w->m));
	run_for(w, 2300); /* from now on its directory is watched */
	put_file(path, "workloads: [{name: a, netns: /n/a}, {name: b, netns: /n/b}]\n");
	run_for(w, 300);
	assert_int_equal(count(w, &st), 2);
	put_file(path, "workloads: [{name: 7, netns: n}]\n");
	run_for(w, 300);
	assert_int_equal(count(w, &st), 2); /* the last good list */
	assert_false(st.ok);
	assert_non_null(strstr(st.message, "2 errors"));
	assert_non_null(strstr(st.message, "w.yaml:1:20: workloads[0].name"));
	assert_non_null(strstr(st.message, "workloads[0].netns"));
	unlink(path);
	bh_inventory_mgr_reload(w->m);
	assert_int_equal(count(w, &st), 2);
	assert_non_null(strstr(st.message, "No such file"));
	put_file(path, "workloads: []\n");
	run_for(w, 300);
	assert_int_equal(count(w, &st), 0);
	assert_true(st.ok);
	/* listed at once, although its namespace is not there (yet) */
	put_file(path, "workloads: [{name: a, namespace: shop, netns: /n/a}]\n");
	run_for(w, 300);
	struct bh_inventory *inv = build(w);
	assert_int_equal(inv->n, 1);
	assert_string_equal(inv->workload[0]->id, "static:shop/a");
	assert_non_null(strstr(inv->workload[0]->unenforceable, "/n/a does not exist"));
	bh_inventory_unref(inv);
	unlink(path);
	rmdir(sub);
	rmdir(dir);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_merge),
		T(test_richer),
		T(test_namespace),
		T(test_joined_images),
		T(test_generation),
		T(test_told),
		T(test_notices),
		T(test_lost),
		T(test_at_once),
		T(test_notice_between),
		T(test_walk),
		T(test_same_list),
		T(test_dead),
		T(test_passing_fault),
		T(test_pid),
		T(test_same_objects),
		T(test_modes),
		T(test_quarantine),
		T(test_host),
		T(test_history),
		T(test_first_holder),
		T(test_own_network),
		T(test_subnet_found_late),
		T(test_claims_bounded),
		T(test_macs),
		T(test_macs_at_start),
		T(test_static_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
