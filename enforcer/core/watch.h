/* SPDX-License-Identifier: GPL-3.0-or-later */
/* "Tell me when something in this directory changed", debounced. On the loop's thread. */
#pragma once

#include <stdbool.h>
#include <uv.h>

struct bh_watch;
/* Watches the directory itself, so that files replaced by rename are seen. `name`: only that file
 * in it; NULL: every one without a leading dot. fn is called 200 ms after the last change. A
 * directory that does not exist gives −ENOENT. */
int bh_watch_dir(uv_loop_t *loop, const char *dir, const char *name, void (*fn)(void *arg),
	void *arg, struct bh_watch **ret);
/* The directory was removed, or replaced by another one (by rename, a mount, a link that was
 * turned): nothing is heard of what is there now. To be asked now and then. */
bool bh_watch_is_stale(const struct bh_watch *w);
void bh_watch_free(struct bh_watch *w); /* memory goes when the loop has closed the handles */
