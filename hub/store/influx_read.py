"""Reading samples by InfluxQL: down-sampled in the query, from the coarsest rows that hold what is wanted.

    chosen series (catalogue) ─▶ by measurement ─▶ one statement for its numbers and texts     ┐
                                                   two a boolean: how many, how many are true  ├─▶ frames
    wide windows of a long range ─▶ pieces, cut between windows:                               ┘
        raw │ roll-up, where it has rows of the measurement, and raw where it is to be made again │ raw

InfluxQL has no mean of booleans, hence the counts. A piece from a roll-up never shares a window with a raw one, so
nothing is added up here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from hub.store.base import FieldKind, Fn, Frame
from hub.store.influx_layout import ROLLED_UP, ROLLUPS, rolled_up_field
from hub.store.influxql import TagSet, during, field, of_nodes, source, tag, tag_set, text
from hub.store.line_protocol import stored_measurement, stored_tag
from hub.store.partition import ceil, floor
from hub.store.select import too_many_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hub.store.base import Query, Series
    from hub.store.influx_layout import RollUp
    from hub.store.influx_query import Asker
    from hub.store.influxql import Row
    from hub.store.tiers import Span

#: Rows of a series that a roll-up must have for it to be worth the statements that find out.
_WORTH_ROWS: Final = 12
#: More spans than this that are not rolled up are read as one.
_MOST_HOLES: Final = 8

#: Times and values of series as they come in: by series and field, ascending.
_Found = dict[tuple[TagSet, str], list[tuple[int, Any]]]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the range, and the retention policy that answers it."""

    start_ns: int
    stop_ns: int
    rollup: RollUp | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """What of a query one measurement answers."""

    measurement: str
    chosen: list[Series]
    query: Query
    #: Rows that may still be given.
    left: int

    @property
    def where(self) -> str:
        """Conditions beside the time, `` AND …``."""
        tags = self.query.series.tags.items()
        of_tags = "".join(f" AND {tag(name)} = {text(stored_tag(value))}" for name, value in tags if value)
        return f"{of_nodes(series.key.node for series in self.chosen)}{of_tags}"


