#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back of a flow that was cut stays denied: over restarts of the daemon, over changes of what is in
force, after another program emptied the sets; and no longer than the flow itself is denied."""
import re, signal, socket, time

import streams
from around import describe, meet
from lab import Child, Failure, Suite, wait_for
from rawflow import End, Raw, Sctp
from streams import Stream, both, in_force, ingress, world

OLD, WEB = ingress(["app: web", "app: old"]), ingress(["app: web"])


def pushed(lab, old, api, seconds, sets=2):
    """UDP that the server feeds, in both families."""
    return [Stream(lab, old, api, addr, "udp", next(streams.ports), True, seconds) for addr in both(api)[:sets]]


def cut_off(lab):
    """Cut by policy; when it was over."""
    time.sleep(0.7)
    lab.policy("p.yaml", WEB)
    in_force(lab, 2)
    time.sleep(1.2)
    return time.monotonic()


def expect_silence(flows, since, least=2):
    """They flowed, and since then nothing came although somebody sent."""
    wrong = []
    for s in flows:
        s.end()
        before, after = [t for t, _ in s.got if t < since], [t - since for t, _ in s.got if t > since]
        if len(before) < 20 or s.until < since + least:
            wrong.append(f"{s.name}: {len(before)} packets, {s.until - since:.1f} s left: it shows nothing")
        elif after:
            wrong.append(f"{s.name}: {len(after)} packets came back, from {after[0]:.2f} to {after[-1]:.2f} s on")
    if wrong:
        raise Failure("\n".join(wrong))


def restarted(lab, sig):
    web, old, api = world(lab, "enforce", OLD)
    whole = [Stream(lab, web, api, a, "udp", next(streams.ports), True, 9) for a in both(api)]
    old_ones = pushed(lab, old, api, 9)
    x, y = describe(old), describe(api)
    meet(lab, x, y, governed=True)
    old_ones += [Raw(lab, End(x, a, x.mac), End(y, b, y.mac), Sctp(beats=True), True, 9) for a, b in zip(both(x), both(y))]
    since = cut_off(lab)
    for _ in range(2):  # what was read back is read back again
        lab.stop(sig)
        lab.start()
    expect_silence(old_ones, since)
    for s in whole:
        s.end()
        if s.check_whole():
            raise Failure(s.check_whole())


def test_stopped_and_started(lab):
    restarted(lab, signal.SIGTERM)


def test_killed_and_started(lab):
    restarted(lab, signal.SIGKILL)


def test_allowed_while_nobody_was_there(lab):
    """What the state of the start allows is not held."""
    web, old, api = world(lab, "enforce", OLD)
    flows = pushed(lab, old, api, 8)
    since = cut_off(lab)
    lab.stop(signal.SIGKILL)
    lab.policy("p.yaml", OLD)
    lab.start()
    at = time.monotonic()
    for s in flows:
        s.end()
        if [t for t, _ in s.got if since < t < at - 2] or not [t for t, _ in s.got if t > at + 0.5]:
            raise Failure(f"{s.name}: not cut, or not back: {[round(t - at, 1) for t, _ in s.got][::50]}")


def busily(lab, changes):
    """A steady push of 2,000 packets a second while `changes` go on."""
    streams.GAP = 0.0004
    try:
        web, old, api = world(lab, "enforce", OLD)
        flows = pushed(lab, old, api, 10, 1)
        since = cut_off(lab)
        changes(lab, since + 5)
        expect_silence(flows, since)
    finally:
        streams.GAP = 0.005


def test_changes_of_rules(lab):
    def changes(lab, until):
        n = 0
        while time.monotonic() < until:
            more = ingress(["extra: x%d" % n]).replace("{name: api,", "{name: more,")
            lab.cli("policy", "apply", lab.write("more.yaml", more))
            time.sleep(0.02)
            n += 1
        if n < 30:
            raise Failure(f"only {n} changes: it shows nothing")
    busily(lab, changes)


def test_changes_that_leave_the_rules(lab):
    """Another state, the same rules: nothing is swept for it."""
    def changes(lab, until):
        n = 0
        while time.monotonic() < until:
            lab.config(mode="enforce", namespaces={"nowhere": {"n": str(n)}})
            time.sleep(0.3)
            n += 1
        if n < 10:
            raise Failure(f"only {n} changes: it shows nothing")
    busily(lab, changes)


def _open(addr, sport, ports):
    """A flow to each of the ports."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", sport))
    for n, port in enumerate(ports):
        try:
            s.sendto(b"x", (addr, port))
        except OSError:
            pass  # an ICMP error of one before
        if n % 100 == 0:
            time.sleep(0.002)


