#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways around by the link layer, on a bridge: c has raw sockets and speaks in others' names, in other
protocols and in tagged frames. Each test first shows that all of it arrives without rules."""
import json

import frames as f
from around import (CLOSED, GATEWAY4, GATEWAY6, OPEN, OUTSIDE4, OUTSIDE6, POLICY, Frames, bridged, deliver, expect,
                    expect_all, meet, node_mac)
from lab import Child, Failure, Suite, run, wait_for

NOBODY = "02:00:00:00:99:99"
LLDP, RESERVED = "01:80:c2:00:00:0e", "01:80:c2:00:00:03"


def world(lab):
    a, b, c = bridged(lab, "a", "b", "c")
    meet(lab, a, b, c)
    lab.policy("b.yaml", POLICY)
    return a, b, c


def attack(lab, build, honest):
    """All frames arrive at b without rules; with them only the honest ones do."""
    a, b, c = world(lab)
    fr = build(lab, a, b, c)
    expect_all("at b", fr, deliver(c, fr, [b], [OPEN, CLOSED], fr.all)[0])
    meet(lab, a, b, c)
    lab.start(mode="enforce")
    fr = build(lab, a, b, c)
    expect("at b", deliver(c, fr, [b], [OPEN, CLOSED], honest)[0], honest)


def addresses(lab, a, b, c):
    fr = Frames()
    for family, own, other, gateway, outside in (("4", c.v4, a.v4, GATEWAY4, OUTSIDE4),
                                                 ("6", c.v6, a.v6, GATEWAY6, OUTSIDE6)):
        fr.udp("honest" + family, c, b, own)
        for name, address, mac in (
                ("own address, a's MAC", own, a.mac), ("own address, nobody's MAC", own, NOBODY),
                ("own address, the node's MAC", own, node_mac(lab)),
                ("a's address", other, c.mac), ("a's address and MAC", other, a.mac),
                ("b's own address", b.v4 if family == "4" else b.v6, c.mac),
                ("the node's address", gateway, c.mac), ("an outside address", outside, c.mac)):
            fr.udp(f"{name}{family}", c, b, address, mac=mac)
        fr.udp(f"a's address to a's port{family}", c, b, other, dport=CLOSED)
    fr.udp("no address", c, b, "0.0.0.0", dport=CLOSED)
    fr.udp("the broadcast address", c, b, "255.255.255.255")
    fr.udp("a multicast address", c, b, "224.0.0.1")
    fr.udp("loopback", c, b, "127.0.0.1")
    fr.udp("loopback6", c, b, "::1")
    fr.udp("a's link-local address", c, b, a.ll, to=b.ll)
    fr.udp("no address6", c, b, "::", dport=CLOSED)
    fr.udp("an IPv4-mapped address", c, b, "::ffff:" + a.v4)
    return fr


def test_addresses_are_bound_to_the_veth(lab):
    attack(lab, addresses, {"honest4", "honest6"})


def test_nobody_is_impersonated_in_learn_mode_either(lab):
    """It breaks nothing, but an enforcing neighbour trusts addresses."""
    a, b, c = world(lab)
    lab.start(mode="enforce", modes=[{"selector": {"matchLabels": {"app": "c"}}, "mode": "learn"}])
    fr = addresses(lab, a, b, c)
    got = set(deliver(c, fr, [b], [OPEN, CLOSED], ["honest4", "honest6"])[0]["wire"])
    stolen = {n for n in got if n.startswith(("a's", "b's", "the node's")) or "a's MAC" in n or "the node's MAC" in n}
    if stolen or not {"honest4", "honest6"} <= got:
        raise Failure(f"impersonated: {sorted(stolen)}; all that passed: {sorted(got)}")


def arp(lab, a, b, c):
    fr = Frames()

    def say(name, op, sha, spa, tha, tpa, src=None, dst=None):
        fr.add(name, lambda t: f.ether(src or c.mac, dst or b.mac, f.ARP, f.arp(op, sha, spa, tha, tpa, t)))
    zero = "00:00:00:00:00:00"
    say("honest request", 1, c.mac, c.v4, zero, b.v4, dst=f.BROADCAST)
    say("honest unicast request", 1, c.mac, c.v4, zero, b.v4)
    say("honest reply", 2, c.mac, c.v4, b.mac, b.v4)
    say("honest announcement", 1, c.mac, c.v4, zero, c.v4, dst=f.BROADCAST)
    say("honest probe", 1, c.mac, "0.0.0.0", zero, "10.77.0.199", dst=f.BROADCAST)
    say("a's MAC in a probe", 1, a.mac, "0.0.0.0", zero, "10.77.0.199", dst=f.BROADCAST)
    for who, address in (("a", a.v4), ("gateway", GATEWAY4), ("b", b.v4)):
        say(f"reply as {who}", 2, c.mac, address, b.mac, b.v4)
        say(f"broadcast reply as {who}", 2, c.mac, address, b.mac, b.v4, dst=f.BROADCAST)
        say(f"request as {who}", 1, c.mac, address, zero, b.v4)
        say(f"gratuitous request as {who}", 1, c.mac, address, zero, address, dst=f.BROADCAST)
        say(f"gratuitous reply as {who}", 2, c.mac, address, c.mac, address, dst=f.BROADCAST)
    say("a's MAC in the frame", 2, c.mac, c.v4, b.mac, b.v4, src=a.mac)
    say("a's MAC in the message", 2, a.mac, c.v4, b.mac, b.v4)
    say("a's MAC in both", 2, a.mac, c.v4, b.mac, b.v4, src=a.mac)
    say("all of a's", 2, a.mac, a.v4, b.mac, b.v4, src=a.mac)
    say("a's address and MAC in the message", 2, a.mac, a.v4, b.mac, b.v4)
    say("an address of nobody", 2, c.mac, "10.77.0.250", b.mac, b.v4)
    fr.add("RARP", lambda t: f.ether(c.mac, b.mac, f.RARP, f.arp(3, c.mac, c.v4, c.mac, c.v4, t)))
    fr.add("tagged reply as a", lambda t: f.ether(
        c.mac, b.mac, f.ARP, f.arp(2, c.mac, a.v4, b.mac, b.v4, t), [(f.DOT1Q, 0)]))
    return fr


def test_arp_speaks_for_itself_only(lab):
    attack(lab, arp, {"honest request", "honest unicast request", "honest reply", "honest announcement", "honest probe"})


def discovery(lab, a, b, c):
    fr = Frames()

    def nd(name, src, dst, body, mac=None, ext=(), to=None):
        fr.add(name, lambda t: f.ether(mac or c.mac, to or b.mac, f.IP6, f.ip6(
            src, dst, f.ICMP6, body(t), hops=255, ext=ext)))
    ask = f.solicited(b.v6)
    nd("honest solicitation", c.v6, ask, lambda t: f.solicit(c.v6, ask, b.v6, t, c.mac), to=f.group_mac(ask))
    nd("honest solicitation, link-local", c.ll, b.ll, lambda t: f.solicit(c.ll, b.ll, b.ll, t, c.mac))
    nd("honest advertisement", c.v6, b.v6, lambda t: f.advertise(c.v6, b.v6, c.v6, t, c.mac))
    nd("honest advertisement, link-local", c.ll, b.ll, lambda t: f.advertise(c.ll, b.ll, c.ll, t, c.mac))
    nd("honest unsolicited", c.v6, "ff02::1", lambda t: f.advertise(c.v6, "ff02::1", c.v6, t, c.mac),
       to=f.group_mac("ff02::1"))
    nd("honest duplicate detection", "::", f.solicited(c.v6), lambda t: f.solicit("::", f.solicited(c.v6), c.v6, t),
       to=f.group_mac("ff02::1"))  # to a group that b's link takes
    for who, address in (("a", a.v6), ("the gateway", GATEWAY6), ("b", b.v6), ("a's link-local", a.ll)):
        for how, src in (("own", c.v6), ("own link-local", c.ll), ("its", address)):
            nd(f"{how} source, for {who}", src, b.v6,
               lambda t, src=src, address=address: f.advertise(src, b.v6, address, t, c.mac))
        nd(f"solicitation as {who}", address, b.v6,
           lambda t, address=address: f.solicit(address, b.v6, b.v6, t, c.mac))
        nd(f"unsolicited for {who}", c.ll, "ff02::1",
           lambda t, address=address: f.advertise(c.ll, "ff02::1", address, t, c.mac), to=f.group_mac("ff02::1"))
    nd("all of a's", a.v6, b.v6, lambda t: f.advertise(a.v6, b.v6, a.v6, t, a.mac), mac=a.mac)
    nd("own, in a's frame", c.v6, b.v6, lambda t: f.advertise(c.v6, b.v6, c.v6, t, c.mac), mac=a.mac)
    for name, ext in (("hop-by-hop", [f.options(f.HOP)]), ("destination options", [f.options(f.DEST)]),
                      ("an atomic fragment", [f.fragment(0, False, 7)])):
        nd(f"for a behind {name}", c.v6, b.v6, lambda t: f.advertise(c.v6, b.v6, a.v6, t, c.mac), ext=ext)
    nd("router advertisement", c.ll, "ff02::1", lambda t: f.router(c.ll, "ff02::1", c.mac, t), to=f.group_mac("ff02::1"))
    nd("unicast router advertisement", c.ll, b.ll, lambda t: f.router(c.ll, b.ll, c.mac, t))
    nd("router advertisement behind hop-by-hop", c.ll, b.ll, lambda t: f.router(c.ll, b.ll, c.mac, t),
       ext=[f.options(f.HOP)])
    nd("redirect", c.ll, b.ll, lambda t: f.redirect(c.ll, b.ll, c.ll, OUTSIDE6, t))
    nd("redirect as the gateway", "fe80::1", b.ll, lambda t: f.redirect("fe80::1", b.ll, c.ll, OUTSIDE6, t))
    nd("duplicate of a", "::", f.solicited(a.v6), lambda t: f.solicit("::", f.solicited(a.v6), a.v6, t),
       to=f.group_mac("ff02::1"))
    return fr


def test_neighbour_discovery_speaks_for_itself_only(lab):
    attack(lab, discovery, {"honest solicitation", "honest solicitation, link-local", "honest advertisement",
                            "honest advertisement, link-local", "honest unsolicited", "honest duplicate detection"})


def ethertypes(lab, a, b, c):
    """Honest addresses, but a port that only a may use, in frames that IP rules may not see."""
    fr = Frames()
    fr.udp("honest", c, b, c.v4)
    for name, tags in (("VLAN 0", [(f.DOT1Q, 0)]), ("VLAN 0 with priority", [(f.DOT1Q, 0xE000)]),
                       ("VLAN 5", [(f.DOT1Q, 5)]), ("802.1ad VLAN 0", [(f.DOT1AD, 0)]), ("802.1ad VLAN 5", [(f.DOT1AD, 5)]),
                       ("two VLAN 0", [(f.DOT1Q, 0), (f.DOT1Q, 0)]), ("QinQ 0 0", [(f.DOT1AD, 0), (f.DOT1Q, 0)]),
                       ("QinQ 5 6", [(f.DOT1AD, 5), (f.DOT1Q, 6)]), ("three tags", [(f.DOT1Q, 0)] * 3),
                       ("old QinQ", [(f.QINQ_OLD, 0)])):
        for family, own in (("4", c.v4), ("6", c.v6)):
            fr.udp(f"{name}, IPv{family}", c, b, own, CLOSED, wrap=(None, tags, b""))
            fr.udp(f"{name}, IPv{family}, an open port", c, b, own, OPEN, wrap=(None, tags, b""))
    for name, kind, before in (
            ("MPLS", 0x8847, b"\0\0\x01\x40"), ("PPPoE", 0x8864, b"\x11\0\0\x01\0\x40\0\x21"), ("IPX", 0x8137, b""),
            ("TRILL", 0x22F3, b"\0" * 6), ("EAPOL", 0x888E, b""), ("MACsec", 0x88E5, b"\0" * 6), ("loopback", 0x9000, b""),
            ("experimental", 0x88B5, b""), ("LLDP", 0x88CC, b""), ("BATMAN", 0x4305, b""), ("PTP", 0x88F7, b""),
            ("802.3 SNAP", 60, b"\xaa\xaa\x03\0\0\0\x08\0"), ("802.3 LLC STP", 60, b"\x42\x42\x03"), ("type 0", 0, b"")):
        fr.udp(name, c, b, c.v4, CLOSED, wrap=(kind, (), before))
    return fr


def test_only_ip_and_arp_cross_the_bridge(lab):
    attack(lab, ethertypes, {"honest"})


def test_tagged_frames_that_a_peer_takes_for_untagged(lab):
    """Not only the wire: b's sockets take VLAN 0, which is why it has to go."""
    a, b, c = world(lab)
    fr = ethertypes(lab, a, b, c)
    got = deliver(c, fr, [b], [OPEN, CLOSED], fr.all)[0]
    if not {"VLAN 0, IPv4", "VLAN 0, IPv6", "802.1ad VLAN 0, IPv4", "QinQ 0 0, IPv6", "two VLAN 0, IPv4"} <= set(got["stack"]):
        raise Failure(f"a peer does not take VLAN 0 here: {got['stack']}")
    lab.start(mode="enforce")
    fr = ethertypes(lab, a, b, c)
    expect("b's sockets", deliver(c, fr, [b], [OPEN, CLOSED], ["honest"])[0], {"honest"}, "stack")


