# SPDX-License-Identifier: GPL-3.0-or-later
"""A node, its containers and an outside world, all in network namespaces of their own.

Nothing is sent or loaded in the root namespace. The node has a bridge with two subnets (IPv4 and
IPv6); containers hang on it by veths; the outside is one more namespace behind a routed veth that
owns documentation addresses. Everything is removed by Lab.close(), also after a failure.
"""
import glob, json, os, shutil, signal, subprocess, sys, tempfile, time

from process import Child, Failure, Skip, run, setns, wait_for  # tests get them from here
from traffic import Held, forge, probe, receive, serve

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BULKHEAD_BUILD", os.path.join(TOP, "build-gcc"))
BULKHEADD = os.path.join(BUILD, "enforcer/daemon/bulkheadd")
BULKHEAD = os.path.join(BUILD, "enforcer/cli/bulkhead")


class Container:
    def __init__(self, lab, name, n, namespace, labels, image):
        self.lab, self.name, self.netns = lab, name, f"{lab.prefix}-{name}"
        self.v4, self.v6 = f"10.77.0.{n}", f"fd00:77::{n:x}"
        self.namespace, self.labels, self.image = namespace, labels, image
        self.servers = []
        host_if = f"v{n}-{os.getpid() % 100000}"[:15]
        lab.netns(self.netns)
        # Of one that is gone, whose number comes again, the kernel takes the veth away in its own time.
        wait_for("the name of the veth is free", lambda: host_if not in run("ip", "-n", lab.node, "-o", "link"), 30)
        run("ip", "-n", lab.node, "link", "add", host_if, "type", "veth", "peer", "name", "eth0",
            "netns", self.netns)
        run("ip", "-n", lab.node, "link", "set", host_if, "master", "br0", "up")
        lab.sh(self.netns, f"""
            ip link set lo up
            ip addr add {self.v4}/24 dev eth0
            ip addr add {self.v6}/64 dev eth0 nodad
            ip link set eth0 up
            ip route add default via 10.77.0.1
            ip -6 route add default via fd00:77::1""")

    def serve(self, tcp=(), udp=()):
        self.servers.append(self.lab.serve(self.netns, tcp, udp))


