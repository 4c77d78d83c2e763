"""No space left for the state directory: nothing is acknowledged, it is said, and work goes on once there is space."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from bench.load import Load
from hub.runfile import read_run
from tests.support.faults import Rig, message, recent_ms, unix_ms
from tests.support.fulldisk import full_disk
from tests.support.iothub import IotHub
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hub.runfile import Running
    from tests.support.fulldisk import Disk

    OnDisk = tuple[Rig, Disk]


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnDisk]:
    folder = tmp_path_factory.mktemp("full")
    # Without $SYS, whose messages would meet the full disk first, at the ledger.
    with full_disk(folder) as disk, Rig(folder, state=disk.path / "var", lines=["sys_interval 0"]) as rig:
        yield rig, disk
        rig.hub.stop()
        rig.balance()


def wait_for_trouble(rig: Rig, unacknowledged: int) -> str:
    """Wait until health says that the store's disk is full and so many messages wait; what it says."""
    wait_until(lambda: rig.hub.health()["broken"] == ["store"], 60, "health names the store")
    wait_until(lambda: rig.hub.metric("iothub_in_flight_messages") >= unacknowledged, what="messages wait")
    (detail,) = (link["detail"] for link in rig.hub.health()["links"] if link["name"] == "store")
    return str(detail)


def test_values_wait_while_the_disk_of_the_store_is_full(on_disk: OnDisk) -> None:
    rig, disk = on_disk
    start = recent_ms()
    disk.fill(rig.hub.process.pid)
    rig.send(("iot/v1/full/telemetry/room", message(start + i, i / 8)) for i in range(5000))
    said = wait_for_trouble(rig, 5000)
    assert str(rig.state / "tsdb.duckdb") in said
    assert disk.advice in said
    disk.free(rig.hub.process.pid)
    rig.settle()
    assert rig.hub.health()["status"] == "ok"
    assert rig.samples("full") == [(start + i, i / 8) for i in range(5000)]
    assert rig.row("full")["stored"] == 5000
    if disk.is_real:  # else the log cannot be written either
        assert rig.hub.said().count("cannot store, trying again") == 1


def test_refused_messages_wait_while_the_disk_of_the_rejects_is_full(on_disk: OnDisk) -> None:
    rig, disk = on_disk
    bad = [(f"iot/v1/bad{i % 10}/telemetry/room", b"no JSON %d " % i + bytes(500)) for i in range(2000)]
    disk.fill(rig.hub.process.pid)
    rig.send(bad)
    said = wait_for_trouble(rig, len(bad))
    assert str(rig.state / "rejects.db") in said
    assert disk.advice in said
    disk.free(rig.hub.process.pid)
    rig.settle()
    assert {rig.row(f"bad{i}")["refused"]["not-json"] for i in range(10)} == {200}
    assert {rig.reasons(f"bad{i}")["not-json"] for i in range(10)} == {200}, "and each is kept once"


def test_messages_wait_while_the_disk_of_the_ledger_is_full(on_disk: OnDisk) -> None:
    rig, disk = on_disk
    known = [(f"iot/v1/known{i % 10}/telemetry/room", message(recent_ms() + i, 1.0)) for i in range(2000)]
    rig.send(known)
    rig.settle()
    disk.fill(rig.hub.process.pid)
    rig.send(known)  # stored before: only the ledger has something to write
    said = wait_for_trouble(rig, len(known))
    assert str(rig.state / "ledger.db") in said
    assert disk.advice in said
    disk.free(rig.hub.process.pid)
    rig.settle()
    rows = [rig.row(f"known{i}") for i in range(10)]
    assert {(row["stored"], row["duplicate"]) for row in rows} == {(200, 200)}


def test_a_hub_killed_on_a_full_disk_says_so_at_the_start_and_has_lost_nothing_once_there_is_space(
    on_disk: OnDisk,
) -> None:
    rig, disk = on_disk
    load = Load(messages=5000, topics=10, first_ms=recent_ms())
    disk.fill(rig.hub.process.pid)
    rig.publish(load)
    wait_for_trouble(rig, load.messages)
    rig.hub.kill()
    if disk.is_real:
        before = len(rig.hub.said())
        if rig.hub.launch() is None:
            assert rig.hub.wait() == 1
            said = rig.hub.said()[before:]
            assert "space" in said, said
            assert "internal error" not in said, said
        else:
            wait_for_trouble(rig, load.messages)
            rig.hub.kill()
    disk.free(None)
    rig.hub.start()
    rig.settle()
    rig.check(load)
    rig.hub.start()


def test_iothub_up_outlives_a_full_disk_with_broker_hub_and_agent(tmp_path: Path) -> None:
    with full_disk(tmp_path) as disk:
        hub = IotHub(disk.path)
        try:
            hub.start()
            running = read_run(hub.state / "run.json")
            assert running is not None
            disk.fill(running.pid)
            wait_until(lambda: health(running)["broken"] == ["store"], 60, "health names the store")
            disk.free(running.pid)
            wait_until(lambda: health(running)["status"] == "ok", 60, "work goes on")
            begun_ms = time.time() * 1000
            wait_until(lambda: newest_ms(hub, "cpu.usage") > begun_ms, 60, "new samples are stored")
            assert read_run(hub.state / "run.json") == running, "the hub was not restarted"
            assert hub.stop() == 0
        finally:
            hub.cleanup()


def health(running: Running) -> Any:
    return httpx.get(f"{running.api_url}/health", trust_env=False, timeout=60).json()


def newest_ms(hub: IotHub, series: str) -> int:
    done = hub.run("query", series, "--last", "1m", "--json")
    found = json.loads(done.stdout)["series"] if done.returncode == 0 else []
    return max((unix_ms(each["times"][-1]) for each in found), default=0)