def in_anothers_name(lab, a, c):
    """To the node, which takes the tags off."""
    fr, gate = Frames(), node_mac(lab)
    for name, tags in (("VLAN 0", [(f.DOT1Q, 0)]), ("VLAN 0 with priority", [(f.DOT1Q, 0xE000)]),
                       ("802.1ad VLAN 0", [(f.DOT1AD, 0)]), ("two VLAN 0", [(f.DOT1Q, 0), (f.DOT1Q, 0)]),
                       ("QinQ 0 0", [(f.DOT1AD, 0), (f.DOT1Q, 0)])):
        for whose, x in (("a", a), ("c", c)):
            fr.udp(f"{name}, {whose}'s", c, c, x.v4, to=GATEWAY4, at=gate, wrap=(None, tags, b""))
            fr.udp(f"{name}, {whose}'s IPv6", c, c, x.v6, to=GATEWAY6, at=gate, wrap=(None, tags, b""))
    fr.udp("untagged, a's", c, c, a.v4, to=GATEWAY4, at=gate)
    fr.udp("honest", c, c, c.v4, to=GATEWAY4, at=gate)
    return fr


def tell_the_node(lab, c, a, start, want):
    fr = in_anothers_name(lab, a, c)
    expect_all("the node", fr, deliver(c, fr, [(lab.node, "br0")], [OPEN], fr.all)[0], "stack")
    start()
    fr = in_anothers_name(lab, a, c)
    want = {n for n in fr.all if want(n)}
    expect("the node", deliver(c, fr, [(lab.node, "br0")], [OPEN], want)[0], want, "stack")


