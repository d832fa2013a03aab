/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The maps of the program, by bpf(2): libbpf is only in what loads it (load.c). */
#include "fastpath/fastpath.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>

#include "fastpath/private.h"

/* nf_conntrack_tcp_timeout_fin_wait and _time_wait, as the kernel has them. */
#define CLOSING_S 120

int bh_fast_map_call(enum bpf_cmd what, int fd, const void *key, void *value)
{
	union bpf_attr attr = {
		.map_fd = (__u32)fd, .key = (uintptr_t)key, .value = (uintptr_t)value};
	return syscall(SYS_bpf, what, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

static int map_set(int fd, const void *key, const void *value)
{
	return bh_fast_map_call(BPF_MAP_UPDATE_ELEM, fd, key, (void *)value); /* it is only read */
}

static int map_remove(int fd, const void *key)
{
	int r = bh_fast_map_call(BPF_MAP_DELETE_ELEM, fd, key, NULL);
	return r == -ENOENT ? 0 : r;
}

/* --- where addresses live --- */

static int map_of(const struct bh_fast *f, const struct bh_addr *a)
{
	return f->fd[a->family == BH_IPV4 ? BH_FAST_HOMES4 : BH_FAST_HOMES6];
}

static bool same_home(const struct bh_fast_home *a, const struct bh_fast_home *b)
{
	return a && memcmp(a, b, sizeof(*b)) == 0;
}

int bh_fast_leave(struct bh_fast *f, const struct bh_inventory *inv)
{
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < f->homes.n; i++) {
		const struct bh_fast_at *at = &f->homes.item[i];
		int err = bh_fast_lives_there(inv, at)
				  ? -EEXIST
				  : map_remove(map_of(f, &at->addr), at->addr.b);
		if (err < 0)
			f->homes.item[kept++] = *at;
		if (err < 0 && err != -EEXIST)
			r = err;
	}
	r = r < 0 ? r : (int)(f->homes.n - kept);
	f->homes.n = kept;
	return r;
}

/* Those of h that are not in the list, or elsewhere, after some of them could not be entered: else
 * nobody would know that they are in the map. Removing needs no memory. */
static void take_back(struct bh_fast *f, const struct bh_fast_homes *h)
{
	for (size_t i = 0; i < h->n; i++)
		if (!same_home(bh_fast_home(&f->homes, &h->item[i].addr), &h->item[i].home))
			map_remove(map_of(f, &h->item[i].addr), h->item[i].addr.b);
	f->torn = true;
}

/* Of an ascending list, asked for ascending addresses. */
static const struct bh_fast_home *next_home(
	const struct bh_fast_homes *h, size_t *at, const struct bh_addr *a)
{
	while (*at < h->n && bh_addr_cmp(&h->item[*at].addr, a) < 0)
		++*at;
	return *at < h->n && bh_addr_eq(&h->item[*at].addr, a) ? &h->item[*at].home : NULL;
}

int bh_fast_set_homes(struct bh_fast *f, struct bh_fast_homes *h)
{
	size_t k = 0;
	int r = 0;

	for (size_t i = 0; i < f->homes.n && r == 0; i++) {
		const struct bh_fast_at *was = &f->homes.item[i];
		if (!same_home(next_home(h, &k, &was->addr), &was->home))
			r = map_remove(map_of(f, &was->addr), was->addr.b);
	}
	k = 0;
	for (size_t i = 0; i < h->n && r == 0; i++) {
		const struct bh_fast_at *at = &h->item[i];
		if (!same_home(next_home(&f->homes, &k, &at->addr), &at->home) || f->torn)
			r = map_set(map_of(f, &at->addr), at->addr.b, &at->home);
	}
	if (r < 0) {
		take_back(f, h);
		return r;
	}
	f->torn = false;
	struct bh_fast_homes was = f->homes;
	f->homes = *h;
	*h = was;
	return 0;
}

const struct bh_fast_homes *bh_fast_in_force(const struct bh_fast *f)
{
	return &f->homes;
}

/* --- times --- */

static uint32_t seconds(const char *name, uint32_t otherwise)
{
	char bh_autofree *path = bh_xasprintf("/proc/sys/net/netfilter/nf_conntrack_%s", name);
	FILE bh_autofclose *f = fopen(path, "re");
	unsigned v;
	return f && fscanf(f, "%u", &v) == 1 && v > 0 ? v : otherwise;
}

/* Conntrack is told milliseconds (int), and what is left is compared in jiffies (signed 32 bits). A
 * second less than that would never be kept up: below two, it is two. */
static uint32_t bounded(uint32_t s, uint32_t hz)
{
	uint32_t most = INT32_MAX / (hz > 500 ? 2 * hz : 1000);
	return s < 2 ? 2 : s < most ? s : most;
}

/* Coarse clocks go by the kernel's tick. */
static uint32_t ticks(void)
{
	struct timespec t;
	return clock_getres(CLOCK_MONOTONIC_COARSE, &t) == 0 && t.tv_nsec > 0
		       ? (uint32_t)((1000000000 + t.tv_nsec / 2) / t.tv_nsec)
		       : 0;
}

int bh_fast_set_timeouts(struct bh_fast *f)
{
	const uint32_t zero = 0;
	struct bh_fast_settings s = {
		.tcp = seconds("tcp_timeout_established", 432000),
		.reset = seconds("tcp_timeout_close", 10),
		.udp = seconds("udp_timeout_stream", 120),
		.opening = seconds("tcp_timeout_syn_sent", 120),
		.hz = ticks(),
	};
	if (s.hz == 0 || s.hz > 10000)
		return -EOPNOTSUPP;
	s.tcp = bounded(s.tcp, s.hz);
	s.udp = bounded(s.udp, s.hz);
	s.opening = bounded(s.opening, s.hz);
	s.closing = s.tcp < CLOSING_S ? s.tcp : CLOSING_S;
	s.reset = s.reset < s.closing ? s.reset : s.closing;
	if (memcmp(&s, &f->settings, sizeof(s)) == 0)
		return 0;
	int r = map_set(f->fd[BH_FAST_SETTINGS], &zero, &s);
	if (r == 0)
		f->settings = s;
	return r;
}

/* --- what it did --- */

int bh_fast_read_counts(const struct bh_fast *f, struct bh_fast_counts *ret)
{
	const uint32_t zero = 0;
	long cpus = bh_fast_possible_cpus();
	struct bh_fast_counts bh_autofree *each = NULL;

	*ret = (struct bh_fast_counts){0};
	if (cpus <= 0)
		return -EOPNOTSUPP;
	each = bh_xcalloc((size_t)cpus, sizeof(*each));
	int r = bh_fast_map_call(BPF_MAP_LOOKUP_ELEM, f->fd[BH_FAST_COUNTS], &zero, each);
	for (long i = 0; r == 0 && i < cpus; i++) {
		ret->packets += each[i].packets;
		ret->bytes += each[i].bytes;
	}
	return r;
}

/* --- opening and closing --- */

int bh_fast_program(const struct bh_fast *f)
{
	return f->fd[BH_FAST_PROGRAM];
}

int bh_fast_open(struct bh_fast **ret, char **ret_why)
{
	struct bh_fast *f = bh_xcalloc(1, sizeof(*f));
	int r = bh_fast_load(f->fd, ret_why);

	if (r < 0) {
		free(f);
		return r;
	}
	r = bh_fast_set_timeouts(f);
	r = r == 0 ? bh_fast_gate_open(f) : r;
	if (r < 0) {
		*ret_why = bh_xasprintf("its settings can't be made: %s", strerror(-r));
		bh_fast_close(f);
		return r;
	}
	*ret = f;
	return 0;
}

void bh_fast_close(struct bh_fast *f)
{
	if (!f)
		return;
	bh_fast_gate_finish(f);
	for (int i = 0; i < BH_FAST_FDS; i++)
		close(f->fd[i]);
	bh_fast_homes_finish(&f->homes);
	free(f);
}
