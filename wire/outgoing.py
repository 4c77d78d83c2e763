"""What waits to be sent: the seam between those who produce messages and :class:`wire.delivery.Delivery`.

    append() ──▶ Outbox ──pending()──▶ Delivery ──▶ NodeSession ──▶ broker ──▶ hub
                   ▲  ▲ settled() ────────┘                                     │
                   └──┴───────── covered() ◀── receipt on {node}/stored ◀───────┘

An outbox numbers what it takes. :class:`MemoryOutbox` frees a message when the broker has acknowledged it and loses all
with the process; :class:`wire.outbox.DiskOutbox` frees it when a receipt of the hub covers it.
"""

from __future__ import annotations

import asyncio
import secrets
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
    """Keeps messages until they are safe. Called from one event loop; nothing here blocks it."""

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
    def dropped(self) -> int:
        """Messages given up for want of room, since the outbox was opened."""
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

    async def pending(self, limit: int) -> Sequence[Entry]:
        """Messages to send now, in order; the same again until they are settled."""
        ...

    def settled(self, delivered: Sequence[Entry], refused: Sequence[Entry], kept: Sequence[Entry]) -> None:
        """What the broker said: took them for a subscriber, will never take them, did not take them this time."""
        ...

    def covered(self, receipt: Receipt) -> None:
        """The hub has everything up to the receipt's number, if the receipt is for this session."""
        ...

    def rewind(self) -> None:
        """There is a new connection: what is not confirmed has to be sent again."""
        ...

    def next_s(self) -> float | None:
        """Seconds after which :meth:`pending` may give more although nothing changed; None for never."""
        ...


class MemoryOutbox:
    """Bounded queue in memory: full, it drops the oldest."""

    durable = False

    def __init__(self, max_messages: int = 20_000, max_bytes: int = 8 << 20) -> None:
        self.session = secrets.token_hex(8)
        self.dropped = 0
        self.changed = asyncio.Event()
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._bytes = 0
        self._last_seq = 0
        self._entries: OrderedDict[int, Entry] = OrderedDict()
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
        self._bytes += _size(entry)
        if tells is not None:
            self._drops.tell(*tells, entry.seq)
        while len(self._entries) > self._max_messages or self._bytes > self._max_bytes:
            oldest = next(iter(self._entries.values()))
            self._give_up(oldest)
            self.dropped += 1
        self.changed.set()
        return entry.seq

    async def pending(self, limit: int) -> Sequence[Entry]:
        return [entry for entry, _ in zip(self._entries.values(), range(limit), strict=False)]

    def settled(self, delivered: Sequence[Entry], refused: Sequence[Entry], kept: Sequence[Entry]) -> None:  # noqa: ARG002  these stay
        for entry in delivered:
            self._forget(entry)
            self._drops.arrived(entry.seq)
        for entry in refused:
            self._give_up(entry)

    def covered(self, receipt: Receipt) -> None:
        """Nothing: acknowledged messages are gone already."""

    def rewind(self) -> None:
        """Nothing: what was not acknowledged is still here."""

    def next_s(self) -> float | None:
        return None

    def _give_up(self, entry: Entry) -> None:
        if self._forget(entry):
            self._drops.add(entry.first, entry.seq)

    def _forget(self, entry: Entry) -> bool:
        if self._entries.pop(entry.seq, None) is None:  # dropped while it was on its way
            return False
        self._bytes -= _size(entry)
        return True


def _size(entry: Entry) -> int:
    return len(entry.payload) + len(entry.topic)
