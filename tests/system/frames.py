# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames as an attacker would make them: every field is the caller's, nothing is checked but the sums.

Addresses are text, MACs are text or bytes. What goes on the wire is seen by watch(): each frame
carries a token of its own, and a receiver tells which tokens reached its link and which its sockets.
"""
import itertools, os, select, socket, struct, time

IP4, ARP, RARP, IP6 = 0x0800, 0x0806, 0x8035, 0x86DD
DOT1Q, DOT1AD, QINQ_OLD = 0x8100, 0x88A8, 0x9100
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
HOP, ROUTING, FRAGMENT, DEST = 0, 43, 44, 60  # IPv6 extension headers
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
BROADCAST = "ff:ff:ff:ff:ff:ff"
ETH_P_ALL = 3
PACKET_OUTGOING = 4
count = itertools.count(1)


def token():
    """Eight bytes that occur in no other frame."""
    return b"\xb5tk" + struct.pack("!HHB", os.getpid() & 0xFFFF, next(count), 0x5B)


def mac(text):
    return text if isinstance(text, bytes) else bytes.fromhex(text.replace(":", ""))


def packed(addr):
    return socket.inet_pton(socket.AF_INET6 if ":" in addr else socket.AF_INET, addr)


def checksum(data):
    if len(data) & 1:
        data += b"\0"
    s = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def transport_sum(src, dst, proto, data):
    return checksum(packed(src) + packed(dst) + struct.pack("!IHBB", len(data), 0, 0, proto) + data)


def ether(src, dst, kind, payload, tags=()):
    """tags: (TPID, VLAN) from the outside in."""
    head = mac(dst) + mac(src)
    for tpid, vlan in tags:
        head += struct.pack("!HH", tpid, vlan)
    return (head + struct.pack("!H", kind) + payload).ljust(60, b"\0")


def arp(op, sha, spa, tha, tpa, mark=b""):
    """`mark` goes where Ethernet pads."""
    return struct.pack("!HHBBH", 1, IP4, 6, 4, op) + mac(sha) + packed(spa) + mac(tha) + packed(tpa) + mark


def ip4(src, dst, proto, payload, offset=0, more=False, ident=None, options=b"", ttl=64):
    head = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload),
                       next(count) & 0xFFFF if ident is None else ident, offset // 8 | (0x2000 if more else 0),
                       ttl, proto, 0, packed(src), packed(dst)) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ip6(src, dst, proto, payload, ext=(), hops=64):
    """ext: (type, body without its first byte), in order; see options(), routing() and fragment()."""
    chain = b""
    kinds = [kind for kind, _ in ext] + [proto]
    for i, (_, body) in enumerate(ext):
        chain += bytes([kinds[i + 1]]) + body
    return struct.pack("!IHBB", 6 << 28, len(chain) + len(payload), kinds[0], hops) + packed(src) + packed(dst) \
        + chain + payload


def options(kind, n=1):
    """A hop-by-hop or destination options header of n * 8 bytes: one option that everybody skips."""
    return kind, bytes([n - 1, 0x1E, n * 8 - 4]) + bytes(n * 8 - 4)


def routing(kind, left, *addrs):
    return ROUTING, bytes([len(addrs) * 2, kind, left]) + bytes(4) + b"".join(map(packed, addrs))


def fragment(offset, more, ident):
    return FRAGMENT, b"\0" + struct.pack("!HI", offset | (1 if more else 0), ident)


def udp(src, dst, sport, dport, data, summed=True):
    head = struct.pack("!HHHH", sport, dport, 8 + len(data), 0)
    s = transport_sum(src, dst, UDP, head + data) or 0xFFFF
    return head[:6] + struct.pack("!H", s if summed else 0) + data


def tcp(src, dst, sport, dport, flags, data=b"", seq=1, ack=0):
    head = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 64240, 0, 0)
    return head[:16] + struct.pack("!H", transport_sum(src, dst, TCP, head + data)) + head[18:] + data


def icmp(kind, code, rest):
    head = struct.pack("!BBH", kind, code, 0) + rest
    return head[:2] + struct.pack("!H", checksum(head)) + rest


def icmp6(src, dst, kind, code, rest):
    head = struct.pack("!BBH", kind, code, 0) + rest
    return head[:2] + struct.pack("!H", transport_sum(src, dst, ICMP6, head)) + rest


def lladdr(kind, address):
    """The option of neighbour discovery: 1 source, 2 target link-layer address."""
    return bytes([kind, 1]) + mac(address)


def nonce(mark):
    """An option that receivers take no notice of; 16 bytes with the token in it."""
    return bytes([14, 2]) + mark.ljust(14, b"\0")


def solicit(src, dst, target, mark, slla=None):
    rest = bytes(4) + packed(target) + (lladdr(1, slla) if slla else b"") + nonce(mark)
    return icmp6(src, dst, 135, 0, rest)


def advertise(src, dst, target, mark, tlla=None, flags=0x20):
    rest = bytes([flags, 0, 0, 0]) + packed(target) + (lladdr(2, tlla) if tlla else b"") + nonce(mark)
    return icmp6(src, dst, 136, 0, rest)


def router(src, dst, slla, mark):
    """A router advertisement: a default router for half an hour."""
    return icmp6(src, dst, 134, 0, struct.pack("!BBHII", 64, 0, 1800, 0, 0) + lladdr(1, slla) + nonce(mark))


def redirect(src, dst, target, towards, mark):
    return icmp6(src, dst, 137, 0, bytes(4) + packed(target) + packed(towards) + nonce(mark))


def group_mac(addr):
    """Where a multicast address goes on Ethernet."""
    a = packed(addr)
    return b"\x33\x33" + a[12:] if len(a) == 16 else bytes([1, 0, 0x5E, a[1] & 0x7F, a[2], a[3]])


def solicited(addr):
    """The multicast address on which its neighbours ask for an address."""
    return socket.inet_ntop(socket.AF_INET6, b"\xff\x02" + bytes(9) + b"\x01\xff" + packed(addr)[13:])


# --- in the namespaces ---
def send(ifname, frames):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.bind((ifname, 0))
    for f in frames:
        s.send(f)
        time.sleep(0.001)  # far below any queue's length
    return len(frames)


def _wire(s, tokens, got):
    data, a = s.recvfrom(65536)
    if a[2] != PACKET_OUTGOING:
        got["wire"].update(name for name, t in tokens.items() if t in data)


def _stack(s, tokens, got):
    data = s.recv(65536)
    got["stack"].update(name for name, t in tokens.items() if t in data)


def watch(ifname, tokens, ports, want, ready, sent, limit=5.0, quiet=0.3):
    """Which of `tokens` (name: bytes) reach the link, and which the UDP sockets on `ports`. Ends when
    the sender is done (`sent` is readable), what is wanted is there and it has been quiet since."""
    got = {"wire": set(), "stack": set()}
    ep, fns = select.epoll(), {}
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    link.bind((ifname, ETH_P_ALL))
    fns[link.fileno()] = (link, _wire)
    for port in ports:
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        s.bind(("::", port))
        fns[s.fileno()] = (s, _stack)
    for fd in fns:
        ep.register(fd, select.EPOLLIN)
    os.write(ready, b"1")
    end = done = None
    while True:
        for fd, _ in ep.poll(0.05):
            s, fn = fns[fd]
            fn(s, tokens, got)
        now = time.monotonic()
        if end is None and select.select([sent], [], [], 0)[0]:
            end, done = now + limit, now + quiet
        if end and now > done and (now > end or set(want) <= got["wire"]):
            return {k: sorted(v) for k, v in got.items()}
