"""Battery. Machines without one give no samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psutil

from agent.collectors.base import Sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from wire.point import Value


class BatteryCollector:
    """``battery``: charge, whether it is plugged in, and how long it lasts."""

    name = "battery"
    interval_s = 60.0

    def __init__(self, read: Callable[[], Any] | None = None) -> None:
        builtin: Callable[[], Any] = getattr(psutil, "sensors_battery", lambda: None)
        self._read = read or builtin

    def collect(self, now_s: float) -> list[Sample]:  # noqa: ARG002  no rates here
        battery = self._read()
        if battery is None:
            return []
        values: dict[str, Value] = {"charge_percent": battery.percent}
        if battery.power_plugged is not None:
            values["plugged"] = battery.power_plugged
        if battery.secsleft is not None and battery.secsleft >= 0:  # negative: unlimited or unknown
            values["left_s"] = battery.secsleft
        return [Sample("battery", values)]
