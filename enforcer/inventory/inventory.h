/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sources of workloads behind one interface, and the manager that merges what they say with what
 * the kernel says (enforcer/link) into inventories. All on the event loop's thread.
 */
#pragma once

#include <bulkhead/workload.h>
#include <uv.h>

#include "http/http.h"
#include "link/link.h"

/* A source's account of one container; the manager adds interfaces. */
struct bh_container {
	char *id, *runtime, *name, *image, *digest;
	struct bh_images others; /* of a pod, whose containers are one here */
	char *namespace; /* NULL: its labels decide */
	struct bh_labels labels;
	int pid; /* 0 = unknown: then netns_path */
	char *netns_path; /* NULL: /proc/PID/ns/net */
	bool joined; /* lives in another container's network namespace: does not name the workload
		      */
	struct bh_named_port *port;
	size_t n_ports;
	/* Its own by the source's account, whoever else claims them and wherever they are from. */
	struct bh_addr *addr;
	size_t n_addrs;
	struct bh_mac {
		uint8_t b[6];
	} * mac;
	size_t n_macs;
};
struct bh_container *bh_container_new(void);
struct bh_container *bh_container_copy(const struct bh_container *c);
void bh_container_free(struct bh_container *c); /* NULL is fine */
void bh_container_declare(struct bh_container *c, const struct bh_addr *a); /* once each */
void bh_container_declare_mac(struct bh_container *c, const uint8_t mac[static 6]);
bool bh_container_equal(const struct bh_container *a, const struct bh_container *b);
/*
 * The namespace a container belongs to: its own if the source gave one, else what the first of the
 * labels says that it has; NULL if nothing does. What is no DNS label (RFC 1123) is made one: lower
 * case, other characters to '-', none at either end, at most 63; if nothing is left the next label
 * decides. Owned. `label`: keys, NULL-terminated; NULL is bh_namespace_labels.
 */
char *bh_container_namespace(const struct bh_container *c, const char *const *label);
/* The compose project, as docker compose and podman-compose say it, then bulkhead.io/namespace. */
extern const char *const bh_namespace_labels[];
#define BH_NAMESPACE_DEFAULT "default" /* of those for whom nothing decides */

/* What a source calls; all synchronous, from the loop. */
struct bh_source_sink {
	void *arg;
	/* The complete list, after start, reconnect or reread: takes the containers, not the array.
	 */
	void (*sync)(void *arg, struct bh_container **c, size_t n);
	void (*upsert)(void *arg, struct bh_container *c); /* takes c */
	void (*remove)(void *arg, const char *id);
	/* State for people: ok = false with a message naming the source ("docker /run/docker.sock:
	 * connection refused; retrying in 4 s"). The last good containers stay in force. */
	void (*state)(void *arg, bool ok, const char *message);
};

/* Of several sources that know a workload, the one with the smallest rank names it: the one that
 * can say most of it. Sources of one rank go in their order. */
enum bh_source_rank {
	BH_RANK_PODS, /* pods, with the namespaces of a cluster */
	BH_RANK_PODMAN, /* containers and pods */
	BH_RANK_DOCKER,
	BH_RANK_STATIC, /* for what no engine knows */
};

struct bh_source;
struct bh_source_ops {
	const char *kind;
	enum bh_source_rank rank;
	void (*start)(struct bh_source *s);
	void (*reload)(struct bh_source *s); /* SIGHUP, file changed */
	void (*free)(struct bh_source *s); /* no call into the sink afterwards */
};
struct bh_source { /* first member of every implementation */
	const struct bh_source_ops *ops;
	char *name; /* "docker /run/docker.sock", "static workloads.yaml" */
	struct bh_source_sink sink;
};

struct bh_source *bh_source_docker_new(
	uv_loop_t *loop, struct bh_http *http, const char *socket_path);
/* Of a source of Docker's or Podman's, before its start: labels that a container has from its image
 * do not count. */
void bh_source_ignore_image_labels(struct bh_source *s);
/* The rootful service of Podman 4 or later; a pod is one workload with the pod's name and labels.
 */
struct bh_source *bh_source_podman_new(
	uv_loop_t *loop, struct bh_http *http, const char *socket_path);
/*
 * Pods of containerd or CRI-O: each is one container here, that of its sandbox. `found`: nobody
 * configured it, the socket happens to be there; if it turns out to have no CRI it counts as
 * answered, with nothing, and is asked again once a minute.
 */
