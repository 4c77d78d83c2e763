"""A store in memory: for tests and demonstrations, and the measure of what the others answer. Simple rather than quick.

It keeps samples for ``retention.raw`` and has no roll-ups, so nothing older is known to it.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from hub.store.base import (
    FieldKind,
    Fn,
    Frame,
    Last,
    LogRecord,
    MaintenanceReport,
    Rejected,
    Series,
    StoreStats,
    WriteResult,
)
from hub.store.logs import log_matcher, record_of, unfit_record
from hub.store.partition import Kind, Retention, floor_ns
from hub.store.select import SeriesMatcher, check_query, too_many_rows
from hub.store.values import KINDS, MAX_NS, bad_name, bad_time, clash, code_of, refusal, unfit
from wire.point import LOG_MEASUREMENT, SeriesKey, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from hub.store.base import LogQuery, Query, SeriesFilter
    from hub.store.partition import Keep
    from wire.point import Point


@dataclass(slots=True)
class _Samples:
    """The samples of one series, by time."""

    kind: FieldKind
    values: dict[int, Value] = field(default_factory=dict)


@dataclass(slots=True)
class _Outcome:
    """What became of one point."""

    stored: int = 0
    duplicate: int = 0
    whole: str = ""
    parts: list[tuple[str, str]] = field(default_factory=list)


class MemoryStore:
    """A :class:`hub.store.base.Store` that forgets everything when it is dropped."""

    def __init__(self, *, retention: Keep | None = None, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._keep = retention or Retention()
        self._clock_ns = clock_ns
        self._series: dict[tuple[SeriesKey, str], _Samples] = {}
        #: In order of arrival.
        self._logs: list[LogRecord] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def write(self, points: Sequence[Point]) -> WriteResult:
        outcomes = [self._write_log(point) if _is_log(point) else self._write_point(point) for point in points]
        rejected = []
        for at, (point, outcome) in enumerate(zip(points, outcomes, strict=True)):
            if outcome.whole:
                rejected.append(Rejected(at, f"{point.key.node} {point.key.measurement}: {outcome.whole}"))
            elif outcome.parts:
                nothing_fit = not outcome.stored and not outcome.duplicate
                rejected.append(Rejected(at, refusal(point.key, outcome.parts), nothing_fit))
        return WriteResult(
            sum(outcome.stored for outcome in outcomes),
            tuple(at for at, o in enumerate(outcomes) if o.duplicate and not o.stored and not o.parts),
            tuple(rejected),
        )

    async def series(self, chosen: SeriesFilter) -> list[Series]:
        return [series for series, _ in self._chosen(chosen)]

    async def query(self, query: Query) -> list[Frame]:
        chosen = self._chosen(query.series)
        check_query(query, [series for series, _ in chosen])
        frames = []
        for series, samples in chosen:
            inside = {ts: samples[ts] for ts in sorted(samples) if query.start_ns <= ts < query.stop_ns}
            rows = inside if query.every_ns is None else _windows(inside, query.every_ns, query.fn)
            if rows:
                frames.append(_frame(series, rows))
        if sum(len(frame.ts_ns) for frame in frames) > query.limit:
            raise too_many_rows(query)
        return frames

    async def last(self, chosen: SeriesFilter) -> list[Last]:
        return [Last(series, series.last_ns, samples[series.last_ns]) for series, samples in self._chosen(chosen)]

    async def logs(self, query: LogQuery) -> list[LogRecord]:
        matches = log_matcher(query)
        found = [record for record in reversed(self._logs) if matches(record)]
        found.sort(key=lambda record: -record.ts_ns)  # keeps the order of equals: the last stored first
        return found[: query.limit]

    async def maintain(self, now_ns: int) -> MaintenanceReport:
        samples_from, logs_from = self._floors(now_ns)
        for samples in self._series.values():
            samples.values = {ts: value for ts, value in samples.values.items() if ts >= samples_from}
        self._series = {name: samples for name, samples in self._series.items() if samples.values}
        self._logs = [record for record in self._logs if record.ts_ns >= logs_from]
        return MaintenanceReport()

    async def stats(self) -> StoreStats:
        oldest = min((min(samples.values) for samples in self._series.values()), default=None)
        return StoreStats("memory", len(self._series), 0, oldest)

    # ── private ──

    def _floors(self, now_ns: int) -> tuple[int, int]:
        return floor_ns(self._keep, Kind.NUMBERS, now_ns), floor_ns(self._keep, Kind.LOGS, now_ns)

    def _write_log(self, point: Point) -> _Outcome:
        _, logs_from = self._floors(self._clock_ns())
        if not logs_from <= point.ts_ns <= MAX_NS:
            return _Outcome(whole=bad_time(point.ts_ns, logs_from))
        if (why := unfit_record(point)) is not None:
            return _Outcome(whole=why)
        record = record_of(point)
        if record in self._logs:
            return _Outcome(duplicate=1)
        self._logs.append(record)
        return _Outcome(stored=1)

    def _write_point(self, point: Point) -> _Outcome:
        samples_from, _ = self._floors(self._clock_ns())
        if not samples_from <= point.ts_ns <= MAX_NS:
            return _Outcome(whole=bad_time(point.ts_ns, samples_from))
        if (why := bad_name(point.key, point.fields)) is not None:
            return _Outcome(whole=why)
        outcome = _Outcome()
        for name, value in point.fields.items():
            if (why := unfit(value)) is not None:
                outcome.parts.append((name, why))
                continue
            kind = KINDS[code_of(type(value))]
            samples = self._series.setdefault((point.key, name), _Samples(kind))
            if samples.kind is not kind:
                outcome.parts.append((name, clash(samples.kind, value)))
            elif point.ts_ns in samples.values:
                outcome.duplicate += 1
            else:
                samples.values[point.ts_ns] = float(value) if kind is FieldKind.NUMBER else value
                outcome.stored += 1
        return outcome

    def _chosen(self, chosen: SeriesFilter) -> list[tuple[Series, dict[int, Value]]]:
        matcher = SeriesMatcher(chosen)
        return [
            (Series(key, name, samples.kind, min(samples.values), max(samples.values)), samples.values)
            for (key, name), samples in sorted(self._series.items(), key=lambda item: item[0])
            if matcher.key(key) and matcher.field(name)
        ]


def _is_log(point: Point) -> bool:
    return point.key.measurement == LOG_MEASUREMENT


def _windows(samples: dict[int, Value], every_ns: int, fn: Fn) -> dict[int, Value]:
    """The aggregate of each window that has one, by the start of the window."""
    windows: dict[int, list[Value]] = {}
    for ts, value in samples.items():
        windows.setdefault(ts // every_ns * every_ns, []).append(value)
    return {
        start: _AGGREGATES[fn](values) for start, values in windows.items() if fn is not Fn.STDDEV or len(values) > 1
    }


def _sum(values: Sequence[float]) -> float:
    try:
        return math.fsum(values)
    except OverflowError:  # the sum is infinite
        return sum(values)


def _mean(values: Sequence[float]) -> float:
    return _sum(values) / len(values)


def _stddev(values: Sequence[float]) -> float:
    """Of a sample (n - 1), as InfluxDB's."""
    mean = _mean(values)
    return math.sqrt(_sum([(value - mean) * (value - mean) for value in values]) / (len(values) - 1))


#: From the values of one window, in order of time, texts only where ``TEXT_FNS`` allows them.
_AGGREGATES: Final[dict[Fn, Callable[[list[Value]], Value]]] = {
    Fn.MEAN: lambda values: _mean([float(value) for value in values]),
    Fn.MIN: lambda values: min(float(value) for value in values),
    Fn.MAX: lambda values: max(float(value) for value in values),
    Fn.SUM: lambda values: _sum([float(value) for value in values]),
    Fn.COUNT: lambda values: float(len(values)),
    Fn.STDDEV: lambda values: _stddev([float(value) for value in values]),
    Fn.FIRST: lambda values: values[0],
    Fn.LAST: lambda values: values[-1],
}


def _frame(series: Series, rows: dict[int, Value]) -> Frame:
    ts, values = np.fromiter(rows, np.int64, len(rows)), list(rows.values())
    texts = [value for value in values if isinstance(value, str)]
    return Frame(series, ts, texts or np.array(values, np.float64))
