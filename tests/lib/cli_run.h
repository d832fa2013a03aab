/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The command line run as a person or a script runs it, beside a daemon of invented answers: what
 * its tests share. One test at a time: what it has is in these variables.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <bulkhead/util.h>

/* Of a test: its directory, the daemon's socket in it, and the daemon (-1: there is none). */
extern char dir[40], sock[64];
extern pid_t server;

/* cmocka's fixtures: with a daemon, or with the directory alone. */
int setup(void **state);
int make_dir(void **state);
int teardown(void **state);
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define ALONE(f) cmocka_unit_test_setup_teardown(f, make_dir, teardown)

void write_file(const char *name, const char *text); /* in dir */
extern const char good[]; /* a policy: shop/web */
const char *binary(void); /* the program's path */

/* Of the last run. */
struct cli_result {
	int code; /* 1000 + the signal that killed it */
	char *out, *err; /* owned */
};
extern struct cli_result last;
void forget(void); /* frees it */

/* Runs "bulkhead ARGS" in dir, through the shell, so that quoting reads as it is typed. What
 * begins with "@" is a command line of its own. The exit code. */
int run(const char *args);
/* The same; it must exit with code, and print these among else. */
void expect(const char *args, int code, const char *out, const char *err);
void expect_json(const char *args, const char *key); /* it answers an object that has the key */
/* Starts it with these words (the first is its name, NULL ends); its output comes by *ret_out. */
pid_t start(int *ret_out, const char *const *words);
void assert_harmless(const char *s); /* nothing that a terminal would obey */
