#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon's manners: crash, restart, bad input of every kind, tampering, two at once."""
import json, os, signal, socket, subprocess, time

from lab import BULKHEAD, BULKHEADD, Failure, Suite, run, wait_for

POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: b, namespace: shop}
spec:
  podSelector: {matchLabels: {app: b}}
  ingress: [{from: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: 80}]}]
"""


def world(lab, **conf):
    a, b, c = (lab.container(n) for n in "abc")
    b.serve(tcp=[80, 81])
    lab.policy("b.yaml", POLICY)
    lab.start(mode="enforce", **conf)
    return a, b, c, [(a, b.v4, "tcp", 80, "open"), (a, b.v6, "tcp", 80, "open"),
                     (a, b.v4, "tcp", 81, "drop"), (c, b.v4, "tcp", 80, "drop"), (c, b.v6, "tcp", 80, "drop")]


def test_sigkill_and_restart_leave_no_gap(lab):
    a, b, c, table = world(lab)
    lab.expect(table)
    held = lab.hold(a, b.v4, 80)
    lab.stop(signal.SIGKILL)
    if not held.alive():
        raise Failure("an allowed connection died with the daemon")
    lab.expect(table)
    # While it starts again, a denied peer tries without a pause.
    lab.start(wait=False)
    for _ in range(12):
        if lab.probe(c, b.v4, "tcp", 80, timeout=0.15) == "open":
            raise Failure("a denied connection got through while the daemon started")
    lab.ready()
    lab.expect(table)
    if not held.alive():
        raise Failure("an allowed connection was cut by the restart")


def test_restart_with_broken_policies_keeps_the_last_good(lab):
    a, b, c, table = world(lab)
    lab.stop()
    lab.policy("b.yaml", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: b}\nspec: {podSelektor: {}}\n")
    lab.start()
    lab.expect(table)
    if not any("b.yaml:4" in p for p in lab.status()["problems"]):
        raise Failure(f"status does not name the broken file: {lab.status()['problems']}")


def test_broken_policy_changes_nothing(lab):
    a, b, c, table = world(lab)
    before = lab.status()["policies"]["sha256"]
    lab.policy("broken.yaml", "kind: NetworkPolicy\napiVersion: networking.k8s.io/v1\nmetadata: {name: x}\nspec: {podSelector: {}, ingres: []}\n")
    text = wait_for("the problem in status", lambda: [p for p in lab.status()["problems"] if "broken.yaml:4" in p])
    if lab.status()["policies"]["sha256"] != before:
        raise Failure("another policy set is in force")
    lab.expect(table)
    if not lab.audited("policy.change", event__outcome="failure"):
        raise Failure("the refused change is not on record")
    # By command: refused with the place, nothing written.
    r = lab.cli("policy", "apply", lab.dir + "/policies/broken.yaml", check=False)
    if r.returncode != 1 or "broken.yaml:4" not in r.stderr + r.stdout:
        raise Failure(f"apply of a broken policy: {r.returncode} {r.stdout}{r.stderr}")
    os.unlink(lab.dir + "/policies/broken.yaml")
    wait_for("the problem gone", lambda: not [p for p in lab.status()["problems"] if "broken.yaml" in p])


def test_policies_directory_made_later(lab):
    a, b = lab.container("a"), lab.container("b")
    b.serve(tcp=[80])
    os.rmdir(lab.dir + "/policies")
    lab.start(mode="enforce")
    if not any("create the directory" in p for p in lab.status()["problems"]):
        raise Failure(f"status is silent about the missing directory: {lab.status()['problems']}")
    os.mkdir(lab.dir + "/policies")
    lab.policy("b.yaml", POLICY)
    wait_for("the policy in force", lambda: lab.status()["policies"]["count"] == 1)
    lab.expect([(a, b.v4, "tcp", 80, "open"), (a, b.v4, "tcp", 81, "drop")])
    lab.policy("b.yaml", POLICY.replace("port: 80", "port: 82"))
    wait_for("its change in force", lambda: lab.probe(a, b.v4, "tcp", 80, timeout=0.4) == "drop")


def test_policy_apply_and_delete(lab):
    a, b, c, table = world(lab)
    path = lab.write("extra.yaml", POLICY.replace("name: b,", "name: extra,").replace("app: a", "app: c"))
    out = json.loads(lab.cli("-o", "json", "policy", "apply", "--dry-run", path))
    if out["policies"][0]["action"] != "created":
        raise Failure(f"dry run: {out}")
    lab.expect(table)
    lab.cli("policy", "apply", path)
    lab.expect([(c, b.v4, "tcp", 80, "open"), (a, b.v4, "tcp", 80, "open")])
    held = lab.hold(c, b.v4, 80)
    lab.cli("policy", "delete", "shop/extra")
    time.sleep(1)
    lab.expect(table)
    if held.alive():
        raise Failure("a connection that the deleted policy allowed goes on")
    if "shop/b" not in str([f"{p['namespace']}/{p['name']}" for p in lab.api("policy", "list")["policies"]]):
        raise Failure("policy list lacks shop/b")
    r = lab.cli("policy", "delete", "shop/b", check=False)
    if r.returncode == 0 or "b.yaml" not in r.stderr + r.stdout:
        raise Failure(f"deleting a hand-written policy must name its file: {r.stdout}{r.stderr}")
    changes = lab.audited("policy.change", event__outcome="success")
    if len(changes) < 3:
        raise Failure(f"policy changes on record: {changes}")


def test_incremental_start_and_stop(lab):
    """A start touches elements, not chains: counters of a rule survive."""
    a, b, c, table = world(lab)
    lab.expect(table)
    before = lab.nft()
    handle = lambda t: [l for l in t.splitlines() if "chain " in l]
    d = lab.container("d", labels={"app": "a"})
    lab.static()
    wait_for("d known", lambda: any(w["name"] == "d" and w["interfaces"] for w in lab.workloads()))
    lab.expect([(d, b.v4, "tcp", 80, "open"), (d, b.v4, "tcp", 81, "drop")])
    after = lab.nft()
    if handle(before) != handle(after):
        raise Failure("a container start changed chains")
    if '"shop/d"' not in after:
        raise Failure("nft list ruleset does not name the new workload")
    lab.remove("d")
    lab.static()
    wait_for("d gone", lambda: '"shop/d"' not in lab.nft())


def test_address_added_later(lab):
    a, b, c, table = world(lab)
    lab.sh(c.netns, "ip addr add 10.77.0.200/24 dev eth0")
    wait_for("address in force", lambda: "10.77.0.200" in lab.nft())
    lab.sh(b.netns, "ip addr add 10.77.0.201/24 dev eth0")
    wait_for("address in force", lambda: "10.77.0.201" in lab.nft())
    lab.expect([(c, "10.77.0.201", "tcp", 80, "drop"), (a, "10.77.0.201", "tcp", 80, "open")])


def test_namespace_labels(lab):
    a = lab.container("a", "one")
    b = lab.container("b", "two")
    a.serve(tcp=[80])
    lab.policy("p.yaml", """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p, namespace: one}
