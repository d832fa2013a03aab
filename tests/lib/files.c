/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files for tests: whole contents and listings in a stable order. See lib/case.h. */
#include "lib/case.h"

#include <dirent.h>
#include <errno.h>

#define READ_MAX (16u << 20)

char *bh_case_read_file(const char *path, size_t *ret_len)
{
	bh_autofclose FILE *f = fopen(path, "re");
	if (!f)
		return NULL;
	struct bh_buf b = {0};
	char chunk[65536];
	size_t n;
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0 && b.len < READ_MAX)
		bh_buf_add(&b, chunk, n);
	if (ferror(f) || b.len >= READ_MAX) {
		bh_buf_finish(&b);
		errno = ferror(f) ? EIO : EFBIG;
		return NULL;
	}
	*ret_len = b.len;
	return bh_buf_take(&b);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **bh_case_list(const char *dir, const char *prefix, size_t *ret_n)
{
	char **list = bh_xcalloc(1, sizeof(*list));
	size_t n = 0;
	DIR *d = opendir(dir);
	const struct dirent *e;
	while (d && (e = readdir(d))) {
		const char *dot = strrchr(e->d_name, '.');
		if (strncmp(e->d_name, prefix, strlen(prefix)) != 0 || !dot ||
			!bh_streq(dot, ".yaml"))
			continue;
		list = bh_xrealloc(list, n + 2, sizeof(*list));
		list[n++] = bh_xasprintf("%s/%s", dir, e->d_name);
		list[n] = NULL;
	}
	if (d)
		closedir(d);
	qsort(list, n, sizeof(*list), compare_strings);
	if (ret_n)
		*ret_n = n;
	return list;
}

void bh_case_list_free(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

int bh_case_load(const char *path, struct bh_diags *diags, struct bh_scenario **ret)
{
	size_t len;
	bh_autofree char *text = bh_case_read_file(path, &len);
	if (!text)
		return -errno;
	return bh_scenario_parse(path, text, len, BH_SCENARIO_STATE, diags, ret);
}
