"""A store that shows the nodes of somebody's access groups and nothing of any other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from msgspec.structs import replace

from hub.store.base import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from hub.store.base import (
        Frame,
        Last,
        LogQuery,
        LogRecord,
        MaintenanceReport,
        Query,
        Series,
        SeriesFilter,
        Store,
        StoreStats,
        WriteResult,
    )
    from wire.point import Point


class SeenStore:
    """The reading calls of ``store``, each limited to ``nodes``; the others are refused: it is not ours to open."""

    def __init__(self, store: Store, nodes: frozenset[str]) -> None:
        self._store = store
        self._nodes = nodes

    async def series(self, chosen: SeriesFilter) -> list[Series]:
        return await self._store.series(self._of(chosen))

    async def query(self, query: Query) -> list[Frame]:
        return await self._store.query(replace(query, series=self._of(query.series)))

    async def last(self, chosen: SeriesFilter) -> list[Last]:
        return await self._store.last(self._of(chosen))

    async def logs(self, query: LogQuery) -> list[LogRecord]:
        return await self._store.logs(replace(query, nodes=self._both(query.nodes)))

    async def __aenter__(self) -> Self:
        raise StoreError("a view of a store is not opened")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise StoreError("a view of a store is not closed")

    async def write(self, points: Sequence[Point]) -> WriteResult:
        del points
        raise StoreError("nothing is written through a view of a store")

    async def maintain(self, now_ns: int) -> MaintenanceReport:
        del now_ns
        raise StoreError("a view of a store is not maintained")

    async def stats(self) -> StoreStats:
        raise StoreError("a view of a store has no figures")

    def _of(self, chosen: SeriesFilter) -> SeriesFilter:
        return replace(chosen, nodes=self._both(chosen.nodes))

    def _both(self, asked: frozenset[str] | None) -> frozenset[str]:
        return self._nodes if asked is None else self._nodes & asked
