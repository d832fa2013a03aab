#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways around by what root in a container may set up there: addresses, MACs, devices. What it gives
itself is its own unless it is somebody else's already."""
import frames as f
from around import (CLOSED, GATEWAY4, GATEWAY6, OPEN, OUTSIDE4, OUTSIDE6, POLICY, Frames, bridged, deliver, describe,
                    expect, meet, node_mac)
from lab import Child, Failure, Suite, run, wait_for

FROM_OUTSIDE = 5004  # a UDP port of b for some outside addresses
OUTSIDE_POLICY = f"""\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: outside, namespace: shop}}
spec:
  podSelector: {{matchLabels: {{app: b}}}}
  ingress:
  - from: [{{ipBlock: {{cidr: 198.51.100.0/24}}}}, {{ipBlock: {{cidr: "2001:db8:0:2::/64"}}}}]
    ports: [{{protocol: UDP, port: {FROM_OUTSIDE}}}]
"""


def world(lab):
    a, b, c = bridged(lab, "a", "b", "c")
    meet(lab, a, b, c)
    lab.policy("b.yaml", POLICY)
    lab.policy("outside.yaml", OUTSIDE_POLICY)
    return a, b, c


def knows(lab, name, text):
    """What the daemon shows of that workload names it."""
    return any(w["name"] == name and text in str(w) for w in lab.workloads())


def frame(c, b, source, port, mac=None):
    fr = Frames()
    fr.udp("x", c, b, source, port, mac=mac)
    return fr


def passes(c, b, source, port, mac=None):
    return deliver(c, frame(c, b, source, port, mac), [b], (port,))[0]["wire"] == ["x"]


def test_an_address_of_its_own_is_learned(lab):
    a, b, c = world(lab)
    lab.start(mode="enforce")
    for source, add in (("10.77.0.200", "ip addr add 10.77.0.200/24 dev eth0"),
                        ("fd00:77::200", "ip addr add fd00:77::200/64 dev eth0 nodad")):
        if passes(c, b, source, OPEN):
            raise Failure(f"{source} passes before it is c's")
        lab.sh(c.netns, add)
        wait_for(f"{source} is c's", lambda: passes(c, b, source, OPEN))
        if passes(c, b, source, CLOSED):
            raise Failure(f"{source} is not governed as c")
        lab.sh(c.netns, add.replace(" add ", " del ", 1).replace(" nodad", ""))
        wait_for(f"{source} is nobody's", lambda: not passes(c, b, source, OPEN))


def test_an_address_of_another_stays_the_others(lab):
    a, b, c = world(lab)
    if not passes(c, b, a.v4, CLOSED):
        raise Failure("the frame does not arrive without rules: the test shows nothing")
    lab.start(mode="enforce")
    lab.sh(c.netns, f"""
        ip addr add {a.v4}/24 dev eth0
        ip addr add {a.v6}/64 dev eth0 nodad
        ip addr add {a.ll}/64 dev eth0 nodad
        ip addr add {GATEWAY4}/24 dev eth0
        ip addr add {GATEWAY6}/64 dev eth0 nodad
        ip addr add 10.77.0.222/24 dev eth0""")
    wait_for("the daemon has read c's addresses", lambda: passes(c, b, "10.77.0.222", OPEN))
    meet(lab, a, b, governed=True)
    got = [x for x in (a.v4, a.v6, a.ll, GATEWAY4, GATEWAY6) for port in (OPEN, CLOSED) if passes(c, b, x, port)]
    if got:
        raise Failure(f"c speaks as {got}")
    fr = Frames()
    for who, four, six in (("a", a.v4, a.v6), ("the gateway", GATEWAY4, GATEWAY6)):
        fr.add(f"ARP as {who}", lambda t, four=four: f.ether(c.mac, b.mac, f.ARP, f.arp(2, c.mac, four, b.mac, b.v4, t)))
        fr.add(f"advertisement as {who}", lambda t, six=six: f.ether(
            c.mac, b.mac, f.IP6, f.ip6(c.v6, b.v6, f.ICMP6, f.advertise(c.v6, b.v6, six, t, c.mac), hops=255)))
    expect("b", deliver(c, fr, [b])[0], ())
    for source in (a.v4, a.v6):
        if not passes(a, b, source, CLOSED):
            raise Failure(f"a lost its address {source} to c")
    if passes(c, b, c.v4, CLOSED) or not passes(c, b, c.v4, OPEN):
        raise Failure("c is no longer governed as c")


def steal_and_restart(lab, thief):
    """The daemon has no memory of who was first: nobody may gain by that."""
    a, b, _ = world(lab)
    c = bridged(lab, thief)[0]
    lab.start(mode="enforce")
    lab.sh(c.netns, f"ip addr add {a.v4}/24 dev eth0 && ip addr add 10.77.0.222/24 dev eth0")
    wait_for("the daemon has read its addresses", lambda: passes(c, b, "10.77.0.222", OPEN))
    for when in ("", " after a restart of the daemon"):
        if passes(c, b, a.v4, CLOSED):
            raise Failure(f"{thief} speaks as a{when}")
        if not passes(a, b, a.v4, CLOSED):
            raise Failure(f"a lost its address to {thief}{when}")
        if passes(c, b, "10.77.0.222", CLOSED):
            raise Failure(f"{thief} is no longer governed as itself{when}")
        if not when:
            lab.stop()
            lab.start()
            wait_for("the daemon has read its addresses", lambda: passes(c, b, "10.77.0.222", OPEN))


