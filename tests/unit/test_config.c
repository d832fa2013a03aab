/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The configuration: defaults, every key, every kind of mistake, and that its print parses again.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config.h"

static struct bh_config *parse(const char *file, const char *text)
{
	bh_autodiags struct bh_diags d = {0};
	struct bh_config *c = NULL;
	if (bh_config_parse(file, text, text ? strlen(text) : 0, &d, &c) < 0)
		fail_msg("refused: line %d: %s: %s", d.item[0].line,
			d.item[0].path ? d.item[0].path : "", d.item[0].what);
	assert_int_equal(d.n, 0);
	return c;
}

static char *print(const struct bh_config *c)
{
	struct bh_buf b = {0};
	bh_config_print(c, &b);
	return bh_buf_take(&b);
}

static void assert_prints_again(const struct bh_config *c)
{
	bh_autofree char *once = print(c);
	struct bh_config *again = parse("printed.yaml", once);
	bh_autofree char *twice = print(again);
	assert_string_equal(once, twice);
	bh_config_free(again);
}

static void test_defaults(void **state BH_UNUSED)
{
	static const char *const texts[] = {NULL, "", "# nothing\n", "---\n", "{}", "modes:\n",
		"sources:\nnamespaces:\nnodes:\nfeeds:\naudit:\nqueue:\npace:\ncrowding:\nhistory:"
		"\nlearn:\n",
		"sources: auto\n"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(texts); i++) {
		struct bh_config *c = parse("/etc/bulkhead/bulkhead.yaml", texts[i]);
		assert_int_equal(c->mode, BH_MODE_LEARN);
		assert_false(c->unselected_deny || c->host_policy || c->reject ||
			     c->table_owner_never || c->fast_path);
		assert_string_equal(c->policies, "/etc/bulkhead/policies");
		assert_string_equal(c->state, "/var/lib/bulkhead");
		assert_string_equal(c->socket, "/run/bulkhead/bulkhead.sock");
		assert_true(c->sources_auto);
		assert_int_equal(
			c->n_modes + c->n_sources + c->n_namespaces + c->n_nodes + c->n_feeds, 0);
		assert_string_equal(c->audit_path, "/var/log/bulkhead/audit.jsonl");
		assert_int_equal(c->audit_flows, BH_AUDIT_FLOWS_NONE);
		assert_int_equal(c->audit_failure, BH_LOG_FAILURE_CONTINUE);
		assert_true(c->learn_volume && c->audit_aggregate_s == 0 && c->n_flows_of == 0);
		assert_int_equal(c->queue_base, 48620);
		assert_int_equal(c->queue_length, 16384);
		assert_int_equal(c->pace_rate, 1000);
		assert_int_equal(c->pace_burst, 2000);
		assert_int_equal(c->crowding_share, 12);
		assert_int_equal(c->history_keep_s, 30 * 86400);
		assert_int_equal(c->history_max, 100000);
		assert_int_equal(c->learn_edges, 200000);
		assert_int_equal(c->learn_flows, 200000);
		assert_int_equal(c->learn_names, 32768);
		assert_prints_again(c);
		bh_config_free(c);
	}
	bh_config_free(NULL);
}

