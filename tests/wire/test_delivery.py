"""Delivery from an outbox through a session to a real Mosquitto."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.mosquitto import Mosquitto
from tests.support.node import mqtt, run
from tests.support.waiting import eventually
from wire.delivery import Delivery
from wire.messages import NodeState, Status
from wire.outgoing import MemoryOutbox
from wire.session import NodeSession, SessionOptions, listen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from wire.packets import Incoming

TOPIC = "iot/v1/n1/telemetry/room"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "mosquitto", lines=["max_packet_size 5000"]) as running:
        yield running


class Sender:
    def __init__(self, session: NodeSession, outbox: MemoryOutbox) -> None:
        self.session = session
        self.outbox = outbox
        self.progress = 0
        self.delivery = Delivery(session, outbox, first_retry_s=0.02, longest_retry_s=0.1, on_delivered=self._delivered)

    def _delivered(self) -> None:
        self.progress += 1

    def put(self, count: int, size: int = 0) -> None:
        for _ in range(count):
            self.outbox.append(TOPIC, lambda seq: str(seq).encode() + b" " * size)


@asynccontextmanager
async def sending(broker: Mosquitto) -> AsyncIterator[Sender]:
    options = SessionOptions(mqtt=mqtt(broker.port), node="n1", first_retry_s=0.02, longest_retry_s=0.1)
    async with NodeSession(options, lambda: Status(NodeState.ONLINE)) as session:
        sender = Sender(session, MemoryOutbox())
        task = asyncio.create_task(sender.delivery.run())
        yield sender
        task.cancel()


@asynccontextmanager
async def hub(broker: Mosquitto) -> AsyncIterator[list[int]]:
    """A subscriber, as the hub is one; the numbers that arrived."""
    got: list[int] = []

    async def collect(messages: AsyncIterator[Incoming]) -> None:
        async for message in messages:
            got.append(int(message.payload))  # noqa: PERF401  read while it grows

    async with listen(mqtt(broker.port), TOPIC) as messages:
        task = asyncio.create_task(collect(messages))
        yield got
        task.cancel()


def test_what_is_put_in_arrives_in_order(broker: Mosquitto) -> None:
    async def test() -> None:
        async with hub(broker) as got, sending(broker) as sender:
            sender.put(2500)
            await eventually(lambda: len(got) == 2500)
            assert got == list(range(1, 2501))
            await eventually(lambda: sender.outbox.waiting == 0)
            assert sender.progress

    run(test)


def test_messages_wait_until_a_hub_subscribes(broker: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with sending(broker) as sender:
            sender.put(3)
            await eventually(lambda: "no hub subscribes" in caplog.text)
            assert sender.outbox.waiting == 3
            assert sender.progress == 0
            async with hub(broker) as got:
                await eventually(lambda: sender.outbox.waiting == 0)
                await eventually(lambda: got == [1, 2, 3])
        assert len(caplog.records) == 1

    run(test)


def test_messages_of_an_outage_arrive_after_it(broker: Mosquitto) -> None:
    async def test() -> None:
        async with sending(broker) as sender:
            await asyncio.wait_for(sender.session.connected.wait(), 60)
            broker.kill()
            sender.put(50)
            broker.start()
            async with hub(broker) as got:
                await eventually(lambda: sender.outbox.waiting == 0)
                await eventually(lambda: sorted(set(got)) == list(range(1, 51)))

    run(test)


def test_a_message_that_the_broker_never_takes_is_set_aside_and_the_rest_arrives(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with hub(broker) as got, sending(broker) as sender:
            sender.put(1)
            sender.put(1, size=6000)
            sender.put(1)
            await eventually(lambda: got == [1, 3])
            await eventually(lambda: sender.outbox.waiting == 0)
            assert sender.delivery.refused == 1
            assert "message 2 on iot/v1/n1/telemetry/room set aside" in caplog.text

    run(test)


def test_draining_sends_what_waits_and_says_whether_all_went(broker: Mosquitto) -> None:
    async def test() -> None:
        async with hub(broker) as got, sending(broker) as sender:
            await asyncio.wait_for(sender.session.connected.wait(), 60)
            sender.put(300)
            assert await sender.delivery.drain(5)
            await eventually(lambda: len(set(got)) == 300)
        async with sending(broker) as sender:
            await asyncio.wait_for(sender.session.connected.wait(), 60)
            sender.put(1)
            assert not await sender.delivery.drain(5)  # nobody subscribes: no use in waiting

    run(test)


def test_draining_without_a_broker_does_not_wait(broker: Mosquitto) -> None:
    async def test() -> None:
        broker.kill()
        async with sending(broker) as sender:
            sender.put(1)
            async with asyncio.timeout(10):
                assert not await sender.delivery.drain(20)

    run(test)
