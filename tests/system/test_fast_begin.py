#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that the fast path opens by itself: of pairs that the rules have just let pass, and of no others; none
of them once anything has changed that says who may talk to whom, ours or others'; and they are connections like all."""
import signal, time

from calls import Calls, begun, counted, first_segments, hot, serve
from fast import entries, node, world
from lab import Failure, Suite, wait_for
from streams import both, in_force, ingress


def served(lab, mode="enforce", **conf):
    web, old, api = world(lab, mode, **conf)
    serve(lab, api, 80, 81)
    return web, old, api


def test_they_begin_there(lab):
    """One a second meets the rules, for either family; all are counted, and nobody else gets through."""
    web, old, api = served(lab)
    calls = [Calls(lab, web, addr, 80, 8) for addr in both(api)]
    for c in calls:
        hot(lab, c)
    firsts = first_segments(lab)
    began = time.monotonic()
    lab.expect([(old, a, "tcp", 80, "drop") for a in both(api)])
    wait_for("", lambda: time.monotonic() > began + 2)
    if firsts() > 2 * (time.monotonic() - began) + 2 + 8:  # those, and what old tried
        raise Failure(f"{firsts()} first segments met the hooks")
    made = sum(len(c.passed()) for c in calls)
    if wrong := [w for c in calls for w in c.failed()]:
        raise Failure(f"{len(wrong)} of {made} connections failed: {wrong[:3]}")
    wait_for("all are counted", lambda: counted(lab, "shop/web", "shop/api", 80) >= made)
    if (n := counted(lab, "shop/web", "shop/api", 80)) != made or begun(lab) < made / 2:
        raise Failure(f"{made} connections, {n} in the list of flows, {begun(lab)} began on the fast path")
    if "connections began there" not in lab.cli("status"):
        raise Failure(lab.cli("status"))


def test_only_that_pair(lab):
    """The port beside it, the other way round, and who is not the pair: by the rules, which deny them."""
    web, old, api = served(lab)
    serve(lab, web, 80)
    lab.policy("p.yaml", ingress(["app: web"]).replace("}]}]", "}], ports: [{port: 80}]}]") + """---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}
""")
    in_force(lab, 2)
    c = Calls(lab, web, api.v4, 80, 20)
    hot(lab, c)
    lab.expect([(web, api.v4, "tcp", 81, "drop"), (api, web.v4, "tcp", 80, "drop"), (old, api.v4, "tcp", 80, "drop"),
                (web, api.v6, "tcp", 81, "drop"), (web, api.v4, "tcp", 80, "open")])


def cut(lab, web, old, api, act, tries=2):
    """old's and web's connections go past the rules; after `act` none of old's begins a second later, those that are
    open are cut, and web loses none."""
    gone, stays = Calls(lab, old, api.v4, 80, 14, many=tries), Calls(lab, web, api.v4, 80, 14)
    hot(lab, gone)
    hot(lab, stays)
    held = [lab.hold(old, api.v4, 80) for _ in range(3)]
    if not any("NONE" in l for l in entries(lab, f"src={old.v4}", "dport=80 ")):
        raise Failure("none of them began on the fast path")
    keeps = lab.hold(web, api.v4, 80)
    act()
    at = time.monotonic()
    time.sleep(max(0, at + 1.3 - time.monotonic()))
    if left := [l for l in entries(lab, f"src={old.v4} dst={api.v4}", "dport=80 ") if "[UNREPLIED]" not in l]:
        raise Failure(f"connections that are denied: {left[:3]}")
    if any(h.alive() for h in held) or not keeps.alive():
        raise Failure("what is denied goes on, or what is allowed does not")
    if late := gone.passed(at + 1):
        raise Failure(f"{len(late)} connections that are denied began, the last {late[-1] - at:.2f} s after the change")
    if stays.failed():
        raise Failure(f"connections that are allowed failed: {stays.failed()[:3]} of {len(stays.passed())}")
    if len(stays.passed(at + 1)) < 20:
        raise Failure("too few of them to say")


def test_policy_cuts(lab):
    web, old, api = served(lab)
    lab.policy("p.yaml", ingress(["app: web", "app: old"]))
    in_force(lab, 2)

    def act():
        lab.policy("p.yaml", ingress(["app: web"]))
        in_force(lab, 3)
    cut(lab, web, old, api, act)


def test_mode_cuts(lab):
    """In audit mode both pass, old as one that would be denied, and is recorded so each time."""
    web, old, api = served(lab, mode="audit")
    c = Calls(lab, old, api.v4, 80, 4)
    time.sleep(3)
    made = len(c.passed())
    if begun(lab) or made < 100:
        raise Failure(f"{begun(lab)} of {made} began on the fast path")
    lab.policy("p.yaml", ingress(["app: web", "app: old"]))
    in_force(lab, 2)
    cut(lab, web, old, api, lambda: (lab.policy("p.yaml", ingress(["app: web"])), in_force(lab, 3),
                                    lab.cli("mode", "set", "enforce")))