static const char everything[] =
	"mode: enforce\n"
	"modes:\n"
	"- {namespace: shop, mode: audit}\n"
	"- mode: learn\n"
	"  selector:\n"
	"    matchLabels: {tier: db, 'y': \"\"}\n"
	"    matchExpressions:\n"
	"    - {key: app, operator: NotIn, values: [b, a]}\n"
	"    - {key: old, operator: DoesNotExist}\n"
	"unselected: deny\n"
	"host: policy\n"
	"deny: reject\n"
	"table_owner: never\n"
	"fast_path: true\n"
	"policies: policies.d\n"
	"state: /srv/state\n"
	"socket: unix:///run/b.sock\n"
	"sources: [{docker: /run/docker.sock}, {static: \"work\\u2028\\\"loads\\\\.yaml\"},\n"
	"  {cri: unix:///run/crio/crio.sock}]\n"
	"nodes:\n"
	"  node-1.example: {labels: {zone: a, \"b/c\": \"\"}, ips: [192.0.2.1, 2001:db8::1]}\n"
	"  gone: {ips: []}\n"
	"namespaces:\n"
	"  shop: {env: prod, kubernetes.io/metadata.name: shop}\n"
	"  'y':\n"
	"feeds:\n"
	"- {name: drop, url: 'https://example.com/drop?a=b#c'}\n"
	"- name: local\n"
	"  url: lists/bad.txt\n"
	"  format: plain\n"
	"  action: alert\n"
	"  interval: 2d\n"
	"  min_entries: 5\n"
	"  max_shrink_percent: 100\n"
	"audit: {path: audit.jsonl, flows: new, flows_of: {test: none, shop: full}, "
	"flows_aggregate: 2m, rotate: {size: 2G, age: 7d, keep: 0}, "
	"key_interval: 1h, on_log_failure: exit, sinks: [{name: a, to: 'tls://h:6514', format: "
	"cef, ca: ca.pem}, {name: j, to: journald}, {name: u, to: 'unix:/dev/log'}, {name: t, to: "
	"'tcp://[::1]:514', format: ocsf}]}\n"
	"queue: {base: 65533, length: 256}\n"
	"pace: {rate: 0, burst: 1}\n"
	"crowding: {share: 25}\n"
	"history: {keep: 1s, max: 100}\n"
	"learn: {edges: 1000, flows: 2000000, names: 0, volume: false}\n";

static void test_everything(void **state BH_UNUSED)
{
	struct bh_config *c = parse("/etc/b/bulkhead.yaml", everything);
	struct bh_buf s = {0};
	assert_int_equal(c->mode, BH_MODE_ENFORCE);
	assert_int_equal(c->n_modes, 2);
	assert_string_equal(c->modes[0].namespace, "shop");
	assert_false(c->modes[0].has_selector);
	assert_int_equal(c->modes[0].mode, BH_MODE_AUDIT);
	assert_null(c->modes[1].namespace);
	assert_true(c->modes[1].has_selector);
	bh_selector_format(&c->modes[1].selector, &s);
	assert_string_equal(s.s, "app notin (a,b),!old,tier=db,y=");
	bh_buf_finish(&s);
	assert_true(c->unselected_deny && c->host_policy && c->reject && c->table_owner_never &&
		    c->fast_path);
	assert_string_equal(c->policies, "/etc/b/policies.d");
	assert_string_equal(c->state, "/srv/state");
	assert_string_equal(c->socket, "/run/b.sock");
	assert_false(c->sources_auto);
	assert_int_equal(c->sources[0].kind, BH_SOURCE_DOCKER);
	assert_string_equal(c->sources[0].path, "/run/docker.sock");
	assert_int_equal(c->sources[1].kind, BH_SOURCE_STATIC);
	assert_int_equal(c->sources[2].kind, BH_SOURCE_CRI);
	assert_string_equal(c->sources[2].path, "/run/crio/crio.sock");
	assert_string_equal(c->sources[1].path, "/etc/b/work\xe2\x80\xa8\"loads\\.yaml");
	assert_int_equal(c->n_nodes, 2);
	assert_string_equal(c->nodes[0].name, "node-1.example");
	assert_string_equal(bh_labels_get(&c->nodes[0].labels, "zone"), "a");
	assert_int_equal(c->nodes[0].n_addrs, 2);
	assert_int_equal(c->nodes[0].addr[1].family, BH_IPV6);
	assert_int_equal(c->nodes[1].n_addrs, 0);
	assert_int_equal(c->n_namespaces, 2);
	assert_string_equal(bh_labels_get(&c->namespaces[0].labels, "env"), "prod");
	assert_string_equal(c->namespaces[1].name, "y");
	assert_string_equal(c->feeds[0].url, "https://example.com/drop?a=b#c");
	assert_int_equal(c->feeds[0].interval_s, 3600);
	assert_int_equal(c->feeds[0].min_entries, 1);
	assert_int_equal(c->feeds[0].max_shrink_percent, 90);
	assert_string_equal(c->feeds[0].format, "auto");
	assert_false(c->feeds[0].alert_only);
	assert_string_equal(c->feeds[1].url, "/etc/b/lists/bad.txt");
	assert_true(c->feeds[1].alert_only);
	assert_int_equal(c->feeds[1].interval_s, 2 * 86400);
	assert_string_equal(c->audit_path, "/etc/b/audit.jsonl");
	assert_int_equal(c->audit_rotate_size, UINT64_C(2) << 30);
	assert_int_equal(c->audit_rotate_s, 7 * 86400);
	assert_int_equal(c->audit_keep, 0);
	assert_int_equal(c->audit_key_s, 3600);
	assert_int_equal(c->audit_failure, BH_LOG_FAILURE_EXIT);
	assert_int_equal(c->audit_flows, BH_AUDIT_FLOWS_NEW);
	assert_int_equal(c->n_flows_of, 2);
	assert_string_equal(c->flows_of[1].namespace, "shop");
	assert_int_equal(c->flows_of[1].flows, BH_AUDIT_FLOWS_FULL);
	assert_int_equal(c->audit_aggregate_s, 120);
	assert_false(c->learn_volume);
	assert_int_equal(c->n_sinks, 4);
	assert_int_equal(c->sinks[0].kind, BH_SINK_TLS);
	assert_string_equal(c->sinks[0].ca, "/etc/b/ca.pem");
	assert_int_equal(c->sinks[0].format, BH_RENDER_CEF);
	assert_string_equal(c->sinks[3].address, "[::1]:514");
	assert_int_equal(c->queue_base, 65533);
	assert_int_equal(c->queue_length, 256);
	assert_int_equal(c->pace_rate, 0);
	assert_int_equal(c->pace_burst, 1);
	assert_int_equal(c->crowding_share, 25);
	assert_int_equal(c->history_keep_s, 1);
	assert_int_equal(c->history_max, 100);
	assert_int_equal(c->learn_names, 0);
	assert_int_equal(c->learn_edges, 1000);
	assert_int_equal(c->learn_flows, 2000000);
	assert_prints_again(c);
	bh_config_free(c);
}

