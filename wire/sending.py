"""Which of the numbered messages to send next, when the hub confirms them with a watermark. Pure: times are handed in.

    base               backlog cursor      boundary          live cursor     last
       │  sent, unconfirmed   │  to be sent   │  sent, unconfirmed │ to be sent │
    ───┴──────────────────────┴───────────────┴────────────────────┴────────────┘

What is new goes first. What is older than the boundary is backlog and follows at a pace, no more than a window ahead of
what the hub has confirmed. After a new connection, and when confirmations stay away, everything unconfirmed becomes
backlog again; then the window starts small and grows with each confirmation, and the time until the next try doubles,
so that a hub which is away or slow is not buried under repetitions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Receipts come at most once a second, and a hub writes in batches: sooner means nothing.
_SHORTEST_WAIT_S: Final = 5.0
_LONGEST_WAIT_S: Final = 3600.0
_PROBE: Final = 16
#: How often a pace is looked at.
_PACE_S: Final = 0.05
#: A late confirmation is waited for so many times as long as they usually take.
_PATIENCE: Final = 4.0
_SMOOTHING: Final = 0.25


class SendPlan:
    """Keeps the cursors. Numbers are sequence numbers of messages; gaps between them do not matter.

    Args:
        covered: confirmed before.
        last: highest number given so far.
        window: backlog numbers sent ahead of the last confirmation, at most.
        backlog_per_s: backlog numbers sent a second, at most.
    """

    def __init__(self, covered: int, last: int, *, window: int = 5000, backlog_per_s: float = 2000.0) -> None:
        self.covered = covered
        self.last = last
        #: All up to here is confirmed or given up.
        self._base = covered
        self._max_window = window
        self._window = min(_PROBE, window)
        self._per_s = backlog_per_s
        self._credit = 0.0
        self._credit_at_s: float | None = None
        self._boundary = last
        self._backlog = covered
        self._live = last
        self._usual_s: float | None = None
        self._wait_s = _SHORTEST_WAIT_S
        #: When the hub last confirmed something, or the first unconfirmed message was sent.
        self._since_s: float | None = None
        #: A number whose confirmation is timed, and when it was sent for the first time.
        self._timed: tuple[int, float] | None = None

    def holds(self, first: int | None, last: int) -> None:
        """The messages that are there begin at number ``first`` (None: there are none) and end at ``last``."""
        self.last = last
        self._base = max(self.covered, last if first is None else first - 1)

    def live(self) -> tuple[int, int]:
        """Live messages to send: after the first number, up to the second."""
        return max(self._live, self._base), self.last

    def backlog(self, now_s: float) -> tuple[int, int]:
        """Backlog to send now: after the first number, up to the second; equal when it is not time for any."""
        start, end = self._room()
        return start, min(end, start + int(self._credit_now(now_s)))

    def nothing_there(self, up_to: int) -> None:
        """No message of the backlog has a number up to this one."""
        self._backlog = max(self._backlog, up_to)

    def sent(self, numbers: Sequence[int], now_s: float) -> None:
        """These messages, which :meth:`live` and :meth:`backlog` named, were handed to the broker."""
        live = max((number for number in numbers if number > self._boundary), default=0)
        backlog = max((number for number in numbers if number <= self._boundary), default=0)
        if backlog:
            start, _ = self._room()
            self._credit = max(0.0, self._credit_now(now_s) - max(0, backlog - start))
            self._backlog = max(self._backlog, backlog)
        if live:
            self._live = max(self._live, live)
            if self._timed is None and live > self.covered and self._room()[0] >= self._boundary:
                self._timed = (live, now_s)
        if self._since_s is None and self._unconfirmed():
            self._since_s = now_s

    def cover(self, seq: int, now_s: float) -> None:
        """The hub has everything up to ``seq``."""
        if seq <= self.covered:
            return
        self.covered = seq
        self._base = max(self._base, seq)
        if self._timed is not None and seq >= self._timed[0]:
            took_s = now_s - self._timed[1]
            usual_s = took_s if self._usual_s is None else self._usual_s
            self._usual_s = usual_s + _SMOOTHING * (took_s - usual_s)
            self._timed = None
        self._wait_s = self._first_wait_s()
        self._window = min(self._window * 2, self._max_window)
        self._since_s = now_s if self._unconfirmed() else None

    def rewind(self) -> None:
        """Everything unconfirmed is backlog: a new connection, or the broker took nothing for the hub."""
        self._boundary = self._live = self.last
        self._backlog = self.covered
        self._window = min(_PROBE, self._max_window)
        self._since_s = self._timed = None

    def check(self, now_s: float) -> bool:
        """Rewind when confirmations stayed away for too long; whether it did."""
        due_s = self.due_s()
        if due_s is None or now_s < due_s:
            return False
        self.rewind()
        self._wait_s = min(self._wait_s * 2, _LONGEST_WAIT_S)
        return True

    def due_s(self) -> float | None:
        """When :meth:`check` may have to rewind; None while nothing is unconfirmed."""
        return None if self._since_s is None else self._since_s + self._wait_s

    def next_s(self, now_s: float) -> float | None:
        """Seconds after which there may be something to send or to rewind although nothing happens; None for never."""
        start, end = self._room()
        if end > start:
            return _PACE_S
        due_s = self.due_s()
        return None if due_s is None else max(0.0, due_s - now_s)

    def _room(self) -> tuple[int, int]:
        """Backlog that the window allows."""
        start = max(self._backlog, self._base)
        return start, max(start, min(self._boundary, self._base + self._window))

    def _unconfirmed(self) -> bool:
        return max(self._backlog, self._live if self._live > self._boundary else 0) > self.covered

    def _first_wait_s(self) -> float:
        return max(_SHORTEST_WAIT_S, _PATIENCE * (self._usual_s or 0.0))

    def _credit_now(self, now_s: float) -> float:
        """Backlog numbers that may be sent now; at most a second's worth is saved up."""
        if self._credit_at_s is None:
            self._credit = self._per_s
        else:
            self._credit = min(self._per_s, self._credit + (now_s - self._credit_at_s) * self._per_s)
        self._credit_at_s = now_s
        return self._credit
