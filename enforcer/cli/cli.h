/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the commands share. A command gets its options parsed and its words counted, asks the daemon
 * through client.c, prints through table.c, and returns an exit code.
 */
#pragma once

#include <bulkhead/diag.h>
#include <jansson.h>

#define CLI_DEFAULT_SOCKET "/run/bulkhead/bulkhead.sock"

enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1, /* the answer is no, or it failed */
	CLI_USAGE = 2, /* asked wrongly, by our account or the daemon's */
	CLI_UNREACHABLE = 3, /* the daemon does not answer */
};

struct cli_option {
	char letter; /* 0 = none */
	const char *
		name; /* "--name"; "output" in the place of the global one: arg lists all formats */
	/* What its value is called; NULL = a flag. Ends with "…": may be given several times. */
	const char *arg;
	const char *text;
};
#define CLI_MAX_OPTIONS 10

struct cli_values { /* of an option that may be given several times, in order; borrowed texts */
	const char **item;
	size_t n, cap;
};

struct cli {
	const char *socket;
	bool json; /* -o json */
	const char *format; /* -o, as given; NULL: table */
	bool tty; /* standard output is a terminal */
	int columns; /* of it; 0: nothing is cut */
	bool colour;
	long timeout_s; /* how long the daemon may take to answer; 0: a minute */
	/* Of the command, by its index; "" for a given flag. The last one of those that may be
	 * given several times, which are all in `all`. */
	const char *opt[CLI_MAX_OPTIONS];
	struct cli_values all[CLI_MAX_OPTIONS];
};

struct cli_command {
	const char *name; /* "learn export" */
	const char *args; /* "FILE|DIR…", or "" */
	const char *summary;
	const char *help; /* more about it; may be NULL */
	int min, max; /* words after the name; max −1 = any */
	struct cli_option option[CLI_MAX_OPTIONS]; /* ends with name NULL */
	int (*run)(struct cli *cli, int argc, char **argv);
};

/* --- commands.c --- */
extern const struct cli_command cli_commands[];
extern const size_t cli_n_commands;
/* The command whose name the words begin with; *ret_words is how many words that takes. */
const struct cli_command *cli_find_command(int argc, char **argv, int *ret_words);

/* --- help.c: of a list of n commands --- */
void cli_help(const struct cli_command *list, size_t n, FILE *out);
/* "policy": false if no command begins with that word and another. */
bool cli_help_group(const struct cli_command *list, size_t n, const char *group, FILE *out);
int cli_unknown_command(const struct cli_command *list, size_t n, int argc, char **argv);

/* --- options.c --- */
/* Parses options out of argv, which keeps only the words; *argc is adjusted. CLI_OK, CLI_USAGE, or
 * −1: help was asked for. cmd may be NULL: only the global options. stop: at the first word. */
int cli_parse(struct cli *cli, const struct cli_command *cmd, int *argc, char **argv, bool stop);
void cli_finish(struct cli *cli); /* frees what parsing collected */
/* cmd NULL: what was asked wrongly is a value; the help of the running command is named. */
int cli_usage_error(const struct cli_command *cmd, const char *fmt, ...) BH_PRINTF(2, 3);
void cli_running(const struct cli_command *cmd); /* from now on */
void cli_command_help(const struct cli_command *cmd, FILE *out);

/* Whether -o json is among the words: also of those that can't be parsed. */
bool cli_wants_json(int argc, char **argv);

/* --- errors.c: standard error, for people or, with -o json, for programs. Texts are safe ones ---
 */
void cli_errors_as_json(bool json); /* before anything else of it */
/* Why it failed, a line of it. People see "bulkhead: …". */
void cli_error(const char *fmt, ...) BH_PRINTF(1, 2);
void cli_hint(const char *fmt, ...) BH_PRINTF(1, 2); /* after an error: what to do about it */
void cli_error_http(int status); /* the daemon refused it so */
void cli_error_diags(const struct bh_diags *d); /* those of a failure, or warnings */
void cli_warn(const char *fmt, ...) BH_PRINTF(1, 2); /* it was done, but */
void cli_note(const char *fmt, ...) BH_PRINTF(1, 2);
/* Once, at the end: prints the error of a program's. */
void cli_errors_end(int status);
/* [{"file", "line", "column", "path", "what", "remedy", "severity"}], absent ones null. */
json_t *cli_diags_json(const struct bh_diag *d, size_t n);

