/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Changes of the policies' directory that can be undone. All that takes room comes first: new texts
 * are written beside their files, where nobody reads them. Then names are exchanged, and to undo
 * that they are exchanged once more: a disk that fills up meanwhile hinders neither.
 */
#pragma once

#include "policies/file_set.h"

struct bh_edit {
	char *path, *text, *before; /* text NULL: to remove */
	size_t len, before_len;
	bool existed;
	enum bh_edit_done {
		BH_EDIT_NOT,
		BH_EDIT_MADE,
		BH_EDIT_EXCHANGED, /* what stood there has the spare name, as with… */
		BH_EDIT_REMOVED,
		BH_EDIT_REPLACED, /* the file system can't exchange: to be undone by writing */
	} done;
};
struct bh_edits {
	struct bh_edit *edit;
	size_t n, cap;
};
void bh_edits_finish(struct bh_edits *e); /* nothing is undone, spare names go */
/* Puts text (copied; NULL removes) at path, in the list and in the picture of the directory. What
 * is there already is no edit. */
void bh_edits_put(struct bh_edits *e, struct bh_file_set *dir, const char *path, const char *text,
	size_t len);
/* Makes `dir` hold exactly what `to` does. */
void bh_edits_restore(struct bh_edits *e, struct bh_file_set *dir, const struct bh_file_set *to);
/* Only the files in which `from` and `to` differ, as they are in `to`; others stay as they are. */
void bh_edits_between(struct bh_edits *e, struct bh_file_set *dir, const struct bh_file_set *from,
	const struct bh_file_set *to);
/* 0, or −errno with nothing done and *ret_path (borrowed) saying where. */
int bh_edits_prepare(struct bh_edits *e, const char **ret_path);
int bh_edits_carry_out(struct bh_edits *e, const char **ret_path);
void bh_edits_undo(struct bh_edits *e);
