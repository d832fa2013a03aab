/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Deriving an inventory gives what sealing it anew gives, in every answer, through long random
 * histories of small worlds in which addresses, names and interfaces collide all the time; what is
 * the same object did not change; and references hold with many threads.
 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <pthread.h>

#include <bulkhead/workload.h>

static uint64_t seed = 1;

static unsigned pick(unsigned n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(seed >> 33) % n;
}

/* Few enough that most are claimed twice; some link-local, some loopback. */
static struct bh_addr some_addr(unsigned n)
{
	char text[64];
	struct bh_addr a;
	unsigned i = pick(n);
	switch (pick(5)) {
	case 0:
		snprintf(text, sizeof(text), "fd00::%x", i);
		break;
	case 1:
		snprintf(text, sizeof(text), "fe80::%x", i);
		break;
	case 2:
		snprintf(text, sizeof(text), pick(8) ? "169.254.0.%u" : "127.0.0.%u", i & 255);
		break;
	default:
		snprintf(text, sizeof(text), "10.0.%u.%u", i >> 8, i & 255);
	}
	assert_int_equal(bh_addr_parse(text, &a), 0);
	return a;
}

static struct bh_workload *some_workload(unsigned id, unsigned n_addrs)
{
	struct bh_workload *w = bh_workload_new();
	w->id = bh_xasprintf("%08x%u", id * 2654435761u, id);
	w->name = bh_xasprintf("w%u", id % 7);
	w->namespace = bh_xasprintf("n%u", id % 5);
	for (unsigned i = 0, n = pick(3); i < n; i++) {
		struct bh_interface *f = bh_workload_add_interface(w);
		f->name = bh_xstrdup("eth");
		f->host_ifindex = pick(3) ? pick(200) : 0;
		for (unsigned k = 0, m = pick(4); k < m; k++) {
			struct bh_addr a = some_addr(n_addrs);
			for (unsigned again = pick(6) ? 1 : 2; again > 0; again--)
				bh_interface_add_addr_since(f, &a, pick(3) ? pick(6) : 0);
		}
	}
	w->mode = pick(3);
	return w;
}

static void some_frame(struct bh_inventory *inv, unsigned n_addrs)
{
	for (unsigned i = 0, n = pick(6); i < n; i++) {
		struct bh_addr a = some_addr(n_addrs);
		bh_inventory_add_host(inv, &a);
	}
	for (unsigned i = 0, n = pick(3); i < n; i++) {
		struct bh_prefix p;
		bh_autofree char *text = bh_xasprintf("10.%u.0.0/16", pick(3));
		assert_int_equal(bh_prefix_parse(text, &p), 0);
		bh_inventory_add_network(inv, &p);
	}
	for (unsigned i = 0, n = pick(3); i < n; i++) {
		bh_autofree char *name = bh_xasprintf("n%u", pick(7));
		struct bh_labels l = {0};
		if (pick(2))
			bh_labels_set(&l, "env", pick(2) ? "a" : "b");
		bh_inventory_add_namespace(inv, name, &l);
		bh_labels_finish(&l);
	}
	if (pick(2)) {
		struct bh_addr a = some_addr(n_addrs);
		bh_inventory_add_node(inv, pick(2) ? "one" : "two", NULL, &a, 1);
	}
}

/* What an inventory was made from, to make it again. */
struct model {
	struct bh_workload *w[64]; /* by id; NULL = not there */
	struct bh_inventory *frame; /* unsealed */
	unsigned n_addrs;
};

static struct bh_inventory *copy_frame(const struct bh_inventory *f)
{
	struct bh_inventory *c = bh_inventory_new();
	for (size_t i = 0; i < f->n_hosts; i++)
		bh_inventory_add_host(c, &f->host[i]);
	for (size_t i = 0; i < f->n_networks; i++)
		bh_inventory_add_network(c, &f->network[i]);
	for (size_t i = 0; i < f->n_ns; i++)
		bh_inventory_add_namespace(c, f->ns[i].name, &f->ns[i].labels);
	for (size_t i = 0; i < f->n_nodes; i++)
		bh_inventory_add_node(c, f->node[i].name, &f->node[i].labels, f->node[i].addr,
			f->node[i].n_addrs);
	return c;
}

