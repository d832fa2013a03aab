/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Text that somebody else wrote, on its way to a terminal. A container's name may hold escape
 * sequences that recolour, rewrite or even type into the terminal of whoever lists it, and bidi
 * controls that make one name look like another: all of it is shown as an escape.
 */
#include <wchar.h>

#include "cli/cli.h"
#include <bulkhead/utf8.h>

static char *safe(const char *s, bool lines)
{
	struct bh_buf b = {0};
	size_t len = strlen(s);

	for (size_t i = 0; i < len;) {
		uint32_t c;
		size_t n = bh_utf8_decode(s + i, len - i, &c);
		if (n == 0) {
			bh_buf_printf(&b, "\\x%02x", (unsigned char)s[i++]);
			continue;
		}
		if (!bh_utf8_unsafe(c) || (lines && (c == '\n' || c == '\t')))
			bh_buf_add(&b, s + i, n);
		else if (c < 0x100)
			bh_buf_printf(&b, "\\x%02x", (unsigned)c);
		else
			bh_buf_printf(&b, "\\u%04x", (unsigned)c);
		i += n;
	}
	return bh_buf_take(&b);
}

char *cli_safe(const char *s)
{
	return safe(s && *s ? s : "-", false);
}

char *cli_safe_lines(const char *s)
{
	return safe(s ? s : "", true);
}

char *cli_vformat(const char *fmt, va_list ap)
{
	char *text;
	return vasprintf(&text, fmt, ap) < 0 ? bh_xstrdup("") : text;
}

int cli_width(const char *s)
{
	size_t len = strlen(s);
	int width = 0;

	for (size_t i = 0; i < len;) {
		uint32_t c = 0;
		size_t n = bh_utf8_decode(s + i, len - i, &c);
		int w = n > 1 ? wcwidth((wchar_t)c) : 1;
		width += w < 0 ? 1 : w;
		i += n ? n : 1;
	}
	return width;
}

/* How many bytes of s are at most `width` wide, from its beginning. */
static size_t fitting(const char *s, int width)
{
	size_t len = strlen(s), at = 0;
	while (at < len) {
		uint32_t c = 0;
		size_t n = bh_utf8_decode(s + at, len - at, &c);
		char bh_autofree *one = bh_xstrndup(s + at, n ? n : 1);
		width -= cli_width(one);
		if (width < 0)
			break;
		at += n ? n : 1;
	}
	return at;
}

char *cli_cut(const char *s, int width)
{
	int whole = cli_width(s);
	if (whole <= width)
		return bh_xstrdup(s);
	bool list = strchr(s, ','); /* whose first ones say most */
	size_t first = fitting(s, list ? width - 1 : width / 2);
	char bh_autofree *kept = bh_xstrndup(s, first);
	if (list)
		return bh_xasprintf("%s…", kept);
	size_t skip = fitting(s, whole - (width - 1 - cli_width(kept)));
	while (cli_width(s + skip) > width - 1 - cli_width(kept)) /* a wide one in the way */
		skip += fitting(s + skip, 2);
	return bh_xasprintf("%s…%s", kept, s + skip);
}

const char *cli_time(const char *t, char buf[static 24])
{
	if (!t || strlen(t) < 19)
		return "-";
	snprintf(buf, 24, "%.10s %.8s", t, t + 11);
	return buf;
}

bool cli_seconds(const char *text, uint64_t max, uint64_t *ret)
{
	static const struct {
		const char *unit;
		uint64_t seconds;
	} units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
	size_t digits = strspn(text, "0123456789");
	char bh_autofree *number = bh_xstrndup(text, digits);
	uint64_t n = 0;

	for (size_t i = 0; i < BH_ARRAY_SIZE(units); i++)
		if (bh_streq(text + digits, units[i].unit) &&
			bh_parse_u64(number, max / units[i].seconds, &n) == 0 && n > 0) {
			*ret = n * units[i].seconds;
			return true;
		}
	return false;
}

const char *cli_bytes(json_int_t n, char buf[static 16])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double v = (double)n;
	size_t i = 0;

	/* What would be printed as 1024 is 1.0 of the next unit. */
	for (; v >= 1023.5 && i + 1 < BH_ARRAY_SIZE(units); i++)
		v /= 1024;
	snprintf(buf, 16, i && v < 9.95 ? "%.1f %s" : "%.0f %s", v, units[i]);
	return buf;
}

const char *cli_paint(const struct cli *cli, const char *sgr)
{
	return cli->colour ? sgr : "";
}

const char *cli_colour_of(const char *word)
{
	static const struct {
		const char *word, *sgr;
	} colours[] = {
		{"enforce", "\033[32m"},
		{"audit", "\033[33m"},
		{"learn", "\033[36m"},
		{"allow", "\033[32m"},
		{"drop", "\033[31m"},
		{"reject", "\033[31m"},
		{"FAILED", "\033[1;31m"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(colours); i++)
		if (bh_streq(word, colours[i].word))
			return colours[i].sgr;
	return NULL;
}

const char *cli_str(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

json_int_t cli_num(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

bool cli_flag(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

const char *cli_plural(const json_t *o, const char *key)
{
	return bh_plural((uint64_t)cli_num(o, key));
}
