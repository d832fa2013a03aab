/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See notify.h. The protocol is one datagram; libsystemd would be a large library for it. */
#include "core/notify.h"

#include <bulkhead/util.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

int bh_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	if (!path || !*path)
		return 0;
	size_t len = strlen(path);
	if ((path[0] != '/' && path[0] != '@') || len >= sizeof(sa.sun_path))
		return -EINVAL;
	memcpy(sa.sun_path, path, len);
	if (path[0] == '@') /* abstract */
		sa.sun_path[0] = '\0';
	int bh_autoclose fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	ssize_t n = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&sa, size);
	return n < 0 ? -errno : 0;
}
