/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What sources say, read: the static file, the engine's answers, and the rule for namespaces. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <errno.h>
#include <netinet/in.h>

#include <bulkhead/diag.h>

#include "inventory/docker_json.h"
#include "inventory/idmap.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_namespace(void **state)
{
	static const struct {
		const char *own, *project, *label, *result;
	} all[] = {
		{NULL, NULL, NULL, "default"},
		{NULL, "shop", "other", "shop"},
		{NULL, NULL, "other", "other"},
		{"mine", "shop", "other", "mine"},
		{NULL, "My_Shop.v2", NULL, "my-shop-v2"},
		{NULL, "--x--", NULL, "x"},
		{NULL, "___", "other", "other"},
		{NULL, "", "", "default"},
		{NULL, "\xc3\xa4\xc3\xb6", NULL, "default"},
		{NULL, "a\nb", NULL, "a-b"},
		{NULL, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-b", NULL,
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
	};
	(void)state;
	for (size_t i = 0; i < BH_ARRAY_SIZE(all); i++) {
		struct bh_container *c = bh_container_new();
		c->namespace = bh_xstrdup(all[i].own);
		if (all[i].project)
			bh_labels_set(&c->labels, "com.docker.compose.project", all[i].project);
		if (all[i].label)
			bh_labels_set(&c->labels, "bulkhead.io/namespace", all[i].label);
		bh_autofree char *ns = bh_container_namespace(c, NULL);
		if (!bh_streq(ns ? ns : BH_NAMESPACE_DEFAULT, all[i].result))
			fail_msg("%zu: %s", i, ns);
		bh_container_free(c);
	}
}

static void declare(struct bh_container *c, const char *text)
{
	struct bh_addr a;
	assert_int_equal(bh_addr_parse(text, &a), 0);
	bh_container_declare(c, &a);
}

static void declares(const struct bh_container *c, size_t i, const char *text)
{
	char found[BH_ADDR_STRLEN];
	assert_true(i < c->n_addrs);
	assert_string_equal(bh_addr_format(&c->addr[i], found), text);
}

static void test_copy(void **state)
{
	(void)state;
	struct bh_container *c = bh_container_new();
	c->id = bh_xstrdup("i");
	c->name = bh_xstrdup("n");
	c->port = bh_xcalloc(1, sizeof(*c->port));
	c->port[0] = (struct bh_named_port){.name = bh_xstrdup("http"), .proto = 6, .port = 80};
	c->n_ports = 1;
	bh_labels_set(&c->labels, "a", "b");
	declare(c, "10.0.0.2");
	declare(c, "10.0.0.2");
	bh_container_declare_mac(c, (const uint8_t[6]){2, 0, 0, 0, 0, 1});
	assert_int_equal(c->n_addrs, 1);
	struct bh_container *d = bh_container_copy(c);
	assert_true(bh_container_equal(c, d));
	d->port[0].port = 81;
	assert_false(bh_container_equal(c, d));
	d->port[0].port = 80;
	declare(d, "fd00::2");
	assert_false(bh_container_equal(c, d));
	d->n_addrs--;
	d->addr[0].b[3] = 3;
	assert_false(bh_container_equal(c, d));
	d->addr[0].b[3] = 2;
	d->mac[0].b[5] = 2;
	assert_false(bh_container_equal(c, d));
	d->mac[0].b[5] = 1;
	assert_true(bh_container_equal(c, d));
	d->pid = 5;
	assert_false(bh_container_equal(c, d));
	bh_container_free(c);
	bh_container_free(d);
}

static void test_idmap(void **state)
{
	(void)state;
	struct bh_idmap m = {0};
	static int v[1000];
	char key[16];
	assert_null(bh_idmap_get(&m, "x"));
	assert_null(bh_idmap_remove(&m, "x"));
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "%04d", 999 - i);
		assert_null(bh_idmap_set(&m, key, &v[999 - i]));
	}
	assert_ptr_equal(bh_idmap_set(&m, "0007", &v[8]), &v[7]);
	assert_ptr_equal(bh_idmap_get(&m, "0007"), &v[8]);
	assert_ptr_equal(bh_idmap_remove(&m, "0007"), &v[8]);
	assert_null(bh_idmap_get(&m, "0007"));
	assert_int_equal(m.n, 999);
	bh_autofree void *list = bh_idmap_values(&m);
	int **sorted = list;
	for (size_t i = 1; i < m.n; i++)
		assert_true(sorted[i - 1] < sorted[i]);
	bh_idmap_finish(&m, NULL);
}

