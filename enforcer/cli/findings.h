/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Diagnostics about files, collected, put in order, shown; see findings.c. */
#pragma once

#include "cli/cli.h"

struct cli_findings {
	struct bh_diag *item; /* owned; "and N more" is one of them, without a line */
	size_t n, cap;
	size_t hidden; /* that have no place of their own */
	size_t errors, warnings; /* all, also those not kept */
};

void cli_findings_take(struct cli_findings *f, struct bh_diags *from); /* empties from */
void cli_findings_sort(struct cli_findings *f); /* once, when all are taken */
void cli_findings_print(const struct cli *cli, const struct cli_findings *f);
json_t *cli_findings_json(const struct cli_findings *f);
void cli_findings_finish(struct cli_findings *f);
