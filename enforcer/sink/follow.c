/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sys/stat.h>

#include "sink/private.h"

#define NUMBER_DIGITS 12 /* of a rotated file's name: the number of its last record */

void bh_follow_init(struct bh_follow *f, const char *log, uint64_t after)
{
	*f = (struct bh_follow){.log = bh_xstrdup(log),
		.sequence = after,
		.fd = -1,
		.buf = bh_xcalloc(1, BH_FOLLOW_LINE)};
}

static void close_file(struct bh_follow *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	f->at = f->have = 0;
	f->last_look = false;
}

void bh_follow_seek(struct bh_follow *f, uint64_t after)
{
	close_file(f);
	f->sequence = after;
}

void bh_follow_finish(struct bh_follow *f)
{
	close_file(f);
	free(f->log);
	free(f->buf);
}

static uint64_t number_of(const char *name, const char *base)
{
	size_t len = strlen(base);
	if (strncmp(name, base, len) != 0 || name[len] != '.' ||
		strlen(name + len + 1) != NUMBER_DIGITS ||
		strspn(name + len + 1, "0123456789") != NUMBER_DIGITS)
		return 0;
	return strtoull(name + len + 1, NULL, 10);
}

/* The last number of the oldest rotated file that has records we have not given; 0: none has. */
static uint64_t find_rotated(const struct bh_follow *f)
{
	char bh_autofree *copy = bh_xstrdup(f->log), bh_autofree *again = bh_xstrdup(copy);
	const char *base = basename(again);
	DIR *d = opendir(dirname(copy));
	const struct dirent *e;
	uint64_t best = 0;

	while (d && (e = readdir(d))) {
		uint64_t n = number_of(e->d_name, base);
		if (n > f->sequence && (!best || n < best))
			best = n;
	}
	if (d)
		closedir(d);
	return best;
}

static int open_next(struct bh_follow *f)
{
	uint64_t n = find_rotated(f);
	char bh_autofree *name =
		n ? bh_xasprintf("%s.%0*llu", f->log, NUMBER_DIGITS, (unsigned long long)n)
		  : bh_xstrdup(f->log);

	close_file(f);
	f->rotated = n > 0;
	f->fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return f->fd < 0 ? -errno : 0;
}

static bool has_moved(const struct bh_follow *f)
{
	struct stat mine, there;
	return fstat(f->fd, &mine) < 0 || stat(f->log, &there) < 0 || mine.st_ino != there.st_ino ||
	       mine.st_dev != there.st_dev;
}

/* At the end of the file: 1: read again, 0: there is nothing now */
static int at_end(struct bh_follow *f)
{
	if (!f->rotated && !f->last_look) {
		if (!has_moved(f))
			return 0;
		f->last_look = true; /* what was written before it was renamed */
		return 1;
	}
	int e = open_next(f);
	return e == -ENOENT ? 0 : e < 0 ? e : 1;
}

static int fill(struct bh_follow *f)
{
	memmove(f->buf, f->buf + f->at, f->have - f->at);
	f->have -= f->at;
	f->at = 0;
	if (f->have == BH_FOLLOW_LINE)
		f->have = 0; /* no line of ours: over it */
	ssize_t n = read(f->fd, f->buf + f->have, BH_FOLLOW_LINE - f->have);
	if (n < 0)
		return errno == EINTR ? 1 : -errno;
	f->have += (size_t)n;
	return n > 0 ? 1 : at_end(f);
}

int bh_follow_next(struct bh_follow *f, const char **ret, size_t *ret_len, json_t **ret_rec)
{
	int e = f->fd < 0 ? open_next(f) : 0;

	if (e < 0)
		return e == -ENOENT ? 0 : e;
	for (;;) {
		char *nl = memchr(f->buf + f->at, '\n', f->have - f->at);
		if (!nl) {
			if ((e = fill(f)) <= 0)
				return e;
			continue;
		}
		const char *line = f->buf + f->at;
		size_t len = (size_t)(nl - line);
		f->at += len + 1;
		json_t *rec = json_loadb(line, len, 0, NULL);
		json_int_t n = bh_render_num(rec, "event.sequence");
		if (n > 0 && (uint64_t)n > f->sequence) {
			f->sequence = (uint64_t)n;
			*ret = line;
			*ret_len = len;
			*ret_rec = rec;
			return 1;
		}
		json_decref(rec);
	}
}
