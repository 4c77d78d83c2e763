"""``iothub influx`` as people type it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from hub.store.duck import DuckStore
from tests.support.influx import ORG, TOKEN, Influxd
from tests.support.iothub import IotHub
from tests.support.mosquitto import free_port
from tests.support.stores import run
from wire.point import NS_PER_S, Point, SeriesKey

if TYPE_CHECKING:
    from pathlib import Path

    from hub.store.base import Store


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


def on_a_terminal(hub: IotHub, *words: str) -> tuple[int, str, str]:
    """Exit code, standard output, and what a terminal shows of standard error."""
    terminal, end = os.openpty()
    with subprocess.Popen(
        hub.argv(*words), stdout=subprocess.PIPE, stderr=end, text=True, env=hub._environment
    ) as process:
        os.close(end)
        shown = b""
        # The other end is closed when the command ends.
        with contextlib.suppress(OSError):
            while found := os.read(terminal, 65536):
                shown += found
        os.close(terminal)
        assert process.stdout is not None
        said = process.stdout.read()
        return process.wait(60), said, shown.decode()


def test_migrate_shows_a_bar_counts_both_sides_and_says_what_is_missing(tmp_path: Path) -> None:
    with Influxd(tmp_path / "server") as server:
        of_2 = {"IOTHUB_STORE__INFLUX__TOKEN": TOKEN, "IOTHUB_STORE__INFLUX__ORG": ORG}
        url = {"IOTHUB_STORE__INFLUX__URL": server.url}
        hub = IotHub(tmp_path, {**url, **(of_2 if server.generation > 1 else {})})
        (tmp_path / "token").write_text(TOKEN)
        assert hub.run("influx", "setup", "--admin-token-file", str(tmp_path / "token"), timeout_s=60).returncode == 0
        now_ns = time.time_ns()
        rows = [Point(SeriesKey("dev1", "room"), now_ns - i * NS_PER_S, {"a": 1.0, "b": 2.0}) for i in range(500)]

        async def fill(store: Store) -> None:
            await store.write(rows)

        run(DuckStore(hub.state / "tsdb.duckdb"), fill)
        code, said, shown = on_a_terminal(hub, "influx", "migrate")
        assert (code, said.splitlines()[0]) == (0, "moved 1000 values and log records, 0 rows of roll-ups")
        assert "ok InfluxDB has all of them: 1000 values and log records of 2 series, counted by" in said
        assert " from 20" in shown
        assert "1000/1000" in shown

        code, said, _ = on_a_terminal(hub, "influx", "migrate")
        assert (code, said.splitlines()[0]) == (0, "nothing to move: all of it was moved before")
        if server.generation > 1:
            return
        server.ask(f'DELETE FROM "room" WHERE time = {rows[7].ts_ns}', "iot")  # noqa: S608  InfluxQL
        code, said, _ = on_a_terminal(hub, "influx", "migrate")
        assert code == 1
        assert "failed InfluxDB lacks some of 1000 values" in said
        assert "NODE" in said
        assert "dev1" in said
        assert "`iothub influx migrate --again` moves all once more" in said
        found = hub.run("influx", "migrate", "--again", "--json", timeout_s=60)
        assert (found.returncode, json.loads(found.stdout)["differences"]) == (0, [])


def test_doctor_shows_influxdb_beside_the_rest(tmp_path: Path, variables: dict[str, str]) -> None:
    done = IotHub(tmp_path, variables).run("doctor", "--json")
    found = {each["name"]: each for each in json.loads(done.stdout)}
    assert found["InfluxDB"]["verdict"] == "failed"
    assert "cannot be reached" in found["InfluxDB"]["text"]
