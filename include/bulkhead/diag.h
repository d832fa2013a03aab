/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Diagnostics: what an operator did wrong, where, and what would be right. Collected, shown all at
 * once, never logged by the libraries. Implemented in rules/base/diag.c.
 */
#pragma once

#include <bulkhead/util.h>

enum bh_severity { BH_ERROR, BH_WARNING };

struct bh_diag {
	enum bh_severity severity;
	char *file; /* as the user named it */
	int line; /* 1-based; 0 = the whole file */
	int column; /* 1-based, in bytes; 0 = unknown */
	char *path; /* inside the document, "spec.ingress[0].ports[1].port"; may be NULL */
	char *what; /* what is wrong */
	char *remedy; /* what would be right; may be NULL */
};

#define BH_DIAGS_MAX 1000 /* further ones are only counted, so that a hostile file stays cheap */

struct bh_diags {
	struct bh_diag *item;
	size_t n, cap;
	size_t n_errors; /* of all, also those dropped */
	size_t n_suppressed; /* not kept because of BH_DIAGS_MAX */
};

/* All strings are copied. `what` and `remedy` must be free of control characters: quoted user text
 * goes through bh_diag_quote. */
void bh_diag_add(struct bh_diags *d, enum bh_severity sev, const char *file, int line, int column,
	const char *path, const char *remedy, const char *fmt, ...) BH_PRINTF(8, 9);
/* Printable, at most 60 bytes + "…", with escapes for control and non-UTF-8 bytes.
 * Adds no quotation marks: write "%s" around it. Owned. */
char *bh_diag_quote(const char *s, size_t len);
/* "FILE:LINE:COLUMN: [warning: ]PATH: WHAT; REMEDY" and a newline, parts left out where absent. */
void bh_diag_format(const struct bh_diag *d, struct bh_buf *out);
void bh_diags_format(
	const struct bh_diags *d, struct bh_buf *out); /* all, and a suppressed count */
void bh_diags_sort(struct bh_diags *d); /* by file, line, column */
void bh_diags_move(struct bh_diags *to, struct bh_diags *from); /* empties from */
void bh_diags_finish(struct bh_diags *d);
#define bh_autodiags __attribute__((cleanup(bh_diags_finish)))
