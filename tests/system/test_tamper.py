#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single parts of the rules taken away by another program: each is noticed, put back within a second and on record;
or refused, where the kernel has tables with an owner. That the part was gone, and that packets passed for it, is
seen while the daemon is stopped."""
import re, signal, subprocess, time

from around import CLOSED, POLICY, Frames, bridged, deliver, meet
from lab import Failure, Suite, wait_for

# B4 and C4 are the addresses of b and c, PEERS a's set.
PARTS = [
    "flush table bridge bulkhead",
    "delete table bridge bulkhead",
    "flush table inet bulkhead",
    "delete table inet bulkhead",
    "flush chain bridge bulkhead guard",
    "flush chain inet bulkhead forward",
    "flush chain inet bulkhead unmatched",
    "flush chain inet bulkhead mid-stream",
    "flush chain inet bulkhead related",
    "flush set bridge bulkhead guard-ip4",
    "flush set bridge bulkhead identity4",
    "flush set inet bulkhead enforcing4",
    "flush map inet bulkhead enforce-in4",
    "flush set inet bulkhead networks4",
    "delete element inet bulkhead enforce-in4 { B4 }",
    "delete element inet bulkhead known4 { B4 }",
    "add rule inet bulkhead related accept",
    "insert rule inet bulkhead forward accept",
    "add element inet bulkhead PEERS { C4 }",
    "flush chain inet bulkhead input; delete chain inet bulkhead input",
    "flush chain bridge bulkhead deliver; delete chain bridge bulkhead deliver",
    "add chain inet bulkhead forward { policy drop ; }",
    "add chain inet bulkhead first { type filter hook forward priority -500 ; }; add rule inet bulkhead first drop",
    "add table inet bulkhead { flags dormant ; }",
    "add table bridge bulkhead { flags dormant ; }",
    "flush ruleset",
]


def world(lab, **conf):
    a, b, c = bridged(lab, "a", "b", "c")
    b.serve(tcp=[80, 81])
    meet(lab, a, b, c)
    lab.policy("b.yaml", POLICY)
    lab.start(mode="enforce", **conf)
    return a, b, c, [(a, b.v4, "tcp", 81, "open"), (a, b.v6, "tcp", 81, "open"), (c, b.v4, "tcp", 80, "open"),
                     (c, b.v4, "tcp", 81, "drop"), (c, b.v6, "tcp", 81, "drop")]


def nft(lab, words):
    return subprocess.run(["nsenter", f"--net=/run/netns/{lab.node}", "nft", words],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def rules(lab):
    """All of it in an order of its own, without what comes and goes by itself: counts, and elements of sets with a
    timeout."""
    out = subprocess.run(["nsenter", f"--net=/run/netns/{lab.node}", "nft", "-s", "list", "ruleset"],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    blocks = re.split(r"(?m)^(?=\t(?:set|map|chain) |table )", out)
    volatile = re.compile(r"(?ms)^\t\telements = \{.*?\}\n")
    return sorted(volatile.sub("", x).strip("}\n\t ") if "timeout" in x or "dynamic" in x else x.strip("}\n\t ") for x in blocks)


def parts(lab, b, c):
    peers = re.search(r"set (pods4-shop-app\.a\S*) \{", "\n".join(rules(lab))).group(1)
    return [p.replace("B4", b.v4).replace("C4", c.v4).replace("PEERS", peers) for p in PARTS]


def test_each_part_is_put_back(lab):
    a, b, c, table = world(lab, table_owner="never")
    lab.expect(table)
    time.sleep(0.5)
    before = rules(lab)
    for what in parts(lab, b, c):
        count = len(lab.audited("tamper"))
        time.sleep(1.1)  # records of tampering are paced
        r = nft(lab, what)
        begin = time.monotonic()
        if r.returncode:
            raise Failure(f"{what}: {r.stdout}: the test shows nothing")
        wait_for(what + " put back", lambda: rules(lab) == before, 5, 0.02)
        took = time.monotonic() - begin
        if took > 1:
            raise Failure(f"{what}: put back after {took:.1f} s")
        wait_for(what + " on record", lambda: len(lab.audited("tamper")) > count, 2)
    lab.expect(table)


def test_each_part_is_missed_and_needed(lab):
    """While the daemon is stopped the part is gone: the test above compares what can differ."""
    a, b, c, table = world(lab, table_owner="never")
    time.sleep(0.5)
    before = rules(lab)
    for what in parts(lab, b, c):
        lab.daemon.send_signal(signal.SIGSTOP)
        try:
            r = nft(lab, what)
            if r.returncode or rules(lab) == before:
                raise Failure(f"{what} changes nothing that is compared: {r.stdout}")
        finally:
            lab.daemon.send_signal(signal.SIGCONT)
        wait_for(what + " put back", lambda: rules(lab) == before, 5, 0.02)


def forged(lab, a, b, c):
    """Does c speak in the name of a?"""
    fr = Frames()
    fr.udp("as a", c, b, a.v4, CLOSED)
    return deliver(c, fr, [b], [CLOSED])[0]["stack"] != []


def test_the_bridge_table_alone(lab):
    """What rests on it, with packets: without it c has a's address, and again it has not."""
    a, b, c, table = world(lab, table_owner="never")
    if forged(lab, a, b, c):
        raise Failure("c speaks for a while the table is whole")
    lab.daemon.send_signal(signal.SIGSTOP)
    try:
        nft(lab, "flush table bridge bulkhead")
        if not forged(lab, a, b, c):
            raise Failure("c can't speak for a without the table either: the test shows nothing")
    finally:
        lab.daemon.send_signal(signal.SIGCONT)
    time.sleep(1)
    if forged(lab, a, b, c):
        raise Failure("c speaks for a a second after the table was flushed")


def test_each_part_is_refused(lab):
    a, b, c, table = world(lab)
    if "flags owner" not in lab.nft():
        return
    time.sleep(0.5)
    before = rules(lab)
    for what in parts(lab, b, c):
        r = nft(lab, what)
        if what != "flush ruleset" and (r.returncode == 0 or "not permitted" not in r.stdout):
            raise Failure(f"{what}: {r.returncode} {r.stdout}")
        if rules(lab) != before:
            raise Failure(f"{what} changed something")
    if lab.audited("tamper"):
        raise Failure("what was refused is on record as tampering")
    lab.expect(table)


if __name__ == "__main__":
    Suite("ta").main(globals())
