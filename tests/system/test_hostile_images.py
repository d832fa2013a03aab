#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image says of itself reaches the daemon by the engine's answers: labels without end, texts of
megabytes. None of it hides its container from the policies, nor anybody else's."""
from fake_docker import FakeDocker
from lab import Failure, Suite, wait_for

POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: mute, namespace: shop}
spec: {podSelector: {matchLabels: {app: evil}}, policyTypes: [Egress], egress: []}
"""
OTHERS = {"mode": "learn", "modes": [{"namespace": "shop", "mode": "enforce"}]}


def with_engine(fn):
    """A node that learns, so that who is not known passes; what is in namespace shop is enforced."""
    def test(lab):
        engine = FakeDocker(lab)
        lab.count = 240
        try:
            engine.start()
            lab.config(sources=[{"docker": engine.sock}, {"static": lab.dir + "/workloads.yaml"}], **OTHERS)
            lab.policy("mute.yaml", POLICY)
            fn(lab, engine)
        finally:
            engine.close()
    test.__name__ = fn.__name__
    return test


def known(lab, names):
    return wait_for(f"{names} are known", lambda: set(names) <= {w["name"] for w in lab.workloads()})


def memory(lab, key):
    for line in open(f"/proc/{lab.daemon.pid}/status"):
        if line.startswith(key + ":"):
            return int(line.split()[1]) >> 10
    raise Failure(f"no {key}")


@with_engine
def test_texts_of_megabytes(lab, engine):
    """In the list of all containers, in its own answer, and in its events."""
    target = lab.container("target")
    target.serve(tcp=[8000])
    lab.start()
    big = {"app": "evil", "a": "x" * (20 << 20), "b": "\\\"]}" * (4 << 20)}
    evil, = engine.run([1], lambda n: big)
    innocent, = engine.run([2])
    known(lab, ["c1", "c2"])
    lab.expect([(evil, target.v4, "tcp", 8000, "drop"), (innocent, target.v4, "tcp", 8000, "open")])
    # Nor is the list too much at a start: what enforces is in force again at once.
    lab.stop()
    lab.start()
    known(lab, ["c1", "c2"])
    lab.expect([(evil, target.v4, "tcp", 8000, "drop"), (innocent, target.v4, "tcp", 8000, "open")])
    if lab.status()["problems"]:
        raise Failure(lab.cli("status"))
    if memory(lab, "VmHWM") > 150:
        raise Failure(f"it took {memory(lab, 'VmHWM')} MiB")


@with_engine
def test_a_list_of_hundreds_of_megabytes(lab, engine):
    """Some containers of such an image, and the list of all is longer than anybody would expect: who is there when the
    daemon starts is known all the same."""
    big = {"app": "evil", "a": "x" * (40 << 20)}
    engine.run(range(1, 8), lambda n: big)
    engine.run([8])
    lab.start()
    known(lab, [f"c{n}" for n in range(1, 9)])
    if lab.status()["problems"]:
        raise Failure(lab.cli("status"))
    if memory(lab, "VmHWM") > 150:
        raise Failure(f"it took {memory(lab, 'VmHWM')} MiB")


@with_engine
def test_labels_without_end(lab, engine):
    """An image has more labels than a workload may have, and some that are none: its container's own ones count."""
    target = lab.container("target")
    target.serve(tcp=[8000])
    lab.start()
    hostile = {f"a{i}": "b" for i in range(3000)} | {"a\0": "x", "zz": "a\0b", "\u202e": "\ud83d\ude00"}
    evil, = engine.run([1], lambda n: {"app": "evil"}, image_labels=hostile)
    known(lab, ["c1"])
    lab.expect([(evil, target.v4, "tcp", 8000, "drop"), (evil, target.v6, "tcp", 8000, "drop")])
    if lab.status()["problems"]:
        raise Failure(lab.cli("status"))


WEB_ONLY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: target, namespace: shop}
spec: {podSelector: {matchLabels: {app: target}}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}
"""


@with_engine
def test_labels_of_an_image(lab, engine):
    """An image that says of itself that it is web of the shop: it is, unless `image_labels: ignore` says that what
    images say does not count. What compose makes is in its project in both cases."""
    target = lab.container("target")
    target.serve(tcp=[8000])
    lab.policy("web.yaml", WEB_ONLY)
    lab.start()
    claims = {"bulkhead.io/namespace": "shop", "com.docker.compose.project": "shop", "app": "web"}
    evil, = engine.run([1], lambda n: {}, project=None, image_labels=claims)
    web, = engine.run([2], lambda n: {"app": "web", "com.docker.compose.config-hash": "ab"},
                      image_labels={"com.docker.compose.project": "shop"})
    for ignore in (False, True):
        if ignore:
            lab.stop()
            lab.start(image_labels="ignore", sources=[{"docker": engine.sock}, {"static": lab.dir + "/workloads.yaml"}],
                      **OTHERS)
        known(lab, ["c1", "c2"])
        spaces = {w["name"]: w["namespace"] for w in lab.workloads()}
        if spaces["c1"] != ("default" if ignore else "shop") or spaces["c2"] != "shop":
            raise Failure(f"{ignore}: {spaces}")
        lab.expect([(evil, target.v4, "tcp", 8000, "drop" if ignore else "open"),
                    (web, target.v4, "tcp", 8000, "open")])
    # Of an image that is gone nothing is known; once it is pulled again its labels are known again.
    engine.deleted.add(evil.image_id())
    lab.stop()
    lab.start()
    known(lab, ["c1", "c2"])
    engine.deleted.clear()
    engine.run([3], lambda n: {}, project=None, image_labels=claims)
    known(lab, ["c1", "c2", "c3"])
    spaces = {w["name"]: w["namespace"] for w in lab.workloads()}
    if (spaces["c1"], spaces["c3"]) != ("shop", "default"):
        raise Failure(f"deleted, and pulled again: {spaces}")


if __name__ == "__main__":
    Suite("h").main(globals())
