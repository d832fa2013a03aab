#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""DNS answers name outside addresses; nothing else does, and a name allows nothing."""
import os, signal, socket, sqlite3

import dns
from lab import Failure, Suite, wait_for

ZONE = {"api.example.com": ["203.0.113.9", "2001:db8:0:2::7"], "www.example.com": "=edge.cdn.example",
        "edge.cdn.example": ["198.51.100.7"], "tcp.example.com": ["203.0.113.200"],
        "six.example.com": ["2001:db8:0:2::66"], "spoof.example.com": ["198.51.100.66"],
        "inside.example": ["10.77.0.2"], "moved.example.com": ["203.0.113.200"]}


def names(lab):
    """{(source, outside address): names} of the learned edges."""
    return {(e["src"], e["dst"]): e["dst_names"] for e in lab.api("learn", "show")["edges"] if e["answered"]}


def status(lab):
    return lab.api("status")["learn"]["names"]


def on_disk(lab):
    db = sqlite3.connect(f"file:{lab.dir}/state/bulkhead.db?mode=ro", uri=True)
    try:
        return db.execute("SELECT count(*) FROM name").fetchone()[0]
    finally:
        db.close()


def expect_names(lab, what, want):
    wait_for(what, lambda: all(names(lab).get(k) == v for k, v in want.items()) or (names(lab), status(lab)) and False)


def test_answers_name_addresses(lab):
    """UDP and TCP, IPv4 and IPv6; a resolver outside, in a container, and on the node."""
    app, other, resolver = (lab.container(n) for n in ("app", "other", "resolver"))
    for netns in (lab.out, lab.node, resolver.netns):
        dns.serve(lab, netns, ZONE)
    lab.serve(lab.out, tcp=[443])
    lab.start(mode="learn")
    asked = [("203.0.113.9", "api.example.com", 1, False), ("2001:db8:0:2::7", "api.example.com", 28, False),
             (resolver.v4, "www.example.com", 1, False), ("10.77.0.1", "tcp.example.com", 1, True),
             (resolver.v6, "six.example.com", 28, True)]
    wrong = [a for a in asked if dns.ask(app, *a) != 1]
    if wrong:
        raise Failure(f"no answer: {wrong}")
    for a in ("203.0.113.9", "2001:db8:0:2::7", "198.51.100.7", "203.0.113.200", "2001:db8:0:2::66"):
        lab.expect([(app, a, "tcp", 443, "open")])
    lab.expect([(other, "203.0.113.9", "tcp", 443, "open")])
    want = {("shop/app", "203.0.113.9"): ["api.example.com"], ("shop/app", "2001:db8:0:2::7"): ["api.example.com"],
            ("shop/app", "198.51.100.7"): ["www.example.com"], ("shop/app", "203.0.113.200"): ["tcp.example.com"],
            ("shop/app", "2001:db8:0:2::66"): ["six.example.com"],
            ("shop/other", "203.0.113.9"): []}  # it was told nothing
    expect_names(lab, "the names", want)
    # Everywhere: beside the address, and only as a comment in the export.
    for cmd, text in ((["learn", "show"], "203.0.113.9 (api.example.com)"),
                      (["learn", "status"], "198.51.100.7 (www.example.com)"),
                      (["flows", "-n", "500"], "203.0.113.200 (tcp.example.com)"),
                      (["graph", "-o", "dot"], '"203.0.113.9 (api.example.com)"'),
                      (["learn", "export", "--role", "app"], "cidr: 198.51.100.7/32 # www.example.com")):
        if text not in lab.cli(*cmd):
            raise Failure(f"{cmd} lacks {text!r}:\n{lab.cli(*cmd)}")
    graph = {n["name"]: n.get("names") for n in lab.api("graph")["nodes"]}
    if graph["2001:db8:0:2::66"] != ["six.example.com"]:
        raise Failure(f"graph: {graph}")
    if "#" in lab.cli("learn", "export", "--no-evidence"):
        raise Failure("names without evidence")
    wait_for("the names on disk", lambda: on_disk(lab) == 5)
    lab.stop(signal.SIGKILL)
    lab.start()
    expect_names(lab, "the names after a crash", want)
    s = status(lab)
    if not s["reading"] or s["error"] or s["overruns"] or s["kept"] != 5:
        raise Failure(f"status: {s}")
    lab.cli("learn", "reset", "--role", "app")
    lab.stop(signal.SIGKILL)
    lab.start()
    if status(lab)["kept"]:
        raise Failure(f"after the reset: {status(lab)}")


