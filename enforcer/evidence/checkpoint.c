/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The text of a checkpoint. Reading takes only what writing gives: no byte of it is without
 * meaning, so that none can be changed in a way that nobody notices. */
#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "evidence/note.h"

#define PLACE_MAX 200

static void format_time(int64_t us, char ret[static 40])
{
	time_t s = (time_t)(us / 1000000);
	struct tm tm;
	char date[24] = "1970-01-01T00:00:00";

	if (gmtime_r(&s, &tm))
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret, 40, "%.19s.%06dZ", date, (int)(us % 1000000));
}

static void format_place(const struct bh_checkpoint *c, char ret[static PLACE_MAX])
{
	char when[40];
	format_time(c->time, when);
	snprintf(ret, PLACE_MAX, "sequence %" PRIu64 " offset %" PRIu64 " time %s", c->sequence,
		c->offset, when);
}

static void add_base64_line(struct bh_buf *out, const char *word, const void *data, size_t len)
{
	if (len == 0)
		return;
	bh_buf_printf(out, "%s ", word);
	bh_base64_add(out, data, len);
	bh_buf_str(out, "\n");
}

void bh_checkpoint_format(const struct bh_checkpoint *c, struct bh_buf *out)
{
	uint8_t root[BH_TREE_HASH], frontier[64][BH_TREE_HASH];
	char place[PLACE_MAX];
	size_t n;

	bh_tree_root(&c->tree, root);
	bh_tree_frontier(&c->tree, frontier, &n);
	format_place(c, place);
	bh_buf_printf(out, "%s\n%" PRIu64 "\n", c->origin, c->tree.size);
	bh_base64_add(out, root, sizeof(root));
	bh_buf_printf(out, "\n%s\n", place);
	add_base64_line(out, "frontier", frontier, n * BH_TREE_HASH);
	add_base64_line(out, "leaves", c->leaf, c->n_leaves * BH_NOTE_PREFIX);
	if (c->has_next) {
		char bh_autofree *key = bh_verifier_format(&c->next);
		bh_buf_printf(out, "next-key %s\n", key);
	}
}

struct lines { /* what is left of a text */
	const char *at, *end;
};

/* The next line without its newline; false at the end. */
static bool next_line(struct lines *l, const char **ret, size_t *ret_len)
{
	const char *nl = l->at < l->end ? memchr(l->at, '\n', (size_t)(l->end - l->at)) : NULL;
	if (!nl)
		return false;
	*ret = l->at;
	*ret_len = (size_t)(nl - l->at);
	l->at = nl + 1;
	return true;
}

/* "WORD …" as the next line: moves on and gives what stands behind the word. */
static bool next_word(struct lines *l, const char *word, const char **ret, size_t *ret_len)
{
	struct lines try = *l;
	size_t n = strlen(word);

	if (!next_line(&try, ret, ret_len) || *ret_len <= n + 1 || memcmp(*ret, word, n) != 0 ||
		(*ret)[n] != ' ')
		return false;
	*ret += n + 1;
	*ret_len -= n + 1;
	*l = try;
	return true;
}

static int read_number(const char *s, size_t len, uint64_t *ret)
{
	char text[24];
	if (len == 0 || len >= sizeof(text) || memchr(s, '\0', len))
		return -EINVAL;
	memcpy(text, s, len);
	text[len] = '\0';
	return bh_parse_u64(text, INT64_MAX, ret) < 0 ? -EINVAL : 0;
}

static int read_head(struct lines *l, struct bh_checkpoint *c)
{
	uint8_t root[BH_TREE_HASH];
	const char *s;
	size_t len;

	if (!next_line(l, &s, &len) || len == 0 || len > BH_NOTE_NAME_MAX || memchr(s, '\0', len))
		return -EINVAL;
	memcpy(c->origin, s, len);
	if (!next_line(l, &s, &len) || read_number(s, len, &c->tree.size) < 0)
		return -EINVAL;
	if (!next_line(l, &s, &len) ||
		bh_base64_decode(s, len, root, sizeof(root)) != (ssize_t)sizeof(root))
		return -EINVAL;
	memcpy(c->root, root, sizeof(root));
	return 0;
}

