/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the files that build, compare and patch rulesets. */
#pragma once

#include <bulkhead/ruleset.h>

void bh_set_finish(struct bh_set *s);
void bh_rule_finish(struct bh_rule *r);
struct bh_rule bh_rule_copy(const struct bh_rule *r);
int bh_set_elem_cmp(const struct bh_set_elem *a, const struct bh_set_elem *b); /* by key */
