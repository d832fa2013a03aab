/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The daemon, but no decision is recorded: what the audit log's benchmark compares with. The linker
 * puts this in the place of the call (--wrap). */
#include "audit/audit.h"

void __wrap_bh_audit_flow(struct bh_audit *a, const struct bh_audit_flow *f);

void __wrap_bh_audit_flow(struct bh_audit *a BH_UNUSED, const struct bh_audit_flow *f BH_UNUSED)
{
}
