#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data path's benchmark: what the rules cost the traffic, beside the same without rules.

Several nodes exist at once, in namespaces; slices of them take turns in every round, so that what
else the machine does meets all alike, and each round gives one ratio. Printed are the median of the
rounds and their least and greatest. The baseline is a node without any table, bridge netfilter
switched on (the daemon would switch it on); beside it one whose only rule accepts established
connections, since a container engine's address translation has connections tracked anyway.
"""
import argparse, atexit, os, shutil, statistics, sys, tempfile, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import path_lab
from path_engine import Engine
from path_lab import Failure, Lab, Values, background, go_first, isolate, load, notice, watched

AIMS = {"stream": 0.97, "connect": 0.95, "p99": 1.10, "flat": 0.05, "learn": 0.90, "verdicts": 0.80,
        "first": 100.0, "flood": 1.2, "start": 5.0, "memory": 16.0, "logging": 1.1}
LOGGED = 1000  # a second; the table of the last ten seconds' flows has 8,192 places, and every lab has its turn
missed = []


def column(lines, lab, key):
    return Values(l[key] for l in lines if l["lab"] == lab)


def ratio(lines, lab, base, key="rate"):
    return Values(a / b for a, b in zip(column(lines, lab, key), column(lines, base, key)) if b)


def cpu(lines, lab):
    """Seconds of CPU for one unit, the daemon's included: what a busy machine does not disturb."""
    return Values((l["cpu"] + l["daemon_cpu"]) / l["count"] for l in lines if l["lab"] == lab and l["count"])


def cpu_ratio(lines, lab, base):
    return Values(b / a for a, b in zip(cpu(lines, lab), cpu(lines, base)))


def row(what, value, beside="", aim="", met=None):
    if met is False:
        missed.append(what)
    verdict = "" if met is None else "met" if met else "MISSED"
    print(f"  {what:<58} {value:<24} {beside:<36} {aim:<10} {verdict}".rstrip(), flush=True)


def note(text):
    print("      " + text, flush=True)


def title(text):
    print(f"\n== {text}", flush=True)


def saturation(lines):
    return f"CPUs busy {100 * statistics.median(l['busy'] for l in lines):.0f} %"


def rates(lines, what, lab, base, aim, unit, scale, digits=0):
    r = ratio(lines, lab, base)
    row(f"{what}: {lab} ÷ {base}", r.text(3),
        f"{column(lines, lab, 'rate').median / scale:.{digits}f} : {column(lines, base, 'rate').median / scale:.{digits}f} {unit}",
        f">= {aim}" if aim else "", r.median >= aim if aim else None)
    row("  the same by CPU time", cpu_ratio(lines, lab, base).text(3))


def flat(lines, labs, what, key="rate"):
    """Each size against the smallest, in the same round."""
    first, off = labs[0].name, 0.0
    parts = []
    for lab in labs[1:]:
        r = ratio(lines, lab.name, first, key)
        parts.append(f"{lab.name} {r.text(3)}")
        off = max(off, abs(1 - r.median))
    row(f"{what}: furthest from {first}", f"{100 * off:.1f} %", "", f"<= {AIMS['flat']:.0%}", off <= AIMS["flat"])
    for p in parts:
        note(p)


def queued(lines, labs, what):
    names = {l.name for l in labs}
    n = sum(l["queued"] for l in lines if l["lab"] in names)
    count = sum(l["count"] for l in lines if l["lab"] in names)
    row(f"queued packets, {what}", str(n), f"of {count:.0f} connections", "0", n == 0)


# --- the measurements ---

def streams(b):
    title("1, 3. TCP throughput of open connections, one a CPU, both ends of it in one thread")
    labs = [b.none, b.tracking, b.fast, *b.sizes]
    lines = load("stream", labs, rounds=2 * b.rounds, slice=50, threads=2)
    rates(lines, "throughput", b.full.name, "none", AIMS["stream"], "Gbit/s", 1e9, 1)
    rates(lines, "throughput", b.full.name, "tracking", None, "Gbit/s", 1e9, 1)
    rates(lines, "the same, fast_path: true", b.fast.name, "none", AIMS["stream"], "Gbit/s", 1e9, 1)
    note(saturation(lines))
    flat(lines, b.sizes, "throughput")


