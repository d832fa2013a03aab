/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Steps of the clock, by a clock of the test's own: what goes on record of them, and what they do
 * to ends on disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>

#include "answer/clock.h"
#include "audit/audit.h"
#include "core/state.h"
#include "store/store.h"

#define SECOND INT64_C(1000000)
#define DAWN (INT64_C(1800000000) * SECOND) /* 2027-01-15T08:00:00Z */

static char dir[64], path[80];
static struct bh_core c;

static int setup(void **state BH_UNUSED)
{
	strcpy(dir, "/tmp/bh-pulse-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/audit.jsonl", dir);
	const struct bh_audit_opts opts = {
		.path = path, .node = "n", .machine_id = "m", .boot_id = "b", .version = "0"};
	c = (struct bh_core){0};
	return bh_audit_open(&opts, &c.audit);
}

static int teardown(void **state BH_UNUSED)
{
	char command[100];
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

/* The records of steps there are, when all is written; a list. */
static json_t *steps(void)
{
	char line[4096];
	json_t *list = json_array();
	bh_audit_close(BH_TAKE_PTR(c.audit));
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		json_t *r = json_loads(line, 0, NULL);
		assert_non_null(r);
		const char *action =
			json_string_value(json_object_get(json_object_get(r, "event"), "action"));
		if (bh_streq(action, "clock.step"))
			json_array_append(list, r);
		json_decref(r);
	}
	fclose(f);
	return list;
}

static void expect(json_t *list, size_t i, const char *message, json_int_t step, const char *from,
	const char *to)
{
	json_t *r = json_array_get(list, i);
	assert_non_null(r);
	json_t *what = json_object_get(json_object_get(r, "bulkhead"), "change");
	assert_string_equal(json_string_value(json_object_get(r, "message")), message);
	assert_int_equal(json_integer_value(json_object_get(what, "step_us")), step);
	assert_string_equal(json_string_value(json_object_get(what, "from")), from);
	assert_string_equal(json_string_value(json_object_get(what, "to")), to);
}

/* What passes, also while the machine sleeps, and what NTP corrects bit by bit is no step. */
static void test_no_step(void **state BH_UNUSED)
{
	bh_core_clock_check(&c, DAWN, 5 * SECOND);
	bh_core_clock_check(&c, DAWN + SECOND, 6 * SECOND);
	bh_core_clock_check(&c, DAWN + 3600 * SECOND, 3605 * SECOND);
	for (int i = 1; i <= 100; i++)
		bh_core_clock_check(&c, DAWN + 3600 * SECOND + i * (SECOND + 500000),
			3605 * SECOND + i * SECOND);
	json_t *list = steps();
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
}

static void test_steps(void **state BH_UNUSED)
{
	bh_core_clock_check(&c, DAWN, 5 * SECOND);
	bh_core_clock_check(&c, DAWN + 61 * SECOND, 6 * SECOND);
	bh_core_clock_check(&c, DAWN + 62 * SECOND, 7 * SECOND); /* told once */
	bh_core_clock_check(&c, DAWN - 3598 * SECOND, 8 * SECOND);
	json_t *list = steps();
	assert_int_equal(json_array_size(list), 2);
	expect(list, 0, "the clock was set forward", 60 * SECOND, "2027-01-15T08:00:01.000000Z",
		"2027-01-15T08:01:01.000000Z");
	expect(list, 1, "the clock was set back", -3661 * SECOND, "2027-01-15T08:01:03.000000Z",
		"2027-01-15T07:00:02.000000Z");
	json_decref(list);
}

/* --- ends on disk --- */

static int setup_store(void **state)
{
	int r = setup(state);
	return r < 0 ? r : bh_store_open(dir, &c.store);
}

static int teardown_store(void **state)
{
	bh_store_close(c.store);
	bh_audit_close(BH_TAKE_PTR(c.audit));
	return teardown(state);
}

static void put_mode(const char *scope, int64_t set_at, int64_t until)
{
	const struct bh_mode_row m = {.scope = (char *)scope, .set_at = set_at, .until = until};
	assert_int_equal(bh_store_put_mode(c.store, &m), 0);
	assert_int_equal(bh_store_commit(c.store), 0);
}

struct times {
	int64_t set_at, until;
};

static void take_times(const struct bh_mode_row *m, void *arg)
{
	struct times *t = arg;
	t[*m->scope != '\0'] = (struct times){m->set_at, m->until};
}

static void expect_times(const char *when, int64_t got, int64_t want)
{
	if (got < want - 10 * SECOND || got > want + 10 * SECOND)
		fail_msg("%s: %lld s too late", when, (long long)(got - want) / SECOND);
}

/* The disk was full at the start, so that what the clock was by is not on it: that is no step. */
static void test_nothing_noted(void **state BH_UNUSED)
{
	struct rlimit before, none;
	struct times t[2];
	int64_t now = bh_clock_now(), boot = bh_clock_steady(), hour = 3600 * SECOND;

	put_mode("", now, now + hour);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = (struct rlimit){1, before.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	bh_core_clock_load(&c);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_non_null(bh_store_trouble(c.store));

	bh_core_clock_check(&c, now + SECOND, boot + SECOND);
	bh_store_load_modes(c.store, take_times, t);
	expect_times("no step", t[0].until, now + hour);
	bh_core_clock_check(&c, now + hour, boot + 2 * SECOND);
	bh_core_clock_check(&c, now + hour, boot + 2 * SECOND);
	bh_store_load_modes(c.store, take_times, t);
	expect_times("a step", t[0].until, now + 2 * hour);
}

/* A machine without a clock of its own boots in the past, and is told the time later. */
static void test_behind_since_the_boot(void **state BH_UNUSED)
{
	struct times t[2];
	int64_t now = bh_clock_now(), boot = bh_clock_steady(), hour = 3600 * SECOND;
	int64_t year = 365 * 24 * hour;

	put_mode("", now + year, now + year + 3 * hour);
	put_mode("shop", now + year + 2 * hour, now + year + 3 * hour);
	bh_core_clock_load(&c);
	bh_store_load_modes(c.store, take_times, t);
	expect_times("the last one was set now", t[1].set_at, now);
	expect_times("and the first before", t[0].set_at, now - 2 * hour);
	expect_times("it has an hour", t[1].until, now + hour);
	expect_times("and the first one too", t[0].until, now + hour);
	bh_core_clock_check(&c, now + year, boot);
	bh_store_load_modes(c.store, take_times, t);
	expect_times("told the time", t[1].until, now + year + hour);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_step, setup, teardown),
		cmocka_unit_test_setup_teardown(test_steps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_noted, setup_store, teardown_store),
		cmocka_unit_test_setup_teardown(
			test_behind_since_the_boot, setup_store, teardown_store),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
