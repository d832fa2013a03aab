/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bulkhead graph: who talks to whom, for people and for programs that draw. Names come from whoever
 * starts containers: each form has its own way of writing text that cannot end what it stands in.
 */
#include <bulkhead/utf8.h>

#include "cli/cli.h"
#include "graph_page.h"

static const char *name_at(const json_t *nodes, size_t i)
{
	return cli_str(json_array_get(nodes, i), "name") ?: "?";
}

/* What stands on the node: its name, and for an address what it is called. Owned. */
static char *node_label(const json_t *nodes, size_t i)
{
	struct bh_buf b = {0};
	const json_t *x;
	size_t k;
	bh_buf_str(&b, name_at(nodes, i));
	json_array_foreach(json_object_get(json_array_get(nodes, i), "names"), k, x)
		bh_buf_printf(&b, "%s%s", k ? ", " : " (", json_string_value(x) ?: "");
	if (k)
		bh_buf_str(&b, ")");
	return bh_buf_take(&b);
}

/* Nodes are told by number: a name is never an identifier. */
static json_t *numbers(const json_t *nodes)
{
	json_t *o = json_object();
	for (size_t i = 0; i < json_array_size(nodes); i++)
		json_object_set_new(o, name_at(nodes, i), json_integer((json_int_t)i));
	return o;
}

/* " 87 allowed, 2 denied": whatever there was of it. */
static void put_counts(const json_t *e, struct bh_buf *b)
{
	static const char *const what[][2] = {
		{"allowed", "allowed"}, {"would_deny", "would be denied"}, {"denied", "denied"}};
	const char *comma = "";
	for (size_t i = 0; i < BH_ARRAY_SIZE(what); i++) {
		if (!cli_num(e, what[i][0]))
			continue;
		bh_buf_printf(b, "%s %" JSON_INTEGER_FORMAT " %s", comma, cli_num(e, what[i][0]),
			what[i][1]);
		comma = ",";
	}
}

static char *label_of(const json_t *e)
{
	struct bh_buf b = {0};
	bh_buf_str(&b, cli_str(e, "protocol") ?: "?");
	if (cli_num(e, "port"))
		bh_buf_printf(&b, "/%" JSON_INTEGER_FORMAT, cli_num(e, "port"));
	put_counts(e, &b);
	const json_t *v = json_object_get(e, "volume");
	char bytes[16];
	if (json_is_object(v))
		bh_buf_printf(&b, " %s",
			cli_bytes(cli_num(v, "bytes_out") + cli_num(v, "bytes_back"), bytes));
	return bh_buf_take(&b);
}

static void put_dot(const char *text)
{
	char bh_autofree *safe = cli_safe(text);
	putchar('"');
	for (const char *c = safe; *c; c++) {
		if (*c == '"' || *c == '\\')
			putchar('\\');
		putchar(*c);
	}
	putchar('"');
}

/* Two colours are two lines side by side. */
static const char *colour(const json_t *e)
{
	const char *v = cli_str(e, "verdict");
	return bh_streq(v, "deny")         ? "red"
	       : bh_streq(v, "mixed")      ? "\"black:red\""
	       : bh_streq(v, "would-deny") ? "orange"
					   : "black";
}

static void print_dot(const json_t *reply)
{
	const json_t *nodes = json_object_get(reply, "nodes"), *e;
	json_t *number = numbers(nodes);
	size_t i;
	puts("digraph bulkhead {\n  rankdir=LR;\n  node [shape=box];");
	for (i = 0; i < json_array_size(nodes); i++) {
		char bh_autofree *label = node_label(nodes, i);
		printf("  n%zu [label=", i);
		put_dot(label);
		puts(bh_streq(cli_str(json_array_get(nodes, i), "kind"), "role")
				? "];"
				: ", shape=ellipse];");
	}
	json_array_foreach(json_object_get(reply, "edges"), i, e)
	{
		char bh_autofree *label = label_of(e);
		printf("  n%" JSON_INTEGER_FORMAT " -> n%" JSON_INTEGER_FORMAT " [color=%s, label=",
			cli_num(number, cli_str(e, "src") ?: ""),
			cli_num(number, cli_str(e, "dst") ?: ""), colour(e));
		put_dot(label);
		puts("];");
	}
	puts("}");
	json_decref(number);
}

