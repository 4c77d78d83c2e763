"""Every collector on the machine that runs the tests: plausible values, and a unit in every name."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from agent.collectors import COLLECTORS
from agent.config import AgentSettings
from agent.inventory import Inventory, cpu_model, machine_uuid
from agent.reporter import encode_samples
from tests.support.waiting import wait_until
from wire.formats.base import Limits, context
from wire.formats.json import decode_json

if TYPE_CHECKING:
    from pathlib import Path

    from agent.collectors.base import Sample

UNIT = re.compile(r".*(_bytes|_percent|_per_s|_c|_rpm|_s|_hours|_messages|_runs|_collectors)$")
#: Shares, states and counts, whose name is their unit.
WITHOUT_UNIT = {
    "usage", "load1", "load5", "load15", "up", "plugged", "count", "sessions", "users", "connections",
    "total", "running", "sleeping", "blocked", "idle", "stopped", "zombie",
}  # fmt: skip
GIVEN_BY_SERVICE = {"outbox_messages": 0, "connections": 1}


def collect_twice(name: str) -> list[Sample]:
    collector = COLLECTORS[name](AgentSettings(), lambda: dict(GIVEN_BY_SERVICE))
    collector.collect(time.monotonic())
    spent = psutil.cpu_times()
    wait_until(lambda: sum(psutil.cpu_times()) - sum(spent) > 0.1, what="some CPU time passes")
    return collector.collect(time.monotonic())


@pytest.mark.parametrize("name", sorted(COLLECTORS))
def test_samples_of_this_host_are_points_of_the_contract(name: str) -> None:
    samples = collect_twice(name)
    for sample in samples:
        payload = encode_samples([sample], 1_763_750_000_000, 1)
        decoded = decode_json(payload, context("n1", sample.measurement, Limits()), 0)
        assert not decoded.refused
        assert len(decoded.points[0].fields) == len(sample.values)
        for field, value in sample.values.items():
            assert UNIT.match(field) or field in WITHOUT_UNIT, f"{sample.measurement}.{field} has no unit"
            assert isinstance(value, bool | int | float)
            assert value >= 0
            if field == "usage" or (field.endswith("_percent") and sample.measurement in ("cpu", "memory", "disk")):
                assert value <= 100


@pytest.mark.parametrize("name", ["agent", "cpu", "disk", "memory", "processes", "system", "users"])
def test_every_host_has_this(name: str) -> None:
    assert collect_twice(name)


def test_memory_and_disk_agree_with_the_system() -> None:
    (memory,) = [sample for sample in collect_twice("memory") if sample.measurement == "memory"]
    assert memory.values["total_bytes"] == psutil.virtual_memory().total
    (root,) = [sample for sample in collect_twice("disk") if sample.tags["mount"] == "/"]
    assert root.values["total_bytes"] == psutil.disk_usage("/").total


def test_all_cores_are_there() -> None:
    cores = {sample.tags["core"] for sample in collect_twice("cpu") if sample.tags}
    assert cores == {str(i) for i in range(psutil.cpu_count() or 0)}


def test_processes_never_show_command_lines(tmp_path: Path) -> None:
    samples = COLLECTORS["processes"](AgentSettings(top_n=50), dict).collect(0.0)
    assert str(tmp_path) not in str(samples)
    names = {str(sample.tags["name"]) for sample in samples if sample.tags}
    assert names
    assert not [name for name in names if "--" in name]


def test_the_inventory_says_what_this_host_is() -> None:
    inventory = Inventory().read()
    assert inventory["cores"] == psutil.cpu_count()
    assert inventory["memory_bytes"] == psutil.virtual_memory().total
    assert "127.0.0.1" in inventory["addresses"]["lo"]
    for name in ("host_name", "os", "os_version", "kernel", "architecture", "python"):
        assert inventory[name], name


def test_ignored_interfaces_are_left_out_of_the_inventory() -> None:
    assert "lo" not in Inventory(["lo"]).read()["addresses"]


def test_the_machine_uuid_stays_and_does_not_give_the_machine_id_away(tmp_path: Path) -> None:
    file = tmp_path / "machine-id"
    file.write_text("0123456789abcdef0123456789abcdef\n", encoding="ascii")
    derived = machine_uuid([file])
    assert derived == machine_uuid([file])
    assert "0123" not in derived.replace("-", "")
    other = tmp_path / "other"
    other.write_text("1123456789abcdef0123456789abcdef\n", encoding="ascii")
    assert derived != machine_uuid([other])


def test_no_machine_id_gives_no_uuid(tmp_path: Path) -> None:
    assert machine_uuid([tmp_path / "none"]) == ""


def test_the_cpu_model_is_read_from_the_kernel(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Fast CPU @ 2 GHz\n", encoding="utf-8")
    assert cpu_model(cpuinfo) == "Fast CPU @ 2 GHz"
