/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Another file for the log, another key for the seal. Numbers and tree go on; the first record of
 * the new file names the one before, its size and root. Killed at any point, the next start finds
 * either the old state or the new one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>

#include "audit/private.h"

#define NUMBER_DIGITS 12
#define ROTATED_MAX 4096

/* What is of the future is as old as it is far: a clock that was years ahead for a minute must not
 * keep a file, or a key, for years. */
bool bh_audit_is_old(int64_t since, uint64_t age_s, int64_t now)
{
	int64_t age = now > since ? now - since : since - now;
	return age_s && age >= (int64_t)age_s * 1000000;
}

bool bh_audit_turn_is_due(const struct bh_audit_turn *t, int64_t now)
{
	if (t->log->size == 0)
		return false;
	return (t->opts->rotate_size && t->log->size >= t->opts->rotate_size) ||
	       bh_audit_is_old(t->file_since, t->opts->rotate_s, now);
}

static json_t *hex(const uint8_t *p, size_t n)
{
	struct bh_buf bh_autobuf b = {0};
	for (size_t i = 0; i < n; i++)
		bh_buf_printf(&b, "%02x", p[i]);
	return json_string(b.s);
}

json_t *bh_audit_turn_previous(const struct bh_audit_turn *t, const char *name)
{
	uint8_t root[BH_TREE_HASH];
	char bh_autofree *copy = name ? bh_xstrdup(name) : NULL;

	bh_tree_root(&t->seal->tree, root);
	return json_pack("{s:I, s:{s:o, s:I, s:I, s:o}}", "previous_sequence",
		(json_int_t)t->sequence, "previous", "file",
		bh_audit_text(copy ? basename(copy) : NULL, 4096), "bytes",
		(json_int_t)t->log->size, "tree_size", (json_int_t)t->seal->tree.size, "tree_root",
		hex(root, sizeof(root)));
}

char *bh_audit_turn_name(const struct bh_audit_turn *t)
{
	return bh_xasprintf(
		"%s.%0*llu", t->log->path, NUMBER_DIGITS, (unsigned long long)t->sequence);
}

int bh_audit_turn_rotate(struct bh_audit_turn *t, int64_t now, json_t **ret_details)
{
	char bh_autofree *name = bh_audit_turn_name(t);

	if (renameat2(AT_FDCWD, t->log->path, AT_FDCWD, name, RENAME_NOREPLACE) < 0)
		return -errno;
	json_t *details = bh_audit_turn_previous(t, name);
	int e = bh_audit_log_open_new(t->log);
	if (e < 0) {
		/* Back: the file that is open goes on. */
		renameat2(AT_FDCWD, name, AT_FDCWD, t->log->path, RENAME_NOREPLACE);
		json_decref(details);
		return e;
	}
	t->file_since = now;
	if ((e = bh_audit_seal_turn(t->seal, name, t->sequence, now)) < 0)
		/* The notes go on in their file; the new one begins there. */
		e = bh_audit_seal_sign(t->seal, t->sequence, 0, now);
	*ret_details = details;
	return e;
}

int bh_audit_turn_reopen(struct bh_audit_turn *t, int64_t now, json_t **ret_details)
{
	char link[64], name[4096] = "", *aside = NULL;
	struct stat st;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", t->log->fd);
	ssize_t n = readlink(link, name, sizeof(name) - 1);
	name[n > 0 ? n : 0] = '\0';
	/* An empty file was made for us, with an owner perhaps; anything else is not ours. */
	int e = stat(t->log->path, &st) == 0 && (st.st_size > 0 || !S_ISREG(st.st_mode))
			? bh_audit_set_aside(t->log->path, "unsigned", &aside)
			: 0;
	if (e < 0)
		return e;
	json_t *details = bh_audit_turn_previous(t, *name ? name : NULL);
	e = bh_audit_log_open_new(t->log);
	if (e == 0) {
		t->file_since = now;
		e = bh_audit_seal_sign(t->seal, t->sequence, 0, now);
	}
	if (aside)
		bh_audit_set(details, "aside", bh_audit_text(aside, 4096));
	free(aside);
	if (e < 0 && t->file_since != now) {
		json_decref(details);
		return e;
	}
	*ret_details = details;
	return e;
}

int bh_audit_turn_change_key(struct bh_audit_turn *t, int64_t now, json_t **ret_details)
{
	char bh_autofree *old = bh_verifier_format(&t->seal->key.pub);
	int e = bh_audit_seal_change_key(t->seal, t->sequence, t->log->size, now);
	if (e < 0)
		return e;
	char bh_autofree *new = bh_verifier_format(&t->seal->key.pub);
	*ret_details = json_pack("{s:s, s:s, s:I}", "from", old, "to", new, "tree_size",
		(json_int_t)t->seal->tree.size);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_rotated(const char *name, const char *base)
{
	size_t len = strlen(base);
	return strncmp(name, base, len) == 0 && name[len] == '.' &&
	       strlen(name + len + 1) == NUMBER_DIGITS &&
	       strspn(name + len + 1, "0123456789") == NUMBER_DIGITS;
}

/* Names of rotated files, oldest first; owned. */
static size_t list_rotated(DIR *d, const char *base, char **ret)
{
	const struct dirent *e;
	size_t n = 0;

	while (n < ROTATED_MAX && (e = readdir(d)))
		if (is_rotated(e->d_name, base))
			ret[n++] = bh_xstrdup(e->d_name);
	qsort(ret, n, sizeof(*ret), by_name);
	return n;
}

static bool remove_one(int dir, const char *name)
{
	char bh_autofree *notes = bh_xasprintf("%s.checkpoints", name);
	if (unlinkat(dir, name, 0) < 0)
		return false;
	unlinkat(dir, notes, 0);
	return true;
}

json_t *bh_audit_turn_prune(struct bh_audit_turn *t)
{
	char bh_autofree *copy = bh_xstrdup(t->log->path), bh_autofree *again = bh_xstrdup(copy);
	const char *base = basename(again);
	json_t *removed = NULL;

	if (!t->opts->keep)
		return NULL;
	DIR *d = opendir(dirname(copy));
	if (!d)
		return NULL;
	char **name = bh_xcalloc(ROTATED_MAX, sizeof(*name));
	size_t n = list_rotated(d, base, name);
	for (size_t i = 0; i < n; i++) {
		if (i + t->opts->keep < n && remove_one(dirfd(d), name[i])) {
			if (!removed)
				removed = json_array();
			json_array_append_new(removed, bh_audit_text(name[i], 4096));
		}
		free(name[i]);
	}
	free(name);
	closedir(d);
	return removed ? json_pack("{s:o}", "files", removed) : NULL;
}
