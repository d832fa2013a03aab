/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See clock.h. */
#include "answer/clock.h"

#include <time.h>

int64_t bh_clock_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t bh_clock_steady(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000 + 1;
}

void bh_clock_text(int64_t us, char buf[static 32])
{
	time_t s = us / 1000000;
	struct tm tm;
	char date[24];
	buf[0] = '\0';
	if (us <= 0 || !gmtime_r(&s, &tm))
		return;
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, 32, "%.19s.%06dZ", date, (int)(us % 1000000));
}

json_t *bh_clock_json(int64_t us)
{
	char text[32];
	bh_clock_text(us, text);
	return text[0] ? json_string(text) : json_null();
}
