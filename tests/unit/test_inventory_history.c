/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Through long histories, what is built is what a manager that knows nothing yet builds. */
#include "lib/inventory_world.h"

static unsigned pick(unsigned n)
{
	static uint64_t seed = 7;
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(seed >> 33) % n;
}

static const char *const paths[] = {"/n/0", "/n/1", "/n/2", "/n/3", "/n/4", "/n/5", "/n/6", "/n/7"};

static struct bh_container *some_container(void)
{
	static const char *const labels[] = {"x", "y", NULL};
	char id[8];
	snprintf(id, sizeof(id), "id%u", pick(9));
	struct bh_container *c = container(id, paths[pick(8)], labels[pick(3)]);
	c->namespace = bh_xasprintf("ns%u", pick(3));
	c->joined = pick(3) == 0;
	if (pick(2)) {
		free(c->runtime);
		c->runtime = bh_xstrdup("static");
	}
	return c;
}

/* One more namespace is another, and mostly a notice says so. A path that comes or goes, or leads
 * elsewhere, gives none. */
static void change_kernel(struct world *w)
{
	static const char *const addrs[] = {"192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.1"};
	static const char *const subnets[] = {NULL, "192.0.2.0/29", "192.0.2.8/30"};
	unsigned i = pick(8);
	if (pick(3) == 0) {
		kernel.ns[i].path = pick(5) ? paths[i] : NULL;
		kernel.ns[i].inode = pick(8) ? 10 + pick(6) : OWN;
		bh_inventory_mgr_reload(w->m);
	}
	const char *addr = addrs[pick(4)], *more = pick(2) ? addrs[pick(4)] : NULL;
	unsigned bridge = pick(3);
	uint64_t since = pick(4);
	for (unsigned k = 0; k < 8; k++) { /* it may have several names */
		if (kernel.ns[k].inode != kernel.ns[i].inode)
			continue;
		kernel.ns[k].addr = addr;
		kernel.ns[k].more = more;
		kernel.ns[k].since = since;
		kernel.ns[k].bridge = bridge;
	}
	if (pick(4) == 0) {
		kernel.subnet[1 + pick(2)] = subnets[pick(3)];
		notice_host();
	}
	if (pick(4))
		notice(i);
	else
		notices_lost();
	if (pick(3) == 0)
		uv_run(&w->loop, UV_RUN_NOWAIT); /* heard, perhaps looked at */
}

static struct bh_inventory *build_anew(struct world *w)
{
	struct world fresh = {.enforced = w->enforced, .declared = w->declared};
	uv_loop_init(&fresh.loop);
	assert_int_equal(bh_inventory_mgr_new(&fresh.loop, NULL, on_changed, &fresh, &fresh.m), 0);
	for (size_t i = 0; i < 2; i++) {
		struct bh_source *s = add_source(&fresh, "again");
		struct bh_idmap *records = &w->m->source[i]->records;
		bh_autofree void *list = bh_idmap_values(records);
		for (size_t k = 0; k < records->n; k++)
			upsert(s, bh_container_copy(((struct bh_record **)list)[k]->container));
	}
	struct bh_inventory *inv = build(&fresh);
	bh_inventory_mgr_free(fresh.m);
	uv_run(&fresh.loop, UV_RUN_DEFAULT);
	uv_loop_close(&fresh.loop);
	return inv;
}

static void same(const struct bh_inventory *a, const struct bh_inventory *b)
{
	assert_int_equal(a->n, b->n);
	assert_int_equal(a->n_conflicts, b->n_conflicts);
	assert_true(bh_inventory_same_frame(a, b));
	for (size_t i = 0; i < a->n; i++) {
		struct bh_workload *x = bh_workload_copy(a->workload[i]);
		assert_int_equal(x->generation == 0, b->workload[i]->generation == 0);
		x->generation = b->workload[i]->generation; /* counts what this manager saw */
		assert_true(bh_workload_equal(x, b->workload[i]));
		for (size_t k = 0; k < x->n_ifaces; k++)
			for (size_t n = 0; n < x->iface[k].n_addrs; n++)
				assert_int_equal(bh_inventory_owner(a, &x->iface[k].addr[n]),
					bh_inventory_owner(b, &x->iface[k].addr[n]));
		bh_workload_unref(x);
	}
}

/* One change of what sources say, of the kernel or of the settings. */
static void some_change(struct world *w)
{
	static const char *const names[] = {NULL, "ns0", "ns1", "elsewhere"};
	struct bh_source *s = pick(2) ? w->a : w->b;
	switch (pick(6)) {
	case 0:
		change_kernel(w);
		break;
	case 1: {
		struct bh_container *list[4];
		size_t n = pick(4);
		for (size_t i = 0; i < n; i++)
			list[i] = some_container();
		if (pick(8) == 0)
			s->sink.sync(s->sink.arg, list, n);
		else
			for (size_t i = 0; i < n; i++)
				upsert(s, list[i]);
		break;
	}
	case 2: {
		char id[8];
		snprintf(id, sizeof(id), "id%u", pick(9));
		s->sink.remove(s->sink.arg, id);
		break;
	}
	case 3:
		w->enforced = names[pick(4)];
		w->declared = names[pick(4)];
		bh_inventory_mgr_settings_changed(w->m);
		break;
	default:
		upsert(s, some_container());
	}
}

static void test_history(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	w->b = add_source(w, "b");
	size_t most = 0;
	for (unsigned i = 0; i < 3000; i++) {
		for (unsigned k = pick(4); k > 0; k--)
			some_change(w);
		if (pick(4) == 0)
			bh_inventory_unref(build(w)); /* before all is heard */
		settle(w);
		struct bh_inventory *inv = build(w), *anew = build_anew(w);
		same(inv, anew);
		most = inv->n > most ? inv->n : most;
		bh_inventory_unref(anew);
		bh_inventory_unref(inv);
	}
	assert_true(most >= 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_history),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