static void test_relative_paths(void **state BH_UNUSED)
{
	static const char *const t[][2] = {{"bulkhead.yaml", "p"}, {"etc/b.yaml", "etc/p"},
		{"/b.yaml", "/p"}, {"../b.yaml", "../p"}};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		struct bh_config *c = parse(t[i][0], "policies: p\n");
		assert_string_equal(c->policies, t[i][1]);
		bh_config_free(c);
	}
	struct bh_config *c = parse("f", "sources: []\n");
	assert_false(c->sources_auto);
	assert_int_equal(c->n_sources, 0);
	assert_prints_again(c);
	bh_config_free(c);
}

static void test_sources(void **state BH_UNUSED)
{
	struct bh_config *c = parse("/etc/b/f",
		"sources: [{docker: off}, auto, {podman: 'unix:///p.sock'}, {static: 'off'}]\n"
		"namespace_labels: [com.example/team, app]\nimage_labels: ignore\n");
	assert_true(c->sources_auto);
	assert_int_equal(c->n_sources, 3);
	assert_int_equal(c->sources[0].kind, BH_SOURCE_DOCKER);
	assert_null(c->sources[0].path);
	assert_int_equal(c->sources[1].kind, BH_SOURCE_PODMAN);
	assert_string_equal(c->sources[1].path, "/p.sock");
	assert_string_equal(c->sources[2].path, "/etc/b/off"); /* a file has no other place */
	assert_string_equal(c->namespace_labels[0], "com.example/team");
	assert_string_equal(c->namespace_labels[1], "app");
	assert_null(c->namespace_labels[2]);
	assert_true(c->image_labels_ignore);
	assert_prints_again(c);
	bh_config_free(c);
	c = parse("f", "namespace_labels: []\nsources: [auto]\n");
	assert_non_null(c->namespace_labels);
	assert_null(c->namespace_labels[0]);
	assert_true(c->sources_auto);
	assert_int_equal(c->n_sources, 0);
	assert_prints_again(c);
	bh_config_free(c);
}

