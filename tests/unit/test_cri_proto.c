/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a CRI runtime answers, read: good answers, odd ones, and hostile ones. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <errno.h>

#include "inventory/cri_proto.h"
#include "lib/pb.h"

#define HEX "000000000000000000000000000000000000000000000000000000000000000"
#define SPEC "\"runtimeSpec\":{\"linux\":{\"namespaces\":"
#define GOOD_INFO                                                                                  \
	"{\"pid\":5," SPEC                                                                         \
	"[{\"type\":\"ipc\"},{\"type\":\"network\",\"path\":\"/run/netns/a\"}]}}}"

static struct bh_fault fault;

/* A pod's status in parts that tests change. */
struct status {
	const char *id, *name, *namespace, *info;
	int state, mode;
	struct bh_buf labels, network; /* fields of the status; taken */
};

static struct bh_container *parse(struct status *t, int want)
{
	struct bh_buf b = {0}, s = {0}, m = {0}, l = {0}, n = {0}, o = {0};
	struct bh_container *c = NULL;
	pb_text(&s, 1, t->id ? t->id : "one");
	if (t->name)
		pb_text(&m, 1, t->name);
	if (t->namespace)
		pb_text(&m, 3, t->namespace);
	pb_message(&s, 2, &m);
	pb_int(&s, 3, (uint64_t)t->state);
	pb_int(&s, 4, 1700000000000000000u);
	pb_int(&o, 1, (uint64_t)t->mode);
	pb_message(&n, 2, &o);
	pb_message(&l, 1, &n);
	pb_message(&s, 6, &l);
	if (t->network.len)
		pb_message(&s, 5, &t->network);
	if (t->labels.len)
		bh_buf_add(&s, t->labels.s, t->labels.len);
	bh_buf_finish(&t->labels);
	pb_message(&b, 1, &s);
	pb_entry(&b, 2, "other", "not JSON");
	if (t->info)
		pb_entry(&b, 2, "info", t->info);
	fault.text[0] = '\0';
	assert_int_equal(bh_cri_parse_pod((uint8_t *)b.s, b.len, "one", &c, &fault), want);
	assert_true(!want == !fault.text[0]);
	bh_buf_finish(&b);
	return c;
}

static void test_pod(void **state)
{
	(void)state;
	struct status t = {.name = "web-0", .namespace = "shop", .info = GOOD_INFO};
	struct bh_buf ip = {0};
	pb_entry(&t.labels, 7, "app", "web");
	pb_entry(&t.labels, 7, "empty", "");
	pb_entry(&t.labels, 7, "io.kubernetes.pod.name", "web-0");
	pb_entry(&t.labels, 7, "io.kubernetes.pod.namespace", "shop");
	pb_entry(&t.labels, 7, "io.kubernetes.pod.uid", "u");
	pb_entry(&t.labels, 7, "no label!", "x");
	pb_entry(&t.labels, 7, "app", "api"); /* the last one counts, as in any map */
	pb_text(&t.network, 1, "10.0.0.1");
	pb_text(&ip, 1, "fd00::1");
	pb_message(&t.network, 2, &ip);
	pb_text(&ip, 1, "10.0.0.");
	pb_message(&t.network, 2, &ip);
	struct bh_container *c = parse(&t, 0);
	assert_string_equal(c->id, "one");
	assert_string_equal(c->name, "web-0");
	assert_string_equal(c->namespace, "shop");
	assert_int_equal(c->labels.n, 2);
	assert_string_equal(bh_labels_get(&c->labels, "app"), "api");
	assert_string_equal(bh_labels_get(&c->labels, "empty"), "");
	assert_int_equal(c->n_addrs, 2);
	assert_int_equal(c->pid, 5);
	assert_string_equal(c->netns_path, "/run/netns/a");
	bh_container_free(c);
	/* not ready: nobody */
	t = (struct status){.info = GOOD_INFO, .state = 1};
	assert_null(parse(&t, 0));
}

static void test_identity(void **state)
{
	(void)state;
	struct status t = {.name = "../etc", .info = GOOD_INFO};
	struct bh_container *c = parse(&t, 0);
	assert_string_equal(c->name, "one"); /* the id's beginning */
	assert_null(c->namespace);
	bh_container_free(c);
	t = (struct status){.id = "two", .info = GOOD_INFO};
	parse(&t, -EINVAL);
	assert_non_null(strstr(fault.text, "not about this pod"));
	bh_autofree char *long_name = bh_xcalloc(1, 300);
	memset(long_name, 'a', 299);
	t = (struct status){.name = long_name, .namespace = long_name, .info = GOOD_INFO};
	c = parse(&t, 0);
	assert_string_equal(c->name, "one");
	assert_null(c->namespace);
	bh_container_free(c);
}