static struct bh_inventory *anew(const struct model *m)
{
	struct bh_inventory *inv = copy_frame(m->frame);
	for (unsigned i = 0; i < BH_ARRAY_SIZE(m->w); i++)
		if (m->w[i])
			bh_inventory_add(inv, bh_workload_copy(m->w[i]));
	bh_inventory_seal(inv);
	return inv;
}

static void same_owner(
	const struct bh_inventory *a, const struct bh_inventory *b, const struct bh_addr *addr)
{
	assert_int_equal(bh_inventory_owner(a, addr), bh_inventory_owner(b, addr));
}

/* By the rule itself: who claims it since the smallest number, of two alike the earlier. */
static void rightful_owner(const struct bh_inventory *inv, const struct bh_addr *a)
{
	int owner = BH_OWNER_NONE;
	uint64_t best = 0;
	for (size_t i = 0; i < inv->n; i++)
		for (size_t k = 0; k < inv->workload[i]->n_ifaces; k++) {
			const struct bh_interface *f = &inv->workload[i]->iface[k];
			for (size_t n = 0; n < f->n_addrs; n++) {
				uint64_t since = bh_interface_since(f, n);
				if (bh_addr_eq(&f->addr[n], a) &&
					(owner == BH_OWNER_NONE || since < best)) {
					owner = (int)i;
					best = since;
				}
			}
		}
	for (size_t i = 0; i < inv->n_hosts; i++)
		if (bh_addr_eq(&inv->host[i], a))
			owner = BH_OWNER_HOST;
	if (bh_addr_is_loopback(a))
		owner = BH_OWNER_NONE;
	assert_int_equal(bh_inventory_owner(inv, a), owner);
}

static void same_resolve(
	const struct bh_inventory *a, const struct bh_inventory *b, const char *what)
{
	uint32_t x[4] = {0}, y[4] = {0};
	size_t n, m;
	assert_int_equal(
		bh_inventory_resolve(a, what, x, 4, &n), bh_inventory_resolve(b, what, y, 4, &m));
	assert_int_equal(n, m);
	assert_memory_equal(x, y, sizeof(x));
}

static void same_answers(const struct bh_inventory *a, const struct bh_inventory *b)
{
	assert_int_equal(a->n, b->n);
	assert_int_equal(a->n_conflicts, b->n_conflicts);
	assert_int_equal(bh_inventory_frame_changes(a, b), 0);
	assert_true(bh_inventory_same_frame(b, a));
	for (size_t i = 0; i < a->n; i++) {
		const struct bh_workload *w = a->workload[i];
		assert_true(bh_workload_equal(w, b->workload[i]));
		assert_int_equal(bh_inventory_find(a, b->workload[i]), i);
		assert_non_null(bh_inventory_namespace(a, w->namespace));
		for (size_t k = 0; k < w->n_ifaces; k++)
			for (size_t n = 0; n < w->iface[k].n_addrs; n++)
				same_owner(a, b, &w->iface[k].addr[n]);
		same_resolve(a, b, w->id);
		same_resolve(a, b, w->name);
	}
	for (size_t i = 0; i < b->n_hosts; i++)
		same_owner(a, b, &b->host[i]);
	for (unsigned i = 0; i < 60; i++) {
		struct bh_addr any = some_addr(i % 2 ? 12 : 64);
		same_owner(a, b, &any);
		if (i < 16)
			rightful_owner(a, &any);
		assert_int_equal(
			bh_inventory_in_network(a, &any), bh_inventory_in_network(b, &any));
	}
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(bh_inventory_by_ifindex(a, i), bh_inventory_by_ifindex(b, i));
}

