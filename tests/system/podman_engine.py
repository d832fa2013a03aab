# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Podman in the lab's node, with storage, locks, networks and events of its own: nothing of
the machine's Podman, if it has one, is touched."""
import json, os, shutil, signal, subprocess, tempfile

from engines import Service
from lab import Failure

CONF = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
pids_limit = 0
[network]
network_config_dir = "{root}/networks"
default_subnet = "10.91.0.0/24"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "runc"
tmp_dir = "{root}/tmp"
static_dir = "{root}/storage/libpod"
volume_path = "{root}/volumes"
infra_image = "localhost/shop:1"
"""


class PodmanContainer:
    """`of`: whose addresses it has, if not its own (a pod's)."""

    def __init__(self, engine, name, ident, network, of=None):
        self.engine, self.name, self.id = engine, name, ident
        info = json.loads(engine.podman("inspect", ident))[0]
        self.pid = info["State"]["Pid"]
        self.netns = f"/proc/{self.pid}/ns/net"
        if of:
            info = json.loads(engine.podman("inspect", of))[0]
        net = info["NetworkSettings"].get("Networks", {}).get(network)
        self.v4, self.v6 = (net["IPAddress"], net["GlobalIPv6Address"]) if net else (None, None)


# A /run of its own: network namespaces, runc's state, the addresses that netavark has given away.
HOLDER = "mount -t tmpfs none /run && mount -t tmpfs none /dev/shm && echo ready && exec sleep 100000"


class Podman(Service):
    def __init__(self, lab):
        self.lab = lab
        self.root = tempfile.mkdtemp(prefix="bulkhead-podman-")
        self.sock = self.root + "/podman.sock"
        self.proc = None
        with open(self.root + "/containers.conf", "w") as f:
            f.write(CONF.format(root=self.root))
        self.env = dict(os.environ, CONTAINERS_CONF=self.root + "/containers.conf")
        self.holder = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{lab.node}", "unshare", "--mount", "sh", "-c", HOLDER],
            stdout=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != "ready\n":
            raise Failure("no mount namespace for Podman")
        self.argv = ["nsenter", "-t", str(self.holder.pid), "--net", "--mount", "podman",
                     "--root", self.root + "/storage", "--runroot", self.root + "/run", "--storage-driver", "vfs"]

    def start(self):
        """The service; containers run with it and without."""
        self.begin("service", self.argv + ["system", "service", "--time", "0", "unix://" + self.sock],
                   lambda: os.path.exists(self.sock), self.env)

    def stop(self, sig=signal.SIGTERM):
        """The socket's file goes too, as systemd removes it."""
        super().stop(sig)
        if os.path.exists(self.sock):
            os.unlink(self.sock)

    def podman(self, *argv, check=True):
        r = subprocess.run(self.argv + list(argv), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           env=self.env)
        if check and r.returncode:
            raise Failure(f"podman {' '.join(argv)}: exit {r.returncode}\n{r.stdout}{r.stderr}")
        return r.stdout

    def image(self):
        self.podman("import", self.busybox("sh", "sleep", "nc", "ping"), "shop:1")

    def run(self, name, *opts, network="shop", of=None, cmd=("sleep", "3600")):
        where = () if of or network is None else ("--network", network)
        ident = self.podman("run", "-d", "--name", name, *where, *opts, "shop:1", *cmd).strip().splitlines()[-1]
        return PodmanContainer(self, name, ident, network, of)

    def compose(self, service, *opts, project="shop"):
        return self.run(f"{project}_{service}_1", "--label", "io.podman.compose.project=" + project,
                        "--label", "com.docker.compose.service=" + service, *opts)

    def pod(self, name, *opts):
        """Its id and that of the container that holds its namespaces."""
        self.podman("pod", "create", "--name", name, "--network", "shop", "--infra-command", "/bin/sleep 3600", *opts)
        info = json.loads(self.podman("pod", "inspect", name))
        return info["Id"], info["InfraContainerID"]

    def left(self):
        """Processes that are still in its mount namespace."""
        def mounts(pid):
            try:
                return os.readlink(f"/proc/{pid}/ns/mnt")
            except OSError:
                return None
        own = mounts(self.holder.pid)
        return [int(p) for p in os.listdir("/proc") if p.isdigit() and own and mounts(p) == own]

    def close(self):
        try:
            self.podman("pod", "rm", "-f", "-a", "-t", "0", check=False)
            self.podman("rm", "-f", "-a", "-t", "0", "--depend", check=False)
            self.stop()
        finally:
            for pid in self.left():
                if pid != self.holder.pid:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
            self.holder.kill()
            self.holder.wait()
            shutil.rmtree(self.root, ignore_errors=True)
