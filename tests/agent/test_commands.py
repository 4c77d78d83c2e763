"""Each command through a real Mosquitto."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.commanding import Bench, run_commands
from tests.support.mosquitto import Mosquitto

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


def test_a_ping_is_accepted_and_done(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("ping", '{"id":"p1"}')
        final = await bench.final("/p1")
        assert bench.states("/p1") == ["accepted", "done"]
        assert [reply["n"] for reply in bench.replies("/p1")] == [0, 1]
        assert final["id"] == "p1"
        assert final["result"]["uptime_s"] >= 0

    run_commands(broker, test)


def test_an_empty_payload_is_a_command_and_gets_an_id(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("ping", "")
        await bench.final()
        assert bench.states() == ["accepted", "done"]
        assert len(bench.replies()[0]["id"]) == 16

    run_commands(broker, test)


def test_collect_runs_collectors_now_and_counts(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        before = bench.outbox.waiting
        bench.send("collect", '{"id":"c1","args":{"collectors":["cpu"]}}')
        assert (await bench.final("/c1"))["result"] == {"samples": {"cpu": 1}}
        assert bench.outbox.waiting == before + 1

    run_commands(broker, test)


def test_collect_names_the_collectors_that_fail(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("collect", '{"id":"c1"}')
        final = await bench.final("/c1")
        assert final["state"] == "done"
        assert final["result"]["problems"] == {"disk": "OSError: [Errno 5] broken"}
        bench.send("collect", '{"id":"c2","args":{"collectors":"disk"}}')
        assert (await bench.final("/c2"))["state"] == "failed"

    run_commands(broker, test)


def test_interval_changes_the_pace(broker: Mosquitto) -> None:
    async def test(bench: Bench) -> None:
        bench.send("interval", '{"id":"i1","args":{"collector":"cpu","seconds":"5m"}}')
        final = await bench.final("/i1")
        assert final["result"] == {"collector": "cpu", "seconds": 300.0, "previous_seconds": 1000.0}
        assert bench.scheduler.intervals_s["cpu"] == 300.0

    run_commands(broker, test)


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
        ("reboot", "{}", "unknown command 'reboot'; this node knows buggy, cancel, "),
    ],
)
def test_wrong_commands_are_refused_with_the_reason(broker: Mosquitto, command: str, args: str, words: str) -> None:
    async def test(bench: Bench) -> None:
        bench.send(command, f'{{"id":"w1","args":{args}}}')
        final = await bench.final("/w1")
        assert final["state"] == "refused"
        assert words in final["result"]["error"]
        assert bench.scheduler.intervals_s["cpu"] == 1000.0

    run_commands(broker, test)
