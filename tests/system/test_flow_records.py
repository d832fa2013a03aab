#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of allowed flows: when they begin, and with what they carried when they end; and the same
for learned edges. Who it was, also when the container is gone. What is lost is counted."""
import os, signal, socket

from lab import Child, Failure, Suite, wait_for
from shop import RULE, datagrams, policy

POLICY = policy("{port: 80}, {port: 1000, endPort: 60000, protocol: UDP}")


def audit_conf(lab, **more):
    return {"path": lab.dir + "/audit.jsonl", **more}


def transfer(addr, port, send, times=1):
    """Connections that send so many bytes, get them back, and close; [source ports]."""
    ports = []
    for _ in range(times):
        s = socket.create_connection((addr, port), timeout=10)
        ports.append(s.getsockname()[1])
        s.sendall(b"x" * send)
        got = 0
        while got < send:
            got += len(s.recv(65536))
        s.close()
    return ports


def flush(lab, *match):
    """Makes conntrack forget, as its timeouts would."""
    lab.sh(lab.node, "conntrack -D " + " ".join(match) + " >/dev/null 2>&1 || true")


def closed(lab, port, n):
    """Waits until conntrack has seen the last packet of so many connections to the port."""
    def ok():
        return lab.sh(lab.node, f"conntrack -L -p tcp --dport {port} 2>/dev/null || true").count("TIME_WAIT") >= n
    wait_for(f"{n} closed connections", ok)


def world(lab, mode="enforce", **conf):
    a, b = lab.container("a"), lab.container("b")
    lab.policy("p.yaml", POLICY)
    lab.start(mode=mode, **conf)
    return a, b


def replace(lab, old, name):
    """Another container with the address of one that is gone."""
    n = int(old.v4.rsplit(".", 1)[1])
    lab.remove(old.name)
    wait_for("its interface is gone", lambda: f" v{n}-" not in lab.sh(lab.node, "ip -o link"))
    count, lab.count = lab.count, n - 1
    new = lab.container(name)
    lab.count = count
    if new.v4 != old.v4:
        raise Failure("the test wants the same address")
    return new


def total(records):
    return sum(r["bulkhead"]["repeat"] for r in records)


def test_none_listens_to_nothing(lab):
    a, b = world(lab)
    b.serve(tcp=[80])
    if lab.status()["flow_ends"]["listening"]:
        raise Failure("listens to conntrack although nobody wants it")
    lab.expect([(a, b.v4, "tcp", 80, "open"), (a, b.v4, "tcp", 81, "drop")])
    wait_for("the denial", lambda: lab.audited("policy-deny"))
    wait_for("the flow", lambda: any(f["port"] == 80 for f in lab.flows()))
    if lab.audited("policy-allow") or lab.audited("flow-end"):
        raise Failure("allowed flows are on record although audit.flows is none")


def test_new_flows_are_recorded_with_their_rule(lab):
    a, b = world(lab, audit=audit_conf(lab, flows="new"))
    b.serve(tcp=[80])
    if lab.status()["flow_ends"]["listening"]:
        raise Failure("listens to conntrack although only beginnings are wanted")
    for _ in range(7):
        lab.expect([(a, b.v4, "tcp", 80, "open")])
    lab.expect([(a, b.v4, "tcp", 81, "drop")])
    wait_for("seven connections", lambda: total(lab.audited("policy-allow")) == 7, 30)
    for r in lab.audited("policy-allow"):
        if not r["rule"]["name"].startswith(RULE) or r["bulkhead"]["src"]["name"] != "a" or \
                r["bulkhead"]["dst"]["name"] != "b" or r["event"]["type"] != ["connection", "allowed"]:
            raise Failure(f"not as it was: {r}")
    wait_for("the denial", lambda: lab.audited("policy-deny", destination__port=81))
    if lab.audited("policy-allow", destination__port=81) or lab.audited("flow-end"):
        raise Failure("recorded what was not asked for")


def test_full_flows_have_what_they_carried(lab):
    a, b = world(lab, audit=audit_conf(lab, flows="full"))
    b.serve(tcp=[80])
    ports = Child(a.netns, transfer, b.v4, 80, 10000, 3).result()
    closed(lab, 80, 3)
    lab.expect([(a, b.v4, "tcp", 81, "drop")])
    if lab.audited("flow-end"):
        raise Failure("told of an end before there was one")
    flush(lab, "-p", "tcp", "--dport", "80")
    wait_for("three ends", lambda: total(lab.audited("flow-end")) == 3)
    for r in lab.audited("flow-end"):
        out, back = r["source"], r["destination"]
        if not (10000 < out["bytes"] < 20000 and 10000 < back["bytes"] < 20000 and out["packets"] >= 4):
            raise Failure(f"the figures can't be right: {r}")
        if r["network"]["bytes"] != out["bytes"] + back["bytes"]:
            raise Failure(f"the sum is none: {r}")
        if r["source"]["port"] not in ports or "community_id" not in r["network"]:
            raise Failure(f"not the connection: {r}")
        if not r["rule"]["name"].startswith(RULE) or r["bulkhead"]["src"]["name"] != "a" or \
                r["bulkhead"]["dst"]["name"] != "b" or r["event"]["type"] != ["connection", "allowed", "end"]:
            raise Failure(f"not who it was: {r}")
        if not 0 <= r["event"]["duration"] < 60e9 or r["event"]["start"] > r["event"]["end"]:
            raise Failure(f"not when it was: {r}")
    wait_for("three beginnings", lambda: total(lab.audited("policy-allow")) == 3, 30)
    wait_for("the row", lambda: [f for f in lab.flows() if f["port"] == 80 and f["volume"]])
    rows = [f for f in lab.flows() if f["port"] == 80]
    if len(rows) != 1 or rows[0]["count"] != 3 or rows[0]["volume"]["ended"] != 3:
        raise Failure(f"not in the row of the three: {rows}")
    if rows[0]["volume"]["bytes_out"] != sum(r["source"]["bytes"] for r in lab.audited("flow-end")):
        raise Failure(f"the row and the records differ: {rows}")
    for who, asked, sent in (("a", b.v4, "bytes_out"), ("b", a.v4, "bytes_back")):
        e = [e for e in lab.api("impact", asked)["affected"] if e["name"] == who]
        if len(e) != 1 or e[0]["volume"]["bytes_out"] != rows[0]["volume"][sent]:
            raise Failure(f"impact {asked} does not say what {who} sent: {e}")
    if lab.audited("flow-end", destination__port=81):
        raise Failure("a denied flow has an end")


def test_by_namespace(lab):
    a, b = lab.container("a"), lab.container("b")
    c, d = lab.container("c", namespace="bank"), lab.container("d", namespace="bank")
    lab.start(mode="enforce", audit=audit_conf(lab, flows="none", flows_of={"bank": "full"}))
    b.serve(tcp=[80])
    d.serve(tcp=[80])
    lab.expect([(a, b.v4, "tcp", 80, "open"), (c, d.v4, "tcp", 80, "open"), (a, d.v4, "tcp", 80, "open")])
    closed(lab, 80, 3)
    flush(lab, "-p", "tcp")
    wait_for("both of the bank", lambda: total(lab.audited("flow-end")) == 2)
    wait_for("both beginnings", lambda: total(lab.audited("policy-allow")) == 2, 30)
    # All three ends have been read: the row has them.
    wait_for("the third in its row", lambda: [f for f in lab.flows() if f["dst"] == "shop/b" and f["volume"]])
    got = {(r["bulkhead"]["src"]["name"], r["bulkhead"]["dst"]["name"]) for r in lab.audited("flow-end")}
    if got != {("c", "d"), ("a", "d")}:
        raise Failure(f"recorded {got}")


def test_aggregated_when_asked(lab):
    a, b = world(lab, audit=audit_conf(lab, flows="full", flows_aggregate="2s"))
    b.serve(tcp=[80])
    Child(a.netns, transfer, b.v4, 80, 1000, 40).result()
    closed(lab, 80, 40)
    flush(lab, "-p", "tcp")
    wait_for("forty ends", lambda: total(lab.audited("flow-end")) == 40)
    records = lab.audited("flow-end")
    if len(records) > 4:
        raise Failure(f"{len(records)} records for one tuple")
    many = max(records, key=lambda r: r["bulkhead"]["repeat"])
    if "port" in many["source"] or "community_id" in many["network"] or "duration" not in many["bulkhead"]:
        raise Failure(f"one connection's particulars for several: {many}")
    if not 40 * 1000 < sum(r["source"]["bytes"] for r in records) < 40 * 2000:
        raise Failure("the sum of bytes is wrong")


def test_of_a_container_that_is_gone(lab):
    """Its connections end because it goes; its address is given to another one at once."""
    a, b = world(lab, audit=audit_conf(lab, flows="full"))
    b.serve(tcp=[80])
    held = lab.hold(a, b.v4, 80)
    old = [w for w in lab.workloads() if w["name"] == "a"][0]
    lab.sh(lab.node, f"ip link del v2-{os.getpid() % 100000}")  # what its processes say at their end is not heard
    held.close()
    lab.helds.remove(held)
    replace(lab, a, "c")
    lab.static()
    wait_for("the end", lambda: lab.audited("flow-end"))
    r = lab.audited("flow-end")[0]
    if r["bulkhead"]["src"] is None or r["bulkhead"]["src"]["name"] != "a" or r["bulkhead"]["src"]["id"] != old["id"]:
        raise Failure(f"not of who it was: {r}")
    if not r["rule"]["name"].startswith(RULE):
        raise Failure(f"not by what allowed it: {r}")


def test_replaced_while_nobody_looked(lab):
    """The connection outlives the container and the daemon's absence: it stays the first one's."""
    a, b = world(lab, audit=audit_conf(lab, flows="full"))
    b.serve(tcp=[80])
    held = lab.hold(a, b.v4, 80)
    old = [w for w in lab.workloads() if w["name"] == "a"][0]
    wait_for("it is on record", lambda: lab.audited("policy-allow"), 30)
    lab.stop()
    held.close()
    lab.helds.remove(held)
    replace(lab, a, "c")
    lab.static()
    lab.start()
    flush(lab, "-p", "tcp", "--dport", "80")
    wait_for("the end", lambda: lab.audited("flow-end", destination__port=80))
    r = lab.audited("flow-end", destination__port=80)[0]
    src = r["bulkhead"]["src"]
    if src is None or src["id"] != old["id"] or src["image"] != "test:1":
        raise Failure(f"not of who it was: {r}, {old}")
    if "rule" in r or r["bulkhead"]["dst"]["name"] != "b":
        raise Failure(f"told of more than is known: {r}")
    if [f for f in lab.flows() if f["port"] == 80 and f["volume"]]:
        raise Failure("the row of another has its bytes")


def test_a_change_of_rules_in_between(lab):
    """What is cut because it is denied now was allowed by the rule of before."""
    a, b = world(lab, audit=audit_conf(lab, flows="full"))
    b.serve(tcp=[80])
    lab.hold(a, b.v4, 80)
    before = lab.status()["policies"]
    lab.policy("p.yaml", POLICY.replace("app: a", "app: nobody"))
    wait_for("the end", lambda: lab.audited("flow-end"))
    r = lab.audited("flow-end")[0]
    if r["bulkhead"]["policy"] != {k: before[k] for k in ("generation", "sha256")}:
        raise Failure(f"not with the policies of then: {r}")
    if r["bulkhead"]["verdict"] != "allow" or not r["rule"]["name"].startswith(RULE):
        raise Failure(f"not by what allowed it: {r}")


def test_learned_edges_have_a_volume(lab):
    a, b = lab.container("a"), lab.container("b")
    lab.start(mode="learn")
    if not lab.status()["flow_ends"]["listening"]:
        raise Failure("learns, and listens to no ends")
    b.serve(tcp=[80])
    Child(a.netns, transfer, b.v4, 80, 5000, 4).result()
    closed(lab, 80, 4)

    def edge():
        e = [e for e in lab.api("learn", "show")["edges"] if e["port"] == 80]
        return e[0] if e and e[0]["answered"] else None
    wait_for("the edge", edge)
    if edge()["volume"] is not None:
        raise Failure(f"a volume before an end: {edge()}")
    flush(lab, "-p", "tcp")
    wait_for("its volume", lambda: (edge()["volume"] or {}).get("ended") == 4)
    v = edge()["volume"]
    if not 4 * 5000 < v["bytes_out"] < 4 * 8000 or not 4 * 5000 < v["bytes_back"] < 4 * 8000:
        raise Failure(f"the figures can't be right: {v}")
    if lab.audited("flow-end"):
        raise Failure("recorded although audit.flows is none")
    if "KiB" not in lab.cli("learn", "show") or "KiB" not in lab.cli("flows"):
        raise Failure(lab.cli("learn", "show") + lab.cli("flows"))
    if "bulkhead.io/bytes:" not in lab.cli("learn", "export"):
        raise Failure("the export's evidence has no bytes")
    g = [e for e in lab.api("graph")["edges"] if e["port"] == 80]
    if len(g) != 1 or g[0]["volume"]["bytes_out"] != v["bytes_out"]:
        raise Failure(f"the graph: {g}")
    lab.stop()
    lab.start()
    if edge()["volume"] != v:
        raise Failure(f"after a restart: {edge()['volume']}, before: {v}")


def test_volume_is_off_when_asked(lab):
    lab.container("a")
    lab.start(mode="learn", learn={"volume": False})
    if lab.status()["flow_ends"]["listening"]:
        raise Failure("listens although it is off")


def test_by_reload(lab):
    """It begins and ends with the configuration."""
    a, b = world(lab)
    b.serve(tcp=[80])
    lab.config(mode="enforce", audit=audit_conf(lab, flows="full"))
    wait_for("listening", lambda: lab.status()["flow_ends"]["listening"])
    lab.expect([(a, b.v4, "tcp", 80, "open")])
    closed(lab, 80, 1)
    flush(lab, "-p", "tcp")
    wait_for("the end", lambda: lab.audited("flow-end"))
    lab.config(mode="enforce", audit=audit_conf(lab))
    wait_for("not listening", lambda: not lab.status()["flow_ends"]["listening"])


def test_ends_seen_at_the_stop_are_recorded(lab):
    """What ended before the daemon stops is on record; what goes on is told by the next run."""
    a, b = world(lab, audit=audit_conf(lab, flows="full"))
    b.serve(tcp=[80])
    lab.hold(a, b.v4, 80)
    lab.expect([(a, b.v4, "tcp", 80, "open")])
    closed(lab, 80, 1)
    lab.daemon.send_signal(signal.SIGSTOP)
    flush(lab, "-p", "tcp", "--state", "TIME_WAIT")
    lab.daemon.send_signal(signal.SIGTERM)
    lab.daemon.send_signal(signal.SIGCONT)
    lab.daemon.wait(30)
    if total(lab.audited("flow-end")) != 1:
        raise Failure(f"{total(lab.audited('flow-end'))} ends on record, one was there")
    lab.start()
    flush(lab, "-p", "tcp")
    wait_for("the other one", lambda: total(lab.audited("flow-end")) == 2)
    last = lab.audited("flow-end")[-1]
    if last["bulkhead"]["src"] is None or last["bulkhead"]["src"]["name"] != "a":
        raise Failure(f"not who it was: {last}")


def test_lost_ends_are_counted(lab):
    """More at once than the socket holds, while the daemon stands still: recorded + lost = made."""
    a, b = world(lab, audit=audit_conf(lab, flows="full", flows_aggregate="1s"))
    lab.sh(b.netns, "iptables -A OUTPUT -p icmp -j DROP")
    made = sum(Child(a.netns, datagrams, b.v4, 1000 + i * 10000, 10000).result(60) for i in range(5))
    lab.daemon.send_signal(signal.SIGSTOP)
    flush(lab, "-p", "udp")
    lab.daemon.send_signal(signal.SIGCONT)

    def lost():
        return sum(g["bulkhead"]["change"]["count"] for g in lab.audited("gap", bulkhead__change__class="flow-ends"))
    wait_for("every end recorded or counted",
             lambda: total(lab.audited("flow-end", network__transport="udp")) + lost() >= made, 60)
    recorded = total(lab.audited("flow-end", network__transport="udp"))
    if recorded + lost() != made:
        raise Failure(f"{recorded} recorded, {lost()} lost, {made} made")
    if not lost() or not recorded:
        raise Failure(f"the test wants both: {recorded} recorded, {lost()} lost")
    if lab.status()["flow_ends"]["lost"] != lost():
        raise Failure(f"status says {lab.status()['flow_ends']}")
    text = lab.sh(lab.node, f"curl -s --unix-socket {lab.dir}/bulkhead.sock http://x/metrics")
    if f"bulkhead_flow_ends_lost_total {lost()}" not in text:
        raise Failure("not in /metrics")


if __name__ == "__main__":
    Suite("fr").main(globals())
