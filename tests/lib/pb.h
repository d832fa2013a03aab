/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Protobuf as tests write it: by field numbers, so that what the daemon's own description says is
 * not its own witness. Header only. */
#pragma once

#include <bulkhead/util.h>

static inline void pb_varint(struct bh_buf *b, uint64_t v)
{
	uint8_t byte;
	for (; v > 0x7f; v >>= 7) {
		byte = (uint8_t)(v | 0x80);
		bh_buf_add(b, &byte, 1);
	}
	byte = (uint8_t)v;
	bh_buf_add(b, &byte, 1);
}

static inline void pb_int(struct bh_buf *b, unsigned field, uint64_t v)
{
	pb_varint(b, field << 3);
	pb_varint(b, v);
}

static inline void pb_bytes(struct bh_buf *b, unsigned field, const void *p, size_t n)
{
	pb_varint(b, field << 3 | 2);
	pb_varint(b, n);
	if (n)
		bh_buf_add(b, p, n);
}

static inline void pb_text(struct bh_buf *b, unsigned field, const char *s)
{
	pb_bytes(b, field, s, strlen(s));
}

/* Takes what is in `message` and empties it. */
static inline void pb_message(struct bh_buf *b, unsigned field, struct bh_buf *message)
{
	pb_bytes(b, field, message->s, message->len);
	bh_buf_finish(message);
}

static inline void pb_entry(struct bh_buf *b, unsigned field, const char *key, const char *value)
{
	struct bh_buf e = {0};
	pb_text(&e, 1, key);
	pb_text(&e, 2, value);
	pb_message(b, field, &e);
}
