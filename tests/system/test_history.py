#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who was there and when, with real packets: flows stay attributed to a container that is gone, also when
its name and its address are another's; a killed daemon leaves nothing open that is gone; and what people
ask of it all: ps, workload show, impact."""
import json, os, select, signal, sqlite3, subprocess, time

from lab import BULKHEAD, Failure, Suite, run, wait_for

OUT, OTHER = "203.0.113.9", "203.0.113.200"


def need(what, ok):
    if not ok:
        raise Failure(what)


def workload(lab, name):
    return lab.api("workload", "show", name)


def until(lab, names):
    """The inventory is exactly these."""
    lab.static()
    wait_for(f"workloads {names}", lambda: sorted(w["name"] for w in lab.workloads()) == sorted(names))


def again(lab, name, old, **kw):
    """A container with the address of the one that is gone."""
    lab.count = int(old.v4.rsplit(".", 1)[1]) - 1
    return lab.container(name, **kw)


def peers(answer):
    return sorted((p["direction"], p["peer"], p["port"]) for p in answer["peers"])


def recorded(lab, src, dst, port):
    return wait_for(f"{src} -> {dst}:{port} recorded", lambda: [
        f for f in lab.flows() if (f["src"], f["dst"], f["port"]) == (src, dst, port)])


def one(lab, what, name):
    """The entry of `impact` that has this name, of several the newest."""
    found = [e for e in lab.api("impact", what)["affected"] if e["name"] == name]
    return found[0] if found else None


def test_flows_of_one_that_is_gone(lab):
    """Its address goes to another, then its name to a third: each keeps what it did."""
    db = lab.container("db", image="db:2")
    web = lab.container("web", image="web:1")
    db.serve(tcp=[80])
    lab.serve(lab.out, tcp=[443, 8443])
    lab.start()
    lab.expect([(web, db.v4, "tcp", 80, "open"), (web, OUT, "tcp", 443, "open"),
                (web, db.v6, "tcp", 80, "open")])
    recorded(lab, "shop/web", OUT, 443)
    first = workload(lab, "web")
    lab.remove("web")
    until(lab, ["db"])

    thief = again(lab, "thief", web, namespace="other", image="thief:9")
    need("the address was not used again", thief.v4 == web.v4)
    until(lab, ["db", "thief"])
    lab.expect([(thief, OUT, "tcp", 8443, "open"), (thief, OTHER, "tcp", 443, "open")])
    recorded(lab, "other/thief", OTHER, 443)

    gone = workload(lab, "shop/web")
    need(f"it is not gone: {gone}", gone["state"] == "gone" and gone["stopped"] and not gone["stopped_unseen"])
    need(f"another's stay: {gone}", gone["stay"] == first["stay"] and gone["image"] == "web:1")
    need(f"not its peers: {peers(gone)}", set(peers(gone)) == {
        ("to", "shop/db", 80), ("to", OUT, 443)})
    need(f"not its addresses: {gone['addresses']}", {web.v4, web.v6} <= {
        a["address"] for a in gone["addresses"] if a["until"]})
    now = workload(lab, "thief")
    need(f"the heir has its flows: {peers(now)}", set(peers(now)) == {
        ("to", OUT, 8443), ("to", OTHER, 443)})
    need("the server's side forgot who it was", ("from", "shop/web", 80) in peers(workload(lab, "db")))

    # who had to do with the outside address, and who had the inside one
    old, new = one(lab, OUT, "web"), one(lab, OUT, "thief")
    need(f"{old}", old["state"] == "gone" and old["image"] == "web:1" and old["connections"] == 1)
    need(f"{new}", new["state"] == "running" and new["image"] == "thief:9" and new["connections"] == 1)
    need("who had nothing to do with it", one(lab, OTHER, "web") is None)
    had = {y["name"]: y for y in lab.api("impact", web.v4)["owners"]}
    need(f"{had}", set(had) == {"web", "thief"} and had["web"]["stopped"] and not had["thief"]["stopped"])

    # the third: the name and the address of the first
    lab.remove("thief")
    web2 = again(lab, "web", web, image="web:2")
    until(lab, ["db", "web"])
    lab.expect([(web2, OTHER, "tcp", 8443, "open")])
    recorded(lab, "shop/web", OTHER, 8443)
    third = workload(lab, "shop/web")
    need(f"{third}", third["stay"] != first["stay"] and third["image"] == "web:2")
    need(f"it took over what the first did: {peers(third)}", peers(third) == [("to", OTHER, 8443)])
    stays = [(y["image"], bool(y["stopped"])) for y in third["history"]]
    need(f"{stays}", stays == [("web:2", False), ("web:1", True)])
    entries = {(e["image"], e["state"]) for e in lab.api("impact", OUT)["affected"]}
    need(f"{entries}", entries == {("web:1", "gone"), ("thief:9", "gone")})
    text = lab.cli("impact", OUT)
    need(text, "of web:1 run now: nothing" in text)


def test_images_and_siblings(lab):
    digest = "sha256:" + "ab" * 32
    a = lab.container("a", image="ghcr.io/team/app:1@" + digest)
    b = lab.container("b", image="ghcr.io/team/app:2")
    c = lab.container("c", image="nginx")
    lab.serve(lab.out, tcp=[443])
    lab.start()
    lab.expect([(a, OUT, "tcp", 443, "open"), (b, OUT, "tcp", 443, "open"), (c, OTHER, "tcp", 443, "open")])
    recorded(lab, "shop/c", OTHER, 443)
    names = lambda what: sorted(e["name"] for e in lab.api("impact", what)["affected"])
    need("by repository", names("ghcr.io/team/app") == ["a", "b"])
    need("by tag", names("ghcr.io/team/app:2") == ["b"])
    need("by digest", names(digest) == ["a"] and names(digest[7:19]) == ["a"])
    need("what Docker implies", names("docker.io/library/nginx") == ["c"])
    need("by prefix", names("203.0.113.0/24") == ["a", "b", "c"])
    need("by another prefix", names("203.0.113.0/28") == ["a", "b"])
    running = [w["name"] for s in lab.api("impact", OTHER)["siblings"] for w in s["running"]]
    need(f"siblings: {running}", running == ["c"])
    need("an address nobody knows", "nobody" in lab.cli("impact", "192.0.2.200"))
    bad = lab.cli("impact", "A B", check=False)
    need(f"{bad}", bad.returncode == 2 and "neither an address" in bad.stderr)


def test_all_that_a_feed_lists(lab):
    a, b, c = lab.container("a"), lab.container("b"), lab.container("c")
    lab.serve(lab.out, tcp=[443])
    lab.start(mode="learn", feeds=[
        {"name": "drop", "url": lab.write("drop.txt", "192.0.2.99\n"), "max_growth_percent": 0},
        {"name": "watch", "url": lab.write("watch.txt", OTHER + "\n2001:db8:0:2::/64\n"), "action": "alert"}])
    lab.expect([(a, OUT, "tcp", 443, "open"), (b, OTHER, "tcp", 443, "open"), (c, "2001:db8:0:2::7", "tcp", 443, "open")])
    recorded(lab, "shop/c", "2001:db8:0:2::7", 443)
    recorded(lab, "shop/a", OUT, 443)
    recorded(lab, "shop/b", OTHER, 443)
    names = lambda what: sorted(e["name"] for e in lab.api("impact", what)["affected"])
    need(f"nobody talked to it: {names('drop')}", names("drop") == [])
    need(f"an address and a network: {names('watch')}", names("watch") == ["b", "c"])
    lab.write("drop.txt", "\n".join(f"192.0.2.{i}" for i in range(100, 200)) + "\n203.0.113.0/28\n")
    wait_for("the longer list", lambda: lab.status()["feeds"]["indicators"] == 103)
    need(f"before it was listed: {names('drop')}", names("drop") == ["a"])
    need("its kind", lab.api("impact", "drop")["kind"] == "feed")
    need("an image all the same", lab.api("impact", "drop:latest")["kind"] == "image")
    lab.cli("feed", "add", "mine", lab.write("mine.txt", OTHER + "\n"), "--action", "alert")
    wait_for("one that was added by command", lambda: lab.status()["feeds"]["indicators"] == 104)
    need(f"who talked with what it lists: {names('mine')}", names("mine") == ["b"])
    need("its kind", lab.api("impact", "mine")["kind"] == "feed")
    lab.cli("feed", "rm", "mine")
    need("and once it is removed", lab.api("impact", "mine")["kind"] == "image")


def test_the_daemon_is_killed(lab):
    keep, lost = lab.container("keep"), lab.container("lost")
    lab.serve(lab.out, tcp=[443])
    lab.start()
    lab.expect([(lost, OUT, "tcp", 443, "open")])
    recorded(lab, "shop/lost", OUT, 443)
    before = workload(lab, "keep"), workload(lab, "lost")
    at_least = time.time()
    wait_for("the stays are on disk", lambda: open_stays(lab) == ["keep", "lost"])
    wait_for("it is on disk that it was there", lambda: seen_last(lab) >= at_least)
    lab.stop(signal.SIGKILL)
    killed = time.time()
    lab.remove("lost")
    heir = again(lab, "heir", lost)
    lab.static()
    lab.start()
    need("one that is there goes on", workload(lab, "keep")["stay"] == before[0]["stay"])
    gone = workload(lab, "lost")
    need(f"{gone}", gone["state"] == "gone" and gone["stopped_unseen"] and gone["stay"] == before[1]["stay"])
    need(f"seen last {gone['stopped']}", iso(at_least) <= gone["stopped"] <= iso(killed))
    need(f"{peers(gone)}", peers(gone) == [("to", OUT, 443)])
    need("the heir has its flows", peers(workload(lab, "heir")) == [])
    wait_for("nothing is open that is gone", lambda: open_stays(lab) == ["heir", "keep"])
    lab.expect([(heir, OTHER, "tcp", 443, "open")])
    recorded(lab, "shop/heir", OTHER, 443)
    need("flows after the restart", peers(workload(lab, "heir")) == [("to", OTHER, 443)])
    table = lab.cli("ps", "--all")
    need(table, any("lost" in l and "?" in l and l.rstrip().endswith("gone") for l in table.splitlines()))


def iso(t):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t)) + ".%06dZ" % int(t % 1 * 1e6)


def ask(lab, sql):
    db = sqlite3.connect(f"file:{lab.dir}/state/bulkhead.db?mode=ro", uri=True)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def open_stays(lab):
    return sorted(n for n, in ask(lab, "SELECT name FROM stay WHERE stopped = 0"))


def seen_last(lab):
    rows = ask(lab, "SELECT value FROM value WHERE name = 'history_seen'")
    return rows[0][0] / 1e6 if rows else 0


def test_ps(lab):
    lab.container("web", labels={"app": "web", "tier": "front"}, image="nginx:1.25")
    lab.container("db", labels={"app": "db", "tier": "back", "old": ""}, image="ghcr.io/team/db:2")
    lab.container("web2", namespace="other", labels={"app": "web"}, image="localhost:5000/web")
    lab.start(modes=[{"namespace": "other", "mode": "audit"}])
    names = lambda *argv: [w["name"] for w in lab.api("ps", *argv)["workloads"]]
    for argv, want in (
            (("-l", "app=web"), ["web2", "web"]), (("-l", "app!=web"), ["db"]),
            (("-l", "tier in (front, back),!old"), ["web"]), (("-l", "old"), ["db"]),
            (("-l", "app=web", "-n", "shop"), ["web"]), (("--namespace", "other"), ["web2"]),
            (("--image", "nginx"), ["web"]), (("--image", "docker.io/library/nginx:1.25"), ["web"]),
            (("--image", "nginx:1.26"), []), (("--registry", "ghcr.io"), ["db"]),
            (("--registry", "localhost:5000"), ["web2"]), (("--registry", "docker.io"), ["web"]),
            (("--mode", "audit"), ["web2"]), (("--mode", "learn"), ["db", "web"]),
            (("--digest", "sha256:abcd"), []), (("-l", "app=nobody"), [])):
        need(f"ps {argv}: {names(*argv)}, expected {want}", names(*argv) == want)
    for name in ("db", "web2"):
        lab.remove(name)
    until(lab, ["web"])
    need("gone ones are not shown", names() == ["web"])
    need(f"{names('--all')}", set(names("--all")) == {"web", "db", "web2"} and names("--all")[0] == "web")
    need("filters hold for those too", names("--all", "-l", "app=web", "-n", "other") == ["web2"] and
         names("--all", "--registry", "ghcr.io") == ["db"])
    gone = [w for w in lab.api("ps", "-a")["workloads"] if w["name"] == "db"][0]
    need(f"{gone}", gone["state"] == "gone" and gone["labels"]["tier"] == "back" and gone["started"] < gone["stopped"])
    bad = lab.cli("ps", "-l", "a in (b", check=False)
    need(f"{bad}", bad.returncode == 2 and "parenthesis" in bad.stderr)


def test_ps_watch(lab):
    lab.container("web")
    lab.start()
    p = subprocess.Popen([BULKHEAD, "--socket", lab.dir + "/bulkhead.sock", "ps", "-w", "-o", "json"],
                         stdout=subprocess.PIPE)
    try:
        line = lambda: sorted(w["name"] for w in json.loads(p.stdout.readline())["workloads"])
        need("the first answer", line() == ["web"])
        lab.container("db")
        lab.static()
        ready, _, _ = select.select([p.stdout], [], [], 15)
        need("the change is not told", ready and line() == ["db", "web"])
        p.send_signal(signal.SIGINT)
        need("it does not end well", p.wait(10) == 0)
    finally:
        p.kill()
        p.wait()
        p.stdout.close()


def test_names(lab):
    """One resolver for all commands, with an answer that helps."""
    lab.container("web")
    lab.container("database")
    lab.container("web2", namespace="other").name = "web"
    lab.container("front", labels={"com.docker.compose.service": "front"}).name = "shop-front-1"
    lab.start()
    for n in (1, 2):
        lab.container(f"back{n}", labels={"com.docker.compose.service": "back"}).name = f"shop-back-{n}"
    lab.static()
    wait_for("all", lambda: len(lab.workloads()) == 6)
    for word in ("shop/front", "front"):  # what the compose file calls it
        need(word, workload(lab, word)["name"] == "shop-front-1")
    lab.cli("quarantine", "add", "front")
    need("by its service", [q["workload"] for q in lab.api("quarantine", "list")["quarantine"]] == ["shop/shop-front-1"])
    lab.cli("quarantine", "rm", "shop/front")
    need("let out", lab.api("quarantine", "list")["quarantine"] == [])
    for argv in (["workload", "show"], ["quarantine", "add"]):
        for word, status, texts in (
                ("web", 1, ["several", "other/web (static:other/web)", "shop/web (static:shop/web)"]),
                ("databse", 1, ["no workload is called databse", "did you mean shop/database?"]),
                ("shop/wep", 1, ["did you mean shop/web"]),
                ("shop/frnt", 1, ["did you mean shop/shop-front-1? `bulkhead ps` lists them"]), ("back", 1, ["several", "shop/shop-back-1"]), ("data", 1, ["did you mean shop/database?"]),
                ("qqqqqqq", 1, ["no workload is called qqqqqqq; `bulkhead ps`"])):
            r = lab.cli(*argv, word, check=False)
            need(f"{argv} {word}: {r}", r.returncode == status and all(t in r.stderr for t in texts))
    r = lab.cli("explain", "web", "database", "tcp/80", check=False)
    need(f"{r}", r.returncode == 1 and "shop/web (static:shop/web)" in r.stderr)
    r = lab.cli("explain", "databse", "other/web", "tcp/80", check=False)
    need(f"{r}", r.returncode == 1 and "databse is no address" in r.stderr and "shop/database" in r.stderr)
    for word in ("shop/web", "static:shop/web", "static:shop/w"):
        need(word, workload(lab, word)["namespace"] == "shop")
    lab.cli("quarantine", "add", "static:other", "--reason", "beacons")
    shown = lab.cli("workload", "show", "other/web")
    need(shown, "in force since" in shown and "beacons" in shown)
    lab.remove("database")
    lab.static()
    wait_for("without it", lambda: len(lab.workloads()) == 5)
    r = lab.cli("quarantine", "add", "database", check=False)
    need(f"{r}", r.returncode == 1 and "shop/database is gone since" in r.stderr)
    need("gone, and found", workload(lab, "database")["state"] == "gone" and
         workload(lab, "static:shop/database")["state"] == "gone")


def test_what_is_decided_of_one(lab):
    web, db = lab.container("web"), lab.container("db")
    db.serve(tcp=[80])
    lab.policy("p.yaml", """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec: {podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress], ingress: [{ports: [{port: 80}]}]}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: no-ssh}
