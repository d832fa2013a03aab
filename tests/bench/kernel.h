/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A kernel to load rulesets into, in network namespaces of our own, and the tool that people would
 * use instead: nft -f, a process of its own, in another namespace. None has a name, so nothing
 * stays behind.
 */
#pragma once

#include "nft/nft.h"

#include <bulkhead/ruleset.h>

#define BENCH_NFT_CAP 60 /* seconds after which nft is stopped */

struct bench_kernel {
	struct bh_nft *nft; /* in the namespace that the process is in */
	int tool_ns; /* nft's */
	int fd; /* of a file without a name, */
	char file[64]; /* what nft -f is given: its path in /proc */
};

/* Leaves the network namespace of the caller. Exits with a message if that is not allowed. */
void bench_kernel_open(struct bench_kernel *k);
void bench_kernel_close(struct bench_kernel *k);

/* Empties the table and waits until the kernel has freed what was in it, outside what is timed. */
void bench_kernel_clear(struct bench_kernel *k);

/* Writes the ruleset for nft -f; with `replace`, so that it takes the place of the table. Its size
 * in bytes. */
size_t bench_kernel_write(struct bench_kernel *k, const struct bh_ruleset *rs, bool replace);
/* Milliseconds, or -1 if it took longer than BENCH_NFT_CAP seconds. Exits if nft refuses. */
double bench_kernel_tool(struct bench_kernel *k);
/* Deletes the table in nft's namespace; not timed. */
void bench_kernel_tool_clear(struct bench_kernel *k);
