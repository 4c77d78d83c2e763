"""Alerts of a real ``iothub up``: this host's CPU load, a device, an agent that is killed, a hub that is restarted."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from hub.config import default_hub_id
from hub.runfile import read_run
from tests.support.hostagent import Agent
from tests.support.iothub import IotHub
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = default_hub_id()
CADENCE_S = 2.0
RULES = f"""
[rules.cpu-here]
metric = "cpu.usage"
tags = {{ core = "" }}
nodes = ["{HOST}"]
above = 0.1
message = "{{node}} works: {{value}}"

[rules.room-hot]
metric = "room.temperature"
above = {{ warning = 30, critical = 40 }}
clear = 28
for = "1s"
message = "{{node}} has {{value}}"

[rules.pressure]
metric = "room.pressure"
above = 10
for = "12s"

[rules.cpu-quiet]
metric = "cpu.usage"
tags = {{ core = "" }}
nodes = ["other-host"]
absent = "auto"
"""
AGENT = """
[mqtt]
port = {port}
username = "{username}"
password = "{password}"
client_id = "{client_id}"
keep_alive_s = 5

[agent]
node = "other-host"

[agent.collectors.cpu]
interval = {cadence}
"""


class Said:
    """What the hub publishes about alerts, with the time at which it came."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def of(self, node: str, rule: str) -> list[tuple[float, dict[str, Any]]]:
        found = []
        for line in list(self.lines):
            at_s, topic, payload = line.split(" ", 2)
            if topic == f"iot/v1/{node}/alert/{rule}":
                found.append((float(at_s), json.loads(payload)))
        return found

    def states(self, node: str, rule: str) -> list[str]:
        return [said["state"] for _, said in self.of(node, rule)]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IotHub]:
    folder = tmp_path_factory.mktemp("hub")
    (folder / "rules.toml").write_text(RULES, encoding="utf-8")
    hub = IotHub(folder, {"IOTHUB_RULES__FILE": str(folder / "rules.toml"), "IOTHUB_RULES__SHIPPED": "false"})
    try:
        hub.start()
        yield hub
    finally:
        if hub.stop() != 0:
            hub.cleanup()


@contextlib.contextmanager
def listening(hub: IotHub) -> Iterator[Said]:
    running = read_run(hub.state / "run.json")
    assert running is not None
    password = (hub.state / "secrets" / "mqtt-operator").read_text(encoding="utf-8").strip()
    login = ["-V", "5", "-p", str(running.broker_port), "-u", "operator", "-P", password]
    argv = ["mosquitto_sub", *login, "-q", "1", "-F", "%U %t %p", "-t", "iot/v1/+/alert/+"]
    said = Said()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        reader = threading.Thread(target=lambda: said.lines.extend(process.stdout or ()))
        reader.start()
        try:
            yield said
        finally:
            process.terminate()
            reader.join(10)


def send(hub: IotHub, node: str, **values: float) -> None:
    done = hub.run("pub", node, "room", *(f"{name}={value}" for name, value in values.items()))
    assert done.returncode == 0, done.stderr


def declared(hub: IotHub, node: str) -> dict[str, Any]:
    found: dict[str, Any] = hub.json("nodes", "add", node)
    return found


def test_cpu_load_of_this_host_is_an_alert_within_1_s_of_the_sample(hub: IotHub) -> None:
    with listening(hub) as said:
        wait_until(lambda: said.states(HOST, "cpu-here"), 30, "the CPU works")
    _, first = said.of(HOST, "cpu-here")[0]
    assert (first["state"], first["alerts"][0]["series"]) == ("firing", "cpu.usage")
    took_s = (first["ts"] - first["alerts"][0]["since"]) / 1000
    assert -0.1 < took_s < 1, "from the sample to what is said of it"
    alert = next(each for each in hub.json("alerts") if each["rule"] == "cpu-here")
    assert alert["node"] == HOST
    assert "works" in alert["message"]


