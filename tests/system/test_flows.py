#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows that a rule allows never meet the daemon, and are listed all the same: each once, with the
rule, however many packets it has; and what finds no room is counted."""
import sqlite3

from lab import Child, Failure, Suite, wait_for
from shop import RULE, datagrams, policy, queued

POLICY = policy("{port: 80}, {port: 1000, endPort: 30000, protocol: UDP}")


def world(lab, mode="enforce"):
    a, b = lab.container("a"), lab.container("b")
    lab.policy("p.yaml", POLICY)
    lab.start(mode=mode)
    return a, b


def count(lab, **match):
    return sum(f["count"] for f in lab.flows() if all(f[k] == v for k, v in match.items()))


def test_allowed_flows_are_listed_with_their_rule(lab):
    a, b = world(lab)
    b.serve(tcp=[80])
    before = queued(lab)
    for _ in range(7):
        lab.expect([(a, b.v4, "tcp", 80, "open")])
    lab.expect([(a, b.v6, "tcp", 80, "open")])
    want = dict(src="shop/a", dst="shop/b", protocol="tcp", port=80, verdict="allow", reason="policy")
    wait_for("eight connections", lambda: count(lab, **want) == 8)
    rows = [f for f in lab.flows() if f["port"] == 80]
    if not all((f["rule"] or "").startswith(RULE) for f in rows):
        raise Failure(f"not with the rule: {rows}")
    if queued(lab) != before:
        raise Failure("what a rule allows was queued")
    lab.expect([(a, b.v4, "tcp", 81, "drop")])
    wait_for("the denied one", lambda: count(lab, port=81, verdict="drop"))
    if count(lab, port=81, verdict="allow"):
        raise Failure("a denied flow is listed as allowed")


def test_each_flow_counts_once(lab):
    """A stream that nobody answers: every packet is new to conntrack, and the flow is one."""
    a, b = world(lab)
    lab.sh(b.netns, "iptables -A OUTPUT -p icmp -j DROP")
    Child(a.netns, datagrams, b.v4, 2000, 3, 50).result()
    wait_for("three flows", lambda: count(lab, protocol="udp") >= 3)
    # One reading later nothing has been added.
    lab.expect([(a, b.v4, "tcp", 80, "closed")])
    wait_for("a later flow", lambda: count(lab, port=80))
    if count(lab, protocol="udp") != 3:
        raise Failure(f"{count(lab, protocol='udp')} flows listed, 3 made")


def test_told_with_the_rule_that_allowed_them(lab):
    """A change of the rules comes between the packets and the next reading."""
    a, b = world(lab)
    b.serve(tcp=[80])
    for i in range(4):
        lab.expect([(a, b.v4, "tcp", 80, "open")])
        n = lab.status()["policies"]["generation"]
        lab.policy("p.yaml", POLICY.replace("name: b,", f"name: b{i},"))
        wait_for("the policy in force", lambda: lab.status()["policies"]["generation"] > n)
    lab.expect([(a, b.v4, "tcp", 80, "open")])
    wait_for("five connections", lambda: count(lab, port=80) == 5)
    rules = sorted(f["rule"].split()[0] for f in lab.flows() if f["port"] == 80)
    if rules != ["shop/b", "shop/b0", "shop/b1", "shop/b2", "shop/b3"]:
        raise Failure(f"told with the rules {rules}")


def test_what_finds_no_room_is_counted(lab):
    a, b = world(lab)
    lab.sh(b.netns, "iptables -A OUTPUT -p icmp -j DROP")
    sent = Child(a.netns, datagrams, b.v4, 2000, 11000).result()

    def accounted():
        gaps = lab.audited("gap", bulkhead__change__class="allowed")
        with sqlite3.connect(lab.dir + "/state/bulkhead.db") as db:
            listed = db.execute("SELECT sum(count) FROM flow WHERE proto = 17").fetchone()[0] or 0
        return gaps and listed + sum(g["bulkhead"]["change"]["count"] for g in gaps) == sent
    wait_for("every flow listed or counted as missing", accounted)


if __name__ == "__main__":
    Suite("w").main(globals())
