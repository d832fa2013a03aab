#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""From observed traffic to a policy that lets exactly that traffic through."""
import fcntl, json, os, pty, re, signal, struct, subprocess, tempfile, termios, time

from lab import BULKHEAD, Child, Failure, Suite, run, wait_for


def edges(lab):
    return {(e["src"], e["dst"], e["protocol"], e["port"]) for e in lab.api("learn", "status")["edges"]
            if e["answered"]}


def test_learn_export_enforce(lab):
    web, api, db = (lab.container(n) for n in ("web", "api", "db"))
    web2 = lab.container("web2", labels={"app": "web"})  # a replica of web
    rogue = lab.container("rogue")
    api.serve(tcp=[8080, 8081])
    db.serve(tcp=[5432], udp=[5353])
    web.serve(tcp=[80])
    lab.serve(lab.out, tcp=[443], udp=[53])
    lab.start(mode="learn")
    traffic = [(web, api.v4, "tcp", 8080, "open"), (web2, api.v6, "tcp", 8080, "open"),
               (api, db.v4, "tcp", 5432, "open"), (api, db.v6, "udp", 5353, "open"),
               (api, "203.0.113.9", "tcp", 443, "open"), (api, "2001:db8:0:2::7", "tcp", 443, "open"),
               (lab.out, web.v4, "tcp", 80, "open")]
    lab.expect(traffic)
    # Scans: a closed port and a silent one teach nothing.
    lab.expect([(rogue, db.v4, "tcp", 6379, "closed"), (rogue, db.v4, "udp", 9999, "closed")])
    want = {("shop/web", "shop/api", "tcp", 8080), ("shop/api", "shop/db", "tcp", 5432),
            ("shop/api", "shop/db", "udp", 5353), ("shop/api", "203.0.113.9", "tcp", 443),
            ("shop/api", "2001:db8:0:2::7", "tcp", 443), ("192.0.2.2", "shop/web", "tcp", 80)}
    wait_for("the edges", lambda: edges(lab) >= want)
    extra = edges(lab) - want
    if extra:
        raise Failure(f"learned what nobody answered: {extra}")
    text = lab.cli("learn", "export")
    if text != lab.cli("learn", "export"):
        raise Failure("two exports differ")
    path = lab.write("learned.yaml", text)
    run(BULKHEAD, "policy", "check", path)
    lab.cli("policy", "apply", path)
    lab.cli("mode", "set", "enforce")
    lab.expect(traffic)
    # Exactly that: everything beside it is denied.
    lab.expect([(web, api.v4, "tcp", 8081, "drop"), (web, db.v4, "tcp", 5432, "drop"),
                (rogue, db.v4, "tcp", 5432, "drop"), (rogue, api.v6, "tcp", 8080, "drop"),
                (api, "198.51.100.7", "tcp", 443, "drop"), (api, "203.0.113.9", "tcp", 80, "drop"),
                (db, api.v4, "tcp", 8080, "drop"), (db, "203.0.113.9", "tcp", 443, "drop"),
                (api, db.v4, "udp", 5354, "drop"), (lab.out, api.v4, "tcp", 8080, "drop"),
                (web, "203.0.113.9", "tcp", 443, "drop")])
    # A replica that starts now has the role's rights at once, and no more.
    web3 = lab.container("web3", labels={"app": "web"})
    lab.static()
    wait_for("web3 known", lambda: any(w["name"] == "web3" and w["interfaces"] for w in lab.workloads()))
    lab.expect([(web3, api.v4, "tcp", 8080, "open"), (web3, db.v4, "tcp", 5432, "drop")])


