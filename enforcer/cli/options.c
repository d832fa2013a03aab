/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Options: the global ones work before and after the command, its own after it. */
#include "cli/cli.h"

static const struct cli_option global[] = {
	{'o', "output", "table|wide|json", "how to print the answer"},
	{0, "socket", "PATH", "the daemon's socket (or BULKHEAD_SOCKET); " CLI_DEFAULT_SOCKET},
	{'h', "help", NULL, "this text"},
};

static const struct cli_command *running; /* NULL: none was found yet */

void cli_running(const struct cli_command *cmd)
{
	running = cmd;
}

int cli_usage_error(const struct cli_command *cmd, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char bh_autofree *text = cli_vformat(fmt, ap);
	va_end(ap);
	cli_error("%s", text);
	if (cmd)
		cli_hint("usage: bulkhead %s%s%s\nmore: bulkhead %s --help", cmd->name,
			*cmd->args ? " " : "", cmd->args, cmd->name);
	else if (running)
		cli_hint("more: bulkhead %s --help", running->name);
	else
		cli_hint("more: bulkhead help");
	return CLI_USAGE;
}

bool cli_wants_json(int argc, char **argv)
{
	bool json = false;
	for (int i = 0; i < argc && !bh_streq(argv[i], "--"); i++) {
		const char *value = NULL;
		if (bh_streq(argv[i], "-o") || bh_streq(argv[i], "--output"))
			value = i + 1 < argc ? argv[i + 1] : NULL;
		else if (strncmp(argv[i], "--output=", 9) == 0)
			value = argv[i] + 9;
		else if (strncmp(argv[i], "-o", 2) == 0)
			value = argv[i] + 2;
		if (value)
			json = bh_streq(value, "json");
	}
	return json;
}

static const char *formats_of(const struct cli_command *cmd)
{
	for (size_t i = 0; i < CLI_MAX_OPTIONS && cmd->option[i].name; i++)
		if (bh_streq(cmd->option[i].name, global[0].name))
			return cmd->option[i].arg;
	return global[0].arg;
}

static void option_help(const struct cli_option *o, int width, FILE *out)
{
	const char *arg = o->arg ? o->arg : "";
	char letter[] = {
		o->letter ? '-' : ' ', o->letter ? o->letter : ' ', o->letter ? ',' : ' ', '\0'};
	int pad = width - (int)strlen(o->name) - cli_width(arg);
	fprintf(out, "  %s --%s %s%*s  %s\n", letter, o->name, arg, pad, "", o->text);
}

static void widen(const struct cli_option *o, int *width)
{
	int own = (int)strlen(o->name) + (o->arg ? cli_width(o->arg) : 0);
	if (own > *width)
		*width = own;
}

void cli_command_help(const struct cli_command *cmd, FILE *out)
{
	fprintf(out, "usage: bulkhead %s%s%s\n\n%s.\n", cmd->name, *cmd->args ? " " : "", cmd->args,
		cmd->summary);
	if (cmd->help)
		fprintf(out, "%s\n", cmd->help);
	fputs("\noptions:\n", out);
	bool own = formats_of(cmd) != global[0].arg;
	int width = 0;
	for (size_t i = 0; i < CLI_MAX_OPTIONS && cmd->option[i].name; i++)
		widen(&cmd->option[i], &width);
	for (size_t i = own; i < BH_ARRAY_SIZE(global); i++)
		widen(&global[i], &width);
	for (size_t i = 0; i < CLI_MAX_OPTIONS && cmd->option[i].name; i++)
		option_help(&cmd->option[i], width, out);
	for (size_t i = own; i < BH_ARRAY_SIZE(global); i++)
		option_help(&global[i], width, out);
}

/* Is the word one of those between the bars? */
static bool is_listed(const char *list, const char *word)
{
	size_t len = strlen(word);
	for (const char *p = list; p; p = strchr(p, '|')) {
		p += *p == '|';
		if (len && !strchr(word, '|') && strncmp(p, word, len) == 0 &&
			(!p[len] || p[len] == '|'))
			return true;
	}
	return false;
}

