/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See world.h. Everything about workload i follows from i and the seed alone. */
#include "bench/world.h"

static const char *const tiers[] = {"frontend", "backend", "db", "cache", "worker"};
static const char *const envs[] = {"prod", "staging", "dev"};

/* splitmix64 (Vigna, public domain) */
unsigned bench_below(struct bench_rng *r, unsigned n)
{
	uint64_t z = (r->state += 0x9e3779b97f4a7c15ULL);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (unsigned)((z ^ z >> 31) % n);
}

struct bench_world bench_world_size(size_t policies, size_t workloads, unsigned cnp, uint64_t seed)
{
	struct bench_world w = {
		.policies = policies, .workloads = workloads, .cnp = cnp, .seed = seed};
	w.namespaces = workloads <= 100 ? 20 : workloads <= 1000 ? 50 : 100;
	w.apps = (workloads / w.namespaces + 4) / 5;
	return w;
}

struct bh_addr bench_addr(const char *text)
{
	struct bh_addr a = {0};
	if (bh_addr_parse(text, &a) < 0)
		abort();
	return a;
}

void bench_add_addr(struct bh_workload *w, const char *text)
{
	struct bh_addr a = bench_addr(text);
	bh_interface_add_addr(&w->iface[w->n_ifaces - 1], &a);
}

struct bh_workload *bench_workload(const char *ns, const char *name)
{
	struct bh_workload *w = bh_workload_new();
	w->id = bh_xasprintf("static:%s/%s", ns, name);
	w->runtime = bh_xstrdup("static");
	w->name = bh_xstrdup(name);
	w->namespace = bh_xstrdup(ns);
	w->mode = BH_MODE_ENFORCE;
	bh_labels_set(&w->labels, "bulkhead.io/name", name);
	bh_workload_add_interface(w)->name = bh_xstrdup("eth0");
	return w;
}

static void add_port(struct bh_workload *w, const char *name, uint16_t port)
{
	w->port = bh_xrealloc(w->port, w->n_ports + 1, sizeof(*w->port));
	w->port[w->n_ports++] = (struct bh_named_port){bh_xstrdup(name), BH_TCP, port};
}

static void set_label(struct bh_workload *w, const char *key, const char *fmt, unsigned n)
{
	char value[64];
	snprintf(value, sizeof(value), fmt, n);
	bh_labels_set(&w->labels, key, value);
}

static void add_network(struct bh_workload *w, size_t ns, size_t in_ns, size_t i, bool v6)
{
	struct bh_interface *f = &w->iface[0];
	char text[BH_ADDR_STRLEN];
	f->host_name = bh_xasprintf("veth%zx", i);
	f->bridge = bh_xasprintf("br-ns%zu", ns);
	f->ifindex = 2;
	f->host_ifindex = (unsigned)(1000 + i);
	f->bridge_ifindex = (unsigned)(10 + ns);
	memcpy(f->mac, (uint8_t[]){2, 66, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i, 1}, 6);
	snprintf(text, sizeof(text), "10.%zu.%zu.%zu", 64 + ns / 64, ns % 64 * 4 + in_ns / 250,
		in_ns % 250 + 2);
	bench_add_addr(w, text);
	if (v6) {
		snprintf(text, sizeof(text), "fd00:b:%zx::%zx", ns, in_ns + 2);
		bench_add_addr(w, text);
	}
}

struct bh_workload *bench_world_workload(const struct bench_world *w, size_t i)
{
	struct bench_rng r = {w->seed * 1000003 + i};
	size_t ns = i % w->namespaces, in_ns = i / w->namespaces;
	unsigned app = (unsigned)(in_ns % w->apps);
	char ns_name[32], name[64];
	snprintf(ns_name, sizeof(ns_name), "ns%02zu", ns);
	unsigned hash = bench_below(&r, 1u << 30);
	snprintf(name, sizeof(name), "app%u-%08x-%05zx", app, hash, i);
	struct bh_workload *wl = bench_workload(ns_name, name);
	set_label(wl, "app", "app%u", app);
	bh_labels_set(&wl->labels, "tier", tiers[app % BH_ARRAY_SIZE(tiers)]);
	set_label(wl, "version", "v%u", 1 + bench_below(&r, 2));
	set_label(wl, "pod-template-hash", "%08x", hash);
	wl->image = bh_xasprintf("registry.example/ns%zu/app%u:1.4", ns, app);
	wl->digest = bh_xasprintf("sha256:%064x", app + 1);
	wl->pid = (int)(2000 + i);
	wl->netns = 4026532000u + i;
	wl->generation = i + 1;
	add_port(wl, "http", app % 8 == 7 ? 8000 : 8080);
	add_port(wl, "grpc", 9000);
	add_port(wl, "metrics", 9090);
	add_network(wl, ns, in_ns, i, bench_chance(&r, 80));
	return wl;
}

void bench_world_surroundings(const struct bench_world *w, struct bh_inventory *inv)
{
	for (size_t ns = 0; ns < w->namespaces; ns++) {
		char name[32], team[16], net[64];
		struct bh_labels l = {0};
		struct bh_prefix p;
		snprintf(name, sizeof(name), "ns%02zu", ns);
		snprintf(team, sizeof(team), "team%zu", ns % 10);
		bh_labels_set(&l, "team", team);
		bh_labels_set(&l, "env", envs[ns / 10 % BH_ARRAY_SIZE(envs)]);
		bh_inventory_add_namespace(inv, name, &l);
		bh_labels_finish(&l);
		snprintf(net, sizeof(net), "10.%zu.%zu.0/22", 64 + ns / 64, ns % 64 * 4);
		bh_prefix_parse(net, &p);
		bh_inventory_add_network(inv, &p);
		snprintf(net, sizeof(net), "10.%zu.%zu.1", 64 + ns / 64, ns % 64 * 4);
		struct bh_addr gateway = bench_addr(net);
		bh_inventory_add_host(inv, &gateway);
		snprintf(net, sizeof(net), "fd00:b:%zx::/64", ns);
		bh_prefix_parse(net, &p);
		bh_inventory_add_network(inv, &p);
	}
}

struct bh_inventory *bench_world_inventory(const struct bench_world *w)
{
	struct bh_inventory *inv = bh_inventory_new();
	for (size_t i = 0; i < w->workloads; i++)
		bh_inventory_add(inv, bench_world_workload(w, i));
	bench_world_surroundings(w, inv);
	bh_inventory_seal(inv);
	return inv;
}
