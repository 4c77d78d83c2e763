"""What the agent itself needs, and whether all it produces gets away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psutil

from agent.collectors.base import Sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from wire.point import Value


class AgentCollector:
    """``agent``: memory and CPU of this process, and what ``figures`` says about its queue and collectors."""

    name = "agent"
    interval_s = 60.0

    def __init__(self, figures: Callable[[], dict[str, Value]], process: Any = None) -> None:
        self._figures = figures
        self._process = process or psutil.Process()
        self._last: tuple[float, float] | None = None

    def collect(self, now_s: float) -> list[Sample]:
        with self._process.oneshot():
            times, memory = self._process.cpu_times(), self._process.memory_info()
        cpu_s = times.user + times.system
        values: dict[str, Value] = {"rss_bytes": memory.rss, **self._figures()}
        if self._last is not None and now_s > self._last[0]:
            values["cpu_percent"] = 100 * (cpu_s - self._last[1]) / (now_s - self._last[0])
        self._last = (now_s, cpu_s)
        return [Sample("agent", values)]
