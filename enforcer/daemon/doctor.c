/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "daemon/doctor.h"

#include <bulkhead/engine.h>
#include <errno.h>

#include "doctor/doctor.h"
#include "link/link.h"
#include "nft/nft.h"
#include "prove/prove.h"

/* Base chains are the same for everybody, and so of a world in which nobody lives. */
static struct bh_ruleset *base_chains(void)
{
	const struct bh_engine_opts opts = {0};
	const struct bh_emit_opts emit = {.have_nfqueue = true};
	struct bh_policy_set *none = bh_policy_set_new_empty();
	struct bh_inventory *nobody = bh_inventory_new();
	bh_inventory_seal(nobody);
	struct bh_engine *e = bh_engine_compile(none, nobody, &opts);
	struct bh_ruleset *rs = bh_engine_emit(e, &emit);
	bh_engine_unref(e);
	bh_policy_set_unref(none);
	bh_inventory_unref(nobody);
	return rs;
}

static void print(json_t *checks) /* takes them */
{
	json_t *o = json_pack("{s:o}", "checks", checks);
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(o);
}

int bh_daemon_doctor(const struct bh_config *conf, const char *file)
{
	struct bh_doctor d = {.conf = conf, .conf_file = file};
	int r = bh_nft_open(&d.nft);
	if (r == 0)
		r = bh_link_open(&d.link);
	if (r < 0) {
		fprintf(stderr, "bulkheadd: %s%s\n", strerror(-r),
			r == -EPERM ? ": root is needed" : "");
	} else {
		json_t *checks = json_array();
		struct bh_ruleset *rules = base_chains();
		d.rules = rules;
		bh_doctor_node(&d, checks);
		print(checks);
		bh_ruleset_free(rules);
	}
	bh_link_close(d.link);
	bh_nft_close(d.nft);
	return r;
}

int bh_daemon_prove(void)
{
	json_t *checks = json_array();
	int r = bh_prove(NULL, checks);
	print(checks);
	return r;
}
