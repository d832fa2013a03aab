/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead version */
#include "cli/cli.h"

int cli_version(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	if (cli->json)
		puts("{\"version\": \"" BH_VERSION "\"}");
	else
		puts("bulkhead " BH_VERSION);
	return CLI_OK;
}
