/* SPDX-License-Identifier: GPL-3.0-or-later */
/* At the ends of workloads: what gets their frames before the rules do. */
#include "fastpath/program.h"
#include "link/tcx.h"
#include "private.h"

#define TOLD_MAX 8

static const char *of(const struct bh_doctor_port *p)
{
	return p->whose ? p->whose : "somebody";
}

/* What was told of, and what there was besides: many of one kind hide none of another. */
struct told {
	size_t fails, warns, shaped;
};

/* A device of kind ifb hands frames back to where they came from: shaping, no way around. */
static bool is_ifb(const struct bh_link_seen *l)
{
	return l && bh_streq(l->kind, "ifb");
}

static void tell_filters(const struct bh_doctor_look *k, const struct bh_doctor_port *p,
	const struct bh_link_filters *f, struct told *t)
{
	char bh_autofree *look = bh_xasprintf(
		"tc filter show dev %s ingress; tc filter show dev %s egress", p->name, p->name);
	const struct bh_link_seen *to = NULL;
	bool away = false;

	for (size_t i = 0; i < f->n_to && !away; i++) {
		to = bh_link_seen(&k->links, f->to[i]);
		away = !is_ifb(to);
	}
	if (away && t->fails++ < TOLD_MAX)
		bh_finding(k->checks, "programs", BH_HEALTH_FAIL, look,
			"a filter (%s) at %s, of %s, sends frames on to %s: they meet no rule",
			f->kind, p->name, of(p), to ? to->name : "another device");
	if (f->n > f->sending && t->warns++ < TOLD_MAX)
		bh_finding(k->checks, "programs", BH_HEALTH_WARN, look,
			"%zu filter%s (%s) at %s, of %s, get frames first: what they send on meets "
			"no rule",
			f->n, f->n == 1 ? "" : "s", f->kind, p->name, of(p));
	else if (to && !away && t->shaped++ < TOLD_MAX)
		bh_finding(k->checks, "programs", BH_HEALTH_OK, NULL,
			"filters at %s, of %s, shape by %s, which hands frames back", p->name,
			of(p), to->name);
}

static void check_port(
	const struct bh_doctor_look *k, const struct bh_doctor_port *p, struct told *t)
{
	const struct bh_link_seen *l = bh_link_seen(&k->links, p->ifindex);
	struct bh_link_filters f = {0};
	struct bh_tcx x;

	if (l && l->xdp && t->warns++ < TOLD_MAX) {
		char bh_autofree *look = bh_xasprintf(
			"ip -d link show dev %s; ip link set dev %s xdp off", p->name, p->name);
		bh_finding(k->checks, "programs", BH_HEALTH_WARN, look,
			"an XDP program at %s, of %s, gets frames first: what it sends on meets no "
			"rule",
			p->name, of(p));
	}
	if (bh_tcx_look(p->ifindex, BH_FAST_NAME, &x) == 0 && x.others > x.nameless &&
		t->warns++ < TOLD_MAX) {
		char bh_autofree *look = bh_xasprintf("bpftool net show dev %s", p->name);
		bh_finding(k->checks, "programs", BH_HEALTH_WARN, look,
			"%zu BPF program%s at %s, of %s, %s frames first (tcx): what is sent on "
			"meets no rule",
			x.others, bh_plural(x.others), p->name, of(p),
			x.others == 1 ? "gets" : "get");
	}
	if (l && l->classifies && bh_link_filters(k->d->link, p->ifindex, BH_FAST_NAME, &f) == 0 &&
		f.n)
		tell_filters(k, p, &f, t);
}

static void tell_more(const struct bh_doctor_look *k, enum bh_health h, size_t n)
{
	if (n > TOLD_MAX)
		bh_finding(k->checks, "programs", h, "tc filter show dev, of each veth",
			"and as much at %zu veths more", n - TOLD_MAX);
}

static bool localnet(const char *name)
{
	char path[128];
	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/route_localnet", name);
	return bh_doctor_number(path) == 1;
}

/* By route_localnet a workload reaches what listens on 127.0.0.1 of the node, meant for nobody
 * else. Of the interface by which its packets come in: its bridge, or its veth. */
static void check_localnet(const struct bh_doctor_look *k)
{
	const char *one = localnet("all") ? "all" : NULL;
	for (size_t i = 0; !one && i < k->ports.n; i++) {
		const struct bh_doctor_port *p = &k->ports.item[i];
		const struct bh_link_seen *b =
			p->bridge ? bh_link_seen(&k->links, p->bridge) : NULL;
		const char *name = b ? b->name : p->name;
		if (localnet(name))
			one = name;
	}
	if (!one)
		return;
	char bh_autofree *off = bh_xasprintf("sysctl -w net.ipv4.conf.%s.route_localnet=0", one);
	bh_finding(k->checks, "localnet", BH_HEALTH_WARN, off,
		"net.ipv4.conf.%s.route_localnet is 1: workloads can address what listens on "
		"127.0.0.1 of the node",
		one);
}

void bh_doctor_ports(const struct bh_doctor_look *k)
{
	struct told t = {0};
	for (size_t i = 0; i < k->ports.n; i++)
		check_port(k, &k->ports.item[i], &t);
	tell_more(k, BH_HEALTH_FAIL, t.fails);
	tell_more(k, BH_HEALTH_WARN, t.warns);
	if (!t.fails && !t.warns && !t.shaped)
		bh_finding(k->checks, "programs", BH_HEALTH_OK, NULL,
			"no XDP program and no filter of tc at the %zu veth%s of workloads",
			k->ports.n, k->ports.n == 1 ? "" : "s");
	check_localnet(k);
}
