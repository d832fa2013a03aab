/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The walk over the lines: each becomes a leaf, and wherever a checkpoint was signed the tree must
 * have the root that it says. Where it has not, the checkpoint's four bytes of each leaf say which
 * line was the first to differ.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <sys/file.h>

#include "evidence/lines.h"
#include "evidence/notes.h"

#define FIRST_LINES 64

struct log_file {
	const char *path;
	uint64_t first; /* the number of its first record; 0: unreadable */
};

struct walk {
	const struct bh_verify_opts *o;
	struct bh_notes notes;
	struct log_file *file;
	struct bh_known_note anchor;
	bool has_anchor;
	size_t next; /* the checkpoint that is due next */
	struct bh_verify_result *r;
	struct bh_tree tree;
	size_t cap;
	bool partial; /* half a line ends the last file */
};

uint64_t bh_evidence_sequence(const char *line, size_t len)
{
	json_t *rec = json_loadb(line, len, 0, NULL);
	json_int_t n =
		json_integer_value(json_object_get(json_object_get(rec, "event"), "sequence"));
	json_decref(rec);
	return n > 0 ? (uint64_t)n : 0;
}

/* --- the files' order --- */

/* The first record's number, also where that line itself was changed: what two of the first three
 * lines agree on. One without lines was begun last. */
static int first_sequence(const char *path, uint64_t *ret, char **ret_what)
{
	struct bh_lines r;
	uint64_t is[3] = {0};
	const char *line;
	size_t len;

	int e = bh_lines_open(path, &r, ret_what);
	if (e < 0)
		return e;
	uint64_t lines = 0;
	for (uint64_t i = 0; i < 3 && bh_lines_next(&r, &line, &len) == 1; i++) {
		uint64_t seq = bh_evidence_sequence(line, len);
		is[i] = seq > i ? seq - i : 0;
		lines++;
	}
	bh_lines_close(&r);
	*ret = lines == 0 ? UINT64_MAX : is[1] && is[1] == is[2] ? is[1] : is[0];
	return 0;
}

static int by_first(const void *a, const void *b)
{
	const struct log_file *x = a, *y = b;
	return x->first < y->first ? -1 : x->first > y->first;
}

