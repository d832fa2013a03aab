/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bulkhead: the command line. Finds the command, parses its options, runs it. Exit codes are part
 * of its interface: 0 done, 1 the answer is no or it failed, 2 asked wrongly, 3 no daemon.
 */
#include <curl/curl.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "cli/cli.h"

#if defined(__has_feature) && !defined(__SANITIZE_ADDRESS__)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 /* as gcc has it */
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
/* Freed memory that waits for its detection counts against the bounds that hostile documents are
 * held to. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=4:thread_local_quarantine_size_kb=64:malloc_context_size=8";
}
#endif

/* "bulkhead help policy" and "bulkhead policy --help", of a command or a group of them. */
static int help(int argc, char **argv, FILE *out)
{
	int words;
	const struct cli_command *about = argc > 0 ? cli_find_command(argc, argv, &words) : NULL;
	if (about)
		cli_command_help(about, out);
	else if (argc == 0)
		cli_help(cli_commands, cli_n_commands, out);
	else if (argc > 1 || !cli_help_group(cli_commands, cli_n_commands, argv[0], out))
		return cli_unknown_command(cli_commands, cli_n_commands, argc, argv);
	return CLI_OK;
}

static bool asks_for_help(int argc, char **argv)
{
	return argc > 1 && (bh_streq(argv[1], "--help") || bh_streq(argv[1], "-h"));
}

static int run(struct cli *cli, int argc, char **argv)
{
	static char version[] = "version";
	int words;

	if (argc > 0 && (bh_streq(argv[0], "--version") || bh_streq(argv[0], "-V")))
		argv[0] = version;
	int r = cli_parse(cli, NULL, &argc, argv, true);
	if (r == CLI_USAGE)
		return r;
	if (r < 0 || argc == 0 || bh_streq(argv[0], "help")) {
		bool asked = r < 0 || argc > 0;
		if (!asked && cli->json)
			return cli_usage_error(NULL, "no command is given");
		r = help(r < 0 || argc == 0 ? 0 : argc - 1, argv + 1, asked ? stdout : stderr);
		return asked ? r : CLI_USAGE;
	}
	const struct cli_command *cmd = cli_find_command(argc, argv, &words);
	if (!cmd && asks_for_help(argc, argv) &&
		cli_help_group(cli_commands, cli_n_commands, argv[0], stdout))
		return CLI_OK;
	if (!cmd)
		return cli_unknown_command(cli_commands, cli_n_commands, argc, argv);
	argc -= words;
	argv += words;
	r = cli_parse(cli, cmd, &argc, argv, false);
	if (r < 0) {
		cli_command_help(cmd, stdout);
		return CLI_OK;
	}
	if (r != CLI_OK)
		return r;
	if (argc < cmd->min)
		return cli_usage_error(cmd, "%s needs %s", cmd->name, cmd->args);
	if (cmd->max >= 0 && argc > cmd->max)
		return cli_usage_error(cmd, "too many words: %s", argv[cmd->max]);
	cli_running(cmd);
	return cmd->run(cli, argc, argv);
}

int main(int argc, char **argv)
{
	const char *socket = getenv("BULKHEAD_SOCKET"), *no_colour = getenv("NO_COLOR");
	const char *term = getenv("TERM");
	struct cli cli = {
		.socket = socket && *socket ? socket : CLI_DEFAULT_SOCKET,
		.tty = isatty(STDOUT_FILENO),
	};

	/* For wcwidth. Everything we print is UTF-8 whatever the locale says. */
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		setlocale(LC_CTYPE, "");
	struct winsize size;
	if (cli.tty && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		cli.columns = size.ws_col;
	cli.colour = cli.tty && !(no_colour && *no_colour) && !bh_streq(term, "dumb");
	signal(SIGPIPE, SIG_IGN);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	cli_errors_as_json(cli_wants_json(argc - 1, argv + 1));
	int r = run(&cli, argc - 1, argv + 1);
	curl_global_cleanup();
	cli_finish(&cli);
	/* `bulkhead ps | head` is fine; a full disk behind a redirection is not. */
	errno = 0;
	if ((fflush(stdout) != 0 || ferror(stdout)) && errno != EPIPE && errno != 0) {
		cli_error("standard output: %s", strerror(errno));
		r = r == CLI_OK ? CLI_FAILED : r;
	}
	cli_errors_end(r);
	return r;
}
