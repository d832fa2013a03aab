# SPDX-License-Identifier: GPL-3.0-or-later
"""What OCSF 1.3.0 and CEF 0 say of what we render, as far as we render it: names, types, required
attributes, values of enumerations, lengths. From schema.ocsf.io's definitions of the classes and objects
named here, and from the extension dictionary of ArcSight's CEF Implementation Standard, revision 25."""
import ipaddress, re


class Bad(Exception):
    pass


def unless(fact, what):
    if not fact:
        raise Bad(what)


# --- OCSF: attribute: type, "!" where it is required; a set is an enumeration ---

BASE = {
    "activity_id!": int, "activity_name": str, "category_uid!": int, "class_uid!": int, "count": int, "end_time": "time",
    "message": str, "metadata!": "metadata", "severity_id!": {0, 1, 2, 3, 4, 5, 6, 99}, "start_time": "time",
    "status_id": {0, 1, 2, 99}, "time!": "time", "type_uid!": int, "unmapped": dict,
}
PROFILES = {
    "host": {"actor": "actor", "device": "device"},
    "security_control": {
        "action_id!": {0, 1, 2}, "disposition_id": set(range(28)) | {99}, "firewall_rule": "firewall_rule"},
}
CLASSES = {
    4001: (4, set(range(8)) | {99}, {"connection_info": "network_connection_info", "dst_endpoint": "network_endpoint",
                                     "src_endpoint": "network_endpoint", "traffic": "network_traffic"}),
    3004: (3, set(range(14)) | {99}, {"actor": "actor", "comment": str, "entity!": "managed_entity"}),
    6002: (6, set(range(9)) | {99}, {"app!": "product"}),
}
OBJECTS = {
    "metadata": {"event_code": str, "product!": "product", "profiles": [str], "sequence": int, "uid": str, "version!": str},
    "product": {"name": str, "uid": str, "vendor_name!": str, "version": str},
    "device": {"hostname": "hostname", "name": str, "type_id!": set(range(16)) | {99}, "uid": str},
    "actor": {"process": "process", "user": "user"},
    "user": {"name": str, "uid": str},
    "process": {"name": str, "pid": int, "uid": str},
    "managed_entity": {"data": dict, "name": str, "type": str, "uid": str, "version": str},
    "network_connection_info": {
        "direction_id!": {0, 1, 2, 3, 99}, "protocol_name": str, "protocol_num": int, "protocol_ver_id": {0, 4, 6, 99},
        "uid": str},
    "network_endpoint": {"ip": "ip", "name": str, "port": "port", "uid": str, "zone": str},
    "network_traffic": {k + d: int for k in ("bytes", "packets") for d in ("", "_in", "_out")},
    "firewall_rule": {"name": str, "uid": str, "version": str},
}
AT_LEAST_ONE = {"network_endpoint": {"ip", "uid", "name"}, "managed_entity": {"name", "uid"}, "product": {"name", "uid"},
                "device": {"uid", "name", "hostname"}, "user": {"name", "uid"}, "firewall_rule": {"name", "uid"}}


def value(v, kind, where):
    if isinstance(kind, set):
        unless(type(v) is int and v in kind, f"{where}: {v!r} is none of {sorted(kind)}")
    elif isinstance(kind, list):
        unless(isinstance(v, list), f"{where}: no list: {v!r}")
        for x in v:
            value(x, kind[0], where)
    elif kind == "time":  # ms since the epoch: seconds or µs would be other years
        unless(type(v) is int and 1e12 < v < 1e13, f"{where}: no time in ms: {v!r}")
    elif kind == "ip":
        ipaddress.ip_address(v)
    elif kind == "port":
        unless(type(v) is int and 0 <= v <= 65535, f"{where}: no port: {v!r}")
    elif kind == "hostname":
        unless(re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?", v),
               f"{where}: no host name: {v!r}")
    elif isinstance(kind, str):
        unless(isinstance(v, dict), f"{where}: no object: {v!r}")
        attributes(v, OBJECTS[kind], where)
        one = AT_LEAST_ONE.get(kind)
        unless(not one or one & set(v), f"{where}: none of {one}")
    else:
        unless(type(v) is kind, f"{where}: {v!r} is no {kind.__name__}")


def attributes(o, defined, where):
    kinds = {k.rstrip("!"): t for k, t in defined.items()}
    for k in defined:
        unless(not k.endswith("!") or k[:-1] in o, f"{where}: no {k[:-1]}")
    for k, v in o.items():
        unless(k in kinds, f"{where}: there is no {k}")
        value(v, kinds[k], f"{where}.{k}")


