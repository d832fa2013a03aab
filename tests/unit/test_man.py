#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""test_man.py BULKHEAD BULKHEADD PAGE…: the manual pages have every command, option and key, and are well formed. Each
page is read as text here, and each program's help by its words, not as the generator reads them."""
import os, re, shutil, subprocess, sys, tempfile

BULKHEAD, BULKHEADD, *PAGES = sys.argv[1:]
failed = 0


def says(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout


def need(what, good):
    global failed
    if not good:
        print("not ok - " + what)
        failed += 1


def page(name):
    """Its text without what only the formatter reads, and the sections by their headings."""
    path = next(p for p in PAGES if os.path.basename(p) == name)
    text = re.sub(r"\\f[BIR]|\\&", "", open(path, encoding="utf-8").read()).replace("\\-", "-")
    return text, {s.split("\n", 1)[0]: s for s in re.split(r"^\.S[SH] ", text, flags=re.M)}


text, sections = page("bulkhead.1")
commands = 0
for line in says(BULKHEAD, "help").split("\n\n")[1].splitlines():
    name = line[2:].split("  ")[0]
    commands += 1
    own = [s for head, s in sections.items() if (head + " ").startswith(name + " ")]
    need(f"{name}: {len(own)} sections", len(own) == 1)
    for option in set(re.findall(r"(?:^  |, | {4})(--[a-z-]+)", says(BULKHEAD, *name.split(), "--help").split("\noptions:\n")[1], re.M)):
        need(f"{name} {option}", any(re.search(re.escape(option) + r"\b", s) for s in own + [sections["OPTIONS"]]))
need(f"{commands} commands", commands > 40)

text, _ = page("bulkheadd.8")
options = set(re.findall(r"--[a-z-]+", says(BULKHEADD, "--help")))
need("no options of bulkheadd", len(options) > 5)
for option in options:
    need("bulkheadd " + option, option in text)

text, _ = page("bulkhead.yaml.5")
with tempfile.NamedTemporaryFile() as empty:
    keys = re.findall(r"([a-z_]+):", says(BULKHEADD, "--config", empty.name, "--print-config"))
need(f"{len(keys)} keys", len(keys) > 30)
for key in keys:
    need("key " + key, re.search(rf"\b{key}:", text))

for path in PAGES:
    for argv in (["mandoc", "-T", "lint", "-W", "warning", path], ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", path]):
        if shutil.which(argv[0]):
            r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ, LC_ALL="C.UTF-8"))
            said = r.stderr if argv[0] == "man" else r.stdout + r.stderr
            need(f"{argv[0]} of {path}: {said}", r.returncode == 0 and not said)
sys.exit(1 if failed else 0)
