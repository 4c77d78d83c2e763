"""Receipts for very many nodes: all go out, and others get their turn in between."""

from __future__ import annotations

import asyncio

from hub.ledger import Watermark
from hub.link import LinkDown
from hub.receipts import Receipts
from tests.support.waiting import eventually
from wire.topics import Topics

NODES = [f"n{i}" for i in range(2_000)]


class Marks:
    """Plays the ledger."""

    def watermark(self, node: str) -> Watermark:
        return Watermark("s", int(node[1:]))


class Out:
    """Plays the link; goes down once after so many messages."""

    def __init__(self, *, down_after: int | None = None) -> None:
        self.connected = asyncio.Event()
        self.connected.set()
        self.sent: dict[str, bytes] = {}
        self.down_after = down_after

    async def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> None:
        if self.down_after is not None and len(self.sent) >= self.down_after:
            self.down_after = None
            self.connected.clear()
            raise LinkDown("gone")
        assert (qos, retain) == (0, True)
        self.sent[topic] = payload


def test_receipts_of_very_many_nodes_go_out_while_others_get_their_turn() -> None:
    async def test() -> None:
        out, seen = Out(), set[int]()
        receipts = Receipts(out, Topics(), Marks(), NODES)  # type: ignore[arg-type]  # these play them
        receipts.repeat()
        task = asyncio.create_task(receipts.run())
        while len(out.sent) < len(NODES):
            seen.add(len(out.sent))
            await asyncio.sleep(0)
        task.cancel()
        assert len(seen) > 3
        assert out.sent["iot/v1/n7/stored"] == b'{"seq":7,"session":"s"}'

    asyncio.run(test())


def test_receipts_that_a_broken_link_kept_go_out_once_it_is_back() -> None:
    async def test() -> None:
        out = Out(down_after=700)
        receipts = Receipts(out, Topics(), Marks(), NODES)  # type: ignore[arg-type]  # these play them
        receipts.repeat()
        task = asyncio.create_task(receipts.run())
        await eventually(lambda: not out.connected.is_set())
        out.connected.set()
        receipts.repeat()
        await eventually(lambda: len(out.sent) == len(NODES))
        task.cancel()

    asyncio.run(test())
