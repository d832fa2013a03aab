#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator's bad day does to the daemon: files and directories removed, replaced and ruined under
it, and its death in the middle of a change. What is enforced stays enforced, and it says what is wrong."""
import glob, json, os, random, re, shutil, signal, subprocess, time

from lab import BULKHEAD, BULKHEADD, TOP, Child, Failure, Suite, run, wait_for
from traffic import probe

DB = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: %s}}}], ports: [{port: 5432}]}]
"""


def shop(lab, **conf):
    """db, which only `web` may talk to, and others."""
    web, api, db = (lab.container(n) for n in ("web", "api", "db"))
    db.serve(tcp=[5432])
    lab.policy("db.yaml", DB % "web")
    lab.start(**conf)
    return web, api, db


def only(who, other, db):
    return [(who, db.v4, "tcp", 5432, "open"), (other, db.v4, "tcp", 5432, "drop")]


def test_policies_directory_removed_and_replaced(lab):
    web, api, db = shop(lab, mode="enforce")
    path = lab.dir + "/policies"
    stale = lambda: [p for p in lab.status()["problems"] if "policies' directory" in p]
    shutil.rmtree(path)
    wait_for("status says that it is gone", stale)
    lab.expect(only(web, api, db))
    os.mkdir(path)
    lab.policy("db.yaml", DB % "api")  # a checkout made anew
    wait_for("what is there now is in force", lambda: not stale() and lab.status()["policies"]["generation"] > 1)
    lab.expect(only(api, web, db))
    # Another directory under its name, by rename: nothing is heard of the old one any more.
    os.mkdir(lab.dir + "/next")
    lab.write("next/db.yaml", DB % "web")
    os.rename(path, lab.dir + "/before")
    os.rename(lab.dir + "/next", path)
    wait_for("the other directory is in force", lambda: "app=web" in lab.cli("explain", "api", "db", "tcp/5432"))
    lab.expect(only(web, api, db))
    # And it is listened to: a change of a file in it.
    lab.policy("db.yaml", DB % "api")
    wait_for("a change in it is in force", lambda: "app=api" in lab.cli("explain", "web", "db", "tcp/5432"))
    lab.expect(only(api, web, db))


def test_policies_that_can_not_be_read_for_a_while(lab):
    """Nothing tells when they can be read again: the directory itself does not change then."""
    web, api, db = shop(lab, mode="enforce")
    os.mkdir(lab.dir + "/elsewhere")
    os.symlink(lab.dir + "/elsewhere", lab.dir + "/policies/db2.yaml")
    wait_for("status names the file", lambda: any("db2.yaml: Is a directory" in p for p in lab.status()["problems"]))
    lab.expect(only(web, api, db))
    os.rmdir(lab.dir + "/elsewhere")
    lab.write("elsewhere", (DB % "api").replace("name: db,", "name: db2,"))
    wait_for("it is in force", lambda: lab.status()["policies"]["count"] == 2 and not lab.status()["problems"])
    lab.expect([(c, db.v4, "tcp", 5432, "open") for c in (web, api)])


def test_socket_is_something_else(lab):
    lab.write("bulkhead.sock", "precious")
    lab.start(wait=False)
    if lab.daemon.wait(20) != 1 or "bulkhead.sock: what is there is no socket" not in lab.daemon_log():
        raise Failure(lab.daemon_log())
    with open(lab.dir + "/bulkhead.sock") as f:
        if f.read() != "precious":
            raise Failure("somebody's file is gone")
    lab.daemon = None


def test_configuration_directory_replaced(lab):
    """A link to the directory is turned, as configuration management does it."""
    lab.config()
    with open(lab.dir + "/bulkhead.yaml") as f:
        conf = json.load(f)
    for name, mode in (("one", "enforce"), ("two", "audit")):
        os.mkdir(f"{lab.dir}/{name}")
        lab.write(name + "/bulkhead.yaml", json.dumps(dict(conf, mode=mode)))
    os.symlink("one", lab.dir + "/current")
    lab.start(file=lab.dir + "/current/bulkhead.yaml")
    wait_for("the first is in force", lambda: lab.status()["mode"] == "enforce")
    os.symlink("two", lab.dir + "/next")
    os.rename(lab.dir + "/next", lab.dir + "/current")
    wait_for("the second is in force", lambda: lab.status()["mode"] == "audit")
    os.unlink(lab.dir + "/current")
    wait_for("status says that it is gone", lambda: any("/current/bulkhead.yaml: No such file" in p
                                                        for p in lab.status()["problems"]))
    if lab.status()["mode"] != "audit":
        raise Failure("without a configuration file it is not what it was")


def verified(lab, path):
    r = subprocess.run([BULKHEAD, "audit", "verify", "--allow-tail", path], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True)
    return r.returncode == 3 or r.stdout  # 3: good, not anchored


