#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way, with an application of fifteen services in three namespaces: learned, exported, planned,
applied and enforced. The same traffic again: nothing of it is denied. Thirty hostile flows: all are."""
import json

from lab import BULKHEAD, Failure, Suite, run, wait_for

SERVICES = {  # name: (namespace, replicas, TCP ports, UDP ports)
    "gateway": ("edge", 2, [8443], []), "auth": ("edge", 1, [9000], []), "dns": ("infra", 1, [53], [53]),
    "metrics": ("infra", 1, [9090], []), "backup": ("infra", 1, [], []), "probe": ("infra", 1, [], []),
    "web": ("shop", 3, [8080], []), "cart": ("shop", 2, [8081], []), "catalog": ("shop", 1, [8082], []),
    "orders": ("shop", 1, [8083], []), "payment": ("shop", 1, [8084], []), "mail": ("shop", 1, [25], []),
    "db": ("shop", 1, [5432], []), "cache": ("shop", 1, [6379], []), "search": ("shop", 1, [9200], []),
}
CALLS = [  # who calls whom, and where
    ("gateway", "web", 8080), ("gateway", "auth", 9000), ("web", "cart", 8081), ("web", "catalog", 8082),
    ("web", "search", 9200), ("cart", "cache", 6379), ("cart", "orders", 8083), ("orders", "db", 5432),
    ("orders", "payment", 8084), ("orders", "mail", 25), ("catalog", "db", 5432), ("auth", "cache", 6379),
]
NEED_DNS = ["gateway", "web", "cart", "orders", "payment", "mail", "catalog"]
SCRAPED = ["web", "cart", "catalog", "orders", "payment"]  # health checks and metrics
EXTERNAL = "203.0.113.9"


class App:
    def __init__(self, lab):
        self.lab, self.of, self.replica = lab, {}, 0
        for name, (_, n, _, _) in SERVICES.items():
            for _ in range(n):
                self.add(name)

    def add(self, name, image="1"):
        namespace, _, tcp, udp = SERVICES[name]
        self.replica += 1
        c = self.lab.container(f"{name}{self.replica}", namespace, {
            "com.docker.compose.project": namespace, "com.docker.compose.service": name,
            "com.docker.compose.container-number": str(self.replica)}, f"{name}:{image}")
        c.serve(tcp=tcp, udp=udp)
        self.of.setdefault(name, []).append(c)
        return c

    def known(self):
        self.lab.static()
        want = set(self.lab.containers)
        wait_for("the workloads", lambda: {w["name"] for w in self.lab.workloads() if w["interfaces"]} == want)

    def update(self, name):
        """A rolling update: one replica after the other is replaced by one of the next image."""
        for old in list(self.of[name]):
            self.lab.remove(old.name)
            self.of[name].remove(old)
            self.add(name, image="2")

    def traffic(self, periodic=True):
        rows = []
        for src, dst, port in CALLS:
            rows += [(a, b.v4, "tcp", port, "open") for a in self.of[src] for b in self.of[dst]]
            rows.append((self.of[src][0], self.of[dst][0].v6, "tcp", port, "open"))
        for name in NEED_DNS:
            rows += [(a, self.of["dns"][0].v4, "udp", 53, "open") for a in self.of[name]]
        rows.append((self.of["web"][0], self.of["dns"][0].v4, "tcp", 53, "open"))  # a long answer
        for name in SCRAPED:
            port = SERVICES[name][2][0]
            rows += [(self.of[who][0], b.v4, "tcp", port, "open") for who in ("metrics", "probe") for b in self.of[name]]
        rows += [(self.of["payment"][0], EXTERNAL, "tcp", 443, "open"),
                 (self.lab.out, self.of["gateway"][0].v4, "tcp", 8443, "open")]
        if periodic:
            rows.append((self.of["backup"][0], self.of["db"][0].v4, "tcp", 5432, "open"))
        return rows

    def hostile(self):
        one = lambda name: self.of[name][0]
        rows = []
        for src in ("gateway", "web", "mail", "search", "cache", "probe"):  # straight to the data
            rows.append((one(src), one("db").v4, "tcp", 5432, "drop"))
        for src in ("web", "catalog", "payment", "mail", "db"):  # sideways
            rows.append((one(src), one("cache").v6, "tcp", 6379, "drop"))
        for src in ("db", "cache", "search", "web", "cart", "mail"):  # out: exfiltration and command
            rows.append((one(src), EXTERNAL, "tcp", 443, "drop"))
        for dst in ("orders", "payment", "mail", "search"):  # from one tier past the next
            rows.append((one("gateway"), one(dst).v4, "tcp", SERVICES[dst][2][0], "drop"))
        rows += [(self.lab.out, one("web").v4, "tcp", 8080, "drop"), (self.lab.out, one("db").v4, "tcp", 5432, "drop"),
                 (one("payment"), "198.51.100.7", "tcp", 443, "drop"), (one("payment"), EXTERNAL, "tcp", 80, "drop"),
                 (one("web"), one("cart").v4, "tcp", 22, "drop"),
                 (one("cart"), one("web").v4, "tcp", 8080, "drop"), (one("db"), one("orders").v4, "tcp", 8083, "drop"),
                 (one("backup"), one("orders").v4, "tcp", 8083, "drop"), (one("search"), one("dns").v4, "udp", 53, "drop")]
        return rows


def in_waves(lab, rows, size=40):
    wrong = []
    for i in range(0, len(rows), size):
        wrong += lab.probes(rows[i:i + size], timeout=2.5)
    return wrong


def test_learn_enforce_replay(lab):
    lab.serve(lab.out, tcp=[443, 80])
    app = App(lab)
    lab.start(mode="learn")
    app.known()
    wrong = in_waves(lab, app.traffic(periodic=False))
    # Scans in the middle of learning: closed ports and one that is open and never answers our rules.
    mail = app.of["mail"][0]
    scan = [(mail, app.of[n][0].v4, "tcp", p, "closed") for n in ("db", "web", "cache") for p in (21, 22, 23, 111, 2375, 3306)]
    wrong += in_waves(lab, scan)
    app.add("web")  # scale-up
    app.known()
    app.update("cart")  # rolling update
    app.known()
    rows = app.traffic()
    wrong += in_waves(lab, rows)
    if wrong:
        raise Failure("while learning:\n" + "\n".join(wrong))

    def learned():
        return {(e["src"], e["dst"], e["protocol"], e["port"]) for e in lab.api("learn", "show")["edges"] if e["answered"]}
    ns = lambda name: f"{SERVICES[name][0]}/{name}"
    want = {(ns(a), ns(b), "tcp", p) for a, b, p in CALLS} | {(ns(a), "infra/dns", "udp", 53) for a in NEED_DNS}
    want |= {(ns(w), ns(n), "tcp", SERVICES[n][2][0]) for w in ("metrics", "probe") for n in SCRAPED}
    want |= {("shop/web", "infra/dns", "tcp", 53), ("shop/payment", EXTERNAL, "tcp", 443),
             ("192.0.2.2", "edge/gateway", "tcp", 8443), ("infra/backup", "shop/db", "tcp", 5432)}
    wait_for("the edges", lambda: learned() >= want)
    if learned() != want:
        raise Failure(f"learned beside it: {learned() - want}")
    text = lab.cli("learn", "export")
    if text != lab.cli("learn", "export"):
        raise Failure("two exports differ")
    for port in (21, 22, 23, 111, 2375, 3306):
        if f"port: {port}\n" in text:
            raise Failure(f"a scanned port became a rule: {port}")
    path = lab.write("learned.yaml", text)
    run(BULKHEAD, "policy", "check", path)
    # What the plan says beforehand is what happens: nothing that was learned breaks. Scans would.
    replay = lab.cli("-o", "json", "policy", "plan", "--since", "1h", path, check=False)
    plan = json.loads(replay.stdout)["replay"]
    scanned = {(ns("mail"), ns(n), p) for n in ("db", "web", "cache") for p in (21, 22, 23, 111, 2375, 3306)}
    if {(d["src"], d["dst"], d["port"]) for d in plan["denied"]} - scanned:
        raise Failure(f"the plan breaks what was learned: {plan['denied']}")
    lab.cli("policy", "apply", path)
    lab.cli("mode", "set", "enforce")
    app.update("catalog")  # the next version has the same rights
    app.add("gateway")
    app.known()
    wrong = in_waves(lab, app.traffic())
    if wrong:
        raise Failure("false denials:\n" + "\n".join(wrong))
    hostile = app.hostile()
    if len(hostile) != 30:
        raise Failure(f"{len(hostile)} hostile flows")
    wrong = in_waves(lab, hostile)
    if wrong:
        raise Failure("hostile flows that were not denied:\n" + "\n".join(wrong))


if __name__ == "__main__":
    Suite("y").main(globals())
