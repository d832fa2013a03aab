/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is asked of the Container Runtime Interface (runtime.v1, see cri.proto) and what it answers.
 * Pure: bytes in, structs out. Nothing of an answer is taken on trust: identifiers, names and
 * references are checked, strings and counts are bounded, and so is what unpacking may allocate.
 * Fuzzed.
 */
#pragma once

#include "inventory/reply.h"

#define BH_CRI_MAX_ID 128
#define BH_CRI_MAX_PODS 16384 /* in one list */
#define BH_CRI_MAX_CONTAINERS 65536
#define BH_CRI_MAX_LABELS 256
#define BH_CRI_MAX_LABEL_VALUE 4096 /* bytes; longer values are cut, selectors stop at 63 */
#define BH_CRI_MAX_IMAGE 512
#define BH_CRI_MAX_PORTS 64 /* of one container; further ones are not heard */
#define BH_CRI_MAX_IPS 16 /* of one pod; likewise */

/* Requests; those not here are the empty message. `ret` is appended to. */
void bh_cri_write_pods(struct bh_buf *ret); /* ListPodSandbox: those that are ready */
void bh_cri_write_pod(struct bh_buf *ret, const char *id); /* PodSandboxStatus, verbose */
void bh_cri_write_image(struct bh_buf *ret, const char *ref); /* ImageStatus */

/* Version: what the runtime calls itself ("containerd", "cri-o"), "cri" if that is no name. Owned.
 * 0, −EINVAL. */
int bh_cri_parse_version(const uint8_t *p, size_t n, char **ret, struct bh_fault *fault);

/* ListPodSandbox: ids of those that are ready, sorted, no two alike. Array and strings owned.
 * 0, −EINVAL, −E2BIG. */
int bh_cri_parse_pods(
	const uint8_t *p, size_t n, char ***ret, size_t *ret_n, struct bh_fault *fault);

struct bh_cri_container {
	char *pod; /* id */
	char *image; /* the reference as it was asked for; NULL: only an id is known */
	char *image_ref; /* what names the image to ImageStatus; NULL = nothing does */
	bool running, created; /* neither: it has ended */
	int64_t created_at; /* ns */
	struct bh_named_port *port; /* from the annotation that the kubelet makes */
	size_t n_ports;
};
/* ListContainers, in the runtime's order. Owned, see bh_cri_containers_free. 0, −EINVAL, −E2BIG. */
int bh_cri_parse_containers(const uint8_t *p, size_t n, struct bh_cri_container **ret,
	size_t *ret_n, struct bh_fault *fault);
void bh_cri_containers_free(struct bh_cri_container *c, size_t n);

/*
 * PodSandboxStatus: the workload, without runtime, image and ports; NULL if it is not ready. `id`
 * is the one that was asked for. Labels as in bh_docker_parse_container; those that the kubelet
 * adds for itself (io.kubernetes.pod.name …) are no labels of the pod and left out. Owned. 0,
 * −EINVAL, −E2BIG.
 */
int bh_cri_parse_pod(const uint8_t *p, size_t n, const char *id, struct bh_container **ret,
	struct bh_fault *fault);

struct bh_cri_image {
	char *name; /* a tag of it; NULL = it has none */
	char *digest; /* "sha256:…" of the registry, else its own id; NULL = neither */
};
/* ImageStatus; both NULL if the runtime does not have it (any more). Owned. 0, −EINVAL. */
int bh_cri_parse_image(
	const uint8_t *p, size_t n, struct bh_cri_image *ret, struct bh_fault *fault);

/* GetContainerEvents: whether it is one. 0, −EINVAL. */
int bh_cri_parse_event(const uint8_t *p, size_t n, struct bh_fault *fault);

/* "REPOSITORY@sha256:HEX", "sha256:HEX" or HEX as "sha256:HEX"; NULL if it is none. Owned. */
char *bh_cri_digest(const char *ref);
