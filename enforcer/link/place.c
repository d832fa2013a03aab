/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Bridges are told behind which port each workload is, for as long as it is there. Else they forget
 * who was silent for some minutes, and send what is for him to all ports: neighbours read it, and
 * the first packet of a new flow, of which there are several then, can't be queued and is lost, in
 * learn mode too. And they believe whoever sent last: a frame with a neighbour's MAC, of a protocol
 * that conntrack and rules know nothing of, would bring all that is for him. So the entries do not
 * age and do not move (NTF_STICKY); they go with their port, or when it has another MAC. What the
 * bridge has as its own, or behind a port of no workload (a router on its uplink), is not a
 * container's for giving it to its device: told so, the kernel would send all that is for the node
 * to the container.
 */
#include <errno.h>
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

static struct nlmsghdr *request(char *buf, uint16_t what, uint64_t mac, struct ndmsg **ret)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = what;
	nlh->nlmsg_flags = what == RTM_NEWNEIGH ? NLM_F_CREATE | NLM_F_REPLACE : 0;
	*ret = mnl_nlmsg_put_extra_header(nlh, sizeof(**ret));
	uint8_t bytes[6];

	for (int i = 0; i < 6; i++)
		bytes[i] = (uint8_t)(mac >> (40 - 8 * i));
	(*ret)->ndm_family = PF_BRIDGE;
	mnl_attr_put(nlh, NDA_LLADDR, sizeof(bytes), bytes);
	return nlh;
}

static void tell(struct bh_link *l, uint16_t what, unsigned port, uint64_t mac)
{
	char buf[128];
	struct ndmsg *n;
	struct nlmsghdr *nlh = request(buf, what, mac, &n);

	n->ndm_ifindex = (int)port;
	n->ndm_state = NUD_NOARP;
	n->ndm_flags = NTF_MASTER | NTF_STICKY;
	bh_link_request(l, nlh, NULL, NULL); /* where it can't be: as before */
}

static void on_entry(const struct nlmsghdr *nlh, void *arg)
{
	if (nlh->nlmsg_type == RTM_NEWNEIGH &&
		mnl_nlmsg_get_payload_len(nlh) >= sizeof(struct ndmsg))
		*(struct ndmsg *)arg = *(const struct ndmsg *)mnl_nlmsg_get_payload(nlh);
}

/* Where the bridge has the MAC. 0, −ENOENT: nowhere, −errno. */
static int look(struct bh_link *l, unsigned bridge, uint64_t mac, struct ndmsg *ret)
{
	char buf[128];
	struct ndmsg *n;
	struct nlmsghdr *nlh = request(buf, RTM_GETNEIGH, mac, &n);

	mnl_attr_put_u32(nlh, NDA_MASTER, bridge);
	*ret = (struct ndmsg){0};
	return bh_link_request(l, nlh, on_entry, ret);
}

/* Where it has the MAC nowhere, or behind a workload's port, the bridge has it behind the
 * interface's from now on. True: that is so, as far as it can be told. */
static bool settle(struct bh_link *l, const struct bh_inventory *inv, const struct bh_interface *f,
	uint64_t mac)
{
	struct ndmsg has;
	int r = look(l, f->bridge_ifindex, mac, &has);

	if (r < 0 && r != -ENOENT)
		return false;
	if (r == 0 &&
		(has.ndm_state & NUD_PERMANENT ||
			bh_inventory_by_ifindex(inv, (unsigned)has.ndm_ifindex) == BH_OWNER_NONE))
		return false;
	tell(l, RTM_NEWNEIGH, f->host_ifindex, mac); /* also to VLANs that have come since */
	return true;
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

static void place(struct bh_link *l, const struct bh_inventory *inv,
	const struct bh_link_table *before, const struct bh_interface *f, bool anew)
{
	unsigned port = f->host_ifindex;
	uint64_t mac = number(f->mac);
	uint64_t was = (uintptr_t)bh_link_table_get(before, port);
	if (was == mac && !anew)
		return;
	if (was && was != mac)
		tell(l, RTM_DELNEIGH, port, was);
	if (!settle(l, inv, f, mac))
		mac = 0;
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
			if (f->bridge_ifindex && f->host_ifindex && number(f->mac) &&
				!has_twin(inv->workload[i], f))
				place(l, inv, anew ? &before : &l->placed, f, anew);
		}
	if (anew)
		free(before.item);
}
