# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of ways around have in common: a small world, and frames sent from one link of it and
looked for at others.

In each of them every frame first has to arrive while no rules are loaded: one that the lab itself
swallows would show nothing.
"""
import json, os

import frames as f
from lab import Child, Container, Failure, run

GATEWAY4, GATEWAY6 = "10.77.0.1", "fd00:77::1"
OUTSIDE4, OUTSIDE6 = "198.51.100.7", "2001:db8:0:2::7"
OPEN, CLOSED = 5002, 5003  # UDP ports of b: for everybody, for a alone

POLICY = f"""\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: b, namespace: shop}}
spec:
  podSelector: {{matchLabels: {{app: b}}}}
  ingress:
  - ports: [{{protocol: UDP, port: {OPEN}}}, {{port: 80}}]
  - from: [{{podSelector: {{matchLabels: {{app: a}}}}}}]
    ports: [{{protocol: UDP, port: {CLOSED}}}, {{port: 81}}]
"""


def link(ns, ifname):
    return json.loads(run("ip", "-n", ns, "-j", "addr", "show", "dev", ifname))[0]


class Routed(Container):
    """Not on a bridge: the node has a host route to it, the container a gateway on its own link."""

    def __init__(self, lab, name, n, labels):
        self.lab, self.name, self.netns = lab, name, f"{lab.prefix}-{name}"
        self.v4, self.v6 = f"10.78.0.{n}", f"fd00:78::{n:x}"
        self.namespace, self.labels, self.image, self.servers = "shop", labels, "test:1", []
        self.host_if = f"r{n}-{os.getpid() % 100000}"[:15]
        lab.netns(self.netns)
        run("ip", "-n", lab.node, "link", "add", self.host_if, "type", "veth", "peer", "name", "eth0",
            "netns", self.netns)
        lab.sh(lab.node, f"""
            ip link set {self.host_if} up
            ip addr add 169.254.1.1/32 dev {self.host_if}
            ip -6 addr add fe80::1/64 dev {self.host_if} nodad
            ip route add {self.v4}/32 dev {self.host_if}
            ip -6 route add {self.v6}/128 dev {self.host_if}""")
        lab.sh(self.netns, f"""
            ip link set lo up
            ip addr add {self.v4}/32 dev eth0
            ip addr add {self.v6}/128 dev eth0 nodad
            ip link set eth0 up
            ip route add 169.254.1.1 dev eth0
            ip route add default via 169.254.1.1
            ip -6 route add default via fe80::1 dev eth0""")


def routed(lab, name, labels=None):
    lab.count += 1
    c = lab.containers[name] = Routed(lab, name, lab.count, labels or {"app": name})
    return describe(c)


def describe(c):
    """What a frame needs to know of a container."""
    x = link(c.netns, "eth0")
    c.mac = x["address"]
    c.ll = next(a["local"] for a in x["addr_info"] if a["local"].startswith("fe80"))
    c.host_if = getattr(c, "host_if", None) or next(
        l["ifname"] for l in json.loads(run("ip", "-n", c.lab.node, "-j", "link", "show"))
        if l["ifindex"] == x["link_index"])
    return c


def bridged(lab, *names, **kw):
    return [describe(lab.container(n, **kw)) for n in names]


def node_mac(lab, ifname="br0"):
    return link(lab.node, ifname)["address"]


def meet(lab, *containers, governed=False):
    """Everybody has everybody's true address in the neighbour tables, and the bridge its ports. governed:
    rules are loaded, so that not everybody is answered."""
    for ns in [lab.node] + [c.netns for c in containers]:
        lab.sh(ns, "ip neigh flush all")
    (lab.probes if governed else lab.expect)(
        [(x, addr, "udp", 9, "closed") for x in containers for y in containers if x is not y for addr in (y.v4, y.v6)] +
        [(x, addr, "udp", 9, "closed") for x in containers for addr in (GATEWAY4, GATEWAY6)])


class Frames:
    """Frames with their tokens: add(name, builder) calls builder(token)."""

    def __init__(self):
        self.all, self.tokens = {}, {}

    def add(self, name, build):
        if name in self.all:
            raise Failure(f"two frames are called {name}")
        self.tokens[name] = f.token()
        made = build(self.tokens[name])
        self.all[name] = made if isinstance(made, list) else [made]
        if not any(self.tokens[name] in x for x in self.all[name]):
            raise Failure(f"{name}: the token is in no frame")

    def udp(self, name, src, dst, source, dport=OPEN, to=None, wrap=None, mac=None, at=None, **ip):
        """A datagram from `src`'s link to `dst` (its MAC, or that at `at`), in the name of `source`. wrap:
        (type, tags, bytes before)."""
        def build(t):
            target = to or (dst.v6 if ":" in source else dst.v4)
            kind, tags, before = wrap or (None, (), b"")
            data = f.udp(source, target, 4000, dport, t)
            v6 = ":" in source
            packet = f.ip6(source, target, f.UDP, data, **ip) if v6 else f.ip4(source, target, f.UDP, data, **ip)
            return f.ether(mac or src.mac, at or dst.mac, kind or (f.IP6 if v6 else f.IP4), before + packet, tags)
        self.add(name, build)


def deliver(sender, fr, receivers, ports=(), want=(), ifname="eth0"):
    """{receiver's index: {"wire": names, "stack": names}} of the frames that came. Receivers are
    containers, or (namespace, interface)."""
    watchers = []
    for r in receivers:
        ns, dev = r if isinstance(r, tuple) else (r.netns, "eth0")
        rr, rw = os.pipe()
        sr, sw = os.pipe()
        watchers.append((Child(ns, f.watch, dev, fr.tokens, ports, list(want), rw, sr), sw))
        os.close(rw)
        os.close(sr)
        if os.read(rr, 1) != b"1":
            raise Failure(f"watching {ns}: {watchers[-1][0].result()}")
        os.close(rr)
    ns = getattr(sender, "netns", sender)
    Child(ns, f.send, ifname, [x for one in fr.all.values() for x in one]).result()
    for _, sw in watchers:
        os.write(sw, b"1")
    got = [w.result() for w, _ in watchers]
    for _, sw in watchers:
        os.close(sw)
    return got


def expect(what, got, want, where="wire"):
    """Exactly `want` came."""
    got, want = set(got[where]), set(want)
    if got != want:
        raise Failure(f"{what}: got through: {sorted(got - want) or 'nothing'}; missing: {sorted(want - got) or 'nothing'}")


def expect_all(what, fr, got, where="wire"):
    expect(what + ", without rules (else the test shows nothing)", got, fr.all, where)
