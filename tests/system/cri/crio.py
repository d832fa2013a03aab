#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""crio.py SOCKET STATE: plays CRI-O on another implementation of gRPC (Google's C core, which keeps
to the protocol more strictly than Go's). Pods come from the JSON file STATE, {"event": N, "pods":
{ID: {"name", "namespace", "labels", "netns", "ip"}}}, read at each call; when N grows, an event is
sent. "lists" in STATE.count says how often pods were listed."""
import json, os, sys, time
from concurrent import futures

import grpc

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from pb import pb, unpb

SOCKET, STATE = sys.argv[1:]
IMAGE = "5" * 64
lists = 0


def state():
    with open(STATE) as f:
        return json.load(f)


def version(request, context):
    return pb((1, "0.1.0"), (2, "cri-o"), (3, "1.26.0"), (4, "v1"))


def list_pods(request, context):
    global lists
    lists += 1
    with open(STATE + ".count.tmp", "w") as f:
        f.write(str(lists))
    os.rename(STATE + ".count.tmp", STATE + ".count")
    return b"".join(pb((1, pb((1, i), (3, 0)))) for i in state()["pods"])


def list_containers(request, context):
    return b"".join(pb((1, pb((1, "c" + i), (2, i), (4, pb((1, "localhost/shop:1"))), (5, IMAGE), (6, 1), (7, 1))))
                    for i in state()["pods"])


def pod_status(request, context):
    ident = unpb(request)[1][0].decode()
    p = state()["pods"].get(ident)
    if not p:
        context.abort(grpc.StatusCode.NOT_FOUND, "could not find pod \"" + ident + "\"")
    # Without a pause process there is no pid to tell, only the path.
    info = {"image": "", "runtimeSpec": {"linux": {"namespaces": [
        {"type": "network", "path": "/run/netns/" + p["netns"]}]}}}
    return pb((1, pb((1, ident), (2, pb((1, p["name"]), (2, "uid"), (3, p["namespace"]))), (3, 0), (4, 1),
                     (5, pb((1, p["ip"]))), (7, p["labels"]))), (2, {"info": json.dumps(info)}))


def image_status(request, context):
    return pb((1, pb((1, IMAGE), (2, "localhost/shop:1"), (3, "localhost/shop@sha256:" + "d" * 64))))


def events(request, context):
    seen = state()["event"]
    while context.is_active():
        now = state()["event"]
        if now > seen:
            seen = now
            yield pb((1, "whoever"), (2, 1), (3, 1))
        time.sleep(0.02)


def plain(fn):
    return grpc.unary_unary_rpc_method_handler(fn)


server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
server.add_generic_rpc_handlers((
    grpc.method_handlers_generic_handler("runtime.v1.RuntimeService", {
        "Version": plain(version), "ListPodSandbox": plain(list_pods), "ListContainers": plain(list_containers),
        "PodSandboxStatus": plain(pod_status), "GetContainerEvents": grpc.unary_stream_rpc_method_handler(events)}),
    grpc.method_handlers_generic_handler("runtime.v1.ImageService", {"ImageStatus": plain(image_status)})))
server.add_insecure_port("unix:" + SOCKET)
server.start()
server.wait_for_termination()
