/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A store in a directory of its own, and samples of what it keeps: what its tests share. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/store.h"

extern char dir[64];

/* cmocka's fixtures: the directory. */
int setup(void **state);
int teardown(void **state);
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

char *path_of(const char *name); /* in it; owned */
struct bh_store *open_store(int expect); /* bh_store_open() has to return that */
void run_sql(const char *sql); /* on the database, beside the store */

/* --- tuples --- */
struct bh_tuple sample_tuple(uint16_t port); /* with everything that one can have */
struct tuples {
	size_t n;
	struct bh_tuple expect;
};
void check_tuple(const struct bh_tuple *t, void *arg); /* the first is the expected one; counts */
size_t count_tuples(struct bh_store *s);

/* --- flow rows --- */
struct bh_flow_row flow(const char *dst, uint16_t port, const char *rule);
struct rows {
	size_t n;
	uint64_t seq[64], count[64];
	uint16_t port[64];
	bool has_rule[64];
};
void keep_row(const struct bh_flow_row *r, void *arg); /* in struct rows */
struct rows list(struct bh_store *s, uint64_t since, size_t limit);

/* --- modes --- */
void keep_mode(const struct bh_mode_row *m, void *arg);
