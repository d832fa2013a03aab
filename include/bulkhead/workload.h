/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who lives on the node: workloads (one per network namespace), namespaces and their labels.
 * An inventory is immutable once sealed and reference counted, so that packet threads can read it
 * without locks. Implemented in rules/base/workload.c and inventory*.c.
 */
#pragma once

#include <bulkhead/addr.h>
#include <bulkhead/images.h>
#include <bulkhead/labels.h>
#include <bulkhead/policy.h>
#include <bulkhead/quarantine.h>

enum bh_mode { BH_MODE_LEARN, BH_MODE_AUDIT, BH_MODE_ENFORCE };
const char *bh_mode_name(enum bh_mode m); /* "learn" | "audit" | "enforce" */
int bh_mode_parse(const char *s, enum bh_mode *ret);

struct bh_interface {
	char *name; /* inside the workload, "eth0" */
	char *host_name; /* host side of the veth; NULL if it has none in our namespace */
	unsigned ifindex; /* inside */
	unsigned host_ifindex; /* 0 if none */
	char *bridge; /* master of host_name; NULL if routed */
	unsigned bridge_ifindex;
	uint8_t mac[6]; /* all zero: none that counts */
	struct bh_addr *addr;
	size_t n_addrs;
	/*
	 * Since when each address is there, to tell who keeps one that several claim: the smaller
	 * number does. 0: the workload's source says that it is its own; else the kernel's time of
	 * its making. NULL: all 0.
	 */
	uint64_t *since;
	/* What it gives itself and is not its own: shown, and nothing else. */
	struct bh_addr *refused; /* not on its network */
	size_t n_refused;
	bool mac_refused; /* another port of its bridge has it: refused_mac, and mac is the last
			     good */
	uint8_t refused_mac[6];
};

struct bh_named_port {
	char *name; /* may be NULL */
	uint8_t proto;
	uint16_t port;
};

/*
 * Reference counted, because a workload that did not change is the same object in one inventory
 * after another. It may be written to until it is in a sealed inventory; from then on nothing of it
 * changes, mode included, but its count (atomic: packet threads drop inventories as well).
 */
struct bh_workload {
	int refs;
	char *id; /* container id, or "static:NAMESPACE/NAME" */
	char *runtime; /* "docker", "static" */
	char *name; /* without a leading slash */
	char *namespace;
	struct bh_labels labels; /* with bulkhead.io/name added by the inventory */
	char *image; /* reference as started; may be NULL */
	char *digest; /* "sha256:…" or NULL */
	struct bh_images others; /* of its further containers */
	int pid; /* 0 = unknown */
	uint64_t netns; /* inode of its network namespace; 0 = unknown */
	uint64_t generation; /* grows whenever this netns changes hands; never reused in a run */
	struct bh_interface *iface;
	size_t n_ifaces;
	struct bh_named_port *port;
	size_t n_ports;
	char *unenforceable; /* why it cannot be governed ("shares the host's network"), else NULL
			      */
	enum bh_mode mode; /* decided by the configuration before sealing */
	struct bh_quarantine *quarantine; /* a reference; NULL = none. Decided before sealing too */
};

struct bh_namespace {
	char *name;
	struct bh_labels labels; /* kubernetes.io/metadata.name is always among them */
	bool declared; /* by bh_inventory_add_namespace, not only by a workload in it */
};

/* A node of the cluster that somebody told us about; what `nodes` peers select. */
struct bh_node_info {
	char *name;
	struct bh_labels labels;
	struct bh_addr *addr;
	size_t n_addrs;
};

#define BH_INVENTORY_PARTS 5

struct bh_inventory {
	struct bh_workload **workload; /* sorted by namespace, name, id */
	size_t n;
	struct bh_namespace *ns; /* sorted by name; every workload's namespace is here */
	size_t n_ns;
	struct bh_prefix *network; /* subnets in which workloads live (bridges' own addresses) */
	size_t n_networks;
	struct bh_addr *broadcast; /* subnet broadcast addresses of those bridges (IPv4) */
	size_t n_broadcast;
	struct bh_addr *host; /* the node's own addresses */
	size_t n_hosts;
	struct bh_node_info *node; /* sorted by name; this one may be among them */
	size_t n_nodes;
	/*
	 * Keys the table of addresses, so that no container can choose addresses that fall on one
	 * place. May be set before sealing; what is derived keeps it.
	 */
	uint64_t seed;
	/* Set by seal. What did not change is shared with the inventory this was derived from. */
	size_t n_conflicts; /* addresses that two workloads claim: the smaller `since` keeps it, of
			     * two alike the earlier in order */
	struct bh_inventory_part *part[BH_INVENTORY_PARTS]; /* ns, network, broadcast, host, node */
	struct bh_inventory_hold **hold; /* the references on the workloads, in runs */
	size_t n_holds;
	/*
	 * A workload's place stays as long as the workload does, while indexes shift. The tables
	 * name places.
	 */
	uint32_t *place; /* index → place */
	uint32_t *index; /* place → index; UINT32_MAX = free */
	size_t n_places;
	struct bh_addr_table *by_addr;
	struct bh_if_owner *by_ifindex; /* sorted by ifindex */
	size_t n_by_ifindex;
	int refs;
};

