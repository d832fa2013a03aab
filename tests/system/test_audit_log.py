#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit log's evidence, on files written by the daemon's own code: every change of a byte, every
removed, added, swapped or cut record is found with its number; a second implementation agrees; the
log survives being killed; rotation, pruning, other keys, anchors and proofs. No network, no daemon.
BULKHEAD_KILLS=200 kills that often."""
import json, os, random, shutil, signal, subprocess, sys, tempfile, time, traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import audit_evidence as evidence
from lab import BUILD, BULKHEAD, Failure, wait_for

RECORDER = os.path.join(BUILD, "tests/system/audit/recorder")
GOOD, ALTERED, TRUNCATED, UNANCHORED = 0, 1, 2, 3


class Log:
    def __init__(self, dir, count, *options):
        self.dir = tempfile.mkdtemp(dir=dir)
        self.path, self.key = self.dir + "/audit.jsonl", self.dir + "/key"
        if count:
            self.record(count, *options)

    def record(self, count, *options):
        r = subprocess.run([RECORDER, self.path, self.key, str(count), *options], stdout=subprocess.PIPE, text=True)
        if r.returncode:
            raise Failure(f"recorder: exit {r.returncode}")
        self.pub = next(l.split()[1] for l in r.stdout.splitlines() if l.startswith("key "))

    def files(self):
        names = [n for n in os.listdir(self.dir) if n.startswith("audit.jsonl") and
                 (n == "audit.jsonl" or n.rsplit(".", 1)[1].isdigit())]
        return [os.path.join(self.dir, n) for n in sorted(names, key=lambda n: (n == "audit.jsonl", n))]

    def lines(self):
        return open(self.path, "rb").read().split(b"\n")[:-1]

    def write(self, lines):
        with open(self.path, "wb") as f:
            f.write(b"".join(l + b"\n" for l in lines))


def verify(*words):
    """[exit code, answer]"""
    r = subprocess.run([BULKHEAD, "audit", "verify", "-o", "json", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       text=True)
    return r.returncode, json.loads(r.stdout) if r.stdout else {"error": r.stderr}


def expect(what, got, code, sequence=None):
    if got[0] != code or (sequence is not None and got[1].get("bad_sequence") != sequence):
        raise Failure(f"{what}: wanted exit {code} and record {sequence}, got {got}")


def python_says(log, sequence):
    """The second implementation finds the same record."""
    try:
        evidence.verify(log.path, log.pub, check_all=False)
    except evidence.Bad as e:
        if e.sequence != sequence:
            raise Failure(f"the second implementation blames {e.sequence}, not {sequence}: {e}")
        return
    raise Failure(f"the second implementation finds nothing; record {sequence} is bad")


class Tests:
    def __init__(self, dir):
        self.dir = dir

    def test_what_was_written_is_good(self):
        log = Log(self.dir, 250)
        expect("without anchor", verify(log.path), UNANCHORED)
        expect("with the key", verify("--pub", log.pub, log.path), UNANCHORED)
        records = evidence.verify(log.path, log.pub)
        if [r["event"]["sequence"] for r in records] != list(range(1, len(records) + 1)) or len(records) < 250:
            raise Failure(f"{len(records)} records")
        other = Log(self.dir, 1)
        expect("another log's key", verify("--pub", other.pub, log.path), ALTERED)

    def test_bytes_changed(self):
        """By samples, with the second implementation; tests/unit/test_evidence.c tries every byte."""
        log = Log(self.dir, 12)
        data = open(log.path, "rb").read()
        for at in random.sample(range(len(data) - 1), 30):
            sequence = data.count(b"\n", 0, at) + 1
            with open(log.path, "wb") as f:
                f.write(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
            expect(f"byte {at} changed", verify(log.path), ALTERED, sequence)
            python_says(log, sequence)

    def test_records_removed_added_swapped_cut(self):
        log = Log(self.dir, 60)
        lines = log.lines()
        n = len(lines)
        for i in random.sample(range(n), 6) + [n - 1]:
            log.write(lines[:i] + lines[i + 1:])
            expect(f"record {i + 1} removed", verify(log.path), TRUNCATED if i == n - 1 else ALTERED, i + 1)
            python_says(log, i + 1)
        for i in random.sample(range(n + 1), 6):
            log.write(lines[:i] + [b"{}"] + lines[i:])
            expect(f"a record added at {i + 1}", verify(log.path), ALTERED, i + 1)
            python_says(log, i + 1)
        for i in random.sample(range(n - 1), 6):
            j = random.randrange(i + 1, n)
            swapped = list(lines)
            swapped[i], swapped[j] = swapped[j], swapped[i]
            log.write(swapped)
            expect(f"{i + 1} and {j + 1} swapped", verify(log.path), ALTERED, i + 1)
            python_says(log, i + 1)
        data = b"".join(l + b"\n" for l in lines)
        for at in random.sample(range(len(data)), 8):
            with open(log.path, "wb") as f:
                f.write(data[:at])
            expect(f"cut at {at}", verify(log.path), TRUNCATED, data.count(b"\n", 0, at) + 1)
            python_says(log, data.count(b"\n", 0, at) + 1)
        log.write(lines)
        expect("put back", verify(log.path), UNANCHORED)

    def test_a_large_log_by_samples(self):
        log = Log(self.dir, 5000)
        data = open(log.path, "rb").read()
        expect("untouched", verify(log.path), UNANCHORED)
        evidence.verify(log.path, log.pub, check_all=False)
        for at in random.sample(range(len(data) - 1), 15):
            with open(log.path, "r+b") as f:
                f.seek(at)
                f.write(bytes([data[at] ^ 0x20]))
                f.flush()
                expect(f"byte {at}", verify(log.path), ALTERED, data.count(b"\n", 0, at) + 1)
                f.seek(at)
                f.write(data[at:at + 1])
        expect("put back", verify(log.path), UNANCHORED)

    def test_damaged_checkpoints(self):
        """No byte of the checkpoints makes the reader fail, or another log good."""
        log = Log(self.dir, 30)
        path = log.path + ".checkpoints"
        data = open(path, "rb").read()
        lines = log.lines()
        for at in random.sample(range(len(data)), 25):
            with open(path, "wb") as f:
                f.write(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
            code, got = verify(log.path)
            if code not in (ALTERED, TRUNCATED, UNANCHORED) or "error" in got and code != ALTERED:
                raise Failure(f"byte {at} of the checkpoints: {code} {got}")
            log.write(lines[:3] + [lines[3] + b" "] + lines[4:])
            code, got = verify(log.path)
            if code != ALTERED:
                raise Failure(f"byte {at} of the checkpoints hides a changed record: {code} {got}")
            log.write(lines)

    def test_anchor(self):
        log = Log(self.dir, 450, "pause=100")
        early, late = self.dir + "/early", self.dir + "/late"
        notes = open(log.path + ".checkpoints").read()
        with open(early, "w") as f:
            f.write(notes)
        # All checkpoints, cut to the first one that says something.
        some = notes.split("\n\n")
        with open(early, "w") as f:
            f.write("\n\n".join(some[2:4]) + "\n\n")
        with open(late, "w") as f:
            f.write("\n\n".join(some[-3:-1]) + "\n\n")
        expect("early anchor", verify("--anchor", early, log.path), GOOD)
        expect("late anchor", verify("--anchor", late, "--pub", log.pub, log.path), GOOD)
        # Cut back to an earlier checkpoint, with the checkpoints cut as well: only the anchor knows.
        keep = int(some[2].split("\n")[1])
        lines = log.lines()
        log.write(lines[:keep])
        with open(log.path + ".checkpoints", "w") as f:
            f.write("\n\n".join(some[:4]) + "\n\n")
        expect("cut back", verify(log.path), UNANCHORED)
        expect("cut back, early anchor", verify("--anchor", early, log.path), GOOD)
        expect("cut back, late anchor", verify("--anchor", late, log.path), TRUNCATED, keep + 1)
        other = Log(self.dir, 10)
        shutil.copy(other.path + ".checkpoints", early)
        expect("another log's anchor", verify("--anchor", early, log.path), ALTERED)

    def test_rotation_pruning_and_keys(self):
        # Each run is long enough for more than one second: keys change by the second here.
        log = Log(self.dir, 1500, "rotate-size=100000", "key=1", "pause=1500")
        files = log.files()
        if len(files) < 5:
            raise Failure(f"only {files}")
        first = open(log.path + ".keys").read().split("\n")[0]
        changes = open(log.path + ".keys").read().count("next-key")
        if changes < 2:
            raise Failure(f"the key changed {changes} times")
        mixed = list(files)
        random.shuffle(mixed)
        got = verify("--pub", first, *mixed)
        expect("all files", got, UNANCHORED)
        records = []
        for f in files:
            records += evidence.verify(f, first, check_all=False)
        if [r["event"]["sequence"] for r in records] != list(range(1, len(records) + 1)):
            raise Failure("the numbers have gaps over files")
        if got[1]["records"] != len(records):
            raise Failure(f"{got} but {len(records)} records")
        # A file's first record names the one before, its size and its root.
        for f in files[1:]:
            lines = open(f, "rb").read().split(b"\n")
            r = json.loads(lines[0])
            before = r["bulkhead"]["change"]["previous"]
            old = [l for g in files[:files.index(f)] for l in open(g, "rb").read().split(b"\n")[:-1]]
            if r["event"]["action"] != "log.rotated" or before["tree_size"] != len(old) or \
               before["tree_root"] != evidence.root([evidence.leaf(l) for l in old]).hex() or \
               os.path.join(log.dir, before["file"]) != files[files.index(f) - 1]:
                raise Failure(f"{f} begins with {r}")
        # Erased: nothing that the key's file ever held but the last key is there.
        if os.path.exists(log.key + ".next") or os.stat(log.key).st_mode & 0o77:
            raise Failure("key files are left or readable")
        # Pruned from the old end, still good; from the middle, not.
        expect("pruned", verify("--pub", first, *files[2:]), UNANCHORED)
        expect("one missing between", verify(*files[:2], *files[3:]), ALTERED,
               json.loads(open(files[2]).readline())["event"]["sequence"])
        expect("the last one missing", verify(*files[:-1]), TRUNCATED)
        keep = Log(self.dir, 1200, "rotate-size=60000", "keep=2", "pause=100")
        if len(keep.files()) != 3 or len([n for n in os.listdir(keep.dir) if n.endswith(".checkpoints")]) != 3:
            raise Failure(f"kept {os.listdir(keep.dir)}")
        expect("pruned by itself", verify("--pub", keep.pub, *keep.files()), UNANCHORED)
        if b'"log.pruned"' not in b"".join(open(f, "rb").read() for f in keep.files()):
            raise Failure("pruning is not on record")

    def test_proof(self):
        log = Log(self.dir, 77)
        lines = log.lines()
        for n in (1, 2, 33, len(lines)):
            r = subprocess.run([BULKHEAD, "audit", "prove", str(n), log.path], stdout=subprocess.PIPE, text=True, check=True)
            proof = json.loads(r.stdout)
            evidence.check_proof(lines[n - 1], proof, log.pub)
            try:
                evidence.check_proof(lines[n - 1] + b" ", proof, log.pub)
            except evidence.Bad:
                continue
            raise Failure("a changed record is proved")
        r = subprocess.run([BULKHEAD, "audit", "prove", "1000", log.path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if r.returncode != 1:
            raise Failure("a record that is not there is proved")

    def test_killed(self):
        """Killed at random points: what was acknowledged is there, and all of it verifies."""
        log = Log(self.dir, 0)
        rounds = int(os.environ.get("BULKHEAD_KILLS", "15"))
        recovered = 0
        for i in range(rounds):
            p = subprocess.Popen([RECORDER, log.path, log.key, "1000000", "rotate-size=400000", "key=1", "pause=30"],
                                 stdout=subprocess.PIPE, text=True)
            time.sleep(random.uniform(0.005, 0.25))
            p.send_signal(signal.SIGKILL)
            out = p.communicate()[0].splitlines()
            signed = [int(l.split()[1]) for l in out if l.startswith("signed ") and l.endswith(l.strip())]
            acknowledged = signed[-1] if signed else 0
            if not os.path.exists(log.path + ".keys") or not os.path.getsize(log.path + ".checkpoints"):
                continue  # killed before there was anything
            got = verify("--allow-tail", *log.files())
            expect(f"kill {i}", got, UNANCHORED)
            if got[1]["last"] < acknowledged:
                raise Failure(f"kill {i}: {acknowledged} was acknowledged, {got[1]['last']} is the last")
        log.record(10)
        got = verify("--pub", open(log.path + ".keys").readline().strip(), *log.files())
        expect("afterwards", got, UNANCHORED)
        numbers = []
        for f in log.files():
            records = evidence.verify(f, check_all=False)
            numbers += [r["event"]["sequence"] for r in records]
            recovered += sum(r["event"]["action"] == "log.recovered" for r in records)
        if numbers != list(range(1, len(numbers) + 1)):
            raise Failure("the numbers have gaps")
        if not recovered:
            raise Failure("no recovery is on record: the kills hit nothing")

    def test_another_writer(self):
        log = Log(self.dir, 5)
        p = subprocess.Popen([RECORDER, log.path, log.key, "1000000", "pause=1000"], stdout=subprocess.PIPE, text=True)
        try:
            wait_for("the first words", lambda: p.stdout.readline().startswith("key "))
            got = verify(log.path)
            expect("being written", got, UNANCHORED)
            if not got[1]["live"]:
                raise Failure("a log that is being written is not seen as such")
            r = subprocess.run([RECORDER, log.path, log.key, "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            if r.returncode != 1 or "busy" not in r.stderr:
                raise Failure(f"two writers: {r}")
        finally:
            p.kill()
            p.communicate()


def main():
    failed = 0
    random.seed(int(os.environ.get("BULKHEAD_SEED", "1")))
    with tempfile.TemporaryDirectory(prefix="bulkhead-test-") as d:
        for name in sorted(n for n in dir(Tests) if n.startswith("test_") and (not sys.argv[1:] or n in sys.argv[1:])):
            begin = time.monotonic()
            try:
                getattr(Tests(d), name)()
                print(f"ok - {name} ({time.monotonic() - begin:.1f} s)", flush=True)
            except Exception as e:
                failed += 1
                print(f"not ok - {name}: {e if isinstance(e, Failure) else repr(e)}", flush=True)
                if not isinstance(e, Failure):
                    traceback.print_exc()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
