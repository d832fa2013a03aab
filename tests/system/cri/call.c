/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * call SOCKET METHOD < REQUEST > ANSWER: one gRPC call, protobuf in and out, by the daemon's own
 * code. Tests run pods with it, as Debian has no crictl. 0; 1 with the reason on stderr.
 */
#include <errno.h>
#include <signal.h>

#include "grpc/grpc.h"

#define REQUEST_MAX (1u << 20)

static void on_done(const struct bh_grpc_result *r, void *arg)
{
	int *code = arg;
	*code = r->err ? 1 : 0;
	if (r->err)
		fprintf(stderr, "%s (%s, status %d)\n", r->message, strerror(-r->err), r->status);
	else if (fwrite(r->answer, 1, r->len, stdout) != r->len)
		*code = 1;
}

int main(int argc, char **argv)
{
	static char request[REQUEST_MAX];
	uv_loop_t loop;
	struct bh_http *http;
	struct bh_grpc_call *call;
	int code = 1;
	if (argc != 3) {
		fprintf(stderr, "usage: call SOCKET METHOD < REQUEST > ANSWER\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	struct bh_grpc_opts o = {
		.socket = argv[1],
		.method = argv[2],
		.message = request,
		.len = fread(request, 1, sizeof(request), stdin),
		.max_bytes = 16u << 20,
		.timeout_ms = 60000,
	};
	uv_loop_init(&loop);
	if (bh_http_open(&loop, &http) || bh_grpc_call(http, &o, on_done, &code, &call)) {
		fprintf(stderr, "the call could not be started\n");
		return 1;
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	bh_http_close(http);
	uv_run(&loop, UV_RUN_DEFAULT);
	return code;
}
