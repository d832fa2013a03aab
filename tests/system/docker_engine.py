# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Docker Engine in the lab's node, with data, state and socket of its own."""
import json, subprocess, tempfile

from engines import Service
from lab import run

DOCKER = "/usr/bin/docker"


class DockerContainer:
    def __init__(self, engine, name, ident):
        self.engine, self.name, self.id = engine, name, ident
        info = json.loads(engine.docker("inspect", ident))[0]
        self.pid = info["State"]["Pid"]
        self.netns = f"/proc/{self.pid}/ns/net"
        for net in info["NetworkSettings"]["Networks"].values():
            self.v4, self.v6 = net["IPAddress"], net["GlobalIPv6Address"]

    def exec(self, *argv):
        """Inside the real container: (exit code, output)."""
        r = subprocess.run([DOCKER, "-H", self.engine.url, "exec", self.id, *argv],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
        return r.returncode, r.stdout


class Docker(Service):
    def __init__(self, lab):
        self.lab = lab
        self.sock = lab.dir + "/docker.sock"
        self.url = "unix://" + self.sock
        self.root = tempfile.mkdtemp(prefix="bulkhead-docker-")
        self.proc = None
        lab.engine = self

    def start(self):
        self.begin("dockerd", ["nsenter", f"--net=/run/netns/{self.lab.node}", "dockerd", "-H", self.url,
                               "--data-root", self.root + "/data", "--exec-root", self.root + "/exec",
                               "-p", self.root + "/pid", "--storage-driver", "vfs", "--live-restore"],
                   lambda: subprocess.run([DOCKER, "-H", self.url, "version"], stdout=subprocess.DEVNULL,
                                          stderr=subprocess.DEVNULL).returncode == 0)

    def docker(self, *argv):
        return run(DOCKER, "-H", self.url, *argv)

    def image(self):
        self.docker("import", self.busybox("sh", "sleep", "wget", "httpd", "nc", "ping",
                                           files=[("hello", "hello from the container\n")]), "shop:1")

    def run(self, name, *opts, cmd=("sleep", "3600")):
        ident = self.docker("run", "-d", "--name", name, *opts, "shop:1", *cmd).strip().splitlines()[-1]
        return DockerContainer(self, name, ident)

    def compose(self, service, *opts, project="shop", number=1, cmd=("sleep", "3600")):
        return self.run(f"{project}-{service}-{number}", "--network", "shop",
                        "--label", "com.docker.compose.project=" + project,
                        "--label", "com.docker.compose.service=" + service,
                        "--label", f"com.docker.compose.container-number={number}", *opts, cmd=cmd)

    def close(self):
        try:
            if self.proc and self.proc.poll() is None:
                ids = self.docker("ps", "-aq").split()
                if ids:
                    self.docker("rm", "-f", *ids)
            self.stop()
        finally:
            self.remove_root()
