#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of the policies with the real daemon: history, plan, rollback, and changes on trial that
take themselves back, also when the daemon dies meanwhile or the disk is full."""
import os, signal, sqlite3, subprocess, time

from lab import BULKHEAD, Failure, Suite, run, wait_for

OPEN = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: b, namespace: shop}
spec:
  podSelector: {matchLabels: {app: b}}
  ingress: [{from: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: 80}]}]
"""
CLOSED = OPEN.replace("app: a", "app: nobody")


def world(lab, **conf):
    a, b, c = (lab.container(n) for n in "abc")
    b.serve(tcp=[80, 81])
    lab.start(mode="enforce", **conf)
    lab.write("open.yaml", OPEN)
    lab.write("closed.yaml", CLOSED)
    lab.cli("policy", "apply", "-m", "let a in", lab.dir + "/open.yaml")
    passes, fails = [(a, b.v4, "tcp", 80, "open"), (c, b.v4, "tcp", 80, "drop")], [(a, b.v4, "tcp", 80, "drop")]
    lab.expect(passes)
    return a, b, c, passes, fails


def history(lab):
    return lab.api("policy", "history")["versions"]


def refused(lab, *argv, says):
    r = lab.cli(*argv, check=False)
    if r.returncode != 1 or says not in r.stderr:
        raise Failure(f"bulkhead {' '.join(argv)}: exit {r.returncode}, wanted 1 and {says!r}\n{r.stdout}{r.stderr}")


def same(what, got, want):
    if got != want:
        raise Failure(f"{what}: {got!r}, not {want!r}")


def rules(lab):
    """The kernel's rules without what counts."""
    return [l for l in lab.nft().splitlines() if "comment" in l and "counter" not in l or "chain" in l]


def test_history_says_who_and_why(lab):
    a, b, c, passes, fails = world(lab)
    cli = subprocess.Popen([BULKHEAD, "--socket", lab.dir + "/bulkhead.sock", "policy", "apply", "-m", "shut; 'it'",
                            lab.dir + "/closed.yaml"], stdout=subprocess.PIPE)
    cli.communicate()
    lab.expect(fails)
    v = history(lab)
    same("versions", [x["version"] for x in v], [3, 2, 1])
    same("in force", [x["in_force"] for x in v], [True, False, False])
    same("causes", [x["cause"] for x in v], ["apply", "apply", "start"])
    same("comments", [x["comment"] for x in v], ["shut; 'it'", "let a in", ""])
    same("who", (v[0]["user"], v[0]["uid"], v[0]["pid"]), ("root", os.getuid(), cli.pid))
    same("who", (v[2]["user"], v[2]["uid"]), ("directory", None))
    same("hash", v[0]["sha256"], lab.status()["policies"]["sha256"])
    # By the directory: nobody's name, the cause says so.
    lab.policy("more.yaml", OPEN.replace("name: b,", "name: more,"))
    wait_for("the directory's version", lambda: len(history(lab)) == 4)
    same("cause", history(lab)[0]["cause"], "directory changed")
    lab.expect(passes)
    same("old text", lab.cli("policy", "show", "--version", "2", "shop/b"), OPEN)
    text = lab.cli("policy", "diff", "2", "3")
    for line in ("--- shop/b (version 2)", "+++ shop/b (version 3)", "+  ingress: [{from: [{podSelector: {matchLabels: {app: nobody}}}], ports: [{port: 80}]}]"):
        if line not in text.splitlines():
            raise Failure(f"diff lacks {line!r}:\n{text}")
    change = lab.audited("policy.change", bulkhead__change__generation=3)
    if not change or change[0]["bulkhead"]["change"]["from_generation"] != 2 or change[0]["bulkhead"]["change"]["comment"] != "shut; 'it'":
        raise Failure(f"audit of version 3: {change}")
    # All of it is there after a restart, and a restart is no version.
    before = lab.cli("policy", "history")
    lab.stop()
    lab.start()
    same("history after a restart", lab.cli("policy", "history"), before)
    # Comments are no change of policy.
    lab.policy("more.yaml", "# said again\n" + OPEN.replace("name: b,", "name: more,"))
    wait_for("the new text", lambda: "said again" in lab.cli("policy", "show", "shop/more"))
    same("versions", len(history(lab)), 4)


