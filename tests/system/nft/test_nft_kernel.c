/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between us and the kernel: what it can do, how much it takes, what matches, who changed what. */
#include "sample.h"

#include <time.h>

static void test_probe(void **state)
{
	(void)state;
	const struct bh_nft_caps *caps = bh_nft_get_caps(nft);
	bh_autofree char *all = run("nft list ruleset", NULL);
	assert_string_equal(all, "");
	assert_true(caps->native_queue || caps->compat_queue);
	assert_true(caps->reject);
	assert_true(caps->bridge);
	assert_int_equal(bh_nft_exists(nft), 0);
	assert_int_equal(bh_nft_flush(nft), 0);
}

#define MANY 6001

static struct bh_ruleset *large(const char *comment)
{
	struct bh_ruleset *rs = bh_ruleset_new();
	struct bh_set *hash = bh_ruleset_add_set(rs, "hash_4", BH_SET_ADDR, BH_IPV4, NULL);
	for (uint32_t i = 0; i < MANY; i++) {
		struct bh_addr a = nth(i, TEN);
		bh_set_add(hash, &a, NULL, NULL, comment);
	}
	/* Ranges of three addresses, the next one right behind every tenth of them. */
	struct bh_set *tree = bh_ruleset_add_set(rs, "tree_4", BH_SET_INTERVAL, BH_IPV4, NULL);
	for (uint32_t i = 0, at = TEN; i < MANY; i++, at += i % 10 ? 4 : 3) {
		struct bh_addr first = nth(0, at), last = nth(2, at);
		bh_set_add(tree, &first, &last, NULL, comment);
	}
	bh_ruleset_add_chain(rs, "g_web", BH_HOOK_NONE, 0, NULL);
	struct bh_set *map = bh_ruleset_add_set(rs, "map_4", BH_MAP_VERDICT, BH_IPV4, NULL);
	for (uint32_t i = 0; i < MANY; i++) {
		struct bh_addr a = nth(i, TEN);
		bh_set_add(map, &a, NULL, "g_web", comment);
	}
	bh_ruleset_seal(rs);
	return rs;
}

static void assert_elements(const char *set, size_t want)
{
	char cmd[256];
	snprintf(cmd, sizeof(cmd),
		"nft list set inet bulkhead %s 2>/dev/null || "
		"nft list map inet bulkhead %s",
		set, set);
	bh_autofree char *out = run(cmd, NULL);
	size_t n = strstr(out, "elements") ? 1 : 0;
	for (const char *p = out; (p = strchr(p, ',')); p++)
		n++;
	if (n != want)
		fail_msg("%s: %zu elements, not %zu", set, n, want);
}

/* More than fits one message, with and without comments as long as they may be. */
static void test_many_elements(void **state)
{
	(void)state;
	char comment[BH_COMMENT_MAX + 1];
	memset(comment, 'x', sizeof(comment) - 1);
	comment[sizeof(comment) - 1] = '\0';
	for (int i = 0; i < 2; i++) {
		struct bh_ruleset *rs = large(i ? comment : NULL), *none = bh_ruleset_new();
		bh_ruleset_add_chain(none, "g_web", BH_HOOK_NONE, 0, NULL);
		bh_ruleset_add_set(none, "hash_4", BH_SET_ADDR, BH_IPV4, NULL);
		bh_ruleset_add_set(none, "tree_4", BH_SET_INTERVAL, BH_IPV4, NULL);
		bh_ruleset_seal(none);
		rebuild(rs);
		assert_elements("hash_4", MANY);
		assert_elements("map_4", MANY);
		assert_elements("tree_4", MANY);
		apply(rs, none);
		assert_listed(none);
		apply(none, rs);
		assert_elements("hash_4", MANY);
		assert_elements("map_4", MANY);
		assert_elements("tree_4", MANY);
		bh_ruleset_free(rs);
		bh_ruleset_free(none);
	}
}

