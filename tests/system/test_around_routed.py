#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways around where the source is no neighbour: a container on a routed veth, another machine, a veth that
nobody told of. An address of a workload is believed only where that workload is. Each test first
shows that all of it arrives without rules."""
import os

import frames as f
from around import (CLOSED, GATEWAY4, GATEWAY6, OPEN, OUTSIDE4, OUTSIDE6, POLICY, Frames, bridged, deliver, expect,
                    expect_all, link, meet, node_mac, routed)
from lab import Failure, Suite, run


def world(lab):
    """a, b and c on the bridge, r and s on veths of their own; b and s are isolated alike."""
    a, b, c = bridged(lab, "a", "b", "c")
    r, s = routed(lab, "r"), routed(lab, "s", {"app": "b"})
    for x in (r, s):  # as hosts have it that route: not strict
        lab.sh(lab.node, f"sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.{x.host_if}.rp_filter=0")
    lab.sh(lab.node, "sysctl -qw net.ipv4.conf.up0.rp_filter=0 net.ipv4.conf.br0.rp_filter=0")
    lab.policy("b.yaml", POLICY)
    acquaint(lab, a, b, c, r, s)
    return a, b, c, r, s


def acquaint(lab, *all):
    meet(lab, *[x for x in all if x.v4.startswith("10.77.")])
    lab.expect([(x, y, "udp", 9, "closed") for x in all if x.v4.startswith("10.78.") for other in all if x is not other
                for y in (other.v4, other.v6)])


def compare(lab, build, honest, sender, receivers, ports=(OPEN, CLOSED), where="wire", either=()):
    """build(world) → frames, of `sender`, at receivers, both names or (namespace, interface). With rules
    exactly `honest` arrive; of `either` nothing is asked."""
    w = dict(zip("abcrs", world(lab)))
    src = w.get(sender, sender)
    at = [w.get(x, x) for x in receivers]
    fr = build(w)
    got = deliver(src, fr, at, ports, fr.all)
    expect("together, without rules (else the test shows nothing)", {where: set().union(*[g[where] for g in got])}, fr.all, where)
    acquaint(lab, *w.values())
    lab.start(mode="enforce")
    fr = build(w)
    got = deliver(src, fr, at, ports)
    expect("together", {where: set().union(*[g[where] for g in got]) - set(either)}, honest, where)


def families(x):
    return ("4", x.v4, OUTSIDE4), ("6", x.v6, OUTSIDE6)


def test_a_routed_veth_speaks_for_itself_only(lab):
    def build(w):
        fr, r = Frames(), w["r"]
        gate = link(lab.node, r.host_if)["address"]
        for dst in (w["b"], w["s"]):
            for family, own, outside in families(r):
                fr.udp(f"honest to {dst.name}{family}", r, dst, own, at=gate)
                fr.udp(f"honest, tag 0, to {dst.name}{family}", r, dst, own, at=gate, wrap=(None, [(f.DOT1Q, 0)], b""))
                fr.udp(f"outside to {dst.name}{family}", r, dst, outside, at=gate)
                for who in (x for x in (w["a"], w["s"]) if x is not dst):
                    fr.udp(f"{who.name}'s to {dst.name}{family}", r, dst, who.v6 if family == "6" else who.v4, at=gate)
                fr.udp(f"a's, tag 0, to {dst.name}{family}", r, dst, w["a"].v6 if family == "6" else w["a"].v4, CLOSED,
                       at=gate, wrap=(None, [(f.DOT1Q, 0)], b""))
                fr.udp(f"own, to a's port of {dst.name}{family}", r, dst, own, CLOSED, at=gate)
                fr.udp(f"own, tag 0, to a's port of {dst.name}{family}", r, dst, own, CLOSED, at=gate,
                       wrap=(None, [(f.DOT1Q, 0)], b""))
        return fr
    honest = {f"honest{tag} to {dst}{family}" for tag in ("", ", tag 0,") for dst in "bs" for family in "46"}
    compare(lab, build, honest, "r", "bs")


def test_a_routed_veth_lies_to_the_node_no_more(lab):
    def build(w):
        fr, r = Frames(), w["r"]
        gate = link(lab.node, r.host_if)["address"]
        for family, own, outside in families(r):
            node = GATEWAY6 if family == "6" else GATEWAY4
            fr.udp("honest" + family, r, r, own, to=node, at=gate)
            fr.udp("outside" + family, r, r, outside, to=node, at=gate)
            for who in (w["a"], w["s"]):
                fr.udp(f"{who.name}'s{family}", r, r, who.v6 if family == "6" else who.v4, to=node, at=gate)
        fr.udp("an IPv4-mapped address", r, r, "::ffff:" + w["a"].v4, to=GATEWAY6, at=gate)
        return fr
    compare(lab, build, {"honest4", "honest6"}, "r", [(lab.node, "br0")], (OPEN,), "stack")


def test_a_bridged_veth_does_not_speak_for_a_routed_one(lab):
    def build(w):
        fr, c, s = Frames(), w["c"], w["s"]
        for family, own, _ in families(c):
            fr.udp("honest" + family, c, s, own, at=node_mac(lab))
            for who in (w["a"], w["r"]):
                fr.udp(f"{who.name}'s{family}", c, s, who.v6 if family == "6" else who.v4, at=node_mac(lab))
            fr.udp("own, to a's port" + family, c, s, own, CLOSED, at=node_mac(lab))
        return fr
    compare(lab, build, {"honest4", "honest6"}, "c", "s")


def test_outside_nobody_speaks_for_a_workload(lab):
    """Another machine on the node's network, with a route to the containers."""
    def build(w):
        fr = Frames()
        gate, mac = link(lab.node, "up0")["address"], link(lab.out, "eth0")["address"]
        for dst in (w["b"], w["s"]):
            for family, _, outside in families(w["a"]):
                fr.udp(f"honest to {dst.name}{family}", w["a"], dst, outside, mac=mac, at=gate)
                for who in (w["a"], w["r"]):
                    for port, what in ((OPEN, "the open port"), (CLOSED, "a's port")):
                        fr.udp(f"{who.name}'s to {what} of {dst.name}{family}", w["a"], dst,
                               who.v6 if family == "6" else who.v4, port, mac=mac, at=gate)
        return fr
    compare(lab, build, {f"honest to {d}{v}" for d in "bs" for v in "46"}, lab.out, "bs")


