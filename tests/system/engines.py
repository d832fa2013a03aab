# SPDX-License-Identifier: GPL-3.0-or-later
"""What real container engines in the lab have in common: the process that serves, an image of
busybox, and a test's course from the engine's start to its end."""
import os, shutil, signal, subprocess, tarfile

from lab import Failure, run, wait_for


class Service:
    """An engine's process. `root`: a directory of its own; `proc`: None while it does not run."""

    def begin(self, name, argv, up, env=None):
        """Starts it and waits until up() is true; what it prints is in root/NAME.log."""
        path = f"{self.root}/{name}.log"
        self.log = open(path, "a")
        self.proc = subprocess.Popen(argv, stdout=self.log, stderr=self.log, env=env)

        def ready():
            if self.proc.poll() is not None:
                raise Failure(f"{name} exited:\n" + open(path).read()[-3000:])
            return up()
        wait_for(name + " up", ready, 60)

    def stop(self, sig=signal.SIGTERM):
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(sig)
            self.proc.wait(40)
        self.proc = None

    def busybox(self, *names, files=()):
        """A root filesystem with these commands and (name, text) files, as a tar; its path."""
        rootfs, path = self.root + "/rootfs", self.root + "/image.tar"
        os.makedirs(rootfs + "/bin")
        shutil.copy("/bin/busybox", rootfs + "/bin/busybox")
        for name in names:
            os.symlink("busybox", f"{rootfs}/bin/{name}")
        for name, text in files:
            with open(f"{rootfs}/{name}", "w") as f:
                f.write(text)
        with tarfile.open(path, "w") as t:
            t.add(rootfs, "/")
        return path

    def remove_root(self):
        for line in run("mount").splitlines():
            where = line.split(" ")[2]
            if where.startswith(self.root):
                run("umount", "-l", where, check=False)
        shutil.rmtree(self.root, ignore_errors=True)


def with_engine(make, prepare):
    """A decorator: the test gets the lab and make(lab), after prepare(lab, engine)."""
    def decorate(fn):
        def test(lab):
            engine = make(lab)
            try:
                prepare(lab, engine)
                fn(lab, engine)
                if lab.daemon:
                    lab.stop()
            finally:
                if lab.daemon:
                    lab.daemon.kill()
                    lab.daemon.wait()
                    lab.daemon = None
                engine.close()
        test.__name__ = fn.__name__
        return test
    return decorate


def named(lab, name):
    return [w for w in lab.workloads() if w["name"] == name]


def known(lab, name, gone=False):
    """Waits until the daemon has it with its interface, or not at all."""
    def there():
        w = named(lab, name)
        return (not w) if gone else (w and w[0]["interfaces"] and w[0]["interfaces"][0]["host_name"] and w[0])
    return wait_for(f"{name} {'gone' if gone else 'known'}", there)


def problem(lab, word):
    return [p for p in lab.status()["problems"] if word in p]
