/* SPDX-License-Identifier: GPL-3.0-or-later */
/* DNS messages, hostile ones too; which answers count; what bounds the names that are kept. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dns/dns.h"
#include "learn/names.h"

/* --- making messages --- */

struct msg {
	uint8_t b[2048];
	size_t n;
};

static void put(struct msg *m, const void *p, size_t n)
{
	assert_true(m->n + n <= sizeof(m->b));
	memcpy(m->b + m->n, p, n);
	m->n += n;
}

static void put16(struct msg *m, unsigned v)
{
	put(m, (const uint8_t[]){(uint8_t)(v >> 8), (uint8_t)v}, 2);
}

static void put_name(struct msg *m, const char *name)
{
	for (size_t n; *name; name += n + (name[n] == '.')) {
		n = strcspn(name, ".");
		uint8_t len = (uint8_t)n;
		put(m, &len, 1);
		put(m, name, n);
	}
	put(m, "", 1);
}

static struct msg question(
	uint16_t id, const char *name, uint16_t type, unsigned flags, unsigned answers)
{
	struct msg m = {.n = 0};
	put16(&m, id);
	put16(&m, flags);
	put16(&m, 1);
	put16(&m, answers);
	put16(&m, 0);
	put16(&m, 0);
	put_name(&m, name);
	put16(&m, type);
	put16(&m, 1);
	return m;
}

static void put_record(struct msg *m, uint16_t type, uint32_t ttl, const void *data, size_t n)
{
	put16(m, type);
	put16(m, 1);
	put16(m, ttl >> 16);
	put16(m, ttl & 0xffff);
	put16(m, (unsigned)n);
	put(m, data, n);
}

static const uint8_t a1[] = {203, 0, 113, 10}, a2[] = {203, 0, 113, 11};

static struct msg answer(uint16_t id, const char *name)
{
	struct msg m = question(id, name, 1, 0x8180, 2);
	put16(&m, 0xc00c); /* the question's name */
	put_record(&m, 1, 300, a1, 4);
	put_name(&m, name);
	put_record(&m, 1, 60, a2, 4);
	return m;
}

static int parse(const struct msg *m, struct bh_dns_message *ret)
{
	/* In memory of its own size, so that a sanitizer sees a read behind it. */
	uint8_t *copy = bh_xmemdup(m->b, m->n);
	int r = bh_dns_parse(copy, m->n, ret);
	free(copy);
	return r;
}

static const char *text(const struct bh_addr *a)
{
	static char buf[BH_ADDR_STRLEN];
	return bh_addr_format(a, buf);
}

/* --- messages --- */

static void test_answer(void **state BH_UNUSED)
{
	struct bh_dns_message r;
	struct msg m = answer(7, "API.Example.com");
	assert_int_equal(parse(&m, &r), 0);
	assert_int_equal(r.id, 7);
	assert_true(r.is_answer);
	assert_string_equal(r.name, "api.example.com");
	assert_int_equal(r.n_addrs, 2);
	assert_string_equal(text(&r.addr[1]), "203.0.113.11");
	assert_int_equal(r.ttl, 60);
	m = question(8, "x.example", 28, 0x0100, 0);
	assert_int_equal(parse(&m, &r), 0);
	assert_false(r.is_answer);
	assert_int_equal(r.type, 28);
}

/* The name that was asked for is what the address is called, not the last alias. */
static void test_aliases(void **state BH_UNUSED)
{
	struct bh_dns_message r;
	struct msg m = question(1, "www.example", 28, 0x8180, 4);
	static const uint8_t six[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 9};
	struct msg alias = {.n = 0};
	put_name(&m, "other.example"); /* somebody else's: not of our name */
	put_record(&m, 28, 5, six, 16);
	put_name(&alias, "edge.cdn.example");
	put16(&m, 0xc00c);
	put_record(&m, 5, 30, alias.b, alias.n);
	put_name(&m, "edge.cdn.example");
	put_record(&m, 28, 20, six, 16);
	put_name(&m, "edge.cdn.example"); /* not what was asked for */
	put_record(&m, 1, 20, a1, 4);
	assert_int_equal(parse(&m, &r), 0);
	assert_string_equal(r.name, "www.example");
	assert_int_equal(r.n_addrs, 1);
	assert_string_equal(text(&r.addr[0]), "2001:db8::9");
	assert_int_equal(r.ttl, 20);
	/* In whatever order; EDNS in the additional section is passed over. */
	m = question(1, "www.example", 1, 0x8180, 2);
	put_name(&m, "edge.cdn.example");
	put_record(&m, 1, 20, a1, 4);
	put16(&m, 0xc00c);
	put_record(&m, 5, 30, alias.b, alias.n);
	put(&m, "\0\0\x29\x04\xd0\0\0\0\0\0\0", 11);
	m.b[11] = 1;
	assert_int_equal(parse(&m, &r), 0);
	assert_int_equal(r.n_addrs, 1);
}

