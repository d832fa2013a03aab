/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The formats of threat feeds as their publishers write them, and what is wrong in them. */
#include "feeds/formats/reader.h"

#include <errno.h>
#include <setjmp.h>

#include <cmocka.h>

#define NOW 1764380000 /* 2025-11-29 */

/* "ITEM ITEM … [-REMOVED …]", with "@expiry" where there is one. */
static char *words(const struct bh_feed_text *t)
{
	struct bh_buf b = {0};
	char s[BH_INDICATOR_STRLEN];
	for (size_t i = 0; i < bh_indicators_count(&t->ind); i++) {
		struct bh_range r = bh_indicators_range(&t->ind, i);
		uint32_t e =
			i < t->ind.n4 ? t->ind.v4[i].expires : t->ind.v6[i - t->ind.n4].expires;
		bh_buf_printf(&b, "%s%s", b.len ? " " : "", bh_indicator_format(&r, s));
		if (e)
			bh_buf_printf(&b, "@%u", e);
	}
	for (size_t i = 0; i < bh_indicators_count(&t->removed); i++) {
		struct bh_range r = bh_indicators_range(&t->removed, i);
		bh_buf_printf(&b, "%s-%s", b.len ? " " : "", bh_indicator_format(&r, s));
	}
	return bh_buf_take(&b);
}

struct sample {
	const char *format; /* what it must be taken for */
	const char *text, *want;
	size_t rejected;
	int64_t declared;
};

static void check(const struct sample *s, const char *ask)
{
	struct bh_diags bh_autodiags d = {0};
	struct bh_feed_text t;
	const struct bh_feed_read_opts o = {.name = "x", .format = ask, .now = NOW};
	if (bh_feed_read(&o, s->text, strlen(s->text), &d, &t) < 0) {
		struct bh_buf bh_autobuf b = {0};
		bh_diags_format(&d, &b);
		fail_msg("%s refused: %s\n%s", s->format, b.s, s->text);
	}
	char bh_autofree *got = words(&t);
	if (!bh_streq(got, s->want))
		fail_msg("%s: got \"%s\", want \"%s\" of\n%s", s->format, got, s->want, s->text);
	assert_string_equal(t.format, s->format);
	assert_int_equal(t.ind.rejected, s->rejected);
	if (s->declared >= 0)
		assert_int_equal(t.declared, s->declared);
	bh_feed_text_finish(&t);
}

