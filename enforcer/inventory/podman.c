/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Podman answers Docker's API, which knows no pods: who lives in one shows there as a container in
 * the network namespace of a nameless other. Podman's own API, on the same socket, says which pod
 * that one holds open. So containers are asked for there, in the same shape, and pods by name; the
 * list and the events are Docker's.
 */
#include "inventory/docker.h"

static const struct bh_source_ops podman_ops = {
	.kind = "podman",
	.rank = BH_RANK_PODMAN,
	.start = bh_docker_start,
	.reload = bh_docker_reload,
	.free = bh_docker_free,
};

/* v4.0.0 is what Podman 4 and 5 both answer to. */
const struct bh_docker_engine bh_podman_engine = {
	.kind = "podman",
	.name = "Podman 4 or later",
	.containers = "/v4.0.0/libpod",
	.start = "systemctl start podman.socket",
	.log = "journalctl -u podman",
	.ops = &podman_ops,
};

struct bh_source *bh_source_podman_new(
	uv_loop_t *loop, struct bh_http *http, const char *socket_path)
{
	return bh_source_docker_new_timed(
		loop, http, &bh_podman_engine, socket_path, &bh_docker_default_timing);
}
