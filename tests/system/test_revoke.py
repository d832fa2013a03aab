#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change denies is cut within a second although it is established: both directions, streams that
only the server feeds, with conntrack willing to pick up what it does not know. What stays allowed does
not lose a packet."""
import socket, time

from detain import Detained
from lab import Child, Failure, Suite, wait_for
from streams import NP, Stream, both, change, in_force, ingress, loose, streams, world


def test_policy(lab):
    web, old, api = world(lab, "enforce", ingress(["app: web", "app: old"]))
    cut = streams(lab, old, api, both(api), protos=("tcp",)) + \
        streams(lab, old, api, both(api), protos=("udp",), pushes=(False,))
    whole = streams(lab, web, api, [api.v4])

    def act():
        lab.policy("p.yaml", ingress(["app: web"]))
        in_force(lab, 2)
    change(lab, cut, whole, act)
    wait_for("the revocation on record", lambda: lab.audited("revoke"))


def test_server_that_pushes_datagrams(lab):
    """The server's next datagram looks like a new flow of its own, which its policy allows: it must
    not carry the denied one on."""
    web, old, api = world(lab, "enforce", ingress(["app: web", "app: old"]))
    cut = streams(lab, old, api, both(api), protos=("udp",), pushes=(True,))
    whole = streams(lab, web, api, [api.v4], protos=("udp",), pushes=(True,))

    def act():
        lab.policy("p.yaml", ingress(["app: web"]))
        in_force(lab, 2)
    change(lab, cut, whole, act)


def test_a_service_at_both_ends(lab):
    """Both ends use one port: what the server sends there is a flow of its own, which stays."""
    web, old, api = world(lab, "enforce", ingress(["app: web", "app: old"]))
    whole = [Stream(lab, old, api, api.v4, "udp", 7946, True, 5, sport=7946)]

    def act():
        lab.policy("p.yaml", ingress(["app: web"]))
        in_force(lab, 2)
    change(lab, [], whole, act)


def test_allowed_again(lab):
    """The way back is free again as soon as the flow is allowed."""
    web, old, api = world(lab, "enforce", ingress(["app: old"]))
    s = Stream(lab, old, api, api.v4, "udp", 7900, True, 7)
    time.sleep(0.5)
    lab.policy("p.yaml", ingress(["app: web"]))
    in_force(lab, 2)
    time.sleep(1.5)
    closed = time.monotonic()
    lab.policy("p.yaml", ingress(["app: old"]))
    in_force(lab, 3)
    at = time.monotonic()
    s.end()
    if [t for t, _ in s.got if closed - 0.4 < t < closed] or not [t for t, _ in s.got if t > at + 1]:
        raise Failure("not cut, or not back: " + str([round(t - at, 1) for t, _ in s.got][::50]))


def _bytes_there_and_back(addr, port):
    """Connects and goes on until one does not come back."""
    s = socket.create_connection((addr, port), timeout=30)
    s.settimeout(2.5)
    try:
        while True:
            s.sendall(b"x")
            if s.recv(1) != b"x":
                return "closed"
            time.sleep(0.05)
    except OSError as e:
        return type(e).__name__


def _late(lab, old, api):
    """A connection whose first packet waits behind the rules while they change; how it ended, and
    whether it was let go in time for the last sweep."""
    lab.policy("p.yaml", ingress(["app: old"]))
    wait_for("old is let in", lambda: lab.probe(old, api.v4, "tcp", 8081) == "open")
    detained = Detained(lab, "-p tcp --dport 8080 --syn")
    client = Child(old.netns, _bytes_there_and_back, api.v4, 8080)
    try:
        detained.wait()
        n = lab.status()["policies"]["generation"]
        begin = time.monotonic()
        lab.policy("p.yaml", ingress(["app: web"]))
        in_force(lab, n + 1)
        time.sleep(0.3)
        detained.release()
        late = time.monotonic() - begin > 0.9
        return client.result(30), late
    finally:
        client.kill()
        detained.end()


def test_allowed_while_it_changed(lab):
    """The packet that opens a connection has passed the old rules and is entered in conntrack after
    the new ones are in force and the first sweeps are over."""
    web, old, api = world(lab, "enforce", ingress(["app: old"]))
    api.serve(tcp=(8080, 8081))
    for _ in range(8):
        end, late = _late(lab, old, api)
        if not late:
            break
    else:
        raise Failure("this machine is too slow to try it")
    if end != "TimeoutError":
        raise Failure("the connection ended by " + end)


def test_quarantine(lab):
    """In learn mode too; what the others do goes on."""
    web, old, api = world(lab, "learn")
    cut = streams(lab, old, api, both(api)) + streams(lab, web, old, [old.v4])
    whole = streams(lab, web, api, [api.v4])
    change(lab, cut, whole, lambda: lab.cli("quarantine", "add", "shop/old"))


def test_egress_of_the_client(lab):
    """Only the client's egress is isolated, and only the server sends: the reverse direction is open."""
    egress = NP % ("old", "shop") + """\
spec:
  podSelector: {matchLabels: {app: old}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: %s}}}]}]
"""
    web, old, api = world(lab, "enforce", egress % "api")
    cut = streams(lab, old, api, both(api), protos=("tcp",))
    whole = streams(lab, web, api, [api.v4])

    def act():
        lab.policy("p.yaml", egress % "nobody")
        in_force(lab, 2)
    change(lab, cut, whole, act)