static void test_labels_are_text(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {{"db\0x", 4}, {"\xff", 1}, {"\xc0\x80", 2}, {"a\xed\xa0\x80", 4}};
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		struct status t = {.info = GOOD_INFO};
		struct bh_buf e = {0};
		pb_text(&e, 1, "app");
		pb_bytes(&e, 2, bad[i].bytes, bad[i].len);
		pb_message(&t.labels, 7, &e);
		parse(&t, -EINVAL);
		assert_non_null(strstr(fault.text, "label app is not text"));
	}
	struct status t = {.info = GOOD_INFO};
	for (unsigned i = 0; i <= BH_CRI_MAX_LABELS; i++) {
		bh_autofree char *key = bh_xasprintf("k%u", i);
		pb_entry(&t.labels, 7, key, "v");
	}
	parse(&t, -E2BIG);
	assert_non_null(strstr(fault.text, "more than 256 labels"));
}

/* Where it is: a path, else a process; in the node's network, that. */
static void test_namespace(void **state)
{
	(void)state;
	static const struct {
		const char *info, *path, *says;
		int mode, pid, err;
	} all[] = {
		{GOOD_INFO, "/run/netns/a", NULL, 0, 5, 0},
		{"{\"pid\":5}", "/proc/5/ns/net", NULL, 0, 5, 0},
		{"{" SPEC "[{\"type\":\"network\",\"path\":\"/run/netns/b\"}]}}}", "/run/netns/b",
			NULL, 0, 0, 0},
		{"{\"pid\":5," SPEC "[{\"type\":\"network\"}]}}}", "/proc/5/ns/net", NULL, 0, 5, 0},
		{GOOD_INFO, "/proc/5/ns/net", NULL, 2, 5, 0},
		{"{}", "/proc/self/ns/net", NULL, 2, 0, 0},
		{NULL, "/proc/self/ns/net", NULL, 2, 0, 0},
		{"{}", NULL, "neither its process nor", 0, 0, -EINVAL},
		{NULL, NULL, "neither its process nor", 0, 0, -EINVAL},
		{"{\"pid\":0}", NULL, "neither its process nor", 0, 0, -EINVAL},
		{"{\"pid\":-1}", NULL, "neither its process nor", 0, 0, -EINVAL},
		{"{\"pid\":-1," SPEC "[{\"type\":\"network\",\"path\":\"/run/netns/b\"}]}}}",
			"/run/netns/b", NULL, 0, 0, 0},
		{"{\"pid\":\"5\"}", NULL, "not a process id", 0, 0, -EINVAL},
		{"{\"pid\":1.5}", NULL, "not a process id", 0, 0, -EINVAL},
		{"{\"pid\":99999999999999999999}", NULL, "not a process id", 0, 0, -EINVAL},
		{"{\"pid\":5,", NULL, "not JSON", 0, 0, -EINVAL},
		{"[5]", NULL, "neither", 0, 0, -EINVAL},
		{"{\"pid\":5," SPEC "[{\"type\":\"network\",\"path\":\"run/netns/a\"}]}}}", NULL,
			"strange path", 0, 0, -EINVAL},
		{"{\"pid\":5," SPEC "[{\"type\":\"network\",\"path\":\"/run/../a\"}]}}}", NULL,
			"strange path", 0, 0, -EINVAL},
		{"{\"pid\":5," SPEC "[{\"type\":\"network\",\"path\":\"/run/\\n\"}]}}}", NULL,
			"strange path", 0, 0, -EINVAL},
		{"{\"pid\":5," SPEC "{\"type\":\"network\"}}}}", "/proc/5/ns/net", NULL, 0, 5, 0},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(all); i++) {
		struct status t = {.info = all[i].info, .mode = all[i].mode};
		pb_text(&t.network, 1, "10.0.0.1");
		struct bh_container *c = parse(&t, all[i].err);
		if (all[i].err) {
			if (!strstr(fault.text, all[i].says))
				fail_msg("%zu: %s", i, fault.text);
			continue;
		}
		assert_string_equal(c->netns_path, all[i].path);
		assert_int_equal(c->pid, all[i].pid);
		assert_int_equal(c->n_addrs, all[i].mode == 2 ? 0 : 1);
		bh_container_free(c);
	}
}

