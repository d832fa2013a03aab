/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names of exported policies: the role's own name where it is unique in the namespace, so that a
 * person recognises it and a second export gives the same file; else with a hash of its labels.
 */
#include "private.h"

#define SUFFIX "-baseline"
#define NAME_MAX_LEN 63u
#define STEM_MAX (NAME_MAX_LEN - (sizeof(SUFFIX) - 1))

/* Lower case, runs of anything else become one hyphen, none at the ends. May be empty. */
static char *make_stem(const char *s)
{
	struct bh_buf b = {0};
	for (; *s; s++) {
		char c = *s >= 'A' && *s <= 'Z' ? (char)(*s - 'A' + 'a') : *s;
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			bh_buf_add(&b, &c, 1);
		else if (b.len && b.s[b.len - 1] != '-')
			bh_buf_str(&b, "-");
	}
	while (b.len && b.s[b.len - 1] == '-')
		b.s[--b.len] = '\0';
	return bh_buf_take(&b);
}

static int cut(const char *stem, size_t max)
{
	size_t n = strlen(stem) < max ? strlen(stem) : max;
	while (n && stem[n - 1] == '-')
		n--;
	return (int)n;
}

/* twin 0: none known; 1: with a hash; more: with a hash and this number. */
static void set_name(struct bh_export_role *r, unsigned twin)
{
	char id[32] = "";
	bh_autofree char *name = bh_role_name(&r->end->selector);
	bh_autofree char *stem = make_stem(name);
	uint32_t hash = (uint32_t)bh_labels_hash(&r->end->selector, BH_HASH_SEED);
	if (twin > 1)
		snprintf(id, sizeof(id), "-%08x-%u", hash, twin);
	else if (twin == 1 || strlen(stem) > STEM_MAX)
		snprintf(id, sizeof(id), "-%08x", hash);
	free(r->name);
	r->name = bh_xasprintf("%.*s%s" SUFFIX, *stem ? cut(stem, STEM_MAX - strlen(id)) : 4,
		*stem ? stem : "role", id);
}

static int compare_names(const void *a, const void *b)
{
	const struct bh_export_role *x = *(struct bh_export_role *const *)a;
	const struct bh_export_role *y = *(struct bh_export_role *const *)b;
	int r = bh_strcmp0(x->end->namespace, y->end->namespace);
	if (r == 0)
		r = strcmp(x->name, y->name);
	/* Roles lie in one sorted array: their order there settles the rest. */
	return r ? r : (x > y) - (x < y);
}

/* Renames every role whose name another one of its namespace has. */
static void separate(struct bh_export_role **sorted, size_t n, bool numbered)
{
	bool *twin = bh_xcalloc(n, sizeof(*twin));
	unsigned number = 1;
	qsort(sorted, n, sizeof(*sorted), compare_names);
	for (size_t i = 1; i < n; i++)
		if (bh_streq(sorted[i]->name, sorted[i - 1]->name) &&
			bh_streq(sorted[i]->end->namespace, sorted[i - 1]->end->namespace))
			twin[i] = twin[i - 1] = true;
	for (size_t i = 0; i < n; i++)
		if (twin[i])
			set_name(sorted[i], numbered ? ++number : 1);
	free(twin);
}

void bh_export_roles_name(struct bh_export_roles *r)
{
	struct bh_export_role **sorted = bh_xcalloc(r->n, sizeof(*sorted));
	for (size_t i = 0; i < r->n; i++) {
		sorted[i] = &r->role[i];
		set_name(sorted[i], 0);
	}
	separate(sorted, r->n, false);
	separate(sorted, r->n, true); /* where even the hashes are alike */
	free(sorted);
}
