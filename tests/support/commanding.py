"""An agent's commands without its process, on a test broker, and an operator who listens to the replies."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from agent.collectors.base import Sample
from agent.commands import COMMANDS, FailedError, Host, RefusedError, Request
from agent.executor import Executor
from agent.reporter import Reporter
from agent.scheduler import Scheduler
from tests.support.node import collected, connected, pub, run
from tests.support.waiting import eventually
from wire.outgoing import MemoryOutbox
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from agent.commands import Handler
    from tests.support.mosquitto import Mosquitto
    from wire.packets import Incoming

TOPICS = Topics()
REPLIES = TOPICS.replies("n1")


class Fixed:
    name = "cpu"
    interval_s = 1000.0

    def collect(self, now_s: float) -> list[Sample]:
        return [Sample("cpu", {"usage": now_s})]


class Broken(Fixed):
    name = "disk"

    def collect(self, now_s: float) -> list[Sample]:  # noqa: ARG002  the protocol's
        raise OSError(5, "broken")


class Bench:
    """An agent without its process, and an operator who listens to its replies."""

    def __init__(self, broker: Mosquitto, replies: list[Incoming]) -> None:
        self.broker = broker
        self.incoming = replies
        self.outbox = MemoryOutbox()
        self.reporter = Reporter(self.outbox, TOPICS, "n1")
        self.scheduler = Scheduler([Fixed(), Broken()], self.reporter)
        self.ran: list[str] = []

    def send(self, command: str, payload: str, *more: str) -> None:
        pub(self.broker, f"iot/v1/n1/cmd/{command}", payload, *more)

    def replies(self, topic_end: str = "") -> list[dict[str, Any]]:
        return [json.loads(reply.payload) for reply in self.incoming if reply.topic.endswith(topic_end)]

    def states(self, topic_end: str = "") -> list[str]:
        return [reply["state"] for reply in self.replies(topic_end)]

    async def final(self, topic_end: str = "") -> dict[str, Any]:
        await eventually(lambda: set(self.states(topic_end)) - {"accepted", "output"}, what=f"final: {self.replies()}")
        return self.replies(topic_end)[-1]

    def logs(self) -> list[str]:
        return [json.loads(e.payload)["message"] for e in self.outbox._entries.values() if e.topic.endswith("/log")]

    # -- commands of these tests --

    async def slow(self, _host: Host, request: Request) -> dict[str, Any]:
        self.ran.append("slow")
        await request.output("stdout", "working")
        await asyncio.sleep(60)
        return {}

    async def buggy(self, _host: Host, _request: Request) -> dict[str, Any]:
        raise KeyError("oops")

    async def failing(self, _host: Host, _request: Request) -> dict[str, Any]:
        raise FailedError("no such service")

    async def refusing(self, _host: Host, _request: Request) -> dict[str, Any]:
        raise RefusedError("not allowed")

    @property
    def commands(self) -> dict[str, Handler]:
        own = {"slow": self.slow, "buggy": self.buggy, "failing": self.failing, "refusing": self.refusing}
        return {**COMMANDS, **own}


@asynccontextmanager
async def bench_on(broker: Mosquitto) -> AsyncIterator[Bench]:
    """Commands are taken until the body ends; those that run then are interrupted and answered."""
    async with collected(broker, REPLIES) as incoming:
        bench = Bench(broker, incoming)
        async with connected(broker) as session:
            host = Host(bench.scheduler, time.monotonic())
            executor = Executor(session, TOPICS, bench.reporter, host, commands=bench.commands)
            tasks = [asyncio.create_task(executor.run()), asyncio.create_task(bench.scheduler.run())]
            await eventually(lambda: bench.outbox.waiting)
            yield bench
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


def run_commands(broker: Mosquitto, test: Callable[[Bench], Awaitable[None]]) -> None:
    """Run ``test`` on a bench."""

    async def on_bench() -> None:
        async with bench_on(broker) as bench:
            await test(bench)

    run(on_bench)
