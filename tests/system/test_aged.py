#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bridge forgets who was silent for longer than its ageing time, and sends what is for him to all its ports. A
workload that the daemon knows is not forgotten: neighbours read nothing of others, and the first packet of a flow that
waits for the daemon is not lost among its copies."""
import json, time

import frames as f
from around import GATEWAY4, OPEN, POLICY, Frames, bridged, deliver, expect, meet, node_mac
from lab import Child, Failure, Suite, run, wait_for


def fdb(lab, mac):
    """The ports where the bridge has it."""
    return [e["ifname"] for e in json.loads(run("bridge", "-j", "-n", lab.node, "fdb", "show", "br", "br0")) if e["mac"] == mac]


def told(lab, mac):
    """The ports where somebody said that it is."""
    return [e["ifname"] for e in json.loads(run("bridge", "-j", "-n", lab.node, "fdb", "show", "br", "br0"))
            if e["mac"] == mac and "sticky" in e["flags"]]


def world(lab, policy=False):
    """b is the newest: of copies it gets the first, the one that would be lost. Nobody asks where the others are."""
    a, c, b = bridged(lab, "a", "c", "b")
    b.serve(tcp=[80], udp=[OPEN])
    meet(lab, a, b, c)
    for x, y in ((x, y) for x in (a, b, c) for y in (a, b, c) if x is not y):
        lab.sh(x.netns, f"ip neigh replace {y.v4} lladdr {y.mac} dev eth0 nud permanent && "
               f"ip -6 neigh replace {y.v6} lladdr {y.mac} dev eth0 nud permanent")
    for x in (a, b, c):  # nor for routers
        lab.sh(x.netns, "sysctl -qw net.ipv6.conf.eth0.accept_ra=0")
    run("ip", "-n", lab.node, "link", "set", "br0", "type", "bridge", "ageing_time", "100")
    if policy:
        lab.policy("b.yaml", POLICY)
    return a, b, c


def silence(lab, *containers):
    """Longer than a second, and the kernel looks for who is too old now and then."""
    time.sleep(3)
    return [fdb(lab, x.mac) for x in containers]


def overheard(lab, a, b, c):
    fr = Frames()
    fr.udp("of IPv4", a, b, a.v4)
    fr.udp("of IPv6", a, b, a.v6)
    return deliver(a, fr, [b, c])[1]


def test_without_the_daemon_it_is_forgotten(lab):
    """What the tests below rest on."""
    a, b, c = world(lab)
    wait_for("b is forgotten", lambda: not silence(lab, b)[0], 30)
    expect("at c, of what is for b", overheard(lab, a, b, c), {"of IPv4"})  # b answers


def test_nobody_is_forgotten(lab):
    a, b, c = world(lab, True)
    lab.start(mode="enforce")
    time.sleep(1.2)  # told once a second
    for _ in range(3):
        if silence(lab, a, b, c) != [[a.host_if], [b.host_if], [c.host_if]]:
            raise Failure(f"the bridge has {[fdb(lab, x.mac) for x in (a, b, c)]}")
    expect("at c, of what is for b", overheard(lab, a, b, c), ())


def test_the_first_packet_is_not_lost(lab):
    """Of flows that the daemon decides, as all are in learn mode."""
    a, b, c = world(lab)
    lab.start(mode="learn")
    time.sleep(1.2)
    silence(lab)
    for addr in (b.v4, b.v6):
        for proto, port in (("tcp", 80), ("udp", OPEN)):
            silence(lab)
            begin = time.monotonic()
            got = lab.probe(a, addr, proto, port, timeout=3)
            took = time.monotonic() - begin
            if got != "open" or took > 0.8:
                raise Failure(f"{proto} to {addr}: {got}, after {took:.1f} s")


def test_who_moves_is_followed(lab):
    """A new MAC has an entry of its own, and the old one is anybody's."""
    a, b, c = world(lab)
    lab.start(mode="learn")
    wait_for("the bridge was told", lambda: told(lab, b.mac) == [b.host_if])
    mac = "02:00:00:00:4d:77"
    lab.sh(b.netns, f"ip link set eth0 address {mac}")
    for x in (a, c):
        lab.sh(x.netns, f"ip neigh replace {b.v4} lladdr {mac} dev eth0 nud permanent")
    wait_for("it was told of the new MAC", lambda: told(lab, mac) == [b.host_if], 5)
    if told(lab, b.mac):
        raise Failure("the bridge still has the old one")
    lab.expect([(a, b.v4, "tcp", 80, "open")])


