/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Starting and stopping the core: for the daemon's main alone. */
#pragma once

#include <stdbool.h>
#include <uv.h>

struct bh_core;
struct bh_config;

struct bh_core_start {
	const char *config_file; /* NULL: none; borrowed */
	struct bh_config *config; /* taken */
};
/* On failure a message for people goes to *ret_why (owned) and −errno is returned; nothing in the
 * kernel has been changed then. *ret is set either way: run the loop until it is empty, then free.
 */
int bh_core_new(
	uv_loop_t *loop, const struct bh_core_start *start, struct bh_core **ret, char **ret_why);
const char *bh_core_socket(const struct bh_core *c);
bool bh_core_failed(const struct bh_core *c); /* it stopped by itself: exit with an error */
void bh_core_reload(struct bh_core *c); /* SIGHUP */
/* Writes everything out and closes the handles; the rules stay in the kernel. Run the loop until
 * it is empty, then free. */
void bh_core_stop(struct bh_core *c);
void bh_core_free(struct bh_core *c);
