"""Retained messages, wills, and what the link publishes, against a real Mosquitto."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.link import Filter, LinkDown, Will, encode_pubacks
from tests.support.links import collect, connected, make_link, numbered, payloads, pub, run
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NO_SUBSCRIBERS = 0x10


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A broker that no test stops; each test uses topics and client ids of its own."""
    with Mosquitto(tmp_path_factory.mktemp("mosquitto"), lines=["max_packet_size 20000000"]) as running_one:
        yield running_one


# -- what is too large -------------------------------------------------------------------------------------------------


def test_what_is_larger_than_the_broker_takes_is_not_sent_and_the_connection_stays(tmp_path: Path) -> None:
    """Sent, it would end the connection, and a command would do so at each attempt until it expires."""

    async def test(port: int) -> None:
        async with connected(port, "t/#", client_id="t") as link:
            connection = link._connection
            for qos in (0, 1):
                assert await link.publish("t/large", 30_000 * b"x", qos=qos) == 0x95
                code = await link.publish("t/fits", (20_000 - len("t/fits") - 15) * b"x", qos=qos, expiry_s=60)
                assert code in (0, NO_SUBSCRIBERS)
            assert link._connection is connection

    with Mosquitto(tmp_path, lines=["max_packet_size 20000"]) as broker:
        run(lambda: test(broker.port))


# -- retained messages ------------------------------------------------------------------------------------------------


def test_a_snapshot_brings_the_retained_messages_at_every_connect_and_nothing_live(shared: Mosquitto) -> None:
    async def test() -> None:
        for node in "xyz":
            await pub(shared.port, f"i/{node}/status", [node.encode()], retain=True)
        for _ in range(2):
            async with connected(shared.port, Filter("i/+/status", snapshot=True), "i/end", client_id="i") as link:
                got = await collect(link, 3)
                await pub(shared.port, "i/x/status", [b"live"])
                await pub(shared.port, "i/end", [b"end"])
                got += await collect(link, 1)
            assert sorted((m.payload, m.retain) for m in got) == [
                (b"end", False), (b"x", True), (b"y", True), (b"z", True),
            ]  # fmt: skip

    run(test)


def test_beside_a_subscription_a_snapshot_repeats_what_is_retained_and_doubles_nothing_live(shared: Mosquitto) -> None:
    filters = (Filter("j/#"), Filter("j/+/status", snapshot=True))

    async def test() -> None:
        async with connected(shared.port, *filters, client_id="j"):
            pass
        await pub(shared.port, "j/x/status", [b"while away"], retain=True)
        async with connected(shared.port, *filters, client_id="j") as link:
            await pub(shared.port, "j/x/status", [b"live"])
            await pub(shared.port, "j/end", [b"end"])
            got = await collect(link, 4)
            assert [(m.payload, m.retain) for m in got] == [
                (b"while away", False), (b"while away", True), (b"live", False), (b"end", False),
            ]  # fmt: skip

    run(test)


# -- messages out -----------------------------------------------------------------------------------------------------


def test_publishing_returns_the_reason_code_of_the_broker(shared: Mosquitto) -> None:
    async def test() -> None:
        async with (
            connected(shared.port, "k/#", client_id="k") as hub,
            connected(shared.port, client_id="k2") as other,
        ):
            assert await other.publish("k/x", b"one", retain=False) == 0
            assert await other.publish("nobody/is/here", b"two") == NO_SUBSCRIBERS
            assert await other.publish("k/x", b"three", qos=0) == 0
            assert payloads(await collect(hub, 2)) == [b"one", b"three"]

    run(test)


def test_many_publish_at_once_within_the_window_of_the_broker(shared: Mosquitto) -> None:
    async def test() -> None:
        async with (
            connected(shared.port, "l/#", client_id="l") as hub,
            connected(shared.port, client_id="l2") as other,
        ):
            codes = await asyncio.gather(*(other.publish("l/x", line) for line in numbered(0, 3000)))
            assert set(codes) == {0}
            assert payloads(await collect(hub, 3000)) == numbered(0, 3000)

    run(test)


def test_a_message_carries_its_expiry(shared: Mosquitto) -> None:
    async def test() -> None:
        async with connected(shared.port, "m/#", client_id="m") as hub, connected(shared.port, client_id="m2") as other:
            await other.publish("m/x", b"a", expiry_s=100)
            await other.publish("m/x", b"b", expiry_s=100, qos=0)
            await other.publish("m/x", b"c")
            assert [bool(m.message_expiry_interval) for m in await collect(hub, 3)] == [True, True, False]

    run(test)


def test_without_a_connection_publishing_says_why(shared: Mosquitto) -> None:
    async def test() -> None:
        with pytest.raises(LinkDown, match="not yet connected"):
            await make_link(shared.port).publish("n/x", b"x")

    run(test)


def test_the_will_is_published_on_a_break_and_not_on_an_orderly_end(shared: Mosquitto) -> None:
    will = Will("o/status", b"offline")

    async def test() -> None:
        async with connected(shared.port, "o/#", client_id="o") as watcher:
            async with connected(shared.port, client_id="o2", will=will):
                pass
            async with connected(shared.port, "o/status", client_id="o2", will=will) as link:
                assert link._connection is not None
                link._connection.transport.abort()
                assert payloads(await collect(watcher, 1)) == [b"offline"]
                await eventually(lambda: link.connects == 2)
                await pub(shared.port, "o/status", [b"end"])
                assert payloads(await collect(watcher, 1)) == [b"end"]
                # Its own will does not come back to it as if another said it: only the broker's retained copy may.
                assert {m.payload for m in await collect(link, 1) if not m.retain} == {b"end"}

    run(test)


@given(st.lists(st.integers(1, 65_535), max_size=50))
def test_acknowledgements_are_those_of_the_codec(packet_ids: list[int]) -> None:
    assert encode_pubacks(packet_ids) == b"".join(mqtt5.PubAckPacket(packet_id).write() for packet_id in packet_ids)
