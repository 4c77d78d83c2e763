"""Outbox on disk, delivery, session, a real Mosquitto and a small hub that confirms what it has: nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.mosquitto import Mosquitto
from tests.support.node import mqtt, run
from tests.support.waiting import eventually
from wire.delivery import Delivery
from wire.errors import SessionDown
from wire.messages import NodeState, Receipt, Status, encode
from wire.outbox import DiskOutbox
from wire.session import NodeSession, SessionOptions, listen, publish_once

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

TOPIC = "iot/v1/n1/telemetry/room"
STORED = "iot/v1/n1/stored"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "mosquitto") as running:
        yield running


class Hub:
    """Keeps the numbers that arrived, and confirms those without a gap before them."""

    def __init__(self, broker: Mosquitto) -> None:
        self.broker = broker
        self.stored: set[int] = set()
        self.arrived = 0
        self.watermark = 0
        self.session = ""

    async def run(self) -> None:
        while True:
            with contextlib.suppress(SessionDown, TimeoutError):
                async with listen(mqtt(self.broker.port), TOPIC) as messages:
                    while True:
                        async with asyncio.timeout(0.2):
                            await self._take(await anext(messages))
            await asyncio.sleep(0.02)

    async def _take(self, message: object) -> None:
        seq = int(json.loads(message.payload)["seq"])  # type: ignore[attr-defined]  # a received message
        self.arrived += 1
        self.stored.add(seq)
        while self.watermark + 1 in self.stored:
            self.watermark += 1

    async def confirm(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            with contextlib.suppress(SessionDown):
                receipt = encode(Receipt(self.watermark, self.session))
                await publish_once(mqtt(self.broker.port), STORED, receipt, retain=True, timeout_s=2)


@asynccontextmanager
async def node(broker: Mosquitto, path: Path) -> AsyncIterator[DiskOutbox]:
    """An agent's way out; left without a goodbye to the outbox's messages."""
    async with DiskOutbox(path) as outbox:
        options = SessionOptions(mqtt=mqtt(broker.port), node="n1", first_retry_s=0.02, longest_retry_s=0.1)
        birth = Status(NodeState.ONLINE, session=outbox.session, outbox=True)

        def confirmed(receipt: Receipt, retained: bool) -> None:  # noqa: FBT001  a callback of NodeSession
            outbox.covered(receipt, retained=retained)

        async with NodeSession(options, lambda: birth, confirmed) as session:
            delivery = Delivery(session, outbox, first_retry_s=0.02, longest_retry_s=0.1)
            task = asyncio.create_task(delivery.run())
            yield outbox
            task.cancel()


def put(outbox: DiskOutbox, count: int) -> None:
    for _ in range(count):
        outbox.append(TOPIC, lambda seq: json.dumps({"seq": seq}).encode())


@asynccontextmanager
async def hub_on(broker: Mosquitto, hub: Hub | None = None) -> AsyncIterator[Hub]:
    hub = hub or Hub(broker)
    tasks = [asyncio.create_task(hub.run()), asyncio.create_task(hub.confirm())]
    try:
        yield hub
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def test_what_the_hub_has_leaves_the_outbox(broker: Mosquitto, tmp_path: Path) -> None:
    async def test() -> None:
        async with hub_on(broker) as hub, node(broker, tmp_path / "outbox.db") as outbox:
            hub.session = outbox.session
            put(outbox, 500)
            await eventually(lambda: outbox.waiting == 0, 60)
            assert hub.stored == set(range(1, 501))

    run(test)


def test_killed_brokers_and_restarted_nodes_lose_nothing(broker: Mosquitto, tmp_path: Path) -> None:
    async def test() -> None:
        produced = 0
        async with hub_on(broker) as hub:
            for round_ in range(4):
                async with node(broker, tmp_path / "outbox.db") as outbox:
                    hub.session = outbox.session
                    for _ in range(20):
                        put(outbox, 10)
                        produced += 10
                        await asyncio.sleep(0.01)
                    if round_ % 2 == 0:
                        broker.kill()
                        put(outbox, 100)
                        produced += 100
                        broker.start()
            async with node(broker, tmp_path / "outbox.db") as outbox:
                await eventually(lambda: hub.watermark == produced, 60, what=f"all of {produced}")
                await eventually(lambda: outbox.waiting == 0, 60)
        assert hub.stored == set(range(1, produced + 1))

    run(test)


def test_what_waited_without_a_hub_arrives_and_the_new_comes_first(broker: Mosquitto, tmp_path: Path) -> None:
    async def test() -> None:
        async with node(broker, tmp_path / "outbox.db") as outbox:
            put(outbox, 300)
            await outbox.flush()
        async with node(broker, tmp_path / "outbox.db") as outbox, hub_on(broker) as hub:
            hub.session = outbox.session
            await eventually(lambda: hub.stored)
            put(outbox, 1)
            await eventually(lambda: outbox.waiting == 0, 60)
            assert hub.stored == set(range(1, 302))

    run(test)
