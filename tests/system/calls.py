# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections one after another, of one pair of ends: which of them were let through, and when. A server that
sends back what it gets, after a 'p' numbers until the other end has gone, and after a 'k' keeps its own end open."""
import itertools, os, select, socket, struct, threading, time

from lab import Child, Failure, wait_for


def _answer(s):
    with s:
        try:
            while (some := s.recv(100)) and some not in (b"p", b"k"):
                s.sendall(some)
            if some == b"k":
                time.sleep(600)
            for n in itertools.count() if some else ():
                s.send(struct.pack("!Q", n))
                time.sleep(0.4)  # acknowledged long before the next
        except OSError:
            pass


def _serve(ports, ready):
    listening = []
    for port in ports:
        l = socket.socket(socket.AF_INET6)
        l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        l.bind(("::", port))
        l.listen(512)
        listening.append(l)
    os.write(ready, b"1")
    while True:
        for l in select.select(listening, [], [])[0]:
            threading.Thread(target=_answer, args=(l.accept()[0],), daemon=True).start()


def serve(lab, c, *ports):
    r, w = os.pipe()
    lab.children.append(Child(c.netns, _serve, ports, w))
    os.close(w)
    if os.read(r, 1) != b"1":
        raise Failure("no server")
    os.close(r)


def _one(addr, port, sport, reset):
    """A connection with a byte each way: None, or what went wrong."""
    with socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET) as s:
        if reset:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.settimeout(0.4)
        try:
            if sport:
                s.bind(("", sport))
            s.connect((addr, port))
            s.send(b"e")
            return None if s.recv(1) == b"e" else "closed"
        except OSError as e:
            return str(e) or "timed out"


def _calls(addr, port, until, pause, report, sport, reset):
    out = []
    while (begin := time.monotonic()) < until:
        wrong = _one(addr, port, sport, reset)
        out.append([begin, time.monotonic(), wrong])
        os.write(report, b"." if wrong is None else b"-")
        time.sleep(pause)
    return out


class Calls:
    """From now on for `seconds`, `many` at once; ended by a reset, or as usual."""

    def __init__(self, lab, src, addr, port, seconds=30, pause=0.002, many=1, sport=0, reset=True):
        self.name = f"{getattr(src, 'name', src)} to {addr}:{port}"
        self.lab, self.r = lab, None
        self.r, w = os.pipe()
        os.set_blocking(self.r, False)
        self.kids = [Child(getattr(src, "netns", src), _calls, addr, port, time.monotonic() + seconds, pause, w,
                           sport, reset) for _ in range(many)]
        lab.children += self.kids
        os.close(w)
        self.out = None

    def lately(self):
        """Those let through and those not, since it was asked last."""
        text = b""
        try:
            while some := os.read(self.r, 65536):
                text += some
        except BlockingIOError:
            pass
        return text.count(b"."), text.count(b"-")

    def end(self):
        """All of them: [begin, end, what went wrong]."""
        if self.out is None:
            self.out = sorted(x for k in self.kids for x in k.result(90))
        return self.out

    def passed(self, after=0.0):
        return [b for b, e, wrong in self.end() if wrong is None and b >= after]

    def failed(self, after=0.0):
        return [wrong for b, e, wrong in self.end() if wrong is not None and b >= after]


def begun(lab):
    return lab.status()["fast_path"]["connections"]


def hot(lab, calls):
    """More than half of a lot of connections began past the rules lately."""
    state = {"begun": begun(lab)}

    def many():
        time.sleep(0.5)
        calls.lately()
        was, state["begun"] = state["begun"], begun(lab)
        time.sleep(1)
        now, made = begun(lab), calls.lately()[0]
        return made > 20 and now - state["begun"] > made / 2
    wait_for(f"{calls.name} begin on the fast path", many, 20)


def first_segments(lab):
    """Counts, in a table of somebody else's, what of first segments meets the hooks; returns how to read it."""
    from fast import node
    node(lab, "nft", "-f", "-", input="""
        table inet firsts {
            counter firsts { }
            chain f { type filter hook forward priority 10; tcp flags & (syn | ack) == syn counter name firsts; }
        }""")

    def read():
        words = node(lab, "nft", "list", "counter", "inet", "firsts", "firsts").split()
        return int(words[words.index("packets") + 1])
    return read


def counted(lab, src, dst, port):
    """Connections that the list of flows has of the pair."""
    return sum(r["count"] for r in lab.flows() if r["verdict"] == "allow" and r["port"] == port and
               r["src"] == src and r["dst"] == dst)
