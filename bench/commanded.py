"""Nodes that answer commands: few connections, each for many nodes, over the hub's own link.

    python -m bench.commanded PORT NODES CONNECTIONS

Each command is answered *accepted* and *done* at QoS 1. Says ``ready`` once all nodes are born and subscribed; ends
when its standard input does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time

from hub.link import Filter, Link, LinkOptions
from wire.messages import Command, NodeState, Reply, ReplyState, Status, decode, encode
from wire.topics import Topics

TOPICS = Topics()


def name(number: int) -> str:
    """Node ``number``."""
    return f"node-{number:05d}"


class Crowd:
    """Some nodes on one connection."""

    def __init__(self, port: int, number: int, nodes: list[str]) -> None:
        self.nodes = nodes
        self.subscribed = asyncio.Event()
        filters = [Filter(TOPICS.commands(node)) for node in nodes]
        options = LinkOptions("127.0.0.1", port, f"crowd-{number}", keep_alive_s=60)
        self.link = Link(options, filters, on_connect=self.subscribed.set)

    async def born(self) -> None:
        await self.subscribed.wait()
        birth = encode(Status(NodeState.ONLINE, ts=time.time_ns() // 1_000_000, session="s"))
        await asyncio.gather(*(self.link.publish(TOPICS.status(node), birth, retain=True) for node in self.nodes))

    async def answer(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                batch = await self.link.batch()
                for message in batch.messages:
                    tasks.create_task(self._reply(message.topic, decode(message.payload, Command)))
                self.link.acknowledge(batch)

    async def _reply(self, topic: str, command: Command) -> None:
        node, request_id = TOPICS.parse(topic).node, command.id or ""
        to = TOPICS.reply(node, request_id)
        accepted = self.link.publish(to, encode(Reply(request_id, 0, ReplyState.ACCEPTED)))
        done = self.link.publish(to, encode(Reply(request_id, 1, ReplyState.DONE, result={"ts": 1})))
        await asyncio.gather(accepted, done)


async def run(port: int, nodes: int, connections: int) -> None:
    """Until standard input ends."""
    names = [name(i) for i in range(nodes)]
    crowds = [Crowd(port, i, names[i::connections]) for i in range(connections)]
    links = [asyncio.create_task(crowd.link.run()) for crowd in crowds]
    answering = [asyncio.create_task(crowd.answer()) for crowd in crowds]
    await asyncio.gather(*(crowd.born() for crowd in crowds))
    print(json.dumps({"ready": nodes}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for task in (*answering, *links):
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait([*answering, *links])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("nodes", type=int)
    parser.add_argument("connections", type=int)
    given = parser.parse_args()
    asyncio.run(run(given.port, given.nodes, given.connections))


if __name__ == "__main__":
    main()
