#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real containerd with its CRI plugin in a network namespace of its own, with CNI's bridge: pods
come and go while bulkheadd runs, and a policy between them is enforced on real packets."""
import json, os, signal, subprocess, sys, time

import engines
from containerd_engine import IMAGE, PAUSE, PROXY, Containerd
from engines import named, problem, with_engine
from lab import Failure, Suite, wait_for


def prepare(lab, runtime):
    runtime.start()
    runtime.image(PAUSE)
    runtime.digest = runtime.image(IMAGE)
    runtime.proxy_digest = runtime.image(PROXY)
    lab.config(mode="learn", sources=[{"cri": runtime.sock}])


with_containerd = with_engine(Containerd, prepare)


def known(lab, name):
    """CRI tells the image after the pod."""
    return wait_for(name + " with its image", lambda: (lambda w: w["image"] and w)(engines.known(lab, name)))


POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: api, namespace: shop}
spec:
  podSelector: {matchLabels: {app: api}}
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: http}]}]
"""


def several_images(lab, runtime):
    """A pod is found by the image of its sidecar too, and shows both."""
    want = [{"image": IMAGE, "digest": runtime.digest}, {"image": PROXY, "digest": runtime.proxy_digest}]
    wait_for("both images", lambda: known(lab, "web")["images"] == want)

    def found(*filters):
        return [w["name"] for w in lab.api("ps", *filters)["workloads"]]
    for by in (["--image", PROXY], ["--digest", runtime.proxy_digest],
               ["--image", PROXY, "--registry", "registry.example"]):
        if found(*by) != ["web"]:
            raise Failure(f"{by}: {found(*by)}")
    if found("--image", IMAGE, "--digest", runtime.proxy_digest):
        raise Failure("what is asked of an image holds for two together")
    shown = lab.cli("workload", "show", "shop/web")
    if PROXY not in shown or "(+1)" not in lab.cli("ps"):
        raise Failure(shown)
    impact = lab.api("impact", PROXY)
    if [e["name"] for e in impact["affected"]] != ["web"]:
        raise Failure(f"impact of the sidecar's image: {impact}")
    running = {s["image"]: [r["name"] for r in s["running"]] for s in impact["siblings"]}
    if running.get(PROXY) != ["web"] or "api" not in running.get(IMAGE, []):
        raise Failure(f"what runs of its images: {running}")


@with_containerd
def test_whole_job(lab, runtime):
    lab.start()
    ports = [{"name": "http", "containerPort": 9000, "protocol": "TCP"}]
    web = runtime.run("web", labels={"tier": "front"}, containers=(("main", IMAGE), ("sidecar", PROXY)))
    api = runtime.run("api", ports=ports)
    rogue = runtime.run("rogue", namespace="other")
    host = runtime.run("on-host", host=True)
    for p in (web, api, rogue):
        w, i = known(lab, p.name), known(lab, p.name)["interfaces"][0]
        want = {"namespace": "other" if p is rogue else "shop", "runtime": "containerd", "image": IMAGE,
                "digest": runtime.digest, "id": p.id, "pid": p.pid}
        for k, v in want.items():
            if w[k] != v:
                raise Failure(f"{p.name}: {k} is {w[k]!r}, expected {v!r}")
        if not set(p.ips) <= set(i["addresses"]) or len(p.ips) != 2 or i["bridge"] != "cni0":
            raise Failure(f"{p.name}: {p.ips} {i}")
        if i["host_name"] not in lab.sh(lab.node, "ip -o link"):
            raise Failure(f"{p.name}: {i}")
    several_images(lab, runtime)
    w = known(lab, "web")
    if w["labels"] != {"app": "web", "tier": "front", "bulkhead.io/name": "web"}:
        raise Failure(f"labels: {w['labels']}")
    wait_for("the pod in the host's network", lambda: named(lab, "on-host"))
    if "host" not in (named(lab, "on-host")[0]["unenforceable"] or ""):
        raise Failure(f"a pod in the host's network is shown as enforceable: {named(lab, 'on-host')}")
    if len(lab.workloads()) != 4:
        raise Failure(f"each pod is one workload, and the pause containers are none: {lab.workloads()}")

    # Enforced between them, by a named port that the pod declares.
    lab.policy("api.yaml", POLICY)
    lab.config(mode="enforce", sources=[{"cri": runtime.sock}])
    lab.serve(api.netns, tcp=[9000, 9001])
    traffic = [(web, api.v4, "tcp", 9000, "open"), (web, api.v6, "tcp", 9000, "open")]
    denied = [(web, api.v4, "tcp", 9001, "drop"), (web, api.v6, "tcp", 9001, "drop"),
              (rogue, api.v4, "tcp", 9000, "drop"), (rogue, api.v6, "tcp", 9000, "drop")]
    wait_for("enforced", lambda: lab.status()["mode"] == "enforce" and not lab.probes(denied))
    lab.expect(traffic + denied)
    wait_for("the rogue on record", lambda: lab.audited("policy-deny", bulkhead__src__name="rogue"))

    # The runtime restarts: what is in force stays, and it is followed again afterwards.
    runtime.stop(signal.SIGKILL)
    wait_for("status names the runtime", lambda: problem(lab, runtime.sock))
    if "retrying in" not in problem(lab, runtime.sock)[0]:
        raise Failure(problem(lab, runtime.sock))
    lab.expect(traffic + denied)
    runtime.start()
    wait_for("the runtime is back", lambda: not problem(lab, runtime.sock), 30)
    lab.expect(traffic + denied)

    # Gone is gone, with all its images on record, although one of its containers ended before the other; its
    # namesake is another, and governed like it.
    runtime.end_container(web, "main")
    wait_for("only the sidecar", lambda: [i["image"] for i in known(lab, "web")["images"]] == [PROXY])
    runtime.remove(web)
    wait_for("web gone", lambda: not named(lab, "web"))
    gone = [w for w in lab.api("ps", "--all", "--image", PROXY)["workloads"] if w["state"] == "gone"]
    if [w["name"] for w in gone] != ["web"] or len(gone[0]["images"]) != 2:
        raise Failure(f"who is gone had the sidecar's image: {gone}")
    again = runtime.run("web")
    wait_for("web again", lambda: named(lab, "web") and named(lab, "web")[0]["id"] == again.id)
    lab.expect([(again, api.v4, "tcp", 9000, "open"), (again, api.v4, "tcp", 9001, "drop")])

    # The socket vanishes and comes back; the daemon starts anew meanwhile and waits for it.
    os.rename(runtime.sock, runtime.sock + ".away")
    wait_for("status names the socket", lambda: problem(lab, runtime.sock))
    lab.stop()
    lab.start(wait=False)
    wait_for("a message", lambda: os.path.exists(lab.dir + "/bulkhead.sock") and problem(lab, runtime.sock))
    lab.expect([(again, api.v4, "tcp", 9000, "open"), (rogue, api.v4, "tcp", 9000, "drop")])
    os.rename(runtime.sock + ".away", runtime.sock)
    lab.ready()
    known(lab, "api")
    lab.expect([(again, api.v4, "tcp", 9000, "open"), (rogue, api.v4, "tcp", 9000, "drop")])


