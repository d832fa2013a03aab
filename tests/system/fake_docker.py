# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker engine that only answers: containers are network namespaces of the test's, hundreds of
them in the time that a real engine needs for a few. It can be stopped, started again and made to lie."""
import hashlib, json, os, socketserver, subprocess, threading
from http.server import BaseHTTPRequestHandler

from lab import run


class Fake:
    """A container: a process in a network namespace, and a veth to the lab's bridge."""

    project, image_labels = "shop", {}

    def __init__(self, n, name, labels):
        self.id = f"{n:064x}"
        self.name, self.labels, self.n = name, labels, n
        self.v4, self.v6 = f"10.77.{n // 250}.{n % 250 + 2}", f"fd00:77::{n:x}:1"
        self.proc = subprocess.Popen(["unshare", "--net", "sleep", "1000"])
        self.netns = f"/proc/{self.proc.pid}/ns/net"

    def gone(self):
        self.proc.kill()
        self.proc.wait()

    def all_labels(self):
        compose = {"com.docker.compose.project": self.project} if self.project else {}
        return {**self.image_labels, **self.labels, **compose}

    def image_id(self):
        return hashlib.sha256(json.dumps(self.image_labels).encode()).hexdigest()

    def listed(self):
        """In the list of containers."""
        return {"Id": self.id, "Names": ["/" + self.name], "State": "running", "Labels": self.all_labels()}

    def json(self):
        return {"Id": self.id, "Name": "/" + self.name, "Image": "sha256:" + self.image_id(),
                "State": {"Running": True, "Pid": self.proc.pid}, "HostConfig": {"NetworkMode": "bridge"},
                "Config": {"Image": "shop:1", "Labels": self.all_labels()},
                "NetworkSettings": {"Networks": {"shop": {"IPAddress": self.v4, "GlobalIPv6Address": self.v6}}}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *a):
        pass

    def address_string(self):
        return "unix"

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        try:
            self.get(self.server.engine)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def get(self, engine):
        lie = engine.lie
        if self.path.startswith("/events"):
            return self.events(engine)
        if lie == "huge":
            self.send_response(200)
            self.send_header("Content-Length", str(4 << 30))
            self.end_headers()
            for _ in range(1 << 10):
                self.wfile.write(b"[" * (1 << 20))
            return
        if self.path == "/containers/json":
            body = json.dumps([c.listed() for c in list(engine.containers.values())]).encode()
        elif self.path.startswith("/containers/") and self.path.split("/")[2] in engine.containers:
            body = json.dumps(engine.containers[self.path.split("/")[2]].json()).encode()
        elif self.path.startswith("/images/") and self.path.split("/")[2] not in engine.deleted:
            of = next((c for c in list(engine.containers.values()) if c.image_id() == self.path.split("/")[2]), None)
            body = json.dumps({"RepoDigests": ["shop@sha256:" + "cd" * 32],
                               "Config": {"Labels": of.image_labels if of else None}}).encode()
        else:
            return self.answer(404, b'{"message": "no such thing"}')
        self.answer(200, body[:len(body) // 2] if lie == "truncated" else body)

    def events(self, engine):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        at = len(engine.log)
        while engine.up:
            with engine.news:
                engine.news.wait_for(lambda: len(engine.log) > at or not engine.up, 5)
                lines, at = engine.log[at:], len(engine.log)
            for line in lines:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.flush()
        self.close_connection = True


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # whoever asked has gone away


class FakeDocker:
    def __init__(self, lab):
        self.lab, self.sock = lab, lab.dir + "/docker.sock"
        self.containers, self.log, self.news = {}, [], threading.Condition()
        self.deleted = set()  # ids of images that were removed under their containers
        self.lie, self.up, self.server = None, False, None
        run("ip", "-n", lab.node, "addr", "add", "10.77.0.1/16", "dev", "br0")

    def start(self):
        if os.path.exists(self.sock):
            os.unlink(self.sock)
        self.up = True
        self.server = Server(self.sock, Handler)
        self.server.engine = self
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self, keep_socket=False):
        """Its streams end, its socket refuses, or is gone."""
        with self.news:
            self.up = False
            self.news.notify_all()
        if self.server:
            self.server.shutdown()
            self.server.server_close()
        self.server = None
        if not keep_socket and os.path.exists(self.sock):
            os.unlink(self.sock)

    def event(self, action, c):
        line = json.dumps({"Type": "container", "Action": action, "Actor": {"Attributes": c.all_labels(), "ID": c.id}}) + "\n"
        with self.news:
            self.log.append(line.encode())
            self.news.notify_all()

    def run(self, numbers, labels=lambda n: {"app": "web"}, **what):
        """Starts them all, as fast as it goes. `what`: other attributes of theirs."""
        new = [Fake(n, f"c{n}", labels(n)) for n in numbers]
        for c in new:
            vars(c).update(what)
        batch = []
        for c in new:
            while os.readlink(c.netns) == os.readlink("/proc/self/ns/net"):
                pass  # it has not unshared yet
            v = f"f{c.n}-{os.getpid() % 100000}"[:15]
            batch += [f"link add {v} type veth peer name eth0 netns {c.proc.pid}", f"link set {v} master br0 up"]
        run("ip", "-n", self.lab.node, "-batch", "-", input="\n".join(batch))
        for c in new:
            run("nsenter", "-t", str(c.proc.pid), "--net", "ip", "-batch", "-", input=f"""link set lo up
addr add {c.v4}/16 dev eth0
addr add {c.v6}/64 dev eth0 nodad
link set eth0 up
route add default via 10.77.0.1""")
            self.containers[c.id] = c
            self.event("start", c)
        return new

    def remove(self, gone):
        for c in gone:
            del self.containers[c.id]
            c.gone()
            self.event("die", c)
            self.event("destroy", c)

    def close(self):
        self.stop()
        for c in self.containers.values():
            c.gone()
