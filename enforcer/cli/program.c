/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The daemon's program, which does what needs netlink: this one never speaks it. */
#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <sys/wait.h>

#include "cli/cli.h"

#define ANSWER_MAX (8 << 20)

extern char **environ;

static void try_in(const char *dir, size_t len, char **ret)
{
	if (*ret || len == 0)
		return;
	char bh_autofree *path = bh_xasprintf("%.*s/bulkheadd", (int)len, dir);
	if (access(path, X_OK) == 0)
		*ret = BH_TAKE_PTR(path);
}

char *cli_daemon_program(void)
{
	static const char *const others[] = {"/usr/local/sbin", "/usr/sbin", "/sbin"};
	char self[PATH_MAX];
	char *found = NULL;

	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		char *slash = strrchr(self, '/');
		*slash = '\0';
		try_in(self, strlen(self), &found);
		char bh_autofree *sbin = bh_xasprintf("%s/../sbin", self);
		try_in(sbin, strlen(sbin), &found);
	}
	for (const char *p = getenv("PATH"); p && *p;) {
		size_t len = strcspn(p, ":");
		if (*p == '/')
			try_in(p, len, &found);
		p += len + (p[len] == ':');
	}
	for (size_t i = 0; i < BH_ARRAY_SIZE(others); i++)
		try_in(others[i], strlen(others[i]), &found);
	return found;
}

static json_t *read_answer(int fd)
{
	struct bh_buf bh_autobuf b = {0};
	char part[16384];
	ssize_t n;

	while ((n = read(fd, part, sizeof(part))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0 && b.len < ANSWER_MAX)
			bh_buf_add(&b, part, (size_t)n);
	return b.len ? json_loadb(b.s, b.len, 0, NULL) : NULL;
}

int cli_daemon_ask(char **argv, json_t **ret)
{
	char bh_autofree *path = cli_daemon_program();
	posix_spawn_file_actions_t to;
	int out[2], status = 0;
	pid_t pid;

	if (!path)
		return -ENOENT;
	if (pipe(out) < 0)
		return -errno;
	posix_spawn_file_actions_init(&to);
	posix_spawn_file_actions_adddup2(&to, out[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclose(&to, out[0]);
	posix_spawn_file_actions_addclose(&to, out[1]);
	int e = posix_spawn(&pid, path, &to, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&to);
	close(out[1]);
	json_t *answer = e ? NULL : read_answer(out[0]);
	close(out[0]);
	if (e)
		return -e;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!answer)
		return -EIO;
	*ret = answer;
	return 0;
}
