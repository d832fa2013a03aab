/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a daemon mends before it can be asked about it: rules that are missing, tables of somebody
 * else. Here nobody mends them.
 */
#include "../nft/sample_link.h"

#include "config/config.h"
#include "doctor/doctor.h"
#include "link/link.h"

static struct bh_link *links;
static struct bh_config *conf;

static int setup_doctor(void **state)
{
	struct bh_diags bh_autodiags d = {0};
	int rc = setup(state);
	if (rc == 0 && (bh_link_open(&links) < 0 ||
			       bh_config_parse("none", "sources: []\n", 12, &d, &conf) < 0))
		return -1;
	return rc;
}

static int teardown_doctor(void **state)
{
	bh_link_close(links);
	bh_config_free(conf);
	return teardown(state);
}

/* As the daemon that holds `rules` would. Owned. */
static json_t *look(struct bh_nft *by, const struct bh_ruleset *rules)
{
	json_t *checks = json_array();
	const struct bh_doctor d = {.nft = by,
		.link = links,
		.conf = conf,
		.rules = rules,
		.whole = true,
		.daemon = true};
	bh_doctor_node(&d, checks);
	return checks;
}

static void wants(struct bh_nft *by, const struct bh_ruleset *rules, const char *check,
	const char *result, const char *words)
{
	json_t *checks = look(by, rules), *o;
	bool found = false;
	size_t i;
	json_array_foreach(checks, i, o)
	{
		const char *seen = json_string_value(json_object_get(o, "seen"));
		found |= bh_streq(json_string_value(json_object_get(o, "check")), check) &&
			 bh_streq(json_string_value(json_object_get(o, "result")), result) &&
			 strstr(seen, words);
	}
	if (!found) {
		char bh_autofree *text = json_dumps(checks, JSON_INDENT(1));
		fail_msg("no %s of %s with %s: %s", result, check, words, text);
	}
	json_decref(checks);
}

static void test_rules(void **state BH_UNUSED)
{
	struct bh_ruleset *rs = sample_link();
	rebuild(rs);
	wants(nft, rs, "rules", "ok", "as compiled");
	wants(nft, rs, "hooks", "ok", "base chains are hooked");
	must("nft insert rule inet bulkhead forward accept");
	wants(nft, rs, "rules", "fail", "chain forward holds 5 rules, not 4");
	must("nft flush chain bridge bulkhead not-own");
	wants(nft, rs, "rules", "fail", "chain not-own holds 0 rules");
	rebuild(rs);
	wants(nft, rs, "rules", "ok", "as compiled");
	must("nft 'add table inet bulkhead { flags dormant; }'");
	wants(nft, rs, "tables", "fail", "dormant");
	bh_ruleset_free(rs);
}

static void test_owner(void **state BH_UNUSED)
{
	struct bh_ruleset *rs = sample_link();
	struct bh_nft *other;
	if (!bh_nft_get_caps(nft)->owner) {
		print_message("skip: this kernel's tables have no owner (6.9 and later)\n");
		skip();
	}
	rebuild(rs);
	wants(nft, rs, "owner", "fail", "belong to nobody");
	bh_nft_set_owner(nft, true);
	rebuild(rs);
	wants(nft, rs, "owner", "ok", "belong to the daemon");
	assert_int_equal(bh_nft_open(&other), 0);
	wants(other, rs, "owner", "fail", "belong to another process");
	bh_nft_close(other);
	bh_ruleset_free(rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rules, setup_doctor, teardown_doctor),
		cmocka_unit_test_setup_teardown(test_owner, setup_doctor, teardown_doctor),
	};
	bh_ns_leave();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