def test_observed_workloads_take_no_name_by_tags(lab):
    a, b, c = world(lab)
    tell_the_node(lab, c, a, lambda: lab.start(
        mode="enforce", modes=[{"selector": {"matchLabels": {"app": "c"}}, "mode": "learn"}]), lambda n: n == "honest")


def test_ports_of_nobody_take_no_name_by_tags(lab):
    """But they may send tags of their own: somebody's uplink does."""
    a, b, c = world(lab)

    def start():
        of_c = lab.containers.pop("c")
        lab.start(mode="enforce")
        lab.containers["c"] = of_c
    tell_the_node(lab, c, a, start,
                  lambda n: n == "honest" or (", c's" in n and "two" not in n and "QinQ" not in n))


def neighbours_by_tags(lab, a, c):
    """ARP and advertisements behind a tag: for a's addresses, and for c's own."""
    fr, gate = Frames(), node_mac(lab)
    for name, tpid in (("802.1Q", f.DOT1Q), ("802.1ad", f.DOT1AD)):
        for whose, x in (("a", a), ("c", c)):
            fr.add(f"{name} ARP, {whose}'s", lambda t, x=x, tpid=tpid: f.ether(c.mac, gate, f.ARP, f.arp(
                2, c.mac, x.v4, gate, GATEWAY4, t), [(tpid, 0)]))
            fr.add(f"{name} advertisement, {whose}'s", lambda t, x=x, tpid=tpid: f.ether(c.mac, gate, f.IP6, f.ip6(
                c.v6, GATEWAY6, f.ICMP6, f.advertise(c.v6, GATEWAY6, x.v6, t, c.mac), hops=255), [(tpid, 0)]))
    return fr


