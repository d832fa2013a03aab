#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways around by IP itself: fragments, extension headers, options, errors, odd segments. a may reach one
port of b and tries to reach another; c may reach none but the open ones. Each test first shows that
all of it arrives without rules."""
import socket, struct

import frames as f
from around import (CLOSED, GATEWAY4, GATEWAY6, OPEN, OUTSIDE4, OUTSIDE6, POLICY, Frames, bridged, deliver, expect,
                    expect_all, meet, node_mac)
from lab import Child, Failure, Suite, run, wait_for

SHUT = 5009  # a UDP port of b that nobody may use


def world(lab):
    a, b, c = bridged(lab, "a", "b", "c")
    b.serve(tcp=[80, 81, 82])
    meet(lab, a, b, c)
    lab.policy("b.yaml", POLICY)
    return a, b, c


def compare(lab, build, want, sender="a", where="stack", mode="enforce"):
    """Without rules everything arrives; with them what is in `want`."""
    a, b, c = world(lab)
    src = {"a": a, "c": c}[sender]
    fr = build(lab, src, b)
    expect_all("at b", fr, deliver(src, fr, [b], [OPEN, CLOSED, SHUT], fr.all)[0], where)
    lab.start(mode=mode)
    fr = build(lab, src, b)
    expect("at b", deliver(src, fr, [b], [OPEN, CLOSED, SHUT], want if where == "wire" else ())[0], want, where)


def both(src, b):
    return ("4", src.v4, b.v4), ("6", src.v6, b.v6)


def pieces(src, b, source, target, data, cuts, order=None, ext=()):
    """The datagram `data` in fragments that begin at `cuts` (multiples of 8)."""
    ident, out = next(f.count), []
    ends = cuts[1:] + [len(data)]
    for at, end in zip(cuts, ends):
        more = end < len(data)
        if ":" in source:
            p = f.ip6(source, target, f.UDP, data[at:end], ext=[*ext, f.fragment(at, more, ident)])
        else:
            p = f.ip4(source, target, f.UDP, data[at:end], at, more, ident)
        out.append(f.ether(src.mac, b.mac, f.IP6 if ":" in source else f.IP4, p))
    return [out[i] for i in order] if order else out


def fragments(lab, src, b):
    fr = Frames()
    for family, source, target in both(src, b):
        for port, what in ((CLOSED, "allowed"), (SHUT, "denied")):
            def data(t, port=port):
                return f.udp(source, target, 4000, port, bytes(64) + t + bytes(24))
            for name, cuts, order in (("in two", [0, 48], None), ("tiny first", [0, 8, 48], None),
                                      ("backwards", [0, 8, 48], [2, 1, 0]), ("last first", [0, 48], [1, 0])):
                fr.add(f"{what} {name} {family}", lambda t, cuts=cuts, order=order, data=data: pieces(
                    src, b, source, target, data(t), cuts, order))
        fr.add(f"denied atomic {family}" if family == "6" else "denied whole 4", lambda t: pieces(
            src, b, source, target, f.udp(source, target, 4000, SHUT, t), [0]))
    return fr


def test_fragments_hide_no_port(lab):
    want = {f"allowed {how} {family}" for how in ("in two", "tiny first", "backwards", "last first") for family in "46"}
    compare(lab, fragments, want)


def test_overlapping_fragments_do_not_change_the_port(lab):
    """The first fragment says the allowed port, a second one writes the denied port over it."""
    a, b, c = world(lab)

    def build():
        fr = Frames()
        for family, source, target in both(a, b):
            def build_one(t, source=source, target=target):
                good = f.udp(source, target, 4000, CLOSED, bytes(40) + t, summed=":" in source)
                bad = f.udp(source, target, 4000, SHUT, bytes(40) + t, summed=":" in source)
                ident, out = next(f.count), []
                for at, part, more in ((0, good[:32], True), (0, bad[:32], True), (32, good[32:], False)):
                    p = f.ip6(source, target, f.UDP, part, ext=[f.fragment(at, more, ident)]) if ":" in source \
                        else f.ip4(source, target, f.UDP, part, at, more, ident)
                    out.append(f.ether(a.mac, b.mac, f.IP6 if ":" in source else f.IP4, p))
                return out
            fr.add("overlap" + family, build_one)
        return fr
    lab.start(mode="enforce")
    expect("b's closed port", deliver(a, build(), [b], [SHUT])[0], (), "stack")


EXTENSIONS = {
    "hop-by-hop": [f.options(f.HOP)], "destination options": [f.options(f.DEST)],
    "long destination options": [f.options(f.DEST, 30)], "routing": [f.routing(2, 0, "fd00:77::99")],
    "all of them": [f.options(f.HOP), f.options(f.DEST), f.routing(2, 0, "fd00:77::99"), f.options(f.DEST)],
    "eight": [f.options(f.DEST)] * 8, "atomic": [f.fragment(0, False, 99)],
    "hop-by-hop, atomic": [f.options(f.HOP), f.fragment(0, False, 98)],
    "atomic, destination options": [f.fragment(0, False, 97), f.options(f.DEST)],
}


def extensions(lab, src, b):
    fr = Frames()
    for name, ext in EXTENSIONS.items():
        fr.udp("allowed " + name, src, b, src.v6, CLOSED, ext=ext)
        fr.udp("denied " + name, src, b, src.v6, SHUT, ext=ext)
    return fr


def test_extension_headers_hide_no_port(lab):
    compare(lab, extensions, {"allowed " + name for name in EXTENSIONS})


def syns(lab, src, b):
    """Of TCP: seen at b's link, as no socket tells what a first segment carried."""
    fr = Frames()

    def add(name, family, flags, port, ext=(), options=b""):
        source, target = (src.v4, b.v4) if family == "4" else (src.v6, b.v6)
        fr.add(f"{name} {family}", lambda t: f.ether(
            src.mac, b.mac, f.IP4 if family == "4" else f.IP6,
            f.ip4(source, target, f.TCP, f.tcp(source, target, 3000 + len(fr.all), port, flags, t), options=options)
            if family == "4" else
            f.ip6(source, target, f.TCP, f.tcp(source, target, 3000 + len(fr.all), port, flags, t), ext=ext)))
    for family in "46":
        add("allowed", family, f.SYN, 81)
        for name, flags in (("SYN with data", f.SYN), ("SYN ECN", f.SYN | 0xC0), ("ACK", f.ACK), ("null", 0), ("FIN", f.FIN),
                            ("RST", f.RST), ("SYN+ACK", f.SYN | f.ACK), ("SYN+FIN", f.SYN | f.FIN), ("SYN+RST", f.SYN | f.RST),
                            ("Xmas", f.FIN | f.PSH | f.URG), ("all", 63), ("PSH+ACK", f.PSH | f.ACK)):
            add(name, family, flags, 82)
    for name, ext in (("hop-by-hop", [f.options(f.HOP)]), ("routing", [f.routing(2, 0, b.v6)])):
        add("allowed behind " + name, "6", f.SYN, 81, ext)
        add("denied behind " + name, "6", f.SYN, 82, ext)
    add("denied with options", "4", f.SYN, 82, options=b"\x94\4\0\0")
    add("allowed with options", "4", f.SYN, 81, options=b"\x94\4\0\0")
    return fr


