/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Permits, and the gate: a page that the program reads at each first segment. Stores to it are of
 * one word each, and seen before whatever the daemon asks the kernel afterwards.
 */
#include "fastpath/private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void store(__u64 *at, uint64_t value)
{
	atomic_store((_Atomic __u64 *)at, value);
}

int bh_fast_gate_open(struct bh_fast *f)
{
	void *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED,
		f->fd[BH_FAST_GATE], 0);
	if (page == MAP_FAILED)
		return -errno;
	f->gate = page;
	f->epoch = 1;
	return 0;
}

void bh_fast_gate_finish(struct bh_fast *f)
{
	if (f->gate)
		munmap(f->gate, (size_t)sysconf(_SC_PAGESIZE));
}

void bh_fast_gate_hold(struct bh_fast *f)
{
	store(&f->gate->until, now_ns() + BH_FAST_GATE_MS * 1000000ull);
	store(&f->gate->epoch, f->epoch);
}

void bh_fast_gate_shut(struct bh_fast *f)
{
	store(&f->gate->epoch, 0);
	f->epoch++;
}

static struct bh_fast_pair name(const struct bh_flow *flow)
{
	struct bh_fast_pair p = {.dport = htons(flow->dport), .family = flow->src.family};
	size_t n = bh_addr_size(&flow->src);
	memcpy(p.saddr, flow->src.b, n);
	memcpy(p.daddr, flow->dst.b, n);
	return p;
}

int bh_fast_permit(struct bh_fast *f, const struct bh_flow *flow)
{
	const struct bh_fast_pair key = name(flow);
	struct bh_fast_permit v = {.epoch = f->epoch};
	return bh_fast_map_call(BPF_MAP_UPDATE_ELEM, f->fd[BH_FAST_PERMITS], &key, &v);
}

static int64_t ask(const struct bh_fast *f, enum bpf_cmd what, const struct bh_flow *flow)
{
	const struct bh_fast_pair key = name(flow);
	struct bh_fast_permit v;
	int r = bh_fast_map_call(what, f->fd[BH_FAST_PERMITS], &key, &v);
	return r < 0 ? r : (int64_t)v.begun;
}

int64_t bh_fast_permit_read(const struct bh_fast *f, const struct bh_flow *flow)
{
	return ask(f, BPF_MAP_LOOKUP_ELEM, flow);
}

int64_t bh_fast_permit_take(struct bh_fast *f, const struct bh_flow *flow)
{
	return ask(f, BPF_MAP_LOOKUP_AND_DELETE_ELEM, flow);
}
