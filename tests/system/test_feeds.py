#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threat feeds with real packets: a listed address is dropped in every mode and both directions,
whatever a policy says; a broken download changes nothing."""
import http.server, os, socket, ssl, threading

from lab import Child, Failure, Suite, run, wait_for

ALLOW_ALL = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: all, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]}
"""
FEED = "# test feed\n203.0.113.200\n198.51.100.64/26 ; a range\n2001:db8:0:2::66\n"


def world(lab, mode):
    a = lab.container("a")
    a.serve(tcp=[80])
    lab.serve(lab.out, tcp=[443], udp=[53])
    lab.policy("all.yaml", ALLOW_ALL)
    feed = lab.write("bad.txt", FEED)
    lab.start(mode=mode, feeds=[{"name": "bad", "url": feed}])
    wait_for("feed loaded", lambda: lab.status()["feeds"]["indicators"] >= 3)
    return a


def listed_is_dropped(lab, mode):
    a = world(lab, mode)
    lab.expect([(a, "203.0.113.200", "tcp", 443, "drop"), (a, "198.51.100.66", "udp", 53, "drop"),
                (a, "2001:db8:0:2::66", "tcp", 443, "drop"),
                (a, "203.0.113.9", "tcp", 443, "open"), (a, "198.51.100.7", "udp", 53, "open"),
                (a, "2001:db8:0:2::7", "tcp", 443, "open")])
    # The other direction: the listed address comes in.
    for source, want in (("203.0.113.200", "drop"), ("203.0.113.9", "open")):
        got = lab.probe(lab.out, a.v4, "tcp", 80, source=source)
        if got != want:
            raise Failure(f"{source} -> a tcp/80: {got}, expected {want}")
    hits = wait_for("hits on record", lambda: len(lab.audited("threat-block")) >= 4 and lab.audited("threat-block"))
    h = [r for r in hits if r["destination"]["ip"] == "198.51.100.66"]
    if not h:
        raise Failure(f"no record of 198.51.100.66: {hits}")
    text = str(h[0])
    for word in ("bad", "198.51.100.64/26", "'a'"):
        if word not in text:
            raise Failure(f"the record does not name {word}: {text}")


def test_enforce(lab):
    listed_is_dropped(lab, "enforce")


def test_audit(lab):
    listed_is_dropped(lab, "audit")


def test_learn(lab):
    listed_is_dropped(lab, "learn")
    status = lab.api("learn", "status")
    if any("203.0.113.200" in (e["src"], e["dst"]) for e in status["edges"]):
        raise Failure("a listed address entered the baseline")