def test_odd_segments_open_nothing(lab):
    compare(lab, syns, {"allowed 4", "allowed 6", "allowed behind hop-by-hop 6", "allowed behind routing 6",
                        "allowed with options 4"}, where="wire")


def test_odd_segments_open_nothing_to_an_allowed_port(lab):
    """Mid-stream segments of no connection are dropped where policy decides, even to a port that is allowed."""
    a, b, c = world(lab)

    def build():
        fr = Frames()
        for family, source, target in both(a, b):
            for name, flags in (("SYN", f.SYN), ("ACK", f.ACK), ("null", 0), ("FIN", f.FIN), ("SYN+ACK", f.SYN | f.ACK)):
                fr.add(name + family, lambda t, flags=flags: f.ether(
                    a.mac, b.mac, f.IP4 if family == "4" else f.IP6,
                    (f.ip4 if family == "4" else f.ip6)(source, target, f.TCP, f.tcp(
                        source, target, 3000 + len(fr.all), 81, flags, t))))
        return fr
    fr = build()
    expect_all("b", fr, deliver(a, fr, [b], want=fr.all)[0])
    lab.start(mode="enforce")
    want = {"SYN4", "SYN6"}
    got = set(deliver(a, build(), [b], want=want)[0]["wire"])
    if got - want - {"null4", "null6", "FIN4", "FIN6", "SYN+ACK4", "SYN+ACK6"} or want - got:
        raise Failure(f"at b: {sorted(got)}")


