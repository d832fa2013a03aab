# SPDX-License-Identifier: GPL-3.0-or-later
"""An installation that systemd starts: `meson install` into an empty /usr/local, and systemd as the first
process of mount, pid, cgroup, ipc and uts namespaces of its own, in the network namespace of a lab's node,
with a copy of /etc and an empty /var and /run. What the unit asks for is really done to the daemon.
Nothing of it is seen outside, and all of it goes with its first process."""
import json, os, shutil, signal, subprocess, tempfile

from lab import BUILD, Failure, run, wait_for

# $1: the new root, $2: what was installed, $3: the lab's directory. Of this machine's own services
# nothing is started.
BOOT = r"""
set -e
root=$1
mount --bind / "$root"
mount -o remount,bind,ro "$root" # this machine's own; what is written goes to what is mounted over it
for d in home root media mnt var run dev etc tmp usr/local; do mount -t tmpfs tmpfs "$root/$d"; done
cp -a /etc/. "$root/etc/"
rm -rf "$root"/etc/systemd/system/* "$root/etc/fstab" "$root/etc/bulkhead"
: >"$root/etc/machine-id"
for u in systemd-udevd systemd-networkd systemd-resolved systemd-logind console-getty dbus; do
	ln -s /dev/null "$root/etc/systemd/system/$u.service"
done
ln -s /dev/null "$root/etc/systemd/system/dbus.socket" # systemctl has systemd's own socket
cp -a "$2/usr/local/." "$root/usr/local/"
mkdir -p "$root"/var/lib "$root"/var/log "$root"/var/tmp "$root"/var/cache "$root/run/netns" "$root$3"
mount --rbind /run/netns "$root/run/netns"
mount --bind "$3" "$root$3"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for n in null zero full random urandom tty; do cp -a /dev/$n "$root/dev/"; done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
exec env -i container=other PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	chroot "$root" /lib/systemd/systemd --log-level=warning
"""


class Booted:
    def __init__(self, lab):
        self.root = tempfile.mkdtemp(prefix="bulkhead-root-")
        self.installed = tempfile.mkdtemp(prefix="bulkhead-installed-")
        self.proc = None
        self.log = lab.dir + "/boot.log"
        try:
            self._boot(lab)
        except BaseException:
            self.close()
            raise

    def _boot(self, lab):
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", self.installed)
        with open(self.log, "w") as log:
            self.proc = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{lab.node}", "unshare", "-m", "--propagation", "slave", "-p", "-C",
                 "-u", "-i", "--fork", "--kill-child", "bash", "-c", BOOT, "boot", self.root, self.installed,
                 lab.dir],
                stdout=log, stderr=log)
        self.init = wait_for("the first process", self._init)
        wait_for("systemd is up", self._up, 60)

    def _init(self):
        if self.proc.poll() is not None:
            raise Failure("it did not boot:\n" + open(self.log).read())
        with open(f"/proc/{self.proc.pid}/task/{self.proc.pid}/children") as f:
            return f.read().split()[:1]

    def _up(self):
        self._init()
        state = self.ask("systemctl", "is-system-running")[1].strip()
        return state in ("running", "degraded") and state

    def ask(self, *argv):
        """A command in there: (exit code, output)."""
        p = f"/proc/{self.init[0]}"
        r = subprocess.run(["nsenter", "-t", self.init[0], "-m", "-p", "-n", "-C", "-u", "-i", f"--root={p}/root",
                            f"--wd={p}/root", *argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return r.returncode, r.stdout

    def sh(self, *argv):
        code, out = self.ask(*argv)
        if code:
            raise Failure(f"{' '.join(argv)}: exit {code}\n{out}\n{self.journal()}")
        return out

    def journal(self):
        return self.ask("journalctl", "--no-pager", "-o", "cat", "-u", "bulkhead")[1][-6000:]

    def api(self, *argv):
        return json.loads(self.sh("bulkhead", "-o", "json", *argv))

    def write(self, path, text):
        with open(f"/proc/{self.init[0]}/root{path}", "w") as f:
            f.write(text)

    def property(self, name):
        return self.sh("systemctl", "show", "-P", name, "bulkhead").strip()

    def close(self):
        if self.proc:
            if self.proc.poll() is None:
                self.proc.send_signal(signal.SIGKILL)  # and with it its child, and that one's namespace
            self.proc.wait()
        shutil.rmtree(self.installed, ignore_errors=True)
        os.rmdir(self.root)
