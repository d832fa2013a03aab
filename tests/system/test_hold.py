#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody is unprotected at the start: what a container sends before anybody told us of it is held,
then decided by the policies for it, and neither let through unchecked nor lost."""
import select, socket, time

from lab import Child, Failure, Skip, Suite, wait_for
from shop import queue
from traffic import probe

POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: b, namespace: shop}
spec:
  podSelector: {matchLabels: {app: b}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {may: "yes"}}}], ports: [{port: 5000, protocol: UDP}, {port: 80}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: out, namespace: shop}
spec:
  podSelector: {matchLabels: {may: "yes"}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {}}]}]
"""


def _send(addr, port, text):
    s = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(text.encode(), (addr, port))
    return 1


def _send_from_many_ports(addr, port, n):
    for i in range(n):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.sendto(b"x", (addr, port))
        s.close()
    return n


def _collect(port, seconds):
    """Every datagram that arrives: [text, seconds since the epoch]."""
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", port))
    out, end = [], time.monotonic() + seconds
    while True:
        left = end - time.monotonic()
        if left <= 0 or not select.select([s], [], [], left)[0]:
            return out
        out.append([s.recv(100).decode(), time.time()])


def listen(netns, port, seconds):
    c = Child(netns, _collect, port, seconds)
    time.sleep(0.2)
    return c


def send(src, addr, text, port=5000):
    Child(src.netns, _send, addr, port, text).result()


def late(lab, name, labels):
    """A container that its source has not told of yet; its neighbours answer it already."""
    c = lab.container(name, labels=labels)
    lab.sh(c.netns, "ping -c1 -W1 10.77.0.1 >/dev/null; true")
    return c


def held(lab):
    return sum(q["held"] for q in lab.status()["queues"])


def world(lab, mode):
    b = lab.container("b")
    lab.policy("p.yaml", POLICY)
    lab.start(mode=mode)
    return b


HELD_S = 1.5  # of the two seconds that a packet waits; the rest is for the source to be read


def _send_all(messages):
    for addr, port, text in messages:
        _send(addr, port, text)
    return time.time()


def first_packets(lab, b, attempt):
    """Six first packets of two containers that nobody has told of, at once: what arrived at b and
    outside. None: on a busy machine they waited too long before the source could tell of them."""
    d, e = late(lab, f"d{attempt}", {"may": "yes"}), late(lab, f"e{attempt}", {"may": "no"})
    got, out = listen(b.netns, 5000, 4), listen(lab.out, 5000, 4)
    n, began = held(lab), time.time()
    senders = [
        Child(d.netns, _send_all, [(b.v4, 5000, "allowed"), (b.v6, 5000, "allowed6"),
                                   ("198.51.100.7", 5000, "denied out")]),  # d may talk to the shop only
        Child(e.netns, _send_all, [(b.v4, 5000, "denied"), (b.v6, 5000, "denied6"),
                                   ("198.51.100.7", 5000, "allowed out")])]
    for s in senders:
        s.result()
    while held(lab) - n < 6 and time.time() - began < HELD_S:
        time.sleep(0.05)
    all_held, told = held(lab) - n == 6, time.time()
    lab.static()
    arrived, outside = got.result(), out.result()
    early = [t for t, at in arrived + outside if at < told]
    if early:
        raise Failure(f"passed before its sender was known: {early}")
    return (arrived, outside, e) if all_held and told - began < HELD_S else None


def test_first_packets_wait_and_are_decided_right(lab):
    b = world(lab, "enforce")
    for attempt in range(6):
        r = first_packets(lab, b, attempt)
        if r:
            break
    else:
        raise Failure("not all of the first packets were held, in six attempts")
    arrived, outside, e = r
    if sorted(t for t, _ in arrived) != ["allowed", "allowed6"]:
        raise Failure(f"arrived at b: {arrived}")
    if [t for t, _ in outside] != ["allowed out"]:
        raise Failure(f"arrived outside: {outside}")
    deny = lab.audited("policy-deny", bulkhead__src__name=e.name)
    if not deny:
        raise Failure("the denial is not on record under the container's name")
    mine = [x for x in lab.audit() if x.get("source", {}).get("ip") in (e.v4, e.v6)]
    if any(x["bulkhead"].get("reason") == "unknown-workload" for x in mine):
        raise Failure("decided as unknown although it was told of in time")


def test_connection_in_the_first_moment(lab):
    """TCP: the handshake is delayed, not broken; what is denied never connects."""
    b = world(lab, "enforce")
    b.serve(tcp=[80])
    d, e = late(lab, "d", {"may": "yes"}), late(lab, "e", {"may": "no"})
    yes, no = (Child(c.netns, probe, "tcp", b.v4, 80, 3, 0, None) for c in (d, e))
    time.sleep(0.8)
    lab.static()
    if yes.result() != "open":
        raise Failure("the allowed connection was broken")
    if no.result() != "drop":
        raise Failure("the denied connection was let in")
    early = [r for r in lab.audited("policy-deny") if r["source"]["ip"] == d.v4]
    if early:  # TCP tries again a second later: that alone shows nothing
        raise Failure(f"its first packet was dropped: {early}")