def datagrams(lab, src, b):
    fr = Frames()
    for port, what in ((CLOSED, "allowed"), (SHUT, "denied")):
        for name, ip in (("plain", {}), ("with a router alert", {"options": b"\x94\4\0\0"}),
                         ("with a loose source route, used up", {"options": b"\x83\7\x08" + f.packed(b.v4) + b"\0"}),
                         ("with time stamps", {"options": b"\x44\x08\5\0\0\0\0\0"}), ("TTL 1", {"ttl": 1})):
            fr.udp(f"{what} {name}", src, b, src.v4, port, **ip)
        fr.add(f"{what} without checksum", lambda t, port=port: f.ether(src.mac, b.mac, f.IP4, f.ip4(
            src.v4, b.v4, f.UDP, f.udp(src.v4, b.v4, 4000, port, t, summed=False))))
        fr.udp(f"{what} over IPv6", src, b, src.v6, port)
        fr.udp(f"{what} hop limit 1", src, b, src.v6, port, hops=1)
    return fr


def test_odd_datagrams(lab):
    a, b, c = world(lab)
    lab.sh(b.netns, "sysctl -qw net.ipv4.conf.all.accept_source_route=1 net.ipv4.conf.eth0.accept_source_route=1")
    lab.sh(lab.node, "sysctl -qw net.ipv4.conf.all.accept_source_route=1 net.ipv4.conf.br0.accept_source_route=1")
    fr = datagrams(lab, a, b)
    before = set(deliver(a, fr, [b], [CLOSED, SHUT], fr.all)[0]["stack"])
    if len([n for n in before if n.startswith("denied")]) < 5:
        raise Failure(f"without rules only {sorted(before)} arrive: the test shows nothing")
    lab.start(mode="enforce")
    fr = datagrams(lab, a, b)
    expect("b's sockets", deliver(a, fr, [b], [CLOSED, SHUT])[0], {n for n in before if n.startswith("allowed")}, "stack")


def test_source_routes_are_refused(lab):
    """By way of the node, which forwards source routes here: the rules would see the node, not b."""
    a, b, c = world(lab)
    lab.sh(lab.node, "sysctl -qw net.ipv4.conf.all.accept_source_route=1 net.ipv4.conf.br0.accept_source_route=1 "
           "net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.br0.send_redirects=0")
    lab.sh(b.netns, "sysctl -qw net.ipv4.conf.all.accept_source_route=1 net.ipv4.conf.eth0.accept_source_route=1")

    def build():
        fr = Frames()
        for name, src in (("a", a), ("c", c)):
            fr.add(name, lambda t, src=src: f.ether(src.mac, node_mac(lab), f.IP4, f.ip4(
                src.v4, GATEWAY4, f.UDP, f.udp(src.v4, b.v4, 4000, CLOSED, t),
                options=b"\x83\7\4" + f.packed(b.v4) + b"\0")))
        return fr

    def go():
        fr = build()
        got = set()
        for src in (a, c):
            one = Frames()
            one.all, one.tokens = {src.name: fr.all[src.name]}, {src.name: fr.tokens[src.name]}
            got |= set(deliver(src, one, [b], [CLOSED])[0]["stack"])
        return got
    if go() != {"a", "c"}:
        raise Failure("the node does not forward source routes here: the test shows nothing")
    lab.start(mode="enforce")
    got = go()
    if got:
        raise Failure(f"by way of the node came {got}")


def quote(source, target, sport, dport, proto=None):
    """What an error says of the packet that caused it."""
    proto = proto or f.UDP
    data = f.udp(source, target, sport, dport, b"") if proto == f.UDP else f.tcp(source, target, sport, dport, f.SYN)
    return f.ip6(source, target, proto, data) if ":" in source else f.ip4(source, target, proto, data)


def error(src, b, source, target, t, quoted, kind=None):
    """To b: port unreachable, or `kind`; RFC 4884's length is absent, so the token is free text."""
    if ":" in source:
        body = f.icmp6(source, target, *(kind or (1, 4)), bytes(4) + quoted + t)
        return f.ether(src.mac, b.mac, f.IP6, f.ip6(source, target, f.ICMP6, body))
    body = f.icmp(*(kind or (3, 3)), bytes(4) + quoted + t)
    return f.ether(src.mac, b.mac, f.IP4, f.ip4(source, target, f.ICMP, body))


def flow(lab, b, target, sport, dport):
    """b sends one datagram from that port."""
    def one():
        s = socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("::" if ":" in target else "0.0.0.0", sport))
        s.sendto(b"x", (target, dport))
    Child(b.netns, one).result()


