# SPDX-License-Identifier: GPL-3.0-or-later
"""Worlds with the fast path, and witnesses: a counter in somebody else's table says how much of a flow still went by
the bridge's hooks, the daemon's status how much did not."""
import ctypes, os, platform, select, socket, struct, time

from lab import Child, Failure, run, wait_for
from process import libc
from streams import ingress

NR_BPF = {"x86_64": 321}.get(platform.machine(), 280)  # asm/unistd.h


def world(lab, mode="enforce", **conf):
    """web may reach api; old may not."""
    web, old, api = (lab.container(n) for n in ("web", "old", "api"))
    lab.policy("p.yaml", ingress(["app: web"]))
    lab.start(mode=mode, **{"fast_path": True, **conf})
    return web, old, api


def node(lab, *argv, **kw):
    return run("nsenter", f"--net=/run/netns/{lab.node}", *argv, **kw)


def taken(lab):
    return lab.status()["fast_path"]["packets"]


def silence(lab):
    """Nothing takes it any more, acknowledgements that were late included; how much did until now."""
    seen = [-1]

    def same():
        seen.append(taken(lab))
        return seen[-1] == seen[-2]
    wait_for("nothing takes the fast path", same, step=0.3)
    return seen[-1]


QUERY, DETACH, TCX_INGRESS, BEFORE = 16, 9, 46, 8  # linux/bpf.h


def _bpf(what, attr):
    """The system call; what the kernel made of the attributes, or None."""
    buf = ctypes.create_string_buffer(attr.ljust(64, b"\0"), 144)
    return buf.raw if libc.syscall(NR_BPF, what, buf, len(buf)) >= 0 else None


def _programs():
    """How many programs each interface has by tcx."""
    out = {}
    for index, name in socket.if_nameindex():
        ids = ctypes.create_string_buffer(256)
        got = _bpf(QUERY, struct.pack("=IIIIQI", index, TCX_INGRESS, 0, 0, ctypes.addressof(ids), 64))
        out[name] = struct.unpack("=I", got[24:28])[0] if got else 0
    return out


def _take_away(name):
    return _bpf(DETACH, struct.pack("=IIII", socket.if_nametoindex(name), 0, TCX_INGRESS, BEFORE)) is not None


def attached(lab):
    """At how many interfaces the kernel has a program, by its own account; there are none but the daemon's."""
    links = [l.split(": ")[1].split("@")[0] for l in node(lab, "ip", "-o", "link").splitlines()]
    return sum(Child(lab.node, _programs).result().values()) + sum(
        "bulkhead_fast" in node(lab, "tc", "filter", "show", "dev", l, "ingress", check=False) for l in links)


def take_away(lab, name):
    """By somebody else."""
    if not Child(lab.node, _take_away, name).result():
        node(lab, "tc", "qdisc", "del", "dev", name, "clsact")


def witness(lab):
    """A table of somebody else's that counts what goes by the bridge's hooks, TCP and UDP; returns how to read it."""
    node(lab, "nft", "-f", "-", input="""
        table inet witness {
            counter hooked { }
            chain f { type filter hook forward priority 10; meta l4proto { tcp, udp } counter name hooked; }
        }""")

    def read():
        words = node(lab, "nft", "list", "counter", "inet", "witness", "hooked").split()
        return int(words[words.index("packets") + 1])
    return read


def _receive(addr, port, ready, until, linger):
    l = socket.socket(socket.AF_INET6 if ":" in addr else socket.AF_INET)
    l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    l.bind((addr, port))
    l.listen(1)
    os.write(ready, b"1")
    s, _ = l.accept()
    return _count(s, until, linger)


def _count(s, until, linger):
    """Bytes that came, by tenths of a second since the first."""
    tenths, begin = {}, time.monotonic()
    while (left := until - time.monotonic()) > 0 and select.select([s], [], [], left)[0]:
        n = len(s.recv(1 << 16))
        if n == 0:
            break
        at = int((time.monotonic() - begin) * 10)
        tenths[at] = tenths.get(at, 0) + n
    if linger:
        time.sleep(max(0, until - time.monotonic()))
    return tenths


def _send(addr, port, until):
    s = socket.create_connection((addr, port), timeout=5)
    s.setblocking(False)
    n, data = 0, bytes(16384)
    while (left := until - time.monotonic()) > 0:
        if select.select([], [s], [], left)[1]:
            n += s.send(data)
        time.sleep(0.002)  # some megabytes a second: far more than a window, far less than a CPU
    return n


class Bulk:
    """Megabytes over one connection, so that windows move on, for `seconds`."""

    def __init__(self, lab, src, dst, addr, port, seconds):
        self.until = time.monotonic() + seconds
        r, w = os.pipe()
        self.server = Child(dst.netns, _receive, addr, port, w, self.until, False)
        lab.children.append(self.server)
        os.close(w)
        if os.read(r, 1) != b"1":
            raise Failure("no server")
        os.close(r)
        self.client = Child(src.netns, _send, addr, port, self.until)
        lab.children.append(self.client)

    def check(self, tenths):
        """It went on to the end, without a pause of as many tenths of a second."""
        got = self.server.result(60)
        self.client.result(60)
        at = sorted(int(k) for k in got)
        pauses = [b - a for a, b in zip(at, at[1:])]
        if sum(got.values()) < 1 << 20 or at[-1] < 10 or max(pauses) > tenths or \
                (self.until - time.monotonic() > 0.5):
            raise Failure(f"{sum(got.values())} bytes, pauses of {sorted(pauses)[-3:]} tenths, the last at {at[-1]}")
        return sum(got.values())


def entries(lab, *words):
    """conntrack's lines that have all of these words."""
    out = node(lab, "conntrack", "-L", "-o", "extended")
    return [l for l in out.splitlines() if all(w in l for w in words)]


def timeout_of(line):
    """Seconds that the entry has left; extended output names the family first, and none where it has run out."""
    left = line.split()[4]
    return int(left) if left.isdigit() else 0


def settle(lab, n, addresses=None):
    """n interfaces have it, for so many addresses, two a container unless said."""
    want = 2 * n if addresses is None else addresses
    try:
        wait_for("", lambda: attached(lab) == n and [
            lab.status()["fast_path"][k] for k in ("interfaces", "addresses")] == [n, want])
    except Failure:
        raise Failure(f"wanted {n} interfaces, {want} addresses: {attached(lab)}, {lab.status()['fast_path']}")