def test_hits_never_enter_the_baseline(lab):
    """Blocked or reported only, out or in, once or often: nothing of it is learned; what is not listed is."""
    a = lab.container("a")
    a.serve(tcp=[80])
    lab.serve(lab.out, tcp=[443], udp=[53])
    block, alert = lab.write("block.txt", "203.0.113.200\n"), lab.write("alert.txt", "198.51.100.66\n2001:db8:0:2::66\n")
    lab.start(mode="learn", feeds=[{"name": "block", "url": block}, {"name": "watch", "url": alert, "action": "alert"}])
    wait_for("feeds loaded", lambda: lab.status()["feeds"]["indicators"] == 3)
    listed = {"203.0.113.200", "198.51.100.66", "2001:db8:0:2::66"}
    for _ in range(5):
        lab.expect([(a, "203.0.113.200", "tcp", 443, "drop"), (a, "198.51.100.66", "udp", 53, "open"),
                    (a, "198.51.100.66", "tcp", 443, "open"), (a, "2001:db8:0:2::66", "tcp", 443, "open"),
                    (a, "203.0.113.9", "tcp", 443, "open")])
        for source in ("203.0.113.200", "198.51.100.66", "203.0.113.9"):
            lab.probe(lab.out, a.v4, "tcp", 80, source=source, timeout=0.6)
    wait_for("hits on record", lambda: {r["destination"]["ip"] for r in lab.audited("threat-alert")
                                        + lab.audited("threat-block")} >= listed)

    def learned():
        return {(e["src"], e["dst"]) for e in lab.api("learn", "show")["edges"]}
    wait_for("what is not listed", lambda: learned() >= {("shop/a", "203.0.113.9"), ("203.0.113.9", "shop/a")})
    # Listed from now on: what was learned before stays as it was, and gets no more.
    count = next(e["connections"] for e in lab.api("learn", "show")["edges"] if e["dst"] == "203.0.113.9")
    lab.write("alert.txt", "198.51.100.66\n2001:db8:0:2::66\n203.0.113.9\n")
    wait_for("the new entry", lambda: lab.status()["feeds"]["indicators"] == 4)
    lab.expect([(a, "203.0.113.9", "tcp", 443, "open"), (a, "198.51.100.7", "tcp", 443, "open")])
    wait_for("the last edge", lambda: ("shop/a", "198.51.100.7") in learned())
    now = next(e["connections"] for e in lab.api("learn", "show")["edges"] if e["dst"] == "203.0.113.9")
    if now != count or any(x in listed for edge in learned() for x in edge):
        raise Failure(f"{count} connections, then {now}; learned: {learned()}")
    if any(x in lab.cli("learn", "export") for x in listed):
        raise Failure("a listed address is in the export")


def test_a_hit_quarantines(lab):
    """drift.quarantine.feed_hit: who sends to what a blocking feed lists is cut off by itself; nobody else."""
    off, bad, good, victim, forger = (lab.container(n) for n in ("off", "bad", "good", "victim", "forger"))
    good.serve(tcp=[80])
    lab.serve(lab.out, tcp=[443])
    block, alert = lab.write("block.txt", "203.0.113.200\n"), lab.write("alert.txt", "198.51.100.66\n")
    conf = {"mode": "learn", "feeds": [{"name": "block", "url": block}, {"name": "watch", "url": alert, "action": "alert"}]}
    lab.start(**conf)
    wait_for("feeds loaded", lambda: lab.status()["feeds"]["indicators"] == 2)

    def hits(c):
        return lab.audited("threat-block", source__ip=c.v4)

    def cut():
        return {q["workload"] for q in lab.api("quarantine", "list")["quarantine"]}
    # Off unless it is asked for.
    lab.expect([(off, "203.0.113.200", "tcp", 443, "drop")])
    wait_for("the first hit on record", lambda: hits(off))
    lab.config(**conf, drift={"quarantine": {"feed_hit": True}})
    wait_for("the setting", lambda: lab.audited("reload"))
    # Called by a listed address, having something reported only, or being named by a forger is no hit.
    lab.probe(lab.out, good.v4, "tcp", 80, source="203.0.113.200", timeout=0.6)
    lab.expect([(victim, "198.51.100.66", "tcp", 443, "open"), (good, "203.0.113.9", "tcp", 443, "open")])
    Child(forger.netns, _forge, victim.v4, "203.0.113.200").result()
    lab.expect([(bad, "203.0.113.9", "tcp", 443, "open"), (bad, "203.0.113.200", "tcp", 443, "drop")])
    wait_for("bad cut off", lambda: cut() == {"shop/bad"})
    lab.expect([(bad, "203.0.113.9", "tcp", 443, "drop"), (bad, good.v4, "tcp", 80, "drop"),
                (good, "203.0.113.9", "tcp", 443, "open"), (victim, good.v4, "tcp", 80, "open"),
                (off, "203.0.113.9", "tcp", 443, "open")])
    entry = lab.api("quarantine", "list")["quarantine"][0]
    if "203.0.113.200" not in entry["reason"] or "feed block" not in entry["reason"]:
        raise Failure(f"the reason: {entry}")
    lab.cli("quarantine", "rm", "shop/bad")  # a person knows better: it stays out
    n = len(hits(bad))
    lab.expect([(bad, "203.0.113.9", "tcp", 443, "open"), (bad, "203.0.113.200", "tcp", 443, "drop")])
    wait_for("the second time on record", lambda: lab.audited("drift.quarantine"))
    if cut() or n == 0:
        raise Failure(f"cut off again: {cut()}")


