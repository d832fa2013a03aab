# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams of numbers over flows that this machine has no sockets for, as raw packets: SCTP, ICMP echo, GRE, ESP.
What the protocol says first is said by both ends in turn; then one of them sends numbers."""
import itertools, os, select, socket, struct, time

import frames as f
from lab import Child
from streams import Numbers

GRE, ESP, SCTP = 47, 50, 132
INIT, INIT_ACK, DATA, HEARTBEAT, HEARTBEAT_ACK, COOKIE_ECHO, COOKIE_ACK = 1, 2, 0, 4, 5, 10, 11
GAP = 0.01
unique = itertools.count(1)

_crc = []
for _i in range(256):
    for _ in range(8):
        _i = _i >> 1 ^ (0x82F63B78 if _i & 1 else 0)
    _crc.append(_i)


def crc32c(data):
    c = 0xFFFFFFFF
    for b in data:
        c = _crc[(c ^ b) & 255] ^ c >> 8
    return c ^ 0xFFFFFFFF


def sctp(sport, dport, tag, *chunks):
    """chunks: (type, body)"""
    body = b"".join(struct.pack("!BBH", kind, 3, 4 + len(b)) + b + bytes(-len(b) % 4) for kind, b in chunks)
    head = struct.pack("!HHI", sport, dport, tag)
    return head + struct.pack("<I", crc32c(head + bytes(4) + body)) + body


class End:
    """One end of a flow: whose link, which address, which MAC is next."""

    def __init__(self, c, addr, mac, dev="eth0"):
        self.netns, self.addr, self.mac, self.dev = getattr(c, "netns", c), addr, mac, dev

    def frame(self, other, proto, payload):
        v6 = ":" in self.addr
        packet = (f.ip6 if v6 else f.ip4)(self.addr, other.addr, proto, payload)
        return f.ether(self.mac, other.mac, f.IP6 if v6 else f.IP4, packet)


class Sctp:
    """An association; `beats`: nothing but HEARTBEATs, which conntrack takes for the beginning of one."""
    proto, name = SCTP, "SCTP"

    def __init__(self, beats=False, sport=None, dport=None):
        self.beats = beats
        self.ports = (sport or 40000 + next(unique), dport or 5000 + next(unique))
        self.tags = (0x1111, 0x2222)  # what the client, what the server wants to read
        self.name = "SCTP's heartbeats" if beats else "SCTP"

    def say(self, server, *chunks, tag=None):
        ports = self.ports[::-1] if server else self.ports
        return sctp(*ports, self.tags[not server] if tag is None else tag, *chunks)

    def hello(self):
        """(by the server?, payload) in turn."""
        init = lambda tag: struct.pack("!IIHHI", tag, 65536, 8, 8, 1)
        return [(False, self.say(False, (INIT, init(self.tags[0])), tag=0)),
                (True, self.say(True, (INIT_ACK, init(self.tags[1])))),
                (False, self.say(False, (COOKIE_ECHO, b"cook"))), (True, self.say(True, (COOKIE_ACK, b"")))]

    def number(self, server, data):
        if self.beats:
            return self.say(server, (HEARTBEAT, struct.pack("!HH", 1, 4 + len(data)) + data))
        return self.say(server, (DATA, struct.pack("!IHHI", 1, 0, 0, 0) + data))


class Echo:
    """One id, kept up. Only who asks can keep it up: the answers come from the other's kernel."""
    name = "ICMP echo"

    def __init__(self, client, server):
        self.client, self.server, self.v6 = client, server, ":" in client.addr
        self.proto, self.id = f.ICMP6 if self.v6 else f.ICMP, next(unique)

    def hello(self):
        return []

    def number(self, server, data):
        rest = struct.pack("!HH", self.id, 1) + data
        if self.v6:
            return f.icmp6(self.client.addr, self.server.addr, 128, 0, rest)
        return f.icmp(8, 0, rest)


class Portless:
    def __init__(self, name, proto, head):
        self.name, self.proto, self.head = name, proto, head

    def hello(self):
        return [(False, self.head + b"hello"), (True, self.head + b"hello")]

    def number(self, server, data):
        return self.head + data