/* The values are read leniently; then the line must be what they give. */
static int read_place(struct lines *l, struct bh_checkpoint *c)
{
	char text[PLACE_MAX], again[PLACE_MAX];
	struct tm tm = {0};
	const char *s;
	int micro, at = 0;
	size_t len;

	if (!next_line(l, &s, &len) || len >= sizeof(text))
		return -EINVAL;
	memcpy(text, s, len);
	text[len] = '\0';
	if (sscanf(text,
		    "sequence %" SCNu64 " offset %" SCNu64 " time %4d-%2d-%2dT%2d:%2d:%2d.%6dZ%n",
		    &c->sequence, &c->offset, &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
		    &tm.tm_min, &tm.tm_sec, &micro, &at) != 9 ||
		(size_t)at != len || tm.tm_year < 1970 || tm.tm_mon < 1)
		return -EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	c->time = (int64_t)timegm(&tm) * 1000000 + micro;
	if (c->time < 0 || c->sequence > INT64_MAX || c->offset > INT64_MAX)
		return -EINVAL;
	format_place(c, again);
	return strcmp(text, again) == 0 ? 0 : -EINVAL;
}

static int read_frontier(struct lines *l, struct bh_checkpoint *c)
{
	uint8_t hashes[64 * BH_TREE_HASH], root[BH_TREE_HASH];
	ssize_t n = 0;
	const char *s;
	size_t len;

	if (next_word(l, "frontier", &s, &len))
		n = bh_base64_decode(s, len, hashes, sizeof(hashes));
	if (n < 0 || n % BH_TREE_HASH ||
		bh_tree_from_frontier(c->tree.size, hashes, (size_t)n / BH_TREE_HASH, &c->tree) < 0)
		return -EINVAL;
	bh_tree_root(&c->tree, root);
	return memcmp(root, c->root, sizeof(root)) == 0 ? 0 : -EINVAL;
}

static int read_leaves(struct lines *l, struct bh_checkpoint *c)
{
	const char *s;
	size_t len;

	if (!next_word(l, "leaves", &s, &len))
		return 0;
	uint8_t bh_autofree *leaf = bh_xcalloc(BH_NOTE_LEAVES_MAX, BH_NOTE_PREFIX);
	ssize_t n = bh_base64_decode(s, len, leaf, (size_t)BH_NOTE_LEAVES_MAX * BH_NOTE_PREFIX);
	if (n <= 0 || n % BH_NOTE_PREFIX || (size_t)n / BH_NOTE_PREFIX > c->tree.size)
		return -EINVAL;
	c->n_leaves = (size_t)n / BH_NOTE_PREFIX;
	c->leaf = BH_TAKE_PTR(leaf);
	return 0;
}

int bh_checkpoint_parse(const struct bh_note *n, struct bh_checkpoint *ret)
{
	struct lines l = {n->text, n->text + n->text_len};
	struct bh_checkpoint c = {0};
	const char *s;
	size_t len;
	int e;

	if ((e = read_head(&l, &c)) < 0 || (e = read_place(&l, &c)) < 0 ||
		(e = read_frontier(&l, &c)) < 0 || (e = read_leaves(&l, &c)) < 0) {
		bh_checkpoint_finish(&c);
		return e;
	}
	if (next_word(&l, "next-key", &s, &len)) {
		c.has_next = true;
		e = bh_verifier_parse(s, len, &c.next);
	}
	if (e == 0 && l.at != l.end)
		e = -EINVAL;
	if (e < 0) {
		bh_checkpoint_finish(&c);
		return e;
	}
	*ret = c;
	return 0;
}

void bh_checkpoint_finish(struct bh_checkpoint *c)
{
	free(BH_TAKE_PTR(c->leaf));
	c->n_leaves = 0;
}
