/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Shared by the files that change policies: policies.c (the directory), apply.c (by command),
 * rollback.c and confirm.c (back to a version), versions.c (what is kept of each).
 */
#pragma once

#include <bulkhead/policy.h>

#include "answer/answer.h"
#include "policies/file_set.h"

struct bh_core;
struct bh_edits;

/* How documents are to be parsed under the configuration in force. */
struct bh_policy_parse_opts bh_core_parse_opts(const struct bh_core *c);

/* Why a set comes into force: what its version says of it. */
struct bh_policy_change {
	const char *cause; /* "apply", "delete", "rollback", "directory changed", … */
	const struct bh_core_actor *who; /* NULL: nobody by command */
	const char *comment; /* may be NULL */
	uint32_t confirm_s; /* taken back unless confirmed in that many seconds; 0 = for good */
};

enum bh_install {
	BH_INSTALLED,
	BH_INSTALL_STORE, /* the version could not be recorded */
	BH_INSTALL_FILES, /* the directory could not be written */
	BH_INSTALL_KERNEL, /* the kernel refused the rules */
};
/*
 * Puts a checked set (taken) in force: first its version is on disk, then the files of `edits` (may
 * be NULL: they are there already) are, then the kernel has it; or, at any failure, none of the
 * three, and *ret_why (owned) says why. `files` is the directory as it will be. The same set as is
 * in force makes no version; that one then knows the files as they are now.
 */
enum bh_install bh_core_policies_install(struct bh_core *c, struct bh_policy_set *set,
	const struct bh_file_set *files, struct bh_edits *edits,
	const struct bh_policy_change *change, char **ret_why);
int bh_core_policies_load(struct bh_core *c, const char *cause); /* from the directory */
/* Status says so until the directory is what is in force again; why is taken, NULL = it is. */
void bh_core_policies_stale(struct bh_core *c, char *why);

/* --- confirm.c: what apply and rollback share --- */
/* {"comment": …, "confirm_within": …} of a request's body. */
bool bh_core_change_options(
	const json_t *body, struct bh_policy_change *ret, struct bh_answer *ret_error);
/* The answer for a failed installation; why is taken. */
struct bh_answer bh_core_install_error(enum bh_install how, char *why);
