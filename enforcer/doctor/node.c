/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All checks, one after the other. */
#include "private.h"

#include <errno.h>

long bh_doctor_number(const char *path)
{
	FILE bh_autofclose *f = fopen(path, "re");
	long n;
	return f && fscanf(f, "%ld", &n) == 1 ? n : -1;
}

static void add_port(
	struct bh_doctor_ports *p, unsigned ifindex, unsigned bridge, const char *name, char *whose)
{
	BH_GROW(p->item, p->n, p->cap);
	p->item[p->n++] = (struct bh_doctor_port){
		.ifindex = ifindex, .bridge = bridge, .name = bh_xstrdup(name), .whose = whose};
}

static void ports_of(struct bh_doctor_ports *p, const struct bh_workload *w)
{
	for (size_t i = 0; i < w->n_ifaces; i++) {
		const struct bh_interface *f = &w->iface[i];
		if (f->host_ifindex && f->host_name)
			add_port(p, f->host_ifindex, f->bridge_ifindex, f->host_name,
				bh_xasprintf("%s/%s", w->namespace, w->name));
	}
}

static void find_ports(struct bh_doctor_look *k)
{
	const struct bh_inventory *inv = k->d->inv;
	for (size_t i = 0; inv && i < inv->n; i++)
		ports_of(&k->ports, inv->workload[i]);
	for (size_t i = 0; !inv && i < k->links.n; i++) {
		const struct bh_link_seen *s = &k->links.item[i];
		if (s->elsewhere)
			add_port(&k->ports, s->ifindex, s->master, s->name, NULL);
	}
}

static void look_finish(struct bh_doctor_look *k)
{
	bh_nft_survey_finish(&k->nft);
	bh_link_survey_finish(&k->links);
	for (size_t i = 0; i < k->ports.n; i++) {
		free(k->ports.item[i].name);
		free(k->ports.item[i].whose);
	}
	free(k->ports.item);
}

void bh_doctor_node(const struct bh_doctor *d, json_t *checks)
{
	__attribute__((cleanup(look_finish))) struct bh_doctor_look k = {.d = d, .checks = checks};
	int r = bh_nft_survey(d->nft, &k.nft);
	if (r < 0) {
		bh_finding(checks, "tables", BH_HEALTH_SKIP, NULL, "nftables: %s", strerror(-r));
	} else {
		bh_doctor_tables(&k);
	}
	int l = bh_link_survey(d->link, &k.links);
	if (l < 0) {
		bh_finding(checks, "links", BH_HEALTH_SKIP, NULL, "interfaces: %s", strerror(-l));
	} else {
		find_ports(&k);
		bh_doctor_bridges(&k);
		bh_doctor_ports(&k);
	}
	if (r == 0)
		bh_doctor_others(&k);
	bh_doctor_queues(&k);
	bh_doctor_conntrack(&k);
	bh_doctor_files(&k);
	bh_doctor_clock(&k);
}
