/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The CRI source's inside: cri.c keeps the connection (version, lists, event stream, back-off),
 * cri_ask.c asks about pods and images one by one, cri_apply.c makes workloads of the answers.
 */
#pragma once

#include "grpc/grpc.h"
#include "inventory/cri_proto.h"
#include "inventory/idmap.h"

#define BH_CRI_IN_FLIGHT 8
#define BH_CRI_MAX_LIST (16u << 20) /* bytes; what the kubelet takes */
#define BH_CRI_MAX_STATUS (4u << 20)
#define BH_CRI_MAX_EVENT (4u << 20)
#define BH_CRI_MAX_IMAGES 4096 /* remembered */

/* Milliseconds. */
struct bh_cri_timing {
	long connect, answer; /* of a call */
	uint64_t retry, retry_max; /* back-off */
	uint64_t poll; /* between lists without events … */
	uint64_t busy, busy_for; /* … and so soon, for so long after there was news */
	uint64_t refresh; /* with them, in case one was lost */
	uint64_t gap; /* between lists that events cause, at least */
	uint64_t absent; /* until a runtime without CRI is asked again */
};
extern const struct bh_cri_timing bh_cri_default_timing;

enum bh_cri_phase {
	BH_CRI_WAITING, /* for the next attempt */
	BH_CRI_GREETING, /* the version is asked for */
	BH_CRI_LISTING,
	BH_CRI_SYNCING, /* everything listed is being asked about */
	BH_CRI_LIVE,
};

struct bh_cri_run {
	char *image, *image_ref; /* may be NULL */
};

/* A pod or an image: something that is asked about. */
struct bh_cri_item {
	struct bh_cri *cri;
	bool is_image;
	char *id;
	struct bh_grpc_call *call; /* NULL = none in flight */
	struct bh_cri_item *next; /* in the queue */
	bool queued;
	bool awaited; /* the sync waits for its first answer */
	unsigned failures; /* in a row */
	uint64_t retry_at; /* loop time; with failures */
	bool listed; /* by the last list; of an image: used by a pod of it */
	/* Of a pod. */
	struct bh_container *said; /* the last good answer; NULL = none yet */
	struct bh_container *told; /* what the sink has of it; NULL = nothing */
	struct bh_cri_run *run; /* images of its containers by the last list, no two alike */
	size_t n_runs; /* BH_IMAGES_MAX + 1 at most; the first stands for the pod */
	struct bh_named_port *port;
	size_t n_ports;
	/* Of an image. */
	bool known;
	struct bh_cri_image what;
};

struct bh_cri {
	struct bh_source base;
	uv_loop_t *loop;
	struct bh_http *http;
	char *socket;
	bool found; /* not configured: it may well be no CRI */
	struct bh_cri_timing timing;
	enum bh_cri_phase phase;
	unsigned handles;
	uv_timer_t wait; /* WAITING: for the next attempt; else for the next list */
	uv_timer_t retry; /* of single pods and images */
	unsigned failures; /* of the connection, in a row */
	uint64_t live_since, listed_at, busy_until; /* loop time */
	uint64_t list_took; /* ms */
	char *runtime; /* "containerd" */
	bool synced; /* once at least, with a runtime that has CRI */
	struct bh_grpc_call *greeting, *events, *list_pods, *list_containers;
	bool heard; /* an event, on this connection: the stream works */
	bool list_again; /* as soon as may be */
	bool ask_all; /* the next list is to ask about the known ones too */
	char **pod; /* of the list that is coming in, while list_containers is in flight */
	size_t n_pods;
	struct bh_cri_container *container; /* likewise, while list_pods is */
	size_t n_containers;
	struct bh_idmap pods, images; /* id → struct bh_cri_item */
	struct bh_cri_item *head, *tail; /* to be asked about */
	unsigned in_flight;
	size_t awaited, failing; /* items */
};

/* As bh_source_cri_new, with other times (tests). */
struct bh_source *bh_source_cri_new_timed(uv_loop_t *loop, struct bh_http *http,
	const char *socket_path, bool found, const struct bh_cri_timing *timing);

/* cri.c */
struct bh_grpc_opts bh_cri_opts(const struct bh_cri *d, const char *method, size_t max_bytes);
/* 0, or −errno with the reason. */
int bh_cri_check(const struct bh_grpc_result *r, struct bh_fault *fault);
void bh_cri_live(struct bh_cri *d); /* the sync has ended: on with it */
void bh_cri_had_news(struct bh_cri *d); /* there may be more soon */

/* cri_ask.c */
struct bh_cri_item *bh_cri_pod_new(struct bh_cri *d, const char *id);
struct bh_cri_item *bh_cri_image_new(struct bh_cri *d, const char *ref);
void bh_cri_ask(struct bh_cri_item *i); /* again */
void bh_cri_pump(struct bh_cri *d); /* starts what may be in flight; ends the sync */
void bh_cri_stop_asking(struct bh_cri *d); /* cancels; keeps the good answers */
void bh_cri_item_drop(struct bh_cri_item *i); /* forgets it */
void bh_cri_item_free(void *item);
void bh_cri_on_retry(uv_timer_t *t);

/* cri_apply.c */
void bh_cri_forget_runs(struct bh_cri_item *pod);
/* The list that has come in: what is new is asked about, what is gone is removed. */
void bh_cri_apply_list(struct bh_cri *d);
void bh_cri_forget_list(struct bh_cri *d);
void bh_cri_tell(struct bh_cri_item *pod); /* what is known of it, if that is news */
void bh_cri_tell_image(struct bh_cri_item *image); /* the same of its users */
void bh_cri_end_sync(struct bh_cri *d);
