"""How commands are answered, whatever they do, through a real Mosquitto."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.commanding import REPLIES, Bench, bench_on, run_commands
from tests.support.mosquitto import Mosquitto
from tests.support.node import collected, mqtt, run
from tests.support.waiting import eventually
from wire.packets import Incoming
from wire.received import ReceivedCommand
from wire.session import listen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


def test_an_expired_command_is_not_run(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("slow", '{"id":"e1","expires":1000}')
        await bench.final("/e1")
        assert bench.states("/e1") == ["expired"]
        assert bench.ran == []

    run_commands(broker, test)


def test_a_retained_command_is_refused(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("slow", '{"id":"r1"}', "-r")
        final = await bench.final("/r1")
        assert final["state"] == "refused"
        assert "retained" in final["result"]["error"]
        assert bench.ran == []

    run_commands(broker, test)


def test_a_malformed_command_is_refused_where_the_reply_can_be_found(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("ping", "{nonsense", "-D", "PUBLISH", "correlation-data", "m1")
        final = await bench.final("/m1")
        assert final["state"] == "refused"
        assert "not-json" in final["result"]["error"]

    run_commands(broker, test)


def test_a_malformed_command_without_an_id_is_a_log_record(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("ping", "{nonsense")
        await eventually(lambda: [line for line in bench.logs() if "command ping: refused: not-json" in line])
        assert bench.replies() == []

    run_commands(broker, test)


def test_a_response_topic_of_this_node_is_honoured_with_its_correlation_data(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        more = ["-D", "PUBLISH", "response-topic", "iot/v1/n1/reply/here", "-D", "PUBLISH", "correlation-data", "c9"]
        bench.send("ping", '{"id":"x1"}', *more)
        assert (await bench.final("/here"))["id"] == "x1"
        assert [reply.correlation_data for reply in bench.incoming] == [b"c9", b"c9"]

    run_commands(broker, test)


def test_a_response_topic_elsewhere_is_not_used(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("ping", '{"id":"x1"}', "-D", "PUBLISH", "response-topic", "iot/v1/n2/cmd/reboot")
        await bench.final("/x1")

    run_commands(broker, test)


def test_an_id_that_is_no_topic_level_is_answered_elsewhere(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("ping", '{"id":"a/b"}')
        assert (await bench.final())["state"] == "done"

    run_commands(broker, test)


def test_a_command_delivered_twice_runs_once(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        for _ in range(2):
            bench.send("collect", '{"id":"d1","args":{"collectors":["cpu"]}}')
        bench.send("ping", '{"id":"after"}')
        await bench.final("/after")
        await bench.final("/d1")
        assert bench.states("/d1") == ["accepted", "done"]

    run_commands(broker, test)


def test_a_command_that_takes_too_long_times_out_after_its_output(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("slow", '{"id":"t1","timeout":0.2}')
        final = await bench.final("/t1")
        assert bench.states("/t1") == ["accepted", "output", "timeout"]
        assert bench.replies("/t1")[1]["data"] == "working"
        assert "0.2 s" in final["result"]["error"]

    run_commands(broker, test)


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

    run_commands(broker, test)


def test_too_many_commands_at_once_are_refused(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        for i in range(11):
            bench.send("slow", f'{{"id":"s{i}"}}')
        final = await bench.final("/s10")
        assert final["state"] == "refused"
        assert "10 commands are running" in final["result"]["error"]

    run_commands(broker, test)


def test_a_command_that_the_session_has_no_room_for_is_refused_not_lost(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        incoming = Incoming(topic="iot/v1/n1/cmd/slow", payload=b'{"id":"o1"}', retained=False)
        bench.session.on_overflow(ReceivedCommand.read("slow", incoming))
        final = await bench.final("/o1")
        assert (final["state"], final["n"]) == ("refused", 0)
        assert "too many commands" in final["result"]["error"]
        assert bench.ran == []

    run_commands(broker, test)


def test_commands_interrupted_by_a_stop_are_answered_as_failed(broker: Mosquitto) -> None:
    async def test() -> None:
        async with collected(broker, REPLIES) as replies:
            async with bench_on(broker) as bench:
                bench.send("slow", '{"id":"s1"}')
                await eventually(lambda: "output" in bench.states("/s1"))
            await eventually(lambda: len(replies) == 3)
            assert [json.loads(reply.payload)["state"] for reply in replies] == ["accepted", "output", "failed"]

    run(test)


def test_a_reply_waits_for_the_connection_to_come_back(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("slow", '{"id":"k1","timeout":1}')
        await eventually(lambda: "output" in bench.states("/k1"))
        broker.kill()
        broker.start()
        async with listen(mqtt(broker.port), REPLIES) as messages:
            assert json.loads((await anext(messages)).payload)["state"] == "timeout"

    run_commands(broker, test)
