/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Peer sets: who is meant by a selector, which addresses by an ipBlock, which ports by a name.
 * Equal selectors give one set, whichever policies they stand in.
 */
#include "internal.h"

/* Unambiguous, whatever the strings hold: every one ends with its NUL. */
static void selector_key(const struct bh_selector *s, struct bh_buf *key)
{
	bh_buf_printf(key, "%zu:", s->n);
	for (size_t i = 0; i < s->n; i++) {
		const struct bh_requirement *r = &s->req[i];
		bh_buf_add(key, r->key, strlen(r->key) + 1);
		bh_buf_printf(key, "%d,%zu:", (int)r->op, r->n_values);
		for (size_t k = 0; k < r->n_values; k++)
			bh_buf_add(key, r->value[k], strlen(r->value[k]) + 1);
	}
}

static int compare_prefix(const void *a, const void *b)
{
	const struct bh_prefix *x = a, *y = b;
	int c = bh_addr_cmp(&x->addr, &y->addr);
	return c ? c : (int)x->len - (int)y->len;
}

static void block_text(const struct bh_ip_block *block, struct bh_buf *out)
{
	char text[BH_PREFIX_STRLEN];
	bh_buf_str(out, bh_prefix_format(&block->cidr, text));
	if (!block->n_except)
		return;
	bh_autofree struct bh_prefix *except =
		bh_xmemdup(block->except, block->n_except * sizeof(*except));
	qsort(except, block->n_except, sizeof(*except), compare_prefix);
	for (size_t i = 0; i < block->n_except; i++) {
		bh_buf_str(out, i ? ", " : " except ");
		bh_buf_str(out, bh_prefix_format(&except[i], text));
	}
}

static void selectors_text(const struct bh_peer_set *s, struct bh_buf *out)
{
	if (s->peer->has_pods)
		bh_selector_format(&s->peer->pods, out);
	else
		bh_buf_str(out, "<all>");
	if (s->namespace) {
		bh_buf_printf(out, " in %s", s->namespace);
		return;
	}
	bh_buf_str(out, " in namespaces ");
	bh_selector_format(&s->peer->namespaces, out);
}

static void peer_key(
	const struct bh_policy *p, const struct bh_policy_peer *peer, struct bh_buf *key)
{
	static const struct bh_selector all = {0};
	if (peer->block) {
		bh_buf_str(key, "block:");
		block_text(peer->block, key);
		return;
	}
	if (peer->has_namespaces) {
		bh_buf_str(key, "any:");
		selector_key(&peer->namespaces, key);
	} else {
		bh_buf_str(key, "own:");
		bh_buf_add(key, p->namespace, strlen(p->namespace) + 1);
	}
	selector_key(peer->has_pods ? &peer->pods : &all, key);
}

static void block_ranges(const struct bh_ip_block *block, struct bh_ranges *ret)
{
	struct bh_ranges minus = {0};
	bh_ranges_add(ret, bh_prefix_range(&block->cidr));
	for (size_t i = 0; i < block->n_except; i++)
		bh_ranges_add(&minus, bh_prefix_range(&block->except[i]));
	bh_ranges_normalise(&minus);
	bh_ranges_subtract(ret, &minus);
	bh_ranges_finish(&minus);
}

uint32_t bh_compile_peer(
	struct bh_engine *e, const struct bh_policy *p, const struct bh_policy_peer *peer)
{
	bh_autobuf struct bh_buf key = {0}, text = {0};
	bool is_new;
	peer_key(p, peer, &key);
	uint32_t index = bh_intern(&e->peer_key, key.s, key.len, &is_new);
	if (!is_new)
		return index;
	BH_GROW(e->peer, e->n_peers, e->cap_peers);
	struct bh_peer_set *s = &e->peer[e->n_peers++];
	*s = (struct bh_peer_set){.peer = peer};
	if (peer->block) {
		block_ranges(peer->block, &s->ranges);
		block_text(peer->block, &text);
	} else {
		if (!peer->has_namespaces)
			s->namespace = p->namespace;
		selectors_text(s, &text);
	}
	s->text = bh_buf_take(&text);
	if (s->namespace) { /* the namespace first reads better and sorts together */
		bh_buf_printf(&text, "%s-", s->namespace);
		bh_selector_format(&peer->pods, &text);
	} else {
		bh_buf_str(&text, s->text);
	}
	s->slug = bh_compile_name(e, "", text.s, key.s, key.len);
	return index;
}

