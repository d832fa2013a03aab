/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was looked at, what was seen, and what to do about it. */
#pragma once

#include <bulkhead/util.h>
#include <jansson.h>

enum bh_health {
	BH_HEALTH_OK,
	BH_HEALTH_WARN, /* what was asked for holds, but protects less than it could */
	BH_HEALTH_FAIL, /* what was asked for does not hold */
	BH_HEALTH_SKIP, /* could not be looked at */
};

/* Adds {"check", "result": "ok|warn|fail|skip", "seen", "remedy"} to the list. remedy: what to do,
 * a command where there is one; NULL: nothing. */
void bh_finding(json_t *checks, const char *check, enum bh_health health, const char *remedy,
	const char *fmt, ...) BH_PRINTF(5, 6);
/* How many of the list have that result. */
size_t bh_findings_count(const json_t *checks, enum bh_health health);
const char *bh_health_name(enum bh_health health);
