/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Kernel sets: the workloads behind a peer; the addresses of one family behind the ipBlocks,
 * networks and nodes that a row asks together; lists of ports. Equal ones are one set, whichever
 * groups use it. (Anonymous sets, as nft makes them of lists, cost the kernel a search each when
 * they are loaded.)
 *
 * For each rule that names a set, each message of elements and each new set the kernel walks the
 * list of the table's sets and measures every name on its way, byte by byte (nft_set_lookup,
 * nla_strcmp). Where there are many sets that is most of a load, and a third of it the names; so
 * then they are short, and the set's comment says whom it means.
 */
#include "internal.h"

#define MANY_PEERS 500

static int compare_index(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* Gathers the peers' own keys: what a set is called must not depend on other policies. */
static void identity(const struct bh_plan *p, const struct bh_kset *s, struct bh_buf *out)
{
	bh_buf_printf(out, "set %u", s->family);
	for (size_t i = 0; i < s->n_peers; i++) {
		const struct bh_intern_key *k = &p->peer_key.key[s->peer[i]];
		bh_buf_printf(out, " %zu:", k->len);
		bh_buf_add(out, p->peer_key.bytes.s + k->off, k->len);
	}
}

/* The namespace first reads better and sorts together. */
static void slug_text(const struct bh_peer *p, struct bh_buf *out)
{
	if (p->namespace) {
		bh_buf_printf(out, "%s-", p->namespace);
		bh_selector_format(&p->said->pods, out);
	} else {
		bh_buf_str(out, p->text);
	}
}

static const char *readable(const struct bh_plan *p, const char *text)
{
	return p->n_peers <= MANY_PEERS ? text : "";
}

static void name_kset(struct bh_plan *p, struct bh_kset *s)
{
	bh_autobuf struct bh_buf id = {0}, slug = {0}, text = {0};
	identity(p, s, &id);
	for (size_t i = 0; i < s->n_peers && text.len <= BH_COMMENT_MAX; i++) {
		const struct bh_peer *peer = &p->peer[s->peer[i]];
		bh_buf_str(&slug, i ? "-or-" : "");
		slug_text(peer, &slug);
		bh_buf_printf(&text, "%s%s", i ? " or " : "", peer->text);
	}
	s->slug = bh_compile_name(p, "", readable(p, slug.s), id.s, id.len);
	s->text = bh_buf_take(&text);
}

struct count {
	size_t n;
	struct bh_prefix prefix;
};

static void count_prefix(const struct bh_prefix *p, void *arg)
{
	struct count *c = arg;
	c->prefix = *p;
	c->n++;
}

static void fill_ranges(const struct bh_plan *p, struct bh_kset *s)
{
	struct count c = {0};
	for (size_t i = 0; i < s->n_peers; i++) {
		const struct bh_ranges *r = &p->peer[s->peer[i]].ranges;
		for (size_t k = 0; k < r->n; k++)
			if (r->item[k].first.family == s->family)
				bh_ranges_add(&s->ranges, r->item[k]);
	}
	bh_ranges_normalise(&s->ranges);
	if (s->ranges.n == 1)
		bh_range_prefixes(s->ranges.item[0], count_prefix, &c);
	s->plain = c.n == 1;
	s->prefix = c.prefix;
}

static bool says_family(const struct bh_policy_peer *said, uint8_t family)
{
	if (said->block)
		return said->block->cidr.addr.family == family;
	for (size_t i = 0; i < said->n_networks; i++)
		if (said->network[i].addr.family == family)
			return true;
	return said->has_nodes;
}

/* Sorts, makes unique, and drops peers that say nothing of the family. */
static size_t normalise(const struct bh_plan *p, uint32_t *peer, size_t n, uint8_t family)
{
	size_t out = 0;
	qsort(peer, n, sizeof(*peer), compare_index);
	for (size_t i = 0; i < n; i++)
		if ((!out || peer[i] != peer[out - 1]) &&
			says_family(p->peer[peer[i]].said, family))
			peer[out++] = peer[i];
	return out;
}

/* A new set of the pool if the key is new; else *ret_new is false. */
static struct bh_kset *intern_kset(struct bh_plan *p, const struct bh_buf *key, bool *ret_new)
{
	uint32_t at = bh_intern(&p->kset.key, key->s, key->len, ret_new);
	if (!*ret_new)
		return p->kset.item[at];
	struct bh_kset *s = bh_xcalloc(1, sizeof(*s));
	s->index = at;
	BH_GROW(p->kset.item, p->kset.n, p->kset.cap);
	return p->kset.item[p->kset.n++] = s;
}

struct bh_kset *bh_kset_workloads(struct bh_plan *p, uint32_t peer)
{
	bh_autobuf struct bh_buf key = {0};
	bool is_new;
	bh_buf_printf(&key, "workloads %u", peer);
	struct bh_kset *s = intern_kset(p, &key, &is_new);
	if (!is_new)
		return s;
	s->kind = BH_KSET_WORKLOADS;
	s->n_peers = 1;
	s->peer = bh_xmemdup(&peer, sizeof(peer));
	name_kset(p, s);
	return s;
}

struct bh_kset *bh_kset_addresses(struct bh_plan *p, const uint32_t *peer, size_t n, uint8_t family)
{
	bh_autobuf struct bh_buf key = {0};
	bh_autofree uint32_t *sorted = bh_xmemdup(peer, n * sizeof(*peer));
	bool is_new;
	n = normalise(p, sorted, n, family);
	if (!n)
		return NULL;
	bh_buf_printf(&key, "addresses %u ", family);
	bh_buf_add(&key, sorted, n * sizeof(*sorted));
	struct bh_kset *s = intern_kset(p, &key, &is_new);
	if (!is_new)
		return s;
	s->kind = BH_KSET_ADDRESSES;
	s->family = family;
	s->n_peers = n;
	s->peer = BH_TAKE_PTR(sorted);
	fill_ranges(p, s);
	name_kset(p, s);
	return s;
}

/* The single ports of the list. NULL if it has fewer than two: a rule says those itself. */
struct bh_kset *bh_kset_ports(struct bh_plan *p, const struct bh_port_range *port, size_t n)
{
	bh_autobuf struct bh_buf key = {0};
	size_t single = 0;
	bool is_new;
	bh_buf_str(&key, "ports");
	for (size_t i = 0; i < n; i++)
		if (port[i].first == port[i].last) {
			bh_buf_printf(&key, "-%u", port[i].first);
			single++;
		}
	if (single < 2)
		return NULL;
	struct bh_kset *s = intern_kset(p, &key, &is_new);
	if (!is_new)
		return s;
	s->kind = BH_KSET_PORTS;
	s->port = bh_xcalloc(single, sizeof(*s->port));
	for (size_t i = 0; i < n; i++)
		if (port[i].first == port[i].last)
			s->port[s->n_ports++] = port[i].first;
	s->slug = bh_compile_name(
		p, *readable(p, key.s) ? "" : "ports", readable(p, key.s), key.s, key.len);
	return s;
}

struct bh_kset *bh_kset_prefix(struct bh_plan *p, const struct bh_prefix *prefix)
{
	bh_autobuf struct bh_buf key = {0};
	char text[BH_PREFIX_STRLEN];
	bool is_new;
	bh_buf_printf(&key, "prefix %s", bh_prefix_format(prefix, text));
	struct bh_kset *s = intern_kset(p, &key, &is_new);
	if (!is_new)
		return s;
	s->kind = BH_KSET_ADDRESSES;
	s->family = prefix->addr.family;
	s->plain = true;
	s->prefix = *prefix;
	bh_ranges_add(&s->ranges, bh_prefix_range(prefix));
	s->text = bh_xstrdup(text);
	s->slug = bh_xstrdup(text); /* names no set: it is plain */
	return s;
}

bool bh_kset_has(const struct bh_kset *s, const struct bh_class *c)
{
	return s->kind == BH_KSET_WORKLOADS && bh_bit(c->peer, s->peer[0]);
}

void bh_kset_free(struct bh_kset *s)
{
	free(s->peer);
	free(s->port);
	bh_ranges_finish(&s->ranges);
	free(s->slug);
	free(s->text);
	free(s);
}