def test_plan_and_prune(lab):
    a, b, c, passes, fails = world(lab)
    lab.policy("hand.yaml", OPEN.replace("name: b,", "name: hand,").replace("app: b", "app: c"))
    wait_for("the hand-written one", lambda: len(history(lab)) == 3)
    extra = lab.write("extra.yaml", OPEN.replace("name: b,", "name: extra,").replace("app: a", "app: c"))
    p = lab.api("policy", "plan", extra)
    same("actions", [(x["policy"], x["action"]) for x in p["policies"]], [("shop/extra", "created")])
    same("changes", p["changes"], True)
    same("delta", [(e["change"], e["source"], e["destination"], e["services"]) for e in p["delta"]["edges"]],
         [("opens", "shop/c", "shop/b", "tcp/80")])
    p = lab.api("policy", "plan", lab.dir + "/closed.yaml")
    same("delta", [(e["change"], e["source"], e["destination"], e["services"]) for e in p["delta"]["edges"]],
         [("closes", "shop/a", "shop/b", "tcp/80")])
    text = lab.cli("policy", "plan", "--diff", lab.dir + "/closed.yaml")
    for part in ("- closes", "shop/a", "+++ shop/b (planned)", "1 to change", "0 open, 1 close; nothing was changed"):
        if part not in text:
            raise Failure(f"plan lacks {part!r}:\n{text}")
    p = lab.api("policy", "plan", "--prune", extra)
    same("actions", [(x["policy"], x["action"]) for x in p["policies"]],
         [("shop/extra", "created"), ("shop/b", "deleted")])
    same("plans change nothing", [x["version"] for x in history(lab)], [3, 2, 1])
    lab.expect(passes)
    same("nothing to do", lab.api("policy", "plan", lab.dir + "/open.yaml")["changes"], False)
    lab.cli("policy", "apply", "--prune", extra)
    lab.expect([(a, b.v4, "tcp", 80, "drop"), (c, b.v4, "tcp", 80, "open")])
    same("files", sorted(os.listdir(lab.dir + "/policies")), ["hand.yaml", "shop.extra.yaml"])


def test_rollback(lab):
    a, b, c, passes, fails = world(lab)
    lab.policy("hand.yaml", "# mine\n" + OPEN.replace("name: b,", "name: hand,").replace("app: b", "app: c"))
    wait_for("the hand-written one", lambda: len(history(lab)) == 3)
    lab.cli("policy", "apply", lab.dir + "/closed.yaml")
    os.unlink(lab.dir + "/policies/hand.yaml")
    wait_for("its removal", lambda: len(history(lab)) == 5)
    lab.expect(fails)
    out = lab.api("policy", "rollback", "3", "-m", "that was wrong")
    same("files", [(os.path.basename(f["file"]), f["action"]) for f in out["files"]],
         [("hand.yaml", "created"), ("shop.b.yaml", "changed")])
    lab.expect(passes)
    with open(lab.dir + "/policies/hand.yaml") as f:
        same("the hand-written file", f.readline(), "# mine\n")
    v = history(lab)
    same("version", (v[0]["version"], v[0]["cause"], v[0]["comment"], v[0]["user"]), (6, "rollback", "that was wrong", "root"))
    same("the same policies", v[0]["sha256"], v[3 - 0]["sha256"])
    # Without a number: the version before; twice is there and back.
    lab.cli("policy", "rollback")
    lab.expect(fails)
    same("comment", history(lab)[0]["comment"], "to version 5")
    lab.cli("policy", "rollback")
    lab.expect(passes)
    time.sleep(0.5)  # the directory's own notices have been looked at
    same("versions", [x["version"] for x in history(lab)], [8, 7, 6, 5, 4, 3, 2, 1])
    refused(lab, "policy", "rollback", "99", says="no version 99")


