/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The framing of gRPC: a byte that says whether it is compressed, four with the length, the
 * message. Pure. */
#pragma once

#include <bulkhead/util.h>

#define BH_GRPC_PREFIX 5

/* Puts it in front of a message. Owned buffer of len + BH_GRPC_PREFIX bytes. */
uint8_t *bh_grpc_frame(const void *message, size_t len);

/* Zero-initialised but for `max`. */
struct bh_grpc_frames {
	size_t max; /* bytes of one message */
	struct bh_buf rest; /* of one that is not complete */
};
/*
 * Calls fn with each message that is complete now. 0, −EFBIG, −EPROTO (compressed: we never offer
 * that), −ECANCELED: fn said so, and may have freed what `f` is in.
 */
int bh_grpc_frames_add(struct bh_grpc_frames *f, const char *p, size_t n,
	int (*fn)(const uint8_t *p, size_t n, void *arg), void *arg);
void bh_grpc_frames_finish(struct bh_grpc_frames *f);

/* grpc-message as it is sent (percent-encoded), made printable, cut to fit. */
void bh_grpc_decode_message(const char *s, char *ret, size_t size);
