#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real containerd with its CRI plugin in a network namespace of its own, with CNI's bridge: pods
come and go while bulkheadd runs, and a policy between them is enforced on real packets."""
import glob, hashlib, io, json, os, shutil, signal, subprocess, sys, tarfile, tempfile, time

from lab import BUILD, Failure, Suite, run, wait_for
from pb import pb, unpb

CALL = os.path.join(BUILD, "tests/system/cri/call")
IMAGE = "registry.example/shop/web:1"
PROXY = "registry.example/shop/proxy:2"
CGROUP = f"/bulkhead-test-{os.getpid()}"
PAUSE = "registry.example/pause:1"


class Pod:
    def __init__(self, runtime, name, ident):
        self.runtime, self.name, self.id = runtime, name, ident
        answer = unpb(runtime.call("PodSandboxStatus", pb((1, ident), (2, 1))))
        info = {k: v for k, v in ((unpb(e)[1][0], unpb(e).get(2, [b""])[0]) for e in answer[2])}
        info = json.loads(info[b"info"])
        self.pid = info["pid"]
        self.netns = f"/proc/{self.pid}/ns/net"
        network = unpb(unpb(answer[1][0]).get(5, [b""])[0])
        self.ips = [ip.decode() for ip in network.get(1, [])]
        self.ips += [unpb(ip)[1][0].decode() for ip in network.get(2, [])]
        self.v4 = ([ip for ip in self.ips if "." in ip] or [None])[0]
        self.v6 = ([ip for ip in self.ips if ":" in ip] or [None])[0]


class Containerd:
    def __init__(self, lab):
        self.lab, self.proc, self.pods, self.configs = lab, None, [], {}
        self.root = tempfile.mkdtemp(prefix="bulkhead-containerd-")
        self.sock = self.root + "/containerd.sock"
        os.makedirs(self.root + "/cni")
        with open(self.root + "/cni/10-shop.conflist", "w") as f:
            json.dump({"cniVersion": "0.4.0", "name": "shop", "plugins": [
                {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "ipam": {
                    "type": "host-local", "dataDir": self.root + "/ipam", "routes": [{"dst": "0.0.0.0/0"}],
                    "ranges": [[{"subnet": "172.30.0.0/24"}], [{"subnet": "fd00:30::/64"}]]}}]}, f)
        self.configure()

    def configure(self, disabled=()):
        with open(self.root + "/config.toml", "w") as f:
            f.write(f"""\
version = 2
root = "{self.root}/root"
state = "{self.root}/state"
disabled_plugins = {json.dumps(list(disabled))}
[grpc]
  address = "{self.sock}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "{self.root}/runc"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{self.root}/cni"
