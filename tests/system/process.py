# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs, and functions in network namespaces, run beside a test; and waiting for what they do."""
import ctypes, json, os, select, signal, subprocess, time

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


class Failure(Exception):
    pass


class Skip(Exception):
    """This kernel lacks what the test needs; says what."""


def run(*argv, check=True, **kw):
    r = subprocess.run(list(argv), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    if check and r.returncode:
        raise Failure(f"{' '.join(argv)}: exit {r.returncode}\n{r.stdout}")
    return r.stdout


def setns(path):
    fd = os.open(path, os.O_RDONLY)
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns " + path)
    os.close(fd)


def wait_for(what, fn, timeout=15.0, step=0.05):
    """fn() until it is true; its last value is part of the error."""
    end = time.monotonic() + timeout
    while True:
        v = fn()
        if v:
            return v
        if time.monotonic() > end:
            raise Failure(f"timed out after {timeout:.0f} s: {what}; last: {v!r}")
        time.sleep(step)


class Child:
    """A function running in a forked process inside a network namespace; its result comes by a pipe."""

    def __init__(self, netns, fn, *args):
        r, w = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.close(r)
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                setns(netns if netns.startswith("/") else "/run/netns/" + netns)
                out = fn(*args)
                os.write(w, json.dumps(out).encode())
                code = 0
            except BaseException as e:  # the parent sees it as the result
                try:
                    os.write(w, json.dumps({"exception": repr(e)}).encode())
                except OSError:
                    pass
            os._exit(code)
        os.close(w)
        self.r = r

    def result(self, timeout=20):
        data = b""
        end = time.monotonic() + timeout
        while True:
            ready, _, _ = select.select([self.r], [], [], max(0, end - time.monotonic()))
            if not ready:
                self.kill()
                raise Failure("child did not answer")
            chunk = os.read(self.r, 65536)
            if not chunk:
                break
            data += chunk
        os.close(self.r)
        self.r = -1
        os.waitpid(self.pid, 0)
        self.pid = 0
        out = json.loads(data or b"null")
        if isinstance(out, dict) and "exception" in out:
            raise Failure(out["exception"])
        return out

    def kill(self):
        if self.pid:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
            self.pid = 0
        if self.r >= 0:
            os.close(self.r)
            self.r = -1
