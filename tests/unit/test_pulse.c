/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Steps of the clock, by a clock of the test's own: what goes on record of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "audit/audit.h"
#include "core/state.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_step, setup, teardown),
		cmocka_unit_test_setup_teardown(test_steps, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
