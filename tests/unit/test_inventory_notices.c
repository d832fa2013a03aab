/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manager: what the kernel tells is looked at, at once or in its turn, and no more than that.
 */
#include <errno.h>

#include "lib/inventory_world.h"

static void expect(struct world *w, const char *name, const char *addr)
{
	struct bh_inventory *inv = build(w);
	struct bh_addr a;
	bh_addr_parse(addr, &a);
	int i = bh_inventory_owner(inv, &a);
	if (name)
		assert_string_equal(i < 0 ? "nobody" : inv->workload[i]->name, name);
	else
		assert_true(i < 0);
	bh_inventory_unref(inv);
}

static void put_ns(unsigned i, const char *path, const char *addr)
{
	kernel.ns[i].path = path;
	kernel.ns[i].inode = 11 + i;
	kernel.ns[i].addr = addr;
}

/* Only whom a notice is about is looked at, and only what is new is told of. */
static void test_notices(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	put_ns(0, "/n/1", "192.0.2.11");
	put_ns(1, "/n/2", "192.0.2.12");
	upsert(w->a, container("one", "/n/1", NULL));
	upsert(w->a, container("also", "/n/1", NULL));
	upsert(w->a, container("two", "/n/2", NULL));
	run_for(w, 60);
	bh_inventory_unref(build(w));
	unsigned told = w->told, inspections = kernel.inspections, looks = kernel.host_looks;
	bh_inventory_unref(build(w));
	ring();
	run_for(w, 60);
	assert_int_equal(kernel.inspections, inspections); /* cached */
	assert_int_equal(w->told, told); /* of no interest */
	notice(1);
	run_for(w, 60);
	assert_int_equal(kernel.inspections, inspections + 1);
	assert_int_equal(w->told, told); /* is what it was */
	kernel.ns[0].addr = "192.0.2.13";
	notice(0);
	run_for(w, 60);
	assert_int_equal(kernel.inspections, inspections + 3); /* both in that namespace */
	assert_int_equal(kernel.host_looks, looks);
	assert_int_equal(w->told, ++told);
	expect(w, "name-also", "192.0.2.13");
	notice_host();
	run_for(w, 60);
	assert_int_equal(w->told, told);
	assert_int_equal(kernel.host_looks, looks + 1);
	kernel.host_addr = "192.0.2.12";
	notice_host();
	run_for(w, 60);
	assert_int_equal(w->told, ++told);
	expect(w, NULL, "192.0.2.12");
	assert_int_equal(kernel.inspections, inspections + 3);
	w->a->sink.remove(w->a->sink.arg, "two");
	bh_inventory_unref(build(w));
	assert_int_equal(kernel.forgotten, 12);
}

static void test_lost(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	put_ns(0, "/n/1", "192.0.2.11");
	put_ns(1, "/n/2", "192.0.2.12");
	upsert(w->a, container("one", "/n/1", NULL));
	upsert(w->a, container("two", "/n/2", NULL));
	run_for(w, 60);
	bh_inventory_unref(build(w));
	unsigned told = w->told;
	kernel.ns[0].addr = "192.0.2.13";
	kernel.ns[1].addr = "192.0.2.14";
	kernel.host_addr = "192.0.2.15";
	notices_lost();
	run_for(w, 60);
	assert_true(w->told > told);
	expect(w, "name-one", "192.0.2.13");
	expect(w, "name-two", "192.0.2.14");
	struct bh_inventory *inv = build(w);
	assert_int_equal(inv->n_hosts, 2);
	bh_inventory_unref(inv);
}

/* The first notice after a time of quiet is looked at when the loop comes round, those after it
 * together; what a source says does not wait for them. */
