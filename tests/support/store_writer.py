"""A process that writes numbered batches into a DuckDB store until it is killed.

``python -m tests.support.store_writer FILE FIRST`` prints ``writing N`` before and ``stored N`` after each batch;
maintenance runs beside it.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

from hub.store.duck import DuckStore
from tests.support.stores import DAY_NS, HOUR_NS, NOON, at, line
from wire.point import Point, SeriesKey

KEYS = [SeriesKey(f"dev{i}", "room") for i in range(7)]
#: Values of one batch: two numbers, a boolean and a text a key, and one log record.
PER_BATCH = len(KEYS) * 4 + 1


def batch(number: int) -> list[Point]:
    """A minute of each key, one of them late by a day."""
    second = number * 20.0
    points = [at(second, key, a=float(number), b=-number / 3, on=number % 2 == 0, s=f"batch {number}") for key in KEYS]
    late = points[number % len(KEYS)]
    points[number % len(KEYS)] = Point(late.key, late.ts_ns - DAY_NS, late.fields)
    return [*points, line(second, f"batch {number}")]


def clock(number: int) -> int:
    """Now, when this batch is written."""
    return NOON + number * 20 * 10**9


async def _main(path: Path, first: int) -> None:
    now = clock(first)
    async with DuckStore(path, threads=1, clock_ns=lambda: now) as store:

        async def maintain() -> None:
            while True:
                await store.maintain(now + HOUR_NS)
                await asyncio.sleep(0.01)

        async with asyncio.TaskGroup() as group:
            group.create_task(maintain())
            for number in itertools.count(first):
                now = clock(number)
                print(f"writing {number}", flush=True)  # noqa: T201  what the test reads
                await store.write(batch(number))
                print(f"stored {number}", flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2])))
