/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/store_dir.h"

#include <errno.h>
#include <sqlite3.h>

char dir[64];

int setup(void **state BH_UNUSED)
{
	strcpy(dir, "/tmp/bh-store-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

int teardown(void **state BH_UNUSED)
{
	char bh_autofree *cmd = bh_xasprintf("rm -rf '%s'", dir);
	return system(cmd) == 0 ? 0 : -1;
}

char *path_of(const char *name)
{
	return bh_xasprintf("%s/%s", dir, name);
}

struct bh_store *open_store(int expect)
{
	struct bh_store *s = NULL;
	assert_int_equal(bh_store_open(dir, &s), expect);
	assert_non_null(s);
	return s;
}

struct bh_tuple sample_tuple(uint16_t port)
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

void check_tuple(const struct bh_tuple *t, void *arg)
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

size_t count_tuples(struct bh_store *s)
{
	struct tuples x = {0};
	assert_int_equal(bh_store_load_tuples(s, check_tuple, &x), 0);
	return x.n;
}

void run_sql(const char *sql)
{
	sqlite3 *db;
	char bh_autofree *path = path_of("bulkhead.db");
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

struct bh_flow_row flow(const char *dst, uint16_t port, const char *rule)
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

void keep_row(const struct bh_flow_row *r, void *arg)
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

struct rows list(struct bh_store *s, uint64_t since, size_t limit)
{
	struct rows x = {0};
	assert_int_equal(bh_store_list_flows(s, since, limit, keep_row, &x), 0);
	return x;
}

void keep_mode(const struct bh_mode_row *m, void *arg)
{
	struct bh_buf *b = arg;
	bh_buf_printf(b, "[%s]=%s@%lld/%u ", m->scope, bh_mode_name(m->mode), (long long)m->set_at,
		m->uid);
	if (m->until)
		bh_buf_printf(b, "until %lld then %s ", (long long)m->until,
			m->has_back ? bh_mode_name(m->back) : "-");
}