/* --- the static file --- */

struct parsed {
	int err;
	struct bh_container **c;
	size_t n;
	struct bh_diags diags;
	struct bh_buf text;
};

static struct parsed parse(const char *yaml)
{
	struct parsed p = {0};
	p.err = bh_static_parse("w.yaml", yaml, strlen(yaml), &p.diags, &p.c, &p.n);
	bh_diags_format(&p.diags, &p.text);
	return p;
}

static void parsed_finish(struct parsed *p)
{
	for (size_t i = 0; i < p->n; i++)
		bh_container_free(p->c[i]);
	free(p->c);
	bh_diags_finish(&p->diags);
	bh_buf_finish(&p->text);
}

static void test_static_good(void **state)
{
	(void)state;
	struct parsed p = parse("workloads:\n"
				"- name: web\n"
				"  namespace: shop\n"
				"  labels: {app: web, tier: \"1\", empty: \"\"}\n"
				"  image: nginx:1.25\n"
				"  netns: /run/netns/web\n"
				"  addresses: [10.0.0.2, \"fd00::2\"]\n"
				"  ports:\n"
				"  - {name: http, port: 80}\n"
				"  - {port: 53, protocol: UDP}\n"
				"- name: db\n"
				"  labels: {com.docker.compose.project: Shop}\n"
				"  netns: /run/netns/db\n");
	if (p.err)
		fail_msg("%s", p.text.s);
	assert_int_equal(p.n, 2);
	const struct bh_container *c = p.c[0];
	assert_string_equal(c->id, "static:shop/web");
	assert_string_equal(c->runtime, "static");
	assert_string_equal(c->name, "web");
	assert_string_equal(c->namespace, "shop");
	assert_string_equal(c->image, "nginx:1.25");
	assert_string_equal(c->netns_path, "/run/netns/web");
	assert_int_equal(c->pid, 0);
	assert_string_equal(bh_labels_get(&c->labels, "tier"), "1");
	assert_int_equal(c->n_addrs, 2);
	declares(c, 0, "10.0.0.2");
	declares(c, 1, "fd00::2");
	assert_int_equal(c->n_ports, 2);
	assert_string_equal(c->port[0].name, "http");
	assert_int_equal(c->port[0].proto, IPPROTO_TCP);
	assert_null(c->port[1].name);
	assert_int_equal(c->port[1].proto, IPPROTO_UDP);
	assert_int_equal(c->port[1].port, 53);
	assert_string_equal(p.c[1]->id, "static:shop/db");
	assert_null(p.c[1]->namespace);
	parsed_finish(&p);
	p = parse("workloads: []\n");
	assert_int_equal(p.err, 0);
	assert_int_equal(p.n, 0);
	parsed_finish(&p);
}