def test_rollback_overwrites_nobodys_work(lab):
    a, b, c, passes, fails = world(lab)
    lab.cli("policy", "apply", lab.dir + "/closed.yaml")
    # A broken file never came in force: it is somebody's work in progress.
    lab.policy("draft.yaml", "kind: NetworkPolicy\n")
    wait_for("the complaint", lambda: lab.status()["policies"]["stale"])
    refused(lab, "policy", "rollback", says="draft.yaml is not as it was when version 3 came in force")
    lab.expect(fails)
    lab.cli("policy", "rollback", "--force")
    lab.expect(passes)
    same("files", os.listdir(lab.dir + "/policies"), ["shop.b.yaml"])
    wait_for("all well", lambda: not lab.status()["policies"]["stale"])
    # To what is in force: only the directory is put right.
    lab.policy("draft.yaml", "kind: NetworkPolicy\n")
    wait_for("the complaint", lambda: lab.status()["policies"]["stale"])
    same("changed", lab.api("policy", "rollback", "--force", "4")["changed"], False)
    same("files", os.listdir(lab.dir + "/policies"), ["shop.b.yaml"])
    same("complaint", lab.status()["policies"]["stale"], None)
    same("versions", [x["version"] for x in history(lab)], [4, 3, 2, 1])


def test_trial_ends_by_itself(lab):
    a, b, c, passes, fails = world(lab)
    before = rules(lab)
    lab.cli("policy", "apply", "--confirm-within", "10s", lab.dir + "/closed.yaml")
    lab.expect(fails)
    t = lab.status()["policies"]["confirm"]
    same("trial", (t["version"], t["back_to"]), (3, 2))
    refused(lab, "policy", "apply", lab.dir + "/open.yaml", says="version 3 awaits its confirmation")
    refused(lab, "policy", "delete", "shop/b", says="awaits its confirmation")
    refused(lab, "policy", "rollback", says="awaits its confirmation")
    wait_for("open again", lambda: lab.probe(a, b.v4, "tcp", 80, timeout=0.4) == "open", 60)
    lab.expect(passes)
    same("rules", rules(lab), before)
    with open(lab.dir + "/policies/shop.b.yaml") as f:
        same("file", f.read(), OPEN)
    v = history(lab)
    same("version", (v[0]["version"], v[0]["cause"], v[0]["user"], v[0]["uid"]), (4, "confirm-timeout", "daemon", None))
    same("trial", lab.status()["policies"]["confirm"], None)
    if not lab.audited("policy.change", bulkhead__change__cause="confirm-timeout", event__outcome="success"):
        raise Failure("the rolled back change is not on record")
    refused(lab, "policy", "confirm", says="no version awaits")


def test_trial_confirmed_stays(lab):
    a, b, c, passes, fails = world(lab)
    lab.cli("policy", "apply", "--confirm-within", "6s", lab.dir + "/closed.yaml")
    lab.cli("policy", "confirm")
    time.sleep(7)
    lab.expect(fails)
    same("version", history(lab)[0]["version"], 3)
    confirmed = lab.audited("policy.confirm", event__outcome="success")
    if not confirmed or str(confirmed[0]["user"]["id"]) != str(os.getuid()):
        raise Failure(f"the confirmation is not on record: {confirmed}")
    lab.stop(signal.SIGKILL)
    lab.start()
    lab.expect(fails)


def test_trial_cancelled(lab):
    a, b, c, passes, fails = world(lab)
    lab.cli("policy", "apply", "--confirm-within", "1h", lab.dir + "/closed.yaml")
    lab.expect(fails)
    lab.cli("policy", "cancel")
    lab.expect(passes)
    same("cause", (history(lab)[0]["cause"], history(lab)[0]["user"]), ("cancel", "root"))


def test_trial_of_a_first_version_and_of_a_rollback(lab):
    a, b, c, passes, fails = world(lab)
    lab.cli("policy", "rollback", "--confirm-within", "2s")  # to no policies at all
    lab.expect([(c, b.v4, "tcp", 80, "open")])
    wait_for("closed again", lambda: lab.probe(c, b.v4, "tcp", 80, timeout=0.4) == "drop")
    lab.expect(passes)
    same("files", os.listdir(lab.dir + "/policies"), ["shop.b.yaml"])


def test_trial_over_while_the_daemon_was_dead(lab):
    a, b, c, passes, fails = world(lab)
    lab.cli("policy", "apply", "--confirm-within", "2s", lab.dir + "/closed.yaml")
    lab.stop(signal.SIGKILL)
    lab.expect(fails)  # the kernel has it still
    time.sleep(2.2)
    lab.start()
    lab.expect(passes)
    same("cause", history(lab)[0]["cause"], "confirm-timeout")
    with open(lab.dir + "/policies/shop.b.yaml") as f:
        same("file", f.read(), OPEN)


