#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `meson install` puts there, started by a real systemd with the unit's restrictions: few capabilities,
few system calls, a read-only /usr and /etc. What the daemon does for a living must work under them."""
import json, re

from booted import Booted
from lab import Failure, Suite, wait_for

POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}]
"""
# linux/capability.h
CAPABILITIES = {0: "chown", 2: "dac_read_search", 6: "setgid", 7: "setuid", 11: "net_broadcast", 12: "net_admin", 19: "sys_ptrace"}
# Somebody else's process in a network namespace of its own, as a container is: root may look at it with
# CAP_SYS_PTRACE only. ($1: the namespace)
OTHER = """
nsenter --net=/run/netns/$1 python3 -c 'import os, time; os.setgid(65534); os.setuid(65534); time.sleep(86400)' \
    >/dev/null 2>&1 &
echo $!"""


def with_machine(fn):
    def test(lab):
        machine = None
        try:
            machine = Booted(lab)
            fn(lab, machine)
        finally:
            if machine:
                machine.close()
    test.__name__ = fn.__name__
    return test


def capabilities(m):
    status = m.sh("cat", f"/proc/{m.property('MainPID')}/status")
    mask = int(re.search(r"CapEff:\s*(\w+)", status)[1], 16)
    return {CAPABILITIES.get(i, str(i)) for i in range(64) if mask >> i & 1}


# A list on a server in that network namespace.
SERVER = """
mkdir -p /run/list && echo 203.0.113.66 >/run/list/list
nsenter --net=/run/netns/$1 python3 -m http.server -d /run/list 8000 >/dev/null 2>&1 &"""


def doctor(m, code, fails):
    """The checks that FAIL; none was skipped."""
    rc, out = m.ask("bulkhead", "-o", "json", "doctor")
    checks = json.loads(out)["checks"]
    if rc != code or [c["check"] for c in checks if c["result"] == "fail"] != fails or \
            [c for c in checks if c["result"] == "skip"]:
        raise Failure(f"doctor: exit {rc}: " + json.dumps([c for c in checks if c["result"] != "ok"], indent=1))


