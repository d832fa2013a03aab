/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What vouches for the log: the Merkle tree over its lines, and the files beside it.
 *
 *     LOG.checkpoints   signed notes, one after another, each followed by an empty line. The first
 *                       one is the state in which the log's file begins.
 *     LOG.keys          the first public key, then the notes that name another one, signed by both
 *     KEY               the private key in force (in the state directory); KEY.next while it
 * changes
 *
 * A checkpoint is written only after the lines it covers are on disk. On the writer's thread, but
 * for opening.
 */
#pragma once

#include "audit/key.h"

struct bh_audit_seal {
	char *log_path, *notes_path, *keys_path, *key_path;
	int fd; /* of the notes */
	struct bh_audit_key key;
	struct bh_tree tree;
	uint8_t *leaf; /* prefixes since the last checkpoint; BH_NOTE_LEAVES_MAX */
	size_t n_leaves;
	bool leaves_over; /* there were more than that */
	uint64_t signed_size;
	uint64_t signed_sequence;
	uint64_t checkpoints; /* signed in this run */
	int last_error;
};

struct bh_audit_found { /* by opening */
	bool fresh; /* no tree to go on with: this is a new one */
	bool lost; /* …although there was a log with checkpoints: their key is gone */
	struct bh_checkpoint last; /* not fresh: where to go on from; owned */
	size_t torn; /* bytes of half a note, cut off */
};
/* Reads what is there, or makes a new key and tree. `node` becomes part of the key's name. */
int bh_audit_seal_open(const char *log_path, const char *key_path, const char *node, int64_t now,
	struct bh_audit_seal *ret, struct bh_audit_found *ret_found);
/* Are the notes and keys under their names? Else they are begun anew there (a foreign file is kept
 * aside), and the next checkpoint goes to them. */
int bh_audit_seal_find(struct bh_audit_seal *s, bool *ret_found);
void bh_audit_seal_finish(struct bh_audit_seal *s);
void bh_audit_found_finish(struct bh_audit_found *f);

void bh_audit_seal_add(struct bh_audit_seal *s, const char *line, size_t len); /* no newline */
/* Signs the tree as it is: the log's file is `offset` long, and on disk. */
int bh_audit_seal_sign(struct bh_audit_seal *s, uint64_t sequence, uint64_t offset, int64_t now);
/* Goes on with a file of notes that belongs to a new file of the log; what there was becomes
 * `old`.checkpoints. Everything is signed already. */
int bh_audit_seal_turn(struct bh_audit_seal *s, const char *old, uint64_t sequence, int64_t now);
/* Makes another key, has the old one name it, and erases the old one. Everything is signed. */
int bh_audit_seal_change_key(
	struct bh_audit_seal *s, uint64_t sequence, uint64_t offset, int64_t now);
