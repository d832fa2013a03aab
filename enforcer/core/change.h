/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a change changed, for its record. */
#pragma once

#include <jansson.h>

struct bh_config;
struct bh_policy_set;

/* [{"policy", "change": added|removed|changed}], at most 100, and how many there are. */
json_t *bh_core_policy_changes_json(
	const struct bh_policy_set *from, const struct bh_policy_set *to);
/* The lines of the printed configuration that differ: {"from": sha, "to": sha, "lines": ["-…",
 * "+…"]}. */
json_t *bh_core_config_changes_json(const struct bh_config *from, const struct bh_config *to);
