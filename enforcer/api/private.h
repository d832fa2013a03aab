/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the API's files share. */
#pragma once

#include <bulkhead/util.h>
#include <microhttpd.h>

#include "api/api.h"
#include "core/core.h"

struct bh_api_limits {
	/* A connection lives this long at most, whatever it does: MHD's own timeout starts anew
	 * with each byte, so a client that drips one every second would stay for ever. */
	unsigned lifetime_ms;
	unsigned idle_s;
	unsigned readers; /* users who may only read cannot take all connections from root */
};
extern struct bh_api_limits bh_api_limits; /* tests lower them before the start */
#define BH_API_MAX_DRAIN (64u << 20) /* of a body already refused, before the line is cut */

struct bh_api_conn { /* one accepted socket */
	struct bh_api_conn *next, *prev;
	int fd; /* MHD's */
	uint64_t started; /* uv_now() */
	struct bh_core_actor who;
	bool known; /* SO_PEERCRED answered */
	struct MHD_Connection *suspended; /* until its turn; NULL = it does not wait */
	struct bh_api_conn *next_waiting;
	bool turn; /* it has waited */
};

struct bh_api {
	struct bh_core *core;
	uv_loop_t *loop;
	struct MHD_Daemon *mhd;
	char *path;
	uint64_t dev, ino; /* of our socket file */
	uv_poll_t poll;
	uv_timer_t timer; /* when MHD wants to run next */
	uv_timer_t reaper; /* each second while there are connections */
	unsigned handles; /* still to be closed */
	struct bh_api_conn *conns;
	unsigned n_readers;
	bool closed_one; /* in this run */
	struct bh_api_conn *waiting, *last_waiting; /* readers, in the order of their turns */
	uint64_t readers_at; /* uv_hrtime(): not before is another reader answered */
	uv_timer_t turn;
};
void bh_api_run(struct bh_api *a); /* what MHD has to do */

/* --- turn.c --- */
/* May it be answered now? Else it is suspended, and the request's callback comes again. */
bool bh_api_turn(struct bh_api *a, struct bh_api_conn *c, struct MHD_Connection *mhd);
/* It was answered; `began`: uv_hrtime(). */
void bh_api_turn_over(struct bh_api *a, const struct bh_api_conn *c, uint64_t began);
void bh_api_turns_end(struct bh_api *a); /* nobody is suspended afterwards; before MHD stops */

/* --- listen.c --- */
/* A listening unix socket at path, 0660 and group bulkhead if there is one. −errno. */
int bh_api_listen(const char *path, uint64_t *ret_dev, uint64_t *ret_ino);
void bh_api_unlisten(const char *path, uint64_t dev, uint64_t ino); /* only if it is still ours */

/* --- route.c --- */
struct bh_api_call { /* one request, complete */
	struct MHD_Connection *mhd;
	struct bh_core_actor who;
	char *segment[2]; /* what the route's "*" stand for */
	const json_t *body; /* an object; NULL if the route takes none */
};
struct bh_api_route {
	const char *method, *path; /* "*" matches one segment */
	bool changes; /* uid 0 only */
	bool body; /* a JSON object */
	bool may_be_empty; /* no body is {} */
	const char *query[8]; /* known parameters */
	struct bh_answer (*fn)(struct bh_core *core, const struct bh_api_call *call);
};
extern const struct bh_api_route bh_api_routes[];
extern const size_t bh_api_n_routes;

/* --- match.c --- */
/* The route of method and url, with the segments (owned). NULL: *ret_allow says which methods the
 * path has ("GET, PUT"; owned), NULL if there is no such path. */
const struct bh_api_route *bh_api_route_find(
	const char *method, const char *url, char *segment[2], char **ret_allow);
/* Checks the query's names against the route's. NULL if fine, else the complaint (owned). */
char *bh_api_route_check_query(const struct bh_api_route *r, struct MHD_Connection *c);

/* --- request.c --- */
enum MHD_Result bh_api_request(void *cls, struct MHD_Connection *c, const char *url,
	const char *method, const char *version, const char *data, size_t *size, void **state);
void bh_api_request_done(
	void *cls, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why);
