"""Compares what was published with what a stopped hub has stored, and adds up its ledger.

Load, or any source of samples ─▶ expected ─┐
state directory ─▶ DuckDB file ─▶ stored ───┴─▶ compare ─▶ lost, extra, twice, changed: all 0 or something is wrong
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.load import value
from hub.ledger import Ledger
from hub.paths import StatePaths
from hub.rejects import Rejects
from hub.store.base import Query, SeriesFilter
from hub.store.duck import DuckStore
from wire.point import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.load import Load
    from hub.ledger import LedgerRow, SessionRow
    from hub.rejects.model import KeptReject

_MOST: int = 2**40


class Samples(NamedTuple):
    """All samples of one series; times may repeat, which a store must never let happen."""

    ts_ns: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


#: By node, measurement and field.
Series = tuple[str, str, str]


class Verdict(NamedTuple):
    """Outcome of a comparison, in samples."""

    expected: int
    stored: int
    #: Expected and not stored.
    lost: int
    #: Stored and not expected.
    extra: int
    #: Stored more than once.
    twice: int
    #: Stored with another value.
    changed: int

    @property
    def ok(self) -> bool:
        return self.lost == self.extra == self.twice == self.changed == 0


class Books(NamedTuple):
    """The ledger of a stopped hub."""

    rows: dict[str, LedgerRow]
    sessions: dict[str, list[SessionRow]]

    def unaccounted(self) -> int:
        """Messages of which nobody knows what became, over all nodes; anything but 0 is a defect."""
        return sum(abs(row.unaccounted) for row in self.rows.values())

    def total(self, what: str) -> int:
        """Sum over all nodes of one count, such as ``stored``."""
        return sum(getattr(row, what) for row in self.rows.values())

    def refused(self) -> dict[str, int]:
        """Refused messages by reason, over all nodes."""
        found: dict[str, int] = {}
        for row in self.rows.values():
            for reason, count in row.refused.items():
                found[reason] = found.get(reason, 0) + count
        return found


def expected(load: Load) -> dict[Series, Samples]:
    """What :mod:`bench.load` publishes, as it must be stored."""
    found: dict[Series, Samples] = {}
    for series in range(min(load.topics, load.messages)):
        numbers = np.arange(series, load.messages, load.topics)
        ahead = np.arange(load.samples)
        ts_ms = (load.first_ms + (numbers // load.topics * load.samples)[:, None] + ahead).ravel()
        of_sample = (numbers[:, None] + ahead).ravel()
        for k in range(load.values):
            values = value(of_sample, k)
            found[f"node-{load.first_topic + series:05d}", "bench", f"value{k}"] = Samples(ts_ms * NS_PER_MS, values)
    return found


def stored(state: Path, node: str | None = None) -> dict[Series, Samples]:
    """All numbers in the store of a stopped hub; series with tags are left out."""

    async def read() -> dict[Series, Samples]:
        async with DuckStore(StatePaths(state).database) as store:
            frames = await store.query(Query(SeriesFilter(node=node), 0, 2**62, limit=_MOST))
        return {
            (frame.series.key.node, frame.series.key.measurement, frame.series.field): Samples(
                frame.ts_ns, frame.values
            )
            for frame in frames
            if not frame.series.key.tags and not isinstance(frame.values, list)
        }

    return asyncio.run(read())


def compare(wanted: Mapping[Series, Samples], found: Mapping[Series, Samples]) -> Verdict:
    """Count the differences sample by sample."""
    nothing = Samples(np.empty(0, np.int64), np.empty(0))
    totals = np.zeros(6, np.int64)
    for series in wanted.keys() | found.keys():
        one, other = wanted.get(series, nothing), found.get(series, nothing)
        ts, first, counts = np.unique(other.ts_ns, return_index=True, return_counts=True)
        both, at_one, at_other = np.intersect1d(one.ts_ns, ts, assume_unique=True, return_indices=True)
        changed = np.count_nonzero(one.values[at_one] != other.values[first[at_other]])
        totals += (
            len(one.ts_ns),
            len(other.ts_ns),
            len(one.ts_ns) - len(both),
            len(ts) - len(both),
            int((counts - 1).sum()),
            int(changed),
        )
    return Verdict(*totals.tolist())


def books(state: Path) -> Books:
    """The ledger of a stopped hub."""

    async def read() -> Books:
        async with Ledger(StatePaths(state).ledger) as ledger:
            rows = {row.node: row for row in ledger.rows()}
            return Books(rows, {node: ledger.sessions(node) for node in rows})

    return asyncio.run(read())


def rejects(state: Path, limit: int = 1_000_000) -> list[KeptReject]:
    """The rejects of a stopped hub, newest first, without their bytes."""

    async def read() -> list[KeptReject]:
        path = StatePaths(state).rejects
        async with Rejects(path, max_bytes=1 << 40, max_messages=_MOST, clock_ns=time.time_ns) as kept:
            return await kept.list(limit=limit)

    return asyncio.run(read())
