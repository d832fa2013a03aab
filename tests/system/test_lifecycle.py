#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers come and go in bursts, addresses change hands, the engine restarts, vanishes and lies, the
daemon is killed in between: each ends in the right state, and nobody gets rights that are not his."""
import random, re, signal, socket, time

from fake_docker import FakeDocker
from lab import Child, Failure, Suite, run, wait_for

POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: api, namespace: shop}
spec:
  podSelector: {matchLabels: {app: api}}
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 9000}, {port: 9000, protocol: UDP}]}]
"""


def with_engine(fn):
    def test(lab):
        engine = FakeDocker(lab)
        lab.count = 240
        try:
            engine.start()
            lab.config(mode="enforce", sources=[{"docker": engine.sock}, {"static": lab.dir + "/workloads.yaml"}])
            lab.policy("api.yaml", POLICY)
            fn(lab, engine)
        finally:
            engine.close()
    test.__name__ = fn.__name__
    return test


def names(lab):
    return {w["name"] for w in lab.workloads() if w["interfaces"] and not w["unenforceable"]}


def governed(lab):
    """The addresses that rules mean; what was denied lately is remembered elsewhere, for a while."""
    out = run("nsenter", f"--net=/run/netns/{lab.node}", "nft", "list", "set", "inet", "bulkhead", "inhabited4")
    return set(re.findall(r"\d+\.\d+\.\d+\.\d+", out))


def expect_exactly(lab, api, there, timeout=60):
    """Those are known and can do what policy says; of others nothing is left."""
    want = {c.name for c in there} | {api.name}
    wait_for(f"{len(want)} workloads", lambda: names(lab) == want and lab.status()["ready"], timeout, 0.2)
    some = random.Random(1).sample(there, min(6, len(there)))
    table = [(c, api.v4, "tcp", 9000, "open" if c.labels["app"] == "web" else "drop") for c in some]
    table += [(c, api.v4, "tcp", 9001, "drop") for c in some[:2]]
    lab.expect(table, 2.0)
    wrong = governed(lab) ^ {c.v4 for c in there} ^ {api.v4}
    if wrong:
        raise Failure(f"in the rules and not there, or the reverse: {sorted(wrong)}")


@with_engine
def test_burst(lab, engine):
    """200 at once, twice; with the engine restarting in the second, and the daemon killed."""
    api = lab.container("api")
    api.serve(tcp=[9000, 9001])
    lab.start()
    first = engine.run(range(1, 201), lambda n: {"app": "web" if n % 2 else "other"})
    expect_exactly(lab, api, first)
    engine.remove(first)
    expect_exactly(lab, api, [])
    second = engine.run(range(301, 401))
    engine.stop()
    more = engine.run(range(401, 451))  # nobody tells of them
    engine.remove(second[:50])
    engine.start()
    lab.stop(signal.SIGKILL)
    more += engine.run(range(451, 501))
    engine.remove(more[:20])
    lab.start()
    expect_exactly(lab, api, second[50:] + more[20:])
    engine.remove(second[50:] + more[20:])
    expect_exactly(lab, api, [])


@with_engine
def test_bad_answers(lab, engine):
    """What was last known stays in force; the source is named; it is asked again, without being told to."""
    api = lab.container("api")
    api.serve(tcp=[9000, 9001])
    lab.start()
    web = engine.run([1])
    expect_exactly(lab, api, web)

    def told(*words):
        return [p for p in lab.status()["problems"] if engine.sock in p and all(w in p for w in words)]

    def stays(*words):
        lab.daemon.send_signal(signal.SIGHUP)  # at once, not when the time for the next attempt has come
        wait_for(f"{words} is told", lambda: told("retrying in", *words), 30)
        lab.expect([(web[0], api.v4, "tcp", 9000, "open"), (web[0], api.v4, "tcp", 9001, "drop")])
        if names(lab) != {"api", "c1"}:
            raise Failure(f"{names(lab)}")
    for lie, words in (("truncated", "not JSON"), ("huge", "larger than allowed")):
        engine.stop()
        engine.lie = lie
        engine.start()
        stays(words)
    engine.stop(keep_socket=True)
    stays("cannot connect", "refused")
    engine.stop()
    stays("cannot connect", "No such file")
    late = engine.run([2])
    engine.lie = None
    engine.start()
    wait_for("all is well", lambda: not told(), 30)
    expect_exactly(lab, api, web + late)


