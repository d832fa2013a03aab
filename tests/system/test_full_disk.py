#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A full disk and a killed daemon together: what was refused stays refused, what is in force is one version
and no mixture of two, and a start on the full disk is no crash."""
import contextlib, os, signal, sqlite3

from lab import Failure, Skip, Suite, run, wait_for
from test_failures import DB, only, shop


@contextlib.contextmanager
def disk(lab, name, *how):
    """A small file system of its own for a directory of the lab's."""
    path = f"{lab.dir}/{name}"
    os.makedirs(path, exist_ok=True)
    try:
        run("mount", *how, path)
    except Failure as e:
        raise Skip("no such file system here: " + str(e).splitlines()[-1])
    try:
        yield path
    finally:
        if lab.daemon:
            lab.stop(signal.SIGKILL)
        run("umount", "-l", path, check=False)


def tmpfs(lab, name, size="2m"):
    return disk(lab, name, "-t", "tmpfs", "-o", "size=" + size, "tmpfs")


def fill(path, leave=0):
    with open(path + "/filler", "ab", buffering=0) as f:
        for chunk in (65536, 1024):
            try:
                while True:
                    f.write(b"x" * chunk)
            except OSError:
                pass
        f.truncate(max(0, f.tell() - leave))


def versions(lab):
    return [v["version"] for v in lab.api("policy", "history")["versions"]]


def test_refused_for_want_of_room_and_killed(lab):
    """The directory has no room, and the database less and less: a change that was refused does not come in
    force at the next start."""
    with tmpfs(lab, "state") as state, tmpfs(lab, "policies") as policies:
        web, api, db = shop(lab, mode="enforce")
        path = lab.write("api.yaml", (DB % "api").replace("name: db", "name: second") + "# " + "x" * 9000 + "\n")
        fill(policies)
        for pages in range(40, -1, -2):
            fill(state, pages * 4096)
            r = lab.cli("policy", "apply", path, check=False)
            if r.returncode != 1 or "nothing was changed" not in r.stderr:
                raise Failure(f"{pages} pages: exit {r.returncode}, {r.stderr}")
        lab.stop(signal.SIGKILL)
        lab.expect(only(web, api, db))
        os.unlink(policies + "/filler")
        lab.start()
        lab.expect(only(web, api, db))
        if versions(lab) != [1] or sorted(os.listdir(policies)) != ["db.yaml"]:
            raise Failure(f"versions {versions(lab)}, files {os.listdir(policies)}")


def test_half_written_version_on_a_full_disk(lab):
    """Killed between two files, and no room for the rest at the start: what is enforced is that version, not
    what the directory happens to have; it is finished when there is room."""
    with tmpfs(lab, "policies") as policies:
        web, api, db = shop(lab, mode="enforce")
        os.unlink(policies + "/db.yaml")
        both = lambda who: lab.write("both.yaml", DB % who + "---\n" + (DB % who).replace("name: db", "name: second"))
        lab.cli("policy", "apply", both("web"))
        with open(policies + "/shop.second.yaml") as f:
            old = f.read()
        lab.cli("policy", "apply", both("api"))
        new, version = only(api, web, db), versions(lab)[0]
        lab.expect(new)
        lab.stop(signal.SIGKILL)
        with sqlite3.connect(lab.dir + "/state/bulkhead.db") as s:  # as it was before the second file
            s.execute("INSERT OR REPLACE INTO value (name, value) VALUES ('policy_writing', ?)", (version,))
        lab.policy("shop.second.yaml", old)
        fill(policies)
        lab.start()
        lab.expect(new)
        wait_for("status says it", lambda: any(f"not all files of version {version} could be written" in p
                                               for p in lab.status()["problems"]))
        for argv in (["policy", "apply", both("web")], ["policy", "delete", "shop/db"], ["policy", "rollback", "--force"]):
            r = lab.cli(*argv, check=False)
            if r.returncode != 1 or "nothing was changed" not in r.stderr:
                raise Failure(f"{argv} upon half a version: exit {r.returncode}, {r.stderr}")
        os.unlink(policies + "/filler")
        wait_for("it is finished", lambda: not lab.status()["problems"])
        with open(policies + "/shop.second.yaml") as f:
            if "app: api" not in f.read():
                raise Failure("the second file was not written")
        lab.expect(new)
        if versions(lab)[0] != version:
            raise Failure(f"versions: {versions(lab)}")


def test_half_written_on_trial(lab):
    """The same of a version that awaits its confirmation: it is finished as soon as there is room."""
    with tmpfs(lab, "policies") as policies:
        web, api, db = shop(lab, mode="enforce")
        lab.cli("policy", "apply", lab.write("api.yaml", (DB % "api").replace("name: db", "name: second")))
        os.unlink(policies + "/db.yaml")
        wait_for("it is gone", lambda: len(versions(lab)) == 3)
        lab.cli("policy", "apply", "--confirm-within", "1h", lab.write("web.yaml", (DB % "web").replace("name: db", "name: second")))
        lab.stop(signal.SIGKILL)
        with sqlite3.connect(lab.dir + "/state/bulkhead.db") as s:
            s.execute("INSERT OR REPLACE INTO value (name, value) VALUES ('policy_writing', 4)")
        os.unlink(policies + "/shop.second.yaml")  # as if it had not come so far
        fill(policies)
        lab.start()
        lab.expect(only(web, api, db))
        wait_for("status says it", lambda: any("not all files of version 4 could be written" in p
                                               for p in lab.status()["problems"]))
        os.unlink(policies + "/filler")
        wait_for("it is finished", lambda: os.path.exists(policies + "/shop.second.yaml"))
        wait_for("status says that too", lambda: not lab.status()["problems"])
        lab.cli("policy", "confirm")
        lab.expect(only(web, api, db))
        if versions(lab)[0] != 4:
            raise Failure(f"versions: {versions(lab)}")


def test_start_on_a_full_disk_with_small_blocks(lab):
    """ext4 of less than 512 MiB has blocks of 1 KiB."""
    image = lab.dir + "/disk.img"
    with open(image, "wb") as f:
        f.truncate(8 << 20)
    run("mkfs.ext4", "-q", "-F", "-b", "1024", "-m", "0", image)
    with disk(lab, "state", "-o", "loop", image) as state:
        web, api, db = shop(lab, mode="learn")
        lab.cli("mode", "set", "enforce")
        for _ in range(3):
            lab.stop(signal.SIGKILL)
            fill(state)
            lab.start()
            lab.expect(only(web, api, db))
        os.unlink(state + "/filler")
        lab.cli("mode", "set", "audit", "--namespace", "other")


if __name__ == "__main__":
    Suite("fd").main(globals())