static void test_at_once(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	put_ns(0, "/n/1", "192.0.2.11");
	upsert(w->a, container("one", "/n/1", NULL));
	run_for(w, 60);
	bh_inventory_unref(build(w));
	unsigned told = w->told, inspections = kernel.inspections;
	w->m->look_us = 250000; /* the next look but one waits for half a second */
	w->m->looked_at = 0;
	uv_update_time(&w->loop);
	uv_timer_stop(&w->beat); /* nothing else makes the loop go on */
	w->m->looked_at = uv_now(&w->loop) - BH_MGR_DELAY_MAX_MS;
	kernel.ns[0].addr = "192.0.2.13";
	notice(0);
	for (unsigned i = 0; i < 3; i++)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_int_equal(w->told, ++told);
	assert_int_equal(kernel.inspections, ++inspections);
	w->m->look_us = 250000;
	kernel.ns[0].addr = "192.0.2.14";
	for (unsigned i = 0; i < 5; i++) {
		notice(0);
		for (unsigned k = 0; k < 3; k++)
			uv_run(&w->loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(w->told, told);
	assert_int_equal(kernel.inspections, inspections);
	upsert(w->a, container("two", "/none", NULL));
	uv_run(&w->loop, UV_RUN_NOWAIT);
	uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_int_equal(w->told, told + 1);
	uv_timer_start(&w->beat, on_beat, 2, 2);
	run_for(w, 700);
	expect(w, "name-one", "192.0.2.14");
}

/* A notice that comes between a namespace's inspection and the inventory that has it. */
static void test_notice_between(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	put_ns(0, "/n/1", "192.0.2.11");
	upsert(w->a, container("one", "/n/1", NULL));
	run_for(w, 60);
	bh_inventory_unref(build(w));
	kernel.told[0] = true; /* is about the namespace it was … */
	kernel.ns[0].addr = "192.0.2.12";
	ring();
	uv_run(&w->loop, UV_RUN_NOWAIT);
	kernel.ns[0].inode = 99; /* … but it is another one when it is looked at */
	run_for(w, 60);
	kernel.ns[0].addr = "192.0.2.13";
	notice(0);
	run_for(w, 60);
	expect(w, "name-one", "192.0.2.13");
}

/* Without any notice: in its turn. */
static void test_walk(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	put_ns(0, "/n/1", "192.0.2.11");
	put_ns(1, "/n/2", "192.0.2.12");
	upsert(w->a, container("one", "/n/1", NULL));
	upsert(w->a, container("two", "/n/2", NULL));
	run_for(w, 60);
	bh_inventory_unref(build(w));
	unsigned inspections = kernel.inspections, told = w->told;
	kernel.ns[0].inode = 21; /* its path leads elsewhere */
	kernel.ns[0].addr = "192.0.2.21";
	for (unsigned i = 0; i < 2 * BH_MGR_ROUNDS; i++) {
		w->m->walk.timer_cb(&w->m->walk);
		assert_true(kernel.inspections <= inspections + 1); /* one after the other */
		inspections = kernel.inspections;
		if (i == 1)
			expect(w, "name-one", "192.0.2.21");
		if (i == 1)
			kernel.ns[1].addr = "192.0.2.22"; /* and of this nothing tells at all */
	}
	expect(w, "name-two", "192.0.2.22");
	assert_int_equal(w->told, told + 2);
}

/* With many, the loop sleeps between two steps, and yet each has its turn in time. */
static void test_walk_pace(void **state)
{
	struct world *w = *state;
	char id[16];
	w->a = add_source(w, "a");
	put_ns(0, "/n/1", "192.0.2.11");
	for (int i = 0; i < 1000; i++) {
		snprintf(id, sizeof(id), "c%d", i);
		upsert(w->a, container(id, "/n/1", NULL));
	}
	bh_inventory_unref(build(w));
	unsigned inspections = kernel.inspections;
	uint64_t ms = 0;
	while (kernel.inspections - inspections < 1000) {
		w->m->walk.timer_cb(&w->m->walk);
		uint64_t pause = uv_timer_get_due_in(&w->m->walk);
		assert_in_range(pause, 200, BH_MGR_TICK_MS);
		ms += pause;
	}
	assert_in_range(ms, 0, BH_MGR_ROUND_MS * BH_MGR_ROUNDS + BH_MGR_TICK_MS);
}

/* A list that says what was known already costs no inspection. */
static void test_same_list(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	put_ns(0, "/n/1", "192.0.2.11");
	put_ns(1, "/n/2", "192.0.2.12");
	struct bh_container *list[] = {container("one", "/n/1", NULL),
		container("two", "/n/2", NULL), container("gone", "/n/1", NULL)};
	w->a->sink.sync(w->a->sink.arg, list, 3);
	struct bh_inventory *a = build(w);
	unsigned inspections = kernel.inspections;
	struct bh_container *again[] = {container("one", "/n/1", NULL),
		container("two", "/n/2", NULL), container("one", "/n/1", NULL)};
	w->a->sink.sync(w->a->sink.arg, again, 2);
	bh_container_free(again[2]);
	struct bh_inventory *b = build(w);
	assert_int_equal(kernel.inspections, inspections);
	assert_ptr_not_equal(a, b); /* "gone" named the workload */
	kernel.ns[1].inode = 22;
	struct bh_container *more[] = {container("one", "/n/1", "label"),
		container("two", "/n/2", NULL), container("two", "/n/2", NULL)};
	w->a->sink.sync(w->a->sink.arg, more, 3); /* one of them twice */
	struct bh_inventory *c = build(w);
	assert_int_equal(kernel.inspections, inspections + 2); /* it says otherwise; it moved */
	assert_int_equal(c->n, 2);
	bh_inventory_unref(a);
	bh_inventory_unref(b);
	bh_inventory_unref(c);
}

static void test_dead(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	upsert(w->a, container("one", "/n/1", NULL));
	struct bh_inventory *inv = build(w);
	assert_int_equal(inv->n, 0); /* it may have died a moment ago */
	bh_inventory_unref(inv);
	run_for(w, 60);
	unsigned told = w->told;
	run_for(w, BH_MGR_PERSISTS_MS + 1500);
	assert_int_equal(w->told, told + 1);
	inv = build(w);
	assert_int_equal(inv->n, 1);
	assert_non_null(strstr(inv->workload[0]->unenforceable, "/n/1"));
	assert_int_equal(inv->workload[0]->netns, 0);
	bh_inventory_unref(inv);
	kernel.ns[0].path = "/n/1";
	kernel.ns[0].inode = 11;
	kernel.ns[0].addr = "192.0.2.11";
	run_for(w, 1200);
	assert_int_equal(w->told, told + 2);
	inv = build(w);
	assert_null(inv->workload[0]->unenforceable);
	assert_int_equal(inv->workload[0]->n_ifaces, 1);
	bh_inventory_unref(inv);
}

/* A fault that is not the namespace's end does not take a workload away. */
static void test_passing_fault(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	kernel.ns[0].path = "/n/1";
	kernel.ns[0].inode = 11;
	kernel.ns[0].addr = "192.0.2.11";
	upsert(w->a, container("one", "/n/1", NULL));
	bh_inventory_unref(build(w));
	kernel.ns[0].err = -EINTR;
	kernel.host_err = -EINTR;
	notice_host();
	notice(0);
	run_for(w, 60);
	struct bh_inventory *inv = build(w);
	assert_int_equal(inv->n, 1);
	assert_int_equal(inv->workload[0]->n_ifaces, 1);
	assert_int_equal(inv->n_hosts, 1);
	assert_int_equal(inv->n_networks, 1);
	bh_inventory_unref(inv);
	/* unless it is about another namespace by now */
	notice(0);
	uv_run(&w->loop, UV_RUN_NOWAIT);
	kernel.ns[0].inode = 12;
	run_for(w, 60);
	inv = build(w);
	assert_int_equal(inv->n, 0);
	bh_inventory_unref(inv);
	unsigned told = w->told;
	kernel.ns[0].err = kernel.host_err = 0;
	run_for(w, 1200);
	assert_true(w->told > told); /* tried again without being asked */
	inv = build(w);
	assert_int_equal(inv->workload[0]->netns, 12);
	bh_inventory_unref(inv);
}

/* A recycled pid does not lend a container the namespace of a stranger. */
static void test_pid(void **state)
{
	struct world *w = *state;
	char path[40];
	w->a = add_source(w, "a");
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)getpid());
	kernel.ns[0].path = path;
	kernel.ns[0].inode = 11;
	kernel.ns[0].addr = "192.0.2.11";
	struct bh_container *c = container("one", NULL, NULL);
	c->pid = getpid();
	upsert(w->a, c);
	struct bh_inventory *inv = build(w);
	assert_int_equal(inv->n, 1);
	bh_inventory_unref(inv);
	struct bh_record *r = bh_idmap_get(&w->m->source[0]->records, "one");
	assert_true(r->start_time > 0);
	r->start_time--; /* as if the pid had belonged to an earlier process */
	notice(0);
	run_for(w, 60);
	inv = build(w);
	assert_int_equal(inv->n, 0);
	bh_inventory_unref(inv);
}

