"""A wire tap between broker and hub: when did the hub acknowledge each message? Nothing of the hub is touched.

    broker ──PUBLISH (packet id)──▶ tap ──▶ hub ──store durable──▶ PUBACK (packet id) ──▶ tap: the time

    python -m bench.tap BROKER_PORT FILE

Says its port, then forwards one connection until it ends; FILE (NumPy) holds the times, in order of the messages, by
the clock that all processes of this machine share (CLOCK_MONOTONIC); NaN for what was not acknowledged.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import TYPE_CHECKING

import mqtt5
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

_READ_BYTES = 1 << 18


class Tap:
    """Follows both directions of one connection."""

    def __init__(self) -> None:
        self._number_of: dict[int, int] = {}
        self._messages = 0
        self.times: list[float] = []
        self._down = b""
        self._up = b""

    def from_broker(self, data: bytes) -> None:
        """Number the messages of the load as they pass; others are not counted."""
        packets, self._down = _packets(self._down + data)
        for packet in packets:
            if type(packet) is mqtt5.PublishPacket and packet.packet_id is not None and packet.topic.endswith("/bench"):
                self._number_of[packet.packet_id] = self._messages
                self._messages += 1
                self.times.append(np.nan)

    def from_hub(self, data: bytes) -> None:
        """Note the time of each acknowledgement."""
        now_s = time.monotonic()
        packets, self._up = _packets(self._up + data)
        for packet in packets:
            if type(packet) is mqtt5.PubAckPacket and packet.packet_id in self._number_of:
                self.times[self._number_of.pop(packet.packet_id)] = now_s


def _packets(data: bytes) -> tuple[list[object], bytes]:
    found: list[object] = []
    view, start = memoryview(data), 0
    try:
        while start < len(data):
            packet, size = mqtt5.read(view[start:])
            found.append(packet)
            start += size
    except IndexError:
        pass  # the rest is on its way
    return found, data[start:]


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, see: Callable[[bytes], None]) -> None:
    while data := await reader.read(_READ_BYTES):
        writer.write(data)  # first on its way, then looked at
        see(data)
        await writer.drain()
    writer.close()


async def run(broker_port: int, file: str) -> None:
    """Forward one connection."""
    tap, ended = Tap(), asyncio.Event()

    async def connected(hub_reader: asyncio.StreamReader, hub_writer: asyncio.StreamWriter) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", broker_port, limit=_READ_BYTES)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_forward(reader, hub_writer, tap.from_broker))
                tasks.create_task(_forward(hub_reader, writer, tap.from_hub))
        finally:
            ended.set()

    async with await asyncio.start_server(connected, "127.0.0.1", 0, limit=_READ_BYTES) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await ended.wait()
    np.save(file, np.array(tap.times))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("broker_port", type=int)
    parser.add_argument("file")
    given = parser.parse_args()
    asyncio.run(run(given.broker_port, given.file))


if __name__ == "__main__":
    main()
