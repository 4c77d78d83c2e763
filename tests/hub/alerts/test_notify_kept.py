"""What the registry keeps of notifications: nothing is forgotten over a restart, and nothing told twice."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
import structlog

from hub.alerts.notify_queue import Outcome
from hub.alerts.notify_records import NotificationFilter, Writes
from hub.nodes.database import RegistryError
from tests.support.notifier import notifying, outcomes, told
from tests.support.notifying import Webhook, firing, http_endpoint, resolved
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with http_endpoint() as hook:
        yield hook


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
