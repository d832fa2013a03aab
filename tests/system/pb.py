# SPDX-License-Identifier: GPL-3.0-or-later
"""Protobuf by field numbers, as little of it as tests need."""


def pb(*fields):
    """Protobuf of (number, value): int, str, bytes (also of a message), dict of strings (a map)."""
    def varint(n):
        out = b""
        while n > 0x7f:
            out += bytes([n & 0x7f | 0x80])
            n >>= 7
        return out + bytes([n])
    out = b""
    for number, v in fields:
        if isinstance(v, dict):
            out += b"".join(pb((number, pb((1, k), (2, x)))) for k, x in v.items())
        elif isinstance(v, int):
            out += varint(number << 3) + varint(v)
        else:
            v = v.encode() if isinstance(v, str) else v
            out += varint(number << 3 | 2) + varint(len(v)) + v
    return out


def unpb(data):
    """Field number → values in order; messages stay bytes."""
    def varint():
        nonlocal at
        n = shift = 0
        while True:
            b = data[at]
            at += 1
            n |= (b & 0x7f) << shift
            shift += 7
            if b < 0x80:
                return n
    at, out = 0, {}
    while at < len(data):
        key = varint()
        if key & 7 == 0:
            v = varint()
        else:
            n = varint()
            v = data[at:at + n]
            at += n
        out.setdefault(key >> 3, []).append(v)
    return out
