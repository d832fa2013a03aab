#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fast path over restarts that change what the daemon may and can: what an earlier run left at interfaces goes by
where addresses lived then, so it may not stay there."""
import os, signal, time

import lab as lab_module
from fast import attached, settle, world
from lab import BULKHEADD, Failure, Suite, wait_for


def by(lab, *how):
    """The daemon is started by that from now on."""
    path = lab.write("start", "#!/bin/sh\n" + "".join(h + "\n" for h in how))
    os.chmod(path, 0o755)
    lab_module.BULKHEADD = path


def test_there_is_none_any_more(lab):
    """Wanted, but what loads it is gone: all flows go by the bridge, as status says."""
    world(lab)
    settle(lab, 3)
    lab.stop()
    by(lab, f"exec unshare -m sh -c 'mount --bind /dev/null {os.path.dirname(BULKHEADD)}/bulkhead-fastpath && "
            f"exec {BULKHEADD} \"$@\"' - \"$@\"")
    try:
        lab.start()
    finally:
        lab_module.BULKHEADD = BULKHEADD
    wait_for("it is gone", lambda: attached(lab) == 0)
    if not any("none: " in p for p in lab.status()["problems"]):
        raise Failure(f"{lab.status()['problems']}")
    lab.stop()
    lab.start()
    settle(lab, 3)


def without(lab, rights):
    by(lab, f"exec setpriv --bounding-set={rights} --inh-caps={rights} {BULKHEADD} \"$@\"")


def left(lab):
    return any("put at interfaces may be there" in p for p in lab.status()["problems"])


def test_without_the_right(lab):
    """Switched off, and the unit's drop-in taken away at once: where the daemon can't see what is at the interfaces any
    more it says so, and nothing where there never was any."""
    lab.container("web")
    without(lab, "-sys_admin,-bpf,-perfmon")
    try:
        lab.start(mode="enforce", fast_path=False)
        if left(lab):
            raise Failure("there never was one")
        lab.stop()
        lab_module.BULKHEADD = BULKHEADD
        lab.start(mode="enforce", fast_path=True)
        settle(lab, 1)
        lab.stop()
        for wanted, rights in ((False, "-sys_admin,-bpf,-perfmon"), (True, "-sys_admin,-bpf,-perfmon"), (True, "-sys_admin")):
            without(lab, rights)
            lab.start(mode="enforce", fast_path=wanted)
            if left(lab) != (attached(lab) > 0):  # without tcx no such right is needed to take them away
                raise Failure(f"{attached(lab)} interfaces have it, {lab.status()['problems']}")
            lab.stop()
    finally:
        lab_module.BULKHEADD = BULKHEADD
    lab.start(mode="enforce", fast_path=False)
    if attached(lab) or left(lab) or os.path.exists(lab.dir + "/state/fast-path"):
        raise Failure(f"{attached(lab)}, {lab.status()['problems']}")


def test_signals_are_no_answer(lab):
    """The configuration is read again and again while the program is loaded."""
    lab.container("web")
    lab.start(mode="enforce", fast_path=False)
    lab.config(mode="enforce", fast_path=True)
    end = time.monotonic() + 1
    while time.monotonic() < end:
        lab.daemon.send_signal(signal.SIGHUP)
        time.sleep(0.01)
    settle(lab, 1)
    if bad := lab.audited("fast-path", event__outcome="failure"):
        raise Failure(f"{len(bad)} times: {bad[0]['message']}")


if __name__ == "__main__":
    Suite("fo").main(globals())
