/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead-fastpath is started, and what it hands over taken. */
#include "fastpath/private.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "beside.h"

#define PATIENCE_MS 10000

extern char **environ;

long bh_fast_possible_cpus(void)
{
	FILE bh_autofclose *f = fopen("/sys/devices/system/cpu/possible", "re");
	unsigned first, last;
	int n = f ? fscanf(f, "%u-%u", &first, &last) : 0;

	/* "0-63", or "0"; lists with gaps end with the highest as well. */
	if (n < 1)
		return 0;
	last = n == 2 ? last : first;
	while (fscanf(f, "%*[,-]%u", &first) == 1)
		last = first;
	return (long)last + 1;
}

static int start(const char *program, int socket, pid_t *ret)
{
	char *argv[] = {(char *)program, NULL};
	posix_spawn_file_actions_t files;
	int r = posix_spawn_file_actions_init(&files);

	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&files, socket, STDIN_FILENO);
	if (r == 0)
		r = posix_spawn(ret, program, &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	return -r;
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Signals (a reload, a child of somebody else's here that ended) are no answer. */
static bool answers(int socket)
{
	struct pollfd p = {.fd = socket, .events = POLLIN};
	int64_t until = now_ms() + PATIENCE_MS, left;

	while ((left = until - now_ms()) > 0) {
		int n = poll(&p, 1, (int)left);
		if (n >= 0 || errno != EINTR)
			return n > 0;
	}
	return false;
}

/* Descriptors into fd; or a text into buf, and −ENOSYS. */
static int receive(int socket, int fd[static BH_FAST_FDS], char *buf, size_t size)
{
	union {
		struct cmsghdr head;
		char buf[CMSG_SPACE(sizeof(int) * BH_FAST_FDS)];
	} control;
	struct iovec iov = {buf, size - 1};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf)};

	if (!answers(socket))
		return -ETIMEDOUT;
	ssize_t got = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	buf[got > 0 ? got : 0] = '\0';
	const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
		c->cmsg_len == CMSG_LEN(sizeof(int) * BH_FAST_FDS)) {
		memcpy(fd, CMSG_DATA(c), sizeof(int) * BH_FAST_FDS);
		return 0;
	}
	return got > 0 ? -ENOSYS : -ECHILD;
}

int bh_fast_load(int fd[static BH_FAST_FDS], char **ret_why)
{
	char bh_autofree *program = bh_beside("bulkhead-fastpath", BH_LIBEXECDIR);
	int pair[2] = {-1, -1};
	char text[768];
	pid_t pid;

	if (access(program, X_OK) < 0) {
		*ret_why = bh_xasprintf(
			"%s is not there: it is built where clang and libbpf are", program);
		return -EOPNOTSUPP;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	int r = start(program, pair[1], &pid);
	close(pair[1]);
	if (r < 0) {
		close(pair[0]);
		*ret_why = bh_xasprintf("%s: %s", program, strerror(-r));
		return r;
	}
	r = receive(pair[0], fd, text, sizeof(text));
	close(pair[0]);
	kill(pid, SIGKILL); /* it has nothing more to do */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		*ret_why = r == -ENOSYS   ? bh_xstrdup(text)
			   : r == -ECHILD ? bh_xasprintf("%s ended without a word", program)
					  : bh_xasprintf("%s: %s", program, strerror(-r));
	return r;
}
