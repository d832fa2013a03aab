/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Policies that select nobody. */
#pragma once

#include <bulkhead/policy.h>
#include <jansson.h>

struct bh_core;

/* A list of sentences. A mistyped label or a forgotten namespace makes a policy that is in force
 * and protects nobody. Of a set that is meant for many nodes most may be so: the first ones are
 * named, the others counted. Empty as long as it is not known who is there. */
json_t *bh_core_policies_of_nobody(const struct bh_core *c, const struct bh_policy_set *set);
/* The same of those in force, whoever wrote them and whenever who they are about went. Cheap. */
json_t *bh_core_idle_policies(const struct bh_core *c);
