"""``iothub alerts`` over the real API: list, show, acknowledge, assign, comment, silence."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hub.rules.events import EventKind, Severity
from tests.support.alerting import Office, S, event, office
from tests.support.api import running_api
from tests.support.commands import Commands, Said

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


def with_alerts(folder: Path, body: Callable[[Commands, Office], Awaitable[None]]) -> None:
    async def scenario() -> None:
        (folder / "desk").mkdir()
        async with running_api(folder) as api, office(folder / "desk") as made:
            made.now_ns = api.clock()
            alerting: Any = SimpleNamespace(desk=made.desk)
            api.app.state.parts = replace(api.parts, alerting=alerting)
            await body(Commands(folder, api), made)

    asyncio.run(scenario())


async def numbers(commands: Commands, *words: str) -> list[int]:
    return [each["id"] for each in json.loads((await commands("alerts", "list", *words, "--json")).out)]


def test_what_is_wrong_is_listed_and_shown_with_all_that_happened_to_it(tmp_path: Path) -> None:
    async def body(commands: Commands, made: Office) -> None:
        assert (await commands("alerts")).out == "Nothing is wrong.\n"
        made.fire(message="\x1b[2Jit is hot")
        made.fire(rule="cold", node="attic", severity=Severity.CRITICAL)
        await made.clerk.written()
        listed = (await commands("alerts")).out
        assert [line.split()[:2] for line in listed.splitlines()[1:]] == [["2", "critical"], ["1", "warning"]]
        shown = (await commands("alerts", "show", "1")).out
        for part in ("hot", "boiler", "room.temperature", "firing", "31.5", "\\x1b[2Jit is hot"):
            assert part in shown
        assert "\x1b[2J" not in listed + shown

    with_alerts(tmp_path, body)


def test_lists_are_chosen_by_state_severity_rule_node_and_age(tmp_path: Path) -> None:
    async def body(commands: Commands, made: Office) -> None:
        made.fire()
        made.fire(rule="cold", node="attic", severity=Severity.CRITICAL)
        made.desk.apply([event(EventKind.PENDING, rule="dry"), event(EventKind.RESOLVED, 5, rule="cold", node="attic")])
        await made.clerk.written()
        assert await numbers(commands) == [1]
        assert await numbers(commands, "--only", "all") == [2, 1]
        assert await numbers(commands, "--only", "resolved") == [2]
        assert await numbers(commands, "--only", "pending") == [3]
        assert await numbers(commands, "--only", "all", "--severity", "critical") == [2]
        assert await numbers(commands, "--only", "all", "--rule", "c*") == [2]
        assert await numbers(commands, "--only", "all", "--node", "boil*", "--limit", "1") == [1]
        assert await numbers(commands, "--only", "all", "--last", "1m") == [], "they fired long ago"
        nothing = await commands("alerts", "list", "--node", "nobody")
        assert nothing.out == "No such alerts.\n", "of all nodes one alert is open"

    with_alerts(tmp_path, body)


def test_people_acknowledge_assign_and_comment(tmp_path: Path) -> None:
    async def body(commands: Commands, made: Office) -> None:
        made.fire()
        made.fire(rule="cold")
        await made.clerk.written()
        said = [
            await commands("alerts", "ack", "1", "2", "--why", "on my way"),
            await commands("alerts", "assign", "1", "kim"),
            await commands("alerts", "assign", "1", "-", "-m", "ill"),
            await commands("alerts", "comment", "1", "it was the pump"),
        ]
        assert [each.out.splitlines() for each in said] == [
            ["Acknowledged alert 1 hot on boiler.", "Acknowledged alert 2 cold on boiler."],
            ["Assigned to kim: alert 1 hot on boiler."],
            ["Assigned to nobody: alert 1 hot on boiler."],
            ["Added to alert 1 hot on boiler."],
        ]
        history = json.loads((await commands("alerts", "show", "1", "--json")).out)["history"]
        assert [(row["change"], row["by"], row["why"]) for row in history[1:]] == [
            ("acknowledged", "admin", "on my way"),
            ("assigned", "admin", "to kim"),
            ("assigned", "admin", "to nobody: ill"),
            ("commented", "admin", "it was the pump"),
        ]
        assert await numbers(commands, "--only", "acknowledged") == [2, 1]

    with_alerts(tmp_path, body)


def test_silences_are_made_listed_and_lifted(tmp_path: Path) -> None:
    async def body(commands: Commands, made: Office) -> None:
        made.fire()
        await made.clerk.written()
        assert (await commands("alerts", "silences")).out == "No silences.\n"
        said = await commands("alerts", "silence", "--rule", "h*", "--node", "boil*", "--for", "2h", "-m", "cleaning")
        assert said.out.startswith("Silence 1: rules h*, nodes boil*, until ")
        made.now_ns += 600 * S
        (row,) = (await commands("alerts", "silences")).out.splitlines()[1:]
        assert row.split()[:3] == ["1", "h*", "boil*"]
        assert row.split()[-2:] == ["admin", "cleaning"]
        assert "firing, silenced" in (await commands("alerts")).out
        assert (await commands("alerts", "unsilence", "1")).out == "Silence 1 is over.\n"
        assert "silenced" not in (await commands("alerts")).out
        assert (await commands("alerts", "silences")).out == "No silences.\n"
        assert "(not now)" in (await commands("alerts", "silences", "--all")).out

    with_alerts(tmp_path, body)


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("ack", "9"), 1, "there is no such alert; `iothub alerts` lists those that are open"),
        (("ack", "2"), 1, "that alert is over; only remarks can be added to it: iothub alerts comment ID TEXT"),
        (("unsilence", "9"), 1, "there is no such silence that still holds"),
        (("list", "--only", "lost"), 2, "--only 'lost': is none of open, pending, firing"),
        (("list", "--severity", "bad"), 2, "--severity 'bad': is none of info, warning, critical"),
        (("list", "--last", "soon"), 2, "--last 'soon': a duration is"),
        (("silence", "--for", "2h", "-m", "x"), 2, "which ones? Name a --rule or a --node"),
        (("silence", "--node", "a", "--for", "soon", "-m", "x"), 2, "--for 'soon': a duration is"),
        (("silence", "--node", "a", "--for", "2h"), 2, "Missing option '--why'"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(
    tmp_path: Path, words: tuple[str, ...], code: int, complaint: str
) -> None:
    said: list[Said] = []

    async def body(commands: Commands, made: Office) -> None:
        made.fire()
        made.fire(rule="cold")
        made.desk.apply([event(EventKind.RESOLVED, 5, rule="cold")])
        await made.clerk.written()
        said.append(await commands("alerts", *words))

    with_alerts(tmp_path, body)
    assert (said[0].code, complaint in said[0].err) == (code, True), said[0].err
