"""The life of one (rule, subject): idle → pending → firing → idle, and the timers that move it on.

             level ≥ 0            for has passed                 clear_for has passed
    IDLE ───────────────▶ PENDING ───────────────▶ FIRING ─────────────────────────────▶ IDLE
      ▲        PENDING        │                      │ ▲ another level: SEVERITY          RESOLVED
      └───────────────────────┘ level < 0: CANCELLED └─┘

A timer ends in event time, when a later sample says so, or by the clock, when none came: see :mod:`hub.rules.engine`.
"""

from __future__ import annotations

import enum
import heapq
from typing import TYPE_CHECKING

from hub.rules.conditions import CLEAR
from hub.rules.events import EventKind, RuleEvent, Severity
from hub.rules.saying import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hub.rules.cadence import Cadence
    from hub.rules.compiled import Ready, Watch
    from hub.rules.events import Subject
    from hub.rules.windows import SeriesWindow
    from wire.point import SeriesKey, Value

#: Before any sample.
NEVER_NS = -(2**63)
_SEVERITIES = tuple(Severity)


class Phase(enum.IntEnum):
    """Where a track is."""

    IDLE = 0
    PENDING = 1
    FIRING = 2


class Cell:
    """What one condition knows of one series."""

    __slots__ = (
        "cadence", "exact", "field", "heard_ns", "key", "last_ns", "level", "read", "tracks", "value", "wall_ns",
        "watch", "window",
    )  # fmt: skip

    def __init__(self, watch: Watch, key: SeriesKey, field: str) -> None:
        self.watch = watch
        self.key = key
        self.field = field
        self.level = CLEAR
        #: Time of the newest sample taken; none yet.
        self.last_ns = NEVER_NS
        #: Of that sample, or of the window then.
        self.value: Value | None = None
        self.window: SeriesWindow | None = None
        #: What the window comes to.
        self.read: Callable[[], float | None] = lambda: None
        self.tracks: tuple[Track, ...] = ()
        # Absence only: when a sample last arrived, whether that is known and not assumed, and when to look.
        self.heard_ns = 0
        self.exact = False
        self.cadence: Cadence | None = None
        self.wall_ns: int | None = None

    @property
    def heard(self) -> bool:
        """Whether a sample came."""
        return self.last_ns != NEVER_NS

    @property
    def empty(self) -> bool:
        """Whether no sample came, not even into its window."""
        return not self.heard and not self.window


