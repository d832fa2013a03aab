/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the Docker Engine API (and Podman's compatible one) answers, turned into containers. Pure:
 * text in, structs out. Nothing of an answer is taken on trust: every field's type is checked,
 * identifiers must be hex, and strings and counts are bounded. Fuzzed.
 */
#pragma once

#include "inventory/reply.h"

#define BH_DOCKER_ID_LEN 64 /* hex digits */
#define BH_DOCKER_SHORT_ID 12 /* as the engine itself prints it */
#define BH_DOCKER_MAX_CONTAINERS 16384 /* in one list */
#define BH_DOCKER_MAX_LABELS 256 /* of a workload */
#define BH_DOCKER_MAX_LABEL_BYTES (16u << 10) /* keys and values; own ones may have more */
#define BH_DOCKER_MAX_HEARD_LABELS 8192 /* of one answer, its image's among them */
#define BH_DOCKER_MAX_LABEL_VALUE 4096 /* bytes; longer values are cut, selectors stop at 63 */
#define BH_DOCKER_MAX_NAME 255
#define BH_DOCKER_MAX_IMAGE 512
#define BH_DOCKER_MAX_NETWORKS 256 /* of one container; what further ones say is not heard */

typedef char bh_docker_id[BH_DOCKER_ID_LEN + 1];

/* What the readers below look at in an answer, and no more: the rest is as long as an image likes.
 */
extern const struct bh_sieve_path bh_docker_list_wanted[], bh_docker_container_wanted[],
	bh_docker_pod_wanted[], bh_docker_image_wanted[], bh_docker_event_wanted[];

/* GET /containers/json: the ids, in the engine's order, no two alike. Owned array (free). 0,
 * −EINVAL (no such answer; entries without a good id are faults too), −E2BIG (too many). */
int bh_docker_parse_list(
	const char *text, size_t len, bh_docker_id **ret, size_t *ret_n, struct bh_fault *fault);

/* GET /containers/ID/json */
struct bh_docker_container {
	struct bh_container *container; /* NULL: it is not running */
	bh_docker_id image_id; /* "" = none was told */
	bh_docker_id pod; /* it only holds this pod's namespaces (Podman); "" = it does not */
};
/*
 * `id` is the one that was asked for: an answer about another is a fault. Labels whose key the
 * Kubernetes syntax does not allow are left out, as no selector can name them; those of the image
 * are among the others: bh_docker_settle_labels. 0, −EINVAL, −E2BIG (too many of them).
 *
 * What Podman answers of its own has the same shape, and the digest of the image too. A container
 * that only holds a pod's namespaces has no image: those of the pod's others count.
 */
int bh_docker_parse_container(const char *text, size_t len, const char *runtime, const char *id,
	struct bh_docker_container *ret, struct bh_fault *fault);

/* GET /v4.0.0/libpod/pods/ID/json: gives `to` the name and the labels of the pod `id`; as above. */
int bh_podman_parse_pod(const char *text, size_t len, const char *id, struct bh_container *to,
	struct bh_fault *fault);

/* GET /images/ID/json. Owned; zero-initialised is one of which nothing is known. */
struct bh_docker_image {
	char *digest; /* of RepoDigests, the first in order, "sha256:…"; NULL: from no registry */
	struct bh_labels labels; /* bounded as a container's */
};
int bh_docker_parse_image(
	const char *text, size_t len, struct bh_docker_image *ret, struct bh_fault *fault);
void bh_docker_image_finish(struct bh_docker_image *i);

/* More than count, in number or in bytes: settling matters even where an image's labels count. */
bool bh_docker_labels_crowded(const struct bh_labels *l);

/*
 * An engine tells of a container's own labels and its image's as if they were the same; its image's
 * are those that the image has with the same value. With `ignore` they do not count, but for those
 * of compose: it puts the names of project and service on the images that it builds, too, and is
 * known by a label of its own that none has. Else they count as far as there is room beside the
 * container's own ones, of which more than BH_DOCKER_MAX_LABELS are a fault: leaving one out could
 * take a workload out of the policy that selects it. What is left out of an image's could be one
 * that the container was given with the same value; its place, by compose or namespace, is not.
 * 0, −E2BIG, which changes nothing.
 */
int bh_docker_settle_labels(
	struct bh_labels *l, const struct bh_labels *image, bool ignore, struct bh_fault *fault);

/* One line of GET /events: the container whose state may have changed. 1 = there is one, 0 = the
 * event is of no interest, −EINVAL. */
int bh_docker_parse_event(
	const char *text, size_t len, bh_docker_id ret_id, struct bh_fault *fault);

/* The "message" of an error answer, printable, or "" if it has none. */
void bh_docker_parse_error(const char *text, size_t len, struct bh_fault *ret);