""")

    def start(self, cri=True):
        self.log = open(self.root + "/containerd.log", "a")
        self.proc = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.lab.node}", "containerd", "-c", self.root + "/config.toml"],
            stdout=self.log, stderr=self.log)

        def up():
            if self.proc.poll() is not None:
                raise Failure("containerd exited:\n" + open(self.root + "/containerd.log").read()[-3000:])
            try:
                return self.call("Version", b"") if cri else self.ctr("version")
            except Failure:
                return False
        wait_for("containerd up", up, 60)

    def stop(self, sig=signal.SIGTERM):
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(sig)
            self.proc.wait(40)
        self.proc = None

    def ctr(self, *argv):
        return run("ctr", "-a", self.sock, "-n", "k8s.io", *argv)

    def call(self, method, request, service="RuntimeService"):
        r = subprocess.run([CALL, self.sock, f"/runtime.v1.{service}/{method}"], input=request,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=90)
        if r.returncode:
            raise Failure(f"{method}: {r.stderr.decode()}")
        return r.stdout

    def image(self, name):
        """busybox as a docker-archive; the digest of its manifest, as from a registry."""
        layer, path = io.BytesIO(), self.root + "/image.tar"
        with tarfile.open(fileobj=layer, mode="w") as t:
            t.add("/bin/busybox", "bin/busybox")
            for link in ("sh", "sleep", "nc"):
                i = tarfile.TarInfo("bin/" + link)
                i.type, i.linkname = tarfile.SYMTYPE, "busybox"
                t.addfile(i)
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sleep", "3600"],
            "Labels": {"name": name}}, "rootfs": {"type": "layers", "diff_ids": [
                "sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()]}}).encode()
        manifest = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
        with tarfile.open(path, "w") as t:
            for n, data in (("config.json", config), ("layer.tar", layer.getvalue()), ("manifest.json", manifest)):
                i = tarfile.TarInfo(n)
                i.size = len(data)
                t.addfile(i, io.BytesIO(data))
        self.ctr("images", "import", "--snapshotter", "native", path)
        digest = [l.split() for l in self.ctr("images", "ls").splitlines() if l.startswith(name + " ")][0][2]
        self.ctr("images", "tag", name, name.rsplit(":", 1)[0] + "@" + digest)
        wait_for("the image in CRI", lambda: 1 in unpb(self.call(
            "ImageStatus", pb((1, pb((1, name)))), "ImageService")), 30)
        return digest

    def run(self, name, namespace="shop", labels=None, host=False, containers=(("main", IMAGE),), ports=None):
        labels = {"app": name, **(labels or {}), "io.kubernetes.pod.name": name,
                  "io.kubernetes.pod.namespace": namespace, "io.kubernetes.pod.uid": "uid-" + name}
        config = pb((1, pb((1, name), (2, "uid-" + name), (3, namespace))), (2, "" if host else name), (6, labels),
                    (8, pb((1, CGROUP), (2, pb((1, pb((1, 2 if host else 0))))))))
        ident = unpb(self.call("RunPodSandbox", pb((1, config))))[1][0].decode()
        self.pods.append(ident)
        self.configs[ident] = config
        for c in containers:
            self.container(ident, *c, ports)
        return Pod(self, name, ident)

    def container(self, pod, name, image, ports=None):
        notes = {"io.kubernetes.container.ports": json.dumps(ports)} if ports else {}
        config = pb((1, pb((1, name))), (2, pb((1, image))), (3, "/bin/sleep"), (4, "3600"),
                    (9, {"io.kubernetes.container.name": name}), (10, notes))
        ident = unpb(self.call("CreateContainer", pb((1, pod), (2, config), (3, self.configs[pod]))))[1][0]
        self.call("StartContainer", pb((1, ident)))

    def remove(self, pod):
        ident = getattr(pod, "id", pod)
        self.call("StopPodSandbox", pb((1, ident)))
        self.call("RemovePodSandbox", pb((1, ident)))
        self.pods.remove(ident)

    def close(self):
        try:
            if self.pods and (not self.proc or self.proc.poll() is not None):
                self.configure()
                self.start()
            for p in list(self.pods):
                self.remove(p)
        finally:
            self.stop()
            for line in run("mount").splitlines():
                where = line.split(" ")[2]
                if where.startswith(self.root):
                    run("umount", "-l", where, check=False)
            shutil.rmtree(self.root, ignore_errors=True)
            left = ["/run/containerd/s", "/run/containerd"]  # the shims' sockets were there
            for d in left + glob.glob("/sys/fs/cgroup/*" + CGROUP) + ["/sys/fs/cgroup" + CGROUP]:
                try:
                    os.rmdir(d)
                except OSError:
                    pass


def named(lab, name):
    return [w for w in lab.workloads() if w["name"] == name]


def known(lab, name):
    def there():
        w = named(lab, name)
        return w and w[0]["interfaces"] and w[0]["interfaces"][0]["host_name"] and w[0]["image"] and w[0]
    return wait_for(name + " known", there)


def problem(lab, runtime):
    return [p for p in lab.status()["problems"] if runtime.sock in p]


def with_containerd(fn):
    def test(lab):
        runtime = Containerd(lab)
        try:
            runtime.start()
            runtime.image(PAUSE)
            runtime.digest = runtime.image(IMAGE)
            runtime.proxy_digest = runtime.image(PROXY)
            lab.config(mode="learn", sources=[{"cri": runtime.sock}])
            fn(lab, runtime)
            if lab.daemon:
                lab.stop()
        finally:
            if lab.daemon:
                lab.daemon.kill()
                lab.daemon.wait()
                lab.daemon = None
            runtime.close()
    test.__name__ = fn.__name__
    return test


POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: api, namespace: shop}
spec:
  podSelector: {matchLabels: {app: api}}
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: http}]}]
"""


