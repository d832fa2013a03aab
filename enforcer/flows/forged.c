/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the guard dropped: the kernel counts it by veth and by what it claimed; here it is told, at
 * once and then once a minute for each.
 */
#include "flows/forged.h"

#include "answer/clock.h"
#include "audit/audit.h"
#include "core/state.h"
#include "nft/nft.h"

#define READ_EVERY 2 /* ticks of a second */
#define REPORT_US 60000000
#define REPORTS_PER_READ 16 /* further ones wait, and are in the next counts */

struct bh_forged {
	const char *set; /* static */
	struct bh_value value[3];
	uint64_t packets, told_packets;
	int64_t seen, told; /* by the steady clock; 0: never */
};

struct source {
	const char *set;
	size_t parts;
	uint8_t family; /* 0: frames */
};
static const struct source sources[] = {
	{"forged-frames", 3, 0}, {"misplaced4", 2, BH_IPV4}, {"misplaced6", 2, BH_IPV6}};

struct reading {
	struct bh_core *c;
	const struct source *s;
	int64_t now;
};

static struct bh_forged *find(
	struct bh_forgeries *f, const struct reading *r, const struct bh_value *value)
{
	size_t bytes = r->s->parts * sizeof(*value);
	for (size_t i = 0; i < f->n; i++)
		if (f->item[i].set == r->s->set && memcmp(f->item[i].value, value, bytes) == 0)
			return &f->item[i];
	if (f->n == BH_FORGED_MAX)
		return NULL;
	if (!f->item)
		f->item = bh_xcalloc(BH_FORGED_MAX, sizeof(*f->item));
	struct bh_forged *x = &f->item[f->n++];
	*x = (struct bh_forged){.set = r->s->set};
	memcpy(x->value, value, bytes);
	return x;
}

static void on_element(const struct bh_nft_elem *el, void *arg)
{
	const struct reading *r = arg;
	struct bh_forgeries *f = &r->c->forged;
	struct bh_forged *x = el->packets ? find(f, r, el->value) : NULL;
	if (!x)
		return;
	if (el->packets < x->packets) { /* the kernel had forgotten it */
		x->told_packets = 0;
		x->packets = 0;
	}
	if (el->packets == x->packets)
		return;
	f->packets += el->packets - x->packets;
	x->packets = el->packets;
	x->seen = r->now;
}

static const struct bh_workload *owner_of(const struct bh_core *c, const char *ifname)
{
	const struct bh_inventory *inv = bh_engine_inventory(c->snap->engine);
	for (size_t i = 0; i < inv->n; i++)
		for (size_t k = 0; k < inv->workload[i]->n_ifaces; k++)
			if (bh_streq(inv->workload[i]->iface[k].host_name, ifname))
				return inv->workload[i];
	return NULL;
}

static const struct source *source_of(const struct bh_forged *x)
{
	for (size_t i = 0; i < BH_ARRAY_SIZE(sources); i++)
		if (sources[i].set == x->set)
			return &sources[i];
	return &sources[0];
}

/* What it claimed: "02:00:00:00:00:01 ether type 0x8100", "10.0.0.5". */
static char *claim_of(const struct bh_forged *x)
{
	const uint8_t *mac = x->value[1].b, *type = x->value[2].b;
	char text[BH_ADDR_STRLEN];
	uint8_t family = source_of(x)->family;
	if (!family)
		return bh_xasprintf("%02x:%02x:%02x:%02x:%02x:%02x, ether type 0x%02x%02x", mac[0],
			mac[1], mac[2], mac[3], mac[4], mac[5], type[0], type[1]);
	struct bh_addr a = bh_addr_from_bytes((enum bh_family)family, mac);
	return bh_xstrdup(bh_addr_format(&a, text));
}

static void report(struct bh_core *c, struct bh_forged *x, int64_t now)
{
	char ifname[17] = {0};
	memcpy(ifname, x->value[0].b, 16);
	const struct bh_workload *w = owner_of(c, ifname);
	char bh_autofree *claim = claim_of(x);
	char bh_autofree *name = w ? bh_xasprintf("%s/%s", w->namespace, w->name) : NULL;
	uint64_t more = x->packets - x->told_packets;
	char bh_autofree *what = bh_xasprintf("%llu forged %s dropped", (unsigned long long)more,
		source_of(x)->family ? "packets" : "frames");
	bh_audit_event(c->audit, "spoof-drop", NULL, what, NULL,
		json_pack("{s:s?, s:s?, s:s, s:s, s:I}", "workload", name, "id", w ? w->id : NULL,
			"interface", ifname, "claim", claim, "count", (json_int_t)more));
	x->told = now;
	x->told_packets = x->packets;
}

static void tell(struct bh_core *c, int64_t now)
{
	struct bh_forgeries *f = &c->forged;
	size_t kept = 0, reports = 0;
	for (size_t i = 0; i < f->n; i++) {
		struct bh_forged *x = &f->item[i];
		bool due =
			x->packets != x->told_packets && (!x->told || now - x->told >= REPORT_US);
		if (due && reports++ < REPORTS_PER_READ)
			report(c, x, now);
		if (x->packets != x->told_packets || now - x->seen < 10 * REPORT_US)
			f->item[kept++] = *x;
	}
	f->n = kept;
}

void bh_core_forged_tick(struct bh_core *c)
{
	int64_t now = bh_clock_steady();
	if (!c->snap || !c->installed || c->forged.ticks++ % READ_EVERY)
		return;
	for (size_t i = 0; i < BH_ARRAY_SIZE(sources); i++) {
		struct reading r = {c, &sources[i], now};
		const struct bh_set *set = bh_ruleset_find_set(c->installed, sources[i].set);
		if (set)
			bh_nft_elems_read(c->nft, set, on_element, &r);
	}
	tell(c, now);
}

void bh_core_forged_finish(struct bh_core *c)
{
	free(c->forged.item);
}