static void fill_selector(struct bh_engine *e, struct bh_peer_set *s)
{
	const struct bh_inventory *inv = e->inv;
	const struct bh_policy_peer *peer = s->peer;
	bh_autofree bool *ns = bh_xcalloc(inv->n_ns, sizeof(*ns));
	bh_autofree bool *class = bh_xcalloc(e->n_classes, sizeof(*class));
	for (size_t i = 0; i < inv->n_ns; i++)
		ns[i] = s->namespace ? bh_streq(inv->ns[i].name, s->namespace)
				     : bh_selector_matches(&peer->namespaces, &inv->ns[i].labels);
	for (size_t i = 0; i < e->n_classes; i++)
		class[i] =
			ns[e->class[i].ns] &&
			(!peer->has_pods || bh_selector_matches(&peer->pods,
						    &inv->workload[e->class[i].example]->labels));
	s->member = bh_xcalloc((inv->n + 63) / 64, sizeof(*s->member));
	for (size_t i = 0; i < inv->n; i++)
		if (class[e->class_of[i]])
			s->member[i / 64] |= UINT64_C(1) << (i % 64);
}

static int compare_target(const void *a, const void *b)
{
	const struct bh_named_target *x = a, *y = b;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	return (x->workload > y->workload) - (x->workload < y->workload);
}

uint32_t bh_compile_named(struct bh_engine *e, const char *name, uint8_t proto)
{
	bh_autobuf struct bh_buf key = {0};
	bool is_new;
	bh_buf_printf(&key, "%u/%s", proto, name);
	uint32_t index = bh_intern(&e->named_key, key.s, key.len, &is_new);
	if (is_new) {
		BH_GROW(e->named, e->n_named, e->cap_named);
		e->named[e->n_named++] = (struct bh_named_set){.name = name, .proto = proto};
	}
	return index;
}

static void fill_named(const struct bh_inventory *inv, struct bh_named_set *s)
{
	for (size_t i = 0; i < inv->n; i++) {
		const struct bh_workload *w = inv->workload[i];
		for (size_t k = 0; k < w->n_ports; k++) {
			if (w->port[k].proto != s->proto || !bh_streq(w->port[k].name, s->name))
				continue;
			BH_GROW(s->target, s->n, s->cap);
			s->target[s->n++] = (struct bh_named_target){
				.port = w->port[k].port, .workload = (uint32_t)i};
		}
	}
	if (!s->n)
		return;
	qsort(s->target, s->n, sizeof(*s->target), compare_target);
	size_t n = 1;
	for (size_t i = 1; i < s->n; i++)
		if (compare_target(&s->target[i], &s->target[n - 1]) != 0)
			s->target[n++] = s->target[i];
	s->n = n;
}

void bh_compile_fill_peers(struct bh_engine *e)
{
	for (size_t i = 0; i < e->n_peers; i++)
		if (!e->peer[i].peer->block)
			fill_selector(e, &e->peer[i]);
	for (size_t i = 0; i < e->n_named; i++)
		fill_named(e->inv, &e->named[i]);
}

void bh_peers_finish(struct bh_engine *e)
{
	for (size_t i = 0; i < e->n_peers; i++) {
		free(e->peer[i].member);
		free(e->peer[i].text);
		free(e->peer[i].slug);
		bh_ranges_finish(&e->peer[i].ranges);
	}
	free(e->peer);
	for (size_t i = 0; i < e->n_named; i++)
		free(e->named[i].target);
	free(e->named);
	bh_intern_finish(&e->peer_key);
	bh_intern_finish(&e->named_key);
}
