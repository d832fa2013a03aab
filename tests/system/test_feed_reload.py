#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Feeds that change under traffic: what is listed before and after passes at no moment, and the
kernel's sets hold exactly what the feeds say, whatever the way there."""
import ipaddress, json, os, random, select, socket, time

from lab import Child, Failure, Suite, run, setns, wait_for

BAD, GOOD, PORT = "203.0.113.200", "203.0.113.9", 5999


def _sink(ready, stop):
    """Which of the two addresses got datagrams, and how many."""
    got, ep = {}, select.epoll()
    socks = {}
    for a in (BAD, GOOD):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((a, PORT))
        socks[s.fileno()] = (s, a)
        got[a] = 0
        ep.register(s, select.EPOLLIN)
    ep.register(stop, select.EPOLLIN)
    os.write(ready, b"1")
    while True:
        for fd, _ in ep.poll():
            if fd == stop:
                return got
            s, a = socks[fd]
            s.recv(100)
            got[a] += 1


def _source(stop):
    """New flows to both addresses, a few hundred a second."""
    n = 0
    while not select.select([stop], [], [], 0.002)[0]:
        for a in (BAD, GOOD):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                s.sendto(b"x", (a, PORT))
            except OSError:
                pass
            s.close()
        n += 1
    return n


def lists(rng, i):
    """One of many shapes of a list that has BAD in it."""
    n = (10, 6000, 300, 12000, 1)[i % 5]
    out = [f"11.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}" for _ in range(n)]
    out += [str(ipaddress.ip_network((f"12.{rng.randrange(8)}.{rng.randrange(256)}.0", rng.choice((22, 24, 26, 30))),
                                     strict=False)) for _ in range(n // 20)]
    out += [f"2001:db8:ffff::{rng.randrange(65536):x}" for _ in range(n // 10)]
    out.append((BAD, "203.0.113.192/26", "203.0.113.200/31", BAD, "203.0.113.128-203.0.113.254")[i % 5])
    rng.shuffle(out)
    return out


def feed_sets(lab):
    text = run("ip", "netns", "exec", lab.node, "nft", "-j", "list", "table", "inet", "bulkhead")
    for o in json.loads(text)["nftables"]:
        s = o.get("set")
        if s and s["name"].startswith("feeds"):
            yield s["name"], [e.get("elem", e) if isinstance(e, dict) else e for e in s.get("elem", [])]


def ends_of(e):
    if isinstance(e, str):
        return ipaddress.ip_address(e), ipaddress.ip_address(e)
    if "prefix" in e:
        net = ipaddress.ip_network(f"{e['prefix']['addr']}/{e['prefix']['len']}")
        return net[0], net[-1]
    return tuple(ipaddress.ip_address(x) for x in e["range"])


def kernel_ranges(lab):
    """All that the kernel's sets of feeds block, merged."""
    return merged([(ends_of(e)[0].version, *map(int, ends_of(e))) for name, elems in feed_sets(lab)
                   if "-near" not in name for e in elems])


def merged(ends):
    out = []
    for v, a, b in sorted(ends):
        if out and out[-1][0] == v and a <= out[-1][2] + 1:
            out[-1][2] = max(out[-1][2], b)
        else:
            out.append([v, a, b])
    return out


def near_keys(lab):
    """Where the kernel is told that networks are, and where its networks are."""
    told, are = set(), set()
    for name, elems in feed_sets(lab):
        for a, b in (map(int, ends_of(e)) for e in elems):
            if name.startswith("feeds4-near"):
                told.add(a)
            elif name == "feeds4-net":
                step = 256 if a >> 8 == b >> 8 else 65536
                are.update(range(a // step * step, b + 1, step))
    return told, are


def wanted_ranges(items):
    ends = []
    for t in items:
        if "-" in t:
            a, b = (ipaddress.ip_address(x) for x in t.split("-"))
        else:
            net = ipaddress.ip_network(t)
            a, b = net[0], net[-1]
        ends.append((a.version, int(a), int(b)))
    return merged(ends)


def start(lab, items, **conf):
    a = lab.container("a")
    feed = lab.write("bad.txt", "\n".join(items) + "\n")
    lab.start(mode="learn", feeds=[{"name": "bad", "url": feed, "max_shrink_percent": 100, "max_growth_percent": 0, **conf}])
    return a


def agree(lab, items):
    want = wanted_ranges(items)
    try:
        wait_for("the sets hold what the feed says", lambda: kernel_ranges(lab) == want, timeout=30, step=0.2)
        wait_for("and where its networks are", lambda: len(set(map(frozenset, near_keys(lab)))) == 1, timeout=30)
    except Failure:
        got = kernel_ranges(lab)
        raise Failure(f"kernel: {len(got)} ranges, feed: {len(want)}; kernel alone has "
                      f"{[x for x in got if x not in want][:5]}, the feed {[x for x in want if x not in got][:5]}")


def test_reloads_under_traffic(lab):
    rng = random.Random(7)
    a = start(lab, lists(rng, 0))
    agree_items = None
    wait_for("the feed is in force", lambda: not lab.status()["feeds"]["loading"] and
             any(x[1] <= int(ipaddress.ip_address(BAD)) <= x[2] for x in kernel_ranges(lab)))
    rr, rw = os.pipe()
    stop_r, stop_w = os.pipe()
    sink = Child(lab.out, _sink, rw, stop_r)
    lab.children.append(sink)
    os.read(rr, 1)
    src_r, src_w = os.pipe()
    source = Child(a.netns, _source, src_r)
    lab.children.append(source)
    for i in range(1, 16):
        agree_items = lists(rng, i)
        lab.write("bad.txt", "\n".join(agree_items) + "\n")
        lab.cli("feed", "refresh", "bad")
        time.sleep(rng.random() * 0.3)
    agree(lab, agree_items)
    os.write(src_w, b"q")
    sent = source.result()
    os.write(stop_w, b"q")
    got = sink.result()
    if got[BAD]:
        raise Failure(f"{got[BAD]} of {sent} datagrams to a listed address arrived: {got}")
    if got[GOOD] < 20:
        raise Failure(f"the control did not arrive either: {got} of {sent}")


def test_every_way_ends_in_agreement(lab):
    rng = random.Random(11)
    items = lists(rng, 1)
    start(lab, items)
    agree(lab, items)
    for i in (3, 4, 2):  # grows beyond its sets, shrinks out of them, and again
        items = lists(rng, i)
        lab.write("bad.txt", "\n".join(items) + "\n")
        lab.cli("feed", "refresh", "bad")
        agree(lab, items)
    # Somebody empties a set: it is made whole again.
    run("ip", "netns", "exec", lab.node, "nft", "flush", "set", "inet", "bulkhead", "feeds4-net", check=False)
    agree(lab, items)
    # A restart finds the last good copy, also without the file.
    lab.stop()
    os.unlink(os.path.join(lab.dir, "bad.txt"))
    lab.start()
    agree(lab, items)


if __name__ == "__main__":
    Suite("r").main(globals())
