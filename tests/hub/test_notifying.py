"""Notifications as the hub composes them: what keeps them quiet, and that its end is not waited for."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from structlog.testing import capture_logs

from hub.config import Settings
from hub.notifying import open_notifier, warn_of_receivers
from tests.support.alerting import T0, Office, S, office
from tests.support.notifying import Webhook, http_endpoint
from tests.support.rules import rules
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from hub.alerts.notify import Notifier
    from hub.rules.model import RuleSet

HOT: dict[str, Any] = {"metric": "room.temperature", "above": 30}
MUTED = HOT | {"mute": [{"days": "mon-sun"}]}
#: What was not sent by then is not sent at once.
A_WHILE_S = 0.3


class Scene:
    """An office whose alerts are told to a real endpoint, by rules that may change."""

    def __init__(self, made: Office, hook: Webhook, wanted: RuleSet) -> None:
        self.office = made
        self.hook = hook
        self.rules = wanted

    async def open(self) -> Notifier:
        route = {"name": "all", "channels": ["hook"], "group_wait": 0, "group_interval": 0}
        channels = [{"name": "hook", "url": self.hook.url}]
        notifier = await open_notifier(
            Settings.model_validate({"notify": {"channels": channels, "routes": [route]}}),
            self.office.book._database,
            self.office.desk,
            (),
            rules=lambda: self.rules,
            groups_of=lambda _node: (),
            clock_ns=lambda: self.office.now_ns,
        )
        self.office.clerk._tell = lambda changes: list(map(notifier.changed, changes)).clear()
        self.office.desk.on_silence = notifier.look_again
        return notifier

    async def nothing_is_sent(self) -> None:
        await self.office.clerk.written()
        await asyncio.sleep(A_WHILE_S)
        assert self.hook.tries == 0


def play(folder: Path, wanted: RuleSet, body: Callable[[Scene, Notifier], Awaitable[None]]) -> None:
    @contextlib.asynccontextmanager
    async def scene(hook: Webhook) -> AsyncIterator[tuple[Scene, Notifier]]:
        async with office(folder) as made:
            found = Scene(made, hook, wanted)
            notifier = await found.open()
            work = asyncio.create_task(notifier.run())
            try:
                yield found, notifier
            finally:
                work.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await work

    async def scenario(hook: Webhook) -> None:
        async with scene(hook) as (found, notifier):
            await body(found, notifier)

    with http_endpoint() as hook:
        asyncio.run(scenario(hook))


def test_an_alert_under_a_silence_is_told_as_soon_as_that_is_lifted(tmp_path: Path) -> None:
    async def body(found: Scene, _: Notifier) -> None:
        desk = found.office.desk
        silence = await desk.silence(rule="*", node="boiler", ends_ns=T0 + 3600 * S, by="jo", why="cleaning")
        found.office.fire()
        await found.nothing_is_sent()
        await desk.unsilence(silence.id, by="jo")
        await eventually(lambda: found.hook.titles == ["[WARNING] boiler: hot"], what="the message")

    play(tmp_path, rules(hot=HOT), body)


def test_a_rule_that_is_muted_now_tells_nobody_until_it_no_longer_is(tmp_path: Path) -> None:
    async def body(found: Scene, notifier: Notifier) -> None:
        found.office.fire()
        await found.nothing_is_sent()
        assert found.office.desk.now[0].state.open, "the alert is there all the same"
        found.rules = rules(hot=HOT)
        notifier.look_again()
        await eventually(lambda: found.hook.titles == ["[WARNING] boiler: hot"], what="the message")

    play(tmp_path, rules(hot=MUTED), body)


def test_rules_that_name_channels_that_are_not_there_are_told() -> None:
    channels = [{"name": "hook", "url": "json://127.0.0.1"}, {"name": "mail", "url": "json://127.0.0.1"}]
    wanted = rules(good=HOT | {"notify": ["mail", "hook"]}, plain=HOT, bad=HOT | {"notify": ["mail", "hok"]})
    settings = Settings.model_validate({"notify": {"channels": channels}})
    with capture_logs() as said:
        warn_of_receivers(wanted, settings)
    why = "'hok' is no channel of [[notify.channels]]; there are: hook, mail"
    assert [(line["log_level"], line["rule"], line["why"]) for line in said] == [("warning", "bad", why)]
