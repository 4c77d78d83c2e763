"""Where time is cut: how long each kind of row is kept, and which partition holds an instant. Pure arithmetic.

A partition is dropped whole, once all of it is past its retention; rows therefore live up to one partition longer than
asked for.
Why these widths: ``docs/decisions/duck-store.md``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import numpy.typing as npt

from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator

Times = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp] | slice

MINUTE_NS: Final = 60 * NS_PER_S
HOUR_NS: Final = 60 * MINUTE_NS
DAY_NS: Final = 24 * HOUR_NS


class Keep(Protocol):
    """How long each resolution is kept, in seconds: the settings ``[store.retention]``, or :class:`Retention`."""

    @property
    def raw(self) -> float: ...
    @property
    def rollup_1m(self) -> float: ...
    @property
    def rollup_1h(self) -> float: ...
    @property
    def logs(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Retention:
    """:class:`Keep` without the settings tree; seconds."""

    raw: float = 30 * 86_400.0
    rollup_1m: float = 365 * 86_400.0
    rollup_1h: float = 5 * 365 * 86_400.0
    logs: float = 30 * 86_400.0


class Kind(enum.StrEnum):
    """Kinds of partitioned tables; the value is the first part of a table's name."""

    NUMBERS = "numbers"
    #: Numbers that came after newer ones: kept apart, so that ``numbers`` stays in order of time, and reading a span
    #: of time from it reads little else (DuckDB skips blocks by their least and greatest value).
    LATE_NUMBERS = "late_numbers"
    TEXTS = "texts"
    LOGS = "logs"
    MINUTES = "minutes"
    HOURS = "hours"


#: Where samples that are numbers are.
NUMBERS: Final = (Kind.NUMBERS, Kind.LATE_NUMBERS)

#: Look-ups of one batch are cut into at most this many spans of time in each partition, at gaps no narrower than this.
_MAX_SPANS: Final = 8
_GAP_NS: Final = 10 * NS_PER_S

_KIND_NAMES: Final = frozenset(kind.value for kind in Kind)

#: Each width is a multiple of the one above it, so that a finer resolution never outlives a coarser one.
WIDTH_NS: Final = {
    Kind.NUMBERS: DAY_NS,
    Kind.LATE_NUMBERS: DAY_NS,
    Kind.TEXTS: DAY_NS,
    Kind.LOGS: DAY_NS,
    Kind.MINUTES: 7 * DAY_NS,
    Kind.HOURS: 28 * DAY_NS,
}


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One table: the rows of ``kind`` with ``start_ns <= ts < stop_ns``."""

    kind: Kind
    start_ns: int

    @property
    def stop_ns(self) -> int:
        return self.start_ns + WIDTH_NS[self.kind]

    @property
    def table(self) -> str:
        """Name of the table, e.g. ``numbers_20261121``; safe in SQL, it holds letters, digits and ``_`` alone."""
        return f"{self.kind}_{datetime.fromtimestamp(self.start_ns // NS_PER_S, UTC):%Y%m%d}"

    def overlaps(self, start_ns: int, stop_ns: int) -> bool:
        return self.start_ns < stop_ns and start_ns < self.stop_ns


def partition_at(kind: Kind, ts_ns: int) -> Partition:
    """The partition that holds ``ts_ns``."""
    return Partition(kind, floor(ts_ns, WIDTH_NS[kind]))


def parse_table(name: str) -> Partition | None:
    """The partition that a table is, None for the other tables."""
    kind, _, day = name.rpartition("_")
    if kind not in _KIND_NAMES or not day.isdecimal():
        return None
    start = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC)
    return Partition(Kind(kind), int(start.timestamp()) * NS_PER_S)


def kept_seconds(keep: Keep, kind: Kind) -> float:
    """How long rows of ``kind`` are kept: at least as long as the rows that they are made from."""
    match kind:
        case Kind.NUMBERS | Kind.LATE_NUMBERS | Kind.TEXTS:
            return keep.raw
        case Kind.LOGS:
            return keep.logs
        case Kind.MINUTES:
            return max(keep.raw, keep.rollup_1m)
        case Kind.HOURS:
            return max(keep.raw, keep.rollup_1m, keep.rollup_1h)


def floor_ns(keep: Keep, kind: Kind, now_ns: int) -> int:
    """Start of the oldest partition of ``kind`` that is kept at ``now_ns``; never before 1970."""
    return max(0, floor(now_ns - int(kept_seconds(keep, kind) * NS_PER_S), WIDTH_NS[kind]))


def floor(ts_ns: int, width_ns: int) -> int:
    """The last multiple of ``width_ns`` at or before ``ts_ns``."""
    return ts_ns // width_ns * width_ns


def ceil(ts_ns: int, width_ns: int) -> int:
    """The first multiple of ``width_ns`` at or after ``ts_ns``."""
    return -(-ts_ns // width_ns) * width_ns


def by_partition(kind: Kind, ts: Times) -> Iterator[tuple[Partition, Rows]]:
    """Which rows belong to which partition; ascending."""
    if not len(ts):
        return
    width = WIDTH_NS[kind]
    numbers = ts // width
    if numbers[0] == numbers.max() == numbers.min():
        yield Partition(kind, int(numbers[0]) * width), slice(None)
        return
    for number in np.unique(numbers).tolist():
        yield Partition(kind, number * width), np.flatnonzero(numbers == number)


def spans(ts: Times) -> list[npt.NDArray[np.intp]]:
    """Rows cut into few spans of time at the wide gaps, so that one late row does not widen the span of the others.

    Each span is looked up by a scan of its own, hence only gaps that are a good part of the whole count.
    """
    order = np.argsort(ts)
    gaps = np.diff(ts[order])
    wide = max(_GAP_NS, int(ts[order[-1]] - ts[order[0]]) // _MAX_SPANS)
    return np.split(order, np.flatnonzero(gaps > wide) + 1)