@with_machine
def test_started_by_systemd(lab, m):
    web, db, rogue = (lab.container(n) for n in ("web", "db", "rogue"))
    db.serve(tcp=[5432])
    pid = m.sh("sh", "-c", OTHER, "sh", rogue.netns).strip()
    m.sh("mkdir", "-p", "/etc/bulkhead")
    m.write("/etc/bulkhead/workloads.yaml", json.dumps({"workloads": [
        {"name": c.name, "namespace": "shop", "labels": {"app": c.name},
         "netns": f"/proc/{pid}/ns/net" if c is rogue else "/run/netns/" + c.netns} for c in (web, db, rogue)]}))
    m.sh("sh", "-c", SERVER, "sh", web.netns)
    m.write("/etc/bulkhead/bulkhead.yaml", "sources: [{static: workloads.yaml}]\n"
            f"feeds: [{{name: web, url: 'http://{web.v4}:8000/list'}}]\n")
    m.sh("systemctl", "enable", "--now", "bulkhead")  # as the README says; comes back when it is ready

    if capabilities(m) != set(CAPABILITIES.values()):
        raise Failure(f"capabilities: {capabilities(m)}")
    wait_for("the veths of all", lambda: all(w["interfaces"] and w["interfaces"][0]["host_name"]
                                             for w in m.api("ps")["workloads"]))
    # By a process that becomes nobody, which the unit must allow.
    wait_for("the feed", lambda: m.api("feed", "list")["feeds"][0]["entries"] == 1)
    if len(m.api("ps")["workloads"]) != 3 or m.api("status")["problems"]:
        raise Failure(m.sh("bulkhead", "status"))
    if m.sh("stat", "-c", "%U:%G %a", "/run/bulkhead/bulkhead.sock").strip() != "root:bulkhead 660":
        raise Failure(m.sh("ls", "-la", "/run/bulkhead"))

    m.write("/run/policy.yaml", POLICY)
    m.sh("bulkhead", "policy", "apply", "/run/policy.yaml")  # into /etc
    m.sh("bulkhead", "mode", "set", "enforce")
    decided = [(web, db.v4, "tcp", 5432, "open"), (web, db.v6, "tcp", 5432, "open"),
               (rogue, db.v4, "tcp", 5432, "drop"), (rogue, db.v6, "tcp", 5432, "drop")]
    lab.expect(decided)
    doctor(m, 0, [])  # under its restrictions it can look at all of it
    m.sh("bulkhead", "quarantine", "add", "shop/web")
    lab.expect([(web, db.v4, "tcp", 5432, "drop")])
    m.sh("bulkhead", "quarantine", "rm", "shop/web")
    wait_for("the denial on record", lambda: '"policy-deny"' in m.sh("cat", "/var/log/bulkhead/audit.jsonl"))

    m.sh("systemctl", "reload", "bulkhead")
    first = m.property("MainPID")
    m.sh("systemctl", "kill", "-s", "KILL", "bulkhead")
    lab.expect(decided)
    wait_for("it is started again", lambda: m.property("MainPID") not in ("0", first) and
             m.property("ActiveState") == "active", 60)
    lab.expect(decided)
    m.sh("systemctl", "restart", "bulkhead")
    if m.api("status")["problems"]:
        raise Failure(m.sh("bulkhead", "status"))
    lab.expect(decided)
    code, out = m.ask("bulkhead", "flush")
    if code != 1 or "stop" not in out:
        raise Failure(f"flush beside the daemon: {code} {out}")
    m.sh("systemctl", "stop", "bulkhead")
    doctor(m, 3, ["daemon"])  # the rules stay
    lab.expect(decided)
    code, out = m.ask("sh", "-c", "bulkhead audit verify --allow-tail /var/log/bulkhead/audit.jsonl")
    if code != 3:  # good, but without an anchor
        raise Failure(f"the log of the run: {code} {out}")
    m.sh("bulkhead", "flush")
    lab.expect([(rogue, db.v4, "tcp", 5432, "open")])


@with_machine
def test_fast_path_by_its_drop_in(lab, m):
    """The unit alone lets the daemon load no program, which is told; the file beside the documentation does."""
    a, b = lab.container("a"), lab.container("b")
    b.serve(tcp=[80])
    m.sh("mkdir", "-p", "/etc/bulkhead")
    m.write("/etc/bulkhead/workloads.yaml", json.dumps({"workloads": [
        {"name": c.name, "namespace": "shop", "netns": "/run/netns/" + c.netns} for c in (a, b)]}))
    m.write("/etc/bulkhead/bulkhead.yaml", "mode: enforce\nfast_path: true\nsources: [{static: workloads.yaml}]\n")
    m.sh("systemctl", "enable", "--now", "bulkhead")
    if not any("fast_path" in p for p in m.api("status")["problems"]):
        raise Failure(m.sh("bulkhead", "status"))
    m.sh("mkdir", "-p", "/etc/systemd/system/bulkhead.service.d")
    m.sh("cp", "/usr/local/share/doc/bulkhead/fast-path.conf", "/etc/systemd/system/bulkhead.service.d/")
    m.sh("systemctl", "daemon-reload")
    m.sh("systemctl", "restart", "bulkhead")
    held = lab.hold(a, b.v4, 80)
    if not all(held.alive() for _ in range(10)):
        raise Failure("no connection")
    fast = m.api("status")["fast_path"]
    if fast["interfaces"] != 2 or fast["packets"] < 10 or m.api("status")["problems"]:
        raise Failure(m.sh("bulkhead", "status"))
    doctor(m, 0, [])
    m.sh("systemctl", "stop", "bulkhead")
    m.sh("bulkhead", "flush")
    if not held.alive():
        raise Failure("the connection was cut")


if __name__ == "__main__":
    Suite("u").main(globals())
