/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of the core's packet path share: a small node and snapshots of it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feeds/internal.h"
#include "verdict/packet.h"

/* shop/a (enforces, lets in TCP 80 from app=b) .2, shop/b (learns) .3, others of 10.0.0.0/24 are
 * unknown; the node is .1; .255 is broadcast. */
static const char world_policy[] =
	"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
	"metadata: {name: a, namespace: shop}\n"
	"spec:\n  podSelector: {matchLabels: {app: a}}\n  policyTypes: [Ingress]\n"
	"  ingress: [{from: [{podSelector: {matchLabels: {app: b}}}], ports: [{port: 80}]}]\n";

static inline struct bh_addr addr(const char *text)
{
	struct bh_addr a;
	assert_int_equal(bh_addr_parse(text, &a), 0);
	return a;
}

static inline void world_add(
	struct bh_inventory *inv, const char *name, const char *ip, enum bh_mode mode)
{
	struct bh_workload *w = bh_workload_new();
	w->id = bh_xasprintf("static:shop/%s", name);
	w->runtime = bh_xstrdup("static");
	w->name = bh_xstrdup(name);
	w->namespace = bh_xstrdup("shop");
	w->mode = mode;
	bh_labels_set(&w->labels, "app", name);
	struct bh_interface *i = bh_workload_add_interface(w);
	i->name = bh_xstrdup("eth0");
	i->host_name = bh_xasprintf("v%s", name);
	i->host_ifindex = (unsigned)name[0];
	i->bridge = bh_xstrdup("br0");
	const struct bh_addr a = addr(ip);
	bh_interface_add_addr(i, &a);
	bh_inventory_add(inv, w);
}

/* One reference. `late`: a third workload, shop/late at 10.0.0.9 with app=b's rights. */
static inline struct bh_snapshot *world(enum bh_mode node, bool late)
{
	const struct bh_policy_source src = {"p.yaml", world_policy, strlen(world_policy)};
	const struct bh_policy_parse_opts opts = {.default_ns = "shop"};
	struct bh_diags bh_autodiags d = {0};
	struct bh_policy_set *set = NULL;
	struct bh_inventory *inv = bh_inventory_new();
	struct bh_snapshot *s = bh_xcalloc(1, sizeof(*s));
	static uint64_t epoch;
	struct bh_prefix net;
	const struct bh_addr host = addr("10.0.0.1");

	assert_int_equal(bh_policy_set_parse(&src, 1, &opts, &d, &set), 0);
	world_add(inv, "a", "10.0.0.2", BH_MODE_ENFORCE);
	world_add(inv, "b", "10.0.0.3", BH_MODE_LEARN);
	if (late)
		world_add(inv, "late", "10.0.0.9", BH_MODE_LEARN);
	bh_inventory_add_host(inv, &host);
	assert_int_equal(bh_prefix_parse("10.0.0.0/24", &net), 0);
	bh_inventory_add_network(inv, &net);
	bh_inventory_seal(inv);
	s->refs = 1;
	s->engine = bh_engine_compile(set, inv, &(struct bh_engine_opts){0});
	s->feeds = bh_feed_index_build(NULL, 0, 0);
	s->node_mode = node;
	s->epoch = ++epoch;
	bh_policy_set_unref(set);
	bh_inventory_unref(inv);
	return s;
}

static inline struct bh_packet packet(const char *src, const char *dst, uint16_t dport)
{
	return (struct bh_packet){
		.flow = {.src = addr(src),
			.dst = addr(dst),
			.proto = BH_TCP,
			.sport = 40000,
			.dport = dport},
		.tcp_flags = 2,
	};
}