static void add_pod(struct bh_buf *b, const char *id, int state)
{
	struct bh_buf p = {0};
	pb_text(&p, 1, id);
	pb_int(&p, 3, (uint64_t)state);
	pb_entry(&p, 5, "a label", "that the list has too");
	pb_message(b, 1, &p);
}

static void test_pods(void **state)
{
	(void)state;
	bh_autobuf struct bh_buf b = {0};
	char **id = NULL;
	size_t n = 0;
	assert_int_equal(bh_cri_parse_pods(NULL, 0, &id, &n, &fault), 0);
	assert_int_equal(n, 0);
	free(id);
	add_pod(&b, "two", 0);
	add_pod(&b, "one", 0);
	add_pod(&b, "two", 0);
	add_pod(&b, "ended", 1);
	add_pod(&b, "strange", 77);
	assert_int_equal(bh_cri_parse_pods((uint8_t *)b.s, b.len, &id, &n, &fault), 0);
	assert_int_equal(n, 2);
	assert_string_equal(id[0], "one");
	assert_string_equal(id[1], "two");
	free(id[0]);
	free(id[1]);
	free(id);
	add_pod(&b, "a/b", 0);
	assert_int_equal(bh_cri_parse_pods((uint8_t *)b.s, b.len, &id, &n, &fault), -EINVAL);
	assert_non_null(strstr(fault.text, "items[5].id"));
	bh_buf_finish(&b);
	for (unsigned i = 0; i <= BH_CRI_MAX_PODS; i++)
		add_pod(&b, "x", 0);
	assert_int_equal(bh_cri_parse_pods((uint8_t *)b.s, b.len, &id, &n, &fault), -E2BIG);
}

/* Two bytes of an unknown field cost fifty of memory; a cut-off one must not be read past its end.
 */
static void test_hostile(void **state)
{
	(void)state;
	size_t len = 4u << 20, n = 0;
	bh_autofree uint8_t *p = bh_xcalloc(1, len);
	char **id = NULL;
	for (size_t i = 0; i < len; i += 2)
		p[i] = 15 << 3; /* field 15, 0 */
	assert_int_equal(bh_cri_parse_pods(p, len, &id, &n, &fault), -EINVAL);
	assert_int_equal(bh_cri_parse_pods(p, 64, &id, &n, &fault), 0);
	free(id);
	bh_autobuf struct bh_buf b = {0};
	add_pod(&b, "two", 0);
	for (size_t cut = 1; cut < b.len; cut++) {
		uint8_t *exact = bh_xmemdup(b.s, cut);
		assert_int_equal(bh_cri_parse_pods(exact, cut, &id, &n, &fault), -EINVAL);
		free(exact);
	}
	static const char *const bad[] = {
		"\x0a\xff\xff\xff\xff\x0f", "\x0b", "\x0f", "\x02", "\x80\x80\x80\x80\x80\x80"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++)
		assert_int_equal(
			bh_cri_parse_event((const uint8_t *)bad[i], strlen(bad[i]), &fault),
			-EINVAL);
}

static void add_container(
	struct bh_buf *b, const char *image, const char *asked, const char *ref, const char *ports)
{
	struct bh_buf c = {0}, s = {0};
	pb_text(&c, 1, "c");
	pb_text(&c, 2, "pod");
	pb_text(&s, 1, image);
	if (asked)
		pb_text(&s, 18, asked);
	pb_message(&c, 4, &s);
	pb_text(&c, 5, ref);
	pb_int(&c, 6, 1);
	pb_int(&c, 7, 99);
	if (ports)
		pb_entry(&c, 9, "io.kubernetes.container.ports", ports);
	pb_message(b, 1, &c);
}