def test_an_alert_waits_for_its_time_holds_within_its_hysteresis_is_acknowledged_and_ends(hub: IotHub) -> None:
    declared(hub, "boiler")
    with listening(hub) as said:
        send(hub, "boiler", temperature=31)
        assert said.states("boiler", "room-hot") == [], "it has not lasted yet"
        wait_until(lambda: said.states("boiler", "room-hot") == ["firing"], 10, "it has lasted for a second")
        _, first = said.of("boiler", "room-hot")[0]
        number = str(first["alerts"][0]["id"])
        done = hub.run("alerts", "ack", number, "--why", "on my way")
        assert done.stdout == f"Acknowledged alert {number} room-hot on boiler.\n", done.stderr
        wait_until(lambda: said.states("boiler", "room-hot") == ["firing", "acknowledged"], 5)

        send(hub, "boiler", temperature=29)
        wait_until(lambda: values(hub, "room.temperature")[-1:] == [29.0], 10, "it is stored")
        assert said.states("boiler", "room-hot") == ["firing", "acknowledged"], "29 is below 30, and not below 28"
        send(hub, "boiler", temperature=27)
        wait_until(lambda: said.states("boiler", "room-hot")[-1] == "resolved", 5)

    shown = hub.json("alerts", "show", number)
    assert 1 <= seconds(shown["fired"]) - seconds(shown["started"]) < 2
    assert [row["change"] for row in shown["history"]] == ["firing", "acknowledged", "resolved"]
    assert (shown["acknowledged_by"], shown["history"][1]["why"]) == ("local", "on my way")
    wait_until(lambda: len(values(hub, "alert.state", "boiler")) == 3, 10, "what happened is stored, for Grafana")
    assert values(hub, "alert.state", "boiler") == ["firing", "acknowledged", "resolved"]


def test_an_agent_that_is_killed_is_missed_within_3_of_its_intervals_and_named(hub: IotHub, tmp_path: Path) -> None:
    account = declared(hub, "other-host")["credentials"]
    running = read_run(hub.state / "run.json")
    assert running is not None
    settings = AGENT.format(port=running.broker_port, cadence=CADENCE_S, **account)
    with listening(hub) as said, Agent(tmp_path, settings) as agent:
        wait_until(lambda: len(values(hub, "cpu.usage", "other-host")) >= 6, 40, "its cadence is known")
        agent.end(signal.SIGKILL)
        killed_s = time.time()
        wait_until(lambda: said.states("other-host", "cpu-quiet") == ["firing"], 3 * CADENCE_S + 5, "it is missed")
    at_s, message = said.of("other-host", "cpu-quiet")[0]
    assert at_s - killed_s <= 3 * CADENCE_S
    (alert,) = message["alerts"]
    assert alert["broken"] == "agent"
    assert "other-host is offline (connection lost)" in alert["broken_detail"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_hub_that_is_restarted_goes_on_waiting(hub: IotHub, how: signal.Signals) -> None:
    node = f"tank-{how.name.lower()}"
    declared(hub, node)
    send(hub, node, pressure=11)
    began_s = time.time()
    wait_until(lambda: pending(hub, node), 5, "it waits")
    time.sleep(1.5)  # the state is saved a second after a change
    running = read_run(hub.state / "run.json")
    assert running is not None
    os.kill(running.pid, how)
    wait_until(lambda: (again := read_run(hub.state / "run.json")) is not None and again.pid != running.pid, 30)
    wait_until(lambda: hub.run("alerts").returncode == 0, 30)
    with listening(hub) as said:
        wait_until(lambda: said.states(node, "pressure") == ["firing"], 20, "it fires")
    assert 11 < said.of(node, "pressure")[0][0] - began_s < 18, "and has not begun anew"


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def values(hub: IotHub, series: str, node: str = "*") -> list[Any]:
    done = hub.run("query", series, "--node", node, "--last", "5m", "--json")
    found = json.loads(done.stdout)["series"] if done.returncode == 0 else []
    return [value for each in found if not each["tags"].get("core") for value in each["values"]]


def pending(hub: IotHub, node: str) -> list[dict[str, Any]]:
    return [alert for alert in hub.json("alerts", "list", "--only", "pending") if alert["node"] == node]
