"""``python -m agent`` as people run it, against a real Mosquitto."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.support.hostagent import REPOSITORY, Agent, clean_environment
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.node import collected, mqtt, pub, run
from tests.support.waiting import eventually, wait_until
from wire.messages import Receipt, encode
from wire.session import publish_once

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from pathlib import Path

    from wire.packets import Incoming

#: Levels of topics whose messages are numbered.
DATA = ("telemetry", "log")
SETTINGS = """
[mqtt]
port = {port}
keep_alive_s = 5

[agent]
node = "n1"

[agent.collectors.cpu]
interval = 1
"""


def agent(folder: Path, port: int) -> Agent:
    return Agent(folder, SETTINGS.format(port=port))


class Operator:
    """What travels, as an operator sees it."""

    def __init__(self, broker: Mosquitto, incoming: list[Incoming]) -> None:
        self.broker = broker
        self.incoming = incoming

    def send(self, command: str, payload: str) -> None:
        pub(self.broker, f"iot/v1/n1/cmd/{command}", payload)

    def on(self, topic_end: str) -> list[Any]:
        return [json.loads(message.payload) for message in self.incoming if message.topic.endswith(topic_end)]

    def elements(self, measurement: str) -> list[dict[str, Any]]:
        messages = self.on(f"/telemetry/{measurement}")
        return [element for message in messages for element in (message if isinstance(message, list) else [message])]

    def usage(self) -> list[float]:
        return [e["values"]["usage"] for e in self.elements("cpu") if "tags" not in e and "usage" in e["values"]]

    def numbers(self) -> list[int]:
        """Sequence numbers as they came."""
        messages = [json.loads(each.payload) for each in self.incoming if each.topic.split("/")[3] in DATA]
        return [e["seq"] for message in messages for e in (message if isinstance(message, list) else [message])]

    async def confirm(self) -> None:
        """Publish receipts as a hub does."""
        confirmed = 0
        while True:
            await asyncio.sleep(0.2)
            seen = set(self.numbers())
            watermark = next(number for number in itertools.count() if number + 1 not in seen)
            births = [each for each in self.on("/status") if each["state"] == "online"]
            if watermark != confirmed and births:
                receipt = encode(Receipt(watermark, births[-1]["session"]))
                await publish_once(mqtt(self.broker.port), "iot/v1/n1/stored", receipt, retain=True)
                confirmed = watermark


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "mosquitto") as running:
        yield running


def watching(broker: Mosquitto, test: Callable[[Operator], Awaitable[None]]) -> None:
    async def watched() -> None:
        async with collected(broker, "iot/v1/#") as incoming:
            operator = Operator(broker, incoming)
            confirming = asyncio.create_task(operator.confirm())
            await test(operator)
            confirming.cancel()

    run(watched)


@contextlib.contextmanager
def burning() -> Iterator[None]:
    """Keeps one core busy."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as burner:
        yield
        burner.kill()


def test_the_cpu_usage_it_publishes_matches_psutil(broker: Mosquitto, tmp_path: Path) -> None:
    async def test(operator: Operator) -> None:
        with agent(tmp_path, broker.port), burning():
            await eventually(operator.usage, 60)
            # Read right after a sample and right after a later one: the same stretch of time as the samples between.
            seen, before = len(operator.usage()), psutil.cpu_times()
            await eventually(lambda: len(operator.usage()) >= seen + 3, 60)
            published, after = operator.usage()[seen : seen + 3], psutil.cpu_times()
        spent = {name: getattr(after, name) - getattr(before, name) for name in before._fields if "guest" not in name}
        busy = 100 * (1 - (spent["idle"] + spent["iowait"]) / sum(spent.values()))
        assert sum(published) / len(published) == pytest.approx(busy, abs=8)

    watching(broker, test)


def test_every_message_has_a_time_and_the_numbers_have_no_gap(broker: Mosquitto, tmp_path: Path) -> None:
    async def test(operator: Operator) -> None:
        with agent(tmp_path, broker.port):
            await eventually(lambda: len(operator.usage()) >= 2, 60)
        now_ms = time.time() * 1000
        for measurement in ("cpu", "memory", "process"):
            assert all(now_ms - 60_000 < element["ts"] <= now_ms for element in operator.elements(measurement))
        numbers = set(operator.numbers())
        assert numbers == set(range(1, len(numbers) + 1))

    watching(broker, test)


def test_it_is_born_with_its_inventory_and_says_goodbye(broker: Mosquitto, tmp_path: Path) -> None:
    async def test(operator: Operator) -> None:
        with agent(tmp_path, broker.port) as running:
            await eventually(lambda: operator.on("/status"), 60)
            assert running.end(signal.SIGTERM) == 0
            await eventually(lambda: len(operator.on("/status")) == 2)
        birth, end = operator.on("/status")
        assert birth["state"] == "online"
        assert birth["outbox"] is True
        assert birth["info"]["cores"] == psutil.cpu_count()
        assert birth["version"]
        assert (end["state"], end["reason"], end["session"]) == ("offline", "shutdown", birth["session"])

    watching(broker, test)


def test_a_restart_goes_on_with_session_and_numbers(broker: Mosquitto, tmp_path: Path) -> None:
    async def test(operator: Operator) -> None:
        with agent(tmp_path, broker.port) as running:
            await eventually(operator.usage, 60)
            running.end(signal.SIGTERM)
        sent = len(operator.incoming)
        with agent(tmp_path, broker.port):
            await eventually(lambda: len(operator.on("/status")) == 3, 60)
            await eventually(lambda: any("/telemetry/cpu" in each.topic for each in operator.incoming[sent:]), 60)
            await eventually(lambda: set(operator.numbers()) == set(range(1, len(set(operator.numbers())) + 1)))
        first, _, second = operator.on("/status")[:3]
        assert first["session"] == second["session"]

    watching(broker, test)


