"""Commands to the hub itself on the broker."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from hub.alerts.commands import HubCommands
from hub.commands.book import Book
from hub.commands.keys import OperatorKeys
from hub.commands.recorder import Recorder
from hub.link import Message
from hub.messages import Control
from hub.routes import Route
from tests.support.alerting import T0, S, office
from tests.support.waiting import eventually
from wire.messages import Command
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path

    from tests.support.alerting import Office

TOPICS = Topics()


def command(name: str, /, number: Any = "c1", hub: Any = "here", **args: Any) -> Control:
    topic = TOPICS.hub_command(hub, name)
    route = Route(hub, address=TOPICS.parse(topic))
    return Control(route, Message(topic, b"", retain=False), Command(id=number, args=args), 0)


def run(folder: Path, *given: Control, answers: int = 1) -> list[dict[str, Any]]:
    """What the hub answers to these commands while one alert is open, then the state of that alert."""

    async def scenario() -> list[dict[str, Any]]:
        async with office(folder) as made:
            made.fire()
            await made.clerk.written()
            commands = HubCommands("here", made.desk, made.broker, TOPICS, lambda: made.now_ns)
            commands.take(given)
            async with cancelled(commands.run()):
                await eventually(lambda: len(replies(made)) >= answers)
            (alert,) = made.desk.now
            return [*replies(made), {"state": str(alert.state), "silenced": made.silences.until_ns(alert)}]

    return asyncio.run(scenario())


@contextlib.asynccontextmanager
async def cancelled(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Work that goes on meanwhile."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def replies(made: Office) -> list[dict[str, Any]]:
    return [said for topic, said, _ in made.broker.said if topic.startswith("iot/v1/$hub/here/reply/")]


def test_an_alert_is_acknowledged_and_the_answer_says_so(tmp_path: Path) -> None:
    (reply, then) = run(tmp_path, command("alert-ack", id=1, by="jo"))
    assert (reply["state"], reply["result"]) == ("done", {"id": 1, "state": "acknowledged"})
    assert then["state"] == "acknowledged"


def test_a_silence_holds_for_as_long_as_it_says(tmp_path: Path) -> None:
    (reply, then) = run(tmp_path, command("silence", node="boil*", **{"for": "2h"}, by="jo", why="x"))
    assert then["silenced"] == reply["result"]["ends"] * 1_000_000
    assert then["silenced"] % S == 0


def test_a_command_that_is_delivered_twice_is_carried_out_once(tmp_path: Path) -> None:
    twice = command("alert-comment", id=1, by="jo", why="once")
    found = run(tmp_path, twice, twice, command("alert-ack", "c2", id=1, by="jo"), answers=2)
    assert [reply["id"] for reply in found[:-1]] == ["c1", "c2"]


def test_commands_to_another_hub_are_its_own_business(tmp_path: Path) -> None:
    others = command("alert-ack", "c1", "there", id=1, by="jo")
    found = run(tmp_path, others, command("alert-comment", "c2", id=1, by="jo", why="x"))
    assert ([reply["id"] for reply in found[:-1]], found[-1]["state"]) == (["c2"], "firing")


def test_an_id_that_fits_no_topic_is_passed_over_and_the_next_command_is_carried_out(tmp_path: Path) -> None:
    found = run(tmp_path, command("alert-ack", "a/b", id=1, by="jo"), command("alert-ack", "c2", id=9, by="jo"))
    assert ([reply["id"] for reply in found[:-1]], found[-1]["state"]) == (["c2"], "firing")


def test_what_was_asked_and_answered_stands_in_the_journal_of_commands(tmp_path: Path) -> None:
    async def scenario() -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str, str]]]:
        async with office(tmp_path) as made, Book(tmp_path / "commands.db") as book:
            made.fire()
            await made.clerk.written()
            recorder = Recorder(book, TOPICS, OperatorKeys(tmp_path), lambda _: None)
            commands = HubCommands("here", made.desk, made.broker, TOPICS, lambda: made.now_ns, recorder.answered)
            asked = [command("alert-ack", id=1, by="jo"), command("silence", "c2", by="jo")]
            recorder.observe(asked)
            await recorder.flush()
            commands.take(asked)
            async with cancelled(commands.run()):
                await eventually(lambda: len(replies(made)) == 2)
            rows = await book.journal(after=1, limit=10)
            kept = sorted(await book.select((), 10), key=lambda each: each.number)
            return (
                [(row.kind, row.node, row.id) for row in rows],
                [(each.command, each.state, each.args, each.error or "") for each in kept],
            )

    journal, kept = asyncio.run(scenario())
    assert journal[:2] == [("request", "$hub/here", "c1"), ("request", "$hub/here", "c2")]
    assert [number for kind, _, number in journal[2:] if kind == "outcome"] == ["c1", "c2"]
    assert kept[0] == ("alert-ack", "done", '{"id":1,"by":"jo"}', "")
    assert kept[1][:2] == ("silence", "refused")
    assert "missing required field" in kept[1][3]


@pytest.mark.parametrize(
    ("wrong", "state", "says"),
    [
        (command("alert-ack", id=1), "refused", "missing required field `by`"),
        (command("alert-ack", id=9, by="jo"), "failed", "no open alert 9"),
        (command("alert-nack", id=1), "refused", "no command 'alert-nack'; there are alert-ack, "),
        (command("silence", by="jo", why="x", **{"for": "soon"}), "refused", "a duration is a number"),
        # Larger than a database holds: that ended the hub once.
        (command("alert-ack", id=10**30, by="jo"), "refused", "Expected `int` <= 9223372036854775807"),
        (command("unsilence", id=10**30, by="jo"), "refused", "Expected `int` <= 9223372036854775807"),
        (command("silence", by="jo", why="x", **{"for": 1e300}), "refused", "at most ten years"),
        (command("silence", by="jo", why="x", **{"for": f"{400 * '9'}d"}), "refused", "at most ten years"),
    ],
)
def test_what_cannot_be_done_is_answered_with_the_reason(tmp_path: Path, wrong: Control, state: str, says: str) -> None:
    reply = run(tmp_path, wrong)[0]
    assert reply["state"] == state
    assert says in reply["result"]["error"]


def test_a_command_that_has_expired_is_not_carried_out(tmp_path: Path) -> None:
    late = command("alert-ack")
    late.body = Command(id="c1", args={"id": 1, "by": "jo"}, expires=T0 // 1_000_000 - 1)
    answer, alert = run(tmp_path, late)
    assert (answer["state"], alert["state"]) == ("expired", "firing")
