/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The audit log: records a second that are written, synced and signed over some seconds, no faster
 * than the disk keeps up, with rotation; how long the loop is held up by one; and beside it the
 * same lines by write(2) alone, without tree or signature, with and without a sync as often as
 * there is one. Each round is a log of its own in a directory of its own.
 *
 *     bench_audit [ROUNDS [SECONDS]]
 */
#include <err.h>
#include <fcntl.h>
#include <time.h>

#include "audit/audit.h"
#include "bench/measure.h"

#define T0 INT64_C(1700000000000000)
#define ROTATE ((uint64_t)256 << 20) /* as the default is */
#define CALLS 200000 /* of which the time is kept: one in SAMPLE */
#define SAMPLE 16
#define SYNC_LINES 1000
#define STEP_US 4000 /* of the records' own clock: nothing is aggregated, no table is full */

struct round {
	double per_second, cpu_us, call_p50, call_p99, bare_per_second, synced_per_second;
	uint64_t lost, checkpoints, records;
};

static struct bh_workload *workload(const char *name)
{
	struct bh_workload *w = bh_workload_new();
	w->id = bh_xasprintf(
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde%s", name);
	w->name = bh_xasprintf("shop-%s-1", name);
	w->namespace = bh_xstrdup("shop");
	w->image = bh_xstrdup("registry.example/shop/web:1.2.3");
	w->digest = bh_xstrdup(
		"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	bh_labels_set(&w->labels, "app", name);
	bh_labels_set(&w->labels, "com.docker.compose.project", "shop");
	bh_labels_set(&w->labels, "com.docker.compose.service", name);
	return w;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

static void record(struct bh_audit *a, const struct bh_workload *w[2], uint64_t i)
{
	struct bh_flow f = {.proto = BH_TCP, .sport = 40000, .dport = (uint16_t)i};
	bh_addr_parse("10.77.0.2", &f.src);
	bh_addr_parse("10.77.0.3", &f.dst);
	f.src.b[2] = (uint8_t)(i >> 16);
	bh_audit_flow(a, &(struct bh_audit_flow){.action = "policy-deny",
				 .flow = &f,
				 .src = w[0],
				 .dst = w[1],
				 .verdict = BH_DROP,
				 .reason = BH_REASON_UNMATCHED,
				 .mode = BH_MODE_ENFORCE,
				 .direction = BH_INGRESS,
				 .policy = "shop/db-baseline",
				 .generation = 7,
				 .when = T0 + (int64_t)i * STEP_US});
}

/* The same bytes without anything of ours: lines a second. `sync`: after as many as a checkpoint
 * covers. */
static double bare(const char *path, bool sync)
{
	char bh_autofree *copy = bh_xasprintf("%s.bare", path);
	char *line = NULL;
	size_t cap = 0, lines = 0;
	ssize_t n;
	FILE *f = fopen(path, "r");
	int fd = open(copy, O_WRONLY | O_CREAT | O_APPEND | O_TRUNC, 0600);
	double spent = 0;

	if (!f || fd < 0)
		err(1, "%s", path);
	while ((n = getline(&line, &cap, f)) > 0) {
		double t = bench_now();
		if (write(fd, line, (size_t)n) != n)
			err(1, "%s", copy);
		if (++lines % SYNC_LINES == 0 && sync && fdatasync(fd) < 0)
			err(1, "%s", copy);
		spent += bench_now() - t;
	}
	free(line);
	fclose(f);
	close(fd);
	unlink(copy);
	return (double)lines / spent * 1000;
}

/* As fast as it goes without loss, for so many seconds: a full ring is waited for. */
static void feed(struct bh_audit *a, double until, double *call, size_t *ret_calls)
{
	struct bh_workload *ws[2] = {workload("web"), workload("db")};
	const struct bh_workload *w[2] = {ws[0], ws[1]};
	struct bh_audit_stats st;
	size_t n = 0;

	for (uint64_t i = 0;; i++) {
		if (i % 1024 == 1023) {
			if (bench_now() >= until)
				break;
			bh_audit_tick(a, T0 + (int64_t)i * STEP_US);
			for (bh_audit_get_stats(a, &st); st.waiting > 8192;
				bh_audit_get_stats(a, &st))
				nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
		}
		if (i % SAMPLE || n == CALLS) {
			record(a, w, i);
			continue;
		}
		double t = bench_now();
		record(a, w, i);
		call[n++] = bench_now() - t;
	}
	*ret_calls = n;
	bh_workload_free(ws[0]);
	bh_workload_free(ws[1]);
}

static void run_round(const char *dir, uint64_t seconds, struct round *ret)
{
	char bh_autofree *path = bh_xasprintf("%s/audit.jsonl", dir);
	struct bh_audit_opts o = {.path = path,
		.node = "bench",
		.machine_id = "m",
		.boot_id = "b",
		.version = "1",
		.rotate_size = ROTATE,
		.keep = 1};
	double bh_autofree *call = bh_xcalloc(CALLS, sizeof(*call));
	size_t calls;
	struct bh_audit *a;
	struct bh_audit_stats st;

	if (bh_audit_open(&o, &a) < 0)
		errx(1, "%s can't be opened", path);
	double begin = bench_now(), cpu = bench_cpu();
	feed(a, begin + (double)seconds * 1000, call, &calls);
	if (bh_audit_settle(a, 60000) < 0)
		errx(1, "%s: the disk does not keep up", path);
	double ms = bench_now() - begin;
	bh_audit_get_stats(a, &st);
	qsort(call, calls, sizeof(*call), by_value);
	*ret = (struct round){.per_second = (double)st.written / ms * 1000,
		.cpu_us = (bench_cpu() - cpu) * 1000 / (double)st.written,
		.call_p50 = call[calls / 2] * 1000,
		.call_p99 = call[calls * 99 / 100] * 1000,
		.lost = st.lost,
		.records = st.written,
		.checkpoints = st.checkpoints};
	bh_audit_close(a);
	ret->bare_per_second = bare(path, false);
	ret->synced_per_second = bare(path, true);
}

int main(int argc, char **argv)
{
	uint64_t rounds = 5, seconds = 5, lost = 0, checkpoints = 0, records = 0;
	struct bench_stat rate = {0}, cpu = {0}, p50 = {0}, p99 = {0}, plain = {0}, synced = {0};
	char t[2][64];

	if ((argc > 1 && bh_parse_u64(argv[1], BENCH_ROUNDS_MAX, &rounds) < 0) ||
		(argc > 2 && bh_parse_u64(argv[2], 600, &seconds) < 0) || rounds == 0 ||
		seconds == 0)
		errx(2, "usage: bench_audit [ROUNDS [SECONDS]]");
	for (uint64_t i = 0; i < rounds; i++) {
		char dir[] = "/var/tmp/bulkhead-bench-XXXXXX";
		struct round r;
		if (!mkdtemp(dir))
			err(1, "%s", dir);
		run_round(dir, seconds, &r);
		char bh_autofree *clean = bh_xasprintf("rm -rf %s", dir);
		if (system(clean) != 0)
			warnx("%s is left", dir);
		bench_add(&rate, r.per_second / 1000);
		bench_add(&cpu, r.cpu_us);
		bench_add(&p50, r.call_p50);
		bench_add(&p99, r.call_p99);
		bench_add(&plain, r.bare_per_second / 1000);
		bench_add(&synced, r.synced_per_second / 1000);
		lost += r.lost;
		checkpoints += r.checkpoints;
		records += r.records;
	}
	printf("%llu rounds of %llu s, %llu records, %llu checkpoints, %llu lost; "
	       "medians (least-greatest)\n",
		(unsigned long long)rounds, (unsigned long long)seconds,
		(unsigned long long)records, (unsigned long long)checkpoints,
		(unsigned long long)lost);
	printf("written, synced and signed      %s thousand a second (aim: 50)\n",
		bench_text(&rate, t[0]));
	printf("the same lines, bare write      %s thousand a second\n", bench_text(&plain, t[0]));
	printf("and a sync each %u of them    %s thousand a second\n", SYNC_LINES,
		bench_text(&synced, t[0]));
	printf("CPU of both threads             %s us a record\n", bench_text(&cpu, t[0]));
	printf("the loop is held up             %s us (p50), %s us (p99) a record\n",
		bench_text(&p50, t[0]), bench_text(&p99, t[1]));
	return 0;
}
