"""The embedded store: one DuckDB file, owned by this process.

    event loop ──write────────▶ writer's thread ──── Writer ──▶ numbers_… texts_… logs_… series   duck_write, duck_state
               ──query, logs──▶ reading threads ──── lease ───▶ one transaction each              duck_query, duck_logs
               ──series, last─▶ reading threads ──── Catalog ─▶ memory only                       catalog
               ──maintain─────▶ maintenance thread ─ leases ──▶ minutes_… hours_…, old ones go    duck_rollup

Why it is cut like this, what a partition is, and the figures: ``docs/decisions/duck-store.md``.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, Self, TypeVar

import duckdb
import structlog

from hub.store import duck_logs, duck_query, duck_rollup
from hub.store.base import MaintenanceReport, StoreError, StoreStats, StoreUnavailable
from hub.store.duck_file import DuckFile
from hub.store.duck_write import Writer
from hub.store.partition import Kind, Retention, floor_ns
from hub.store.select import check_query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from hub.store.base import Frame, Last, LogQuery, LogRecord, Query, Series, SeriesFilter, WriteResult
    from hub.store.catalog import Catalog
    from hub.store.partition import Keep
    from wire.point import Point

_READERS: Final = 4
_T = TypeVar("_T")
_log = structlog.get_logger(__name__)


class DuckStore:
    """A :class:`hub.store.base.Store` in one DuckDB file.

    Args:
        path: the file; made when missing. Its directory must exist.
        retention: how long each resolution is kept, seconds.
        memory_bytes: what DuckDB may use; more goes to a temporary directory beside the file.
        threads: threads of DuckDB for one query or checkpoint.
        clock_ns: now; decides what is too old to be stored.
    """

    def __init__(
        self,
        path: Path,
        *,
        retention: Keep | None = None,
        memory_bytes: int = 1 << 30,
        threads: int = 2,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._keep = retention or Retention()
        self._clock_ns = clock_ns
        self._file = DuckFile(path, memory_bytes=memory_bytes, threads=threads)
        self._writing = ThreadPoolExecutor(1, "store-write")
        self._maintaining = ThreadPoolExecutor(1, "store-maintain")
        self._reading = ThreadPoolExecutor(_READERS, "store-read")
        self._maintenance = asyncio.Lock()
        self._writer: Writer | None = None
        #: False from the start of a write until its commit is known: a failed one leaves it open what is stored.
        self._is_sound = False
        self._is_closed = False
        self._mark_ns = 0
        self._samples_from_ns = 0

    async def __aenter__(self) -> Self:
        """Open the file.

        Raises:
            StoreBroken: in use by another process, corrupt, or not to be opened; the message says what to do.
        """
        try:
            await self._run(self._writing, self._open)
        except BaseException:  # also when cancelled: the thread then still opens the file
            self._writing.submit(self._close)
            self._stop_threads()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._run(self._writing, self._close)
        finally:
            self._stop_threads()

    async def write(self, points: Sequence[Point]) -> WriteResult:
        return await self._run(self._writing, self._write, points)

    async def series(self, chosen: SeriesFilter) -> list[Series]:
        return [each.series for each in await self._run(self._reading, self._catalog.select, chosen)]

    async def query(self, query: Query) -> list[Frame]:
        return await self._run(self._reading, self._query, query)

    async def last(self, chosen: SeriesFilter) -> list[Last]:
        return await self._run(self._reading, self._catalog.last, chosen)

    async def logs(self, query: LogQuery) -> list[LogRecord]:
        return await self._run(self._reading, self._logs, query)

    async def maintain(self, now_ns: int) -> MaintenanceReport:
        async with self._maintenance:
            mark_ns = await self._run(self._writing, self._set_bounds, now_ns)
            rows = await self._run(self._maintaining, duck_rollup.roll_up, self._file, mark_ns)
            dropped = await self._run(self._maintaining, duck_rollup.drop_old, self._file, self._keep, now_ns)
            await self._run(self._writing, self._settle)
        return MaintenanceReport(dropped, rows)

    async def stats(self) -> StoreStats:
        catalog = self._catalog
        return StoreStats("duck", catalog.count(), self._file.size_bytes(), catalog.oldest_ns())

    # ── in the writer's thread ──

    def _open(self) -> Writer:
        self._file.open()
        try:
            writer = Writer(self._file, self._keep, self._clock_ns)
        except duckdb.Error as error:
            self._file.close()
            raise self._file.translated(error) from error
        writer.set_bounds(self._mark_ns, self._samples_from_ns)
        self._writer, self._is_sound = writer, True
        return writer

    def _close(self) -> None:
        try:
            if self._is_sound:
                with self._changing() as writer:
                    writer.save()
        except StoreError as error:
            _log.warning("the state of the series was not saved; the next start will take longer", error=str(error))
        finally:
            self._is_sound = False
            self._file.close()

    def _write(self, points: Sequence[Point]) -> WriteResult:
        with self._changing() as writer:
            return writer.write(points)

    def _set_bounds(self, now_ns: int) -> int:
        with self._changing() as writer:
            self._mark_ns = duck_rollup.next_mark(self._keep, now_ns, writer.catalog.newest_number_ns())
            self._samples_from_ns = floor_ns(self._keep, Kind.NUMBERS, now_ns)
            writer.set_bounds(self._mark_ns, self._samples_from_ns)
        return self._mark_ns

    def _settle(self) -> None:
        with self._changing() as writer:
            writer.settle()

    @contextmanager
    def _changing(self) -> Iterator[Writer]:
        """The writer, for a change that is known to be committed, or else makes the next one open the file anew."""
        writer = self._writer if self._is_sound else None
        if writer is None:
            _log.warning("the last write to the store failed: opening the file anew", path=str(self._file.path))
            self._file.close()
            writer = self._open()
        self._is_sound = False
        try:
            yield writer
        except duckdb.Error as error:
            raise self._file.translated(error) from error
        self._is_sound = True

    # ── in reading threads ──

    def _query(self, query: Query) -> list[Frame]:
        chosen = self._catalog.select(query.series)
        check_query(query, [each.series for each in chosen])
        with self._file.lease() as connection:
            return duck_query.find(connection, query, chosen)

    def _logs(self, query: LogQuery) -> list[LogRecord]:
        with self._file.lease() as connection:
            return duck_logs.find(connection, query)

    # ── private ──

    @property
    def _catalog(self) -> Catalog:
        if self._writer is None:
            raise StoreUnavailable(f"{self._file.path} is closed")
        return self._writer.catalog

    def _stop_threads(self) -> None:
        for pool in (self._writing, self._maintaining, self._reading):
            pool.shutdown(wait=False)
        self._is_closed = True

    async def _run(self, pool: ThreadPoolExecutor, function: Callable[..., _T], *args: object) -> _T:
        if self._is_closed:
            raise StoreUnavailable(f"{self._file.path} is closed")
        return await asyncio.get_running_loop().run_in_executor(pool, partial(function, *args))
