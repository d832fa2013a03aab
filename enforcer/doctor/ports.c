/* SPDX-License-Identifier: GPL-3.0-or-later */
/* At the ends of workloads: what gets their frames before the rules do. */
#include "private.h"

#define TOLD_MAX 8

static const char *of(const struct bh_doctor_port *p)
{
	return p->whose ? p->whose : "somebody";
}

/* A device of kind ifb hands frames back to where they came from: shaping, no way around. */
static void tell_redirect(const struct bh_doctor_look *k, const struct bh_doctor_port *p,
	const struct bh_link_filters *f, const char *look)
{
	const struct bh_link_seen *to = bh_link_seen(&k->links, f->redirect);
	if (to && bh_streq(to->kind, "ifb"))
		bh_finding(k->checks, "programs", BH_HEALTH_OK, NULL,
			"filters at %s, of %s, shape by %s, which hands frames back", p->name,
			of(p), to->name);
	else
		bh_finding(k->checks, "programs", BH_HEALTH_FAIL, look,
			"a filter (%s) at %s, of %s, sends frames on to %s: they meet no rule",
			f->kind, p->name, of(p), to ? to->name : "another device");
}

static bool check_port(const struct bh_doctor_look *k, const struct bh_doctor_port *p)
{
	const struct bh_link_seen *l = bh_link_seen(&k->links, p->ifindex);
	struct bh_link_filters f = {0};
	bool clean = true;

	if (!l)
		return true; /* it just went */
	if (l->xdp) {
		char bh_autofree *look = bh_xasprintf(
			"ip -d link show dev %s; ip link set dev %s xdp off", p->name, p->name);
		bh_finding(k->checks, "programs", BH_HEALTH_WARN, look,
			"an XDP program at %s, of %s, gets frames first: what it sends on meets no "
			"rule",
			p->name, of(p));
		clean = false;
	}
	if (!l->classifies || bh_link_filters(k->d->link, p->ifindex, &f) < 0 || !f.n)
		return clean;
	char bh_autofree *look = bh_xasprintf(
		"tc filter show dev %s ingress; tc filter show dev %s egress", p->name, p->name);
	if (f.redirect)
		tell_redirect(k, p, &f, look);
	else
		bh_finding(k->checks, "programs", BH_HEALTH_WARN, look,
			"%zu filter%s (%s) at %s, of %s, get frames first: what they send on meets "
			"no rule",
			f.n, f.n == 1 ? "" : "s", f.kind, p->name, of(p));
	return false;
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
	size_t odd = 0;
	for (size_t i = 0; i < k->ports.n && odd < TOLD_MAX; i++)
		odd += !check_port(k, &k->ports.item[i]);
	if (!odd)
		bh_finding(k->checks, "programs", BH_HEALTH_OK, NULL,
			"no XDP program and no filter of tc at the %zu veth%s of workloads",
			k->ports.n, k->ports.n == 1 ? "" : "s");
	check_localnet(k);
}
