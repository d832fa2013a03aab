/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tuples of the baseline and their ends: copies, order, and the text key under which they are
 * stored. */
#include "private.h"

void bh_end_copy(struct bh_end *to, const struct bh_end *from)
{
	struct bh_end e = {.kind = from->kind, .addr = from->addr};
	if (from->kind == BH_END_ROLE) {
		e.namespace = bh_xstrdup(from->namespace);
		bh_labels_copy(&e.selector, &from->selector);
	}
	*to = e;
}

void bh_end_finish(struct bh_end *e)
{
	free(e->namespace);
	bh_labels_finish(&e->selector);
	*e = (struct bh_end){0};
}

static int labels_cmp(const struct bh_labels *a, const struct bh_labels *b)
{
	for (size_t i = 0; i < a->n && i < b->n; i++) {
		int r = strcmp(a->item[i].key, b->item[i].key);
		if (r == 0)
			r = strcmp(a->item[i].value, b->item[i].value);
		if (r)
			return r;
	}
	return (a->n > b->n) - (a->n < b->n);
}

int bh_end_cmp(const struct bh_end *a, const struct bh_end *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->kind == BH_END_ADDR)
		return bh_addr_cmp(&a->addr, &b->addr);
	if (a->kind == BH_END_HOST)
		return 0;
	if (a->kind == BH_END_OTHERS)
		return a->addr.family - b->addr.family;
	int r = bh_strcmp0(a->namespace, b->namespace);
	return r ? r : labels_cmp(&a->selector, &b->selector);
}

bool bh_end_equal(const struct bh_end *a, const struct bh_end *b)
{
	return bh_end_cmp(a, b) == 0;
}

void bh_end_format(const struct bh_end *e, struct bh_buf *out)
{
	char addr[BH_ADDR_STRLEN];
	bh_autofree char *name = NULL;
	switch (e->kind) {
	case BH_END_ROLE:
		name = bh_role_name(&e->selector);
		bh_buf_printf(out, "%s/%s", e->namespace ? e->namespace : "", name);
		break;
	case BH_END_ADDR:
		bh_buf_str(out, bh_addr_format(&e->addr, addr));
		break;
	case BH_END_HOST:
		bh_buf_str(out, "host");
		break;
	case BH_END_OTHERS:
		bh_buf_printf(out, "others-ipv%s", e->addr.family == BH_IPV4 ? "4" : "6");
		break;
	}
}

void bh_tuple_finish(struct bh_tuple *t)
{
	bh_end_finish(&t->src);
	bh_end_finish(&t->dst);
	for (size_t i = 0; i < t->n_images; i++)
		free(t->image[i]);
	free(t->image);
	*t = (struct bh_tuple){0};
}

/* What could be mistaken for the key's own punctuation is percent-encoded. */
static void put_escaped(const char *s, struct bh_buf *out)
{
	for (; s && *s; s++) {
		bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			     (*s >= '0' && *s <= '9') || strchr("-_.", *s);
		if (plain)
			bh_buf_add(out, s, 1);
		else
			bh_buf_printf(out, "%%%02x", (unsigned)(uint8_t)*s);
	}
}

static void put_end(const struct bh_end *e, struct bh_buf *out)
{
	char addr[BH_ADDR_STRLEN];
	switch (e->kind) {
	case BH_END_ROLE:
		put_escaped(e->namespace, out);
		for (size_t i = 0; i < e->selector.n; i++) {
			bh_buf_str(out, i ? "," : "/");
			put_escaped(e->selector.item[i].key, out);
			bh_buf_str(out, "=");
			put_escaped(e->selector.item[i].value, out);
		}
		if (e->selector.n == 0)
			bh_buf_str(out, "/");
		break;
	case BH_END_ADDR:
		bh_buf_printf(out, "[%s]", bh_addr_format(&e->addr, addr));
		break;
	case BH_END_HOST:
		bh_buf_str(out, "host");
		break;
	case BH_END_OTHERS:
		bh_buf_printf(out, "others%s", e->addr.family == BH_IPV4 ? "4" : "6");
		break;
	}
}

char *bh_tuple_key(const struct bh_tuple *t)
{
	struct bh_buf b = {0};
	put_end(&t->src, &b);
	bh_buf_str(&b, ">");
	put_end(&t->dst, &b);
	bh_buf_printf(&b, ">%u/%u/%u", t->proto, t->port, t->icmp_type);
	if (t->folded)
		bh_buf_str(&b, t->answered ? "/answered" : "/unanswered");
	return bh_buf_take(&b);
}

const char *bh_review_name(enum bh_review r)
{
	static const char *const name[] = {"none", "accepted", "rejected"};
	return name[r];
}

const char *bh_tuple_id(const struct bh_tuple *t, char buf[static BH_TUPLE_ID_STRLEN])
{
	char bh_autofree *key = bh_tuple_key(t);
	snprintf(buf, BH_TUPLE_ID_STRLEN, "%016llx",
		(unsigned long long)bh_hash_str(key, BH_HASH_SEED));
	return buf;
}

const struct bh_addr *bh_tuple_outside(const struct bh_tuple *t)
{
	if (t->dst.kind == BH_END_ADDR)
		return &t->dst.addr;
	return t->src.kind == BH_END_ADDR ? &t->src.addr : NULL;
}

const char *bh_breadth_format(const struct bh_prefix *p, char buf[static 24])
{
	unsigned bits = bh_addr_bits(&p->addr) - p->len;
	if (bits <= 32)
		snprintf(buf, 24, "%llu", 1ull << bits);
	else
		snprintf(buf, 24, "2^%u", bits);
	return buf;
}