struct bh_source *bh_source_cri_new(
	uv_loop_t *loop, struct bh_http *http, const char *socket_path, bool found);
/* Re-read when the file changes (uv_fs_event on its directory, and a look every 2 s) and on reload.
 * A broken file keeps the last good list and reports every diagnostic's first line. */
struct bh_source *bh_source_static_new(uv_loop_t *loop, const char *path);

/*
 * Parses `workloads: [{name, namespace, labels, image, netns, addresses, ports: [{name, port,
 * protocol}]}]`. Pure. name and netns are required; netns must be absolute. All mistakes are added
 * to `diags`; with any error −EINVAL and ret untouched. An empty file is a mistake (`workloads: []`
 * says none), so that one being rewritten does not drop every workload. Array and containers owned.
 */
int bh_static_parse(const char *file, const char *text, size_t len, struct bh_diags *diags,
	struct bh_container ***ret, size_t *ret_n);

/*
 * Calls fn with each claim of a workload that was refused, for people: "claims 198.51.100.7, which
 * is not on its network", "claims the MAC …, which another port of its bridge has".
 */
#define BH_CLAIMS_TOLD 16
void bh_workload_claims(
	const struct bh_workload *w, void (*fn)(const char *what, void *arg), void *arg);

/* The manager. */
struct bh_inventory_mgr;
struct bh_source_status {
	const char *name;
	bool synced; /* at least once */
	bool ok;
	const char *message; /* "" when ok */
	size_t n_containers;
};
/*
 * Called (on the loop, not from within a call into the manager) whenever the merged inventory may
 * have changed: as soon as a source said something, or a look at what the kernel's notices spoke of
 * showed something new. A look follows the first notice after a time of quiet at once, others a few
 * milliseconds later. May be called for each of many changes; it is for the user to gather them.
 */
typedef void (*bh_inventory_changed_fn)(void *arg);

int bh_inventory_mgr_new(uv_loop_t *loop, struct bh_link *link, bh_inventory_changed_fn fn,
	void *arg, struct bh_inventory_mgr **ret);
void bh_inventory_mgr_add(struct bh_inventory_mgr *m, struct bh_source *s); /* takes s, starts it */
void bh_inventory_mgr_reload(struct bh_inventory_mgr *m);
/* All sources have synced once (none at all counts as synced). */
bool bh_inventory_mgr_synced(const struct bh_inventory_mgr *m);
size_t bh_inventory_mgr_sources(
	const struct bh_inventory_mgr *m, struct bh_source_status *ret, size_t max);
/* What the manager cannot know itself. */
struct bh_inventory_settings {
	enum bh_mode (*mode)(const struct bh_workload *w, void *arg);
	/* Adds the namespaces that are declared and the nodes. */
	void (*frame)(struct bh_inventory *frame, void *arg);
	void *arg;
	/* Borrowed, NULL: it is in none. May be NULL: nobody is. */
	struct bh_quarantine *(*quarantine)(const struct bh_workload *w, void *arg);
	/* The workload claims what is not its own (see bh_workload_claims), for the first time in
	 * its network namespace. At most BH_CLAIMS_TOLD times for each. May be NULL. */
	void (*claims)(const struct bh_workload *w, const char *what, void *arg);
};
/* The labels that decide on namespaces (see bh_container_namespace). Copies. NULL: the usual. */
void bh_inventory_mgr_set_namespace_labels(struct bh_inventory_mgr *m, const char *const *label);
/* They will answer otherwise. A reload implies it. */
void bh_inventory_mgr_settings_changed(struct bh_inventory_mgr *m);
/*
 * The inventory of what is known now, sealed: workloads keyed by network namespace (containers that
 * share one, and whatever several sources say of it, are one workload, named after the first, see
 * bh_source_rank), with implicit labels (bulkhead.io/name), host addresses and networks. Namespaces
 * are inspected again when something was heard of them, or when their turn comes, within minutes.
 * It is derived from the one built before (see bh_inventory_derive), and is the same one if nothing
 * changed. A reference.
 */
struct bh_inventory *bh_inventory_mgr_build(
	struct bh_inventory_mgr *m, const struct bh_inventory_settings *settings);
void bh_inventory_mgr_free(struct bh_inventory_mgr *m);
