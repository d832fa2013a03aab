/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The filters of `bulkhead ps`. All that are given must hold. An image is meant as people write it:
 * "nginx" is any tag of Docker's nginx, "nginx:1.25" that tag, an id or a digest that very image.
 */
#include "views/filter.h"

#include <errno.h>
#include <strings.h>

#include "answer/answer.h"

#define SHA256 "sha256:"
#define DIGEST_MIN 4 /* hexadecimal digits, as of the beginnings of ids */

static bool is_digest(const char *s)
{
	if (strncmp(s, SHA256, strlen(SHA256)) == 0)
		s += strlen(SHA256);
	size_t n = strlen(s);
	return n >= DIGEST_MIN && n <= 64 && strspn(s, "0123456789abcdef") == n;
}

int bh_filter_read(
	const struct bh_workloads_query *q, struct bh_filter *ret, struct bh_answer *ret_error)
{
	struct bh_filter f = {.image_text = q->image,
		.digest = q->digest,
		.registry = q->registry,
		.namespace = q->namespace};
	const char *why;

	if (q->selector && bh_selector_parse(q->selector, &f.selector, &why) < 0) {
		*ret_error = bh_answer_error(400, NULL, "selector: %s", why);
		return -EINVAL;
	}
	f.has_selector = q->selector != NULL;
	if (q->image && bh_image_parse(q->image, &f.image) < 0) {
		*ret_error = bh_answer_error(400, NULL,
			"image: not a reference such as nginx, nginx:1.25, ghcr.io/team/app or "
			"nginx@sha256:…");
		goto fail;
	}
	f.has_image = q->image != NULL;
	if (q->digest && !is_digest(q->digest)) {
		*ret_error = bh_answer_error(400, NULL,
			"digest: sha256: and hexadecimal digits, or %d of them at least",
			DIGEST_MIN);
		goto fail;
	}
	if (q->mode && bh_mode_parse(q->mode, &f.mode) < 0) {
		*ret_error = bh_answer_error(400, NULL, "mode must be learn, audit or enforce");
		goto fail;
	}
	f.has_mode = q->mode != NULL;
	*ret = f;
	return 0;
fail:
	bh_filter_finish(&f);
	return -EINVAL;
}

void bh_filter_finish(struct bh_filter *f)
{
	bh_selector_finish(&f->selector);
	bh_image_finish(&f->image);
}

static bool begins(const char *digest, const char *want)
{
	if (!digest)
		return false;
	if (strncmp(want, SHA256, strlen(SHA256)) != 0 &&
		strncmp(digest, SHA256, strlen(SHA256)) == 0)
		digest += strlen(SHA256);
	return strncmp(digest, want, strlen(want)) == 0;
}

bool bh_filter_digest_is(const char *want, const char *image, const char *digest)
{
	struct bh_image bh_autoimage have = {0};
	if (begins(digest, want))
		return true;
	return image && bh_image_parse(image, &have) == 0 &&
	       (begins(have.digest, want) || begins(have.id, want));
}

bool bh_filter_image_is(
	const struct bh_image *want, const char *want_text, const char *image, const char *digest)
{
	struct bh_image bh_autoimage have = {0};
	if (!image)
		return false;
	if (bh_streq(want_text, image))
		return true;
	if (bh_image_parse(image, &have) < 0)
		return false;
	if (digest && !have.digest && !have.id)
		have.digest = bh_xstrdup(digest);
	return bh_image_matches(want, &have);
}

static bool registry_is(const char *want, const char *image)
{
	struct bh_image bh_autoimage have = {0};
	return image && bh_image_parse(image, &have) == 0 && have.registry &&
	       strcasecmp(have.registry, want) == 0;
}

static bool takes_image(const struct bh_filter *f, const char *image, const char *digest)
{
	return (!f->has_image || bh_filter_image_is(&f->image, f->image_text, image, digest)) &&
	       (!f->digest || bh_filter_digest_is(f->digest, image, digest)) &&
	       (!f->registry || registry_is(f->registry, image));
}

/* What is asked of an image has to hold for one of them. */
static bool takes_images(const struct bh_filter *f, const char *image, const char *digest,
	const struct bh_images *others)
{
	bool yes = takes_image(f, image, digest);
	for (size_t i = 0; !yes && i < others->n; i++)
		yes = takes_image(f, others->item[i].image, others->item[i].digest);
	return yes;
}

static bool takes(const struct bh_filter *f, const char *ns, const struct bh_labels *labels)
{
	return (!f->namespace || bh_streq(f->namespace, ns)) &&
	       (!f->has_selector || bh_selector_matches(&f->selector, labels));
}

bool bh_filter_takes_workload(const struct bh_filter *f, const struct bh_workload *w)
{
	return (!f->has_mode || f->mode == w->mode) && takes(f, w->namespace, &w->labels) &&
	       takes_images(f, w->image, w->digest, &w->others);
}

bool bh_filter_takes_stay(const struct bh_filter *f, const struct bh_stay *y)
{
	return !f->has_mode && takes(f, y->namespace, &y->labels) &&
	       takes_images(f, y->image, y->digest, &y->others);
}
