/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who asks, as the audit log has it: with the login that sudo and su keep. */
#pragma once

#include "answer/answer.h"
#include "audit/audit.h"

struct bh_audit_actor bh_core_audit_actor(const struct bh_core_actor *who);
