"""What the embedded store holds, moved into InfluxDB: all of it once, wherever it was interrupted.

    DuckDB file, closed ─▶ tables of samples ─┐ rows as they came ─▶ points ─▶ InfluxStore ─▶ position ─▶ next rows
    (no hub runs on it)    tables of logs ────┘                                  └─ refused for good ─▶ a file, counted
                           minutes, hours ─▶ whole tables ─▶ lines ─▶ retention policies of roll-ups
                                             from there to now: made anew by the server
    counts of both sides, by series and day ─▶ report                                             (hub/influx/verify.py)

Samples and logs go through the store of the hub: what is there stays, what comes twice is dropped. The embedded store
is only read (in the event loop: nothing else runs in it), but for minutes that late samples made stale: they are rolled
up again, as a hub would do.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final, Self, TypeVar

from hub.influx.position import Position, PositionFile
from hub.influx.rollups import NAMES, Windows, policies, rolled_up_lines
from hub.influx.wanted import wanted
from hub.store.base import StoreBroken, StoreUnavailable
from hub.store.catalog import BOOLEAN
from hub.store.duck_export import exporting
from hub.store.influx import InfluxStore
from hub.store.influx_http import Http
from hub.store.influx_logs import key_of
from hub.store.influx_query import Asker
from hub.store.influx_send import Sender
from hub.store.influx_sending import poster
from hub.store.influx_server import find_server
from hub.store.influx_settings import target_of
from hub.store.line_protocol import LineEncoder
from hub.store.partition import Kind
from wire.point import NS_PER_S, Point

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator

    from hub.config import Settings
    from hub.paths import StatePaths
    from hub.store.base import LogRecord, Store
    from hub.store.duck_export import DuckExport
    from hub.store.influx_server import Server
    from hub.store.influx_target import Target
    from hub.store.partition import Partition
    from wire.point import SeriesKey, Value

    #: Rows, where the next ones begin, and the rows as points.
    _Batch = tuple[int, int, list[Point]]

#: Rows of one write.
_BATCH: Final = 20_000
#: Writes that fail are tried again so often, each time after twice as long.
_TRIES: Final = 6
_FIRST_WAIT_S: Final = 1.0

_T = TypeVar("_T")


@dataclass(slots=True)
class Watcher:
    """Who looks on: told how far it is, and what happens."""

    #: Rows done, rows in all, and what is being done.
    progress: Callable[[int, int, str], None]
    say: Callable[[str], None]
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep)


@dataclass(frozen=True, slots=True)
class Moved:
    """What one run did."""

    #: Rows of samples and logs, and of roll-ups, that this run read and wrote.
    rows: int
    rollup_rows: int
    #: Values that InfluxDB refuses, of all runs.
    refused: int


class Migration:
    """One move into one InfluxDB. ``async with`` opens both sides.

    Args:
        again: begin at the first row, whatever was moved before.

    Raises:
        StoreBroken: on entering: there is no embedded store, a hub runs on it, or it is damaged.
        StoreUnavailable: on entering: InfluxDB does not answer, or lacks the database.
    """

    def __init__(self, settings: Settings, paths: StatePaths, watcher: Watcher, *, again: bool = False) -> None:
        self._settings = settings
        self._paths = paths
        self._watcher = watcher
        self.target: Target = target_of(settings.store.influx)
        self._file = PositionFile(paths.root)
        name = f"{self.target.access.url} {self.target.database} {self.target.retention_policy}".rstrip()
        self.position = Position(name) if again else self._file.load(name)
        self._stack = AsyncExitStack()

    @property
    def refused_file(self) -> str:
        """Where what was refused is listed."""
        return str(self._file.refused)

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def move(self) -> Moved:
        """Move what is not moved yet.

        Raises:
            StoreUnavailable: InfluxDB stopped taking data; another run goes on from there.
        """
        parts = [part for part in self.export.parts if part in self.export.rows]
        total = sum(self.export.rows[part] for part in parts)
        done = sum(min(self.position.rows.get(part.table, 0), self.export.rows[part]) for part in parts)
        rows = 0
        for part in parts:
            async for count in self._part(part):
                rows, done = rows + count, done + count
                self._watcher.progress(done, total, _shown(part))
        rollup_rows = await self._rollups()
        return Moved(rows, rollup_rows, self.position.refused_total)

    def move_again(self, part: Partition) -> None:
        """Have the next run move a table of minutes or hours once more."""
        if self.position.rollups.pop(part.table, None) is not None:
            self._file.save(self.position)

    # ── private ──

    async def _open(self) -> None:
        if not self._paths.database.exists():
            raise StoreBroken(f"there is no embedded store to move: {self._paths.database} does not exist")
        http = await self._stack.enter_async_context(Http(self.target.access))
        self.server: Server = await find_server(http, self.target.generation, self.target.database)
        if not self.server.can_query:
            raise StoreBroken(f"{self.server} cannot be asked what it holds: nothing moved there could be verified")
        self._http, self.asker = http, Asker(http, self.target.database, self.server.generation)
        try:
            self.policies = await policies(self.asker, self.server, self.target.database)
        except StoreUnavailable as error:
            raise StoreUnavailable(f"{error}. `iothub influx setup` makes what is missing") from error
        store = self._settings.store
        self.export: DuckExport = self._stack.enter_context(
            exporting(self._paths.database, memory_bytes=store.memory_bytes, threads=store.threads)
        )
        self._store: Store = await self._stack.enter_async_context(InfluxStore(self.target, retention=store.retention))

    async def _part(self, part: Partition) -> AsyncIterator[int]:
        """Move a table; yields the rows of each batch once they are stored and the position is saved."""
        first = self.position.rows.get(part.table, 0)
        if first >= self.export.rows[part]:
            return
        batches = self._logs(part, first) if part.kind is Kind.LOGS else self._samples(part, first)
        with closing(batches):
            for count, next_row, points in batches:
                await self._write(part, points)
                self.position.rows[part.table] = next_row
                self._file.save(self.position)
                yield count

    def _logs(self, part: Partition, first: int) -> Generator[_Batch, None, None]:
        for rows in self.export.logs(part, first, _BATCH):
            yield len(rows.records), rows.next_row, [_log_point(record) for record in rows.records]

    def _samples(self, part: Partition, first: int) -> Generator[_Batch, None, None]:
        """Rows as points: the fields that a message brought together go out together."""
        catalog = self.export.catalog
        for rows in self.export.samples(part, first, _BATCH):
            together: dict[tuple[SeriesKey, int], dict[str, Value]] = {}
            for number, ts_ns, value in zip(rows.ids.tolist(), rows.ts_ns.tolist(), rows.values.tolist(), strict=True):
                key, name = catalog.name(number)
                is_boolean = part.kind is not Kind.TEXTS and catalog.kind[number] == BOOLEAN
                together.setdefault((key, ts_ns), {})[name] = bool(value) if is_boolean else value
            points = [Point(key, ts_ns, fields) for (key, ts_ns), fields in together.items()]
            yield len(rows.ids), rows.next_row, points

    async def _write(self, part: Partition, points: list[Point]) -> None:
        result = await self._patiently(partial(self._store.write, points))
        doubtful = [points[each.index] for each in result.rejected]
        if not doubtful:
            return
        is_log = part.kind is Kind.LOGS
        # Of a point with several fields one may be bad: alone, each shows whether it is.
        single = (
            doubtful
            if is_log
            else [
                Point(point.key, point.ts_ns, {name: value})
                for point in doubtful
                for name, value in point.fields.items()
            ]
        )
        again = await self._patiently(partial(self._store.write, single))
        rows = []
        for each in again.rejected:
            point = single[each.index]
            self.position.refuse(part.table, series_name(point.key, "" if is_log else next(iter(point.fields))))
            rows.append({"point": point, "reason": each.reason})
        self._file.note_refused(rows)

    async def _rollups(self) -> int:
        """Move minutes and hours, and have the server make those that follow."""
        parts = [part for part in self.export.parts if NAMES.get(part.kind) in self.policies]
        done = 0
        for part in parts:
            now = self.export.fingerprint(part)
            if self.position.rollups.get(part.table) == now:
                continue
            self.position.refused.pop(part.table, None)
            done += await self._rollup(part, now[0])
            self.position.rollups[part.table] = now
            self._file.save(self.position)
        if done:
            aim = wanted(self._settings.store)
            windows = Windows(self._http, self.asker, self.server, self.target, self.policies, aim)
            async for rollup, step, total in windows.make(self.export.rolled_up_ns):
                self._watcher.progress(step, total, f"{rollup.name}, made by InfluxDB")
        return done

    async def _rollup(self, part: Partition, total: int) -> int:
        access, name = self.target.access, NAMES[part.kind]
        encoder, done = LineEncoder(), 0
        async with poster(self._http, self.server, self.target, name) as post:
            where = f"{self.target.database!r}, {name}"
            sender = Sender(post, server=f"{self.server} at {access.url}", database=where, is_gzip=access.gzip)
            with closing(self.export.rollups(part, _BATCH // 4)) as batches:
                for batch in batches:
                    lines = rolled_up_lines(encoder, self.export.catalog, batch)
                    refused = await self._patiently(partial(sender.send, lines))
                    self._file.note_refused([{"line": lines[at], "reason": why} for at, why in refused.items()])
                    numbers = self.export.numbers(batch.ids)
                    for at in refused:
                        self.position.refuse(part.table, series_name(*self.export.catalog.name(numbers[at])))
                    done += len(batch.ids)
                    self._watcher.progress(done, total, _shown(part))
        return done

    async def _patiently(self, attempt: Callable[[], Awaitable[_T]]) -> _T:
        wait_s = _FIRST_WAIT_S
        for left in reversed(range(_TRIES)):
            try:
                return await attempt()
            except StoreUnavailable as error:
                if not left:
                    raise StoreUnavailable(f"{error}. Run it again: it goes on where it was") from error
                pause_s = max(wait_s, error.retry_after_s or 0.0)
                self._watcher.say(f"{error}; trying again in {pause_s:g} s")
                await self._watcher.sleep(pause_s)
                wait_s *= 2
        raise AssertionError("the last attempt returns or raises")


def series_name(key: SeriesKey, name: str) -> str:
    """A series in a position: node, measurement, tags and field; a series of log records has no field."""
    tags = ",".join(f"{tag}={text}" for tag, text in key.tags)
    return f"{key.node}\x1f{key.measurement}\x1f{tags}\x1f{name}"


def _shown(part: Partition) -> str:
    """A table in words."""
    return f"{part.kind.replace('_', ' ')} from {datetime.fromtimestamp(part.start_ns // NS_PER_S, UTC):%Y-%m-%d}"


def _log_point(record: LogRecord) -> Point:
    return Point(key_of(record), record.ts_ns, {"message": record.message, **record.fields})
