/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bulkhead flush: the daemon's own --flush does it, because this program never speaks netlink. A
 * running daemon would put the rules back within a second, so it has to be stopped first.
 */
#include <errno.h>
#include <limits.h>

#include "cli/cli.h"

static bool executable(const char *path)
{
	return access(path, X_OK) == 0;
}

static void try_in(const char *dir, size_t len, char **ret)
{
	if (*ret || len == 0)
		return;
	char bh_autofree *path = bh_xasprintf("%.*s/bulkheadd", (int)len, dir);
	if (executable(path))
		*ret = BH_TAKE_PTR(path);
}

/* Beside this program, in the sbin beside its bin, in the PATH, where root's programs are. */
static char *find_daemon(void)
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

int cli_flush(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	struct cli_reply cli_autoreply r = {0};
	int e = cli_try(cli, "GET", "/v1/status", NULL, &r);
	char bh_autofree *socket = cli_safe(cli->socket);

	if (e == -EACCES || e == -EPERM) {
		cli_error("no permission to use %s", socket);
		cli_hint("use sudo");
		return CLI_UNREACHABLE;
	}
	if (e != -ENOENT && e != -ECONNREFUSED && e != -ENOTDIR) {
		cli_error(
			"bulkheadd is running at %s and would put its rules back at once", socket);
		cli_hint("stop it first: systemctl stop bulkhead; then: bulkhead flush");
		return CLI_FAILED;
	}
	char bh_autofree *daemon = find_daemon();
	if (!daemon) {
		cli_error("bulkheadd is not beside this program and not in the PATH");
		cli_hint("its rules go with: nft delete table inet bulkhead; "
			 "nft delete table bridge bulkhead");
		return CLI_FAILED;
	}
	fflush(NULL);
	execl(daemon, "bulkheadd", "--flush", (char *)NULL);
	cli_error("%s: %s", daemon, strerror(errno));
	return CLI_FAILED;
}
