#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wall clock is set, hours and days, while the daemon runs and while it is dead (its own alone, by
clock/shim.c): what lasts for a while lasts that long."""
import datetime, glob, json, os, signal, struct, time

from lab import BUILD, Failure, Suite, wait_for
from test_failures import DB, only

HOUR = 3600
SHIM = os.path.join(BUILD, "tests/system/clock/libshifted-clock.so")


class Clock:
    def __init__(self, lab):
        self.lab, self.path, self.by, self.steps = lab, lab.dir + "/clock", 0, 0
        self.write()

    def write(self):
        with open(self.path, "wb" if not os.path.exists(self.path) else "r+b", buffering=0) as f:
            f.write(struct.pack("q", int(self.by * 1000000)))

    def env(self):
        return {"LD_PRELOAD": SHIM, "SHIFTED_CLOCK": self.path}

    def step(self, seconds, seen=True):
        """While the daemon runs: until it has seen it."""
        self.by += seconds
        self.write()
        if not seen:
            return
        self.steps += 1
        wait_for("the step is on record", lambda: len(self.lab.audited("clock.step")) == self.steps)

    def now(self):
        return time.time() + self.by

    def left(self, text):
        """Seconds from the daemon's now to a time that it told."""
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() - self.now()


def about(what, got, want):
    if not want - 300 < got <= want:
        raise Failure(f"{what}: {got} s left, expected {want}")


def test_what_lasts_an_hour(lab):
    """A mode for a time and a change on trial end neither early nor late, over steps that the daemon sees and
    over those while it is dead; and the mode that was set last wins."""
    clock = Clock(lab)
    web, api = lab.container("web"), lab.container("api")
    db = lab.container("db", labels={"app": "db", "tier": "a"})
    db.serve(tcp=[5432])
    lab.policy("shop.db.yaml", DB % "web")
    lab.start(mode="enforce", env=clock.env(), audit={"path": lab.dir + "/audit.jsonl", "rotate": {"age": "365d"}})
    lab.cli("mode", "set", "learn", "--namespace", "other", "--for", "1h")
    lab.cli("policy", "apply", "--confirm-within", "1h", lab.write("new.yaml", DB % "api"))

    def all_is_there(when):
        mode = lab.api("mode", "get")["namespaces"]
        if [m["mode"] for m in mode] != ["learn"]:
            raise Failure(f"{when}: modes {mode}")
        about(f"{when}: mode", clock.left(mode[0]["until"]), HOUR)
        trial = lab.status()["policies"]["confirm"]
        if not trial:
            raise Failure(f"{when}: the trial was taken back")
        about(f"{when}: trial", trial["seconds_left"], HOUR)
        about(f"{when}: trial", clock.left(trial["deadline"]), HOUR)

    def restart(by):
        lab.stop(signal.SIGKILL)
        clock.by += by
        clock.write()
        lab.start(env=clock.env())

    all_is_there("at first")
    clock.step(2 * HOUR)
    all_is_there("after two hours forward")
    restart(0)
    all_is_there("and a restart")
    restart(30 * HOUR)
    all_is_there("set forward while dead")
    clock.step(-100 * HOUR)
    restart(-100 * HOUR)
    all_is_there("set back, alive and dead")
    lab.expect(only(api, web, db))
    lab.cli("mode", "set", "audit", "--selector", "app=db")
    clock.step(-24 * HOUR)
    lab.cli("mode", "set", "enforce", "--selector", "tier=a")
    lab.expect(only(api, web, db))
    clock.step(-24 * HOUR, seen=False)  # nor is what is set right after a step moved by it
    lab.cli("mode", "set", "learn", "--namespace", "other", "--for", "1h")
    time.sleep(2.5)
    until = [m["until"] for m in lab.api("mode", "get")["namespaces"]]
    about("set right after a step", clock.left(until[0]), HOUR)
    beats = [r["bulkhead"]["change"]["uptime"] for r in lab.audited("heartbeat")]
    if not beats or not all(0 <= s < 300 for s in beats):
        raise Failure(f"heartbeats: {beats}")


STIX = {"type": "bundle", "id": "bundle--1", "objects": [
    {"type": "indicator", "spec_version": "2.1", "id": "indicator--1", "pattern_type": "stix",
     "pattern": "[ipv4-addr:value = '203.0.113.200']", "valid_from": "2020-01-01T00:00:00Z"}]}


