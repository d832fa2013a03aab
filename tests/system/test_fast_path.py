#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fast path: established flows of one bridge go from veth to veth, and nothing else does; what a change denies is
cut there as well, and who leaves it goes on by the bridge."""
import json, signal, socket, struct, time

from fast import Bulk, attached, entries, node, settle, taken, timeout_of, witness, world
from lab import BULKHEADD, Child, Failure, Suite, wait_for
from streams import Stream, both, change, in_force, ingress, streams


def flow(lab, pairs, seconds=2):
    """Streams that all come whole; of TCP, as conntrack takes UDP for a stream after two seconds only."""
    many = [s for src, dst, addr in pairs for s in streams(lab, src, dst, [addr], seconds=seconds, protos=("tcp",))]
    for s in many:
        s.end()
    if wrong := [w for s in many if (w := s.check_whole())]:
        raise Failure("\n".join(wrong))
    return sum(s.sent for s in many)


def test_what_takes_it(lab):
    """Of flows both ways, IPv4 and IPv6, only the beginnings meet the hooks."""
    web, old, api = world(lab)
    settle(lab, 3)
    api.serve(tcp=(80,))
    hooked = witness(lab)
    sent = flow(lab, [(web, api, a) for a in both(api)])
    if hooked() > 50 or taken(lab) < sent:
        raise Failure(f"{sent} packets sent, {hooked()} met the hooks, {taken(lab)} took the fast path")
    lab.expect([(web, api.v4, "tcp", 80, "open"), (old, api.v4, "tcp", 80, "drop"), (old, api.v6, "tcp", 80, "drop")])
    text = lab.cli("status")
    if "fast path   for 6 addresses" not in text:
        raise Failure(text)


def test_off_unless_asked_for(lab):
    web, old, api = world(lab, fast_path=False)
    hooked = witness(lab)
    sent = flow(lab, [(web, api, api.v4)])
    if attached(lab) or hooked() < sent / 2 or "fast path" in lab.cli("status"):
        raise Failure(f"{attached(lab)} interfaces, {hooked()} of {sent} packets met the hooks")


def test_policy_cuts(lab):
    """And what stays allowed loses nothing."""
    web, old, api = world(lab)
    lab.policy("p.yaml", ingress(["app: web", "app: old"]))
    in_force(lab, 2)
    cut = streams(lab, old, api, both(api), seconds=8)
    whole = streams(lab, web, api, [api.v4], seconds=8)
    time.sleep(3)  # conntrack takes UDP for a stream after two seconds
    if taken(lab) < 3000:
        raise Failure(f"{taken(lab)} packets took the fast path")

    def act():
        lab.policy("p.yaml", ingress(["app: web"]))
        in_force(lab, 3)
    change(lab, cut, whole, act)


def test_quarantine_and_mode_cut(lab):
    web, old, api = world(lab, mode="audit")
    quick = streams(lab, old, api, [api.v4], protos=("tcp",)) + streams(lab, web, api, [api.v4], protos=("tcp",))
    change(lab, quick[:2], quick[2:], lambda: lab.cli("quarantine", "add", "shop/old"))
    lab.cli("quarantine", "rm", "shop/old")
    quick = streams(lab, old, api, [api.v4], protos=("tcp",)) + streams(lab, web, api, [api.v4], protos=("tcp",))
    before = taken(lab)
    change(lab, quick[:2], quick[2:], lambda: lab.cli("mode", "set", "enforce"))
    if taken(lab) - before < 1000:
        raise Failure("they did not take the fast path")


def test_handed_back(lab):
    """A connection goes on by the bridge when the fast path is switched off, and comes back to it. Conntrack, which
    knows windows of long ago, would not have it."""
    web, old, api = world(lab)
    b = Bulk(lab, web, api, api.v4, 7100, 8)
    wait_for("it takes the fast path", lambda: taken(lab) > 200)
    time.sleep(1)
    hooked = witness(lab)
    lab.config(mode="enforce", fast_path=False)
    wait_for("it goes by the hooks", lambda: attached(lab) == 0 and hooked() > 200)
    time.sleep(1)
    lab.config(mode="enforce", fast_path=True)
    wait_for("it takes the fast path again", lambda: taken(lab) > 200)
    b.check(tenths=10)
    if not lab.audited("fast-path", event__outcome="success"):
        raise Failure("not on record")


def test_killed(lab):
    """Nobody is there: flows go on, what is denied stays so, and who gets the place of one that is gone is reached."""
    web, old, api = world(lab)
    api.serve(tcp=(80,))
    s = Stream(lab, web, api, api.v4, "tcp", 7200, True, 7)
    wait_for("it takes the fast path", lambda: taken(lab) > 100)
    lab.stop(signal.SIGKILL)
    hooked = witness(lab)
    time.sleep(1)
    if hooked() > 20:
        raise Failure(f"{hooked()} packets met the hooks")
    lab.expect([(web, api.v4, "tcp", 80, "open"), (old, api.v4, "tcp", 80, "drop")])
    lab.start(wait=True)
    time.sleep(1)
    if hooked() > 200 or taken(lab) < 50:
        raise Failure(f"after the restart {hooked()} packets met the hooks, {taken(lab)} did not")
    s.end()
    if s.check_whole():
        raise Failure(s.check_whole())


def test_place_of_one_that_is_gone(lab):
    """Same address and MAC, another veth, and no daemon to tell the program: it must not send there."""
    web, old, api = world(lab)
    lab.sh(api.netns, "ip link set eth0 address 02:00:00:00:77:77")
    time.sleep(0.5)
    flow(lab, [(web, api, api.v4)])
    wait_for("known", lambda: taken(lab) > 100)
    lab.stop(signal.SIGKILL)
    lab.remove("api")
    lab.count -= 1
    again = lab.container("api")
    lab.sh(again.netns, "ip link set eth0 address 02:00:00:00:77:77")
    if again.v4 != api.v4:
        raise Failure("another address")
    flow(lab, [(web, again, again.v4)])


def test_flush(lab):
    """All of it is gone, and connections go on, whatever others make of conntrack's invalid."""
    web, old, api = world(lab)
    b = Bulk(lab, web, api, api.v4, 7300, 4)
    wait_for("it takes the fast path", lambda: taken(lab) > 200)
    time.sleep(0.5)
    node(lab, "nft", "-f", "-", input="""
        table inet strict { chain f { type filter hook forward priority 0; ct state invalid drop; }
        }""")
    lab.stop()
    node(lab, BULKHEADD, "--flush")
    if attached(lab) or "bulkhead" in lab.nft() or "clsact" in node(lab, "tc", "qdisc"):
        raise Failure(f"{attached(lab)} interfaces; {node(lab, 'tc', 'qdisc')}")
    b.check(tenths=10)


