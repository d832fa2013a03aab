/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who has a MAC on a bridge. A bridge sends what is for a MAC to the port that it last heard it
 * from, so a container that takes another's gets what is the other's. Here it stays with whom its
 * source gave it to, else with who had it first; when both are seen for the first time (at the
 * start), with the port that was made first.
 */
#include "inventory/manager.h"

struct claim {
	struct bh_space *space;
	unsigned port;
	uint64_t since; /* build */
	bool declared;
};

struct claims {
	struct claim *item; /* the first has it */
	size_t n, cap;
};

static char *key_of(unsigned bridge, const uint8_t *x)
{
	return bh_xasprintf(
		"%u %02x%02x%02x%02x%02x%02x", bridge, x[0], x[1], x[2], x[3], x[4], x[5]);
}

static bool before(const struct claim *a, const struct claim *b)
{
	if (a->declared != b->declared)
		return a->declared;
	return a->since != b->since ? a->since < b->since : a->port < b->port;
}

static const struct bh_space *holder(const struct claims *c)
{
	return c && c->n ? c->item[0].space : NULL;
}

/* Those whose answer a change of holder changes. */
static void tell_both(
	struct bh_inventory_mgr *m, const struct bh_space *was, const struct bh_space *is)
{
	if (was == is)
		return;
	if (was)
		bh_mgr_mark_space(m, (struct bh_space *)was);
	if (is)
		bh_mgr_mark_space(m, (struct bh_space *)is);
}

static void insert(struct bh_inventory_mgr *m, struct claims *c, const struct claim *new)
{
	const struct bh_space *was = holder(c);
	size_t at = c->n;
	BH_GROW(c->item, c->n, c->cap);
	while (at > 0 && before(new, &c->item[at - 1]))
		at--;
	memmove(&c->item[at + 1], &c->item[at], (c->n++ - at) * sizeof(*c->item));
	c->item[at] = *new;
	if (was)
		tell_both(m, was, holder(c));
}

static void claim(struct bh_inventory_mgr *m, struct bh_space *s, const struct bh_mgr_mac *mac)
{
	bh_autofree char *key = key_of(mac->bridge, mac->mac.b);
	struct claims *c = bh_idmap_get(&m->macs, key);
	if (!c) {
		c = bh_xcalloc(1, sizeof(*c));
		bh_idmap_set(&m->macs, key, c);
	}
	struct claim new = {s, mac->port, m->builds, mac->declared};
	insert(m, c, &new);
}

static void free_claims(void *claims)
{
	free(((struct claims *)claims)->item);
	free(claims);
}

static void release(struct bh_inventory_mgr *m, struct bh_space *s, const struct bh_mgr_mac *mac)
{
	bh_autofree char *key = key_of(mac->bridge, mac->mac.b);
	struct claims *c = bh_idmap_get(&m->macs, key);
	size_t i = 0;
	while (c->item[i].space != s || c->item[i].port != mac->port)
		i++;
	memmove(&c->item[i], &c->item[i + 1], (--c->n - i) * sizeof(*c->item));
	if (i == 0 && c->n)
		tell_both(m, s, holder(c));
	if (c->n == 0)
		free_claims(bh_idmap_remove(&m->macs, key));
}

static bool is_declared(const uint8_t *mac, struct bh_record *const *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < r[i]->container->n_macs; k++)
			if (memcmp(r[i]->container->mac[k].b, mac, 6) == 0)
				return true;
	return false;
}

static bool has_one(const struct bh_interface *f)
{
	static const uint8_t none[6];
	return f->bridge_ifindex && memcmp(f->mac, none, sizeof(none)) != 0;
}

static struct bh_mgr_mac *macs_of(struct bh_record *const *r, size_t n, size_t *ret_n)
{
	const struct bh_workload *seen = n ? r[0]->seen : NULL;
	struct bh_mgr_mac *mac = NULL;
	*ret_n = 0;
	for (size_t i = 0; seen && i < seen->n_ifaces; i++) {
		const struct bh_interface *f = &seen->iface[i];
		if (!has_one(f))
			continue;
		mac = bh_xrealloc(mac, *ret_n + 1, sizeof(*mac));
		struct bh_mgr_mac *x = &mac[(*ret_n)++];
		*x = (struct bh_mgr_mac){.bridge = f->bridge_ifindex, .port = f->host_ifindex};
		memcpy(x->mac.b, f->mac, sizeof(x->mac.b));
		x->declared = is_declared(f->mac, r, n);
	}
	return mac;
}

static bool is_among(const struct bh_mgr_mac *x, const struct bh_mgr_mac *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (x->bridge == list[i].bridge && x->port == list[i].port &&
			x->declared == list[i].declared && memcmp(&x->mac, &list[i].mac, 6) == 0)
			return true;
	return false;
}

void bh_mgr_macs_claim(
	struct bh_inventory_mgr *m, struct bh_space *s, struct bh_record *const *r, size_t n)
{
	size_t n_now;
	struct bh_mgr_mac *now = macs_of(r, n, &n_now), *was = s->mac;
	size_t n_was = s->n_macs;
	s->mac = now;
	s->n_macs = n_now;
	for (size_t i = 0; i < n_was; i++)
		if (!is_among(&was[i], now, n_now))
			release(m, s, &was[i]);
	for (size_t i = 0; i < n_now; i++)
		if (!is_among(&now[i], was, n_was))
			claim(m, s, &now[i]);
	free(was);
}

bool bh_mgr_mac_is_own(
	const struct bh_inventory_mgr *m, const struct bh_space *s, const struct bh_interface *f)
{
	if (!has_one(f))
		return true;
	bh_autofree char *key = key_of(f->bridge_ifindex, f->mac);
	const struct bh_space *has = holder(bh_idmap_get(&m->macs, key));
	return !has || has == s;
}

void bh_mgr_macs_finish(struct bh_inventory_mgr *m)
{
	bh_idmap_finish(&m->macs, free_claims);
}
