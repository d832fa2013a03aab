/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command line as a person or a script meets it: workloads, lists, changes, reports. */
#include <sys/stat.h>

#include <jansson.h>

#include "lib/cli_run.h"

static void test_status(void **state BH_UNUSED)
{
	expect("status", 0, "Bulkhead 0.1.0 on node-1", "");
	assert_non_null(strstr(last.out, "enforcing   yes"));
	assert_non_null(strstr(last.out, "  enforce   closed: new flows are dropped"));
	/* problems come before the details */
	const char *problem = strstr(last.out, "docker: cannot connect; is it running?");
	assert_non_null(problem);
	assert_true(problem < strstr(last.out, "\nkernel"));
	/* all mistakes of a file, each on its line, which could not be taken for one of ours */
	assert_non_null(
		strstr(last.out, "\n  - a.yaml:1:1: one\n      a.yaml:2:1: \\x1b[31mtwo\n"));
	assert_null(strchr(last.out, '\033')); /* not a terminal: no colour */
	assert_non_null(strstr(last.out, "; 1 commit, last "));
	assert_non_null(strstr(last.out, "0 containers; connection refused"));
	assert_non_null(strstr(last.out, "1 tuple, 1 answered, "));
	assert_non_null(strstr(last.out, "\n            shop/x\\x1b[31m selects nobody who"));
	expect_json("status -o json", "failing");
	expect_json("-o json status", "kernel");
	expect_json("--output=json --socket bh.sock status", "kernel");
}

static void test_doctor(void **state BH_UNUSED)
{
	expect("doctor", 0,
		"node-1 is protected as it was asked for, which is less than could be: 0 FAIL, 1 "
		"warn, 0 skip, 1 ok",
		"");
	/* what is wrong comes first, with what to do */
	const char *warn = strstr(last.out, "\nwarn  localnet    route_localnet is 1\n");
	assert_non_null(warn);
	assert_non_null(strstr(warn, "> sysctl -w x=0\n"));
	assert_true(warn < strstr(last.out, "\nok    tables      there\n"));
	expect_json("-o json doctor", "checks");
	assert_non_null(strstr(last.out, "\"good\": true"));
	expect("doctor everything", 2, "", "");
}

static void test_ps(void **state BH_UNUSED)
{
	expect("ps", 0, "0123456789ab  shop", "");
	assert_harmless(last.out);
	assert_non_null(strstr(last.out, "\\x1b[31m日本\\u202e\\x07"));
	assert_non_null(strstr(last.out, "10.0.0.2,fd00::2"));
	assert_non_null(strstr(last.out, "none: shares the host’s network"));
	/* aligned: ROLE, web and y start at the same column of the terminal. The evil name is 24
	 * columns wide ("日本" takes four) in 26 bytes. */
	char *header = last.out, *web = strchr(header, '\n') + 1, *evil = strchr(web, '\n') + 1;
	long head_at = strstr(header, "ROLE") - header;
	assert_memory_equal(web + head_at, "web", 3);
	assert_memory_equal(evil + head_at + 2, "y ", 2);
	expect_json("ps -o json", "workloads");
}

