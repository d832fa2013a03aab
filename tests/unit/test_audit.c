/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The audit log: names and values, numbers without gaps, torn lines, repetitions, a full disk. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "audit/audit.h"

#define T0 INT64_C(1700000000123456)
#define SECOND INT64_C(1000000)

static char dir[64], path[128];

static int setup(void **state BH_UNUSED)
{
	snprintf(dir, sizeof(dir), "/tmp/bh-test-audit-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/log/audit.jsonl", dir);
	return 0;
}

static int teardown(void **state BH_UNUSED)
{
	char bh_autofree *cmd = bh_xasprintf("chattr -f -a %s; rm -rf %s", path, dir);
	return system(cmd) < 0 ? -1 : 0;
}

static struct bh_audit *open_log(void)
{
	struct bh_audit *a;
	struct bh_audit_opts o = {.path = path,
		.node = "node-1",
		.machine_id = "m",
		.boot_id = "b",
		.version = "9.9"};
	assert_int_equal(bh_audit_open(&o, &a), 0);
	return a;
}

/* Once everything that was given is written, or was refused. */
static void get_stats(struct bh_audit *a, struct bh_audit_stats *ret)
{
	bh_audit_settle(a, 10000);
	bh_audit_get_stats(a, ret);
}

static char *slurp(const char *file, size_t *ret_len)
{
	struct bh_buf b = {0};
	char buf[65536];
	size_t n;
	FILE bh_autofclose *f = fopen(file, "r");
	assert_non_null(f);
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		bh_buf_add(&b, buf, n);
	*ret_len = b.len;
	return bh_buf_take(&b);
}

static void append(const char *file, const char *text)
{
	FILE bh_autofclose *f = fopen(file, "a");
	assert_non_null(f);
	fputs(text, f);
}

/* All records of a file as an array; every line must be complete and valid. */
static json_t *read_all(const char *file)
{
	size_t len;
	char bh_autofree *text = slurp(file, &len);
	json_t *list = json_array();
	assert_true(len == 0 || text[len - 1] == '\n');
	for (char *line = text; *line;) {
		char *nl = strchr(line, '\n');
		json_t *rec = json_loadb(line, (size_t)(nl - line), JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(rec);
		json_array_append_new(list, rec);
		line = nl + 1;
	}
	return list;
}

/* "event.action" in nested objects. */
static json_t *at(const json_t *rec, const char *name)
{
	char bh_autofree *copy = bh_xstrdup(name);
	char *save, *part = strtok_r(copy, ".", &save);
	json_t *v = (json_t *)rec;
	for (; part && v; part = strtok_r(NULL, ".", &save))
		v = json_object_get(v, part);
	return v;
}

static const char *str(const json_t *rec, const char *name)
{
	const char *s = json_string_value(at(rec, name));
	if (!s)
		print_error("no string %s\n", name);
	assert_non_null(s);
	return s;
}

static json_int_t num(const json_t *rec, const char *name)
{
	assert_true(json_is_integer(at(rec, name)));
	return json_integer_value(at(rec, name));
}

static void check_sequence(const json_t *list, json_int_t first)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		assert_int_equal(
			num(json_array_get(list, i), "event.sequence"), first + (json_int_t)i);
}

static struct bh_addr addr(const char *s)
{
	struct bh_addr a;
	assert_int_equal(bh_addr_parse(s, &a), 0);
	return a;
}

static struct bh_workload *workload(const char *name, const char *ip)
{
	struct bh_workload *w = bh_workload_new();
	w->id = bh_xasprintf("id-%s", name);
	w->runtime = bh_xstrdup("docker");
	w->name = bh_xstrdup(name);
	w->namespace = bh_xstrdup("shop");
	w->image = bh_xstrdup("registry.example/web:1");
	const struct bh_run_image first = {w->image, NULL},
				  more[] = {{(char *)"proxy:2", NULL}, {NULL, (char *)"sha256:ff"}};
	bh_images_add(&w->others, &first, &more[0]);
	bh_images_add(&w->others, &first, &more[1]);
	w->digest = bh_xstrdup("sha256:abcd");
	bh_labels_set(&w->labels, "app", name);
	struct bh_interface *i = bh_workload_add_interface(w);
	i->name = bh_xstrdup("eth0");
	i->host_name = bh_xasprintf("veth-%s", name);
	struct bh_addr a = addr(ip);
	bh_interface_add_addr(i, &a);
	return w;
}

static struct bh_flow flow(const char *src, const char *dst, uint16_t sport, uint16_t dport)
{
	return (struct bh_flow){.src = addr(src),
		.dst = addr(dst),
		.proto = BH_TCP,
		.sport = sport,
		.dport = dport};
}