/* Building: new, add…, seal, then only read. */
struct bh_inventory *bh_inventory_new(void);
void bh_inventory_add(struct bh_inventory *inv, struct bh_workload *w); /* takes w */
/* Adds or merges labels of a namespace; metadata.name is implied. */
void bh_inventory_add_namespace(
	struct bh_inventory *inv, const char *name, const struct bh_labels *labels);
void bh_inventory_add_host(struct bh_inventory *inv, const struct bh_addr *a);
/* Copies. A name that is there already is replaced. */
void bh_inventory_add_node(struct bh_inventory *inv, const char *name,
	const struct bh_labels *labels, const struct bh_addr *addr, size_t n_addrs);
void bh_inventory_add_network(struct bh_inventory *inv, const struct bh_prefix *p);
void bh_inventory_seal(struct bh_inventory *inv); /* sorts, fills ns and the indexes */
/*
 * The sealed inventory that `old` becomes when the workloads at the indexes `removed` go and
 * `added` come (references are taken, not handed over; nobody writes to them any more): the same as
 * sealing it anew, but at the cost of what changes. A workload that is removed and one that is
 * added may be the same with other contents. `frame` is an unsealed inventory without workloads,
 * whose hosts, networks, nodes and declared namespaces are to be the new one's; it is taken. NULL:
 * as in old.
 *
 * A workload is the same object in both exactly if nothing about it changed: one that gained or
 * lost an address because another came or went is replaced by a copy.
 */
struct bh_inventory *bh_inventory_derive(const struct bh_inventory *old, struct bh_inventory *frame,
	const uint32_t *removed, size_t n_removed, struct bh_workload *const *added,
	size_t n_added);
/*
 * What differs between two sealed inventories besides their workloads; 0: nothing. Of two that
 * were derived from each other it costs next to nothing to find that nothing does.
 */
enum bh_frame_change {
	BH_FRAME_NS_ADDED = 1, /* b has namespaces that a has not */
	BH_FRAME_NS_REMOVED = 2, /* a has namespaces that b has not */
	BH_FRAME_NS_LABELS = 4, /* a namespace of both has other labels */
	BH_FRAME_HOSTS = 8, /* the node's own addresses */
	BH_FRAME_NETWORKS = 16, /* subnets or their broadcast addresses */
	BH_FRAME_NODES = 32,
};
unsigned bh_inventory_frame_changes(const struct bh_inventory *a, const struct bh_inventory *b);
bool bh_inventory_same_frame(const struct bh_inventory *a, const struct bh_inventory *b);
/*
 * Where the namespaces of `from` are in `to`: map[i] (i < from->n_ns) is the index in to->ns of
 * from->ns[i], UINT32_MAX if it is not there.
 */
void bh_inventory_map_namespaces(
	const struct bh_inventory *from, const struct bh_inventory *to, uint32_t *map);
struct bh_inventory *bh_inventory_ref(struct bh_inventory *inv);
void bh_inventory_unref(struct bh_inventory *inv); /* NULL is fine */

/* Look-ups on a sealed one. Address: index of the workload, BH_OWNER_HOST or BH_OWNER_NONE. */
#define BH_OWNER_HOST (-1)
#define BH_OWNER_NONE (-2)
int bh_inventory_owner(const struct bh_inventory *inv, const struct bh_addr *a);
int bh_inventory_by_ifindex(const struct bh_inventory *inv, unsigned host_ifindex); /* or NONE */
/* The workload with the namespace, name and id of `w`, or NONE. */
int bh_inventory_find(const struct bh_inventory *inv, const struct bh_workload *w);
const struct bh_namespace *bh_inventory_namespace(const struct bh_inventory *inv, const char *name);
bool bh_inventory_in_network(const struct bh_inventory *inv, const struct bh_addr *a);
/*
 * An id, "ns/name", "name", the same with the compose service for the name, or a unique prefix (4+)
 * of an id; the first of these readings that anybody has decides. Index, or -ENOENT, or -ENOTUNIQ
 * when several match (up to `max` of their indexes go to `match`, *n_match says how many there
 * are).
 */
int bh_inventory_resolve(const struct bh_inventory *inv, const char *what, uint32_t *match,
	size_t max, size_t *n_match);

struct bh_workload *bh_workload_new(void); /* with one reference */
struct bh_workload *bh_workload_copy(const struct bh_workload *w); /* with one reference */
struct bh_workload *bh_workload_ref(struct bh_workload *w);
void bh_workload_unref(struct bh_workload *w); /* NULL is fine */
void bh_workload_free(struct bh_workload *w); /* bh_workload_unref by its older name */
struct bh_interface *bh_workload_add_interface(struct bh_workload *w); /* zeroed, borrowed */
void bh_interface_add_addr(struct bh_interface *i, const struct bh_addr *a); /* since 0 */
void bh_interface_add_addr_since(struct bh_interface *i, const struct bh_addr *a, uint64_t since);
uint64_t bh_interface_since(const struct bh_interface *i, size_t addr);
void bh_interface_refuse(struct bh_interface *i, const struct bh_addr *a); /* adds to refused */
void bh_workload_clear_interfaces(struct bh_workload *w);
/* Has it something that can be governed? A veth beside an unenforceable interface stays governed: a
 * container must not escape by adding a macvlan. */
bool bh_workload_governable(const struct bh_workload *w);
bool bh_workload_equal(const struct bh_workload *a, const struct bh_workload *b);
