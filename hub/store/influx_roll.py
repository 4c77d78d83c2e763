"""Roll-ups made by the hub: all of them where the database has none of its own, else of what came too late for those.

    write ──▶ expected: hours of samples that come too late ─▶ DueHours, on disk ─┐
    maintain ─▶ minutes since the last time (3.x) ─▶ an hour is over ─▶ it is due ┤
                                                                                  ▼
                 SELECT count, sum, … GROUP BY time(1m), * ─▶ lines ─▶ the roll-up, over what it had

What is written is what a continuous query or a task would write, to where it would write it, so the hub, the server and
``iothub influx rollup`` may make the same rows, in any order. A run of ``maintain`` makes a bounded number of hours.
"""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any, Final

import structlog

from hub.store.base import Fn, QueryError
from hub.store.influx_catalog import key_of_tags
from hub.store.influx_layout import ROLLED_UP, ROLLUPS, rolled_up_field
from hub.store.influxql import during, field, source
from hub.store.line_protocol import LineEncoder, stored_measurement
from hub.store.partition import HOUR_NS, MINUTE_NS, floor
from wire.point import LOG_MEASUREMENT, NODE_TAG, NS_PER_S, Point

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

    from hub.store.influx_catalog import InfluxCatalog
    from hub.store.influx_due import DueHours
    from hub.store.influx_layout import RollUp
    from hub.store.influx_query import Asker
    from hub.store.influx_send import Sender
    from hub.store.influxql import Row

#: The server makes its roll-ups of the last 15 minutes (hours: 6 h) anew every minute (every hour), see
#: ``hub/influx/wanted.py``; a sample that is older than this may not be met by that.
LATE_NS: Final = 12 * MINUTE_NS
#: Before a late sample's time, as much may not have been rolled up when the server went away.
_UNSURE_NS: Final = 2 * MINUTE_NS
#: Where the hub makes all: so far back minutes are made anew each time, and so long it waits for what is on its way.
_BACK_NS: Final = 5 * MINUTE_NS
_LAG_NS: Final = 10 * NS_PER_S
#: Longer than this the hub was away: hours to be made one after the other.
_AWAY_NS: Final = 2 * HOUR_NS
#: Hours made in one run, and windows of one series each that one answer may hold.
_MOST_HOURS: Final = 24
_MOST_WINDOWS: Final = 5_000
#: Fields in one statement.
_FIELDS: Final = 20
#: The count comes last in a line: it is an integer there, as the server's own.
_ORDER: Final = (*(fn for fn in ROLLED_UP if fn is not Fn.COUNT), Fn.COUNT)

_log = structlog.get_logger("hub.store.influx")


def count_as_integer(line: str) -> str:
    """The last value of a line, ``5.0``, as the integer ``5i``: so the server counts, and a field has one type."""
    head, _, ts_ns = line.rpartition(" ")
    return f"{head.removesuffix('.0')}i {ts_ns}"


