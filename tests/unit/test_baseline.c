/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Roles, tuples and the export. The strongest test is test_exactness: random worlds are learned,
 * exported and parsed again, and a small evaluator of its own asks of every possible connection
 * whether the policies allow it just when it was learned.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <bulkhead/baseline.h>
#include <bulkhead/policy.h>

/* "k=v k=v" */
static struct bh_labels labels(const char *text)
{
	struct bh_labels l = {0};
	bh_autofree char *copy = bh_xstrdup(text);
	char *save = NULL;
	for (char *s = strtok_r(copy, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		char *eq = strchr(s, '=');
		*eq = '\0';
		bh_labels_set(&l, s, eq + 1);
	}
	return l;
}

static struct bh_workload *workload(const char *ns, const char *name, const char *text)
{
	struct bh_workload *w = bh_workload_new();
	w->id = bh_xasprintf("static:%s/%s", ns, name);
	w->name = bh_xstrdup(name);
	w->namespace = bh_xstrdup(ns);
	w->labels = labels(text);
	bh_labels_set(&w->labels, "bulkhead.io/name", name);
	return w;
}

static struct bh_end role(const char *ns, const char *text)
{
	return (struct bh_end){
		.kind = BH_END_ROLE, .namespace = bh_xstrdup(ns), .selector = labels(text)};
}

static struct bh_end outside(const char *addr)
{
	struct bh_end e = {.kind = BH_END_ADDR};
	assert_int_equal(bh_addr_parse(addr, &e.addr), 0);
	return e;
}

static struct bh_end host(void)
{
	return (struct bh_end){.kind = BH_END_HOST};
}

static struct bh_tuple tuple(struct bh_end src, struct bh_end dst, uint8_t proto, uint16_t port)
{
	return (struct bh_tuple){.src = src,
		.dst = dst,
		.proto = proto,
		.port = port,
		.icmp_type = proto == 1 || proto == 58 ? 8 : 0,
		.egress = true,
		.ingress = true,
		.answered = true,
		.first_seen = 1700000000000000,
		.last_seen = 1700003600000000,
		.connections = 3};
}

static void free_tuples(struct bh_tuple *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bh_tuple_finish(&t[i]);
}

/* --- roles --- */

static void check_role(const char *given, const char *selector, const char *name)
{
	struct bh_workload *w = workload("shop", "web-1", given);
	struct bh_labels l = {.n = 99}; /* must be overwritten */
	bh_role_of(w, &l);
	struct bh_buf b = {0};
	for (size_t i = 0; i < l.n; i++)
		bh_buf_printf(&b, "%s%s=%s", i ? " " : "", l.item[i].key, l.item[i].value);
	assert_string_equal(b.s ? b.s : "", selector);
	bh_autofree char *n = bh_role_name(&l);
	assert_string_equal(n, name);
	bh_buf_finish(&b);
	bh_labels_finish(&l);
	bh_workload_free(w);
}

#define HEX40 "0123456789abcdef0123456789abcdef01234567"
#define LONG64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaz"

static void test_role_precedence(void **state BH_UNUSED)
{
	check_role("com.docker.compose.service=web com.docker.compose.project=shop app=x "
		   "com.docker.compose.container-number=2",
		"com.docker.compose.service=web", "web");
	check_role("com.docker.compose.service=web com.docker.compose.project=other",
		"com.docker.compose.project=other com.docker.compose.service=web", "web");
	check_role("app.kubernetes.io/name=pg app.kubernetes.io/instance=db1 app=x "
		   "app.kubernetes.io/version=1.2 pod-template-hash=abc",
		"app.kubernetes.io/instance=db1 app.kubernetes.io/name=pg", "pg");
	check_role("app.kubernetes.io/name=argo app.kubernetes.io/component=repo",
		"app.kubernetes.io/component=repo app.kubernetes.io/name=argo", "argo-repo");
	check_role("app.kubernetes.io/name=argo-repo app.kubernetes.io/component=repo",
		"app.kubernetes.io/component=repo app.kubernetes.io/name=argo-repo", "argo-repo");
	check_role("app=web k8s-app=y tier=front", "app=web", "web");
	check_role("k8s-app=dns tier=front", "k8s-app=dns", "dns");
	check_role("tier=front env=prod", "env=prod tier=front", "env=prod,tier=front");
	check_role("", "bulkhead.io/name=web-1", "web-1");
}

static void test_role_volatile(void **state BH_UNUSED)
{
	check_role("tier=front pod-template-hash=1 controller-revision-hash=2 job-name=j "
		   "statefulset.kubernetes.io/pod-name=p batch.kubernetes.io/job-name=j "
		   "org.opencontainers.image.version=3 com.docker.compose.config-hash=h "
		   "com.docker.compose.oneoff=False build-date=today org.label-schema.name=n "
		   "com.example.build-date=x com.example/vcs-ref=y io.kubernetes.pod.name=p "
		   "rollouts-pod-template-hash=5 pod-name=p-0 pod-index=0 job-uid=u "
		   "kubernetes.io/hostname=node-1 io.podman.compose.config-hash=h "
		   "commit=abc bulkhead.io/namespace=n",
		"tier=front", "tier=front");
	check_role("tier=front git=" HEX40 " made=2024-05-01T10.00 built=20240501T100000 "
		   "instance=01234567-89ab-cdef-0123-456789abcdef",
		"tier=front", "tier=front");
	/* Near misses stay. */
	check_role("a=2024 b=deadbeef", "a=2024 b=deadbeef", "a=2024,b=deadbeef");
}

static void test_role_unusable_values(void **state BH_UNUSED)
{
	check_role("com.docker.compose.service=a/b app=web", "app=web", "web");
	check_role("app=" LONG64 " tier=front", "tier=front", "tier=front");
	check_role("app= k8s-app=x", "k8s-app=x", "x");
	check_role("maintainer=me@example.com path=/usr/bin", "bulkhead.io/name=web-1", "web-1");
	check_role("UPPER/Key=x bad..prefix/k=x ok=y", "ok=y", "ok=y");

	struct bh_workload *w = bh_workload_new();
	struct bh_labels l;
	w->namespace = bh_xstrdup("n");
	w->name = bh_xstrdup("--" LONG64 "\n" LONG64);
	bh_role_of(w, &l);
	assert_int_equal(l.n, 1); /* never an empty selector: that would select everything */
	assert_null(bh_label_value_check(l.item[0].value));
	bh_labels_finish(&l);
	free(w->name);
	w->name = bh_xstrdup("\xff\xfe!");
	bh_role_of(w, &l);
	assert_int_equal(l.n, 1);
	assert_null(bh_label_value_check(l.item[0].value));
	assert_true(*l.item[0].value);
	bh_labels_finish(&l);
	bh_workload_free(w);
}

/* --- ends and tuples --- */

static void test_ends(void **state BH_UNUSED)
{
	struct bh_end e[] = {role("shop", "app=web"), role("shop", "app=api"),
		role("other", "app=web"), outside("203.0.113.9"), outside("2001:db8::1"), host()};
	static const char *const text[] = {
		"shop/web", "shop/api", "other/web", "203.0.113.9", "2001:db8::1", "host"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(e); i++) {
		struct bh_buf b = {0};
		struct bh_end copy;
		bh_end_format(&e[i], &b);
		assert_string_equal(b.s, text[i]);
		bh_buf_finish(&b);
		bh_end_copy(&copy, &e[i]);
		for (size_t k = 0; k < BH_ARRAY_SIZE(e); k++)
			assert_int_equal(bh_end_equal(&copy, &e[k]), i == k);
		bh_end_finish(&copy);
	}
	for (size_t i = 0; i < BH_ARRAY_SIZE(e); i++)
		bh_end_finish(&e[i]);
}

static void test_keys(void **state BH_UNUSED)
{
	struct bh_tuple t[] = {
		tuple(role("shop", "app=web"), role("shop", "app=api"), 6, 80),
		tuple(role("shop", "app=api"), role("shop", "app=web"), 6, 80),
		tuple(role("shop", "app=web"), role("shop", "app=api"), 17, 80),
		tuple(role("shop", "app=web"), role("shop", "app=api"), 6, 81),
		tuple(role("shop", "app=web b=c"), role("shop", "app=api"), 6, 80),
		tuple(role("shop", "app=web"), outside("203.0.113.9"), 6, 80),
		tuple(role("shop", "app=web"), host(), 6, 80),
		tuple(role("shop", "app=web"), role("host", ""), 6, 80),
		tuple(role("shop", "app=web"), host(), 1, 0),
		/* Punctuation of the key inside names must not make different tuples alike. */
		tuple(role("shop/app=web,b=c", ""), role("shop", "app=api"), 6, 80),
		tuple(role("shop", "app=web>host>6/80/0"), host(), 6, 80),
		tuple(role("shop", "app=web"), role("[203.0.113.9]", ""), 6, 80),
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		bh_autofree char *a = bh_tuple_key(&t[i]);
		for (const char *s = a; *s; s++)
			assert_true(*s > 0x20 && *s < 0x7f);
		for (size_t k = 0; k < i; k++) {
			bh_autofree char *b = bh_tuple_key(&t[k]);
			assert_string_not_equal(a, b);
		}
	}
	/* What is not part of the identity does not change the key. */
	struct bh_tuple u = tuple(role("shop", "app=web"), role("shop", "app=api"), 6, 80);
	u.connections = 99;
	u.answered = false;
	bh_autofree char *a = bh_tuple_key(&t[0]), *b = bh_tuple_key(&u);
	assert_string_equal(a, b);
	bh_tuple_finish(&u);
	free_tuples(t, BH_ARRAY_SIZE(t));
}

/* --- export --- */

static char *export_text(struct bh_tuple *t, size_t n, const struct bh_inventory *inv,
	const struct bh_export_opts *opts, size_t policies)
{
	struct bh_buf b = {0};
	size_t written = bh_baseline_export(t, n, inv, opts, &b);
	assert_int_equal(written, policies);
	return bh_buf_take(&b);
}

/* Parses an export; it must not even be warned about. */
static struct bh_policy_set *parse(const char *text)
{
	bh_autodiags struct bh_diags d = {0};
	const struct bh_policy_source src = {.file = "export", .text = text, .len = strlen(text)};
	struct bh_policy_set *s = NULL;
	int r = bh_policy_set_parse(&src, 1, NULL, &d, &s);
	struct bh_buf b = {0};
	bh_diags_format(&d, &b);
	bh_autofree char *all = bh_buf_take(&b);
	if (r != 0 || d.n)
		fail_msg("%s\n%s", all, text);
	return s;
}

static void test_export_text(void **state BH_UNUSED)
{
	static const struct bh_export_opts opts = {0};
	static const char expected[] = "apiVersion: networking.k8s.io/v1\n"
				       "kind: NetworkPolicy\n"
				       "metadata:\n"
				       "  name: api-baseline\n"
				       "  namespace: shop\n"
				       "spec:\n"
				       "  podSelector:\n"
				       "    matchLabels:\n"
				       "      app: api\n"
				       "  policyTypes:\n"
				       "  - Ingress\n"
				       "  - Egress\n"
				       "  ingress:\n"
				       "  - from:\n"
				       "    - podSelector:\n"
				       "        matchLabels:\n"
				       "          app: web\n"
				       "    - namespaceSelector:\n"
				       "        matchLabels:\n"
				       "          kubernetes.io/metadata.name: tools\n"
				       "      podSelector:\n"
				       "        matchLabels:\n"
				       "          app: cron\n"
				       "    ports:\n"
				       "    - protocol: TCP\n"
				       "      port: 80\n"
				       "    - protocol: TCP\n"
				       "      port: 443\n"
				       "  egress:\n"
				       "  - to:\n"
				       "    - ipBlock:\n"
				       "        cidr: 203.0.113.9/32\n"
				       "    - ipBlock:\n"
				       "        cidr: \"2001:db8::9/128\"\n"
				       "    ports:\n"
				       "    - protocol: UDP\n"
				       "      port: 53\n"
				       "  - to:\n"
				       "    - ipBlock:\n"
				       "        cidr: 203.0.113.10/32\n"
				       "    ports:\n"
				       "    - protocol: TCP\n"
				       "      port: 443\n";
	struct bh_tuple t[] = {
		tuple(role("shop", "app=web"), role("shop", "app=api"), 6, 443),
		tuple(role("tools", "app=cron"), role("shop", "app=api"), 6, 80),
		tuple(role("shop", "app=api"), outside("2001:db8::9"), 17, 53),
		tuple(role("shop", "app=web"), role("shop", "app=api"), 6, 80),
		tuple(role("shop", "app=api"), outside("203.0.113.10"), 6, 443),
		tuple(role("tools", "app=cron"), role("shop", "app=api"), 6, 443),
		tuple(role("shop", "app=api"), outside("203.0.113.9"), 17, 53),
		tuple(role("shop", "app=secret"), role("shop", "app=api"), 6, 22),
	};
	t[7].answered = false; /* a scan teaches nothing */
	const size_t n = BH_ARRAY_SIZE(t);
	bh_autofree char *all = export_text(t, n, NULL, &opts, 3);
	assert_true(strncmp(all, expected, strlen(expected)) == 0);
	assert_null(strstr(all, "secret"));
	bh_policy_set_unref(parse(all));
	const struct bh_export_opts only = {.namespace = "shop", .role = "api"};
	bh_autofree char *one = export_text(t, n, NULL, &only, 1);
	assert_string_equal(one, expected);
	const struct bh_export_opts none = {.namespace = "tools", .role = "api"};
	bh_autofree char *no = export_text(t, n, NULL, &none, 0);
	assert_string_equal(no, "");
	for (size_t i = 0; i < n - 1; i++) { /* the order of the tuples does not show */
		struct bh_tuple first = t[0];
		memmove(&t[0], &t[1], (n - 1) * sizeof(*t));
		t[n - 1] = first;
		bh_autofree char *again = export_text(t, n, NULL, &opts, 3);
		assert_string_equal(again, all);
	}
	free_tuples(t, n);
}

static void test_export_sides(void **state BH_UNUSED)
{
	static const struct bh_export_opts opts = {0};
	struct bh_tuple t = tuple(role("shop", "app=web"), role("shop", "app=api"), 6, 80);
	t.ingress = false; /* api's own policies had allowed it */
	bh_autofree char *one = export_text(&t, 1, NULL, &opts, 1);
	struct bh_policy_set *s = parse(one);
	assert_string_equal(s->policy[0]->name, "web-baseline");
	assert_true(s->policy[0]->isolates[BH_INGRESS] && s->policy[0]->isolates[BH_EGRESS]);
	assert_int_equal(s->policy[0]->n_rules[BH_INGRESS], 0);
	assert_int_equal(s->policy[0]->n_rules[BH_EGRESS], 1);
	bh_policy_set_unref(s);
	t.egress = false;
	bh_autofree char *none = export_text(&t, 1, NULL, &opts, 0);
	assert_string_equal(none, "");
	bh_tuple_finish(&t);
	bh_autofree char *empty = export_text(NULL, 0, NULL, &opts, 0);
	assert_string_equal(empty, "");
}

static void test_export_host(void **state BH_UNUSED)
{
	struct bh_tuple t[] = {tuple(host(), role("shop", "app=web"), 6, 80),
		tuple(role("shop", "app=web"), host(), 17, 53), tuple(host(), host(), 6, 1)};
	struct bh_addr addr[3];
	bh_addr_parse("192.168.60.1", &addr[0]);
	bh_addr_parse("2001:db8:60::1", &addr[1]);
	bh_addr_parse("127.0.0.1", &addr[2]);
	struct bh_export_opts opts = {.host = addr, .n_hosts = 3};
	bh_autofree char *allow = export_text(t, 3, NULL, &opts, 1);
	struct bh_policy_set *s = parse(allow);
	assert_int_equal(s->policy[0]->n_rules[BH_INGRESS], 0);
	assert_int_equal(s->policy[0]->n_rules[BH_EGRESS], 0);
	assert_null(strstr(allow, "192.168.60.1"));
	bh_policy_set_unref(s);
	opts.host_policy = true;
	bh_autofree char *policy = export_text(t, 3, NULL, &opts, 1);
	s = parse(policy);
	assert_int_equal(s->policy[0]->n_rules[BH_INGRESS], 1);
	assert_int_equal(s->policy[0]->rule[BH_INGRESS][0].n_peers, 2);
	assert_int_equal(s->policy[0]->n_rules[BH_EGRESS], 1);
	assert_null(strstr(policy, "127.0.0.1"));
	bh_policy_set_unref(s);
	opts.n_hosts = 0;
	bh_autofree char *unknown = export_text(t, 3, NULL, &opts, 1);
	assert_non_null(
		strstr(unknown, "# learned, but cannot be said: ingress from host, tcp/80"));
	free_tuples(t, 3);
}

static void test_export_unsayable(void **state BH_UNUSED)
{
	static const struct bh_export_opts opts = {.evidence = true};
	struct bh_tuple t[] = {
		tuple(role("shop", "app=web"), role("shop", "app=api"), 1, 0),
		tuple(role("shop", "app=web"), outside("203.0.113.9"), 47, 0),
		tuple(role("shop", "app=web"), role("my_project", "app=db"), 6, 80),
		tuple(role("bad\nname: x", "app=evil"), role("shop", "app=api"), 6, 80),
		tuple(role("shop", "app=a\nb"), role("shop", "app=api"), 6, 80),
		tuple(role("shop", ""), role("shop", "app=api"), 6, 80),
		tuple(role("shop", "app=web"), role("shop", "app=api"), 6, 0),
	};
	bh_autofree char *text = export_text(t, BH_ARRAY_SIZE(t), NULL, &opts, 2);
	struct bh_policy_set *s = parse(text);
	assert_int_equal(s->n, 2);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(s->policy[i]->n_rules[0] + s->policy[i]->n_rules[1], 0);
	bh_policy_set_unref(s);
	assert_non_null(strstr(text, "egress to shop/api, icmp type 8 ("));
	assert_non_null(strstr(text, "ingress from shop/web, icmp type 8 ("));
	assert_non_null(strstr(text, "egress to 203.0.113.9, 47 ("));
	assert_non_null(strstr(text, "egress to my_project/db, tcp/80 (its namespace"));
	assert_non_null(strstr(text, "# my_project/db has no policy"));
	assert_null(strstr(text, "\nname: x"));
	free_tuples(t, BH_ARRAY_SIZE(t));
}

static void test_export_quoting(void **state BH_UNUSED)
{
	static const struct bh_export_opts opts = {0};
	static const char *const value[] = {"y", "N", "yes", "No", "on", "OFF", "true", "False",
		"null", "NULL", "1", "1.10", "1e3", "0x1f", "012", "1_000", "2024-01-01", "12.30",
		"0b1", "", "e3", "web", "a_b.c-d", "3a"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(value); i++) {
		struct bh_tuple t =
			tuple(role("on", "role=x yes=z"), outside("203.0.113.9"), 6, 80);
		bh_labels_set(&t.src.selector, "role", value[i]);
		bh_autofree char *text = export_text(&t, 1, NULL, &opts, 1);
		struct bh_policy_set *s = parse(text);
		assert_int_equal(s->policy[0]->pods.n, 2);
		assert_string_equal(s->policy[0]->pods.req[0].value[0], value[i]);
		assert_string_equal(s->policy[0]->namespace, "on");
		assert_non_null(strstr(text, "namespace: \"on\"\n"));
		assert_non_null(strstr(text, "\"yes\": z\n"));
		bool plain = i >= BH_ARRAY_SIZE(value) - 4 && i < BH_ARRAY_SIZE(value) - 1;
		bh_autofree char *quoted = bh_xasprintf("role: \"%s\"\n", value[i]);
		assert_int_equal(strstr(text, quoted) == NULL, plain);
		bh_policy_set_unref(s);
		bh_tuple_finish(&t);
	}
}

static void test_export_names(void **state BH_UNUSED)
{
	static const struct bh_export_opts opts = {0};
	struct bh_tuple t[] = {
		tuple(role("a", "app=web"), outside("203.0.113.9"), 6, 1),
		tuple(role("a", "k8s-app=web"), outside("203.0.113.9"), 6, 1),
		tuple(role("a", "app=Web"), outside("203.0.113.9"), 6, 1),
		tuple(role("b", "app=web"), outside("203.0.113.9"), 6, 1),
		tuple(role("b", "app=A_b..c"), outside("203.0.113.9"), 6, 1),
		tuple(role("b", "tier=x zone=y"), outside("203.0.113.9"), 6, 1),
		tuple(role("b", "app="
				"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
			outside("203.0.113.9"), 6, 1),
		tuple(role("b", "app="
				"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"),
			outside("203.0.113.9"), 6, 1),
	};
	const size_t n = BH_ARRAY_SIZE(t);
	bh_autofree char *text = export_text(t, n, NULL, &opts, n);
	struct bh_policy_set *s = parse(text); /* refuses names that are too long or not unique */
	assert_int_equal(s->n, n);
	assert_non_null(bh_policy_set_find(s, "b", "web-baseline"));
	assert_non_null(bh_policy_set_find(s, "b", "a-b-c-baseline"));
	assert_non_null(bh_policy_set_find(s, "b", "tier-x-zone-y-baseline"));
	assert_null(bh_policy_set_find(s, "a", "web-baseline")); /* three would have it */
	for (size_t i = 0; i < s->n; i++) {
		const char *name = s->policy[i]->name;
		assert_true(strlen(name) <= 63);
		assert_string_equal(name + strlen(name) - 9, "-baseline");
	}
	bh_policy_set_unref(s);
	free_tuples(t, n);
}

static void test_export_evidence(void **state BH_UNUSED)
{
	static const struct bh_export_opts opts = {.evidence = true}, plain = {0};
	struct bh_tuple t[] = {tuple(role("shop", "app=web"), role("shop", "app=api"), 6, 80),
		tuple(role("shop", "app=web"), outside("203.0.113.9"), 6, 443)};
	char *image[] = {"nginx:1.25", "evil\"\n  x: \xff"};
	t[0].image = bh_xcalloc(2, sizeof(char *));
	for (t[0].n_images = 0; t[0].n_images < 2; t[0].n_images++)
		t[0].image[t[0].n_images] = bh_xstrdup(image[t[0].n_images]);
	t[1].last_seen = 1800000000000000;
	t[1].connections = UINT64_MAX;
	t[0].volume = (struct bh_volume){1, {1, 1}, {100, 7}, 1};
	t[1].volume = (struct bh_volume){1, {1, 1}, {20, UINT64_MAX}, 1};
	bh_autofree char *text = export_text(t, 2, NULL, &opts, 2);
	bh_policy_set_unref(parse(text));
	assert_non_null(strstr(text, "    bulkhead.io/learned-from: \"1 tuple\"\n"
				     "    bulkhead.io/connections: \"3\"\n"
				     "    bulkhead.io/bytes: \"7 sent, 100 received\"\n"));
	assert_non_null(strstr(text, "    bulkhead.io/learned-from: \"2 tuples\"\n"
				     "    bulkhead.io/connections: \"18446744073709551615\"\n"
				     "    bulkhead.io/bytes: \"120 sent, 9223372036854775807 "
				     "received\"\n"
				     "    bulkhead.io/first-seen: \"2023-11-14T22:13:20Z\"\n"
				     "    bulkhead.io/last-seen: \"2027-01-15T08:00:00Z\"\n"
				     "    bulkhead.io/images: \"evil\\\"?  x: ?, nginx:1.25\"\n"));
	bh_autofree char *bare = export_text(t, 2, NULL, &plain, 2);
	assert_null(strstr(bare, "annotations"));
	free_tuples(t, 2);
}

static size_t hostile_names(const struct bh_end *e, const struct bh_addr *a,
	const char *ret[static BH_EXPORT_NAMES], void *arg)
{
	assert_string_equal(arg, "arg");
	assert_int_equal(e->kind, BH_END_ROLE);
	if (a->b[3] != 9)
		return 0;
	ret[0] = "api.example.com";
	ret[1] = "evil\n    - ipBlock:\n        cidr: 0.0.0.0/0\x1b[2J";
	return 2;
}

/* Beside the address, whatever they are made of; not beside a block, not without evidence. */
static void test_export_names_of_addresses(void **state BH_UNUSED)
{
	struct bh_export_opts opts = {
		.evidence = true, .names = hostile_names, .names_arg = (void *)"arg"};
	struct bh_tuple t[] = {tuple(role("shop", "app=web"), outside("203.0.113.9"), 6, 443),
		tuple(role("shop", "app=web"), outside("203.0.113.8"), 6, 443)};
	bh_autofree char *text = export_text(t, 2, NULL, &opts, 1);
	assert_non_null(strstr(text, "        cidr: 203.0.113.8/32\n"));
	assert_non_null(strstr(text, "        cidr: 203.0.113.9/32 # api.example.com, evil\\n"));
	assert_null(strstr(text, "cidr: 0.0.0.0/0\n"));
	assert_null(strchr(text, '\x1b'));
	struct bh_policy_set *s = parse(text);
	assert_int_equal(s->n, 1);
	assert_int_equal(s->policy[0]->rule[BH_EGRESS][0].n_peers, 2);
	bh_policy_set_unref(s);
	opts.evidence = false;
	bh_autofree char *bare = export_text(t, 2, NULL, &opts, 1);
	assert_null(strchr(bare, '#'));
	opts.evidence = t[0].is_widened = true;
	assert_int_equal(bh_prefix_parse("203.0.113.0/24", &t[0].widened), 0);
	bh_autofree char *wide = export_text(t, 2, NULL, &opts, 1);
	assert_null(strchr(wide, '#'));
	free_tuples(t, 2);
}

/* What was put together is no rule, until somebody names a block for it. */
static void test_export_folded(void **state BH_UNUSED)
{
	struct bh_export_opts opts = {.evidence = true};
	struct bh_tuple one[] = {tuple(role("shop", "app=web"), outside("203.0.113.9"), 6, 443),
		tuple(role("shop", "app=web"), outside("203.0.113.200"), 6, 443),
		tuple(role("shop", "app=web"), role("shop", "app=db"), 6, 5432)};
	struct bh_tuple t[2], other;
	assert_true(bh_tuple_fold(&one[0], &t[0]));
	assert_true(bh_tuple_fold(&one[1], &other));
	bh_tuple_absorb(&t[0], &other);
	assert_int_equal(t[0].folded, 2);
	assert_true(bh_tuple_fold(&one[2], &t[1]));
	bh_autofree char *text = export_text(t, 2, NULL, &opts, 2);
	assert_non_null(
		strstr(text, "# learned, but cannot be said: egress to others-ipv4, tcp/443 in "
			     "203.0.113.0/24 (2 "
			     "edges: too many to be kept one by one; widen them to a block)\n"));
	assert_non_null(
		strstr(text, "# learned, but cannot be said: egress to shop/db, tcp (1 edge: "
			     "of too many ports to be kept)\n"));
	assert_non_null(strstr(text, "learned-from: \"3 tuples\""));
	assert_non_null(strstr(text, "  egress: []\n"));
	t[0].is_widened = true;
	assert_int_equal(bh_prefix_parse("203.0.113.0/24", &t[0].widened), 0);
	assert_true(bh_tuple_in_block(&t[0], &t[0].widened));
	bh_autofree char *wide = export_text(t, 2, NULL, &opts, 2);
	assert_non_null(strstr(wide, "        cidr: 203.0.113.0/24\n"));
	/* Its key, and so its place in the store, is another one for each kind. */
	bh_autofree char *key = bh_tuple_key(&t[0]);
	t[0].answered = false;
	bh_autofree char *other_key = bh_tuple_key(&t[0]);
	assert_string_not_equal(key, other_key);
	free_tuples(one, 3);
}

/* --- narrowing --- */

static void test_narrowing(void **state BH_UNUSED)
{
	static const struct bh_export_opts opts = {0};
	struct bh_inventory *inv = bh_inventory_new();
	bh_inventory_add(inv, workload("shop", "w1", "tier=web"));
	bh_inventory_add(inv, workload("shop", "w2", "tier=web pod-template-hash=1"));
	bh_inventory_add(inv, workload("shop", "w3", "tier=web canary=1"));
	bh_inventory_add(inv, workload("shop", "w4", "tier=web app=other"));
	bh_inventory_add(inv, workload("tools", "w5", "tier=web x=y"));
	bh_inventory_seal(inv);
	struct bh_tuple t[] = {
		tuple(role("shop", "tier=web"), outside("203.0.113.9"), 6, 80),
		/* Seen earlier, not running any more. */
		tuple(role("shop", "gone=1 tier=web"), role("shop", "tier=web"), 6, 80),
	};
	bh_autofree char *text = export_text(t, 2, inv, &opts, 2);
	struct bh_policy_set *s = parse(text);
	const struct bh_policy *p = bh_policy_set_find(s, "shop", "tier-web-baseline");
	struct bh_buf b = {0};
	bh_selector_format(&p->pods, &b);
	assert_string_equal(b.s, "!app,!canary,!gone,tier=web");
	assert_null(strstr(text, "# note"));
	bh_buf_finish(&b);
	bh_policy_set_unref(s);
	free_tuples(t, 2);
	bh_inventory_unref(inv);
}

/* --- exactness --- */

static uint32_t seed = 1;
static unsigned pick(unsigned n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

#define WORKLOADS 10
#define TUPLES 14
static const uint16_t ports[] = {80, 443, 5432};

struct world {
	struct bh_inventory *inv;
	struct bh_end end[WORKLOADS]; /* of the workload with that index */
	struct bh_tuple tuple[TUPLES];
};

static void make_world(struct world *w)
{
	static const char *const label[] = {"app=a ", "app=b ", "tier=x ", "tier=y ", "canary=1 ",
		"k8s-app=a ", "app.kubernetes.io/name=a ", "app.kubernetes.io/component=c ",
		"com.docker.compose.service=a ", "pod-template-hash=1 ", "app=/not/valid "};
	w->inv = bh_inventory_new();
	for (int i = 0; i < WORKLOADS; i++) {
		bh_autofree char *name = bh_xasprintf("w%d", i);
		struct bh_buf b = {0};
		for (size_t k = 0; k < BH_ARRAY_SIZE(label); k++)
			if (pick(4) == 0)
				bh_buf_str(&b, label[k]);
		bh_inventory_add(w->inv, workload(pick(3) ? "n1" : "n2", name, b.s ? b.s : ""));
		bh_buf_finish(&b);
	}
	bh_inventory_seal(w->inv);
	for (int i = 0; i < WORKLOADS; i++) {
		w->end[i] = (struct bh_end){.kind = BH_END_ROLE,
			.namespace = bh_xstrdup(w->inv->workload[i]->namespace)};
		bh_role_of(w->inv->workload[i], &w->end[i].selector);
	}
	for (int i = 0; i < TUPLES; i++) {
		struct bh_tuple *t = &w->tuple[i];
		*t = tuple((struct bh_end){0}, (struct bh_end){0}, pick(2) ? 6 : 17,
			ports[pick(BH_ARRAY_SIZE(ports))]);
		bh_end_copy(&t->src, &w->end[pick(WORKLOADS)]);
		bh_end_copy(&t->dst, &w->end[pick(WORKLOADS)]);
		t->answered = pick(8) != 0;
	}
}

static bool peer_matches(const struct world *w, const struct bh_policy *p,
	const struct bh_policy_peer *peer, const struct bh_workload *x)
{
	const struct bh_namespace *ns = bh_inventory_namespace(w->inv, x->namespace);
	if (peer->block)
		return false;
	if (!peer->has_namespaces && !bh_streq(x->namespace, p->namespace))
		return false;
	if (peer->has_namespaces && !bh_selector_matches(&peer->namespaces, &ns->labels))
		return false;
	return !peer->has_pods || bh_selector_matches(&peer->pods, &x->labels);
}

static bool rule_allows(const struct world *w, const struct bh_policy *p,
	const struct bh_policy_rule *r, const struct bh_workload *peer, uint8_t proto,
	uint16_t port)
{
	bool from = false, to = false;
	for (size_t i = 0; i < r->n_peers; i++)
		from |= peer_matches(w, p, &r->peer[i], peer);
	for (size_t i = 0; i < r->n_ports; i++)
		to |= r->port[i].proto == proto && r->port[i].first == port;
	return from && to;
}

/* -1: not governed; else whether some policy of the workload allows it. */
static int side(const struct world *w, const struct bh_policy_set *s, enum bh_direction d, int own,
	int peer, uint8_t proto, uint16_t port)
{
	const struct bh_workload *x = w->inv->workload[own];
	int verdict = -1;
	for (size_t i = 0; i < s->n; i++) {
		const struct bh_policy *p = s->policy[i];
		if (!bh_streq(p->namespace, x->namespace) ||
			!bh_selector_matches(&p->pods, &x->labels))
			continue;
		verdict = verdict > 0;
		for (size_t k = 0; k < p->n_rules[d]; k++)
			verdict |= rule_allows(
				w, p, &p->rule[d][k], w->inv->workload[peer], proto, port);
	}
	return verdict;
}

static bool was_learned(const struct world *w, int a, int b, uint8_t proto, uint16_t port)
{
	for (int i = 0; i < TUPLES; i++) {
		const struct bh_tuple *t = &w->tuple[i];
		if (t->answered && t->proto == proto && t->port == port &&
			bh_end_equal(&t->src, &w->end[a]) && bh_end_equal(&t->dst, &w->end[b]))
			return true;
	}
	return false;
}

static bool is_governed(const struct world *w, int a)
{
	for (int i = 0; i < TUPLES; i++)
		if (w->tuple[i].answered && (bh_end_equal(&w->tuple[i].src, &w->end[a]) ||
						    bh_end_equal(&w->tuple[i].dst, &w->end[a])))
			return true;
	return false;
}

static void check_world(const struct world *w, const struct bh_policy_set *s)
{
	for (int a = 0; a < WORKLOADS; a++)
		for (int b = 0; b < WORKLOADS; b++)
			for (size_t k = 0; k < 2 * BH_ARRAY_SIZE(ports); k++) {
				uint8_t proto = k % 2 ? 6 : 17;
				uint16_t port = ports[k / 2];
				bool learned = was_learned(w, a, b, proto, port);
				assert_int_equal(side(w, s, BH_EGRESS, a, b, proto, port),
					is_governed(w, a) ? learned : -1);
				assert_int_equal(side(w, s, BH_INGRESS, b, a, proto, port),
					is_governed(w, b) ? learned : -1);
			}
}

static void test_exactness(void **state BH_UNUSED)
{
	static const struct bh_export_opts opts = {0};
	for (int i = 0; i < 300; i++) {
		struct world w;
		struct bh_buf b = {0};
		make_world(&w);
		bh_baseline_export(w.tuple, TUPLES, w.inv, &opts, &b);
		struct bh_policy_set *s = parse(b.s);
		check_world(&w, s);
		bh_policy_set_unref(s);
		bh_buf_finish(&b);
		free_tuples(w.tuple, TUPLES);
		for (int k = 0; k < WORKLOADS; k++)
			bh_end_finish(&w.end[k]);
		bh_inventory_unref(w.inv);
	}
}

static void widen(struct bh_tuple *t, const char *cidr)
{
	t->is_widened = true;
	assert_int_equal(bh_prefix_parse(cidr, &t->widened), 0);
}

/* What was rejected adds nothing, a widened block takes the place of what it has, and only that. */
static void test_export_review(void **state BH_UNUSED)
{
	static const struct bh_export_opts opts = {.evidence = true};
	struct bh_tuple t[] = {
		tuple(role("shop", "app=api"), outside("203.0.113.9"), 6, 443),
		tuple(role("shop", "app=api"), outside("203.0.113.77"), 6, 443),
		tuple(role("shop", "app=api"), outside("203.0.113.77"), 6, 80),
		tuple(role("shop", "app=api"), outside("198.51.100.7"), 6, 443),
		tuple(role("shop", "app=api"), outside("192.0.2.66"), 6, 25),
		tuple(role("shop", "app=api"), outside("2001:db8::9"), 6, 443),
		tuple(role("shop", "app=bad"), outside("192.0.2.66"), 6, 25),
	};
	const size_t n = BH_ARRAY_SIZE(t);
	widen(&t[0], "203.0.113.0/24");
	widen(&t[5], "2001:db8::/64");
	t[4].review = t[6].review = BH_REVIEW_REJECTED;
	bh_autofree char *all = export_text(t, n, NULL, &opts, 2);
	assert_non_null(strstr(all, "cidr: 203.0.113.0/24\n"));
	assert_non_null(strstr(all, "cidr: \"2001:db8::/64\"\n"));
	assert_non_null(strstr(all, "cidr: 198.51.100.7/32\n"));
	/* 203.0.113.77 is in the block for 443, but port 80 was not widened. */
	const char *other = strstr(all, "cidr: 203.0.113.77/32\n");
	assert_non_null(other);
	assert_true(strncmp(strstr(other, "port: "), "port: 80\n", 9) == 0);
	assert_null(strstr(all, "192.0.2.66"));
	assert_null(strstr(all, "port: 25"));
	assert_non_null(strstr(all, "learned-from: \"5 tuples\""));
	/* All of bad's edges were rejected: it stays governed, and may do nothing. */
	assert_non_null(strstr(all, "name: bad-baseline"));
	struct bh_tuple *again = bh_xmemdup(t, sizeof(t));
	again[0] = t[6];
	again[6] = t[0];
	bh_autofree char *turned = export_text(again, n, NULL, &opts, 2);
	assert_string_equal(all, turned);
	free(again);
	free_tuples(t, n);
}

static void test_export_silent_roles(void **state BH_UNUSED)
{
	struct bh_end idle = role("shop", "app=idle"), young = role("shop", "app=yo\nung");
	struct bh_export_opts opts = {
		.empty = &idle, .n_empty = 1, .hardly_seen = &young, .n_hardly_seen = 1};
	bh_autofree char *all = export_text(NULL, 0, NULL, &opts, 1);
	assert_non_null(strstr(all, "name: idle-baseline"));
	assert_non_null(strstr(all, "  ingress: []\n  egress: []\n"));
	assert_non_null(strstr(all, "\n# shop/yo\\nung has no policy: it was hardly seen"));
	opts.role = "other";
	bh_autofree char *none = export_text(NULL, 0, NULL, &opts, 0);
	assert_string_equal(none, "");
	bh_end_finish(&idle);
	bh_end_finish(&young);
}

static void test_tuple_id(void **state BH_UNUSED)
{
	char a[BH_TUPLE_ID_STRLEN], b[BH_TUPLE_ID_STRLEN], text[24];
	struct bh_tuple t = tuple(role("shop", "app=api"), outside("203.0.113.9"), 6, 443);
	struct bh_prefix p;
	bh_tuple_id(&t, a);
	t.connections = 77; /* evidence does not change who it is */
	assert_string_equal(bh_tuple_id(&t, b), a);
	t.port = 80;
	assert_string_not_equal(bh_tuple_id(&t, b), a);
	assert_ptr_equal(bh_tuple_outside(&t), &t.dst.addr);
	assert_int_equal(bh_prefix_parse("203.0.113.0/24", &p), 0);
	assert_string_equal(bh_breadth_format(&p, text), "256");
	assert_int_equal(bh_prefix_parse("0.0.0.0/0", &p), 0);
	assert_string_equal(bh_breadth_format(&p, text), "4294967296");
	assert_int_equal(bh_prefix_parse("2001:db8::/64", &p), 0);
	assert_string_equal(bh_breadth_format(&p, text), "2^64");
	bh_tuple_finish(&t);
}

static void expect_level(struct bh_ready_facts f, enum bh_ready_level want, const char *reason)
{
	struct bh_ready r;
	struct bh_buf bh_autobuf b = {0};
	bh_ready_judge(&f, &r);
	for (size_t i = 0; i < r.n; i++)
		bh_buf_printf(&b, "%c %s\n", r.reason[i].met ? '+' : '-', r.reason[i].text);
	if (r.level != want || !strstr(b.s, reason))
		fail_msg("%s, wanted %s with \"%s\"\n%s", bh_ready_level_name(r.level),
			bh_ready_level_name(want), reason, b.s);
}

/* Each condition is taken away from one that is ready. */
static void test_ready(void **state BH_UNUSED)
{
	const struct bh_ready_facts good = {.learned_s = 8 * 86400,
		.edges = 4,
		.connections = 90,
		.quiet_s = 2 * 86400,
		.hours = 24,
		.weekdays = 7,
		.starts = 1};
	struct bh_ready_facts f = good;
	expect_level(f, BH_READY_READY, "+ observed for 8d00h");
	f.starts = 0;
	expect_level(f, BH_READY_USABLE, "- no start of another container seen");
	f = good;
	f.weekdays = 6;
	expect_level(f, BH_READY_USABLE, "- 6 of 7 weekdays seen");
	f = good;
	f.quiet_s = 86399;
	expect_level(f, BH_READY_USABLE, "- nothing new for 23h59m");
	f.quiet_s = 6 * 3600 - 1;
	expect_level(f, BH_READY_LEARNING, "- nothing new for 5h59m");
	f = good;
	f.hours = 23;
	expect_level(f, BH_READY_LEARNING, "- 23 of 24 hours of a day seen");
	f = good;
	f.learned_s = 599;
	expect_level(f, BH_READY_HARDLY_SEEN, "- observed for 9m");
	f = good;
	f.edges = 0;
	expect_level(f, BH_READY_READY, "- no answered connection was seen"); /* it is a sink */
	f.hours = 23;
	expect_level(f, BH_READY_HARDLY_SEEN, "- no answered");
	f = good;
	f.unanswered = 3;
	expect_level(f, BH_READY_READY, "- 3 edges without any answer");
	f = good;
	f.learned_s = 30 * 86400; /* watched for longer: longer quiet is asked for */
	expect_level(f, BH_READY_USABLE, "- nothing new for 2d00h");
	expect_level((struct bh_ready_facts){0}, BH_READY_HARDLY_SEEN, "- observed for 0s");
}

static void test_hours(void **state BH_UNUSED)
{
	uint8_t hours[BH_HOURS_BYTES] = {0};
	unsigned h, d;
	bh_hours_mark(hours, 0); /* Thursday, 0 h */
	assert_int_equal(hours[(3 * 24) / 8], 1);
	bh_hours_mark(hours, INT64_C(7) * 86400 * 1000000); /* the same */
	bh_hours_mark(hours, -5);
	bh_hours_count(hours, &h, &d);
	assert_true(h == 1 && d == 1);
	for (int64_t i = 0; i < 7 * 24; i++)
		bh_hours_mark(hours, i * 3600 * 1000000);
	bh_hours_count(hours, &h, &d);
	assert_true(h == 24 && d == 7);
	for (size_t i = 0; i < BH_HOURS_BYTES; i++)
		assert_int_equal(hours[i], 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_role_precedence),
		cmocka_unit_test(test_role_volatile),
		cmocka_unit_test(test_role_unusable_values),
		cmocka_unit_test(test_export_review),
		cmocka_unit_test(test_export_silent_roles),
		cmocka_unit_test(test_tuple_id),
		cmocka_unit_test(test_ready),
		cmocka_unit_test(test_hours),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_export_text),
		cmocka_unit_test(test_export_sides),
		cmocka_unit_test(test_export_host),
		cmocka_unit_test(test_export_unsayable),
		cmocka_unit_test(test_export_quoting),
		cmocka_unit_test(test_export_names),
		cmocka_unit_test(test_export_evidence),
		cmocka_unit_test(test_export_names_of_addresses),
		cmocka_unit_test(test_export_folded),
		cmocka_unit_test(test_narrowing),
		cmocka_unit_test(test_exactness),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