def on_terminal(lab, columns, *argv):
    """What a terminal of so many columns would show, in lines, without colours."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    p = subprocess.Popen([BULKHEAD, "--socket", lab.dir + "/bulkhead.sock", *argv], stdout=slave)
    os.close(slave)
    data = b""
    try:
        while chunk := os.read(master, 65536):
            data += chunk
    except OSError:  # EIO: the other end is closed
        pass
    os.close(master)
    p.wait()
    return re.sub("\x1b\\[[0-9;]*m", "", data.decode()).splitlines()


def test_who_has_only_a_long_name(lab):
    """Engines allow names that no label's value may be; what is learned of them holds all the same."""
    long = "a-container-with-a-name-that-its-owner-thought-of-for-a-long-time_"
    a, b = (lab.container(short) for short in ("a", "b"))
    for c, name in ((a, long + "1_"), (b, long + "2_")):  # alike in what a value has room for
        c.name, c.labels = name, {}
    b.serve(tcp=[80, 81])
    lab.start(mode="learn")
    lab.expect([(a, b.v4, "tcp", 80, "open")])
    wait_for("the edge", lambda: len(edges(lab)) == 1)
    lab.cli("policy", "apply", lab.write("learned.yaml", lab.cli("learn", "export", "--force")))
    lab.cli("mode", "set", "enforce")
    lab.expect([(a, b.v4, "tcp", 80, "open"), (a, b.v4, "tcp", 81, "drop"), (b, b.v4, "tcp", 80, "open")])
    for columns in (80, 120):
        lines = on_terminal(lab, columns, "ps")
        cut = next(l for l in lines if a.v4 in l)
        if a.name in cut or "a-cont" not in cut or "…" not in cut or (columns == 120 and len(lines[0]) > columns):
            raise Failure(f"on a terminal of {columns} columns: {lines}")
    if b.name not in lab.cli("ps"):
        raise Failure("what is read by a pipe was cut")
    if not all(b.name in "".join(on_terminal(lab, 80, "ps", "-o", o)) for o in ("wide", "json")):
        raise Failure("what was asked for whole was cut")
    why = lab.cli("explain", b.name, a.name, "tcp/22")
    if "matchLabels: {}" in why or why.count("{matchLabels: {bulkhead.io/name: ") != 2:
        raise Failure(f"what explain suggests: {why}")


def test_learning_survives_restarts(lab):
    a, b = lab.container("a"), lab.container("b")
    b.serve(tcp=[80, 81])
    lab.start(mode="learn")
    lab.expect([(a, b.v4, "tcp", 80, "open")])
    wait_for("first edge", lambda: ("shop/a", "shop/b", "tcp", 80) in edges(lab))
    lab.stop()
    lab.start()
    lab.expect([(a, b.v4, "tcp", 81, "open")])
    wait_for("both edges", lambda: edges(lab) >= {("shop/a", "shop/b", "tcp", p) for p in (80, 81)})


def test_status_says_how_well_a_role_was_seen(lab):
    """Time, starts and new edges over restarts of the daemon and of a container; reasons that hold."""
    web, api = lab.container("web"), lab.container("api")
    api.serve(tcp=[80])
    lab.start(mode="learn")
    lab.expect([(web, api.v4, "tcp", 80, "open"), (web, api.v4, "tcp", 81, "closed")])

    def role(name):
        return {r["role"]: r for r in lab.api("learn", "status")["roles"]}[name]
    wait_for("the edge", lambda: role("web")["edges_out"] == 1)
    wait_for("observed time", lambda: role("web")["learned_s"] >= 2)
    if role("web")["starts"] or role("web")["unanswered"] != 1 or sum(role("web")["history"]) != 1:
        raise Failure(f"web: {role('web')}")
    lab.stop()
    lab.start()
    was = role("web")
    if was["learned_s"] < 2 or was["starts"] or was["edges_out"] != 1:
        raise Failure(f"after a restart of the daemon: {was}")
    lab.remove("web")
    lab.static()
    wait_for("web gone", lambda: role("web")["workloads"] == 0)
    web = lab.container("web")
    lab.static()
    wait_for("the start of a container", lambda: role("web")["starts"] == 1)
    text = lab.cli("learn", "status")
    for line in ("shop/web is hardly-seen: - observed for ", "+ 1 start of a container seen",
                 "- 1 edge without any answer"):
        if line not in text:
            raise Failure(f"learn status lacks {line!r}:\n{text}")


