/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "analysis/seen_rows.h"

void bh_seen_rows_init(struct bh_seen_rows *s, size_t rows)
{
	size_t slots = 2048;
	while (slots < 2 * rows)
		slots *= 2;
	*s = (struct bh_seen_rows){.hash = bh_xcalloc(slots, sizeof(*s->hash)), .mask = slots - 1};
}

void bh_seen_rows_finish(struct bh_seen_rows *s)
{
	free(s->hash);
	*s = (struct bh_seen_rows){0};
}

bool bh_seen_rows_add(struct bh_seen_rows *s, const struct bh_flow_row *row)
{
	const char *part[] = {row->src, row->dst, row->src_addr, row->dst_addr, row->verdict,
		row->reason, row->rule ? row->rule : ""};
	uint64_t h = bh_hash(&row->proto, 1, bh_hash(&row->port, 2, BH_HASH_SEED));
	h = bh_hash(&row->src_stay, 8, bh_hash(&row->dst_stay, 8, h));
	for (size_t i = 0; i < BH_ARRAY_SIZE(part); i++)
		h = bh_hash_str(part[i], h);
	h += h == 0;
	size_t at = h & s->mask;
	for (; s->hash[at]; at = (at + 1) & s->mask)
		if (s->hash[at] == h)
			return false;
	if (s->n * 2 < s->mask) {
		s->hash[at] = h;
		s->n++;
	}
	return true;
}
