/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See file_set.h. */
#include "policies/file_set.h"

#include <dirent.h>
#include <errno.h>

#include "core/files.h"

#define FILES_MAX 10000

static int wanted(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');
	return d->d_name[0] != '.' && dot &&
	       (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml") || !strcmp(dot, ".json"));
}

int bh_file_set_read(const char *dir, struct bh_file_set *ret, char **ret_path)
{
	struct dirent **list;
	int n = scandir(dir, &list, wanted, alphasort), r = 0;
	if (n < 0) {
		r = -errno;
		*ret_path = bh_xstrdup(dir);
		return r;
	}
	struct bh_file_set set = {0};
	if (n > FILES_MAX)
		r = -E2BIG;
	for (int i = 0; i < n; i++) {
		char *path = bh_xasprintf("%s/%s", dir, list[i]->d_name), *text = NULL;
		size_t len = 0;
		free(list[i]);
		if (r == 0) {
			r = bh_file_read(path, BH_FILE_MAX, &text, &len);
			if (r == -ENOENT) { /* gone since the listing */
				r = 0;
				free(path);
				continue;
			}
			if (r < 0)
				*ret_path = bh_xstrdup(path);
		}
		if (r < 0) {
			free(path);
			continue;
		}
		BH_GROW(set.src, set.n, set.cap);
		set.src[set.n++] = (struct bh_policy_source){path, text, len};
	}
	free(list);
	if (r == -E2BIG)
		*ret_path = bh_xstrdup(dir);
	if (r < 0)
		bh_file_set_finish(&set);
	else
		*ret = set;
	return r;
}

void bh_file_set_finish(struct bh_file_set *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free((char *)s->src[i].file);
		free((char *)s->src[i].text);
	}
	free(s->src);
	*s = (struct bh_file_set){0};
}

struct bh_policy_source *bh_file_set_find(const struct bh_file_set *s, const char *path)
{
	for (size_t i = 0; i < s->n; i++)
		if (bh_streq(s->src[i].file, path))
			return &s->src[i];
	return NULL;
}

/* Directories are read in the names' order, but a file that was just made stands last. */
bool bh_file_sets_equal(const struct bh_file_set *a, const struct bh_file_set *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct bh_policy_source *x = &a->src[i], *y = &b->src[i];
		for (size_t k = 0; k < b->n && !bh_streq(x->file, y->file); k++)
			y = &b->src[k];
		if (!bh_streq(x->file, y->file) || x->len != y->len ||
			memcmp(x->text, y->text, x->len) != 0)
			return false;
	}
	return true;
}
