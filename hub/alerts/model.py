"""What an alert is, what can happen to it, and what keeps it quiet. Times are ns since the epoch, UTC.

                                      ┌──── severity ◀─┐
    (new) ─▶ pending ─▶ firing ───────┴─▶ acknowledged ┴─▶ resolved
                │          └──────────────────────────────────▲
                └─▶ cancelled: it did not last, and is forgotten

One alert a (rule, node, series) is open at a time; what comes after *resolved* is a new alert with a new number.
"""

from __future__ import annotations

import enum
import fnmatch
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from hub.rules.events import Severity, Subject
from wire.point import SeriesKey

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Who did it, where nobody did: the engine, or time that passed.
HUB: Final = ""


class AlertState(enum.StrEnum):
    """Where an alert is in its life."""

    PENDING = "pending"
    FIRING = "firing"
    #: As firing, and somebody has said that they know.
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"

    @property
    def open(self) -> bool:
        """Whether something is wrong now: firing or acknowledged."""
        return self in (AlertState.FIRING, AlertState.ACKNOWLEDGED)


class BrokenLink(enum.StrEnum):
    """Which link of the chain an absence alert blames."""

    #: Its node goes on sending, but not this series.
    SENSOR = "sensor"
    #: Nothing of the node comes any more.
    AGENT = "agent"
    BROKER = "broker"
    HUB = "hub"


class Identity(NamedTuple):
    """One alert of these is open at a time."""

    rule: str
    node: str
    #: ``cpu.usage{core=0}``; empty where the rule is about the node itself.
    series: str


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert, from pending to resolved; a new object for each change."""

    #: Ascending; never used again.
    id: int
    rule: str
    node: str
    #: Key and field of the series; None where the rule is about the node itself.
    key: SeriesKey | None = None
    field: str | None = None
    state: AlertState
    severity: Severity
    #: The worst that it has been.
    worst: Severity
    message: str
    #: What was compared last; None for absence.
    value: float | bool | str | None = None
    #: Time of the sample since which the condition holds.
    started_ns: int
    #: None while it is pending.
    fired_ns: int | None = None
    acknowledged_ns: int | None = None
    acknowledged_by: str | None = None
    assignee: str | None = None
    resolved_ns: int | None = None
    #: Of the last change; strictly ascending.
    changed_ns: int
    #: It came and went so often that it is held open until it has been quiet for a while.
    flapping: bool = False
    #: For absence: what is broken …
    broken: BrokenLink | None = None
    #: … and how that is known, a sentence.
    broken_detail: str = ""

    @property
    def subject(self) -> Subject:
        return Subject(self.node, self.key, self.field)

    @property
    def series(self) -> str:
        """``cpu.usage{core=0}``; empty where the rule is about the node itself."""
        return self.subject.series

    @property
    def identity(self) -> Identity:
        return Identity(self.rule, self.node, self.series)


class Change(enum.StrEnum):
    """What happened to an alert."""

    PENDING = "pending"
    FIRING = "firing"
    #: The severity rose or fell while it was open.
    SEVERITY = "severity"
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    COMMENTED = "commented"
    #: It comes and goes: nothing more is said about that until it is resolved.
    FLAPPING = "flapping"
    RESOLVED = "resolved"
    #: It was pending and did not last; the alert is forgotten.
    CANCELLED = "cancelled"


class AlertChange(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to one alert."""

    change: Change
    #: As it is after the change.
    alert: Alert
    #: None for a new alert.
    before: AlertState | None
    #: Severity before; None for a new alert.
    severity_before: Severity | None = None
    #: Of the sample, or of the action.
    at_ns: int
    #: The user; :data:`HUB` where nobody did it.
    by: str = HUB
    #: The comment of an action; the reason where the hub did it (empty where the message says all).
    why: str = ""


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts of these rules on these nodes notify nobody; their life goes on and is shown."""

    id: int
    #: Shell globs.
    rule: str = "*"
    node: str = "*"
    starts_ns: int
    ends_ns: int
    by: str
    why: str
    created_ns: int
    #: When it was lifted before its end.
    lifted_ns: int | None = None

    def covers(self, rule: str, node: str, now_ns: int) -> bool:
        """Whether it holds now, and for this rule on this node."""
        return (
            self.starts_ns <= now_ns < self.ends_ns
            and self.lifted_ns is None
            and fnmatch.fnmatchcase(rule, self.rule)
            and fnmatch.fnmatchcase(node, self.node)
        )


def silence_of(silences: Iterable[Silence], alert: Alert, now_ns: int) -> Silence | None:
    """The silence that keeps ``alert`` quiet, the one that lasts longest; None when nothing does."""
    covering = [silence for silence in silences if silence.covers(alert.rule, alert.node, now_ns)]
    return max(covering, key=lambda silence: silence.ends_ns, default=None)
