/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "audit/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "audit/private.h"

static int open_notes(const char *path, int flags)
{
	int fd = open(path,
		O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW |
			flags,
		0640);
	return fd < 0 ? -errno : fd;
}

/* All or nothing: half a note is cut off again. */
static int append(int fd, const char *text, size_t len)
{
	ssize_t n = write(fd, text, len);
	if (n == (ssize_t)len)
		return 0;
	int e = n < 0 ? -errno : -ENOSPC;
	struct stat st;
	if (n > 0 && fstat(fd, &st) == 0 && ftruncate(fd, st.st_size - n) < 0)
		return -errno;
	return e;
}

/* --- making and signing --- */

static void note_text(const struct bh_audit_seal *s, const struct bh_checkpoint *c,
	const struct bh_audit_key *also, struct bh_buf *out)
{
	bh_checkpoint_format(c, out);
	size_t len = out->len;
	char bh_autofree *text = bh_xstrndup(out->s, len);
	bh_buf_str(out, "\n");
	bh_audit_key_sign_line(&s->key, text, len, out);
	if (also)
		bh_audit_key_sign_line(also, text, len, out);
	bh_buf_str(out, "\n");
}

static struct bh_checkpoint checkpoint(
	const struct bh_audit_seal *s, uint64_t sequence, uint64_t offset, int64_t now)
{
	struct bh_checkpoint c = {.tree = s->tree,
		.sequence = sequence,
		.offset = offset,
		.time = now > 0 ? now : 0,
		.leaf = s->leaves_over ? NULL : s->leaf,
		.n_leaves = s->leaves_over ? 0 : s->n_leaves};
	snprintf(c.origin, sizeof(c.origin), "%s", s->key.pub.name);
	return c;
}

static void forget_leaves(struct bh_audit_seal *s)
{
	s->n_leaves = 0;
	s->leaves_over = false;
}

int bh_audit_seal_sign(struct bh_audit_seal *s, uint64_t sequence, uint64_t offset, int64_t now)
{
	struct bh_checkpoint c = checkpoint(s, sequence, offset, now);
	struct bh_buf bh_autobuf text = {0};

	note_text(s, &c, NULL, &text);
	s->last_error = append(s->fd, text.s, text.len);
	if (s->last_error < 0)
		return s->last_error;
	s->signed_size = s->tree.size;
	s->signed_sequence = sequence;
	s->checkpoints++;
	forget_leaves(s);
	return 0;
}

void bh_audit_seal_add(struct bh_audit_seal *s, const char *line, size_t len)
{
	uint8_t leaf[BH_TREE_HASH];

	bh_tree_leaf(line, len, leaf);
	bh_tree_add(&s->tree, leaf);
	if (s->n_leaves == BH_NOTE_LEAVES_MAX)
		s->leaves_over = true;
	else
		memcpy(s->leaf + BH_NOTE_PREFIX * s->n_leaves++, leaf, BH_NOTE_PREFIX);
}

int bh_audit_seal_turn(struct bh_audit_seal *s, const char *old, uint64_t sequence, int64_t now)
{
	char bh_autofree *aside = bh_xasprintf("%s.checkpoints", old);
	char bh_autofree *next = bh_xasprintf("%s.next", s->notes_path);
	struct bh_checkpoint c = checkpoint(s, sequence, 0, now);
	struct bh_buf bh_autobuf text = {0};

	unlink(next);
	int bh_autoclose fd = open_notes(next, O_EXCL);
	if (fd < 0)
		return fd;
	note_text(s, &c, NULL, &text);
	int e = append(fd, text.s, text.len);
	if (e == 0 && (fsync(fd) < 0 || fsync(s->fd) < 0))
		e = -errno;
	/* Under the log's name there is always a file of notes, whenever we are killed. */
	if (e == 0 && link(s->notes_path, aside) < 0 && errno != EEXIST) /* begun before a crash */
		e = -errno;
	if (e == 0 && rename(next, s->notes_path) < 0) {
		e = -errno;
		unlink(aside);
	}
	if (e < 0) {
		unlink(next);
		return e;
	}
	close(s->fd);
	s->fd = BH_TAKE_FD(fd);
	forget_leaves(s);
	return 0;
}

static int append_keys(struct bh_audit_seal *s, const char *text, size_t len)
{
	int bh_autoclose fd = open_notes(s->keys_path, 0);
	if (fd < 0)
		return fd;
	int e = append(fd, text, len);
	return e == 0 && fsync(fd) < 0 ? -errno : e;
}