static void test_queue(void **state)
{
	(void)state;
	struct bh_ruleset *rs = bh_ruleset_new();
	struct bh_chain *c = bh_ruleset_add_chain(rs, "unmatched", BH_HOOK_NONE, 0, NULL);
	struct bh_rule *r = rule(c, BH_ACT_QUEUE, "held");
	r->queue_num = 7;
	r->counter = true;
	r = rule(c, BH_ACT_QUEUE, "observed");
	r->queue_num = 700;
	r->bypass = true;
	bh_ruleset_seal(rs);
	rebuild(rs);
	bh_autofree char *have = list();
	/* nft 1.0.6 shows the xtables target in its old words. */
	bool native = bh_nft_get_caps(nft)->native_queue;
	assert_non_null(strstr(have, native ? "counter queue to 7 comment \"held\"\n"
					    : "queue num 7 comment \"held\"\n"));
	assert_non_null(strstr(have,
		native ? "queue flags bypass to 700 comment" : "queue num 700 bypass comment"));
	bh_ruleset_free(rs);
}

static void collect(const struct bh_nft_counter *c, void *arg)
{
	struct bh_buf *out = arg;
	bh_buf_printf(out, "%s|%s|%llu|%llu\n", c->chain, c->comment ? c->comment : "-",
		(unsigned long long)c->packets, (unsigned long long)c->bytes);
}

/* What loops back may come in on another processor, a moment after it was sent: the counters are
 * read until they say `want` (in sorted lines), or five seconds have gone. */
static void counters_become(
	const char *want, void (*each)(const struct bh_nft_counter *c, void *arg))
{
	bh_autofree char *have = NULL;
	for (int i = 0; i < 500; i++) {
		struct timespec pause = {.tv_nsec = i ? 10000000 : 0};
		bh_autobuf struct bh_buf out = {0};
		nanosleep(&pause, NULL);
		assert_int_equal(bh_nft_counters(nft, each, &out), 0);
		free(have);
		have = sorted_lines(out.len ? out.s : "");
		if (strcmp(have, want) == 0)
			break;
	}
	assert_string_equal(have, want);
}

static void test_counters(void **state)
{
	(void)state;
	static const struct bh_port_range port[] = {{9, 9}};
	struct bh_ruleset *rs = bh_ruleset_new();
	struct bh_chain *c = bh_ruleset_add_chain(rs, "input", BH_HOOK_INPUT, 0, NULL);
	struct bh_rule *r = rule(c, BH_ACT_DROP, "discard");
	match_ports(r, BH_MATCH_DPORT, 17, 1, port);
	r->counter = true;
	rule(c, BH_ACT_NONE, NULL)->counter = true;
	rule(c, BH_ACT_ACCEPT, "not counted");
	bh_ruleset_seal(rs);
	rebuild(rs);
	must("ip link set lo up; nft add table inet other; nft add chain inet other c;"
	     "nft add rule inet other c counter");
	must("bash -c 'echo -n abcd >/dev/udp/127.0.0.1/9;"
	     "echo -n abcd >/dev/udp/127.0.0.1/9'");
	counters_become("input|-|0|0\ninput|discard|2|64\n", collect);
	bh_ruleset_free(rs);
}

/* What matches, asked with packets: one datagram from lo to each place, one counter a rule. */
static const struct {
	const char *addr;
	uint16_t port;
} place[] = {
	{"127.0.0.1", 1},
	{"127.0.0.1", 2},
	{"127.0.0.5", 999},
	{"127.0.0.6", 1000},
	{"127.0.0.7", 2000},
	{"127.63.255.255", 2001},
	{"127.64.0.0", 59999},
	{"127.254.255.255", 60000},
	{"127.255.0.0", 65535},
	{"127.255.255.254", 80},
};

static void send_datagrams(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons(4000)};
	assert_true(fd >= 0);
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	for (size_t i = 0; i < BH_ARRAY_SIZE(place); i++) {
		struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(place[i].port)};
		to.sin_addr.s_addr = inet_addr(place[i].addr);
		assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	}
	close(fd);
}