def _forge(source, dst):
    import struct
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    udp = struct.pack("!HHHH", 5555, 443, 14, 0) + b"forged"
    for _ in range(5):
        s.sendto(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, socket.inet_aton(source),
                             socket.inet_aton(dst)) + udp, (dst, 0))


def test_still_blocked_when_the_daemon_is_dead(lab):
    a = world(lab, "learn")
    lab.stop(9)
    lab.expect([(a, "203.0.113.200", "tcp", 443, "drop"), (a, "203.0.113.9", "tcp", 443, "open")])


def test_new_entry_cuts_established(lab):
    a = world(lab, "learn")
    h, other = lab.hold(a, "203.0.113.9", 443), lab.hold(a, "198.51.100.7", 443)
    if not h.alive():
        raise Failure("the connection does not work before the address is listed")
    lab.write("bad.txt", FEED + "203.0.113.9\n")
    wait_for("new entry in force", lambda: lab.probe(a, "203.0.113.9", "tcp", 443, timeout=0.5) == "drop")
    if h.alive():
        raise Failure("an established flow to a newly listed address goes on")
    if not other.alive():
        raise Failure("an unrelated flow was cut")


def test_bad_files_change_nothing(lab):
    a = world(lab, "learn")
    for text in ("<!DOCTYPE html><html><body>502 Bad Gateway</body></html>\n", "", "\0\0\0\0"):
        lab.write("bad.txt", text)
        wait_for("refusal on record", lambda: lab.audited("feed.refused"))
        lab.expect([(a, "203.0.113.200", "tcp", 443, "drop"), (a, "203.0.113.9", "tcp", 443, "open")])
    if not any("bad" in p for p in lab.status()["problems"]):
        raise Failure(f"status is silent about the broken feed: {lab.status()['problems']}")


def test_own_addresses_are_never_blocked(lab):
    a, b = lab.container("a"), lab.container("b")
    b.serve(tcp=[80])
    lab.serve(lab.node, tcp=[53])
    feed = lab.write("bad.txt", f"{b.v4}\n10.0.0.0/8\n10.77.0.1\n0.0.0.0/0\n203.0.113.200\n127.0.0.0/8\n")
    lab.start(mode="learn", feeds=[{"name": "bad", "url": feed}])
    wait_for("feed loaded", lambda: lab.status()["feeds"]["indicators"] >= 1)
    lab.serve(lab.out, tcp=[443])
    lab.expect([(a, b.v4, "tcp", 80, "open"), (a, "10.77.0.1", "tcp", 53, "open"),
                (a, "198.51.100.7", "tcp", 443, "open"), (a, "203.0.113.200", "tcp", 443, "drop")])


def _web(answers, ready, cert=None):
    """Serves /list with the answers in turn; the last one stays."""
    class H(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, kind, body = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *a):
            pass
    s = http.server.HTTPServer(("192.0.2.2", 8000), H)
    if cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*cert)
        s.socket = tls.wrap_socket(s.socket, server_side=True)
    os.write(ready, b"1")
    s.serve_forever()


