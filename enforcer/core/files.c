/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See files.h. */
#include "core/files.h"

#include <bulkhead/util.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>

int bh_file_read(const char *path, size_t max, char **ret, size_t *ret_len)
{
	int bh_autoclose fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	struct bh_buf bh_autobuf b = {0};
	char chunk[65536];
	ssize_t n;
	while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
		bh_buf_add(&b, chunk, (size_t)n);
		if (b.len > max)
			return -EFBIG;
	}
	if (n < 0)
		return -errno;
	*ret_len = b.len;
	*ret = bh_buf_take(&b);
	return 0;
}

int bh_file_sync_directory(const char *path)
{
	char bh_autofree *copy = bh_xstrdup(path);
	int bh_autoclose fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/* The leading dot keeps it out of every reader of the directory, ours included. */
char *bh_file_spare(const char *path)
{
	char bh_autofree *copy = bh_xstrdup(path), bh_autofree *copy2 = bh_xstrdup(path);
	return bh_xasprintf("%s/.%s.tmp", dirname(copy), basename(copy2));
}

int bh_file_write_spare(const char *path, const char *text, size_t len, unsigned mode)
{
	char bh_autofree *spare = bh_file_spare(path);
	unlink(spare); /* what an earlier run left may be more than a file */
	int bh_autoclose fd =
		open(spare, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	int r = write_all(fd, text, len);
	if (r < 0)
		unlink(spare);
	return r;
}

int bh_file_write_atomic(const char *path, const char *text, size_t len, unsigned mode)
{
	char bh_autofree *spare = bh_file_spare(path);
	int r = bh_file_write_spare(path, text, len, mode);
	if (r == 0 && rename(spare, path) < 0) {
		r = -errno;
		unlink(spare);
	}
	return r < 0 ? r : bh_file_sync_directory(path);
}

int bh_file_mkdirs(const char *path, unsigned mode)
{
	char bh_autofree *p = bh_xstrdup(path);
	for (char *c = p + 1; *c; c++) {
		if (*c != '/')
			continue;
		*c = '\0';
		if (mkdir(p, mode) < 0 && errno != EEXIST)
			return -errno;
		*c = '/';
	}
	return mkdir(p, mode) < 0 && errno != EEXIST ? -errno : 0;
}
