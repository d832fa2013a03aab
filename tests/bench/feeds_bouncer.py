# SPDX-License-Identifier: GPL-3.0-or-later
"""Bulkhead beside Debian's crowdsec-firewall-bouncer, which is given the same decisions by the same local
API, played by a few lines of Python in the node's own namespace: how long each takes to load them, and
what of a node's traffic each then stops. Called by feeds.py --bouncer."""
import json, os, shutil, subprocess, time

from lab import Child, Failure, Lab, run
import feeds

BOUNCER = "/usr/bin/crowdsec-firewall-bouncer"
IN_RANGE, RANGE = "198.51.100.66", "198.51.100.64/26"
CONFIG = """mode: nftables
pid_dir: {dir}
update_frequency: 1s
daemonize: false
log_mode: stdout
log_level: info
api_url: http://127.0.0.1:8080/
api_key: bench
disable_ipv6: false
deny_action: DROP
supported_decisions_types: [ban]
blacklists_ipv4: crowdsec-blacklists
blacklists_ipv6: crowdsec6-blacklists
nftables:
  ipv4: {{enabled: true, set-only: false, table: crowdsec, chain: crowdsec-chain}}
  ipv6: {{enabled: true, set-only: false, table: crowdsec6, chain: crowdsec6-chain}}
prometheus: {{enabled: false}}
"""


def node(lab):
    """A container with a server, a server of the node's own, and the local API."""
    lab.box = lab.container("a")
    lab.box.serve(tcp=[80])
    lab.serve(lab.node, tcp=[80])
    lab.serve(lab.out, tcp=[443])


def serve(lab, body):
    r, w = os.pipe()
    lab.children.append(Child(lab.node, feeds.lapi, body, [], w, "127.0.0.1"))
    os.read(r, 1)


def elements(lab):
    r = subprocess.run(["ip", "netns", "exec", lab.node, "nft", "-j", "list", "set", "ip", "crowdsec",
                        "crowdsec-blacklists"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    if r.returncode:
        return 0
    return sum(len(o["set"].get("elem", [])) for o in json.loads(r.stdout)["nftables"] if "set" in o)


def load_bouncer(lab, n):
    conf = lab.write("bouncer.yaml", CONFIG.format(dir=lab.dir))
    log = open(os.path.join(lab.dir, "bouncer.log"), "w")
    t = time.monotonic()
    p = subprocess.Popen(["ip", "netns", "exec", lab.node, BOUNCER, "-c", conf], stdout=log, stderr=log)
    last = 0
    try:
        while last < n:
            time.sleep(1)
            last = elements(lab)
            if p.poll() is not None or time.monotonic() - t > 600:
                with open(log.name) as f:
                    raise Failure(f"{last} of {n} decisions in the kernel; the bouncer says: {f.read()[-2000:]}")
    except BaseException:
        p.kill()
        raise
    return time.monotonic() - t, p


def load_bulkhead(lab, n):
    keys = lab.write("keys", "X-Api-Key: bench\n")
    t = time.monotonic()
    lab.start(mode="enforce", feeds=[{"name": "cs", "url": "http://127.0.0.1:8080/", "format": "crowdsec",
                                      "headers_file": keys, "interval": "1d", "max_growth_percent": 0}])
    feeds.enforced(lab, n, t)
    return time.monotonic() - t


def stopped(lab):
    """What is asked, and whether it was dropped."""
    out, box = lab.out, lab.box
    asked = [("a listed source, to the node itself", out, "192.0.2.1", 80, feeds.BAD),
             ("a source in a listed range, to the node itself", out, "192.0.2.1", 80, IN_RANGE),
             ("a listed source, to a container", out, box.v4, 80, feeds.BAD),
             ("a source in a listed range, to a container", out, box.v4, 80, IN_RANGE),
             ("a container, to a listed address", box, feeds.BAD, 443, None),
             ("a container, to an address in a listed range", box, IN_RANGE, 443, None),
             ("the node itself, to a listed address", lab.node, feeds.BAD, 443, None),
             ("  control: a container, to an address that nobody lists", box, feeds.GOOD, 443, None)]
    return [(what, lab.probe(src, dst, "tcp", port, source=source, timeout=1.5) == "drop")
            for what, src, dst, port, source in asked]


def main(args):
    lists = Lab("l")
    try:
        path = os.path.join(lists.dir, "list")
        run(feeds.TOOL, "list", str(args.nft), "1", path)
        with open(path) as f:
            hosts = sorted({x.strip() for x in f if "/" not in x})
    finally:
        lists.close()
    # The range last: a decision on it is what is lost, if ranges are taken for addresses.
    body = feeds.stream([feeds.ban(x) for x in hosts + [feeds.BAD]] + [feeds.ban(RANGE, "Range")], [])
    n = len(hosts) + 2
    result = {}
    have = shutil.which(BOUNCER)
    for who in (["bulkhead", "bouncer"] if have else ["bulkhead"]):
        lab, p = Lab("w" if who == "bouncer" else "x"), None
        try:
            node(lab)
            serve(lab, body)
            if who == "bouncer":
                took, p = load_bouncer(lab, n)
            else:
                took = load_bulkhead(lab, n)
            result[who] = took, dict(stopped(lab))
        finally:
            if p:
                p.terminate()
                p.wait(30)
            lab.close()
    version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "crowdsec-firewall-bouncer"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    beside = f"bouncer {version}" if have else "(no bouncer here)"
    print(f"{'':58} {'bulkhead':>12} {beside:>24}")
    told = result.get("bouncer")
    print(f"{f'{n} decisions, from its start until they are in force':58} {result['bulkhead'][0]:>10.1f} s "
          f"{f'{told[0]:.1f} s' if told else '':>24}")
    for what, dropped in result["bulkhead"][1].items():
        word = {True: "blocked", False: "passes"}
        print(f"{what:58} {word[dropped]:>12} {word[told[1][what]] if told else '':>24}")
