"""How commands are answered, whatever they do, through a real Mosquitto."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from agent.admission import Admission
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

    from agent.admission import Order


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


#: What a response topic may not lead to; one of the node's own that is no name of a reply ended the agent once.
_NOWHERE = ["iot/v1/n1/reply/" + 129 * "x", "iot/v1/n1/reply/", "iot/v1/n2/reply/x", "iot/v1/n1/cmd/ping", "$CONTROL/x"]


def test_no_response_topic_leads_astray_or_ends_the_agent(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        for number, topic in enumerate(_NOWHERE):
            bench.send("ping", f'{{"id":"x{number}"}}', "-D", "PUBLISH", "response-topic", topic)
            assert (await bench.final(f"/reply/x{number}"))["state"] == "done"
        for topic in _NOWHERE:
            bench.send("ping", "", "-D", "PUBLISH", "response-topic", topic)
        bench.send("ping", '{"id":"after"}')
        await bench.final("/after")
        assert bench.session.connections == 1
        assert {reply.topic.rsplit("/", 1)[0] for reply in bench.incoming} == {"iot/v1/n1/reply"}

    run_commands(broker, test)


@pytest.mark.parametrize("name", ["\\u0085", "x\\uffff", "\\ufdd0", "\\ud83f\\udffe", "\\ud800", "\\u0000"])
def test_an_id_that_brokers_end_the_connection_for_is_answered_elsewhere(broker: Mosquitto, name: str) -> None:
    async def test(bench: Bench) -> None:
        bench.send("ping", f'{{"id":"{name}"}}')
        bench.send("ping", '{"id":"after"}')
        await bench.final("/after")
        assert bench.session.connections == 1
        await eventually(lambda: bench.states().count("done") == 2)

    run_commands(broker, test)


def test_one_response_topic_serves_many_requests_told_apart_by_correlation_data(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        here = ["-D", "PUBLISH", "response-topic", "iot/v1/n1/reply/me", "-D", "PUBLISH", "correlation-data"]
        digest = hashlib.sha256(b"a/b").hexdigest()

        def ends() -> dict[str, list[str]]:
            found: dict[str, list[str]] = {}
            for reply in bench.replies("/me"):
                if reply["state"] != "accepted":
                    found.setdefault(reply["id"], []).append(reply["state"])
            return found

        for data in ("c1", "c2", "a/b"):
            bench.send("ping", "", *here, data)
        await eventually(lambda: ends() == {"c1": ["done"], "c2": ["done"], digest: ["done"]})
        bench.send("ping", "", *here, "c1")
        await eventually(lambda: ends()["c1"] == ["done", "refused"])

    run_commands(broker, test)


def test_a_response_topic_alone_is_not_what_makes_a_request_one_of_a_kind(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        for number in range(3):
            bench.send("slow" if number < 2 else "ping", "", "-D", "PUBLISH", "response-topic", "iot/v1/n1/reply/me")
        await eventually(lambda: "done" in bench.states("/me"))
        assert bench.ran == ["slow", "slow"]
        assert bench.states("/me").count("accepted") == 3

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


def test_a_command_that_meets_a_bug_ends_neither_the_others_nor_the_agent(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    admit = Admission.admit

    def faulty(self: Admission, received: ReceivedCommand) -> Order:
        if received.name == "collect":
            raise KeyError("a bug")
        return admit(self, received)

    async def test(bench: Bench) -> None:
        bench.send("slow", '{"id":"s1","timeout":30}')
        await eventually(lambda: bench.states("/s1") == ["accepted", "output"])
        bench.send("collect", '{"id":"c1"}')
        bench.send("ping", '{"id":"p1"}')
        assert (await bench.final("/p1"))["state"] == "done"
        assert "command collect could not be answered" in caplog.text
        assert bench.states("/s1") == ["accepted", "output"], "it goes on"

    monkeypatch.setattr(Admission, "admit", faulty)
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
