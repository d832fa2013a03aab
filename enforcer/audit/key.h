/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The private key that signs checkpoints (Ed25519), and its file: 0600, the private key as golang's
 * note package writes it ("PRIVATE+KEY+NAME+HASH+BASE64") and when it was made. An old key is
 * overwritten before its file goes, so that who breaks in later can't sign in the past's name.
 */
#pragma once

#include "evidence/note.h"

struct bh_audit_key {
	struct bh_verifier pub;
	uint8_t seed[32];
	int64_t made; /* µs since the epoch */
};
int bh_audit_key_new(const char *name, int64_t now, struct bh_audit_key *ret);
/* −ENOENT, −EINVAL: it is none; −errno. */
int bh_audit_key_load(const char *path, struct bh_audit_key *ret);
/* Durable when it returns 0; whatever was at the path is replaced. */
int bh_audit_key_save(const struct bh_audit_key *k, const char *path);
/* Overwrites the file's content in place; it stays, useless. 0, also if there is none. */
int bh_audit_key_erase(const char *path);
void bh_audit_key_sign(
	const struct bh_audit_key *k, const void *text, size_t len, uint8_t ret[static 64]);
/* Adds the line of a note that holds the signature of text. */
void bh_audit_key_sign_line(
	const struct bh_audit_key *k, const void *text, size_t len, struct bh_buf *out);
void bh_audit_key_finish(struct bh_audit_key *k); /* wipes it */