static int owner(const struct bh_inventory *inv, const char *text)
{
	struct bh_addr a;
	bh_addr_parse(text, &a);
	return bh_inventory_owner(inv, &a);
}

/* The node's own addresses and subnets: again after a notice, and when workloads are behind an
 * interface behind which none was; not for each workload. */
static void test_host(void **state)
{
	struct world *w = *state;
	w->a = add_source(w, "a");
	for (unsigned i = 0; i < 3; i++) {
		static const char *const path[] = {"/n/1", "/n/2", "/n/3"};
		kernel.ns[i].path = path[i];
		kernel.ns[i].inode = 11 + i;
		kernel.ns[i].addr = "192.0.2.11";
		kernel.ns[i].bridge = i < 2 ? 5 : 6;
	}
	upsert(w->a, container("one", "/n/1", NULL));
	bh_inventory_unref(build(w));
	unsigned looks = kernel.host_looks;
	upsert(w->a, container("two", "/n/2", NULL));
	bh_inventory_unref(build(w));
	assert_int_equal(kernel.host_looks, looks);
	upsert(w->a, container("three", "/n/3", NULL));
	bh_inventory_unref(build(w));
	assert_int_equal(kernel.host_looks, looks + 1);
	w->a->sink.remove(w->a->sink.arg, "one");
	bh_inventory_unref(build(w));
	assert_int_equal(kernel.host_looks, looks + 1);
	w->a->sink.remove(w->a->sink.arg, "three");
	bh_inventory_unref(build(w));
	assert_int_equal(kernel.host_looks, looks + 2);
	kernel.host_addr = "192.0.2.11"; /* from now on it is not the workload's */
	notice_host();
	run_for(w, 60);
	struct bh_inventory *inv = build(w);
	assert_int_equal(owner(inv, "192.0.2.11"), BH_OWNER_HOST);
	bh_inventory_unref(inv);
	kernel.host_addr = NULL;
	notice_host();
	run_for(w, 60);
	inv = build(w);
	assert_int_equal(owner(inv, "192.0.2.11"), 0);
	bh_inventory_unref(inv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_notices),
		T(test_lost),
		T(test_at_once),
		T(test_notice_between),
		T(test_walk),
		T(test_walk_pace),
		T(test_same_list),
		T(test_dead),
		T(test_passing_fault),
		T(test_pid),
		T(test_host),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