static void test_alias_loop(void **state BH_UNUSED)
{
	struct bh_dns_message r;
	struct msg m = question(1, "a.example", 1, 0x8180, 2);
	struct msg a = {.n = 0}, b = {.n = 0};
	put_name(&a, "a.example");
	put_name(&b, "b.example");
	put16(&m, 0xc00c);
	put_record(&m, 5, 30, b.b, b.n);
	put_name(&m, "b.example");
	put_record(&m, 5, 30, a.b, a.n);
	assert_int_equal(parse(&m, &r), 0);
	assert_int_equal(r.n_addrs, 0);
}

/* Cut off anywhere: what is whole counts, and nothing behind the end is read. */
static void test_truncated(void **state BH_UNUSED)
{
	struct bh_dns_message r;
	struct msg whole = answer(7, "api.example.com");
	size_t most = 0;
	for (size_t n = 0; n <= whole.n; n++) {
		struct msg m = whole;
		m.n = n;
		if (parse(&m, &r) < 0)
			continue;
		assert_true(r.n_addrs >= most);
		most = r.n_addrs;
	}
	assert_int_equal(most, 2);
}

static void test_refused(void **state BH_UNUSED)
{
	struct bh_dns_message r;
	struct msg good = answer(7, "api.example.com"), m = good;
	m.b[5] = 2; /* two questions */
	assert_int_equal(parse(&m, &r), -EBADMSG);
	m = good;
	m.b[2] |= 0x28; /* an update */
	assert_int_equal(parse(&m, &r), -EBADMSG);
	m = good;
	m.b[3] |= 3; /* no such name: no addresses, whatever follows */
	assert_int_equal(parse(&m, &r), 0);
	assert_int_equal(r.n_addrs, 0);
	static const char *const bad[] = {"a b.example", "a\033[31m.example", "a\n.example",
		"a\"b.example", "<b>.example", "\xc3\xa4.example", "a#b.example", "a/b"};
	for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
		m = answer(7, bad[i]);
		assert_int_equal(parse(&m, &r), -EBADMSG);
	}
	m = answer(7, ""); /* the root */
	assert_int_equal(parse(&m, &r), -EBADMSG);
}

static void test_hostile_names(void **state BH_UNUSED)
{
	struct bh_dns_message r;
	struct msg m = question(1, "", 1, 0x0100, 0);
	/* A pointer to itself, forwards, behind the end, and two that point at each other. */
	static const uint8_t pointer[][4] = {
		{0xc0, 12}, {0xc0, 14}, {0xff, 0xff}, {0xc0, 14, 0xc0, 12}};
	for (size_t i = 0; i < BH_ARRAY_SIZE(pointer); i++) {
		m.n = 12;
		put(&m, pointer[i], 4);
		put(&m, "\0\1\0\1", 4);
		assert_int_equal(parse(&m, &r), -EBADMSG);
	}
	m.n = 12;
	put(&m,
		"\x41"
		"a",
		2); /* 01: an extended label of RFC 2673 */
	put(&m, "\0\0\1\0\1", 5);
	assert_int_equal(parse(&m, &r), -EBADMSG);
	/* 253 bytes are a name, 255 are none. */
	for (int longer = 0; longer < 2; longer++) {
		char name[300];
		size_t n = 0;
		for (int i = 0; i < 3; i++, n += 64) {
			memset(name + n, 'a', 63);
			name[n + 63] = '.';
		}
		memset(name + n, 'b', 63);
		name[n + (longer ? 63 : 61)] = '\0';
		m = answer(1, name);
		assert_int_equal(parse(&m, &r), longer ? -EBADMSG : 0);
	}
	/* A chain of pointers, each to the one before, is cut after some. */
	m = question(1, "x.example", 1, 0x8180, 60);
	for (unsigned i = 0; i < 60; i++) {
		size_t at = m.n;
		put16(&m, i == 0 ? 0xc00c : 0xc000 | (unsigned)(at - 16));
		put_record(&m, 1, 9, a1, 4);
	}
	assert_int_equal(parse(&m, &r), 0);
	assert_in_range(r.n_addrs, 1, BH_DNS_ADDRS);
}

