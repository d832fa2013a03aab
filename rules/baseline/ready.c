/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Is a role's baseline worth enforcing? Never a timer alone: what decides is whether the times at
 * which it could have done something else were seen (every hour of a day, every weekday, a start),
 * and whether it has stopped doing new things since. Each condition is a reason that is told.
 */
#include <bulkhead/baseline.h>

#define MINUTE 60u
#define HOUR 3600u
#define DAY 86400u

#define HARDLY_S (10 * MINUTE) /* less than this, or no connection at all, says nothing */

static void add(struct bh_ready *r, bool met, const char *fmt, ...) BH_PRINTF(3, 4);
static void add(struct bh_ready *r, bool met, const char *fmt, ...)
{
	va_list ap;
	struct bh_ready_reason *x = &r->reason[r->n++];
	x->met = met;
	va_start(ap, fmt);
	vsnprintf(x->text, sizeof(x->text), fmt, ap);
	va_end(ap);
}

const char *bh_duration_format(int64_t s, char buf[static BH_DURATION_STRLEN])
{
	unsigned long long n = s > 0 ? (unsigned long long)s : 0;
	if (n < MINUTE)
		snprintf(buf, BH_DURATION_STRLEN, "%llus", n);
	else if (n < HOUR)
		snprintf(buf, BH_DURATION_STRLEN, "%llum", n / MINUTE);
	else if (n < DAY)
		snprintf(buf, BH_DURATION_STRLEN, "%lluh%02llum", n / HOUR, n % HOUR / MINUTE);
	else
		snprintf(buf, BH_DURATION_STRLEN, "%llud%02lluh", n / DAY, n % DAY / HOUR);
	return buf;
}

const char *bh_ready_level_name(enum bh_ready_level l)
{
	static const char *const name[] = {
		[BH_READY_HARDLY_SEEN] = "hardly-seen",
		[BH_READY_LEARNING] = "learning",
		[BH_READY_USABLE] = "usable",
		[BH_READY_READY] = "ready",
	};
	return name[l];
}

void bh_ready_judge(const struct bh_ready_facts *f, struct bh_ready *ret)
{
	struct bh_ready r = {0};
	char text[BH_DURATION_STRLEN];
	/* Longer quiet is asked of who was watched for longer: a tenth of the time. */
	int64_t quiet_usable = 6 * HOUR, quiet_ready = (int64_t)(f->learned_s / 10);
	if (quiet_ready < (int64_t)DAY)
		quiet_ready = DAY;

	bool seen = f->learned_s >= HARDLY_S, talks = f->edges > 0;
	bool day = f->hours == 24, week = f->weekdays == 7, started = f->starts > 0;
	bool quiet = !talks || f->quiet_s >= quiet_usable;
	bool long_quiet = !talks || f->quiet_s >= quiet_ready;

	bh_duration_format((int64_t)f->learned_s, text);
	add(&r, seen, "observed for %s", text);
	if (talks)
		add(&r, true, "%zu edge%s, %llu connection%s", f->edges, bh_plural(f->edges),
			(unsigned long long)f->connections, bh_plural(f->connections));
	else
		add(&r, false, "no answered connection was seen");
	add(&r, day, "%u of 24 hours of a day seen", f->hours);
	add(&r, week, "%u of 7 weekdays seen", f->weekdays);
	if (talks) {
		bh_duration_format(f->quiet_s, text);
		add(&r, long_quiet, "nothing new for %s", text);
	}
	if (started)
		add(&r, true, "%llu start%s of a container seen", (unsigned long long)f->starts,
			bh_plural(f->starts));
	else
		add(&r, false,
			"no start of another container seen: what it does then is not known");
	if (f->unanswered)
		add(&r, false, "%zu edge%s without any answer: no rules come of that",
			f->unanswered, bh_plural(f->unanswered));

	if (!seen || (!talks && !day))
		r.level = BH_READY_HARDLY_SEEN;
	else if (!day || !quiet)
		r.level = BH_READY_LEARNING;
	else
		r.level = week && long_quiet && started ? BH_READY_READY : BH_READY_USABLE;
	*ret = r;
}

void bh_hours_mark(uint8_t hours[static BH_HOURS_BYTES], int64_t us)
{
	/* 1970-01-01 was a Thursday; the week begins on Monday. */
	uint64_t hour = (uint64_t)(us > 0 ? us : 0) / 1000000 / HOUR;
	unsigned at = (unsigned)((hour / 24 + 3) % 7 * 24 + hour % 24);
	hours[at / 8] |= (uint8_t)(1u << at % 8);
}

void bh_hours_count(
	const uint8_t hours[static BH_HOURS_BYTES], unsigned *ret_hours, unsigned *ret_weekdays)
{
	bool hour[24] = {0}, day[7] = {0};
	unsigned h = 0, d = 0;
	for (unsigned at = 0; at < 7 * 24; at++)
		if (hours[at / 8] >> at % 8 & 1)
			hour[at % 24] = day[at / 24] = true;
	for (size_t i = 0; i < 24; i++)
		h += hour[i];
	for (size_t i = 0; i < 7; i++)
		d += day[i];
	*ret_hours = h;
	*ret_weekdays = d;
}
