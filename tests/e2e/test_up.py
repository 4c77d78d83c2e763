"""From nothing to live telemetry with the real ``iothub up``: Mosquitto, hub and agent as people get them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest

from hub.config import default_hub_id
from hub.runfile import read_run
from tests.support.iothub import IotHub
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = default_hub_id()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[IotHub]:
    hub = IotHub(tmp_path)
    try:
        yield hub
    finally:
        hub.cleanup()


def test_from_nothing_to_values_that_match_psutil_and_back_to_nothing(hub: IotHub) -> None:
    hub.start()
    assert "user admin, password " in hub.text

    nodes = {node["node"]: node for node in hub.json("nodes")}
    assert nodes[HOST]["contact"] == "online"

    wait_until(lambda: rows(hub, "memory.used_percent"), 60, "memory is stored")
    (series,) = rows(hub, "memory.used_percent")
    assert abs(series["values"][-1] - psutil.virtual_memory().percent) < 15
    wait_until(lambda: any(not each["tags"] for each in rows(hub, "cpu.usage")), 60, "CPU use is stored")
    assert all(0 <= value <= 100 for each in rows(hub, "cpu.usage") for value in each["values"])

    assert hub.stop(signal.SIGTERM) == 0
    assert hub.left() == []
    assert not (hub.state / "run.json").exists()

    hub.start()
    assert "its password was shown at the first start" in hub.text
    assert rows(hub, "memory.used_percent")[0]["times"][0] == series["times"][0], "the restart finds all data"
    assert hub.stop(signal.SIGINT) == 0
    assert hub.left() == []


def test_a_device_that_was_added_shows_up_everywhere_within_2_s(hub: IotHub) -> None:
    hub.start()
    added = hub.json("nodes", "add", "dev1")
    with hub.following("tail", "--node", "dev1") as tail:
        wait_until(lambda: any("live messages" in line for line in tail), 60, "tail follows")
        publish(added, "dev1", "room", '{"temperature":21.5}')
        wait_until(lambda: any("stored" in line and "temperature=21.5" in line for line in tail), 2, "tail shows it")
        publish(added, "dev1", "room", "hello")
        wait_until(lambda: any("refused" in line and "not-json" in line for line in tail), 2, "tail says why not")
    (series,) = rows(hub, "room.temperature")
    assert (series["node"], series["values"]) == ("dev1", [21.5])
    assert {node["node"]: node["contact"] for node in hub.json("nodes")}["dev1"] == "online"

    assert hub.run("pub", "dev1", "room", "temperature=22", "door=true").returncode == 0
    wait_until(lambda: rows(hub, "room.door"), 5, "what pub sent is stored")
    frame = hub.run("watch", "dev1", "--once").stdout
    assert "room.temperature" in frame
    assert "22" in frame

    findings = hub.json("doctor")
    assert {finding["name"]: finding["verdict"] for finding in findings} | {"doctor": "ok"} == dict.fromkeys(
        [*(finding["name"] for finding in findings), "doctor"], "ok"
    )

    assert hub.run("nodes", "rm", "dev1", "--yes").returncode == 0
    assert "dev1" not in {node["node"] for node in hub.json("nodes")}
    assert hub.stop() == 0


def test_kill_9_of_up_leaves_no_process_and_a_new_start_works(hub: IotHub) -> None:
    hub.start()
    os.kill(hub.pid, signal.SIGKILL)
    hub.wait()
    hub.start()
    assert {node["node"]: node["contact"] for node in hub.json("nodes")}[HOST] == "online"
    assert hub.stop() == 0
    wait_until(lambda: not hub.left(), 60, "nothing of either run is left")


def test_a_hub_that_is_killed_is_started_again_and_the_agent_goes_on(hub: IotHub) -> None:
    hub.start()
    running = read_run(hub.state / "run.json")
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    wait_until(lambda: "hub: runs again" in hub.text, 60, "the hub runs again")
    assert "hub: ended unexpectedly (killed by SIGKILL)" in hub.text
    before = len(rows(hub, "memory.used_percent")[0]["times"]) if rows(hub, "memory.used_percent") else 0
    wait_until(
        lambda: rows(hub, "memory.used_percent") and len(rows(hub, "memory.used_percent")[0]["times"]) > before, 40
    )
    assert hub.stop() == 0
    assert hub.left() == []


def test_all_files_of_the_state_directory_are_private_and_no_secret_is_in_the_logs(hub: IotHub) -> None:
    hub.start()
    running = read_run(hub.state / "run.json")
    assert running is not None
    assert httpx.get(f"{running.api_url}/health", trust_env=False, timeout=60).status_code == 200
    assert (hub.state.stat().st_mode & 0o777, (hub.state / "run.json").stat().st_mode & 0o777) == (0o700, 0o600)
    secrets = [path.read_text().strip() for path in (hub.state / "secrets").iterdir()]
    secrets.append(hub.text.partition("user admin, password ")[2].split()[0])
    assert hub.stop() == 0
    logged = "".join(path.read_text() for path in (hub.state / "log").iterdir())
    assert not [secret for secret in secrets if secret in logged]


def test_wrong_settings_end_it_with_2_and_readable_lines(tmp_path: Path) -> None:
    config = tmp_path / "iothub.toml"
    config.write_text("[mqtt]\nport = 'x'\n[agent]\nnod = 'a'\n")
    hub = IotHub(tmp_path, {"IOTHUB_MQTT__PORT": ""})
    hub._environment.pop("IOTHUB_MQTT__PORT")
    hub.launch("--config", str(config))
    assert hub.wait() == 2
    assert f"{config}:2: mqtt.port = 'x': must be a whole number" in hub.text
    assert "Traceback" not in hub.text
    assert not hub.state.exists()


@pytest.mark.parametrize("variable", ["IOTHUB_MQTT__PORT", "IOTHUB_API__PORT"])
def test_a_taken_port_is_one_clear_line(tmp_path: Path, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        hub = IotHub(tmp_path, {variable: str(port)})
        hub.launch()
        assert hub.wait() == 1
    assert f"iothub: port {port} is taken by " in hub.text
    assert variable in hub.text
    assert hub.left() == []


def test_a_missing_mosquitto_is_one_line_that_says_what_to_install(tmp_path: Path) -> None:
    hub = IotHub(tmp_path, {"IOTHUB_BROKER__PROGRAM": "no-such-broker"})
    hub.launch()
    assert hub.wait() == 1
    assert "'no-such-broker'" in hub.text
    assert "nstall" in hub.text
    assert len(hub.text.splitlines()) == 1


def rows(hub: IotHub, series: str) -> list[dict[str, Any]]:
    done = hub.run("query", series, "--last", "5m", "--json")
    found: list[dict[str, Any]] = json.loads(done.stdout)["series"] if done.returncode == 0 else []
    return found


def publish(added: dict[str, dict[str, object]], node: str, measurement: str, payload: str) -> None:
    """As a device does, with Debian's own client."""
    account, mqtt = added["credentials"], added["mqtt"]
    login = ["-i", account["client_id"], "-u", account["username"], "-P", account["password"]]
    argv = ["mosquitto_pub", "-V", "5", "-q", "1", "-h", mqtt["host"], "-p", mqtt["port"], *login]
    subprocess.run([*map(str, argv), "-t", f"{mqtt['root']}/{node}/telemetry/{measurement}", "-m", payload], check=True)