/* Every byte of a good answer replaced by some others: no crash, no endless loop. */
static void test_damaged(void **state BH_UNUSED)
{
	static const uint8_t with[] = {0, 1, 0x3f, 0x40, 0xc0, 0xff};
	struct bh_dns_message r;
	struct msg good = answer(7, "api.example.com");
	for (size_t at = 0; at < good.n; at++)
		for (size_t k = 0; k < BH_ARRAY_SIZE(with); k++) {
			struct msg m = good;
			m.b[at] = with[k];
			if (parse(&m, &r) == 0)
				assert_true(strlen(r.name) < BH_DNS_NAME_STRLEN);
		}
}

/* --- packets --- */

static struct {
	unsigned n;
	char asker[BH_ADDR_STRLEN], name[BH_DNS_NAME_STRLEN];
	size_t addrs;
} named;

static void on_named(const struct bh_addr *asker, const struct bh_dns_message *m, void *arg)
{
	assert_ptr_equal(arg, &named);
	named.n++;
	named.addrs = m->n_addrs;
	strcpy(named.name, m->name);
	bh_addr_format(asker, named.asker);
}

#define CLIENT 2
#define SERVER 53

static struct msg packet(bool tcp, uint8_t src, uint8_t dst, uint16_t sport, uint16_t dport,
	const void *payload, size_t n)
{
	struct msg p = {.n = 0};
	size_t head = tcp ? 20 : 8;
	put(&p, (const uint8_t[]){0x45, 0}, 2);
	put16(&p, (unsigned)(20 + head + n));
	put(&p, (const uint8_t[]){0, 1, 0, 0, 64, tcp ? 6 : 17, 0, 0, 10, 0, 0, src, 10, 0, 0, dst},
		16);
	put16(&p, sport);
	put16(&p, dport);
	if (tcp) {
		put(&p, (const uint8_t[]){0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0},
			16);
	} else {
		put16(&p, (unsigned)(8 + n));
		put16(&p, 0);
	}
	put(&p, payload, n);
	return p;
}

static void send(struct bh_dns *d, const struct msg *p, int64_t now)
{
	uint8_t *copy = bh_xmemdup(p->b, p->n);
	bh_dns_packet(d, copy, p->n, now);
	free(copy);
}

static void ask(struct bh_dns *d, uint16_t sport, uint16_t id, const char *name, int64_t now)
{
	struct msg m = question(id, name, 1, 0x0100, 0);
	struct msg p = packet(false, CLIENT, SERVER, sport, 53, m.b, m.n);
	send(d, &p, now);
}

static void reply(struct bh_dns *d, uint8_t server, uint16_t dport, uint16_t id, const char *name,
	int64_t now)
{
	struct msg m = answer(id, name);
	struct msg p = packet(false, server, CLIENT, 53, dport, m.b, m.n);
	send(d, &p, now);
}

static struct bh_dns *snoop(void)
{
	struct bh_dns_opts o = {.named = on_named, .arg = &named};
	memset(&named, 0, sizeof(named));
	return bh_dns_new(&o);
}

