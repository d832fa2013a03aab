/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * HTTP + JSON on a unix socket (libmicrohttpd, driven by the event loop: no threads of its own).
 * Routes and shapes: API.md beside this file. Reading needs access to the socket (0660, group
 * "bulkhead" if it exists, else root's); changing needs uid 0.
 *
 * The process must ignore SIGPIPE. Whoever links this defines the bh_core_* functions.
 */
#pragma once

#include <uv.h>

struct bh_core;
struct bh_api;

#define BH_API_MAX_BODY (8u << 20)
#define BH_API_MAX_CONNECTIONS 64

/* Listens on `path` (its directory is made if absent, 0755). A stale socket file is replaced; one
 * on which somebody answers gives −EADDRINUSE. */
int bh_api_start(uv_loop_t *loop, struct bh_core *core, const char *path, struct bh_api **ret);
void bh_api_stop(struct bh_api *a); /* removes the socket file; NULL is fine */
