/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The socket file. It appears under its name only when it has its owner and mode and somebody
 * listens, by a rename, which also replaces the file a crashed daemon left. One on which somebody
 * answers is left alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "api/private.h"

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
	return mkdir(dir, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int make_address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(ret->sun_path))
		return -ENAMETOOLONG;
	memcpy(ret->sun_path, path, strlen(path));
	return 0;
}

/* 0: nothing there that counts; −EADDRINUSE: somebody listens; −ENOTSOCK: it is something else. */
static int check_stale(const char *path, const struct sockaddr_un *addr)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	int bh_autoclose fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno == EAGAIN)
		return -EADDRINUSE;
	return errno == ECONNREFUSED || errno == ENOENT ? 0 : -errno;
}

/* The group may talk to us; where it does not exist, root alone. */
static int set_access(const char *path)
{
	char buf[4096];
	struct group gr, *found = NULL;

	if (getgrnam_r("bulkhead", &gr, buf, sizeof(buf), &found) == 0 && found)
		if (chown(path, (uid_t)-1, gr.gr_gid) < 0 && errno != EPERM)
			return -errno;
	return chmod(path, 0660) < 0 ? -errno : 0;
}

static int bind_as(const char *temp, const char *path)
{
	struct sockaddr_un addr;
	int e = make_address(temp, &addr);
	if (e < 0)
		return e;
	int bh_autoclose fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* The file gets the mode of the socket's inode: nobody slips in before set_access. */
	if (fchmod(fd, 0600) < 0)
		return -errno;
	unlink(temp);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	e = set_access(temp);
	if (e == 0 && listen(fd, 128) < 0)
		e = -errno;
	if (e == 0 && rename(temp, path) < 0)
		e = -errno;
	if (e < 0) {
		unlink(temp);
		return e;
	}
	return BH_TAKE_FD(fd);
}

int bh_api_listen(const char *path, uint64_t *ret_dev, uint64_t *ret_ino)
{
	struct sockaddr_un addr;
	struct stat st;

	int e = make_address(path, &addr);
	if (e == 0)
		e = make_directory(path);
	if (e == 0)
		e = check_stale(path, &addr);
	if (e < 0)
		return e;
	char bh_autofree *copy = bh_xstrdup(path);
	char bh_autofree *temp = bh_xasprintf("%s/.bh%d", dirname(copy), (int)getpid());
	int bh_autoclose fd = bind_as(temp, path);
	if (fd < 0)
		return fd;
	if (lstat(path, &st) < 0)
		return -errno;
	*ret_dev = st.st_dev;
	*ret_ino = st.st_ino;
	return BH_TAKE_FD(fd);
}

void bh_api_unlisten(const char *path, uint64_t dev, uint64_t ino)
{
	struct stat st;
	if (lstat(path, &st) == 0 && st.st_dev == dev && st.st_ino == ino)
		unlink(path);
}
