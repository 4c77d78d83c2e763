"""Whatever stands in a request or a reply that can be read is recorded: one that cannot would come again for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hub.commands.book import Book
from hub.commands.keys import OperatorKeys
from hub.commands.life import GRACE_NS, due_ns
from hub.commands.model import State
from hub.commands.recorder import Recorder
from tests.hub.commands.test_recorder import Packet
from tests.support.hotpath import NOW_NS, Rig
from wire.topics import Topics

if TYPE_CHECKING:
    from pathlib import Path

#: Numbers at the ends of what JSON and 64 bits hold, texts that are none, and what is large.
REQUESTS = [
    b'{"id":"x","expires":9223372036854775807}',
    b'{"id":"x","expires":0,"timeout":0}',
    b'{"id":"x","timeout":1.7976931348623157e308}',
    b'{"id":"x","timeout":1e400}',
    b'{"id":"x","args":{"n":123456789012345678901234567890,"f":1e400,"t":"\\ud800\\u0000"}}',
    b'{"id":"x","args":{"t":"' + 200_000 * b"x" + b'"}}',
    b'{"id":"x","operator":"\\u0000","nonce":"\\ud800","signature":"' + 1000 * b"\xc3\xa9" + b'"}',
    b'{"id":"\\u0085"}',
    b'{"id":"' + 100_000 * b"x" + b'"}',
]
REPLIES = [
    b'{"id":"x","n":9223372036854775807,"state":"done","code":9223372036854775807}',
    b'{"id":"x","n":0,"state":"done","code":-9223372036854775808,"result":{"error":7,"duplicate":"yes"}}',
    b'{"id":"x","n":0,"state":"output","stream":"\\ud800\\n","data":"\\ud800\\u0000"}',
    b'{"id":"x","n":0,"state":"failed","result":{"error":"\\u0000\\udfff","n":1e400,"i":123456789012345678901234567890}}',
    b'{"id":"\\u0085/#","n":1,"state":"output","data":"' + 300_000 * b"x" + b'"}',
]


@pytest.mark.parametrize("payload", REQUESTS)
def test_a_request_is_recorded_whatever_it_says(tmp_path: Path, payload: bytes) -> None:
    asyncio.run(recorded(tmp_path, [Packet(payload), Packet(b'{"id":"x","n":0,"state":"accepted"}', reply("x"))]))


@pytest.mark.parametrize("payload", REPLIES)
def test_a_reply_is_recorded_whatever_it_says(tmp_path: Path, payload: bytes) -> None:
    asyncio.run(recorded(tmp_path, [Packet(b'{"id":"x"}'), Packet(payload, reply("x"))]))


def test_properties_of_any_size_are_recorded_bounded(tmp_path: Path) -> None:
    packet = Packet(
        b"{}",
        response_topic="iot/v1/n1/reply/" + 60_000 * "x",
        correlation_data=65_535 * b"\xff",
        message_expiry_interval=2**32 - 1,
        user_properties=[("user", 60_000 * "x")] * 2,
    )
    asyncio.run(recorded(tmp_path, [packet]))


async def recorded(folder: Path, packets: list[Packet]) -> None:
    async with Book(folder / "commands.db", clock_ns=lambda: NOW_NS) as book:
        recorder = Recorder(book, Topics(), OperatorKeys(folder), lambda _: None)
        controls = Rig().decode(*packets).controls
        assert controls, "it can be read, or is refused before it comes here"
        recorder.observe(controls)
        await recorder.flush()
        await book.expire(NOW_NS)
        found = await book.select((), 10)
        assert found
        assert all(len(each.id) <= 128 for each in found)


def test_what_never_ends_is_never_overdue(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Book(tmp_path / "commands.db", clock_ns=lambda: NOW_NS) as book:
            recorder = Recorder(book, Topics(), OperatorKeys(tmp_path), lambda _: None)
            recorder.observe(Rig().decode(Packet(REQUESTS[0]), Packet(b'{"id":"y","timeout":1e308}')).controls)
            recorder.observe(Rig().decode(Packet(b'{"id":"y","n":0,"state":"accepted"}', reply("y"))).controls)
            await recorder.flush()
            await book.expire(NOW_NS + 10**18)
            kept = {each.id: each for each in await book.select((), 10)}
            assert {name: each.state for name, each in kept.items()} == {"x": State.SENT, "y": State.ACCEPTED}
            assert all((due_ns(each) or 0) > NOW_NS + GRACE_NS for each in kept.values())

    asyncio.run(scenario())


def reply(name: str) -> str:
    return f"iot/v1/n1/reply/{name}"
