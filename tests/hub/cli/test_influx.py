"""``iothub influx`` as people type it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.influx import Influxd
from tests.support.iothub import IotHub
from tests.support.mosquitto import free_port

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def variables() -> dict[str, str]:
    return {"IOTHUB_STORE__KIND": "influx", "IOTHUB_STORE__INFLUX__URL": f"http://127.0.0.1:{free_port()}"}


def test_setup_prints_a_line_for_each_thing_and_what_to_write_into_the_settings(tmp_path: Path) -> None:
    server = Influxd(tmp_path / "server", http="  auth-enabled = true")
    if server.generation > 1:
        pytest.skip("accounts of 1.x")
    with server:
        hub = IotHub(tmp_path, {"IOTHUB_STORE__KIND": "influx", "IOTHUB_STORE__INFLUX__URL": server.url})
        first = hub.run("influx", "setup")
        assert first.returncode == 0, first.stderr
        assert "made     database iot\n" in first.stdout
        assert "made     user grafana: read iot\n" in first.stdout
        file = hub.state / "secrets" / "influx-hub-password"
        assert f'  [store.influx]\n  username = "iothub"\n  password_file = "{file}"\n' in first.stdout
        assert "and user grafana." in first.stdout
        assert file.read_text().strip() not in first.stdout
        second = hub.json("influx", "setup")
        assert {step["outcome"] for step in second} == {"there"}
        assert "Nothing was changed." in hub.run("influx", "setup").stdout


@pytest.mark.parametrize("command", [("setup",), ("rollup", "--last", "1h")])
def test_a_server_that_is_away_is_one_line_and_exit_code_1(
    tmp_path: Path, variables: dict[str, str], command: tuple[str, ...]
) -> None:
    done = IotHub(tmp_path, variables).run("influx", *command)
    assert done.returncode == 1
    assert done.stderr.startswith("iothub: InfluxDB at http://127.0.0.1:")
    assert "is it running, and store.influx.url right?" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_migrate_without_an_embedded_store_is_one_line(tmp_path: Path, variables: dict[str, str]) -> None:
    done = IotHub(tmp_path, variables).run("influx", "migrate")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no embedded store to move" in done.stderr


def test_doctor_shows_influxdb_beside_the_rest(tmp_path: Path, variables: dict[str, str]) -> None:
    done = IotHub(tmp_path, variables).run("doctor", "--json")
    found = {each["name"]: each for each in json.loads(done.stdout)}
    assert found["InfluxDB"]["verdict"] == "failed"
    assert "cannot be reached" in found["InfluxDB"]["text"]