def test_ports_of_nobody_are_nobodys_neighbour_by_tags(lab):
    a, b, c = world(lab)
    fr = neighbours_by_tags(lab, a, c)
    expect_all("the node", fr, deliver(c, fr, [(lab.node, "br0")], [], fr.all)[0])
    of_c = lab.containers.pop("c")
    lab.start(mode="enforce")
    lab.containers["c"] = of_c
    fr = neighbours_by_tags(lab, a, c)
    want = {n for n in fr.all if ", c's" in n}
    expect("the node", deliver(c, fr, [(lab.node, "br0")], [], want)[0], want)


def test_spanning_tree_frames(lab):
    """To the group of bridges, which a bridge without STP floods."""
    a, b, c = world(lab)

    def build():
        fr = Frames()
        fr.udp("honest", c, b, c.v4)
        fr.add("BPDU", lambda t: f.ether(c.mac, "01:80:c2:00:00:00", 46, b"\x42\x42\x03" + bytes(35) + t))
        fr.add("PVST", lambda t: f.ether(c.mac, "01:00:0c:cc:cc:cd", 46, b"\xaa\xaa\x03\0\0\x0c\x01\x0b" + bytes(30) + t))
        return fr
    fr = build()
    expect_all("b", fr, deliver(c, fr, [b], want=fr.all)[0])
    lab.start(mode="enforce")
    expect("b", deliver(c, build(), [b], want=["honest"])[0], {"honest"})