/* The addresses of a workload that are its own. */
static bool owns(const struct bh_inventory *inv, size_t i, const struct bh_addr *a)
{
	return bh_inventory_owner(inv, a) == (int)i;
}

/* One object in both: nothing about it is another. */
static void same_objects_are_the_same(const struct bh_inventory *a, const struct bh_inventory *b)
{
	for (size_t j = 0; j < b->n; j++) {
		int i = bh_inventory_find(a, b->workload[j]);
		if (i < 0 || a->workload[i] != b->workload[j])
			continue;
		const struct bh_workload *w = b->workload[j];
		for (size_t k = 0; k < w->n_ifaces; k++)
			for (size_t n = 0; n < w->iface[k].n_addrs; n++)
				assert_int_equal(owns(a, (size_t)i, &w->iface[k].addr[n]),
					owns(b, j, &w->iface[k].addr[n]));
	}
}

struct change {
	uint32_t removed[64];
	struct bh_workload *added[64];
	size_t n_removed, n_added;
};

static void change_one(
	struct model *m, const struct bh_inventory *inv, unsigned id, struct change *c)
{
	struct bh_workload *to = m->w[id] && pick(2) ? NULL : some_workload(id, m->n_addrs);
	if (m->w[id]) {
		int i = bh_inventory_find(inv, m->w[id]);
		assert_true(i >= 0);
		c->removed[c->n_removed++] = (uint32_t)i;
	}
	if (to)
		c->added[c->n_added++] = to;
	bh_workload_unref(m->w[id]);
	m->w[id] = to;
}

static size_t count_shared(const struct bh_inventory *a, const struct bh_inventory *b)
{
	size_t n = 0;
	for (size_t j = 0; j < b->n; j++) {
		int i = bh_inventory_find(a, b->workload[j]);
		n += i >= 0 && a->workload[i] == b->workload[j];
	}
	return n;
}

static struct bh_inventory *step(struct model *m, const struct bh_inventory *inv)
{
	struct change c = {0};
	struct bh_inventory *frame = NULL;
	uint64_t once = 0;
	for (unsigned i = 0, n = pick(20) ? pick(4) : pick(64); i < n; i++) {
		unsigned id = pick(BH_ARRAY_SIZE(m->w));
		if (!(once >> id & 1))
			change_one(m, inv, id, &c);
		once |= 1ULL << id;
	}
	if (pick(4) == 0) {
		if (pick(2)) { /* one more of its own addresses */
			struct bh_addr a = some_addr(m->n_addrs);
			bh_inventory_add_host(m->frame, &a);
		} else {
			bh_inventory_unref(m->frame);
			m->frame = bh_inventory_new();
			some_frame(m->frame, m->n_addrs);
		}
		frame = copy_frame(m->frame);
	}
	return bh_inventory_derive(inv, frame, c.removed, c.n_removed, c.added, c.n_added);
}

/* With many addresses few are contested and almost all is patched; with few, almost nothing can. */
static void test_history(void **state BH_UNUSED)
{
	size_t shared = 0;
	for (unsigned round = 0; round < 60; round++) {
		struct model m = {.n_addrs = round % 3 == 0 ? 12 : round % 3 == 1 ? 60 : 20000};
		m.frame = bh_inventory_new();
		some_frame(m.frame, m.n_addrs);
		struct bh_inventory *inv = anew(&m), *first = bh_inventory_ref(inv);
		for (unsigned i = 0; i < 150; i++) {
			struct bh_inventory *to = step(&m, inv), *fresh = anew(&m);
			same_answers(to, fresh);
			same_objects_are_the_same(inv, to);
			same_objects_are_the_same(first, to);
			shared += count_shared(inv, to);
			if (i % 10 == 0) {
				bh_inventory_unref(first);
				first = bh_inventory_ref(to);
			}
			bh_inventory_unref(fresh);
			bh_inventory_unref(inv);
			inv = to;
		}
		bh_inventory_unref(first);
		bh_inventory_unref(inv);
		bh_inventory_unref(m.frame);
		for (unsigned i = 0; i < BH_ARRAY_SIZE(m.w); i++)
			bh_workload_unref(m.w[i]);
	}
	assert_true(shared > 60 * 150 * 10);
}