def test_outside_nobody_tells_the_node_that_it_is_a_workload(lab):
    def build(w):
        fr = Frames()
        gate, mac = link(lab.node, "up0")["address"], link(lab.out, "eth0")["address"]
        for family, _, outside in families(w["a"]):
            node = GATEWAY6 if family == "6" else GATEWAY4
            fr.udp("honest" + family, w["a"], w["a"], outside, mac=mac, to=node, at=gate)
            for who in (w["a"], w["r"]):
                fr.udp(f"{who.name}'s{family}", w["a"], w["a"], who.v6 if family == "6" else who.v4, mac=mac, to=node, at=gate)
        return fr
    compare(lab, build, {"honest4", "honest6"}, lab.out, [(lab.node, "br0")], (OPEN,), "stack")


def test_a_veth_that_nobody_knows_speaks_for_nobody(lab):
    """As a container that started this moment, or one that the daemon is not told of, on the same bridge."""
    ns = lab.prefix + "-new"
    lab.netns(ns)
    try:
        run("ip", "-n", lab.node, "link", "add", "new0", "type", "veth", "peer", "name", "eth0", "netns", ns)
        run("ip", "-n", lab.node, "link", "set", "new0", "master", "br0", "up")
        lab.sh(ns, "ip link set eth0 up && ip addr add 10.77.0.240/24 dev eth0 && ip addr add fd00:77::f0/64 dev eth0 nodad")
        mac = link(ns, "eth0")["address"]

        def build(w):
            fr, a, b = Frames(), w["a"], w["b"]
            for who in (a, w["r"]):
                for family, address, _ in families(who):
                    for how, m in (("", mac), (" with a's MAC", a.mac)):
                        fr.udp(f"{who.name}'s address{how} to a's port{family}", a, b, address, CLOSED, mac=m)
            for family, address, _ in families(b):
                fr.udp("b's own" + family, a, b, address, mac=mac)
            for who in (a, w["c"]):
                fr.add(f"ARP reply as {who.name}", lambda t, who=who: f.ether(
                    mac, b.mac, f.ARP, f.arp(2, mac, who.v4, b.mac, b.v4, t)))
                fr.add(f"neighbour advertisement for {who.name}", lambda t, who=who: f.ether(
                    mac, b.mac, f.IP6, f.ip6("fd00:77::f0", b.v6, f.ICMP6, f.advertise(
                        "fd00:77::f0", b.v6, who.v6, t, mac), hops=255)))
                fr.add(f"neighbour solicitation as {who.name}", lambda t, who=who: f.ether(
                    mac, b.mac, f.IP6, f.ip6(who.v6, b.v6, f.ICMP6, f.solicit(who.v6, b.v6, b.v6, t, mac), hops=255)))
            for name, tags in (("VLAN 0", [(f.DOT1Q, 0)]), ("QinQ", [(f.DOT1AD, 0), (f.DOT1Q, 0)])):
                fr.udp(f"{name} to nobody's port", a, b, "10.77.0.240", 5009, mac=mac, wrap=(None, tags, b""))
            fr.udp("nobody's port", a, b, "10.77.0.240", 5009, mac=mac)
            fr.udp("honest", a, b, "10.77.0.240", mac=mac)
            return fr
        # Nobody knows it, so nobody knows whether its own address may pass.
        compare(lab, build, (), ns, "b", either={"honest"})
    finally:
        run("ip", "netns", "del", ns, check=False)


if __name__ == "__main__":
    Suite("ar").main(globals())
