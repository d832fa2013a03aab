/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How full connection tracking is, and what who holds too much of it may do then: by the numbers.
 */
#include "conntrack/conntrack.h"
#include "flows/crowding.h"

#define LIFETIME_S 120 /* of flows: TIME_WAIT, SYN_SENT, a stream of UDP */
#define LEAST 256 /* flows that are nobody's crime, however small the table */

bool bh_crowding_at_least(const struct bh_ct_fill *f, unsigned part, unsigned of)
{
	return f->max > 0 && (uint64_t)f->entries * of >= (uint64_t)f->max * part;
}

enum bh_crowding_level bh_crowding_next(
	enum bh_crowding_level now, const struct bh_ct_fill *f, bool dropping)
{
	if (f->max > 0 && (dropping || bh_crowding_at_least(f, 31, 32)))
		return BH_CROWDING_CUT;
	if (bh_crowding_at_least(f, 7, 8))
		return BH_CROWDING_REFUSED;
	if (bh_crowding_at_least(f, 3, 4))
		return now > BH_CROWDING_REFUSED ? BH_CROWDING_REFUSED
		       : now                     ? now
						 : BH_CROWDING_PACED;
	return now && bh_crowding_at_least(f, 5, 8) ? BH_CROWDING_PACED : BH_CROWDING_NONE;
}

uint32_t bh_crowding_share(uint32_t max, uint32_t share, enum bh_crowding_level level)
{
	uint64_t n = (uint64_t)max * share / (level > BH_CROWDING_PACED ? 200 : 100);
	return share >= BH_CROWDING_OFF ? UINT32_MAX : n < LEAST ? LEAST : (uint32_t)n;
}

bool bh_crowding_too_many(size_t flows, uint32_t share, bool already)
{
	return flows > (already ? share - share / 4 : share);
}

uint32_t bh_crowding_rate(uint32_t share)
{
	return share / LIFETIME_S + 1;
}

struct bh_census_quota bh_crowding_quota(
	enum bh_crowding_level level, size_t flows, size_t spare, uint32_t share)
{
	size_t excess = flows > share ? flows - share : 0;
	struct bh_census_quota q = {0};

	if (level >= BH_CROWDING_REFUSED)
		q.spare = excess < spare ? excess : spare;
	if (level == BH_CROWDING_CUT)
		q.open = excess - q.spare;
	return q;
}