def test_http_feed(lab):
    a = lab.container("a")
    lab.serve(lab.out, tcp=[443])
    r, w = os.pipe()
    lab.children.append(Child(lab.out, _web, [
        [200, "text/plain", "203.0.113.200\n203.0.113.201\n"], [200, "text/html", "<html>login</html>"],
        [200, "text/plain", "203.0.113.9\n203.0.113.200\n"]], w))
    os.read(r, 1)
    lab.start(mode="learn", feeds=[{"name": "web", "url": "http://192.0.2.2:8000/list"}])
    wait_for("feed loaded", lambda: lab.status()["feeds"]["indicators"] == 2)
    lab.expect([(a, "203.0.113.200", "tcp", 443, "drop"), (a, "203.0.113.9", "tcp", 443, "open")])
    lab.cli("feed", "refresh", "web")
    wait_for("the HTML page refused", lambda: lab.audited("feed.refused"))
    lab.expect([(a, "203.0.113.200", "tcp", 443, "drop"), (a, "203.0.113.9", "tcp", 443, "open")])
    lab.cli("feed", "refresh")
    wait_for("the new list", lambda: lab.probe(a, "203.0.113.9", "tcp", 443, timeout=0.5) == "drop")
    r = lab.cli("feed", "refresh", "nosuch", check=False)
    if r.returncode == 0 or "nosuch" not in r.stderr:
        raise Failure(f"refresh of an unknown feed: {r.returncode} {r.stderr}")


def test_https_feed(lab):
    """ca_file says who is trusted; whom nobody trusts is not believed."""
    def make(name):
        pem = [os.path.join(lab.dir, f"{name}.{x}") for x in ("crt", "key")]
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=feed", "-addext", "subjectAltName=IP:192.0.2.2", "-out", pem[0], "-keyout", pem[1])
        return pem
    served, other = make("served"), make("other")
    r, w = os.pipe()
    lab.children.append(Child(lab.out, _web, [[200, "text/plain", "203.0.113.200\n203.0.113.201\n"]], w, served))
    os.read(r, 1)
    feed = {"name": "web", "url": "https://192.0.2.2:8000/list"}
    lab.start(mode="learn", feeds=[feed])

    def refused():
        wait_for("the server is not trusted", lambda: any("certificate" in p for p in lab.status()["problems"]))
        if lab.status()["feeds"]["indicators"]:
            raise Failure("a list of a server that is not trusted is in force")
    refused()
    lab.stop()
    lab.config(mode="learn", feeds=[dict(feed, ca_file=other[0])])
    lab.start()
    refused()
    lab.stop()
    lab.config(mode="learn", feeds=[dict(feed, ca_file=served[0])])
    lab.start()
    wait_for("feed loaded", lambda: lab.status()["feeds"]["indicators"] == 2)


def test_keys_in_urls_are_not_shown(lab):
    """Neither to the group, nor to who gets the audit log."""
    r, w = os.pipe()
    lab.children.append(Child(lab.out, _web, [
        [200, "text/plain", "203.0.113.200\n203.0.113.201\n"], [200, "text/html", "<html>login</html>"]], w))
    os.read(r, 1)
    url = "http://reader:hunter2@192.0.2.2:8000/list?key=hunter3"
    lab.start(mode="learn", feeds=[{"name": "web", "url": url}])
    wait_for("feed loaded", lambda: lab.status()["feeds"]["indicators"] == 2)
    lab.cli("feed", "refresh", "web")
    wait_for("the HTML page refused", lambda: lab.audited("feed.refused"))
    lab.cli("feed", "add", "mine", url.replace("3", "5"))
    lab.config(mode="learn", feeds=[{"name": "web", "url": url.replace("3", "4")}])
    wait_for("the change is recorded", lambda: lab.audited("reload"))
    said = [lab.cli("-o", "json", *x) for x in (["status"], ["feed", "list"], ["feed", "show", "web"], ["feed", "show", "mine"])]
    said += [lab.cli(*x) for x in (["status"], ["feed", "list"], ["feed", "show", "web"])]
    said += [open(lab.dir + "/audit.jsonl").read(), lab.daemon_log()]
    for text in said:
        if "hunter" in text:
            raise Failure(text)
    if "http://…@192.0.2.2:8000/list?…" not in said[4] + said[5] + said[6]:
        raise Failure(said[6])


if __name__ == "__main__":
    Suite("f").main(globals())
