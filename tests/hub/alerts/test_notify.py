"""Notifications end to end: alerts go in, mails and webhook calls arrive at real servers."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from hub.alerts.notify import NoSuchChannel, Notifier
from hub.alerts.notify_queue import Outcome
from hub.alerts.notify_records import NotificationFilter, Writes
from hub.alerts.notify_send import SendFailed
from hub.config_notify import ChannelSettings, NotifySettings, RouteSettings
from hub.metrics import Metrics
from hub.nodes.database import Database, RegistryError, sqlite_url
from hub.rules.events import Severity
from tests.support.notifying import Mailbox, Webhook, acknowledged, change_to, firing, http_endpoint, resolved
from tests.support.notifying import smtp_server as running_smtp_server
from tests.support.waiting import eventually
from wire.settings import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from pathlib import Path

    from hub.alerts.model import Alert

ROUTE = {"name": "all", "channels": ("hook",), "group_wait": 0.05, "group_interval": 0.05, "repeat_every": 0}
QUICK = {"retry_first": 0.02, "retry_most": 0.05, "timeout": 5}


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    with running_smtp_server() as mailbox:
        yield mailbox


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with http_endpoint() as hook:
        yield hook


@dataclasses.dataclass
class Running:
    notifier: Notifier
    alerts: dict[int, Alert]

    def say(self, *alerts: Alert) -> None:
        for alert in alerts:
            self.alerts[alert.id] = alert
            self.notifier.changed(change_to(alert))


@contextlib.asynccontextmanager
async def notifying(
    folder: Path,
    channels: dict[str, str],
    *routes: dict[str, Any],
    alerts: dict[int, Alert] | None = None,
    **more: Any,
) -> AsyncIterator[Running]:
    """A notifier that runs over a registry in ``folder``, restored with the alerts that are open."""
    known = alerts if alerts is not None else {}
    settings = NotifySettings(
        channels=tuple(ChannelSettings(name=name, url=Secret(url)) for name, url in channels.items()),
        routes=tuple(RouteSettings(**(ROUTE | route)) for route in routes or ({},)),
        **(QUICK | more),
    )

    async def find(number: int) -> Alert | None:
        return known.get(number)

    async with Database(sqlite_url(folder / "hub.db")) as database:
        notifier = Notifier(settings, database, find=find)
        await notifier.restore([alert for alert in known.values() if alert.state.open])
        running = asyncio.create_task(notifier.run())
        try:
            yield Running(notifier, known)
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


def told(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 60))


async def outcomes(running: Running) -> list[Outcome]:
    return [message.outcome for message in await running.notifier.book.page(NotificationFilter())]


def test_an_alert_arrives_once_at_a_real_mail_server(tmp_path: Path, mailbox: Mailbox) -> None:
    async def work() -> None:
        mailbox.mails.clear()
        link = "http://hub.lan:8501"
        async with notifying(tmp_path, {"mail": mailbox.url}, {"channels": ("mail",)}, link=link) as running:
            running.say(firing(17, severity=Severity.CRITICAL))
            await eventually(lambda: mailbox.mails, what="the mail")
            running.say(firing(17, severity=Severity.CRITICAL))
            await asyncio.sleep(0.3)
        (mail,) = mailbox.mails
        assert mail["subject"] == "[CRITICAL] boiler-1: room-hot"
        assert mail["to"] == "ops@example.org"
        plain = mail.get_body(("plain",))
        assert plain is not None
        text = plain.get_content()
        for part in (
            "#17 critical: boiler-1: 31.5 °C in the room, above 30",
            "rule room-hot, boiler-1 room.temperature, value 31.5",
            "since 2026-11-22 11:59:00 UTC",
            "iothub alerts ack 17",
            link,
        ):
            assert part in text

    told(work)


def test_a_burst_is_one_message_with_the_first_lines_and_the_number_of_the_rest(tmp_path: Path, hook: Webhook) -> None:
    async def work() -> None:
        async with notifying(tmp_path, {"hook": hook.url}, {"group_wait": 0.3}) as running:
            running.say(*(firing(i, node=f"node-{i:02}") for i in range(1, 41)))
            running.say(firing(41, node="node-41", severity=Severity.CRITICAL))
            await eventually(lambda: hook.received, what="the message")
            await asyncio.sleep(0.3)
        (message,) = hook.received
        assert message["title"] == "[CRITICAL] 41 alerts: room-hot on 41 nodes"
        assert message["message"].startswith("#41 critical: node-41")
        assert message["message"].count("since 2026") == 10
        assert "… and 31 more (31 warning); all of them: iothub alerts" in message["message"]
        assert message["type"] == "failure"

    told(work)


def test_repeated_escalated_and_over(tmp_path: Path, hook: Webhook, mailbox: Mailbox) -> None:
    async def work() -> None:
        mailbox.mails.clear()
        route = {"repeat_every": 1.0, "escalate_after": 0.5, "escalate_to": ("mail",)}
        async with notifying(tmp_path, {"hook": hook.url, "mail": mailbox.url}, route) as running:
            running.say(firing(1))
            await eventually(lambda: mailbox.mails and len(hook.received) == 2, what="the repetition")
            running.say(acknowledged(firing(1)))
            running.say(resolved(firing(1)))
            await eventually(lambda: len(mailbox.mails) == 2 and len(hook.received) == 3, what="the end")
            assert hook.titles[1:] == ["[WARNING, still] boiler-1: room-hot", "[RESOLVED] boiler-1: room-hot"]
            assert mailbox.mails[0]["subject"].startswith("[WARNING, unacknowledged for ")
            assert mailbox.mails[1]["subject"] == "[RESOLVED] boiler-1: room-hot"
            assert hook.received[2]["type"] == "success"
            assert "over at 2026-11-22 12:01:00 UTC, after 2 min" in hook.received[2]["message"]
            about = await running.notifier.book.page(NotificationFilter(alert=1))
            assert sorted(message.occasion for message in about) == [
                "escalation",
                "firing",
                "repeat",
                "resolved",
                "resolved",
            ]

    told(work)


def test_a_failing_channel_is_tried_again_reported_and_holds_up_no_other(
    tmp_path: Path, hook: Webhook, mailbox: Mailbox
) -> None:
    async def work() -> None:
        mailbox.mails.clear()
        hook.status = 503
        channels = {"hook": hook.url, "mail": mailbox.url}
        async with notifying(tmp_path, channels, {"channels": ("hook", "mail")}) as running:
            metrics = Metrics()
            running.notifier.gauges(metrics)
            with structlog.testing.capture_logs() as log:
                running.say(firing(1))
                await eventually(lambda: mailbox.mails and hook.tries > 2, what="the mail, and more tries")
                status = running.notifier.statuses()[0]
                assert status.failing_since_ns is not None
                assert "503" in status.error
                assert b'iothub_notify_channel_failing{channel="hook"} 1.0' in metrics.text()
                assert b'iothub_notifications_waiting{channel="hook"} 1.0' in metrics.text()
                hook.status = 200
                await eventually(lambda: hook.received, what="the message")
                await eventually(lambda: running.notifier.statuses()[0].sent == 1)
            assert running.notifier.statuses()[0].failing_since_ns is None
            assert b'iothub_notifications_sent{channel="hook"} 1.0' in metrics.text()
            assert len(hook.received) == len(mailbox.mails) == 1
            warnings = [entry for entry in log if entry["log_level"] == "warning"]
            assert warnings[0]["channel"] == "hook"
            assert "503" in warnings[0]["why"]
            assert any("takes notifications again" in entry["event"] for entry in log)

    told(work)


def test_a_channel_that_hangs_blocks_neither_others_nor_the_hub(
    tmp_path: Path, hook: Webhook, mailbox: Mailbox
) -> None:
    async def work() -> None:
        mailbox.mails.clear()
        hook.open.clear()
        channels = {"hook": hook.url + "?rto=20", "mail": mailbox.url}
        async with notifying(tmp_path, channels, {"channels": ("hook", "mail")}, timeout=0.2) as running:
            running.say(firing(1))
            await eventually(lambda: mailbox.mails, what="the mail")
            await eventually(lambda: "does not answer" in running.notifier.statuses()[0].error, what="the report")
            assert hook.tries == 1  # not a second thread beside the one that hangs
            hook.open.set()
            await eventually(lambda: running.notifier.statuses()[0].sent == 1, what="the message")

    told(work)


def test_what_nobody_took_is_given_up_after_a_while_and_said(tmp_path: Path, hook: Webhook) -> None:
    async def work() -> None:
        hook.status = 500
        async with notifying(tmp_path, {"hook": hook.url}, give_up_after=0.2) as running:
            with structlog.testing.capture_logs() as log:
                running.say(firing(1))
                await eventually(lambda: running.notifier.statuses()[0].given_up == 1, what="giving up")
            assert any(entry["log_level"] == "error" and "given up" in entry["event"] for entry in log)
        async with notifying(tmp_path, {"hook": hook.url}, alerts=running.alerts) as again:
            (message,) = await again.notifier.book.page(NotificationFilter())
            assert message.outcome is Outcome.FAILED
            assert "500" in message.error
            assert message.alerts == (1,)

    told(work)


def test_more_than_may_wait_for_a_channel_pushes_the_oldest_out(tmp_path: Path, hook: Webhook) -> None:
    async def work() -> None:
        hook.status = 500
        slow: dict[str, Any] = {"queue": 2, "retry_first": 60, "retry_most": 60}
        async with notifying(tmp_path, {"hook": hook.url}, {"group_by": ("node",)}, **slow) as running:
            running.say(firing(1))
            await eventually(lambda: hook.tries == 1)
            for number in (2, 3):
                running.say(firing(number, node=f"node-{number}"))
                await eventually(lambda n=number: running.notifier.statuses()[0].waiting == min(n, 2))  # type: ignore[misc]
            await eventually(lambda: running.notifier.statuses()[0].given_up == 1, what="giving up")
        async with notifying(tmp_path, {"hook": hook.url}, alerts=running.alerts) as again:
            (failed,) = await again.notifier.book.page(NotificationFilter(outcome=Outcome.FAILED))
            assert failed.alerts == (1,)
            assert "more than 2 messages waited" in failed.error

    told(work)


def test_a_restart_sends_what_waited_and_nothing_twice(tmp_path: Path, hook: Webhook) -> None:
    async def work() -> None:
        async with notifying(tmp_path, {"hook": hook.url}) as running:
            running.say(firing(1))
            await eventually(lambda: hook.received, what="the first message")
            hook.status = 503
            running.say(firing(2))
            await eventually(lambda: hook.tries > 1, what="a try that fails")
        alerts = running.alerts | {3: firing(3)}  # it fired while the hub was away
        hook.status = 200
        async with notifying(tmp_path, {"hook": hook.url}, alerts=alerts) as again:
            await eventually(lambda: len(hook.received) == 3, what="what waited, and what is new")
            await asyncio.sleep(0.3)
            assert await outcomes(again) == [Outcome.SENT] * 3
        assert sorted(message["message"][:2] for message in hook.received) == ["#1", "#2", "#3"]

    told(work)


def test_what_resolved_while_the_hub_was_away_is_told_after_the_restart(tmp_path: Path, hook: Webhook) -> None:
    async def work() -> None:
        async with notifying(tmp_path, {"hook": hook.url}) as running:
            running.say(firing(1))
            await eventually(lambda: hook.received, what="the first message")
        async with notifying(tmp_path, {"hook": hook.url}, alerts={1: resolved(firing(1))}) as again:
            await eventually(lambda: len(hook.received) == 2, what="the end")
            await eventually(lambda: again.notifier.statuses()[0].sent == 1)
        async with notifying(tmp_path, {"hook": hook.url}, alerts={1: resolved(firing(1))}):
            await asyncio.sleep(0.3)
        assert hook.titles == ["[WARNING] boiler-1: room-hot", "[RESOLVED] boiler-1: room-hot"]

    told(work)


def test_what_is_on_its_way_when_the_hub_stops_is_not_sent_again(tmp_path: Path, hook: Webhook) -> None:
    async def work() -> None:
        hook.open.clear()
        async with notifying(tmp_path, {"hook": hook.url}) as running:
            running.say(firing(1))
            await eventually(lambda: hook.tries == 1, what="the request")
            asyncio.get_running_loop().call_later(0.2, hook.open.set)
        async with notifying(tmp_path, {"hook": hook.url}, alerts=running.alerts):
            await asyncio.sleep(0.3)
        assert len(hook.received) == 1

    told(work)


def test_people_are_told_also_while_the_registry_cannot_be_written(tmp_path: Path, hook: Webhook) -> None:
    async def work() -> None:
        async with notifying(tmp_path, {"hook": hook.url}) as running:
            book, broken = running.notifier.book, [True]
            write = book.write

            async def fail(writes: Writes) -> None:
                if broken[0]:
                    raise RegistryError("database or disk is full")
                await write(writes)

            book.write = fail  # type: ignore[method-assign]
            running.say(firing(1))
            await eventually(lambda: hook.received, what="the message")
            broken[0] = False
            running.say(firing(2))
            await eventually(lambda: len(hook.received) == 2)
        async with notifying(tmp_path, {"hook": hook.url}, alerts=running.alerts) as again:
            await asyncio.sleep(0.2)
            assert await outcomes(again) == [Outcome.SENT] * 2
        assert len(hook.received) == 2

    told(work)


def test_a_test_message_arrives_or_says_why_not(tmp_path: Path, hook: Webhook) -> None:
    async def work() -> None:
        async with notifying(tmp_path, {"hook": hook.url}) as running:
            sent = await running.notifier.test("hook", "ann")
            assert hook.received[0]["title"] == "[TEST] iothub can reach you"
            assert (
                f"ann tries the channel hook. Alerts would arrive here.\nNotification {sent.id}"
                in (hook.received[0]["message"])
            )
            hook.status = 401
            with pytest.raises(SendFailed, match="401"):
                await running.notifier.test("hook", "ann")
            with pytest.raises(NoSuchChannel, match="there is no channel 'nobody'; there are: hook"):
                await running.notifier.test("nobody", "ann")
            assert running.notifier.statuses()[0].waiting == 0

    told(work)


def test_old_history_is_dropped_and_what_waits_is_not(tmp_path: Path, hook: Webhook) -> None:
    async def work() -> None:
        async with notifying(tmp_path, {"hook": hook.url}, history=0.001) as running:
            running.say(firing(1))
            await eventually(lambda: running.notifier.statuses()[0].sent == 1)
            hook.status = 500
            running.say(firing(2))
            await eventually(lambda: hook.tries > 1)
            await running.notifier.maintain(time.time_ns())
            (message,) = await running.notifier.book.page(NotificationFilter())
            assert message.outcome is Outcome.QUEUED

    told(work)


def test_a_message_of_a_channel_that_the_settings_have_no_more_is_given_up(tmp_path: Path, hook: Webhook) -> None:
    async def work() -> None:
        hook.status = 500
        async with notifying(tmp_path, {"hook": hook.url}) as running:
            running.say(firing(1))
            await eventually(lambda: hook.tries > 0)
        renamed = {"channels": ("other",)}
        async with notifying(tmp_path, {"other": hook.url}, renamed, alerts=running.alerts) as again:
            hook.status = 200
            await eventually(lambda: hook.received, what="the message on the new channel")
            await eventually(lambda: again.notifier.statuses()[0].sent == 1)
            await asyncio.sleep(0.1)
            assert await outcomes(again) == [Outcome.SENT, Outcome.FAILED]

    told(work)
