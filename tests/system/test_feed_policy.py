#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is decided around threat feeds: directions, the allow list, exceptions, destinations before
DNAT, feeds by command, who talked to an address before it was listed."""
import datetime, json

from lab import Failure, Suite, run, wait_for

BAD, ALSO, FINE = "203.0.113.200", "198.51.100.7", "203.0.113.9"


def start(lab, text, feed=None, **conf):
    path = lab.write("bad.txt", text)
    lab.start(mode="learn", feeds=[{"name": "bad", "url": path, **(feed or {})}], **conf)
    wait_for("the feed is in force", lambda: lab.status()["feeds"]["indicators"] >= 1 and
             not lab.status()["feeds"]["loading"])


def show(lab, name="bad"):
    return json.loads(lab.cli("-o", "json", "feed", "show", name))


def test_directions(lab):
    a = lab.container("a")
    a.serve(tcp=[80])
    lab.serve(lab.out, tcp=[443])
    start(lab, BAD + "\n", {"direction": "in"})
    lab.expect([(a, BAD, "tcp", 443, "open")])
    if lab.probe(lab.out, a.v4, "tcp", 80, source=BAD) != "drop":
        raise Failure("listed as a source, and came in")
    if "in" not in lab.cli("feed", "test", BAD):
        raise Failure("feed test does not say the direction")


ALLOW_ALL = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: all, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]}
"""


def test_alerts_of_what_rules_allow(lab):
    """The daemon is not asked about these; all the same each is told, once, with its number."""
    a = lab.container("a")
    a.serve(tcp=[80])
    lab.serve(lab.out, tcp=[443])
    lab.policy("all.yaml", ALLOW_ALL)
    lab.config(mode="enforce", feeds=[{"name": "watch", "url": lab.write("w.txt", BAD + "\n"), "action": "alert"}])
    lab.start()
    wait_for("the feed is in force", lambda: lab.status()["feeds"]["indicators"] == 1)
    queued = sum(q["received"] for q in lab.status()["queues"])
    lab.expect([(a, BAD, "tcp", 443, "open")] * 3 + [(a, FINE, "tcp", 443, "open")])
    if lab.probe(lab.out, a.v4, "tcp", 80, source=BAD) != "open":
        raise Failure("a feed that only alerts blocks")

    def told(key, addr):
        records = [r for r in lab.audited("threat-alert") if r[key]["ip"] == addr]
        return sum(r["bulkhead"]["repeat"] for r in records), records
    # Repetitions of ten seconds are one record.
    wait_for("three to it", lambda: told("destination", BAD)[0] == 3, timeout=60)
    wait_for("one from it", lambda: told("source", BAD)[0] == 1)
    n, records = told("destination", BAD)
    for word in ("watch", BAD, "'a'"):
        if word not in str(records[0]):
            raise Failure(f"the record does not name {word}: {records[0]}")
    if sum(q["received"] for q in lab.status()["queues"]) != queued:
        raise Failure("the daemon was asked after all: this test proves nothing")
    if told("destination", FINE)[0] or told("destination", BAD)[0] != 3:
        raise Failure(f"too much is told: {lab.audited('threat-alert')}")


def test_allow_list_and_what_is_shown(lab):
    a = lab.container("a")
    lab.serve(lab.out, tcp=[443])
    start(lab, f"{BAD}\n{ALSO}\n10.0.0.0/8\n", feed_allow=[ALSO])
    lab.expect([(a, BAD, "tcp", 443, "drop"), (a, ALSO, "tcp", 443, "open")])
    cut = {c["indicator"]: c["line"] for c in show(lab)["cut"]}
    if cut != {ALSO: 2, "10.0.0.0/8": 3}:
        raise Failure(f"feed show: {cut}")
    t = json.loads(lab.cli("-o", "json", "feed", "test", ALSO))
    if t["blocked"] or not t["protected"]:
        raise Failure(f"feed test of an allowed address: {t}")


