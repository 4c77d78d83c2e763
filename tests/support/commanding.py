"""An agent's commands without its process, on a test broker, and an operator who listens to the replies."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from agent.admission import Admission
from agent.catalogue import catalogue
from agent.collectors.base import Sample
from agent.commands import COMMANDS, Answer, Command, FailedError, Host, RefusedError, Request
from agent.config_commands import CommandSettings
from agent.executor import Executor
from agent.operators import check_for
from agent.remembered import Memory
from agent.reporter import Reporter, now_ms
from agent.scheduler import Scheduler
from tests.support.node import collected, connected, pub, run
from tests.support.waiting import eventually
from wire.outgoing import MemoryOutbox
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.support.mosquitto import Mosquitto
    from wire.packets import Incoming
    from wire.session import NodeSession

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

    def __init__(self, broker: Mosquitto, replies: list[Incoming], session: NodeSession) -> None:
        self.broker = broker
        self.session = session
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

    def output(self, topic_end: str, stream: str = "stdout") -> str:
        return "".join(reply["data"] for reply in self.replies(topic_end) if reply.get("stream") == stream)

    # -- commands of these tests, instead of some of the catalogue --

    async def slow(self, _host: Host, request: Request, _args: Anything) -> Answer:
        self.ran.append("slow")
        await request.output("stdout", "working")
        await asyncio.sleep(60)
        return Answer()

    async def loud(self, _host: Host, request: Request, _args: Anything) -> Answer:
        for number in range(1000):
            await request.output("stdout", f"{number:06}" + 994 * ".")
        return Answer()

    async def huge(self, _host: Host, _request: Request, _args: Anything) -> Answer:
        return Answer({"text": 3_000_000 * "x"})

    async def buggy(self, _host: Host, _request: Request, _args: Anything) -> Answer:
        raise KeyError("oops")

    async def failing(self, _host: Host, _request: Request, _args: Anything) -> Answer:
        raise FailedError("no such service", code=4)

    async def refusing(self, _host: Host, _request: Request, _args: Anything) -> Answer:
        raise RefusedError("not allowed")

    @property
    def commands(self) -> dict[str, Command[Any]]:
        own = {name: getattr(self, name) for name in ("slow", "loud", "huge", "buggy", "failing", "refusing")}
        return {**COMMANDS, **{name: Command(name=name, help="", model=Anything, run=run) for name, run in own.items()}}


class Anything(msgspec.Struct):
    """Arguments of commands that are only there for tests."""


@asynccontextmanager
async def bench_on(
    broker: Mosquitto, state: Path | None = None, clock_ms: Callable[[], int] = now_ms, **settings: Any
) -> AsyncIterator[Bench]:
    """Commands are taken until the body ends; those that run then are interrupted and answered.

    Args:
        state: where it remembers what ran; a folder of the broker's when None.
        settings: of ``[agent.commands]``; everything is allowed unless they say otherwise.
    """
    wanted = CommandSettings.model_validate({"allow": ["*"], **settings})
    folder = state or broker.log.parent
    async with (
        collected(broker, REPLIES) as incoming,
        Memory(folder / "commands.db", keep_s=wanted.remember, clock_ms=clock_ms) as memory,
        connected(broker) as session,
    ):
        bench = Bench(broker, incoming, session)
        commands = bench.commands
        host = Host(
            scheduler=bench.scheduler,
            settings=wanted,
            info=lambda: {"commands": catalogue(commands, wanted)},
            started_s=time.monotonic(),
        )
        check = check_for(wanted.operators, "n1", keep_s=wanted.remember)
        admission = Admission(commands, wanted, check, clock_ms)
        executor = Executor(session, TOPICS, bench.reporter, host, admission=admission, memory=memory)
        tasks = [asyncio.create_task(executor.run()), asyncio.create_task(bench.scheduler.run())]
        await eventually(lambda: bench.outbox.waiting)
        yield bench
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def run_commands(broker: Mosquitto, test: Callable[[Bench], Awaitable[None]], **settings: Any) -> None:
    """Run ``test`` on a bench."""

    async def on_bench() -> None:
        async with bench_on(broker, **settings) as bench:
            await test(bench)

    run(on_bench)
