/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of the netlink code share: short ways to say a ruleset, and nft itself as the
 * judge of what was installed. Everything happens in a network namespace of the program's own.
 */
#pragma once

#include <nft/nft.h>

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stddef.h>
#include <sys/socket.h>

#include "../netns.h"

#include <cmocka.h>

#define PRIO_FORWARD (-10)

static struct bh_nft *nft;

static inline char *run(const char *cmd, int *ret_status)
{
	bh_autobuf struct bh_buf out = {0};
	char chunk[4096];
	size_t n;
	FILE *p = popen(cmd, "r");
	assert_non_null(p);
	while ((n = fread(chunk, 1, sizeof(chunk), p)) > 0)
		bh_buf_add(&out, chunk, n);
	int status = pclose(p);
	if (ret_status)
		*ret_status = status;
	return bh_buf_take(&out);
}

static inline void must(const char *cmd)
{
	int status;
	bh_autofree char *out = run(cmd, &status);
	if (status)
		fail_msg("%s: %s", cmd, out);
}

static inline char *list(void)
{
	return run("nft -s list table inet " BH_TABLE " 2>&1", NULL);
}

static inline char *list_bridge(void)
{
	return run("nft -s list table bridge " BH_TABLE " 2>&1", NULL);
}

static inline struct bh_addr addr(const char *text)
{
	struct bh_addr a;
	assert_int_equal(bh_addr_parse(text, &a), 0);
	return a;
}

static inline void add_elem(
	struct bh_set *s, const char *key, const char *key2, const char *chain, const char *comment)
{
	struct bh_addr a = addr(key), b = {0};
	if (key2)
		b = addr(key2);
	bh_set_add(s, &a, key2 ? &b : NULL, chain, comment);
}

static inline struct bh_match *match(struct bh_rule *r, enum bh_match_kind kind)
{
	return bh_rule_match(r, kind);
}

static inline void match_set(
	struct bh_rule *r, enum bh_match_kind kind, uint8_t family, const char *set)
{
	struct bh_match *m = match(r, kind);
	m->family = family;
	m->set = bh_xstrdup(set);
}

static inline void match_ports(struct bh_rule *r, enum bh_match_kind kind, uint8_t proto, size_t n,
	const struct bh_port_range *port)
{
	struct bh_match *m = match(r, kind);
	m->proto = proto;
	m->port = bh_xmemdup(port, n * sizeof(*port));
	m->n_ports = n;
}

static inline void match_prefix(struct bh_rule *r, enum bh_match_kind kind, const char *text)
{
	struct bh_match *m = match(r, kind);
	assert_int_equal(bh_prefix_parse(text, &m->prefix), 0);
	m->family = m->prefix.addr.family;
}

static inline struct bh_rule *rule(struct bh_chain *c, enum bh_action action, const char *comment)
{
	struct bh_rule *r = bh_chain_add(c, comment);
	r->action = action;
	return r;
}

static inline void jump(struct bh_chain *c, enum bh_action action, const char *target)
{
	rule(c, action, NULL)->target = bh_xstrdup(target);
}

static inline void add_vmap(
	struct bh_chain *c, enum bh_action action, uint8_t family, const char *map)
{
	struct bh_rule *r = rule(c, action, NULL);
	r->family = family;
	r->target = bh_xstrdup(map);
}

static inline void rebuild(const struct bh_ruleset *rs)
{
	struct bh_nft_error e;
	int rc = bh_nft_rebuild(nft, rs, &e);
	if (rc < 0)
		fail_msg("%s: %s (%s)", e.object, strerror(-rc), e.kernel);
}

static inline void apply(const struct bh_ruleset *from, const struct bh_ruleset *to)
{
	struct bh_nft_error e;
	struct bh_diff d;
	bh_ruleset_diff(from, to, &d);
	int rc = bh_nft_apply(nft, &d, &e);
	bh_diff_finish(&d);
	if (rc < 0)
		fail_msg("%s: %s (%s)", e.object, strerror(-rc), e.kernel);
}

/* Compares line by line, to show where they differ. */
static inline void assert_text(const char *have, const char *want)
{
	size_t line = 1, begin = 0;
	for (size_t i = 0; have[i] == want[i]; i++) {
		if (!have[i])
			return;
		if (have[i] == '\n') {
			line++;
			begin = i + 1;
		}
	}
	fail_msg("line %zu: have \"%.*s\", want \"%.*s\"", line, (int)strcspn(have + begin, "\n"),
		have + begin, (int)strcspn(want + begin, "\n"), want + begin);
}

static inline int block_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The blocks of a table in alphabetical order: nft lists them in the order of their creation. */
static inline char *sorted(const char *text)
{
	char *block[64];
	size_t n = 0;
	bh_autobuf struct bh_buf out = {0};
	bh_autofree char *copy = bh_xstrdup(text);
	char *p = strchr(copy, '\n'), *end = strrchr(copy, '}');
	if (!p || !end)
		return bh_xstrdup(text);
	*end = '\0';
	for (p++; p && n < BH_ARRAY_SIZE(block); n++) {
		block[n] = p;
		p = strstr(p, "\n\n");
		if (p) {
			p[1] = '\0';
			p += 2;
		}
	}
	qsort(block, n, sizeof(*block), block_cmp);
	for (size_t i = 0; i < n; i++)
		bh_buf_printf(&out, "%s\n", block[i]);
	return bh_buf_take(&out);
}

static inline char *sorted_lines(const char *text)
{
	char *line[64];
	size_t n = 0;
	bh_autobuf struct bh_buf out = {0};
	bh_autofree char *copy = bh_xstrdup(text);
	for (char *p = strtok(copy, "\n"); p && n < BH_ARRAY_SIZE(line); p = strtok(NULL, "\n"))
		line[n++] = p;
	qsort(line, n, sizeof(*line), block_cmp);
	for (size_t i = 0; i < n; i++)
		bh_buf_printf(&out, "%s\n", line[i]);
	return bh_buf_take(&out);
}

static inline void assert_listed(const struct bh_ruleset *rs)
{
	bh_autobuf struct bh_buf want = {0};
	bh_autofree char *have = list();
	bh_ruleset_print(rs, &want);
	bh_autofree char *a = sorted(have), *b = sorted(want.s);
	assert_text(a, b);
}

static inline struct bh_addr nth(uint32_t i, uint32_t base)
{
	i += base;
	uint8_t b[4] = {(uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
	return bh_addr_from_bytes(BH_IPV4, b);
}

static inline struct bh_chain *find_chain(struct bh_ruleset *rs, const char *name)
{
	return (struct bh_chain *)bh_ruleset_find_chain(rs, name);
}

#define TEN 0x0a000000 /* 10.0.0.0 */

static inline int setup(void **state)
{
	(void)state;
	bh_ns_leave();
	return bh_nft_open(&nft);
}

static inline int teardown(void **state)
{
	(void)state;
	bh_nft_close(nft);
	return 0;
}

static inline int clean(void **state)
{
	(void)state;
	must("nft flush ruleset");
	return 0;
}