static struct bh_workload *numbered(unsigned i)
{
	char text[64];
	struct bh_addr a;
	struct bh_workload *w = bh_workload_new();
	w->id = bh_xasprintf("%08x%04x", i * 2654435761u, i);
	w->name = bh_xasprintf("web-%u", i);
	w->namespace = bh_xasprintf("n%u", i % 100);
	struct bh_interface *f = bh_workload_add_interface(w);
	f->name = bh_xstrdup("eth0");
	f->host_ifindex = i + 1;
	snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
	bh_addr_parse(text, &a);
	bh_interface_add_addr(f, &a);
	snprintf(text, sizeof(text), "fd00::%x", i);
	bh_addr_parse(text, &a);
	bh_interface_add_addr(f, &a);
	return w;
}

/* From nothing to thousands, one by one: the tables grow on the way. */
static void test_grows(void **state BH_UNUSED)
{
	enum { N = 3000 };
	struct bh_inventory *inv = bh_inventory_new(), *fresh = bh_inventory_new();
	bh_inventory_seal(inv);
	for (unsigned i = 0; i < N; i++) {
		struct bh_workload *w = numbered(i);
		struct bh_inventory *to = bh_inventory_derive(inv, NULL, NULL, 0, &w, 1);
		assert_int_equal(to->n, i + 1);
		if (i % 500 == 0)
			assert_int_equal(count_shared(inv, to), i);
		bh_inventory_add(fresh, w);
		bh_inventory_unref(inv);
		inv = to;
	}
	bh_inventory_seal(fresh);
	same_answers(inv, fresh);
	while (inv->n) { /* and back, from the middle */
		uint32_t at = (uint32_t)inv->n / 2;
		struct bh_inventory *to = bh_inventory_derive(inv, NULL, &at, 1, NULL, 0);
		bh_inventory_unref(inv);
		inv = to;
	}
	assert_int_equal(inv->n_ns, 0);
	bh_inventory_unref(inv);
	bh_inventory_unref(fresh);
}

static void test_frame_changes(void **state BH_UNUSED)
{
	struct bh_inventory *a = bh_inventory_new();
	bh_inventory_add_namespace(a, "m", NULL);
	bh_inventory_add(a, numbered(1));
	bh_inventory_seal(a);
	struct bh_workload *w = numbered(2);
	struct bh_inventory *b = bh_inventory_derive(a, NULL, NULL, 0, &w, 1);
	bh_workload_unref(w);
	assert_int_equal(bh_inventory_frame_changes(a, b), BH_FRAME_NS_ADDED);
	assert_int_equal(bh_inventory_frame_changes(b, a), BH_FRAME_NS_REMOVED);
	uint32_t map[3], at = 1;
	bh_inventory_map_namespaces(a, b, map);
	assert_true(map[0] == 0 && map[1] == 1);
	bh_inventory_map_namespaces(b, a, map);
	assert_true(map[0] == 0 && map[1] == 1 && map[2] == UINT32_MAX);
	struct bh_inventory *c = bh_inventory_derive(b, NULL, &at, 1, NULL, 0);
	assert_true(bh_inventory_same_frame(a, c));
	struct bh_inventory *frame = bh_inventory_new();
	struct bh_labels l = {0};
	bh_labels_set(&l, "env", "x");
	bh_inventory_add_namespace(frame, "m", &l);
	bh_labels_finish(&l);
	struct bh_inventory *d = bh_inventory_derive(c, frame, NULL, 0, NULL, 0);
	assert_int_equal(bh_inventory_frame_changes(c, d), BH_FRAME_NS_LABELS);
	assert_ptr_equal(c->workload[0], d->workload[0]);
	bh_inventory_unref(a);
	bh_inventory_unref(b);
	bh_inventory_unref(c);
	bh_inventory_unref(d);
}

