/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which format a text has, by its first lines or keys. In doubt a plain list, which reports every
 * line that it cannot read. */
#include "reader.h"

#define LINES_LOOKED_AT 40
#define TOKENS_LOOKED_AT 20000 /* of a JSON document */

static const char *of_key(const struct bh_json *j)
{
	static const char *const known[][2] = {
		{"cidr", "spamhaus"},
		{"sblid", "spamhaus"},
		{"Event", "misp"},
		{"response", "misp"},
		{"objects", "stix"},
		{"spec_version", "stix"},
		{"new", "crowdsec"},
		{"deleted", "crowdsec"},
		{"ioc", "threatfox"},
		{"ioc_value", "threatfox"},
		{"query_status", "threatfox"},
		{"ip_address", "feodo"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(known); i++)
		if (bh_json_is(j, known[i][0]))
			return known[i][1];
	return NULL;
}

/* The keys of the outermost objects come first; those two levels below decide for lists of lists,
 * which is what ThreatFox's export is. */
static const char *of_json(const char *text, size_t len)
{
	const char *deeper = NULL;
	struct bh_json j;
	bh_json_init(&j, text, len, 1);
	for (int i = 0; i < TOKENS_LOOKED_AT; i++) {
		enum bh_json_kind k = bh_json_next(&j);
		if (k == BH_JSON_ERROR || (k == BH_JSON_END))
			break;
		const char *format = k == BH_JSON_KEY ? of_key(&j) : NULL;
		if (format && j.depth <= 2)
			return format;
		if (format && j.depth <= 3 && !deeper && strcmp(format, "misp") != 0)
			deeper = format;
		if (deeper && j.depth <= 1)
			break;
	}
	return deeper ? deeper : "plain"; /* whose reader says what it is not */
}

static bool is_address(const char *s, size_t n)
{
	char buf[BH_ADDR_STRLEN];
	struct bh_addr a;
	if (n >= sizeof(buf))
		return false;
	memcpy(buf, s, n);
	buf[n] = '\0';
	return bh_addr_parse(buf, &a) == 0;
}

static bool has_word(const char *s, size_t n, const char *word)
{
	size_t len = strlen(word);
	for (size_t i = 0; i + len <= n; i++)
		if (memcmp(s + i, word, len) == 0)
			return true;
	return false;
}

static const char *of_fields(const char *s, size_t n)
{
	const char *f[4], *rest = s;
	size_t len[4], left = n, k = 0;
	while (k < 4 && bh_reader_field(&rest, &left, '\t', &f[k], &len[k]))
		k++;
	if (k >= 3 && ((is_address(f[0], len[0]) && is_address(f[1], len[1])) ||
			      bh_text_is(f[0], len[0], "Start")))
		return "dshield";
	rest = s;
	left = n;
	for (k = 0; k < 4 && bh_reader_field(&rest, &left, '#', &f[k], &len[k]);)
		k++;
	if (k == 4 && is_address(f[0], len[0]) && bh_text_number(f[1], len[1]) >= 0 &&
		bh_text_number(f[2], len[2]) >= 0)
		return "alienvault";
	rest = s;
	left = n;
	for (k = 0; k < 4 && bh_reader_field(&rest, &left, ',', &f[k], &len[k]);)
		k++;
	if (k == 3 && bh_text_number(f[1], len[1]) >= 0 && bh_text_number(f[2], len[2]) >= 0)
		return "iprep";
	return NULL;
}

static const char *of_line(const char *s, size_t n)
{
	if (has_word(s, n, "first_seen") && memchr(s, ',', n))
		return "feodo";
	if (n && *s != '#' && *s != ';')
		return of_fields(s, n);
	/* DShield's columns are named in its comments. */
	return has_word(s, n, "Start\tEnd") ? "dshield" : NULL;
}

const char *bh_format_detect(const char *text, size_t len)
{
	struct bh_reader r = {.text = text, .end = text + len};
	const char *s;
	size_t n;
	int data = 0;
	for (int i = 0; i < LINES_LOOKED_AT && bh_reader_line(&r, &s, &n) && data < 3; i++) {
		if (n == 0)
			continue;
		if (!data && (*s == '{' || *s == '['))
			return of_json(s, (size_t)(r.end - s));
		const char *format = of_line(s, n);
		if (format)
			return format;
		data += *s != '#' && *s != ';' && *s != '/';
	}
	return "plain";
}
