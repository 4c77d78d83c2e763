"""Commands and replies through a real Mosquitto."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from agent.collectors.base import Sample
from agent.commands import COMMANDS, FailedError, Host, RefusedError, Request
from agent.executor import Executor
from agent.reporter import Reporter
from agent.scheduler import Scheduler
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import eventually
from wire.errors import SessionDown
from wire.messages import NodeState, Status
from wire.outgoing import MemoryOutbox
from wire.session import NodeSession, SessionOptions, listen
from wire.settings import MqttSettings
from wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from agent.commands import Handler
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
        argv = ["mosquitto_pub", "-V", "5", "-p", str(self.broker.port), "-q", "1", *more]
        subprocess.run([*argv, "-t", f"iot/v1/n1/cmd/{command}", "-m", payload], check=True, timeout=10)

    def replies(self, topic_end: str = "") -> list[dict[str, Any]]:
        return [json.loads(reply.payload) for reply in self.incoming if reply.topic.endswith(topic_end)]

    def states(self, topic_end: str = "") -> list[str]:
        return [reply["state"] for reply in self.replies(topic_end)]

    async def final(self, topic_end: str = "") -> dict[str, Any]:
        await eventually(lambda: set(self.states(topic_end)) - {"accepted", "output"}, what=f"final: {self.replies()}")
        return self.replies(topic_end)[-1]

    def logs(self) -> list[str]:
        return [json.loads(e.payload)["message"] for e in self.outbox.pending(100) if e.topic.endswith("/log")]

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


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


@contextlib.asynccontextmanager
async def bench_on(broker: Mosquitto) -> AsyncIterator[Bench]:
    mqtt = MqttSettings(port=broker.port)
    incoming: list[Incoming] = []

    async def collect(messages: AsyncIterator[Incoming]) -> None:
        with contextlib.suppress(SessionDown):  # one test kills the broker
            async for message in messages:
                incoming.append(message)  # noqa: PERF401  read while it grows

    async with listen(mqtt, REPLIES) as messages:
        listener = asyncio.create_task(collect(messages))
        bench = Bench(broker, incoming)
        async with NodeSession(SessionOptions(mqtt=mqtt, node="n1"), lambda: Status(NodeState.ONLINE)) as session:
            host = Host(bench.scheduler, time.monotonic())
            executor = Executor(session, TOPICS, bench.reporter, host, commands=bench.commands)
            tasks = [asyncio.create_task(executor.run()), asyncio.create_task(bench.scheduler.run())]
            await asyncio.wait_for(session.connected.wait(), 10)
            await eventually(lambda: bench.outbox.waiting)
            yield bench
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        await asyncio.sleep(0.05)
        listener.cancel()


def run(broker: Mosquitto, test: Callable[[Bench], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30), bench_on(broker) as bench:
            await test(bench)

    asyncio.run(limited())


def test_a_ping_is_accepted_and_done(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("ping", '{"id":"p1"}')
        final = await bench.final("/p1")
        assert bench.states("/p1") == ["accepted", "done"]
        assert [reply["n"] for reply in bench.replies("/p1")] == [0, 1]
        assert final["id"] == "p1"
        assert final["result"]["uptime_s"] >= 0

    run(broker, test)


def test_an_empty_payload_is_a_command_and_gets_an_id(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("ping", "")
        await bench.final()
        assert bench.states() == ["accepted", "done"]
        assert len(bench.replies()[0]["id"]) == 16

    run(broker, test)


def test_collect_runs_collectors_now_and_counts(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        before = bench.outbox.waiting
        bench.send("collect", '{"id":"c1","args":{"collectors":["cpu"]}}')
        assert (await bench.final("/c1"))["result"] == {"samples": {"cpu": 1}}
        assert bench.outbox.waiting == before + 1

    run(broker, test)


def test_collect_names_the_collectors_that_fail(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("collect", '{"id":"c1"}')
        final = await bench.final("/c1")
        assert final["state"] == "done"
        assert final["result"]["problems"] == {"disk": "OSError: [Errno 5] broken"}
        bench.send("collect", '{"id":"c2","args":{"collectors":"disk"}}')
        assert (await bench.final("/c2"))["state"] == "failed"

    run(broker, test)


def test_interval_changes_the_pace(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("interval", '{"id":"i1","args":{"collector":"cpu","seconds":"5m"}}')
        final = await bench.final("/i1")
        assert final["result"] == {"collector": "cpu", "seconds": 300.0, "previous_seconds": 1000.0}
        assert bench.scheduler.intervals_s["cpu"] == 300.0

    run(broker, test)


@pytest.mark.parametrize(
    ("command", "args", "words"),
    [
        ("interval", '{"collector":"cpu","seconds":0.5}', "1 to 86400 seconds are allowed"),
        ("interval", '{"collector":"cpu","seconds":"soon"}', "a duration is"),
        ("interval", '{"collector":"gpu","seconds":5}', "there are cpu, disk"),
        ("interval", '{"seconds":5}', "collector"),
        ("interval", '{"collector":"cpu","seconds":5,"colour":1}', "colour"),
        ("collect", '{"collectors":["gpu"]}', "no collector 'gpu'"),
        ("collect", '{"collectors":5}', "Expected"),
        ("ping", '{"x":1}', "x"),
        ("reboot", "{}", "unknown command 'reboot'; this node knows buggy, collect, "),
    ],
)
def test_wrong_commands_are_refused_with_the_reason(broker: Mosquitto, command: str, args: str, words: str) -> None:
    async def test(bench: Bench) -> None:
        bench.send(command, f'{{"id":"w1","args":{args}}}')
        final = await bench.final("/w1")
        assert final["state"] == "refused"
        assert words in final["result"]["error"]
        assert bench.scheduler.intervals_s["cpu"] == 1000.0

    run(broker, test)


def test_an_expired_command_is_not_run(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("slow", '{"id":"e1","expires":1000}')
        await bench.final("/e1")
        assert bench.states("/e1") == ["expired"]
        assert bench.ran == []

    run(broker, test)


def test_a_retained_command_is_refused(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("slow", '{"id":"r1"}', "-r")
        final = await bench.final("/r1")
        assert final["state"] == "refused"
        assert "retained" in final["result"]["error"]
        assert bench.ran == []

    run(broker, test)


def test_a_malformed_command_is_refused_where_the_reply_can_be_found(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("ping", "{nonsense", "-D", "PUBLISH", "correlation-data", "m1")
        final = await bench.final("/m1")
        assert final["state"] == "refused"
        assert "not-json" in final["result"]["error"]

    run(broker, test)


def test_a_malformed_command_without_an_id_is_a_log_record(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("ping", "{nonsense")
        await eventually(lambda: [line for line in bench.logs() if "command ping: refused: not-json" in line])
        assert bench.replies() == []

    run(broker, test)


def test_a_response_topic_of_this_node_is_honoured_with_its_correlation_data(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        more = ["-D", "PUBLISH", "response-topic", "iot/v1/n1/reply/here", "-D", "PUBLISH", "correlation-data", "c9"]
        bench.send("ping", '{"id":"x1"}', *more)
        assert (await bench.final("/here"))["id"] == "x1"
        assert [reply.correlation_data for reply in bench.incoming] == [b"c9", b"c9"]

    run(broker, test)


def test_a_response_topic_elsewhere_is_not_used(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("ping", '{"id":"x1"}', "-D", "PUBLISH", "response-topic", "iot/v1/n2/cmd/reboot")
        await bench.final("/x1")

    run(broker, test)


def test_an_id_that_is_no_topic_level_is_answered_elsewhere(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("ping", '{"id":"a/b"}')
        assert (await bench.final())["state"] == "done"

    run(broker, test)


def test_a_command_delivered_twice_runs_once(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        for _ in range(2):
            bench.send("collect", '{"id":"d1","args":{"collectors":["cpu"]}}')
        bench.send("ping", '{"id":"after"}')
        await bench.final("/after")
        await bench.final("/d1")
        assert bench.states("/d1") == ["accepted", "done"]

    run(broker, test)


def test_a_command_that_takes_too_long_times_out_after_its_output(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("slow", '{"id":"t1","timeout":0.2}')
        final = await bench.final("/t1")
        assert bench.states("/t1") == ["accepted", "output", "timeout"]
        assert bench.replies("/t1")[1]["data"] == "working"
        assert "0.2 s" in final["result"]["error"]

    run(broker, test)


@pytest.mark.parametrize(
    ("command", "state", "words"),
    [
        ("failing", "failed", "no such service"),
        ("refusing", "refused", "not allowed"),
        ("buggy", "failed", "KeyError"),
    ],
)
def test_each_end_of_a_handler_is_one_final_state(broker: Mosquitto, command: str, state: str, words: str) -> None:
    async def test(bench: Bench) -> None:
        bench.send(command, '{"id":"f1"}')
        final = await bench.final("/f1")
        assert bench.states("/f1") == ["accepted", state]
        assert words in final["result"]["error"]

    run(broker, test)


def test_too_many_commands_at_once_are_refused(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        for i in range(11):
            bench.send("slow", f'{{"id":"s{i}"}}')
        final = await bench.final("/s10")
        assert final["state"] == "refused"
        assert "10 commands are running" in final["result"]["error"]

    run(broker, test)


def test_commands_interrupted_by_a_stop_are_answered_as_failed(broker: Mosquitto) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            async with bench_on(broker) as bench:
                bench.send("slow", '{"id":"s1"}')
                await eventually(lambda: "output" in bench.states("/s1"))
            assert bench.states("/s1") == ["accepted", "output", "failed"]

    asyncio.run(limited())


def test_a_reply_waits_for_the_connection_to_come_back(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("slow", '{"id":"k1","timeout":1}')
        await eventually(lambda: "output" in bench.states("/k1"))
        broker.kill()
        broker.start()
        async with listen(MqttSettings(port=broker.port), REPLIES) as messages:
            assert json.loads((await anext(messages)).payload)["state"] == "timeout"

    run(broker, test)
