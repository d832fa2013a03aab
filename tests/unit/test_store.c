/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store: what comes back after a restart, what a damaged file or a full disk does to it. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static char dir[64];

static int setup(void **state BH_UNUSED)
{
	strcpy(dir, "/tmp/bh-store-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state BH_UNUSED)
{
	char bh_autofree *cmd = bh_xasprintf("rm -rf '%s'", dir);
	return system(cmd) == 0 ? 0 : -1;
}

static char *path_of(const char *name)
{
	return bh_xasprintf("%s/%s", dir, name);
}

static struct bh_store *open_store(int expect)
{
	struct bh_store *s = NULL;
	assert_int_equal(bh_store_open(dir, &s), expect);
	assert_non_null(s);
	return s;
}

static struct bh_tuple sample_tuple(uint16_t port)
{
	struct bh_tuple t = {.proto = 6,
		.port = port,
		.egress = true,
		.answered = true,
		.first_seen = 1700000000000000,
		.last_seen = 1700000001000000,
		.answered_at = 1700000000000001,
		.review = BH_REVIEW_REJECTED,
		.is_widened = true,
		.connections = UINT64_MAX - 1};
	assert_int_equal(bh_prefix_parse("2001:db8::/32", &t.widened), 0);
	t.src.kind = BH_END_ROLE;
	t.src.namespace = bh_xstrdup("a b%");
	bh_labels_set(&t.src.selector, "app", "we b,=%\n\xff");
	bh_labels_set(&t.src.selector, "tier", "");
	t.dst.kind = BH_END_ADDR;
	assert_int_equal(bh_addr_parse("2001:db8::9", &t.dst.addr), 0);
	t.image = bh_xcalloc(2, sizeof(*t.image));
	t.image[0] = bh_xstrdup("docker.io/library/nginx:1.25@sha256:ab");
	t.image[1] = bh_xstrdup("odd name %20");
	t.n_images = 2;
	return t;
}

struct tuples {
	size_t n;
	struct bh_tuple expect;
};

static void check_tuple(const struct bh_tuple *t, void *arg)
{
	struct tuples *x = arg;
	if (x->n++ == 0 && x->expect.port) {
		assert_true(bh_end_equal(&t->src, &x->expect.src));
		assert_true(bh_end_equal(&t->dst, &x->expect.dst));
		assert_int_equal(t->proto, x->expect.proto);
		assert_int_equal(t->port, x->expect.port);
		assert_int_equal(t->egress, x->expect.egress);
		assert_int_equal(t->ingress, x->expect.ingress);
		assert_int_equal(t->answered, x->expect.answered);
		assert_int_equal(t->first_seen, x->expect.first_seen);
		assert_int_equal(t->last_seen, x->expect.last_seen);
		assert_true(t->connections == x->expect.connections);
		assert_int_equal(t->answered_at, x->expect.answered_at);
		assert_memory_equal(&t->volume, &x->expect.volume, sizeof(t->volume));
		assert_int_equal(t->review, x->expect.review);
		assert_true(t->is_widened && t->widened.len == x->expect.widened.len);
		assert_true(bh_addr_eq(&t->widened.addr, &x->expect.widened.addr));
		assert_int_equal(t->n_images, 2);
		assert_string_equal(t->image[0], x->expect.image[0]);
		assert_string_equal(t->image[1], x->expect.image[1]);
	}
}

static size_t count_tuples(struct bh_store *s)
{
	struct tuples x = {0};
	assert_int_equal(bh_store_load_tuples(s, check_tuple, &x), 0);
	return x.n;
}

static void test_tuples_survive(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	struct tuples x = {.expect = sample_tuple(443)};
	assert_int_equal(bh_store_put_tuple(s, &x.expect), 0);
	x.expect.volume = (struct bh_volume){3, {40, 41}, {1ull << 40, 2}, 5000001};
	x.expect.last_seen++;
	x.expect.ingress = true;
	assert_int_equal(bh_store_put_tuple(s, &x.expect), 0); /* replaces */
	bh_store_close(s);
	s = open_store(0);
	assert_int_equal(bh_store_load_tuples(s, check_tuple, &x), 0);
	assert_int_equal(x.n, 1);
	bh_store_close(s);
	bh_tuple_finish(&x.expect);
}

static void run_sql(const char *sql)
{
	sqlite3 *db;
	char bh_autofree *path = path_of("bulkhead.db");
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void test_edited_tuples_are_left_out(void **state BH_UNUSED)
{
	static const char *const edit[] = {
		"UPDATE tuple SET src = 'role shop app=web'", /* no longer its key */
		"UPDATE tuple SET dst = 'addr 203.0.113.09'",
		"UPDATE tuple SET src = 'role a%2'",
		"UPDATE tuple SET src = 'role a b=%00'",
		"UPDATE tuple SET src = x'ff00'",
		"UPDATE tuple SET port = 70000",
		"UPDATE tuple SET images = 'a\"b'",
	};
	for (size_t i = 0; i < BH_ARRAY_SIZE(edit); i++) {
		struct bh_store *s = open_store(0);
		struct bh_tuple t = sample_tuple(443);
		assert_int_equal(bh_store_put_tuple(s, &t), 0);
		bh_store_close(s);
		bh_tuple_finish(&t);
		run_sql(edit[i]);
		s = open_store(0);
		assert_int_equal(count_tuples(s), 0);
		assert_non_null(strstr(bh_store_message(s), "cannot be read"));
		bh_store_close(s);
		run_sql("DELETE FROM tuple");
	}
}

static struct bh_flow_row flow(const char *dst, uint16_t port, const char *rule)
{
	return (struct bh_flow_row){.first_seen = 100,
		.last_seen = 200,
		.src = (char *)"shop/web",
		.dst = (char *)dst,
		.src_addr = (char *)"10.0.0.2",
		.dst_addr = (char *)"10.0.0.3",
		.src_id = (char *)"abc",
		.proto = 6,
		.port = port,
		.verdict = (char *)"allow",
		.reason = (char *)"policy",
		.mode = (char *)"enforce",
		.rule = (char *)rule,
		.count = 1};
}

struct rows {
	size_t n;
	uint64_t seq[64], count[64];
	uint16_t port[64];
	bool has_rule[64];
};

static void keep_row(const struct bh_flow_row *r, void *arg)
{
	struct rows *x = arg;
	assert_true(x->n < 64);
	x->seq[x->n] = r->seq;
	x->count[x->n] = r->count;
	x->port[x->n] = r->port;
	x->has_rule[x->n++] = r->rule != NULL;
	assert_string_equal(r->src, "shop/web");
	assert_string_equal(r->src_id, "abc");
	assert_null(r->dst_id);
}

static struct rows list(struct bh_store *s, uint64_t since, size_t limit)
{
	struct rows x = {0};
	assert_int_equal(bh_store_list_flows(s, since, limit, keep_row, &x), 0);
	return x;
}

static void test_flows_aggregate_and_page(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	struct bh_flow_row a = flow("shop/db", 5432, NULL), b = flow("shop/db", 5432, "rule 0"),
			   c = flow("203.0.113.9", 443, NULL);
	assert_int_equal(bh_store_add_flow(s, &a, 100), 0);
	assert_int_equal(bh_store_add_flow(s, &b, 100), 0);
	assert_int_equal(bh_store_add_flow(s, &c, 100), 0);
	a.count = 5;
	assert_int_equal(bh_store_add_flow(s, &a, 100), 0); /* moves to the end */
	struct rows x = list(s, 0, 10);
	assert_int_equal(x.n, 3);
	assert_true(x.has_rule[0] && !x.has_rule[1] && !x.has_rule[2]);
	assert_int_equal(x.count[2], 6);
	assert_int_equal(x.port[2], 5432);
	assert_true(x.seq[0] < x.seq[1] && x.seq[1] < x.seq[2]);
	struct rows newest = list(s, 0, 1), after = list(s, x.seq[1], 10),
		    none = list(s, x.seq[2], 1);
	assert_int_equal(newest.n, 1);
	assert_int_equal(newest.seq[0], x.seq[2]);
	assert_int_equal(after.n, 1);
	assert_int_equal(none.n, 0);
	assert_int_equal(list(s, UINT64_MAX, 10).n, 0);
	bh_store_close(s);
	s = open_store(0);
	assert_int_equal(bh_store_add_flow(s, &c, 100), 0);
	after = list(s, x.seq[2], 10); /* a reader's cursor still works after a restart */
	assert_int_equal(after.n, 1);
	assert_int_equal(after.count[0], 2);
	bh_store_close(s);
}

static void keep_volume(const struct bh_flow_row *r, void *arg)
{
	struct bh_volume *v = arg;
	bh_volume_add(v, &r->volume);
}

static void test_flows_add_their_volume(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	struct bh_flow_row r = flow("shop/db", 5432, NULL);
	struct bh_volume got = {0};
	assert_int_equal(bh_store_add_flow(s, &r, 10), 0);
	r.count = 0;
	r.volume = (struct bh_volume){2, {10, 8}, {1000, 1ull << 33}, 7};
	assert_int_equal(bh_store_add_flow(s, &r, 10), 0);
	assert_int_equal(bh_store_add_flow(s, &r, 10), 0);
	assert_int_equal(list(s, 0, 10).n, 1);
	assert_int_equal(list(s, 0, 10).count[0], 1);
	assert_int_equal(bh_store_list_flows(s, 0, 10, keep_volume, &got), 0);
	const struct bh_volume want = {4, {20, 16}, {2000, 1ull << 34}, 14};
	assert_memory_equal(&got, &want, sizeof(got));
	bh_store_close(s);
	run_sql("UPDATE flow SET bytes_out = -5");
	s = open_store(0);
	got = (struct bh_volume){0};
	assert_int_equal(bh_store_list_flows(s, 0, 10, keep_volume, &got), 0);
	assert_true(got.bytes[0] == 0 && got.bytes[1] == want.bytes[1]);
	bh_store_close(s);
}

static void test_flows_are_bounded(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	for (uint16_t port = 1; port <= 40; port++) {
		struct bh_flow_row r = flow("shop/db", port, NULL);
		assert_int_equal(bh_store_add_flow(s, &r, 10), 0);
	}
	struct rows x = list(s, 0, 64);
	assert_int_equal(x.n, 10);
	assert_int_equal(x.port[0], 31);
	assert_int_equal(x.port[9], 40);
	bh_store_close(s);
	s = open_store(0);
	struct bh_flow_row r = flow("shop/db", 99, NULL);
	assert_int_equal(bh_store_add_flow(s, &r, 5), 0); /* a smaller bound */
	assert_int_equal(list(s, 0, 64).n, 5);
	bh_store_close(s);
}

struct folds {
	size_t n;
	uint64_t count, rows, ports, anybody;
	char first[64]; /* the one with the most connections */
};

static void keep_fold(const struct bh_flow_fold *f, void *arg)
{
	struct folds *x = arg;
	if (x->n++ == 0)
		snprintf(x->first, sizeof(x->first), "%s>%s %u/%u %s %lld-%lld", f->src, f->dst,
			f->proto, f->port, f->verdict, (long long)f->first_seen,
			(long long)f->last_seen);
	x->count += f->count;
	x->rows += f->rows;
	x->ports += f->port != 0;
	x->anybody += bh_streq(f->src, "*");
}

static struct folds folds_of(struct bh_store *s)
{
	struct folds x = {0};
	struct bh_flow_fold sum;
	assert_int_equal(bh_store_list_flow_folds(s, 1000000, keep_fold, &x), 0);
	assert_int_equal(bh_store_sum_flow_folds(s, &sum), 0);
	assert_int_equal(sum.rows, x.rows);
	assert_int_equal(sum.count, x.count);
	return x;
}

/* What no longer has a row is put together, and nothing of it is lost to the sums. */
static void test_flows_are_put_together(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	assert_int_equal(folds_of(s).n, 0);
	for (unsigned i = 0; i < 100; i++) {
		char addr[32];
		struct bh_flow_row r = flow(addr, 443, NULL);
		snprintf(addr, sizeof(addr), "203.0.113.%u", i);
		r.dst_addr = addr;
		r.first_seen = r.last_seen = 1000 + i;
		r.count = 3;
		assert_int_equal(bh_store_add_flow(s, &r, 10), 0);
	}
	struct folds x = folds_of(s);
	assert_int_equal(x.n, 1);
	assert_int_equal(x.rows, 90);
	assert_int_equal(x.count, 270);
	assert_string_equal(x.first, "shop/web>outside 6/443 allow 1000-1089");
	/* More kinds than are kept: ports go first, then the names of those of long ago. */
	for (unsigned i = 0; i < 10100; i++) {
		struct bh_flow_row r = flow("shop/db", (uint16_t)(i + 1), NULL);
		r.count = 1;
		assert_int_equal(bh_store_add_flow(s, &r, 10), 0);
	}
	x = folds_of(s);
	assert_int_equal(x.rows, 100 + 10100 - 10);
	assert_in_range(x.n, 1, 300);
	for (unsigned i = 0; i < 10100; i++) {
		char name[32];
		struct bh_flow_row r = flow(name, 80, NULL);
		snprintf(name, sizeof(name), "shop/job-%u", i);
		r.count = 1;
		r.last_seen = 1000000 + i;
		assert_int_equal(bh_store_add_flow(s, &r, 10), 0);
	}
	x = folds_of(s);
	assert_int_equal(x.rows, 100 + 2 * 10100 - 10);
	assert_int_equal(x.count, 300 + 2 * 10100 - 10);
	assert_in_range(x.n, 5000, 6000);
	assert_int_equal(x.anybody, 1);
	assert_int_equal(list(s, 0, 64).n, 10);
	bh_store_close(s);
	s = open_store(0);
	assert_int_equal(folds_of(s).rows, x.rows);
	bh_store_close(s);
}

static void keep_mode(const struct bh_mode_row *m, void *arg)
{
	struct bh_buf *b = arg;
	bh_buf_printf(b, "[%s]=%s@%lld/%u ", m->scope, bh_mode_name(m->mode), (long long)m->set_at,
		m->uid);
	if (m->until)
		bh_buf_printf(b, "until %lld then %s ", (long long)m->until,
			m->has_back ? bh_mode_name(m->back) : "-");
}

static void keep_policy(const struct bh_policy_source *p, void *arg)
{
	struct bh_buf *b = arg;
	assert_int_equal(strlen(p->text), p->len);
	bh_buf_printf(b, "%s:%s ", p->file, p->text);
}

static void test_state(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	struct bh_buf bh_autobuf b = {0};
	struct bh_mode_row node = {.scope = (char *)"", .mode = BH_MODE_AUDIT, .set_at = 5},
			   shop = {.scope = (char *)"shop",
				   .mode = BH_MODE_ENFORCE,
				   .set_at = 6,
				   .uid = UINT32_MAX},
			   db = {.scope = (char *)"?tier=db",
				   .mode = BH_MODE_LEARN,
				   .until = 9,
				   .has_back = true,
				   .back = BH_MODE_ENFORCE},
			   gone = {.scope = (char *)"gone"};
	uint64_t v = 7;
	assert_int_equal(bh_store_put_mode(s, &shop), 0);
	assert_int_equal(bh_store_put_mode(s, &node), 0);
	node.mode = BH_MODE_LEARN;
	assert_int_equal(bh_store_put_mode(s, &node), 0);
	assert_int_equal(bh_store_put_mode(s, &db), 0);
	assert_int_equal(bh_store_put_mode(s, &gone), 0);
	assert_int_equal(bh_store_drop_mode(s, "gone"), 0);
	assert_int_equal(bh_store_get_u64(s, "seq", &v), -ENOENT);
	assert_int_equal(v, 7);
	assert_int_equal(bh_store_put_u64(s, "seq", UINT64_MAX), 0);
	bh_store_close(s);
	s = open_store(0);
	assert_int_equal(bh_store_load_modes(s, keep_mode, &b), 0);
	assert_string_equal(b.s, "[]=learn@5/0 [?tier=db]=learn@0/0 until 9 then enforce "
				 "[shop]=enforce@6/4294967295 ");
	assert_int_equal(bh_store_get_u64(s, "seq", &v), 0);
	assert_true(v == UINT64_MAX);
	bh_store_close(s);
}

/* A row that somebody edited must not let in more than was seen and said. */
static void test_review_of_a_tuple(void **state BH_UNUSED)
{
	static const char *const bad[] = {"review = 7", "review = -1", "widened = '2001:db9::/32'",
		"widened = '10.0.0.0/8'", "widened = 'any'", "widened = '2001:db8::9/32'"};
	struct bh_store *s = open_store(0);
	struct bh_tuple t = sample_tuple(443);
	assert_int_equal(bh_store_put_tuple(s, &t), 0);
	char bh_autofree *key = bh_tuple_key(&t);
	bh_store_close(s);
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		char bh_autofree *sql = bh_xasprintf("UPDATE tuple SET %s", bad[i]);
		run_sql(sql);
		s = open_store(0);
		if (count_tuples(s) != 0)
			fail_msg("read: %s", bad[i]);
		assert_int_equal(bh_store_put_tuple(s, &t), 0);
		bh_store_close(s);
	}
	s = open_store(0);
	assert_int_equal(count_tuples(s), 1);
	assert_int_equal(bh_store_drop_tuple(s, "another"), 0);
	assert_int_equal(count_tuples(s), 1);
	assert_int_equal(bh_store_drop_tuple(s, key), 0);
	assert_int_equal(count_tuples(s), 0);
	bh_tuple_finish(&t);
	bh_store_close(s);
}

static void keep_role(const struct bh_role_row *r, void *arg)
{
	struct bh_buf *b = arg;
	bh_end_format(&r->end, b);
	bh_buf_printf(b, " %lld..%lld %llu s %llu starts %02x..%02x", (long long)r->since,
		(long long)r->last, (unsigned long long)r->learned_s, (unsigned long long)r->starts,
		r->hours[0], r->hours[BH_HOURS_BYTES - 1]);
	for (size_t i = 0; i < r->n_instances; i++)
		bh_buf_printf(b, " %llx", (unsigned long long)r->instance[i]);
	bh_buf_str(b, "\n");
}

static void test_roles(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	struct bh_buf bh_autobuf b = {0};
	struct bh_role_row r = {.end = {.kind = BH_END_ROLE, .namespace = (char *)"a b"},
		.since = 5,
		.last = 6,
		.learned_s = 7,
		.starts = UINT64_MAX,
		.hours = {0x81},
		.instance = {UINT64_MAX, 2},
		.n_instances = 2};
	r.hours[BH_HOURS_BYTES - 1] = 0x7f;
	bh_labels_set(&r.end.selector, "app", "we,b=\n");
	assert_int_equal(bh_store_put_role(s, &r), 0);
	r.last = 9;
	assert_int_equal(bh_store_put_role(s, &r), 0); /* replaces */
	bh_labels_set(&r.end.selector, "app", "none");
	r.n_instances = 0;
	r.starts = 0;
	assert_int_equal(bh_store_put_role(s, &r), 0);
	bh_labels_set(&r.end.selector, "app", "gone");
	assert_int_equal(bh_store_put_role(s, &r), 0);
	assert_int_equal(bh_store_drop_role(s, &r.end), 0);
	bh_store_close(s);
	run_sql("INSERT INTO role VALUES ('host', 1, 1, 1, 1, 'short', ''),"
		" ('role x a', 1, 1, 1, 1, zeroblob(21), ''),"
		" ('role x a=b', 1, 1, 1, 1, zeroblob(21), zeroblob(7)),"
		" ('role x b=c', 1, 1, 1, 1, zeroblob(21), zeroblob(264))");
	s = open_store(0);
	assert_int_equal(bh_store_load_roles(s, keep_role, &b), 0);
	assert_string_equal(b.s, "a b/none 5..9 7 s 0 starts 81..7f\n"
				 "a b/we,b=\n 5..9 7 s 18446744073709551615 starts 81..7f "
				 "ffffffffffffffff 2\n");
	assert_non_null(strstr(bh_store_message(s), "4 rows of table role"));
	bh_labels_finish(&r.end.selector);
	bh_store_close(s);
}

static void keep_quarantine(const struct bh_quarantine_row *q, void *arg)
{
	struct bh_buf *b = arg;
	bh_buf_printf(b, "%s/%s %s \"%s\" @%lld %u %d:", q->namespace, q->name, q->id, q->reason,
		(long long)q->at, q->uid, q->pid);
	for (size_t i = 0; i < q->allow->n; i++) {
		bh_buf_str(b, " ");
		bh_quarantine_format(&q->allow->allow[i], b);
	}
	bh_buf_str(b, "\n");
}

static void expect_quarantine(const char *want)
{
	struct bh_buf bh_autobuf b = {0};
	struct bh_store *s = open_store(0);
	assert_int_equal(bh_store_load_quarantine(s, keep_quarantine, &b), 0);
	assert_string_equal(b.s ? b.s : "", want);
	bh_store_close(s);
}

static void test_quarantine(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	struct bh_quarantine *q = bh_quarantine_new();
	const char *why;
	struct bh_quarantine_row web = {(char *)"shop", (char *)"web", (char *)"0123", q,
		(char *)"it's \"odd\"", 5, UINT32_MAX, 7};
	struct bh_quarantine_row db = {(char *)"shop", (char *)"db", NULL, NULL, NULL, 6, 0, 8};
	assert_int_equal(bh_quarantine_allow(q, "[fd00::/8]:53/udp", &why), 0);
	assert_int_equal(bh_quarantine_allow(q, "10.0.0.5:22", &why), 0);
	assert_int_equal(bh_store_put_quarantine(s, &db), 0);
	assert_int_equal(bh_store_put_quarantine(s, &web), 0);
	web.at = 9; /* replaces */
	assert_int_equal(bh_store_put_quarantine(s, &web), 0);
	assert_int_equal(bh_store_commit(s), 0);
	bh_store_close(s);
	bh_quarantine_unref(q);
	expect_quarantine("shop/db  \"\" @6 0 8:\n"
			  "shop/web 0123 \"it's \"odd\"\" @9 4294967295 7: 10.0.0.5/32:22/tcp"
			  " [fd00::/8]:53/udp\n");
	/* What cannot be read allows nothing; the workload stays cut off. */
	run_sql("UPDATE quarantine SET allow = '10.0.0.5:22 frob 10.0.0.6:x' WHERE name = 'web'");
	expect_quarantine("shop/db  \"\" @6 0 8:\n"
			  "shop/web 0123 \"it's \"odd\"\" @9 4294967295 7: 10.0.0.5/32:22/tcp\n");
	s = open_store(0);
	assert_int_equal(bh_store_drop_quarantine(s, "shop", "web"), 0);
	assert_int_equal(bh_store_drop_quarantine(s, "shop", "nobody"), 0);
	bh_store_close(s);
	expect_quarantine("shop/db  \"\" @6 0 8:\n");
}

static char *files_of(struct bh_store *s, uint64_t number)
{
	struct bh_buf b = {0};
	assert_int_equal(bh_store_load_version_files(s, number, keep_policy, &b), 0);
	return bh_buf_take(&b);
}

static void expect_files(struct bh_store *s, uint64_t number, const char *want)
{
	char bh_autofree *got = files_of(s, number);
	assert_string_equal(got, want);
}

static int64_t count_rows(const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	char bh_autofree *path = path_of("bulkhead.db");
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	int64_t n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

static void test_versions(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	struct bh_policy_source p[] = {{"z.yaml", "one", 3}, {"a.yaml", "two!", 3}, {"b", "", 0}};
	struct bh_version v = {.number = 1,
				  .sha256 = (char *)"aa",
				  .at = 5,
				  .cause = (char *)"start",
				  .user = (char *)"directory",
				  .comment = (char *)""},
			  got = {0};

	assert_int_equal(bh_store_get_version(s, 1, &got), -ENOENT);
	assert_int_equal(bh_store_put_version(s, &v, p, 3), 0);
	v = (struct bh_version){.number = 2,
		.sha256 = (char *)"bb",
		.at = 6,
		.cause = (char *)"apply",
		.user = (char *)"root",
		.by_user = true,
		.uid = UINT32_MAX,
		.pid = 77,
		.comment = (char *)"why; 'quoted'",
		.policies = 4};
	assert_int_equal(bh_store_put_version(s, &v, p, 1), 0);
	assert_int_equal(bh_store_put_version(s, &v, p, 2), 0); /* replaces */
	bh_store_close(s);
	s = open_store(0);
	assert_int_equal(bh_store_get_version(s, 1, &got), 0);
	assert_false(got.by_user);
	assert_string_equal(got.user, "directory");
	bh_version_finish(&got);
	assert_int_equal(bh_store_get_version(s, 2, &got), 0);
	assert_true(got.number == 2 && got.at == 6 && got.by_user && got.policies == 4);
	assert_true(got.uid == UINT32_MAX && got.pid == 77);
	assert_string_equal(got.sha256, "bb");
	assert_string_equal(got.cause, "apply");
	assert_string_equal(got.comment, "why; 'quoted'");
	bh_version_finish(&got);
	expect_files(s, 1, "z.yaml:one a.yaml:two b: ");
	expect_files(s, 2, "z.yaml:one a.yaml:two ");
	expect_files(s, 3, "");
	bh_store_close(s);
	assert_int_equal(count_rows("SELECT count(*) FROM policy_text"), 3); /* shared */
}

static void on_version(const struct bh_version *v, void *arg)
{
	bh_buf_printf(arg, "%llu ", (unsigned long long)v->number);
}

static void test_versions_change(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	struct bh_policy_source p[] = {{"a", "one", 3}, {"b", "two", 3}, {"c", "three", 5}};
	struct bh_version v = {.number = 1}, got = {0};
	struct bh_buf bh_autobuf list = {0};

	assert_int_equal(bh_store_put_version(s, &v, p, 2), 0);
	v.number = 2;
	assert_int_equal(bh_store_put_version(s, &v, p, 1), 0);
	assert_int_equal(bh_store_put_version_files(s, 2, &p[2], 1), 0);
	expect_files(s, 2, "c:three ");
	assert_int_equal(bh_store_list_versions(s, on_version, &list), 0);
	assert_string_equal(list.s, "2 1 ");
	assert_int_equal(bh_store_drop_version(s, 1), 0);
	assert_int_equal(bh_store_get_version(s, 1, &got), -ENOENT);
	expect_files(s, 2, "c:three ");
	bh_store_close(s);
	/* what nobody has any more is gone */
	assert_int_equal(count_rows("SELECT count(*) FROM policy_text"), 1);
	assert_int_equal(count_rows("SELECT count(*) FROM version_file"), 1);
}

static void test_versions_are_bounded(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	struct bh_version got = {0};
	char text[32];

	for (unsigned i = 1; i <= BH_VERSIONS_KEPT + 5; i++) {
		struct bh_policy_source p = {"f", text, 0};
		struct bh_version v = {.number = i};
		p.len = (size_t)snprintf(text, sizeof(text), "text %u", i);
		assert_int_equal(bh_store_put_version(s, &v, &p, 1), 0);
	}
	assert_int_equal(bh_store_get_version(s, 5, &got), -ENOENT);
	expect_files(s, 5, "");
	assert_int_equal(bh_store_get_version(s, 6, &got), 0);
	bh_version_finish(&got);
	expect_files(s, 6, "f:text 6 ");
	expect_files(s, BH_VERSIONS_KEPT + 5, "f:text 205 ");
	bh_store_close(s);
	assert_int_equal(count_rows("SELECT count(*) FROM version"), BH_VERSIONS_KEPT);
	assert_int_equal(count_rows("SELECT count(*) FROM policy_text"), BH_VERSIONS_KEPT);
}

/* A database of before versions were kept: what was in force last is the first of them. Its flows
 * stay, and can be found by their addresses. */
static void test_older_schema(void **state BH_UNUSED)
{
	struct bh_version got = {0};
	struct bh_buf bh_autobuf modes = {0};
	bh_store_close(open_store(0));
	run_sql("DROP TABLE version; DROP TABLE version_file; DROP TABLE policy_text;"
		"DROP TABLE quarantine; DROP TABLE role; DROP TABLE mode; DROP TABLE name;"
		"DROP TABLE flow_fold; ALTER TABLE tuple DROP COLUMN folded;"
		"ALTER TABLE tuple DROP COLUMN span;"
		"ALTER TABLE tuple DROP COLUMN answered_at;"
		"ALTER TABLE tuple DROP COLUMN review; ALTER TABLE tuple DROP COLUMN widened;"
		"ALTER TABLE tuple DROP COLUMN ended; ALTER TABLE tuple DROP COLUMN packets_out;"
		"ALTER TABLE tuple DROP COLUMN packets_back; ALTER TABLE tuple DROP COLUMN "
		"bytes_out;"
		"ALTER TABLE tuple DROP COLUMN bytes_back; ALTER TABLE tuple DROP COLUMN duration;"
		"INSERT INTO tuple VALUES ('host>host>6/22/0', 'host', 'host', 6, 22, 0, 1, 1, 1,"
		" 3, 9, 2, ''), ('host>host>6/23/0', 'host', 'host', 6, 23, 0, 1, 1, 0, 3, 9, 2,"
		" '');"
		"CREATE TABLE mode (scope TEXT PRIMARY KEY, mode TEXT NOT NULL,"
		" set_at INTEGER NOT NULL, uid INTEGER NOT NULL);"
		"INSERT INTO mode VALUES ('shop', 'audit', 4, 1000);"
		"DROP TABLE stay; DROP TABLE stay_addr; DROP TABLE stay_other; DROP TABLE flow;"
		"CREATE TABLE flow (seq INTEGER PRIMARY KEY, src TEXT NOT NULL, dst TEXT NOT NULL,"
		" proto INTEGER NOT NULL, port INTEGER NOT NULL, verdict TEXT NOT NULL,"
		" reason TEXT NOT NULL, rule TEXT NOT NULL, mode TEXT NOT NULL,"
		" src_addr TEXT NOT NULL, dst_addr TEXT NOT NULL, src_id TEXT, dst_id TEXT,"
		" first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, count INTEGER NOT NULL,"
		" UNIQUE (src, dst, proto, port, verdict, reason, rule));"
		"INSERT INTO flow VALUES (7, 'shop/web', '203.0.113.9', 6, 443, 'allow', 'policy',"
		" '', 'enforce', '10.0.0.2', '203.0.113.9', 'abc', NULL, 100, 200, 42);"
		"CREATE TABLE policy (position INTEGER PRIMARY KEY, file TEXT NOT NULL,"
		" text BLOB NOT NULL);"
		"CREATE TABLE policy_hash (one INTEGER PRIMARY KEY CHECK (one = 1),"
		" sha256 TEXT NOT NULL);"
		"INSERT INTO policy VALUES (0, '/etc/a.yaml', 'one'), (1, '/etc/b.yaml', 'two');"
		"INSERT INTO policy_hash VALUES (1, 'abc');"
		"INSERT INTO value VALUES ('policy_generation', 7);"
		"PRAGMA user_version = 1");
	struct bh_store *s = open_store(0);
	assert_int_equal(bh_store_get_version(s, 7, &got), 0);
	assert_string_equal(got.sha256, "abc");
	assert_true(got.policies == 2 && got.at == 0);
	bh_version_finish(&got);
	expect_files(s, 7, "/etc/a.yaml:one /etc/b.yaml:two ");
	assert_int_equal(bh_store_load_modes(s, keep_mode, &modes), 0);
	assert_string_equal(modes.s, "[shop]=audit@4/1000 ");
	assert_int_equal(count_rows("SELECT count(*) FROM tuple WHERE answered_at = 3"), 1);
	assert_int_equal(count_rows("SELECT count(*) FROM tuple WHERE answered_at = 0"), 1);
	/* and nothing of it is in the way of the next */
	struct bh_policy_source p[] = {{"a", "one", 3}, {"c", "new", 3}};
	struct bh_version v = {.number = 8};
	assert_int_equal(bh_store_put_version(s, &v, p, 2), 0);
	expect_files(s, 8, "a:one c:new ");
	expect_files(s, 7, "/etc/a.yaml:one /etc/b.yaml:two ");
	struct bh_prefix net;
	struct rows x = {0};
	assert_int_equal(bh_prefix_parse("203.0.113.0/24", &net), 0);
	const struct bh_range r = bh_prefix_range(&net);
	assert_int_equal(bh_store_flows_of_range(s, BH_FLOW_DST, &r, 10, keep_row, &x), 0);
	assert_int_equal(x.n, 1);
	assert_true(x.seq[0] == 7 && x.count[0] == 42 && x.port[0] == 443);
	bh_store_close(s);
}

static void keep_addr(const struct bh_addr *a, void *arg)
{
	char text[BH_ADDR_STRLEN];
	bh_buf_printf(arg, "%s ", bh_addr_format(a, text));
}

/* Each once, and none of an end that has no address. */
static void test_flow_addresses(void **state BH_UNUSED)
{
	static const char *const dst[] = {
		"203.0.113.9", "2001:db8::9", NULL, "192.0.2.7", "203.0.113.9"};
	struct bh_store *s = open_store(0);
	struct bh_buf got = {0};
	for (size_t i = 0; i < BH_ARRAY_SIZE(dst); i++) {
		struct bh_flow_row r = {.src = (char *)"shop/a",
			.dst = (char *)"x",
			.src_addr = (char *)"10.0.0.2",
			.dst_addr = (char *)dst[i],
			.proto = BH_TCP,
			.port = (uint16_t)(i + 1),
			.verdict = (char *)"allow",
			.reason = (char *)"r",
			.mode = (char *)"learn",
			.count = 1};
		assert_int_equal(bh_store_add_flow(s, &r, 100), 0);
	}
	assert_int_equal(bh_store_list_flow_addrs(s, BH_FLOW_DST, keep_addr, &got), 0);
	assert_string_equal(got.s, "192.0.2.7 203.0.113.9 2001:db8::9 ");
	got.len = 0;
	assert_int_equal(bh_store_list_flow_addrs(s, BH_FLOW_SRC, keep_addr, &got), 0);
	assert_string_equal(got.s, "10.0.0.2 ");
	bh_buf_finish(&got);
	bh_store_close(s);
}

static void test_permissions(void **state BH_UNUSED)
{
	struct stat st;
	struct bh_store *s;
	char bh_autofree *deep = path_of("a/b");
	assert_int_equal(bh_store_open(deep, &s), 0);
	assert_int_equal(bh_store_put_u64(s, "x", 1), 0);
	assert_int_equal(bh_store_commit(s), 0);
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	static const char *const name[] = {
		"a/b/bulkhead.db", "a/b/bulkhead.db-wal", "a/b/bulkhead.db-shm"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(name); i++) {
		char bh_autofree *path = path_of(name[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	bh_store_close(s);
}

static void write_file(const char *name, const char *text, size_t len)
{
	char bh_autofree *path = path_of(name);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

static void test_symlink_is_refused(void **state BH_UNUSED)
{
	struct bh_store *s = NULL;
	char bh_autofree *path = path_of("bulkhead.db"), bh_autofree *target = path_of("target");
	write_file("target", "", 0);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(bh_store_open(dir, &s), -ELOOP);
	assert_null(s);
}

static void test_no_database(void **state BH_UNUSED)
{
	struct stat st;
	char bh_autofree *aside = path_of("bulkhead.db.corrupt-1");
	char bh_autofree *second = path_of("bulkhead.db.corrupt-2");
	for (int i = 0; i < 2; i++) {
		write_file(
			"bulkhead.db", "this is not a database, but long enough to be one\n", 50);
		struct bh_store *s = open_store(1);
		assert_int_equal(bh_store_put_u64(s, "x", 1), 0);
		assert_int_equal(bh_store_commit(s), 0);
		bh_store_close(s);
	}
	assert_int_equal(stat(aside, &st), 0);
	assert_int_equal(st.st_size, 50);
	assert_int_equal(stat(second, &st), 0);
	bh_store_close(open_store(0));
}

/* What was decided by command survives the database, whatever happens to that; else not. */
static void decide(struct bh_store *s, const char *scope)
{
	const struct bh_mode_row m = {.scope = (char *)scope, .mode = BH_MODE_ENFORCE, .uid = 7};
	struct bh_quarantine_row q = {
		.namespace = (char *)"shop", .name = (char *)"web", .id = (char *)"i"};
	assert_int_equal(bh_store_put_mode(s, &m), 0);
	assert_int_equal(bh_store_put_quarantine(s, &q), 0);
	assert_int_equal(bh_store_commit(s), 0);
}

static void count_mode(const struct bh_mode_row *m, void *arg)
{
	assert_int_equal(m->mode, BH_MODE_ENFORCE);
	++*(int *)arg;
}

static void count_quarantine(const struct bh_quarantine_row *q, void *arg)
{
	assert_string_equal(q->name, "web");
	++*(int *)arg;
}

static void assert_decided(struct bh_store *s, int modes, int quarantines)
{
	int n[2] = {0, 0};
	assert_int_equal(bh_store_kept(s), 0);
	assert_int_equal(bh_store_load_modes(s, count_mode, &n[0]), 0);
	assert_int_equal(bh_store_load_quarantine(s, count_quarantine, &n[1]), 0);
	assert_int_equal(n[0], modes);
	assert_int_equal(n[1], quarantines);
}

static void test_decisions_are_kept_twice(void **state BH_UNUSED)
{
	char bh_autofree *db = path_of("bulkhead.db"),
			 bh_autofree *wal = path_of("bulkhead.db-wal");
	char bh_autofree *keep = path_of("bulkhead.keep");
	struct bh_store *s = open_store(0);
	struct stat st;
	assert_int_equal(stat(keep, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	decide(s, "");
	decide(s, "namespace shop");
	bh_store_close(s);
	for (int how = 0; how < 3; how++) {
		unlink(wal);
		if (how == 0)
			write_file("bulkhead.db", "garbage garbage", 15);
		else if (how == 1)
			write_file("bulkhead.db", "", 0);
		else
			assert_int_equal(unlink(db), 0);
		s = open_store(1);
		assert_true(bh_store_restored(s));
		assert_decided(s, 2, 1);
		bh_store_close(s);
	}
	/* An older one, as without its write-ahead log. */
	char bh_autofree *copy = bh_xasprintf("cp '%s' '%s.old'", db, db);
	char bh_autofree *back = bh_xasprintf("mv '%s.old' '%s'", db, db);
	assert_int_equal(system(copy), 0);
	s = open_store(0);
	decide(s, "namespace late");
	bh_store_close(s);
	assert_int_equal(system(back), 0);
	s = open_store(1);
	assert_true(bh_store_restored(s));
	assert_decided(s, 3, 1);
	assert_int_equal(bh_store_drop_mode(s, "namespace late"), 0);
	bh_store_close(s);
	/* What was taken back does not come again; what was not committed was never decided. */
	s = open_store(0);
	assert_false(bh_store_restored(s));
	assert_int_equal(bh_store_drop_mode(s, ""), 0);
	assert_int_equal(bh_store_drop_quarantine(s, "shop", "web"), 0);
	assert_int_equal(bh_store_commit(s), 0);
	bh_store_close(s);
	write_file("bulkhead.db", "garbage garbage", 15);
	s = open_store(1);
	assert_decided(s, 1, 0);
	bh_store_close(s);
	/* A copy that is none is made anew from the database. */
	write_file("bulkhead.keep", "garbage garbage", 15);
	s = open_store(0);
	assert_decided(s, 1, 0);
	bh_store_close(s);
	/* Both gone: the daemon starts all the same. */
	write_file("bulkhead.db", "garbage garbage", 15);
	write_file("bulkhead.keep", "garbage garbage", 15);
	s = open_store(1);
	assert_false(bh_store_restored(s));
	assert_decided(s, 0, 0);
	bh_store_close(s);
	/* A link is not followed, and no reason not to start. */
	assert_int_equal(unlink(keep), 0);
	assert_int_equal(symlink("/nonexistent/x", keep), 0);
	s = open_store(0);
	assert_int_equal(bh_store_kept(s), -ELOOP);
	decide(s, "");
	bh_store_close(s);
}

static void test_set_aside_is_bounded(void **state BH_UNUSED)
{
	for (int i = 0; i < 12; i++) {
		write_file("bulkhead.db", "garbage garbage", 15);
		bh_store_close(open_store(1));
	}
	struct stat st;
	char bh_autofree *last = path_of("bulkhead.db.corrupt-9");
	char bh_autofree *beyond = path_of("bulkhead.db.corrupt-10");
	assert_int_equal(stat(last, &st), 0);
	assert_int_equal(stat(beyond, &st), -1);
}

/* Pages in the middle overwritten: the header is fine, the content is not. */
static void test_damaged_pages(void **state BH_UNUSED)
{
	struct bh_store *s = open_store(0);
	for (uint16_t port = 1; port <= 2000; port++) {
		struct bh_tuple t = sample_tuple(port);
		assert_int_equal(bh_store_put_tuple(s, &t), 0);
		bh_tuple_finish(&t);
	}
	bh_store_close(s);
	char bh_autofree *path = path_of("bulkhead.db");
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	char junk[4096];
	memset(junk, 0x5a, sizeof(junk));
	for (off_t at = 4096 * 10; at < 4096 * 40; at += 4096)
		assert_int_equal(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
	close(fd);
	s = open_store(1);
	assert_int_equal(count_tuples(s), 0);
	bh_store_close(s);
}

static void test_foreign_and_newer(void **state BH_UNUSED)
{
	struct bh_store *s = NULL;
	bh_store_close(open_store(0));
	run_sql("PRAGMA user_version = 99");
	assert_int_equal(bh_store_open(dir, &s), -EPROTONOSUPPORT);
	assert_null(s);
	run_sql("PRAGMA user_version = 1; DROP TABLE mode");
	bh_store_close(open_store(1)); /* claims our schema and has not got it */
	run_sql("PRAGMA user_version = 0");
	bh_store_close(open_store(1)); /* tables there, version gone */
	bh_store_close(open_store(0));
}

static void test_crash_keeps_commits(void **state BH_UNUSED)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct bh_store *s;
		if (bh_store_open(dir, &s) == 0 && bh_store_put_u64(s, "kept", 1) == 0 &&
			bh_store_commit(s) == 0 && bh_store_put_u64(s, "lost", 1) == 0)
			raise(SIGKILL);
		_exit(1);
	}
	int status;
	uint64_t v;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	struct bh_store *s = open_store(0);
	assert_int_equal(bh_store_get_u64(s, "kept", &v), 0);
	assert_int_equal(bh_store_get_u64(s, "lost", &v), -ENOENT);
	bh_store_close(s);
}

/* Puts big texts until there is no room. Each is committed: what commit acknowledged counts. */
static int fill(struct bh_store *s, unsigned *ret_acknowledged)
{
	static char text[64][32768];
	int r = 0;
	for (unsigned i = 0; i < 1000 && r == 0; i++) {
		struct bh_policy_source src[64];
		size_t n = i % 64 + 1;
		for (size_t k = 0; k < n; k++) { /* no two alike: those would be kept once */
			memset(text[k], 'x', sizeof(text[k]));
			snprintf(text[k], sizeof(text[k]), "%u.%zu", i, k);
			src[k] = (struct bh_policy_source){"f", text[k], sizeof(text[k])};
		}
		r = bh_store_put_u64(s, "round", i);
		if (r == 0)
			r = bh_store_put_version(s, &(struct bh_version){.number = 1}, src, n);
		int c = bh_store_commit(s);
		if (r == 0)
			r = c;
		if (r == 0)
			*ret_acknowledged = i;
	}
	return r;
}

static int check_full(unsigned acknowledged, struct bh_store *s, int r)
{
	uint64_t v = 0;
	if (r != -ENOSPC)
		return 10;
	if (!strstr(bh_store_message(s), "the disk is full"))
		return 11;
	if (bh_store_get_u64(s, "round", &v) != 0 || v != acknowledged)
		return 12;
	return 0;
}

/* On a tmpfs of one megabyte, in a mount namespace of its own. Exit status: 0, 77 = cannot. */
static int full_tmpfs(void)
{
	struct bh_store *s;
	unsigned acknowledged = 0;
	uint64_t v = 0;
	char bh_autofree *ballast = path_of("ballast");
	char junk[200000] = "";

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("bh-test", dir, "tmpfs", 0, "size=1m") < 0)
		return 77;
	int fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, junk, sizeof(junk)) != sizeof(junk) || close(fd) < 0)
		return 1;
	if (bh_store_open(dir, &s) != 0)
		return 2;
	int r = fill(s, &acknowledged);
	r = check_full(acknowledged, s, r);
	if (r)
		return r;
	/* Still full: small things may or may not fit, but never lie. */
	unlink(ballast);
	if (bh_store_put_u64(s, "later", 42) != 0 || bh_store_commit(s) != 0)
		return 3;
	bh_store_close(s);
	if (bh_store_open(dir, &s) != 0)
		return 4;
	if (bh_store_get_u64(s, "later", &v) != 0 || v != 42)
		return 5;
	if (bh_store_get_u64(s, "round", &v) != 0 || v != acknowledged)
		return 6;
	bh_store_close(s);
	return 0;
}

static int full_by_limit(void)
{
	struct rlimit limit = {600000, 600000};
	struct bh_store *s;
	unsigned acknowledged = 0;
	signal(SIGXFSZ, SIG_IGN);
	if (bh_store_open(dir, &s) != 0 || setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return 1;
	int r = fill(s, &acknowledged);
	return check_full(acknowledged, s, r);
}

static int in_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_full_disk(void **state BH_UNUSED)
{
	int r = in_child(full_tmpfs);
	if (r == 77)
		skip();
	assert_int_equal(r, 0);
}

static void test_file_size_limit(void **state BH_UNUSED)
{
	assert_int_equal(in_child(full_by_limit), 0);
	uint64_t v;
	struct bh_store *s = open_store(0); /* and without the limit all is well again */
	assert_int_equal(bh_store_get_u64(s, "round", &v), 0);
	assert_int_equal(bh_store_put_u64(s, "round", 1), 0);
	assert_int_equal(bh_store_commit(s), 0);
	bh_store_close(s);
}

/* A put that was told "fine" and then went with its transaction: commit must say so, once, and
 * until then nothing else may pass for a whole transaction. */
static int sticky_failure(void)
{
	struct rlimit limit = {400000, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
	struct bh_store *s;
	uint64_t v;
	char *text = bh_xcalloc(1, 8000000);
	memset(text, 'x', 7999999);
	struct bh_policy_source big = {"f", text, 7999999};
	signal(SIGXFSZ, SIG_IGN);
	if (bh_store_open(dir, &s) != 0 || setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return 1;
	if (bh_store_put_u64(s, "early", 1) != 0)
		return 2;
	/* spills out of the page cache */
	int r = bh_store_put_version(s, &(struct bh_version){.number = 1}, &big, 1);
	if (r != -ENOSPC)
		return 3;
	if (setrlimit(RLIMIT_FSIZE, &none) < 0)
		return 4;
	if (bh_store_put_u64(s, "late", 1) != -ENOSPC)
		return 5;
	if (!strstr(bh_store_message(s), "not kept"))
		return 6;
	if (bh_store_commit(s) != -ENOSPC || bh_store_commit(s) != 0)
		return 7;
	if (bh_store_get_u64(s, "early", &v) != -ENOENT)
		return 8;
	if (bh_store_put_u64(s, "late", 1) != 0 || bh_store_commit(s) != 0)
		return 9;
	bh_store_close(s);
	free(text);
	return 0;
}

static void test_lost_transaction_is_reported(void **state BH_UNUSED)
{
	assert_int_equal(in_child(sticky_failure), 0);
}

static void test_reader_does_not_block(void **state BH_UNUSED)
{
	sqlite3 *db;
	sqlite3_stmt *st;
	struct bh_store *s = open_store(0);
	char bh_autofree *path = path_of("bulkhead.db");
	assert_int_equal(bh_store_put_u64(s, "x", 1), 0);
	assert_int_equal(bh_store_commit(s), 0);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT * FROM value", -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_int_equal(bh_store_put_u64(s, "x", 2), 0);
	assert_int_equal(bh_store_commit(s), 0);
	sqlite3_finalize(st);
	/* A writer does: the put fails, nothing is half done, and later it works. */
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(bh_store_put_u64(s, "x", 3), -EBUSY);
	assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(bh_store_put_u64(s, "x", 4), 0);
	assert_int_equal(bh_store_commit(s), 0);
	sqlite3_close(db);
	bh_store_close(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tuples_survive),
		TEST(test_edited_tuples_are_left_out),
		TEST(test_flows_aggregate_and_page),
		TEST(test_flows_add_their_volume),
		TEST(test_flows_are_bounded),
		TEST(test_flows_are_put_together),
		TEST(test_quarantine),
		TEST(test_roles),
		TEST(test_review_of_a_tuple),
		TEST(test_state),
		TEST(test_versions),
		TEST(test_versions_change),
		TEST(test_versions_are_bounded),
		TEST(test_older_schema),
		TEST(test_flow_addresses),
		TEST(test_permissions),
		TEST(test_symlink_is_refused),
		TEST(test_no_database),
		TEST(test_decisions_are_kept_twice),
		TEST(test_set_aside_is_bounded),
		TEST(test_damaged_pages),
		TEST(test_foreign_and_newer),
		TEST(test_crash_keeps_commits),
		TEST(test_full_disk),
		TEST(test_file_size_limit),
		TEST(test_lost_transaction_is_reported),
		TEST(test_reader_does_not_block),
	};
	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
