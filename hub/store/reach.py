"""One write at a time to a store that may be away, slow or broken, and whether it is.

write()  ─▶ result                   the store took the batch
         ─▶ None, and trouble        it did not, or not in time; from now on only replay tries, after a pause
replay() ─▶ the same, but it waits for an answer that is late, so that a slow store makes progress
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog

from hub.store.base import StoreBroken, StoreUnavailable, WriteResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from wire.point import Point

_RETRY_LAST_S: Final = 10.0
#: A store that needs a person is asked again this rarely.
_BROKEN_RETRY_S: Final = 30.0

_log = structlog.get_logger("hub.store.spooled")


class Reach:
    """Keeps the state of a store as its writes show it.

    Args:
        write: of the store.
        name: of the store, in the log.
        patience_s: a write that takes longer is left to itself.
        retry_s: first pause after a failure; each is twice as long as the one before, up to 10 s.
        on_trouble: called at every failure.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Point]], Awaitable[WriteResult]],
        *,
        name: str,
        patience_s: float,
        retry_s: float,
        on_trouble: Callable[[], None],
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._write = write
        self._name = name
        self._patience_s = patience_s
        self._retry_s = self._next_s = retry_s
        self._on_trouble = on_trouble
        self._clock_ns = clock_ns
        self._straggler: asyncio.Future[WriteResult] | None = None
        #: Held by whoever writes while live batches go to the store.
        self._turn = asyncio.Lock()
        #: Why live batches do not go to the store; empty while they do.
        self.trouble = ""
        #: Since when, ns.
        self.since_ns = 0
        #: Before the next attempt; 0 while the store answers.
        self.pause_s = 0.0

    def is_direct(self) -> bool:
        """Whether live batches go to the store."""
        return not self.trouble

    async def write(self, points: Sequence[Point]) -> WriteResult | None:
        """Write a live batch; None when it has to go elsewhere, and ``trouble`` says why."""
        if self.trouble:
            return None
        async with self._turn:
            return await self._attempt(points, self._patience_s) if self.is_direct() else None

    async def replay(self, points: Sequence[Point]) -> WriteResult | None:
        """Write what came earlier, behind live batches; None when it has to be tried again after ``pause_s``."""
        if self._straggler is not None:
            await self._late()  # a live batch that is kept elsewhere too
            return None
        if self.trouble:
            return await self._attempt(points, None)  # nobody waits behind it
        async with self._turn:
            if not self.is_direct():
                return None
            result = await self._attempt(points, self._patience_s)
        return result if result is not None else await self._late()

    def failed(self, error: StoreUnavailable | StoreBroken) -> None:
        """Live batches go elsewhere from now on."""
        retry_s = _BROKEN_RETRY_S if isinstance(error, StoreBroken) else error.retry_after_s
        self.pause_s = retry_s or self._next_s
        self._next_s = min(2 * self._next_s, _RETRY_LAST_S)
        if not self.trouble:
            self.since_ns = self._clock_ns()
            _log.error("the store takes nothing: storing to the spool", store=self._name, why=str(error))
        self.trouble = str(error) or type(error).__name__
        self._on_trouble()

    def recovered(self) -> None:
        """Live batches go to the store from now on."""
        self._next_s, self.pause_s = self._retry_s, 0.0
        if self.trouble:
            # A warning, as its failure was worse: whoever watches the terminal sees both.
            _log.warning("the store answers again", store=self._name, after=self.trouble)
            self.trouble, self.since_ns = "", 0

    async def close(self) -> None:
        """End a write that still runs; what it held is in the spool."""
        if self._straggler is not None:
            await _cancelled(self._straggler)

    async def _attempt(self, points: Sequence[Point], patience_s: float | None) -> WriteResult | None:
        began = time.perf_counter()
        task = asyncio.ensure_future(self._write(points))
        try:
            await asyncio.wait({task}, timeout=patience_s)
        except asyncio.CancelledError:
            await _cancelled(task)
            raise
        if not task.done():
            self._straggler = task
            self.failed(StoreUnavailable(f"no answer to a write within {patience_s:g} s"))
            return None
        return self._outcome(task, time.perf_counter() - began)

    async def _late(self) -> WriteResult | None:
        if self._straggler is None:
            return None
        await asyncio.wait({self._straggler})
        task, self._straggler = self._straggler, None
        return self._outcome(task, self._patience_s * 2)

    def _outcome(self, task: asyncio.Future[WriteResult], busy_s: float) -> WriteResult | None:
        try:
            result = task.result()
        except (StoreUnavailable, StoreBroken) as error:
            self.failed(error)
            return None
        self.pause_s = 0.0
        if busy_s <= self._patience_s:
            self.recovered()
        return result


async def _cancelled(task: asyncio.Future[WriteResult]) -> None:
    task.cancel()
    await asyncio.wait({task})