def test_reserved_groups_do_not_reach_the_node(lab):
    """Frames to 01:80:c2:00:00:0X never enter the bridge: the node's stack gets them from the port itself."""
    a, b, c = world(lab)
    br = node_mac(lab)

    def build():
        fr = Frames()

        def say(name, source, dst):
            target = GATEWAY6 if ":" in source else GATEWAY4
            pack = (lambda p: f.ip6(source, target, f.UDP, p)) if ":" in source else (lambda p: f.ip4(source, target, f.UDP, p))
            kind = f.IP6 if ":" in source else f.IP4
            fr.add(name, lambda t: f.ether(c.mac, dst, kind, pack(f.udp(source, target, 4000, OPEN, t))))
        for family, own, other, outside in (("4", c.v4, a.v4, OUTSIDE4), ("6", c.v6, a.v6, OUTSIDE6)):
            say("honest" + family, own, br)
            say("a's address" + family, other, br)
            say("an outside address" + family, outside, br)
            for group in (LLDP, RESERVED):
                say(f"own address by {group}, {family}", own, group)
                say(f"a's address by {group}, {family}", other, group)
                say(f"an outside address by {group}, {family}", outside, group)
        return fr
    fr = build()
    expect_all("the node's sockets", fr, deliver(c, fr, [(lab.node, c.host_if)], [OPEN], fr.all)[0], "stack")
    meet(lab, a, b, c)
    lab.start(mode="enforce")
    want = {"honest4", "honest6"}
    expect("the node's sockets", deliver(c, build(), [(lab.node, c.host_if)], [OPEN], want)[0], want, "stack")


def port_of(lab, mac):
    for line in run("bridge", "-n", lab.node, "fdb", "show", "br", "br0").splitlines():
        if line.startswith(mac) and "permanent" not in line:
            return line.split()[2]
    return None


