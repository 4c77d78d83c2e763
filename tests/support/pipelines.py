"""A pipeline whose link and store are played, and whose rejects and ledger are real files.

``async with Bench(folder) as bench`` runs it; ``bench.link.deliver(…)`` brings messages, ``bench.events`` tells in
which order what was done, and each part fails when ``bench.fail(…)`` told it to.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Any, Self

from hub.ledger import Ledger
from hub.link import Batch
from hub.pipeline import Pipeline
from hub.rejects import Rejects
from hub.store.memory import MemoryStore
from tests.support.hotpath import NOW_NS, Rig
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hub.group import Group
    from hub.ledger import Settled
    from hub.messages import Incoming
    from hub.rejects import Reject
    from hub.store.base import WriteResult
    from wire.point import Point


class PlayedLink:
    """Hands over what it is given and remembers what is acknowledged."""

    def __init__(self, events: list[str]) -> None:
        self._events = events
        self._waiting: deque[Batch] = deque()
        self._arrived = asyncio.Event()
        self.acknowledged: list[Batch] = []
        self.stopped = False

    def deliver(self, *messages: Incoming) -> Batch:
        """One batch."""
        batch = Batch(None)
        batch.messages += messages  # type: ignore[arg-type]  # as much of a message as the pipeline looks at
        self._waiting.append(batch)
        self._arrived.set()
        return batch

    async def batch(self) -> Batch:
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()

    def batch_nowait(self) -> Batch | None:
        return self._waiting.popleft() if self._waiting else None

    def acknowledge(self, batch: Batch) -> None:
        self._events.append("acknowledge")
        self.acknowledged.append(batch)

    def stop_reading(self) -> None:
        self.stopped = True


class PlayedStore(MemoryStore):
    """Stores in memory; before that it waits while ``gate`` is closed, and raises what stands in ``errors``."""

    def __init__(self, events: list[str]) -> None:
        super().__init__(clock_ns=lambda: NOW_NS)
        self._events = events
        self._writing = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.errors: list[Exception] = []
        #: Batches as they came, also those that failed.
        self.tried: list[list[Point]] = []
        #: Makes of a result what the test wants.
        self.change: Callable[[WriteResult], WriteResult] = lambda result: result

    async def write(self, points: Sequence[Point]) -> WriteResult:
        assert not self._writing, "two writes at a time"
        self._writing = True
        try:
            self.tried.append(list(points))
            await self.gate.wait()
            if self.errors:
                raise self.errors.pop(0)
            self._events.append("store")
            return self.change(await super().write(points))
        finally:
            self._writing = False


class WatchedRejects(Rejects):
    """Says when it has kept something; raises what stands in ``errors`` first."""

    def __init__(self, path: Path, events: list[str]) -> None:
        super().__init__(path, max_bytes=1 << 24, max_messages=10_000)
        self._events = events
        self.errors: list[Exception] = []

    async def keep(self, batch: Sequence[Reject]) -> None:
        if self.errors:
            raise self.errors.pop(0)
        await super().keep(batch)
        self._events.append("rejects")


class WatchedLedger(Ledger):
    """Says when it has settled a group; raises what stands in ``errors`` first."""

    def __init__(self, path: Path, events: list[str]) -> None:
        super().__init__(path)
        self._events = events
        self.errors: list[Exception] = []

    async def settle(self, settled: Settled) -> None:
        if self.errors:
            raise self.errors.pop(0)
        await super().settle(settled)
        self._events.append("ledger")


class Bench:
    """Everything, wired; ``async with`` runs it, and its end stops the pipeline in order unless it ended before."""

    def __init__(self, folder: Path, *, linger_s: float = 0.0, batch_messages: int = 1000) -> None:
        self.events: list[str] = []
        self.rig = Rig()
        self.link = PlayedLink(self.events)
        self.store = PlayedStore(self.events)
        self.rejects = WatchedRejects(folder / "rejects.db", self.events)
        self.ledger = WatchedLedger(folder / "ledger.db", self.events)
        self.observed: list[list[Point]] = []
        self.followed: list[tuple[Group, set[int], set[int]]] = []
        self.writing = asyncio.Lock()
        self.pipeline = Pipeline(
            link=self.link,  # type: ignore[arg-type]  # plays it
            intake=self.rig.intake,
            store=self.store,
            rejects=self.rejects,
            ledger=self.ledger,
            controls=self.rig.controls,
            clocks=self.rig.clocks,
            metrics=self.rig.metrics,
            writing=self.writing,
            observers=[self._observe],
            followers=[lambda *told: self.followed.append(told)],
            batch_messages=batch_messages,
            linger_s=linger_s,
            clock_ns=self.rig.clock,
        )
        self._errors = {
            "store": self.store.errors,
            "rejects": self.rejects.errors,
            "registry": self.rig.registry.errors,
            "ledger": self.ledger.errors,
        }
        self.task: asyncio.Task[None]
        self._files = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._files.enter_async_context(self.rejects)
        await self._files.enter_async_context(self.ledger)
        self.task = asyncio.create_task(self.pipeline.run())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                await self.stop()
        finally:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ExceptionGroup):
                await self.task
            await self._files.aclose()

    def fail(self, part: str, *errors: Exception) -> None:
        """Have ``store``, ``rejects``, ``registry`` or ``ledger`` raise these, one by one."""
        self._errors[part] += errors

    def mend(self) -> None:
        """Let nothing fail any more."""
        for errors in self._errors.values():
            errors.clear()

    async def stop(self) -> None:
        """Stop the pipeline and wait until it has ended."""
        if not self.task.done():
            self.pipeline.stop()
            await asyncio.wait_for(asyncio.shield(self.task), 60)

    async def done(self, batches: int) -> None:
        """Wait until so many batches have been acknowledged."""
        await eventually(lambda: len(self.link.acknowledged) >= batches or self.task.done())
        if self.task.done():
            self.task.result()

    def counted(self) -> dict[str, Any]:
        """What the ledger says of all nodes together, without what is 0."""
        totals = self.ledger.totals()
        names = ("received", "stored", "duplicate", "handled", "refused", "values_refused", "unaccounted")
        return {name: found for name in names if (found := getattr(totals, name))}

    def _observe(self, points: Sequence[Point]) -> None:
        self.events.append("observe")
        self.observed.append(list(points))