def gre():
    return Portless("GRE", GRE, b"\0\0\x08\0")


def esp():
    return Portless("ESP", ESP, struct.pack("!II", 0x1000 + next(unique), 1))


class Udp:
    """Datagrams whose ports are the caller's, of no socket."""
    proto, name = f.UDP, "UDP"

    def __init__(self, client, server, sport, dport):
        self.ends, self.ports = (client, server), (sport, dport)

    def hello(self):
        return [(False, self.number(False, b"hello")), (True, self.number(True, b"hello"))]

    def number(self, server, data):
        a, b = self.ends[::-1] if server else self.ends
        return f.udp(a.addr, b.addr, *(self.ports[::-1] if server else self.ports), data)


class Tcp:
    """A stream of which nothing is acknowledged, so that it is always the same piece that is sent; mute() the
    kernels at its ends, which would refuse it."""
    proto, name = f.TCP, "TCP"

    def __init__(self, client, server, sport, dport):
        self.ends, self.ports = (client, server), (sport, dport)

    def say(self, server, flags, data=b"", seq=0, ack=0):
        a, b = self.ends[::-1] if server else self.ends
        return f.tcp(a.addr, b.addr, *(self.ports[::-1] if server else self.ports), flags, data, seq, ack)

    def hello(self):
        return [(False, self.say(False, f.SYN, seq=1000)), (True, self.say(True, f.SYN | f.ACK, seq=2000, ack=1001)),
                (False, self.say(False, f.ACK, seq=1001, ack=2001))]

    def number(self, server, data):
        return self.say(server, f.PSH | f.ACK, data, *((2001, 1001) if server else (1001, 2001)))

    @staticmethod
    def mute(lab, *containers):
        for c in containers:
            for t in ("iptables", "ip6tables"):
                lab.sh(c.netns, t + " -A OUTPUT -p tcp --tcp-flags RST RST -j DROP")


def _feed(dev, make, token, until):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.bind((dev, 0))
    n = 0
    while time.monotonic() < until:
        s.send(make(token + struct.pack("!Q", n)))
        n += 1
        time.sleep(GAP)
    return n


def _drink(dev, token, until, ready, back):
    """[when, number]; back: not in what came back as an ICMP error."""
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(f.ETH_P_ALL))
    s.bind((dev, f.ETH_P_ALL))
    os.write(ready, b"1")
    out = []
    while True:
        left = until - time.monotonic()
        if left <= 0 or not select.select([s], [], [], left)[0]:
            return out
        data, a = s.recvfrom(2048)
        at = data.find(token)
        if a[2] != f.PACKET_OUTGOING and at >= 0 and back(data):
            out.append([time.monotonic(), struct.unpack("!Q", data[at + 8:at + 16])[0]])


def _first_hand(proto):
    """The protocol's own packet, and no error that quotes it."""
    return lambda data: (data[20] if data[12:14] == b"\x86\xdd" else data[23]) == proto


class Raw(Numbers):
    """Numbers over a flow from `client` to `server` (both End); push: the server feeds it. answers: the numbers
    are looked for in what comes back to who feeds."""

    def __init__(self, lab, client, server, what, push, seconds, answers=False):
        self.name = f"{what.name} to {server.addr} {'fed by the server' if push else 'fed by the client'}" + \
            (", answers" if answers else "")
        self.push, token = push, f.token()
        for by_server, payload in what.hello():
            a, b = (server, client) if by_server else (client, server)
            Child(a.netns, f.send, a.dev, [a.frame(b, what.proto, payload)]).result()
            time.sleep(0.005)
        self.until = time.monotonic() + seconds
        a, b = (server, client) if push else (client, server)
        at = a if answers else b
        r, w = os.pipe()
        self.drinker = Child(at.netns, _drink, at.dev, token, self.until, w, _first_hand(what.proto))
        os.close(w)
        os.read(r, 1)
        os.close(r)
        self.feeder = Child(a.netns, _feed, a.dev, lambda data: a.frame(b, what.proto, what.number(push, data)),
                            token, self.until - 0.2)
        lab.children += [self.drinker, self.feeder]

    def end(self):
        self.sent, self.got = self.feeder.result(60), self.drinker.result(60)
