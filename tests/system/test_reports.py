#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`bulkhead report access` and `report rules-unused` of a running daemon: what was done is in them with
the version it was done under, what could be done is what the policies say, a rule that was used is not
among the unused, and one that replaced it under the same name is not the one that was used."""
import csv, html.parser, io, json, os, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import Failure, Suite, wait_for

POLICY = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: b, namespace: shop}
spec:
  podSelector: {matchLabels: {app: b}}
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - podSelector: {matchLabels: {app: a}}
    - podSelector: {matchLabels: {app: c}}
    ports: [{protocol: TCP, port: 80}]
  - from: [{podSelector: {matchLabels: {app: c}}}]
    ports: [{protocol: TCP, port: 81}]
"""


def unused(lab, *options):
    return {r["rule"]: r for r in lab.api("report", "rules-unused", *options)["rules"]}


def did(lab, src, dst, port):
    return [d for d in lab.api("report", "access")["did"] if (d["src"], d["dst"], d["port"]) == (src, dst, port)]


def could(lab):
    edges = lab.api("report", "access")["could"]["edges"]
    return {(e["source"], e["destination"], e["services"]): e for e in edges}


def start(lab):
    a, b, c = lab.container("a"), lab.container("b"), lab.container("c")
    b.serve(tcp=[80, 81, 82])
    lab.start(mode="enforce", host="policy")
    lab.cli("policy", "apply", lab.write("new.yaml", POLICY))
    return a, b, c


def test_who_talked(lab):
    a, b, c = start(lab)
    lab.expect([(a, b.v4, "tcp", 80, "open"), (a, b.v4, "tcp", 81, "drop")])
    row = wait_for("the flow in the report", lambda: did(lab, "shop/a", "shop/b", 80))[0]
    first = lab.status()["policies"]["generation"]
    if (row["from_version"], row["to_version"]) != (first, first) or "shop/b ingress rule 0 peer 0" not in row["rule"] or \
       row["verdict"] != "allow" or not row["possible_now"] or row["connections"] < 1:
        raise Failure(f"the flow: {row}")
    if did(lab, "shop/a", "shop/b", 81):
        raise Failure("what was denied did not talk")
    wait_for("the denial is counted", lambda: lab.api("report", "access")["denied"] >= 1)
    edges = could(lab)
    used = edges.get(("shop/a", "shop/b", "tcp/80"))
    if not used or used["connections"] != row["connections"] or "ingress allowed by shop/b rule 0" not in used["by"]:
        raise Failure(f"what a could do: {edges}")
    idle = [edges.get(("shop/c", "shop/b", f"tcp/{port}")) for port in (80, 81)]
    if not all(idle) or any(e["connections"] != 0 or e["last_seen"] is not None for e in idle):
        raise Failure(f"what c could do: {edges}")
    if any(e[0] == "shop/b" for e in edges):
        raise Failure(f"b may talk to nobody: {edges}")
    if not any(e[:2] == ("shop/a", "shop/c") and e[2] == "everything" for e in edges):
        raise Failure(f"nothing isolates c: {edges}")

    # Another version, in which a may not any more: what was done stays on record, under its version.
    lab.cli("policy", "apply", lab.write("new.yaml", POLICY.replace("app: a}", "app: nobody}")))
    second = lab.status()["policies"]["generation"]
    lab.expect([(a, b.v4, "tcp", 80, "drop"), (c, b.v4, "tcp", 80, "open")])
    row, = wait_for("the flow of c", lambda: did(lab, "shop/c", "shop/b", 80))
    if (row["from_version"], row["to_version"]) != (second, second):
        raise Failure(f"under the second version: {row}")
    row, = did(lab, "shop/a", "shop/b", 80)
    if (row["from_version"], row["to_version"], row["possible_now"]) != (first, first, False):
        raise Failure(f"under the first version: {row}")
    if any(e[:2] == ("shop/a", "shop/b") for e in could(lab)):
        raise Failure("a can't any more")
    report = lab.api("report", "access")
    if report["generation"] != second or [v["version"] for v in report["versions"]][-2:] != [first, second]:
        raise Failure(f"versions: {report['versions']}")
    if "not possible now" not in lab.cli("report", "access") or "claims no compliance" not in report["controls"]:
        raise Failure(lab.cli("report", "access"))