static void test_static_bad(void **state)
{
	static const struct {
		const char *yaml, *says;
		size_t errors;
	} all[] = {
		{"", "the file is empty", 1},
		{"---\n", "the file is empty", 1},
		{"workloads: []\n---\nworkloads: []\n", "2 documents", 1},
		{"[]\n", "w.yaml:1:1", 1},
		{"workload: []\n", "workloads", 2},
		{"workloads: {}\n", "w.yaml:1:12: workloads:", 1},
		{"workloads: [x]\n", "workloads[0]", 1},
		{"workloads: [{}]\n", "workloads[0].name: is missing", 2},
		{"workloads: [{name: a}]\n", "workloads[0].netns: is missing", 1},
		{"workloads: [{name: a, netns: run/a}]\n", "absolute", 1},
		{"workloads: [{name: 1, netns: /a}]\n", "workloads[0].name", 1},
		{"workloads: [{name: -a, netns: /a}]\n", "not a good name", 1},
		{"workloads: [{name: a, netns: /a, namespace: A_b}]\n", "namespace's name", 1},
		{"workloads: [{name: a, netns: /a, nets: x}]\n", "nets", 1},
		{"workloads: [{name: a, netns: /a, image: 'a b'}]\n", "image reference", 1},
		{"workloads: [{name: a, netns: /a, labels: [x]}]\n", "labels", 1},
		{"workloads: [{name: a, netns: /a, labels: {a b: c}}]\n", "labels[", 1},
		{"workloads: [{name: a, netns: /a, labels: {a: true}}]\n", "labels[", 1},
		{"workloads: [{name: a, netns: /a, labels: {a: 'b c'}}]\n", "labels[", 1},
		{"workloads: [{name: a, netns: /a, ports: [{name: HTTP, port: 0}]}]\n",
			"ports[0].port", 2},
		{"workloads: [{name: a, netns: /a, ports: [{port: 1, protocol: tcp}]}]\n",
			"write TCP, UDP or SCTP", 1},
		{"workloads: [{name: a, netns: /a, ports: [{name: x, port: 1}, {name: x, port: 2}]}"
		 "]\n",
			"another port has this name", 1},
		{"workloads: [{name: a, netns: /a, addresses: [10.0.0.2/24, x]}]\n",
			"addresses[0]: is not an address", 2},
		{"workloads: [{name: a, netns: /a, addresses: 10.0.0.2}]\n", "addresses", 1},
		{"workloads: [{name: a, netns: /a}, {name: a, netns: /b}]\n",
			"default/a is listed twice", 1},
		{"workloads: [{name: a, namespace: default, netns: /a}, {name: a, netns: /b}]\n",
			"listed twice", 1},
		{"workloads: [{name: a, netns: \"/a\\0b\"}]\n", "netns", 1},
		{"workloads: [{name: a, netns: /a\n", "w.yaml:", 1},
	};
	(void)state;
	for (size_t i = 0; i < BH_ARRAY_SIZE(all); i++) {
		struct parsed p = parse(all[i].yaml);
		if (p.err != -EINVAL || p.diags.n_errors != all[i].errors ||
			!strstr(p.text.s, all[i].says))
			fail_msg("%s gave %d, %zu errors:\n%s", all[i].yaml, p.err,
				p.diags.n_errors, p.text.s);
		assert_null(p.c);
		parsed_finish(&p);
	}
}

/* --- the engine's answers --- */

static int container(const char *json, struct bh_docker_container *ret, struct bh_fault *f)
{
	return bh_docker_parse_container(json, strlen(json), "docker", ID, ret, f);
}

static void test_container_good(void **state)
{
	struct bh_docker_container c = {0};
	struct bh_fault f;
	(void)state;
	assert_int_equal(container("{\"Id\":\"" ID "\",\"Name\":\"/web\",\"Image\":\"" ID "\","
				   "\"State\":{\"Running\":true,\"Pid\":42},"
				   "\"HostConfig\":{\"NetworkMode\":\"container:" ID "\"},"
				   "\"Config\":{\"Image\":\"web\",\"Labels\":{\"a\":\"b\","
				   "\"not a key\":\"c\",\"bulkhead.io/name\":\"db\"}}}",
				 &c, &f),
		0);
	assert_string_equal(c.image_id, ID);
	assert_true(c.container->joined);
	assert_int_equal(c.container->labels.n, 2);
	bh_container_free(c.container);
	/* the least that will do: names and labels may be absent, or of a kind we can't use */
	assert_int_equal(container("{\"Id\":\"" ID "\",\"Name\":\"/../\",\"Image\":7,"
				   "\"State\":{\"Running\":true,\"Pid\":42},"
				   "\"Config\":{\"Image\":\"x\\u001b\",\"Labels\":null}}",
				 &c, &f),
		0);
	assert_string_equal(c.container->name, "0123456789ab");
	assert_null(c.container->image);
	assert_string_equal(c.image_id, "");
	bh_container_free(c.container);
	assert_int_equal(
		container("{\"Id\":\"" ID "\",\"State\":{\"Running\":true,\"Pid\":0}}", &c, &f), 0);
	assert_null(c.container); /* being restarted */
}

