"""``iothub notify`` and the doctor's lines about channels, over the real API and a real endpoint."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from hub.cli.base import Options
from hub.cli.client import connected
from hub.cli.doctor_notify import examine_channels
from tests.support.commands import Commands
from tests.support.notifyapi import telling
from tests.support.notifying import change_to, firing, http_endpoint
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from hub.alerts.notify import Notifier
    from hub.cli.finding import Finding
    from tests.support.notifying import Webhook


def with_hub(folder: Path, body: Callable[[Commands, Notifier, Webhook], Awaitable[None]]) -> None:
    async def scenario() -> None:
        with http_endpoint() as hook:
            async with telling(folder, hook) as (api, notifier):
                await body(Commands(folder, api), notifier, hook)

    asyncio.run(scenario())


async def findings(folder: Path) -> list[Finding]:
    def examine() -> list[Finding]:
        with connected(Options(state=folder / "var")) as api:
            return list(examine_channels(api))

    return await asyncio.to_thread(examine)


async def failing(notifier: Notifier, hook: Webhook) -> None:
    hook.status = 500
    notifier.changed(change_to(firing(1)))
    await eventually(lambda: notifier.statuses()[0].failing_since_ns is not None, what="a failure")


def test_channels_are_listed_with_how_they_are_and_without_their_secrets(tmp_path: Path) -> None:
    async def body(commands: Commands, notifier: Notifier, hook: Webhook) -> None:
        said = await commands("notify")
        assert said.out == (await commands("notify", "list")).out
        (row,) = (line.split() for line in said.out.splitlines() if line.startswith("hook"))
        assert row == ["hook", "ok", "JSON", "via", f"127.0.0.1:{hook.port}", "0", "0", "0", "-"]
        await failing(notifier, hook)
        said = await commands("notify", "list")
        assert "hook takes nothing (first failure" in said.out
        assert "500" in said.out
        assert "secret" not in said.out
        (listed,) = json.loads((await commands("notify", "list", "--json")).out)
        assert (listed["name"], listed["waiting"], listed["sent"]) == ("hook", 1, 0)

    with_hub(tmp_path, body)


def test_a_test_message_arrives_and_a_refusal_is_exit_code_1(tmp_path: Path) -> None:
    async def body(commands: Commands, _: Notifier, hook: Webhook) -> None:
        good = await commands("notify", "test", "hook")
        assert (good.code, hook.titles) == (0, ["[TEST] iothub can reach you"])
        assert hook.received[0]["message"].endswith(good.out.splitlines()[-1].strip())
        hook.status = 403
        bad = await commands("notify", "test", "hook")
        assert bad.code == 1
        assert "hook did not take it" in bad.err
        assert "403" in bad.err
        assert (await commands("notify", "test", "none")).code == 1

    with_hub(tmp_path, body)


def test_the_history_says_who_was_told_of_which_alert(tmp_path: Path) -> None:
    async def body(commands: Commands, notifier: Notifier, hook: Webhook) -> None:
        notifier.changed(change_to(firing(17)))
        await eventually(lambda: hook.received and notifier.statuses()[0].sent, what="the message")
        await eventually(lambda: not notifier._writes, what="it is written")
        said = (await commands("notify", "history")).out
        for part in ("hook", "sent", "#17", "boiler-1: room-hot"):
            assert part in said
        assert "#17" not in (await commands("notify", "history", "--alert", "3")).out
        wrong = await commands("notify", "history", "--only", "lost")
        assert (wrong.code, "is none of queued, sent, failed, all" in wrong.err) == (2, True)

    with_hub(tmp_path, body)


def test_the_doctor_says_of_each_channel_whether_it_takes_messages(tmp_path: Path) -> None:
    async def body(_: Commands, notifier: Notifier, hook: Webhook) -> None:
        (fine,) = await findings(tmp_path)
        assert (fine.name, fine.verdict) == ("notify hook", "ok")
        assert fine.text.endswith("0 sent, 0 waiting; not used since the start, try it: iothub notify test hook")
        await failing(notifier, hook)
        (broken,) = await findings(tmp_path)
        assert broken.verdict == "failed"
        for part in ("takes nothing (first failure", "1 waiting", "500", "try it: iothub notify test hook"):
            assert part in broken.text

    with_hub(tmp_path, body)
