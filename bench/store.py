"""What the embedded store costs: CPU a message, rows a second, and how long queries take.

    python -m bench.store [--json] [--batches N]

A message is a point of 5 numbers; 1,000 series keys take turns; 8,000 messages a batch, each durable before the next.
CPU is that of the whole process, all threads; making the points is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hub.store.base import Fn, Query, SeriesFilter
from hub.store.duck import DuckStore
from hub.store.partition import Retention
from wire.point import NS_PER_S, Point, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hub.store.base import Store

FIELDS = ("usage", "user", "system", "idle", "iowait")
START_NS = 1_763_750_000 * NS_PER_S
HOUR_NS = 3600 * NS_PER_S


class Load:
    """Makes batches; the same number gives the same batch."""

    def __init__(self, *, keys: int, messages: int, interval_s: float) -> None:
        self.keys = [SeriesKey(f"node-{i}", "cpu", (("core", "0"),)) for i in range(keys)]
        self.messages = messages
        self.interval_ns = int(interval_s * NS_PER_S)

    def batch(self, number: int, late_share: float = 0.0) -> list[Point]:
        """Every key in turn, ``interval_s`` between two points of one; some up to an hour late."""
        dice = random.Random(number)
        points = []
        for i in range(number * self.messages, (number + 1) * self.messages):
            ts_ns = START_NS + i * self.interval_ns // len(self.keys)
            if dice.random() < late_share:
                ts_ns -= dice.randrange(HOUR_NS)
            fields = {name: round(dice.gauss(20, 5), 2) for name in FIELDS}
            points.append(Point(self.keys[i % len(self.keys)], ts_ns, fields))  # type: ignore[arg-type]  # floats are Values
        return points


async def write(store: Store, batches: Iterable[list[Point]]) -> dict[str, Any]:
    """Write batches one after the other."""
    walls, cpu_s, messages, values = [], 0.0, 0, 0
    for points in batches:
        cpu, wall = time.process_time(), time.perf_counter()
        result = await store.write(points)
        walls.append(time.perf_counter() - wall)
        cpu_s += time.process_time() - cpu
        messages += len(points)
        values += result.accepted
    return {
        "cpu_us_per_message": round(cpu_s / messages * 1e6, 2),
        "messages_per_s": round(messages / sum(walls)),
        "rows_per_s": round(messages * len(FIELDS) / sum(walls)),
        "p50_ms": round(float(np.quantile(walls, 0.5)) * 1e3, 1),
        "p99_ms": round(float(np.quantile(walls, 0.99)) * 1e3, 1),
        "max_ms": round(max(walls) * 1e3, 1),
        "values_stored": values,
    }


async def ask(store: Store, query: Query) -> dict[str, Any]:
    """Time a query; the second of two, as a dashboard asks again and again."""
    await store.query(query)
    begun = time.perf_counter()
    frames = await store.query(query)
    return {"ms": round((time.perf_counter() - begun) * 1e3, 1), "rows": sum(len(frame.ts_ns) for frame in frames)}


async def _run(folder: Path, batches: int, messages: int, keys: int, interval_s: float) -> dict[str, Any]:
    load = Load(keys=keys, messages=messages, interval_s=interval_s)
    span_ns = 3 * batches * messages // keys * load.interval_ns
    now_ns = START_NS + span_ns
    path = folder / "bench.duckdb"
    report: dict[str, Any] = {}
    clock: Callable[[], int] = lambda: now_ns  # noqa: E731  one line
    async with DuckStore(path, retention=Retention(), clock_ns=clock) as store:
        await store.write(load.batch(0))  # makes the series
        report["write fresh"] = await write(store, (load.batch(n) for n in range(1, batches)))
        report["write replayed"] = await write(store, (load.batch(n) for n in range(max(1, batches - 20), batches)))
        report["write 1 % late"] = await write(store, (load.batch(n, 0.01) for n in range(batches, 2 * batches)))
        one = SeriesFilter(node="node-7", field="usage")
        raw = Query(one, START_NS, now_ns)
        means = Query(one, START_NS, now_ns, every_ns=HOUR_NS)
        report["query 1 series, raw"] = await ask(store, raw)
        report["query 1 series, 1 h means, before roll-up"] = await ask(store, means)
        begun = time.process_time()
        made = await store.maintain(now_ns)
        report["roll-up"] = {"cpu_s": round(time.process_time() - begun, 2), "rows": made.rolled_up_rows}
        report["query 1 series, 1 h means"] = await ask(store, means)
        report["query 1 series, 1 min stddev"] = await ask(
            store, Query(one, START_NS, now_ns, every_ns=60 * NS_PER_S, fn=Fn.STDDEV)
        )
        report["query all series, 1 h means"] = await ask(
            store, Query(SeriesFilter(), START_NS, now_ns, every_ns=HOUR_NS, limit=100_000_000)
        )
        stored = report["write fresh"]["values_stored"] + report["write 1 % late"]["values_stored"]
    begun = time.perf_counter()
    async with DuckStore(path, clock_ns=clock) as store:
        report["open"] = {"ms": round((time.perf_counter() - begun) * 1e3, 1)}
        size = (await store.stats()).size_bytes
        report["file"] = {"bytes_per_value": round(size / stored, 2)}
    return report


def run(
    *, batches: int = 75, messages: int = 8_000, keys: int = 1_000, interval_s: float = 10.0, folder: Path | None = None
) -> dict[str, Any]:
    """Measure everything in a fresh file; figures by what was done."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        return asyncio.run(_run(Path(made), batches, messages, keys, interval_s))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench store", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument(
        "--batches", type=int, default=75, help="batches of 8,000 messages each for fresh and for late rows"
    )
    chosen = parser.parse_args(arguments)
    report = run(batches=chosen.batches)
    if chosen.json:
        print(json.dumps(report))
        return
    for what, figures in report.items():
        print(f"{what:44}" + "  ".join(f"{name} {value:,}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
