"""Sequence numbers of one session, as they arrive in any order: which are missing, late, dropped, repeated. No I/O.

first            hole                     top
  │ all accounted  │ gaps between            │ next expected
  ▼                ▼                         ▼
  1 2 3 4 5 6 7 8  ·  10 11  ·  ·  14 15 16        watermark 8, missing 3
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final, NamedTuple

import msgspec

from hub.ledger.model import SessionRow

#: Larger ones are no sequence numbers: JSON cannot carry them exactly.
MAX_SEQ: Final = 2**53
_GAPS_SHOWN: Final = 10


class Move(NamedTuple):
    """What a number changed in the row of one hour."""

    hour: int
    missing: int = 0
    late: int = 0
    dropped: int = 0
    repeats: int = 0


class TrackerState(msgspec.Struct, array_like=True):
    """A tracker as it is kept on disk."""

    session: str | None
    first: int
    top: int
    missing: int
    given_up: int
    dropped: int
    late: int
    repeats: int
    #: First number, last number, hour in which they were missed.
    gaps: list[tuple[int, int, int]]


class Tracker:
    """Numbers from ``first`` on. Numbers are 0…:data:`MAX_SEQ`, hours any integers."""

    __slots__ = (
        "_highs",
        "_hours",
        "_lows",
        "dropped",
        "first",
        "given_up",
        "late",
        "missing",
        "repeats",
        "session",
        "top",
    )

    def __init__(self, session: str | None, first: int = 1) -> None:
        self.session = session
        self.first = first
        #: The number expected next: one more than the highest. May be raised by the owner for numbers in order.
        self.top = first
        self.missing = 0
        self.given_up = 0
        self.dropped = 0
        self.late = 0
        self.repeats = 0
        # One entry a gap, ascending: first number, last number, hour in which they were missed.
        self._lows: list[int] = []
        self._highs: list[int] = []
        self._hours: list[int] = []

    @property
    def watermark(self) -> int:
        """All numbers up to here are accounted for; ``first - 1`` when there are none."""
        return (self._lows[0] if self._lows else self.top) - 1

    @property
    def gaps(self) -> int:
        """How many ranges are missing."""
        return len(self._lows)

    def see(self, number: int, hour: int) -> Move | None:
        """Take a number that arrived; None when it was the expected one."""
        if number == self.top:
            self.top = number + 1
            return None
        if number > self.top:
            skipped = self._skip_to(number, hour)
            self.top = number + 1
            return skipped
        at = bisect_right(self._lows, number) - 1
        if at < 0 or number > self._highs[at]:
            self.repeats += 1
            return Move(hour, repeats=1)
        found_missing = self._hours[at]
        self._cut(at, number, number)
        self.missing -= 1
        self.late += 1
        return Move(found_missing, missing=-1, late=1)

    def drop(self, low: int, high: int, hour: int) -> list[Move]:
        """The node dropped ``low`` to ``high`` on purpose; those of them that were seen or dropped before stay that."""
        moves: list[Move] = []
        at = bisect_left(self._highs, low)
        while at < len(self._lows) and self._lows[at] <= high:
            a, b = max(low, self._lows[at]), min(high, self._highs[at])
            moves.append(Move(self._hours[at], missing=a - b - 1, dropped=b - a + 1))
            left = self._cut(at, a, b)
            at += left
            if b == high:
                break
        if high >= self.top:
            if low > self.top:
                moves.append(self._skip_to(low, hour))
            moves.append(Move(hour, dropped=high - max(low, self.top) + 1))
            self.top = high + 1
        self.missing += sum(move.missing for move in moves if move.dropped)
        self.dropped += sum(move.dropped for move in moves)
        return moves

    def give_up_oldest(self) -> tuple[int, int]:
        """Forget the lowest gap, which must be there: its numbers stay missing for good; the watermark passes."""
        low, high = self._lows.pop(0), self._highs.pop(0)
        del self._hours[0]
        self.given_up += high - low + 1
        return low, high

    def row(self) -> SessionRow:
        """For people."""
        return SessionRow(
            session=self.session,
            first=self.first,
            last=self.top - 1,
            watermark=self.watermark,
            seen=self.top - self.first - self.missing - self.dropped,
            missing=self.missing,
            given_up=self.given_up,
            dropped=self.dropped,
            late=self.late,
            repeats=self.repeats,
            gaps=tuple(zip(self._lows[:_GAPS_SHOWN], self._highs[:_GAPS_SHOWN], strict=True)),
        )

    def state(self) -> TrackerState:
        """For the disk."""
        return TrackerState(
            session=self.session,
            first=self.first,
            top=self.top,
            missing=self.missing,
            given_up=self.given_up,
            dropped=self.dropped,
            late=self.late,
            repeats=self.repeats,
            gaps=list(zip(self._lows, self._highs, self._hours, strict=True)),
        )

    @classmethod
    def restored(cls, state: TrackerState) -> Tracker:
        """From the disk."""
        tracker = cls(state.session, state.first)
        tracker.top = state.top
        tracker.missing = state.missing
        tracker.given_up = state.given_up
        tracker.dropped = state.dropped
        tracker.late = state.late
        tracker.repeats = state.repeats
        tracker._lows = [low for low, _, _ in state.gaps]
        tracker._highs = [high for _, high, _ in state.gaps]
        tracker._hours = [hour for _, _, hour in state.gaps]
        return tracker

    # -- private ----------------------------------------------------------------------------------------------------

    def _skip_to(self, number: int, hour: int) -> Move:
        """Open a gap from ``top`` up to, but without, ``number``; the caller raises ``top``."""
        self._lows.append(self.top)
        self._highs.append(number - 1)
        self._hours.append(hour)
        self.missing += number - self.top
        return Move(hour, missing=number - self.top)

    def _cut(self, at: int, low: int, high: int) -> int:
        """Take ``low`` to ``high`` out of gap ``at``, which holds them; how many pieces are left of it."""
        first, last, hour = self._lows[at], self._highs[at], self._hours[at]
        pieces = [(first, low - 1)] if first < low else []
        if high < last:
            pieces.append((high + 1, last))
        self._lows[at : at + 1] = [a for a, _ in pieces]
        self._highs[at : at + 1] = [b for _, b in pieces]
        self._hours[at : at + 1] = [hour] * len(pieces)
        return len(pieces)
