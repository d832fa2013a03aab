/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Through long histories of links, addresses and namespaces, with notices that come late, together
 * or not at all, the manager's inventory becomes the one that inspecting everything gives. Only the
 * kernel is played here (lib/fake_links.h).
 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "inventory/manager.h"
#include "lib/fake_links.h"

struct world {
	uv_loop_t loop;
	struct bh_link *link;
	struct bh_inventory_mgr *m;
	struct bh_source *source[2];
	unsigned told, built;
	struct bh_inventory *inv; /* NULL before the first */
};

static void nothing(struct bh_source *s BH_UNUSED)
{
}

static void drop_source(struct bh_source *s)
{
	free(s->name);
	free(s);
}

static const struct bh_source_ops ops = {.kind = "test",
	.rank = BH_RANK_DOCKER,
	.start = nothing,
	.reload = nothing,
	.free = drop_source};

static void on_changed(void *arg)
{
	((struct world *)arg)->told++;
}

static enum bh_mode mode_of(const struct bh_workload *x BH_UNUSED, void *arg BH_UNUSED)
{
	return BH_MODE_ENFORCE;
}

static void add_frame(struct bh_inventory *frame BH_UNUSED, void *arg BH_UNUSED)
{
}

static struct bh_inventory *build(struct world *w)
{
	const struct bh_inventory_settings settings = {.mode = mode_of, .frame = add_frame};

	return bh_inventory_mgr_build(w->m, &settings);
}

static void open_world(struct world *w, bool listens)
{
	uv_loop_init(&w->loop);
	w->link = fake_link_open();
	if (listens)
		fake_links_listen(w->link);
	assert_int_equal(bh_inventory_mgr_new(&w->loop, w->link, on_changed, w, &w->m), 0);
	for (unsigned i = 0; i < 2; i++) {
		w->source[i] = bh_xcalloc(1, sizeof(struct bh_source));
		w->source[i]->ops = &ops;
		w->source[i]->name = bh_xstrdup("test");
		bh_inventory_mgr_add(w->m, w->source[i]);
	}
}

static void close_world(struct world *w)
{
	bh_inventory_unref(w->inv);
	bh_inventory_mgr_free(w->m);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	fake_link_close(w->link);
}

/* --- what changes --- */

/* Ids and paths meet in all ways: several containers at one, one container of two sources. */
static void some_container(struct world *w)
{
	struct bh_source *s = w->source[fake_pick(2)];
	struct bh_container *c = bh_container_new();

	c->id = bh_xasprintf("id%u", fake_pick(7));
	c->runtime = bh_xstrdup("static");
	c->name = bh_xasprintf("name-%s", c->id);
	c->netns_path = bh_xasprintf("/n/%u", fake_pick(FAKE_PATHS));
	c->joined = fake_pick(4) == 0;
	if (fake_pick(4)) {
		s->sink.upsert(s->sink.arg, c);
		return;
	}
	s->sink.remove(s->sink.arg, c->id);
	bh_container_free(c);
}

/* All that time brings, without waiting for it. */
static void pass(uv_timer_t *t)
{
	uv_timer_stop(t);
	t->timer_cb(t);
}

/* Paths are looked at, but nobody is inspected only because it is due, or in a hurry: that is to
 * come when it comes. */
static void look_at_paths(struct world *w)
{
	size_t hurry = w->m->hurry;

	w->m->hurry = 0;
	for (size_t i = 0; i < w->m->ids.n; i++) {
		w->m->ring->visits = 0;
		pass(&w->m->walk);
	}
	w->m->hurry = hurry;
	pass(&w->m->tick); /* those that are not there */
}

/* As the core does: when it is told, and not otherwise. */
static void follow(struct world *w)
{
	if (w->told == w->built)
		return;
	w->built = w->told;
	bh_inventory_unref(w->inv);
	w->inv = build(w);
}

static void settle(struct world *w)
{
	bool busy;

	do {
		uv_run(&w->loop, UV_RUN_NOWAIT);
		if (uv_is_active((uv_handle_t *)&w->m->look))
			pass(&w->m->look);
		while (w->m->hurry > 0)
			pass(&w->m->walk);
		busy = !fake_links_quiet() || uv_is_active((uv_handle_t *)&w->m->look) ||
		       w->told != w->built;
		follow(w);
	} while (busy);
}

static void some_change(struct world *w)
{
	if (fake_pick(12) == 0)
		some_container(w);
	if (fake_links_change())
		look_at_paths(w);
	if (fake_pick(6) == 0)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	if (fake_pick(8) == 0 && uv_is_active((uv_handle_t *)&w->m->look))
		pass(&w->m->look);
	if (fake_pick(3) == 0 && w->m->hurry > 0)
		pass(&w->m->walk);
	if (fake_pick(8) == 0)
		follow(w);
}

/* --- what must come of it --- */

