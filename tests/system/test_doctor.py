#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`bulkhead doctor`: a node that is protected is said to be, and each check is seen to fail when what it is about is
broken. Most of what is broken here is broken beside the daemon, as other programs would. Flow tables, bridges with
VLANs and a full connection tracking are in qemu/guest/doctor."""
import ctypes, json, os, resource, signal, socket, struct, subprocess, time

from around import bridged
from lab import BULKHEAD, BULKHEADD, Child, Failure, Skip, Suite, run, wait_for

POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: all, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
  ingress: [{from: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: 80}]}]
  egress: [{}]
"""


def doctor(lab, *argv, config=True):
    """The checks and the exit status, as asked in the node's namespace."""
    extra = ["--config", lab.dir + "/bulkhead.yaml"] if config else []
    r = subprocess.run(["nsenter", f"--net=/run/netns/{lab.node}", BULKHEAD, "--socket", lab.dir + "/bulkhead.sock",
                        "-o", "json", "doctor", *extra, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        return json.loads(r.stdout)["checks"], r.returncode
    except (ValueError, KeyError):
        raise Failure(f"doctor: exit {r.returncode}: {r.stdout}{r.stderr}")


def of(checks, check, result=None):
    return [c for c in checks if c["check"] == check and (result is None or c["result"] == result)]


def wants(lab, check, result, words="", code=None):
    """One such finding, with what was seen and, unless it is ok, what to do."""
    checks, rc = doctor(lab)
    found = [c for c in of(checks, check, result) if words in c["seen"]]
    if not found:
        raise Failure(f"no {result} of {check} with {words!r}: " + json.dumps(of(checks, check) or checks, indent=1))
    if result != "ok" and check != "status" and not found[0]["remedy"]:
        raise Failure(f"nothing says what to do: {found[0]}")
    if code is not None and rc != code:
        raise Failure(f"{check} {result}: exit {rc}, not {code}")
    return checks


def world(lab, **conf):
    a, b = bridged(lab, "a", "b")
    b.serve(tcp=[80, 81])
    lab.policy("all.yaml", POLICY)
    lab.start(**{"mode": "enforce", "host": "policy", **conf})
    return a, b


def node(lab, words):
    return lab.sh(lab.node, words)


def test_a_healthy_node(lab):
    a, b = world(lab)
    lab.expect([(a, b.v4, "tcp", 80, "open"), (a, b.v4, "tcp", 81, "drop")])
    checks, rc = doctor(lab)
    bad = [c for c in checks if c["result"] != "ok" and c["check"] != "clock"]
    if bad or rc != 0:
        raise Failure(f"exit {rc}: " + json.dumps(bad, indent=1))
    for check in ("daemon", "in-force", "mode", "policies", "host", "queues", "tables", "owner", "hooks", "rules", "bridges",
                  "programs", "others", "conntrack", "state", "log", "permissions", "clock"):
        if not of(checks, check):
            raise Failure(f"{check} was not looked at")
    text = lab.cli("doctor").splitlines()[0]
    if " is protected" not in text or ": 0 FAIL" not in text:
        raise Failure(text)


def alone(lab):
    """No daemon any more; doctor finds its program by the PATH."""
    lab.stop(signal.SIGKILL)
    os.environ["PATH"] = os.path.dirname(BULKHEADD) + ":" + os.environ["PATH"]


def test_bridge_netfilter(lab):
    a, b = world(lab, table_owner="never")
    denied = [(a, b.v4, "tcp", 81, "drop"), (a, b.v6, "tcp", 81, "drop")]
    lab.expect(denied)
    alone(lab)
    checks = wants(lab, "bridges", "ok", "1 bridge", code=3)
    if not of(checks, "daemon", "fail"):
        raise Failure("nothing says that no daemon answers")
    node(lab, "sysctl -qw net.bridge.bridge-nf-call-iptables=0")
    wants(lab, "bridges", "fail", "IPv4 traffic inside bridge br0", code=3)
    lab.expect([(a, b.v4, "tcp", 81, "open"), denied[1]])
    node(lab, "sysctl -qw net.bridge.bridge-nf-call-ip6tables=0")
    wants(lab, "bridges", "fail", "IPv4 and IPv6 traffic")
    node(lab, "ip link set br0 type bridge nf_call_iptables 1 nf_call_ip6tables 1")  # of that bridge alone
    wants(lab, "bridges", "warn", "off for the next one")
    lab.expect(denied)
    node(lab, "ip link set br0 type bridge nf_call_iptables 0 nf_call_ip6tables 0")
    for host_if in (a.host_if, b.host_if):
        node(lab, f"ip link set {host_if} nomaster")
    wants(lab, "bridges", "warn", "no workload hangs on a bridge")


def test_bridge_netfilter_is_seen_by_the_daemon(lab):
    a, b = world(lab)
    for _ in range(20):  # the daemon switches it on again within a second
        node(lab, "sysctl -qw net.bridge.bridge-nf-call-iptables=0")
        checks, rc = doctor(lab)
        if of(checks, "bridges", "fail"):
            break
    else:
        raise Failure("was never seen off")
    if rc != 1:
        raise Failure(f"exit {rc}")
    wait_for("is on again", lambda: of(doctor(lab)[0], "bridges", "ok"), 5)


def test_tables(lab):
    a, b = world(lab, table_owner="never")
    wants(lab, "owner", "ok", "table_owner: never", code=0)
    alone(lab)
    wants(lab, "tables", "ok")
    wants(lab, "rules", "ok")
    for words, check, seen in (
            ("add table inet bulkhead { flags dormant ; }", "tables", "inet bulkhead is dormant"),
            ("add table bridge bulkhead { flags dormant ; }", "tables", "bridge bulkhead is dormant"),
            ("flush chain inet bulkhead forward", "rules", "forward is empty"),
            ("flush chain inet bulkhead input; delete chain inet bulkhead input", "hooks", "input of table inet is not hooked"),
            ("add chain inet bulkhead input { type filter hook input priority 7 ; }", "hooks", "priority 7, not"),
            ("delete table bridge bulkhead", "tables", "bridge bulkhead is not there"),
            ("flush ruleset", "tables", "nothing is enforced")):
        node(lab, f"nft '{words}'")
        wants(lab, check, "fail", seen, code=3)
        node(lab, "nft 'add table inet bulkhead ; add table bridge bulkhead'" if "dormant" in words else "true")


def test_other_peoples_rules(lab):
    a, b = world(lab)
    wants(lab, "others", "ok", "0 tables")
    node(lab, "nft 'add table inet x; add chain inet x first { type filter hook forward priority -500; }; "
              "add rule inet x first accept'")
    wants(lab, "others", "ok", "1 tables", code=0)
    lab.expect([(a, b.v4, "tcp", 81, "drop")])  # an accept before ours changes nothing
    node(lab, "nft 'add chain inet x raw { type filter hook prerouting priority -300; }; add rule inet x raw notrack'")
    wants(lab, "untracked", "warn", "chain raw of table inet x", code=0)
    lab.expect([(a, b.v4, "tcp", 80, "drop")])  # what a rule allows is not answered
    for i in range(9):  # each chain once; and they hide nothing of what follows
        node(lab, f"nft 'add chain inet x raw{i} {{ type filter hook prerouting priority -300; }}; "
                  f"add rule inet x raw{i} ip daddr 192.0.2.77 notrack; add rule inet x raw{i} ip daddr 192.0.2.78 notrack'")
    told = [c["seen"] for c in of(wants(lab, "untracked", "warn"), "untracked")]
    if len(told) != 8 or len(set(told)) != 8:
        raise Failure(f"{told}")
    node(lab, f"nft 'add table netdev y; add chain netdev y a {{ type filter hook ingress device \"{a.host_if}\" priority 9; }}; "
              f"add rule netdev y a ip daddr 192.0.2.77 fwd to {b.host_if}'")
    wants(lab, "shortcuts", "fail", "chain a of table netdev y", code=1)
    node(lab, "nft delete table netdev y; nft delete table inet x")
    lab.expect([(a, b.v4, "tcp", 80, "open")])
    node(lab, f"nft 'add table netdev x; add chain netdev x in {{ type filter hook ingress device \"up0\" priority 0; }}; "
              "add rule netdev x in fwd to up0'")
    wants(lab, "others", "ok", code=0)  # at no workload's end
    if lab.forge(a, a.v4, b, 5009):
        raise Failure("a denied datagram came through")
    node(lab, f"nft 'add chain netdev x a {{ type filter hook ingress device \"{a.host_if}\" priority 0; }}; "
              f"add rule netdev x a fwd to {b.host_if}'")
    wants(lab, "shortcuts", "fail", f"sends what comes from {a.host_if} (shop/a) to another device", code=1)
    if not lab.forge(a, a.v4, b, 5009):
        raise Failure("what is sent on meets a rule: the finding is about nothing")
    node(lab, "nft delete table netdev x")
    node(lab, "iptables-legacy -t raw -A PREROUTING -d 192.0.2.77 -j CT --notrack")
    wants(lab, "others", "skip", "table raw is in use")


def test_programs_at_veths(lab):
    a, b = world(lab)
    tc = lambda words: node(lab, f"tc {words}")
    u32 = "protocol all prio 1 u32 match u32 0 0"
    tc(f"qdisc add dev {a.host_if} clsact")
    wants(lab, "programs", "ok", code=0)  # with nothing in it
    tc(f"filter add dev {a.host_if} ingress {u32} flowid 1:1")
    wants(lab, "programs", "warn", f"1 filter (u32) at {a.host_if}, of shop/a", code=0)
    tc(f"filter del dev {a.host_if} ingress")
    tc(f"filter add dev {a.host_if} egress protocol all prio 1 bpf bytecode '1,6 0 0 4294967295,' flowid 1:1")
    wants(lab, "programs", "warn", "(bpf)")
    tc(f"filter del dev {a.host_if} egress")
    node(lab, "ip link add ifb0 type ifb")
    tc(f"filter add dev {a.host_if} ingress {u32} flowid 1:1 action mirred egress redirect dev ifb0")
    wants(lab, "programs", "ok", "shape by ifb0", code=0)
    tc(f"filter add dev {a.host_if} egress protocol all prio 1 bpf bytecode '1,6 0 0 4294967295,' flowid 1:1")
    wants(lab, "programs", "warn", f"2 filters (", code=0)  # one that shapes hides no other
    tc(f"filter del dev {a.host_if} egress")
    tc(f"filter del dev {a.host_if} ingress")
    tc(f"filter add dev {a.host_if} ingress protocol ip prio 1 u32 match u32 0 0 action mirred egress redirect dev {b.host_if}")
    tc(f"filter add dev {a.host_if} ingress protocol ip prio 2 u32 match u32 0 0 action mirred egress redirect dev ifb0")
    wants(lab, "programs", "fail", f"sends frames on to {b.host_if}", code=1)
    tc(f"filter del dev {a.host_if} ingress")
    if lab.forge(a, a.v4, b, 5009):
        raise Failure("a denied datagram came through")
    tc(f"filter add dev {a.host_if} ingress {u32} flowid 1:1 action mirred egress redirect dev {b.host_if}")
    wants(lab, "programs", "fail", f"sends frames on to {b.host_if}", code=1)
    if not lab.forge(a, a.v4, b, 5009):
        raise Failure("what is sent on meets a rule: the finding is about nothing")
    tc(f"qdisc del dev {a.host_if} clsact")
    tc(f"qdisc add dev {b.host_if} ingress")
    tc(f"filter add dev {b.host_if} ingress {u32} flowid 1:1 action mirred egress redirect dev {a.host_if}")
    wants(lab, "programs", "fail", f"at {b.host_if}, of shop/b", code=1)
    tc(f"qdisc del dev {b.host_if} ingress")
    wants(lab, "programs", "ok", code=0)
    held = hang(lab, b.host_if, *XDP)
    wants(lab, "programs", "warn", f"XDP program at {b.host_if}, of shop/b", code=0)
    held.kill()
    wait_for("it is gone with who holds it", lambda: of(doctor(lab)[0], "programs", "ok"), 5)


def test_programs_by_tcx(lab):
    a, b = world(lab)
    hang(lab, a.host_if, *TCX)
    wants(lab, "programs", "warn", f"1 BPF program at {a.host_if}, of shop/a, gets frames first (tcx)", code=0)
    lab.stop()
    lab.start(fast_path=True)  # its own programs are no finding, and hide no other's
    wait_for("they are there", lambda: lab.status()["fast_path"]["interfaces"] == 1)
    wants(lab, "programs", "warn", f"1 BPF program at {a.host_if}", code=0)


XDP, TCX = (6, 37, 2), (3, 46, -1)  # linux/bpf.h: the program's type, where it goes, "pass"


def attach(ifname, ready, kind, where, answer):
    """That answer for every frame, for as long as this process lives."""
    bpf = lambda cmd, attr: ctypes.CDLL(None, use_errno=True).syscall(321, cmd, attr, len(attr))
    code = ctypes.create_string_buffer(struct.pack("<BBhi", 0xB7, 0, 0, answer) + struct.pack("<BBhi", 0x95, 0, 0, 0))
    text = ctypes.create_string_buffer(b"GPL")
    load = struct.pack("<IIQQIIQII", kind, 2, ctypes.addressof(code), ctypes.addressof(text), 0, 0, 0, 0, 0)
    prog = bpf(5, load + bytes(64))
    link = bpf(28, struct.pack("<IIII", max(prog, 0), socket.if_nametoindex(ifname), where, 0) + bytes(48))
    os.write(ready, b"1" if prog >= 0 and link >= 0 else b"0")
    time.sleep(600)


def hang(lab, ifname, *what):
    r, w = os.pipe()
    c = Child(lab.node, attach, ifname, w, *what)
    lab.children.append(c)
    os.close(w)
    if os.read(r, 1) != b"1":
        raise Skip("no such program can be attached here")
    os.close(r)
    return c


def test_addresses_of_the_node_alone(lab):
    a, b = world(lab)
    node(lab, "sysctl -qw net.ipv4.conf.br0.route_localnet=1")
    wants(lab, "localnet", "warn", "net.ipv4.conf.br0.route_localnet", code=0)
    node(lab, "sysctl -qw net.ipv4.conf.br0.route_localnet=0 net.ipv4.conf.all.route_localnet=1")
    wants(lab, "localnet", "warn", "net.ipv4.conf.all.route_localnet")


def stranger(num, ready):
    """Reads an NFQUEUE (linux/netfilter/nfnetlink_queue.h)."""
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    s.bind((0, 0))
    body = struct.pack("!BBH", 0, 0, num) + struct.pack("=HH", 8, 1) + struct.pack("!BxH", 1, 0)
    s.send(struct.pack("=IHHII", 16 + len(body), 3 << 8 | 2, 5, 1, 0) + body)
    answer = s.recv(4096)
    os.write(ready, b"1" if struct.unpack_from("=i", answer, 16)[0] == 0 else b"0")
    time.sleep(600)


def listen(lab, num):
    r, w = os.pipe()
    c = Child(lab.node, stranger, num, w)
    lab.children.append(c)
    os.close(w)
    if os.read(r, 1) != b"1":
        raise Failure("the queue could not be bound")
    os.close(r)
    return c


def test_a_stranger_reads_the_queue(lab):
    world(lab)
    alone(lab)
    wants(lab, "queues", "ok", "nobody reads queues 48620 to 48622", code=3)
    listen(lab, 48623)
    wants(lab, "queues", "ok")
    c = listen(lab, 48621)
    wants(lab, "queues", "fail", f"(pid {c.pid}): it says")


def test_a_full_queue(lab):
    a, b = world(lab, queue={"base": 48620, "length": 256})
    wants(lab, "queues", "ok", "nothing was lost")
    lab.daemon.send_signal(signal.SIGSTOP)
    try:
        Child(a.netns, flood, b.v4, 700).result()
    finally:
        lab.daemon.send_signal(signal.SIGCONT)
    wait_for("the loss is seen", lambda: of(doctor(lab)[0], "queues", "warn"), 5)
    wants(lab, "queues", "warn", "packets were decided without the daemon", code=0)


def flood(addr, ports):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for port in range(2000, 2000 + ports):
        s.sendto(b"x", (addr, port))
    return True


def test_who_is_out_of_reach(lab):
    bridged(lab, "a", "b")
    lab.policy("all.yaml", POLICY)
    lab.static()
    path = lab.dir + "/workloads.yaml"
    w = json.load(open(path))
    w["workloads"] += [{"name": "hostly", "namespace": ns, "labels": {}, "image": "test:1",
                        "netns": "/run/netns/" + lab.node} for ns in ("shop",)]
    lab.write("workloads.yaml", json.dumps(w))
    lab.start(mode="enforce", host="policy")
    wants(lab, "reach", "fail", "shop/hostly can't be governed: shares the host's network; policies select it", code=1)
    w["workloads"][-1:-1] = [{**w["workloads"][-1], "name": f"h{i}", "namespace": "another"} for i in range(9)]
    lab.write("workloads.yaml", json.dumps(w))
    wait_for("they are there", lambda: of(doctor(lab)[0], "reach", "warn"), 5)
    wants(lab, "reach", "warn", "and 1 more")
    wants(lab, "reach", "fail", "shop/hostly", code=1)  # many that are nobody's concern hide it not
    w["workloads"][-1]["namespace"] = "other"
    w["workloads"] = [x for x in w["workloads"] if x["namespace"] != "another"]
    lab.write("workloads.yaml", json.dumps(w))
    wait_for("it is another's", lambda: not of(doctor(lab)[0], "reach", "fail"), 5)
    wants(lab, "reach", "warn", "other/hostly can't be governed", code=0)


def test_what_was_asked_for(lab):
    a, b = world(lab)
    wants(lab, "mode", "ok", "2 workloads, all enforced")
    lab.cli("mode", "set", "audit", "--selector", "app=b")
    wait_for("b is observed", lambda: of(doctor(lab)[0], "mode", "warn"), 5)
    wants(lab, "mode", "warn", "1 of 2 workloads are in learn or audit: nothing is denied to shop/b", code=0)
    lab.cli("mode", "clear", "--selector", "app=b")
    lab.policy("all.yaml", POLICY.replace("podSelector: {}", "podSelector: {matchLabels: {app: a}}", 1))
    wait_for("b is open", lambda: of(doctor(lab)[0], "open", "warn"), 5)
    wants(lab, "open", "warn", "1 of 2 workloads are selected by no policy, and open: shop/b", code=0)
    lab.policy("all.yaml", POLICY.replace("podSelector: {}", "podSelector: {matchLabels: {app: aa}}", 1))
    wait_for("nobody is meant", lambda: of(doctor(lab)[0], "policies", "warn"), 5)
    wants(lab, "policies", "warn", "shop/all selects nobody", code=0)
    lab.policy("all.yaml", POLICY.replace("podSelector", "podSelektor", 1))
    wait_for("the file is broken", lambda: of(doctor(lab)[0], "in-force", "fail"), 5)
    wants(lab, "in-force", "fail", "the policies' directory is not what is in force", code=1)
    lab.policy("all.yaml", POLICY)
    wait_for("the file is whole", lambda: of(doctor(lab)[0], "in-force", "ok"), 5)
    lab.config(mode="enforce", host="allow")
    wait_for("host: allow", lambda: of(doctor(lab)[0], "host", "warn"), 5)
    lab.write("bulkhead.yaml", "mode: enfroce")
    wait_for("the configuration is broken", lambda: of(doctor(lab)[0], "in-force", "fail"), 5)
    wants(lab, "in-force", "fail", "the configuration file is not what is in force", code=1)


def test_a_stale_feed(lab):
    """What status calls a problem is a finding too."""
    world(lab, feeds=[{"name": "mine", "url": lab.dir + "/gone.txt"}])
    wait_for("it is told of", lambda: [c for c in of(doctor(lab)[0], "status", "warn") if "feed mine" in c["seen"]], 5)


def test_files(lab):
    world(lab)
    wants(lab, "permissions", "ok")
    for path, mode, result, seen in (("policies/all.yaml", 0o646, "fail", "others than root can change what is enforced"),
                                     ("policies", 0o777, "fail", "others than root can change what is enforced"),
                                     ("policies", 0o770, "warn", "others than root can change what is enforced"),
                                     ("bulkhead.yaml", 0o664, "warn", "others than root can change what is enforced"),
                                     ("state/audit.key", 0o640, "fail", "others than root can sign audit records"),
                                     ("state", 0o720, "fail", "others than root can change modes and quarantines"),
                                     ("bulkhead.sock", 0o666, "fail", "everybody may look"),
                                     ("", 0o773, "fail", "others than root can remove the audit log")):
        full = lab.dir + ("/" + path if path else "")
        was = os.stat(full).st_mode & 0o7777
        os.chmod(full, mode)
        wants(lab, "permissions", result, f"{full} has mode {mode:03o}: {seen}", code=1 if result == "fail" else 0)
        os.chmod(full, was)
        wants(lab, "permissions", "ok", code=0)
    os.chown(lab.dir + "/policies/all.yaml", 65534, 65534)
    wants(lab, "permissions", "warn", "belongs to uid 65534", code=0)
    os.chown(lab.dir + "/policies/all.yaml", 0, 0)
    os.chown(lab.dir + "/state", 65534, 65534)
    wants(lab, "permissions", "fail", "belongs to uid 65534", code=1)
    os.chown(lab.dir + "/state", 0, 0)
    def ahead():  # until the daemon writes its next record
        os.utime(lab.dir + "/audit.jsonl", (time.time() + 3600,) * 2)
        checks, rc = doctor(lab)
        return rc == 1 and [c for c in of(checks, "clock", "fail") if "s behind the newest record" in c["seen"]]
    wait_for("the clock is behind", ahead, 5)
    for i in range(20):  # a user's own, by intent; they hide nothing
        lab.write(f"policies/{i}.yaml", "")
        os.chown(lab.dir + f"/policies/{i}.yaml", 65534, 65534)
    os.chmod(lab.dir + "/policies/all.yaml", 0o646)
    wants(lab, "permissions", "warn", ".yaml belongs to uid 65534")
    wants(lab, "permissions", "fail", "all.yaml has mode 646", code=1)
    for i in range(20):
        os.unlink(lab.dir + f"/policies/{i}.yaml")
    os.chmod(lab.dir + "/policies/all.yaml", 0o644)
    os.rename(lab.dir + "/policies/all.yaml", lab.dir + "/elsewhere")
    os.symlink(lab.dir + "/elsewhere", lab.dir + "/policies/all.yaml")
    wants(lab, "permissions", "ok")
    os.chmod(lab.dir + "/elsewhere", 0o646)
    wants(lab, "permissions", "fail", "all.yaml has mode 646", code=1)
    odd = lab.dir.encode() + b"/policies/b\xe4r.yaml"  # no text: it is told of all the same
    os.unlink(lab.dir + "/policies/all.yaml")
    os.rename(lab.dir + "/elsewhere", odd)
    wants(lab, "permissions", "fail", "b?r.yaml has mode 646", code=1)


def test_room(lab):
    state, log = lab.dir + "/state", lab.dir + "/log"
    for d in (state, log):
        os.mkdir(d)
        run("mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", d)
    try:
        world(lab, audit={"path": log + "/audit.jsonl"})
        wants(lab, "state", "warn", "MiB are free of 8", code=0)
        for d, check in ((state, "state"), (log, "log")):
            with open(d + "/filler", "wb") as f:
                try:
                    for _ in range(64):
                        f.write(bytes(1 << 17))
                        f.flush()
                except OSError:
                    pass
            wants(lab, check, "fail", "0 MiB are free of 8", code=1)
            os.unlink(d + "/filler")
            wants(lab, check, "warn", code=0)
        alone(lab)
        run("mount", "-o", "remount,ro", log)
        wants(lab, "log", "fail", "can't be written: Read-only file system", code=3)
    finally:
        for d in (state, log):
            run("umount", "-l", d, check=False)


def test_a_program_that_was_replaced(lab):
    import lab as module
    copy = lab.dir + "/bulkheadd"
    run("cp", BULKHEADD, copy)
    module.BULKHEADD = copy
    try:
        world(lab)
    finally:
        module.BULKHEADD = BULKHEADD
    wants(lab, "daemon", "ok")
    run("cp", BULKHEADD, copy + ".new")
    os.rename(copy + ".new", copy)
    wants(lab, "daemon", "warn", f"{copy} was replaced", code=0)


def test_no_daemon(lab):
    world(lab)
    alone(lab)
    checks = wants(lab, "daemon", "fail", "no daemon answers", code=3)
    bad = [c for c in checks if c["result"] not in ("ok",) and c["check"] not in ("daemon", "clock")]
    if bad:  # the rules stay
        raise Failure(json.dumps(bad, indent=1))
    lab.start()
    wants(lab, "daemon", "ok", code=0)
    lab.daemon.send_signal(signal.SIGSTOP)
    try:
        begin = time.monotonic()
        wants(lab, "daemon", "fail", "it hangs", code=3)
        if time.monotonic() - begin > 15:
            raise Failure("waited too long for it")
    finally:
        lab.daemon.send_signal(signal.SIGCONT)


def test_the_proof(lab):
    """By the command, with no daemon; where it may not be made it says so."""
    path = {"PATH": os.path.dirname(BULKHEADD) + ":" + os.environ["PATH"]}
    before = node(lab, "nft list ruleset; ip link; cat /proc/sys/net/bridge/bridge-nf-call-iptables")
    ask = ["nsenter", f"--net=/run/netns/{lab.node}"]
    r = subprocess.run(ask + [BULKHEAD, "doctor", "--prove"], env=path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if r.returncode or not r.stdout.startswith("This kernel does what the rules say: 0 FAIL"):
        raise Failure(r.stdout)
    for words in ("no rule, from A to B's tcp/81 by IPv4: nothing came", "on the same connection, when the rule has gone: nothing came"):
        if words not in r.stdout:
            raise Failure(f"{words}: " + r.stdout)
    if before != node(lab, "nft list ruleset; ip link; cat /proc/sys/net/bridge/bridge-nf-call-iptables"):
        raise Failure("something is left where it was started")
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    r = subprocess.run(ask + nobody + [BULKHEAD, "doctor", "--prove"], env=path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if r.returncode != 1 or "sudo bulkhead doctor --prove" not in r.stdout or \
            not r.stdout.startswith("It could not be proved"):
        raise Failure(f"nobody: {r.returncode} {r.stdout}")


if __name__ == "__main__":
    Suite("doc").main(globals())
