#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every file in examples/ does what it says, with real packets where it is about packets."""
import os, shutil

from lab import BULKHEAD, TOP, Failure, Suite, run, wait_for

EXAMPLES = TOP + "/examples"


def test_policies_and_feed(lab):
    web, api, db, other = (lab.container(n) for n in ("web", "api", "db", "other"))
    web.serve(tcp=[80, 81])
    api.serve(tcp=[8080])
    db.serve(tcp=[5432])
    lab.serve(lab.out, tcp=[443])
    run(BULKHEAD, "policy", "check", EXAMPLES + "/policies")
    for f in os.listdir(EXAMPLES + "/policies"):
        shutil.copy(f"{EXAMPLES}/policies/{f}", lab.dir + "/policies")
    lab.start(mode="enforce", feeds=[{"name": "local", "url": EXAMPLES + "/feed.txt"}])
    wait_for("feed loaded", lambda: lab.status()["feeds"]["indicators"] == 4)
    lab.expect([(lab.out, web.v4, "tcp", 80, "open"), (lab.out, web.v4, "tcp", 81, "drop"),
                (web, api.v4, "tcp", 8080, "open"), (web, db.v4, "tcp", 5432, "drop"),
                (api, db.v6, "tcp", 5432, "open"), (api, "203.0.113.9", "tcp", 443, "open"),
                (api, "203.0.113.200", "tcp", 443, "drop"), (db, "203.0.113.9", "tcp", 443, "drop"),
                (other, web.v4, "tcp", 80, "drop"),  # isolated by default-deny
                (other, "203.0.113.9", "tcp", 443, "drop")])
    got = lab.probe(lab.out, web.v4, "tcp", 80, source="198.51.100.66")
    if got != "drop":
        raise Failure(f"a listed source reaches web: {got}")


def test_workloads(lab):
    lab.start(sources=[{"static": EXAMPLES + "/workloads.yaml"}])
    names = {f"{w['namespace']}/{w['name']}" for w in lab.workloads()}
    if names != {"shop/web", "shop/db"}:
        raise Failure(f"workloads: {names}")


if __name__ == "__main__":
    Suite("e").main(globals())
