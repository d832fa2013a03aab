#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may not take the fast path: frames in somebody else's name, frames that a hook would take for another flow's,
and all of those whose way by the bridge would have been another one or whose bytes are wanted."""
import frames as f
from around import CLOSED, OPEN, POLICY, Frames, bridged, deliver, expect, meet
from fast import attached, node, settle, silence, take_away, taken, witness
from lab import Failure, Suite, run, wait_for

MIDDLE = f.ACK | f.PSH


def world(lab, mode="enforce", **conf):
    """a holds a connection to b's port 81 by each family; c may not have one. Returns their ports at a."""
    a, b, c = bridged(lab, "a", "b", "c")
    b.serve(tcp=[80, 81], udp=[OPEN, CLOSED])
    meet(lab, a, b, c)
    lab.policy("b.yaml", POLICY)
    lab.start(mode=mode, **{"fast_path": True, **conf})
    held = [lab.hold(a, addr, 81) for addr in (b.v4, b.v6)]
    if not all(h.alive() for h in held * 5):
        raise Failure("no connection")
    ports = []
    for addr in (b.v4, b.v6):
        line = next(l for l in node(lab, "conntrack", "-L", "-f", "ipv6" if ":" in addr else "ipv4").splitlines()
                    if "dport=81" in l and f"dst={addr} " in l)
        ports.append(int(line.split("sport=")[1].split()[0]))
    return a, b, c, ports


def segment(src, dst, sport, t, flags=MIDDLE, mac=None, at=None, tags=(), source=None, data=None, **ip):
    """A segment of the connection, as `src` would send it."""
    v6 = isinstance(sport, tuple)
    sport = sport[0] if v6 else sport
    me, you = (source or (src.v6 if v6 else src.v4)), (dst.v6 if v6 else dst.v4)
    packet = (f.ip6 if v6 else f.ip4)(me, you, f.TCP, data or f.tcp(me, you, sport, 81, flags, t), **ip)
    return f.ether(mac or src.mac, at or dst.mac, f.IP6 if v6 else f.IP4, packet, tags)


def families(ports):
    return (("4", ports[0]), ("6", (ports[1],)))


def took(lab, before):
    return taken(lab) - before


def test_the_honest_segment(lab):
    """Of the one who has the connection, without a hook seeing it. (What follows shows nothing without this.)"""
    a, b, c, ports = world(lab)
    hooked = witness(lab)
    fr = Frames()
    for family, sport in families(ports):
        fr.add("honest " + family, lambda t, sport=sport: segment(a, b, sport, t))
    before = taken(lab)
    expect("at b", deliver(a, fr, [b], [], fr.all)[0], fr.all, "wire")
    if took(lab, before) < 2 or hooked() > 4:  # what b's kernel answers takes it as well
        raise Failure(f"{took(lab, before)} took the fast path, {hooked()} met the hooks")


def test_in_another_name(lab):
    """c has a's connection's addresses, ports, MAC: whatever it sends in its name reaches nobody. Nor does b's answer
    to a get to c by c's word."""
    a, b, c, ports = world(lab)
    fr = Frames()
    for family, sport in families(ports):
        name = a.v6 if family == "6" else a.v4
        fr.add("address and MAC " + family, lambda t, s=sport, n=name: segment(c, b, s, t, source=n, mac=a.mac))
        fr.add("address, own MAC " + family, lambda t, s=sport, n=name: segment(c, b, s, t, source=n))
        fr.add("own address, a's MAC " + family, lambda t, s=sport: segment(c, b, s, t, mac=a.mac))
    before = taken(lab)
    expect("at b", deliver(c, fr, [b], [])[0], (), "wire")
    if took(lab, before):
        raise Failure(f"{took(lab, before)} took the fast path")


