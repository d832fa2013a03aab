/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The steps from one state of the sets of networks to another, on a model of the kernel's sets. */
#include "threats/nets.h"

#include <bulkhead/util.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SPACE 96 /* addresses of the model */

static uint32_t seed = 1;

static uint32_t dice(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

struct sets {
	struct bh_net4 net[BH_FEED_NETS_SIDES][SPACE];
	size_t n[BH_FEED_NETS_SIDES];
};

/* As a feed index has them: an address is in one of the sets at most, networks do not touch. */
static void random_sets(struct sets *x, uint32_t gaps)
{
	memset(x, 0, sizeof(*x));
	for (uint32_t at = dice(gaps); at < SPACE;) {
		uint32_t last = at + dice(6);
		uint32_t k = dice(BH_FEED_NETS_SIDES);
		if (last >= SPACE)
			last = SPACE - 1;
		if (!x->n[k] || x->net[k][x->n[k] - 1].last + 1 < at)
			x->net[k][x->n[k]++] = (struct bh_net4){at, last};
		at = last + 1 + (dice(3) ? dice(gaps) : 0);
	}
}

static bool has(const struct sets *x, int k, uint32_t a)
{
	for (size_t i = 0; i < x->n[k]; i++)
		if (x->net[k][i].first <= a && a <= x->net[k][i].last)
			return true;
	return false;
}

/* Is it asked for in this direction? */
static bool listed(const struct sets *x, int direction, uint32_t a)
{
	return has(x, BH_FEED_SET_BOTH, a) || has(x, direction, a);
}

static void take_out(struct sets *x, int k, struct bh_net4 n)
{
	for (size_t i = 0; i < x->n[k]; i++)
		if (memcmp(&x->net[k][i], &n, sizeof(n)) == 0) {
			memmove(&x->net[k][i], &x->net[k][i + 1], (--x->n[k] - i) * sizeof(n));
			return;
		}
	fail_msg("%u-%u is not in the set", n.first, n.last);
}

static void put_in(struct sets *x, int k, struct bh_net4 n)
{
	size_t i = 0;
	for (uint32_t a = n.first; a <= n.last; a++)
		assert_false(has(x, k, a)); /* the kernel refuses an overlap */
	while (i < x->n[k] && x->net[k][i].first < n.first)
		i++;
	memmove(&x->net[k][i + 1], &x->net[k][i], (x->n[k]++ - i) * sizeof(n));
	x->net[k][i] = n;
}

static void apply(struct sets *now, const struct bh_feed_nets_side *side)
{
	for (int k = 0; k < BH_FEED_NETS_SIDES; k++) {
		for (size_t i = 0; i < side[k].del.n; i++)
			take_out(now, k, ((struct bh_net4 *)side[k].del.elem)[i]);
		for (size_t i = 0; i < side[k].add.n; i++)
			put_in(now, k, ((struct bh_net4 *)side[k].add.elem)[i]);
	}
}

static void begin(const struct sets *old, const struct sets *new, struct bh_feed_nets_side *side)
{
	memset(side, 0, BH_FEED_NETS_SIDES * sizeof(*side));
	for (int k = 0; k < BH_FEED_NETS_SIDES; k++) {
		side[k].old = (struct bh_nft_bulk){
			.kind = BH_NFT_NET4, .elem = old->net[k], .n = old->n[k]};
		side[k].new = (struct bh_nft_bulk){
			.kind = BH_NFT_NET4, .elem = new->net[k], .n = new->n[k]};
	}
}

static void walk(const struct sets *old, const struct sets *new, size_t max)
{
	struct bh_feed_nets_side side[BH_FEED_NETS_SIDES];
	struct sets now = *old;
	begin(old, new, side);
	while (bh_feed_nets_step(side, max)) {
		apply(&now, side);
		for (uint32_t a = 0; a < SPACE; a++)
			for (int d = BH_FEED_SET_IN; d <= BH_FEED_SET_OUT; d++)
				if (listed(old, d, a) && listed(new, d, a))
					assert_true(listed(&now, d, a));
	}
	for (int k = 0; k < BH_FEED_NETS_SIDES; k++) {
		assert_int_equal(now.n[k], new->n[k]);
		assert_memory_equal(now.net[k], new->net[k], new->n[k] * sizeof(*now.net[k]));
	}
	bh_feed_nets_finish(side);
}

static void test_random(void **state)
{
	(void)state;
	static struct sets old, new;
	for (int i = 0; i < 30000; i++) {
		random_sets(&old, 2 + dice(12));
		if (dice(2)) {
			random_sets(&new, 2 + dice(12));
		} else { /* nearly the same */
			new = old;
			new.n[dice(BH_FEED_NETS_SIDES)] = 0;
		}
		walk(&old, &new, 1 + dice(5));
	}
}

/* What changes its direction goes in one step; what stays is not touched. */
static void test_from_set_to_set(void **state)
{
	(void)state;
	static struct sets old, new;
	struct bh_feed_nets_side side[BH_FEED_NETS_SIDES];
	old.net[BH_FEED_SET_BOTH][0] = (struct bh_net4){5, 8};
	old.net[BH_FEED_SET_BOTH][1] = (struct bh_net4){20, 24};
	old.n[BH_FEED_SET_BOTH] = 2;
	new.net[BH_FEED_SET_BOTH][0] = old.net[BH_FEED_SET_BOTH][1];
	new.net[BH_FEED_SET_IN][0] = old.net[BH_FEED_SET_BOTH][0];
	new.n[BH_FEED_SET_BOTH] = new.n[BH_FEED_SET_IN] = 1;
	begin(&old, &new, side);
	assert_int_equal(bh_feed_nets_step(side, 1), 2);
	assert_int_equal(side[BH_FEED_SET_BOTH].del.n, 1);
	assert_int_equal(side[BH_FEED_SET_BOTH].add.n, 0);
	assert_int_equal(side[BH_FEED_SET_IN].add.n, 1);
	assert_int_equal(bh_feed_nets_step(side, 1), 0);
	bh_feed_nets_finish(side);
}

/* Networks of different sets, side by side all the way: a step is no longer for that. */
static void test_side_by_side(void **state)
{
	(void)state;
	static struct sets old, new;
	struct bh_feed_nets_side side[BH_FEED_NETS_SIDES];
	for (uint32_t at = 0; at < SPACE; at += 2) {
		int k = (int)(at / 2 % BH_FEED_NETS_SIDES);
		new.net[k][new.n[k]++] = (struct bh_net4){at, at + 1};
	}
	begin(&old, &new, side);
	assert_in_range(bh_feed_nets_step(side, 4), 4, 6);
	bh_feed_nets_finish(side);
	walk(&old, &new, 4);
	walk(&new, &old, 4);
}

/* The last addresses of a family, where there is no next one. */
static void test_end_of_the_family(void **state)
{
	(void)state;
	static const bh_u128 end = ~(bh_u128)0;
	struct bh_net6 old = {end - 1, end}, new[2] = {{end - 9, end - 9}, {end, end}};
	struct bh_feed_nets_side side[BH_FEED_NETS_SIDES] = {
		[BH_FEED_SET_OUT] = {.old = {.kind = BH_NFT_NET6, .elem = &old, .n = 1},
			.new = {.kind = BH_NFT_NET6, .elem = new, .n = 2}}};
	assert_int_equal(bh_feed_nets_step(side, 100), 3);
	assert_int_equal(side[BH_FEED_SET_OUT].del.n, 1);
	assert_int_equal(bh_feed_nets_step(side, 100), 0);
	bh_feed_nets_finish(side);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_from_set_to_set),
		cmocka_unit_test(test_side_by_side),
		cmocka_unit_test(test_end_of_the_family),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