static void test_ps_filters(void **state BH_UNUSED)
{
	expect("ps -l 'a=b,!c' -n shop --image nginx:1 --digest sha256:ab --registry ghcr.io "
	       "--mode "
	       "audit -ojson",
		0, "\"selector\": \"a=b,!c\"", "");
	static const char *const told[] = {"\"image\": \"nginx:1\"", "\"digest\": \"sha256:ab\"",
		"\"registry\": \"ghcr.io\"", "\"namespace\": \"shop\"", "\"mode\": \"audit\"",
		"\"gone\": false"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(told); i++)
		assert_non_null(strstr(last.out, told[i]));
	expect("ps", 0, "ISOLATED", "");
	assert_null(strstr(last.out, "STOPPED"));
	expect("ps --all", 0, "≤2026-01-01 00:00:00  2026-01-02 00:00:00?  gone", "");
	assert_non_null(strstr(last.out, "10.0.0.9"));
	expect("ps -o wide", 0, "REGISTRY", "");
	assert_non_null(strstr(last.out, "docker.io"));
	assert_null(strstr(last.out, "old"));
	expect("ps -o yaml", 0, "workloads:\n- id: \"0123456789abcdef0123\"\n", "");
	assert_non_null(strstr(
		last.out, "    mac: \"02:00:00:00:00:01\"\n    addresses:\n    - \"10.0.0.2\"\n"));
	assert_null(strchr(last.out, '\033'));
	expect("-o yaml ps", 0, "workloads:\n", "");
	expect("ps -l 'a in (b'", 2, "", "--selector");
	expect("ps --image 'A B'", 2, "", "--image takes a reference");
	expect("ps --mode off", 2, "", "--mode takes");
	expect("ps -o xml", 2, "", "-o takes table|wide|json|yaml, not \"xml\"");
	expect("ps -o ''", 2, "", "-o takes");
	expect("ps -o 'table|wide'", 2, "", "-o takes");
	expect("-o yaml flows", 2, "", "-o takes table|wide|json, not \"yaml\"");
	expect("ps --help", 0, "-o, --output table|wide|json|yaml", "");
}

static void test_workload_show(void **state BH_UNUSED)
{
	expect("workload show shop/web", 0,
		"mode           enforce, configured for namespace shop\n", "");
	static const char *const told[] = {"shop/web\n", "or before", "in force since 2026-01-02",
		"beacons", "10.0.0.5/32:22/tcp",
		"cnp:no-db (Admin, priority 7), rules: 1, in a.yaml:3",
		"shop/web (NetworkPolicy), rules: 2, in b.yaml:1",
		"egress         no policy selects it", "claims 198.51.100.7", "veth1",
		"to others    5        1                3", "tcp/5432", "egress rule 0",
		"app=\\x1b[31mweb"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(told); i++)
		if (!strstr(last.out, told[i]))
			fail_msg("%s is not in\n%s", told[i], last.out);
	expect_json("workload show shop/web -o json", "directions");
	expect("workload show shop/web -o yaml", 0, "mode_origin: \"configured", "");
	expect("workload show nobody", 1, "", "no workload is called nobody");
	expect("workload show", 2, "", "needs WORKLOAD");
	expect("workload", 2, "", "needs one of: show");
}

/* Each record of somebody's change is one of the report, and says whom or what it was about. */
static void test_report_changes(void **state BH_UNUSED)
{
	static const char *const told[] = {
		"quarantine.rm  success  uid 7, pid 8  workload shop/web",
		"feed.change    success  uid 7, pid 8  feed drop; change removed",
		"learn.reset    success  uid 7, pid 8  namespace shop",
		"mode.change    success  uid 7, pid 8  namespace shop; from enforce; cleared"};
#define BY(action, change)                                                                         \
	"{\"@timestamp\":\"2026-01-02T03:04:05.000006Z\",\"event\":{\"action\":\"" action          \
	"\",\"outcome\":\"success\",\"sequence\":1},\"user\":{\"id\":\"7\"},\"process\":{\"pid\":" \
	"8},"                                                                                      \
	"\"bulkhead\":{\"change\":{" change "},\"actor\":{\"login_uid\":null}}}\n"
	write_file("changes.jsonl",
		BY("quarantine.rm", "\"removed\":[{\"workload\":\"shop/web\"}]")
			BY("feed.change", "\"feed\":\"drop\",\"change\":\"removed\"")
				BY("feed.update", "\"feed\":\"other\"") BY(
					"learn.reset", "\"namespace\":\"shop\"") BY("mode.change",
					"\"namespace\":\"shop\",\"from\":\"enforce\",\"to\":null"));
#undef BY
	expect("report changes changes.jsonl", 0, "WHEN (UTC)", "");
	for (size_t i = 0; i < BH_ARRAY_SIZE(told); i++)
		if (!strstr(last.out, told[i]))
			fail_msg("%s is not in\n%s", told[i], last.out);
	assert_null(strstr(last.out, "other")); /* what a feed serves is nobody's change */
	expect("audit export --action feed.change --action polcy.change changes.jsonl", 0,
		"\"feed\":\"drop\"", "bulkhead: no record has the action polcy.change\n");
	assert_null(strstr(last.err, "feed.change"));
}

