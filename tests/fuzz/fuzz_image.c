/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A reference that is taken, put together again, is the same reference. */
#include <bulkhead/image.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static char *whole(const struct bh_image *i)
{
	if (i->id)
		return bh_xstrdup(i->id);
	return bh_xasprintf("%s/%s%s%s%s%s", i->registry, i->repository, i->tag ? ":" : "",
		i->tag ? i->tag : "", i->digest ? "@" : "", i->digest ? i->digest : "");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bh_autofree char *text = bh_xstrndup((const char *)data, size);
	bh_autoimage struct bh_image a = {0}, b = {0};
	if (bh_image_parse(text, &a))
		return 0;
	must(a.id ? !a.registry && !a.repository : a.registry && a.repository);
	bh_autofree char *again = whole(&a);
	for (const char *c = again; *c; c++)
		must(*c > ' ' && *c <= '~');
	/* A registry that only its capitals made one is a repository's first part in lower case. */
	if (a.registry && !strpbrk(a.registry, ".:[") && !bh_streq(a.registry, "localhost"))
		return 0;
	/* What is implied makes it longer; that may be too long. */
	if (bh_image_parse(again, &b)) {
		must(a.implied);
		return 0;
	}
	must(bh_streq(a.registry, b.registry) && bh_streq(a.repository, b.repository));
	must(bh_streq(a.tag, b.tag) && bh_streq(a.digest, b.digest) && bh_streq(a.id, b.id));
	must(bh_image_matches(&a, &b));
	return 0;
}
