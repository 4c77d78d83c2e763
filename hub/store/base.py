"""What every store promises. The pipeline, the API and the tests know only this file.

Contract:
  * ``async with store:`` opens it and closes it; nothing else is called outside.
  * ``write`` is called by one task at a time, in order of arrival; it returns when the points are durable.
  * the reading calls may run concurrently with ``write`` and with each other, from tasks of the same event loop.
  * no call blocks the event loop; a driver that blocks runs in threads of the store's own.
  * times are nanoseconds since the Unix epoch, UTC; ranges are half open, ``start_ns <= t < stop_ns``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, Self

import msgspec
import numpy as np
import numpy.typing as npt

from wire.point import SeriesKey, Value

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from wire.point import Point


class StoreError(Exception):
    """Root of the errors a store raises.

    StoreError
    ├── StoreUnavailable   retry the same batch later: nothing may be acknowledged
    ├── StoreBroken        stop: the store cannot go on (corrupt file, wrong credentials); a person must act
    └── QueryError         refuse the request: the query cannot be answered as put
    """


class StoreUnavailable(StoreError):  # noqa: N818  the name says what the caller does
    """The write did not happen (or is unknown); the same batch may be written again."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreBroken(StoreError):  # noqa: N818
    """The store cannot work until a person acts; the message says what to do."""


class QueryError(StoreError):
    """A query that cannot be answered; the message says which part and what is allowed."""


class FieldKind(enum.StrEnum):
    """Type of a series, fixed by its first value."""

    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXT = "text"


class Fn(enum.StrEnum):
    """Aggregate over each ``every`` of a query."""

    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    COUNT = "count"
    STDDEV = "stddev"
    FIRST = "first"
    LAST = "last"


class Series(msgspec.Struct, frozen=True):
    """One series: a key and a field, with its type and the range of its timestamps."""

    key: SeriesKey
    field: str
    kind: FieldKind
    first_ns: int
    last_ns: int


class Rejected(msgspec.Struct, frozen=True):
    """A point of the batch that the database refuses for good."""

    index: int
    reason: str
    #: True when no value of the point was stored.
    whole: bool = True


class WriteResult(msgspec.Struct, frozen=True):
    """Outcome of one batch: accepted + duplicate values, and points refused for good. Anything else raises."""

    #: Values newly stored.
    accepted: int
    #: Indices into the batch of the points all of whose values were stored before (or earlier in the batch).
    duplicates: tuple[int, ...] = ()
    rejected: tuple[Rejected, ...] = ()


class SeriesFilter(msgspec.Struct, frozen=True):
    """Selects series. Node, measurement and field take shell globs (``*``, ``?``, ``[…]``); None selects all."""

    node: str | None = None
    measurement: str | None = None
    field: str | None = None
    #: Tags that must be present with exactly this value.
    tags: Mapping[str, str] = {}
    #: None of any other node; what somebody may see.
    nodes: frozenset[str] | None = None


class Query(msgspec.Struct, frozen=True):
    """Samples or aggregates of the selected series."""

    series: SeriesFilter
    start_ns: int
    stop_ns: int
    #: Width of the windows; None for the samples as they were stored.
    every_ns: int | None = None
    fn: Fn = Fn.MEAN
    #: Most rows to return over all series; :class:`QueryError` when a raw query has more.
    limit: int = 1_000_000


class Frame(msgspec.Struct, frozen=True):
    """One series of an answer. ``ts_ns`` ascends; windows are labelled by their start; empty windows are left out."""

    series: Series
    #: int64, shape (n,)
    ts_ns: npt.NDArray[np.int64]
    #: float64 of shape (n,) for numbers, booleans (0/1) and every aggregate but first/last of text; else n strings.
    values: npt.NDArray[np.float64] | list[str]


class Last(msgspec.Struct, frozen=True):
    """The newest sample of a series."""

    series: Series
    ts_ns: int
    value: Value


class LogQuery(msgspec.Struct, frozen=True):
    """Selects log records, newest first."""

    start_ns: int
    stop_ns: int
    #: Shell glob.
    node: str | None = None
    #: Lowest level wanted, by the order of :data:`wire.formats.logs.LEVELS`.
    level: str | None = None
    source: str | None = None
    #: Case-insensitive substring of the message.
    text: str | None = None
    limit: int = 1000
    #: None of any other node; what somebody may see.
    nodes: frozenset[str] | None = None


class LogRecord(msgspec.Struct, frozen=True):
    """One stored log record."""

    ts_ns: int
    node: str
    level: str
    source: str
    message: str
    fields: Mapping[str, Value] = {}


class StoreStats(msgspec.Struct, frozen=True):
    """Figures for health pages."""

    kind: str
    series: int
    size_bytes: int
    #: Oldest stored sample; None when empty.
    oldest_ns: int | None


class MaintenanceReport(msgspec.Struct, frozen=True):
    """What one run of ``maintain`` did."""

    dropped_partitions: int = 0
    rolled_up_rows: int = 0


class Store(Protocol):
    """A time-series database."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def write(self, points: Sequence[Point]) -> WriteResult:
        """Store a batch durably. Points of measurement ``log`` are log records, see :class:`LogRecord`.

        Raises:
            StoreUnavailable: nothing is known to be stored; write the same batch again.
            StoreBroken: a person must act.
        """
        ...

    async def series(self, chosen: SeriesFilter) -> list[Series]:
        """The selected series, sorted by node, measurement, tags, field."""
        ...

    async def query(self, query: Query) -> list[Frame]:
        """Samples or aggregates, one frame a series that has any; long ranges are answered from roll-ups."""
        ...

    async def last(self, chosen: SeriesFilter) -> list[Last]:
        """The newest sample of each selected series, from memory."""
        ...

    async def logs(self, query: LogQuery) -> list[LogRecord]:
        """The selected log records, newest first."""
        ...

    async def maintain(self, now_ns: int) -> MaintenanceReport:
        """Bring roll-ups up to date and drop what is past its retention; called every minute or so."""
        ...

    async def stats(self) -> StoreStats:
        """Figures for health pages; cheap."""
        ...
