#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Learn, audit and enforce with real packets: allowed passes AND denied fails, both families, both
protocols, all three modes, and what the records say of it."""
import json, signal, time

from lab import Failure, Suite, wait_for

WEB_TO_API = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: api, namespace: shop}
spec:
  podSelector: {matchLabels: {app: api}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - podSelector: {matchLabels: {app: web}}
    ports:
    - {protocol: TCP, port: 8080}
    - {protocol: UDP, port: 5000, endPort: 5010}
  egress:
  - to:
    - ipBlock: {cidr: 198.51.100.0/24, except: [198.51.100.64/26]}
    - ipBlock: {cidr: "2001:db8:0:2::/64", except: ["2001:db8:0:2::40/122"]}
    ports: [{protocol: TCP, port: 443}]
"""


def shop(lab):
    web, api, rogue = (lab.container(n) for n in ("web", "api", "rogue"))
    api.serve(tcp=[8080, 9090], udp=[5000, 5010, 5011])
    web.serve(tcp=[80])
    lab.serve(lab.out, tcp=[443, 444], udp=[53])
    lab.policy("api.yaml", WEB_TO_API)
    return web, api, rogue


def table(lab, web, api, rogue, denied):
    rows = []
    for a in (api.v4, api.v6):
        rows += [(web, a, "tcp", 8080, "open"), (web, a, "udp", 5000, "open"),
                 (web, a, "udp", 5010, "open"), (web, a, "tcp", 9090, denied),
                 (web, a, "udp", 5011, denied), (rogue, a, "tcp", 8080, denied),
                 (rogue, a, "udp", 5000, denied), (lab.out, a, "tcp", 8080, denied),
                 (lab.node, a, "tcp", 9090, "open")]  # host: allow
    for a, b in (("198.51.100.7", "198.51.100.66"), ("2001:db8:0:2::7", "2001:db8:0:2::66")):
        rows += [(api, a, "tcp", 443, "open"), (api, a, "tcp", 444, denied),
                 (api, b, "tcp", 443, denied)]
    # Nobody selects web and rogue: open, as upstream.
    rows += [(rogue, web.v4, "tcp", 80, "open"), (rogue, web.v6, "tcp", 80, "open"),
             (rogue, "198.51.100.7", "tcp", 444, "open"), (api, web.v4, "tcp", 80, denied)]
    return rows


def test_enforce(lab):
    web, api, rogue = shop(lab)
    lab.start(mode="enforce")
    lab.expect(table(lab, web, api, rogue, "drop"))
    text = lab.nft()
    for word in ("table inet bulkhead", "chain forward", 'comment "shop/api', "counter packets"):
        if word not in text:
            raise Failure(f"nft list ruleset lacks {word!r}:\n{text}")
    deny = wait_for("denials on record", lambda: lab.audited("policy-deny", bulkhead__src__name="rogue"))
    if deny[0]["event"]["type"] != ["connection", "denied"]:
        raise Failure(f"event.type: {deny[0]}")
    got = {(x["src"], x["dst"].split(":")[0], x["protocol"], x["port"], x["verdict"]) for x in lab.flows()}
    for want in (("shop/rogue", "shop/api", "tcp", 8080, "drop"), ("shop/web", "shop/api", "tcp", 8080, "allow")):
        if want not in got:
            raise Failure(f"flows lack {want}: {sorted(got)}")


def test_audit_passes_and_records(lab):
    web, api, rogue = shop(lab)
    lab.start(mode="audit")
    lab.expect(table(lab, web, api, rogue, "open"))
    wait_for("would-be denials on record",
             lambda: lab.audited("would-deny", bulkhead__src__name="rogue", destination__port=8080))
    if lab.audited("would-deny", bulkhead__src__name="web", destination__port=8080):
        raise Failure("an allowed flow is on record as a would-be denial")
    if lab.audited("policy-deny"):
        raise Failure("audit mode denied something")


def test_learn_passes_everything(lab):
    web, api, rogue = shop(lab)
    lab.start(mode="learn")
    lab.expect(table(lab, web, api, rogue, "open"))
    wait_for("learned on record", lambda: lab.audited("learned", bulkhead__src__name="rogue"))


def test_without_rules_everything_is_open(lab):
    """The tables above deny because of Bulkhead, not because of the lab."""
    web, api, rogue = shop(lab)
    lab.expect(table(lab, web, api, rogue, "open"))


