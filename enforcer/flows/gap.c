/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is on no record, as a record: with its class, count and times. */
#include "flows/gap.h"

#include "answer/clock.h"
#include "audit/audit.h"
#include "core/state.h"

void bh_core_gap(
	struct bh_core *c, const char *class, int64_t count, int64_t since, const char *message)
{
	json_t *o = json_pack("{s:s}", "class", class);
	json_object_set_new(o, "count", count < 0 ? json_null() : json_integer((json_int_t)count));
	json_object_set_new(o, "first", bh_clock_json(since));
	json_object_set_new(o, "last", bh_clock_json(bh_clock_now()));
	bh_audit_event(c->audit, "gap", NULL, message, NULL, o);
}