static const struct sample samples[] = {
	{"spamhaus",
		"{\"cidr\":\"192.0.2.0/24\",\"sblid\":\"SBL1\",\"rir\":\"arin\"}\r\n"
		"{\"cidr\":\"2001:db8::/32\",\"sblid\":\"SBL2\",\"rir\":\"apnic\"}\r\n"
		"{\"cidr\":\"010.0.0.0/"
		"24\",\"sblid\":\"SBL3\"}\n{\"cidr\":}\n{\"sblid\":\"SBL4\"}\n"
		"{\"type\":\"metadata\",\"timestamp\":1764288000,\"size\":900,\"records\":3,"
		"\"copyright\":\"(c) 2025 The Spamhaus Project SLU\",\"terms\":\"https://x\"}",
		"192.0.2.0/24 2001:db8::/32", 3, 3},
	{"plain",
		"; Spamhaus DROP List 2023/10/01 - (c) 2023 The Spamhaus Project\n"
		"; Last-Modified: Sun, 01 Oct 2023 10:00:00 GMT\n192.0.2.0/24 ; SBL123\n"
		"198.51.100.0/25;SBL9\n",
		"192.0.2.0/24 198.51.100.0/25", 0, -1},
	{"feodo",
		"################\n# Feodo Tracker Botnet C2 IP Blocklist (CSV) #\n"
		"# Last updated: 2025-11-28 12:00:00 UTC        #\n#\n"
		"\"first_seen_utc\",\"dst_ip\",\"dst_port\",\"c2_status\",\"last_online\","
		"\"malware\"\r\n"
		"\"2022-06-04 "
		"21:24:53\",\"192.0.2.5\",\"8080\",\"online\",\"2025-11-28\",\"Emotet\""
		"\r\n\"2023-01-01 "
		"00:00:00\",\"198.51.100.9\",\"443\",\"offline\",\"\",\"Dridex\"\r\n"
		"\"2023-01-01 00:00:00\"\n# END 2 entries",
		"192.0.2.5 198.51.100.9", 1, 2},
	{"plain", "# Feodo Tracker\n# DstIP\n192.0.2.5\n# END 1 entries\n", "192.0.2.5", 0, 1},
	{"feodo",
		"[{\"ip_address\":\"192.0.2.5\",\"port\":443,\"status\":\"online\",\"hostname\":"
		"null,"
		"\"as_number\":1,\"malware\":\"Pikabot\"},\n {\"ip_address\":\"2001:db8::5\"}]",
		"192.0.2.5 2001:db8::5", 0, -1},
	{"threatfox",
		"{\"query_status\":\"ok\",\"data\":[{\"id\":\"1\",\"ioc\":\"192.0.2.7:8443\","
		"\"ioc_type\":\"ip:port\",\"tags\":[\"a\",\"b\"],\"confidence_level\":100},"
		"{\"ioc\":\"evil.example\",\"ioc_type\":\"domain\"},"
		"{\"ioc\":\"[2001:db8::7]:443\",\"ioc_type\":\"ip:port\"},"
		"{\"ioc\":\"evil.example:1\",\"ioc_type\":\"ip:port\"}]}",
		"192.0.2.7 2001:db8::7", 1, -1},
	{"threatfox",
		"{\"1201\":[{\"ioc_value\":\"192.0.2.7:8443\",\"ioc_type\":\"ip:port\","
		"\"threat_type\":\"botnet_cc\",\"last_seen_utc\":null}],\n"
		"\"1202\":[{\"ioc_value\":\"198.51.100.1:1\",\"ioc_type\":\"ip:port\"}]}",
		"192.0.2.7 198.51.100.1", 0, -1},
	{"plain",
		"#\n# firehol_level1\n#\n# Maintainer      : FireHOL\n# This File Date  : Thu Nov "
		"27 "
		"12:00:00 UTC 2025\n# Entries         : 3 subnets, 611,894 unique IPs\n# Version : "
		"9\n"
		"10.0.0.0/8\n224.0.0.0/3\n192.0.2.0/24\n",
		"10.0.0.0/8 192.0.2.0/24", 1, 3},
	{"dshield",
		"#\n# DShield.org Recommended Block List\n#\tupdated: "
		"x\nStart\tEnd\tNetblock\tAttacks\t"
		"Name\tCountry\temail\n192.0.2.0\t192.0.2.255\t24\t2712\tN, "
		"Inc\tUS\ta@example.com\n"
		"198.51.100.0\t198.51.100.255\t255.255.255.0\t1\t\t\t\n"
		"203.0.113.0\t203.0.113.127\t24\t1\n203.0.113.0\t24\n",
		"192.0.2.0/24 198.51.100.0/24", 2, -1},
	{"alienvault",
		"192.0.2.9#4#2#Malicious Host#US#Ann Arbor#42.0,-83.0#3\r\n"
		"198.51.100.2#3#2#Scanning Host;Spamming#CN##35.0,105.0#11;12\nhost#1#2#x#y\n",
		"192.0.2.9 198.51.100.2", 1, -1},
	{"iprep", "192.0.2.1,1,99\n198.51.100.0/24,2,10\n192.0.2.3,1,0\n192.0.2.4,1,128\n",
		"192.0.2.1 198.51.100.0/24", 1, -1},
	{"misp",
		"{\"Event\":{\"info\":\"x\",\"Attribute\":[{\"type\":\"ip-dst\",\"value\":\"192.0."
		"2.1\","
		"\"to_ids\":true},{\"type\":\"ip-src\",\"value\":\"192.0.2.2\",\"to_ids\":false},"
		"{\"type\":\"ip-dst|port\",\"value\":\"192.0.2.3|443\",\"to_ids\":true},"
		"{\"type\":\"domain\",\"value\":\"a.example\",\"to_ids\":true},"
		"{\"type\":\"ip-dst\",\"value\":\"nonsense\",\"to_ids\":true}],"
		"\"Object\":[{\"name\":\"n\",\"Attribute\":[{\"to_ids\":true,\"type\":\"ip-src\","
		"\"value\":\"2001:db8::9\"}]}]}}\n"
		"{\"Event\":{\"Attribute\":[{\"type\":\"ip-src\",\"value\":\"198.51.100.0/24\","
		"\"to_ids\":\"1\"}]}}",
		"192.0.2.1 192.0.2.3 198.51.100.0/24 2001:db8::9", 1, -1},
	{"stix",
		"{\"type\":\"bundle\",\"id\":\"bundle--1\",\"objects\":[\n"
		"{\"type\":\"identity\",\"name\":\"x\"},\n"
		"{\"type\":\"indicator\",\"spec_version\":\"2.1\",\"pattern_type\":\"stix\","
		"\"pattern\":\"[ipv4-addr:value = "
		"'192.0.2.1']\",\"valid_from\":\"2020-01-01T00:00:00Z\"},\n"
		"{\"type\":\"indicator\",\"pattern\":\"[ipv6-addr:value='2001:db8::1']\","
		"\"valid_until\":\"2030-01-01T00:00:00.000Z\",\"confidence\":90},\n"
		"{\"type\":\"indicator\",\"pattern\":\"[ipv4-addr:value = '192.0.2.3']\","
		"\"valid_until\":\"2021-01-01T00:00:00Z\"},\n"
		"{\"type\":\"indicator\",\"pattern\":\"[ipv4-addr:value = "
		"'192.0.2.4']\",\"revoked\":true},\n"
		"{\"type\":\"indicator\",\"pattern\":\"[ipv4-addr:value = '192.0.2.5' OR "
		"ipv4-addr:value ISSUBSET '198.51.100.0/24'] OR [ipv4-addr:value = "
		"'192.0.2.6']\"},\n"
		"{\"type\":\"indicator\",\"pattern\":\"[ipv4-addr:value = '192.0.2.7' AND "
		"domain-name:value = 'a']\"},\n"
		"{\"type\":\"indicator\",\"pattern\":\"[domain-name:value = 'a.example']\"},\n"
		"{\"type\":\"indicator\",\"pattern\":\"[ipv4-addr:value != '192.0.2.8']\"}]}",
		"192.0.2.1 192.0.2.5 198.51.100.0/24 192.0.2.6 2001:db8::1@1893456000", 2, -1},
	{"crowdsec",
		"{\"deleted\":[{\"duration\":\"-1h2m3s\",\"id\":1,\"origin\":\"CAPI\",\"scope\":"
		"\"Ip\","
		"\"type\":\"ban\",\"value\":\"192.0.2.9\"}],\"new\":[{\"duration\":\"3h59m57s\","
		"\"id\":2,\"origin\":\"crowdsec\",\"scenario\":\"s\",\"scope\":\"Ip\",\"type\":"
		"\"ban\","
		"\"value\":\"192.0.2.1\"},{\"duration\":\"1h\",\"scope\":\"Range\",\"type\":"
		"\"ban\","
		"\"value\":\"198.51.100.0/24\"},{\"duration\":\"1h\",\"scope\":\"Country\","
		"\"type\":\"ban\",\"value\":\"XX\"},{\"duration\":\"1h\",\"scope\":\"Ip\","
		"\"type\":\"captcha\",\"value\":\"192.0.2.2\"},{\"duration\":\"soon\",\"scope\":"
		"\"Ip\","
		"\"type\":\"ban\",\"value\":\"192.0.2.3\"}]}",
		"192.0.2.1@1764394397 198.51.100.0/24@1764383600 -192.0.2.9", 1, -1},
	{"crowdsec", "{\"deleted\":null,\"new\":null}\n", "", 0, -1},
	{"kept", "# head\n192.0.2.1 0\n198.51.100.0/24 1893456000\n192.0.2.2 1\n192.0.2.3\n",
		"192.0.2.1 198.51.100.0/24@1893456000 192.0.2.3", 0, -1},
};

