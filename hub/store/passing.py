"""Reading calls passed on to another store; what stands in front of stores shares it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    )


class PassingStore(ABC):
    """Everything of a Store but opening, closing and ``write``."""

    @abstractmethod
    def _reading(self) -> Store:
        """The store that answers; may raise StoreUnavailable."""

    async def series(self, chosen: SeriesFilter) -> list[Series]:
        return await self._reading().series(chosen)

    async def query(self, query: Query) -> list[Frame]:
        return await self._reading().query(query)

    async def last(self, chosen: SeriesFilter) -> list[Last]:
        return await self._reading().last(chosen)

    async def logs(self, query: LogQuery) -> list[LogRecord]:
        return await self._reading().logs(query)

    async def maintain(self, now_ns: int) -> MaintenanceReport:
        return await self._reading().maintain(now_ns)

    async def stats(self) -> StoreStats:
        return await self._reading().stats()
