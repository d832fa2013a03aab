#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that a helper of conntrack expects because a packet announced them (FTP's data, IRC's DCC): policy
decides about them as about any other, whoever was announced. The kernel's helpers for real; whether there are
expectations is looked up, and that without rules they come through."""
import os, socket, time

from lab import Child, Failure, Skip, Suite, run, wait_for

POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: c, namespace: shop}
spec:
  podSelector: {matchLabels: {app: c}}
  ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}], ports: [{port: 2200}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: d, namespace: shop}
spec:
  podSelector: {matchLabels: {app: d}}
  policyTypes: [Egress]
  egress: []
"""
ALLOW = POLICY.replace("ingress: [{", "ingress: [{from: [{ipBlock: {cidr: 198.51.100.0/24}}, {ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 2200}]}, {")
OUTSIDE = "198.51.100.7"


def _announce(addr, port, text, ready, go):
    s = socket.create_connection((addr, port), timeout=5)
    s.settimeout(5)
    for line in (b"USER c\r\n", text):  # FTP's helper wants a whole line to have been said before
        s.sendall(line)
        got = s.recv(1000)
    os.write(ready, b"1" if got else b"0")
    os.read(go, 1)


class Announced:
    """c's control connection to the outside, on which it said `text`."""

    def __init__(self, lab, c, port, text):
        self.lab = lab
        self.r, w = os.pipe()
        r, self.go = os.pipe()
        self.child = Child(c.netns, _announce, OUTSIDE, port, text, w, r)
        os.close(w)
        os.close(r)
        lab.children.append(self.child)
        if os.read(self.r, 1) != b"1":
            raise Failure("no control connection: " + str(self.child.result()))

    def expected(self):
        return self.lab.sh(self.lab.node, "cat /proc/net/nf_conntrack_expect").splitlines()

    def end(self):
        os.write(self.go, b"q")
        os.close(self.go)
        os.close(self.r)
        self.child.result()


def world(lab):
    c, d, friend = (lab.container(n) for n in ("c", "d", "friend"))
    c.serve(tcp=[2200, 2201])
    lab.serve(lab.out, tcp=[21, 6667])
    for helper, port in (("ftp", 21), ("irc", 6667)):
        try:
            lab.sh(lab.node, f"iptables -t raw -A PREROUTING -p tcp --dport {port} -j CT --helper {helper}")
        except Failure as e:
            raise Skip(f"no conntrack helper for {helper}: {e}")
    lab.policy("p.yaml", POLICY)
    return c, d, friend


def ftp(lab, c, port):
    text = "PORT %s,%d,%d\r\n" % (c.v4.replace(".", ","), port >> 8, port & 255)
    a = Announced(lab, c, 21, text.encode())
    if not a.expected():
        raise Failure("the helper expects nothing: the test shows nothing")
    return a


def dcc(lab, c, port):
    """Whoever connects is expected."""
    number = int.from_bytes(socket.inet_aton(c.v4), "big")
    a = Announced(lab, c, 6667, b"PRIVMSG bob :\1DCC SEND file %d %d\1\n" % (number, port))
    if not a.expected():
        raise Failure("the helper expects nothing: the test shows nothing")
    return a


def reached(lab, src, c, port, announce):
    """The announced connection, and whether conntrack took it for the expected one."""
    a = announce(lab, c, port)
    got = lab.probe(src, c.v4, "tcp", port, source=OUTSIDE if src == lab.out else None)
    taken = not a.expected()
    a.end()
    return got, taken


def both_ways(lab, src, announce):
    c, d, friend = world(lab)
    src = {"out": lab.out, "d": d}[src]
    got, taken = reached(lab, src, c, 2201, announce)
    if (got, taken) != ("open", True):
        raise Failure(f"without rules: {got}, taken for the expected one: {taken}: the test shows nothing")
    lab.start(mode="enforce")
    got, _ = reached(lab, src, c, 2201, announce)
    if got != "drop":
        raise Failure(f"what policy denies is {got} once it was announced")
    wait_for("the denial on record", lambda: lab.audited("policy-deny", destination__port=2201))
    return c, d, friend


def test_who_is_outside_gets_in_by_no_announcement(lab):
    """FTP's PORT: c, which nobody outside may reach, asks to be called back."""
    c, d, friend = both_ways(lab, "out", ftp)
    lab.policy("p.yaml", ALLOW)
    wait_for("allowed by a rule", lambda: reached(lab, lab.out, c, 2200, ftp)[0] == "open")
    held = lab.hold(lab.out, c.v4, 2200)  # and what a rule allows no change cuts
    lab.policy("p.yaml", ALLOW + "# again\n")
    lab.cli("mode", "set", "enforce", "--namespace", "other")
    time.sleep(1.2)
    if not held.alive():
        raise Failure("an allowed connection was cut")


def test_no_neighbour_gets_in_by_an_announcement(lab):
    """IRC's DCC expects anybody: d, which may reach nobody, and c, which may be reached by nobody, agree on it."""
    both_ways(lab, "d", dcc)


def test_the_feeds_and_quarantine_count_for_the_announced(lab):
    c, d, friend = world(lab)
    lab.policy("p.yaml", ALLOW)
    bad = lab.write("bad.txt", "198.51.100.66\n")
    lab.start(mode="learn", feeds=[{"name": "bad", "url": bad}])
    wait_for("the feed in force", lambda: "198.51.100.66" in lab.nft())
    for source, want in ((OUTSIDE, "open"), ("198.51.100.66", "drop")):
        a = dcc(lab, c, 2200)
        got = lab.probe(lab.out, c.v4, "tcp", 2200, source=source)
        a.end()
        if got != want:
            raise Failure(f"from {source}: {got}, expected {want}")
    lab.cli("quarantine", "add", "shop/d")
    a = dcc(lab, c, 2200)
    got = lab.probe(d, c.v4, "tcp", 2200)
    a.end()
    if got != "drop":
        raise Failure(f"one in quarantine: {got}")


if __name__ == "__main__":
    Suite("rl").main(globals())
