/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reports for reviewers: tables of text, in the form that was asked for. What stands in them is
 * anybody's (names of containers, comments); each form makes it harmless in its own way.
 */
#pragma once

#include "cli/cli.h"

#define CLI_REPORT_COLUMNS 10

struct cli_report_column {
	const char *key; /* in JSON and CSV */
	const char *head; /* for people */
};
struct cli_report_section {
	const char *key; /* first column of CSV where there are several; NULL: of the only one */
	const char *title; /* for people; NULL */
	char *note; /* owned; NULL */
	char **cell; /* owned; row by row */
	size_t n, cap;
};
struct cli_report {
	const char *name; /* "access" */
	const char *title; /* "Access between workloads" */
	const char *controls; /* which controls it is evidence for */
	const struct cli_report_column *column;
	size_t columns;
	int marked; /* column whose cells … */
	const char *bad[3]; /* … have these values are shown in red; NULL ends */
	/* What is to be known of the whole: label, text; both owned. */
	struct cli_report_fact {
		char *label, *text;
	} * fact;
	size_t n_facts, cap_facts;
	struct cli_report_section section[2];
	size_t sections;
};

/* Cell by cell; NULL is the empty cell. */
void cli_report_add(struct cli_report_section *s, const char *text);
void cli_report_addf(struct cli_report_section *s, const char *fmt, ...) BH_PRINTF(2, 3);
void cli_report_add_time(
	struct cli_report_section *s, const char *rfc3339); /* to the second, UTC */
void cli_report_fact(struct cli_report *r, const char *label, const char *fmt, ...) BH_PRINTF(3, 4);
void cli_report_finish(struct cli_report *r);
/* How many rows the section has. */
size_t cli_report_rows(const struct cli_report *r, const struct cli_report_section *s);

enum cli_report_form { CLI_REPORT_TABLE, CLI_REPORT_CSV, CLI_REPORT_HTML };
/* Of --format; the complaint is printed. */
int cli_report_form_of(const char *format, enum cli_report_form *ret);
void cli_report_print(struct cli *cli, const struct cli_report *r, enum cli_report_form form);

/* The result of a report that the daemon makes over --since (NULL: otherwise), waited for. */
int cli_report_fetch(
	struct cli *cli, const char *what, const char *since, const char *otherwise, json_t **ret);
/* Facts that reports of the daemon share: the time, what the flow table can tell, versions. */
void cli_report_daemon_facts(struct cli_report *r, const json_t *reply);
