"""A month of telemetry in the embedded store, written through the store's own write path; kept for the next run.

    python -m bench.history FOLDER NODES SAMPLES

Nodes ``node-00000`` … send cpu (usage, user, system) and mem (used_percent, available_bytes) at an even pace for 30
days up to now. The roll-ups are made, too, as the hub's maintenance makes them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from hub.paths import StatePaths
from hub.store.duck import DuckStore
from hub.store.partition import Retention
from wire.point import NS_PER_S, Point, SeriesKey

if TYPE_CHECKING:
    from collections.abc import Iterator

DAYS: Final = 30
#: Raw samples outlive the benchmark.
KEEP: Final = Retention(raw=60 * 86_400.0)
_CPU: Final = ("usage", "user", "system")
_MEM: Final = ("used_percent", "available_bytes")
_FIELDS: Final = len(_CPU) + len(_MEM)
_BATCH: Final = 100_000
#: An older history no longer reaches up to now.
_GOOD_FOR_S: Final = 6 * 3600.0
_MARK: Final = "history.json"
#: The hub's state directory within the folder.
STATE: Final = "state"


@dataclass(frozen=True)
class History:
    """What was stored."""

    nodes: int
    #: Asked for, and stored.
    samples: int
    stored: int
    #: Unix time of the newest sample.
    until_s: float
    write_s: float
    roll_up_s: float
    size_bytes: int


def node(number: int) -> str:
    """Id of node ``number``."""
    return f"node-{number:05d}"


def ready(folder: Path, nodes: int, samples: int) -> History:
    """A folder with the file of the store in it; made by a process of its own unless an earlier run left one."""
    mark = folder / _MARK
    if mark.exists():
        known = History(**json.loads(mark.read_text()))
        if (known.nodes, known.samples) == (nodes, samples) and time.time() - known.until_s < _GOOD_FOR_S:
            return known
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    argv = [sys.executable, "-m", "bench.history", str(folder), str(nodes), str(samples)]
    subprocess.run(argv, check=True)
    return History(**json.loads(mark.read_text()))


def _batches(nodes: int, samples: int, until_ns: int) -> Iterator[list[Point]]:
    """All nodes at each tick, in order of time."""
    ticks = max(2, samples // (nodes * _FIELDS))
    step_ns = DAYS * 86_400 * NS_PER_S // ticks
    cpu = [SeriesKey(node(i), "cpu") for i in range(nodes)]
    mem = [SeriesKey(node(i), "mem") for i in range(nodes)]
    dice = np.random.default_rng(7)
    phase = dice.uniform(0, 2 * np.pi, nodes)
    at_once = max(1, _BATCH // (2 * nodes))
    for first in range(0, ticks, at_once):
        ts = until_ns - (ticks - np.arange(first, min(first + at_once, ticks))) * step_ns
        day = ts[:, None] / (86_400 * NS_PER_S) * 2 * np.pi + phase
        usage = np.clip(np.round(35 + 20 * np.sin(day) + dice.normal(0, 8, day.shape), 1), 0, 100)
        user = np.round(usage * 0.7, 1)
        used = np.round(50 + 10 * np.sin(day / 7) + dice.normal(0, 1, day.shape), 1)
        columns = (ts, usage, user, np.round(usage - user, 1), used, np.round((100 - used) * 4e7))
        points = []
        for at, *rows in zip(*(column.tolist() for column in columns), strict=True):
            points += [
                Point(key, at, dict(zip(_CPU, values, strict=True)))
                for key, values in zip(cpu, zip(*rows[:3], strict=True), strict=True)
            ]
            points += [
                Point(key, at, dict(zip(_MEM, values, strict=True)))
                for key, values in zip(mem, zip(*rows[3:], strict=True), strict=True)
            ]
        yield points


async def _make(folder: Path, nodes: int, samples: int) -> History:
    path = StatePaths(folder / STATE).database
    path.parent.mkdir(parents=True)
    until_s = time.time()
    stored = 0
    began = time.perf_counter()
    async with DuckStore(path, retention=KEEP, memory_bytes=4 << 30) as store:
        for points in _batches(nodes, samples, int(until_s * NS_PER_S)):
            stored += (await store.write(points)).accepted
        written = time.perf_counter()
        await store.maintain(time.time_ns())
        rolled = time.perf_counter()
    return History(nodes, samples, stored, until_s, written - began, rolled - written, path.stat().st_size)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("nodes", type=int)
    parser.add_argument("samples", type=int)
    given = parser.parse_args()
    made = asyncio.run(_make(given.folder, given.nodes, given.samples))
    (given.folder / _MARK).write_text(json.dumps(asdict(made)))


if __name__ == "__main__":
    main()
