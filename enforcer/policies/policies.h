/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Shared by the files that change policies: policies.c (the directory), apply.c (by command),
 * rollback.c and confirm.c (back to a version), versions.c (what is kept of each).
 */
#pragma once

#include "audit/audit.h"
#include "core/core.h"
#include "policies/files.h"

struct bh_core;
struct bh_edits;
struct bh_confirm;

void bh_core_hex(const uint8_t sha[static 32], char ret[static 65]);
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
/* Status says so until the directory is what is in force again; why is taken, NULL = it is. */
void bh_core_policies_stale(struct bh_core *c, char *why);

/* --- edits.c: changes of the directory's files that can be undone --- */
struct bh_edit {
	char *path, *text, *before; /* text NULL: to remove */
	size_t len, before_len;
	bool existed, done;
};
struct bh_edits {
	struct bh_edit *edit;
	size_t n, cap;
};
struct bh_policy_source *bh_file_set_find(const struct bh_file_set *s, const char *path);
void bh_edits_finish(struct bh_edits *e);
/* Puts text (copied; NULL removes) at path, in the list and in the picture of the directory. What
 * is there already is no edit. */
void bh_edits_put(struct bh_edits *e, struct bh_file_set *dir, const char *path, const char *text,
	size_t len);
/* Makes `dir` hold exactly what `to` does. */
void bh_edits_restore(struct bh_edits *e, struct bh_file_set *dir, const struct bh_file_set *to);
/* Only the files in which `from` and `to` differ, as they are in `to`; others stay as they are. */
void bh_edits_between(struct bh_edits *e, struct bh_file_set *dir, const struct bh_file_set *from,
	const struct bh_file_set *to);
/* 0, or −errno with nothing done and *ret_path (borrowed) saying where. */
int bh_edits_write(struct bh_edits *e, const char **ret_path);
void bh_edits_undo(struct bh_edits *e);

/* --- versions.c --- */
/* The files of a version with their paths in the policies' directory. 0 has none. −errno. */
int bh_core_version_files(struct bh_core *c, uint64_t number, struct bh_file_set *ret);
/* The same names with the same texts? */
bool bh_file_sets_equal(const struct bh_file_set *a, const struct bh_file_set *b);
/* Writes the version (or, with same, only the files of that which is in force), what awaits
 * confirmation and the generation to disk. −errno; bh_store_message says why. */
int bh_core_version_record(struct bh_core *c, const struct bh_policy_set *set,
	const struct bh_file_set *files, const struct bh_edits *edits,
	const struct bh_policy_change *change, bool same);
/* Takes back what bh_core_version_record wrote; goes on trying once a second if it can't. */
void bh_core_version_forget(struct bh_core *c, bool same);
void bh_core_version_settled(struct bh_core *c); /* the files are all written */
void bh_core_versions_load(struct bh_core *c); /* at the start, before the directory is read */
void bh_core_versions_tick(struct bh_core *c);

/* --- delta.c --- */
/* What opens and closes if `after` replaces what is in force; null while nothing is. */
json_t *bh_core_delta_json(struct bh_core *c, struct bh_policy_set *after);

/* --- confirm.c --- */
/* Into the running transaction: what is to be confirmed now. −errno. */
int bh_core_confirm_put(struct bh_core *c, const struct bh_confirm *what);
void bh_core_confirm_load(struct bh_core *c); /* from the store */
void bh_core_confirm_start(struct bh_core *c); /* after the version is in force: the time runs */
json_t *bh_core_confirm_json(const struct bh_core *c); /* null if there is nothing to confirm */
/* Waits for it, or rolls back at once if its time is over; before the directory is first read. */
void bh_core_confirm_resume(struct bh_core *c);
/* An apply while another awaits confirmation: true, with the answer. */
bool bh_core_confirm_pending(const struct bh_core *c, struct bh_answer *ret_error);
/* {"comment": …, "confirm_within": …} of a request's body. */
bool bh_core_change_options(
	const json_t *body, struct bh_policy_change *ret, struct bh_answer *ret_error);
/* The answer for a failed installation; why is taken. */
struct bh_answer bh_core_install_error(enum bh_install how, char *why);
