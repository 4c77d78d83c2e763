"""Nodes that are killed: one process, several node ids, numbered points through the real outbox and session.

    numbers ─▶ outbox on disk ─▶ journal: "on disk up to here"     delivery ─▶ session ─▶ broker ─▶ hub
                    ▲                                                                               │
                    └────────────────────────── receipts ◀──────────────────────────────────────────┘

    python -m bench.faulty_node PORT FOLDER BASE_MS RATE [--trim-at-puback] NODE…

Point ``n`` of a node has the sequence number, the value and, in ms after ``BASE_MS``, the time ``n``: whoever knows how
many there are knows them all. Once there is a file ``quiet`` in the folder, nodes only deliver what waits.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from wire.delivery import Delivery
from wire.errors import OutboxError
from wire.messages import NodeState, Receipt, Status
from wire.outbox import DiskOutbox
from wire.session import NodeSession, SessionOptions
from wire.settings import MqttSettings
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wire.outgoing import Entry

MEASUREMENT = "chaos"
FIELD = "n"
_TICK_S = 0.05
_STATUS_S = 0.25


def outbox_file(folder: Path, node: str) -> Path:
    """The outbox of a node."""
    return folder / f"{node}.outbox"


def journal_file(folder: Path, node: str) -> Path:
    """One line for each time that points were known to be on the disk: the last number."""
    return folder / f"{node}.journal"


def quiet_file(folder: Path) -> Path:
    """While it is there, nothing is generated."""
    return folder / "quiet"


class TrimsAtPuback(DiskOutbox):
    """What this project's outbox is not: it frees a message when the broker has acknowledged it."""

    durable = False

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._acknowledged: set[int] = set()

    def settled(self, delivered: Sequence[Entry], refused: Sequence[Entry], kept: Sequence[Entry]) -> None:
        super().settled(delivered, refused, kept)
        self._acknowledged.update(entry.seq for entry in delivered)
        freed = self._plan.covered
        while freed + 1 in self._acknowledged:
            freed += 1
            self._acknowledged.discard(freed)
        self.covered(Receipt(seq=freed, session=self.session))


class Node:
    """One node id: generates, keeps, delivers."""

    def __init__(self, name: str, given: argparse.Namespace) -> None:
        self.name = name
        self._rate = given.rate / len(given.nodes)
        self._base_ms = given.base_ms
        self._mqtt = MqttSettings.model_validate({"port": given.port})
        self._topic = Topics(self._mqtt.root).telemetry(name, MEASUREMENT)
        path = outbox_file(given.folder, name)
        self.outbox = TrimsAtPuback(path) if given.trim_at_puback else DiskOutbox(path)
        self._quiet = quiet_file(given.folder)
        self._journal = os.open(journal_file(given.folder, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def run(self) -> None:
        """Until the process is ended."""
        async with self.outbox:
            options = SessionOptions(mqtt=self._mqtt, node=self.name, longest_retry_s=3.0)
            session = NodeSession(options, self._birth, self._take)
            async with session, asyncio.TaskGroup() as tasks:
                tasks.create_task(Delivery(session, self.outbox, window=500, longest_retry_s=3.0).run())
                tasks.create_task(self._generate())

    def _birth(self) -> Status:
        now_ms = time.time_ns() // 1_000_000
        return Status(NodeState.ONLINE, ts=now_ms, session=self.outbox.session, outbox=self.outbox.durable)

    def _take(self, receipt: Receipt, retained: bool) -> None:  # noqa: FBT001  a callback of NodeSession
        self.outbox.covered(receipt, retained=retained)

    async def _generate(self) -> None:
        began_s, made = time.monotonic(), 0
        while not self._quiet.exists():
            wanted = int((time.monotonic() - began_s) * self._rate)
            last = 0
            for _ in range(wanted - made):
                last = self.outbox.append(self._topic, self._payload)
            made = wanted
            if last:
                with contextlib.suppress(OutboxError):  # it says so itself, and nothing is lost: it was not on disk
                    await self.outbox.flush()
                    os.write(self._journal, b"%d\n" % last)
            await asyncio.sleep(_TICK_S)

    def _payload(self, number: int) -> bytes:
        return b'{"ts":%d,"values":{"%s":%d},"seq":%d}' % (self._base_ms + number, FIELD.encode(), number, number)


async def run(given: argparse.Namespace) -> None:
    """All nodes of this process, and a file that says how many messages wait."""
    nodes = [Node(name, given) for name in given.nodes]
    async with asyncio.TaskGroup() as tasks:
        for node in nodes:
            tasks.create_task(node.run())
        while True:
            await asyncio.sleep(_STATUS_S)
            status = given.folder / f"{given.nodes[0]}.status"
            partial = status.with_suffix(".new")
            partial.write_text(json.dumps({"pid": os.getpid(), "waiting": sum(n.outbox.waiting for n in nodes)}))
            partial.replace(status)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("base_ms", type=int)
    parser.add_argument("rate", type=float)
    parser.add_argument("nodes", nargs="+")
    parser.add_argument("--trim-at-puback", action="store_true")
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
