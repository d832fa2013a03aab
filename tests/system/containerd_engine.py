# SPDX-License-Identifier: GPL-3.0-or-later
"""A real containerd with its CRI plugin in the lab's node, and CNI's bridge: pods by CRI's own calls."""
import glob, hashlib, io, json, os, subprocess, tarfile, tempfile

from engines import Service
from lab import BUILD, Failure, run, wait_for
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


class Containerd(Service):
    def __init__(self, lab):
        self.lab, self.proc, self.pods, self.configs, self.idents = lab, None, [], {}, {}
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
        def up():
            try:
                return self.call("Version", b"") if cri else self.ctr("version")
            except Failure:
                return False
        self.begin("containerd", ["nsenter", f"--net=/run/netns/{self.lab.node}", "containerd", "-c",
                                  self.root + "/config.toml"], up)

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
        self.idents[pod, name] = ident

    def end_container(self, pod, name):
        self.call("StopContainer", pb((1, self.idents[pod.id, name])))

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
            self.remove_root()
            left = ["/run/containerd/s", "/run/containerd"]  # the shims' sockets were there
            for d in left + glob.glob("/sys/fs/cgroup/*" + CGROUP) + ["/sys/fs/cgroup" + CGROUP]:
                try:
                    os.rmdir(d)
                except OSError:
                    pass