def several_images(lab, runtime):
    """A pod is found by the image of its sidecar too, and shows both."""
    want = [{"image": IMAGE, "digest": runtime.digest}, {"image": PROXY, "digest": runtime.proxy_digest}]
    wait_for("both images", lambda: known(lab, "web")["images"] == want)

    def found(*filters):
        return [w["name"] for w in lab.api("ps", *filters)["workloads"]]
    for by in (["--image", PROXY], ["--digest", runtime.proxy_digest],
               ["--image", PROXY, "--registry", "registry.example"]):
        if found(*by) != ["web"]:
            raise Failure(f"{by}: {found(*by)}")
    if found("--image", IMAGE, "--digest", runtime.proxy_digest):
        raise Failure("what is asked of an image holds for two together")
    shown = lab.cli("workload", "show", "shop/web")
    if PROXY not in shown or "(+1)" not in lab.cli("ps"):
        raise Failure(shown)
    impact = lab.api("impact", PROXY)
    if [e["name"] for e in impact["affected"]] != ["web"]:
        raise Failure(f"impact of the sidecar's image: {impact}")
    running = {s["image"]: [r["name"] for r in s["running"]] for s in impact["siblings"]}
    if running.get(PROXY) != ["web"] or "api" not in running.get(IMAGE, []):
        raise Failure(f"what runs of its images: {running}")


@with_containerd
def test_whole_job(lab, runtime):
    lab.start()
    ports = [{"name": "http", "containerPort": 9000, "protocol": "TCP"}]
    web = runtime.run("web", labels={"tier": "front"}, containers=(("main", IMAGE), ("sidecar", PROXY)))
    api = runtime.run("api", ports=ports)
    rogue = runtime.run("rogue", namespace="other")
    host = runtime.run("on-host", host=True)
    for p in (web, api, rogue):
        w, i = known(lab, p.name), known(lab, p.name)["interfaces"][0]
        want = {"namespace": "other" if p is rogue else "shop", "runtime": "containerd", "image": IMAGE,
                "digest": runtime.digest, "id": p.id, "pid": p.pid}
        for k, v in want.items():
            if w[k] != v:
                raise Failure(f"{p.name}: {k} is {w[k]!r}, expected {v!r}")
        if not set(p.ips) <= set(i["addresses"]) or len(p.ips) != 2 or i["bridge"] != "cni0":
            raise Failure(f"{p.name}: {p.ips} {i}")
        if i["host_name"] not in lab.sh(lab.node, "ip -o link"):
            raise Failure(f"{p.name}: {i}")
    several_images(lab, runtime)
    w = known(lab, "web")
    if w["labels"] != {"app": "web", "tier": "front", "bulkhead.io/name": "web"}:
        raise Failure(f"labels: {w['labels']}")
    wait_for("the pod in the host's network", lambda: named(lab, "on-host"))
    if "host" not in (named(lab, "on-host")[0]["unenforceable"] or ""):
        raise Failure(f"a pod in the host's network is shown as enforceable: {named(lab, 'on-host')}")
    if len(lab.workloads()) != 4:
        raise Failure(f"each pod is one workload, and the pause containers are none: {lab.workloads()}")

    # Enforced between them, by a named port that the pod declares.
    lab.policy("api.yaml", POLICY)
    lab.config(mode="enforce", sources=[{"cri": runtime.sock}])
    lab.serve(api.netns, tcp=[9000, 9001])
    traffic = [(web, api.v4, "tcp", 9000, "open"), (web, api.v6, "tcp", 9000, "open")]
    denied = [(web, api.v4, "tcp", 9001, "drop"), (web, api.v6, "tcp", 9001, "drop"),
              (rogue, api.v4, "tcp", 9000, "drop"), (rogue, api.v6, "tcp", 9000, "drop")]
    wait_for("enforced", lambda: lab.status()["mode"] == "enforce" and not lab.probes(denied))
    lab.expect(traffic + denied)
    wait_for("the rogue on record", lambda: lab.audited("policy-deny", bulkhead__src__name="rogue"))

    # The runtime restarts: what is in force stays, and it is followed again afterwards.
    runtime.stop(signal.SIGKILL)
    wait_for("status names the runtime", lambda: problem(lab, runtime))
    if "retrying in" not in problem(lab, runtime)[0]:
        raise Failure(problem(lab, runtime))
    lab.expect(traffic + denied)
    runtime.start()
    wait_for("the runtime is back", lambda: not problem(lab, runtime), 30)
    lab.expect(traffic + denied)

    # Gone is gone, with all its images on record; its namesake is another, and governed like it.
    runtime.remove(web)
    wait_for("web gone", lambda: not named(lab, "web"))
    gone = [w for w in lab.api("ps", "--all", "--image", PROXY)["workloads"] if w["state"] == "gone"]
    if [w["name"] for w in gone] != ["web"] or len(gone[0]["images"]) != 2:
        raise Failure(f"who is gone had the sidecar's image: {gone}")
    again = runtime.run("web")
    wait_for("web again", lambda: named(lab, "web") and named(lab, "web")[0]["id"] == again.id)
    lab.expect([(again, api.v4, "tcp", 9000, "open"), (again, api.v4, "tcp", 9001, "drop")])

    # The socket vanishes and comes back; the daemon starts anew meanwhile and waits for it.
    os.rename(runtime.sock, runtime.sock + ".away")
    wait_for("status names the socket", lambda: problem(lab, runtime))
    lab.stop()
    lab.start(wait=False)
    wait_for("a message", lambda: os.path.exists(lab.dir + "/bulkhead.sock") and problem(lab, runtime))
    lab.expect([(again, api.v4, "tcp", 9000, "open"), (rogue, api.v4, "tcp", 9000, "drop")])
    os.rename(runtime.sock + ".away", runtime.sock)
    lab.ready()
    known(lab, "api")
    lab.expect([(again, api.v4, "tcp", 9000, "open"), (rogue, api.v4, "tcp", 9000, "drop")])


