"""A store with a spool in front: what the store cannot take now counts as durable once it is in the spool.

             store answers                      ┌───────────────────────────┐
    write ──────────────────────────▶ store ◀───┤ replay: oldest first, at  │
      │                                         │ most half of the time     │
      └─ unavailable, or no answer ─▶ spool ───▶└───────────────────────────┘
         within ``patience_s``                    points refused for good ─▶ on_refused

Two states. *Direct*: live batches go to the store; a backlog is replayed between them. *Spooling*: live batches go to
the spool at once, and only the replay asks the store, with growing pauses; an answer in time brings back *direct*.

Order: the backlog is replayed in the order in which it came. Live batches overtake it, so after an outage the newest
samples are in the store first and the gap behind them fills up from its old end. Each sample keeps its own time; of two
values for one time, the one that reaches the store first stays.

Repetition: a batch whose answer did not come is spooled though it may be stored, and a replay that was killed starts
again at the last position saved. Both write some points twice, which changes nothing by the contract of ``write``.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final, Never, Self

import structlog

from hub.statefaults import StateUnavailable
from hub.store.base import StoreUnavailable, WriteResult
from hub.store.passing import PassingStore
from hub.store.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType

    from hub.store.base import Rejected, Store
    from hub.store.spool import Chunk, Spool
    from hub.store.spool_stats import SpoolStats
    from wire.point import Point

    #: Keeps points that the store refused when they were replayed, whose messages were acknowledged long ago. May raise
    #: StoreUnavailable or StateUnavailable: it is called again with the same ones, as also after a ``kill -9``.
    OnRefused = Callable[[Sequence[tuple[Point, Rejected]]], Awaitable[None]]

#: Points of one replayed write: short enough that a live batch waits little behind it.
_REPLAY_POINTS: Final = 20_000
#: Share of the time that replay may keep the store busy.
_REPLAY_SHARE: Final = 0.5

_log = structlog.get_logger("hub.store.spooled")


class SpooledStore(PassingStore):
    """Implements :class:`~hub.store.base.Store`. ``write`` raises StoreUnavailable only when the spool takes nothing.

    Opening it opens the spool, then the store; a store that may be away at that time has to open all the same. The
    result of a spooled batch counts all of its values as accepted: what was stored before or is refused shows when it
    is replayed. Reading calls go to the store: what waits in the spool is not in their answers.

    Args:
        store: not open yet; nobody else may write to it.
        spool: not open yet; its own.
        name: of the store, in the log and on health pages.
        on_refused: see :data:`OnRefused`.
        on_reached: called before the first write that the store gets, which may be long after the start; may raise
            StoreUnavailable.
        patience_s: a write that takes longer is left to itself, and its batch is spooled.
        retry_s: first pause between two attempts; each is twice as long as the one before, up to 10 s.
    """

    def __init__(
        self,
        store: Store,
        spool: Spool,
        *,
        name: str,
        on_refused: OnRefused,
        on_reached: Callable[[Store], Awaitable[None]] | None = None,
        patience_s: float = 5.0,
        retry_s: float = 0.5,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.name = name
        self._store = store
        self._spool = spool
        self._on_refused = on_refused
        self._on_reached = on_reached
        self._retry_s = retry_s
        self._stack = contextlib.AsyncExitStack()
        self._is_reached = False
        #: Set while there is something to replay or to try.
        self._work = asyncio.Event()
        self._replayer: asyncio.Task[Never] | None = None
        self._reach = Reach(
            self._write, name=name, patience_s=patience_s, retry_s=retry_s, on_trouble=self._work.set, clock_ns=clock_ns
        )

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._spool)
            await stack.enter_async_context(self._store)
            self._stack = stack.pop_all()
        if not self._spool.is_empty:
            _log.info("replaying what waits in the spool", store=self.name, **_figures(self._spool.stats()))
            self._work.set()
        self._replayer = asyncio.create_task(self._replay(), name=f"replay into {self.name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._replayer is not None:
            self._replayer.cancel()
            await asyncio.wait({self._replayer})
        await self._reach.close()
        if not self._spool.is_empty:
            _log.info("the spool is kept for the next start", store=self.name, **_figures(self._spool.stats()))
        await self._stack.aclose()

    async def write(self, points: Sequence[Point]) -> WriteResult:
        self._check_replayer()
        if (result := await self._reach.write(points)) is not None:
            return result
        # Now: by the time the spool has failed too, the store may be back.
        why = self.trouble
        try:
            await self._spool.append(points)
        except StoreUnavailable as error:
            raise StoreUnavailable(f"{error} ({self.name}: {why})", error.retry_after_s) from error
        self._work.set()
        return WriteResult(sum(len(point.fields) for point in points))

    @property
    def trouble(self) -> str:
        """Why batches go to the spool; empty while they go to the store."""
        return self._reach.trouble

    @property
    def since_ns(self) -> int:
        """Since when they go to the spool."""
        return self._reach.since_ns

    def spool_stats(self) -> SpoolStats:
        """Figures of the spool."""
        return self._spool.stats()

    # -- the store ----------------------------------------------------------------------------------------------------

    def _reading(self) -> Store:
        return self._store

    async def _write(self, points: Sequence[Point]) -> WriteResult:
        if not self._is_reached and self._on_reached is not None:
            await self._on_reached(self._store)
        self._is_reached = True
        return await self._store.write(points)

    # -- replay -------------------------------------------------------------------------------------------------------

    async def _replay(self) -> Never:
        while True:
            await self._work.wait()
            await asyncio.sleep(self._reach.pause_s)
            try:
                # As little as can be while it is not known whether the store answers.
                chunk = await self._spool.read(1 if self._reach.pause_s else _REPLAY_POINTS)
            except StoreUnavailable as error:
                await self._wait_after("reading the spool", error)
                continue
            if chunk is not None:
                await self._replay_chunk(chunk)
                continue
            self._work.clear()
            if self._spool.is_empty:
                self._reach.recovered()  # nothing to try it with: the next live batch does
            else:
                self._work.set()  # something came while we looked

    async def _replay_chunk(self, chunk: Chunk) -> None:
        began = time.perf_counter()
        result = await self._reach.replay(chunk.points)
        busy_s = time.perf_counter() - began
        if result is None:
            return
        if result.rejected:
            await self._hand_over([(chunk.points[found.index], found) for found in result.rejected])
        await self._spool.advance(chunk)
        if self._spool.is_empty:
            _log.info("the spool is empty: all of it is stored", store=self.name)
        if self._reach.is_direct():
            await asyncio.sleep(busy_s * (1 / _REPLAY_SHARE - 1))

    async def _hand_over(self, refused: Sequence[tuple[Point, Rejected]]) -> None:
        while True:
            try:
                await self._on_refused(refused)
            except (StoreUnavailable, StateUnavailable) as error:
                await self._wait_after("keeping what the store refused", error)
            else:
                return

    async def _wait_after(self, what: str, error: Exception) -> None:
        _log.error("the replay waits", store=self.name, failed=what, why=str(error))
        await asyncio.sleep(10 * self._retry_s)

    def _check_replayer(self) -> None:
        """A mistake in the replay must not pass in silence."""
        if self._replayer is not None and self._replayer.done():
            self._replayer.result()


def _figures(stats: SpoolStats) -> dict[str, str | float]:
    return {"spool_mib": round(stats.size_bytes / 2**20, 1), "spool_hours": round(stats.hours, 2)}
