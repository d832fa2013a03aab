/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables that belong to us: nobody else can change them, and they outlive us. */
#include "sample_link.h"

#define TABLES "nft -s list table inet bulkhead; nft -s list table bridge bulkhead"

static int setup_owner(void **state)
{
	int rc = setup(state);
	bh_nft_set_owner(nft, true);
	return rc;
}

/* The foreign command is refused, or has no effect; nothing of ours is different. */
static void has_no_effect(const char *cmd, bool refused)
{
	bh_autofree char *before = run(TABLES, NULL);
	int status;
	bh_autofree char *out = run(cmd, &status);
	if (refused && (!status || !strstr(out, "Operation not permitted")))
		fail_msg("%s: not refused: %s", cmd, out);
	bh_autofree char *after = run(TABLES, NULL);
	assert_text(after, before);
}

static void nobody_else_can(void)
{
	has_no_effect("nft flush ruleset 2>&1", false);
	has_no_effect("nft flush table inet bulkhead 2>&1", true);
	has_no_effect("nft flush chain inet bulkhead forward 2>&1", true);
	has_no_effect("nft delete table inet bulkhead 2>&1", true);
	has_no_effect("nft delete table bridge bulkhead 2>&1", true);
	has_no_effect("nft flush chain bridge bulkhead guard 2>&1", true);
	has_no_effect("nft add element inet bulkhead routed '{ veth9 }' 2>&1", true);
	has_no_effect("nft flush set bridge bulkhead guarded 2>&1", true);
	has_no_effect("nft insert rule inet bulkhead forward accept 2>&1", true);
	has_no_effect("nft add table inet bulkhead '{ flags dormant; }' 2>&1", true);
	has_no_effect("nft delete rule inet bulkhead forward handle "
		      "$(nft -a list chain inet bulkhead forward | sed -n '/@cache-4/s/.*handle "
		      "//p') 2>&1",
		true);
}

static void skip_no_owner(void)
{
	print_message("skip: this kernel's tables have no owner (6.9 and later)\n");
	skip();
}

static void test_refused_to_others(void **state)
{
	(void)state;
	if (!bh_nft_get_caps(nft)->owner)
		skip_no_owner();
	struct bh_ruleset *a = sample_link(), *b = sample_link();
	rule(find_chain(b, "forward"), BH_ACT_DROP, "new");
	assert_true(bh_nft_watch_fd(nft) >= 0);
	rebuild(a);
	nobody_else_can();
	assert_int_equal(bh_nft_watch_drain(nft), 0);
	/* And we can. */
	apply(a, b);
	apply(b, a);
	rebuild(b);
	nobody_else_can();
	assert_int_equal(bh_nft_flush(nft), 0);
	assert_int_equal(bh_nft_exists(nft), 0);
	bh_ruleset_free(a);
	bh_ruleset_free(b);
}

static void reopen(void)
{
	bh_nft_close(nft);
	assert_int_equal(bh_nft_open(&nft), 0);
	bh_nft_set_owner(nft, true);
}

static bool announced(void)
{
	struct pollfd p = {.fd = bh_nft_watch_fd(nft), .events = POLLIN};
	return poll(&p, 1, 0) > 0;
}

/* Of our own large changes nothing is announced, of others' everything, before and after. */
static void test_not_announced(void **state)
{
	(void)state;
	if (!bh_nft_get_caps(nft)->owner)
		skip_no_owner();
	struct bh_ruleset *rs = sample_link();
	assert_true(bh_nft_watch_fd(nft) >= 0);
	assert_true(bh_nft_watch_drain(nft) >= 0);
	rebuild(rs);
	assert_false(announced());
	must("nft add table inet other");
	assert_true(announced());
	rebuild(rs); /* with that still unread */
	assert_true(announced());
	assert_int_equal(bh_nft_watch_drain(nft), 0);
	assert_false(announced());
	must("nft delete table inet other");
	assert_int_equal(bh_nft_watch_drain(nft), 0);
	must("nft add table inet another; nft add chain inet another c; nft delete table inet "
	     "another");
	assert_true(announced());
	assert_int_equal(bh_nft_watch_drain(nft), 0);
	bh_ruleset_free(rs);
}

#define FORWARD "nft -a list chain inet bulkhead forward | head -2"
#define GUARD "nft -a list chain bridge bulkhead guard | head -2"

