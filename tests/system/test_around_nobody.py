#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways around by addresses that are nobody's: the unspecified one, and link-local ones that were never given
to a link. Rules go by address, so that what comes from one of these would be governed by nobody's rules."""
import socket

import frames as f
from around import GATEWAY6, OPEN, Frames, bridged, deliver, expect, expect_all, link, meet, node_mac, routed
from lab import Child, Suite, wait_for

NOBODY = "fe80::1234:5678"
POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: mute, namespace: shop}
spec: {podSelector: {matchLabels: {app: c}}, policyTypes: [Egress], egress: []}
"""


def datagrams(c, d, gate, ll, bridge):
    """To d and to the node, neither of which is isolated: only the sender's side can deny it. (No router
    takes a link-local source further, and nobody can be told to look for 0.0.0.0: that one goes to all.)"""
    fr = Frames()
    sources = {"nobody's link-local": NOBODY, "unspecified": "::", "own": c.v6, "own link-local": c.ll}
    for to, addr, at in (("d", d.v6, d.mac), ("d's link-local", d.ll, d.mac), ("the node", GATEWAY6, gate),
                         ("the node's link-local", ll, gate)):
        for name, source in sources.items() if bridge or at == gate else ():
            fr.add(f"{name} to {to}", lambda t, addr=addr, at=at, source=source: f.ether(
                c.mac, at, f.IP6, f.ip6(source, addr, f.UDP, f.udp(source, addr, 4000, OPEN, t))))
    for name, sport in (("0.0.0.0", 4000), ("0.0.0.0 by DHCP's port", 68)):
        fr.add(f"{name} to all", lambda t, sport=sport: f.ether(c.mac, f.BROADCAST, f.IP4, f.ip4(
            "0.0.0.0", "255.255.255.255", f.UDP, f.udp("0.0.0.0", "255.255.255.255", sport, OPEN, t))))
    return fr


def arrived(lab, c, d, fr, want=()):
    """At d's sockets or the node's."""
    got = deliver(c, fr, [d, (lab.node, c.host_if)], [OPEN], want)
    return {"stack": got[0]["stack"] + got[1]["stack"]}


def mute(lab, c, d, bridge, begin):
    """c may reach nobody, by policy or by quarantine: so it does not in nobody's name either."""
    lab.policy("mute.yaml", POLICY)
    dev = "br0" if bridge else c.host_if
    gate = node_mac(lab, dev)
    ll = next(x["local"] for x in link(lab.node, dev)["addr_info"] if x["local"].startswith("fe80"))
    if bridge:
        meet(lab, c, d)
    fr = datagrams(c, d, gate, ll, bridge)
    expect_all("d or the node", fr, arrived(lab, c, d, fr, fr.all), "stack")
    begin()
    expect("d or the node", arrived(lab, c, d, datagrams(c, d, gate, ll, bridge)), (), "stack")


def quarantined(lab):
    lab.start(mode="learn")
    lab.cli("quarantine", "add", "c")


def test_on_a_bridge(lab):
    mute(lab, *bridged(lab, "c", "d"), True, lambda: lab.start(mode="enforce", host="policy"))


def test_on_a_bridge_in_quarantine(lab):
    mute(lab, *bridged(lab, "c", "d"), True, lambda: quarantined(lab))


def test_on_a_veth_of_its_own(lab):
    mute(lab, routed(lab, "c"), routed(lab, "d"), False, lambda: lab.start(mode="enforce", host="policy"))


def test_on_a_veth_of_its_own_in_quarantine(lab):
    mute(lab, routed(lab, "c"), routed(lab, "d"), False, lambda: quarantined(lab))


def test_link_local_address_that_was_taken_off(lab):
    """The one that its MAC gives, which the inventory need not know."""
    c, d = bridged(lab, "c", "d")
    lab.policy("mute.yaml", POLICY)
    meet(lab, c, d)

    def build():
        fr = Frames()
        fr.udp("x", c, d, c.ll, to=d.ll)
        return fr
    lab.sh(c.netns, f"ip addr del {c.ll}/64 dev eth0")
    fr = build()
    expect_all("d", fr, deliver(c, fr, [d], [OPEN], fr.all)[0], "stack")
    lab.start(mode="enforce")
    expect("d", deliver(c, build(), [d], [OPEN])[0], (), "stack")


def _answered(source, addr):
    """Is a datagram from that link-local address to that one echoed?"""
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    scope = socket.if_nametoindex("eth0")
    s.settimeout(0.5)
    s.bind((source, 0, 0, scope))
    s.sendto(b"x", (addr, OPEN, 0, scope))
    try:
        return s.recv(10) == b"x"
    except socket.timeout:
        return False


def test_a_new_link_local_address_works(lab):
    """Found by discovery before the inventory knows of it, and then governed as its workload's."""
    c, d = bridged(lab, "c", "d")
    d.serve(udp=[OPEN])
    lab.start(mode="enforce")
    lab.sh(c.netns, "ip addr add fe80::77/64 dev eth0 nodad")
    answered = lambda: Child(c.netns, _answered, "fe80::77", d.ll).result()
    wait_for("the new address is answered", answered)
    lab.policy("mute.yaml", POLICY)
    wait_for("the policy governs it", lambda: not answered())


if __name__ == "__main__":
    Suite("ao").main(globals())