def test_an_address_of_another_after_a_restart(lab):
    steal_and_restart(lab, "thief")


def test_an_address_of_another_when_the_thief_has_an_earlier_name(lab):
    steal_and_restart(lab, "0thief")


def test_an_outside_address_is_no_way_into_a_block(lab):
    """b lets some outside addresses in; c gives itself one of them."""
    a, b, c = world(lab)
    lab.start(mode="enforce")
    if lab.probe(lab.out, b.v4, "udp", FROM_OUTSIDE, source=OUTSIDE4) != "closed":
        raise Failure("the outside address does not get in itself: the test shows nothing")
    lab.sh(c.netns, f"""
        ip addr add {OUTSIDE4}/32 dev eth0
        ip addr add {OUTSIDE6}/128 dev eth0 nodad
        ip addr add 10.77.0.222/24 dev eth0""")
    wait_for("the daemon has read c's addresses", lambda: passes(c, b, "10.77.0.222", OPEN))
    got = [x for x in (OUTSIDE4, OUTSIDE6) if passes(c, b, x, FROM_OUTSIDE)]
    if got:
        raise Failure(f"c gets in as {got}")
    if lab.probe(lab.out, b.v4, "udp", FROM_OUTSIDE, source=OUTSIDE4) != "closed":
        raise Failure("the outside address is shut out because c took it")
    problems = lab.status()["problems"]
    for address in (OUTSIDE4, OUTSIDE6):
        text = f"shop/c claims {address}, which is not on its network"
        if text not in problems:
            raise Failure(f"{address} is not shown as refused: {problems}")
        said = [r for r in lab.audit() if r["event"]["action"] == "identity.refused" and text in str(r)]
        if len(said) != 1:
            raise Failure(f"{address} is recorded {len(said)} times")


def test_a_new_mac_is_learned(lab):
    a, b, c = world(lab)
    lab.start(mode="enforce")
    old = c.mac
    lab.sh(c.netns, "ip link set eth0 down && ip link set eth0 address 02:00:00:00:12:34 && ip link set eth0 up")
    lab.sh(c.netns, f"ip addr replace {c.v6}/64 dev eth0 nodad")
    describe(c)
    wait_for("the new MAC passes", lambda: passes(c, b, c.v4, OPEN) and passes(c, b, c.v6, OPEN))
    if passes(c, b, c.v4, OPEN, mac=old):
        raise Failure("the old MAC still passes")
    if passes(c, b, c.v4, CLOSED):
        raise Failure("c is no longer governed as c")


def test_a_mac_of_another_stays_the_others(lab):
    """By the kernel's own means: the device gets a's MAC, and the daemon is told so."""
    a, b, c = world(lab)
    lab.start(mode="enforce")
    lab.sh(c.netns, f"ip link set eth0 address {a.mac} && ip addr add 10.77.0.222/24 dev eth0")
    wait_for("the daemon has read it", lambda: knows(lab, "c", "10.77.0.222"))
    c.mac = a.mac
    meet(lab, a, b, governed=True)
    Child(c.netns, f.send, "eth0", frame(c, b, "10.77.0.222", OPEN).all["x"] * 20).result()
    fr = Frames()
    fr.udp("for a", b, a, b.v4)
    got = deliver(b, fr, [a, c], want=())
    if got[0]["wire"] != ["for a"] or got[1]["wire"]:
        raise Failure(f"a's frames went to: a {got[0]['wire']}, c {got[1]['wire']}")


def test_devices_on_top_of_the_link(lab):
    """A macvlan in c has a MAC of its own on the same veth."""
    a, b, c = world(lab)
    lab.sh(c.netns, """
        ip link add link eth0 name mv0 type macvlan mode bridge
        ip link set mv0 up
        ip addr add 10.77.0.230/24 dev mv0""")
    mac = next(l.split()[1] for l in run("ip", "-n", c.netns, "link", "show", "mv0").splitlines() if "link/ether" in l)

    def build():
        fr = Frames()
        fr.udp("honest", c, b, c.v4)
        for name, source in (("a's", a.v4), ("a's, IPv6", a.v6), ("the node's", GATEWAY4), ("own", c.v4)):
            fr.udp(f"{name} from the macvlan", c, b, source, CLOSED, mac=mac)
        return fr
    fr = build()
    expect("b, without rules (else the test shows nothing)", deliver(c, fr, [b], want=fr.all)[0], fr.all)
    meet(lab, a, b)
    lab.sh(c.netns, f"ip addr add {a.v4}/24 dev mv0")
    lab.start(mode="enforce")
    expect("b", deliver(c, build(), [b], want=["honest"])[0], {"honest"})
    if not passes(a, b, a.v4, CLOSED):
        raise Failure("a lost its address to c's macvlan")


if __name__ == "__main__":
    Suite("ad").main(globals())
