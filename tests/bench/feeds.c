/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Threat feeds, the parts that need no daemon: how fast a million indicators are read, indexed and
 * looked up; and the load that tests/bench/feeds.py sends in namespaces of its own.
 *   bench_feeds list N SEED FILE      writes a list, 95 % single addresses
 *   bench_feeds index FILE ROUNDS     JSON of what reading, building and looking up cost
 *   bench_feeds send ADDRESS COUNT new|same   datagrams, each of a flow of its own or not; ns each
 */
#include "feeds/internal.h"

#include <arpa/inet.h>
#include <sys/resource.h>
#include <time.h>

static uint64_t state;

static uint32_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

static double seconds(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Anywhere in what feeds may block: not in the special ranges, and not where the lab lives. */
static uint32_t address(const struct bh_ranges *special)
{
	for (;;) {
		uint32_t v = rnd();
		struct bh_addr a = bh_addr_of_number(BH_IPV4, v);
		uint8_t top = a.b[0];
		if (!bh_ranges_contain(special, &a) && top != 192 && top != 198 && top != 203)
			return v;
	}
}

static int write_list(size_t n, uint64_t seed, const char *path)
{
	struct bh_ranges special;
	FILE *bh_autofclose f = fopen(path, "we");
	if (!f)
		return -1;
	state = seed * 2654435761u + 88172645463325252u;
	bh_feeds_protected_ranges(NULL, &special);
	for (size_t i = 0; i < n; i++) {
		uint32_t a = address(&special);
		const char *suffix = i % 20 ? "" : i % 40 ? "/28" : "/24";
		if (*suffix)
			a &= suffix[2] == '8' ? 0xfffffff0u : 0xffffff00u;
		fprintf(f, "%u.%u.%u.%u%s\n", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255,
			suffix);
	}
	bh_ranges_finish(&special);
	return ferror(f) ? -1 : 0;
}

static char *read_file(const char *path, size_t *ret_n)
{
	FILE *bh_autofclose f = fopen(path, "re");
	struct bh_buf b = {0};
	char piece[65536];
	size_t n;
	while (f && (n = fread(piece, 1, sizeof(piece), f)) > 0)
		bh_buf_add(&b, piece, n);
	*ret_n = b.len;
	return bh_buf_take(&b);
}

static double look_up(const struct bh_feed_index *x, size_t n, size_t *ret_hits)
{
	struct bh_addr a = {.family = BH_IPV4};
	double from = seconds(CLOCK_MONOTONIC);
	for (size_t i = 0; i < n; i++) {
		uint32_t v = rnd();
		memcpy(a.b, &v, sizeof(v));
		*ret_hits += bh_feed_index_blocked(x, &a) != 0;
	}
	return (double)n / (seconds(CLOCK_MONOTONIC) - from);
}

static double best(double a, double b)
{
	return a > b ? a : b;
}

static int measure_index(const char *path, int rounds)
{
	size_t len, hits = 0, n = 20000000;
	char bh_autofree *text = read_file(path, &len);
	const struct bh_feed_read_opts o = {.name = "bench"};
	struct bh_feed_text t;
	struct bh_ranges special;
	double at[7], lookups = 0;

	at[0] = seconds(CLOCK_MONOTONIC);
	if (bh_feed_read(&o, text, len, NULL, &t) < 0)
		return -1;
	at[1] = seconds(CLOCK_MONOTONIC);
	bh_indicators_sort(&t.ind);
	at[2] = seconds(CLOCK_MONOTONIC);
	bh_feeds_protected_ranges(NULL, &special);
	struct bh_feed_input *in bh_autofree = bh_xcalloc(1, sizeof(*in));
	*in = (struct bh_feed_input){.name = "bench", .protect = &special, .indicators = &t.ind};
	struct bh_feed_index *x = bh_feed_index_build(in, 1, 0);
	at[3] = seconds(CLOCK_MONOTONIC);
	state = 1234567;
	struct bh_indicators some = {0}, none = {0}, changed;
	for (int i = 0; i < 1000; i++) {
		uint32_t a = address(&special);
		struct bh_range r = bh_range_of_numbers(BH_IPV4, a, a);
		bh_indicators_add(&some, &r, 0, 0);
	}
	bh_indicators_sort(&some);
	at[4] = seconds(CLOCK_MONOTONIC);
	bh_indicators_changed(&t.ind, &none, &some, &changed);
	at[5] = seconds(CLOCK_MONOTONIC);
	struct bh_feed_input *after bh_autofree = bh_xcalloc(1, sizeof(*after));
	*after = (struct bh_feed_input){
		.name = "bench", .protect = &special, .indicators = &changed};
	struct bh_feed_index *y = bh_feed_index_change(x, in, 0, after, 1, 0);
	at[6] = seconds(CLOCK_MONOTONIC);
	if (!y || bh_feed_index_count(y) == bh_feed_index_count(x))
		return -1;
	bh_feed_index_unref(y);
	bh_indicators_finish(&some);
	bh_indicators_finish(&changed);
	for (int i = 0; i < rounds; i++)
		lookups = best(lookups, look_up(x, n, &hits));
	printf("{\"indicators\": %zu, \"parse_s\": %.4f, \"sort_s\": %.4f, \"build_s\": %.4f, "
	       "\"merge_s\": %.4f, \"change_s\": %.4f, \"lookups_per_s\": %.0f, "
	       "\"hits_percent\": %.3f}\n",
		bh_indicators_count(&t.ind), at[1] - at[0], at[2] - at[1], at[3] - at[2],
		at[5] - at[4], at[6] - at[5], lookups, 100.0 * (double)hits / ((double)n * rounds));
	bh_feed_index_unref(x);
	bh_feed_text_finish(&t);
	bh_ranges_finish(&special);
	return 0;
}

/* A new flow for each datagram: another source port, of 60,000. To port 9; those of one flow to 10.
 */
static int send_many(const char *to, long count, bool fresh)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9)};
	if (inet_pton(AF_INET, to, &a.sin_addr) != 1)
		return -1;
	int bh_autoclose raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);
	if (raw < 0)
		return -1;
	double from = seconds(CLOCK_MONOTONIC);
	for (long i = 0; i < count; i++) {
		uint16_t udp[4] = {htons(fresh ? (uint16_t)(1024 + i % 60000) : 1024),
			htons((uint16_t)(fresh ? 9 : 10)), htons(8), 0};
		if (sendto(raw, udp, sizeof(udp), 0, (struct sockaddr *)&a, sizeof(a)) < 0)
			return -1;
	}
	double took = seconds(CLOCK_MONOTONIC) - from;
	printf("{\"ns\": %.1f}\n", took * 1e9 / (double)count);
	return 0;
}

int main(int argc, char **argv)
{
	int r = -2;
	if (argc == 5 && bh_streq(argv[1], "list"))
		r = write_list(strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10), argv[4]);
	else if (argc == 4 && bh_streq(argv[1], "index"))
		r = measure_index(argv[2], atoi(argv[3]));
	else if (argc == 5 && bh_streq(argv[1], "send"))
		r = send_many(argv[2], atol(argv[3]), bh_streq(argv[4], "new"));
	if (r == -2)
		fprintf(stderr, "usage: bench_feeds list N SEED FILE | index FILE ROUNDS | send "
				"ADDRESS COUNT new|same\n");
	else if (r < 0)
		perror("bench_feeds");
	return r < 0;
}
