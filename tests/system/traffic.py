# SPDX-License-Identifier: GPL-3.0-or-later
"""Who sends and who answers in a namespace: servers, probes, connections that are held, forged packets."""
import errno, os, select, socket, struct

from process import Child, Failure


def serve(tcp, udp, ready):
    """Echo on every port, IPv4 and IPv6; answers name the port so that a wrong one is seen."""
    ep = select.epoll()
    socks = {}
    for kind, ports in ((socket.SOCK_STREAM, tcp), (socket.SOCK_DGRAM, udp)):
        for port in ports:
            s = socket.socket(socket.AF_INET6, kind)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            s.bind(("::", port))
            if kind == socket.SOCK_STREAM:
                s.listen(128)
            socks[s.fileno()] = (s, "listen" if kind == socket.SOCK_STREAM else "udp", port)
            ep.register(s, select.EPOLLIN)
    os.write(ready, b"1")
    while True:
        for fd, _ in ep.poll():
            s, what, port = socks[fd]
            try:
                if what == "listen":
                    c, _a = s.accept()
                    socks[c.fileno()] = (c, "conn", port)
                    ep.register(c, select.EPOLLIN)
                elif what == "udp":
                    # Answer from the address that was asked: the outside has several.
                    data, anc, _f, a = s.recvmsg(2048, 256)
                    anc = [(l, t, d[:16] + bytes(4)) for l, t, d in anc]  # any interface
                    s.sendmsg([data], anc, 0, a)
                else:
                    data = s.recv(4096)
                    if data:
                        s.sendall(data)
                    else:
                        ep.unregister(fd)
                        del socks[fd]
                        s.close()
            except OSError:
                if what == "conn":
                    ep.unregister(fd)
                    del socks[fd]
                    s.close()


def probe(proto, addr, port, timeout, sport, source):
    """'open' (answered), 'closed' (refused), 'reject' (administratively), 'drop' (silence)."""
    family = socket.AF_INET6 if ":" in addr else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(timeout)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sport or source:
        s.bind((source or ("::" if family == socket.AF_INET6 else "0.0.0.0"), sport or 0))
    try:
        s.connect((addr, port))
        if proto == "udp":
            # Three sends: one lost datagram is no verdict.
            s.settimeout(timeout / 3)
            for _ in range(3):
                s.send(b"ping")
                try:
                    return "open" if s.recv(100) == b"ping" else "garbage"
                except socket.timeout:
                    continue
            return "drop"
        s.sendall(b"ping")
        return "open" if s.recv(100) == b"ping" else "garbage"
    except socket.timeout:
        return "drop"
    except OSError as e:
        if e.errno == errno.ECONNREFUSED:
            return "closed"
        if e.errno in (errno.EHOSTUNREACH, errno.EACCES, errno.EPERM):
            return "reject"
        raise
    finally:
        s.close()


def _hold(addr, port, ready, go):
    """Connects, says so, then echoes one byte for every byte read from `go`; returns how it ended."""
    s = socket.create_connection((addr, port), timeout=5)
    os.write(ready, b"1")
    n = 0
    while True:
        cmd = os.read(go, 1)
        if not cmd or cmd == b"q":
            return {"echoed": n, "end": "asked"}
        s.settimeout(2.5)
        try:
            s.sendall(b"x")
            if s.recv(1) != b"x":
                return {"echoed": n, "end": "closed"}
            n += 1
            os.write(ready, b"1")
        except OSError as e:
            os.write(ready, b"0")
            return {"echoed": n, "end": type(e).__name__}


def forge(source, dst, port, data):
    """One UDP datagram with a source address of our choice."""
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    udp = struct.pack("!HHHH", 5555, port, 8 + len(data), 0) + data
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0,
                     socket.inet_aton(source), socket.inet_aton(dst))
    s.sendto(ip + udp, (dst, 0))


def receive(port, ready, timeout):
    """What arrives at a UDP port: [text, source address], or nothing."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("0.0.0.0", port))
    s.settimeout(timeout)
    os.write(ready, b"1")
    try:
        data, a = s.recvfrom(1000)
        return [data.decode(), a[0]]
    except socket.timeout:
        return None


class Held:
    """A long-lived TCP connection that the test can use whenever it likes."""

    def __init__(self, netns, addr, port):
        rr, rw = os.pipe()
        gr, gw = os.pipe()
        self.child = Child(netns, lambda: (os.close(gw), _hold(addr, port, rw, gr))[1])
        os.close(rw)
        os.close(gr)
        self.ready, self.go = rr, gw
        if not self._answer():
            raise Failure(f"could not connect to {addr}:{port}: {self.child.result()}")

    def _answer(self, timeout=6):
        ready, _, _ = select.select([self.ready], [], [], timeout)
        return bool(ready) and os.read(self.ready, 1) == b"1"

    def alive(self):
        """One more byte there and back?"""
        try:
            os.write(self.go, b"g")
        except BrokenPipeError:
            return False
        return self._answer()

    def close(self):
        self.child.kill()
        for fd in (self.ready, self.go):
            os.close(fd)