static struct bh_audit_flow denial(const struct bh_flow *f, int64_t when)
{
	return (struct bh_audit_flow){.action = "policy-deny",
		.flow = f,
		.verdict = BH_DROP,
		.reason = BH_REASON_UNMATCHED,
		.mode = BH_MODE_ENFORCE,
		.direction = BH_EGRESS,
		.generation = 7,
		.policy_sha256 = "c0ffee",
		.when = when};
}

static void test_flow_fields(void **state BH_UNUSED)
{
	struct bh_audit *a = open_log();
	struct bh_workload *web = workload("web", "10.0.0.2"), *db = workload("db", "10.0.0.3");
	struct bh_flow w = flow("10.0.0.2", "10.0.0.3", 40000, 5432);
	struct bh_audit_flow f = denial(&w, T0);
	f.src = web;
	f.dst = db;
	f.policy = "shop/web";
	f.rule = "egress rule 0 peer 1";
	bh_audit_flow(a, &f);
	bh_audit_close(a);

	json_t *list = read_all(path), *r = json_array_get(list, 0);
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(str(r, "@timestamp"), "2023-11-14T22:13:20.123456Z");
	assert_non_null(at(r, "ecs.version"));
	assert_string_equal(str(r, "event.kind"), "event");
	assert_string_equal(
		json_string_value(json_array_get(at(r, "event.category"), 0)), "network");
	assert_string_equal(
		json_string_value(json_array_get(at(r, "event.type"), 0)), "connection");
	assert_string_equal(json_string_value(json_array_get(at(r, "event.type"), 1)), "denied");
	assert_string_equal(str(r, "event.action"), "policy-deny");
	assert_true(num(r, "event.severity") > 0);
	assert_int_equal(num(r, "event.sequence"), 1);
	assert_int_equal(strlen(str(r, "event.id")), 36);
	assert_null(at(r, "event.outcome"));
	assert_string_equal(str(r, "observer.name"), "node-1");
	assert_string_equal(str(r, "observer.version"), "9.9");
	assert_string_equal(str(r, "host.id"), "m");
	assert_string_equal(str(r, "host.boot.id"), "b");
	assert_string_equal(str(r, "network.transport"), "tcp");
	assert_string_equal(str(r, "network.type"), "ipv4");
	assert_string_equal(str(r, "network.direction"), "internal");
	assert_memory_equal(str(r, "network.community_id"), "1:", 2);
	assert_string_equal(str(r, "source.ip"), "10.0.0.2");
	assert_int_equal(num(r, "source.port"), 40000);
	assert_string_equal(str(r, "destination.ip"), "10.0.0.3");
	assert_int_equal(num(r, "destination.port"), 5432);
	assert_string_equal(str(r, "rule.name"), "egress rule 0 peer 1");
	assert_string_equal(str(r, "rule.ruleset"), "shop/web");
	assert_string_equal(str(r, "rule.version"), "7");
	assert_null(at(r, "threat"));
	assert_string_equal(str(r, "bulkhead.src.id"), "id-web");
	assert_string_equal(str(r, "bulkhead.src.name"), "web");
	assert_string_equal(str(r, "bulkhead.src.namespace"), "shop");
	assert_string_equal(str(r, "bulkhead.src.image"), "registry.example/web:1");
	const json_t *more = at(r, "bulkhead.src.other_images");
	assert_int_equal(json_array_size(more), 2);
	assert_string_equal(json_string_value(json_array_get(more, 0)), "proxy:2");
	assert_string_equal(json_string_value(json_array_get(more, 1)), "sha256:ff");
	assert_string_equal(str(r, "bulkhead.src.digest"), "sha256:abcd");
	assert_string_equal(str(r, "bulkhead.src.labels.app"), "web");
	assert_string_equal(str(r, "bulkhead.src.ifname"), "veth-web");
	assert_string_equal(str(r, "bulkhead.dst.name"), "db");
	assert_null(at(r, "bulkhead.src_reason"));
	assert_string_equal(str(r, "bulkhead.verdict"), "drop");
	assert_string_equal(str(r, "bulkhead.mode"), "enforce");
	assert_string_equal(str(r, "bulkhead.reason"), "unmatched");
	assert_int_equal(num(r, "bulkhead.policy.generation"), 7);
	assert_string_equal(str(r, "bulkhead.policy.sha256"), "c0ffee");
	assert_int_equal(num(r, "bulkhead.repeat"), 1);
	json_decref(list);
	bh_workload_free(web);
	bh_workload_free(db);
}

