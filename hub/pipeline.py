"""The hot path: decode → guard → observe → store → acknowledge.

                                       ┌─▶ observers: rules, at once and once a batch
                       ┌───────────────┼────────────── one group at a time ──────────────────────────────┐
    link.batch() ─▶ decode ─▶ guard ─▶ group ─▶ store.write ─▶ rejects.keep ─▶ control ─▶ ledger ─▶ acknowledge
         ▲            │         │        ▲          │ durable      │ durable                │ durable      │ PUBACK
         │            └─ refused┴──▶ rejects        │                                                     │
         └───────────── in flight ≥ limit: the link stops reading ◀───────────────────────────────────────┘

Two tasks: the reader decodes what the link hands over into the open group while the writer makes the one before it
durable. So a group grows with the load: 50 ms of messages when there are few, about ``batch_messages`` when many.
Nothing is acknowledged before all of its group is durable; refused messages are kept, then acknowledged like others.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from hub.group import Group
from hub.nodes.database import RegistryError
from hub.statefile import StateUnavailable
from hub.store.base import StoreUnavailable, WriteResult
from wire.errors import Reason
from wire.point import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from hub.clocks import Clocks
    from hub.control import Controls
    from hub.intake import Intake
    from hub.ledger import Ledger, Settled
    from hub.link import Batch, Link
    from hub.metrics import Metrics
    from hub.rejects import Rejects
    from hub.store.base import Store
    from wire.point import Point

    #: Called by the reader with the accepted points of each batch, long before they are stored; must be quick and not
    #: raise. After a crash it sees again what was not acknowledged.
    Observer = Callable[[Sequence[Point]], None]
    #: Called with each group once it is durable and acknowledged, the indices of the data messages that were stored
    #: before, and of those that the store took nothing of; must be quick and not raise.
    Follower = Callable[[Group, set[int], set[int]], None]

_RETRY_FIRST_S: Final = 0.2
_RETRY_LAST_S: Final = 5.0
_REMIND_S: Final = 60.0
#: Messages by which the share of refused ones is judged, roughly.
_RECENT: Final = 2_000

_T = TypeVar("_T")

_log = structlog.get_logger("hub.pipeline")


class Pipeline:
    """Wires the parts; ``run`` until ``stop``, which stores and acknowledges what has arrived."""

    def __init__(
        self,
        *,
        link: Link,
        intake: Intake,
        store: Store,
        rejects: Rejects,
        ledger: Ledger,
        controls: Controls,
        clocks: Clocks,
        metrics: Metrics,
        writing: asyncio.Lock,
        observers: Sequence[Observer] = (),
        followers: Sequence[Follower] = (),
        batch_messages: int = 8_000,
        linger_s: float = 0.05,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._link = link
        self._intake = intake
        self._store = store
        self._rejects = rejects
        self._ledger = ledger
        self._controls = controls
        self._clocks = clocks
        self._followers = tuple(followers)
        self._metrics = metrics
        self._writing = writing
        self._observers = tuple(observers)
        self._batch_messages = batch_messages
        self._linger_s = linger_s
        self._clock_ns = clock_ns
        #: Oldest first; the last is open, and of about ``batch_messages`` at the most: while one group is written the
        #: next are filled, so that neither reader nor writer waits for the other.
        self._groups = deque([Group()])
        #: Messages in the open group.
        self._grouped = 0
        self._some = asyncio.Event()
        self._full = asyncio.Event()
        self._stopping = False
        #: Why writing stands still; empty while it does not.
        self.trouble = ""
        #: When a group with data was last made durable, ns; 0 = never.
        self.data_ns = 0
        self.started_ns = clock_ns()
        #: Refused and all messages of the last few groups.
        self.recent = (0, 0)
        self._writing_since_ns = 0

    async def run(self) -> None:
        """Take, store and acknowledge until ``stop``.

        Raises:
            ExceptionGroup: of StoreBroken: the store needs a person; what is not acknowledged stays with the broker.
        """
        async with asyncio.TaskGroup() as tasks:
            reader = tasks.create_task(self._read(), name="reader")
            await self._write()
            reader.cancel()

    def waiting_s(self, now_ns: int) -> float:
        """Seconds that the oldest message that is not durable yet has been waiting."""
        oldest_ns = self._writing_since_ns or self._groups[0].first_ns
        return max(now_ns - oldest_ns, 0) / NS_PER_S if oldest_ns else 0.0

    def clock_moved(self, by_ns: int) -> None:
        """The wall clock was set forward by so much: what was a minute ago is still a minute ago."""
        self.started_ns += by_ns
        if self.data_ns:
            self.data_ns += by_ns

    def stop(self) -> None:
        """Take nothing more from the broker; ``run`` returns once what was taken is durable and acknowledged."""
        self._link.stop_reading()
        self._stopping = True
        self._some.set()
        self._full.set()

    # -- intake: link → open group ------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            batch = await self._link.batch()
            self._take(batch)
            # The writer comes first: when it waits, InfluxDB and the disk wait, too.
            await asyncio.sleep(0)

    def _take(self, batch: Batch) -> None:
        if self._grouped >= self._batch_messages:
            self._groups.append(Group())
            self._grouped = 0
        group = self._groups[-1]
        if not group.batches:
            group.first_ns = self._clock_ns()
        group.batches.append(batch)
        self._grouped += len(batch.messages)
        start = len(group.points)
        self._intake.decode(batch.messages, group)
        if self._observers and len(group.points) > start:
            points = group.points[start:]
            for observe in self._observers:
                observe(points)
        self._some.set()
        if self._grouped >= self._batch_messages:
            self._full.set()

    # -- writer: closed group → store, rejects, registry, ledger → acknowledge ----------------------------------------

    async def _write(self) -> None:
        while True:
            await self._some.wait()
            if not self._is_full():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._linger_s):
                        await self._full.wait()
            while self._stopping and (batch := self._link.batch_nowait()) is not None:
                self._take(batch)
            group = self._groups.popleft()
            if not self._groups:
                self._groups.append(Group())
                self._grouped = 0
            if not self._stopping:
                if not self._groups[0].batches:
                    self._some.clear()
                if not self._is_full():
                    self._full.clear()
            if group.batches:
                await self._finish(group)
            elif self._stopping:
                return

    def _is_full(self) -> bool:
        """Whether the oldest group is as large as it gets."""
        return len(self._groups) > 1 or self._grouped >= self._batch_messages

    async def _finish(self, group: Group) -> None:
        points = group.points
        self._writing_since_ns = group.first_ns
        began = time.perf_counter()
        result = await self._durably(lambda: self._stored(points)) if points else WriteResult(0)
        self._metrics.write_seconds.observe(time.perf_counter() - began)
        lost = self._refused_by_store(group, result)
        if group.rejects:
            await self._durably(lambda: self._rejects.keep(group.rejects))
        duplicates = group.duplicates(result) - lost
        newest = dict(zip(group.nodes, group.ends, strict=True))
        self._clocks.observe(newest, points, group.first_ns)
        self._controls.observe(group.controls, newest, group.first_ns)
        await self._durably(self._controls.flush)
        settled = group.settle(duplicates, lost)
        await self._durably(lambda: self._ledger.settle(settled))
        for batch in group.batches:
            self._link.acknowledge(batch)
        now_ns = self._clock_ns()
        self._writing_since_ns = 0
        self._note(settled, now_ns)
        self._metrics.settled(settled, result, (now_ns - group.first_ns) / NS_PER_S)
        for follow in self._followers:
            follow(group, duplicates, lost)

    async def _stored(self, points: Sequence[Point]) -> WriteResult:
        async with self._writing:
            return await self._store.write(points)

    def _note(self, settled: Settled, now_ns: int) -> None:
        """Remember what health is judged by."""
        if settled.stored or settled.duplicate:
            self.data_ns = now_ns
        refused, recent = self.recent
        if recent > _RECENT:
            refused, recent = refused // 2, recent // 2
        data = settled.stored.total() + settled.duplicate.total()
        self.recent = (refused + settled.refused.total(), recent + data + settled.refused.total())

    def _refused_by_store(self, group: Group, result: WriteResult) -> set[int]:
        """Reject what the store refused for good; return the indices of the messages that it took nothing of."""
        if not result.rejected:
            return set()
        why = {rejected.index: rejected for rejected in result.rejected}
        lost = set()
        for i, (message, node, points, start) in enumerate(group.spans()):
            found = [why[j] for j in range(start, start + len(points)) if j in why]
            if found:
                whole = len(found) == len(points) and all(rejected.whole for rejected in found)
                detail = "; ".join(rejected.reason for rejected in found[:10])
                reason = Reason.STORE_REFUSED
                group.refuse(message, node, group.first_ns, reason, detail, partial=not whole)
                if whole:
                    lost.add(i)
                else:
                    group.values[node, reason] += len(found)
        return lost

    async def _durably(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Do ``work`` until it succeeds: what is not durable is not acknowledged, and the broker holds the rest."""
        delay_s, said_at = _RETRY_FIRST_S, float("-inf")
        while True:
            try:
                done = await work()
            except (StoreUnavailable, StateUnavailable, RegistryError) as error:
                self.trouble = str(error)
                wait_s = getattr(error, "retry_after_s", None) or delay_s
                delay_s = min(delay_s * 2, _RETRY_LAST_S)
                if time.monotonic() - said_at >= _REMIND_S:
                    said_at = time.monotonic()
                    _log.error("cannot store, trying again; nothing is acknowledged meanwhile", why=self.trouble)
                await asyncio.sleep(wait_s)
            else:
                if self.trouble:
                    _log.info("storing again", after=self.trouble)
                    self.trouble = ""
                return done