static bool is_being_written(const char *path)
{
	int bh_autoclose fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static int order_files(struct walk *w)
{
	w->file = bh_xcalloc(w->o->n_files, sizeof(*w->file));
	for (size_t i = 0; i < w->o->n_files; i++) {
		w->file[i].path = w->o->file[i];
		int e = first_sequence(w->file[i].path, &w->file[i].first, &w->r->what);
		if (e < 0)
			return e;
		w->r->live |= is_being_written(w->file[i].path);
	}
	qsort(w->file, w->o->n_files, sizeof(*w->file), by_first);
	return 0;
}

/* --- where the files begin in the tree --- */

/* How many of the first lines are the leaves that the checkpoint after this one has. */
static size_t likeness(
	const struct walk *w, size_t start, const uint8_t (*leaf)[BH_TREE_HASH], size_t n)
{
	const struct bh_checkpoint *c = &w->notes.note[start].c, *next = NULL;
	size_t same = 0;

	for (size_t i = start + 1; i < w->notes.n && !next; i++)
		if (w->notes.note[i].c.tree.size > c->tree.size)
			next = &w->notes.note[i].c;
	if (!next || next->tree.size - next->n_leaves != c->tree.size)
		return 0;
	for (size_t i = 0; i < n && i < next->n_leaves; i++)
		same += memcmp(leaf[i], next->leaf + BH_NOTE_PREFIX * i, BH_NOTE_PREFIX) == 0;
	return same;
}

static size_t read_first_leaves(const char *path, uint8_t (*ret)[BH_TREE_HASH])
{
	struct bh_lines r;
	const char *line;
	char *ignored = NULL;
	size_t len, n = 0;

	if (bh_lines_open(path, &r, &ignored) < 0) {
		free(ignored);
		return 0;
	}
	while (n < FIRST_LINES && bh_lines_next(&r, &line, &len) == 1)
		bh_tree_leaf(line, len, ret[n++]);
	bh_lines_close(&r);
	return n;
}

/* A file begins where a checkpoint with offset 0 was signed. */
static int find_start(struct walk *w)
{
	uint8_t leaf[FIRST_LINES][BH_TREE_HASH];
	size_t n = read_first_leaves(w->file[0].path, leaf), best = w->notes.n, best_score = 0;
	char bh_autofree *own = bh_xasprintf("%s.checkpoints", w->file[0].path);

	for (size_t i = 0; i < w->notes.n; i++) {
		const struct bh_known_note *k = &w->notes.note[i];
		if (k->c.offset != 0)
			continue;
		size_t score = 1 + 4 * likeness(w, i, leaf, n) +
			       2 * (k->c.sequence + 1 == w->file[0].first) +
			       (strcmp(k->path, own) == 0);
		if (score > best_score) {
			best = i;
			best_score = score;
		}
	}
	if (best == w->notes.n) {
		w->r->what = bh_xasprintf("no checkpoint says where %s begins", w->file[0].path);
		return -EBADMSG;
	}
	w->tree = w->r->start = w->notes.note[best].c.tree;
	w->r->first = w->notes.note[best].c.sequence + 1;
	w->next = best;
	return 0;
}

/* --- findings --- */

/* The number that the record at this place of the tree has. */
static uint64_t sequence_at(const struct walk *w, uint64_t index)
{
	const struct bh_checkpoint *c = NULL;
	for (size_t i = 0; i < w->notes.n; i++)
		if (w->notes.note[i].c.tree.size <= index)
			c = &w->notes.note[i].c;
	return c ? c->sequence + (index - c->tree.size) + 1 : index + 1;
}

static void blame(struct walk *w, enum bh_verify_outcome outcome, uint64_t sequence, char *what)
{
	w->r->outcome = outcome;
	w->r->bad_sequence = sequence;
	w->r->what = what;
}

/* The first leaf that is not what the checkpoint says, below the tree's size; UINT64_MAX: all that
 * it says of them is so. */
static uint64_t first_difference(const struct walk *w, const struct bh_checkpoint *c)
{
	uint64_t from = c->tree.size - c->n_leaves;
	for (uint64_t i = from; i < c->tree.size && i < w->tree.size; i++)
		if (i >= w->r->start.size &&
			memcmp(w->r->leaf[i - w->r->start.size],
				c->leaf + BH_NOTE_PREFIX * (i - from), BH_NOTE_PREFIX) != 0)
			return i;
	return UINT64_MAX;
}

static void blame_interval(struct walk *w, const struct bh_checkpoint *c)
{
	uint64_t i = first_difference(w, c);
	if (i != UINT64_MAX) {
		blame(w, BH_VERIFY_ALTERED, sequence_at(w, i),
			bh_xasprintf("the record is not the one that was signed: it was changed, "
				     "removed, added or moved"));
		return;
	}
	uint64_t from = w->next ? w->notes.note[w->next - 1].c.sequence + 1 : 1;
	blame(w, BH_VERIFY_ALTERED, from,
		bh_xasprintf("the records up to %" PRIu64 " are not those that were signed",
			c->sequence));
}

/* false: stop, something is wrong. */
static bool check_root(struct walk *w, const struct bh_checkpoint *c)
{
	uint8_t root[BH_TREE_HASH];

	bh_tree_root(&w->tree, root);
	if (memcmp(root, c->root, sizeof(root)) == 0)
		return true;
	blame_interval(w, c);
	return false;
}

/* All checkpoints of the tree as it is now. */
static bool check_notes(struct walk *w)
{
	for (; w->next < w->notes.n; w->next++) {
		const struct bh_checkpoint *c = &w->notes.note[w->next].c;
		if (c->tree.size > w->tree.size)
			break;
		if (c->tree.size == w->tree.size && !check_root(w, c))
			return false;
	}
	return !w->has_anchor || w->anchor.c.tree.size != w->tree.size ||
	       check_root(w, &w->anchor.c);
}

static bool add_line(struct walk *w, const char *line, size_t len)
{
	struct bh_verify_result *r = w->r;

	BH_GROW(r->leaf, r->records, w->cap);
	bh_tree_leaf(line, len, r->leaf[r->records]);
	bh_tree_add(&w->tree, r->leaf[r->records]);
	r->records++;
	return check_notes(w);
}

/* 1: go on; 0: something is wrong; −errno */
static int walk_file(struct walk *w, const char *path)
{
	struct bh_lines r;
	const char *line;
	size_t len;
	bool good = true;

	int e = bh_lines_open(path, &r, &w->r->what);
	if (e < 0)
		return e;
	while (good && (e = bh_lines_next(&r, &line, &len)) == 1)
		good = add_line(w, line, len);
	w->partial = good && e == 0 && len > 0;
	bh_lines_close(&r);
	if (e < 0)
		w->r->what = bh_xasprintf("%s: %s", path, strerror(-e));
	return e < 0 ? e : good;
}

/* --- the end --- */

static const struct bh_known_note *last_trusted(const struct walk *w)
{
	for (size_t i = w->notes.n; i-- > 0;)
		if (w->notes.note[i].trusted)
			return &w->notes.note[i];
	return NULL;
}

/* Lines end before the last checkpoint: the first one missing, unless one before was changed. */
static void blame_missing(struct walk *w, const struct bh_checkpoint *c)
{
	uint64_t i = first_difference(w, c);
	if (i != UINT64_MAX)
		blame_interval(w, c);
	else
		blame(w, BH_VERIFY_TRUNCATED, sequence_at(w, w->tree.size),
			bh_xasprintf("records are missing at the end: %" PRIu64 " were signed",
				c->tree.size));
}

static void judge_end(struct walk *w)
{
	struct bh_verify_result *r = w->r;
	const struct bh_known_note *last = last_trusted(w);

	if (w->next < w->notes.n) {
		blame_missing(w, &w->notes.note[w->next].c);
		return;
	}
	if (w->has_anchor && w->anchor.c.tree.size > w->tree.size) {
		blame_missing(w, &w->anchor.c);
		return;
	}
	if (!last || last->c.tree.size < r->start.size) {
		blame(w, BH_VERIFY_ALTERED, 0,
			bh_xasprintf("no checkpoint is signed by the key given"));
		return;
	}
	if (w->notes.damaged && !(r->live && w->notes.damaged_after >= last->c.tree.size)) {
		blame(w, BH_VERIFY_ALTERED, 0,
			bh_xasprintf("%" PRIu64 " checkpoints are damaged or signed by nobody "
				     "known, the first after %" PRIu64 " records",
				w->notes.damaged, w->notes.damaged_after));
		return;
	}
	r->tail = w->tree.size - last->c.tree.size;
	r->end = last->c.tree;
	r->last = last->c.sequence;
	r->signed_at = last->c.time;
	bh_buf_add(&r->last_note, last->text, last->len);
	if ((r->tail || w->partial) && !r->live && !w->o->allow_tail) {
		blame(w, BH_VERIFY_ALTERED, last->c.sequence + 1,
			bh_xasprintf("%" PRIu64 " records%s after the last checkpoint: nothing "
				     "vouches for them (a start of bulkheadd reads and signs what "
				     "a crash left; --allow-tail lets them pass)",
				r->tail, w->partial ? " and half a line" : ""));
		return;
	}
	bool anchored = w->has_anchor && w->anchor.c.tree.size >= r->start.size;
	r->outcome = anchored ? BH_VERIFY_GOOD : BH_VERIFY_NO_ANCHOR;
	if (w->has_anchor && !anchored)
		r->what = bh_xasprintf("the anchor is of before these files begin");
}

static int walk(struct walk *w)
{
	int e = bh_notes_load(w->o, &w->notes, &w->r->what);
	if (e == 0)
		e = order_files(w);
	if (e == 0 && w->o->anchor) {
		e = bh_notes_read_one(&w->notes, w->o->anchor, &w->anchor, &w->r->what);
		w->has_anchor = e == 0;
	}
	if (e == 0)
		e = find_start(w);
	if (e < 0)
		return e;
	w->r->checkpoints = w->notes.n;
	if (!check_notes(w))
		return 0;
	for (size_t i = 0; i < w->o->n_files; i++) {
		e = walk_file(w, w->file[i].path);
		if (e <= 0)
			return e;
	}
	judge_end(w);
	return 0;
}

int bh_evidence_verify(const struct bh_verify_opts *o, struct bh_verify_result *ret)
{
	struct bh_verify_result r = {.pinned = o->pub != NULL};
	struct walk w = {.o = o, .r = &r};

	int e = walk(&w);
	bh_notes_finish(&w.notes);
	bh_checkpoint_finish(&w.anchor.c);
	free(w.file);
	*ret = r;
	return e;
}

void bh_verify_result_finish(struct bh_verify_result *r)
{
	free(r->what);
	free(r->leaf);
	bh_buf_finish(&r->last_note);
	*r = (struct bh_verify_result){0};
}
