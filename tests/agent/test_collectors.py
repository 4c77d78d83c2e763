"""Collectors fed with made-up readings, so that every case is exact."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.collectors import COLLECTORS
from agent.collectors.base import PartialError, Sample
from agent.collectors.battery import BatteryCollector
from agent.collectors.cpu import CpuCollector, percentages
from agent.collectors.disk import DiskCollector
from agent.collectors.diskio import DiskIoCollector
from agent.collectors.fan import FanCollector
from agent.collectors.memory import MemoryCollector
from agent.collectors.net import NetCollector
from agent.collectors.system import SystemCollector
from agent.collectors.temperature import TemperatureCollector
from agent.collectors.users import UserCollector
from agent.config import AgentSettings, CollectorsSettings
from tests.support.samples import values


class Times(SimpleNamespace):
    def _asdict(self) -> dict[str, float]:
        return dict(vars(self))


def test_every_collector_of_the_table_has_its_settings_and_bears_its_name() -> None:
    assert set(COLLECTORS) == set(CollectorsSettings.model_fields)
    for name, make in COLLECTORS.items():
        assert make(AgentSettings(), dict).name == name


# -- cpu --------------------------------------------------------------------------------------------------------------


def cpu(totals: list[Times], cores: list[list[Times]]) -> CpuCollector:
    reads, core_reads = iter(totals), iter(cores)
    return CpuCollector(lambda: next(reads), lambda: next(core_reads), lambda: (0.5, 0.25, 0.125))


def test_cpu_usage_is_what_is_neither_idle_nor_waiting_for_a_disk() -> None:
    collector = cpu(
        [Times(user=0.0, system=0.0, idle=0.0, iowait=0.0), Times(user=3.0, system=1.0, idle=5.0, iowait=1.0)],
        [[], []],
    )
    collector.collect(0.0)
    got = values(collector.collect(10.0), "cpu")
    assert got == {
        "usage": 40.0, "user_percent": 30.0, "system_percent": 10.0, "iowait_percent": 10.0,
        "load1": 0.5, "load5": 0.25, "load15": 0.125,
    }  # fmt: skip


def test_the_first_reading_gives_load_only() -> None:
    collector = cpu([Times(user=9.0, idle=1.0)], [[Times(user=9.0, idle=1.0)]])
    assert [sample.values for sample in collector.collect(0.0)] == [{"load1": 0.5, "load5": 0.25, "load15": 0.125}]


def test_each_core_has_a_series_with_its_number() -> None:
    collector = cpu(
        [Times(user=0.0, idle=0.0), Times(user=1.0, idle=1.0)],
        [
            [Times(user=0.0, idle=0.0), Times(user=0.0, idle=0.0)],
            [Times(user=1.0, idle=0.0), Times(user=0.0, idle=1.0)],
        ],
    )
    collector.collect(0.0)
    samples = collector.collect(1.0)
    assert values(samples, "cpu", core="0") == {"usage": 100.0}
    assert values(samples, "cpu", core="1") == {"usage": 0.0}


def test_cores_switched_off_start_anew() -> None:
    two, one = [Times(user=0.0, idle=0.0)] * 2, [Times(user=5.0, idle=5.0)]
    collector = cpu([Times(user=0.0, idle=0.0), Times(user=1.0, idle=1.0)], [two, one])
    collector.collect(0.0)
    assert [sample.tags for sample in collector.collect(1.0)] == [{}]


def test_guest_time_is_not_counted_twice() -> None:
    before = {"user": 0.0, "idle": 0.0, "guest": 0.0}
    assert percentages(before, {"user": 5.0, "idle": 5.0, "guest": 5.0})["usage"] == 50.0


@given(
    st.fixed_dictionaries({state: st.floats(0, 1e9) for state in ("user", "system", "idle", "iowait", "steal")}),
    st.fixed_dictionaries({state: st.floats(0, 1e9) for state in ("user", "system", "idle", "iowait", "steal")}),
)
def test_percentages_stay_between_0_and_100_whatever_the_kernel_says(
    before: dict[str, float], after: dict[str, float]
) -> None:
    assert all(-1e-9 <= share <= 100 + 1e-9 for share in percentages(before, after).values())


# -- memory -----------------------------------------------------------------------------------------------------------


def test_memory_is_in_bytes_and_swapping_is_a_rate() -> None:
    memory = SimpleNamespace(total=100, available=60, used=40, percent=40.0, free=10, cached=5)
    swaps = iter(
        SimpleNamespace(total=50, used=5, free=45, percent=10.0, sin=sin, sout=sout)
        for sin, sout in ((0, 0), (100, 400))
    )
    collector = MemoryCollector(lambda: memory, lambda: next(swaps))
    collector.collect(0.0)
    samples = collector.collect(10.0)
    assert values(samples, "memory") == {
        "total_bytes": 100, "available_bytes": 60, "used_bytes": 40, "used_percent": 40.0, "free_bytes": 10,
        "cached_bytes": 5,
    }  # fmt: skip
    assert values(samples, "swap") == {
        "total_bytes": 50, "used_bytes": 5, "free_bytes": 45, "used_percent": 10.0, "in_bytes_per_s": 10.0,
        "out_bytes_per_s": 40.0,
    }  # fmt: skip


# -- disk -------------------------------------------------------------------------------------------------------------


def mount(path: str, device: str = "/dev/sda1", fstype: str = "ext4") -> SimpleNamespace:
    return SimpleNamespace(mountpoint=path, device=device, fstype=fstype)


def disks(*mounts: SimpleNamespace, **options: Any) -> DiskCollector:
    usage = SimpleNamespace(total=1000, used=250, free=700, percent=26.3)
    return DiskCollector(
        read_mounts=lambda: mounts, read_usage=lambda _path: usage, read_inodes=lambda _path: (10, 4), **options
    )


def test_a_disk_has_space_and_inodes_by_mount() -> None:
    samples = disks(mount("/")).collect(0.0)
    assert values(samples, "disk", mount="/", device="/dev/sda1", fstype="ext4") == {
        "total_bytes": 1000, "used_bytes": 250, "free_bytes": 700, "used_percent": 26.3, "inodes_used_percent": 60.0,
    }  # fmt: skip


def test_pseudo_file_systems_and_mounts_of_containers_are_left_out() -> None:
    collector = disks(
        mount("/proc", "proc", "proc"),
        mount("/run", "tmpfs", "tmpfs"),
        mount("/snap/core/1", "/dev/loop0", "squashfs"),
        mount("/var/lib/docker/overlay2/x/merged", "overlay", "overlay"),
        mount("/", "overlay", "overlay"),
    )
    assert [sample.tags["mount"] for sample in collector.collect(0.0)] == ["/"]


def test_a_device_mounted_twice_counts_once_at_its_shortest_path() -> None:
    collector = disks(mount("/srv/bind/data"), mount("/data"))
    assert [sample.tags["mount"] for sample in collector.collect(0.0)] == ["/data"]


def test_patterns_of_the_settings_replace_the_built_in_ones() -> None:
    collector = disks(mount("/data"), mount("/run", "tmpfs", "tmpfs"), ignored_file_systems=["ext*"])
    assert [sample.tags["mount"] for sample in collector.collect(0.0)] == ["/run"]


def test_a_mount_that_cannot_be_read_is_reported_and_the_others_are_measured() -> None:
    def usage(path: str) -> SimpleNamespace:
        if path == "/secret":
            raise PermissionError(13, "Permission denied", path)
        return SimpleNamespace(total=1, used=1, free=0, percent=100.0)

    collector = DiskCollector(
        read_mounts=lambda: [mount("/"), mount("/secret", "/dev/sdb")],
        read_usage=usage,
        read_inodes=lambda _path: (0, 0),
    )
    with pytest.raises(PartialError, match="/secret: Permission denied") as partial:
        collector.collect(0.0)
    assert [sample.tags["mount"] for sample in partial.value.samples] == ["/"]


# -- rates of devices -------------------------------------------------------------------------------------------------


def io(reads: int, read_bytes: int, busy_time: int = 0) -> SimpleNamespace:
    return SimpleNamespace(read_count=reads, write_count=0, read_bytes=read_bytes, write_bytes=0, busy_time=busy_time)


def test_disk_rates_are_per_second_and_busy_is_a_share() -> None:
    reads = iter([{"sda": io(0, 0), "sda1": io(0, 0), "loop0": io(0, 0)}, {"sda": io(50, 4000, 2500)}])
    collector = DiskIoCollector(read=lambda: next(reads), is_whole=lambda name: name in ("sda", "loop0"))
    assert collector.collect(0.0) == []
    assert values(collector.collect(10.0), "diskio", device="sda") == {
        "reads_per_s": 5.0, "writes_per_s": 0.0, "read_bytes_per_s": 400.0, "write_bytes_per_s": 0.0,
        "busy_percent": 25.0,
    }  # fmt: skip


def test_a_machine_without_disk_counters_gives_no_samples() -> None:
    assert DiskIoCollector(read=lambda: None).collect(0.0) == []


def nic(received: int, sent: int, packets: int) -> SimpleNamespace:
    return SimpleNamespace(
        bytes_recv=received, bytes_sent=sent, packets_recv=packets, packets_sent=packets, errin=0, errout=0, dropin=0,
        dropout=0,
    )  # fmt: skip


def net(*readings: dict[str, SimpleNamespace], speed: int = 1000) -> NetCollector:
    reads = iter(readings)
    links = {"eth0": SimpleNamespace(isup=True, speed=speed), "lo": SimpleNamespace(isup=True, speed=0)}
    return NetCollector(read=lambda: next(reads), read_links=lambda: links)


def test_network_rates_are_per_interface_and_loopback_is_left_out() -> None:
    collector = net({"eth0": nic(0, 0, 0), "lo": nic(0, 0, 0)}, {"eth0": nic(5000, 1000, 20), "lo": nic(9, 9, 9)})
    assert values(collector.collect(0.0), "net", interface="eth0") == {"up": True, "speed_bits_per_s": 1_000_000_000}
    (sample,) = collector.collect(10.0)
    assert sample.tags == {"interface": "eth0"}
    assert sample.values["rx_bytes_per_s"] == 500.0
    assert sample.values["tx_bytes_per_s"] == 100.0
    assert sample.values["rx_packets_per_s"] == 2.0


def test_an_interface_made_again_gives_neither_a_negative_rate_nor_a_spike() -> None:
    collector = net({"eth0": nic(10**9, 10**9, 10**6)}, {"eth0": nic(500, 100, 3)}, {"eth0": nic(1500, 100, 4)})
    collector.collect(0.0)
    assert values(collector.collect(10.0), "net", interface="eth0") == {"up": True, "speed_bits_per_s": 1_000_000_000}
    assert values(collector.collect(20.0), "net", interface="eth0")["rx_bytes_per_s"] == 100.0


def test_an_unknown_link_speed_is_left_out() -> None:
    assert values(net({"eth0": nic(0, 0, 0)}, speed=0).collect(0.0), "net", interface="eth0") == {"up": True}


# -- sensors ----------------------------------------------------------------------------------------------------------


def test_temperatures_bear_chip_and_sensor_and_have_limits_where_known() -> None:
    sensors = {
        "coretemp": [
            SimpleNamespace(label="Core 0", current=45.0, high=80.0, critical=100.0),
            SimpleNamespace(label="", current=40.0, high=None, critical=None),
        ]
    }
    samples = TemperatureCollector(lambda: sensors).collect(0.0)
    assert values(samples, "temperature", chip="coretemp", sensor="Core 0") == {
        "temperature_c": 45.0, "high_c": 80.0, "critical_c": 100.0,
    }  # fmt: skip
    assert values(samples, "temperature", chip="coretemp", sensor="1") == {"temperature_c": 40.0}


def test_sensors_of_one_label_stay_apart() -> None:
    sensors = {"nvme": [SimpleNamespace(label="Composite", current=c, high=None, critical=None) for c in (30.0, 40.0)]}
    assert len({s.tags["sensor"] for s in TemperatureCollector(lambda: sensors).collect(0.0)}) == 2


def test_fans_turn_in_revolutions_per_minute() -> None:
    samples = FanCollector(lambda: {"thinkpad": [SimpleNamespace(label="", current=3000)]}).collect(0.0)
    assert values(samples, "fan", chip="thinkpad", sensor="0") == {"speed_rpm": 3000}


def test_a_battery_on_mains_does_not_say_how_long_it_lasts() -> None:
    battery = SimpleNamespace(percent=80.0, secsleft=-2, power_plugged=True)
    assert values(BatteryCollector(lambda: battery).collect(0.0), "battery") == {
        "charge_percent": 80.0,
        "plugged": True,
    }


def test_no_battery_gives_no_sample() -> None:
    assert BatteryCollector(lambda: None).collect(0.0) == []


# -- system -----------------------------------------------------------------------------------------------------------


def test_uptime_counts_from_boot() -> None:
    assert values(SystemCollector(lambda: 1000.0, lambda: 1060.0).collect(0.0), "system") == {
        "uptime_s": 60.0, "boot_time_s": 1000.0,
    }  # fmt: skip


def test_users_are_counted_and_never_named() -> None:
    sessions = [SimpleNamespace(name="ann"), SimpleNamespace(name="ann"), SimpleNamespace(name="bob")]
    samples = UserCollector(lambda: sessions).collect(0.0)
    assert samples == [Sample("users", {"sessions": 3, "users": 2})]