@dataclasses.dataclass(slots=True)
class Roller:
    """Makes the roll-ups of one database.

    Args:
        senders: by name of the roll-up; those that were set up.
        makes_all: whether the server makes none.
        run: awaits a function in the thread of the store.
    """

    asker: Asker
    catalog: InfluxCatalog
    retention_policy: str
    senders: Mapping[str, Sender]
    due: DueHours
    makes_all: bool
    run: Callable[..., Awaitable[Any]]
    encoder: LineEncoder = dataclasses.field(default_factory=LineEncoder)

    async def expect(self, points: Sequence[Point], now_ns: int) -> Sequence[int]:
        """Note, on disk, the hours of samples that come too late; to be called before they are written."""
        if not self.senders or not points:
            return ()
        late_ns = self._late_before(now_ns)
        if min([point.ts_ns for point in points]) >= late_ns:
            return ()
        late = {p.ts_ns for p in points if 0 <= p.ts_ns < late_ns and p.key.measurement != LOG_MEASUREMENT}
        hours = {ts_ns // HOUR_NS for ts_ns in late} | {max(0, ts_ns - _UNSURE_NS) // HOUR_NS for ts_ns in late}
        await self.came(hours)
        return list(hours)

    async def came(self, hours: Iterable[int]) -> None:
        """Samples of these hours have been written."""
        if self.due.add(hours):
            await self.run(self.due.save)

    async def maintain(self, now_ns: int, floor_ns: int) -> int:
        """Make what is due, a bounded number of hours; the rows made.

        Raises:
            StoreUnavailable: no answer, or no right to write; what is not made stays due.
        """
        if not self.senders:
            return 0
        if self.due.forget_before(floor_ns):
            await self.run(self.due.save)
        rows = await self._live(now_ns, floor_ns) if self.makes_all else 0
        return rows + await self._hours(self.due.settled(_MOST_HOURS), now_ns)

    # ── private ──

    def _late_before(self, now_ns: int) -> int:
        if self.makes_all:
            return 0 if self.due.live_from_ns is None else self.due.live_from_ns
        return now_ns - LATE_NS

    async def _live(self, now_ns: int, floor_ns: int) -> int:
        """Minutes that have passed since the last time; hours that are over become due."""
        due, end = self.due, floor(now_ns - _LAG_NS, MINUTE_NS)
        begin, rows = due.live_from_ns, 0
        if begin is None or end - begin > _AWAY_NS:
            oldest = self.catalog.oldest_ns()
            begin = max(floor_ns, end if oldest is None else oldest) if begin is None else begin
        elif end > begin:
            rows = await self._make(ROLLUPS[-1], begin, end)
        else:
            return 0
        due.live_from_ns = live_from = max(begin, end - _BACK_NS)
        due.add(range(begin // HOUR_NS, live_from // HOUR_NS))
        await self.run(due.save)
        return rows

    async def _hours(self, hours: Sequence[int], now_ns: int) -> int:
        rows, made, began_all = 0, 0, time.perf_counter()
        for hour in hours:
            start, stop, began = hour * HOUR_NS, (hour + 1) * HOUR_NS, self.due.now()
            try:
                for rollup in ROLLUPS:
                    rows += await self._make(rollup, start, min(stop, floor(now_ns, rollup.width_ns)))
            except QueryError as error:
                _log.error("a roll-up cannot be made, trying again later", hour_ns=start, why=str(error))
                self.due.add([hour])
                continue
            self.due.made(hour, began)
            made += 1
            await self.run(self.due.save)
        if made:
            took_s = round(time.perf_counter() - began_all, 2)
            _log.info("roll-ups made", hours=made, rows=rows, took_s=took_s, hours_left=self.due.count)
        return rows

    async def _make(self, rollup: RollUp, start_ns: int, stop_ns: int) -> int:
        """All full windows of a span, over those that are there; how many."""
        sender, total = self.senders.get(rollup.name), 0
        if sender is None:
            return 0
        for measurement, (names, keys) in self.catalog.numbers().items():
            step = max(1, _MOST_WINDOWS // (keys * min(len(names), _FIELDS))) * rollup.width_ns
            for at in range(start_ns, stop_ns, step):
                span = during(at, min(at + step, stop_ns))
                of = f"FROM {source(stored_measurement(measurement), self.retention_policy)} WHERE {span}"
                for first in range(0, len(names), _FIELDS):
                    some = names[first : first + _FIELDS]
                    columns = ", ".join(f"{fn}({field(n)}) AS {fn}{i}" for i, n in enumerate(some) for fn in _ORDER)
                    group = f"GROUP BY time({rollup.width_ns:d}ns), * fill(none)"
                    (found,) = await self.asker.ask([f"SELECT {columns} {of} {group}"])
                    points = list(_points(measurement, some, found.series))
                    total += len(points)
                    await self._send(sender, points)
        return total

    async def _send(self, sender: Sender, points: Sequence[Point]) -> None:
        if not points:
            return
        lines: list[str] = await self.run(self.encoder.encode, points)
        if refused := await sender.send([count_as_integer(line) for line in lines]):
            at, why = next(iter(refused.items()))
            _log.error("rows of a roll-up were refused", rows=len(refused), first=lines[at], why=why)


# -- private ----------------------------------------------------------------------------------------------------------


def _points(measurement: str, names: Sequence[str], rows: Iterable[Row]) -> Iterator[Point]:
    """A point for each series, field and window that has samples."""
    width = len(_ORDER)
    for row in rows:
        if NODE_TAG not in row.tags:
            continue  # not ours
        key = key_of_tags(measurement, row.tag_set)
        for ts_ns, *cells in row.values:
            for i, name in enumerate(names):
                values = cells[i * width : (i + 1) * width]
                if values[-1]:
                    named = zip(_ORDER, values, strict=True)
                    yield Point(key, ts_ns, {rolled_up_field(fn, name): float(value) for fn, value in named})
