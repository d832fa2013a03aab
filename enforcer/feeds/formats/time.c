/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Points in time and durations as feeds write them. */
#include "reader.h"

#include <errno.h>

#define YEARS_100 (36525ll * 86400)

/* Exactly `width` digits; −1: there are none. */
static int two(const char **s, const char *end, int width)
{
	int v = 0;
	if (end - *s < width)
		return -1;
	for (int i = 0; i < width; i++) {
		char c = (*s)[i];
		if (c < '0' || c > '9')
			return -1;
		v = v * 10 + (c - '0');
	}
	*s += width;
	return v;
}

static bool is(const char **s, const char *end, const char *any)
{
	if (*s == end || !**s || !strchr(any, **s))
		return false;
	++*s;
	return true;
}

/* Days since 1970-01-01 of a day in the Gregorian calendar. */
static int64_t days(int y, int m, int d)
{
	y -= m <= 2;
	int era = y / 400, yoe = y - era * 400;
	int doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	int doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097ll + doe - 719468;
}

static bool read_day(const char **s, const char *end, int64_t *ret)
{
	static const uint8_t length[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int y = two(s, end, 4);
	if (y < 1970 || !is(s, end, "-/"))
		return false;
	int m = two(s, end, 2);
	if (m < 1 || m > 12 || !is(s, end, "-/"))
		return false;
	int d = two(s, end, 2);
	if (d < 1 || d > length[m - 1])
		return false;
	*ret = days(y, m, d) * 86400;
	return true;
}

static bool read_clock(const char **s, const char *end, int64_t *ret)
{
	int h = two(s, end, 2), m = -1, sec = 0;
	if (is(s, end, ":"))
		m = two(s, end, 2);
	if (is(s, end, ":"))
		sec = two(s, end, 2);
	if (h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 60)
		return false;
	if (is(s, end, ".,"))
		while (*s < end && **s >= '0' && **s <= '9')
			++*s;
	*ret += h * 3600 + m * 60 + sec;
	return true;
}

static bool read_zone(const char **s, const char *end, int64_t *ret)
{
	bool minus = *s < end && **s == '-';
	if (!is(s, end, "+-"))
		return false;
	int h = two(s, end, 2);
	is(s, end, ":");
	int m = two(s, end, 2);
	if (h < 0 || h > 23 || m < 0 || m > 59)
		return false;
	*ret += (minus ? 1 : -1) * (h * 3600 + m * 60);
	return true;
}

int bh_text_time(const char *s, size_t n, int64_t *ret)
{
	const char *end = s + n;
	int64_t t;
	if (!read_day(&s, end, &t))
		return -EINVAL;
	if (s < end && is(&s, end, "T ") && !read_clock(&s, end, &t))
		return -EINVAL;
	while (s < end && *s == ' ')
		s++;
	if (s < end && (end - s == 3) && memcmp(s, "UTC", 3) == 0)
		s = end;
	if (s < end && !is(&s, end, "Z") && !read_zone(&s, end, &t))
		return -EINVAL;
	if (s != end)
		return -EINVAL;
	*ret = t;
	return 0;
}

/* Nanoseconds of the unit that s begins with; its length in *ret_n. 0: none. */
static int64_t unit_ns(const char *s, size_t n, size_t *ret_n)
{
	static const struct {
		const char *name;
		int64_t ns;
	} unit[] = {{"ns", 1}, {"us", 1000}, {"\xc2\xb5s", 1000}, {"\xce\xbcs", 1000},
		{"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000}};
	for (size_t i = 0; i < BH_ARRAY_SIZE(unit); i++) {
		size_t len = strlen(unit[i].name);
		if (n >= len && memcmp(s, unit[i].name, len) == 0) {
			*ret_n = len;
			return unit[i].ns;
		}
	}
	return 0;
}

int bh_text_duration(const char *s, size_t n, int64_t *ret)
{
	const char *end = s + n;
	bool minus = n && *s == '-';
	double total = 0;
	if (n && (*s == '-' || *s == '+'))
		s++;
	if (end - s == 1 && *s == '0') {
		*ret = 0;
		return 0;
	}
	if (s == end)
		return -EINVAL;
	while (s < end) {
		double v = 0, scale = 1;
		bool some = false;
		size_t len;
		for (; s < end && *s >= '0' && *s <= '9'; s++, some = true)
			v = v * 10 + (*s - '0');
		if (s < end && *s == '.')
			for (s++; s < end && *s >= '0' && *s <= '9'; s++, some = true)
				v += (*s - '0') * (scale /= 10);
		int64_t ns = unit_ns(s, (size_t)(end - s), &len);
		if (!some || !ns)
			return -EINVAL;
		s += len;
		total += v * ((double)ns / 1e9);
		if (total > (double)YEARS_100)
			return -EINVAL;
	}
	*ret = minus ? -(int64_t)total : (int64_t)total;
	return 0;
}
