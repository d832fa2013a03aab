#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that the fast path opens: by which frames, what conntrack has of them at each step, and that they go on
by the bridge when there is no fast path any more."""
import itertools, socket, struct, time

import frames as f
from around import Frames, bridged, deliver, expect, meet
from calls import Calls, begun, counted, first_segments, hot, serve
from fast import attached, entries, node, timeout_of
from lab import Child, Failure, Suite, run, wait_for
from streams import _drink, ingress

sports = itertools.count(20000)


def world(lab, **conf):
    """a may reach b's port 80, c may not."""
    a, b, c = bridged(lab, "a", "b", "c")
    b.serve(tcp=[80])
    serve(lab, b, 82)
    meet(lab, a, b, c)
    lab.policy("b.yaml", ingress(["app: a"]).replace("app: api", "app: b"))
    lab.start(mode="enforce", fast_path=True, **conf)
    return a, b, c


def first(src, dst, sport, t, v6=False, flags=f.SYN, mac=None, at=None, tags=(), source=None, port=80, data=None, **ip):
    """A first segment, with the token as its data."""
    me, you = source or (src.v6 if v6 else src.v4), dst.v6 if v6 else dst.v4
    packet = (f.ip6 if v6 else f.ip4)(me, you, f.TCP, data or f.tcp(me, you, sport, port, flags, t), **ip)
    return f.ether(mac or src.mac, at or dst.mac, f.IP6 if v6 else f.IP4, packet, tags)


class Odd(Frames):
    """Each from a port of its own, by which conntrack's entry is found again."""

    def __init__(self):
        super().__init__()
        self.sport = {}

    def first(self, name, src, dst, **kw):
        self.sport[name] = n = next(sports)
        self.add(name, lambda t: first(src, dst, n, t, **kw))

    def began_there(self, lab):
        lines = [l for fam in ("ipv4", "ipv6") for l in node(lab, "conntrack", "-L", "-f", fam).splitlines()]
        return {name for name, n in self.sport.items() if any(f"sport={n} " in l and "NONE" in l for l in lines)}


def warm(lab, a, b):
    calls = [Calls(lab, a, addr, 80, 20, pause=0.005) for addr in (b.v4, b.v6)]
    for c in calls:
        hot(lab, c)
    return calls


def test_honest_and_in_another_name(lab):
    """What a sends begins there; c has a's addresses, MAC, both: it reaches nobody."""
    a, b, c = world(lab)
    warm(lab, a, b)
    good, bad = Odd(), Odd()
    for v6 in (False, True):
        good.first(f"honest {v6}", a, b, v6=v6)
        name = a.v6 if v6 else a.v4
        bad.first(f"address and MAC {v6}", c, b, v6=v6, source=name, mac=a.mac)
        bad.first(f"address {v6}", c, b, v6=v6, source=name)
        bad.first(f"MAC {v6}", c, b, v6=v6, mac=a.mac)
        bad.first(f"own name {v6}", c, b, v6=v6)
    expect("at b", deliver(a, good, [b], [], good.all)[0], good.all, "wire")
    if good.began_there(lab) != set(good.all):
        raise Failure(f"{good.began_there(lab)} began there")
    expect("at b", deliver(c, bad, [b], [])[0], (), "wire")
    if bad.began_there(lab):
        raise Failure(f"{bad.began_there(lab)}")


def test_no_plain_first_segments(lab):
    """Of a itself, but nothing that begins there."""
    a, b, c = world(lab)
    warm(lab, a, b)
    fr = Odd()
    for v6 in (False, True):
        for what, flags in (("FIN", f.SYN | f.FIN), ("RST", f.SYN | f.RST), ("URG", f.SYN | f.URG), ("ACK", f.SYN | f.ACK)):
            fr.first(f"SYN {what} {v6}", a, b, v6=v6, flags=flags)
        fr.first(f"VLAN 0 {v6}", a, b, v6=v6, tags=[(f.DOT1Q, 0)])
        fr.first(f"to c's MAC {v6}", a, b, v6=v6, at=c.mac)
        fr.first(f"another's MAC {v6}", a, b, v6=v6, mac=c.mac)
        fr.first(f"another port {v6}", a, b, v6=v6, port=83)
        fr.first(f"option {v6}", a, b, v6=v6, **({"ext": [f.options(f.DEST)]} if v6 else {"options": b"\x01\x01\x01\x00"}))
        fr.first(f"fragment {v6}", a, b, v6=v6, **({"ext": [f.fragment(0, True, 7)]} if v6 else {"more": True}))
        fr.first(f"middle {v6}", a, b, v6=v6, flags=f.ACK)
    fr.first("honest", a, b)
    deliver(a, fr, [b], [])
    if fr.began_there(lab) != {"honest"}:
        raise Failure(f"began there: {fr.began_there(lab)}")


