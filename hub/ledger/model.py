"""What the ledger is told and what it shows."""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec

from wire.errors import Reason

HOUR_NS: Final = 3600 * 1_000_000_000

#: A sequence number, a session that was named, or the first and last of the numbers that the node dropped on purpose.
Sequenced = int | str | tuple[int, int]


class Settled(msgspec.Struct):
    """What became of one group of messages. Each message counts in ``received`` and in exactly one of the next four."""

    #: Names the hour in which the group is counted, ns.
    arrival_ns: int
    #: By node, as are the others.
    received: Counter[str]
    stored: Counter[str]
    duplicate: Counter[str]
    #: Status, commands, replies: received, but no data.
    handled: Counter[str]
    #: Whole messages, by node and reason.
    refused: Counter[tuple[str, Reason]]
    #: Single values of stored messages; shown beside, in no sum.
    values_refused: Counter[tuple[str, Reason]]
    #: In order of arrival; numbers of data messages whatever became of them, and the sessions that births named.
    sequences: list[tuple[str, Sequenced]]


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What became of messages."""

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    handled: int = 0
    #: Whole messages, by reason.
    refused: dict[str, int] = {}
    #: Single values of stored messages, by reason; in no sum.
    values_refused: dict[str, int] = {}
    #: Sequence numbers that never arrived, so far.
    missing: int = 0
    #: Sequence numbers that were missing and arrived after all.
    late: int = 0
    #: Sequence numbers that the node says it dropped on purpose.
    dropped_by_node: int = 0
    #: Messages with a sequence number that was there before.
    repeats: int = 0

    @property
    def unaccounted(self) -> int:
        """Messages received of which nobody said what became of them; anything but 0 is a defect of the hub."""
        return self.received - self.stored - self.duplicate - self.handled - sum(self.refused.values())


class LedgerRow(Counts, frozen=True, kw_only=True):
    """One node since the hub counts."""

    node: str


class HourRow(LedgerRow, frozen=True, kw_only=True):
    """One node in one hour."""

    #: Start of the hour, ns.
    start_ns: int


class SessionRow(msgspec.Struct, frozen=True):
    """Sequence numbers of one session of a node: expected = seen + missing + dropped."""

    #: None for a node that never named one.
    session: str | None
    #: Lowest and highest number that is expected.
    first: int
    last: int
    #: All up to here were seen, dropped or given up.
    watermark: int
    seen: int
    missing: int
    #: Those of the missing that cannot become late any more: there were too many gaps to remember.
    given_up: int
    dropped: int
    late: int
    repeats: int
    #: The first few ranges that are missing.
    gaps: tuple[tuple[int, int], ...]

    @property
    def expected(self) -> int:
        """How many numbers the node has used."""
        return self.last - self.first + 1


class Watermark(msgspec.Struct, frozen=True):
    """All numbers of ``session`` up to ``seq`` are accounted for and durable."""

    session: str | None
    seq: int
