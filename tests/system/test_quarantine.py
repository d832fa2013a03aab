#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quarantine with real packets: everything of the workload is cut, established or new, in both
directions, the node included; what --allow names passes; it outlives the daemon and the container."""
import os, re, signal, socket, sqlite3, struct, time

from lab import Child, Failure, Suite, run, wait_for

OPEN = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: open, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]}
"""


def _ping(dst, timeout):
    """'open' if an echo comes back, else 'drop'."""
    v6 = ":" in dst
    s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_RAW,
                      socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP)
    ident = os.getpid() & 0xffff
    body = struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, ident, 1) + b"bulkhead"
    if not v6:
        total = sum(struct.unpack("!%dH" % (len(body) // 2), body))
        total = (total >> 16) + (total & 0xffff)
        body = body[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + body[4:]
    s.sendto(body, (dst, 0))
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        s.settimeout(max(0.01, end - time.monotonic()))
        try:
            data = s.recv(2000)
        except socket.timeout:
            break
        icmp = data if v6 else data[20:]
        if icmp[0] == (129 if v6 else 0) and struct.unpack("!H", icmp[4:6])[0] == ident:
            return "open"
    return "drop"


def pings(lab, table):
    kids = [(row, Child(getattr(row[0], "netns", row[0]), _ping, row[1], 1.0)) for row in table]
    wrong = [f"ping {getattr(r[0], 'name', r[0])} -> {r[1]}: {got}, expected {r[2]}"
             for r, got in ((r, k.result()) for r, k in kids) if got != r[2]]
    if wrong:
        raise Failure("\n".join(wrong))


def shop(lab, **conf):
    web, db, admin = (lab.container(n) for n in ("web", "db", "admin"))
    for c in (web, db, admin):
        c.serve(tcp=[80, 22], udp=[53])
    lab.serve(lab.node, tcp=[22], udp=[53])
    lab.serve(lab.out, tcp=[443], udp=[53])
    lab.policy("open.yaml", OPEN)
    lab.start(**conf)
    return web, db, admin


def table(lab, c, db, state):
    """Everything c has to do with anybody."""
    rows = []
    for mine, theirs, node, out in ((c.v4, db.v4, "10.77.0.1", "198.51.100.7"),
                                    (c.v6, db.v6, "fd00:77::1", "2001:db8:0:2::7")):
        rows += [(c, theirs, "tcp", 80, state), (c, theirs, "udp", 53, state),
                 (db, mine, "tcp", 80, state), (db, mine, "udp", 53, state),
                 (c, node, "tcp", 22, state), (c, node, "udp", 53, state),
                 (lab.node, mine, "tcp", 22, state), (lab.node, mine, "udp", 53, state),
                 (c, out, "tcp", 443, state), (c, out, "udp", 53, state),
                 (lab.out, mine, "tcp", 80, state), (lab.out, mine, "udp", 53, state)]
    return rows


def all_of(lab, c, db, state):
    lab.expect(table(lab, c, db, state))
    pings(lab, [(c, db.v4, state), (c, db.v6, state), (db, c.v4, state), (db, c.v6, state),
                (c, "10.77.0.1", state), (c, "fd00:77::1", state), (lab.node, c.v4, state),
                (lab.node, c.v6, state), (c, "198.51.100.7", state), (lab.out, c.v4, state)])


def entry(lab, name="shop/web"):
    found = [q for q in lab.api("quarantine", "list")["quarantine"] if q["workload"] == name]
    return found[0] if found else None


def need(what, ok):
    if not ok:
        raise Failure(what)


def cut_and_freed(lab, **conf):
    web, db, admin = shop(lab, **conf)
    all_of(lab, web, db, "open")
    held = [lab.hold(web, db.v4, 80), lab.hold(db, web.v6, 80), lab.hold(web, "10.77.0.1", 22),
            lab.hold(lab.node, web.v4, 80), lab.hold(web, "198.51.100.7", 443),
            lab.hold(lab.out, web.v4, 80)]
    bystander = lab.hold(admin, db.v4, 80)
    need("a flow does not stream before", all(h.alive() for h in held) and bystander.alive())
    lab.cli("quarantine", "add", "shop/web", "--reason", "beacons")
    time.sleep(1)  # cut within a second
    for i, h in enumerate(held):
        need(f"established flow {i} goes on", not h.alive())
    need("a flow of somebody else was cut", bystander.alive())
    all_of(lab, web, db, "drop")
    lab.expect([(admin, db.v4, "tcp", 80, "open"), (admin, "10.77.0.1", "tcp", 22, "open")])
    return web, db, admin


def test_everything_is_cut_in_enforce(lab):
    web, db, admin = cut_and_freed(lab, mode="enforce")
    deny = wait_for("denials on record", lambda: lab.audited(
        "policy-deny", bulkhead__reason="quarantine", bulkhead__src__name="web"))
    need(f"a policy's name stands beside a quarantine: {deny[0]}", "ruleset" not in deny[0].get("rule", {}))
    wait_for("denials towards it on record", lambda: lab.audited(
        "policy-deny", bulkhead__reason="quarantine", bulkhead__dst__name="web"))
    wait_for("denied flows are listed", lambda: [f for f in lab.flows() if f["reason"] == "quarantine"])
    wrong = [f for f in lab.flows() if f["reason"] == "quarantine" and f["rule"]]
    need(f"a rule that allows stands beside a quarantine: {wrong[:1]}", not wrong)
    lab.cli("quarantine", "rm", "shop/web")
    all_of(lab, web, db, "open")
    done = lab.audited("quarantine.add") + lab.audited("quarantine.rm")
    need(f"not on record: {done}", len(done) == 2 and all(
        r["event"]["outcome"] == "success" and r["user"]["id"] == "0" for r in done))
    change = done[0]["bulkhead"]["change"]
    need(f"record: {change}", change["workload"] == "shop/web" and change["reason"] == "beacons"
         and change["allow"] == [] and done[0]["process"]["pid"] > 0)


def test_everything_is_cut_in_learn(lab):
    """Above modes: nobody is enforced, and no policy selects it."""
    web, db, _admin = cut_and_freed(lab, mode="learn")
    need("learned while in quarantine", not [
        f for f in lab.flows() if f["verdict"] == "allow" and f["reason"] == "quarantine"])
    text = lab.cli("status")
    need(text, re.search(r"^quarantine +1 workload cut off", text, re.M))
    need("ps does not mark it", re.search(r"shop +web .*QUARANTINE", lab.cli("ps")))
    need("ps marks another", not re.search(r"shop +db .*QUARANTINE", lab.cli("ps")))
    lab.cli("quarantine", "rm", "web")
    all_of(lab, web, db, "open")


def test_what_is_allowed_works_and_only_that(lab):
    web, db, admin = shop(lab, mode="enforce")
    stays, goes = lab.hold(admin, web.v4, 22), lab.hold(admin, web.v4, 80)
    out = lab.hold(web, db.v4, 80)
    need("a flow does not stream before", stays.alive() and goes.alive() and out.alive())
    lab.cli("quarantine", "add", "shop/web", "--allow", admin.v4 + ":22", "--allow", db.v4 + "/32:80/tcp",
            "--allow=10.77.0.1:53/udp", "--allow", f"[{admin.v6}/128]:22")
    time.sleep(1)
    need("an established flow that is allowed was cut", stays.alive() and out.alive())
    need("an established flow that is not allowed goes on", not goes.alive())
    lab.expect([(admin, web.v4, "tcp", 22, "open"), (admin, web.v6, "tcp", 22, "open"),
                (admin, web.v4, "tcp", 80, "drop"), (admin, web.v4, "udp", 53, "drop"),
                (db, web.v4, "tcp", 22, "drop"), (lab.node, web.v4, "tcp", 22, "drop"),
                (web, db.v4, "tcp", 80, "open"), (web, db.v4, "tcp", 22, "drop"), (web, db.v6, "tcp", 80, "drop"),
                (web, "10.77.0.1", "udp", 53, "open"), (web, "10.77.0.1", "tcp", 22, "drop"),
                (web, "198.51.100.7", "udp", 53, "drop")])
    need(f"entry: {entry(lab)}", sorted(entry(lab)["allow"]) == sorted(
        [f"{admin.v4}/32:22/tcp", f"{db.v4}/32:80/tcp", "10.77.0.1/32:53/udp", f"[{admin.v6}/128]:22/tcp"]))
    text = lab.cli("explain", "admin", "web", "tcp/22")
    need(text, "quarantined" in text and "verdict: allow (quarantine)" in text)
    text = lab.cli("explain", "db", "web", "tcp/22")
    need(text, "quarantine rm shop/web" in text and "(quarantine)" in text)
    # Given again it replaces the list; what is no longer on it is cut, established or not.
    lab.cli("quarantine", "add", "web", "--allow", db.v4 + ":80")
    time.sleep(1)
    need("what was taken off the list goes on", not stays.alive())
    need("what stayed on the list was cut", out.alive())
    lab.expect([(admin, web.v4, "tcp", 22, "drop"), (web, db.v4, "tcp", 80, "open")])
    need("replacing is not on record", lab.audited("quarantine.add")[-1]["bulkhead"]["change"]["replaced"])
    # What it may do, the other end's policies still decide.
    lab.policy("open.yaml", OPEN.replace("podSelector: {}", "podSelector: {matchLabels: {app: db}}").replace(
        "ingress: [{}]", "ingress: []"))
    wait_for("the other end's policy decides", lambda: lab.probe(web, db.v4, "tcp", 80) == "drop")


def test_daemon_killed_and_restarted(lab):
    web, db, admin = shop(lab, mode="learn")
    lab.cli("quarantine", "add", "web", "--allow", admin.v4 + ":22")
    rows = [(web, db.v4, "tcp", 80, "drop"), (db, web.v6, "tcp", 80, "drop"), (web, "10.77.0.1", "tcp", 22, "drop"),
            (lab.node, web.v4, "tcp", 22, "drop"), (lab.out, web.v4, "tcp", 80, "drop"),
            (admin, web.v4, "tcp", 22, "open"), (admin, db.v4, "tcp", 80, "open")]
    lab.expect(rows)
    lab.stop(signal.SIGKILL)
    lab.expect(rows)
    # Nothing gets through while the new daemon makes the kernel's rules its own.
    watch = [Child(web.netns, _knock, db.v4, 80, 4.0), Child(lab.node, _knock, web.v4, 80, 4.0)]
    lab.start()
    for w in watch:
        need("a flow came through during the restart", w.result() == 0)
    lab.expect(rows)
    need(f"after the restart: {entry(lab)}", entry(lab)["state"] == "in force")
    lab.cli("quarantine", "rm", "web")
    lab.expect([(web, db.v4, "tcp", 80, "open"), (lab.node, web.v4, "tcp", 22, "open")])
    lab.stop()
    lab.start()
    need("it came back with the daemon", entry(lab) is None)
    lab.expect([(web, db.v4, "tcp", 80, "open")])


def _knock(dst, port, seconds):
    """How many of many attempts to connect succeeded."""
    end, n = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        s = socket.socket(socket.AF_INET6 if ":" in dst else socket.AF_INET)
        s.settimeout(0.05)
        try:
            s.connect((dst, port))
            n += 1
        except OSError:
            pass
        s.close()
    return n


def made_again(lab, mode):
    """Compose makes a new container of the same name: another id, namespace and addresses."""
    web, db, _admin = shop(lab, mode=mode)
    lab.cli("quarantine", "add", "shop/web")
    need(f"{entry(lab)}", entry(lab)["matches"][0]["by"] == "name and id")
    lab.remove("web")
    lab.static()
    wait_for("it is gone", lambda: "web" not in [w["name"] for w in lab.workloads()])
    need(f"{entry(lab)}", entry(lab)["state"] == "absent" and not entry(lab)["matches"])
    need(lab.cli("status"), ", 1 more when it is back" in lab.cli("status"))
    lab.stop()  # and the daemon with it
    lab.start()
    need(f"{entry(lab)}", entry(lab)["state"] == "absent")
    lab.expect([(db, "10.77.0.1", "tcp", 22, "open")])
    web = lab.container("web")  # a new address
    need("the same address again: the test shows nothing", web.v4 != "10.77.0.2")
    web.serve(tcp=[80, 22], udp=[53])
    # It sends, and is sent to, before the daemon has heard of it.
    first = [Child(web.netns, _knock, db.v4, 80, 3.0), Child(web.netns, _knock, "198.51.100.7", 443, 3.0),
             Child(db.netns, _knock, web.v4, 80, 3.0)]
    time.sleep(0.1)
    lab.static()
    wait_for("it is back", lambda: entry(lab)["state"] == "in force")
    for k in first:
        need("a first packet came through", k.result() == 0)
    all_of(lab, web, db, "drop")
    other = lab.container("web2", namespace="other")
    other.name = "web"
    lab.static()
    wait_for("another namespace's web is known", lambda: [
        w for w in lab.workloads() if w["namespace"] == "other" and w["quarantine"] is None])
    lab.expect([(other, db.v4, "tcp", 80, "open")])
    need("the knocking shows nothing", Child(other.netns, _knock, db.v4, 80, 0.3).result() > 0)


def test_container_made_again_in_learn(lab):
    made_again(lab, "learn")


def test_container_made_again_in_enforce(lab):
    made_again(lab, "enforce")


def stored(lab, sql):
    """A static workload's id is made of its name: what is stored is made that of another container."""
    lab.stop()
    with sqlite3.connect(lab.dir + "/state/bulkhead.db") as s:
        s.execute(sql)
    s.close()
    lab.start()


def test_cut_by_id_when_renamed(lab):
    web, db, admin = shop(lab, mode="learn")
    lab.cli("quarantine", "add", "web")
    stored(lab, "UPDATE quarantine SET name = 'before'")
    got = entry(lab, "shop/before")
    need(f"{got}", got["state"] == "in force" and got["matches"][0]["by"] == "id")
    lab.expect([(web, db.v4, "tcp", 80, "drop"), (admin, web.v4, "tcp", 80, "drop")])
    lab.cli("quarantine", "rm", "web")  # the workload's name will do
    need("still there", entry(lab, "shop/before") is None)
    lab.expect([(web, db.v4, "tcp", 80, "open")])


def test_cut_by_name_when_made_again(lab):
    web, db, admin = shop(lab, mode="learn")
    lab.cli("quarantine", "add", "web")
    stored(lab, "UPDATE quarantine SET id = '0123456789abcdef'")
    got = entry(lab)
    need(f"{got}", got["state"] == "in force" and got["matches"][0]["by"] == "name")
    need("the table does not say by what", "name: static:shop/web" in lab.cli("quarantine", "list"))
    lab.expect([(web, db.v4, "tcp", 80, "drop"), (admin, web.v4, "tcp", 80, "drop")])
    lab.cli("quarantine", "rm", "0123")  # the entry's own id
    lab.expect([(web, db.v4, "tcp", 80, "open")])


def test_the_same_container_counts_before_the_same_name(lab):
    web, db, admin = shop(lab, mode="learn")
    lab.cli("quarantine", "add", "web", "--allow", db.v4 + ":80")
    stored(lab, "INSERT INTO quarantine SELECT namespace, 'old', id, '" + db.v4 +
           ":22', reason, at, uid, pid FROM quarantine")
    stored(lab, "UPDATE quarantine SET id = 'another' WHERE name = 'web'")
    lab.expect([(web, db.v4, "tcp", 80, "drop"), (web, db.v4, "tcp", 22, "open")])
    lab.cli("quarantine", "rm", "shop/web")
    need("an entry that means it is left", not lab.api("quarantine", "list")["quarantine"])
    lab.expect([(web, db.v4, "tcp", 80, "open"), (admin, web.v4, "tcp", 80, "open")])


def test_wrong_words(lab):
    shop(lab, mode="enforce")
    lab.container("web2", namespace="other").name = "web"
    lab.static()
    wait_for("two are called web", lambda: len([w for w in lab.workloads() if w["name"] == "web"]) == 2)
    for argv, code, text in ((["add", "nobody"], 1, "no workload is called nobody"),
                             (["add", "web"], 1, "other/web"),
                             (["rm", "db"], 1, "db is not in quarantine"),
                             (["add", "shop/db", "--allow", "10.0.0.1"], 2, "no port"),
                             (["add", "shop/db", "--allow", "10.0.0.1/8:80"], 2, "must be zero"),
                             (["add", "shop/db", "--reason", "x" * 1001], 2, "at most 1000 bytes")):
        r = lab.cli("quarantine", *argv, check=False)
        need(f"{argv}: {r}", r.returncode == code and text in r.stderr)
    need("something was quarantined", lab.api("quarantine", "list")["quarantine"] == [])


def test_reject_answers(lab):
    web, db, _admin = shop(lab, mode="learn", deny="reject")
    lab.cli("quarantine", "add", "web")
    lab.expect([(web, db.v4, "tcp", 80, "closed"), (db, web.v4, "tcp", 80, "closed"),
                (lab.node, web.v4, "tcp", 22, "closed"), (web, "10.77.0.1", "tcp", 22, "closed")])


def test_full_disk(lab):
    """Nothing is acknowledged that would not outlive the daemon, and nothing is half done."""
    web, db, _admin = shop(lab, mode="learn")
    lab.cli("quarantine", "add", "db")
    pid = lab.daemon.pid
    size = os.path.getsize(lab.dir + "/state/bulkhead.db-wal")
    run("prlimit", "--pid", str(pid), f"--fsize={size}:")
    r = lab.cli("quarantine", "add", "web", "--reason", "r" * 900, check=False)
    for _ in range(20):  # room may be left in the log's last page
        if r.returncode:
            break
        lab.cli("quarantine", "rm", "web", check=False)
        r = lab.cli("quarantine", "add", "web", "--reason", "r" * 900, check=False)
    need(f"{r}", r.returncode == 1 and "nothing was changed" in r.stderr and "disk is full" in r.stderr)
    gone = lab.cli("quarantine", "rm", "db", check=False)
    need(f"{gone}", gone.returncode == 1 and "nothing was changed" in gone.stderr)
    before = [q["workload"] for q in lab.api("quarantine", "list")["quarantine"]]
    need(f"{before}", "shop/db" in before)
    lab.expect([(web, db.v4, "tcp", 80, "drop")])
    run("prlimit", "--pid", str(pid), "--fsize=unlimited:")
    if "shop/web" not in before:
        lab.expect([(web, "198.51.100.7", "tcp", 443, "open")])
    lab.cli("quarantine", "add", "web")
    lab.expect([(web, "198.51.100.7", "tcp", 443, "drop")])


if __name__ == "__main__":
    Suite("q").main(globals())