def test_review(lab):
    """Accepted, rejected, widened: what is exported is what was said, on disk and on record."""
    web, api, idle = (lab.container(n) for n in ("web", "api", "idle"))
    api.serve(tcp=[80, 81])
    lab.serve(lab.out, tcp=[443])
    lab.start(mode="learn")
    lab.expect([(web, api.v4, "tcp", 80, "open"), (web, api.v4, "tcp", 81, "open"),
                (api, "203.0.113.9", "tcp", 443, "open")])
    wait_for("the edges", lambda: len(edges(lab)) == 3)
    ids = {(e["dst"], e["port"]): e["id"] for e in lab.api("learn", "show")["edges"]}
    lab.cli("learn", "review", "reject", ids["shop/api", 81][:8])
    text = lab.cli("learn", "review", "widen", "203.0.113.0/24", "--role", "api")
    if "1 edge changed" not in text or "256 addresses" not in text:
        raise Failure(f"review widen: {text}")
    for bad, code in ((["widen", "198.51.100.0/24", ids["203.0.113.9", 443]], 1), (["accept", "abcd"], 1), (["accept"], 2),
                      (["widen", "203.0.113.9/24", "--role", "api"], 2), (["frob", ids["shop/api", 80]], 2)):
        got = lab.cli("learn", "review", *bad, check=False)
        if got.returncode != code:
            raise Failure(f"{bad}: {got}")
    r = lab.cli("learn", "review", "widen", "0.0.0.0/0", "--role", "api", check=False)
    if "holds a network of containers" not in r.stderr:
        raise Failure(f"no warning of a block that has the containers: {r}")
    lab.cli("learn", "review", "widen", "203.0.113.0/24", "--role", "api")
    lab.stop(signal.SIGKILL)
    lab.start()
    text = lab.cli("learn", "export")
    if "203.0.113.0/24" not in text or "port: 81" in text or "# shop/idle has no policy: it was hardly seen" not in text:
        raise Failure(f"export: {text}")
    if text != lab.cli("learn", "export"):
        raise Failure("two exports differ")
    r = lab.cli("learn", "export", "--role", "idle", check=False)
    if r.returncode != 1 or "was hardly seen (observed for" not in r.stderr:
        raise Failure(f"an empty baseline: {r}")
    forced = lab.cli("learn", "export", "--role", "idle", "--force")
    if "name: idle-baseline" not in forced or "egress: []" not in forced:
        raise Failure(f"--force: {forced}")
    lab.cli("policy", "apply", lab.write("learned.yaml", text))
    lab.cli("mode", "set", "enforce")
    lab.expect([(web, api.v4, "tcp", 80, "open"), (web, api.v4, "tcp", 81, "drop"),
                (api, "203.0.113.200", "tcp", 443, "open"), (api, "198.51.100.7", "tcp", 443, "drop"),
                (idle, api.v4, "tcp", 80, "drop")])
    if not lab.audited("learn.review"):
        raise Failure("no review on record")
    lab.cli("learn", "reset", "--role", "web")
    if edges(lab) != {("shop/api", "203.0.113.9", "tcp", 443)}:
        raise Failure(f"after the reset: {edges(lab)}")
    lab.cli("learn", "reset", "--all")
    lab.stop(signal.SIGKILL)
    lab.start()
    if edges(lab) or len(lab.audited("learn.reset")) != 2:
        raise Failure(f"after the reset of all: {edges(lab)}")


def _spray(ports, addresses):
    """Asks every port of every address once, again where no answer came; how many answered."""
    import select, socket
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    left = {(a, p) for p in ports for a in addresses}
    n = len(left)
    for _ in range(20):
        for x in sorted(left):
            s.sendto(b"ping", x)
            while select.select([s], [], [], 0.0005)[0]:
                left.discard(s.recvfrom(100)[1])
        while left and select.select([s], [], [], 1)[0]:
            left.discard(s.recvfrom(100)[1])
        if not left:
            break
    return n - len(left)


