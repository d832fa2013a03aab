#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual pages, made of what the programs and files say of themselves, so that they can't say anything else:
pages.py VERSION bulkhead PROGRAM OUTPUT | bulkheadd PROGRAM OUTPUT | bulkhead.yaml README SHIPPED OUTPUT"""
import re, subprocess, sys, textwrap

VERSION, WHAT, *ARGS = sys.argv[1:]
OUTPUT = ARGS[-1]
SECTION = {"bulkhead": 1, "bulkheadd": 8, "bulkhead.yaml": 5}
COMMAND = re.compile(r"^  ([a-z][a-z -]*[a-z])  +(\S.*)$")
OPTION = re.compile(r"^  (?:(-.), |    )?(--[a-z-]+)(?: (\S.*?))??  +(\S.*)$")


def says(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace("'", "\\(aq").replace("^", "\\(ha").replace("~", "\\(ti")
    return "\\&" + text if text[:1] in (".", "\\") and not text.startswith("\\-") else text


def prose(text):
    return [escape(line) for line in textwrap.wrap(" ".join(text.split()), 72, break_on_hyphens=False, break_long_words=False)]


def as_it_is(lines):
    return [".nf", *[escape(line.rstrip()) if line.strip() else "\\&" for line in lines], ".fi"]


def others(*pages):
    return [".SH SEE ALSO", *[f".BR {escape(p)} ({SECTION[p]})" + ("," if p != pages[-1] else "") for p in pages]]


def option(letter, name, arg, text):
    head = (f"\\fB{escape(letter)}\\fR, " if letter else "") + f"\\fB{escape(name)}\\fR"
    return [".TP", head + (f" \\fI{escape(arg)}\\fR" if arg else ""), *prose(text)]


def command(program, name):
    """One command as a subsection, from its own help."""
    usage, rest = says(program, *name.split(), "--help").split("\n", 1)
    about, options = rest.split("\noptions:\n")
    out = [".SS " + escape(usage.removeprefix("usage: bulkhead ")), *prose(about)]
    for line in options.splitlines():
        m = OPTION.match(line)
        if m and line.split()[:3] != ["-o,", "--output", "table|wide|json"] and m.group(2) not in ("--socket", "--help"):
            out += option(*m.groups())
    return out


def bulkhead(program):
    text = says(program, "help")
    names = [m.group(1) for m in map(COMMAND.match, text.splitlines()) if m]
    codes = re.search(r"Exit codes: (.*?)\. With -o json", text, re.S).group(1)
    out = [".SH NAME", "bulkhead \\- see and change what bulkheadd enforces", ".SH SYNOPSIS",
           ".B bulkhead", "[\\fIOPTIONS\\fR] \\fICOMMAND\\fR \\&..."]
    out += [".SH DESCRIPTION", *prose("Asks the daemon of this node by its socket, or reads files: what the commands of "
            "`policy check`, `policy test`, `policy compile` and `audit` say of themselves. Root changes things; members "
            "of the group bulkhead may look."), ".SH OPTIONS"]
    for line in says(program, "status", "--help").split("\noptions:\n")[1].splitlines():
        m = OPTION.match(line)
        out += option(*m.groups()) if m else []
    out.append(".SH COMMANDS")
    for name in names:
        out += command(program, name)
    out += [".SH EXIT STATUS", *prose(codes + "; commands that differ say so."), ".SH ENVIRONMENT", ".TP", "\\fBBULKHEAD_SOCKET\\fR",
            "the daemon\\(aqs socket, where", "\\fB\\-\\-socket\\fR", "is not given", ".TP", "\\fBNO_COLOR\\fR",
            "no colours, whatever the terminal can"]
    return out + others("bulkheadd", "bulkhead.yaml")


def bulkheadd(program):
    text = says(program, "--help")
    usage, options = text.split("\n\n", 1)
    out = [".SH NAME", "bulkheadd \\- segment the containers of this node", ".SH SYNOPSIS",
           *as_it_is([line.strip().removeprefix("usage: ") for line in usage.splitlines()])]
    body, signals = options.rstrip().split("\n\n", 1)
    out += [".SH DESCRIPTION", *prose("Compiles policies and the containers that run into nftables, decides what falls "
            "through, and records it. Without a configuration it finds the engines by itself, learns, and breaks nothing."),
            *prose(signals), ".SH OPTIONS"]
    for entry in re.split(r"\n(?=  -)", body):
        m = re.match(r"  (--[a-z-]+)(?: ([A-Z]+))?  +(.*)", entry, re.S)
        out += option(None, *m.groups()) if m else []
    out += option(None, "--version", None, "print the version") + option(None, "--help", None, "print this")
    out += [".SH FILES", ".TP", "/etc/bulkhead/bulkhead.yaml", "the configuration", ".TP", "/etc/bulkhead/policies", "the policies"]
    out += [".TP", "/var/lib/bulkhead", "what survives a restart", ".TP", "/var/log/bulkhead/audit.jsonl", "the audit log"]
    return out + others("bulkhead", "bulkhead.yaml")


def shipped(text):
    """Comments become prose, settings stay as they are."""
    out, words, code = [], [], []

    def flush():
        if code:
            out.extend([".RS 4", *as_it_is(code), ".RE"])
        if words:
            out.extend([".PP", *prose(" ".join(words))])
        words.clear()
        code.clear()
    for line in text.splitlines():
        if re.match(r"# \S", line):
            if code:
                flush()
            words.append(line[2:])
        elif line.strip() in ("", "#"):
            flush()
        else:
            if words:
                flush()
            code.append(line)
    flush()
    return out


def configuration(readme, file):
    keys = re.search(r"^```yaml\n(mode: .*?)^```", open(readme, encoding="utf-8").read(), re.S | re.M).group(1)
    out = [".SH NAME", "bulkhead.yaml \\- configuration of bulkheadd", ".SH SYNOPSIS", ".B /etc/bulkhead/bulkhead.yaml",
           ".SH DESCRIPTION", *prose("YAML. Every key has a default; unknown keys are errors, paths may be relative to the "
           "file. A change of the file is read at once, or by SIGHUP; a broken one changes nothing. `bulkheadd "
           "--check-config` reports every error, `--print-config` shows what is in force."),
           ".SH KEYS AND DEFAULTS", *as_it_is(keys.splitlines()), ".SH WHAT THEY MEAN"]
    out += shipped(open(file, encoding="utf-8").read())[1:]  # no .PP after a heading
    return out + others("bulkhead", "bulkheadd")


page = {"bulkhead": bulkhead, "bulkheadd": bulkheadd, "bulkhead.yaml": configuration}[WHAT](*ARGS[:-1])
head = f'.TH {WHAT.upper()} {SECTION[WHAT]} 2026-11-30 "Bulkhead {VERSION}" Bulkhead'
with open(OUTPUT, "w", encoding="utf-8") as f:
    f.write("\n".join([".\\\" SPDX-License-Identifier: GPL-3.0-or-later", head, ".nh", ".ad l", *page]) + "\n")