/* --- client.c --- */
struct cli_reply {
	int status; /* HTTP */
	json_t *json; /* owned; NULL if the body is no JSON */
	char *text; /* owned; the body as it came */
};
void cli_reply_finish(struct cli_reply *r);
#define cli_autoreply __attribute__((cleanup(cli_reply_finish)))
/* Asks the daemon. body (borrowed) may be NULL. CLI_OK, or the exit code; the complaint has been
 * printed then, and ret holds an error's body if there was one. */
int cli_ask(struct cli *cli, const char *method, const char *target, const json_t *body,
	struct cli_reply *ret);
/* The same without complaint: 0 when there was any answer, else −errno of connecting. */
int cli_try(struct cli *cli, const char *method, const char *target, const json_t *body,
	struct cli_reply *ret);
/* For the common case: GET and, for -o json or yaml, print. *ret_done: nothing is left to print. */
int cli_get(struct cli *cli, const char *target, struct cli_reply *ret, bool *ret_done);
/* GET whose answer is a document in YAML, printed. */
int cli_print_document(struct cli *cli, const char *target);
char *cli_urlencode(const char *s); /* owned */
/* Adds "?name=value&…" for those of the first n options that are given. */
void cli_add_query(const struct cli *cli, const char *const *name, size_t n, struct bh_buf *target);
void cli_print_json(const struct cli *cli, const json_t *json);
char *cli_json_text(const json_t *json, size_t flags); /* of json_dumps(); owned, never NULL */
/* --- yaml.c --- */
void cli_print_yaml(const json_t *json); /* as YAML that reads as the same */

/* --- text.c: everything that is printed and not ours goes through here --- */
char *cli_safe(const char *s); /* control and bidi characters and non-UTF-8 escaped; "-" for NULL */
char *cli_safe_lines(const char *s); /* the same, but newlines and tabs stay */
char *cli_vformat(const char *fmt, va_list ap); /* as bh_xasprintf; owned */
/* The text, or its beginning and end with "…" in between (of a list its
 * beginning), at most `width` (2 at least) wide. Owned.
 */
char *cli_cut(const char *s, int width);
int cli_width(const char *s); /* columns on a terminal, of what cli_safe gave */
const char *cli_time(const char *rfc3339, char buf[static 24]); /* "2026-01-02 03:04:05" or "-" */
/* "60s", "5m", "2h", "7d" in seconds, 1..max; a number alone is none, as in the configuration. */
bool cli_seconds(const char *text, uint64_t max, uint64_t *ret);
const char *cli_bytes(json_int_t n, char buf[static 16]); /* "812 B", "1.4 KiB", "23 MiB" */
const char *cli_paint(const struct cli *cli, const char *sgr); /* "\033[…m" or "" */
const char *cli_colour_of(const char *word); /* sgr for a mode, verdict; NULL = none */
/* Members of JSON objects that need not be there. */
const char *cli_str(const json_t *o, const char *key); /* NULL */
json_int_t cli_num(const json_t *o, const char *key); /* 0 */
bool cli_flag(const json_t *o, const char *key); /* false */
const char *cli_plural(const json_t *o, const char *key); /* of the noun behind o[key] */

