/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the files of the reference evaluator; see reference.h. */
#pragma once

#include "lib/reference.h"

struct world {
	const struct bh_policy_set *policies;
	const struct bh_inventory *inv;
	const struct bh_engine_opts *opts;
	const struct bh_flow *f;
};

bool reference_same(const struct bh_addr *a, const struct bh_addr *b);
int reference_owner(const struct bh_inventory *inv, const struct bh_addr *a);
bool reference_inside(const struct bh_prefix *p, const struct bh_addr *a);
const struct bh_labels *reference_namespace_labels(
	const struct bh_inventory *inv, const char *name);
bool reference_selects(const struct bh_selector *s, const struct bh_labels *l);
bool reference_rule_matches(const struct world *x, const struct bh_policy *p,
	const struct bh_policy_rule *r, const struct bh_addr *addr, int other, int dst,
	int *ret_peer);
