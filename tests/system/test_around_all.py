#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways around by broadcast and multicast, which no rule decides, to who is in quarantine."""
import frames as f
from around import OPEN, Frames, bridged, deliver, expect, expect_all, meet
from lab import Suite

SUBNET = "10.77.0.255"


def floods(c, d):
    """To everybody's sockets, in frames to everybody or to d alone."""
    fr = Frames()
    for name, to, at in (("limited broadcast", "255.255.255.255", f.BROADCAST), ("the subnet's", SUBNET, f.BROADCAST),
                         ("limited broadcast to d's MAC", "255.255.255.255", d.mac),
                         ("the subnet's to d's MAC", SUBNET, d.mac),
                         ("all nodes", "ff02::1", f.group_mac("ff02::1")), ("all nodes to d's MAC", "ff02::1", d.mac)):
        fr.udp(name, c, d, c.ll if ":" in to else c.v4, to=to, at=at)
    return fr


def discovery(c, d):
    """What goes on, or nobody who is let out again would find anybody."""
    fr = Frames()
    fr.add("who has", lambda t: f.ether(c.mac, f.BROADCAST, f.ARP, f.arp(
        1, c.mac, c.v4, "00:00:00:00:00:00", d.v4, t)))
    fr.add("solicitation", lambda t: f.ether(c.mac, f.group_mac(f.solicited(d.v6)), f.IP6, f.ip6(
        c.v6, f.solicited(d.v6), f.ICMP6, f.solicit(c.v6, f.solicited(d.v6), d.v6, t, c.mac), hops=255)))
    return fr


def test_nobody_calls_to_who_is_in_quarantine(lab):
    c, d, e = bridged(lab, "c", "d", "e")
    lab.start(mode="learn")
    meet(lab, c, d, e)
    fr = floods(c, d)
    expect_all("d", fr, deliver(c, fr, [d], [OPEN], fr.all)[0], "stack")
    lab.cli("quarantine", "add", "d")
    fr = floods(c, d)
    others = {n for n in fr.all if "d's MAC" not in n}
    got = deliver(c, fr, [d, e], [OPEN], others)
    expect("d", got[0], (), "stack")
    expect("d", got[0], ())
    expect("e", got[1], others, "stack")
    fr = discovery(c, d)
    expect_all("d", fr, deliver(c, fr, [d], [], fr.all)[0])
    lab.cli("quarantine", "rm", "d")
    fr = floods(c, d)
    expect_all("d, free again", fr, deliver(c, fr, [d], [OPEN], fr.all)[0], "stack")


if __name__ == "__main__":
    Suite("aa").main(globals())
