/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which of its labels are a container's own: see bh_docker_settle_labels. */
#include <errno.h>

#include "inventory/docker_json.h"

static bool is_images(const struct bh_labels *image, const struct bh_label *l)
{
	return bh_streq(bh_labels_get(image, l->key), l->value);
}

static bool is_composes(const struct bh_label *l)
{
	static const char *const prefix[] = {"com.docker.compose.", "io.podman.compose."};
	for (size_t i = 0; i < BH_ARRAY_SIZE(prefix); i++)
		if (strncmp(l->key, prefix[i], strlen(prefix[i])) == 0)
			return true;
	return false;
}

/* By a hash of the service's configuration, which it gives containers and no image. */
static bool made_by_compose(const struct bh_labels *l, const struct bh_labels *image)
{
	for (size_t i = 0; i < l->n; i++) {
		const char *dot = strrchr(l->item[i].key, '.');
		if (is_composes(&l->item[i]) && bh_streq(dot, ".config-hash") &&
			!is_images(image, &l->item[i]))
			return true;
	}
	return false;
}

int bh_docker_settle_labels(
	struct bh_labels *l, const struct bh_labels *image, bool ignore, struct bh_fault *fault)
{
	struct bh_labels kept = {0};
	bool compose = made_by_compose(l, image);
	if (l->n <= BH_DOCKER_MAX_LABELS && !ignore)
		return 0;
	for (int inherited = 0; inherited <= !ignore; inherited++)
		for (size_t i = 0; i < l->n; i++) {
			const struct bh_label *x = &l->item[i];
			bool theirs = is_images(image, x) && !(compose && is_composes(x));
			if (theirs != (inherited == 1))
				continue;
			if (kept.n < BH_DOCKER_MAX_LABELS) {
				bh_labels_set(&kept, x->key, x->value);
			} else if (!theirs) {
				bh_labels_finish(&kept);
				return bh_faulty(fault, -E2BIG,
					"more than %d labels beside its image's; remove some",
					BH_DOCKER_MAX_LABELS);
			}
		}
	bh_labels_finish(l);
	*l = kept;
	return 0;
}