/* What the engine says that it gave. Anything else is passed over. */
static void test_container_networks(void **state)
{
	struct bh_docker_container c = {0};
	struct bh_fault f;
	(void)state;
	assert_int_equal(
		container("{\"Id\":\"" ID "\",\"State\":{\"Running\":true,\"Pid\":42},"
			  "\"NetworkSettings\":{\"Networks\":{\"shop\":{"
			  "\"IPAddress\":\"172.18.0.2\",\"GlobalIPv6Address\":\"fd00:18::2\","
			  "\"MacAddress\":\"02:42:ac:12:00:02\"},"
			  "\"old\":{\"IPAddress\":\"172.19.0.2\",\"GlobalIPv6Address\":"
			  "\"\",\"MacAddress\":\"\"},\"odd\":{\"IPAddress\":7,"
			  "\"GlobalIPv6Address\":\"fd00::2/64\",\"MacAddress\":"
			  "\"02:42:ac:12:00:+2\"},\"none\":[]}}}",
			&c, &f),
		0);
	assert_int_equal(c.container->n_addrs, 3);
	declares(c.container, 0, "172.18.0.2");
	declares(c.container, 1, "fd00:18::2");
	declares(c.container, 2, "172.19.0.2");
	assert_int_equal(c.container->n_macs, 1);
	assert_memory_equal(c.container->mac[0].b, "\x02\x42\xac\x12\x00\x02", 6);
	bh_container_free(c.container);
	assert_int_equal(container("{\"Id\":\"" ID "\",\"State\":{\"Running\":true,\"Pid\":42},"
				   "\"NetworkSettings\":{\"Networks\":[1]}}",
				 &c, &f),
		0);
	assert_int_equal(c.container->n_addrs, 0);
	bh_container_free(c.container);
}

static void test_container_bad(void **state)
{
	static const char *const all[] = {
		"",
		"null",
		"[]",
		"{}",
		"{\"Id\":\"" ID "\"}",
		"{\"Id\":\"" ID "\",\"State\":[]}",
		"{\"Id\":\"" ID "\",\"State\":{\"Running\":\"true\",\"Pid\":1}}",
		"{\"Id\":\"" ID "\",\"State\":{\"Running\":true}}",
		"{\"Id\":\"" ID "\",\"State\":{\"Running\":true,\"Pid\":-1}}",
		"{\"Id\":\"" ID "\",\"State\":{\"Running\":true,\"Pid\":1.5}}",
		"{\"Id\":\"" ID "\",\"State\":{\"Running\":true,\"Pid\":\"1\"}}",
		"{\"Id\":\"" ID "\",\"State\":{\"Running\":true,\"Pid\":1e300}}",
		"{\"Id\":\"x" ID "\",\"State\":{\"Running\":true,\"Pid\":1}}",
		"{\"Id\":\"a123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\","
		"\"State\":{\"Running\":true,\"Pid\":1}}", /* another's */
		"{\"Id\":\"" ID "\",\"State\":{\"Running\":true,\"Pid\":1},\"Config\":{"
		"\"Labels\":[]}}",
		"{\"Id\":\"" ID "\",\"State\":{\"Running\":true,\"Pid\":1},\"Config\":{"
		"\"Labels\":{\"a\":1}}}",
		"{\"Id\":\"" ID "\",\"Id\":\"" ID "\",\"State\":{\"Running\":true,\"Pid\":1}}",
	};
	struct bh_docker_container c = {0};
	struct bh_fault f;
	(void)state;
	for (size_t i = 0; i < BH_ARRAY_SIZE(all); i++) {
		f.text[0] = '\0';
		if (container(all[i], &c, &f) != -EINVAL)
			fail_msg("taken: %s", all[i]);
		assert_true(strlen(f.text) > 0);
		assert_null(c.container);
	}
}