def test_nobody_takes_a_mac_from_its_port(lab):
    """Whatever c sends from a's MAC, the bridge goes on to send to a what is for a."""
    a, b, c = world(lab)
    ways = {"unicast": b.mac, "broadcast": f.BROADCAST, "LLDP": LLDP, "a reserved group": RESERVED,
            "pause": "01:80:c2:00:00:01", "spanning tree": "01:80:c2:00:00:00"}

    def stolen(dst):
        """Within some tries: what a says of its own accord takes the MAC back."""
        for _ in range(5):
            Child(c.netns, f.send, "eth0", [f.ether(a.mac, dst, 0x88B5, b"")] * 3).result()
            if port_of(lab, a.mac) == c.host_if:
                return True
        return False
    for how in ("unicast", "broadcast", "LLDP", "a reserved group"):
        lab.expect([(a, b.v4, "udp", 9, "closed")])
        if not stolen(ways[how]):
            raise Failure(f"without rules {how} does not take the MAC: the test shows nothing")
    meet(lab, a, b, c)
    lab.start(mode="enforce")
    option = lambda: json.loads(run("ip", "-n", lab.node, "-d", "-j", "link", "show", "br0"))[0]["linkinfo"]["info_data"]
    wait_for("the bridge learns nothing from what no rule sees", lambda: option().get("no_linklocal_learn"))
    got = []
    for how, dst in ways.items():
        lab.expect([(a, GATEWAY4, "udp", 9, "closed")])
        wait_for("an honest frame teaches the bridge", lambda: port_of(lab, a.mac) == a.host_if)
        if stolen(dst):
            got.append(how)
    if got:
        raise Failure(f"a's frames go to c by {got}")


def plumbing(lab, a, b, c):
    fr = Frames()

    def say(name, mac, kind, packet):
        fr.add(name, lambda t: f.ether(c.mac, mac, kind, packet(t)))

    def four(src, dst, data, proto=f.UDP, **kw):
        return lambda t: f.ip4(src, dst, proto, data(t), **kw)

    def six(src, dst, data, proto=f.UDP, **kw):
        return lambda t: f.ip6(src, dst, proto, data(t), **kw)
    say("DHCP discover", f.BROADCAST, f.IP4, four(
        "0.0.0.0", "255.255.255.255", lambda t: f.udp("0.0.0.0", "255.255.255.255", 68, 67, bytes(236) + t)))
    say("broadcast", f.BROADCAST, f.IP4, four(c.v4, "255.255.255.255", lambda t: f.udp(c.v4, "255.255.255.255", 4000, 9999, t)))
    say("the subnet's broadcast", f.BROADCAST, f.IP4, four(
        c.v4, "10.77.0.255", lambda t: f.udp(c.v4, "10.77.0.255", 4000, 9999, t)))
    say("multicast DNS", f.group_mac("224.0.0.251"), f.IP4, four(
        c.v4, "224.0.0.251", lambda t: f.udp(c.v4, "224.0.0.251", 5353, 5353, t), ttl=255))
    say("IGMP", f.group_mac("224.0.0.22"), f.IP4, four(
        c.v4, "224.0.0.22", lambda t: f.icmp(0x22, 0, bytes(4)) + t, proto=2, ttl=1, options=b"\x94\4\0\0"))
    say("multicast DNS over IPv6", f.group_mac("ff02::fb"), f.IP6, six(
        c.ll, "ff02::fb", lambda t: f.udp(c.ll, "ff02::fb", 5353, 5353, t), hops=255))
    say("MLD report", f.group_mac("ff02::16"), f.IP6, six(
        c.ll, "ff02::16", lambda t: f.icmp6(c.ll, "ff02::16", 143, 0, bytes(4) + t), proto=f.ICMP6, hops=1,
        ext=[(f.HOP, b"\0\5\2\0\0\1\0")]))
    say("MLD report without an address", f.group_mac("ff02::16"), f.IP6, six(
        "::", "ff02::16", lambda t: f.icmp6("::", "ff02::16", 143, 0, bytes(4) + t), proto=f.ICMP6, hops=1,
        ext=[(f.HOP, b"\0\5\2\0\0\1\0")]))
    say("router solicitation", f.group_mac("ff02::2"), f.IP6, six(
        c.ll, "ff02::2", lambda t: f.icmp6(c.ll, "ff02::2", 133, 0, bytes(4) + f.lladdr(1, c.mac) + f.nonce(t)),
        proto=f.ICMP6, hops=255))
    say("DHCPv6 solicit", f.group_mac("ff02::1:2"), f.IP6, six(
        c.ll, "ff02::1:2", lambda t: f.udp(c.ll, "ff02::1:2", 546, 547, b"\1\0\0\1" + t)))
    return fr


