/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The memory of a document stream: all its nodes and texts, freed at once. */
#include "doc_private.h"

#define ARENA_CHUNK 65536

struct arena {
	struct arena *next;
	size_t used, size;
	_Alignas(max_align_t) char data[];
};

void *doc_alloc(struct bh_docs *d, size_t n)
{
	struct arena *a = d->arena;
	n = (n + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
	if (!a || a->size - a->used < n) {
		size_t size = n > ARENA_CHUNK ? n : ARENA_CHUNK;
		a = bh_xcalloc(1, sizeof(*a) + size);
		a->size = size;
		a->next = d->arena;
		d->arena = a;
	}
	a->used += n;
	return a->data + a->used - n;
}

void bh_docs_free(struct bh_docs *d)
{
	if (!d)
		return;
	for (struct arena *a = d->arena; a;) {
		struct arena *next = a->next;
		free(a);
		a = next;
	}
	free(d->file);
	free(d->root);
	free(d);
}
