/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bulkhead learn review and reset. Without words the review asks edge by edge. */
#include "cli/cli.h"

static void print_breadth(const json_t *reply)
{
	const json_t *w;
	size_t i;
	if (cli_str(reply, "breadth"))
		printf("the block has %s addresses\n", cli_str(reply, "breadth"));
	json_array_foreach(json_object_get(reply, "warnings"), i, w)
	{
		char bh_autofree *text = cli_safe(json_string_value(w));
		cli_warn("%s", text);
	}
}

static int send(struct cli *cli, const json_t *body, struct cli_reply *ret)
{
	if (!body)
		return cli_usage_error(NULL, "a word is not UTF-8");
	return cli_ask(cli, "POST", "/v1/learn/review", body, ret);
}

/* --- one by one --- */

/* An answer such as "a", "w 203.0.113.0/24"; the body for it, NULL: it is none of these. */
static json_t *body_of(const char *answer, const char *id)
{
	const char *cidr = answer + 1 + strspn(answer + 1, " ");
	if (answer[0] == 'w' && *cidr)
		return json_pack("{s:s, s:[s], s:s}", "action", "widen", "edges", id, "cidr", cidr);
	if ((answer[0] != 'a' && answer[0] != 'r') || *cidr)
		return NULL;
	return json_pack(
		"{s:s, s:[s]}", "action", answer[0] == 'a' ? "accept" : "reject", "edges", id);
}

static void print_edge(const json_t *e, size_t at, size_t of)
{
	static const char *const key[] = {"src", "dst", "protocol"};
	char *text[3];
	char first[24], last[24];
	const json_t *x;
	size_t i;
	for (i = 0; i < BH_ARRAY_SIZE(key); i++) {
		struct bh_buf bh_autobuf b = {0};
		cli_put_named(e, key[i], &b);
		text[i] = cli_safe(b.s);
	}
	printf("\n%zu of %zu: %s -> %s %s", at + 1, of, text[0], text[1], text[2]);
	if (cli_num(e, "port"))
		printf("/%" JSON_INTEGER_FORMAT, cli_num(e, "port"));
	printf("\n   %" JSON_INTEGER_FORMAT " connection%s from %s to %s",
		cli_num(e, "connections"), cli_plural(e, "connections"),
		cli_time(cli_str(e, "first_seen"), first), cli_time(cli_str(e, "last_seen"), last));
	json_array_foreach(json_object_get(e, "images"), i, x)
	{
		char bh_autofree *image = cli_safe(json_string_value(x));
		printf("%s%s", i ? ", " : "\n   by ", image);
	}
	putchar('\n');
	for (i = 0; i < BH_ARRAY_SIZE(key); i++)
		free(text[i]);
}

/* 0: on to the next; 1: enough; else an exit code. */
static int ask_one(struct cli *cli, const json_t *edge)
{
	char line[256];
	for (;;) {
		fputs("[a]ccept, [r]eject, [w]iden to CIDR, [s]kip, [q]uit: ", stdout);
		fflush(stdout);
		if (!fgets(line, sizeof(line), stdin)) {
			putchar('\n');
			return 1;
		}
		line[strcspn(line, "\n")] = '\0';
		if (bh_streq(line, "q"))
			return 1;
		if (bh_streq(line, "s"))
			return 0;
		struct cli_reply cli_autoreply r = {0};
		json_t *body = body_of(line, cli_str(edge, "id") ?: "");
		if (!body)
			continue;
		int e = send(cli, body, &r);
		json_decref(body);
		if (e == CLI_UNREACHABLE)
			return e;
		if (e != CLI_OK)
			continue; /* the complaint is printed: ask again */
		print_breadth(r.json);
		return 0;
	}
}

