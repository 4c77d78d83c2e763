"""The running counts of one node, with the sequence numbers of its sessions. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.ledger.model import Counts
from hub.ledger.tracker import Move, Tracker, TrackerState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wire.errors import Reason

_MAX_INTEGER: Final = 2**63 - 1


class NodeState(msgspec.Struct):
    """One node as the disk holds it."""

    counts: Counts
    #: The session whose numbers arrive; says nothing while there are no sessions.
    current: str | None
    #: The one that was named longest ago first.
    sessions: list[TrackerState]


class Tally:
    """Running counts; see :class:`~hub.ledger.model.Counts`."""

    __slots__ = (
        "dropped",
        "duplicate",
        "handled",
        "late",
        "missing",
        "received",
        "refused",
        "repeats",
        "stored",
        "values_refused",
    )

    def __init__(self) -> None:
        self.received = 0
        self.stored = 0
        self.duplicate = 0
        self.handled = 0
        self.refused: dict[str, int] = {}
        self.values_refused: dict[str, int] = {}
        self.missing = 0
        self.late = 0
        self.dropped = 0
        self.repeats = 0

    def grow(self, by: tuple[int, int, int, int]) -> None:
        """Count messages: received, stored, duplicate, handled."""
        self.received += by[0]
        self.stored += by[1]
        self.duplicate += by[2]
        self.handled += by[3]

    def refuse(self, reason: Reason, n: int, *, whole: bool) -> None:
        """Count messages (``whole``) or values."""
        refused = self.refused if whole else self.values_refused
        refused[reason.value] = refused.get(reason.value, 0) + n

    def move(self, move: Move) -> None:
        """Count what a sequence number changed."""
        self.missing += move.missing
        self.late += move.late
        self.dropped += move.dropped
        self.repeats += move.repeats

    def add(self, counts: Counts) -> None:
        """Add counts from the disk."""
        self.grow((counts.received, counts.stored, counts.duplicate, counts.handled))
        self.move(Move(0, counts.missing, counts.late, counts.dropped_by_node, counts.repeats))
        for mine, theirs in ((self.refused, counts.refused), (self.values_refused, counts.values_refused)):
            for reason, n in theirs.items():
                mine[reason] = mine.get(reason, 0) + n

    def fields(self) -> dict[str, Any]:
        """Arguments of :class:`~hub.ledger.model.Counts`; no number is larger than the disk holds."""
        return {
            "received": self.received,
            "stored": self.stored,
            "duplicate": self.duplicate,
            "handled": self.handled,
            "refused": dict(self.refused),
            "values_refused": dict(self.values_refused),
            "missing": min(self.missing, _MAX_INTEGER),
            "late": self.late,
            "dropped_by_node": min(self.dropped, _MAX_INTEGER),
            "repeats": self.repeats,
        }


class NodeBook(Tally):
    """One node."""

    __slots__ = ("current", "folded", "sessions")

    def __init__(self) -> None:
        super().__init__()
        #: The one that was named longest ago first.
        self.sessions: dict[str | None, Tracker] = {}
        #: Whose numbers arrive; one of ``sessions``.
        self.current: Tracker | None = None
        #: received, stored, duplicate, handled when they were last written to the disk.
        self.folded = (0, 0, 0, 0)

    @classmethod
    def restored(cls, state: NodeState) -> NodeBook:
        """From the disk."""
        book = cls()
        book.add(state.counts)
        book.sessions = {each.session: Tracker.restored(each) for each in state.sessions}
        book.current = book.sessions.get(state.current)
        book.folded = book.simple()
        return book

    def state(self) -> NodeState:
        """For the disk."""
        return NodeState(
            counts=Counts(**self.fields()),
            current=self.current.session if self.current is not None else None,
            sessions=[tracker.state() for tracker in self.sessions.values()],
        )

    def simple(self) -> tuple[int, int, int, int]:
        """The counts that only ever grow by what a group says."""
        return self.received, self.stored, self.duplicate, self.handled

    def name_session(self, session: str, remembered: int) -> None:
        """Numbers from now on are of ``session``; at most ``remembered`` sessions are kept."""
        known = self.sessions.pop(session, None)
        self.current = self.sessions[session] = known if known is not None else Tracker(session)
        if len(self.sessions) > remembered:
            del self.sessions[next(iter(self.sessions))]

    def number(self, what: int | tuple[int, int], hour: int) -> Sequence[Move]:
        """Take a number that arrived, or a range that the node dropped."""
        low, high = what if isinstance(what, tuple) else (what, what)
        tracker = self.current
        if tracker is None:
            tracker = self.current = self.sessions[None] = Tracker(None, first=low)
        if isinstance(what, tuple):
            return tracker.drop(low, high, hour)
        move = tracker.see(what, hour)
        return (move,) if move is not None else ()

    def give_up(self, gaps: int) -> tuple[str | None, int, int] | None:
        """Forget the oldest gap when there are more than ``gaps``: its session, first and last number."""
        if sum(tracker.gaps for tracker in self.sessions.values()) <= gaps:
            return None
        oldest = next(tracker for tracker in self.sessions.values() if tracker.gaps)
        return (oldest.session, *oldest.give_up_oldest())
