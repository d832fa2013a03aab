#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Very many starts and stops: names, ids and addresses that come again at once, events that are late or come
twice, an engine that is restarted in between. At the end everybody is who he is, for the rules as well."""
import random, re, time
from types import SimpleNamespace

from fake_docker import Fake, FakeDocker
from lab import Failure, Suite, wait_for

POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}]
"""
STAYS = 100


class Guest(Fake):
    """A container in a namespace that others had before, with its addresses."""

    def __init__(self, place, number, name, app):
        self.id, self.name, self.labels, self.n = f"{number:064x}", name, {"app": app}, place.n
        self.v4, self.v6, self.netns = place.v4, place.v6, place.netns
        self.proc = SimpleNamespace(pid=place.proc.pid, kill=lambda: None, wait=lambda: None)


class Churn:
    def __init__(self, engine, places, seed):
        self.engine, self.places, self.chance = engine, places, random.Random(seed)
        self.here, self.gone, self.late, self.number = {}, [], [], 10 ** 6

    def tell(self, action, c):
        """One in four is late, and then they come in any order; some come twice."""
        self.late.append((action, c))
        if self.chance.random() < 0.25 and len(self.late) < 4:
            return
        self.chance.shuffle(self.late)
        for what in self.late + self.late[:self.chance.random() < 0.1]:
            self.engine.event(*what)
        self.late.clear()

    def start(self, place):
        if self.gone and self.chance.random() < 0.3:  # the same one again
            old = self.gone.pop(self.chance.randrange(len(self.gone)))
            c = Guest(place, int(old.id, 16), old.name, old.labels["app"])
        else:
            self.number += 1
            c = Guest(place, self.number, f"n{self.number % 40}", self.chance.choice(["web", "db", "other"]))
        if any(x.name == c.name for x in self.here.values()):
            return
        self.here[place.n] = self.engine.containers[c.id] = c
        self.tell("start", c)

    def stop(self, place):
        c = self.here.pop(place.n)
        del self.engine.containers[c.id]
        self.gone = self.gone[-50:] + [c]
        self.tell("die", c)
        self.tell("destroy", c)

    def run(self, steps):
        for _ in range(steps):
            place = self.chance.choice(self.places)
            there = place.n in self.here
            if there:
                self.stop(place)
            if not there or self.chance.random() < 0.5:  # another one has its address at once
                self.start(place)
            time.sleep(0.004)


def test_everybody_is_who_he_is(lab):
    engine = FakeDocker(lab)
    engine.start()
    places = []
    try:
        lab.policy("db.yaml", POLICY)
        lab.start(mode="enforce", sources=[{"docker": engine.sock}], history={"max": STAYS})
        places = engine.run(range(1, 15))
        engine.containers.clear()
        churn = Churn(engine, places, 20261130)
        churn.run(350)
        engine.stop()
        churn.run(20)
        engine.start()
        churn.run(350)
        for what in churn.late:
            engine.event(*what)
        want = {(c.id[-12:], c.labels["app"], c.v4) for c in engine.containers.values()}

        def seen():
            return {(w["id"][-12:], w["labels"]["app"], a) for w in lab.workloads() for i in w["interfaces"]
                    for a in i["addresses"] if a.startswith("10.")}
        wait_for("what the engine has", lambda: seen() == want, step=0.5)
        rules = set(re.findall(r"\b10\.77\.\d+\.\d+\b(?!/)", lab.nft())) - {"10.77.0.1", "10.77.0.255", "10.77.255.255"}
        if rules != {c.v4 for c in engine.containers.values()}:
            raise Failure(f"addresses in the kernel: {rules}, of containers: {want}")
        all_ = list(engine.containers.values())
        lab.expect([(a, b.v4, "tcp", 5432, "drop" if b.labels["app"] == "db" and a.labels["app"] != "web" else "closed")
                    for a in all_ for b in all_ if a is not b])
        wait_for("the history is bounded", lambda: len(lab.api("ps", "--all")["workloads"]) <= STAYS + len(all_))
    finally:
        for p in places:
            p.gone()
        engine.containers.clear()
        engine.close()


if __name__ == "__main__":
    Suite("cu").main(globals())