static void test_only_what_was_asked_for(void **state BH_UNUSED)
{
	struct bh_dns *d = snoop();
	const struct bh_dns_stats *s = bh_dns_get_stats(d);
	ask(d, 4000, 7, "api.example.com", 1000);
	/* Another server, port, number, name; and the right one, once. */
	reply(d, 99, 4000, 7, "api.example.com", 2000);
	reply(d, SERVER, 4001, 7, "api.example.com", 2000);
	reply(d, SERVER, 4000, 8, "api.example.com", 2000);
	reply(d, SERVER, 4000, 7, "bank.example.com", 2000);
	assert_int_equal(named.n, 0);
	reply(d, SERVER, 4000, 7, "api.example.com", 2000);
	assert_int_equal(named.n, 1);
	assert_string_equal(named.name, "api.example.com");
	assert_string_equal(named.asker, "10.0.0.2");
	assert_int_equal(named.addrs, 2);
	reply(d, SERVER, 4000, 7, "api.example.com", 3000);
	assert_int_equal(named.n, 1);
	assert_int_equal(s->answers, 1);
	assert_int_equal(s->unasked, 5);
	/* Too late. */
	ask(d, 4000, 9, "late.example", 1000);
	reply(d, SERVER, 4000, 9, "late.example", 1000 + BH_DNS_WAIT_US);
	assert_int_equal(named.n, 1);
	bh_dns_close(d);
}

static void test_many_questions_forget_the_oldest(void **state BH_UNUSED)
{
	struct bh_dns *d = snoop();
	for (unsigned i = 0; i < 200000; i++)
		ask(d, (uint16_t)(1024 + i % 60000), (uint16_t)i, "flood.example", 1000 + i);
	ask(d, 4000, 7, "api.example.com", 300000);
	reply(d, SERVER, 4000, 7, "api.example.com", 300001);
	assert_int_equal(named.n, 1);
	bh_dns_close(d);
}

static void test_tcp(void **state BH_UNUSED)
{
	struct bh_dns *d = snoop();
	for (int apart = 0; apart < 3; apart++) {
		struct msg q = question(7, "api.example.com", 1, 0x0100, 0),
			   a = answer(7, "api.example.com");
		struct msg with = {.n = 0}, p;
		put16(&with, (unsigned)q.n);
		put(&with, q.b, q.n);
		p = packet(true, CLIENT, SERVER, 4000, 53, with.b, with.n);
		send(d, &p, 1000);
		/* With its length, the length in a segment before, and the beginning alone. */
		with.n = 0;
		put16(&with, (unsigned)a.n);
		put(&with, a.b, apart == 2 ? a.n - 30 : a.n);
		if (apart == 1) {
			p = packet(true, SERVER, CLIENT, 53, 4000, with.b, 2);
			send(d, &p, 1000);
			p = packet(true, SERVER, CLIENT, 53, 4000, with.b + 2, with.n - 2);
		} else {
			p = packet(true, SERVER, CLIENT, 53, 4000, with.b, with.n);
		}
		send(d, &p, 1000);
		assert_int_equal(named.n, apart + 1);
		assert_int_equal(named.addrs, apart == 2 ? 1 : 2);
	}
	bh_dns_close(d);
}

static void test_packets_cut_anywhere(void **state BH_UNUSED)
{
	struct bh_dns *d = snoop();
	struct msg a = answer(7, "api.example.com");
	for (int tcp = 0; tcp < 2; tcp++) {
		struct msg p = packet(tcp, SERVER, CLIENT, 53, 4000, a.b, a.n);
		for (size_t n = 0; n <= p.n; n++) {
			struct msg cut = p;
			cut.n = n;
			send(d, &cut, 1000);
			cut.n = p.n;
			if (tcp && n < 256) {
				cut.b[32] = (uint8_t)n; /* data offset */
				send(d, &cut, 1000);
			}
		}
	}
	assert_int_equal(named.n, 0);
	bh_dns_close(d);
}

/* --- the names that are kept --- */

static char dir[64];
static struct bh_store *store;

static int setup(void **state BH_UNUSED)
{
	strcpy(dir, "/tmp/bh-names-XXXXXX");
	return mkdtemp(dir) && bh_store_open(dir, &store) == 0 ? 0 : -1;
}

static int teardown(void **state BH_UNUSED)
{
	char bh_autofree *cmd = bh_xasprintf("rm -rf '%s'", dir);
	bh_store_close(store);
	return system(cmd) == 0 ? 0 : -1;
}

static struct bh_end role(const char *app)
{
	struct bh_end e = {.kind = BH_END_ROLE, .namespace = bh_xstrdup("shop")};
	bh_labels_set(&e.selector, "app", app);
	return e;
}