class Lab:
    def __init__(self, tag):
        self.prefix = f"bh{os.getpid()}{tag}"
        self.node, self.out = self.prefix + "-node", self.prefix + "-out"
        self.dir = tempfile.mkdtemp(prefix="bulkhead-test-")
        self.children, self.containers, self.daemon, self.helds = [], {}, None, []
        self.made = []  # network namespaces
        self.count = 1
        self.evidence_checked = True  # a test that breaks the log itself says no
        os.makedirs(self.dir + "/policies")
        try:
            self.wire()
        except BaseException:
            self.close()
            raise

    def wire(self):
        self.netns(self.node)
        self.netns(self.out)
        run("ip", "-n", self.node, "link", "add", "up0", "type", "veth", "peer", "name", "eth0",
            "netns", self.out)
        self.sh(self.node, """
            ip link set lo up
            ip link add br0 address 02:00:00:00:4d:01 type bridge
            ip addr add 10.77.0.1/24 dev br0
            ip addr add fd00:77::1/64 dev br0 nodad
            ip link set br0 up
            ip addr add 192.0.2.1/24 dev up0
            ip addr add 2001:db8:0:1::1/64 dev up0 nodad
            ip link set up0 up
            ip route add 198.51.100.0/24 via 192.0.2.2
            ip route add 203.0.113.0/24 via 192.0.2.2
            ip -6 route add 2001:db8:0:2::/64 via 2001:db8:0:1::2
            sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1""")
        self.sh(self.out, """
            ip link set lo up
            ip addr add 192.0.2.2/24 dev eth0
            ip addr add 2001:db8:0:1::2/64 dev eth0 nodad
            ip addr add 198.51.100.7/32 dev lo
            ip addr add 198.51.100.66/32 dev lo
            ip addr add 203.0.113.9/32 dev lo
            ip addr add 203.0.113.200/32 dev lo
            ip addr add 2001:db8:0:2::7/128 dev lo nodad
            ip addr add 2001:db8:0:2::66/128 dev lo nodad
            ip link set eth0 up
            ip route add default via 192.0.2.1
            ip -6 route add default via 2001:db8:0:1::1""")

    def netns(self, name):
        """Without duplicate address detection: link-local addresses work at once."""
        self.made.append(name)
        run("ip", "netns", "add", name)
        self.sh(name, "sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0")

    def sh(self, netns, script):
        lines = " && ".join(l.strip() for l in script.strip().splitlines())
        return run("nsenter", f"--net=/run/netns/{netns}", "sh", "-c", lines)

    def container(self, name, namespace="shop", labels=None, image="test:1"):
        self.count += 1
        c = Container(self, name, self.count, namespace, labels or {"app": name}, image)
        self.containers[name] = c
        return c

    def remove(self, name):
        c = self.containers.pop(name)
        for s in c.servers:
            s.kill()
        run("ip", "netns", "del", c.netns)

    def serve(self, netns, tcp=(), udp=()):
        r, w = os.pipe()
        c = Child(netns, serve, list(tcp), list(udp), w)
        os.close(w)
        if os.read(r, 1) != b"1":
            raise Failure(f"server in {netns} did not start: {c.result()}")
        os.close(r)
        self.children.append(c)
        return c

    # --- the daemon ---
    def write(self, name, text):
        """Replaced by rename, as editors and configuration management do."""
        path = os.path.join(self.dir, name)
        with open(path + ".tmp", "w") as f:
            f.write(text)
        os.rename(path + ".tmp", path)
        return path

    def static(self):
        """The static source's file for the containers there are (JSON is YAML)."""
        return self.write("workloads.yaml", json.dumps({"workloads": [
            {"name": c.name, "namespace": c.namespace, "labels": c.labels, "image": c.image,
             "netns": "/run/netns/" + c.netns} for c in self.containers.values()]}, indent=1))

    def config(self, **conf):
        base = {"mode": "learn", "policies": self.dir + "/policies", "state": self.dir + "/state",
                "socket": self.dir + "/bulkhead.sock", "audit": {"path": self.dir + "/audit.jsonl"},
                "sources": [{"static": self.dir + "/workloads.yaml"}]}
        if os.environ.get("BULKHEAD_FAST_PATH"):  # does a test hold with it as well?
            base["fast_path"] = True
        base.update(conf)
        return self.write("bulkhead.yaml", json.dumps(base, indent=1))

    def policy(self, name, text):
        return self.write("policies/" + name, text)

    def start(self, wait=True, env=None, file=None, **conf):
        if conf or not os.path.exists(self.dir + "/bulkhead.yaml"):
            self.config(**conf)
        if not os.path.exists(self.dir + "/workloads.yaml"):
            self.static()
        self.log = open(self.dir + "/daemon.log", "a")
        asan = "abort_on_error=1:detect_leaks=1:verify_asan_link_order=0:log_path=" + self.dir + "/asan"
        env = dict(os.environ, **(env or {}), ASAN_OPTIONS=asan, UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")
        self.daemon = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.node}", BULKHEADD, "--config",
             file or self.dir + "/bulkhead.yaml"],
            stdout=self.log, stderr=self.log, env=env)
        if wait:
            self.ready()

    def ready(self):
        def ok():
            if self.daemon.poll() is not None:
                raise Failure(f"bulkheadd exited {self.daemon.returncode}:\n" + self.daemon_log())
            try:
                return self.status()["ready"]
            except (Failure, KeyError, json.JSONDecodeError):
                return False
        wait_for("bulkheadd ready", ok, 30)

    def daemon_log(self):
        with open(self.dir + "/daemon.log") as f:
            return f.read()[-8000:]

    def stop(self, sig=signal.SIGTERM):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.send_signal(sig)
            try:
                self.daemon.wait(20)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
                raise Failure("bulkheadd did not stop within 20 s")
        code = self.daemon.returncode if self.daemon else 0
        self.daemon = None
        if sig == signal.SIGTERM and code != 0:
            raise Failure(f"bulkheadd stopped with {code}:\n" + self.daemon_log() + self.sanitizer())
        return code

    def sanitizer(self):
        text = ""
        for f in os.listdir(self.dir):
            if f.startswith("asan"):
                text += open(os.path.join(self.dir, f)).read()
        return text

    def cli(self, *argv, check=True):
        r = subprocess.run([BULKHEAD, "--socket", self.dir + "/bulkhead.sock", *argv],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if check and r.returncode:
            raise Failure(f"bulkhead {' '.join(argv)}: exit {r.returncode}\n{r.stdout}{r.stderr}")
        return r.stdout if check else r

    def api(self, *argv):
        return json.loads(self.cli("-o", "json", *argv))

    def status(self):
        return self.api("status")

    def workloads(self):
        w = self.api("ps")
        return w["workloads"] if isinstance(w, dict) else w

    def flows(self):
        f = self.api("flows", "-n", "1000")
        return f["flows"] if isinstance(f, dict) else f

    def nft(self):
        return run("nsenter", f"--net=/run/netns/{self.node}", "nft", "list", "ruleset")

    def audit(self):
        out = []
        try:
            with open(self.dir + "/audit.jsonl") as f:
                for line in f:
                    if line.endswith("\n"):  # else it is being written
                        out.append(json.loads(line))
        except FileNotFoundError:
            pass
        return out

    def check_log(self):
        """Whatever a test had the daemon record keeps to the published schema, and verifies."""
        path = self.dir + "/audit.jsonl"
        if not os.path.exists(path) or not os.path.exists(path + ".keys"):
            return
        import jsonschema
        with open(TOP + "/enforcer/audit/audit.schema.json") as f:
            validator = jsonschema.Draft202012Validator(json.load(f))
        files = sorted(glob.glob(path + ".[0-9]*[0-9]")) + [path]
        seen = set()
        for name in files:
            for line in open(name):
                r = json.loads(line)
                shape = (r["event"]["action"], str(sorted(r)), str(sorted(r["bulkhead"])))
                if shape in seen and len(seen) > 1 and r["event"]["sequence"] % 20:
                    continue  # of many alike a sample
                seen.add(shape)
                bad = next(iter(validator.iter_errors(r)), None)
                if bad:
                    why = "; ".join(e.message for e in (bad.context or [bad]))[:600]
                    raise Failure(f"a record is not what the schema says: {why}\n{line}")
        self.check_forms(files)
        if self.evidence_checked:
            r = subprocess.run([BULKHEAD, "audit", "verify", "--allow-tail", *files], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
            if r.returncode != 3:
                raise Failure(f"the audit log does not verify: {r.stdout}")

    def check_forms(self, files):
        """…and every record can be said in the other forms, as their definitions want it."""
        import formats
        n = sum(1 for name in files for _ in open(name))
        for form, check in (("ocsf", lambda l: formats.ocsf(json.loads(l))), ("cef", formats.cef)):
            lines = run(BULKHEAD, "audit", "export", "--format", form, *files).rstrip("\n").split("\n")
            if len(lines) != n:
                raise Failure(f"{len(lines)} of {n} records as {form}")
            for line in lines:
                try:
                    check(line)
                except (formats.Bad, ValueError, KeyError) as e:
                    raise Failure(f"{form}: {e!r}\n{line}")

    def audited(self, action, **match):
        """Records of that action whose dotted fields equal the given ones ("a__b" for a.b)."""
        def get(r, path):
            if path in r:
                return r[path]
            for part in path.split("."):
                r = r.get(part) if isinstance(r, dict) else None
            return r
        return [r for r in self.audit() if get(r, "event.action") == action and
                all(get(r, k.replace("__", ".")) == v for k, v in match.items())]

    # --- traffic ---
    def forge(self, sender, source, receiver, port, timeout=1.0):
        """What `receiver` gets of a datagram that `sender` sends in the name of `source`."""
        r, w = os.pipe()
        c = Child(receiver.netns, receive, port, w, timeout)
        os.close(w)
        os.read(r, 1)
        os.close(r)
        Child(sender.netns, forge, source, receiver.v4, port, b"forged").result()
        return c.result()

    def probe(self, src, dst, proto, port, timeout=1.2, sport=0, source=None):
        netns = getattr(src, "netns", src)
        return Child(netns, probe, proto, dst, port, timeout, sport, source).result()

    def probes(self, table, timeout=1.2):
        """[(src, dst address, proto, port, expected)] all at once; the wrong ones as text."""
        kids = [(row, Child(getattr(row[0], "netns", row[0]), probe, row[2],
                            row[1], row[3], timeout, 0, None)) for row in table]
        wrong = []
        for row, k in kids:
            got = k.result()
            if got != row[4]:
                name = getattr(row[0], "name", row[0])
                wrong.append(f"{name} -> {row[1]} {row[2]}/{row[3]}: {got}, expected {row[4]}")
        return wrong

    def expect(self, table, timeout=1.2):
        wrong = self.probes(table, timeout)
        if wrong:
            raise Failure("\n".join(wrong))

    def hold(self, src, dst, port):
        h = Held(getattr(src, "netns", src), dst, port)
        self.helds.append(h)
        return h

    def close(self):
        for h in self.helds:
            try:
                h.close()
            except OSError:
                pass
        if self.daemon and self.daemon.poll() is None:
            self.daemon.kill()
            self.daemon.wait()
        for c in self.children:
            c.kill()
        for ns in reversed(self.made):  # all, whatever a test that failed had made of its containers
            run("ip", "netns", "del", ns, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)


class Suite:
    """Runs functions named test_*; each gets a fresh Lab. Prints TAP-like lines and a summary."""

    def __init__(self, tag):
        self.tag = tag

    def stopped(self, number, _frame):
        """Once: what was made is taken away on the way out."""
        for s in (signal.SIGTERM, signal.SIGINT):
            signal.signal(s, signal.SIG_IGN)
        sys.exit(128 + number)

    def main(self, namespace):
        only = sys.argv[1:]
        passed = failed = 0
        for s in (signal.SIGTERM, signal.SIGINT):  # also where the latter is ignored, as beside a shell
            signal.signal(s, self.stopped)
        for name, fn in list(namespace.items()):
            if not name.startswith("test_") or (only and name not in only):
                continue
            lab = None
            begin = time.monotonic()
            try:
                lab = Lab(self.tag)
                fn(lab)
                if lab.daemon:
                    lab.stop()
                lab.check_log()
                report = lab.sanitizer()
                if report:
                    raise Failure("sanitizer:\n" + report)
                print(f"ok - {name} ({time.monotonic() - begin:.1f} s)", flush=True)
                passed += 1
            except Skip as e:
                print(f"skip - {name}: {e}", flush=True)
            except Exception as e:
                failed += 1
                print(f"not ok - {name}: {e if isinstance(e, Failure) else repr(e)}", flush=True)
                if not isinstance(e, Failure):
                    import traceback
                    traceback.print_exc()
                if lab and os.path.exists(lab.dir + "/daemon.log"):
                    print("--- daemon log\n" + lab.daemon_log(), flush=True)
                if lab and os.environ.get("BH_KEEP"):
                    input("kept; enter to clean up")
            finally:
                if lab:
                    lab.close()
        print(f"# {passed} passed, {failed} failed", flush=True)
        sys.exit(1 if failed else 0)
