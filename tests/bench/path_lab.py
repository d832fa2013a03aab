# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes with containers for the benchmarks that run the daemon, and what runs in them.

All of it lives in network, mount and process namespaces of the benchmark's own (see path.py): when
the benchmark ends, however it ends, the kernel takes everything away.
"""
import ipaddress, json, os, re, select, sqlite3, statistics, subprocess, sys, time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BULKHEAD_BUILD", os.path.join(TOP, "build-bench"))
BULKHEADD = os.path.join(BUILD, "enforcer/daemon/bulkheadd")
BULKHEAD = os.path.join(BUILD, "enforcer/cli/bulkhead")
UNLOGGED = os.path.join(BUILD, "tests/bench/bulkheadd_unlogged")
LOAD = os.path.join(BUILD, "tests/bench/bench_path")
WORK = "/run/netns/.bench"  # on a tmpfs that nobody else sees
NET = ipaddress.ip_address("10.77.0.0")  # /22, on the bridge of every node
QUEUE = 48620
REPLICAS = 5  # of an application among the workloads that only fill the node


class Failure(Exception):
    pass


def run(*argv, text=None):
    r = subprocess.run(argv, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if r.returncode:
        raise Failure(f"{' '.join(argv)}: exit {r.returncode}\n{r.stdout}")
    return r.stdout


def wait_for(what, fn, timeout=30.0, step=0.05):
    end = time.monotonic() + timeout
    while not (v := fn()):
        if time.monotonic() > end:
            raise Failure(f"timed out after {timeout:.0f} s: {what}")
        time.sleep(step)
    return v


def ip(netns, lines):
    run("ip", "-n", netns, "-batch", "-", text="\n".join(lines) + "\n")


class Container:
    """One veth on the node's bridge, `addresses` IPv4 addresses from `host` on, one IPv6 address."""

    def __init__(self, lab, name, host, labels, addresses=1):
        self.name, self.netns, self.labels, self.addresses = name, f"{lab.name}-{name}", labels, addresses
        self.v4, self.v6, self.port = NET + host, f"fd00:77::{host:x}", f"v{host}"

    def spec(self):
        return f"{self.netns},{self.v4}" + (f"+{self.addresses - 1}" if self.addresses > 1 else "")


def plug_in(node, containers):
    """Their namespaces and veths; few calls of ip(8), as there are hundreds of them."""
    run("ip", "-batch", "-", text="".join(f"netns add {c.netns}\n" for c in containers))
    ip(node, [line for c in containers for line in (
        f"link add {c.port} type veth peer name eth0 netns {c.netns}", f"link set {c.port} master br0 up")])
    for c in containers:
        ip(c.netns, ["link set lo up"] + [f"addr add {c.v4 + i}/22 dev eth0" for i in range(c.addresses)] +
           [f"addr add {c.v6}/64 dev eth0 nodad", "link set eth0 up", "route add default via 10.77.0.1"])


# A reset frees a port at once; silent connections keep their window.
CONTAINER_SETTINGS = ["net.ipv4.ip_local_port_range=1024 65000", "net.ipv4.tcp_slow_start_after_idle=0",
                      "net.ipv4.tcp_no_metrics_save=1", "net.core.somaxconn=4096"]
# Entries of connections that are over must not fill conntrack's table.
NODE_SETTINGS = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
                 "net.bridge.bridge-nf-call-iptables=1", "net.bridge.bridge-nf-call-ip6tables=1",
                 "net.netfilter.nf_conntrack_tcp_timeout_close=1", "net.netfilter.nf_conntrack_udp_timeout=1",
                 "net.netfilter.nf_conntrack_udp_timeout_stream=1"]


def with_netns(netns, settings):
    run("nsenter", f"--net=/run/netns/{netns}", "sysctl", "-qw", *settings)


def policy(name, selector, rules):
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": "bench"},
            "spec": {"podSelector": {"matchLabels": {"app": selector}}, **rules}}


def rule(app, port, last=None):
    ports = [{"protocol": "TCP", "port": port, **({"endPort": last} if last else {})}]
    return {"ingress": [{"from": [{"podSelector": {"matchLabels": {"app": app}}}], "ports": ports}],
            "egress": [{"to": [{"podSelector": {"matchLabels": {"app": app}}}], "ports": ports}]}


