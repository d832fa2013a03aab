/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which sets a group's chains look things up in: what emit_groups.c writes, counted. */
#include "internal.h"

/* Named ports that nobody serves have no rule. */
bool bh_row_in_kernel(const struct bh_engine *e, const struct bh_row *r)
{
	return r->named < 0 || e->served[r->named].n > 0;
}

static void row_uses(const struct bh_row *r, uint32_t *kset_uses, uint32_t *name_uses)
{
	bool asked = r->any >= 0;
	for (size_t i = 0; r->any < 0 && i < r->n_hits; i++)
		if (r->hit[i].pods) {
			kset_uses[r->hit[i].pods->index]++;
			asked = true;
		}
	for (int f = 0; r->any < 0 && f < 2; f++)
		if (r->block[f] && r->block[f]->ranges.n) {
			kset_uses[r->block[f]->index]++;
			asked = true;
		}
	if (asked && r->named >= 0)
		name_uses[r->named]++;
	if (asked && r->ports)
		kset_uses[r->ports->index]++;
}

void bh_group_uses(const struct bh_engine *e, const struct bh_group *g, uint32_t *kset_uses,
	uint32_t *name_uses)
{
	for (int t = 0; t < 3; t++) {
		if (t == BH_TIER_BASELINE && g->selection->n_np)
			break;
		for (size_t i = 0; i < g->tier[t].n; i++)
			if (bh_row_in_kernel(e, &g->tier[t].row[i]))
				row_uses(&g->tier[t].row[i], kset_uses, name_uses);
	}
}
