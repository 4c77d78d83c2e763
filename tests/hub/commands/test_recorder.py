"""What is taken out of a message: its id, who says to have sent it, until when it counts; durable before it is told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from hub.commands.book import Book
from hub.commands.keys import OperatorKeys
from hub.commands.model import Answer, Progress, Seen, State, Who
from hub.commands.recorder import LONGEST_JSON, Recorder
from hub.control import Controls
from hub.nodes.presence import Presence
from hub.statefile import StateUnavailable
from tests.support.hotpath import NOW_MS, NOW_NS, Rig, ScriptedRegistry
from wire.messages import Command, encode
from wire.signing import new_key, public_text, sign
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Packet:
    """A PUBLISH with the properties of MQTT 5."""

    payload: bytes
    topic: str = "iot/v1/n1/cmd/ping"
    retain: bool = False
    duplicate: bool = False
    response_topic: str | None = None
    correlation_data: bytes | None = None
    message_expiry_interval: int | None = None
    user_properties: list[tuple[str, str]] = field(default_factory=list)


def taken(tmp_path: Path, *packets: Packet) -> list[Seen | Answer]:
    recorder = Recorder(Book(tmp_path / "c.db"), Topics(), OperatorKeys(tmp_path), lambda _: None)
    recorder.observe(Rig().decode(*packets).controls)
    return recorder._unwritten


def only(tmp_path: Path, payload: bytes = b"{}", **more: Any) -> Seen:
    event = taken(tmp_path, Packet(payload, **more))[0]
    assert isinstance(event, Seen)
    return event


@pytest.mark.parametrize(
    ("payload", "more", "expected"),
    [
        (b'{"id":"a"}', {"response_topic": "iot/v1/n1/reply/b", "correlation_data": b"c"}, "a"),
        (b"{}", {"response_topic": "iot/v1/n1/reply/b", "correlation_data": b"c"}, "c"),
        (b"{}", {"response_topic": "iot/v1/n1/reply/b"}, "b"),
        (b'{"id":"a\\u0085"}', {}, None),
        (b"", {"response_topic": "iot/v1/n2/reply/b", "correlation_data": b"c"}, "c"),
        (b"{}", {"response_topic": "elsewhere"}, None),
        (b'{"id":"a/b"}', {}, None),
    ],
)
def test_the_id_is_found_where_nodes_find_it(
    tmp_path: Path, payload: bytes, more: dict[str, Any], expected: str | None
) -> None:
    assert only(tmp_path, payload, **more).id == expected


def test_what_is_said_about_the_sender_is_kept_as_that(tmp_path: Path) -> None:
    assert only(tmp_path, user_properties=[("user", "ada" * 1000)]).who == Who(claimed=("ada" * 1000)[:256])
    assert only(tmp_path).who == Who()


def test_signatures_are_checked_where_the_hub_has_the_key(tmp_path: Path) -> None:
    key = new_key()
    command = sign(Command(id="a", expires=NOW_MS + 1), "n1", "ping", key, "ada")
    assert only(tmp_path, encode(command)).who == Who(signer="ada", verified=None)
    (tmp_path / "ada.pub").write_text(public_text(key))
    assert only(tmp_path, encode(command)).who == Who(signer="ada", verified=True)
    assert only(tmp_path, encode(command), topic="iot/v1/n2/cmd/ping").who == Who(signer="ada", verified=False)
    (tmp_path / "ada.pub").write_text("nonsense")
    assert only(tmp_path, encode(command)).who == Who(signer="ada", verified=None)


def test_it_counts_until_its_own_word_or_until_the_broker_drops_it(tmp_path: Path) -> None:
    soon, late = NOW_MS + 1000, NOW_MS + 60_000
    assert only(tmp_path, b'{"expires":%d}' % soon).expires_ms == soon
    assert only(tmp_path, b'{"expires":%d}' % late, message_expiry_interval=1).expires_ms == soon
    assert only(tmp_path).expires_ms is None


def test_long_arguments_are_cut(tmp_path: Path) -> None:
    found = only(tmp_path, b'{"args":{"x":"%s"}}' % (b"x" * 100_000))
    assert len(found.args) == LONGEST_JSON + 1


def test_a_reply_counts_for_the_node_of_its_topic(tmp_path: Path) -> None:
    packet = Packet(b'{"id":"a","n":0,"state":"done","result":{"node":"n1"}}', topic="iot/v1/n2/reply/a")
    assert [(event.node, event.id) for event in taken(tmp_path, packet)] == [("n2", "a")]


class Failing(Book):
    """Fails as often as it is told to."""

    failures = 0

    async def observe(self, events: Sequence[Seen | Answer]) -> list[Progress]:
        if self.failures:
            self.failures -= 1
            raise StateUnavailable("disk full")
        return await super().observe(events)


def test_what_cannot_be_written_is_not_told_and_is_written_by_the_next_flush(tmp_path: Path) -> None:
    async def test() -> None:
        told: list[Progress] = []
        async with Failing(tmp_path / "c.db", clock_ns=lambda: NOW_NS) as book:
            recorder = Recorder(book, Topics(), OperatorKeys(tmp_path), told.extend)
            registry: Any = ScriptedRegistry()
            controls = Controls(Presence(90), registry, lambda _: None, recorder)
            book.failures = 1
            reply = Packet(b'{"id":"a","n":0,"state":"done"}', topic="iot/v1/n1/reply/a")
            controls.observe(Rig().decode(Packet(b'{"id":"a"}'), reply).controls, (), NOW_NS)
            with pytest.raises(StateUnavailable):
                await controls.flush()
            assert told == []
            await controls.flush()
            assert [step.state for step in told] == [State.SENT, State.DONE]
            await controls.flush()
            assert len(told) == 2

    asyncio.run(test())