def test_quarantine_cuts(lab):
    web, old, api = served(lab)
    lab.policy("p.yaml", ingress(["app: web", "app: old"]))
    in_force(lab, 2)
    cut(lab, web, old, api, lambda: lab.cli("quarantine", "add", "shop/old"))


def test_label_cuts(lab):
    web, old, api = served(lab)
    lab.policy("p.yaml", ingress(["app: web", "app: old"]))
    in_force(lab, 2)

    def act():
        old.labels = {"app": "other"}
        lab.static()
        wait_for("the label", lambda: [w for w in lab.workloads() if w["labels"].get("app") == "other"], step=0.01)
    cut(lab, web, old, api, act)


def test_again_and_again(lab):
    """Allowed and denied in turn, while more connections are tried than there is time between two looks."""
    web, old, api = served(lab)
    calls = [Calls(lab, old, api.v4, 80, 22, pause=0, many=3), Calls(lab, old, api.v6, 80, 22, pause=0)]
    for turn in range(5):
        lab.policy("p.yaml", ingress(["app: web", "app: old"]))
        in_force(lab, 2 * turn + 2)
        before = begun(lab)
        wait_for("they begin on the fast path", lambda: begun(lab) > before + 100)
        lab.policy("p.yaml", ingress(["app: web"]))
        in_force(lab, 2 * turn + 3)
        time.sleep(1.1)
        for c in calls:
            c.lately()
        time.sleep(0.5)
        if passed := [c.lately()[0] for c in calls if c.lately()[0]]:
            raise Failure(f"turn {turn}: {passed} connections were let through")
        if left := [l for l in entries(lab, f"src={old.v4}", "dport=80 ") if "NONE" in l]:
            raise Failure(f"turn {turn}: {left[:2]}")


OTHERS = {
    "deny": "chain f { type filter hook forward priority 20; ip saddr %s tcp dport 80 ct state new drop\n}",
    "translate": "chain n { type nat hook prerouting priority dstnat; ip saddr %s tcp dport 80 dnat to :9\n}"}


def test_others_rules(lab):
    """What another program comes to deny, or to translate, holds for new connections within two seconds."""
    web, old, api = served(lab)
    for what, rule in OTHERS.items():
        c = Calls(lab, web, api.v4, 80, 9)
        hot(lab, c)
        node(lab, "nft", "-f", "-", input="table ip others {\n" + rule % web.v4 + "\n}")
        at = time.monotonic()
        time.sleep(3)
        node(lab, "nft", "delete", "table", "ip", "others")
        over = time.monotonic()
        if late := [t for t in c.passed(at + 2) if t < over - 0.5]:
            raise Failure(f"{what}: {len(late)} connections began, the last {late[-1] - at:.2f} s after the rule")
        if len(c.passed(over + 1)) < 20:
            raise Failure(f"{what}: they do not begin again after it")


def test_nobody_is_there(lab):
    """Without a daemon, whatever killed it, all connections meet the rules a few seconds later, and pass; one that
    is started again has the earlier one's connections like its own."""
    web, old, api = served(lab)
    c = Calls(lab, web, api.v4, 80, 14, pause=0.01)
    hot(lab, c)
    held = lab.hold(web, api.v4, 80)
    lab.stop(signal.SIGKILL)
    time.sleep(3.2)
    c.lately()
    firsts = first_segments(lab)
    time.sleep(1)
    met, (made, failed) = firsts(), c.lately()
    if met < 0.8 * made or made < 20 or failed:
        raise Failure(f"{met} of {made} first segments met the hooks, {failed} connections failed")
    lab.expect([(old, api.v4, "tcp", 80, "drop")])
    lab.start()
    if not held.alive():
        raise Failure("it does not go on")
    hot(lab, c)
    if c.failed():
        raise Failure(f"{c.failed()[:3]}")


def test_stopped(lab):
    """A daemon that is stopped in order shuts the gate at once."""
    web, old, api = served(lab)
    c = Calls(lab, web, api.v4, 80, 6, pause=0.01)
    hot(lab, c)
    lab.stop()
    c.lately()
    firsts = first_segments(lab)
    time.sleep(1)
    met, (made, failed) = firsts(), c.lately()
    if met < 0.8 * made or made < 20 or failed:
        raise Failure(f"{met} of {made} first segments met the hooks, {failed} connections failed")


if __name__ == "__main__":
    Suite("fb").main(globals())