static struct bh_rule *counting(struct bh_chain *c, const char *what)
{
	struct bh_rule *r = rule(c, BH_ACT_NONE, what);
	r->counter = true;
	return r;
}

static void add_address_rules(struct bh_chain *c)
{
	match_set(counting(c, "range"), BH_MATCH_DADDR_SET, BH_IPV4, "ranges");
	struct bh_rule *r = counting(c, "not range");
	match_set(r, BH_MATCH_DADDR_SET, BH_IPV4, "ranges");
	r->match[0].neg = true;
	match_set(counting(c, "pair"), BH_MATCH_PAIR_SET, BH_IPV4, "pairs");
	match_prefix(counting(c, "/10"), BH_MATCH_DADDR_PREFIX, "127.64.0.0/10");
	match_prefix(counting(c, "/16"), BH_MATCH_DADDR_PREFIX, "127.255.0.0/16");
	match_prefix(counting(c, "/0"), BH_MATCH_SADDR_PREFIX, "0.0.0.0/0");
	match_prefix(counting(c, "v6"), BH_MATCH_SADDR_PREFIX, "::/0");
	match(counting(c, "ipv4"), BH_MATCH_NFPROTO)->family = BH_IPV4;
	match(counting(c, "lo"), BH_MATCH_IIF_LO);
	match(counting(c, "new"), BH_MATCH_CT_UNKNOWN);
	match(counting(c, "mark"), BH_MATCH_MARK)->mask = UINT32_MAX;
	add_vmap(c, BH_ACT_VMAP_DADDR, BH_IPV4, "map");
}

static void add_port_rules(struct bh_chain *c)
{
	static const struct bh_port_range mixed[] = {{1, 1}, {1000, 2000}, {60000, 65535}},
					  plain[] = {{2, 2}, {80, 80}}, some[] = {{999, 1000}};
	match_ports(counting(c, "mixed"), BH_MATCH_DPORT, 17, 3, mixed);
	match_ports(counting(c, "plain"), BH_MATCH_DPORT, 17, 2, plain);
	match_ports(counting(c, "one range"), BH_MATCH_DPORT, 17, 1, some);
	match_ports(counting(c, "tcp"), BH_MATCH_DPORT, 6, 3, mixed);
	match_ports(
		counting(c, "source"), BH_MATCH_SPORT, 17, 1, &(struct bh_port_range){4000, 4000});
	match(counting(c, "limit"), BH_MATCH_LIMIT)->rate = 1;
	c->rule[c->n - 1].match[0].burst = 5;
}

static void collect_packets(const struct bh_nft_counter *c, void *arg)
{
	bh_buf_printf(arg, "%s %llu\n", c->comment, (unsigned long long)c->packets);
}

static void test_matching(void **state)
{
	(void)state;
	struct bh_ruleset *rs = bh_ruleset_new();
	struct bh_set *s = bh_ruleset_add_set(rs, "ranges", BH_SET_INTERVAL, BH_IPV4, NULL);
	add_elem(s, "127.0.0.0", "127.0.0.5", NULL, NULL);
	add_elem(s, "127.0.0.6", "127.0.0.6", NULL, "right behind");
	add_elem(s, "127.64.0.0", "127.64.0.0", NULL, NULL);
	add_elem(s, "127.255.0.0", "255.255.255.255", NULL, NULL);
	s = bh_ruleset_add_set(rs, "pairs", BH_SET_PAIR, BH_IPV4, NULL);
	add_elem(s, "127.0.0.1", "127.0.0.7", NULL, NULL);
	add_elem(s, "127.0.0.7", "127.0.0.1", NULL, NULL);
	s = bh_ruleset_add_set(rs, "map", BH_MAP_VERDICT, BH_IPV4, NULL);
	add_elem(s, "127.0.0.6", NULL, "jumped", NULL);
	counting(bh_ruleset_add_chain(rs, "jumped", BH_HOOK_NONE, 0, NULL), "jumped");
	struct bh_chain *c = bh_ruleset_add_chain(rs, "input", BH_HOOK_INPUT, 0, NULL);
	match(rule(c, BH_ACT_ACCEPT, NULL), BH_MATCH_L4PROTO)->proto = 1;
	add_address_rules(c);
	add_port_rules(c);
	rule(c, BH_ACT_DROP, NULL); /* and no answers */
	bh_ruleset_seal(rs);
	rebuild(rs);
	must("ip link set lo up");
	send_datagrams();
	counters_become("/0 10\n/10 1\n/16 2\nipv4 10\njumped 1\nlimit 5\nlo 10\n"
			"mark 10\nmixed 5\nnew 10\nnot range 3\none range 2\n"
			"pair 1\nplain 2\nrange 7\nsource 10\ntcp 0\nv6 0\n",
		collect_packets);
	bh_ruleset_free(rs);
}

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, 0) > 0;
}

