"""What a notification is made of: who is told of which alerts, and why. Values without behaviour."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import msgspec

from hub.alerts.model import Alert  # noqa: TC001  msgspec reads annotations when it runs
from hub.rules.events import Severity


class Occasion(enum.StrEnum):
    """Why somebody is told, most pressing first."""

    ESCALATION = "escalation"
    FIRING = "firing"
    WORSE = "worse"
    REPEAT = "repeat"
    RESOLVED = "resolved"
    #: A person tries the channel.
    TEST = "test"


class Told(msgspec.Struct, frozen=True):
    """What one channel knows of one alert."""

    alert: int
    channel: str
    route: str
    #: As it was told last.
    severity: Severity
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class Item:
    """One alert of a message."""

    alert: Alert
    occasion: Occasion


@dataclass(frozen=True, slots=True)
class Due:
    """One message for one channel: worst and oldest alerts first, all resolved or none."""

    channel: str
    route: str
    items: tuple[Item, ...]


@dataclass(slots=True)
class Plan:
    """What is to be sent now, and what the channels know from then on."""

    due: list[Due] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    #: (alert, channel): nothing is left to say.
    done: list[tuple[int, str]] = field(default_factory=list)
