/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The file: one record, one line, one write(2) with O_APPEND. A record that the disk refused waits
 * with its sequence in a bounded backlog and is tried again, in order, so that the file never shows
 * a gap that is not explained. Half a line never stays: it is cut off again, or, where the file
 * may only grow, finished by the next try.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>

#include "audit/private.h"

static int make_directory(const char *path)
{
	char bh_autofree *copy = bh_xstrdup(path);
	char *dir = dirname(copy);

	for (char *p = dir + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(dir, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return mkdir(dir, 0750) < 0 && errno != EEXIST ? -errno : 0;
}

/* O_NONBLOCK: opening must not wait for the reader of a FIFO that stands at the path. */
static int open_file(const char *path, int flags)
{
	struct stat st;
	int bh_autoclose fd = open(path,
		O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags, 0640);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return BH_TAKE_FD(fd);
}

static void sync_directory(const char *path)
{
	char bh_autofree *copy = bh_xstrdup(path);
	int bh_autoclose fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		fsync(fd);
}

static int open_recovered(const char *path, struct bh_audit_recovery *rec)
{
	int bh_autoclose fd = open_file(path, 0);
	if (fd < 0)
		return fd;
	int e = bh_audit_recover(path, fd, rec);
	if (e < 0)
		return e;
	if (rec->aside) {
		close(fd);
		fd = open_file(path, O_EXCL);
		if (fd < 0)
			return fd;
	}
	sync_directory(path);
	return BH_TAKE_FD(fd);
}

int bh_audit_log_open(const char *path, struct bh_audit_recovery *rec, struct bh_audit_log *ret)
{
	int e = make_directory(path);
	if (e < 0)
		return e;
	int fd = open_recovered(path, rec);
	if (fd < 0)
		return fd;
	*ret = (struct bh_audit_log){
		.path = bh_xstrdup(path),
		.fd = fd,
		.line = bh_xcalloc(BH_AUDIT_MAX_BACKLOG, sizeof(struct bh_audit_line)),
	};
	return 0;
}

void bh_audit_log_finish(struct bh_audit_log *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->line[(l->head + i) % BH_AUDIT_MAX_BACKLOG].text);
	free(l->line);
	free(l->path);
	if (l->fd >= 0)
		close(l->fd);
	*l = (struct bh_audit_log){.fd = -1};
}

bool bh_audit_log_room(const struct bh_audit_log *l)
{
	return l->count < BH_AUDIT_MAX_BACKLOG && l->bytes < BH_AUDIT_MAX_BACKLOG_BYTES;
}

void bh_audit_log_push(struct bh_audit_log *l, char *text, size_t len)
{
	l->line[(l->head + l->count) % BH_AUDIT_MAX_BACKLOG] =
		(struct bh_audit_line){.text = text, .len = len};
	l->count++;
	l->bytes += len;
}

/* Takes the last n bytes back out of the file. They are ours: nobody else writes to it. */
static int cut(int fd, size_t n)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)n)
		return -EINVAL;
	return ftruncate(fd, st.st_size - (off_t)n) < 0 ? -errno : 0;
}

static int write_line(struct bh_audit_log *l, const struct bh_audit_line *line)
{
	ssize_t n;
	do
		n = write(l->fd, line->text + l->offset, line->len - l->offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	l->dirty = true;
	if ((size_t)n == line->len - l->offset)
		return 0;
	if (l->offset > 0 || cut(l->fd, (size_t)n) < 0)
		l->offset += (size_t)n; /* cannot be cut: the next try goes on from here */
	return -ENOSPC;
}

int bh_audit_log_drain(struct bh_audit_log *l)
{
	while (l->count > 0) {
		struct bh_audit_line *line = &l->line[l->head];
		int e = write_line(l, line);
		if (e < 0) {
			l->last_error = e;
			return e;
		}
		l->bytes -= line->len;
		free(line->text);
		*line = (struct bh_audit_line){0};
		l->head = (l->head + 1) % BH_AUDIT_MAX_BACKLOG;
		l->count--;
		l->offset = 0;
		l->written++;
	}
	l->last_error = 0;
	return 0;
}

int bh_audit_log_sync(struct bh_audit_log *l)
{
	if (!l->dirty)
		return 0;
	if (fdatasync(l->fd) < 0) {
		l->last_error = -errno;
		return -errno;
	}
	l->dirty = false;
	return 0;
}

static bool same_file(int a, int b)
{
	struct stat x, y;
	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

int bh_audit_log_reopen(struct bh_audit_log *l, struct bh_audit_recovery *rec)
{
	int e = make_directory(l->path);
	if (e < 0)
		return e;
	int bh_autoclose probe = open_file(l->path, 0);
	if (probe < 0)
		return probe;
	if (same_file(probe, l->fd))
		return 0; /* and its half line, if any, is ours to finish */
	int bh_autoclose fd = open_recovered(l->path, rec);
	if (fd < 0)
		return fd;
	bh_audit_log_drain(l); /* what waits belongs to the old file, if that takes it */
	bh_audit_log_sync(l);
	if (l->offset > 0) {
		/* The old file keeps half of this line for good; the new one gets all of it. */
		l->offset = 0;
	}
	close(l->fd);
	l->fd = BH_TAKE_FD(fd);
	l->dirty = false;
	return 1;
}

bool bh_audit_log_unlinked(const struct bh_audit_log *l)
{
	struct stat st;
	return fstat(l->fd, &st) == 0 && st.st_nlink == 0;
}