def test_without_cri(lab):
    """Docker's containerd may have the plugin switched off: said so where it was configured."""
    runtime = Containerd(lab)
    try:
        runtime.configure(disabled=["io.containerd.grpc.v1.cri"])
        runtime.start(cri=False)
        lab.config(mode="learn", sources=[{"cri": runtime.sock}])
        lab.start(wait=False)
        wait_for("the message", lambda: os.path.exists(lab.dir + "/bulkhead.sock") and
                 [p for p in problem(lab, runtime) if "has no CRI v1" in p])
        runtime.stop()
        runtime.configure()
        runtime.start()
        lab.ready()
        wait_for("no problem any more", lambda: not problem(lab, runtime))
        lab.stop()
    finally:
        runtime.close()


def test_crio_with_events(lab):
    """CRI-O as played by cri/crio.py: pods by the path of their namespace, and a stream of events,
    after whose first word lists without cause become rare."""
    state = {"event": 0, "pods": {}}
    path, sock = lab.dir + "/crio.json", lab.dir + "/crio.sock"

    def show(*names):
        for n in names:
            c = lab.containers[n]
            state["pods"]["pod-" + n] = {"name": n, "namespace": "shop", "labels": {"app": n},
                                         "netns": c.netns, "ip": c.v4}
        state["event"] += 1
        lab.write("crio.json", json.dumps(state))

    def lists():
        with open(path + ".count") as f:
            return int(f.read())
    web, api, rogue = (lab.container(n) for n in ("web", "api", "rogue"))
    api.serve(tcp=[9000])
    show("web", "api")
    server = subprocess.Popen([os.path.join(os.path.dirname(os.path.abspath(__file__)), "cri/crio.py"), sock, path], stdout=sys.stderr)
    try:
        lab.policy("api.yaml", POLICY.replace("port: http", "port: 9000"))
        lab.start(mode="enforce", sources=[{"cri": sock}])
        w = wait_for("web", lambda: known(lab, "web"))
        if (w["runtime"], w["image"], w["digest"]) != ("cri-o", "localhost/shop:1", "sha256:" + "d" * 64):
            raise Failure(w)
        show("rogue")
        known(lab, "rogue")
        lab.expect([(web, api.v4, "tcp", 9000, "open"), (rogue, api.v4, "tcp", 9000, "drop")])
        before = lists()
        time.sleep(4)  # four polls, were it not for the events
        if lists() > before + 2:
            raise Failure(f"{lists() - before} lists in four quiet seconds")
        del state["pods"]["pod-web"]
        show()
        wait_for("web gone", lambda: not named(lab, "web"), 8)  # before the next list without cause
        server.kill()
        server.wait()
        wait_for("status names the runtime", lambda: any("crio.sock" in p for p in lab.status()["problems"]))
        if not named(lab, "rogue"):
            raise Failure("the last good inventory is gone")
        lab.expect([(rogue, api.v4, "tcp", 9000, "drop")])
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    Suite("c").main(globals())
