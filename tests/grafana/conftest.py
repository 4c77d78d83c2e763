"""A real InfluxDB that the real hub filled, from the real agent and a device like it; and what /metrics said."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from hub.paths import StatePaths
from tests.support.device import Device
from tests.support.grafana import Range
from tests.support.influx import ORG, Influxd, VictoriaMetrics
from tests.support.iothub import IotHub
from tests.support.waiting import wait_until
from wire.settings import MqttSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What the machine of a test may lack: it comes from a device, in the agent's own shape.
DEVICE = "rack-7.b"
SAMPLES: dict[str, tuple[dict[str, str], dict[str, float | str | bool]]] = {
    "cpu": ({}, {"usage": 12.5, "user_percent": 8.0, "system_percent": 4.0, "iowait_percent": 0.5, "load1": 0.2}),
    "swap": ({}, {"used_bytes": 1024.0}),
    "disk": ({"mount": "/data", "device": "sda1", "fstype": "ext4"}, {"used_percent": 91.0, "free_bytes": 1e9}),
    "diskio": ({"device": "sda"}, {"read_bytes_per_s": 10.0, "write_bytes_per_s": 20.0, "busy_percent": 3.0}),
    "net": (
        {"interface": "eth0"},
        {"rx_bytes_per_s": 10.0, "tx_bytes_per_s": 20.0, "rx_errors_per_s": 0.0, "rx_dropped_per_s": 0.0},
    ),
    "temperature": ({"chip": "coretemp", "sensor": "Package id 0"}, {"temperature_c": 48.5, "critical_c": 100.0}),
    "fan": ({"chip": "nct6775", "sensor": "fan1"}, {"speed_rpm": 900.0}),
    "battery": ({}, {"charge_percent": 80.0, "plugged": True}),
    "process": ({"name": "mosquitto"}, {"rss_bytes": 1e7, "cpu_percent": 1.0, "count": 1.0}),
}
#: The device is too hot for this one: what the dashboards draw of alerts, the hub itself has written.
RULES = f"""
[rules.too-hot]
metric = "temperature.temperature_c"
nodes = ["{DEVICE}"]
above = 40
message = "{{value}} °C"
"""
LOGS: list[dict[str, Any]] = [
    {"level": "error", "source": "nginx", "message": "upstream [::1]:80 timed out", "fields": {"status": 502}},
    {"level": "info", "source": "kernel", "message": "link is up"},
]
#: Collectors of the real agent that must have written.
COLLECTED = ("cpu", "memory", "system", "processes", "process")


@dataclass(frozen=True)
class Filled:
    """What the dashboards are to be asked about."""

    server: Influxd
    database: str
    #: Node id of the real agent.
    host: str
    during: Range
    #: /metrics at two times, 30 s apart as far as a Prometheus would know.
    scrapes: tuple[str, str]

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series of the answer; AssertionError when the server refuses the query."""
        return self.server.ask(query, self.database)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    folder = tmp_path_factory.mktemp("grafana")
    with Influxd(folder / "influxd") as server:
        database = server.create("iot")
        access = server.target(database).access
        every = {f"IOTHUB_AGENT__COLLECTORS__{name.upper()}__INTERVAL": "1s" for name in COLLECTED[:-1]}
        token = {"IOTHUB_STORE__INFLUX__TOKEN": access.token, "IOTHUB_STORE__INFLUX__ORG": ORG} if access.token else {}
        rules = folder / "rules.toml"
        hub = IotHub(
            folder,
            {
                "IOTHUB_RULES__FILE": str(rules),
                **every,
                **token,
                "IOTHUB_STORE__KIND": "influx",
                "IOTHUB_STORE__INFLUX__URL": server.url,
                "IOTHUB_STORE__INFLUX__DATABASE": database,
                "IOTHUB_AGENT__NODE": "host-1",
            },
        )
        rules.write_text(RULES, encoding="utf-8")
        try:
            hub.start()
            yield _fill(hub, server, database)
        finally:
            hub.stop()
            hub.cleanup()


def _fill(hub: IotHub, server: Influxd, database: str) -> Filled:
    started_ms = _now_ms()
    running = json.loads((hub.state / "run.json").read_text(encoding="utf-8"))
    mqtt = MqttSettings(
        port=running["broker_port"], username="operator", password_file=StatePaths(hub.state).secrets / "mqtt-operator"
    )
    with Device(mqtt, client_id="operator-test") as device:
        _send(device)
        _wait_for_rows(server, database)
        first = httpx.get(f"{running['api_url']}/metrics", timeout=60).text
        _send(device)
        wait_until(lambda: _rounds(server, database) == 2, 60, "the second round is stored")
    second = httpx.get(f"{running['api_url']}/metrics", timeout=60).text
    return Filled(server, database, "host-1", Range(started_ms - 60_000, _now_ms() + 1000), (first, second))


def _send(device: Device) -> None:
    """One round of samples and logs, one message that is refused, and one value."""
    root = f"iot/v1/{DEVICE}"
    for measurement, (tags, values) in SAMPLES.items():
        sample = {"ts": _now_ms(), "values": values, "tags": tags}
        assert device.publish(f"{root}/telemetry/{measurement}", json.dumps(sample).encode()) == 0
    for record in LOGS:
        assert device.publish(f"{root}/log", json.dumps(record | {"ts": _now_ms()}).encode()) == 0
    assert device.publish(f"{root}/telemetry/cpu", b"no json") == 0
    assert device.publish(f"{root}/telemetry/room", b'{"good": 1, "bad": 1e999}') == 0


def _wait_for_rows(server: Influxd, database: str) -> None:
    wanted = {*SAMPLES, *COLLECTED, "log", "alert"}

    def there() -> set[str]:
        return {row[0] for series in server.ask("SHOW MEASUREMENTS", database) for row in series["values"]}

    wait_until(lambda: wanted <= there(), 60, f"InfluxDB has {sorted(wanted)}")
    # Rates begin with the second tick.
    wait_until(lambda: server.ask('SELECT "usage" FROM "cpu" WHERE "core" = \'0\'', database), 60, "load of a core")


def _rounds(server: Influxd, database: str) -> int:
    found = server.ask('SELECT count("speed_rpm") FROM "fan" GROUP BY "node"', database)
    return next((int(each["values"][0][1]) for each in found if each["tags"]["node"] == DEVICE), 0)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture(scope="session")
def victoria(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[VictoriaMetrics, int]]:
    """A server that speaks PromQL and was given both scrapes; and when to ask it, Unix time in s."""
    with VictoriaMetrics(tmp_path_factory.mktemp("victoria")) as server:
        # Further back than what it holds back as too new.
        at_s = int(time.time()) - 300
        for seconds, text in ((-30, filled.scrapes[0]), (0, filled.scrapes[1])):
            parameters = {"timestamp": str((at_s + seconds) * 1000)}
            answer = httpx.post(f"{server.url}/api/v1/import/prometheus", params=parameters, content=text, timeout=60)
            assert answer.is_success, answer.text
        httpx.get(f"{server.url}/internal/force_flush", timeout=30)
        yield server, at_s
