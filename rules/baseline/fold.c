/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Putting tuples together, where there are more than are kept one by one. What comes out says how
 * much there was and in which block, and becomes no rule by itself: a rule for it would allow what
 * nobody has seen.
 */
#include "private.h"

static bool has_ports(uint8_t proto)
{
	return proto == BH_TCP || proto == BH_UDP || proto == BH_SCTP;
}

bool bh_tuple_can_fold(const struct bh_tuple *t)
{
	return t->dst.kind == BH_END_ADDR || t->src.kind == BH_END_ADDR ||
	       (t->port && has_ports(t->proto));
}

bool bh_tuple_fold(const struct bh_tuple *t, struct bh_tuple *ret)
{
	struct bh_tuple r = *t;
	const struct bh_addr *outside = bh_tuple_outside(t);

	if (!bh_tuple_can_fold(t))
		return false;
	r.folded = t->folded ? t->folded : 1;
	r.image = NULL;
	r.n_images = 0;
	r.review = BH_REVIEW_NONE;
	r.is_widened = false;
	if (outside) {
		struct bh_end *e = t->dst.kind == BH_END_ADDR ? &r.dst : &r.src;
		*e = (struct bh_end){.kind = BH_END_OTHERS, .addr.family = outside->family};
		r.span =
			(struct bh_prefix){.addr = *outside, .len = (uint8_t)bh_addr_bits(outside)};
	}
	/* Answered ones keep their port as long as there is an address to be given up. */
	if (!outside || !t->answered)
		r.port = 0;
	*ret = r;
	return true;
}

/* The smallest block that has both. */
static struct bh_prefix join(const struct bh_prefix *a, const struct bh_prefix *b)
{
	struct bh_prefix p = *a;
	if (!a->addr.family || !b->addr.family)
		return a->addr.family ? *a : *b;
	if (b->len < p.len)
		p.len = b->len;
	for (unsigned i = 0; i < p.len; i++)
		if ((a->addr.b[i / 8] ^ b->addr.b[i / 8]) & (0x80 >> i % 8))
			p.len = (uint8_t)i;
	for (unsigned i = p.len; i < bh_addr_bits(&p.addr); i++)
		p.addr.b[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	return p;
}

static void add(uint64_t *to, uint64_t n)
{
	if (__builtin_add_overflow(*to, n, to))
		*to = UINT64_MAX;
}

void bh_tuple_absorb(struct bh_tuple *to, const struct bh_tuple *t)
{
	add(&to->folded, t->folded);
	add(&to->connections, t->connections);
	bh_volume_add(&to->volume, &t->volume);
	to->egress |= t->egress;
	to->ingress |= t->ingress;
	if (t->first_seen < to->first_seen)
		to->first_seen = t->first_seen;
	if (t->last_seen > to->last_seen)
		to->last_seen = t->last_seen;
	if (t->answered_at && (!to->answered_at || t->answered_at < to->answered_at))
		to->answered_at = t->answered_at;
	to->span = join(&to->span, &t->span);
}

bool bh_tuple_in_block(const struct bh_tuple *t, const struct bh_prefix *block)
{
	const struct bh_addr *outside = bh_tuple_outside(t);
	if (outside)
		return bh_prefix_contains(block, outside);
	return t->folded && t->span.addr.family && bh_prefix_covers(block, &t->span);
}
