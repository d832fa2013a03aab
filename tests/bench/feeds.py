#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threat feeds by the million: from file to enforced, memory, deltas of a file and of a stream, a
policy change meanwhile, a listed address under a hundred reloads, look-ups, the cost of a packet;
with --bouncer beside Debian's crowdsec-firewall-bouncer. Run by tests/bench/run feeds.

Everything is sent in network namespaces of its own. It prints figures and judges nothing."""
import argparse, http.server, json, os, random, select, socket, statistics, subprocess, sys, threading, time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("BULKHEAD_BUILD", os.path.join(TOP, "build-bench"))
sys.path.insert(0, os.path.join(TOP, "tests/system"))
from lab import BUILD, Child, Failure, Lab, run, wait_for  # noqa: E402

TOOL = os.path.join(BUILD, "tests/bench/bench_feeds")
BAD, GOOD, PORT = "203.0.113.200", "203.0.113.9", 5999


def memory(pid, what):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(what + ":")) / 1024


def row(name, value, aim):
    print(f"{name:58} {value:>24}   {aim}", flush=True)


def loading(lab):
    return lab.status()["feeds"]


def enforced(lab, n, since):
    """Seconds from `since` until n indicators are in the kernel and in force."""
    while True:
        f = loading(lab)
        if f["indicators"] == n and not f["loading"]:
            return time.monotonic() - since
        if time.monotonic() - since > 120:
            raise Failure(f"not enforced: {f}")
        time.sleep(0.01)


def replace(path, source):
    tmp = path + ".tmp"
    with open(source, "rb") as a, open(tmp, "wb") as b:
        b.write(a.read())
    os.rename(tmp, path)


def policy(i):
    return f"""apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: p, namespace: shop}}