def test_audit_directory_removed(lab):
    """The log, what is signed and the public key come back; what is written from then on verifies."""
    path = lab.dir + "/log/audit.jsonl"
    web, api, db = shop(lab, mode="enforce", audit={"path": path})
    actions = lambda: [json.loads(l)["event"]["action"] for l in open(path)] if os.path.exists(path) else []
    for n, gone in enumerate(([".checkpoints", ".keys"], ["", ".checkpoints", ".keys"], None)):
        if gone is None:
            shutil.rmtree(lab.dir + "/log")
        else:
            for suffix in gone:
                os.unlink(path + suffix)
        wait_for("the files are back", lambda: all(os.path.exists(path + s) for s in ("", ".checkpoints", ".keys")))
        wait_for("that is on record", lambda: "log.altered" in actions() or
                 any("log.altered" in open(f).read() for f in glob.glob(path + ".[0-9]*[0-9]")))
        lab.cli("mode", "set", "audit", "--namespace", f"n{n}")
        if "mode.change" not in actions():
            raise Failure(f"a change is not on record: {actions()}")
        wait_for("it verifies", lambda: verified(lab, path) is True)
        lab.expect(only(web, api, db))
    lab.stop()
    lab.start()
    wait_for("it verifies after a restart", lambda: verified(lab, path) is True)


def test_database_ruined(lab):
    """Configured to learn, told to enforce: without its database it must not come up learning."""
    web, api, db = shop(lab, mode="learn")
    lab.cli("mode", "set", "enforce")
    lab.cli("quarantine", "add", "web")
    path = lab.dir + "/state/bulkhead.db"
    denied = [(web, db.v4, "tcp", 5432, "drop"), (api, db.v4, "tcp", 5432, "drop")]
    lab.expect(denied)
    for ruin in (lambda: open(path, "wb").write(os.urandom(65536)), lambda: os.truncate(path, 5000),
                 lambda: os.truncate(path, 0), lambda: os.unlink(path)):
        lab.stop(signal.SIGKILL)
        for extra in ("-wal", "-shm"):
            if os.path.exists(path + extra):
                os.unlink(path + extra)
        ruin()
        lab.start()
        lab.expect(denied)
        problems = lab.status()["problems"]
        if not any("bulkhead.db was unreadable or gone" in p and "are in force again" in p for p in problems):
            raise Failure(f"problems: {problems}")
    lab.cli("quarantine", "rm", "web")
    lab.expect(only(web, api, db))


