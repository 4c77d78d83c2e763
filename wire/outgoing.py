"""What waits to be sent: the seam between those who produce messages and :class:`wire.delivery.Delivery`.

    append() ──▶ Outbox ──pending()──▶ Delivery ──▶ NodeSession ──▶ broker ──▶ hub
                   ▲  ▲ settled() ────────┘                                     │
                   └──┴───────── covered() ◀── receipt on {node}/stored ◀───────┘

An outbox numbers what it takes. :class:`MemoryOutbox` frees a message when the broker has acknowledged it and loses all
with the process; :class:`wire.outbox.DiskOutbox` frees it when a receipt of the hub covers it.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

import msgspec

from wire.drops import Drops

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wire.messages import Receipt


class Entry(msgspec.Struct, frozen=True):
    """One message that waits, with its first and last sequence number; the last one names it."""

    first: int
    seq: int
    topic: str
    payload: bytes


class Outbox(Protocol):
    """Keeps messages until they are safe. Called from one event loop, which nothing blocks; figures from any thread."""

    @property
    def session(self) -> str:
        """Identifies the numbering; a new one means that it starts anew at 1."""
        ...

    @property
    def durable(self) -> bool:
        """Whether messages are kept until a receipt covers them; stands in the birth message."""
        ...

    @property
    def waiting(self) -> int:
        """Messages that wait."""
        ...

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the messages that wait, of which there may be ``max_bytes``."""
        ...

    @property
    def max_bytes(self) -> int:
        """Bytes of messages it has room for."""
        ...

    @property
    def taken_bytes(self) -> int:
        """Bytes of all messages taken since the outbox was opened."""
        ...

    @property
    def oldest_ms(self) -> int | None:
        """Unix time in ms at which the oldest message that waits was taken."""
        ...

    @property
    def dropped(self) -> int:
        """Messages given up for want of room, since the outbox was opened."""
        ...

    @property
    def full(self) -> bool:
        """It refused a message and has had no room to speak of since: whoever samples had better pause."""
        ...

    @property
    def untold(self) -> tuple[int, int] | None:
        """Sequence numbers that were given up and that no message tells yet."""
        ...

    @property
    def changed(self) -> asyncio.Event:
        """Set when there may be more to send; whoever waits for it clears it."""
        ...

    def append(
        self, topic: str, encode: Callable[[int], bytes], count: int = 1, *, tells: tuple[int, int] | None = None
    ) -> int:
        """Take a message; the number of its last part.

        ``encode`` gets the first of ``count`` sequence numbers, which the payload must carry in order: one for each
        element of an array. ``tells``: the given-up numbers that this message is about, as ``untold`` named them.

        Raises:
            OutboxFull: the outbox keeps what it has and takes nothing more.
        """
        ...

    async def flush(self) -> None:
        """Return when :meth:`pending` knows all that was appended.

        Raises:
            OutboxError: the disk takes nothing.
        """
        ...

    async def pending(self, limit: int) -> Sequence[Entry]:
        """Messages to send now, in order; the same again until they are settled."""
        ...

    def settled(self, delivered: Sequence[Entry], refused: Sequence[Entry], kept: Sequence[Entry]) -> None:
        """What the broker said: took them for a subscriber, will never take them, did not take them this time."""
        ...

    def covered(self, receipt: Receipt, *, retained: bool = False) -> None:
        """The hub has everything up to the receipt's number, if the receipt is for this session.

        ``retained``: the broker kept it from before, so the hub may know more by now.
        """
        ...

    def rewind(self) -> None:
        """There is a new connection: what is not confirmed has to be sent again."""
        ...

    def next_s(self) -> float | None:
        """Seconds after which :meth:`pending` may give more although nothing changed; None for never."""
        ...


class MemoryOutbox:
    """Bounded queue in memory: full, it drops the oldest.

    Args:
        max_bytes: of topics and payloads.
        max_messages: None: as many as there is room for.
    """

    durable = False
    full = False

    def __init__(self, max_bytes: int = 8 << 20, max_messages: int | None = None) -> None:
        self.session = secrets.token_hex(8)
        self.dropped = 0
        self.changed = asyncio.Event()
        self.max_bytes = max_bytes
        self.waiting_bytes = 0
        self.taken_bytes = 0
        self._max_messages = max_messages
        self._last_seq = 0
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        #: When each entry was taken, Unix time in ms.
        self._taken_ms: dict[int, int] = {}
        self.oldest_ms: int | None = None
        self._drops = Drops()

    @property
    def waiting(self) -> int:
        return len(self._entries)

    @property
    def untold(self) -> tuple[int, int] | None:
        return self._drops.untold

    def append(
        self, topic: str, encode: Callable[[int], bytes], count: int = 1, *, tells: tuple[int, int] | None = None
    ) -> int:
        first = self._last_seq + 1
        self._last_seq += count
        entry = Entry(first, self._last_seq, topic, encode(first))
        self._entries[entry.seq] = entry
        self._taken_ms[entry.seq] = time.time_ns() // 1_000_000
        self.waiting_bytes += _size(entry)
        self.taken_bytes += _size(entry)
        if tells is not None:
            self._drops.tell(*tells, entry.seq)
        while self.waiting_bytes > self.max_bytes or len(self._entries) > (self._max_messages or math.inf):
            oldest = next(iter(self._entries.values()))
            self._give_up(oldest)
            self.dropped += 1
        self._note_oldest()
        self.changed.set()
        return entry.seq

    async def flush(self) -> None:
        """Nothing: what was appended is there."""

    async def pending(self, limit: int) -> Sequence[Entry]:
        return [entry for entry, _ in zip(self._entries.values(), range(limit), strict=False)]

    def settled(self, delivered: Sequence[Entry], refused: Sequence[Entry], kept: Sequence[Entry]) -> None:  # noqa: ARG002  these stay
        for entry in delivered:
            self._forget(entry)
            self._drops.arrived(entry.seq)
        for entry in refused:
            self._give_up(entry)
        self._note_oldest()

    def covered(self, receipt: Receipt, *, retained: bool = False) -> None:
        """Nothing: acknowledged messages are gone already."""

    def rewind(self) -> None:
        """Nothing: what was not acknowledged is still here."""

    def next_s(self) -> float | None:
        return None

    def _note_oldest(self) -> None:
        self.oldest_ms = next(iter(self._taken_ms.values()), None)

    def _give_up(self, entry: Entry) -> None:
        if self._forget(entry):
            self._drops.add(entry.first, entry.seq)

    def _forget(self, entry: Entry) -> bool:
        if self._entries.pop(entry.seq, None) is None:  # dropped while it was on its way
            return False
        del self._taken_ms[entry.seq]
        self.waiting_bytes -= _size(entry)
        return True


def _size(entry: Entry) -> int:
    return len(entry.payload) + len(entry.topic)
