"""Alerts, rules and commands, as pages show them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashboard.data import alerts
from dashboard.data.rules import measurement_and_field
from tests.support.answers import alert

# -- alerts ------------------------------------------------------------------------------------------------------------


def test_open_alerts_come_first_the_worst_before_others() -> None:
    found = alerts.rows(
        [
            alert(1, severity="critical", resolved="2026-01-01T00:01:00Z"),
            alert(2, severity="info"),
            alert(3, severity="warning", started="2026-01-02T00:00:00Z"),
            alert(4, severity="warning"),
            alert(5, severity="critical"),
        ]
    )
    assert [row["Number"] for row in found] == [5, 4, 3, 2, 1]


def test_an_alert_is_a_row_in_words() -> None:
    row = alerts.row(
        alert(
            resolved="2026-01-01T01:05:00Z", flapping=True, acknowledged_by="ann", silenced_until="2026-01-02T00:00:00Z"
        )
    )
    assert (row["Severity"], row["State"], row["Lasted"]) == ("▲ warning", "firing, flapping", "1 h 5 min")
    assert (row["Taken by"], row["Silenced"]) == ("ann", "yes")
    assert alerts.row(alert(assignee="kim", acknowledged_by="ann"))["Taken by"] == "kim"


def test_an_alert_that_has_not_fired_yet_is_shown_from_its_start() -> None:
    assert alerts.row(alert(fired=None, resolved="2026-01-01T00:00:05Z"))["Lasted"] == "5 s"


def test_alerts_about_some_fields_are_found_once() -> None:
    found = alerts.concerning(
        [alert(1), alert(1), alert(2, series="cpu.load1"), alert(3, series="cpu2.usage"), alert(4, series="cpu.usage")],
        "cpu",
        ["usage"],
    )
    assert [one["id"] for one in found] == [1, 4]


def test_a_band_reaches_from_firing_to_the_end_or_to_now() -> None:
    ended, lasting = alerts.bands([alert(resolved="2026-01-01T01:00:00Z", worst="critical"), alert()])
    assert (ended.stop - ended.start, ended.severity, ended.text) == (timedelta(hours=1), "critical", "cpu-busy")
    assert abs(lasting.stop - datetime.now(UTC)) < timedelta(minutes=1)


def test_intervals_of_a_backtest_are_bands_without_words() -> None:
    (band,) = alerts.intervals([{"start": "2026-01-01T00:00:00Z", "stop": None, "severity": "info"}])
    assert (band.severity, band.text) == ("info", "")
    assert band.stop > band.start


# -- rules -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "named"),
    [
        ("cpu.usage", ("cpu", "usage")),
        ("a.b.c", ("a", "b.c")),
        ("cpu.*", None),
        ("c?u.usage", None),
        ("cpu", None),
        (None, None),
        (["cpu.usage"], None),
    ],
)
def test_the_curve_of_a_rule(metric: Any, named: tuple[str, str] | None) -> None:
    assert measurement_and_field({"metric": metric}) == named
