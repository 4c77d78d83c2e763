"""InfluxDB 1.x, 2.x and 3.x as the store (and VictoriaMetrics, for writing alone).

    write ──▶ InfluxWriter ─ Gatherer, LineEncoder (thread) ─▶ Sender ─▶ influx_client, or POST /write of old 1.x
    query ──▶ Reader       ─ InfluxQL ─▶ Asker ─▶ /query
    logs ───▶ influx_logs  ─ InfluxQL ─▶ Asker ─▶ /query
    maintain ▶ Roller      ─ roll-ups that the database does not make by itself
    series, last ──▶ InfluxCatalog: memory only, filled from the database when it is first reached

The store opens whether the database can be reached or not: the first call that needs it finds it, and every call says
:class:`StoreUnavailable` until then. What is past its retention is not shown and not accepted; the database's own
retention policy deletes it. Why it is as it is: ``docs/decisions/influx-store.md``.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import structlog

from hub.store import influx_catalog, influx_logs
from hub.store.base import MaintenanceReport, QueryError, StoreBroken, StoreStats, StoreUnavailable
from hub.store.columns import Floors
from hub.store.influx_catalog import InfluxCatalog
from hub.store.influx_due import DueHours
from hub.store.influx_http import Http
from hub.store.influx_layout import ROLLUPS, bucket_of
from hub.store.influx_query import Asker, Unreadable
from hub.store.influx_read import Reader
from hub.store.influx_roll import Roller
from hub.store.influx_send import Sender
from hub.store.influx_sending import poster
from hub.store.influx_server import Generation, find_server
from hub.store.influx_write import InfluxWriter
from hub.store.influxql import identifier
from hub.store.partition import Kind, Retention, floor_ns
from hub.store.select import check_query

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from hub.store.base import Frame, Last, LogQuery, LogRecord, Query, Series, SeriesFilter, WriteResult
    from hub.store.influx_server import Server
    from hub.store.influx_target import Target
    from hub.store.partition import Keep
    from wire.point import Point

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Ready:
    """What there is once the server was reached."""

    server: Server
    asker: Asker | None
    catalog: InfluxCatalog
    writer: InfluxWriter
    reader: Reader | None
    roller: Roller | None


class InfluxStore:
    """A :class:`hub.store.base.Store` in one database of an InfluxDB.

    Args:
        retention: how long each resolution is kept, seconds; as the database's own policies, which delete.
        due: keeps which roll-ups are to be made; None forgets them with this object.
        clock_ns: now; decides what is too old to be stored, and what is late.
    """

    def __init__(
        self,
        target: Target,
        *,
        retention: Keep | None = None,
        due: DueHours | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._target = target
        self._keep = retention or Retention()
        self._clock_ns = clock_ns
        #: Before this nothing is shown: ``maintain`` moves it, as it would drop partitions elsewhere.
        self._floors = Floors()
        self._http = Http(target.access)
        self._thread = ThreadPoolExecutor(1, "store-write")
        self._stack = AsyncExitStack()
        self._reaching = asyncio.Lock()
        self._writing = asyncio.Lock()
        self._ready: _Ready | None = None
        self._due = DueHours(None, target.name) if due is None else due

    async def __aenter__(self) -> Self:
        """Open connections, and fetch the series if the server is there.

        Raises:
            StoreBroken: ``ca_file`` cannot be read.
        """
        self._due.load()
        try:
            await self._stack.enter_async_context(self._http)
        except OSError as error:
            raise StoreBroken(f"store.influx.ca_file cannot be read: {error}") from error
        try:
            await self._reach()
        except StoreUnavailable as error:
            _log.warning("InfluxDB is not there yet; going on without what it holds until it is", why=str(error))
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ready = None
        self._thread.shutdown(wait=False, cancel_futures=True)
        await self._stack.aclose()

    async def write(self, points: Sequence[Point]) -> WriteResult:
        ready = await self._reach()
        async with self._writing:
            late = await ready.roller.expect(points, self._clock_ns()) if ready.roller is not None else ()
            result = await ready.writer.write(points, self._accepted_from(), self._run)
        if ready.roller is not None and late:
            await ready.roller.came(late)
        return result

    async def series(self, chosen: SeriesFilter) -> list[Series]:
        return [each.series for each in (await self._reach()).catalog.select(chosen)]

    async def field_types(self) -> list[tuple[str, str, type]]:
        """Measurement, field and the one type that it takes, whatever the series, as the database says now.

        Raises:
            StoreUnavailable: no answer.
        """
        asker = (await self._reach()).asker
        try:
            return [] if asker is None else await influx_catalog.field_types(asker)
        except QueryError as error:
            raise StoreUnavailable(f"the types of fields cannot be asked for: {error}") from error

    async def query(self, query: Query) -> list[Frame]:
        ready = await self._reach()
        chosen = [each.series for each in ready.catalog.select(query.series)]
        check_query(query, chosen)
        if ready.reader is None:
            raise StoreUnavailable(f"{ready.server} cannot be asked: it takes data, and shows it elsewhere")
        return await ready.reader.find(query, chosen, self._floors.samples_ns)

    async def last(self, chosen: SeriesFilter) -> list[Last]:
        return (await self._reach()).catalog.last(chosen)

    async def logs(self, query: LogQuery) -> list[LogRecord]:
        ready = await self._reach()
        if ready.asker is None:
            raise StoreUnavailable(f"{ready.server} cannot be asked: it takes data, and shows it elsewhere")
        return await influx_logs.find(ready.asker, self._target.retention_policy, query, self._floors.logs_ns)

    async def maintain(self, now_ns: int) -> MaintenanceReport:
        """Forget what is past its retention, which the database deletes; make the roll-ups that it does not make."""
        ready = await self._reach()
        async with self._writing:
            floors = self._floors_at(now_ns)
            self._floors = Floors(
                max(floors.samples_ns, self._floors.samples_ns), max(floors.logs_ns, self._floors.logs_ns)
            )
            before = ready.catalog.count()
            cut = ready.catalog.forget_before(self._floors.samples_ns)
            if cut and ready.asker is not None:
                await influx_catalog.begin_anew(
                    ready.asker, ready.catalog, cut, self._target.retention_policy, self._floors.samples_ns
                )
            if ready.catalog.count() < before:
                ready.writer.forget()
        if ready.roller is None:
            return MaintenanceReport()
        try:
            return MaintenanceReport(rolled_up_rows=await ready.roller.maintain(now_ns, self._floors.samples_ns))
        except QueryError as error:
            raise StoreUnavailable(f"the last minutes cannot be rolled up yet: {error}") from error

    async def stats(self) -> StoreStats:
        """Size is 0: InfluxDB has no way to say it."""
        if self._ready is None:
            return StoreStats("influx", 0, 0, None)
        return StoreStats("influx", self._ready.catalog.count(), 0, self._ready.catalog.oldest_ns())

    # ── private ──

    async def _reach(self) -> _Ready:
        """Find the server and fetch its series, once."""
        if self._ready is None:
            async with self._reaching:
                if self._ready is None:
                    self._ready = await self._connected()
        return self._ready

    async def _connected(self) -> _Ready:
        target = self._target
        server = await find_server(self._http, target.generation, target.database)
        asker = Asker(self._http, target.database, server.generation) if server.can_query else None
        catalog, newest_logs, rollups = InfluxCatalog(), {}, frozenset[str]()
        if asker is not None:
            try:
                now_ns = self._clock_ns()
                await influx_catalog.load(asker, catalog, target.retention_policy, self._shown_from(), now_ns)
                newest_logs = await influx_logs.newest(asker, target.retention_policy, now_ns)
                rollups = await _rollups(asker, server, target.database)
            except (Unreadable, QueryError) as error:
                _log.error("writing without reading: no queries, and what comes twice counts as new", why=str(error))
                asker = None
        policy = self._policy_in(server)
        writer = InfluxWriter(
            catalog=catalog,
            sender=await self._sender(server, target.retention_policy),
            asker=asker,
            retention_policy=policy,
            newest_logs=newest_logs,
            holds_texts=server.generation is not Generation.VICTORIA,
        )
        _log.info("reached", server=str(server), url=target.access.url, series=catalog.count(), rollups=sorted(rollups))
        if asker is None:
            return _Ready(server, asker, catalog, writer, None, None)
        databases = {name: bucket_of(target.database, name) for name in rollups} if _is_apart(server) else {}
        reader = Reader(asker, retention_policy=policy, rollups=rollups, databases=databases, unmade=self._due.spans)
        roller = Roller(
            asker=asker,
            catalog=catalog,
            retention_policy=policy,
            senders={name: await self._sender(server, name) for name in rollups},
            due=self._due,
            makes_all=_is_apart(server) if target.hub_rolls_up is None else target.hub_rolls_up,
            run=self._run,
        )
        return _Ready(server, asker, catalog, writer, reader, roller)

    async def _sender(self, server: Server, policy: str) -> Sender:
        """What sends lines to a retention policy."""
        target = self._target
        post = await self._stack.enter_async_context(poster(self._http, server, target, policy))
        kind = "bucket" if server.generation is Generation.V2 else "database"
        name = bucket_of(target.database, policy)
        return Sender(
            post, server=f"{server} at {target.access.url}", database=f"{kind} {name!r}", is_gzip=target.access.gzip
        )

    def _policy_in(self, server: Server) -> str:
        """The retention policy in statements; 3.x has none."""
        return "" if server.generation is Generation.V3 else self._target.retention_policy

    def _floors_at(self, now_ns: int) -> Floors:
        return Floors(floor_ns(self._keep, Kind.NUMBERS, now_ns), floor_ns(self._keep, Kind.LOGS, now_ns))

    def _accepted_from(self) -> Floors:
        floors = self._floors_at(self._clock_ns())
        return Floors(max(floors.samples_ns, self._floors.samples_ns), max(floors.logs_ns, self._floors.logs_ns))

    def _shown_from(self) -> int:
        return self._floors_at(self._clock_ns()).samples_ns

    async def _run(self, function: Callable[..., Any], *args: object) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(function, *args))


def _is_apart(server: Server) -> bool:
    """Whether roll-ups are databases of their own, and nobody but the hub makes them."""
    return server.generation is Generation.V3


async def _rollups(asker: Asker, server: Server, database: str) -> frozenset[str]:
    """Names of the roll-ups that were set up."""
    if _is_apart(server):
        return frozenset([r.name for r in ROLLUPS if await asker.has(bucket_of(database, r.name))])
    (answer,) = await asker.ask([f"SHOW RETENTION POLICIES ON {identifier(database)}"])
    there = {row[0] for series in answer.series for row in series.values}
    return frozenset(rollup.name for rollup in ROLLUPS if rollup.name in there)