def ocsf(o):
    category, activities, own = CLASSES[o["class_uid"]]
    defined = {**BASE, **own}
    for p in o["metadata"]["profiles"]:
        defined.update(PROFILES[p])
    attributes(o, defined, str(o["class_uid"]))
    unless(o["category_uid"] == category, "the category is not the class's")
    unless(o["activity_id"] in activities, f"activity {o['activity_id']}")
    unless(o["type_uid"] == o["class_uid"] * 100 + o["activity_id"], f"type {o['type_uid']}")
    unless(o["metadata"]["version"] == "1.3.0", "version")
    unless(o["activity_id"] != 99 or o.get("activity_name"), "activity 99 without its name")
    if o["class_uid"] == 4001:
        denied = o["disposition_id"] in (2, 6, 21, 25)
        unless(o["action_id"] == (2 if denied else 1), f"action {o['action_id']}, disposition {o['disposition_id']}")


# --- CEF ---

TEXT, CUSTOM = 1023, 4000
KEYS = {
    "act": 63, "cnt": "int", "dhost": TEXT, "dpt": "port", "dst": "ipv4", "dvchost": 100, "deviceDirection": "bit",
    "end": "time", "externalId": 40, "in": "int", "msg": TEXT, "out": "int", "outcome": 63, "proto": 31, "reason": TEXT,
    "rt": "time", "shost": TEXT, "spid": "int", "spt": "port", "src": "ipv4", "start": "time", "suid": TEXT, "suser": TEXT,
    "cn1": "int", "cn1Label": TEXT, "c6a2": "ipv6", "c6a2Label": TEXT, "c6a3": "ipv6", "c6a3Label": TEXT,
    **{f"cs{n}": CUSTOM for n in range(1, 7)}, **{f"cs{n}Label": TEXT for n in range(1, 7)},
}
PRESCRIBED = {"c6a2Label": "Source IPv6 Address", "c6a3Label": "Destination IPv6 Address"}


def cef_value(k, v):
    kind = KEYS[k]
    if isinstance(kind, int):
        unless(len(v) <= kind, f"{k}: {len(v)} characters, {kind} are allowed")
    elif kind == "ipv4":
        ipaddress.IPv4Address(v)
    elif kind == "ipv6":
        ipaddress.IPv6Address(v)
    else:
        unless(re.fullmatch(r"[0-9]+", v), f"{k}: {v!r} is no number")
        most = {"port": 65535, "bit": 1, "time": 1e13, "int": 2 ** 63 - 1}[kind]
        unless(int(v) <= most and (kind != "time" or int(v) > 1e12), f"{k}: {v}")
        unless(k not in ("cnt", "spid") or int(v) < 2 ** 31, f"{k}: {v}")


def unescape(text, special):
    """What a receiver makes of it: a backslash makes what follows itself, or a line end."""
    out = re.sub(r"\\(.)", lambda m: {"n": "\n", "r": "\r"}.get(m[1], m[1]) if m[1] in special + "nr" else "\0", text)
    unless("\0" not in out, f"an escape of nothing: {text!r}")
    return out


def cef(line):
    """(header fields, {key: value}), unescaped."""
    unless(not re.search(r"[\x00-\x1f\x7f]", line), "a control character")
    parts = split_header(line)
    unless(len(parts) == 8 and parts[0] == "CEF:0", f"header: {parts[:-1]}")
    unless(re.fullmatch("10|[0-9]", parts[6]), f"severity: {parts[6]}")
    found, rest = {}, parts[7]
    # A key begins after a space and ends with an equals sign that no backslash stands before.
    marks = [m for m in re.finditer(r"(?:^| )([A-Za-z0-9]+)=", rest)]
    for m, after in zip(marks, marks[1:] + [None]):
        v = unescape(rest[m.end():after.start() if after else len(rest)], "\\=")
        unless(m[1] in KEYS, f"there is no key {m[1]}")
        unless(m[1] not in found, f"{m[1]} twice")
        cef_value(m[1], v)
        found[m[1]] = v
    unless(marks and marks[0].start() == 0, f"it begins with no key: {rest!r}")
    for k, v in PRESCRIBED.items():
        unless(k not in found or found[k] == v, f"{k}: {found.get(k)}")
    for k in found:
        unless(not re.fullmatch("(cs|cn|c6a)[0-9]", k) or k + "Label" in found, f"{k} without its label")
    return [unescape(p, "\\|") for p in parts[:7]], found


def split_header(line):
    """At bars that no backslash stands before; the extension is one part, whatever it has."""
    parts, part, i = [], "", 0
    while i < len(line) and len(parts) < 7:
        if line[i] == "\\":
            part += line[i:i + 2]
            i += 2
        elif line[i] == "|":
            parts.append(part)
            part, i = "", i + 1
        else:
            part += line[i]
            i += 1
    return parts + [line[i:]]
