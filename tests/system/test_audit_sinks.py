#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other receivers of the audit log: Debian's rsyslog by a unix socket, TCP and TLS, in the node's
network namespace; one that is away and comes back; journald's protocol; OCSF and CEF."""
import json, os, re, signal, socket, subprocess, sys, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import formats
from lab import BULKHEAD, Failure, Suite, run, wait_for

POLICY = """apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: b, namespace: shop}
spec: {podSelector: {matchLabels: {app: b}}, policyTypes: [Ingress]}
"""
RSYSLOG = """
global(workDirectory="{dir}" maxMessageSize="512k"
       defaultNetstreamDriverCAFile="{dir}/ca.pem" defaultNetstreamDriverCertFile="{dir}/server.pem"
       defaultNetstreamDriverKeyFile="{dir}/server.key")
module(load="imuxsock" SysSock.Use="off")
module(load="imptcp")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
template(name="t" type="list" option.jsonf="off") {{ property(name="inputname") constant(value=" ")
  property(name="pri") constant(value=" ") property(name="msgid") constant(value=" ") property(name="app-name")
  constant(value=" ") property(name="msg") constant(value="\\n") }}
ruleset(name="r") {{ action(type="omfile" file="{dir}/received" template="t" asyncWriting="off" flushOnTXEnd="on") }}
input(type="imuxsock" Socket="{dir}/log.sock" ruleset="r" useSpecialParser="off" parseHostname="on"
      rateLimit.interval="0")
input(type="imptcp" address="127.0.0.1" port="5140" name="tcp" ruleset="r")
input(type="imtcp" address="127.0.0.1" port="6514" name="tls" ruleset="r")
"""


class Rsyslog:
    def __init__(self, lab):
        self.lab, self.dir = lab, lab.dir + "/rsyslog"
        os.makedirs(self.dir, exist_ok=True)
        with open(self.dir + "/conf", "w") as f:
            f.write(RSYSLOG.format(dir=self.dir))
        if not os.path.exists(self.dir + "/ca.pem"):
            run("openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2", "-subj", "/CN=test ca",
                "-keyout", self.dir + "/ca.key", "-out", self.dir + "/ca.pem")
            run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=server", "-keyout", self.dir + "/server.key",
                "-out", self.dir + "/server.csr")
            with open(self.dir + "/ext", "w") as f:
                f.write("subjectAltName=IP:127.0.0.1\n")
            run("openssl", "x509", "-req", "-in", self.dir + "/server.csr", "-CA", self.dir + "/ca.pem", "-CAkey",
                self.dir + "/ca.key", "-CAcreateserial", "-days", "2", "-extfile", self.dir + "/ext", "-out",
                self.dir + "/server.pem")

    def __enter__(self):
        self.log = open(self.dir + "/out", "a")
        self.p = subprocess.Popen(["nsenter", f"--net=/run/netns/{self.lab.node}", "rsyslogd", "-n", "-f", self.dir + "/conf",
                                   "-i", self.dir + "/pid"], stdout=self.log, stderr=self.log)
        wait_for("rsyslog listens", lambda: os.path.exists(self.dir + "/log.sock") and
                 ":6514" in run("nsenter", f"--net=/run/netns/{self.lab.node}", "ss", "-ltn"))
        return self

    def __exit__(self, *_):
        self.p.terminate()
        try:
            self.p.wait(20)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
        self.log.close()
        if os.path.exists(self.dir + "/log.sock"):
            os.unlink(self.dir + "/log.sock")

    def received(self, by):
        """[(priority, msgid, body)]"""
        out = []
        try:
            for line in open(self.dir + "/received"):
                m = re.match(r"(\S+) (\d+) (\S+) bulkheadd ?(.*)$", line)
                if not m:
                    raise Failure(f"rsyslog read this badly: {line[:300]}")
                if m[1] == by:
                    out.append((int(m[2]), m[3], m[4].strip()))
        except FileNotFoundError:
            pass
        return out


def sinks(lab, *list_):
    return {"path": lab.dir + "/audit.jsonl", "sinks": list(list_)}


def numbers(bodies):
    return [json.loads(b)["event"]["sequence"] for _, _, b in bodies]


def sink(lab, name):
    return next(s for s in lab.status()["audit"]["sinks"] if s["name"] == name)


