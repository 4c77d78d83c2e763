"""Roll-ups and retention, in the maintenance thread, beside the writer.

             writer (each batch)          maintenance (each minute)
    samples ─┬─▶ numbers ────────────────▶ up to the mark: numbers ─▶ minutes ─▶ hours; hour by hour, the mark with them
             └─▶ stale (series, minute) ─▶ again: numbers ─▶ those minutes ─▶ their hours; ``stale`` emptied with them
                 of samples before the mark

The mark (``rolled_up_ns``) and ``stale`` change in the transaction of the rows they speak of: a crash undoes both or
neither. The writer learns the next mark *before* the roll-up reads, so a sample is either read by it or its minute is
noted as stale. In any state of the file that a transaction sees, roll-ups before the mark that are not stale equal what
their samples give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from hub.store.duck_file import get_meta, make_partition, partitions, set_meta
from hub.store.partition import DAY_NS, HOUR_NS, MINUTE_NS, NUMBERS, Kind, floor, floor_ns, partition_at
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

    from hub.store.catalog import Ids, Times
    from hub.store.duck_file import DuckFile
    from hub.store.partition import Keep

#: Samples younger than this are not rolled up yet: most late ones still come in time.
_GRACE_NS: Final = 120 * NS_PER_S

#: Aggregates of samples as a row of a roll-up. ``m2`` is the sum of squared distances from the mean.
_OF_SAMPLES: Final = (
    "count(*), sum(value), min(value), max(value), var_pop(value) * count(*), "
    "min(ts), arg_min(value, ts), max(ts), arg_max(value, ts)"
)
#: The same of rows of a finer roll-up (Chan, Golub and LeVeque 1979 for m2); ``mean`` is that of the whole group.
OF_ROLLUPS: Final = (
    "sum(n), sum(total), min(low), max(high), sum(m2 + n * pow(total / n - mean, 2)), "
    "min(first_ns), arg_min(first, first_ns), max(last_ns), arg_max(last, last_ns)"
)


def next_mark(keep: Keep, now_ns: int, newest_ns: int) -> int:
    """How far samples may be rolled up now: not past the hour of the newest sample, but past what retention drops."""
    newest_hour_ends = floor(newest_ns, HOUR_NS) + HOUR_NS
    return max(min(floor(now_ns - _GRACE_NS, MINUTE_NS), newest_hour_ends), floor_ns(keep, Kind.NUMBERS, now_ns))


def roll_up(file: DuckFile, mark_ns: int) -> int:
    """Bring minutes and hours up to ``mark_ns``, then make stale minutes anew.

    Returns:
        Rows of roll-ups written.
    """
    with file.lease() as con:
        done_ns, parts = get_meta(con, "rolled_up_ns"), partitions(con)
    rows = 0
    days = sorted({part.start_ns for part in parts if part.kind in NUMBERS})
    for start_ns, stop_ns in _steps(days, done_ns, mark_ns):
        rows += _roll_hour(file, start_ns, stop_ns)
    with file.lease() as con:
        if get_meta(con, "rolled_up_ns") < mark_ns:
            set_meta(con, "rolled_up_ns", mark_ns)
            con.commit()
    rows += sum(_roll_stale_day(file, day_ns) for day_ns in _stale_days(file))
    return rows


def drop_old(file: DuckFile, keep: Keep, now_ns: int) -> int:
    """Drop the partitions that are past their retention; to be called after :func:`roll_up`.

    Returns:
        Partitions dropped.
    """
    with file.lease() as con:
        old = [part for part in partitions(con) if part.stop_ns <= floor_ns(keep, part.kind, now_ns)]
        if not old:
            return 0
        for part in old:
            con.execute(f"DROP TABLE {part.table}")
        dropped_ns = max((part.stop_ns for part in old if part.kind in NUMBERS), default=0)
        if dropped_ns > get_meta(con, "dropped_ns"):
            set_meta(con, "dropped_ns", dropped_ns)
        con.commit()
    return len(old)


def _steps(days: list[int], done_ns: int, mark_ns: int) -> Iterator[tuple[int, int]]:
    """Cut what is to be rolled up at full hours: transactions stay small, and hours are made when they are whole."""
    at = done_ns
    for day_ns in days:
        at = max(at, day_ns)
        while at < min(day_ns + DAY_NS, mark_ns):
            stop = min(floor(at, HOUR_NS) + HOUR_NS, mark_ns)
            yield at, stop
            at = stop


def _roll_hour(file: DuckFile, start_ns: int, stop_ns: int) -> int:
    """Roll up the samples of (a part of) one hour, and move the mark if there were any."""
    with file.lease() as con:
        minutes = partition_at(Kind.MINUTES, start_ns)
        make_partition(con, minutes)
        rows = _count(
            con,
            f"INSERT INTO {minutes.table} SELECT series, ts // $width * $width AS minute, {_OF_SAMPLES} "
            f"FROM ({_samples(con, start_ns)}) WHERE ts >= $start AND ts < $stop "
            "GROUP BY series, minute ORDER BY minute, series",
            {"width": MINUTE_NS, "start": start_ns, "stop": stop_ns},
        )
        if stop_ns % HOUR_NS == 0:
            rows += _make_hours(con, stop_ns - HOUR_NS, stop_ns, "")
        if rows:
            set_meta(con, "rolled_up_ns", stop_ns)
            con.commit()
    return rows


def _samples(con: DuckDBPyConnection, ts_ns: int) -> str:
    """SELECT of all numbers of a day that has some."""
    of_day = [partition_at(kind, ts_ns) for kind in NUMBERS]
    return " UNION ALL ".join(
        f"SELECT series, ts, value FROM {part.table}" for part in partitions(con) if part in of_day
    )


def _stale_days(file: DuckFile) -> list[int]:
    """Start of each day that has stale minutes."""
    with file.lease() as con:
        mark_ns = get_meta(con, "rolled_up_ns")
        query = "SELECT DISTINCT minute // $day * $day FROM stale WHERE minute < $mark ORDER BY 1"
        return [day for (day,) in con.execute(query, {"day": DAY_NS, "mark": mark_ns}).fetchall()]


def _roll_stale_day(file: DuckFile, day_ns: int) -> int:
    """Make the stale minutes of one day, and their hours, anew."""
    rows = 0
    with file.lease() as con:
        mark_ns = get_meta(con, "rolled_up_ns")
        span = {"start": day_ns, "stop": min(day_ns + DAY_NS, mark_ns)}
        stale = con.execute("SELECT DISTINCT series, minute FROM stale WHERE minute >= $start AND minute < $stop", span)
        pairs = stale.fetchnumpy()
        if samples := _samples(con, day_ns):
            rows += _remake_minutes(con, samples, pairs["series"], pairs["minute"])
            rows += _remake_hours(con, pairs["series"], pairs["minute"] // HOUR_NS * HOUR_NS, floor(mark_ns, HOUR_NS))
        con.execute("DELETE FROM stale WHERE minute >= $start AND minute < $stop", span)
        con.commit()
    return rows


def _remake_minutes(con: DuckDBPyConnection, samples: str, series: Ids, minute_ns: Times) -> int:
    minutes = partition_at(Kind.MINUTES, int(minute_ns[0]))
    make_partition(con, minutes)
    con.register("again", {"series": series, "minute": minute_ns})
    con.execute(f"DELETE FROM {minutes.table} AS m USING again WHERE m.series = again.series AND m.ts = again.minute")
    return _count(
        con,
        f"INSERT INTO {minutes.table} SELECT series, minute, {_OF_SAMPLES} FROM (SELECT t.series, minute, ts, value "
        f"FROM ({samples}) AS t JOIN again ON t.series = again.series AND ts // $width * $width = minute "
        "WHERE ts >= $start AND ts < $stop) GROUP BY series, minute ORDER BY minute, series",
        {"width": MINUTE_NS, "start": int(minute_ns.min()), "stop": int(minute_ns.max()) + MINUTE_NS},
    )


def _remake_hours(con: DuckDBPyConnection, series: Ids, hour_ns: Times, mark_ns: int) -> int:
    whole = hour_ns < mark_ns
    if not whole.any():
        return 0
    pairs = np.unique(np.stack((series[whole], hour_ns[whole])), axis=1)
    con.register("again_hours", {"series": pairs[0].astype(np.int32), "hour": pairs[1]})
    start_ns, stop_ns = int(pairs[1].min()), int(pairs[1].max()) + HOUR_NS
    hours = partition_at(Kind.HOURS, start_ns)
    make_partition(con, hours)
    con.execute(f"DELETE FROM {hours.table} AS h USING again_hours AS a WHERE h.series = a.series AND h.ts = a.hour")
    return _make_hours(
        con, start_ns, stop_ns, "AND (series, ts // $width * $width) IN (SELECT series, hour FROM again_hours)"
    )


def _make_hours(con: DuckDBPyConnection, start_ns: int, stop_ns: int, among: str) -> int:
    """Hours of the minutes in a span of full hours within one day."""
    hours, minutes = partition_at(Kind.HOURS, start_ns), partition_at(Kind.MINUTES, start_ns)
    make_partition(con, hours)
    return _count(
        con,
        f"INSERT INTO {hours.table} SELECT series, hour, {OF_ROLLUPS} FROM ("
        "SELECT *, ts // $width * $width AS hour, sum(total) OVER g / sum(n) OVER g AS mean "
        f"FROM {minutes.table} WHERE ts >= $start AND ts < $stop {among} "
        "WINDOW g AS (PARTITION BY series, ts // $width * $width)) GROUP BY series, hour ORDER BY hour, series",
        {"width": HOUR_NS, "start": start_ns, "stop": stop_ns},
    )


def _count(con: DuckDBPyConnection, statement: str, parameters: dict[str, int]) -> int:
    """Run an INSERT; how many rows it made."""
    return int(con.execute(statement, parameters).fetchall()[0][0])