spec: {{podSelector: {{matchLabels: {{app: nobody}}}}, policyTypes: [Ingress], ingress: [{{ports: [{{port: {1000 + i}}}]}}]}}
"""


class Changes(threading.Thread):
    """Applies policies as fast as it can and notes how long each took."""

    def __init__(self, lab):
        super().__init__()
        self.lab, self.took, self.go, self.over = lab, [], True, []

    def run(self):
        i = 0
        while self.go:
            path = os.path.join(self.lab.dir, "change.yaml")
            with open(path, "w") as f:
                f.write(policy(i))
            t = time.monotonic()
            self.lab.cli("policy", "apply", path)
            self.took.append(time.monotonic() - t)
            i += 1


def _sink(ready, stop):
    got, ep, socks = {BAD: 0, GOOD: 0}, select.epoll(), {}
    for a in got:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((a, PORT))
        socks[s.fileno()] = (s, a)
        ep.register(s, select.EPOLLIN)
    ep.register(stop, select.EPOLLIN)
    os.write(ready, b"1")
    while True:
        for fd, _ in ep.poll():
            if fd == stop:
                return got
            socks[fd][0].recv(100)
            got[socks[fd][1]] += 1


def _source(stop):
    n = 0
    while not select.select([stop], [], [], 0.002)[0]:
        for a in (BAD, GOOD):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                s.sendto(b"x", (a, PORT))
            except OSError:
                pass
            s.close()
        n += 1
    return n


def send(netns, count, kind):
    out = run("nsenter", f"--net=/run/netns/{netns}", TOOL, "send", GOOD, str(count), kind)
    return json.loads(out)["ns"]


def ban(value, scope="Ip"):
    return {"scope": scope, "type": "ban", "duration": "4h", "value": value, "origin": "bench"}


def lapi(first, deltas, ready, address="192.0.2.2"):
    """CrowdSec's local API as far as a stream goes: `first` (bytes), then the deltas, each once."""
    class H(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = first if "startup=true" in self.path else deltas.pop(0) if deltas else b'{"new":null,"deleted":null}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *a):
            pass
    s = http.server.HTTPServer((address, 8080), H)
    os.write(ready, b"1")
    s.serve_forever()


def stream(new, deleted):
    return json.dumps({"new": new or None, "deleted": deleted or None}, separators=(",", ":")).encode()


def measure_load(lab, args, lists, path):
    idle = memory(lab.daemon.pid, "VmRSS")
    times, deltas = [], []
    for i in range(args.rounds):
        with open(path, "w") as f:
            f.write(BAD + "\n")
        lab.cli("feed", "refresh", "big")
        enforced(lab, 1, time.monotonic())
        replace(path, lists[0])
        t = time.monotonic()
        lab.cli("feed", "refresh", "big")
        times.append(enforced(lab, args.n_total, t))
    rss, peak = memory(lab.daemon.pid, "VmRSS"), memory(lab.daemon.pid, "VmHWM")
    row(f"{args.n} indicators, from file to enforced (median)", f"{statistics.median(times):.2f} s", "<= 2 s")
    row("daemon memory above idle, afterwards", f"{rss - idle:.1f} MiB", "<= 64 MiB")
    row("  at its peak while loading", f"{peak - idle:.1f} MiB", "")
    for i in range(args.rounds):
        replace(path, lists[1 - i % 2])
        t = time.monotonic()
        lab.cli("feed", "refresh", "big")
        want = args.n_total + 1000 * (1 - i % 2)
        enforced(lab, want, t)
        f = loading(lab)
        deltas.append((f["load_ms"], f["added"] + f["removed"], f["enforced_ms"]))
    row(f"a file's delta of {max(d[1] for d in deltas)}, all of it read again (median)",
        f"{statistics.median(d[2] for d in deltas):.0f} ms", "")
    row("  into the kernel, of that", f"{statistics.median(d[0] for d in deltas):.0f} ms", "")


def measure_stream(args, lists):
    """What a bouncer's stream brings: a million decisions, then changes of them."""
    lab = Lab("c")
    try:
        with open(lists[0]) as f:
            first = stream([ban(x.strip(), "Range" if "/" in x else "Ip") for x in f], [])
        # Each is one shorter than the one before, which it takes back: so it shows which is in force.
        some = [[ban(f"203.0.{120 + 4 * (i % 2) + k // 256}.{k % 256}") for k in range(1000 - i)]
                for i in range(args.rounds * 2 + 1)]
        deltas = [stream(x, some[i - 1] if i else []) for i, x in enumerate(some)]
        r, w = os.pipe()
        lab.children.append(Child(lab.out, lapi, first, deltas, w))
        os.read(r, 1)
        keys = lab.write("keys", "X-Api-Key: bench\n")
        lab.start(mode="enforce", feeds=[{"name": "cs", "url": "http://192.0.2.2:8080/", "format": "crowdsec",
                                          "headers_file": keys, "interval": "1d", "max_growth_percent": 0}])
        t = time.monotonic()
        enforced(lab, args.n_total, t)
        row(f"a stream of {args.n_total} decisions ({len(first) >> 20} MiB)", f"{loading(lab)['enforced_ms'] / 1000:.2f} s", "")
        took = []
        for i, x in enumerate(some):
            time.sleep(0.2)
            lab.cli("feed", "refresh", "cs")
            enforced(lab, args.n_total + len(x), time.monotonic())
            f = loading(lab)
            if i:  # the first only adds
                took.append((f["enforced_ms"], f["load_ms"], f["added"] + f["removed"]))
        row("  a delta of 1000 new and 1000 gone (median, slowest)",
            f"{statistics.median(x[0] for x in took)}, {max(x[0] for x in took)} ms", "<= 50 ms")
        row("  into the kernel and out of it, of that", f"{statistics.median(x[1] for x in took)} ms", "")
    finally:
        lab.close()


def measure_changes(lab, args, lists, path):
    plain = Changes(lab)
    plain.start()
    time.sleep(3)
    plain.go = False
    plain.join()
    busy = Changes(lab)
    busy.start()
    for i in range(args.rounds):
        with open(path, "w") as f:
            f.write(BAD + "\n")
        lab.cli("feed", "refresh", "big")
        enforced(lab, 1, time.monotonic())
        replace(path, lists[0])
        lab.cli("feed", "refresh", "big")
        enforced(lab, args.n_total, time.monotonic())
    busy.go = False
    busy.join()
    base = statistics.median(plain.took)
    row("a policy change: median without, median during reloads",
        f"{1000 * base:.0f}, {1000 * statistics.median(busy.took):.0f} ms", "")
    row("  the slowest during reloads is delayed by", f"{1000 * (max(busy.took) - base):.0f} ms", "<= 100 ms")
    row("  the slowest without", f"{1000 * (max(plain.took) - base):.0f} ms", "")


def measure_traffic(lab, args, lists, path, a):
    rr, rw = os.pipe()
    stop_r, stop_w = os.pipe()
    src_r, src_w = os.pipe()
    sink = Child(lab.out, _sink, rw, stop_r)
    lab.children.append(sink)
    os.read(rr, 1)
    source = Child(a.netns, _source, src_r)
    lab.children.append(source)
    for i in range(args.reloads):
        replace(path, lists[i % 2] if i % 5 else lists[2])
        lab.cli("feed", "refresh", "big")
        time.sleep(random.random() * 0.6)
    wait_for("the last is in force", lambda: not loading(lab)["loading"], timeout=120)
    os.write(src_w, b"q")
    sent = source.result()
    os.write(stop_w, b"q")
    got = sink.result(timeout=60)
    row(f"datagrams to a listed address in {args.reloads} reloads", f"{got[BAD]} of {sent} passed", "0")
    row("  the control, which nobody lists", f"{got[GOOD]} of {sent} passed", "")


def _answer_once(address, ready):
    """Port 10 answers, so that what comes there is established; port 9 takes all and says nothing."""
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for s, port in zip(socks, (9, 10)):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.bind((address, port))
    os.write(ready, b"1")
    while True:
        data, peer = socks[1].recvfrom(100)
        socks[1].sendto(data, peer)
        time.sleep(0.01)  # most of what comes meanwhile finds the buffer full


def measure_packets(args, lists):
    """Two nodes side by side, one with the list and one with a single address, take turns."""
    labs, cost = {}, {}
    try:
        for full in (False, True):
            lab = labs[full] = Lab("p" if full else "q")
            lab.box = lab.container("a")
            r, w = os.pipe()
            lab.children.append(Child(lab.out, _answer_once, GOOD, w))
            os.read(r, 1)
            path = lists[0] if full else lab.write("big.txt", BAD + "\n")
            lab.start(mode="enforce", feeds=[{"name": "big", "url": path, "interval": "1d"}])
            enforced(lab, args.n_total if full else 1, time.monotonic())
        for i in range(args.slices):
            for full in (False, True) if i % 2 else (True, False):
                lab = labs[full]
                run("ip", "netns", "exec", lab.node, "conntrack", "-F", check=False)
                send(lab.box.netns, 500, "new")
                cost.setdefault(("new", full), []).append(send(lab.box.netns, 10000, "new"))
                send(lab.box.netns, 1, "same")
                time.sleep(0.05)
                cost.setdefault(("same", full), []).append(send(lab.box.netns, 30000, "same"))
        for kind, name, aim in (("new", "new flows", "<= 1.05"), ("same", "an established flow", "1.00")):
            ratio = [a / b for a, b in zip(cost[kind, True], cost[kind, False])]
            full, none = (statistics.median(cost[kind, x]) for x in (True, False))
            q = statistics.quantiles(ratio, n=4)
            row(f"packets of {name}: full / none ({full:.0f} / {none:.0f} ns)",
                f"{statistics.median(ratio):.3f} ({q[0]:.2f}-{q[2]:.2f})", aim)
    finally:
        for lab in labs.values():
            lab.close()


def nft_beside(args, lists):
    """What the tool that other bouncers call takes for the same addresses."""
    with open(lists[0]) as f:
        hosts = [x.strip() for x in f if "/" not in x][:args.nft]
    text = "add table inet b\nadd set inet b s { type ipv4_addr; }\n" + "".join(
        "add element inet b s { " + ",".join(hosts[i:i + 1000]) + " }\n" for i in range(0, len(hosts), 1000))
    t = time.monotonic()
    r = subprocess.run(["unshare", "-n", "nft", "-f", "-"], input=text, text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    row(f"beside it: nft -f of {len(hosts)} single addresses",
        f"{time.monotonic() - t:.2f} s" if not r.returncode else "failed: " + r.stdout.strip()[:60], "")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--n", type=int, default=1000000, help="indicators, 95 %% of them single addresses")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--reloads", type=int, default=100)
    p.add_argument("--nft", type=int, default=100000, help="addresses that nft -f is given beside it")
    p.add_argument("--slices", type=int, default=60, help="of packets, on each of two nodes in turn")
    p.add_argument("--only", default="index,load,stream,changes,traffic,packets,nft", help="parts")
    p.add_argument("--bouncer", action="store_true", help="beside crowdsec-firewall-bouncer, and nothing else")
    args = p.parse_args()
    if args.bouncer:
        import feeds_bouncer
        feeds_bouncer.main(args)
        return
    part = args.only.split(",")
    lab = Lab("b")
    try:
        lists = [os.path.join(lab.dir, x) for x in ("list", "more", "tiny")]
        run(TOOL, "list", str(args.n), "1", lists[0])
        with open(lists[0], "a") as f:
            f.write(BAD + "\n")
        with open(lists[0]) as f, open(lists[1], "w") as g:
            g.write(f.read() + "".join(f"203.0.{120 + k // 256}.{k % 256}\n" for k in range(1000)))
        with open(lists[2], "w") as f:
            f.write("203.0.113.192/28\n")
        index = json.loads(run(TOOL, "index", lists[0], str(args.rounds)))
        args.n_total = index["indicators"]
        print(f"{'':58} {'measured':>24}   aim")
        row("look-ups a second, random, one thread", f"{index['lookups_per_s'] / 1e6:.0f} million", ">= 80 million")
        row("  parse, sort, build the index", "{parse_s:.2f} + {sort_s:.2f} + {build_s:.2f} s".format(**index), "")
        row("  1000 more: merge, change the index",
            f"{1000 * index['merge_s']:.0f} + {1000 * index['change_s']:.0f} ms", "")
        a = lab.container("a")
        path = lab.write("big.txt", BAD + "\n")
        lab.start(mode="enforce", feeds=[{"name": "big", "url": path, "max_shrink_percent": 100,
                                          "max_growth_percent": 0, "interval": "1d"}])
        wait_for("the start", lambda: loading(lab)["indicators"] == 1 and not loading(lab)["loading"])
        if "load" in part:
            measure_load(lab, args, lists, path)
        if "changes" in part:
            measure_changes(lab, args, lists, path)
        if "traffic" in part:
            measure_traffic(lab, args, lists, path, a)
        lab.stop()
        if "stream" in part:
            measure_stream(args, lists)
        if "packets" in part:
            measure_packets(args, lists)
        if "nft" in part:
            nft_beside(args, lists)
    finally:
        lab.close()


if __name__ == "__main__":
    main()
