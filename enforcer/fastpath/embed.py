#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file as a C array: embed.py INPUT OUTPUT NAME"""
import sys

with open(sys.argv[1], "rb") as f:
    data = f.read()
with open(sys.argv[2], "w", encoding="ascii") as out:
    out.write(f"/* from {sys.argv[1].rsplit('/', 1)[-1]} */\n")
    out.write(f"static const unsigned char {sys.argv[3]}[] __attribute__((aligned(8))) = {{\n")
    for i in range(0, len(data), 16):
        out.write("\t" + ", ".join(f"0x{b:02x}" for b in data[i:i + 16]) + ",\n")
    out.write("};\n")