def test_trial_goes_on_after_a_crash(lab):
    a, b, c, passes, fails = world(lab)
    lab.cli("policy", "apply", "--confirm-within", "8s", lab.dir + "/closed.yaml")
    lab.stop(signal.SIGKILL)
    # Somebody edits the directory meanwhile: what is on trial stays on trial.
    lab.policy("late.yaml", OPEN.replace("name: b,", "name: late,").replace("app: a", "app: c"))
    lab.start()
    lab.expect(fails)
    same("trial", lab.status()["policies"]["confirm"]["version"], 3)
    if "awaits its confirmation" not in (lab.status()["policies"]["stale"] or ""):
        raise Failure(f"status is silent about the edit that waits: {lab.status()['policies']}")
    wait_for("open again", lambda: lab.probe(a, b.v4, "tcp", 80, timeout=0.4) == "open", 20)
    # Now the edit is looked at too.
    wait_for("the edit", lambda: lab.probe(c, b.v4, "tcp", 80, timeout=0.4) == "open")
    same("causes", [x["cause"] for x in history(lab)][:3], ["directory changed", "confirm-timeout", "apply"])


def test_trial_cuts_its_own_session(lab):
    """The case it is for: who made the change has lost the way to the machine."""
    a, b, c, passes, fails = world(lab)
    session = lab.hold(a, b.v4, 80)
    if not session.alive():
        raise Failure("no session")
    lab.cli("policy", "apply", "--confirm-within", "8s", lab.dir + "/closed.yaml")
    time.sleep(0.5)  # idle while it is cut
    if session.alive():
        raise Failure("the session goes on")
    wait_for("a new session", lambda: lab.probe(a, b.v4, "tcp", 80, timeout=0.4) == "open", 20)


CLUSTER = """\
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: no-b}
spec:
  tier: Admin
  priority: 10
  subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: b}}}}
  ingress:
  - {name: not from a, action: Deny, from: [{pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: a}}}}]}
  egress:
  - {name: other nodes, action: Deny, to: [{nodes: {matchLabels: {zone: far}}}]}
"""
NODES = {"far-1": {"labels": {"zone": "far"}, "ips": ["198.51.100.7"]}}


def test_cluster_policies(lab):
    lab.serve(lab.out, tcp=[443])
    a, b, c, passes, fails = world(lab)
    path = lab.write("cluster.yaml", CLUSTER)
    # Nobody has told of nodes: a rule about them could not be honoured.
    refused(lab, "policy", "apply", path, says="cluster.yaml:11")
    lab.config(mode="enforce", nodes=NODES)
    lab.daemon.send_signal(signal.SIGHUP)
    wait_for("nodes known", lambda: lab.cli("policy", "apply", "--dry-run", path, check=False).returncode == 0)
    far = [(b, "198.51.100.7", "tcp", 443)]
    lab.expect([r + ("open",) for r in far])
    lab.cli("policy", "apply", path)
    same("file", sorted(os.listdir(lab.dir + "/policies")), ["_cluster.no-b.yaml", "shop.b.yaml"])
    lab.expect(fails + [r + ("drop",) for r in far])
    p = {x["policy"]: x for x in lab.api("policy", "list")["policies"]}
    same("list", (p["cnp:no-b"]["tier"], p["cnp:no-b"]["priority"], p["cnp:no-b"]["namespace"]), ("Admin", 10, ""))
    if "Admin 10" not in lab.cli("policy", "list"):
        raise Failure(lab.cli("policy", "list"))
    rule = 'cnp:no-b ingress rule 0 "not from a" peer 0 (Deny)'
    wait_for("the rule in flows", lambda: rule in str([f["rule"] for f in lab.flows()]))
    deny = wait_for("the denial on record", lambda: lab.audited("policy-deny", bulkhead__src__name="a"))
    same("policy on record", deny[-1]["rule"]["ruleset"], "cnp:no-b")
    same("shown", lab.cli("policy", "show", "cnp:no-b"), CLUSTER)
    lab.cli("policy", "delete", "cnp:no-b")
    lab.expect(passes + [r + ("open",) for r in far])
    same("files", os.listdir(lab.dir + "/policies"), ["shop.b.yaml"])
    refused(lab, "policy", "delete", "cnp:no-b", says="there is no policy cnp:no-b")