static void test_threat_and_unknown_ends(void **state BH_UNUSED)
{
	struct bh_audit *a = open_log();
	struct bh_flow w = flow("192.0.2.1", "2.2.2.2", 1, 443);
	w.dst = addr("203.0.113.9");
	struct bh_audit_flow f = denial(&w, T0);
	f.action = "threat-block";
	f.reason = BH_REASON_THREAT;
	f.feed = "drop";
	f.indicator = "203.0.113.0/24";
	f.src_host = true;
	bh_audit_flow(a, &f);
	f.indicator = "203.0.113.9";
	f.action = "threat-alert";
	f.verdict = BH_ALLOW;
	f.direction = BH_INGRESS;
	bh_audit_flow(a, &f);
	bh_audit_close(a);

	json_t *list = read_all(path), *r = json_array_get(list, 0);
	assert_string_equal(str(r, "event.kind"), "alert");
	assert_string_equal(str(r, "threat.feed.name"), "drop");
	assert_string_equal(str(r, "threat.indicator.name"), "203.0.113.0/24");
	assert_string_equal(str(r, "threat.indicator.ip"), "203.0.113.9");
	assert_string_equal(str(r, "threat.indicator.type"), "ipv4-addr");
	assert_true(json_is_null(at(r, "bulkhead.src")));
	assert_string_equal(str(r, "bulkhead.src_reason"), "the node itself");
	assert_true(json_is_null(at(r, "bulkhead.dst")));
	assert_string_equal(str(r, "bulkhead.dst_reason"), "outside address");
	assert_string_equal(str(r, "network.direction"), "egress");
	assert_string_equal(str(r, "bulkhead.reason"), "threat");
	r = json_array_get(list, 1);
	assert_string_equal(str(r, "network.direction"), "ingress");
	assert_string_equal(json_string_value(json_array_get(at(r, "event.type"), 1)), "allowed");
	assert_string_equal(str(r, "bulkhead.verdict"), "allow");
	json_decref(list);
}

static void test_event(void **state BH_UNUSED)
{
	struct bh_audit *a = open_log();
	struct bh_audit_actor who = {.uid = 0, .gid = 5, .pid = 1234, .user = "root"};
	assert_int_equal(bh_audit_event(a, "policy.change", "success", "two policies applied", &who,
				 json_pack("{s:s}", "new", "abc")),
		0);
	assert_int_equal(bh_audit_event(a, "tamper", NULL, "x", NULL, NULL), 0);
	bh_audit_close(a);

	json_t *list = read_all(path), *r = json_array_get(list, 0);
	assert_string_equal(
		json_string_value(json_array_get(at(r, "event.category"), 0)), "configuration");
	assert_string_equal(json_string_value(json_array_get(at(r, "event.type"), 0)), "change");
	assert_string_equal(str(r, "event.outcome"), "success");
	assert_string_equal(str(r, "message"), "two policies applied");
	assert_string_equal(str(r, "user.id"), "0");
	assert_string_equal(str(r, "user.name"), "root");
	assert_string_equal(str(r, "user.group.id"), "5");
	assert_int_equal(num(r, "process.pid"), 1234);
	assert_string_equal(str(r, "bulkhead.change.new"), "abc");
	assert_string_equal(str(json_array_get(list, 1), "event.kind"), "alert");
	json_decref(list);
}

