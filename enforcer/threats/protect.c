/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the feeds do not decide: what is never listed (the node, its containers' subnets, gateways,
 * resolvers, the operator's allow list), and the end of exceptions.
 */
#include "threats/protect.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "answer/clock.h"
#include "audit/audit.h"
#include "core/state.h"
#include "feeds/feeds.h"
#include "revoke/revoke.h"

#define TEXT_MAX 65536 /* of a file under /proc, and of resolv.conf */
#define OTHERS_MAX 256 /* gateways and resolvers */
#define PROTECT_TICKS 10
#define RTF_GATEWAY 2u

/* --- exceptions that end --- */

/* One that ended since the last look: what it let live is cut. */
static void end_exceptions(struct bh_core *c)
{
	const struct bh_config_exceptions *list = &c->conf->feed_exceptions;
	int64_t now = bh_clock_now() / 1000000, before = c->exceptions_seen;
	c->exceptions_seen = now;
	for (size_t i = 0; before && i < list->n; i++) {
		const struct bh_feed_exception *x = &list->item[i];
		if (x->until <= before || x->until > now)
			continue;
		bh_audit_event(c->audit, "feed.exception", NULL,
			"an exception from the threat feeds has ended", NULL,
			json_pack("{s:s, s:s?, s:s}", "namespace", x->namespace, "feed", x->feed,
				"reason", x->reason));
		bh_core_revoke(c);
	}
}

/* --- what is never blocked --- */

/* A small file, NUL-terminated; NULL if it cannot be read. Files under /proc have no size. */
static char *read_small(const char *path)
{
	char bh_autofree *text = bh_xcalloc(TEXT_MAX + 1, 1);
	size_t n = 0;
	int bh_autoclose fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return NULL;
	for (ssize_t r = 1; r > 0 && n < TEXT_MAX; n += (size_t)(r > 0 ? r : 0))
		if ((r = read(fd, text + n, TEXT_MAX - n)) < 0)
			return NULL;
	return BH_TAKE_PTR(text);
}

static void add_one(struct bh_ranges *r, const struct bh_addr *a)
{
	if (r->n < OTHERS_MAX)
		bh_ranges_add(r, (struct bh_range){*a, *a});
}

void bh_core_parse_resolvers(const char *text, struct bh_ranges *r)
{
	char word[BH_ADDR_STRLEN + 1];
	struct bh_addr a;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "nameserver %46s", word) == 1 && bh_addr_parse(word, &a) == 0)
			add_one(r, &a);
	}
}

/* /proc/net/route: interface, destination, gateway, flags; numbers as they lie in memory. */
void bh_core_parse_routes4(const char *text, struct bh_ranges *r)
{
	unsigned gateway, flags;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "%*s %*8x %8x %4x", &gateway, &flags) != 2 ||
			!(flags & RTF_GATEWAY))
			continue;
		struct bh_addr a = bh_addr_from_bytes(BH_IPV4, &gateway);
		add_one(r, &a);
	}
}

/* /proc/net/ipv6_route: destination, length, source, length, next hop, metric, …, flags. */
void bh_core_parse_routes6(const char *text, struct bh_ranges *r)
{
	char hop[33];
	unsigned flags;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		uint8_t b[16];
		unsigned byte = 0;
		line += *line == '\n';
		if (sscanf(line, "%*s %*s %*s %*s %32s %*s %*s %*s %8x", hop, &flags) != 2 ||
			!(flags & RTF_GATEWAY) || strspn(hop, "0123456789abcdef") != 32)
			continue;
		size_t i = 0;
		for (; i < 16 && sscanf(hop + 2 * i, "%2x", &byte) == 1; i++)
			b[i] = (uint8_t)byte;
		struct bh_addr a = bh_addr_from_bytes(BH_IPV6, b);
		if (i == 16)
			add_one(r, &a);
	}
}

static void add_file(
	struct bh_ranges *r, const char *path, void (*parse)(const char *, struct bh_ranges *))
{
	char bh_autofree *text = read_small(path);
	if (text)
		parse(text, r);
}

/* Their networks cover nearly all; the rules do not look at the address of any workload. */
static void add_workloads(struct bh_ranges *r, const struct bh_inventory *inv)
{
	for (size_t i = 0; i < inv->n; i++)
		for (size_t k = 0; k < inv->workload[i]->n_ifaces; k++) {
			const struct bh_interface *f = &inv->workload[i]->iface[k];
			for (size_t a = 0; a < f->n_addrs; a++)
				if (!bh_inventory_in_network(inv, &f->addr[a]))
					bh_ranges_add(r, (struct bh_range){f->addr[a], f->addr[a]});
		}
}

/* The feeds must never cut the node off from itself, its containers, gateways or resolvers. */
void bh_core_feeds_protect(struct bh_core *c)
{
	struct bh_ranges r = {0};
	if (!c->snap)
		return;
	add_file(&r, "/etc/resolv.conf", bh_core_parse_resolvers);
	add_file(&r, "/proc/self/net/route", bh_core_parse_routes4);
	add_file(&r, "/proc/self/net/ipv6_route", bh_core_parse_routes6);
	const struct bh_inventory *inv = bh_engine_inventory(c->snap->engine);
	for (size_t i = 0; i < inv->n_hosts; i++)
		bh_ranges_add(&r, (struct bh_range){inv->host[i], inv->host[i]});
	for (size_t i = 0; i < inv->n_networks; i++)
		bh_ranges_add(&r, bh_prefix_range(&inv->network[i]));
	add_workloads(&r, inv);
	for (size_t i = 0; i < c->conf->feed_allow.n; i++)
		bh_ranges_add(&r, c->conf->feed_allow.item[i]);
	bh_ranges_normalise(&r);
	bh_feeds_set_protected(c->feeds, &r);
	bh_ranges_finish(&r);
}

void bh_core_feeds_tick(struct bh_core *c)
{
	end_exceptions(c);
	if (c->protect_ticks++ % PROTECT_TICKS == 0)
		bh_core_feeds_protect(c);
}