def test_crash_while_files_are_written(lab):
    """The version is on disk, its files are not: the next start writes them and nothing else."""
    a, b, c, passes, fails = world(lab)
    lab.cli("policy", "apply", lab.dir + "/closed.yaml")
    lab.stop(signal.SIGKILL)
    with sqlite3.connect(lab.dir + "/state/bulkhead.db") as db:
        db.execute("UPDATE value SET value = 3 WHERE name = 'policy_writing'")
    db.close()
    lab.write("policies/shop.b.yaml", OPEN)
    lab.policy("mine.yaml", "# nothing yet\n")
    lab.start()
    lab.expect(fails)
    same("files", sorted(os.listdir(lab.dir + "/policies")), ["mine.yaml", "shop.b.yaml"])
    same("versions", [x["version"] for x in history(lab)], [3, 2, 1])


def tiny_disk(lab, what="state"):
    os.makedirs(lab.dir + "/" + what, exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", lab.dir + "/" + what)


def fill(path):
    with open(path, "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 4096)
        except OSError:
            pass


def big(text):
    return text + "# " + os.urandom(300000).hex() + "\n"


def test_full_disk_changes_nothing(lab):
    tiny_disk(lab)
    try:
        a, b, c, passes, fails = world(lab)
        before = rules(lab)
        fill(lab.dir + "/state/filler")
        path = lab.write("big.yaml", big(CLOSED))
        refused(lab, "policy", "apply", path, says="nothing was changed")
        r = lab.cli("policy", "apply", path, check=False)
        if "the disk is full" not in r.stderr or "bulkhead.db" not in r.stderr:
            raise Failure(f"which disk is full? {r.stderr}")
        lab.expect(passes)
        same("rules", rules(lab), before)
        same("versions", [x["version"] for x in history(lab)], [2, 1])
        with open(lab.dir + "/policies/shop.b.yaml") as f:
            same("file", f.read(), OPEN)
        # By the directory: what is in force stays as well, status says why, and it is tried again.
        lab.policy("shop.b.yaml", big(CLOSED))
        wait_for("the complaint", lambda: "the disk is full" in (lab.status()["policies"]["stale"] or ""))
        lab.expect(passes)
        os.unlink(lab.dir + "/state/filler")
        wait_for("in force after all", lambda: lab.probe(a, b.v4, "tcp", 80, timeout=0.4) == "drop")
        same("versions", [x["version"] for x in history(lab)], [3, 2, 1])
        lab.stop()
    finally:
        if lab.daemon:
            lab.stop(signal.SIGKILL)
        run("umount", "-l", lab.dir + "/state")


def test_full_directory_changes_nothing(lab):
    tiny_disk(lab, "policies")
    try:
        a, b, c, passes, fails = world(lab)
        fill(lab.dir + "/policies/filler")
        refused(lab, "policy", "apply", lab.write("big.yaml", big(CLOSED)), says="nothing was changed")
        lab.expect(passes)
        same("versions", [x["version"] for x in history(lab)], [2, 1])
        # A trial is taken back in the kernel although its file cannot be put back.
        os.unlink(lab.dir + "/policies/filler")
        lab.cli("policy", "apply", lab.write("big.yaml", big(OPEN.replace("port: 80", "port: 80, protocol: TCP"))))
        lab.cli("policy", "apply", "--confirm-within", "4s", lab.dir + "/closed.yaml")
        lab.expect(fails)
        fill(lab.dir + "/policies/filler")
        wait_for("open again", lambda: lab.probe(a, b.v4, "tcp", 80, timeout=0.4) == "open", 20)
        if "no longer enforced" not in (lab.status()["policies"]["stale"] or ""):
            raise Failure(f"status: {lab.status()['policies']}")
        refused(lab, "policy", "confirm", says="is over")
        # Not even a crash now puts it in force again.
        lab.stop(signal.SIGKILL)
        lab.start()
        lab.expect(passes)
        same("trial", lab.status()["policies"]["confirm"]["version"], 3)
        os.unlink(lab.dir + "/policies/filler")
        wait_for("the file put back", lambda: lab.status()["policies"]["confirm"] is None, 20)
        same("cause", history(lab)[0]["cause"], "confirm-timeout")
        lab.expect(passes)
        lab.stop()
    finally:
        if lab.daemon:
            lab.stop(signal.SIGKILL)
        run("umount", "-l", lab.dir + "/policies")


if __name__ == "__main__":
    Suite("v").main(globals())
