# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a Docker engine's API that the daemon asks, so that a container's start can be timed
from the engine's event: list, inspect, image, event stream. Containers are processes that sleep in
namespaces made beforehand, as an engine has made them when it tells of the start."""
import hashlib, json, os, socket, subprocess, threading, time


class Engine:
    def __init__(self, path):
        self.path, self.running, self.streams, self.answering = path, {}, [], 0.0
        self.lock = threading.Lock()
        s = socket.socket(socket.AF_UNIX)
        s.bind(path)
        s.listen(64)
        threading.Thread(target=self.accept, args=(s,), daemon=True).start()

    def accept(self, s):
        while True:
            c, _ = s.accept()
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                chunk = c.recv(65536)
                if not chunk:
                    return
                data += chunk
            begin = time.monotonic()
            head, data = data.split(b"\r\n\r\n", 1)
            path = head.split(b" ")[1].decode()
            if path.startswith("/events"):
                c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
                with self.lock:
                    self.streams.append(c)
                return
            body = json.dumps(self.answer(path)).encode()
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                      % (len(body), body))
            self.answering += time.monotonic() - begin

    def answer(self, path):
        if path.startswith("/containers/json"):
            return [{"Id": i} for i in self.running]
        if path.startswith("/images/"):
            return {"RepoDigests": ["bench@sha256:" + "0" * 64]}
        i = path.split("/")[2]
        c, pid = self.running[i]
        return {"Id": i, "Name": "/" + c.name, "Image": "sha256:" + "1" * 64, "State": {"Running": True, "Pid": pid},
                "Config": {"Image": "bench:1", "Labels": {**c.labels, "bulkhead.io/namespace": "bench"}},
                "HostConfig": {"NetworkMode": "bridge"}}

    def run(self, container):
        """A process in the container's namespace; the engine's identifier of it."""
        p = subprocess.Popen(["nsenter", f"--net=/run/netns/{container.netns}", "sleep", "infinity"])
        i = hashlib.sha256(container.netns.encode()).hexdigest()
        self.running[i] = (container, p.pid)
        return i

    def tell(self, i):
        """The start event; the time it was sent (ns, monotonic)."""
        line = json.dumps({"Type": "container", "Action": "start", "Actor": {"ID": i, "Attributes": {}}}).encode() + b"\n"
        with self.lock:
            self.answering = 0.0
            when = time.monotonic_ns()
            for s in self.streams:
                s.sendall(b"%x\r\n%s\r\n" % (len(line), line))
        return when
