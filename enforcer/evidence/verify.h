/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Is a log what its daemon wrote? Needs the log's files, the checkpoints and keys beside them, and
 * nothing else. All of it may be forged: memory is bounded by the files' size, and no byte of a
 * record can differ from what was signed without being found.
 */
#pragma once

#include "evidence/note.h"

enum bh_verify_outcome {
	BH_VERIFY_GOOD = 0,
	BH_VERIFY_ALTERED = 1,
	BH_VERIFY_TRUNCATED = 2,
	BH_VERIFY_NO_ANCHOR = 3, /* good, but whoever has the key could have written it anew */
};

struct bh_verify_opts {
	char *const *file; /* the log's files, in any order; FILE.checkpoints is read for each */
	size_t n_files;
	const char *pub; /* a verifier key, or a file that begins with one; NULL: beside the log */
	const char *anchor; /* file: a checkpoint that was kept elsewhere; NULL */
	bool allow_tail; /* records after the last checkpoint, as a crash leaves them */
};

struct bh_verify_result {
	enum bh_verify_outcome outcome;
	uint64_t bad_sequence; /* of the first bad record; 0: no record is to blame */
	char *what; /* what is wrong, or could not be shown; NULL: nothing. Owned */
	uint64_t records, first,
		last; /* lines read; numbers of the first and the last signed one */
	uint64_t tail; /* lines after the last checkpoint */
	uint64_t checkpoints;
	bool live; /* somebody is writing the log just now: a tail is no fault then */
	bool pinned; /* opts->pub was given */
	struct bh_tree start, end; /* the tree where the files begin; at the last checkpoint */
	int64_t signed_at; /* µs since the epoch */
	uint8_t (*leaf)[BH_TREE_HASH]; /* of all lines; owned */
	struct bh_buf last_note; /* the last checkpoint as it stands there; owned */
};
/* −errno with ret->what when files cannot be read or are no evidence at all. */
int bh_evidence_verify(const struct bh_verify_opts *o, struct bh_verify_result *ret);
void bh_verify_result_finish(struct bh_verify_result *r);

/* event.sequence of a line; 0: it is no record. */
uint64_t bh_evidence_sequence(const char *line, size_t len);
