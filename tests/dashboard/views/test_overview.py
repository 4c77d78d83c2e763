"""**Overview**: nodes with sparklines and alerts, and how much comes in."""

from __future__ import annotations

import pytest

from dashboard.data.metrics import Reading
from dashboard.views.overview import _Before
from tests.support.apps import page


@pytest.mark.usefixtures("as_viewer")
def test_a_node_has_its_state_open_alerts_groups_and_a_sparkline() -> None:
    rows = {row["Node"].partition("=")[2]: row for row in page("overview").dataframe[0].value.to_dict("records")}
    assert (rows["boiler"]["Alerts"], rows["boiler"]["Groups"]) == (1, "lab")
    assert "online" in rows["host1"]["State"]
    sparkline = list(rows["host1"]["CPU, last hour"])
    assert len(sparkline) >= 5
    assert all(0 <= value <= 59 for value in sparkline)
    assert list(rows["boiler"]["CPU, last hour"]) == []


def test_rates_are_over_the_last_readings_and_unknown_at_first() -> None:
    before = _Before()
    readings = [Reading(float(at_s), {"n": 10.0 * at_s}) for at_s in range(0, 20, 2)]
    assert before.earlier(readings[0]) is None
    for reading in readings[1:]:
        earlier = before.earlier(reading)
        assert earlier is not None
        assert reading.rate(earlier, "n") == 10.0
        assert reading.at_s - earlier.at_s <= 10
        assert before.earlier(reading) is earlier  # another viewer with the same reading
