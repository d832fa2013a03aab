#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Docker Engine in a network namespace of its own: containers come and go while bulkheadd
runs, are learned and enforced; the daemon is killed in the middle; the engine restarts."""
import signal

from docker_engine import Docker
from engines import known, problem, with_engine
from lab import Failure, Suite, run, wait_for

def edges(lab):
    return {(e["src"], e["dst"], e["protocol"], e["port"]) for e in lab.api("learn", "status")["edges"]
            if e["answered"]}


def prepare(lab, engine):
    engine.start()
    engine.image()
    engine.docker("network", "create", "--ipv6", "--subnet", "172.28.0.0/24",
                  "--subnet", "fd00:28::/64", "shop")
    lab.config(mode="learn", sources=[{"docker": engine.sock}])


with_docker = with_engine(Docker, prepare)


@with_docker
def test_whole_job(lab, engine):
    lab.serve(lab.out, tcp=[443])
    lab.start()
    web = engine.compose("web")
    api = engine.compose("api", cmd=("httpd", "-f", "-p", "8080", "-h", "/"))
    db = engine.compose("db")
    lab.serve(api.netns, tcp=[9000, 9001])
    lab.serve(db.netns, tcp=[5432], udp=[5353])
    for c in (web, api, db):
        w = known(lab, c.name)
        i = w["interfaces"][0]
        want = {"namespace": "shop", "runtime": "docker", "image": "shop:1", "pid": c.pid, "id": c.id}
        for k, v in want.items():
            if w[k] != v:
                raise Failure(f"{c.name}: {k} is {w[k]!r}, expected {v!r}")
        if not w["digest"].startswith("sha256:") or c.v4 not in i["addresses"] or c.v6 not in i["addresses"]:
            raise Failure(f"{c.name}: {w}")
        if i["host_name"] not in lab.sh(lab.node, "ip -o link") or not i["bridge"].startswith("br-"):
            raise Failure(f"{c.name}: {i}")
    # Learn: a real container's own request (by address: static programs have no resolver), and more.
    hello = ("sh", "-c", f"printf 'GET /hello HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {api.v4} 8080")
    code, out = web.exec(*hello)
    if code or "hello from the container" not in out:
        raise Failure(f"a request in learn mode: {code} {out}")
    traffic = [(web, api.v4, "tcp", 9000, "open"), (api, db.v6, "tcp", 5432, "open"),
               (api, db.v4, "udp", 5353, "open"), (web, "203.0.113.9", "tcp", 443, "open")]
    # The outside needs a way back to the masqueraded node only; published ports come below.
    lab.expect(traffic)
    want = {("shop/web", "shop/api", "tcp", 8080), ("shop/web", "shop/api", "tcp", 9000),
            ("shop/api", "shop/db", "tcp", 5432), ("shop/api", "shop/db", "udp", 5353),
            ("shop/web", "203.0.113.9", "tcp", 443)}
    wait_for("the edges", lambda: edges(lab) >= want)
    path = lab.write("learned.yaml", lab.cli("learn", "export"))
    lab.cli("policy", "apply", path)
    lab.cli("mode", "set", "enforce")

    # Enforce: what was learned passes, all else does not; a rogue started now reaches nothing.
    rogue = engine.run("rogue", "--network", "shop")
    known(lab, "rogue")
    denied = [(rogue, api.v4, "tcp", 9000, "drop"), (rogue, db.v6, "tcp", 5432, "drop"),
              (web, db.v4, "tcp", 5432, "drop"), (web, api.v4, "tcp", 9001, "drop"),
              (db, "203.0.113.9", "tcp", 443, "drop")]
    lab.expect(traffic + denied)
    code, out = web.exec(*hello)
    if "hello from the container" not in out:
        raise Failure(f"the learned request is denied: {out}")
    code, out = rogue.exec(*hello)
    if "hello" in out:
        raise Failure("the rogue's request passed")
    wait_for("the rogue on record", lambda: lab.audited("policy-deny", bulkhead__src__name="rogue"))

    # SIGKILL in the middle.
    held = lab.hold(web, api.v4, 9000)
    lab.stop(signal.SIGKILL)
    if not held.alive():
        raise Failure("an allowed connection died with the daemon")
    lab.expect(traffic + denied)
    late = engine.compose("web", number=2)  # started while nobody looks
    lab.start()
    known(lab, late.name)
    if not held.alive():
        raise Failure("an allowed connection was cut by the restart")
    lab.expect(traffic + denied + [(late, api.v4, "tcp", 9000, "open"), (late, db.v4, "tcp", 5432, "drop")])

    # The engine restarts: what is in force stays, and it is followed again afterwards.
    engine.stop()
    wait_for("status names the engine", lambda: problem(lab, "docker.sock"))
    lab.expect(traffic + denied)
    engine.start()
    wait_for("the engine is back", lambda: not problem(lab, "docker.sock"), 30)
    lab.expect(traffic + denied)


@with_docker
def test_address_reuse_gives_no_rights(lab, engine):
    """A new container on the address of one that is gone is somebody else."""
    lab.config(mode="enforce", sources=[{"docker": engine.sock}])
    lab.policy("api.yaml", """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: api, namespace: shop}