static void test_labels_bounded(void **state)
{
	struct bh_docker_container c = {0};
	struct bh_fault f;
	(void)state;
	for (unsigned n = BH_DOCKER_MAX_HEARD_LABELS; n <= BH_DOCKER_MAX_HEARD_LABELS + 1; n++) {
		bh_autobuf struct bh_buf b = {0};
		bh_buf_str(&b, "{\"Id\":\"" ID "\",\"State\":{\"Running\":true,\"Pid\":1},"
			       "\"Config\":{\"Labels\":{\"not a key\":\"\"");
		bh_buf_str(&b, ",\"l0\":\"a\\u0000b\"");
		for (unsigned i = 1; i < n; i++)
			bh_buf_printf(&b, ",\"l%u\":\"%0*u\"", i, i < 100 ? 5000 : 1, i);
		bh_buf_str(&b, "}}}");
		int r = container(b.s, &c, &f);
		assert_int_equal(r, n > BH_DOCKER_MAX_HEARD_LABELS ? -E2BIG : 0);
		if (r)
			continue;
		assert_int_equal(c.container->labels.n, n);
		assert_int_equal(strlen(bh_labels_get(&c.container->labels, "l7")), 4096);
		assert_string_equal(bh_labels_get(&c.container->labels, "l0"), "a?b");
		bh_container_free(BH_TAKE_PTR(c.container));
	}
}

static void set_many(struct bh_labels *l, const char *prefix, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		bh_autofree char *key = bh_xasprintf("%s%u", prefix, i);
		bh_labels_set(l, key, "x");
	}
}

/* A container's own labels always count; its image's as far as there is room, or not at all. */
static void test_labels_of_images(void **state)
{
	(void)state;
	struct bh_labels image = {0}, own = {0};
	struct bh_fault f;
	set_many(&image, "a", 300); /* before all others */
	bh_labels_set(&image, "app", "web");
	bh_labels_set(&image, "tier", "front");
	bh_labels_copy(&own, &image);
	bh_labels_set(&own, "app", "db"); /* given when it was made */
	set_many(&own, "own", 200);
	assert_int_equal(bh_docker_settle_labels(&own, &image, false, &f), 0);
	assert_int_equal(own.n, BH_DOCKER_MAX_LABELS);
	assert_string_equal(bh_labels_get(&own, "app"), "db");
	assert_non_null(bh_labels_get(&own, "own199"));
	assert_null(bh_labels_get(&own, "tier"));
	bh_labels_set(&own, "tier", "front");
	assert_int_equal(bh_docker_settle_labels(&own, &image, true, &f), 0);
	assert_int_equal(own.n, 201);
	assert_null(bh_labels_get(&own, "tier"));
	bh_labels_finish(&own);
	/* what is long gives way to what a selector can name */
	bh_autofree char *text = bh_xcalloc(4001, 1);
	memset(text, 'x', 4000);
	for (const char *key = "bcdefg"; *key; key++)
		bh_labels_set(&image, (char[]){*key, '\0'}, text);
	bh_labels_copy(&own, &image);
	bh_labels_set(&own, "zz", text);
	assert_int_equal(bh_docker_settle_labels(&own, &image, false, &f), 0);
	assert_int_equal(own.n, BH_DOCKER_MAX_LABELS);
	assert_non_null(bh_labels_get(&own, "zz"));
	assert_null(bh_labels_get(&own, "b"));
	bh_labels_finish(&own);
	for (const char *key = "bcdefg"; *key; key++)
		bh_labels_set(&own, (char[]){*key, '\0'}, text);
	bh_labels_set(&own, "app", "web");
	bh_labels_set(&own, "own", text);
	assert_int_equal(bh_docker_settle_labels(&own, &image, false, &f), 0);
	assert_non_null(bh_labels_get(&own, "app"));
	assert_non_null(bh_labels_get(&own, "d"));
	assert_null(bh_labels_get(&own, "e")); /* 16 KiB are full */
	set_many(&own, "more", 257);
	size_t n = own.n;
	assert_int_equal(bh_docker_settle_labels(&own, &image, false, &f), -E2BIG);
	assert_int_equal(own.n, n);
	bh_labels_finish(&own);
	bh_labels_finish(&image);
}

