/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sets that fill at run time: by us, with lifetimes and counters; by packets. */
#include "sample_link.h"

#include <time.h>

struct seen {
	size_t n;
	struct bh_value value[4096][BH_PARTS_MAX];
	uint64_t packets[4096], bytes[4096], expires_ms[4096];
	size_t n_parts;
};

static void see(const struct bh_nft_elem *e, void *arg)
{
	struct seen *s = arg;
	assert_true(s->n < BH_ARRAY_SIZE(s->value));
	memcpy(s->value[s->n], e->value, s->n_parts * sizeof(*e->value));
	s->packets[s->n] = e->packets;
	s->bytes[s->n] = e->bytes;
	s->expires_ms[s->n++] = e->expires_ms;
}

static struct seen seen;

static const struct seen *look(const struct bh_ruleset *rs, const char *name)
{
	const struct bh_set *s = bh_ruleset_find_set(rs, name);
	assert_non_null(s);
	seen.n = 0;
	seen.n_parts = s->n_parts;
	assert_int_equal(bh_nft_elems_read(nft, s, see, &seen), 0);
	return &seen;
}

static void tuple(struct bh_value ret[4], const char *src, const char *dst, uint16_t port)
{
	ret[0] = v_addr(src);
	ret[1] = v_addr(dst);
	ret[2] = bh_value_u8(IPPROTO_UDP);
	ret[3] = bh_value_u16(port);
}

static int put(const struct bh_ruleset *rs, const char *set, const struct bh_value *v, size_t n,
	uint64_t timeout_ms)
{
	struct bh_nft_error e;
	return bh_nft_cache_add(nft, bh_ruleset_find_set(rs, set), v, n, timeout_ms, &e);
}

static void test_add(void **state)
{
	(void)state;
	struct bh_ruleset *rs = sample_link();
	struct bh_value v[3][4];
	rebuild(rs);
	assert_true(bh_nft_watch_fd(nft) >= 0);
	assert_true(bh_nft_watch_drain(nft) >= 0);
	tuple(v[0], "10.0.0.1", "10.0.0.2", 80);
	tuple(v[1], "10.0.0.1", "10.0.0.2", 81);
	tuple(v[2], "10.0.0.1", "10.0.0.2", 82);
	assert_int_equal(put(rs, "cache-4", v[0], 2, 0), 2);
	assert_int_equal(put(rs, "cache-4", v[0], 3, 5000), 3); /* two are there */
	assert_int_equal(put(rs, "cache-4", NULL, 0, 0), 0);
	const struct seen *s = look(rs, "cache-4");
	assert_int_equal(s->n, 3);
	for (size_t i = 0; i < 3; i++) {
		bool last = memcmp(s->value[i], v[2], sizeof(v[2])) == 0;
		assert_true(last || memcmp(s->value[i], v[0], sizeof(v[0])) == 0 ||
			    memcmp(s->value[i], v[1], sizeof(v[1])) == 0);
		assert_true(s->expires_ms[i] > 0 && s->expires_ms[i] <= 60000);
		if (last)
			assert_true(s->expires_ms[i] <= 5000);
		assert_int_equal(s->packets[i], 0);
	}
	tuple(v[0], "2001:db8::1", "2001:db8::2", 80);
	assert_int_equal(put(rs, "cache-6", v[0], 1, 0), 1);
	s = look(rs, "cache-6");
	assert_int_equal(s->n, 1);
	assert_memory_equal(s->value[0], v[0], sizeof(v[0]));
	/* None of it is somebody else's doing; what is, is seen. */
	assert_int_equal(bh_nft_watch_drain(nft), 0);
	must("nft add element inet bulkhead cache-4 '{ 10.0.0.9 . 10.0.0.9 . udp . 9 }'");
	assert_true(bh_nft_watch_drain(nft) > 0);
	struct bh_set gone = *bh_ruleset_find_set(rs, "cache-4");
	gone.name = (char *)"absent";
	assert_int_equal(bh_nft_elems_read(nft, &gone, see, &seen), -ENOENT);
	assert_int_equal(bh_nft_cache_add(nft, &gone, v[0], 1, 0, NULL), -ENOENT);
	bh_ruleset_free(rs);
}

static void test_full(void **state)
{
	(void)state;
	enum { SIZE = 1024, MANY = 1500 };
	static struct bh_value v[MANY][4];
	struct bh_ruleset *rs = sample_link();
	rebuild(rs);
	for (uint16_t i = 0; i < MANY; i++)
		tuple(v[i], "10.0.0.1", "10.0.0.2", i);
	assert_int_equal(put(rs, "cache-4", v[0], 1000, 0), 1000);
	assert_int_equal(put(rs, "cache-4", v[1000], MANY - 1000, 0), SIZE - 1000);
	assert_int_equal(put(rs, "cache-4", v[SIZE], MANY - SIZE, 0), 0);
	assert_int_equal(look(rs, "cache-4")->n, SIZE);
	bh_ruleset_free(rs);
}

static void flush_caches(const struct bh_ruleset *from, struct bh_ruleset *to)
{
	apply(from, to);
	assert_int_equal(look(to, "cache-4")->n, 0);
	assert_int_equal(look(to, "cache-6")->n, 0);
}

