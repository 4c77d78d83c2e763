"""What waits to be sent: the seam between those who produce messages and :class:`wire.delivery.Delivery`.

    append() ──▶ Outbox ──pending()──▶ Delivery ──▶ NodeSession ──▶ broker ──▶ hub
                   ▲ delivered(), refused() ──┘                                  │
                   └──────────── covered() ◀── receipt on {node}/stored ◀────────┘

An outbox numbers what it takes. ``MemoryOutbox`` frees a message when the broker has acknowledged it and loses all with
the process; an outbox on disk frees it when a receipt covers it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wire.messages import Receipt


class Entry(msgspec.Struct, frozen=True):
    """One message that waits."""

    #: The last of the sequence numbers in it.
    seq: int
    topic: str
    payload: bytes


class Outbox(Protocol):
    """Keeps messages in order until they are safe. Called from one event loop; nothing here blocks for long."""

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
        """Messages given up because the outbox was full, since it was opened."""
        ...

    @property
    def changed(self) -> asyncio.Event:
        """Set by each ``append``; whoever waits for it clears it."""
        ...

    def append(self, topic: str, encode: Callable[[int], bytes], count: int = 1) -> int:
        """Take a message; the number of its last part.

        ``encode`` gets the first of ``count`` sequence numbers, which the payload must carry in order: one for each
        element of an array.
        """
        ...

    def pending(self, limit: int) -> Sequence[Entry]:
        """The oldest messages that are due to be sent; does not remove them."""
        ...

    def delivered(self, seq: int) -> None:
        """The broker took this one for a subscriber."""
        ...

    def refused(self, seq: int) -> None:
        """The broker will never take this one."""
        ...

    def covered(self, receipt: Receipt) -> None:
        """The hub has everything up to the receipt's number, if the receipt is for this session."""
        ...


class MemoryOutbox:
    """Bounded queue in memory: full, it drops the oldest, which the caller tells from ``dropped``."""

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

    @property
    def waiting(self) -> int:
        return len(self._entries)

    def append(self, topic: str, encode: Callable[[int], bytes], count: int = 1) -> int:
        payload = encode(self._last_seq + 1)
        self._last_seq += count
        entry = Entry(self._last_seq, topic, payload)
        self._entries[entry.seq] = entry
        self._bytes += _size(entry)
        while len(self._entries) > self._max_messages or self._bytes > self._max_bytes:
            self._forget(next(iter(self._entries)))
            self.dropped += 1
        self.changed.set()
        return entry.seq

    def pending(self, limit: int) -> Sequence[Entry]:
        entries = iter(self._entries.values())
        return [entry for entry, _ in zip(entries, range(limit), strict=False)]

    def delivered(self, seq: int) -> None:
        self._forget(seq)

    def refused(self, seq: int) -> None:
        self._forget(seq)

    def covered(self, receipt: Receipt) -> None:
        """Nothing: acknowledged messages are gone already."""

    def _forget(self, seq: int) -> None:
        entry = self._entries.pop(seq, None)
        if entry is not None:
            self._bytes -= _size(entry)


def _size(entry: Entry) -> int:
    return len(entry.payload) + len(entry.topic)
