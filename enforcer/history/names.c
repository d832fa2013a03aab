/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names of outside addresses: DNS answers, as the kernel copies them for us (the ruleset's chain
 * "names"), become labels beside the addresses. What the node itself was told (a resolver that runs
 * on it asks in the containers' place) is looked up where a role was told nothing.
 */
#include "history/names.h"

#include <errno.h>

#include "answer/clock.h"
#include "core/state.h"
#include "dns/dns.h"
#include "history/history.h"
#include "nft/nft.h"
#include "store/store.h"

#define ENDS 1024 /* stays whose roles are remembered */

struct bh_core_names {
	struct bh_names *table;
	struct bh_dns *dns; /* NULL: not read */
	char *why; /* it is not, though it is wanted */
	uv_poll_t poll;
	bool polling;
	struct {
		uint64_t stay; /* 0: free */
		struct bh_end end;
	} end[ENDS];
};

static bool can_be_outside(const struct bh_inventory *inv, const struct bh_addr *a)
{
	static const uint8_t zero[16];
	bool multicast = a->family == BH_IPV4 ? a->b[0] >= 224 : a->b[0] == 0xff;
	return !multicast && memcmp(a->b, zero, bh_addr_size(a)) != 0 && !bh_addr_is_loopback(a) &&
	       bh_inventory_owner(inv, a) < 0 && bh_inventory_owner(inv, a) != BH_OWNER_HOST;
}

static void on_named(const struct bh_addr *asker, const struct bh_dns_message *m, void *arg)
{
	struct bh_core *c = arg;
	if (!c->snap)
		return;
	const struct bh_inventory *inv = bh_engine_inventory(c->snap->engine);
	int32_t owner = bh_inventory_owner(inv, asker);
	struct bh_end end = {.kind = BH_END_HOST};
	if (owner >= 0) {
		end = (struct bh_end){
			.kind = BH_END_ROLE, .namespace = inv->workload[owner]->namespace};
		bh_role_of(inv->workload[owner], &end.selector);
	} else if (owner != BH_OWNER_HOST) {
		return;
	}
	for (size_t i = 0; i < m->n_addrs; i++)
		if (can_be_outside(inv, &m->addr[i]))
			bh_names_add(c->names->table, &end, &m->addr[i], m->name, bh_clock_now());
	bh_labels_finish(&end.selector); /* the namespace is borrowed */
}

static void on_readable(uv_poll_t *p, int status BH_UNUSED, int events BH_UNUSED)
{
	struct bh_core *c = p->data;
	bh_dns_read(c->names->dns, (int64_t)(uv_hrtime() / 1000));
}

static void listen_dns(struct bh_core *c, struct bh_core_names *n)
{
	struct bh_dns_opts opts = {.group = c->conf->queue_base, .named = on_named, .arg = c};
	int r = bh_nft_get_caps(c->nft)->log ? bh_dns_open(&opts, &n->dns) : -EOPNOTSUPP;
	if (r == 0)
		r = uv_poll_init(c->loop, &n->poll, bh_dns_fd(n->dns));
	if (r == 0) {
		n->poll.data = c;
		n->polling = true;
		uv_poll_start(&n->poll, UV_READABLE, on_readable);
		return;
	}
	n->why = r == -EOPNOTSUPP
			 ? bh_xstrdup("this kernel has no nft_log or nfnetlink_log")
			 : bh_xasprintf("NFLOG group %u: %s", opts.group,
				   r == -EBUSY || r == -EPERM ? "another process reads it; set "
								"queue.base in the configuration"
							      : strerror(-r));
	bh_dns_close(BH_TAKE_PTR(n->dns));
}

int bh_core_names_start(struct bh_core *c)
{
	struct bh_core_names *n = bh_xcalloc(1, sizeof(*n));
	c->names = n;
	int r = bh_names_new(c->store, c->conf->learn_names, &n->table);
	if (r == 0 && c->conf->learn_names)
		listen_dns(c, n);
	return r;
}

bool bh_core_names_wanted(const struct bh_core *c)
{
	return c->names && c->names->dns;
}

void bh_core_names_stop(struct bh_core *c)
{
	struct bh_core_names *n = c->names;
	if (!n)
		return;
	if (n->polling) {
		uv_poll_stop(&n->poll);
		uv_close((uv_handle_t *)&n->poll, NULL);
		n->polling = false;
	}
	bh_dns_close(BH_TAKE_PTR(n->dns));
	if (n->table)
		bh_names_save(n->table);
}

void bh_core_names_finish(struct bh_core *c)
{
	struct bh_core_names *n = c->names;
	if (!n)
		return;
	for (size_t i = 0; i < ENDS; i++)
		bh_end_finish(&n->end[i].end);
	bh_names_free(n->table);
	free(n->why);
	free(n);
	c->names = NULL;
}

int bh_core_names_save(struct bh_core *c)
{
	return bh_names_save(c->names->table);
}

void bh_core_names_forget(struct bh_core *c, const struct bh_end *end)
{
	bh_names_forget(c->names->table, end);
}

size_t bh_core_names_of(struct bh_core *c, const struct bh_end *end, const struct bh_addr *addr,
	const char *ret[static BH_NAMES_PER_ADDR])
{
	static const struct bh_end host = {.kind = BH_END_HOST};
	size_t n = bh_names_find(c->names->table, end, addr, ret);
	return n ? n : bh_names_find(c->names->table, &host, addr, ret);
}

json_t *bh_core_names_json(struct bh_core *c, const struct bh_end *end, const struct bh_addr *addr)
{
	const char *name[BH_NAMES_PER_ADDR];
	json_t *list = json_array();
	size_t n = end && addr ? bh_core_names_of(c, end, addr, name) : 0;
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(name[i]));
	return list;
}