static void test_samples_named(void **state BH_UNUSED)
{
	for (size_t i = 0; i < BH_ARRAY_SIZE(samples); i++)
		check(&samples[i], samples[i].format);
}

static void test_samples_detected(void **state BH_UNUSED)
{
	for (size_t i = 0; i < BH_ARRAY_SIZE(samples); i++)
		if (!bh_streq(samples[i].format, "kept")) /* ours alone, always named */
			check(&samples[i], "auto");
}

/* A BOM, a final newline or none, CRLF: the same list. */
static void test_samples_in_other_dress(void **state BH_UNUSED)
{
	for (size_t i = 0; i < BH_ARRAY_SIZE(samples); i++) {
		struct bh_buf bh_autobuf b = {0};
		struct sample s = samples[i];
		bh_buf_str(&b, "\xef\xbb\xbf");
		for (const char *c = s.text; *c; c++)
			bh_buf_add(&b, *c == '\n' && c > s.text && c[-1] != '\r' ? "\r\n" : c,
				*c == '\n' && c > s.text && c[-1] != '\r' ? 2 : 1);
		bh_buf_str(&b, "\r\n");
		s.text = b.s;
		check(&s, s.format);
	}
}

static void test_credit_and_date_stay(void **state BH_UNUSED)
{
	static const struct {
		size_t sample;
		const char *credit, *dated;
	} want[] = {
		{0, "(c) 2025 The Spamhaus Project SLU", "2025-11-28T00:00:00Z"},
		{1, NULL, "Sun, 01 Oct 2023 10:00:00 GMT"},
		{7, "FireHOL", "Thu Nov 27 12:00:00 UTC 2025"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(want); i++) {
		const char *text = samples[want[i].sample].text;
		const struct bh_feed_read_opts o = {.name = "x"};
		struct bh_feed_text t;
		assert_int_equal(bh_feed_read(&o, text, strlen(text), NULL, &t), 0);
		if (want[i].credit)
			assert_string_equal(t.credit, want[i].credit);
		assert_string_equal(t.dated, want[i].dated);
		bh_feed_text_finish(&t);
	}
}

static void test_line_of_what_is_left_out(void **state BH_UNUSED)
{
	struct bh_diags bh_autodiags d = {0};
	const struct bh_feed_read_opts o = {.name = "x.json", .now = NOW};
	struct bh_feed_text t;
	const char *stix = samples[12].text;
	assert_string_equal(samples[12].format, "stix");
	assert_int_equal(bh_feed_read(&o, stix, strlen(stix), &d, &t), 0);
	assert_string_equal(d.item[0].file, "x.json");
	assert_int_equal(d.item[0].line, 8);
	assert_int_equal(d.item[1].line, 10);
	assert_int_equal(t.ind.v6[0].line, 4);
	bh_feed_text_finish(&t);
}

static void test_min_confidence(void **state BH_UNUSED)
{
	const struct bh_feed_read_opts o = {.name = "x", .min_confidence = 50};
	static const char text[] =
		"{\"type\":\"bundle\",\"objects\":[{\"type\":\"indicator\",\"confidence\":49,"
		"\"pattern\":\"[ipv4-addr:value='192.0.2.1']\"},{\"type\":\"indicator\","
		"\"confidence\":50,"
		"\"pattern\":\"[ipv4-addr:value='192.0.2.2']\"}]}";
	struct bh_feed_text t;
	assert_int_equal(bh_feed_read(&o, text, strlen(text), NULL, &t), 0);
	char bh_autofree *got = words(&t);
	assert_string_equal(got, "192.0.2.2");
	assert_int_equal(t.ind.rejected, 0);
	bh_feed_text_finish(&t);
}

static void refused(const char *format, const char *text, const char *why, int line)
{
	struct bh_diags bh_autodiags d = {0};
	const struct bh_feed_read_opts o = {.name = "x", .format = format};
	struct bh_feed_text t = {.declared = 77};
	assert_int_equal(bh_feed_read(&o, text, strlen(text), &d, &t), -EINVAL);
	assert_int_equal(t.declared, 77); /* untouched */
	assert_int_equal(d.n_errors, 1);
	const struct bh_diag *last = &d.item[d.n - 1];
	if (!strstr(last->what, why) || (line && last->line != line))
		fail_msg("%s: line %d: %s, want %s", format, last->line, last->what, why);
}

static void test_broken_documents(void **state BH_UNUSED)
{
	refused("stix", "{\"objects\":[{\"type\":\n\"indicator\"}", "ends in the middle", 2);
	refused("misp", "{\"Event\":{\"Attribute\":[{\"type\":\"ip-src\"\n", "ends in the middle",
		2);
	refused("crowdsec", "{\"new\":[{\"value\":\"192.0.2.1\"},]}", "has a bad value", 1);
	refused("crowdsec", "{\"message\":\"access forbidden\"}", "neither new nor deleted", 0);
	refused("crowdsec", "{\"new\":\"all\"}", "list of decisions", 1);
	refused("threatfox", "[1,2", "ends in the middle", 1);
	refused("stix", "192.0.2.1\n", "is not the JSON", 1);
	refused("misp", "{\"a\":01}", "has a bad value", 1);
	refused("misp", "{\"a\":\"\\x\"}", "bad string", 1);
	refused("misp", "{\"a\" 1}", "colon", 1);
	refused("misp", "{a:1}", "lacks a key", 1);
	refused("misp", "{} x", "bad value", 1);
	refused("auto", "<html>", "HTML", 0);
	refused("nosuch", "192.0.2.1", "nobody knows", 0);
	struct bh_buf bh_autobuf deep = {0};
	for (int i = 0; i < 1000; i++)
		bh_buf_str(&deep, "[");
	refused("threatfox", deep.s, "nested too deeply", 1);
}

static void test_times(void **state BH_UNUSED)
{
	static const struct {
		const char *text;
		int64_t want; /* −1: no time */
	} time[] = {{"1970-01-01T00:00:00Z", 0}, {"2030-01-01T00:00:00.000Z", 1893456000},
		{"2024-02-29 12:30:15", 1709209815}, {"2024-02-29", 1709164800},
		{"2030-01-01T01:00:00+01:00", 1893456000}, {"2024-02-29 12:30:15 UTC", 1709209815},
		{"2024-13-01", -1}, {"2024-00-01", -1}, {"2024-01-32", -1}, {"", -1}, {"soon", -1},
		{"2024-01-01T25:00:00Z", -1}, {"2024-01-01x", -1}, {"1969-12-31", -1}};
	for (size_t i = 0; i < BH_ARRAY_SIZE(time); i++) {
		int64_t t = -1;
		int r = bh_text_time(time[i].text, strlen(time[i].text), &t);
		assert_int_equal(r, time[i].want < 0 ? -EINVAL : 0);
		assert_int_equal(t, time[i].want);
	}
	static const struct {
		const char *text;
		int64_t want; /* 99: none */
	} duration[] = {{"3h59m57s", 14397}, {"-1m", -60}, {"0", 0}, {"1.5h", 5400}, {"57.9s", 57},
		{"100ms", 0}, {"1h1ns", 3600}, {"\xc2\xb5s", 99}, {"3", 99}, {"", 99}, {"-", 99},
		{"1d", 99}, {"9999999999h", 99}, {"h", 99}, {"1h ", 99},
		{"999999999999999999999999999999999999999999h", 99}};
	for (size_t i = 0; i < BH_ARRAY_SIZE(duration); i++) {
		int64_t t = 99;
		int r = bh_text_duration(duration[i].text, strlen(duration[i].text), &t);
		assert_int_equal(r, duration[i].want == 99 ? -EINVAL : 0);
		assert_int_equal(t, duration[i].want);
	}
}

/* Whatever a prefix of a sample is, reading it ends and says nothing false. */
static void test_cut_anywhere(void **state BH_UNUSED)
{
	for (size_t i = 0; i < BH_ARRAY_SIZE(samples); i++)
		for (size_t len = 0; len < strlen(samples[i].text); len++) {
			const struct bh_feed_read_opts o = {
				.name = "x", .format = samples[i].format};
			struct bh_feed_text t;
			char bh_autofree *cut = bh_xmemdup(samples[i].text, len ? len : 1);
			if (bh_feed_read(&o, cut, len, NULL, &t) < 0)
				continue;
			assert_true(t.ind.rejected <= t.ind.lines);
			bh_feed_text_finish(&t);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples_named),
		cmocka_unit_test(test_samples_detected),
		cmocka_unit_test(test_samples_in_other_dress),
		cmocka_unit_test(test_credit_and_date_stay),
		cmocka_unit_test(test_line_of_what_is_left_out),
		cmocka_unit_test(test_min_confidence),
		cmocka_unit_test(test_broken_documents),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_cut_anywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
