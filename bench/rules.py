"""What the rule engine costs: µs of CPU a point with 10, 1,000 and 10,000 rules over 10,000 nodes.

    python -m bench rules [--json] [--points N]

Each point has 5 numbers. The cases:

    unnamed   no rule names the measurement: the price of a look-up
    one       however many rules there are, one applies to each point; the rules name other nodes and measurements too
    window    the same, over a sliding mean of a minute
    state ms  to take the engine's state for saving, and the longest part of it, which stops everything else

CPU is the process's own; the first round, which makes the plans of all series, is told apart.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import time
from typing import Any

from hub.rules.engine import Engine
from hub.rules.model import Rule, RuleSet
from wire.point import NS_PER_S, Point, SeriesKey

NODES = 10_000
RULES = (10, 1_000, 10_000)
BATCH = 8_000
START_NS = 1_763_750_000 * NS_PER_S


def rule_set(count: int, extra: dict[str, Any]) -> RuleSet:
    """One rule for all nodes' ``cpu.usage``; the rest name one node each, or a measurement that nobody sends."""
    ask = {"above": {"warning": 99.5, "critical": 99.9}, "clear": 90, "for": "60s", **extra}
    made = {"all": Rule.model_validate({"metric": "cpu.usage", **ask})}
    for number in range(1, count):
        if number % 2:
            table = {"metric": "cpu.usage", "nodes": f"nobody-{number}", **ask}
        else:
            table = {"metric": f"other-{number}.value", **ask}
        made[f"r{number}"] = Rule.model_validate(table)
    return RuleSet(made)


def batches(measurement: str, count: int) -> list[list[Point]]:
    """``count`` points over all nodes in turn, one a node and 10 s."""
    dice = random.Random(1)
    keys = [SeriesKey(f"node-{number}", measurement) for number in range(NODES)]
    points = []
    for number in range(count):
        fields: dict[str, Any] = {name: dice.uniform(0, 100) for name in ("usage", "user", "system", "iowait", "load1")}
        points.append(Point(keys[number % NODES], START_NS + number // NODES * 10 * NS_PER_S, fields))
    return [points[at : at + BATCH] for at in range(0, count, BATCH)]


def measure(rules: RuleSet, work: list[list[Point]]) -> dict[str, float]:
    """µs a point in the first round over all nodes, and after it; events said."""
    gc.collect()
    engine = Engine(rules)
    first, rest = work[: -(-NODES // BATCH)], work[-(-NODES // BATCH) :]
    events = 0
    costs = []
    for part in (first, rest):
        began = time.process_time()
        for batch in part:
            events += len(engine.observe(batch, batch[-1].ts_ns))
            events += len(engine.tick(batch[-1].ts_ns))
        costs.append((time.process_time() - began) / sum(map(len, part)) * 1e6)
    held_ms = []
    began = time.perf_counter()
    for _ in engine.state_parts():
        now = time.perf_counter()
        held_ms.append((now - began) * 1e3)
        began = now
    return {
        "first_us": round(costs[0], 2),
        "us": round(costs[1], 3),
        "events": events,
        "state_ms": round(sum(held_ms), 1),
        "held_ms": round(max(held_ms), 1),
    }


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="bench rules", description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--points", type=int, default=200_000)
    given = parser.parse_args(arguments)
    watched, unwatched = batches("cpu", given.points), batches("weather", given.points)
    gc.freeze()
    gc.disable()  # as the hub does: it looks for cycles once in a while, not after so many new objects
    figures: dict[str, dict[str, Any]] = {}
    for count in RULES:
        figures[str(count)] = {
            "unnamed": measure(rule_set(count, {}), unwatched),
            "one": measure(rule_set(count, {}), watched),
            "window": measure(rule_set(count, {"window": {"fn": "mean", "over": "60s"}}), watched),
        }
    ratio = {case: round(figures["10000"][case]["us"] / figures["10"][case]["us"], 2) for case in figures["10"]}
    if given.json:
        print(json.dumps({"nodes": NODES, "points": given.points, "rules": figures, "ratio_10000_to_10": ratio}))
        return
    print(f"{NODES} nodes, {given.points} points of 5 numbers; µs of CPU a point\n")
    print(f"{'rules':>7}  {'case':8} {'first':>8} {'then':>8} {'events':>8} {'state ms':>9} {'longest':>8}")
    for number, cases in figures.items():
        for case, found in cases.items():
            print(
                f"{number:>7}  {case:8} {found['first_us']:8.2f} {found['us']:8.3f} {found['events']:8} "
                f"{found['state_ms']:9.1f} {found['held_ms']:8.1f}"
            )
    print("\n10,000 rules to 10: " + ", ".join(f"{case} {times}×" for case, times in ratio.items()))