def test_learned_under_its_name(lab):
    """In learn mode the first packet is evidence for the container, not for an address."""
    b = world(lab, "learn")
    d = late(lab, "d", {"app": "d"})
    got = listen(b.netns, 6000, 3)
    send(d, b.v4, "first", 6000)
    time.sleep(0.7)
    lab.static()
    if [t for t, _ in got.result()] != ["first"]:
        raise Failure("the first packet was lost")
    wait_for("its row", lambda: [f for f in lab.flows() if f["src"] == "shop/d" and f["port"] == 6000])


def test_never_told_of(lab):
    """Two seconds at most; then the node's mode decides, on record; an address is waited for once."""
    for mode, passes in (("enforce", False), ("audit", True)):
        if not lab.daemon:
            b = world(lab, mode) if mode == "enforce" else b
        lab.cli("mode", "set", mode)
        x = late(lab, "x" + mode, {})
        c = lab.containers.pop(x.name)  # never in the static file
        out = listen(lab.out, 5000, 4.5)
        begin = time.time()
        send(x, "198.51.100.7", "one")
        wait_for("the wait to end", lambda: [f for f in lab.flows() if f["reason"] == "unknown-workload"
                                             and f["src"] == x.v4], 6)
        send(x, "198.51.100.7", "two")
        arrived = out.result()
        lab.containers[x.name] = c
        if [t for t, _ in arrived] != (["one", "two"] if passes else []):
            raise Failure(f"{mode}: arrived {arrived}")
        if passes and not 1.5 < arrived[0][1] - begin < 3.5:
            raise Failure(f"decided after {arrived[0][1] - begin:.1f} s")
        if passes and arrived[1][1] - arrived[0][1] > 1.5:
            raise Failure("waited for the same address again")
    action = {True: "policy-allow", False: "policy-deny"}
    for passes in (True, False):
        if not [r for r in lab.audited(action[passes]) if r["bulkhead"]["reason"] == "unknown-workload"]:
            raise Failure(f"no {action[passes]} of an unknown workload on record")


def _dropped_by_conntrack(lab):
    return sum(int(w[5:]) for w in lab.sh(lab.node, "conntrack -S").split() if w.startswith("drop="))


def test_a_second_syn_fills_nothing(lab):
    """Nobody answers, so SYNs of one connection wait beside each other: conntrack drops the later, with all its room."""
    b = world(lab, "learn")
    d = late(lab, "d", {})
    lab.sh(d.netns, "iptables -A INPUT -p tcp -j DROP")
    probe_in = Child(b.netns, probe, "tcp", d.v4, 80, 6, 0, None)
    try:
        wait_for("a drop by the kernel", lambda: _dropped_by_conntrack(lab), 6)
    except Failure:
        raise Skip("this kernel makes one flow of both")
    finally:
        probe_in.result()
    time.sleep(2)  # it is looked at once a second
    s = lab.status()
    if s["conntrack"]["dropped"] or [p for p in s["problems"] if "connection tracking" in p] or \
            lab.audited("conntrack.full"):
        raise Failure(f"it is said to be full: {s['conntrack']} {s['problems']}")


def test_bounded(lab):
    """A flood of what nobody knows fills its own place, and costs the others nothing."""
    b = world(lab, "enforce")
    a = lab.container("a", labels={"may": "yes"})
    b.serve(udp=[5000])
    lab.static()
    wait_for("a known", lambda: any(w["name"] == "a" and w["interfaces"] for w in lab.workloads()))
    x = late(lab, "x", {})
    lab.config(mode="enforce", pace={"rate": 0})
    wait_for("no pace", lambda: "update @paced" not in lab.nft())
    for purpose, addr in (("unmatched", b.v4), ("hold", "198.51.100.7")):  # b enforces
        Child(x.netns, _send_from_many_ports, addr, 5000, 3000).result()
        lab.expect([(a, b.v4, "udp", 5000, "open")])
        q = queue(lab, purpose)
        if not 1 <= q["held"] <= 1024 or q["expired"] < 3000 - 1024:
            raise Failure(f"the {purpose} queue: {q}")

        def all_decided():
            q = queue(lab, purpose)
            done = q["accepted"] + q["dropped"] + q["rejected"] + q["repeated"]
            return q["received"] >= 3000 and done == q["received"]
        wait_for("a verdict for each", all_decided, 5)


if __name__ == "__main__":
    Suite("h").main(globals())