def _connect(addr, port, how, sport):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", sport))
    s.connect((addr, port))
    for _ in range(20):
        s.send(b"x")
        s.recv(1)
    if how == "open":
        time.sleep(30)
    if how == "reset":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
    time.sleep(30)


def test_ends(lab):
    """An open connection keeps conntrack's days; after FIN it is minutes, after a reset seconds."""
    a, b, c = world(lab)
    warm(lab, a, b)
    ports = {how: next(sports) for how in ("open", "fin", "reset")}
    for how, sport in ports.items():
        lab.children.append(Child(a.netns, _connect, b.v4, 80, how, sport))
    time.sleep(1)
    left = {how: timeout_of(entries(lab, f" sport={sport} ", "NONE", "[ASSURED]")[0]) for how, sport in ports.items()}
    if not (100 <= left["fin"] <= 120 and left["reset"] <= 10 and left["open"] > 431000):
        raise Failure(f"{left}")


def deaf(c, what):
    run("nsenter", f"--net=/run/netns/{c.netns}", "nft", "-f", "-", input="""
        table inet deaf {
            chain p { type filter hook prerouting priority -400; %s drop
        }
        }""" % what)


def test_no_answer(lab):
    """What nobody answers has the time of what nobody answers, and the client's second try is no other connection."""
    a, b, c = world(lab)
    warm(lab, a, b)
    sport = next(sports)
    deaf(b, f"tcp sport {sport}")
    lab.children.append(Child(a.netns, _connect, b.v4, 80, "open", sport))
    time.sleep(3.6)
    line = entries(lab, f" sport={sport} ", "NONE", "[UNREPLIED]")[0]
    if not 117 <= timeout_of(line) <= 120:
        raise Failure(line)
    run("nsenter", f"--net=/run/netns/{b.netns}", "nft", "delete", "table", "inet", "deaf")
    wait_for("it is answered", lambda: entries(lab, f" sport={sport} ", "NONE", "[ASSURED]"), timeout=8)


def _insist(frames, seconds):
    """Each for so long, one after the other."""
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind(("eth0", 0))
    for frame in frames:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            s.send(frame)
            time.sleep(0.02)


def test_nobody_opens_it_alone(lab):
    """A client's word that it has heard an answer which nobody gave makes no open connection."""
    a, b, c = world(lab)
    warm(lab, a, b)
    sport = next(sports)
    deaf(b, f"tcp sport {sport}")
    Child(a.netns, _insist, [first(a, b, sport, b"", flags=fl) for fl in (f.SYN, f.ACK)], 0.1).result()
    line = entries(lab, f" sport={sport} ")[0]
    if "[UNREPLIED]" not in line or "[ASSURED]" in line or timeout_of(line) > 300:
        raise Failure(line)


def test_a_proof_of_its_own(lab):
    """Those that began before another program came to deny the pair, and were never opened, have their first segments
    sent by the rules again, and answered: that says nothing of what they make of new ones."""
    a, b, c = world(lab)
    calls = warm(lab, a, b)
    mine = [next(sports) for _ in range(8)]
    deaf(a, "tcp dport { %s }" % ", ".join(map(str, mine)))
    Child(a.netns, _insist, [first(a, b, n, b"") for n in mine], 0.01).result()
    if not all(entries(lab, f" sport={n} ", "NONE") for n in mine):
        raise Failure("they did not begin on the fast path")
    node(lab, "nft", "-f", "-", input=f"""table ip others {{
        chain f {{ type filter hook forward priority 20; ip saddr {a.v4} tcp dport 80 ct state new drop
        }}
        }}""")
    at = time.monotonic()
    Child(a.netns, _insist, [first(a, b, n, b"", options=b"\x01\x01\x01\x00") for n in mine], 0.6).result()
    late = [t for t in calls[0].end() if t[2] is None and t[0] > at + 2]
    if late:
        raise Failure(f"{len(late)} connections began, the last {late[-1][0] - at:.2f} s after the rule")


