/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The audit log: records a second that are written, synced and signed, as long as the disk keeps
 * up; how long the loop is held up by one; and beside it the same lines by write(2) alone, without
 * tree, sync or signature. Each round is a log of its own in a directory of its own.
 *
 *     bench_audit [ROUNDS [RECORDS]]
 */
#include <err.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "audit/audit.h"
#include "bench/measure.h"

#define T0 INT64_C(1700000000000000)
#define STEP_US 4000 /* of the records' own clock: nothing is aggregated, no table is full */

struct round {
	double per_second, cpu_us, call_p50, call_p99, bare_per_second;
	uint64_t lost, checkpoints, bytes;
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

/* The same bytes without anything of ours. */
static double bare(const char *path, uint64_t records)
{
	char bh_autofree *copy = bh_xasprintf("%s.bare", path);
	char *line = NULL;
	size_t cap = 0;
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
		spent += bench_now() - t;
	}
	free(line);
	fclose(f);
	close(fd);
	unlink(copy);
	return (double)records / spent * 1000;
}

static void run_round(const char *dir, uint64_t records, struct round *ret)
{
	char bh_autofree *path = bh_xasprintf("%s/audit.jsonl", dir);
	struct bh_workload *ws[2] = {workload("web"), workload("db")};
	const struct bh_workload *w[2] = {ws[0], ws[1]};
	struct bh_audit_opts o = {
		.path = path, .node = "bench", .machine_id = "m", .boot_id = "b", .version = "1"};
	double *call = bh_xcalloc(records, sizeof(*call));
	struct bh_audit *a;
	struct bh_audit_stats st;
	struct stat file;

	if (bh_audit_open(&o, &a) < 0)
		errx(1, "%s can't be opened", path);
	double begin = bench_now(), cpu = bench_cpu();
	for (uint64_t i = 0; i < records; i++) {
		/* As fast as it goes without loss: a full ring is waited for. */
		if (i % 4096 == 4095) {
			bh_audit_tick(a, T0 + (int64_t)i * STEP_US);
			for (bh_audit_get_stats(a, &st); st.waiting > 8192;
				bh_audit_get_stats(a, &st))
				nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
		}
		double t = bench_now();
		record(a, w, i);
		call[i] = bench_now() - t;
	}
	if (bh_audit_settle(a, 60000) < 0)
		errx(1, "%s: the disk does not keep up", path);
	double ms = bench_now() - begin;
	bh_audit_get_stats(a, &st);
	qsort(call, records, sizeof(*call), by_value);
	*ret = (struct round){.per_second = (double)st.written / ms * 1000,
		.cpu_us = (bench_cpu() - cpu) * 1000 / (double)st.written,
		.call_p50 = call[records / 2] * 1000,
		.call_p99 = call[records * 99 / 100] * 1000,
		.lost = st.lost,
		.checkpoints = st.checkpoints};
	bh_audit_close(a);
	ret->bytes = stat(path, &file) == 0 ? (uint64_t)file.st_size / st.written : 0;
	ret->bare_per_second = bare(path, records);
	free(call);
	bh_workload_free(ws[0]);
	bh_workload_free(ws[1]);
}

int main(int argc, char **argv)
{
	uint64_t rounds = 5, records = 200000;
	struct bench_stat rate = {0}, cpu = {0}, p50 = {0}, p99 = {0}, plain = {0};
	uint64_t lost = 0, checkpoints = 0, bytes = 0;
	char t[5][64];

	if ((argc > 1 && bh_parse_u64(argv[1], BENCH_ROUNDS_MAX, &rounds) < 0) ||
		(argc > 2 && bh_parse_u64(argv[2], 10000000, &records) < 0) || rounds == 0 ||
		records < 1000)
		errx(2, "usage: bench_audit [ROUNDS [RECORDS]]");
	for (uint64_t i = 0; i < rounds; i++) {
		char dir[] = "/var/tmp/bulkhead-bench-XXXXXX";
		struct round r;
		if (!mkdtemp(dir))
			err(1, "%s", dir);
		run_round(dir, records, &r);
		char bh_autofree *clean = bh_xasprintf("rm -rf %s", dir);
		if (system(clean) != 0)
			warnx("%s is left", dir);
		bench_add(&rate, r.per_second / 1000);
		bench_add(&cpu, r.cpu_us);
		bench_add(&p50, r.call_p50);
		bench_add(&p99, r.call_p99);
		bench_add(&plain, r.bare_per_second / 1000);
		lost += r.lost;
		checkpoints += r.checkpoints;
		bytes = r.bytes;
	}
	printf("%llu rounds of %llu records of %llu bytes; medians (least-greatest)\n",
		(unsigned long long)rounds, (unsigned long long)records, (unsigned long long)bytes);
	printf("written, synced and signed   %s thousand a second (aim: 50)\n",
		bench_text(&rate, t[0]));
	printf("the same lines, bare write   %s thousand a second\n", bench_text(&plain, t[1]));
	printf("CPU of both threads          %s us a record\n", bench_text(&cpu, t[2]));
	printf("the loop is held up          %s us (p50), %s us (p99) a record\n",
		bench_text(&p50, t[3]), bench_text(&p99, t[4]));
	printf("lost %llu, checkpoints %llu\n", (unsigned long long)lost,
		(unsigned long long)checkpoints);
	return 0;
}
