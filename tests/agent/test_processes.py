"""The process collector fed with made-up processes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from agent.collectors.processes import ProcessCollector
from tests.support.samples import values


def process(
    pid: int, name: str, cpu_s: float = 0.0, rss: int = 0, *, status: str = "sleeping", born: float = 1.0
) -> Any:
    info = {
        "name": name,
        "status": status,
        "cpu_times": SimpleNamespace(user=cpu_s, system=0.0),
        "memory_info": SimpleNamespace(rss=rss),
        "create_time": born,
    }
    return SimpleNamespace(pid=pid, info=info)


def processes(*readings: list[Any], top_n: int = 1) -> ProcessCollector:
    reads = iter(readings)
    return ProcessCollector(top_n, lambda: next(reads), memory_bytes=1000)


def test_processes_are_counted_by_state() -> None:
    reading = [process(1, "a"), process(2, "b", status="running"), process(3, "c", status="zombie")]
    got = values(processes(reading).collect(0.0), "processes")
    assert got == {"total": 3, "running": 1, "sleeping": 1, "blocked": 0, "idle": 0, "stopped": 0, "zombie": 1}


def test_the_programs_with_most_memory_and_most_cpu_are_named() -> None:
    before = [process(1, "fat", 0, 500), process(2, "busy", 10.0, 5), process(3, "small", 0, 1)]
    after = [process(1, "fat", 0, 500), process(2, "busy", 15.0, 5), process(3, "small", 0, 1)]
    collector = processes(before, after)
    collector.collect(0.0)
    samples = collector.collect(10.0)
    assert values(samples, "process", name="fat") == {
        "count": 1, "rss_bytes": 500, "memory_percent": 50.0, "cpu_percent": 0.0,
    }  # fmt: skip
    assert values(samples, "process", name="busy")["cpu_percent"] == 50.0
    assert not [sample for sample in samples if sample.tags == {"name": "small"}]


def test_processes_of_one_name_are_added_up() -> None:
    before, after = (
        [process(1, "w", 1.0, 10), process(2, "w", 1.0, 20)],
        [process(1, "w", 2.0, 10), process(2, "w", 3.0, 20)],
    )
    collector = processes(before, after)
    collector.collect(0.0)
    got = values(collector.collect(10.0), "process", name="w")
    assert (got["count"], got["rss_bytes"], got["cpu_percent"]) == (2, 30, 30.0)


def test_a_pid_used_again_is_another_process() -> None:
    collector = processes([process(7, "old", 100.0)], [process(7, "new", 2.0, 1, born=50.0)])
    collector.collect(0.0)
    assert values(collector.collect(10.0), "process", name="new")["cpu_percent"] == 20.0


def test_kernel_threads_lose_their_numbers() -> None:
    samples = processes([process(1, "kworker/0:1", rss=5), process(2, "kworker/u8:3", rss=5)]).collect(0.0)
    assert values(samples, "process", name="kworker")["count"] == 2


def test_names_are_bounded() -> None:
    readings = [[process(1, f"job{i}", rss=5)] for i in range(300)]
    collector = processes(*readings)
    names = {
        s.tags["name"] for tick in range(300) for s in collector.collect(float(tick)) if s.measurement == "process"
    }
    assert len(names) == 201
    assert "other" in names


def test_a_process_that_is_not_ours_to_read_counts_without_its_figures() -> None:
    hidden = SimpleNamespace(
        pid=1,
        info={"name": None, "status": None, "cpu_times": None, "memory_info": None, "create_time": None},
    )
    samples = processes([hidden]).collect(0.0)
    assert values(samples, "processes")["total"] == 1
    assert values(samples, "process", name="unnamed")["rss_bytes"] == 0
