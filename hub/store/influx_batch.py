"""One batch on its way to InfluxDB: which points go out as which lines, and what became of each. No I/O."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np

from hub.store import influx_logs
from hub.store.base import Rejected, WriteResult
from hub.store.line_protocol import is_writable
from wire.point import Point

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from hub.store.base import LogRecord
    from hub.store.catalog import Catalog, Numbers, Objects
    from hub.store.columns import Columns, Rows
    from hub.store.line_protocol import LineEncoder
    from wire.point import SeriesKey, Value

_EMPTY_NAME = "the name of its node, measurement, one of its tags or fields is empty, which InfluxDB cannot hold"


class Batch:
    """Positions are those of ``points``.

    Args:
        columns: what of the points is fit to be stored.
        numbers, texts: the rows of it that are new.
    """

    def __init__(self, points: Sequence[Point], columns: Columns, numbers: Rows[Numbers], texts: Rows[Objects]) -> None:
        self._points = points
        self._columns = columns
        self._new = (numbers, texts)
        self._brought = _values_of_each(len(points), columns.numbers, columns.texts)
        self._kept = _values_of_each(len(points), numbers, texts)
        self._logs: list[tuple[int, LogRecord, int]] = []
        #: What the server, or line protocol, refuses for good.
        self._refused: dict[int, str] = {}

    def add_log(self, position: int, record: LogRecord, at_ns: int | None) -> None:
        """A record, and when it is written; None when it is stored already."""
        self._brought[position] = 1
        if at_ns is not None:
            self._kept[position] = 1
            self._logs.append((position, record, at_ns))

    def parts(self, catalog: Catalog, lines: int) -> list[Part]:
        """What there is to send, so many lines at a time."""
        origin, outgoing = self._outgoing(catalog)
        return [
            Part(origin[start : start + lines], outgoing[start : start + lines])
            for start in range(0, len(outgoing), lines)
        ]

    def refuse(self, part: Part, lines: Mapping[int, str]) -> None:
        """Note the lines of a part that the server refused, by their place in it, and its reasons."""
        self._refused.update(dict.fromkeys(part.unwritable, _EMPTY_NAME))
        for line, reason in lines.items():
            self._refused[part.origin[line]] = f"InfluxDB refused it: {reason}"

    def stored(self, rows: Rows[Any]) -> Rows[Any]:
        """Of new rows, those that were not refused."""
        if not self._refused:
            return rows
        return rows.take(~np.isin(rows.point, list(self._refused)))

    def stored_logs(self) -> Iterator[tuple[SeriesKey, int]]:
        """Series and time of writing of the records that were not refused."""
        for position, record, at_ns in self._logs:
            if position not in self._refused:
                yield influx_logs.key_of(record), at_ns

    def result(self) -> WriteResult:
        """What became of the batch."""
        rejected = {each.index: each for each in self._columns.rejected(self._points)}
        for position, reason in self._refused.items():
            key, other = self._points[position].key, rejected.get(position)
            why = f"{other.reason}; the rest: {reason}" if other else f"{key.node} {key.measurement}: {reason}"
            # Values that were stored before are not lost with those of the line.
            rejected[position] = Rejected(position, why, bool(self._kept[position] == self._brought[position]))
        accepted = int(self._kept.sum()) - sum(int(self._kept[position]) for position in self._refused)
        old = (self._brought > 0) & (self._kept == 0)
        old[list(self._columns.refusals.parts)] = False
        return WriteResult(
            accepted, tuple(np.flatnonzero(old).tolist()), tuple(rejected[position] for position in sorted(rejected))
        )

    # ── private ──

    def _outgoing(self, catalog: Catalog) -> tuple[Sequence[int], Sequence[Point]]:
        """Positions of the points that have new values, and the points, with these alone."""
        whole = (self._kept == self._brought) & (self._kept > 0)
        whole[list(self._columns.refusals.parts)] = False
        whole[[position for position, _, _ in self._logs]] = False
        if whole.all():
            return range(len(self._points)), self._points
        partly: dict[int, dict[str, Value]] = {}
        for rows in self._new:
            for row in np.flatnonzero(~whole[rows.point]).tolist():
                position = int(rows.point[row])
                _, name = catalog.name(int(rows.ids[row]))
                partly.setdefault(position, {})[name] = self._points[position].fields[name]
        origin = sorted([*np.flatnonzero(whole).tolist(), *partly])
        outgoing = [self._point(position, partly.get(position)) for position in origin]
        return (
            origin + [position for position, _, _ in self._logs],
            outgoing + [influx_logs.point_of(record, at_ns) for _, record, at_ns in self._logs],
        )

    def _point(self, position: int, fields: dict[str, Value] | None) -> Point:
        point = self._points[position]
        return point if fields is None else Point(point.key, point.ts_ns, fields)


class Part:
    """Some lines of a batch: encoded and sent together.

    Args:
        origin: positions in the batch.
        points: what is sent of the points there.
    """

    def __init__(self, origin: Sequence[int], points: Sequence[Point]) -> None:
        #: Position in the batch of the point that each line is of.
        self.origin = origin
        self._points = points
        #: Positions of the points that line protocol cannot hold.
        self.unwritable: list[int] = []

    def encode(self, encoder: LineEncoder) -> list[str]:
        """The lines; called once."""
        points = self._points
        try:
            return encoder.encode(points)
        except ValueError:
            fit = [is_writable(point.key, point.fields) for point in points]
            if all(fit):
                raise
        self.unwritable = [position for position, is_fit in zip(self.origin, fit, strict=True) if not is_fit]
        self.origin = list(compress(self.origin, fit))
        return encoder.encode(list(compress(points, fit)))


def _values_of_each(size: int, numbers: Rows[Any], texts: Rows[Any]) -> npt.NDArray[np.intp]:
    """How many rows each point has."""
    return np.bincount(numbers.point, minlength=size) + np.bincount(texts.point, minlength=size)