def connections(b):
    title("2, 3, 5. New TCP connections (connect, a byte each way, reset), one thread a CPU")
    labs = [b.none, b.tracking, b.fast, *b.sizes]
    before = {lab: lab.recorded() for lab in (b.full, b.fast)}
    lines = load("connect", labs, rounds=b.rounds, slice=b.slice, threads=2)
    rates(lines, "connections", b.full.name, "none", AIMS["connect"], "/s", 1)
    rates(lines, "connections", b.full.name, "tracking", None, "/s", 1)
    rates(lines, "connections", "tracking", "none", None, "/s", 1)
    rates(lines, "the same, fast_path: true", b.fast.name, "none", AIMS["connect"], "/s", 1)
    latencies(lines, b.full.name, "as many as can be")
    latencies(lines, b.fast.name, "the same, fast_path: true")
    daemon = Values(l["daemon_cpu"] / l["count"] * 1e6 for l in lines if l["lab"] == b.full.name)
    load_cpu = Values(l["cpu"] / l["count"] * 1e6 for l in lines if l["lab"] == b.full.name)
    note(f"CPU for one connection: the two ends and the way between them {load_cpu.text(1)} µs, "
         f"the daemon's records {daemon.text(1)} µs; {saturation(lines)}")
    for lab in labs:
        if n := sum(column(lines, lab.name, "failed")):
            note(f"{lab.name}: {n} of {sum(column(lines, lab.name, 'count'))} connections failed")
    time.sleep(3)  # a reading of the kernel's counts, and a write
    for lab in before:
        made = sum(column(lines, lab.name, "count"))  # of the rounds that count: one before them warms up
        listed = lab.recorded() - before[lab]
        row(f"connections in the list of flows, {lab.name}", str(listed), f"of at least {made:.0f}", "all",
            listed >= made)
    flat(lines, b.sizes, "connections")
    queued(lines, b.sizes, "allowed by policy")
    lines = load("connect", [b.none, b.tracking, b.fast, b.full], rounds=b.rounds, slice=b.slice, rate=5000)
    latencies(lines, b.full.name, "5,000 a second")
    latencies(lines, b.fast.name, "5,000 a second, fast_path: true")


def shares(b):
    title("Where a new connection's time goes: rules taken out one after another, 100 policies, 50 workloads")
    lines = load("connect", b.share_labs, rounds=b.rounds, slice=b.slice, threads=2)
    spent = [Values(1e6 * s for s in cpu(lines, lab.name)) for lab in b.share_labs]
    row("no table: CPU for one connection", spent[0].text(2) + " µs")
    for (what, _), x, before in zip(SHARES, spent[1:], spent):
        row(what, Values(a - c for a, c in zip(x, before)).text(2) + " µs", f"{x.median:.2f} µs in all")


def latencies(lines, lab, how):
    for base, aim in (("none", AIMS["p99"]), ("tracking", None)):
        for q in ("p99", "p50"):
            r = ratio(lines, lab, base, q)
            judged = aim if q == "p99" else None
            row(f"{q} of connect, {how}: {lab} ÷ {base}", r.text(2),
                f"{column(lines, lab, q).median:.0f} : {column(lines, base, q).median:.0f} µs",
                f"<= {judged}" if judged else "", r.median <= judged if judged else None)


def learning(b):
    title("4, 5. The same in learn mode, the tuple learned before")
    time.sleep(0 if b.quick else 2)
    lines = load("connect", [b.none, b.tracking, b.learn, b.learn_fast], rounds=b.rounds, slice=b.slice, threads=2)
    rates(lines, "connections", "learn", "none", AIMS["learn"], "/s", 1)
    rates(lines, "connections", "learn", "tracking", None, "/s", 1)
    rates(lines, "fast_path: true, volume: false", b.learn_fast.name, "none", AIMS["learn"], "/s", 1)
    queued(lines, [b.learn], "learned already")
    daemon = Values(l["daemon_cpu"] / l["count"] * 1e6 for l in lines if l["lab"] == "learn")
    note(f"CPU of the daemon for one connection {daemon.text(1)} µs; {saturation(lines)}")


