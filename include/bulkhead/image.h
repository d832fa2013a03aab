/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A reference to a container image, taken apart. Implemented in rules/base/image.c.
 *
 * Grammar: github.com/distribution/reference; what a name without a registry means: Docker's rule
 * (docker.io, and its repositories of one word are below library/).
 */
#pragma once

#include <bulkhead/util.h>

#define BH_IMAGE_MAX 512 /* bytes of a reference */

/* Owned strings. An id alone has neither registry nor repository. */
struct bh_image {
	char *registry; /* "docker.io", "ghcr.io", "localhost:5000"; lower case. NULL: an id */
	char *repository; /* "library/nginx", "team/app". NULL: an id */
	char *tag; /* NULL: none was written. That engines then take "latest" is not said here */
	char *digest; /* "sha256:HEX", as written behind the @; NULL: none */
	char *id; /* "sha256:HEX": the reference is the id of an image on this node; else NULL */
	bool implied; /* no registry was written: docker.io by the rule */
};

/*
 * 0, or −EINVAL for what is no reference (NULL, empty, longer than BH_IMAGE_MAX, characters that
 * none may have), and ret untouched. A scheme in front, as Podman and skopeo write it
 * ("docker://"), is taken off. 64 hexadecimal digits, with "sha256:" or without, are an id.
 */
int bh_image_parse(const char *s, struct bh_image *ret);
void bh_image_finish(struct bh_image *i);
#define bh_autoimage __attribute__((cleanup(bh_image_finish)))

/*
 * Whether `have` is among what `want` means: the same repository of the same registry, and the tag
 * and the digest that want has. A want without a registry means that of Docker, and what was built
 * on the node (localhost/NAME, as Podman calls it) too. One that is an id means the same id or
 * digest.
 */
bool bh_image_matches(const struct bh_image *want, const struct bh_image *have);