def test_an_outbox_in_memory_promises_nothing_and_writes_nothing(broker: Mosquitto, tmp_path: Path) -> None:
    async def test(operator: Operator) -> None:
        with Agent(tmp_path, SETTINGS.format(port=broker.port) + '[agent.outbox]\nkind = "memory"\n'):
            await eventually(operator.usage, 60)
        assert not operator.on("/status")[0].get("outbox", False)
        assert list((tmp_path / "state").iterdir()) == []

    watching(broker, test)


def test_an_interrupt_stops_it_in_order_too(broker: Mosquitto, tmp_path: Path) -> None:
    async def test(operator: Operator) -> None:
        with agent(tmp_path, broker.port) as running:
            await eventually(lambda: operator.on("/status"), 60)
            assert running.end(signal.SIGINT) == 0
            await eventually(lambda: len(operator.on("/status")) == 2)
            assert operator.on("/status")[1]["reason"] == "shutdown"

    watching(broker, test)


def test_killed_it_leaves_its_will(broker: Mosquitto, tmp_path: Path) -> None:
    async def test(operator: Operator) -> None:
        with agent(tmp_path, broker.port) as running:
            await eventually(lambda: operator.on("/status"), 60)
            running.end(signal.SIGKILL)
            await eventually(lambda: len(operator.on("/status")) == 2)
        assert operator.on("/status")[1]["reason"] == "connection lost"

    watching(broker, test)


def test_collect_and_interval_work_by_plain_mosquitto_pub(broker: Mosquitto, tmp_path: Path) -> None:
    async def test(operator: Operator) -> None:
        with agent(tmp_path, broker.port):
            await eventually(lambda: len(operator.elements("memory")) == 2, 20)  # at the start and soon after
            operator.send("collect", '{"id":"c1","args":{"collectors":["memory"]}}')
            await eventually(lambda: len(operator.elements("memory")) == 3)
            await eventually(lambda: len(operator.on("/reply/c1")) == 2)
            assert operator.on("/reply/c1")[1]["result"] == {"samples": {"memory": 2}}
            operator.send("interval", '{"id":"i1","args":{"collector":"memory","seconds":1}}')
            await eventually(lambda: len(operator.elements("memory")) >= 5, 60)
            assert operator.on("/reply/i1")[1]["result"]["previous_seconds"] == 10

    watching(broker, test)


def test_samples_taken_while_the_broker_was_away_arrive_after_it_is_back(broker: Mosquitto, tmp_path: Path) -> None:
    async def before(operator: Operator) -> None:
        await eventually(operator.usage, 60)

    async def after(operator: Operator) -> None:
        await eventually(lambda: len(operator.elements("cpu")) >= 3, 60)
        times = [element["ts"] for element in operator.elements("cpu") if "tags" not in element]
        assert min(times) < broken_ms + 2000

    with agent(tmp_path, broker.port) as running:
        watching(broker, before)
        broker.kill()
        broken_ms = time.time() * 1000
        wait_until(lambda: "out of reach" in running.text(), 60)
        wait_until(lambda: time.time() * 1000 > broken_ms + 2500)  # some samples in the dark
        broker.start()
        watching(broker, after)
        assert "connected again after" in running.text()


def test_without_a_broker_it_says_so_once_and_stops_when_told(tmp_path: Path) -> None:
    port = free_port()
    with agent(tmp_path, port) as running:
        wait_until(lambda: "out of reach" in running.text(), 60)
        assert running.end(signal.SIGTERM) == 0
        assert running.text().count(f"broker 127.0.0.1:{port} is out of reach: [Errno 111] Connection refused") == 1
        assert "Traceback" not in running.text()


def call(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    argv: Sequence[str] = [sys.executable, "-m", "agent", *arguments]
    environ = {**clean_environment(), "PYTHONPATH": str(REPOSITORY), **environment}
    return subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, timeout=30, check=False)


def test_check_validates_and_does_nothing_else(tmp_path: Path) -> None:
    done = call("--check", "--node", "pi", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "settings are fine: node pi, broker 127.0.0.1:1883\n", "")
    assert list(tmp_path.iterdir()) == []


def test_wrong_settings_are_one_line_each_and_exit_2(tmp_path: Path) -> None:
    (tmp_path / "iothub.toml").write_text("[agent]\ntop_n = 99\n", encoding="utf-8")
    done = call("--check", folder=tmp_path, IOTHUB_MQTT__PORT="none")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert any(line.startswith("iothub.toml:2: agent.top_n = 99") for line in lines)
    assert any(line.startswith("IOTHUB_MQTT__PORT") for line in lines)


def test_a_wrong_node_on_the_command_line_is_wrong_usage(tmp_path: Path) -> None:
    done = call("--check", "--node", "a b", folder=tmp_path)
    assert done.returncode == 2
    assert "agent.node = 'a b'" in done.stderr


def test_a_state_directory_that_cannot_be_made_is_said_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = call("--state", str(tmp_path / "file" / "state"), folder=tmp_path)
    assert done.returncode == 1
    assert "agent.state: cannot make" in done.stderr
    assert "Traceback" not in done.stderr
