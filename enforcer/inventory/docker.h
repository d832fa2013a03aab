/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inside of the sources Docker and Podman: docker.c keeps the connection (event stream, list,
 * back-off), docker_inspect.c asks about containers one by one, podman.c says what Podman has
 * besides Docker's API.
 */
#pragma once

#include "inventory/docker_json.h"
#include "inventory/idmap.h"

#define BH_DOCKER_IN_FLIGHT 8
#define BH_DOCKER_MAX_BODY (8u << 20) /* of what is kept of an answer */
#define BH_DOCKER_MAX_EVENT (64u << 10) /* of one line */
#define BH_DOCKER_MAX_IMAGES 4096 /* digests remembered */

/* Milliseconds. */
struct bh_docker_timing {
	long connect, answer; /* of a request */
	uint64_t opened; /* how long the stream's headers may take before the list is asked */
	uint64_t retry, retry_max; /* back-off */
	uint64_t refresh; /* a list in between, in case an event was lost */
};
extern const struct bh_docker_timing bh_docker_default_timing;

/* What differs from one engine to the other. */
struct bh_docker_engine {
	const char *kind; /* "docker"; its containers' runtime, too */
	const char *name; /* for people */
	const char *containers; /* the path before /containers/ID/json */
	const char *start, *log; /* commands for people */
	const struct bh_source_ops *ops;
};
extern const struct bh_docker_engine bh_docker_engine, bh_podman_engine;

enum bh_docker_phase {
	BH_DOCKER_WAITING, /* for the next attempt */
	BH_DOCKER_OPENING, /* the event stream is asked for */
	BH_DOCKER_LISTING,
	BH_DOCKER_SYNCING, /* everything listed or known is being inspected */
	BH_DOCKER_LIVE,
};

/* A container the engine spoke of. It goes when the engine says that it does not run. */
struct bh_docker_entry {
	struct bh_docker *docker;
	bh_docker_id id;
	struct bh_container *good; /* the last good answer; NULL = none yet */
	struct bh_docker_container answer; /* waits for its pod's name, its image's digest */
	struct bh_http_request *request; /* NULL = none in flight */
	struct bh_docker_entry *next; /* in the queue */
	bool queued;
	bool again; /* something happened while it was being asked about */
	bool awaited; /* the sync waits for its first answer */
	bool listed;
	unsigned failures; /* in a row */
	uint64_t retry_at; /* loop time; with failures */
};

struct bh_docker {
	struct bh_source base;
	const struct bh_docker_engine *engine;
	uv_loop_t *loop;
	struct bh_http *http;
	char *socket;
	struct bh_docker_timing timing;
	enum bh_docker_phase phase;
	unsigned handles;
	uv_timer_t wait; /* OPENING: for the headers; WAITING: for the next attempt */
	uv_timer_t retry; /* of single containers */
	uv_timer_t refresh;
	unsigned failures; /* of the connection, in a row */
	uint64_t live_since; /* loop time */
	struct bh_http_request *stream, *list;
	struct bh_sieve event; /* the stream's line, so far */
	bool list_again; /* when the list that is asked for has come */
	struct bh_idmap entries; /* id → struct bh_docker_entry */
	struct bh_docker_entry *head, *tail; /* to be asked about */
	unsigned in_flight;
	size_t awaited, failing; /* entries */
	struct bh_idmap images; /* image id → struct bh_docker_image */
	bool ignore_image_labels;
};

/* As bh_source_docker_new and bh_source_podman_new, with other times (tests). */
struct bh_source *bh_source_docker_new_timed(uv_loop_t *loop, struct bh_http *http,
	const struct bh_docker_engine *engine, const char *socket_path,
	const struct bh_docker_timing *timing);

/* docker.c */
/* `wanted`: what is kept of a good answer. */
int bh_docker_get(struct bh_docker *d, const char *path, const struct bh_sieve_path *wanted,
	void (*done)(const struct bh_http_result *r, void *arg), void *arg,
	struct bh_http_request **ret);
uint64_t bh_docker_backoff(const struct bh_docker *d, unsigned failures); /* ms */
/* 0, or −errno with the reason: an answer that is no 200. */
int bh_docker_check(const struct bh_http_result *r, struct bh_fault *fault);

void bh_docker_start(struct bh_source *s); /* the operations of both engines' sources */
void bh_docker_reload(struct bh_source *s);
void bh_docker_free(struct bh_source *s);

/* docker_inspect.c */
/* Asks about a container (again); an unknown one becomes known. */
struct bh_docker_entry *bh_docker_ask(struct bh_docker *d, const bh_docker_id id);
/* As bh_docker_ask for a known one; `awaited`: the sync waits for the answer. */
void bh_docker_ask_entry(struct bh_docker_entry *e, bool awaited);
void bh_docker_pump(struct bh_docker *d); /* starts what may be in flight; ends the sync */
void bh_docker_stop_asking(struct bh_docker *d); /* cancels; keeps the good answers */
void bh_docker_entry_free(void *entry);
void bh_docker_image_drop(void *image); /* one of `images` */
void bh_docker_on_retry(uv_timer_t *t);
