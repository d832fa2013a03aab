#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""On bridges that speak the spanning tree protocol no workload becomes the root. Who is it sets how long
every container that starts waits for its network, and its frames meet no rule."""
import json, struct

import frames as f
from around import bridged
from lab import Child, Failure, Suite, run, wait_for

GROUP = "01:80:c2:00:00:00"
DELAY = 200  # 1/100 s, the least that the kernel takes
FIRST = struct.pack(">H", 0) + bytes.fromhex("020000000001")  # before every bridge with a priority


def claim(mac):
    """A configuration BPDU (IEEE 802.1D, 9.3.1) of the best of all roots, who wants 30 s of delay."""
    times = struct.pack(">HHHH", 0, 40 * 256, 2 * 256, 30 * 256)
    bpdu = struct.pack(">HBBB", 0, 0, 0, 1) + FIRST + struct.pack(">I", 0) + FIRST + struct.pack(">H", 0x8001) + times
    frame = f.ether(mac, GROUP, len(bpdu) + 3, b"\x42\x42\x03" + bpdu)
    return frame.ljust(60, b"\0")


def link(lab, name, part):
    return json.loads(run("ip", "-n", lab.node, "-d", "-j", "link", "show", name))[0]["linkinfo"][part]


def bridge(lab):
    return link(lab, "br0", "info_data")


def speak(lab):
    run("ip", "-n", lab.node, "link", "set", "br0", "type", "bridge", "forward_delay", str(DELAY), "stp_state", "1")


def forwards(lab, c):
    return link(lab, c.host_if, "info_slave_data")["state"] == "forwarding"


def world(lab):
    speak(lab)
    a, b, c = bridged(lab, "a", "b", "c")
    b.serve(tcp=[80])
    wait_for("the ports forward", lambda: all(forwards(lab, x) for x in (a, b, c)))
    return a, b, c


def send(c, n=3):
    Child(c.netns, f.send, "eth0", [claim(c.mac)] * n).result()


def is_root(lab):
    now = bridge(lab)
    return now["root_port"] == 0 and now["forward_delay"] == DELAY


def test_no_workload_becomes_the_root(lab):
    a, b, c = world(lab)
    if not is_root(lab):
        raise Failure(f"the bridge is not its own root: {bridge(lab)}")
    send(c)
    if is_root(lab):
        raise Failure("without the daemon the claim is not believed: the test shows nothing")
    for name in ("down", "up"):  # forgets whom it believed
        run("ip", "-n", lab.node, "link", "set", c.host_if, name)
    wait_for("the bridge is its own root again", lambda: bridge(lab)["root_port"] == 0)
    speak(lab)
    wait_for("the port forwards", lambda: forwards(lab, c))
    lab.start(mode="learn")
    wait_for("the ports are shielded", lambda: link(lab, c.host_if, "info_slave_data")["root_block"])
    lab.expect([(a, b.v4, "tcp", 80, "open"), (c, b.v4, "tcp", 80, "open")])
    send(c)
    if not is_root(lab):
        raise Failure(f"a workload is the root: {bridge(lab)}")
    if forwards(lab, c):
        raise Failure("the claim did not arrive: the test shows nothing")
    lab.expect([(a, b.v4, "tcp", 80, "open"), (c, b.v4, "tcp", 80, "drop")])
    d, = bridged(lab, "d")
    lab.static()
    wait_for("who starts now has a network in four seconds, not in sixty", lambda: forwards(lab, d), timeout=20)
    lab.expect([(d, b.v4, "tcp", 80, "open")])
    if not [r for r in lab.audited("sysctl") if "spanning tree" in r["message"]]:
        raise Failure("the change of the ports is not on record")


def test_another_bridge_may_be_the_root(lab):
    """Behind a port of no workload: that is what the protocol is for."""
    a, b, c = world(lab)
    lab.start(mode="enforce")
    wait_for("the ports are shielded", lambda: link(lab, a.host_if, "info_slave_data")["root_block"])
    other = lab.prefix + "-other"
    lab.netns(other)
    try:
        run("ip", "-n", lab.node, "link", "add", "trunk0", "type", "veth", "peer", "name", "trunk0", "netns", other)
        run("ip", "-n", other, "link", "add", "br1", "type", "bridge", "forward_delay", str(DELAY), "priority", "0",
            "stp_state", "1")
        run("ip", "-n", other, "link", "set", "trunk0", "master", "br1", "up")
        run("ip", "-n", other, "link", "set", "br1", "up")
        run("ip", "-n", lab.node, "link", "set", "trunk0", "master", "br0", "up")
        wait_for("the other bridge is the root", lambda: bridge(lab)["root_port"] != 0, timeout=20)
        lab.expect([(a, b.v4, "tcp", 80, "open")])
    finally:
        run("ip", "netns", "del", other)


def test_bridges_without_it_are_left_alone(lab):
    a, = bridged(lab, "a")
    lab.start(mode="enforce")
    wait_for("the bridge is told what it may learn", lambda: bridge(lab).get("no_linklocal_learn"))
    if link(lab, a.host_if, "info_slave_data")["root_block"]:
        raise Failure("a port was changed that had no need of it")


if __name__ == "__main__":
    Suite("sp").main(globals())