static void test_impact(void **state BH_UNUSED)
{
	expect("impact 203.0.113.9", 0, "shop/web  gone", "more than is shown");
	static const char *const told[] = {"2026-01-02 03:04:05  2026-01-02 03:04:06  12",
		"to 203.0.113.9 tcp/443", "host      outside", "shop/db          203.0.113.9",
		"of web:1 run now: shop/web-2, shop/web-3", "of old:1 run now: nothing"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(told); i++)
		if (!strstr(last.out, told[i]))
			fail_msg("%s is not in\n%s", told[i], last.out);
	/* a peer once, whatever verdicts its flows had */
	assert_non_null(strstr(last.out, "to 203.0.113.9 tcp/443, to 203.0.113.9 tcp/44\n"));
	expect("impact 203.0.113.1", 0, "nobody, as far as flows are recorded", "");
	assert_non_null(strstr(last.out, "(203.0.113.1 is taken for: address)"));
	expect_json("impact 203.0.113.9 -o json", "affected");
	expect("impact", 2, "", "needs ADDRESS");
}

static void test_lists(void **state BH_UNUSED)
{
	expect("policy list", 0, "1 in, 2 out", "");
	assert_non_null(strstr(last.out, "ingress,egress"));
	assert_non_null(strstr(last.out, "web.yaml:1"));
	assert_non_null(strstr(last.out, "Admin 10"));
	assert_non_null(strstr(last.out, "namespaces env=prod; pods all"));
	expect_json("policy list -o json", "policies");
	expect("feed list", 0, "1234", "");
	expect_json("feed list -o json", "feeds");
	expect("state", 0, "name: \"node\"\nworkloads:\n", "");
	expect_json("state -o json", "yaml");
	expect("mode get", 0, "command (configured: learn)", "");
	assert_non_null(strstr(last.out, "namespace shop"));
	assert_non_null(strstr(last.out, "tier=db"));
	assert_non_null(
		strstr(last.out, "command until 2026-01-02 03:04:05 UTC, then what else is set"));
	expect_json("mode get -o json", "selectors");
	expect("quarantine list", 0, "shop/web  in force  name: fedcba987654", "");
	assert_non_null(strstr(last.out, "10.0.0.5/32:22/tcp,[fd00::/8]:53/udp"));
	assert_non_null(strstr(last.out, "x/y       absent "));
	assert_null(strchr(last.out, '\033')); /* the reason is somebody's text */
	expect_json("quarantine list -o json", "quarantine");
}

/* --allow may be given several times, in every way an option can be. */
static void test_quarantine(void **state BH_UNUSED)
{
	if (getuid() != 0)
		skip();
	expect("quarantine add shop/web --allow 10.0.0.5:22 --allow=10.0.0.0/8:53/udp --reason "
	       "'a b' --allow '[::1]:80' -o json",
		0, "\"10.0.0.5:22\"", "{\"warning\":{\"message\":\"a part is out of reach\"}}\n");
	json_t *reply = json_loads(last.out, 0, NULL), *asked = json_object_get(reply, "asked");
	json_t *want = json_pack("{s:s, s:[s, s, s], s:s}", "workload", "shop/web", "allow",
		"10.0.0.5:22", "10.0.0.0/8:53/udp", "[::1]:80", "reason", "a b");
	assert_true(json_equal(asked, want));
	json_decref(want);
	json_decref(reply);
	expect("quarantine add web", 0, "established connections cut: 3", "");
	expect("quarantine add nobody", 1, "", "no workload is called nobody");
	expect("quarantine add web --allow 10.0.0.5", 2, "", "--allow 10.0.0.5: no port");
	expect("quarantine add web --allow", 2, "", "needs CIDR:PORT[/PROTO]…");
	expect("quarantine add", 2, "", "needs WORKLOAD");
	expect("quarantine add a b", 2, "", "too many words: b");
	expect("quarantine rm 'a b&c'", 0, "shop/web", "");
	expect("quarantine rm 'a b&c' -o json", 0, "\"asked\": \"a b&c\"", "");
	expect("quarantine", 2, "", "quarantine needs one of: add, rm, list");
}

