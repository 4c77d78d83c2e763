"""``/notify/channels`` and ``/notifications``: who can be told, whether it works, and who was told of what."""

import time
from typing import Annotated

import msgspec
import structlog
from fastapi import APIRouter, Path, Query

from hub.alerts.notify import NoSuchChannel, Notifier
from hub.alerts.notify_channel import ChannelStatus
from hub.alerts.notify_queue import Message, Outcome
from hub.alerts.notify_records import NotificationFilter
from hub.alerts.notify_send import SendFailed
from hub.api.auth import ChangingCaller, RequiredCaller
from hub.api.parts import Parts, PartsOf
from hub.api.problems import ProblemError
from hub.api.requests import Int64, PageCursor, PageLimit, Text, from_cursor, to_cursor
from hub.api.schemas import Page
from hub.api.schemas_notify import Notification, NotificationOutcome, NotifyChannel, NotifyTest
from hub.api.times import iso, iso_or_none

router = APIRouter(tags=["notifications"])

_log = structlog.get_logger("hub.api")

_Name = Annotated[str, Path(max_length=64)]
_Alert = Annotated[int | None, Query(ge=0, le=2**63 - 1, description="number of an alert that it is about")]


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """The last message shown."""

    created_ns: Int64
    id: str


@router.get("/notify/channels")
async def list_channels(parts: PartsOf) -> Page[NotifyChannel]:
    """The channels of the settings, each with whether it works."""
    channels = [_channel(status) for status in _notifier(parts).statuses()]
    return Page(items=channels, total=len(channels))


@router.post("/notify/channels/{name}/test")
async def try_channel(name: _Name, parts: PartsOf, caller: ChangingCaller) -> NotifyTest:
    """Send a test message, once, and say what came back; it may take as long as ``notify.timeout``."""
    started = time.monotonic()
    sent, error = None, ""
    try:
        sent = await _notifier(parts).test(name, caller.user)
    except NoSuchChannel as missing:
        raise ProblemError(404, f"{str(missing)[:1].upper()}{str(missing)[1:]}.", kind="no-channel") from missing
    except SendFailed as failure:
        error = str(failure)
    _log.info("a notification channel was tried", channel=name, by=caller.user, taken=sent is not None, why=error)
    return NotifyTest(
        ok=sent is not None,
        notification=sent.id if sent is not None else None,
        error=error,
        took_s=round(time.monotonic() - started, 3),
    )


@router.get("/notifications")
async def list_notifications(
    parts: PartsOf,
    caller: RequiredCaller,
    *,
    alert: _Alert = None,
    channel: Text = None,
    outcome: NotificationOutcome | None = None,
    limit: PageLimit = 100,
    page: PageCursor = None,
) -> Page[Notification]:
    """Messages and what became of them, newest first."""
    chosen = NotificationFilter(channel, Outcome(outcome) if outcome is not None else None, alert, caller.groups)
    place = from_cursor(page, _Place) if page is not None else None
    before = (place.created_ns, place.id) if place is not None else None
    rows = await _notifier(parts).book.page(chosen, before=before, limit=limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    following = to_cursor(_Place(last.created_ns, last.id)) if last is not None else None
    return Page(items=[notification(row) for row in rows[:limit]], next=following)


def notification(message: Message) -> Notification:
    """A message as it is shown, also beside the alert that it is about."""
    return Notification(
        id=message.id,
        channel=message.channel,
        route=message.route,
        occasion=message.occasion.value,
        severity=message.severity,
        title=message.title,
        body=message.body,
        alerts=list(message.alerts),
        created=iso(message.created_ns),
        outcome=message.outcome.value,
        failures=message.failures,
        error=message.error,
        done=iso_or_none(message.done_ns),
    )


# -- private -----------------------------------------------------------------------------------------------------------


def _notifier(parts: Parts) -> Notifier:
    if parts.notifier is None:
        raise ProblemError(503, "This hub tells nobody: its alerts do not run.", kind="no-alerts")
    return parts.notifier


def _channel(status: ChannelStatus) -> NotifyChannel:
    return NotifyChannel(
        name=status.name,
        service=status.service,
        waiting=status.waiting,
        sent=status.sent,
        failures=status.failures,
        given_up=status.given_up,
        last_sent=iso_or_none(status.last_sent_ns),
        failing_since=iso_or_none(status.failing_since_ns),
        error=status.error,
    )