/* Compose says the same of images that it builds as of containers that it makes. */
static void test_labels_of_composed_images(void **state)
{
	(void)state;
	static const char project[] = "com.docker.compose.project";
	static const char hash[] = "com.docker.compose.config-hash";
	static const char of[] = "com.docker.compose.image";
	for (int made = 0; made < 4; made++) {
		struct bh_labels image = {0}, own = {0};
		struct bh_fault f;
		bh_labels_set(&image, project, "shop");
		bh_labels_set(&image, "bulkhead.io/namespace", "shop");
		if (made >= 2) /* an image that claims it */
			bh_labels_set(&image, hash, "ab12");
		bh_labels_copy(&own, &image);
		if (made)
			bh_labels_set(&own, hash, "ab12");
		if (made == 3) /* who knows the hash in advance does not know his own id */
			bh_labels_set(&own, of, "sha256:" ID);
		assert_int_equal(bh_docker_settle_labels(&own, &image, true, &f), 0);
		assert_int_equal(bh_labels_get(&own, project) != NULL, made == 1 || made == 3);
		assert_null(bh_labels_get(&own, "bulkhead.io/namespace"));
		bh_labels_finish(&own);
		bh_labels_finish(&image);
	}
}

/* An image that has what its container was given, and much before it, does not move it. */
static void test_place_is_not_crowded_out(void **state)
{
	(void)state;
	static const char *const place[] = {"bulkhead.io/namespace", "com.docker.compose.project",
		"com.docker.compose.service", "io.podman.compose.project"};
	struct bh_labels image = {0}, own = {0};
	struct bh_fault f;
	set_many(&image, "a", 300);
	set_many(&image, "bulkhead.io/a", 300);
	for (size_t i = 0; i < BH_ARRAY_SIZE(place); i++)
		bh_labels_set(&image, place[i], "shop");
	bh_labels_copy(&own, &image);
	assert_int_equal(bh_docker_settle_labels(&own, &image, false, &f), 0);
	assert_int_equal(own.n, BH_DOCKER_MAX_LABELS);
	for (size_t i = 0; i < BH_ARRAY_SIZE(place); i++)
		assert_non_null(bh_labels_get(&own, place[i]));
	bh_labels_finish(&own);
	bh_labels_finish(&image);
}

static void test_list(void **state)
{
	bh_docker_id *list = NULL;
	size_t n = 9;
	struct bh_fault f;
	(void)state;
	const char *good = "[{\"Id\":\"" ID "\"},{\"Id\":\"" ID "\"},{\"Id\":\"00" ID "\"}]";
	assert_int_equal(bh_docker_parse_list(good, strlen(good), &list, &n, &f), -EINVAL);
	assert_string_equal(f.text, "[2].Id is not a container id");
	good = "[{\"Id\":\"" ID "\"},{\"Id\":\"" ID "\"}]";
	assert_int_equal(bh_docker_parse_list(good, strlen(good), &list, &n, &f), 0);
	assert_int_equal(n, 1);
	assert_string_equal(list[0], ID);
	free(list);
	bh_autobuf struct bh_buf deep = {0};
	for (unsigned i = 0; i < 100000; i++)
		bh_buf_str(&deep, "[");
	assert_int_equal(bh_docker_parse_list(deep.s, deep.len, &list, &n, &f), -EINVAL);
}

