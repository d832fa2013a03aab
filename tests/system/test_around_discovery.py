#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways around by what always works: neighbour discovery, MLD and DHCPv6. In pieces, so that no piece says
what the whole is; and as a carrier of data to where neighbours are not."""
import frames as f
from around import (GATEWAY6, OPEN, OUTSIDE6, POLICY, Frames, bridged, deliver, expect, expect_all, meet, node_mac, routed)
from lab import Failure, Suite

MUTE = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: mute, namespace: shop}
spec: {podSelector: {matchLabels: {app: c}}, policyTypes: [Egress], egress: []}
"""


def in_pieces(c, b, src, dst, proto, data, how):
    """Two fragments; their first has only the beginning of what tells, or nothing of it."""
    ident = next(f.count)
    to = f.group_mac(dst) if dst.startswith("ff") else b.mac
    hops = 255 if proto == f.ICMP6 else 64
    if how == "header in the second":
        data = bytes([proto]) + f.options(f.DEST)[1] + data
        proto = f.DEST
    cut = 16 if how == "target in the second" else 8
    return [f.ether(c.mac, to, f.IP6, f.ip6(src, dst, proto, part, ext=[f.fragment(at, more, ident)], hops=hops))
            for at, part, more in ((0, data[:cut], True), (cut, data[cut:], False))]


def pieces(a, b, c):
    fr = Frames()
    for how in ("header in the second", "target in the second", "type alone in the first"):
        def nd(name, src, dst, body, proto=f.ICMP6):
            fr.add(f"{name}, {how}", lambda t: in_pieces(c, b, src, dst, proto, body(t), how))
        for who, address in (("a", a.v6), ("the gateway", GATEWAY6)):
            nd(f"advertisement for {who}", c.v6, b.v6, lambda t, address=address: f.advertise(c.v6, b.v6, address, t, c.mac))
        nd("router advertisement", c.ll, "ff02::1", lambda t: f.router(c.ll, "ff02::1", c.mac, t))
        nd("redirect", c.ll, b.ll, lambda t: f.redirect(c.ll, b.ll, c.ll, OUTSIDE6, t))
        nd("duplicate of a", "::", b.v6, lambda t: f.solicit("::", b.v6, a.v6, t))
        nd("DHCPv6 advertisement", c.ll, b.ll, lambda t: f.udp(c.ll, b.ll, 547, 546, b"\2\0\0\1" + bytes(12) + t), f.UDP)
    fr.add("honest", lambda t: in_pieces(
        c, b, c.v6, b.v6, f.UDP, f.udp(c.v6, b.v6, 4000, OPEN, bytes(16) + t), "target in the second"))
    return fr


def test_pieces_tell_what_the_whole_is(lab):
    a, b, c = bridged(lab, "a", "b", "c")
    meet(lab, a, b, c)
    lab.policy("b.yaml", POLICY)
    fr = pieces(a, b, c)
    expect_all("b", fr, deliver(c, fr, [b], want=fr.all)[0])
    meet(lab, a, b, c)
    lab.start(mode="enforce")
    expect("b", deliver(c, pieces(a, b, c), [b], want=["honest"])[0], {"honest"})


def carriers(lab, c, r):
    fr = Frames()
    for to, dst in (("outside", OUTSIDE6), ("a routed container", r.v6)):
        for kind in (130, 131, 132, 133, 134, 135, 136, 137, 143):
            for hops in (64, 255):
                fr.add(f"type {kind} to {to}, {hops} hops", lambda t, dst=dst, kind=kind, hops=hops: f.ether(
                    c.mac, node_mac(lab), f.IP6, f.ip6(c.v6, dst, f.ICMP6, f.icmp6(
                        c.v6, dst, kind, 0, bytes(20) + t), hops=hops)))
    return fr


def test_discovery_carries_nothing_past_the_link(lab):
    c, = bridged(lab, "c")
    r = routed(lab, "r")
    lab.policy("mute.yaml", MUTE)
    meet(lab, c)
    lab.expect([(c, x, "udp", 9, "closed") for x in (OUTSIDE6, r.v6)])
    fr = carriers(lab, c, r)
    go = lambda fr, want=(): {"wire": sum((g["wire"] for g in deliver(c, fr, [(lab.out, "eth0"), r], want=want)), [])}
    # No router takes 134 and 137 further in some kernels: what is to be seen is what comes through.
    if len(go(fr, fr.all)["wire"]) < 20:
        raise Failure("the node does not forward discovery: the test shows nothing")
    lab.start(mode="enforce")
    expect("outside or r", go(carriers(lab, c, r)), ())


if __name__ == "__main__":
    Suite("av").main(globals())
