# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest shop: b, whom only a may reach; what several tests of flows send there, and what the
daemon's queues say of it."""
import socket

POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: b, namespace: shop}
spec:
  podSelector: {matchLabels: {app: b}}
  policyTypes: [Ingress]
  ingress: [%s]
"""
RULE = "shop/b ingress rule 0"


def policy(ports="{port: 80}"):
    """b's policy: only a may use these ports."""
    return POLICY % ("{from: [{podSelector: {matchLabels: {app: a}}}], ports: [%s]}" % ports)


def datagrams(addr, first, ports, each=1):
    """`each` times one to every port from `first` on, all from port 5000; how many."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("0.0.0.0", 5000))
    for _ in range(each):
        for port in range(first, first + ports):
            try:
                s.sendto(b"x", (addr, port))
            except ConnectionRefusedError:
                pass  # of an earlier one
    return ports * each


def queue(lab, purpose):
    return [q for q in lab.status()["queues"] if q["purpose"] == purpose][0]


def queued(lab):
    """How many packets the daemon was asked about."""
    return sum(q["received"] for q in lab.status()["queues"])