def verdicts(b):
    title("6. Verdicts with full evaluation, 100 policies, 1 queue; every packet a new flow")
    before = b.audit.status()
    lines = load("fresh", [b.loop, b.audit], rounds=b.rounds, slice=b.slice)
    r = ratio(lines, "audit", "loop")
    row("daemon ÷ bare loop", r.text(3),
        f"{column(lines, 'audit', 'rate').median:.0f} : {column(lines, 'loop', 'rate').median:.0f} /s",
        f">= {AIMS['verdicts']}", r.median >= AIMS["verdicts"])
    for lab in ("audit", "loop"):
        mine = [l for l in lines if l["lab"] == lab]
        note(f"{lab}: {sum(l['queued'] for l in mine)} queued of {sum(l['sent'] for l in mine)} sent, "
             f"{sum(l['lost'] for l in mine)} lost; {saturation(mine)}")
    use = column(lines, "audit", "daemon_cpu")
    note(f"CPU of the daemon for a verdict with its record: "
         f"{1e6 * sum(use) / max(1, sum(column(lines, 'audit', 'count'))):.1f} µs")
    after = b.audit.status()
    note(f"events lost: {events_lost(after) - events_lost(before)}")


def events_lost(status):
    """Wherever the status keeps them."""
    found = [0]
    def look(v):
        for k, x in v.items() if isinstance(v, dict) else enumerate(v) if isinstance(v, list) else ():
            if k == "events_lost" and isinstance(x, int):
                found.append(x)
            look(x)
    look(status)
    return max(found)


def first_packets(b):
    title("7. First packets of new flows, 10,000 a second, from the sender's call to the receiver's interface")
    # Tuples of the runs before are in the verdict cache.
    lines = load("fresh", [b.none, b.loop, b.audit], rounds=b.rounds, slice=2 * b.slice, rate=10000, first=1000000)
    for lab, aim in (("audit", AIMS["first"]), ("loop", None)):
        for q in ("p99", "p50"):
            d = Values(x - y for x, y in zip(column(lines, lab, q), column(lines, "none", q)))
            judged = aim if q == "p99" else None
            row(f"added {q}, {'the daemon' if lab == 'audit' else 'a bare loop'}", d.text(0) + " µs",
                f"{column(lines, lab, q).median:.0f} : {column(lines, 'none', q).median:.0f} µs",
                f"<= {judged:.0f} µs" if judged else "", d.median <= judged if judged else None)
    for lab in ("none", "loop", "audit"):
        mine = [l for l in lines if l["lab"] == lab]
        note(f"{lab}: {sum(l['queued'] for l in mine)} queued of {sum(l['sent'] for l in mine)} sent, "
             f"{sum(l['lost'] for l in mine)} lost; {saturation(mine)}")


def logging(b):
    title(f"11. Verdicts with and without records, log on a disk, {LOGGED} new flows a second, each with its record")
    before = b.logged.status()["audit"]
    lines = load("fresh", [b.unlogged, b.logged], rounds=b.rounds, slice=4 * b.slice, rate=LOGGED)
    after = b.logged.status()["audit"]
    for q in ("p99", "p50"):
        r = ratio(lines, "logged", "unlogged", q)
        judged = AIMS["logging"] if q == "p99" else None
        row(f"{q} of a first packet's way: with ÷ without records", r.text(2),
            f"{column(lines, 'logged', q).median:.0f} : {column(lines, 'unlogged', q).median:.0f} µs",
            f"<= {judged}" if judged else "", r.median <= judged if judged else None)
    for lab in ("unlogged", "logged"):
        mine = [l for l in lines if l["lab"] == lab]
        note(f"{lab}: {sum(l['queued'] for l in mine)} queued of {sum(l['sent'] for l in mine)} sent; daemon "
             f"{100 * sum(l['daemon_cpu'] for l in mine) / sum(l['seconds'] for l in mine):.1f} % of a CPU; {saturation(mine)}")
    note(f"records written {after['written'] - before['written']}, checkpoints {after['checkpoints'] - before['checkpoints']}, "
         f"without a record of their own {after['lost'] - before['lost']}; "
         f"without records: {b.unlogged.status()['audit']['written']} in all")