def test_rsyslog_by_unix_tcp_and_tls(lab):
    c, b = lab.container("c"), lab.container("b")
    lab.policy("b.yaml", POLICY)
    rsyslog = Rsyslog(lab)
    with rsyslog:
        lab.start(mode="enforce", audit=sinks(
            lab, {"name": "u", "to": f"unix:{rsyslog.dir}/log.sock"}, {"name": "t", "to": "tcp://127.0.0.1:5140"},
            {"name": "s", "to": "tls://127.0.0.1:6514", "ca": rsyslog.dir + "/ca.pem", "format": "ocsf"}))
        lab.expect([(c, b.v4, "tcp", 80, "drop")])
        denial = wait_for("the denial", lambda: lab.audited("policy-deny"))[0]
        last = denial["event"]["sequence"]
        for by in ("imuxsock", "tcp"):
            got = wait_for(f"the denial by {by}", lambda: [r for r in rsyslog.received(by) if r[1] == "policy-deny"])
            if got[0][0] != 13 * 8 + 4 or json.loads(got[0][2]) != denial:
                raise Failure(f"by {by}: {got}")
            n = numbers(rsyslog.received(by))
            if n[0] != 1 or n[:last] != list(range(1, last + 1)):
                raise Failure(f"by {by}: {n}")
        got = wait_for("the denial by TLS", lambda: [json.loads(r[2]) for r in rsyslog.received("tls") if r[1] == "policy-deny"])[0]
        want = {"class_uid": 4001, "activity_id": 5, "type_uid": 400105, "category_uid": 4, "action_id": 2, "disposition_id": 6}
        if {k: got[k] for k in want} != want or got["connection_info"]["direction_id"] != 3 or \
           got["dst_endpoint"]["port"] != 80 or got["src_endpoint"]["name"] != "c" or got["metadata"]["version"] != "1.3.0" or \
           got["unmapped"]["event"]["sequence"] != last:
            raise Failure(f"OCSF: {got}")
        for name in "uts":
            wait_for(f"{name} has all", lambda: sink(lab, name)["lag"] == 0)
            s = sink(lab, name)
            if not s["connected"] or s["dropped"] or s["error"] or s["sent"] < last:
                raise Failure(f"status: {s}")
        metrics = lab.sh(lab.node, f"curl -s --unix-socket {lab.dir}/bulkhead.sock http://x/metrics")
        if 'bulkhead_audit_sink_lag_records{sink="t"} 0' not in metrics or \
           'bulkhead_audit_sink_dropped_records_total{sink="s"} 0' not in metrics:
            raise Failure(f"metrics: {metrics}")
        lab.stop()


def test_a_receiver_that_is_away(lab):
    c, b = lab.container("c"), lab.container("b")
    lab.policy("b.yaml", POLICY)
    rsyslog = Rsyslog(lab)
    conf = sinks(lab, {"name": "t", "to": "tcp://127.0.0.1:5140"})
    conf["rotate"] = {"size": "64K"}
    with rsyslog:
        lab.start(mode="enforce", audit=conf)
        wait_for("the start", lambda: any(r[1] == "start" for r in rsyslog.received("tcp")))
    wait_for("it is missed", lambda: sink(lab, "t")["error"])
    # Away over a rotation and a restart of the daemon.
    for i in range(90):
        lab.cli("mode", "set", "enforce", "--namespace", f"n{i % 5}")
    if not sink(lab, "t")["lag"] > 50:
        raise Failure(f"no lag: {sink(lab, 't')}")
    lab.stop()
    lab.start()
    with rsyslog:
        lab.cli("mode", "set", "learn", "--namespace", "last")
        last = lab.audited("mode.change")[-1]["event"]["sequence"]
        wait_for("everything arrives", lambda: last in numbers(rsyslog.received("tcp")), timeout=30)
        got = sorted(set(numbers(rsyslog.received("tcp"))))
        if got[:last] != list(range(1, last + 1)):
            raise Failure(f"what arrived has holes: {got}")
        if sink(lab, "t")["dropped"]:
            raise Failure(f"dropped: {sink(lab, 't')}")
        lab.stop()