def test_reject(lab):
    web, api, rogue = shop(lab)
    lab.start(mode="enforce", deny="reject")
    lab.expect([(web, api.v4, "tcp", 8080, "open"), (rogue, api.v4, "tcp", 8080, "closed"),
                (rogue, api.v6, "tcp", 8080, "closed"), (web, api.v4, "udp", 5000, "open")])
    got = lab.probe(rogue, api.v4, "udp", 5000)
    if got != "reject":
        raise Failure(f"denied UDP: {got}, expected an administrative prohibition")


def test_mode_per_namespace(lab):
    """Two namespaces, two modes; and a change at run time that outlives the daemon."""
    a, b = lab.container("a", "one"), lab.container("b", "two")
    c = lab.container("c", "other")
    for x in (a, b):
        x.serve(tcp=[80])
        lab.policy(f"{x.name}.yaml", f"""\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: deny, namespace: {x.namespace}}}
spec: {{podSelector: {{}}, policyTypes: [Ingress]}}
""")
    lab.start(mode="learn", modes=[{"namespace": "one", "mode": "enforce"}])
    lab.expect([(c, a.v4, "tcp", 80, "drop"), (c, b.v4, "tcp", 80, "open")])
    lab.cli("mode", "set", "enforce", "--namespace", "two")
    lab.expect([(c, a.v4, "tcp", 80, "drop"), (c, b.v4, "tcp", 80, "drop")])
    lab.cli("mode", "set", "audit", "--namespace", "one")
    lab.expect([(c, a.v4, "tcp", 80, "open"), (c, b.v4, "tcp", 80, "drop")])
    changes = lab.audited("mode.change")
    if len(changes) != 2:
        raise Failure(f"mode changes on record: {changes}")
    lab.stop()
    lab.start()
    lab.expect([(c, a.v4, "tcp", 80, "open"), (c, b.v4, "tcp", 80, "drop")])
    lab.cli("mode", "set", "enforce")
    modes = {w["name"]: w["mode"] for w in lab.workloads()}
    if modes != {"a": "audit", "b": "enforce", "c": "enforce"}:
        raise Failure(f"modes: {modes}")


DENY_ALL = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress]}
"""


def test_mode_by_group(lab):
    """Selectors, in a namespace and without, for a time; each side by its own mode; on record."""
    db, db2 = (lab.container(n, labels={"tier": "db", "n": n}) for n in ("db", "db2"))
    web = lab.container("web", labels={"tier": "web"})
    for x in (db, db2, web):
        x.serve(tcp=[80])
    lab.policy("deny.yaml", DENY_ALL)
    lab.start(mode="learn")
    lab.expect([(web, x.v4, "tcp", 80, "open") for x in (db, db2)])
    lab.cli("mode", "set", "enforce", "--selector", "tier=db")
    lab.expect([(web, db.v4, "tcp", 80, "drop"), (web, db2.v6, "tcp", 80, "drop"), (db, web.v4, "tcp", 80, "open")])
    # A selector in a namespace is more particular than one without, whichever came first.
    lab.cli("mode", "set", "audit", "--namespace", "shop", "--selector", "n in (db)")
    lab.cli("mode", "set", "enforce", "--selector", "n=db")
    lab.expect([(web, db.v4, "tcp", 80, "open"), (web, db2.v4, "tcp", 80, "drop")])
    text = lab.cli("explain", "web", "db2", "tcp/80")
    for line in ("mode of shop/web: learn, configured for the node; its egress decides by it",
                 "mode of shop/db2: enforce, set by command for selector tier=db; its ingress decides by it"):
        if line not in text:
            raise Failure(f"explain lacks {line!r}:\n{text}")
    for bad in (["--selector", "tier=a,"], ["--namespace", "a b"], ["--selector", "a=b c"]):
        if lab.cli("mode", "set", "learn", *bad, check=False).returncode != 2:
            raise Failure(f"accepted: {bad}")
    # For a time: over, it is what it was before.
    lab.cli("mode", "set", "learn", "--selector", "tier=db", "--for", "2s")
    lab.expect([(web, db2.v4, "tcp", 80, "open")])
    shown = lab.cli("mode", "get")
    if "tier=db" not in shown or "then enforce" not in shown:
        raise Failure(f"mode get: {shown}")
    wait_for("the time to be over", lambda: any("deadline" in json.dumps(r) for r in lab.audited("mode.change")))
    lab.expect([(web, db2.v4, "tcp", 80, "drop"), (web, db.v4, "tcp", 80, "open")])
    # Over while no daemon runs: taken back before anything is put in force.
    lab.cli("mode", "set", "learn", "--selector", "tier=db", "--for", "1s")
    lab.cli("mode", "set", "learn", "--namespace", "shop", "--selector", "tier=web", "--for", "1h")
    lab.stop(signal.SIGKILL)
    time.sleep(1.2)
    lab.start()
    lab.expect([(web, db2.v4, "tcp", 80, "drop"), (web, db.v4, "tcp", 80, "open")])
    scopes = {(s["namespace"], s["selector"], s["mode"], bool(s["until"])) for s in lab.api("mode", "get")["selectors"]}
    if scopes != {(None, "tier=db", "enforce", False), ("shop", "n=db", "audit", False), (None, "n=db", "enforce", False),
                  ("shop", "tier=web", "learn", True)}:
        raise Failure(f"after the restart: {scopes}")
    lab.cli("mode", "clear", "--selector", "tier=db")
    lab.expect([(web, db2.v4, "tcp", 80, "open")])
    if lab.cli("mode", "clear", "--selector", "tier=db", check=False).returncode != 1:
        raise Failure("cleared twice")


def test_enforcing_destination_of_a_learning_source(lab):
    """Each side decides by its own mode, and the observed queue's bypass opens no way around."""
    a, b = lab.container("a", "one"), lab.container("b", "two")
    b.serve(tcp=[80])
    lab.policy("b.yaml", """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: two}
spec: {podSelector: {}, policyTypes: [Ingress]}
""")
    lab.start(mode="learn", modes=[{"namespace": "two", "mode": "enforce"}])
    lab.expect([(a, b.v4, "tcp", 80, "drop"), (a, b.v6, "tcp", 80, "drop")])
    lab.stop()
    lab.expect([(a, b.v4, "tcp", 80, "drop"), (a, b.v6, "tcp", 80, "drop")])


