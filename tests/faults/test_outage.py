"""InfluxDB stopped and restarted while messages flow, the hub killed once in between: each is there once, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.outage import measure
from tests.support.faults import SCALE

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(120 + 40 * SCALE)
def test_an_outage_of_the_database_loses_and_repeats_nothing_and_live_data_is_back_soon(tmp_path: Path) -> None:
    found = measure(tmp_path, outage_s=5.0 * SCALE, rate=1000, topics=20, values=2, before_s=1.5, after_s=4.0)
    assert found["samples_expected"] > 0
    assert found["samples_stored"] == found["samples_expected"]
    assert {name: found[name] for name in ("lost", "duplicated", "changed", "disordered", "unaccounted")} == {
        "lost": 0,
        "duplicated": 0,
        "changed": 0,
        "disordered": 0,
        "unaccounted": 0,
    }
    assert found["damaged_segments"] == 0
    assert found["spooled_mib"] > 0, "the outage was felt"
    assert "influx: storing to spool since" in found["health_said"]
    assert found["lag_below_2s_after_s"] is not None
