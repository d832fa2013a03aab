#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A workload that opens more flows than connection tracking has room for, with real packets, to the node's real
limit: it is held back in time, its neighbours' new flows all go on, its own established ones too, and it ends when
there is room again. Without the protection (crowding.share: 100) the same flood takes the network from everybody."""
import itertools, signal, socket, subprocess, time

from calls import Calls, begun, hot
from lab import BUILD, Child, Failure, Skip, Suite, wait_for

FILLER = BUILD + "/tests/system/crowd/filler"
PORT = 8000
POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: servers, namespace: shop}
spec:
  podSelector: {matchLabels: {may: serve}}
  policyTypes: [Ingress]
  ingress:
  - ports: [{protocol: TCP, port: 7000, endPort: 9000}, {protocol: UDP, port: 7000, endPort: 9000}]
"""


def limit():
    with open("/proc/sys/net/netfilter/nf_conntrack_max") as f:
        n = int(f.read())
    if n > 600000:
        raise Skip(f"the limit is {n}: filling that would be no bounded load")
    return n


def world(lab, mode="enforce", **conf):
    """a floods s; c and d are a's neighbours."""
    a, c = lab.container("a"), lab.container("c")
    s, d = (lab.container(n, labels={"app": n, "may": "serve"}) for n in "sd")
    for x in (s, d):
        x.serve(tcp=[7000], udp=[7000])
    for x in (a, c, s):  # flows without sockets: neither end's kernel says so
        for tool, icmp, unreachable in (("iptables", "icmp", 3), ("ip6tables", "icmpv6", 1)):
            lab.sh(x.netns, f"""{tool} -A OUTPUT -p tcp --tcp-flags RST RST -j DROP
                {tool} -A OUTPUT -p {icmp} --{icmp}-type {unreachable} -j DROP""")
    lab.policy("servers.yaml", POLICY)
    lab.start(mode=mode, **conf)
    lab.expect([(x, addr, "tcp", 7000, "open") for x in (a, c) for y in (s, d) for addr in (y.v4, y.v6)])
    return a, c, s, d


def entries(lab):
    return int(lab.sh(lab.node, "cat /proc/sys/net/netfilter/nf_conntrack_count"))


class Flood:
    def __init__(self, a, s, kind="tcp", flows=400000, v6=False, port=PORT, rate=0):
        ends = (a.v6, s.v6) if v6 else (a.v4, s.v4)
        self.p = subprocess.Popen([FILLER, kind, "/run/netns/" + a.netns, "/run/netns/" + s.netns, *ends, str(port),
                                   str(flows), str(rate)], stdout=subprocess.PIPE, text=True)

    def goes_on(self):
        return self.p.poll() is None

    def end(self, timeout=120):
        out = self.p.communicate(timeout=timeout)[0]
        if self.p.returncode:
            raise Failure(f"the flood: exit {self.p.returncode}")
        return int(out.split()[0])


def connects(addr, port, seconds, pause):
    """New connections, one after the other: [how many, how many of them failed, seconds that the slowest took]."""
    n = failed = 0
    slowest, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.monotonic()
        s = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET, socket.SOCK_STREAM)
        s.settimeout(0.9)  # less than it takes TCP to try again
        try:
            s.connect((addr, port))
            s.sendall(b"x")
            failed += not s.recv(10)
            slowest = max(slowest, time.monotonic() - begin)
        except OSError:
            failed += 1
        s.close()
        n += 1
        time.sleep(pause)
    return [n, failed, round(slowest, 3)]


def neighbours(c, d, seconds):
    return [Child(c.netns, connects, addr, 7000, seconds, 0.02) for addr in (d.v4, d.v6)]


def held_back(lab):
    s = lab.status()
    return s["conntrack"] and s["conntrack"]["crowding"]["workloads"] and s


def check_held(lab, s, max_, who="shop/a"):
    x = s["conntrack"]["crowding"]
    share = max_ * 12 // (100 if x["new_flows"] == "paced" else 200)
    if [w["workload"] for w in x["workloads"]] != [who] or x["share"] != 12:
        raise Failure(f"held back: {x}")
    told = [p for p in s["problems"] if p.startswith(who + " holds ") and f" {share}:" in p]
    if len(told) != 1:
        raise Failure(f"problems: {s['problems']}")
    r = wait_for("a record", lambda: lab.audited("conntrack.crowded"))[0]
    change = r["bulkhead"]["change"]
    if change["workload"] != who or change["of_workload"] <= share or r["event"]["severity"] != 73 or \
            r["event"]["kind"] != "alert":
        raise Failure(f"the record: {r}")


def forget(lab, *addrs):
    """The flows end, as they would by themselves after days."""
    for a in addrs:
        lab.sh(lab.node, f"conntrack -D {'-f ipv6' if ':' in a else ''} -s {a} >/dev/null 2>&1 || true")


