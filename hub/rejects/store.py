"""The dead-letter store: keep, list, show, replay, drop."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Self, TypeVar

import structlog

from hub.rejects import tables
from hub.rejects.model import KeptReject, Reject, RejectFilter, RejectState, RejectStats, ReplayOutcome, ReplayReport
from hub.rejects.tables import Figures
from hub.statefile import StateFile, transaction
from wire.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from pathlib import Path
    from sqlite3 import Connection
    from types import TracebackType

    #: Runs today's decoder and stores what it yields, durably; what it raises ends the replay.
    DecodeAgain = Callable[[Reject], Awaitable[ReplayOutcome]]

#: Rejects whose bytes are in memory during a replay.
_REPLAYED_AT_ONCE: Final = 16

_T = TypeVar("_T")

_log: Final = structlog.get_logger("hub.rejects")


class Rejects:
    """Refused messages on disk, within bounds. ``async with`` opens it and closes it.

    Args:
        path: SQLite file.
        max_bytes: what is held may count for so much (payload, texts and 200 bytes a message); one message alone may
            be larger. The file itself may be somewhat larger, and does not shrink.
        max_messages: so many are held.
        clock_ns: wall clock.

    Raises:
        StateBroken, StateUnavailable: on entering, see :class:`~hub.statefile.StateFile`. The latter also by every
            call that is awaited: nothing of it was done.
    """

    def __init__(
        self, path: Path, *, max_bytes: int, max_messages: int, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._file = StateFile(path, tables.MIGRATIONS, sync=True, loaded=self._load)
        self._max_bytes = max_bytes
        self._max_messages = max_messages
        self._clock_ns = clock_ns
        self._figures = Figures()
        self._evicting = False
        self._replaying = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._file.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._file.__aexit__(kind, error, trace)

    async def keep(self, batch: Sequence[Reject]) -> None:
        """Keep all of ``batch``, in order, or nothing of it; on return it outlives a power cut."""

        def work(connection: Connection, figures: Figures) -> None:
            tables.insert(connection, batch, figures)
            tables.evict(connection, figures, max_bytes=self._max_bytes, max_messages=self._max_messages)

        evicted = self._figures.evicted
        await self._change(work)
        if self._figures.evicted > evicted and not self._evicting:
            self._evicting = True
            _log.warning(
                "the rejects reach their bound: the oldest go; said once, `iothub rejects` shows how many went",
                max_bytes=self._max_bytes,
                max_messages=self._max_messages,
            )

    async def list(
        self,
        *,
        node: str | None = None,
        reason: str | None = None,
        topic: str | None = None,
        state: RejectState | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
        before_id: int | None = None,
        limit: int = 100,
        nodes: frozenset[str] | None = None,
    ) -> list[KeptReject]:
        """The newest ``limit`` of those chosen, newest first, without their bytes.

        Args:
            node: id, or a shell glob.
            reason: one of :class:`~wire.errors.Reason`.
            topic: shell glob over the whole topic.
            state: None for all.
            since_ns: arrived then or later.
            until_ns: arrived before.
            before_id: id of the last one of the page before.
            limit: at most so many.
            nodes: none of any other; None for all.
        """
        chosen = RejectFilter(node, reason, topic, state, since_ns, until_ns, nodes)
        return await self._file.run(
            lambda connection: tables.select(connection, chosen, before_id=before_id, limit=limit)
        )

    async def show(self, reject_id: int) -> KeptReject | None:
        """One reject with its bytes; None when there is none of that id (any more)."""
        found = await self._file.run(lambda connection: tables.fetch(connection, [reject_id]))
        return found[0] if found else None

    async def replay(self, ids: Iterable[int], decode_again: DecodeAgain) -> ReplayReport:
        """Hand rejects, oldest first, to today's decoder; mark those that it takes as replayed.

        A crash in between leaves a reject as it was: replaying it again stores nothing twice, because points without a
        time of their own are given that of the first arrival. Two replays never run at the same time.

        Raises:
            StateUnavailable, or what ``decode_again`` raised: those before it are marked, the rest is as it was.
        """
        wanted = sorted(set(ids))
        replayed: list[int] = []
        refused: list[int] = []
        gone = set(wanted)
        async with self._replaying:
            for start in range(0, len(wanted), _REPLAYED_AT_ONCE):
                part = wanted[start : start + _REPLAYED_AT_ONCE]
                for each, outcome in await self._replay(part, decode_again):
                    (replayed if outcome.reason is None else refused).append(each.id)
                    gone.discard(each.id)
        return ReplayReport(tuple(replayed), tuple(refused), tuple(sorted(gone)))

    async def drop(self, ids: Iterable[int]) -> int:
        """Remove the bytes of rejects that nobody needs; how many of them there were."""
        wanted, now_ns = list(ids), self._clock_ns()
        return await self._change(lambda connection, figures: tables.drop(connection, wanted, now_ns, figures))

    def stats(self) -> RejectStats:
        """Figures; from memory, cheap."""
        figures = self._figures
        return RejectStats(
            kept=figures.states[RejectState.KEPT],
            replayed=figures.states[RejectState.REPLAYED],
            dropped=figures.states[RejectState.DROPPED],
            size_bytes=figures.cost_bytes,
            evicted=figures.evicted,
            max_bytes=self._max_bytes,
            max_messages=self._max_messages,
        )

    # -- private ----------------------------------------------------------------------------------------------------

    async def _replay(
        self, ids: Sequence[int], decode_again: DecodeAgain
    ) -> Sequence[tuple[KeptReject, ReplayOutcome]]:
        found = await self._file.run(lambda connection: tables.fetch(connection, ids))
        outcomes = []
        try:
            for each in found:
                if each.state is not RejectState.DROPPED:
                    outcome = await decode_again(_message(each))
                    outcomes.append((each, outcome))
        finally:
            if outcomes:
                now_ns = self._clock_ns()
                await self._change(lambda connection, figures: tables.mark(connection, outcomes, now_ns, figures))
        return outcomes

    async def _change(self, work: Callable[[Connection, Figures], _T]) -> _T:
        """Run ``work`` in a transaction; the figures change with it or not at all."""

        def change(connection: Connection) -> _T:
            figures = self._figures.copy()
            with transaction(connection):
                result = work(connection, figures)
            self._figures = figures
            return result

        return await self._file.run(change)

    def _load(self, connection: Connection, _replaced: bool) -> None:  # noqa: FBT001  a callback of StateFile
        self._figures = tables.count(connection)


def _message(kept: KeptReject) -> Reject:
    # A newer version may have refused it for a reason that this one does not know.
    reason = Reason(kept.reason) if kept.reason in set(Reason) else Reason.STORE_REFUSED
    return Reject(kept.topic, kept.payload, kept.arrival_ns, reason, kept.detail, kept.node, kept.retain, kept.partial)
