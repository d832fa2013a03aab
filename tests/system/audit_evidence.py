# SPDX-License-Identifier: GPL-3.0-or-later
"""A second reader of the audit log's evidence, written from the specifications (RFC 6962, C2SP
signed-note and tlog-checkpoint) with Python's standard library and the openssl command. It shares
nothing with the daemon's code and is what an auditor could write himself."""
import base64, hashlib, json, os, re, subprocess, tempfile


class Bad(Exception):
    """Not what was signed; .sequence is the first record that is not, if it is known."""

    def __init__(self, what, sequence=None, missing=False):
        super().__init__(what)
        self.sequence, self.missing = sequence, missing


def sha(b):
    return hashlib.sha256(b).digest()


def leaf(line):
    return sha(b"\0" + line)


def root(leaves):
    """RFC 6962, 2.1, as it stands there."""
    n = len(leaves)
    if n == 0:
        return sha(b"")
    if n == 1:
        return leaves[0]
    k = 1 << ((n - 1).bit_length() - 1)
    return sha(b"\1" + root(leaves[:k]) + root(leaves[k:]))


class Tree:
    """The same root, computed as leaves come; begins where a frontier says."""

    def __init__(self, size=0, frontier=()):
        self.size, self.stack = size, []
        sizes = [1 << i for i in range(size.bit_length() - 1, -1, -1) if size >> i & 1]
        if len(sizes) != len(frontier):
            raise Bad("a frontier of the wrong length")
        self.stack = list(zip(sizes, frontier))

    def add(self, h):
        n = 1
        while self.stack and self.stack[-1][0] == n:
            m, left = self.stack.pop()
            h, n = sha(b"\1" + left + h), n + m
        self.stack.append((n, h))
        self.size += 1

    def root(self):
        if not self.stack:
            return sha(b"")
        h = self.stack[-1][1]
        for _, left in reversed(self.stack[:-1]):
            h = sha(b"\1" + left + h)
        return h


def key_of(vkey):
    m = re.fullmatch(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)", vkey)
    if not m:
        raise Bad("no verifier key: " + vkey)
    data = base64.b64decode(m[3], validate=True)
    if len(data) != 33 or data[0] != 1 or sha(m[1].encode() + b"\n" + data)[:4].hex() != m[2]:
        raise Bad("a verifier key that does not fit itself")
    return m[1], bytes.fromhex(m[2]), data[1:]


def openssl_verifies(raw_key, text, signature):
    """Ed25519 by the openssl command; the key in the DER of RFC 8410."""
    with tempfile.TemporaryDirectory() as d:
        for name, data in (("k", bytes.fromhex("302a300506032b6570032100") + raw_key), ("t", text), ("s", signature)):
            with open(os.path.join(d, name), "wb") as f:
                f.write(data)
        r = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", d + "/k", "-rawin",
                            "-in", d + "/t", "-sigfile", d + "/s"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return r.returncode == 0


def notes(data):
    """[(text, [(name, id, signature)])]: the text, an empty line, signatures, an empty line."""
    out = []
    parts = data.split(b"\n\n")
    while len(parts) >= 2:
        text, sigs, parts = parts[0] + b"\n", parts[1], parts[2:]
        signatures = []
        for line in sigs.strip(b"\n").split(b"\n"):
            m = re.fullmatch("— ([^ ]+) ([A-Za-z0-9+/=]+)".encode(), line)
            if not m:
                raise Bad("a line that is no signature")
            raw = base64.b64decode(m[2], validate=True)
            signatures.append((m[1].decode(), raw[:4], raw[4:]))
        out.append((text, signatures))
    return out


