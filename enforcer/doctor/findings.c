/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "doctor/findings.h"

const char *bh_health_name(enum bh_health health)
{
	static const char *const name[] = {"ok", "warn", "fail", "skip"};
	return name[health];
}

/* Names of interfaces and files can be any bytes. */
static json_t *text_of(const char *s)
{
	char bh_autofree *copy = bh_xstrdup(s);
	for (char *p = copy; *p; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	json_t *text = json_string(copy);
	for (char *p = copy; !text && *p; p++)
		if ((unsigned char)*p > '~')
			*p = '?';
	return text ? text : json_string(copy);
}

void bh_finding(json_t *checks, const char *check, enum bh_health health, const char *remedy,
	const char *fmt, ...)
{
	char seen[2048];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(seen, sizeof(seen), fmt, ap);
	va_end(ap);
	json_t *o =
		json_pack("{s:s, s:s, s:o, s:o}", "check", check, "result", bh_health_name(health),
			"remedy", remedy ? text_of(remedy) : json_null(), "seen", text_of(seen));
	json_array_append_new(checks, o);
}

size_t bh_findings_count(const json_t *checks, enum bh_health health)
{
	const json_t *o;
	size_t i, n = 0;
	json_array_foreach(checks, i, o) n +=
		bh_streq(json_string_value(json_object_get(o, "result")), bh_health_name(health));
	return n;
}