def test_silent_source(lab):
    """It accepts and says nothing. On a fresh node the others do not wait for it for long; after a restart
    the rules that are in force stay until it has spoken."""
    path = lab.dir + "/silent.sock"
    silent = socket.socket(socket.AF_UNIX)
    silent.bind(path)
    silent.listen(64)
    api, other = lab.container("api"), lab.container("other")
    api.serve(tcp=[9000])
    lab.policy("api.yaml", POLICY)
    lab.config(mode="enforce", sources=[{"docker": path}, {"static": lab.dir + "/workloads.yaml"}])
    lab.start()
    lab.expect([(other, api.v4, "tcp", 9000, "drop")])
    wait_for("it is named", lambda: [p for p in lab.status()["problems"] if path in p])
    lab.stop(signal.SIGKILL)
    lab.start(wait=False)
    wait_for("it answers", lambda: lab.cli("status", check=False).returncode in (0, 1), 30)
    time.sleep(6)  # longer than a fresh node waits
    if lab.status()["ready"] or governed(lab) != {api.v4, other.v4}:
        raise Failure(f"{lab.status()}")
    lab.expect([(other, api.v4, "tcp", 9000, "drop")])
    silent.close()


def _ask(addr, port, sport, n):
    """Datagrams from a port of our choice: how many were answered."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("0.0.0.0", sport))
    s.settimeout(0.1)
    got = 0
    for _ in range(n):
        try:
            s.sendto(b"x", (addr, port))
            got += s.recv(100) == b"x"
        except OSError:
            pass
    return got


def tracked(lab, addr):
    out = run("nsenter", f"--net=/run/netns/{lab.node}", "conntrack", "-L", check=False)
    return [l for l in out.splitlines() if f"={addr} " in l]


def test_gone_leaves_no_flows(lab):
    """Nothing forbids these flows, before or after: they go because whose they were is gone."""
    one, two, three = (lab.container(n) for n in ("one", "two", "three"))
    two.serve(tcp=[9000], udp=[9000])
    one.serve(udp=[7000])
    lab.serve(lab.out, udp=[53])
    lab.start(mode="enforce")
    wait_for("known", lambda: names(lab) == {"one", "two", "three"})
    held, other = lab.hold(one, two.v4, 9000), lab.hold(three, two.v4, 9000)
    lab.expect([(one, two.v4, "udp", 9000, "open"), (two, one.v4, "udp", 7000, "open"),
                (one, "203.0.113.9", "udp", 53, "open"), (three, two.v4, "udp", 9000, "open")])
    if len(tracked(lab, one.v4)) < 4:
        raise Failure(f"the test's own flows are missing: {tracked(lab, one.v4)}")
    lab.remove("one")
    lab.static()
    wait_for("it is gone", lambda: names(lab) == {"two", "three"})
    wait_for("its flows are gone", lambda: not tracked(lab, one.v4))
    if not other.alive() or not tracked(lab, three.v4):
        raise Failure("another's flow was removed")
    held.close()


def test_reuse_within_a_second(lab):
    """The next one has the address, the veth's name and MAC, and the ports of the one before: it gets an
    answer never, neither before the daemon knows it nor afterwards."""
    api = lab.container("api")
    api.serve(udp=[9000])
    lab.policy("api.yaml", POLICY)
    lab.start(mode="enforce")
    wait_for("known", lambda: "api" in names(lab))
    for i in range(4):
        old = lab.container("web")
        n = lab.count
        lab.static()
        wait_for("the old one is known", lambda: "web" in names(lab))
        if Child(old.netns, _ask, api.v4, 9000, 40000, 10).result() == 0:
            raise Failure("the old one gets no answer")
        mac = lab.sh(old.netns, "cat /sys/class/net/eth0/address").strip() if i % 2 else None
        lab.remove("web")
        wait_for("its veth is gone", lambda: f"v{n}-" not in lab.sh(lab.node, "ip -o link"), step=0.001)
        lab.count = n - 1  # the same address and the same veth name
        new = lab.container("other")
        if mac:
            lab.sh(new.netns, f"ip link set eth0 address {mac}")
        if new.v4 != old.v4:
            raise Failure("the address is another")
        got = Child(new.netns, _ask, api.v4, 9000, 40000, 3).result()
        lab.static()
        got += Child(new.netns, _ask, api.v4, 9000, 40000, 5).result()
        wait_for("the new one is known", lambda: names(lab) == {"api", "other"})
        got += Child(new.netns, _ask, api.v4, 9000, 40000, 3).result()
        if got:
            raise Failure(f"round {i}: the new one got {got} answers")
        lab.remove("other")
        lab.static()


if __name__ == "__main__":
    Suite("l").main(globals())
