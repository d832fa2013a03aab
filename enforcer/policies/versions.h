/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Versions: what is kept of each set of policies that came into force. */
#pragma once

#include "policies/file_set.h"

struct bh_core;
struct bh_edits;
struct bh_policy_change;

/* The files of a version with their paths in the policies' directory. 0 has none. −errno. */
int bh_core_version_files(struct bh_core *c, uint64_t number, struct bh_file_set *ret);
/* Writes the version (or, with same, only the files of that which is in force), what awaits
 * confirmation and the generation to disk. −errno; bh_store_message says why. */
int bh_core_version_record(struct bh_core *c, const struct bh_policy_set *set,
	const struct bh_file_set *files, const struct bh_edits *edits,
	const struct bh_policy_change *change, bool same);
/* Takes back what bh_core_version_record wrote; goes on trying once a second if it can't. */
void bh_core_version_forget(struct bh_core *c, bool same);
void bh_core_version_settled(struct bh_core *c); /* the files are all written */
/* The daemon died while it wrote the files of what is in force, and the rest of them can't be
 * written now either (*ret_why, owned): what is in the directory is a mixture that nobody asked
 * for. */
bool bh_core_version_unfinished(struct bh_core *c, char **ret_why);
void bh_core_versions_load(struct bh_core *c); /* at the start, before the directory is read */
void bh_core_versions_tick(struct bh_core *c);
