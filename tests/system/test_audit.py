#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit log of a running daemon: what it says of itself and of changes, that the schema means
something, and what happens when it can't be written. (That every record keeps to the schema and
that the log verifies is checked after each test of every suite: lab.py.)"""
import csv, io, json, os, signal, sys, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import audit_evidence as evidence
from lab import BULKHEAD, Failure, Suite, TOP, run, wait_for

POLICY = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: b, namespace: shop}
spec:
  podSelector: {matchLabels: {app: b}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: a}}}], ports: [{protocol: TCP, port: PORT}]}]
"""


def change(record):
    return record["bulkhead"]["change"]


def test_it_speaks_of_itself(lab):
    lab.container("a")
    lab.start()
    start, = wait_for("the start", lambda: lab.audited("start"))
    beat = change(wait_for("a heartbeat", lambda: lab.audited("heartbeat"))[0])
    if beat["lost"] != 0 or beat["written"] < 1:
        raise Failure(f"heartbeat: {beat}")
    s = lab.status()["audit"]
    if change(start)["key"] != s["key"] or change(start)["pid"] != lab.daemon.pid or len(change(start)["config_sha256"]) != 64:
        raise Failure(f"start: {start}")
    lab.config(deny="reject")
    reload = change(wait_for("the reload", lambda: lab.audited("reload"))[0])
    if reload["from"] == reload["to"] or sorted(reload["lines"]) != ["+deny: reject", "-deny: drop"]:
        raise Failure(f"reload: {reload}")
    lab.stop()
    stop, = lab.audited("stop")
    if change(stop)["cause"] != "asked to":
        raise Failure(f"stop: {stop}")
    lab.start()
    gap = change(wait_for("the time in between", lambda: [r for r in lab.audited("gap") if change(r)["class"] == "not-running"])[0])
    if not stop["@timestamp"] <= gap["first"] <= gap["last"]:
        raise Failure(f"not running: {gap}, stopped {stop['@timestamp']}")
    lab.stop()
    # The second implementation reads the daemon's own log as well.
    records = evidence.verify(lab.dir + "/audit.jsonl", s["key"])
    if [r["event"]["sequence"] for r in records] != list(range(1, len(records) + 1)):
        raise Failure("the numbers have gaps")


def test_all_of_the_log_is_verified(lab):
    """Without files it is the daemon's log with those that are full; what is altered in one of them is found."""
    lab.start(audit={"path": lab.dir + "/audit.jsonl", "rotate": {"size": "64K"}})
    full = lambda: sorted(n for n in os.listdir(lab.dir) if n.startswith("audit.jsonl.0") and n[12:].isdigit())
    for i in range(200):
        lab.cli("mode", "set", "enforce", "--namespace", f"n{i % 5}")
    wait_for("two full files", lambda: len(full()) >= 2)
    verify = lambda *words: lab.cli("audit", "verify", "-o", "json", *words, check=False)
    got = verify()
    if got.returncode != 3 or json.loads(got.stdout)["first"] != 1 or f"full files: {len(full())}" not in got.stderr:
        raise Failure(f"all of it: {got}, {full()}")
    alone = verify(lab.dir + "/audit.jsonl")  # who names a file means that one
    if alone.returncode != 3 or json.loads(alone.stdout)["first"] == 1:
        raise Failure(f"one of them: {alone}")
    path = os.path.join(lab.dir, full()[0])
    text = open(path).read()
    with open(path, "w") as f:
        f.write(text.replace('"enforce"', '"learned"', 1))
    got = verify()
    if got.returncode != 1 or not json.loads(got.stdout)["bad_sequence"]:
        raise Failure(f"altered: {got}")
    with open(path, "w") as f:
        f.write(text)  # as the suite's own check of the log wants it


def test_who_changed_what(lab):
    lab.container("a"), lab.container("b")
    lab.start(mode="enforce")
    path = lab.write("new.yaml", POLICY.replace("PORT", "80"))
    lab.cli("policy", "apply", "-m", "first", path)
    # The command's answer means that the record is on disk and signed.
    first = lab.audited("policy.change", event__outcome="success")[-1]
    lab.write("new.yaml", POLICY.replace("PORT", "81"))
    lab.cli("policy", "apply", path)
    second = lab.audited("policy.change", event__outcome="success")[-1]
    login = int(open("/proc/self/loginuid").read())
    for r, what, name in ((first, "added", "shop/b"), (second, "changed", "shop/b")):
        if change(r)["changes"] != {"count": 1, "policies": [{"policy": name, "change": what}]}:
            raise Failure(f"what changed: {r}")
        if r["user"]["id"] != "0" or r["process"]["pid"] <= 1 or \
           r["bulkhead"]["actor"]["login_uid"] != (None if login == 0xffffffff else login):
            raise Failure(f"who: {r}")
    if change(second)["from"] != change(first)["to"] or change(second)["to"] == change(second)["from"]:
        raise Failure(f"hashes: {first} {second}")
    if wait_for("its signature", lambda: lab.status()["audit"]["signed"] >= second["event"]["sequence"]) is not True:
        raise Failure("not signed")
    out = lab.cli("audit", "tail", "-n", "50")
    if "policy.change" not in out or "by uid 0" not in out:
        raise Failure(f"audit tail: {out}")
    out = [json.loads(l) for l in lab.cli("-o", "json", "audit", "tail", "-n", "3").splitlines()]
    if len(out) != 3:
        raise Failure(f"audit tail -o json: {out}")


