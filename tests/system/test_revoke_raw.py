#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change denies is cut, of protocols other than TCP's and UDP's sockets: SCTP, series of pings, GRE, ESP,
in both families and both directions. What stays allowed does not lose a packet."""
from around import describe, meet
from lab import Suite
from rawflow import Echo, End, Raw, Sctp, Tcp, Udp, esp, gre
from streams import both, change, in_force, ingress, world

SECONDS = 6.5


def ends(a, b):
    return [(End(a, x, a.mac), End(b, y, b.mac)) for x, y in zip(both(a), both(b))]


def triple(lab, mode="enforce", policy=None, **conf):
    all_ = [describe(c) for c in world(lab, mode, policy or ingress(["app: web", "app: old"]), **conf)]
    meet(lab, *all_, governed=True)
    return all_


def revoked(lab, make):
    """make(lab, client, server): its streams. old's are cut, web's are not."""
    web, old, api = triple(lab)
    cut = [s for x, y in ends(old, api) for s in make(lab, x, y)]
    whole = [s for x, y in ends(web, api) for s in make(lab, x, y)]

    def act():
        lab.policy("p.yaml", ingress(["app: web"]))
        in_force(lab, 2)
    change(lab, cut, whole, act)


def test_sctp(lab):
    """Behind the cut neither side's data goes on, although conntrack does not know what it belongs to."""
    revoked(lab, lambda lab, x, y: [Raw(lab, x, y, Sctp(), push, SECONDS) for push in (False, True)])


def test_sctp_heartbeats(lab):
    """Each of them is the beginning of a flow to conntrack, of which the other side's data would be part."""
    revoked(lab, lambda lab, x, y: [Raw(lab, x, y, Sctp(beats=True), push, SECONDS) for push in (False, True)])


def test_pings(lab):
    """One id; what asks and what answers."""
    revoked(lab, lambda lab, x, y: [Raw(lab, x, y, Echo(x, y), False, SECONDS, answers) for answers in (False, True)])


def test_portless(lab):
    """What the client sends. What the server sends is a flow of its own right, which goes on."""
    web, old, api = triple(lab)
    cut = [Raw(lab, x, y, what(), False, SECONDS) for x, y in ends(old, api)[:1] for what in (gre, esp)]
    cut += [Raw(lab, x, y, gre(), False, SECONDS) for x, y in ends(old, api)[1:]]
    whole = [Raw(lab, x, y, what(), push, SECONDS) for x, y in ends(web, api)[:1] for what in (gre, esp) for push in (False, True)]
    whole += [Raw(lab, x, y, esp(), True, SECONDS) for x, y in ends(old, api)[1:]]

    def act():
        lab.policy("p.yaml", ingress(["app: web"]))
        in_force(lab, 2)
    change(lab, cut, whole, act)


def test_portless_both_ways(lab):
    """Nobody may begin it any more: cut, whoever sends."""
    web, old, api = triple(lab)
    cut = [Raw(lab, x, y, what(), push, SECONDS) for x, y in ends(old, api) for what in (gre, esp) for push in (False, True)]
    whole = [Raw(lab, x, y, gre(), True, SECONDS) for x, y in ends(web, api)]

    def act():
        lab.cli("quarantine", "add", "shop/old")
    change(lab, cut, whole, act)


def test_low_ports(lab):
    """The client's port may be any: address translation elsewhere picks low ones too."""
    revoked(lab, lambda lab, x, y: [Raw(lab, x, y, Udp(x, y, 2000 + push, 7000 + push), push, SECONDS) for push in (False, True)] +
            [Raw(lab, x, y, Sctp(sport=1024), True, SECONDS)])


def test_the_way_back_is_one_flow(lab):
    """What the server has to say to another port, or from another one, is not the flow that was cut."""
    web, old, api = triple(lab)
    (x, y), _ = ends(old, api)
    cut = [Raw(lab, x, y, Udp(x, y, 2000, 7000), True, SECONDS)]
    whole = [Raw(lab, y, x, Udp(y, x, 7000, 2001), False, SECONDS), Raw(lab, y, x, Udp(y, x, 7001, 2000), False, SECONDS)]

    def act():
        lab.policy("p.yaml", ingress(["app: web"]))
        in_force(lab, 2)
    change(lab, cut, whole, act)


def streams_cut(lab, loose):
    web, old, api = triple(lab)
    Tcp.mute(lab, web, old, api)
    lab.sh(lab.node, f"sysctl -qw net.netfilter.nf_conntrack_tcp_loose={loose} net.netfilter.nf_conntrack_tcp_be_liberal=0")
    make = lambda x, y: [Raw(lab, x, y, Tcp(x, y, 3000 + push, 8000), push, SECONDS) for push in (False, True)]
    cut = [s for x, y in ends(old, api) for s in make(x, y)]
    whole = [s for x, y in ends(web, api) for s in make(x, y)]

    def act():
        lab.policy("p.yaml", ingress(["app: web"]))
        in_force(lab, 2)
    change(lab, cut, whole, act)


def test_streams_that_conntrack_does_not_pick_up(lab):
    """As hardened hosts have it: what goes on after the cut is invalid to conntrack, and not new."""
    streams_cut(lab, 0)


def test_streams_that_conntrack_picks_up(lab):
    streams_cut(lab, 1)


if __name__ == "__main__":
    Suite("rr").main(globals())