def test_without_cri(lab):
    """Docker's containerd may have the plugin switched off: said so where it was configured."""
    runtime = Containerd(lab)
    try:
        runtime.configure(disabled=["io.containerd.grpc.v1.cri"])
        runtime.start(cri=False)
        lab.config(mode="learn", sources=[{"cri": runtime.sock}])
        lab.start(wait=False)
        wait_for("the message", lambda: os.path.exists(lab.dir + "/bulkhead.sock") and
                 [p for p in problem(lab, runtime.sock) if "has no CRI v1" in p])
        runtime.stop()
        runtime.configure()
        runtime.start()
        lab.ready()
        wait_for("no problem any more", lambda: not problem(lab, runtime.sock))
        lab.stop()
    finally:
        runtime.close()


def test_crio_with_events(lab):
    """CRI-O as played by cri/crio.py: pods by the path of their namespace, and a stream of events,
    after whose first word lists without cause become rare."""
    state = {"event": 0, "pods": {}}
    path, sock = lab.dir + "/crio.json", lab.dir + "/crio.sock"

    def show(*names):
        for n in names:
            c = lab.containers[n]
            state["pods"]["pod-" + n] = {"name": n, "namespace": "shop", "labels": {"app": n},
                                         "netns": c.netns, "ip": c.v4}
        state["event"] += 1
        lab.write("crio.json", json.dumps(state))

    def lists():
        with open(path + ".count") as f:
            return int(f.read())
    web, api, rogue = (lab.container(n) for n in ("web", "api", "rogue"))
    api.serve(tcp=[9000])
    show("web", "api")
    server = subprocess.Popen([os.path.join(os.path.dirname(os.path.abspath(__file__)), "cri/crio.py"), sock, path], stdout=sys.stderr)
    try:
        lab.policy("api.yaml", POLICY.replace("port: http", "port: 9000"))
        lab.start(mode="enforce", sources=[{"cri": sock}])
        w = wait_for("web", lambda: known(lab, "web"))
        if (w["runtime"], w["image"], w["digest"]) != ("cri-o", "localhost/shop:1", "sha256:" + "d" * 64):
            raise Failure(w)
        show("rogue")
        known(lab, "rogue")
        lab.expect([(web, api.v4, "tcp", 9000, "open"), (rogue, api.v4, "tcp", 9000, "drop")])
        before = lists()
        time.sleep(4)  # four polls, were it not for the events
        if lists() > before + 2:
            raise Failure(f"{lists() - before} lists in four quiet seconds")
        del state["pods"]["pod-web"]
        show()
        wait_for("web gone", lambda: not named(lab, "web"), 8)  # before the next list without cause
        server.kill()
        server.wait()
        wait_for("status names the runtime", lambda: any("crio.sock" in p for p in lab.status()["problems"]))
        if not named(lab, "rogue"):
            raise Failure("the last good inventory is gone")
        lab.expect([(rogue, api.v4, "tcp", 9000, "drop")])
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    Suite("c").main(globals())
