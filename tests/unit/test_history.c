/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which stays come of one inventory after another, and of a daemon that died in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "answer/clock.h"
#include "core/state.h"
#include "store/internal.h"

static char dir[64];

/* A daemon's run: as much of the core as the history needs. */
struct run {
	struct bh_core c;
	struct bh_config conf;
	struct bh_inventory *inv;
	bool source_away;
};

static struct run *begin(const char *boot)
{
	struct run *r = bh_xcalloc(1, sizeof(*r));
	r->c.conf = &r->conf;
	r->conf.history_keep_s = 86400;
	r->conf.history_max = 1000;
	r->c.boot_id = (char *)boot;
	assert_int_equal(bh_store_open(dir, &r->c.store), 0);
	assert_int_equal(bh_core_history_load(&r->c), 0);
	return r;
}

/* killed: what is not committed is lost, and nobody says goodbye. */
static void end(struct run *r, bool killed)
{
	if (!killed)
		bh_core_history_stop(&r->c);
	if (killed)
		bh_store_fail(r->c.store, SQLITE_FULL);
	bh_store_close(r->c.store);
	bh_core_history_finish(&r->c);
	bh_inventory_unref(r->inv);
	free(r);
}

static void commit(struct run *r)
{
	bh_core_history_tick(&r->c);
	assert_int_equal(bh_store_commit(r->c.store), 0);
}