def test_times(lab):
    """Conntrack forgets a flow that it does not see; the program keeps it up, and lets it go when it ends."""
    web, old, api = world(lab)  # the daemon is not there yet when the times are set
    lab.stop()
    lab.sh(lab.node, "sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_established=4")
    lab.start()
    long = Stream(lab, web, api, api.v4, "tcp", 7400, True, 9)
    time.sleep(1)
    hooked = witness(lab)
    time.sleep(6)
    if hooked() > 50:
        raise Failure(f"{hooked()} packets met the hooks: its entry was gone")
    long.end()
    if long.check_whole():
        raise Failure(long.check_whole())
    wait_for("it is forgotten soon after its end", lambda: not entries(lab, "dport=7400"), timeout=6)


def _end(addr, sport, how):
    s = socket.socket()
    s.bind(("", sport))
    s.connect((addr, 80))
    for _ in range(50):
        s.send(b"x")
        s.recv(1)
        time.sleep(0.01)
    if how == "open":
        time.sleep(30)
    if how == "reset":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def test_ends(lab):
    """An open connection keeps conntrack's days; after FIN it is minutes, after a reset seconds."""
    web, old, api = world(lab)
    api.serve(tcp=(80,))
    sports = {"open": 4001, "fin": 4002, "reset": 4003}
    for how, sport in sports.items():
        lab.children.append(Child(web.netns, _end, api.v4, sport, how))
    wait_for("all have ended", lambda: taken(lab) > 100)
    time.sleep(0.5)
    left = {how: timeout_of(entries(lab, f" sport={sport} ", "ESTABLISHED")[0]) for how, sport in sports.items()}
    if not (100 <= left["fin"] <= 120 and left["reset"] <= 10 and left["open"] > 431000):
        raise Failure(json.dumps(left))


def _again(addr, sport, times):
    for _ in range(times):
        _end(addr, sport, "reset")
        time.sleep(0.1)


def test_by_the_same_ports_again(lab):
    """Conntrack did not see the reset: its entry would take the next connection of these ports for the one that is over,
    and no rule would see it begin."""
    web, old, api = world(lab)
    api.serve(tcp=(80,))
    Child(web.netns, _again, api.v4, 4004, 3).result()
    n = wait_for("all are counted", lambda: sum(
        r["count"] for r in lab.flows() if r["verdict"] == "allow" and r["port"] == 80) >= 3)
    if taken(lab) < 100:
        raise Failure(f"{taken(lab)} took the fast path")
    return n


def test_quiet_for_long(lab):
    """An open connection that had nothing to say until little was left of its time has all of it again with the next
    word, and is not taken for one that ends."""
    web, old, api = world(lab)
    lab.stop()
    lab.sh(lab.node, "sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_established=123")
    lab.start()
    api.serve(tcp=(80,))
    held = lab.hold(web, api.v4, 80)
    if not all(held.alive() for _ in range(5)):
        raise Failure("no connection")
    wait_for("less is left than one that ends has", lambda: timeout_of(entries(lab, "dport=80 ")[0]) < 119)
    before = taken(lab)
    if not held.alive() or taken(lab) == before or timeout_of(entries(lab, "dport=80 ")[0]) < 121:
        raise Failure(f"{entries(lab, 'dport=80 ')}, {taken(lab) - before} took the fast path")


if __name__ == "__main__":
    Suite("fp").main(globals())
