# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams of numbers over one flow, by sockets: which of them came, when, and without a hole; for tests of what
a change cuts and what it leaves alone."""
import itertools, os, select, socket, struct, time

from lab import Child, Failure, wait_for

NP = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: %s, namespace: %s}\n"
GAP = 0.005  # between two packets of a stream


def _feed(s, until, to=None):
    """Numbers until the time is over; returns how many."""
    s.setblocking(False)
    n = 0
    while time.monotonic() < until:
        try:
            data = struct.pack("!Q", n)
            n += (s.sendto(data, to) if to else s.send(data)) == 8
        except (BlockingIOError, ConnectionRefusedError, PermissionError):
            pass
        except OSError:
            break
        time.sleep(GAP)
    return n


def _drink(s, until):
    """[when, number] of what comes; a TCP stream is cut into its numbers again."""
    s.setblocking(False)
    buf, out = b"", []
    while True:
        left = until - time.monotonic()
        if left <= 0 or not select.select([s], [], [], left)[0]:
            return out
        try:
            got = s.recv(65536)
        except OSError:
            return out
        if not got:
            return out
        buf += got
        while len(buf) >= 8:
            out.append([time.monotonic(), struct.unpack("!Q", buf[:8])[0]])
            buf = buf[8:]


def _server(proto, addr, port, push, until, ready):
    kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
    l = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET, kind)
    l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    l.bind((addr, port))
    peer = None
    if proto == "tcp":
        l.listen(1)
        os.write(ready, b"1")
        s, _ = l.accept()
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.recv(1)
    else:
        os.write(ready, b"1")
        _, peer = l.recvfrom(1)
        s = l
    return _feed(s, until, peer) if push else _drink(s, until)


def _client(proto, addr, port, push, until, sport):
    kind = socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM
    s = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET, kind)
    s.settimeout(3)
    if sport:
        s.bind(("", sport))
    s.connect((addr, port))
    if proto == "tcp":
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.send(b"h")
    return _drink(s, until) if push else _feed(s, until)


class Numbers:
    """What was sent and came: name, push, until, sent, got."""

    def check_cut(self, at):
        """Flowed until `at`, and no longer than a second after it."""
        before = [t for t, _ in self.got if t < at]
        after = [t - at for t, _ in self.got if t > at + 1]
        if len(before) < 20:
            return f"{self.name}: did not flow ({len(before)} packets)"
        if self.until < at + 1.5:
            return f"{self.name}: ended too soon to see it cut (a slow machine?)"
        if after:
            return f"{self.name}: {len(after)} packets later than a second, the last after {after[-1]:.1f} s"

    def check_whole(self):
        numbers = [n for _, n in self.got]
        if len(numbers) < 100 or numbers != list(range(len(numbers))):
            holes = [(a, b) for a, b in zip(numbers, numbers[1:]) if b != a + 1]
            return f"{self.name}: {len(numbers)} packets, holes {holes[:5]}"
        if len(numbers) < self.sent - 2:
            return f"{self.name}: {len(numbers)} of {self.sent} packets arrived"
        if max(t for t, _ in self.got) < self.until - 0.5:
            return f"{self.name}: ended early"


class Stream(Numbers):
    """Numbers every 5 ms over one flow for `seconds`; push: the server feeds it; at: its own address, where the client
    asks for another."""

    def __init__(self, lab, src, dst, addr, proto, port, push, seconds, sport=0, at=None):
        self.name = f"{proto} to {addr}:{port} {'fed by the server' if push else 'fed by the client'}"
        self.push = push
        self.until = until = time.monotonic() + seconds
        r, w = os.pipe()
        self.server = Child(getattr(dst, "netns", dst), _server, proto, at or addr, port, push, until, w)
        lab.children.append(self.server)
        os.close(w)
        if os.read(r, 1) != b"1":
            raise Failure(self.name + ": no server")
        os.close(r)
        self.client = Child(getattr(src, "netns", src), _client, proto, addr, port, push, until, sport)
        lab.children.append(self.client)

    def end(self):
        server, client = self.server.result(60), self.client.result(60)
        self.sent, self.got = (server, client) if self.push else (client, server)


ports = itertools.count(7000)


def streams(lab, src, dst, addrs, seconds=5, protos=("tcp", "udp"), pushes=(False, True)):
    return [Stream(lab, src, dst, addr, proto, next(ports), push, seconds)
            for addr in addrs for proto in protos for push in pushes]


def loose(lab):
    for sysctl in ("nf_conntrack_tcp_loose=1", "nf_conntrack_tcp_be_liberal=1"):
        lab.sh(lab.node, "sysctl -qw net.netfilter." + sysctl)


def change(lab, cut, whole, act):
    """Lets the streams flow, changes something, and sees who was cut."""
    time.sleep(1)
    act()
    at = time.monotonic()
    for s in cut + whole:
        s.end()
    wrong = [w for w in [s.check_cut(at) for s in cut] + [s.check_whole() for s in whole] if w]
    if wrong:
        raise Failure("\n".join(wrong))


def world(lab, mode, policy=None, **conf):
    """web may reach api, and keeps it; old may not after the change."""
    web, old, api = (lab.container(n) for n in ("web", "old", "api"))
    if policy:
        lab.policy("p.yaml", policy)
    lab.start(mode=mode, **conf)
    loose(lab)
    return web, old, api


def ingress(peers):
    return NP % ("api", "shop") + """\
spec:
  podSelector: {matchLabels: {app: api}}
  policyTypes: [Ingress]
  ingress: [{from: [%s]}]
""" % ", ".join("{podSelector: {matchLabels: {%s}}}" % p for p in peers)


def in_force(lab, n):
    wait_for(f"version {n}", lambda: lab.status()["policies"]["generation"] >= n, step=0.01)


def both(c):
    return (c.v4, c.v6)
