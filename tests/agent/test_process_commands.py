"""Commands to ``python -m agent`` as people run it: killed while one runs, and what it says of itself."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from agent.policy import KNOWN
from tests.support.hostagent import Agent
from tests.support.mosquitto import Mosquitto
from tests.support.node import collected, pub, run
from tests.support.processes import is_running
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wire.packets import Incoming

SETTINGS = """
[mqtt]
port = {port}
keep_alive_s = 5

[agent]
node = "n1"

[agent.commands]
allow = ["ping", "shell"]

[agent.commands.shell.long]
run = ["echo self $$; setsid sleep 300 & echo child $!; wait"]
script = true
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "mosquitto") as running:
        yield running


def replies(incoming: list[Incoming], request_id: str) -> list[dict[str, Any]]:
    return [json.loads(each.payload) for each in incoming if each.topic.endswith(f"/reply/{request_id}")]


def births(incoming: list[Incoming]) -> list[dict[str, Any]]:
    messages = [json.loads(each.payload) for each in incoming if each.topic.endswith("/status")]
    return [each for each in messages if each["state"] == "online"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_an_agent_that_ends_while_a_command_runs_ends_it_too_and_answers_it(
    broker: Mosquitto, tmp_path: Path, how: signal.Signals
) -> None:
    settings = SETTINGS.format(port=broker.port)

    async def test() -> None:
        async with collected(broker, "iot/v1/#") as incoming:
            with Agent(tmp_path, settings) as agent:
                await eventually(lambda: births(incoming), 60)
                pub(broker, "iot/v1/n1/cmd/shell", '{"id":"k1","args":{"name":"long"},"timeout":300}')
                await eventually(lambda: "child" in "".join(r.get("data", "") for r in replies(incoming, "k1")), 60)
                text = "".join(reply.get("data", "") for reply in replies(incoming, "k1"))
                pids = [int(line.split()[1]) for line in text.splitlines()]
                await asyncio.to_thread(agent.end, how)
                await eventually(lambda: not any(is_running(pid) for pid in pids), what=f"{pids} end")
            with Agent(tmp_path, settings):
                await eventually(lambda: len(births(incoming)) == 2, 60)
                pub(broker, "iot/v1/n1/cmd/shell", '{"id":"k1","args":{"name":"long"}}')
                pub(broker, "iot/v1/n1/cmd/ping", '{"id":"after"}')
                await eventually(lambda: replies(incoming, "after")[1:], 60)
                await eventually(lambda: replies(incoming, "k1")[-1]["state"] == "refused", 60)
        states = [reply["state"] for reply in replies(incoming, "k1") if reply["state"] != "output"]
        assert states == ["accepted", "failed", "refused"]
        final = next(reply for reply in replies(incoming, "k1") if reply["state"] == "failed")
        words = {signal.SIGKILL: "the agent restarted", signal.SIGTERM: "the agent stopped"}
        assert words[how] in final["result"]["error"]
        numbers = [reply["n"] for reply in replies(incoming, "k1")][:-1]
        assert numbers == sorted(set(numbers))

    run(test)


def test_the_birth_tells_what_the_node_takes_and_the_agent_stays_light(broker: Mosquitto, tmp_path: Path) -> None:
    async def test() -> None:
        async with collected(broker, "iot/v1/#") as incoming:
            with Agent(tmp_path, SETTINGS.format(port=broker.port)) as agent:
                await eventually(lambda: births(incoming), 60)
                pub(broker, "iot/v1/n1/cmd/ping", '{"id":"p1"}')
                await eventually(lambda: len(replies(incoming, "p1")) == 2, 60)
                assert psutil.Process(agent.process.pid).memory_info().rss < 60e6
        commands = {entry["name"]: entry["allowed"] for entry in births(incoming)[0]["info"]["commands"]}
        assert commands == {name: name in ("ping", "shell") for name in KNOWN}
        assert len(json.dumps(births(incoming)[0])) < 4000

    run(test)


def test_wrong_keys_of_operators_are_one_line_and_exit_2(broker: Mosquitto, tmp_path: Path) -> None:
    settings = SETTINGS.format(port=broker.port) + '\n[agent.commands.operators]\nalice = "ed25519:AAAA"\n'
    with Agent(tmp_path, settings) as agent:
        assert agent.process.wait(60) == 2
    assert "agent.commands.operators.alice = 'ed25519:AAAA': a public key is ed25519:" in agent.text()
    assert "Traceback" not in agent.text()