def test_labels_of_a_peer(lab):
    web, old, api = world(lab, "enforce", ingress(['role: "ok"']))
    for c in (web, old):
        c.labels = {"app": c.name, "role": "ok"}
    lab.static()
    wait_for("labels known", lambda: lab.api("explain", "old", "api", "tcp/80")["verdict"] == "allow")
    cut, whole = streams(lab, old, api, [api.v4]), streams(lab, web, api, [api.v4])

    def act():
        old.labels = {"app": "old"}
        lab.static()
        wait_for("labels gone", lambda: lab.api("explain", "old", "api", "tcp/80")["verdict"] == "drop", step=0.01)
    change(lab, cut, whole, act)


def test_labels_of_the_subject(lab):
    policy = NP % ("closed", "shop") + "spec: {podSelector: {matchLabels: {closed: 'yes'}}, policyTypes: [Ingress, Egress]}\n"
    web, old, api = world(lab, "enforce", policy)
    cut = streams(lab, web, old, [old.v4]) + streams(lab, old, api, [api.v4])
    whole = streams(lab, web, api, [api.v4])

    def act():
        old.labels = {"app": "old", "closed": "yes"}
        lab.static()
        wait_for("labels known", lambda: lab.api("explain", "old", "api", "tcp/80")["verdict"] == "drop", step=0.01)
    change(lab, cut, whole, act)


def test_labels_of_a_namespace(lab):
    a, b, api = lab.container("a", "one"), lab.container("b", "two"), lab.container("api", "shop")
    lab.policy("p.yaml", NP % ("api", "shop") + """\
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress: [{from: [{namespaceSelector: {matchLabels: {env: prod}}}]}]
""")
    lab.start(mode="enforce", namespaces={"one": {"env": "prod"}, "two": {"env": "prod"}})
    loose(lab)
    cut, whole = streams(lab, b, api, [api.v4]), streams(lab, a, api, [api.v4])

    def act():
        lab.config(mode="enforce", namespaces={"one": {"env": "prod"}, "two": {"env": "test"}})
        wait_for("the label", lambda: lab.api("explain", "two/b", "api", "tcp/80")["verdict"] == "drop", step=0.01)
    change(lab, cut, whole, act)


def test_mode(lab):
    web, old, api = world(lab, "learn", ingress(["app: web"]))
    cut = streams(lab, old, api, both(api), protos=("tcp",)) + streams(lab, old, api, [api.v4], protos=("udp",))
    whole = streams(lab, web, api, [api.v4])
    change(lab, cut, whole, lambda: lab.cli("mode", "set", "enforce"))


def test_stopped_at_once(lab):
    """The daemon ends right after the command: what is denied since is cut, by nobody else."""
    web, old, api = world(lab, "learn", ingress(["app: web"]))
    cut = streams(lab, old, api, both(api), protos=("tcp",)) + streams(lab, old, api, [api.v4], protos=("udp",))
    whole = streams(lab, web, api, [api.v4])

    def act():
        lab.cli("mode", "set", "enforce")
        lab.stop()
    change(lab, cut, whole, act)


def test_feed(lab):
    """A listed address is cut in every mode, whoever began and whoever sends."""
    web, old, api = world(lab, "learn")
    cut = streams(lab, web, lab.out, ["198.51.100.66"])
    whole = streams(lab, web, lab.out, ["198.51.100.7"])

    def act():
        lab.write("bad.txt", "198.51.100.66\n")
        lab.config(mode="learn", feeds=[{"name": "bad", "url": lab.dir + "/bad.txt"}])
        wait_for("the feed in force", lambda: "198.51.100.66" in lab.nft(), step=0.01)
    change(lab, cut, whole, act)


def test_host_flows(lab):
    """Container to node and node to container, once the node is an outside address."""
    web, old, api = world(lab, "enforce", NP % ("all", "shop") + """\
spec:
  podSelector: {matchLabels: {app: api}}
  policyTypes: [Ingress, Egress]
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]
""")
    cut = streams(lab, api, lab.node, ["10.77.0.1"]) + streams(lab, lab.node, api, [api.v4])
    whole = streams(lab, web, api, [api.v4])

    def act():
        lab.config(mode="enforce", host="policy")
        wait_for("host: policy", lambda: lab.api("explain", "api", "10.77.0.1", "tcp/80")["verdict"] == "drop", step=0.01)
    change(lab, cut, whole, act)


def test_fifty_changes_lose_nothing(lab):
    """Streams of both protocols and directions, and new connections, through fifty versions of the very
    policy that allows them."""
    web, old, api = world(lab, "enforce")
    api.serve(tcp=[80])
    lab.cli("policy", "apply", lab.write("p.yaml", ingress(["app: web"])))
    whole = streams(lab, web, api, both(api), seconds=14) + streams(lab, web, old, [old.v4], seconds=14)
    time.sleep(0.5)
    begin = time.monotonic()
    for i in range(50):
        lab.cli("policy", "apply", lab.write("p.yaml", ingress(["app: web", "extra: x%d" % i])))
        if i % 5 == 0:
            lab.expect([(web, api.v4, "tcp", 80, "open")], timeout=3)
        time.sleep(max(0, begin + (i + 1) * 0.15 - time.monotonic()))
    n = lab.status()["policies"]["generation"]
    if n < 50:
        raise Failure(f"only {n} versions were in force: the test shows nothing")
    for s in whole:
        s.end()
    wrong = [w for w in (s.check_whole() for s in whole) if w]
    if wrong:
        raise Failure("\n".join(wrong))
    if lab.audited("revoke"):
        raise Failure("something was revoked")


if __name__ == "__main__":
    Suite("r").main(globals())