def test_half_open(lab):
    """Answered, but never opened: it has not the time of an open one."""
    a, b, c = world(lab)
    warm(lab, a, b)
    sport = next(sports)
    deaf(a, f"tcp dport {sport}")
    lab.children.append(Child(a.netns, _connect, b.v4, 80, "open", sport))
    time.sleep(1.5)
    line = entries(lab, f" sport={sport} ", "NONE")[0]
    if "[UNREPLIED]" in line or "[ASSURED]" in line or not 117 <= timeout_of(line) <= 120:
        raise Failure(line)


def test_by_the_same_ports_again(lab):
    """A connection that was reset, and one of the same ports: each is one, and counted."""
    a, b, c = world(lab)
    calls = Calls(lab, a, b.v4, 80, 8, pause=0.01, sport=next(sports))
    hot(lab, calls)
    n = len(calls.passed())
    if calls.failed():
        raise Failure(f"{calls.failed()[:3]} of {n}")
    wait_for(f"all of {n} are counted", lambda: counted(lab, "shop/a", "shop/b", 80) == n)


def test_by_the_ports_of_a_forgotten_one(lab):
    """Conntrack has forgotten the one that was reset: the next is no less open for that."""
    a, b, c = world(lab)
    warm(lab, a, b)
    sport = next(sports)
    for how, least in (("reset", 0), ("open", 431000)):
        node(lab, "conntrack", "-D", "-p", "tcp", "--sport", str(sport), check=False)
        lab.children.append(Child(a.netns, _connect, b.v4, 80, how, sport))
        wait_for(how, lambda: [l for l in entries(lab, f" sport={sport} ", "NONE", "[ASSURED]")
                               if (timeout_of(l) <= 10) == (how == "reset")])
        if timeout_of(entries(lab, f" sport={sport} ", "NONE")[0]) < least:
            raise Failure(f"{entries(lab, f' sport={sport} ')}")