def test_one_that_opens_very_many(lab):
    """More than is held of all together: of the others' flows none comes back for it."""
    web, old, api = world(lab, "enforce", OLD)
    hog = lab.container("hog", labels={"app": "old"})
    lab.static()
    wait_for("hog is known", lambda: [w for w in lab.workloads() if w["name"] == "hog"])
    flows = [s for _ in range(3) for s in pushed(lab, old, api, 14)]
    Child(hog.netns, _open, api.v4, 999, range(10000, 42000)).result(30)
    since = cut_off(lab)
    wait_for("the record", lambda: "coming back" in str(lab.audited("revoke", event__outcome="failure")))
    expect_silence(flows, since)
    elements = lab.sh(lab.node, "nft list set inet bulkhead echo4")
    held = len(re.findall(r"%s \. %s \. udp" % (re.escape(api.v4), re.escape(hog.v4)), elements))
    if not 4000 < held < 5600:
        raise Failure(f"{held} ways back of the one are held, not a third of 16,384")


def _there_and_back(addr, port, seconds):
    """Whether a connection opened now and still lasts at the end."""
    s = socket.create_connection((addr, port), timeout=2)
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            s.sendall(b"x")
            if s.recv(1) != b"x":
                return "closed"
            time.sleep(0.05)
        return "lasts"
    except OSError as e:
        return type(e).__name__


def test_emptied_by_somebody_else(lab):
    """The repair puts it back with all that was in it, in one transaction, and cuts what was established meanwhile."""
    web, old, api = world(lab, "enforce", OLD, table_owner="never")
    api.serve(tcp=[8080])
    flows = pushed(lab, old, api, 7)
    cut_off(lab)
    lab.expect([(web, api.v4, "tcp", 8080, "open"), (old, api.v4, "tcp", 8080, "drop")])
    # Connection tracking goes on without us, as with the engines' own rules.
    lab.sh(lab.node, """nft add table inet other
        nft add chain inet other forward '{ type filter hook forward priority 10; }'
        nft add rule inet other forward ct state new counter""")
    gone = time.monotonic()
    lab.daemon.send_signal(signal.SIGSTOP)
    try:
        lab.sh(lab.node, "nft delete table inet bulkhead")
        clients = [Child(c.netns, _there_and_back, api.v4, 8080, 3) for c in (old, web)]
        lab.children += clients
        time.sleep(0.5)
    finally:
        lab.daemon.send_signal(signal.SIGCONT)
    wait_for("the repair", lambda: lab.audited("tamper"))
    back = time.monotonic()
    elements = lab.sh(lab.node, "nft list set inet bulkhead echo4") + lab.sh(lab.node, "nft list set inet bulkhead echo6")
    if elements.count("udp") < 2:
        raise Failure("not put back:\n" + elements)
    expect_silence(flows, back + 0.5)
    if not all([t for t, _ in s.got if gone < t < back] for s in flows):
        raise Failure("nothing passed while the table was gone: it shows nothing")
    ends = [c.result(10) for c in clients]
    if ends != ["TimeoutError", "lasts"]:
        raise Failure(f"connections made meanwhile, denied and allowed: {ends}")


if __name__ == "__main__":
    Suite("ec").main(globals())