class Reader:
    """Reads one database.

    Args:
        retention_policy: of samples; empty for the default one.
        rollups: names of the roll-ups there are.
        databases: by name of the roll-up, where each is a database of its own; else they are retention policies.
        unmade: spans of which roll-ups are to be made, ascending: samples answer there.
    """

    def __init__(
        self,
        asker: Asker,
        *,
        retention_policy: str,
        rollups: Iterable[str],
        databases: Mapping[str, str],
        unmade: Callable[[], list[Span]],
    ) -> None:
        self._asker = asker
        self._retention_policy = retention_policy
        self._databases = databases
        self._unmade = unmade
        there = frozenset(rollups)
        self._rollups = tuple(rollup for rollup in ROLLUPS if rollup.name in there)

    async def find(self, query: Query, chosen: Sequence[Series], floor_ns: int) -> list[Frame]:
        """Answer a checked query for the series chosen; frames in their order.

        ``floor_ns``: samples before it are past their retention, even where the server still has them.

        Raises:
            QueryError: more rows than the query's limit.
            StoreUnavailable: no answer.
        """
        by_measurement: dict[str, list[Series]] = {}
        for series in chosen:
            by_measurement.setdefault(series.key.measurement, []).append(series)
        left, frames = query.limit, dict[tuple[object, str], Frame]()
        for measurement, of_it in by_measurement.items():
            found = await self._find(_Part(measurement, of_it, query, left), floor_ns)
            for series in of_it:
                if rows := found.get((tag_set(series.key), series.field)):
                    frames[series.key, series.field] = _frame(series, rows, query)
                    left -= len(rows)
            if left < 0:
                raise too_many_rows(query)
        return [frames[name] for s in chosen if (name := (s.key, s.field)) in frames]

    async def _find(self, part: _Part, floor_ns: int) -> _Found:
        query, chosen, found = part.query, part.chosen, _Found()
        start = max(query.start_ns, 0)
        # What a write beside this one has stored so far is not shown before all of it is.
        stop = min(query.stop_ns, max(series.last_ns for series in chosen) + 1)
        raw = _Piece(max(start, floor_ns, min(series.first_ns for series in chosen)), stop)
        if start >= stop:
            return found
        if query.every_ns is not None:
            for piece in await self._pieces(part, start, raw):
                await self._windows(part, piece, found)
        elif raw.start_ns < stop:
            await self._samples(part, raw, found)
        return found

    async def _samples(self, part: _Part, piece: _Piece, found: _Found) -> None:
        names = sorted({series.field for series in part.chosen})
        of = f"{self._from(part, piece)} GROUP BY *"
        if len(part.chosen) > 1:
            # LIMIT counts for each series: a thousand of them would be read before the sum is known.
            (counted,) = await self._asker.ask([f"SELECT {_columns('count', names)} {of}"])
            wanted = {(tag_set(series.key), series.field) for series in part.chosen}
            if sum(_counts(counted.series, names, wanted)) > part.left:
                raise too_many_rows(part.query)
        columns = ", ".join(f"{field(name)} AS c{i}" for i, name in enumerate(names))
        (result,) = await self._asker.ask([f"SELECT {columns} {of} LIMIT {part.left + 1:d}"])
        _gather(result.series, names, found)

    async def _windows(self, part: _Part, piece: _Piece, found: _Found) -> None:
        fn, of = part.query.fn, self._from(part, piece)
        others = sorted({series.field for series in part.chosen if not _is_counted(series, fn)})
        counted = sorted({series.field for series in part.chosen if _is_counted(series, fn)})
        group = f"GROUP BY time({part.query.every_ns:d}ns), * fill(none) LIMIT {part.left + 1:d}"
        statements = []
        if others:
            columns = _columns(fn, others) if piece.rollup is None else _rolled_up_columns(fn, others)
            statements.append(f"SELECT {columns} {of} {group}")
        for name in counted:
            statements.append(f"SELECT count({field(name)}) AS c0 {of} {group}")
            statements.append(f"SELECT count({field(name)}) AS c0 {of} AND {field(name)} = true {group}")
        results = await self._asker.ask(statements, database=self._database(piece.rollup))
        if others:
            _gather(results.pop(0).series, others, found)
        for name, total, true in zip(counted, results[::2], results[1::2], strict=True):
            _gather_counts(total.series, true.series, name, fn, found)

    async def _pieces(self, part: _Part, start: int, raw: _Piece) -> list[_Piece]:
        """Pieces in order of time; ``start`` may lie before the samples in ``raw``: roll-ups outlive them."""
        every, stop = part.query.every_ns or 0, raw.stop_ns
        whole = [raw] if raw.start_ns < stop else []
        if part.query.fn not in ROLLED_UP or any(series.kind is not FieldKind.NUMBER for series in part.chosen):
            return whole
        for rollup in self._rollups:
            if every % rollup.width_ns:
                continue
            first, last = await self._covered(part.measurement, rollup, start, stop)
            begin = max(first, start)
            # A window that begins before the range, or before the roll-up, is whole in the samples alone.
            begin = ceil(begin, every) if begin >= raw.start_ns else floor(begin, rollup.width_ns)
            end = floor(min(last, stop), every)
            if end - begin >= _WORTH_ROWS * rollup.width_ns:
                unmade = holes(self._unmade(), max(begin, raw.start_ns), end, every)
                pieces, at = [_Piece(raw.start_ns, begin)], begin
                for hole_from, hole_to in unmade:
                    pieces += [_Piece(at, hole_from, rollup), _Piece(hole_from, hole_to)]
                    at = hole_to
                pieces += [_Piece(at, end, rollup), _Piece(max(end, raw.start_ns), stop)]
                return [piece for piece in pieces if piece.start_ns < piece.stop_ns]
        return whole

    async def _covered(self, measurement: str, rollup: RollUp, start_ns: int, stop_ns: int) -> tuple[int, int]:
        """From when to when a roll-up has rows of a measurement: it may be younger than the samples."""
        of = f"SELECT * FROM {source(stored_measurement(measurement), self._policy(rollup))}"
        where = f"WHERE {during(floor(start_ns, rollup.width_ns), stop_ns)} ORDER BY time"
        ends = await self._asker.ask(
            [f"{of} {where} LIMIT 1", f"{of} {where} DESC LIMIT 1"], database=self._database(rollup)
        )
        times = [row.values[0][0] for result in ends for row in result.series]
        return (times[0], times[-1] + rollup.width_ns) if times else (0, 0)

    def _from(self, part: _Part, piece: _Piece) -> str:
        of = source(stored_measurement(part.measurement), self._policy(piece.rollup))
        return f"FROM {of} WHERE {during(piece.start_ns, piece.stop_ns)}{part.where}"

    def _policy(self, rollup: RollUp | None) -> str:
        if rollup is None:
            return self._retention_policy
        return "" if rollup.name in self._databases else rollup.name

    def _database(self, rollup: RollUp | None) -> str | None:
        """None for the one that is always asked."""
        return None if rollup is None else self._databases.get(rollup.name)


