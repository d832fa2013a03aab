/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by policies.c (the directory) and apply.c (changes by command). */
#pragma once

#include "audit/audit.h"
#include "core/files.h"

struct bh_core;

void bh_core_hex(const uint8_t sha[static 32], char ret[static 65]);
/* Puts a checked set (taken) in force; `files` is what it was made from. On −errno the set before
 * is in force again and c->commit_error says why. */
int bh_core_policies_install(struct bh_core *c, struct bh_policy_set *set,
	const struct bh_file_set *files, const char *cause, const struct bh_audit_actor *actor);
