/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing YAML that every reader reads alike. YAML 1.1 readers (kubectl among them) take y, no, on,
 * 012, 1_000, 12:30 and 2024-01-01 for something else than strings, so only words that begin with a
 * letter and are none of those stay unquoted.
 */
#include <strings.h>

#include "private.h"

static bool is_plain(const char *s)
{
	static const char *const taken[] = {
		"y", "n", "yes", "no", "on", "off", "true", "false", "null"};
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char more[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789-_./";
	if (!*s || !strchr(letters, *s) || strspn(s, more) != strlen(s))
		return false;
	for (size_t i = 0; i < BH_ARRAY_SIZE(taken); i++)
		if (strcasecmp(s, taken[i]) == 0)
			return false;
	return true;
}

/* Bytes outside ASCII do not occur in names that mean something here; they are shown as '?'. */
void bh_yaml_quoted(const char *s, struct bh_buf *out)
{
	bh_buf_str(out, "\"");
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			bh_buf_str(out, "\\");
		bh_buf_add(out, *s >= 0x20 && *s < 0x7f ? s : "?", 1);
	}
	bh_buf_str(out, "\"");
}

void bh_yaml_scalar(const char *s, struct bh_buf *out)
{
	if (is_plain(s))
		bh_buf_str(out, s);
	else
		bh_yaml_quoted(s, out);
}

static bool is_label(const struct bh_requirement *r)
{
	return r->op == BH_SEL_IN && r->n_values == 1;
}

static void put_expression(const struct bh_requirement *r, int indent, struct bh_buf *out)
{
	static const char *const op[] = {
		[BH_SEL_IN] = "In",
		[BH_SEL_NOT_IN] = "NotIn",
		[BH_SEL_EXISTS] = "Exists",
		[BH_SEL_NOT_EXISTS] = "DoesNotExist",
	};
	bh_buf_printf(out, "%*s- key: ", indent, "");
	bh_yaml_scalar(r->key, out);
	bh_buf_printf(out, "\n%*s  operator: %s\n", indent, "", op[r->op]);
	if (r->n_values)
		bh_buf_printf(out, "%*s  values:\n", indent, "");
	for (size_t i = 0; i < r->n_values; i++) {
		bh_buf_printf(out, "%*s  - ", indent, "");
		bh_yaml_scalar(r->value[i], out);
		bh_buf_str(out, "\n");
	}
}

void bh_yaml_selector(const struct bh_selector *s, int indent, struct bh_buf *out)
{
	size_t labels = 0;
	bh_buf_str(out, s->n ? "\n" : " {}\n");
	for (size_t i = 0; i < s->n; i++) {
		if (!is_label(&s->req[i]))
			continue;
		if (labels++ == 0)
			bh_buf_printf(out, "%*smatchLabels:\n", indent, "");
		bh_buf_printf(out, "%*s  ", indent, "");
		bh_yaml_scalar(s->req[i].key, out);
		bh_buf_str(out, ": ");
		bh_yaml_scalar(s->req[i].value[0], out);
		bh_buf_str(out, "\n");
	}
	if (labels == s->n)
		return;
	bh_buf_printf(out, "%*smatchExpressions:\n", indent, "");
	for (size_t i = 0; i < s->n; i++)
		if (!is_label(&s->req[i]))
			put_expression(&s->req[i], indent, out);
}
