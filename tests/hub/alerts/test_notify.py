"""Notifications end to end: alerts go in, mails and webhook calls arrive at real servers."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from hub.alerts.notify import NoSuchChannel
from hub.alerts.notify_model import Occasion
from hub.alerts.notify_records import NotificationFilter
from hub.alerts.notify_send import SendFailed
from hub.metrics import Metrics
from hub.rules.events import Severity
from tests.support.notifier import notifying, told
from tests.support.notifying import Mailbox, Webhook, acknowledged, firing, http_endpoint, resolved
from tests.support.notifying import smtp_server as running_smtp_server
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    with running_smtp_server() as mailbox:
        yield mailbox


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with http_endpoint() as hook:
        yield hook


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
            await eventually(lambda: mailbox.mails and len(hook.received) > 1, what="the repetition")
            running.say(acknowledged(firing(1)))
            running.say(resolved(firing(1)))
            end = "[RESOLVED] boiler-1: room-hot"
            await eventually(lambda: hook.titles[-1] == mailbox.mails[-1]["subject"] == end, what="the end")
            assert hook.titles[0] == "[WARNING] boiler-1: room-hot"
            assert set(hook.titles[1:-1]) == {"[WARNING, still] boiler-1: room-hot"}
            assert mailbox.mails[0]["subject"].startswith("[WARNING, unacknowledged for ")
            assert hook.received[-1]["type"] == "success"
            assert "over at 2026-11-22 12:01:00 UTC, after 2 min" in hook.received[-1]["message"]
            about = await running.notifier.book.page(NotificationFilter(alert=1))
            told_by = Counter(message.occasion for message in about)
            assert (told_by[Occasion.FIRING], told_by[Occasion.ESCALATION], told_by[Occasion.RESOLVED]) == (1, 1, 2)

    told(work)


def test_to_a_channel_that_takes_nothing_nothing_is_repeated(tmp_path: Path, hook: Webhook) -> None:
    async def work() -> None:
        hook.status = 503
        async with notifying(tmp_path, {"hook": hook.url}, {"repeat_every": 0.2}) as running:
            running.say(firing(1))
            await eventually(lambda: hook.tries > 12, what="tries over several periods")
            assert running.notifier.statuses()[0].waiting == 1
            hook.status = 200
            await eventually(lambda: hook.received, what="the message")
            assert hook.titles[0] == "[WARNING] boiler-1: room-hot"

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
            await eventually(lambda: hook.tries, what="the first try reaches the endpoint")
            assert hook.tries == 1  # not a second thread beside the one that hangs
            hook.open.set()
            await eventually(lambda: running.notifier.statuses()[0].sent == 1, what="the message")

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


def test_a_channel_that_has_answered_takes_the_next_message_at_once(
    tmp_path: Path, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        loop, over = asyncio.get_running_loop(), threading.Event()
        tell = loop.call_soon_threadsafe

        def tell_and_linger(*args: Any, **kwargs: Any) -> asyncio.Handle:
            """The thread that sent has told what came of it, and is not over."""
            handle = tell(*args, **kwargs)
            if threading.current_thread().name.startswith("notify-"):
                over.wait(60)
            return handle

        monkeypatch.setattr(loop, "call_soon_threadsafe", tell_and_linger)
        async with notifying(tmp_path, {"hook": hook.url}) as running:
            before = len(hook.received)
            await running.notifier.test("hook", "ann")
            await running.notifier.test("hook", "ann")
            over.set()
            assert len(hook.received) == before + 2

    told(work)
