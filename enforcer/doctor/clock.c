/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records, feeds' exceptions and modes for a time are only as right as the clock. */
#include <sys/stat.h>
#include <sys/timex.h>
#include <time.h>

#include "config/config.h"
#include "private.h"

/* Under the service's restrictions (ProtectClock) it can't be asked: then nothing is said of it. */
static bool unsynchronised(bool *ret_known)
{
	struct timex t = {0};
	int r = adjtimex(&t); /* changes nothing */
	*ret_known = r >= 0;
	return r == TIME_ERROR || (r >= 0 && (t.status & STA_UNSYNC));
}

void bh_doctor_clock(const struct bh_doctor_look *k)
{
	struct stat st = {0};
	bool known, bad = unsynchronised(&known);
	int64_t now = time(NULL);
	int64_t newest = stat(k->d->conf->audit_path, &st) == 0 ? st.st_mtim.tv_sec : 0;
	enum bh_health h = bh_doctor_time(now, newest, !bad);

	if (h == BH_HEALTH_FAIL)
		bh_finding(k->checks, "clock", h, "date; timedatectl",
			"the clock is %lld s behind the newest record of the audit log",
			(long long)(newest - now));
	else if (h == BH_HEALTH_WARN)
		bh_finding(k->checks, "clock", h, "timedatectl set-ntp true",
			"nothing keeps the clock right: times of records are this machine's own");
	else
		bh_finding(k->checks, "clock", h, NULL, "it is not behind the newest record%s",
			known ? ", and is synchronised" : "");
}
