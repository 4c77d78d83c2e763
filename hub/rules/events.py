"""What the rule engine says: one :class:`RuleEvent` for each change of state of one (rule, node, series).

pending ─▶ firing ─▶ severity ─▶ … ─▶ resolved          pending ─▶ cancelled (it did not last)
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wire.point import SeriesKey, Value


class Severity(enum.StrEnum):
    """How bad it is, least first."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for the least; comparable, as the texts are not."""
        return list(Severity).index(self)


class EventKind(enum.StrEnum):
    """What changed."""

    #: The condition holds; ``for`` has not passed yet.
    PENDING = "pending"
    #: It has held for long enough.
    FIRING = "firing"
    #: It goes on, but at another severity.
    SEVERITY = "severity"
    #: It has been clear for long enough.
    RESOLVED = "resolved"
    #: It was pending and did not last.
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Subject:
    """What an alert is about; with the rule's name it is the alert's identity."""

    node: str
    #: None where the rule is about the node itself (silent, clock off).
    key: SeriesKey | None = None
    field: str | None = None

    @property
    def series(self) -> str:
        """``cpu.usage{core=0}``; empty where the rule is about the node itself."""
        if self.key is None:
            return ""
        tags = ",".join(f"{name}={value}" for name, value in self.key.tags)
        return f"{self.key.measurement}.{self.field or ''}" + (f"{{{tags}}}" if tags else "")


@dataclass(frozen=True, slots=True)
class RuleEvent:
    """One change of state."""

    kind: EventKind
    rule: str
    subject: Subject
    severity: Severity
    #: Time of the sample (or of the deadline that passed) that made the change, ns since the epoch, UTC.
    at_ns: int
    #: What was compared: the sample or the window's value; None for absence.
    value: Value | None
    #: The rule's text with its blanks filled.
    message: str
