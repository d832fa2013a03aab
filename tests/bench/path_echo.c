/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The server of new UDP flows: what comes to its port goes back, until a signal. */
#include "bench/path.h"

#include <err.h>
#include <stdio.h>
#include <sys/socket.h>

#define BATCH 64
#define BYTES 64

void path_echo(struct path_opts *o)
{
	static char data[BATCH][BYTES];
	static struct sockaddr_in from[BATCH];
	static struct iovec iov[BATCH];
	static struct mmsghdr msg[BATCH];
	struct sockaddr_in any = path_addr(INADDR_ANY, o->port);
	int size = 16 << 20;

	path_enter(o->lab[0].server);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0)
		err(1, "UDP port %u", o->port);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	puts("ready");
	fflush(stdout);
	for (;;) {
		for (size_t i = 0; i < BATCH; i++) {
			iov[i] = (struct iovec){data[i], BYTES};
			msg[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i],
				.msg_iovlen = 1,
				.msg_name = &from[i],
				.msg_namelen = sizeof(from[i])};
		}
		int n = recvmmsg(fd, msg, BATCH, MSG_WAITFORONE, NULL);
		for (int i = 0; i < n; i++)
			iov[i].iov_len = msg[i].msg_len;
		if (n > 0)
			sendmmsg(fd, msg, (unsigned)n, 0);
	}
}
