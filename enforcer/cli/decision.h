/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the commands that ask no daemon share: states from files, decisions in words and JSON. */
#pragma once

#include <bulkhead/scenario.h>

#include "cli/cli.h"

/* state_file.c. The scenario of --state FILE ("-" is standard input); owned. NULL: the complaint
 * has been printed. */
struct bh_scenario *cli_state_load(const char *file);
/* The state that --in names, the first for NULL. NULL: complained. */
const struct bh_scenario_state *cli_state_pick(const struct bh_scenario *s, const char *name);

/* decision.c. */
bool cli_is_transport(uint8_t proto); /* one with ports */
/* As GET /v1/explain answers; owned. */
json_t *cli_decision_json(const struct bh_engine *e, const struct bh_flow *f);
/* "egress: open; ingress: denied, no rule allows it"; owned. */
char *cli_decision_reason(const struct bh_decision *d);

/* explain.c: an answer of /v1/explain for people. */
void cli_print_explanation(const struct cli *cli, const json_t *answer);
/* explain_state.c. port 0: the protocol has none. */
int cli_explain_state(struct cli *cli, const char *file, const char *state, char **words,
	uint8_t proto, uint16_t port);
