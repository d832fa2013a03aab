#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What following the containers costs: from the engine's start event to the rule in the kernel, and the
daemon's memory and CPU while nothing happens, with 10, 250 and 1,000 workloads on the node.

Most of them are there before, from a static file; those whose start is timed come from an engine that
answers as Docker's does. The baseline of memory and CPU is the same daemon on a node without workloads,
in the same run; that of the time is what the engine's answers alone took.
"""
import argparse, os, sys, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import path_lab
from path_engine import Engine
from path_lab import Container, Failure, Lab, Values, background, go_first, isolate, notice, plug_in, watched

SIZES = (0, 10, 250, 1000)
POLICIES = 100


class Node(Lab):
    """`workloads` that are there, and the namespaces of those that start later."""

    def __init__(self, workloads, starts):
        self.make_node(f"n{workloads}")
        self.apps = max(1, workloads // path_lab.REPLICAS)
        every = [Container(self, f"w{i}", 2 + i, {"app": f"a{i % self.apps}", "tier": f"t{i % 3}"})
                 for i in range(workloads + starts)]
        self.fill, self.later = every[:workloads], every[workloads:]
        for i in range(0, len(every), 250):
            plug_in(self.node, every[i:i + 250])

    def containers(self):
        return self.fill

    def spec(self):
        pid = self.daemon.pid if self.daemon else 0
        return ",".join([self.name, self.node, str(pid)] + [c.spec() for c in self.later[:3]])


def used(pid):
    """Seconds of CPU, of all its threads: the process's own clock, as /proc/PID/stat counts in hundredths."""
    return time.clock_gettime(~pid << 3 | 2)  # CPUCLOCK_SCHED


def idle(node, seconds, rounds):
    shares = Values()
    for _ in range(rounds):
        begin, before = time.monotonic(), used(node.daemon.pid)
        time.sleep(seconds)
        shares.append(100 * (used(node.daemon.pid) - before) / (time.monotonic() - begin))
    return shares


def starts(node, engine):
    watch = background("watch", watched(node, node.later))
    took, answered = Values(), Values()
    for c in node.later:
        i = engine.run(c)
        time.sleep(0.1)
        when = engine.tell(i)
        took.append((notice(watch, str(c.v4)) - when) / 1e6)
        answered.append(engine.answering * 1e3)
    watch.kill()
    watch.wait()
    return took, answered


def measure(size, quick):
    node = Node(size, 10 if quick else 40)
    engine = Engine(f"{path_lab.WORK}/{size}.sock")
    node.start(POLICIES, sources=[{"docker": engine.path}, {"static": node.dir + "/workloads.yaml"}])
    time.sleep(2 if quick else 15)  # what its own start leaves to do
    rss, _, private = node.memory()
    share = idle(node, 4 if quick else 10, 2 if quick else 3)
    took, answered = starts(node, engine)
    node.check()
    node.stop()
    print(f"{size:>9} {took.text(2):>22} {answered.text(2):>22} {rss:>9.1f} {private:>9.1f} {share.text(2):>20}",
          flush=True)


def main():
    p = argparse.ArgumentParser(prog="tests/bench/run inventory")
    p.add_argument("--quick", action="store_true", help="one minute instead of five")
    p.add_argument("--only", default=",".join(map(str, SIZES)), help="some of " + ",".join(map(str, SIZES)))
    a = p.parse_args()
    if os.environ.get("BULKHEAD_BENCH_INSIDE") != "1":
        isolate(__file__)
    go_first()
    print(f"{POLICIES} policies, mode enforce; times in ms, memory in MiB, CPU in percent of one: median (least-greatest)")
    print(f"{'workloads':>9} {'start -> enforced':>22} {'of it the answers':>22} {'resident':>9} {'its own':>9} {'idle CPU':>20}")
    for size in map(int, a.only.split(",")):
        measure(size, a.quick)


if __name__ == "__main__":
    try:
        main()
    except Failure as e:
        sys.exit(f"inventory: {e}")