const struct bh_end *bh_core_stay_end(struct bh_core *c, uint64_t stay)
{
	struct bh_core_names *n = c->names;
	size_t at = stay % ENDS;
	struct bh_stay y;
	if (!stay)
		return NULL;
	if (n->end[at].stay == stay)
		return &n->end[at].end;
	int r = bh_store_get_stay(c->store, stay, &y);
	if (r == -ENOENT) { /* it came this very moment */
		bh_core_history_save(c);
		r = bh_store_get_stay(c->store, stay, &y);
	}
	if (r < 0)
		return NULL;
	struct bh_workload w = {.name = y.name, .namespace = y.namespace, .labels = y.labels};
	bh_end_finish(&n->end[at].end);
	n->end[at].stay = stay;
	n->end[at].end = (struct bh_end){.kind = BH_END_ROLE, .namespace = bh_xstrdup(y.namespace)};
	bh_role_of(&w, &n->end[at].end.selector);
	bh_stay_finish(&y);
	return &n->end[at].end;
}

json_t *bh_core_names_status(const struct bh_core *c)
{
	const struct bh_core_names *n = c->names;
	json_t *o = json_pack("{s:b, s:I, s:I, s:I, s:s?}", "reading", n->dns != NULL, "kept",
		(json_int_t)bh_names_count(n->table), "max", (json_int_t)c->conf->learn_names,
		"evicted", (json_int_t)bh_names_evicted(n->table), "error", n->why);
	if (n->dns) {
		const struct bh_dns_stats *s = bh_dns_get_stats(n->dns);
		json_object_set_new(o, "packets", json_integer((json_int_t)s->packets));
		json_object_set_new(o, "questions", json_integer((json_int_t)s->questions));
		json_object_set_new(o, "answers", json_integer((json_int_t)s->answers));
		json_object_set_new(o, "unasked", json_integer((json_int_t)s->unasked));
		json_object_set_new(o, "malformed", json_integer((json_int_t)s->malformed));
		json_object_set_new(o, "overruns", json_integer((json_int_t)s->overruns));
	}
	return o;
}

const char *bh_core_names_problem(const struct bh_core *c)
{
	return c->names->why;
}
