#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Podman in a network namespace of its own: containers and a pod are known, named and
enforced; its service restarts, its socket vanishes and comes back, and `auto` finds it when it does."""
import json, os, signal, subprocess

from docker_engine import Docker
from engines import known, problem, with_engine
from lab import BULKHEADD, Failure, Suite, run, wait_for
from podman_engine import Podman

POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: api, namespace: shop}
spec:
  podSelector: {matchLabels: {com.docker.compose.service: api}}
  ingress:
  - from: [{podSelector: {matchLabels: {com.docker.compose.service: web}}}, {podSelector: {matchLabels: {tier: front}}}]
    ports: [{port: 9000}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: pod, namespace: shop}
spec:
  podSelector: {matchLabels: {tier: front}}
  ingress:
  - from: [{podSelector: {matchLabels: {com.docker.compose.service: web}}}]
    ports: [{port: 7000}]
"""


def prepare(lab, engine):
    engine.image()
    engine.podman("network", "create", "--ipv6", "--subnet", "172.28.0.0/24", "--subnet", "fd00:28::/64",
                  "shop")
    engine.start()
    lab.config(mode="enforce", sources=[{"podman": engine.sock}])


with_podman = with_engine(Podman, prepare)


@with_podman
def test_whole_job(lab, engine):
    lab.policy("shop.yaml", POLICY)
    lab.start()
    web, api = engine.compose("web"), engine.compose("api")
    pod, infra = engine.pod("front", "--label", "tier=front", "--label", "bulkhead.io/namespace=shop")
    one = engine.run("one", "--pod", "front", "--label", "app=one", of=infra)
    two = engine.run("two", "--pod", "front", "--label", "app=two", "--label", "part=two", of=infra)
    rogue = engine.run("rogue")
    lab.serve(api.netns, tcp=[9000, 9001])
    lab.serve(one.netns, tcp=[7000, 7001])
    for c in (web, api, rogue):
        w = known(lab, c.name)
        i = w["interfaces"][0]
        want = {"namespace": "default" if c is rogue else "shop", "runtime": "podman", "image": "localhost/shop:1",
                "pid": c.pid, "id": c.id, "unenforceable": None}
        for k, v in want.items():
            if w[k] != v:
                raise Failure(f"{c.name}: {k} is {w[k]!r}, expected {v!r}")
        if not w["digest"].startswith("sha256:") or c.v4 not in i["addresses"] or c.v6 not in i["addresses"]:
            raise Failure(f"{c.name}: {w}")
        if not i["bridge"].startswith("podman"):
            raise Failure(f"{c.name}: {i}")
    # A pod is one workload: its name and labels, its containers' image, and what they add.
    w = wait_for("both of the pod", lambda: (lambda w: "part" in w["labels"] and w)(known(lab, "front")))
    if (w["namespace"], w["image"], w["id"]) != ("shop", "localhost/shop:1", infra):
        raise Failure(f"the pod: {w}")
    if w["labels"]["tier"] != "front" or not one.v4 == two.v4 or one.v4 not in w["interfaces"][0]["addresses"]:
        raise Failure(f"the pod: {w}, {one.v4}, {two.v4}")
    if [x["name"] for x in lab.workloads() if x["name"] in ("one", "two") or "infra" in x["name"]]:
        raise Failure(f"more than the pod: {lab.workloads()}")

    table = [(web, api.v4, "tcp", 9000, "open"), (web, api.v6, "tcp", 9000, "open"),
             (two, api.v4, "tcp", 9000, "open"), (web, one.v4, "tcp", 7000, "open"),
             (web, api.v4, "tcp", 9001, "drop"), (rogue, api.v4, "tcp", 9000, "drop"),
             (rogue, api.v6, "tcp", 9000, "drop"), (rogue, one.v4, "tcp", 7000, "drop"),
             (web, one.v4, "tcp", 7001, "drop"), (web, one.v6, "tcp", 7001, "drop")]
    lab.expect(table)
    wait_for("the rogue on record", lambda: lab.audited("policy-deny", bulkhead__src__name="rogue"))

    # The service is killed and its socket goes: what is known stays in force.
    engine.stop(signal.SIGKILL)
    wait_for("status names the source, and the remedy",
             lambda: [p for p in problem(lab, engine.sock) if "systemctl start podman.socket" in p])
    lab.expect(table)
    late = engine.compose("web", project="late")  # nobody tells us of it
    engine.podman("rm", "-f", "-t", "0", two.id)
    engine.start()
    wait_for("the service is back", lambda: not problem(lab, engine.sock), 30)
    known(lab, late.name)
    lab.expect([r for r in table if r[0] is not two] + [(late, api.v4, "tcp", 9000, "drop")])

    # The daemon is killed, and started while the service is away: the rules of the run before stay.
    held = lab.hold(web, api.v4, 9000)
    lab.stop(signal.SIGKILL)
    engine.stop()
    lab.start(wait=False)
    wait_for("it answers", lambda: lab.cli("status", check=False).returncode in (0, 1), 30)
    if not problem(lab, engine.sock) or lab.status()["ready"]:
        raise Failure(f"{lab.status()}")
    lab.expect([r for r in table if r[0] is not two])
    engine.start()
    lab.ready()
    known(lab, "front")
    lab.expect([r for r in table if r[0] is not two])
    if not held.alive():
        raise Failure("an allowed connection was cut")
    engine.podman("pod", "rm", "-f", "-t", "0", "front")
    known(lab, "front", gone=True)


