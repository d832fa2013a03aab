/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See measure.h. */
#include "bench/measure.h"

#include <sys/wait.h>
#include <time.h>

static double read_clock(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

double bench_now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

double bench_cpu(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void bench_add(struct bench_stat *s, double value)
{
	if (s->n < BENCH_ROUNDS_MAX)
		s->value[s->n++] = value;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

double bench_median(const struct bench_stat *s)
{
	double v[BENCH_ROUNDS_MAX];
	if (!s->n)
		return 0;
	memcpy(v, s->value, s->n * sizeof(*v));
	qsort(v, s->n, sizeof(*v), compare);
	return s->n % 2 ? v[s->n / 2] : (v[s->n / 2 - 1] + v[s->n / 2]) / 2;
}

double bench_min(const struct bench_stat *s)
{
	double r = s->n ? s->value[0] : 0;
	for (size_t i = 1; i < s->n; i++)
		r = s->value[i] < r ? s->value[i] : r;
	return r;
}

double bench_max(const struct bench_stat *s)
{
	double r = 0;
	for (size_t i = 0; i < s->n; i++)
		r = s->value[i] > r ? s->value[i] : r;
	return r;
}

static int digits(double v)
{
	return v < 10 ? 2 : v < 100 ? 1 : 0;
}

const char *bench_text(const struct bench_stat *s, char buf[static 64])
{
	double m = bench_median(s), lo = bench_min(s), hi = bench_max(s);
	if (!s->n)
		snprintf(buf, 64, "-");
	else
		snprintf(buf, 64, "%.*f (%.*f-%.*f)", digits(m), m, digits(lo), lo, digits(hi), hi);
	return buf;
}

/* Linux: 5 resets VmHWM (proc(5), clear_refs). */
void bench_reset_peak(void)
{
	bh_autofclose FILE *f = fopen("/proc/self/clear_refs", "w");
	if (f)
		fputs("5", f);
}

double bench_peak(void)
{
	char line[128];
	unsigned long kib = 0;
	bh_autofclose FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %lu", &kib) == 1)
			break;
	return (double)kib / 1024;
}

int bench_in_child(void (*fn)(const void *arg, void *ret), const void *arg, void *ret, size_t size)
{
	int p[2], status = -1;
	size_t got = 0;
	fflush(NULL);
	if (pipe(p) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		close(p[0]);
		fn(arg, ret);
		for (size_t done = 0; done < size;) {
			ssize_t w = write(p[1], (char *)ret + done, size - done);
			if (w <= 0)
				_exit(1);
			done += (size_t)w;
		}
		fflush(NULL);
		_exit(0);
	}
	close(p[1]);
	while (pid > 0 && got < size) {
		ssize_t r = read(p[0], (char *)ret + got, size - got);
		if (r <= 0)
			break;
		got += (size_t)r;
	}
	close(p[0]);
	if (pid > 0)
		waitpid(pid, &status, 0);
	return pid > 0 && status == 0 && got == size ? 0 : -1;
}