/* --- table.c --- */
#define CLI_MAX_COLUMNS 16
struct cli_table {
	const struct cli *cli;
	const char *head[CLI_MAX_COLUMNS];
	size_t columns;
	int width[CLI_MAX_COLUMNS]; /* grows; kept between flushes */
	bool hidden[CLI_MAX_COLUMNS];
	bool left_out[CLI_MAX_COLUMNS]; /* hidden, although something stands there */
	char **cell;
	size_t n, cap;
	bool headed;
};
void cli_table_init(struct cli_table *t, const struct cli *cli, const char *const *head, size_t n);
/* One cell after the other, row by row. The text is made safe; NULL and "" become "-". */
void cli_table_add(struct cli_table *t, const char *text);
void cli_table_addf(struct cli_table *t, const char *fmt, ...) BH_PRINTF(2, 3);
/* "tcp/443" or "icmp", of an object with protocol and port. */
void cli_table_add_service(struct cli_table *t, const json_t *o);
/* Of an object with `volume`: bytes sent and received, two cells. */
void cli_table_add_volume(struct cli_table *t, const json_t *o);
/* "203.0.113.9 (api.example.com)": o[key], with what is in o[key_names]. */
void cli_table_add_named(struct cli_table *t, const json_t *o, const char *key);
void cli_table_add_list(struct cli_table *t, const json_t *strings); /* "a,b" */
void cli_table_flush(struct cli_table *t); /* prints the rows, the head before the first */
void cli_table_finish(struct cli_table *t); /* flushes */

/* The same text, for others than tables: not made safe for a terminal. Nothing without o[key]. */
void cli_put_named(const json_t *o, const char *key, struct bh_buf *out);

/* --- policy_files.c --- */
struct cli_file {
	char *name, *text;
	size_t len;
	bool in_directory; /* found in a directory, not named: may be empty */
};
struct cli_files {
	struct cli_file *item;
	size_t n, cap;
	size_t bytes; /* of all texts */
};
/* Reads files, directories (*.yaml, *.yml, *.json, sorted) and "-". What cannot be read is an error
 * in `unread`; the others are in ret all the same. Bounded in size, and in time unless it is
 * standard input or a pipe of the shell's. */
void cli_files_collect(int argc, char **argv, struct cli_files *ret, struct bh_diags *unread);
/* The same, for who needs all of them. CLI_OK or CLI_FAILED, with the complaints printed. */
int cli_files_read(int argc, char **argv, struct cli_files *ret);
void cli_files_finish(struct cli_files *f);
/* Prints "bulkhead: FILE: WHAT" for each, on standard error. */
void cli_complain(const struct bh_diags *unread);
/* Parses them as policies. *ret_policies: how many. */
void cli_files_check(const struct cli_files *f, struct bh_diags *diags, size_t *ret_policies);
void cli_print_diags(const struct bh_diags *d, FILE *out);

/* --- textdiff.c --- */
/* The lines of a and b (NULL: there is none) as hunks of a unified diff, without its head. */
void cli_textdiff(const char *a, const char *b, struct bh_buf *out);

/* --- policy.c --- */
/* Reads and checks the files and makes the body that apply and plan send; errors are printed. */
int cli_policy_body(int argc, char **argv, struct cli_files *ret_files, json_t **ret);
/* "60s", "5m", "1h" of --confirm-within in seconds; the complaint is printed. */
int cli_confirm_within(const char *text, json_t *body);
/* The same and the message (both may be NULL). */
int cli_change_options(const char *message, const char *within, json_t *body);
void cli_print_confirm(const json_t *reply); /* what is to be done while it is on trial */
/* The table of what happens to each policy. */
void cli_print_actions(struct cli *cli, const json_t *reply);

/* --- policy_diff.c --- */
/* [{"policy", "change": "added|removed|changed", "diff"}] between two [{"policy", "text"}]. */
json_t *cli_policy_changes(const json_t *from, const json_t *to);
void cli_print_changes(
	const struct cli *cli, const json_t *changes, const char *from, const char *to);

/* --- learn.c --- */
void cli_print_edges(struct cli *cli, const json_t *reply);

/* --- ps.c --- */
void cli_add_id(struct cli_table *t, const char *id); /* short if it is a container's */

/* --- plan_replay.c --- */
/* Waits for the replay that a plan's answer names, and puts its result in its place. CLI_FAILED
 * also if something would be denied. */
int cli_replay_fetch(struct cli *cli, json_t *reply);
void cli_print_replay(struct cli *cli, const json_t *replay); /* nothing, if it is none */

/* --- program.c --- */
char *cli_daemon_program(
	void); /* where bulkheadd is: beside this program, in the PATH …; owned, NULL */
