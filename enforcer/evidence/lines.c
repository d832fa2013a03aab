/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "evidence/lines.h"

#include <bulkhead/util.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define LINE_MAX_BYTES ((size_t)1 << 20) /* no line of ours is longer */

int bh_lines_open(const char *path, struct bh_lines *ret, char **ret_what)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		int e = fd < 0 ? -errno : -EINVAL;
		if (fd >= 0)
			close(fd);
		*ret_what = bh_xasprintf("%s: %s", path, fd < 0 ? strerror(-e) : "is no file");
		return e;
	}
	*ret = (struct bh_lines){.fd = fd, .buf = bh_xcalloc(1, LINE_MAX_BYTES)};
	return 0;
}

void bh_lines_close(struct bh_lines *r)
{
	close(r->fd);
	free(r->buf);
}

int bh_lines_next(struct bh_lines *r, const char **ret, size_t *ret_len)
{
	for (;;) {
		char *nl = memchr(r->buf + r->at, '\n', r->have - r->at);
		if (nl || r->have - r->at == LINE_MAX_BYTES) {
			*ret = r->buf + r->at;
			*ret_len = nl ? (size_t)(nl - *ret) : LINE_MAX_BYTES;
			r->at += *ret_len + (nl ? 1 : 0);
			return 1;
		}
		if (r->end) {
			*ret_len = r->have - r->at;
			return 0;
		}
		memmove(r->buf, r->buf + r->at, r->have - r->at);
		r->have -= r->at;
		r->at = 0;
		ssize_t n = read(r->fd, r->buf + r->have, LINE_MAX_BYTES - r->have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		r->end = n == 0;
		r->have += (size_t)n;
	}
}
