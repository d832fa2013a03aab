/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Checkpoints as signed notes (C2SP signed-note and tlog-checkpoint): what the daemon says of its
 * log, in a form that others' tools read too. Public keys are "verifier keys" of the same
 * specification: NAME+HASH+BASE64, where HASH is the first four bytes of
 * SHA-256(NAME ‖ 0x0a ‖ 0x01 ‖ KEY) in hex and BASE64 is of 0x01 ‖ KEY (Ed25519).
 *
 *     bulkhead.audit/node-1/0123456789abcdef      origin: one log's name, for ever
 *     1234                                        leaves
 *     XaBo…=                                      the root
 *     sequence 1240 offset 5678 time 2026-01-02T03:04:05.000000Z
 *     frontier BASE64                             the hashes to go on from
 *     leaves BASE64                               4 bytes of each leaf since the checkpoint before
 *     next-key VKEY                               the key of all that follows
 *
 *     — bulkhead.audit/node-1/… BASE64            key hash and signature
 *
 * The lines after the root are extension lines to other readers. `leaves` is what lets a verifier
 * say which record was changed, not only between which checkpoints.
 */
#pragma once

#include "evidence/tree.h"

#define BH_NOTE_NAME_MAX 128
#define BH_NOTE_MAX ((size_t)64 << 10) /* bytes of one note */
#define BH_NOTE_LEAVES_MAX 8192
#define BH_NOTE_SIGNATURES_MAX 4
#define BH_NOTE_PREFIX 4 /* bytes of a leaf */

struct bh_verifier {
	char name[BH_NOTE_NAME_MAX + 1];
	uint8_t id[4];
	uint8_t key[32];
};
/* The whole text must be one. −EINVAL. */
int bh_verifier_parse(const char *text, size_t len, struct bh_verifier *ret);
/* −EINVAL for a name that is empty, too long, or has space, control characters or '+' in it. */
int bh_verifier_init(const char *name, const uint8_t key[static 32], struct bh_verifier *ret);
char *bh_verifier_format(const struct bh_verifier *v); /* owned */
bool bh_verifier_eq(const struct bh_verifier *a, const struct bh_verifier *b);

struct bh_note { /* borrows from what was parsed */
	const char *text; /* what is signed, with its last newline */
	size_t text_len;
	struct {
		const char *name;
		size_t name_len;
		uint8_t id[4], sig[64];
	} signature[BH_NOTE_SIGNATURES_MAX];
	size_t n_signatures;
};
/* The note at the beginning of text. *ret_used: with the empty line after it, if there is one.
 * −EAGAIN: it is not complete; −EINVAL: it is no note. */
int bh_note_parse(const char *text, size_t len, struct bh_note *ret, size_t *ret_used);
bool bh_note_is_signed_by(const struct bh_note *n, const struct bh_verifier *v);

struct bh_checkpoint {
	char origin[BH_NOTE_NAME_MAX + 1];
	uint8_t root[BH_TREE_HASH];
	struct bh_tree tree; /* its size; its hashes, proved to give the root */
	uint64_t sequence; /* of the last record; 0: there is none */
	uint64_t offset; /* bytes of the log's file at that time; 0: a new file begins here */
	int64_t time; /* µs since the epoch */
	uint8_t *leaf; /* n_leaves × BH_NOTE_PREFIX; owned */
	size_t n_leaves;
	bool has_next; /* all that follows is signed by `next` */
	struct bh_verifier next;
};
/* Everything in it is checked, also that the frontier gives the root; not who signed it. −EINVAL.
 */
int bh_checkpoint_parse(const struct bh_note *n, struct bh_checkpoint *ret);
void bh_checkpoint_finish(struct bh_checkpoint *c);
/* The text to sign, from origin, tree, sequence, offset, time, leaves and next. */
void bh_checkpoint_format(const struct bh_checkpoint *c, struct bh_buf *out);

void bh_base64_add(struct bh_buf *out, const void *data, size_t len);
/* Strict: padded, canonical. Bytes, or −EINVAL. */
ssize_t bh_base64_decode(const char *text, size_t len, void *ret, size_t max);