def test_more_than_is_kept(lab):
    """A container that talks to the whole world fills its own place, visibly; it widens no rule."""
    web, api, bad = (lab.container(n) for n in ("web", "api", "bad"))
    api.serve(tcp=[80])
    ports = list(range(7000, 7008))
    lab.serve(lab.out, udp=ports)
    lab.sh(lab.out, "ip route add local 198.51.100.0/24 dev lo")
    lab.start(mode="learn", learn={"edges": 1000, "flows": 1000, "names": 0})
    lab.expect([(web, api.v4, "tcp", 80, "open")])
    wait_for("the edge", lambda: ("shop/web", "shop/api", "tcp", 80) in edges(lab))
    got = Child(bad.netns, _spray, ports, [f"198.51.100.{i}" for i in range(1, 255)]).result(timeout=180)
    if got != 2032:
        raise Failure(f"{got} of 2032 answered")

    def all_learned():
        s = lab.api("learn", "status")
        alone = sum(1 for e in s["edges"] if e["src"] == "shop/bad" and e["answered"] and not e["folded"])
        return s if alone + s["folded"] >= 2032 and s["pending"] == 0 else (alone, s["folded"], s["pending"]) and False
    s = wait_for("all of it", all_learned, 60)
    if s["tuples"] > 1000 or s["refused"] or not s["folded"]:
        raise Failure(f"status: { {k: v for k, v in s.items() if k not in ('edges', 'roles')} }")
    if not any(e["src"] == "shop/web" and e["dst"] == "shop/api" and not e["folded"] for e in s["edges"]):
        raise Failure("an edge of another role had to make room")
    fold = next(e for e in s["edges"] if e["folded"])
    if fold["dst"] != "others-ipv4" or not fold["span"].startswith("198.51.100.") or not fold["answered"]:
        raise Failure(f"folded: {fold}")
    wait_for("the rows", lambda: lab.api("flows", "--folded")["folded"])
    f = lab.api("flows", "--folded")
    if {(x["src"], x["dst"], x["verdict"]) for x in f["folds"]} - {("shop/bad", "outside", "allow"), ("shop/web", "shop/api", "allow")}:
        raise Failure(f"flows put together: {f}")
    for cmd, text in ((["learn", "status"], "PUT TOGETHER"), (["learn", "show"], "put together, in 198.51.100."),
                      (["flows"], ", put together: `bulkhead flows --folded`"), (["flows", "--folded"], "outside"),
                      (["learn", "export"], "egress to others-ipv4, udp/70")):
        if text not in lab.cli(*cmd):
            raise Failure(f"{cmd} lacks {text!r}")
    # In force, nothing is allowed beyond what was kept, whatever block it was seen in.
    text = lab.cli("learn", "export")
    kept = {(e["dst"], e["port"]) for e in s["edges"] if e["src"] == "shop/bad" and e["answered"] and not e["folded"]}
    gone = {(f"198.51.100.{i}", p) for i in range(1, 255) for p in ports} - kept
    lab.cli("policy", "apply", lab.write("learned.yaml", text))
    lab.cli("mode", "set", "enforce")
    lab.expect([(bad, *sorted(kept)[0][:1], "udp", sorted(kept)[0][1], "open"),
                (bad, *sorted(gone)[0][:1], "udp", sorted(gone)[0][1], "drop"), (web, api.v4, "tcp", 80, "open")])
    # Over a restart too; and a person who names the block that has it all gets a rule.
    lab.stop()
    lab.start()
    again = lab.api("learn", "status")
    if again["folded"] != s["folded"] or again["tuples"] != s["tuples"]:
        raise Failure(f"after a restart {again['folded']}, before {s['folded']}")
    lab.cli("learn", "review", "widen", "198.51.100.0/24", "--role", "bad")
    lab.cli("policy", "apply", lab.write("learned.yaml", lab.cli("learn", "export")))
    lab.expect([(bad, *sorted(gone)[0][:1], "udp", sorted(gone)[0][1], "open"), (web, api.v4, "tcp", 80, "open")])


API_POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: api, namespace: shop}
spec:
  podSelector: {matchLabels: {app: api}}
  policyTypes: [Ingress]
  ingress:
  - from:
    - podSelector: {matchLabels: {app: web}}
    - podSelector: {matchLabels: {app: nobody}}
    ports: [{port: 80}%s]