static void test_hostile_names(void **state BH_UNUSED)
{
	struct bh_audit *a = open_log();
	struct bh_workload *w = workload("x", "10.0.0.2");
	free(w->name);
	w->name = bh_xstrdup("ev\xffil\n\"\xc0\xaf\"\xed\xa0\x80");
	free(w->image);
	w->image = bh_xcalloc(100001, 1);
	memset(w->image, 'i', 100000);
	for (int i = 0; i < 500; i++) {
		char bh_autofree *k = bh_xasprintf("l%d", i);
		bh_labels_set(&w->labels, k, "\x80");
	}
	struct bh_flow fl = flow("10.0.0.2", "10.0.0.3", 1, 2);
	struct bh_audit_flow f = denial(&fl, T0);
	f.src = w;
	bh_audit_flow(a, &f);
	/* details that no line could hold */
	char bh_autofree *big = bh_xcalloc(400001, 1);
	memset(big, 'd', 400000);
	assert_int_equal(bh_audit_event(a, "policy.change", "failure", "\xfe", NULL,
				 json_pack("{s:s}", "diff", big)),
		0);
	bh_audit_close(a);

	json_t *list = read_all(path), *r = json_array_get(list, 0);
	assert_string_equal(str(r, "bulkhead.src.name"),
		"ev\xef\xbf\xbdil\n\"\xef\xbf\xbd\xef\xbf\xbd\"\xef"
		"\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	assert_in_range(strlen(str(r, "bulkhead.src.image")), 100, 600);
	assert_int_equal(json_object_size(at(r, "bulkhead.src.labels")), 64);
	assert_int_equal(num(r, "bulkhead.src.labels_omitted"), 501 - 64);
	r = json_array_get(list, 1);
	assert_true(json_is_true(at(r, "bulkhead.change.omitted")));
	assert_true(num(r, "bulkhead.change.bytes") > 400000);
	json_decref(list);
	bh_workload_free(w);
}

/* Two names that are no UTF-8 look alike: each name is there once, and the record says that one is
 * not. With more labels than a line holds, all of them are left out. */
static void test_hostile_labels(void **state BH_UNUSED)
{
	struct bh_audit *a = open_log();
	struct bh_workload *w = workload("x", "10.0.0.2"), *many = workload("y", "10.0.0.3");
	bh_labels_set(&w->labels, "\xfe", "1");
	bh_labels_set(&w->labels, "\xff", "2");
	bh_labels_set(&w->labels, "a\"\xff", "3"); /* ends as the others do */
	bh_labels_set(&w->labels, "\xef\xbf\xbd\xef\xbf\xbd", "4");
	for (int i = 0; i < 64; i++) {
		char k[256], v[256];
		memset(k, 1, sizeof(k));
		memset(v, 1, sizeof(v));
		snprintf(k, sizeof(k), "l%d", i);
		k[strlen(k)] = 1;
		k[255] = v[255] = '\0';
		bh_labels_set(&many->labels, k, v);
	}
	struct bh_flow fl = flow("10.0.0.2", "10.0.0.3", 1, 2);
	struct bh_audit_flow f = denial(&fl, T0);
	f.src = w;
	f.dst = many;
	bh_audit_flow(a, &f);
	f.src = many;
	bh_audit_flow(a, &f);
	bh_audit_close(a);

	json_t *list = read_all(path), *r = json_array_get(list, 0);
	assert_int_equal(json_array_size(list), 2);
	assert_int_equal(json_object_size(at(r, "bulkhead.src.labels")), 4);
	assert_int_equal(num(r, "bulkhead.src.labels_omitted"), 1);
	assert_string_equal(str(r, "bulkhead.src.labels.\xef\xbf\xbd"), "1");
	assert_string_equal(str(r, "bulkhead.src.labels.a\"\xef\xbf\xbd"), "3");
	assert_int_equal(json_object_size(at(r, "bulkhead.dst.labels")), 64);
	r = json_array_get(list, 1);
	assert_int_equal(json_object_size(at(r, "bulkhead.src.labels")), 0);
	assert_int_equal(num(r, "bulkhead.src.labels_omitted"), 65);
	assert_int_equal(num(r, "bulkhead.dst.labels_omitted"), 65);
	json_decref(list);
	bh_workload_free(w);
	bh_workload_free(many);
}

static void test_sequence_across_reopen(void **state BH_UNUSED)
{
	for (int run = 0; run < 3; run++) {
		struct bh_audit *a = open_log();
		bh_audit_event(a, "start", NULL, NULL, NULL, NULL);
		bh_audit_event(a, "stop", NULL, NULL, NULL, NULL);
		bh_audit_close(a);
	}
	json_t *list = read_all(path);
	assert_int_equal(json_array_size(list), 6);
	check_sequence(list, 1);
	/* ids are unique, also between runs */
	for (size_t i = 1; i < 6; i++)
		assert_string_not_equal(str(json_array_get(list, i), "event.id"),
			str(json_array_get(list, i - 1), "event.id"));
	json_decref(list);

	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
}

/* What is signed has to be where it is looked for: also when the files beside the log, or the whole
 * directory, were removed under the daemon. */
static void test_files_removed(void **state BH_UNUSED)
{
	char bh_autofree *top = bh_xasprintf("%s.d", path);
	char bh_autofree *log = bh_xasprintf("%s/deep/audit.jsonl", top);
	char bh_autofree *notes = bh_xasprintf("%s.checkpoints", log);
	char bh_autofree *keys = bh_xasprintf("%s.keys", log);
	char bh_autofree *rm = bh_xasprintf("rm -r '%s'", top);
	char bh_autofree *key = bh_xasprintf("%s.key", path);
	const struct bh_audit_opts o = {.path = log,
		.key = key,
		.node = "node-1",
		.machine_id = "m",
		.boot_id = "b",
		.version = "9.9"};
	struct bh_audit *a;
	struct stat st;

	assert_int_equal(bh_audit_open(&o, &a), 0);
	bh_audit_event(a, "start", NULL, NULL, NULL, NULL);
	assert_int_equal(bh_audit_settle(a, 10000), 0);
	for (int all = 0; all < 2; all++) {
		if (all)
			assert_int_equal(system(rm), 0);
		else
			assert_int_equal(unlink(notes) | unlink(keys), 0);
		bh_audit_tick(a, T0);
		bh_audit_event(a, "reload", NULL, NULL, NULL, NULL);
		assert_int_equal(bh_audit_settle(a, 10000), 0);
		assert_int_equal(stat(notes, &st), 0);
		assert_true(st.st_size > 0);
		assert_int_equal(stat(keys, &st), 0);
		assert_true(st.st_size > 0);
		/* What stood in a file whose notes are gone stays there; another one begins. */
		json_t *list = read_all(log);
		assert_string_equal(str(json_array_get(list, 0), "event.action"),
			all ? "log.reopened" : "log.rotated");
		assert_string_equal(str(json_array_get(list, 1), "event.action"),
			all ? "log.altered" : "reload");
		json_decref(list);
	}
	bh_audit_close(a);
}

static void test_rotation(void **state BH_UNUSED)
{
	char bh_autofree *old = bh_xasprintf("%s.1", path);
	struct bh_audit *a = open_log();
	bh_audit_event(a, "start", NULL, NULL, NULL, NULL);
	bh_audit_reopen(a); /* nothing happened: no record */
	assert_int_equal(bh_audit_settle(a, 10000), 0);
	assert_int_equal(rename(path, old), 0);
	bh_audit_reopen(a);
	bh_audit_event(a, "reload", NULL, NULL, NULL, NULL);
	/* somebody deletes the file: the next tick makes a new one */
	assert_int_equal(bh_audit_settle(a, 10000), 0);
	assert_int_equal(unlink(path), 0);
	bh_audit_tick(a, T0);
	bh_audit_event(a, "stop", NULL, NULL, NULL, NULL);
	bh_audit_close(a);
	json_t *list = read_all(old);
	assert_int_equal(json_array_size(list), 1);
	json_decref(list);
	list = read_all(path);
	assert_int_equal(json_array_size(list), 2);
	check_sequence(list, 4);
	assert_string_equal(str(json_array_get(list, 0), "event.action"), "log.reopened");
	assert_int_equal(num(json_array_get(list, 0), "bulkhead.change.previous_sequence"), 3);
	json_decref(list);

	/* rotated while nobody ran */
	assert_int_equal(rename(path, old), 0);
	a = open_log();
	bh_audit_event(a, "start", NULL, NULL, NULL, NULL);
	bh_audit_close(a);
	list = read_all(path);
	check_sequence(list, 6);
	json_decref(list);
}

static void test_torn_tail(void **state BH_UNUSED)
{
	char bh_autofree *torn = bh_xasprintf("%s.torn", path);
	struct bh_audit *a = open_log();
	bh_audit_event(a, "start", NULL, NULL, NULL, NULL);
	bh_audit_close(a);
	append(path, "{\"@timestamp\":\"half\xff");
	a = open_log();
	bh_audit_event(a, "start", NULL, NULL, NULL, NULL);
	bh_audit_close(a);

	json_t *list = read_all(path), *r = json_array_get(list, 1);
	assert_int_equal(json_array_size(list), 3);
	check_sequence(list, 1);
	assert_string_equal(str(r, "event.action"), "log.recovered");
	assert_string_equal(str(r, "bulkhead.change.class"), "torn-line");
	assert_int_equal(num(r, "bulkhead.change.bytes"), 20);
	assert_int_equal(num(r, "bulkhead.change.records"), 0);
	assert_string_equal(str(r, "bulkhead.change.saved"), torn);
	assert_string_equal(str(r, "bulkhead.change.text"), "{\"@timestamp\":\"half\xef\xbf\xbd");
	json_decref(list);
	size_t len;
	char bh_autofree *text = slurp(torn, &len);
	assert_string_equal(text, "{\"@timestamp\":\"half\xff\n");
}

static void test_lines_that_are_no_records(void **state BH_UNUSED)
{
	char bh_autofree *torn = bh_xasprintf("%s.torn", path);
	struct bh_audit *a = open_log();
	bh_audit_event(a, "start", NULL, NULL, NULL, NULL);
	bh_audit_close(a);
	/* Nor is a record with the wrong number: nobody gives those. */
	append(path, "{}\n[1]\n{\"event\":{\"sequence\":3}}\n");
	a = open_log();
	bh_audit_event(a, "stop", NULL, NULL, NULL, NULL);
	bh_audit_close(a);
	json_t *list = read_all(path);
	assert_int_equal(json_array_size(list), 3);
	check_sequence(list, 1);
	assert_string_equal(str(json_array_get(list, 1), "bulkhead.change.class"), "torn-line");
	json_decref(list);
	size_t len;
	char bh_autofree *text = slurp(torn, &len);
	assert_string_equal(text, "{}\n[1]\n{\"event\":{\"sequence\":3}}\n\n");
}

/* The file is not what the last checkpoint says: it is kept, and another one goes on. */
static void test_altered_while_nobody_ran(void **state BH_UNUSED)
{
	struct bh_audit *a = open_log();
	for (int i = 0; i < 3; i++)
		bh_audit_event(a, "start", NULL, NULL, NULL, NULL);
	bh_audit_close(a);
	assert_int_equal(truncate(path, 700), 0);
	a = open_log();
	bh_audit_close(a);
	json_t *list = read_all(path);
	assert_int_equal(json_array_size(list), 2);
	check_sequence(list, 4);
	assert_string_equal(str(json_array_get(list, 0), "event.action"), "log.reopened");
	assert_string_equal(str(json_array_get(list, 1), "event.action"), "log.altered");
	assert_string_equal(str(json_array_get(list, 1), "bulkhead.change.class"), "altered-file");
	size_t len;
	free(slurp(str(json_array_get(list, 1), "bulkhead.change.saved"), &len));
	assert_int_equal(len, 700);
	json_decref(list);
}

static void test_foreign_file(void **state BH_UNUSED)
{
	char bh_autofree *notes = bh_xasprintf("%s.checkpoints", path);
	struct bh_audit *a = open_log();
	bh_audit_close(a);
	assert_int_equal(unlink(notes), 0);
	append(path, "hello\nworld\n");
	a = open_log();
	bh_audit_close(a);
	json_t *list = read_all(path);
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(str(json_array_get(list, 0), "bulkhead.change.class"), "unsigned-file");
	size_t len;
	char bh_autofree *text = slurp(str(json_array_get(list, 0), "bulkhead.change.saved"), &len);
	assert_string_equal(text, "hello\nworld\n");
	json_decref(list);

	/* not a file at all */
	struct bh_audit_opts o = {.path = dir, .node = "n"};
	assert_true(bh_audit_open(&o, &a) < 0);
	char bh_autofree *fifo = bh_xasprintf("%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	o.path = fifo;
	assert_int_equal(bh_audit_open(&o, &a), -EINVAL);
}

static void test_repeats(void **state BH_UNUSED)
{
	struct bh_audit *a = open_log();
	struct bh_audit_stats st;
	for (int i = 0; i < 1000; i++) {
		struct bh_flow w = flow("10.0.0.2", "10.0.0.3", (uint16_t)(1000 + i), 80);
		struct bh_audit_flow f = denial(&w, T0 + i);
		bh_audit_flow(a, &f);
	}
	struct bh_flow other = flow("10.0.0.2", "10.0.0.3", 1000, 81);
	struct bh_audit_flow g = denial(&other, T0);
	bh_audit_flow(a, &g);
	g.when = T0 + 5;
	bh_audit_flow(a, &g);
	bh_audit_tick(a, T0 + 9 * SECOND);
	get_stats(a, &st);
	assert_int_equal(st.written, 2);
	assert_int_equal(st.aggregated, 1000);
	bh_audit_tick(a, T0 + 10 * SECOND);
	get_stats(a, &st);
	assert_int_equal(st.written, 4);
	/* the flood goes on: one record a window */
	struct bh_flow w = flow("10.0.0.2", "10.0.0.3", 9, 80);
	struct bh_audit_flow f = denial(&w, T0 + 11 * SECOND);
	bh_audit_flow(a, &f);
	bh_audit_tick(a, T0 + 12 * SECOND);
	get_stats(a, &st);
	assert_int_equal(st.written, 4);
	bh_audit_tick(a, T0 + 20 * SECOND);
	bh_audit_tick(a, T0 + 31 * SECOND); /* silence: forgotten */
	f.when = T0 + 32 * SECOND;
	bh_audit_flow(a, &f); /* at once again */
	get_stats(a, &st);
	assert_int_equal(st.written, 6);
	assert_int_equal(st.lost, 0);
	bh_audit_close(a);

	json_t *list = read_all(path);
	json_int_t total = 0;
	for (size_t i = 0; i < json_array_size(list); i++)
		total += num(json_array_get(list, i), "bulkhead.repeat");
	assert_int_equal(total, 1000 + 2 + 2);
	check_sequence(list, 1);
	for (size_t i = 2; i < 4; i++) {
		json_t *r = json_array_get(list, i);
		if (num(r, "destination.port") == 80) {
			assert_int_equal(num(r, "bulkhead.repeat"), 999);
			assert_null(at(r, "source.port")); /* many */
			assert_null(at(r, "network.community_id"));
			assert_string_equal(str(r, "event.start"), "2023-11-14T22:13:20.123457Z");
			assert_string_equal(str(r, "event.end"), "2023-11-14T22:13:20.124455Z");
		} else {
			assert_int_equal(num(r, "bulkhead.repeat"), 1);
			assert_int_equal(num(r, "source.port"), 1000);
		}
	}
	json_decref(list);
}

/* One event that stands for many: as if they had come one by one. */
static void test_many_at_once(void **state BH_UNUSED)
{
	struct bh_audit *a = open_log();
	struct bh_audit_stats st;
	struct bh_flow w = flow("10.0.0.2", "10.0.0.3", 1000, 80);
	struct bh_audit_flow f = denial(&w, T0);
	f.times = 500; /* the first one is written at once, the rest counted */
	bh_audit_flow(a, &f);
	get_stats(a, &st);
	assert_int_equal(st.written, 1);
	assert_int_equal(st.aggregated, 499);
	f.when = T0 + 5;
	f.times = 300;
	bh_audit_flow(a, &f);
	f.times = 0; /* one */
	bh_audit_flow(a, &f);
	get_stats(a, &st);
	assert_int_equal(st.aggregated, 800);
	bh_audit_close(a);
	json_t *list = read_all(path);
	assert_int_equal(json_array_size(list), 2);
	assert_int_equal(num(json_array_get(list, 0), "bulkhead.repeat"), 1);
	assert_int_equal(num(json_array_get(list, 1), "bulkhead.repeat"), 800);
	json_decref(list);
}

static void test_repeats_written_at_close(void **state BH_UNUSED)
{
	struct bh_audit *a = open_log();
	struct bh_flow w = flow("2001:db8::1", "2001:db8::2", 9, 80);
	struct bh_audit_flow f = denial(&w, T0);
	for (int i = 0; i < 5; i++)
		bh_audit_flow(a, &f);
	/* a window that nobody ticked ends with the next event, a stepped clock as well */
	f.when = T0 + 60 * SECOND;
	bh_audit_flow(a, &f);
	f.when = T0;
	bh_audit_flow(a, &f);
	bh_audit_flow(a, &f);
	bh_audit_close(a);
	json_t *list = read_all(path);
	json_int_t total = 0;
	for (size_t i = 0; i < json_array_size(list); i++)
		total += num(json_array_get(list, i), "bulkhead.repeat");
	assert_int_equal(total, 8);
	assert_int_equal(json_array_size(list), 5);
	assert_string_equal(str(json_array_get(list, 0), "network.type"), "ipv6");
	json_decref(list);
}

static void test_table_overflow(void **state BH_UNUSED)
{
	struct bh_audit *a = open_log();
	struct bh_audit_stats st;
	for (int i = 0; i < 9000; i++) {
		struct bh_flow w = flow("10.0.0.2", "10.0.0.3", 9, (uint16_t)i);
		struct bh_audit_flow f = denial(&w, T0);
		f.action = i % 2 ? "policy-deny" : "would-deny";
		bh_audit_flow(a, &f);
	}
	bh_audit_tick(a, T0 + SECOND);
	get_stats(a, &st);
	assert_int_equal(st.written, 8192 + 1);
	assert_int_equal(st.lost, 9000 - 8192);
	bh_audit_tick(a, T0 + 2 * SECOND); /* once, not every second */
	bh_audit_tick(a, T0 + 11 * SECOND);
	struct bh_flow w = flow("10.0.0.2", "10.0.0.3", 9, 60000);
	struct bh_audit_flow f = denial(&w, T0 + 12 * SECOND);
	bh_audit_flow(a, &f); /* the table has emptied */
	get_stats(a, &st);
	assert_int_equal(st.written, 8192 + 2);
	bh_audit_close(a);
	json_t *list = read_all(path), *r = json_array_get(list, 8192);
	assert_string_equal(str(r, "event.action"), "gap");
	assert_int_equal(num(r, "bulkhead.change.count"), 808);
	assert_int_equal(num(r, "bulkhead.change.actions.policy-deny"), 404);
	assert_int_equal(num(r, "bulkhead.change.actions.would-deny"), 404);
	json_decref(list);
}

static void limit_file(rlim_t size)
{
	struct rlimit l;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
	l.rlim_cur = size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void test_full_disk(void **state BH_UNUSED)
{
	const struct bh_audit_actor who = {.uid = 0};
	struct bh_audit *a = open_log();
	struct bh_audit_stats st;
	struct stat file, after;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(bh_audit_event(a, "start", NULL, NULL, &who, NULL), 0);
	assert_int_equal(stat(path, &file), 0);
	limit_file((rlim_t)file.st_size + 100); /* the next write is a partial one */
	assert_int_equal(bh_audit_event(a, "reload", NULL, NULL, &who, NULL), -ENOSPC);
	assert_true(bh_audit_event(a, "reload", NULL, NULL, &who, NULL) < 0);
	get_stats(a, &st);
	assert_true(st.last_error < 0);
	assert_int_equal(st.written, 1);
	assert_int_equal(st.waiting, 2);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_size, file.st_size); /* no half line */
	/* more than may wait */
	for (int i = 0; i < 20000; i++)
		bh_audit_event(a, "reload", NULL, NULL, NULL, NULL);
	get_stats(a, &st);
	uint64_t lost = st.lost, kept = 20002 - lost;
	assert_in_range(kept, 16384, 16384 + 1024);
	assert_int_equal(st.waiting, kept);
	limit_file(RLIM_INFINITY);
	get_stats(a, &st); /* tries again at once */
	assert_int_equal(st.last_error, 0);
	bh_audit_tick(a, T0);
	get_stats(a, &st);
	assert_int_equal(st.written, 1 + kept + 1);
	assert_int_equal(st.signed_sequence, st.sequence);
	bh_audit_close(a);

	json_t *list = read_all(path), *r = json_array_get(list, 1 + kept);
	assert_int_equal(json_array_size(list), 1 + kept + 1);
	check_sequence(list, 1);
	assert_string_equal(str(r, "event.action"), "gap");
	assert_string_equal(str(r, "bulkhead.change.class"), "log");
	assert_int_equal(num(r, "bulkhead.change.count"), lost);
	json_decref(list);
	signal(SIGXFSZ, SIG_DFL);
}

static void test_append_only_file(void **state BH_UNUSED)
{
	struct bh_audit *a = open_log();
	assert_int_equal(bh_audit_event(a, "start", NULL, NULL, NULL, NULL), 0);
	assert_int_equal(bh_audit_settle(a, 10000), 0);
	char bh_autofree *cmd = bh_xasprintf("chattr +a %s 2>/dev/null", path);
	if (system(cmd) != 0) {
		bh_audit_close(a);
		skip();
	}
	struct stat file;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(stat(path, &file), 0);
	limit_file((rlim_t)file.st_size + 100);
	bh_audit_event(a, "reload", NULL, NULL, NULL, NULL);
	assert_true(bh_audit_settle(a, 10000) < 0);
	limit_file(RLIM_INFINITY);
	assert_int_equal(bh_audit_event(a, "stop", NULL, NULL, NULL, NULL), 0);
	bh_audit_close(a);
	json_t *list = read_all(path); /* the half line was finished */
	assert_int_equal(json_array_size(list), 3);
	check_sequence(list, 1);
	json_decref(list);
	signal(SIGXFSZ, SIG_DFL);
}

struct vector {
	const char *src, *dst;
	uint8_t proto;
	uint16_t a, b; /* ports, or ICMP type and code */
	const char *id;
};

/* From the specification's reference implementation, corelight/pycommunityid. */
static const struct vector vectors[] = {
	{"128.232.110.120", "66.35.250.204", 6, 34855, 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
	{"66.35.250.204", "128.232.110.120", 6, 80, 34855, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
	{"10.0.0.1", "10.0.0.2", 6, 10, 11569, "1:SXBGMX1lBOwhhoDrZynfROxnhnM="},
	{"192.168.1.52", "8.8.8.8", 17, 54585, 53, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
	{"8.8.8.8", "192.168.1.52", 17, 53, 54585, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
	{"192.168.170.8", "192.168.170.56", 132, 7, 80, "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ="},
	{"192.168.0.89", "192.168.0.1", 1, 8, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
	{"192.168.0.1", "192.168.0.89", 1, 0, 8, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
	{"192.168.0.89", "192.168.0.1", 1, 20, 0, "1:3o2RFccXzUgjl7zDpqmY7yJi8rI="},
	{"192.168.0.89", "192.168.0.1", 1, 20, 1, "1:tz/fHIDUHs19NkixVVoOZywde+I="},
	{"fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea", 58, 135, 0,
		"1:dGHyGvjMfljg6Bppwm3bg0LO8TY="},
	{"fe80::260:97ff:fe07:69ea", "fe80::200:86ff:fe05:80da", 58, 136, 0,
		"1:dGHyGvjMfljg6Bppwm3bg0LO8TY="},
	{"3ffe:507:0:1:260:97ff:fe07:69ea", "3ffe:507:0:1:200:86ff:fe05:80da", 58, 3, 0,
		"1:NdobDX8PQNJbAyfkWxhtL2Pqp5w="},
	{"3ffe:507:0:1:200:86ff:fe05:80da", "3ffe:507:0:1:260:97ff:fe07:69ea", 58, 3, 0,
		"1:/OGBt9BN1ofenrmSPWYicpij2Vc="},
	{"10.1.24.4", "10.1.12.1", 46, 0, 0, "1:/nQI4Rh/TtY3mf0R2gJFBkVlgS4="},
	{"10.1.12.1", "10.1.24.4", 46, 0, 0, "1:/nQI4Rh/TtY3mf0R2gJFBkVlgS4="},
};

static void test_community_id(void **state BH_UNUSED)
{
	for (size_t i = 0; i < BH_ARRAY_SIZE(vectors); i++) {
		const struct vector *v = &vectors[i];
		bool icmp = v->proto == 1 || v->proto == 58;
		struct bh_flow f = {.src = addr(v->src), .dst = addr(v->dst), .proto = v->proto};
		if (icmp) {
			f.icmp_type = (uint8_t)v->a;
			f.icmp_code = (uint8_t)v->b;
		} else {
			f.sport = v->a;
			f.dport = v->b;
		}
		char id[BH_AUDIT_COMMUNITY_ID];
		bh_audit_community_id(&f, id);
		assert_string_equal(id, v->id);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_flow_fields),
		T(test_threat_and_unknown_ends),
		T(test_event),
		T(test_hostile_names),
		T(test_hostile_labels),
		T(test_sequence_across_reopen),
		T(test_files_removed),
		T(test_rotation),
		T(test_torn_tail),
		T(test_lines_that_are_no_records),
		T(test_altered_while_nobody_ran),
		T(test_foreign_file),
		T(test_repeats),
		T(test_many_at_once),
		T(test_repeats_written_at_close),
		T(test_table_overflow),
		T(test_full_disk),
		T(test_append_only_file),
		cmocka_unit_test(test_community_id),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