class Track:
    """Where one (rule, subject) is."""

    __slots__ = ("at_ns", "cells", "due_ns", "phase", "rank", "ready", "settled", "subject", "wall_ns")

    def __init__(self, ready: Ready, subject: Subject) -> None:
        self.ready = ready
        self.subject = subject
        #: One for each condition; None where none was seen yet.
        self.cells: list[Cell | None] = [None] * len(ready.watches)
        self.phase = Phase.IDLE
        self.rank = CLEAR
        #: Time of the newest thing that was taken into account.
        self.at_ns = NEVER_NS
        #: When ``for`` or ``clear_for`` ends, in event time, and by the clock; None while neither runs.
        self.due_ns: int | None = None
        self.wall_ns: int | None = None
        #: True where nothing changes as long as the level stays.
        self.settled = True

    def level(self) -> int | None:
        """What its conditions come to; None: keep what is."""
        join = self.ready.join
        if join is None:
            cell = self.cells[0]
            return CLEAR if cell is None else cell.level
        known = [cell.level for cell in self.cells if cell is not None]
        if join is max or CLEAR in known:
            return join(known, default=CLEAR)
        if len(known) < len(self.cells):
            # Firing: taken over from the alert layer; the other conditions will be known soon.
            return None if self.phase is Phase.FIRING else CLEAR
        return join(known)

    def advance(self, ts_ns: int, now_ns: int, timers: Timers, out: list[RuleEvent]) -> None:
        """Take what its conditions say at ``ts_ns``; ``now_ns`` is when that became known."""
        ts_ns = max(ts_ns, self.at_ns)
        if self.due_ns is not None and self.due_ns < ts_ns:
            self.run_out(out)
        level = self.level()
        if level is None:
            return
        self.at_ns = ts_ns
        if self.phase is Phase.FIRING:
            self._while_firing(level, ts_ns, now_ns, timers, out)
        elif level == CLEAR:
            if self.phase is Phase.PENDING:
                self._rest(EventKind.CANCELLED, ts_ns, out)
            self.settled = True
        else:
            self.rank = level
            if self.phase is Phase.IDLE and self.ready.for_ns:
                self.phase = Phase.PENDING
                self.settled = False
                self._start(ts_ns, now_ns, self.ready.for_ns, timers)
                out.append(self._event(EventKind.PENDING, ts_ns))
            elif self.due_ns is None or self.due_ns <= ts_ns:
                self._fire(ts_ns, out)

    def run_out(self, out: list[RuleEvent]) -> None:
        """The timer that runs has ended."""
        due_ns = self.due_ns
        if due_ns is None:
            raise AssertionError(self.subject)
        self.at_ns = max(self.at_ns, due_ns)
        if self.phase is Phase.PENDING:
            self._fire(due_ns, out)
        else:
            self._rest(EventKind.RESOLVED, due_ns, out)

    def end(self, now_ns: int, out: list[RuleEvent]) -> None:
        """Its rule is no more, or no longer about it."""
        if self.phase is not Phase.IDLE:
            kind = EventKind.RESOLVED if self.phase is Phase.FIRING else EventKind.CANCELLED
            self._rest(kind, max(now_ns, self.at_ns), out)

    def again(self) -> RuleEvent | None:
        """The event that says where it is; None when it is idle."""
        if self.phase is Phase.IDLE:
            return None
        return self._event(EventKind.FIRING if self.phase is Phase.FIRING else EventKind.PENDING, self.at_ns)

    # -- private -----------------------------------------------------------------------------------------------------

    def _while_firing(self, level: int, ts_ns: int, now_ns: int, timers: Timers, out: list[RuleEvent]) -> None:
        if level == CLEAR:
            if self.ready.clear_for_ns and (self.due_ns is None or ts_ns < self.due_ns):
                if self.due_ns is None:
                    self.settled = False
                    self._start(ts_ns, now_ns, self.ready.clear_for_ns, timers)
            else:
                self._rest(EventKind.RESOLVED, ts_ns, out)
            return
        self.due_ns = self.wall_ns = None
        self.settled = True
        if level != self.rank:
            self.rank = level
            out.append(self._event(EventKind.SEVERITY, ts_ns))

    def _start(self, ts_ns: int, now_ns: int, lasts_ns: int, timers: Timers) -> None:
        self.due_ns = ts_ns + lasts_ns
        self.wall_ns = now_ns + lasts_ns
        timers.push(self.wall_ns, self)

    def _fire(self, ts_ns: int, out: list[RuleEvent]) -> None:
        self.phase = Phase.FIRING
        self.due_ns = self.wall_ns = None
        self.settled = True
        out.append(self._event(EventKind.FIRING, ts_ns))

    def _rest(self, kind: EventKind, ts_ns: int, out: list[RuleEvent]) -> None:
        out.append(self._event(kind, ts_ns))
        self.phase = Phase.IDLE
        self.rank = CLEAR
        self.due_ns = self.wall_ns = None
        self.settled = True

    def _event(self, kind: EventKind, at_ns: int) -> RuleEvent:
        cell = self._shown()
        watch = cell.watch if cell is not None else self.ready.watches[0]
        watch = self.ready.watches[watch.at]  # of today's rule, whose message may be another
        value = cell.value if cell is not None else None
        rank = max(self.rank, 0)
        message = say(watch, self.subject, rank, value, watch.limit(rank))
        return RuleEvent(kind, self.ready.name, self.subject, _SEVERITIES[rank], at_ns, value, message)

    def _shown(self) -> Cell | None:
        """The condition whose value is told: of ``any`` the first that holds, else the first."""
        if self.ready.join is max:
            return next((cell for cell in self.cells if cell is not None and cell.level != CLEAR), self.cells[0])
        return self.cells[0]


class Timers:
    """Who wants to be looked at when; entries that were overtaken are passed over."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Track | Cell]] = []
        self._number = 0

    def push(self, wall_ns: int, what: Track | Cell) -> None:
        self._number += 1
        heapq.heappush(self._heap, (wall_ns, self._number, what))

    def due(self, now_ns: int) -> Iterator[Track | Cell]:
        """Those whose time has come, earliest first."""
        while self._heap and self._heap[0][0] <= now_ns:
            wall_ns, _, what = heapq.heappop(self._heap)
            if what.wall_ns == wall_ns:
                yield what

    def next_ns(self) -> int | None:
        """The earliest; None where there is none."""
        while self._heap and self._heap[0][2].wall_ns != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def clear(self) -> None:
        self._heap.clear()
