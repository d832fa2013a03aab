/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The proof: everything is proved on this kernel, and with a protection taken out of the rules just
 * those steps fail that rest on it. Nothing of it is left in the namespace that it was started in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

#include "doctor/findings.h"
#include "prove/prove.h"

#include "../netns.h"

#include <cmocka.h>

static const char *const steps[] = {"no-rules", "off", "allowed", "denied", "queue", "identity",
	"tagged", "reject", "established", "revoked"};

static size_t count(const json_t *checks, const char *check, enum bh_health h)
{
	const json_t *o;
	size_t i, n = 0;
	json_array_foreach(checks, i, o) n +=
		bh_streq(json_string_value(json_object_get(o, "check")), check) &&
		bh_streq(json_string_value(json_object_get(o, "result")), bh_health_name(h));
	return n;
}

/* Exactly the steps named, by words with a space behind each, FAIL. */
static void prove(const struct bh_prove_opts *opts, const char *fail)
{
	json_t *checks = json_array();
	int r = bh_prove(opts, checks);
	char bh_autofree *text = json_dumps(checks, JSON_INDENT(1));
	if (r < 0)
		fail_msg("%s: %s", strerror(-r), text);
	for (size_t i = 0; i < BH_ARRAY_SIZE(steps); i++) {
		char bh_autofree *word = bh_xasprintf("%s ", steps[i]);
		bool is = count(checks, steps[i], BH_HEALTH_FAIL) > 0;
		if (is != (strstr(fail, word) != NULL))
			fail_msg("%s: %s: %s", steps[i], is ? "fails" : "does not fail", text);
		if (!is && !count(checks, steps[i], BH_HEALTH_OK) &&
			!count(checks, steps[i], BH_HEALTH_SKIP))
			fail_msg("%s was left out: %s", steps[i], text);
	}
	json_decref(checks);
}

/* What a link, a table or a switch left behind would change. */
static char *surroundings(void)
{
	struct bh_buf b = {0};
	char chunk[4096];
	size_t n;
	FILE *p = popen("readlink /proc/self/ns/net; ip link; ip addr; nft list ruleset;"
			" cat /proc/sys/net/bridge/bridge-nf-call-*; cat "
			"/proc/net/netfilter/nfnetlink_queue;",
		"r");
	assert_non_null(p);
	while ((n = fread(chunk, 1, sizeof(chunk), p)) > 0)
		bh_buf_add(&b, chunk, n);
	pclose(p);
	return bh_buf_take(&b);
}

static void test_all(void **state BH_UNUSED)
{
	struct timespec a, b;
	assert_int_equal(bh_sh("sysctl -qw net.bridge.bridge-nf-call-iptables=0"), 0);
	char bh_autofree *before = surroundings();
	clock_gettime(CLOCK_MONOTONIC, &a);
	prove(NULL, "");
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_true(b.tv_sec - a.tv_sec < 15);
	char bh_autofree *after = surroundings();
	assert_string_equal(after, before);
}

static struct bh_chain *chain(struct bh_ruleset *rs, const char *name)
{
	for (size_t i = 0; i < rs->n_chains; i++)
		if (bh_streq(rs->chain[i].name, name))
			return &rs->chain[i];
	fail_msg("there is no chain %s", name);
	return NULL;
}

/* What a chain did passes. */
static void idle(struct bh_chain *c)
{
	for (size_t i = 0; i < c->n; i++)
		c->rule[i].action = BH_ACT_NONE;
}

static void empty(struct bh_ruleset *rs, int load BH_UNUSED, void *arg)
{
	for (const char *const *name = arg; *name; name++)
		idle(chain(rs, *name));
}

static void test_without(void **state BH_UNUSED)
{
	static const struct {
		const char *chain[3];
		const char *fail;
	} part[] = {
		{{"guard"}, "identity "},
		/* Tagged frames are looked for where they come in and where they leave. */
		{{"guard", "deliver"}, "identity tagged "},
		{{"forward"}, "denied queue reject revoked "},
		{{"unmatched"}, "denied queue reject "},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(part); i++) {
		const struct bh_prove_opts opts = {.spoil = empty, .arg = (void *)part[i].chain};
		prove(&opts, part[i].fail);
	}
}

static void test_without_bridge_nf(void **state BH_UNUSED)
{
	const struct bh_prove_opts opts = {.without_bridge_nf = true};
	prove(&opts, "denied queue reject revoked ");
}

/* Rules that still let in what was cut. */
static void open_again(struct bh_ruleset *rs, int load, void *arg BH_UNUSED)
{
	if (load < 2)
		return;
	idle(chain(rs, "forward"));
}

static void test_without_a_cut(void **state BH_UNUSED)
{
	const struct bh_prove_opts opts = {.spoil = open_again};
	prove(&opts, "revoked ");
}

/* Everything denied: nothing that a rule allows comes. */
static void closed(struct bh_ruleset *rs, int load BH_UNUSED, void *arg BH_UNUSED)
{
	struct bh_chain *c = chain(rs, "forward");
	for (size_t i = 0; i < c->n; i++)
		c->rule[i].action = BH_ACT_DROP;
}

static void test_closed(void **state BH_UNUSED)
{
	const struct bh_prove_opts opts = {.spoil = closed};
	json_t *checks = json_array();
	assert_int_equal(bh_prove(&opts, checks), 0);
	assert_int_not_equal(count(checks, "allowed", BH_HEALTH_FAIL), 0);
	assert_int_not_equal(count(checks, "identity", BH_HEALTH_FAIL), 0);
	assert_int_not_equal(count(checks, "established", BH_HEALTH_FAIL), 0);
	json_decref(checks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_without),
		cmocka_unit_test(test_without_bridge_nf),
		cmocka_unit_test(test_without_a_cut),
		cmocka_unit_test(test_closed),
	};
	bh_ns_leave();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
