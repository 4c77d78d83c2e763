"""Temperatures. Machines without a sensor give no samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psutil

from agent.collectors.base import Sample, named_sensors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wire.point import Value


class TemperatureCollector:
    """``temperature``: one series a sensor (tags ``chip``, ``sensor``)."""

    name = "temperature"
    interval_s = 30.0

    def __init__(self, read: Callable[[], Mapping[str, Sequence[Any]]] | None = None) -> None:
        # Some systems have no such call at all.
        builtin: Callable[[], Mapping[str, Sequence[Any]]] = getattr(psutil, "sensors_temperatures", dict)
        self._read = read or builtin

    def collect(self, now_s: float) -> list[Sample]:  # noqa: ARG002  no rates here
        samples = []
        for chip, sensors in self._read().items():
            for name, sensor in named_sensors(sensors):
                limits = {"high_c": sensor.high, "critical_c": sensor.critical}
                values: dict[str, Value] = {field: limit for field, limit in limits.items() if limit is not None}
                samples.append(
                    Sample("temperature", {"temperature_c": sensor.current, **values}, {"chip": chip, "sensor": name})
                )
        return samples
