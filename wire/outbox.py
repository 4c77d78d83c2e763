"""The outbox on disk: what is in it outlives the process, and is freed only when the hub has it durably.

    append() ─▶ in memory ──writer, one transaction for all──▶ SQLite ──pending(): live first, then backlog──▶ Delivery
                                  ▲                                                                              │
       receipts ─▶ covered() ─────┘◀────────────────────────────────────────────── refused for good ◀────────────┘

A message is sent only after it is on the disk, so that its number can never be given to another one after a crash.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Self, TypeVar

from wire.errors import OutboxError, OutboxFull
from wire.outbox_file import OutboxFile
from wire.outbox_model import Kept, WhenFull, Write, size_of
from wire.outgoing import Entry
from wire.sending import SendPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from wire.messages import Receipt

T = TypeVar("T")

_LOG: Final = logging.getLogger(__name__)
#: The writer waits this long for company: one transaction, and one sync of the disk, for all that a tick produces.
_LINGER_S: Final = 0.02
_RETRY_S: Final = 1.0
#: Messages that wait in memory while the disk takes nothing.
_UNWRITTEN_BYTES: Final = 4 << 20
#: Once it refused a message, an outbox counts as full until this share of it is free, and room for that message.
_ROOM_AGAIN: Final = 0.1
#: … but no more than this share, or a message that can never fit would close it for good.
_MOST_ROOM: Final = 0.5


class DiskOutbox:
    """An :class:`wire.outgoing.Outbox` in one SQLite file. ``async with`` opens it and writes everything on leaving.

    Args:
        max_bytes: of messages; the file is somewhat larger.
        sync: True: what was sent outlives a power cut. False: it outlives only the process.
        plan: makes the plan of what to send when, from the confirmed and the last sequence number.

    Entering raises:
        OutboxError: the file cannot be used; the text says what to do. A damaged file is moved aside instead.
    """

    durable = True

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int = 256 << 20,
        when_full: WhenFull = WhenFull.DROP_OLDEST,
        sync: bool = True,
        clock_s: Callable[[], float] = time.monotonic,
        plan: Callable[[int, int], SendPlan] = SendPlan,
    ) -> None:
        self.changed = asyncio.Event()
        self.dropped = 0
        self.taken_bytes = 0
        self.max_bytes = max_bytes
        self._path = path
        self._keeps = when_full is WhenFull.STOP_SAMPLING
        self._sync = sync
        self._clock_s = clock_s
        self._make_plan = plan
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")
        #: What the next transaction does, and what the one that runs does.
        self._next = Write()
        self._writing = Write()
        self._last_seq = 0
        self._dirty = asyncio.Event()
        self._written = asyncio.Condition()
        self._kept = Kept(0, 0, None, None, None)
        #: Bytes that have to be free before it takes more; 0 when it takes what comes.
        self._room = 0.0
        self._failing = False
        self._closing = False

    # -- what stands in it ----------------------------------------------------------------------------------------

    @property
    def session(self) -> str:
        return self._file.session

    @property
    def waiting(self) -> int:
        return self._kept.messages + len(self._writing.entries) + len(self._next.entries)

    @property
    def waiting_bytes(self) -> int:
        return self._kept.bytes + self._writing.bytes + self._next.bytes

    @property
    def oldest_ms(self) -> int | None:
        return self._kept.oldest_ms

    @property
    def full(self) -> bool:
        if self._room:
            crowded = self._keeps and (self._failing or self.waiting_bytes + self._room > self.max_bytes)
            if not crowded and self._next.bytes <= (1 - _ROOM_AGAIN) * _UNWRITTEN_BYTES:
                self._room = 0.0
        return self._room > 0

    @property
    def untold(self) -> tuple[int, int] | None:
        return None if self._next.told or self._writing.told else self._kept.untold

    # -- in -------------------------------------------------------------------------------------------------------

    def append(
        self, topic: str, encode: Callable[[int], bytes], count: int = 1, *, tells: tuple[int, int] | None = None
    ) -> int:
        first, last = self._last_seq + 1, self._last_seq + count
        entry = Entry(first, last, topic, encode(first))
        if (why := self._refusal(entry, tells)) is not None:  # uses no number, so the hub does not wait for it
            self.dropped += 1
            self._room = min(max(_ROOM_AGAIN * self.max_bytes, size_of(entry)), _MOST_ROOM * self.max_bytes)
            raise OutboxFull(why)
        self._last_seq = last
        self.taken_bytes += size_of(entry)
        self._next.entries.append((entry, time.time_ns() // 1_000_000))
        self._next.last_seq = last
        self._next.bytes += size_of(entry)
        if tells is not None:
            self._next.told.append((*tells, last))
        self._dirty.set()
        return last

    def _refusal(self, entry: Entry, tells: tuple[int, int] | None) -> str | None:
        if self._next.bytes > _UNWRITTEN_BYTES:
            return f"{self._path} cannot be written, and memory for messages is full too"
        # The hub confirms nothing beyond a gap that it was not told of: that message has to find room.
        if not self._keeps or tells is not None:
            return None
        if self._failing:
            return f"{self._path} cannot be written"
        if self.waiting_bytes + size_of(entry) > self.max_bytes:
            return f"{self._path} is full: it holds {self.waiting_bytes} bytes and may hold {self.max_bytes}"
        return None

    async def flush(self) -> None:
        """Return when all that was appended is on the disk.

        Raises:
            OutboxError: the disk takes nothing.
        """
        wanted = self._last_seq
        self._dirty.set()
        async with self._written:
            await self._written.wait_for(lambda: self._plan.last >= wanted or self._failing)
        if self._plan.last < wanted:
            raise OutboxError(f"{self._path} cannot be written")

    # -- out ------------------------------------------------------------------------------------------------------

    async def pending(self, limit: int) -> Sequence[Entry]:
        now_s = self._clock_s()
        if self._plan.check(now_s):
            _LOG.info("%d messages are not confirmed; sending them again", self._kept.messages)
        live = await self._read(*self._plan.live(), limit)
        after, up_to = self._plan.backlog(now_s)
        backlog = await self._read(after, up_to, limit - len(live))
        if not backlog and len(live) < limit:
            self._plan.nothing_there(up_to)
        return [*live, *backlog]

    def settled(self, delivered: Sequence[Entry], refused: Sequence[Entry], kept: Sequence[Entry]) -> None:
        self._next.refused += refused
        if refused:
            self._dirty.set()
        if kept:
            self._plan.rewind()
        elif settled := [*delivered, *refused]:
            self._plan.sent([entry.seq for entry in settled], self._clock_s())

    def covered(self, receipt: Receipt, *, retained: bool = False) -> None:
        if receipt.session != self.session or receipt.seq == self._plan.covered:
            return
        if receipt.seq > self._last_seq:
            _LOG.error(
                "the hub has message %d of session %s, but %d is the last here: is the state directory an old copy?",
                receipt.seq,
                self.session,
                self._last_seq,
            )
            self._last_seq = receipt.seq  # never give a number twice
        # The hub was set up anew, and would wait for what is long gone from here. (A retained receipt proves nothing:
        # a broker that was killed comes back with an old one.)
        if receipt.seq < self._plan.covered and not retained:
            self._next.forgotten = (receipt.seq + 1, self._plan.covered)
        self._plan.cover(receipt.seq, self._clock_s())
        self._next.covered = max(self._next.covered, receipt.seq)
        self._next.last_seq = self._last_seq
        self._dirty.set()
        self.changed.set()

    def rewind(self) -> None:
        self._plan.rewind()

    def next_s(self) -> float | None:
        return self._plan.next_s(self._clock_s())

    # -- open and closed ------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        try:
            max_bytes = None if self._keeps else self.max_bytes
            self._file = await self._run(lambda: OutboxFile(self._path, max_bytes=max_bytes, sync=self._sync))
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        self._last_seq = self._file.last_seq
        self._kept = await self._run(self._file.kept)
        self._plan = self._make_plan(self._file.covered, self._file.last_seq)
        self._plan.holds(self._kept.first, self._file.last_seq)
        self._writer = asyncio.create_task(self._write_for_ever(), name="outbox writer")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._dirty.set()
        await self._writer
        await self._run(self._file.close)
        self._thread.shutdown()

    async def _write_for_ever(self) -> None:
        while True:
            await self._dirty.wait()
            if not self._closing:
                await asyncio.sleep(_LINGER_S)
            self._dirty.clear()
            closing = self._closing
            if self._next:
                try:
                    await self._write()
                except OutboxError as error:
                    await self._failed(error)
            if closing:
                return

    async def _write(self) -> None:
        """Write all that came until now; what fails stays for the next time."""
        write, self._next = self._next, Write()
        self._writing = write
        try:
            self._kept = await self._run(lambda: self._file.write(write))
        except OutboxError:
            self._next = write.before(self._next)
            raise
        finally:
            self._writing = Write()
        if self._failing:
            _LOG.info("%s can be written again", self._path)
        self._failing = False
        self.dropped += self._kept.dropped
        self._plan.holds(self._kept.first, self._file.last_seq)
        await self._tell_written()

    async def _failed(self, error: OutboxError) -> None:
        if self._closing:
            _LOG.error("%d messages were not written: %s", len(self._next.entries), error)
        elif not self._failing:
            _LOG.error("%s; trying again until it works", error)
        self._failing = True
        await self._tell_written()
        if not self._closing:
            await asyncio.sleep(_RETRY_S)
            self._dirty.set()

    async def _tell_written(self) -> None:
        async with self._written:
            self._written.notify_all()
        self.changed.set()

    async def _read(self, after: int, up_to: int, limit: int) -> list[Entry]:
        if up_to <= after or limit <= 0:
            return []
        return await self._run(lambda: self._file.read(after, up_to, limit))

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
