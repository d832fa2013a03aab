/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bulkhead flush: the daemon's own --flush does it, because this program never speaks netlink. A
 * running daemon would put the rules back within a second, so it has to be stopped first.
 */
#include <errno.h>

#include "cli/cli.h"

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
	char bh_autofree *daemon = cli_daemon_program();
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
