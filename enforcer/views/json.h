/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Workloads and stays as JSON, in the same words in every answer. */
#pragma once

#include <bulkhead/workload.h>
#include <jansson.h>

struct bh_core;
struct bh_stay;

json_t *bh_core_labels_json(const struct bh_labels *l);
json_t *bh_core_workload_json(const struct bh_core *c, size_t i); /* of the published inventory */
/* Each {"image", "digest"}, as far as known: the first, then the others'. */
json_t *bh_core_images_json(const char *image, const char *digest, const struct bh_images *others);
json_t *bh_core_stay_json(const struct bh_stay *y);
/* How many workloads there are, by mode and in all. */
json_t *bh_core_workload_counts(struct bh_core *c);