def flood_of(lab, v6):
    max_ = limit()
    a, c, s, d = world(lab)
    held = lab.hold(a, d.v6 if v6 else d.v4, 7000)
    tries = neighbours(c, d, 18)
    flood = Flood(a, s, flows=max_ + max_ // 2, v6=v6)
    most = 0
    while flood.goes_on():
        most = max(most, entries(lab))
        time.sleep(0.05)
    flood.end()
    state = wait_for("it is held back", lambda: held_back(lab), 5)
    check_held(lab, state, max_)
    most = max(most, entries(lab))
    results = [t.result(40) for t in tries]
    print(f"# at most {most} of {max_}; neighbours (new, failed, slowest): {results}; "
          f"{lab.status()['conntrack']['crowding']}", flush=True)
    if most >= max_ or lab.status()["conntrack"]["dropped"]:
        raise Failure(f"{most} of {max_}: it was full")
    if [r for r in results if r[1] or r[0] < 100]:
        raise Failure(f"neighbours (new, failed, slowest): {results}")
    return a, c, s, d, held, max_


def test_a_flood_is_held_back_and_ends(lab):
    a, c, s, d, held, max_ = flood_of(lab, False)
    if not held.alive():
        raise Failure("an established connection of the flooding one was cut")
    wait_for("dropped ones are counted", lambda: "crowding" in lab.nft() and
             [l for l in lab.nft().split("\n") if "ct status ! confirmed" in l and " packets 0 " not in l])
    forget(lab, a.v4, a.v6)
    wait_for("it ends", lambda: not held_back(lab), 10)
    if "crowding" in lab.nft():
        raise Failure("rules are left")
    lab.expect([(a, d.v4, "tcp", 7000, "open"), (a, d.v6, "tcp", 7000, "open")])
    eased = wait_for("a record of the end", lambda: lab.audited("conntrack.eased"))[0]["bulkhead"]["change"]
    x = lab.status()["conntrack"]["crowding"]
    if not x["packets"] or eased["workload"] != "shop/a" or x["times"] != 1:
        raise Failure(f"{x} {eased}")


def test_a_flood_of_ipv6(lab):
    a, c, s, d, held, max_ = flood_of(lab, True)
    if not held.alive():
        raise Failure("an established connection of the flooding one was cut")


def test_held_back_on_the_fast_path(lab):
    """While somebody is held back all connections begin by the rules, which hold him back: none on the fast path."""
    max_ = limit()
    a, c, s, d = world(lab, fast_path=True)
    its, others = (Calls(lab, x, d.v4, 7000, 150, pause=0.005, reset=False) for x in (a, c))
    for calls in (its, others):
        hot(lab, calls)
    flood = Flood(a, s, flows=max_ + max_ // 2)
    while flood.goes_on():
        time.sleep(0.05)
    flood.end()
    wait_for("it is held back", lambda: held_back(lab), 10)
    time.sleep(0.5)
    before = begun(lab)
    others.lately()
    time.sleep(2)
    (go_on, failed), more = others.lately(), begun(lab) - before
    if not held_back(lab):
        raise Failure("it was over too soon")
    if failed or go_on < 50 or more:
        raise Failure(f"{go_on} of the other's connections passed, {failed} did not; {more} began on the fast path")
    forget(lab, a.v4)
    wait_for("nobody is held back", lambda: not held_back(lab), 20)
    hot(lab, its)


def test_datagrams_while_learning(lab):
    """The way by the daemon's queue and the verdict cache; one datagram each, which the kernel would let go of."""
    max_ = limit()
    a, c, s, d = world(lab, "learn")
    tries = neighbours(c, d, 12)
    Flood(a, s, "udp", flows=max_ + max_ // 2, port=7000).end()
    state = held_back(lab)
    results = [t.result(40) for t in tries]
    print(f"# {entries(lab)} of {max_}; neighbours (new, failed, slowest): {results}", flush=True)
    if not state or entries(lab) > max_ * 7 // 8 or [r for r in results if r[1] or r[0] < 100]:
        raise Failure(f"{entries(lab)} of {max_}; neighbours: {results}; {state and state['conntrack']}")
    check_held(lab, state, max_)


def test_without_it_and_a_full_table_at_the_start(lab):
    """The same flood unhindered: nobody gets through. Then a daemon that finds the table full makes room."""
    max_ = limit()
    a, c, s, d = world(lab, crowding={"share": 100})
    Flood(a, s, flows=max_ + max_ // 8).end()
    results = [t.result(40) for t in neighbours(c, d, 5)]
    if entries(lab) < max_ * 31 // 32 or [r for r in results if r[1] < r[0] // 2] or "crowding" in lab.nft():
        raise Failure(f"the test wants a flood that hinders: {entries(lab)} of {max_}, neighbours {results}")
    wait_for("the drops are told", lambda: lab.status()["conntrack"]["dropped"])
    lab.stop()
    lab.start(mode="enforce")
    begin = time.monotonic()
    wait_for("room is made", lambda: (lab.status()["conntrack"] or {"crowding": {"ended": 0}})["crowding"]["ended"] and
             entries(lab) < max_ * 31 // 32, 20)
    took = time.monotonic() - begin
    results = [t.result(40) for t in neighbours(c, d, 5)]
    if [r for r in results if r[1]]:
        raise Failure(f"neighbours (new, failed, slowest): {results}")
    x = held_back(lab)["conntrack"]["crowding"]
    print(f"# there was room after {took:.1f} s: {x}; {entries(lab)} entries", flush=True)
    check_held(lab, held_back(lab), max_)
    if not x["ended"] or x["new_flows"] not in ("refused", "cut"):
        raise Failure(f"{x}")
    if lab.probe(a, d.v4, "tcp", 7000) != "drop":
        raise Failure("it still opens new flows")


def outside(lab):
    lab.sh(lab.out, "iptables -A OUTPUT -p tcp --tcp-flags RST RST -j DROP")
    out = type("Outside", (), {})()
    out.netns, out.v4 = lab.out, "198.51.100.7"
    return out


ports = itertools.count(PORT, 5)


def fill(lab, who, s, percent):
    """Until there are so many; on a machine that is busy some packets are lost on their way."""
    goal = limit() * percent // 100
    for _ in range(8):
        missing = goal - entries(lab)
        if missing <= goal // 200:
            return
        Flood(who, s, flows=missing, port=next(ports), rate=30000).end()
    raise Failure(f"{entries(lab)} of {goal} flows could be made")


def test_room_and_no_room(lab):
    """Nobody is hindered while there is room, nor the outside at any time, nor a server for being popular; who holds
    too much is slowed down first, and refused then. It outlives the daemon, and the next one knows."""
    max_ = limit()
    a, c, s, d = world(lab)
    out = outside(lab)
    fill(lab, a, s, 17)  # more than its share
    fill(lab, c, s, 25)  # more than half of it
    fill(lab, out, s, 73)
    time.sleep(2)
    if held_back(lab) or "crowding" in lab.nft():
        raise Failure("hindered while there is room")
    fill(lab, a, s, 74)
    fill(lab, out, s, 82)
    wait_for("a is paced", lambda: held_back(lab), 8)
    time.sleep(3)  # and counted anew
    x = lab.status()["conntrack"]
    if [w["workload"] for w in x["crowding"]["workloads"]] != ["shop/a"] or x["crowding"]["new_flows"] != "paced":
        raise Failure(f"{x}")
    if x["others"]["most_to"] != "shop/s" or x["others"]["entries"] < max_ * 50 // 100:
        raise Failure(f"of the outside: {x['others']}")
    lab.expect([(a, d.v4, "tcp", 7000, "open"), (a, d.v6, "tcp", 7000, "open"), (c, d.v4, "tcp", 7000, "open"),
                (out, s.v4, "tcp", 7000, "open")])
    before = entries(lab)
    Flood(a, s, flows=20000, port=next(ports), rate=4000).end()  # in five seconds
    more, rate = entries(lab) - before, max_ * 12 // 100 // 120 + 1
    if not 3 * rate < more < 9 * rate:
        raise Failure(f"{more} flows passed in 5 s, at {rate} a second")
    fill(lab, out, s, 91)

    def both_refused():
        x = lab.status()["conntrack"]["crowding"]
        return x["new_flows"] == "refused" and [w["workload"] for w in x["workloads"]] == ["shop/a", "shop/c"]
    wait_for("a and c are refused", both_refused, 8)
    table = [(a, d.v4, "tcp", 7000, "drop"), (a, d.v6, "tcp", 7000, "drop"), (a, "10.77.0.1", "tcp", 7000, "drop"),
             (c, d.v4, "tcp", 7000, "drop"), (d, s.v4, "tcp", 7000, "open"), (d, s.v6, "tcp", 7000, "open"),
             (out, s.v4, "tcp", 7000, "open"), (d, "10.77.0.1", "tcp", 7000, "closed")]
    lab.expect(table)
    lab.cli("mode", "set", "audit")  # other rules come and go beside it
    lab.expect(table)
    lab.stop(signal.SIGKILL)
    lab.expect(table)
    lab.start(mode="enforce")
    wait_for("they are held back again", lambda: len((held_back(lab) or {"conntrack": {"crowding": {"workloads": []}}})
                                                     ["conntrack"]["crowding"]["workloads"]) == 2, 20)
    lab.expect(table)
    lab.remove("a")
    lab.static()
    wait_for("who is gone is forgotten", lambda: lab.audited("conntrack.eased") and
             [w["workload"] for w in lab.status()["conntrack"]["crowding"]["workloads"]] in ([], ["shop/c"]), 8)
    forget(lab, c.v4, out.v4)
    wait_for("it ends", lambda: not held_back(lab) and "crowding" not in lab.nft(), 10)
    lab.expect([(c, d.v4, "tcp", 7000, "open")])


if __name__ == "__main__":
    Suite("w").main(globals())