/* Mermaid's own escape: #CODE; for what is neither a letter, a digit nor harmless. */
static void put_mermaid(const char *text)
{
	char bh_autofree *safe = cli_safe(text);
	size_t len = strlen(safe);
	for (size_t i = 0; i < len;) {
		uint32_t c = '?';
		size_t n = bh_utf8_decode(safe + i, len - i, &c);
		bool plain = n == 1 && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
					       (c >= '0' && c <= '9') || strchr(" ./:_-", (int)c));
		if (plain)
			putchar((int)c);
		else
			printf("#%u;", (unsigned)c);
		i += n ? n : 1;
	}
}

/* Whoever is denied is red, beside what is allowed too; links go by their number. */
static void print_link_styles(const json_t *edges)
{
	const json_t *e;
	size_t i;
	json_array_foreach(edges, i, e)
	{
		if (cli_num(e, "denied"))
			printf("  linkStyle %zu stroke:#c22\n", i);
		else if (cli_num(e, "would_deny"))
			printf("  linkStyle %zu stroke:#b60\n", i);
	}
}

static void print_mermaid(const json_t *reply)
{
	const json_t *nodes = json_object_get(reply, "nodes"), *e;
	json_t *number = numbers(nodes);
	size_t i;
	puts("flowchart LR");
	for (i = 0; i < json_array_size(nodes); i++) {
		bool role = bh_streq(cli_str(json_array_get(nodes, i), "kind"), "role");
		char bh_autofree *label = node_label(nodes, i);
		printf("  n%zu%s\"", i, role ? "[" : "([");
		put_mermaid(label);
		puts(role ? "\"]" : "\"])");
	}
	json_array_foreach(json_object_get(reply, "edges"), i, e)
	{
		char bh_autofree *label = label_of(e);
		printf("  n%" JSON_INTEGER_FORMAT " %s|\"",
			cli_num(number, cli_str(e, "src") ?: ""),
			cli_num(e, "allowed") ? "-->" : "-.->");
		put_mermaid(label);
		printf("\"| n%" JSON_INTEGER_FORMAT "\n", cli_num(number, cli_str(e, "dst") ?: ""));
	}
	print_link_styles(json_object_get(reply, "edges"));
	json_decref(number);
}

/* The page's script reads the graph as JSON from an element; all it needs for that is that nothing
 * in it looks like markup. */
static void print_html(const json_t *reply)
{
	const char *mark = strstr(graph_page, GRAPH_MARK);
	char bh_autofree *text = json_dumps(reply, JSON_COMPACT | JSON_ENSURE_ASCII);
	if (!mark || !text)
		return;
	fwrite(graph_page, 1, (size_t)(mark - graph_page), stdout);
	for (const char *c = text; *c; c++)
		if (strchr("<>&", *c))
			printf("\\u%04x", (unsigned char)*c);
		else
			putchar(*c);
	fputs(mark + strlen(GRAPH_MARK), stdout);
}

static void print_table(struct cli *cli, const json_t *reply)
{
	static const char *const head[] = {"SOURCE", "DESTINATION", "SERVICE", "VERDICT", "ALLOWED",
		"WOULD DENY", "DENIED", "SENT", "RECEIVED", "LEARNED", "LAST SEEN"};
	struct cli_table t;
	const json_t *e;
	size_t i;
	char when[24];
	cli_table_init(&t, cli, head, BH_ARRAY_SIZE(head));
	json_array_foreach(json_object_get(reply, "edges"), i, e)
	{
		cli_table_add(&t, cli_str(e, "src"));
		cli_table_add(&t, cli_str(e, "dst"));
		cli_table_add_service(&t, e);
		cli_table_add(&t, cli_str(e, "verdict"));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(e, "allowed"));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(e, "would_deny"));
		cli_table_addf(&t, "%" JSON_INTEGER_FORMAT, cli_num(e, "denied"));
		cli_table_add_volume(&t, e);
		cli_table_add(&t, cli_flag(e, "learned") ? "yes" : "no");
		cli_table_add(&t, cli_time(cli_str(e, "last_seen"), when));
	}
	cli_table_finish(&t);
}

int cli_graph(struct cli *cli, int argc BH_UNUSED, char **argv BH_UNUSED)
{
	struct cli_reply cli_autoreply r = {0};
	int e = cli_ask(cli, "GET", "/v1/graph", NULL, &r);
	if (e != CLI_OK)
		return e;
	if (bh_streq(cli->format, "dot"))
		print_dot(r.json);
	else if (bh_streq(cli->format, "mermaid"))
		print_mermaid(r.json);
	else if (bh_streq(cli->format, "html"))
		print_html(r.json);
	else if (cli->json)
		cli_print_json(cli, r.json);
	else
		print_table(cli, r.json);
	return CLI_OK;
}
