"""Uptime and boot time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil

from agent.collectors.base import Sample

if TYPE_CHECKING:
    from collections.abc import Callable


class SystemCollector:
    """``system``: uptime and boot time."""

    name = "system"
    interval_s = 60.0

    def __init__(
        self, read_boot_time: Callable[[], float] = psutil.boot_time, clock: Callable[[], float] = time.time
    ) -> None:
        self._read_boot_time = read_boot_time
        self._clock = clock

    def collect(self, now_s: float) -> list[Sample]:  # noqa: ARG002  boot time is wall-clock time
        booted_s = self._read_boot_time()
        return [Sample("system", {"uptime_s": max(0.0, self._clock() - booted_s), "boot_time_s": booted_s})]