static void test_changes(void **state BH_UNUSED)
{
	if (getuid() != 0)
		skip();
	expect("mode set audit", 0, "node            audit", "");
	expect("mode set enforce --namespace shop", 0, "namespace shop  enforce", "");
	expect_json("mode set learn -o json", "mode");
	expect("mode set learn --selector 'tier in (db)' --for 2h -o json", 0, "\"for\": 7200", "");
	assert_non_null(strstr(last.out, "\"selector\": \"tier in (db)\""));
	expect("mode set learn --for 0", 2, "", "--for takes a time such as 30m");
	expect("mode set learn --for 30", 2, "", "such as 30m, 2h or 7d"); /* 30 what? */
	expect("mode set learn --for 367d", 2, "", "up to 366d");
	expect("mode clear --namespace shop --selector 'a=b&c' -o json", 0,
		"\"selector\": \"a=b&c\"", "{\"warning\":{\"message\":\"nobody \\\\x1b[31m\"}}\n");
	expect("mode set block", 2, "", "learn, audit or enforce");
	expect("mode set", 2, "", "needs learn|audit|enforce");
	expect("feed show drop", 0, "10.0.0.0/8", "");
	assert_non_null(strstr(last.out, "…and 65 more"));
	assert_non_null(strstr(last.out, "(c) \\x1b[31m"));
	assert_non_null(strstr(last.out, "shop/web"));
	expect("feed show other", 1, "", "no feed is named other");
	expect_json("feed show drop -o json", "seen_before");
	expect("feed show", 2, "", "needs NAME");
	expect("feed test 192.0.2.7", 0, "192.0.2.7 is blocked", "");
	expect("feed test 192.0.2.9", 0, "is on no feed", "");
	expect("feed test 10.0.0.1", 0, "is never blocked", "");
	expect_json("feed test 192.0.2.7 -o json", "listed");
	char bh_autofree *lists = bh_xasprintf("%s/lists", dir);
	assert_int_equal(mkdir(lists, 0755), 0);
	write_file("lists/x", "192.0.2.1\n");
	expect("feed add mine lists/x --format stix --set min_entries=5 --set special=true --set "
	       "proxy=http://p:1 -o json",
		0, "/lists/x\"", "");
	assert_non_null(strstr(last.out, "\"min_entries\": 5"));
	assert_non_null(strstr(last.out, "\"special\": true"));
	assert_non_null(strstr(last.out, "\"proxy\": \"http://p:1\""));
	assert_non_null(strstr(last.out, "\"format\": \"stix\""));
	expect("feed add mine https://x/y", 0, "feed mine added", "");
	expect("feed add mine https://x/y --set nonsense", 2, "", "KEY=VALUE");
	expect("feed add mine", 2, "", "needs NAME URL|PATH");
	expect("feed rm mine", 0, "feed mine removed", "");
	expect("feed rm drop", 1, "", "in the configuration file");
	expect("feed refresh", 0, "loading 1 feed;", "");
	expect("feed refresh drop", 0, "loading 1 feed;", "");
	expect("feed refresh other", 1, "", "there is no feed other");
	expect("feed refresh a b", 2, "", "too many words: b");
}

