/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What other people's rules do to ours. */
#include "private.h"

#include <stdio.h>

#define TOLD_MAX 8

static const struct bh_doctor_port *port_of(const struct bh_doctor_look *k, const char *devices)
{
	for (const char *p = devices; p && *p;) {
		size_t len = strcspn(p, ",");
		for (size_t i = 0; i < k->ports.n; i++)
			if (strlen(k->ports.item[i].name) == len &&
				memcmp(k->ports.item[i].name, p, len) == 0)
				return &k->ports.item[i];
		p += len + (p[len] == ',');
	}
	return NULL;
}

static const char *devices_of(const struct bh_doctor_look *k, const struct bh_nft_seen_odd *o)
{
	const struct bh_nft_seen_chain *c =
		bh_nft_seen_chain(&k->nft, o->family, o->table, o->chain);
	return c ? c->device : NULL;
}

static bool tell(const struct bh_doctor_look *k, const struct bh_nft_seen_odd *o)
{
	const char *family = bh_nft_family_name(o->family);
	char bh_autofree *look =
		bh_xasprintf("nft list chain %s %s %s", family, o->table, o->chain);
	char bh_autofree *where =
		bh_xasprintf("chain %s of table %s %s", o->chain, family, o->table);
	const struct bh_doctor_port *port;
	switch (o->what) {
	case BH_NFT_NOTRACK:
		bh_finding(k->checks, "untracked", BH_HEALTH_WARN, look,
			"%s has packets not tracked: those of isolated workloads are decided one "
			"by one, so that no answer to what a rule allows passes",
			where);
		return true;
	case BH_NFT_OFFLOAD:
		bh_finding(k->checks, "shortcuts", BH_HEALTH_WARN, look,
			"%s puts flows into a flow table: their packets meet no rule any more, and "
			"a cut (policy, quarantine, feed) reaches them up to some seconds later",
			where);
		return true;
	case BH_NFT_FWD:
		port = port_of(k, devices_of(k, o));
		if (port)
			bh_finding(k->checks, "shortcuts", BH_HEALTH_FAIL, look,
				"%s sends what comes from %s (%s) to another device: it meets no "
				"rule",
				where, port->name, port->whose ? port->whose : "a veth");
		return port != NULL;
	}
	return false;
}

/* iptables-legacy keeps its rules where nftables does not show them. */
static bool legacy_raw(const char *path)
{
	FILE bh_autofclose *f = fopen(path, "re");
	char line[64];
	while (f && fgets(line, sizeof(line), f))
		if (strcmp(line, "raw\n") == 0)
			return true;
	return false;
}

static bool is_same(const struct bh_nft_seen_odd *a, const struct bh_nft_seen_odd *b)
{
	return a->what == b->what && a->family == b->family && bh_streq(a->table, b->table) &&
	       bh_streq(a->chain, b->chain);
}

/* fails: what is a hole, else what is to be known; many of these hide none of those. Of a chain
 * once. How many there are. */
static size_t tell_all(const struct bh_doctor_look *k, bool fails)
{
	const struct bh_nft_seen_odd *o = k->nft.odd;
	size_t told = 0;
	for (size_t i = 0; i < k->nft.n_odd && told < TOLD_MAX; i++)
		if ((o[i].what == BH_NFT_FWD) == fails && (i == 0 || !is_same(&o[i - 1], &o[i])))
			told += tell(k, &o[i]);
	return told;
}

void bh_doctor_others(const struct bh_doctor_look *k)
{
	size_t others = 0, told = tell_all(k, true) + tell_all(k, false);
	for (size_t i = 0; i < k->nft.n_tables; i++)
		others += !bh_nft_seen_ours(k->nft.table[i].name, k->nft.table[i].family);
	if (k->nft.cut)
		bh_finding(k->checks, "others", BH_HEALTH_SKIP, "nft list ruleset",
			"not all rules of others were looked at: there are too many");
	else if (!told)
		bh_finding(k->checks, "others", BH_HEALTH_OK, NULL,
			"%zu tables of others: none takes packets past these rules", others);
	if (legacy_raw("/proc/net/ip_tables_names"))
		bh_finding(k->checks, "others", BH_HEALTH_SKIP, "iptables-legacy -t raw -S",
			"iptables-legacy's table raw is in use, and is not looked into: NOTRACK or "
			"CT --notrack in it would keep answers from passing");
	if (legacy_raw("/proc/net/ip6_tables_names"))
		bh_finding(k->checks, "others", BH_HEALTH_SKIP, "ip6tables-legacy -t raw -S",
			"ip6tables-legacy's table raw is in use, and is not looked into");
}