def flood(b):
    seconds = b.flood_ms / 1000
    title(f"8. 100,000 denied SYN/s from one container, {seconds:.0f} s a round; another one's connections, 500/s")
    lines = load("victim", [b.none, b.flooded], rounds=b.flood_rounds, slice=b.flood_ms, rate=500, flood=100000)
    quiet, loud = ([l for l in lines if bool(l["flood"]) == f] for f in (False, True))
    for lab, judged in ((b.flooded.name, True), ("none", False)):
        lost = sum(column(loud, lab, "failed"))
        row(f"lost during the flood, {lab}", str(lost), f"of {sum(column(loud, lab, 'count')) + lost}, "
            f"without flood {sum(column(quiet, lab, 'failed'))}", "0" if judged else "", lost == 0 if judged else None)
        for q in ("p99", "p50"):
            r = Values(x / y for x, y in zip(column(loud, lab, q), column(quiet, lab, q)))
            aim = AIMS["flood"] if judged and q == "p99" else None
            row(f"{q} of connect, flood ÷ none, {lab}", r.text(2),
                f"{column(loud, lab, q).median:.0f} : {column(quiet, lab, q).median:.0f} µs",
                f"<= {aim}" if aim else "", r.median <= aim if aim else None)
        mine = [l for l in loud if l["lab"] == lab]
        sent = sum(l["flood"] for l in mine)
        note(f"{lab}: {sent / len(mine) / seconds:.0f} SYN/s sent, {100 * sum(l['queued'] for l in mine) / max(1, sent):.1f} % "
             f"of them queued, {sum(l['queue_lost'] for l in mine)} lost by the queues; daemon "
             f"{100 * sum(l['daemon_cpu'] for l in mine) / sum(l['seconds'] for l in mine):.0f} % of a CPU; {saturation(mine)}")


def starts(b):
    title("9. Container start → rules in the kernel, from the engine's event, 250 containers running, 100 policies")
    lab, socket = Lab("start", b.many + b.starts), path_lab.WORK + "/engine.sock"
    engine = Engine(socket)
    running, later = lab.containers()[:b.many], lab.containers()[b.many:]
    for c in running:
        engine.run(c)
    lab.start(100, sources=[{"docker": socket}])
    watch = background("watch", watched(lab, later))
    took, answered = Values(), Values()
    time.sleep(2)  # what a daemon's own start leaves to do
    for c in later:
        i = engine.run(c)
        time.sleep(0.05)
        when = engine.tell(i)
        at = notice(watch, str(c.v4))
        took.append((at - when) / 1e6)
        answered.append(engine.answering * 1e3)
    watch.kill()
    row("start → enforced", took.text(2) + " ms", f"of it the engine's answers {answered.median:.2f} ms",
        f"<= {AIMS['start']:.0f} ms", took.median <= AIMS["start"])
    note(f"{len(took)} starts, one after another; the slowest tenth from {sorted(took)[len(took) * 9 // 10]:.2f} ms")
    lab.stop()


def memory(b, when):
    rss, pss, private = b.sizes_by["100/250"].memory()
    row(f"resident, {when}", f"{rss:.1f} MiB", f"proportional {pss:.1f}, its own {private:.1f} MiB",
        f"<= {AIMS['memory']:.0f} MiB", rss <= AIMS["memory"])


# What each step adds to the one before: chains that are empty in it.
SHARES = [("connection tracking", None),
          ("three hooks: bridge, prerouting, forward (established passes)", ["inet bulkhead source", "bridge bulkhead guard"]),
          ("what a new connection looks up in chain forward", ["inet bulkhead source", "bridge bulkhead guard"]),
          ("a workload's address at its interface (chain source)", ["bridge bulkhead guard"]),
          ("its address and MAC at its port (chain guard)", [])]