"""


def test_plan_replays_recorded_flows(lab):
    """What a candidate would break of what was recorded, with the identities of then."""
    web, old, api = (lab.container(n, image=f"{n}:7", labels={"app": a})
                     for n, a in (("web", "web"), ("old", "cron"), ("api", "api")))
    api.serve(tcp=[80, 81])
    lab.start(mode="learn")
    lab.expect([(web, api.v4, "tcp", 80, "open"), (web, api.v6, "tcp", 81, "open"), (old, api.v4, "tcp", 80, "open")])
    wait_for("the flows", lambda: len({(f["src"], f["port"]) for f in lab.flows()}) >= 3)
    # Who talked is gone, and another has its address: a member of web, whom the candidate allows.
    at = old.v4
    lab.remove("old")
    lab.static()
    wait_for("old gone", lambda: {w["name"] for w in lab.workloads()} == {"web", "api"})
    new = lab.container("new", labels={"app": "web"})
    lab.sh(new.netns, f"ip addr add {at}/24 dev eth0")
    lab.static()
    wait_for("new known", lambda: any(w["name"] == "new" and at in w["interfaces"][0]["addresses"]
                                      for w in lab.workloads() if w["interfaces"]))
    lab.expect([(new, api.v4, "tcp", 80, "open")])
    time.sleep(1.2)
    path = lab.write("candidate.yaml", API_POLICY % "")
    r = lab.cli("-o", "json", "policy", "plan", "--since", "1h", path, check=False)
    if r.returncode != 1:
        raise Failure(f"exit {r.returncode} although something breaks: {r.stdout}{r.stderr}")
    replay = json.loads(r.stdout)["replay"]
    denied = {(d["src"], d["dst"], d["protocol"], d["port"]): d for d in replay["denied"]}
    if set(denied) != {("shop/web", "shop/api", "tcp", 81), ("shop/cron", "shop/api", "tcp", 80)}:
        raise Failure(f"denied: {json.dumps(replay, indent=1)}")
    cron = denied["shop/cron", "shop/api", "tcp", 80]
    if "shop/old" not in cron["workloads"] or "old:7" not in cron["images"] or "no rule allows it" not in cron["why"]:
        raise Failure(f"the evidence: {cron}")
    unused = {(u["policy"], u["rule"]) for u in replay["unused"]}
    if unused != {("shop/api", "ingress rule 0 peer 1")} or replay["unknown"]:
        raise Failure(f"unused: {replay}")
    text = lab.cli("policy", "plan", "--since", "1h", path, check=False).stdout
    if "shop/api ingress rule 0 peer 1" not in text or "would be denied: 2 in 2" not in text:
        raise Failure(text)
    # Nothing was changed, and one that covers all of it breaks nothing.
    lab.expect([(web, api.v4, "tcp", 81, "open")])
    wide = lab.write("wide.yaml", API_POLICY.replace("[{port: 80}%s]", "[{port: 80}, {port: 81}]").replace("app: nobody", "app: cron"))
    replay = lab.api("policy", "plan", "--since", "1h", wide)["replay"]
    if replay["denied"] or replay["unused"] or replay["flows"] < 4:
        raise Failure(f"the wide one: {replay}")


def test_drift_and_graph(lab):
    """Who deviates, what its siblings do, and the picture of it."""
    w1, w2, api = (lab.container(n, labels={"app": a}, image=i) for n, a, i in
                   (("w1", "web", "web:2"), ("w2", "web", "web:2"), ("api", "api", "api:1")))
    api.serve(tcp=[80, 22])
    lab.policy("api.yaml", API_POLICY % "")
    lab.start(mode="enforce")
    lab.expect([(w1, api.v4, "tcp", 80, "open"), (w2, api.v4, "tcp", 80, "open")])
    if lab.cli("drift", "--fail-on", "new-edge", check=False).returncode != 0:
        raise Failure("drift before anybody deviates")
    lab.expect([(w1, api.v4, "tcp", 22, "drop"), (lab.out, api.v4, "tcp", 80, "drop")])
    wait_for("the deviations", lambda: len(lab.api("drift")["drift"]) == 2)
    rows = {(d["workload"], d["peer"], d["port"]): d for d in lab.api("drift")["drift"]}
    row = rows.get(("shop/w1", "shop/api", 22))
    if not row or ("192.0.2.2", "shop/api", 80) not in rows:
        raise Failure(f"drift: {rows}")
    if (row["image"], row["siblings"], row["siblings_alike"], row["verdict"]) != ("web:2", 1, 0, "deny") or \
            row["first_flow"]["src_addr"] != w1.v4 or row["first_flow"]["dst_addr"] != api.v4:
        raise Failure(f"the evidence: {row}")
    lab.expect([(w2, api.v4, "tcp", 22, "drop")])
    wait_for("the sibling", lambda: any(d["siblings_alike"] == 1 for d in lab.api("drift")["drift"]))
    r = lab.cli("drift", "--fail-on", "new-edge", check=False)
    if r.returncode != 1 or "1 of 1 does it too" not in r.stdout:
        raise Failure(f"drift: {r}")
    lab.stop(signal.SIGKILL)  # it is on disk
    lab.start()
    if ("shop/w1", "shop/api", 22) not in {(d["workload"], d["peer"], d["port"]) for d in lab.api("drift")["drift"]}:
        raise Failure("forgotten over a restart")
    g = lab.api("graph")
    edge = {(e["src"], e["dst"], e["port"]): e["verdict"] for e in g["edges"]}
    if edge.get(("shop/web", "shop/api", 80)) != "allow" or edge.get(("shop/web", "shop/api", 22)) != "deny":
        raise Failure(f"graph: {edge}")
    if {n["name"]: n["workloads"] for n in g["nodes"]}.get("shop/web") != 2:
        raise Failure(f"nodes: {g['nodes']}")
    for form, begin in (("dot", "digraph"), ("mermaid", "flowchart"), ("html", "<!DOCTYPE html>")):
        if not lab.cli("graph", "-o", form).startswith(begin):
            raise Failure(f"graph -o {form}")
    lab.cli("mode", "set", "audit")  # what was denied passes now, and neither is forgotten
    lab.expect([(w1, api.v4, "tcp", 22, "open")])
    ssh = lambda: next(e for e in lab.api("graph")["edges"] if (e["src"], e["port"]) == ("shop/web", 22))
    wait_for("both of it", lambda: ssh()["verdict"] == "mixed" and ssh()["would_deny"] == 1 and ssh()["denied"] >= 2)


def test_quarantine_by_itself(lab):
    """Who is denied by several peers is cut off; a victim whose address is used is not, nor is anybody twice."""
    bad, good, victim = (lab.container(n) for n in ("bad", "good", "victim"))
    peers = [lab.container(f"p{i}") for i in range(3)]
    for p in [*peers, victim]:
        p.serve(tcp=[80])
    lab.policy("p.yaml", """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: shop}