def holes(unmade: Iterable[Span], start_ns: int, stop_ns: int, every_ns: int) -> list[Span]:
    """What of a span is to be read from samples, in full windows; few pieces, whatever is unmade."""
    found: list[Span] = []
    for first, end in unmade:
        begin, until = max(start_ns, floor(first, every_ns)), min(stop_ns, ceil(end, every_ns))
        if begin < until and found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], until)
        elif begin < until:
            found.append((begin, until))
    return found if len(found) <= _MOST_HOLES else [(found[0][0], found[-1][1])]


def _columns(fn: str, names: Sequence[str]) -> str:
    return ", ".join(f"{fn}({field(name)}) AS c{i}" for i, name in enumerate(names))


def _rolled_up_columns(fn: Fn, names: Sequence[str]) -> str:
    return ", ".join(f"{_of_rollup(fn, name)} AS c{i}" for i, name in enumerate(names))


def _of_rollup(fn: Fn, name: str) -> str:
    """The aggregate of windows from the aggregates of their minutes or hours."""
    part = {each: field(rolled_up_field(each, name)) for each in ROLLED_UP}
    if fn is Fn.MEAN:
        return f"sum({part[Fn.SUM]}) / sum({part[Fn.COUNT]})"
    outer = Fn.SUM if fn is Fn.COUNT else fn
    return f"{outer}({part[fn]})"


def _is_counted(series: Series, fn: Fn) -> bool:
    """Whether the aggregate comes from two counts."""
    return series.kind is FieldKind.BOOLEAN and fn not in (Fn.COUNT, Fn.FIRST, Fn.LAST)


def _gather(rows: Iterable[Row], names: Sequence[str], found: _Found) -> None:
    for row in rows:
        tags = row.tag_set
        for column, name in enumerate(names, start=1):
            values = [(each[0], each[column]) for each in row.values if each[column] is not None]
            if values:
                found.setdefault((tags, name), []).extend(values)


def _gather_counts(total: Iterable[Row], true: Iterable[Row], name: str, fn: Fn, found: _Found) -> None:
    trues = {(row.tag_set, ts): count for row in true for ts, count in row.values}
    for row in total:
        tags = row.tag_set
        windows = [(ts, _of_counts(fn, count, trues.get((tags, ts), 0))) for ts, count in row.values if count]
        if known := [(ts, value) for ts, value in windows if value is not None]:
            found.setdefault((tags, name), []).extend(known)


def _of_counts(fn: Fn, count: int, true: int) -> float | None:
    """The aggregate of ``count`` values 0 and 1, ``true`` of them 1."""
    match fn:
        case Fn.SUM:
            return float(true)
        case Fn.MIN:
            return float(true == count)
        case Fn.MAX:
            return float(true > 0)
        case Fn.STDDEV:
            return float(np.sqrt(true * (count - true) / count / (count - 1))) if count > 1 else None
        case _:
            return true / count


def _counts(rows: Iterable[Row], names: Sequence[str], wanted: set[tuple[TagSet, str]]) -> Iterable[int]:
    for row in rows:
        for column, name in enumerate(names, start=1):
            if (row.tag_set, name) in wanted:
                yield row.values[0][column] or 0


def _frame(series: Series, rows: list[tuple[int, Any]], query: Query) -> Frame:
    ts = np.fromiter((ts for ts, _ in rows), np.int64, len(rows))
    if series.kind is FieldKind.TEXT and (query.every_ns is None or query.fn is not Fn.COUNT):
        return Frame(series, ts, [str(value) for _, value in rows])
    values: npt.NDArray[np.float64] = np.fromiter((value for _, value in rows), np.float64, len(rows))
    return Frame(series, ts, values)