static int setup(void **state BH_UNUSED)
{
	strcpy(dir, "/tmp/bh-history-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state BH_UNUSED)
{
	char bh_autofree *cmd = bh_xasprintf("rm -rf '%s'", dir);
	return system(cmd) == 0 ? 0 : -1;
}

static struct bh_addr addr(const char *text)
{
	struct bh_addr a;
	assert_int_equal(bh_addr_parse(text, &a), 0);
	return a;
}

struct spec {
	const char *id, *name, *ip;
	uint64_t netns, generation;
	int pid;
	unsigned ifindex;
};

static struct bh_workload *make(const struct spec *s)
{
	struct bh_workload *w = bh_workload_new();
	w->id = bh_xstrdup(s->id);
	w->runtime = bh_xstrdup("docker");
	w->name = bh_xstrdup(s->name);
	w->namespace = bh_xstrdup("shop");
	w->image = bh_xasprintf("%s:1", s->name);
	w->netns = s->netns;
	w->generation = s->generation;
	w->pid = s->pid;
	if (s->ifindex) {
		struct bh_interface *i = bh_workload_add_interface(w);
		const struct bh_addr a = addr(s->ip);
		i->host_ifindex = s->ifindex;
		bh_interface_add_addr(i, &a);
	}
	return w;
}

static void follow(struct run *r, struct bh_inventory *inv)
{
	bh_core_history_follow(&r->c, r->inv, inv, !r->source_away);
	bh_inventory_unref(r->inv);
	r->inv = inv;
}

/* Exactly these are there from now on. Those of before that did not change are the same objects. */
static void now_there(struct run *r, const struct spec *s, size_t n)
{
	struct bh_inventory *inv = bh_inventory_new();
	for (size_t i = 0; i < n; i++) {
		struct bh_workload *w = make(&s[i]);
		int at = r->inv ? bh_inventory_find(r->inv, w) : BH_OWNER_NONE;
		if (at >= 0 && bh_workload_equal(r->inv->workload[at], w)) {
			bh_workload_unref(w);
			w = bh_workload_ref(r->inv->workload[at]);
		}
		bh_inventory_add(inv, w);
	}
	bh_inventory_seal(inv);
	follow(r, inv);
}

static bool show(const struct bh_stay *y, void *arg)
{
	bh_buf_printf(arg, "%s%s%s%s%s ", y->id, y->stopped ? "-" : "+", y->name,
		y->early ? " early" : "", y->unseen ? " unseen" : "");
	for (size_t i = 0; i < y->n_addrs; i++) {
		char text[BH_ADDR_STRLEN];
		bh_buf_printf(arg, "%s%s%s ", i ? "" : "[", bh_addr_format(&y->addr[i].addr, text),
			y->addr[i].until ? "!" : "");
	}
	bh_buf_str(arg, y->n_addrs ? "] " : "");
	return true;
}

static void expect(struct run *r, const char *want)
{
	struct bh_buf bh_autobuf b = {0};
	bh_core_history_save(&r->c);
	assert_int_equal(bh_store_list_stays(r->c.store, BH_STAY_ID, "", 100, show, &b), 0);
	assert_string_equal(b.s ? b.s : "", want);
}

static uint64_t number(struct run *r, const struct spec *s)
{
	struct bh_workload *w = make(s);
	uint64_t n = bh_core_stay_of(&r->c, w);
	bh_workload_unref(w);
	return n;
}

static const struct spec web = {"a1", "web", "10.0.0.2", 100, 1, 7, 50};
static const struct spec db = {"b1", "db", "10.0.0.3", 101, 2, 8, 51};

static void test_they_come_and_go(void **state BH_UNUSED)
{
	struct run *r = begin("boot");
	now_there(r, (struct spec[]){web}, 1);
	expect(r, "a1+web early [10.0.0.2 ] ");
	now_there(r, (struct spec[]){web, db}, 2);
	expect(r, "a1+web early [10.0.0.2 ] b1+db [10.0.0.3 ] ");
	/* the next one gets the address, in the same breath */
	struct spec next = {"a2", "web", "10.0.0.2", 102, 3, 9, 52};
	now_there(r, (struct spec[]){next, db}, 2);
	expect(r, "a1-web early [10.0.0.2! ] a2+web [10.0.0.2 ] b1+db [10.0.0.3 ] ");
	/* a packet of the one that is gone, told late, is still its own */
	assert_true(number(r, &web) != number(r, &next));
	assert_true(number(r, &web) != 0 && number(r, &db) != 0);
	struct spec nobody = {"c1", "no", "10.0.0.9", 9, 9, 9, 99};
	assert_true(number(r, &nobody) == 0);
	now_there(r, NULL, 0);
	expect(r, "a1-web early [10.0.0.2! ] a2-web [10.0.0.2! ] b1-db [10.0.0.3! ] ");
	end(r, false);
}

static void test_started_again_is_another_stay(void **state BH_UNUSED)
{
	struct run *r = begin("boot");
	struct spec again = web;
	now_there(r, (struct spec[]){web}, 1);
	uint64_t first = number(r, &web);
	again.pid = 70;
	again.generation = 4;
	again.ifindex = 60;
	now_there(r, (struct spec[]){again}, 1);
	assert_true(number(r, &again) != first);
	assert_true(number(r, &web) == first);
	expect(r, "a1-web early [10.0.0.2! ] a1+web [10.0.0.2 ] ");
	end(r, false);
}

/* A file's namespace, deleted and made again between two looks: the kernel gives the same inode
 * number. Nothing but the interface tells. */
static void test_namespace_made_again(void **state BH_UNUSED)
{
	struct run *r = begin("boot");
	struct spec one = {"static:shop/web", "web", "10.0.0.2", 100, 1, 0, 50}, two = one;
	now_there(r, (struct spec[]){one}, 1);
	two.ifindex = 51;
	now_there(r, (struct spec[]){two}, 1);
	expect(r, "static:shop/web-web early [10.0.0.2! ] static:shop/web+web [10.0.0.2 ] ");
	/* and one whose namespace is gone is gone, though the file still names it */
	struct spec none = {"static:shop/web", "web", NULL, 0, 0, 0, 0};
	now_there(r, (struct spec[]){none}, 1);
	expect(r, "static:shop/web-web early [10.0.0.2! ] static:shop/web-web [10.0.0.2! ] ");
	end(r, false);
}

static void test_changes_go_on(void **state BH_UNUSED)
{
	struct run *r = begin("boot");
	struct spec s = web;
	now_there(r, (struct spec[]){s}, 1);
	uint64_t n = number(r, &web);
	s.name = "www"; /* docker rename */
	now_there(r, (struct spec[]){s}, 1);
	expect(r, "a1+www early [10.0.0.2 ] ");
	s.ip = "10.0.0.7"; /* another network, and with it another interface */
	s.ifindex = 70;
	now_there(r, (struct spec[]){s}, 1);
	expect(r, "a1+www early [10.0.0.2! 10.0.0.7 ] ");
	struct spec blind = s; /* its namespace cannot be read for a moment */
	blind.netns = blind.generation = blind.ifindex = 0;
	now_there(r, (struct spec[]){blind}, 1);
	now_there(r, (struct spec[]){s}, 1);
	expect(r, "a1+www early [10.0.0.2! 10.0.0.7 ] ");
	assert_true(number(r, &s) == n);
	end(r, false);
}

static void now_with_images(struct run *r, const char *const *image, size_t n)
{
	struct bh_inventory *inv = bh_inventory_new();
	struct bh_workload *w = make(&web);
	free(w->image);
	w->image = n ? bh_xstrdup(image[0]) : NULL;
	const struct bh_run_image first = {.image = w->image};
	for (size_t i = 1; i < n; i++)
		bh_images_add(
			&w->others, &first, &(struct bh_run_image){(char *)image[i], "sha256:0"});
	bh_inventory_add(inv, w);
	bh_inventory_seal(inv);
	follow(r, inv);
}

static bool show_images(const struct bh_stay *y, void *arg)
{
	bh_buf_printf(arg, "%s", y->image ? y->image : "-");
	for (size_t i = 0; i < y->others.n; i++)
		bh_buf_printf(arg, " %s", y->others.item[i].image);
	return true;
}

static void expect_images(struct run *r, const char *want)
{
	struct bh_buf bh_autobuf b = {0};
	bh_core_history_save(&r->c);
	assert_int_equal(bh_store_list_stays(r->c.store, BH_STAY_ID, "", 1, show_images, &b), 0);
	assert_string_equal(b.s ? b.s : "", want);
}

#define WITH(...)                                                                                  \
	now_with_images(r, (const char *const[]){__VA_ARGS__},                                     \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* A pod's containers end one by one: who is gone had the images of all. */
static void test_images_of_all_its_time(void **state BH_UNUSED)
{
	struct run *r = begin("boot");
	WITH("main:1", "proxy:1");
	expect_images(r, "main:1 proxy:1");
	WITH("proxy:1");
	expect_images(r, "main:1 proxy:1");
	now_with_images(r, NULL, 0);
	expect_images(r, "main:1 proxy:1");
	WITH("main:2", "proxy:1"); /* replaced in place */
	expect_images(r, "main:2 proxy:1 main:1");
	commit(r);
	end(r, true);
	r = begin("boot");
	WITH("main:2");
	now_there(r, NULL, 0);
	expect_images(r, "main:2 proxy:1 main:1");
	end(r, false);
}

static void test_addresses_are_bounded(void **state BH_UNUSED)
{
	struct run *r = begin("boot");
	struct spec s = web;
	for (unsigned i = 1; i < 200; i++) {
		char bh_autofree *ip = bh_xasprintf("10.0.0.%u", i);
		s.ip = ip;
		now_there(r, (struct spec[]){s}, 1);
	}
	struct bh_stay y;
	bh_core_history_save(&r->c);
	assert_int_equal(bh_store_get_stay(r->c.store, number(r, &web), &y), 0);
	assert_int_equal(y.n_addrs, 65);
	bh_stay_finish(&y);
	end(r, false);
}

static void test_the_daemon_is_killed(void **state BH_UNUSED)
{
	struct run *r = begin("boot");
	now_there(r, (struct spec[]){web, db}, 2);
	uint64_t n = number(r, &web);
	int64_t before = bh_clock_now();
	commit(r);
	int64_t after = bh_clock_now();
	end(r, true);

	/* web is still there, under another generation; db went, and its name is another's */
	r = begin("boot");
	struct spec same = web, other = {"b2", "db", "10.0.0.3", 101, 6, 80, 90};
	same.generation = 5;
	now_there(r, (struct spec[]){same, other}, 2);
	expect(r, "a1+web early [10.0.0.2 ] b1-db early unseen [10.0.0.3! ] "
		  "b2+db early [10.0.0.3 ] ");
	assert_true(number(r, &same) == n);
	assert_true(number(r, &other) != number(r, &db));
	struct bh_stay y;
	assert_int_equal(bh_store_get_stay(r->c.store, number(r, &db), &y), 0);
	assert_true(y.stopped >= before && y.stopped <= after); /* seen last */
	bh_stay_finish(&y);
	end(r, false);

	/* the machine was started anew: numbers of namespaces mean nothing any more */
	r = begin("another boot");
	now_there(r, (struct spec[]){same}, 1);
	expect(r, "a1-web early unseen [10.0.0.2! ] a1+web early [10.0.0.2 ] "
		  "b1-db early unseen [10.0.0.3! ] b2-db early unseen [10.0.0.3! ] ");
	end(r, true);
}

/* Before the sources have told, nothing is closed. */
static void test_killed_before_the_first_inventory(void **state BH_UNUSED)
{
	struct run *r = begin("boot");
	now_there(r, (struct spec[]){web}, 1);
	commit(r);
	end(r, true);
	r = begin("boot");
	commit(r);
	expect(r, "a1+web early [10.0.0.2 ] ");
	end(r, false);
	r = begin("boot");
	now_there(r, (struct spec[]){web}, 1);
	expect(r, "a1+web early [10.0.0.2 ] ");
	end(r, false);
}

/* Nor while a source stays away: what it had may still be there. */
static void test_a_source_stays_away(void **state BH_UNUSED)
{
	struct run *r = begin("boot");
	now_there(r, (struct spec[]){web, db}, 2);
	commit(r);
	int64_t killed = bh_clock_now();
	end(r, true);
	r = begin("boot");
	r->source_away = true;
	now_there(r, (struct spec[]){web}, 1);
	expect(r, "a1+web early [10.0.0.2 ] b1+db early [10.0.0.3 ] ");
	commit(r);
	end(r, true);
	r = begin("boot");
	now_there(r, (struct spec[]){web, db}, 2);
	expect(r, "a1+web early [10.0.0.2 ] b1+db early [10.0.0.3 ] ");
	end(r, true);
	r = begin("boot");
	r->source_away = true;
	now_there(r, (struct spec[]){web}, 1);
	commit(r);
	r->source_away = false;
	now_there(r, (struct spec[]){web}, 1); /* it is back, and does not know db */
	expect(r, "a1+web early [10.0.0.2 ] b1-db early unseen [10.0.0.3! ] ");
	struct bh_stay y;
	assert_int_equal(bh_store_get_stay(r->c.store, number(r, &db), &y), 0);
	assert_true(y.stopped <= killed); /* by whom it was seen, not by whom it was missed */
	bh_stay_finish(&y);
	end(r, false);
}

static void test_what_the_disk_lost_is_put_again(void **state BH_UNUSED)
{
	struct run *r = begin("boot");
	now_there(r, (struct spec[]){web, db}, 2);
	now_there(r, (struct spec[]){db}, 1);
	bh_core_history_save(&r->c);
	bh_store_fail(r->c.store, SQLITE_FULL);
	bh_core_history_save(&r->c); /* refused until the loss was reported */
	assert_true(bh_store_commit(r->c.store) < 0);
	expect(r, "a1-web early [10.0.0.2! ] b1+db early [10.0.0.3 ] ");
	end(r, false);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_they_come_and_go),
		TEST(test_started_again_is_another_stay),
		TEST(test_namespace_made_again),
		TEST(test_changes_go_on),
		TEST(test_images_of_all_its_time),
		TEST(test_addresses_are_bounded),
		TEST(test_the_daemon_is_killed),
		TEST(test_killed_before_the_first_inventory),
		TEST(test_a_source_stays_away),
		TEST(test_what_the_disk_lost_is_put_again),
	};
	return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
