/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Selectors as people type them, kubectl's form: "app=web,tier in (a,b),env!=dev,!old,new". What
 * bh_selector_format writes is read back to the same.
 */
#include <bulkhead/labels.h>
#include <errno.h>

#define TEXT_MAX 4096 /* bytes */
#define VALUES_MAX 256 /* of one requirement */

struct scan {
	const char *at;
	const char *why; /* static text; NULL = nothing is wrong */
};

static void skip_blanks(struct scan *s)
{
	s->at += strspn(s->at, " \t");
}

static bool take(struct scan *s, const char *word)
{
	size_t n = strlen(word);
	skip_blanks(s);
	if (strncmp(s->at, word, n) != 0)
		return false;
	s->at += n;
	return true;
}

/* A key or value: everything up to what could follow one. Owned, may be empty. */
static char *take_word(struct scan *s)
{
	skip_blanks(s);
	size_t n = strcspn(s->at, " \t,=!()");
	char *word = bh_xstrndup(s->at, n);
	s->at += n;
	return word;
}

/* "in" and "notin" end with a blank or a parenthesis: "index" is a key. */
static bool take_operator(struct scan *s, const char *word)
{
	const char *before = s->at;
	if (take(s, word) && strchr(" \t(", *s->at))
		return true;
	s->at = before;
	return false;
}

static void take_list(
	struct scan *s, const char *key, enum bh_selector_op op, struct bh_selector *to)
{
	char *value[VALUES_MAX];
	size_t n = 0;
	if (!take(s, "(")) {
		s->why = "in and notin need values in parentheses: tier in (db,cache)";
		return;
	}
	do {
		if (n == VALUES_MAX) {
			s->why = "too many values";
			break;
		}
		value[n] = take_word(s);
		s->why = bh_label_value_check(value[n++]);
	} while (!s->why && take(s, ","));
	if (!s->why && !take(s, ")"))
		s->why = "a closing parenthesis is missing";
	if (!s->why)
		bh_selector_add(to, key, op, (const char *const *)value, n);
	while (n)
		free(value[--n]);
}

static void take_value(
	struct scan *s, const char *key, enum bh_selector_op op, struct bh_selector *to)
{
	char bh_autofree *value = take_word(s);
	const char *one = value;
	s->why = bh_label_value_check(value);
	if (!s->why)
		bh_selector_add(to, key, op, &one, 1);
}

static void take_requirement(struct scan *s, struct bh_selector *to)
{
	bool absent = take(s, "!");
	char bh_autofree *key = take_word(s);
	s->why = bh_label_key_check(key);
	if (s->why)
		return;
	if (absent)
		bh_selector_add(to, key, BH_SEL_NOT_EXISTS, NULL, 0);
	else if (take(s, "!="))
		take_value(s, key, BH_SEL_NOT_IN, to);
	else if (take(s, "==") || take(s, "="))
		take_value(s, key, BH_SEL_IN, to);
	else if (take_operator(s, "notin"))
		take_list(s, key, BH_SEL_NOT_IN, to);
	else if (take_operator(s, "in"))
		take_list(s, key, BH_SEL_IN, to);
	else
		bh_selector_add(to, key, BH_SEL_EXISTS, NULL, 0);
}

int bh_selector_parse(const char *text, struct bh_selector *ret, const char **ret_why)
{
	struct scan s = {.at = text};
	struct bh_selector sel = {0};

	if (strlen(text) > TEXT_MAX)
		s.why = "too long";
	else if (bh_streq(text, "<all>"))
		s.at += strlen(text);
	else
		do
			take_requirement(&s, &sel);
		while (!s.why && take(&s, ","));
	skip_blanks(&s);
	if (!s.why && *s.at)
		s.why = "a comma is missing between two requirements";
	if (s.why) {
		bh_selector_finish(&sel);
		*ret_why = s.why;
		return -EINVAL;
	}
	*ret = sel;
	return 0;
}