def test_what_was_pruned_is_counted(lab):
    conf = sinks(lab, {"name": "t", "to": "tcp://127.0.0.1:5140"})
    conf["rotate"] = {"size": "64K", "keep": 1}
    lab.start(audit=conf)
    first = lab.audited("start")[0]["event"]["sequence"]
    for i in range(200):
        lab.cli("mode", "set", "enforce", "--namespace", f"n{i % 5}")
    wait_for("files are pruned", lambda: any(n.startswith("audit.jsonl.0") for n in os.listdir(lab.dir)) and lab.audited("log.pruned"))
    rsyslog = Rsyslog(lab)
    with rsyslog:
        wait_for("the rest arrives", lambda: sink(lab, "t")["lag"] == 0 and sink(lab, "t")["sent"], timeout=30)
        s = sink(lab, "t")
        # imptcp has them; the file may follow.
        wait_for("the rest is written", lambda: len(set(numbers(rsyslog.received("tcp")))) >= s["sent"])
        got = sorted(set(numbers(rsyslog.received("tcp"))))
        if not s["dropped"] or s["dropped"] != got[0] - 1:
            raise Failure(f"{s['dropped']} dropped, the first that arrived is {got[0]}")
        lab.stop()


def test_a_stranger_gets_nothing(lab):
    """TLS with a certificate that nobody vouches for."""
    rsyslog = Rsyslog(lab)
    run("openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2", "-subj", "/CN=another ca",
        "-keyout", rsyslog.dir + "/other.key", "-out", rsyslog.dir + "/other.pem")
    with rsyslog:
        lab.start(audit=sinks(lab, {"name": "s", "to": "tls://127.0.0.1:6514", "ca": rsyslog.dir + "/other.pem"}))
        error = wait_for("the reason", lambda: sink(lab, "s")["error"])
        if "TLS" not in error or sink(lab, "s")["sent"] or rsyslog.received("tls"):
            raise Failure(f"{error}, {sink(lab, 's')}, {rsyslog.received('tls')}")
        lab.stop()


def test_journald_and_export(lab):
    c, b = lab.container("c"), lab.container("b")
    lab.policy("b.yaml", POLICY)
    path = lab.dir + "/journal.sock"
    journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journal.bind(path)
    journal.settimeout(0.2)
    # A datagram socket is all that journald is to a sender: played by this test.
    if os.path.exists("/run/systemd/journal/socket"):
        print("skip - journald is here; its socket is not played", flush=True)
        return
    os.makedirs("/run/systemd/journal", exist_ok=True)
    os.symlink(path, "/run/systemd/journal/socket")
    try:
        lab.start(mode="enforce", audit=sinks(lab, {"name": "j", "to": "journald"}))
        lab.expect([(c, b.v4, "tcp", 80, "drop")])
        wait_for("the denial", lambda: lab.audited("policy-deny"))
        lab.cli("mode", "set", "learn", "--namespace", "x")
        messages = []

        def seen():
            try:
                messages.append(dict(l.split("=", 1) for l in journal.recv(65536).decode().splitlines() if "=" in l))
            except socket.timeout:
                pass
            return [m for m in messages if m.get("BULKHEAD_ACTION") == "mode.change"]
        m = wait_for("the change in the journal", seen)[0]
        if m["BULKHEAD_UID"] != "0" or m["PRIORITY"] != "4" or m["SYSLOG_IDENTIFIER"] != "bulkheadd" or \
           json.loads(m["BULKHEAD_CHANGE"])["to"] != "learn":
            raise Failure(f"journal: {m}")
        if any(x["BULKHEAD_ACTION"] == "policy-deny" for x in messages):
            raise Failure("flows are in the journal")
        lab.stop()
    finally:
        os.unlink("/run/systemd/journal/socket")
    log = lab.dir + "/audit.jsonl"
    out = run(BULKHEAD, "audit", "export", "--action", "policy-deny", "--format", "cef", log).splitlines()
    if len(out) < 1 or not re.match(r"CEF:0\|Bulkhead\|bulkheadd\|[^|]*\|policy-deny\|policy-deny\|5\|rt=\d+ dvchost=", out[0]) or \
       f" dst={b.v4} " not in out[0] or " dpt=80 " not in out[0] or " act=drop " not in out[0]:
        raise Failure(f"CEF: {out}")
    both = run(BULKHEAD, "audit", "export", "--action", "policy-deny", "--action", "start", "--format", "ocsf", log)
    if {json.loads(l)["class_uid"] for l in both.splitlines()} != {4001, 6002}:
        raise Failure(f"OCSF: {both}")
    if run(BULKHEAD, "audit", "export", "--since", "2999-01-01", log) or \
       run(BULKHEAD, "audit", "export", "--until", "2999-01-01", log) != open(log).read():
        raise Failure("times are not kept to")