/* The new key comes in force by its file's name; the old one's bytes are gone before that. */
static int take_over(struct bh_audit_seal *s, struct bh_audit_key *next, const char *next_path)
{
	bh_audit_key_erase(s->key_path);
	bh_audit_key_finish(&s->key);
	s->key = *next;
	*next = (struct bh_audit_key){0};
	return rename(next_path, s->key_path) < 0 ? -errno : 0;
}

int bh_audit_seal_change_key(
	struct bh_audit_seal *s, uint64_t sequence, uint64_t offset, int64_t now)
{
	char bh_autofree *next_path = bh_xasprintf("%s.next", s->key_path);
	struct bh_checkpoint c = checkpoint(s, sequence, offset, now);
	struct bh_buf bh_autobuf text = {0};
	struct bh_audit_key next;

	int e = bh_audit_key_new(s->key.pub.name, now, &next);
	if (e < 0)
		return e;
	c.has_next = true;
	c.next = next.pub;
	note_text(s, &c, &next, &text);
	if ((e = bh_audit_key_save(&next, next_path)) == 0 &&
		(e = append_keys(s, text.s, text.len)) == 0 &&
		(e = append(s->fd, text.s, text.len)) == 0 && fsync(s->fd) < 0)
		e = -errno;
	if (e == 0)
		e = take_over(s, &next, next_path);
	bh_audit_key_finish(&next);
	return e;
}

/* --- finding what there is --- */

/* Where the last note of ours begins; −ENOENT: there is none. */
static int last_note(const struct bh_audit_seal *s, const char *text, size_t len,
	struct bh_checkpoint *ret, size_t *ret_end)
{
	size_t name = strlen(s->key.pub.name);

	for (size_t at = len; at-- > 0;) {
		struct bh_note n;
		size_t used;
		if (len - at <= name || text[at + name] != '\n' ||
			(at > 0 && text[at - 1] != '\n') ||
			memcmp(text + at, s->key.pub.name, name) != 0)
			continue;
		if (bh_note_parse(text + at, len - at, &n, &used) < 0 ||
			!bh_note_is_signed_by(&n, &s->key.pub) || bh_checkpoint_parse(&n, ret) < 0)
			continue;
		*ret_end = at + used;
		return 0;
	}
	return -ENOENT;
}

/* The end of the notes' file: the last one, and half a one after it is cut off. */
static int read_last(struct bh_audit_seal *s, struct bh_audit_found *f)
{
	char bh_autofree *text = NULL;
	struct stat st;
	size_t len, end;

	if (fstat(s->fd, &st) < 0)
		return -errno;
	if (st.st_size == 0)
		return -ENOENT;
	int e = bh_audit_read_end(s->fd, (size_t)st.st_size, 4 * BH_NOTE_MAX, &text, &len);
	if (e < 0)
		return e;
	if ((e = last_note(s, text, len, &f->last, &end)) < 0)
		return e;
	f->torn = len - end;
	/* Where it may only grow, the next note begins on a line of its own. */
	if (f->torn && ftruncate(s->fd, st.st_size - (off_t)f->torn) < 0)
		e = append(s->fd, "\n\n", 2);
	if (e == 0 && !f->torn && text[len - 1] == '\n' && (len < 2 || text[len - 2] != '\n'))
		e = append(s->fd, "\n", 1); /* the empty line after it was missing */
	return e;
}

/* A change of keys that was not finished: the last note names the one that waits. */
static int finish_change(struct bh_audit_seal *s, const struct bh_checkpoint *last)
{
	char bh_autofree *next_path = bh_xasprintf("%s.next", s->key_path);
	struct bh_audit_key next;

	int e = bh_audit_key_load(next_path, &next);
	if (e < 0)
		return e;
	if (!bh_verifier_eq(&next.pub, &last->next)) {
		bh_audit_key_finish(&next);
		return -EINVAL;
	}
	return take_over(s, &next, next_path);
}

static int go_on(struct bh_audit_seal *s, struct bh_audit_found *f)
{
	char bh_autofree *next_path = bh_xasprintf("%s.next", s->key_path);

	int e = bh_audit_key_load(s->key_path, &s->key);
	if (e == -EINVAL) { /* erased, but the new one has not got its name yet */
		e = bh_audit_key_load(next_path, &s->key);
		if (e == 0 && rename(next_path, s->key_path) < 0)
			e = -errno;
	}
	if (e < 0)
		return e == -EINVAL ? -ENOENT : e;
	if ((e = read_last(s, f)) < 0)
		return e;
	if (f->last.has_next && !bh_verifier_eq(&f->last.next, &s->key.pub) &&
		(e = finish_change(s, &f->last)) < 0)
		return e == -EINVAL ? -ENOENT : e;
	s->tree = f->last.tree;
	s->signed_size = s->tree.size;
	s->signed_sequence = f->last.sequence;
	return 0;
}

