/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sets whose elements are made of parts, and the matches that read them out of a packet. */
#include <bulkhead/flow.h>
#include <bulkhead/ruleset.h>

#include <assert.h>

#include "ruleset_private.h"

#define IFNAME_MAX 15 /* bytes; the kernel's IFNAMSIZ without the NUL */

struct bh_set *bh_ruleset_add_concat_set(struct bh_ruleset *rs, const char *name,
	enum bh_table table, uint8_t family, const uint8_t *part, size_t n_parts,
	const char *comment)
{
	assert(n_parts > 0 && n_parts <= BH_PARTS_MAX);
	struct bh_set *s = bh_ruleset_add_set(rs, name, BH_SET_CONCAT, family, comment);
	s->table = (uint8_t)table;
	s->n_parts = (uint8_t)n_parts;
	memcpy(s->part, part, n_parts);
	return s;
}

struct bh_set_elem *bh_set_add_parts(
	struct bh_set *s, const struct bh_value *value, const char *comment)
{
	assert(s->kind == BH_SET_CONCAT);
	BH_GROW(s->elem, s->n, s->cap);
	struct bh_set_elem *e = &s->elem[s->n++];
	*e = (struct bh_set_elem){.n_values = s->n_parts};
	e->value = bh_xmemdup(value, s->n_parts * sizeof(*value));
	e->comment = bh_comment_copy(comment);
	return e;
}

struct bh_match *bh_rule_match_parts(struct bh_rule *r, enum bh_match_kind kind, uint8_t family,
	const char *set, const uint8_t *read, size_t n)
{
	assert(n > 0 && n <= BH_PARTS_MAX);
	struct bh_match *m = bh_rule_match(r, kind);
	m->family = family;
	m->set = bh_xstrdup(set);
	memcpy(m->read, read, n);
	m->n_reads = (uint8_t)n;
	return m;
}

struct bh_value bh_value_addr(const struct bh_addr *a)
{
	struct bh_value v = {0};
	memcpy(v.b, a->b, a->family == BH_IPV4 ? 4 : 16);
	return v;
}

struct bh_value bh_value_ifname(const char *name)
{
	struct bh_value v = {0};
	memcpy(v.b, name, strnlen(name, IFNAME_MAX));
	return v;
}

struct bh_value bh_value_ether(const uint8_t mac[static 6])
{
	struct bh_value v = {0};
	memcpy(v.b, mac, 6);
	return v;
}

struct bh_value bh_value_u16(uint16_t n)
{
	return (struct bh_value){{(uint8_t)(n >> 8), (uint8_t)n}};
}

struct bh_value bh_value_u8(uint8_t n)
{
	return (struct bh_value){{n}};
}

size_t bh_part_len(enum bh_part part, uint8_t family)
{
	switch (part) {
	case BH_PART_ADDR:
		return family == BH_IPV4 ? 4 : 16;
	case BH_PART_IFNAME:
	case BH_PART_ND_TARGET:
		return 16;
	case BH_PART_ETHER:
		return 6;
	case BH_PART_ETHERTYPE:
	case BH_PART_SERVICE:
		return 2;
	case BH_PART_PROTO:
		return 1;
	}
	assert(false);
	return 0;
}

bool bh_set_same_shape(const struct bh_set *a, const struct bh_set *b)
{
	return a->kind == b->kind && a->family == b->family && a->table == b->table &&
	       a->n_parts == b->n_parts && memcmp(a->part, b->part, a->n_parts) == 0 &&
	       a->volatile_ == b->volatile_ && a->counter == b->counter &&
	       a->timeout_s == b->timeout_s && a->size == b->size;
}

void bh_print_ether_type(unsigned type, struct bh_buf *out)
{
	static const struct {
		unsigned type;
		const char *name;
	} names[] = {
		{0x0800, "ip"},
		{0x0806, "arp"},
		{0x86dd, "ip6"},
		{0x8100, "8021q"},
		{0x88a8, "8021ad"},
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(names); i++) {
		if (names[i].type == type) {
			bh_buf_str(out, names[i].name);
			return;
		}
	}
	bh_buf_printf(out, "0x%04x", type);
}

/* A number to nft: 16 bytes, leading zeros are not said. */
static void print_raw(const uint8_t *b, struct bh_buf *out)
{
	size_t i = 0;
	while (i < 15 && b[i] == 0)
		i++;
	bh_buf_printf(out, "0x%x", b[i]);
	while (++i < 16)
		bh_buf_printf(out, "%02x", b[i]);
}

void bh_print_value(const struct bh_value *v, enum bh_part part, uint8_t family, struct bh_buf *out)
{
	char text[BH_ADDR_STRLEN];
	const uint8_t *b = v->b;
	struct bh_addr a;
	switch (part) {
	case BH_PART_ADDR:
		a = bh_addr_from_bytes(family, b);
		bh_buf_str(out, bh_addr_format(&a, text));
		break;
	case BH_PART_IFNAME:
		bh_buf_printf(out, "\"%.*s\"", IFNAME_MAX, (const char *)b);
		break;
	case BH_PART_ETHER:
		bh_buf_printf(
			out, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
		break;
	case BH_PART_ETHERTYPE:
		bh_print_ether_type((unsigned)(b[0] << 8 | b[1]), out);
		break;
	case BH_PART_PROTO:
		bh_buf_str(out, bh_proto_name(b[0], text));
		break;
	case BH_PART_SERVICE:
		bh_buf_printf(out, "%u", (unsigned)(b[0] << 8 | b[1]));
		break;
	case BH_PART_ND_TARGET:
		print_raw(b, out);
		break;
	}
}
