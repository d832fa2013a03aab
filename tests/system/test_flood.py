#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A flood, to the packet: what was sent is what is on record, with what was counted as lost or decided
before the queue; also while the daemon stands still and the kernel's queue runs over."""
import signal, sqlite3

from lab import Child, Failure, Suite, wait_for
from shop import datagrams, policy, queue

PORTS = 10000


def world(lab, mode, **conf):
    a, b, c = (lab.container(n) for n in "abc")
    lab.sh(b.netns, "iptables -A OUTPUT -p icmp -j DROP")  # nobody answers
    lab.policy("b.yaml", policy())
    lab.start(mode=mode, **{"pace": {"rate": 0}, "queue": {"length": 1024}, **conf})
    return b, c


def count(lab, action, classes):
    """(recorded, counted as lost by class)"""
    lost = {}
    for g in lab.audited("gap"):
        change = g["bulkhead"]["change"]
        if change["class"] in classes:
            lost[change["class"]] = lost.get(change["class"], 0) + change["count"]
    recorded = sum(r["bulkhead"]["repeat"] for r in lab.audited(action) if r["network"]["transport"] == "udp")
    return recorded, lost


def flood(lab, b, c):
    """Many tuples; many more while nobody reads the queue; a few many times. How many packets."""
    sent = Child(c.netns, datagrams, b.v4, 1000, PORTS).result(60)
    lab.daemon.send_signal(signal.SIGSTOP)
    sent += Child(c.netns, datagrams, b.v4, 1000 + PORTS, PORTS).result(60)
    lab.daemon.send_signal(signal.SIGCONT)
    sent += Child(c.netns, datagrams, b.v4, 1000 + 2 * PORTS, 5, 400).result(60)
    return sent


def reconcile(lab, purpose, action, classes, sent):
    def all_of_it():
        recorded, lost = count(lab, action, classes)
        return recorded + sum(lost.values()) >= sent
    wait_for("everything is accounted for", all_of_it, 90, 0.5)
    lab.stop()
    recorded, lost = count(lab, action, classes)
    if recorded + sum(lost.values()) != sent:
        raise Failure(f"{sent} sent, {recorded} recorded, lost: {lost}")
    if not lost.get(purpose):
        raise Failure(f"the test wants the queue to run over: {lost}")
    return recorded, lost


def test_denied(lab):
    b, c = world(lab, "enforce")
    sent = flood(lab, b, c)
    wait_for("the queue's loss", lambda: queue(lab, "unmatched")["kernel_dropped"] > 0)
    dropped = queue(lab, "unmatched")["kernel_dropped"]
    _, lost = reconcile(lab, "unmatched", "policy-deny", {"unmatched", "denied", "flows", "log"}, sent)
    if lost["unmatched"] != dropped:
        raise Failure(f"the kernel dropped {dropped}, on record are {lost}")
    gap = lab.audited("gap", bulkhead__change__class="unmatched")[0]["bulkhead"]["change"]
    if not gap["first"] < gap["last"]:
        raise Failure(f"no time of it: {gap}")


def test_observed(lab):
    """What passes is recorded as it would be denied; the queue of the observed fails open."""
    b, c = world(lab, "audit")
    sent = flood(lab, b, c)
    recorded, lost = reconcile(lab, "observed", "would-deny", {"observed", "passed", "flows", "log"}, sent)
    # The list of flows has all that reached the daemon.
    with sqlite3.connect(lab.dir + "/state/bulkhead.db") as db:
        listed = db.execute("SELECT sum(count) FROM flow WHERE proto = 17 AND verdict = 'would-deny'").fetchone()[0]
    if listed + lost["observed"] + lost.get("passed", 0) != sent:
        raise Failure(f"{sent} sent, {listed} listed, lost: {lost}")


def test_faster_than_its_pace(lab):
    """What is decided before the queue is counted by its source, and told in full at the stop."""
    b, c = world(lab, "enforce", pace={"rate": 200, "burst": 50}, queue={"length": 16384})
    sent = Child(c.netns, datagrams, b.v4, 1000, PORTS).result(60)
    wait_for("the scan on record", lambda: lab.audited("scan"))
    sent += Child(c.netns, datagrams, b.v4, 1000 + PORTS, PORTS).result(60)
    n = lambda: queue(lab, "unmatched")
    wait_for("nothing is queued", lambda: n()["received"] == n()["dropped"])
    lab.stop()
    recorded, lost = count(lab, "policy-deny", {"unmatched", "denied", "flows", "log"})
    paced = sum(r["bulkhead"]["change"]["count"] for r in lab.audited("scan"))
    if recorded + sum(lost.values()) + paced != sent:
        raise Failure(f"{sent} sent, {recorded} recorded, {paced} paced, lost: {lost}")
    if not paced or not recorded:
        raise Failure("the test wants both")


if __name__ == "__main__":
    Suite("fl").main(globals())
