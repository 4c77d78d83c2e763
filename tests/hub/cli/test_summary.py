"""What ``iothub up`` and ``iothub hub`` print once everything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hub.cli.summary import hub_lines
from hub.config import Settings, StoreSettings
from hub.runfile import Announcement, Running

RUNNING = Running(1, "http://127.0.0.1:8080", "127.0.0.1", 1883, "/var", "h", "0")
DUCK = "/var/tsdb.duckdb (DuckDB)"
INFLUX = {"url": "http://influx.lan:8086", "database": "home"}


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ({}, f"{DUCK}; values are kept 30 d"),
        ({"kind": "memory"}, "memory only: everything is lost when the hub stops"),
        ({"kind": "influx", "influx": INFLUX}, "http://influx.lan:8086 (InfluxDB, home); values are kept 30 d"),
        (
            {"kind": "influx", "also": ["duck"], "influx": INFLUX},
            f"http://influx.lan:8086 (InfluxDB, home) and {DUCK}; values are kept 30 d",
        ),
        (
            {"also": ["influx"], "influx": {**INFLUX, "generation": "victoria"}},
            f"{DUCK} and http://influx.lan:8086 (VictoriaMetrics, home); values are kept 30 d",
        ),
    ],
)
def test_every_store_is_named_as_it_is(store: dict[str, Any], said: str) -> None:
    settings = Settings(state=Path("/var"), store=StoreSettings.model_validate(store))
    assert hub_lines(settings, None, Announcement(RUNNING))["store"] == said