static void test_taken_over(void **state)
{
	(void)state;
	if (!bh_nft_get_caps(nft)->owner)
		skip_no_owner();
	struct bh_ruleset *rs = sample_link();
	rebuild(rs);
	bh_autofree char *owned = run(TABLES, NULL);
	bh_autofree char *chains = run(FORWARD ";" GUARD, NULL);
	reopen();
	bh_autofree char *orphans = run(TABLES, NULL);
	assert_string_not_equal(orphans, owned); /* flags */
	assert_non_null(strstr(orphans, "@guard-arp accept"));
	must("nft flush chain inet bulkhead forward; nft delete element bridge bulkhead guarded "
	     "'{ veth1 }'"); /* nobody's */
	rebuild(rs);
	bh_autofree char *again = run(TABLES, NULL);
	bh_autofree char *a = sorted_lines(again), *b = sorted_lines(owned);
	assert_text(a, b);
	/* Base chains were not made again: packets in the queue stay there. */
	bh_autofree char *chains_again = run(FORWARD ";" GUARD, NULL);
	assert_string_equal(chains_again, chains);
	nobody_else_can();
	bh_ruleset_free(rs);
}

/* In a child: own the tables, say so, and hang on. */
static pid_t owner_process(const struct bh_ruleset *rs)
{
	int ready[2];
	char c;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct bh_nft *mine;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (bh_nft_open(&mine) < 0)
			_exit(1);
		bh_nft_set_owner(mine, true);
		if (bh_nft_rebuild(mine, rs, NULL) == 0 && write(ready[1], "", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_killed(void **state)
{
	(void)state;
	if (!bh_nft_get_caps(nft)->owner)
		skip_no_owner();
	struct bh_ruleset *rs = sample_link();
	struct bh_nft_error e;
	pid_t other = owner_process(rs);
	nobody_else_can();
	assert_int_equal(bh_nft_taken(nft), 1);
	assert_int_equal(bh_nft_rebuild(nft, rs, &e), -EPERM);
	assert_string_equal(e.object, "table inet bulkhead");
	assert_int_equal(bh_nft_flush(nft), -EPERM);
	bh_autofree char *before = run("nft -s list chain bridge bulkhead guard | sed 1,2d;"
				       "nft -s list chain inet bulkhead forward | sed 1,2d",
		NULL);
	end(other);
	bh_autofree char *after = run("nft -s list chain bridge bulkhead guard | sed 1,2d;"
				      "nft -s list chain inet bulkhead forward | sed 1,2d",
		NULL);
	assert_string_equal(after, before);
	assert_int_equal(bh_nft_taken(nft), 0);
	rebuild(rs);
	assert_int_equal(bh_nft_taken(nft), 0);
	nobody_else_can();
	bh_ruleset_free(rs);
}

/* A daemon stopped, then `bulkhead flush`. */
static void test_orphans_can_go(void **state)
{
	(void)state;
	struct bh_ruleset *rs = sample_link();
	end(owner_process(rs));
	assert_int_equal(bh_nft_exists(nft), 1);
	assert_int_equal(bh_nft_flush(nft), 0);
	bh_autofree char *none = run("nft list ruleset", NULL);
	assert_string_equal(none, "");
	bh_ruleset_free(rs);
}

/* From nobody's to ours and back. */
static void test_change_of_mind(void **state)
{
	(void)state;
	struct bh_ruleset *rs = sample_link();
	bh_nft_set_owner(nft, false);
	rebuild(rs);
	assert_both_listed(rs);
	must("nft flush chain inet bulkhead forward");
	bh_nft_set_owner(nft, true);
	rebuild(rs);
	if (bh_nft_get_caps(nft)->owner)
		nobody_else_can();
	else
		assert_both_listed(rs);
	bh_nft_set_owner(nft, false);
	rebuild(rs);
	assert_both_listed(rs);
	must("nft flush chain inet bulkhead forward");
	bh_nft_set_owner(nft, true);
	bh_ruleset_free(rs);
}

static int clean_own(void **state)
{
	(void)state;
	return bh_nft_flush(nft);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_refused_to_others, clean_own),
		cmocka_unit_test_teardown(test_not_announced, clean_own),
		cmocka_unit_test_teardown(test_taken_over, clean_own),
		cmocka_unit_test_teardown(test_killed, clean_own),
		cmocka_unit_test_teardown(test_orphans_can_go, clean_own),
		cmocka_unit_test_teardown(test_change_of_mind, clean_own),
	};
	return cmocka_run_group_tests(tests, setup_owner, teardown);
}