static int ask_all(struct cli *cli)
{
	static const char *const name[] = {"namespace", "role"};
	struct cli_reply cli_autoreply r = {0};
	struct bh_buf bh_autobuf target = {0};
	size_t i;
	const json_t *edge;

	bh_buf_str(&target, "/v1/learn/edges?review=none");
	cli_add_query(cli, name, BH_ARRAY_SIZE(name), &target);
	int e = cli_ask(cli, "GET", target.s, NULL, &r);
	if (e != CLI_OK)
		return e;
	const json_t *edges = json_object_get(r.json, "edges");
	json_array_foreach(edges, i, edge)
	{
		if (!cli_flag(edge, "answered"))
			continue;
		print_edge(edge, i, json_array_size(edges));
		e = ask_one(cli, edge);
		if (e != 0)
			return e == 1 ? CLI_OK : e;
	}
	puts("\nnothing is left to review");
	return CLI_OK;
}

/* --- by words --- */

static bool is_action(const char *word)
{
	return bh_streq(word, "accept") || bh_streq(word, "reject") || bh_streq(word, "undo") ||
	       bh_streq(word, "widen");
}

static int review_words(struct cli *cli, int argc, char **argv)
{
	static const char *const name[] = {"namespace", "role", "selector"};
	if (!is_action(argv[0]))
		return cli_usage_error(NULL,
			"learn review takes accept, reject, undo or widen, not \"%s\"", argv[0]);
	struct cli_reply cli_autoreply r = {0};
	bool widen = bh_streq(argv[0], "widen");
	json_t *body = json_pack("{s:s}", "action", argv[0]), *edges = json_array();
	int first = widen ? 2 : 1;

	if (widen && argc < 2) {
		json_decref(edges);
		json_decref(body);
		return cli_usage_error(NULL, "learn review widen needs a CIDR");
	}
	if (body && widen)
		json_object_set_new(body, "cidr", json_string(argv[1]));
	for (int i = first; i < argc; i++)
		json_array_append_new(edges, json_string(argv[i]));
	for (size_t i = 0; body && i < BH_ARRAY_SIZE(name); i++)
		if (cli->opt[i])
			json_object_set_new(body, name[i], json_string(cli->opt[i]));
	if (body && json_array_size(edges))
		json_object_set(body, "edges", edges);
	json_decref(edges);
	int e = send(cli, body, &r);
	json_decref(body);
	if (e != CLI_OK)
		return e;
	if (cli->json) {
		cli_print_json(cli, r.json);
		return e;
	}
	cli_print_edges(cli, r.json);
	printf("%" JSON_INTEGER_FORMAT " edge%s changed\n", cli_num(r.json, "changed"),
		cli_plural(r.json, "changed"));
	print_breadth(r.json);
	return e;
}

int cli_learn_review(struct cli *cli, int argc, char **argv)
{
	if (argc > 0)
		return review_words(cli, argc, argv);
	if (cli->json)
		return cli_usage_error(NULL, "-o json needs an action");
	if (cli->opt[2])
		return cli_usage_error(NULL, "--selector needs an action");
	return ask_all(cli);
}

int cli_learn_reset(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	struct cli_reply cli_autoreply r = {0};
	if (!cli->opt[0] && !cli->opt[1] && !cli->opt[2])
		return cli_usage_error(
			NULL, "learn reset needs --namespace, --role, or --all for everything");
	json_t *body = json_pack("{s:s?, s:s?, s:b}", "namespace", cli->opt[0], "role", cli->opt[1],
		"all", cli->opt[2] != NULL);
	if (!body)
		return cli_usage_error(NULL, "the namespace or the role is not UTF-8");
	int e = cli_ask(cli, "POST", "/v1/learn/reset", body, &r);
	json_decref(body);
	if (e == CLI_OK && cli->json)
		cli_print_json(cli, r.json);
	else if (e == CLI_OK)
		printf("%" JSON_INTEGER_FORMAT " tuple%s forgotten\n", cli_num(r.json, "forgotten"),
			cli_plural(r.json, "forgotten"));
	return e;
}
