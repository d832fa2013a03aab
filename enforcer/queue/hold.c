/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Held packets: a ring of fixed size, so that packets can't make the daemon grow. */
#include "queue/private.h"

void bh_hold_init(struct bh_hold *h, size_t cap)
{
	*h = (struct bh_hold){.cap = cap};
	if (cap > 0)
		h->slot = bh_xcalloc(cap, sizeof(*h->slot));
}

void bh_hold_finish(struct bh_hold *h)
{
	free(h->slot);
	*h = (struct bh_hold){};
}

static struct bh_held *at(const struct bh_hold *h, size_t i)
{
	return &h->slot[(h->head + i) % h->cap];
}

bool bh_hold_add(struct bh_hold *h, const struct bh_held *x)
{
	if (h->n == h->cap)
		return false;
	*at(h, h->n++) = *x;
	return true;
}

void bh_hold_sweep(
	struct bh_hold *h, int64_t until, bool (*fn)(struct bh_held *x, void *arg), void *arg)
{
	size_t kept = 0, i = 0;

	for (; i < h->n && at(h, i)->deadline <= until; i++) {
		struct bh_held x = *at(h, i);
		if (!fn(&x, arg))
			*at(h, kept++) = x;
	}
	if (kept == 0) { /* the usual end of a deadline: nothing has to move */
		h->head = h->cap ? (h->head + i) % h->cap : 0;
		h->n -= i;
		return;
	}
	for (; i < h->n; i++)
		*at(h, kept++) = *at(h, i);
	h->n = kept;
}

int64_t bh_hold_next(const struct bh_hold *h)
{
	return h->n > 0 ? at(h, 0)->deadline : INT64_MAX;
}
