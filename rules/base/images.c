/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <bulkhead/images.h>

/* A digest that only one of two accounts knows tells them apart no more than none. */
static bool same(const struct bh_run_image *a, const struct bh_run_image *b)
{
	return bh_streq(a->image, b->image) &&
	       (bh_streq(a->digest, b->digest) || (a->image && (!a->digest || !b->digest)));
}

void bh_images_add(
	struct bh_images *l, const struct bh_run_image *first, const struct bh_run_image *image)
{
	if ((!image->image && !image->digest) || same(first, image) || l->n == BH_IMAGES_MAX)
		return;
	for (size_t i = 0; i < l->n; i++)
		if (same(&l->item[i], image))
			return;
	l->item = bh_xrealloc(l->item, l->n + 1, sizeof(*l->item));
	l->item[l->n++] =
		(struct bh_run_image){bh_xstrdup(image->image), bh_xstrdup(image->digest)};
}

void bh_images_copy(struct bh_images *to, const struct bh_images *from)
{
	*to = (struct bh_images){.n = from->n};
	to->item = from->n ? bh_xcalloc(from->n, sizeof(*to->item)) : NULL;
	for (size_t i = 0; i < from->n; i++) {
		to->item[i].image = bh_xstrdup(from->item[i].image);
		to->item[i].digest = bh_xstrdup(from->item[i].digest);
	}
}

bool bh_images_equal(const struct bh_images *a, const struct bh_images *b)
{
	for (size_t i = 0; a->n == b->n && i < a->n; i++)
		if (!bh_streq(a->item[i].image, b->item[i].image) ||
			!bh_streq(a->item[i].digest, b->item[i].digest))
			return false;
	return a->n == b->n;
}

void bh_images_finish(struct bh_images *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->item[i].image);
		free(l->item[i].digest);
	}
	free(l->item);
	*l = (struct bh_images){0};
}
