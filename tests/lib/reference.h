/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A second opinion: NetworkPolicy and ClusterNetworkPolicy evaluated straight from the model,
 * policy by policy, with no compilation, no index and none of the engine's helpers for selectors,
 * blocks or ownership. Slow and obvious on purpose; tests compare the engine with it.
 */
#pragma once

#include <bulkhead/engine.h>

void reference_evaluate(const struct bh_policy_set *policies, const struct bh_inventory *inv,
	const struct bh_engine_opts *opts, const struct bh_flow *f, struct bh_decision *ret);
