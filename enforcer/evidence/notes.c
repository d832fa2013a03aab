/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "evidence/notes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define NOTES_FILE_MAX ((size_t)1 << 30)
#define KEYS_MAX 65536

static int read_all(const char *path, char **ret, size_t *ret_len)
{
	int bh_autoclose fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	size_t have = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (size_t)st.st_size > NOTES_FILE_MAX)
		return -EINVAL;
	char bh_autofree *buf = bh_xcalloc(1, (size_t)st.st_size + 1);
	while (have < (size_t)st.st_size) {
		ssize_t n = read(fd, buf + have, (size_t)st.st_size - have);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		have += n > 0 ? (size_t)n : 0;
	}
	*ret = BH_TAKE_PTR(buf);
	*ret_len = have;
	return 0;
}

/* --- keys --- */

static struct bh_known_key *find_key(struct bh_notes *n, const struct bh_verifier *v)
{
	for (size_t i = 0; i < n->n_keys; i++)
		if (bh_verifier_eq(&n->key[i].v, v))
			return &n->key[i];
	return NULL;
}

static void add_key(struct bh_notes *n, const struct bh_verifier *v, uint64_t from, bool trusted)
{
	struct bh_known_key *k = find_key(n, v);

	if (k) {
		k->trusted |= trusted;
		return;
	}
	if (n->n_keys == KEYS_MAX)
		return;
	BH_GROW(n->key, n->n_keys, n->cap_keys);
	n->key[n->n_keys++] = (struct bh_known_key){
		.v = *v, .from = from, .until = UINT64_MAX, .trusted = trusted};
}

static struct bh_known_key *signer(
	const struct bh_notes *n, const struct bh_note *note, uint64_t size)
{
	for (size_t i = n->n_keys; i-- > 0;)
		if (size >= n->key[i].from && size <= n->key[i].until &&
			bh_note_is_signed_by(note, &n->key[i].v))
			return &n->key[i];
	return NULL;
}

/* A note that names the next key, signed by the one before and by the next itself. */
static void follow(struct bh_notes *n, const struct bh_note *note, const struct bh_checkpoint *c)
{
	struct bh_known_key *old = NULL;

	if (!c->has_next || !bh_note_is_signed_by(note, &c->next))
		return;
	for (size_t i = 0; i < n->n_keys && !old; i++)
		if (!bh_verifier_eq(&n->key[i].v, &c->next) &&
			bh_note_is_signed_by(note, &n->key[i].v))
			old = &n->key[i];
	if (!old)
		return;
	bool trusted = old->trusted;
	if (old->until == UINT64_MAX || old->until < c->tree.size)
		old->until = c->tree.size;
	add_key(n, &c->next, c->tree.size, trusted);
}

static void follow_all(struct bh_notes *n, const char *text, size_t len)
{
	for (size_t at = 0; at < len;) {
		struct bh_note note;
		struct bh_checkpoint c;
		size_t used;
		const char *end;

		if (bh_note_parse(text + at, len - at, &note, &used) == 0) {
			if (memmem(note.text, note.text_len, "\nnext-key ", 10) &&
				bh_checkpoint_parse(&note, &c) == 0) {
				follow(n, &note, &c);
				bh_checkpoint_finish(&c);
			}
			at += used;
		} else if ((end = memmem(text + at, len - at, "\n\n", 2))) {
			at = (size_t)(end + 2 - text);
		} else {
			break;
		}
	}
}

static size_t line_length(const char *text, size_t len)
{
	const char *nl = memchr(text, '\n', len);
	return nl ? (size_t)(nl - text) : len;
}

static int read_pub(const char *pub, struct bh_verifier *ret, char **ret_what)
{
	char bh_autofree *text = NULL;
	size_t len;

	if (bh_verifier_parse(pub, strlen(pub), ret) == 0)
		return 0;
	int e = read_all(pub, &text, &len);
	if (e == 0)
		e = bh_verifier_parse(text, line_length(text, len), ret);
	if (e < 0)
		*ret_what = bh_xasprintf("%s is neither a verifier key (NAME+HASH+BASE64) nor a "
					 "file that begins with one: %s",
			pub, strerror(-e));
	return e;
}

/* --- which files belong to a log's file --- */

/* "audit.jsonl.000000000123" and "audit.jsonl.1" are of the log "audit.jsonl". Owned. */
static char *base_of(const char *file)
{
	const char *dot = strrchr(file, '.');
	bool numbered = dot && dot[1] && strspn(dot + 1, "0123456789") == strlen(dot + 1);
	return bh_xstrndup(file, numbered ? (size_t)(dot - file) : strlen(file));
}

/* Reads a file once; *ret is NULL if it is not there or was read before. */
static int read_new(struct bh_notes *n, char *path, char **ret, size_t *ret_len, char **ret_what)
{
	*ret = NULL;
	*ret_len = 0;
	for (size_t i = 0; i < n->n_paths; i++)
		if (strcmp(n->path[i], path) == 0) {
			free(path);
			return 0;
		}
	BH_GROW(n->path, n->n_paths, n->cap_paths);
	n->path[n->n_paths++] = path;
	int e = read_all(path, ret, ret_len);
	if (e < 0 && e != -ENOENT) {
		*ret_what = bh_xasprintf("%s: %s", path, strerror(-e));
		return e;
	}
	return 0;
}

/* --- notes --- */

static void note_damage(struct bh_notes *n, uint64_t after)
{
	if (n->damaged++ == 0)
		n->damaged_after = after;
}

