/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changes of the policies' directory: a list of files to write or to remove, each with what stood
 * there before, so that all of them can be taken back. */
#include "policies/edits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "core/files.h"

static void drop_spare(const struct bh_edit *e)
{
	char bh_autofree *spare = bh_file_spare(e->path);
	unlink(spare);
}

void bh_edits_finish(struct bh_edits *e)
{
	for (size_t i = 0; i < e->n; i++) {
		drop_spare(&e->edit[i]);
		free(e->edit[i].path);
		free(e->edit[i].text);
		free(e->edit[i].before);
	}
	free(e->edit);
	*e = (struct bh_edits){0};
}

static char *copy(const char *text, size_t len)
{
	char *s = bh_xcalloc(len + 1, 1);
	if (len)
		memcpy(s, text, len);
	return s;
}

static void change_picture(struct bh_file_set *dir, struct bh_policy_source *have, const char *path,
	const char *text, size_t len)
{
	if (have && text) {
		free((char *)have->text);
		have->text = copy(text, len);
		have->len = len;
	} else if (have) {
		free((char *)have->file);
		free((char *)have->text);
		size_t after = dir->n - (size_t)(have - dir->src) - 1;
		memmove(have, have + 1, after * sizeof(*have)); /* the order is the names' */
		dir->n--;
	} else {
		BH_GROW(dir->src, dir->n, dir->cap);
		dir->src[dir->n++] =
			(struct bh_policy_source){bh_xstrdup(path), copy(text, len), len};
	}
}

void bh_edits_put(
	struct bh_edits *e, struct bh_file_set *dir, const char *path, const char *text, size_t len)
{
	struct bh_policy_source *have = bh_file_set_find(dir, path);
	if (have ? text && have->len == len && memcmp(have->text, text, len) == 0 : !text)
		return;
	BH_GROW(e->edit, e->n, e->cap);
	e->edit[e->n++] = (struct bh_edit){
		.path = bh_xstrdup(path),
		.text = text ? copy(text, len) : NULL,
		.len = len,
		.existed = have != NULL,
		.before = have ? copy(have->text, have->len) : NULL,
		.before_len = have ? have->len : 0,
	};
	change_picture(dir, have, path, text, len);
}

void bh_edits_restore(struct bh_edits *e, struct bh_file_set *dir, const struct bh_file_set *to)
{
	for (size_t i = dir->n; i-- > 0;)
		if (!bh_file_set_find(to, dir->src[i].file)) {
			char bh_autofree *path = bh_xstrdup(dir->src[i].file);
			bh_edits_put(e, dir, path, NULL, 0);
		}
	for (size_t i = 0; i < to->n; i++)
		bh_edits_put(e, dir, to->src[i].file, to->src[i].text, to->src[i].len);
}

void bh_edits_between(struct bh_edits *e, struct bh_file_set *dir, const struct bh_file_set *from,
	const struct bh_file_set *to)
{
	for (size_t i = 0; i < from->n; i++)
		if (!bh_file_set_find(to, from->src[i].file))
			bh_edits_put(e, dir, from->src[i].file, NULL, 0);
	for (size_t i = 0; i < to->n; i++) {
		const struct bh_policy_source *t = &to->src[i];
		const struct bh_policy_source *f = bh_file_set_find(from, t->file);
		if (!f || f->len != t->len || memcmp(f->text, t->text, t->len) != 0)
			bh_edits_put(e, dir, t->file, t->text, t->len);
	}
}

int bh_edits_prepare(struct bh_edits *e, const char **ret_path)
{
	for (size_t i = 0; i < e->n; i++) {
		const struct bh_edit *x = &e->edit[i];
		int r = x->text ? bh_file_write_spare(x->path, x->text, x->len, 0644) : 0;
		if (r < 0) {
			*ret_path = x->path;
			return r;
		}
	}
	return 0;
}

static int exchange(const char *spare, const char *path, enum bh_edit_done *ret)
{
	if (renameat2(AT_FDCWD, spare, AT_FDCWD, path, RENAME_EXCHANGE) == 0) {
		*ret = BH_EDIT_EXCHANGED;
		return 0;
	}
	if (errno != ENOENT && errno != EINVAL && errno != ENOSYS)
		return -errno;
	*ret = errno == ENOENT ? BH_EDIT_MADE : BH_EDIT_REPLACED;
	return rename(spare, path) < 0 ? -errno : 0;
}

static int carry_out(struct bh_edit *e)
{
	char bh_autofree *spare = bh_file_spare(e->path);
	enum bh_edit_done done = e->text ? BH_EDIT_MADE : BH_EDIT_REMOVED;
	int r = 0;

	if (e->text && e->existed)
		r = exchange(spare, e->path, &done);
	else if (rename(e->text ? spare : e->path, e->text ? e->path : spare) < 0) {
		if (errno != ENOENT || e->text)
			return -errno;
		done = BH_EDIT_NOT; /* it is gone already */
	}
	if (r == 0)
		e->done = done;
	return r;
}

static void undo(struct bh_edit *e)
{
	char bh_autofree *spare = bh_file_spare(e->path);
	if (e->done == BH_EDIT_EXCHANGED)
		renameat2(AT_FDCWD, spare, AT_FDCWD, e->path, RENAME_EXCHANGE);
	else if (e->done == BH_EDIT_REMOVED)
		rename(spare, e->path);
	else if (e->done == BH_EDIT_MADE)
		unlink(e->path);
	else if (e->done == BH_EDIT_REPLACED)
		bh_file_write_atomic(e->path, e->before, e->before_len, 0644);
	e->done = BH_EDIT_NOT;
}

void bh_edits_undo(struct bh_edits *e)
{
	bool any = false;
	for (size_t i = e->n; i-- > 0;) {
		any = any || e->edit[i].done;
		undo(&e->edit[i]);
	}
	/* Before the record of the version goes: else a power cut leaves the files without it. */
	if (any)
		bh_file_sync_directory(e->edit[0].path);
}

int bh_edits_carry_out(struct bh_edits *e, const char **ret_path)
{
	int r = 0;
	for (size_t i = 0; i < e->n && r == 0; i++) {
		*ret_path = e->edit[i].path;
		r = carry_out(&e->edit[i]);
	}
	if (r == 0 && e->n > 0)
		r = bh_file_sync_directory(e->edit[0].path);
	if (r < 0)
		bh_edits_undo(e);
	return r;
}
