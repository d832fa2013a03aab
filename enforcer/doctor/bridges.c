/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bridged frames meet the rules of family inet only by br_netfilter. Its switch is the network
 * namespace's; a bridge's own (nf_call_iptables) can turn it on for that bridge, and not off.
 */
#include "private.h"

#define SWITCH4 "net.bridge.bridge-nf-call-iptables"
#define SWITCH6 "net.bridge.bridge-nf-call-ip6tables"
#define PATH "/proc/sys/net/bridge/bridge-nf-call-"

static const struct bh_link_seen *bridge_of(const struct bh_doctor_look *k, size_t port)
{
	unsigned bridge = k->ports.item[port].bridge;
	for (size_t i = 0; i < port; i++)
		if (k->ports.item[i].bridge == bridge)
			return NULL; /* was looked at */
	const struct bh_link_seen *b = bridge ? bh_link_seen(&k->links, bridge) : NULL;
	return b && bh_streq(b->kind, "bridge") ? b : NULL;
}

static bool check_bridge(
	const struct bh_doctor_look *k, const struct bh_link_seen *b, bool on4, bool on6)
{
	on4 |= b->nf4;
	on6 |= b->nf6;
	if (!on4 || !on6)
		bh_finding(k->checks, "bridges", BH_HEALTH_FAIL,
			"modprobe br_netfilter; sysctl -w " SWITCH4 "=1 " SWITCH6 "=1",
			"%s traffic inside bridge %s meets no rule",
			on4   ? "IPv6"
			: on6 ? "IPv4"
			      : "IPv4 and IPv6",
			b->name);
	return on4 && on6;
}

/* br_netfilter takes a frame with a tag for no IP. Our table of family bridge asks the frame. */
static bool check_vlan(const struct bh_doctor_look *k, const struct bh_doctor_port *p)
{
	const struct bh_link_seen *l = bh_link_seen(&k->links, p->ifindex);
	const struct bh_link_seen *b = bh_link_seen(&k->links, p->bridge);
	if (!l || !b || !b->vlans || !l->vlan)
		return true;
	char bh_autofree *how =
		bh_xasprintf("bridge vlan add dev %s vid %u pvid untagged", p->name, l->vlan);
	bh_finding(k->checks, "bridges", BH_HEALTH_WARN, how,
		"frames of VLAN %u leave %s (%s) with their tag on: no rule of table inet sees "
		"them",
		l->vlan, p->name, p->whose ? p->whose : "a veth");
	return false;
}

void bh_doctor_bridges(const struct bh_doctor_look *k)
{
	long v4 = bh_doctor_number(PATH "iptables"), v6 = bh_doctor_number(PATH "ip6tables");
	size_t bridges = 0, wrong = 0;

	for (size_t i = 0; i < k->ports.n; i++) {
		const struct bh_link_seen *b = bridge_of(k, i);
		bridges += b != NULL;
		wrong += b && !check_bridge(k, b, v4 == 1, v6 == 1);
		wrong += !check_vlan(k, &k->ports.item[i]);
	}
	if (wrong)
		return;
	if (v4 == 1 && v6 == 1)
		bh_finding(k->checks, "bridges", BH_HEALTH_OK, NULL,
			"br_netfilter is on: " SWITCH4 " and -ip6tables are 1; %zu bridge%s with "
			"workloads",
			bridges, bridges == 1 ? "" : "s");
	else if (bridges)
		bh_finding(k->checks, "bridges", BH_HEALTH_WARN,
			"sysctl -w " SWITCH4 "=1 " SWITCH6 "=1",
			"br_netfilter is on for %zu bridge%s alone, and off for the next one",
			bridges, bridges == 1 ? "" : "s");
	else
		bh_finding(k->checks, "bridges", BH_HEALTH_WARN,
			"modprobe br_netfilter; sysctl -w " SWITCH4 "=1 " SWITCH6 "=1",
			"br_netfilter is off: no workload hangs on a bridge now; inside the next "
			"one traffic would meet no rule");
}
