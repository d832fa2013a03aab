/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manager: what sources say is merged into one inventory; and the static source's file. */
#include <sys/stat.h>

#include "lib/inventory_world.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_merge),
		T(test_richer),
		T(test_namespace),
		T(test_joined_images),
		T(test_generation),
		T(test_told),
		T(test_same_objects),
		T(test_modes),
		T(test_quarantine),
		T(test_static_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
