"""Processes: how many in which state, and which programs use most."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psutil

from agent.collectors.base import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wire.point import Value

#: Read at once from one file each on Linux; never the command line, which may hold secrets.
_ATTRIBUTES: Final = ("name", "status", "cpu_times", "memory_info", "create_time")
#: States counted by name; psutil has more, which only count in the total.
_STATES: Final = {
    "running": "running", "sleeping": "sleeping", "disk-sleep": "blocked", "idle": "idle", "stopped": "stopped",
    "tracing-stop": "stopped", "zombie": "zombie",
}  # fmt: skip
#: Kernel threads carry numbers in their names: ``kworker/0:1``, ``irq/24-eth0``.
_NUMBERED: Final = re.compile(r"[/:].*$")
_MOST_NAMES: Final = 200
_OTHER: Final = "other"


@dataclass(slots=True)
class _Program:
    """All processes of one name."""

    count: int = 0
    cpu_s: float = 0.0
    rss_bytes: int = 0


class ProcessCollector:
    """``processes`` (counts), and ``process`` for the programs that use most CPU or memory (tag ``name``).

    Processes of one name are added up, and kernel threads lose their numbers, so that a tag value stands for a program
    and not for a moment; past 200 names since the start, new ones are called ``other``.
    """

    name = "processes"
    interval_s = 30.0

    def __init__(
        self,
        top_n: int = 5,
        read: Callable[[], Iterable[Any]] = lambda: psutil.process_iter(_ATTRIBUTES),
        memory_bytes: int | None = None,
    ) -> None:
        self._top_n = top_n
        self._read = read
        self._memory_bytes = memory_bytes or psutil.virtual_memory().total
        #: CPU seconds of each process at the previous tick, by pid and start.
        self._cpu_s: dict[tuple[int, float], float] = {}
        self._last_s: float | None = None
        self._names: set[str] = set()

    def collect(self, now_s: float) -> list[Sample]:
        states: Counter[str] = Counter()
        programs: dict[str, _Program] = {}
        cpu_s: dict[tuple[int, float], float] = {}
        total = 0
        for process in self._read():
            info = process.info
            total += 1
            if state := _STATES.get(info["status"]):
                states[state] += 1
            program = programs.setdefault(_program_name(info["name"]), _Program())
            program.count += 1
            if (memory := info["memory_info"]) is not None:  # None: not ours to read
                program.rss_bytes += memory.rss
            if (times := info["cpu_times"]) is not None:
                key = (process.pid, info["create_time"] or 0.0)
                cpu_s[key] = times.user + times.system
                # One that is new spent all it has since the last tick.
                program.cpu_s += max(0.0, cpu_s[key] - self._cpu_s.get(key, 0.0))
        elapsed_s = None if self._last_s is None else now_s - self._last_s
        self._cpu_s, self._last_s = cpu_s, now_s
        counts: dict[str, Value] = {"total": total, **{state: states[state] for state in _STATES.values()}}
        return [Sample("processes", counts), *self._top(programs, elapsed_s)]

    def _top(self, programs: dict[str, _Program], elapsed_s: float | None) -> list[Sample]:
        chosen = sorted(programs, key=lambda name: programs[name].rss_bytes, reverse=True)[: self._top_n]
        if elapsed_s:
            by_cpu = sorted(programs, key=lambda name: programs[name].cpu_s, reverse=True)[: self._top_n]
            chosen += [name for name in by_cpu if name not in chosen and programs[name].cpu_s > 0]
        samples: dict[str, Sample] = {}
        for name in chosen:
            program = programs[name]
            values: dict[str, Value] = {
                "count": program.count,
                "rss_bytes": program.rss_bytes,
                "memory_percent": 100 * program.rss_bytes / self._memory_bytes,
            }
            if elapsed_s:
                values["cpu_percent"] = 100 * program.cpu_s / elapsed_s
            tag = self._bounded(name)
            samples.setdefault(tag, Sample("process", values, {"name": tag}))
        return list(samples.values())

    def _bounded(self, name: str) -> str:
        if name not in self._names:
            if len(self._names) >= _MOST_NAMES:
                return _OTHER
            self._names.add(name)
        return name


def _program_name(name: str | None) -> str:
    return _NUMBERED.sub("", name or "") or "unnamed"
