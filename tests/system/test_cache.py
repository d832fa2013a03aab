#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the daemon decided once the kernel decides for a while: denied tuples and learned ones reach no
queue again, are counted all the same, and never outlive the state that decided them."""
import socket, time

from lab import Child, Failure, Suite, wait_for
from shop import POLICY, policy, queue, queued


def cache(lab):
    return lab.status()["cache"]


def cached(lab, n):
    wait_for(f"{n} verdicts in the cache", lambda: cache(lab)["added"] >= n)


sports = 20000


def _spray(addr, port, n, sport=0):
    """n datagrams, each a flow of its own: the kernel's choice of ports would repeat itself."""
    family = socket.AF_INET6 if ":" in addr else socket.AF_INET
    for i in range(n):
        s = socket.socket(family, socket.SOCK_DGRAM)
        if sport:
            s.bind(("", sport + i))
        s.connect((addr, port))
        try:
            s.send(b"x")
        except OSError:
            pass  # an ICMP error of one before
        s.close()
    return n


def _connects(addr, port, n):
    for i in range(n):
        s = socket.create_connection((addr, port), timeout=3)
        s.close()
    return n


def spray(lab, src, addr, port, n):
    global sports
    sports += n
    return Child(src.netns, _spray, addr, port, n, sports - n).result()


def flow_count(lab, **match):
    return sum(f["count"] for f in lab.flows() if all(f[k] == v for k, v in match.items()))


def repeats(lab, action, **match):
    return sum(r["bulkhead"].get("repeat", 1) for r in lab.audited(action, **match))


def test_denied_tuples_stay_in_the_kernel(lab):
    a, b = lab.container("a"), lab.container("b")
    b.serve(tcp=[80], udp=[5000])
    lab.policy("b.yaml", policy())
    lab.start(mode="enforce")
    for addr in (b.v4, b.v6):
        before = cache(lab)["added"]
        spray(lab, a, addr, 5000, 1)
        cached(lab, before + 1)
        n = queued(lab)
        spray(lab, a, addr, 5000, 500)
        if queued(lab) != n:
            raise Failure(f"{queued(lab) - n} of 500 packets of a denied tuple reached a queue")
    # Other ports and sources are decided on their own.
    lab.expect([(a, b.v4, "tcp", 80, "open"), (a, b.v6, "tcp", 80, "open")])
    wait_for("every packet counted as a flow", lambda: flow_count(
        lab, src="shop/a", dst="shop/b", port=5000, verdict="drop") == 1002)
    wait_for("every packet on record", lambda: repeats(
        lab, "policy-deny", bulkhead__src__name="a", destination__port=5000) == 1002, 30)


def test_an_allowed_tuple_at_once(lab):
    """The cache is emptied by the change that allows what it denies."""
    a, b = lab.container("a"), lab.container("b")
    b.serve(tcp=[80, 81])
    lab.policy("b.yaml", POLICY % "")
    lab.start(mode="enforce")
    lab.expect([(a, b.v4, "tcp", 80, "drop"), (a, b.v6, "tcp", 80, "drop")])
    cached(lab, 2)
    lab.policy("b.yaml", policy())
    wait_for("the policy in force", lambda: lab.status()["policies"]["generation"] == 2)
    lab.expect([(a, b.v4, "tcp", 80, "open"), (a, b.v6, "tcp", 80, "open")])


def test_a_denied_tuple_at_once(lab):
    """A cached permission does not outlive the change that denies it."""
    a, b = lab.container("a"), lab.container("b")
    b.serve(tcp=[80], udp=[5000])
    lab.policy("b.yaml", POLICY % "")
    lab.start(mode="learn")
    table = [(a, x, p, port, None) for x in (b.v4, b.v6) for p, port in (("tcp", 80), ("udp", 5000))]
    lab.expect([(*t[:4], "open") for t in table])
    cached(lab, 4)
    lab.cli("mode", "set", "enforce")
    lab.expect([(*t[:4], "drop") for t in table])


def test_a_state_with_the_same_rules(lab):
    """The kernel's rules are the same, what is recorded is not: the cache has to go as well."""
    a, b = lab.container("a"), lab.container("b")
    lab.serve(lab.out, udp=[53])
    lab.start(mode="learn")
    spray(lab, a, "198.51.100.66", 53, 1)
    cached(lab, 1)
    lab.write("bad.txt", "198.51.100.66\n")
    lab.config(mode="learn", feeds=[{"name": "bad", "url": lab.dir + "/bad.txt", "action": "alert"}])
    wait_for("the feed in force", lambda: lab.status()["feeds"]["indicators"] == 1)
    time.sleep(0.5)
    spray(lab, a, "198.51.100.66", 53, 1)
    wait_for("an alert", lambda: lab.audited("threat-alert"))