static struct bh_addr address(unsigned n)
{
	return (struct bh_addr){
		.family = BH_IPV4, .b = {203, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
}

static struct bh_names *names(size_t max)
{
	struct bh_names *n;
	assert_int_equal(bh_names_new(store, max, &n), 0);
	return n;
}

static void expect(
	const struct bh_names *n, const struct bh_end *e, unsigned addr, const char *want)
{
	const char *name[BH_NAMES_PER_ADDR];
	struct bh_buf bh_autobuf b = {0};
	struct bh_addr a = address(addr);
	size_t k = bh_names_find(n, e, &a, name);
	bh_buf_str(&b, "");
	for (size_t i = 0; i < k; i++)
		bh_buf_printf(&b, "%s ", name[i]);
	assert_string_equal(b.s, want);
}

static void tell(
	struct bh_names *n, const struct bh_end *e, unsigned addr, const char *name, int64_t now)
{
	struct bh_addr a = address(addr);
	bh_names_add(n, e, &a, name, now);
}

static void test_names_are_a_roles_own_and_survive(void **state BH_UNUSED)
{
	struct bh_names *n = names(1000);
	struct bh_end web = role("web"), api = role("api");
	tell(n, &web, 1, "b.example", 1);
	tell(n, &web, 1, "a.example", 2);
	tell(n, &api, 1, "c.example", 3);
	expect(n, &web, 1, "a.example b.example ");
	expect(n, &api, 1, "c.example ");
	expect(n, &api, 2, "");
	assert_int_equal(bh_names_save(n), 0);
	bh_names_free(n);
	n = names(1000);
	expect(n, &web, 1, "a.example b.example ");
	/* At most four: the one that was told longest ago goes, from the disk too. */
	tell(n, &web, 1, "b.example", 4000000000);
	tell(n, &web, 1, "d.example", 5000000000);
	tell(n, &web, 1, "e.example", 6000000000);
	tell(n, &web, 1, "f.example", 7000000000);
	expect(n, &web, 1, "b.example d.example e.example f.example ");
	bh_names_forget(n, &api);
	assert_int_equal(bh_names_save(n), 0);
	bh_names_free(n);
	n = names(1000);
	expect(n, &web, 1, "b.example d.example e.example f.example ");
	expect(n, &api, 1, "");
	bh_names_free(n);
	bh_end_finish(&web);
	bh_end_finish(&api);
}

/* A role that is told any number of names takes its own share only, on disk too. */
static void test_names_are_bounded(void **state BH_UNUSED)
{
	struct bh_names *n = names(800);
	struct bh_end web = role("web"), bad = role("bad");
	char name[32];
	tell(n, &web, 1, "api.example.com", 1);
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "n%u.example", i);
		tell(n, &bad, i, name, 2 + i);
		if (i % 5000 == 0)
			assert_int_equal(bh_names_save(n), 0);
	}
	assert_int_equal(bh_names_count(n), 101);
	expect(n, &web, 1, "api.example.com ");
	expect(n, &bad, 19999, "n19999.example ");
	expect(n, &bad, 1, "");
	for (unsigned r = 0; r < 20; r++) { /* many roles: those that have the most give */
		snprintf(name, sizeof(name), "role%u", r);
		struct bh_end e = role(name);
		for (unsigned i = 0; i < 100; i++)
			tell(n, &e, i, "x.example", 100000 + r * 100 + i);
		bh_end_finish(&e);
	}
	assert_int_equal(bh_names_count(n), 800);
	expect(n, &web, 1, "api.example.com ");
	assert_int_equal(bh_names_save(n), 0);
	bh_names_free(n);
	n = names(800);
	assert_int_equal(bh_names_count(n), 800);
	bh_names_free(n);
	n = names(0); /* switched off */
	tell(n, &web, 5, "x.example", 1);
	expect(n, &web, 5, "");
	bh_names_free(n);
	bh_end_finish(&web);
	bh_end_finish(&bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_alias_loop),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_only_what_was_asked_for),
		cmocka_unit_test(test_many_questions_forget_the_oldest),
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_packets_cut_anywhere),
		cmocka_unit_test_setup_teardown(
			test_names_are_a_roles_own_and_survive, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_are_bounded, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