def odd(a, b, c, ports):
    """Frames of a itself that are no plain segments of its connection."""
    fr = Frames()
    for family, s in families(ports):
        v6 = family == "6"
        port = s[0] if v6 else s
        me, you = (a.v6, b.v6) if v6 else (a.v4, b.v4)
        more = {"ext": [f.options(f.DEST)]} if v6 else {"options": b"\x01\x01\x01\x00"}
        for what, flags in (("SYN", f.SYN), ("SYN ACK", f.SYN | f.ACK), ("no flags", 0), ("FIN alone", f.FIN),
                            ("PSH URG", f.PSH | f.URG)):
            fr.add(f"{what} {family}", lambda t, flags=flags: segment(a, b, s, t, flags))
        fr.add("option " + family, lambda t: segment(a, b, s, t, **more))
        fr.add("tag of VLAN 0 " + family, lambda t: segment(a, b, s, t, tags=[(f.DOT1Q, 0)]))
        fr.add("tag of VLAN 7 " + family, lambda t: segment(a, b, s, t, tags=[(f.DOT1Q, 7)]))
        fr.add("two tags " + family, lambda t: segment(a, b, s, t, tags=[(f.DOT1AD, 0), (f.DOT1Q, 0)]))
        fr.add("another's MAC " + family, lambda t: segment(a, b, s, t, mac=c.mac))
        fr.add("a MAC of nobody " + family, lambda t: segment(a, b, s, t, mac="02:00:00:00:99:99"))
        fr.add("to c's MAC " + family, lambda t: segment(a, b, s, t, at=c.mac))
        fr.add("to all " + family, lambda t: segment(a, b, s, t, at=f.BROADCAST))
        fr.add("another port " + family, lambda t: segment(a, b, (port + 1,) if v6 else port + 1, t))
        fr.add("UDP " + family, lambda t: f.ether(a.mac, b.mac, f.IP6 if v6 else f.IP4, (f.ip6 if v6 else f.ip4)(
            me, you, f.UDP, f.udp(me, you, port, 81, t))))
        data = lambda t: f.tcp(me, you, port, 81, MIDDLE, bytes(60) + t)
        if v6:
            fr.add("atomic fragment 6", lambda t: segment(a, b, s, t, ext=[f.fragment(0, False, 7)]))
            fr.add("fragments 6", lambda t: [f.ether(a.mac, b.mac, f.IP6, f.ip6(
                me, you, f.TCP, part, ext=[f.fragment(at, go, 8)])) for at, go, part in (
                    (0, True, data(t)[:40]), (40, False, data(t)[40:]))])
        else:
            fr.add("fragments 4", lambda t: [f.ether(a.mac, b.mac, f.IP4, f.ip4(
                me, you, f.TCP, part, at, go, 9)) for at, go, part in (
                    (0, True, data(t)[:40]), (40, False, data(t)[40:]))])
            fr.add("header length 4", lambda t: segment(a, b, s, t, data=f.tcp(me, you, port, 81, MIDDLE, t)[:12] +
                   bytes([4 << 4]) + f.tcp(me, you, port, 81, MIDDLE, t)[13:]))
    return fr


def test_no_plain_segments(lab):
    """They go the usual way, to be decided there."""
    a, b, c, ports = world(lab)
    silence(lab)  # what b has not been told of when it is deaf it would send again and again
    run("nsenter", f"--net=/run/netns/{b.netns}", "nft", "-f", "-", input="""
        table inet deaf {
            chain p { type filter hook prerouting priority -400; drop; }
        }""")  # else b's kernel would answer some of them, and its answers would count
    before = taken(lab)
    deliver(a, odd(a, b, c, ports), [b], [])
    quiet = took(lab, before)
    fr = Frames()
    fr.add("honest", lambda t: segment(a, b, ports[0], t))
    deliver(a, fr, [b], [], fr.all)
    if quiet > 0 or took(lab, before) < 1:
        raise Failure(f"{quiet} took the fast path, with the honest one {took(lab, before)}")


def test_names_are_heard(lab):
    """Of DNS, by TCP too, the daemon takes copies at the hook."""
    a, b, c, ports = world(lab)
    lab.policy("b.yaml", POLICY.replace("port: 81", "port: 53"))
    b.serve(tcp=[53])
    wait_for("the policy", lambda: lab.probe(a, b.v4, "tcp", 53) == "open")
    before, held = taken(lab), lab.hold(a, b.v4, 53)
    if not all(held.alive() for _ in range(10)) or took(lab, before):
        raise Failure(f"{took(lab, before)} took the fast path")