static void test_explain(void **state BH_UNUSED)
{
	expect("explain shop/web 'a&b=c' tcp/443", 0, "shop/web to a&b=c, tcp/443", "");
	assert_non_null(strstr(last.out, "\ndrop (unmatched)\n")); /* still exit 0 */
	expect("explain a b 443/tcp", 0, "tcp/443", "");
	expect("explain a b icmp", 0, "icmp/-", "");
	expect_json("explain a b udp/53 -o json", "verdict");
	expect("explain nobody b tcp/1", 1, "", "no workload is called nobody");
	expect("explain a b tcp", 2, "", "no service");
	expect("explain a b tcp/0", 2, "", "no service");
	expect("explain a b tcp/65536", 2, "", "no service");
	expect("explain a b icmp/1", 2, "", "no service");
	expect("explain a b frob/1", 2, "", "no service");
	expect("explain a b", 2, "", "needs SRC DST PROTO/PORT");
}

/* What only a parser of the form can tell is asked in tests/system/test_reports.py. */
static void test_reports(void **state BH_UNUSED)
{
	expect_json("-o json report access", "could");
	expect_json("-o json report access --since 7d", "controls");
	expect("report access", 0, "policy version 12, fedcba987654", "");
	assert_non_null(strstr(last.out, "Could talk\n"));
	assert_non_null(strstr(last.out, "11 to 12"));
	assert_non_null(strstr(last.out, "would be denied"));
	assert_non_null(strstr(last.out, "older ones were put together"));
	assert_non_null(strstr(last.out, "INCOMPLETE: allowed flows not recorded one by one"));
	assert_non_null(strstr(last.out, "claims no compliance"));
	assert_null(strchr(last.out, '\033'));

	expect("report access --format csv", 0, "\"section\",\"source\",\"destination\"", "");
	assert_non_null(strstr(last.out, "\"'=cmd()|x\""));
	assert_non_null(strstr(last.out, "\"'@SUM(A1)\""));
	assert_non_null(strstr(last.out, "\"'-2+3 \"\"quoted\"\"\""));
	assert_non_null(strstr(last.out, "\"did\",\"shop/<script>alert(1)</script>\""));
	assert_null(strstr(last.out, "\"="));
	assert_null(strstr(last.out, "\"@"));

	expect("report access --format html", 0, "shop/&lt;script&gt;alert(1)&lt;/script&gt;", "");
	assert_non_null(strstr(last.out, "&lt;b&gt;close&lt;/b&gt; \\x1b[1m"));
	assert_non_null(strstr(last.out, "default-src 'none'"));
	assert_non_null(strstr(last.out, "<td class=\"bad\">would be denied</td>"));
	assert_non_null(strstr(last.out, "&quot;quoted&quot;"));
	assert_null(strstr(last.out, "<script"));
	assert_null(strstr(last.out, "<b>"));
	assert_null(strstr(last.out, "src="));
	assert_null(strstr(last.out, "href="));
	assert_null(strstr(last.out, "url("));

	expect("report rules-unused", 0, "1 of 2 used in the period", "");
	assert_non_null(strstr(last.out, "3 or before"));
	assert_null(strstr(last.out, "ingress rule 0 peer 0"));
	expect("report rules-unused --all", 0, "ingress rule 0 peer 0", "");
	expect("report rules-unused --format csv", 0, "\"'+ingress <i> peer 1\"", "");
	assert_non_null(strstr(last.out, "\"policy\",\"rule\""));
	expect("report rules-unused --format html", 0, "+ingress &lt;i&gt; peer 1", "");
	expect_json("-o json report rules-unused --since 90d", "rules_total");

	expect("report access --since 9s", 1, "", "could not be made: disk \\x1b[31m");
	expect("report access --since never", 2, "", "--since takes a time");
	expect("report rules-unused --format pdf", 2, "", "--format takes csv or html");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_status),
		T(test_doctor),
		T(test_ps),
		T(test_ps_filters),
		T(test_workload_show),
		T(test_impact),
		T(test_report_changes),
		T(test_reports),
		T(test_lists),
		T(test_changes),
		T(test_quarantine),
		T(test_explain),
	};
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	forget();
	return r;
}
