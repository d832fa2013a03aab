#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running node as a state file: what is compiled and explained from it is what the kernel holds
and the daemon says."""
import json, os, re

from lab import BULKHEAD, Failure, Suite, run
from test_modes import WEB_TO_API

DENY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: shop}
spec: {podSelector: {}}
"""


def lines(text):
    """Rules in their order, chains and elements (which the kernel gives in any) sorted; without what
    depends on how this kernel queues."""
    out, elements = [], None
    for line in text.splitlines():
        if "queue" in line.lower() or "xtables" in line or line.startswith("#"):
            continue
        if line.startswith("table ") or line == "}" or "flags owner" in line or "@paced" in line:
            out += [""] if line.startswith("table ") else []
            continue  # whose the tables are, and the pace, are the daemon's own business
        if "elements = {" in line:
            elements = []
            line = line.replace("elements = {", "")
        if elements is None:
            out.append(line)
            continue
        elements += [e.strip() for e in line.rstrip(",} ").split(", ")]
        if line.endswith("}"):
            out += sorted(elements)
            elements = None
    # How large the feeds' sets are made is the daemon's own business as well.
    out = [l for i, l in enumerate(out) if not (l.startswith("\t\tsize ") and "set feeds" in "".join(out[max(0, i - 2):i]))]
    blocks = "\n".join(out).split("\n\n")  # chains and sets come in the order of their making
    return "\n\n".join(sorted(x.strip("}\n\t ") for x in blocks if x.strip())).splitlines()


def differences(a, b):
    import difflib
    return "\n".join(list(difflib.unified_diff(a, b, "state", "kernel", lineterm="", n=1))[:40])


def state(lab):
    return lab.write("state.yaml", lab.cli("state"))


def test_same_as_kernel(lab):
    web, api, rogue = (lab.container(n) for n in ("web", "api", "rogue"))
    lab.container("other", namespace="lab", labels={"tier": "none"})
    lab.policy("api.yaml", WEB_TO_API)
    for conf in ({"mode": "enforce"}, {"mode": "audit", "unselected": "deny", "host": "policy"},
                 {"mode": "learn", "modes": [{"namespace": "lab", "mode": "enforce"}]}):
        lab.start(learn={"names": 0}, **conf)  # what is copied for names is its own business too
        compiled = run(BULKHEAD, "policy", "compile", "--queue", "--state", state(lab))
        kernel = "".join(run("nsenter", f"--net=/run/netns/{lab.node}", "nft", "-s", "list", "table", family,
                             "bulkhead") for family in ("inet", "bridge"))
        if lines(compiled) != lines(kernel):
            raise Failure(f"{conf}:\n" + differences(lines(compiled), lines(kernel)))
        lab.stop()
        lab.daemon = None


def test_same_as_daemon(lab):
    web, api, rogue = (lab.container(n) for n in ("web", "api", "rogue"))
    lab.policy("api.yaml", WEB_TO_API)
    lab.start(mode="enforce")
    path = state(lab)
    verdicts = set()
    for src, dst, service in (("web", "api", "tcp/8080"), ("rogue", "api", "tcp/8080"),
                              ("api", "198.51.100.7", "tcp/443"), ("api", "2001:db8:0:2::7", "tcp/443"),
                              ("web", "api", "icmp"), ("192.0.2.1", "shop/api", "tcp/1")):
        live = lab.api("explain", src, dst, service)
        offline = json.loads(run(BULKHEAD, "-o", "json", "explain", "--state", path, src, dst, service))
        # Where a mode comes from is not in a state.
        live["text"] = re.sub(r"^mode of .*\n", "", live["text"], flags=re.M)
        for answer in (live, offline):  # the same policy stands in two files
            answer["text"] = re.sub(r"/\S+\.yaml:\d+", "FILE", answer["text"])
        if live != offline:
            raise Failure(f"{src} {dst} {service}: live {live}\noffline {offline}")
        verdicts.add(live["verdict"])
    if verdicts != {"allow", "drop"}:
        raise Failure(f"only {verdicts}")


def test_candidate(lab):
    """A policy that is not in force is tried on the real node, and changes nothing there."""
    lab.container("web"), lab.container("api")
    lab.start(mode="enforce")
    before, path = lab.nft(), state(lab)
    os.mkdir(lab.dir + "/candidates")
    lab.write("candidates/closed.yaml", DENY)
    text = run(BULKHEAD, "policy", "compile", "--state", path, lab.dir + "/candidates")
    if "shop/closed" not in text:
        raise Failure("the candidate was not compiled:\n" + text)
    ok = lab.write("ok.nft", text)
    run("unshare", "-n", "nft", "-c", "-f", ok)
    if lab.nft() != before or "shop/closed" in before:
        raise Failure("the kernel's rules changed")
    case = open(path).read() + ("expect:\n- {from: shop/web, to: shop/api, port: 80, verdict: allow}\n"
                                "- {from: shop/web, to: shop/api, port: 80, verdict: deny}\n")
    r = run(BULKHEAD, "policy", "test", lab.write("case.yaml", case), check=False)
    if not r.endswith("1 passed, 1 failed\n"):
        raise Failure(r)


if __name__ == "__main__":
    Suite("st").main(globals())
