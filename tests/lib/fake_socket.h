/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the fake servers listen. */
#pragma once

#include <uv.h>

/* On a unix socket in place of what is there; fn for each that connects. pipe->data stays. */
void fake_listen(uv_loop_t *loop, uv_pipe_t *pipe, const char *path, uv_connection_cb fn);
