#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the audit log can't be written: what `audit.on_log_failure` says happens, and ends when it is
over; what was dropped or lost meanwhile is counted to the packet. A disk that does not answer holds
up no verdict. (`exit` is in test_audit.py.)"""
import contextlib, json, os, socket, time

from calls import Calls, hot
from lab import BULKHEAD, TOP, Child, Failure, Skip, Suite, run, wait_for
from shop import datagrams, policy

POLICY = policy("{port: 80}, {port: 7000, protocol: UDP}")


def flows_to(addr, port, n):
    """So many flows to one port."""
    for sport in range(10000, 10000 + n):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("0.0.0.0", sport))
            s.sendto(b"x", (addr, port))
    return n


def total(records):
    return sum(r["bulkhead"]["repeat"] for r in records)


@contextlib.contextmanager
def small_disk(lab):
    """A file system of 1 MiB for the log alone."""
    path = lab.dir + "/small"
    os.mkdir(path)
    run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path)
    try:
        yield path
    finally:
        if lab.daemon:
            lab.stop()
        lab.evidence_checked = False  # the log is not where it is looked for
        run("umount", "-l", path, check=False)


def fill(path):
    with open(path + "/filler", "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * 4096)
        except OSError:
            pass


def audited(path, action, **match):
    """As lab.audited, of another file."""
    out = []
    with open(path + "/audit.jsonl") as f:
        for line in f:
            if not line.endswith("\n"):
                break  # is being written
            r = json.loads(line)
            if r["event"]["action"] == action and all(
                    r["bulkhead"]["change"].get(k) == v for k, v in match.items()):
                out.append(r)
    return out


def verified(path):
    import jsonschema
    if run(BULKHEAD, "audit", "verify", path + "/audit.jsonl", check=False).find("good") != 0:
        raise Failure(run(BULKHEAD, "audit", "verify", path + "/audit.jsonl", check=False))
    with open(TOP + "/enforcer/audit/audit.schema.json") as f:
        validator = jsonschema.Draft202012Validator(json.load(f))
    for line in open(path + "/audit.jsonl"):
        validator.validate(json.loads(line))


def something_to_record(lab):
    lab.cli("mode", "set", "enforce", "--namespace", "other", check=False)


def test_continue_on_a_full_disk(lab):
    """Nothing changes for the flows, and every record comes once there is room."""
    with small_disk(lab) as small:
        a, b, c = (lab.container(n) for n in "abc")
        b.serve(tcp=[80])
        lab.policy("b.yaml", POLICY)
        lab.start(mode="enforce", audit={"path": small + "/audit.jsonl"})
        fill(small)

        def failing():
            something_to_record(lab)
            return lab.status()["audit"]["error"]
        wait_for("status says it", failing)
        sent = Child(c.netns, datagrams, b.v4, 1000, 200).result()
        lab.expect([(a, b.v4, "tcp", 80, "open"), (c, b.v4, "tcp", 80, "drop")])
        if lab.status()["stopped"]["now"]:
            raise Failure("new flows are stopped, although the log may fail")
        os.unlink(small + "/filler")
        wait_for("every denial", lambda: total(
            [r for r in audited(small, "policy-deny") if r["destination"]["port"] != 80]) == sent, 30)
        lab.stop()
        verified(small)


def test_block_new_flows_on_a_full_disk(lab):
    with small_disk(lab) as small:
        a, b, c = (lab.container(n) for n in "abc")
        b.serve(tcp=[80])
        lab.serve(lab.out, tcp=[443])
        lab.serve(lab.node, tcp=[22])
        lab.policy("b.yaml", POLICY)
        lab.start(mode="enforce", audit={"path": small + "/audit.jsonl", "on_log_failure": "block-new-flows"})
        allowed = [(a, b.v4, "tcp", 80), (a, b.v6, "tcp", 80), (a, "192.0.2.2", "tcp", 443),
                   (a, "10.77.0.1", "tcp", 22), (lab.node, b.v4, "tcp", 80)]
        unconcerned = [(lab.node, "192.0.2.2", "tcp", 443, "open"), (lab.out, "192.0.2.1", "tcp", 22, "open")]
        lab.expect([x + ("open",) for x in allowed] + unconcerned + [(c, b.v4, "tcp", 80, "drop")])
        held = lab.hold(a, b.v4, 80)
        fill(small)

        def stopped():
            something_to_record(lab)
            return lab.status()["stopped"]["now"]
        wait_for("new flows are stopped", stopped, timeout=60, step=0.5)
        if not held.alive():
            raise Failure("an established connection was cut")
        lab.expect([x + ("drop",) for x in allowed] + unconcerned + [(c, b.v4, "tcp", 80, "drop")])
        # One that starts only now, before and after it is known.
        d = lab.container("d", labels={"app": "a"})
        lab.static()
        lab.expect([(d, b.v4, "tcp", 80, "drop"), (d, "192.0.2.2", "tcp", 443, "drop")], timeout=4)
        if "no new flow of a workload passes" not in lab.cli("status"):
            raise Failure("status does not say so")
        os.unlink(small + "/filler")
        wait_for("new flows pass again", lambda: not lab.status()["stopped"]["now"], 60)
        lab.expect([x + ("open",) for x in allowed] + unconcerned + [(c, b.v4, "tcp", 80, "drop")])
        if not held.alive():
            raise Failure("an established connection was cut")
        wait_for("both are on record", lambda: audited(small, "flows.stopped") and audited(small, "flows.resumed"))
        if audited(small, "flows.resumed")[0]["bulkhead"]["change"]["packets"] < len(allowed):
            raise Failure(f"too few: {audited(small, 'flows.resumed')}")
        lab.stop()
        verified(small)


def test_block_new_flows_of_the_fast_path(lab):
    """A connection of which the rules would see nothing any more is a new flow as well."""
    with small_disk(lab) as small:
        a, b, c = (lab.container(n) for n in "abc")
        b.serve(tcp=[80])
        lab.policy("b.yaml", POLICY)
        lab.start(mode="enforce", fast_path=True,
                  audit={"path": small + "/audit.jsonl", "on_log_failure": "block-new-flows"})
        calls = Calls(lab, a, b.v4, 80, 60, pause=0.01)
        hot(lab, calls)
        fill(small)

        def stopped():
            something_to_record(lab)
            return lab.status()["stopped"]["now"]
        wait_for("new flows are stopped", stopped, timeout=60, step=0.5)
        time.sleep(0.5)
        calls.lately()
        time.sleep(1.5)
        passed, failed = calls.lately()
        if passed or not failed:
            raise Failure(f"{passed} connections were let through, {failed} not")
        os.unlink(small + "/filler")
        wait_for("new flows pass again", lambda: not lab.status()["stopped"]["now"], 60)
        hot(lab, calls)
        lab.stop()
        verified(small)


def test_what_was_blocked_is_counted_to_the_packet(lab):
    with small_disk(lab) as small:
        a, b = lab.container("a"), lab.container("b")
        b.serve(udp=[7000])
        lab.policy("b.yaml", POLICY)
        lab.start(mode="enforce", audit={"path": small + "/audit.jsonl", "on_log_failure": "block-new-flows"})
        fill(small)

        def stopped():
            something_to_record(lab)
            return lab.status()["stopped"]["now"]
        wait_for("new flows are stopped", stopped, timeout=60, step=0.5)
        sent = Child(a.netns, datagrams, b.v4, 7000, 1, 300).result()
        os.unlink(small + "/filler")
        wait_for("new flows pass again", lambda: not lab.status()["stopped"]["now"], 60)
        wait_for("on record", lambda: audited(small, "flows.resumed"))
        got = audited(small, "flows.resumed")[0]["bulkhead"]["change"]["packets"]
        if got != sent:
            raise Failure(f"{got} packets on record, {sent} sent")
        if lab.status()["stopped"]["packets"] != sent:
            raise Failure(f"status: {lab.status()['stopped']}")
        lab.expect([(a, b.v4, "udp", 7000, "open")])


def test_the_configuration_ends_it(lab):
    with small_disk(lab) as small:
        a, b = lab.container("a"), lab.container("b")
        b.serve(tcp=[80])
        lab.start(mode="learn", audit={"path": small + "/audit.jsonl", "on_log_failure": "block-new-flows"})
        lab.expect([(a, b.v4, "tcp", 80, "open")])
        fill(small)

        def stopped():
            something_to_record(lab)
            return lab.status()["stopped"]["now"]
        wait_for("new flows are stopped", stopped, timeout=60, step=0.5)
        lab.expect([(a, b.v4, "tcp", 80, "drop")])
        lab.config(mode="learn", audit={"path": small + "/audit.jsonl"})
        wait_for("new flows pass again", lambda: not lab.status()["stopped"]["now"], 60)
        lab.expect([(a, b.v4, "tcp", 80, "open")])


@contextlib.contextmanager
def frozen_disk(lab):
    """A file system of its own that does not answer while it is frozen; yields (path, freeze, thaw)."""
    image, path = lab.dir + "/disk.img", lab.dir + "/disk"
    os.mkdir(path)
    with open(image, "wb") as f:
        f.truncate(256 << 20)
    run("mkfs.ext4", "-q", "-F", image)
    try:
        run("mount", "-o", "loop", image, path)
    except Failure as e:
        raise Skip("no loop device with ext4 on it: " + str(e).splitlines()[-1])
    try:
        yield path, lambda: run("fsfreeze", "-f", path), lambda: run("fsfreeze", "-u", path)
    finally:
        run("fsfreeze", "-u", path, check=False)
        if lab.daemon:
            lab.stop()
        lab.evidence_checked = False
        run("umount", "-l", path, check=False)


def test_a_disk_that_does_not_answer_holds_up_nothing(lab):
    """Verdicts of every kind are given while the writer is stuck; then more records come than it has
    room for, and recorded + counted as lost is what was sent."""
    with frozen_disk(lab) as (disk, freeze, thaw):
        a, b, c = lab.container("a"), lab.container("b"), lab.container("c", namespace="lab")
        b.serve(tcp=[80])
        c.serve(tcp=[81])
        lab.policy("b.yaml", POLICY)
        lab.start(mode="enforce", modes=[{"namespace": "lab", "mode": "learn"}], pace={"rate": 0},
                  queue={"length": 65536}, audit={"path": disk + "/audit.jsonl"})
        lab.expect([(c, b.v4, "tcp", 80, "drop")])
        wait_for("that is on record", lambda: total(audited(disk, "policy-deny")) > 0)
        wait_for("nothing waits", lambda: lab.status()["audit"]["waiting"] == 0)
        freeze()
        lab.expect([(c, b.v4, "tcp", 83, "drop")])
        wait_for("a record waits", lambda: lab.status()["audit"]["waiting"] > 0)
        written = lab.status()["audit"]["written"]
        lab.expect([(a, b.v4, "tcp", 80, "open"), (a, c.v4, "tcp", 81, "open"), (c, a.v4, "tcp", 9, "closed"),
                    (c, b.v4, "tcp", 84, "drop"), (c, b.v6, "tcp", 84, "drop")])
        before = lab.status()["audit"]["lost"]
        sent = sum(Child(c.netns, datagrams, b.v4, 1000 + 10000 * i, 10000).result(60) for i in range(4))

        def queued():
            q = [q for q in lab.status()["queues"] if q["purpose"] == "unmatched"][0]
            return q["received"] + q["kernel_dropped"]
        wait_for("all of them were decided", lambda: queued() >= sent, 60)
        wait_for("some found no room", lambda: lab.status()["audit"]["lost"] > before, 60)
        if lab.status()["audit"]["written"] != written:
            raise Failure("something was written to a frozen disk")
        thaw()

        def counted():
            gaps = [g for g in audited(disk, "gap") if g["bulkhead"]["change"]["class"] in
                    ("log", "flows", "unmatched", "denied")]
            return total([r for r in audited(disk, "policy-deny") if r["network"]["transport"] == "udp"]) + \
                sum(g["bulkhead"]["change"]["count"] for g in gaps)
        wait_for("everything is accounted for", lambda: counted() >= sent, 60)
        lab.stop()
        if counted() != sent:
            raise Failure(f"{counted()} recorded or counted as lost, {sent} sent")
        verified(disk)


def test_more_allowed_flows_than_there_is_room_for(lab):
    """They go first, while the disk does not answer: recorded + counted as lost is what there was."""
    with frozen_disk(lab) as (disk, freeze, thaw):
        a, b = lab.container("a"), lab.container("b")
        b.serve(udp=[7000])
        lab.policy("b.yaml", POLICY)
        lab.start(mode="enforce", audit={"path": disk + "/audit.jsonl", "flows": "full"})
        lab.expect([(a, b.v4, "tcp", 80, "closed")])
        wait_for("that is on record", lambda: total(audited(disk, "policy-allow")) > 0)
        freeze()
        made = Child(a.netns, flows_to, b.v4, 7000, 12000).result(60)
        lab.sh(lab.node, "conntrack -D -p udp >/dev/null 2>&1 || true")
        wait_for("all ends were seen", lambda: lab.status()["flow_ends"]["seen"] +
                 lab.status()["flow_ends"]["lost"] >= made, 60)
        if lab.status()["audit"]["lost"] == 0:
            raise Failure("the test wants a full ring")
        thaw()

        def counted():
            gaps = [g for g in audited(disk, "gap") if g["bulkhead"]["change"]["class"] in ("allowed", "flow-ends")]
            return total([r for r in audited(disk, "flow-end") + audited(disk, "policy-allow")
                          if r["network"]["transport"] == "udp"]) + \
                sum(g["bulkhead"]["change"]["count"] for g in gaps)
        wait_for("each beginning and each end", lambda: counted() >= 2 * made, 60)
        lab.stop()
        if counted() != 2 * made:
            raise Failure(f"{counted()} recorded or counted as lost, of {made} flows")
        if not audited(disk, "gap", **{"class": "allowed"}):
            raise Failure("no gap of allowed flows")
        verified(disk)


def test_block_new_flows_while_the_disk_does_not_answer(lab):
    with frozen_disk(lab) as (disk, freeze, thaw):
        a, b = lab.container("a"), lab.container("b")
        b.serve(tcp=[80])
        lab.start(mode="enforce", audit={"path": disk + "/audit.jsonl", "on_log_failure": "block-new-flows"})
        lab.expect([(a, b.v4, "tcp", 80, "open")])
        freeze()
        something_to_record(lab)
        wait_for("new flows are stopped", lambda: lab.status()["stopped"]["now"], 60)
        lab.expect([(a, b.v4, "tcp", 80, "drop")])
        thaw()
        wait_for("new flows pass again", lambda: not lab.status()["stopped"]["now"], 60)
        lab.expect([(a, b.v4, "tcp", 80, "open")])


if __name__ == "__main__":
    Suite("lf").main(globals())
