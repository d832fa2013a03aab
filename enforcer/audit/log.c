/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The file: one record, one line, appended. Half a line never stays: when the disk refuses the rest
 * it is cut off again, or, where the file may only grow, finished by the next try.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "audit/private.h"

int bh_audit_make_directory(const char *path)
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

/* O_NONBLOCK: opening must not wait for the reader of a FIFO that stands at the path. The lock says
 * to others, and to `bulkhead audit verify`, that somebody writes it. */
static int open_file(const char *path, int flags, uint64_t *ret_size)
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
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	*ret_size = (uint64_t)st.st_size;
	return BH_TAKE_FD(fd);
}

static void sync_directory(const char *path)
{
	char bh_autofree *copy = bh_xstrdup(path);
	int bh_autoclose fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		fsync(fd);
}

int bh_audit_log_open(const char *path, struct bh_audit_log *ret)
{
	uint64_t size;
	int e = bh_audit_make_directory(path);
	if (e < 0)
		return e;
	int fd = open_file(path, 0, &size);
	if (fd < 0)
		return fd;
	sync_directory(path);
	*ret = (struct bh_audit_log){.path = bh_xstrdup(path), .fd = fd, .size = size};
	return 0;
}

int bh_audit_log_open_new(struct bh_audit_log *l)
{
	uint64_t size;
	int e = bh_audit_make_directory(l->path);
	int fd = e < 0 ? e : open_file(l->path, 0, &size);
	if (fd < 0)
		return fd;
	if (size > 0) {
		close(fd);
		return -EEXIST;
	}
	sync_directory(l->path);
	close(l->fd);
	l->fd = fd;
	l->size = 0;
	/* Half a line stays with the old file for good; the new one gets all of it. */
	l->offset = 0;
	l->dirty = false;
	return 0;
}

void bh_audit_log_finish(struct bh_audit_log *l)
{
	free(l->path);
	if (l->fd >= 0)
		close(l->fd);
	*l = (struct bh_audit_log){.fd = -1};
}

/* What of text[0, n), which is in the file now, are whole lines. */
static size_t whole_lines(const char *text, size_t n)
{
	const char *nl = memrchr(text, '\n', n);
	return nl ? (size_t)(nl + 1 - text) : 0;
}

static void settle_partial(struct bh_audit_log *l, size_t partial)
{
	l->offset = partial;
	/* They are ours: nobody else writes to it. */
	if (partial && partial <= l->size && ftruncate(l->fd, (off_t)(l->size - partial)) == 0) {
		l->size -= partial;
		l->offset = 0;
	}
}

int bh_audit_log_write(struct bh_audit_log *l, const char *text, size_t len, size_t *ret_done)
{
	size_t had = l->offset;
	ssize_t n;

	*ret_done = 0;
	do
		n = write(l->fd, text + had, len - had);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	l->dirty = true;
	l->size += (size_t)n;
	if ((size_t)n == len - had) {
		l->offset = 0;
		*ret_done = len;
		return 0;
	}
	*ret_done = whole_lines(text, had + (size_t)n);
	settle_partial(l, had + (size_t)n - *ret_done);
	return -ENOSPC;
}

int bh_audit_log_sync(struct bh_audit_log *l)
{
	if (!l->dirty)
		return 0;
	if (fdatasync(l->fd) < 0)
		return -errno;
	l->dirty = false;
	return 0;
}

bool bh_audit_moved(const char *path, int fd)
{
	struct stat mine, there;
	return fstat(fd, &mine) == 0 &&
	       (stat(path, &there) < 0
			       ? errno == ENOENT
			       : mine.st_dev != there.st_dev || mine.st_ino != there.st_ino);
}
