/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See cri_unpack.h. */
#include "inventory/cri_unpack.h"

#include <bulkhead/utf8.h>
#include <errno.h>

#define COST_FACTOR 16 /* bytes of memory for one of an answer */
#define COST_LEAST (64u << 10)
#define COST_MOST (128u << 20)

static void *take(void *arg, size_t size)
{
	struct cri_memory *m = arg;
	if (size > m->left)
		return NULL;
	m->left -= size;
	return malloc(size ? size : 1);
}

/* What is given back is not taken again: the bound is on the work, too. */
static void give_back(void *arg, void *p)
{
	(void)arg;
	free(p);
}

void *cri_unpack(struct cri_memory *m, const ProtobufCMessageDescriptor *d, const uint8_t *p,
	size_t n, struct bh_fault *fault)
{
	size_t cost = n < COST_MOST / COST_FACTOR ? n * COST_FACTOR + COST_LEAST : COST_MOST;
	*m = (struct cri_memory){{take, give_back, m}, cost};
	void *message = protobuf_c_message_unpack(d, &m->allocator, n, p);
	if (!message)
		bh_faulty(fault, -EINVAL, "not a valid protobuf message (%s)", d->short_name);
	return message;
}

void cri_release(struct cri_memory *m, void *message)
{
	if (message)
		protobuf_c_message_free_unpacked(message, &m->allocator);
}

static bool is_text(const char *s, size_t n)
{
	uint32_t c;
	size_t len;
	for (; n > 0; s += len, n -= len) {
		len = bh_utf8_decode(s, n, &c);
		if (len == 0 || c == 0)
			return false;
	}
	return true;
}

char *cri_text(const ProtobufCBinaryData *d, size_t max)
{
	const char *s = (const char *)d->data;
	return d->len > 0 && d->len <= max && is_text(s, d->len) ? bh_xstrndup(s, d->len) : NULL;
}

char *cri_id(const ProtobufCBinaryData *d)
{
	bh_autofree char *s = cri_text(d, BH_CRI_MAX_ID);
	return bh_reply_good_name(s) ? BH_TAKE_PTR(s) : NULL;
}