def test_hostile_texts_in_every_form(lab):
    """Names, rules and comments are anybody's: what a receiver reads is what was recorded, cut to what the
    form allows. Needs no daemon."""
    import random
    rng = random.Random(7)
    pieces = ["|", "\\\\", "=", " act=allow ", "\\n", "\n", "\r", "é", "💩", "\u2028", "\x1b[31m", "\t", "CEF:0|", "x" * 700, '"', "\x7f", "-"]
    text = lambda: "".join(rng.choice(pieces) for _ in range(rng.randrange(1, 12)))
    printable = lambda s: re.sub("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]", " ", s)
    cut = lambda s, n: s.encode()[:n].decode(errors="ignore")
    flows, changes, want = [], [], []
    base = {"@timestamp": "2026-01-02T03:04:05.678901Z", "observer": {"version": "1|0\\"}, "host": {"name": "node", "id": "m"}}
    for i in range(200):
        ip = ["10.0.0.1", "2001:db8::1"][i % 2]
        src, rule = text(), text()
        flows.append({**base, "event": {"action": "policy-deny", "severity": 47, "sequence": i + 1, "id": "id"},
                      "network": {"transport": "tcp", "type": ["ipv4", "ipv6"][i % 2], "iana_number": "6", "direction": "internal"},
                      "source": {"ip": ip, "port": 1}, "destination": {"ip": ip, "port": 2}, "rule": {"name": rule},
                      "bulkhead": {"src": {"name": src, "namespace": src, "id": "i"}, "dst": None, "verdict": "drop", "repeat": 3 << 32}})
        changes.append({**base, "event": {"action": "policy.change", "severity": 47, "sequence": i + 201, "id": "id", "outcome": "success"},
                        "user": {"id": "0", "name": src}, "process": {"pid": 7}, "message": rule,
                        "bulkhead": {"change": {"comment": src, "generation": 3, "long": "y" * 9000}}})
        want.append((ip, src, rule))
    log = lab.write("hostile.jsonl", "".join(json.dumps(r) + "\n" for r in flows + changes))
    lines = run(BULKHEAD, "audit", "export", "--format", "cef", log).rstrip("\n").split("\n")
    for line, (ip, src, rule) in zip(lines, want):
        header, got = formats.cef(line)
        if header[3] != "1|0\\" or got["shost"] != cut(printable(src), 1023) or got["cs2"] != cut(printable(rule), 4000) or \
           got["c6a2" if ":" in ip else "src"] != ip or got["cnt"] != str(2 ** 31 - 1) or got["act"] != "drop":
            raise Failure(f"CEF: {line}\n{got} {src!r} {rule!r}")
    for line, (ip, src, rule) in zip(lines[200:], want):
        header, got = formats.cef(line)
        if got["suser"] != cut(printable(src), 1023) or not 3996 < len(got["cs6"].encode()) <= 4000 or "act" in got:
            raise Failure(f"CEF: {line}\n{got} {src!r}")
    out = [json.loads(l) for l in run(BULKHEAD, "audit", "export", "--format", "ocsf", log).rstrip("\n").split("\n")]
    for o, (ip, src, rule) in zip(out, want):
        formats.ocsf(o)
        if o["src_endpoint"]["name"] != src or o["firewall_rule"]["name"] != rule or o["unmapped"]["bulkhead"]["src"]["namespace"] != src:
            raise Failure(f"OCSF: {o}")
    for o, (ip, src, rule) in zip(out[200:], want):
        formats.ocsf(o)
        if o["comment"] != src or o["actor"]["user"]["name"] != src or o["entity"] != {"type": "policy", "name": "policy", "version": "3"}:
            raise Failure(f"OCSF: {o}")
    for bad in ({"action_id": 99}, {"class_uid": 6002}, {"time": 1}, {"type_uid": 400101}, {"connection_info": {}}, {"nonsense": 1}):
        try:
            formats.ocsf({**out[0], **bad})
        except (formats.Bad, KeyError):
            continue
        raise Failure(f"the definitions mean nothing: {bad}")


if __name__ == "__main__":
    Suite("as").main(globals())
