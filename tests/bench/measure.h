/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every benchmark needs: a clock, rounds with their median and extremes, peak memory. */
#pragma once

#include <bulkhead/util.h>

/* Milliseconds of the monotonic clock. */
double bench_now(void);
/* Milliseconds of CPU that this process has used: what a busy machine does not disturb. */
double bench_cpu(void);

/* Measured values of one thing, one per round. Zero-initialised is empty. Room for a fixed number,
 * so that a child can hand it to its parent through a pipe. */
#define BENCH_ROUNDS_MAX 256
struct bench_stat {
	double value[BENCH_ROUNDS_MAX];
	size_t n;
};

void bench_add(struct bench_stat *s, double value);
double bench_median(const struct bench_stat *s); /* 0 if empty */
double bench_min(const struct bench_stat *s);
double bench_max(const struct bench_stat *s);
/* "12.3 (11.9-14.0)", or "-" if empty: three digits that matter. */
const char *bench_text(const struct bench_stat *s, char buf[static 64]);

/* Resident memory in MiB: the peak since the start of the process or the last reset. */
void bench_reset_peak(void);
double bench_peak(void);

/* Runs fn in a child of its own, so that memory and network namespaces start clean and go away.
 * What fn wrote to ret (size bytes) is copied back. 0, or -1 if the child failed. */
int bench_in_child(void (*fn)(const void *arg, void *ret), const void *arg, void *ret, size_t size);
