/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which workloads are meant, of those that are there and of those that were. */
#pragma once

#include <bulkhead/image.h>

#include "core/core.h"
#include "store/store.h"

struct bh_filter {
	bool has_selector, has_image, has_mode;
	struct bh_selector selector;
	struct bh_image image;
	const char *image_text, *digest, *registry, *namespace; /* borrowed; NULL: any */
	enum bh_mode mode;
};
/* 0, or −EINVAL and *ret_error. */
int bh_filter_read(
	const struct bh_workloads_query *q, struct bh_filter *ret, struct bh_answer *ret_error);
void bh_filter_finish(struct bh_filter *f);
#define bh_autofilter __attribute__((cleanup(bh_filter_finish)))
bool bh_filter_takes_workload(const struct bh_filter *f, const struct bh_workload *w);
bool bh_filter_takes_stay(const struct bh_filter *f, const struct bh_stay *y); /* has no mode */

/* Is `want` this image? Its text if it is no reference at all. */
bool bh_filter_image_is(
	const struct bh_image *want, const char *want_text, const char *image, const char *digest);
/* "sha256:ab…" or "ab…": the beginning of the digest, or of the one in the reference. */
bool bh_filter_digest_is(const char *want, const char *image, const char *digest);
