#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change denies is cut behind address translation too: ports that the node publishes, asked from outside and by
containers, hairpin and masquerade. What stays allowed does not lose a packet."""
from around import bridged
from lab import Suite, run, wait_for
from streams import NP, Stream, change, in_force, loose, ports

PUBLISHED4, PUBLISHED6 = "192.0.2.1", "2001:db8:0:1::1"
OUT4, OUT6 = "198.51.100.66", "2001:db8:0:2::66"


def nat(lab, *pairs):
    """As container engines do: the node's ports 70xx go to the containers given for them, what containers say to the
    outside, or to themselves by way of the node, is said in the node's name."""
    for family, net in (("ip", "10.77.0.0/24"), ("ip6", "fd00:77::/64")):
        rules = " ".join(f"fib daddr type local {proto} dport {port} dnat to {c.v4 if family == 'ip' else '[' + c.v6 + ']'}:{port};"
                         for c, port in pairs for proto in ("tcp", "udp"))
        lab.write("nat.nft", f"""
table {family} published {{
    chain in {{ type nat hook prerouting priority dstnat; {rules} }}
    chain own {{ type nat hook output priority -100; {rules} }}
    chain out {{ type nat hook postrouting priority srcnat;
        {family} saddr {net} oifname != "br0" masquerade; {family} saddr {net} {family} daddr {net} ct status dnat masquerade; }}
}}""")
        lab.sh(lab.node, f"nft -f {lab.dir}/nat.nft")


def stream(lab, src, dst, addr, proto, port, push, seconds=5):
    return Stream(lab, src, dst, addr, proto, port, push, seconds, at=None if dst == lab.out else dst.v6 if ":" in addr else dst.v4)


KINDS = [(proto, push) for proto in ("tcp", "udp") for push in (False, True)]


class World:
    """api publishes eight ports; web and old ask for them, as the outside does."""

    def __init__(self, lab, mode, policy=None, **conf):
        self.lab = lab
        self.web, self.old, self.api = bridged(lab, "web", "old", "api")
        self.ports = [next(ports) for _ in range(24)]
        # The lab's IPv6 takes a second.
        lab.expect([(c, OUT6, "udp", 9, "closed") for c in (self.web, self.old, self.api)], 5)
        nat(lab, *[(self.api, p) for p in self.ports])
        if policy:
            lab.policy("p.yaml", policy)
        run("ip", "-n", lab.node, "link", "set", self.api.host_if, "type", "bridge_slave", "hairpin", "on")
        lab.start(mode=mode, **conf)
        loose(lab)

    def to_api(self, src, addr, kinds=KINDS):
        return [stream(self.lab, src, self.api, addr, proto, self.ports.pop(), push) for proto, push in kinds]

    def to_out(self, src, addr, kinds=KINDS):
        return [stream(self.lab, src, self.lab.out, addr, proto, next(ports), push) for proto, push in kinds]


def ingress(peers):
    return NP % ("api", "shop") + f"spec: {{podSelector: {{matchLabels: {{app: api}}}}, ingress: [{{from: [{', '.join(peers)}]}}]}}\n"


WEB, OLD = ("{podSelector: {matchLabels: {app: %s}}}" % n for n in ("web", "old"))
OUTSIDE = '{ipBlock: {cidr: 192.0.2.0/24}}, {ipBlock: {cidr: "2001:db8:0:1::/64"}}'


def test_published_ports_from_outside(lab):
    w = World(lab, "enforce", ingress([WEB, OUTSIDE]))
    cut = w.to_api(lab.out, PUBLISHED4) + w.to_api(lab.out, PUBLISHED6)
    whole = w.to_api(w.web, PUBLISHED4) + w.to_api(w.web, w.api.v4)

    def act():
        lab.policy("p.yaml", ingress([WEB]))
        in_force(lab, 2)
    change(lab, cut, whole, act)


def test_published_ports_from_a_container(lab):
    """By way of the node, with the container's own address or in the node's name."""
    w = World(lab, "enforce", ingress([WEB, OLD, OUTSIDE]))
    cut = w.to_api(w.old, PUBLISHED4) + w.to_api(w.old, PUBLISHED6, KINDS[:2])
    whole = w.to_api(w.web, PUBLISHED4) + w.to_api(lab.out, PUBLISHED4)

    def act():
        lab.policy("p.yaml", ingress([WEB, OUTSIDE]))
        in_force(lab, 2)
    change(lab, cut, whole, act)


def test_quarantine_of_who_publishes(lab):
    w = World(lab, "learn")
    cut = w.to_api(lab.out, PUBLISHED4) + w.to_api(w.old, PUBLISHED4) + w.to_out(w.api, OUT4) + w.to_api(lab.node, PUBLISHED4, KINDS[:2])
    whole = w.to_out(w.web, OUT4) + w.to_out(w.web, OUT6, KINDS[:2])
    change(lab, cut, whole, lambda: lab.cli("quarantine", "add", "shop/api"))


def test_egress_behind_masquerade(lab):
    egress = NP % ("old", "shop") + "spec: {podSelector: {matchLabels: {app: old}}, policyTypes: [Egress], egress: [%s]}\n"
    w = World(lab, "enforce", egress % "{}")
    cut = w.to_out(w.old, OUT4) + w.to_out(w.old, OUT6)
    whole = w.to_out(w.web, OUT4) + w.to_out(w.web, OUT6)

    def act():
        lab.policy("p.yaml", egress % "")
        in_force(lab, 2)
    change(lab, cut, whole, act)


def test_feed_behind_translation(lab):
    """An outside address is listed: what containers say to it in the node's name, and what it asks of published ports."""
    w = World(lab, "learn")
    cut = w.to_out(w.old, OUT4) + w.to_out(w.old, OUT6)
    whole = w.to_out(w.web, "198.51.100.7") + w.to_api(lab.out, PUBLISHED4)  # from 192.0.2.2

    def act():
        lab.write("bad.txt", f"{OUT4}\n{OUT6}\n")
        lab.config(mode="learn", feeds=[{"name": "bad", "url": lab.dir + "/bad.txt"}])
        wait_for("the feed in force", lambda: OUT4 in lab.nft(), step=0.01)
    change(lab, cut, whole, act)


def as_listed(lab):
    """The outside speaks to the node from the address that will be listed; its own is that of the node's gateway,
    which no feed may block."""
    lab.sh(lab.out, f"""
        ip route add 192.0.2.1/32 dev eth0 src 198.51.100.66
        ip -6 route add 2001:db8:0:1::1/128 dev eth0 src 2001:db8:0:2::66""")


def test_feed_of_who_asks_published_ports(lab):
    w = World(lab, "learn")
    as_listed(lab)
    cut = w.to_api(lab.out, PUBLISHED4) + w.to_api(lab.out, PUBLISHED6)
    whole = w.to_api(w.web, PUBLISHED4)

    def act():
        lab.write("bad.txt", f"{OUT4}\n{OUT6}\n")
        lab.config(mode="learn", feeds=[{"name": "bad", "url": lab.dir + "/bad.txt"}])
        wait_for("the feed in force", lambda: OUT4 in lab.nft(), step=0.01)
    change(lab, cut, whole, act)


if __name__ == "__main__":
    Suite("rn").main(globals())
