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

/* By what it gives containers and no image has: a hash of the service's configuration, which who
 * knows the compose file can compute, and the id of the image, which none can hold itself. */
static bool made_by_compose(const struct bh_labels *l, const struct bh_labels *image)
{
	for (size_t i = 0; i < l->n; i++) {
		const char *dot = strrchr(l->item[i].key, '.');
		bool its = bh_streq(dot, ".config-hash") || bh_streq(dot, ".image");
		if (its && is_composes(&l->item[i]) && !is_images(image, &l->item[i]))
			return true;
	}
	return false;
}

static size_t size_of(const struct bh_label *l)
{
	return strlen(l->key) + strlen(l->value);
}

bool bh_docker_labels_crowded(const struct bh_labels *l)
{
	size_t bytes = 0;
	for (size_t i = 0; i < l->n; i++)
		bytes += size_of(&l->item[i]);
	return l->n > BH_DOCKER_MAX_LABELS || bytes > BH_DOCKER_MAX_LABEL_BYTES;
}

/* Whose it is: an image that has the value that it was given must not crowd it out. */
static bool is_place(const struct bh_label *l)
{
	static const char *const key[] = {"bulkhead.io/namespace", "com.docker.compose.project",
		"com.docker.compose.service", "io.podman.compose.project"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(key); i++)
		if (bh_streq(l->key, key[i]))
			return true;
	return false;
}

/* In the order in which they count. */
enum rank { OWN, PLACE, SELECTABLE, TEXT, RANKS };

static enum rank rank_of(const struct bh_labels *image, bool compose, const struct bh_label *l)
{
	if (!is_images(image, l) || (compose && is_composes(l)))
		return OWN;
	return bh_label_value_check(l->value) ? TEXT : is_place(l) ? PLACE : SELECTABLE;
}

int bh_docker_settle_labels(
	struct bh_labels *l, const struct bh_labels *image, bool ignore, struct bh_fault *fault)
{
	struct bh_labels kept = {0};
	bool compose = made_by_compose(l, image);
	size_t bytes = 0;
	if (!ignore && !bh_docker_labels_crowded(l))
		return 0;
	for (enum rank rank = OWN; rank < (ignore ? PLACE : RANKS); rank++)
		for (size_t i = 0; i < l->n; i++) {
			const struct bh_label *x = &l->item[i];
			size_t size = size_of(x);
			bool room = kept.n < BH_DOCKER_MAX_LABELS &&
				    (rank == OWN || bytes + size <= BH_DOCKER_MAX_LABEL_BYTES);
			if (rank_of(image, compose, x) != rank)
				continue;
			if (room) {
				bh_labels_set(&kept, x->key, x->value);
				bytes += size;
			} else if (rank == OWN) {
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