static void test_containers(void **state)
{
	(void)state;
	bh_autobuf struct bh_buf b = {0};
	struct bh_cri_container *c = NULL;
	size_t n = 0;
	add_container(&b, "sha256:" HEX "1", NULL, "sha256:" HEX "2", NULL);
	add_container(&b, "example/web:1", NULL, "example/web@sha256:" HEX "2",
		"[{\"name\":\"http\",\"containerPort\":80},{\"name\":\"dns\",\"containerPort\":53,"
		"\"protocol\":\"UDP\"},{\"name\":\"x\",\"containerPort\":0},{\"name\":\"X\","
		"\"containerPort\":1},{\"name\":\"y\",\"containerPort\":1.5},{\"containerPort\":7},"
		"{\"name\":\"z\",\"containerPort\":1,\"protocol\":\"GRE\"},7,null]");
	add_container(&b, "sha256:" HEX "1", "example/asked:2", "bad ref", "[{");
	assert_int_equal(bh_cri_parse_containers((uint8_t *)b.s, b.len, &c, &n, &fault), 0);
	assert_int_equal(n, 3);
	assert_null(c[0].image); /* only an id */
	assert_string_equal(c[0].image_ref, "sha256:" HEX "2");
	assert_true(c[0].running && !c[0].created && c[0].created_at == 99);
	assert_string_equal(c[1].image, "example/web:1");
	assert_int_equal(c[1].n_ports, 2);
	assert_string_equal(c[1].port[1].name, "dns");
	assert_int_equal(c[1].port[1].proto, IPPROTO_UDP);
	assert_string_equal(c[2].image, "example/asked:2");
	assert_null(c[2].image_ref);
	assert_int_equal(c[2].n_ports, 0);
	bh_cri_containers_free(c, n);
	bh_buf_finish(&b);
	bh_autobuf struct bh_buf many = {0};
	bh_buf_str(&many, "[");
	for (unsigned i = 0; i < 2 * BH_CRI_MAX_PORTS; i++)
		bh_buf_printf(
			&many, "%s{\"name\":\"p%u\",\"containerPort\":%u}", i ? "," : "", i, i + 1);
	bh_buf_str(&many, "]");
	add_container(&b, "a", NULL, "a", many.s);
	assert_int_equal(bh_cri_parse_containers((uint8_t *)b.s, b.len, &c, &n, &fault), 0);
	assert_int_equal(c[0].n_ports, BH_CRI_MAX_PORTS);
	bh_cri_containers_free(c, n);
}

static void test_image(void **state)
{
	(void)state;
	bh_autobuf struct bh_buf b = {0};
	struct bh_buf i = {0};
	struct bh_cri_image what;
	assert_int_equal(bh_cri_parse_image(NULL, 0, &what, &fault), 0);
	assert_true(!what.name && !what.digest);
	pb_text(&i, 1, "sha256:" HEX "1");
	pb_text(&i, 2, "z/web:1");
	pb_text(&i, 2, "a/web:1");
	pb_text(&i, 3, "z/web@sha256:" HEX "3");
	pb_text(&i, 3, "a/web@sha256:" HEX "2");
	pb_message(&b, 1, &i);
	assert_int_equal(bh_cri_parse_image((uint8_t *)b.s, b.len, &what, &fault), 0);
	assert_string_equal(what.name, "a/web:1");
	assert_string_equal(what.digest, "sha256:" HEX "2");
	free(what.name);
	free(what.digest);
	bh_buf_finish(&b);
	pb_text(&i, 1, HEX "1"); /* CRI-O */
	pb_text(&i, 3, "no digest at all");
	pb_message(&b, 1, &i);
	assert_int_equal(bh_cri_parse_image((uint8_t *)b.s, b.len, &what, &fault), 0);
	assert_null(what.name);
	assert_string_equal(what.digest, "sha256:" HEX "1");
	free(what.digest);
}

static void test_digest(void **state)
{
	(void)state;
	static const char *const none[] = {NULL, "", "web:1", "web@" HEX "1", "sha256:" HEX,
		"sha256:" HEX "g", "web@sha512:" HEX "1", HEX "A", "web@sha256:" HEX "11"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(none); i++)
		assert_null(bh_cri_digest(none[i]));
	static const char *const some[] = {
		"sha256:" HEX "1", HEX "1", "web@sha256:" HEX "1", "a@b@sha256:" HEX "1"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(some); i++) {
		bh_autofree char *d = bh_cri_digest(some[i]);
		assert_string_equal(d, "sha256:" HEX "1");
	}
}

static void test_version(void **state)
{
	(void)state;
	bh_autobuf struct bh_buf b = {0};
	char *name = NULL;
	pb_text(&b, 2, "cri-o");
	assert_int_equal(bh_cri_parse_version((uint8_t *)b.s, b.len, &name, &fault), 0);
	assert_string_equal(name, "cri-o");
	free(name);
	pb_text(&b, 2, "what\nis this");
	assert_int_equal(bh_cri_parse_version((uint8_t *)b.s, b.len, &name, &fault), 0);
	assert_string_equal(name, "cri");
	free(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pod),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_labels_are_text),
		cmocka_unit_test(test_namespace),
		cmocka_unit_test(test_pods),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_containers),
		cmocka_unit_test(test_image),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_version),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