spec:
  podSelector: {}
  ingress: [{from: [{namespaceSelector: {matchLabels: {env: prod}}}]}]
""")
    lab.start(mode="enforce", namespaces={"two": {"env": "test"}})
    lab.expect([(b, a.v4, "tcp", 80, "drop")])
    lab.config(mode="enforce", namespaces={"two": {"env": "prod"}})
    wait_for("the new label", lambda: lab.probe(b, a.v4, "tcp", 80, timeout=0.5) == "open")


def test_broken_configuration_changes_nothing(lab):
    a, b, c, table = world(lab)
    lab.write("bulkhead.yaml", "mode: enforce\nmodus: learn\n")
    wait_for("the problem in status", lambda: [p for p in lab.status()["problems"] if "bulkhead.yaml:2:1" in p])
    lab.expect(table)
    r = subprocess.run([BULKHEADD, "--config", lab.dir + "/bulkhead.yaml", "--check-config"],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if r.returncode != 1 or "bulkhead.yaml:2:1" not in r.stderr:
        raise Failure(f"--check-config: {r.returncode} {r.stderr}")


def test_broken_static_file_keeps_the_workloads(lab):
    a, b, c, table = world(lab)
    lab.write("workloads.yaml", "workloads: [{name: a, netns: relative}]\n")
    wait_for("the problem in status", lambda: [p for p in lab.status()["problems"] if "workloads.yaml" in p])
    lab.expect(table)
    if len(lab.workloads()) != 3:
        raise Failure("workloads were lost")


def test_tampering_is_refused(lab):
    """Where the kernel has tables with an owner. They outlive it, and the next daemon takes them over."""
    a, b, c, table = world(lab)
    if "flags owner" not in lab.nft():
        return

    def rules():  # without elements, some of which come and go
        return run("nsenter", f"--net=/run/netns/{lab.node}", "nft", "-s", "-t", "list", "ruleset")
    for life in range(2):
        before = rules()
        for what in ("nft flush chain inet bulkhead forward", "nft delete table inet bulkhead",
                     "nft flush table bridge bulkhead"):
            r = subprocess.run(["nsenter", f"--net=/run/netns/{lab.node}", "sh", "-c", what],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            if r.returncode == 0 or "not permitted" not in r.stderr:
                raise Failure(f"{what}: {r.returncode} {r.stderr}")
        lab.sh(lab.node, "nft flush ruleset")
        lab.expect(table)
        if rules() != before:
            raise Failure("the ruleset is another one")
        if lab.audited("tamper"):
            raise Failure("what was refused is on record as tampering")
        r = subprocess.run(["nsenter", f"--net=/run/netns/{lab.node}", BULKHEADD, "--flush"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if r.returncode != 1 or "stop bulkheadd first" not in r.stderr:
            raise Failure(f"--flush beside a running daemon: {r.returncode} {r.stderr}")
        if life == 0:
            lab.stop(signal.SIGKILL)
            lab.expect(table)
            lab.start(mode="enforce")


def test_tampering_is_undone(lab):
    a, b, c, table = world(lab, table_owner="never")
    for what in ("nft flush chain inet bulkhead forward", "nft delete table inet bulkhead",
                 "nft flush ruleset"):
        count = len(lab.audited("tamper"))
        time.sleep(1.1)  # records of tampering are paced
        lab.sh(lab.node, what)
        wait_for(what + " undone", lambda: "vmap" in lab.nft(), 5)
        lab.expect(table)
        wait_for(what + " on record", lambda: len(lab.audited("tamper")) > count)


def test_two_daemons(lab):
    a, b, c, table = world(lab)
    own = {"state": lab.dir + "/other", "socket": lab.dir + "/other.sock"}
    confs = [{}, own]
    if "flags owner" in lab.nft():  # even if nothing is shared but the network namespace
        confs.append(dict(own, queue={"base": 50000}))
    for conf in confs:
        first = json.load(open(lab.dir + "/bulkhead.yaml"))
        first.update(conf)
        path = lab.write("second.yaml", json.dumps(first))
        r = subprocess.run(["nsenter", f"--net=/run/netns/{lab.node}", BULKHEADD, "--config", path],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20)
        if r.returncode != 1 or "another" not in r.stderr:
            raise Failure(f"a second daemon: {r.returncode} {r.stderr}")
    lab.expect(table)


def test_flush(lab):
    a, b, c, table = world(lab)
    r = lab.cli("flush", check=False)
    if r.returncode == 0 or "running" not in r.stderr:
        raise Failure(f"flush beside a running daemon: {r.returncode} {r.stderr}")
    lab.stop()
    lab.expect(table)
    path = os.path.dirname(BULKHEADD) + ":" + os.environ["PATH"]
    run("nsenter", f"--net=/run/netns/{lab.node}", BULKHEAD, "--socket", lab.dir + "/bulkhead.sock", "flush",
        env=dict(os.environ, PATH=path))
    if "bulkhead" in lab.nft():
        raise Failure("flush left something: " + lab.nft())
    lab.expect([(c, b.v4, "tcp", 80, "open")])


def test_bad_requests(lab):
    a, b, c, table = world(lab)

    def raw(data):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(5)
        s.connect(lab.dir + "/bulkhead.sock")
        s.sendall(data)
        out = b""
        try:
            while True:
                chunk = s.recv(65536)
                if not chunk:
                    break
                out += chunk
        except socket.timeout:
            pass
        return out
    body = b'{"mode": "sometimes"}'
    for request, status in (
            (b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"404"),
            (b"DELETE /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"405"),
            (b"PUT /v1/mode HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body), b"400"),
            (b"PUT /v1/mode HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\n{\"a", b"400"),
            (b"GET /v1/explain?src=a&dst=b&protocol=tcp&port=99999 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"400"),
            (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"")):  # not HTTP: closed
        got = raw(request).split(b"\r\n")[0]
        if status not in got:
            raise Failure(f"{request[:60]!r}: {got!r}, expected {status!r}")
    lab.expect(table)


def test_service_manager(lab):
    """READY only once the rules are in force, STOPPING at the end."""
    lab.container("a")
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(lab.dir + "/notify")
    s.settimeout(10)
    lab.start(wait=False, env={"NOTIFY_SOCKET": lab.dir + "/notify"})
    if not s.recv(1000).startswith(b"READY=1"):
        raise Failure("the first notice is not READY")
    if "vmap" not in lab.nft():
        raise Failure("READY before the rules were in force")
    lab.stop()
    if s.recv(1000) != b"STOPPING=1":
        raise Failure("no STOPPING")
    if "vmap" not in lab.nft():
        raise Failure("a stop removed the rules")
    actions = [r["event"]["action"] for r in lab.audit()]
    if actions[0] != "start" or actions[-1] != "stop":
        raise Failure(f"start and stop on record: {actions}")


def test_sighup_reopens_the_log_and_rereads(lab):
    a, b, c, table = world(lab)
    os.rename(lab.dir + "/audit.jsonl", lab.dir + "/audit.jsonl.1")
    lab.daemon.send_signal(signal.SIGHUP)
    wait_for("a new log", lambda: lab.audited("log.reopened") or lab.audited("reload"))
    lab.expect(table)
    wait_for("a denial in the new log", lambda: lab.audited("policy-deny", bulkhead__src__name="c"))
    old = [json.loads(l)["event"]["sequence"] for l in open(lab.dir + "/audit.jsonl.1")]
    if lab.audit()[0]["event"]["sequence"] != old[-1] + 1:
        raise Failure("the sequence broke at the rotation")


def test_explain(lab):
    a, b, c, table = world(lab)
    text = lab.cli("explain", "a", "b", "tcp/80")
    if "allow" not in text or "shop/b" not in text:
        raise Failure(text)
    text = lab.cli("explain", "c", "shop/b", "tcp/80")
    if "drop" not in text and "deny" not in text and "denied" not in text:
        raise Failure(text)
    e = lab.api("explain", "c", b.v6, "tcp/80")
    if e["verdict"] != "drop" or e["ingress"]["verdict"] != "denied":
        raise Failure(str(e))


def test_full_disk(lab):
    """The audit log and the state on a full file system: enforced goes on, status says it."""
    small = lab.dir + "/small"
    os.mkdir(small)
    run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small)
    try:
        a, b, c = (lab.container(n) for n in "abc")
        b.serve(tcp=[80, 81])
        lab.policy("b.yaml", POLICY)
        lab.start(mode="enforce", audit={"path": small + "/audit.jsonl"})
        fd = os.open(small + "/filler", os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(fd, b"x" * 4096)
        except OSError:
            os.close(fd)
        # More denials than the rest of the log's last page holds.
        lab.expect([(a, b.v4, "tcp", 80, "open")] + [(c, b.v4, "tcp", 8000 + i, "drop") for i in range(12)])
        wait_for("status names the log", lambda: any("audit.jsonl" in p for p in lab.status()["problems"]))
        os.unlink(small + "/filler")
        lab.expect([(c, b.v4, "tcp", 81, "drop")])

        def records():
            out = [json.loads(l) for l in open(small + "/audit.jsonl")]
            return out if any("policy-deny" in json.dumps(r) and '"c"' in json.dumps(r) for r in out) else None
        out = wait_for("denials written after the disk had room", records)
        seq = [r["event"]["sequence"] for r in out]
        if seq != list(range(seq[0], seq[0] + len(seq))):
            raise Failure(f"the sequence has holes: {seq}")
        lab.stop()
    finally:
        run("umount", "-l", small, check=False)


def test_full_state(lab):
    """A node with nothing to write down, without workloads, its state on a full disk: a command that is refused for it stays
    in the status until the disk has room."""
    os.makedirs(lab.dir + "/state", exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", lab.dir + "/state")
    told = lambda: [p for p in lab.status()["problems"] if "bulkhead.db" in p]
    try:
        lab.start(mode="enforce")
        fill = lab.dir + "/state/filler"
        with open(fill, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass
        for i in range(64):  # what is left of the database's last pages takes some
            if lab.cli("mode", "set", "audit", "--selector", f"n=v{i}", check=False).returncode:
                break
        else:
            raise Failure("nothing was refused")
        for _ in range(25):
            if not told():
                raise Failure(f"the status says nothing of the disk: {lab.status()['problems']}")
            time.sleep(0.1)
        os.unlink(fill)
        lab.cli("mode", "set", "audit", "--selector", "n=late")
        wait_for("the status is clean again", lambda: not told())
        lab.stop()
    finally:
        run("umount", "-l", lab.dir + "/state", check=False)


def test_a_daemon_with_little_to_do_is_small(lab):
    """What is there for floods, feeds and names of the outside is no memory before they come (5 MiB, if all of
    it is touched)."""
    world(lab)
    if b"__asan_init" in open(BULKHEADD, "rb").read():
        return  # the sanitizer's own memory would be measured
    kib = next(int(line.split()[1]) for line in open(f"/proc/{lab.daemon.pid}/status") if line.startswith("RssAnon:"))
    if kib > 3584:
        raise Failure(f"the daemon's own memory is {kib} KiB")


if __name__ == "__main__":
    Suite("d").main(globals())