spec:
  podSelector: {matchExpressions: [{key: app, operator: In, values: [p0, p1, p2]}]}
  policyTypes: [Ingress]
""")
    lab.expect([(good, p.v4, "udp", 9, "closed") for p in peers])  # neighbours are known
    lab.start(mode="enforce", drift={"quarantine": {"denied_peers": 3, "within": "60s"}})

    def cut():
        return {q["workload"] for q in lab.api("quarantine", "list")["quarantine"]}
    # Two peers, many times, are not three; and forging the victim's address counts for nobody.
    lab.expect([(good, p.v4, "tcp", 80, "drop") for p in peers[:2]] * 2)
    for p in peers:
        lab.forge(good, victim.v4, p, 6000, timeout=0.3)
    lab.expect([(bad, p.v4, "tcp", 80, "drop") for p in peers])
    wait_for("bad cut off", lambda: cut() == {"shop/bad"})
    lab.expect([(bad, victim.v4, "tcp", 80, "drop"), (good, victim.v4, "tcp", 80, "open")])
    entry = lab.api("quarantine", "list")["quarantine"][0]
    if "denied by 3 distinct peers" not in entry["reason"]:
        raise Failure(f"the reason: {entry}")
    lab.cli("quarantine", "rm", "shop/bad")  # a person knows better: it stays out
    lab.expect([(bad, p.v4, "tcp", 80, "drop") for p in peers])
    wait_for("the second time on record", lambda: lab.audited("drift.quarantine"))
    if cut():
        raise Failure(f"cut off again: {cut()}")


def test_covered_flows_are_not_learned_again(lab):
    a, b = lab.container("a"), lab.container("b")
    b.serve(tcp=[80, 81])
    lab.policy("p.yaml", """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: b, namespace: shop}
spec:
  podSelector: {matchLabels: {app: b}}
  ingress: [{from: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: 80}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: a, namespace: shop}
spec:
  podSelector: {matchLabels: {app: a}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: b}}}], ports: [{port: 80}]}]
""")
    lab.start(mode="learn")
    lab.expect([(a, b.v4, "tcp", 80, "open"), (a, b.v4, "tcp", 81, "open")])
    wait_for("the uncovered edge", lambda: ("shop/a", "shop/b", "tcp", 81) in edges(lab))
    if ("shop/a", "shop/b", "tcp", 80) in edges(lab):
        raise Failure("a flow that a rule covers was learned")


def test_published_port_is_learned_as_the_container_port(lab):
    """DNAT: policies and baseline speak of the address and port after translation."""
    web = lab.container("web")
    web.serve(tcp=[80])
    lab.sh(lab.node, """
        nft add table ip nat
        nft 'add chain ip nat pre { type nat hook prerouting priority -100; }'
        nft 'add rule ip nat pre ip daddr 192.0.2.1 tcp dport 8080 dnat to %s:80'""" % web.v4)
    lab.start(mode="learn")
    lab.expect([(lab.out, "192.0.2.1", "tcp", 8080, "open")])
    wait_for("the edge", lambda: ("192.0.2.2", "shop/web", "tcp", 80) in edges(lab))
    lab.policy("learned.yaml", lab.cli("learn", "export"))
    wait_for("policies in force", lambda: lab.status()["policies"]["count"] > 0)
    lab.cli("mode", "set", "enforce")
    lab.expect([(lab.out, "192.0.2.1", "tcp", 8080, "open"), (lab.out, web.v4, "tcp", 81, "drop")])


if __name__ == "__main__":
    Suite("l").main(globals())
