/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See frame.h. */
#include "grpc/frame.h"

#include <errno.h>

uint8_t *bh_grpc_frame(const void *message, size_t len)
{
	uint8_t *f = bh_xcalloc(1, len + BH_GRPC_PREFIX);
	for (size_t i = 0; i < 4; i++)
		f[1 + i] = (uint8_t)(len >> (24 - 8 * i));
	if (len)
		memcpy(f + BH_GRPC_PREFIX, message, len);
	return f;
}

/* Bytes of the frame at p, 0: not complete yet, −errno. */
static ssize_t frame_length(const struct bh_grpc_frames *f, const uint8_t *p, size_t n)
{
	if (n == 0)
		return 0;
	if (p[0] != 0)
		return -EPROTO;
	if (n < BH_GRPC_PREFIX)
		return 0;
	size_t len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
	if (len > f->max)
		return -EFBIG;
	return n - BH_GRPC_PREFIX < len ? 0 : (ssize_t)(len + BH_GRPC_PREFIX);
}

int bh_grpc_frames_add(struct bh_grpc_frames *f, const char *p, size_t n,
	int (*fn)(const uint8_t *p, size_t n, void *arg), void *arg)
{
	bh_buf_add(&f->rest, p, n);
	/* fn may free f: what it is shown is ours until we know that it has not. */
	bh_autobuf struct bh_buf b = f->rest;
	f->rest = (struct bh_buf){0};
	const uint8_t *at = (const uint8_t *)b.s;
	size_t left = b.len;
	ssize_t len;
	while ((len = frame_length(f, at, left)) > 0) {
		if (fn(at + BH_GRPC_PREFIX, (size_t)len - BH_GRPC_PREFIX, arg) != 0)
			return -ECANCELED;
		at += len;
		left -= (size_t)len;
	}
	if (left == b.len) {
		f->rest = b;
		b = (struct bh_buf){0};
	} else if (left) {
		bh_buf_add(&f->rest, at, left);
	}
	return (int)len;
}

void bh_grpc_frames_finish(struct bh_grpc_frames *f)
{
	bh_buf_finish(&f->rest);
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

void bh_grpc_decode_message(const char *s, char *ret, size_t size)
{
	size_t n = 0;
	for (; *s && n + 1 < size; s++) {
		int c = (unsigned char)*s;
		if (c == '%' && hex(s[1]) >= 0 && hex(s[2]) >= 0) {
			c = hex(s[1]) << 4 | hex(s[2]);
			s += 2;
		}
		ret[n++] = c >= ' ' && c <= '~' ? (char)c : '?';
	}
	ret[n] = '\0';
}