def test_plumbing_works(lab):
    """Broadcast, multicast, DHCP, MLD and solicitations pass to everybody, the node included."""
    a, b, c = world(lab)
    lab.sh(lab.node, "ip link set br0 type bridge mcast_snooping 0")  # else b is not told of groups
    lab.start(mode="enforce")
    fr = plumbing(lab, a, b, c)
    got = deliver(c, fr, [b, (lab.node, "br0")], want=fr.all)
    expect("b", got[0], fr.all)
    expect("the node", got[1], fr.all)


def servers(lab, a, b, c):
    """c answers where only the node should: addresses and routes for its neighbours."""
    fr = Frames()
    fr.udp("honest", c, b, c.v4)
    fr.udp("DHCP offer to b", c, b, c.v4, 68)
    fr.add("DHCP offer to all", lambda t: f.ether(c.mac, f.BROADCAST, f.IP4, f.ip4(
        c.v4, "255.255.255.255", f.UDP, f.udp(c.v4, "255.255.255.255", 67, 68, bytes(236) + t))))
    fr.add("DHCPv6 advertisement", lambda t: f.ether(c.mac, b.mac, f.IP6, f.ip6(
        c.ll, b.ll, f.UDP, f.udp(c.ll, b.ll, 547, 546, b"\2\0\0\1" + t))))
    fr.add("DHCPv6 ports between clients", lambda t: f.ether(c.mac, b.mac, f.IP6, f.ip6(
        c.ll, b.ll, f.UDP, f.udp(c.ll, b.ll, 546, 546, t))))
    return fr


def test_nobody_plays_the_dhcp_server(lab):
    attack(lab, servers, {"honest"})


def routes(lab, a, b, c):
    fr = servers(lab, a, b, c)
    fr.add("router advertisement", lambda t: f.ether(c.mac, f.group_mac("ff02::1"), f.IP6, f.ip6(
        c.ll, "ff02::1", f.ICMP6, f.router(c.ll, "ff02::1", c.mac, t), hops=255)))
    fr.add("redirect", lambda t: f.ether(c.mac, b.mac, f.IP6, f.ip6(
        c.ll, b.ll, f.ICMP6, f.redirect(c.ll, b.ll, c.ll, OUTSIDE6, t), hops=255)))
    return fr


def test_observed_neighbours_give_no_addresses_and_routes(lab):
    """c is in learn mode, b enforces: what c may send reaches a, which is observed too, but not b."""
    a, b, c = world(lab)
    meet(lab, a, b, c)
    lab.start(mode="learn", modes=[{"selector": {"matchLabels": {"app": "b"}}, "mode": "enforce"}])
    fr = routes(lab, a, b, c)
    got = deliver(c, fr, [a, b], want=["router advertisement", "DHCP offer to all"])
    if not {"router advertisement", "DHCP offer to all"} <= set(got[0]["wire"]):
        raise Failure(f"a, which is observed, got {got[0]['wire']}")
    expect("b", got[1], {"honest"})


def drops_are_counted(lab, c):
    return [l for l in lab.nft().splitlines() if c.host_if in l and "counter packets" in l]


def test_drops_are_counted_by_port(lab):
    a, b, c = world(lab)
    lab.start(mode="enforce")
    fr = ethertypes(lab, a, b, c)
    deliver(c, fr, [b], want=["honest"])
    wait_for("a counter that names the port", lambda: drops_are_counted(lab, c))


if __name__ == "__main__":
    Suite("al").main(globals())