/* Any change of policy empties the caches in the same transaction, an empty one too; the sets that
 * packets fill stay as they are. */
static void test_flushed_with_changes(void **state)
{
	(void)state;
	struct bh_ruleset *a = sample_link(), *b = sample_link();
	struct bh_value v[4];
	rule(find_chain(b, "forward"), BH_ACT_DROP, "new");
	rebuild(a);
	tuple(v, "10.0.0.1", "10.0.0.2", 80);
	assert_int_equal(put(a, "cache-4", v, 1, 0), 1);
	must("nft add element inet bulkhead paced-4 '{ 10.0.0.9 limit rate over 1000/second burst "
	     "2000 packets }'");
	flush_caches(a, b); /* cache-6 is empty */
	flush_caches(b, a); /* both are */
	assert_int_equal(look(a, "paced-4")->n, 1);
	assert_int_equal(put(a, "cache-4", v, 1, 0), 1);
	apply(a, a); /* nothing changes */
	assert_int_equal(look(a, "cache-4")->n, 1);
	rebuild(a);
	assert_int_equal(look(a, "cache-4")->n, 0);
	assert_int_equal(look(a, "paced-4")->n, 0);
	bh_ruleset_free(a);
	bh_ruleset_free(b);
}

static void rebuild_with(const struct bh_ruleset *rs, const struct bh_nft_keys *k)
{
	struct bh_nft_error e;
	assert_int_equal(
		bh_nft_rebuild_with(nft, rs, &(struct bh_nft_beside){.keys = k, .n_keys = 1}, &e),
		0);
}

/* What is kept stays through any change, is there again after a rebuild that was given it, and is
 * replaced in one go. */
static void test_kept(void **state)
{
	(void)state;
	struct bh_ruleset *a = sample_link(), *b = sample_link();
	struct bh_value v[3][4];
	struct bh_nft_error e;
	rule(find_chain(b, "forward"), BH_ACT_DROP, "new");
	rebuild(a);
	for (uint16_t i = 0; i < 3; i++)
		tuple(v[i], "10.0.0.1", "10.0.0.2", i);
	const uint64_t each[] = {5000, 50000};
	struct bh_nft_keys k = {
		.set = bh_ruleset_find_set(a, "kept-4"), .value = v[0], .n = 2, .each_ms = each};
	assert_int_equal(bh_nft_keys_add(nft, &k, 1, &e), 0);
	apply(a, b);
	assert_int_equal(look(a, "kept-4")->n, 2);
	rebuild_with(a, &k);
	rebuild_with(a, &k); /* they are there */
	const struct seen *s = look(a, "kept-4");
	assert_int_equal(s->n, 2);
	for (size_t i = 0; i < 2; i++) {
		bool first = memcmp(s->value[i], v[0], sizeof(v[0])) == 0;
		assert_true(
			s->expires_ms[i] <= each[!first] && s->expires_ms[i] > each[!first] / 2);
	}
	k.value = v[1];
	assert_int_equal(bh_nft_keys_replace(nft, &k, 1, &e), 0);
	s = look(a, "kept-4");
	assert_int_equal(s->n, 2); /* one of before, and a new one */
	for (size_t i = 0; i < 2; i++)
		assert_true(memcmp(s->value[i], v[0], sizeof(v[0])) != 0);
	k.n = 0;
	assert_int_equal(bh_nft_keys_replace(nft, &k, 1, &e), 0);
	assert_int_equal(look(a, "kept-4")->n, 0);
	bh_ruleset_free(a);
	bh_ruleset_free(b);
}

/* Elements that the kernel takes away for their age meanwhile do not make a flush fail. */
static void test_flush_while_elements_expire(void **state)
{
	(void)state;
	static struct bh_value v[1000][4];
	struct bh_ruleset *a = sample_link(), *b = sample_link();
	rule(find_chain(b, "forward"), BH_ACT_DROP, "new");
	rebuild(a);
	for (uint16_t i = 0; i < 1000; i++)
		tuple(v[i], "10.0.0.1", "10.0.0.2", i);
	for (int round = 0; round < 60; round++) {
		assert_int_equal(put(a, "cache-4", v[0], 1000, 1 + (uint64_t)round % 10), 1000);
		struct timespec pause = {.tv_nsec = round % 12 * 1000000L};
		nanosleep(&pause, NULL);
		apply(round % 2 ? b : a, round % 2 ? a : b);
	}
	bh_ruleset_free(a);
	bh_ruleset_free(b);
}

static void send_to(uint16_t port, size_t n)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	assert_true(fd >= 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (size_t i = 0; i < n; i++) /* a drop on the way out says EPERM */
		(void)!sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to));
	close(fd);
}

