/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An answer as YAML. Texts are always quoted, as JSON has them: none can change its type or the
 * structure, and on a terminal none can do harm. */
#include <strings.h>

#include "cli/cli.h"

static void print_scalar(const json_t *v)
{
	char bh_autofree *text = json_dumps(v, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	for (const char *p = text ? text : "null"; *p; p++) {
		if (*p == 0x7f)
			fputs("\\u007f", stdout);
		else
			putchar(*p);
	}
}

/* No word of YAML 1.1 that is a truth, a nothing or a number. */
static bool is_plain(const char *key)
{
	static const char *const special[] = {
		"y", "n", "yes", "no", "on", "off", "true", "false", "null"};
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789-";
	for (size_t i = 0; i < BH_ARRAY_SIZE(special); i++)
		if (strcasecmp(key, special[i]) == 0)
			return false;
	return key[0] > '9' && strspn(key, letters) == strlen(key);
}

static void print_key(const char *key)
{
	if (is_plain(key)) {
		fputs(key, stdout);
		return;
	}
	json_t *quoted = json_string(key);
	print_scalar(quoted);
	json_decref(quoted);
}

static void print_value(const json_t *v, int indent, bool inline_first);

static void print_list(const json_t *v, int indent)
{
	const json_t *item;
	size_t i;
	json_array_foreach(v, i, item)
	{
		printf("%*s- ", indent, "");
		print_value(item, indent + 2, true);
	}
}

/* first: the cursor stands where the first key goes. */
static void print_map(const json_t *v, int indent, bool first)
{
	const char *key;
	json_t *item;
	json_object_foreach((json_t *)v, key, item)
	{
		printf("%*s", first ? 0 : indent, "");
		first = false;
		print_key(key);
		putchar(':');
		bool nested = (json_is_object(item) && json_object_size(item)) ||
			      (json_is_array(item) && json_array_size(item));
		putchar(nested ? '\n' : ' ');
		print_value(item, json_is_array(item) ? indent : indent + 2, false);
	}
}

static void print_value(const json_t *v, int indent, bool inline_first)
{
	if (json_is_object(v) && json_object_size(v)) {
		print_map(v, indent, inline_first);
		return;
	}
	if (json_is_array(v) && json_array_size(v)) {
		if (inline_first)
			putchar('\n');
		print_list(v, indent);
		return;
	}
	print_scalar(v);
	putchar('\n');
}

void cli_print_yaml(const json_t *json)
{
	print_value(json, 0, false);
}
