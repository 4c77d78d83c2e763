"""Alerts of a real ``iothub up``: this host's CPU load, a device, an agent that is killed, a hub that is restarted.

Other tests may keep this machine busy: how quick the hub is, ``scripts/bench alerts`` measures. Here it must be soon,
and where it depends on a cadence, the one that the hub has learned is asked for.
"""

from __future__ import annotations

import json
import os
import signal
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from hub.config import default_hub_id
from hub.rules.statefile import NAME, RuleStateFile
from hub.runfile import read_run
from tests.support.alerttopics import listening
from tests.support.hostagent import Agent
from tests.support.hostload import Load
from tests.support.iothub import IotHub
from tests.support.notifying import Webhook, http_endpoint
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = default_hub_id()
CADENCE_S = 2.0
PRESSURE_S = 15.0
#: It fires by the sample, not when something looks around now and then.
SOON_S = 10.0
RULES = f"""
[rules.cpu-here]
metric = "cpu.usage"
tags = {{ core = "" }}
nodes = ["{HOST}"]
above = 0.1
message = "{{node}} works: {{value}}"

[rules.burning]
metric = "load.cpu_percent"
above = 0.5
clear = 0.2
for = "1s"

[rules.room-hot]
metric = "room.temperature"
above = {{ warning = 30, critical = 40 }}
clear = 28
for = "1s"
message = "{{node}} has {{value}}"

[rules.pressure]
metric = "room.pressure"
above = 10
for = "{PRESSURE_S:g}s"

[rules.cpu-quiet]
metric = "cpu.usage"
tags = {{ core = "" }}
nodes = ["other-host"]
absent = "auto"
"""
SETTINGS = """
[[notify.channels]]
name = "hook"
url = "{url}"

[[notify.routes]]
name = "load"
rules = ["cpu-here", "burning"]
channels = ["hook"]
group_by = ["rule", "node"]
group_wait = 0
group_interval = 0
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


@pytest.fixture(scope="module")
def hook() -> Iterator[Webhook]:
    with http_endpoint() as hook:
        yield hook


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, hook: Webhook) -> Iterator[IotHub]:
    folder = tmp_path_factory.mktemp("hub")
    rules, settings = folder / "rules.toml", folder / "iothub.toml"
    rules.write_text(RULES, encoding="utf-8")
    settings.write_text(SETTINGS.format(url=hook.url), encoding="utf-8")
    hub = IotHub(
        folder,
        {"IOTHUB_CONFIG": str(settings), "IOTHUB_RULES__FILE": str(rules), "IOTHUB_RULES__SHIPPED": "false"},
    )
    try:
        hub.start()
        yield hub
    finally:
        if hub.stop() != 0:
            hub.cleanup()


def send(hub: IotHub, node: str, **values: float) -> None:
    done = hub.run("pub", node, "room", *(f"{name}={value}" for name, value in values.items()))
    assert done.returncode == 0, done.stderr


def declared(hub: IotHub, node: str) -> dict[str, Any]:
    found: dict[str, Any] = hub.json("nodes", "add", node)
    return found


def test_cpu_load_of_this_host_is_an_alert_at_once_and_told_once(hub: IotHub, hook: Webhook) -> None:
    with listening(hub) as said:
        wait_until(lambda: said.states(HOST, "cpu-here"), 60, "the CPU works")
    _, first = said.of(HOST, "cpu-here")[0]
    assert (first["state"], first["alerts"][0]["series"]) == ("firing", "cpu.usage")
    assert soon(first), "from the sample to what is said of it"
    alert = next(each for each in hub.json("alerts") if each["rule"] == "cpu-here")
    assert alert["node"] == HOST
    assert "works" in alert["message"]
    number = str(alert["id"])
    wait_until(lambda: titles(hook, "cpu-here"), 60, "the notification")
    assert hub.run("alerts", "ack", number).returncode == 0
    assert titles(hook, "cpu-here") == [f"[WARNING] {HOST}: cpu-here"]
    told = hub.json("alerts", "show", number)["notifications"]
    assert [(each["channel"], each["outcome"], each["occasion"]) for each in told] == [("hook", "sent", "firing")]


def test_cpu_load_that_begins_and_ends_fires_after_its_time_is_told_acknowledged_and_resolved(
    hub: IotHub, hook: Webhook
) -> None:
    with listening(hub) as said, Load(hub) as load:
        wait_until(lambda: len(load.sent) > 4, 60, "samples below the threshold")
        assert said.states(Load.NODE, "burning") == []
        load.burn()
        wait_until(lambda: said.states(Load.NODE, "burning"), 60, "it fires")
        _, first = said.of(Load.NODE, "burning")[0]
        assert (first["state"], len(first["alerts"])) == ("firing", 1)
        assert soon(first), "from when it was due to what is said"
        number = str(first["alerts"][0]["id"])
        wait_until(lambda: titles(hook, "burning"), 60, "the notification")
        assert hub.run("alerts", "ack", number, "--why", "it is me").returncode == 0
        wait_until(lambda: said.states(Load.NODE, "burning")[-1] == "acknowledged", 60)
        load.rest()
        wait_until(lambda: said.states(Load.NODE, "burning")[-1] == "resolved", 60, "it is over")
        wait_until(lambda: len(titles(hook, "burning")) == 2, 60, "the notice that it is over")
    shown = hub.json("alerts", "show", number)
    began_ms = next(at_ms for at_ms, value in load.sent if value > 0.5)
    assert round(seconds(shown["started"]) * 1000) == began_ms, "it counts from the first sample above the threshold"
    assert seconds(shown["fired"]) - seconds(shown["started"]) >= 1
    assert [row["change"] for row in shown["history"]] == ["firing", "acknowledged", "resolved"]
    told = [(each["occasion"], each["outcome"]) for each in shown["notifications"]]
    assert sorted(told) == [("firing", "sent"), ("resolved", "sent")]
    assert [title.split()[0] for title in titles(hook, "burning")] == ["[WARNING]", "[RESOLVED]"], "each once"


def test_an_alert_waits_for_its_time_holds_within_its_hysteresis_is_acknowledged_and_ends(hub: IotHub) -> None:
    declared(hub, "boiler")
    with listening(hub) as said:
        send(hub, "boiler", temperature=31)
        wait_until(lambda: said.states("boiler", "room-hot") == ["firing"], 60, "it has lasted for a second")
        _, first = said.of("boiler", "room-hot")[0]
        number = str(first["alerts"][0]["id"])
        done = hub.run("alerts", "ack", number, "--why", "on my way")
        assert done.stdout == f"Acknowledged alert {number} room-hot on boiler.\n", done.stderr
        wait_until(lambda: said.states("boiler", "room-hot") == ["firing", "acknowledged"], 60)

        send(hub, "boiler", temperature=29)
        wait_until(lambda: values(hub, "room.temperature")[-1:] == [29.0], 60, "it is stored")
        assert said.states("boiler", "room-hot") == ["firing", "acknowledged"], "29 is below 30, and not below 28"
        send(hub, "boiler", temperature=27)
        wait_until(lambda: said.states("boiler", "room-hot")[-1] == "resolved", 60)

    shown = hub.json("alerts", "show", number)
    assert 1 <= seconds(shown["fired"]) - seconds(shown["started"]) < 2
    assert [row["change"] for row in shown["history"]] == ["firing", "acknowledged", "resolved"]
    assert (shown["acknowledged_by"], shown["history"][1]["why"]) == ("local", "on my way")
    wait_until(lambda: len(values(hub, "alert.state", "boiler")) == 3, 60, "what happened is stored, for Grafana")
    assert values(hub, "alert.state", "boiler") == ["firing", "acknowledged", "resolved"]


def test_an_agent_that_is_killed_is_missed_within_3_of_its_intervals_and_named(hub: IotHub, tmp_path: Path) -> None:
    account = declared(hub, "other-host")["credentials"]
    running = read_run(hub.state / "run.json")
    assert running is not None
    settings = AGENT.format(port=running.broker_port, cadence=CADENCE_S, **account)
    with listening(hub) as said, Agent(tmp_path, settings) as agent:
        wait_until(lambda: len(values(hub, "cpu.usage", "other-host")) >= 6, 90, "its cadence is known")
        agent.end(signal.SIGKILL)
        killed_s = time.time()
        wait_until(lambda: said.states("other-host", "cpu-quiet") == ["firing"], 60, "it is missed")
    _, message = said.of("other-host", "cpu-quiet")[0]
    assert soon(message)
    assert message["alerts"][0]["since"] / 1000 - killed_s <= 3 * max(CADENCE_S, learned_s(hub, "cpu-quiet"))
    (alert,) = message["alerts"]
    assert alert["broken"] == "agent"
    assert "other-host is offline (connection lost)" in alert["broken_detail"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_hub_that_is_restarted_goes_on_waiting(hub: IotHub, hook: Webhook, how: signal.Signals) -> None:
    node = f"tank-{how.name.lower()}"
    declared(hub, node)
    send(hub, node, pressure=11)
    sent_s = time.time()
    state = RuleStateFile(hub.state / NAME)
    wait_until(lambda: any(track.node == node for track in state.read().tracks), 60, "that it waits is saved")
    wait_until(lambda: time.time() > sent_s + PRESSURE_S / 3, 60, "a timer that begins anew would end later")
    running = read_run(hub.state / "run.json")
    assert running is not None
    os.kill(running.pid, how)
    wait_until(lambda: (again := read_run(hub.state / "run.json")) is not None and again.pid != running.pid, 60)
    restarted_s = time.time()
    wait_until(lambda: hub.run("alerts").returncode == 0, 60)
    with listening(hub) as said:
        wait_until(lambda: said.states(node, "pressure"), PRESSURE_S + 30, "it fires")
    fired_s = said.of(node, "pressure")[0][1]["ts"] / 1000
    (alert,) = (alert for alert in hub.json("alerts") if alert["node"] == node)
    assert seconds(alert["fired"]) - seconds(alert["started"]) == pytest.approx(PRESSURE_S, abs=0.01)
    assert seconds(alert["fired"]) - 0.1 < fired_s < restarted_s + PRESSURE_S - 2, "it has not begun anew"
    assert len(titles(hook, "cpu-here")) == 1, "and nobody is told again of what went on meanwhile"


def soon(said: dict[str, Any]) -> bool:
    """Whether an alert was said soon after it fired; clocks of samples have ms."""
    return bool(-0.1 < (said["ts"] - said["alerts"][0]["since"]) / 1000 < SOON_S)


def learned_s(hub: IotHub, rule: str) -> float:
    """The longest interval that a rule with a learned deadline knows of."""
    (cell,) = (cell for cell in RuleStateFile(hub.state / NAME).read().cells if cell.rule == rule)
    assert cell.cadence is not None
    return cell.cadence[2] / 1e9


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def values(hub: IotHub, series: str, node: str = "*") -> list[Any]:
    done = hub.run("query", series, "--node", node, "--last", "5m", "--json")
    found = json.loads(done.stdout)["series"] if done.returncode == 0 else []
    return [value for each in found if not each["tags"].get("core") for value in each["values"]]


def titles(hook: Webhook, rule: str) -> list[str]:
    return [title for title in hook.titles if title.endswith(f": {rule}")]
