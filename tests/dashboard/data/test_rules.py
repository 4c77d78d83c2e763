"""Thresholds of rules: which can be moved, how far, and what a rule is then."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.data.rules import Threshold, moved, thresholds, watches
from hub.rules.files import check_tables
from tests.support.answers import trace


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ({"above": 90}, [("above", "warning", 90.0, 0.0, 100.0)]),
        ({"above": 90, "severity": "critical"}, [("above", "critical", 90.0, 0.0, 100.0)]),
        (
            {"above": {"critical": 98, "warning": 90}},
            [("above", "warning", 90.0, 0.0, 98.0), ("above", "critical", 98.0, 90.0, 100.0)],
        ),
        (
            {"below": {"warning": 20, "critical": 5}},
            [("below", "warning", 20.0, 5.0, 100.0), ("below", "critical", 5.0, 0.0, 20.0)],
        ),
        ({"above": {"info": -5}}, [("above", "info", -5.0, -10.0, 0.0)]),
        ({"above": 5000}, [("above", "warning", 5000.0, 0.0, 10_000.0)]),
        ({"outside": [10, 30]}, [("outside", "warning", (10.0, 30.0), 0.0, 100.0)]),
        (
            {"outside": {"warning": [-60, 60], "critical": [-3600, 3600]}},
            [
                ("outside", "warning", (-60.0, 60.0), -7200.0, 7200.0),
                ("outside", "critical", (-3600.0, 3600.0), -7200.0, 7200.0),
            ],
        ),
        ({"equals": "open"}, []),
        ({"all": [{"metric": "a.b", "above": 1}]}, []),
    ],
)
def test_thresholds_are_found_with_how_far_they_can_be_moved(rule: Any, found: list[Any]) -> None:
    assert thresholds(rule) == [Threshold(*one) for one in found]


@pytest.mark.parametrize("given", [{}, "90", True, None, {"warning": "x"}, [1, 2]])
def test_what_is_no_number_is_no_threshold(given: Any) -> None:
    assert thresholds({"above": given, "severity": "critical"}) == []
    assert thresholds({"outside": given, "severity": []}) == []


_values = st.integers(-500, 500)


@given(
    st.lists(_values, min_size=1, max_size=3, unique=True).map(sorted),
    st.sampled_from([("above", -3), ("below", 3), ("above", None), ("below", None)]),
    st.data(),
)
def test_wherever_a_slider_can_be_moved_the_rule_stays_sound(
    values: list[int], asked: tuple[str, int | None], data: st.DataObject
) -> None:
    ask, gap = asked
    ordered = values if ask == "above" else values[::-1]
    rule: dict[str, Any] = {
        "metric": "a.b",
        ask: dict(zip(("info", "warning", "critical"), ordered, strict=False)),
        **({"clear": ordered[0] + gap} if gap is not None else {}),
    }
    for threshold in thresholds(rule):
        changed = moved(rule, threshold, data.draw(st.floats(threshold.least, threshold.most)))
        assert check_tables({"r": changed})["r"].rule.metric == "a.b"  # raises where it is not sound


@given(st.lists(_values, min_size=1, max_size=3).map(sorted), st.sampled_from(["above", "below"]))
def test_a_slider_has_room_around_its_value(values: list[int], ask: str) -> None:
    for threshold in thresholds({ask: dict(zip(("info", "warning", "critical"), values, strict=False))}):
        assert threshold.least < threshold.most


def test_a_moved_threshold_leaves_the_rule_itself_and_keeps_the_distance_of_clear() -> None:
    rule = {"metric": "cpu.usage", "above": 90, "clear": 80}
    (only,) = thresholds(rule)
    assert moved(rule, only, 70.0) == {"metric": "cpu.usage", "above": 70.0, "clear": 60.0}
    assert rule == {"metric": "cpu.usage", "above": 90, "clear": 80}


def test_clear_is_that_of_the_least_severity_and_stays_where_another_is_moved() -> None:
    rule = {"above": {"warning": 30, "critical": 40}, "clear": 28}
    warning, critical = thresholds(rule)
    assert moved(rule, warning, 35.0) == {"above": {"warning": 35.0, "critical": 40}, "clear": 33.0}
    assert moved(rule, critical, 50.0) == {"above": {"warning": 30, "critical": 50.0}, "clear": 28}


def test_a_clear_of_each_severity_moves_with_its_own() -> None:
    rule = {"below": {"warning": 20, "critical": 5}, "clear": {"warning": 25, "critical": 8}}
    _, critical = thresholds(rule)
    changed = moved(rule, critical, 6.0)
    assert changed == {"below": {"warning": 20, "critical": 6.0}, "clear": {"warning": 25, "critical": 9.0}}


def test_a_range_is_moved_at_both_ends() -> None:
    rule = {"outside": [10, 30], "clear": [12, 28]}
    (only,) = thresholds(rule)
    assert moved(rule, only, (5.0, 31.0)) == {"outside": [5.0, 31.0], "clear": [7.0, 29.0]}


def test_a_rule_watches_the_series_of_its_nodes_and_tags() -> None:
    whole, core = trace([1], node="lab-1"), trace([1], node="lab-1", core="0")
    assert watches({}, whole)
    assert watches({"nodes": ["lab-*"]}, whole)
    assert not watches({"nodes": "boiler"}, whole)
    assert [watches({"tags": {"core": ""}}, one) for one in (whole, core)] == [True, False]
    assert [watches({"tags": {"core": "?*"}}, one) for one in (whole, core)] == [False, True]