@with_podman
def test_networks_and_shared_namespaces(lab, engine):
    lab.start()
    a = engine.compose("a")
    known(lab, a.name)
    engine.podman("network", "create", "--subnet", "172.29.0.0/24", "second")
    engine.podman("network", "connect", "second", a.id)
    wait_for("the second interface", lambda: len(known(lab, a.name)["interfaces"]) == 2)
    engine.run("sidecar", network="container:" + a.id)
    engine.run("on-host", network="host")
    engine.run("alone", network="none")
    wait_for("all known", lambda: {"on-host", "alone"} <= {w["name"] for w in lab.workloads()})
    all_of = {w["name"]: w for w in lab.workloads()}
    if all_of["on-host"]["unenforceable"] != "shares the host's network" or all_of["alone"]["unenforceable"]:
        raise Failure(f"{all_of['on-host']}, {all_of['alone']}")
    if len([w for w in lab.workloads() if w["name"] in ("sidecar", a.name)]) != 1:
        raise Failure("a shared namespace must be one workload")
    engine.podman("network", "disconnect", "second", a.id)
    wait_for("one interface again", lambda: len(known(lab, a.name)["interfaces"]) == 1)


@with_podman
def test_one_container_of_three_sources(lab, engine):
    """Docker's API and Podman's on one socket, and a file that names the network namespace: one workload,
    named by the one that can say most of it, wherever it stands."""
    os.symlink(engine.sock, lab.dir + "/podman.sock")
    pod, infra = engine.pod("front", "--label", "tier=front")
    web = engine.compose("web")
    engine.run("one", "--pod", "front", of=infra)

    def written(**labels):
        lab.write("workloads.yaml", json.dumps({"workloads": [
            {"name": "written", "namespace": "lab", "labels": labels, "netns": web.netns}]}))
    written(extra="yes")
    lab.config(mode="enforce", sources=[{"static": lab.dir + "/workloads.yaml"}, {"docker": engine.sock},
                                        {"podman": lab.dir + "/podman.sock"}])
    lab.start()
    wait_for("both", lambda: {w["name"] for w in lab.workloads()} == {web.name, "front"})
    w = known(lab, web.name)
    if (w["runtime"], w["id"], w["namespace"], w["labels"].get("extra")) != ("podman", web.id, "shop", "yes"):
        raise Failure(f"{w}")
    if [s["containers"] for s in lab.status()["sources"]] != [1, 3, 3]:
        raise Failure(f"{lab.status()['sources']}")
    written(other="yes")
    wait_for("the file's new label", lambda: "extra" not in known(lab, web.name)["labels"])
    engine.podman("rm", "-f", "-t", "0", web.id)
    known(lab, web.name, gone=True)


