"""Alerts, rules and commands, as pages show them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashboard.data import alerts
from dashboard.data.rules import above_of, measurement_and_field, with_above
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
    ("above", "found"),
    [
        (90, ("warning", 90.0)),
        ({"critical": 98, "warning": 90}, ("warning", 90.0)),
        ({"critical": 98}, ("critical", 98.0)),
        ({"info": 1.5}, ("info", 1.5)),
        ({}, None),
        ("90", None),
        (True, None),
        (None, None),
    ],
)
def test_the_threshold_of_a_rule(above: Any, found: tuple[str, float] | None) -> None:
    assert above_of({"above": above}) == found


def test_a_rule_without_threshold_has_none() -> None:
    assert above_of({"below": 3}) is None


def test_a_moved_threshold_keeps_the_distance_of_clear_and_the_rule_itself() -> None:
    rule = {"metric": "cpu.usage", "above": 90, "clear": 80}
    assert with_above(rule, "warning", 70) == {"metric": "cpu.usage", "above": 70, "clear": 60}
    assert rule == {"metric": "cpu.usage", "above": 90, "clear": 80}


def test_a_moved_threshold_leaves_other_severities() -> None:
    rule = {"above": {"warning": 30, "critical": 40}, "clear": 28}
    assert with_above(rule, "warning", 35.0) == {"above": {"warning": 35.0, "critical": 40}, "clear": 33.0}
    assert rule["above"] == {"warning": 30, "critical": 40}


def test_without_clear_none_appears() -> None:
    assert with_above({"above": 90}, "warning", 70) == {"above": 70}


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