def test_learned_tuples_stay_in_the_kernel(lab):
    a, b = lab.container("a"), lab.container("b")
    b.serve(tcp=[80])
    lab.start(mode="learn")
    lab.expect([(a, b.v4, "tcp", 80, "open")])
    cached(lab, 1)
    wait_for("learned", lambda: lab.status()["learn"]["answered"] == 1)
    learned = len(lab.audited("learned"))
    last_new = lab.status()["learn"]["last_new"]
    n = queued(lab)
    Child(a.netns, _connects, b.v4, 80, 200).result()
    if queued(lab) != n:
        raise Failure(f"{queued(lab) - n} packets of a learned tuple reached a queue")
    wait_for("each connection counted", lambda: flow_count(
        lab, src="shop/a", dst="shop/b", port=80, reason="learned") == 201)
    edges = lab.api("learn", "status")["edges"]
    if [e["connections"] for e in edges] != [201]:
        raise Failure(f"connections of the tuple: {edges}")
    if len(lab.audited("learned")) != learned or lab.status()["learn"]["last_new"] != last_new:
        raise Failure("a tuple that was known counts as new")


def test_answer_of_a_cached_flow(lab):
    """The first connection finds nobody; a later one, which no queue sees, is answered: that counts."""
    a, b = lab.container("a"), lab.container("b")
    lab.start(mode="learn")
    lab.expect([(a, b.v4, "tcp", 80, "closed")])
    cached(lab, 1)
    b.serve(tcp=[80])
    n = queued(lab)
    lab.expect([(a, b.v4, "tcp", 80, "open")])
    if queued(lab) != n:
        raise Failure("the second connection was queued: the test shows nothing")
    wait_for("learned", lambda: lab.audited("learned", destination__port=80))


def test_would_be_denials_are_counted(lab):
    a, b = lab.container("a"), lab.container("b")
    b.serve(udp=[5000])
    lab.policy("b.yaml", POLICY % "")
    lab.start(mode="audit")
    spray(lab, a, b.v4, 5000, 1)
    cached(lab, 1)
    n = queued(lab)
    spray(lab, a, b.v4, 5000, 300)
    if queued(lab) != n:
        raise Failure("a would-be denied tuple was queued again")
    wait_for("every packet on record", lambda: repeats(
        lab, "would-deny", bulkhead__src__name="a", destination__port=5000) == 301, 30)


def test_refused_from_the_cache(lab):
    """deny: reject says no each time, also when the daemon is not asked again."""
    a, b = lab.container("a"), lab.container("b")
    b.serve(tcp=[80])
    lab.policy("b.yaml", POLICY % "")
    lab.start(mode="enforce", deny="reject")
    lab.expect([(a, b.v4, "tcp", 80, "closed"), (a, b.v6, "tcp", 80, "closed")])
    cached(lab, 2)
    n = queued(lab)
    lab.expect([(a, b.v4, "tcp", 80, "closed"), (a, b.v6, "tcp", 80, "closed")])
    if queued(lab) != n:
        raise Failure("not from the cache: the test shows nothing")


def test_threats_are_never_cached(lab):
    a = lab.container("a")
    lab.serve(lab.out, udp=[53])
    lab.write("bad.txt", "198.51.100.66\n")
    lab.start(mode="learn", feeds=[{"name": "bad", "url": lab.dir + "/bad.txt"}])
    wait_for("the feed in force", lambda: "198.51.100.66" in lab.nft())
    for _ in range(3):
        n = queue(lab, "unmatched")["received"]
        spray(lab, a, "198.51.100.66", 53, 1)
        wait_for("asked again", lambda: queue(lab, "unmatched")["received"] > n, 5)
        time.sleep(0.1)
    if cache(lab)["added"]:
        raise Failure(f"cached: {cache(lab)}")


def test_a_scan_is_paced_and_told_once(lab):
    a, b, c = (lab.container(n) for n in "abc")
    b.serve(tcp=[80])
    lab.policy("b.yaml", policy())
    lab.start(mode="enforce", pace={"rate": 50, "burst": 20})
    n = queued(lab)
    Child(c.netns, lambda: [_spray(b.v4, p, 1) for p in range(1000, 5000)] and 1).result()
    got = queued(lab) - n
    if not 20 <= got <= 1000:
        raise Failure(f"{got} of 4000 packets were queued")
    lab.expect([(a, b.v4, "tcp", 80, "open"), (c, b.v4, "tcp", 80, "drop")])
    scan = wait_for("the scan on record", lambda: lab.audited("scan"))
    change = scan[0]["bulkhead"]["change"]
    if len(scan) != 1 or change["source"] != "shop/c" or change["count"] < 100:
        raise Failure(f"scans on record: {scan}")
    row = wait_for("the scan as a flow", lambda: [f for f in lab.flows() if f["reason"] == "scan"])
    if row[0]["src"] != "shop/c" or row[0]["verdict"] != "drop" or row[0]["count"] != change["count"]:
        raise Failure(f"the scan's row: {row}")
    if lab.status()["pace"]["sources"] != 1:
        raise Failure(f"status: {lab.status()['pace']}")


if __name__ == "__main__":
    Suite("c").main(globals())
