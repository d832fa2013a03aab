/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bulkhead-fastpath: loads the program of the fast path into the kernel, for the daemon, which gets
 * the descriptors by the socket that is standard input, or a line that says why not. A process of
 * its own because libbpf reads the types of the whole kernel for it, and keeps them; the daemon
 * needs nothing of that. It changes nothing at any interface: a program that nobody holds is gone.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fastpath/program.h"
#include "program_object.h" /* program.bpf.c, compiled */

static char why[512]; /* the first thing that libbpf said was wrong */

static int note(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	/* Locked memory was seen to already (main). */
	if (level == LIBBPF_WARN && !why[0] && !strstr(fmt, "RLIMIT_MEMLOCK"))
		vsnprintf(why, sizeof(why), fmt, ap);
	return 0;
}

static int hand_over(const int fd[static BH_FAST_FDS])
{
	union {
		struct cmsghdr head;
		char buf[CMSG_SPACE(sizeof(int) * BH_FAST_FDS)];
	} control = {0};
	char byte = '+';
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * BH_FAST_FDS);
	memcpy(CMSG_DATA(c), fd, sizeof(int) * BH_FAST_FDS);
	return sendmsg(STDIN_FILENO, &msg, 0) == 1 ? 0 : -errno;
}

static int complain(const char *what, int err)
{
	char text[640];
	why[strcspn(why, "\n")] = '\0';
	int n = snprintf(
		text, sizeof(text), "%s: %s%s%s", what, strerror(err), why[0] ? ": " : "", why);
	return write(STDIN_FILENO, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1) <
			       0
		       ? 2
		       : 1;
}

int main(void)
{
	static const char *const maps[] = {
		[BH_FAST_HOMES4] = "homes4",
		[BH_FAST_HOMES6] = "homes6",
		[BH_FAST_SETTINGS] = "settings",
		[BH_FAST_COUNTS] = "counts",
		[BH_FAST_PERMITS] = "permits",
		[BH_FAST_GATE] = "gate",
	};
	/* Kernels before 5.11 count maps as locked memory. */
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = BH_FAST_NAME);
	int fd[BH_FAST_FDS];

	setrlimit(RLIMIT_MEMLOCK, &all);
	libbpf_set_print(note);
	struct bpf_object *o = bpf_object__open_mem(bh_fast_object, sizeof(bh_fast_object), &opts);
	if (!o)
		return complain("the program can't be read", errno);
	if (bpf_object__load(o) < 0)
		return complain("the kernel does not take the program", errno);
	struct bpf_program *p = bpf_object__find_program_by_name(o, BH_FAST_NAME);
	fd[BH_FAST_PROGRAM] = p ? bpf_program__fd(p) : -1;
	for (int i = BH_FAST_PROGRAM + 1; i < BH_FAST_FDS; i++)
		fd[i] = bpf_object__find_map_fd_by_name(o, maps[i]);
	int r = hand_over(fd);
	return r < 0 ? complain("the program can't be handed over", -r) : 0;
}