static char *make_name(const char *node)
{
	char clean[49];
	uint8_t r[8];
	size_t n = 0;

	for (const char *c = node; *c && n < sizeof(clean) - 1; c++)
		if ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
			(*c >= '0' && *c <= '9') || *c == '.' || *c == '-' || *c == '_')
			clean[n++] = *c;
	clean[n] = '\0';
	if (getrandom(r, sizeof(r), 0) != sizeof(r))
		return NULL;
	return bh_xasprintf("bulkhead.audit/%s/%02x%02x%02x%02x%02x%02x%02x%02x",
		n ? clean : "node", r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7]);
}

static int set_aside_if_any(const char *path)
{
	struct stat st;
	char *to = NULL;

	if (lstat(path, &st) < 0 || st.st_size == 0)
		return 0;
	int e = bh_audit_set_aside(path, "old", &to);
	free(to);
	return e;
}

static int begin_keys(struct bh_audit_seal *s)
{
	struct bh_buf bh_autobuf line = {0};
	char bh_autofree *pub = bh_verifier_format(&s->key.pub);
	bh_buf_printf(&line, "%s\n\n", pub);
	return append_keys(s, line.s, line.len);
}

int bh_audit_seal_find(struct bh_audit_seal *s, bool *ret_found)
{
	bool keys = access(s->keys_path, F_OK) == 0 || errno != ENOENT;
	bool notes = !bh_audit_moved(s->notes_path, s->fd);
	int e = keys && notes ? 0 : bh_audit_make_directory(s->notes_path);

	if (e == 0 && !keys)
		e = begin_keys(s);
	if (e == 0 && !notes && (e = set_aside_if_any(s->notes_path)) == 0) {
		int fd = open_notes(s->notes_path, 0);
		if (fd < 0)
			return fd;
		close(s->fd);
		s->fd = fd;
	}
	*ret_found = keys && notes;
	return e;
}

/* A new tree under a new name: never two trees under one. */
static int begin(struct bh_audit_seal *s, const char *node, int64_t now)
{
	char bh_autofree *name = make_name(node);
	int e = name ? bh_audit_key_new(name, now, &s->key) : -EIO;

	if (e < 0 || (e = set_aside_if_any(s->notes_path)) < 0 ||
		(e = set_aside_if_any(s->keys_path)) < 0)
		return e;
	close(s->fd);
	if ((s->fd = open_notes(s->notes_path, 0)) < 0)
		return s->fd;
	bh_audit_key_erase(s->key_path);
	if ((e = bh_audit_key_save(&s->key, s->key_path)) < 0)
		return e;
	return begin_keys(s);
}

int bh_audit_seal_open(const char *log_path, const char *key_path, const char *node, int64_t now,
	struct bh_audit_seal *ret, struct bh_audit_found *ret_found)
{
	struct bh_audit_found f = {0};
	struct bh_audit_seal s = {
		.log_path = bh_xstrdup(log_path),
		.notes_path = bh_xasprintf("%s.checkpoints", log_path),
		.keys_path = bh_xasprintf("%s.keys", log_path),
		.key_path = bh_xstrdup(key_path),
		.leaf = bh_xcalloc(BH_NOTE_LEAVES_MAX, BH_NOTE_PREFIX),
	};
	struct stat st;

	int e = s.fd = open_notes(s.notes_path, 0);
	if (e >= 0 && (fstat(s.fd, &st) < 0 || !S_ISREG(st.st_mode)))
		e = -EINVAL;
	if (e >= 0 && (e = go_on(&s, &f)) == -ENOENT) {
		f.fresh = true;
		f.lost = st.st_size > 0;
		bh_audit_key_finish(&s.key);
		e = begin(&s, node, now);
	}
	if (e < 0) {
		bh_audit_seal_finish(&s);
		bh_audit_found_finish(&f);
		return e;
	}
	*ret = s;
	*ret_found = f;
	return 0;
}

void bh_audit_seal_finish(struct bh_audit_seal *s)
{
	free(s->log_path);
	free(s->notes_path);
	free(s->keys_path);
	free(s->key_path);
	free(s->leaf);
	if (s->fd >= 0)
		close(s->fd);
	bh_audit_key_finish(&s->key);
	*s = (struct bh_audit_seal){.fd = -1};
}

void bh_audit_found_finish(struct bh_audit_found *f)
{
	bh_checkpoint_finish(&f->last);
}