def test_rules_without_use(lab):
    a, b, c = start(lab)
    lab.expect([(a, b.v4, "tcp", 80, "open")])
    wait_for("its rule is used", lambda: "ingress rule 0 peer 0" not in unused(lab))
    rules = unused(lab)
    if set(rules) != {"ingress rule 0 peer 1", "ingress rule 1 peer 0"} or any(r["last_used"] for r in rules.values()):
        raise Failure(f"unused: {rules}")
    if {r["state"] for r in rules.values()} != {"new"}:
        raise Failure(f"in force for a moment only: {rules}")
    wait_for("in force for longer than asked about",
             lambda: {r["state"] for r in unused(lab, "--since", "1s").values()} == {"unused"})
    used = unused(lab, "--all")["ingress rule 0 peer 0"]
    if used["state"] != "used" or not used["in_force_since"] <= used["first_used"] <= used["last_used"] or \
       used["connections"] < 1 or not used["file"].endswith("shop.b.yaml"):
        raise Failure(f"used: {used}")

    # Another document leaves it what it is; a rule that means something else in the same place is new.
    since, generation = used["in_force_since"], used["version"]
    other = POLICY.replace("name: b,", "name: c,").replace("{app: b}", "{app: c}")
    lab.cli("policy", "apply", lab.write("other.yaml", other))
    used = unused(lab, "--all")["ingress rule 0 peer 0"]
    rule = [r for r in lab.api("report", "rules-unused", "--all")["rules"]
            if (r["policy"], r["rule"]) == ("shop/b", "ingress rule 0 peer 0")][0]
    if rule["state"] != "used" or (rule["in_force_since"], rule["version"]) != (since, generation):
        raise Failure(f"the same rule: {rule}")
    lab.cli("policy", "apply", lab.write("new.yaml", POLICY.replace("port: 80}", "port: 82}")))
    rule = [r for r in lab.api("report", "rules-unused", "--all")["rules"]
            if (r["policy"], r["rule"]) == ("shop/b", "ingress rule 0 peer 0")][0]
    if rule["state"] != "new" or rule["last_used"] or rule["version"] == generation:
        raise Failure(f"another rule: {rule}")


class Page(html.parser.HTMLParser):
    """Rows of cells, and whatever could load, run or leave."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.bad, self.cell, self.open = [], [], False, []
        self.feed(text)
        if self.open:
            self.bad.append(f"not closed: {self.open}")

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "img", "link", "iframe", "a", "object", "form") or any(
                k in ("src", "href", "style") or k.startswith("on") for k, _ in attrs):
            self.bad.append((tag, attrs))
        if tag != "meta":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.cell = True

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.bad.append(f"</{tag}>")
        if tag in ("td", "th"):
            self.cell = False

    def handle_data(self, data):
        if self.cell:
            self.rows[-1][-1] += data


CLUSTER = """apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: admin}
spec:
  tier: Admin
  priority: 10
  subject: {namespaces: {matchLabels: {kubernetes.io/metadata.name: shop}}}
  ingress:
  - name: NAME
    action: Accept
    from: [{pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: a}}}}]
    protocols: [{tcp: {destinationPort: {number: 80}}}]
"""


def test_forms(lab):
    """What is anybody's to write stands in a report as text, and nothing else. (Names that a spreadsheet
    takes for formulas: tests/unit/test_cli.c; here none can begin a cell.)"""
    name, comment = '=cmd|" /C calc"!A0; <img src=x onerror=alert(1)> </td>', '</dd><script>alert(1)</script>&amp;'
    a, b = lab.container("a"), lab.container("b")
    b.serve(tcp=[80])
    lab.start(mode="enforce", host="policy")
    text = POLICY + "\n---\n" + CLUSTER.replace("NAME", json.dumps(name))
    lab.cli("policy", "apply", "-m", comment, lab.write("new.yaml", text))
    lab.expect([(a, b.v4, "tcp", 80, "open")])
    wait_for("the flow", lambda: did(lab, "shop/a", "shop/b", 80))
    # The rule is told apart although its name has in it what stands between two rules.
    wait_for("the rule's use", lambda: [r for r in lab.api("report", "rules-unused", "--all")["rules"]
                                        if r["policy"] == "cnp:admin" and r["state"] == "used"])
    report = lab.api("report", "access")
    rows = list(csv.reader(io.StringIO(lab.cli("report", "access", "--format", "csv"))))
    want = len(report["could"]["edges"]) + len(report["did"])
    if rows[0][:4] != ["section", "source", "destination", "service"] or len(rows) != want + 1 or \
       {len(r) for r in rows} != {len(rows[0])} or {r[0] for r in rows[1:]} != {"could", "did"}:
        raise Failure(f"CSV: {rows}")
    if any(c[:1] in ("=", "+", "-", "@", "\t", "\r") for r in rows for c in r if c):
        raise Failure(f"a formula: {rows}")
    for command, least in (["access"], want + 2), (["rules-unused", "--all"], 5):
        text = lab.cli("report", *command, "--format", "html")
        page = Page(text)
        if page.bad or "http:" in text or "https:" in text or "url(" in text or "@import" in text:
            raise Failure(f"{command}: {page.bad} {text}")
        if len(page.rows) != least or not any("<img src=x onerror=alert(1)>" in c for r in page.rows for c in r) or \
           "&lt;/dd&gt;&lt;script&gt;" not in text:
            raise Failure(f"{command}: {len(page.rows)} rows: {text}")
    rows = list(csv.reader(io.StringIO(lab.cli("report", "rules-unused", "--all", "--format", "csv"))))
    if len(rows) != 5 or rows[0][:2] != ["policy", "rule"]:
        raise Failure(f"CSV: {rows}")


if __name__ == "__main__":
    Suite("rep").main(globals())
