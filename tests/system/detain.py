# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds packets behind the rules: another program's queue in the way, as an intrusion detection system
would be. nfnetlink_queue spoken by hand (linux/netfilter/nfnetlink_queue.h)."""
import os, select, socket, struct

from lab import Child

NETLINK_NETFILTER, NFNL_SUBSYS_QUEUE = 12, 3
MSG_PACKET, MSG_VERDICT, MSG_CONFIG = 0, 1, 2
CFG_CMD, CFG_PARAMS, CMD_BIND, COPY_META = 1, 2, 1, 1
PACKET_HDR, VERDICT_HDR, NF_ACCEPT = 1, 2, 1


def _message(kind, queue, attr, value, flags=1):  # 1: NLM_F_REQUEST
    body = struct.pack("!BBH", 0, 0, queue) + struct.pack("HH", 4 + len(value), attr) + value
    body += bytes(-len(body) % 4)
    return struct.pack("IHHII", 16 + len(body), NFNL_SUBSYS_QUEUE << 8 | kind, flags, 0, 0) + body


def _packets(data):
    """Packet ids of the messages."""
    while len(data) >= 16:
        size, kind = struct.unpack("IH", data[:6])
        at = 20
        while kind == NFNL_SUBSYS_QUEUE << 8 | MSG_PACKET and at + 4 <= size:
            n, attr = struct.unpack("HH", data[at:at + 4])
            if attr & 0x3fff == PACKET_HDR:
                yield struct.unpack("!I", data[at + 4:at + 8])[0]
            at += max(4, n + 3 & ~3)
        data = data[max(16, size + 3 & ~3):]


def _detain(queue, ready, go):
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    s.bind((0, 0))
    s.send(_message(MSG_CONFIG, queue, CFG_CMD, struct.pack("!BBH", CMD_BIND, 0, 0)))
    s.send(_message(MSG_CONFIG, queue, CFG_PARAMS, struct.pack("!IB", 0, COPY_META)))
    os.write(ready, b"r")
    kept, free = [], False
    while True:
        for f in select.select([s, go], [], [], 30)[0]:
            if f == go:
                if free:
                    return len(kept)
                os.read(go, 1)
                free = True
            else:
                kept += _packets(s.recv(65536))
                os.write(ready, b"p")
        if free:
            for i in kept:
                s.send(_message(MSG_VERDICT, queue, VERDICT_HDR, struct.pack("!II", NF_ACCEPT, i)))
            kept.clear()


class Detained:
    """What `match` (iptables) says waits behind all rules of the lab's node until release()."""

    def __init__(self, lab, match, queue=7):
        self.lab, self.rule = lab, f"POSTROUTING {match} -j NFQUEUE --queue-num {queue}"
        self.r, w = os.pipe()
        r, self.go = os.pipe()
        self.child = Child(lab.node, _detain, queue, w, r)
        os.close(w)
        os.close(r)
        self.wait()
        lab.sh(lab.node, "iptables -t mangle -A " + self.rule)

    def wait(self):
        """Until it listens, then until a packet waits."""
        if not select.select([self.r], [], [], 15)[0] or not os.read(self.r, 1):
            raise TimeoutError("no packet came")

    def release(self):
        os.write(self.go, b"g")

    def end(self):
        self.lab.sh(self.lab.node, "iptables -t mangle -D " + self.rule)
        self.child.kill()
        os.close(self.r)
        os.close(self.go)