def policies(n, apps):
    """The first isolates the measured pair both ways and allows it its port; the others take turns
    over the applications, each with a peer and a port."""
    def one(i):
        r = rule(f"a{(i * 7 + i // apps) % apps}", 2000 + i)
        d = "ingress" if i % 2 else "egress"
        return policy(f"p{i}", f"a{i % apps}", {"policyTypes": [d.capitalize()], d: r[d]})
    pair = policy("pair", "pair", {"policyTypes": ["Ingress", "Egress"], **rule("pair", 5201, 5210)})
    return ([pair] + [one(i) for i in range(1, n)])[:n]


class Lab:
    """A node with `workloads` containers, of which three take part: client, server, attacker."""

    def __init__(self, name, workloads=3, addresses=1):
        self.make_node(name)
        self.client = Container(self, "client", 520, {"app": "pair"}, addresses)
        self.server = Container(self, "server", 580, {"app": "pair"}, addresses)
        self.attacker = Container(self, "attacker", 640, {"app": "attacker"})
        self.apps = max(1, (workloads - 3) // REPLICAS)
        self.fill = [Container(self, f"w{i}", 2 + i, {"app": f"a{i % self.apps}", "tier": f"t{i % 3}"})
                     for i in range(workloads - 3)]
        plug_in(self.node, self.containers())
        for c in (self.client, self.server, self.attacker):
            with_netns(c.netns, CONTAINER_SETTINGS)

    def make_node(self, name):
        self.name, self.node, self.dir = name, f"{name}-node", f"{WORK}/{name}"
        self.daemon = self.loop = None
        os.makedirs(self.dir + "/policies")
        run("ip", "netns", "add", self.node)
        ip(self.node, ["link set lo up", "link add br0 address 02:00:00:00:4d:01 type bridge", "addr add 10.77.0.1/22 dev br0",
                       "addr add fd00:77::1/64 dev br0 nodad", "link set br0 up"])
        with_netns(self.node, NODE_SETTINGS)

    def spec(self):
        """As bench_path reads it."""
        pid = self.daemon.pid if self.daemon else 0
        return ",".join([self.name, self.node, str(pid), self.client.spec(), self.server.spec(),
                         self.attacker.spec()])

    def containers(self):
        return [self.client, self.server, self.attacker, *self.fill]

    def conntrack(self):
        """What any container engine's address translation costs already: connections are tracked. The
        kernel tells of them as soon as anybody in any namespace listens, as the other nodes' daemons
        do; a node without a daemon would not have to."""
        with_netns(self.node, ["net.netfilter.nf_conntrack_events=0"])
        run("nsenter", f"--net=/run/netns/{self.node}", "nft", "-f", "-", text="""
            table inet tracking {
                chain forward {
                    type filter hook forward priority -10
                    ct state established,related accept
                }
            }
            """)
        return self

    def write(self, name, value):
        path = os.path.join(self.dir, name)
        with open(path + ".tmp", "w") as f:
            f.write(value if isinstance(value, str) else json.dumps(value))
        os.rename(path + ".tmp", path)
        return path

    def start(self, n_policies, mode="enforce", sources=None, docs=None, program=BULKHEADD, log=None, more=None):
        docs = policies(n_policies, self.apps) if docs is None else docs
        if docs:
            self.write("policies/all.yaml", "\n---\n".join(json.dumps(d) for d in docs))
        static = self.write("workloads.yaml", {"workloads": [
            {"name": c.name, "namespace": "bench", "labels": c.labels, "image": "bench:1",
             "netns": "/run/netns/" + c.netns} for c in self.containers()]})
        conf = {"mode": mode, "policies": self.dir + "/policies", "state": self.dir + "/state",
                "socket": self.dir + "/sock", "audit": {"path": (log or self.dir) + "/audit.jsonl"},
                "queue": {"base": QUEUE}, "sources": sources or [{"static": static}]}
        if re.search(r"^pace:", run(BULKHEADD, "--print-config"), re.M) and self.unpaced:
            conf["pace"] = {"rate": 1000000, "burst": 1000000}
        conf.update(more or {})
        self.log = open(self.dir + "/log", "w")
        self.daemon = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.node}", program, "--config", self.write("conf.yaml", conf)],
            stdout=self.log, stderr=self.log)
        wait_for("bulkheadd ready", self.ready)
        return self

    unpaced = False

    def check(self):
        """What a daemon that has died did not do would look fast."""
        if self.daemon and self.daemon.poll() is not None:
            with open(self.dir + "/log") as f:
                raise Failure(f"bulkheadd of {self.name} exited with {self.daemon.returncode}:\n{f.read()[-2000:]}")

    def ready(self):
        self.check()
        try:
            return self.status()["ready"]
        except (Failure, KeyError, json.JSONDecodeError):
            return False

    def status(self):
        return json.loads(run(BULKHEAD, "--socket", self.dir + "/sock", "-o", "json", "status"))

    def recorded(self):
        """Connections in the list of flows that were allowed."""
        with sqlite3.connect(f"file:{self.dir}/state/bulkhead.db?mode=ro", uri=True) as db:
            return db.execute("SELECT sum(count) FROM flow WHERE verdict = 'allow'").fetchone()[0] or 0

    def memory(self):
        """MiB: resident, proportional, private to the process."""
        with open(f"/proc/{self.daemon.pid}/smaps_rollup") as f:
            kib = {k: int(v) for k, v in re.findall(r"^(\w+): +(\d+) kB", f.read(), re.M)}
        return kib["Rss"] / 1024, kib["Pss"] / 1024, (kib["Private_Clean"] + kib["Private_Dirty"]) / 1024

    def replace_by_loop(self):
        """The rules stay; behind the queue for observed flows comes the least that can stand there."""
        self.daemon.kill()
        self.daemon.wait()
        self.daemon = None
        self.loop = background("loop", self, "--port", str(QUEUE + 1))
        return self

    def without(self, *chains):
        """The rules stay, but these chains (TABLE CHAIN) are emptied; no daemon is there to mend them."""
        self.daemon.kill()
        self.daemon.wait()
        self.daemon = None
        for chain in chains:
            run("nsenter", f"--net=/run/netns/{self.node}", "nft", "flush", "chain", *chain.split())
        return self

    def only_established(self):
        """New connections look up nothing."""
        run("nsenter", f"--net=/run/netns/{self.node}", "nft", "-f", "-", text="""
            flush chain inet bulkhead forward
            add rule inet bulkhead forward ct state established accept
            """)

    def stop(self):
        for p in (self.daemon, self.loop):
            if p:
                p.kill()
                p.wait()
        self.daemon = self.loop = None


