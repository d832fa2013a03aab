/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For cri_proto.c and cri_pod.c: unpacking with a bound, and strings out of it. */
#pragma once

#include "inventory/cri.pb-c.h"
#include "inventory/cri_proto.h"

/*
 * protobuf-c makes a record of each field that it does not know: two bytes of an answer may become
 * fifty of memory. What an answer may cost is therefore bounded by its size.
 */
struct cri_memory {
	ProtobufCAllocator allocator;
	size_t left;
};
/* NULL: it is no such message, or costs more than any honest one; the fault is set. */
void *cri_unpack(struct cri_memory *m, const ProtobufCMessageDescriptor *d, const uint8_t *p,
	size_t n, struct bh_fault *fault);
void cri_release(struct cri_memory *m, void *message);

/* Owned; NULL unless it is UTF-8 without NULs, not empty and at most `max` bytes. */
char *cri_text(const ProtobufCBinaryData *d, size_t max);
/* The same of an identifier: letters, digits, '.', '_', '-'. */
char *cri_id(const ProtobufCBinaryData *d);
