"""Bodies of ``/alerts`` and ``/silences``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hub.api.schemas import Scalar, Time
from hub.api.schemas_notify import Notification

Severity = Literal["info", "warning", "critical"]
AlertState = Literal["pending", "firing", "acknowledged", "resolved"]

_Why = Annotated[str, Field(max_length=2000)]
_Glob = Annotated[str, Field(min_length=1, max_length=128)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Alert(BaseModel):
    """One alert."""

    id: int
    rule: str
    node: str
    #: ``cpu.usage{core=0}``; empty where the rule is about the node itself.
    series: str
    state: AlertState
    severity: Severity
    #: The worst that it has been.
    worst: Severity
    message: str
    #: What was compared last; null for absence.
    value: Scalar | None
    #: Since when the condition holds; of the sample.
    started: Time
    #: Null while it is pending.
    fired: Time | None
    acknowledged: Time | None
    acknowledged_by: str | None
    assignee: str | None
    resolved: Time | None
    #: It came and went so often that it is held open until it has been quiet for a while.
    flapping: bool
    #: For absence: which link of the chain is broken, and how that is known.
    broken: Literal["sensor", "agent", "broker", "hub"] | None
    broken_detail: str
    #: Until when a silence keeps it from notifying anybody; null: none does.
    silenced_until: Time | None


class AlertEvent(BaseModel):
    """One thing that happened to an alert."""

    at: Time
    change: Literal["firing", "severity", "acknowledged", "assigned", "commented", "flapping", "resolved"]
    state: AlertState
    severity: Severity
    message: str
    #: Empty: the hub itself.
    by: str
    why: str


class AlertDetail(Alert):
    """One alert with all that happened to it, oldest first."""

    history: list[AlertEvent]
    #: The newest 50 messages to people about it, newest first; ``GET notifications?alert=`` has all.
    notifications: list[Notification] = []


class Acknowledgement(_Body):
    """``POST alerts/{id}/ack``."""

    why: _Why = ""


class Assignment(_Body):
    """``POST alerts/{id}/assign``."""

    #: Null: nobody's any more.
    to: Annotated[str, Field(min_length=1, max_length=64)] | None
    why: _Why = ""


class Remark(_Body):
    """``POST alerts/{id}/comment``."""

    why: Annotated[str, Field(min_length=1, max_length=2000)]


class SilenceRequest(_Body):
    """``POST silences``."""

    #: Shell globs.
    rule: _Glob = "*"
    node: _Glob = "*"
    #: Null: now.
    starts: Annotated[str, Field(max_length=64)] | None = None
    #: ISO 8601, Unix time in ms, or relative to now: ``+2h``.
    ends: Annotated[str, Field(max_length=64)]
    why: Annotated[str, Field(min_length=1, max_length=2000)]


class Silence(BaseModel):
    """Alerts of these rules on these nodes notify nobody."""

    id: int
    rule: str
    node: str
    starts: Time
    ends: Time
    by: str
    why: str
    created: Time
    #: When it was ended before its end.
    lifted: Time | None
    #: Whether it holds now.
    active: bool
