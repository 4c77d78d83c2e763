"""Several stores as one: every point goes to each of them.

    write ──┬──▶ first   (SpooledStore) ──▶ InfluxDB      answers all reading calls
            └──▶ second  (SpooledStore) ──▶ DuckDB

Each sink stands behind a spool of its own, so it has its own progress: one that is away spools while the others store,
and catches up by itself. A batch counts as durable when every sink has it, stored or spooled. So a sink whose spool is
full stops the acknowledgements, for a batch that it cannot have would be lost to it: the others have that batch
already, the broker holds what follows.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

from hub.store.base import MaintenanceReport, Rejected, StoreBroken, StoreUnavailable, WriteResult
from hub.store.passing import PassingStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from hub.store.base import Store
    from wire.point import Point


class FanOut(PassingStore):
    """Implements :class:`~hub.store.base.Store` over named sinks, at least one; the first answers reading calls.

    The result of a batch: ``accepted`` and ``duplicates`` as the first sink said. ``rejected`` holds what any sink
    refused, the reason led by the sink's name; ``whole`` only where every sink refused all of the point.

    When a sink raises StoreUnavailable, so does ``write``, once all the others are done. The same batch, the same
    object, written again goes only to those that do not have it yet.
    """

    def __init__(self, sinks: Mapping[str, Store]) -> None:
        self._sinks = dict(sinks)
        self._names = list(self._sinks)
        self._stack = contextlib.AsyncExitStack()
        #: The batch that some sinks have and others do not.
        self._pending: Sequence[Point] | None = None
        self._done: dict[str, WriteResult] = {}

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            for sink in self._sinks.values():
                await stack.enter_async_context(sink)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def write(self, points: Sequence[Point]) -> WriteResult:
        if self._pending is not points:
            self._pending, self._done = points, {}
        left = [name for name in self._names if name not in self._done]
        outcomes = await asyncio.gather(*(self._sinks[name].write(points) for name in left), return_exceptions=True)
        errors: list[BaseException] = []
        for name, outcome in zip(left, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                errors.append(outcome)
            else:
                self._done[name] = outcome
        if errors:
            # What stops the hub goes before what only makes it wait.
            raise min(errors, key=lambda error: isinstance(error, StoreUnavailable))
        results, self._pending, self._done = self._done, None, {}
        return self._merged(results)

    async def maintain(self, now_ns: int) -> MaintenanceReport:
        """Each sink's; one that cannot does not keep the others from it, and its error is raised in the end."""
        errors: list[StoreUnavailable | StoreBroken] = []
        dropped = rolled_up = 0
        for sink in self._sinks.values():
            try:
                done = await sink.maintain(now_ns)
            except (StoreUnavailable, StoreBroken) as error:
                errors.append(error)
            else:
                dropped, rolled_up = dropped + done.dropped_partitions, rolled_up + done.rolled_up_rows
        if errors:
            raise min(errors, key=lambda error: isinstance(error, StoreUnavailable))
        return MaintenanceReport(dropped, rolled_up)

    def _reading(self) -> Store:
        return self._sinks[self._names[0]]

    def _merged(self, results: Mapping[str, WriteResult]) -> WriteResult:
        first = results[self._names[0]]
        if not any(result.rejected for result in results.values()):
            return first
        found: dict[int, list[tuple[str, Rejected]]] = {}
        for name in self._names:
            for rejected in results[name].rejected:
                found.setdefault(rejected.index, []).append((name, rejected))
        merged = tuple(
            Rejected(
                index,
                "; ".join(f"{name}: {rejected.reason}" for name, rejected in refused),
                whole=len({name for name, rejected in refused if rejected.whole}) == len(self._names),
            )
            for index, refused in sorted(found.items())
        )
        return WriteResult(first.accepted, first.duplicates, merged)
