#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways around by the node: ports that it publishes (DNAT), its own sockets, and its bridge settings."""
import frames as f
from around import (CLOSED, GATEWAY4, GATEWAY6, OPEN, OUTSIDE4, OUTSIDE6, Frames, bridged, deliver, expect, link, meet,
                    node_mac, routed)
from lab import Failure, Suite, run, wait_for

POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: b, namespace: shop}
spec:
  podSelector: {matchLabels: {app: b}}
  ingress:
  - ports: [{port: 80}]
  - from: [{podSelector: {matchLabels: {app: a}}}]
    ports: [{port: 81}]
  - from: [{ipBlock: {cidr: 192.0.2.0/24}}, {ipBlock: {cidr: "2001:db8:0:1::/64"}}]
    ports: [{port: 90}]
"""
PUBLISHED4, PUBLISHED6 = "192.0.2.1", "2001:db8:0:1::1"


def publish(lab, b):
    """As container engines do: 80xx on every address of the node goes to port xx of b."""
    for family, to, wrap in (("ip", b.v4, "{}"), ("ip6", b.v6, "[{}]")):
        rules = " ".join(f"fib daddr type local tcp dport 80{p} dnat to {wrap.format(to)}:{p};" for p in (80, 81, 90))
        lab.write("nat.nft", f"""
table {family} published {{
    chain in {{ type nat hook prerouting priority dstnat; {rules} }}
    chain own {{ type nat hook output priority -100; {rules} }}
    chain out {{ type nat hook postrouting priority srcnat; {family} saddr {to} {family} daddr {to} masquerade; }}
}}""")
        lab.sh(lab.node, f"nft -f {lab.dir}/nat.nft")


def world(lab, *names):
    a, b, c = bridged(lab, "a", "b", "c")
    b.serve(tcp=[80, 81, 82, 90])
    meet(lab, a, b, c)
    lab.policy("b.yaml", POLICY)
    publish(lab, b)
    # What is for b by way of the node leaves by the port where it came in.
    run("ip", "-n", lab.node, "link", "set", b.host_if, "type", "bridge_slave", "hairpin", "on")
    return a, b, c


def published(a, b, c, out, verdict):
    """To b by the node's addresses, inside and outside; `verdict` of what policy denies."""
    rows = []
    for four, six in ((GATEWAY4, GATEWAY6), (PUBLISHED4, PUBLISHED6)):
        for addr in (four, six):
            rows += [(a, addr, "tcp", 8080, "open"), (a, addr, "tcp", 8081, "open"), (a, addr, "tcp", 8090, verdict),
                     (c, addr, "tcp", 8080, "open"), (c, addr, "tcp", 8081, verdict), (c, addr, "tcp", 8090, verdict),
                     (b, addr, "tcp", 8080, "open"), (b, addr, "tcp", 8081, "open")]
    for addr in (PUBLISHED4, PUBLISHED6):
        rows += [(out, addr, "tcp", 8080, "open"), (out, addr, "tcp", 8081, verdict), (out, addr, "tcp", 8090, "open")]
    return rows


def test_published_ports_are_decided_by_the_container_behind(lab):
    """And by the true source: outside, another container, or the container itself by way of the node."""
    a, b, c = world(lab)
    lab.expect(published(a, b, c, lab.out, "open"))
    lab.start(mode="enforce")
    lab.expect(published(a, b, c, lab.out, "drop"))


def test_published_ports_of_a_routed_container(lab):
    a, c = bridged(lab, "a", "c")
    b = routed(lab, "b")
    b.serve(tcp=[80, 81, 82, 90])
    lab.policy("b.yaml", POLICY)
    publish(lab, b)
    lab.expect(published(a, b, c, lab.out, "open"))
    lab.start(mode="enforce")
    lab.expect(published(a, b, c, lab.out, "drop"))


def test_the_node_is_not_a_way_round(lab):
    """host: policy: every address of the node's is the node, the bridge's own and its others alike."""
    a, b, c = bridged(lab, "a", "b", "c")
    lab.serve(lab.node, tcp=[22, 53], udp=[53])
    lab.policy("c.yaml", """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: c, namespace: shop}
spec:
  podSelector: {matchLabels: {app: c}}
  policyTypes: [Egress]
  egress:
  - to: [{ipBlock: {cidr: 10.77.0.1/32}}, {ipBlock: {cidr: "fd00:77::1/128"}}]
    ports: [{port: 53}, {port: 53, protocol: UDP}]
""")
    rows = lambda v: [(c, addr, proto, 53, "open") for addr in (GATEWAY4, GATEWAY6) for proto in ("tcp", "udp")] + \
        [(c, addr, "tcp", 22, v) for addr in (GATEWAY4, GATEWAY6, PUBLISHED4, PUBLISHED6)] + \
        [(c, addr, "udp", 53, v) for addr in (PUBLISHED4, PUBLISHED6)] + [(a, GATEWAY4, "tcp", 22, "open")]
    lab.expect(rows("open"))
    lab.start(mode="enforce", host="policy")
    lab.expect(rows("drop"))
    ll = next(x["local"] for x in link(lab.node, "br0")["addr_info"] if x["local"].startswith("fe80"))
    fr = Frames()
    for name, source in (("own", c.v6), ("own link-local", c.ll)):
        fr.udp(f"{name} to the node's link-local address", c, c, source, to=ll, at=node_mac(lab))
    expect("the node's sockets", deliver(c, fr, [(lab.node, "br0")], [OPEN])[0], (), "stack")


def recorded(lab):
    return len([r for r in lab.audited("sysctl") if "bridge-nf" in r["message"]])


def setting(lab, name):
    return int(lab.sh(lab.node, f"cat /proc/sys/net/bridge/{name}"))


def test_bridge_settings_are_switched_on_again(lab):
    """Without them one bridge's containers talk past every rule."""
    a, b, c = world(lab)
    lab.sh(lab.node, "sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0")
    lab.start(mode="enforce")
    denied = [(c, b.v4, "tcp", 82, "drop"), (c, b.v6, "tcp", 82, "drop"), (a, b.v4, "tcp", 81, "open")]
    lab.expect(denied)
    for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
        before = recorded(lab)
        lab.sh(lab.node, f"sysctl -qw net.bridge.{name}=0")
        wait_for(name + " is on again", lambda: setting(lab, name) == 1, 30)
        wait_for("that is on record", lambda: recorded(lab) > before)
        lab.expect(denied)


def test_without_bridge_settings_everything_is_open(lab):
    """What the test above rests on."""
    a, b, c = world(lab)
    lab.start(mode="enforce")
    lab.expect([(c, b.v4, "tcp", 82, "drop")])
    lab.daemon.send_signal(19)  # stopped: it can't switch anything on
    try:
        lab.sh(lab.node, "sysctl -qw net.bridge.bridge-nf-call-iptables=0")
        lab.expect([(c, b.v4, "tcp", 82, "open")])
    finally:
        lab.daemon.send_signal(18)


if __name__ == "__main__":
    Suite("an").main(globals())