/* One that claims an address since the numbers given. */
static struct bh_workload *claimant(const char *name, uint64_t since, uint64_t also)
{
	struct bh_addr a;
	struct bh_workload *w = bh_workload_new();
	w->id = bh_xstrdup(name);
	w->name = bh_xstrdup(name);
	w->namespace = bh_xstrdup("n");
	bh_addr_parse("10.0.0.1", &a);
	struct bh_interface *f = bh_workload_add_interface(w);
	f->name = bh_xstrdup("eth0");
	bh_interface_add_addr_since(f, &a, since);
	if (also)
		bh_interface_add_addr_since(f, &a, also);
	return w;
}

/* Of two claims neither is there any more, but a later one: it is not taken for one of them. */
static void test_claimed_twice(void **state BH_UNUSED)
{
	struct bh_inventory *inv = bh_inventory_new(), *to;
	struct bh_workload *again = claimant("a", 7, 0), *other = claimant("b", 6, 0);
	struct bh_addr a;
	uint32_t at = 0;
	bh_addr_parse("10.0.0.1", &a);
	bh_inventory_add(inv, claimant("a", 5, 1));
	bh_inventory_seal(inv);
	to = bh_inventory_derive(inv, NULL, &at, 1, &again, 1);
	bh_inventory_unref(inv);
	inv = bh_inventory_derive(to, NULL, NULL, 0, &other, 1);
	assert_int_equal(bh_inventory_owner(inv, &a), 1);
	bh_inventory_unref(to);
	bh_inventory_unref(inv);
	bh_workload_unref(again);
	bh_workload_unref(other);
}

/* --- many threads, each dropping what others still read --- */
struct shared {
	pthread_mutex_t lock;
	struct bh_inventory *now;
	int left;
};

static void *reader(void *arg)
{
	struct shared *s = arg;
	struct bh_inventory *kept = NULL;
	for (int left = 1; left > 0;) {
		pthread_mutex_lock(&s->lock);
		struct bh_inventory *inv = bh_inventory_ref(s->now);
		left = s->left;
		pthread_mutex_unlock(&s->lock);
		size_t n = 0;
		for (size_t i = 0; i < inv->n; i++)
			n += inv->workload[i]->iface[0].n_addrs;
		struct bh_workload *w = bh_workload_ref(inv->workload[inv->n / 2]);
		struct bh_addr a = w->iface[0].addr[0];
		if (n != inv->n * 2 || bh_inventory_owner(inv, &a) != (int)(inv->n / 2))
			abort();
		bh_inventory_unref(kept);
		kept = inv; /* until the next round */
		bh_workload_unref(w);
	}
	bh_inventory_unref(kept);
	return NULL;
}

static void test_references(void **state BH_UNUSED)
{
	struct shared s = {.lock = PTHREAD_MUTEX_INITIALIZER, .left = 2000};
	pthread_t t[4];
	s.now = bh_inventory_new();
	for (unsigned i = 0; i < 300; i++)
		bh_inventory_add(s.now, numbered(i));
	bh_inventory_seal(s.now);
	for (unsigned i = 0; i < BH_ARRAY_SIZE(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, reader, &s), 0);
	for (unsigned i = 0; s.left > 0; i++) {
		uint32_t at = pick((unsigned)s.now->n);
		struct bh_workload *w = numbered(1000 + i);
		struct bh_inventory *to = bh_inventory_derive(s.now, NULL, &at, 1, &w, 1);
		bh_workload_unref(w);
		pthread_mutex_lock(&s.lock);
		struct bh_inventory *was = s.now;
		s.now = to;
		s.left--;
		pthread_mutex_unlock(&s.lock);
		bh_inventory_unref(was);
	}
	for (unsigned i = 0; i < BH_ARRAY_SIZE(t); i++)
		pthread_join(t[i], NULL);
	bh_inventory_unref(s.now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_frame_changes),
		cmocka_unit_test(test_claimed_twice),
		cmocka_unit_test(test_references),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
