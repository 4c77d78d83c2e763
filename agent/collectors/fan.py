"""Fans. Machines without one give no samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psutil

from agent.collectors.base import Sample, named_sensors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class FanCollector:
    """``fan``: one series a fan (tags ``chip``, ``sensor``)."""

    name = "fan"
    interval_s = 30.0

    def __init__(self, read: Callable[[], Mapping[str, Sequence[Any]]] | None = None) -> None:
        builtin: Callable[[], Mapping[str, Sequence[Any]]] = getattr(psutil, "sensors_fans", dict)
        self._read = read or builtin

    def collect(self, now_s: float) -> list[Sample]:  # noqa: ARG002  no rates here
        return [
            Sample("fan", {"speed_rpm": fan.current}, {"chip": chip, "sensor": name})
            for chip, fans in self._read().items()
            for name, fan in named_sensors(fans)
        ]
