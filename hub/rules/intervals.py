"""Events made into intervals: when what was firing, how severe it became."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hub.rules.events import EventKind, Severity, Subject

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hub.rules.events import RuleEvent
    from wire.point import Value

#: Intervals that are kept of all; the counts go on.
MOST_INTERVALS: Final = 10_000


@dataclass(slots=True)
class Interval:
    """One time that a rule was firing for a subject."""

    subject: Subject
    start_ns: int
    #: None: it was firing at the end of the range.
    stop_ns: int | None
    #: The worst.
    severity: Severity
    #: At the start.
    value: Value | None
    message: str


@dataclass(slots=True)
class Intervals:
    """Gathers them; memory is bounded by the number of subjects and :data:`MOST_INTERVALS`."""

    start_ns: int
    stop_ns: int
    kept: list[Interval] = field(default_factory=list)
    #: How often each subject fired, and for how many ns, all intervals counted.
    fired: Counter[Subject] = field(default_factory=Counter)
    firing_ns: Counter[Subject] = field(default_factory=Counter)
    #: Conditions that held, but not for long enough.
    cancelled: int = 0
    _open: dict[Subject, Interval] = field(default_factory=dict)

    def take(self, events: Iterable[RuleEvent]) -> None:
        """Take events in order."""
        for event in events:
            if event.kind is EventKind.FIRING:
                self._begin(event)
            elif event.kind is EventKind.SEVERITY and (running := self._open.get(event.subject)) is not None:
                running.severity = max(running.severity, event.severity, key=lambda severity: severity.rank)
            elif event.kind is EventKind.RESOLVED and (ended := self._open.pop(event.subject, None)) is not None:
                ended.stop_ns = event.at_ns
                self._count(ended, event.at_ns)
            elif event.kind is EventKind.CANCELLED and event.at_ns >= self.start_ns:
                self.cancelled += 1

    def finish(self) -> None:
        """The range is over; what fires still is counted up to its end."""
        for running in self._open.values():
            self._count(running, self.stop_ns)
        self._open.clear()
        self.kept.sort(key=lambda interval: interval.start_ns)

    def _begin(self, event: RuleEvent) -> None:
        start_ns = max(event.at_ns, self.start_ns)
        self._open[event.subject] = Interval(event.subject, start_ns, None, event.severity, event.value, event.message)

    def _count(self, interval: Interval, stop_ns: int) -> None:
        if stop_ns < self.start_ns:
            return  # it ended before the range began
        self.fired[interval.subject] += 1
        self.firing_ns[interval.subject] += max(0, stop_ns - interval.start_ns)
        if len(self.kept) < MOST_INTERVALS:
            self.kept.append(interval)
