"""Reading samples: in one transaction, a statement for numbers and one for texts, from the coarsest rows that do.

    numbers (raw) ─▶ partial aggregates ┐
    minutes ────────────────────────────┼─▶ UNION ALL ─▶ final aggregate per series and window
    hours ──────────────────────────────┘
    stale minutes: left out of minutes, their hours left out of hours, and taken from what is one step finer

SQL is put together from constants of this file and names of our own tables; all that comes from a query is a parameter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hub.store.base import FieldKind, Fn, Frame
from hub.store.duck_file import get_meta, partitions
from hub.store.partition import HOUR_NS, MINUTE_NS, NUMBERS, Kind
from hub.store.select import too_many_rows
from hub.store.tiers import Tiers, choose_tiers
from hub.store.values import MAX_NS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from duckdb import DuckDBPyConnection

    from hub.store.base import Query
    from hub.store.catalog import Chosen
    from hub.store.tiers import Span


class _Form(NamedTuple):
    """An aggregate as SQL: from samples to a partial, from a roll-up to a partial, from partials to the answer."""

    of_samples: str
    of_rollup: str
    of_partials: str


_FORMS: Final = {
    Fn.COUNT: _Form("count(*) AS n", "n", "sum(n)"),
    Fn.SUM: _Form("sum(value) AS total", "total", "sum(total)"),
    Fn.MEAN: _Form("count(*) AS n, sum(value) AS total", "n, total", "sum(total) / sum(n)"),
    Fn.MIN: _Form("min(value) AS low", "low", "min(low)"),
    Fn.MAX: _Form("max(value) AS high", "high", "max(high)"),
    Fn.FIRST: _Form("min(ts) AS t, arg_min(value, ts) AS v", "first_ns AS t, first AS v", "arg_min(v, t)"),
    Fn.LAST: _Form("max(ts) AS t, arg_max(value, ts) AS v", "last_ns AS t, last AS v", "arg_max(v, t)"),
    # ``mean`` is that of the whole window: see ``numbers``.
    Fn.STDDEV: _Form(
        "count(*) AS n, sum(value) AS total, var_pop(value) * count(*) AS m2",
        "n, total, m2",
        "sqrt(sum(m2 + n * pow(total / n - mean, 2)) / (sum(n) - 1))",
    ),
}
_OF_TEXTS: Final = {Fn.COUNT: "count(*)::DOUBLE", Fn.FIRST: "arg_min(value, ts)", Fn.LAST: "arg_max(value, ts)"}

_WINDOW: Final = "ts // $every * $every"
_STALE: Final = "(SELECT series, minute FROM stale_minutes)"
_STALE_HOURS: Final = "(SELECT series, minute // $hour * $hour FROM stale_minutes)"


def find(connection: DuckDBPyConnection, query: Query, chosen: Sequence[Chosen]) -> list[Frame]:
    """Answer a checked query for the series chosen; frames in their order.

    Raises:
        QueryError: more rows than the query's limit.
    """
    start_ns, stop_ns = max(query.start_ns, 0), min(query.stop_ns, MAX_NS + 1)
    found: dict[int, tuple[npt.NDArray[np.int64], npt.NDArray[Any]]] = {}
    left = query.limit
    for is_text in (False, True):
        ids = [each.id for each in chosen if (each.series.kind is FieldKind.TEXT) == is_text]
        if not ids or start_ns >= stop_ns:
            continue
        reading = _Reading(connection, ids, query)
        rows = reading.texts(start_ns, stop_ns, left + 1) if is_text else reading.numbers(start_ns, stop_ns, left + 1)
        left -= len(rows.ts)
        if left < 0:
            raise too_many_rows(query)
        found |= _by_series(rows)
    frames = []
    for each in chosen:
        if each.id in found:
            ts, values = found[each.id]
            frames.append(Frame(each.series, ts, values.tolist() if values.dtype == np.object_ else values))
    return frames


class _Rows(NamedTuple):
    """An answer: sorted by series and time."""

    series: npt.NDArray[np.int32]
    ts: npt.NDArray[np.int64]
    values: npt.NDArray[Any]


class _Reading:
    """One SELECT in the making, within the transaction of its connection; collects the parameters as it grows."""

    def __init__(self, connection: DuckDBPyConnection, ids: Sequence[int], query: Query) -> None:
        self._con = connection
        self._parts = partitions(connection)
        self._query = query
        self._values: dict[str, int] = {}
        if len(ids) == 1:
            self._is_chosen = f"series = {self._value(ids[0])}"
        else:
            connection.register("chosen", {"id": np.array(ids, np.int32)})
            self._is_chosen = "series IN (SELECT id FROM chosen)"

    def numbers(self, start_ns: int, stop_ns: int, most: int) -> _Rows:
        """Samples, or aggregates, of at most ``most`` rows."""
        if self._query.every_ns is None:
            return self._samples(NUMBERS, start_ns, stop_ns, most)
        tiers = choose_tiers(start_ns, stop_ns, self._query.every_ns, get_meta(self._con, "rolled_up_ns"))
        form, stale = _FORMS[self._query.fn], self._stale_span(tiers)
        partials = [
            f"SELECT series, {_WINDOW} AS w, {form.of_rollup} FROM ({rows})"
            for rows in self._rollup_rows(tiers, stale=stale is not None)
        ]
        if samples := self._rows(NUMBERS, tiers.raw) + self._stale_samples(stale):
            partials.append(
                f"SELECT series, {_WINDOW} AS w, {form.of_samples} FROM ({' UNION ALL '.join(samples)}) "
                "GROUP BY series, w"
            )
        if not partials:
            return _NO_ROWS
        with_stale = ""
        if stale is not None:
            with_stale = (
                "WITH stale_minutes AS MATERIALIZED (SELECT DISTINCT series, minute FROM stale "
                f"WHERE minute >= {self._value(stale[0])} AND minute < {self._value(stale[1])} AND {self._is_chosen})"
            )
        union, having = " UNION ALL ".join(partials), ""
        if self._query.fn is Fn.STDDEV:
            union = (
                f"SELECT *, sum(total) OVER g / sum(n) OVER g AS mean FROM ({union}) "
                "WINDOW g AS (PARTITION BY series, w)"
            )
            having = "HAVING sum(n) > 1"
        return self._run(
            f"{with_stale} SELECT series, w AS ts, ({form.of_partials})::DOUBLE AS value FROM ({union}) "
            f"GROUP BY series, w {having}",
            most,
        )

    def texts(self, start_ns: int, stop_ns: int, most: int) -> _Rows:
        """Samples, or aggregates, of at most ``most`` rows."""
        if self._query.every_ns is None:
            return self._samples((Kind.TEXTS,), start_ns, stop_ns, most)
        rows = self._rows((Kind.TEXTS,), ((start_ns, stop_ns),))
        if not rows:
            return _NO_ROWS
        return self._run(
            f"SELECT series, {_WINDOW} AS w, {_OF_TEXTS[self._query.fn]} AS value "
            f"FROM ({' UNION ALL '.join(rows)}) GROUP BY series, w",
            most,
        )

    # ── parts of statements ──

    def _samples(self, kinds: Sequence[Kind], start_ns: int, stop_ns: int, most: int) -> _Rows:
        rows = self._rows(kinds, ((start_ns, stop_ns),))
        return self._run(" UNION ALL ".join(rows), most) if rows else _NO_ROWS

    def _rows(self, kinds: Sequence[Kind], spans: Iterable[Span], also: str = "") -> list[str]:
        """One SELECT a partition and span, of the chosen series."""
        return [
            f"SELECT * FROM {part.table} WHERE ts >= {self._value(start_ns)} AND ts < {self._value(stop_ns)} "
            f"AND {self._is_chosen} {also}"
            for start_ns, stop_ns in spans
            for part in self._parts
            if part.kind in kinds and part.overlaps(start_ns, stop_ns)
        ]

    def _rollup_rows(self, tiers: Tiers, *, stale: bool) -> list[str]:
        if not stale:
            return self._rows((Kind.MINUTES,), tiers.minutes) + self._rows((Kind.HOURS,), tiers.hours)
        in_stale_hour = f"(series, ts // $hour * $hour) IN {_STALE_HOURS}"
        return [
            *self._rows((Kind.MINUTES,), tiers.minutes, f"AND (series, ts) NOT IN {_STALE}"),
            *self._rows((Kind.HOURS,), tiers.hours, f"AND (series, ts) NOT IN {_STALE_HOURS}"),
            *self._rows((Kind.MINUTES,), tiers.hours, f"AND (series, ts) NOT IN {_STALE} AND {in_stale_hour}"),
        ]

    def _stale_samples(self, stale: Span | None) -> list[str]:
        if stale is None:
            return []
        return self._rows(NUMBERS, (stale,), f"AND (series, ts // $minute * $minute) IN {_STALE}")

    def _stale_span(self, tiers: Tiers) -> Span | None:
        """From the first stale minute to the end of the last, of what roll-ups would answer; mostly there is none.

        To be called first, while there is no parameter but the one that ``_is_chosen`` may have.
        """
        if tiers.rolled_up is None:
            return None
        first, last = self._con.execute(
            "SELECT min(minute), max(minute) FROM stale "
            f"WHERE minute >= $start AND minute < $stop AND {self._is_chosen}",
            {"start": tiers.rolled_up[0], "stop": tiers.rolled_up[1], **self._values},
        ).fetchall()[0]
        return None if first is None else (first, last + MINUTE_NS)

    def _value(self, value: int) -> str:
        """A parameter with this value, as SQL."""
        name = f"v{len(self._values)}"
        self._values[name] = value
        return f"${name}"

    def _run(self, select: str, most: int) -> _Rows:
        sql = f"SELECT * FROM ({select} LIMIT $most) ORDER BY 1, 2"
        known = {"every": self._query.every_ns, "minute": MINUTE_NS, "hour": HOUR_NS, "most": most}
        used = {name: value for name, value in known.items() if f"${name}" in sql}
        columns = self._con.execute(sql, {**self._values, **used}).fetchnumpy()
        return _Rows(*columns.values())


_NO_ROWS: Final = _Rows(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.float64))


def _by_series(rows: _Rows) -> dict[int, tuple[npt.NDArray[np.int64], npt.NDArray[Any]]]:
    """Split at each change of series."""
    cuts = np.flatnonzero(rows.series[1:] != rows.series[:-1]) + 1
    pieces = zip(np.split(rows.series, cuts), np.split(rows.ts, cuts), np.split(rows.values, cuts), strict=True)
    return {int(series[0]): (ts, values) for series, ts, values in pieces if len(series)}