def test_killed_in_the_middle_of_a_change(lab):
    """Twenty times, at any moment of an apply: the rules are the old ones or the new ones, with the daemon
    dead and after its start; what a command said is done, is done; and nobody else ever gets in."""
    web, api, db = shop(lab, mode="enforce")
    rogue = lab.container("rogue")
    lab.static()
    wait_for("rogue is known", lambda: len(lab.workloads()) == 4)
    paths = {n: lab.write(f"{n}.yaml", DB % n) for n in ("web", "api")}
    lab.cli("policy", "apply", paths["web"])
    chance, was = random.Random(4711), "web"
    for n in range(20):
        to = "api" if was == "web" else "web"
        p = subprocess.Popen([BULKHEAD, "--socket", lab.dir + "/bulkhead.sock", "policy", "apply", paths[to]],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        time.sleep(chance.uniform(0, 0.05))  # any moment will do
        lab.stop(signal.SIGKILL)
        said = p.communicate()[0]
        for alive in (False, True):
            if alive:
                lab.start()
            kids = {c.name: Child(c.netns, probe, "tcp", db.v4, 5432, 1.2, 0, None) for c in (web, api, rogue)}
            got = {name: kid.result() for name, kid in kids.items()}
            now = [c for c in ("web", "api") if got[c] == "open"]
            if got["rogue"] != "drop" or len(now) != 1:
                raise Failure(f"round {n}, {'started again' if alive else 'killed'}: {got}\n{said}")
            if p.returncode == 0 and now != [to]:
                raise Failure(f"round {n}: it said that {to} is in force, and it is {now}")
        was = now[0]
        if f"app: {was}" not in lab.cli("policy", "show", "shop/db"):
            raise Failure(f"round {n}: what is enforced is not what is shown")


def test_a_policy_that_selects_nobody_is_told(lab):
    """The namespace forgotten, a label in another case: it would be in force and protect nobody."""
    web, api, db = shop(lab, mode="enforce", namespaces={"shop": {"env": "prod"}})
    cluster = ("apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: c%d}\n"
               "spec: {tier: Baseline, priority: 1, subject: {namespaces: {matchLabels: {env: %s}}}}\n")
    wanted = {
        "forgotten": (DB.replace(", namespace: shop", "") % "web", "no workload is in namespace default, which is what a "
                      "policy without metadata.namespace is about"),
        "case": (DB.replace("name: db", "name: case").replace("app: db", "app: Db") % "web",
                 "shop/case selects nobody who is there now: no workload in shop matches app=Db"),
        "cluster": (cluster % (1, "prd"), "cnp:c1 selects nobody"),
        "right": (DB.replace("name: db", "name: right") % "web", None),
        "rightcluster": (cluster % (2, "prod"), None)}
    for verb in (["plan"], ["apply", "--dry-run"], ["apply"], ["apply"]):  # the last time nothing changes
        for name, (text, why) in wanted.items():
            r = lab.cli("policy", *verb, lab.write(name + ".txt", text), check=False)
            if r.returncode or (why not in r.stderr if why else r.stderr):
                raise Failure(f"policy {verb} of {name}: {r.returncode}, {r.stderr!r}")
    idle = lab.status()["policies"]["idle"]  # of what is in force, until somebody comes whom it is about
    if len(idle) != 3 or not all(any(why in t for t in idle) for _, why in wanted.values() if why):
        raise Failure(f"status: {idle}")
    if not any(re.match(r" +shop/case selects nobody", line) for line in lab.cli("status").splitlines()):
        raise Failure("status, for people, does not tell")
    lab.container("Db", labels={"app": "Db"})
    lab.static()
    wait_for("somebody whom it is about", lambda: len(lab.status()["policies"]["idle"]) == 2)
    many = "".join("---\n" + DB.replace("name: db", f"name: n{i}").replace("app: db", "app: x") % "web" for i in range(20))
    told = lab.api("policy", "apply", lab.write("many.txt", many))["warnings"]
    if len(told) != 9 or told[8] != "so do 12 more":
        raise Failure(f"told of many: {told}")


def switches(lab):
    """What is switched in the node: its sysctls, and the options of its bridges."""
    text = run("nsenter", "--net=/run/netns/" + lab.node, "sysctl", "-a")
    found = dict(line.split(" = ", 1) for line in text.splitlines() if line.startswith("net.") and " = " in line)
    for link in json.loads(run("ip", "-n", lab.node, "-d", "-j", "link", "show", "type", "bridge")):
        found.update({f"{link['ifname']} {k}": str(v) for k, v in link["linkinfo"]["info_data"].items()
                      if not k.endswith(("_timer", "_id")) and not k.startswith("root_")})
    # Entries of bridges, by how they came to be there.
    for entry in json.loads(run("bridge", "-n", lab.node, "-j", "fdb", "show", "br", "br0")):
        found.update({f"fdb {flag}": "1" for flag in entry.get("flags", []) if flag != "self"})
    return found


def test_what_stays_when_it_is_taken_off(lab):
    """After a flush no rule stays and all flows pass; what stays switched on, the README says."""
    web, api, db = (lab.container(n) for n in ("web", "api", "db"))
    db.serve(tcp=[5432])
    lab.policy("db.yaml", DB % "web")
    names = ["net.netfilter.nf_conntrack_" + n for n in ("acct", "timestamp", "events")]
    lab.sh(lab.node, f"sysctl -qw {' '.join(n + '=0' for n in names)}")
    run("ip", "-n", lab.node, "link", "set", "br0", "type", "bridge", "no_linklocal_learn", "0")
    before = switches(lab)
    lab.start(mode="learn")  # with what listens to the ends of flows
    lab.cli("mode", "set", "enforce", "--selector", "app=db")
    lab.expect(only(web, api, db))
    flush = ["nsenter", "--net=/run/netns/" + lab.node, "env", "PATH=%s:%s" % (os.path.dirname(BULKHEADD), os.environ["PATH"]),
             BULKHEAD, "--socket", lab.dir + "/bulkhead.sock", "flush"]
    r = subprocess.run(flush, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if r.returncode != 1 or "stop it first" not in r.stdout:
        raise Failure(f"a flush beside the daemon: exit {r.returncode}: {r.stdout}")
    lab.expect(only(web, api, db))
    lab.stop()
    lab.expect(only(web, api, db))
    if "nothing is enforced" not in run(*flush):
        raise Failure("the flush does not say what it means")
    if "bulkhead" in lab.nft():
        raise Failure("rules stay: " + lab.nft())
    lab.expect([(c, db.v4, "tcp", 5432, "open") for c in (web, api)])
    readme = open(TOP + "/README.md").read()
    told = readme[readme.index("### Upgrading it, taking it off"):]
    told = told[:told.index("\n## ")]
    after = switches(lab)
    changed = {k for k in after if after[k] != before.get(k)} - {k for k in after if "nf_conntrack_count" in k}
    missing = [k for k in changed if k.rsplit(".", 1)[-1].rsplit(" ", 1)[-1] not in told]
    if missing or len(changed) < 2:
        raise Failure(f"changed: {changed}; the README does not tell of {missing}")


if __name__ == "__main__":
    Suite("f").main(globals())
