#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What routers have to say of a container's flow reaches it, whatever policies isolate it: "fragmentation needed" and
"packet too big", for the first flow of UDP already, and behind masquerade. And what a neighbour makes up about
it does not: each error is first seen to do its work (the kernel's path MTU) without rules."""
import json, os, socket, struct

import frames as f
from around import GATEWAY4, GATEWAY6, OUTSIDE4, OUTSIDE6, bridged, link, meet, node_mac
from lab import Child, Failure, Suite, run, wait_for

ROUTER4, ROUTER6 = "203.0.113.200", "2001:db8:0:1::2"
MTU = 1300
POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: b, namespace: shop}
spec:
  podSelector: {matchLabels: {app: b}}
  policyTypes: [Ingress, Egress]
  ingress: []
  egress:
  - to: [{ipBlock: {cidr: 198.51.100.0/24}}, {ipBlock: {cidr: "2001:db8:0:2::/64"}}]
    ports: [{protocol: UDP, port: 5005}]
  - to: [{podSelector: {matchLabels: {app: a}}}]
    ports: [{protocol: UDP, port: 5005}]
"""


def _send(target, sport, ready, go):
    """One datagram; the socket stays, for who has none is told nothing."""
    s = socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", sport))
    s.sendto(b"hello", (target, 5005))
    os.write(ready, b"1")
    os.read(go, 1)


class Sent:
    def __init__(self, c, target, sport):
        r, w = os.pipe()
        g, self.go = os.pipe()
        self.child = Child(c.netns, _send, target, sport, w, g)
        os.close(w)
        os.close(g)
        if os.read(r, 1) != b"1":
            raise Failure("not sent: " + str(self.child.result()))
        os.close(r)

    def end(self):
        os.write(self.go, b"q")
        os.close(self.go)
        self.child.result()


def mtu(c, target):
    """What c believes of the way there."""
    r = json.loads(run("ip", "-n", c.netns, "-j", "route", "get", target))[0]
    return int((r.get("metrics") or [{}])[0].get("mtu", 1500))


def too_big(source, inner_src, inner_dst, sport, outer_dst=None):
    """Of the datagram from inner_src: too big for a link of MTU."""
    data = f.udp(inner_src, inner_dst, sport, 5005, b"hello")
    if ":" in source:
        quote = f.ip6(inner_src, inner_dst, f.UDP, data)
        return f.ip6(source, outer_dst or inner_src, f.ICMP6, f.icmp6(source, outer_dst or inner_src, 2, 0, struct.pack("!I", MTU) + quote))
    quote = f.ip4(inner_src, inner_dst, f.UDP, data)
    return f.ip4(source, outer_dst or inner_src, f.ICMP, f.icmp(3, 4, struct.pack("!HH", 0, MTU) + quote))


def send(src_ns, src_mac, dst_mac, packet):
    kind = f.IP6 if packet[0] >> 4 == 6 else f.IP4
    Child(src_ns, f.send, "eth0", [f.ether(src_mac, dst_mac, kind, packet)]).result()


def forget(*containers):
    for c in containers:
        run("ip", "-n", c.netns, "route", "flush", "cache")
        run("ip", "-n", c.netns, "-6", "route", "flush", "cache")


def world(lab):
    a, b, c = bridged(lab, "a", "b", "c")
    meet(lab, a, b, c)
    lab.expect([(x, OUTSIDE6, "udp", 9, "closed") for x in (a, b, c)], 5)
    lab.policy("b.yaml", POLICY)
    return a, b, c


def masquerade(lab):
    lab.write("nat.nft", """
table ip m {
    chain out { type nat hook postrouting priority srcnat; ip saddr 10.77.0.0/24 oifname "up0" masquerade; }
}
table ip6 m {
    chain out { type nat hook postrouting priority srcnat; ip6 saddr fd00:77::/64 oifname "up0" masquerade; }
}
""")
    lab.sh(lab.node, f"nft -f {lab.dir}/nat.nft")


def from_the_router(lab, b, sport, natted, known=True):
    """b's first datagram to the outside, and what the router says of it (known: or of one that b never sent)."""
    mac, gate = link(lab.out, "eth0")["address"], link(lab.node, "up0")["address"]
    out = {}
    for target, router, own, node in ((OUTSIDE4, ROUTER4, b.v4, "192.0.2.1"), (OUTSIDE6, ROUTER6, b.v6, "2001:db8:0:1::1")):
        forget(b)
        sent = Sent(b, target, sport)
        send(lab.out, mac, gate, too_big(router, node if natted else own, target, sport if known else sport + 1))
        try:
            wait_for("it is believed", lambda: mtu(b, target) == MTU, 1)
            out[target] = True
        except Failure:
            out[target] = False
        sent.end()
    return list(out.values())


def routers(lab, **conf):
    a, b, c = world(lab)
    natted = conf.pop("natted", False)
    if natted:
        masquerade(lab)
    if from_the_router(lab, b, 6000, natted) != [True, True]:
        raise Failure("without rules it is not believed: the test shows nothing")
    lab.start(mode="enforce", **conf)
    got = from_the_router(lab, b, 6100, natted)
    if got != [True, True]:
        raise Failure(f"what the router says does not reach the container: {got}")
    got = from_the_router(lab, b, 6200, natted, known=False)
    if got != [False, False]:
        raise Failure(f"of a datagram that was never sent: {got}")


def test_routers_are_heard(lab):
    routers(lab)


def test_routers_are_heard_where_the_node_is_an_outside_address(lab):
    routers(lab, host="policy")


def test_routers_are_heard_behind_masquerade(lab):
    routers(lab, host="policy", natted=True)


def test_the_node_is_heard(lab):
    """The link behind the node is the narrow one, and the node says so itself."""
    a, b, c = world(lab)
    run("ip", "-n", lab.node, "link", "set", "up0", "mtu", str(MTU))
    lab.start(mode="enforce", host="policy")

    def big(target):
        s = socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_DGRAM)
        v6 = ":" in target
        s.setsockopt(socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP, 23 if v6 else 10, 2)  # IP_MTU_DISCOVER: do
        s.sendto(bytes(1400), (target, 5005))
    for target in (OUTSIDE4, OUTSIDE6):
        Child(b.netns, big, target).result()
        wait_for("b knows the MTU to " + target, lambda: mtu(b, target) == MTU, 3)


def test_a_neighbour_is_not(lab):
    """c makes it up about b's flows, to the outside and to a: in its own name, which is all it has."""
    a, b, c = world(lab)

    def told(sport):
        out = {}
        for target, own, by in ((OUTSIDE4, b.v4, c.v4), (OUTSIDE6, b.v6, c.v6), (a.v4, b.v4, c.v4), (a.v6, b.v6, c.v6)):
            forget(b)
            sent = Sent(b, target, sport)
            send(c.netns, c.mac, b.mac, too_big(by, own, target, sport))
            try:
                wait_for("it is believed", lambda: mtu(b, target) == MTU, 0.7)
                out[target] = True
            except Failure:
                out[target] = False
            sent.end()
        return out
    if not all(told(6000).values()):
        raise Failure(f"without rules it is not believed: {told(6001)}: the test shows nothing")
    lab.start(mode="enforce", modes=[{"selector": {"matchLabels": {"app": "c"}}, "mode": "learn"}])
    got = told(6100)
    if any(got.values()):
        raise Failure(f"b believes what c says of its flows: {got}")


if __name__ == "__main__":
    Suite("eo").main(globals())