class Bench:
    def __init__(self, quick):
        self.quick, self.many = quick, 250
        self.rounds, self.slice = (5, 150) if quick else (25, 250)
        self.flood_rounds, self.flood_ms = (2, 2000) if quick else (5, 5000)
        self.starts = 10 if quick else 40
        self.sizes_by = {}

    @property
    def labs(self):
        return [*self.sizes_by.values(), *(x for x in vars(self).values() if isinstance(x, Lab))]

    def set_up(self, parts):
        self.none, self.tracking = Lab("none"), Lab("tracking").conntrack()
        if parts & {"stream", "connect", "memory"}:
            sizes = [(1, 10), (1000, 250)] if self.quick else [(p, w) for w in (10, 250) for p in (1, 100, 1000)]
            for p, w in sizes + [(100, 250)] * ("memory" in parts and (100, 250) not in sizes):
                self.sizes_by[f"{p}/{w}"] = Lab(f"{p}/{w}".replace("/", "-"), w).start(p)
            self.sizes = [self.sizes_by[f"{p}/{w}"] for p, w in sizes]
            self.full = self.sizes_by["1000/250"]
            self.fast = Lab("fast", 250).start(1000, more={"fast_path": True})
        if "learn" in parts:
            self.learn = Lab("learn", 10).start(0, mode="learn")
            self.learn_fast = Lab("learn-fast", 10).start(
                0, mode="learn", more={"fast_path": True, "learn": {"volume": False}})
        if "flood" in parts:
            self.flooded = Lab("enforcing", 10).start(100)
        if "shares" in parts:
            self.share_labs = [self.none, self.tracking]
            for i, (_, emptied) in enumerate(SHARES[1:]):
                lab = Lab(f"share{i}", 50).start(100).without(*emptied)
                if i == 0:
                    lab.only_established()
                self.share_labs.append(lab)
        if parts & {"verdicts", "first"}:
            self.audit, self.loop = Lab("audit", 250, 8), Lab("loop", 250, 8)
            self.audit.unpaced = self.loop.unpaced = True
            self.audit.start(100, mode="audit")
            self.loop.start(100, mode="audit").replace_by_loop()

        if "logging" in parts:
            disk = tempfile.mkdtemp(prefix="bulkhead-bench-", dir="/var/tmp")
            atexit.register(shutil.rmtree, disk, True)
            self.logged, self.unlogged = Lab("logged", 250, 8), Lab("unlogged", 250, 8)
            self.logged.unpaced = self.unlogged.unpaced = True
            for lab, program in ((self.logged, path_lab.BULKHEADD), (self.unlogged, path_lab.UNLOGGED)):
                lab.start(100, mode="audit", program=program, log=f"{disk}/{lab.name}")

    def stop(self):
        for lab in self.labs:
            lab.stop()


PARTS = {"stream": streams, "connect": connections, "shares": shares, "learn": learning, "verdicts": verdicts,
         "first": first_packets, "logging": logging, "flood": flood, "start": None, "memory": None}


def measure(quick, parts):
    b, begin = Bench(quick), time.monotonic()
    b.set_up(parts)
    print(f"{b.rounds} rounds, slices of {b.slice} ms; set-up took {time.monotonic() - begin:.0f} s; "
          f"median (least-greatest) of the rounds")
    if "memory" in parts:
        title("10. The daemon's memory, 250 workloads, 100 policies")
        memory(b, "after the start")
    for name, fn in PARTS.items():
        if name in parts and fn:
            fn(b)
    if "memory" in parts and parts & {"stream", "connect"}:
        title("10. The daemon's memory once more")
        memory(b, "after all this traffic")
    b.stop()  # a node has one daemon, and what follows is short
    if "start" in parts:
        starts(b)
    print(f"\n{len(missed)} aims missed{': ' if missed else ''}{'; '.join(missed)}; "
          f"took {time.monotonic() - begin:.0f} s", flush=True)


def main():
    p = argparse.ArgumentParser(prog="tests/bench/run path")
    p.add_argument("--quick", action="store_true", help="two minutes instead of ten")
    p.add_argument("--only", default=",".join(PARTS), help="some of " + ",".join(PARTS))
    a = p.parse_args()
    parts = set(a.only.split(","))
    if parts - set(PARTS):
        p.error("--only: some of " + ",".join(PARTS))
    if os.environ.get("BULKHEAD_BENCH_INSIDE") != "1":
        isolate(__file__)
    go_first()
    measure(a.quick, parts)


if __name__ == "__main__":
    try:
        main()
    except Failure as e:
        sys.exit(f"path: {e}")