static void test_watch(void **state)
{
	(void)state;
	int fd = bh_nft_watch_fd(nft);
	assert_true(fd >= 0);
	assert_true(bh_nft_watch_drain(nft) >= 0);
	assert_false(readable(fd));

	struct bh_ruleset *a = sample(), *b = sample();
	rule(find_chain(b, "input"), BH_ACT_DROP, NULL);
	rebuild(a);
	apply(a, b);
	assert_true(readable(fd)); /* our own changes are announced too */
	assert_int_equal(bh_nft_watch_drain(nft), 0);
	assert_false(readable(fd));

	must("nft add element inet bulkhead peer_4 '{ 203.0.113.1 }'");
	assert_true(readable(fd));
	assert_true(bh_nft_watch_drain(nft) > 0);
	must("nft flush chain inet bulkhead forward");
	assert_true(bh_nft_watch_drain(nft) > 0);
	must("nft add table inet other; nft add table ip bulkhead; nft delete table inet other");
	assert_int_equal(bh_nft_watch_drain(nft), 0);
	must("nft delete table inet bulkhead");
	assert_true(bh_nft_watch_drain(nft) > 0);
	must("nft delete table bridge bulkhead");
	assert_true(bh_nft_watch_drain(nft) > 0);
	assert_int_equal(bh_nft_watch_drain(nft), 0);
	bh_ruleset_free(a);
	bh_ruleset_free(b);
}

/* A loss that only our own changes can have caused is not a foreign change; else it may be. */
static void test_watch_loss(void **state)
{
	(void)state;
	int fd = bh_nft_watch_fd(nft), small = 2048, was;
	socklen_t len = sizeof(was);
	assert_int_equal(bh_nft_watch_drain(nft), 0);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &was, &len), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	struct bh_ruleset *rs = large(NULL);
	rebuild(rs);
	rebuild(rs);
	assert_int_equal(bh_nft_watch_drain(nft), 0);
	rebuild(rs);
	must("nft add table inet other");
	assert_int_equal(bh_nft_watch_drain(nft), -ENOBUFS);
	assert_int_equal(bh_nft_watch_drain(nft), 0);
	rebuild(rs);
	assert_int_equal(bh_nft_watch_drain(nft), 0);
	must("nft add element inet bulkhead hash_4 '{ 203.0.113.1 }'");
	assert_int_equal(bh_nft_watch_drain(nft), 1);
	was /= 2; /* the kernel doubles */
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &was, sizeof(was)), 0);
	bh_ruleset_free(rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_probe, clean),
		cmocka_unit_test_teardown(test_many_elements, clean),
		cmocka_unit_test_teardown(test_queue, clean),
		cmocka_unit_test_teardown(test_counters, clean),
		cmocka_unit_test_teardown(test_matching, clean),
		cmocka_unit_test_teardown(test_watch, clean),
		cmocka_unit_test_teardown(test_watch_loss, clean),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
