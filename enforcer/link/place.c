/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bridges are told behind which port each workload is, for as long as it is there. Else they forget
 * who was silent for some minutes, and send what is for him to all ports: neighbours read it, and
 * the first packet of a new flow, of which there are several then, can't be queued and is lost, in
 * learn mode too. And they believe whoever sent last: a frame with a neighbour's MAC, of a protocol
 * that conntrack and rules know nothing of, would bring all that is for him. So the entries do not
 * age and do not move (NTF_STICKY); they go with their port, or when it has another MAC.
 */
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "link/private.h"

static uint64_t number(const uint8_t mac[static 6])
{
	uint64_t n = 0;
	for (int i = 0; i < 6; i++)
		n = n << 8 | mac[i];
	return n;
}

static void tell(struct bh_link *l, uint16_t what, unsigned port, uint64_t mac)
{
	char buf[128];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = what;
	nlh->nlmsg_flags = what == RTM_NEWNEIGH ? NLM_F_CREATE | NLM_F_REPLACE : 0;
	struct ndmsg *n = mnl_nlmsg_put_extra_header(nlh, sizeof(*n));
	uint8_t bytes[6];

	for (int i = 0; i < 6; i++)
		bytes[i] = (uint8_t)(mac >> (40 - 8 * i));
	n->ndm_family = PF_BRIDGE;
	n->ndm_ifindex = (int)port;
	n->ndm_state = NUD_NOARP;
	n->ndm_flags = NTF_MASTER | NTF_STICKY;
	mnl_attr_put(nlh, NDA_LLADDR, sizeof(bytes), bytes);
	bh_link_request(l, nlh, NULL, NULL); /* where it can't be: as before */
}

/* Slaves of a bond share their MAC, and it moves between their ports. */
static bool has_twin(const struct bh_workload *w, const struct bh_interface *f)
{
	for (size_t i = 0; i < w->n_ifaces; i++)
		if (&w->iface[i] != f && w->iface[i].bridge_ifindex == f->bridge_ifindex &&
			memcmp(w->iface[i].mac, f->mac, sizeof(f->mac)) == 0)
			return true;
	return false;
}

static void place(struct bh_link *l, const struct bh_link_table *before, unsigned port,
	uint64_t mac, bool anew)
{
	uint64_t was = (uintptr_t)bh_link_table_get(before, port);
	if (was == mac && !anew)
		return;
	if (was && was != mac)
		tell(l, RTM_DELNEIGH, port, was);
	tell(l, RTM_NEWNEIGH, port, mac);
	bh_link_table_set(&l->placed, port, (void *)(uintptr_t)mac);
}

void bh_link_place(struct bh_link *l, const struct bh_inventory *inv, bool anew)
{
	struct bh_link_table before = l->placed;
	if (anew) /* and ports that are gone are left out */
		l->placed = (struct bh_link_table){0};
	for (size_t i = 0; i < inv->n; i++)
		for (size_t k = 0; k < inv->workload[i]->n_ifaces; k++) {
			const struct bh_interface *f = &inv->workload[i]->iface[k];
			uint64_t mac = number(f->mac);
			if (f->bridge_ifindex && f->host_ifindex && mac &&
				!has_twin(inv->workload[i], f))
				place(l, anew ? &before : &l->placed, f->host_ifindex, mac, anew);
		}
	if (anew)
		free(before.item);
}