def checkpoint(text):
    lines = text.decode().split("\n")
    c = {"origin": lines[0], "size": int(lines[1]), "root": base64.b64decode(lines[2]), "frontier": [], "leaves": []}
    for line in lines[3:-1]:
        word, rest = line.split(" ", 1)
        if word == "sequence":
            f = rest.split(" ")
            c["sequence"], c["offset"] = int(f[0]), int(f[2])
        elif word == "frontier":
            b = base64.b64decode(rest)
            c["frontier"] = [b[i:i + 32] for i in range(0, len(b), 32)]
        elif word == "leaves":
            b = base64.b64decode(rest)
            c["leaves"] = [b[i:i + 4] for i in range(0, len(b), 4)]
        elif word == "next-key":
            c["next"] = rest
    return c


def load(log, pub=None, check_all=True):
    """The checkpoints beside a log's file, each signed by the key that was in force."""
    base = re.sub(r"\.[0-9]+$", "", log)
    first, _, rest = open(base + ".keys", "rb").read().partition(b"\n\n")
    keys = [key_of(pub or first.decode().strip())]
    for text, sigs in notes(rest):
        c = checkpoint(text)
        if any(openssl_verifies(k[2], text, s) for k in keys for n, i, s in sigs if n == k[0] and i == k[1]):
            keys.append(key_of(c["next"]))
    out = []
    path = log + ".checkpoints" if os.path.exists(log + ".checkpoints") else base + ".checkpoints"
    found = notes(open(path, "rb").read())
    for n, (text, sigs) in enumerate(found):
        # A process for each signature: all of them, or the last one, which speaks for all leaves.
        if check_all or n == len(found) - 1:
            if not any(openssl_verifies(k[2], text, s) for k in keys for name, i, s in sigs if name == k[0] and i == k[1]):
                raise Bad(f"checkpoint {n} is not signed by a key of this log")
        out.append(checkpoint(text))
    return out


def verify(log, pub=None, check_all=True):
    """One file of a log against the checkpoints beside it. Records, or Bad."""
    points = load(log, pub, check_all)
    start = points[0]
    if start["offset"]:
        raise Bad("the first checkpoint is not where a file begins")
    tree = Tree(start["size"], start["frontier"])
    if tree.root() != start["root"]:
        raise Bad("the frontier does not give the root")
    data = open(log, "rb").read()
    lines = data.split(b"\n")
    if lines.pop():
        raise Bad("half a line at the end", start["sequence"] + len(lines) + 1, missing=True)
    at = 0
    before = start
    for c in points[1:]:
        want = c["size"] - before["size"]
        got = [leaf(l) for l in lines[at:at + want]]
        for h in got:
            tree.add(h)
        if len(got) < want or tree.root() != c["root"]:
            for i, h in enumerate(got):
                if i < len(c["leaves"]) and h[:4] != c["leaves"][i]:
                    raise Bad("changed", before["sequence"] + i + 1)
            raise Bad("missing", before["sequence"] + len(got) + 1, missing=True)
        at += want
        before = c
    if at != len(lines):
        raise Bad("not signed", before["sequence"] + 1)
    return [json.loads(l) for l in lines]


def check_proof(line, proof, pub):
    """RFC 9162, 2.1.3.2: the line's leaf leads to the root of a checkpoint that is signed."""
    (text, sigs), = notes(proof["checkpoint"].encode())
    c = checkpoint(text)
    name, ident, raw = key_of(pub)
    if not any(openssl_verifies(raw, text, s) for n, i, s in sigs if n == name and i == ident):
        raise Bad("the checkpoint is not signed")
    h, fn, sn = leaf(line), proof["index"], proof["tree_size"] - 1
    if proof["tree_size"] != c["size"] or fn > sn:
        raise Bad("the proof is of another tree")
    for p in (base64.b64decode(x) for x in proof["proof"]):
        if sn == 0:
            raise Bad("the proof is too long")
        if fn & 1 or fn == sn:
            h = sha(b"\1" + p + h)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            h = sha(b"\1" + h + p)
        fn, sn = fn >> 1, sn >> 1
    if sn or h != c["root"]:
        raise Bad("the proof does not lead to the root")
