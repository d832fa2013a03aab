/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From figures to findings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "doctor/private.h"

#include <cmocka.h>

#define MIB (1ull << 20)

static void test_fill(void **state BH_UNUSED)
{
	assert_int_equal(bh_doctor_fill(5000, 0), BH_HEALTH_OK);
	assert_int_equal(bh_doctor_fill(0, 100), BH_HEALTH_OK);
	assert_int_equal(bh_doctor_fill(89, 100), BH_HEALTH_OK);
	assert_int_equal(bh_doctor_fill(90, 100), BH_HEALTH_WARN);
	assert_int_equal(bh_doctor_fill(99, 100), BH_HEALTH_WARN);
	assert_int_equal(bh_doctor_fill(100, 100), BH_HEALTH_FAIL);
	assert_int_equal(bh_doctor_fill(120, 100), BH_HEALTH_FAIL);
	assert_int_equal(bh_doctor_fill(1, 1), BH_HEALTH_FAIL);
}

static void test_room(void **state BH_UNUSED)
{
	assert_int_equal(bh_doctor_room(0, 0), BH_HEALTH_OK);
	assert_int_equal(bh_doctor_room(0, 8 * MIB), BH_HEALTH_FAIL);
	assert_int_equal(bh_doctor_room(MIB - 1, 8 * MIB), BH_HEALTH_FAIL);
	assert_int_equal(bh_doctor_room(MIB, 8 * MIB), BH_HEALTH_WARN);
	assert_int_equal(bh_doctor_room(64 * MIB, 1024 * MIB), BH_HEALTH_OK);
	assert_int_equal(bh_doctor_room(64 * MIB, 5000 * MIB), BH_HEALTH_WARN);
	assert_int_equal(bh_doctor_room(UINT64_MAX, UINT64_MAX), BH_HEALTH_OK);
}

static void test_time(void **state BH_UNUSED)
{
	assert_int_equal(bh_doctor_time(1000, 0, true), BH_HEALTH_OK);
	assert_int_equal(bh_doctor_time(1000, 1060, true), BH_HEALTH_OK);
	assert_int_equal(bh_doctor_time(1000, 1061, true), BH_HEALTH_FAIL);
	assert_int_equal(bh_doctor_time(1000, 1061, false), BH_HEALTH_FAIL);
	assert_int_equal(bh_doctor_time(1000, 900, false), BH_HEALTH_WARN);
}

static void test_findings(void **state BH_UNUSED)
{
	json_t *checks = json_array();
	bh_finding(checks, "a", BH_HEALTH_FAIL, "do it", "device %s", "x\ny");
	bh_finding(checks, "a", BH_HEALTH_OK, NULL, "no text: \xff");
	bh_finding(checks, "b", BH_HEALTH_WARN, NULL, "%3000s|", "long");
	bh_finding(checks, "b", BH_HEALTH_WARN, "chmod go-w b\xe4r\nx", "b\xe4r");
	assert_int_equal(json_array_size(checks), 4);
	assert_int_equal(bh_findings_count(checks, BH_HEALTH_FAIL), 1);
	assert_int_equal(bh_findings_count(checks, BH_HEALTH_SKIP), 0);
	const json_t *o = json_array_get(checks, 0);
	assert_string_equal(json_string_value(json_object_get(o, "seen")), "device x y");
	assert_string_equal(json_string_value(json_object_get(o, "remedy")), "do it");
	o = json_array_get(checks, 1);
	assert_string_equal(json_string_value(json_object_get(o, "seen")), "no text: ?");
	assert_true(json_is_null(json_object_get(o, "remedy")));
	o = json_array_get(checks, 3);
	assert_string_equal(json_string_value(json_object_get(o, "seen")), "b?r");
	assert_string_equal(json_string_value(json_object_get(o, "remedy")), "chmod go-w b?r x");
	json_decref(checks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fill),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_findings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
