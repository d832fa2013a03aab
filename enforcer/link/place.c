/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bridges are told behind which port each workload is, for as long as it is there. Else they forget
 * who was silent for some minutes, and send what is for him to all ports: neighbours read it, and
 * the first packet of a new flow, of which there are several then, can't be queued and is lost, in
 * learn mode too. The entries are those of another way of learning (NTF_EXT_LEARNED): they do not
 * age, go with their port, and give way when the bridge sees that the address has moved.
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

static int tell(struct bh_link *l, unsigned port, const uint8_t mac[static 6])
{
	char buf[128];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = RTM_NEWNEIGH;
	nlh->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	struct ndmsg *n = mnl_nlmsg_put_extra_header(nlh, sizeof(*n));

	n->ndm_family = PF_BRIDGE;
	n->ndm_ifindex = (int)port;
	n->ndm_state = NUD_REACHABLE;
	n->ndm_flags = NTF_MASTER | NTF_EXT_LEARNED;
	mnl_attr_put(nlh, NDA_LLADDR, 6, mac);
	return bh_link_request(l, nlh, NULL, NULL);
}

void bh_link_place(struct bh_link *l, const struct bh_inventory *inv, bool anew)
{
	if (anew)
		l->placed.n = 0;
	for (size_t i = 0; i < inv->n; i++)
		for (size_t k = 0; k < inv->workload[i]->n_ifaces; k++) {
			const struct bh_interface *f = &inv->workload[i]->iface[k];
			uint64_t mac = number(f->mac);
			if (!f->bridge_ifindex || !f->host_ifindex || !mac ||
				(uintptr_t)bh_link_table_get(&l->placed, f->host_ifindex) == mac)
				continue;
			tell(l, f->host_ifindex, f->mac); /* where it can't be: as before */
			bh_link_table_set(&l->placed, f->host_ifindex, (void *)(uintptr_t)mac);
		}
}