def test_exceptions_end(lab):
    a, b = lab.container("a", namespace="shop"), lab.container("b", namespace="other")
    lab.serve(lab.out, tcp=[443])
    until = datetime.datetime.utcnow() + datetime.timedelta(seconds=14)
    start(lab, f"{BAD}\n{ALSO}\n", feed_exceptions=[
        {"namespace": "shop", "addresses": [BAD], "reason": "case 7", "until": until.strftime("%Y-%m-%dT%H:%M:%SZ")}])
    lab.expect([(a, BAD, "tcp", 443, "open"), (a, ALSO, "tcp", 443, "drop"), (b, BAD, "tcp", 443, "drop")])
    held = lab.hold(a, BAD, 443)
    if not lab.audited("threat-alert"):
        wait_for("it is on record all the same", lambda: lab.audited("threat-alert"))
    wait_for("the exception has ended", lambda: lab.probe(a, BAD, "tcp", 443, timeout=0.5) == "drop", timeout=40)
    wait_for("its end is on record", lambda: lab.audited("feed.exception"))
    wait_for("the connection to be cut", lambda: not held.alive(), 5)
    if not any("case 7" in p for p in lab.status()["problems"]):
        raise Failure(f"status is silent about an exception that ended: {lab.status()['problems']}")


def test_destination_before_dnat(lab):
    a, proxy = lab.container("a"), lab.container("proxy")
    proxy.serve(tcp=[3128])
    lab.serve(lab.out, tcp=[443])
    start(lab, BAD + "\n")
    lab.sh(lab.node, f"""
        nft add table ip divert
        nft 'add chain ip divert pre {{ type nat hook prerouting priority dstnat; }}'
        nft add rule ip divert pre ip daddr {{ {BAD}, {FINE} }} tcp dport 443 dnat to {proxy.v4}:3128
    """)
    lab.expect([(a, FINE, "tcp", 443, "open"), (a, BAD, "tcp", 443, "drop")])
    hits = wait_for("on record with the address that was meant", lambda: [
        r for r in lab.audited("threat-block") if r["destination"]["ip"] == BAD])
    if "'bad'" not in str(hits[0]) or "'a'" not in str(hits[0]):
        raise Failure(f"the record names neither feed nor workload: {hits[0]}")


def test_feeds_by_command(lab):
    a = lab.container("a")
    lab.serve(lab.out, tcp=[443])
    start(lab, BAD + "\n")
    path = lab.write("mine.txt", ALSO + "\n")
    lab.cli("feed", "add", "mine", path)
    wait_for("it is in force", lambda: lab.probe(a, ALSO, "tcp", 443, timeout=0.5) == "drop")
    for words, part in ((("feed", "add", "bad", path), "configuration file"), (("feed", "rm", "bad"), "configuration file"),
                        (("feed", "add", "odd", path, "--set", "min_entries=x"), "min_entries")):
        r = lab.cli(*words, check=False)
        if r.returncode != 1 or part not in r.stderr:
            raise Failure(f"{words}: {r.returncode} {r.stderr}")
    lab.stop()
    lab.start()
    lab.expect([(a, ALSO, "tcp", 443, "drop"), (a, BAD, "tcp", 443, "drop")])
    lab.cli("feed", "rm", "mine")
    wait_for("it is gone", lambda: lab.probe(a, ALSO, "tcp", 443, timeout=0.5) == "open")
    lab.expect([(a, BAD, "tcp", 443, "drop")])


def test_who_was_there_before(lab):
    a = lab.container("a")
    lab.serve(lab.out, tcp=[443])
    start(lab, ALSO + "\n")
    lab.expect([(a, BAD, "tcp", 443, "open"), (a, FINE, "tcp", 443, "open")])
    wait_for("the flow is recorded", lambda: BAD in str(lab.flows()))
    lab.write("bad.txt", f"{ALSO}\n203.0.113.192/28\n")
    wait_for("it is on record", lambda: lab.audited("threat-seen-before"))
    seen = wait_for("feed show has it", lambda: show(lab)["seen_before"])
    if len(seen) != 1 or seen[0]["workload"] != "shop/a" or seen[0]["address"] != BAD or \
            seen[0]["indicator"] != "203.0.113.192/28" or seen[0]["direction"] != "out":
        raise Failure(f"feed show: {seen}")


if __name__ == "__main__":
    Suite("p").main(globals())
