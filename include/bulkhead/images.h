/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The images of a workload's containers beside that of the first: a pod has several. Implemented in
 * rules/base/images.c. */
#pragma once

#include <bulkhead/util.h>

struct bh_run_image {
	char *image, *digest; /* reference as started, "sha256:…"; either may be NULL */
};
#define BH_IMAGES_MAX 15 /* beside the first; more are left out */
struct bh_images {
	struct bh_run_image *item; /* no two alike, none that is the first, none of two NULLs */
	size_t n;
};
/* Copies. `first`: the workload's own, may be of two NULLs. */
void bh_images_add(
	struct bh_images *l, const struct bh_run_image *first, const struct bh_run_image *image);
void bh_images_copy(struct bh_images *to, const struct bh_images *from); /* `to` is overwritten */
bool bh_images_equal(const struct bh_images *a, const struct bh_images *b); /* in their order */
void bh_images_finish(struct bh_images *l);
