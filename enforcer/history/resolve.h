/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which workload a word means. */
#pragma once

#include <stdbool.h>

struct bh_answer;
struct bh_core;
struct bh_stay;

/*
 * The index of the published inventory's workload that the word means. Else −errno and *ret_error,
 * which lists candidates or the nearest names; or_address: an address would have done too.
 */
int bh_core_resolve(
	struct bh_core *c, const char *what, bool or_address, struct bh_answer *ret_error);
/* The last stay of the workload that is gone and that the word means (owned). −ENOENT, with
 * ret_error untouched: none. */
int bh_core_resolve_gone(
	struct bh_core *c, const char *what, struct bh_stay *ret, struct bh_answer *ret_error);