def test_published_port(lab):
    """By address translation, which is conntrack's to undo: what b answers a directly is not from whom a asked."""
    a, b, c, ports = world(lab)
    node(lab, "nft", "-f", "-", input=f"""
        table ip publish {{
            chain p {{ type nat hook prerouting priority dstnat; ip daddr 10.77.0.1 tcp dport 8080 dnat to {b.v4}:81; }}
        }}""")
    held = lab.hold(a, "10.77.0.1", 8080)
    if not all(held.alive() for _ in range(10)):
        raise Failure("the connection stalls")


def test_by_the_node(lab):
    """One end sends to the other by the node, as if it were not on its link: what comes straight has to meet the hooks
    as well, or conntrack would know one half of it."""
    a, b, c, ports = world(lab)
    for x, y in ((a, b), (b, a)):
        lab.sh(lab.node, "sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.br0.send_redirects=0")
        lab.sh(x.netns, f"ip route add {y.v4}/32 via 10.77.0.1")
        before = taken(lab)
        held = lab.hold(a, b.v4, 81)
        if not all(held.alive() for _ in range(10)):
            raise Failure(f"{x.name}: the connection stalls")
        if took(lab, before):
            raise Failure(f"{x.name}: {took(lab, before)} took the fast path")
        lab.sh(x.netns, f"ip route del {y.v4}/32")
    before, held = taken(lab), lab.hold(a, b.v4, 81)
    if not all(held.alive() for _ in range(10)) or not took(lab, before):
        raise Failure("those that go straight do not take it any more")


def test_closed_meanwhile(lab):
    """Its entry is gone from conntrack: the very next segment meets the rules, which know no such connection."""
    a, b, c, ports = world(lab)
    node(lab, "conntrack", "-F")
    before, fr = taken(lab), Frames()
    for family, sport in families(ports):
        fr.add("late " + family, lambda t, sport=sport: segment(a, b, sport, t))
    expect("at b", deliver(a, fr, [b], [])[0], (), "wire")
    if took(lab, before):
        raise Failure("the fast path was taken")


def left_out(lab, why):
    return [(o["workload"], o["reason"]) for o in lab.status()["fast_path"]["left_out"]] == [("shop/b", why)] and \
        "not for shop/b (interface " in lab.cli("status")


def test_who_has_another_way(lab):
    """Ports that are shaped, filtered, kept apart by their bridge: told, left out, and back when it is over."""
    a, b, c, ports = world(lab)
    settle(lab, 3)
    for do, undo, why in (
            (f"tc qdisc add dev {b.host_if} root tbf rate 1gbit burst 1mbit latency 50ms", f"tc qdisc del dev {b.host_if} root",
             "its traffic is shaped"),
            (f"tc qdisc add dev {b.host_if} clsact; tc filter add dev {b.host_if} ingress pref 9 protocol all u32 match u32 0 0 flowid 1:1", f"tc filter del dev {b.host_if} ingress pref 9 && tc qdisc del dev {b.host_if} clsact",
             "other programs' filters are at it"),
            (f"bridge link set dev {b.host_if} isolated on", f"bridge link set dev {b.host_if} isolated off",
             "its bridge keeps ports apart")):
        lab.sh(lab.node, do)
        wait_for(why, lambda: left_out(lab, why) and attached(lab) == 2)
        lab.sh(lab.node, undo)
        settle(lab, 3)
    if "not supported" not in node(lab, "ip", "link", "set", "br0", "type", "bridge", "vlan_filtering", "1", check=False):
        wait_for("nobody has it", lambda: attached(lab) == 0)
        lab.sh(lab.node, "ip link set br0 type bridge vlan_filtering 0")
        settle(lab, 3)
    take_away(lab, b.host_if)
    settle(lab, 3)


def test_whose_bytes_are_wanted(lab):
    """Conntrack counts what flows carried, where that is asked for: it has to see them."""
    a, b, c, ports = world(lab, mode="learn")
    settle(lab, 3, 0)
    lab.cli("mode", "set", "enforce", "--namespace", "shop")
    settle(lab, 3)
    lab.cli("mode", "clear", "--namespace", "shop")
    settle(lab, 3, 0)
    lab.stop()
    lab.start(mode="enforce", fast_path=True, audit={"path": lab.dir + "/audit.jsonl", "flows_of": {"shop": "full"}})
    settle(lab, 3, 0)
    lab.stop()
    lab.start(mode="learn", fast_path=True, learn={"volume": False})
    settle(lab, 3)


if __name__ == "__main__":
    Suite("ff").main(globals())