static struct bh_inventory *build_anew(struct world *w)
{
	struct world fresh = {};
	open_world(&fresh, false);
	for (size_t i = 0; i < 2; i++) {
		struct bh_idmap *records = &w->m->source[i]->records;
		bh_autofree void *list = bh_idmap_values(records);
		for (size_t n = 0; n < records->n; n++)
			fresh.source[i]->sink.upsert(fresh.source[i]->sink.arg,
				bh_container_copy(((struct bh_record **)list)[n]->container));
	}
	struct bh_inventory *inv = build(&fresh);
	close_world(&fresh);
	return inv;
}

/* As it was seen, whoever has its MACs: that depends on who was first. */
static struct bh_workload *seen(const struct bh_workload *w)
{
	struct bh_workload *x = bh_workload_copy(w);

	x->generation = 0; /* counts what this manager saw */
	for (size_t i = 0; i < x->n_ifaces; i++) {
		struct bh_interface *f = &x->iface[i];
		if (f->mac_refused)
			memcpy(f->mac, f->refused_mac, sizeof(f->mac));
		memset(f->refused_mac, 0, sizeof(f->refused_mac));
		f->mac_refused = false;
	}
	return x;
}

/* Whether another workload on the bridge of `of` has this MAC. */
static bool taken(const struct bh_inventory *inv, size_t but, const struct bh_interface *of,
	const uint8_t mac[static 6])
{
	for (size_t i = 0; i < inv->n; i++)
		for (size_t k = 0; i != but && k < inv->workload[i]->n_ifaces; k++) {
			const struct bh_interface *f = &inv->workload[i]->iface[k];
			if (f->bridge_ifindex == of->bridge_ifindex && !f->mac_refused &&
				memcmp(f->mac, mac, sizeof(f->mac)) == 0)
				return true;
		}
	return false;
}

/* One has each MAC on a bridge, and whom it is refused is not the one. */
static void one_has_it(const struct bh_inventory *inv, unsigned round, unsigned *refused)
{
	static const uint8_t none[6];

	for (size_t i = 0; i < inv->n; i++)
		for (size_t k = 0; k < inv->workload[i]->n_ifaces; k++) {
			const struct bh_interface *f = &inv->workload[i]->iface[k];
			const uint8_t *mac = f->mac_refused ? f->refused_mac : f->mac;
			if (!f->bridge_ifindex || memcmp(mac, none, sizeof(none)) == 0)
				continue;
			*refused += f->mac_refused;
			if (taken(inv, i, f, mac) != f->mac_refused)
				fail_msg("round %u: a MAC of %s", round, inv->workload[i]->name);
		}
}

static void same(const struct bh_inventory *a, const struct bh_inventory *b, unsigned round)
{
	assert_int_equal(a->n, b->n);
	if (!bh_inventory_same_frame(a, b))
		fail_msg("round %u: the node is another", round);
	for (size_t i = 0; i < a->n; i++) {
		struct bh_workload *x = seen(a->workload[i]), *y = seen(b->workload[i]);
		if (!bh_workload_equal(x, y))
			fail_msg("round %u: %s is another", round, x->name);
		bh_workload_unref(x);
		bh_workload_unref(y);
	}
}

struct counts {
	unsigned reachable, bridged, addressed, refused, mac_refused;
};

static void count(const struct bh_inventory *inv, struct counts *c)
{
	for (size_t i = 0; i < inv->n; i++)
		for (size_t k = 0; k < inv->workload[i]->n_ifaces; k++) {
			const struct bh_interface *f = &inv->workload[i]->iface[k];
			c->reachable += f->host_ifindex != 0;
			c->bridged += f->bridge != NULL;
			c->addressed += f->n_addrs > 0;
			c->refused += f->n_refused > 0;
		}
}

static void history(unsigned seed, unsigned rounds, struct counts *c)
{
	struct world w = {};
	fake_links_reset(seed);
	open_world(&w, true);
	for (unsigned i = 0; i < rounds; i++) {
		for (unsigned n = 1 + fake_pick(12); n > 0; n--)
			some_change(&w);
		settle(&w);
		unsigned told = w.told;
		struct bh_inventory *anew = build_anew(&w);
		same(w.inv, anew, i);
		count(w.inv, c);
		one_has_it(w.inv, i, &c->mac_refused);
		one_has_it(anew, i, &c->mac_refused);
		bh_inventory_unref(anew);
		settle(&w);
		assert_int_equal(w.told, told); /* and then there is silence */
	}
	close_world(&w);
	fake_links_finish();
}

static void test_histories(void **state BH_UNUSED)
{
	struct counts c = {};

	for (unsigned seed = 1; seed <= 100; seed++)
		history(seed, 250, &c);
	assert_true(c.reachable > 2000);
	assert_true(c.bridged > 500);
	assert_true(c.addressed > 2000);
	assert_true(c.refused > 500);
	assert_true(c.mac_refused > 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
