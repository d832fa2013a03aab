/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an earlier run left: the sequence to go on from, and perhaps half a line, because the
 * machine lost power or the disk was full. Nothing is removed without a trace: half a line goes to
 * PATH.torn (and into the gap record), a file that holds no record at all is renamed.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "audit/private.h"

#define RECOVER_WINDOW ((size_t)8 << 20) /* of the file's end */
#define MAX_ASIDE 1000

void bh_audit_recovery_finish(struct bh_audit_recovery *r)
{
	free(r->torn_text);
	free(r->torn_path);
	free(r->aside);
	*r = (struct bh_audit_recovery){0};
}

/* event.sequence of one line, 0 if it is not a record. */
static uint64_t line_sequence(const char *line, size_t len)
{
	json_t *rec = json_loadb(line, len, 0, NULL);
	json_int_t n =
		json_integer_value(json_object_get(json_object_get(rec, "event"), "sequence"));
	json_decref(rec);
	return n > 0 ? (uint64_t)n : 0;
}

/* The sequence of the last complete record in text. */
static uint64_t last_sequence(const char *text, size_t len)
{
	while (len > 0) {
		const char *nl = memrchr(text, '\n', len - 1);
		const char *line = nl ? nl + 1 : text;
		uint64_t seq = line_sequence(line, len - (size_t)(line - text));
		if (seq)
			return seq;
		len = (size_t)(line - text);
	}
	return 0;
}

/* The last part of the file; owned. */
static int read_end(int fd, size_t size, char **ret, size_t *ret_len)
{
	size_t want = size < RECOVER_WINDOW ? size : RECOVER_WINDOW, have = 0;
	char bh_autofree *buf = bh_xcalloc(want + 1, 1);

	while (have < want) {
		ssize_t n = pread(fd, buf + have, want - have, (off_t)(size - want + have));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	*ret = BH_TAKE_PTR(buf);
	*ret_len = have;
	return 0;
}

/* A log rotated while nobody ran: the sequence goes on from PATH.1, logrotate's name for it. */
static uint64_t rotated_sequence(const char *path)
{
	char bh_autofree *name = bh_xasprintf("%s.1", path);
	int bh_autoclose fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char bh_autofree *text = NULL;
	struct stat st;
	size_t len;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0)
		return 0;
	if (read_end(fd, (size_t)st.st_size, &text, &len) < 0)
		return 0;
	while (len > 0 && text[len - 1] != '\n')
		len--;
	return last_sequence(text, len);
}

static int set_aside(const char *path, char **ret)
{
	for (int i = 1; i <= MAX_ASIDE; i++) {
		char bh_autofree *to = bh_xasprintf("%s.unreadable-%d", path, i);
		if (renameat2(AT_FDCWD, path, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
			*ret = BH_TAKE_PTR(to);
			return 0;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int save_torn(const char *path, const char *text, size_t len, char **ret)
{
	char bh_autofree *name = bh_xasprintf("%s.torn", path);
	int bh_autoclose fd = open(
		name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
	char bh_autofree *line = bh_xcalloc(len + 1, 1);

	if (fd < 0)
		return -errno;
	memcpy(line, text, len);
	line[len] = '\n';
	ssize_t n = write(fd, line, len + 1);
	if (n < 0 || (size_t)n != len + 1)
		return n < 0 ? -errno : -ENOSPC;
	if (fdatasync(fd) < 0)
		return -errno;
	*ret = BH_TAKE_PTR(name);
	return 0;
}

static int cut_torn(
	const char *path, int fd, size_t size, const char *text, struct bh_audit_recovery *r)
{
	int e = save_torn(path, text, r->torn, &r->torn_path);
	if (e < 0 && r->torn > BH_AUDIT_TORN_SHOWN)
		return e; /* it would be lost: the gap record holds only its beginning */
	size_t shown = r->torn < BH_AUDIT_TORN_SHOWN ? r->torn : BH_AUDIT_TORN_SHOWN;
	r->torn_text = bh_xstrndup(text, shown);
	if (ftruncate(fd, (off_t)(size - r->torn)) == 0)
		return 0;
	/* An append-only file (chattr +a) cannot be cut: end the line instead. */
	if (errno != EPERM)
		return -errno;
	return write(fd, "\n", 1) == 1 ? 0 : -errno;
}

int bh_audit_recover(const char *path, int fd, struct bh_audit_recovery *ret)
{
	struct bh_audit_recovery r = {0};
	char bh_autofree *text = NULL;
	struct stat st;
	size_t len, whole;
	int e;

	if (fstat(fd, &st) < 0)
		return -errno;
	size_t size = (size_t)st.st_size;
	if (size == 0) {
		r.sequence = rotated_sequence(path);
		*ret = r;
		return 0;
	}
	e = read_end(fd, size, &text, &len);
	if (e < 0)
		return e;
	for (whole = len; whole > 0 && text[whole - 1] != '\n'; whole--)
		;
	r.sequence = last_sequence(text, whole);
	if (r.sequence == 0 && (whole > 0 || size > len)) {
		e = set_aside(path, &r.aside);
	} else if (whole < len) {
		r.torn = len - whole;
		e = cut_torn(path, fd, size, text + whole, &r);
		if (r.sequence == 0)
			r.sequence = rotated_sequence(path);
	}
	if (e < 0) {
		bh_audit_recovery_finish(&r);
		return e;
	}
	*ret = r;
	return 0;
}