static void test_event(void **state)
{
	static const struct {
		const char *json;
		int result;
	} all[] = {
		{"{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"" ID "\"}}", 1},
		{"{\"Type\":\"container\",\"Action\":\"died\",\"Actor\":{\"ID\":\"" ID "\"}}", 1},
		{"{\"Type\":\"container\",\"Action\":\"pause\",\"Actor\":{\"ID\":\"" ID "\"}}", 0},
		{"{\"Type\":\"image\",\"Action\":\"start\",\"Actor\":{\"ID\":\"" ID "\"}}", 0},
		{"{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"ID\":\"x\","
		 "\"Attributes\":{\"container\":\"" ID "\"}}}",
			1},
		{"{\"Type\":\"network\",\"Action\":\"create\",\"Actor\":{}}", 0},
		{"{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"ID\":\"" ID "\"}}",
			1}, /* Podman's */
		{"{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"ID\":\"shop\"}}",
			-EINVAL},
		{"{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"ID\":\"" ID "\","
		 "\"Attributes\":{\"container\":7}}}",
			-EINVAL},
		{"{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"..\"}}",
			-EINVAL},
		{"{\"Type\":1,\"Action\":\"start\",\"Actor\":{\"ID\":\"" ID "\"}}", -EINVAL},
		{"{\"message\":\"no\"}", -EINVAL},
		{"[]", -EINVAL},
		{"<html>", -EINVAL},
	};
	(void)state;
	for (size_t i = 0; i < BH_ARRAY_SIZE(all); i++) {
		bh_docker_id id = "";
		struct bh_fault f;
		int r = bh_docker_parse_event(all[i].json, strlen(all[i].json), id, &f);
		if (r != all[i].result)
			fail_msg("%s gave %d", all[i].json, r);
		assert_string_equal(id, r == 1 ? ID : "");
	}
}

static void test_image(void **state)
{
	static const struct {
		const char *json, *digest;
	} all[] = {
		{"{\"RepoDigests\":[\"b@sha256:" ID "\"]}", "sha256:" ID},
		{"{\"RepoDigests\":[\"b@sha256:" ID "0\",\"b@md5:00\",{}]}", NULL},
		{"{\"RepoDigests\":{}}", NULL},
		{"{\"RepoDigests\":null}", NULL},
		{"{}", NULL},
	};
	struct bh_fault f;
	(void)state;
	for (size_t i = 0; i < BH_ARRAY_SIZE(all); i++) {
		struct bh_docker_image d = {0};
		assert_int_equal(
			bh_docker_parse_image(all[i].json, strlen(all[i].json), &d, &f), 0);
		assert_true(bh_streq(d.digest, all[i].digest));
		bh_docker_image_finish(&d);
	}
	struct bh_docker_image d = {0};
	assert_int_equal(bh_docker_parse_image("[]", 2, &d, &f), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_namespace),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_idmap),
		cmocka_unit_test(test_static_good),
		cmocka_unit_test(test_static_bad),
		cmocka_unit_test(test_container_good),
		cmocka_unit_test(test_container_networks),
		cmocka_unit_test(test_container_bad),
		cmocka_unit_test(test_labels_bounded),
		cmocka_unit_test(test_labels_of_images),
		cmocka_unit_test(test_labels_of_composed_images),
		cmocka_unit_test(test_place_is_not_crowded_out),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_event),
		cmocka_unit_test(test_image),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