def test_after_a_flush(lab):
    """Somebody empties the bridge's table: it is told again within a quarter of a minute."""
    a, b, c = world(lab)
    lab.start(mode="learn")
    wait_for("the bridge was told", lambda: told(lab, b.mac) == [b.host_if])
    lab.sh(lab.node, f"bridge fdb del {b.mac} dev {b.host_if} master")
    if fdb(lab, b.mac):
        raise Failure("still there: the test shows nothing")
    wait_for("it was told again", lambda: told(lab, b.mac) == [b.host_if], 20)


def test_nobody_takes_a_mac(lab):
    """By a frame that is neither IP nor ARP, of which no rule in learn mode knows whose it is."""
    a, b, c = world(lab)
    lab.start(mode="learn")
    wait_for("the bridge was told", lambda: told(lab, b.mac) == [b.host_if])
    taker = Child(c.netns, f.send, "eth0", [f.ether(b.mac, a.mac, 0x88B5, b"")])
    taker.result()
    if fdb(lab, b.mac) != [b.host_if]:
        raise Failure(f"it was taken, b has {fdb(lab, b.mac)}")
    lab.sh(lab.node, f"bridge fdb del {b.mac} dev {b.host_if} master")
    Child(c.netns, f.send, "eth0", [f.ether(b.mac, a.mac, 0x88B5, b"")]).result()
    if fdb(lab, b.mac) != [c.host_if]:
        raise Failure("not taken where the bridge was not told: the test shows nothing")
    wait_for("it is told again", lambda: told(lab, b.mac) == [b.host_if], 20)
    expect("at c, of what is for b", overheard(lab, a, b, c), ())


def takes(lab, c, mac, mark):
    """c's device has the MAC, and the daemon has seen it and told the bridge what it tells."""
    lab.sh(c.netns, f"ip link set eth0 address {mac} && ip addr add {mark}/24 dev eth0")
    wait_for("the daemon has seen it", lambda: any(w["name"] == c.name and mark in str(w) for w in lab.workloads()))
    time.sleep(1.5)


def test_the_bridge_keeps_its_own_mac(lab):
    """What is for the node goes to the node, although a container gave itself the node's MAC."""
    a, b, c = bridged(lab, "a", "b", "c")
    meet(lab, a, b)
    lab.start(mode="learn")
    wait_for("the bridge was told", lambda: told(lab, b.mac) == [b.host_if])
    takes(lab, c, node_mac(lab), "10.77.0.222")
    if told(lab, node_mac(lab)):
        raise Failure(f"told that the node is behind {told(lab, node_mac(lab))}")
    meet(lab, a, b, governed=True)
    lab.expect([(x, GATEWAY4, "udp", 9, "closed") for x in (a, b)])


def test_who_is_no_workload_keeps_its_mac(lab):
    """Machines behind another port of the bridge, as a router on its uplink, of which no source tells."""
    a, c, x = bridged(lab, "a", "c", "x")
    meet(lab, a, c, x)
    del lab.containers["x"]
    try:
        lab.start(mode="learn")
        wait_for("the bridge was told", lambda: told(lab, a.mac) == [a.host_if])
        takes(lab, c, x.mac, "10.77.0.222")
        if told(lab, x.mac):
            raise Failure(f"told that it is behind {told(lab, x.mac)}")
        lab.sh(x.netns, "ping -c1 -W1 10.77.0.1 >/dev/null; true")
        if fdb(lab, x.mac) != [x.host_if]:
            raise Failure(f"it does not come back by speaking: {fdb(lab, x.mac)}")
    finally:
        lab.containers["x"] = x


if __name__ == "__main__":
    Suite("ag").main(globals())
