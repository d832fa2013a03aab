#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A userland proxy on the node, as engines start for published ports: to rules it is the node. What `host: allow` and
`host: policy` make of it, and that neither a quarantine nor a feed is got around by it."""
import os, select, socket, time

from lab import Child, Failure, Suite, wait_for

POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: b, namespace: shop}
spec:
  podSelector: {matchLabels: {app: b}}
  ingress: [{from: [{podSelector: {matchLabels: {app: a}}}%s]}]
"""
NODE = ', {ipBlock: {cidr: 10.77.0.1/32}}, {ipBlock: {cidr: "fd00:77::1/128"}}'
PUBLISHED4, PUBLISHED6 = "192.0.2.1", "2001:db8:0:1::1"


def _proxy(listen, addr, port, ready):
    """Every connection to port `listen` of the node is one to the container, as docker-proxy does."""
    l = socket.socket(socket.AF_INET6)
    l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    l.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    l.bind(("::", listen))
    l.listen(16)
    os.write(ready, b"1")
    while True:
        s, _ = l.accept()
        if os.fork() == 0:
            break
        s.close()
    try:
        c = socket.create_connection((addr, port), timeout=10)
        other = {s: c, c: s}
        while True:
            for x in select.select([s, c], [], [], 20)[0]:
                data = x.recv(4096)
                if not data:
                    os._exit(0)
                other[x].sendall(data)
    except OSError:
        os._exit(0)


def proxy(lab, listen, addr, port):
    r, w = os.pipe()
    lab.children.append(Child(lab.node, _proxy, listen, addr, port, w))
    os.close(w)
    if os.read(r, 1) != b"1":
        raise Failure("no proxy")
    os.close(r)


def world(lab, more="", **conf):
    a, b, c = (lab.container(n) for n in "abc")
    b.serve(tcp=[80])
    proxy(lab, 8080, b.v4, 80)
    proxy(lab, 8086, b.v6, 80)
    lab.policy("b.yaml", POLICY % more)
    lab.start(mode="enforce", **conf)
    return a, b, c


def through(lab, sources, verdict):
    return [(s, addr, "tcp", port, verdict) for s in sources for port in (8080, 8086)
            for addr in (("10.77.0.1", "fd00:77::1") if s is not lab.out else (PUBLISHED4, PUBLISHED6))]


def test_host_allow_lets_it_in(lab):
    """The node may reach its containers, and so may whoever the node does it for: README says so."""
    a, b, c = world(lab)
    lab.expect([(c, b.v4, "tcp", 80, "drop"), (c, b.v6, "tcp", 80, "drop")])
    lab.expect(through(lab, (a, c, lab.out), "open"))
    wait_for("what the node did is on record", lambda: [
        f for f in lab.flows() if f["reason"] == "host" and b.v4 in str(f) and "tcp" in str(f)])


def test_host_policy_decides_about_it(lab):
    a, b, c = world(lab, host="policy")
    lab.expect([(a, b.v4, "tcp", 80, "open"), (c, b.v4, "tcp", 80, "drop")])
    lab.expect(through(lab, (a, c, lab.out), "drop"), timeout=1.5)
    lab.policy("b.yaml", POLICY % NODE)
    wait_for("the node is let in", lambda: lab.probe(lab.out, PUBLISHED4, "tcp", 8080) == "open")
    lab.expect(through(lab, (a, c, lab.out), "open"))
    held = lab.hold(lab.out, PUBLISHED4, 8080)
    lab.policy("b.yaml", POLICY % "")
    wait_for("it is not any more", lambda: lab.probe(lab.out, PUBLISHED4, "tcp", 8080) == "drop")
    time.sleep(1)
    if held.alive():
        raise Failure("what came by the proxy goes on")


def test_quarantine_of_who_is_behind_it(lab):
    a, b, c = world(lab)
    held = [lab.hold(lab.out, PUBLISHED4, 8080), lab.hold(c, "10.77.0.1", 8086)]
    lab.cli("quarantine", "add", "shop/b")
    time.sleep(1)
    if any(h.alive() for h in held):
        raise Failure("what came by the proxy goes on")
    lab.expect(through(lab, (a, c, lab.out), "drop"), timeout=1.5)
    lab.cli("quarantine", "rm", "shop/b")
    lab.expect(through(lab, (a, c, lab.out), "open"))


def test_quarantine_of_who_asks_it(lab):
    a, b, c = world(lab)
    held, other = lab.hold(c, "10.77.0.1", 8080), lab.hold(a, "10.77.0.1", 8080)
    lab.cli("quarantine", "add", "shop/c")
    time.sleep(1)
    if held.alive() or not other.alive():
        raise Failure("not cut, or another one's")
    lab.expect(through(lab, (c,), "drop") + through(lab, (a, lab.out), "open"))


def as_listed(lab):
    """The outside speaks to the node from the address that will be listed; its own is that of the node's gateway,
    which no feed may block."""
    lab.sh(lab.out, f"""
        ip route add 192.0.2.1/32 dev eth0 src 198.51.100.66
        ip -6 route add 2001:db8:0:1::1/128 dev eth0 src 2001:db8:0:2::66""")


def test_feed_of_who_asks_it(lab):
    """The node itself is guarded by the feeds, so its proxy is."""
    a, b, c = world(lab)
    as_listed(lab)
    held = lab.hold(lab.out, PUBLISHED4, 8080)
    lab.write("bad.txt", "198.51.100.66\n2001:db8:0:2::66\n")
    lab.config(mode="enforce", feeds=[{"name": "bad", "url": lab.dir + "/bad.txt"}])
    wait_for("the feed in force", lambda: "198.51.100.66" in lab.nft())
    time.sleep(1)
    if held.alive():
        raise Failure("what came by the proxy goes on")
    lab.expect(through(lab, (lab.out,), "drop") + through(lab, (a, c), "open"))


if __name__ == "__main__":
    Suite("px").main(globals())