def errors(lab, src, a, b):
    fr = Frames()
    for family, target, other, own in (("4", b.v4, a.v4, src.v4), ("6", b.v6, a.v6, src.v6)):
        fr.add("unsolicited" + family, lambda t: error(src, b, own, target, t, quote(target, own, 4444, 5555)))
        fr.add("of nobody's flow" + family, lambda t: error(src, b, own, target, t, quote(target, other, 4445, 5555)))
        fr.add("without a quotation" + family, lambda t: error(src, b, own, target, t, b""))
        fr.add("of a cut quotation" + family, lambda t: error(src, b, own, target, t, quote(target, own, 4444, 5555)[:20]))
        fr.add("echo" + family, lambda t: error(src, b, own, target, t, b"", (128, 0) if family == "6" else (8, 0)))
        fr.add("echo reply" + family, lambda t: error(src, b, own, target, t, b"", (129, 0) if family == "6" else (0, 0)))
        flow(lab, b, own, 4600, 5600)
        fr.add("of b's flow" + family, lambda t: error(src, b, own, target, t, quote(target, own, 4600, 5600)))
    for name, kind in (("redirect", (5, 1)), ("source quench", (4, 0)), ("mask reply", (18, 0)), ("router advertisement", (9, 0)),
                       ("timestamp", (13, 0))):
        fr.add(name, lambda t, kind=kind: error(src, b, src.v4, b.v4, t, quote(b.v4, src.v4, 4444, 5555), kind))
    return fr


def test_errors_pass_for_flows_that_exist(lab):
    a, b, c = world(lab)
    fr = errors(lab, c, a, b)
    expect_all("at b", fr, deliver(c, fr, [b], want=fr.all)[0])
    lab.start(mode="enforce")
    want = {"of b's flow4", "of b's flow6"}
    expect("at b", deliver(c, errors(lab, c, a, b), [b], want=want)[0], want)


def test_errors_about_flows_of_others(lab):
    """c is no end of the flow between b and a, so it has nothing to say of it."""
    a, b, c = world(lab)

    def build():
        fr = Frames()
        for family, target, other, own, kind in (("4", b.v4, a.v4, c.v4, (3, 4)), ("6", b.v6, a.v6, c.v6, (2, 0))):
            flow(lab, b, other, 4700, 5700)
            fr.add("too big" + family, lambda t: error(c, b, own, target, t, quote(target, other, 4700, 5700), kind))
            fr.add("unreachable" + family, lambda t: error(c, b, own, target, t, quote(target, other, 4700, 5700)))
        return fr
    fr = build()
    expect_all("at b", fr, deliver(c, fr, [b], want=fr.all)[0])
    lab.start(mode="enforce")
    expect("at b", deliver(c, build(), [b])[0], ())


def test_link_local_traffic_is_governed(lab):
    """Between containers of one bridge, in both families' eyes the same peers."""
    a, b, c = world(lab)

    def build(src):
        fr = Frames()
        for port, name in ((OPEN, "open"), (CLOSED, "a's"), (SHUT, "nobody's")):
            fr.udp(name, src, b, src.ll, port, to=b.ll)
            fr.udp(name + ", from its global address", src, b, src.v6, port, to=b.ll)
            fr.udp(name + ", to the global address", src, b, src.ll, port, to=b.v6)
        return fr
    fr = build(c)
    expect_all("b's sockets", fr, deliver(c, fr, [b], [OPEN, CLOSED, SHUT], fr.all)[0], "stack")
    lab.start(mode="enforce")
    variants = lambda name: {name, name + ", from its global address", name + ", to the global address"}
    expect("from a, b's sockets", deliver(a, build(a), [b], [OPEN, CLOSED, SHUT])[0], variants("open") | variants("a's"), "stack")
    expect("from c, b's sockets", deliver(c, build(c), [b], [OPEN, CLOSED, SHUT])[0], variants("open"), "stack")


def test_tunnels_are_not_open(lab):
    """IP in IP, GRE and others have no port that a rule could allow."""
    def build(lab, src, b):
        fr = Frames()
        inner = lambda t: f.ip4(src.v4, b.v4, f.UDP, f.udp(src.v4, b.v4, 4000, CLOSED, t))
        for name, proto, head in (("IP in IP", 4, b""), ("GRE", 47, b"\0\0\x08\0"), ("ESP", 50, bytes(8)), ("AH", 51, bytes(12)),
                                  ("6in4", 41, b""), ("OSPF", 89, b""), ("VRRP", 112, b""), ("raw 255", 255, b"")):
            fr.add(name, lambda t, proto=proto, head=head: f.ether(src.mac, b.mac, f.IP4, f.ip4(
                src.v4, b.v4, proto, head + inner(t))))
            if proto not in (51,):  # here a header of which the rest depends
                fr.add(name + " over IPv6", lambda t, proto=proto, head=head: f.ether(
                    src.mac, b.mac, f.IP6, f.ip6(src.v6, b.v6, proto, head + inner(t))))
        fr.udp("honest", src, b, src.v4)
        return fr
    compare(lab, build, {"honest"}, sender="c", where="wire")


if __name__ == "__main__":
    Suite("ai").main(globals())
