/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Checkpoints and verifier keys from a stranger. What is taken for a checkpoint is exactly what
 * would be written for it, so that no byte of one is without meaning.
 */
#include "evidence/note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check_checkpoint(const struct bh_note *n)
{
	struct bh_checkpoint c;
	struct bh_buf again = {0};

	if (bh_checkpoint_parse(n, &c) < 0)
		return;
	must(c.n_leaves <= BH_NOTE_LEAVES_MAX && c.n_leaves <= c.tree.size);
	bh_checkpoint_format(&c, &again);
	must(again.len == n->text_len && memcmp(again.s, n->text, again.len) == 0);
	bh_buf_finish(&again);
	bh_checkpoint_finish(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = bh_xcalloc(1, size + 1);
	struct bh_verifier v;
	struct bh_note n;
	size_t used;

	memcpy(text, data, size);
	if (bh_verifier_parse(text, size, &v) == 0) {
		char *again = bh_verifier_format(&v);
		must(strlen(again) == size && memcmp(again, text, size) == 0);
		free(again);
	}
	for (size_t at = 0; at < size; at += used) {
		if (bh_note_parse(text + at, size - at, &n, &used) < 0)
			break;
		must(used > 0 && used <= size - at && n.text_len < used);
		must(n.n_signatures > 0 && n.n_signatures <= BH_NOTE_SIGNATURES_MAX);
		check_checkpoint(&n);
	}
	free(text);
	return 0;
}