def test_report_of_changes(lab):
    lab.container("a"), lab.container("b")
    lab.start(mode="enforce")
    path = lab.write("new.yaml", POLICY.replace("PORT", "80"))
    lab.cli("policy", "apply", "-m", '=1+1 <script>"x"</script>', path)
    lab.cli("mode", "set", "audit", "--namespace", "shop")
    log = lab.dir + "/audit.jsonl"
    out = lab.api("report", "changes", log)
    if "claims no compliance" not in out["controls"] or "PCI DSS" not in out["controls"]:
        raise Failure(f"controls: {out['controls']}")
    applied = [r for r in out["changes"] if "shop/b added" in r["details"]]
    mode = [r for r in out["changes"] if r["what"] == "mode.change"]
    if len(applied) != 1 or applied[0]["outcome"] != "success" or not applied[0]["who"].startswith("uid 0") or \
       "<script>" not in applied[0]["details"] or len(mode) != 1 or "to audit" not in mode[0]["details"]:
        raise Failure(f"report: {out}")
    if any(r["what"] in ("heartbeat", "policy-deny") for r in out["changes"]) or out["changes"][0]["what"] != "start":
        raise Failure(f"not only changes: {out}")
    rows = list(csv.reader(io.StringIO(lab.cli("report", "changes", "--format", "csv", log))))
    if rows[0] != ["when", "what", "outcome", "who", "details", "sequence"] or len(rows) != len(out["changes"]) + 1 or \
       rows[1][1] != "start" or any(c[:1] in "=+-@" for r in rows for c in r if c):
        raise Failure(f"CSV: {rows}")
    html = lab.cli("report", "changes", "--format", "html", log)
    if "<script" in html or "http://" in html or "https://" in html or html.count("<tr>") != len(out["changes"]) + 1:
        raise Failure(f"HTML: {html}")
    table = lab.cli("report", "changes", log)
    if "shop/b added" not in table or "WHEN (UTC)" not in table:
        raise Failure(f"table: {table}")
    if lab.api("report", "changes", "--since", "2999-01-01", log)["changes"]:
        raise Failure("--since is not kept to")
    if lab.cli("report", "changes", "/nonexistent", check=False).returncode != 1:
        raise Failure("a file that is not there is no failure")


def test_the_schema_means_something(lab):
    import jsonschema
    a, b = lab.container("a"), lab.container("b")
    lab.policy("b.yaml", POLICY.replace("PORT", "80"))
    lab.start(mode="enforce")
    lab.expect([(a, b.v4, "tcp", 81, "drop")])
    denial = wait_for("the denial", lambda: lab.audited("policy-deny"))[0]
    start = lab.audited("start")[0]
    schema = json.load(open(TOP + "/enforcer/audit/audit.schema.json"))
    v = jsonschema.Draft202012Validator(schema)
    v.check_schema(schema)
    for r in (denial, start):
        v.validate(r)
        for broken in ({**r, "new": 1}, {**r, "@timestamp": "yesterday"}, {k: x for k, x in r.items() if k != "host"},
                       {**r, "event": {**r["event"], "sequence": 0}}, {**r, "event": {**r["event"], "severity": 5}},
                       {**r, "bulkhead": {**r["bulkhead"], "guess": True}}):
            if v.is_valid(broken):
                raise Failure(f"the schema takes {broken}")
    if v.is_valid({**denial, "bulkhead": {**denial["bulkhead"], "verdict": "maybe"}}):
        raise Failure("any verdict is taken")


def test_exit_when_it_cannot_be_written(lab):
    small = lab.dir + "/small"
    os.mkdir(small)
    run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small)
    try:
        a, b, c = (lab.container(n) for n in "abc")
        b.serve(tcp=[80])
        lab.policy("b.yaml", POLICY.replace("PORT", "80"))
        lab.start(mode="enforce", audit={"path": small + "/audit.jsonl", "on_log_failure": "exit"})
        lab.expect([(a, b.v4, "tcp", 80, "open"), (c, b.v4, "tcp", 80, "drop")])
        with open(small + "/filler", "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass

        def stopped():
            lab.cli("mode", "set", "enforce", "--namespace", "other", check=False)  # something to record
            return lab.daemon.poll() is not None
        wait_for("the daemon stops", stopped, timeout=60, step=0.5)
        if lab.daemon.returncode != 1 or "on_log_failure" not in lab.daemon_log():
            raise Failure(f"exit {lab.daemon.returncode}: {lab.daemon_log()}")
        lab.daemon = None
        lab.expect([(a, b.v4, "tcp", 80, "open"), (c, b.v4, "tcp", 80, "drop")])
        os.unlink(small + "/filler")
        lab.start()
        lab.stop()
        if run(BULKHEAD, "audit", "verify", small + "/audit.jsonl", check=False).find("good") != 0:
            raise Failure(run(BULKHEAD, "audit", "verify", small + "/audit.jsonl", check=False))
    finally:
        if lab.daemon:
            lab.daemon.kill()
            lab.daemon.wait()
            lab.daemon = None
        run("umount", "-l", small, check=False)


if __name__ == "__main__":
    Suite("au").main(globals())