def test_windows_and_expiry(lab):
    """Denials hours apart by the true clock are not within seconds, whatever the clock says; an indicator's end
    comes with the clock; whose a flow was is known, although the kernel dates it by the clock."""
    clock = Clock(lab)
    clock.by = HOUR  # of the daemon; the kernel's is right
    clock.write()
    a, b = lab.container("a"), lab.container("b")
    peers = [lab.container(f"p{i}") for i in range(4)]
    lab.policy("p.yaml", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\n"
               "spec: {podSelector: {matchExpressions: [{key: app, operator: In, values: [p0, p1, p2, p3]}]}}\n")
    STIX["objects"][0]["valid_until"] = datetime.datetime.fromtimestamp(
        clock.now() + HOUR, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    feed = lab.write("feed.json", json.dumps(STIX))
    lab.start(mode="enforce", env=clock.env(), feeds=[{"name": "ends", "url": feed}],
              drift={"quarantine": {"denied_peers": 3, "within": "2s"}},
              audit={"path": lab.dir + "/audit.jsonl", "rotate": {"age": "4h"}, "flows": "full"})
    wait_for("the feed", lambda: lab.status()["feeds"]["indicators"] == 1)
    denied = lambda c, *n: lab.expect([(c, peers[i].v4, "tcp", 80, "drop") for i in n], timeout=0.4)
    cut = lambda: {q["workload"] for q in lab.api("quarantine", "list")["quarantine"]}
    late = lab.container("late")
    lab.static()
    wait_for("late is known", lambda: len(lab.workloads()) == 7)
    denied(a, 0, 1)
    clock.step(-HOUR)
    lab.expect([(late, b.v4, "tcp", 81, "closed")])
    lab.sh(lab.node, "conntrack -D -p tcp --dport 81 >/dev/null 2>&1 || true")
    of = wait_for("its end", lambda: lab.audited("flow-end", destination__port=81))[0]["bulkhead"]
    if [(of[end] or {}).get("name") for end in ("src", "dst")] != ["late", "b"]:
        raise Failure(f"whose it was: {of}")
    time.sleep(2)
    denied(a, 2)
    denied(b, 0, 1, 2)  # it is decided of both, in this order
    wait_for("b is cut off", lambda: "shop/b" in cut())
    if cut() != {"shop/b"}:
        raise Failure(f"cut off: {cut()}")
    clock.step(3 * HOUR)
    wait_for("the indicator has ended", lambda: lab.status()["feeds"]["indicators"] == 0)
    lab.stop(signal.SIGKILL)  # a file of the log is as old as its first record, not as the last start
    lab.start(env=clock.env())
    clock.step(2.5 * HOUR, seen=False)
    wait_for("the log goes on in another file", lambda: glob.glob(lab.dir + "/audit.jsonl.[0-9]*[0-9]"))
    # Years ahead, for a moment perhaps: nobody who was here is forgotten for that.
    lab.remove("p3")
    lab.static()
    gone = lambda: any(w["name"] == "p3" for w in lab.api("ps", "--all")["workloads"])
    wait_for("p3 is gone", lambda: len(lab.workloads()) == 6)
    clock.step(10 * 365 * 24 * HOUR, seen=False)
    # A file that the log goes on in has no record at first.
    wait_for("the clock has that", lambda: any(clock.left(r["@timestamp"]) > -60 for r in lab.audit()))
    for when in ("while it ran", "and a restart", "and years more while it was dead"):
        time.sleep(2)
        if not gone():
            raise Failure(f"a stay was forgotten: years ahead {when}")
        lab.stop(signal.SIGKILL)
        clock.step(10 * 365 * 24 * HOUR if when == "and a restart" else 0, seen=False)
        lab.start(env=clock.env())


def test_tampering_is_on_record(lab):
    """Records of it are paced; with the clock set back that is no pause of an hour."""
    clock = Clock(lab)
    lab.container("a")
    lab.start(mode="enforce", env=clock.env(), table_owner="never")
    for by in (0, -HOUR, HOUR):
        if by:
            clock.step(by)
        count = len(lab.audited("tamper"))
        time.sleep(1.1)
        lab.sh(lab.node, "nft delete table inet bulkhead")
        wait_for(f"on record after {by} s", lambda: len(lab.audited("tamper")) > count, 5)
        wait_for("it is back", lambda: "vmap" in lab.nft(), 5)


if __name__ == "__main__":
    Suite("ck").main(globals())
