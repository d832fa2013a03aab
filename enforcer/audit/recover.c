/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an earlier run left beyond its last checkpoint: records that nobody signed, and perhaps half
 * a line, because the machine lost power or the disk was full. Nothing is removed without a trace:
 * what is no record goes to PATH.torn (and into a record), a file that the checkpoint does not
 * describe is renamed.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "audit/private.h"

#define RECOVER_WINDOW ((size_t)8 << 20) /* of the file's end */
#define READ_STEP ((size_t)1 << 20)
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

static ssize_t read_at(int fd, char *buf, size_t want, size_t at)
{
	size_t have = 0;
	while (have < want) {
		ssize_t n = pread(fd, buf + have, want - have, (off_t)(at + have));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

int bh_audit_read_end(int fd, size_t size, size_t max, char **ret, size_t *ret_len)
{
	size_t want = size < max ? size : max;
	char bh_autofree *buf = bh_xcalloc(want + 1, 1);

	ssize_t n = read_at(fd, buf, want, size - want);
	if (n < 0)
		return (int)n;
	*ret = BH_TAKE_PTR(buf);
	*ret_len = (size_t)n;
	return 0;
}

/* The number of the last record within the first `size` bytes. */
static uint64_t sequence_before(int fd, size_t size)
{
	static const size_t window[] = {BH_AUDIT_MAX_LINE, RECOVER_WINDOW};

	for (size_t i = 0; i < BH_ARRAY_SIZE(window); i++) {
		size_t want = size < window[i] ? size : window[i];
		char bh_autofree *text = bh_xcalloc(want + 1, 1);
		ssize_t n = read_at(fd, text, want, size - want);
		while (n > 0 && text[n - 1] != '\n')
			n--;
		uint64_t seq = n > 0 ? last_sequence(text, (size_t)n) : 0;
		if (seq || want == size)
			return seq;
	}
	return 0;
}

int bh_audit_set_aside(const char *path, const char *word, char **ret)
{
	for (int i = 1; i <= MAX_ASIDE; i++) {
		char bh_autofree *to = bh_xasprintf("%s.%s-%d", path, word, i);
		if (renameat2(AT_FDCWD, path, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
			*ret = BH_TAKE_PTR(to);
			return 0;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

/* Copies the file from `at` to its end into PATH.torn. */
static int save_torn(const char *path, int fd, size_t at, size_t size, char **ret)
{
	char bh_autofree *name = bh_xasprintf("%s.torn", path);
	char bh_autofree *buf = bh_xcalloc(READ_STEP, 1);
	int bh_autoclose to = open(
		name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);

	if (to < 0)
		return -errno;
	while (at < size) {
		ssize_t n = read_at(fd, buf, size - at < READ_STEP ? size - at : READ_STEP, at);
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		if (write(to, buf, (size_t)n) != n)
			return -ENOSPC;
		at += (size_t)n;
	}
	if (write(to, "\n", 1) != 1)
		return -ENOSPC;
	if (fdatasync(to) < 0)
		return -errno;
	*ret = BH_TAKE_PTR(name);
	return 0;
}

/* Where a file may only grow (chattr +a) what is torn stays: it becomes a line of its own. */
static int keep_torn(int fd, const char *text, size_t len, bool ended, struct bh_audit_seal *seal)
{
	if (!ended && write(fd, "\n", 1) != 1)
		return -errno;
	for (size_t at = 0; at < len;) {
		const char *nl = memchr(text + at, '\n', len - at);
		size_t line = nl ? (size_t)(nl - text) - at : len - at;
		bh_audit_seal_add(seal, text + at, line);
		at += line + 1;
	}
	return 0;
}

static int take_out(const char *path, int fd, size_t at, size_t size, struct bh_audit_seal *seal,
	struct bh_audit_recovery *r)
{
	char bh_autofree *text = NULL;
	size_t len;

	r->torn = size - at;
	int e = save_torn(path, fd, at, size, &r->torn_path);
	if (e < 0 && r->torn > BH_AUDIT_TORN_SHOWN)
		return e; /* it would be lost: the record holds only its beginning */
	if ((e = bh_audit_read_end(fd, size, r->torn < RECOVER_WINDOW ? r->torn : RECOVER_WINDOW,
		     &text, &len)) < 0)
		return e;
	r->torn_text = bh_xstrndup(text, len < BH_AUDIT_TORN_SHOWN ? len : BH_AUDIT_TORN_SHOWN);
	if (ftruncate(fd, (off_t)at) == 0)
		return 0;
	if (errno != EPERM || len != r->torn)
		return -errno;
	return keep_torn(fd, text, len, text[len - 1] == '\n', seal);
}

/* Adds the records from `at` on, as long as each has the number that is due. Where they end. */
static ssize_t replay(
	int fd, size_t at, size_t size, struct bh_audit_seal *seal, struct bh_audit_recovery *r)
{
	char bh_autofree *buf = bh_xcalloc(READ_STEP, 1);

	while (at < size) {
		ssize_t n = read_at(fd, buf, size - at < READ_STEP ? size - at : READ_STEP, at);
		if (n < 0)
			return n;
		size_t used = 0;
		const char *nl;
		while ((nl = memchr(buf + used, '\n', (size_t)n - used))) {
			size_t len = (size_t)(nl - buf) - used;
			if (line_sequence(buf + used, len) != r->sequence + 1)
				return (ssize_t)(at + used);
			bh_audit_seal_add(seal, buf + used, len);
			r->sequence++;
			r->unsigned_records++;
			used += len + 1;
		}
		if (used == 0)
			break; /* half a line, or one longer than any of ours */
		at += used;
	}
	return (ssize_t)at;
}

/* Is this the file that the checkpoint was made of? */
static bool describes(const struct bh_checkpoint *c, int fd, size_t size)
{
	char end;
	if (c->offset == 0)
		return true;
	return c->offset <= size && pread(fd, &end, 1, (off_t)c->offset - 1) == 1 && end == '\n' &&
	       sequence_before(fd, c->offset) == c->sequence;
}

static int replay_file(const char *path, int fd, size_t size, const struct bh_checkpoint *last,
	struct bh_audit_seal *seal, struct bh_audit_recovery *r)
{
	ssize_t at = replay(fd, last->offset, size, seal, r);
	if (at < 0)
		return (int)at;
	return (size_t)at < size ? take_out(path, fd, (size_t)at, size, seal, r) : 0;
}

/* A log rotated while nobody ran: what nobody signed is in PATH.1, logrotate's name for it. */
static int replay_rotated(const char *path, const struct bh_checkpoint *last,
	struct bh_audit_seal *seal, struct bh_audit_recovery *r)
{
	char bh_autofree *name = bh_xasprintf("%s.1", path);
	int bh_autoclose fd = open(name, O_RDWR | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (last->offset == 0 || fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		!describes(last, fd, (size_t)st.st_size))
		return 0;
	return replay_file(name, fd, (size_t)st.st_size, last, seal, r);
}

/* Before there were checkpoints: only the numbers go on. */
static int begin_after(const char *path, int fd, size_t size, struct bh_audit_recovery *r)
{
	char bh_autofree *name = bh_xasprintf("%s.1", path);
	struct stat st;

	r->sequence = sequence_before(fd, size);
	if (size > 0) {
		r->why = "unsigned-file";
		return bh_audit_set_aside(path, "unsigned", &r->aside);
	}
	int bh_autoclose old = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (old >= 0 && fstat(old, &st) == 0 && S_ISREG(st.st_mode))
		r->sequence = sequence_before(old, (size_t)st.st_size);
	return 0;
}

int bh_audit_recover(const char *path, int fd, const struct bh_checkpoint *last,
	struct bh_audit_seal *seal, struct bh_audit_recovery *ret)
{
	struct bh_audit_recovery r = {.sequence = last ? last->sequence : 0};
	struct stat st;
	int e;

	if (fstat(fd, &st) < 0)
		return -errno;
	size_t size = (size_t)st.st_size;
	if (!last) {
		e = begin_after(path, fd, size, &r);
	} else if (size == 0) {
		e = replay_rotated(path, last, seal, &r);
	} else if (!describes(last, fd, size)) {
		r.why = "altered-file";
		e = bh_audit_set_aside(path, "altered", &r.aside);
	} else {
		e = replay_file(path, fd, size, last, seal, &r);
	}
	if (e < 0) {
		bh_audit_recovery_finish(&r);
		return e;
	}
	*ret = r;
	return 0;
}