/* Runs it and reads the JSON that it prints. 0 with *ret owned, or −errno; what it complains of
 * goes to our standard error. */
int cli_daemon_ask(char **argv, json_t **ret);

/* --- watch.c: until SIGINT, SIGTERM, or nobody reads any more --- */
void cli_watch_begin(void);
bool cli_watch_pause(unsigned ms); /* false: it is over */
bool cli_watch_over(void); /* by a signal */

/* --- the commands, a file per verb --- */
int cli_status(struct cli *cli, int argc, char **argv);
int cli_doctor(struct cli *cli, int argc, char **argv);
int cli_ps(struct cli *cli, int argc, char **argv);
int cli_workload_show(struct cli *cli, int argc, char **argv);
int cli_impact(struct cli *cli, int argc, char **argv);
int cli_flows(struct cli *cli, int argc, char **argv);
int cli_learn_status(struct cli *cli, int argc, char **argv);
int cli_graph(struct cli *cli, int argc, char **argv);
int cli_drift(struct cli *cli, int argc, char **argv);
int cli_learn_show(struct cli *cli, int argc, char **argv);
int cli_learn_review(struct cli *cli, int argc, char **argv);
int cli_learn_reset(struct cli *cli, int argc, char **argv);
int cli_learn_export(struct cli *cli, int argc, char **argv);
/* plan_state.c. Answers as POST /v1/policies/plan; *ret is owned. in NULL: the first state. */
int cli_plan_from_state(
	const char *state, const char *in, bool prune, const struct cli_files *f, json_t **ret);
int cli_policy_check(struct cli *cli, int argc, char **argv);
int cli_policy_test(struct cli *cli, int argc, char **argv);
int cli_policy_compile(struct cli *cli, int argc, char **argv);
int cli_policy_apply(struct cli *cli, int argc, char **argv);
int cli_policy_plan(struct cli *cli, int argc, char **argv);
int cli_policy_diff(struct cli *cli, int argc, char **argv);
int cli_policy_history(struct cli *cli, int argc, char **argv);
int cli_policy_show(struct cli *cli, int argc, char **argv);
int cli_policy_rollback(struct cli *cli, int argc, char **argv);
int cli_policy_confirm(struct cli *cli, int argc, char **argv);
int cli_policy_cancel(struct cli *cli, int argc, char **argv);
int cli_policy_delete(struct cli *cli, int argc, char **argv);
int cli_policy_list(struct cli *cli, int argc, char **argv);
int cli_mode_get(struct cli *cli, int argc, char **argv);
int cli_mode_set(struct cli *cli, int argc, char **argv);
int cli_mode_clear(struct cli *cli, int argc, char **argv);
int cli_quarantine_add(struct cli *cli, int argc, char **argv);
int cli_quarantine_rm(struct cli *cli, int argc, char **argv);
int cli_quarantine_list(struct cli *cli, int argc, char **argv);
int cli_feed_list(struct cli *cli, int argc, char **argv);
int cli_feed_show(struct cli *cli, int argc, char **argv);
int cli_feed_test(struct cli *cli, int argc, char **argv);
int cli_feed_add(struct cli *cli, int argc, char **argv);
int cli_feed_rm(struct cli *cli, int argc, char **argv);
int cli_feed_refresh(struct cli *cli, int argc, char **argv);
int cli_explain(struct cli *cli, int argc, char **argv);
int cli_state(struct cli *cli, int argc, char **argv);
int cli_audit_export(struct cli *cli, int argc, char **argv);
int cli_report_access(struct cli *cli, int argc, char **argv);
int cli_report_changes(struct cli *cli, int argc, char **argv);
int cli_report_rules(struct cli *cli, int argc, char **argv);
int cli_audit_verify(struct cli *cli, int argc, char **argv);
int cli_audit_prove(struct cli *cli, int argc, char **argv);
int cli_audit_tail(struct cli *cli, int argc, char **argv);
int cli_flush(struct cli *cli, int argc, char **argv);
int cli_version(struct cli *cli, int argc, char **argv);