def test_established_flows_are_cut_when_denied(lab):
    web, api, rogue = shop(lab)
    lab.start(mode="learn")
    good, bad = lab.hold(web, api.v4, 8080), lab.hold(rogue, api.v4, 8080)
    bad6 = lab.hold(rogue, api.v6, 8080)
    if not (good.alive() and bad.alive() and bad6.alive()):
        raise Failure("a connection did not work in learn mode")
    lab.cli("mode", "set", "enforce")
    time.sleep(1)  # what is denied is cut within a second
    if not good.alive():
        raise Failure("an allowed connection was cut")
    if bad.alive() or bad6.alive():
        raise Failure("a denied connection goes on")
    wait_for("revocation on record", lambda: lab.audited("revoke"))


def test_forged_source_is_dropped_and_recorded(lab):
    """The veth is the identity, the address a claim: c may not borrow a's learning mode."""
    a, b, c = lab.container("a", "one"), lab.container("b", "one"), lab.container("c", "two")
    lab.expect([(a, b.v4, "udp", 9, "closed"), (c, b.v4, "udp", 9, "closed")])  # neighbours known
    if lab.forge(c, a.v4, b, 6000) != ["forged", a.v4]:
        raise Failure("the forged datagram does not arrive without bulkheadd: the test shows nothing")
    lab.start(mode="learn", modes=[{"namespace": "two", "mode": "enforce"}])
    if lab.forge(a, a.v4, b, 6001) != ["forged", a.v4]:
        raise Failure("an honest datagram was dropped")
    got = lab.forge(c, a.v4, b, 6002)
    if got:
        raise Failure(f"a forged source passed: {got}")
    wait_for("the forgery on record", lambda: lab.audited("spoof-drop"))


def test_host_policy(lab):
    """host: policy treats the node as an outside address, both ways."""
    a = lab.container("a")
    a.serve(tcp=[80, 81])
    lab.serve(lab.node, tcp=[22, 53])
    lab.policy("a.yaml", """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: a, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
  ingress:
  - from: [{ipBlock: {cidr: 10.77.0.1/32}}]
    ports: [{port: 80}]
  egress:
  - to: [{ipBlock: {cidr: 10.77.0.1/32}}]
    ports: [{port: 53}]
""")
    lab.start(mode="enforce", host="policy")
    lab.expect([(a, "10.77.0.1", "tcp", 53, "open"), (a, "10.77.0.1", "tcp", 22, "drop"),
                (lab.node, a.v4, "tcp", 80, "open"), (lab.node, a.v4, "tcp", 81, "drop"),
                (a, "fd00:77::1", "tcp", 53, "drop")])
    lab.config(mode="enforce", host="allow")
    lab.cli("status")
    wait_for("host: allow in force", lambda: lab.probe(a, "10.77.0.1", "tcp", 22) == "open")


if __name__ == "__main__":
    Suite("m").main(globals())
