#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What learning costs: 20,000 new flows a second from 50 containers, each of another role, to one that
answers, most of them tuples that were never seen. Beside it the same on a node without any table. Printed
are losses, latencies (from the sender's call to the receiver's interface) and what was learned; then the
daemon's memory and disk after a million tuples in fifty seconds, put together and one by one. The kernel
never waits for the daemon: what it can't take in passes, and is put on record as a gap.

Nothing here is near what containers do; it is a scan that is answered everywhere.
"""
import argparse, json, os, sys, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import path_lab
from path_lab import Container, Failure, Lab, Values, background, go_first, isolate, load, plug_in, run, with_netns

SENDERS, RATE, PORT = 50, 20000, 9999
# Long enough for the daemon to ask, and short enough for conntrack's table.
SETTINGS = ["net.netfilter.nf_conntrack_udp_timeout=8", "net.netfilter.nf_conntrack_udp_timeout_stream=8"]


class Node(Lab):
    def __init__(self, name):
        self.make_node(name)
        self.fill = [Container(self, f"w{i}", 2 + i, {"app": f"s{i}"}) for i in range(SENDERS)]
        self.server = Container(self, "server", 580, {"app": "server"})
        plug_in(self.node, self.containers())
        for netns in (self.node, self.server.netns):
            with_netns(netns, SETTINGS)
        run("nsenter", f"--net=/run/netns/{self.server.netns}", "nft", "-f", "-", text="""
            table ip echo {
                chain prerouting {
                    type nat hook prerouting priority dstnat
                    udp dport 10000-60000 redirect to :%d
                }
            }
            """ % PORT)
        self.echo = background("echo", self, "--port", str(PORT))

    def containers(self):
        return [*self.fill, self.server]

    def spec(self):
        pid = self.daemon.pid if self.daemon else 0
        w, s = self.fill[0], self.server
        return ",".join([self.name, self.node, str(pid), f"{w.netns},{w.v4}+{SENDERS - 1}", s.spec(), s.spec()])

    def api(self, *argv):
        return json.loads(run(path_lab.BULKHEAD, "--socket", self.dir + "/sock", "-o", "json", *argv))

    def learned(self):
        return self.api("learn", "status")

    def disk(self):
        return sum(os.path.getsize(f"{self.dir}/state/{f}") for f in os.listdir(self.dir + "/state")
                   if f.startswith("bulkhead.db")) / 1048576


def column(lines, lab, key):
    return Values(l[key] for l in lines if l["lab"] == lab)


def row(what, value, beside=""):
    print(f"  {what:<58} {value:<28} {beside}".rstrip(), flush=True)


def gaps(node):
    """What the audit log says is missing in it, or was not learned: class → count."""
    time.sleep(2)  # it is written once a second
    found = {}
    for f in os.listdir(node.dir):
        if f.startswith("audit.jsonl") and not f.endswith((".keys", ".checkpoints")):
            with open(f"{node.dir}/{f}") as lines:
                for line in lines:
                    if '"action":"gap"' in line:
                        b = json.loads(line)["bulkhead"]["change"]
                        found[b["class"]] = found.get(b["class"], 0) + (b["count"] or 0)
    return found


def since(before, after):
    more = {k: v - before.get(k, 0) for k, v in after.items() if v != before.get(k, 0)}
    return ", ".join(f"{v} {k}" for k, v in sorted(more.items())) or "none"


def rates(none, learn, rounds, slice_ms):
    print(f"\n== {RATE:,} new flows a second from {SENDERS} containers, {rounds} rounds of {slice_ms} ms", flush=True)
    before = gaps(learn)
    lines = load("fresh", [none, learn], rounds=rounds, slice=slice_ms, rate=RATE, apart=None)
    for lab in (none, learn):
        mine = [l for l in lines if l["lab"] == lab.name]
        row(f"{lab.name}: flows that did not arrive", str(sum(l["lost"] for l in mine)),
            f"of {sum(l['sent'] for l in mine)}, {column(mine, lab.name, 'rate').text(0)} /s")
    for q in ("p50", "p99"):
        d = Values(a - b for a, b in zip(column(lines, learn.name, q), column(lines, none.name, q)))
        row(f"added {q} of a first packet's way", d.text(0) + " µs",
            f"{column(lines, learn.name, q).text(0)} : {column(lines, none.name, q).text(0)} µs")
    mine = [l for l in lines if l["lab"] == learn.name]
    row("queued; lost by the kernel's queues", f"{sum(l['queued'] for l in mine)}; {sum(l['queue_lost'] for l in mine)}",
        f"daemon {100 * sum(l['daemon_cpu'] for l in mine) / sum(l['seconds'] for l in mine):.0f} % of a CPU")
    wait_learned(learn)
    s = learn.learned()
    row("gaps on record (passed: not learned; flows: no record)", since(before, gaps(learn)),
        f"tuples answered {s['answered']}, unanswered {s['unanswered']}, {s['folded']} put together")


def wait_learned(node):
    """What conntrack forgot before it was asked for waits for minutes: not all of it is waited for."""
    end = time.monotonic() + 10
    while node.learned()["pending"] and time.monotonic() < end:
        time.sleep(1)


def million(node, seconds, what):
    print(f"\n== A million tuples, {what}", flush=True)
    rss, _, _ = node.memory()
    row("before: resident, disk", f"{rss:.1f} MiB, {node.disk():.1f} MiB")
    lost = gaps(node)
    worst, begin = 0, time.monotonic()
    for _ in range(seconds // 10):
        load_once(node)
        t = time.monotonic()
        node.status()
        worst = max(worst, time.monotonic() - t)
    wait_learned(node)
    s, (rss, _, _) = node.learned(), node.memory()
    row("tuples: one by one, put together, waiting", f"{s['tuples']} of {s['max']}, {s['folded']}, {s['pending']}",
        f"in {time.monotonic() - begin:.0f} s; gaps on record: {since(lost, gaps(node))}; refused {s['refused']}")
    row("resident, disk", f"{rss:.1f} MiB, {node.disk():.1f} MiB", f"slowest `status` {1e3 * worst:.0f} ms")


def load_once(node):
    """Ten seconds, without a round to warm up."""
    argv = [path_lab.LOAD, "fresh", "--lab", node.spec(), "--slice", "10000", "--rate", str(RATE), "--apart"]
    argv += ["--first", str(load_once.first)]
    load_once.first += 10 * RATE
    run(*argv)
    node.check()


load_once.first = 0


def main():
    p = argparse.ArgumentParser(prog="tests/bench/run learn")
    p.add_argument("--quick", action="store_true", help="rates alone: half a minute instead of three")
    p.add_argument("--edges", type=int, default=200000, help="learn.edges of the first million")
    a = p.parse_args()
    if os.environ.get("BULKHEAD_BENCH_INSIDE") != "1":
        isolate(__file__)
    go_first()
    begin = time.monotonic()
    none, learn = Node("none"), Node("learn")
    learn.start(0, mode="learn", docs=[], more={"learn": {"edges": a.edges}})
    rates(none, learn, 3, 2000 if a.quick else 4000)
    if not a.quick:
        million(learn, 50, f"learn.edges {a.edges}")
        learn.stop()
        whole = Node("whole")
        whole.start(0, mode="learn", docs=[], more={"learn": {"edges": 2000000, "flows": 2000000}})
        million(whole, 50, "all kept one by one (learn.edges and flows 2,000,000)")
        whole.stop()
    print(f"\ntook {time.monotonic() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    try:
        main()
    except Failure as e:
        sys.exit(f"learn: {e}")