/* In chain output, so that it happens in the sender's own call. */
static struct bh_ruleset *with_output(void)
{
	struct bh_ruleset *rs = sample_link();
	struct bh_chain *c = bh_ruleset_add_chain(rs, "output", BH_HOOK_OUTPUT, 0, NULL);
	match(rule(c, BH_ACT_ACCEPT, NULL), BH_MATCH_L4PROTO)->proto = 1;
	match_parts(rule(c, BH_ACT_DROP, NULL), BH_MATCH_CONCAT_SET, BH_IPV4, "cache-4",
		PARTS(BH_READ_SADDR, BH_READ_DADDR, BH_READ_L4PROTO, BH_READ_DPORT));
	struct bh_set *s = add_run_time_set(
		rs, "meter", BH_TABLE_INET, BH_IPV4, BH_VOLATILE_DYNAMIC, PARTS(BH_PART_ADDR));
	s->timeout_s = 3600;
	s = add_run_time_set(rs, "small", BH_TABLE_INET, BH_IPV4, BH_VOLATILE_DYNAMIC,
		PARTS(BH_PART_ADDR, BH_PART_SERVICE));
	s->size = 2;
	struct bh_rule *r = rule(c, BH_ACT_NONE, "seen");
	match_parts(r, BH_MATCH_UPDATE, BH_IPV4, "small", PARTS(BH_READ_DADDR, BH_READ_DPORT));
	r->match[0].counter = r->counter = true;
	r = rule(c, BH_ACT_DROP, "paced");
	match_parts(r, BH_MATCH_UPDATE, BH_IPV4, "meter", PARTS(BH_READ_SADDR));
	r->match[0].rate = 1;
	r->match[0].burst = 5;
	r->match[0].counter = r->counter = true;
	rule(c, BH_ACT_NONE, "let through")->counter = true;
	bh_ruleset_seal(rs);
	return rs;
}

static void collect(const struct bh_nft_counter *c, void *arg)
{
	if (strcmp(c->chain, "output") == 0)
		bh_buf_printf(arg, "%s %llu\n", c->comment, (unsigned long long)c->packets);
}

/* Look-ups that hit are counted by element; packets over their source's rate too; a set that is
 * full takes no more, and then does not match. */
static void test_packets_count(void **state)
{
	(void)state;
	struct bh_ruleset *rs = with_output();
	struct bh_value v[4];
	bh_autobuf struct bh_buf out = {0};
	rebuild(rs);
	must("ip link set lo up");
	tuple(v, "127.0.0.1", "127.0.0.1", 7);
	assert_int_equal(put(rs, "cache-4", v, 1, 0), 1);
	send_to(7, 3); /* cached: dropped */
	send_to(8, 4);
	send_to(9, 4);
	send_to(10, 2); /* no room in `small` */
	const struct seen *s = look(rs, "cache-4");
	assert_int_equal(s->n, 1);
	assert_int_equal(s->packets[0], 3);
	assert_int_equal(s->bytes[0], 3 * 29);
	s = look(rs, "small");
	assert_int_equal(s->n, 2);
	assert_int_equal(s->packets[0], 4);
	assert_int_equal(s->packets[1], 4);
	s = look(rs, "meter");
	assert_int_equal(s->n, 1);
	struct bh_value lo = v_addr("127.0.0.1");
	assert_memory_equal(s->value[0], &lo, sizeof(lo));
	assert_true(
		s->packets[0] >= 1 && s->packets[0] <= 5); /* ten, five and what a second gives */
	assert_true(s->expires_ms[0] > 0);
	uint64_t over = s->packets[0];
	assert_int_equal(bh_nft_counters(nft, collect, &out), 0);
	char want[128];
	snprintf(want, sizeof(want), "seen 8\npaced %llu\nlet through %llu\n",
		(unsigned long long)over, (unsigned long long)(10 - over));
	assert_string_equal(out.s, want);
	bh_ruleset_free(rs);
}

/* More than one answer holds, while the ruleset keeps changing: all are told in the end. */
static void test_read_many(void **state)
{
	(void)state;
	static struct bh_value v[1000][4];
	struct bh_ruleset *rs = sample_link();
	struct bh_set *s = (struct bh_set *)bh_ruleset_find_set(rs, "cache-4");
	s->size = 4096;
	rebuild(rs);
	for (int k = 0; k < 4; k++) {
		for (uint16_t i = 0; i < 1000; i++)
			tuple(v[i], "10.0.0.1", "10.0.0.2", (uint16_t)(k * 1000 + i));
		assert_int_equal(put(rs, "cache-4", v[0], 1000, 0), 1000);
	}
	assert_int_equal(look(rs, "cache-4")->n, 4000);
	bool *have = bh_xcalloc(4000, sizeof(*have));
	for (size_t i = 0; i < seen.n; i++)
		have[seen.value[i][3].b[0] << 8 | seen.value[i][3].b[1]] = true;
	for (size_t i = 0; i < 4000; i++)
		assert_true(have[i]);
	free(have);
	bh_ruleset_free(rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_add, clean),
		cmocka_unit_test_teardown(test_full, clean),
		cmocka_unit_test_teardown(test_flushed_with_changes, clean),
		cmocka_unit_test_teardown(test_kept, clean),
		cmocka_unit_test_teardown(test_flush_while_elements_expire, clean),
		cmocka_unit_test_teardown(test_packets_count, clean),
		cmocka_unit_test_teardown(test_read_many, clean),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
