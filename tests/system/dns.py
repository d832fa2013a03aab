# SPDX-License-Identifier: GPL-3.0-or-later
"""A DNS server and a client for tests, UDP and TCP: what a stub resolver asks, and little more."""
import os, select, socket, struct

from lab import Child, Failure


def encode(name):
    return b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"


def question(qid, name, qtype):
    return struct.pack("!HHHHHH", qid, 0x0100, 1, 0, 0, 0) + encode(name) + struct.pack("!HH", qtype, 1)


def read_name(data, at):
    parts = []
    while data[at]:
        parts.append(data[at + 1:at + 1 + data[at]].decode())
        at += 1 + data[at]
    return ".".join(parts), at + 1


def record(owner, rtype, data, ttl=60):
    return owner + struct.pack("!HHIH", rtype, 1, ttl, len(data)) + data


def packed(addr):
    return socket.inet_pton(socket.AF_INET6 if ":" in addr else socket.AF_INET, addr)


def answer(query, zone):
    """zone: name → addresses, or "=other.name" for an alias."""
    name, at = read_name(query, 12)
    qtype = struct.unpack("!H", query[at:at + 2])[0]
    owner, body, n, where = b"\xc0\x0c", b"", 0, zone.get(name.lower(), [])
    if isinstance(where, str):
        body, n = record(owner, 5, encode(where[1:])), 1
        owner, where = encode(where[1:]), zone[where[1:]]
    for a in where:
        if qtype == (28 if ":" in a else 1):
            body += record(owner, qtype, packed(a))
            n += 1
    return query[:2] + struct.pack("!HHHHH", 0x8180, 1, n, 0, 0) + query[12:at + 4] + body


def _serve(zone, ready, spoofs):
    """Answers for all addresses of its namespace. To what asks for `spoof.*` come, before the right
    answer and from the right place, answers to questions that nobody asked: `spoofs`, name → address."""
    socks = []
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        s = socket.socket(socket.AF_INET6, kind)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        s.bind(("::", 53))
        if kind == socket.SOCK_STREAM:
            s.listen(64)
        socks.append(s)
    os.write(ready, b"1")
    while True:
        for s in select.select(socks, [], [])[0]:
            if s is socks[0]:
                data, anc, _f, peer = s.recvmsg(2048, 256)
                anc = [(l, t, d[:16] + bytes(4)) for l, t, d in anc]  # from the address that was asked
                if read_name(data, 12)[0].startswith("spoof."):
                    for name, addr in spoofs.items():
                        for qid in (data[:2], bytes([data[0] ^ 1, data[1]])):
                            wrong = qid + data[2:12] + encode(name) + struct.pack("!HH", 1, 1)
                            s.sendmsg([answer(wrong, {name: [addr]})], anc, 0, peer)
                s.sendmsg([answer(data, zone)], anc, 0, peer)
            else:
                c, _a = s.accept()
                c.settimeout(5)
                try:
                    data = c.recv(2048)
                    if len(data) == 2:
                        data += c.recv(2048)
                    a = answer(data[2:], zone)
                    c.sendall(struct.pack("!H", len(a)) + a)
                except (OSError, IndexError):
                    pass
                c.close()


def serve(lab, netns, zone, spoofs=None):
    r, w = os.pipe()
    c = Child(netns, _serve, zone, w, spoofs or {})
    os.close(w)
    if os.read(r, 1) != b"1":
        raise Failure(f"DNS server in {netns} did not start: {c.result()}")
    os.close(r)
    lab.children.append(c)


def _ask(server, name, qtype, tcp, times):
    """How many of `times` questions were answered by their own answer."""
    got = 0
    for n in range(times):
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as s:
            s.settimeout(3)
            q = question(1000 + n, name, qtype)
            s.connect((server, 53))
            s.sendall(struct.pack("!H", len(q)) + q if tcp else q)
            try:
                while True:
                    data = s.recv(4096)
                    if data[2:4] == q[:2] if tcp else data[:2] == q[:2] and encode(name) in data:
                        got += 1
                        break
            except socket.timeout:
                pass
    return got


def ask(src, server, name, qtype=1, tcp=False, times=1):
    return Child(getattr(src, "netns", src), _ask, server, name, qtype, tcp, times).result(timeout=120)
