/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a change of policies opens and closes over the workloads that are there now. */
#pragma once

#include <jansson.h>

struct bh_core;
struct bh_policy_set;

/* What opens and closes if `after` replaces what is in force; null while nothing is. */
json_t *bh_core_delta_json(struct bh_core *c, struct bh_policy_set *after);