static void keep(struct bh_notes *n, const struct bh_known_key *k, struct bh_checkpoint *c,
	const char *text, size_t len, const char *path)
{
	BH_GROW(n->note, n->n, n->cap);
	n->note[n->n++] = (struct bh_known_note){.c = *c,
		.text = bh_xstrndup(text, len),
		.len = len,
		.path = path,
		.trusted = k->trusted};
}

/* The signer is known already; there may be a second one. */
static bool is_all_known(const struct bh_notes *n, const struct bh_note *note)
{
	for (size_t i = 0; note->n_signatures > 1 && i < note->n_signatures; i++) {
		struct bh_note one = *note;
		bool known = false;
		one.n_signatures = 1;
		one.signature[0] = note->signature[i];
		for (size_t k = 0; k < n->n_keys && !known; k++)
			known = bh_note_is_signed_by(&one, &n->key[k].v);
		if (!known)
			return false;
	}
	return true;
}

static void read_notes(struct bh_notes *n, const char *text, size_t len, const char *path)
{
	uint64_t after = 0;

	for (size_t at = 0; at < len;) {
		struct bh_note note;
		struct bh_checkpoint c;
		size_t used;
		int e = bh_note_parse(text + at, len - at, &note, &used);
		if (e == -EAGAIN)
			return; /* half a note at the end: written when the power went */
		if (e == 0 && bh_checkpoint_parse(&note, &c) == 0) {
			struct bh_known_key *k = signer(n, &note, c.tree.size);
			if (k && is_all_known(n, &note) && strcmp(c.origin, k->v.name) == 0) {
				after = c.tree.size;
				keep(n, k, &c, text + at, used, path);
				at += used;
				continue;
			}
			bh_checkpoint_finish(&c);
		}
		note_damage(n, after);
		const char *end = memmem(text + at, len - at, "\n\n", 2);
		if (!end)
			return;
		at = (size_t)(end + 2 - text);
	}
}

static int by_size(const void *a, const void *b)
{
	const struct bh_known_note *x = a, *y = b;
	if (x->c.tree.size != y->c.tree.size)
		return x->c.tree.size < y->c.tree.size ? -1 : 1;
	return x->c.time < y->c.time ? -1 : x->c.time > y->c.time;
}

static int load_keys(const struct bh_verify_opts *o, const char *text, size_t len,
	struct bh_notes *n, char **what)
{
	struct bh_verifier v;

	if (len && bh_verifier_parse(text, line_length(text, len), &v) == 0)
		add_key(n, &v, 0, !o->pub);
	if (o->pub) {
		int e = read_pub(o->pub, &v, what);
		if (e < 0)
			return e;
		add_key(n, &v, 0, true);
	}
	if (n->n_keys == 0)
		return 0;
	size_t skip = line_length(text, len);
	while (skip < len && text[skip] == '\n')
		skip++;
	follow_all(n, text + skip, len - skip);
	return 0;
}

int bh_notes_load(const struct bh_verify_opts *o, struct bh_notes *ret, char **ret_what)
{
	struct bh_notes n = {0};
	int e = 0;

	for (int pass = 0; pass < 2 && e == 0; pass++)
		for (size_t i = 0; i < 2 * o->n_files && e == 0; i++) {
			char bh_autofree *base =
				i % 2 ? base_of(o->file[i / 2]) : bh_xstrdup(o->file[i / 2]);
			char bh_autofree *text = NULL;
			size_t len = 0;
			e = read_new(&n, bh_xasprintf("%s.%s", base, pass ? "checkpoints" : "keys"),
				&text, &len, ret_what);
			if (e == 0 && !pass)
				e = load_keys(o, text ? text : "", len, &n, ret_what);
			else if (e == 0 && text) {
				follow_all(&n, text, len);
				read_notes(&n, text, len, n.path[n.n_paths - 1]);
			}
		}
	if (e == 0 && n.n_keys == 0) {
		e = -ENOKEY;
		*ret_what = access(o->file[0], F_OK) < 0
				    ? bh_xasprintf("%s: %s", o->file[0], strerror(errno))
				    : bh_xasprintf("%s.keys is not there: the public key is needed "
						   "(--pub)",
					      o->file[0]);
	}
	if (e < 0) {
		bh_notes_finish(&n);
		return e;
	}
	if (n.n)
		qsort(n.note, n.n, sizeof(*n.note), by_size);
	*ret = n;
	return 0;
}

int bh_notes_read_one(
	const struct bh_notes *n, const char *path, struct bh_known_note *ret, char **ret_what)
{
	char bh_autofree *text = NULL;
	struct bh_note note;
	struct bh_checkpoint c;
	size_t len, used;

	int e = read_all(path, &text, &len);
	if (e < 0) {
		*ret_what = bh_xasprintf("%s: %s", path, strerror(-e));
		return e;
	}
	if (bh_note_parse(text, len, &note, &used) < 0 || bh_checkpoint_parse(&note, &c) < 0) {
		*ret_what = bh_xasprintf("%s holds no checkpoint", path);
		return -EBADMSG;
	}
	if (!signer(n, &note, c.tree.size)) {
		bh_checkpoint_finish(&c);
		*ret_what = bh_xasprintf("%s is not signed by a key of this log", path);
		return -EBADMSG;
	}
	*ret = (struct bh_known_note){.c = c};
	return 0;
}

void bh_notes_finish(struct bh_notes *n)
{
	for (size_t i = 0; i < n->n; i++) {
		bh_checkpoint_finish(&n->note[i].c);
		free(n->note[i].text);
	}
	for (size_t i = 0; i < n->n_paths; i++)
		free(n->path[i]);
	free(n->note);
	free(n->path);
	free(n->key);
	*n = (struct bh_notes){0};
}