def test_what_was_not_asked_for_names_nothing(lab):
    """Answers to other questions, with the right number or another, from the very resolver that was asked."""
    app = lab.container("app")
    dns.serve(lab, lab.out, ZONE, {"bank.example.com": "203.0.113.9", "evil.example.com": "198.51.100.66"})
    lab.serve(lab.out, tcp=[443])
    lab.start(mode="learn")
    if dns.ask(app, "203.0.113.9", "spoof.example.com", times=5) != 5:
        raise Failure("no answer")
    wait_for("all answers read", lambda: status(lab)["answers"] == 5)
    if dns.ask(app, "203.0.113.9", "inside.example") != 1:
        raise Failure("no answer")
    wait_for("the last answer", lambda: status(lab)["answers"] == 6)
    lab.expect([(app, "203.0.113.9", "tcp", 443, "open"), (app, "198.51.100.66", "tcp", 443, "open")])
    expect_names(lab, "the asked one", {("shop/app", "198.51.100.66"): ["spoof.example.com"]})
    s = status(lab)
    if names(lab)["shop/app", "203.0.113.9"] or s["unasked"] != 20 or s["kept"] != 1:
        raise Failure(f"named by what nobody asked for: {names(lab)} {s}")
    # Without a connection of the container's, not even the kernel copies it.
    before = s["packets"]
    lab.sh(lab.out, "ip addr add 198.51.100.53/32 dev lo")
    for sport in (53, 5353):
        dns.Child(lab.out, _unasked, app.v4, sport).result()
    if dns.ask(app, "203.0.113.9", "api.example.com") != 1:
        raise Failure("no answer")
    wait_for("the answer", lambda: status(lab)["answers"] == 7)
    if status(lab)["packets"] != before + 2:
        raise Failure(f"copied: {status(lab)}, before {before}")


def _unasked(dst, sport):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("198.51.100.53", sport))
        q = dns.question(1, "evil.example.com", 1)
        s.sendto(dns.answer(q, {"evil.example.com": ["203.0.113.9"]}), (dst, 40000))


POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: app, namespace: shop}
spec:
  podSelector: {matchLabels: {app: app}}
  policyTypes: [Egress]
  egress:
  - to: [{ipBlock: {cidr: 203.0.113.9/32}}]
"""


def test_a_name_allows_nothing_and_delays_nothing(lab):
    app = lab.container("app")
    dns.serve(lab, lab.out, ZONE)
    lab.serve(lab.out, tcp=[443])
    lab.policy("app.yaml", POLICY)
    lab.start(mode="enforce")
    # The same name as an allowed address has, told by an allowed resolver: the address stays denied.
    zone = {"api.example.com", "moved.example.com"}
    if any(dns.ask(app, "203.0.113.9", n) != 1 for n in zone):
        raise Failure("no answer")
    wait_for("the names", lambda: status(lab)["kept"] == 2)
    lab.expect([(app, "203.0.113.9", "tcp", 443, "open"), (app, "203.0.113.200", "tcp", 443, "drop")])
    # Nobody reads the copies: every question is answered all the same.
    os.kill(lab.daemon.pid, signal.SIGSTOP)
    try:
        got = dns.ask(app, "203.0.113.9", "api.example.com", times=3000)
    finally:
        os.kill(lab.daemon.pid, signal.SIGCONT)
    if got != 3000:
        raise Failure(f"{got} of 3000 answered while the daemon stood still")


def test_switched_off(lab):
    app = lab.container("app")
    dns.serve(lab, lab.out, ZONE)
    lab.serve(lab.out, tcp=[443])
    lab.start(mode="learn", learn={"names": 0})
    if dns.ask(app, "203.0.113.9", "api.example.com") != 1:
        raise Failure("no answer")
    lab.expect([(app, "203.0.113.9", "tcp", 443, "open")])
    wait_for("the edge", lambda: ("shop/app", "203.0.113.9") in names(lab))
    if "names" in lab.sh(lab.node, "nft list table inet bulkhead") or status(lab)["reading"]:
        raise Failure("DNS is copied although names are switched off")
    if names(lab)["shop/app", "203.0.113.9"]:
        raise Failure("named")


if __name__ == "__main__":
    Suite("nm").main(globals())