static int check_format(struct cli *cli, const struct cli_command *cmd)
{
	if (!cli->format || is_listed(formats_of(cmd), cli->format))
		return CLI_OK;
	return cli_usage_error(cmd, "-o takes %s, not \"%s\"", formats_of(cmd), cli->format);
}

static void set_format(struct cli *cli, const char *value)
{
	cli->format = value;
	cli->json = bh_streq(value, "json");
}

static int set_global(
	struct cli *cli, const struct cli_command *cmd, size_t index, const char *value)
{
	switch (index) {
	case 0:
		set_format(cli, value);
		return CLI_OK;
	case 1:
		if (!*value)
			return cli_usage_error(cmd, "--socket needs a path");
		cli->socket = value;
		return CLI_OK;
	default:
		return -1;
	}
}

static bool is_option(const struct cli_option *o, const char *name, size_t len, char letter)
{
	if (letter)
		return o->letter == letter;
	return strlen(o->name) == len && memcmp(o->name, name, len) == 0;
}

/* Which option it is: an index of the command's, or 100 + one of the global ones; −1 none. */
static int find(const struct cli_command *cmd, const char *name, size_t len, char letter)
{
	for (int i = 0; cmd && i < CLI_MAX_OPTIONS && cmd->option[i].name; i++)
		if (is_option(&cmd->option[i], name, len, letter))
			return i;
	for (size_t i = 0; i < BH_ARRAY_SIZE(global); i++)
		if (is_option(&global[i], name, len, letter))
			return 100 + (int)i;
	return -1;
}

static bool is_repeatable(const struct cli_option *o)
{
	static const char mark[] = "…";
	size_t len = o->arg ? strlen(o->arg) : 0, end = strlen(mark);
	return len > end && bh_streq(o->arg + len - end, mark);
}

static void collect(struct cli_values *v, const char *value)
{
	BH_GROW(v->item, v->n, v->cap);
	v->item[v->n++] = value;
}

void cli_finish(struct cli *cli)
{
	for (size_t i = 0; i < CLI_MAX_OPTIONS; i++)
		free(cli->all[i].item);
}

/* One option at argv[*i]; moves *i over a value of its own word. */
static int parse_one(struct cli *cli, const struct cli_command *cmd, int argc, char **argv, int *i)
{
	const char *word = argv[*i], *value = NULL;
	bool is_long = word[1] == '-';
	size_t len = is_long ? strcspn(word + 2, "=") : 0;
	int which = find(cmd, word + 2, len, is_long ? 0 : word[1]);

	if (which < 0)
		return cli_usage_error(cmd, "unknown option %s", word);
	const struct cli_option *o = which >= 100 ? &global[which - 100] : &cmd->option[which];
	const char *attached =
		is_long ? (word[2 + len] ? word + 3 + len : NULL) : (word[2] ? word + 2 : NULL);
	if (!o->arg && attached)
		return cli_usage_error(cmd, "the option --%s takes no value", o->name);
	if (o->arg) {
		if (!attached && *i + 1 >= argc)
			return cli_usage_error(cmd, "the option --%s needs %s", o->name, o->arg);
		value = attached ? attached : argv[++*i];
	}
	if (which >= 100)
		return set_global(cli, cmd, (size_t)(which - 100), value);
	cli->opt[which] = value ? value : "";
	if (bh_streq(o->name, global[0].name))
		set_format(cli, value);
	if (is_repeatable(o))
		collect(&cli->all[which], value);
	return CLI_OK;
}

int cli_parse(struct cli *cli, const struct cli_command *cmd, int *argc, char **argv, bool stop)
{
	int words = 0, i;

	for (i = 0; i < *argc; i++) {
		if (bh_streq(argv[i], "--")) {
			i++;
			break;
		}
		if (argv[i][0] != '-' || argv[i][1] == '\0') { /* "-" is standard input */
			if (stop)
				break;
			argv[words++] = argv[i];
			continue;
		}
		int r = parse_one(cli, cmd, *argc, argv, &i);
		if (r != CLI_OK)
			return r;
	}
	while (i < *argc)
		argv[words++] = argv[i++];
	*argc = words;
	return cmd ? check_format(cli, cmd) : CLI_OK; /* else any word may be its */
}
