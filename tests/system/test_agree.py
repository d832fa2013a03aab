#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel does what the evaluator says: tests/system/agree on a fixed seed and on two new ones,
then on rulesets that were spoiled on purpose, which it must find and reduce to a small case.

To go on for hours: $BULKHEAD_BUILD/tests/system/agree/agree --seed N --minutes 480."""
import os, random, re, subprocess, sys, tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BULKHEAD_BUILD", os.path.join(TOP, "build-gcc"))
AGREE = os.path.join(BUILD, "tests/system/agree/agree")
BULKHEAD = os.path.join(BUILD, "enforcer/cli/bulkhead")
SKIP = 77
failed = 0


def ok(good, what, detail=""):
    global failed
    print(f"{'ok' if good else 'not ok'} - {what}")
    if not good:
        failed += 1
        print(detail)
    sys.stdout.flush()


def run(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          cwd=TOP, timeout=600)


def agree(*argv):
    r = run(AGREE, *map(str, argv))
    if r.returncode == SKIP:
        print("skip agree: " + r.stdout.strip())
        sys.exit(0)
    return r


def test_agreement(seed, *more):
    r = agree("--seed", seed, "--probes", 10000, *more)
    oks = r.stdout.count("\nok - ")
    print(r.stdout, end="")
    if r.returncode or oks != 1 + len(more):
        ok(False, f"seed {seed}: exit {r.returncode}")


def test_sabotage(how, most):
    """A compiler with this fault is found, and the case that shows it is small, stands by itself
    and tells what would have been right."""
    r = agree("--seed", 1, "--sabotage", how)
    ok(r.returncode == 1 and "\nnot ok - agreement" in r.stdout, f"{how}: the fault is found",
       r.stdout)
    case = re.search(r"^name: \"agree.*?^expect:\n- .*?$", r.stdout, re.M | re.S)
    text = case.group(0) + "\n" if case else ""
    lines = text.count("\n")
    ok(0 < lines <= most, f"{how}: the case is small ({lines} lines)", r.stdout)
    said = re.search(r"kernel (allow|deny), evaluator (allow|deny), reference (allow|deny)", text)
    ok(said and said.group(1) != said.group(2) == said.group(3), f"{how}: the kernel is to blame",
       r.stdout)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
        f.write(text)
        f.flush()
        t = run(BULKHEAD, "policy", "test", f.name)
    ok(t.returncode == 0 and "1 passed, 0 failed" in t.stdout, f"{how}: the case stands by itself",
       text + t.stdout)


def main():
    test_agreement(1, "--account")
    for _ in range(2):
        test_agreement(random.SystemRandom().randrange(1 << 31))
    for fault in ("ports", "peers", "maps"):
        test_sabotage(fault, 40)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
