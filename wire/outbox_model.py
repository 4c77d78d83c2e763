"""What a full outbox does, what goes into its file in one transaction, and how it stands after it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from wire.outgoing import Entry

#: What a row needs beside its texts, about.
_ROW_BYTES: Final = 64


class WhenFull(enum.StrEnum):
    """What a full outbox does."""

    DROP_OLDEST = "drop-oldest"
    STOP_SAMPLING = "stop-sampling"


def size_of(entry: Entry) -> int:
    """Bytes that an entry counts for."""
    return len(entry.payload) + len(entry.topic) + _ROW_BYTES


class Kept(msgspec.Struct, frozen=True):
    """How the outbox stands after a write."""

    messages: int
    bytes: int
    #: First sequence number of the oldest message; None when there is none.
    first: int | None
    #: Unix time in ms of the oldest message; None when there is none.
    oldest_ms: int | None
    #: Sequence numbers that no message tells yet although they were given up.
    untold: tuple[int, int] | None
    #: Messages given up in this write.
    dropped: int = 0


@dataclass(slots=True)
class Write:
    """What one transaction does."""

    #: With the Unix time in ms of each.
    entries: list[tuple[Entry, int]] = field(default_factory=list)
    #: Of the entries.
    bytes: int = 0
    refused: list[Entry] = field(default_factory=list)
    #: Ranges, with the number of the message that tells each.
    told: list[tuple[int, int, int]] = field(default_factory=list)
    covered: int = 0
    #: Numbers that the hub confirmed before and now says it does not have: it was set up anew.
    forgotten: tuple[int, int] | None = None
    last_seq: int = 0

    def __bool__(self) -> bool:
        return bool(self.entries or self.refused or self.told or self.covered or self.forgotten)

    def before(self, later: Write) -> Write:
        """Both, this one first."""
        return Write(
            self.entries + later.entries,
            self.bytes + later.bytes,
            self.refused + later.refused,
            self.told + later.told,
            max(self.covered, later.covered),
            later.forgotten or self.forgotten,
            max(self.last_seq, later.last_seq),
        )
