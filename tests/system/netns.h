/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Network namespaces for tests. The test program leaves the one that it was started in at once
 * (bh_ns_leave) and makes others by children that hold them; they have no names, so nothing stays
 * behind, whatever way the test ends.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define BH_TEST_SKIP 77 /* meson's exit code for a skipped test */

/* Into a network namespace of our own, with sysctls of its own in /proc/sys. Skips the whole
 * program where that is not allowed. */
static inline void bh_ns_leave(void)
{
	if (unshare(CLONE_NEWNET) < 0) {
		fprintf(stderr, "skipped: no new network namespace: %s\n", strerror(errno));
		exit(BH_TEST_SKIP);
	}
}

/* A shell command; its output goes to ours. Returns its exit status. */
__attribute__((format(printf, 1, 2))) static inline int bh_sh(const char *fmt, ...)
{
	char cmd[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	int r = system(cmd);
	if (r != 0)
		fprintf(stderr, "failed (%d): %s\n", r, cmd);
	return r;
}

/* A child that holds a new network namespace (/proc/PID/ns/net) until it is killed. */
static inline pid_t bh_ns_new(void)
{
	int ready[2];
	char c;

	if (pipe(ready) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) == 0 && write(ready[1], "", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(ready[1]);
	bool ok = pid > 0 && read(ready[0], &c, 1) == 1;
	close(ready[0]);
	return ok ? pid : -1;
}

static inline void bh_ns_kill(pid_t pid)
{
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

/* A socket that lives in the namespace of `pid`; the caller stays where it is. */
static inline int bh_ns_socket(pid_t pid, int family, int type, int protocol)
{
	char path[64];
	int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int ns = open(path, O_RDONLY | O_CLOEXEC);
	if (own >= 0 && ns >= 0 && setns(ns, CLONE_NEWNET) == 0) {
		fd = socket(family, type | SOCK_CLOEXEC, protocol);
		if (setns(own, CLONE_NEWNET) < 0)
			abort();
	}
	if (ns >= 0)
		close(ns);
	if (own >= 0)
		close(own);
	return fd;
}
