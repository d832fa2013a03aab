/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All checkpoints and keys of a log, read and judged, for verify.c. */
#pragma once

#include "evidence/verify.h"

struct bh_known_key {
	struct bh_verifier v;
	uint64_t from, until; /* sizes of trees that it may sign */
	bool trusted; /* opts->pub, or named by one that is trusted */
};
struct bh_known_note {
	struct bh_checkpoint c;
	char *text; /* owned */
	size_t len;
	const char *path; /* borrowed */
	bool trusted;
};
struct bh_notes {
	struct bh_known_key *key;
	size_t n_keys, cap_keys;
	struct bh_known_note *note; /* signed by a known key; by size */
	size_t n, cap;
	uint64_t damaged; /* notes that are none, or signed by nobody known */
	uint64_t damaged_after; /* size of the last good one before the first of those */
	char **path; /* files that were read; owned */
	size_t n_paths, cap_paths;
};
int bh_notes_load(const struct bh_verify_opts *o, struct bh_notes *ret, char **ret_what);
void bh_notes_finish(struct bh_notes *n);
/* A note of a file, signed by a known key; −EBADMSG else. */
int bh_notes_read_one(
	const struct bh_notes *n, const char *path, struct bh_known_note *ret, char **ret_what);