@with_podman
def test_docker_beside_it(lab, engine):
    """A Docker engine on the same node: one policy for the containers of both, whoever runs them."""
    docker = Docker(lab)
    try:
        docker.start()
        docker.image()
        docker.docker("network", "create", "--subnet", "172.30.0.0/24", "shop")
        lab.policy("shop.yaml", POLICY)
        lab.config(mode="enforce", sources=[{"podman": engine.sock}, {"docker": docker.sock}])
        lab.start()
        api, web, rogue = engine.compose("api"), docker.compose("web"), docker.compose("rogue")
        lab.serve(api.netns, tcp=[9000, 9001])
        for c, runtime in ((api, "podman"), (web, "docker"), (rogue, "docker")):
            if known(lab, c.name)["runtime"] != runtime:
                raise Failure(f"{known(lab, c.name)}")
        table = [(web, api.v4, "tcp", 9000, "open"), (web, api.v4, "tcp", 9001, "drop"),
                 (rogue, api.v4, "tcp", 9000, "drop")]
        lab.expect(table)
        engine.stop(signal.SIGKILL)  # the one is away, the other goes on
        late = docker.compose("web", number=2)
        known(lab, late.name)
        lab.expect(table + [(late, api.v4, "tcp", 9000, "open")])
    finally:
        if lab.daemon:
            lab.stop()
        docker.close()


@with_podman
def test_found_by_itself(lab, engine):
    """The socket at its usual place, in a mount namespace of the test's own: absent at the start, there
    later; a container is known without anybody's help. And `off` is off."""
    engine.stop()
    script = "mount -t tmpfs none /run && mkdir /run/podman && "
    script += f"mount --bind {engine.root} /run/podman && exec {BULKHEADD} --config {lab.dir}/bulkhead.yaml"

    def start(sources, wait=True):
        lab.config(mode="enforce", sources=sources)
        lab.log = open(lab.dir + "/daemon.log", "a")
        lab.daemon = subprocess.Popen(["nsenter", f"--net=/run/netns/{lab.node}", "unshare", "--mount",
                                       "sh", "-c", script], stdout=lab.log, stderr=lab.log)
        if wait:
            lab.ready()
    start("auto")
    if not problem(lab, "no source of workloads"):
        raise Failure(f"{lab.status()['problems']}")
    engine.start()
    wait_for("the source", lambda: [s for s in lab.status()["sources"]
                                    if s["name"] == "podman /run/podman/podman.sock" and s["ok"]])
    web = engine.compose("web")
    known(lab, web.name)
    # The daemon is killed, and started while the socket is away: whose containers it knew by it stay known.
    engine.stop()
    lab.daemon.kill()
    lab.daemon.wait()
    start("auto", wait=False)
    wait_for("it waits", lambda: lab.cli("status", check=False).returncode in (0, 1) and
             problem(lab, "podman /run/podman/podman.sock"), 30)
    rules = run("nsenter", f"--net=/run/netns/{lab.node}", "nft", "list", "set", "inet", "bulkhead", "inhabited4")
    if lab.status()["ready"] or web.v4 not in rules:
        raise Failure(f"{lab.status()}, {rules}")
    engine.start()
    lab.ready()
    known(lab, web.name)
    lab.stop()
    lab.static()
    start(["auto", {"podman": "off"}, {"static": lab.dir + "/workloads.yaml"}])
    if [s["name"] for s in lab.status()["sources"]] != ["static " + lab.dir + "/workloads.yaml"]:
        raise Failure(f"{lab.status()['sources']}")
    lab.stop()


if __name__ == "__main__":
    Suite("p").main(globals())