def _forget(addr, port, sport, first):
    """Ends one, of which the kernel here knows nothing more a second later."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, 1)
        s.settimeout(6)
        s.bind(("", sport))
        s.connect((addr, port))
        s.send(first)
        return s.recv(1) == first if first != b"k" else None


def test_the_server_has_one_yet(lab):
    """By the ports of one that the client has ended, and the server has not: it says so, the client resets that one,
    and the next try opens the new one."""
    a, b, c = world(lab)
    hot(lab, Calls(lab, a, b.v4, 82, 20, pause=0.005))
    sport = next(sports)
    Child(a.netns, _forget, b.v4, 82, sport, b"k").result()
    if not entries(lab, f" sport={sport} ", "NONE", "[ASSURED]"):
        raise Failure("it did not begin on the fast path")
    time.sleep(2.5)
    if not Child(a.netns, _forget, b.v4, 82, sport, b"e").result(20):
        raise Failure("the second was not answered")


def test_by_the_same_ports_in_a_later_run(lab):
    """Those that ended there before the daemon was started anew are over for the next one's program as well: further
    ones by their ports are new, and counted."""
    a, b, c = world(lab)
    run("nsenter", f"--net=/run/netns/{a.netns}", "sysctl", "-qw", "net.ipv4.tcp_tw_reuse=1")
    mine = [next(sports) for _ in range(8)]

    def again():
        calls = Calls(lab, a, b.v4, 82, 7, pause=0.01)
        hot(lab, calls)
        if not all(Child(a.netns, _forget, b.v4, 82, n, b"e").result() for n in mine):
            raise Failure("not answered")
        return len(calls.passed()) + len(mine)
    again()
    if not any(entries(lab, f" sport={n} ", "NONE", "[ASSURED]") for n in mine):
        raise Failure("none of them began on the fast path")
    lab.stop()
    lab.start()
    n = counted(lab, "shop/a", "shop/b", 82)
    n += again()
    wait_for("all are counted", lambda: counted(lab, "shop/a", "shop/b", 82) >= n)
    if counted(lab, "shop/a", "shop/b", 82) != n:
        raise Failure(f"{counted(lab, 'shop/a', 'shop/b', 82)} counted of {n}")


def late(lab, a, b, state):
    """First segments of connections that are open, in this state."""
    held = [lab.hold(a, b.v4, 80) for _ in range(3)]
    began = [l for l in entries(lab, f"src={a.v4}", state, "[ASSURED]") if timeout_of(l) > 40]
    mine = [int(l.split(" sport=")[1].split()[0]) for l in began]
    if not mine:
        raise Failure("none is in that state")
    Child(a.netns, _insist, [first(a, b, n, b"") for n in mine], 0.1).result()
    time.sleep(0.5)
    if not all(h.alive() for h in held):
        raise Failure("it does not go on")


def test_a_first_segment_that_is_late(lab):
    """Of an open connection, as a second try is that was overtaken by what followed the first: it goes on."""
    a, b, c = world(lab)
    warm(lab, a, b)
    late(lab, a, b, "NONE")


def test_a_late_one_where_open_ones_have_little_time(lab):
    """No more than those that end, which it is no sign of."""
    node(lab, "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_timeout_established=60")
    a, b, c = world(lab)
    late(lab, a, b, "ESTABLISHED")


def _numbers(addr, port, until):
    s = socket.create_connection((addr, port), timeout=3)
    s.send(b"p")
    return _drink(s, until)


def test_handed_back(lab):
    """One of which conntrack has seen nothing goes on by the bridge when there is no fast path any more, though it is
    the server alone who speaks."""
    a, b, c = world(lab)
    calls = Calls(lab, a, b.v4, 82, 20, pause=0.005)
    hot(lab, calls)
    until = time.monotonic() + 9
    child = Child(a.netns, _numbers, b.v4, 82, until)
    time.sleep(1)
    if not [l for l in entries(lab, f"src={a.v4}", "dport=82 ", "[ASSURED]", "NONE") if timeout_of(l) > 400000]:
        raise Failure("it did not begin on the fast path")
    lab.config(mode="enforce", fast_path=False)
    wait_for("no programs", lambda: attached(lab) == 0, step=0.01)
    got = child.result(30)
    numbers = [n for _, n in got]
    gap = max(y - x for (x, _), (y, _) in zip(got, got[1:]))
    if numbers != list(range(len(numbers))) or gap > 1.5 or got[-1][0] < until - 1.5:
        raise Failure(f"{len(numbers)} numbers, a pause of {gap:.1f} s, the last {until - got[-1][0]:.1f} s before the end")


def test_learned(lab):
    """While learning: what was learned begins there, is counted and told by command; what is new is learned."""
    a, b, c = bridged(lab, "a", "b", "c")
    b.serve(tcp=[80])
    meet(lab, a, b, c)
    lab.start(mode="learn", fast_path=True, learn={"volume": False})
    calls = Calls(lab, a, b.v4, 80, 12)
    hot(lab, calls)
    n = len(calls.passed())
    lab.expect([(c, b.v4, "tcp", 80, "open")])

    def all_of_it():
        edges = {(e["src"], e["count"]) for e in told(lab)}
        return {s for s, _ in edges} >= {"shop/a", "shop/c"} and counted(lab, "shop/a", "shop/b", 80) >= n
    wait_for("both are learned, all connections counted", all_of_it)
    if calls.failed() or counted(lab, "shop/a", "shop/b", 80) != n or begun(lab) < n / 2:
        raise Failure(f"{n} connections, {calls.failed()[:2]} failed; counted {counted(lab, 'shop/a', 'shop/b', 80)}, "
                      f"{begun(lab)} began there")


def told(lab):
    return [{"src": r["src"], "count": r["count"]} for r in lab.flows() if r["port"] == 80]


if __name__ == "__main__":
    Suite("fg").main(globals())
