#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A text file as a C string: embed.py INPUT OUTPUT NAME"""
import sys

with open(sys.argv[1], encoding="utf-8") as f:
    lines = f.read().splitlines(keepends=True)
with open(sys.argv[2], "w", encoding="ascii") as out:
    out.write(f"/* from {sys.argv[1].rsplit('/', 1)[-1]} */\n#define GRAPH_MARK \"@GRAPH@\"\n")
    out.write(f"static const char {sys.argv[3]}[] =\n")
    for line in lines:
        text = "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in line.encode())
        out.write(f'\t"{text}"\n')
    out.write("\t;\n")
