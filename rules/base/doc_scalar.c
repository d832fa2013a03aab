/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a plain scalar is: YAML 1.2's core schema (section 10.3.2), and beside it what YAML 1.1
 * (yaml.org/type) makes of the same text. Where the two part, the scalar is ambiguous: a policy
 * that one tool reads as the label "no" and another as false must not be guessed at.
 */
#include "doc_private.h"

#include <errno.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_xdigit(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_one_of(const char *s, size_t len, const char *const *words)
{
	for (; *words; words++)
		if (strlen(*words) == len && memcmp(*words, s, len) == 0)
			return true;
	return false;
}

static size_t digits(const char *s, size_t len)
{
	size_t i = 0;
	while (i < len && is_digit(s[i]))
		i++;
	return i;
}

/* Without a sign: digits [. digits] [e[+-]digits]; INT if there are only digits, STRING if it is
 * no number. */
static enum bh_scalar_type decimal(const char *s, size_t len)
{
	size_t whole = digits(s, len), i = whole, fraction = 0;
	if (whole && i == len)
		return BH_SCALAR_INT;
	if (i < len && s[i] == '.') {
		fraction = digits(s + i + 1, len - i - 1);
		i += 1 + fraction;
	}
	if (whole + fraction == 0)
		return BH_SCALAR_STRING;
	if (i < len && (s[i] == 'e' || s[i] == 'E')) {
		i++;
		if (i < len && (s[i] == '-' || s[i] == '+'))
			i++;
		size_t exponent = digits(s + i, len - i);
		if (exponent == 0)
			return BH_SCALAR_STRING;
		i += exponent;
	}
	return i == len ? BH_SCALAR_FLOAT : BH_SCALAR_STRING;
}

/* 0x…, 0o…, 0b…. YAML 1.1 does not know 0o, YAML 1.2 does not know 0b. */
static enum bh_scalar_type based(const char *s, size_t len)
{
	char base = s[1];
	for (size_t i = 2; i < len; i++)
		if (base == 'x' ? !is_xdigit(s[i]) : s[i] < '0' || s[i] > (base == 'o' ? '7' : '1'))
			return BH_SCALAR_STRING;
	return base == 'x' ? BH_SCALAR_INT : BH_SCALAR_AMBIGUOUS;
}

/* Base 60, "12:30" or "1:30:00.5", a number to YAML 1.1. */
static bool is_sexagesimal(const char *s, size_t len)
{
	size_t i = digits(s, len), parts = 0;
	if (i == 0)
		return false;
	while (i < len && s[i] == ':') {
		size_t n = digits(s + i + 1, len - i - 1);
		if (n == 0 || n > 2 || (n == 2 && s[i + 1] > '5'))
			return false;
		i += 1 + n;
		parts++;
	}
	if (i < len && s[i] == '.')
		i += 1 + digits(s + i + 1, len - i - 1);
	return parts > 0 && i == len;
}

static enum bh_scalar_type number(const char *s, size_t len, bool sign)
{
	static const char *const inf[] = {".inf", ".Inf", ".INF", NULL};
	static const char *const nan[] = {".nan", ".NaN", ".NAN", NULL};
	if (is_one_of(s, len, inf) || (!sign && is_one_of(s, len, nan)))
		return BH_SCALAR_FLOAT;
	if (len > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'o' || s[1] == 'b')) {
		enum bh_scalar_type t = based(s, len);
		/* -0x1F is a number to YAML 1.1 only. */
		return sign && t == BH_SCALAR_INT ? BH_SCALAR_AMBIGUOUS : t;
	}
	if (is_sexagesimal(s, len))
		return BH_SCALAR_AMBIGUOUS;
	enum bh_scalar_type t = decimal(s, len);
	/* Octal to YAML 1.1, decimal to YAML 1.2. */
	if (t == BH_SCALAR_INT && len > 1 && s[0] == '0')
		return BH_SCALAR_AMBIGUOUS;
	return t;
}

/* YAML 1.1 lets underscores stand in numbers. */
static bool is_number_with_underscores(const char *s, size_t len, bool sign)
{
	char plain[64];
	size_t n = 0;
	if (len >= sizeof(plain) || !memchr(s, '_', len))
		return false;
	for (size_t i = 0; i < len; i++)
		if (s[i] != '_')
			plain[n++] = s[i];
	return n && s[0] != '_' && number(plain, n, sign) != BH_SCALAR_STRING;
}

enum bh_scalar_type doc_scalar_type(const char *s, size_t len)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
	static const char *const bools[] = {
		"true", "True", "TRUE", "false", "False", "FALSE", NULL};
	static const char *const bools_of_1_1[] = {"y", "Y", "yes", "Yes", "YES", "n", "N", "no",
		"No", "NO", "on", "On", "ON", "off", "Off", "OFF", NULL};
	bool sign = len && (s[0] == '-' || s[0] == '+');

	if (is_one_of(s, len, nulls))
		return BH_SCALAR_NULL;
	if (is_one_of(s, len, bools))
		return BH_SCALAR_BOOL;
	if (is_one_of(s, len, bools_of_1_1))
		return BH_SCALAR_AMBIGUOUS;
	if (!sign && !is_digit(s[0]) && s[0] != '.')
		return BH_SCALAR_STRING;
	if (is_number_with_underscores(s + sign, len - sign, sign))
		return BH_SCALAR_AMBIGUOUS;
	return number(s + sign, len - sign, sign);
}

int doc_scalar_tagged(const char *tag, const char *s, size_t len, enum bh_scalar_type *ret)
{
	static const struct {
		const char *tag;
		enum bh_scalar_type type;
	} core[] = {
		{"!", BH_SCALAR_STRING},
		{DOC_CORE_TAG "str", BH_SCALAR_STRING},
		{DOC_CORE_TAG "null", BH_SCALAR_NULL},
		{DOC_CORE_TAG "bool", BH_SCALAR_BOOL},
		{DOC_CORE_TAG "int", BH_SCALAR_INT},
		{DOC_CORE_TAG "float", BH_SCALAR_FLOAT},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(core); i++) {
		if (strcmp(tag, core[i].tag) != 0)
			continue;
		if (core[i].type != BH_SCALAR_STRING && doc_scalar_type(s, len) != core[i].type)
			return -EINVAL;
		*ret = core[i].type;
		return 0;
	}
	return -ENOENT;
}