def background(command, lab, *options):
    p = subprocess.Popen([LOAD, command, "--lab", lab.spec(), *options], stdout=subprocess.PIPE, text=True)
    if p.stdout.readline() != "ready\n":
        raise Failure(f"bench_path {command} did not start")
    return p


def load(command, labs, **options):
    """Lines of a measurement; the first round warms up and is left out."""
    argv = [LOAD, command]
    for lab in labs:
        argv += ["--lab", lab.spec()]
    options["rounds"] = options.get("rounds", 1) + 1
    for k, v in options.items():
        argv += ["--" + k] + ([] if v is None else [str(v)])
    out = subprocess.run(argv, stdout=subprocess.PIPE, text=True)
    if out.returncode:
        raise Failure(f"{' '.join(argv)}: exit {out.returncode}")
    for lab in labs:
        lab.check()
    return [l for l in map(json.loads, out.stdout.splitlines()) if l["round"] > 0]


class Values(list):
    """One value a round."""

    @property
    def median(self):
        return statistics.median(self)

    def text(self, digits=2):
        return f"{self.median:.{digits}f} ({min(self):.{digits}f}-{max(self):.{digits}f})"


def watched(lab, later):
    """The lab with the range to watch in the server's place."""
    class Watched:
        @staticmethod
        def spec():
            part = lab.spec().split(",")
            part[6] = f"{later[0].v4}+{len(later) - 1}"
            return ",".join(part)
    return Watched


def notice(watch, address):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if not select.select([watch.stdout], [], [], 1)[0]:
            continue
        line = json.loads(watch.stdout.readline())
        if line["address"] == address:
            return line["at"]
    raise Failure(f"{address}: no rule in 20 s")


def go_first():
    """Before other programs of this machine, the load and the daemon alike: a group of our own that
    the scheduler prefers. It ends with us."""
    if os.getpid() != os.getsid(0):
        os.setsid()
    try:
        with open("/proc/self/autogroup", "w") as f:
            f.write("-20")
    except OSError:
        pass
    os.setpriority(os.PRIO_PROCESS, 0, -20)


def isolate(script):
    """The script again, in namespaces of its own: nothing is left behind, whatever happens."""
    inner = 'mount -t tmpfs tmpfs /run/netns && mkdir "$0" && exec "$@"'
    os.makedirs("/run/netns", exist_ok=True)
    os.environ["BULKHEAD_BENCH_INSIDE"] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc",
                          "sh", "-c", inner, WORK, sys.executable, os.path.abspath(script), *sys.argv[1:]])