spec:
  tier: Admin
  priority: 7
  subject: {namespaces: {}}
  ingress: [{action: Deny, from: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 22}}}]}]
""")
    lab.start(mode="audit", modes=[{"namespace": "shop", "mode": "enforce"}])
    lab.expect([(web, db.v4, "tcp", 80, "open"), (web, db.v4, "tcp", 22, "drop")])
    recorded(lab, "shop/web", "shop/db", 80)
    recorded(lab, "shop/web", "shop/db", 22)
    w = workload(lab, "db")
    need(f"{w['mode_origin']}", w["mode"] == "enforce" and "namespace shop" in w["mode_origin"])
    chosen = [(p["policy"], p["tier"]) for p in w["directions"]["ingress"]["policies"]]
    need(f"{chosen}", sorted(chosen) == [("cnp:no-ssh", "Admin"), ("shop/db", "NetworkPolicy")])
    need("egress", w["directions"]["egress"] == {"isolated": False, "policies": []})
    counted = w["counters"]["from"]
    need(f"{counted}", counted["allow"] == 1 and counted["drop"] >= 1 and w["counters"]["to"]["allow"] == 0)
    text = lab.cli("workload", "show", "db")
    need(text, "cnp:no-ssh (Admin, priority 7)" in text and "from others" in text)


def test_old_ones_are_forgotten(lab):
    lab.container("web")
    lab.container("old")
    lab.start(history={"keep": "1s", "max": 100})
    lab.remove("old")
    until(lab, ["web"])
    wait_for("it is forgotten", lambda: not ask(lab, "SELECT 1 FROM stay WHERE name = 'old'"))
    need("its addresses are not", not ask(lab, "SELECT 1 FROM stay_addr WHERE stay NOT IN (SELECT number FROM stay)"))
    need("one that is there is", workload(lab, "web")["stay"])


if __name__ == "__main__":
    Suite("h").main(globals())
