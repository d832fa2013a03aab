/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/fake_socket.h"

#include <assert.h>
#include <signal.h>
#include <unistd.h>

void fake_listen(uv_loop_t *loop, uv_pipe_t *pipe, const char *path, uv_connection_cb fn)
{
	signal(SIGPIPE, SIG_IGN); /* clients go away in the middle, as they are meant to */
	unlink(path);
	int err = uv_pipe_init(loop, pipe, 0);
	if (!err)
		err = uv_pipe_bind(pipe, path);
	if (!err)
		err = uv_listen((uv_stream_t *)pipe, 64, fn);
	assert(!err);
	(void)err;
}
