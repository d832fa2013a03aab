/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * JSON written straight into a buffer: a tree of values for each record would cost ten times what
 * the record's text does. Names and labels come from whoever starts containers, so whatever is
 * given as text comes out as valid UTF-8 (RFC 3629), escaped (RFC 8259, 7) and cut to a length.
 *
 * Inside an object each call adds one member, with the comma that it needs; keys are ours and
 * written as they stand, but for bh_audit_put_member_of's.
 */
#pragma once

#include <bulkhead/util.h>

void bh_audit_put_open(struct bh_buf *b, const char *key); /* "key":{ — NULL: { alone */
void bh_audit_put_close(struct bh_buf *b);
/* Text that needs no escape, as it is; NULL leaves the member out. */
void bh_audit_put_word(struct bh_buf *b, const char *key, const char *word);
void bh_audit_put_u64(struct bh_buf *b, const char *key, uint64_t v);
/* A number as text, which is what ECS has for some. */
void bh_audit_put_u64_text(struct bh_buf *b, const char *key, uint64_t v);
void bh_audit_put_null(struct bh_buf *b, const char *key);
/* JSON that is made already: [len] bytes. */
void bh_audit_put_raw(struct bh_buf *b, const char *key, const char *json, size_t len);

/* U+FFFD for each byte that is no UTF-8, as the Unicode standard recommends; "…" where the value
 * had more than `max` bytes (which come after that; what is written is at most 6 × max + 5 long).
 * null for NULL. */
void bh_audit_put_text(struct bh_buf *b, const char *key, const char *s, size_t max);
/* The same with a key that is anybody's, cut to max_key. */
void bh_audit_put_member_of(
	struct bh_buf *b, const char *key, size_t max_key, const char *s, size_t max);
/* Text alone, quotes included: no key, no comma. */
void bh_audit_put_string(struct bh_buf *b, const char *s, size_t max);

/* RFC 3339 in UTC with microseconds, from µs since the epoch; null outside the years 0 to 9999. */
void bh_audit_put_time(struct bh_buf *b, const char *key, int64_t us);
