/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A stay as JSON, in the same words as a workload that is there. */
#include "answer/clock.h"
#include "store/store.h"
#include "views/json.h"

static json_t *addresses_json(const struct bh_stay *y)
{
	json_t *list = json_array();
	char text[BH_ADDR_STRLEN];
	for (size_t i = 0; i < y->n_addrs; i++) {
		json_t *o = json_pack("{s:s}", "address", bh_addr_format(&y->addr[i].addr, text));
		json_object_set_new(o, "since", bh_clock_json(y->addr[i].since));
		json_object_set_new(o, "until", bh_clock_json(y->addr[i].until));
		json_array_append_new(list, o);
	}
	return list;
}

/* What is not UTF-8 is left out: NULL is no member. */
static void add_image(json_t *list, const char *image, const char *digest)
{
	if (image || digest)
		json_array_append_new(
			list, json_pack("{s:o?, s:o?}", "image", image ? json_string(image) : NULL,
				      "digest", digest ? json_string(digest) : NULL));
}

json_t *bh_core_images_json(const char *image, const char *digest, const struct bh_images *others)
{
	json_t *list = json_array();
	add_image(list, image, digest);
	for (size_t i = 0; i < others->n; i++)
		add_image(list, others->item[i].image, others->item[i].digest);
	return list;
}

json_t *bh_core_stay_json(const struct bh_stay *y)
{
	json_t *o = json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:o, s:s?, s:s?, s:b, s:b}", "stay",
		(json_int_t)y->number, "state", y->stopped ? "gone" : "running", "id", y->id,
		"runtime", y->runtime, "name", y->name, "namespace", y->namespace, "labels",
		bh_core_labels_json(&y->labels), "image", y->image, "digest", y->digest,
		"started_before", y->early, "stopped_unseen", y->unseen);
	if (!o) /* what an engine said is not UTF-8 */
		o = json_pack("{s:I, s:s}", "stay", (json_int_t)y->number, "state",
			y->stopped ? "gone" : "running");
	json_object_set_new(o, "started", bh_clock_json(y->started));
	json_object_set_new(o, "stopped", bh_clock_json(y->stopped));
	json_object_set_new(o, "images", bh_core_images_json(y->image, y->digest, &y->others));
	json_object_set_new(o, "addresses", addresses_json(y));
	return o;
}
