"""Notifications over HTTP: bodies of ``/notify/channels`` and ``/notifications``."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from hub.api.schemas import Time

NotificationOutcome = Literal["queued", "sent", "failed"]
Occasion = Literal["escalation", "firing", "worse", "repeat", "resolved", "test"]


class NotifyChannel(BaseModel):
    """One receiver of the settings; its address is a secret and stays one."""

    name: str
    #: E.g. ``E-Mail via mail.example.org``; empty where its address cannot be read or understood.
    service: str
    #: Messages that it has not taken yet.
    waiting: int
    #: Messages since the start of the hub.
    sent: int
    #: Tries that failed since the start of the hub.
    failures: int
    #: Messages that reached nobody, since the start of the hub.
    given_up: int
    last_sent: Time | None
    #: Since when it has taken nothing; null while it works.
    failing_since: Time | None
    #: Why the last try failed; empty while it works.
    error: str


class NotifyTest(BaseModel):
    """What came back from a test message."""

    ok: bool
    #: Number of the message, which it shows as its last line; null when it was not taken.
    notification: str | None
    #: Why it was not taken; empty when it was.
    error: str
    took_s: float


class Notification(BaseModel):
    """One message for one channel, and what became of it."""

    id: str
    channel: str
    route: str
    occasion: Occasion
    severity: str
    title: str
    body: str
    #: Numbers of the alerts that it is about.
    alerts: list[int]
    created: Time
    #: ``failed``: given up, nobody was told.
    outcome: NotificationOutcome
    #: Tries that failed.
    failures: int
    #: Why the last one failed.
    error: str
    #: When it was sent or given up.
    done: Time | None