spec:
  podSelector: {matchLabels: {com.docker.compose.service: api}}
  ingress: [{from: [{podSelector: {matchLabels: {com.docker.compose.service: web}}}], ports: [{port: 9000}]}]
""")
    lab.start()
    web, api = engine.compose("web", "--ip", "172.28.0.50"), engine.compose("api")
    server = lab.serve(api.netns, tcp=[9000])
    known(lab, web.name)
    known(lab, api.name)
    lab.expect([(web, api.v4, "tcp", 9000, "open"), (web, api.v6, "tcp", 9000, "open")])
    engine.docker("rm", "-f", web.id)
    other = engine.compose("other", "--ip", "172.28.0.50")
    known(lab, other.name)
    if other.v4 != "172.28.0.50":
        raise Failure("the address was not reused: " + other.v4)
    lab.expect([(other, api.v4, "tcp", 9000, "drop"), (other, api.v6, "tcp", 9000, "drop")])
    known(lab, web.name, gone=True)


@with_docker
def test_networks_and_shared_namespaces(lab, engine):
    """A second network joined while running, a container in another's namespace, host and none."""
    lab.start()
    a = engine.compose("a")
    known(lab, a.name)
    engine.docker("network", "create", "--subnet", "172.29.0.0/24", "second")
    engine.docker("network", "connect", "second", a.id)
    wait_for("the second interface", lambda: len(known(lab, a.name)["interfaces"]) == 2)
    engine.run("sidecar", "--network", "container:" + a.id)
    engine.run("on-host", "--network", "host")
    engine.run("alone", "--network", "none")
    wait_for("on-host known", lambda: any(w["name"] == "on-host" for w in lab.workloads()))
    all_of = {w["name"]: w for w in lab.workloads()}
    if not all_of["on-host"]["unenforceable"]:
        raise Failure("a container in the host's network is shown as enforceable")
    # Around the hooks: past the node's bridge, whatever the container has besides.
    kinds = [("macvlan", "198.51.100.0/24")]
    try:
        lab.sh(lab.out, "ip link add has-it link eth0 type ipvlan\nip link del has-it")
        kinds.append(("ipvlan", "203.0.113.0/24"))
    except Failure:
        print("skip - ipvlan: this kernel has none", flush=True)
    for kind, subnet in kinds:
        engine.docker("network", "create", "-d", kind, "-o", "parent=up0", "--subnet", subnet, kind)
        engine.run("on-" + kind, "--network", kind)
        w = wait_for(f"on-{kind} known", lambda: [w for w in lab.workloads() if w["name"] == "on-" + kind])[0]
        if f"is {kind}: its traffic does not pass" not in (w["unenforceable"] or ""):
            raise Failure(f"on-{kind}: {w}")
        engine.docker("rm", "-f", "on-" + kind)  # one device at a time on up0
    lines = [l for l in lab.cli("status").splitlines() if "NOT ENFORCED" in l]
    if len(lines) != 1 or "default/on-host: shares the host's network" not in lines[0]:
        raise Failure(f"status: {lines}")
    if all_of["alone"]["unenforceable"] or all_of["alone"]["interfaces"]:
        raise Failure(f"without a network: {all_of['alone']}")
    # A container may change its MAC and addresses as it likes: the kernel tells.
    run("nsenter", "--net=" + a.netns, "sh", "-c", "ip link set eth0 down; ip link set eth0 address 02:00:00:00:be:ef; ip link set eth0 up")
    wait_for("the new MAC", lambda: known(lab, a.name)["interfaces"][0]["mac"] == "02:00:00:00:be:ef")
    shared = [w for w in lab.workloads() if w["name"] in ("sidecar", a.name)]
    if len(shared) != 1:
        raise Failure(f"a shared namespace must be one workload: {shared}")
    engine.docker("network", "disconnect", "second", a.id)
    wait_for("one interface again", lambda: len(known(lab, a.name)["interfaces"]) == 1)


@with_docker
def test_published_port(lab, engine):
    lab.start()
    web = engine.compose("web", "-p", "8080:80")
    lab.serve(web.netns, tcp=[80])
    known(lab, web.name)
    lab.expect([(lab.out, "192.0.2.1", "tcp", 8080, "open")])
    wait_for("the edge", lambda: ("192.0.2.2", "shop/web", "tcp", 80) in edges(lab))
    lab.cli("policy", "apply", lab.write("learned.yaml", lab.cli("learn", "export")))
    lab.cli("mode", "set", "enforce")
    lab.expect([(lab.out, "192.0.2.1", "tcp", 8080, "open")])
    got = lab.probe(lab.out, "192.0.2.1", "tcp", 8080, source="203.0.113.9")
    if got != "drop":
        raise Failure(f"another outside address reaches the published port: {got}")


if __name__ == "__main__":
    Suite("k").main(globals())