static void test_intervals(void **state BH_UNUSED)
{
	static const struct {
		const char *s;
		uint64_t seconds; /* 0 = refused */
	} t[] = {{"1s", 1}, {"90s", 90}, {"30m", 1800}, {"1h", 3600}, {"30d", 2592000}, {"31d", 0},
		{"0s", 0}, {"2592001s", 0}, {"18446744073709551615d", 0},
		{"99999999999999999999h", 0}, {"1w", 0}, {"1", 0}, {"h", 0}, {"''", 0}, {"1.5h", 0},
		{"01h", 0}, {"-1h", 0}, {"1 h", 0}, {"1h30m", 0}, {"[]", 0}};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		bh_autodiags struct bh_diags d = {0};
		struct bh_config *c = NULL;
		char text[100];
		snprintf(text, sizeof(text), "feeds: [{name: a, url: /a, interval: %s}]", t[i].s);
		int r = bh_config_parse("f", text, strlen(text), &d, &c);
		if ((r == 0) != (t[i].seconds != 0) ||
			(r == 0 && c->feeds[0].interval_s != t[i].seconds))
			fail_msg("%s", t[i].s);
		bh_config_free(c);
	}
}

/* One mistake each; its line, path and words. */
static void test_mistakes(void **state BH_UNUSED)
{
	static const struct {
		const char *text;
		int line, column;
		const char *path, *words;
	} t[] = {
		{"- a", 1, 1, NULL, "mapping"},
		{"text", 1, 1, NULL, "mapping"},
		{"mode: learn\n---\nmode: audit\n", 3, 0, NULL, "2 documents"},
		{"mode: learn\nmode: audit\n", 2, 1, NULL, "twice"},
		{"\nmode: Enforce\n", 2, 7, "mode", "unknown value \"Enforce\""},
		{"mode: on\n", 1, 7, "mode", "must be a string"},
		{"mode:\n", 1, 6, "mode", "not null"},
		{"polices: /x\n", 1, 1, NULL, "unknown field \"polices\""},
		{"\"mode\\0\": learn\n", 1, 1, NULL, "unknown field \"mode\\x00\""},
		{"unselected: drop\n", 1, 13, "unselected", "unknown value"},
		{"host: deny\n", 1, 7, "host", "unknown value"},
		{"deny: true\n", 1, 7, "deny", "must be a string"},
		{"table_owner: always\n", 1, 14, "table_owner", "unknown value"},
		{"policies: ''\n", 1, 11, "policies", "empty"},
		{"state: \"a\\nb\"\n", 1, 8, "state", "control characters"},
		{"state: \"a\\0b\"\n", 1, 8, "state", "NUL"},
		{"socket: http://x\n", 1, 9, "socket", "not a path"},
		{"socket: unix://\n", 1, 9, "socket", "not a path"},
		{"modes: {}\n", 1, 8, "modes", "must be a list"},
		{"modes: [{namespace: a}]\n", 1, 9, "modes[0]", "mode is missing"},
		{"modes: [{mode: learn, namespace: A}]\n", 1, 34, "modes[0].namespace",
			"not the name"},
		{"modes: [{mode: learn, selector: {matchLabels: {a: 1}}}]\n", 1, 51,
			"modes[0].selector.matchLabels.a", "must be a string"},
		{"modes: [{mode: learn, selector: {matchLabels: {yes: a}}}]\n", 1, 48,
			"modes[0].selector.matchLabels", "must be a string"},
		{"modes: [{mode: learn, selector: {matchLabels: {a: b/c}}}]\n", 1, 51,
			"modes[0].selector.matchLabels.a", "not a label value"},
		{"modes: [{mode: learn, selector: {matchExpressions: [{key: a}]}}]\n", 1, 53,
			"modes[0].selector.matchExpressions[0]", "operator is missing"},
		{"modes: [{mode: learn, selector: {matchExpressions: [{key: a, operator: In}]}}]\n",
			1, 53, "modes[0].selector.matchExpressions[0]", "need values"},
		{"modes: [{mode: learn, selector: {matchExpressions: [{key: a, operator: Exists, "
		 "values: [b]}]}}]\n",
			1, 88, "modes[0].selector.matchExpressions[0].values", "take no values"},
		{"modes: [{mode: learn, selector: }]\n", 1, 33, "modes[0].selector", "null"},
		{"sources: docker\n", 1, 10, "sources", "unknown value"},
		{"sources: [{}]\n", 1, 11, "sources[0]", "exactly one"},
		{"sources: [{docker: /a, static: b}]\n", 1, 11, "sources[0]", "exactly one"},
		{"sources: [{podman: /a, docker: off}]\n", 1, 11, "sources[0]", "exactly one"},
		{"sources: [{podman: no}]\n", 1, 20, "sources[0].podman", "must be a string"},
		{"sources: [automatic]\n", 1, 11, "sources[0]", "must be a mapping"},
		{"sources: off\n", 1, 10, "sources", "must be a string"},
		{"namespace_labels: team\n", 1, 19, "namespace_labels", "must be a list"},
		{"namespace_labels: [team, 'a b']\n", 1, 26, "namespace_labels[1]",
			"not the key of a label"},
		{"namespace_labels: [{a: b}]\n", 1, 20, "namespace_labels[0]", "must be a string"},
		{"sources: [{crio: /a}]\n", 1, 12, "sources[0]", "unknown field \"crio\""},
		{"sources: [{cri: [/a]}]\n", 1, 17, "sources[0].cri", "must be a string"},
		{"sources: [{cri: /a, docker: /b}]\n", 1, 11, "sources[0]", "exactly one"},
		{"sources: [{docker: 'tcp://1.2.3.4'}]\n", 1, 20, "sources[0].docker",
			"not a path"},
		{"sources: [{static: a}, {static: a}]\n", 1, 24, "sources[1]", "twice"},
		{"nodes: []\n", 1, 8, "nodes", "must be a mapping"},
		{"nodes: {a..b: {ips: []}}\n", 1, 9, "nodes", "not the name of a node"},
		{"nodes: {A: {ips: []}}\n", 1, 9, "nodes", "not the name of a node"},
		{"nodes: {a-: {ips: []}}\n", 1, 9, "nodes", "not the name of a node"},
		{"nodes: {a: {labels: {}}}\n", 1, 12, "nodes.a", "ips is missing"},
		{"nodes: {a: {ips: 192.0.2.1}}\n", 1, 18, "nodes.a.ips", "must be a list"},
		{"nodes: {a: {ips: [192.0.2.0/24]}}\n", 1, 19, "nodes.a.ips[0]", "not an address"},
		{"nodes: {a: {ips: [], zone: b}}\n", 1, 22, "nodes.a", "unknown"},
		{"nodes: {a: {ips: [], labels: {a b: c}}}\n", 1, 31, "nodes.a.labels", "label key"},
		{"namespaces: []\n", 1, 13, "namespaces", "must be a mapping"},
		{"namespaces: {Shop: {}}\n", 1, 14, "namespaces", "not the name"},
		{"namespaces: {no: {}}\n", 1, 14, "namespaces", "must be a string"},
		{"namespaces: {a: {kubernetes.io/metadata.name: b}}\n", 1, 47, "namespaces.a",
			"must be the namespace's name"},
		{"feeds: [{url: /a}]\n", 1, 9, "feeds[0]", "name is missing"},
		{"feeds: [{name: a}]\n", 1, 9, "feeds[0]", "url is missing"},
		{"feeds: [{name: ../../etc, url: /a}]\n", 1, 16, "feeds[0].name", "cannot be"},
		{"feeds: [{name: .., url: /a}]\n", 1, 16, "feeds[0].name", "cannot be"},
		{"feeds: [{name: a/b, url: /a}]\n", 1, 16, "feeds[0].name", "cannot be"},
		{"feeds: [{name: a, url: 'ftp://x/y'}]\n", 1, 24, "feeds[0].url", "not a URL"},
		{"feeds: [{name: a, url: 'http://'}]\n", 1, 24, "feeds[0].url", "not a URL"},
		{"feeds: [{name: a, url: 'http:///x'}]\n", 1, 24, "feeds[0].url", "not a URL"},
		{"feeds: [{name: a, url: \"http://x/\\ny\"}]\n", 1, 24, "feeds[0].url", "control"},
		{"feeds: [{name: a, url: ''}]\n", 1, 24, "feeds[0].url", "not a URL"},
		{"feeds: [{name: a, url: /a}, {name: a, url: /b}]\n", 1, 29, "feeds[1]", "twice"},
		{"feeds: [{name: a, url: /a, format: xml}]\n", 1, 36, "feeds[0].format", "unknown"},
		{"feeds: [{name: a, url: /a, max_shrink_percent: 101}]\n", 1, 48,
			"feeds[0].max_shrink_percent", "from 0 to 100"},
		{"audit: {flows_of: {shop: all}}\n", 1, 26, "audit.flows_of.shop", "unknown value"},
		{"audit: {flows_of: [shop]}\n", 1, 19, "audit.flows_of", ""},
		{"audit: {flows_aggregate: 2h}\n", 1, 26, "audit.flows_aggregate", "too long"},
		{"audit: {flows_aggregate: 5}\n", 1, 26, "audit.flows_aggregate", ""},
		{"learn: {volume: 7}\n", 1, 17, "learn.volume", ""},
		{"audit: {flows: some}\n", 1, 16, "audit.flows", "unknown value"},
		{"audit: {file: x}\n", 1, 9, "audit", "unknown field"},
		{"audit: {sinks: [{name: a, to: 'udp://h:1'}]}\n", 1, 31, "audit.sinks[0].to",
			"can go"},
		{"audit: {sinks: [{name: a, to: 'tcp://h'}]}\n", 1, 31, "audit.sinks[0].to",
			"can go"},
		{"audit: {sinks: [{name: A, to: journald}]}\n", 1, 24, "audit.sinks[0].name",
			"name of a sink"},
		{"audit: {sinks: [{name: a, to: journald, ca: x}]}\n", 1, 45, "audit.sinks[0].ca",
			"tls"},
		{"audit: {sinks: [{name: a, to: journald}, {name: a, to: journald}]}\n", 1, 42,
			"audit.sinks[1]", "another sink"},
		{"audit: {on_log_failure: block}\n", 1, 25, "audit.on_log_failure",
			"unknown value"},
		{"audit: {rotate: {size: 1}}\n", 1, 24, "audit.rotate.size", "string"},
		{"audit: {rotate: {size: 1M2}}\n", 1, 24, "audit.rotate.size", "size from 64K"},
		{"audit: {rotate: {size: 2048G}}\n", 1, 24, "audit.rotate.size", "size from 64K"},
		{"audit: {rotate: {size: 63K}}\n", 1, 24, "audit.rotate.size", "size from 64K"},
		{"audit: {rotate: {keep: -1}}\n", 1, 24, "audit.rotate.keep", "0"},
		{"audit: {key_interval: 7}\n", 1, 23, "audit.key_interval", "unit"},
		{"queue: {base: 65534}\n", 1, 15, "queue.base", "from 0 to 65533"},
		{"queue: {length: 255}\n", 1, 17, "queue.length", "from 256 to 65536"},
		{"queue: {length: 0400}\n", 1, 17, "queue.length", "whole number"},
		{"pace: {rate: 1000001}\n", 1, 14, "pace.rate", "from 0 to 1000000"},
		{"pace: {burst: 0}\n", 1, 15, "pace.burst", "from 1 to 1000000"},
		{"crowding: {share: 0}\n", 1, 19, "crowding.share", "from 1 to 100"},
		{"crowding: {share: 101}\n", 1, 19, "crowding.share", "from 1 to 100"},
		{"crowding: {rate: 1}\n", 1, 12, "crowding", "unknown field"},
		{"pace: {speed: 1}\n", 1, 8, "pace", "unknown field"},
		{"history: {keep: 0d}\n", 1, 17, "history.keep", "from 1s to 3650d"},
		{"history: {keep: 3651d}\n", 1, 17, "history.keep", "from 1s to 3650d"},
		{"history: {keep: 30}\n", 1, 17, "history.keep", "lacks its unit"},
		{"history: {max: 99}\n", 1, 16, "history.max", "from 100 to 1000000"},
		{"learn: {edges: 999}\n", 1, 16, "learn.edges", "from 1000 to 2000000"},
		{"learn: {names: -1}\n", 1, 16, "learn.names", "from 0 to 1000000"},
		{"history: {days: 1}\n", 1, 11, "history", "unknown field"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		bh_autodiags struct bh_diags d = {0};
		struct bh_config *c = NULL;
		if (bh_config_parse("f", t[i].text, strlen(t[i].text), &d, &c) != -EINVAL || c)
			fail_msg("accepted: %s", t[i].text);
		const struct bh_diag *e = &d.item[0];
		if (d.n != 1 || e->line != t[i].line || e->column != t[i].column ||
			!bh_streq(e->path, t[i].path) || !strstr(e->what, t[i].words))
			fail_msg("%zu: %d:%d: %s: %s, for %s", d.n, e->line, e->column,
				e->path ? e->path : "", e->what, t[i].text);
	}
}

/* What would be right. */
static void test_remedies(void **state BH_UNUSED)
{
	static const char *const t[][2] = {
		{"sources: docker\n", "auto, or a list: [{docker: /run/docker.sock}]"},
		{"sources: [docker]\n", "auto, or {docker: /run/docker.sock}"},
		{"mode: learn\n  host: allow\n", "indent it as the keys beside it"},
		{"mode: Enforce\n", "learn, audit or enforce"},
		{"mode: on\n", "learn, audit or enforce"},
		{"deny: true\n", "drop or reject"},
		{"audit: {rotate: {size: 256}}\n", "such as 256M"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(t); i++) {
		bh_autodiags struct bh_diags d = {0};
		struct bh_config *c = NULL;
		assert_int_equal(bh_config_parse("f", t[i][0], strlen(t[i][0]), &d, &c), -EINVAL);
		if (!d.item[0].remedy || !strstr(d.item[0].remedy, t[i][1]))
			fail_msg("%s: %s", t[i][0], d.item[0].remedy ? d.item[0].remedy : "-");
	}
}

static void test_all_mistakes_at_once(void **state BH_UNUSED)
{
	static const char text[] = "mode: x\nhosts: allow\nfeeds: [{name: a}, {url: /b}]\n"
				   "queue: {base: -1, length: 1}\n";
	bh_autodiags struct bh_diags d = {0};
	struct bh_config *c = NULL;
	bh_diag_add(&d, BH_ERROR, "other", 1, 1, NULL, NULL, "was there before");
	assert_int_equal(bh_config_parse("f", text, strlen(text), &d, &c), -EINVAL);
	assert_int_equal(d.n_errors, 7);
	assert_int_equal(
		bh_config_parse("f", "", 0, &d, &c), 0); /* what was there does not count */
	bh_config_free(c);
}

static void test_long_socket(void **state BH_UNUSED)
{
	bh_autodiags struct bh_diags d = {0};
	struct bh_config *c = NULL;
	char text[200];
	int n = snprintf(text, sizeof(text), "socket: /%0106d\n", 0);
	assert_int_equal(bh_config_parse("f", text, (size_t)n, &d, &c), 0);
	bh_config_free(BH_TAKE_PTR(c));
	n = snprintf(text, sizeof(text), "socket: /%0107d\n", 0);
	assert_int_equal(bh_config_parse("f", text, (size_t)n, &d, &c), -EINVAL);
}

static void test_drift(void **state BH_UNUSED)
{
	static const char *const bad[] = {"drift: 3\n", "drift: {quarantine: {denied_peers: 65}}\n",
		"drift: {quarantine: {denied_peers: -1}}\n", "drift: {quarantine: {within: 2d}}\n",
		"drift: {quarantine: {feed_hit: maybe}}\n", "drift: {quarantine: {peers: 3}}\n",
		"drift: {other: 1}\n"};
	struct bh_config *c = parse("c.yaml", "drift:\n");
	assert_int_equal(c->drift_peers, 0); /* off unless it is asked for */
	assert_false(c->drift_feed_hit);
	assert_int_equal(c->drift_within_s, 60);
	bh_config_free(c);
	c = parse(
		"c.yaml", "drift: {quarantine: {denied_peers: 5, within: 10m, feed_hit: true}}\n");
	assert_int_equal(c->drift_peers, 5);
	assert_int_equal(c->drift_within_s, 600);
	assert_true(c->drift_feed_hit);
	assert_prints_again(c);
	bh_config_free(c);
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		bh_autodiags struct bh_diags d = {0};
		if (bh_config_parse("c.yaml", bad[i], strlen(bad[i]), &d, &c) == 0)
			fail_msg("accepted: %s", bad[i]);
		assert_true(d.n_errors > 0 && d.item[0].line == 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_drift),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_relative_paths),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_intervals),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_remedies),
		cmocka_unit_test(test_all_mistakes_at_once),
		cmocka_unit_test(test_long_socket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
